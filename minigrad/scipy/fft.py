"""scipy.fft on Tensors, under the same names; on plain arrays, SciPy's own functions.

    import minigrad.scipy.fft as fft
    fft.dct(t, norm="ortho")

Code that calls scipy.fft itself runs unchanged inside of
`with scipy.fft.set_backend(minigrad.scipy.fft)`.

The transforms of `numpy.fft` are the same here. The cosine and sine transforms are two ops: the
transpose of type 2 is type 3, and types 1 and 4 are symmetric, but for factors at the ends.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np

from minigrad.dispatch import implementations, is_traced
from minigrad.errors import ArgumentError, MissingPackageError, ShapeError, UnsupportedError
from minigrad.ops.base import Op, Shape
from minigrad.ops.fft import OPPOSITE, norm_of, resized, sizes_of
from minigrad.ops.movement import as_array
from minigrad.tensor import Tensor

try:
    import scipy.fft as of_arrays
    from scipy.fft import fftfreq as fftfreq
    from scipy.fft import fhtoffset as fhtoffset
    from scipy.fft import next_fast_len as next_fast_len
    from scipy.fft import prev_fast_len as prev_fast_len
    from scipy.fft import rfftfreq as rfftfreq
except ImportError as error:
    raise MissingPackageError("minigrad.scipy.fft needs SciPy: pip install scipy") from error

# Cosine and sine transforms

# Type -> the type of its transpose, which up to a factor is also its inverse.
TRANSPOSED = {1: 1, 2: 3, 3: 2, 4: 4}


@lru_cache(256)
def factors(n: int, ends: Shape, by: float, dtype: np.dtype[Any], ndim: int) -> np.ndarray:
    """`by` at the ends, 1 elsewhere: (n, 1, ...)."""
    made = np.ones((n,) + (1,) * (ndim - 1), np.finfo(dtype).dtype)
    made[[*ends]] = by
    made.flags.writeable = False
    return made


def at_ends(g: Any, axes: Shape, ends: Shape, by: float) -> Any:
    """g, with its entries at these ends of each axis multiplied."""
    for axis in axes if ends else ():
        g = g * factors(g.shape[axis], ends, by, g.dtype, g.ndim - axis)
    return g


def join(real: np.ndarray, imag: np.ndarray) -> np.ndarray:
    """real + 1j * imag, in their precision."""
    return (real + np.complex64(1j) * imag).astype(np.result_type(real, np.complex64), copy=False)


def trigonometric(name: str, ends: dict[int, Shape]) -> Op:
    """The op of a cosine or sine transform.

    Orthogonalized, types 1 and 4 are symmetric, and 2 and 3 each other's transposes. Otherwise the
    outputs of types 1 and 2 are larger by sqrt(2), and the inputs of 1 and 3 count less, at `ends`.
    """
    own = getattr(of_arrays, name)

    def forward(x: Any, type: int, s: Any, axes: Any, norm: Any, orthogonalize: bool) -> Any:
        if x.dtype.kind == "c":  # SciPy 1.17 orthogonalizes the real part of the first entry only
            parts = (forward(y, type, s, axes, norm, orthogonalize) for y in (x.real, x.imag))
            return join(*parts)
        return own(x, type, s, axes, norm, orthogonalize=orthogonalize)

    def rule(
        g: Any, y: Any, x: Any, type: int, axes: Shape, orthogonalize: bool, **how: Any
    ) -> Any:
        outer, inner = (
            () if orthogonalize or type not in types else ends.get(type, ())
            for types in ((1, 2), (1, 3))
        )
        g = at_ends(g, axes, outer, math.sqrt(2))
        g = op(g, type=TRANSPOSED[type], axes=axes, orthogonalize=True, **how)
        return resized(at_ends(g, axes, inner, math.sqrt(0.5)), x.shape)

    op = Op(
        "processing",
        name,
        forward,
        (rule,),
        f"{name}({{0}}, {{type}}, {{s}}, {{axes}}, {{norm}}, orthogonalize={{orthogonalize}})",
        jacobian="constant",
    )
    return op


dctn_op = trigonometric("dctn", {1: (0, -1), 2: (0,), 3: (0,)})
dstn_op = trigonometric("dstn", {2: (-1,), 3: (-1,)})


def is_recorded(x: Any) -> bool:
    return isinstance(x, Tensor) or is_traced(x)


def apply(op: Op, back: bool, x: Any, type: int, s: Any, axes: Any, norm: Any, ortho: Any) -> Any:
    """A cosine or sine transform of a Tensor, or `back`: its inverse."""
    if type not in TRANSPOSED:
        raise ArgumentError(f"{op.name} of type {type!r}: the types are 1, 2, 3 and 4")
    ortho = norm == "ortho" if ortho is None else bool(ortho)
    norm = norm_of(norm)
    if back:
        type, norm = TRANSPOSED[type], OPPOSITE[norm]
    s = s if s is None or np.ndim(s) else (s,)
    s, axes = sizes_of(x, s, axes if axes is None or np.ndim(axes) else (axes,))
    check_axes(op, type, s, axes)
    return op(x, type=type, s=s, axes=axes, norm=norm, orthogonalize=ortho)


def check_axes(op: Op, type: int, s: Shape, axes: Shape) -> None:
    if len(set(axes)) < len(axes) or not axes:
        raise ShapeError(f"{op.name} over axes {axes}: name one or more, each once")
    if op is dctn_op and type == 1 and min(s) < 2:
        raise ShapeError(f"{op.name} of type 1 of sizes {s}: it is of 2 numbers or more")


def along_axis(name: str, op: Op, back: bool) -> Callable[..., Any]:
    own = getattr(of_arrays, name)

    @functools.wraps(own)
    def transform(
        x: Any,
        type: int = 2,
        n: Any = None,
        axis: int = -1,
        norm: Any = None,
        overwrite_x: bool = False,
        workers: Any = None,
        orthogonalize: Any = None,
    ) -> Any:
        if not is_recorded(x):
            return own(x, type, n, axis, norm, overwrite_x, workers, orthogonalize)
        return apply(op, back, x, type, n if n is None else (n,), (axis,), norm, orthogonalize)

    return transform


def along_axes(name: str, op: Op, back: bool) -> Callable[..., Any]:
    own = getattr(of_arrays, name)

    @functools.wraps(own)
    def transform(
        x: Any,
        type: int = 2,
        s: Any = None,
        axes: Any = None,
        norm: Any = None,
        overwrite_x: bool = False,
        workers: Any = None,
        *,
        orthogonalize: Any = None,
    ) -> Any:
        if not is_recorded(x):
            return own(x, type, s, axes, norm, overwrite_x, workers, orthogonalize=orthogonalize)
        return apply(op, back, x, type, s, axes, norm, orthogonalize)

    return transform


dct, idct = along_axis("dct", dctn_op, False), along_axis("idct", dctn_op, True)
dst, idst = along_axis("dst", dstn_op, False), along_axis("idst", dstn_op, True)
dctn, idctn = along_axes("dctn", dctn_op, False), along_axes("idctn", dctn_op, True)
dstn, idstn = along_axes("dstn", dstn_op, False), along_axes("idstn", dstn_op, True)


# Fourier transforms, by those of numpy.fft


def hfftn_of(x: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    return np.fft.irfftn(np.conj(as_array(x)), s, axes, OPPOSITE[norm_of(norm)])


def ihfftn_of(x: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    return np.conj(np.fft.rfftn(x, s, axes, OPPOSITE[norm_of(norm)]))


def over_two(
    whole: Callable[..., Any], x: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None
) -> Any:
    return whole(x, s, axes, norm)


# What numpy.fft lacks -> the function of a Tensor.
LACKING: dict[str, Callable[..., Any]] = {"hfftn": hfftn_of, "ihfftn": ihfftn_of}
LACKING |= {name[:-1] + "2": partial(over_two, whole) for name, whole in LACKING.items()}


def fourier(name: str) -> Callable[..., Any]:
    """A function of scipy.fft that also takes Tensors, and then ignores arguments about how."""
    own = getattr(of_arrays, name)
    on_tensors = LACKING.get(name) or implementations[getattr(np.fft, name)]

    @functools.wraps(own)
    def transform(
        x: Any,
        *given: Any,
        overwrite_x: bool = False,
        workers: Any = None,
        plan: Any = None,
        **named: Any,
    ) -> Any:
        if not is_recorded(x):
            how = {"overwrite_x": overwrite_x, "workers": workers, "plan": plan}
            named |= {k: v for k, v in how.items() if v}
            return own(x, *given, **named)
        return on_tensors(x, *given[:3], **named)

    return transform


fft, ifft, fft2, ifft2 = map(fourier, ("fft", "ifft", "fft2", "ifft2"))
rfft, irfft, rfft2, irfft2 = map(fourier, ("rfft", "irfft", "rfft2", "irfft2"))
hfft, ihfft, hfft2, ihfft2 = map(fourier, ("hfft", "ihfft", "hfft2", "ihfft2"))
fftn, ifftn, rfftn, irfftn = map(fourier, ("fftn", "ifftn", "rfftn", "irfftn"))
hfftn, ihfftn = map(fourier, ("hfftn", "ihfftn"))
fftshift, ifftshift = map(fourier, ("fftshift", "ifftshift"))


def hankel(name: str) -> Callable[..., Any]:
    own = getattr(of_arrays, name)

    @functools.wraps(own)
    def transform(*args: Any, **kwargs: Any) -> Any:
        if any(map(is_recorded, (*args, *kwargs.values()))):
            raise UnsupportedError(
                f"scipy.fft.{name} is not supported on Tensors: it is linear, so apply its matrix, "
                f"scipy.fft.{name}(np.eye(n), ...), as a @ matrix"
            )
        return own(*args, **kwargs)

    return transform


fht, ifht = hankel("fht"), hankel("ifht")


# The protocol of SciPy's backends for scipy.fft.


def multimethod(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What scipy.fft calls inside of `set_backend`: of plain arrays, SciPy's own does it."""
    own = globals().get(method.__name__)
    if own is None or not any(map(is_recorded, args)):
        return NotImplemented
    return own(*args, **kwargs)


__ua_domain__, __ua_function__ = "numpy.scipy.fft", multimethod
