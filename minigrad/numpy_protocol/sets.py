"""Sets: the distinct entries of arrays. NumPy finds them among the numbers; each is then taken from
where it is for the first time, and carries that entry's gradient."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from minigrad.dispatch import implements, is_traced
from minigrad.errors import UnsupportedError
from minigrad.ops.movement import as_array, take
from minigrad.tensor import Tensor, value_of


def numbers_of(function: Any, *arrays: Any) -> list[Any]:
    """The numbers of arrays, on which the shape of a result depends."""
    found = [value_of(as_array(x)) for x in arrays]
    if any(map(is_traced, found)):
        raise UnsupportedError(
            f"np.{function.__name__}, compiled or vmapped: the shape of the result depends on "
            "numbers that are computed in it. Call it outside, or use np.sort"
        )
    return found


def first_places(found: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Where each number that was found is for the first time."""
    order = np.argsort(numbers, kind="stable")
    return order[np.searchsorted(numbers, found, sorter=order)]


@implements(np.unique)
def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    (numbers,) = numbers_of(np.unique, ar)
    find: Any = np.unique
    _, index, *rest = find(
        numbers, True, return_inverse, return_counts, axis=axis, equal_nan=equal_nan
    )
    first = take(np.ravel(ar) if axis is None else ar, index, 0 if axis is None else axis)
    found = (first, *[Tensor(index)] * return_index, *map(Tensor, rest))
    return found if len(found) > 1 else first


def unique_as(function: Any, x: Any, /) -> Any:
    """unique_all and its like: named tuples whose first is the distinct entries."""
    (numbers,) = numbers_of(function, x)
    found = function(numbers)
    if not isinstance(found, tuple):
        return take(np.ravel(x), first_places(found, np.ravel(numbers)), 0)
    first = take(np.ravel(x), first_places(found[0], np.ravel(numbers)), 0)
    return type(found)(first, *map(Tensor, found[1:]))


def operation(function: Any, first: Any, second: Any, *args: Any, **how: Any) -> Any:
    """A function of two sets, whose result's first array holds entries of them."""
    one, other = map(np.ravel, numbers_of(function, first, second))
    found = function(one, other, *args, **how)
    several = found if isinstance(found, tuple) else (found,)
    arrays = [first] if function is np.setdiff1d else [first, second]
    whole = np.concatenate([np.ravel(as_array(x)) for x in arrays])
    places = first_places(several[0], np.concatenate([one, other][: len(arrays)]))
    entries = take(whole, places, 0)
    return (entries, *map(Tensor, several[1:])) if isinstance(found, tuple) else entries


function: Any
for function in (np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values):
    implements(function)(partial(unique_as, function))
for function in (np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d):
    implements(function)(partial(operation, function))


@implements(np.isin)
def isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    kind: Any = None,
) -> Any:
    """Which entries are among others; compiled, by comparing each with each."""
    element, others = as_array(element), np.ravel(as_array(test_elements))
    if not any(is_traced(value_of(x)) for x in (element, others)):
        how = {"invert": invert, "kind": kind}
        return Tensor(np.isin(value_of(element), value_of(others), assume_unique, **how))
    found = np.any(np.equal(np.expand_dims(element, -1), others), axis=-1)
    return np.logical_not(found) if invert else found
