"""Plans: a program as plain data, cached on disk, so that the next process need not compile it."""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.compiler.codegen.c import source_of
from minigrad.compiler.codegen.deduplicate import Call, Code, generate, work_of
from minigrad.compiler.graph.ir import Graph, Value, is_literal
from minigrad.compiler.graph.layout import Layout
from minigrad.compiler.graph.simplify import optimized
from minigrad.compiler.loops.ir import Scratch
from minigrad.compiler.report.statistics import (
    described,
)
from minigrad.compiler.runtime.barriers import END, barrier_flags
from minigrad.compiler.runtime.plan import Array, ByNumpy, Calls, Plan
from minigrad.compiler.runtime.serialization import as_text, restored
from minigrad.compiler.schedule.aliases import in_place, with_own_writes
from minigrad.compiler.schedule.arena import arena
from minigrad.compiler.schedule.contractions import pack_operands
from minigrad.compiler.schedule.fusion import Schedule, schedule_kernels
from minigrad.compiler.target import costs
from minigrad.compiler.target.toolchain import HERE, BuildError, begun, keep, kept, machine, runtime
from minigrad.ops.base import Op


def plan_of(graph: Graph) -> Plan:
    """The plan of a traced graph, from the cache if it is there."""
    name = f"{digest(graph)}.plan"
    found = plan_in(kept(name))
    if found is not None:
        return found
    with ThreadPoolExecutor(1) as pool:
        pool.submit(runtime)  # built meanwhile
        plan = made(graph)
    with suppress(BuildError):  # not cached: the next process makes it again
        keep(name, as_text(plan).encode())
    return plan


def plan_in(content: bytes | None) -> Plan | None:
    """The plan in a cached file; None if there is none, or it is not sound."""
    if content is None:
        return None
    try:
        plan: Plan = restored(content.decode(), Plan, Array, Calls, ByNumpy, Layout)
    except (ValueError, TypeError, LookupError):
        return None
    return plan if plan.is_sound() else None


# Cache keys


@cache
def code_version() -> str:
    """A digest of the source of the compiler and of the ops."""
    files = sorted([*HERE.rglob("*.[pch]*"), *Path(HERE.parent, "ops").glob("*.py")])
    return hashlib.sha256(b"".join(f.read_bytes() for f in files if f.is_file())).hexdigest()


def digest(graph: Graph) -> str:
    """The cache key of a graph: equal for graphs that have the same program."""
    leaves = [*graph.inputs, *graph.states]
    # Values, ops with their attributes, and numbers, each numbered at its first use.
    numbers: dict[Any, int] = defaultdict(itertools.count().__next__)
    uses = [numbers[value] for value in leaves]
    use = uses.append
    for value in graph.order:
        if value.op is not None:
            how = value.how if value.attributes else ""
            use(numbers[value.op, how, value.shape, value.dtype])
            for x in value.inputs:
                use(numbers[x if type(x) is Value else repr(x)])
        elif value.kind == "constant":
            use(numbers[content_of(value)])
        use(numbers[value])
    uses += [numbers[x] for x in (*graph.outputs, *itertools.chain(*graph.writes))]
    keys = [(k, key) for key, k in numbers.items() if type(key) is not Value]
    ops = {key[0] for _, key in keys if isinstance(key[0], Op)}
    parts = (
        code_version(),
        machine(),
        [(x.shape, x.dtype.str, x.kind) for x in leaves],
        len(graph.outputs),
        [(k, key[0].name, *key[1:]) if isinstance(key[0], Op) else (k, key) for k, key in keys],
        sorted((op.name, op.lowering) for op in ops),
    )
    found = hashlib.sha256(repr(parts).encode())
    found.update(np.array(uses).tobytes())
    return found.hexdigest()[:32]


def content_of(value: Value) -> Any:
    """A constant in the cache key: with its numbers if it is fixed, as these may be folded."""
    content = np.asarray(value.array).tobytes() if value.fixed else b""
    content = hashlib.sha256(content).digest() if len(content) > 64 else content
    return value.fixed, content, value.shape, value.dtype.str


# Making a plan


def made(graph: Graph) -> Plan:
    traced = constants_of(graph)
    graph = optimized(graph)
    it = schedule_kernels(pack_operands(with_own_writes(graph), machine().vector))
    alias = in_place(it)
    code = generate(it, alias, machine())
    plan = Plan()
    plan.threads = machine().threads if total_work(it) >= costs.MIN_SHARED_PROGRAM else 1
    texts = code.texts
    long = sum(map(len, texts)) >= costs.MIN_SPLIT_SOURCE
    groups = in_halves(texts) if long else [texts] if texts else []
    plan.sources = [source_of(group, machine().vector) for group in groups]
    plan.building = begun(*plan.sources)
    plan.kernels = [len(group) for group in groups]
    plan.described = as_text(described(it, code))
    places = Places(it, alias, code, traced, plan)
    segments(code, places, plan)
    plan.outputs = [
        np.array(x.array) if is_literal(x) else places.array(x) for x in it.graph.outputs
    ]
    return plan


def in_halves(texts: list[str]) -> list[list[str]]:
    """The texts in two groups of about the same length."""
    ends = list(itertools.accumulate(map(len, texts)))
    k = next(k for k, end in enumerate(ends) if 2 * end >= ends[-1])
    return [part for part in (texts[: k + 1], texts[k + 1 :]) if part]


def constants_of(graph: Graph) -> list[Value]:
    return [value for value in graph.order if value.kind == "constant"]


def total_work(it: Schedule) -> int:
    return sum(work_of(kernel, it) for kernel in it.kernels)


class Places:
    """Where every array is in memory."""

    def __init__(
        self,
        it: Schedule,
        alias: dict[Value, Value],
        code: Code,
        traced: list[Value],
        plan: Plan,
    ) -> None:
        self.it, self.alias = it, alias
        graph = it.graph
        given = [*graph.inputs, *graph.states]
        constants = [v for v in constants_of(graph) if not is_literal(v)]
        at = {value: k for k, value in enumerate(traced)}
        plan.leaves = [(value.kind, k) for k, value in enumerate(given)]
        plan.leaves += [("traced", at[v]) if v in at else ("made", v.array) for v in constants]
        own = list(dict.fromkeys(x for x in graph.outputs if x.op is not None))
        self.slots: dict[Any, int] = {x: k for k, x in enumerate([*given, *constants, *own])}
        self.of_arena = len(self.slots)
        self.spans: dict[Any, tuple[int, int, int]] = {}
        # Each once, in an order that is the same in every process.
        uses = [dict.fromkeys(self.holder(x)[0] for x in used_by(call)) for call in code.calls]
        placed = {x for used in uses for x in used if x not in self.slots and x not in alias}
        self.offsets, plan.arena = arena(uses, {x: self.bytes_of(x) for x in placed})
        plan.owned = [self.array(x) for x in own]

    def holder(self, x: Any) -> tuple[Any, int]:
        """The value in whose memory another one is, and from which entry on."""
        first = 0
        while x in self.it.subbuffer_of:
            x, more = self.it.subbuffer_of[x]
            first += more
        return self.alias.get(x, x), first

    def place(self, x: Any) -> tuple[int, int]:
        """Slot, and offset in bytes."""
        return self.span(x)[:2]

    def bytes_of(self, x: Value | Scratch) -> int:
        if isinstance(x, Scratch):
            return x.entries * x.dtype.itemsize * machine().threads
        return self.it.layouts[x].entries * x.dtype.itemsize

    def span(self, x: Any) -> tuple[int, int, int]:
        """Slot, first byte, and the first after the last."""
        found = self.spans.get(x)
        if found is None:
            whole, first = self.holder(x)
            slot = self.slots.get(whole, self.of_arena)
            offset = self.offsets.get(whole, 0) + first * x.dtype.itemsize
            found = self.spans[x] = slot, offset, offset + self.bytes_of(x)
        return found

    def array(self, x: Value) -> Array:
        return Array(*self.place(x), x.dtype.str, self.it.layouts[x])


def used_by(call: Call | Value) -> list[Any]:
    return call.reads + call.writes if isinstance(call, Call) else [call, *call.values()]


def segments(code: Code, places: Places, plan: Plan) -> None:
    """The steps of the plan: calls of kernels in tables, interrupted by ops that NumPy runs."""
    calls: list[Call] = []
    for call in [*code.calls, None]:
        if isinstance(call, Call):
            calls.append(call)
            continue
        if calls:
            plan.steps.append(table_of(calls, places, plan.threads))
            calls = []
        if call is not None:
            plan.steps.append(by_numpy(call, places))


def by_numpy(value: Value, places: Places) -> ByNumpy:
    assert value.op is not None
    inputs = [
        x if type(x) is not Value else np.array(x.array) if is_literal(x) else places.array(x)
        for x in value.inputs
    ]
    return ByNumpy(value.op.name, inputs, value.attributes, places.array(value))


def table_of(calls: list[Call], places: Places, threads: int) -> Calls:
    alone = threads == 1
    flags = [END * x.ends for x in calls] if alone else barrier_flags(calls, places.span)
    rows: list[tuple[int, ...]] = []
    slots: list[int] = []
    offsets: list[int] = []
    for call, flag in zip(calls, flags, strict=True):
        arguments = call.function.arguments
        rows.append((call.kernel, flag, len(slots), len(arguments)))
        for x, first in arguments:
            slot, offset = places.place(x)
            slots.append(slot)
            offsets.append(offset + first * x.dtype.itemsize)
    most = max(row[3] for row in rows)
    return Calls(
        np.array(rows, np.int32), np.array(slots, np.int32), np.array(offsets, np.int64), most
    )
