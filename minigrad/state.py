"""State dicts: arrays by name, as state_dict() returns and load_state_dict() takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad.arguments import shown
from minigrad.errors import ArgumentTypeError, ShapeError
from minigrad.graph import INEXACT
from minigrad.tensor import value_of

State = dict[str, np.ndarray]


def named(owner: str, state: Any) -> Mapping[str, Any]:
    """The state that was given, if it is a mapping; else raise."""
    if not isinstance(state, Mapping):
        raise ArgumentTypeError(
            f"{owner}: a state is a dict of values by name, as state_dict() or minigrad.load(path) "
            f"gives it, and not {shown(state)}"
        )
    return state


def survives(array: np.ndarray, dtype: np.dtype[Any]) -> bool:
    """Whether an array is the same in another dtype, but for rounding."""
    with np.errstate(over="ignore"):
        cast = array.astype(dtype)
    if dtype.kind not in INEXACT:
        return np.array_equal(cast, array)
    return np.array_equal(np.isfinite(cast), np.isfinite(array))


def fitting(owner: str, own: Mapping[str, Any], state: Mapping[str, Any]) -> State:
    """The arrays of a state, if they are those of `own`: names, shapes, and kinds of dtype.

    Raises:
        ArgumentTypeError: if the state is not a dict.
        ShapeError: listing all names that are missing, unexpected, of another shape or dtype, or
            with values beyond what the dtype holds.

    >>> fitting("Line", {"slope": np.zeros(())}, {"slope": 2.0})
    {'slope': array(2.)}
    """
    arrays = {name: np.asarray(value_of(value)) for name, value in named(owner, state).items()}
    problems = [f"missing: {name} {x.shape}" for name, x in own.items() if name not in arrays]
    for name, array in arrays.items():
        if name not in own:
            problems.append(f"unexpected: {name} {array.shape}")
        elif array.shape != own[name].shape:
            problems.append(f"mis-shaped: {name} is {own[name].shape} here, {array.shape} given")
        elif not np.can_cast(array.dtype, own[name].dtype, "same_kind"):
            problems.append(f"of dtype {array.dtype}: {name} is {own[name].dtype} here")
        elif not survives(array, own[name].dtype):
            problems.append(f"too large: {name} is {own[name].dtype} here, {array.dtype} given")
    if problems:
        raise ShapeError(
            f"this state does not fit {owner}, so nothing was loaded:\n  "
            + "\n  ".join(problems)
            + "\nWas it saved from an object of another class, or with other sizes or settings?"
        )
    return arrays
