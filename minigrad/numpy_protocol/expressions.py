"""NumPy functions that are compositions of others."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.dispatch import conj, implements
from minigrad.errors import ArgumentError, DtypeError
from minigrad.ops.movement import as_array, checked_axis, slice_op

# Functions that are one expression of others.
EXPRESSIONS: dict[Any, Callable[..., Any]] = {
    np.add.accumulate: lambda array, axis=0: np.cumsum(array, axis),
    np.ptp: lambda a, axis=None, keepdims=False: (
        np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)
    ),
    np.hstack: lambda tup: np.concatenate(
        list(map(np.atleast_1d, tup)), min(np.ndim(tup[0]), 2) > 1
    ),
    np.vstack: lambda tup: np.concatenate(list(map(np.atleast_2d, tup)), 0),
    np.append: lambda arr, values, axis=None: np.concatenate([arr, values], axis),
    np.outer: lambda a, b: np.ravel(a)[:, None] * np.ravel(b),
    np.vdot: lambda a, b: np.ravel(conj(as_array(a))) @ np.ravel(b),
    np.trace: lambda a, offset=0, axis1=0, axis2=1: np.sum(
        np.diagonal(a, offset, axis1, axis2), axis=-1
    ),
}
for function, implementation in EXPRESSIONS.items():
    implements(function)(implementation)


@implements(np.round)
def round_to(a: Any, decimals: int = 0) -> Any:
    if a.dtype.kind == "b" and decimals:
        raise DtypeError(f"np.round of booleans to {decimals} digits: astype(int) them first")
    if a.dtype.kind in "iu" and decimals >= 0:
        return np.copy(a)
    scale = 10.0 ** abs(operator.index(decimals))
    if decimals <= 0:
        return np.astype(np.rint(a / scale) * scale, a.dtype) if decimals else np.rint(a)
    return np.rint(a * scale) / scale


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    if n < 0:
        raise ArgumentError(f"np.diff with n={n}: n is 0 or more")
    ends = [x if x is None else as_array(x) for x in (prepend, append)]
    if n and any(x is not None for x in ends):
        shape = tuple(1 if k == axis % a.ndim else m for k, m in enumerate(a.shape))
        ends = [x if x is None or x.ndim else np.broadcast_to(x, shape) for x in ends]
        a = np.concatenate([x for x in (ends[0], a, ends[1]) if x is not None], axis)
    less = np.not_equal if a.dtype == bool else np.subtract
    before = (slice(None),) * checked_axis(a, axis)
    after, until = (*before, slice(1, None)), (*before, slice(None, -1))
    for _ in range(n):
        a = less(slice_op(a, index=after), slice_op(a, index=until))
    return a
