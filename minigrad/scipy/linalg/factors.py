"""Decompositions: of numpy.linalg in SciPy's form; LU, the polar one, and those of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg as sla

from minigrad.errors import ArgumentError, UnsupportedError
from minigrad.ops.base import Op
from minigrad.ops.linalg.factors import matrices, qr_op, qr_shapes
from minigrad.ops.linalg.factors import svd as svd_of
from minigrad.ops.linalg.matrix import (
    adjoint,
    by_gradients,
    from_triangle,
    identity,
    pack,
    real,
    single_or_double,
    swap,
    unpack,
)
from minigrad.ops.linalg.solving import solve, square
from minigrad.scipy.linalg.arguments import of_scipy, over_stack
from minigrad.scipy.linalg.equations import sylvester, triangular

# Cholesky


@of_scipy
def cholesky(a: Any, lower: bool = False) -> Any:
    """The triangular factor of a Hermitian matrix, of which it reads one triangle.

    >>> from minigrad import Tensor
    >>> cholesky(Tensor([[4.0, 2.0], [2.0, 5.0]]))
    Tensor([[2., 1.],
            [0., 2.]])
    """
    return np.linalg.cholesky(square("cholesky", a), upper=not lower)


@of_scipy
def cho_factor(a: Any, lower: bool = False) -> Any:
    """The factor in its triangle, with a's own entries in the other; for cho_solve.

    >>> from minigrad import Tensor
    >>> cho_factor(Tensor([[4.0, 2.0], [2.0, 5.0]]), lower=True)
    (Tensor([[2., 2.],
            [1., 2.]]), True)
    """
    a = square("cho_factor", a)
    rest = np.triu(a, 1) if lower else np.tril(a, -1)
    return np.linalg.cholesky(a, upper=not lower) + rest, lower


# LU: the rows of A in the order `perm` are L U. Which rows are exchanged does not change near A.


def lu_factor_of_array(x: np.ndarray) -> np.ndarray:
    """The rows that were exchanged, as floats, and L below and U above the diagonal: packed."""
    m, n = x.shape[-2:]

    def one(a: np.ndarray) -> np.ndarray:
        if not a.size:
            return np.zeros(0, a.dtype)
        lu, pivots = sla.lu_factor(a, check_finite=False)
        return pack([pivots.astype(a.dtype), lu], [(min(m, n),), (m, n)])

    return over_stack(one, x)


def permutation(pivots: np.ndarray, rows: int) -> np.ndarray:
    """The order (..., rows) into which exchanges of row k with row pivots[k] bring 0, 1, 2 ..."""
    order = np.array(np.broadcast_to(np.arange(rows), (*pivots.shape[:-1], rows)))
    for k in range(pivots.shape[-1]):
        other = pivots[..., k, None].astype(int)
        moved = np.take_along_axis(order, other, -1)
        np.put_along_axis(order, other, order[..., k, None], -1)
        order[..., k, None] = moved
    return order


permutation_op = Op("processing", "permutation", permutation, (), "permutation({0})")


def lu_rule(g: Any, y: Any, x: Any) -> Any:
    """With N = inv(L) dA inv(U): dL = L tril(N, -1) and dU = triu(N) U; the rows of a tall matrix
    below U's, and the columns of a wide one beside L's, are those of triangular systems."""
    m, n = x.shape[-2:]
    k = min(m, n)
    shapes = [(k,), (m, n)]
    (pivots, lu), (_, g) = unpack(y, shapes), unpack(g, shapes)
    lower, upper = lu[..., :k], lu[..., :k, :]
    gl, gu = np.tril(g, -1)[..., :k], np.triu(g)[..., :k, :]
    square_u, square_l, parts = upper[..., :k], lower[..., :k, :], []
    if m > n:
        below = swap(triangular(square_u, swap(gl[..., k:, :]), lower=False))
        gu = gu - swap(lower[..., k:, :]) @ below
    if n > m:
        beside = triangular(swap(square_l), gu[..., k:], lower=False, unit=True)
        gl = gl - beside @ swap(upper[..., k:])
    ones = np.tril(square_l, -1) + identity(square_l)
    inner = np.tril(swap(ones) @ gl[..., :k, :], -1)
    inner = inner + np.triu(gu[..., :k] @ swap(np.triu(square_u)))
    inner = triangular(swap(square_l), inner, lower=False, unit=True)
    core = swap(triangular(square_u, swap(inner), lower=False))
    parts = [core, below] if m > n else [core, beside] if n > m else [core]
    ordered = np.concatenate(parts, axis=-2 if m > n else -1)
    back = np.argsort(permutation_op(real(pivots), rows=m), axis=-1)
    return np.take_along_axis(ordered, back[..., None], axis=-2)


lu_factor_op = Op("processing", "lu_factor", lu_factor_of_array, (lu_rule,), "lu_factor({0})")


@of_scipy
def lu_factor(a: Any) -> Any:
    """L below the diagonal and U above it, (..., m, n), and the rows that were exchanged.

    >>> from minigrad import Tensor
    >>> lu_factor(Tensor([[1.0, 2.0], [2.0, 8.0]]))[0]
    Tensor([[ 2. ,  8. ],
            [ 0.5, -2. ]])
    """
    a = matrices("lu_factor", a)
    m, n = a.shape[-2:]
    pivots, lu = unpack(lu_factor_op(a), [(min(m, n),), (m, n)])
    return lu, np.astype(real(pivots), np.int32)


@of_scipy
def lu(a: Any, permute_l: bool = False, p_indices: bool = False) -> Any:
    """P, L and U, of which A is the product; or P L and U; or P as the order of L's rows.

    >>> from minigrad import Tensor
    >>> lu(Tensor([[1.0, 2.0], [2.0, 8.0]]), p_indices=True)[0]
    Tensor([1, 0], dtype=int32)
    """
    a = matrices("lu", a)
    m, n = a.shape[-2:]
    k = min(m, n)
    pivots, both = unpack(lu_factor_op(a), [(k,), (m, n)])
    order = np.argsort(permutation_op(real(pivots), rows=m), axis=-1)
    unit = np.eye(m, k, dtype=a.dtype)
    lower, upper = np.tril(both, -1)[..., :k] + unit, np.triu(both)[..., :k, :]
    if permute_l:
        return np.take_along_axis(lower, order[..., None], axis=-2), upper
    if p_indices:
        return np.astype(order, np.int32), lower, upper
    places = np.equal(order[..., None], np.arange(m))
    return np.astype(places, np.finfo(a.dtype).dtype), lower, upper


# QR


def pivots_of(x: np.ndarray) -> np.ndarray:
    if not x.size:
        return np.broadcast_to(np.arange(x.shape[-1]), (*x.shape[:-2], x.shape[-1]))
    return over_stack(lambda a: sla.qr(a, mode="r", pivoting=True, check_finite=False)[-1], x)


qr_pivots_op = Op("processing", "qr_pivots", pivots_of, (), "qr_pivots({0})")


@of_scipy
def qr(a: Any, mode: str = "full", pivoting: bool = False) -> Any:
    """Q and R; only R in mode 'r'; with `pivoting`, also the order of A's columns.

    >>> from minigrad import Tensor
    >>> qr(Tensor([[3.0], [4.0]]), mode="economic")[1]
    Tensor([[-5.]])
    """
    if mode not in ("full", "r", "economic"):
        raise ArgumentError(f"scipy.linalg.qr with mode={mode!r}: one of full, r and economic")
    a = matrices("qr", a)
    order: tuple[Any, ...] = ()
    if pivoting:
        order = (np.astype(qr_pivots_op(a), np.int32),)
        a = np.take_along_axis(a, order[0][..., None, :], axis=-1)
    complete = mode != "economic"
    q, r = unpack(qr_op(a, complete=complete), qr_shapes(a.shape, complete))
    return (r, *order) if mode == "r" else (q, r, *order)


# Singular values, and the polar decomposition


@of_scipy
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """U, s and V^H, as numpy.linalg.svd.

    >>> from minigrad import Tensor
    >>> svd(Tensor([[0.0, 2.0], [1.0, 0.0]]), compute_uv=False)
    Tensor([2., 1.])
    """
    found = svd_of(matrices("svd", a), full_matrices, compute_uv)
    return tuple(found) if compute_uv else found


@of_scipy
def svdvals(a: Any) -> Any:
    """The singular values, the largest first.

    >>> from minigrad import Tensor
    >>> svdvals(Tensor([[0.0, 2.0], [1.0, 0.0]]))
    Tensor([2., 1.])
    """
    return np.linalg.svdvals(matrices("svdvals", a))


def unitary_of_array(x: np.ndarray) -> np.ndarray:
    u, _, vh = np.linalg.svd(x, full_matrices=False)
    return u @ vh


@by_gradients
def unitary_rule(g: Any, w: Any, x: Any) -> Any:
    """With A = W P, dW = W X + (I - W W^H) dA inv(P), where P X + X P = W^H dA - dA^H W: right
    also where singular values coincide."""
    p = adjoint(w) @ x
    overlap = adjoint(w) @ g
    x_of = sylvester(p, p, overlap)
    outside = adjoint(solve(p, adjoint(g - w @ overlap)))
    return w @ (x_of - adjoint(x_of)) + outside


unitary_op = Op("processing", "unitary_factor", unitary_of_array, (unitary_rule,), "unitary({0})")


@of_scipy
def polar(a: Any, side: str = "right") -> Any:
    """U and P: A is U P, or for side='left' P U, with orthonormal columns or rows of U, and P
    positive semidefinite.

    >>> from minigrad import Tensor
    >>> polar(Tensor([[0.0, 2.0], [1.0, 0.0]]))[0]
    Tensor([[0., 1.],
            [1., 0.]])
    """
    if side not in ("left", "right"):
        raise ArgumentError(f"polar with side={side!r}: 'left' or 'right'")
    a = matrices("polar", a)
    wide = a.shape[-2] < a.shape[-1]
    u = adjoint(unitary_op(adjoint(a))) if wide else unitary_op(a)
    p = adjoint(u) @ a if side == "right" else a @ adjoint(u)
    return u, (p + adjoint(p)) / 2


# Eigenvalues


@of_scipy
def eigh(
    a: Any,
    b: Any = None,
    lower: bool = True,
    eigvals_only: bool = False,
    type: int = 1,
    subset_by_index: Any = None,
) -> Any:
    """Eigenvalues and eigenvectors of a Hermitian matrix, or of a pair: a v = w b v, or for type 2
    a b v = w v, or for type 3 b a v = w v, by the Cholesky factor of b.

    >>> from minigrad import grad
    >>> grad(lambda b: eigh(np.diag([1.0, 2.0]), b, eigvals_only=True)[0])(np.eye(2))
    array([[-1., 0.],
           [ 0., 0.]])
    """
    if type not in (1, 2, 3):
        raise ArgumentError(f"eigh with type={type}: 1, 2 or 3")
    a = square("eigh", a)
    if b is None:
        w, v = np.linalg.eigh(a, "L" if lower else "U")
    else:
        whole = from_triangle(a, lower)
        factor = np.linalg.cholesky(from_triangle(square("eigh", b), lower))
        if type == 1:
            half = triangular(factor, whole, lower=True)
            inner = adjoint(triangular(factor, adjoint(half), lower=True))
        else:
            inner = adjoint(factor) @ whole @ factor
        w, v = np.linalg.eigh(inner)
        v = factor @ v if type == 3 else triangular(adjoint(factor), v, lower=False)
    if subset_by_index is not None:
        first, last = subset_by_index
        w, v = w[..., first : last + 1], v[..., first : last + 1]
    return w if eigvals_only else (w, v)


@of_scipy
def eigvalsh(
    a: Any, b: Any = None, lower: bool = True, type: int = 1, subset_by_index: Any = None
) -> Any:
    """The eigenvalues that eigh gives.

    >>> from minigrad import Tensor
    >>> eigvalsh(Tensor([[0.0, 1.0], [1.0, 0.0]]))
    Tensor([-1.,  1.])
    """
    return eigh(a, b, lower=lower, eigvals_only=True, type=type, subset_by_index=subset_by_index)


@of_scipy
def eig(a: Any, b: Any = None, left: bool = False, right: bool = True) -> Any:
    """Complex eigenvalues, and the eigenvectors on the right; with b, of inv(b) @ a.

    >>> from minigrad import Tensor
    >>> eig(Tensor([[0.0, -1.0], [1.0, 0.0]]), right=False)
    Tensor([0.+1.j, 0.-1.j], dtype=complex128)
    """
    if left:
        raise UnsupportedError(
            "scipy.linalg.eig with left=True on a Tensor: those of the adjoint of a are the same, "
            "eig(a.conj().T)"
        )
    a = square("eig", a)
    w, v = np.linalg.eig(a if b is None else solve(square("eig", b), a))
    w = np.astype(w, np.result_type(w.dtype, np.complex64))
    return (w, v) if right else w


@of_scipy
def eigvals(a: Any, b: Any = None) -> Any:
    """The eigenvalues that eig gives.

    >>> from minigrad import Tensor
    >>> eigvals(Tensor([[0.0, -1.0], [1.0, 0.0]]))
    Tensor([0.+1.j, 0.-1.j], dtype=complex128)
    """
    return eig(single_or_double(a), b, right=False)
