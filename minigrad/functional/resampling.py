"""Padding, resizing, and rearranging of images (..., H, W) and signals (..., L)."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.arguments import one_of
from minigrad.errors import ArgumentError, ShapeError
from minigrad.ops.movement import as_array, as_real, pad_op, slice_op

# PyTorch's names of np.pad's modes, and how much of an axis each can fill in.
MODES: dict[str, tuple[str, Callable[[int], int]]] = {
    "reflect": ("reflect", lambda n: n - 1),
    "replicate": ("edge", lambda n: 2**62 if n else 0),
    "circular": ("wrap", lambda n: n),
}
PADDING_MODE = one_of("constant", *MODES)


def pad(x: Any, pad: tuple[int, ...], mode: str = "constant", value: float = 0) -> Any:
    """Add entries at both ends of the last axes.

    Args:
        x: any shape.
        pad: how many, the last axis first: (left, right, top, bottom, ...). Where negative, with
            mode="constant" only, entries are cut off.
        mode: "constant"; "reflect", without repeating the edge; "replicate", the edge repeated;
            "circular", from the other end.
        value: what is added by mode="constant".

    Raises:
        ArgumentError: if mode is something else, or value is not a number of x's dtype, or one that
            mode does not use.
        ShapeError: if pad has not two numbers for each of at most x.ndim axes, cuts off more than
            there is, or asks for more entries than mode can fill in.

    >>> pad(np.array([[1, 2, 3]]), (2, 1))
    array([[0, 0, 1, 2, 3, 0]])
    >>> pad(np.array([[1, 2, 3]]), (2, 1), mode="reflect")
    array([[3, 2, 1, 2, 3, 2]])
    """
    x, numbers = as_array(x), list(pad)
    what = f"pad of x {x.shape} by {tuple(numbers)}"
    if len(numbers) % 2 or len(numbers) > 2 * x.ndim:
        raise ShapeError(
            f"{what}: it has two numbers for each padded axis, the last axis first, as in "
            "(left, right, top, bottom)"
        )
    around = list(zip(numbers[::2], numbers[1::2], strict=True))[::-1]
    around = [(0, 0)] * (x.ndim - len(around)) + around
    if mode == "constant":
        return filled(what, x, around, value)
    if mode not in MODES:
        raise ArgumentError(f"{what}: mode is {PADDING_MODE.wanted}, not {mode!r}")
    if value:
        raise ArgumentError(f'{what}: value={value!r} is for mode="constant", not {mode!r}')
    name, most = MODES[mode]
    for n, ends in zip(x.shape, around, strict=True):
        if min(ends) < 0 or max(ends) > most(n):
            raise ShapeError(
                f"{what}: mode={mode!r} can add 0 to {most(n)} entries at each end of an axis of "
                f"{n}, not {ends}"
            )
    return np.pad(x, around, mode=name)  # type: ignore[call-overload]


def filled(what: str, x: Any, around: list[tuple[int, int]], value: float) -> Any:
    """Where numbers are negative, entries are cut off; then the rest is added."""
    if any(n + min(a, 0) + min(b, 0) < 0 for n, (a, b) in zip(x.shape, around, strict=True)):
        raise ShapeError(f"{what}: that cuts off more than there is")
    number = isinstance(value, int | float | np.number)
    if not number or (x.dtype.kind in "iub" and value != np.trunc(value)) or np.iscomplex(value):
        raise ArgumentError(f"{what}: value={value!r} is not a number that {x.dtype} holds")
    if min(map(min, around), default=0) < 0:
        inside = [(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, around, strict=True)]
        x = slice_op(x, index=tuple(slice(*ends) for ends in inside))
    return pad_op(x, width=tuple((max(a, 0), max(b, 0)) for a, b in around), value=value)


# The modes that mix entries, and the numbers of axes each is for.
LINEAR = {"linear": (1,), "bilinear": (2,), "trilinear": (3,), "bicubic": (2,)}
# Where the entry is taken, in a step of the output from 0 to 1.
NEAREST = {"nearest": 0.0, "nearest-exact": 0.5}
INTERPOLATION = one_of(*NEAREST, *LINEAR)


def interpolate(
    x: Any,
    size: int | tuple[int, ...] | None = None,
    scale_factor: float | tuple[float, ...] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Any:
    """Resize signals, images or volumes, to a size or by a factor.

    Args:
        x: (N, C, L), (N, C, H, W) or (N, C, D, H, W).
        size: of the output: one number for all axes after (N, C), or one for each.
        scale_factor: what sizes are multiplied by, and then rounded down, instead.
        mode: "nearest", the entry at the start of each step of the output; "nearest-exact", that at
            its middle; "linear", "bilinear" or "trilinear", for one, two or three axes; "bicubic"
            (Keys, "Cubic convolution interpolation", 1981, with a = -0.75), for two.
        align_corners: whether the middles of the first and last entry stay where they are; by
            default the edges do. Not for the nearest.

    Returns:
        (N, C, ...), of the new size.

    Raises:
        ArgumentError: if not exactly one of size and scale_factor is given, a factor is not finite,
            mode is something else, or align_corners is given for the nearest.
        ShapeError: if x has not the axes that mode is for, or a size is below 1.
        DtypeError: if complex numbers are to be mixed.

    >>> interpolate(np.array([[[0.0, 4.0]]]), scale_factor=2)
    array([[[0., 0., 4., 4.]]])
    >>> interpolate(np.array([[[0.0, 4.0]]]), size=5, mode="linear", align_corners=True)
    array([[[0., 1., 2., 3., 4.]]])
    """
    x = as_array(x)
    what, axes = f"interpolate of x {x.shape} by mode={mode!r}", x.ndim - 2
    if mode not in LINEAR and mode not in NEAREST:
        raise ArgumentError(f"{what}: mode is {INTERPOLATION.wanted}")
    if axes not in LINEAR.get(mode, (1, 2, 3)) or 0 in x.shape[2:]:
        raise ShapeError(
            f"{what}: x is (N, C, L), (N, C, H, W) or (N, C, D, H, W), not empty after C; of those "
            'linear is "linear", "bilinear" and "trilinear", and "bicubic" is for images'
        )
    if align_corners is not None and mode in NEAREST:
        raise ArgumentError(f"{what}: align_corners is for modes that mix entries: leave it out")
    if (size is None) == (scale_factor is None):
        raise ArgumentError(f"{what}: give one of size and scale_factor, and not both")
    wanted = size if scale_factor is None else scale_factor
    each = wanted if isinstance(wanted, tuple | list) else (wanted,) * axes
    if len(each) != axes:
        raise ShapeError(f"{what}: there is a size or factor for each of {axes} axes, not {wanted}")
    if not np.all(np.isfinite(each)):
        raise ArgumentError(f"{what}: factors are finite, not {wanted}")
    for axis, (n, new) in enumerate(zip(x.shape[2:], each, strict=True), 2):
        count = operator.index(new) if scale_factor is None else math.floor(n * new)
        if count < 1:
            raise ShapeError(f"{what}: the new size is at least 1, not {count}, from {wanted}")
        step = (n, count) if scale_factor is None else (1, new)
        x = resized(x, axis, count, step, mode, bool(align_corners))
    return x


def resized(x: Any, axis: int, count: int, step: Any, mode: str, align_corners: bool) -> Any:
    """x with `count` entries along an axis. One entry of the output is step[0] / step[1] of x."""
    n, place = x.shape[axis], np.arange(count)
    if mode in NEAREST:
        start = np.floor((place + NEAREST[mode]) * step[0] / step[1]).astype(int)
        return np.take(x, np.minimum(start, n - 1), axis=axis)
    x = as_real(x)
    if align_corners:
        position = place * (n - 1) / max(count - 1, 1)
    else:
        position = (place + 0.5) * step[0] / step[1] - 0.5
        position = position if mode == "bicubic" else np.maximum(position, 0)
    first = np.floor(position)
    part = position - first  # of the way from the first to the next
    if mode == "bicubic":
        weights = {k: keys(np.abs(part - k)) for k in (-1, 0, 1, 2)}
    else:
        weights = {0: 1 - part, 1: part}
    dtype = np.result_type(x.dtype, np.float32)
    shape = (count, *(1,) * (x.ndim - 1 - axis))
    mixed = [
        np.take(x, np.clip(first + k, 0, n - 1).astype(int), axis=axis)
        * weight.reshape(shape).astype(dtype)
        for k, weight in weights.items()
    ]
    return sum(mixed[1:], mixed[0])


def keys(d: np.ndarray) -> np.ndarray:
    """The weight of an entry at distance d, equations 4 and 8 of Keys (1981)."""
    a = -0.75
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, far)


def pixel_shuffle(x: Any, upscale_factor: int) -> Any:
    """(..., C*r*r, H, W) -> (..., C, H*r, W*r): channels become pixels (Shi et al., 2016, eq. 4).

    Raises:
        ShapeError: if x has fewer than three axes, or its channels are no multiple of r*r.

    >>> pixel_shuffle(np.arange(4.0).reshape(4, 1, 1), 2)
    array([[[0., 1.],
            [2., 3.]]])
    """
    x, r = as_array(x), operator.index(upscale_factor)
    if x.ndim < 3 or r < 1 or x.shape[-3] % (r * r):
        raise ShapeError(
            f"pixel_shuffle of x {x.shape} by {r}: x is (..., C*r*r, H, W), for r of at least 1"
        )
    *lead, channels, height, width = x.shape
    k, c = len(lead), channels // (r * r)
    y = x.reshape(*lead, c, r, r, height, width)
    y = np.transpose(y, (*range(k + 1), k + 3, k + 1, k + 4, k + 2))
    return y.reshape(*lead, c, height * r, width * r)


def pixel_unshuffle(x: Any, downscale_factor: int) -> Any:
    """(..., C, H*r, W*r) -> (..., C*r*r, H, W): the inverse of `pixel_shuffle`.

    Raises:
        ShapeError: if x has fewer than three axes, or its height or width is no multiple of r.

    >>> pixel_unshuffle(np.arange(4.0).reshape(1, 2, 2), 2).ravel()
    array([0., 1., 2., 3.])
    """
    x, r = as_array(x), operator.index(downscale_factor)
    if x.ndim < 3 or r < 1 or x.shape[-2] % r or x.shape[-1] % r:
        raise ShapeError(
            f"pixel_unshuffle of x {x.shape} by {r}: x is (..., C, H*r, W*r), for r of at least 1"
        )
    *lead, c, height, width = x.shape
    k = len(lead)
    y = x.reshape(*lead, c, height // r, r, width // r, r)
    y = np.transpose(y, (*range(k + 1), k + 2, k + 4, k + 1, k + 3))
    return y.reshape(*lead, c * r * r, height // r, width // r)
