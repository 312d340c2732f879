"""Kernels that add entries where an index from memory says."""

from __future__ import annotations

import numpy as np

from minigrad.compile.index import ZERO, Expr, Var, variable
from minigrad.compile.ir import Value
from minigrad.compile.lower import Access, Body, arrays_of
from minigrad.compile.schedule import Kernel, Schedule
from minigrad.compile.write import Function, Writer, head_of, line_of


def scatter_function(kernel: Kernel, plan: Schedule, alias: dict[Value, Value]) -> Function:
    """Fill with 0, then add each entry: one after the other, by threads that share the last axis."""
    value = kernel.stages[0].value
    g, arrays = value.inputs[0], arrays_of(value)
    layout = plan.layouts[value]
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    spots = tuple(variable(f"s{k}", n) for k, n in enumerate(shape))
    rest = tuple(variable(f"j{k}", n) for k, n in enumerate(value.shape[len(arrays) :]))
    body = Body(plan.load)
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
    head = []
    if last:
        n = last[0].extent
        head = [f"const int64_t low = SPLIT({n}, t, T, 16), high = SPLIT({n}, t + 1, T, 16);"]
    function = writer.function(head)
    function.parallel = bool(last) and last[0].extent >= 32
    return function


def write_loops(loops: tuple[Expr, ...], shared: list[Var], writer: Writer) -> None:
    for e in loops:
        for v in e.terms if e is not ZERO else ():
            writer.add(head_of(v, "low", "high") if v in shared else head_of(v))  # type: ignore[arg-type]
