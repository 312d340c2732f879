"""Unary ops: one input, elementwise."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.dispatch import check_real, conj, implements
from minigrad.ops.base import Domain, Jacobian, Op, Rule

ANYWHERE, POSITIVE, INSIDE_ONE = Domain(), Domain(0.2, 3.0), Domain(-0.9, 0.9)
NOT_ZERO = Domain(away=(0,))
BETWEEN_STEPS = Domain(away=(-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2))


def unary(
    name: str,
    forward: Callable[..., Any],
    vjp: Rule | None = None,
    notation: str = "",
    c: str | None = "",
    domain: Domain = ANYWHERE,
    jacobian: Jacobian = "symmetric",
) -> Op:
    """An elementwise op of one input, registered under its forward if that is a NumPy ufunc.

    Notation and C expression are `name(x)` unless given; with None for it, there is no C. With a
    rule that is not linear over complex numbers, the Jacobian is "".
    """
    call = f"{name}({{0}})"
    # C says asin where NumPy says arcsin.
    c = call.replace("arc", "a") if c == "" else c
    register = implements(forward)
    vjps, notation = (vjp,) if vjp else (), notation or call
    return register(Op("unary", name, forward, vjps, notation, c, (domain,), jacobian=jacobian))


def keep_where(condition: Any, g: Any) -> Any:
    """g where the condition holds, else 0, also where g is infinite or NaN.

    np.where branches at each entry, which takes ten times as long as to mask the bits.
    """
    if type(g) is type(condition) is np.ndarray and g.itemsize in INTEGERS:
        mask = -condition.astype(INTEGERS[g.itemsize])
        return (g.view(mask.dtype) & mask).view(g.dtype)
    return np.where(condition, g, 0)


INTEGERS = {n: np.dtype(f"i{n}") for n in (2, 4, 8)}


def is_complex(x: Any) -> bool:
    return bool(x.dtype.kind == "c")


def phase_rule(g: Any, y: Any, x: Any) -> Any:
    """The cotangent of y = x/|x|: what in g is across y, over |x|; 0 at 0."""
    size = np.absolute(x)
    return (g - np.real(g * y) * conj(y)) / np.where(np.equal(size, 0), np.inf, size)


def relu_of_array(x: Any) -> Any:
    check_real(x, float)
    return np.maximum(x, 0)  # and a NaN stays one


def sigmoid_of_array(x: Any) -> Any:
    check_real(x, float)
    with np.errstate(over="ignore"):  # where 1 / inf is the 0 that it should be
        return 1 / (1 + np.exp(-x))


# The rational approximations of W. J. Cody, "Rational Chebyshev approximations for the error
# function", Mathematics of Computation 23 (1969): of erf near 0, of erfc up to 4, of erfc beyond.
# Numerator and denominator, highest power first; relative error below 1e-16 each.
# fmt: off
NEAR_ZERO = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2,
     3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3,
     2.84423683343917062e3),
)
UP_TO_FOUR = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
     1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2,
     1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3,
     1.23033935480374942e3),
)
BEYOND_FOUR = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1,
     1.25781726111229246e-1, 1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1,
     6.05183413124413191e-2, 2.33520497626869185e-3),
)
# For float32, a fit of our own: erf(x) = tanh(x * p(x**2)), with an error below 3.2 units in the
# last place. The hyperbolic tangent takes errors of p away, where erf is near 1.
FLOAT32 = (5.423485501017443e-9, 2.7526058501213767e-8, -4.794112309007179e-6, 8.459430456080068e-5,
           -6.14833074270013e-4, -1.952936269555499e-4, 1.0276986641558482e-1, 1.1283792469403606)
# fmt: on
ONE_OVER_SQRT_PI = 0.5641895835477563


def polynomial(coefficients: tuple[float, ...], x: Any) -> Any:
    """By Horner's rule, highest power first. Python's floats leave float32 as it is."""
    return functools.reduce(lambda y, c: operator.iadd(y * x, c), coefficients)  # in place


def rational(above: tuple[float, ...], below: tuple[float, ...], x: Any) -> Any:
    """Numerator over denominator."""
    return polynomial(above, x) / polynomial(below, x)


def erf_of_array(x: Any) -> Any:
    """The error function, 2/sqrt(pi) times the integral of exp(-t**2) from 0 to x."""
    check_real(x, float)
    x = np.asarray(x, None if np.result_type(x).kind == "f" else float)
    if x.dtype == np.float32:
        x = np.clip(x, -4, 4)  # erf(4) is 1 to the last digit
        return np.tanh(x * polynomial(FLOAT32, x * x))
    size = np.minimum(np.abs(x), 6)  # erf(6) is 1 to the last digit of a float64
    near, far = np.minimum(size, 0.46875), np.maximum(size, 4)
    tail = 1 / (far * far)
    beyond_four = (ONE_OVER_SQRT_PI - tail * rational(*BEYOND_FOUR, tail)) / far
    scaled_erfc = np.where(size > 4, beyond_four, rational(*UP_TO_FOUR, np.minimum(size, 4)))
    erf = np.sign(x) * (1 - np.exp(-size * size) * scaled_erfc)
    return np.where(size <= 0.46875, x * rational(*NEAR_ZERO, near * near), erf)


relu = unary("relu", relu_of_array, lambda g, y, x: keep_where(y > 0, g), domain=NOT_ZERO)
implements("relu")(relu)
exp = unary("exp", np.exp, lambda g, y, x: g * y)
log = unary("log", np.log, lambda g, y, x: g / x, domain=POSITIVE)
neg = unary("neg", np.negative, lambda g, y, x: -g, "-{0}", "-{0}")
abs = unary(
    "abs", np.absolute, lambda g, y, x: g * conj(np.sign(x)), c="fabs({0})", domain=NOT_ZERO
)
fabs = unary("fabs", np.fabs, lambda g, y, x: g * np.sign(x), domain=NOT_ZERO)
sqrt = unary("sqrt", np.sqrt, lambda g, y, x: g * (0.5 / y), domain=POSITIVE)
square = unary("square", np.square, lambda g, y, x: g * (2 * x), "{0}**2", "product({0}, {0})")
reciprocal = unary(
    "reciprocal", np.reciprocal, lambda g, y, x: -g * (y * y), "1/{0}", "1 / {0}", POSITIVE
)
sin = unary("sin", np.sin, lambda g, y, x: g * np.cos(x))
cos = unary("cos", np.cos, lambda g, y, x: -g * np.sin(x))
tan = unary("tan", np.tan, lambda g, y, x: g * (1 + y * y), domain=Domain(-1.2, 1.2))
# Of complex x, the derivatives of these are by y: on a branch cut the sign of a zero says on which
# side x is, and arithmetic with x loses it.
arcsin = unary(
    "arcsin",
    np.arcsin,
    lambda g, y, x: g / (np.cos(y) if is_complex(x) else np.sqrt(1 - x * x)),
    domain=INSIDE_ONE,
)
arccos = unary(
    "arccos",
    np.arccos,
    lambda g, y, x: -g / (np.sin(y) if is_complex(x) else np.sqrt(1 - x * x)),
    domain=INSIDE_ONE,
)
arctan = unary("arctan", np.arctan, lambda g, y, x: g / (1 + x * x))
sinh = unary("sinh", np.sinh, lambda g, y, x: g * np.cosh(x))
cosh = unary("cosh", np.cosh, lambda g, y, x: g * np.sinh(x))
tanh = unary("tanh", np.tanh, lambda g, y, x: g * (1 - y * y))
arcsinh = unary(
    "arcsinh",
    np.arcsinh,
    lambda g, y, x: g / (np.cosh(y) if is_complex(x) else np.sqrt(x * x + 1)),
)
arccosh = unary(
    "arccosh",
    np.arccosh,
    lambda g, y, x: g / (np.sinh(y) if is_complex(x) else np.sqrt(x - 1) * np.sqrt(x + 1)),
    domain=Domain(1.2, 3.0),
)
arctanh = unary("arctanh", np.arctanh, lambda g, y, x: g / (1 - x * x), domain=INSIDE_ONE)
# To the base 2 and 10: the constants as Python floats, which leave float32 as it is.
LOG_2, LOG_10, DEGREE = math.log(2), math.log(10), math.pi / 180
exp2 = unary("exp2", np.exp2, lambda g, y, x: g * (y * LOG_2), "2**{0}")
log2 = unary("log2", np.log2, lambda g, y, x: g / (x * LOG_2), domain=POSITIVE)
log10 = unary("log10", np.log10, lambda g, y, x: g / (x * LOG_10), domain=POSITIVE)
# y**-2, of which the derivative at 0 is infinite too; 1 / (y * y) would give 0 * inf there.
cbrt = unary("cbrt", np.cbrt, lambda g, y, x: g * (y**-2 / 3), domain=NOT_ZERO)
radians = unary("radians", np.radians, lambda g, y, x: g * DEGREE, c=f"product({{0}}, {DEGREE!r})")
degrees = unary(
    "degrees", np.degrees, lambda g, y, x: g / DEGREE, c=f"product({{0}}, {1 / DEGREE!r})"
)
implements(np.deg2rad)(radians)
implements(np.rad2deg)(degrees)
log1p = unary("log1p", np.log1p, lambda g, y, x: g / (1 + x), domain=Domain(-0.7, 2.0))
# exp(x), and not y + 1, which for very negative x has lost all its digits.
expm1 = unary("expm1", np.expm1, lambda g, y, x: g * np.exp(x))
sigmoid = unary(
    "sigmoid", sigmoid_of_array, lambda g, y, x: g * (y * (1 - y)), c="1 / (1 + exp(-{0}))"
)
implements("sigmoid")(sigmoid)
erf = unary("erf", erf_of_array, lambda g, y, x: g * (2 * ONE_OVER_SQRT_PI * np.exp(-x * x)))
positive = unary("positive", np.positive, lambda g, y, x: g, "{0}", "{0}")

# No gradient flows through these; they are recorded all the same.
sign_op = unary("sign", np.sign, domain=BETWEEN_STEPS)
floor = unary("floor", np.floor, domain=BETWEEN_STEPS)
ceil = unary("ceil", np.ceil, domain=BETWEEN_STEPS)
trunc = unary("trunc", np.trunc, domain=BETWEEN_STEPS)
rint = unary("rint", np.rint, domain=BETWEEN_STEPS)
isnan = unary("isnan", np.isnan)
isinf = unary("isinf", np.isinf)
isfinite = unary("isfinite", np.isfinite)
# gcc 12 fails on the builtin, made into vectors of two floats.
signbit = unary("signbit", np.signbit, c="copysign(1, {0}) < 0")
logical_not = unary("logical_not", np.logical_not, c="!{0}")
invert = unary("invert", np.invert, notation="~{0}", c="~{0}", domain=Domain(0, 5, dtype=int))


phase_op = unary("phase", np.sign, phase_rule, "sign({0})", None, BETWEEN_STEPS, "")


@implements(np.sign)
def sign(x: Any) -> Any:
    """Of a complex number x/|x|, which has a derivative."""
    return phase_op(x) if is_complex(x) else sign_op(x)
