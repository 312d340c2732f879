"""Binary ops: two inputs (of `where`, three), elementwise, with broadcasting."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minigrad.dispatch import implementations, implements, is_traced
from minigrad.errors import UnsupportedError
from minigrad.ops.base import Domain, Op, Rule
from minigrad.tensor import Tensor

# Every pattern of broadcasting, on either side; 0-d; empty.
ANYWHERE, POSITIVE, INTEGERS = Domain(), Domain(0.3, 2.0), Domain(0, 5, dtype=int)
LEFT, RIGHT = Domain(-2.0, -0.1), Domain(0.1, 2.0)

elementwise = partial(Op, "binary", broadcasts=True, jacobian="symmetric")


def binary(
    name: str,
    forward: Callable[..., Any],
    vjps: tuple[Rule, Rule] | tuple[()] = (),
    notation: str = "",
    c: str | None = "",
    domains: tuple[Domain, ...] = (ANYWHERE, ANYWHERE),
    ufunc: np.ufunc | None = None,
) -> Op:
    """An elementwise op of two inputs that broadcast, registered under its NumPy ufunc.

    Notation and C expression are `name(x, y)` unless given; with None for it, there is no C. Rules
    need not undo broadcasting.
    """
    call = f"{name}({{0}}, {{1}})"
    register, c = implements(ufunc or forward), call if c == "" else c
    return register(elementwise(name, forward, vjps, notation or call, c, domains))


def power_rule(g: Any, z: Any, x: Any, y: Any) -> Any:
    """g * y * x**(y - 1), and 0 at x = y = 0. For y = 0 and another x it is 0 as well, but has a
    derivative by y."""
    if isinstance(y, int | float) and not is_traced(y):
        return g * (y * x ** (y - 1)) if y else g * np.zeros_like(x)
    both = np.logical_and(np.equal(x, 0), np.equal(y, 0))
    return g * np.where(both, 0, y * x ** np.where(both, 1, y - 1))


def exponent_rule(g: Any, z: Any, x: Any, y: Any) -> Any:
    """g * x**y * log(x), and 0 at x = 0 and y >= 0, where x**y is 0 for every y > 0."""
    flat = np.logical_and(np.equal(x, 0), np.greater_equal(y, 0))
    base = np.where(flat, 1, x)
    return g * (z * np.log(np.astype(base, z.dtype) if z.dtype.kind == "c" else base))


def selection_rule(g: Any, beats: Any, x: Any, y: Any) -> Any:
    """g where x beats y or is NaN, which then is the result; half of it where they are equal."""
    chosen = np.logical_or(beats, np.not_equal(x, x))
    return np.where(chosen, g, np.where(np.equal(x, y), 0.5 * g, 0))


def zero_as_inf(z: Any) -> Any:
    """z as a divisor, with infinity in place of 0: the quotient, with derivatives, is 0 there."""
    return np.where(np.equal(z, 0), np.inf, z)


def angle_rule(g: Any, x: Any, y: Any) -> Any:
    """g * x / (x**2 + y**2), in steps that neither overflow nor vanish."""
    length = zero_as_inf(np.hypot(x, y))
    return g * (x / length / length)


def logaddexp_rule(g: Any, x: Any, y: Any) -> Any:
    """g * sigmoid(x - y), where infinities that are equal differ by 0."""
    with np.errstate(invalid="ignore"):
        difference = x - y
    tied = np.logical_and(np.isinf(x), np.equal(x, y))
    return g * implementations["sigmoid"](np.where(tied, 0, difference))


def is_unclipped(z: Any, x: Any) -> Any:
    """Whether the result is x and not its bound."""
    return np.logical_or(np.equal(z, x), np.not_equal(x, x))


add = binary("add", np.add, (lambda g, z, x, y: g, lambda g, z, x, y: g), "{0} + {1}", "{0} + {1}")
sub = binary(
    "sub", np.subtract, (lambda g, z, x, y: g, lambda g, z, x, y: -g), "{0} - {1}", "{0} - {1}"
)
mul = binary(
    "mul",
    np.multiply,
    (lambda g, z, x, y: g * y, lambda g, z, x, y: g * x),
    "{0}*{1}",
    "product({0}, {1})",
)
div = binary(
    "div",
    np.divide,
    (lambda g, z, x, y: g / y, lambda g, z, x, y: -g * z / y),
    "{0}/{1}",
    "{0} / {1}",
    (ANYWHERE, POSITIVE),
)
# The operator, as for x**2 and x**0.5 it is faster than the ufunc.
pow = binary(
    "pow", operator.pow, (power_rule, exponent_rule), "{0}**{1}", "", (POSITIVE, ANYWHERE), np.power
)
maximum = binary(
    "maximum",
    np.maximum,
    (
        lambda g, z, x, y: selection_rule(g, np.greater(x, y), x, y),
        lambda g, z, x, y: selection_rule(g, np.greater(y, x), y, x),
    ),
    domains=(LEFT, RIGHT),
)
minimum = binary(
    "minimum",
    np.minimum,
    (
        lambda g, z, x, y: selection_rule(g, np.less(x, y), x, y),
        lambda g, z, x, y: selection_rule(g, np.less(y, x), y, x),
    ),
    domains=(LEFT, RIGHT),
)
mod = binary(
    "mod",
    np.remainder,
    (lambda g, z, x, y: g, lambda g, z, x, y: -g * np.floor_divide(x, y)),
    "{0} % {1}",
    "floor_mod({0}, {1})",
    (Domain(0.2, 1.3), Domain(1.5, 2.5)),
)
fmod = binary(
    "fmod",
    np.fmod,
    (lambda g, z, x, y: g, lambda g, z, x, y: -g * np.trunc(x / y)),
    c="fmod_of({0}, {1})",
    domains=(Domain(0.2, 1.3), Domain(1.5, 2.5)),
)
arctan2 = binary(
    "arctan2",
    np.arctan2,
    (lambda g, z, x, y: angle_rule(g, y, x), lambda g, z, x, y: -angle_rule(g, x, y)),
    c="atan2({0}, {1})",
    domains=(POSITIVE, POSITIVE),
)
hypot = binary(
    "hypot",
    np.hypot,
    (lambda g, z, x, y: g * (x / zero_as_inf(z)), lambda g, z, x, y: g * (y / zero_as_inf(z))),
    domains=(POSITIVE, ANYWHERE),
)
logaddexp = binary(
    "logaddexp",
    np.logaddexp,
    (lambda g, z, x, y: logaddexp_rule(g, x, y), lambda g, z, x, y: logaddexp_rule(g, y, x)),
    c="fmax({0}, {1}) + log1p(exp(-fabs(choose({0} == {1}, 0, {0} - {1}))))",
)

# No gradient flows through these; they are recorded all the same.
COMPARISONS = {"equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<="}
COMPARISONS |= {"greater": ">", "greater_equal": ">="}
for name, symbol in COMPARISONS.items():
    binary(name, getattr(np, name), (), f"{{0}} {symbol} {{1}}", f"{{0}} {symbol} {{1}}")
for name, symbol in {"logical_and": "&", "logical_or": "|", "logical_xor": "^"}.items():
    binary(name, getattr(np, name), c=f"!!{{0}} {symbol} !!{{1}}")
for name, symbol in {"bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^"}.items():
    infix, integers = f"{{0}} {symbol} {{1}}", (INTEGERS, INTEGERS)
    binary(name, getattr(np, name), (), infix, infix, integers)
floor_divide = binary(
    "floor_divide", np.floor_divide, (), "{0} // {1}", "floor_div({0}, {1})", (POSITIVE, POSITIVE)
)

where_op = elementwise(
    "where",
    np.where,
    (
        None,
        lambda g, z, condition, x, y: np.where(condition, g, 0),
        lambda g, z, condition, x, y: np.where(condition, 0, g),
    ),
    "where({0}, {1}, {2})",
    "choose({0}, {1}, {2})",
    (Domain(0, 2, dtype=bool), ANYWHERE, ANYWHERE),
    jacobian="constant",
)


@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None or y is None:
        raise UnsupportedError(
            "np.where(condition) alone, on a Tensor, would give indices, which carry no gradient: "
            "give both values, np.where(condition, x, y), or, if not compiled, use np.nonzero"
        )
    return where_op(condition, x, y)


# maximum and minimum as `clip` has them: where x meets its bound, all of the gradient is x's.
clip_below = elementwise(
    "clip_below",
    np.maximum,
    (
        lambda g, z, x, bound: np.where(is_unclipped(z, x), g, 0),
        lambda g, z, x, bound: np.where(is_unclipped(z, x), 0, g),
    ),
    "maximum({0}, {1})",
    "maximum({0}, {1})",
    (ANYWHERE, ANYWHERE),
)
clip_above = elementwise(
    "clip_above",
    np.minimum,
    clip_below.vjps,
    "minimum({0}, {1})",
    "minimum({0}, {1})",
    (ANYWHERE, ANYWHERE),
)


@implements(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    low, high = min if a_min is None else a_min, max if a_max is None else a_max
    dtype = a.dtype if isinstance(a, Tensor) else np.result_type(a)
    if dtype.kind in "iu":  # Python's integers may lie beyond the dtype's
        info = np.iinfo(dtype)
        low = None if type(low) is int and low <= info.min else low
        high = None if type(high) is int and high >= info.max else high
    if low is None and high is None:
        return np.positive(a)
    a = a if low is None else clip_below(a, low)
    return a if high is None else clip_above(a, high)
