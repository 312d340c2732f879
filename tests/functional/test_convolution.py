"""Convolution and pooling of signals, the way back of a convolution, and pooling into bins.

What is done to images has a suite of its own, against loops: tests/ops/test_processing.py.
"""

from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest

import minigrad.functional as F
from minigrad import Tensor, check_gradients
from minigrad.errors import DtypeError, ShapeError
from tests.functional.cases import Case, Cases

RNG = np.random.default_rng(4)
SIGNAL = RNG.permutation(2 * 4 * 9).reshape(2, 4, 9) / 20
IMAGE = RNG.permutation(2 * 4 * 5 * 6).reshape(2, 4, 5, 6) / 50
KERNEL, BIAS = RNG.standard_normal((6, 2, 3)), RNG.standard_normal(6)
SQUARE = RNG.standard_normal((6, 2, 3, 2))
BACK = RNG.standard_normal((4, 3, 3, 2))


def conv1d_by_loops(
    x: np.ndarray, w: np.ndarray, b: np.ndarray, stride: int, dilation: int, groups: int
) -> np.ndarray:
    o, per_group, k = w.shape
    length = (x.shape[2] - dilation * (k - 1) - 1) // stride + 1
    y = np.zeros((len(x), o, length)) + b[:, None]
    for n, j, i, c, u in product(*map(range, (len(x), o, length, per_group, k))):
        channel = j // (o // groups) * per_group + c
        y[n, j, i] += x[n, channel, i * stride + u * dilation] * w[j, c, u]
    return y


def conv_transpose2d_by_loops(
    x: np.ndarray, w: np.ndarray, stride: Any, dilation: Any, groups: int
) -> np.ndarray:
    n, channels, *size = x.shape
    per_group, *kernel = w.shape[1:]
    height, width = (
        (m - 1) * s + d * (k - 1) + 1
        for m, s, d, k in zip(size, stride, dilation, kernel, strict=True)
    )
    y = np.zeros((n, per_group * groups, height, width))
    for c, o, i, j, u, v in product(*map(range, (channels, per_group, *size, *kernel))):
        out = c // (channels // groups) * per_group + o
        place = i * stride[0] + u * dilation[0], j * stride[1] + v * dilation[1]
        y[:, out, *place] += x[:, c, i, j] * w[c, o, u, v]
    return y


def windows(x: np.ndarray, kernel: int, stride: int, dilation: int = 1) -> np.ndarray:
    """(..., L) -> (OL, ..., kernel)."""
    count = (x.shape[-1] - dilation * (kernel - 1) - 1) // stride + 1
    reach = dilation * (kernel - 1) + 1
    return np.stack([x[..., i * stride :][..., :reach:dilation] for i in range(count)])


def around(x: np.ndarray, width: Any, value: float = 0.0) -> np.ndarray:
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [width], constant_values=value)


def bin_means(x: np.ndarray, count: int) -> np.ndarray:
    """(..., L) -> (..., count)."""
    n = x.shape[-1]
    bounds = [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
    return np.stack([x[..., low:high].mean(-1) for low, high in bounds], -1)


CASES: Cases = {
    "conv1d": Case(
        F.conv1d,
        (SIGNAL[:, :2], KERNEL, BIAS),
        conv1d_by_loops(SIGNAL[:, :2], KERNEL, BIAS, 1, 1, 1),
    ),
    "conv1d options": Case(
        lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=(3,), dilation=2, groups=2),
        (SIGNAL, KERNEL, BIAS),
        conv1d_by_loops(around(SIGNAL, (3, 3)), KERNEL, BIAS, 2, 2, 2),
    ),
    "conv1d same": Case(
        lambda x, w: F.conv1d(x, w, padding="same", groups=2),
        (SIGNAL, KERNEL[..., :2]),
        conv1d_by_loops(around(SIGNAL, (0, 1)), KERNEL[..., :2], 0 * BIAS, 1, 1, 2),
    ),
    "conv2d": Case(
        lambda x, w, b: F.conv2d(x, w, b, groups=2),
        (IMAGE[:, :, :1], SQUARE[:, :, :1], BIAS),
        conv1d_by_loops(IMAGE[:, :, 0], SQUARE[:, :, 0], BIAS, 1, 1, 2)[:, :, None],
    ),
    "conv_transpose2d": Case(
        F.conv_transpose2d, (IMAGE, BACK), conv_transpose2d_by_loops(IMAGE, BACK, (1, 1), (1, 1), 1)
    ),
    "conv_transpose2d options": Case(
        lambda x, w, b: F.conv_transpose2d(x, w, b, (2, 3), (1, 2), (1, 2), 2, (2, 1)),
        (IMAGE, BACK, BIAS),
        np.pad(
            conv_transpose2d_by_loops(IMAGE, BACK, (2, 3), (2, 1), 2),
            ((0, 0), (0, 0), (0, 1), (0, 2)),
        )[:, :, 1:-1, 2:-2]
        + BIAS[:, None, None],
    ),
    "max_pool1d": Case(
        lambda x: F.max_pool1d(x, 2), (SIGNAL,), np.moveaxis(windows(SIGNAL, 2, 2).max(-1), 0, -1)
    ),
    "max_pool1d options": Case(
        lambda x: F.max_pool1d(x, 3, 2, 1, 2),
        (SIGNAL,),
        np.moveaxis(windows(around(SIGNAL, (1, 1), -np.inf), 3, 2, 2).max(-1), 0, -1),
    ),
    "max_pool2d": Case(
        lambda x: F.max_pool2d(x, (5, 6)), (IMAGE,), IMAGE.max((2, 3), keepdims=True)
    ),
    "avg_pool1d": Case(
        lambda x: F.avg_pool1d(x, 3, 2, 1),
        (SIGNAL,),
        np.moveaxis(windows(around(SIGNAL, (1, 1)), 3, 2).mean(-1), 0, -1),
    ),
    "avg_pool1d without padding": Case(
        lambda x: F.avg_pool1d(x, 3, 2, 1, count_include_pad=False),
        (SIGNAL,),
        np.moveaxis(np.nanmean(windows(around(SIGNAL, (1, 1), np.nan), 3, 2), -1), 0, -1),
    ),
    "avg_pool2d": Case(
        lambda x: F.avg_pool2d(x, (5, 6)), (IMAGE,), IMAGE.mean((2, 3), keepdims=True)
    ),
    "avg_pool2d without padding": Case(
        lambda x: F.avg_pool2d(x, (5, 3), (1, 2), (0, 1), count_include_pad=False),
        (IMAGE,),
        np.moveaxis(np.nanmean(windows(around(IMAGE, (1, 1), np.nan), 3, 2), (-2, -1)), 0, -1)[
            :, :, None
        ],
    ),
    "adaptive_avg_pool1d": Case(
        lambda x: F.adaptive_avg_pool1d(x, 4), (SIGNAL,), bin_means(SIGNAL, 4)
    ),
    "adaptive_avg_pool1d to one": Case(
        lambda x: F.adaptive_avg_pool1d(x, (1,)), (SIGNAL[0],), SIGNAL[0].mean(-1, keepdims=True)
    ),
    "adaptive_avg_pool2d": Case(
        lambda x: F.adaptive_avg_pool2d(x, (3, 4)),
        (IMAGE,),
        bin_means(bin_means(IMAGE, 4).swapaxes(2, 3), 3).swapaxes(2, 3),
    ),
    "adaptive_avg_pool2d of one axis": Case(
        lambda x: F.adaptive_avg_pool2d(x, (None, 1)), (IMAGE,), IMAGE.mean(-1, keepdims=True)
    ),
    "adaptive_avg_pool2d to more": Case(
        lambda x: F.adaptive_avg_pool2d(x, 7),
        (IMAGE,),
        bin_means(bin_means(IMAGE, 7).swapaxes(2, 3), 7).swapaxes(2, 3),
    ),
}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"stride": 2, "padding": 1},
        {"stride": (2, 3), "padding": (1, 0), "dilation": (1, 2), "groups": 2},
    ],
    ids=str,
)
def test_a_transposed_convolution_is_the_adjoint_of_the_convolution(settings: Any) -> None:
    x, weight = RNG.standard_normal((2, 4, 9, 8)), RNG.standard_normal((6, 4, 3, 2))
    weight = weight[:, : 4 // settings.get("groups", 1)]
    y = F.conv2d(x, weight, **settings)
    g = RNG.standard_normal(y.shape)
    smallest = F.conv_transpose2d(g, weight, **settings)
    more = tuple(a - b for a, b in zip(x.shape[2:], smallest.shape[2:], strict=True))
    back = F.conv_transpose2d(g, weight, output_padding=more, **settings)
    assert back.shape == x.shape
    np.testing.assert_allclose(np.sum(back * x), np.sum(g * y))


def in_conv_order(shape: tuple[int, int, int, int]) -> np.ndarray:
    """Images with their samples last in memory, as conv2d leaves them."""
    n, *rest = shape
    return RNG.standard_normal((*rest, n)).astype(np.float32).transpose(3, 0, 1, 2)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: F.conv2d(x, np.ones((4, 4, 1, 1), np.float32), np.ones(4, np.float32)),
        lambda x: F.conv_transpose2d(x, np.ones((4, 4, 2, 2), np.float32), np.ones(4, np.float32)),
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.avg_pool2d(x, 3, 1, count_include_pad=False),
    ],
)
def test_images_that_lie_last_in_memory_stay_there(f: Any) -> None:
    y = f(in_conv_order((8, 4, 6, 6)))
    assert y.transpose(1, 2, 3, 0).flags.c_contiguous


W1, W2 = np.ones((6, 4, 3)), np.ones((4, 3, 3, 3))
BAD: dict[str, tuple[Any, str]] = {
    "conv1d of images": (lambda: F.conv1d(IMAGE, W1), r"conv1d.*three axes.*\(N, in, L\)"),
    "conv1d channels": (lambda: F.conv1d(SIGNAL[:, :3], W1), r"3 channels.*expects 4"),
    "conv1d kernel": (lambda: F.conv1d(SIGNAL[..., :2], W1), r"fit into signals of \(2,\)"),
    "conv1d stride": (lambda: F.conv1d(SIGNAL, W1, stride=(1, 1)), r"a tuple of one, .*\(1, 1\)"),  # type: ignore[arg-type]
    "conv1d bias": (lambda: F.conv1d(SIGNAL, W1, BIAS[:1]), r"bias.*\(1,\).*\(6,\)"),
    "half a stride": (lambda: F.conv2d(IMAGE, SQUARE, stride=0.5), r"whole, not 0.5"),  # type: ignore[arg-type]
    "negative padding": (lambda: F.conv1d(SIGNAL, W1, padding=-1), r"at least 0, not -1"),
    "no groups": (lambda: F.conv1d(SIGNAL, W1, groups=0), r"groups is at least 1"),
    "transposed axes": (lambda: F.conv_transpose2d(SIGNAL, W2), r"four axes.*\(in, out/groups"),
    "transposed channels": (lambda: F.conv_transpose2d(IMAGE[:, :3], W2), r"3 channels.*expects 4"),
    "transposed groups": (lambda: F.conv_transpose2d(IMAGE, W2, groups=3), r"multiple of groups"),
    "output_padding": (
        lambda: F.conv_transpose2d(IMAGE, W2, stride=2, output_padding=2),
        r"\(2, 2\) must be smaller than stride \(2, 2\)",
    ),
    "all cut off": (lambda: F.conv_transpose2d(IMAGE, W2, padding=4), r"cuts off all"),
    "no stride": (lambda: F.conv_transpose2d(IMAGE, W2, stride=0), r"at least 1"),
    "transposed bias": (lambda: F.conv_transpose2d(IMAGE, W2, BIAS), r"bias.*\(6,\).*\(3,\)"),
    "pool axes": (lambda: F.max_pool1d(np.array(1.0), 1), r"signals have axes \(..., L\)"),
    "pool size": (lambda: F.max_pool1d(SIGNAL, 10), r"max_pool1d.*fit into signals of \(9,\)"),
    "pool padding": (lambda: F.max_pool2d(IMAGE, 2, padding=2), r"more than half the window"),
    "no kernel": (lambda: F.avg_pool1d(SIGNAL, 0), r"at least 1"),
    "bins axes": (lambda: F.adaptive_avg_pool2d(SIGNAL[0, 0], 2), r"\(..., H, W\)"),
    "bins of nothing": (lambda: F.adaptive_avg_pool1d(np.zeros((2, 0)), 2), r"none of them empty"),
    "no bins": (lambda: F.adaptive_avg_pool2d(IMAGE, (0, 2)), r"at least 1, not \(0, 2\)"),
    "one size of two": (lambda: F.adaptive_avg_pool2d(IMAGE, (2,)), r"a pair of them"),  # type: ignore[arg-type]
    "three sizes": (lambda: F.adaptive_avg_pool2d(IMAGE, (2, 2, 2)), r"a pair of them"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_input(call: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        call()


def test_equal_largest_values_of_a_signal_share() -> None:
    x = Tensor(np.ones((1, 4)), requires_grad=True)
    F.max_pool1d(x, 4).backward([[8.0]])
    np.testing.assert_array_equal(x.grad, [[2, 2, 2, 2]])


@pytest.mark.parametrize("name", ["max_pool1d", "max_pool2d"])
def test_complex_numbers_have_no_largest(name: str) -> None:
    with pytest.raises(DtypeError, match="would discard the imaginary part of complex64"):
        getattr(F, name)(Tensor(np.ones((1, 4, 4), np.complex64)), 2)


def test_convolutions_of_complex_numbers() -> None:
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=s) + 1j * rng.normal(size=s) for s in ((1, 2, 4, 4), (2, 1, 2, 2)))
    conv = partial(F.conv2d, stride=2, groups=2)
    real = conv(x.real, w.real) - conv(x.imag, w.imag)
    np.testing.assert_allclose(conv(x, w).real, real, rtol=1e-12)

    def function(x: Any, w: Any) -> Any:
        return F.avg_pool2d(F.conv_transpose2d(x, w, groups=2), 2)

    check_gradients(function, x, w, order=1)
