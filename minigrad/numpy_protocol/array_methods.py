"""Methods and attributes of arrays that are no functions of NumPy's: in place, flat, of memory."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad.dispatch import conj, implements
from minigrad.errors import ArgumentError
from minigrad.numpy_protocol.writing import put
from minigrad.tensor import Tensor


@implements("repeat")
def repeat(a: Any, repeats: Any, *more: Any, axis: Any = None) -> Any:
    """Each entry several times, as NumPy's method: t.repeat(n, axis). PyTorch's of that name, which
    takes a number for each axis, is np.tile."""
    if len(more) == 1 and (more[0] is None or -a.ndim <= more[0] < a.ndim):
        (axis,) = more
    elif more:
        raise ArgumentError(
            f"repeat{(repeats, *more)}: write np.tile(t, {(repeats, *more)}) for what PyTorch "
            "does, which repeats the whole, or t.repeat(n, axis=k) for each entry"
        )
    return np.repeat(a, repeats, axis)


implements("conj")(conj)  # the method, which returns the array itself if it is real


@implements("compress")
def compress(a: Any, condition: Any, axis: Any = None, out: Any = None) -> Any:
    return np.compress(condition, a, axis, out)


@implements("sort")
def sort(
    a: Any, axis: int = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> None:
    """In place, as NumPy's method."""
    a[...] = np.sort(a, axis, kind, order, stable=stable)


@implements("partition")
def partition(
    a: Any, kth: Any, axis: int = -1, kind: Any = "introselect", order: Any = None
) -> None:
    """In place, as NumPy's method."""
    a[...] = np.partition(a, kth, axis, kind, order)


@implements("fill")
def fill(a: Any, value: Any) -> None:
    a[...] = value


class Flat:
    """All entries of an array in C order, to read and to write: t.flat[3] = 1.0."""

    def __init__(self, owner: Any) -> None:
        self.base = owner

    def __len__(self) -> int:
        return self.base.size

    def __getitem__(self, index: Any) -> Any:
        entries = np.ravel(self.base)[index]
        return np.copy(entries) if entries.ndim else entries

    def __setitem__(self, index: Any, value: Any) -> None:
        put(self.base, np.arange(len(self))[index], value)

    def __iter__(self) -> Iterator[Any]:
        return iter(np.ravel(self.base))

    def copy(self) -> Any:
        return np.copy(np.ravel(self.base))

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(np.ravel(self.base), dtype)


def write_all(self: Tensor, value: Any) -> None:
    Flat(self)[:] = value


def item(self: Tensor, *index: Any) -> Any:
    """The value as a Python number: of one entry, by its flat index or its index, or of all."""
    if not index:
        return own_item(self)
    index = index[0] if len(index) == 1 else index
    place = (
        index
        if isinstance(index, tuple)
        else np.unravel_index(range(self.size)[operator.index(index)], self.shape)
    )
    return own_item(self[tuple(map(int, place))])


own_item = Tensor.item

# What is asked of the array itself.
for name in ("itemsize", "nbytes", "strides", "flags"):
    setattr(Tensor, name, property(operator.attrgetter(f"data.{name}")))
setattr(Tensor, "tobytes", lambda self, order="C": self.data.tobytes(order))  # noqa: B010
setattr(Tensor, "flat", property(Flat, write_all))  # noqa: B010
setattr(Tensor, "item", item)  # noqa: B010
