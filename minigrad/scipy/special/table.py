"""The ufuncs of scipy.special with their derivatives: an entry for each.

NumPy hands these functions to Tensors itself, so that `scipy.special.gamma(t)` works as it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minigrad.dispatch import implementations, implements, refusals
from minigrad.errors import UnsupportedError
from minigrad.numpy_protocol.ufuncs import outer
from minigrad.ops.base import Domain, Op, Rule
from minigrad.scipy.special.parameters import (
    betainc_by_a,
    betainc_by_b,
    ellipeinc_by_m,
    ellipkinc_by_m,
    elliprd_by_x,
    elliprd_by_z,
    elliprj_by_p,
    elliprj_by_x,
    gammainc_by_a,
    kve_by_v,
    polygamma_of_arrays,
    zeta_by_s,
)
from minigrad.scipy.special.ufuncs import UFUNCS, sc

Derivative = Callable[..., Any]

ANY, POSITIVE, UNIT, INSIDE = Domain(), Domain(0.3, 3.0), Domain(0.1, 0.9), Domain(-0.9, 0.9)
NOT_ZERO, ABOVE_ONE = Domain(away=(0,)), Domain(1.2, 3.0)
COUNT = Domain(0, 5, dtype=int)
PI, SQRT_PI, SQRT_2PI = math.pi, math.sqrt(math.pi), math.sqrt(2 * math.pi)
SQRT_HALF, DEGREE, LOG_2, LOG_10 = math.sqrt(0.5), math.pi / 180, math.log(2), math.log(10)


def special(
    name: str,
    *derivatives: Derivative | None,
    domains: tuple[Domain, ...] = (ANY,),
    forward: Callable[..., Any] | None = None,
) -> Op:
    """The op of a function of scipy.special, elementwise.

    Args:
        name: SciPy's. For a ufunc, the op is registered under it.
        derivatives: by each argument, as functions of the result and all arguments. None: there is
            none that minigrad knows, and to ask for it is an error.
        domains: from which tests draw the arguments, each.
        forward: what to compute, if it is not the ufunc.
    """
    ufunc: Any = vars(sc).get(name)
    several = len(domains) > 1
    rules = tuple(
        unknown(name, k) if derivative is None else rule_of(derivative)
        for k, derivative in enumerate(derivatives)
    )
    places = ", ".join(f"{{{k}}}" for k in range(len(domains)))
    op = Op(
        "binary" if several else "unary",
        f"scipy.special.{name}",
        forward or ufunc,
        rules,
        f"{name.replace('[', '_').removesuffix(']')}({places})",  # airy[1] as airy_1
        None,
        domains,
        several,
        "symmetric",
    )
    if forward is None:
        implements(ufunc)(op)
        if len(domains) == 2:
            implements(ufunc.outer)(partial(outer, ufunc))
    return op


def rule_of(derivative: Derivative) -> Rule:
    return lambda g, y, *inputs: g * derivative(y, *inputs)


def unknown(name: str, k: int) -> Rule:
    """The rule for an argument by which the derivative is not known: an error."""

    def refuse(g: Any, y: Any, *inputs: Any) -> Any:
        place = re.findall(r"\w+", signature_of(name))[1:][k : k + 1]
        raise UnsupportedError(
            f"scipy.special.{name} has no derivative that minigrad knows by argument {k}"
            f"{f' ({place[0]})' if place else ''}: give that one as a number, an array, or "
            "t.detach(), or find it by a method without gradients"
        )

    return refuse


def signature_of(name: str) -> str:
    """The call of a function of SciPy as its documentation has it, `gammainc(a, x, ...`."""
    lines = (getattr(sc, name.split("[")[0]).__doc__ or "").splitlines()
    return next((x.strip() for x in lines if x.strip().startswith(name) and "x1" not in x), "")


# Gamma


def rgamma_derivative(y: Any, x: Any) -> Any:
    """-psi(x) / gamma(x); for small x by the reflection formula, which has no poles."""
    left = np.less(x, 0.5)
    z, right = np.where(left, x, 0.25), np.where(left, 0.5, x)
    slope = np.cos(PI * z) - np.sin(PI * z) / PI * sc.digamma(1 - z)
    return np.where(left, sc.gamma(1 - z) * slope, -sc.rgamma(right) * sc.digamma(right))


def times_psi(y: Any, n: Any, x: Any, other: Any) -> Any:
    """y * psi(x) with y = gamma(n + 1) / gamma(x) / gamma(other), and its limit at the poles."""
    pole = np.logical_and(np.less_equal(x, 0), np.equal(x, np.floor(x)))
    front = sc.gamma(np.where(pole, n + 1, 1.0)) * sc.rgamma(np.where(pole, other, 1.0))
    limit = -front * rgamma_derivative(None, np.where(pole, x, 0.0))
    return np.where(pole, limit, y * sc.digamma(np.where(pole, 1.0, x)))


def polygamma_next(y: Any, n: Any, x: Any) -> Any:
    return polygamma_op(n + 1, x)


special("gamma", lambda y, x: y * sc.digamma(x), domains=(POSITIVE,))
special("gammaln", lambda y, x: sc.digamma(x), domains=(POSITIVE,))
special("loggamma", lambda y, x: sc.digamma(x), domains=(POSITIVE,))
special("gammasgn", domains=(POSITIVE,))
special("rgamma", rgamma_derivative)
special("digamma", lambda y, x: polygamma_op(1, x), domains=(POSITIVE,))
polygamma_op: Op = special(
    "polygamma", None, polygamma_next, domains=(COUNT, POSITIVE), forward=polygamma_of_arrays
)
special(
    "poch",
    lambda y, z, m: y * (sc.digamma(z + m) - sc.digamma(z)),
    lambda y, z, m: y * sc.digamma(z + m),
    domains=(POSITIVE, POSITIVE),
)
special(
    "beta",
    lambda y, a, b: y * (sc.digamma(a) - sc.digamma(a + b)),
    lambda y, a, b: y * (sc.digamma(b) - sc.digamma(a + b)),
    domains=(POSITIVE, POSITIVE),
)
special(
    "betaln",
    lambda y, a, b: sc.digamma(a) - sc.digamma(a + b),
    lambda y, a, b: sc.digamma(b) - sc.digamma(a + b),
    domains=(POSITIVE, POSITIVE),
)
special(
    "binom",
    lambda y, n, k: y * sc.digamma(n + 1) - times_psi(y, n, n - k + 1, k + 1),
    lambda y, n, k: times_psi(y, n, n - k + 1, k + 1) - times_psi(y, n, k + 1, n - k + 1),
    domains=(Domain(3.1, 5.0), POSITIVE),
)


def gamma_density(a: Any, x: Any) -> Any:
    return np.exp(sc.xlogy(a - 1, x) - x - sc.gammaln(a))


def beta_density(a: Any, b: Any, x: Any) -> Any:
    return np.exp(sc.xlogy(a - 1, x) + sc.xlog1py(b - 1, -x) - sc.betaln(a, b))


special("gammainc", lambda y, a, x: gammainc_by_a(a, x), lambda y, a, x: gamma_density(a, x),
        domains=(POSITIVE, POSITIVE))  # fmt: skip
special("gammaincc", lambda y, a, x: -gammainc_by_a(a, x), lambda y, a, x: -gamma_density(a, x),
        domains=(POSITIVE, POSITIVE))  # fmt: skip
# Of an inverse: P(a, y) = p stays as it is where a and y change.
special(
    "gammaincinv",
    lambda y, a, p: -gammainc_by_a(a, y) / gamma_density(a, y),
    lambda y, a, p: 1 / gamma_density(a, y),
    domains=(POSITIVE, UNIT),
)
special(
    "gammainccinv",
    lambda y, a, p: -gammainc_by_a(a, y) / gamma_density(a, y),
    lambda y, a, p: -1 / gamma_density(a, y),
    domains=(POSITIVE, UNIT),
)
BETA_DOMAINS = (POSITIVE, POSITIVE, UNIT)
special(
    "betainc",
    lambda y, a, b, x: betainc_by_a(a, b, x),
    lambda y, a, b, x: betainc_by_b(a, b, x),
    lambda y, a, b, x: beta_density(a, b, x),
    domains=BETA_DOMAINS,
)
special(
    "betaincc",
    lambda y, a, b, x: -betainc_by_a(a, b, x),
    lambda y, a, b, x: -betainc_by_b(a, b, x),
    lambda y, a, b, x: -beta_density(a, b, x),
    domains=BETA_DOMAINS,
)
special(
    "betaincinv",
    lambda y, a, b, p: -betainc_by_a(a, b, y) / beta_density(a, b, y),
    lambda y, a, b, p: -betainc_by_b(a, b, y) / beta_density(a, b, y),
    lambda y, a, b, p: 1 / beta_density(a, b, y),
    domains=BETA_DOMAINS,
)
special(
    "betainccinv",
    lambda y, a, b, p: -betainc_by_a(a, b, y) / beta_density(a, b, y),
    lambda y, a, b, p: -betainc_by_b(a, b, y) / beta_density(a, b, y),
    lambda y, a, b, p: -1 / beta_density(a, b, y),
    domains=BETA_DOMAINS,
)

# Error functions and the normal distribution


def log_ndtr_derivative(x: Any) -> Any:
    """The normal density over its integral, without cancellation in the tails."""
    return (2 * SQRT_HALF / SQRT_PI) / sc.erfcx(-SQRT_HALF * x)


special("erf", lambda y, x: 2 / SQRT_PI * np.exp(-x * x))
special("erfc", lambda y, x: -2 / SQRT_PI * np.exp(-x * x))
special("erfcx", lambda y, x: 2 * (x * y) - 2 / SQRT_PI)
special("erfi", lambda y, x: 2 / SQRT_PI * np.exp(x * x))
special("erfinv", lambda y, x: SQRT_PI / 2 * np.exp(y * y), domains=(INSIDE,))
special("erfcinv", lambda y, x: -SQRT_PI / 2 * np.exp(y * y), domains=(Domain(0.1, 1.9),))
special("dawsn", lambda y, x: 1 - 2 * (x * y))
special("wofz", lambda y, x: 2j / SQRT_PI - 2 * (x * y))
special("ndtr", lambda y, x: np.exp(-0.5 * x * x) / SQRT_2PI)
special("log_ndtr", lambda y, x: log_ndtr_derivative(x))
special("ndtri", lambda y, x: SQRT_2PI * np.exp(0.5 * y * y), domains=(UNIT,))
special("ndtri_exp", lambda y, x: 1 / log_ndtr_derivative(y), domains=(Domain(-3.0, -0.2),))
special(
    "owens_t",
    lambda y, h, a: -0.5 / SQRT_2PI * np.exp(-0.5 * h * h) * sc.erf(SQRT_HALF * (a * h)),
    lambda y, h, a: np.exp(-0.5 * (h * h) * (1 + a * a)) / (2 * PI * (1 + a * a)),
    domains=(ANY, ANY),
)


def voigt_slope(x: Any, sigma: Any, gamma: Any, by: Derivative) -> Any:
    """The profile is real(wofz(z)) / (sigma * SQRT_2PI); `by` is the derivative of z."""
    z = (x + 1j * gamma) * (SQRT_HALF / sigma)
    slope = 2j / SQRT_PI - 2 * (z * sc.wofz(z))
    return np.real(slope * by(z, sigma)) / (sigma * SQRT_2PI)


special(
    "voigt_profile",
    lambda y, x, sigma, gamma: voigt_slope(x, sigma, gamma, lambda z, s: SQRT_HALF / s),
    lambda y, x, sigma, gamma: voigt_slope(x, sigma, gamma, lambda z, s: -z / s) - y / sigma,
    lambda y, x, sigma, gamma: voigt_slope(x, sigma, gamma, lambda z, s: 1j * SQRT_HALF / s),
    domains=(ANY, POSITIVE, POSITIVE),
)

# Bessel functions: by the argument, from the orders beside it

BESSEL_DOMAINS = (Domain(0.3, 3.2), POSITIVE)


def bessel(
    name: str, above: float, below: float, rest: Derivative | None = None, like: str = ""
) -> Op:
    """f(v, x) of which the derivative by x is below * f(v-1, x) + above * f(v+1, x) + rest."""
    f = getattr(sc, like or name)

    def derivative(y: Any, v: Any, x: Any) -> Any:
        found = below * f(v - 1, x) + above * f(v + 1, x)
        return found if rest is None else found + rest(y, v, x)

    by_order = {"kv": lambda y, v, x: kve_by_v(v, x) * np.exp(-x),
                "kve": lambda y, v, x: kve_by_v(v, x)}  # fmt: skip
    whole = name in ("kn", "yn")
    domains = (COUNT if whole else BESSEL_DOMAINS[0], POSITIVE)
    return special(name, by_order.get(name), derivative, domains=domains)


def scaled(name: str, sign: float = 0.0) -> Derivative:
    """The rest of the derivative of a function that is scaled by the size of a part of x: it has
    none for complex x."""

    def rest(y: Any, v: Any, x: Any) -> Any:
        if y.dtype.kind == "c":
            raise UnsupportedError(
                f"scipy.special.{name} of complex numbers is not holomorphic: it is scaled by the "
                "size of their real or imaginary part. Use the function without scaling, times "
                "that factor"
            )
        return sign * np.sign(x) * y

    return rest


bessel("jv", -0.5, 0.5)
bessel("jve", -0.5, 0.5, scaled("jve"))
bessel("yv", -0.5, 0.5)
bessel("yve", -0.5, 0.5, scaled("yve"))
bessel("yn", -0.5, 0.5, like="yv")
bessel("iv", 0.5, 0.5)
bessel("ive", 0.5, 0.5, scaled("ive", -1.0))
bessel("kv", -0.5, -0.5)
bessel("kn", -0.5, -0.5, like="kv")
bessel("kve", -0.5, -0.5, lambda y, v, x: y)
bessel("hankel1", -0.5, 0.5)
bessel("hankel2", -0.5, 0.5)
bessel("hankel1e", -0.5, 0.5, lambda y, v, x: -1j * y)
bessel("hankel2e", -0.5, 0.5, lambda y, v, x: 1j * y)


def struve_rest(y: Any, v: Any, x: Any) -> Any:
    return (x / 2) ** v * (0.5 / SQRT_PI * sc.rgamma(v + 1.5))


bessel("struve", -0.5, 0.5, struve_rest)
bessel("modstruve", 0.5, 0.5, struve_rest)


# (2n + 1) times the derivative of a spherical Bessel function f(n, x) is, of n * f(n-1, x) and
# (n + 1) * f(n+1, x), the sum with these signs (DLMF 10.51.2 and 10.51.5).
SIGNS = {"jn": (1, -1), "yn": (1, -1), "in": (1, 1), "kn": (-1, -1)}


def spherical_slope(kind: str, n: Any, x: Any) -> Any:
    op, (below, above) = SPHERICAL[kind], SIGNS[kind]
    under, over = op(np.maximum(n - 1, 0), x), op(n + 1, x)
    return (below * n * under + above * (n + 1) * over) / (2 * n + 1)


def spherical(kind: str) -> Op:
    """A spherical Bessel function, f(n, x)."""
    function = getattr(sc, f"spherical_{kind}")
    return special(
        f"spherical_{kind}",
        None,
        lambda y, n, x: spherical_slope(kind, n, x),
        domains=(COUNT, POSITIVE),
        forward=lambda n, x: function(n, x),
    )


SPHERICAL = {kind: spherical(kind) for kind in SIGNS}

special("j0", lambda y, x: -sc.j1(x))
special("j1", lambda y, x: 0.5 * (sc.j0(x) - sc.jv(2, x)))
special("y0", lambda y, x: -sc.y1(x), domains=(POSITIVE,))
special("y1", lambda y, x: 0.5 * (sc.y0(x) - sc.yv(2, x)), domains=(POSITIVE,))
special("i0", lambda y, x: sc.i1(x))
special("i1", lambda y, x: 0.5 * (sc.i0(x) + sc.iv(2, x)))
special("i0e", lambda y, x: sc.i1e(x) - np.sign(x) * y, domains=(NOT_ZERO,))
special("i1e", lambda y, x: 0.5 * (sc.i0e(x) + sc.ive(2, x)) - np.sign(x) * y, domains=(NOT_ZERO,))
special("k0", lambda y, x: -sc.k1(x), domains=(POSITIVE,))
special("k1", lambda y, x: -0.5 * (sc.k0(x) + sc.kv(2, x)), domains=(POSITIVE,))
special("k0e", lambda y, x: y - sc.k1e(x), domains=(POSITIVE,))
special("k1e", lambda y, x: y - 0.5 * (sc.k0e(x) + sc.kve(2, x)), domains=(POSITIVE,))

# Logistic functions, entropies, losses, powers

special("expit", lambda y, x: y * (1 - y))
special("logit", lambda y, x: 1 / (x * (1 - x)), domains=(UNIT,))
special("log_expit", lambda y, x: sc.expit(-x))
special("exprel", lambda y, x: 0.5 * sc.hyp1f1(2, 3, x))
special("cosm1", lambda y, x: -np.sin(x))
special("exp2", lambda y, x: y * LOG_2)
special("exp10", lambda y, x: y * LOG_10)
special("expm1", lambda y, x: np.exp(x))
special("log1p", lambda y, x: 1 / (1 + x), domains=(Domain(-0.7, 2.0),))
special("cbrt", lambda y, x: y**-2 / 3, domains=(NOT_ZERO,))
special("round", domains=(Domain(away=(-1.5, -0.5, 0.5, 1.5)),))
special("sindg", lambda y, x: DEGREE * sc.cosdg(x))
special("cosdg", lambda y, x: -DEGREE * sc.sindg(x))
special("tandg", lambda y, x: DEGREE * (1 + y * y))
special("cotdg", lambda y, x: -DEGREE * (1 + y * y), domains=(POSITIVE,))
special(
    "radian",
    lambda y, d, m, s: DEGREE * np.ones_like(d),
    lambda y, d, m, s: DEGREE / 60 * np.ones_like(m),
    lambda y, d, m, s: DEGREE / 3600 * np.ones_like(s),
    domains=(ANY, ANY, ANY),
)


def quotient(x: Any, y: Any) -> Any:
    """x / y, and 0 at x = y = 0. Where x alone is 0, it has derivatives."""
    both = np.logical_and(np.equal(x, 0), np.equal(y, 0))
    return np.where(both, 0.0, x / np.where(both, 1.0, y))


special("xlogy", lambda z, x, y: np.log(y), lambda z, x, y: quotient(x, y), domains=(ANY, POSITIVE))
special(
    "xlog1py",
    lambda z, x, y: np.log1p(y),
    lambda z, x, y: quotient(x, 1 + y),
    domains=(ANY, Domain(-0.7, 2.0)),
)
special("entr", lambda y, x: -np.log(x) - 1, domains=(POSITIVE,))
special(
    "rel_entr",
    lambda z, x, y: np.log(x / y) + 1,
    lambda z, x, y: -x / y,
    domains=(POSITIVE, POSITIVE),
)
special(
    "kl_div",
    lambda z, x, y: np.log(x / y),
    lambda z, x, y: 1 - x / y,
    domains=(POSITIVE, POSITIVE),
)
special(
    "powm1",
    lambda z, x, y: y * x ** (y - 1.0),
    lambda z, x, y: (z + 1) * np.log(x),
    domains=(POSITIVE, ANY),
)


def box_by_lambda(log_x: Any, lmbda: Any) -> Any:
    """boxcox(x, lmbda) = log x * exprel(lmbda * log x)."""
    return 0.5 * log_x * log_x * sc.hyp1f1(2, 3, lmbda * log_x)


def box_inverse_by_lambda(y: Any, lmbda: Any) -> Any:
    """The derivative of log1p(lmbda * y) / lmbda = y * 2F1(1, 1; 2; -lmbda * y)."""
    return -0.5 * y * y * sc.hyp2f1(2, 2, 3, -lmbda * y)


special(
    "boxcox",
    lambda z, x, lmbda: x ** (lmbda - 1.0),
    lambda z, x, lmbda: box_by_lambda(np.log(x), lmbda),
    domains=(POSITIVE, ANY),
)
special(
    "boxcox1p",
    lambda z, x, lmbda: (1 + x) ** (lmbda - 1.0),
    lambda z, x, lmbda: box_by_lambda(np.log1p(x), lmbda),
    domains=(Domain(-0.5, 2.0), ANY),
)
special(
    "inv_boxcox",
    lambda z, y, lmbda: z ** (1.0 - lmbda),
    lambda z, y, lmbda: z * box_inverse_by_lambda(y, lmbda),
    domains=(Domain(-0.9, 0.9), Domain(-0.9, 0.9)),
)
special(
    "inv_boxcox1p",
    lambda z, y, lmbda: (1 + z) ** (1.0 - lmbda),
    lambda z, y, lmbda: (1 + z) * box_inverse_by_lambda(y, lmbda),
    domains=(Domain(-0.9, 0.9), Domain(-0.9, 0.9)),
)
special(
    "huber",
    lambda y, delta, r: np.maximum(np.absolute(r) - delta, 0),
    lambda y, delta, r: np.clip(r, -delta, delta),
    domains=(Domain(0.3, 0.6), Domain(0.7, 2.0)),
)


def root(delta: Any, r: Any) -> Any:
    return np.sqrt(1 + (r / delta) ** 2)


special(
    "pseudo_huber",
    lambda y, delta, r: 2 * y / delta - r * r / (delta * root(delta, r)),
    lambda y, delta, r: r / root(delta, r),
    domains=(POSITIVE, ANY),
)

# Zeta and polylogarithms; integrals of elementary functions


def zeta_derivative(s: Any) -> Any:
    """Of Riemann's zeta function; below 0 by the functional equation (DLMF 25.4.1)."""
    left, t = np.less(s, 0), np.where(np.less(s, 0), 1 - s, 2.0)
    u = 1 - t
    sine, cosine = np.sin(PI / 2 * u), np.cos(PI / 2 * u)
    slope = (math.log(2 * PI) * sine - sc.digamma(t) * sine + PI / 2 * cosine) * zeta_op(t, 1.0)
    slope = slope - sine * zeta_by_s(t, 1.0)
    reflected = 2.0**u * PI ** (u - 1) * sc.gamma(t) * slope
    return np.where(left, reflected, zeta_by_s(np.where(left, 2.0, s), 1.0))


zeta_op: Op = special(
    "zeta",
    lambda y, s, q: zeta_by_s(s, q),
    lambda y, s, q: -s * zeta_op(s + 1, q),
    domains=(Domain(1.5, 4.0), POSITIVE),
    forward=lambda s, q: sc.zeta(s, q),
)
riemann_op = special(
    "riemann_zeta",
    lambda y, s: zeta_derivative(s),
    domains=(Domain(-3.0, 4.0, away=(1,)),),
    forward=lambda s: sc.zeta(s),
)
special("zetac", lambda y, s: zeta_derivative(s), domains=(Domain(-3.0, 4.0, away=(1,)),))
special("spence", lambda y, x: -sc.hyp2f1(1, 1, 2, 1 - x), domains=(POSITIVE,))
special("exp1", lambda y, x: -np.exp(-x) / x, domains=(POSITIVE,))
special("expi", lambda y, x: np.exp(x) / x, domains=(POSITIVE,))


def expn_derivative(y: Any, n: Any, x: Any) -> Any:
    none = np.equal(n, 0)
    return -np.where(none, (np.exp(-x) + y) / x, sc.expn(np.where(none, 1, n - 1), x))


special("expn", None, expn_derivative, domains=(COUNT, POSITIVE))
special("wrightomega", lambda y, x: y / (1 + y))
lambertw_op = Op(
    "unary",
    "scipy.special.lambertw",
    sc.lambertw,
    (lambda g, y, x, k=0, tol=1e-8: g * (np.exp(-y) / (1 + y)),),
    "lambertw({0}, k={k})",
    None,
    (Domain(0.2, 3.0),),
)

# Elliptic integrals

special("ellipk", lambda y, m: sc.elliprd(0, 1, 1 - m) / 6, domains=(INSIDE,))
special("ellipkm1", lambda y, p: -sc.elliprd(0, 1, p) / 6, domains=(UNIT,))
special("ellipe", lambda y, m: -sc.elliprd(0, 1 - m, 1) / 6, domains=(INSIDE,))
special(
    "ellipkinc",
    lambda y, phi, m: 1 / np.sqrt(1 - m * np.sin(phi) ** 2),
    lambda y, phi, m: ellipkinc_by_m(phi, m),
    domains=(Domain(-1.4, 1.4), INSIDE),
)
special(
    "ellipeinc",
    lambda y, phi, m: np.sqrt(1 - m * np.sin(phi) ** 2),
    lambda y, phi, m: ellipeinc_by_m(phi, m),
    domains=(Domain(-1.4, 1.4), INSIDE),
)
special(
    "elliprc",
    lambda z, x, y: -sc.elliprd(y, y, x) / 6,
    lambda z, x, y: -sc.elliprd(x, y, y) / 3,
    domains=(POSITIVE, POSITIVE),
)
CARLSON = (POSITIVE, POSITIVE, POSITIVE)
special(
    "elliprf",
    lambda r, x, y, z: -sc.elliprd(y, z, x) / 6,
    lambda r, x, y, z: -sc.elliprd(x, z, y) / 6,
    lambda r, x, y, z: -sc.elliprd(x, y, z) / 6,
    domains=CARLSON,
)
special(
    "elliprd",
    lambda r, x, y, z: elliprd_by_x(x, y, z),
    lambda r, x, y, z: elliprd_by_x(y, x, z),
    lambda r, x, y, z: elliprd_by_z(x, y, z),
    domains=CARLSON,
)
special(
    "elliprg",
    lambda r, x, y, z: (sc.elliprf(x, y, z) - x / 3 * sc.elliprd(y, z, x)) / 4,
    lambda r, x, y, z: (sc.elliprf(x, y, z) - y / 3 * sc.elliprd(x, z, y)) / 4,
    lambda r, x, y, z: (sc.elliprf(x, y, z) - z / 3 * sc.elliprd(x, y, z)) / 4,
    domains=CARLSON,
)
special(
    "elliprj",
    lambda r, x, y, z, p: elliprj_by_x(x, y, z, p),
    lambda r, x, y, z, p: elliprj_by_x(y, x, z, p),
    lambda r, x, y, z, p: elliprj_by_x(z, x, y, p),
    lambda r, x, y, z, p: elliprj_by_p(x, y, z, p),
    domains=(*CARLSON, POSITIVE),
)
special(
    "agm",
    lambda z, x, y: 2 / (3 * PI) * (z * z) * x * sc.elliprd(0, y * y, x * x),
    lambda z, x, y: 2 / (3 * PI) * (z * z) * y * sc.elliprd(0, x * x, y * y),
    domains=(POSITIVE, POSITIVE),
)

# Hypergeometric functions, by the last argument

special(
    "hyp0f1",
    None,
    lambda y, v, z: sc.hyp0f1(v + 1, z) / v,
    domains=(POSITIVE, ANY),
)
special(
    "hyp1f1",
    None,
    None,
    lambda y, a, b, z: a / b * sc.hyp1f1(a + 1, b + 1, z),
    domains=(POSITIVE, POSITIVE, ANY),
)
special(
    "hyp2f1",
    None,
    None,
    None,
    lambda y, a, b, c, z: a * b / c * sc.hyp2f1(a + 1, b + 1, c + 1, z),
    domains=(POSITIVE, POSITIVE, POSITIVE, Domain(-0.8, 0.8)),
)
special(
    "hyperu",
    None,
    None,
    lambda y, a, b, x: -a * sc.hyperu(a + 1, b + 1, x),
    domains=(POSITIVE, POSITIVE, POSITIVE),
)

# Orthogonal polynomials, by the last argument


def one_less(n: Any, factor: Any, polynomial: Callable[[Any], Any]) -> Any:
    """factor * polynomial(n - 1), and 0 for n = 0."""
    constant = np.equal(n, 0)
    return np.where(constant, 0.0, factor * polynomial(np.where(constant, 0, n - 1)))


def jacobi_slope(n: Any, p: Any, q: Any, x: Any) -> Any:
    return one_less(n, (n + p + q + 1) / 2, lambda m: sc.eval_jacobi(m, p + 1, q + 1, x))


def gegenbauer_slope(n: Any, alpha: Any, x: Any) -> Any:
    return one_less(n, 2 * alpha, lambda m: sc.eval_gegenbauer(m, alpha + 1, x))


def shifted_jacobi_slope(n: Any, p: Any, q: Any, x: Any) -> Any:
    return 2 * jacobi_slope(n, p - q, q - 1, 2 * x - 1) / sc.binom(2 * n + p - 1, n)


def chebyshev_slope(n: Any, x: Any) -> Any:
    return one_less(n, n, lambda m: sc.eval_chebyu(m, x))


def laguerre_slope(n: Any, alpha: Any, x: Any) -> Any:
    return one_less(n, -1.0, lambda m: sc.eval_genlaguerre(m, alpha + 1, x))


def polynomial(name: str, slope: Derivative, parameters: int = 0) -> Op:
    """A polynomial of order n with parameters: the derivative is by the last argument."""
    rules = [None] * (parameters + 1)
    domains = (COUNT, *[Domain(1.2, 2.0)] * parameters, Domain(0.1, 0.9))
    return special(f"eval_{name}", *rules, lambda y, *inputs: slope(*inputs), domains=domains)


polynomial("jacobi", jacobi_slope, 2)
polynomial("sh_jacobi", shifted_jacobi_slope, 2)
polynomial("gegenbauer", gegenbauer_slope, 1)
polynomial("genlaguerre", laguerre_slope, 1)
polynomial("legendre", lambda n, x: jacobi_slope(n, 0, 0, x))
polynomial("sh_legendre", lambda n, x: 2 * jacobi_slope(n, 0, 0, 2 * x - 1))
polynomial("chebyt", chebyshev_slope)
polynomial("chebyu", lambda n, x: gegenbauer_slope(n, 1, x))
polynomial("chebyc", lambda n, x: chebyshev_slope(n, x / 2))
polynomial("chebys", lambda n, x: gegenbauer_slope(n, 1, x / 2) / 2)
polynomial("sh_chebyt", lambda n, x: 2 * chebyshev_slope(n, 2 * x - 1))
polynomial("sh_chebyu", lambda n, x: 2 * gegenbauer_slope(n, 1, 2 * x - 1))
polynomial("laguerre", lambda n, x: laguerre_slope(n, 0, x))
polynomial("hermite", lambda n, x: one_less(n, 2 * n, lambda m: sc.eval_hermite(m, x)))
polynomial("hermitenorm", lambda n, x: one_less(n, n, lambda m: sc.eval_hermitenorm(m, x)))

# Distribution functions


def t_density(df: Any, t: Any) -> Any:
    """The density of Student's distribution, which is normal for infinite df."""
    limit = np.isinf(df)
    df = np.where(limit, 1.0, df)
    power = -(df + 1) / 2 * np.log1p(t * t / df)
    found = np.exp(power - sc.betaln(df / 2, 0.5)) / np.sqrt(df)
    return np.where(limit, np.exp(-0.5 * t * t) / SQRT_2PI, found)


def t_by_df(df: Any, t: Any) -> Any:
    """P = I(df/2, 1/2, x) / 2 below 0, with x = df / (df + t**2); for small t, where x loses
    digits, the integral of the density's series t_density(df, 0) * (1 - (df + 1) / df * t**2 / 2 +
    (df + 1) * (df + 3) / df**2 * t**4 / 8), differentiated."""
    limit = np.isinf(df)
    df = np.where(limit, 1.0, df)
    near = np.less(t * t * (df + 1), 4e-4 * df)
    far, small = np.where(near, 1.0, t), np.where(near, t, 0.0)
    square = far * far
    x = df / (df + square)
    slope = (
        betainc_by_a(df / 2, 0.5, x) / 2
        + beta_density(df / 2, 0.5, x) * square / (df + square) ** 2
    )
    log_slope = (sc.digamma((df + 1) / 2) - sc.digamma(df / 2) - 1 / df) / 2
    fourth = (df + 1) * (df + 3) / (df * df) / 40
    third, fifth = small**3, small**5
    series = log_slope * (small - (df + 1) / df / 6 * third + fourth * fifth)
    series = series + third / (6 * df * df) - fifth * (2 * df + 3) / (20 * df**3)
    found = np.where(near, t_density(df, 0.0) * series, -np.sign(far) / 2 * slope)
    return np.where(limit, 0.0, found)


special(
    "stdtr",
    lambda y, df, t: t_by_df(df, t),
    lambda y, df, t: t_density(df, t),
    domains=(Domain(1.0, 5.0), NOT_ZERO),
)
special(
    "stdtrit",
    lambda y, df, p: -t_by_df(df, y) / t_density(df, y),
    lambda y, df, p: 1 / t_density(df, y),
    domains=(Domain(1.0, 5.0), Domain(0.1, 0.9, away=(0.5,))),
)
special(
    "chdtr",
    lambda y, v, x: gammainc_by_a(v / 2, x / 2) / 2,
    lambda y, v, x: gamma_density(v / 2, x / 2) / 2,
    domains=(POSITIVE, POSITIVE),
)
special(
    "chdtrc",
    lambda y, v, x: -gammainc_by_a(v / 2, x / 2) / 2,
    lambda y, v, x: -gamma_density(v / 2, x / 2) / 2,
    domains=(POSITIVE, POSITIVE),
)
special(
    "chdtri",
    lambda y, v, p: -gammainc_by_a(v / 2, y / 2) / gamma_density(v / 2, y / 2),
    lambda y, v, p: -2 / gamma_density(v / 2, y / 2),
    domains=(POSITIVE, UNIT),
)
special(
    "gdtr",
    lambda y, a, b, x: x * gamma_density(b, a * x),
    lambda y, a, b, x: gammainc_by_a(b, a * x),
    lambda y, a, b, x: a * gamma_density(b, a * x),
    domains=(POSITIVE, POSITIVE, POSITIVE),
)
special(
    "gdtrc",
    lambda y, a, b, x: -x * gamma_density(b, a * x),
    lambda y, a, b, x: -gammainc_by_a(b, a * x),
    lambda y, a, b, x: -a * gamma_density(b, a * x),
    domains=(POSITIVE, POSITIVE, POSITIVE),
)


def f_rules(sign: float) -> list[Derivative]:
    """P = I(n/2, d/2, w) with w = n x / (d + n x)."""

    def w(n: Any, d: Any, x: Any) -> Any:
        return n * x / (d + n * x)

    def density(n: Any, d: Any, x: Any) -> Any:
        return beta_density(n / 2, d / 2, w(n, d, x)) * d / (d + n * x) ** 2

    return [
        lambda y, n, d, x: (
            sign * (betainc_by_a(n / 2, d / 2, w(n, d, x)) / 2 + x * density(n, d, x))
        ),
        lambda y, n, d, x: (
            sign * (betainc_by_b(n / 2, d / 2, w(n, d, x)) / 2 - n * x / d * density(n, d, x))
        ),
        lambda y, n, d, x: sign * n * density(n, d, x),
    ]


special("fdtr", *f_rules(1.0), domains=(POSITIVE, POSITIVE, POSITIVE))
special("fdtrc", *f_rules(-1.0), domains=(POSITIVE, POSITIVE, POSITIVE))
f_by_n, f_by_d, f_density = f_rules(1.0)
special(
    "fdtri",
    lambda y, n, d, p: -f_by_n(p, n, d, y) / f_density(p, n, d, y),
    lambda y, n, d, p: -f_by_d(p, n, d, y) / f_density(p, n, d, y),
    lambda y, n, d, p: 1 / f_density(p, n, d, y),
    domains=(Domain(2.0, 5.0), Domain(2.0, 5.0), UNIT),
)
special(
    "pdtr",
    None,
    lambda y, k, m: -gamma_density(np.floor(k) + 1, m),
    domains=(COUNT, POSITIVE),
)
special(
    "pdtrc",
    None,
    lambda y, k, m: gamma_density(np.floor(k) + 1, m),
    domains=(COUNT, POSITIVE),
)
TRIALS = (Domain(0, 3, dtype=int), Domain(4, 8, dtype=int), UNIT)
special(
    "bdtr",
    None,
    None,
    lambda y, k, n, p: -beta_density(np.floor(k) + 1, n - np.floor(k), p),
    domains=TRIALS,
)
special(
    "bdtrc",
    None,
    None,
    lambda y, k, n, p: beta_density(np.floor(k) + 1, n - np.floor(k), p),
    domains=TRIALS,
)
special(
    "nbdtr",
    None,
    None,
    lambda y, k, n, p: beta_density(n * 1.0, np.floor(k) + 1, p),
    domains=TRIALS,
)
special(
    "nbdtrc",
    None,
    None,
    lambda y, k, n, p: -beta_density(n * 1.0, np.floor(k) + 1, p),
    domains=TRIALS,
)

# Functions with several results: an op for each result


def results(
    name: str, domains: tuple[Domain, ...], *derivatives: tuple[Derivative | None, ...]
) -> None:
    """The ops of a ufunc that has several results, each with its derivatives.

    A derivative is a function of the arguments.
    """
    ufunc = getattr(sc, name)
    ops = [
        special(
            f"{name}[{k}]",
            *[None if f is None else partial(without_result, f) for f in rules],
            domains=domains,
            forward=partial(result_of, ufunc, k),
        )
        for k, rules in enumerate(derivatives)
    ]
    implements(ufunc)(lambda *args: tuple(op(*args) for op in ops))


def without_result(f: Derivative, y: Any, *inputs: Any) -> Any:
    return f(*inputs)


def result_of(ufunc: np.ufunc, k: int, *inputs: Any) -> Any:
    return ufunc(*inputs)[k]


def growth(x: Any) -> Any:
    """The derivative of the exponent by which airye scales: 0 below 0."""
    if np.result_type(x).kind == "c":
        raise UnsupportedError(
            "scipy.special.airye of complex numbers is not holomorphic in all its results: use airy"
        )
    return np.sqrt(np.maximum(x, 0))


results(
    "airy",
    (ANY,),
    (lambda x: sc.airy(x)[1],),
    (lambda x: x * sc.airy(x)[0],),
    (lambda x: sc.airy(x)[3],),
    (lambda x: x * sc.airy(x)[2],),
)

results(
    "airye",
    (POSITIVE,),
    (lambda x: sc.airye(x)[1] + growth(x) * sc.airye(x)[0],),
    (lambda x: x * sc.airye(x)[0] + growth(x) * sc.airye(x)[1],),
    (lambda x: sc.airye(x)[3] - growth(x) * sc.airye(x)[2],),
    (lambda x: x * sc.airye(x)[2] - growth(x) * sc.airye(x)[3],),
)
results(
    "fresnel",
    (ANY,),
    (lambda x: np.sin(PI / 2 * x * x),),
    (lambda x: np.cos(PI / 2 * x * x),),
)
results("sici", (POSITIVE,), (lambda x: SPHERICAL["jn"](0, x),), (lambda x: np.cos(x) / x,))
results("shichi", (POSITIVE,), (lambda x: SPHERICAL["in"](0, x),), (lambda x: np.cosh(x) / x,))


def sn(u: Any, m: Any) -> Any:
    return sc.ellipj(u, m)[0]


def cn(u: Any, m: Any) -> Any:
    return sc.ellipj(u, m)[1]


def dn(u: Any, m: Any) -> Any:
    return sc.ellipj(u, m)[2]


def amplitude_by_m(u: Any, m: Any) -> Any:
    """From u = F(phi, m), where phi changes with m and u stays."""
    return -dn(u, m) * ellipkinc_by_m(sc.ellipj(u, m)[3], m)


results(
    "ellipj",
    (ANY, UNIT),
    (
        lambda u, m: cn(u, m) * dn(u, m),
        lambda u, m: cn(u, m) * amplitude_by_m(u, m),
    ),
    (
        lambda u, m: -sn(u, m) * dn(u, m),
        lambda u, m: -sn(u, m) * amplitude_by_m(u, m),
    ),
    (
        lambda u, m: -m * sn(u, m) * cn(u, m),
        lambda u, m: -sn(u, m) * (sn(u, m) / 2 + m * cn(u, m) * amplitude_by_m(u, m)) / dn(u, m),
    ),
    (dn, amplitude_by_m),
)

# Kelvin functions, by Kelvin's equation, and integrals of Bessel functions

for first, second, sign in (("ber", "bei", 1.0), ("bei", "ber", -1.0)):
    for kind in ("be", "ke"):
        one, other = first.replace("be", kind), second.replace("be", kind)
        special(one, partial(lambda f, y, x: getattr(sc, f)(x), f"{one}p"), domains=(POSITIVE,))
        special(
            f"{one}p",
            partial(lambda f, s, y, x: -y / x - s * getattr(sc, f)(x), other, sign),
            domains=(POSITIVE,),
        )
special("itstruve0", lambda y, x: sc.struve(0, x), domains=(POSITIVE,))
special("it2struve0", lambda y, x: -sc.struve(0, x) / x, domains=(POSITIVE,))
special("itmodstruve0", lambda y, x: sc.modstruve(0, x), domains=(POSITIVE,))
results("iti0k0", (POSITIVE,), (sc.i0,), (sc.k0,))
results("itj0y0", (POSITIVE,), (sc.j0,), (sc.y0,))
results("it2i0k0", (POSITIVE,), (lambda x: (sc.i0(x) - 1) / x,), (lambda x: -sc.k0(x) / x,))
results("it2j0y0", (POSITIVE,), (lambda x: (1 - sc.j0(x)) / x,), (lambda x: -sc.y0(x) / x,))
results(
    "itairy",
    (POSITIVE,),
    (lambda x: sc.airy(x)[0],),
    (lambda x: sc.airy(x)[2],),
    (lambda x: sc.airy(-x)[0],),
    (lambda x: sc.airy(-x)[2],),
)

# Solutions of other equations of second order


def weber(sign: float) -> Derivative:
    """The second derivative of f(v, x), of which the first is the second result."""
    return lambda v, x, f: (x * x / 4 - v - 0.5 if sign > 0 else v - x * x / 4) * f


for name, sign in (("pbdv", 1.0), ("pbvv", 1.0), ("pbwa", -1.0)):
    results(
        name,
        (POSITIVE, POSITIVE),
        (None, partial(lambda f, v, x: getattr(sc, f)(v, x)[1], name)),
        (None, partial(lambda f, w, v, x: w(v, x, getattr(sc, f)(v, x)[0]), name, weber(sign))),
    )
special(
    "lpmv",
    None,
    None,
    lambda y, m, v, x: (v * x * y - (v + m) * sc.lpmv(m, v - 1, x)) / (x * x - 1),
    domains=(Domain(0, 3, dtype=int), Domain(3, 6, dtype=int), INSIDE),
)


@implements(sc.kelvin)
def kelvin(x: Any) -> tuple[Any, ...]:
    """Kelvin's functions and their derivatives, as complex numbers."""
    pairs = (("ber", "bei"), ("ker", "kei"), ("berp", "beip"), ("kerp", "keip"))
    return tuple(getattr(sc, a)(x) + 1j * getattr(sc, b)(x) for a, b in pairs)


# The others have no entry

for ufunc in UFUNCS.values():
    if ufunc not in implementations:
        refusals[ufunc] = (
            "its derivative is not known to minigrad: compute it from t.data, outside the gradient"
        )
