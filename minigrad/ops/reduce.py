"""Reduce ops: along an axis, several, or all; and what runs along an axis, cumsum."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from minigrad.dispatch import implementations, implements
from minigrad.ops.base import Op, Rule, Shape
from minigrad.tensor import Axis


def reduce(
    name: str,
    forward: Callable[..., Any],
    vjp: Rule | None = None,
    *functions: Any,
    lowering: str,
) -> Op:
    """An op that reduces `axis` (int, tuple, or None for all), keeping axes of size 1 on asking.

    It is registered under its name and NumPy functions.
    """
    notation = f"{name}({{0}}, axis={{axis}})"
    vjps = (vjp,) if vjp else ()
    op = Op("reduce", name, forward, vjps, notation, lowering)

    @implements(name, *functions)
    def function(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return op(a, axis=axis, keepdims=keepdims)

    return op


def axes_of(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes that `axis` (int, tuple, None for all, negative from the end) names, from 0."""
    if axis is None or ndim == 0:  # NumPy lets a number be reduced over axis 0
        return tuple(range(ndim))
    return normalize_axis_tuple(axis, ndim)


def kept(y: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """y with the axes that reducing x has removed put back at size 1, to broadcast against x."""
    if keepdims or (axis is None and y.ndim == 0):  # a number broadcasts as it is
        return y
    shape = x.shape
    removed = axes_of(axis, len(shape))
    return y.reshape(tuple(1 if k in removed else n for k, n in enumerate(shape)))


def stretched(g: Any, shape: Shape) -> Any:
    """g broadcast to a shape: one number, as most losses send back, in a quarter of the time."""
    if issubclass(type(g), np.ndarray | np.generic) and g.size == 1:
        return np.ndarray(shape, g.dtype, g, 0, (0,) * len(shape))
    return np.broadcast_to(g, shape)


def over(total: Any, x: Any) -> Any:
    """A reduction of x divided by the number of entries that each of its own is made of."""
    return total / (x.size // max(total.size, 1))


def to_extremes(g: Any, y: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """The cotangent of a maximum or minimum: to where x reaches it, in equal parts."""
    reached = np.equal(x, kept(y, x, axis, keepdims)).astype(g.dtype)
    # Where y is nan, x == y nowhere.
    ties = np.maximum(np.sum(reached, axis=axis, keepdims=True), 1)
    return reached * (kept(g, x, axis, keepdims) / ties)


def finite_or_zero(x: Any) -> Any:
    return np.where(np.isfinite(x), x, 0)


def logsumexp_of_array(x: Any, axis: Axis, keepdims: bool) -> Any:
    """log(sum(exp(x))) with the largest term taken out, so that nothing overflows."""
    largest = finite_or_zero(np.fmax.reduce(x, axis=axis, keepdims=True, initial=-np.inf))
    total = np.sum(np.exp(x - largest), axis=axis, keepdims=keepdims)
    with np.errstate(divide="ignore"):  # log(0) = -inf is right for a sum of nothing
        return np.log(total) + np.reshape(largest, total.shape)


sum_op = reduce(
    "sum",
    np.add.reduce,
    lambda g, y, x, axis, keepdims: stretched(kept(g, x, axis, keepdims), x.shape),
    np.sum,
    lowering="reduction from 0: acc + x",
)
mean_op = reduce(
    "mean",
    lambda x, axis, keepdims: over(np.add.reduce(x, axis=axis, keepdims=keepdims), x),
    lambda g, y, x, axis, keepdims: stretched(over(kept(g, x, axis, keepdims), x), x.shape),
    np.mean,
    lowering="reduction from 0: acc + x, then divided by how many",
)
max_op = reduce(
    "max", np.maximum.reduce, to_extremes, np.max, np.amax, lowering="reduction from -inf: fmax"
)
min_op = reduce(
    "min", np.minimum.reduce, to_extremes, np.min, np.amin, lowering="reduction from inf: fmin"
)
logsumexp_op = reduce(
    "logsumexp",
    logsumexp_of_array,
    lambda g, y, x, axis, keepdims: (
        kept(g, x, axis, keepdims) * np.exp(x - finite_or_zero(kept(y, x, axis, keepdims)))
    ),
    lowering="two reductions: m = max x, then log(sum exp(x - m)) + m",
)
any_op = reduce("any", np.any, None, np.any, lowering="reduction from 0: acc || x")
all_op = reduce("all", np.all, None, np.all, lowering="reduction from 1: acc && x")
argmax_op = reduce("argmax", np.argmax, None, np.argmax, lowering="the first largest")
argmin_op = reduce("argmin", np.argmin, None, np.argmin, lowering="the first smallest")
cumsum_op = reduce(
    "cumsum",
    np.cumsum,
    lambda g, y, x, axis: np.flip(np.cumsum(np.flip(g, axis), axis), axis),
    lowering="scan from 0: acc + x",
)


logsumexp = implementations["logsumexp"]


@implements(np.cumsum)
def cumsum(a: Any, axis: int | None = None) -> Any:
    return cumsum_op(np.ravel(a), axis=0) if axis is None else cumsum_op(a, axis=axis)


@implements(np.var)
def var(a: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    deviation = a - mean_op(a, axis=axis, keepdims=True)
    squares = sum_op(deviation * deviation, axis=axis, keepdims=keepdims)
    return squares / max(a.size // max(squares.size, 1) - ddof, 0)


@implements(np.std)
def std(a: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    return np.sqrt(var(a, axis, ddof, keepdims))


@implements(np.prod)
def prod(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """A product as a tree of multiplications, so that its derivatives are right where factors are
    zero: the two halves are multiplied until one factor is left."""
    shape = a.shape
    if a.dtype.kind in "biu":  # which are multiplied as long integers
        a = a.astype(np.prod(np.ones(0, a.dtype)).dtype)
    reduced = axes_of(axis, len(shape))
    others = tuple(k for k in range(len(shape)) if k not in reduced)
    # (count, *others)
    factors = np.transpose(a, reduced + others)
    count = math.prod(shape[k] for k in reduced)
    factors = np.reshape(factors, (count, *(shape[k] for k in others)))
    while len(factors) > 1:
        half = len(factors) // 2
        rest = factors[2 * half :]
        factors = factors[:half] * factors[half : 2 * half]
        factors = np.concatenate([factors, rest]) if len(rest) else factors
    product = factors[0] if len(factors) else 1 + np.sum(factors, axis=0)
    whole = tuple(1 if k in reduced else n for k, n in enumerate(shape))
    return np.reshape(product, whole) if keepdims else product
