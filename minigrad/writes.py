"""Writes into arrays that a recorded op still needs: a reverse pass that would use the new numbers
is refused.

A node holds the arrays that its op was given, and not copies of them, for its rules. Every write
that minigrad makes into memory (an optimiser's step, `load_state_dict`, `t.data -= ...`) is noted
here. What NumPy writes into an array by itself only `minigrad.debug()` can find.
"""

from __future__ import annotations

import copy
import sys
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from types import CodeType
from typing import Any, NoReturn

import numpy as np

from minigrad.errors import OWN_FILES, GradientError, quoted
from minigrad.graph import Node, births, line_of


@dataclass
class Write:
    """When memory was written into, on the scale of `Node.birth`, and where in the program."""

    stamp: int
    origin: tuple[CodeType, int]


@dataclass
class Log:
    """The last write into each array that owns memory, by its id, for as long as it lives."""

    newest: int = -1
    last: dict[int, tuple[Any, Write]] = field(default_factory=dict)

    def note(self, arrays: Iterable[Any]) -> None:
        """These arrays were written into, by what the user's line called."""
        frame = sys._getframe(1)
        while frame.f_code.co_filename in OWN_FILES and frame.f_back:
            frame = frame.f_back
        self.newest = next(births)
        write = Write(self.newest, (frame.f_code, frame.f_lasti))
        for array in arrays:
            owner = owner_of(array)
            key = id(owner)
            known = self.last.get(key)
            # Held, so that the entry goes when the array does.
            alive = known[0] if known else weakref.ref(owner, partial(self.forget, key))
            self.last[key] = alive, write

    def forget(self, key: int, alive: Any) -> None:
        self.last.pop(key, None)

    def since(self, birth: int, array: Any) -> Write | None:
        """The last write into the memory of an array, if it came after that."""
        _, write = self.last.get(id(owner_of(array)), (None, None))
        return write if write and write.stamp > birth else None


log = Log()


def owner_of(array: Any) -> Any:
    """The array that owns the memory which an array is in."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def overwrite(array: Any, values: Any) -> None:
    """array[...] = values, and noted."""
    array[...] = values
    log.note([array])


def as_recorded(node: Node, by_nodes: bool) -> Node:
    """The node, with `Overwritten` in the place of each array that was written into since.

    Also, for rules that are handed its input nodes again, `by_nodes`, of each whose node holds
    another array now.
    """

    def intact(x: Any, source: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        write = log.since(node.birth, x)
        if write is None and by_nodes and type(source) is Node and source.value is not x:
            write = log.since(node.birth, source.value)
        return x if write is None else Overwritten(x, source, node, write)

    value = intact(node.value, node)
    arrays = list(map(intact, node.arrays, node.inputs))
    if not any(type(x) is Overwritten for x in (value, *arrays)):
        return node
    again = copy.copy(node)
    again.value, again.arrays = value, arrays
    return again


class Overwritten(np.lib.mixins.NDArrayOperatorsMixin):
    """In the place of an array that was written into since an op was given it: it still has a shape
    and a dtype, and refuses when a rule asks for its numbers."""

    base = None

    def __init__(self, x: Any, source: Any, node: Node, write: Write) -> None:
        self.shape, self.dtype, self.ndim, self.size = x.shape, x.dtype, x.ndim, x.size
        self.name = source.name if type(source) is Node else None
        self.node, self.write = node, write

    def refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        assert self.node.op is not None
        array = f"{self.name or 'an array'} of shape {self.shape}"
        lines = [
            f"the reverse pass of {self.node.op.name} needs {array} as it was when the op was "
            "recorded, and it has been written into since. Run backward() before the write, or "
            "compute the op again after it"
        ]
        lines += [f"recorded {quoted(*self.node.line)}"] if self.node.line else []
        lines.append(f"written into {quoted(*line_of(*self.write.origin))}")
        raise GradientError("\n  ".join(lines))

    __array__ = __array_ufunc__ = __getitem__ = __iter__ = __float__ = __bool__ = refuse
    __hash__ = None  # type: ignore[assignment]

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function not in (np.shape, np.ndim, np.size, np.zeros_like, np.ones_like):
            self.refuse()
        like = np.broadcast_to(np.zeros((), self.dtype), self.shape)
        return function(*(like if x is self else x for x in args), **kwargs)

    def __getattr__(self, name: str) -> Any:
        self.refuse()
