"""scipy.signal on Tensors: convolution, linear filters, detrending. On arrays, all is SciPy's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.signal as sg

from minigrad.errors import ArgumentError, ShapeError, UnsupportedError
from minigrad.ops.base import Domain, Op
from minigrad.scipy.on_tensors import as_array, in_place_of, others

__getattr__ = others(sg)

# Convolution. It is linear in both inputs, and the cotangent of each is a convolution as well: of
# the full one by a valid one, and of the valid one by a full one.


def flipped(x: Any, axes: tuple[int, ...]) -> Any:
    return np.flip(x, axes)


def convolved(x: Any, y: Any, mode: str, axes: tuple[int, ...], method: str) -> Any:
    """Along some axes; the others broadcast. With `mode` valid, y is not longer than x."""
    if len(axes) == x.ndim:
        return sg.convolve(x, y, mode, method)
    return sg.fftconvolve(x, y, mode, axes)


def full_by_x(g: Any, z: Any, x: Any, y: Any, axes: Any, method: str) -> Any:
    return valid_op(g, flipped(y, axes), axes=axes, method=method)


def full_by_y(g: Any, z: Any, x: Any, y: Any, axes: Any, method: str) -> Any:
    return valid_op(g, flipped(x, axes), axes=axes, method=method)


def valid_by_x(g: Any, z: Any, x: Any, y: Any, axes: Any, method: str) -> Any:
    return full_op(g, flipped(y, axes), axes=axes, method=method)


def valid_by_y(g: Any, z: Any, x: Any, y: Any, axes: Any, method: str) -> Any:
    return flipped(valid_op(x, flipped(g, axes), axes=axes, method=method), axes)


full_op = Op(
    "processing",
    "scipy.signal.convolve",
    lambda x, y, axes, method: convolved(x, y, "full", axes, method),
    (full_by_x, full_by_y),
    "convolve({0}, {1})",
    domains=(Domain(), Domain()),
    broadcasts=True,
    jacobian="multilinear",
)
valid_op = Op(
    "processing",
    "scipy.signal.convolve_valid",
    lambda x, y, axes, method: convolved(x, y, "valid", axes, method),
    (valid_by_x, valid_by_y),
    "convolve_valid({0}, {1})",
    domains=(Domain(), Domain()),
    broadcasts=True,
    jacobian="multilinear",
)


def along(axes: Any, ndim: int) -> tuple[int, ...]:
    if axes is None:
        return tuple(range(ndim))
    axes = [axes] if np.ndim(axes) == 0 else axes
    return tuple(sorted(int(axis) % ndim for axis in axes))


def convolve_along(x: Any, y: Any, mode: str, axes: Any, method: str, name: str) -> Any:
    x, y = as_array(x), as_array(y)
    if x.ndim != y.ndim:
        raise ShapeError(
            f"{name} of arrays of shapes {x.shape} and {y.shape}: they have as many axes each, add "
            "some with x[None]"
        )
    if mode not in ("full", "valid", "same"):
        raise ArgumentError(f'{name}: mode must be "full", "valid" or "same", and is {mode!r}')
    axes = along(axes, x.ndim)
    if mode == "valid" and axes:
        longer = [x.shape[k] >= y.shape[k] for k in axes]
        if not all(longer):
            if any(x.shape[k] > y.shape[k] for k in axes):
                raise ShapeError(
                    f"{name} with mode='valid' of shapes {x.shape} and {y.shape}: one must be at "
                    "least as long as the other along every axis"
                )
            x, y = y, x
        return valid_op(x, y, axes=axes, method=method)
    z = full_op(x, y, axes=axes, method=method) if axes else x * y
    if mode != "same":
        return z
    return middle(z, x.shape, [(n - m) // 2 for n, m in zip(z.shape, x.shape, strict=True)])


def middle(z: Any, sizes: Sequence[int], starts: Sequence[int]) -> Any:
    return z[tuple(slice(a, a + n) for a, n in zip(starts, sizes, strict=True))]


def convolve_by_fft(x: Any, y: Any, mode: str, axes: Any, name: str) -> Any:
    """An axis of size 1 broadcasts, also one to convolve along."""
    x, y = as_array(x), as_array(y)
    if x.ndim == y.ndim:
        axes = [k for k in along(axes, x.ndim) if x.shape[k] != 1 != y.shape[k]]
    return convolve_along(x, y, mode, axes, "fft", name)


@in_place_of(sg.convolve)
def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """The convolution of arrays with as many axes each, along all axes.

    Raises:
        ShapeError: if they have not; or with mode="valid", if neither is the longer one throughout.

    >>> from minigrad import grad
    >>> grad(lambda h: np.sum(convolve(np.array([1.0, 2.0, 3.0]), h, "valid")))(np.zeros(2))
    array([5., 3.])
    """
    return convolve_along(in1, in2, mode, None, method, "convolve")


@in_place_of(sg.fftconvolve)
def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """The convolution along some axes, by FFT; other axes broadcast.

    >>> from minigrad import check_gradients
    >>> check_gradients(lambda x: fftconvolve(x, np.ones((2, 2)), axes=1), np.eye(2))
    """
    return convolve_by_fft(in1, in2, mode, axes, "fftconvolve")


@in_place_of(sg.oaconvolve)
def oaconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """As `fftconvolve`.

    >>> from minigrad import check_gradients
    >>> check_gradients(lambda x: oaconvolve(x, np.ones(2)), np.array([1.0, 2.0, 3.0]))
    """
    return convolve_by_fft(in1, in2, mode, axes, "oaconvolve")


def reversed_conj(x: Any) -> Any:
    x = np.flip(as_array(x))
    return np.conj(x) if x.dtype.kind == "c" else x


@in_place_of(sg.correlate)
def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """The cross-correlation of arrays with as many axes each: in2 is conjugated.

    >>> from minigrad import grad
    >>> grad(lambda h: np.sum(correlate(np.array([1.0, 2.0, 3.0]), h, "valid")))(np.zeros(2))
    array([3., 5.])
    """
    return convolve_along(in1, reversed_conj(in2), mode, None, method, "correlate")


MODES = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}


def convolve_planes(x: Any, y: Any, mode: str, boundary: str, fillvalue: float, name: str) -> Any:
    """Convolution of two matrices, with x continued beyond its borders."""
    x, y = as_array(x), as_array(y)
    if x.ndim != 2 or y.ndim != 2:
        raise ShapeError(f"{name} is of two matrices, not of shapes {x.shape} and {y.shape}")
    if boundary not in MODES:
        raise ArgumentError(f"{name}: boundary must be one of {[*MODES]}, and is {boundary!r}")
    if mode == "valid":
        return convolve_along(x, y, mode, None, "direct", name)
    how: Any = {"mode": MODES[boundary]}
    how |= {"constant_values": fillvalue} if boundary == "fill" else {}
    wide = np.pad(x, [(n - 1, n - 1) for n in y.shape], **how)
    full = convolve_along(wide, y, "valid", None, "direct", name)
    if mode == "full":
        return full
    if mode != "same":
        raise ArgumentError(f'{name}: mode must be "full", "valid" or "same", and is {mode!r}')
    # The middle of an even size is before it, and in a kernel that was reversed, after it.
    return middle(full, x.shape, [(n - (name == "convolve2d")) // 2 for n in y.shape])


@in_place_of(sg.convolve2d)
def convolve2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: float = 0
) -> Any:
    """The convolution of two matrices: beyond its borders, in1 is filled, wrapped or mirrored.

    >>> from minigrad import check_gradients
    >>> check_gradients(lambda x: convolve2d(x, np.ones((2, 2)), boundary="wrap"), np.eye(2))
    """
    return convolve_planes(in1, in2, mode, boundary, fillvalue, "convolve2d")


@in_place_of(sg.correlate2d)
def correlate2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: float = 0
) -> Any:
    """The cross-correlation of two matrices; see `convolve2d`.

    >>> from minigrad import check_gradients
    >>> check_gradients(lambda x: correlate2d(x, np.ones((2, 2))), np.eye(2))
    """
    return convolve_planes(in1, reversed_conj(in2), mode, boundary, fillvalue, "correlate2d")


# Linear filters. y = filter(b, a, x) is linear in x and in b, and a * y = b * x as convolutions.


def filter_by_x(g: Any, y: Any, b: Any, a: Any, x: Any) -> Any:
    """The same filter, backwards in time."""
    return np.flip(filter_op(b, a, np.flip(g, -1)), -1)


def delayed_products(g: Any, w: Any, count: int) -> Any:
    """For every delay k < count, the sum of g[n] * w[n - k]."""
    size = g.shape[-1]
    products = [
        np.sum(g[..., k:] * w[..., : size - k]) if k < size else np.sum(g[..., :0])
        for k in range(count)
    ]
    return np.stack(products)


def filter_by_b(g: Any, y: Any, b: Any, a: Any, x: Any) -> Any:
    return delayed_products(g, filter_op(np.ones(1), a, x), len(b))


def filter_by_a(g: Any, y: Any, b: Any, a: Any, x: Any) -> Any:
    return -delayed_products(g, filter_op(np.ones(1), a, y), len(a))


filter_op = Op(
    "processing",
    "scipy.signal.lfilter",
    sg.lfilter,
    (filter_by_b, filter_by_a, filter_by_x),
    "lfilter({0}, {1}, {2})",
    domains=(Domain(), Domain(), Domain()),
)


@in_place_of(sg.lfilter)
def lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """A signal filtered by b / a, polynomials in the delay, with derivatives by all three.

    Raises:
        UnsupportedError: with an initial state `zi`.

    >>> from minigrad import grad
    >>> grad(lambda x: lfilter([1.0], [1.0, -0.5], x)[-1])(np.zeros(3))
    array([0.25, 0.5 , 1.  ])
    """
    if zi is not None:
        raise UnsupportedError(
            "lfilter of Tensors starts from rest, without zi: put earlier samples before x"
        )
    b, a, x = as_array(b) * 1.0, as_array(a) * 1.0, as_array(x) * 1.0
    if b.ndim != 1 or a.ndim != 1 or not x.ndim:
        raise ShapeError(
            f"lfilter has b and a of one axis each and a signal, not {b.shape}, {a.shape} and "
            f"{x.shape}"
        )
    found = filter_op(b / a[0], a / a[0], np.moveaxis(x, axis, -1))
    return np.moveaxis(found, -1, axis)


@in_place_of(sg.sosfilt)
def sosfilt(sos: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """A signal filtered by second-order sections, each b0 b1 b2 a0 a1 a2, one after the other.

    >>> from minigrad import check_gradients
    >>> check_gradients(lambda x: sosfilt(np.array([[1, 0, 0.5, 1, 0.2, 0]]), x), np.arange(3.0))
    """
    for section in as_array(sos):
        x = lfilter(section[:3], section[3:], x, axis, zi)
    return x


@in_place_of(sg.detrend)
def detrend(
    data: Any,
    axis: int = -1,
    type: str = "linear",
    bp: int | Sequence[int] = 0,
    overwrite_data: bool = False,
) -> Any:
    """A signal without its mean, or without the line that fits it best, between breaks `bp`.

    >>> from minigrad import Tensor
    >>> np.round(detrend(Tensor([1.0, 2.0, 4.0])), 3)
    Tensor([ 0.167, -0.333,  0.167])
    """
    data = as_array(data)
    if type in ("constant", "c"):
        return data - np.mean(data, axis=axis, keepdims=True)
    if type not in ("linear", "l"):
        raise ArgumentError(f'detrend: type must be "linear" or "constant", and is {type!r}')
    x = np.moveaxis(data, axis, -1)
    ends = np.unique([0, *np.atleast_1d(bp), x.shape[-1]])
    if ends[-1] > x.shape[-1]:
        raise ArgumentError(f"detrend: breaks {bp} lie beyond the {x.shape[-1]} samples")
    parts = []
    for start, end in pairwise(ends):
        line = np.stack([np.ones(end - start), np.linspace(0, 1, end - start)])
        basis = np.linalg.qr(line.T)[0].astype(np.result_type(x.dtype, np.float32))
        part = x[..., start:end]
        parts.append(part - (part @ basis) @ basis.T)
    return np.moveaxis(np.concatenate(parts, -1), -1, axis)
