"""Lowering: the loop IR that computes a value at an index.

A value that is not stored is inlined where it is read: elementwise ops by their C expressions,
views by reading their input at another index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from minigrad.compiler.graph.affine import (
    ZERO,
    Condition,
    Expr,
    Index,
    Known,
    Var,
    number,
)
from minigrad.compiler.graph.ir import Value, elementwise
from minigrad.compiler.graph.opset.base import Lowering, rules_of
from minigrad.compiler.graph.opset.indexing import arange_axis
from minigrad.compiler.loops.ir import (
    DTYPES,
    ROW,
    Access,
    Apply,
    Expression,
    Let,
    Number,
    Operand,
    index_of,
    operands,
)

FAR = 1 << 40  # a bound for what has none
INDEX = np.dtype(np.int64)
NO_VARIABLES: frozenset[Var] = frozenset()


def kind_of(value: Value) -> str:
    """How a value is computed: "leaf" (not at all), "map" (elementwise, or inlined), "reduce",
    "contract", "concat", "scatter", or by "numpy"."""
    if value.op is None:
        return "leaf"
    if any(x.dtype not in DTYPES or 0 in x.shape for x in (value, *value.values())):
        return "numpy"
    return rules_of(value.op).kind(value)


def is_view(value: Value) -> bool:
    """Whether each entry is an entry of an input, or a constant."""
    return kind_of(value) == "map" and not elementwise(value)


Load = Callable[[Value, Index], Access | Number | None]


class Body(Lowering):
    """The statements inside of loops, each value computed once: see `opset.base.Lowering`.

    `load` says where a value is read from, or gives None if it is to be computed here.
    """

    def __init__(self, load: Load, letter: str = "t") -> None:
        self.load, self.letter = load, letter
        self.lines: list[Let] = []
        self.known: dict[tuple[Value, Index], Operand] = {}
        self.depends: dict[str, frozenset[Var]] = {}

    def define(self, dtype: np.dtype[Any], value: Expression) -> str:
        """Define a variable by an expression, and return its name."""
        depends = NO_VARIABLES.union(*[self.depends_of(x) for x in operands(value)])
        name = f"{self.letter}{len(self.lines)}"
        self.lines.append(Let(name, dtype, value, depends))
        self.depends[name] = depends
        return name

    def depends_of(self, operand: Expression) -> frozenset[Var]:
        """The loop variables that an operand depends on."""
        if type(operand) is str:
            return self.depends.get(operand, NO_VARIABLES)
        if type(operand) is Number:
            return NO_VARIABLES
        index = index_of(operand)
        depends = NO_VARIABLES if index is None else index.variables()
        return depends | {ROW} if isinstance(operand, Access) and operand.own else depends

    def read(self, value: Value, index: Index) -> Operand:
        """The name of a variable, or a literal, that is a value at an index."""
        if 1 in value.shape:
            index = tuple(ZERO if n == 1 else i for i, n in zip(index, value.shape, strict=True))
        key = value, index
        name = self.known.get(key)
        if name is None:
            loaded = self.load(value, index)
            if loaded is not None:
                name = self.define(value.dtype, loaded)
            elif value.kind == "constant":
                name = Number.of(np.asarray(value.array).reshape(()), value.dtype)
            elif elementwise(value):
                name = self.elementwise(value, index)
            else:
                name = rules_of(value.op).read(value, index, self)
            self.known[key] = name
        return name

    def elementwise(self, value: Value, index: Index) -> Operand:
        assert value.op is not None and value.op.c is not None
        inputs = list(value.inputs)
        dtype = value.dtype if value.dtype.kind != "b" else common_dtype(inputs)
        dtypes = [dtype] * len(inputs)
        rules = rules_of(value.op)
        if rules.begins_with_condition:
            dtypes[0] = np.dtype(bool)
        names = [self.input(x, d, index) for x, d in zip(inputs, dtypes, strict=True)]
        if rules.is_sum and names[0] == names[1]:  # as compilers rewrite it
            return self.define(value.dtype, Apply("product({0}, {1})", (names[0], number(2))))
        return self.define(value.dtype, Apply(value.op.c, tuple(names)))

    def input(self, x: Any, dtype: np.dtype[Any], index: Index) -> Operand:
        """An input of an elementwise op, broadcast, in the dtype that the op computes in."""
        if type(x) is not Value:
            return Number.of(x, dtype)
        name = self.read(x, index[len(index) - len(x.shape) :])
        return name if x.dtype == dtype else self.cast(name, x, dtype)

    def cast(self, name: Operand, x: Value, dtype: np.dtype[Any]) -> Operand:
        if x.dtype.kind == "b" and dtype.kind == "f":  # which compilers can vectorise
            return self.choose(dtype, name, Number.of(1, dtype), Number.of(0, dtype))
        return self.define(dtype, Apply(f"cast {dtype}", (name,)))

    def integer(self, extent: int, value: Expression) -> Expr:
        """An index that is computed at run time, as a variable."""
        name = self.define(INDEX, value)
        return Expr({Known(name, extent, self.depends[name]): 1})

    def exact_quotient(self, place: Expr, by: int, conditions: list[Condition]) -> Expr:
        if by == 1:
            return place
        rest = self.integer(FAR, Apply("%", (place, number(by))))
        conditions.append(Condition(rest, "==", 0))
        return self.integer(FAR, Apply("/", (place, number(by))))

    def clamp(self, place: Expr, n: int) -> Expr:
        low, high = place.bounds()
        if low >= 0 and high < n:
            return place
        return self.integer(n, Apply("clamp", (place, number(n))))

    def select(
        self,
        dtype: np.dtype[Any],
        conditions: list[Condition],
        yes: Callable[[], Operand],
        no: Callable[[], Operand],
    ) -> Operand:
        open_ones = [c for c in conditions if not c.always()]
        if any(c.never() for c in open_ones):
            return no()
        if not open_ones:
            return yes()
        names = yes(), no()
        tests: list[Expression] = [Apply(c.relation, (c.what, number(c.bound))) for c in open_ones]
        test = self.define(np.dtype(bool), reduce(lambda a, b: Apply("&", (a, b)), tests))
        return self.choose(dtype, test, *names)

    def choose(self, dtype: np.dtype[Any], test: Operand, yes: Operand, no: Operand) -> Operand:
        return self.define(dtype, Apply("select", (test, yes, no)))

    def equal(self, i: Expr, j: Expr) -> Operand:
        return self.define(np.dtype(bool), Apply("==", (i, j)))

    def below(
        self, dtype: np.dtype[Any], i: Expr, bound: int, yes: Operand, no: Operand
    ) -> Operand:
        return self.define(dtype, Apply("if", (Apply("<", (i, number(bound))), yes, no)))

    def total(self, dtype: np.dtype[Any], terms: Sequence[Operand]) -> Operand:
        first, *rest = terms
        sums: Expression = first
        for term in rest:
            sums = Apply("+", (sums, term))
        return self.define(dtype, sums)

    def literal(self, x: Any, dtype: np.dtype[Any]) -> Operand:
        return Number.of(x, dtype)

    def runtime_index(self, array: Value, index: Index, n: int) -> Expr:
        axis = arange_axis(array)
        if axis is not None and array.shape[axis] <= n:
            return index[axis] if array.shape[axis] > 1 else ZERO
        return self.integer(n, Apply("look up", (self.read(array, index), number(n))))


def common_dtype(inputs: Sequence[Any]) -> np.dtype[Any]:
    """The dtype that a comparison compares in."""
    dtype = np.result_type(*(np.empty(1, x.dtype) if type(x) is Value else x for x in inputs))
    # A Python integer may lie beyond the dtype of what it is compared to.
    fits = dtype.kind not in "iu" or all(
        np.iinfo(dtype).min <= x <= np.iinfo(dtype).max for x in inputs if type(x) is int
    )
    return dtype if fits else np.dtype(np.int64)
