"""Products of vectors and matrices under the names of np.linalg, and the ufuncs of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.dispatch import implementations, implements
from minigrad.errors import ShapeError
from minigrad.ops.linalg.matrix import conj
from minigrad.ops.movement import as_array
from minigrad.ops.processing import tensordot


def vector(name: str, x: Any) -> Any:
    x = as_array(x)
    if not x.ndim:
        raise ShapeError(f"{name} of a number: it is of vectors, use np.atleast_1d")
    return x


@implements(np.vecdot)
def vecdot(x1: Any, x2: Any) -> Any:
    """The sum of conj(x1) * x2 along the last axis."""
    x1, x2 = vector("vecdot", x1), vector("vecdot", x2)
    return np.matmul(conj(x1)[..., None, :], x2[..., :, None])[..., 0, 0]


@implements(np.linalg.vecdot)
def vecdot_along(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    x1, x2 = vector("vecdot", x1), vector("vecdot", x2)
    return vecdot(np.moveaxis(x1, axis, -1), np.moveaxis(x2, axis, -1))


def matvec(x1: Any, x2: Any) -> Any:
    return np.matmul(as_array(x1), vector("matvec", x2)[..., None])[..., 0]


def vecmat(x1: Any, x2: Any) -> Any:
    return np.matmul(conj(vector("vecmat", x1))[..., None, :], as_array(x2))[..., 0, :]


for function in (matvec, vecmat):
    if hasattr(np, function.__name__):  # from NumPy 2.2
        implements(getattr(np, function.__name__))(function)


implements(np.linalg.matmul)(lambda x1, x2, /: implementations[np.matmul](x1, x2))
implements(np.linalg.matrix_transpose)(lambda x, /: implementations[np.matrix_transpose](x))
implements(np.linalg.diagonal)(lambda x, /, *, offset=0: np.diagonal(x, offset, -2, -1))


@implements(np.linalg.tensordot)
def tensordot_of(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    return tensordot(x1, x2, axes)


@implements(np.linalg.trace)
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return np.sum(np.diagonal(x, offset, -2, -1), axis=-1, dtype=dtype)


@implements(np.linalg.outer)
def outer(x1: Any, x2: Any, /) -> Any:
    x1, x2 = as_array(x1), as_array(x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ShapeError(f"np.linalg.outer of shapes {x1.shape} and {x2.shape}: it is of vectors")
    return x1[:, None] * x2


@implements(np.linalg.cross)
def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    x1, x2 = (np.moveaxis(vector("cross", x), axis, -1) for x in (x1, x2))
    if x1.shape[-1] != 3 or x2.shape[-1] != 3:
        raise ShapeError(
            f"np.linalg.cross along axis {axis} of sizes {x1.shape[-1]} and {x2.shape[-1]}: it is "
            "of vectors of 3 entries"
        )
    after, before = [1, 2, 0], [2, 0, 1]
    product = x1[..., after] * x2[..., before] - x1[..., before] * x2[..., after]
    return np.moveaxis(product, -1, axis)
