"""Finite differences agree with the reverse pass, and find a wrong one."""

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, explain, nn
from minigrad.errors import GradientError
from minigrad.viz.backprop.finite_differences import checks


def leaf(value: object, name: str | None = None) -> Any:
    return Tensor(value, requires_grad=True, dtype=float, name=name)


def test_finite_differences_agree_with_the_reverse_pass() -> None:
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(4, 8, rng=rng), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 2))
    z = (model(rng.normal(size=(5, 4)).astype(np.float32)) ** 2).mean()
    explanation = explain(z)
    for parameter in model.parameters():
        found = explanation.check(parameter)
        assert found.error < 1e-5
        assert found.reverse != 0


@pytest.mark.parametrize(
    "z",
    [
        lambda: np.log(leaf(1e-10, "x")),
        lambda: 1 / leaf(1e-7, "x"),
        lambda: np.abs(leaf(-1e-7, "x")),
        lambda: np.sin(leaf(1e6, "x")),
        lambda: leaf(1e-10, "x") + 1000.0,
        lambda: np.log(leaf([1e-10, 1.0, 3.0], "x")).sum(),
        lambda: np.abs(Tensor(1e-9 + 2e-9j, requires_grad=True, name="x")),
    ],
)
def test_steps_are_as_long_as_the_function_is_smooth(z: Any) -> None:
    assert explain(z()).check("x").error < 1e-5


def test_finite_differences_find_a_wrong_adjoint() -> None:
    x = leaf([1.0, 2.0])
    explanation = explain(np.sin(x).sum())
    step = explanation.step(x)
    assert step.adjoint is not None
    step.adjoint = step.adjoint * 1.01
    assert explanation.check(x).error > 1e-3


def test_the_budget_is_kept() -> None:
    xs = [leaf(float(k)) for k in range(5)]
    y = xs[0]
    for x in xs[1:]:
        y = y * x
    steps = explain(y).steps
    leaves = [step for step in steps if step.op is None]
    assert len(checks(steps, leaves)) == 5
    assert 0 < len(checks(steps, leaves, budget=20)) < 5


def test_a_computed_value_is_not_checked() -> None:
    with pytest.raises(GradientError, match="check a leaf"):
        explain(np.sin(leaf(1.0))).check("w2")
