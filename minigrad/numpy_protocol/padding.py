"""The modes of np.pad that fill in what is computed of the array's own entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.dispatch import implementations, implements
from minigrad.errors import ArgumentError, ShapeError
from minigrad.ops.movement import as_array, moved, pairs_of

plain_pad = implementations[np.pad]
STATISTICS: dict[str, Callable[..., Any]] = {
    "maximum": np.max,
    "minimum": np.min,
    "mean": np.mean,
    "median": np.median,
}


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **how: Any) -> Any:
    """Along one axis after the other, so that later ones pad what earlier ones have added."""
    array = as_array(array)
    if mode == "constant":
        return plain_pad(array, pad_width, mode, **how)
    if mode in ("edge", "reflect", "symmetric", "wrap"):
        if how.get("reflect_type", "even") == "even":
            return moved(np.pad, array, pad_width, mode=mode, **how)
        return reflected_odd(array, pairs_of(array, pad_width, int), mode)
    width = pairs_of(array, pad_width, int)
    if mode == "empty":
        return plain_pad(array, pad_width)
    if mode == "linear_ramp":
        return ramped(array, width, how.pop("end_values", 0))
    if mode in STATISTICS:
        lengths = how.get("stat_length")
        return with_statistic(array, width, STATISTICS[mode], lengths)
    if callable(mode):
        return by_function(array, width, mode, how)
    raise ArgumentError(f"np.pad with mode={mode!r}, which NumPy does not have")


def beside(x: Any, axis: int, before: Any, after: Any) -> Any:
    """x with arrays joined to both of its ends along an axis."""
    return np.concatenate([np.astype(before, x.dtype), x, np.astype(after, x.dtype)], axis)


def repeated(part: Any, axis: int, times: int) -> Any:
    shape = [times if k == axis else n for k, n in enumerate(part.shape)]
    return np.broadcast_to(part, shape)


def part_of(x: Any, axis: int, start: Any, stop: Any) -> Any:
    return x[(slice(None),) * axis + (slice(start, stop),)]


def with_statistic(x: Any, width: Any, statistic: Callable[..., Any], lengths: Any) -> Any:
    """The statistic of the entries at each end, or of so many of them."""
    given = [[None, None]] * x.ndim if lengths is None else pairs_of(x, lengths, int)
    for axis, (low, high) in enumerate(width):
        n, ends = x.shape[axis], []
        for k, times in enumerate((low, high)):
            most = n if given[axis][k] is None else min(given[axis][k], n)
            if most < 1 and times:
                raise ShapeError(
                    f"np.pad by a statistic of nothing, along axis {axis} of {x.shape}"
                )
            part = part_of(x, axis, 0, most) if k == 0 else part_of(x, axis, n - most, n)
            found = statistic(part, axis=axis, keepdims=True) if times else part_of(x, axis, 0, 1)
            found = np.rint(found) if x.dtype.kind in "iu" and found.dtype.kind == "f" else found
            ends.append(repeated(found, axis, times))
        x = beside(x, axis, *ends)
    return x


def ramped(x: Any, width: Any, end_values: Any) -> Any:
    """Straight lines from the edges to the end values."""
    kind = np.result_type(x.dtype, np.float64)
    ends = pairs_of(x, end_values, kind)
    for axis, ((low, high), (first, last)) in enumerate(zip(width, ends, strict=True)):
        edges = part_of(x, axis, 0, 1), part_of(x, axis, -1, None)
        at = (*[slice(None)] * axis, 0)
        ramps = [
            np.linspace(
                np.asarray(end, kind), edge[at], n, endpoint=False, dtype=x.dtype, axis=axis
            )
            for end, edge, n in zip((first, last), edges, (low, high), strict=True)
        ]
        x = beside(x, axis, ramps[0], np.flip(ramps[1], axis))
    return x


def reflected_odd(x: Any, width: Any, mode: str) -> Any:
    """Twice the edge minus the mirrored entries, again and again where these do not suffice."""
    skip = int(mode == "reflect")
    for axis, (low, high) in enumerate(width):
        while low > 0 or high > 0:
            n = x.shape[axis]
            if n == 1 and skip:
                x = beside(x, axis, *(repeated(x[:], axis, k) for k in (low, high)))
                break
            some = [min(k, n - skip) for k in (low, high)]
            first, last = part_of(x, axis, 0, 1), part_of(x, axis, n - 1, n)
            before = 2 * first - np.flip(part_of(x, axis, skip, skip + some[0]), axis)
            after = 2 * last - np.flip(part_of(x, axis, n - skip - some[1], n - skip), axis)
            x = beside(x, axis, before, after)
            low, high = low - some[0], high - some[1]
    return x


def by_function(x: Any, width: Any, function: Callable[..., Any], how: dict[str, Any]) -> Any:
    """A function of the user's, which writes into each line of the padded array."""
    x = np.copy(plain_pad(x, width))
    for axis, pair in enumerate(width):
        lines = np.moveaxis(x, axis, -1)
        for place in np.ndindex(lines.shape[:-1]):
            function(lines[place], tuple(pair), axis, how)
    return x
