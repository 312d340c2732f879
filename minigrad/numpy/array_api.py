"""The array API standard (data-apis.org/array-api) for Tensors: `t.__array_namespace__()`.

These are the functions of `minigrad.numpy`, but every array that they return is a Tensor, as the
standard asks: libraries that follow it (SciPy with SCIPY_ARRAY_API=1) refuse arrays of two kinds
in one call. `minigrad.numpy` itself returns NumPy's arrays where no Tensor is involved, so that
programs that are moved to it still work with the rest of the world.

>>> from minigrad.numpy import array_api as xp
>>> xp.sum(xp.linspace(0, 1, 3) ** 2)
Tensor(1.25)
>>> xp.zeros(3).__array_namespace__() is xp
True
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, check_device
from minigrad.numpy.namespace import member
from minigrad.tensor import Tensor

__array_api_version__ = "2024.12"
VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")


def check_version(version: str | None) -> None:
    if version is not None and version not in VERSIONS:
        raise ArgumentError(
            f"api_version={version!r}: the array API is here as of {', '.join(VERSIONS)}"
        )


def as_tensors(x: Any) -> Any:
    """A result with every array in it as a Tensor; one without axes can be written into, which
    NumPy's numbers cannot."""
    if isinstance(x, Tensor):
        return x if x.ndim or x.data.flags.writeable else np.copy(x)
    if isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "fiubc":
        return Tensor(x)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(as_tensors, x))
    return type(x)(map(as_tensors, x)) if type(x) in (list, tuple) else x


def giving_tensors(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return as_tensors(function(*args, **kwargs))

    return call


class Namespace:
    """The names of another namespace, with functions that return Tensors."""

    def __init__(self, look_up: Callable[[str], Any], names: list[str]) -> None:
        self.look_up, self.names = look_up, names

    def __getattr__(self, name: str) -> Any:
        found = self.look_up(name)
        if not callable(found) or isinstance(found, type):
            return found
        made = giving_tensors(found)
        setattr(self, name, made)
        return made

    def __dir__(self) -> list[str]:
        return self.names


linalg, fft = (Namespace(partial(getattr, each), dir(each)) for each in (np.linalg, np.fft))
names = Namespace(member, dir(np))


def __getattr__(name: str) -> Any:
    return getattr(names, name)


def __dir__() -> list[str]:
    return dir(names)


# Where the standard's arguments are not NumPy's


@giving_tensors
def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    return np.copy(x) if min is None and max is None else np.clip(x, min, max)


@giving_tensors
def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    y = np.sort(x, axis)
    return np.flip(y, axis) if descending else y


@giving_tensors
def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    if not descending:
        return np.argsort(x, axis, kind="stable")
    # From the last to the first of equals, turned around.
    places = np.argsort(np.flip(x, axis), axis, kind="stable")
    return np.shape(x)[axis] - 1 - np.flip(places, axis)


def broadcast_arrays(*arrays: Any) -> list[Any]:
    return [*names.broadcast_arrays(*arrays)]


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Any]:
    return [*names.meshgrid(*arrays, indexing=indexing)]


@giving_tensors
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    along: Any = np.linalg.vecdot
    return along(x1, x2, axis=axis)


def frequencies(name: str) -> Callable[..., Any]:
    """np.fft.fftfreq or rfftfreq, with a dtype."""
    function = getattr(np.fft, name)

    @giving_tensors
    def found(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Any:
        check_device(device)
        return function(n, d).astype(dtype or float)

    return found


setattr(fft, "fftfreq", frequencies("fftfreq"))  # noqa: B010  # where Namespace looks first
setattr(fft, "rfftfreq", frequencies("rfftfreq"))  # noqa: B010


class Special:
    """SciPy's special functions, which SciPy looks for here if SCIPY_ARRAY_API=1 is set: its own
    names are then wrappers that make plain arrays of Tensors."""

    def __getattr__(self, name: str) -> Any:
        ufuncs = importlib.import_module("scipy.special._ufuncs")
        return giving_tensors(getattr(ufuncs, name))


special = Special()


def finfo(type: Any, /) -> SimpleNamespace:
    """What np.finfo says, as Python's numbers."""
    info = np.finfo(np.result_type(type))
    limits = {name: float(getattr(info, name)) for name in "eps max min smallest_normal".split()}
    return SimpleNamespace(bits=info.bits, dtype=info.dtype, **limits)
