"""Attention: the formula, masks, and what does not fit."""

from typing import Any

import numpy as np
import pytest

import minigrad.functional as F
from minigrad import Tensor, check_gradients
from minigrad.errors import ArgumentError, DtypeError, ShapeError
from tests.functional.cases import Case, Cases

RNG = np.random.default_rng(7)
Q, K, V = (RNG.standard_normal(shape) for shape in [(2, 3, 4), (2, 5, 4), (2, 5, 2)])
MASK = RNG.random((3, 5)) < 0.6
MASK[:, 1] = True
BIAS = RNG.standard_normal((2, 3, 5))


def formula(bias: Any = 0.0, scale: float = 0.5, q: Any = Q, k: Any = K, v: Any = V) -> Any:
    weights = np.exp(scale * q @ k.swapaxes(-1, -2) + bias)
    return weights / weights.sum(-1, keepdims=True) @ v


def attention(*arrays: Any, **options: Any) -> Any:
    return F.scaled_dot_product_attention(*arrays, **options)


CASES: Cases = {
    "scaled_dot_product_attention": Case(attention, (Q, K, V), formula()),
    "scaled_dot_product_attention of one": Case(
        attention, (Q[0], K[0], V[0]), formula(q=Q[0], k=K[0], v=V[0])
    ),
    "scaled_dot_product_attention scale": Case(
        lambda q, k, v: attention(q, k, v, scale=0.2), (Q, K, V), formula(scale=0.2)
    ),
    "scaled_dot_product_attention by a boolean mask": Case(
        lambda q, k, v: attention(q, k, v, MASK), (Q, K, V), formula(np.where(MASK, 0, -np.inf))
    ),
    "scaled_dot_product_attention by a float mask": Case(attention, (Q, K, V, BIAS), formula(BIAS)),
    "scaled_dot_product_attention is_causal": Case(
        lambda q, k, v: attention(q, k, v, is_causal=True),
        (Q, K, V),
        formula(np.where(np.tri(3, 5), 0, -np.inf)),
    ),
    "scaled_dot_product_attention is_causal and by a mask": Case(
        lambda q, k, v, bias: attention(q, k, v, bias, is_causal=True),
        (Q, K, V, BIAS),
        formula(np.where(np.tri(3, 5), BIAS, -np.inf)),
    ),
}


@pytest.mark.parametrize("mask", [MASK, np.where(MASK, 0.5, -np.inf)])
def test_a_query_with_no_key_left_gets_zeros_and_no_nan(mask: np.ndarray) -> None:
    mask = mask.copy()
    mask[1] = False if mask.dtype == bool else -np.inf
    inputs = [Tensor(x, requires_grad=True) for x in (Q, K, V)]
    y = attention(*inputs, mask)
    assert not y.data[:, 1].any()
    assert y.data[:, [0, 2]].all()
    y.backward(np.ones(y.shape))
    for x in inputs:
        assert np.isfinite(x.grad).all()
    assert not inputs[0].grad[:, 1].any()
    check_gradients(lambda q, k, v: attention(q, k, v, mask), Q, K, V)


def test_scores_far_apart_do_not_overflow() -> None:
    y = attention(1e4 * Q, 1e4 * K, V)
    best = (Q @ K.swapaxes(1, 2)).argmax(-1)
    np.testing.assert_allclose(y, np.take_along_axis(V, best[..., None], 1))


def test_the_causal_mask_is_made_once_and_not_to_be_written_to() -> None:
    from minigrad.functional.attention import causal_bias

    bias = causal_bias(3, 5, np.dtype(np.float32))
    assert causal_bias(3, 5, np.dtype(np.float32)) is bias
    assert not bias.flags.writeable


def test_integers_are_taken_as_floats() -> None:
    whole = Q.astype(int)
    y = attention(whole, K, V, np.tri(3, 5, dtype=bool), is_causal=True)
    np.testing.assert_allclose(y, formula(np.where(np.tri(3, 5), 0, -np.inf), q=whole))


def test_dropout_is_of_the_weights() -> None:
    one = np.ones((1, 1000, 1))
    y = attention(0 * Q[:1], 0 * np.ones((1, 1000, 4)), one, dropout_p=0.5, rng=RNG)
    assert y.shape == (1, 3, 1)
    np.testing.assert_allclose(y, 1, atol=0.15)
    assert not np.any(y == 1)
    first, second = (
        attention(Q, K, V, dropout_p=0.5, rng=np.random.default_rng(0)) for _ in range(2)
    )
    assert np.array_equal(first, second)


BAD: dict[str, tuple[Any, Any, str]] = {
    "width": (lambda: attention(Q, K[..., :3], V), ShapeError, r"\(2, 3, 4\), key \(2, 5, 3\)"),
    "keys and values": (lambda: attention(Q, K, V[:, :4]), ShapeError, r"value \(2, 4, 2\)"),
    "one axis": (lambda: attention(Q[0, 0], K, V), ShapeError, r"query \(4,\)"),
    "batches": (lambda: attention(Q, K[[0, 1, 0]], V[[0, 1, 0]]), ShapeError, r"key \(3, 5, 4\)"),
    "mask": (lambda: attention(Q, K, V, MASK.T), ShapeError, r"mask of shape \(5, 3\).*\(2, 3, 5"),
    "mask's axes": (lambda: attention(Q, K, V, MASK[None, None]), ShapeError, r"\(1, 1, 3, 5\)"),
    "integers": (lambda: attention(Q, K, V, MASK.astype(int)), DtypeError, "int64.*astype"),
    "keys' batch": (lambda: attention(Q, K, V[:1]), ShapeError, r"value \(1, 5, 2\)"),
    "dropout": (lambda: attention(Q, K, V, dropout_p=2), ArgumentError, "not 2"),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=list(BAD))
def test_bad_input(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()
