"""Where a value that is not finite comes from."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad import functional as F
from minigrad.nonfinite import origin

MASK = np.array([True, True, False])


def case(f: Callable[[Any], Any], x: list[complex] | list[float]) -> Any:
    with np.errstate(all="ignore"):
        return origin(np.sum(f(Tensor(x, requires_grad=True))).node)


@pytest.mark.parametrize(
    ("f", "x", "name"),
    [
        (lambda x: np.log(x) * 0, [0.0, 1.0, 2.0], "log"),
        (lambda x: np.exp(x) / (1 + np.exp(x)), [1.0, 1000.0, 2.0], "exp"),
        (lambda x: 1 / (x - 1) * x, [1.0, 3.0, 2.0], "div"),
        (lambda x: np.sqrt(x) + np.exp(-x), [-1.0, 3.0, 2.0], "sqrt"),
        # The mask is meant: what is wrong is the logarithm.
        (lambda x: F.softmax(np.where(MASK, x, -np.inf) + np.log(x - 2)), [1.0, 3.0, 4.0], "log"),
    ],
)
def test_an_op_that_makes_it_of_finite_values(f: Any, x: list[float], name: str) -> None:
    node, value = case(f, x)
    assert node.op.name == name
    assert value is None
    assert node.line[0] == __file__


def test_a_leaf_that_has_it() -> None:
    node, value = case(lambda x: (x * 2) ** 2, [1.0, np.nan, 2.0])
    assert node.op is None
    assert np.isnan(value[1])


def test_an_array_or_a_number_that_has_it() -> None:
    node, value = case(lambda x: x + np.array([1.0, np.inf, 2.0]), [1.0, 2.0, 3.0])
    assert node.op.name == "add"
    assert value.tolist() == [1, np.inf, 2]
    assert case(lambda x: x * float("nan"), [1.0])[1] != case(lambda x: x, [1.0])[1]


def test_complex_numbers() -> None:
    node, value = case(lambda z: np.real(np.exp(z * 1000) * np.log(z - 2j)), [1 + 1j, 2 - 1j])
    assert (node.op.name, value) == ("exp", None)
    node, value = case(lambda z: np.real(z * np.array([complex(0, np.nan), 1])), [1j, 2])
    assert node.op.name == "mul" and np.isnan(value[0])
