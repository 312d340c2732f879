"""Batched arrays: each stands for one entry of a batch while a function is vmapped, and an op on it
is done for all entries at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Any, NoReturn

import numpy as np

from minigrad.autograd import recording
from minigrad.dispatch import Traced, array_function, call_ufunc, implementations, is_traced
from minigrad.errors import (
    PLAIN,
    SPARSE,
    MinigradError,
    UnsupportedError,
    instead_of_scipys,
    instruction,
    of_sparse,
    operand,
    refusal_of,
)
from minigrad.graph import INEXACT, Node, births
from minigrad.inside import variables
from minigrad.methods import Methods
from minigrad.names import missing
from minigrad.ops.base import Op
from minigrad.ops.views import define_in_place, is_view, view_makers, views_of
from minigrad.tensor import Tensor
from minigrad.transforms.results import as_result
from minigrad.watch import engine, instead

# The vmaps that this thread, or task, is in, from the outermost.
levels: ContextVar[tuple[Level, ...]] = ContextVar("levels", default=())


# Arrays that are older are not written: what is run here is not to be run for all entries.
frozen: ContextVar[int] = ContextVar("frozen", default=-1)


def reading(name: str) -> Any:
    """A method that gives numbers, which there are where an array is read in its place."""

    def read(self: Batched, *args: Any, **kwargs: Any) -> Any:
        one = instead.get()(self)
        return self.read() if one is self else getattr(np.asarray(one), name)(*args, **kwargs)

    return read


class Batched(Methods, Traced):
    """An array of which there is one for each entry of the batch of a vmap.

    `array` holds them all along axis 0: an ndarray, a tracer, a Tensor that an outer transform
    differentiates by, or a batched array of an outer vmap. Its own shape is that of one entry.
    """

    __slots__ = ("__weakref__", "array", "birth", "level", "writeable")
    content = "array"

    def __init__(self, array: Any, level: Level) -> None:
        self.array, self.level, self.writeable, self.birth = array, level, True, next(births)

    # To isinstance it is what NumPy has there, as the compiler's tracers are.
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        number = not (self.writeable or self.shape or is_view(self))
        return self.dtype.type if number else np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.array.shape
        return shape[1:]

    @property
    def ndim(self) -> int:
        return len(self.array.shape) - 1

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self.array.dtype
        return dtype

    @property
    def base(self) -> Any:
        return self.source if is_view(self) else None

    @property
    def flags(self) -> Flags:
        return Flags(self)

    def setflags(self, write: bool) -> None:
        self.writeable = bool(write)

    def store(self, new: Any) -> None:
        """Stand for other arrays from here on."""
        if instead.get()(self) is not self:
            raise UnsupportedError(
                "a function that is solved for writes into an array of outside: into np.copy(x)"
            )
        self.array = self.level.whole(detached(new))

    def everything(self) -> Any:
        """The arrays of all entries, also of outer vmaps, as one."""
        array = detached(self.array)
        return array.everything() if isinstance(array, Batched) else array

    def check_kept(self, target: Any) -> None:
        held = detached(target)
        if target is None:
            raise UnsupportedError(
                "backward() under vmap would add into .grad of a Tensor what differs from entry to "
                "entry: use grad, value_and_grad or vjp, inside of vmap or around it"
            )
        own = self.level.is_own(held)
        born = target.node.birth if isinstance(target, Tensor) else held.birth if own else 0
        if born < frozen.get():
            raise UnsupportedError(
                "a branch of cond, or a round of while_loop, is run for all entries of a vmap, and "
                f"writes into an array of shape {target.shape} of outside, also for entries for "
                "which it is not to be run: make the array an operand or a part of the carry, and "
                "return it"
            )
        if own:
            return
        if not isinstance(target, Tensor) or target.node.birth < self.level.birth:
            raise UnsupportedError(
                f"a function under vmap writes what differs from entry to entry into an array of "
                f"shape {target.shape} of outside, of which there is one for all: write into a "
                "copy and return it; of an array for each entry, passed as an argument, too"
            )

    def check_active(self) -> None:
        """Raise if the function that is batched has returned, or is run in another thread."""
        if self.level not in levels.get() and instead.get()(self) is self:
            raise UnsupportedError(
                "an array of a function under vmap is used in another thread, or after the "
                "function has returned: compute with it in the function itself, or return it"
            )

    def __repr__(self) -> str:
        shape = f"of shape {self.shape}, " if self.shape else ""
        return f"<{self.level.size} entries {shape}of {self.dtype}>"

    def __format__(self, spec: str) -> str:
        return self.read() if spec else repr(self)

    __hash__ = object.__hash__

    def __len__(self) -> int:
        return len(np.broadcast_to(np.False_, self.shape))

    def __iter__(self) -> Any:
        return (implementations["getitem"](self, k) for k in range(len(self)))

    # NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        self.check_active()
        if method == "__call__" and not kwargs and ufunc in implementations:
            return implementations[ufunc](*inputs)
        return call_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        self.check_active()
        if function in SHOWING:
            return repr(self)
        if function in LIKE:
            like = function(*map(shown, args), **kwargs)
            is_read = instead.get()(self) is self
            return Batched(self.level.repeated(like), self.level) if is_read else like
        return array_function(self, function, types, args, kwargs)

    def __getitem__(self, index: Any) -> Any:
        self.check_active()
        return implementations["getitem"](self, index)

    def transpose(self, *axes: Any) -> Any:
        self.check_active()
        return super().transpose(*axes)

    def astype(self, *args: Any, **how: Any) -> Any:
        self.check_active()
        return implementations["astype"](self, *args, **how)

    def diagonal(self, *places: int, **how: int) -> Any:
        self.check_active()
        return implementations[np.diagonal](self, *places, **how)

    def trace(self, *places: int, **how: int) -> Any:
        self.check_active()
        return implementations[np.trace](self, *places, **how)

    def __setitem__(self, index: Any, value: Any) -> None:
        implementations["setitem"](self, index, value)

    def read(self, *_: Any) -> NoReturn:
        """Refuse to give a number."""
        self.check_active()
        if of_sparse():
            raise UnsupportedError(SPARSE)
        raise UnsupportedError(
            "a function under vmap reads a value that differs from entry to entry: it is run once "
            f"for the whole batch, so there is no single number: {instead_of_scipys() or INSTEAD}"
        )

    __float__, __int__, __index__ = map(reading, ("__float__", "__int__", "__index__"))
    __bool__, __complex__, __array__ = map(reading, ("__bool__", "__complex__", "__array__"))
    item, tolist = map(reading, ("item", "tolist"))
    __reduce_ex__: Any = read
    __getattr__ = missing


INSTEAD = (
    "for if and while there are np.where, minigrad.cond and while_loop; for an index of an array "
    "of outside Tensor(array)[i]; for np.array and np.asarray np.stack, or x itself; for an array "
    "to write into np.zeros_like(x, shape=...). Numbers can be read of what vmap returns"
)
SHOWING = (np.array2string, np.array_repr, np.array_str)
LIKE = (np.zeros_like, np.ones_like, np.empty_like)
define_in_place(Batched)
BatchedView, as_batched_view = views_of(Batched, "array")
KINDS = (Batched, BatchedView)


def view_of(x: Any, source: Any, *how: Any) -> Any:
    """A view; of an array that is the same for all entries, which are not to write into it, x."""
    if type(source) in KINDS:
        return as_batched_view(x, source, *how)
    x.writeable = False
    return x


view_makers[Batched] = view_makers[BatchedView] = view_of


class Flags:
    """Whether it can be written into; how an entry lies in memory is not said."""

    c_contiguous = f_contiguous = owndata = None

    def __init__(self, owner: Batched) -> None:
        object.__setattr__(self, "owner", owner)

    def __getattr__(self, name: str) -> Any:
        if name != "writeable":
            raise AttributeError(name)
        return self.owner.writeable

    def __setattr__(self, name: str, value: Any) -> None:
        self.owner.writeable = bool(value)


# What a leaf is, the lesser first: an array, a Tensor, a Tensor that requires a gradient.
ARRAY, TENSOR, WATCHED = range(3)
Kind = tuple[bool, int]  # of a leaf: whether it is batched, and which of these it is
Context = Callable[[], AbstractContextManager[None]]


class Level:
    """One vmap while it runs: the `size` of its batch, and `below`, what applies the ops on whole
    arrays: NumPy, a trace of the compiler, or an outer vmap. `rules` says how; see `batching`."""

    def __init__(self, size: int, rule_of: Callable[[Op], Callable[..., Any]]) -> None:
        self.size, self.rule_of = size, rule_of
        self.below = engine.get()[0]
        self.inside: Context = nullcontext  # again, where it is not run any more
        self.outside: Context = nullcontext  # where it was begun
        self.birth = Node(np.zeros(0)).birth
        # The leaves that stand for arrays of outside, of which the function has entries.
        self.stand_ins: set[Node] = set()

    def stand_in(self, one: Batched, requires_grad: bool) -> Tensor:
        node = Node(one, requires_grad)  # type: ignore[arg-type]  # as an array
        self.stand_ins.add(node)
        return Tensor.of(node)

    def entry(self, whole: Any, as_tensor: bool = False) -> Any:
        """What stands for an entry of a whole array: an array, or a Tensor if it is to be, or if an
        outer transform differentiates by the array."""
        watched = needs_grad(whole)
        one = Batched(whole if watched else detached(whole), self)
        return self.stand_in(one, watched) if watched or as_tensor else one

    def entries(self, leaves: Sequence[Any], kinds: Sequence[Kind]) -> list[Any]:
        """What a function is given for leaves as `wholes` gives them."""
        pairs = zip(leaves, kinds, strict=True)
        return [self.entry(x, kind != ARRAY) if own else x for x, (own, kind) in pairs]

    def wholes(self, leaves: Sequence[Any], kinds: Sequence[Kind]) -> list[Any]:
        pairs = zip(leaves, kinds, strict=True)
        return [self.whole(x) if own else x for x, (own, _) in pairs]

    def kinds_of(self, leaves: Sequence[Any]) -> list[Kind]:
        each = ((x, isinstance(x, Tensor) + needs_grad(x)) for x in leaves)
        return [(self.is_own(detached(x)), kind) for x, kind in each]

    def is_own(self, x: Any) -> bool:
        return type(x) in KINDS and x.level is self

    def is_differentiated(self) -> bool:
        """Whether a transform inside of it is differentiating now."""
        return any(x.birth > self.birth for x in variables - self.stand_ins)

    def apply(self, op: Op, inputs: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
        """Op.__call__ inside: with a batched array among the inputs, it gives a batched array."""
        live = any_batched = False
        nodes: list[Any] = []
        arrays, wholes, batched = [], [], []
        value: Any
        for x in inputs:
            if isinstance(x, Tensor):
                live, node = True, x.node
                value = node.value
                nodes.append(node)
                own = type(value) in KINDS and value.level is self
                if own:
                    whole = value.array
                    if type(whole) not in ARRAYS and not node.requires_grad:
                        whole = detached(whole)
                else:
                    whole = x if node.requires_grad else value
            else:
                value = x if type(x) in PLAIN or type(x) in KINDS else operand(x)
                nodes.append(value)
                own = type(value) in KINDS and value.level is self
                whole = detached(value.array) if own else value
            arrays.append(value)
            wholes.append(whole)
            batched.append(own)
            any_batched = any_batched or own
        if not any_batched:
            return self.below(op, inputs, attributes)
        try:
            found = self.rule_of(op)(self, op, wholes, batched, attributes)
        except (MinigradError, ValueError, TypeError, IndexError, OverflowError) as error:
            if not isinstance(error, MinigradError) or " does not work: " in error.message:
                raise refusal_of(op.name, [*map(shown, arrays)], attributes, error) from error
            raise
        if type(found) not in ARRAYS and not needs_grad(found):
            found = detached(found)
        result: Any = as_result(Batched(found, self), op, arrays[0], attributes)
        if not live:
            return result
        if not recording.get():
            return Tensor.of(Node(result))
        requires_grad = recorded = False
        for node in nodes:
            if type(node) is Node:
                if node.requires_grad:
                    requires_grad = recorded = True
                elif node.op is not None:
                    recorded = True
        if not recorded:
            return Tensor.of(Node(result))
        requires_grad = requires_grad and found.dtype.kind in INEXACT and op.vjps != ()
        how = attributes
        return Tensor.of(Node(result, requires_grad, op, nodes, how, instruction(), arrays))

    def run(self, op: Op, *wholes: Any, **attributes: Any) -> Any:
        """Apply an op to whole arrays."""
        return self.below(op, wholes, attributes)

    def whole(self, x: Any) -> Any:
        """What holds x for all entries, along axis 0: if x is not batched, one for all."""
        own = detached(x)
        if not self.is_own(own):
            return self.repeated(x)
        return own.array if needs_grad(x) else detached(own.array)

    def repeated(self, x: Any) -> Any:
        """An array that is the same for all entries, along axis 0."""
        x = x if hasattr(x, "shape") else np.asarray(x)
        return np.broadcast_to(x, (self.size, *x.shape))


ARRAYS = frozenset([np.ndarray])


def needs_grad(x: Any) -> bool:
    return isinstance(x, Tensor) and x.node.requires_grad


def detached(x: Any) -> Any:
    """The numbers of a Tensor, anything else as it is."""
    return x.node.value if isinstance(x, Tensor) else x


def shown(x: Any) -> Any:
    """An array of the shape and dtype of an input, for messages."""
    return np.broadcast_to(np.zeros((), x.dtype), x.shape) if is_traced(x) else x


def is_batched(x: Any) -> bool:
    """Whether x is a batched array, or a Tensor of one: there is no single number."""
    return type(x.node.value if isinstance(x, Tensor) else x) in KINDS


def innermost(leaves: Iterable[Any]) -> Level | None:
    """The innermost vmap of which one of these is a batched array; None if none is batched."""
    arrays = [detached(x) for x in leaves]
    own = [x.level for x in arrays if type(x) in KINDS]
    return max(own, key=levels.get().index, default=None)
