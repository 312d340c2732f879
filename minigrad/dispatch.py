"""Which function computes what NumPy function on Tensors, and what to say where there is none."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np

from minigrad.errors import UnsupportedError

Implementation = TypeVar("Implementation", bound=Callable[..., Any])

# NumPy function (or the name of one NumPy lacks) -> what computes it on Tensors. Ops and composites
# enter themselves where they are defined, so that Tensor need know none of them.
implementations: dict[Hashable, Callable[..., Any]] = {}

# NumPy function -> what to use instead, where there is something better to say than the general.
refusals: dict[Hashable, str] = {}


def implements(*functions: Hashable) -> Callable[[Implementation], Implementation]:
    """Register what computes these NumPy functions (or names NumPy lacks) on Tensors."""

    def register(implementation: Implementation) -> Implementation:
        implementations.update(dict.fromkeys(functions, implementation))
        return implementation

    return register


def call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run what implements a NumPy function on Tensors, or say why it cannot be run."""
    if function not in implementations:
        advice = refusals.get(function) or (
            "compose it from functions that are (the documentation lists them), or compute it from "
            "t.data, outside the gradient"
        )
        raise UnsupportedError(f"{name_of(function)} is not supported on Tensors: {advice}")
    try:
        return implementations[function](*args, **kwargs)
    except TypeError as error:
        signature = inspect.signature(implementations[function])
        try:
            signature.bind(*args, **kwargs)
        except TypeError as misfit:
            raise UnsupportedError(
                f"{name_of(function)} on a Tensor: {misfit}. "
                f"It takes {', '.join(signature.parameters)}"
            ) from error
        raise


def name_of(function: Any) -> str:
    """How users write a NumPy function: np.linalg.svd, or np.add.reduce for a ufunc's method."""
    if isinstance(owner := getattr(function, "__self__", None), np.ufunc):
        return f"np.{owner.__name__}.{function.__name__}"
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module}.{function.__name__}".replace("numpy", "np", 1)
