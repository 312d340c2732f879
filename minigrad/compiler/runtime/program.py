"""Running a graph as C."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from minigrad.compiler.graph.ir import Graph, Value, constants_of
from minigrad.compiler.graph.layout import Layout
from minigrad.compiler.runtime import blas
from minigrad.compiler.runtime.interpreter import CONTROL, NOT_ENOUGH_ROUNDS, run
from minigrad.compiler.runtime.plan import Array, ByNumpy, ByPython, Plan, Step
from minigrad.compiler.target.toolchain import function_in, release, runtime, timed_build
from minigrad.errors import (
    ArgumentError,
    IndexingError,
    LinAlgError,
    MinigradError,
    ShapeError,
    describe,
)
from minigrad.ops.base import registry


class Segment(ctypes.Structure):
    """The struct `plan` of plans.h: calls of kernels that run without Python in between."""

    _fields_ = (
        *((n, ctypes.c_void_p) for n in "kernels calls slots offsets table seconds".split()),
        ("bad", ctypes.c_int64),
        ("wait", ctypes.c_void_p),
        *((n, ctypes.c_int64) for n in "count arguments threads".split()),
        *((n, ctypes.c_double) for n in "by_all by_one since".split()),
        *((n, ctypes.c_int32) for n in "alone trial".split()),
    )


# What C notes: see `checked index` and its like in codegen/c.py.
REFUSALS: dict[int, tuple[type[MinigradError], str]] = {
    1: (IndexingError, "looks up an index that is out of range"),
    2: (LinAlgError, "takes the Cholesky factor of a matrix: Matrix is not positive definite"),
    3: (LinAlgError, "solves with a triangle: singular matrix, with a 0 on its diagonal"),
    4: (LinAlgError, "solves with a matrix, or inverts it: Singular matrix"),
    5: (ArgumentError, NOT_ENOUGH_ROUNDS),
}
AFTER = 32  # entries of padding after an output, which products may read and ignore
SMALL = 1 << 12  # bytes up to which an output is copied, rather than given new memory each call


class Flow:
    """A loop or a branch that Python runs."""

    def __init__(self, it: ByPython) -> None:
        # Of the inputs, a body is given all but what chooses it, or how often it is run.
        count = len(it.inputs) - bool(it.attributes.get("dynamic", True))
        bodies = [body_function(plan, count) for plan in it.bodies]
        self.it, self.flow = it, partial(CONTROL[it.op], it.attributes, bodies)

    def run(self, program: Program) -> None:
        inputs = [program.read(x) if isinstance(x, Array) else x for x in self.it.inputs]
        found = self.flow(inputs)
        for k, x in self.it.results.items():
            program.read(x)[...] = found[k]


class Output(NamedTuple):
    """The memory of an output: its slot, entries with padding, and how they are viewed."""

    slot: int
    entries: int
    dtype: np.dtype
    extents: tuple[int, ...]
    back: tuple[int, ...] | None  # from the order in memory to that of the axes

    @classmethod
    def of(cls, x: Array) -> Output:
        layout = x.layout
        return cls(x.slot, layout.entries + AFTER, np.dtype(x.dtype), *shape_in_memory(layout))


class Program:
    """A graph as C, with the memory that it computes in.

    `bind` sets the array of a leaf, until it is bound again; `run` returns the outputs.

    Raises:
        BuildError: if there is no C compiler, or it fails.
    """

    def __init__(self, graph: Graph, plan: Plan) -> None:
        self.plan = plan
        self.call: Any = None  # runs calls of kernels, if there are any
        built = plan.building.result() if plan.building else timed_build(*plan.sources)
        self.libraries, self.build_seconds = built
        plan.building = None
        weakref.finalize(self, release, *self.libraries).atexit = False
        given, traced = [*graph.inputs, *graph.states], constants_of(graph)
        self.slots: dict[Value, int] = {value: k for k, value in enumerate(given)}
        count = len(given) + len(plan.constants) + len(plan.owned)
        self.table = (ctypes.c_void_p * (count + 1))()
        self.arrays: list[Any] = [None] * (count + 1)
        self.views = self.arrays.copy()  # as the caller gets them
        for k, x in enumerate(plan.constants, len(given)):
            array = traced[x].array if type(x) is int else x
            self.set(k, np.ascontiguousarray(array))
        self.given = [Output.of(x) for x in plan.owned if bytes_of(x) > SMALL]
        self.renew([Output.of(x) for x in plan.owned if bytes_of(x) <= SMALL])
        memory = np.zeros(plan.arena + 256, np.uint8)
        self.set(count, memory[-address(memory) % 64 :])
        # If several outputs are one array, the first is handed to the caller, the others copied.
        left = {x.slot for x in self.given}
        self.taken: list[tuple[Any, Any, bool]] = []
        for x in plan.outputs:
            slot = x.slot if isinstance(x, Array) else None
            self.taken.append((x, slot, slot in left))
            left -= {slot}
        if plan.threads > 1:
            self.call = function_in(runtime(), "run")
        elif self.libraries:
            self.call = function_in(self.libraries[0], "run_alone")
        kernels: list[int] = []  # their addresses
        for library, texts in zip(self.libraries, plan.texts, strict=True):
            kernels += (ctypes.c_void_p * len(texts)).in_dll(library, "kernels")
        self.kernels = (ctypes.c_void_p * max(1, len(kernels)))(*kernels)
        self.steps = [self.step(x) for x in plan.steps]
        # As they are now: an op that is defined again later is another one.
        self.ops = {x.op: registry[x.op] for x in plan.steps if isinstance(x, ByNumpy)}

    def set(self, slot: int, array: np.ndarray) -> None:
        self.arrays[slot] = self.views[slot] = array
        self.table[slot] = address(array)

    def bind(self, value: Value, array: np.ndarray) -> None:
        """Set the array of a leaf, which must be in C order."""
        k = self.slots[value]
        self.arrays[k] = self.views[k] = array
        self.table[k] = address(array)

    def renew(self, outputs: list[Output]) -> None:
        """New memory for outputs. Those that are `given` to the caller get it at each call."""
        for slot, entries, dtype, extents, back in outputs:
            self.arrays[slot] = flat = np.empty(entries, dtype)
            self.table[slot] = address(flat)
            view: np.ndarray = np.ndarray(extents, dtype, flat)
            self.views[slot] = view if back is None else view.transpose(back)

    def step(self, it: Step) -> Segment | ByNumpy | Flow:
        if isinstance(it, ByNumpy):
            return it
        if isinstance(it, ByPython):
            return Flow(it)
        return Segment(
            ctypes.addressof(self.kernels),
            *map(address, (it.rows, it.slots, it.offsets)),
            ctypes.addressof(self.table),
            None,
            0,
            None,
            len(it.rows),
            it.rows[:, 3].max() + 1,
            self.plan.threads,
        )

    def run(self) -> list[np.ndarray]:
        """Run on the arrays that are bound.

        Raises:
            IndexingError: if an index is out of range.
            LinAlgError: if a matrix is not positive definite, or has no inverse.
        """
        return self.function()(self)

    def function(self) -> Callable[[Program], list[np.ndarray]]:
        """A run as a function of the program."""
        names: dict[str, Any] = {}
        lines, outputs = self.text(names)
        return written_out("program", [*lines, f"return [{', '.join(outputs)}]"], names)

    def text(self, names: dict[str, Any]) -> tuple[list[str], list[str]]:
        """A run as lines of Python, in which this is `program`, and expressions for its outputs."""
        names |= {"call": self.call, "views": self.views, "own": self.arrays, "table": self.table}
        names |= {"address": address, "empty": np.empty, "ndarray": np.ndarray}
        lines = [line for x in self.given for line in self.renewal(x, names)]
        for k, step in enumerate(self.steps):
            names[f"step{k}"] = step
            if isinstance(step, Segment):
                names[f"at{k}"] = ctypes.byref(step)
                lines += [f"call(at{k})", f"if step{k}.bad:", f"    program.refuse(step{k}.bad)"]
            elif isinstance(step, ByNumpy):
                lines.append(f"program.by_numpy(step{k})")
            else:
                lines.append(f"step{k}.run(program)")
        for k, (x, slot, moved) in enumerate(self.taken):
            names[f"literal{k}"] = x
            array = f"literal{k}" if slot is None else f"views[{slot}]"
            lines.append(f"output{k} = {array}{'' if moved else '.copy()'}")
        # The caller now owns them, and can free them.
        lines += [f"own[{x.slot}] = views[{x.slot}] = None" for x in self.given]
        return lines, [f"output{k}" for k in range(len(self.taken))]

    def renewal(self, x: Output, names: dict[str, Any]) -> list[str]:
        """What `renew` does for an output, as lines of Python."""
        k, dtype = x.slot, f"dtype{x.slot}"
        names[dtype] = x.dtype
        back = "" if x.back is None else f".transpose({x.back})"
        return [
            f"own[{k}] = flat = empty({x.entries}, {dtype})",
            f"table[{k}] = address(flat)",
            f"views[{k}] = ndarray({x.extents}, {dtype}, flat){back}",
        ]

    def refuse(self, why: int) -> None:
        kind, message = REFUSALS[why]
        raise kind(f"a compiled function {message}")

    def by_numpy(self, it: ByNumpy) -> None:
        inputs = [self.read(x) if isinstance(x, Array) else x for x in it.inputs]
        output = self.read(it.output)
        apart = self.plan.threads > 1 and blas.is_small(inputs)
        with blas.one_thread() if apart else nullcontext():
            found = np.asarray(run(self.ops[it.op], inputs, it.attributes))
        if found.shape != output.shape or found.dtype != output.dtype:
            raise ShapeError(
                f"{it.op} gives {describe(found)}, and gave {describe(output)} where the function "
                "was traced: shape and dtype may not depend on numbers in a compiled function"
            )
        output[...] = found

    def read(self, x: Array | np.ndarray) -> np.ndarray:
        """An array of the program, viewed in its memory."""
        if not isinstance(x, Array):
            return x
        whole = self.arrays[x.slot]
        part = whole.reshape(-1).view(np.uint8)[x.offset :][: bytes_of(x)]
        return viewed(part.view(x.dtype), x.layout)


def body_function(plan: Plan, count: int) -> Callable[[Sequence[Any]], list[np.ndarray]]:
    """The program of a body as a function of its `count` inputs."""
    leaves = [Value(None, (), {}, (), np.dtype(bool), "input") for _ in range(count)]
    program = Program(Graph(leaves, [], [], []), plan)
    run = program.function()

    def body(arrays: Sequence[Any]) -> list[np.ndarray]:
        for leaf, array in zip(leaves, arrays, strict=True):
            program.bind(leaf, np.asarray(array, order="C"))
        return run(program)

    return body


def written_out(parameters: str, lines: list[str], names: dict[str, Any]) -> Callable[..., Any]:
    """A function made of lines of Python, and the values of the names in them.

    >>> add = written_out("x", ["y = x + one", "return y"], {"one": 1})
    >>> add(2)
    3
    """
    text = [f"def made({parameters}):", *(f"    {line}" for line in lines)]
    # As globals, whose look-ups Python caches; compiling a closure of n names takes n**2 time.
    # Under this file's name, so that error messages skip its frames and name the user's line.
    exec(compile("\n".join(text), __file__, "exec"), names := dict(names))
    made: Callable[..., Any] = names["made"]
    return made


def bytes_of(x: Array) -> int:
    return x.layout.entries * np.dtype(x.dtype).itemsize


def address(array: np.ndarray) -> int:
    """Where the entries of an array in C order are in memory."""
    memory: Any = array
    try:  # a tenth of the time that NumPy takes
        return address_of(buffer_of(memory))
    except (TypeError, ValueError):  # read-only, or empty
        return int(array.__array_interface__["data"][0])


address_of, buffer_of = ctypes.addressof, ctypes.c_char.from_buffer


def viewed(flat: np.ndarray, layout: Layout) -> np.ndarray:
    """Flat memory viewed in a layout; with panels, as it is in memory."""
    extents, back = shape_in_memory(layout)
    shaped = flat.reshape(extents)
    return shaped if back is None else shaped.transpose(back)


def shape_in_memory(layout: Layout) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """The extents of an array as it is in memory, and how its axes are put in order, if they are
    not."""
    in_order = layout.panel or layout.is_natural
    return tuple(layout.extents), None if in_order else tuple(layout.back)
