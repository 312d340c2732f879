"""Running a graph as C."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minigrad.compile.build import build
from minigrad.compile.codegen import generate, indices, reads_of
from minigrad.compile.ir import Graph, Value
from minigrad.compile.schedule import Schedule, schedule
from minigrad.errors import ShapeError
from minigrad.ops.base import registry


class Program:
    """A graph as C, with the memory that it computes in.

    `bind` says where a leaf's array is, until it is bound again; `run` gives the outputs.

    Raises:
        BuildError: if there is no C compiler, or it fails.
    """

    def __init__(self, graph: Graph) -> None:
        graph = with_own_writes(graph)
        plan = schedule(graph)
        leaves = [*graph.inputs, *graph.states]
        leaves += [value for value in graph.order() if value.kind == "constant"]
        slots = {value: k for k, value in enumerate(leaves)}
        shared = in_place(graph, plan)
        for value in plan.stored:
            slots[value] = slots[shared[value]] if value in shared else len(slots)
        self.slots = slots
        source = generate(plan, slots, [(t, x) for t, x in graph.writes if x not in shared])
        self.text, self.calls = source.text, source.calls
        library = build(source.text)
        self.table = (ctypes.c_void_p * (max(slots.values(), default=0) + 1))()
        self.bad = ctypes.c_int64(0)
        self.steps: list[Any] = [
            getattr(library, f"run{call}") if isinstance(call, int) else call
            for call in source.calls
        ]
        self.arrays: dict[Value, np.ndarray] = {}
        for value in plan.stored:
            if value not in shared:
                self.bind(value, np.zeros(value.shape, value.dtype))
        for value in leaves:
            if value.kind == "constant":
                assert value.array is not None
                self.bind(value, np.ascontiguousarray(value.array).reshape(value.shape))
        self.shared = shared
        self.outputs = graph.outputs

    def bind(self, value: Value, array: np.ndarray) -> None:
        """The array, in C order, that a leaf stands for from here on."""
        self.arrays[value] = array
        self.table[self.slots[value]] = array.ctypes.data

    def array(self, value: Value) -> np.ndarray:
        return self.arrays[self.shared.get(value, value)]

    def run(self) -> list[np.ndarray]:
        """Run, on what is bound.

        Raises:
            ShapeError: if an index is out of range.
        """
        self.bad.value = 0
        for step in self.steps:
            if type(step) is Value:
                assert step.op is not None
                inputs = [self.array(x) if type(x) is Value else x for x in step.inputs]
                with np.errstate(all="ignore"):
                    self.arrays[step][...] = step.op.forward(*inputs, **step.attributes)
            else:
                step(self.table, ctypes.byref(self.bad))
        if self.bad.value:
            raise ShapeError("a compiled function looks up an index that is out of range")
        return [self.array(x).copy() for x in self.outputs]


def with_own_writes(graph: Graph) -> Graph:
    """What is written, each in memory of its own first: a leaf may be written itself, and two
    places may be given the same."""
    positive, seen = registry["positive"], set[Value]()
    writes = []
    for target, x in graph.writes:
        if x.op is None or x in seen:
            x = Value(positive, (x,), {}, x.shape, x.dtype)
        seen.add(x)
        writes.append((target, x))
    return replace(graph, writes=writes)


def in_place(graph: Graph, plan: Schedule) -> dict[Value, Value]:
    """What can be computed straight into the state that it is written into, and which.

    It can be where nothing reads that state later, or at another place in the same loop.
    """
    reads = [reads_of(kernel, plan) for kernel in plan.kernels]
    shared: dict[Value, Value] = {}
    outputs: Sequence[Value] = graph.outputs
    for target, x in graph.writes:
        home = plan.home[x]
        kernel = plan.kernels[home]
        own = indices(kernel.shape)
        later = any(target in read for read in reads[home + 1 :])
        here = reads[home].get(target, {own}) == {own}
        free = target not in outputs and x not in outputs
        if kernel.kind == "map" and here and free and not later:
            shared[x] = target
    return shared
