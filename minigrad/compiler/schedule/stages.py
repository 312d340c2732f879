"""Stages, kernels and schedules: what is computed in which loops.

A stage is the loops that compute one value, and a kernel some stages that run together.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from minigrad.compiler.graph.affine import Expr, Index, common_factors, variable
from minigrad.compiler.graph.ir import Graph, Value, constants_of, is_literal
from minigrad.compiler.graph.layout import Layout
from minigrad.compiler.graph.opset.base import rules_of
from minigrad.compiler.graph.opset.contractions import Contraction
from minigrad.compiler.graph.opset.reductions import Reduction, reduced_axes
from minigrad.compiler.loops.ir import Access
from minigrad.compiler.target import costs

T = TypeVar("T")


@dataclass(eq=False)
class Signature:
    """How a stage is computed; an unrolled loop has many stages of one signature.

    `text`: a number that is equal for stages whose C is equal up to the addresses of arrays.
    `reads`: for each array that is read, its number, the indices, and the first entry. `factors`:
    loops, outermost first, in which these indices are linear where they can be.
    """

    text: int
    reads: list[tuple[int, set[Index], int]]
    factors: tuple[int, ...]


@dataclass(eq=False)
class Stage:
    """The loops that compute one value, of a kind of `kind_of`; or an op that "numpy" runs."""

    value: Value
    kind: str
    layout: Layout  # of what its loops run over
    reduced: frozenset[int] = frozenset()
    cost: int = 0  # operations on each entry
    signature: Signature | None = None  # None of kinds that do not inline what they read
    arrays: tuple[Value, ...] = ()  # that it reads, numbered as in its signature

    @cached_property
    def dims(self) -> tuple[int, ...]:
        """The extents of its loops, the outermost first."""
        return self.layout.extents

    @cached_property
    def is_reduced(self) -> tuple[bool, ...]:
        """Which of its loops a reduction sums over."""
        return tuple(k in self.reduced for k in self.layout.order) or (False,) * len(self.dims)

    @property
    def total(self) -> int:
        return math.prod(self.dims)

    @property
    def factors(self) -> tuple[int, ...]:
        """The extents of loops in which it reads and writes at linear indices."""
        return self.signature.factors if self.signature else self.dims

    def without_reduced(self, of_loops: tuple[T, ...]) -> tuple[T, ...]:
        """Of what there is one for each of its loops: those that it does not sum over."""
        return tuple(x for x, g in zip(of_loops, self.is_reduced, strict=True) if not g)

    def row_loops(self, rows: int) -> int | None:
        """How many of the leading loops make up the rows; None if none do."""
        total = 1
        for k, n in enumerate(self.dims):
            if total == rows:
                return k
            total *= n
        return len(self.dims) if total == rows else None

    def split_at(self, rows: int) -> tuple[Sequence[int], Sequence[int]]:
        """The extents of the loops over rows, and of those that run in one row."""
        inner = self.total // rows
        extents = common_factors([self.factors, (rows, inner)])
        if extents is None:
            k = self.row_loops(rows)
            return ((rows,), (inner,)) if k is None else (self.dims[:k], self.dims[k:])
        k = 0
        while math.prod(extents[:k]) < rows:
            k += 1
        return extents[:k], extents[k:]

    def reduction_direction(self, rows: int) -> str:
        """Whether a reduction runs "within" each row or "across" rows; empty if neither."""
        k = self.row_loops(rows)
        if self.kind != "reduce" or k is None:
            return ""
        loops = [g for n, g in zip(self.dims[:k], self.is_reduced[:k], strict=True) if n > 1]
        inner = [g for n, g in zip(self.dims[k:], self.is_reduced[k:], strict=True) if n > 1]
        if not any(loops):
            # With several results in a row, the innermost loop must be over results, unless it is
            # over few terms, as the channels of a group.
            several, few = not all(inner), self.total // rows <= costs.MAX_ADJACENT_TERMS
            return "" if several and inner[-1] and not few else "within"
        return "across" if all(loops) else ""

    @property
    def reduction(self) -> Reduction:
        rules = rules_of(self.value.op)
        assert isinstance(rules, Reduction)
        return rules

    @cached_property
    def places(self) -> Index:
        """Its loop variables."""
        return tuple(variable(f"p{k}", n) for k, n in enumerate(self.dims))

    def result(self, places: Index) -> Index:
        """The index of its value at a point of its loops."""
        index = self.layout.index(places)
        if self.kind != "reduce":
            return index
        assert self.value.op is not None
        if self.value.attributes.get("keepdims"):
            return tuple(Expr({}) if k in self.reduced else i for k, i in enumerate(index))
        return tuple(i for k, i in enumerate(index) if k not in self.reduced)

    def places_of(self, index: Index) -> Index:
        """The point of its loops for an index of its value; for a reduction, only of the loops that
        are not summed over."""
        if self.kind != "reduce":
            return self.layout.places(index)
        if len(self.value.shape) == len(self.layout.shape):
            whole = index
        else:
            rest = iter(index)
            n = len(self.layout.shape)
            whole = tuple(Expr({}) if k in self.reduced else next(rest) for k in range(n))
        return tuple(whole[k] for k in self.layout.order if k not in self.reduced)


@dataclass(eq=False)
class Kernel:
    """Stages that run together, of kind "rows", "pack" or, of one stage, its own.

    `rows`: how many rows there are, or None if all stages are elementwise over `total` entries.
    `cost`: operations on each entry. `why`: for each value, why it could not join an earlier
    kernel.
    """

    kind: str
    total: int
    rows: int | None
    stages: list[Stage] = field(default_factory=list)
    why: dict[Value, str] = field(default_factory=dict)

    @property
    def cost(self) -> int:
        return sum(stage.cost for stage in self.stages)


Reads = dict[Value, set[Index]]
MATRICES = {"factor", "substitution", "solution", "determinant"}


@dataclass(eq=False)
class Schedule:
    """Kernels in order; of each value its kernel, stage and reads; and which are `stored`.

    `bodies`: the schedules of those of each call of a loop or a branch."""

    graph: Graph
    layouts: dict[Value, Layout]
    contractions: dict[Value, Contraction]
    kernels: list[Kernel] = field(default_factory=list)
    kernel_of: dict[Value, int] = field(default_factory=dict)
    stages: dict[Value, Stage] = field(default_factory=dict)
    reads: dict[Value, Reads] = field(default_factory=dict)
    bodies: dict[Value, list[Schedule]] = field(default_factory=dict)
    stored: set[Value] = field(default_factory=set)

    @property
    def constants(self) -> list[Value]:
        """Constants that are read from memory, those of bodies too: of one number, by kernels of
        matrices alone."""
        of_matrices = {
            x
            for stage in self.stages.values()
            if stage.kind in MATRICES
            for x in stage.value.values()
        }
        found = [x for x in constants_of(self.graph) if not is_literal(x) or x in of_matrices]
        for body in itertools.chain(*self.bodies.values()):
            found += body.constants
        return list(dict.fromkeys(found))

    def access(self, value: Value, index: Index) -> Access:
        """Where an entry of a value is in memory."""
        return Access(value, self.layouts[value].address(index))

    def load(self, value: Value, index: Index) -> Access | None:
        """Where to read a value that has a stage; None if it is computed where it is read."""
        if value in self.kernel_of or (value.op is None and not is_literal(value)):
            return self.access(value, index)
        return None


def stage_of(value: Value, kind: str, schedule: Schedule) -> Stage:
    if kind == "reduce":
        x = value.inputs[0]
        return Stage(value, kind, schedule.layouts[x], frozenset(reduced_axes(value)))
    return Stage(value, kind, schedule.layouts[value])
