"""Concrete values while tracing: what depends on captured arrays alone has numbers already, which
Python and NumPy may read. They become guards."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minigrad.compiler.frontend.recorder import (
    recorder_here,
)
from minigrad.dispatch import is_traced
from minigrad.errors import (
    MinigradError,
)
from minigrad.tensor import Tensor

# NumPy functions that return a scalar, and end in an op of which NumPy makes a 0-d array.
NUMBERS = "std inner einsum take round".split()


def is_known(x: Any) -> bool:
    """Whether it is computed from captured arrays alone, so that its numbers can be read."""
    return x.value in recorder_here().known


def all_concrete(x: Any) -> bool:
    """Whether all traced arrays in arguments can be read."""
    if isinstance(x, dict):
        x = [*x.values()]
    if isinstance(x, list | tuple):
        return all(map(all_concrete, x))
    return not isinstance(x, Tensor) and (not is_traced(x) or is_known(x))


def with_concrete_values(x: Any) -> Any:
    """Arguments with the numbers of known tracers in place of them."""
    if isinstance(x, list | tuple):
        return type(x)([with_concrete_values(part) for part in x])
    if isinstance(x, dict):
        return {key: with_concrete_values(part) for key, part in x.items()}
    return x.numbers("NumPy") if is_traced(x) else x


def numpy_fallback(method: Callable[..., Any], name: str = "") -> Callable[..., Any]:
    """If a method cannot be traced, have NumPy compute it, provided all its inputs are known."""
    name = name or method.__name__

    @functools.wraps(method)
    def either(self: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_here()
        before = recorder.refusal
        try:
            found = method(self, *args, **kwargs)
            asked = args[0].__name__ if name == "__array_function__" else name
            return as_scalar(found) if asked in NUMBERS else found
        except (MinigradError, TypeError):
            if not all_concrete((self, args, kwargs)):
                raise
            recorder.refusal = before
            this, args, kwargs = with_concrete_values((self, args, kwargs))
        if name == "__array_ufunc__":
            ufunc, how, *inputs = args
            return getattr(ufunc, how)(*inputs, **kwargs)
        if name == "__array_function__":
            function, _, given, named = args
            return function(*given, **named)
        return getattr(this, name)(*args, **kwargs)

    return either


def as_scalar(x: Any) -> Any:
    """A scalar in place of a 0-d array."""
    if isinstance(x, Tensor) or not is_traced(x) or x.shape:
        return x
    number = x.of(x.value)
    number.writeable = False
    return number


def concrete_mask(x: Any) -> Any:
    """An index; a known mask as its numbers, on which the shape of the result depends."""
    array: Any = x.data if isinstance(x, Tensor) else x
    if is_traced(array) and array.dtype.kind == "b" and is_known(array):
        return array.numbers("a mask")
    return x


def concrete(x: Any) -> Any:
    """An attribute with the numbers of known tracers in place of them."""
    if isinstance(x, tuple):
        return tuple([concrete(part) for part in x])
    if isinstance(x, slice):
        return slice(concrete(x.start), concrete(x.stop), concrete(x.step))
    if not (is_traced(x) and is_known(x)):
        return x
    return x.numbers("an attribute") if x.shape else x.item()
