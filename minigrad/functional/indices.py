"""Indices, of rows and of classes: held against their range, while there are numbers to hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.dispatch import is_traced
from minigrad.tensor import value_of


def known(indices: Any) -> np.ndarray | None:
    """The numbers of an array or Tensor; None while a function is traced: what is compiled checks
    indices as it runs."""
    indices = value_of(indices)
    return None if is_traced(indices) else np.asarray(indices)


def not_from_the_end(indices: Any, count: int) -> Any:
    """Indices of `count` rows, so that what is compiled refuses -1 as it refuses `count`: NumPy,
    and compiled indexing with it, counts from the end."""
    if known(indices) is not None or indices.dtype.kind == "u":
        return indices
    return np.where(np.less(indices, 0), np.int64(count), indices)


def outside(indices: np.ndarray, count: int) -> tuple[int, ...] | None:
    """The place of the first index that is not one of 0 to count - 1, if there is one."""
    if not indices.size or 0 <= indices.min() <= indices.max() < count:
        return None
    return tuple(np.argwhere((indices < 0) | (indices >= count))[0].tolist())
