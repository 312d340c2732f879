"""Liveness of arrays in a program: which are saved for the reverse pass, and the arena's peak."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence

from minigrad.compiler.codegen.deduplicate import Call, NumpyCall
from minigrad.compiler.codegen.statistics import (
    DescribedMemory,
    DescribedValue,
    result_name,
)
from minigrad.compiler.graph.ir import Graph, Value
from minigrad.compiler.graph.opset.control import ITEM
from minigrad.compiler.loops.ir import Scratch
from minigrad.compiler.schedule.buffers import Memory
from minigrad.compiler.schedule.stages import Schedule


def memory_of(
    schedule: Schedule, memory: Memory, calls: Sequence[Call | NumpyCall]
) -> DescribedMemory:
    """The residuals that a program saves for its reverse pass, and the peak of its arena."""
    buffers, threads = memory.buffers, memory.threads
    spans: dict[Hashable, tuple[int, int]] = {}  # by array: the first and the last call
    wholes: dict[
        Value | Scratch, tuple[int, int]
    ] = {}  # the same of arrays with all that is in them
    for number, call in enumerate(calls, start=1):
        for x in (*call.reads, *call.writes):
            whole = buffers.buffer_of(x)[0]
            spans[x] = spans.get(x, (number, 0))[0], number
            wholes[whole] = wholes.get(whole, (number, 0))[0], number
    changes = [0] * (len(calls) + 2)
    for x, (low, high) in wholes.items():
        if x not in memory.slots:
            changes[low] += (size := buffers.bytes_of(x, threads))
            changes[high + 1] -= size
    live = [*itertools.accumulate(changes)]
    kept = {x: buffers.buffer_of(x)[0] for x in kept_values(schedule)}
    values = [
        DescribedValue(
            result_name(x),
            x.shape,
            buffers.bytes_of(x, threads),
            *spans.get(x, wholes[whole]),  # of what is computed in place of another, as of that
            whole in memory.slots,
        )
        for x, whole in kept.items()
        if whole is x or whole not in kept  # else it is a part of another one
    ]
    values.sort(key=lambda x: (-x.bytes, x.first, x.last, x.name, x.shape, x.outside))
    return DescribedMemory(tuple(values), max(live), live.index(max(live)))


def kept_values(schedule: Schedule) -> set[Value]:
    """The values that reverse passes begin with, or that these are computed from, which are stored,
    and read to compute any other value."""
    before = {*Graph([], [], schedule.graph.seeds, []).order}
    # All results of a loop: residuals too, which nothing before reads.
    before |= {x for x in schedule.reads if x.op is ITEM and x.inputs[0] in before}
    return {
        x
        for value, reads in schedule.reads.items()
        if value not in before
        for x in reads
        if x in before and x.op is not None
        if schedule.kernel_of[x] != schedule.kernel_of[value]
    }
