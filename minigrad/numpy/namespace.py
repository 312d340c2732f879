"""What each name of NumPy's is in `minigrad.numpy`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.dispatch import implementations
from minigrad.errors import GradientError
from minigrad.numpy.creation import OWN, has_tensors, joined
from minigrad.numpy.joining import Joining, vectorize
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


OWN |= {"ndarray": ndarray, "r_": Joining(np.r_), "c_": Joining(np.c_), "vectorize": vectorize}


def with_entries_joined(x: Any) -> Any:
    return list(map(joined, x)) if isinstance(x, list | tuple) else x


def lost_a_gradient(error: Exception) -> bool:
    return any(isinstance(x, GradientError) for x in (error, error.__cause__, error.__context__))


def taking_lists(function: Callable[..., Any]) -> Callable[..., Any]:
    """A NumPy function, also of nested lists of Tensors, of which NumPy itself makes a plain array,
    and so loses their gradients: np.sum([t0, t1])."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (GradientError, ValueError, TypeError) as error:
            lists = [x for x in (*args, *kwargs.values()) if isinstance(x, list | tuple)]
            if not (lost_a_gradient(error) and has_tensors(lists)):
                raise
        try:  # of several arrays, some may be lists
            return function(*map(with_entries_joined, args), **kwargs)
        except (GradientError, ValueError, TypeError) as error:
            if not lost_a_gradient(error):
                raise
        return function(*map(joined, args), **{name: joined(x) for name, x in kwargs.items()})

    return call


@functools.cache
def member(name: str) -> Any:
    """The object of a name in `minigrad.numpy`: minigrad's own, or NumPy's.

    Raises:
        AttributeError: if NumPy has none.
    """
    if name in OWN:
        return OWN[name]
    found = getattr(np, name)
    if isinstance(found, type | np.ufunc) or found.__hash__ is None:
        return found
    return taking_lists(found) if found in implementations else found
