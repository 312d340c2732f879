"""Embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.errors import DtypeError, ShapeError
from minigrad.functional.indices import known, not_from_the_end, outside
from minigrad.ops.movement import as_array, getitem
from minigrad.tensor import Tensor


def embedding(indices: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """Look up the row of weight for every index: (...) and (V, D) -> (..., D).

    Args:
        indices: integers 0..V-1, of any shape.
        weight: (V, D).
        padding_idx: the index of padding: its row gets no gradient.

    Raises:
        DtypeError: if the indices are not integers.
        ShapeError: if an index is outside of 0..V-1, or weight does not have two axes.

    >>> embedding(np.array([1, 0, 1]), np.array([[0.5, 0.5], [1.0, 2.0]]))
    array([[1. , 2. ],
           [0.5, 0.5],
           [1. , 2. ]])
    """
    indices, weight = as_array(indices), as_array(weight)
    if weight.ndim != 2:
        raise ShapeError(f"embedding by a weight of shape {weight.shape}: it has axes (V, D)")
    check_indices(indices, len(weight))
    rows = getitem(weight, not_from_the_end(indices, len(weight)))
    if padding_idx is None:
        return rows
    check_indices(np.array(padding_idx), len(weight))
    constant = weight.detach() if isinstance(weight, Tensor) else weight
    is_padding = np.expand_dims(np.equal(indices, padding_idx), -1)  # (..., 1)
    return np.where(is_padding, constant[padding_idx], rows)


def check_indices(indices: Any, count: int) -> None:
    if indices.dtype.kind not in "iu":
        raise DtypeError(
            f"embedding by indices of dtype {indices.dtype}: they are integers, as in "
            "indices.astype(int)"
        )
    if (numbers := known(indices)) is not None and (place := outside(numbers, count)) is not None:
        at = f" at {place}" if place else ""
        raise ShapeError(
            f"embedding by index {numbers[place]}{at}: there are {count} rows, for indices "
            f"0..{count - 1}"
        )
