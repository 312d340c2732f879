"""Linear and bilinear maps."""

from __future__ import annotations

import math
from typing import Any

from minigrad.errors import ShapeError
from minigrad.ops.movement import as_array
from minigrad.ops.processing import einsum, linear_op


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x @ weight.T + bias: (..., in) and (out, in) -> (..., out).

    Raises:
        ShapeError: if the shapes do not match.

    >>> import numpy as np
    >>> linear(np.array([1.0, 2.0]), np.array([[3.0, 4.0]]), np.array([0.5]))
    array([11.5])
    """
    x, weight = as_array(x), as_array(weight)
    if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"linear of x {x.shape} and weight {weight.shape}: x is (..., in) and weight (out, in)"
        )
    flat = x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    y = linear_op(flat, weight)
    y = y if x.ndim == 2 else y.reshape(*x.shape[:-1], weight.shape[0])
    return y if bias is None else y + bias


def bilinear(x1: Any, x2: Any, weight: Any, bias: Any = None) -> Any:
    """x1 @ weight[k] @ x2 + bias[k] for each output k.

    Args:
        x1: (..., in1).
        x2: (..., in2), with the same leading axes.
        weight: (out, in1, in2).
        bias: (out,), or None.

    Returns:
        (..., out).

    Raises:
        ShapeError: if the shapes do not match.

    >>> import numpy as np
    >>> bilinear(np.array([1.0, 2.0]), np.array([3.0]), np.array([[[1.0], [10.0]]]))
    array([63.])
    """
    x1, x2, weight = as_array(x1), as_array(x2), as_array(weight)
    fits = x1.ndim and x2.ndim and weight.ndim == 3 and x1.shape[:-1] == x2.shape[:-1]
    if not fits or (x1.shape[-1], x2.shape[-1]) != weight.shape[1:]:
        raise ShapeError(
            f"bilinear of x1 {x1.shape}, x2 {x2.shape} and weight {weight.shape}: x1 is "
            "(..., in1), x2 (..., in2) and weight (out, in1, in2)"
        )
    y = einsum("...i,oij,...j->...o", x1, weight, x2)
    return y if bias is None else y + bias
