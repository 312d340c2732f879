"""Views: arrays that share memory, as NumPy has them, in a graph whose nodes never change.

A Tensor is a name for a node. To write into it is to give it another node, which leaves what was
computed from the old one alone. A view is a name that knows its base and the function that leads
from there to it: its node is looked up, and made again when its base has been given another. To
write into a view is to write into its base, at the entries that the view shows.

Traced arrays are names too, for values of the compiler's graph, and have their views from here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from minigrad.autograd import recording, switched
from minigrad.dispatch import implementations, implements, is_traced
from minigrad.errors import ArgumentError, DtypeError, UnsupportedError
from minigrad.tensor import Tensor, value_of

# Op -> function of (base, new, **attributes): the base with `new` at the entries that op shows.
puts: dict[Any, Callable[..., Any]] = {}


class View:
    """What a name has that is a view.

    `function(source, **attributes)` leads to it from its base, the `source`, which may be a view
    too; the last of the chain is the `root`. `seen` is what the root stood for when that was last
    done. It may not be known whether NumPy would copy, as reshape does where it has to: such a view
    is not `certain`. A view that was given a node itself is one no longer, and has no root.
    """

    __slots__ = ()
    content: ClassVar[str]
    held: ClassVar[list[str]]
    source: Any
    root: Any
    seen: Any
    function: Callable[..., Any]
    attributes: dict[str, Any]
    certain: bool


def views_of(kind: type[Any], content: str) -> type[Any]:
    """The class of the views among names of a kind, which hold their node in the slot `content`."""
    slot = vars(kind)[content]
    read, write = slot.__get__, slot.__set__

    def look_up(self: Any) -> Any:
        if self.root is not None and getattr(self.root, content) is not self.seen:
            refresh(self)
        return read(self)

    def take(self: Any, value: Any) -> None:
        self.root = None
        write(self, value)

    def renew(self: Any) -> None:
        base = kind.of(getattr(self.source, content))
        with switched(recording, True):
            write(self, getattr(self.function(base, **self.attributes), content))

    slots = (*View.__annotations__.keys() - {"content", "held"},)
    held = [name for name in kind.__slots__ if name != "__weakref__"]
    members = {"__slots__": slots, "renew": renew, "content": content, "held": held}
    members |= {content: property(look_up, take), "__doc__": kind.__doc__}
    return type(kind.__name__, (View, kind), members | {"__module__": kind.__module__})


TensorView = views_of(Tensor, "node")


def is_view(x: Any) -> bool:
    return isinstance(x, View) and x.root is not None


def as_view(
    x: Any, base: Any, function: Callable[..., Any], attributes: dict[str, Any], certain: bool
) -> Any:
    """x, which is function(base, **attributes), as a view of base."""
    kind = TensorView if isinstance(x, Tensor) else type(x).view_class
    view = kind.__new__(kind)
    for slot in kind.held:
        setattr(view, slot, getattr(x, slot))
    view.source, view.function, view.attributes, view.certain = base, function, attributes, certain
    view.root = base.root if is_view(base) else base
    view.seen = getattr(view.root, kind.content)
    return view


def viewed(function: Callable[..., Any], x: Any, **attributes: Any) -> Any:
    """function(x, **attributes): a view of x, if NumPy has put it into the memory of x."""
    y = function(x, **attributes)
    if not isinstance(x, Tensor):
        return y
    own, shown = x.node.value, y.node.value
    if shown.base is None or (shown.base is not own and shown.base is not own.base):
        return y
    return as_view(y, x, function, attributes, getattr(shown, "certain", True))


def refresh(view: Any) -> None:
    """Look up a view again, after those that lie between it and its root."""
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
        raise UnsupportedError(
            f"a compiled function {does} an array reshaped from one of {view.source.shape}, where "
            "one of the two is written into: whether they share memory depends on the layout of "
            "the arguments. Make a copy of one first"
        )


def assign(target: Any, new: Any) -> Any:
    """Write an array of the target's shape and dtype into all of it, and return the target."""
    whole = target
    while is_view(whole):
        check_certain(whole, "writes into")
        new = puts[whole.function](whole.source, new, **whole.attributes)
        whole = whole.source
    whole.store(new)
    return target


def check_writeable(target: Any) -> None:
    if not value_of(target).flags.writeable:
        raise ArgumentError(
            f"an array of shape {target.shape} is read-only, as NumPy has single numbers and what "
            "broadcast_to and diagonal give: write into a copy, y = np.copy(x)"
        )


@implements("setitem")
def set_item(target: Any, index: Any, value: Any) -> None:
    """target[index] = value"""
    check_writeable(target)
    assign(target, implementations["updated"](target, index, value))


@implements("out")
def write_out(target: Any, new: Any) -> Any:
    """Write the result of an operation into all of an array, as out= and += do."""
    if not isinstance(target, Tensor) and not is_traced(target):
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
    if new.dtype != target.dtype:
        new = implementations[np.astype](new, target.dtype)
    if new.shape != target.shape:
        new = implementations[np.broadcast_to](new, target.shape)
    return assign(target, new)


def in_place(name: str) -> Callable[[Any, Any], Any]:
    """The in-place operator of this name."""

    def apply(self: Any, other: Any) -> Any:
        new = getattr(self, f"__{name}__")(other)
        value = value_of(self)
        is_number = not value.shape and not value.flags.writeable
        return new if is_number else write_out(self, new)

    return apply


def define_in_place(kind: type[Any]) -> None:
    """Give a kind of names its in-place operators."""
    for name in "add sub mul truediv floordiv mod pow matmul and or xor".split():
        setattr(kind, f"__i{name}__", in_place(name))


define_in_place(Tensor)
