"""Loops and branches in C: one function, which calls the kernels of its bodies.

A loop works in the memory of its results: carries begin as copies, and are then updated in place.
Rows of xs and ys are read and written where they are: from one round to the next, at another place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minigrad.compiler.codegen.barriers import END, FLOW, SHARED, WAIT, barrier_flags
from minigrad.compiler.codegen.c import KernelSource, indented, with_functions
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.graph.opset.control import BRANCH, Parts, forms_of, item
from minigrad.compiler.loops.ir import Scratch
from minigrad.compiler.schedule.buffers import BufferPlan, Memory
from minigrad.compiler.schedule.stages import Kernel, Schedule

if TYPE_CHECKING:
    from minigrad.compiler.codegen.deduplicate import Call, GeneratedCode

WAIT_FOR_ALL = "WAIT_FOR_ALL(bad, threads);"


@dataclass(eq=False)
class Body:
    """A compiled body: its kernels, their calls, where their arrays are, and how many threads share
    it at most."""

    schedule: Schedule
    code: GeneratedCode
    memory: Memory
    threads: int

    @property
    def calls(self) -> list[Call]:
        return self.code.calls  # type: ignore[return-value]  # NumPy computes nothing in it

    @property
    def parallel(self) -> bool:
        return any(call.shared for call in self.calls)


@dataclass(eq=False)
class Pointers:
    """The arrays of a function of control flow, numbered in the order of their first use."""

    arrays: dict[Any, None] = field(default_factory=dict)

    def of(self, x: Value | Scratch) -> str:
        self.arrays.setdefault(x)
        return f"p{[*self.arrays].index(x)}"


def control_function(kernel: Kernel, buffers: BufferPlan, bodies: Sequence[Body]) -> KernelSource:
    """The C of a loop or a branch."""
    call, *results = (stage.value for stage in kernel.stages)
    found: dict[int, Value | Scratch] = {x.attributes["position"]: x for x in results}
    pointers = Pointers()
    for k in range(len(forms_of(call))):
        if k not in found:  # nothing reads it
            x = item(call, k)
            found[k] = Scratch(x, x.size, each=False)
    writer = Writer(call, [found[k] for k in range(len(found))], buffers, bodies, pointers)
    lines = writer.branch() if call.op is BRANCH else writer.loop()
    head = [f"char *const {pointers.of(x)} = arrays[{k}];" for k, x in enumerate(pointers.arrays)]
    return KernelSource(
        with_functions(writer.functions, "\n".join([*head, *lines])),
        [(x, 0) for x in pointers.arrays],
        any(body.parallel for body in bodies),
        stores=frozenset(results),
    )


@dataclass(eq=False)
class Writer:
    """Writes a loop or a branch, as lines of C, and finds the `functions` that these call."""

    call: Value
    results: list[Any]
    buffers: BufferPlan
    bodies: Sequence[Body]
    pointers: Pointers
    functions: dict[str, str] = field(default_factory=dict)

    def branch(self) -> list[str]:
        predicate, *operands = self.call.inputs
        lines = [f"if (*(const bool *){self.pointers.of(predicate)}) {{"]
        for body, between in zip(self.bodies, (["} else {"], ["}"]), strict=True):
            places = {x: (y, "") for x, y in zip(body.schedule.graph.inputs, operands, strict=True)}
            places |= {
                x: (y, "") for x, y in zip(body.schedule.graph.outputs, self.results, strict=True)
            }
            lines += indented(self.calls(body, places)) + between
        return lines

    def loop(self) -> list[str]:
        (body,), how, results = self.bodies, self.call.attributes, self.results
        parts, length, c = Parts(self.call.inputs, how), how["length"], how["carries"]
        of, buffers = self.pointers.of, self.buffers
        carries, ys, count = results[:c], results[c:-1], results[-1]
        graph, leaves = body.schedule.graph, how["body"].inputs
        rows = {x: bytes_of(x) for x in (*leaves[len(parts.constants) + c :], *graph.outputs)}
        places = {x: (y, "") for x, y in zip(leaves, [*parts.constants, *carries], strict=False)}
        for x, y in zip(rows, [*parts.xs, *ys], strict=True):
            places[x] = y, f" + row*{rows[x]}"
        inner = self.calls(body, places)
        goes_on = f"*(const bool *){of(carries[-1])}" if how["stops"] else ""
        first = [
            f"memcpy({of(y)}, {of(x)}, {bytes_of(x)});"
            for x, y in zip(parts.carries, carries, strict=True)
            if buffers.buffer_of(x) != buffers.buffer_of(y)
        ]
        last = [f"*(int64_t *){of(count)} = step;"] if isinstance(count, Value) else []
        if parts.ends:
            last += [
                f"memset({of(y)} + step*{rows[x]}, 0, ({length} - step)*{rows[x]});"
                for x, y in zip(graph.outputs, ys, strict=True)
            ]
        lines = [f"int64_t step = 0, steps = {INT64_MAX if length is None else length};"]
        if how["dynamic"]:
            lines = [f"int64_t step = 0, steps = *(const int64_t *){of(parts.rounds)};"]
            if length is not None:
                lines.append(f"if (steps > {length}) {{ note(bad, 5); steps = 0; }}")
        if how["stops"]:
            last.append(f"if (step >= steps && {goes_on}) note(bad, 5);")
        lines += by_first_thread(first, body.parallel) + ([WAIT_FOR_ALL] if body.parallel else [])
        lines.append("for (; step < steps; step++) {")
        if goes_on and body.parallel:
            lines += indented(
                [f"const bool goes_on = {goes_on};", WAIT_FOR_ALL, "if (!goes_on) break;"]
            )
        elif goes_on:
            lines.append(f"  if (!{goes_on}) break;")
        if any("row*" in text for _, text in places.values()):
            lines.append(
                f"  const int64_t row = {'steps - 1 - step' if how['reverse'] else 'step'};"
            )
        lines += indented(inner)
        if body.parallel:
            lines.append(f"  {WAIT_FOR_ALL}")
        elif any("bad" in text for text in body.code.texts):
            lines.append("  if (*bad) break;")
        return [*lines, "}", *by_first_thread(last, body.parallel)]

    def calls(self, body: Body, places: dict[Value, tuple[Any, str]]) -> list[str]:
        """The calls of the kernels of a body, as statements.

        `places`: of the leaves and outputs of the body, the array outside, and where in it.
        """
        memory, lines = body.memory, []
        arena = Scratch(self.call, memory.size, each=False)
        slots: list[Any] = [(*places.get(x, (x, "")),) for x in memory.slots]
        slots.append((arena, ""))
        flags = [0] * len(body.calls)
        if body.parallel:
            flags = barrier_flags(body.calls, memory.span, body.threads)
        for inner, flag in zip(body.calls, flags, strict=True):
            text = body.code.texts[inner.text]
            alone = "if (!thread) " if body.parallel and not flag & SHARED else ""
            name = function_name(text)
            arguments = []
            for x, first in inner.source.arguments:
                slot, start, _ = memory.span(x)
                array, where = slots[slot]
                offset = start + first * x.dtype.itemsize
                arguments.append(
                    f"{self.pointers.of(array)}{where}" + (f" + {offset}" if offset else "")
                )
            if flag & WAIT:
                lines.append(WAIT_FOR_ALL)
            if inner.role == "copy":
                lines.append(f"{alone}memcpy({', '.join(arguments)}, {bytes_of(inner.writes[0])});")
                continue
            self.functions[name] = text
            if flag & SHARED:
                run = f"{name}(q, bad, thread, threads)" if flag & FLOW else f"SHARED_CALL({name})"
            else:
                run = f"{name}(q, bad, 0, {'PARTS(threads)' if flag & END else 1})"
            lines.append(f"{alone}{{ char *q[] = {{{', '.join(arguments)}}}; {run}; }}")
        return lines


INT64_MAX = (1 << 63) - 1


def function_name(text: str) -> str:
    """The name of a kernel of a body."""
    return f"k_{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def bytes_of(x: Any) -> int:
    return x.size * x.dtype.itemsize


def by_first_thread(lines: list[str], parallel: bool) -> list[str]:
    return ["if (!thread) {", *indented(lines), "}"] if parallel and lines else lines
