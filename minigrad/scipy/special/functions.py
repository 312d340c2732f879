"""The functions of scipy.special that are no ufuncs, on Tensors; on arrays, SciPy computes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.dispatch import is_traced
from minigrad.errors import ArgumentError
from minigrad.methods import Axis
from minigrad.ops.reduce import logsumexp as logsumexp_of
from minigrad.scipy.on_tensors import as_array, in_place_of
from minigrad.scipy.special.table import (
    SPHERICAL,
    lambertw_op,
    polygamma_op,
    riemann_op,
    spherical_slope,
    zeta_op,
)
from minigrad.scipy.special.ufuncs import sc
from minigrad.tensor import value_of


def floats(x: Any) -> Any:
    """x as an array of floats."""
    x = as_array(x)
    return x if x.dtype.kind in "fc" else np.astype(x, float)


@in_place_of(sc.logsumexp)
def logsumexp(
    a: Any, axis: Axis = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    """log(sum(b * exp(a))) along axes, with the largest term taken out, as SciPy's.

    Returns a pair with `return_sign`: the logarithm of the sum's size, and its sign.

    >>> from minigrad import grad
    >>> grad(lambda a: logsumexp(a, b=np.array([1.0, 3.0])))(np.array([0.0, 0.0]))
    array([0.25, 0.75])
    """
    a = floats(a)
    if b is None and not return_sign and a.dtype.kind == "f":
        return logsumexp_of(a, axis, keepdims)
    b = np.ones_like(a) if b is None else floats(b)
    a = a + np.zeros_like(b)  # also where b broadcasts
    size, none = value_of(np.real(a) if a.dtype.kind == "c" else a), np.equal(value_of(b), 0)
    largest = np.max(np.where(none, -np.inf, size), axis=axis, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    # A weight of 0 has a derivative, but for terms that overflow: they are left out.
    finite = np.less(size - largest, math.log(np.finfo(a.dtype).max) - 1)
    a = np.where(np.logical_and(none, np.logical_not(finite)), -np.inf, a)
    total = np.sum(b * np.exp(a - largest), axis=axis, keepdims=True)
    complexes = total.dtype.kind == "c"
    size = np.absolute(total) if return_sign or not complexes else total
    with np.errstate(divide="ignore"):
        found = np.log(size) + largest
    if not return_sign and not complexes:
        found = np.where(np.less(total, 0), np.nan, found)
    results = [found] + ([total / size if complexes else np.sign(total)] if return_sign else [])
    results = results if keepdims else [np.squeeze(x, axis=axis) for x in results]
    return tuple(results) if return_sign else results[0]


@in_place_of(sc.softmax)
def softmax(x: Any, axis: Axis = None) -> Any:
    """exp(x) / sum(exp(x)) along axes, by default all, as SciPy's.

    >>> from minigrad import Tensor
    >>> softmax(Tensor([0.0, 1000.0]))
    Tensor([0., 1.])
    """
    return np.exp(log_softmax(x, axis))


@in_place_of(sc.log_softmax)
def log_softmax(x: Any, axis: Axis = None) -> Any:
    """The logarithm of the softmax along axes, by default all, as SciPy's.

    >>> from minigrad import Tensor
    >>> log_softmax(Tensor([0.0, 1000.0]))
    Tensor([-1000.,     0.])
    """
    x = floats(x)
    return x - logsumexp_of(x, axis, True)


@in_place_of(sc.zeta)
def zeta(x: Any, q: Any = None) -> Any:
    """The zeta function of Riemann, or of Hurwitz, with derivatives by both arguments.

    >>> from minigrad import grad
    >>> round(float(grad(zeta)(2.0)), 12)
    -0.937548254316
    """
    return riemann_op(floats(x)) if q is None else zeta_op(floats(x), floats(q))


@in_place_of(sc.polygamma)
def polygamma(n: Any, x: Any) -> Any:
    """The n-th derivative of the digamma function at x, with derivatives by x.

    >>> from minigrad import grad
    >>> round(float(grad(polygamma, argnums=1)(0, 1.0)), 12)  # pi**2 / 6
    1.644934066848
    """
    return polygamma_op(n, floats(x))


@in_place_of(sc.lambertw)
def lambertw(z: Any, k: int = 0, tol: float = 1e-8) -> Any:
    """A branch of Lambert's W, the inverse of w * exp(w), as SciPy's: its values are complex.

    >>> from minigrad import grad
    >>> round(float(grad(lambda z: np.real(lambertw(z)))(1.0)), 12)
    0.361896256635
    """
    return lambertw_op(floats(z), k=k, tol=tol)


def spherical(kind: str) -> Any:
    op, original = SPHERICAL[kind], getattr(sc, f"spherical_{kind}")

    @in_place_of(original)
    def function(n: Any, z: Any, derivative: bool = False) -> Any:
        z = floats(z)
        return spherical_slope(kind, n, z) if derivative else op(n, z)

    function.__name__ = function.__qualname__ = f"spherical_{kind}"
    function.__doc__ = (
        f"The spherical Bessel function spherical_{kind}(n, z), or its derivative, as SciPy's.\n\n"
        "    >>> from minigrad import check_gradients\n"
        f"    >>> check_gradients(lambda z: spherical_{kind}(2, z), 1.5)\n"
    )
    return function


spherical_jn, spherical_yn = spherical("jn"), spherical("yn")
spherical_in, spherical_kn = spherical("in"), spherical("kn")


@in_place_of(sc.multigammaln)
def multigammaln(a: Any, d: int) -> Any:
    """The logarithm of the multivariate gamma function of dimension d, as SciPy's.

    Raises:
        ArgumentError: if a is not above (d - 1) / 2.

    >>> from minigrad import grad
    >>> round(float(grad(multigammaln)(3.0, 2)), 12)  # digamma(3) + digamma(2.5)
    1.625940975744
    """
    a = floats(a)
    if not is_traced(value_of(a)) and np.any(value_of(a) <= 0.5 * (d - 1)):
        raise ArgumentError(f"multigammaln of dimension {d} is for a > {0.5 * (d - 1)}")
    total: Any = d * (d - 1) * 0.25 * math.log(math.pi)
    for k in range(d):
        total = total + sc.gammaln(a - 0.5 * k)
    return total


def inexact(name: str, exact: Any) -> None:
    if exact:
        raise ArgumentError(
            f"{name} with exact=True is of Python's integers, which have no derivative"
        )


@in_place_of(sc.comb)
def comb(N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Any:  # noqa: N803
    """Binomial coefficients, with derivatives by both arguments; 0 where k is not in 0..N.

    >>> from minigrad import grad
    >>> round(float(grad(comb)(5.0, 2.0)), 12)  # N * (N - 1) / 2
    4.5
    """
    inexact("comb", exact)
    N, k = floats(N), floats(k)  # noqa: N806  # SciPy's name
    if repetition:
        return np.where(np.equal(k, 0) & np.greater_equal(N, 0), 1.0, comb(N + k - 1, k))
    there = np.less_equal(k, N) & np.greater_equal(N, 0) & np.greater_equal(k, 0)
    return np.where(there, sc.binom(np.where(there, N, 1.0), np.where(there, k, 0.0)), 0.0)


@in_place_of(sc.perm)
def perm(N: Any, k: Any, exact: bool = False) -> Any:  # noqa: N803
    """The number of ordered choices of k out of N, with derivatives by both.

    >>> from minigrad import grad
    >>> round(float(grad(perm)(5.0, 2.0)), 12)  # N * (N - 1)
    9.0
    """
    inexact("perm", exact)
    N, k = floats(N), floats(k)  # noqa: N806  # SciPy's name
    there = np.less_equal(k, N) & np.greater_equal(N, 0) & np.greater_equal(k, 0)
    N, k = np.where(there, N, 1.0), np.where(there, k, 0.0)  # noqa: N806
    return np.where(there, sc.poch(N - k + 1, k), 0.0)


@in_place_of(sc.factorial)
def factorial(n: Any, exact: bool = False, extend: str = "zero") -> Any:
    """gamma(n + 1), and 0 below 0, with its derivative.

    >>> from minigrad import grad
    >>> round(float(grad(factorial)(1.0)), 12)  # 1 - Euler's constant
    0.422784335098
    """
    inexact("factorial", exact)
    if extend != "zero":
        raise ArgumentError(f'factorial of Tensors is with extend="zero", not {extend!r}')
    n = floats(n)
    there = np.greater_equal(n, 0)
    return np.where(there, sc.gamma(np.where(there, n, 0.0) + 1), 0.0)


@in_place_of(sc.softplus)
def softplus(x: Any) -> Any:
    """log(1 + exp(x)), which nothing overflows.

    >>> from minigrad import Tensor
    >>> softplus(Tensor([-1000.0, 1000.0]))
    Tensor([   0., 1000.])
    """
    return np.logaddexp(0, x)
