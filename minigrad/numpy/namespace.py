"""What each name of NumPy's is in `minigrad.numpy`."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import numpy as np

from minigrad.dispatch import implementations, name_of
from minigrad.numpy.creation import OWN, has_tensors, joined
from minigrad.numpy.joining import Joining, ndenumerate, vectorize
from minigrad.tensor import Tensor


class Either(type):
    """The class of `ndarray`: its instances are Tensors and NumPy's arrays."""

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, np.ndarray | Tensor)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, np.ndarray | Tensor)

    def __getattr__(cls, name: str) -> Any:
        return getattr(np.ndarray, name)


class ndarray(metaclass=Either):  # noqa: N801  # NumPy's name
    """np.ndarray; Tensors are its instances too.

    >>> isinstance(Tensor(2.0), ndarray), isinstance(np.ones(2), ndarray)
    (True, True)
    """

    def __new__(cls, *args: Any, **how: Any) -> Any:
        return np.ndarray(*args, **how)


OWN |= {"ndarray": ndarray, "r_": Joining(np.r_), "c_": Joining(np.c_)}
OWN |= {"ndenumerate": ndenumerate, "vectorize": vectorize}


class Probe:
    """What a NumPy function, if it hands it to its protocol, returns itself for."""

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return Probe


@functools.cache
def depth_of(function: Callable[..., Any]) -> int:
    """How deep in nested lists a NumPy function looks for Tensors: np.concatenate in a list,
    np.block in lists of lists, and np.sum not at all."""
    probe: Any = Probe()
    for depth in (1, 2):
        probe = [probe]
        try:
            if function(probe) is not Probe:
                return depth - 1
        except Exception:  # of any kind: it was called with nonsense
            return depth - 1
    return depth


def joined_below(x: Any, depth: int) -> Any:
    """Nested lists, with those of Tensors below this depth joined to one."""
    if depth > 1 or not isinstance(x, list | tuple):
        return x
    return [joined(part) for part in x] if depth else joined(x)


def taking_lists(function: Callable[..., Any]) -> Callable[..., Any]:
    """A NumPy function, also of nested lists of Tensors, of which NumPy itself makes a plain array,
    and so loses their gradients: np.sum([t0, t1])."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any(isinstance(x, list | tuple) and has_tensors(x) for x in (*args, *kwargs.values())):
            depth = depth_of(function)
            args = tuple(joined_below(x, depth) for x in args)
            kwargs = {name: joined_below(x, depth) for name, x in kwargs.items()}
        return function(*args, **kwargs)

    # NumPy's own examples are NumPy's to test.
    call.__doc__ = f"As {name_of(function)}, also of nested lists of Tensors."
    return call


def members(module: ModuleType, names: Iterable[str]) -> dict[str, Any]:
    """The objects of NumPy's linalg or fft by their names, its functions also of nested lists."""
    found = {name: getattr(module, name) for name in names}
    for name, function in found.items():
        if not isinstance(function, type) and function in implementations:
            found[name] = taking_lists(function)
            found[name].__module__ = module.__name__.replace("numpy", "minigrad.numpy")
    return found


# Modules of NumPy's that are imported when they are first used.
MODULES = {"linalg", "fft", "random"}


@functools.cache
def member(name: str) -> Any:
    """The object of a name in `minigrad.numpy`: minigrad's own, or NumPy's.

    Raises:
        AttributeError: if NumPy has none.
    """
    if name in MODULES:
        return importlib.import_module(f"minigrad.numpy.{name}")
    if name in OWN:
        own = OWN[name]
        return found_by_pickle(own) if own.__module__ == "numpy" else own
    found = getattr(np, name)
    if isinstance(found, type | np.ufunc) or found.__hash__ is None:
        return found
    return found_by_pickle(taking_lists(found)) if found in implementations else found


def found_by_pickle(function: Any) -> Any:
    """A function that wraps one of NumPy's: pickle looks for it in this module."""
    function.__module__ = __name__
    return function


def __getattr__(name: str) -> Any:
    return member(name)
