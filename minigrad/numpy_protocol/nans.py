"""NumPy's functions that leave out NaN: each fills in what has no part in the result."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np

from minigrad.dispatch import is_traced
from minigrad.errors import ArgumentError
from minigrad.methods import Axis
from minigrad.numpy_protocol.keywords import by_signature, reduced
from minigrad.ops.movement import as_array
from minigrad.ops.reduce import expand_reduced, reduce, root
from minigrad.tensor import value_of


def filled(a: Any, fill: Any) -> Any:
    """a with a number in the place of each NaN."""
    a = as_array(a)
    return np.where(np.isnan(a), np.asarray(fill, a.dtype), a) if a.dtype.kind in "fc" else a


def of_filled(function: Any, fill: Any, a: Any, **how: Any) -> Any:
    return function(filled(a, fill), **how)


for function, (base, fill) in {
    np.nansum: (np.sum, 0),
    np.nanprod: (np.prod, 1),
    np.nancumsum: (np.cumsum, 0),
    np.nancumprod: (np.cumprod, 1),
}.items():
    by_signature(function, partial(of_filled, base, fill), partial(of_filled, base, fill))


def warned(y: Any, text: str) -> Any:
    """y, with NumPy's warning if a slice had no number."""
    numbers = value_of(y)
    if not is_traced(numbers) and np.any(np.isnan(numbers)):
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    return y


def largest_rule(g: Any, y: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """The cotangent of the largest or least number: to where x reaches it, in equal parts."""
    reached = np.equal(x, expand_reduced(y, x, axis, keepdims)).astype(g.dtype)
    ties = np.maximum(np.sum(reached, axis=axis, keepdims=True), 1)
    return reached * (expand_reduced(g, x, axis, keepdims) / ties)


nanmax_op = reduce("nanmax", np.fmax.reduce, largest_rule)
nanmin_op = reduce("nanmin", np.fmin.reduce, largest_rule)


def extremum(op: Any, combine: Any, a: Any, **how: Any) -> Any:
    """The largest or least number along axes."""
    return warned(reduced(op, combine, None, a, **how), "All-NaN slice encountered")


for function, (op, combine) in {
    np.nanmax: (nanmax_op, np.fmax),
    np.nanmin: (nanmin_op, np.fmin),
}.items():
    by_signature(function, partial(extremum, op, combine), partial(extremum, op, combine))


def place_of_extremum(function: Any, fill: float, a: Any, **how: Any) -> Any:
    """The place of the largest or least number."""
    a = as_array(a)
    spoiled = np.all(np.isnan(a), axis=how.get("axis")) if a.dtype.kind == "f" else np.False_
    numbers = value_of(spoiled)
    if not is_traced(numbers) and np.any(numbers):
        raise ArgumentError("All-NaN slice encountered: it has no largest or least number")
    return function(filled(a, fill), **how)


places: dict[Any, Any] = {
    np.nanargmax: (np.argmax, -np.inf),
    np.nanargmin: (np.argmin, np.inf),
}
for function, (base, fill) in places.items():
    place = partial(place_of_extremum, base, fill)
    by_signature(function, place, place)


def known(a: Any, where: Any) -> Any:
    """Which entries are taken: those that are numbers, and that `where` does not leave out."""
    there = np.logical_not(np.isnan(a))
    return there if where is True else np.logical_and(there, where)


def of_numbers(function: Any, warning: str, a: Any, where: Any = True, **how: Any) -> Any:
    """np.mean or np.var of the entries that are numbers, with NumPy's warning if there are none."""
    a = as_array(a)
    if a.dtype.kind not in "fc":
        return function(a, where=where, **how)
    with np.errstate(invalid="ignore"):
        y = function(a, where=known(a, where), **how)
    return warned(y, warning)


nanmean = partial(of_numbers, np.mean, "Mean of empty slice")
nanvar = partial(of_numbers, np.var, "Degrees of freedom <= 0 for slice.")


def nanstd(a: Any, **how: Any) -> Any:
    return root(nanvar(a, **how))


wholes: dict[Any, Any] = {np.nanmean: nanmean, np.nanvar: nanvar, np.nanstd: nanstd}
for function, whole in wholes.items():
    by_signature(function, whole, whole)
