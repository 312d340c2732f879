"""A specialization of a compiled function: what is compiled for one kind of arguments."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from minigrad.compiler.frontend.capture import GONE
from minigrad.compiler.frontend.guards import Guards, guard_expression
from minigrad.compiler.frontend.recorder import root_of
from minigrad.compiler.frontend.trace import Traced
from minigrad.compiler.graph.ir import Graph, Value
from minigrad.compiler.runtime.headers import WRITEABLE, Spans, comparison, spans_of
from minigrad.compiler.runtime.interpreter import numpy_program
from minigrad.compiler.runtime.program import Program, written_out
from minigrad.compiler.target.toolchain import after_fork
from minigrad.errors import ArgumentError, UnsupportedError
from minigrad.graph import Node
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.calls import returned
from minigrad.transforms.trees import of_class
from minigrad.writes import USED_UP, log

# Up to this many entries, an argument is copied into a buffer of the program: that is faster than
# binding its address.
SMALL = 1024
PLAIN = 0x101  # NPY_ARRAY_C_CONTIGUOUS and _ALIGNED, in `flags.num` of an array
EFFORT: Any = 1000  # `max_work` of np.may_share_memory: some microseconds

# All specializations: in a forked process, none of the threads is left that may hold their locks.
running: weakref.WeakSet[Specialization] = weakref.WeakSet()


@after_fork
def forget_threads() -> None:
    for specialization in list(running):
        specialization.lock = threading.Lock()


class Specialization:
    """What was compiled for one kind of arguments, which is its `key`.

    `seconds`: how long it took to trace the function and to plan the program, or to find the plan.
    The `program` computes in memory of its own, so only one thread at a time runs it.
    """

    def __init__(
        self,
        key: Any,
        arguments: Any,
        given: list[Any],
        traced: Traced,
        guards: Guards,
        program: Any,
        seconds: float,
    ) -> None:
        self.key, self.traced, self.guards, self.program = key, traced, guards, program
        self.seconds = seconds
        # Kept so that no other object gets an id that is in the key.
        self.arguments, self.given = arguments, given
        # The names of Tensors, if the function may read them.
        tensors = [x for x in given if isinstance(x, Tensor) and guards.found.may_read("name")]
        self.called = {id(t): t.name for t in tensors}
        # Tensors whose gradients are used: the position among the arguments, or the Tensor.
        at = {id(x): k for k, x in enumerate(given)}
        self.grads: list[tuple[Any, Value]] = [
            (at.get(id(t), t), value) for t, value in traced.grads
        ]
        self.fresh = [(at.get(id(t), t), after) for t, after in traced.fresh]
        self.takes_gradients = any(type(t) is int for t, _ in self.grads + self.fresh)
        graph = traced.graph
        self.lock = threading.Lock()
        running.add(self)
        written = {value for value, _ in graph.writes}
        self.inputs = traced.arguments
        self.changed = [value in written for value in self.inputs]
        self.changes = any(self.changed)
        self.buffers = {value: self.buffer(value) for value in self.inputs if value.size <= SMALL}
        self.bind_states(written)
        self.rates = [(group, key, self.buffer(value)) for group, key, value in traced.rates]
        self.others = any((traced.drawn, self.copied_states, traced.grads))
        self.drawn: dict[Value, np.ndarray] = {}
        names: dict[str, Any] = {}
        arrays = [f"arrays[{k}]" for k in range(len(self.inputs))]
        lines = self.lines(arrays, [f"given[{k}]" for k in range(len(self.inputs))], names)
        self.runner = written_out("specialization, arrays, given", lines, names)
        self.numbers = numpy_program(Graph([], [], [*traced.read], []))
        # Made once: the arguments that it was made for may have another shape or length later.
        self.argument_names: dict[str, Any] = {"called": self.called}
        self.argument_guard, self.argument_arrays = guard_expression(
            arguments, guards, self.argument_names
        )
        self.fit()

    def buffer(self, value: Value) -> np.ndarray:
        """New memory for a leaf, bound to the program."""
        array = np.zeros(value.shape, value.dtype)
        self.program.bind(value, array)
        return array

    def bind_states(self, written: set[Value]) -> None:
        """Bind states, once: guards check in every call that their arrays are the same."""
        self.copied_states: list[tuple[np.ndarray, np.ndarray]] = []
        self.written: list[np.ndarray] = []
        for array, value in self.traced.states:
            if is_plain(array, value):
                self.program.bind(value, array)
            else:
                self.copied_states.append((array, self.buffer(value)))
            if value in written:
                self.written.append(array)
        changed = set(map(id, self.written))
        self.copied_back = [pair for pair in self.copied_states if id(pair[0]) in changed]
        self.read = [array for array, _ in self.traced.states]
        self.read += [array for array, _ in self.traced.contents]
        # While there is a weak reference to an array, NumPy refuses to resize it in place.
        arrays = [array for array in self.read if isinstance(array, np.ndarray)]  # not np.void
        self.unresizable = [weakref.ref(array) for array in arrays]
        for array, other in overlaps([*self.read, *self.guards.buffers()]):
            if id(array) in changed or id(other) in changed:
                x, y = (array, other) if id(array) in changed else (other, array)
                names = [self.name_of(each, "a captured array") for each in (x, y)]
                raise UnsupportedError(
                    f"a compiled function writes into {names[0]} of shape {x.shape}, which shares "
                    f"memory with {names[1]} of shape {y.shape}, which it can read: make one of "
                    "them of a copy, np.array(x), or compute it from the other one in the function"
                )
        for array in filter(overlaps_itself, self.written):
            raise UnsupportedError(
                f"a compiled function writes into {self.name_of(array)} of shape {array.shape}, of "
                "which some entries are the same memory: write into a copy, np.array(x)"
            )
        self.write = log.repeated(self.written)
        self.roots = {id(root_of(array)) for array in self.written}
        self.plain_roots = all(isinstance(root_of(x), np.ndarray) for x in self.written)

    def fit(self) -> None:
        """Generate `fast_path(self, args, kwargs)`: if the guard expression says that this is for
        these arguments and not stale it runs, else it returns GUARD_FAILED."""
        self.fast_path: Callable[..., Any] = lambda *call: GUARD_FAILED
        if self.takes_gradients:
            return
        names = {"GUARD_FAILED": GUARD_FAILED, "GONE": GONE, **self.argument_names}
        arrays = self.argument_arrays
        compared = self.compared()
        guard = " and ".join([self.argument_guard, *self.guards.text(names, compared.keys())])
        written = [text for text, changed in zip(arrays, self.changed, strict=True) if changed]
        forms = {id(x): x for kind, x, *_ in self.guards.places if kind == "form"}
        written += [named(array, names) for array in self.written if id(array) not in forms]
        checks = [guard, *(f"{array}.flags.writeable" for array in written)]
        changed = set(map(id, self.written))
        for key in forms.keys() - compared.keys():
            # Of an array in C order, other strides change the flags.
            flags = f".flags.num == {forms[key].flags.num | WRITEABLE}"
            check = flags if key in changed else f".strides == {forms[key].strides}"
            checks.append(f"{named(forms[key], names)}{check}")
        if compared:
            spans = chain(*compared.values())
            names["unchanged"], names["spans"] = comparison(self.program.libraries[0], spans)
            checks.append("unchanged(spans)")
        checks += self.apart(arrays, names)
        if self.traced.contents or self.traced.read:
            checks.append("specialization.same_contents()")
        lines = ["try:", f"    if not ({' and '.join(checks)}):", "        return GUARD_FAILED"]
        lines += ["except GONE:", "    return GUARD_FAILED"]
        # The fast check has named the Tensor that holds the array a0 y0.
        given = [
            f"y{text[1:]}" if isinstance(x, Tensor) else text
            for text, x in zip(arrays, self.given, strict=True)
        ]
        lines += self.lines(arrays, given, names)
        self.fast_path = written_out("specialization, args, kwargs", lines, names)

    def compared(self) -> dict[int, Spans]:
        """What C compares of captured arrays, by their ids: none where nothing was built."""
        if not (isinstance(self.program, Program) and self.program.libraries):
            return {}
        changed = set(map(id, self.written))
        forms = [(p.holder, form) for p, form in self.guards.values if p.kind == "form"]
        found = ((id(x), spans_of(x, form, id(x) in changed)) for x, form in forms)
        return {key: spans for key, spans in found if spans}

    def finds_the_same(self, given: list[Any]) -> bool:
        """Whether the same arguments are captured objects as when the specialization was made,
        and Tensors whose names may be read have the same."""
        captured = self.guards.found.identities()
        return all(
            (x is before or not {id(x), id(before)} & captured.keys())
            and (id(before) not in self.called or x.name == self.called[id(before)])
            for x, before in zip(given, self.given, strict=True)
        )

    def same_contents(self) -> bool:
        """Whether captured arrays whose numbers were read while tracing still hold these."""
        traced = self.traced
        if any(array.tobytes() != contents for array, contents in traced.contents):
            return False
        if not traced.read:
            return True
        now = self.numbers({value: array for array, value in traced.states})
        before = traced.read.values()
        return all(x.tobytes() == y.tobytes() for x, y in zip(now, before, strict=True))

    def stale(self) -> str:
        """What has changed that this specialization depends on, in words; empty if nothing has."""
        changed = self.guards.broken()
        if not (changed or self.same_contents()):
            changed = "an array that the function reads numbers of has other numbers"
        if not changed:
            self.fit()
        return changed

    def overlaps(self, arrays: Sequence[np.ndarray]) -> bool:
        """Whether an argument shares memory with another array, and one of the two is written.

        What is read then depends on the order of reads and writes: the function runs uncompiled.
        """
        for array in arrays:
            base = array.base
            root = array if base is None else base
            plain = self.plain_roots and type(root) is np.ndarray and root.base is None
            if (not plain or id(root) in self.roots) and any(
                share_memory(array, x) for x in self.written
            ):
                return True
        for k, array in enumerate(arrays if self.changes else ()):
            if self.changed[k]:
                others = [*self.read, *self.guards.buffers()]
                others += [x for n, x in enumerate(arrays) if n != k]
                if overlaps_itself(array) or any(share_memory(array, x) for x in others):
                    return True
        return False

    def apart(self, arrays: list[str], names: dict[str, Any]) -> list[str]:
        """Expressions that say that none of the arrays in the arguments `overlaps`."""
        if not self.roots and not self.changes:
            return []
        if self.changes or not self.plain_roots:
            return [f"not specialization.overlaps({tuple_text(arrays)})"]
        names["roots"] = self.roots
        # Without a base it shares memory with views of it only; the call takes some 150 ns more.
        return [
            f"({x}.base is None and id({x}) not in roots or not specialization.overlaps(({x},)))"
            if type(value_of(given)) is np.ndarray
            else f"not specialization.overlaps(({x},))"
            for x, given in zip(arrays, self.given, strict=True)
        ]

    def run(self, arrays: Sequence[np.ndarray], given: Sequence[Any]) -> Any:
        """Run on the arrays in the arguments; `given` are the arrays and Tensors themselves.

        Raises:
            ArgumentError: if it would write into an array that is read-only.
        """
        changed = [x for x, written in zip(arrays, self.changed, strict=True) if written]
        for array in [*changed, *self.written]:
            if not array.flags.writeable:
                raise ArgumentError(
                    f"a compiled function writes into {self.name_of(array)} of shape "
                    f"{array.shape}, which is read-only: give it a copy, np.array(x)"
                )
        return self.runner(self, arrays, given)

    def lines(self, arrays: list[str], given: list[str], names: dict[str, Any]) -> list[str]:
        """A run as lines of Python, from expressions for the arrays in the arguments, and for the
        arrays and Tensors `given`. In these lines this is `specialization`: their names do not
        refer to it, so that one that is dropped is freed at once."""
        names |= {"log": log, "np": np, "value_of": value_of, "USED_UP": USED_UP}
        names["PLAIN"] = PLAIN
        body = ["program = specialization.program"]
        for k, value in enumerate(self.inputs):
            if value.size <= SMALL:
                body.append(f"{named(self.buffers[value], names)}[...] = {arrays[k]}")
            else:
                place, x = named(value, names), arrays[k]
                plain = f"{x}.flags.num & PLAIN == PLAIN and {x}.dtype == {place}.dtype"
                body.append(f"if {plain}: program.bind({place}, {x})")
                body.append(f"else: specialization.bind_copy({place}, {x})")
        for group, key, buffer in self.rates:
            body.append(f"{named(buffer, names)}[...] = {named(group, names)}[{key!r}]")
        body += [f"specialization.bind_others({tuple_text(given)})"] if self.others else []
        running, outputs = self.program.text(names)
        if self.traced.derivative is not None:
            body.append(self.call_text(arrays, given, names))
        body += running
        for array, copy in self.copied_back:
            body.append(f"{named(array, names)}[...] = {named(copy, names)}")
        if self.written:
            body.append("log.repeat(specialization.write)")
        body += [f"specialization.write_back({tuple_text(arrays)})"] if self.changes else []
        ends = []
        for t, after in self.fresh:
            owner = given[t] if type(t) is int else named(t, names)
            ends.append(f"{owner}.node.grad = {'None' if after is None else 'USED_UP'}")
        ends += returning(self.traced, outputs, names)
        return ["with specialization.lock:", *(f"    {line}" for line in body), *ends]

    def bind_copy(self, value: Value, array: np.ndarray) -> None:
        if value not in self.buffers:
            self.buffers[value] = np.zeros(value.shape, value.dtype)
        self.buffers[value][...] = array
        self.program.bind(value, self.buffers[value])

    def bind_others(self, given: Sequence[Any]) -> None:
        for x, value in self.grads:
            t, traced = (given[x], self.given[x]) if type(x) is int else (x, x)
            # A sum that begins anew needs no earlier one; with a gradient that is lost, it is lost.
            anew = traced in self.traced.discarded
            lost = t.node.grad is USED_UP and traced in self.traced.added and not anew
            grad = None if anew or lost else value_of(t.grad)
            # A copy: others may hold the old array.
            grad = np.zeros(t.shape, t.dtype) if grad is None else np.array(grad, t.dtype)
            self.program.bind(value, grad)
            t.node.grad = USED_UP if lost else grad
        for rng, value in self.traced.drawn:
            self.drawn[value] = rng.random(value.shape, value.dtype)
            self.program.bind(value, self.drawn[value])
        for array, copy in self.copied_states:
            copy[...] = array

    def call_text(self, arrays: list[str], given: list[str], names: dict[str, Any]) -> str:
        """A line of Python that records a call for its derivative, before it runs."""
        traced, derivative = self.traced, self.traced.derivative
        assert derivative is not None
        written = {value for value, _ in traced.graph.writes}
        rates = {v: place for (*_, v), (*_, place) in zip(traced.rates, self.rates, strict=True)}
        arguments = {value: k for k, value in enumerate(self.inputs)}
        states = {value: array for array, value in traced.states} | rates
        grads = {value: t for t, value in self.grads}

        def source(value: Value, node: Node | None = None) -> str:
            """An expression for a leaf: a node, if it is in a Tensor that is not written."""
            key = value if node is None else node
            constant = value not in written
            if (k := arguments.get(value)) is not None:
                is_node = isinstance(self.given[k], Tensor) and constant
                text = f"{given[k]}.node" if is_node else arrays[k]
            elif constant and key in derivative.tensors:
                text = f"{named(derivative.tensors[key], names)}.node"
            elif (t := grads.get(value)) is not None:
                text = f"value_of({given[t] if type(t) is int else named(t, names)}.grad)"
            elif value in states:
                text = named(states[value], names)
            else:
                text = f"specialization.drawn[{named(value, names)}]"
            return text if constant and value not in rates else f"np.array({text})"

        wanted = ", ".join(source(value, node) for node, value in derivative.wanted.items())
        others = ", ".join(map(source, derivative.others))
        return f"recorded = {named(derivative, names)}.record([{wanted}], [{others}])"

    def name_of(self, array: np.ndarray, other: str = "an argument") -> str:
        """The name of an array that is written or captured, for messages."""
        return self.guards.name_of(array, other)

    def write_back(self, arrays: Sequence[np.ndarray]) -> None:
        for k, (value, array) in enumerate(zip(self.inputs, arrays, strict=True)):
            in_place = value.size > SMALL and is_plain(array, value)
            if self.changed[k] and not in_place:
                array[...] = self.buffers[value]
        log.note(array for array, changed in zip(arrays, self.changed, strict=True) if changed)


# What `fast_path` returns if its check fails.
GUARD_FAILED = object()


def named(x: Any, names: dict[str, Any]) -> str:
    """A new name for a value in generated code."""
    name = f"object{len(names)}"
    names[name] = x
    return name


def tuple_text(texts: list[str]) -> str:
    return f"({''.join(f'{text}, ' for text in texts)})"


def overlaps(arrays: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of arrays that share memory, of which two may be the same object."""
    last: list[tuple[int, np.ndarray]] = []  # arrays that may reach further, with their ends
    spans = [(*byte_bounds(x), x) for x in arrays if x.size]
    for start, end, array in sorted(spans, key=lambda span: span[0]):
        last = [pair for pair in last if pair[0] > start]
        yield from ((array, x) for _, x in last if share_memory(array, x))
        last.append((end, array))


def share_memory(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether arrays share an entry, as far as that is found out fast; else whether they may."""
    return bool(np.may_share_memory(x, y, EFFORT))


def overlaps_itself(array: np.ndarray) -> bool:
    """Whether two entries of an array may be the same memory, as in a sliding window."""
    if array.flags.c_contiguous:
        return False
    reach = array.itemsize
    axes = zip(map(abs, array.strides), array.shape, strict=True)
    for stride, length in sorted(axis for axis in axes if axis[1] > 1):
        if stride < reach:
            return bool(array.size)
        reach += stride * (length - 1)
    return False


def is_plain(array: np.ndarray, value: Value) -> bool:
    """Whether a program can use an array in place: C order, aligned, native byte order."""
    return array.flags.num & PLAIN == PLAIN and array.dtype == value.dtype


def returning(traced: Traced, outputs: list[str], names: dict[str, Any]) -> list[str]:
    """Lines of Python that return the function's result, made of the program's outputs."""
    names |= {"new": object.__new__, "Tensor": Tensor, "Node": Node, "returned": returned}
    rest, position = iter(outputs), count()
    lines, leaves = [], []
    for k, kind in enumerate(traced.kinds):
        if kind is Tensor:
            call = f", recorded, {next(position)}" if traced.recorded[k] else ""
            node = f"{'returned' if call else 'Node'}({next(rest)}{call})"
            lines += [f"leaf{k} = new(Tensor)", f"leaf{k}.node = {node}"]
            leaves.append(f"leaf{k}")
        elif kind is np.generic or kind is np.ndarray:
            leaves.append(f"{next(rest)}{'[()]' * (kind is np.generic)}")
        else:
            leaves.append(named(kind, names))
    return [*lines, f"return {nested(traced.form, iter(leaves), names)}"]


def nested(form: Any, leaves: Iterator[str], names: dict[str, Any]) -> str:
    """An expression for a tree that is nested as `form` is, from those for its leaves."""
    kind = type(form)
    if isinstance(form, dict):
        texts = [repr(key) if type(key) in (str, int) else named(key, names) for key in form]
        parts = [nested(part, leaves, names) for part in form.values()]
        items = (f"{key}: {part}" for key, part in zip(texts, parts, strict=True))
        whole = f"{{{', '.join(items)}}}"
        if kind is dict:
            return whole
        names["of_class"] = of_class
        return f"of_class({named(form, names)}, {whole})"
    if isinstance(form, list | tuple):
        inner = "".join(f"{nested(part, leaves, names)}, " for part in form)
        if kind in (list, tuple):
            return f"[{inner}]" if kind is list else f"({inner})"
        each = inner if hasattr(form, "_fields") else f"iter(({inner}))"
        return f"{named(kind, names)}({each})"
    return "None" if form is None else next(leaves)
