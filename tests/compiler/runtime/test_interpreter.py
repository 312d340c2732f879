"""A graph that NumPy runs: freed values, state that is written last, and outputs of their own."""

import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from minigrad.compiler import compile
from minigrad.compiler.graph.ir import Graph, Value
from minigrad.compiler.graph.opset.infer import apply
from minigrad.compiler.runtime.interpreter import NumpyProgram
from tests.compiler.graphs import leaf
from tests.compiler.steps import agree, trained


def run(graph: Graph, *arrays: np.ndarray) -> list[np.ndarray]:
    program = NumpyProgram(graph)
    for value, array in zip([*graph.inputs, *graph.states], arrays, strict=True):
        program.bind(value, array)
    return program.run()


def test_values_are_those_of_numpy() -> None:
    x, y = leaf(2, 3), leaf(3)
    total = apply("sum", apply("mul", x, y), axis=1, keepdims=False)
    a, b = np.arange(6, dtype="f4").reshape(2, 3), np.array([1, 10, 100], "f4")
    first, second = run(Graph([x, y], [], [total, apply("neg", total)], []), a, b)
    np.testing.assert_array_equal(first, [210, 543])
    np.testing.assert_array_equal(second, [-210, -543])


def test_constants_are_read_when_it_runs() -> None:
    x, array = leaf(2), np.array([1, 2], "f4")
    held = Value(None, (), {"fixed": False}, (2,), array.dtype, "constant", array)
    program = NumpyProgram(Graph([x], [], [apply("add", x, held)], []))
    program.bind(x, np.zeros(2, "f4"))
    np.testing.assert_array_equal(program.run()[0], [1, 2])
    array[:] = 7
    np.testing.assert_array_equal(program.run()[0], [7, 7])


def test_states_are_written_after_everything_is_computed() -> None:
    """Two states that are exchanged, and outputs that are their old arrays and views of them."""
    x, y = leaf(2, kind="state"), leaf(2, kind="state")
    first = apply("slice", x, index=(slice(0, 1),))
    a, b = np.array([1, 2], "f4"), np.array([3, 4], "f4")
    old, part = run(Graph([], [x, y], [x, first], [(x, y), (y, x)]), a, b)
    assert a.tolist() == [3, 4] and b.tolist() == [1, 2]
    assert old.tolist() == [1, 2] and part.tolist() == [1]


def test_outputs_share_no_memory() -> None:
    x = leaf(3)
    y = apply("exp", x)
    array = np.zeros(3, "f4")
    outputs = run(Graph([x], [], [x, y, y, apply("reshape", y, shape=(3, 1))], []), array)
    memory = [array, *outputs]
    for k, one in enumerate(memory):
        assert not any(np.shares_memory(one, other) for other in memory[:k])


def test_values_are_freed_after_their_last_use() -> None:
    """Of a chain, each op finds its input in memory and none of the values before."""
    alive: list[weakref.ref[Any]] = []
    counts: list[int] = []

    def forward(array: np.ndarray) -> np.ndarray:
        counts.append(sum(ref() is not None for ref in alive))
        result = np.exp(-array)
        alive.append(weakref.ref(result))
        return result

    op: Any = SimpleNamespace(forward=forward, name="counted")
    chain = x = leaf(1000)
    for _ in range(5):
        chain = Value(op, (chain,), {}, (1000,), x.dtype)
    run(Graph([x], [], [chain], []), np.ones(1000, "f4"))
    assert counts == [0, 1, 1, 1, 1]


def test_numbers_and_infinities_give_no_warnings() -> None:
    x = leaf(2)
    (found,) = run(Graph([x], [], [apply("div", 1.0, x)], []), np.array([0, -0.0], "f4"))
    assert found.tolist() == [np.inf, -np.inf]  # a warning would be an error here


def test_numpy_and_c_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    from minigrad.compiler import jit as compiled

    by_c = trained(compile)
    monkeypatch.setattr(compiled, "begin_build", lambda graph: lambda: NumpyProgram(graph))
    agree(by_c, trained(compile), 1e-4)
