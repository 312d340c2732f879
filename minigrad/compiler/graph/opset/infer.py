"""Shapes and dtypes of results, without computing them."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.compiler.graph.ir import Graph, GraphError, Shape, Value, bodies_of, how_of
from minigrad.compiler.graph.opset.base import OPSET, Rules, is_foreign, rules_of
from minigrad.errors import MinigradError, ShapeError
from minigrad.ops.base import Domain, Op, registry


def apply(name: str, *inputs: Any, **attributes: Any) -> Value:
    """The value of an op."""
    op = registry.get(name)
    if op is None:
        raise GraphError(f"there is no op named {name!r}")
    shape, dtype = infer(op, inputs, attributes)
    return Value(op, inputs, attributes, shape, dtype)


def infer(op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> tuple[Shape, np.dtype[Any]]:
    """The shape and dtype of an op's result.

    If there is a shape rule and it succeeds, only the dtype comes from NumPy, cached by the inputs'
    dtypes. Otherwise the op's forward runs on zeros, which also raises NumPy's error.
    """
    if attributes or op.family == "movement":
        return inferred(op, inputs, attributes)
    each: list[Any] = [op, rules_of(op)]
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
    if "result" in attributes:  # of a function that is not NumPy: see transforms/foreign.py
        shape, dtype = attributes["result"]
        return shape, dtype
    rules = rules_of(op)
    if is_foreign(op):
        return checked(op, rules, inputs, attributes)
    rules.check(inputs)
    try:
        shape = rules.shape([x.shape if type(x) is Value else () for x in inputs], attributes)
    except (IndexError, ValueError, TypeError):
        shape = None
    if shape is None:
        try:
            result = run(op, [zeros_of(x) for x in inputs], attributes)
        except np.linalg.LinAlgError:  # zeros have no inverse
            result = run(op, [identity_of(x) for x in inputs], attributes)
        return result.shape, result.dtype
    return shape, rules.dtype(op, inputs, attributes)


def checked(
    op: Op, rules: Rules, inputs: Sequence[Any], attributes: dict[str, Any]
) -> tuple[Shape, np.dtype[Any]]:
    """The same for rules from outside of minigrad: they must agree with what the forward gives."""
    shapes = [x.shape if type(x) is Value else () for x in inputs]
    result = shape = dtype = refusal = None
    try:
        result = run(op, drawn(op, inputs), attributes)
    except ValueError as error:  # it may be of these numbers, as of a matrix that has no inverse
        refusal = error
    try:
        rules.check(inputs)
        if op.name in OPSET:
            shape = rules.shape(shapes, attributes)
        if shape is not None:
            dtype = rules.dtype(op, inputs, attributes)
    except MinigradError:
        raise
    except Exception as error:
        raise GraphError(f"the rules of {op.name} for inputs of {shapes}: {error!r}") from error
    if shape is None:
        if result is None:
            raise ShapeError(
                f"{op.name} for inputs of {shapes}: {refusal}. It runs on random numbers first, to "
                "find the shape: if it is these that do not fit, give it an entry with a shape rule"
            )
        return result.shape, result.dtype
    sizes = type(shape) is tuple and all(type(n) is int and n >= 0 for n in shape)
    if not sizes or (result is not None and result.shape != shape):
        found = "" if result is None else f", and its forward {result.shape}"
        raise GraphError(
            f"the shape rule of {op.name} gives {shape!r} for inputs of {shapes}{found}: it "
            "gives a tuple of integers, the shape of the result"
        )
    if not isinstance(dtype, np.dtype) or (result is not None and result.dtype != dtype):
        found = "" if result is None else f", and its forward {result.dtype}"
        raise GraphError(
            f"the dtype rule of {op.name} gives {dtype!r}{found}: write a method `dtype(self, op, "
            "inputs, attributes)` that gives the np.dtype of the result"
        )
    return shape, dtype


def drawn(op: Op, inputs: Sequence[Any]) -> list[Any]:
    """Numbers of the op's domains in the place of values; of constants, the arrays."""
    rng = np.random.default_rng(0)
    domains = (*op.domains, *op.domains[-1:] * len(inputs))
    return [draw(rng, x, domain) for x, domain in zip(inputs, domains, strict=False)]


def draw(rng: np.random.Generator, x: Any, domain: Domain) -> Any:
    if type(x) is not Value or x.kind == "constant":
        return x if type(x) is not Value else x.array
    numbers = rng.uniform(domain.low, domain.high, x.shape)
    if x.dtype.kind == "b":
        return numbers > (domain.low + domain.high) / 2
    return (np.abs(numbers) if x.dtype.kind == "u" else numbers).astype(x.dtype)


dtypes: dict[Any, np.dtype[Any]] = {}


def dtype_of_ones(
    op: Op, inputs: Sequence[Any], attributes: dict[str, Any], shape: Shape
) -> np.dtype[Any]:
    """The dtype that the op has for ones of this shape: cached by the inputs' dtypes, and by
    numbers, which matter beside integers, and the attributes."""
    how = how_of(attributes)
    key = op, how, *(x.dtype if type(x) is Value else (type(x), x) for x in inputs)
    found = dtypes.get(key)
    if found is None:
        ones = [np.ones(shape, x.dtype) if type(x) is Value else x for x in inputs]
        found = run(op, ones, attributes).dtype
        if len(dtypes) < 10_000:
            dtypes[key] = found
    return found


def run(op: Op, arrays: Sequence[Any], attributes: dict[str, Any]) -> np.ndarray:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that no one has given
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


def identity_of(x: Any) -> Any:
    """Identity matrices in the place of a value of two axes or more; zeros in that of others."""
    zero = zeros_of(x)
    return zero + np.eye(*zero.shape[-2:], dtype=zero.dtype) if np.ndim(zero) > 1 else zero


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
            for body in bodies_of(value):
                verify(body)
                if (
                    body.states
                    or body.writes
                    or any(x.kind == "constant" and not x.fixed for x in body.order)
                ):
                    raise GraphError("a body reads what it is given, and writes nothing")
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
