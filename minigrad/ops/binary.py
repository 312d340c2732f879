"""Binary ops: two inputs (or, for `where`, three), elementwise, with broadcasting."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.errors import UnsupportedError
from minigrad.ops.base import Domain, Op, Rule, implements, sample

PAIRS = [
    ((), ()),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (2, 3)),
    ((2, 1), (1, 3)),
    ((2, 3), ()),
    ((), (2, 3)),
    ((1,), (2, 3)),
    ((2, 1, 3), (4, 1)),
    ((0,), (1,)),
    ((2, 0), (2, 1)),
]
ANYWHERE = Domain()
POSITIVE = Domain(low=0.3, high=2.0)
LEFT, RIGHT = Domain(-2.0, -0.1), Domain(0.1, 2.0)


def binary(
    name: str,
    forward: Callable[..., Any],
    vjps: tuple[Rule, Rule] | tuple[()] = (),
    *,
    ufunc: np.ufunc | None = None,
    notation: str = "",
    derivatives: tuple[str, ...] = (),
    c: str = "",
    domains: tuple[Domain, Domain] = (ANYWHERE, ANYWHERE),
) -> Op:
    """An elementwise op of two inputs that broadcast, registered under its NumPy ufunc.

    Notation and C expression are `name(x, y)` unless given. Rules need not undo broadcasting.
    """
    op = Op(
        name=name,
        family="binary",
        forward=forward,
        vjps=vjps,
        notation=notation or f"{name}({{0}}, {{1}})",
        derivatives=derivatives,
        lowering=c or f"{name}({{0}}, {{1}})",
        domains=domains,
        samples=tuple(sample(*pair) for pair in PAIRS),
        broadcasts=True,
    )
    implements(ufunc or forward)(op)
    return op


add = binary(
    "add",
    np.add,
    vjps=(lambda g, z, x, y: g, lambda g, z, x, y: g),
    notation="{0} + {1}",
    derivatives=("1", "1"),
    c="{0} + {1}",
)
sub = binary(
    "sub",
    np.subtract,
    vjps=(lambda g, z, x, y: g, lambda g, z, x, y: -g),
    notation="{0} - {1}",
    derivatives=("1", "(-1)"),
    c="{0} - {1}",
)
mul = binary(
    "mul",
    np.multiply,
    vjps=(lambda g, z, x, y: g * y, lambda g, z, x, y: g * x),
    notation="{0}*{1}",
    derivatives=("{1}", "{0}"),
    c="{0} * {1}",
)
div = binary(
    "div",
    np.divide,
    vjps=(lambda g, z, x, y: g / y, lambda g, z, x, y: -g * z / y),
    notation="{0}/{1}",
    derivatives=("1/{1}", "(-{y}/{1})"),
    c="{0} / {1}",
    domains=(ANYWHERE, POSITIVE),
)


def power_rule(g: Any, z: Any, x: Any, y: Any) -> Any:
    """g * y * x**(y - 1), and 0 where y is 0, also at x = 0."""
    if isinstance(y, int | float):
        return g * (y * x ** (y - 1)) if y else g * np.zeros_like(x)
    zero = np.equal(y, 0)
    return g * np.where(zero, 0, y * x ** np.where(zero, 1, y - 1))


def exponent_rule(g: Any, z: Any, x: Any, y: Any) -> Any:
    """g * x**y * log(x), and 0 at x = 0, where x**y is 0 for every y > 0."""
    return g * z * np.log(np.where(np.equal(x, 0), 1, x))


pow = binary(
    "pow",
    operator.pow,  # for x**2 and x**0.5, NumPy's operator is faster than its ufunc
    vjps=(power_rule, exponent_rule),
    ufunc=np.power,
    notation="{0}**{1}",
    derivatives=("{1}*{0}**({1} - 1)", "{y}*log({0})"),
    c="pow({0}, {1})",
    domains=(POSITIVE, ANYWHERE),
)


def to_larger(g: Any, x: Any, y: Any) -> Any:
    """g where x > y, half of it where they are equal."""
    return np.where(np.greater(x, y), g, np.where(np.equal(x, y), 0.5 * g, 0))


maximum = binary(
    "maximum",
    np.maximum,
    vjps=(lambda g, z, x, y: to_larger(g, x, y), lambda g, z, x, y: to_larger(g, y, x)),
    derivatives=("({0} > {1})", "({1} > {0})"),
    c="{0} >= {1} || isnan({0}) ? {0} : {1}",
    domains=(LEFT, RIGHT),
)
minimum = binary(
    "minimum",
    np.minimum,
    vjps=(lambda g, z, x, y: to_larger(g, y, x), lambda g, z, x, y: to_larger(g, x, y)),
    derivatives=("({0} < {1})", "({1} < {0})"),
    c="{0} <= {1} || isnan({0}) ? {0} : {1}",
    domains=(LEFT, RIGHT),
)
mod = binary(
    "mod",
    np.remainder,
    vjps=(lambda g, z, x, y: g, lambda g, z, x, y: -g * np.floor_divide(x, y)),
    notation="{0} % {1}",
    derivatives=("1", "(-floor({0}/{1}))"),
    c="{0} - floor({0} / {1}) * {1}",
    domains=(Domain(0.2, 1.3), Domain(1.5, 2.5)),
)
arctan2 = binary(
    "arctan2",
    np.arctan2,
    vjps=(
        lambda g, z, x, y: g * y / (x * x + y * y),
        lambda g, z, x, y: -g * x / (x * x + y * y),
    ),
    derivatives=("{1}/({0}**2 + {1}**2)", "(-{0}/({0}**2 + {1}**2))"),
    c="atan2({0}, {1})",
    domains=(POSITIVE, POSITIVE),
)
hypot = binary(
    "hypot",
    np.hypot,
    vjps=(lambda g, z, x, y: g * x / z, lambda g, z, x, y: g * y / z),
    derivatives=("{0}/{y}", "{1}/{y}"),
    domains=(POSITIVE, ANYWHERE),
)
logaddexp = binary(
    "logaddexp",
    np.logaddexp,
    vjps=(lambda g, z, x, y: g * np.exp(x - z), lambda g, z, x, y: g * np.exp(y - z)),
    derivatives=("exp({0} - {y})", "exp({1} - {y})"),
    c="fmax({0}, {1}) + log1p(exp(-fabs({0} - {1})))",
)


def comparison(name: str, ufunc: np.ufunc, symbol: str) -> Op:
    return binary(name, ufunc, notation=f"{{0}} {symbol} {{1}}", c=f"{{0}} {symbol} {{1}}")


def logical(name: str, ufunc: np.ufunc, symbol: str) -> Op:
    return binary(name, ufunc, c=f"!!{{0}} {symbol} !!{{1}}")


def bitwise(name: str, ufunc: np.ufunc, symbol: str) -> Op:
    integers = Domain(dtype=int)
    return binary(
        name,
        ufunc,
        notation=f"{{0}} {symbol} {{1}}",
        c=f"{{0}} {symbol} {{1}}",
        domains=(integers, integers),
    )


# No gradient flows through these; they are recorded all the same.
equal = comparison("equal", np.equal, "==")
not_equal = comparison("not_equal", np.not_equal, "!=")
less = comparison("less", np.less, "<")
less_equal = comparison("less_equal", np.less_equal, "<=")
greater = comparison("greater", np.greater, ">")
greater_equal = comparison("greater_equal", np.greater_equal, ">=")
logical_and = logical("logical_and", np.logical_and, "&&")
logical_or = logical("logical_or", np.logical_or, "||")
logical_xor = logical("logical_xor", np.logical_xor, "!=")
bitwise_and = bitwise("bitwise_and", np.bitwise_and, "&")
bitwise_or = bitwise("bitwise_or", np.bitwise_or, "|")
bitwise_xor = bitwise("bitwise_xor", np.bitwise_xor, "^")
floor_divide = binary(
    "floor_divide",
    np.floor_divide,
    notation="{0} // {1}",
    c="floor({0} / {1})",
    domains=(Domain(0.2, 1.3), POSITIVE),
)

where_op = Op(
    name="where",
    family="binary",
    forward=np.where,
    vjps=(
        None,
        lambda g, z, condition, x, y: np.where(condition, g, 0),
        lambda g, z, condition, x, y: np.where(condition, 0, g),
    ),
    notation="where({0}, {1}, {2})",
    derivatives=("", "where({0}, 1, 0)", "where({0}, 0, 1)"),
    lowering="{0} ? {1} : {2}",
    domains=(Domain(dtype=bool), ANYWHERE, ANYWHERE),
    samples=tuple(
        sample(*shapes)
        for shapes in [
            ((), (), ()),
            ((3,), (3,), (3,)),
            ((2, 3), (3,), ()),
            ((3,), (2, 3), (2, 1)),
            ((2, 1), (), (1, 3)),
            ((0,), (1,), ()),
        ]
    ),
    broadcasts=True,
)


@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None or y is None:
        raise UnsupportedError(
            "np.where(condition) alone, on a Tensor, would give indices, which carry no gradient: "
            "use np.nonzero(condition.data), or give both values, np.where(condition, x, y)"
        )
    return where_op(condition, x, y)


@implements(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """Where a bound is met exactly, the gradient still flows."""
    a_min = min if a_min is None else a_min
    a_max = max if a_max is None else a_max
    if a_min is not None:
        a = where_op(np.less(a, a_min), a_min, a)
    if a_max is not None:
        a = where_op(np.greater(a, a_max), a_max, a)
    return a
