"""Exported programs as data: compiled functions with all memory that they share, for a machine."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.compiler.codegen.c import C_TYPES
from minigrad.compiler.export.interface import Interface
from minigrad.compiler.export.naming import distinct, identifier
from minigrad.compiler.graph.ir import Value, constants_of
from minigrad.compiler.graph.layout import Layout, plain
from minigrad.compiler.pipeline import plan_of
from minigrad.compiler.runtime.plan import Array, ByNumpy, ByPython, Calls, Plan, Step
from minigrad.compiler.runtime.program import AFTER, REFUSALS, bytes_of
from minigrad.compiler.specialization import overlaps
from minigrad.compiler.target.machine import Machine
from minigrad.errors import ArgumentError, UnsupportedError

ALIGNMENT = 64  # bytes: a line of the cache
KINDS = ("input", "output", "state", "generator", "constant", "scratch")


@dataclass(eq=False)
class Member:
    """An array in the struct of a program, a generator of random numbers, or scratch memory: its
    `kind` is one of KINDS. `initial`: its numbers in the beginning; None if they are 0. `own`: the
    name of an argument or a result in its function, where `name` may begin with the function's."""

    name: str
    kind: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    initial: np.ndarray | None = None
    own: str = ""
    identifier: str = ""
    offset: int = 0

    @property
    def size(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def room(self) -> int:
        """The bytes that it takes, with padding: of what is computed, kernels may read some entries
        behind the last, and ignore them."""
        after = AFTER * self.dtype.itemsize if self.kind in ("output", "scratch") else 0
        return -(-(self.size + after) // ALIGNMENT) * ALIGNMENT


# Bytes in a member, from an offset on.
Place = tuple[Member, int]


@dataclass
class Call:
    """A call of a kernel, by its number; and what it computes, in words."""

    kernel: int
    places: list[Place]
    comment: str


@dataclass
class Function:
    """An exported function: its calls, the members that it reads and writes, and what was fixed
    when it was traced, in words."""

    name: str
    calls: list[Call] = field(default_factory=list)
    inputs: list[Member] = field(default_factory=list)
    outputs: list[Member] = field(default_factory=list)
    writes: list[Member] = field(default_factory=list)
    draws: list[Member] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)


def keys_of(members: list[Member]) -> list[str]:
    """The names of inputs or outputs in their own function."""
    return distinct(x.own or x.name for x in members)


@dataclass
class ExportedProgram:
    """All that is written out: members in the order of the struct, functions, and the texts of the
    distinct kernels. `names`: of states, by the id of the array that each is in Python. `about`:
    what the program computes, for its README."""

    name: str
    machine: Machine
    members: list[Member]
    functions: list[Function]
    kernels: list[str]
    names: dict[int, str]
    about: str = ""

    @property
    def size(self) -> int:
        """Bytes of the struct."""
        return sum(x.room for x in self.members)

    @property
    def manifest(self) -> dict[str, Any]:
        """What is where, as data for JSON."""
        arrays = [x for x in self.members if x.kind not in ("generator", "scratch")]
        return {
            "name": self.name,
            "size": self.size,
            "arrays": [
                {
                    "name": x.name,
                    "kind": x.kind,
                    "dtype": x.dtype.name,
                    "shape": [*x.shape],
                    "offset": x.offset,
                    # An input that has a number in the beginning: the rate of an optimiser.
                    "default": x.kind == "input" and x.initial is not None,
                }
                for x in arrays
            ],
            "functions": {
                f.name: {
                    **{
                        key: [x.name for x in getattr(f, key)]
                        for key in ("inputs", "outputs", "writes", "draws")
                    },
                    "arguments": keys_of(f.inputs),
                    "results": keys_of(f.outputs),
                }
                for f in self.functions
            },
            "generators": [
                {"name": x.name, "offset": x.offset} for x in self.members if x.kind == "generator"
            ],
            "messages": {str(k): message for k, message in messages().items()},
        }


def messages() -> dict[int, str]:
    """Why a function refuses, by the number that it returns."""
    return {k: f"a compiled function {message}" for k, (_, message) in REFUSALS.items()}


def exported(name: str, functions: Mapping[str, Any], machine: Machine) -> ExportedProgram:
    """The program of compiled functions, by their names in it: one member for each array, one text
    for each kernel.

    Raises:
        ArgumentError: if there is none, or one is not compiled, was not called yet, or has a name
            that a program cannot give it.
        UnsupportedError: if one cannot stand alone.
    """
    if not functions:
        raise ArgumentError("export without a function: minigrad.export(path, step=step)")
    interfaces = [Interface(each, compiled) for each, compiled in functions.items()]
    linker = Linker(interfaces, machine)
    made = [linker.function(x) for x in interfaces]
    members = sorted(linker.members.values(), key=order_of)
    names = distinct(x.name for x in members)
    identifiers = distinct(map(identifier, names))
    offset = 0
    for x, name_in_json, name_in_c in zip(members, names, identifiers, strict=True):
        x.name, x.identifier, x.offset = name_in_json, name_in_c, offset
        offset += x.room
    states = {
        array: linker.members[key].name
        for x in interfaces
        for array, key in x.memory_keys()
        if key in linker.members
    }
    return ExportedProgram(identifier(name), machine, members, made, [*linker.kernels], states)


def order_of(member: Member) -> tuple[int, list[tuple[int, str]]]:
    """What members are sorted by: kinds, then states by their names, with numbers in order."""
    parts = member.name.split(".") if member.kind == "state" else []
    return KINDS.index(member.kind), [(int(x) if x.isdecimal() else -1, x) for x in parts]


class Linker:
    """The members and kernels of a program, each made when it is first asked for."""

    def __init__(self, interfaces: list[Interface], machine: Machine) -> None:
        self.machine = machine
        self.members: dict[Hashable, Member] = {}
        self.kernels: dict[str, int] = {}
        self.scratch = Member("scratch", "scratch", np.dtype(np.uint8), (ALIGNMENT,))
        self.members["scratch"] = self.scratch
        check_gradients(interfaces)
        check_memory(interfaces)
        # What each name means, of arguments, results and states.
        self.meanings: dict[str, set[Any]] = defaultdict(set)
        for x in interfaces:
            for kind, values in (("input", x.arguments), ("state", x.states)):
                for value, name in values.items():
                    self.meanings[name].add((kind, value.dtype, value.shape))
            for name, value in x.results:
                self.meanings[name].add(("output", value.dtype, value.shape))

    def member(self, key: Hashable, kind: str, name: str, like: Any, initial: Any = None) -> Member:
        """The member of a key, with the dtype and shape of `like`."""
        if key not in self.members:
            if kind != "generator" and (like.dtype not in C_TYPES or 0 in like.shape):
                raise UnsupportedError(
                    f"export: {name} is an array of {like.dtype} of shape {like.shape}, and arrays "
                    f"of C are of {', '.join(x.name for x in C_TYPES)}, with one entry or more"
                )
            if initial is not None:
                initial = np.array(initial, like.dtype, order="C")
            self.members[key] = Member(name, kind, like.dtype, like.shape, initial)
        return self.members[key]

    def given(self, kind: str, name: str, value: Any, function: str) -> Member:
        """An argument or a result: functions share it if its name means the same in all."""
        if len(self.meanings[name]) == 1:
            member = self.member((kind, name), kind, name, value)
        else:
            member = self.member((kind, function, name), kind, f"{function}.{name}", value)
        member.own = name
        return member

    def constant(self, array: np.ndarray) -> Member:
        key = "constant", array.dtype, array.shape, array.tobytes()
        count = sum(x.kind == "constant" for x in self.members.values())
        return self.member(key, "constant", f"constant_{count}", array, array)

    def kernel(self, text: str) -> int:
        return self.kernels.setdefault(text, len(self.kernels))

    def function(self, interface: Interface) -> Function:
        """A function: first it draws random numbers, then its kernels run, then results are copied
        that are not computed where they belong."""
        graph = interface.graph
        plan = plan_of(graph, self.machine)
        check_plan(interface.name, plan)
        made = Function(interface.name, frozen=interface.frozen)
        room = Room(self.scratch, plan.arena + 256)
        at: dict[Value, Place] = {}
        for value, name in interface.arguments.items():
            member = self.given("input", name, value, interface.name)
            made.inputs.append(member)
            at[value] = member, 0
        for value, (key, initial) in interface.kept.items():
            kind = "input" if value in interface.rates else "state"
            member = self.member(key, kind, interface.states[value], value, initial)
            made.inputs += [member] if kind == "input" else []
            at[value] = member, 0
        at |= self.add_draws(made, interface, room)
        made.writes += [at[x][0] for x, _ in graph.writes]
        slots: list[Place | None] = [at.get(x) for x in (*graph.inputs, *graph.states)]
        traced = constants_of(graph)
        used = {x.slot for x in plan.outputs if isinstance(x, Array)}.union(
            *map(slots_of, plan.steps)
        )
        for x in plan.constants:
            array = np.asarray(traced[x].array if type(x) is int else x)
            slots.append((self.constant(array), 0) if len(slots) in used else None)
        # Results are computed where they belong, if their layout is that of C.
        results = [
            self.given("output", name, value, interface.name) for name, value in interface.results
        ]
        made.outputs += results
        own: dict[int, Place] = {}
        for x, member in zip(plan.outputs, results, strict=True):
            if isinstance(x, Array) and x.layout == plain(x.layout.shape) and not x.offset:
                own.setdefault(x.slot, (member, 0))
        for x in plan.owned:
            slots.append(
                own.get(x.slot) or room.take(bytes_of(x) + AFTER * np.dtype(x.dtype).itemsize)
            )
        slots.append((self.scratch, 0))
        self.add_calls(made, plan, slots)
        self.add_copies(made, plan, slots)
        return made

    def add_draws(self, made: Function, interface: Interface, room: Room) -> dict[Value, Place]:
        """Draw the random numbers of a function; and where they are."""
        at: dict[Value, Place] = {}
        for rng, value in interface.drawn:
            words = generator_words(rng, interface)
            name = interface.names.get(id(rng), "random")
            key = "generator", id(rng.bit_generator)
            generator = self.member(key, "generator", name, words, words)
            made.draws += [generator] if generator not in made.draws else []
            at[value] = room.take(value.size * value.dtype.itemsize)
            kind = C_TYPES[value.dtype]
            number = f"minigrad_random{'_float' * (kind == 'float')}"
            text = (
                f"{kind} *x = ({kind} *)arrays[1];\n"
                f"for (int64_t k = 0; k < {value.size}; k++)\n"
                f"  x[k] = {number}((minigrad_generator *)arrays[0]);"
            )
            places = [(generator, 0), at[value]]
            made.calls.append(Call(self.kernel(text), places, f"random numbers {value.shape}"))
        return at

    def add_calls(self, made: Function, plan: Plan, slots: list[Place | None]) -> None:
        texts = [text for group in plan.texts for text in group]
        described = iter(plan.description.calls)
        for step in plan.steps:
            assert isinstance(step, Calls)
            for kernel, _, first, count in step.rows:
                span = slice(first, first + count)
                pairs = zip(step.slots[span].tolist(), step.offsets[span].tolist(), strict=True)
                places = [moved(slots[slot], offset) for slot, offset in pairs]
                ops = plan.description.kernels[next(described).kernel].ops
                comment = ", ".join(dict.fromkeys(name for name, _ in ops))
                made.calls.append(Call(self.kernel(texts[kernel]), places, comment))

    def add_copies(self, made: Function, plan: Plan, slots: list[Place | None]) -> None:
        """Copy the results that are not computed where they belong."""
        for x, member in zip(plan.outputs, made.outputs, strict=True):
            if isinstance(x, Array):
                source = moved(slots[x.slot], x.offset)
                layout = x.layout
            else:
                source, layout = (self.constant(np.asarray(x)), 0), plain(np.shape(x))
            if source != (member, 0):
                text = copy_text(layout, member.dtype)
                made.calls.append(Call(self.kernel(text), [(member, 0), source], "a copy"))


def slots_of(step: Step) -> list[int]:
    assert isinstance(step, Calls)
    found: list[int] = step.slots.tolist()
    return found


class Room:
    """Places in the scratch memory of a program, which grows to hold those of each function."""

    def __init__(self, scratch: Member, start: int) -> None:
        self.scratch, self.end = scratch, 0
        self.take(start)

    def take(self, size: int) -> Place:
        start, self.end = self.end, -(-(self.end + size) // ALIGNMENT) * ALIGNMENT
        self.scratch.shape = (max(self.end, *self.scratch.shape),)
        return self.scratch, start


def moved(place: Place | None, by: int) -> Place:
    assert place is not None
    return place[0], place[1] + by


def copy_text(layout: Layout, dtype: np.dtype[Any]) -> str:
    """C that copies an array of some layout into one in the order of C."""
    if layout == plain(layout.shape):
        return f"memcpy(arrays[0], arrays[1], {layout.entries * dtype.itemsize});"
    kind, names = C_TYPES[dtype], [f"i{k}" for k in range(len(layout.shape))]
    lines = [
        f"{kind} *to = ({kind} *)arrays[0];",
        f"const {kind} *from = (const {kind} *)arrays[1];",
    ]
    strides = [math.prod(layout.extents[layout.back[k] + 1 :]) for k in range(len(names))]
    for name, n in zip(names, layout.shape, strict=True):
        lines.append(f"for (int64_t {name} = 0; {name} < {n}; {name}++)")
    place = " + ".join(f"{name}*{stride}" for name, stride in zip(names, strides, strict=True))
    return "\n".join([*lines, f"  *to++ = from[{place}];"])


# What cannot be exported


class ComputedByNumPyError(UnsupportedError):
    """A function computes some ops, `ops`, by NumPy."""

    def __init__(self, name: str, ops: Iterable[str]) -> None:
        self.ops = ", ".join(ops)
        super().__init__(
            f"export: {name} computes {self.ops} by NumPy, which a program of C does not have: "
            "compute it outside, and pass it in as an argument"
        )


def check_plan(name: str, plan: Plan) -> None:
    if ops := dict.fromkeys(by_numpy(plan)):
        raise ComputedByNumPyError(name, ops)


def by_numpy(plan: Plan) -> Iterator[str]:
    """The ops that NumPy computes, those of bodies too."""
    for x in plan.steps:
        if isinstance(x, ByNumpy):
            yield f"{x.op} ({np.dtype(x.output.dtype)}, of shape {x.output.layout.shape})"
        elif isinstance(x, ByPython):
            for body in x.bodies:
                yield from by_numpy(body)


def check_gradients(interfaces: list[Interface]) -> None:
    """Refuse functions of which one leaves a gradient in a state in which another, or its own next
    call, does something else than was traced: add it up, or begin a new sum."""
    for reader, writer in itertools.product(interfaces, repeat=2):
        kept = {t for t, _ in reader.traced.grads} - reader.traced.discarded
        for t, after in writer.gradients_after.items():
            was_none = reader.gradients_before.get(t, after == "None")
            if was_none != (after == "None") or (after == "used up" and t in kept):
                raise UnsupportedError(
                    f"export: {reader.name} was traced where the gradient of {reader.name_of(t)} "
                    f"was {'None' if was_none else 'a sum'}, and {writer.name} leaves it {after}: "
                    "clear it (optimizer.zero_grad()), compute it and use it in one function, or "
                    "add it up in an array of your own"
                )


def check_memory(interfaces: list[Interface]) -> None:
    """Refuse to write into memory that is also something else: another state, in a program where
    each has memory of its own; or numbers that a function read while it was traced."""
    states = {id(array): (array, name) for x in interfaces for array, name in x.memory()}
    written = {id(array) for x in interfaces for array in x.written()}
    keys = {x: key for each in interfaces for x, key in each.memory_keys()}
    for array, other in overlaps([array for array, _ in states.values()]):
        if keys[id(array)] != keys[id(other)] and not written.isdisjoint({id(array), id(other)}):
            names = [states[id(x)][1] for x in (array, other)]
            raise UnsupportedError(
                f"export: {names[0]} of shape {array.shape} and {names[1]} of shape {other.shape} "
                "share memory and one of them is written, and in a program each has its own: make "
                "a copy of one of them"
            )
    for x in interfaces:
        for read, name in x.contents():
            for array, state in states.values():
                if id(array) in written and np.may_share_memory(read, array):
                    raise UnsupportedError(
                        f"export: {x.name} read numbers of {name} while it was traced, which are "
                        f"fixed in the program, and {state} is written: compute with the array"
                    )


def generator_words(rng: Any, interface: Interface) -> np.ndarray:
    """The state of a generator, in words of 32 bits, lowest first: 4 of its state, 4 of its
    increment, one that is left over, and whether there is one."""
    bits = rng.bit_generator
    if type(bits) is not np.random.PCG64:
        raise UnsupportedError(
            f"export: {interface.name} draws random numbers by {type(bits).__name__}, and programs "
            "have PCG64: use np.random.default_rng(seed)"
        )
    state = bits.state
    numbers = state["state"]["state"], state["state"]["inc"]
    words = [x >> 32 * k & 0xFFFFFFFF for x in numbers for k in range(4)]
    return np.array([*words, state["uinteger"], state["has_uint32"]], np.uint32)
