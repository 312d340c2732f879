"""Lowering: the C that computes a value at an index.

A value that is not stored is inlined where it is read: elementwise ops by their C expressions,
views by reading their input at another index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.compiler.graph.affine import (
    ZERO,
    Condition,
    Expr,
    Index,
    Known,
    Var,
)
from minigrad.compiler.graph.ir import Value, elementwise
from minigrad.compiler.graph.opset.base import Lowering, rules_of
from minigrad.compiler.graph.opset.indexing import arange_axis
from minigrad.compiler.loops.ir import ROW, Access, Let, Parts

C_TYPES = {
    np.dtype(name): kind
    for name, kind in {
        "float32": "float",
        "float64": "double",
        "int64": "int64_t",
        "int32": "int32_t",
        "int16": "int16_t",
        "int8": "int8_t",
        "uint8": "uint8_t",
        "bool": "bool",
    }.items()
}
FAR = 1 << 40  # a bound for what has none


def kind_of(value: Value) -> str:
    """How a value is computed: "leaf" (not at all), "map" (elementwise, or inlined), "reduce",
    "contract", "concat", "scatter", or by "numpy"."""
    if value.op is None:
        return "leaf"
    if any(x.dtype not in C_TYPES or 0 in x.shape for x in (value, *value.values())):
        return "numpy"
    return rules_of(value.op).kind(value)


def is_view(value: Value) -> bool:
    """Whether each entry is an entry of an input, or a constant."""
    return kind_of(value) == "map" and not elementwise(value)


def literal(x: Any, dtype: np.dtype[Any]) -> str:
    """A number of the program, in C."""
    x = dtype.type(x)
    if dtype.kind == "f":
        if not np.isfinite(x):
            text = "NAN" if np.isnan(x) else "INFINITY" if x > 0 else "(-INFINITY)"
            return text if dtype == np.float32 else f"((double){text})"
        text = repr(float(x)) + ("f" if dtype == np.float32 else "")
        return f"({text})" if text.startswith("-") else text
    if dtype.kind == "b":
        return "1" if x else "0"
    return f"({int(x)}LL)" if dtype.itemsize == 8 else f"({int(x)})"


def ctype(dtype: np.dtype[Any]) -> str:
    return C_TYPES[dtype]


Load = Callable[[Value, Index], Parts | None]


class Body(Lowering):
    """The statements inside of loops, each value computed once: see `opset.base.Lowering`.

    `load` says where a value is read from, or gives None if it is to be computed here.
    """

    def __init__(self, load: Load, letter: str = "t") -> None:
        self.load, self.letter = load, letter
        self.lines: list[Let] = []
        self.known: dict[tuple[Value, Index], str] = {}
        self.depends: dict[str, frozenset[Var]] = {}

    def define(self, kind: str, parts: Parts, names: Sequence[str] = ()) -> str:
        """Define a variable by an expression, in which `names` are variables defined before."""
        found = [self.depends[n] for n in names if n in self.depends]
        for part in parts:
            place = part.place if isinstance(part, Access) else part
            if isinstance(place, Expr):
                found.append(place.variables())
            if isinstance(part, Access) and part.own:
                found.append(frozenset([ROW]))
        depends = frozenset[Var]().union(*found)
        name = f"{self.letter}{len(self.lines)}"
        self.lines.append(Let(name, kind, parts, depends))
        self.depends[name] = depends
        return name

    def read(self, value: Value, index: Index) -> str:
        """The name of a variable, or a literal, that is a value at an index."""
        if 1 in value.shape:
            index = tuple(ZERO if n == 1 else i for i, n in zip(index, value.shape, strict=True))
        key = value, index
        name = self.known.get(key)
        if name is None:
            parts = self.load(value, index)
            if parts is not None:
                name = self.define(ctype(value.dtype), parts)
            elif value.kind == "constant":
                name = literal(np.asarray(value.array).reshape(()), value.dtype)
            elif elementwise(value):
                name = self.elementwise(value, index)
            else:
                name = rules_of(value.op).read(value, index, self)
            self.known[key] = name
        return name

    def elementwise(self, value: Value, index: Index) -> str:
        assert value.op is not None
        inputs = list(value.inputs)
        dtype = value.dtype if value.dtype.kind != "b" else common_dtype(inputs)
        dtypes = [dtype] * len(inputs)
        rules = rules_of(value.op)
        if rules.begins_with_condition:
            dtypes[0] = np.dtype(bool)
        names = [self.input(x, d, index) for x, d in zip(inputs, dtypes, strict=True)]
        text = value.op.lowering.format(*names)
        if rules.is_sum and names[0] == names[1]:
            text = f"product({names[0]}, 2)"  # as compilers rewrite it
        return self.define(ctype(value.dtype), (text,), names)

    def input(self, x: Any, dtype: np.dtype[Any], index: Index) -> str:
        """An input of an elementwise op, broadcast, in the dtype that the op computes in."""
        if type(x) is not Value:
            return literal(x, dtype)
        name = self.read(x, index[len(index) - len(x.shape) :])
        return name if x.dtype == dtype else self.cast(name, x, dtype)

    def cast(self, name: str, x: Value, dtype: np.dtype[Any]) -> str:
        text = f"({ctype(dtype)}){name}"
        if x.dtype.kind == "b" and dtype.kind == "f":  # which compilers can vectorise
            text = f"choose({name}, {literal(1, dtype)}, {literal(0, dtype)})"
        return self.define(ctype(dtype), (text,), [name])

    def integer(self, extent: int, parts: Parts, names: Sequence[str] = ()) -> Expr:
        """An index that is computed at run time, as a C variable."""
        name = self.define("int64_t", parts, names)
        return Expr({Known(name, extent, self.depends[name]): 1})

    def exact_quotient(self, place: Expr, by: int, conditions: list[Condition]) -> Expr:
        if by == 1:
            return place
        rest = self.integer(FAR, ("(", place, f") % {by}"))
        conditions.append(Condition(rest, "==", 0))
        return self.integer(FAR, ("(", place, f") / {by}"))

    def clamp(self, place: Expr, n: int) -> Expr:
        low, high = place.bounds()
        return place if low >= 0 and high < n else self.integer(n, ("CLAMP(", place, f", {n})"))

    def select(
        self,
        dtype: np.dtype[Any],
        conditions: list[Condition],
        yes: Callable[[], str],
        no: Callable[[], str],
    ) -> str:
        open_ones = [c for c in conditions if not c.always()]
        if any(c.never() for c in open_ones):
            return no()
        if not open_ones:
            return yes()
        names = [yes(), no()]
        parts: list[Any] = []
        for c in open_ones:
            parts += [" & " if parts else "", "(", c.what, f" {c.relation} {c.bound})"]
        return self.choose(dtype, self.define("bool", tuple(parts)), *names)

    def choose(self, dtype: np.dtype[Any], test: str, yes: str, no: str) -> str:
        return self.define(ctype(dtype), (f"choose({test}, {yes}, {no})",), [test, yes, no])

    def equal(self, i: Expr, j: Expr) -> str:
        return self.define("bool", (i, " == ", j))

    def below(self, dtype: np.dtype[Any], i: Expr, bound: int, yes: str, no: str) -> str:
        return self.define(ctype(dtype), ("(", i, f") < {bound} ? {yes} : {no}"), [yes, no])

    def total(self, dtype: np.dtype[Any], terms: Sequence[str]) -> str:
        return self.define(ctype(dtype), (" + ".join(terms),), terms)

    def literal(self, x: Any, dtype: np.dtype[Any]) -> str:
        return literal(x, dtype)

    def runtime_index(self, array: Value, index: Index, n: int) -> Expr:
        axis = arange_axis(array)
        if axis is not None and array.shape[axis] <= n:
            return index[axis] if array.shape[axis] > 1 else ZERO
        name = self.read(array, index)
        return self.integer(n, (f"looked_up({name}, {n}, bad)",), [name])


def common_dtype(inputs: Sequence[Any]) -> np.dtype[Any]:
    """The dtype that a comparison compares in."""
    dtype = np.result_type(*(np.empty(1, x.dtype) if type(x) is Value else x for x in inputs))
    # A Python integer may lie beyond the dtype of what it is compared to.
    fits = dtype.kind not in "iu" or all(
        np.iinfo(dtype).min <= x <= np.iinfo(dtype).max for x in inputs if type(x) is int
    )
    return dtype if fits else np.dtype(np.int64)
