"""Nested containers of arrays as one vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.errors import ShapeError
from minigrad.transforms.trees import leaves_of, like


def in_order(tree: Any) -> Any:
    """A tree with the keys of its dicts sorted."""
    if isinstance(tree, dict):
        return {key: in_order(tree[key]) for key in sorted(tree)}
    if isinstance(tree, list | tuple):
        return [in_order(part) for part in tree]
    return tree


def flatten(value: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Nested dicts, lists and tuples of arrays as one vector, and the function that undoes it.

    Keys of dicts are sorted. Both ways are differentiable.

    >>> vector, unflatten = flatten({"w": np.ones((2, 2)), "b": 3.0})
    >>> vector
    array([3., 1., 1., 1., 1.])
    >>> unflatten(2 * vector)["w"]
    array([[2., 2.],
           [2., 2.]])
    """
    found = dict(leaves_of(in_order(value)))
    vector = np.concatenate([np.zeros(0)[:0], *map(np.ravel, found.values())])
    ends = np.cumsum([np.size(x) for x in found.values()]).tolist()

    def unflatten(vector: Any) -> Any:
        if np.shape(vector) != (sum(map(np.size, found.values())),):
            raise ShapeError(f"unflatten of shape {np.shape(vector)}: it is for one of {ends[-1:]}")
        cut = zip(found.items(), [0, *ends], ends, strict=False)
        parts = {at: in_form(vector[start:end], x) for (at, x), start, end in cut}
        return like(value, (parts[at] for at, _ in leaves_of(value)))

    return vector, unflatten


def in_form(part: Any, x: Any) -> Any:
    """A part of the vector in the shape of a leaf and, if that has floats, in its dtype."""
    dtype = np.result_type(x)
    part = np.reshape(part, np.shape(x))
    return np.astype(part, dtype) if dtype.kind in "fc" and dtype != part.dtype else part[()]
