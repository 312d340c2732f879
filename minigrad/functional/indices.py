"""Checks of indices of rows and classes against their range, where their values are known."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.dispatch import is_traced
from minigrad.tensor import value_of


def known(indices: Any) -> np.ndarray | None:
    """The values of an array or Tensor; None while a function is traced: compiled code checks
    indices at run time."""
    indices = value_of(indices)
    return None if is_traced(indices) else np.asarray(indices)


def not_from_the_end(indices: Any, count: int) -> Any:
    """Indices of `count` rows such that compiled code refuses -1 as it refuses `count`: as in
    NumPy, its indexing would count from the end."""
    if known(indices) is not None or indices.dtype.kind == "u":
        return indices
    return np.where(np.less(indices, 0), np.int64(count), indices)


def outside(indices: np.ndarray, count: int) -> tuple[int, ...] | None:
    """The position of the first index outside of 0..count-1, or None."""
    if not indices.size or 0 <= indices.min() <= indices.max() < count:
        return None
    return tuple(np.argwhere((indices < 0) | (indices >= count))[0].tolist())
