"""Passes: each takes a graph and gives one that computes the same, with less work."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace

from minigrad.compile.ir import Graph, Value

Rewrite = Callable[[Value], Value]


def optimized(graph: Graph) -> Graph:
    """All passes, in their order."""
    for rewrite in (folding, common_subexpressions()):
        graph = rewritten(graph, rewrite)
    return graph


def rewritten(graph: Graph, rewrite: Rewrite) -> Graph:
    """The graph with each value put through `rewrite`, its inputs first."""
    new: dict[Value, Value] = {}
    for value in graph.order():
        inputs = tuple(new[x] if type(x) is Value else x for x in value.inputs)
        same = all(a is b for a, b in zip(inputs, value.inputs, strict=True))
        new[value] = rewrite(value if same else replace(value, inputs=inputs))
    return Graph(
        graph.inputs,
        graph.states,
        [new[x] for x in graph.outputs],
        [(target, new[x]) for target, x in graph.writes],
    )


def folding(value: Value) -> Value:
    """An op that does nothing, as its input; of numbers that are known, as its result."""
    if value.op is None:
        return value
    name, (x, *rest) = value.op.name, value.inputs
    if type(x) is Value and x.shape == value.shape and x.dtype == value.dtype:
        if name in ("positive", "expand", "reshape", "astype"):
            return x
        if name == "transpose" and value.attributes["axes"] == tuple(range(len(x.shape))):
            return x
        if name == "sum" and not rest and value.size == x.size and only_ones(value, x):
            return x
    if name == "neg" and x.op is not None and x.op.name == "neg":
        return x.inputs[0]
    if name == "reshape" and x.op is not None and x.op.name == "reshape":
        return folding(replace(value, inputs=x.inputs))
    return value


def only_ones(value: Value, x: Value) -> bool:
    """Whether a sum is over axes of size 1."""
    axis = value.attributes.get("axis")
    axes = range(len(x.shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return all(x.shape[k] == 1 for k in axes)


def common_subexpressions() -> Rewrite:
    """What is computed twice, computed once."""
    known: dict[Hashable, Value] = {}

    def rewrite(value: Value) -> Value:
        if value.op is None:
            return value
        return known.setdefault(key_of(value), value)

    return rewrite


def key_of(value: Value) -> Hashable:
    inputs = tuple(id(x) if type(x) is Value else (type(x), repr(x)) for x in value.inputs)
    attributes = tuple((name, repr(x)) for name, x in sorted(value.attributes.items()))
    return value.op, inputs, attributes
