"""Code generation: from a schedule to the C of each distinct kernel, and a list of calls."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from minigrad.compiler.codegen.c import KernelSource
from minigrad.compiler.codegen.control_kernels import Body, control_function
from minigrad.compiler.codegen.copy_kernels import (
    concat_function,
    pack_function,
    scan_function,
    scatter_function,
)
from minigrad.compiler.codegen.matmul_kernels import contract_function
from minigrad.compiler.codegen.matrix_kernels import (
    cholesky_function,
    determinant_function,
    solution_function,
    substitution_function,
)
from minigrad.compiler.codegen.row_kernels import rows_function
from minigrad.compiler.codegen.scalar_kernels import scalars_function
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.loops.ir import Scratch
from minigrad.compiler.loops.verify import LoopError
from minigrad.compiler.schedule.buffers import BufferPlan, allocate, plan_buffers
from minigrad.compiler.schedule.stages import Kernel, Schedule
from minigrad.compiler.target import costs
from minigrad.compiler.target.machine import Machine
from minigrad.errors import MinigradError

# Kind of a kernel -> what generates its C.
KERNEL_GENERATORS: dict[str, Callable[[Kernel, Schedule, BufferPlan, Machine], KernelSource]] = {
    "rows": rows_function,
    "contract": contract_function,
    "pack": pack_function,
    "concat": concat_function,
    "scatter": scatter_function,
    "scan": scan_function,
    "factor": cholesky_function,
    "substitution": substitution_function,
    "solution": solution_function,
    "determinant": determinant_function,
    "scalars": scalars_function,
}
OWN_GENERATORS = {**KERNEL_GENERATORS}


@dataclass(eq=False)
class Call:
    """One call of a kernel of the schedule: `text` is the index of its C in `GeneratedCode.texts`.

    `role`: "kernel"; "combine", of what the threads of the call before reduced; or "copy", into a
    state.
    """

    text: int
    source: KernelSource
    kernel: Kernel | None
    reads: list[Value | Scratch]
    writes: list[Value | Scratch]
    role: str
    shared: bool = False  # by threads
    combines_threads: bool = False  # else the call before was not shared

    bodies: Sequence[Body] = ()  # of control flow


@dataclass(eq=False)
class NumpyCall:
    """A value that NumPy computes, and what is stored of it: itself, or the items of a loop or a
    branch that has such values in its bodies."""

    value: Value
    writes: list[Value]

    @property
    def reads(self) -> list[Value]:
        return [*dict.fromkeys(self.value.values())]


@dataclass(eq=False)
class GeneratedCode:
    """The texts of distinct kernels, and their calls, among them values that NumPy computes."""

    texts: list[str] = field(default_factory=list)
    calls: list[Call | NumpyCall] = field(default_factory=list)


def generate(schedule: Schedule, buffers: BufferPlan, machine: Machine) -> GeneratedCode:
    """Calls of all kernels, and at the end copies into state that was not computed in place."""
    code = GeneratedCode()
    known: dict[str, int] = {}

    def call(source: KernelSource, kernel: Kernel | None, role: str, **how: Any) -> Call:
        number = known.setdefault(source.text, len(known))
        if number == len(code.texts):
            code.texts.append(source.text)
        found = Call(number, source, kernel, [], [], role, **how)
        for argument, _ in source.arguments:
            side = found.writes if is_written(argument, kernel, buffers) else found.reads
            side.append(argument)
        return found

    repeats: dict[Hashable, tuple[KernelSource, Arrays]] = {}
    for kernel in schedule.kernels:
        if kernel.kind == "numpy":
            value, *items = (stage.value for stage in kernel.stages)
            code.calls.append(NumpyCall(value, items or [value]))
            continue
        bodies: Sequence[Body] = ()
        if kernel.kind == "control":
            call_of = kernel.stages[0].value
            bodies = [body_of(x, machine) for x in schedule.bodies[call_of]]
            source = control_function(kernel, buffers, bodies)
        else:
            source = deduplicated(kernel, schedule, buffers, machine, repeats)
        shared = (
            machine.threads > 1
            and source.parallel
            and work_of(kernel, schedule) >= costs.MIN_SHARED_KERNEL
        )
        code.calls.append(call(source, kernel, "kernel", shared=shared, bodies=bodies))
        if source.combine:
            code.calls.append(call(source.combine, kernel, "combine", combines_threads=shared))
    for target, x in schedule.graph.writes:
        if x not in buffers.aliases:
            code.calls.append(copy_call(target, x, call))
    return code


def body_of(schedule: Schedule, machine: Machine) -> Body:
    """The code of a body of control flow, with the memory that it has in a round. Threads do not
    share small rounds: of many, some would wait for a thread that another program has stopped."""
    if work_in(schedule) < costs.MIN_SHARED_ROUND:
        machine = replace(machine, threads=1)
    buffers = plan_buffers(schedule)
    code = generate(schedule, buffers, machine)
    graph = schedule.graph
    own_slots = [*graph.inputs, *graph.states, *schedule.constants, *graph.outputs]
    uses = [x.reads + x.writes for x in code.calls if isinstance(x, Call)]
    memory = allocate(buffers, own_slots, uses, machine.threads)
    return Body(schedule, code, memory, machine.threads)


# An unrolled loop has the same kernels in each iteration, on other arrays.

# The arrays of a kernel, in the order of its text, with the first entry used of each.
Arrays = dict[Value, int]


def deduplicated(
    kernel: Kernel,
    schedule: Schedule,
    buffers: BufferPlan,
    machine: Machine,
    known: dict[Hashable, tuple[KernelSource, Arrays]],
) -> KernelSource:
    """A kernel's C: newly generated, or that of an equal kernel, with its arrays replaced."""
    if kernel.kind == "concat" or kernel.stages[0].signature is None:
        return generated(kernel, schedule, buffers, machine)
    key, arrays = key_of(kernel, schedule, buffers)
    if key not in known:
        known[key] = generated(kernel, schedule, buffers, machine), arrays
    return with_arrays(*known[key], arrays)


def generated(
    kernel: Kernel, schedule: Schedule, buffers: BufferPlan, machine: Machine
) -> KernelSource:
    """A kernel's C, newly generated.

    Raises:
        LoopError: if it cannot be, or does not store all of the kernel's results and only these.
    """
    name = name_of(kernel)
    if kernel.kind not in KERNEL_GENERATORS:
        raise LoopError(
            f"{name} is of none of the kinds {', '.join(KERNEL_GENERATORS)}: add it to "
            "KERNEL_GENERATORS"
        )
    with naming(kernel):
        found = KERNEL_GENERATORS[kernel.kind](kernel, schedule, buffers, machine)
    if not isinstance(found, KernelSource):
        raise LoopError(f"{name} gives {found!r}: it returns `print_kernel(statements, buffers)`")
    stores = found.stores | (found.combine.stores if found.combine else frozenset())
    values = {stage.value for stage in kernel.stages}
    results = {buffers.array_of(x) for x in values & schedule.stored}
    joined = {whole for whole, _ in buffers.subbuffers.values()}  # from parts that may be in place
    wrong = stores - results or results - stores - joined
    if wrong:
        with naming(kernel):
            if found.check:
                found.check()  # invalid loops are more likely the cause
        kinds = ", ".join(f"{x.op or x.kind} of shape {x.shape}" for x in wrong)
        how = "stores to" if wrong <= stores else "does not store"
        raise LoopError(f"{name} {how} {kinds}: it stores its results, and nothing else")
    return found


def name_of(kernel: Kernel) -> str:
    ops = [stage.value.op.name for stage in kernel.stages if stage.value.op]
    return f"the kernel {kernel.kind!r} of {', '.join(ops)}"


@contextmanager
def naming(kernel: Kernel) -> Iterator[None]:
    """Errors inside name the kernel."""
    try:
        yield
    except MinigradError:
        raise
    except Exception as error:
        text = str(error) if isinstance(error, LoopError) else repr(error)
        raise LoopError(f"{name_of(kernel)}: {text}") from error


def verify_kernels(code: GeneratedCode) -> None:
    """Verify the loops of all kernels, each once.

    Raises:
        LoopError: if they are not valid.
    """
    calls = [x for x in code.calls if isinstance(x, Call) and x.kernel]
    for body in itertools.chain(*(x.bodies for x in calls)):
        verify_kernels(body.code)
    for check, kernel in {x.source.check: x.kernel for x in calls}.items():
        if check and kernel:
            with naming(kernel):
                check()


def with_arrays(source: KernelSource, old: Arrays, new: Arrays) -> KernelSource:
    """The C of a kernel for other arrays."""
    if old is new:
        return source
    values = dict(zip(old, new, strict=True))

    def replaced(x: Value | Scratch, offset: int) -> tuple[Value | Scratch, int]:
        if isinstance(x, Scratch):
            return replace(x, value=values[x.value]), offset
        return values[x], offset - old[x] + new[values[x]]

    arguments = [replaced(x, offset) for x, offset in source.arguments]
    combine = with_arrays(source.combine, old, new) if source.combine else None
    return replace(source, arguments=arguments, combine=combine)


def key_of(kernel: Kernel, schedule: Schedule, buffers: BufferPlan) -> tuple[Hashable, Arrays]:
    """All that a kernel's text depends on, except which arrays it uses; and these."""
    parts: list[Hashable] = [kernel.kind, kernel.rows, kernel.total]
    uses: list[tuple[Value, int]] = []
    for stage in kernel.stages:
        assert stage.signature is not None
        parts += [stage.signature.text, stage.value in schedule.stored]
        uses += [(buffers.array_of(stage.value), 0), (stage.value, 0)]
        uses += [(buffers.array_of(stage.arrays[k]), low) for k, _, low in stage.signature.reads]
    arrays: Arrays = {}
    for x, low in uses:
        arrays[x] = min(low, arrays.get(x, low))
    numbers = {x: k for k, x in enumerate(arrays)}
    return (*parts, *[(numbers[x], low - arrays[x]) for x, low in uses]), arrays


def copy_call(target: Value, x: Value, call: Callable[..., Call]) -> Call:
    text = f"memcpy(arrays[0], arrays[1], {x.size * x.dtype.itemsize});"
    found = call(KernelSource(text, [(target, 0), (x, 0)]), None, "copy")
    found.writes, found.reads = [target], [x]
    return found


def is_written(argument: Value | Scratch, kernel: Kernel | None, buffers: BufferPlan) -> bool:
    if isinstance(argument, Scratch):
        return True
    return kernel is not None and any(
        buffers.array_of(stage.value) is argument for stage in kernel.stages
    )


def work_of(kernel: Kernel, schedule: Schedule) -> int:
    """About how many operations a kernel does."""
    if kernel.kind == "contract":
        return multiplications(kernel, schedule)
    if kernel.kind == "control":
        call = kernel.stages[0].value
        rounds = call.attributes.get("length", 1) or costs.UNKNOWN_ROUNDS
        return rounds * sum(map(work_in, schedule.bodies[call]))
    return sum(stage.total for stage in kernel.stages) * 4


def work_in(schedule: Schedule) -> int:
    return sum(work_of(kernel, schedule) for kernel in schedule.kernels)


def multiplications(kernel: Kernel, schedule: Schedule) -> int:
    """The multiply-adds of a contraction."""
    return schedule.contractions[kernel.stages[0].value].multiply_adds
