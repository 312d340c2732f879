"""Convolution and pooling, of images (N, C, H, W) and of signals (N, C, L).

Signals are computed as images of one row.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigrad.errors import ShapeError
from minigrad.ops.movement import Pair, as_array, as_real, out_size, pad_op, slice_op, windows_op
from minigrad.ops.processing import conv2d_input_op, conv2d_op

Sizes = tuple[int, ...]


class Kind(NamedTuple):
    """Images or signals: the number of axes after (N, C), and the words for error messages."""

    axes: int
    name: str
    places: str
    kernel: str
    all_axes: str


SIGNALS = Kind(1, "signals", "L", "k", "three axes")
IMAGES = Kind(2, "images", "H, W", "kh, kw", "four axes")


def per_axis(x: Any, what: str, axes: int) -> Sizes:
    """A size for every axis of the images or signals, or one for each."""
    try:
        sizes = tuple(map(operator.index, x if isinstance(x, (tuple, list)) else (x,) * axes))
    except TypeError:
        sizes = ()
    if len(sizes) != axes:
        tuples = "a pair of them" if axes == 2 else "a tuple of one"
        raise ShapeError(f"{what} is a number or {tuples}, whole, not {x!r}")
    return sizes


def as_images(x: Any, kind: Kind) -> Any:
    """(..., L) -> (..., 1, L) of signals."""
    return x if kind is IMAGES else x.reshape(*x.shape[:-1], 1, x.shape[-1])


def as_they_were(y: Any, kind: Kind) -> Any:
    """(..., 1, L) -> (..., L) of signals."""
    return y if kind is IMAGES else y.reshape(*y.shape[:-2], y.shape[-1])


def in_images(sizes: Sizes) -> Any:
    """A kernel, stride or dilation for images: for signals, with one row added."""
    return (1,) * (2 - len(sizes)) + sizes


def ends_of(padding: Any, kernel: Sizes, stride: Sizes, dilation: Sizes) -> tuple[Pair, ...]:
    """How much is padded at both ends of each axis, by `padding`: a number, one for each axis,
    "valid" for nothing, or "same" for an output of the input's size."""
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding == "same":
        if set(stride) != {1}:
            raise ShapeError(f'padding="same" is for stride 1, not {stride}')
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple((t // 2, t - t // 2) for t in total)
    around = tuple((p, p) for p in per_axis(padding, "padding", len(kernel)))
    if min(around) < (0, 0):
        raise ShapeError(f"padding is at least 0, not {padding}")
    return around


def padded(
    x: Any, padding: Any, kernel: Sizes, stride: Sizes, dilation: Sizes, value: float
) -> Any:
    around = ends_of(padding, kernel, stride, dilation)
    if max(around) == (0, 0):
        return x
    return pad_op(x, width=((0, 0),) * (x.ndim - len(kernel)) + around, value=value)


def check_kernel_fits(
    what: str, size: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes, kind: Kind
) -> None:
    if min(*stride, *dilation, *kernel) < 1:
        raise ShapeError(f"{what}: kernel, stride and dilation are at least 1")
    if min(map(out_size, size, kernel, stride, dilation)) < 1:
        raise ShapeError(
            f"{what}: the kernel {kernel} with dilation {dilation} does not fit into {kind.name} "
            f"of {size}, padding included: pad more, or use a smaller kernel"
        )


def check_channels(
    what: str, x: Any, weight: Any, groups: int, kind: Kind, transposed: bool = False
) -> None:
    """Raise unless x and weight have the right axes, and their channels match."""
    channels = "in, out/groups" if transposed else "out, in/groups"
    layout = f"({channels}, {kind.kernel})"
    if x.ndim != kind.axes + 2 or weight.ndim != kind.axes + 2:
        raise ShapeError(
            f"{what}: both have {kind.all_axes}, x (N, in, {kind.places}) and weight {layout}"
        )
    if groups < 1 or weight.shape[0] % groups:
        raise ShapeError(
            f"{what}: groups is at least 1, and the weight's first axis of {len(weight)} must be a "
            "multiple of groups"
        )
    expected = weight.shape[0] if transposed else weight.shape[1] * groups
    if x.shape[1] != expected:
        raise ShapeError(
            f"{what}: x has {x.shape[1]} channels where the weight, of {layout}, expects {expected}"
        )


def with_bias(what: str, y: Any, bias: Any) -> Any:
    """(N, O, ...) + (O,)."""
    if bias is None:
        return y
    bias = as_array(bias)
    if bias.shape != y.shape[1:2]:
        raise ShapeError(f"{what}: the bias has shape {bias.shape}, and must have {y.shape[1:2]}")
    return y + bias.reshape(-1, *(1,) * (y.ndim - 2))


def convolution(
    name: str,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    kind: Kind,
) -> Any:
    x, weight = as_array(x), as_array(weight)
    what = f"{name} of x {x.shape} with weight {weight.shape}, groups={groups}"
    check_channels(what, x, weight, groups, kind)
    kernel = weight.shape[2:]
    stride = per_axis(stride, "stride", kind.axes)
    dilation = per_axis(dilation, "dilation", kind.axes)
    x = padded(x, padding, kernel, stride, dilation, 0)
    check_kernel_fits(what, x.shape[2:], kernel, stride, dilation, kind)
    y = conv2d_op(
        as_images(x, kind),
        as_images(weight, kind),
        stride=in_images(stride),
        dilation=in_images(dilation),
        groups=groups,
    )
    return with_bias(what, as_they_were(y, kind), bias)


def conv1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: int | tuple[int] = 1,
    padding: int | tuple[int] | str = 0,
    dilation: int | tuple[int] = 1,
    groups: int = 1,
) -> Any:
    """Convolve signals with weights, as `conv2d` does images.

    Args:
        x: signals, (N, C, L).
        weight: (O, C/groups, k).
        bias: (O,), or None.
        stride: the step of the kernel.
        padding: zeros at both ends, "same" for an output of the input's size, or "valid" for none.
        dilation: the distance between the kernel's entries.
        groups: the channels are split into this many groups, each with its own weights.

    Returns:
        (N, O, OL), where OL = (L + 2*padding - dilation*(k - 1) - 1) // stride + 1.

    Raises:
        ShapeError: if the shapes do not match, or the kernel is longer than the signal.

    >>> conv1d(np.arange(4.0).reshape(1, 1, 4), np.array([[[-1.0, 1.0]]]))
    array([[[1., 1., 1.]]])
    """
    return convolution("conv1d", x, weight, bias, stride, padding, dilation, groups, SIGNALS)


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
        stride: the step of the kernel; a number or a pair, as are padding and dilation.
        padding: zeros around each image, "same" for an output of the input's size, or "valid" for
            none.
        dilation: the distance between the kernel's entries.
        groups: the channels are split into this many groups, each with its own weights.

    Returns:
        (N, O, OH, OW), where OH = (H + 2*padding - dilation*(kh - 1) - 1) // stride + 1.

    Raises:
        ShapeError: if the shapes do not match, or the kernel is larger than the image.

    >>> image = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d(image, np.ones((1, 1, 2, 2)))
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    return convolution("conv2d", x, weight, bias, stride, padding, dilation, groups, IMAGES)


def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    groups: int = 1,
    dilation: int | Pair = 1,
) -> Any:
    """Transposed convolution: the adjoint (vjp) of the conv2d with the same weights and settings.

    Args:
        x: images, (N, C, H, W).
        weight: (C, O/groups, kh, kw), as that conv2d has it.
        bias: (O,), or None.
        stride: that of the conv2d: the distance between outputs of neighbouring pixels; a number
            or a pair, as are the next three.
        padding: that of the conv2d: how much is cut off on every side of the output.
        output_padding: rows and columns added at the end, fewer than stride: conv2d has the same
            output size for all of these input sizes.
        groups: the channels are split into this many groups, each with its own weights.
        dilation: the distance between the kernel's entries.

    Returns:
        (N, O, OH, OW), where
        OH = (H - 1)*stride - 2*padding + dilation*(kh - 1) + output_padding + 1.

    Raises:
        ShapeError: if the shapes do not match, or padding cuts off the whole image.

    >>> conv_transpose2d(np.array([[[[1.0, 2.0]]]]), np.ones((1, 1, 2, 2)), stride=2)
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]]])
    """
    x, weight = as_array(x), as_array(weight)
    what = f"conv_transpose2d of x {x.shape} with weight {weight.shape}, groups={groups}"
    check_channels(what, x, weight, groups, IMAGES, transposed=True)
    steps, apart = per_axis(stride, "stride", 2), per_axis(dilation, "dilation", 2)
    cut, more = per_axis(padding, "padding", 2), per_axis(output_padding, "output_padding", 2)
    kernel = weight.shape[2:]
    if min(*steps, *apart, *kernel) < 1 or min(*cut, *more) < 0:
        raise ShapeError(f"{what}: kernel, stride and dilation are at least 1, paddings at least 0")
    if any(m >= s for m, s in zip(more, steps, strict=True)):
        raise ShapeError(f"{what}: output_padding {more} must be smaller than stride {steps}")
    size = tuple(
        (n - 1) * s + d * (k - 1) + 1 + m
        for n, s, d, k, m in zip(x.shape[2:], steps, apart, kernel, more, strict=True)
    )
    if any(n <= 2 * c for n, c in zip(size, cut, strict=True)):
        raise ShapeError(f"{what}: padding {cut} cuts off all of the {size} pixels")
    y = conv2d_input_op(x, weight, size=size, stride=steps, dilation=apart, groups=groups)
    if any(cut):
        inside = (slice(c, n - c) for c, n in zip(cut, size, strict=True))
        y = slice_op(y, index=(slice(None), slice(None), *inside))
    return with_bias(what, y, bias)


def pooling(
    name: str,
    reduce: Callable[..., Any],
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    value: float,
    kind: Kind,
) -> Any:
    """Reduce the entries under each window to one value; padding is filled with `value`."""
    x = as_array(x)
    what = f"{name} of x {x.shape}"
    if x.ndim < kind.axes:
        raise ShapeError(f"{what}: {kind.name} have axes (..., {kind.places})")
    kernel = per_axis(kernel_size, "kernel_size", kind.axes)
    stride = kernel if stride is None else per_axis(stride, "stride", kind.axes)
    padding = per_axis(padding, "padding", kind.axes)
    dilation = per_axis(dilation, "dilation", kind.axes)
    if any(2 * p > d * (k - 1) + 1 for p, d, k in zip(padding, dilation, kernel, strict=True)):
        raise ShapeError(
            f"{what}: padding {padding} is more than half the window {kernel}, which at the edges "
            "would see nothing else"
        )
    x = padded(x, padding, kernel, stride, dilation, value)
    check_kernel_fits(what, x.shape[-kind.axes :], kernel, stride, dilation, kind)
    # (kh, kw, ..., OH, OW)
    windows = windows_op(
        as_images(x, kind),
        kernel=in_images(kernel),
        stride=in_images(stride),
        dilation=in_images(dilation),
    )
    return as_they_were(reduce(windows, axis=(0, 1)), kind)


def max_pool1d(
    x: Any,
    kernel_size: int | tuple[int],
    stride: int | tuple[int] | None = None,
    padding: int | tuple[int] = 0,
    dilation: int | tuple[int] = 1,
) -> Any:
    """The largest value under a moving window: (..., L) -> (..., OL); see `max_pool2d`.

    Raises:
        ShapeError: if the window is longer than the signal, or padding than half the window.
        DtypeError: of complex numbers, which have no order.

    >>> max_pool1d(np.array([[1.0, 3.0, 2.0, 0.0]]), 2)
    array([[3., 2.]])
    """
    how = (kernel_size, stride, padding, dilation)
    return pooling("max_pool1d", np.max, as_real(x), *how, -np.inf, SIGNALS)


def max_pool2d(
    x: Any,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> Any:
    """The largest value under a moving window: (..., H, W) -> (..., OH, OW).

    `stride` defaults to the kernel's size. The gradient is split equally between equal maxima.

    Raises:
        ShapeError: if the window is larger than the image, or padding than half the window.
        DtypeError: of complex numbers, which have no order.

    >>> max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """
    how = (kernel_size, stride, padding, dilation)
    return pooling("max_pool2d", np.max, as_real(x), *how, -np.inf, IMAGES)


def average(
    name: str, x: Any, kernel_size: Any, stride: Any, padding: Any, with_padding: bool, kind: Kind
) -> Any:
    if with_padding:
        return pooling(name, np.mean, x, kernel_size, stride, padding, 1, 0, kind)
    total = pooling(name, np.sum, x, kernel_size, stride, padding, 1, 0, kind)
    ones = np.ones(np.shape(x)[-kind.axes :], total.dtype)
    return total / pooling(name, np.sum, ones, kernel_size, stride, padding, 1, 0, kind)


def avg_pool1d(
    x: Any,
    kernel_size: int | tuple[int],
    stride: int | tuple[int] | None = None,
    padding: int | tuple[int] = 0,
    *,
    count_include_pad: bool = True,
) -> Any:
    """The mean under a moving window: (..., L) -> (..., OL); see `avg_pool2d`.

    Raises:
        ShapeError: if the window is longer than the signal, or padding than half the window.

    >>> avg_pool1d(np.array([[1.0, 3.0, 2.0, 0.0]]), 2)
    array([[2., 1.]])
    """
    return average("avg_pool1d", x, kernel_size, stride, padding, count_include_pad, SIGNALS)


def avg_pool2d(
    x: Any,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    *,
    count_include_pad: bool = True,
) -> Any:
    """The mean under a moving window: (..., H, W) -> (..., OH, OW).

    `stride` defaults to the kernel's size. Padding counts as zeros, or with
    count_include_pad=False not at all.

    Raises:
        ShapeError: if the window is larger than the image, or padding than half the window.

    >>> avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """
    return average("avg_pool2d", x, kernel_size, stride, padding, count_include_pad, IMAGES)


def bins(size: int, count: int) -> np.ndarray:
    """(count, size): row i takes the mean of the places from i*size/count to (i + 1)*size/count,
    rounded outwards, so that neighbours overlap where it does not divide."""
    i, place = np.ogrid[:count, :size]
    inside = (place >= i * size // count) & (place < -(-(i + 1) * size // count))
    return inside / inside.sum(axis=1, keepdims=True)


def adaptive(name: str, x: Any, output_size: Any, kind: Kind) -> Any:
    x = as_array(x)
    what, sizes = f"{name} of x {x.shape}", x.shape[-kind.axes :]
    if x.ndim < kind.axes or 0 in sizes:
        raise ShapeError(f"{what}: {kind.name} have axes (..., {kind.places}), none of them empty")
    wanted = output_size if isinstance(output_size, tuple | list) else (output_size,) * kind.axes
    if len(wanted) == kind.axes:
        wanted = [n if count is None else count for n, count in zip(sizes, wanted, strict=True)]
    counts = per_axis(wanted, "output_size", kind.axes)
    if min(counts) < 1:
        raise ShapeError(f"{what}: output_size is at least 1, not {output_size}")
    for axis, (n, count) in enumerate(zip(sizes, counts, strict=True), -kind.axes):
        if count == 1:
            x = np.mean(x, axis=axis, keepdims=True)
        elif count != n:
            matrix = bins(n, count).astype(np.result_type(x.dtype, np.float32))
            x = np.matmul(x, matrix.T) if axis == -1 else np.matmul(matrix, x)
    return x if counts != tuple(sizes) else np.copy(x)


def adaptive_avg_pool1d(x: Any, output_size: int | tuple[int]) -> Any:
    """The mean of each of output_size bins: (..., L) -> (..., output_size).

    Raises:
        ShapeError: if x has no axis, or output_size is below 1.

    >>> adaptive_avg_pool1d(np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]), 2)
    array([[2., 5.]])
    """
    return adaptive("adaptive_avg_pool1d", x, output_size, SIGNALS)


def adaptive_avg_pool2d(x: Any, output_size: int | tuple[int | None, int | None] | None) -> Any:
    """The mean of each of OH by OW bins: (..., H, W) -> (..., OH, OW).

    Bin i of an axis of n entries goes from i*n/count, rounded down, to (i + 1)*n/count, rounded up.

    Args:
        output_size: (OH, OW), or one number for both; None keeps the size of x.

    Raises:
        ShapeError: if x has fewer than two axes, or a size is below 1.

    >>> adaptive_avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 1)
    array([[[[7.5]]]])
    """
    return adaptive("adaptive_avg_pool2d", x, output_size, IMAGES)
