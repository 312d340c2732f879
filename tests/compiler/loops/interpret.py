"""The loop IR, run in Python: what passes must not change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from minigrad.compiler.graph.affine import Expr, Quotient
from minigrad.compiler.loops.ir import (
    Access,
    Accumulate,
    Apply,
    Expression,
    For,
    If,
    Let,
    Number,
    Statement,
    Store,
    Variable,
)

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "+": lambda x, y: x + y,
    "*": lambda x, y: x * y,
    "<": lambda x, y: x < y,
    ">": lambda x, y: x > y,
    "max": max,
    "if": lambda test, x, y: x if test else y,
}


def at(index: Expr, names: Mapping[str, Any]) -> int:
    """An index, where loop variables have these values."""
    total = index.const
    for atom, c in index.terms.items():
        if hasattr(atom, "of"):
            whole, rest = divmod(at(atom.of, names), atom.by)
            total += c * (whole if isinstance(atom, Quotient) else rest)
        else:
            total += c * names[atom.name]
    return total


def value(expression: Expression, names: Mapping[str, Any]) -> Any:
    if isinstance(expression, Apply):
        return FUNCTIONS[expression.function](*(value(x, names) for x in expression.arguments))
    if isinstance(expression, Access):
        assert expression.place is not None
        return names[expression.array][at(expression.place, names)]
    if isinstance(expression, Number):
        return float(expression.text)
    return at(expression, names) if isinstance(expression, Expr) else names[expression]


def run(statements: Iterable[Statement], names: dict[str, Any]) -> None:
    """Run statements on arrays, by their names; what is defined in a loop is gone after it."""
    for s in statements:
        if isinstance(s, Let | Variable):
            names[s.name] = 0 if s.value is None else value(s.value, names)
        elif isinstance(s, Store):
            assign(s.target, value(s.value, names), names)
        elif isinstance(s, Accumulate):
            both = value(s.target, names), value(s.value, names)
            assign(s.target, FUNCTIONS[s.combine](*both), names)
        elif isinstance(s, If):
            run(s.body if value(s.condition, names) else s.otherwise, names)
        elif isinstance(s, For):
            loop(s, names)


def assign(target: Any, x: Any, names: dict[str, Any]) -> None:
    if isinstance(target, str):
        names[target] = x
    else:
        names[target.array][at(target.place, names)] = x


def loop(it: For, names: dict[str, Any]) -> None:
    v = it.variable
    low = names[it.low] if it.low in names else int(it.low)
    high = names[it.high] if it.high in names else int(it.high or v.extent)
    for k in range(low, high, it.step or 1):
        names[v.name] = k
        if it.step:
            names[f"{v.name}_end"] = min(k + it.step, high)
        run(it.body, names)
