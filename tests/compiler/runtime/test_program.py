"""A program: the memory of its results, rebinding its inputs, and what it reads of the plan."""

import weakref
from typing import Any

import numpy as np
import pytest

from minigrad.compiler.graph.ir import Graph, Value
from minigrad.compiler.graph.layout import Layout
from minigrad.compiler.graph.opset.infer import apply
from minigrad.compiler.pipeline import compile_graph
from minigrad.compiler.runtime.program import SMALL, Program, viewed, written_out
from minigrad.compiler.target.toolchain import compiler
from minigrad.errors import IndexingError
from tests.compiler.graphs import leaf

pytestmark = [
    pytest.mark.unoptimized,
    pytest.mark.skipif(compiler() is None, reason="there is no C compiler"),
]
LARGE = SMALL // 4 + 1  # entries of float32


def program_of(graph: Graph) -> Program:
    return Program(graph, compile_graph(graph))


def run(program: Program, values: list[Value], *arrays: np.ndarray) -> list[np.ndarray]:
    for value, array in zip(values, arrays, strict=True):
        program.bind(value, array)
    return program.run()


@pytest.mark.parametrize("n", [3, LARGE], ids=["small", "large"])
def test_each_run_returns_new_memory(n: int) -> None:
    x = leaf(n)
    y = apply("mul", x, 2.0)
    program = program_of(Graph([x], [], [y, y, x], []))
    array = np.arange(n, dtype="f4")
    first = run(program, [x], array)
    second = run(program, [x], array + 1)  # of another array
    for found, given in ((first, array), (second, array + 1)):
        np.testing.assert_array_equal(found[0], 2 * given)
        np.testing.assert_array_equal(found[1], 2 * given)
        np.testing.assert_array_equal(found[2], given)
    memory = [array, *first, *second]
    for k, one in enumerate(memory):
        assert not any(np.shares_memory(one, other) for other in memory[:k])


def test_large_results_are_freed_with_the_caller() -> None:
    x = leaf(LARGE)
    program = program_of(Graph([x], [], [apply("exp", x)], []))
    (found,) = run(program, [x], np.zeros(LARGE, "f4"))
    assert (found == 1).all()
    result = weakref.ref(found)
    del found
    assert result() is None


def test_states_are_written_in_their_own_memory() -> None:
    x, state = leaf(3), leaf(3, kind="state")
    total = apply("add", state, x)
    program = program_of(Graph([x], [state], [total], [(state, total)]))
    array = np.zeros(3, "f4")
    for k in (1, 2, 3):
        (found,) = run(program, [x, state], np.full(3, k, "f4"), array)
        assert found.tolist() == array.tolist() == [k * (k + 1) / 2] * 3


def test_constants_and_results_that_are_numbers() -> None:
    x = leaf(2)
    table = Value(None, (), {"fixed": False}, (2,), x.dtype, "constant", np.array([5, 7], "f4"))
    seven = Value(None, (), {"fixed": True}, (), x.dtype, "constant", np.array(7, "f4"))
    program = program_of(Graph([x], [], [apply("sub", x, table), seven, table], []))
    difference, number, copy = run(program, [x], np.array([1, 2], "f4"))
    assert difference.tolist() == [-4, -5] and number == 7 and copy.tolist() == [5, 7]
    number[...] = copy[...] = 0  # the caller's own
    assert program.run()[1] == 7 and program.run()[2].tolist() == [5, 7]


def test_numpy_computes_between_kernels() -> None:
    x = leaf(3, 4)
    order = apply("cumsum", apply("transpose", apply("neg", x), axes=(1, 0)), axis=0)
    program = program_of(Graph([x], [], [apply("mul", order, 2.0)], []))
    array = np.arange(12, dtype="f4").reshape(3, 4)
    np.testing.assert_array_equal(run(program, [x], array)[0], -2 * np.cumsum(array.T, axis=0))


@pytest.mark.parametrize("bad", [3, -4])
def test_an_index_out_of_range_is_an_error_and_the_next_run_is_right(bad: int) -> None:
    from minigrad.compiler import compile

    f = compile(lambda x, i: x[i] * 2)
    x = np.arange(3.0)
    assert f(x, np.array([0, -1])).tolist() == [0, 4]
    with pytest.raises(IndexingError, match="out of range"):
        f(x, np.array([0, bad]))
    assert f(x, np.array([2, -3])).tolist() == [4, 0]


def test_memory_in_a_layout() -> None:
    flat = np.arange(6)
    np.testing.assert_array_equal(viewed(flat, Layout((2, 3), (0, 1))), flat.reshape(2, 3))
    np.testing.assert_array_equal(viewed(flat, Layout((2, 3), (1, 0))), flat.reshape(3, 2).T)
    found = viewed(np.arange(24), Layout((2, 3, 4), (2, 0, 1)))
    assert found[1, 2, 3] == 3 * 6 + 1 * 3 + 2  # strides 3, 1, 6
    panels = viewed(np.arange(8), Layout((2, 3), (0, 1), 2))  # 3 columns in 2 panels of 2
    assert panels.shape == (2, 2, 2)


def test_functions_written_out_use_the_given_names_only() -> None:
    names: dict[str, Any] = {"one": 1}
    f = written_out("x, y=2", ["z = x * y", "return z + one"], names)
    assert f(3) == 7 and f(3, 5) == 16
    names["one"] = 50
    assert f(3) == 7 and "made" not in names
