"""The description of a program as plain data, stored in its plan for `explain`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.compiler.codegen.copy_kernels import updates_in_place
from minigrad.compiler.codegen.deduplicate import Call, GeneratedCode, NumpyCall, multiplications
from minigrad.compiler.graph.affine import Index
from minigrad.compiler.graph.ir import (
    Graph,
    Shape,
    Value,
    bodies_of,
    elementwise,
    name_of,
    values_within,
)
from minigrad.compiler.graph.opset.base import rules_of
from minigrad.compiler.graph.opset.contractions import extent
from minigrad.compiler.graph.opset.control import ITEM, LOOP, OWN_CONTROL, Parts
from minigrad.compiler.graph.opset.indexing import arrays_of
from minigrad.compiler.loops.ir import Scratch
from minigrad.compiler.loops.lowering import is_view, kind_of
from minigrad.compiler.schedule.buffers import BufferPlan
from minigrad.compiler.schedule.stages import Kernel, Schedule

KINDS = {"contract": "product", "concat": "join"}


@dataclass(frozen=True)
class DescribedKernel:
    """One kernel; its numbers are those of one call.

    `kind`: "product", a matrix product or convolution with its elementwise epilogue; "map",
    elementwise; "rows", one row after the other; "pack", a copy into the panels that products read;
    "scatter", a scatter-add; "scan", a cumulative sum or product; "factor" (by Cholesky),
    "substitution" (of a triangle), "solution" and "determinant", of small matrices; "join", a
    concatenation; "sum", which combines the partial reductions of threads; "copy"; "loop" or
    "branch", see `control`; "scalars", a body of which each number is a variable of C; or "numpy",
    an op that NumPy computes.
    `ops`: in order, with the shapes of their results; of a loop or a branch, those of its bodies.
    `read` and `written`: bytes, counting each array once. `operations`: other than multiply-adds;
    of a loop, both are those of all rounds, or of one, if it is not known how many there are; of a
    branch, those of the bodies together. `text`: the C.
    """

    kind: str
    ops: tuple[tuple[str, Shape], ...]
    rows: int | None = None
    loops: Shape = ()
    read: int = 0
    written: int = 0
    multiply_adds: int = 0
    operations: int = 0
    shared: bool = False
    text: str = ""
    control: DescribedControl | None = None


@dataclass(frozen=True)
class DescribedControl:
    """What a loop, or a branch, does with its `bodies`: one of a loop, those of a branch where its
    condition holds and where it does not. A body is one kernel, without C of its own, where Python
    runs it ("numpy"), and where its numbers are so few that they are variables of C ("scalars").

    `rounds`: how many there are, in words. Of one round: the shapes of the `carries`, and of the
    `rows` that it reads, and what it stacks, its `results`, as ops with their shapes.
    """

    rounds: str
    carries: tuple[Shape, ...]
    rows: tuple[Shape, ...]
    results: tuple[tuple[str, Shape], ...]
    bodies: tuple[Description, ...]


@dataclass(frozen=True)
class DescribedCall:
    """One call: the number of its kernel; the positions of the inputs and states that it reads and
    writes; and for each value, why it could not join an earlier kernel."""

    kernel: int
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    why: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class DescribedValue:
    """An array that is kept for the reverse pass.

    `name`: the op that computes it. `first`, `last`: the numbers of the call that writes it and of
    the last that reads it, from 1. `outside`: it is not in the arena, as the caller has it too.
    """

    name: str
    shape: Shape
    bytes: int
    first: int
    last: int
    outside: bool


@dataclass(frozen=True)
class DescribedMemory:
    """`kept`: what is computed up to the values that are differentiated, and read by what comes
    after them, the largest first. `peak`: the most bytes that arrays have in the arena at once, and
    the first call `at` which they do, from 1."""

    kept: tuple[DescribedValue, ...] = ()
    peak: int = 0
    at: int = 0


@dataclass(frozen=True)
class Description:
    """Distinct kernels, and the calls of them; of a whole program, its memory."""

    kernels: list[DescribedKernel] = field(default_factory=list)
    calls: list[DescribedCall] = field(default_factory=list)
    memory: DescribedMemory = field(default_factory=DescribedMemory)


def described(
    schedule: Schedule, buffers: BufferPlan, code: GeneratedCode, threads: int
) -> Description:
    """Each distinct kernel, with the numbers of its first call, and all calls."""
    leaves = {x: k for k, x in enumerate([*schedule.graph.inputs, *schedule.graph.states])}
    found = Description()
    known: dict[Any, int] = {}
    for call in code.calls:
        key = key_of(call)
        number = known.setdefault(key, len(known))
        if number == len(found.kernels):
            found.kernels.append(kernel_of(call, code, schedule, buffers, threads))
        kernel = call.kernel if isinstance(call, Call) and call.role == "kernel" else None
        why = kernel.why if kernel else {}
        found.calls.append(
            DescribedCall(
                number,
                tuple(sorted(leaves[x] for x in call.reads if x in leaves)),
                tuple(sorted(leaves[x] for x in call.writes if x in leaves)),
                tuple((label(value), reason) for value, reason in why.items()),
            )
        )
    return found


def key_of(call: Call | NumpyCall) -> Any:
    if isinstance(call, Call):
        return call.text
    value = call.value
    return name_of(value), value.shape, tuple(x.shape for x in value.values())


def label(value: Value) -> str:
    return f"{display_name(value)} {value.shape}"


def kernel_of(
    call: Call | NumpyCall,
    code: GeneratedCode,
    schedule: Schedule,
    buffers: BufferPlan,
    threads: int,
) -> DescribedKernel:
    if isinstance(call, NumpyCall):
        value = call.value
        read = sum(x.size * x.dtype.itemsize for x in value.values())
        written = sum(x.size * x.dtype.itemsize for x in call.writes)
        if value.op in OWN_CONTROL:
            bodies = tuple(as_one_kernel(body, "numpy") for body in bodies_of(value))
            within = tuple(op for body in bodies for op in body.kernels[0].ops)
            how = control_of(value, bodies)
            return DescribedKernel("numpy", within, None, (), read, written, control=how)
        return DescribedKernel(
            "numpy", ((name_of(value) or "", value.shape),), None, (), read, written
        )
    kernel, text = call.kernel, code.texts[call.text]
    if kernel is None or call.role != "kernel":
        return small_kernel(call, text, buffers, threads)
    if kernel.kind in ("control", "scalars"):
        return control_kernel(call, kernel, text, schedule, buffers, threads)
    first = kernel.stages[0]
    ops = ops_of(kernel, schedule)
    read, written = traffic(kernel, schedule, buffers)
    for x, _ in call.source.combine.arguments if call.source.combine else ():
        # What is combined, this kernel writes in parts, one for each thread.
        written += buffers.bytes_of(x, threads) * (1 if isinstance(x, Scratch) else -1)
    kind = "map" if kernel.kind == "rows" and kernel.rows is None else kernel.kind
    operations = sum(n for x, n in ops.items() if elementwise(x) and not rules_of(x.op).is_copy)
    operations += sum(stage.total for stage in kernel.stages if stage.kind == "reduce")
    return DescribedKernel(
        KINDS.get(kind, kind),
        tuple((display_name(x), x.shape) for x in ops),
        kernel.rows,
        loop_extents(first.value, schedule) if kernel.kind == "contract" else first.dims,
        read,
        written,
        multiplications(kernel, schedule) if kernel.kind == "contract" else 0,
        operations,
        call.shared,
        text,
    )


def control_kernel(
    call: Call, kernel: Kernel, text: str, schedule: Schedule, buffers: BufferPlan, threads: int
) -> DescribedKernel:
    """A loop or a branch, with its bodies."""
    value = kernel.stages[0].value
    bodies = [
        described(body.schedule, body.memory.buffers, body.code, threads) for body in call.bodies
    ] or [as_one_kernel(body, "scalars") for body in bodies_of(value)]
    inner = [body.kernels[x.kernel] for body in bodies for x in body.calls]
    how = value.attributes
    known = value.op is LOOP and not (how["stops"] or how["dynamic"])
    rounds = how["length"] if known else 1
    return DescribedKernel(
        "loop" if value.op is LOOP else "branch",
        tuple(op for x in inner for op in x.ops),
        None,
        (),
        *traffic(kernel, schedule, buffers),
        rounds * sum(x.multiply_adds for x in inner),
        rounds * sum(x.operations for x in inner),
        call.shared,
        text,
        control_of(value, tuple(bodies)),
    )


def as_one_kernel(body: Graph, kind: str) -> Description:
    """A body whose ops are not functions of their own: those of "scalars" are counted."""
    counts = {"map": 0.0, "reduce": 0.0, "contract": 0.0}
    for value in values_within(body) if kind == "scalars" else ():
        if (of := kind_of(value)) in counts and not is_view(value):
            counts[of] += rules_of(value.op).scalars(value)
    leaves, results = (bytes_of({x: x.size for x in xs}) for xs in (body.inputs, body.outputs))
    products, others = int(counts["contract"]), int(counts["map"] + counts["reduce"])
    ops = tuple(ops_within([body]))
    kernel = DescribedKernel(kind, ops, None, (), leaves, results, products, others)
    return Description([kernel], [DescribedCall(0, (), (), ())])


def control_of(value: Value, bodies: tuple[Description, ...]) -> DescribedControl:
    """What a loop or a branch does, in words."""
    if value.op is not LOOP:
        return DescribedControl("", (), (), (), bodies)
    how = value.attributes
    length, parts, results = how["length"], Parts(value.inputs, how), how["body"].outputs
    bound = f"at most {length:,}" if length is not None else ""
    rounds = f"{length:,} round{'s' * (length != 1)}" if length is not None else "rounds"
    if how["dynamic"]:
        rounds = "as many rounds as are computed" + (f", {bound}" if bound else "")
    if how["stops"]:
        rounds = "rounds while a condition holds" + (f", {bound}" if bound else "")
    return DescribedControl(
        rounds + ", from the last row to the first" * how["reverse"],
        tuple(x.shape for x in parts.carries[: len(parts.carries) - how["stops"]]),
        tuple(x.shape[1:] for x in parts.xs),
        tuple((result_name(x, value), x.shape) for x in results[how["carries"] :]),
        bodies,
    )


def result_name(x: Value, call: Value | None = None) -> str:
    """The op that computes a value: of a result of a loop or a branch, that in its body. Of what
    the body of a call is only given, what it is there."""
    if x.op is ITEM:
        call, k = x.inputs[0], x.attributes["position"]
        outputs = bodies_of(call)[0].outputs
        return result_name(outputs[k], call) if k < len(outputs) else "rounds"
    if x.op is not None:
        return display_name(x)
    if call is None or call.op is not LOOP:
        return "constant" if x.fixed else "operand"
    how = call.attributes
    inputs, k = how["body"].inputs, how["constants"]
    return "carry" if x in inputs[k : k + how["carries"]] else "row" if x in inputs else "constant"


def ops_within(graphs: Sequence[Graph]) -> Iterator[tuple[str, Shape]]:
    """The ops of graphs, and of the bodies in them, with their shapes."""
    for value in (x for graph in graphs for x in values_within(graph)):
        if value.op is not None and value.op not in OWN_CONTROL:
            yield display_name(value), value.shape


def small_kernel(call: Call, text: str, buffers: BufferPlan, threads: int) -> DescribedKernel:
    """A copy into a state, or the combination of what each thread has reduced."""
    targets = [x for x, _ in call.source.arguments if x in call.writes and isinstance(x, Value)]
    parts = [x for x, _ in call.source.arguments if x not in targets]
    of = parts[0].value if isinstance(parts[0], Scratch) else parts[0]
    kind, name = ("sum", display_name(of)) if call.role == "combine" else ("copy", "copy")
    read, written = (sum(buffers.bytes_of(x, threads) for x in xs) for xs in (parts, targets))
    return DescribedKernel(kind, ((name, of.shape),), None, (), read, written, text=text)


def display_name(value: Value) -> str:
    """An op's name; "copy" for `positive`, which only copies."""
    return "copy" if rules_of(value.op).is_copy else name_of(value) or ""


def loop_extents(value: Value, schedule: Schedule) -> Shape:
    """Batch, rows, columns and depth of a contraction."""
    it = schedule.contractions[value]
    return tuple(map(extent, [*it.batch, it.row, it.column, *it.depth]))


def ops_of(kernel: Kernel, schedule: Schedule) -> dict[Value, int]:
    """The values that a kernel computes, inlined ones too, in order, with how often it does."""
    found: dict[Value, int] = {}
    roots = [(stage.value, stage.total) for stage in kernel.stages]
    if kernel.kind in ("concat", "scatter"):  # what is inlined is computed in its part only
        parts = roots[0][0].values()
        roots = [*((x, x.size) for x in parts if is_inline(x, schedule)), *roots]
    for root, count in roots:
        stack = [root]
        while stack:
            pending = [x for x in stack[-1].values() if is_inline(x, schedule) and x not in found]
            if pending:
                stack += reversed(pending)
            else:
                found.setdefault(stack.pop(), count)
    return found


def is_inline(x: Value, schedule: Schedule) -> bool:
    return x.op is not None and x not in schedule.kernel_of


def traffic(kernel: Kernel, schedule: Schedule, buffers: BufferPlan) -> tuple[int, int]:
    """The bytes that a kernel reads and writes, counting each entry once."""
    own = {stage.value for stage in kernel.stages}
    read: dict[Value, int] = {}
    for stage in kernel.stages:
        for x, indices in schedule.reads[stage.value].items():
            if x not in own and buffers.subbuffers.get(x, (None,))[0] is not stage.value:
                count = read.get(x, 0) + sum(entries(x, index, schedule) for index in indices)
                read[x] = min(count, schedule.layouts[x].entries)
    written = {x: schedule.layouts[x].entries for x in own if x in schedule.stored}
    for x, (whole, _) in buffers.subbuffers.items():
        if whole in written and whole in own:
            written[whole] -= x.size
    for x in [x for x in own if kernel.kind == "scatter" and updates_in_place(x, buffers)]:
        read.pop(x.inputs[0], None)
        written[x] = size_of_update(x)
    return bytes_of(read), bytes_of(written)


def size_of_update(value: Value) -> int:
    """The entries that an update with index arrays writes."""
    arrays = arrays_of(value)
    places = np.broadcast_shapes(*(x.shape for x in arrays))
    return math.prod((*places, *value.shape[len(arrays) :]))


def entries(x: Value, index: Index, schedule: Schedule) -> int:
    """How many entries of an array an index in loops reaches at most; all, if there is none."""
    if len(index) != len(x.shape):
        return schedule.layouts[x].entries
    return math.prod(v.extent for v in frozenset().union(*(i.variables() for i in index)))


def bytes_of(counts: dict[Value, int]) -> int:
    return sum(n * x.dtype.itemsize for x, n in counts.items())
