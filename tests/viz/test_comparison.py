"""compare: finds the step at which two runs part, and no other."""

import numpy as np
import pytest

from minigrad import Tensor, hook, nn, viz
from minigrad import functional as F
from minigrad.errors import ArgumentError
from minigrad.viz.backprop.steps import Step

X = np.linspace(-1.0, 1.0, 12).reshape(3, 4)


def run(x: np.ndarray = X, rate: float = 0.1, planted: bool = False) -> Tensor:
    w = Tensor(np.arange(8.0).reshape(4, 2), requires_grad=True, name="w")
    y = np.tanh(Tensor(x) @ w)
    y = y * rate + (np.abs(y) * 1e-9 if planted else 0.0)
    return (y * y).sum()


def op_of(step: Step | None) -> str:
    assert step and step.op
    return step.op.name


def test_the_same_run_twice() -> None:
    found = viz.compare(run(), run())
    assert found.forward is None and found.reverse is None
    assert str(found) == "forward: no difference\nreverse: no difference"


def test_another_number_in_the_data() -> None:
    x = X.copy()
    x[1, 2] += 1.0
    found = viz.compare(run(), run(x))
    assert found.forward and found.forward[0]
    assert found.forward[0].op is None  # the data itself, not what was computed from it
    assert "largest difference at [1, 2]: 0.09091 and 1.091" in str(found)


def test_another_constant_in_the_program() -> None:
    found = viz.compare(run(), run(rate=0.2))
    assert found.forward and found.reverse
    assert op_of(found.forward[0]) == "mul"
    assert "a: w5 = w4*0.1" in str(found) and "b: w5 = w4*0.2" in str(found)
    # From the end the first that differs is what the square is sent.
    assert found.reverse[0] is not None and found.reverse[1] is not None


def test_a_small_difference_can_be_tolerated_but_not_more_steps() -> None:
    x = X * (1 + 1e-9)
    assert viz.compare(run(), run(x)).forward is not None
    found = viz.compare(run(), run(x), tolerance=1e-6)
    assert found.forward is None and found.reverse is None
    assert viz.compare(run(), run(planted=True), tolerance=1e-6).forward is not None


def test_one_run_ends_before_the_other() -> None:
    x = Tensor(2.0, requires_grad=True)
    found = viz.compare(x * x, x * x * 3)
    assert found.forward and found.forward[0] is None and op_of(found.forward[1]) == "mul"
    assert "a: has no more steps" in str(found)


def test_a_wrong_derivative_shows_in_the_reverse_pass_only() -> None:
    scale = 1.0

    def passing(g: np.ndarray) -> np.ndarray:
        return g * scale

    x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    z = np.exp(hook(np.sin(x), passing)).sum()
    right = viz.explain(z)
    scale = 3.0
    found = viz.compare(right, viz.explain(z))
    assert found.forward is None
    assert found.reverse and op_of(found.reverse[0]) == "sin"


def test_nan_is_equal_to_nan() -> None:
    with np.errstate(all="ignore"):
        x = Tensor([-1.0, 2.0], requires_grad=True)
        assert viz.compare(np.log(x).sum(), np.log(x).sum()).forward is None


def test_networks_that_differ_in_one_weight() -> None:
    def loss(change: float) -> Tensor:
        model = nn.Sequential(
            nn.Linear(4, 3, rng=np.random.default_rng(0)),
            nn.Tanh(),
            last := nn.Linear(3, 2, rng=np.random.default_rng(0)),
        )
        last.weight.data[1, 0] += change
        return F.cross_entropy(model(X.astype(np.float32)), np.array([0, 1, 0]))

    found = viz.compare(loss(0), loss(0.5))
    assert found.forward and found.forward[0]
    assert found.forward[0].name == "2.weight"


def test_a_tolerance_is_not_negative() -> None:
    with pytest.raises(ArgumentError, match="must not be negative"):
        viz.compare(run(), run(), tolerance=-1)
