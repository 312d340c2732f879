"""Elementwise ops that NumPy has beyond the elementary ones: signs and steps, bits, i0 and sinc."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.dispatch import implements
from minigrad.ops.base import Op
from minigrad.ops.binary import ANYWHERE, INTEGERS, binary, logaddexp_rule
from minigrad.ops.unary import LOG_2, unary

# Of two numbers. A rule that is None: the result has steps, and no slope, in that input.


def chosen_rule(g: Any, beats: Any, x: Any, y: Any) -> Any:
    """g where x beats y or y is NaN, and half of it where they are equal."""
    chosen = np.logical_or(beats, np.not_equal(y, y))
    return np.where(chosen, g, np.where(np.equal(x, y), 0.5 * g, 0))


fmax = binary(
    "fmax",
    np.fmax,
    (
        lambda g, z, x, y: chosen_rule(g, np.greater(x, y), x, y),
        lambda g, z, x, y: chosen_rule(g, np.greater(y, x), y, x),
    ),
)
fmin = binary(
    "fmin",
    np.fmin,
    (
        lambda g, z, x, y: chosen_rule(g, np.less(x, y), x, y),
        lambda g, z, x, y: chosen_rule(g, np.less(y, x), y, x),
    ),
)
Step: Any = None
copysign = binary(
    "copysign",
    np.copysign,
    (lambda g, z, x, y: g * (np.sign(x) * np.copysign(1, y)), Step),
)
heaviside = binary(
    "heaviside",
    np.heaviside,
    (Step, lambda g, z, x, y: np.where(np.equal(x, 0), g, 0)),
)
nextafter = binary("nextafter", np.nextafter, (lambda g, z, x, y: g, Step))
ldexp = binary(
    "ldexp",
    np.ldexp,
    (lambda g, z, x, y: np.ldexp(g, y), Step),
    domains=(ANYWHERE, INTEGERS),
)
logaddexp2 = binary(
    "logaddexp2",
    np.logaddexp2,
    (
        lambda g, z, x, y: logaddexp_rule(g, x * LOG_2, y * LOG_2),
        lambda g, z, x, y: logaddexp_rule(g, y * LOG_2, x * LOG_2),
    ),
)
INTEGRAL = {"gcd": np.gcd, "lcm": np.lcm}
INTEGRAL |= {"left_shift": np.left_shift, "right_shift": np.right_shift}
for name, ufunc in INTEGRAL.items():
    binary(name, ufunc, domains=(INTEGERS, INTEGERS))
bitwise_count = unary("bitwise_count", np.bitwise_count, c=None, domain=INTEGERS)
spacing = unary("spacing", np.spacing, c=None)
exponent = unary("exponent", lambda x: np.frexp(x)[1], c=None)


# Functions of which all derivatives are known, as ops with the order of the derivative.


def derivatives(name: str, of_order: Callable[[Any, int], Any], notation: str) -> Op:
    """The op of a function and of all of its derivatives: `order` counts them, from 0."""
    op = Op(
        "processing",
        name,
        of_order,
        (lambda g, y, x, order: g * op(x, order=order + 1),),
        notation,
        jacobian="symmetric",
    )
    return op


# Entries of a rule by trapezoids, which for a periodic function is as exact as floats are: with n
# on a circle, to exp(-n**2 / 2x), and I0 overflows at x = 713.
QUARTER = 64
ANGLES = [(k + 0.5) * math.pi / (2 * QUARTER) for k in range(QUARTER)]


def i0_of_order(x: Any, order: int) -> Any:
    """The modified Bessel function I0, and its derivatives: the mean of cosh(x cos(t)) over t,
    where each derivative by x brings a cos(t). All terms are positive, so none cancel."""
    if not order:
        return np.i0(x)
    term: Any = np.sinh if order % 2 else np.cosh
    cosines = [math.cos(angle) for angle in ANGLES]
    total: Any = sum(term(x * c) * c**order for c in cosines)
    return total / QUARTER


def sinc_of_order(x: Any, order: int) -> Any:
    """sin(u)/u at u = pi x, and its derivatives: the integral of t**n cos(ut + n pi/2) over t from
    0 to 1, by parts where u is large, and by its series where terms would cancel."""
    if not order:
        return np.sinc(x)
    u = np.asarray(math.pi * x)
    near = np.abs(u) <= order
    far = np.where(near, order + 1, u)
    y = np.asarray(np.sin(far) / far)
    for n in range(1, order + 1):
        y = np.asarray((np.sin(far + n * (math.pi / 2)) - n * y) / far)
    if near.any():
        powers, factors = sinc_series(order)
        y[near] = np.power.outer(u[near], powers) @ factors
    return y * math.pi**order


@functools.cache
def sinc_series(order: int) -> tuple[np.ndarray, np.ndarray]:
    """d^n/du^n of the sum of (-1)^k u^2k / (2k + 1)!, as powers of u and their factors."""
    terms = range((order + 1) // 2, 2 * order + 10)
    powers = np.array([2 * k - order for k in terms], np.int16)  # which leave the dtype of u
    factors = [(-1) ** k / ((2 * k + 1) * math.factorial(2 * k - order)) for k in terms]
    return powers, np.array(factors)


i0_op = derivatives("i0", i0_of_order, "i0({0}, {order})")
sinc_op = derivatives("sinc", sinc_of_order, "sinc({0}, {order})")


@implements(np.i0)
def i0(x: Any) -> Any:
    return i0_op(x, order=0)


@implements(np.sinc)
def sinc(x: Any) -> Any:
    return sinc_op(x, order=0)


# Products along an axis.


def recurrence_of_arrays(a: Any, b: Any, axis: int, back: bool) -> Any:
    """s[i] = b[i] + a[i] * s[i - 1] along an axis, or from its end, where a[i] of the first is not
    read; in log2(n) steps: after each, s[i] holds twice as many terms, and a[i] the product of as
    many factors."""
    order = slice(None, None, -1 if back else 1)
    a, b = (np.moveaxis(x, axis, 0)[order] for x in (a, b))
    step = 1
    while step < len(b):
        b = np.concatenate([b[:step], b[step:] + a[step:] * b[:-step]])
        a = np.concatenate([a[:step], a[step:] * a[:-step]])
        step *= 2
    return np.moveaxis(b[order], 0, axis)


def before(x: Any, axis: int, back: bool, first: Any = np.zeros_like) -> Any:
    """At each place along an axis the entry before it, or if `back`, after it; and for the first,
    zeros, or ones."""
    lead = (slice(None),) * (axis % x.ndim)
    rest = slice(1, None) if back else slice(-1)
    parts = [first(x[(*lead, slice(1))]), x[(*lead, rest)]]
    return np.concatenate(parts[::-1] if back else parts, axis=axis)


def sums_after(g: Any, a: Any, axis: int, back: bool) -> Any:
    """The adjoint of a recurrence, which goes the other way."""
    return recurrence_op(before(a, axis, not back), g, axis=axis, back=not back)


recurrence_op = Op(
    "reduce",
    "recurrence",
    recurrence_of_arrays,
    (
        lambda g, s, a, b, axis, back: sums_after(g, a, axis, back) * before(s, axis, back),
        lambda g, s, a, b, axis, back: sums_after(g, a, axis, back),
    ),
    "recurrence({0}, {1}, axis={axis}, back={back})",
    domains=(ANYWHERE, ANYWHERE),
)


def cumprod_rule(g: Any, y: Any, x: Any, axis: int) -> Any:
    """To x[i], the product before it times the sum over j >= i of g[j] and the factors between,
    without division, so that it is right where factors are zero."""
    return before(y, axis, False, np.ones_like) * sums_after(g, x, axis, back=False)


cumprod_op = Op("reduce", "cumprod", np.cumprod, (cumprod_rule,), "cumprod({0}, axis={axis})")
