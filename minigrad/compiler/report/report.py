"""`explain` of a compiled function: its kernels, and what each costs."""

from __future__ import annotations

import ctypes
import inspect
import itertools
import linecache
import os
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from time import perf_counter
from typing import Any

import numpy as np

from minigrad import errors
from minigrad.compiler.codegen.c import source_of
from minigrad.compiler.codegen.control_kernels import function_name
from minigrad.compiler.codegen.statistics import (
    DescribedControl,
    DescribedMemory,
    DescribedValue,
    Description,
)
from minigrad.compiler.frontend.unrolled import Unrolled
from minigrad.compiler.graph.ir import Shape, Value
from minigrad.compiler.graph.opset.base import OPSET
from minigrad.compiler.graph.opset.reductions import AlongAxis
from minigrad.compiler.report.page import page
from minigrad.compiler.runtime.plan import ByNumpy
from minigrad.compiler.runtime.program import Segment
from minigrad.compiler.specialization import Specialization
from minigrad.compiler.target.machine import machine
from minigrad.errors import ArgumentError, UnsupportedError
from minigrad.io import write
from minigrad.nn import Module
from minigrad.nn.summary import size
from minigrad.ops.base import registry
from minigrad.pages import table as html_table
from minigrad.transforms.trees import leaves_of

WIDTH = 100
SHOWN = 4  # lines of a kernel's ops
LISTED = 8  # elementwise ops in a row that are named; of more, the number is told
FREE = "unary", "binary"  # families of elementwise ops
LEAST, FEW = 0.1, 50  # of all ops, and how many, that a loop has at least that is told
UNSEEN = "reshape expand copy transpose slice".split()  # ops that are not shown: they cost nothing


@dataclass(eq=False, repr=False)
class Report:
    """The compiled program of a function for one kind of arguments; `print` shows a table.

    `kernels` has the data, a dict for each distinct kernel: the fields of `DescribedKernel`;
    `calls`, their numbers from 1; `reads` and `writes`, the names of arguments and states in the
    first of them; `why`, for each value that could not join an earlier kernel, the reason;
    `intensity`, operations (a multiply-add is two) per byte; and `seconds` of all calls together,
    if measured. Of a loop or a branch, `bodies` has the kernels of each body in the same form.
    `times` has the seconds of each call. `source` is the C.

    >>> from minigrad.compiler import compile
    >>> f = compile(lambda x: (np.tanh(x) + 1.0).sum(axis=1))
    >>> x = np.ones((8, 4), np.float32)
    >>> y = f(x)
    >>> explanation = f.explain()
    >>> for kernel in explanation.kernels:
    ...     print(kernel["kind"], kernel["rows"], kernel["ops"], kernel["read"], "bytes read")
    rows 8 (('tanh', (8, 4)), ('add', (8, 4)), ('sum', (8,))) 128 bytes read
    >>> len(explanation.profile().times)
    1
    """

    title: str
    specialization: Specialization | None = None
    arguments: list[str] = field(default_factory=list)
    times: list[float] | None = None

    def __reduce__(self) -> Any:
        raise UnsupportedError(
            "a report cannot be pickled, as it has the program itself: pickle what is read from "
            "it, as `str(report)`, `report.kernels` or `report.source`"
        )

    @property
    def description(self) -> Description:
        """The description in the plan; empty if nothing is compiled."""
        return self.program.plan.description if self.compiled else Description()

    @property
    def program(self) -> Any:
        return self.specialization.program if self.specialization else None

    @property
    def compiled(self) -> bool:
        """Whether it runs as C, and not by NumPy."""
        return hasattr(self.program, "plan")

    @property
    def threads(self) -> int:
        return self.program.plan.threads if self.compiled else 1

    @property
    def arena(self) -> int:
        """Bytes of memory for intermediate values."""
        return self.program.plan.arena if self.compiled else 0

    @property
    def memory(self) -> DescribedMemory:
        """What is kept for the reverse pass, and the most that is in the arena at once.

        `kept` has a part for each array that the part of the program before the reverse pass
        computes and the reverse pass reads, the largest first, with its `name`, `shape`, `bytes`,
        and `first` and `last`, the numbers of the call that writes it and of the last that reads
        it. Arguments and parameters are not among them. `peak`: in bytes; `at`: at which call.

        >>> from minigrad.compiler import compile
        >>> from minigrad import grad
        >>> f = compile(grad(lambda x: np.sum(np.exp(x @ x, dtype=np.float32) @ x)))
        >>> y = f(np.ones((4, 4), np.float32))
        >>> for x in f.explain().memory.kept:
        ...     print(x.name, x.shape, x.bytes)
        exp (4, 4) 64
        """
        return self.description.memory

    @property
    def build_seconds(self) -> float:
        """How long the C compiler took; 0 if the libraries were in the cache."""
        return getattr(self.program, "build_seconds", 0.0)

    @cached_property
    def kernels(self) -> list[dict[str, Any]]:
        names = names_of(self.specialization, self.arguments) if self.specialization else []
        return self.listed(self.description, names, self.times)

    def listed(
        self, description: Description, names: Sequence[str] = (), times: list[float] | None = None
    ) -> list[dict[str, Any]]:
        """The kernels of the program, or of a body in it."""
        found: list[dict[str, Any]] = []
        for kernel in description.kernels:
            data = {**vars(kernel), "calls": [], "why": {}, "seconds": None}
            operations = 2 * kernel.multiply_adds + kernel.operations
            data["intensity"] = operations / (kernel.read + kernel.written or np.inf)
            data["shared"] = kernel.shared and self.threads > 1
            data["bodies"] = [*map(self.listed, kernel.control.bodies if kernel.control else ())]
            found.append(data)
        for number, call in enumerate(description.calls):
            data = found[call.kernel]
            if not data["calls"]:
                data["reads"], data["writes"] = (
                    [names[k] for k in leaves] if names else []
                    for leaves in (call.reads, call.writes)
                )
            data["calls"].append(number + 1)
            data["why"].update(call.why)
            if times is not None:
                data["seconds"] = (data["seconds"] or 0.0) + times[number]
        return found

    @cached_property
    def source(self) -> str:
        """The C of all distinct kernels, each headed by what it is."""
        kernels = [data for data in self.kernels if data["text"]]
        text = source_of([data["text"] for data in kernels], machine().vector) if kernels else ""
        named = {f"k{k}": data for k, data in enumerate(kernels)}
        for _, _, data in numbered(self.kernels):
            if data["text"]:
                named.setdefault(function_name(data["text"]), data)
        return re.sub(
            r"^static void (\w+)\(char \*\*",
            lambda found: f"{comment(named[found[1]])}\n{found[0]}",
            text,
            flags=re.MULTILINE,
        )

    def profile(self, repeats: int = 20) -> Report:
        """The same with the time of each call, the median of `repeats` runs.

        The program runs on the arrays of the last call, and state that it writes is restored; no
        other thread should use that state meanwhile. A program that runs on NumPy, or has not run
        yet, is not measured.

        Raises:
            ArgumentError: if repeats is below 1.
            ValueError: if a state is read-only.
        """
        if repeats < 1:
            raise ArgumentError(f"profile: repeats={repeats}, and it is 1 or more")
        if self.specialization is None or not self.compiled or not is_bound(self.specialization):
            return self
        with self.specialization.lock, kept(self.specialization) as put_back:
            runs = []
            for _ in range(repeats + 1):
                put_back()
                self.program.renew(self.program.given)
                runs.append(timed(self.program))
        return replace(self, times=np.median(runs[1:], axis=0).tolist())

    def html(self, path: str | os.PathLike[str]) -> None:
        """Write it as a page: one file, which needs no network, with the C of each kernel.

        An old file of that name is replaced once the new one is whole.
        """
        rows = [
            {
                **data,
                "number": k + 1,
                "does": does(data),
                "comment": comment(data),
                "inner": [f"{n} {where}{does(x)}" for n, where, x in inside(data, str(k + 1))],
            }
            for k, data in enumerate(self.kernels)
        ]
        notes = [*self.memory_notes()], [*self.loop_notes()]
        write(path, page(self.title, self.facts(), rows, *notes).encode())

    def head(self) -> str:
        """A line on the whole program."""
        times = [] if self.times is None else [f"{duration(sum(self.times))} a run"]
        return ", ".join([*self.facts(), *times])

    def facts(self) -> list[str]:
        """What there is to say about the whole program, but for its time."""
        if self.specialization is None:
            return ["not compiled yet: call it first"]
        if not self.compiled:
            count = sum(x.kind == "op" for x in self.specialization.traced.graph.order)
            return [f"runs on NumPy, op by op ({count} ops): no C was built"]
        took = f"built in {duration(self.build_seconds)}" if self.build_seconds else "built before"
        return [
            counted(len(self.kernels), "kernel"),
            counted(len(self.description.calls), "call"),
            counted(self.threads, "thread"),
            f"arena {size(self.arena)}",
            took,
        ]

    def __str__(self) -> str:
        lines = textwrap.wrap(f"{self.title}: {self.head()}", WIDTH, subsequent_indent="  ")
        if self.kernels:
            lines += [self.table(), *self.notes()]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The table, for notebooks; `html` has the C as well."""
        if not self.kernels:
            return f"<p>{escape(f'{self.title}: {self.head()}')}</p>"
        (_, *titles), cells = self.cells()
        notes = escape("\n".join(self.notes()))
        return (
            f"<p><b>{escape(self.title)}</b><br>{escape(self.head())}</p>"
            f"{html_table(['#', *titles], cells, texts=4)}<pre>{notes}</pre>"
        )

    def table(self) -> str:
        from tabulate import tabulate

        titles, cells = self.cells()
        align = ("right", "left", "left", "left", *["right"] * 4)
        return tabulate(cells, titles, disable_numparse=True, colalign=align)

    def cells(self) -> tuple[list[str], list[list[str]]]:
        last = "flop/B" if self.times is None else "time"
        titles = ["", "kernel", "calls", "computes", "read", "written", "mul-adds", last]
        rows = [
            (number, data["kind"] + "*" * data["shared"], where, data)
            for number, where, data in numbered(self.kernels)
        ]
        room = 34 + 2 + 8 - max(2, *map(len, (x[0] for x in rows)))
        room -= max(8, *map(len, (x[1] for x in rows)))
        return titles, [
            [
                number,
                kind,
                f"x{len(data['calls'])}" if len(data["calls"]) > 1 else "",
                shortened(data, room, where),
                size(data["read"]),
                size(data["written"]),
                millions(data["multiply_adds"]),
                rate(data["intensity"]) if self.times is None else duration(data["seconds"]),
            ]
            for number, kind, where, data in rows
        ]

    def notes(self) -> Iterator[str]:
        yield from self.memory_notes()
        yield from self.loop_notes()
        if any(data["shared"] for data in self.kernels):
            yield f"* shared by {self.threads} threads"
        reasons: dict[str, list[str]] = {}
        for number, _, data in numbered(self.kernels):
            for label, reason in data["why"].items():
                reasons.setdefault(reason, []).append(f"{number} {label}")
        if reasons:
            yield "why fusion stopped, and a kernel was begun:"
        for reason, places in reasons.items():
            text = f"{reason}: {'; '.join(dict.fromkeys(places))}"
            yield from textwrap.wrap(
                text, WIDTH, initial_indent="  ", subsequent_indent="    ", max_lines=4
            )

    @property
    def unrolled(self) -> list[Unrolled]:
        """Loops of Python that did the same in at least 8 rounds, one after the other: `scan`,
        `fori_loop` or `vmap` would trace one round of them.

        Each has the `file` and `line` of its `for`, the number of `rounds`, how many ops `each`
        has, and of how many `ops` it is the source, with those of derivatives.

        >>> from minigrad.compiler import compile
        >>> @compile
        ... def f(x):
        ...     for k in range(100):
        ...         x = x + 0.1 * np.sin(x)
        ...     return x
        >>> y = f(np.ones(3))
        >>> loop = f.explain().unrolled[0]
        >>> loop.line, loop.rounds, loop.each, loop.ops
        (3, 100, 3, 300)
        """
        found = self.specialization.traced.unrolled if self.specialization else []
        return [x for x in found if x.ops >= max(LEAST * self.traced, FEW)]

    @property
    def traced(self) -> int:
        """How many ops were traced, beside those in bodies of loops."""
        if self.specialization is None:
            return 0
        calls = self.specialization.traced.calls
        return len(calls.places) + len(calls.derived)

    def loop_notes(self) -> Iterator[str]:
        """What the loops of Python cost that do the same in each round."""
        loops = self.unrolled
        if not loops or self.specialization is None:
            return
        yield "loops of Python that do the same in each round:"
        for x in loops[:SHOWN]:
            line = linecache.getline(x.file, x.line).strip()
            derived = ", with derivatives" if x.ops > x.rounds * x.each else ""
            yield (
                f"  {errors.place(os.path.basename(x.file), x.line)}: {x.rounds:,} rounds of "
                f"{counted(x.each, 'op')}: {x.ops:,} of all {self.traced:,} ops{derived}"
            )
            yield f"    {line}"
        spared = sum(x.ops * (1 - 1 / x.rounds) for x in loops) / self.traced
        seconds = self.specialization.seconds
        yield (
            "  as scan or fori_loop, one round is traced: to trace and to plan would take about "
            f"{duration(spared * seconds)}"
        )
        yield f"  less than the {duration(seconds)} that it took"

    def memory_notes(self) -> Iterator[str]:
        """What is kept for the reverse pass, and the most that is in the arena at once."""
        memory, kept = self.memory, self.memory.kept
        if not kept:
            return
        at = f" at call {memory.at}" if memory.at else ""
        yield (
            f"kept for the reverse pass: {size(sum(x.bytes for x in kept))}; "
            f"most in the arena at once: {size(memory.peak)}{at}"
        )
        alike: dict[Any, list[DescribedValue]] = {}
        for x in kept:
            alike.setdefault((x.name, x.shape, x.outside), []).append(x)
        for (name, shape, outside), xs in [*alike.items()][:LISTED]:
            calls = f"calls {min(x.first for x in xs)} to {max(x.last for x in xs)}"
            yield (
                f"  {name} {shape}{f' x{len(xs)}' if len(xs) > 1 else ''} "
                f"{size(sum(x.bytes for x in xs))}, {calls}"
                + (", which is returned or state" if outside else "")
            )
        if len(alike) > LISTED:
            yield f"  and {len(alike) - LISTED:,} more kinds"


def report(function: Callable[..., Any], specialization: Specialization | None) -> Report:
    """The report of a specialization, which is None if the function was not called yet."""
    name = getattr(function, "__name__", "f")
    if specialization is None:
        return Report(name)
    names = argument_names(function, specialization)
    arrays = zip(names, specialization.inputs, strict=True)
    given = ", ".join(f"{argument} {x.dtype} {x.shape}" for argument, x in arrays)
    return Report(f"{name}({given})", specialization, names)


# Names


def argument_names(function: Callable[..., Any], specialization: Specialization) -> list[str]:
    """The names of the arrays in the arguments."""
    args, kwargs = specialization.arguments
    try:
        tree = inspect.signature(function).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        tree = {"args": args, **kwargs}
    found: dict[int, list[str]] = {}
    for place, x in reversed(leaves_of(dict(tree))):
        found.setdefault(id(x), []).append(re.sub(r"^\['(\w+)'\]", r"\1", place))
    # An array that is given twice has two names.
    return [
        found[id(x)].pop() if len(found[id(x)]) > 1 else found[id(x)][0]
        for x in specialization.given
    ]


def names_of(specialization: Specialization, arguments: list[str]) -> list[str]:
    """The names of the graph's inputs and states, in order."""
    traced, seen = specialization.traced, specialization.guards.found
    tensors: dict[int, str] = {}
    for module in [x for x in seen.seen.values() if isinstance(x, Module)]:
        for name, t in [*module.named_parameters(), *module.named_buffers()]:
            tensors[id(t)] = max(name, tensors.get(id(t), ""), key=len)
    for t in seen.tensors.values():
        tensors.setdefault(id(t), t.name or f"a Tensor {t.shape}")
    arrays = {id(t.data): tensors[id(t)] for t in seen.tensors.values()}
    for holder, key, place in seen.slots:
        owner = tensors.get(id(getattr(holder, "parameter", None)))
        arrays[id(holder[key])] = f"{key} of {owner}" if owner else place
    found: dict[Value, str] = {x: arrays.get(id(array), "an array") for array, x in traced.states}
    found |= {x: f"the gradient of {tensors.get(id(t), 'a Tensor')}" for t, x in traced.grads}
    found |= {x: "lr" for *_, x in traced.rates}
    found |= {x: "random numbers" for _, x in traced.drawn}
    found |= dict(zip(specialization.inputs, arguments, strict=True))
    return [found.get(x, "an array") for x in [*traced.graph.inputs, *traced.graph.states]]


# Kernels, with those of bodies

# A kernel with its number, and where it is in a branch: "if: " or "else: ".
Numbered = Iterator[tuple[str, str, dict[str, Any]]]


def numbered(kernels: Sequence[dict[str, Any]]) -> Numbered:
    """Kernels with their numbers, each before those of its bodies: 1, 1.1, 1.2, 2."""
    for k, data in enumerate(kernels, start=1):
        yield str(k), "", data
        yield from inside(data, str(k))


def inside(data: dict[str, Any], number: str) -> Numbered:
    """The kernels of the bodies of a kernel."""
    places = ("if: ", "else: ")[: len(data["bodies"])] if len(data["bodies"]) == 2 else [""]
    bodies = zip(places, data["bodies"], strict=False)
    inner = [(place, x) for place, kernels in bodies for x in numbered(kernels)]
    count = 0
    for place, (own, where, x) in inner:
        count += "." not in own
        yield ".".join([number, str(count), *own.split(".")[1:]]), where or place, x


# Texts


def does(data: dict[str, Any]) -> str:
    """What a kernel computes, in short: matmul (128, 512) + add + relu.

    A long row of elementwise ops is told by their number: most are an optimiser's update.
    """
    if data["control"] is not None:
        return controls(data["control"])
    ops = [op for op in data["ops"] if op[0] not in UNSEEN] or list(data["ops"][-1:])
    runs = itertools.groupby(ops, key=lambda op: is_elementwise(op[0]))
    parts: list[str] = []
    shape: Shape | None = None
    for free, run in runs:
        found, update = list(run), updated(data)
        if free and len(found) > (2 if update else LISTED):
            parts.append(f"{update or 'elementwise'} ({len(found)} ops)")
        else:
            parts += told(found, shape)
        shape = found[-1][1] or shape
    names = data["reads"] if data["kind"] == "pack" else []
    return f"{', '.join(names)}: {' + '.join(parts)}" if names else " + ".join(parts)


def controls(control: DescribedControl) -> str:
    """What a loop or a branch does with its bodies."""
    if not control.rounds:
        return "if a condition holds, or else"
    parts = [control.rounds]
    for what, found in (
        ("carry", [str(x) for x in control.carries]),
        ("rows of", [str(x) for x in control.rows]),
        ("stacks", told(control.results, None)),
    ):
        counts = Counter(found)
        each = [f"{x} x{n}" if n > 1 else x for x, n in counts.items()]
        parts += [f"{what} {', '.join(each)}"] if each else []
    return "; ".join(parts)


def is_elementwise(name: str) -> bool:
    return name in ("astype", "where") or getattr(registry.get(name), "family", "") in FREE


def updated(data: dict[str, Any]) -> str:
    """Of a kernel that uses the state of an optimiser: "update of" the parameter; or ""."""
    kept = (re.fullmatch(r"\w+ of (.+)", name) for name in [*data["reads"], *data["writes"]])
    return next((f"update of {found[1]}" for found in kept if found), "")


def told(ops: Sequence[tuple[str, Shape]], shape: Shape | None) -> list[str]:
    """Ops as texts, with their shapes where they differ from that before."""
    parts: list[list[str]] = []  # those of the same op and shape together
    for name, own in ops:
        # The shape of a single number says little, unless a reduction ends in it.
        new = own != shape and (
            bool(own) or isinstance(OPSET.get(name), AlongAxis) or shape is None
        )
        if not new and parts and parts[-1][0].partition(" ")[0] == name:
            parts[-1].append(name)
        else:
            parts.append([f"{name} {own}" if new else name])
        shape = own if new else shape
    return [x if len(rest) == 0 else f"{x} x{1 + len(rest)}" for x, *rest in parts]


def shortened(data: dict[str, Any], width: int, where: str = "") -> str:
    """What a kernel computes, and what it writes into, in a few lines."""
    lines = textwrap.wrap(where + does(data), width, max_lines=SHOWN, placeholder=" ...")
    first, *rest = data["writes"] or [""]
    if first:
        last = f"-> {first}" + (f" and {len(rest)} more" if rest else "")
        one = len(lines) == 1 and len(lines[0]) + len(last) < width
        lines = [f"{lines[0]} {last}"] if one else [*lines, last]
    return "\n".join(lines)


def comment(data: dict[str, Any]) -> str:
    """The comment above a kernel in the C."""
    ops = " ".join(f"{name}{shape}".replace(" ", "") for name, shape in data["ops"])
    calls = ", ".join(map(str, data["calls"][:10])) + (", ..." if len(data["calls"]) > 10 else "")
    loops = " x ".join(map(str, data["loops"]))
    rows = f", {data['rows']:,} rows" if data["rows"] is not None else ""
    lines = [
        f"{data['kind']}: {does(data) if data['control'] else ops}",
        f"calls {calls}" + (f"; loops {loops}{rows}" if loops else ""),
        *(f"{which} {', '.join(data[which])}" for which in ("reads", "writes") if data[which]),
        f"{size(data['read'])} read, {size(data['written'])} written, "
        f"{data['multiply_adds']:,} multiply-adds, {data['operations']:,} other operations",
        *(f"{label} begins a kernel: {reason}" for label, reason in data["why"].items()),
    ]
    wrapped = [part for line in lines for part in textwrap.wrap(line, WIDTH - 3)]
    return "\n".join(f"// {line}" for line in wrapped)


def counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def millions(n: int) -> str:
    """A count, to read: 51.4 M."""
    return size(n)[:-1].strip() if n else ""


def rate(x: float) -> str:
    return f"{x:.1f}" if x else ""


def duration(seconds: float | None) -> str:
    """A time, to read; nothing, if it is not known.

    >>> duration(1.25e-5), duration(0.0021), duration(1.5)
    ('12.5 us', '2.1 ms', '1.5 s')
    """
    if seconds is None:
        return ""
    k = next((k for k in (0, 1) if seconds >= 1000**-k), 2)
    return f"{seconds * 1000**k:.1f} {('s', 'ms', 'us')[k]}"


# Times


def is_bound(specialization: Specialization) -> bool:
    """Whether it was run, so that all arrays of the program are bound."""
    program = specialization.program
    calls = program.plan.description.calls
    return all(program.arrays[k] is not None for call in calls for k in (*call.reads, *call.writes))


@contextmanager
def kept(specialization: Specialization) -> Iterator[Callable[[], None]]:
    """Restore the state that a program writes: at each call of what is yielded, and at the end."""
    program = specialization.program
    arrays = [
        program.arrays[program.slots[target]] for target, _ in specialization.traced.graph.writes
    ]
    before = [(array, array.copy()) for array in arrays]

    def put_back() -> None:
        for array, copy in before:
            array[...] = copy

    try:
        yield put_back
    finally:
        put_back()


def timed(program: Any) -> list[float]:
    """Run, and take the time of each call."""
    found: list[float] = []
    for step in program.steps:
        if not isinstance(step, Segment):
            start = perf_counter()
            program.by_numpy(step) if isinstance(step, ByNumpy) else step.run(program)
            found.append(perf_counter() - start)
            continue
        seconds = np.zeros(step.count)
        step.seconds = seconds.ctypes.data
        try:
            program.call(ctypes.byref(step))
        finally:
            step.seconds = None
        found += seconds.tolist()
    return found
