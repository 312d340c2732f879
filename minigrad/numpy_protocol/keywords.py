"""The keyword arguments that families of NumPy's functions share, each turned into a composition in
one place: out=, dtype=, where=, initial=, keepdims=."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minigrad.dispatch import implementations, implements
from minigrad.errors import ShapeError, UnsupportedError
from minigrad.ops.movement import as_array

Function = Callable[..., Any]
NO_VALUE = np._NoValue  # what NumPy passes for what was not given


def weak(x: Any) -> Any:
    """A Python number as it is, as it takes part in promotion; anything else as an array."""
    return x if type(x) in (int, float, complex) else as_array(x)


def written(result: Any, out: Any) -> Any:
    """The result, written into what was given as `out=`."""
    return result if out is None else implementations["out"](out, result)


def given(arguments: dict[str, Any], *names: str) -> dict[str, Any]:
    """Those of the arguments that were given."""
    rest = {name: x for name, x in arguments.items() if x is not NO_VALUE and name not in names}
    return {name: x for name, x in rest.items() if x is not None or name in ("axis", "initial")}


def by_signature(function: Any, plain: Function, full: Function, signature: Any = None) -> Function:
    """An implementation with NumPy's own signature. `plain` takes the array, axis and keepdims;
    `full` also what else was given, by name, but for `out`."""
    signature = signature or inspect.signature(function)
    often, first = {"axis", "keepdims"} & {*signature.parameters}, next(iter(signature.parameters))

    def implementation(*args: Any, **kwargs: Any) -> Any:
        usual = not kwargs or (kwargs.keys() <= often and NO_VALUE not in kwargs.values())
        if usual and len(args) == 1:
            return plain(*args, **kwargs)
        bound = signature.bind(*args, **kwargs).arguments
        rest = given(bound, first, "out")
        return written(full(bound[first], **rest), bound.get("out"))

    implementation.__signature__ = signature  # type: ignore[attr-defined]  # for messages
    implements(function)(implementation)
    return implementation


def masked(a: Any, where: Any, fill: Any) -> Any:
    """a, with `fill` where the mask does not hold."""
    if where is True:
        return a
    mask = as_array(where)
    if mask.dtype != bool:
        mask = np.astype(mask, bool)
    if np.broadcast_shapes(np.shape(mask), np.shape(a)) != np.shape(a):
        raise ShapeError(f"where= of shape {np.shape(mask)} for an array of shape {np.shape(a)}")
    return np.where(mask, a, fill)


def reduced(
    whole: Function,
    combine: Function,
    identity: Any,
    a: Any,
    axis: Any = None,
    keepdims: Any = False,
    dtype: Any = None,
    initial: Any = None,
    where: Any = True,
) -> Any:
    """A reduction by `whole` with NumPy's keywords: dtype= converts before it, where= replaces the
    masked entries by the identity, and initial= is combined with the result."""
    a = as_array(a)
    if dtype is not None:
        a = np.astype(a, dtype)
    if where is not True:
        fill = initial if identity is None else identity
        if fill is None:
            raise UnsupportedError(
                "where= for a reduction that has no identity needs initial=, as in NumPy"
            )
        a = masked(a, where, fill)
    if initial is None:
        return in_dtype(whole(a, axis=axis, keepdims=keepdims), dtype)
    if identity is None and not a.size:  # nothing to reduce but the initial value
        like = np.add.reduce(a, axis=axis, keepdims=keepdims)
        return np.broadcast_to(np.astype(as_array(initial), a.dtype), like.shape)
    return in_dtype(combine(whole(a, axis=axis, keepdims=keepdims), initial), dtype)


def in_dtype(y: Any, dtype: Any) -> Any:
    """A result of integers in the dtype that was asked for. That of a sum or product is wider, and
    is the same modulo the range of dtype."""
    return y if dtype is None or y.dtype == dtype else np.astype(y, dtype)


def reduction(function: Any, whole: Function, combine: Function, identity: Any) -> None:
    """Register a reduction with all of NumPy's keywords."""
    by_signature(function, whole, partial(reduced, whole, combine, identity))
