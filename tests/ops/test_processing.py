"""Convolution and pooling over their options, against loops written out."""

from itertools import product
from typing import Any

import numpy as np
import pytest

import minigrad.functional as F
from minigrad import Tensor, check_gradients
from minigrad.errors import ShapeError
from minigrad.ops import processing

RNG = np.random.default_rng(3)


def conv2d_by_loops(x: Any, w: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    (top, bottom), (left, right) = padding
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    n, _, height, width = x.shape
    o, per_group, kh, kw = w.shape
    oh = (height - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    ow = (width - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((n, o, oh, ow))
    for i, j, k, p, q in product(range(n), range(o), range(per_group), range(oh), range(ow)):
        channel = j // (o // groups) * per_group + k
        for u, v in product(range(kh), range(kw)):
            row, column = p * stride[0] + u * dilation[0], q * stride[1] + v * dilation[1]
            y[i, j, p, q] += x[i, channel, row, column] * w[j, k, u, v]
    return y


CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any], Any]] = {
    "plain": ((2, 3, 5, 6), (4, 3, 3, 2), {}, ((0, 0), (0, 0))),
    "1x1": ((2, 3, 4, 4), (2, 3, 1, 1), {}, ((0, 0), (0, 0))),
    "stride": ((1, 2, 7, 6), (2, 2, 3, 2), {"stride": (2, 3)}, ((0, 0), (0, 0))),
    "padding": ((1, 2, 4, 5), (2, 2, 3, 3), {"padding": 1}, ((1, 1), (1, 1))),
    "padding pair": ((1, 2, 4, 5), (2, 2, 3, 3), {"padding": (2, 0)}, ((2, 2), (0, 0))),
    "same, odd": ((1, 1, 4, 5), (1, 1, 3, 5), {"padding": "same"}, ((1, 1), (2, 2))),
    "same, even": ((1, 1, 4, 5), (1, 1, 2, 4), {"padding": "same"}, ((0, 1), (1, 2))),
    "dilation": ((1, 2, 7, 7), (2, 2, 3, 2), {"dilation": (2, 3)}, ((0, 0), (0, 0))),
    "groups": ((2, 4, 4, 4), (6, 2, 2, 2), {"groups": 2}, ((0, 0), (0, 0))),
    "depthwise": ((1, 3, 4, 4), (3, 1, 2, 2), {"groups": 3}, ((0, 0), (0, 0))),
    "all": (
        (2, 4, 6, 7),
        (4, 2, 2, 3),
        {"stride": 2, "padding": (1, 2), "dilation": (1, 2), "groups": 2},
        ((1, 1), (2, 2)),
    ),
    "kernel of the image's size": ((1, 2, 3, 3), (2, 2, 3, 3), {}, ((0, 0), (0, 0))),
}


WHOLE = processing.COLUMNS


@pytest.mark.parametrize("limit", [1, 800, WHOLE])  # pixels, rows, all at a time
@pytest.mark.parametrize(
    ("x", "w", "options", "padding"), CONVOLUTIONS.values(), ids=list(CONVOLUTIONS)
)
def test_conv2d(
    monkeypatch: pytest.MonkeyPatch, x: Any, w: Any, options: Any, padding: Any, limit: int
) -> None:
    monkeypatch.setattr(processing, "COLUMNS", limit)
    images, weights = RNG.standard_normal(x), RNG.standard_normal(w)
    bias = RNG.standard_normal(w[0])

    def both(name: str) -> Any:
        value = options.get(name, 1)
        return value if isinstance(value, tuple) else (value, value)

    expected = conv2d_by_loops(
        images, weights, both("stride"), padding, both("dilation"), options.get("groups", 1)
    )
    y = F.conv2d(Tensor(images), weights, bias, **options)
    np.testing.assert_allclose(y.data, expected + bias[:, None, None], rtol=1e-10, atol=1e-12)
    check_gradients(
        lambda *a: F.conv2d(*a, **options), images[:1], weights, bias, order=1 + (limit == WHOLE)
    )


def pool_by_loops(x: Any, kernel: Any, stride: Any, padding: Any, f: Any, fill: float) -> Any:
    x = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2), constant_values=fill)
    oh, ow = ((x.shape[2 + k] - kernel[k]) // stride[k] + 1 for k in (0, 1))
    y = np.zeros((*x.shape[:2], oh, ow))
    for p, q in product(range(oh), range(ow)):
        window = x[
            :,
            :,
            p * stride[0] : p * stride[0] + kernel[0],
            q * stride[1] : q * stride[1] + kernel[1],
        ]
        y[:, :, p, q] = f(window, axis=(2, 3))
    return y


POOLS: dict[str, tuple[dict[str, Any], Any, Any, Any]] = {
    "halves": ({"kernel_size": 2}, (2, 2), (2, 2), (0, 0)),
    "overlap": ({"kernel_size": 3, "stride": 1}, (3, 3), (1, 1), (0, 0)),
    "pairs": ({"kernel_size": (3, 2), "stride": (1, 3)}, (3, 2), (1, 3), (0, 0)),
    "padding": ({"kernel_size": 3, "stride": 2, "padding": 1}, (3, 3), (2, 2), (1, 1)),
}


@pytest.mark.parametrize(
    ("options", "kernel", "stride", "padding"), POOLS.values(), ids=list(POOLS)
)
def test_pooling(options: Any, kernel: Any, stride: Any, padding: Any) -> None:
    # Distinct values a tenth apart, so that no difference moves the largest elsewhere.
    x = RNG.permutation(2 * 2 * 5 * 6).reshape(2, 2, 5, 6) / 10
    largest = pool_by_loops(x, kernel, stride, padding, np.max, -np.inf)
    average = pool_by_loops(x, kernel, stride, padding, np.mean, 0)
    np.testing.assert_array_equal(F.max_pool2d(Tensor(x), **options).data, largest)
    np.testing.assert_allclose(F.avg_pool2d(Tensor(x), **options).data, average)
    check_gradients(lambda x: F.max_pool2d(x, **options) ** 2, x[:1], order=2)
    check_gradients(lambda x: F.avg_pool2d(x, **options) ** 2, x[:1], order=2)


def test_max_pool_with_dilation_looks_apart() -> None:
    x = np.arange(25.0).reshape(1, 1, 5, 5)
    y = F.max_pool2d(x, 2, stride=1, dilation=2)
    np.testing.assert_array_equal(y[0, 0], x[0, 0, 2:, 2:])


def test_equal_largest_values_share() -> None:
    x = Tensor(np.ones((1, 1, 2, 2)), requires_grad=True)
    F.max_pool2d(x, 2).backward(np.full((1, 1, 1, 1), 8.0))
    np.testing.assert_array_equal(x.grad[0, 0], [[2, 2], [2, 2]])


IMAGE, WEIGHT = np.ones((1, 2, 4, 4)), np.ones((3, 2, 2, 2))
BAD = {
    "channels": (lambda: F.conv2d(IMAGE[:, :1], WEIGHT), r"1 channels.*expects 2"),
    "axes": (lambda: F.conv2d(IMAGE[0], WEIGHT), r"\(2, 4, 4\).*four axes"),
    "groups": (lambda: F.conv2d(IMAGE, WEIGHT[:, :1], groups=2), r"multiple of groups"),
    "kernel": (lambda: F.conv2d(IMAGE[..., :1], WEIGHT), r"does not fit into images of \(4, 1\)"),
    "dilation": (lambda: F.conv2d(IMAGE, WEIGHT, dilation=4), r"does not fit"),
    "stride": (lambda: F.conv2d(IMAGE, WEIGHT, stride=0), r"at least 1"),
    "same with stride": (lambda: F.conv2d(IMAGE, WEIGHT, stride=2, padding="same"), r"stride 1"),
    "three strides": (lambda: F.conv2d(IMAGE, WEIGHT, stride=(1, 1, 1)), r"stride is a number"),  # type: ignore[arg-type]
    "pool": (lambda: F.max_pool2d(IMAGE, 5), r"does not fit"),
    "pool axes": (lambda: F.avg_pool2d(np.ones(3), 2), r"\(3,\)"),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_input(call: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        call()
