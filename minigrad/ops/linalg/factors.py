"""Decompositions. Each is one op, whose result has the factors side by side: see `pack`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from minigrad.dispatch import implements, is_traced
from minigrad.errors import ArgumentError, LinAlgError, UnsupportedError
from minigrad.ops.base import Op, Shape
from minigrad.ops.linalg.matrix import (
    adjoint,
    apart,
    are_apart,
    are_zeros,
    by_gaps,
    by_gradients,
    conj,
    diagonal,
    factors,
    gaps,
    is_used,
    of_any_phase,
    of_diagonal,
    once,
    overlap_op,
    pack,
    part,
    ratio_op,
    real,
    result_class,
    single_or_double,
    to_triangle,
    unpack,
    without_rounding,
)
from minigrad.ops.linalg.solving import inv_op, solve, square
from minigrad.ops.movement import ALL, slice_op
from minigrad.tensor import value_of

processing = partial(Op, "processing")


def matrices(name: str, a: Any) -> Any:
    """a, a matrix or a stack of them, as floats."""
    a = single_or_double(a)
    if a.ndim < 2:
        raise LinAlgError(f"{name} of shape {a.shape}: it is of matrices, (..., m, n)")
    return a


# Cholesky: A = L L^H (I. Murray, "Differentiation of the Cholesky decomposition", 2016). It reads
# the lower triangle of A, and so has its gradient there.


@by_gradients
def cholesky_rule(g: Any, y: Any, x: Any) -> Any:
    inverse = inv_op(y, lower=True)
    half = np.tril(adjoint(y) @ g) * (np.ones_like(y) - np.eye(y.shape[-1], dtype=y.dtype) / 2)
    return to_triangle(adjoint(inverse) @ half @ inverse, lower=True)


cholesky_op: Op = processing("cholesky", np.linalg.cholesky, (cholesky_rule,), "cholesky({0})")


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    a = square("cholesky", a)
    return adjoint(cholesky_op(adjoint(a))) if upper else cholesky_op(a)


def of_first_columns(u: Any, g: Any, k: int) -> tuple[Any, Any]:
    """The first k columns of an orthonormal basis, and their gradient, from that of all columns.

    The others, U2, span what the first, U1, leave: dU2 = -U1 dU1^H U2. If they are two or more,
    any basis could be chosen, and they have no derivative: NaN, where the function uses them.
    """
    if u.shape[-1] == k:
        return u, g
    u1, u2, g1, g2 = u[..., :k], u[..., k:], g[..., :k], g[..., k:]
    gaps_of_choices = np.zeros(2 * u2.shape[-1:], np.finfo(u2.dtype).dtype)
    overlap = overlap_op(u2, g2, are_apart(gaps_of_choices))
    choices = by_gaps(overlap, gaps_of_choices, is_used(g2))
    choices = choices + of_any_phase(overlap, g2)
    return u1, g1 - u2 @ (adjoint(g2) @ u1) + np.sum(choices, axis=(-2, -1))[..., None, None]


# QR


def qr_shapes(shape: Shape, complete: bool) -> list[Shape]:
    m, n = shape[-2:]
    k = m if complete else min(m, n)
    return [(m, k), (k, n)]


def qr_of_array(x: Any, complete: bool) -> Any:
    mode: Any = "complete" if complete else "reduced"
    return pack(np.linalg.qr(x, mode), qr_shapes(x.shape, complete))


@by_gradients
def qr_rule(g: Any, y: Any, x: Any, complete: bool) -> Any:
    """H. Liao et al., "Differentiable programming tensor networks", 2019; of a wide matrix, by that
    of its first columns, of which Q is made."""
    m, n = x.shape[-2:]
    (q, r), (gq, gr) = (unpack(z, qr_shapes(x.shape, complete)) for z in (y, g))
    (q, gq), r, gr = of_first_columns(q, gq, min(m, n)), r[..., :n, :], gr[..., :n, :]
    if m < n:
        of_rest = q @ gr[..., m:]
        gq, r, gr = gq + x[..., m:] @ adjoint(gr[..., m:]), r[..., :m], gr[..., :m]
    inner = np.triu(gr @ adjoint(r) - adjoint(q) @ gq)
    inner = inner + adjoint(inner) - of_diagonal(real(diagonal(inner)).astype(inner.dtype))
    of_first = adjoint(solve(r, adjoint(gq + q @ inner)))
    return np.concatenate([of_first, of_rest], axis=-1) if m < n else of_first


qr_op: Op = processing("qr", qr_of_array, (qr_rule,), "qr({0})")


@implements(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    a = matrices("qr", a)
    if mode not in ("reduced", "complete", "r", "raw"):
        raise ArgumentError(f"qr with mode={mode!r}: one of reduced, complete, r and raw")
    if mode == "raw":
        raise UnsupportedError(
            "qr with mode='raw' on a Tensor: LAPACK's reflectors have no derivative here: use "
            "mode='reduced'"
        )
    complete = mode == "complete"
    q, r = factors(qr_op(a, complete=complete), qr_shapes(a.shape, complete))
    return r if mode == "r" else result_class(np.linalg.qr)(q, r)


# Singular values. With A = U S V^H and P = U^H dA V, dU = U X and dV = V Y:
#     X + Y = (P + P^H) / (s_j - s_i),    X - Y = (P - P^H) / (s_i + s_j),
# to which come, where U or V is not square, the parts outside of their columns.


def svd_shapes(shape: Shape, full: bool) -> list[Shape]:
    m, n = shape[-2:]
    k = min(m, n)
    return [(m, m if full else k), (k,), (n if full else k, n)]


def svd_of_array(x: Any, full: bool) -> Any:
    return pack(np.linalg.svd(x, full_matrices=full), svd_shapes(x.shape, full))


@by_gradients
def svd_rule(g: Any, y: Any, x: Any, full: bool) -> Any:
    m, n = x.shape[-2:]
    (u, s, vh), (gu, gs, gvh) = (unpack(z, svd_shapes(x.shape, full)) for z in (y, g))
    gs, k = real(gs), min(m, n)
    if are_zeros(gu, gvh):
        return (u[..., :k] * gs[..., None, :]) @ vh[..., :k, :]
    s = smooth_above_zero(real(s))
    u, gu = of_first_columns(u, gu, k)
    v, gv = of_first_columns(adjoint(vh), adjoint(gvh), k)
    between = gaps(s)
    u, v = once(u, between), once(v, between)
    apart = np.logical_and(are_apart(between), np.not_equal(s, 0))
    of_u, of_v = overlap_op(u, gu, apart), overlap_op(v, gv, apart)
    mean, half = (of_u + of_v) / 2, (of_u - of_v) / 2
    core = by_gaps(mean, between, np.logical_or(is_used(gu), is_used(gv)))
    sums = without_rounding(s[..., None, :] + s[..., :, None], s)
    core = core + adjoint(core) + ratio_op(half - adjoint(half), sums) + of_diagonal(gs)
    core = core + of_any_phase(mean, gu, gv)
    total = u @ core @ adjoint(v)
    lengths = s[..., None, :]
    if m > n:
        total = total + outside(u, ratio_op(gu, lengths), apart) @ adjoint(v)
    if n > m:
        total = total + u @ adjoint(outside(v, ratio_op(gv, lengths), apart))
    return total


def smooth_above_zero(s: Any) -> Any:
    """s, with 0 for what is rounding error, where a derivative by it would be NaN: the vectors of
    a singular value 0 turn with any change of the matrix."""
    above = np.not_equal(without_rounding(s, s), 0).astype(s.dtype)
    return ratio_op(s * above, above)


def outside(u: Any, x: Any, apart: Any) -> Any:
    """The part of x that is orthogonal to the columns of u."""
    return x - u @ overlap_op(u, x, apart)


svd_op: Op = processing("svd", svd_of_array, (svd_rule,), "svd({0})")


@implements(np.linalg.svd)
def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    if hermitian:
        u, s, vh = svd_by_eigenvalues(square("svd", a))
    else:
        a = matrices("svd", a)
        full = bool(full_matrices and compute_uv)
        packed, shapes = svd_op(a, full=full), svd_shapes(a.shape, full)
        if not compute_uv:
            s = real(part(packed, shapes, 1))
            return s if a.ndim == 2 else np.copy(s)
        u, s, vh = factors(packed, shapes)
    return result_class(np.linalg.svd)(u, real(s), vh) if compute_uv else real(s)


def svd_by_eigenvalues(a: Any) -> tuple[Any, Any, Any]:
    """The singular values of a Hermitian matrix are the sizes of its eigenvalues."""
    w, v = eigh(a)
    order = np.flip(np.argsort(np.abs(w), axis=-1), -1)
    w = np.take_along_axis(w, order, axis=-1)
    u = np.take_along_axis(v, order[..., None, :], axis=-1)
    signs = np.where(np.less(w, 0), -1, 1).astype(w.dtype)
    return u, np.abs(w), adjoint(u * signs[..., None, :])


@implements(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    return svd(x, compute_uv=False)


# Eigenvalues (..., n) and vectors (..., n, n): as rows of one array (..., 1 + n, n).


def in_rows(w: Any, v: Any) -> Any:
    return np.concatenate([w[..., None, :], v], axis=-2)


def values_of(y: Any) -> Any:
    """What was real beside complex vectors is complex."""
    return slice_op(y, index=(..., 0, ALL))


def values_and_vectors(y: Any) -> list[Any]:
    return [values_of(y), slice_op(y, index=(..., slice(1, None), ALL))]


# Eigenvalues of Hermitian matrices: A = V W V^H, and with P = V^H dA V, dV = V (P / (w_j - w_i))


def eigh_of_array(x: Any, lower: bool) -> Any:
    return in_rows(*np.linalg.eigh(x, "L" if lower else "U"))


@by_gradients
def eigh_rule(g: Any, y: Any, x: Any, lower: bool) -> Any:
    (w, v), (gw, gv) = values_and_vectors(y), values_and_vectors(g)
    w, gw = real(w), real(gw)
    if are_zeros(gv):
        return to_triangle((v * gw[..., None, :]) @ adjoint(v), lower)
    between = gaps(w)
    v = once(v, between)
    overlap = overlap_op(v, gv, are_apart(between))
    core = by_gaps(overlap, between, is_used(gv)) + of_diagonal(gw) + of_any_phase(overlap, gv)
    return to_triangle(v @ core @ adjoint(v), lower)


eigh_op: Op = processing("eigh", eigh_of_array, (eigh_rule,), "eigh({0})")


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:  # noqa: N803  # NumPy's name
    a = square("eigh", a)
    w, v = apart(values_and_vectors(eigh_op(a, lower=is_lower(UPLO))), a.ndim > 2)
    return result_class(np.linalg.eigh)(real(w), v)


def is_lower(uplo: Any) -> bool:
    if str(uplo).upper() not in ("L", "U"):
        raise ArgumentError(f"UPLO={uplo!r}: 'L' for the lower triangle of a, 'U' for the upper")
    return str(uplo).upper() == "L"


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:  # noqa: N803  # NumPy's name
    a = square("eigvalsh", a)
    w = real(values_of(eigh_op(a, lower=is_lower(UPLO))))
    return w if a.ndim == 2 else np.copy(w)


# Eigenvalues of any matrices: A = V W inv(V), each column of V of length 1


@by_gradients
def eig_rule(g: Any, y: Any, x: Any) -> Any:
    """M. Giles, "An extended collection of matrix derivative results", 2008, with the change that
    keeps the length of each vector."""
    (w, v), (gw, gv) = values_and_vectors(y), values_and_vectors(g)
    if are_zeros(gv):
        return solve(adjoint(v), gw[..., None] * adjoint(v))
    between = gaps(w)
    v = once(v, between)
    vh, overlap = adjoint(v), overlap_op(v, gv, are_apart(between))
    stretching = real(diagonal(overlap)).astype(v.dtype)[..., None, :]
    inner = overlap - (vh @ v) * stretching
    core = by_gaps(inner, conj(between), is_used(gv)) + of_diagonal(gw) + of_any_phase(overlap, gv)
    return solve(vh, core @ vh)


eig_op: Op = processing("eig", lambda x: in_rows(*np.linalg.eig(x)), (eig_rule,), "eig({0})")


@implements(np.linalg.eig)
def eig(a: Any) -> Any:
    a = square("eig", a)
    if is_traced(value_of(a)) and a.dtype.kind != "c":
        raise UnsupportedError(
            "np.linalg.eig of a real matrix, compiled or vmapped: whether the result is real or "
            "complex is not known before it runs: use a.astype(complex), or eigh where a is "
            "symmetric"
        )
    return result_class(np.linalg.eig)(*apart(values_and_vectors(eig_op(a)), a.ndim > 2))


@implements(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    return eig(a)[0]
