"""Linear systems: inverses, determinants, pseudo-inverses, least squares."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from minigrad.dispatch import implements, is_traced
from minigrad.errors import ArgumentError, ArgumentTypeError, LinAlgError, UnsupportedError
from minigrad.ops.base import Op
from minigrad.ops.linalg.matrix import (
    adjoint,
    by_gradients,
    conj,
    from_triangle,
    identity,
    result_class,
    single_or_double,
    swap,
)
from minigrad.ops.movement import as_array, slice_op
from minigrad.ops.reduce import products_of_others
from minigrad.tensor import value_of

processing = partial(Op, "processing")


def square(name: str, a: Any) -> Any:
    """a, a matrix or a stack of them, as floats.

    Raises:
        LinAlgError: if they are not square.
    """
    a = single_or_double(a)
    check_square(name, a)
    return a


def check_square(name: str, a: Any) -> None:
    shape = a.shape
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise LinAlgError(f"{name} of shape {shape}: it is of square matrices, (..., n, n)")


# Inverses


LEAST_HALVED = 48  # rows of a triangle, from which on its inverse is computed by halves


def inv_of_array(x: Any, lower: bool = False) -> Any:
    """Of a lower triangle, a third of the work: [[a, 0], [b, c]] has the inverse
    [[inv(a), 0], [-inv(c) b inv(a), inv(c)]]."""
    k = x.shape[-1] // 2
    if not lower or 2 * k < LEAST_HALVED:
        return np.linalg.inv(x)
    y = np.zeros_like(x)
    y[..., :k, :k] = a = inv_of_array(x[..., :k, :k], lower)
    y[..., k:, k:] = c = inv_of_array(x[..., k:, k:], lower)
    y[..., k:, :k] = -c @ x[..., k:, :k] @ a
    return y


inv_op: Op = processing(
    "inv",
    inv_of_array,
    (lambda g, y, x, lower=False: -(swap(y) @ g @ swap(y)),),
    "inv({0})",
)


@implements(np.linalg.inv)
def inv(a: Any) -> Any:
    return inv_op(square("inv", a))


def solve_rule(g: Any, y: Any, a: Any, b: Any) -> Any:
    """The cotangent of b, (..., n, k) or, of one vector, (..., n)."""
    return solve(swap(a), g) if b.ndim > 1 else solve(swap(a), g[..., None])[..., 0]


def matrix_rule(g: Any, y: Any, a: Any, b: Any) -> Any:
    """The cotangent of a: minus the product of that of b with y.T."""
    g, y = (g, y) if b.ndim > 1 else (g[..., None], y[..., None])
    return -(solve(swap(a), g) @ swap(y))


solve_op: Op = processing(
    "solve", np.linalg.solve, (matrix_rule, solve_rule), "solve({0}, {1})", broadcasts=True
)


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    a, b = square("solve", a), single_or_double(b)
    if b.shape[-2:][:1] != a.shape[-1:]:
        raise LinAlgError(
            f"solve of a of shape {a.shape} and b of shape {b.shape}: b has as many rows as a, "
            "(..., n, k), or is one vector (n,)"
        )
    check_stacks("solve", a, b)
    return solve_op(a, b)


def check_stacks(name: str, a: Any, b: Any) -> None:
    if a.shape[:-2] == b.shape[:-2]:
        return
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError as error:
        raise LinAlgError(
            f"{name} of stacks of shapes {a.shape} and {b.shape}: all axes but the last two "
            "must broadcast"
        ) from error


@implements(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a, b = as_array(a), as_array(b)
    if axes is not None:
        kept = [k for k in range(a.ndim) if k not in {axis % a.ndim for axis in axes}]
        a = np.transpose(a, (*kept, *axes))
    shape = a.shape[-(a.ndim - b.ndim) :]
    n = math.prod(shape)
    if a.size != n**2 or b.size != n:
        raise LinAlgError(
            f"tensorsolve of shapes {a.shape} and {b.shape}: the last axes of a, those of the "
            f"result {shape}, must have as many entries as b"
        )
    return np.reshape(solve(np.reshape(a, (n, n)), np.reshape(b, (n,))), shape)


@implements(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    a = as_array(a)
    if ind <= 0:
        raise ArgumentError(f"tensorinv with ind={ind}: it is 1 or more")
    n = math.prod(a.shape[ind:])
    if n * n != a.size:
        raise LinAlgError(
            f"tensorinv of shape {a.shape} with ind={ind}: the first {ind} axes must have as many "
            "entries as the others"
        )
    return np.reshape(inv(np.reshape(a, (n, n))), a.shape[ind:] + a.shape[:ind])


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    try:
        n = operator.index(n)
    except TypeError as error:
        raise ArgumentTypeError(f"matrix_power: the exponent is an integer, not {n!r}") from error
    a = as_array(a)
    check_square("matrix_power", a)
    if n == 0:
        return np.zeros_like(a) + identity(a)
    factor = inv(a) if n < 0 else a
    powers = [factor]
    for _ in range(abs(n).bit_length() - 1):
        powers.append(powers[-1] @ powers[-1])
    return functools.reduce(operator.matmul, [p for k, p in enumerate(powers) if abs(n) >> k & 1])


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Sequence[Any], *, out: Any = None) -> Any:
    if out is not None:
        raise UnsupportedError("multi_dot on Tensors does not take out=: write out[...] = after it")
    factors = [as_array(x) for x in arrays]
    if len(factors) < 2:
        raise ArgumentError(f"multi_dot of {len(factors)} arrays: it is of two or more")
    shapes = [x.shape for x in factors]
    row, column = factors[0].ndim == 1, factors[-1].ndim == 1
    if row:
        factors[0] = factors[0][None]
    if column:
        factors[-1] = factors[-1][:, None]
    if any(x.ndim != 2 for x in factors):
        raise LinAlgError(f"multi_dot of shapes {shapes}: matrices, and vectors at the ends")
    product = in_best_order(factors)
    return np.reshape(product, product.shape[1 if row else 0 : 1 if column else 2])


def in_best_order(factors: list[Any]) -> Any:
    """The product of matrices, two at a time, with the fewest multiplications (T. Cormen et al.,
    Introduction to Algorithms, section 15.2)."""
    sizes = [*(x.shape[0] for x in factors), factors[-1].shape[1]]

    @functools.cache
    def cheapest(first: int, last: int) -> tuple[int, int]:
        """The cost of factors first ... last, and where they are split."""
        if first == last:
            return 0, first
        return min(
            (
                cheapest(first, k)[0]
                + cheapest(k + 1, last)[0]
                + sizes[first] * sizes[k + 1] * sizes[last + 1],
                k,
            )
            for k in range(first, last)
        )

    def product(first: int, last: int) -> Any:
        if first == last:
            return factors[first]
        k = cheapest(first, last)[1]
        return product(first, k) @ product(k + 1, last)

    return product(0, len(factors) - 1)


# Determinants. The derivative of det is the matrix of cofactors, det(A) inv(A).T, which there is
# for singular matrices too. Of A = U S V^H, it is det(U V^H) conj(U C V^H), C diagonal: the
# products of the other singular values.

ILL = 1e6  # the condition number from which cofactors are computed by singular values


def inverse_if_well(x: Any) -> Any:
    """The inverse of every matrix of a stack, or None if one is singular, or nearly."""
    try:
        y = np.linalg.inv(x)
    except np.linalg.LinAlgError:
        return None
    squares = sum_of_squares(x) * sum_of_squares(y)
    return y if (squares < ILL**2).all() else None


def sum_of_squares(x: Any) -> Any:
    """Of the absolute values of all entries of every matrix in a stack."""
    entries = x.reshape((*x.shape[:-2], x.shape[-2] * x.shape[-1]))
    return np.vecdot(entries, entries).real


def turn_of(u: Any, vh: Any) -> Any:
    """det(U V^H), a sign or a phase, (..., 1, 1)."""
    return (np.linalg.det(u) * np.linalg.det(vh))[..., None, None]


def others_of(s: Any) -> Any:
    """(..., n) -> (..., n): the product of all other entries along the last axis."""
    return np.moveaxis(products_of_others(np.moveaxis(s, -1, 0)), 0, -1) if s.size else s


def cofactors(x: Any, det: Any) -> Any:
    """The derivative of det(x), which is known."""
    if (inverse := inverse_if_well(x)) is not None:
        return det[..., None, None] * swap(inverse)
    u, s, vh = np.linalg.svd(x)
    return turn_of(u, vh) * (u * others_of(s)[..., None, :] @ vh).conj()


def second_cofactors(x: Any, e: Any) -> Any:
    """The derivative of the cofactors of x in the direction e, both (..., n, n): where x is
    diagonal, s, sums of products of all singular values but two."""
    if (inverse := inverse_if_well(x)) is not None:
        y, ey = swap(inverse), inverse @ e
        trace = np.trace(ey, axis1=-2, axis2=-1)[..., None, None]
        return np.linalg.det(x)[..., None, None] * (trace * y - y @ swap(ey))
    u, s, vh = np.linalg.svd(x)
    beside = np.eye(s.shape[-1], dtype=bool)
    but_two = others_of(np.where(beside, 1, s[..., None, :])) * ~beside
    inner = adjoint(u) @ e @ adjoint(vh)
    along = but_two @ np.diagonal(inner, 0, -2, -1)[..., None]
    core = along * np.eye(s.shape[-1], dtype=s.dtype) - swap(but_two * inner)
    return turn_of(u, vh) * (conj(u) @ core @ conj(vh))


def third_derivative(h: Any, y: Any, x: Any, e: Any) -> Any:
    """That of det in the directions h and e, of matrices that have an inverse."""
    inverse = inv(x)
    he, hh = inverse @ e, inverse @ h
    e1, h1 = (np.trace(z, axis1=-2, axis2=-1)[..., None, None] for z in (he, hh))
    both = he @ hh
    two = np.trace(both, axis1=-2, axis2=-1)[..., None, None]
    inner = (both + hh @ he - h1 * he - e1 * hh) @ inverse + (e1 * h1 - two) * inverse
    return det_op(x)[..., None, None] * swap(inner)


def det_rule(g: Any, y: Any, x: Any) -> Any:
    known = type(x) is np.ndarray  # nothing is recorded, and the determinant need not be
    return g[..., None, None] * (cofactors(x, y) if known else cofactors_op(x))


det_op: Op = processing("det", np.linalg.det, (det_rule,), "det({0})")
cofactors_op: Op = processing(
    "cofactors",
    lambda x: cofactors(x, np.linalg.det(x)),
    (lambda g, y, x: second_cofactors_op(x, g),),
    "cofactors({0})",
)
second_cofactors_op: Op = processing(
    "second_cofactors",
    second_cofactors,
    (third_derivative, lambda g, y, x, e: second_cofactors_op(x, g)),
    "second_cofactors({0}, {1})",
)


@implements(np.linalg.det)
def det(a: Any) -> Any:
    return det_op(square("det", a))


def slogdet_rule(g: Any, y: Any, x: Any) -> Any:
    """d log|det A| is the real part of tr(inv(A) dA); its imaginary part turns the sign."""
    slope = g[..., 1]
    if x.dtype.kind == "c":
        slope = np.real(slope) + 1j * np.imag(g[..., 0] * y[..., 0])
    return slope[..., None, None] * swap(inv_op(x))


def slogdet_of_array(x: Any) -> Any:
    both = np.array(np.linalg.slogdet(x))
    return both.transpose((*range(1, both.ndim), 0))


# (..., 2): the sign, and the logarithm of the absolute value.
slogdet_op: Op = processing("slogdet", slogdet_of_array, (slogdet_rule,), "slogdet({0})")


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    both = slogdet_op(square("slogdet", a))
    sign, logabsdet = slice_op(both, index=(..., 0)), slice_op(both, index=(..., 1))
    if both.dtype.kind == "c":
        logabsdet = np.real(logabsdet)
    return result_class(np.linalg.slogdet)(sign, logabsdet)


# Pseudo-inverses


@by_gradients
def pinv_rule(g: Any, p: Any, a: Any, rcond: Any) -> Any:
    """The derivative at constant rank (G. Golub and V. Pereyra, "The differentiation of
    pseudo-inverses and nonlinear least squares problems whose variables separate", 1973). It is
    that of all of a: where rcond cut off more than rounding error, it is NaN."""
    ph, gh = adjoint(p), adjoint(g)
    cut, size = (np.linalg.norm(x, axis=(-2, -1)) for x in (a - a @ p @ a, a))
    whole = np.less_equal(cut, float(np.finfo(size.dtype).eps) ** 0.5 * size)
    left = (gh - a @ (p @ gh)) @ p @ ph
    right = ph @ p @ (gh - (gh @ p) @ a)
    unknown = np.where(whole, 0.0, np.nan).astype(a.dtype)[..., None, None]
    return left + right - ph @ g @ ph + unknown


pinv_op: Op = processing(
    "pinv",
    lambda a, rcond: np.linalg.pinv(a, rcond),
    (pinv_rule,),
    "pinv({0})",
)


@implements(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, **given: Any) -> Any:
    given_a = as_array(a)
    if given_a.ndim < 2:
        raise LinAlgError(f"pinv of shape {given_a.shape}: it is of matrices, (..., m, n)")
    if 0 in given_a.shape[-2:]:
        return swap(given_a)
    a = single_or_double(given_a)
    if unknown := given.keys() - {"rtol"}:
        raise UnsupportedError(f"pinv on a Tensor does not take {sorted(unknown)}")
    if "rtol" in given:
        if rcond is not None:
            raise ArgumentError("pinv with rcond and rtol: they are the same, give one")
        rtol = given["rtol"]
        rcond = max(a.shape[-2:]) * np.finfo(given_a.dtype).eps if rtol is None else rtol
    rcond = 1e-15 if rcond is None else value_of(rcond)
    if is_traced(rcond):
        raise UnsupportedError("pinv, compiled or vmapped: rcond is a constant, not computed")
    return pinv_op(from_triangle(a, lower=True) if hermitian else a, rcond=rcond)


@implements(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """The solution is pinv(a) @ b, and has its derivative."""
    a, b = single_or_double(a), single_or_double(b)
    if a.ndim != 2 or b.ndim not in (1, 2) or len(a) != len(b):
        raise LinAlgError(
            f"lstsq of a of shape {a.shape} and b of shape {b.shape}: a is (m, n), b (m,) or (m, k)"
        )
    m, n = a.shape
    dtype = np.result_type(a.dtype, b.dtype)
    a = a if a.dtype == dtype else a.astype(dtype)
    rcond = max(m, n) * np.finfo(dtype).eps if rcond is None else rcond
    x = pinv(a, rcond) @ b
    s = np.linalg.svdvals(a)
    if is_traced(value_of(s)):
        raise UnsupportedError(
            "lstsq, compiled or vmapped: how many residuals there are depends on the rank, which "
            "is not known before it runs: use np.linalg.pinv(a) @ b"
        )
    rank = np.intc(np.count_nonzero(s.data > rcond * max(s.data, default=0.0)))
    if rank < n or m <= n:
        return x, np.zeros_like(s[:0]), rank, s
    off = b - a @ x
    return x, np.atleast_1d(np.sum(np.real(off * conj(off)), axis=0)), rank, s
