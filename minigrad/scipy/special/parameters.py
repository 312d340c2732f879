"""Derivatives by parameters that are integrals: by the shapes of the incomplete gamma and beta
functions, and of Carlson's elliptic integrals.

An integral over (0, inf) is a sum over nodes y = scale * exp(u - exp(-u)), u evenly spaced, which
converges doubly exponentially (H. Takahasi and M. Mori, "Double exponential formulas for numerical
integration", 1974). Nodes are along a last axis that is added. All is plain NumPy, and so is
recorded: derivatives of any order are sums over the same nodes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.dispatch import asarray
from minigrad.scipy.special.ufuncs import sc
from minigrad.tensor import value_of

STEP = 0.08
EVEN = np.arange(-3.75, 8.0, STEP)
NODES = np.exp(EVEN - np.exp(-EVEN))
WEIGHTS = STEP * NODES * (1 + np.exp(-EVEN))
FURTHEST = 200.0  # exp(FURTHEST) can be squared, and its product with exp(-exp(FURTHEST)) is 0


def power_series(a: Any, ratio: Any) -> Any:
    """The sum of c[k] / (a + k)**2, where c[0] is 1 and c[k + 1] is c[k] * ratio(k + 1)."""
    term: Any = 1.0
    total: Any = 0.0
    for k in range(1, 31):
        total = total + term / (a + (k - 1)) ** 2
        term = term * ratio(k)
    return total


def along_nodes(*arrays: Any) -> list[Any]:
    """Arrays with an axis of size 1 added for the nodes."""
    return [np.expand_dims(asarray(x, None) if np.isscalar(x) else x, -1) for x in arrays]


def gammainc_by_a(a: Any, x: Any) -> Any:
    """The derivative of P(a, x), the regularised lower incomplete gamma function, by a.

    With f the density of the gamma distribution, dP/da is the integral of f(t) * (log t - psi(a))
    over (0, x), and, as that over all t is 0, minus the integral over (x, inf). Of these, the one
    where the integrand has a single sign loses no digits. There, t = x * exp(y) or x * exp(-y).
    For small x and a, a power series is better.
    """
    inside = np.logical_and(np.greater(x, 0), np.isfinite(x))
    x = np.where(inside, x, 1.0)
    front = np.exp(sc.xlogy(a, x) - x - sc.gammaln(a))  # the density by log t, at x
    mean, log_x = sc.digamma(a), np.log(x)
    side = np.where(np.greater(log_x, mean), 1.0, -1.0)
    scale = 1 / (np.absolute(x - a) + np.sqrt(x))  # of the integrand near x; below, 1/a is another
    scale = np.where(np.less(side, 0), np.sqrt(scale / a), scale)
    shape, start, rate, sign, scale = along_nodes(a, log_x - mean, x, side, value_of(scale))
    y = np.minimum(sign * (scale * NODES), FURTHEST)
    terms = np.exp(shape * y - rate * np.expm1(y)) * (start + y) * (scale * WEIGHTS)
    integral = -side * front * np.sum(terms, axis=-1)
    small = np.logical_and(np.greater(side, 0), np.less(x, 1))
    z = np.where(small, x, 0.5)
    sums = power_series(a, lambda k: -z / k)
    series = sc.gammainc(a, z) * (np.log(z) - mean) - np.exp(sc.xlogy(a, z) - sc.gammaln(a)) * sums
    return np.where(inside, np.where(small, series, integral), 0.0)


def betainc_by_a(a: Any, b: Any, x: Any) -> Any:
    """The derivative of the regularised incomplete beta function by its first shape.

    As `gammainc_by_a`, with the beta distribution, of which log t has the mean psi(a) - psi(a + b);
    and logit t = logit x + y, or - y.
    """
    inside = np.logical_and(np.greater(x, 0), np.less(x, 1))
    x = np.where(inside, x, 0.5)
    front = np.exp(sc.xlogy(a, x) + sc.xlog1py(b, -x) - sc.betaln(a, b))
    mean, log_x, log_1_x = sc.digamma(a) - sc.digamma(a + b), np.log(x), np.log1p(-x)
    side = np.where(np.greater(log_x, mean), 1.0, -1.0)
    scale = np.absolute(a * (1 - x) - b * x) + np.sqrt((a + b) * x * (1 - x))
    scale = 1 / np.sqrt(scale * np.where(np.less(side, 0), a, b))  # between those near x and far
    logit, at_x, sign, scale = along_nodes(
        log_x - log_1_x, a * log_x + b * log_1_x, side, value_of(scale)
    )
    w = logit + sign * (scale * NODES)
    log_t, log_1_t = sc.log_expit(w), sc.log_expit(-w)
    one, other, middle = along_nodes(a, b, mean)
    exponents = one * log_t + other * log_1_t - at_x
    terms = np.exp(exponents) * (log_t - middle) * (scale * WEIGHTS)
    integral = -side * front * np.sum(terms, axis=-1)
    small = np.logical_and(np.greater(side, 0), np.less(x * np.maximum(b, 4.0), 1))
    z, c = np.where(small, x, 0.1), np.where(small, b, 1.0)
    sums = power_series(a, lambda k: z * ((k - c) / k))
    series = (
        sc.betainc(a, c, z) * (np.log(z) - mean) - np.exp(sc.xlogy(a, z) - sc.betaln(a, c)) * sums
    )
    return np.where(inside, np.where(small, series, integral), 0.0)


def betainc_by_b(a: Any, b: Any, x: Any) -> Any:
    """By the second shape: I(a, b, x) = 1 - I(b, a, 1 - x)."""
    return -betainc_by_a(b, a, 1 - x)


LOGARITHMS = np.exp(np.arange(-90.0, 60.0, 0.5))


def carlson(x: Any, y: Any, z: Any, p: Any, powers: tuple[float, float, float, float]) -> Any:
    """The integral over (0, inf) of the product of (t + x)**power and its like.

    On the scale of log t it is analytic up to pi from the axis, so that even steps converge.
    """
    mean = np.sqrt(np.sqrt(np.absolute(x * 1.0) + y) * np.sqrt(np.absolute(z * 1.0) + p))
    scale = np.expand_dims(value_of(mean), -1)
    t = scale * LOGARITHMS
    terms: Any = 0.5 * t
    for part, power in zip(along_nodes(x, y, z, p), powers, strict=True):
        terms = terms * (t + part) ** power if power else terms
    return np.sum(terms, axis=-1)


def elliprd_by_x(x: Any, y: Any, z: Any) -> Any:
    """At x = 0 it is infinite."""
    zero = np.equal(x, 0)
    found = -0.75 * carlson(np.where(zero, 1.0, x), y, z, 0.0, (-1.5, -0.5, -1.5, 0))
    return np.where(zero, -np.inf, found)


def elliprd_by_z(x: Any, y: Any, z: Any) -> Any:
    return -2.25 * carlson(x, y, z, 0.0, (-0.5, -0.5, -2.5, 0))


def elliprj_by_x(x: Any, y: Any, z: Any, p: Any) -> Any:
    """At x = 0 it is infinite."""
    zero = np.equal(x, 0)
    found = -0.75 * carlson(np.where(zero, 1.0, x), y, z, p, (-1.5, -0.5, -0.5, -1))
    return np.where(zero, -np.inf, found)


def elliprj_by_p(x: Any, y: Any, z: Any, p: Any) -> Any:
    return np.where(np.greater(p, 0), -1.5 * carlson(x, y, z, p, (-0.5, -0.5, -0.5, -2)), np.nan)


def ellipkinc_by_m(phi: Any, m: Any) -> Any:
    """The derivative of F(phi, m): R_F is Carlson's, of which derivatives are R_D; for phi beyond
    pi / 2, F(phi + n pi) = F(phi) + 2 n K."""
    turns = np.rint(phi / np.pi)
    sine, cosine = np.sin(phi - turns * np.pi), np.cos(phi - turns * np.pi)
    whole = sc.elliprd(0, 1, 1 - m) / 3
    return turns * whole + sine**3 / 6 * sc.elliprd(cosine**2, 1, 1 - m * sine**2)


def ellipeinc_by_m(phi: Any, m: Any) -> Any:
    """As `ellipkinc_by_m`, of E(phi, m)."""
    turns = np.rint(phi / np.pi)
    sine, cosine = np.sin(phi - turns * np.pi), np.cos(phi - turns * np.pi)
    whole = sc.elliprd(0, 1 - m, 1) / 3
    return -(turns * whole + sine**3 / 6 * sc.elliprd(cosine**2, 1 - m * sine**2, 1))


POINTS = np.linspace(-1.0, 1.0, 401)


def kve_by_v(v: Any, x: Any) -> Any:
    """The derivative of exp(x) * K_v(x) by the order v.

    K_v(x) is half the integral of exp(v t - x cosh t) over all t (DLMF 10.32.9), which even steps
    around the peak, at sinh t = v / x, sum to all digits.
    """
    size, at = np.absolute(value_of(v) * 1.0), value_of(x)
    peak, c = np.arcsinh(size / at), np.hypot(size, at)
    # How far from the peak the integrand has fallen by exp(-45): there, it falls by
    # c * (cosh d - 1) - v * (sinh d - d).
    reach = np.arccosh(1 + 45 * (c + size) / at / at)
    reach = np.minimum(reach, 45 / np.maximum(size, 1e-9) + 10 / np.sqrt(c))
    peak, reach, top = along_nodes(peak, reach, size * peak - c + at)
    sign = np.where(np.less(v, 0), -1.0, 1.0)
    order, x = along_nodes(v * sign, x)
    t = peak + reach * POINTS
    terms = t * np.exp(order * t - x * (np.cosh(t) - 1) - top) * np.exp(top)
    return sign * np.sum(terms * (reach * (0.5 * (POINTS[1] - POINTS[0]))), axis=-1)


# B(2 j) / (2 j)!, with the Bernoulli numbers B.
BERNOULLI = [float(b / sc.factorial(2 * j)) for j, b in enumerate(sc.bernoulli(24)[::2])][1:]
TERMS = 12


def zeta_by_s(s: Any, q: Any) -> Any:
    """The derivative of the Hurwitz zeta function by s, by the formula of Euler and Maclaurin
    (DLMF 25.11.5), differentiated."""
    end = q + float(TERMS)
    log = np.log(end)
    rising, slope, power = s * 1.0, 1.0, end ** (-s)
    total = -power * (end * (log / (s - 1) + 1 / (s - 1) ** 2) + log / 2)
    for k in range(TERMS):
        total = total - np.log(q + k) * (q + k * 1.0) ** (-s)
    for j, b in enumerate(BERNOULLI):
        power = power / (end if j == 0 else end * end)
        total = total + b * power * (slope - rising * log)
        for m in (2 * j + 1, 2 * j + 2):
            rising, slope = rising * (s + m), slope * (s + m) + rising
    return total


def polygamma_of_arrays(n: Any, x: Any) -> Any:
    """sc.polygamma, and of complex numbers, which it does not take, by n! * zeta(n + 1, x) and the
    formula of Euler and Maclaurin, from where the real part is large enough."""
    if np.result_type(x).kind != "c":
        return sc.polygamma(n, x)
    z, s = np.asarray(x, np.complex128), np.asarray(n) + 1.0
    terms = TERMS + math.ceil(max(0.0, -np.min(z.real, initial=0.0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        end, rising = z + terms, s
        power = end**-s
        total = sum((z + k) ** -s for k in range(terms)) + power * (end / (s - 1) + 0.5)
        for j, b in enumerate(BERNOULLI):
            power = power / (end if j == 0 else end * end)
            total = total + b * rising * power
            rising = rising * (s + (2 * j + 1)) * (s + (2 * j + 2))
        found = np.where(np.equal(s, 1), sc.digamma(z), (1 - 2 * (s % 2)) * sc.gamma(s) * total)
    return found.astype(np.result_type(x))
