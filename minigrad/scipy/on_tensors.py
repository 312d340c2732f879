"""Functions of SciPy that are no ufuncs, on Tensors."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from minigrad.dispatch import is_traced
from minigrad.errors import UnsupportedError
from minigrad.ops.movement import as_array as numbers
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.trees import leaves_of

F = TypeVar("F", bound=Callable[..., Any])


def is_recorded(*trees: Any) -> bool:
    """Whether there is a Tensor, or an array that is traced, among nested arguments."""
    for x in trees:
        if isinstance(x, Tensor) or is_traced(x):
            return True
        if isinstance(x, list | tuple | dict):
            parts = x.values() if isinstance(x, dict) else x
            if is_recorded(*parts):
                return True
    return False


def as_array(x: Any) -> Any:
    """A Tensor as it is, anything else as an array; nested lists that hold Tensors are joined."""
    if isinstance(x, list | tuple) and is_recorded(x):
        return np.stack([as_array(part) for part in x])
    return numbers(x)


def in_place_of(original: Callable[..., Any]) -> Callable[[F], F]:
    """The function that a function of SciPy is on Tensors; on all else, SciPy computes."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            chosen = function if is_recorded(args, kwargs) else original
            return chosen(*args, **kwargs)

        return call  # type: ignore[return-value]  # of the same signature

    return decorate


def refusing(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """A function of SciPy's, by its full name, that raises if it is given a Tensor."""

    @in_place_of(original)
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise UnsupportedError(
            f"{name} is not there for Tensors: compose it from functions that are, or compute it "
            "from t.data, outside the gradient"
        )

    return refuse


def others(module: Any) -> Callable[[str], Any]:
    """`__getattr__` of a module of ours: the names of SciPy's that it does not have itself.

    They are as SciPy has them; functions refuse Tensors, but where SciPy has been told to take any
    arrays that follow the standard.
    """
    takes_any = os.environ.get("SCIPY_ARRAY_API", "") not in ("", "0", "False")

    def find(name: str) -> Any:
        original = getattr(module, name)
        if takes_any or not callable(original) or isinstance(original, type):
            return original
        return refusing(f"{module.__name__}.{name}", original)

    return find


def refuse_tracers(name: str, *trees: Any) -> None:
    """Raise if a function that calls a function of the user's is compiled."""
    if any(is_traced(value_of(x)) for _, x in leaves_of(trees)):
        raise UnsupportedError(
            f"{name} calls a function again and again until it is satisfied, which is not "
            "compiled or batched: call it outside of that function"
        )
