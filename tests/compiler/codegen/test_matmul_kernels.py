"""Contractions: products and convolutions of many forms, within rounding of what NumPy computes.

All cases of a test are in one compiled function: each run of the C compiler costs.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import functional as F
from minigrad.compiler import compile
from minigrad.compiler.codegen.matmul_kernels import contract_function
from minigrad.compiler.graph.simplify import simplify
from minigrad.compiler.schedule.buffers import copy_aliased_writes, plan_buffers
from minigrad.compiler.schedule.contractions import pack_operands
from minigrad.compiler.schedule.fusion import schedule_kernels
from minigrad.compiler.schedule.stages import Schedule
from minigrad.compiler.target.machine import Machine, machine
from minigrad.ops.base import registry
from tests.compiler.graphs import trace_of
from tests.compiler.schedules import code_of

KINDS = ["float32", "float64"]
Shape = tuple[int, ...]
Case = tuple[Callable[..., Any], list[np.ndarray]]


def normal(rng: np.random.Generator, *shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.asarray(rng.standard_normal(shape)).astype(dtype)


def check(cases: Sequence[Case], names: Sequence[object] = ()) -> None:
    """Compiled as one, each as exact as its dtype, by the size of its terms, held to float64."""

    def run(inputs: Any) -> Any:
        return [f(*xs) for (f, _), xs in zip(cases, inputs, strict=True)]

    found = compile(run)([xs for _, xs in cases])
    for k, ((f, xs), got) in enumerate(zip(cases, found, strict=True)):
        plain = f(*xs)
        exact = f(*(x.astype(np.float64) if x.dtype.kind == "f" else x for x in xs))
        size = f(*(np.abs(x).astype(np.float64) if x.dtype.kind == "f" else x for x in xs))
        for y, z, e, s in zip(*map(several, (got, plain, exact, size)), strict=True):
            name = names[k] if names else k
            assert (y.dtype, y.shape) == (z.dtype, z.shape), name
            bound = 8 * np.finfo(y.dtype).eps * np.abs(s) + np.finfo(y.dtype).tiny
            far = np.abs(y - e)
            assert (far <= bound).all(), f"{name}: off by {np.max(far)}"


def several(x: Any) -> list[np.ndarray]:
    return [np.asarray(y) for y in (x if isinstance(x, tuple | list) else [x])]


def matmul(x: Any, y: Any) -> Any:
    return x @ y


# Products


@pytest.mark.parametrize("kind", KINDS)
def test_tails_of_tiles_in_each_direction(kind: str) -> None:
    """One row or column less or more than whole tiles have, and than whole vectors."""
    rng = np.random.default_rng(0)
    lanes = machine().vector // np.dtype(kind).itemsize
    columns = [4, lanes - 1, lanes, lanes + 1, 2 * lanes - 1, 2 * lanes, 2 * lanes + 1, 5 * lanes]
    rows = [1, 2, 5, 6, 7, 12, 13, 14, 15, 28, 29]
    depths = [2, 3, 17, 64]
    sizes = [(rows[k % len(rows)], depths[k % 4], n) for k, n in enumerate(columns * 3)]
    sizes += [(m, depths[k % 4], columns[k % 8]) for k, m in enumerate(rows)]
    cases: list[Case] = [
        (matmul, [normal(rng, m, k, dtype=kind), normal(rng, k, n, dtype=kind)])
        for m, k, n in sizes
    ]
    check(cases, sizes)


@pytest.mark.unoptimized
def test_sizes_at_random() -> None:
    rng = np.random.default_rng(1)
    sizes = [tuple(map(int, rng.integers(1, 70, 3))) for _ in range(12)]
    check([(matmul, [normal(rng, m, k), normal(rng, k, n)]) for m, k, n in sizes], sizes)


@pytest.mark.unoptimized
def test_operands_that_are_views() -> None:
    """Transposed, reversed, every other, repeated, or a part: read as they lie, or copied first."""
    rng = np.random.default_rng(2)
    x, y, stack = normal(rng, 33, 29), normal(rng, 29, 37), normal(rng, 3, 29, 37)
    functions: list[Callable[..., Any]] = [
        lambda x, y: y.T @ x.T,
        lambda x, y: x[::-1] @ y[:, ::-1],
        lambda x, y: x[::2, 1:] @ y[1:, ::3],
        lambda x, y: x[:, ::2] @ y[::2],
        lambda x, y: x[5:20, :8] @ y[8:16, 2:35],
        lambda x, y: x @ np.broadcast_to(y[:, :1], (29, 21)),
        lambda x, y: np.broadcast_to(x[:1], (9, 29)) @ y,
        lambda x, y: x @ np.concatenate([y[:10], y[10:]]),
        lambda x, y: np.concatenate([x, x], axis=1) @ np.concatenate([y, y]),
        lambda x, y: np.pad(x, 2) @ np.pad(y, 2),
        lambda x, y: x.reshape(29, 33).T @ y,
        lambda x, y: x @ y.reshape(37, 29).T,
        lambda x, y: (x * 2 + 1) @ (y * y),
    ]
    check([(f, [x, y]) for f in functions] + [(lambda s: s[1].T @ s[2], [stack])])


@pytest.mark.unoptimized
def test_stacks_of_products() -> None:
    rng = np.random.default_rng(3)
    shapes: list[tuple[Shape, Shape]] = [
        ((2, 7, 5), (2, 5, 9)),
        ((2, 7, 5), (5, 9)),
        ((7, 5), (2, 5, 9)),
        ((3, 1, 7, 5), (2, 5, 9)),
        ((3, 1, 7, 5), (1, 4, 5, 33)),
        ((2, 3, 16, 8), (2, 3, 8, 16)),
        ((6, 1, 5), (6, 5, 40)),
        ((6, 40, 5), (6, 5, 4)),
        ((20, 2, 2), (20, 2, 4)),
    ]
    cases: list[Case] = [(matmul, [normal(rng, *a), normal(rng, *b)]) for a, b in shapes]
    q = normal(rng, 2, 11, 3, 8)  # as heads of attention lie
    heads = lambda q: q.transpose(0, 2, 1, 3) @ q.transpose(0, 2, 3, 1)  # noqa: E731
    mixed = lambda q: (q.transpose(0, 2, 1, 3) @ np.ones((3, 8, 8), np.float32)).sum(axis=1)  # noqa: E731
    check([*cases, (heads, [q]), (mixed, [q])], [*shapes, "heads", "mixed"])


def test_vectors() -> None:
    rng = np.random.default_rng(4)
    x, v, w = normal(rng, 17, 19), normal(rng, 19), normal(rng, 17)
    functions: list[Callable[..., Any]] = [
        lambda x, v, w: x @ v,
        lambda x, v, w: w @ x,
        lambda x, v, w: v @ v,
        lambda x, v, w: np.outer(w, v),
        lambda x, v, w: x @ v[:, None],
    ]
    check([(f, [x, v, w]) for f in functions])


@pytest.mark.unoptimized
@pytest.mark.parametrize("kind", KINDS)
def test_a_long_depth_and_a_large_product(kind: str) -> None:
    """More than stays in a cache: y is cut up, and sums of parts are kept between."""
    rng = np.random.default_rng(5)
    sizes = [(9, 5000, 20), (150, 300, 260), (3, 70, 1000), (500, 9, 10)]
    check(
        [
            (matmul, [normal(rng, m, k, dtype=kind), normal(rng, k, n, dtype=kind)])
            for m, k, n in sizes
        ],
        sizes,
    )


@pytest.mark.unoptimized
@pytest.mark.parametrize("kind", KINDS)
def test_narrow_products_of_transposed_matrices(kind: str) -> None:
    """Whose rows fill vectors instead of their columns: kernels of products, as others are."""
    rng = np.random.default_rng(12)
    sizes = [(3, 37, 16, 2), (2, 5, 33, 3), (4, 9, 5, 1), (1, 1000, 100, 2), (1, 3000, 17, 1)]
    transposed = lambda x, d: np.swapaxes(x, -1, -2) @ d  # noqa: E731
    update = lambda x, d: np.ones(3, x.dtype)[-d.shape[-1] :] + x.T @ d / 8  # noqa: E731
    functions: list[Callable[..., Any]] = [
        transposed,
        lambda x, d: np.tanh(transposed(np.exp(x / 9), d) / 99),
        lambda x, d: (x[0].T @ d[0]).reshape(-1, 1) + 1,
        lambda x, d: update(x[0], d[0]),
        lambda x, d: (d[0].T @ x[0]).T,
        lambda x, d: transposed(x, d).sum(),
        lambda x, d: x[0].T @ d[0][:, 0],
    ]
    cases: list[Case] = []
    for n, depth, rows, columns in sizes:
        arrays = [
            normal(rng, n, depth, rows, dtype=kind),
            normal(rng, n, depth, columns, dtype=kind),
        ]
        cases += [(f, arrays) for f in functions]
    check(cases)
    x, d = normal(rng, 100, 32, 16, dtype=kind), normal(rng, 100, 32, 2, dtype=kind)
    assert [k.kind for k in scheduled(transposed, [x, d], 64).kernels] == ["contract"]


@pytest.mark.unoptimized
@pytest.mark.parametrize("kind", KINDS)
def test_narrow_products_by_vectors_along_their_rows(kind: str) -> None:
    """Of any depth: what fills no vector is left over; long ones are added up in parts."""
    rng = np.random.default_rng(13)
    sizes = [(3, 8, 16, 1), (2, 9, 37, 2), (2, 33, 50, 3), (1, 8, 7000, 2), (1, 20, 40_003, 1)]
    functions: list[Callable[..., Any]] = [
        matmul,
        lambda x, w: np.tanh(np.exp(x / 9) @ w / 99) * x[..., :1],
        lambda x, w: x[0] @ w[0, :, 0] + 1,
        lambda x, w: x[0, :8] @ (w[0, :, :1] * x[0, :1].T),
        lambda x, w: (x @ w).sum(axis=1),
    ]
    cases: list[Case] = []
    for n, rows, depth, columns in sizes:
        arrays = [
            normal(rng, n, rows, depth, dtype=kind),
            normal(rng, n, depth, columns, dtype=kind),
        ]
        cases += [(f, arrays) for f in functions]
    x, w = normal(rng, 30, 80, dtype=kind), normal(rng, 40, 2, dtype=kind)
    views: list[Callable[..., Any]] = [
        lambda x, w: x[:, ::2] @ w,
        lambda x, w: x[::3, 40:] @ w[::-1, :1],
        lambda x, w: np.broadcast_to(x[:, :1], (30, 40)) @ w,
        lambda x, w: np.broadcast_to(x[:1, :40], (9, 40)) @ w,
        lambda x, w: x[:, :40].reshape(5, 6, 40) @ w,
    ]
    check([*cases, *((f, [x, w]) for f in views)])
    assert "contract" in [k.kind for k in scheduled(matmul, [x, normal(rng, 80, 2)], 64).kernels]


def test_dtypes_that_are_mixed() -> None:
    rng = np.random.default_rng(6)
    x, y = normal(rng, 9, 7), normal(rng, 7, 33, dtype=np.float64)
    whole = rng.integers(-5, 5, (7, 33))
    found = compile(lambda x, y, n: (x @ y, x @ n, n.T @ n))(x, y, whole)
    for got, expected in zip(found, (x @ y, x @ whole, whole.T @ whole), strict=True):
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, 1e-12 if got.dtype == "f8" else 0)


def test_nan_and_infinities_stay_in_their_rows_and_columns() -> None:
    """What fills up a tile is not added to what is there."""
    x, y = np.ones((13, 21), np.float32), np.ones((21, 35), np.float32)
    x[3, 4], y[7, 34], x[12, 20] = np.nan, np.inf, -np.inf
    found = compile(lambda x, y: (x @ y, y.T @ x.T, x @ y[:, 33:], y.T @ x[3]))(x, y)
    with np.errstate(invalid="ignore"):
        expected = x @ y, (x @ y).T, x @ y[:, 33:], y.T @ x[3]
    for got, each in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got, each)


def test_operations_fused_behind_a_product() -> None:
    """It goes with the tile: broadcast, read at other indices, in other shapes, given away too."""
    rng = np.random.default_rng(7)
    x, w, b, r = normal(rng, 30, 19), normal(rng, 19, 45), normal(rng, 45), normal(rng, 30, 1)

    def all_of_them(x: Any, w: Any, b: Any, r: Any) -> Any:
        y = x @ w
        z = y + b
        return (
            y,
            np.maximum(z, 0),
            (x @ (w * 2)) * r,
            (x @ (w + 1)).reshape(10, 3, 45) + np.reshape(r, (10, 3, 1)),
            ((w.T @ x.T).T + b)[::-1],
            (x @ (w - 1)) * np.arange(45, dtype=np.float32)
            + np.arange(30, dtype=np.float32)[:, None],
        )

    found, exact = (
        compile(all_of_them)(x, w, b, r),
        all_of_them(*(v.astype("f8") for v in (x, w, b, r))),
    )
    for got, expected in zip(found, exact, strict=True):
        np.testing.assert_allclose(got, expected, 1e-4, 1e-4 * np.abs(expected).max())


@pytest.mark.unoptimized
def test_a_view_that_others_store_is_read_where_its_columns_are_adjacent() -> None:
    """The transposed array is stored too, for the solution: there, its columns are apart."""
    rng = np.random.default_rng(4)
    k, b = normal(rng, 12, 12) + 12 * np.eye(12), normal(rng, 2, 12)

    def f(k: Any, b: Any) -> Any:
        twice = (b * 2).T
        return twice @ (b @ np.linalg.solve(k, twice) * 2), np.linalg.solve(k, twice)

    for got, expected in zip(compile(f)(k, b), f(k, b), strict=True):
        np.testing.assert_allclose(got, expected, 1e-10)


# Convolutions


def conv(**how: Any) -> Callable[..., Any]:
    return lambda x, w: registry["conv2d"](x, w, **how)


CONVOLUTIONS: list[tuple[Shape, Shape, Any, Any, int]] = [
    # images, weights, stride, dilation, groups
    ((2, 3, 8, 9), (4, 3, 3, 3), (1, 1), (1, 1), 1),
    ((2, 3, 8, 9), (8, 3, 3, 3), (1, 1), (1, 1), 1),
    ((2, 3, 8, 9), (8, 3, 3, 2), (2, 3), (1, 1), 1),
    ((2, 3, 11, 10), (8, 3, 3, 2), (1, 1), (2, 3), 1),
    ((2, 3, 11, 10), (8, 3, 3, 2), (2, 1), (1, 2), 1),
    ((2, 6, 8, 8), (8, 3, 3, 3), (1, 1), (1, 1), 2),
    ((2, 6, 9, 8), (12, 2, 2, 3), (2, 1), (2, 1), 3),
    ((2, 6, 8, 8), (6, 1, 3, 3), (1, 1), (1, 1), 6),
    ((1, 5, 6, 7), (17, 5, 1, 1), (1, 1), (1, 1), 1),
    ((4, 16, 3, 24), (1, 16, 1, 1), (1, 1), (1, 1), 1),
    ((3, 5, 4, 4), (33, 5, 4, 4), (1, 1), (1, 1), 1),
    ((8, 3, 7, 7), (5, 3, 3, 3), (1, 1), (1, 1), 1),
    ((5, 1, 20, 1), (3, 1, 5, 1), (1, 1), (1, 1), 1),
    ((5, 2, 1, 20), (3, 2, 1, 5), (1, 2), (1, 1), 1),
    # Strides that do and do not divide the kernel and the image, and that exceed the kernel.
    ((2, 3, 13, 16), (20, 3, 4, 4), (2, 2), (1, 1), 1),
    ((2, 4, 15, 14), (6, 2, 5, 3), (3, 2), (1, 1), 2),
    ((3, 2, 7, 11), (5, 2, 1, 2), (2, 3), (1, 1), 1),
    ((2, 3, 7, 10), (5, 3, 1, 1), (2, 3), (1, 1), 1),
    ((1, 1, 6, 6), (1, 1, 2, 2), (2, 2), (1, 1), 1),
    ((2, 70, 9, 8), (210, 70, 3, 3), (2, 2), (1, 1), 1),
]
STRIDED_IMAGES_LAST: list[tuple[Shape, Shape, Any, Any, int]] = [
    ((8, 3, 10, 11), (5, 3, 3, 4), (2, 2), (1, 1), 1)
]


def example(case: tuple[Shape, Shape, Any, Any, int], kind: str) -> tuple[Any, list[np.ndarray]]:
    images, weights, stride, dilation, groups = case
    rng = np.random.default_rng(8)
    how = {"stride": stride, "dilation": dilation, "groups": groups}
    return how, [normal(rng, *images, dtype=kind), normal(rng, *weights, dtype=kind)]


@pytest.mark.unoptimized
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alone", [True, False])
def test_convolutions(kind: str, alone: bool) -> None:
    """Alone, channels or images may be the columns; where there are many, all lie the same."""
    groups = (
        [[case] for case in CONVOLUTIONS[:2] + CONVOLUTIONS[10:11]] if alone else [CONVOLUTIONS]
    )
    for cases in groups:
        made = [example(case, kind) for case in cases]
        check([(conv(**how), xs) for how, xs in made], cases)


@pytest.mark.unoptimized
@pytest.mark.parametrize("images_last", [False, True])
def test_convolutions_backwards(images_last: bool) -> None:
    """To the weights and the images, of what is not all of one layout."""
    some = CONVOLUTIONS[10:11] + STRIDED_IMAGES_LAST if images_last else CONVOLUTIONS
    made = [example(case, "float32") for case in some]

    def gradients(how: Any) -> Callable[..., Any]:
        def gradient(x: Any, w: Any) -> Any:
            y = conv(**how)(x, w)
            _, pull = minigrad.vjp(conv(**how), x, w)
            return tuple(pull(y / y))

        return gradient

    check([(gradients(how), xs) for how, xs in made], some)


FEW_CHANNELS: list[tuple[Shape, Shape, dict[str, Any]]] = [
    ((3, 32, 6, 7), (1, 32, 3, 3), {"padding": 1}),
    ((9, 16, 5, 6), (3, 16, 3, 2), {"padding": 1, "stride": (1, 2)}),
    ((2, 48, 6, 6), (2, 48, 3, 3), {}),
    ((2, 33, 6, 6), (1, 33, 3, 3), {"padding": 1}),  # no whole vectors
    ((9, 64, 9, 9), (2, 64, 3, 3), {"padding": 1}),  # in several parts
    ((2, 32, 6, 6), (5, 32, 1, 1), {}),
    ((2, 64, 6, 6), (4, 32, 3, 3), {"groups": 2}),
]


@pytest.mark.unoptimized
@pytest.mark.parametrize("kind", KINDS)
def test_convolutions_to_few_channels(kind: str) -> None:
    """And transposed ones from few, which are gradients of each other."""
    rng = np.random.default_rng(15)
    cases: list[Case] = []
    for images, weights, how in FEW_CHANNELS:

        def gradients(x: Any, w: Any, how: dict[str, Any] = how) -> Any:
            y, pull = minigrad.vjp(lambda x, w: F.conv2d(x, w, **how), x, w)
            return y, *pull(y)

        def transposed(x: Any, w: Any, how: dict[str, Any] = how) -> Any:
            w = w[: w.shape[0] // how.get("groups", 1)]
            y, pull = minigrad.vjp(lambda x, w: F.conv_transpose2d(x, w), x, np.swapaxes(w, 0, 1))
            return y, *pull(y)

        xs = [rng.integers(1, 4, shape).astype(kind) for shape in (images, weights)]
        cases += [(gradients, xs)]
        if how.get("groups", 1) == 1:
            cases += [(transposed, xs)]
    check(cases)


def test_few_channels_fill_vectors() -> None:
    """Of the inputs, which are many: along the sum of each result, or as columns."""
    rng = np.random.default_rng(16)
    x, w, v = normal(rng, 4, 32, 9, 9), normal(rng, 1, 32, 3, 3), normal(rng, 32, 32, 3, 3)

    def network(x: Any, v: Any, w: Any) -> Any:
        return F.conv2d(F.relu(F.conv2d(x, v, padding=1)), w, padding=1)

    def step(x: Any, v: Any, w: Any) -> Any:
        return minigrad.grad(lambda v, w: (network(x, v, w) ** 2).sum(), (0, 1))(v, w)

    found = {x.shape: it for x, it in scheduled(step, [x, v, w], 64).contractions.items()}
    assert found[4, 1, 9, 9].along_depth
    assert found[1, 32, 3, 3].columns == 32
    back = scheduled(
        lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1), [x, np.swapaxes(w, 0, 1)], 64
    )
    assert [it.along_depth for it in back.contractions.values()] == [True]


BORDERS: list[tuple[Shape, Shape, dict[str, Any]]] = [
    # Of many images, which are the rows of tiles, and of few; of all kinds of steps.
    ((9, 3, 8, 7), (20, 3, 3, 3), {"padding": 1}),
    ((9, 3, 8, 7), (20, 3, 5, 4), {"padding": (3, 2), "stride": (2, 1)}),
    ((16, 4, 5, 6), (6, 2, 3, 3), {"padding": 2, "dilation": 2, "groups": 2}),
    ((2, 3, 8, 9), (20, 3, 3, 3), {"padding": 1}),
    ((2, 3, 8, 9), (20, 3, 4, 4), {"padding": 1, "stride": 2}),
    ((8, 6, 8, 8), (6, 1, 3, 3), {"padding": 1, "groups": 6}),
    ((8, 2, 3, 2), (20, 2, 2, 2), {"padding": 3}),  # of which corners see no image
    ((16, 50, 4, 4), (20, 50, 3, 3), {"padding": 1}),  # in several parts
]


@pytest.mark.unoptimized
@pytest.mark.parametrize("kind", KINDS)
def test_convolutions_with_borders_and_their_gradients(kind: str) -> None:
    rng = np.random.default_rng(14)
    cases: list[Case] = []
    for images, weights, how in BORDERS:

        def gradients(x: Any, w: Any, how: dict[str, Any] = how) -> Any:
            y, pull = minigrad.vjp(lambda x, w: F.conv2d(x, w, **how), x, w)
            return y, *pull(y)

        def transposed(x: Any, w: Any, how: dict[str, Any] = how) -> Any:
            y = F.conv2d(x, w, **how)
            return F.conv_transpose2d(y, w, **how)

        xs = [rng.integers(1, 4, shape).astype(kind) for shape in (images, weights)]
        cases += [(f, xs) for f in (gradients, transposed)]
    check(cases)


LONG: list[tuple[Shape, Shape]] = [
    # Sums of so many terms that their first loop goes around those over tiles: of many images, of
    # a single one, and of a kernel of one row.
    ((16, 5, 14, 13), (34, 5, 1, 1)),
    ((1, 4, 50, 47), (34, 4, 3, 3)),
    ((2, 1100, 5, 5), (34, 1100, 1, 2)),
]


@pytest.mark.unoptimized
@pytest.mark.parametrize("case", LONG)
def test_gradients_of_convolutions_that_are_long_sums(case: tuple[Shape, Shape]) -> None:
    rng = np.random.default_rng(12)

    def gradients(x: Any, w: Any) -> Any:
        y, pull = minigrad.vjp(conv(stride=(1, 1), dilation=(1, 1), groups=1), x, w)
        return y, *pull(y / y)

    check([(gradients, [normal(rng, *shape) for shape in case])])


@pytest.mark.unoptimized
def test_networks_of_convolutions_in_both_layouts() -> None:
    """With what is between: padding, norms over channels, pooling, and a last product."""
    for n, channels in ((8, 6), (3, 16)):
        rng = np.random.default_rng(9)
        x, v, w = (
            normal(rng, n, 3, 12, 12),
            normal(rng, channels, 3, 3, 3),
            normal(rng, 10, channels * 9),
        )
        u, b = normal(rng, channels, channels, 3, 3) / 8, normal(rng, channels)

        def loss(v: Any, u: Any, w: Any, b: Any, x: Any, n: int = n) -> Any:
            h = F.relu(F.conv2d(x, v, b, padding=1))
            h = F.max_pool2d(h, 2)
            h = h - h.mean(axis=(0, 2, 3), keepdims=True)
            h = F.avg_pool2d(F.conv2d(h, u, padding=1), 2)
            return np.sum(np.tanh(F.linear(h.reshape(n, -1), w)) ** 2)

        gradient = minigrad.value_and_grad(loss, (0, 1, 2, 3, 4))
        found, expected = compile(gradient)(v, u, w, b, x), gradient(v, u, w, b, x)
        for got, each in zip([found[0], *found[1]], [expected[0], *expected[1]], strict=True):
            got, each = (
                np.asarray(getattr(got, "data", got)),
                np.asarray(getattr(each, "data", each)),
            )
            np.testing.assert_allclose(got, each, 1e-3, 1e-4 * np.abs(each).max())


# The text, for other machines


def scheduled(function: Callable[..., Any], arguments: Any, vector: int) -> Schedule:
    traced = trace_of(function, *arguments)
    return schedule_kernels(pack_operands(copy_aliased_writes(simplify(traced.graph)), vector))


@pytest.mark.parametrize("vector, registers", [(16, 16), (16, 32), (32, 16), (64, 32)])
@pytest.mark.parametrize("kind", KINDS)
def test_sums_fit_in_the_registers(vector: int, registers: int, kind: str) -> None:
    """Of a tile, with what is read of y, and one number of x."""
    rng = np.random.default_rng(10)
    for n in (4, 15, 16, 33, 64):
        arrays = [normal(rng, 50, 20, dtype=kind), normal(rng, 20, n, dtype=kind)]
        schedule = scheduled(matmul, arrays, vector)
        (kernel,) = (k for k in schedule.kernels if k.kind == "contract")
        text = contract_function(
            kernel, schedule, plan_buffers(schedule), Machine(vector, registers, 1)
        ).text
        name = f"vec_{'float' if kind == 'float32' else 'double'}"
        rows = [line for line in text.split("\n") if line.startswith(f"{name} s")]
        tiles = text.count("y0, x0")
        vectors = text.count(f"const {name} y") // tiles
        assert tiles in (1, 2) and vectors in (1, 2)
        assert -(-len(rows) // tiles) + vectors + 1 <= registers
        # Without tails, a tile goes straight to where it is kept.
        assert ("z[" in text) is (n % (vectors * vector // np.dtype(kind).itemsize) != 0)


@pytest.mark.parametrize(("rows", "count"), [(64, 1), (14, 2), (12, 1)])
def test_tiles_that_waste_little_have_one_text(rows: int, count: int) -> None:
    """Tiles of up to 6 rows: 11 of 64 rows, of which 2 have 5; 3 of 14, of which one has 4."""
    x, y = np.ones((rows, 32), np.float32), np.ones((32, 16), np.float32)
    (text,) = code_of(scheduled(lambda x, y: np.tanh(x @ y), [x, y], 32)).texts
    assert text.count(" s0_0 = {0};") == count
    assert text.count("*p0_ = ") == count  # one address for the rows of a tile
    (text,) = code_of(scheduled(matmul, [x, y], 32)).texts
    # Stored from registers, where the next tile's first row is not written.
    assert text.count(" s0_0 = {0};") == 1 + (rows != 12)


def text_of(function: Callable[..., Any], *arguments: np.ndarray) -> str:
    """The C of the only contraction in a function, for AVX-512."""
    schedule = scheduled(function, arguments, 64)
    (kernel,) = (k for k in schedule.kernels if k.kind == "contract")
    return contract_function(kernel, schedule, plan_buffers(schedule), Machine(64, 32, 1)).text


@pytest.mark.parametrize("columns", [2, 3])
def test_rows_of_few_columns_are_stored_whole_and_their_lanes_summed_together(columns: int) -> None:
    """Else C stores every second number one by one, and adds up one sum after the other."""
    rng = np.random.default_rng(11)
    arrays = [normal(rng, 64, 32), normal(rng, 32, columns), normal(rng, columns)]
    text = text_of(lambda x, y, b: x @ y + b, *arrays)
    epilogue = r"SIMD\(\)\n *for \(int64_t er.*\n *UNROLLED\n *for \(int64_t ec = 0; ec < (\d)"
    assert re.findall(epilogue, text) == [str(columns)]
    registers = text.count("vec_float s")
    assert text.count("sums_of_float(") == registers // 16
    assert text.count("sum_of_float(") == registers % 16


@pytest.mark.parametrize("columns, masks", [(27, 1), (16, 0), (32, 0)])
def test_the_last_columns_of_a_panel_are_a_masked_vector(columns: int, masks: int) -> None:
    rng = np.random.default_rng(12)
    text = text_of(lambda x, y: np.tanh(x @ y), normal(rng, 40, 16), normal(rng, 16, columns))
    assert text.count("if ((ec") == masks
