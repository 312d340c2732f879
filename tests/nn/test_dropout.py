"""Dropout: how much is dropped, when, and from which generator it is drawn."""

from typing import Any

import numpy as np
import pytest

import minigrad
import minigrad.functional as F
from minigrad import Tensor, check_gradients
from minigrad.errors import ArgumentError, DtypeError
from minigrad.nn import Dropout

X = np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_are_dropped_or_scaled(p: float, dtype: Any) -> None:
    x = Tensor(X.astype(dtype), requires_grad=True)
    y = Dropout(p, rng=rng())(x)
    assert y.dtype == dtype
    kept = y.data != 0
    assert kept.mean() == pytest.approx(1 - p, abs=0.03)
    np.testing.assert_allclose(y.data[kept], x.data[kept] / (1 - p), rtol=1e-6)
    y.backward(np.ones(X.shape))
    np.testing.assert_allclose(x.grad, kept / (1 - p), rtol=1e-6)


def test_the_mean_stays() -> None:
    assert F.dropout(np.ones(100_000), 0.3, rng=rng()).mean() == pytest.approx(1, abs=0.01)


def test_nothing_is_done_with_p_0_or_in_evaluation() -> None:
    x = Tensor(X, requires_grad=True)
    generator = rng()
    assert Dropout(0, rng=generator)(x) is x
    assert Dropout(0.5, rng=generator).eval()(x) is x
    assert F.dropout(x, 0.5, training=False, rng=generator) is x
    assert generator.random() == rng().random()


def test_with_p_1_all_is_zero_and_nothing_nan() -> None:
    x = Tensor(X, requires_grad=True)
    y = Dropout(1)(x)
    y.backward(np.ones(X.shape))
    assert not y.data.any()
    assert not x.grad.any()


def test_the_layer_draws_from_the_generator_it_was_given() -> None:
    generator = rng()
    layer = Dropout(0.5, rng=generator)
    first, second = layer(X), layer(X)
    assert not np.array_equal(first, second)
    assert list(layer.generators()) == [generator]
    fresh = rng()
    assert np.array_equal(first, F.dropout(X, 0.5, rng=fresh))
    assert np.array_equal(second, F.dropout(X, 0.5, rng=fresh))


def test_or_from_the_default_one() -> None:
    layer = Dropout(0.5)
    minigrad.manual_seed(3)
    first = layer(X)
    minigrad.manual_seed(3)
    assert np.array_equal(layer(X), first)


def test_derivatives() -> None:
    check_gradients(lambda x: F.dropout(x, 0.4, rng=rng()) ** 2, X[:3, :4])


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_probabilities_out_of_range_are_refused(p: float) -> None:
    with pytest.raises(ArgumentError, match=f"Dropout: p must be at .*, and is {p}"):
        Dropout(p)
    with pytest.raises(ArgumentError, match=f"dropout: p .* not {p}"):
        F.dropout(X, p)


def test_integers_are_refused() -> None:
    with pytest.raises(DtypeError, match="int64"):
        Dropout()(np.arange(5))


def test_repr() -> None:
    assert repr(Dropout(0.25)) == "Dropout(p=0.25)"
