"""The intermediate representation: one graph of all that a step computes.

A graph is in static single assignment form: each value is computed once, by an op of the registry,
from values before it. Memory that outlives a call (parameters, statistics, what an optimiser keeps)
is read by values of kind "state", and written once, at the end of the call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.ops.base import Op

Shape = tuple[int, ...]


@dataclass(eq=False, slots=True)
class Value:
    """What an op computes, or what is there before: of kind "input", "state" or "constant".

    `inputs` are values, and numbers as the program has them, which do not promote. A constant's
    array is in `array`; it is not copied, so it is what it is when the graph runs.
    """

    op: Op | None
    inputs: tuple[Any, ...]
    attributes: dict[str, Any]
    shape: Shape
    dtype: np.dtype[Any]
    kind: str = "op"
    array: np.ndarray | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        size = 1
        for n in self.shape:
            size *= n
        return size

    def values(self) -> Iterator[Value]:
        """The inputs that are values."""
        return (x for x in self.inputs if type(x) is Value)


@dataclass(eq=False)
class Graph:
    """What a step computes: outputs, and what it writes into state, from inputs and state."""

    inputs: list[Value]
    states: list[Value]
    outputs: list[Value]
    writes: list[tuple[Value, Value]]

    def roots(self) -> list[Value]:
        return [*self.outputs, *(value for _, value in self.writes)]

    def order(self) -> list[Value]:
        """Every value that is needed, each after those it is computed from."""
        found: dict[Value, None] = {}
        stack: list[tuple[Value, bool]] = [(root, False) for root in reversed(self.roots())]
        while stack:
            value, ready = stack.pop()
            if ready:
                found[value] = None
            elif value not in found:
                stack.append((value, True))
                stack += [(x, False) for x in value.values() if x not in found]
        return list(found)


class GraphError(AssertionError):
    """A graph that breaks the rules: a fault of the compiler, never of the program."""


def verify(graph: Graph) -> None:
    """Hold a graph against the rules.

    Raises:
        GraphError: if an op's value has not the shape and dtype that its op gives, a leaf is not of
            the graph's own, or a write does not fit what it is written into.
    """
    leaves = {*graph.inputs, *graph.states}
    for value in graph.order():
        if value.kind == "op":
            assert value.op is not None
            expected = infer(value.op, value.inputs, value.attributes)
            if expected != (value.shape, value.dtype):
                raise GraphError(f"{value.op.name} gives {expected}, not {value}")
        elif value.kind == "constant":
            if value.array is None or value.array.shape != value.shape:
                raise GraphError(f"a constant without its array: {value}")
        elif value not in leaves:
            raise GraphError(f"an {value.kind} that is not the graph's: {value}")
    targets = [target for target, _ in graph.writes]
    if len(set(targets)) < len(targets) or not {*targets} <= leaves:
        raise GraphError("writes go to leaves of the graph, to each once")
    for target, value in graph.writes:
        if (target.shape, target.dtype) != (value.shape, value.dtype):
            raise GraphError(f"{value} is written into {target}")


# Shapes and dtypes


def infer(op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> tuple[Shape, np.dtype[Any]]:
    """The shape and dtype of an op's result: those of its forward on arrays of nothing but zeros.

    Where all that matters is how shapes broadcast, on arrays of one entry.
    """
    if op.family in ("unary", "binary"):
        shape = np.broadcast_shapes(*(x.shape if type(x) is Value else np.shape(x) for x in inputs))
        result = run(op, [one_of(x) for x in inputs], attributes)
        return shape, result.dtype
    if op.name == "scatter_add":  # by a mask, it would want as many entries as the mask has
        return attributes["shape"], inputs[0].dtype
    if op.name == "gather" and any(x.dtype == bool and x.kind != "constant" for x in inputs[1:]):
        raise ValueError(
            "how many entries a mask picks is not known before the function runs: use np.where"
        )
    result = run(op, [zeros_of(x) for x in inputs], attributes)
    return result.shape, result.dtype


def run(op: Op, arrays: Sequence[Any], attributes: dict[str, Any]) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.asarray(op.forward(*arrays, **attributes))


def one_of(x: Any) -> Any:
    return np.ones((), x.dtype) if type(x) is Value else x


def zeros_of(x: Any) -> Any:
    """An array that takes no memory of its own; of a constant, the array."""
    if type(x) is Value and x.kind == "constant":
        return x.array
    return np.broadcast_to(np.zeros((), x.dtype), x.shape) if type(x) is Value else x
