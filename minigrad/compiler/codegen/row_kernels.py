"""Kernels of rows: an outer loop over rows, and inside of it loops over the entries of a row."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minigrad.compiler.codegen.c import KernelSource, print_kernel
from minigrad.compiler.graph.affine import (
    ZERO,
    Expr,
    Index,
    Var,
    common_factors,
    ravel_index,
    unravel_index,
    variable,
)
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.graph.opset.reductions import combined, is_not_zero
from minigrad.compiler.loops import ir
from minigrad.compiler.loops.distribution import distributed
from minigrad.compiler.loops.lanes import by_lanes
from minigrad.compiler.loops.lowering import LoweringContext
from minigrad.compiler.loops.passes import (
    FLAG,
    around,
    blocking_of,
    blocks,
    hoisted,
    merged,
    nest,
    over_block,
    read_along,
    tiled,
    vectorised,
)
from minigrad.compiler.loops.short_rows import in_lanes, in_memory, lanes_of, loop_for_lanes
from minigrad.compiler.loops.widening import widened
from minigrad.compiler.schedule.buffers import BufferPlan
from minigrad.compiler.schedule.stages import Kernel, Schedule, Stage
from minigrad.compiler.target import costs
from minigrad.compiler.target.machine import Machine

FLOAT64 = np.dtype(np.float64)


@dataclass(eq=False)
class Loop:
    """A loop nest over the entries of a row, which stages share, and the statements in it."""

    extents: tuple[int, ...]
    loops: tuple[Expr, ...]
    body: LoweringContext
    stages: list[Stage] = field(default_factory=list)
    innermost: list[ir.Statement] = field(default_factory=list)
    before_inner: list[ir.Statement] = field(default_factory=list)  # around its innermost loop
    after_inner: list[ir.Statement] = field(default_factory=list)
    after: list[ir.Statement] = field(default_factory=list)
    # Several sums at once, in parts: before each part, after it, and how many of the leading loops
    # are over terms.
    resets: list[ir.Statement] = field(default_factory=list)
    flushes: list[ir.Statement] = field(default_factory=list)
    term_loops: int = 0

    def statements(self) -> list[ir.Statement]:
        if not self.extents:
            return [*self.innermost, *self.after]
        variables, new = merged(self.loops, [*self.innermost, *self.after_inner])
        body, last = ir.substituted(self.innermost, new), ir.substituted(self.after_inner, new)
        before, body = around(variables[-1], body, new)
        inside = [*self.before_inner, *before, ir.For(variables[-1], body), *last]
        if not self.flushes:
            return [*nest(variables[:-1], inside), *self.after]
        # Loops over terms are not merged with the others, which the results depend on.
        terms = {v for e in self.loops[: self.term_loops] for v in e.terms}
        over = [v for v in variables if any(v in new.get(t, Expr({t: 1})).terms for t in terms)]
        k, size = blocking_of(over, costs.TERMS_PER_PART)
        inner = ir.For(variables[k], nest(variables[k + 1 : -1], inside))
        return [
            *nest(variables[:k], [blocks(inner, size, self.resets, self.flushes)]),
            *self.after,
        ]


def rows_function(
    kernel: Kernel, schedule: Schedule, buffers: BufferPlan, machine: Machine
) -> KernelSource:
    """The C of a kernel of rows."""
    rows = RowKernel(kernel, schedule)
    found = print_kernel(by_lanes(rows.statements(machine.vector), machine.vector), buffers)
    combined = rows.combine_partials()
    found.combine = print_kernel(combined, buffers) if combined else None
    rows.loops.clear()  # a reference cycle: without this, everything would stay in memory
    return found


class RowKernel:
    """Lowers a kernel of rows to the statements before the rows, in each row, and after them.

    `alone`: it is too small for threads to share, see `work_of` of deduplicate.py.
    """

    def __init__(self, kernel: Kernel, schedule: Schedule) -> None:
        self.kernel, self.schedule = kernel, schedule
        self.rows = kernel.total if kernel.rows is None else kernel.rows
        self.row_loops, self.row = row_loops(kernel, self.rows)
        self.inner_extents = inner_extents(kernel.stages, self.rows)
        self.alone = 4 * sum(x.total for x in kernel.stages) < costs.MIN_SHARED_KERNEL
        self.numbers = {stage.value: k for k, stage in enumerate(kernel.stages)}
        self.loops: list[Loop] = []
        # Of each value: its loop nest, the point of its loops, and the variable it is computed in.
        self.loop_of: dict[Value, int] = {}
        self.points: dict[Value, Index] = {}
        self.names: dict[Value, ir.Operand] = {}
        self.before: list[ir.Statement] = []
        self.in_row: list[ir.Statement] = []
        self.after: list[ir.Statement] = []
        # Several sums at once whose terms are rows: before each part of the rows, and after it.
        self.resets: list[ir.Statement] = []
        self.flushes: list[ir.Statement] = []

    def statements(self, vector: int) -> list[ir.Statement]:
        """The statements of the kernel, of which threads share the outermost loop over rows.

        `vector`: bytes of one. Of some of them, terms are summed in lanes before they are added to
        the total.
        """
        block = costs.BLOCK_VECTORS * vector // np.dtype(np.float32).itemsize
        for stage in self.kernel.stages:
            self.assign_loop(stage)
        for loop in self.loops:
            self.lower_loop(loop)
        outer, new = merged(self.row_loops, self.in_row)
        body = ir.substituted(self.in_row, new)
        along = read_along(outer, body) if self.can_be_tiled else None
        if along is not None:
            tiles = tiled(outer, body, along, new, grain=int(not self.alone))
            return [*self.before, *vectorised(tiles, block), *self.after]
        body = widened(self.over_rows(outer, body, new, vector))
        return [*self.before, *vectorised(body, block), *self.after]

    def over_rows(
        self, outer: list[Var], body: list[ir.Statement], new: dict[Var, Expr], vector: int
    ) -> list[ir.Statement]:
        """Loops over rows around the statements of one."""
        at, size = blocking_of(outer, costs.TERMS_PER_PART) if self.flushes else (-1, 0)
        last, one = len(outer) - 1, body
        lanes = lanes_of(body, vector)
        several = loop_for_lanes(outer, body, lanes) if lanes and outer else None
        for k, v in reversed(list(enumerate(outer))):
            grain = costs.CACHE_LINE_ENTRIES if len(outer) == 1 and self.is_flat else 1
            before, body = around(v, body, new)
            over = ir.For(v, body, grain=0 if k or self.alone else grain)
            begin, end = (self.resets, self.flushes) if k == at else ([], [])
            full = (
                self.in_lanes(outer[k:], body if k == last else one, lanes) if k == several else []
            )
            if full and k >= at:
                inside = ir.if_full(v, lanes, full, [over_block(over)])
                over = blocks(replace(over, grain=over.grain * lanes), lanes, begin, end, inside)
            elif k in (at, last):
                rows = size if k == at else min(v.extent, costs.ROWS_PER_BLOCK)
                parts = self.distributed(over, rows) if k == last else []
                over = blocks(over, rows, begin, end, parts) if parts or k == at else over
            body = [*before, over]
        return body

    def in_lanes(self, outer: list[Var], body: list[ir.Statement], lanes: int) -> list[Any]:
        """The rows of a block, each in a lane, in the other loops over rows; none if they cannot
        be."""
        found = in_lanes(body, outer[0], lanes, self.before)
        if not found:
            return []
        full, self.before = found
        return nest(outer[1:], full)

    def distributed(self, over: ir.For, size: int) -> list[ir.For]:
        """Several loops over a block of rows in place of one; none if one is as good."""
        many = over.variable.extent >= costs.MIN_TILE_COLUMNS and not self.is_flat
        found = many and distributed(over.body, over.variable, size, self.before)
        if not found:
            return []
        bodies, self.before = found
        return [over_block(replace(over, body=body)) for body in bodies]

    @property
    def is_flat(self) -> bool:
        """Whether a row is one entry: the loop over rows is the innermost."""
        return all(not loop.extents for loop in self.loops)

    @property
    def can_be_tiled(self) -> bool:
        """Whether its entries can be computed in any order, and are many."""
        return self.kernel.rows is None and self.rows >= costs.MIN_TILED_SIZE

    # Which loops the stages share

    def assign_loop(self, stage: Stage) -> None:
        """Put a stage into the first loop nest that it can share."""
        value, extents = stage.value, self.inner_extents[stage]
        variables = [variable(f"j{k}", n) for k, n in enumerate(extents)]
        inner = ravel_index(variables, extents)
        point = unravel_index(self.row * (stage.total // self.rows) + inner, stage.dims)
        earlier = [x for x in self.schedule.reads[value] if x in self.loop_of]
        first = max((self.first_loop_after(x, stage, extents) for x in earlier), default=0)
        later = range(first, len(self.loops))
        n = next((n for n in later if self.loops[n].extents == extents), len(self.loops))
        if n == len(self.loops):
            self.loops.append(Loop(extents, tuple(variables), LoweringContext(self.load, f"t{n}_")))
        loop = self.loops[n]
        loop.stages.append(stage)
        x = value.inputs[0] if stage.kind == "reduce" else value
        self.points[value] = point
        self.names[value] = loop.body.read(x, stage.layout.index(point))
        self.loop_of[value] = n

    def first_loop_after(self, x: Value, stage: Stage, extents: tuple[int, ...]) -> int:
        """The first loop nest in which a stage can read another value of this kernel."""
        other, n = self.schedule.stages[x], self.loop_of[x]
        if other.kind == "reduce" or self.loops[n].extents != extents:
            return n + 1
        own = ravel_index(stage.places, stage.dims)
        same = all(
            ravel_index(other.layout.places(index), other.dims) == own
            for index in self.schedule.reads[stage.value][x]
        )
        return n if same else n + 1

    # Where values of this kernel are

    def load(self, value: Value, index: Index) -> ir.Access | ir.Number | None:
        """Where to read a value: memory, or the result of an earlier loop of this kernel."""
        if value not in self.numbers:
            return self.schedule.load(value, index)
        if value not in self.loop_of:
            return None  # it is being computed
        stage = self.schedule.stages[value]
        inner, extents = self.inner_of(stage, stage.places_of(index))
        if extents:
            return self.stored(stage, index, inner, extents)
        found = self.result_name(stage)
        return ir.Access(found, None, own=True) if isinstance(found, str) else found

    def stored(
        self, stage: Stage, index: Index, inner: Index, extents: tuple[int, ...]
    ) -> ir.Access:
        """Where the entries of a value in one row are: in memory, or in a local array."""
        if stage.value in self.schedule.stored:
            return replace(self.schedule.access(stage.value, index), own=True)
        array = self.row_storage(stage.value, extents)
        return ir.Access(array, ravel_index(inner, extents), own=True)

    def row_storage(self, value: Value, extents: tuple[int, ...]) -> Any:
        """The entries of one row: a local array, or scratch memory if they are many."""
        n = math.prod(extents)
        return self.local_name(value) if n <= costs.MAX_LOCAL_ENTRIES else ir.Scratch(value, n)

    def float64_storage(self, value: Value, extents: tuple[int, ...], across: bool) -> Any:
        """The totals of sums, in float64."""
        n = math.prod(extents)
        if across or n > costs.MAX_LOCAL_ENTRIES:
            return ir.Scratch(value, n, True)
        name = f"{self.local_name(value)}d"
        self.before.append(ir.Variable(name, FLOAT64, size=n))
        return name

    def declare(self, value: Value, extents: tuple[int, ...]) -> None:
        array = self.row_storage(value, extents)
        if isinstance(array, str):
            self.before.append(ir.Variable(array, in_memory(value.dtype), size=math.prod(extents)))

    def local_name(self, value: Value) -> str:
        return f"l{self.numbers[value]}"

    def result_name(self, stage: Stage) -> ir.Operand:
        """The variable, or number, of a value with one entry in a row."""
        if stage.kind != "reduce":
            return self.names[stage.value]
        total = f"r{self.local_name(stage.value)}"
        floats = stage.value.dtype.kind == "f"
        return f"{total}v" if stage.reduction.is_min_max and floats else total

    def inner_of(self, stage: Stage, point: Index) -> tuple[Index, tuple[int, ...]]:
        """The part within a row of a point of the loops that are not summed over, and its extents,
        without those of 1."""
        extents = stage.without_reduced(stage.dims)
        k = stage.row_loops(self.rows)
        if k is None:
            n = stage.total // self.rows
            return (ravel_index(point, extents).divmod(n)[1],), (n,)
        first = k - sum(stage.is_reduced[:k])
        inner = tuple(p for p, n in zip(point[first:], extents[first:], strict=True) if n != 1)
        return inner, without_ones(extents[first:])

    # The statements of the stages

    def lower_loop(self, loop: Loop) -> None:
        """Add a loop nest, each of its lines as far outside as its variables allow."""
        body, invariant = hoisted(loop.body.bindings, {v for e in loop.loops for v in e.terms})
        loop.innermost += body
        if self.row_loops:
            variables = {v for e in self.row_loops for v in e.terms}
            in_row, before = hoisted(invariant, variables | {ir.ROW})
            self.in_row += in_row
            self.before += before
        else:
            self.in_row += invariant
        for stage in loop.stages:
            if stage.kind == "reduce":
                self.lower_reduction(stage, loop)
            else:
                self.lower_map(stage, loop)
        self.in_row += loop.statements()

    def lower_map(self, stage: Stage, loop: Loop) -> None:
        value, point = stage.value, self.points[stage.value]
        if value in self.schedule.stored:
            target = self.schedule.access(value, stage.layout.index(point))
        else:
            inner, extents = self.inner_of(stage, point)
            if not extents or not self.is_read_elsewhere(value):
                return
            self.declare(value, extents)
            target = ir.Access(self.row_storage(value, extents), ravel_index(inner, extents))
        loop.innermost.append(ir.Store(target, self.names[value]))

    def is_read_elsewhere(self, value: Value) -> bool:
        return any(
            value in self.schedule.reads[s.value] and self.loop_of[s.value] != self.loop_of[value]
            for s in self.kernel.stages
        )

    def is_across(self, stage: Stage) -> bool:
        """Whether it is a reduction over rows, of which each thread computes a part."""
        return stage.reduction_direction(self.rows) == "across"

    def is_combined(self, stage: Stage) -> bool:
        """Whether each thread leaves a part of it: of one result that no threads share, none."""
        one = math.prod(stage.without_reduced(stage.dims)) == 1
        return self.is_across(stage) and not (one and self.alone)

    def lower_reduction(self, stage: Stage, loop: Loop) -> None:
        value, reduction, x = stage.value, stage.reduction, self.names[stage.value]
        dtype, start, across = value.dtype, initial_value(stage), self.is_across(stage)
        if self.inner_of(stage, stage.without_reduced(self.points[value]))[1]:
            self.lower_reduction_to_many(stage, loop)
            return
        total = f"r{self.local_name(value)}"
        inits, ends = (self.before, self.after) if across else (self.in_row, loop.after)
        if reduction.is_min_max and dtype.kind == "f":
            inits += [ir.Variable(total, dtype, start), ir.Variable(f"{total}n", FLAG)]
            loop.innermost.append(ir.Accumulate(total, reduction.combine, x))
            loop.innermost.append(ir.Accumulate(f"{total}n", "|", ir.Apply("!=", (x, x))))
            nan = ir.Number.of(np.nan, dtype)
            ends.append(ir.Let(f"{total}v", dtype, ir.Apply("if", (f"{total}n", nan, total))))
        elif reduction.combine == "+" and dtype.kind == "f":
            inits.append(ir.Variable(total, FLOAT64))
            alone = not loop.extents and not (across and self.is_flat)  # a term for each row
            loop.innermost.append(ir.Accumulate(total, "+", x, None if alone else dtype))
        else:
            inits.append(ir.Variable(total, FLAG if reduction.is_logical else dtype, start))
            term = is_not_zero(x) if reduction.is_logical else x
            loop.innermost.append(ir.Accumulate(total, reduction.combine, term))
        if across and not self.alone:
            target = ir.Access(ir.Scratch(value, 1, uses_partial_sums(stage)), ZERO)
            ends.append(ir.Store(target, self.result_name(stage)))
        elif value in self.schedule.stored:
            target = self.schedule.access(value, stage.result(self.points[value]))
            ends.append(ir.Store(target, self.result_name(stage)))

    def lower_reduction_to_many(self, stage: Stage, loop: Loop) -> None:
        """A reduction with several results in a row, or across rows."""
        value, point, x = stage.value, self.points[stage.value], self.names[stage.value]
        inner, extents = self.inner_of(stage, stage.without_reduced(point))
        place, across = ravel_index(inner, extents), self.is_across(stage)
        if across:
            result = ir.Access(ir.Scratch(value, math.prod(extents)), place)
        else:
            result = self.stored(stage, stage.result(point), inner, extents)
            if value not in self.schedule.stored:
                self.declare(value, extents)
        inits = self.before if across else self.in_row
        if not uses_partial_sums(stage):
            inits += for_each_result(place, ir.Store(result, initial_value(stage)))
            loop.innermost.append(ir.Store(result, combined(stage.reduction, result, x)))
            return
        total = ir.Access(self.float64_storage(value, extents, across), place)
        inits += for_each_result(place, ir.Store(total, ir.Number.of(0, FLOAT64)))
        if not across:
            loop.after += for_each_result(place, ir.Store(result, total))
        over_terms = [not v.variables() & place.variables() for v in loop.loops]
        term_loops = sum(over_terms)
        if over_terms[-1]:  # the terms of one result are next to each other
            row_total = f"r{self.local_name(value)}"
            loop.before_inner.append(ir.Variable(row_total, FLOAT64))
            loop.innermost.append(ir.Accumulate(row_total, "+", x, value.dtype))
            loop.after_inner.append(ir.Accumulate(total, "+", row_total))
        elif all(over_terms[:term_loops]) and loop.term_loops in (0, term_loops):
            loop.term_loops = term_loops
            owner = loop if term_loops else self
            owner.resets += for_each_result(place, ir.Store(result, ir.Number.of(0, value.dtype)))
            owner.flushes += for_each_result(place, ir.Accumulate(total, "+", result))
            loop.innermost.append(ir.Accumulate(result, "+", x))
        else:  # the terms of one result are in no block of iterations: each is added in float64
            loop.innermost.append(ir.Accumulate(total, "+", x))

    def combine_partials(self) -> list[ir.Statement]:
        """The statements that combine what each thread has reduced across rows."""
        across = filter(self.is_combined, self.kernel.stages)
        return [statement for stage in across for statement in self.combine_partial(stage)]

    def combine_partial(self, stage: Stage) -> list[ir.Statement]:
        value, extents = stage.value, stage.without_reduced(stage.dims)
        variables = iter(variable(f"j{k}", n) for k, n in enumerate(extents))
        point = tuple(next(variables) if not g else ZERO for g in stage.is_reduced)
        loops, thread = stage.without_reduced(point), Var("u", 1 << 16)
        n, place = math.prod(extents), ravel_index(loops, extents)
        partial = ir.Scratch(value, n, uses_partial_sums(stage))
        dtype = FLAG if value.dtype.kind == "b" else partial.dtype
        total = f"r{self.local_name(value)}"
        other = ir.Let("x", dtype, ir.Access(partial, place + Expr({thread: n})))
        next_total = ir.Store(total, combined(stage.reduction, total, "x"))
        statements: list[ir.Statement] = [
            ir.Variable(total, dtype, ir.Access(partial, place)),
            ir.For(thread, [other, next_total], low="1", high="threads"),
            ir.Store(self.schedule.access(value, stage.result(point)), total),
        ]
        merged_loops, new = merged(loops, statements)
        return nest(merged_loops, ir.substituted(statements, new))


# Loops over rows


def row_loops(kernel: Kernel, rows: int) -> tuple[list[Expr], Expr]:
    """The loops over rows that all stages share, and the number of a row."""
    outer = [stage.split_at(rows)[0] for stage in kernel.stages]
    extents = common_factors(outer) or [rows]
    loops = [variable(f"i{k}", n) for k, n in enumerate(extents)]
    return loops, ravel_index(loops, extents)


def inner_extents(stages: list[Stage], rows: int) -> dict[Stage, tuple[int, ...]]:
    """The loops of each stage in a row: for as many entries, the same, if they have common ones."""
    own = {stage: without_ones(stage.split_at(rows)[1]) for stage in stages}
    shared = {
        math.prod(x): common_factors(y for y in own.values() if y and math.prod(y) == math.prod(x))
        for x in {*own.values()}
    }
    return {stage: without_ones(shared[math.prod(x)] or x) for stage, x in own.items()}


def without_ones(extents: Iterable[int]) -> tuple[int, ...]:
    return tuple(n for n in extents if n != 1)


# Reductions


def initial_value(stage: Stage) -> ir.Number:
    """The first value of an accumulator."""
    start, dtype = stage.reduction.start, stage.value.inputs[0].dtype
    if stage.reduction.is_min_max and dtype.kind == "b":
        start = start > 0
    elif stage.reduction.is_min_max and dtype.kind != "f":
        info = np.iinfo(dtype)
        start = info.min if start < 0 else info.max
    return ir.Number.of(start, dtype)


def uses_partial_sums(stage: Stage) -> bool:
    """Whether a reduction is a sum of many floats, whose total is kept in float64."""
    terms = stage.total // math.prod(stage.without_reduced(stage.dims))
    floats = stage.reduction.combine == "+" and stage.value.dtype.kind == "f"
    return floats and terms > costs.TERMS_PER_PART


def for_each_result(place: Expr, statement: ir.Statement) -> list[ir.Statement]:
    """A statement for each of the results in a row, which are at this place in it."""
    over = sorted(place.terms, key=lambda v: -place.terms[v])
    loops, new = merged([Expr({v: 1}) for v in over], [statement])
    return nest(loops, ir.substituted([statement], new))
