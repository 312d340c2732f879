"""Loops and branches as C: what NumPy makes of the same graphs."""

import numpy as np
import pytest

from minigrad.compiler.graph.ir import Graph, Value
from minigrad.compiler.graph.opset.control import LOOP, called, items
from minigrad.compiler.graph.opset.infer import apply
from minigrad.compiler.graph.simplify import simplify
from minigrad.compiler.pipeline import compile_graph
from minigrad.compiler.runtime.program import Program
from minigrad.compiler.target import costs
from minigrad.compiler.target.machine import Machine
from minigrad.compiler.target.toolchain import compiler
from minigrad.errors import ArgumentError
from tests.compiler.graph.opset.test_control import (
    ONCE,
    arrays_for_scan,
    choice,
    f32,
    halving,
    scan,
    total,
)
from tests.compiler.graphs import leaf, run

pytestmark = [
    pytest.mark.unoptimized,
    pytest.mark.skipif(compiler() is None, reason="there is no C compiler"),
]


@pytest.fixture(params=["scalars", "kernels"], autouse=True)
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops of a few numbers are written in another way: here, each is written in both."""
    monkeypatch.setattr(costs, "MAX_SCALARS", 1e9 if request.param == "scalars" else -1)


def run_in_c(graph: Graph, arrays: list[np.ndarray]) -> list[np.ndarray]:
    program = Program(graph, compile_graph(graph))
    for value, array in zip(graph.inputs, arrays, strict=True):
        program.bind(value, np.ascontiguousarray(array).reshape(array.shape))
    return program.run()


def same(graph: Graph, arrays: list[np.ndarray]) -> None:
    for found, expected in zip(run_in_c(graph, arrays), run(graph, arrays), strict=True):
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found, expected, 1e-5, 1e-5 * np.abs(expected).max())


def test_loops_by_rows_and_by_a_dynamic_number() -> None:
    for reverse in (False, True):
        same(scan(reverse), arrays_for_scan())
    same(scan(dynamic=True, reverse=True), [*arrays_for_scan(), np.array(3)])
    with pytest.raises(ArgumentError, match="more rounds than its bound"):
        run_in_c(scan(dynamic=True), [*arrays_for_scan(), np.array(6)])


def test_loops_that_stop() -> None:
    for start in (40, 1):
        same(halving(None), [f32(3), f32(start)])
    with pytest.raises(ArgumentError, match="more rounds than its bound"):
        run_in_c(halving(3), [f32(3), f32(40)])


@pytest.mark.parametrize("predicate", [True, False])
def test_branches(predicate: bool) -> None:
    same(choice(), [np.array(predicate), f32([1, 2, 3]), f32([4, 5, 6])])


def test_carries_that_are_swapped() -> None:
    """Neither may be overwritten before the other has been read."""
    x, y = leaf(3), leaf(3)
    body = Graph([x, y], [], [y, apply("add", x, 1.0), x], [])
    inputs = [leaf(3), leaf(3)]
    call = called(LOOP, inputs, {**ONCE, "body": body, "carries": 2})
    same(Graph(inputs, [], items(call), []), [f32([1, 2, 3]), f32([4, 5, 6])])


def product_loop() -> Graph:
    """h = h @ w.T * sum(v), which is the same in each round; w.T is packed before the loop; and a
    carry that no one reads."""
    w, v, h, unread = leaf(24, 24), leaf(5), leaf(24, 24), leaf(24, 24)
    new = apply("mul", apply("matmul", h, apply("transpose", w, axes=(1, 0))), total(v))
    body = Graph([w, v, h, unread], [], [new, apply("exp", unread)], [])
    inputs = [leaf(24, 24), leaf(5), leaf(24, 24), leaf(24, 24)]
    call = called(LOOP, inputs, {**ONCE, "body": body, "constants": 2, "carries": 2})
    return Graph(inputs, [], items(call)[:1], [])


def test_what_is_packed_before_a_loop_has_a_place() -> None:
    rng = np.random.default_rng(0)
    shapes = [(24, 24), (5,), (24, 24), (24, 24)]
    same(product_loop(), [0.2 * rng.normal(size=shape).astype(np.float32) for shape in shapes])


def test_what_is_the_same_in_each_round_is_computed_before_the_loop() -> None:
    graph = simplify(product_loop())
    (call,) = (value for value in graph.order if value.op is LOOP)
    names = [x.op.name for x in call.attributes["body"].order if x.op is not None]
    assert sorted(names) == ["matmul", "mul", "transpose"] and call.attributes["carries"] == 1
    assert "sum" in [value.op.name for value in graph.order if value.op is not None]


def test_one_array_that_is_given_twice_is_one_constant() -> None:
    a, b, x = leaf(3), leaf(3), leaf(3)
    body = Graph([a, b, x], [], [apply("add", apply("mul", a, x), apply("sin", b))], [])
    w: Value = leaf(3)
    inputs = [w, w, leaf(3)]
    call = called(LOOP, inputs, {**ONCE, "body": body, "constants": 2})
    graph = Graph([w, inputs[2]], [], items(call)[:1], [])
    same(graph, [f32([1, 2, 3]), f32([4, 5, 6])])


def test_nested_loops_tables_and_reductions() -> None:
    """A table is read at a row that is computed, NaN and all; ys of an inner loop are xs of the
    next."""
    table, c, k = leaf(5, 3), leaf(3), leaf(dtype=np.int64)
    row = apply("gather", table, k, index=("array",))
    how = {**ONCE, "length": 3}
    a, b = leaf(3), leaf()
    inner = Graph([a, b], [], [apply("sin", apply("add", a, b)), total(a)], [])
    new, totals, _ = items(called(LOOP, [c, c], {**how, "body": inner}))
    again, rows, _ = items(called(LOOP, [new, totals], {**how, "body": inner, "reverse": True}))
    names = ["max", "min", "argmax", "argmin", "any", "all", "prod", "sum"]
    reduced = [apply(name, row, axis=0, keepdims=name == "max") for name in names]
    body = Graph([table, c, k], [], [again, rows, *reduced], [])
    inputs = [leaf(5, 3), leaf(3), leaf(4, dtype=np.int64)]
    call = called(LOOP, inputs, {**ONCE, "length": 4, "body": body, "constants": 1})
    graph = Graph(inputs, [], items(call), [])
    numbers = f32(np.arange(15).reshape(5, 3) % 4 - 1)
    numbers[3, 1] = np.nan
    arrays = [numbers, f32([1, 2, 3]), np.array([0, -1, 3, 2])]
    for found, expected in zip(run_in_c(graph, arrays), run(graph, arrays), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, 1e-5, 1e-6)


def test_small_loops_are_one_function_without_calls() -> None:
    (text,) = compile_graph(scan()).texts[0]
    assert ("memcpy" in text) == (costs.MAX_SCALARS < 0)


def test_threads_share_large_rounds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    two = Machine(32, 16, threads=2)
    if costs.MAX_SCALARS > 0:
        pytest.skip("a loop of few numbers is not shared")
    monkeypatch.setattr(costs, "MIN_SHARED_KERNEL", 0)
    monkeypatch.setattr(costs, "MIN_SHARED_PROGRAM", 1 << 15)  # the loop, and not what is packed
    assert compile_graph(product_loop(), two).threads == 1
    monkeypatch.setattr(costs, "MIN_SHARED_ROUND", 0)
    assert compile_graph(product_loop(), two).threads == 2
