"""Updates of few rows: a table of which a step looks up a few rows gets a gradient that is zero in
all others. If the rule of the optimiser leaves rows without a gradient as they are, only the rows
that were looked up are computed, and written in place: the time of a step does not grow with the
table.

The numbers are those of the dense update, up to the order in which few entries are added up, but
where a row without a gradient is multiplied by what is not finite.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from minigrad.compiler.graph import ir
from minigrad.compiler.graph.opset.base import rules_of
from minigrad.compiler.graph.opset.indexing import arrays_of, is_leading_gather
from minigrad.compiler.graph.opset.infer import apply, run
from minigrad.compiler.graph.opset.reductions import Reduction, reduced_axes
from minigrad.ops.movement import ARRAY

LEAST_ROWS = 4  # of the table, for each that is looked up
ZERO = object()


def update_few_rows(graph: ir.Graph) -> ir.Graph:
    """The graph with such updates in place of the dense ones."""
    kept, places = {*graph.outputs}, {x: k for k, x in enumerate(graph.order)}
    writes = [
        (target, x if x in kept else updated_rows(target, x, places)) for target, x in graph.writes
    ]
    return replace(graph, writes=writes)


def updated_rows(target: ir.Value, new: ir.Value, places: dict[ir.Value, int]) -> ir.Value:
    """The state with those rows written that get a gradient; or `new`, if there may be others."""
    if not new.shape or new.shape != target.shape:
        return new
    update = RowUpdate(target, new, places)
    few = LEAST_ROWS * sum(x.inputs[1].size for x in update.gradients) <= len_of(target)
    if not (update.gradients and few and update.without_gradient(new) is target):
        return new
    return apply("updated", target, update.at_rows(new), update.index, index=(ARRAY,))


def len_of(value: ir.Value) -> int:
    return value.shape[0]


class RowUpdate:
    """The new value of a state as a function of its rows: of sums of gradients by row."""

    def __init__(self, target: ir.Value, new: ir.Value, places: dict[ir.Value, int]) -> None:
        self.target = target
        self.order = sorted(self.reached(new), key=places.__getitem__)
        self.gradients = [x for x in self.order if self.is_gradient(x)]
        self.zeros: dict[ir.Value, Any] = {}
        self.rows: dict[ir.Value, ir.Value] = {}

    def reached(self, value: ir.Value) -> set[ir.Value]:
        """The values that it is computed from, row by row."""
        seen, stack = {value}, [value]
        while stack:
            x = stack.pop()
            if self.is_by_row(x):
                new = {*x.values()} - seen
                seen |= new
                stack += new
        return seen

    def has_rows(self, value: ir.Value) -> bool:
        """Whether its first axis is that of the rows, and not one number for all of them."""
        return len(value.shape) == len(self.target.shape) and len_of(value) == len_of(self.target)

    def is_gradient(self, value: ir.Value) -> bool:
        """Whether it is zeros, with rows added to a few of its rows."""
        return (
            ir.name_of(value) == "scatter_add"
            and self.has_rows(value)
            and len(arrays_of(value)) == 1
            and is_leading_gather(value)
        )

    def is_by_row(self, value: ir.Value) -> bool:
        """Whether an op computes each of its rows from the same row of its inputs."""
        if value.op is None or not self.has_rows(value):
            return False
        reduces = isinstance(rules_of(value.op), Reduction) and 0 not in reduced_axes(value)
        return ir.elementwise(value) or reduces

    # What becomes of rows without a gradient

    def without_gradient(self, new: ir.Value) -> Any:
        """What a value is where all gradients are 0: ZERO, another value, or None if that is not
        known."""
        for value in self.order:
            self.zeros[value] = self.simplified(value)
        return self.zeros[new]

    def simplified(self, value: ir.Value) -> Any:
        if value in self.gradients:
            return ZERO
        if not self.is_by_row(value):
            is_leaf_or_common = value.op is None or not self.has_rows(value)
            return value if is_leaf_or_common else None
        xs = [self.zeros[x] if type(x) is ir.Value else x for x in value.inputs]
        zero = [x is ZERO for x in xs]
        name = ir.name_of(value)
        if name == "where" and zero[0]:
            return xs[2]
        if (name == "mul" and any(zero)) or (name == "div" and zero[0]):
            return ZERO
        if name == "add" and any(zero):
            return xs[1 - zero.index(True)]
        if name == "sub" and zero[1]:
            return xs[0]
        if any(zero):
            return ZERO if self.keeps_zero(value, zero) else None
        same = all(x is y for x, y in zip(xs, value.inputs, strict=True))
        return value if same else None

    def keeps_zero(self, value: ir.Value, zero: list[bool]) -> bool:
        """Whether an op gives 0 for zeros, and for the numbers beside them."""
        if not all(z or type(x) is not ir.Value for z, x in zip(zero, value.inputs, strict=True)):
            return False
        if not ir.elementwise(value):
            return True  # sums and maxima of zeros
        assert value.op is not None
        arrays = [np.zeros((1,), x.dtype) if type(x) is ir.Value else x for x in value.inputs]
        with np.errstate(all="ignore"):
            return not np.any(run(value.op, arrays, value.attributes))

    # The rows that have one

    @cached_property
    def index(self) -> ir.Value:
        """(n,): the rows, one after the other, some of them repeatedly."""
        parts = [flat(x.inputs[1], ()) for x in self.gradients]
        if len(parts) == 1:
            return parts[0]
        parts = [x if x.dtype == int else apply("astype", x, dtype=np.dtype(int)) for x in parts]
        bounds = tuple(np.cumsum([0, *(x.size for x in parts)]).tolist())
        return apply("concatenate", *parts, axis=0, bounds=bounds)

    @cached_property
    def slots(self) -> ir.Value:
        """For each row of the table, where among the n rows it is the last time."""
        n = self.index.size
        zeros = apply("expand", ir.constant(np.int32(0)), shape=(len_of(self.target),))
        return apply(
            "updated", zeros, ir.constant(np.arange(n, dtype=np.int32)), self.index, index=(ARRAY,)
        )

    def at_rows(self, new: ir.Value) -> ir.Value:
        """The n rows of a value: each sum of gradients as often as its row is named."""
        for value in self.order:
            self.rows[value] = self.rows_of(value)
        return self.rows[new]

    def rows_of(self, value: ir.Value) -> ir.Value:
        if value in self.gradients:
            row = value.shape[1:]
            places = apply("gather", self.slots, flat(value.inputs[1], ()), index=(ARRAY,))
            added, shape = flat(value.inputs[0], row), (self.index.size, *row)
            sums = apply("scatter_add", added, places, shape=shape, index=(ARRAY,))
            again = apply("gather", self.slots, self.index, index=(ARRAY,))
            return apply("gather", sums, again, index=(ARRAY,))
        if not self.has_rows(value):
            return value
        if not self.is_by_row(value) or value.op is None:
            return apply("gather", value, self.index, index=(ARRAY,))
        inputs = [self.rows[x] if type(x) is ir.Value else x for x in value.inputs]
        return apply(value.op.name, *inputs, **value.attributes)


def flat(value: ir.Value, row: ir.Shape) -> ir.Value:
    """(..., *row) -> (n, *row)."""
    n = value.size // int(np.prod(row))
    return apply("reshape", value, shape=(n, *row)) if value.shape != (n, *row) else value
