"""The distributions of scipy.stats as formulas: an entry for each, of the standard form."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.scipy.special.ufuncs import sc

Formula = Callable[..., Any]

INF, LOG_2, LOG_PI = math.inf, math.log(2), math.log(math.pi)
LOG_SQRT_2PI, SQRT_HALF = 0.5 * math.log(2 * math.pi), math.sqrt(0.5)


def everywhere(*shapes: Any) -> tuple[Any, Any]:
    return -INF, INF


def positive(*shapes: Any) -> tuple[Any, Any]:
    return 0.0, INF


def unit(*shapes: Any) -> tuple[Any, Any]:
    return 0.0, 1.0


def above_zero(*shapes: Any) -> Any:
    """Whether the shapes are allowed: as a rule, where they are positive."""
    valid: Any = True
    for shape in shapes:
        valid = np.logical_and(valid, np.greater(shape, 0))
    return valid


@dataclass(frozen=True)
class Formulas:
    """Functions of z = (x - loc) / scale and the shapes; ppf and isf, of a probability.

    `support` gives the interval in which the density is not 0. Functions that are not given are
    derived from the others: `sf` is 1 - cdf, `logcdf` and `logsf` are logarithms. `open_end`: the
    density is 0 at the lower end of the support, where its formula is not defined.
    """

    log: Formula
    cdf: Formula
    sf: Formula
    ppf: Formula | None = None
    isf: Formula | None = None
    logcdf: Formula | None = None
    logsf: Formula | None = None
    support: Formula = positive
    valid: Formula = above_zero
    open_end: bool = False


def normal(z: Any) -> Any:
    return -0.5 * z * z - LOG_SQRT_2PI


def log_normal_mass(a: Any, b: Any) -> Any:
    """The logarithm of ndtr(b) - ndtr(a), both taken to the left of 0 where they are right."""
    right = np.greater(a, 0)
    low, high = np.where(right, -b, a), np.where(right, -a, b)
    all_above, none_below = np.equal(high, INF), np.equal(low, -INF)
    high = np.where(all_above, 0.0, high)  # no derivative is taken at infinity
    top = np.where(all_above, 0.0, sc.log_ndtr(high))
    below = sc.log_ndtr(np.where(none_below, high - 1.0, low))
    return np.where(none_below, top, top + np.log1p(-np.exp(below - top)))


def laplace(z: Any) -> Any:
    """The distribution function, which has a derivative at 0 as well."""
    left = np.less(z, 0)
    low, high = np.where(left, z, 0.0), np.where(left, 0.0, z)
    return np.where(left, 0.5 * np.exp(low), 1 - 0.5 * np.exp(-high))


def cauchy_quantile(q: Any) -> Any:
    """-1 / tan(pi * q), where pi * q is not near pi, and so not rounded near the pole."""
    right = np.greater(q, 0.5)
    return np.where(right, 1.0, -1.0) / np.tan(np.pi * np.where(right, 1 - q, q))


def student(z: Any, df: Any) -> Any:
    limit = np.isinf(df)
    v = np.where(limit, 1.0, df)
    log = -sc.betaln(v / 2, 0.5) - 0.5 * np.log(v) - (v + 1) / 2 * np.log1p(z * z / v)
    return np.where(limit, normal(z), log)


def log_power(z: Any, c: Any) -> Any:
    """log1p(c * z) / c, which is z at c = 0, with its derivatives by c there."""
    near = np.less(np.absolute(c * z), 0.5)
    small, large = np.where(near, c * z, 0.0), np.where(near, 1.0, c * z)
    series = z * sc.hyp2f1(1, 1, 2, -small)
    return np.where(near, series, np.log1p(large) / np.where(near, 1.0, c))


def ends_of_extreme(c: Any) -> tuple[Any, Any]:
    none = np.equal(c, 0)
    end = 1 / np.where(none, 1.0, c)
    return np.where(np.less(c, 0), end, -INF), np.where(np.greater(c, 0), end, INF)


def ends_of_pareto(c: Any) -> tuple[Any, Any]:
    below = np.less(c, 0)
    return 0.0, np.where(below, -1 / np.where(below, c, 1.0), INF)


def log_1_exp(z: Any) -> Any:
    """log(1 - exp(z)) for z < 0."""
    near = np.greater(z, -LOG_2)
    return np.where(
        near,
        np.log(-np.expm1(np.where(near, z, -1.0))),
        np.log1p(-np.exp(np.where(near, -1.0, z))),
    )


def inverse_gauss_tail(z: Any, mu: Any) -> Any:
    """exp(2 / mu) * ndtr(-(z + mu) / (mu * sqrt(z))), as a logarithm."""
    return 2 / mu + sc.log_ndtr(-(z / mu + 1) / np.sqrt(z))


# Continuous distributions

CONTINUOUS: dict[str, Formulas] = {
    "norm": Formulas(
        lambda z: normal(z),
        lambda z: sc.ndtr(z),
        lambda z: sc.ndtr(-z),
        lambda q: sc.ndtri(q),
        lambda q: -sc.ndtri(q),
        lambda z: sc.log_ndtr(z),
        lambda z: sc.log_ndtr(-z),
        everywhere,
    ),
    "lognorm": Formulas(
        lambda z, s: -0.5 * (np.log(z) / s) ** 2 - np.log(s * z) - LOG_SQRT_2PI,
        lambda z, s: sc.ndtr(np.log(z) / s),
        lambda z, s: sc.ndtr(-np.log(z) / s),
        lambda q, s: np.exp(s * sc.ndtri(q)),
        lambda q, s: np.exp(-s * sc.ndtri(q)),
        lambda z, s: sc.log_ndtr(np.log(z) / s),
        lambda z, s: sc.log_ndtr(-np.log(z) / s),
        open_end=True,
    ),
    "halfnorm": Formulas(
        lambda z: 0.5 * (LOG_2 - LOG_PI) - 0.5 * z * z,
        lambda z: sc.erf(SQRT_HALF * z),
        lambda z: sc.erfc(SQRT_HALF * z),
        lambda q: sc.erfinv(q) / SQRT_HALF,
        lambda q: sc.erfcinv(q) / SQRT_HALF,
    ),
    "truncnorm": Formulas(
        lambda z, a, b: normal(z) - log_normal_mass(a, b),
        lambda z, a, b: np.exp(log_normal_mass(a, z) - log_normal_mass(a, b)),
        lambda z, a, b: np.exp(log_normal_mass(z, b) - log_normal_mass(a, b)),
        logcdf=lambda z, a, b: log_normal_mass(a, z) - log_normal_mass(a, b),
        logsf=lambda z, a, b: log_normal_mass(z, b) - log_normal_mass(a, b),
        support=lambda a, b: (a, b),
        valid=lambda a, b: np.less(a, b),
    ),
    "skewnorm": Formulas(
        lambda z, a: LOG_2 + normal(z) + sc.log_ndtr(a * z),
        lambda z, a: sc.ndtr(z) - 2 * sc.owens_t(z, a),
        lambda z, a: sc.ndtr(-z) + 2 * sc.owens_t(z, a),
        support=everywhere,
        valid=lambda a: np.isfinite(a),
    ),
    "expon": Formulas(
        lambda z: -z,
        lambda z: -np.expm1(-z),
        lambda z: np.exp(-z),
        lambda q: -np.log1p(-q),
        lambda q: -np.log(q),
        logsf=lambda z: -z,
    ),
    "gamma": Formulas(
        lambda z, a: sc.xlogy(a - 1.0, z) - z - sc.gammaln(a),
        lambda z, a: sc.gammainc(a, z),
        lambda z, a: sc.gammaincc(a, z),
        lambda q, a: sc.gammaincinv(a, q),
        lambda q, a: sc.gammainccinv(a, q),
    ),
    "loggamma": Formulas(
        lambda z, c: c * z - np.exp(z) - sc.gammaln(c),
        lambda z, c: sc.gammainc(c, np.exp(z)),
        lambda z, c: sc.gammaincc(c, np.exp(z)),
        lambda q, c: np.log(sc.gammaincinv(c, q)),
        lambda q, c: np.log(sc.gammainccinv(c, q)),
        support=everywhere,
    ),
    "invgamma": Formulas(
        lambda z, a: -(a + 1) * np.log(z) - sc.gammaln(a) - 1 / z,
        lambda z, a: sc.gammaincc(a, 1 / z),
        lambda z, a: sc.gammainc(a, 1 / z),
        lambda q, a: 1 / sc.gammainccinv(a, q),
        lambda q, a: 1 / sc.gammaincinv(a, q),
        open_end=True,
    ),
    "invgauss": Formulas(
        lambda z, mu: -LOG_SQRT_2PI - 1.5 * np.log(z) - ((z - mu) / mu) ** 2 / (2 * z),
        lambda z, mu: sc.ndtr((z / mu - 1) / np.sqrt(z)) + np.exp(inverse_gauss_tail(z, mu)),
        lambda z, mu: sc.ndtr((1 - z / mu) / np.sqrt(z)) - np.exp(inverse_gauss_tail(z, mu)),
        open_end=True,
    ),
    "beta": Formulas(
        lambda z, a, b: sc.xlog1py(b - 1.0, -z) + sc.xlogy(a - 1.0, z) - sc.betaln(a, b),
        lambda z, a, b: sc.betainc(a, b, z),
        lambda z, a, b: sc.betaincc(a, b, z),
        lambda q, a, b: sc.betaincinv(a, b, q),
        lambda q, a, b: sc.betainccinv(a, b, q),
        support=unit,
    ),
    "t": Formulas(
        student,
        lambda z, df: sc.stdtr(df, z),
        lambda z, df: sc.stdtr(df, -z),
        lambda q, df: sc.stdtrit(df, q),
        lambda q, df: -sc.stdtrit(df, q),
        support=everywhere,
    ),
    "chi2": Formulas(
        lambda z, df: sc.xlogy(df / 2 - 1, z) - z / 2 - sc.gammaln(df / 2) - LOG_2 * df / 2,
        lambda z, df: sc.chdtr(df, z),
        lambda z, df: sc.chdtrc(df, z),
        lambda q, df: 2 * sc.gammaincinv(df / 2, q),
        lambda q, df: sc.chdtri(df, q),
    ),
    "chi": Formulas(
        lambda z, df: LOG_2 * (1 - df / 2) - sc.gammaln(df / 2) + sc.xlogy(df - 1.0, z) - z * z / 2,
        lambda z, df: sc.gammainc(df / 2, z * z / 2),
        lambda z, df: sc.gammaincc(df / 2, z * z / 2),
        lambda q, df: np.sqrt(2 * sc.gammaincinv(df / 2, q)),
        lambda q, df: np.sqrt(2 * sc.gammainccinv(df / 2, q)),
    ),
    "f": Formulas(
        lambda z, n, d: (
            d / 2 * np.log(d)
            + n / 2 * np.log(n)
            + sc.xlogy(n / 2 - 1, z)
            - (n + d) / 2 * np.log(d + n * z)
            - sc.betaln(n / 2, d / 2)
        ),
        lambda z, n, d: sc.fdtr(n, d, z),
        lambda z, n, d: sc.fdtrc(n, d, z),
        lambda q, n, d: sc.betaincinv(n / 2, d / 2, q) / sc.betainccinv(d / 2, n / 2, q) * d / n,
        lambda q, n, d: sc.betainccinv(n / 2, d / 2, q) / sc.betaincinv(d / 2, n / 2, q) * d / n,
    ),
    "cauchy": Formulas(
        lambda z: -LOG_PI - np.log1p(z * z),
        lambda z: np.arctan2(1, -z) / np.pi,
        lambda z: np.arctan2(1, z) / np.pi,
        lambda q: cauchy_quantile(q),
        lambda q: -cauchy_quantile(q),
        support=everywhere,
    ),
    "halfcauchy": Formulas(
        lambda z: LOG_2 - LOG_PI - np.log1p(z * z),
        lambda z: 2 / np.pi * np.arctan(z),
        lambda z: 2 / np.pi * np.arctan2(1, z),
        lambda q: np.tan(np.pi / 2 * q),
        lambda q: 1 / np.tan(np.pi / 2 * q),
    ),
    "laplace": Formulas(
        lambda z: -LOG_2 - np.absolute(z),
        lambda z: laplace(z),
        lambda z: laplace(-z),
        lambda q: np.where(np.greater(q, 0.5), -np.log(2 * (1 - q)), np.log(2 * q)),
        lambda q: np.where(np.greater(q, 0.5), np.log(2 * (1 - q)), -np.log(2 * q)),
        support=everywhere,
    ),
    "logistic": Formulas(
        lambda z: sc.log_expit(z) + sc.log_expit(-z),
        lambda z: sc.expit(z),
        lambda z: sc.expit(-z),
        lambda q: sc.logit(q),
        lambda q: -sc.logit(q),
        lambda z: sc.log_expit(z),
        lambda z: sc.log_expit(-z),
        everywhere,
    ),
    "fisk": Formulas(
        lambda z, c: np.log(c) + sc.xlogy(c - 1.0, z) - 2 * np.log1p(z**c),
        lambda z, c: sc.expit(c * np.log(z)),
        lambda z, c: sc.expit(-c * np.log(z)),
        lambda q, c: np.exp(sc.logit(q) / c),
        lambda q, c: np.exp(-sc.logit(q) / c),
    ),
    "uniform": Formulas(
        lambda z: 0.0 * z,
        lambda z: z,
        lambda z: 1 - z,
        lambda q: q,
        lambda q: 1 - q,
        support=unit,
    ),
    "loguniform": Formulas(
        lambda z, a, b: -np.log(z) - np.log(np.log(b / a)),
        lambda z, a, b: np.log(z / a) / np.log(b / a),
        lambda z, a, b: np.log(b / z) / np.log(b / a),
        lambda q, a, b: a * (b / a) ** q,
        lambda q, a, b: b * (a / b) ** q,
        support=lambda a, b: (a, b),
        valid=lambda a, b: np.logical_and(np.greater(a, 0), np.less(a, b)),
    ),
    "powerlaw": Formulas(
        lambda z, a: np.log(a) + sc.xlogy(a - 1.0, z),
        lambda z, a: z**a,
        lambda z, a: -np.expm1(a * np.log(z)),
        lambda q, a: q ** (1 / a),
        logcdf=lambda z, a: a * np.log(z),
        support=unit,
    ),
    "weibull_min": Formulas(
        lambda z, c: np.log(c) + sc.xlogy(c - 1.0, z) - z**c,
        lambda z, c: -np.expm1(-(z**c)),
        lambda z, c: np.exp(-(z**c)),
        lambda q, c: (-np.log1p(-q)) ** (1 / c),
        lambda q, c: (-np.log(q)) ** (1 / c),
        logsf=lambda z, c: -(z**c),
    ),
    "weibull_max": Formulas(
        lambda z, c: np.log(c) + sc.xlogy(c - 1.0, -z) - (-z) ** c,
        lambda z, c: np.exp(-((-z) ** c)),
        lambda z, c: -np.expm1(-((-z) ** c)),
        lambda q, c: -((-np.log(q)) ** (1 / c)),
        lambda q, c: -((-np.log1p(-q)) ** (1 / c)),
        logcdf=lambda z, c: -((-z) ** c),
        support=lambda c: (-INF, 0.0),
    ),
    "invweibull": Formulas(
        lambda z, c: np.log(c) - (c + 1) * np.log(z) - z**-c,
        lambda z, c: np.exp(-(z**-c)),
        lambda z, c: -np.expm1(-(z**-c)),
        lambda q, c: (-np.log(q)) ** (-1 / c),
        lambda q, c: (-np.log1p(-q)) ** (-1 / c),
        logcdf=lambda z, c: -(z**-c),
        open_end=True,
    ),
    "gumbel_r": Formulas(
        lambda z: -z - np.exp(-z),
        lambda z: np.exp(-np.exp(-z)),
        lambda z: -np.expm1(-np.exp(-z)),
        lambda q: -np.log(-np.log(q)),
        lambda q: -np.log(-np.log1p(-q)),
        logcdf=lambda z: -np.exp(-z),
        support=everywhere,
    ),
    "gumbel_l": Formulas(
        lambda z: z - np.exp(z),
        lambda z: -np.expm1(-np.exp(z)),
        lambda z: np.exp(-np.exp(z)),
        lambda q: np.log(-np.log1p(-q)),
        lambda q: np.log(-np.log(q)),
        logsf=lambda z: -np.exp(z),
        support=everywhere,
    ),
    "gompertz": Formulas(
        lambda z, c: np.log(c) + z - c * np.expm1(z),
        lambda z, c: -np.expm1(-c * np.expm1(z)),
        lambda z, c: np.exp(-c * np.expm1(z)),
        lambda q, c: np.log1p(-np.log1p(-q) / c),
        lambda q, c: np.log1p(-np.log(q) / c),
        logsf=lambda z, c: -c * np.expm1(z),
    ),
    "pareto": Formulas(
        lambda z, b: np.log(b) - (b + 1) * np.log(z),
        lambda z, b: -np.expm1(-b * np.log(z)),
        lambda z, b: z**-b,
        lambda q, b: (1 - q) ** (-1 / b),
        lambda q, b: q ** (-1 / b),
        logsf=lambda z, b: -b * np.log(z),
        support=lambda b: (1.0, INF),
    ),
    "lomax": Formulas(
        lambda z, c: np.log(c) - (c + 1) * np.log1p(z),
        lambda z, c: -np.expm1(-c * np.log1p(z)),
        lambda z, c: np.exp(-c * np.log1p(z)),
        lambda q, c: np.expm1(-np.log1p(-q) / c),
        lambda q, c: np.expm1(-np.log(q) / c),
        logsf=lambda z, c: -c * np.log1p(z),
    ),
    "rayleigh": Formulas(
        lambda z: np.log(z) - z * z / 2,
        lambda z: -np.expm1(-z * z / 2),
        lambda z: np.exp(-z * z / 2),
        lambda q: np.sqrt(-2 * np.log1p(-q)),
        lambda q: np.sqrt(-2 * np.log(q)),
        logsf=lambda z: -z * z / 2,
    ),
    "maxwell": Formulas(
        lambda z: 0.5 * (LOG_2 - LOG_PI) + 2 * np.log(z) - z * z / 2,
        lambda z: sc.gammainc(1.5, z * z / 2),
        lambda z: sc.gammaincc(1.5, z * z / 2),
        lambda q: np.sqrt(2 * sc.gammaincinv(1.5, q)),
        lambda q: np.sqrt(2 * sc.gammainccinv(1.5, q)),
    ),
    "nakagami": Formulas(
        lambda z, nu: (
            LOG_2 + sc.xlogy(nu, nu) - sc.gammaln(nu) + sc.xlogy(2 * nu - 1, z) - nu * z * z
        ),
        lambda z, nu: sc.gammainc(nu, nu * z * z),
        lambda z, nu: sc.gammaincc(nu, nu * z * z),
        lambda q, nu: np.sqrt(sc.gammaincinv(nu, q) / nu),
        lambda q, nu: np.sqrt(sc.gammainccinv(nu, q) / nu),
    ),
    "levy": Formulas(
        lambda z: -LOG_SQRT_2PI - 1.5 * np.log(z) - 0.5 / z,
        lambda z: sc.erfc(SQRT_HALF / np.sqrt(z)),
        lambda z: sc.erf(SQRT_HALF / np.sqrt(z)),
        lambda q: sc.ndtri(q / 2) ** -2,
        lambda q: 0.5 / sc.erfinv(q) ** 2,
        open_end=True,
    ),
    # With w = -log1p(-c z) / c, which is z at c = 0: that of gumbel_r.
    "genextreme": Formulas(
        lambda z, c: -np.exp(-log_power(z, -c)) - (1 - c) * log_power(z, -c),
        lambda z, c: np.exp(-np.exp(-log_power(z, -c))),
        lambda z, c: -np.expm1(-np.exp(-log_power(z, -c))),
        lambda q, c: -sc.boxcox(-np.log(q), c),
        lambda q, c: -sc.boxcox(-np.log1p(-q), c),
        logcdf=lambda z, c: -np.exp(-log_power(z, -c)),
        support=ends_of_extreme,
        valid=lambda c: np.isfinite(c),
    ),
    "genpareto": Formulas(
        lambda z, c: -(c + 1) * log_power(z, c),
        lambda z, c: -np.expm1(-log_power(z, c)),
        lambda z, c: np.exp(-log_power(z, c)),
        lambda q, c: sc.boxcox(1 / (1 - q), c),
        lambda q, c: sc.boxcox(1 / q, c),
        logsf=lambda z, c: -log_power(z, c),
        support=ends_of_pareto,
        valid=lambda c: np.isfinite(c),
    ),
}


# Discrete distributions, of an integer k


def probability(p: Any) -> Any:
    return np.logical_and(np.greater_equal(p, 0), np.less_equal(p, 1))


def log_binomial(k: Any, n: Any, p: Any) -> Any:
    count = sc.gammaln(n + 1) - sc.gammaln(k + 1) - sc.gammaln(n - k + 1)
    return count + sc.xlogy(k, p) + sc.xlog1py(n - k, -p)


DISCRETE: dict[str, Formulas] = {
    "poisson": Formulas(
        lambda k, mu: sc.xlogy(k, mu) - sc.gammaln(k + 1) - mu,
        lambda k, mu: sc.gammaincc(k + 1, mu),
        lambda k, mu: sc.gammainc(k + 1, mu),
        valid=lambda mu: np.greater_equal(mu, 0),
    ),
    "binom": Formulas(
        log_binomial,
        lambda k, n, p: sc.betaincc(k + 1, n - k, p),
        lambda k, n, p: sc.betainc(k + 1, n - k, p),
        support=lambda n, p: (0.0, n),
        valid=lambda n, p: np.logical_and(np.greater_equal(n, 0), probability(p)),
    ),
    "bernoulli": Formulas(
        lambda k, p: log_binomial(k, 1.0, p),
        lambda k, p: sc.betaincc(k + 1, 1 - k, p),
        lambda k, p: sc.betainc(k + 1, 1 - k, p),
        support=unit,
        valid=probability,
    ),
    "nbinom": Formulas(
        lambda k, n, p: (
            sc.gammaln(n + k)
            - sc.gammaln(k + 1)
            - sc.gammaln(n)
            + n * np.log(p)
            + sc.xlog1py(k, -p)
        ),
        lambda k, n, p: sc.betainc(n, k + 1, p),
        lambda k, n, p: sc.betaincc(n, k + 1, p),
        valid=lambda n, p: np.logical_and(above_zero(n, p), np.less_equal(p, 1)),
    ),
    "geom": Formulas(
        lambda k, p: sc.xlog1py(k - 1, -p) + np.log(p),
        lambda k, p: -np.expm1(k * np.log1p(-p)),
        lambda k, p: np.exp(k * np.log1p(-p)),
        logsf=lambda k, p: k * np.log1p(-p),
        support=lambda p: (1.0, INF),
        valid=lambda p: np.logical_and(np.greater(p, 0), np.less_equal(p, 1)),
    ),
}
