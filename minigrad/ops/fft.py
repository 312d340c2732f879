"""np.fft: four linear ops, each of which is its own or another's transpose, and their compositions.

The cotangent of x in y = A x is A.T g, without a conjugate. The matrix of the Fourier transform is
symmetric, so fftn and ifftn are each their own transposes. rfft and irfft are each other's, up to
a conjugate, and a factor of 2 for entries of the half spectrum that stand for two of the whole.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from minigrad.dispatch import implementations, implements
from minigrad.errors import ArgumentError, ArgumentTypeError, DtypeError, ShapeError
from minigrad.ops.base import Op, Shape
from minigrad.ops.movement import as_array, checked_axis, pad_op, roll, slice_op

# The norm of the transform back that has the same factor.
OPPOSITE: dict[str, Any] = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def resized(x: Any, shape: Shape) -> Any:
    """x of another shape: cut off, or with zeros added, at the end of its axes."""
    if x.shape == shape:
        return x
    kept = tuple(map(min, x.shape, shape))
    x = slice_op(x, index=tuple(map(slice, kept)))
    more = tuple((0, n - m) for m, n in zip(kept, shape, strict=True))
    return x if kept == shape else pad_op(x, width=more, value=0)


@lru_cache(256)
def inner_entries(n: int, by: float, dtype: np.dtype[Any], ndim: int) -> np.ndarray:
    """A factor for each entry of the half spectrum of n numbers, (n//2 + 1, 1, ...): `by` where the
    entry stands for its conjugate too, which the first, and for even n the last, does not."""
    factors = np.ones((n // 2 + 1,) + (1,) * (ndim - 1), np.finfo(dtype).dtype)
    factors[1 : (n + 1) // 2] = by
    factors.flags.writeable = False
    return factors


def rfft_rule(g: Any, y: Any, x: Any, n: int, axis: int, norm: str) -> Any:
    spectrum = np.conj(g) * inner_entries(n, 0.5, g.dtype, g.ndim - axis)
    return resized(irfft_op(spectrum, n=n, axis=axis, norm=OPPOSITE[norm]), x.shape)


def irfft_rule(g: Any, y: Any, x: Any, n: int, axis: int, norm: str) -> Any:
    spectrum = np.conj(rfft_op(g, n=n, axis=axis, norm=OPPOSITE[norm]))
    return resized(spectrum * inner_entries(n, 2.0, g.dtype, g.ndim - axis), x.shape)


def by_axes(along: Any) -> Any:
    """A transform over several axes, as NumPy's: by that along one, the last axis first."""

    def forward(x: Any, s: Shape, axes: Shape, norm: str) -> Any:
        for n, axis in zip(s[::-1], axes[::-1], strict=True):
            x = along(x, n, axis, norm)
        return x

    return forward


linear = partial(Op, "processing", jacobian="constant")
# `s`: the sizes of the axes in the result, to which the input is cut off or padded before.
fftn_op: Op = linear(
    "fftn",
    by_axes(np.fft.fft),
    (lambda g, y, x, **how: resized(fftn_op(g, **how), x.shape),),
    "fftn({0}, {s}, {axes}, norm={norm})",
)
ifftn_op: Op = linear(
    "ifftn",
    by_axes(np.fft.ifft),
    (lambda g, y, x, **how: resized(ifftn_op(g, **how), x.shape),),
    "ifftn({0}, {s}, {axes}, norm={norm})",
)
# `n`: how many real numbers there are; their half spectrum has n//2 + 1 entries.
rfft_op: Op = linear(
    "rfft",
    lambda x, n, axis, norm: np.fft.rfft(x, n, axis, norm),
    (rfft_rule,),
    "rfft({0}, {n}, {axis}, norm={norm})",
)
irfft_op: Op = linear(
    "irfft",
    lambda x, n, axis, norm: np.fft.irfft(x, n, axis, norm),
    (irfft_rule,),
    "irfft({0}, {n}, {axis}, norm={norm})",
)


# Arguments, as np.fft takes them


def norm_of(norm: str | None) -> Any:
    """The name of the normalization."""
    if norm is not None and norm not in OPPOSITE:
        raise ArgumentError(f"norm={norm!r} of a Fourier transform: one of {[*OPPOSITE]}, or None")
    return norm or "backward"


def integer(what: str, n: Any) -> int:
    try:
        return operator.index(n)
    except TypeError as error:
        raise ArgumentTypeError(f"the {what} of a transform is an integer, not {n!r}") from error


def axis_of(a: Any, axis: Any) -> int:
    """An axis, counted from 0."""
    return checked_axis(a, integer("axis", axis))


def size_of(a: Any, axis: int, n: Any) -> int:
    """The size of an axis, or n in its place."""
    n = a.shape[axis] if n is None else integer("size", n)
    if n < 1:
        raise ShapeError(
            f"a Fourier transform of {n} numbers, along axis {axis} of shape {a.shape}: there must "
            "be 1 or more"
        )
    return n


def sizes_of(a: Any, s: Any, axes: Any, real: bool = False) -> tuple[Shape, Shape]:
    """The sizes and the axes of a transform over several; `real`: back from a half spectrum."""
    if axes is s is None:
        axes = tuple(range(a.ndim))
    else:
        axes = tuple(axis_of(a, k) for k in (range(-len(s), 0) if axes is None else axes))
    given = [None] * len(axes) if s is None else [*s]
    if s is not None and None in given and len(set(axes)) < len(axes):
        raise ShapeError(f"sizes {tuple(s)} over axes {axes}: with an axis twice, give each size")
    if len(given) != len(axes):
        raise ShapeError(
            f"a Fourier transform to sizes {tuple(s)} over axes {axes}: give each axis its size"
        )
    if real and axes and given[-1] is None:
        given[-1] = 2 * (a.shape[axes[-1]] - 1)
    whole = (a.shape[k] if n == -1 else n for n, k in zip(given, axes, strict=True))
    return tuple(map(partial(size_of, a), axes, whole)), axes


def over(op: Op, a: Any, s: Shape, axes: Shape, norm: str) -> Any:
    """A transform over several axes, the last first; one that is named twice, twice."""
    if len(set(axes)) == len(axes):
        return op(a, s=s, axes=axes, norm=norm) if axes else a
    for n, axis in zip(reversed(s), reversed(axes), strict=True):
        a = op(a, s=(n,), axes=(axis,), norm=norm)
    return a


def written(y: Any, out: Any) -> Any:
    """A result, written into a Tensor if there is one for it."""
    return y if out is None else implementations["out"](out, y)


def real(a: Any, name: str) -> Any:
    """An input that must be real."""
    a = as_array(a)
    if a.dtype.kind == "c":
        raise DtypeError(
            f"{name} is of real numbers, and this input of shape {a.shape} has dtype {a.dtype}: "
            f"use {name.replace('rfft', 'fft').replace('ihfft', 'ifft')}, or its real part"
        )
    return a


# The functions


def along(op: Op, a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """fft and ifft: along one axis."""
    a = as_array(a)
    axis = axis_of(a, axis)
    return written(op(a, s=(size_of(a, axis, n),), axes=(axis,), norm=norm_of(norm)), out)


def along_axes(
    op: Op, a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None
) -> Any:
    """fftn and ifftn, over all axes."""
    a = as_array(a)
    return written(over(op, a, *sizes_of(a, s, axes), norm_of(norm)), out)


def along_two(
    op: Op, a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None
) -> Any:
    """fft2 and ifft2: over the last two axes."""
    return along_axes(op, a, s, axes, norm, out)


for op, functions in {
    fftn_op: (np.fft.fft, np.fft.fft2, np.fft.fftn),
    ifftn_op: (np.fft.ifft, np.fft.ifft2, np.fft.ifftn),
}.items():
    for function, how in zip(functions, (along, along_two, along_axes), strict=True):
        implements(function)(partial(how, op))


@implements(np.fft.rfft)
def rfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    a = real(a, "rfft")
    axis = axis_of(a, axis)
    return written(rfft_op(a, n=size_of(a, axis, n), axis=axis, norm=norm_of(norm)), out)


@implements(np.fft.irfft)
def irfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    a = as_array(a)
    axis = axis_of(a, axis)
    n = size_of(a, axis, 2 * (a.shape[axis] - 1) if n is None else n)
    if not a.shape[axis]:
        raise ShapeError(
            f"irfft along axis {axis} of shape {a.shape}: there is nothing to transform"
        )
    return written(irfft_op(a, n=n, axis=axis, norm=norm_of(norm)), out)


@implements(np.fft.rfftn)
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    a = real(a, "rfftn")
    s, axes = at_least_one("rfftn", *sizes_of(a, s, axes))
    half = rfft_op(a, n=s[-1], axis=axes[-1], norm=norm_of(norm))
    return written(over(fftn_op, half, s[:-1], axes[:-1], norm_of(norm)), out)


@implements(np.fft.irfftn)
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    a = as_array(a)
    s, axes = at_least_one("irfftn", *sizes_of(a, s, axes, real=True))
    a = over(ifftn_op, a, s[-2::-1], axes[-2::-1], norm_of(norm))  # the first axis first, as NumPy
    return written(irfft_op(a, n=s[-1], axis=axes[-1], norm=norm_of(norm)), out)


def at_least_one(name: str, s: Shape, axes: Shape) -> tuple[Shape, Shape]:
    if not axes:
        raise ShapeError(f"{name} over no axes: it is over one or more")
    return s, axes


@implements(np.fft.rfft2)
def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    return rfftn(a, s, axes, norm, out)


@implements(np.fft.irfft2)
def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    return irfftn(a, s, axes, norm, out)


@implements(np.fft.hfft)
def hfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """Of a signal with Hermitian symmetry, whose spectrum is real."""
    return irfft(np.conj(as_array(a)), n, axis, OPPOSITE[norm_of(norm)], out)


@implements(np.fft.ihfft)
def ihfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return written(np.conj(rfft(real(a, "ihfft"), n, axis, OPPOSITE[norm_of(norm)])), out)


def shifted(sign: int, x: Any, axes: int | Sequence[int] | None = None) -> Any:
    """fftshift and ifftshift: rolled by half of each axis."""
    x = as_array(x)
    if axes is None:
        places = tuple(range(x.ndim))
    else:
        places = tuple(checked_axis(x, k) for k in np.atleast_1d(axes).tolist())
    return roll(x, tuple(sign * (x.shape[k] // 2) for k in places), places)


implements(np.fft.fftshift)(partial(shifted, 1))
# Rolled back: for an odd size, one entry less than to the middle again.
implements(np.fft.ifftshift)(partial(shifted, -1))
