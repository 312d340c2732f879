"""Loops and branches as values of a graph, and what NumPy makes of them."""

from typing import Any

import numpy as np
import pytest

from minigrad.compiler.graph.ir import Graph, GraphError, Value
from minigrad.compiler.graph.opset.control import (
    BRANCH,
    LOOP,
    called,
    inlined,
    item,
    items,
    with_condition,
)
from minigrad.compiler.graph.opset.infer import apply, verify
from minigrad.errors import ArgumentError
from tests.compiler.graphs import graph_of, leaf, run

ONCE = {"length": 5, "reverse": False, "constants": 0, "carries": 1, "stops": False}
ONCE |= {"dynamic": False}


def scan(reverse: bool = False, **how: Any) -> Graph:
    """h = tanh(w * h + x), and of each round sum(h)."""
    w, h, x = leaf(3), leaf(3), leaf(3)
    new = apply("tanh", apply("add", apply("mul", w, h), x))
    body = Graph([w, h, x], [], [new, total(new)], [])
    attributes = {**ONCE, "body": body, "constants": 1, "reverse": reverse, **how}
    inputs = [leaf(3), leaf(3), leaf(5, 3)]
    inputs += [leaf(dtype=np.int64)] if attributes["dynamic"] else []
    return Graph(inputs, [], items(called(LOOP, inputs, attributes)), [])


def f32(x: Any) -> np.ndarray:
    return np.array(x, np.float32)


def total(x: Value) -> Value:
    return apply("sum", x, axis=None, keepdims=False)


def by_hand(
    arrays: list[np.ndarray], rows: range, length: int = 5
) -> tuple[np.ndarray, np.ndarray]:
    w, h, xs = arrays
    ys = np.zeros(length, np.float32)
    for k in rows:
        h = np.tanh(w * h + xs[k])
        ys[k] = np.sum(h)
    return h, ys


def arrays_for_scan() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(np.float32) for shape in (3, 3, (5, 3))]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_loop_computes_carries_and_rows(reverse: bool) -> None:
    graph, arrays = scan(reverse), arrays_for_scan()
    verify(graph)
    h, ys, rounds = run(graph, arrays)
    expected = by_hand(arrays, range(5)[::-1] if reverse else range(5))
    assert np.array_equal(h, expected[0]) and np.array_equal(ys, expected[1]) and rounds == 5


@pytest.mark.parametrize("reverse", [False, True])
def test_a_dynamic_number_of_rounds(reverse: bool) -> None:
    graph, arrays = scan(reverse, dynamic=True), arrays_for_scan()
    h, ys, rounds = run(graph, [*arrays, np.array(3)])
    expected = by_hand(arrays, range(3)[::-1] if reverse else range(3))
    assert np.array_equal(h, expected[0]) and np.array_equal(ys, expected[1]) and rounds == 3
    assert run(graph, [*arrays, np.array(-2)])[2] == 0
    with pytest.raises(ArgumentError, match="more rounds than its bound"):
        run(graph, [*arrays, np.array(6)])


def halving(length: int | None) -> Graph:
    """x / 2 while x > limit."""
    limit, x = leaf(), leaf()
    body = Graph([limit, x], [], [apply("div", x, 2.0)], [])
    c, y = leaf(), leaf()
    condition = Graph([c, y], [], [apply("greater", y, c)], [])
    start = [leaf(), leaf()]
    (flag,) = inlined(condition, start)
    attributes: dict[str, Any] = {
        **ONCE,
        "length": length,
        "constants": 1,
        "carries": 2,
        "stops": True,
    }
    attributes["body"] = with_condition(body, condition, 1)
    found = items(called(LOOP, [*start, flag], attributes))
    return Graph(start, [], [found[0], found[-1]], [])


def test_a_loop_that_stops() -> None:
    graph = halving(None)
    verify(graph)
    x, rounds = run(graph, [f32(3), f32(40)])
    assert x == 2.5 and rounds == 4
    x, rounds = run(graph, [f32(3), f32(1)])
    assert x == 1 and rounds == 0
    assert run(halving(4), [f32(3), f32(40)])[1] == 4
    with pytest.raises(ArgumentError, match="more rounds than its bound"):
        run(halving(3), [f32(3), f32(40)])


def choice() -> Graph:
    bodies = []
    for name in ("add", "mul"):
        x, y = leaf(3), leaf(3)
        bodies.append(Graph([x, y], [], [apply(name, x, y), x], []))
    inputs = [leaf(dtype=bool), leaf(3), leaf(3)]
    call = called(BRANCH, inputs, {"bodies": bodies})
    return Graph(inputs, [], items(call), [])


def test_a_branch_runs_one_of_its_bodies() -> None:
    x, y = f32([1, 2, 3]), f32([4, 5, 6])
    verify(choice())
    assert np.array_equal(run(choice(), [np.array(True), x, y]), [x + y, x])
    assert np.array_equal(run(choice(), [np.array(False), x, y]), [x * y, x])


def test_what_does_not_fit_is_a_fault() -> None:
    x, wide = leaf(3), leaf(4)
    same = Graph([x], [], [apply("add", x, 1.0)], [])
    loop = {**ONCE, "body": same}
    faults: list[tuple[Any, list[Value], dict[str, Any]]] = [
        (LOOP, [wide], loop),  # another shape
        (LOOP, [leaf(3, dtype=np.float64)], loop),  # another dtype
        (LOOP, [leaf(3)], {**loop, "length": -1}),
        (LOOP, [leaf(3)], {**loop, "length": None}),  # it never ends
        (LOOP, [leaf(3)], {**loop, "stops": True}),  # by an array of numbers
        (LOOP, [leaf(3)], {**loop, "dynamic": True}),
        (BRANCH, [leaf(), leaf(3)], {"bodies": [same, same]}),
        (BRANCH, [leaf(dtype=bool), wide], {"bodies": [same, same]}),
    ]
    for op, inputs, attributes in faults:
        with pytest.raises(GraphError):
            called(op, inputs, attributes)
    found = item(called(LOOP, [leaf(3)], loop), 0)
    found.attributes["position"] = 1
    with pytest.raises(GraphError):
        verify(graph_of(found))


def test_a_body_that_reads_more_than_it_is_given_is_a_fault() -> None:
    x = leaf(3)
    outside = Graph([x], [], [apply("add", x, leaf(3))], [])
    with pytest.raises(GraphError, match="not the graph's"):
        verify(graph_of(item(called(LOOP, [leaf(3)], {**ONCE, "body": outside}), 0)))
    live = Value(None, (), {}, (3,), np.dtype(np.float32), "constant", np.ones(3, np.float32))
    body = Graph([x], [], [apply("add", x, live)], [])
    with pytest.raises(GraphError, match="reads what it is given"):
        verify(graph_of(item(called(LOOP, [leaf(3)], {**ONCE, "body": body}), 0)))


def test_calls_are_equal_if_their_bodies_are() -> None:
    one, other = scan().outputs[0].inputs[0], scan().outputs[0].inputs[0]
    assert one.how == other.how
    assert one.how != scan(reverse=True).outputs[0].inputs[0].how
    x = leaf(3)
    less = Graph([x], [], [apply("add", x, 1.0)], [])
    y = leaf(3)
    more = Graph([y], [], [apply("add", y, 2.0)], [])
    assert less.digest != more.digest
