"""What rules of linear algebra share: adjoints, packed results, triangles, quotients of gaps."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.dispatch import conj as conj
from minigrad.errors import DtypeError
from minigrad.ops.base import Domain, Op, Rule, Shape
from minigrad.ops.movement import as_array, copy_in_c_order, reshape_op, slice_op
from minigrad.ops.processing import swap as swap

real: Any = np.real  # of real numbers, they themselves


def adjoint(x: Any) -> Any:
    """The conjugate transpose of every matrix in a stack."""
    return swap(conj(x))


def inexact(x: Any) -> Any:
    """x as np.linalg computes with it: integers and booleans as float64."""
    x = as_array(x)
    return x.astype(float) if x.dtype.kind in "biu" else x


def single_or_double(x: Any) -> Any:
    """x as LAPACK computes with it.

    Raises:
        DtypeError: in half precision, which it lacks.
    """
    x = inexact(x)
    if x.dtype.char == "e":
        raise DtypeError(
            f"a matrix of shape {x.shape} of float16: linear algebra is in single and double "
            "precision, use x.astype(np.float32)"
        )
    return x


def by_gradients(rule: Rule) -> Rule:
    """A rule that is written for gradients, as one for cotangents, their conjugates; of matrices
    without entries, nothing."""

    @functools.wraps(rule)
    def of_cotangents(g: Any, y: Any, x: Any, **how: Any) -> Any:
        if 0 in x.shape[-2:]:
            return np.zeros_like(x)
        return conj(rule(conj(g), y, x, **how))

    return of_cotangents


# Several results side by side, flattened, along the last axis of one


def pack(parts: Sequence[Any], shapes: Sequence[Shape]) -> Any:
    """Arrays of shapes (*stack, *shape) as one, of shape (*stack, total of the sizes)."""
    stack = parts[0].shape[: parts[0].ndim - len(shapes[0])]
    flat = [x.reshape((*stack, math.prod(s))) for x, s in zip(parts, shapes, strict=True)]
    return np.concatenate(flat, axis=-1)


def part(y: Any, shapes: Sequence[Shape], k: int) -> Any:
    """One of the arrays that were packed. What was real beside complex ones is complex."""
    start = sum(map(math.prod, shapes[:k]))
    flat = slice_op(y, index=(..., slice(start, start + math.prod(shapes[k]))))
    return flat if len(shapes[k]) == 1 else reshape_op(flat, shape=(*y.shape[:-1], *shapes[k]))


def unpack(y: Any, shapes: Sequence[Shape]) -> list[Any]:
    """All the arrays that were packed."""
    return [part(y, shapes, k) for k in range(len(shapes))]


def factors(y: Any, shapes: Sequence[Shape]) -> list[Any]:
    """The same, for the user."""
    return apart(unpack(y, shapes), y.ndim > 1)


def apart(parts: list[Any], stacked: bool) -> list[Any]:
    """Arrays that were packed, each in memory of its own, as NumPy's, so that reshaping is a view.
    Of one matrix they are without being copied."""
    return [copy_in_c_order(x) for x in parts] if stacked else parts


@functools.cache
def result_class(function: Callable[..., Any]) -> Callable[..., Any]:
    """The named tuple that a function of np.linalg returns."""
    return type(function(np.eye(1)))


# Triangles and diagonals


def diagonal(x: Any) -> Any:
    """(..., n, n) -> (..., n)."""
    return np.diagonal(x, 0, -2, -1)


def identity(x: Any) -> np.ndarray:
    """The identity matrix of the size of the last axis, in the dtype of x."""
    return np.eye(x.shape[-1], dtype=x.dtype)


def of_diagonal(d: Any) -> Any:
    """(..., n) -> (..., n, n) with zeros beside the diagonal."""
    return d[..., None] * identity(d)


def off_diagonal(x: Any) -> Any:
    """x with zeros on the diagonal: zeros also in the place of NaN."""
    return np.where(np.eye(x.shape[-1], dtype=bool), 0, x)


def from_triangle(a: Any, lower: bool) -> Any:
    """The Hermitian matrix that has the entries of a in one triangle."""
    half, step = (np.tril, -1) if lower else (np.triu, 1)
    strict = half(a, step)
    return strict + adjoint(strict) + of_diagonal(real(diagonal(a)))


def to_triangle(g: Any, lower: bool) -> Any:
    """The gradient of the triangle, from that of the Hermitian matrix it stands for: each entry
    beside the diagonal stands for two."""
    both = g + adjoint(g)
    strict = np.tril(both, -1) if lower else np.triu(both, 1)
    return strict + of_diagonal(real(diagonal(g)).astype(g.dtype))


# Where eigenvalues coincide


def ratio_of_arrays(x: Any, d: Any) -> Any:
    zero = np.equal(d, 0)
    y = np.divide(x, np.where(zero, np.ones_like(d), d))
    return np.where(zero & np.not_equal(x, 0), np.asarray(np.nan, y.dtype), y)


# x / d, where 0/0 is 0, and x/0 is NaN. Of gaps d between eigenvalues: where they coincide, their
# vectors have no derivative, and only a function that does not use them has one.
ratio_op: Op = Op(
    "binary",
    "ratio",
    ratio_of_arrays,
    (lambda g, y, x, d: ratio_op(g, d), lambda g, y, x, d: -ratio_op(g * y, d)),
    "{0} / {1}",
    domains=(Domain(), Domain(0.5, 2.0)),
    broadcasts=True,
)


def is_used(g: Any) -> Any:
    """Whether a function depends on each vector, (..., n), of the gradient by them, (..., m, n)."""
    return np.any(np.not_equal(g, 0), axis=-2)


def are_zeros(*gradients: Any) -> bool:
    """Whether all are arrays of zeros: their part of a rule need not be computed. In a recorded
    pass, whatever they are now, they have derivatives."""
    return all(type(g) is np.ndarray and not g.any() for g in gradients)


def overlap_rule(h: Any, y: Any, v: Any, g: Any, apart: Any) -> Any:
    """The cotangent of v; nothing from vectors that are not used and whose values coincide with
    others, where h may be NaN."""
    there = np.logical_or(is_used(g), apart)
    return conj(g) @ adjoint(np.where(there[..., None, :], h, 0))


# V^H G, of vectors, the gradient by them, and whether the value of each differs from all others.
overlap_op: Op = Op(
    "processing",
    "overlap",
    lambda v, g, apart: adjoint(v) @ g,
    (overlap_rule, lambda h, y, v, g, apart: conj(v) @ h, None),
    "overlap({0}, {1})",
    domains=(Domain(), Domain()),
)


ROUNDING = 64  # of values that coincide, in units of the last place of the largest


def without_rounding(d: Any, values: Any) -> Any:
    """d, with 0 for what is rounding error of these eigenvalues or singular values (..., n)."""
    eps = ROUNDING * float(np.finfo(values.dtype).eps)
    largest = np.max(np.abs(values), axis=-1)
    largest = np.reshape(largest, (*largest.shape, *(1,) * (d.ndim - largest.ndim)))
    return np.where(np.less_equal(np.abs(d), eps * largest), 0, d)


def gaps(values: Any) -> Any:
    """(..., n) -> (..., n, n): value j minus value i, and 0 for all that is rounding error."""
    return without_rounding(values[..., None, :] - values[..., :, None], values)


def are_apart(d: Any) -> Any:
    """Whether each value differs from all others (..., n), from their gaps (..., n, n)."""
    among = np.logical_and(np.equal(d, 0), ~np.eye(d.shape[-1], dtype=bool))
    return np.logical_not(np.any(among, axis=-1))


def by_gaps(overlap: Any, d: Any, used: Any) -> Any:
    """V^H G (..., n, n) by the gaps between values, and 0 on the diagonal; where there is no gap,
    NaN, if vector j is used (..., n), and 0 if not."""
    among = np.logical_and(np.equal(d, 0), ~np.eye(d.shape[-1], dtype=bool))
    lost = np.where(np.logical_and(among, used[..., None, :]), np.nan, 0.0)
    return ratio_op(off_diagonal(overlap), d) + lost.astype(overlap.dtype)


# The vectors, in a rule: where their values coincide, they have no derivative there.
once_op: Op = Op(
    "processing",
    "once",
    lambda v, apart: np.positive(v),
    (lambda g, y, v, apart: np.where(apart[..., None, :], g, np.nan).astype(g.dtype), None),
    "once({0})",
    jacobian="symmetric",
)


def once(v: Any, d: Any) -> Any:
    """Vectors (..., m, n) of a rule for first derivatives, of values with gaps d (..., n, n). A
    second derivative by those that coincide is NaN, even if the first did not depend on them: that
    may be so only here, as of a sum of squares at 0."""
    return v if type(v) is np.ndarray else once_op(v, are_apart(d))  # an array: nothing is recorded


def of_any_phase(overlap: Any, *gradients: Any) -> Any:
    """A diagonal matrix: 0 for each vector whose phase the function does not depend on, NaN
    for the others.

    `overlap` is V^H G (..., n, n), of the gradients (..., m, n) by the vectors. If vector i is
    turned by a phase, the function changes by the imaginary part of entry (i, i).
    """
    if overlap.dtype.kind != "c":
        return np.zeros((), overlap.dtype)
    turning = np.abs(np.imag(diagonal(overlap)))
    size = sum(np.max(np.abs(g), axis=(-2, -1)) for g in gradients)
    rounding = float(np.finfo(overlap.dtype).eps) ** 0.5
    small = np.less_equal(turning, rounding * size[..., None])
    return of_diagonal(np.where(small, 0.0, np.nan).astype(overlap.dtype))
