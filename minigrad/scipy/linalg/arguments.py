"""The arguments of functions of scipy.linalg, and stacks of matrices."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import scipy.linalg as sla

from minigrad.errors import (
    ArgumentTypeError,
    LinAlgError,
    MinigradError,
    UnsupportedError,
    refusal_of,
)
from minigrad.scipy.on_tensors import is_recorded

F = TypeVar("F", bound=Callable[..., Any])

# Arguments that say how SciPy computes, and not what.
HOW = {"check_finite", "lapack_driver", "lwork", "driver", "disp", "blocksize", "workers", "method"}


def of_scipy(function: F) -> F:
    """The function of scipy.linalg of this name: on Tensors this one, on all else SciPy's own.

    It takes SciPy's arguments, by position and by name, of which it is given, by name, those that
    it has; others are refused if they ask for anything but their defaults.
    """
    original = getattr(sla, function.__name__)
    signature, known = inspect.signature(original), inspect.signature(function).parameters

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not is_recorded(args, kwargs):
            return original(*args, **kwargs)
        name = f"scipy.linalg.{function.__name__}"
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise ArgumentTypeError(f"{name}: {error}") from None
        for key in given.keys() - known.keys() - HOW:
            asked = given[key] is not signature.parameters[key].default
            if asked and not key.startswith("overwrite_"):
                raise UnsupportedError(f"{name} on a Tensor does not take {key}={given[key]!r}")
        try:
            return function(**{key: x for key, x in given.items() if key in known})
        except (TypeError, ValueError, IndexError) as error:
            if isinstance(error, MinigradError):
                raise
            raise refusal_of(name, list(args), kwargs, error) from error

    return call  # type: ignore[return-value]  # which takes what SciPy's takes


def over_stack(f: Callable[..., Any], *xs: np.ndarray) -> np.ndarray:
    """f of every matrix of stacks (..., m, n), which broadcast; f gives an array of one shape."""
    shapes = [x.shape[:-2] for x in xs]
    stack = shapes[0] if len(set(shapes)) == 1 else np.broadcast_shapes(*shapes)
    if stack == ():
        return np.asarray(f(*xs))
    xs = tuple(np.broadcast_to(x, stack + x.shape[-2:]) for x in xs)
    if 0 in stack:
        one = np.asarray(f(*(np.eye(*x.shape[-2:], dtype=x.dtype) for x in xs)))
        return np.zeros(stack + one.shape, one.dtype)
    each = [np.asarray(f(*(x[i] for x in xs))) for i in np.ndindex(stack)]
    return np.reshape(np.stack(each), stack + each[0].shape)


def as_columns(name: str, a: Any, b: Any) -> tuple[Any, bool]:
    """The right side b of a system with a, (..., n, k), and whether it was a single vector (n,).

    Raises:
        LinAlgError: if it has not as many rows as a.
    """
    vector = b.ndim == 1
    columns = b[:, None] if vector else b
    if not b.ndim or columns.shape[-2] != a.shape[-1]:
        raise LinAlgError(
            f"{name} of a of shape {a.shape} and b of shape {b.shape}: b has as many rows as a, "
            "(..., n, k), or is one vector (n,)"
        )
    return columns, vector
