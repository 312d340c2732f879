"""Attention."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from minigrad.errors import DtypeError, ShapeError
from minigrad.functional.activation import softmax
from minigrad.functional.dropout import dropout
from minigrad.ops.base import Shape
from minigrad.ops.movement import as_real


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    *,
    rng: np.random.Generator | None = None,
) -> Any:
    """softmax(query @ key.T * scale) @ value: for each query, a weighted mean of the values.

    Vaswani et al., "Attention Is All You Need" (2017), equation 1.

    Args:
        query: (..., L, E).
        key: (..., S, E).
        value: (..., S, Ev).
        attn_mask: broadcasts to (..., L, S); booleans, True where a key is attended to, or floats
            to add to the scores. A query whose keys are all masked gets zeros.
        dropout_p: the probability with which a weight is set to 0, also outside of training.
        is_causal: query i attends to keys 0..i only. It can be combined with a mask.
        scale: 1/sqrt(E) unless given.
        rng: the generator for dropout.

    Returns:
        (..., L, Ev).

    Raises:
        ShapeError: if the shapes do not match.
        DtypeError: if the mask holds neither booleans nor floats.
        ArgumentError: if dropout_p is not a probability.

    >>> x = np.eye(2)
    >>> scaled_dot_product_attention(x, x, np.array([[1.0], [2.0]]), is_causal=True).round(2)
    array([[1.  ],
           [1.67]])
    """
    query, key, value = as_real(query), as_real(key), as_real(value)
    check_shapes(query, key, value)
    dtype = np.result_type(query.dtype, 1.0)
    bias = None if attn_mask is None else additive(attn_mask, dtype)
    if is_causal:
        causal = causal_bias(query.shape[-2], key.shape[-2], dtype)
        bias = causal if bias is None else bias + causal
    weights = attention_weights(query, key, bias, scale)
    return dropout(weights, dropout_p, rng=rng) @ value


def attention_weights(query: Any, key: Any, bias: Any = None, scale: float | None = None) -> Any:
    """softmax(query @ key.T * scale + bias): (..., L, S), the weights of the values."""
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = (query * scale) @ np.swapaxes(key, -1, -2)
    if bias is None:
        return softmax(scores)
    if broadcast(bias.shape, scores.shape) != scores.shape:
        raise ShapeError(
            f"attention of query {query.shape} to key {key.shape} with a mask of shape "
            f"{bias.shape}: it must broadcast to the scores' shape, {scores.shape}"
        )
    return softmax(scores + bias)


def check_shapes(query: Any, key: Any, value: Any) -> None:
    if (
        min(query.ndim, key.ndim, value.ndim) < 2
        or query.shape[-1] != key.shape[-1]
        or key.shape[:-1] != value.shape[:-1]
        or broadcast(query.shape[:-2], key.shape[:-2]) is None
    ):
        raise ShapeError(
            f"attention of query {query.shape}, key {key.shape} and value {value.shape}: they are "
            "(..., L, E), (..., S, E) and (..., S, Ev)"
        )


def broadcast(*shapes: Shape) -> Shape | None:
    """The shape that these broadcast to, or None if they do not."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        return None


def additive(mask: Any, dtype: Any) -> Any:
    """A mask as floats to add to scores: booleans become 0 where True, and -inf elsewhere."""
    mask = as_real(mask)
    if mask.dtype.kind not in "bf":
        raise DtypeError(
            f"an attention mask of dtype {mask.dtype}: it holds booleans, as in "
            "mask.astype(bool), or floats to add to the scores"
        )
    return np.astype(np.where(mask, 0.0, -np.inf) if mask.dtype.kind == "b" else mask, dtype)


@functools.lru_cache(maxsize=16)
def causal_bias(length: int, keys: int, dtype: Any) -> Any:
    """(L, S), -inf where a key comes after the query."""
    bias = np.triu(np.full((length, keys), -np.inf, dtype), 1)
    bias.flags.writeable = False
    return bias
