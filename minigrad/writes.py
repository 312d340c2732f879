"""Writes into arrays that a recorded op still needs: a reverse pass that would use the new numbers
is refused.

A node holds the arrays that its op was given, not copies of them. Every write into memory that
minigrad makes (an optimiser's step, `load_state_dict`, `t.data -= ...`) is logged here. Writes that
NumPy makes on its own (`array[0] = 1`) are found by `minigrad.debug()` only.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any, NoReturn

import numpy as np

from minigrad.errors import ArgumentError, GradientError, instruction, quoted
from minigrad.graph import Node, births, line_of


@dataclass(eq=False)
class Write:
    """A write: its time, on the scale of `Node.birth`, and the line of the program that made it.

    `owners` are the ids of the arrays it writes, for a write that is repeated (`Log.repeated`).
    """

    stamp: int = -1
    origin: tuple[CodeType, int] | None = None
    owners: frozenset[int] = frozenset()


class Log:
    """The writes into each array that owns memory.

    An entry, by the array's id, lives as long as the array. It holds the weak reference that
    removes it, the last single write, and the repeated writes.
    """

    def __init__(self) -> None:
        self.newest = -1
        self.writes: dict[int, list[Any]] = {}

    def note(self, arrays: Iterable[Any]) -> None:
        """Log a write into these arrays, made by the user's current line."""
        self.newest, origin = next(births), instruction()
        for array in arrays:
            write = (self.writes.get(id(array)) or self.entry(owner_of(array)))[1]
            write.stamp, write.origin = self.newest, origin

    def repeated(self, arrays: Iterable[Any]) -> Write:
        """A write for code that writes into these arrays again and again (an optimiser, a compiled
        function), to be passed to `repeat` each time."""
        owners = {id(owner): owner for owner in map(owner_of, arrays)}
        write = Write(owners=frozenset(owners))
        for entry in map(self.entry, owners.values()):
            write = next((each for each in entry[2:] if each.owners == write.owners), write)
            if write not in entry:
                entry.append(write)
        return write

    def repeat(self, write: Write) -> None:
        """Set the time and line of a write to now."""
        self.newest = write.stamp = next(births)
        write.origin = instruction()

    def entry(self, owner: Any) -> list[Any]:
        key = id(owner)
        if key not in self.writes:
            alive = weakref.ref(owner, lambda _: self.writes.pop(key, None))
            self.writes[key] = [alive, Write()]
        return self.writes[key]

    def since(self, birth: int, array: Any) -> Write | None:
        """The last write into the memory of an array after the time `birth`, if there is one."""
        writes = self.writes.get(id(owner_of(array)), ())[1:]
        return max((x for x in writes if x.stamp > birth), key=lambda x: x.stamp, default=None)


log = Log()


def owner_of(array: Any) -> Any:
    """The array that owns the memory of an array: the end of its chain of bases."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def check_memory(array: Any, name: str | None = None) -> None:
    if not array.flags.writeable:
        raise ArgumentError(
            f"{name or 'an array'} of shape {array.shape} is read-only, and cannot be "
            "written into: make the Tensor of a copy, np.array(x)"
        )


def overwrite(array: Any, values: Any) -> None:
    """array[...] = values, and log it."""
    check_memory(array)
    array[...] = values
    log.note([array])


def as_recorded(node: Node, by_nodes: bool) -> Node:
    """The node, with `Overwritten` in place of each array that has been written into since.

    `by_nodes`: the vjps will be given the input nodes rather than the arrays, so an input whose
    node holds another array now is replaced too if that one was written into.
    """

    def written(x: Any, source: Any) -> Write | None:
        write = log.since(node.birth, x) if isinstance(x, np.ndarray) else None
        if write is None and by_nodes and type(source) is Node and source.value is not x:
            return log.since(node.birth, source.value)
        return write

    writes = [written(node.value, node), *map(written, node.arrays, node.inputs)]
    return overwritten(node, writes) if any(writes) else node


def check_intact(nodes: Iterable[Node]) -> None:
    """Raise if an input or the output of one of these nodes has been written into."""
    for node in (node for node in nodes if node.op is not None):
        again = as_recorded(node, by_nodes=True)
        for x in (again.value, *again.arrays):
            if type(x) is Overwritten:
                x.refuse()


def overwritten(node: Node, writes: Sequence[Any]) -> Node:
    """The node, with `Overwritten` in place of its value and of each array that has a write."""
    pairs = zip((node.value, *node.arrays), (node, *node.inputs), writes, strict=True)
    again = copy.copy(node)
    found: list[Any] = [
        Overwritten(x, source, node, write) if write else x for x, source, write in pairs
    ]
    again.value, again.arrays = found[0], found[1:]
    return again


# The gradient of a leaf whose compiled step has consumed it and not kept it. What is accumulated
# into it is lost too: the sum is unknown until it is cleared.
USED_UP = object()


def grad_of(node: Node) -> Any:
    """The gradient of a leaf.

    Raises:
        GradientError: if a compiled step has used it up.
    """
    if node.grad is USED_UP:
        raise GradientError(
            f"the gradient of {node.name or 'a Tensor'} of shape {node.value.shape} was used up by "
            "a compiled step, which clears and computes it for its own update, and does not keep "
            "it: return t.grad from the step, or call zero_grad() before accumulating into it"
        )
    return node.grad


class Overwritten(np.lib.mixins.NDArrayOperatorsMixin):
    """A placeholder for an array that was written into after an op used it: it has a shape and a
    dtype, and raises when a vjp reads its numbers."""

    base = None

    def __init__(self, x: Any, source: Any, node: Node, write: Any) -> None:
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
        if isinstance(self.write, Write) and self.write.origin:
            lines.append(f"written into {quoted(*line_of(*self.write.origin))}")
        raise GradientError("\n  ".join(lines))

    __array__ = __array_ufunc__ = __getitem__ = __iter__ = __float__ = __bool__ = refuse
    __hash__ = None  # type: ignore[assignment]  # as Python does for what cannot be hashed

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function not in (np.shape, np.ndim, np.size, np.zeros_like, np.ones_like):
            self.refuse()
        like = np.broadcast_to(np.zeros((), self.dtype), self.shape)
        return function(*(like if x is self else x for x in args), **kwargs)

    def __getattr__(self, name: str) -> Any:
        self.refuse()
