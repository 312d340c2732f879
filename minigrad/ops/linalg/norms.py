"""Norms of every order, condition numbers, ranks."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minigrad.dispatch import implements
from minigrad.errors import ArgumentError, LinAlgError, ShapeError
from minigrad.methods import Axis
from minigrad.ops.base import Op, Shape
from minigrad.ops.linalg.factors import svdvals
from minigrad.ops.linalg.matrix import inexact, single_or_double, swap
from minigrad.ops.linalg.solving import check_square
from minigrad.ops.movement import as_array, checked_axis
from minigrad.ops.reduce import norm_op
from minigrad.tensor import value_of

Reduction = Callable[..., Any]


def largest(x: Any, axis: Any) -> Any:
    """The largest of entries that are not negative; of none, 0."""
    reduce = np.max if x.shape[axis] else np.sum
    return reduce(x, axis=axis, keepdims=True)


smallest = partial(np.min, keepdims=True)
total = partial(np.sum, keepdims=True)


def power_norm(x: Any, p: float, axis: int) -> Any:
    """sum(|x|**p)**(1/p), with a derivative of 0 where that is 0."""
    powers = total(np.abs(x) ** p, axis=axis)
    zero = np.equal(powers, 0)
    return np.where(zero, 0.0 if p > 0 else np.inf, np.where(zero, 1.0, powers) ** (1 / p))


def number_of_others(x: Any, axis: int) -> Any:
    """How many entries are not 0, as a float."""
    return total(np.not_equal(x, 0).astype(np.abs(value_of(x)[:0]).dtype), axis=axis)


# Order -> the norm of vectors along an axis, which is kept at size 1.
VECTORS: dict[Any, Reduction] = {
    np.inf: lambda x, axis: largest(np.abs(x), axis),
    -np.inf: lambda x, axis: smallest(np.abs(x), axis=axis),
    0: number_of_others,
    1: lambda x, axis: total(np.abs(x), axis=axis),
    2: lambda x, axis: norm_op(x, axis=axis, keepdims=True),
    None: lambda x, axis: norm_op(x, axis=axis, keepdims=True),
}


def by_sums(along: int, pick: Reduction) -> Reduction:
    """The largest or the smallest of the sums of absolute values along rows or columns."""
    return lambda x: pick(total(np.abs(x), axis=along), axis=-3 - along)


def by_singular_values(pick: Reduction) -> Reduction:
    return lambda x: pick(svdvals(x), axis=-1)[..., None]


# Order -> the norm of matrices (..., m, n), of shape (..., 1, 1).
MATRICES: dict[Any, Reduction] = {
    **dict.fromkeys((None, "fro", "f"), lambda x: norm_op(x, axis=(-2, -1), keepdims=True)),
    1: by_sums(-2, largest),
    -1: by_sums(-2, smallest),
    np.inf: by_sums(-1, largest),
    -np.inf: by_sums(-1, smallest),
    2: by_singular_values(largest),
    -2: by_singular_values(smallest),
    "nuc": by_singular_values(total),
}


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    x = inexact(x)
    if axis is None and (ord is None or (ord in ("f", "fro") and x.ndim == 2)):
        return norm_op(x, axis=None, keepdims=keepdims)
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(checked_axis(x, k) for k in axes)
    if len(axes) == 1:
        kept = of_vectors(x, ord, axes[0])
    elif len(axes) == 2 and axes[0] != axes[1]:
        kept = of_matrices(x, ord, axes)
    else:
        raise ShapeError(
            f"norm with axis={axis} of shape {x.shape}: over one axis, of vectors, or two that "
            "differ, of matrices; np.linalg.vector_norm is over any"
        )
    return kept if keepdims else np.squeeze(kept, axes)


def of_vectors(x: Any, ord: Any, axis: int) -> Any:
    if isinstance(ord, str):
        raise ArgumentError(f"norm of vectors with ord={ord!r}: it is a number, or None")
    return VECTORS[ord](x, axis) if ord in VECTORS else power_norm(x, ord, axis)


def of_matrices(x: Any, ord: Any, axes: Shape) -> Any:
    if ord not in MATRICES:
        raise ArgumentError(
            f"norm of matrices with ord={ord!r}: one of 1, -1, 2, -2, inf, -inf, 'fro', 'nuc'; "
            "np.linalg.vector_norm is that of all entries, of any order"
        )
    if axes == (x.ndim - 2, x.ndim - 1):
        return MATRICES[ord](x)
    return np.moveaxis(MATRICES[ord](np.moveaxis(x, axes, (-2, -1))), (-2, -1), axes)


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Axis = None, keepdims: bool = False, ord: Any = 2) -> Any:
    x = inexact(x)
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(checked_axis(x, k) for k in axes)
    others = tuple(k for k in range(x.ndim) if k not in axes)
    size = math.prod(x.shape[k] for k in axes)
    flat = np.reshape(np.transpose(x, (*axes, *others)), (size, *(x.shape[k] for k in others)))
    found = of_vectors(flat, ord, 0)[0]
    if not keepdims:
        return found
    return np.reshape(found, tuple(1 if k in axes else n for k, n in enumerate(x.shape)))


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return norm(x, ord, (-2, -1), keepdims)


def inverse_or_nan(x: Any) -> Any:
    """The inverse of each matrix; of those that have none, NaN."""
    try:
        return np.linalg.inv(x)
    except np.linalg.LinAlgError:
        if x.ndim == 2:
            return np.full(x.shape, np.nan, x.dtype)
        return np.stack([inverse_or_nan(each) for each in x])


inverse_or_nan_op = Op(
    "processing",
    "inverse_or_nan",
    inverse_or_nan,
    (lambda g, y, x: -(swap(y) @ g @ swap(y)),),
    "inv({0})",
)


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    x = single_or_double(x)
    if x.ndim < 2 or 0 in x.shape[-2:]:
        raise LinAlgError(f"cond of shape {x.shape}: it is of matrices that are not empty")
    with np.errstate(divide="ignore", invalid="ignore"):
        if p in (None, 2, -2):
            s = svdvals(x)
            number = s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
        else:
            check_square("cond", x)
            number = norm(x, p, (-2, -1)) * norm(inverse_or_nan_op(x), p, (-2, -1))
    # Of a singular matrix it is infinite; of one with NaN, NaN.
    singular = np.logical_and(np.isnan(number), ~np.any(np.isnan(x), axis=(-2, -1)))
    return np.where(singular, np.inf, number)


matrix_rank_op: Op = Op(
    "processing",
    "matrix_rank",
    lambda x, **how: np.linalg.matrix_rank(x, **how),
    (),
    "matrix_rank({0})",
)


@implements(np.linalg.matrix_rank)
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:  # noqa: N803  # NumPy's name
    if tol is not None and rtol is not None:
        raise ArgumentError("matrix_rank with tol and rtol: give one")
    how = {"tol": value_of(tol), "hermitian": bool(hermitian)}
    if rtol is not None:
        how |= {"rtol": value_of(rtol)}
    return matrix_rank_op(as_array(A), **how)
