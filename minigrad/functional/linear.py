"""What multiplies by weights."""

from __future__ import annotations

from typing import Any

from minigrad.errors import ShapeError
from minigrad.ops.movement import as_array
from minigrad.ops.processing import linear_op


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x @ weight.T + bias: (..., in) by (out, in) gives (..., out).

    >>> import numpy as np
    >>> linear(np.array([1.0, 2.0]), np.array([[3.0, 4.0]]), np.array([0.5]))
    array([11.5])
    """
    x, weight = as_array(x), as_array(weight)
    if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"linear of x {x.shape} and weight {weight.shape}: x is (..., in) and weight (out, in)"
        )
    flat = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
    y = linear_op(flat, weight)
    y = y if x.ndim == 2 else y.reshape(*x.shape[:-1], -1)
    return y if bias is None else y + bias
