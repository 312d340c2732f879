"""Copy kernels: concatenations, copies packed in panels, scatter-adds and scans."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from minigrad.compiler.codegen.c import KernelSource, print_kernel
from minigrad.compiler.graph.affine import Expr, Index, Var, number, ravel_index, variable
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.graph.opset.base import in_pairs, rules_of
from minigrad.compiler.graph.opset.indexing import arrays_of, scattered
from minigrad.compiler.graph.opset.reductions import Scan
from minigrad.compiler.loops import ir
from minigrad.compiler.loops.lowering import LoweringContext
from minigrad.compiler.loops.passes import around, merged, nest, read_along, tiled, vectorised
from minigrad.compiler.schedule.buffers import BufferPlan, before_reshapes
from minigrad.compiler.schedule.stages import Kernel, Schedule
from minigrad.compiler.target import costs
from minigrad.compiler.target.machine import Machine


def scatter_function(
    kernel: Kernel, schedule: Schedule, buffers: BufferPlan, machine: Machine
) -> KernelSource:
    """Fill, then add or store each entry one after the other; threads share the last axis.

    Sums are filled with 0, an array that is updated with what it was: with nothing, if it is
    computed in the memory of that.
    """
    value = kernel.stages[0].value
    arrays, updates = arrays_of(value), rules_of(value.op).is_update
    body = LoweringContext(schedule.load)
    index_loops, columns, rows, name = scattered(value, body)
    fill_loops = tuple(variable(f"z{k}", n) for k, n in enumerate(value.shape[: len(arrays)]))
    cells = costs.CELL_COPIES * value.size
    few = cells <= costs.MAX_LOCAL_ENTRIES <= math.prod(v.extent for v in variables_of(index_loops))
    if few and not columns and not updates:
        cell = ravel_index(rows, value.shape)
        add = [*body.bindings, ir.Accumulate(ir.Access("cells", cell), "+", name)]
        return print_kernel(sums_by_parts(value, schedule, index_loops, add), buffers)
    target = schedule.access(value, (*rows, *columns))
    put = ir.Store(target, name) if updates else ir.Accumulate(target, "+", name)
    start, place = LoweringContext(schedule.load, "f"), (*fill_loops, *columns)
    before = start.input(value.inputs[0] if updates else 0, value.dtype, place)
    fill = [*start.bindings, ir.Store(schedule.access(value, place), before)]
    added: list[ir.Statement] = [*body.bindings, put]
    # In both alike, as threads share the last of them.
    rest, new = merged(columns, [*fill, *added])
    fill, added = ir.substituted(fill, new), ir.substituted(added, new)
    statements = loops_over(variables_of(index_loops), rest, added, new)
    if not updates_in_place(value, buffers):
        statements = [*loops_over(variables_of(fill_loops), rest, fill, new), *statements]
    # Without columns, the innermost loop is over indices, of which several may be equal.
    return print_kernel(vectorised(statements, 1) if rest else statements, buffers)


def sums_by_parts(
    value: Value, schedule: Schedule, loops: Index, add: list[ir.Statement]
) -> list[ir.Statement]:
    """Of few cells, as entries that follow each other are often added to the same: each to another
    copy of them, of which the sum is stored."""
    n, count = value.size, costs.CELL_COPIES
    (*outer, inner), new = merged(loops, add)
    whole, rest = divmod(inner.extent, count)

    def added(part: Var, before: Expr) -> ir.For:
        """Loop over copies, for an entry each, of which there are so many before them."""
        each = ir.substituted(ir.substituted(add, new), {inner: before + Expr({part: 1})})
        *bindings, line = each
        assert isinstance(line, ir.Accumulate) and isinstance(line.target, ir.Access)
        to = line.target.place
        assert to is not None
        cell = ir.Access("cells", to + Expr({part: n}))
        return ir.For(part, [*bindings, ir.Accumulate(cell, "+", line.value)])

    sums: list[ir.Statement] = []
    if whole:
        block = Var("block", whole)
        sums.append(ir.For(block, [added(Var("part", count), Expr({block: count}))]))
    if rest:
        sums.append(added(Var("last", rest), number(whole * count)))
    to = tuple(variable(f"z{k}", size) for k, size in enumerate(value.shape))
    cell = ravel_index(to, value.shape)
    copies: list[Any] = [ir.Access("cells", cell + k * n) for k in range(count)]
    total = in_pairs(copies, lambda a, b: ir.Apply("+", (a, b)))
    entry = Var("entry", count * n)
    zero = ir.Store(ir.Access("cells", Expr({entry: 1})), ir.Number.of(0, value.dtype))
    return [
        ir.Variable("cells", value.dtype, size=count * n),
        ir.For(entry, [zero]),
        *nest(outer, sums),
        *nest(variables_of(to), [ir.Store(schedule.access(value, to), total)]),
    ]


def updates_in_place(value: Value, buffers: BufferPlan) -> bool:
    """Whether it is an update of an array in the memory of that."""
    updates = rules_of(value.op).is_update
    return updates and buffers.buffer_of(value.inputs[0]) == buffers.buffer_of(value)


def scan_function(
    kernel: Kernel, schedule: Schedule, buffers: BufferPlan, machine: Machine
) -> KernelSource:
    """One accumulator for each line along the axis, or back from its end, every value of which is
    stored; threads share the outermost of the other axes."""
    (stage,) = kernel.stages
    value, rules = stage.value, rules_of(stage.value.op)
    assert isinstance(rules, Scan)
    along = value.attributes["axis"] % len(value.shape)
    index = tuple(variable(f"i{k}", n) for k, n in enumerate(value.shape))
    place = index
    if value.attributes.get("back"):
        end = value.shape[along] - 1
        place = tuple(i * -1 + end if k == along else i for k, i in enumerate(index))
    body = LoweringContext(schedule.load)
    names = [(body.read(x, place), x) for x in value.inputs]
    *factors, term = [
        name if x.dtype == value.dtype else body.cast(name, x, value.dtype) for name, x in names
    ]
    lines: list[ir.Statement] = [
        *body.bindings,
        *(ir.Store("total", ir.Apply("product({0}, {1})", ("total", x))) for x in factors),
        ir.Accumulate("total", rules.combine, term),
        ir.Store(schedule.access(value, place), "total"),
    ]
    scan: list[ir.Statement] = [
        ir.Variable("total", value.dtype, ir.Number.of(rules.start, value.dtype)),
        *nest([*index[along].terms], lines),
    ]
    others = [v for k in stage.layout.order if k != along for v in index[k].terms]
    return print_kernel(nest(others, scan, grain=1), buffers)


def variables_of(loops: Iterable[Expr]) -> list[Var]:
    return [v for e in loops for v in e.terms]


def loops_over(
    loops: list[Var], columns: list[Var], body: list[ir.Statement], new: Mapping[Var, Expr]
) -> list[ir.Statement]:
    """Loops around statements, each line as far outside as it can be; threads share the last loop
    over columns. `new`: the replacements of variables that were merged."""
    for k, v in reversed([*enumerate([*loops, *columns])]):
        last = k == len(loops) + len(columns) - 1 and bool(columns)
        before, body = around(v, body, new)
        body = [*before, ir.For(v, body, grain=costs.CACHE_LINE_ENTRIES * last)]
    return body


def concat_function(
    kernel: Kernel, schedule: Schedule, buffers: BufferPlan, machine: Machine
) -> KernelSource:
    """Copy each input into its part, except those that were computed there."""
    value = kernel.stages[0].value
    axis, layout = value.attributes["axis"] % len(value.shape), schedule.layouts[value]
    statements: list[ir.Statement] = []
    start = 0
    for k, x in enumerate(value.inputs):
        in_place = value, start * value.size // value.shape[axis]
        if x.size and buffers.subbuffers.get(before_reshapes(x, schedule)) != in_place:
            places = [variable(f"j{a}", x.shape[a]) for a in layout.order]
            index = tuple(places[layout.order.index(a)] for a in range(len(x.shape)))
            body = LoweringContext(schedule.load, f"t{k}_")
            name = body.read(x, index)
            target_index = tuple(i + start if a == axis else i for a, i in enumerate(index))
            cast = name if x.dtype == value.dtype else ir.Apply(f"cast {value.dtype}", (name,))
            target = schedule.access(value, target_index)
            copied: list[ir.Statement] = [*body.bindings, ir.Store(target, cast)]
            loops, new = merged(places, copied)
            statements += nest(loops, ir.substituted(copied, new))
        start += x.shape[axis]
    return print_kernel(statements, buffers)


def pack_function(
    kernel: Kernel, schedule: Schedule, buffers: BufferPlan, machine: Machine
) -> KernelSource:
    """A copy in panels of columns, the last of which is filled up with zeros."""
    (stage,) = kernel.stages
    value, layout = stage.value, stage.layout
    column = Var("c", layout.panel)
    *outer, _ = places = [variable(f"i{k}", n) for k, n in enumerate(layout.extents)]
    places[-1] = Expr({column: 1})
    load = lambda x, index: None if x is value else schedule.load(x, index)  # noqa: E731
    body = LoweringContext(load, padded=True)
    name = body.read(value, layout.index(places))
    target = ir.Access(value, ravel_index(places, layout.extents))
    n, width = value.shape[layout.order[-1]], layout.panel
    loops = [*(v for e in outer for v in e.terms), column]
    copied: list[ir.Statement] = [*body.bindings, ir.Store(target, name)]
    along = read_along(loops, copied) if value.size >= costs.MIN_TILED_SIZE else None
    k = len(loops) - 1 if along is None else loops.index(along)
    outer_loops, loops = loops[:k], loops[k:-1]

    def columns(last: Var) -> list[ir.Statement]:
        """A copy of so many columns."""
        new = {column: Expr({last: 1})}
        lines = ir.substituted(copied, new)
        if along is None or last.extent < costs.MIN_TILE_COLUMNS:
            return nest(loops, [ir.For(last, lines, independent=True)])
        return vectorised(tiled([*loops, last], lines, along, new), 1)

    whole = columns(column)
    panels, rest = divmod(n, width)
    if rest:  # in the last panel
        beyond = Var("z", width - rest)
        place = target.place and target.place.replaced({column: Expr({beyond: 1}, rest)})
        zero = ir.Store(replace(target, place=place), ir.Number.of(0, value.dtype))
        part = columns(Var("c", rest)) + nest(loops, [ir.For(beyond, [zero], independent=True)])
        is_whole = ir.Apply("<", (Expr(places[layout.at].terms), number(panels)))
        whole = [ir.If(is_whole, whole, part)] if panels else part
    shared = nest(outer_loops, whole, grain=1)
    return print_kernel(shared, buffers, padded=True)
