"""Linear systems, equations of matrices, and what numpy.linalg has, in SciPy's form."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.dispatch import conj, is_traced
from minigrad.errors import ArgumentError, LinAlgError, UnsupportedError
from minigrad.methods import Axis
from minigrad.ops.linalg import solving
from minigrad.ops.linalg.matrix import adjoint, from_triangle, single_or_double, swap
from minigrad.ops.linalg.norms import norm as norm_of
from minigrad.ops.linalg.solving import square
from minigrad.ops.movement import as_array
from minigrad.scipy.linalg.arguments import as_columns, of_scipy
from minigrad.scipy.linalg.equations import banded_op, hermitian_banded_op, sylvester, triangular
from minigrad.scipy.linalg.factors import permutation_op
from minigrad.scipy.linalg.special_matrices import circulant, toeplitz_of
from minigrad.tensor import value_of

# Of triangles and factors

TRANSPOSED = {0: 0, "N": 0, 1: 1, "T": 1, 2: 2, "C": 2}


def transposition(name: str, trans: Any) -> int:
    if trans not in TRANSPOSED:
        raise ArgumentError(f"{name} with trans={trans!r}: one of {[*TRANSPOSED]}")
    return TRANSPOSED[trans]


@of_scipy
def solve_triangular(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False
) -> Any:
    """The solution of a triangle of a (..., n, n), or its transpose, times x, equal to b.

    >>> from minigrad import Tensor
    >>> solve_triangular(Tensor([[2.0, 0.0], [1.0, 1.0]]), np.array([4.0, 3.0]), lower=True)
    Tensor([2., 1.])
    """
    a, b = square("solve_triangular", a), single_or_double(b)
    columns, vector = as_columns("solve_triangular", a, b)
    turned = transposition("solve_triangular", trans)
    a = (a, swap(a), adjoint(a))[turned] if turned else a
    x = triangular(a, columns, lower != bool(turned), unit_diagonal)
    return x[..., 0] if vector else x


@of_scipy
def cho_solve(c_and_lower: Any, b: Any) -> Any:
    """The solution of a x = b, from what cho_factor gives for a.

    >>> from minigrad import grad
    >>> import minigrad.scipy.linalg as sla
    >>> grad(lambda a: cho_solve(sla.cho_factor(a), np.ones(1))[0])(np.array([[2.0]]))
    array([[-0.25]])
    """
    c, lower = c_and_lower
    c, b = square("cho_solve", c), single_or_double(b)
    columns, vector = as_columns("cho_solve", c, b)
    first, second = (c, adjoint(c)) if lower else (adjoint(c), c)
    x = triangular(second, triangular(first, columns, lower=True), lower=False)
    return x[..., 0] if vector else x


@of_scipy
def lu_solve(lu_and_piv: Any, b: Any, trans: Any = 0) -> Any:
    """The solution of a x = b, or of a.T or its adjoint, from what lu_factor gives for a.

    >>> from minigrad import Tensor
    >>> import minigrad.scipy.linalg as sla
    >>> lu_solve(sla.lu_factor(Tensor([[1.0, 2.0], [2.0, 8.0]])), np.array([3.0, 10.0]))
    Tensor([1., 1.])
    """
    lu, pivots = lu_and_piv
    lu, b = square("lu_solve", lu), single_or_double(b)
    columns, vector = as_columns("lu_solve", lu, b)
    turned = transposition("lu_solve", trans)
    order = permutation_op(as_array(pivots), rows=lu.shape[-1])
    if not turned:
        ordered = in_order(columns, order)
        half = triangular(lu, ordered, lower=True, unit=True)
        x = triangular(lu, half, lower=False)
    else:
        turned_lu = swap(lu) if turned == 1 else adjoint(lu)
        half = triangular(turned_lu, columns, lower=True)
        half = triangular(turned_lu, half, lower=False, unit=True)
        x = in_order(half, np.argsort(order, axis=-1))
    return x[..., 0] if vector else x


def in_order(x: Any, order: Any) -> Any:
    """The rows of x (..., n, k) in an order (..., n)."""
    stack = np.broadcast_shapes(x.shape[:-2], order.shape[:-1])
    x = np.broadcast_to(x, stack + x.shape[-2:])
    places = np.broadcast_to(order, stack + order.shape[-1:])
    return np.take_along_axis(x, places[..., None], axis=-2)


# Of matrices of a kind

STRUCTURES = (
    "diagonal tridiagonal banded sym her pos gen general symmetric hermitian positive_definite"
).split()


@of_scipy
def solve(
    a: Any, b: Any, lower: bool = False, assume_a: str | None = None, transposed: bool = False
) -> Any:
    """The solution of a x = b; of a matrix that is assumed to be of a kind, a part is read.

    >>> from minigrad import Tensor
    >>> solve(Tensor([[2.0, 9.0], [0.0, 4.0]]), np.array([2.0, 4.0]), assume_a="diagonal")
    Tensor([1., 1.])
    """
    a, b = square("solve", a), single_or_double(b)
    columns, vector = as_columns("solve", a, b)
    kind = (assume_a or "gen").replace(" ", "_")
    if kind in ("pos", "positive_definite"):
        if transposed:
            a = swap(a)
            lower = not lower
        factor = np.linalg.cholesky(a, upper=not lower)
        x = cho_solve((factor, lower), columns)
    elif kind in ("upper_triangular", "lower_triangular"):
        below = (kind == "lower_triangular") != transposed
        x = triangular(swap(a) if transposed else a, columns, below)
    else:
        if kind not in STRUCTURES:
            raise ArgumentError(f"solve with assume_a={assume_a!r}: {kind!r} is no kind of matrix")
        whole = of_kind(a, kind, lower)
        x = solving.solve(swap(whole) if transposed else whole, columns)
    return x[..., 0] if vector else x


def of_kind(a: Any, kind: str, lower: bool) -> Any:
    """The matrix of a kind that part of a stands for."""
    if kind == "diagonal":
        return np.tril(np.triu(a))
    if kind == "tridiagonal":
        return np.tril(np.triu(a, -1), 1)
    if kind in ("her", "hermitian"):
        return from_triangle(a, lower)
    if kind in ("sym", "symmetric"):
        strict = np.tril(a, -1) if lower else np.triu(a, 1)
        return strict + swap(strict) + np.tril(np.triu(a))
    return a


@of_scipy
def solve_banded(l_and_u: Any, ab: Any, b: Any) -> Any:
    """The solution of a x = b, of the bands of a, (l + u + 1, n), as SciPy stores them.

    >>> from minigrad import grad
    >>> bands = np.array([[0.0, 1.0], [2.0, 2.0]])
    >>> grad(lambda ab: solve_banded((0, 1), ab, np.ones(2))[0])(bands)[1]
    array([-0.125,  0.125])
    """
    lower, upper = map(int, l_and_u)
    ab, b = single_or_double(ab), single_or_double(b)
    if ab.ndim < 2 or ab.shape[-2] != lower + upper + 1:
        raise LinAlgError(
            f"solve_banded of bands of shape {ab.shape}: {lower} below the diagonal and {upper} "
            f"above it are {lower + upper + 1} rows"
        )
    columns, vector = as_columns("solve_banded", ab, b)
    x = banded_op(ab, columns, lower=lower, upper=upper)
    return x[..., 0] if vector else x


@of_scipy
def solveh_banded(ab: Any, b: Any, lower: bool = False) -> Any:
    """The solution of a x = b, of the bands of a Hermitian positive definite matrix, those above
    the diagonal or those below it.

    >>> from minigrad import Tensor
    >>> solveh_banded(Tensor([[0.0, 1.0], [2.0, 2.0]]), np.array([3.0, 3.0]))
    Tensor([1., 1.])
    """
    ab, b = single_or_double(ab), single_or_double(b)
    if ab.ndim < 2:
        raise LinAlgError(f"solveh_banded of bands of shape {ab.shape}: they are (rows, n)")
    columns, vector = as_columns("solveh_banded", ab, b)
    x = hermitian_banded_op(ab if lower else lower_bands(ab), columns)
    return x[..., 0] if vector else x


def lower_bands(ab: Any) -> Any:
    """Those below the diagonal, of those above it, of a Hermitian matrix."""
    width, n = ab.shape[-2] - 1, ab.shape[-1]
    rows, columns = np.ogrid[: width + 1, :n]
    inside = columns + rows < n
    return np.where(inside, conj(ab[..., width - rows, np.clip(columns + rows, 0, n - 1)]), 0)


@of_scipy
def solve_toeplitz(c_or_cr: Any, b: Any) -> Any:
    """The solution of toeplitz(c, r) x = b, by the full matrix.

    >>> from minigrad import Tensor
    >>> solve_toeplitz(Tensor([2.0, 1.0]), np.array([3.0, 3.0]))
    Tensor([1., 1.])
    """
    a, b = square("solve_toeplitz", toeplitz_of(c_or_cr)), single_or_double(b)
    if not b.ndim or b.shape[0] != a.shape[0]:
        raise LinAlgError(f"solve_toeplitz of {a.shape} and b of shape {b.shape}")
    return np.reshape(solving.solve(a, np.reshape(b, (len(a), -1))), b.shape)


@of_scipy
def solve_circulant(c: Any, b: Any) -> Any:
    """The solution of circulant(c) x = b, by the full matrix; c (n,), b (n,) or (n, k).

    >>> from minigrad import Tensor
    >>> solve_circulant(Tensor([2.0, 1.0]), np.array([3.0, 3.0]))
    Tensor([1., 1.])
    """
    return solving.solve(square("solve_circulant", circulant(c)), b)


# Equations of matrices


@of_scipy
def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """X (..., m, n) with a X + X b = q.

    >>> from minigrad import Tensor
    >>> solve_sylvester(Tensor([[1.0]]), np.array([[3.0]]), np.array([[8.0]]))
    Tensor([[2.]])
    """
    a, b, q = square("solve_sylvester", a), square("solve_sylvester", b), single_or_double(q)
    if q.ndim < 2 or q.shape[-2:] != (a.shape[-1], b.shape[-1]):
        raise LinAlgError(
            f"solve_sylvester of a {a.shape}, b {b.shape} and q {q.shape}: for a (m, m) and b "
            "(n, n), q is (m, n)"
        )
    return sylvester(a, b, q)


@of_scipy
def solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    """X with a X + X a^H = q.

    >>> from minigrad import Tensor
    >>> solve_continuous_lyapunov(Tensor([[2.0]]), np.array([[8.0]]))
    Tensor([[2.]])
    """
    a = square("solve_continuous_lyapunov", a)
    return solve_sylvester(a, adjoint(a), q)


@of_scipy
def solve_lyapunov(a: Any, q: Any) -> Any:
    """X with a X + X a^H = q.

    >>> from minigrad import Tensor
    >>> solve_lyapunov(Tensor([[2.0]]), np.array([[8.0]]))
    Tensor([[2.]])
    """
    a = square("solve_lyapunov", a)
    return solve_sylvester(a, adjoint(a), q)


@of_scipy
def solve_discrete_lyapunov(a: Any, q: Any) -> Any:
    """X with a X a^H - X + q = 0, by the equation of all its entries (n^2 of them).

    >>> from minigrad import Tensor
    >>> solve_discrete_lyapunov(Tensor([[0.5]]), np.array([[3.0]]))
    Tensor([[4.]])
    """
    a, q = square("solve_discrete_lyapunov", a), square("solve_discrete_lyapunov", q)
    if a.shape != q.shape or a.ndim != 2:
        raise LinAlgError(f"solve_discrete_lyapunov of a {a.shape} and q {q.shape}: both (n, n)")
    n = len(a)
    twice = np.reshape(a[:, None, :, None] * conj(a)[:, None, :], (n * n, n * n))
    system = np.eye(n * n, dtype=twice.dtype) - twice
    return np.reshape(solving.solve(system, np.reshape(q, (n * n,))), (n, n))


# As in numpy.linalg


@of_scipy
def inv(a: Any, assume_a: Any = None, lower: bool = False) -> Any:
    """The inverse of square matrices (..., n, n).

    >>> from minigrad import Tensor
    >>> inv(Tensor([[2.0]]))
    Tensor([[0.5]])
    """
    a = square("inv", a)
    if assume_a in (None, "gen", "general"):
        return solving.inv(a)
    return solve(a, np.eye(a.shape[-1], dtype=a.dtype), lower=lower, assume_a=assume_a)


@of_scipy
def det(a: Any) -> Any:
    """The determinant of square matrices (..., n, n), with derivatives of singular ones too.

    >>> from minigrad import grad
    >>> grad(det)(np.diag([2.0, 0.0]))
    array([[0., 0.],
           [0., 2.]])
    """
    return solving.det(a)


@of_scipy
def pinv(a: Any, atol: Any = None, rtol: Any = None, return_rank: bool = False) -> Any:
    """The pseudo-inverse; its derivative is that at constant rank.

    >>> from minigrad import Tensor
    >>> pinv(Tensor([[2.0], [0.0]]))
    Tensor([[0.5, 0. ]])
    """
    return pseudo_inverse(single_or_double(a), atol, rtol, return_rank)


@of_scipy
def pinvh(
    a: Any, atol: Any = None, rtol: Any = None, lower: bool = True, return_rank: bool = False
) -> Any:
    """The pseudo-inverse of a Hermitian matrix, of which it reads one triangle.

    >>> from minigrad import Tensor
    >>> pinvh(Tensor([[2.0, 9.0], [0.0, 0.0]]))
    Tensor([[0.5, 0. ],
            [0. , 0. ]])
    """
    return pseudo_inverse(from_triangle(square("pinvh", a), lower), atol, rtol, return_rank)


def pseudo_inverse(a: Any, atol: Any, rtol: Any, return_rank: bool) -> Any:
    values = value_of(a)
    absolute = atol is not None and atol > 0
    if is_traced(values) and (absolute or return_rank):
        raise UnsupportedError("pinv, compiled or vmapped, takes rtol alone, and gives no rank")
    small = 0.0 if absolute else max(a.shape[-2:]) * float(np.finfo(a.dtype).eps)
    rcond = small if rtol is None else rtol
    if absolute:
        rcond = rcond + atol / np.linalg.norm(values, 2, axis=(-2, -1))
    found = np.linalg.pinv(a, rcond)
    return (found, np.linalg.matrix_rank(values, rtol=rcond)) if return_rank else found


@of_scipy
def norm(a: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """As numpy.linalg.norm.

    >>> from minigrad import Tensor
    >>> norm(Tensor([3.0, 4.0]))
    Tensor(5.)
    """
    return norm_of(a, ord, axis, keepdims)


@of_scipy
def lstsq(a: Any, b: Any, cond: Any = None) -> Any:
    """The solution of least squares, the squared residuals, the rank, the singular values.

    >>> from minigrad import Tensor
    >>> lstsq(Tensor([[1.0], [1.0]]), np.array([1.0, 3.0]))[0]
    Tensor([2.])
    """
    a, b = single_or_double(a), single_or_double(b)
    cond = np.finfo(np.result_type(a.dtype, b.dtype)).eps if cond is None else cond
    x, residuals, rank, s = solving.lstsq(a, b, cond)
    return x, residuals[0] if b.ndim == 1 and residuals.size else residuals, int(rank), s
