"""The description of programs: operations and bytes, here counted by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor
from minigrad import functional as F
from minigrad.compiler.codegen.statistics import DescribedKernel, Description, described
from minigrad.compiler.schedule.buffers import plan_buffers
from tests.compiler.schedules import code_of, normal, scheduled


def description(f: Callable[..., Any], *arguments: Any) -> Description:
    schedule = scheduled(f, *arguments)
    return described(schedule, plan_buffers(schedule), code_of(schedule), 2)


def only(f: Callable[..., Any], *arguments: Any) -> DescribedKernel:
    (kernel,) = description(f, *arguments).kernels
    return kernel


X = normal(4, 5)


@pytest.mark.parametrize(
    ("f", "given", "kind", "ops", "read", "written", "operations"),
    [
        (lambda x: x * 2 + 1, [X], "map", ["mul", "add"], 20, 20, 40),
        (lambda x, b: np.exp(x) + b, [X, normal(5)], "map", ["exp", "add"], 25, 20, 40),
        (lambda x: x[:2] + x[2:], [X], "map", ["slice", "slice", "add"], 20, 10, 10),
        (lambda x: x[:, :3] * 2, [X], "map", ["slice", "mul"], 12, 12, 12),
        (lambda x: x * x, [X], "map", ["mul"], 20, 20, 20),  # x is read once
        (lambda x: (x * x).sum(axis=1), [X], "rows", ["mul", "sum"], 20, 4, 40),
        (lambda x: np.sort(x, axis=0), [X], "numpy", ["sort"], 20, 20, 0),
        (lambda x: np.cumsum(x, axis=0), [X], "scan", ["cumsum"], 20, 20, 0),
    ],
)
def test_float32_entries_are_counted_once(
    f: Any, given: list[Any], kind: str, ops: list[str], read: int, written: int, operations: int
) -> None:
    kernel = only(f, *given)
    assert kernel.kind == kind and [name for name, _ in kernel.ops] == ops
    assert (kernel.read, kernel.written) == (4 * read, 4 * written)
    assert (kernel.operations, kernel.multiply_adds) == (operations, 0)


def test_bytes_are_those_of_the_dtypes() -> None:
    kernel = only(lambda x: x > 0, X.astype(np.float64))
    assert (kernel.read, kernel.written) == (160, 20)


def test_a_product_with_its_epilogue() -> None:
    kernel = only(lambda x, y: np.maximum(x @ y, 0), normal(6, 7), normal(7, 8))
    assert kernel.kind == "product" and kernel.loops == (6, 8, 7)
    assert kernel.ops == (("matmul", (6, 8)), ("maximum", (6, 8)))
    assert (kernel.multiply_adds, kernel.operations) == (6 * 8 * 7, 6 * 8)
    assert (kernel.read, kernel.written) == (4 * (6 * 7 + 7 * 8), 4 * 6 * 8)


@pytest.mark.parametrize(("kernel", "stride"), [((4, 4), 2), ((3, 3), 2), ((1, 1), 2), ((5, 2), 3)])
def test_the_reverse_of_a_convolution_multiplies_no_zeros(
    kernel: tuple[int, int], stride: int
) -> None:
    """Each product of the convolution has one of its reverse pass, but for those at the border."""
    x, w = normal(2, 5, 24, 24), normal(20, 5, *kernel)

    def f(x: Any, w: Any) -> Any:
        return F.conv2d(x, w, stride=stride)

    y = f(x, w)
    found = description(lambda x, w, g: minigrad.vjp(lambda x: f(x, w), x)[1](g), x, w, y)
    products = sum(kernel.multiply_adds for kernel in found.kernels)
    assert y.size * w[0].size <= products <= 1.5 * y.size * w[0].size


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [
        ((3, 3), 1, 1, 1),
        ((5, 5), 1, 0, 1),
        ((5, 3), 1, (2, 1), 1),
        ((3, 3), 1, 2, 2),
        ((4, 4), 2, 1, 1),
    ],
)
def test_convolutions_multiply_no_border(
    kernel: tuple[int, int], stride: int, padding: Any, dilation: int
) -> None:
    """Neither of zeros around images, nor of what their gradient has there, which is cut off."""
    x, w = normal(16, 5, 12, 12), normal(20, 5, *kernel)

    def f(x: Any, w: Any) -> Any:
        return F.conv2d(x, w, stride=stride, padding=padding, dilation=dilation)

    y = f(x, w)
    inside = f(np.ones_like(x[:1, :1]), np.ones_like(w[:1, :1])).sum()
    found = description(lambda x, w, g: (f(x, w), *minigrad.vjp(f, x, w)[1](g)), x, w, y)
    products = [kernel.multiply_adds for kernel in found.kernels if kernel.kind == "product"]
    assert products == [16 * 5 * 20 * inside] * 3


@pytest.mark.parametrize("padding", [0, 1])
def test_convolutions_of_few_images_multiply_the_border_of_rows_alone(padding: int) -> None:
    x, w = normal(2, 5, 12, 12), normal(20, 5, 3, 3)

    def f(x: Any, w: Any) -> Any:
        return F.conv2d(x, w, padding=padding)

    found = description(lambda x, w, g: minigrad.vjp(f, x, w)[1](g), x, w, f(x, w))
    products = [kernel.multiply_adds for kernel in found.kernels if kernel.kind == "product"]
    inside = 34 if padding else 30  # along one axis, places and taps that see a pixel
    assert sorted(products) == [2 * 5 * 20 * inside * inside, 2 * 5 * 20 * inside * 12 * 3]


def test_a_transposed_convolution_computes_no_border_that_it_cuts_off() -> None:
    y, w = normal(16, 20, 6, 6), normal(20, 5, 4, 4)
    found = description(lambda y, w: F.conv_transpose2d(y, w, stride=2, padding=1), y, w)
    products = [kernel.multiply_adds for kernel in found.kernels if kernel.kind == "product"]
    assert products == [16 * 5 * 20 * 22 * 22]


def test_equal_kernels_are_described_once_and_called_twice() -> None:
    w = normal(6, 6)
    found = description(lambda x, y: (np.exp(x @ w), np.exp(y @ w)), normal(6, 6), normal(6, 6))
    (product,) = (k for k, kernel in enumerate(found.kernels) if kernel.kind == "product")
    assert [call.reads for call in found.calls if call.kernel == product] == [(0,), (1,)]


@pytest.mark.parametrize(
    ("f", "size", "written"),
    [
        (lambda x: np.tanh(x).sum(), 8, 4),  # float32 is added up in float64
        (lambda x: x.max(axis=0), 4 * 8, 4 * 8),
    ],
)
def test_each_of_two_threads_writes_a_part_that_the_end_reads(
    f: Any, size: int, written: int
) -> None:
    rows, end = description(f, normal(50_000, 8)).kernels
    assert (rows.kind, rows.read, rows.written) == ("rows", 4 * 400_000, 2 * size)
    assert (end.kind, end.read, end.written) == ("sum", 2 * size, written)


def test_states_that_are_written_are_numbered_after_the_inputs() -> None:
    state = Tensor(normal(4, 5))

    def step(x: Any) -> Any:
        state.data = state.data * 0.5 + x
        return state.data.sum()

    found = description(step, X)
    assert (0, 1) in [call.reads for call in found.calls]
    assert [call.writes for call in found.calls if call.writes] == [(1,)]


def test_a_copy_is_no_operation() -> None:
    state = Tensor(normal(4, 5))

    def step(x: Any) -> Any:
        state.data = x

    kernel = only(step, X)
    assert kernel.ops == (("copy", (4, 5)),) and kernel.operations == 0
    assert (kernel.read, kernel.written) == (80, 80)


def test_why_a_value_has_a_kernel_of_its_own() -> None:
    found = description(lambda x: np.concatenate([np.exp(x), x]), X)
    assert [dict(call.why) for call in found.calls] == [
        {},
        {"concatenate (8, 5)": "it has another number of entries"},
    ]


def test_what_is_read_at_many_places_is_computed_once() -> None:
    """The five cotangents of a stencil are of one residual."""

    def stencil(x: Any) -> Any:
        residual = 4 * x[1:-1, 1:-1] - x[2:, 1:-1] - x[:-2, 1:-1] - x[1:-1, 2:] - x[1:-1, :-2]
        return np.sum(residual**2)

    x = normal(600, 700)
    found = description(minigrad.grad(stencil), x)
    assert sum(kernel.operations for kernel in found.kernels) < 20 * x.size
