"""Where every array lives: the plan of buffers.

Copies that aliasing needs are made before scheduling. `plan_buffers` then decides which values are
computed in the memory of another: of a state that they are written into (buffer aliasing), or of a
concatenation that they are a part of (sub-buffers). `allocate` places what is left, once code
generation has said what each call uses: leaves and outputs have a slot each, the rest shares an
arena, by liveness.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from minigrad.compiler.graph.ir import Graph, Value
from minigrad.compiler.graph.layout import Layout, plain
from minigrad.compiler.graph.opset.base import rules_of
from minigrad.compiler.graph.opset.elementwise import copy_of
from minigrad.compiler.loops.ir import Scratch
from minigrad.compiler.schedule.arena import arena
from minigrad.compiler.schedule.stages import Kernel, Schedule


@dataclass(eq=False)
class BufferPlan:
    """The buffer of each value.

    `aliases`: values that are computed in the memory of a state, with that state. `subbuffers`:
    values that are computed in the memory of a concatenation, with it and the first entry.
    """

    layouts: dict[Value, Layout]
    aliases: dict[Value, Value] = field(default_factory=dict)
    subbuffers: dict[Value, tuple[Value, int]] = field(default_factory=dict)

    def array_of(self, x: Any) -> Any:
        """The array by which kernels read and write a value: its own, or the state it aliases."""
        return self.aliases.get(x, x)

    def buffer_of(self, x: Any) -> tuple[Any, int]:
        """The value, or scratch memory, whose buffer a value is in, and from which entry on."""
        first = 0
        while x in self.subbuffers:
            x, more = self.subbuffers[x]
            first += more
        return self.array_of(x), first

    def bytes_of(self, x: Value | Scratch, threads: int) -> int:
        if isinstance(x, Scratch):
            return x.entries * x.dtype.itemsize * (threads if x.each else 1)
        return self.layouts[x].entries * x.dtype.itemsize


def plan_buffers(schedule: Schedule) -> BufferPlan:
    buffers = BufferPlan(schedule.layouts, aliases_of(schedule))
    for kernel in schedule.kernels:
        if kernel.kind == "concat":
            place_parts(kernel.stages[0].value, schedule, buffers)
        if kernel.kind == "control":
            place_carries(kernel, schedule, buffers)
        if kernel.kind == "scatter":
            place_updated(kernel.stages[0].value, schedule, buffers)
    return buffers


# Copies that aliasing needs


def copy_aliased_writes(graph: Graph) -> Graph:
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


def as_program(call: Value, body: Graph) -> Graph:
    """A body as a program of its own: carries are states, and what else it computes has memory of
    its own."""
    k, c = call.attributes.get("constants", 0), call.attributes.get("carries", 0)
    states = body.inputs[k : k + c]
    outputs: list[Value] = []
    for x in body.outputs[c:]:
        outputs.append(copy_of(x) if x.op is None or x in outputs else x)
    inputs = [x for x in body.inputs if x not in states]
    writes = list(zip(states, body.outputs[:c], strict=True))
    return copy_aliased_writes(Graph(inputs, states, outputs, writes))


def depths_of(graph: Graph) -> dict[Value, int]:
    """How many ops each value is from the leaves."""
    depths: dict[Value, int] = {}
    for value in graph.order:
        depths[value] = 1 + max((depths[x] for x in value.values()), default=0)
    return depths


# Buffer aliasing


def aliases_of(schedule: Schedule) -> dict[Value, Value]:
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
    """Whether the kernel of x visits each entry once, and reads the target at the same entry; or
    writes a few entries of it."""
    kernel, stage = schedule.kernels[schedule.kernel_of[x]], schedule.stages[x]
    if rules_of(x.op).is_update and kernel.kind == "scatter":
        return x.inputs[0] is target and target not in x.values()[1:]
    if stage.kind != "map" or not (kernel.kind == "contract" or kernel.rows is None):
        return False
    layout = schedule.layouts[x]
    own = layout.address(stage.layout.index(stage.places))
    return all(
        other.dims == stage.dims and layout.address(index) == own
        for other in kernel.stages
        for index in schedule.reads[other.value].get(target, ())
    )


# Sub-buffers


def place_parts(value: Value, schedule: Schedule, buffers: BufferPlan) -> None:
    """Compute the parts of a concatenation along the first axis in its memory, without a copy."""
    axis = value.attributes["axis"] % len(value.shape)
    if math.prod(value.shape[:axis]) != 1 or not in_c_order(value, schedule):
        return
    roots, start = {*schedule.graph.roots()}, 0
    for x in value.inputs:
        base = before_reshapes(x, schedule)
        free = base in schedule.kernel_of and base not in roots and base not in buffers.subbuffers
        same = base.dtype == value.dtype and in_c_order(base, schedule) and in_c_order(x, schedule)
        if free and same:
            buffers.subbuffers[base] = value, start
        start += x.size


def place_carries(kernel: Kernel, schedule: Schedule, buffers: BufferPlan) -> None:
    """Compute what carries begin with in the memory of the carries, if nothing else reads it."""
    call, *results = (stage.value for stage in kernel.stages)
    roots, carries = {*schedule.graph.roots()}, call.attributes.get("carries", 0)
    users = Counter(itertools.chain(*schedule.reads.values()))
    given = Counter(call.inputs)
    for result in results:
        k = result.attributes["position"]
        if k < carries:
            x = call.inputs[call.attributes["constants"] + k]
            own = x in schedule.kernel_of and x not in roots and users[x] == given[x] == 1
            if own and x not in buffers.subbuffers and x not in buffers.aliases:
                buffers.subbuffers[x] = result, 0


def place_updated(value: Value, schedule: Schedule, buffers: BufferPlan) -> None:
    """Compute an array in the memory of what it is after an update, if nothing else reads it."""
    x = value.inputs[0]
    updates = rules_of(value.op).is_update
    if not updates or value in buffers.aliases or x not in schedule.kernel_of:
        return
    users = sum(x in reads for reads in schedule.reads.values())
    own = users == 1 and x not in value.values()[1:] and x not in schedule.graph.roots()
    same = schedule.layouts[x] == schedule.layouts[value]
    if own and same and x not in buffers.subbuffers and x not in buffers.aliases:
        buffers.subbuffers[x] = value, 0


def before_reshapes(x: Value, schedule: Schedule) -> Value:
    """The value before reshapes that are not stored."""
    while rules_of(x.op).keeps_c_order and x not in schedule.kernel_of:
        x = x.inputs[0]
    return x


def in_c_order(value: Value, schedule: Schedule) -> bool:
    return schedule.layouts[value] == plain(value.shape)


# Slots, and the arena


@dataclass(eq=False)
class Memory:
    """Where each buffer is: in a slot of its own, or at an offset in the arena, the last slot."""

    buffers: BufferPlan
    slots: dict[Any, int]
    offsets: dict[Any, int]
    size: int  # of the arena, in bytes
    threads: int
    spans: dict[Any, tuple[int, int, int]] = field(default_factory=dict)

    def span(self, x: Value | Scratch) -> tuple[int, int, int]:
        """The slot of an array, its first byte, and the first after its last."""
        if x not in self.spans:
            whole, first = self.buffers.buffer_of(x)
            start = 0 if whole in self.slots else self.offsets[whole]
            start += first * x.dtype.itemsize
            end = start + self.buffers.bytes_of(x, self.threads)
            self.spans[x] = self.slots.get(whole, len(self.slots)), start, end
        return self.spans[x]


def allocate(
    buffers: BufferPlan,
    own_slots: Sequence[Value],
    calls: Iterable[Iterable[Value | Scratch]],
    threads: int,
) -> Memory:
    """Place all buffers; `calls`: the arrays that each call uses, in the order of the calls."""
    slots = {x: k for k, x in enumerate(own_slots)}
    # Each once, in an order that is the same in every process.
    uses = [dict.fromkeys(buffers.buffer_of(x)[0] for x in used) for used in calls]
    sizes = {x: buffers.bytes_of(x, threads) for used in uses for x in used if x not in slots}
    return Memory(buffers, slots, *arena(uses, sizes), threads)
