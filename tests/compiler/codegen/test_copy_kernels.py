"""Arrays that are filled piece by piece: added at indices, joined, copied in panels."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.compiler import compile
from minigrad.compiler.codegen.copy_kernels import concat_function
from minigrad.compiler.graph.ir import Graph, Value, name_of
from minigrad.compiler.graph.opset.infer import apply
from minigrad.compiler.pipeline import plan_of
from minigrad.compiler.runtime.interpreter import NumpyProgram
from minigrad.compiler.runtime.program import Program
from minigrad.compiler.schedule.buffers import plan_buffers
from minigrad.compiler.target import costs
from minigrad.compiler.target.machine import machine
from minigrad.errors import ShapeError
from minigrad.ops.base import registry
from minigrad.ops.movement import ARRAY
from tests.compiler.schedules import code_of, scheduled

pytestmark = pytest.mark.unoptimized

DTYPES = ["float32", "float64", "int64", "int8"]


def some(rng: np.random.Generator, *shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.asarray(rng.normal(0, 3, shape)).astype(dtype)


def compare(cases: Sequence[tuple[Callable[..., Any], list[Any]]], rtol: float = 1e-5) -> None:
    """All cases in one compiled function."""

    def run(inputs: Any) -> Any:
        return [f(*xs) for (f, _), xs in zip(cases, inputs, strict=True)]

    inputs = [xs for _, xs in cases]
    for k, (x, y) in enumerate(zip(compile(run)(inputs), run(inputs), strict=True)):
        x, y = np.asarray(x), np.asarray(y)
        assert (x.dtype, x.shape) == (y.dtype, y.shape), k
        np.testing.assert_allclose(x, y, rtol, 1e-5, err_msg=str(k))


# Added at indices


def added(shape: tuple[int, ...], count: int = 1) -> Callable[..., Any]:
    """Zeros, with entries of the first argument added where the others say."""
    return lambda g, *rows: registry["scatter_add"](g, *rows, shape=shape, index=(ARRAY,) * count)


@pytest.mark.parametrize("dtype", DTYPES)
def test_entries_that_meet_are_added(dtype: str) -> None:
    rng = np.random.default_rng(0)
    cases: list[tuple[Callable[..., Any], list[Any]]] = []
    for shape, spots in [
        ((5,), (40,)),
        ((5, 3), (40,)),
        ((5, 40), (7, 3)),
        ((1, 33), (9,)),
        ((70, 2, 3), (2, 2, 2)),
        ((6, 4), ()),
        ((6, 4), (0,)),
    ]:
        rows = rng.integers(-shape[0], shape[0], spots)  # also from the end
        cases.append((added(shape), [some(rng, *spots, *shape[1:], dtype=dtype), rows]))
        same = np.full(spots, -1)  # all at one place
        cases.append((added(shape), [some(rng, *spots, *shape[1:], dtype=dtype), same]))
    for spots, others in [((30,), (30,)), ((30, 1), (4,)), ((3, 4), (3, 4)), ((5, 1), (1, 6))]:
        rows, columns = rng.integers(-7, 7, spots), rng.integers(-4, 4, others)
        g = some(rng, *np.broadcast_shapes(spots, others), dtype=dtype)
        cases.append((added((7, 4), 2), [g, rows, columns]))
        deep = some(rng, *np.broadcast_shapes(spots, others), 9, dtype=dtype)
        cases.append((added((7, 4, 9), 2), [deep, rows, columns]))
    compare(cases)


def test_indices_of_every_dtype_and_with_the_rest_of_an_index() -> None:
    rng = np.random.default_rng(1)
    cases: list[tuple[Callable[..., Any], list[Any]]] = []
    gradient = lambda f: minigrad.grad(lambda x, i: np.sum(np.sin(f(x, i)) * 2))  # noqa: E731
    for kind in ("int64", "int32", "int16", "int8", "uint8"):
        rows = rng.integers(0, 6, 20).astype(kind)
        cases.append((gradient(lambda x, i: x[i]), [some(rng, 6, 5), rows]))
    rows = rng.integers(-4, 4, 12)
    for f in (
        lambda x, i: x[:, i],
        lambda x, i: x[..., i],
        lambda x, i: x[i, 1],
        lambda x, i: x[1:, i],
        lambda x, i: x[i][:, i],
        lambda x, i: x[i, None, i],
        lambda x, i: x[np.arange(4), i[:4]],
        lambda x, i: x[i[:4], np.arange(4)],
        lambda x, i: x[np.arange(4)[:, None], i],
        lambda x, i: np.take_along_axis(x[:, :, 0], i.reshape(4, 3), axis=1),
    ):
        cases.append((gradient(f), [some(rng, 4, 4, 4), rows]))
    compare(cases)


def test_scattered_values_are_computed_in_the_same_kernel() -> None:
    """And what comes of it goes on."""
    rng = np.random.default_rng(2)
    rows = rng.integers(0, 5, 30)

    def f(g: Any, rows: Any) -> Any:
        total = added((5, 8))(np.exp(g) * 2, (rows * 2 + 1) % 5)
        return total / (1 + np.abs(total)) + total.sum(axis=0)

    compare([(f, [some(rng, 30, 8), rows])])


def test_messages_along_edges_are_not_stored() -> None:
    """What is scattered is computed there, where threads share columns; a few columns are computed
    before, by all threads. Also of indices that differ from column to column."""
    rng = np.random.default_rng(4)

    def messages(x: Any, weights: Any, sources: Any, to: Any) -> Any:
        return added(x.shape)(x[sources] * weights[:, None], to)

    def turned(x: Any, weights: Any, sources: Any, to: Any) -> Any:
        picked = np.take_along_axis(x[sources], (to[:, None] + np.arange(x.shape[1])) % 5, axis=1)
        return added(x.shape)(np.exp(picked) * weights[:, None], to)

    edges = [some(rng, 90), rng.integers(0, 20, 90), rng.integers(0, 20, 90)]
    given = {n: [some(rng, 20, n), *edges] for n in (7, 48)}
    compare([(f, xs) for f in (messages, turned) for xs in given.values()])
    kinds = {}
    for n, xs in given.items():
        compiled = minigrad.compile(messages)
        compiled(*xs)
        kinds[n] = [kernel.kind for kernel in compiled.explain().description.kernels]
    assert "map" in kinds[7] and "map" not in kinds[48]
    assert kinds[48].count("scatter") == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_of_few_cells_run_side_by_side(dtype: str) -> None:
    """So many additions in a row to the same cell would wait for each other."""
    rng = np.random.default_rng(3)
    cases: list[tuple[Callable[..., Any], list[Any]]] = []
    for cells, spots in [
        ((2,), (2051,)),
        ((256,), (700, 3)),
        ((1, 7), (9, 2, 241)),
        ((3, 5), (2048,)),
    ]:
        rows = [rng.integers(-n, n, spots) for n in cells]
        f, g = added(cells, len(cells)), rng.integers(-9, 9, spots).astype(dtype)
        (text,) = (x for x in code_of(scheduled(f, g, *rows)).texts if "cells" in x)
        assert f"cells[{costs.CELL_COPIES * np.prod(cells)}]" in text
        cases.append((f, [g, *rows]))
        cases.append((lambda g, *rows, f=f: f(g * 2, *(r[::-1] for r in rows)), [g, *rows]))
    compare(cases)
    for cells, count in (((257,), 3000), ((5,), 2047)):  # many cells, or few additions
        inputs = some(rng, count), rng.integers(0, 5, count)
        assert "cells[" not in "".join(code_of(scheduled(added(cells), *inputs)).texts)
    with pytest.raises(ShapeError, match="out of range"):
        compile(added((2,)))(np.ones(2051), np.full(2051, 2))


@pytest.mark.parametrize("bad", [5, -6, 1 << 33])
def test_an_index_out_of_range_writes_nowhere(bad: int) -> None:
    f = compile(added((5, 3)))
    g = np.ones((2, 3))
    np.testing.assert_array_equal(f(g, np.array([0, -1]))[[0, -1]], g)
    with pytest.raises(ShapeError, match="out of range"):
        f(g, np.array([0, bad]))
    np.testing.assert_array_equal(f(g, np.array([4, 4]))[4], [2, 2, 2])


# Cumulated


@pytest.mark.parametrize("dtype", [*DTYPES, "bool"])
def test_every_value_of_an_accumulator_is_kept(dtype: str) -> None:
    """Along every axis; of integers in those that NumPy widens them to."""
    rng = np.random.default_rng(9)
    cases: list[tuple[Callable[..., Any], list[Any]]] = []
    for shape in ((7,), (1, 5), (6, 1), (3, 4, 5), (0, 3)):
        x = some(rng, *shape, dtype=dtype)
        for axis in range(-len(shape), len(shape)):
            cases.append((lambda x, axis=axis: np.cumprod(x, axis), [x]))
            cases.append((lambda x, axis=axis: np.cumsum(np.exp(x), axis)[::-1] * 2, [x]))
    compare(cases)


def test_cumulative_products_and_their_gradients_are_loops() -> None:
    """Of any order, also where factors are zero, from either end."""
    rng = np.random.default_rng(10)
    loss = lambda x: np.sum(np.sin(np.cumprod(x, axis=1)) * np.cumprod(x, axis=0))  # noqa: E731
    first = minigrad.grad(loss)
    second = minigrad.grad(lambda x: np.sum(first(x) ** 2))
    x = rng.normal(size=(3, 6))
    x[1, 2:4] = 0
    compare([(first, [x]), (second, [x]), (first, [x.T]), (second, [x[:1]])], 1e-11)
    (compiled := compile(first))(x)
    kinds = [kernel["kind"] for kernel in compiled.explain().kernels]
    assert kinds.count("scan") == 4 and "numpy" not in kinds


# Joined


def joined(*, axis: int) -> Callable[..., Any]:
    return lambda *xs: np.concatenate(xs, axis)


def test_joined_along_every_axis() -> None:
    """As an output, in what follows, with parts that are computed, views, or nothing."""
    rng = np.random.default_rng(3)
    cases: list[tuple[Callable[..., Any], list[Any]]] = []
    for shape in [(9,), (3, 40), (4, 5, 6), (2, 3, 4, 5)]:
        for axis in range(-len(shape), len(shape)):
            xs = []
            for n in (1, 4, 0, 7):
                own = list(shape)
                own[axis] = n
                xs.append(some(rng, *own))
            join = joined(axis=axis)
            cases.append((join, xs))
            computed = lambda *xs, join=join: join(*(np.exp(x) for x in xs)) * 2 + 1  # noqa: E731
            cases.append((computed, xs))
    compare(cases)


def test_joined_of_every_kind_of_part() -> None:
    rng = np.random.default_rng(4)
    x, y, w = some(rng, 12, 10), some(rng, 12, 10), some(rng, 10, 10)
    functions: list[Callable[..., Any]] = [
        lambda x, y, w: np.concatenate([x.T, y.T], axis=1),
        lambda x, y, w: np.concatenate([x[::-1], y[::2], y[:, ::-1]]),
        lambda x, y, w: np.concatenate([x @ w, y @ w, x]) * 2,
        lambda x, y, w: np.concatenate([x @ w, y @ w, x], axis=1) * 2,
        lambda x, y, w: np.concatenate([np.exp(x), np.exp(x)]),
        lambda x, y, w: np.concatenate([(np.exp(x) * y).reshape(10, 12), (x @ w).reshape(10, 12)]),
        lambda x, y, w: np.concatenate([np.sum(np.exp(x), axis=0, keepdims=True), y, x @ w]),
        lambda x, y, w: np.stack([np.exp(x), y], axis=1).sum(axis=0),
        lambda x, y, w: np.stack([np.exp(x), y, x @ w]) @ w,
        lambda x, y, w: np.concatenate(
            [np.concatenate([np.exp(x), y]), np.concatenate([y, x @ w])]
        ),
        lambda x, y, w: np.concatenate(np.split(np.exp(x) * 2, 4)[::-1]) + y,
        lambda x, y, w: np.concatenate(np.split(x, 5, axis=1), axis=0),
        lambda x, y, w: np.concatenate([np.zeros((1, 10), np.float32), np.cumsum(x, axis=0), y]),
    ]
    compare([(f, [x, y, w]) for f in functions])


PARTS: list[Callable[..., Any]] = [
    lambda x, w: x @ w,
    lambda x, w: (x @ w)[:, 0],
    lambda x, w: np.tanh(x @ w) * 2,
    lambda x, w: np.exp(x).reshape(6, -1),
    lambda x, w: np.sum(np.exp(x), axis=1),
    lambda x, w: np.sum(x, axis=0).reshape(3, 5, 2),
    lambda x, w: np.sort(x, axis=0),
]
USES: list[Callable[..., Any]] = [
    lambda v: v,
    lambda v: np.cumsum(v, 1),
    lambda v: v[None],
    lambda v: np.sum(v, axis=0),
    lambda v: (v * 2).reshape(-1),
    lambda v: v.reshape(-1, 2),
]


@pytest.mark.parametrize("part", range(len(PARTS)))
def test_a_part_that_is_used_elsewhere_is_in_both_places(part: int) -> None:
    rng, f = np.random.default_rng(8), PARTS[part]
    arrays = [some(rng, 2, 3, 10, dtype=np.float64), some(rng, 10, 10, dtype=np.float64)]

    def run(x: Any, w: Any) -> list[Any]:
        values = [(f(x + k, w), use, n) for k, (use, n) in enumerate(product(USES, (2, 3, 4)))]
        return [y for v, use, n in values for y in (use(v), np.concatenate([v] * n))]

    for got, expected in zip(compile(run)(*arrays), run(*arrays), strict=True):
        np.testing.assert_allclose(got, expected, 1e-12, 1e-12)


def test_joined_of_several_dtypes() -> None:
    rng = np.random.default_rng(5)
    kinds = ["float32", "float64", "int32", "bool", "int8"]
    cases: list[tuple[Callable[..., Any], list[Any]]] = []
    for a in kinds:
        for b in kinds:
            xs = [some(rng, 5, 9, dtype=a), some(rng, 6, 9, dtype=b)]
            cases.append((joined(axis=0), xs))
            cases.append((joined(axis=1), [xs[0], xs[1][:5]]))
    compare(cases)


def test_each_half_of_a_gradient_goes_to_its_part() -> None:
    rng = np.random.default_rng(6)
    x, y = some(rng, 8, 9), some(rng, 4, 9)

    def loss(x: Any, y: Any) -> Any:
        a, b, c = np.split(np.concatenate([x, y]) * 2, 3)
        return np.sum(np.sin(a) * b + c)

    first = minigrad.grad(loss, (0, 1))
    compare([(lambda x, y: first(x, y)[0], [x, y]), (lambda x, y: first(x, y)[1], [x, y])])


def test_nothing_is_written_for_parts_that_were_computed_there() -> None:
    x = np.ones((20, 5), np.float32)
    join = lambda x, y: np.concatenate([np.exp(x), y, np.sin(x)]) * 2  # noqa: E731
    schedule = scheduled(join, x, x)
    (kernel,) = (k for k in schedule.kernels if k.kind == "concat")
    text = concat_function(kernel, schedule, plan_buffers(schedule), machine()).text
    assert text.count("for (") == 1  # y is copied
    assert [name_of(v) for v in plan_buffers(schedule).subbuffers] == ["exp", "sin"]


# Copied in panels


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_panels_hold_each_column_and_zeros_after_the_last(dtype: str) -> None:
    """What a product reads of a copy: it is the transpose that is copied, computed on the way."""
    rng = np.random.default_rng(7)
    cases: list[tuple[Callable[..., Any], list[Any]]] = []
    for columns in (4, 7, 8, 15, 17, 31, 33):
        x = some(rng, 30, 11, dtype=dtype)
        y = some(rng, columns, 11, dtype=dtype)
        cases.append((lambda x, y: x @ (np.exp(-y * y) + 1).T, [x, y]))
        cases.append((lambda x, y: np.stack([x, x * 2]) @ np.stack([y.T, y.T + 1]), [x, y]))
    compare(cases, 1e-4 if dtype == "float32" else 1e-11)
    schedule = scheduled(lambda x, y: x @ y.T, some(rng, 30, 11), some(rng, 33, 11))
    (pack,) = (kernel for kernel in schedule.kernels if kernel.kind == "pack")
    layout = pack.stages[0].layout
    assert layout.panel and layout.entries >= 11 * 33 and layout.entries % layout.panel == 0
    texts = code_of(schedule).texts
    # A tail in the copy, of as many zeros as are known here, and in the product.
    zeros = f"z < {layout.panel - 33 % layout.panel};"
    assert [sum(word in text for text in texts) for word in (zeros, "columns")] == [1, 1]


def test_a_copy_is_made_once_for_all_that_read_it() -> None:
    x, w = np.ones((30, 11), np.float32), np.ones((40, 11), np.float32)
    schedule = scheduled(lambda x, w: (x @ w.T, (x * 2) @ w.T, (x + 1) @ w.T), x, w)
    assert [kernel.kind for kernel in schedule.kernels].count("pack") == 1


def test_by_c_and_by_numpy() -> None:
    """The same graph of all of these, each of which NumPy runs op by op."""
    x, rows = Value(None, (), {}, (6, 5), np.dtype("f4"), "input"), np.array([0, -1, 3, 3, 1])
    i = Value(None, (), {}, (5,), np.dtype("i8"), "input")
    g = apply("gather", apply("exp", x), i, index=(ARRAY,))
    total = apply("scatter_add", apply("mul", g, 2), i, shape=(7, 5), index=(ARRAY,))
    both = apply("concatenate", total, x, axis=0, bounds=(0, 7, 13))
    product = apply("matmul", both, apply("transpose", x, axes=(1, 0)))
    graph = Graph([x, i], [], [total, both, product], [])
    array = np.linspace(-1, 1, 30, dtype=np.float32).reshape(6, 5)
    results = []
    for program in (Program(graph, plan_of(graph)), NumpyProgram(graph)):
        program.bind(x, array)
        program.bind(i, rows)
        results.append(program.run())
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, 1e-5, 1e-6)
