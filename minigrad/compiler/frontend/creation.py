"""Array creation while tracing: np.array, np.zeros_like and their like."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.compiler.frontend.concrete import all_concrete
from minigrad.compiler.frontend.recorder import (
    tracing,
    value_of,
    zeros,
)
from minigrad.compiler.frontend.tracer import (
    Tracer,
    is_number,
    overrides,
    reading,
)
from minigrad.dispatch import implementations, is_traced
from minigrad.ops.base import registry
from minigrad.tensor import Tensor

LIKE = (np.zeros_like, np.ones_like, np.empty_like, np.full_like)
# NumPy functions that make an array of what they are given, and whether it is always a copy.
ARRAY_MAKERS = {"array": True, "asarray": None, "asanyarray": None}


def array_maker(name: str) -> Callable[..., Any]:
    """np.array or the like, that also takes what is traced."""
    function, copies = getattr(np, name), ARRAY_MAKERS[name]

    @functools.wraps(function)
    def make(*args: Any, **how: Any) -> Any:
        if tracing.get() is None or not args or all_concrete(args[0]):
            return function(*args, **how)
        return traced_array(*args, **{"copy": copies, **how})

    return make


def traced_array(x: Any, dtype: Any = None, order: Any = None, *, copy: Any, **how: Any) -> Any:
    """np.array(x) of a tracer, a Tensor, or nested lists of these and numbers."""
    if any(how.values()):
        raise reading(f"np.array(..., {', '.join(how)})")
    given = x.__array__() if isinstance(x, Tensor) else x
    listed = isinstance(given, list | tuple)
    found: Any = np.stack([np.asarray(part) for part in given]) if listed else given
    if dtype is not None and found.dtype != dtype:
        found = found.astype(dtype)
    if copy and found is given:
        found = implementations[np.copy](found)
    return Tracer(found.value) if is_traced(found) and is_number(found) else found


def filled(function: Any, a: Any, *args: Any, **kwargs: Any) -> Tracer:
    """np.zeros_like and the like: one number, broadcast."""
    number: Any = int(function is np.ones_like)
    rest = list(args)
    if function is np.full_like:
        number = rest.pop(0) if rest else kwargs.pop("fill_value")
    form = np.empty_like(zeros(a) if is_traced(a) else a, *rest, **kwargs)
    number = number if is_traced(number) else np.asarray(number)
    number = Tracer(value_of(number.astype(form.dtype)))
    result: Tracer = registry["expand"](number, shape=form.shape)
    return Tracer(result.value)  # it can be written into


overrides |= {function: functools.partial(filled, function) for function in LIKE}
