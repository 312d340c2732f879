"""Reduce ops: along an axis, several, or all; and what runs along an axis, cumsum."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from minigrad.dispatch import check_real, conj, implementations, implements
from minigrad.graph import INEXACT
from minigrad.methods import Axis
from minigrad.ops.base import Jacobian, Op, Rule, Shape


def reduce(
    name: str,
    forward: Callable[..., Any],
    vjp: Rule | None = None,
    *functions: Any,
    jacobian: Jacobian = "rows",
) -> Op:
    """An op that reduces `axis` (int, tuple, or None for all axes), with `keepdims`.

    It is registered under its name and NumPy functions.
    """
    notation = f"{name}({{0}}, axis={{axis}})"
    vjps = (vjp,) if vjp else ()
    op = Op("reduce", name, forward, vjps, notation, jacobian=jacobian)

    @implements(name, *functions)
    def function(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return op(a, axis=axis, keepdims=keepdims)

    return op


def axes_of(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes that `axis` (int, tuple, None for all, negative from the end) names, from 0."""
    if axis is None or ndim == 0:  # NumPy lets a number be reduced over axis 0
        return tuple(range(ndim))
    return normalize_axis_tuple(axis, ndim)


def expand_reduced(y: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """y with the axes that reducing x has removed put back at size 1, to broadcast against x."""
    if keepdims or (axis is None and y.ndim == 0):  # a number broadcasts as it is
        return y
    shape = x.shape
    removed = axes_of(axis, len(shape))
    return y.reshape(tuple(1 if k in removed else n for k, n in enumerate(shape)))


def broadcast(g: Any, shape: Shape) -> Any:
    """g broadcast to a shape; if it is one number, as for most losses, in a quarter of the time."""
    if issubclass(type(g), PLAIN) and g.size == 1:
        return np.ndarray(shape, g.dtype, g, 0, (0,) * len(shape))
    return np.broadcast_to(g, shape)


PLAIN = np.ndarray, np.generic


def divided_by_count(total: Any, x: Any) -> Any:
    """A reduction of x, divided by the number of entries that were reduced into each of its own."""
    return total / (x.size // max(total.size, 1))


def extremum_rule(g: Any, y: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """The cotangent of a maximum or minimum: to where x reaches it, in equal parts; of NaN, to
    where x is NaN."""
    there = np.logical_or(np.equal(x, expand_reduced(y, x, axis, keepdims)), np.not_equal(x, x))
    reached = there.astype(g.dtype)
    ties = np.sum(reached, axis=axis, keepdims=True)
    return reached * (expand_reduced(g, x, axis, keepdims) / ties)


# The dtypes in which np.mean accumulates, where they are wider than its input.
WIDER: dict[Any, Any] = {np.dtype(kind): float for kind in "?bhilqBHILQ"}
WIDER[np.dtype(np.float16)] = np.float32


def mean_of_array(x: Any, axis: Axis, keepdims: bool) -> Any:
    add: Any = np.add  # whose stubs know no keepdims that is not literal
    total = add.reduce(x, axis=axis, dtype=WIDER.get(x.dtype), keepdims=keepdims)
    mean = divided_by_count(total, x)
    return mean.astype(x.dtype) if x.dtype == np.float16 else mean


def products_of_others(factors: Any) -> Any:
    """For each factor along the first axis, the product of all others, without division, so that it
    is right where factors are zero: that of those before it times that of those after it."""
    one = np.ones_like(factors[:1])
    before = np.multiply.accumulate(np.concatenate([one, factors[:-1]]))
    after = np.multiply.accumulate(np.concatenate([one, factors[:0:-1]]))
    return before * after[::-1]


def product_rule(g: Any, y: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """The cotangent of a product: to each factor, times the product of the others."""
    shape = x.shape
    reduced = axes_of(axis, len(shape))
    order = reduced + tuple(k for k in range(len(shape)) if k not in reduced)
    moved = x.transpose(order)
    count = math.prod([shape[k] for k in reduced])
    found = products_of_others(moved.reshape((count, *moved.shape[len(reduced) :])))
    back = found.reshape(moved.shape).transpose(tuple(map(order.index, range(len(shape)))))
    return expand_reduced(g, x, axis, keepdims) * back


def norm_rule(g: Any, y: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """The cotangent of a length: x / length, and 0 where that is 0."""
    length = np.where(np.equal(y, 0), np.inf, y)
    return expand_reduced(g, x, axis, keepdims) * (
        conj(x) / expand_reduced(length, x, axis, keepdims)
    )


# softmax and log_softmax: the largest entry is subtracted once and never added back, which would
# round away the digits of the others.


def without_largest(x: Any, axis: Axis) -> Any:
    """x minus its largest entry; if all are -inf, unchanged."""
    check_real(x, float)
    x = x if x.dtype.kind == "f" else x.astype(float)
    largest = np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)
    return np.asarray(x - np.where(np.isneginf(largest), 0, largest))  # also of one number


def sum_of_products(x: Any, y: Any, axis: Axis) -> Any:
    """The sum of x*y along an axis, which is kept; of arrays and the last axis by BLAS."""
    if type(x) is type(y) is np.ndarray and axis in (-1, x.ndim - 1):
        return np.vecdot(x, y)[..., None]
    return sum_op(x * y, axis=axis, keepdims=True)


def sum_of_terms(terms: Any, axis: Axis) -> Any:
    """At least the 1 of the largest term, unless there is none."""
    if axis in (-1, terms.ndim - 1):
        return np.maximum(np.vecdot(terms, np.ones(terms.shape[-1], terms.dtype)), 1)[..., None]
    return np.maximum(np.add.reduce(terms, axis=axis, keepdims=True), 1)


def softmax_of_array(x: Any, axis: Axis) -> Any:
    x = without_largest(x, axis)  # a new array
    terms = np.exp(x, out=x)
    terms /= sum_of_terms(terms, axis)
    return terms


def log_softmax_of_array(x: Any, axis: Axis) -> Any:
    x = without_largest(x, axis)
    x -= np.log(sum_of_terms(np.exp(x), axis))
    return x


def logsumexp_of_array(x: Any, axis: Axis, keepdims: bool) -> Any:
    """log(sum(exp(x))) with the largest term taken out, so that nothing overflows."""
    check_real(x, float)
    x = x if x.dtype.kind == "f" else x.astype(float)
    largest = np.fmax.reduce(x, axis=axis, keepdims=True, initial=-np.inf)
    largest = np.where(np.isfinite(largest), largest, 0)
    total = np.sum(np.exp(x - largest), axis=axis, keepdims=keepdims)
    with np.errstate(divide="ignore"):  # log(0) = -inf is right for a sum of nothing
        return np.log(total) + np.reshape(largest, total.shape)


def logsumexp_rule(g: Any, y: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """The cotangent of logsumexp: by softmax, and of infinities in equal parts."""
    y = expand_reduced(y, x, axis, keepdims)
    terms = np.where(np.isinf(y), np.where(np.equal(x, y), 0, -np.inf), x)
    return expand_reduced(g, x, axis, keepdims) * softmax_op(terms, axis=axis)


sum_op = reduce(
    "sum",
    np.add.reduce,
    lambda g, y, x, axis, keepdims: broadcast(expand_reduced(g, x, axis, keepdims), x.shape),
    np.sum,
    jacobian="constant",
)
mean_op = reduce(
    "mean",
    mean_of_array,
    lambda g, y, x, axis, keepdims: broadcast(
        divided_by_count(expand_reduced(g, x, axis, keepdims), x), x.shape
    ),
    np.mean,
    jacobian="constant",
)
max_op = reduce("max", np.maximum.reduce, extremum_rule, np.max, np.amax)
min_op = reduce("min", np.minimum.reduce, extremum_rule, np.min, np.amin)
logsumexp_op = reduce(
    "logsumexp",
    logsumexp_of_array,
    logsumexp_rule,
)
prod_op = reduce("prod", np.multiply.reduce, product_rule, np.prod)
norm_op = reduce(
    "norm",
    lambda x, axis, keepdims: np.linalg.norm(x, axis=axis, keepdims=keepdims),
    norm_rule,
)
softmax_op = Op(
    "reduce",
    "softmax",
    softmax_of_array,
    (lambda g, y, x, axis: y * (g - sum_of_products(g, y, axis)),),
    "softmax({0}, axis={axis})",
    jacobian="symmetric",
)
log_softmax_op = Op(
    "reduce",
    "log_softmax",
    log_softmax_of_array,
    (lambda g, y, x, axis: g - np.exp(y) * sum_op(g, axis=axis, keepdims=True),),
    "log_softmax({0}, axis={axis})",
)
any_op = reduce("any", np.any, None, np.any)
all_op = reduce("all", np.all, None, np.all)
argmax_op = reduce("argmax", np.argmax, None, np.argmax)
argmin_op = reduce("argmin", np.argmin, None, np.argmin)
cumsum_op = reduce(
    "cumsum",
    np.cumsum,
    lambda g, y, x, axis: backwards(np.add.accumulate(backwards(g, axis), axis), axis),
    jacobian="constant",
)


def backwards(x: Any, axis: int) -> Any:
    return x[(*(slice(None),) * (axis % x.ndim), slice(None, None, -1))]


logsumexp = implementations["logsumexp"]


@implements(np.cumsum)
def cumsum(a: Any, axis: int | None = None) -> Any:
    if axis is None:
        a, axis = a if a.ndim == 1 else np.ravel(a), 0
    return cumsum_op(a, axis=axis)


def root(x: Any) -> Any:
    """The square root, with a derivative of 0 at 0."""
    zero = np.equal(x, 0)
    return np.where(zero, 0, np.sqrt(np.where(zero, 1, x)))


def variance(a: Any, axis: Axis, ddof: float, keepdims: bool) -> Any:
    a = a if a.dtype.kind in INEXACT else a.astype(float)
    deviation = a - divided_by_count(sum_op(a, axis=axis, keepdims=True), a)
    squares = sum_op(np.real(deviation * conj(deviation)), axis=axis, keepdims=keepdims)
    return squares / max(a.size // max(squares.size, 1) - ddof, 0)


def deviations(x: Any, y: Any, axis: Axis, ddof: float) -> Any:
    """The conjugates of x minus its mean, over the number of its entries less ddof."""
    count = max(x.size // max(y.size, 1) - ddof, 0)
    return conj(x - mean_op(x, axis=axis, keepdims=True)) / count


def var_rule(g: Any, y: Any, x: Any, axis: Axis, ddof: float, keepdims: bool) -> Any:
    return expand_reduced(2 * g, x, axis, keepdims) * deviations(x, y, axis, ddof)


def std_rule(g: Any, y: Any, x: Any, axis: Axis, ddof: float, keepdims: bool) -> Any:
    """As of the variance, over twice y; 0 where that is 0."""
    g = g / np.where(np.equal(y, 0), np.inf, y)
    return expand_reduced(g, x, axis, keepdims) * deviations(x, y, axis, ddof)


rows = partial(Op, "reduce", jacobian="rows")
var_op = rows("var", variance, (var_rule,), "var({0}, axis={axis}, ddof={ddof})")
std_op = rows(
    "std",
    lambda x, **how: np.sqrt(variance(x, **how)),
    (std_rule,),
    "std({0}, axis={axis}, ddof={ddof})",
)


@implements(np.var)
def var(a: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    return var_op(a, axis=axis, ddof=ddof, keepdims=keepdims)


@implements(np.std)
def std(a: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    return std_op(a, axis=axis, ddof=ddof, keepdims=keepdims)
