"""Steps: the values of the forward pass, and the adjoints with their terms."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, nn
from minigrad.errors import GradientError
from minigrad.viz.backprop.steps import Step, free_letter, trace


def steps_of(z: Tensor) -> dict[str, Step]:
    return {step.label: step for step in trace(z.node)}


def test_terms_are_summed_where_inputs_were_broadcast() -> None:
    x = Tensor(2.0, requires_grad=True, name="x")
    y = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True, name="y")
    steps = steps_of((x * y + np.sin(x)).sum())
    w1 = steps["w1"]
    assert (w1.name, steps["w2"].name, steps["w3"].name) == ("x", "y", None)
    assert w1.adjoint is not None
    np.testing.assert_allclose(w1.adjoint, 15 + 6 * np.cos(2))  # the sum of y, and of six cosines
    of_sin, of_mul = w1.contributions
    assert (of_sin.user.label, of_mul.user.label) == ("w4", "w3")
    assert of_mul.position == 0 and of_mul.summed == (0, 1) and of_mul.cotangent == 15
    (of_y,) = steps["w2"].contributions
    assert of_y.position == 1 and of_y.summed == () and (of_y.cotangent == 2).all()


@pytest.mark.parametrize(
    ("shape", "summed"),
    [((3,), (0,)), ((2, 1), (1,)), ((1, 3), (0,)), ((1,), (0, 1)), ((2, 3), ())],
)
def test_axes_of_a_broadcast(shape: tuple[int, ...], summed: tuple[int, ...]) -> None:
    b = Tensor(np.ones(shape), requires_grad=True)
    (step,) = (step for step in trace((np.ones((2, 3)) + b).sum().node) if step.node is b.node)
    (use,) = step.contributions
    assert use.summed == summed and use.cotangent.shape == shape


def test_steps_keep_their_values_when_a_parameter_is_updated() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    first = trace((x * x).sum().node)[0]
    x.data -= 1.0
    assert first.value.tolist() == [1, 2]


def test_parameters_have_the_names_of_their_modules() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    names = {step.name for step in trace(model(np.ones((1, 2), np.float32)).sum().node)}
    assert {"0.weight", "0.bias", "2.weight", "2.bias"} <= names


def test_no_gradient_where_none_flows() -> None:
    x, y = (Tensor(v, requires_grad=True, name=n) for v, n in ((2.0, "x"), (3.0, "y")))
    steps = {step.name: step for step in trace((x * y.detach()).node)}
    assert steps["x"].adjoint == 3 and "y" not in steps


@pytest.mark.parametrize(
    ("names", "letter"),
    [([], "w"), (["x1", "w"], "w"), (["w1"], "v"), (["w12", "v3"], "u"), (["width1"], "w")],
)
def test_labels_are_no_names_of_the_user(names: list[str], letter: str) -> None:
    assert free_letter(names) == letter
    assert free_letter(["w1", "v2", "u3", "t4", "s5"]) == "node"


def fill(x: Tensor, buffer: np.ndarray, y: Tensor) -> None:
    buffer.fill(3.0)


def write_through_a_view(x: Tensor, buffer: np.ndarray, y: Tensor) -> None:
    x.data[1:][0] += 1e-3


def write_a_result(x: Tensor, buffer: np.ndarray, y: Tensor) -> None:
    y.data[...] = np.nan


@pytest.mark.parametrize("write", [fill, write_through_a_view, write_a_result])
def test_what_numpy_wrote_since_is_refused(
    write: Callable[[Tensor, np.ndarray, Tensor], None],
) -> None:
    def program() -> tuple[Any, ...]:
        x, buffer = Tensor(np.array([1.0, 2.0, np.nan]), requires_grad=True), np.ones(3)
        y = x * buffer
        return x, buffer, y, (y[:2] * x[:2]).sum()

    x, buffer, y, z = program()
    trace(z.node)
    write(x, buffer, y)
    with pytest.raises(GradientError, match=r"(?s)mul of shape .* by NumPy.*y = x \* buffer"):
        trace(z.node)
