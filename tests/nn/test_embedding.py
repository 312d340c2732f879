"""Embedding as a layer; the function has its own tests."""

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.errors import DtypeError, ShapeError
from minigrad.nn import Embedding, Module

TOKENS = np.array([[0, 2, 2], [3, 0, 1]])


def test_each_token_gets_its_row() -> None:
    layer = Embedding(4, 5, rng=np.random.default_rng(0))
    y = layer(TOKENS)
    assert y.dtype == np.float32
    assert np.array_equal(y.data, layer.weight.data[TOKENS])
    assert layer(2).shape == (5,)
    assert layer(np.zeros((3, 0), int)).shape == (3, 0, 5)
    assert np.array_equal(layer(Tensor(TOKENS)).data, y.data)


def test_gradients_add_up_where_a_token_comes_twice() -> None:
    layer = Embedding(4, 5)
    layer(TOKENS).backward(np.ones((2, 3, 5)))
    assert layer.weight.grad[:, 0].tolist() == [2, 1, 2, 1]


def test_weights_start_standard_normal() -> None:
    weight = Embedding(200, 100, rng=np.random.default_rng(0)).weight
    assert weight.requires_grad
    assert weight.data.std() == pytest.approx(1, abs=0.02)
    assert abs(weight.data.mean()) < 0.02


@pytest.mark.parametrize("padding_idx", [2, -2])
def test_padding_starts_as_zeros_and_stays_as_it_is(padding_idx: int) -> None:
    layer = Embedding(4, 5, padding_idx)
    assert layer.padding_idx == 2
    assert not layer.weight.data[2].any()
    assert layer.weight.data[[0, 1, 3]].all()
    layer(TOKENS).backward(np.ones((2, 3, 5)))
    assert layer.weight.grad[:, 0].tolist() == [2, 1, 0, 1]
    # Whoever sets it to something else gets that.
    layer.weight.data[2] = 7
    assert np.all(layer(TOKENS).data[0, 1:] == 7)


class Net(Module):
    def __init__(self) -> None:
        self.tokens = Embedding(4, 5)

    def forward(self, x: Any) -> Any:
        return self.tokens(x)


@pytest.mark.parametrize(("wrong", "place"), [(4, (1, 2)), (-1, (0, 1))])
def test_a_token_too_many_is_named_with_its_place(wrong: int, place: tuple[int, int]) -> None:
    tokens = TOKENS.copy()
    tokens[place] = wrong
    with pytest.raises(ShapeError) as error:
        Net()(tokens)
    message = str(error.value)
    assert f"index {wrong} at {place}: there are 4 rows, for indices 0..3" in message
    assert "in Net.tokens (Embedding)" in message


def test_floats_are_refused() -> None:
    with pytest.raises(DtypeError, match=r"float64.*astype"):
        Embedding(4, 5)(TOKENS * 1.0)


@pytest.mark.parametrize("arguments", [(0, 5), (4, 0), (4, 5, 4), (4, 5, -5)])
def test_sizes_that_make_no_sense_are_refused(arguments: Any) -> None:
    with pytest.raises(ValueError, match="Embedding"):
        Embedding(*arguments)


def test_repr() -> None:
    assert repr(Embedding(4, 5, 0)) == "Embedding(4, 5, padding_idx=0)  # 20 parameters"
