"""NumPy's functions that write into an array: into a Tensor they are recorded as assignments. Into
a plain array they write numbers, and refuse Tensors whose gradient would be lost."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.dispatch import check_real, implements
from minigrad.errors import ArgumentError, DtypeError, ShapeError, numbers_of
from minigrad.ops.movement import as_array, take_along_axis
from minigrad.ops.views import takes_numbers
from minigrad.tensor import value_of

Function = Callable[..., Any]


def writes(function: Any) -> Callable[[Function], Function]:
    """Implement a NumPy function, which writes into its first argument: a Tensor, or a tracer. Into
    a plain array NumPy's own writes."""

    def register(implementation: Function) -> Function:
        @functools.wraps(implementation)
        def write(*args: Any, **how: Any) -> None:
            target, *others = (*args, *how.values())
            plain = takes_numbers(target, others, f"np.{function.__name__}")
            if plain:
                args, how = tuple(map(value_of, args)), {k: value_of(x) for k, x in how.items()}
            (function if plain else implementation)(*args, **how)

        return implements(function)(write)

    return register


def check_cast(value: Any, target: Any, casting: Any, name: str) -> None:
    kind = np.result_type(as_array(value))
    if type(value) is int and casting == "same_kind" and target.dtype.kind in "iufc":
        return
    if not np.can_cast(kind, target.dtype, casting):
        raise DtypeError(f"np.{name} of {kind} into an array of {target.dtype}: astype it first")


def converted(values: Any, target: Any, name: str) -> Any:
    """Values in the dtype of the target: numbers and lists are, arrays only if none can change."""
    if not hasattr(values, "dtype"):
        return np.asarray(numbers_of(values), target.dtype)
    check_cast(values, target, "safe", name)
    return np.astype(values, target.dtype)


@writes(np.copyto)
def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    check_cast(src, dst, casting, "copyto")
    if where is True:
        dst[...] = src
    else:
        mask = np.broadcast_to(np.astype(as_array(where), bool), dst.shape)
        dst[...] = np.where(mask, np.astype(as_array(src), dst.dtype), dst)


@writes(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None = -1) -> None:
    flat = np.ravel(arr) if axis is None else arr
    places = np.arange(arr.size).reshape(flat.shape)
    places = take_along_axis(places, indices, 0 if axis is None else axis)
    put(arr, places, np.broadcast_to(as_array(values), np.shape(places)))


@writes(np.put)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """a.flat[ind] = v, with v repeated as often as needed."""
    places, values = np.ravel(as_array(ind)), np.ravel(as_array(v))
    if mode != "raise":
        places = np.mod(places, a.size) if mode == "wrap" else np.clip(places, 0, a.size - 1)
    if not places.size or not values.size:
        return
    values = np.resize(values, places.size)
    check_cast(values, a, "unsafe", "put")
    check_real(values, a.dtype)
    flat = np.copy(np.ravel(a))
    flat[places] = np.astype(values, a.dtype)
    a[...] = flat.reshape(a.shape)


@writes(np.putmask)
def putmask(a: Any, /, mask: Any, values: Any) -> None:
    """a.flat[n] = values[n] where the mask holds, with values repeated as often as needed."""
    mask, values = np.astype(as_array(mask), bool), np.ravel(converted(values, a, "putmask"))
    if mask.size != a.size:
        raise ShapeError(f"np.putmask by a mask of {mask.shape} into an array of {a.shape}")
    if values.size:
        new = np.resize(values, a.size).reshape(a.shape)
        a[...] = np.where(mask.reshape(a.shape), new, a)


@writes(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    """The entries where the mask holds, in order, are set to the values, repeated as needed."""
    mask, values = np.ravel(as_array(mask)), np.ravel(converted(vals, arr, "place"))
    if mask.size != arr.size:
        raise ShapeError(f"np.place by a mask of {mask.shape} into an array of {arr.shape}")
    there = np.nonzero(mask)[0]
    if there.size and not values.size:
        raise ArgumentError("np.place of no values")
    put(arr, there, values)


@writes(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    if a.ndim < 2:
        raise ShapeError(f"np.fill_diagonal of an array of shape {a.shape}: it needs two axes")
    numbers = np.zeros(a.shape, bool)
    np.fill_diagonal(numbers, val=True, wrap=wrap)
    put(a, np.flatnonzero(numbers), val)
