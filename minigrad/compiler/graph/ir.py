"""The intermediate representation: one graph of all that a step computes.

A graph is in static single assignment form: each value is computed once, by an op of the registry,
from values before it. Memory that outlives a call (parameters, statistics, what an optimiser keeps)
is read by values of kind "state", and written once, at the end of the call.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from minigrad.errors import UnsupportedError
from minigrad.ops.base import Op
from minigrad.ops.movement import out_size

BOOL = np.dtype(bool)

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
        size = 1
        for n in self.shape:
            size *= n
        return size

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


PLAIN = (int, float, str, bytes, slice, type, np.generic, np.dtype, type(None), type(...))


def in_full(x: Any) -> Any:
    """Attributes whose repr leaves nothing out."""
    if isinstance(x, np.ndarray) and not x.dtype.hasobject:
        return x.dtype.str, x.shape, x.tobytes()
    if isinstance(x, dict):
        return {key: in_full(part) for key, part in x.items()}
    if isinstance(x, list | tuple):
        return type(x), [in_full(part) for part in x]
    if isinstance(x, PLAIN):
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


@dataclass(eq=False, frozen=True)
class Graph:
    """A graph of values: its `outputs`, and its `writes` into state, from inputs and state.

    `recorded`: for a graph that was just traced, all its values in the order they were made.
    """

    inputs: list[Value]
    states: list[Value]
    outputs: list[Value]
    writes: list[tuple[Value, Value]]
    recorded: list[Value] = field(default_factory=list)

    def roots(self) -> list[Value]:
        return [*self.outputs, *(value for _, value in self.writes)]

    def of(self, new: Mapping[Value, Value]) -> Graph:
        """The graph with its outputs and written values replaced."""
        outputs = [new[x] for x in self.outputs]
        writes = [(target, new[x]) for target, x in self.writes]
        return Graph(self.inputs, self.states, outputs, writes)

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


class GraphError(AssertionError):
    """An invalid graph: a fault of the compiler, never of the user's program."""


def verify(graph: Graph) -> None:
    """Check that a graph is valid.

    Raises:
        GraphError: if an op's value has not the shape and dtype that its op gives, a leaf is not of
            the graph's own, or a write does not fit what it is written into.
    """
    leaves = {*graph.inputs, *graph.states}
    for value in graph.order:
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
    """The shape and dtype of an op's result.

    If there is a shape rule and it succeeds, only the dtype comes from NumPy, cached by the inputs'
    dtypes. Otherwise the op's forward runs on zeros, which also raises NumPy's error.
    """
    if attributes or op.family == "movement":
        return worked_out(op, inputs, attributes)
    each: list[Any] = [op]
    for x in inputs:
        each += (x.shape, x.dtype) if type(x) is Value else (type(x), x)
    found = known.get(key := tuple(each))
    if found is None:
        found = worked_out(op, inputs, attributes)
        if len(known) < 10_000:
            known[key] = found
    return found


known: dict[Any, tuple[Shape, np.dtype[Any]]] = {}


def worked_out(
    op: Op, inputs: Sequence[Any], attributes: dict[str, Any]
) -> tuple[Shape, np.dtype[Any]]:
    rule = SHAPES.get(op.family) or SHAPES.get(op.name)
    shape = None
    if rule is not None:
        try:
            shape = rule([x.shape if type(x) is Value else () for x in inputs], inputs, attributes)
        except (IndexError, ValueError, TypeError):
            shape = None
    elif op.name == "gather" and any(is_mask(x) for x in inputs[1:]):
        raise UnsupportedError(
            "a compiled function picks entries by a mask that is computed in it, and how many "
            "there are is not known before it runs: use np.where(mask, x, 0)"
        )
    if shape is None:
        result = run(op, [zeros_of(x) for x in inputs], attributes)
        return result.shape, result.dtype
    return shape, dtype_of(op, inputs, attributes)


def is_mask(x: Any) -> bool:
    """Whether it is an array of booleans that is not a constant."""
    return type(x) is Value and x.dtype == bool and x.kind != "constant"


dtypes: dict[Any, np.dtype[Any]] = {}


def dtype_of(op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> np.dtype[Any]:
    """The dtype, which depends on those of the inputs, and on numbers beside integers."""
    if op.name == "astype":
        return attributes["dtype"]
    if op.family == "movement" and op.name != "concatenate":
        return inputs[0].dtype
    key = op, *(x.dtype if type(x) is Value else (type(x), x) for x in inputs)
    found = dtypes.get(key)
    if found is None:
        if op.family == "processing":
            found = np.result_type(*(x.dtype for x in inputs))
        elif op.family == "reduce":
            found = run(op, [np.ones(1, x.dtype) for x in inputs], {**attributes, "axis": 0}).dtype
        elif op.name == "concatenate":
            found = np.result_type(*(x.dtype for x in inputs))
        else:
            ones = [np.ones((), x.dtype) if type(x) is Value else x for x in inputs]
            found = run(op, ones, {}).dtype
        if len(dtypes) < 10_000:
            dtypes[key] = found
    return found


def run(op: Op, arrays: Sequence[Any], attributes: dict[str, Any]) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.asarray(op.forward(*arrays, **attributes))


@functools.lru_cache(10_000)
def zeros(shape: Shape, dtype: np.dtype[Any]) -> np.ndarray:
    """An array of zeros that takes no memory: one zero, broadcast."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def zeros_of(x: Any) -> Any:
    """Zeros in the place of a value; of a constant, the array."""
    if type(x) is Value and x.kind == "constant":
        return x.array
    return zeros(x.shape, x.dtype) if type(x) is Value else x


# Shape rules: None where inputs do not fit, or a case is left to NumPy.


@functools.lru_cache(10_000)
def broadcast(*shapes: Shape) -> Shape:
    return np.broadcast_shapes(*shapes)


def elementwise_shape(shapes: list[Shape], inputs: Any, attributes: Any) -> Shape:
    first = shapes[0]
    for shape in shapes:
        if shape != first:
            return broadcast(*shapes)
    return first


def reduced_shape(shapes: list[Shape], inputs: Any, attributes: Any) -> Shape | None:
    shape, axis = shapes[0], attributes["axis"]
    if 0 in shape or not shape:
        return None
    if "keepdims" not in attributes:  # cumsum
        return shape if -len(shape) <= axis < len(shape) else None
    if axis is None:
        return (1,) * len(shape) if attributes["keepdims"] else ()
    return reduced(shape, axis, attributes["keepdims"])


@functools.lru_cache(10_000)
def reduced(shape: Shape, axis: Any, keepdims: bool) -> Shape:
    axes = normalize_axis_tuple(axis, len(shape))
    if keepdims:
        return tuple(1 if k in axes else n for k, n in enumerate(shape))
    return tuple(n for k, n in enumerate(shape) if k not in axes)


def reshaped_shape(shapes: list[Shape], inputs: Any, attributes: Any) -> Shape | None:
    new: Shape = attributes["shape"]
    size, wanted = math.prod(shapes[0]), math.prod(new)
    if wanted == size and min(new, default=0) >= 0:
        return new
    if new.count(-1) == 1 and wanted and size % -wanted == 0:
        return tuple(size // -wanted if n == -1 else n for n in new)
    return None


def matmul_shape(shapes: list[Shape], inputs: Any, attributes: Any) -> Shape | None:
    x, y = shapes
    if len(x) < 2 or len(y) < 2 or x[-1] != y[-2]:
        return None
    lead = x[:-2] if x[:-2] == y[:-2] else broadcast(x[:-2], y[:-2])
    return (*lead, x[-2], y[-1])


def linear_shape(shapes: list[Shape], inputs: Any, attributes: Any) -> Shape | None:
    x, w = shapes
    return (*x[:-1], w[0]) if len(x) > 1 and len(w) == 2 and x[-1] == w[1] else None


def conv2d_shape(shapes: list[Shape], inputs: Any, attributes: Any) -> Shape | None:
    x, w = shapes
    outs = tuple(map(out_size, x[2:], w[2:], attributes["stride"], attributes["dilation"]))
    return (x[0], w[0], *outs) if x[1] == w[1] * attributes["groups"] and min(outs) > 0 else None


def windows_shape(shapes: list[Shape], inputs: Any, attributes: Any) -> Shape | None:
    kernel, stride, dilation = (attributes[x] for x in ("kernel", "stride", "dilation"))
    outs = tuple(map(out_size, shapes[0][-2:], kernel, stride, dilation))
    return (*kernel, *shapes[0][:-2], *outs) if min(outs) > 0 else None


def concatenated_shape(shapes: list[Shape], inputs: Any, attributes: Any) -> Shape | None:
    axis, first = attributes["axis"], shapes[0]
    before, after = first[:axis], first[axis + 1 :]
    if any(x[:axis] != before or x[axis + 1 :] != after for x in shapes):
        return None
    return (*before, attributes["bounds"][-1], *after)


def padded_shape(shapes: list[Shape], inputs: Any, attributes: Any) -> Shape | None:
    width = attributes["width"]
    if min(map(min, width), default=0) < 0:
        return None
    return tuple(low + n + high for (low, high), n in zip(width, shapes[0], strict=True))


SHAPES: dict[str, Callable[[list[Shape], Any, dict[str, Any]], Shape | None]] = {
    "unary": elementwise_shape,
    "binary": elementwise_shape,
    "reduce": reduced_shape,
    "reshape": reshaped_shape,
    "transpose": lambda shapes, inputs, how: zeros(shapes[0], BOOL).transpose(how["axes"]).shape,
    "expand": lambda shapes, inputs, how: (
        how["shape"] if broadcast(shapes[0], how["shape"]) == how["shape"] else None
    ),
    "astype": lambda shapes, inputs, how: shapes[0],
    "slice": lambda shapes, inputs, how: zeros(shapes[0], BOOL)[how["index"]].shape,
    "scatter_add": lambda shapes, inputs, how: how["shape"],
    "concatenate": concatenated_shape,
    "pad": padded_shape,
    "windows": windows_shape,
    "fold": lambda shapes, inputs, how: (*shapes[0][2:-2], *how["size"]),
    "matmul": matmul_shape,
    "linear": linear_shape,
    "conv2d": conv2d_shape,
    "conv2d_input": lambda shapes, inputs, how: (
        shapes[0][0],
        shapes[1][1] * how["groups"],
        *how["size"],
    ),
    "conv2d_weight": lambda shapes, inputs, how: (
        shapes[1][1],
        shapes[0][1] // how["groups"],
        *how["kernel"],
    ),
}
