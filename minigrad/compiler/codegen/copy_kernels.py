"""Kernels that fill an array piece by piece: concatenations, copies in panels, and scatter-adds."""

from __future__ import annotations

import math

import numpy as np

from minigrad.compiler.codegen.c import (
    Function,
    Writer,
    head_of,
    line_of,
    merged,
    replaced,
    share_of,
)
from minigrad.compiler.graph.affine import ZERO, Expr, Var, flat, variable
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.loops.ir import Access
from minigrad.compiler.loops.lowering import Body, arrays_of, ctype
from minigrad.compiler.schedule.fusion import Kernel, Schedule, unreshaped
from minigrad.compiler.target import costs


def scatter_function(kernel: Kernel, schedule: Schedule, alias: dict[Value, Value]) -> Function:
    """Fill with 0, then add each entry one after the other; threads share the last axis."""
    value = kernel.stages[0].value
    g, arrays = value.inputs[0], arrays_of(value)
    layout = schedule.layouts[value]
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    spots = tuple(variable(f"s{k}", n) for k, n in enumerate(shape))
    rest = tuple(variable(f"j{k}", n) for k, n in enumerate(value.shape[len(arrays) :]))
    body = Body(schedule.load)
    rows = [
        body.row(array, spots[len(spots) - len(array.shape) :], n)
        for array, n in zip(arrays, value.shape, strict=False)
    ]
    name = body.read(g, (*spots, *rest))
    last = [v for e in rest for v in e.terms][-1:]
    writer = Writer(alias)
    zeros = tuple(variable(f"z{k}", n) for k, n in enumerate(value.shape[: len(arrays)]))
    write_loops((*zeros, *rest), last, writer)
    writer.add(Access(value, layout.address((*zeros, *rest))), " = 0;")
    write_loops((*spots, *rest), last, writer)
    writer.add("{")
    for line in body.lines:
        writer.add(*line_of(line))
    writer.add(Access(value, layout.address((*rows, *rest))), f" += {name};")
    writer.add("}")
    function = writer.function([share_of(last[0].extent, costs.CACHE_LINE_ENTRIES)] if last else [])
    function.parallel = bool(last) and last[0].extent >= 2 * costs.CACHE_LINE_ENTRIES
    return function


def write_loops(loops: tuple[Expr, ...], shared: list[Var], writer: Writer) -> None:
    for e in loops:
        for v in e.terms if e is not ZERO else ():
            writer.add(head_of(v, "low", "high") if v in shared else head_of(v))


def concat_function(kernel: Kernel, schedule: Schedule, alias: dict[Value, Value]) -> Function:
    """Copy each input into its part, except those that were computed there."""
    value = kernel.stages[0].value
    axis, layout = value.attributes["axis"] % len(value.shape), schedule.layouts[value]
    writer, start = Writer(alias), 0
    for k, x in enumerate(value.inputs):
        if not is_inside(x, value, start, schedule) and x.size:
            places = [variable(f"j{a}", x.shape[a]) for a in layout.order]
            index = tuple(places[layout.order.index(a)] for a in range(len(x.shape)))
            body = Body(schedule.load, f"t{k}_")
            name = body.read(x, index)
            there = tuple(i + start if a == axis else i for a, i in enumerate(index))
            statements = [line_of(line) for line in body.lines]
            cast = "" if x.dtype == value.dtype else f"({ctype(value.dtype)})"
            statements.append((Access(value, layout.address(there)), f" = {cast}{name};"))
            loops, new = merged(places, statements)
            for v in loops:
                writer.add(head_of(v))
            writer.add("{")
            for statement in statements:
                writer.add(*replaced(statement, new))
            writer.add("}")
        start += x.shape[axis]
    return writer.function()


def is_inside(x: Value, value: Value, start: int, schedule: Schedule) -> bool:
    """Whether it was computed in its part of the concatenation: if it is twice there, the first."""
    before = start * math.prod(value.shape) // value.shape[value.attributes["axis"]]
    return schedule.subbuffer_of.get(unreshaped(x, schedule)) == (value, before)


def pack_function(kernel: Kernel, schedule: Schedule, alias: dict[Value, Value]) -> Function:
    """A copy in panels of columns, the last of which is filled up with zeros."""
    (stage,) = kernel.stages
    value, layout = stage.value, stage.layout
    *outer, _ = places = [variable(f"i{k}", n) for k, n in enumerate(layout.extents)]
    column = Expr({Var("c", layout.panel): 1})
    places[-1] = column
    body = Body(lambda x, index: None if x is value else schedule.load(x, index))
    name = body.read(value, layout.index(places))
    target = Access(value, flat(places, layout.extents))
    writer = Writer(alias)
    loops = [v for e in outer for v in e.terms]
    for k, v in enumerate(loops):
        writer.add(head_of(v, "low", "high") if k == 0 else head_of(v))
    n, width = value.shape[layout.order[-1]], layout.panel
    writer.add("{")
    end = str(width)
    if n % width:
        end = "columns"
        rest = Expr(places[layout.at].terms, 0) * width
        writer.add("const int64_t left = ", Expr({}, n) + rest * -1, ";")
        writer.add(f"const int64_t columns = left < {width} ? left : {width};")
    writer.add("#pragma GCC ivdep")
    writer.add(head_of(Var("c", width), high=end), " {")
    for line in body.lines:
        writer.add(*line_of(line))
    writer.add(target, f" = {name};")
    writer.add("}")
    if n % width:
        writer.add(head_of(Var("c", width), low="columns"))
        writer.add(target, " = 0;")
    writer.add("}")
    function = writer.function([share_of(loops[0].extent)] if loops else [])
    function.parallel = bool(loops)
    return function
