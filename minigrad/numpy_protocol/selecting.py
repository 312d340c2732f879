"""Choosing between arrays, entry by entry, and picking entries by their place or rank."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.dispatch import implementations, implements, is_traced
from minigrad.errors import ArgumentError, DtypeError, ShapeError, UnsupportedError
from minigrad.numpy_protocol.keywords import weak, written
from minigrad.ops.movement import (
    argsort,
    as_array,
    in_order,
    movement,
    ravel,
    take,
    take_along_axis,
)
from minigrad.tensor import Tensor, value_of

plain_where = implementations[np.where]


@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    if x is None and y is None:
        return np.nonzero(condition)
    return plain_where(condition, x, y)


@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ArgumentError(
            f"np.select of {len(condlist)} conditions and {len(choicelist)} choices: as many"
        )
    conditions = [as_array(x) for x in condlist]
    if any(x.dtype != bool for x in conditions):
        raise DtypeError("np.select: the conditions are booleans")
    kind = np.result_type(*map(weak, choicelist), weak(default))
    y = np.astype(as_array(default), kind)
    for condition, choice in zip(conditions[::-1], choicelist[::-1], strict=True):
        y = plain_where(condition, np.astype(as_array(choice), kind), y)
    return in_order(y, np.empty(y.shape, bool))


@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Each function is called with the entries where its condition holds."""
    x, n = as_array(x), len(funclist)
    alone = not isinstance(condlist, list | tuple) and not np.ndim(condlist)
    if alone or (not np.ndim(condlist[0]) and x.ndim != 0):
        condlist = [condlist]
    masks = [np.broadcast_to(np.astype(as_array(c), bool), x.shape) for c in condlist]
    if n == len(masks) + 1:
        some = masks[0]
        for mask in masks[1:]:
            some = np.logical_or(some, mask)
        masks.append(np.logical_not(some))
    if n != len(masks):
        raise ArgumentError(f"np.piecewise: {n} functions for {len(masks)} conditions")
    y = np.zeros_like(x) if isinstance(x, Tensor) or is_traced(x) else Tensor(np.zeros_like(x))
    y = np.ravel(y) if not y.ndim else y
    for mask, function in zip(masks, funclist, strict=True):
        mask, entries = (np.ravel(mask), np.ravel(x)) if not x.ndim else (mask, x)
        part = entries[mask]
        if not callable(function):
            y[mask] = function
        elif part.size:
            y[mask] = function(part, *args, **kw)
    return y.reshape(x.shape)


@implements(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    kind = np.result_type(*map(weak, choices))
    a, choices = as_array(a), [np.astype(as_array(x), kind) for x in choices]
    shape = np.broadcast_shapes(a.shape, *(x.shape for x in choices))
    index = place_of(a, len(choices), mode, "choose")
    stacked = np.stack([np.broadcast_to(x, shape) for x in choices])
    index = np.broadcast_to(index, shape)[None]
    return written(take_along_axis(stacked, index, 0).reshape(shape), out)


def place_of(index: Any, size: int, mode: str, name: str) -> Any:
    """An index of an axis, with what is outside raised, wrapped or clipped."""
    index = as_array(index)
    if index.dtype.kind not in "iub":
        raise DtypeError(f"np.{name} by indices of {index.dtype}: they are integers")
    index = np.astype(index, np.intp)
    if mode == "wrap":
        return np.mod(index, size)
    if mode == "clip":
        return np.clip(index, 0, size - 1)
    if mode != "raise":
        raise ArgumentError(f"np.{name} with mode={mode!r}: it is 'raise', 'wrap' or 'clip'")
    numbers = value_of(index)
    if not is_traced(numbers) and name == "choose" and np.any((numbers < 0) | (numbers >= size)):
        raise ShapeError(f"np.choose: an index outside of the {size} choices")
    return index


@implements(np.take)
def taken(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    a = as_array(a)
    if mode != "raise":
        indices = place_of(indices, a.size if axis is None else a.shape[axis], mode, "take")
    return written(take(a, indices, axis), out)


@implements(np.compress)
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    a, condition = as_array(a), as_array(condition)
    if condition.ndim != 1:
        raise ShapeError(f"np.compress by a condition of shape {condition.shape}: it has one axis")
    a, axis = (np.ravel(a), 0) if axis is None else (a, axis)
    places = np.nonzero(condition)[0]
    return written(take(a, places, axis), out)


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    places = np.nonzero(np.ravel(as_array(condition)))[0]
    return take(np.ravel(as_array(arr)), places, 0)


# By rank

argpartition_op = movement(
    "argpartition",
    lambda x, kth, axis, kind: np.argpartition(x, kth, axis, kind),
    (),
    "argpartition({0}, {kth}, axis={axis})",
)


def ranks(kth: Any) -> Any:
    """The ranks that np.partition puts into their places."""
    kth = value_of(kth)
    if is_traced(kth):
        raise UnsupportedError("np.partition by ranks that are traced: give plain numbers")
    return tuple(kth) if np.ndim(kth) else kth


@implements(np.argpartition)
def argpartition(
    a: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None
) -> Any:
    unordered(order)
    a, axis = (ravel(a), 0) if axis is None else (a, axis)
    return argpartition_op(a, kth=ranks(kth), axis=axis, kind=kind)


@implements(np.partition)
def partition(
    a: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None
) -> Any:
    places = argpartition(a, kth, axis, kind, order)
    entries = take_along_axis(a, places, axis)
    return entries if axis is None else in_order(entries, value_of(a))


def unordered(order: Any) -> None:
    if order is not None:
        raise UnsupportedError("order= names the fields of records, and Tensors hold numbers")


@implements(np.argsort)
def argsorted(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    unordered(order)
    return argsort(as_array(a), axis, kind_of(kind, stable))


plain_sort = implementations[np.sort]


@implements(np.sort)
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    unordered(order)
    return plain_sort(a, axis, kind_of(kind, stable))


def kind_of(kind: Any, stable: Any) -> Any:
    if kind is not None and stable is not None:
        raise ArgumentError("kind= and stable= are two names of one argument: give one")
    return "stable" if stable else kind


@implements(np.lexsort)
def lexsort(keys: Any, axis: int = -1) -> Any:
    """By the last key, then by the one before, and so on: stable sorts, the first key first."""
    keys = list(keys) if isinstance(keys, list | tuple) else [*as_array(keys)]
    keys = [as_array(key) for key in keys]
    order = np.argsort(keys[0], axis=axis, kind="stable")
    for key in keys[1:]:
        again = np.argsort(np.take_along_axis(key, order, axis), axis=axis, kind="stable")
        order = np.take_along_axis(order, again, axis)
    return order
