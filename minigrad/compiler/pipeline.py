"""Plans: a program as plain data, cached on disk, so that the next process need not compile it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.compiler.codegen.barriers import END, barrier_flags
from minigrad.compiler.codegen.c import source_of
from minigrad.compiler.codegen.deduplicate import (
    KERNEL_GENERATORS,
    OWN_GENERATORS,
    Call,
    GeneratedCode,
    NumpyCall,
    generate,
    verify_kernels,
    work_of,
)
from minigrad.compiler.codegen.lifetimes import memory_of
from minigrad.compiler.codegen.statistics import Description, described
from minigrad.compiler.graph.ir import (
    Graph,
    GraphError,
    Value,
    bodies_of,
    constants_of,
    is_literal,
    values_within,
)
from minigrad.compiler.graph.layout import Layout
from minigrad.compiler.graph.opset import OWN_ENTRIES, base
from minigrad.compiler.graph.opset.control import OWN_CONTROL, forms_of
from minigrad.compiler.graph.opset.infer import drawn, run
from minigrad.compiler.graph.simplify import OWN_REWRITES, REWRITES, simplify
from minigrad.compiler.loops.ir import Scratch
from minigrad.compiler.loops.lowering import kind_of
from minigrad.compiler.runtime.plan import Array, ByNumpy, ByPython, Calls, Plan, Step
from minigrad.compiler.runtime.program import Program
from minigrad.compiler.runtime.serialization import as_text, restored
from minigrad.compiler.schedule.buffers import (
    BufferPlan,
    Memory,
    allocate,
    copy_aliased_writes,
    plan_buffers,
)
from minigrad.compiler.schedule.contractions import Operands, pack_operands
from minigrad.compiler.schedule.fusion import KERNEL_KINDS, schedule_kernels
from minigrad.compiler.schedule.stages import Schedule
from minigrad.compiler.target import costs
from minigrad.compiler.target.cache import BuildError, cache_get, cache_put
from minigrad.compiler.target.machine import Machine, cores, machine
from minigrad.compiler.target.toolchain import HERE, build, build_async
from minigrad.errors import UnsupportedError, describe
from minigrad.ops import OWN_OPS
from minigrad.ops.base import Op, registry


def plan_of(graph: Graph, target: Machine | None = None) -> Plan:
    """The plan of a traced graph, from the cache if it is there: for this machine, on which it then
    begins to be built, or for a machine that is given."""
    if is_extended(graph):
        try_foreign_ops(graph)
        return compile_graph(graph, target)
    name = f"{digest(graph, target)}.plan"
    if (content := cache_get(name)) is not None:
        plan: Plan = restored(content.decode(), Plan, Array, Calls, ByNumpy, ByPython, Layout)
        return plan
    plan = compile_graph(graph, target)
    with suppress(BuildError):  # not cached: the next process makes it again
        cache_put(name, as_text(plan).encode())
    return plan


def is_extended(graph: Graph) -> bool:
    """Whether entries, rewrites, kernels or ops are used whose code the key does not cover.

    Of a user's op it does not know `forward`, which folding runs.

    Raises:
        UnsupportedError: if an op was defined again since, as the rules of the new one are by name.
    """
    ops = {value.op for value in values_within(graph) if value.op is not None} - {*OWN_CONTROL}
    for op in ops - OWN_OPS:
        if registry.get(op.name, op) is not op:
            raise UnsupportedError(
                f"there are two ops named {op.name!r}, and the compiled function calls the former: "
                "let it call the one that was defined last, or give that another name"
            )
    used = {**base.OPSET, **base.FAMILIES}, REWRITES, KERNEL_GENERATORS
    return used != (OWN_ENTRIES, OWN_REWRITES, OWN_GENERATORS) or not ops <= OWN_OPS


# Ops from outside


TRIED: set[Hashable] = set()
TOLERANCE = {"float64": 1e-9, "float32": 1e-4}


def try_foreign_ops(graph: Graph) -> None:
    """Compile each op whose forward, C, rules or kernel are from outside of minigrad alone, the
    first time it has these shapes, and compare it with its forward on numbers of its domain.

    Raises:
        GraphError: if they differ.
    """
    for value in values_within(graph):
        if value.op is None or not is_foreign_in_c(value, value.op):
            continue
        inputs = [(x.shape, x.dtype) if type(x) is Value else repr(x) for x in value.inputs]
        key = (value.op, base.rules_of(value.op), *KERNEL_GENERATORS.values(), value.how, *inputs)
        if key not in TRIED:
            try_alone(value, value.op)
            TRIED.add(key)


def is_foreign_in_c(value: Value, op: Op) -> bool:
    """Whether an op is compiled to C by what is from outside."""
    if base.is_foreign(op) and type(base.rules_of(op)).decompose is not base.Rules.decompose:
        return True
    kind = kind_of(value)
    kernel = KERNEL_GENERATORS.get(KERNEL_KINDS.get(kind, kind))
    return kind != "numpy" and (
        base.is_foreign(op) or (kernel is not None and base.from_outside(kernel))
    )


def try_alone(value: Value, op: Op) -> None:
    arrays = drawn(op, value.inputs)
    try:
        expected = run(op, arrays, value.attributes)
    except ValueError:  # it may be of these numbers, as of a matrix that has no inverse
        return
    inputs = [
        Value(None, (), {}, x.shape, x.dtype, "input")
        if type(x) is Value and x.kind != "constant"
        else x
        for x in value.inputs
    ]
    leaves = [x for x in inputs if type(x) is Value and x.kind == "input"]
    alone = Graph(leaves, [], [value.of(*inputs)], [])
    what = f"C expression of {op.name}, {op.c!r}," if op.c else f"rules or kernel of {op.name}"
    try:
        program = Program(alone, compile_graph(alone))
    except (BuildError, OSError) as error:
        if not compiler_works():
            return
        raise UnsupportedError(
            f"the {what} does not build: correct it, or leave the op to NumPy, with c=None or "
            f"without an entry. {error}"
        ) from error
    for x, array in zip(inputs, arrays, strict=True):
        if x in leaves:
            program.bind(x, np.ascontiguousarray(array))
    (found,) = program.run()
    close = TOLERANCE.get(expected.dtype.name, 0)
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0) if close else 0
    equal = np.isclose(found, expected, close, close * largest, equal_nan=True)
    if not equal.all():
        place = tuple(np.argwhere(~equal)[0].tolist())
        given = [str(x[place]) if np.shape(x) == found.shape else describe(x) for x in arrays]
        raise GraphError(
            f"{op.name}, compiled, gives {found[place]} at {place} for {', '.join(given)}, "
            f"and its forward gives {expected[place]}: correct the {what} or forward"
        )


def compiler_works() -> bool:
    """Whether a kernel without anything from outside builds."""
    with suppress(BuildError, OSError):
        return bool(build(source_of([""], machine().vector)))
    return False


# The cache key


@cache
def code_version() -> str:
    """A digest of the source of the compiler and of the ops."""
    files = sorted([*HERE.rglob("*.[pch]*"), *Path(HERE.parent, "ops").glob("*.py")])
    sources = (f.read_bytes() for f in files if f.suffix in (".py", ".c", ".h"))
    return hashlib.sha256(b"".join(sources)).hexdigest()


def digest(graph: Graph, target: Machine | None = None) -> str:
    """The cache key of a graph: equal for graphs that have the same program on a machine."""
    parts = code_version(), target or machine(), graph.digest
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


# Making a plan


def compile_graph(graph: Graph, target: Machine | None = None) -> Plan:
    """Compile a traced graph: one stage after the other, each from the data of those before."""
    is_here, target = target is None, target or machine()
    simple: Graph = simplify(graph)
    unaliased: Graph = copy_aliased_writes(simple)
    operands: Operands = pack_operands(unaliased, target.vector)
    schedule: Schedule = schedule_kernels(operands)
    buffers: BufferPlan = plan_buffers(schedule)
    code: GeneratedCode = generate(schedule, buffers, target)
    texts: list[list[str]] = split_texts(code.texts)
    sources: list[str] = [source_of(group, target.vector) for group in texts]
    shared = [x.kernel for x in code.calls if isinstance(x, Call) and x.shared and x.kernel]
    work = sum(work_of(kernel, schedule) for kernel in shared)
    threads = target.threads if shared and work >= costs.MIN_SHARED_PROGRAM else 1
    building = build_async(*sources, threads=threads) if is_here else None  # meanwhile:
    verify_kernels(code)
    constants = schedule.constants
    memory: Memory = allocate_memory(schedule.graph, constants, buffers, code, target.threads)
    description: Description = replace(
        described(schedule, buffers, code, threads),
        memory=memory_of(schedule, memory, code.calls),
    )
    plan = Plan(
        constants_in(graph, constants),
        [array_of(x, memory) for x in schedule.graph.outputs],
        [array_of(x, memory) for x in returned(schedule.graph)],
        steps_of(code, memory, threads),
        texts,
        target.vector,
        memory.size,
        threads,
        as_text(description),
    )
    plan.building = building
    return plan


def split_texts(texts: list[str]) -> list[list[str]]:
    """The texts of kernels in groups of about the same length, each built by a compiler of its own
    on a core of its own."""
    ends = list(itertools.accumulate(map(len, texts), initial=0))
    count = min(cores(), 1 + ends[-1] // costs.MIN_SPLIT_SOURCE)
    groups: list[list[str]] = [[] for _ in range(count)]
    for text, (first, end) in zip(texts, itertools.pairwise(ends), strict=True):
        groups[(first + end) * count // (2 * ends[-1] + 1)].append(text)
    return [group for group in groups if group]


def constants_in(traced: Graph, constants: list[Value]) -> list[Any]:
    """Each constant: its number among those that were traced, or what the compiler made."""
    at = {value: k for k, value in enumerate(constants_of(traced))}
    return [at.get(value, value.array) for value in constants]


def returned(graph: Graph) -> list[Value]:
    """The values that are computed and returned: they have memory of their own."""
    return list(dict.fromkeys(x for x in graph.outputs if x.op is not None))


def allocate_memory(
    graph: Graph, constants: list[Value], buffers: BufferPlan, code: GeneratedCode, threads: int
) -> Memory:
    own_slots = [*graph.inputs, *graph.states, *constants, *returned(graph)]
    return allocate(buffers, own_slots, map(used_by, code.calls), threads)


def used_by(call: Call | NumpyCall) -> list[Value | Scratch]:
    return [*call.reads, *call.writes]


def array_of(x: Any, memory: Memory) -> Any:
    """An operand at run time: an array in the memory of the program, or a literal."""
    if type(x) is not Value:
        return x
    if is_literal(x):
        return np.array(x.array)
    slot, start, _ = memory.span(x)
    return Array(slot, start, x.dtype.str, memory.buffers.layouts[x])


def steps_of(code: GeneratedCode, memory: Memory, threads: int) -> list[Step]:
    """Calls of kernels in tables, interrupted by ops that NumPy runs."""
    steps: list[Step] = []
    for is_call, group in itertools.groupby(code.calls, lambda call: isinstance(call, Call)):
        calls: Any = list(group)
        if is_call:
            steps.append(table_of(calls, memory, threads))
            continue
        steps += [by_numpy(call, memory) for call in calls]
    return steps


def by_numpy(call: NumpyCall, memory: Memory) -> ByNumpy | ByPython:
    value, op = call.value, call.value.op
    assert op is not None
    inputs = [array_of(x, memory) for x in value.inputs]
    if op not in OWN_CONTROL:
        return ByNumpy(op.name, inputs, value.attributes, array_of(value, memory))
    how = {k: x for k, x in value.attributes.items() if k not in ("body", "bodies")}
    results = {x.attributes["position"]: array_of(x, memory) for x in call.writes}
    bodies = [body_plan(x) for x in bodies_of(value)]
    return ByPython(op.name, inputs, {**how, "forms": forms_of(value)}, results, bodies)


def body_plan(body: Graph) -> Plan:
    """The plan of a body that Python calls: with all of its constants."""
    plan = compile_graph(body)
    arrays = [x.array for x in constants_of(body)]
    plan.constants = [arrays[x] if type(x) is int else x for x in plan.constants]
    return plan


def table_of(calls: list[Call], memory: Memory, threads: int) -> Calls:
    alone = threads == 1
    flags = (
        [END * x.combines_threads for x in calls]
        if alone
        else barrier_flags(calls, memory.span, threads)
    )
    rows: list[tuple[int, ...]] = []
    slots: list[int] = []
    offsets: list[int] = []
    for call, flag in zip(calls, flags, strict=True):
        arguments = call.source.arguments
        rows.append((call.text, flag, len(slots), len(arguments)))
        for x, first in arguments:
            slot, offset, _ = memory.span(x)
            slots.append(slot)
            offsets.append(offset + first * x.dtype.itemsize)
    return Calls(np.array(rows, np.int32), np.array(slots, np.int32), np.array(offsets, np.int64))
