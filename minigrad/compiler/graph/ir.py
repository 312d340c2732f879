"""The intermediate representation: one graph of all that a step computes.

A graph is in static single assignment form: each value is computed once, by an op of the registry,
from values before it. Memory that outlives a call (parameters, statistics, what an optimiser keeps)
is read by values of kind "state", and written once, at the end of the call.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.errors import UnsupportedError
from minigrad.ops.base import Op

Shape = tuple[int, ...]


@dataclass(eq=False, slots=True)
class Value:
    """The result of an op, or a leaf of kind "input", "state" or "constant".

    `inputs` are values, and Python numbers, which are weak in promotion. `array` is a constant's
    array, not copied: it is read when the graph runs.
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
        return math.prod(self.shape)

    @property
    def fixed(self) -> bool:
        """Whether it is a constant whose numbers never change."""
        return self.kind == "constant" and bool(self.attributes.get("fixed"))

    @property
    def how(self) -> str:
        """Its attributes, in a form that can be compared: see `how_of`."""
        return how_of(self.attributes)

    def of(self, *inputs: Any) -> Value:
        """The same op on other inputs of the same shapes and dtypes."""
        return Value(self.op, inputs, self.attributes, self.shape, self.dtype)

    def values(self) -> list[Value]:
        """The inputs that are values."""
        return [x for x in self.inputs if type(x) is Value]


def constant(array: Any) -> Value:
    """A fixed constant."""
    array = np.asarray(array)
    return Value(None, (), {"fixed": True}, array.shape, array.dtype, "constant", array)


Rewrite = Callable[[Value], Value]


def how_of(attributes: dict[str, Any]) -> str:
    """Attributes of an op as text: equal for equal attributes only.

    Raises:
        UnsupportedError: if they hold more than numbers, strings, dtypes, slices and arrays.
    """
    if not attributes:
        return ""
    text = repr(attributes)
    # The repr of an array leaves entries out, and that of a function has its address.
    return repr(in_full(attributes)) if "array" in text or "<" in text else text


PLAIN = (int, float, complex, str, bytes, slice, type, np.generic, np.dtype, type(None), type(...))


def in_full(x: Any) -> Any:
    """Attributes whose repr leaves nothing out."""
    if isinstance(x, np.ndarray) and not x.dtype.hasobject:
        return x.dtype.str, x.shape, x.tobytes()
    if isinstance(x, dict):
        return {key: in_full(part) for key, part in x.items()}
    if isinstance(x, list | tuple):
        return type(x), [in_full(part) for part in x]
    if isinstance(x, (*PLAIN, Graph)):
        return x
    raise UnsupportedError(
        f"a compiled function gives an op a {type(x).__name__} as an attribute: attributes are "
        "numbers, strings, dtypes, slices and arrays. What else there is belongs in the op itself"
    )


def elementwise(value: Value) -> bool:
    return value.op is not None and value.op.family in ("unary", "binary")


def is_literal(value: Value) -> bool:
    """A number that can stand in the C."""
    return value.fixed and value.size == 1


def arange_axis(array: Value) -> int | None:
    """The axis along which a fixed constant is 0, 1, 2...; or None."""
    if not array.fixed:
        return None
    assert array.array is not None
    for axis, n in enumerate(array.shape):
        if n == array.size and n > 1:
            return axis if np.array_equal(array.array.ravel(), np.arange(n)) else None
    return 0 if array.size == 1 and array.shape and not array.array.any() else None


def constants_of(graph: Graph) -> list[Value]:
    return [value for value in graph.order if value.kind == "constant"]


def numbers_of(value: Value) -> Iterator[tuple[int, np.ndarray]]:
    """The numbers among the inputs of an elementwise op on floats, as (position, array)."""
    if not elementwise(value) or value.dtype.kind != "f":
        return
    for k, x in enumerate(value.inputs):
        if type(x) is not Value:
            yield k, np.asarray(x, value.dtype)
        elif is_literal(x) and x.array is not None:
            yield k, x.array


def name_of(x: Any) -> str | None:
    return x.op.name if type(x) is Value and x.op is not None else None


@dataclass(eq=False, frozen=True)
class Graph:
    """A graph of values: its `outputs`, and its `writes` into state, from inputs and state.

    `recorded`: for a graph that was just traced, all its values in the order they were made.
    `seeds`: the values from which reverse passes went back, in a trace; rewrites keep them.
    """

    inputs: list[Value]
    states: list[Value]
    outputs: list[Value]
    writes: list[tuple[Value, Value]]
    recorded: list[Value] = field(default_factory=list)
    seeds: list[Value] = field(default_factory=list)

    def roots(self) -> list[Value]:
        return [*self.outputs, *(value for _, value in self.writes)]

    def __repr__(self) -> str:
        """Equal for graphs that compute the same in the same way: see `how_of`."""
        return f"Graph({self.digest})"

    @functools.cached_property
    def digest(self) -> str:
        """Equal for graphs that are equal up to the numbers of constants that are not fixed."""
        leaves = [*self.inputs, *self.states]
        # Values, ops with their attributes, and numbers, each numbered at its first use.
        numbers: dict[Any, int] = defaultdict(itertools.count().__next__)
        uses = [numbers[value] for value in leaves]
        use = uses.append
        for value in self.order:
            if value.op is not None:
                how = value.how if value.attributes else ""
                use(numbers[value.op, how, value.shape, value.dtype])
                for x in value.inputs:
                    use(numbers[x if type(x) is Value else repr(x)])
            elif value.kind == "constant":
                use(numbers[content_of(value)])
            use(numbers[value])
        uses += [numbers[x] for x in (*self.outputs, *itertools.chain(*self.writes), *self.seeds)]
        keys = [(k, key) for key, k in numbers.items() if type(key) is not Value]
        ops = {key[0] for _, key in keys if isinstance(key[0], Op)}
        parts = (
            [(x.shape, x.dtype.str, x.kind) for x in leaves],
            len(self.outputs),
            [(k, key[0].name, *key[1:]) if isinstance(key[0], Op) else (k, key) for k, key in keys],
            sorted((op.name, op.c or "", getattr(op.forward, "__name__", "")) for op in ops),
        )
        found = hashlib.sha256(repr(parts).encode())
        found.update(np.array(uses).tobytes())
        return found.hexdigest()[:32]

    def of(self, new: Mapping[Value, Value]) -> Graph:
        """The graph with its outputs and written values replaced."""
        outputs = [new[x] for x in self.outputs]
        writes = [(target, new[x]) for target, x in self.writes]
        seeds = [new[x] for x in nearest(self.seeds, new)]
        return Graph(self.inputs, self.states, outputs, writes, seeds=seeds)

    @functools.cached_property
    def order(self) -> list[Value]:
        """Every value that is needed, each after those it is computed from."""
        if self.recorded:
            needed = {*self.roots()}
            for value in reversed(self.recorded):
                if value in needed:
                    for x in value.inputs:
                        if type(x) is Value:
                            needed.add(x)
            return [value for value in self.recorded if value in needed]
        found: dict[Value, None] = {}
        stack = self.roots()[::-1]
        while stack:
            value = stack[-1]
            if value not in found:
                waiting = [x for x in value.inputs if type(x) is Value and x not in found]
                if waiting:
                    stack += waiting[::-1]
                    continue
                found[value] = None
            stack.pop()
        return list(found)


def nearest(values: Iterable[Value], known: Container[Value]) -> list[Value]:
    """The values, or in place of one that is not known the nearest that it is computed from."""
    found: dict[Value, None] = {}
    stack, seen = [*values][::-1], set()
    while stack:
        value = stack.pop()
        if value in known:
            found[value] = None
        elif value not in seen:
            seen.add(value)
            stack += value.values()[::-1]
    return [*found]


def bodies_of(value: Value) -> list[Graph]:
    """The bodies of a loop or a branch: see `opset/control.py`."""
    found = value.attributes.get("body"), *value.attributes.get("bodies", ())
    return [x for x in found if type(x) is Graph]


def values_within(graph: Graph) -> Iterator[Value]:
    """All values of a graph and of the bodies in it."""
    for value in graph.order:
        yield value
        for body in bodies_of(value):
            yield from values_within(body)


def content_of(value: Value) -> Any:
    """A constant in a digest: with its numbers if it is fixed, as these may be folded."""
    content = np.asarray(value.array).tobytes() if value.fixed else b""
    content = hashlib.sha256(content).digest() if len(content) > 64 else content
    return value.fixed, content, value.shape, value.dtype.str


def rewritten(graph: Graph, rewrite: Rewrite) -> Graph:
    """The graph with each value put through `rewrite`, its inputs first."""
    new: dict[Value, Value] = {}
    for value in graph.order:
        new[value] = rewrite(with_inputs(value, new))
    return graph.of(new)


def with_inputs(value: Value, new: Mapping[Value, Value]) -> Value:
    """The value with its inputs replaced; the same object if none of them changed."""
    for x in value.inputs:
        if type(x) is Value and new[x] is not x:
            return value.of(*[new[x] if type(x) is Value else x for x in value.inputs])
    return value


class GraphError(AssertionError):
    """An invalid graph: a fault of the compiler, never of the user's program."""
