"""Modules one after the other."""

from typing import Any

import numpy as np
import pytest

from minigrad.errors import ShapeError, UnsupportedError
from minigrad.nn import Flatten, Linear, ReLU, Sequential, Tanh


def test_each_module_is_given_what_the_one_before_returned() -> None:
    assert Sequential(ReLU(), Tanh())(np.array([-1.0, 0.5])).tolist() == [0, np.tanh(0.5)]


def test_an_empty_sequential_returns_its_input() -> None:
    assert Sequential()(3) == 3


def test_children_are_numbered_items() -> None:
    layers = [Linear(1, 1), ReLU(), Linear(1, 1)]
    net = Sequential(*layers)
    assert [name for name, _ in net.named_children()] == ["0", "1", "2"]
    assert list(net) == layers
    assert len(net) == 3
    assert net[0] is layers[0]
    assert net[-1] is layers[2]
    with pytest.raises(IndexError):
        net[3]


@pytest.mark.parametrize("wrong", [ReLU, np.tanh, None])
def test_what_is_not_a_module_is_refused(wrong: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"item 1 is .*write nn.ReLU\(\)"):
        Sequential(ReLU(), wrong)


@pytest.mark.parametrize(
    ("shape", "flat"),
    [((2, 3, 4), (2, 12)), ((2,), (2, 1)), ((0, 3, 4), (0, 12)), ((2, 5), (2, 5))],
)
def test_flatten(shape: tuple[int, ...], flat: tuple[int, ...]) -> None:
    assert Flatten()(np.zeros(shape)).shape == flat


def test_flatten_of_a_number_is_refused() -> None:
    with pytest.raises(ShapeError, match="Flatten"):
        Flatten()(np.float64(1))
