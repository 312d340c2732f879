"""Shapes and dtypes of results, without computing them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.compiler.graph.ir import Graph, GraphError, Shape, Value
from minigrad.compiler.graph.opset.base import rules_of
from minigrad.ops.base import Op, registry


def apply(name: str, *inputs: Any, **attributes: Any) -> Value:
    """The value of an op."""
    op = registry[name]
    shape, dtype = infer(op, inputs, attributes)
    return Value(op, inputs, attributes, shape, dtype)


def infer(op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> tuple[Shape, np.dtype[Any]]:
    """The shape and dtype of an op's result.

    If there is a shape rule and it succeeds, only the dtype comes from NumPy, cached by the inputs'
    dtypes. Otherwise the op's forward runs on zeros, which also raises NumPy's error.
    """
    if attributes or op.family == "movement":
        return inferred(op, inputs, attributes)
    each: list[Any] = [op]
    for x in inputs:
        each += (x.shape, x.dtype) if type(x) is Value else (type(x), x)
    found = known.get(key := tuple(each))
    if found is None:
        found = inferred(op, inputs, attributes)
        if len(known) < 10_000:
            known[key] = found
    return found


known: dict[Any, tuple[Shape, np.dtype[Any]]] = {}


def inferred(
    op: Op, inputs: Sequence[Any], attributes: dict[str, Any]
) -> tuple[Shape, np.dtype[Any]]:
    rules = rules_of(op)
    rules.check(inputs)
    try:
        shape = rules.shape([x.shape if type(x) is Value else () for x in inputs], attributes)
    except (IndexError, ValueError, TypeError):
        shape = None
    if shape is None:
        result = run(op, [zeros_of(x) for x in inputs], attributes)
        return result.shape, result.dtype
    return shape, rules.dtype(op, inputs, attributes)


dtypes: dict[Any, np.dtype[Any]] = {}


def dtype_of_ones(
    op: Op, inputs: Sequence[Any], attributes: dict[str, Any], shape: Shape
) -> np.dtype[Any]:
    """The dtype that the op has for ones of this shape: cached by the inputs' dtypes, and by
    numbers, which matter beside integers."""
    key = op, *(x.dtype if type(x) is Value else (type(x), x) for x in inputs)
    found = dtypes.get(key)
    if found is None:
        ones = [np.ones(shape, x.dtype) if type(x) is Value else x for x in inputs]
        found = run(op, ones, attributes).dtype
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
