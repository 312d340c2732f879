"""Joining and cutting arrays, inserting and deleting entries, grids, and arrays between others.

Most run NumPy's own function on positions, which says where each entry of the result comes from.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from minigrad.dispatch import implementations, implements, is_traced
from minigrad.errors import ArgumentError, ShapeError, UnsupportedError, check_device
from minigrad.numpy_protocol.keywords import weak, written
from minigrad.ops.movement import (
    ALL,
    as_array,
    ask,
    checked_axis,
    cut,
    getitem,
    in_order,
    moved,
    reshape_op,
    slice_op,
)
from minigrad.ops.views import viewed
from minigrad.tensor import value_of

Function = Callable[..., Any]


def rearranged(function: Function, *arrays: Any, like: Any = None, **how: Any) -> Any:
    """For a function that makes an array of the entries of several: run on their positions among
    all. `like` is an array whose dtype the result has; by default it is that of all together."""
    arrays = tuple(map(as_array, arrays))
    bounds = [0, *itertools.accumulate(x.size for x in arrays)]
    numbers = [
        np.arange(start, start + x.size).reshape(x.shape)
        for start, x in zip(bounds, arrays, strict=False)
    ]
    sources = np.asarray(ask(function, numbers[0], arrays[0], numbers[1:], how))
    kind = np.result_type(*arrays) if like is None else like.dtype
    flat = [np.ravel(x) if x.dtype == kind else np.astype(np.ravel(x), kind) for x in arrays]
    whole = np.concatenate(flat) if len(flat) > 1 else flat[0]
    return in_order(getitem(whole, sources), sources)


# Joining


def joined(arrays: Sequence[Any], axis: Any, dtype: Any, casting: str, out: Any) -> Any:
    """np.concatenate with all of its keywords."""
    if dtype is not None:
        arrays = [as_array(x) for x in arrays]
        for x in arrays:
            if not np.can_cast(x.dtype, dtype, casting):  # type: ignore[arg-type]
                raise ArgumentError(f"{x.dtype} to {dtype} is no cast of {casting!r}: astype first")
        arrays = [np.astype(x, dtype) for x in arrays]
    return written(plain_concatenate(arrays, axis), out)


plain_concatenate = implementations[np.concatenate]


@implements(np.concatenate, np.concat)
def concatenate(
    arrays: Any,
    axis: int | None = 0,
    out: Any = None,
    *,
    dtype: Any = None,
    casting: str = "same_kind",
) -> Any:
    if out is None and dtype is None:
        return plain_concatenate(arrays, axis)
    return joined(arrays, axis, dtype, casting, out)


def shaped(least: Function, ndim: int, tup: Any) -> list[Any]:
    """The arrays, each with `ndim` axes or more, as the function `least` makes them."""
    arrays = [as_array(x) for x in tup]
    return [x if x.ndim >= ndim else least(x) for x in arrays]


def with_rows(ndim: int, x: Any) -> Any:
    """np.atleast_1d and np.atleast_2d, but no view."""
    return reshape_op(x, shape=(1,) * (ndim - x.ndim) + x.shape)


plain_stack = implementations[np.stack]


@implements(np.stack)
def stack(
    arrays: Any,
    axis: int = 0,
    out: Any = None,
    *,
    dtype: Any = None,
    casting: str = "same_kind",
) -> Any:
    if out is None and dtype is None:
        return plain_stack(arrays, axis)
    apart = [np.expand_dims(as_array(x), axis) for x in arrays]
    return joined(apart, axis, dtype, casting, out)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    arrays = shaped(partial(with_rows, 1), 1, tup)
    return joined(arrays, int(bool(arrays) and arrays[0].ndim > 1), dtype, casting, None)


@implements(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return joined(shaped(partial(with_rows, 2), 2, tup), 0, dtype, casting, None)


@implements(np.dstack)
def dstack(tup: Any) -> Any:
    return np.concatenate(shaped(np.atleast_3d, 3, tup), 2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    arrays = [as_array(x) for x in tup]
    return np.concatenate([x if x.ndim > 1 else np.atleast_2d(x).T for x in arrays], 1)


@implements(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    return np.concatenate([as_array(arr), as_array(values)], axis)


@implements(np.block)
def block(arrays: Any) -> Any:
    """Nested lists of blocks: the innermost are joined along the last axis, and so on outwards."""
    leaves: list[Any] = []

    def depth_of(part: Any) -> int:
        if not isinstance(part, list):
            leaves.append(as_array(part))
            return 0
        if not part:
            raise ShapeError("np.block of an empty list")
        depths = {depth_of(inner) for inner in part}
        if len(depths) > 1:
            raise ShapeError("np.block: the lists are not nested equally deep")
        return 1 + depths.pop()

    depth = depth_of(arrays)
    ndim = max(depth, *(x.ndim for x in leaves), 0)

    def join(part: Any, level: int) -> Any:
        if isinstance(part, list):
            return np.concatenate([join(inner, level - 1) for inner in part], -level)
        x = as_array(part)
        return np.copy(x.reshape((1,) * (ndim - x.ndim) + x.shape))

    return join(arrays, depth)


# Cutting


def cut_along(axis: int | None, least: int, name: str, ary: Any, indices_or_sections: Any) -> Any:
    """hsplit, vsplit and dsplit, for arrays with enough axes."""
    if ary.ndim < least:
        raise ShapeError(f"np.{name} of an array of shape {ary.shape}: it needs {least} axes")
    along = axis if axis is not None else int(ary.ndim > 1)
    return cut(np.split, ary, indices_or_sections, along)


implements(np.hsplit)(partial(cut_along, None, 1, "hsplit"))
implements(np.vsplit)(partial(cut_along, 0, 2, "vsplit"))
implements(np.dsplit)(partial(cut_along, 2, 3, "dsplit"))


@implements(np.unstack)
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    if not x.ndim:
        raise ShapeError("np.unstack of a number: it has no axis")
    first = np.moveaxis(x, axis, 0)
    return tuple(first[k] for k in range(len(first)))


# Entries left out, put in and moved


def known(x: Any, function: Function) -> Any:
    """The numbers of what decides on the shape of a result."""
    if isinstance(x, slice):
        return x
    x = value_of(x)
    if is_traced(x):
        raise UnsupportedError(
            f"np.{function.__name__}, compiled or vmapped, by an index that is computed in it: "
            "the shape of the result is not known before it runs. Compute the index outside"
        )
    return x


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    return moved(np.delete, as_array(arr), known(obj, np.delete), axis=axis)


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    arr, places = as_array(arr), known(obj, np.insert)
    new = np.astype(as_array(values), arr.dtype)
    return rearranged(lambda x, v: np.insert(x, places, v, axis), arr, new, like=arr)


@implements(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """The part of an array without the zeros around it."""
    whole = as_array(filt)
    x = np.asarray(known(whole, np.trim_zeros))
    sides, axes = trim.lower(), range(x.ndim) if axis is None else np.atleast_1d(axis).tolist()
    if sides not in ("fb", "bf", "f", "b"):
        raise ArgumentError(f"np.trim_zeros with trim={trim!r}: it is 'f', 'b' or 'fb'")
    places, index = np.nonzero(x), [ALL] * x.ndim
    for k in axes:
        k = checked_axis(whole, k)
        there = places[k] if places[k].size else np.array([len(x), -1])
        low, high = (int(there.min()), int(there.max()) + 1) if places[k].size else (0, 0)
        index[k] = slice(low if "f" in sides or not high else 0, high if "b" in sides else None)
        if not high:
            index[k] = slice(0, 0)
    return getitem(whole, tuple(index))


implements(np.diagflat)(partial(moved, np.diagflat))


@implements(np.flipud)
def flipud(m: Any) -> Any:
    if not m.ndim:
        raise ShapeError("np.flipud of a number: it has no axis")
    return viewed(slice_op, m, index=(slice(None, None, -1),))


@implements(np.fliplr)
def fliplr(m: Any) -> Any:
    if m.ndim < 2:
        raise ShapeError(f"np.fliplr of an array of shape {m.shape}: it needs two axes")
    return viewed(slice_op, m, index=(slice(None), slice(None, None, -1)))


# Grids


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    # Plots also broadcast what is no number.
    arrays = [np.asarray(x) if x is None or isinstance(x, str) else as_array(x) for x in args]
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    return tuple(x if x.shape == shape else np.broadcast_to(x, shape) for x in arrays)


@implements(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"np.meshgrid with indexing={indexing!r}: it is 'xy' or 'ij'")
    n, grids = len(xi), [as_array(x) for x in xi]
    places = [*range(n)]
    if indexing == "xy" and n > 1:
        places[:2] = [1, 0]
    grids = [
        x.reshape(tuple(-1 if k == place else 1 for k in range(n)))
        for x, place in zip(grids, places, strict=True)
    ]
    grids = grids if sparse else list(np.broadcast_arrays(*grids))
    return tuple(map(implementations["copy_in_c_order"], grids)) if copy else tuple(grids)


@implements(np.ix_)
def ix_(*args: Any) -> tuple[Any, ...]:
    found = []
    for k, x in enumerate(args):
        x = as_array(x if np.size(x) or hasattr(x, "dtype") else np.zeros(0, np.intp))
        if x.ndim != 1:
            raise ShapeError(f"np.ix_ of an array of shape {x.shape}: each has one axis")
        x = np.nonzero(x)[0] if x.dtype == bool else x
        found.append(x.reshape(tuple(-1 if k == i else 1 for i in range(len(args)))))
    return tuple(found)


# Arrays between others


@implements(np.linspace)
def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """Numbers in equal steps from start to stop, which are recorded."""
    check_device(device)
    if not hasattr(num, "__index__") or int(num.__index__()) < 0:
        raise ArgumentError(f"np.linspace of {num} numbers: num= is an integer, 0 or more")
    num = int(num.__index__())
    pieces = num - bool(endpoint)
    kind = np.result_type(weak(start), weak(stop), float(num))
    start, stop = np.astype(as_array(start), kind), np.astype(as_array(stop), kind)
    shape = (num, *[1] * len(np.broadcast_shapes(start.shape, stop.shape)))
    steps = np.arange(num, dtype=kind).reshape(shape)
    width = stop - start
    step = width / pieces if pieces > 0 else np.nan
    # As NumPy: if a step is too small to be one, the numbers are divided first.
    flat = np.any(np.equal(step, 0)) if pieces > 0 else np.False_
    by_step, by_width = steps * (step if pieces > 0 else width), steps / max(pieces, 1)
    if is_traced(value_of(flat)):
        y = np.where(flat, by_width * width, by_step)
    else:
        y = by_width * width if value_of(flat) else by_step
    y = y + start
    if endpoint and num > 1:
        y = np.where(np.arange(num).reshape(shape) == num - 1, stop, y)
    if dtype is not None and np.dtype(dtype).kind in "iu":
        y = np.floor(y)
    y = np.moveaxis(y, 0, axis) if axis else y
    y = y if dtype is None or y.dtype == dtype else np.astype(y, dtype)
    return (y, step) if retstep else y


@implements(np.logspace)
def logspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    shape = np.broadcast_shapes(np.shape(start), np.shape(stop), np.shape(base))
    base = base if not np.ndim(base) else np.expand_dims(np.broadcast_to(base, shape), axis)
    if np.ndim(base):
        start, stop = (
            np.broadcast_to(as_array(start), shape),
            np.broadcast_to(as_array(stop), shape),
        )
    y = np.power(base, np.linspace(start, stop, num=num, endpoint=endpoint, axis=axis))
    return y if dtype is None else np.astype(y, dtype)


@implements(np.geomspace)
def geomspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Numbers in equal ratios from start to stop, which are recorded."""
    start, stop = as_array(start), as_array(stop)
    kind = np.result_type(start, stop, np.float64)
    start, stop = np.astype(start, kind), np.astype(stop, kind)
    for x in map(value_of, (start, stop)):
        if not is_traced(x) and np.any(np.equal(x, 0)):
            raise ArgumentError("np.geomspace from or to 0: no ratio leads there")
    sign = np.sign(start)
    logs = [np.log10(x / sign) for x in (start, stop)]
    y = logspace(logs[0], logs[1], num, endpoint)
    if num > 0:
        ends = [np.broadcast_to(x / sign, y.shape[1:])[None] for x in (start, stop)]
        y = np.concatenate([ends[0], y[1:]])
        if num > 1 and endpoint:
            y = np.concatenate([y[:-1], ends[1]])
    y = y * sign
    y = np.moveaxis(y, 0, axis) if axis else y
    return y if dtype is None else np.astype(y, dtype)


@implements(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:  # noqa: N803
    x = as_array(x)
    if x.ndim != 1:
        raise ShapeError(f"np.vander of an array of shape {x.shape}: it has one axis")
    size = len(x) if N is None else N
    kind = np.promote_types(x.dtype, int)
    powers = [np.ones_like(x, dtype=kind)] if size else [np.zeros_like(x, dtype=kind)]
    for _ in range(1, size):
        powers.append(powers[-1] * x)
    columns = powers if increasing else powers[::-1]
    return np.stack(columns, 1) if size else np.stack(powers, 1)[:, :0]
