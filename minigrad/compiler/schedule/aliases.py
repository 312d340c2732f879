"""Writes into state: computed in the memory of the state wherever that is sound."""

from __future__ import annotations

from dataclasses import replace

from minigrad.compiler.graph.ir import Graph, Value
from minigrad.compiler.graph.opset.elementwise import copy_of
from minigrad.compiler.schedule.fusion import Schedule


def with_own_writes(graph: Graph) -> Graph:
    """Copy values that are written where they must not alias: a leaf, which may be written itself,
    and a value that is written twice. Copy also a leaf that is returned, and written afterwards."""
    seen = set[Value]()
    writes = []
    depths = depths_of(graph)
    # The deepest value first: by then all that other writes overwrite has been read.
    for target, x in sorted(graph.writes, key=lambda write: -depths[write[1]]):
        if x.op is None or x in seen:
            x = copy_of(x)
        seen.add(x)
        writes.append((target, x))
    targets = {target for target, _ in writes}
    outputs = [copy_of(x) if x in targets else x for x in graph.outputs]
    return replace(graph, writes=writes, outputs=outputs)


def depths_of(graph: Graph) -> dict[Value, int]:
    """How many ops each value is from the leaves."""
    depths: dict[Value, int] = {}
    for value in graph.order:
        depths[value] = 1 + max((depths[x] for x in value.values()), default=0)
    return depths


def in_place(schedule: Schedule) -> dict[Value, Value]:
    """Values that can be computed directly in the memory of the state that they are written into,
    with that state: if nothing reads the state later, or at another index in the same loop."""
    last: dict[Value, int] = {}
    for value, reads in schedule.reads.items():
        for x in reads:
            last[x] = max(last.get(x, -1), schedule.kernel_of[value])
    outputs = set(schedule.graph.outputs)
    # Products may read past the end of their factors, which must then be in the arena.
    factors = {x for product in schedule.contractions for x in schedule.reads.get(product, ())}
    return {
        x: target
        for target, x in schedule.graph.writes
        if not {target, x} & outputs
        and x not in factors
        and last.get(target, -1) <= schedule.kernel_of[x]
        and is_own_place(target, x, schedule)
    }


def is_own_place(target: Value, x: Value, schedule: Schedule) -> bool:
    """Whether the kernel of x visits each entry once, and reads the target at the same entry."""
    kernel, stage = schedule.kernels[schedule.kernel_of[x]], schedule.stages[x]
    if stage.kind != "map" or not (kernel.kind == "contract" or kernel.rows is None):
        return False
    layout = schedule.layouts[x]
    own = layout.address(stage.layout.index(stage.places))
    return all(
        other.dims == stage.dims and layout.address(index) == own
        for other in kernel.stages
        for index in schedule.reads[other.value].get(target, ())
    )
