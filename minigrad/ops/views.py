"""Views: arrays that alias the memory of others, as NumPy's views do, on an immutable graph.

A Tensor refers to a node. A write into it makes it refer to a new node, and leaves what was
computed from the old one alone (functionalization). A view is a Tensor that knows its base and the
function that computes it from there: when its base refers to a new node, the view's node is
recomputed at its next use. A write into a view is a write into its base, at the entries that the
view covers.

The compiler's tracers refer to values of its graph in the same way, and use the same views. Below,
a Tensor or a tracer is called a name.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterable
from sys import getrefcount
from types import EllipsisType, NoneType
from typing import Any, ClassVar, TypeGuard

import numpy as np

from minigrad.autograd import recording, switched
from minigrad.dispatch import implementations, implements, is_traced
from minigrad.errors import (
    ArgumentError,
    DtypeError,
    GradientError,
    UnsupportedError,
    instruction,
    lost,
)
from minigrad.tensor import Tensor, new, value_of
from minigrad.writes import overwrite

# Op -> function of (base, new, **attributes): the base with `new` at the entries that op picks.
puts: dict[Any, Callable[..., Any]] = {}


class View:
    """The attributes of a view.

    It is `function(source, **attributes)`, where `source` is its base, which may be a view too; the
    end of that chain is the `root`. `seen`: the node of the root when the view was last computed.
    `certain`: whether it is a view for every memory layout; reshape may have to copy. `recorded`:
    whether gradients were recorded when it was made. A view that is assigned a node of its own is
    no longer a view, and its root is None.
    """

    __slots__ = ()
    content: ClassVar[str]
    source: Any
    function: Callable[..., Any]
    attributes: dict[str, Any]
    certain: bool
    recorded: bool
    root: Any
    seen: Any


# Class of names -> the function that makes a view of one: see `as_view`.
view_makers: dict[type[Any], Callable[..., Any]] = {}


def views_of(kind: type[Any], content: str) -> tuple[type[Any], Callable[..., Any]]:
    """The class of views for a class of names, which hold their node in the slot `content`; and the
    function that makes one."""
    slot = vars(kind)[content]
    read, write = slot.__get__, slot.__set__
    others = [vars(kind)[name] for name in kind.__slots__ if name not in ("__weakref__", content)]

    def look_up(self: Any) -> Any:
        if self.root is not None and read(self.root) is not self.seen:
            refresh(self)
        return read(self)

    def take(self: Any, value: Any) -> None:
        self.root = None
        write(self, value)

    def renew(self: Any) -> None:
        write(base := new(kind), getattr(self.source, content))
        for other in others:
            other.__set__(base, other.__get__(self.source))
        with switched(recording, self.recorded):
            write(self, getattr(self.function(base, **self.attributes), content))

    def as_view(
        x: Any,
        source: Any,
        function: Callable[..., Any],
        attributes: dict[str, Any],
        certain: bool = True,
    ) -> Any:
        view = new(made)
        write(view, getattr(x, content))
        for other in others:
            other.__set__(view, other.__get__(x))
        view.source, view.function, view.attributes = source, function, attributes
        is_of_view = type(source) is made and source.root is not None
        view.certain, view.recorded = certain, recording.get()
        view.root = source.root if is_of_view else source
        view.seen = read(view.root)
        return view

    slots = (*View.__annotations__.keys() - {"content"},)
    members = {"__slots__": slots, "renew": renew, "content": content}
    members |= {content: property(look_up, take), "__doc__": kind.__doc__}
    made: Any = type(kind.__name__, (View, kind), members | {"__module__": kind.__module__})
    view_makers[kind] = view_makers[made] = as_view
    return made, as_view


TensorView, as_tensor_view = views_of(Tensor, "node")


def require_grad(self: Any, required: bool) -> None:
    """Set whether a view requires a gradient: it cannot become a leaf of its own."""
    if required and is_view(self) and not own_property.__get__(self):
        raise GradientError(
            f"a view of another Tensor, of shape {self.source.shape}, cannot become a leaf that "
            "requires a gradient: detach() it, or copy it"
        )
    own_property.__set__(self, required)


own_property: Any = vars(Tensor)["requires_grad"]
TensorView.requires_grad = property(own_property.__get__, require_grad)


def as_view(x: Any, source: Any, function: Callable[..., Any], attributes: dict[str, Any]) -> Any:
    """x, which is function(source, **attributes), as a view of that."""
    return view_makers[type(x)](x, source, function, attributes)


def is_view(x: Any) -> TypeGuard[View]:
    return issubclass(type(x), View) and x.root is not None


def viewed(function: Callable[..., Any], x: Any, **attributes: Any) -> Any:
    """function(x, **attributes): a view of x, if NumPy's result shares the memory of x."""
    y = function(x, **attributes)
    if not isinstance(x, Tensor):
        return y
    shown, own = y.node.value, x.node.value
    if (base := shown.base) is None or (base is not own and base is not own.base):
        return y
    certain = type(shown) is np.ndarray or not is_traced(shown) or shown.certain
    return as_tensor_view(y, x, function, attributes, certain)


def refresh(view: Any) -> None:
    """Recompute a view, after those between it and its root."""
    chain = [view]
    while is_view(chain[-1].source):
        chain.append(chain[-1].source)
    now = getattr(view.root, view.content)
    for each in reversed(chain):
        if each.seen is not now:
            check_certain(each, "uses")
            each.renew()
            each.seen = now


def check_certain(view: Any, does: str) -> None:
    if not view.certain:
        shape = view.source.shape
        raise UnsupportedError(
            f"a compiled function {does} an array that was reshaped from one of {shape}, where "
            "one of the two is written into: whether they share memory depends on the layout of "
            "the arguments. Make a copy of one first"
        )


def references(x: Tensor) -> tuple[int, int]:
    """The reference counts of the node of a Tensor, and of its array."""
    node = x.node
    return getrefcount(node), getrefcount(node.value)


UNSHARED = references(Tensor([0.0]))
BASIC = frozenset([int, np.int64, slice, NoneType, EllipsisType])
PLAIN = BASIC | {bool, float, np.float64, np.float32, np.ndarray}


def may_write(target: Any) -> bool:
    """Whether a Tensor that is not recorded can be written in place: nothing but its own views
    refers to its memory. No op was given it, and nobody holds the array."""
    views, whole = 0, target
    while type(whole) is TensorView and whole.root is not None:
        if references(whole) != UNSHARED:
            return False
        views, whole = views + 1, whole.source
    # Each view knows the node that its root had, and NumPy's view knows the array.
    if not isinstance(whole, Tensor) or [*references(whole)] != [n + views for n in UNSHARED]:
        return False
    node = whole.node
    owned = type(node.value) is np.ndarray and node.value.flags.owndata
    return owned and node.op is None and not node.requires_grad


def wrote_in_place(target: Any, index: Any, value: Any) -> bool:
    """Write plain numbers into a Tensor's memory, if that may be done. Errors of NumPy's are left
    to the op, which raises them with advice."""
    if isinstance(value, Tensor) and not (value.node.op or value.requires_grad):
        value = value.data
    parts = (*index, value) if type(index) is tuple else (index, value)
    if not all(type(x) in PLAIN for x in parts) or not may_write(target):
        return False
    try:
        target.data[index] = value
    except (ValueError, TypeError, IndexError, OverflowError):
        return False
    return True


def is_there(target: Any, index: Any, value: Any) -> bool:
    """Whether a value is the view target[index] itself, which Python assigns back after
    target[index] += 1."""
    if not is_view(value) or value.source is not target:
        return False
    parts = index if type(index) is tuple else (index,)
    if all(type(x) in BASIC for x in parts) and value.attributes == {"index": parts}:
        return True
    check_not_shuffled(target)
    return False


def check_not_shuffled(target: Any) -> None:
    """Raise if rng.shuffle is at work: it swaps rows one after the other, and of an array that is
    not NumPy's own, the first write already changes the view that is to be written next."""
    code, at = instruction()
    if "shuffle" not in code.co_names:
        return
    *_, now = (i.opname for i in dis.get_instructions(code) if i.offset <= at)
    if now.startswith("CALL"):
        raise UnsupportedError(
            f"shuffle of an array of shape {target.shape}, whose rows are views, would lose some "
            "of them: write t = t[rng.permutation(len(t))]"
        )


def assign(target: Any, new: Any) -> Any:
    """Write an array of the target's shape and dtype into all of it, and return the target."""
    if wrote_in_place(target, ..., new):
        return target
    whole = target
    while is_view(whole):
        check_certain(whole, "writes into")
        new, whole = puts[whole.function](whole.source, new, **whole.attributes), whole.source
    new = held(whole, new)
    if is_traced(value_of(new)):
        value_of(new).check_kept(whole)
    if is_traced(whole):
        whole.store(new)
    else:
        store(whole, new)
    return target


def store(whole: Tensor, new: Tensor) -> None:
    """Make a Tensor refer to another node; into a parameter, write the numbers."""
    if not same_memory_order(whole.data, new.data):
        new = implementations["updated"](whole, ..., new)
    recorded = whole.node.op is not None
    if not recording.get() and recorded and whole.requires_grad:
        raise GradientError(
            "writing under no_grad() into a result that requires a gradient would lose that "
            "gradient: write outside of no_grad(), or into y.detach()"
        )
    if recorded or not whole.requires_grad:
        whole.node = new.node
    elif recording.get():
        raise GradientError(
            "writing into a leaf that requires a gradient: write into a copy (y = x.copy(), "
            "or y = y + 1 for y += 1), or under no_grad()"
        )
    elif is_traced(new.data) and not is_traced(whole.data):
        raise UnsupportedError(
            f"a compiled function writes into a leaf of shape {whole.shape} that it makes itself "
            "of plain numbers: make the leaf outside of it, or a new one, Tensor(w - step, True)"
        )
    else:
        overwrite(whole.data, new.data)


def same_memory_order(x: Any, new: Any) -> bool:
    """Whether an array can replace another: strides decide what is a view later. Nothing relies on
    those of a traced array."""
    same_strides = is_traced(x) or is_traced(new) or x.strides == new.strides
    return same_strides and x.flags.writeable == new.flags.writeable


def check_writeable(target: Any) -> None:
    if not value_of(target).flags.writeable:
        raise ArgumentError(f"an array of shape {target.shape} is {READ_ONLY}")


READ_ONLY = (
    "read-only, as single numbers, results of broadcast_to and diagonal, entries of the xs of a "
    "scan, what the condition of a while_loop is given, and arguments under vmap are: write into "
    "y = np.copy(x)"
)


@implements("setitem")
def set_item(target: Any, index: Any, value: Any) -> None:
    """target[index] = value"""
    check_writeable(target)
    value = held(target, value)
    if not (is_there(target, index, value) or wrote_in_place(target, index, value)):
        assign(target, implementations["updated"](target, index, value))


def is_plain(target: Any) -> bool:
    """Whether what is to be written into is an array of NumPy's, which records nothing."""
    return not isinstance(target, Tensor) and not is_traced(target)


def would_be_lost(target: Any, x: Any) -> bool:
    """Whether a target cannot hold what x brings: a gradient, of which only a Tensor holds one; or
    numbers not known yet, which a plain array does not hold."""
    gradient = isinstance(x, Tensor) and x.requires_grad and recording.get()
    unknown = is_traced(value_of(x)) and not is_traced(target)
    return not isinstance(target, Tensor) and (gradient or unknown)


def held(target: Any, value: Any) -> Any:
    """What a target holds of a value: of a Tensor, an array holds the numbers.

    Raises:
        GradientError: if a gradient would be lost.
    """
    if isinstance(target, Tensor):
        return value
    if would_be_lost(target, value):
        raise lost("a plain array")
    return value_of(value)


def takes_numbers(target: Any, given: Iterable[Any], name: str) -> bool:
    """Whether NumPy's own function of this name can write what it is given, into a plain array.

    Raises:
        UnsupportedError: if a gradient would be lost.
    """
    if any(would_be_lost(target, x) for x in given):
        raise UnsupportedError(
            f"{name} of a Tensor into a plain array would lose its gradient: make the array a "
            "Tensor first, np.zeros_like(t) or Tensor(x)"
        )
    return is_plain(target)


@implements("out")
def write_out(target: Any, new: Any) -> Any:
    """Write a result into a whole array, as out= and += do."""
    if would_be_lost(target, new):
        raise UnsupportedError(
            "a result that is recorded cannot be written into a plain array (out=, or += on an "
            "array), which would lose it: write a = a + t, or make the array a Tensor first"
        )
    check_writeable(target)
    if not np.can_cast(new.dtype, target.dtype, "same_kind"):
        raise DtypeError(
            f"a result of dtype {new.dtype} cannot be written into an array of dtype {target.dtype}"
            f": compute a new array, a = a + b, or convert with astype({target.dtype.name!r})"
        )
    if isinstance(target, Tensor) and not isinstance(new, Tensor):
        new = Tensor(new)
    if new.dtype != target.dtype:
        new = implementations[np.astype](new, target.dtype)
    if new.shape != target.shape:
        new = implementations[np.broadcast_to](new, target.shape)
    if is_plain(target):
        target[...] = value_of(new)
        return target
    return assign(target, new)


def is_number(x: Any) -> bool:
    """Whether it is a scalar in NumPy, which cannot be written into."""
    value = value_of(x)
    return not value.shape and not value.flags.writeable


def in_place(name: str) -> Callable[[Any, Any], Any]:
    """The in-place operator of this name."""

    def apply(self: Any, other: Any) -> Any:
        new = getattr(self, f"__{name}__")(other)
        return new if is_number(self) else write_out(self, new)

    return apply


def define_in_place(kind: type[Any]) -> None:
    """Give a class of names its in-place operators."""
    for name in "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split():
        setattr(kind, f"__i{name}__", in_place(name))


define_in_place(Tensor)
