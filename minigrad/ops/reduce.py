"""Reduce ops: along an axis, several, or all; and what runs along an axis, cumsum."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from minigrad.ops.base import Domain, Op, Rule, Sample, implements, sample
from minigrad.tensor import Axis

REDUCTIONS = tuple(
    sample(shape, axis=axis, keepdims=keepdims)
    for keepdims in (False, True)
    for shape, axis in [
        ((), None),
        ((3,), None),
        ((3,), 0),
        ((2, 3), -1),
        ((2, 3, 4), (0, 2)),
        ((2, 3, 4), (-1, 1)),
        ((2, 1, 3), 1),
        ((2, 3), ()),
    ]
)
EMPTY = (sample((0,), axis=None, keepdims=False), sample((2, 0), axis=0, keepdims=True))


def reduce(
    name: str,
    forward: Callable[..., Any],
    vjp: Rule | None = None,
    *,
    derivative: str = "",
    lowering: str,
    attributes: str = "axis={axis}, keepdims={keepdims}",
    domain: Domain | None = None,
    samples: tuple[Sample, ...] = REDUCTIONS,
) -> Op:
    """An op that reduces `axis` (int, tuple or None for all), keeping axes of size 1 on asking."""
    return Op(
        name=name,
        family="reduce",
        forward=forward,
        vjps=(vjp,) if vjp else (),
        notation=f"{name}({{0}}, {attributes})",
        derivatives=(derivative,) if vjp else (),
        lowering=lowering,
        domains=(domain or Domain(),),
        samples=samples,
    )


def reduced_axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes that `axis` (int, tuple, None for all, negative from the end) names, from 0."""
    if axis is None or ndim == 0:  # NumPy lets a number be reduced over axis 0
        return tuple(range(ndim))
    return normalize_axis_tuple(axis, ndim)


def kept(y: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """y with the axes that reducing x has removed put back at size 1, to broadcast against x."""
    if keepdims:
        return y
    shape = np.shape(x)
    removed = reduced_axes(axis, len(shape))
    return np.reshape(y, tuple(1 if k in removed else n for k, n in enumerate(shape)))


def to_extremes(g: Any, y: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """The cotangent of a maximum or minimum: to where x reaches it, in equal parts."""
    reached = x == kept(y, x, axis, keepdims)
    ties = np.sum(reached, axis=axis, keepdims=True).astype(g.dtype)
    return np.where(reached, kept(g, x, axis, keepdims) / ties, 0)


sum_op = reduce(
    "sum",
    lambda x, axis, keepdims: np.add.reduce(x, axis=axis, keepdims=keepdims),
    vjp=lambda g, y, x, axis, keepdims: np.broadcast_to(kept(g, x, axis, keepdims), np.shape(x)),
    derivative="broadcast_to(kept({g}), shape({0}))",
    lowering="reduction from 0: acc + x",
    samples=REDUCTIONS + EMPTY,
)
max_op = reduce(
    "max",
    lambda x, axis, keepdims: np.maximum.reduce(x, axis=axis, keepdims=keepdims),
    vjp=to_extremes,
    derivative="kept({g}) * ({0} == kept({y})) / ties",
    lowering="reduction from -inf: acc > x ? acc : x, NaN wins; share by a second pass of x == y",
)
min_op = reduce(
    "min",
    lambda x, axis, keepdims: np.minimum.reduce(x, axis=axis, keepdims=keepdims),
    vjp=to_extremes,
    derivative="kept({g}) * ({0} == kept({y})) / ties",
    lowering="reduction from inf: acc < x ? acc : x, NaN wins; share by a second pass of x == y",
)


def finite_or_zero(x: Any) -> Any:
    return np.where(np.isfinite(x), x, 0)


def stable_logsumexp(x: Any, axis: Axis, keepdims: bool) -> Any:
    """log(sum(exp(x))) with the largest term taken out, so that nothing overflows."""
    largest = finite_or_zero(np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    total = np.sum(np.exp(x - largest), axis=axis, keepdims=keepdims)
    with np.errstate(divide="ignore"):  # log(0) = -inf is right for a sum of nothing
        return np.log(total) + np.reshape(largest, np.shape(total))


logsumexp_op = reduce(
    "logsumexp",
    stable_logsumexp,
    vjp=lambda g, y, x, axis, keepdims: (
        kept(g, x, axis, keepdims) * np.exp(x - finite_or_zero(kept(y, x, axis, keepdims)))
    ),
    derivative="kept({g}) * exp({0} - kept({y}))",
    lowering="two reductions: m = max x, then log(sum exp(x - m)) + m",
    samples=REDUCTIONS + EMPTY,
)
cumsum_op = reduce(
    "cumsum",
    np.cumsum,
    vjp=lambda g, y, x, axis: np.flip(np.cumsum(np.flip(g, axis), axis), axis),
    derivative="flip(cumsum(flip({g}, {axis}), {axis}), {axis})",
    lowering="scan from 0: acc + x",
    attributes="axis={axis}",
    samples=(
        sample((3,), axis=0),
        sample((2, 3), axis=1),
        sample((2, 3, 2), axis=-2),
        sample((0,), axis=0),
        sample((2, 0), axis=0),
    ),
)
any_op = reduce("any", np.any, lowering="reduction from 0: acc || x", samples=REDUCTIONS + EMPTY)
all_op = reduce("all", np.all, lowering="reduction from 1: acc && x", samples=REDUCTIONS + EMPTY)

ALONG_ONE = tuple(
    sample(shape, axis=axis, keepdims=keepdims)
    for keepdims in (False, True)
    for shape, axis in [((3,), None), ((2, 3), None), ((2, 3), 1), ((2, 3, 2), -2), ((0, 2), 1)]
)
argmax_op = reduce(
    "argmax",
    np.argmax,
    lowering="reduction of (value, index): the first largest",
    samples=ALONG_ONE,
)
argmin_op = reduce(
    "argmin",
    np.argmin,
    lowering="reduction of (value, index): the first smallest",
    samples=ALONG_ONE,
)


def reduction(op: Op, *functions: Any) -> Callable[..., Any]:
    """The NumPy-like function that applies a reduce op."""

    @implements(op.name, *functions)
    def function(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return op(a, axis=axis, keepdims=keepdims)

    return function


reduction(sum_op, np.sum)
reduction(max_op, np.max, np.amax)
reduction(min_op, np.min, np.amin)
reduction(any_op, np.any)
reduction(all_op, np.all)
reduction(argmax_op, np.argmax)
reduction(argmin_op, np.argmin)
logsumexp = reduction(logsumexp_op)


@implements(np.cumsum)
def cumsum(a: Any, axis: int | None = None) -> Any:
    return cumsum_op(np.ravel(a), axis=0) if axis is None else cumsum_op(a, axis=axis)


def extent(a: Any, axis: Axis) -> int:
    """How many entries of `a` each entry of its reduction over `axis` is made of."""
    shape = np.shape(a)
    return math.prod(shape[k] for k in reduced_axes(axis, len(shape)))


@implements(np.mean)
def mean(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return sum_op(a, axis=axis, keepdims=keepdims) / extent(a, axis)


@implements(np.var)
def var(a: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    deviation = a - mean(a, axis, keepdims=True)
    squares = sum_op(deviation * deviation, axis=axis, keepdims=keepdims)
    return squares / max(extent(a, axis) - ddof, 0)


@implements(np.std)
def std(a: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    return np.sqrt(var(a, axis, ddof, keepdims))


@implements(np.prod)
def prod(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """A product as a tree of multiplications, so that its derivatives are right where factors are
    zero: the two halves are multiplied until one factor is left."""
    shape = np.shape(a)
    reduced = reduced_axes(axis, len(shape))
    others = tuple(k for k in range(len(shape)) if k not in reduced)
    # (extent, *others)
    factors = np.reshape(
        np.transpose(a, reduced + others), (extent(a, axis), *(shape[k] for k in others))
    )
    while len(factors) > 1:
        half = len(factors) // 2
        rest = factors[2 * half :]
        factors = factors[:half] * factors[half : 2 * half]
        if len(rest):
            factors = np.concatenate([factors, rest])
    product = factors[0] if len(factors) else 1 + np.sum(factors, axis=0)
    return kept(product, a, axis, keepdims=False) if keepdims else product
