"""Ops of triangular, banded and Sylvester's equations: each has its own transpose for a rule.

They are holomorphic, and their rules are those of real numbers, without a conjugate.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import scipy.linalg as sla

from minigrad.dispatch import conj
from minigrad.ops.base import Domain, Op
from minigrad.ops.linalg.matrix import real, swap
from minigrad.scipy.linalg.arguments import over_stack

processing = partial(Op, "processing", domains=(Domain(), Domain()))


# Triangles


def triangular_of_arrays(a: np.ndarray, b: np.ndarray, lower: bool, unit: bool) -> np.ndarray:
    def one(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        if not b.size:
            return np.zeros(b.shape, np.result_type(a, b))
        how: dict[str, Any] = {"lower": lower, "unit_diagonal": unit, "check_finite": False}
        return sla.solve_triangular(a, b, **how)

    return over_stack(one, a, b)


def triangle(x: Any, lower: bool, unit: bool) -> Any:
    return np.tril(x, -1 if unit else 0) if lower else np.triu(x, 1 if unit else 0)


def triangular(a: Any, b: Any, lower: bool, unit: bool = False) -> Any:
    """The solution of a triangle of a (..., n, n), times it, equal to b (..., n, k)."""
    return triangular_op(a, b, lower=lower, unit=unit)


def summed_over_stack(x: Any, like: Any) -> Any:
    """A cotangent, summed over the axes of a stack that its input was broadcast along."""
    lead = x.ndim - like.ndim
    axes = [k for k in range(x.ndim) if k < lead or (like.shape[k - lead] == 1 < x.shape[k])]
    return np.reshape(np.sum(x, axis=tuple(axes)), like.shape) if axes else x


triangular_op: Op = processing(
    "solve_triangular",
    triangular_of_arrays,
    (
        lambda g, y, a, b, lower, unit: summed_over_stack(
            -triangle(triangular(swap(a), g, not lower, unit) @ swap(y), lower, unit), a
        ),
        lambda g, y, a, b, lower, unit: summed_over_stack(
            triangular(swap(a), g, not lower, unit), b
        ),
    ),
    "solve_triangular({0}, {1})",
)


# Sylvester's equation A X + X B = Q, of [[A, Q], [0, B]], so that one is solved for all cotangents


def sylvester_of_array(x: np.ndarray, m: int) -> np.ndarray:
    def one(x: np.ndarray) -> np.ndarray:
        a, q, b = x[:m, :m], x[:m, m:], x[m:, m:]
        return sla.solve_sylvester(a, b, q) if q.size else np.zeros_like(q)

    return over_stack(one, x).astype(x.dtype)


def sylvester_rule(g: Any, y: Any, x: Any, m: int) -> Any:
    of_q = sylvester(swap(x[..., :m, :m]), swap(x[..., m:, m:]), g)
    upper = np.concatenate([-(of_q @ swap(y)), of_q], axis=-1)
    of_b = -(swap(y) @ of_q)
    lower = np.concatenate([np.zeros_like(swap(of_q)), of_b], axis=-1)
    return np.concatenate([upper, lower], axis=-2)


sylvester_op: Op = Op(
    "processing", "solve_sylvester", sylvester_of_array, (sylvester_rule,), "solve_sylvester({0})"
)


def sylvester(a: Any, b: Any, q: Any) -> Any:
    """X (..., m, n) with a X + X b = q, a (..., m, m), b (..., n, n)."""
    m, n = q.shape[-2:]
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2], q.shape[:-2])
    if stack != ():
        a, b, q = (np.broadcast_to(x, stack + x.shape[-2:]) for x in (a, b, q))
    upper = np.concatenate([a, q], axis=-1)
    zeros = np.zeros((*stack, n, m), b.dtype)
    lower = np.concatenate([zeros, b], axis=-1)
    return sylvester_op(np.concatenate([upper, lower], axis=-2), m=m)


# Bands: entry (i, j) of A is entry (u + i - j, j) of its bands (l + u + 1, n).


def banded_of_arrays(ab: np.ndarray, b: np.ndarray, lower: int, upper: int) -> np.ndarray:
    def one(ab: np.ndarray, b: np.ndarray) -> np.ndarray:
        if not b.size:
            return np.zeros(b.shape, np.result_type(ab, b))
        return sla.solve_banded((lower, upper), ab, b, check_finite=False)

    return over_stack(one, ab, b)


def transposed_bands(ab: Any, lower: int, upper: int) -> Any:
    """The bands of A.T: `upper` of them below the diagonal, and `lower` above it."""
    n = ab.shape[-1]
    rows, columns = np.ogrid[: lower + upper + 1, :n]
    source = columns + rows - lower
    inside = (source >= 0) & (source < n)
    picked = ab[..., lower + upper - rows, np.clip(source, 0, n - 1)]
    return np.where(inside, picked, 0)


def bands_of_product(x: Any, y: Any, lower: int, upper: int) -> Any:
    """The bands of the matrix x @ y.T, which is not formed; x and y (..., n, k)."""
    n = x.shape[-2]
    rows, columns = np.ogrid[: lower + upper + 1, :n]
    source = columns + rows - upper
    inside = (source >= 0) & (source < n)
    picked = x[..., np.clip(source, 0, n - 1), :] * y[..., None, :, :]
    return np.where(inside, np.sum(picked, axis=-1), 0)


def banded_rule(g: Any, y: Any, ab: Any, lower: int, upper: int) -> Any:
    return banded_op(transposed_bands(ab, lower, upper), g, lower=upper, upper=lower)


banded_op: Op = processing(
    "solve_banded",
    banded_of_arrays,
    (
        lambda g, y, ab, b, **how: summed_over_stack(
            -bands_of_product(banded_rule(g, y, ab, **how), y, **how), ab
        ),
        lambda g, y, ab, b, **how: summed_over_stack(banded_rule(g, y, ab, **how), b),
    ),
    "solve_banded({0}, {1})",
)


# Those below the diagonal of a Hermitian matrix, which is positive definite


def hermitian_banded_of_arrays(ab: np.ndarray, b: np.ndarray) -> np.ndarray:
    def one(ab: np.ndarray, b: np.ndarray) -> np.ndarray:
        if not b.size:
            return np.zeros(b.shape, np.result_type(ab, b))
        return sla.solveh_banded(ab, b, lower=True, check_finite=False)

    return over_stack(one, ab, b)


def hermitian_bands_rule(g: Any, y: Any, ab: Any, b: Any) -> Any:
    """An entry below the diagonal stands for its conjugate above it too."""
    of_b, width = hermitian_banded_op(conj(ab), g), ab.shape[-2] - 1
    below = bands_of_product(of_b, y, lower=width, upper=0)
    above = bands_of_product(y, of_b, lower=width, upper=0)
    beside = np.arange(width + 1)[:, None] > 0
    return summed_over_stack(
        -np.where(beside, below + conj(above), real(below).astype(ab.dtype)), ab
    )


hermitian_banded_op: Op = processing(
    "solveh_banded",
    hermitian_banded_of_arrays,
    (
        hermitian_bands_rule,
        lambda g, y, ab, b: summed_over_stack(hermitian_banded_op(conj(ab), g), b),
    ),
    "solveh_banded({0}, {1})",
)
