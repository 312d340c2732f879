"""The order in memory of what convolutions compute, and of what is computed from it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import functional as F
from minigrad.compiler import compile
from minigrad.compiler.codegen.statistics import Description, described
from minigrad.compiler.graph.ir import name_of
from minigrad.compiler.graph.opset.contractions import CHANNELS_LAST, IMAGES_LAST
from minigrad.compiler.schedule.buffers import plan_buffers
from tests.compiler.schedules import code_of, normal, scheduled

pytestmark = pytest.mark.unoptimized

X, W = normal(4, 16, 12, 12), normal(16, 16, 3, 3, seed=1) / 12
SCALE, SHIFT = normal(16, seed=2), normal(16, seed=3)
ROWS = np.repeat(np.arange(12), 2)


def convolved(x: Any, w: Any) -> Any:
    return F.conv2d(x, w, padding=1)


def grouped(x: Any, w: Any, scale: Any, shift: Any) -> Any:
    """A convolution between two norms over groups of channels."""
    x = F.group_norm(convolved(x, w), 4, scale, shift)
    return F.group_norm(convolved(F.silu(x), w), 4, scale, shift)


def orders(f: Callable[..., Any], op: str, *arguments: Any) -> set[tuple[int, ...]]:
    """Those of the results of an op."""
    schedule = scheduled(f, *arguments)
    return {layout.order for x, layout in schedule.layouts.items() if name_of(x) == op}


def description(f: Callable[..., Any], *arguments: Any) -> Description:
    schedule = scheduled(f, *arguments)
    return described(schedule, plan_buffers(schedule), code_of(schedule), 2)


def moved(f: Callable[..., Any], *arguments: Any) -> int:
    """The bytes that its kernels read and write."""
    found = description(f, *arguments)
    kernels = [found.kernels[call.kernel] for call in found.calls]
    return sum(kernel.read + kernel.written for kernel in kernels)


# What keeps the order of a convolution


@pytest.mark.parametrize(
    ("change", "op", "order"),
    [
        (lambda y: y.reshape(4, 4, 4, 12, 12), "reshape", (0, 3, 4, 1, 2)),
        (lambda y: y.reshape(4, 16, 144), "reshape", (0, 2, 1)),
        (lambda y: y.reshape(2, 2, 16, 1, 12, 3, 4), "reshape", (0, 1, 3, 4, 5, 6, 2)),
        (lambda y: y.reshape(64, 12, 12), "reshape", (0, 1, 2)),  # images are not beside channels
        (lambda y: y.reshape(4, -1), "reshape", (0, 1)),
        (lambda y: np.concatenate([y, y * y], 1), "concatenate", CHANNELS_LAST),
        (lambda y: np.concatenate([X, y], 1), "concatenate", CHANNELS_LAST),
        (lambda y: y[:, :, ROWS], "gather", CHANNELS_LAST),
        (lambda y: y[:, :, ROWS, ROWS], "gather", (0, 2, 1)),
        (lambda y: y[ROWS % 4, :, None, ROWS], "gather", (2, 0, 3, 1)),
        (lambda y: y[:, ROWS.reshape(4, 6)], "gather", (0, 3, 4, 1, 2)),
    ],
)
def test_what_moves_nothing_keeps_the_order(
    change: Callable[[Any], Any], op: str, order: tuple[int, ...]
) -> None:
    assert orders(lambda x, w: np.tanh(change(convolved(x, w))), op, X, W) == {order}


def test_one_entry_can_be_reshaped_to_none() -> None:
    x, w = X[:1, :, :3, :3], W[:1]
    assert orders(lambda x, w: F.conv2d(x, w).reshape(()), "reshape", x, w) == {()}


def test_the_order_is_that_of_the_largest_input() -> None:
    """And not of one of which nothing is in another order, as of a mean over positions."""

    def f(x: Any, w: Any) -> Any:
        means = convolved(x, w).mean(axis=(2, 3), keepdims=True)
        return np.tanh(means * 2 + x)

    assert orders(f, "tanh", X, W) == {(0, 1, 2, 3)}
    assert orders(lambda x, w: np.tanh(convolved(x, w) + x), "tanh", X, W) == {CHANNELS_LAST}


def test_norms_of_groups_read_what_a_convolution_wrote() -> None:
    """Channels are the innermost loops of all kernels, and no image is read more often."""
    found = description(grouped, X, W, SCALE, SHIFT)
    images = [kernel for kernel in found.kernels if kernel.read >= X.nbytes]
    assert len(images) >= 4 and {kernel.loops[-1] for kernel in images} <= {4, 16}
    assert moved(grouped, X, W, SCALE, SHIFT) < 13 * X.nbytes


@pytest.mark.parametrize("channels", [16, 64])
def test_a_norm_of_groups_after_a_convolution_is_one_kernel(channels: int) -> None:
    """Sums of channels, then of those of a group, and what is computed of these: of each image."""

    def norm(x: Any, w: Any, scale: Any, shift: Any) -> Any:
        return F.silu(F.group_norm(F.conv2d(x, w), 8, scale, shift))

    x, w = normal(4, channels, 12, 12), normal(channels, channels, 1, 1)
    kernels = scheduled(norm, x, w, normal(channels), normal(channels)).kernels
    after = kernels[[kernel.kind for kernel in kernels].index("contract") + 1 :]
    assert [(kernel.kind, kernel.rows) for kernel in after] == [("rows", 4)]


def test_the_weights_of_a_convolution_read_the_copy_that_it_read() -> None:
    """With zeros around images, which are not reordered to be summed over."""

    def f(x: Any, w: Any) -> Any:
        return minigrad.grad(lambda w: np.sum(np.sin(convolved(np.tanh(convolved(x, W)), w))))(w)

    copies = [k for k in description(f, X, W).kernels if ("pad", (4, 16, 14, 14)) in k.ops]
    assert copies and {kernel.loops for kernel in copies} == {(4, 14, 14, 16)}


# Which axis fills vectors: MACHINE has 8 lanes


@pytest.mark.parametrize(
    ("images", "channels", "order"),
    [
        (64, [1, 1], IMAGES_LAST),
        (4, [1, 1], IMAGES_LAST),  # four of eight lanes, in place of one
        (2, [3, 3], CHANNELS_LAST),  # two, in place of three
        (64, [4, 4], IMAGES_LAST),
        (64, [16, 16], CHANNELS_LAST),
        (64, [12, 12], CHANNELS_LAST),  # not so many more that it pays
        (64, [1, 16, 16], CHANNELS_LAST),  # one convolution of few channels does not decide
        (64, [16, 16, 16, 1], CHANNELS_LAST),
        (64, [12, 1], IMAGES_LAST),  # but where it takes most of the time
    ],
)
def test_images_come_last_if_they_fill_vectors_better(
    images: int, channels: list[int], order: tuple[int, ...]
) -> None:
    shapes = zip(channels[1:], channels, strict=False)
    weights = [normal(channels[0], 2, 3, 3), *(normal(o, i, 3, 3) for o, i in shapes)]

    def f(x: Any, weights: list[Any]) -> Any:
        for w in weights:
            x = np.tanh(convolved(x, w))
        return x

    assert orders(f, "conv2d", normal(images, 2, 6, 6), weights) == {order}


# Sums over few adjacent terms, and others


def sums(f: Callable[..., Any], *arguments: Any) -> list[tuple[int, ...]]:
    """The shapes of sums, in order: if threads add up parts, in two kernels."""
    kernels = description(f, *arguments).kernels
    shapes = (shape for k in kernels for op, shape in k.ops if op in ("sum", "max"))
    return [*dict.fromkeys(shapes)]


def test_sums_over_groups_add_up_vectors() -> None:
    """Sums over the outer axes come first, as vectors of shape (8, 4); then those over the last."""
    x = normal(50, 8, 4)
    assert sums(lambda x: np.sum(x, axis=(0, 2)), x) == [(1, 8, 4), (8,)]
    assert sums(lambda x: np.max(x, axis=(0, -1), keepdims=True), x) == [(1, 8, 4), (1, 8, 1)]
    assert sums(lambda x: np.sum(x, axis=(0, 1)), x) == [(4,)]
    assert sums(lambda x: np.sum(x, axis=(1, 2)), x) == [(50,)]
    assert sums(lambda x: np.sum(x), x) == [()]
    assert sums(lambda x: np.sum(x, axis=(0, 2)), normal(50, 8, 400)) == [(8,)]  # rows are long


# The numbers


def change(rng: np.random.Generator, shape: tuple[int, ...]) -> Callable[[Any], Any]:
    """One that keeps an order, or one that does not."""
    axis, n = int(rng.integers(len(shape))), len(shape)
    split = next(k for k in (3, 2, 1) if shape[axis] % k == 0)
    rows, axes = rng.integers(0, shape[axis], 3), tuple(rng.permutation(n).tolist())
    found: list[Callable[[Any], Any]] = [
        lambda y: y.reshape(*shape[:axis], split, -1, *shape[axis + 1 :]),
        lambda y: y.reshape(*shape[:-2], -1),
        lambda y: y.transpose(axes),
        lambda y: np.concatenate([np.tanh(y), y[::-1] * 2], axis),
        lambda y: y[(slice(None),) * axis + (rows,)],
        lambda y: y - np.mean(y, axis=axes[:2], keepdims=True),
        lambda y: np.cumsum(y, axis),
        lambda y: np.sort(y, axis),
    ]
    return found[int(rng.integers(len(found)))]


def case(seed: int) -> tuple[Callable[..., Any], list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    n, c, o = (int(k) for k in rng.choice([1, 2, 3, 8, 12, 17], 3))
    h, w = (int(k) for k in rng.integers(1, 7, 2))
    steps, y = [], np.zeros((n, o, h, w))
    for _ in range(4):
        steps.append(change(rng, y.shape))
        y = steps[-1](y)

    def f(x: Any, w: Any) -> Any:
        y = convolved(x, w)
        for step in steps:
            y = step(y)
        axes = tuple({0, len(y.shape) - 1})
        return y, np.sum(y * y, axis=axes), np.max(y, axis=axes)

    return f, [normal(n, c, h, w, seed=seed), normal(o, c, 3, 3, seed=seed) / 3]


def loss(f: Callable[..., Any], *xs: Any) -> Any:
    return np.sum(np.sin(f(*xs)[0]))


def all_close(found: Any, expected: Any) -> None:
    for x, y in zip(found, expected, strict=True):
        x, y = np.asarray(x), np.asarray(y)
        assert x.shape == y.shape
        np.testing.assert_allclose(x, y, 1e-3, 1e-4 * np.abs(y).max())


def test_numbers_do_not_depend_on_the_order() -> None:
    """Nor do gradients: of random shapes, with what splits, joins and moves axes after them."""
    cases = [case(seed) for seed in range(12)]

    def run(arrays: Any) -> Any:
        found: list[Any] = []
        for (f, _), xs in zip(cases, arrays, strict=True):
            y, *reduced = f(*xs)
            found += [y, *reduced, *minigrad.grad(partial(loss, f), (0, 1))(*xs)]
        return found

    arrays = [xs for _, xs in cases]
    all_close(compile(run)(arrays), run(arrays))


def test_norms_of_groups_backwards() -> None:
    def gradients(*xs: Any) -> Any:
        return minigrad.grad(lambda *xs: np.sum(np.sin(grouped(*xs))), (0, 1, 2, 3))(*xs)

    all_close(compile(gradients)(X, W, SCALE, SHIFT), gradients(X, W, SCALE, SHIFT))


# Products of few terms whose rows are reduced

POINTS, CENTRES = normal(7000, 8), normal(40, 8, seed=1)


def distances(x: Any, c: Any) -> Any:
    return np.sum(x * x, axis=1, keepdims=True) - 2 * x @ c.T + np.sum(c * c, axis=1)


def nearest(x: Any, c: Any) -> Any:
    return np.argmin(distances(x, c), axis=1)


def loss_of_clusters(x: Any, c: Any) -> Any:
    return np.sum(np.min(distances(x, c), axis=1))


def largest(x: Any, c: Any) -> Any:
    """Of a product itself, which is computed once for what is equal to it."""
    return np.sum(np.max(x @ c.T, axis=1))


def partition(x: Any, c: Any) -> Any:
    return F.logsumexp(x @ c.T, axis=1)


@pytest.mark.parametrize("function", [nearest, loss_of_clusters, largest, partition])
def test_products_whose_rows_are_reduced_are_not_stored(function: Callable[..., Any]) -> None:
    kinds = {kernel.kind for kernel in scheduled(function, POINTS, CENTRES).kernels}
    assert "contract" not in kinds
    assert moved(function, POINTS, CENTRES) < 4 * POINTS.nbytes
    assert moved(function, POINTS, CENTRES) < POINTS.shape[0] * CENTRES.nbytes / 4


@pytest.mark.parametrize(
    ("function", "x", "c"),
    [
        (loss_of_clusters, normal(700, 8), CENTRES),  # in cache
        (loss_of_clusters, normal(7000, 17), normal(40, 17)),  # of many terms
        (lambda x, c: np.sum(np.max(x @ c.T, axis=0)), POINTS, CENTRES),  # of columns
        (lambda x, c: (np.max(x @ c.T, axis=1), x @ c.T), POINTS, CENTRES),  # stored anyway
    ],
)
def test_other_products_are_by_tiles(function: Callable[..., Any], x: Any, c: Any) -> None:
    assert "contract" in {kernel.kind for kernel in scheduled(function, x, c).kernels}


def test_derivatives_of_nearest_centres_store_no_distances() -> None:
    def derivative(x: Any, c: Any) -> Any:
        return minigrad.grad(loss_of_clusters, 1)(x, c)

    bytes_of_distances = POINTS.shape[0] * CENTRES.shape[0] * 4
    # Which centre is the nearest is written, and read by the product with the points.
    assert moved(derivative, POINTS, CENTRES) < 2 * bytes_of_distances + 5 * POINTS.nbytes


def test_numbers_of_rows_of_products() -> None:
    x, c = normal(7001, 8).astype(float), normal(40, 8, seed=1).astype(float)
    x[1], x[2, 0], c[7] = np.nan, np.inf, c[3]
    functions = [nearest, loss_of_clusters, largest, partition]
    found = compile(lambda x, c: [f(x, c) for f in functions])(x, c)
    derivatives = [minigrad.grad(f, (0, 1)) for f in (loss_of_clusters, largest)]
    rest = x[3:]
    slopes = compile(lambda x, c: [f(x, c) for f in derivatives])(rest, c)
    with np.errstate(all="ignore"):
        for one, f in zip(found[1:], functions[1:], strict=True):
            np.testing.assert_allclose(one, f(x, c), 1e-12)
        np.testing.assert_array_equal(found[0], nearest(x, c))
        for several, f in zip(slopes, derivatives, strict=True):
            all_close(list(several), list(f(rest, c)))
