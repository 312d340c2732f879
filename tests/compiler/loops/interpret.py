"""The loop IR, run in Python: what passes must not change."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from minigrad.compiler.graph.affine import Expr, Index, Quotient, ravel_index, variable
from minigrad.compiler.graph.ir import Value
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
from minigrad.compiler.loops.lowering import LoweringContext

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "+": lambda x, y: x + y,
    "*": lambda x, y: x * y,
    "<": lambda x, y: x < y,
    ">": lambda x, y: x > y,
    "max": max,
    ">=": lambda x, y: x >= y,
    "==": lambda x, y: x == y,
    "&": lambda x, y: x and y,
    "/": lambda x, y: int(x / y),  # as in C, towards zero
    "%": math.fmod,
    "if": lambda test, x, y: x if test else y,
    "select": lambda test, x, y: x if test else y,
    "clamp": lambda x, n: min(max(x, 0), n - 1),
    "checked index": lambda x, n: int(x) % n,
    **{f"sum of float{bits} lanes": sum for bits in (32, 64)},
}


def entries(x: Value, arrays: Mapping[Value, np.ndarray]) -> np.ndarray:
    """A value by the index map of its op, with these arrays for the values that it reads."""

    def load(read: Value, index: Index) -> Access | None:
        return Access(read, ravel_index(index, read.shape)) if read in arrays else None

    body = LoweringContext(load)
    found = np.empty(x.shape, x.dtype)
    result = body.read(x, tuple(variable(f"i{k}", n) for k, n in enumerate(x.shape)))
    for place in np.ndindex(x.shape):
        names: dict[Any, Any] = {read: array.ravel() for read, array in arrays.items()}
        names |= {f"i{k}": i for k, i in enumerate(place)}
        run(body.bindings, names)
        found[place] = value(result, names)
    return found


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


def value(expression: Expression, names: Mapping[Any, Any]) -> Any:
    if isinstance(expression, Apply):
        if expression.function.startswith("cast "):
            dtype = np.dtype(expression.function.removeprefix("cast "))
            return dtype.type(value(expression.arguments[0], names))
        return FUNCTIONS[expression.function](*(value(x, names) for x in expression.arguments))
    if isinstance(expression, Access):
        assert expression.place is not None
        place, array = at(expression.place, names), names[expression.array]
        assert 0 <= place <= len(array) - max(1, expression.lanes), "an access beyond the array"
        return array[place : place + expression.lanes] if expression.lanes else array[place]
    if isinstance(expression, Number):
        return float({"True": "1", "False": "0"}.get(expression.text, expression.text))
    return at(expression, names) if isinstance(expression, Expr) else names[expression]


def run(statements: Iterable[Statement], names: dict[Any, Any]) -> None:
    """Run statements on arrays, by their names; what is defined in a loop is gone after it."""
    for s in statements:
        if isinstance(s, Let | Variable):
            first = 0 if s.value is None else value(s.value, names)
            names[s.name] = [first] * s.size if isinstance(s, Variable) and s.size else first
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
