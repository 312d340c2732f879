"""Convolution and pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.errors import ShapeError
from minigrad.ops.movement import Pair, as_array, out_size, pad_op, windows_op
from minigrad.ops.processing import conv2d_op


def pair(x: int | Pair, what: str) -> Pair:
    """A size for both image axes, or one for each."""
    if isinstance(x, int | np.integer):
        return int(x), int(x)
    values = tuple(x)
    if len(values) != 2:
        raise ShapeError(f"{what} is a number or a pair of them, not {x!r}")
    return values[0], values[1]


def padded(x: Any, padding: Any, kernel: Pair, stride: Pair, dilation: Pair, value: float) -> Any:
    """x with `padding` around its images: a number, a pair, or "same" for as many places as
    pixels."""
    if padding == "same":
        if stride != (1, 1):
            raise ShapeError(f'padding="same" is for stride 1, not {stride}')
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        around = tuple((t // 2, t - t // 2) for t in total)
    else:
        around = tuple((p, p) for p in pair(padding, "padding"))
    if around == ((0, 0), (0, 0)):
        return x
    return pad_op(x, width=((0, 0),) * (x.ndim - 2) + around, value=value)


def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Any:
    """Convolve images with weights (cross-correlate them, as neural networks do).

    Args:
        x: images, (N, C, H, W).
        weight: (O, C/groups, kh, kw).
        bias: (O,), or None.
        stride: how far the kernel moves; a number or a pair, as are padding and dilation.
        padding: zeros around each image, or "same" for an output of the input's size.
        dilation: how far apart the kernel's entries look.
        groups: the channels are split in so many groups, each with its own weights.

    Returns:
        (N, O, OH, OW), where OH = (H + 2*padding - dilation*(kh - 1) - 1) // stride + 1.

    Raises:
        ShapeError: if the shapes do not fit together, or the kernel is larger than the image.

    >>> image = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d(image, np.ones((1, 1, 2, 2)))
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    x, weight = as_array(x), as_array(weight)
    given = f"conv2d of x {x.shape} with weight {weight.shape}, groups={groups}"
    if x.ndim != 4 or weight.ndim != 4:
        raise ShapeError(f"{given}: both have four axes, (N, C, H, W) and (O, C/groups, kh, kw)")
    if x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise ShapeError(
            f"{given}: x has {x.shape[1]} channels where the weight expects "
            f"{weight.shape[1] * groups}, and the weight's {weight.shape[0]} outputs must "
            "be a multiple of groups"
        )
    kernel = weight.shape[2:]
    stride, dilation = pair(stride, "stride"), pair(dilation, "dilation")
    x = padded(x, padding, kernel, stride, dilation, 0)
    check_kernel_fits(given, x.shape[2:], kernel, stride, dilation)
    y = conv2d_op(x, weight, stride=stride, dilation=dilation, groups=groups)
    return y if bias is None else y + as_array(bias).reshape(-1, 1, 1)


def check_kernel_fits(what: str, size: Any, kernel: Any, stride: Pair, dilation: Pair) -> None:
    if min(*stride, *dilation, *kernel) < 1:
        raise ShapeError(f"{what}: kernel, stride and dilation are at least 1")
    if min(map(out_size, size, kernel, stride, dilation)) < 1:
        raise ShapeError(
            f"{what}: the kernel {tuple(kernel)} with dilation {dilation} does not fit into images "
            f"of {tuple(size)}, padding included: pad more, or use a smaller kernel"
        )


def max_pool2d(
    x: Any,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> Any:
    """The largest value under a moving window: (..., H, W) -> (..., OH, OW).

    `stride` is the kernel's size unless given. Equal largest values share the gradient equally.

    Raises:
        ShapeError: if the window is larger than the image.

    >>> max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """
    return np.max(pooled(x, kernel_size, stride, padding, dilation, -np.inf), axis=(0, 1))


def avg_pool2d(
    x: Any, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> Any:
    """The mean under a moving window, padding counted as zeros: (..., H, W) -> (..., OH, OW).

    `stride` is the kernel's size unless given.

    Raises:
        ShapeError: if the window is larger than the image.

    >>> avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """
    return np.mean(pooled(x, kernel_size, stride, padding, 1, 0), axis=(0, 1))


def pooled(x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, value: float) -> Any:
    """(..., H, W) -> (kh, kw, ..., OH, OW)."""
    x = as_array(x)
    if x.ndim < 2:
        raise ShapeError(f"pooling of shape {x.shape}: images have axes (..., H, W)")
    kernel = pair(kernel_size, "kernel_size")
    stride = kernel if stride is None else pair(stride, "stride")
    dilation = pair(dilation, "dilation")
    x = padded(x, padding, kernel, stride, dilation, value)
    check_kernel_fits(f"pooling of {x.shape}", x.shape[-2:], kernel, stride, dilation)
    return windows_op(x, kernel=kernel, stride=stride, dilation=dilation)
