"""Running a graph as C."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minigrad.compile.build import build, machine, runtime
from minigrad.compile.codegen import Call, generate, source_of, work_of
from minigrad.compile.contract import with_operands
from minigrad.compile.ir import Graph, Value
from minigrad.compile.layout import Layout
from minigrad.compile.memory import arena
from minigrad.compile.schedule import Schedule, is_literal, schedule
from minigrad.compile.write import Scratch
from minigrad.errors import ShapeError
from minigrad.ops.base import registry


class Plan(ctypes.Structure):
    """As runtime.c has it."""

    _fields_ = (
        *((n, ctypes.c_void_p) for n in "kernels calls slots offsets table seconds".split()),
        *((n, ctypes.c_int64) for n in "bad count arguments threads".split()),
    )


SHARED, WAIT, END = 1, 2, 4
SMALL = 1 << 12  # bytes of an output that are copied rather than computed in place
LITTLE = 1 << 19  # operations of a program that one thread does faster


class Program:
    """A graph as C, with the memory that it computes in.

    `bind` says where a leaf's array is, until it is bound again; `run` gives the outputs.

    Raises:
        BuildError: if there is no C compiler, or it fails.
    """

    def __init__(self, graph: Graph) -> None:
        graph = with_own_writes(graph)
        self.schedule = plan = schedule(with_operands(graph, machine().vector))
        graph = plan.graph
        self.alias = in_place(plan)
        self.code = code = generate(plan, self.alias, machine())
        half = -(-len(code.texts) // 2) if sum(map(len, code.texts)) > 1 << 14 else len(code.texts)
        groups = [code.texts[k : k + half] for k in range(0, len(code.texts), max(half, 1))]
        self.sources = [source_of(group, machine().vector) for group in groups]
        self.libraries = build(*self.sources)
        self.threads = machine().threads if total_work(plan) > LITTLE else 1
        self.outputs = graph.outputs
        self.arrays: dict[Value, np.ndarray] = {}
        self.place(graph)
        self.steps = self.segments()

    # Memory

    def place(self, graph: Graph) -> None:
        """Give each array a slot in the table, and an offset."""
        code, plan = self.code, self.schedule
        leaves = [*graph.inputs, *graph.states]
        leaves += [v for v in graph.order() if v.kind == "constant" and not is_literal(v)]
        self.own = list(dict.fromkeys(x for x in self.outputs if x.op is not None))
        self.slots = {value: k for k, value in enumerate([*leaves, *self.own])}
        count = len(self.slots)
        uses = [{self.holder(x)[0] for x in used_by(call)} for call in code.calls]
        sizes = {
            x: self.bytes_of(x)
            for used in uses
            for x in used
            if x not in self.slots and x not in self.alias
        }
        self.offsets, total = arena(uses, sizes)
        for x in plan.inside:
            whole, first = self.holder(x)
            self.offsets[x] = self.offsets.get(whole, 0) + first * x.dtype.itemsize
        self.arena = np.zeros(total + 256, np.uint8)
        start = -address(self.arena) % 64
        self.table = (ctypes.c_void_p * (count + 1))()
        self.table[count] = address(self.arena) + start
        for x, offset in self.offsets.items():
            self.slots[x] = self.slots.get(self.holder(x)[0], count)
            if isinstance(x, Value) and self.slots[x] == count:
                layout = plan.layouts[x]
                part = self.arena[start + offset :][: layout.entries * x.dtype.itemsize]
                self.arrays[x] = viewed(part.view(x.dtype), layout)
        for x in self.own:
            self.bind_output(x)
        for value in leaves:
            if value.kind == "constant":
                assert value.array is not None
                self.bind(value, np.ascontiguousarray(value.array).reshape(value.shape))

    def holder(self, x: Any) -> tuple[Any, int]:
        """In the memory of which value another is, and from which entry on."""
        first = 0
        while x in self.schedule.inside:
            x, more = self.schedule.inside[x]
            first += more
        return x, first

    def bytes_of(self, x: Value | Scratch) -> int:
        if isinstance(x, Scratch):
            return x.entries * x.value.dtype.itemsize * machine().threads
        return self.schedule.layouts[x].entries * x.dtype.itemsize

    def bind(self, value: Value, array: np.ndarray) -> None:
        """The array, in C order, that a leaf stands for from here on."""
        self.arrays[value] = array
        self.table[self.slots[value]] = address(array)

    def bind_output(self, value: Value) -> None:
        layout = self.schedule.layouts[value]
        buffer = np.empty(layout.entries, value.dtype)
        self.arrays[value] = viewed(buffer, layout)
        self.table[self.slots[value]] = address(buffer)
        for x in self.schedule.inside:
            whole, first = self.holder(x)
            if whole is value:
                self.arrays[x] = buffer[first : first + x.size].reshape(x.shape)

    # Calls

    def segments(self) -> list[Callable[[], None] | Plan]:
        """What to run: calls of kernels, in one plan as far as NumPy has nothing to do between."""
        addresses = [
            ctypes.addressof(ctypes.c_void_p.in_dll(library, "kernels"))
            for library in self.libraries
        ]
        half = max(1, -(-len(self.code.texts) // max(1, len(addresses))))
        kernels = (ctypes.c_void_p * max(1, len(self.code.texts)))()
        for k in range(len(self.code.texts)):
            table = ctypes.cast(addresses[k // half], ctypes.POINTER(ctypes.c_void_p))
            kernels[k] = table[k % half]
        self.kept: list[Any] = [kernels]
        steps: list[Any] = []
        calls: list[Call] = []
        for call in [*self.code.calls, None]:
            if isinstance(call, Call):
                calls.append(call)
                continue
            if calls:
                steps.append(self.plan_of(calls, kernels))
                calls = []
            if call is not None:
                steps.append(call)
        return steps

    def plan_of(self, calls: list[Call], kernels: Any) -> Plan:
        flags = self.flags(calls) if self.threads > 1 else [END * c.ends for c in calls]
        rows, slots, offsets = [], [], []
        for call, flag in zip(calls, flags, strict=True):
            arguments = call.function.arguments
            rows.append((call.kernel, flag, len(slots), len(arguments)))
            for x, offset in arguments:
                size = (x.value if isinstance(x, Scratch) else x).dtype.itemsize
                slots.append(self.slots[x])  # type: ignore[index]
                offsets.append(self.offsets.get(x, 0) + offset * size)
        held = [np.array(rows, np.int32), np.array(slots, np.int32), np.array(offsets, np.int64)]
        self.kept += held
        most = max((row[3] for row in rows), default=0)
        return Plan(
            ctypes.addressof(kernels),
            *map(address, held),
            ctypes.addressof(self.table),
            None,
            0,
            len(calls),
            most + 1,
            self.threads,
        )

    def flags(self, calls: Sequence[Call]) -> list[int]:
        """Which calls are shared by threads, and which have to wait for what came before."""
        found: list[int] = []
        shared: list[Any] = []  # since all threads last waited
        alone: list[Any] = []  # by the first thread: only what is shared waits for it
        for call in calls:
            before = (*shared, *alone) if call.shared else shared
            here = (self.ranges(call.reads), self.ranges(call.writes))
            wait = any(conflict(here, other) for other in before)
            if wait:
                shared, alone = [], []
            (shared if call.shared else alone).append(here)
            found.append(SHARED * call.shared | WAIT * wait | END * call.ends)
        return found

    def ranges(self, arrays: set[Any]) -> list[tuple[int, int, int]]:
        """Slot, first and last byte."""
        return [
            (self.slots[x], self.offsets.get(x, 0), self.offsets.get(x, 0) + self.bytes_of(x))
            for x in arrays
        ]

    def run(self) -> list[np.ndarray]:
        """Run, on what is bound.

        Raises:
            ShapeError: if an index is out of range.
        """
        run = runtime().run
        for step in self.steps:
            if type(step) is Plan:
                run(ctypes.byref(step))
                if step.bad:
                    raise ShapeError("a compiled function looks up an index that is out of range")
            else:
                self.by_numpy(step)  # type: ignore[arg-type]
        outputs = [self.read(x) for x in self.outputs]
        given = {x for x in self.own if self.arrays[x].nbytes > SMALL}
        for x in given:
            self.bind_output(x)
        # Of what is given away, the first; the others are copies.
        first = [x in given and x not in self.outputs[:k] for k, x in enumerate(self.outputs)]
        return [y if own else y.copy() for y, own in zip(outputs, first, strict=True)]

    def by_numpy(self, value: Value) -> None:
        assert value.op is not None
        inputs = [self.read(x) if type(x) is Value else x for x in value.inputs]
        with np.errstate(all="ignore"):
            self.arrays[value][...] = value.op.forward(*inputs, **value.attributes)

    def read(self, x: Value) -> np.ndarray:
        array = x.array if is_literal(x) else self.arrays[self.alias.get(x, x)]
        assert array is not None
        return array


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def viewed(flat: np.ndarray, layout: Layout) -> np.ndarray:
    """An array as its layout has it; of one in panels, what is in memory."""
    shaped = flat.reshape(layout.extents)
    return shaped if layout.panel else shaped.transpose(np.argsort(layout.order).tolist())


def meet(some: list[tuple[int, int, int]], others: list[tuple[int, int, int]]) -> bool:
    return any(s == t and a < d and c < b for s, a, b in some for t, c, d in others)


def conflict(here: Any, before: Any) -> bool:
    """Whether one writes what the other reads or writes."""
    (reads, writes), (read, written) = here, before
    return meet(writes, written) or meet(writes, read) or meet(reads, written)


def used_by(call: Call | Value) -> set[Any]:
    if isinstance(call, Call):
        return call.reads | call.writes
    return {call, *call.values()}


def total_work(plan: Schedule) -> int:
    return sum(work_of(kernel, plan) for kernel in plan.kernels)


def with_own_writes(graph: Graph) -> Graph:
    """What is written, each in memory of its own first: a leaf may be written itself, and two
    places may be given the same. So too a leaf that is returned as it was before it is written."""
    seen = set[Value]()
    writes = []
    depths = depths_of(graph)
    # What depends on most comes first: by then all has been read that others write into.
    for target, x in sorted(graph.writes, key=lambda write: -depths[write[1]]):
        if x.op is None or x in seen:
            x = copied(x)
        seen.add(x)
        writes.append((target, x))
    targets = {target for target, _ in writes}
    outputs = [copied(x) if x in targets else x for x in graph.outputs]
    return replace(graph, writes=writes, outputs=outputs)


def depths_of(graph: Graph) -> dict[Value, int]:
    """How many steps each value is from what is there before."""
    depths: dict[Value, int] = {}
    for value in graph.order():
        depths[value] = 1 + max((depths[x] for x in value.values()), default=0)
    return depths


def copied(x: Value) -> Value:
    return Value(registry["positive"], (x,), {}, x.shape, x.dtype)


def in_place(plan: Schedule) -> dict[Value, Value]:
    """What can be computed straight into the state that it is written into, and which.

    It can be where nothing reads that state later, or at another place in the same loop.
    """
    last: dict[Value, int] = {}
    for value, reads in plan.reads.items():
        for x in reads:
            last[x] = max(last.get(x, -1), plan.home[value])
    outputs = set(plan.graph.outputs)
    return {
        x: target
        for target, x in plan.graph.writes
        if not {target, x} & outputs
        and last.get(target, -1) <= plan.home[x]
        and is_own_place(target, x, plan)
    }


def is_own_place(target: Value, x: Value, plan: Schedule) -> bool:
    """Whether the kernel of x goes once through all entries, and reads of the target the same."""
    kernel, stage = plan.kernels[plan.home[x]], plan.stages[x]
    if stage.kind != "map" or not (kernel.kind == "contract" or kernel.rows is None):
        return False
    layout = plan.layouts[x]
    own = layout.address(stage.layout.index(stage.places))
    return all(
        other.dims == stage.dims and layout.address(index) == own
        for other in kernel.stages
        for index in plan.reads[other.value].get(target, ())
    )
