"""Graphs made by hand, and rewrites of them that must keep what NumPy computes."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.compiler.frontend.trace import Traced
from minigrad.compiler.graph.ir import Graph, Rewrite, Value, name_of, rewritten
from minigrad.compiler.graph.opset.infer import verify
from minigrad.compiler.jit import trace_and_verify
from minigrad.compiler.runtime.interpreter import NumpyProgram

Shape = tuple[int, ...]


def leaf(*shape: int, dtype: Any = np.float32, kind: str = "input") -> Value:
    return Value(None, (), {}, shape, np.dtype(dtype), kind)


def trace_of(function: Callable[..., Any], *arguments: Any) -> Traced:
    traced, *_ = trace_and_verify(function, (arguments, {}), lambda graph: None)
    return traced


ODD = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 2.5, -3.0, 1e-40]


def graph_of(*outputs: Value) -> Graph:
    inputs = [x for x in Graph([], [], list(outputs), []).order if x.kind == "input"]
    return Graph(inputs, [], list(outputs), [])


def numbers_for(graph: Graph, odd: bool = False) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    some: Callable[[Shape], np.ndarray] = (
        (lambda shape: rng.choice(ODD, shape)) if odd else (lambda shape: rng.normal(0, 2, shape))
    )
    return [np.asarray(some(x.shape)).astype(x.dtype) for x in graph.inputs]


def run(graph: Graph, arrays: list[np.ndarray]) -> list[np.ndarray]:
    program = NumpyProgram(graph)
    for value, array in zip([*graph.inputs, *graph.states], arrays, strict=True):
        program.bind(value, array)
    return program.run()


def keeps(rewrite: Rewrite, *outputs: Value, odd: bool = False, rtol: float = 1e-5) -> list[Value]:
    return changed(lambda graph: rewritten(graph, rewrite), *outputs, odd=odd, rtol=rtol)


def changed(
    change: Callable[[Graph], Graph], *outputs: Value, odd: bool = False, rtol: float = 1e-5
) -> list[Value]:
    """What becomes of outputs, of which the numbers are as they were."""
    graph = graph_of(*outputs)
    verify(graph)
    new = change(graph)
    verify(new)
    arrays = numbers_for(graph, odd)
    for x, y in zip(run(new, arrays), run(graph, arrays), strict=True):
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        largest = np.max(np.abs(np.nan_to_num(y.astype(float), posinf=0, neginf=0)), initial=0)
        np.testing.assert_allclose(x, y, rtol, rtol * largest)
    return new.outputs


def ops_of(*outputs: Value) -> Counter[str]:
    return Counter(name_of(x) or x.kind for x in graph_of(*outputs).order)
