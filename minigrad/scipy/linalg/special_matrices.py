"""Matrices that are made of vectors, or of blocks: gathers of their entries."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.dispatch import conj
from minigrad.errors import ShapeError
from minigrad.ops.movement import as_array
from minigrad.scipy.linalg.arguments import of_scipy


def vector(name: str, x: Any) -> Any:
    x = as_array(x)
    if x.ndim != 1:
        raise ShapeError(f"{name} of shape {x.shape}: it is of vectors (n,) on Tensors")
    return x


@of_scipy
def toeplitz(c: Any, r: Any = None) -> Any:
    """The matrix with first column c (m,) and first row r (n,), constant along diagonals.

    >>> from minigrad import Tensor
    >>> toeplitz(Tensor([1.0, 2.0]), Tensor([1.0, 3.0, 4.0]))
    Tensor([[1., 3., 4.],
            [2., 1., 3.]])
    """
    c = vector("toeplitz", c)
    r = conj(c) if r is None else vector("toeplitz", r)
    entries = np.concatenate([c[::-1], r[1:]])
    return entries[len(c) - 1 + np.subtract.outer(np.arange(len(r)), np.arange(len(c))).T]


@of_scipy
def circulant(c: Any) -> Any:
    """The matrix (..., n, n) whose columns are c (..., n), each turned by one more entry.

    >>> from minigrad import Tensor
    >>> circulant(Tensor([1.0, 2.0]))
    Tensor([[1., 2.],
            [2., 1.]])
    """
    c = as_array(c)
    n = c.shape[-1]
    return c[..., np.subtract.outer(np.arange(n), np.arange(n)) % max(n, 1)]


@of_scipy
def hankel(c: Any, r: Any = None) -> Any:
    """The matrix with first column c (m,) and last row r (n,), constant along antidiagonals.

    >>> from minigrad import Tensor
    >>> hankel(Tensor([1.0, 2.0]), Tensor([9.0, 3.0]))
    Tensor([[1., 2.],
            [2., 3.]])
    """
    c = vector("hankel", c)
    r = np.zeros_like(c) if r is None else vector("hankel", r)
    entries = np.concatenate([c, r[1:]])
    return entries[np.add.outer(np.arange(len(c)), np.arange(len(r)))]


@of_scipy
def block_diag(arrs: Any) -> Any:
    """The matrix with these matrices along its diagonal, and zeros elsewhere.

    >>> from minigrad import Tensor
    >>> block_diag(Tensor([[1.0]]), Tensor([[2.0, 3.0]]))
    Tensor([[1., 0., 0.],
            [0., 2., 3.]])
    """
    blocks = [np.atleast_2d(as_array(x)) for x in arrs]
    if any(x.ndim > 2 for x in blocks):
        raise ShapeError(f"block_diag of shapes {[x.shape for x in blocks]}: they are matrices")
    width = sum(x.shape[1] for x in blocks)
    rows, before = [], 0
    for x in blocks:
        after = width - before - x.shape[1]
        rows.append(np.pad(x, ((0, 0), (before, after))))
        before += x.shape[1]
    return np.concatenate(rows, axis=0)


@of_scipy
def khatri_rao(a: Any, b: Any) -> Any:
    """Each column of a (m, k) times each of b (n, k), as a column (m * n,).

    >>> from minigrad import Tensor
    >>> khatri_rao(Tensor([[2.0]]), Tensor([[1.0], [3.0]]))
    Tensor([[2.],
            [6.]])
    """
    a, b = as_array(a), as_array(b)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ShapeError(f"khatri_rao of shapes {a.shape} and {b.shape}: matrices of k columns")
    return np.reshape(a[:, None] * b, (a.shape[0] * b.shape[0], a.shape[1]))


@of_scipy
def matmul_toeplitz(c_or_cr: Any, x: Any) -> Any:
    """toeplitz(c, r) @ x.

    >>> from minigrad import Tensor
    >>> matmul_toeplitz(Tensor([1.0, 2.0]), np.ones(2))
    Tensor([3., 3.])
    """
    return toeplitz_of(c_or_cr) @ as_array(x)


def toeplitz_of(c_or_cr: Any) -> Any:
    """toeplitz of a column, or of a pair of a column and a row."""
    return toeplitz(*c_or_cr) if isinstance(c_or_cr, tuple) else toeplitz(c_or_cr)
