"""What a compiled function is given, keeps, draws and returns, with the names that it has in an
exported program; and what was fixed when it was traced."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np

from minigrad.compiler.export.naming import argument_names, captured_names, result_names
from minigrad.compiler.frontend.trace import memory_key
from minigrad.compiler.graph.ir import Graph, Value, constants_of
from minigrad.compiler.specialization import Specialization
from minigrad.errors import ArgumentError, ArgumentTypeError, UnsupportedError
from minigrad.tensor import Tensor, value_of
from minigrad.writes import USED_UP

RESERVED = ("init", "message", "program", "memory", "_initialize")
MODES = (
    "Call it again; or, where a program trains and predicts, call model.train() at the beginning "
    "of the step and model.eval() at its end, and export in evaluation mode"
)
PLAIN = (bool, int, float, str)


class Interface:
    """One function of a program.

    `arguments`, `states`: names of leaves of the graph; states are also gradients that are kept,
    and `rates`, the rates of optimisers. `kept`: for each state the key of its memory, which
    functions share, and its numbers. `results`: names of outputs. `drawn`: generators, with what
    they draw. `frozen`: what was fixed.
    """

    def __init__(self, name: str, compiled: Any) -> None:
        self.name = name
        specialization = specialization_of(name, compiled)
        self.traced = traced = specialization.traced
        self.graph: Graph = traced.graph
        self.names = captured_names(
            compiled.function, specialization.arguments, specialization.guards.found
        )
        self.drawn = traced.drawn
        self.arguments: dict[Value, str] = {}
        self.states: dict[Value, str] = {}
        self.kept: dict[Value, tuple[Hashable, Any]] = {}
        self.frozen: list[str] = []
        self.rates: set[Value] = set()
        self.arrays: dict[Value, np.ndarray] = {}
        self.read_arguments(compiled.function, specialization)
        self.read_states()
        self.read_gradients(specialization)
        self.read_results(compiled.function)
        for place, value in specialization.guards.values:
            is_own = place.kind in ("cell", "item", "attribute") and "__" not in place.name
            if is_own and type(value) in PLAIN:
                self.frozen.append(f"{place.name} = {shortened(value)}")

    def read_arguments(self, function: Any, specialization: Specialization) -> None:
        leaves = iter(self.traced.arguments)
        given = {id(x) for x in specialization.given}
        for name, x in argument_names(function, specialization.arguments):
            if id(x) in given:
                first = self.arguments.setdefault(next(leaves), name)
                if first != name:  # one array was given for both
                    self.frozen.append(f"{name} is {first}")
            elif type(x) in PLAIN:
                self.frozen.append(f"{name} = {shortened(x)}")

    def read_states(self) -> None:
        used = {*self.graph.order, *(target for target, _ in self.graph.writes)}
        for array, value in self.traced.states:
            if value in used:
                self.arrays[value] = array
                self.keep(value, memory_key(array), self.names.get(id(array), "array"), array)
        for group, key, value in self.traced.rates:
            if value in used:
                self.rates.add(value)
                name = f"{self.names.get(id(group), 'optimizer')}.{key}"
                self.keep(value, (id(group), key), name, np.float64(group[key]))

    def keep(self, value: Value, key: Hashable, name: str, initial: Any) -> None:
        self.states[value], self.kept[value] = name, (key, initial)

    def read_gradients(self, specialization: Specialization) -> None:
        """Gradients that are kept are states; those of arguments are arguments and results."""
        given = {id(x): k for k, x in enumerate(specialization.given)}
        written = {target for target, _ in self.graph.writes}
        # Of Tensors whose `.grad` the function reads: whether it is None before a call, and after.
        self.gradients_before: dict[Tensor, bool] = {}
        self.gradients_after: dict[Tensor, str] = {}
        for place, value in specialization.guards.values:
            if place.kind == "gradient":
                self.gradients_before[place.holder] = value
        for t, after in self.traced.fresh:
            self.gradients_after[t] = "None" if after is None else "used up"
        for t, value in self.traced.grads:
            name = f"{self.name_of(t)}.grad"
            if id(t) in given:
                argument = self.arguments[self.traced.arguments[given[id(t)]]]
                raise UnsupportedError(
                    f"export: {self.name} adds to the gradient of its argument {argument}: return "
                    "the gradient instead"
                )
            lost = t.node.grad is USED_UP
            if lost and t not in self.traced.discarded:
                raise UnsupportedError(
                    f"export: {name} was used up by another compiled step, and {self.name} adds to "
                    f"it: clear it at the beginning of {self.name}, by zero_grad()"
                )
            if value in written:
                self.gradients_after[t] = "a sum"
            grad = None if lost or t.grad is None else value_of(t.grad)
            self.keep(value, ("gradient", id(t)), name, grad)

    def name_of(self, t: Tensor) -> str:
        return self.names.get(id(t), t.name or "a Tensor")

    def read_results(self, function: Any) -> None:
        names = result_names(function, self.traced.form)
        python = [
            f"{name} = {kind!r}"
            for name, kind in zip(names, self.traced.kinds, strict=True)
            if kind not in (Tensor, np.ndarray, np.generic)
        ]
        if python:
            raise UnsupportedError(
                f"export: {self.name} returns {', '.join(python)}, which is a value of Python: "
                "return arrays and Tensors only"
            )
        self.results = [*zip(names, self.graph.outputs, strict=True)]

    def memory(self) -> Iterator[tuple[np.ndarray, str]]:
        """Captured arrays, with their names."""
        return ((array, self.states[value]) for value, array in self.arrays.items())

    def memory_keys(self) -> Iterator[tuple[int, Hashable]]:
        return ((id(array), self.kept[value][0]) for value, array in self.arrays.items())

    def written(self) -> Iterator[np.ndarray]:
        """Captured arrays that it writes."""
        return (self.arrays[x] for x, _ in self.graph.writes if x in self.arrays)

    def contents(self) -> Iterator[tuple[np.ndarray, str]]:
        """Arrays whose numbers are fixed in the graph, with their names."""
        arrays = [array for array, _ in self.traced.contents]
        arrays += [x.array for x in constants_of(self.graph) if not x.fixed and x.array is not None]
        states = {value: array for array, value in self.traced.states}
        read = Graph([], [], [*self.traced.read], []).order
        arrays += [states[value] for value in read if value in states]
        return ((array, self.names.get(id(array), "an array")) for array in arrays)


def specialization_of(name: str, compiled: Any) -> Specialization:
    """The specialization of the last call.

    Raises:
        ArgumentError: if there is none, or it depends on what has changed since.
        ArgumentTypeError: if it is not a compiled function.
    """
    if not name.isidentifier() or not name.isascii() or name in RESERVED:
        raise ArgumentError(
            f"export: a function of a program cannot be named {name!r}: give it another name, "
            "minigrad.export(path, step=f)"
        )
    if not hasattr(compiled, "specializations"):
        raise ArgumentTypeError(
            f"export: {name} is a {type(compiled).__name__}, and not a compiled function: give "
            "what minigrad.compile(f) returned, after a call"
        )
    if not compiled.specializations:
        raise ArgumentError(
            f"export: {name} has not been called, and its arguments decide what is compiled: call "
            "it first, with arrays of the shapes and dtypes that the program is to take"
        )
    found: Specialization = compiled.specializations[0]
    if why := found.stale():
        is_mode = any(text in why for text in (".training was ", "had no 'training'"))
        advice = MODES if is_mode else "Call it again"
        raise ArgumentError(
            f"export: {name} depends on something that has changed since its last call: {why}. "
            f"{advice}"
        )
    return found


def shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
