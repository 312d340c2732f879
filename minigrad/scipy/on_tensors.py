"""Functions of SciPy that are no ufuncs, on Tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from minigrad.dispatch import is_traced
from minigrad.tensor import Tensor
from minigrad.transforms import leaves_of

F = TypeVar("F", bound=Callable[..., Any])


def is_recorded(*trees: Any) -> bool:
    """Whether there is a Tensor, or an array that is traced, among nested arguments."""
    return any(isinstance(x, Tensor) or is_traced(x) for _, x in leaves_of(trees))


def in_place_of(original: Callable[..., Any]) -> Callable[[F], F]:
    """The function that a function of SciPy is on Tensors; on all else, SciPy computes."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            chosen = function if is_recorded(args, kwargs) else original
            return chosen(*args, **kwargs)

        return call  # type: ignore[return-value]  # of the same signature

    return decorate
