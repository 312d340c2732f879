"""Unary ops: one input, elementwise."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.ops.base import Domain, Op, Rule, implements, sample

SHAPES = tuple(sample(shape) for shape in [(), (3,), (2, 3), (2, 1, 3), (0,), (2, 0)])
ANYWHERE = Domain()


def unary(
    name: str,
    forward: Callable[..., Any],
    vjp: Rule | None = None,
    *,
    notation: str = "",
    derivative: str = "",
    c: str = "",
    domain: Domain = ANYWHERE,
) -> Op:
    """An elementwise op of one input, registered under its NumPy ufunc, or name if it has none.

    Notation and C expression are `name(x)` unless given.
    """
    op = Op(
        name=name,
        family="unary",
        forward=forward,
        vjps=(vjp,) if vjp else (),
        notation=notation or f"{name}({{0}})",
        derivatives=(derivative,) if vjp else (),
        lowering=c or f"{name}({{0}})",
        domains=(domain,),
        samples=SHAPES,
    )
    implements(forward if isinstance(forward, np.ufunc) else name)(op)
    return op


def away_from(*points: float, low: float = -2.0, high: float = 2.0) -> Domain:
    return Domain(low, high, points)


relu = unary(
    "relu",
    # In this order a NaN stays a NaN.
    lambda x: np.maximum(x, 0),
    vjp=lambda g, y, x: g * (x > 0),
    derivative="({0} > 0)",
    c="{0} > 0 ? {0} : (isnan({0}) ? {0} : 0)",
    domain=away_from(0),
)
exp = unary("exp", np.exp, vjp=lambda g, y, x: g * y, derivative="{y}")
log = unary(
    "log", np.log, vjp=lambda g, y, x: g / x, derivative="1/{0}", domain=Domain(low=0.2, high=3.0)
)
neg = unary(
    "neg", np.negative, vjp=lambda g, y, x: -g, notation="-{0}", derivative="(-1)", c="-{0}"
)
abs = unary(
    "abs",
    np.absolute,
    vjp=lambda g, y, x: g * np.sign(x),
    derivative="sign({0})",
    c="fabs({0})",
    domain=away_from(0),
)
sqrt = unary(
    "sqrt",
    np.sqrt,
    vjp=lambda g, y, x: g * 0.5 / y,
    derivative="1/(2*{y})",
    domain=Domain(low=0.2, high=3.0),
)
square = unary(
    "square",
    np.square,
    vjp=lambda g, y, x: g * (2 * x),
    notation="{0}**2",
    derivative="2*{0}",
    c="{0} * {0}",
)
reciprocal = unary(
    "reciprocal",
    np.reciprocal,
    vjp=lambda g, y, x: -g * (y * y),
    notation="1/{0}",
    derivative="(-{y}**2)",
    c="1 / {0}",
    domain=Domain(low=0.3, high=2.0),
)
sin = unary("sin", np.sin, vjp=lambda g, y, x: g * np.cos(x), derivative="cos({0})")
cos = unary("cos", np.cos, vjp=lambda g, y, x: -g * np.sin(x), derivative="(-sin({0}))")
tan = unary(
    "tan",
    np.tan,
    vjp=lambda g, y, x: g * (1 + y * y),
    derivative="(1 + {y}**2)",
    domain=Domain(-1.2, 1.2),
)
arcsin = unary(
    "arcsin",
    np.arcsin,
    vjp=lambda g, y, x: g / np.sqrt(1 - x * x),
    derivative="1/sqrt(1 - {0}**2)",
    c="asin({0})",
    domain=Domain(-0.9, 0.9),
)
arccos = unary(
    "arccos",
    np.arccos,
    vjp=lambda g, y, x: -g / np.sqrt(1 - x * x),
    derivative="(-1/sqrt(1 - {0}**2))",
    c="acos({0})",
    domain=Domain(-0.9, 0.9),
)
arctan = unary(
    "arctan",
    np.arctan,
    vjp=lambda g, y, x: g / (1 + x * x),
    derivative="1/(1 + {0}**2)",
    c="atan({0})",
)
sinh = unary("sinh", np.sinh, vjp=lambda g, y, x: g * np.cosh(x), derivative="cosh({0})")
cosh = unary("cosh", np.cosh, vjp=lambda g, y, x: g * np.sinh(x), derivative="sinh({0})")
tanh = unary("tanh", np.tanh, vjp=lambda g, y, x: g * (1 - y * y), derivative="(1 - {y}**2)")
arcsinh = unary(
    "arcsinh",
    np.arcsinh,
    vjp=lambda g, y, x: g / np.sqrt(x * x + 1),
    derivative="1/sqrt({0}**2 + 1)",
    c="asinh({0})",
)
arccosh = unary(
    "arccosh",
    np.arccosh,
    vjp=lambda g, y, x: g / np.sqrt(x * x - 1),
    derivative="1/sqrt({0}**2 - 1)",
    c="acosh({0})",
    domain=Domain(1.2, 3.0),
)
arctanh = unary(
    "arctanh",
    np.arctanh,
    vjp=lambda g, y, x: g / (1 - x * x),
    derivative="1/(1 - {0}**2)",
    c="atanh({0})",
    domain=Domain(-0.9, 0.9),
)
log1p = unary(
    "log1p",
    np.log1p,
    vjp=lambda g, y, x: g / (1 + x),
    derivative="1/(1 + {0})",
    domain=Domain(-0.7, 2.0),
)
# exp(x), not y + 1, which for very negative x has lost all its digits.
expm1 = unary("expm1", np.expm1, vjp=lambda g, y, x: g * np.exp(x), derivative="exp({0})")


def stable_sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), with an exponential that cannot overflow."""
    e = np.exp(-np.abs(x))
    return np.where(np.greater_equal(x, 0), 1, e) / (1 + e)


sigmoid = unary(
    "sigmoid",
    stable_sigmoid,
    vjp=lambda g, y, x: g * (y * (1 - y)),
    derivative="{y}*(1 - {y})",
    c="1 / (1 + exp(-{0}))",
)

# The rational approximations of W. J. Cody, "Rational Chebyshev approximations for the error
# function", Mathematics of Computation 23 (1969): erf near 0, erfc up to 4, erfc beyond. Highest
# power first; relative error below 1e-16 each.
NEAR_ZERO = (
    (
        1.85777706184603153e-1,
        3.16112374387056560e0,
        1.13864154151050156e2,
        3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (
        1.0,
        2.36012909523441209e1,
        2.44024637934444173e2,
        1.28261652607737228e3,
        2.84423683343917062e3,
    ),
)
UP_TO_FOUR = (
    (
        2.15311535474403846e-8,
        5.64188496988670089e-1,
        8.88314979438837594e0,
        6.61191906371416295e1,
        2.98635138197400131e2,
        8.81952221241769090e2,
        1.71204761263407058e3,
        2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0,
        1.57449261107098347e1,
        1.17693950891312499e2,
        5.37181101862009858e2,
        1.62138957456669019e3,
        3.29079923573345963e3,
        4.36261909014324716e3,
        3.43936767414372164e3,
        1.23033935480374942e3,
    ),
)
BEYOND_FOUR = (
    (
        1.63153871373020978e-2,
        3.05326634961232344e-1,
        3.60344899949804439e-1,
        1.25781726111229246e-1,
        1.60837851487422766e-2,
        6.58749161529837803e-4,
    ),
    (
        1.0,
        2.56852019228982242e0,
        1.87295284992346725e0,
        5.27905102951428412e-1,
        6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)


def rational(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: Any) -> Any:
    """Numerator over denominator, each by Horner's rule: Python's floats leave float32 as it is."""
    above, below = (functools.reduce(lambda y, c: y * x + c, part) for part in coefficients)
    return above / below


def erf_of_array(x: Any) -> Any:
    """The error function, 2/sqrt(pi) times the integral of exp(-t**2) from 0 to x."""
    x = np.asarray(x)
    x = x if x.dtype.kind == "f" else x.astype(float)
    size = np.minimum(np.abs(x), 6)  # erf(6) is 1 to the last digit of a float64
    near, far = np.minimum(size, 0.46875), np.maximum(size, 4)
    tail = 1 / (far * far)
    beyond_four = (ONE_OVER_SQRT_PI - tail * rational(BEYOND_FOUR, tail)) / far
    scaled_erfc = np.where(size > 4, beyond_four, rational(UP_TO_FOUR, np.minimum(size, 4)))
    return np.where(
        size <= 0.46875,
        x * rational(NEAR_ZERO, near * near),
        np.sign(x) * (1 - np.exp(-size * size) * scaled_erfc),
    )


ONE_OVER_SQRT_PI = 0.5641895835477563
TWO_OVER_SQRT_PI = 1.1283791670955126

erf = unary(
    "erf",
    erf_of_array,
    vjp=lambda g, y, x: g * (TWO_OVER_SQRT_PI * np.exp(-x * x)),
    derivative="2/sqrt(pi)*exp(-{0}**2)",
)


@implements(np.positive)
def positive(x: Any) -> Any:
    return x


# No gradient flows through these; they are recorded all the same.
STEPS = away_from(-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2)
sign = unary("sign", np.sign, c="({0} > 0) - ({0} < 0)", domain=STEPS)
floor = unary("floor", np.floor, domain=STEPS)
ceil = unary("ceil", np.ceil, domain=STEPS)
trunc = unary("trunc", np.trunc, domain=STEPS)
rint = unary("rint", np.rint, domain=STEPS)
isnan = unary("isnan", np.isnan)
isinf = unary("isinf", np.isinf)
isfinite = unary("isfinite", np.isfinite)
signbit = unary("signbit", np.signbit, domain=STEPS)
logical_not = unary("logical_not", np.logical_not, c="!{0}", domain=STEPS)
invert = unary("invert", np.invert, notation="~{0}", c="~{0}", domain=Domain(dtype=int))
