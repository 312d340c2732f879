"""Reductions, and what runs along an axis, with all of NumPy's keywords."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from minigrad.dispatch import implementations, implements
from minigrad.errors import ArgumentError, ShapeError
from minigrad.methods import Axis
from minigrad.numpy_protocol.keywords import by_signature, in_dtype, masked, reduction
from minigrad.ops.elementwise import cumprod_op
from minigrad.ops.movement import as_array
from minigrad.ops.reduce import cumsum_op, root

# Function -> what combines two of its results, and its identity.
REDUCTIONS: dict[Any, tuple[Any, Any]] = {
    np.sum: (np.add, 0),
    np.prod: (np.multiply, 1),
    np.max: (np.maximum, None),
    np.min: (np.minimum, None),
    np.any: (np.logical_or, False),
    np.all: (np.logical_and, True),
}
for function, (combine, identity) in REDUCTIONS.items():
    reduction(function, implementations[function], combine, identity)
implements(np.amax)(implementations[np.max])
implements(np.amin)(implementations[np.min])


def count_of(a: Any, axis: Axis, where: Any) -> Any:
    """How many entries are reduced into each of the result, along axes that are kept."""
    if where is True:
        reduced_away = np.sum(np.broadcast_to(np.False_, np.shape(a)), axis=axis, keepdims=True)
        return np.size(a) // max(reduced_away.size, 1)
    mask = np.broadcast_to(np.astype(as_array(where), bool), np.shape(a))
    return np.sum(mask, axis=axis, keepdims=True)


def per_entry(total: Any, count: Any) -> Any:
    """A sum divided by how many entries there were, in the dtype of the sum if that is a float."""
    mean = total / count
    return mean if total.dtype.kind in "iub" else np.astype(mean, total.dtype)


def fitted(y: Any, axis: Any, keepdims: Any) -> Any:
    """A reduction along axes that were kept, without them unless `keepdims`."""
    if keepdims:
        return y
    return y.reshape(()) if axis is None else np.squeeze(y, axis)


def mean(
    a: Any, axis: Axis = None, keepdims: Any = False, dtype: Any = None, where: Any = True
) -> Any:
    a = as_array(a)
    if dtype is not None:
        a = np.astype(a, dtype)
    if where is True:
        y = plain_mean(a, axis=axis, keepdims=keepdims)
    else:
        total = np.sum(masked(a, where, 0), axis=axis, keepdims=True)
        y = fitted(per_entry(total, count_of(a, axis, where)), axis, keepdims)
    return y if dtype is None else np.astype(y, dtype)


def var(
    a: Any,
    axis: Axis = None,
    keepdims: Any = False,
    dtype: Any = None,
    ddof: Any = None,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    if correction is not None and ddof:
        raise ArgumentError("ddof= and correction= are two names of one argument: give one")
    a, less = as_array(a), (ddof if correction is None else correction) or 0
    if dtype is not None:
        a = np.astype(a, dtype)
    if where is True and mean is None:
        return plain_var(a, axis=axis, ddof=less, keepdims=keepdims)
    center = np.mean(a, axis=axis, keepdims=True, where=where) if mean is None else mean
    deviation = masked(a - center, where, 0)
    squares = np.sum(np.real(deviation * np.conj(deviation)), axis=axis, keepdims=True)
    count = np.maximum(count_of(a, axis, where) - less, 0)
    return fitted(per_entry(squares, count), axis, keepdims)


def std(a: Any, **how: Any) -> Any:
    return root(var(a, **how))


plain_mean, plain_var = implementations[np.mean], implementations[np.var]
by_signature(np.mean, plain_mean, mean)
by_signature(np.var, plain_var, var)
by_signature(np.std, implementations[np.std], std)
for function in (np.argmax, np.argmin):
    by_signature(function, implementations[function], implementations[function])


def ptp(a: Any, axis: Axis = None, keepdims: Any = False) -> Any:
    high = np.max(a, axis=axis, keepdims=keepdims)
    return high - np.min(a, axis=axis, keepdims=keepdims)


by_signature(np.ptp, ptp, ptp)


# Along an axis


def running(op: Any, a: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """A cumulative op along an axis, or of all entries in order."""
    a = as_array(a)
    a = a if dtype is None else np.astype(a, dtype)
    if axis is None:
        a, axis = a if a.ndim == 1 else np.ravel(a), 0
    return in_dtype(op(a, axis=axis), dtype)


def running_from(
    op: Any, start: int, x: Any, axis: int | None = None, dtype: Any = None, **how: Any
) -> Any:
    """np.cumulative_sum and np.cumulative_prod, which may also show what they start from."""
    if axis is None and np.ndim(x) > 1:
        raise ShapeError(f"a cumulative function of an array of shape {np.shape(x)}: give axis=")
    y = running(op, np.atleast_1d(x), axis or 0, dtype)
    if not how.get("include_initial"):
        return y
    first = [1 if k == (axis or 0) % y.ndim else n for k, n in enumerate(y.shape)]
    return np.concatenate([np.full_like(y, start, shape=first), y], axis or 0)


for function, op in {np.cumsum: cumsum_op, np.cumprod: cumprod_op}.items():
    by_signature(function, partial(running, op), partial(running, op))
for function, op, start in (
    (np.cumulative_sum, cumsum_op, 0),
    (np.cumulative_prod, cumprod_op, 1),
):
    by_signature(function, partial(running_from, op, start), partial(running_from, op, start))
