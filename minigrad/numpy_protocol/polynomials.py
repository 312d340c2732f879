"""Polynomials by their coefficients, highest power first."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.dispatch import implements, is_traced
from minigrad.errors import ArgumentError, ShapeError, UnsupportedError
from minigrad.ops.movement import as_array
from minigrad.tensor import value_of


def coefficients(x: Any) -> Any:
    """One axis of coefficients."""
    x = np.atleast_1d(as_array(x))
    if x.ndim > 1:
        raise ShapeError(f"a polynomial by coefficients of shape {x.shape}: they have one axis")
    return x


def trimmed(x: Any, name: str) -> Any:
    """Without the zeros of the highest powers, which NumPy drops."""
    x, numbers = coefficients(x), value_of(coefficients(x))
    if is_traced(numbers):
        raise UnsupportedError(
            f"np.{name}, compiled or vmapped: NumPy drops zeros of the highest powers, and how "
            "many there are is not known before it runs: use np.convolve for products"
        )
    start = next((k for k, c in enumerate(numbers) if c), len(numbers) - 1)
    return x[max(start, 0) :]


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """By Horner's rule."""
    p, x = as_array(p), as_array(x)
    y = np.zeros_like(x)
    for k in range(len(p)):
        y = y * x + p[k]
    return y


def aligned(a1: Any, a2: Any) -> tuple[Any, Any]:
    """Coefficients of two polynomials, as many of each."""
    one, other = np.atleast_1d(as_array(a1)), np.atleast_1d(as_array(a2))
    n = max(len(one), len(other))
    if len(one) == len(other):
        return one, other
    x, y = (np.pad(x, (n - len(x), 0)) if len(x) < n else x for x in (one, other))
    return x, y


@implements(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    x, y = aligned(a1, a2)
    return x + y


@implements(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    x, y = aligned(a1, a2)
    return x - y


@implements(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    return np.convolve(trimmed(a1, "polymul"), trimmed(a2, "polymul"))


@implements(np.polydiv)
def polydiv(u: Any, v: Any) -> tuple[Any, Any]:
    """Quotient and remainder, by long division."""
    if any(is_traced(value_of(coefficients(x))) for x in (u, v)):
        raise UnsupportedError(
            "np.polydiv, compiled or vmapped: how long the remainder is depends on its numbers, "
            "which are not known before it runs"
        )
    u, v = coefficients(u) + 0.0, coefficients(v) + 0.0
    kind = np.result_type(u, v)
    steps = max(len(u) - len(v) + 1, 1)
    scale, parts, rest = 1.0 / v[0], [], np.astype(u, kind)
    for k in range(len(u) - len(v) + 1):
        parts.append(scale * rest[k])
        less = np.pad(parts[-1] * v, (k, len(u) - len(v) - k))
        rest = rest - less
    quotient = np.stack(parts) if parts else np.zeros_like(rest, shape=(steps,))
    start, numbers = 0, value_of(rest)
    while start < len(numbers) - 1 and np.allclose(numbers[start], 0, rtol=1e-14):
        start += 1  # NumPy drops what rounding has left of the highest powers
    return np.astype(quotient, kind), rest[start:]


@implements(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    p = coefficients(p)
    if m < 0:
        raise ArgumentError(f"np.polyder with m={m}: it is 0 or more, see np.polyint")
    for _ in range(m):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


@implements(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """The integral, m times, with the constants k."""
    p, k = coefficients(p), np.atleast_1d(as_array(0 if k is None else k))
    if m < 0:
        raise ArgumentError(f"np.polyint with m={m}: it is 0 or more, see np.polyder")
    k = np.broadcast_to(k, (m,)) if len(k) == 1 else k
    if len(k) < m:
        raise ArgumentError(f"np.polyint with m={m}: {len(k)} constants, and one or {m} are needed")
    for i in range(m):
        p = np.concatenate([p / np.arange(len(p), 0, -1), k[i : i + 1]])
    return p


@implements(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """The coefficients of the polynomial with these zeros, or of a matrix's characteristic one."""
    zeros = np.atleast_1d(as_array(seq_of_zeros))
    if zeros.ndim == 2 and zeros.shape[0] == zeros.shape[1]:
        zeros = np.linalg.eigvals(zeros)
    if zeros.ndim != 1:
        raise ShapeError(f"np.poly of shape {zeros.shape}: zeros, or a square matrix")
    kind = np.result_type(zeros, *[float] * (zeros.dtype.kind in "iub" or zeros.dtype.itemsize < 4))
    p = np.ones_like(zeros[:0], shape=(1,), dtype=kind)
    zeros = np.astype(zeros, kind)
    for k in range(len(zeros)):
        p = np.concatenate([p, np.zeros_like(p[:1])]) - zeros[k] * np.concatenate(
            [np.zeros_like(p[:1]), p]
        )
    # As NumPy: of zeros in conjugate pairs, which are real polynomials.
    if kind.kind == "c" and not is_traced(numbers := value_of(zeros)):
        paired = np.array_equal(np.sort(numbers), np.sort(numbers.conj()))
        return np.copy(np.real(p)) if paired else p
    return p


@implements(np.roots)
def roots(p: Any) -> Any:
    """The zeros, as eigenvalues of the companion matrix."""
    p = coefficients(p)
    numbers = value_of(p)
    if is_traced(numbers):
        raise UnsupportedError("np.roots, compiled or vmapped: how many there are is not known")
    there = np.flatnonzero(numbers)
    if not there.size:
        return p[:0]
    zeros, p = len(numbers) - 1 - there[-1], p[there[0] : there[-1] + 1]
    p = np.astype(p, np.result_type(p, *[float] * (p.dtype.kind in "iub")))
    found = p[:0]
    if len(p) > 1:
        first = (-p[1:] / p[0])[None]
        below = np.eye(len(p) - 2, len(p) - 1, dtype=p.dtype)
        found = np.linalg.eigvals(np.concatenate([first, below]))
    return np.concatenate([found, np.zeros_like(found, shape=(zeros,))]) if zeros else found


@implements(np.polyfit)
def polyfit(
    x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False
) -> Any:
    """By least squares, with the columns of the Vandermonde matrix scaled to length 1."""
    x, y = as_array(x), as_array(y)
    x = np.astype(x, np.result_type(x, *[float] * (x.dtype.kind in "iub")))
    y = np.astype(y, np.result_type(y, *[float] * (y.dtype.kind in "iub")))
    if x.ndim != 1 or y.ndim not in (1, 2) or len(x) != len(y) or not len(x):
        raise ShapeError(f"np.polyfit at {x.shape} to {y.shape}: one value, or row, for each point")
    if deg < 0:
        raise ArgumentError(f"np.polyfit of degree {deg}")
    rcond = len(x) * np.finfo(x.dtype).eps if rcond is None else rcond
    left, right = np.vander(x, deg + 1), y
    if w is not None:
        w = as_array(w) + 0.0
        if w.shape != x.shape:
            raise ShapeError(f"np.polyfit: weights of shape {w.shape} for {len(x)} points")
        left = np.astype(left * w[:, None], x.dtype)
        right = np.astype(right * (w[:, None] if y.ndim == 2 else w), y.dtype)
    scale = np.sqrt(np.sum(left * left, axis=0))
    if is_traced(value_of(left)) and not full and not cov:
        return (np.matmul(np.linalg.pinv(left / scale, rcond), right).T / scale).T
    c, residuals, rank, singular = np.linalg.lstsq(left / scale, right, rcond)
    c = (c.T / scale).T
    if full:
        return c, residuals, rank, singular, rcond
    if not cov:
        return c
    base = np.linalg.inv(np.matmul(left.T, left))
    factor: Any = 1
    if cov != "unscaled":
        if len(x) <= deg + 1:
            raise ArgumentError("np.polyfit with cov=True needs more points than coefficients")
        factor = residuals / (len(x) - (deg + 1))
    return c, base * factor if y.ndim == 1 else base[:, :, None] * factor
