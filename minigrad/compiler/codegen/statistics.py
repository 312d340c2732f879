"""The description of a program as plain data, stored in its plan for `explain`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from minigrad.compiler.codegen.deduplicate import Call, GeneratedCode, NumpyCall, multiplications
from minigrad.compiler.graph.affine import Index
from minigrad.compiler.graph.ir import Shape, Value, elementwise, name_of
from minigrad.compiler.graph.opset.base import rules_of
from minigrad.compiler.graph.opset.contractions import extent
from minigrad.compiler.loops.ir import Scratch
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
    concatenation; "sum", which combines the partial reductions of threads; "copy"; or "numpy", an
    op that NumPy computes.
    `ops`: in order, with the shapes of their results. `read` and `written`: bytes, counting each
    array once. `operations`: other than multiply-adds. `text`: the C.
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


@dataclass(frozen=True)
class DescribedCall:
    """One call: the number of its kernel; the positions of the inputs and states that it reads and
    writes; and for each value, why it could not join an earlier kernel."""

    kernel: int
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    why: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Description:
    """Distinct kernels, and the calls of them."""

    kernels: list[DescribedKernel] = field(default_factory=list)
    calls: list[DescribedCall] = field(default_factory=list)


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
        return DescribedKernel(
            "numpy", ((name_of(value) or "", value.shape),), None, (), read, written
        )
    kernel, text = call.kernel, code.texts[call.text]
    if kernel is None or call.role != "kernel":
        return small_kernel(call, text, buffers, threads)
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
    for stage in kernel.stages:
        stack = [stage.value]
        while stack:
            pending = [x for x in stack[-1].values() if is_inline(x, schedule) and x not in found]
            if pending:
                stack += reversed(pending)
            else:
                found.setdefault(stack.pop(), stage.total)
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
    return bytes_of(read), bytes_of(written)


def entries(x: Value, index: Index, schedule: Schedule) -> int:
    """How many entries of an array an index in loops reaches at most; all, if there is none."""
    if len(index) != len(x.shape):
        return schedule.layouts[x].entries
    return math.prod(v.extent for v in frozenset().union(*(i.variables() for i in index)))


def bytes_of(counts: dict[Value, int]) -> int:
    return sum(n * x.dtype.itemsize for x, n in counts.items())
