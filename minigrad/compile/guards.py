"""Guards: what a version of a compiled function was made for, looked at in every call.

What it depends on has to be the same objects, not equal ones: two Tensors of one number compare
equal, and so do 1 and 1.0. The quick look is one Python expression, written for the version, which
takes some 15 ns for each thing: a loop over them takes three times as long.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

import numpy as np

from minigrad.autograd import recording
from minigrad.compile.capture import SCALARS, Captured
from minigrad.tensor import Tensor

# Also what a dictionary says that another thread writes into meanwhile.
GONE = (KeyError, IndexError, AttributeError, ValueError, TypeError, RuntimeError)

# How each kind of place is read: as text, and as it is.
READ: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "array": ("{0}.node.value", lambda t, _: t.node.value),
    "flag": ("{0}.node.requires_grad", lambda t, _: t.node.requires_grad),
    "cell": ("{0}.cell_contents", lambda cell, _: cell.cell_contents),
    "item": ("{0}[{1}]", lambda holder, key: holder[key]),
}


class Guards:
    """What was found, as it was: `values`, at `places`."""

    def __init__(self, found: Captured) -> None:
        self.found = found
        self.places = list(places_of(found))
        # Of what is shared with others, as a module's names, only the parts count.
        self.spaces = [(x, name) for x, name in found.spaces if "__name__" not in x]
        self.unset = [(x, name) for x, name in found.unset if not is_set(x, name)]
        self.note()

    def note(self) -> None:
        """Take what there is now for what has to be."""
        self.values = [READ[kind][1](holder, key) for kind, holder, key, _ in self.places]
        self.contents = [dict(x) if isinstance(x, dict) else list(x) for x, _ in self.found.whole]
        self.known = [list(x) for x, _ in self.spaces]

    def text(self, names: dict[str, Any]) -> Iterator[str]:
        """The look at each thing as Python, in which other things have these names."""
        for k, (kind, holder, key, _) in enumerate(self.places):
            names[f"h{id(holder)}"], names[f"v{k}"] = holder, self.values[k]
            if type(key) not in (str, int):
                names[f"key{k}"] = key
                key = f"key{k}"
            else:
                key = repr(key)
            yield f"{READ[kind][0].format(f'h{id(holder)}', key)} is v{k}"
        for (x, _), before in zip(self.found.whole, self.contents, strict=True):
            names[f"h{id(x)}"] = x
            yield f"len(h{id(x)}) == {len(before)}"
        for k, ((x, _), known) in enumerate(zip(self.spaces, self.known, strict=True)):
            names[f"h{id(x)}"], names[f"n{k}"] = x, known
            yield f"[*h{id(x)}] == n{k}"
        for x, name in self.unset:
            names[f"h{id(x)}"], names["is_set"] = x, is_set
            yield f"not is_set(h{id(x)}, {name!r})"

    def broken(self) -> str:
        """What has changed, in words; or an empty text."""
        reason = self.changed() or self.resized() or self.added()
        if not reason:  # other objects, but equal numbers; or names that nobody asks for
            self.note()
        return reason

    def changed(self) -> str:
        for (kind, holder, key, name), value in zip(self.places, self.values, strict=True):
            try:
                now = READ[kind][1](holder, key)
            except GONE:
                return f"{name} is gone"
            if not same(now, value):
                if kind in ("array", "flag"):
                    return f"{name} of shape {holder.shape} has another array, or requires_grad"
                return f"{name} was {repr(value)[:60]} and is {repr(now)[:60]}"
        return ""

    def resized(self) -> str:
        for (x, name), before in zip(self.found.whole, self.contents, strict=True):
            if len(x) != len(before):
                new = [key for key in x if key not in before] if isinstance(x, dict) else []
                if new:
                    return f"{name} had no {new[0]!r}, and has {repr(x[new[0]])[:60]}"
                return f"{name} had {len(before)} things in it and has {len(x)}"
        return ""

    def added(self) -> str:
        """A name that there was not."""
        for (x, name), known in zip(self.spaces, self.known, strict=True):
            for key in x:
                new = key not in known
                if new and (self.found.counts(key) or not isinstance(x[key], SCALARS)):
                    return f"{name} had no {key!r}"
        return next((f"{name} had no value" for x, name in self.unset if is_set(x, name)), "")

    def restore(self) -> None:
        """Put everything back as it was."""
        for (x, _), before in zip(self.found.whole, self.contents, strict=True):
            now, then = (each.values() if isinstance(each, dict) else each for each in (x, before))
            if len(x) != len(before) or any(map(operator.is_not, now, then)):
                x.clear()
                x.update(before) if isinstance(x, dict | set) else x.extend(before)
        for (x, _), known in zip(self.spaces, self.known, strict=True):
            for key in [key for key in x if key not in known]:
                del x[key]
        for x, name in self.unset:
            if isinstance(x, dict):
                x.pop(name, None)
            elif is_set(x, name):
                del x.cell_contents
        for (kind, holder, key, _), value in zip(self.places, self.values, strict=True):
            if kind == "cell":
                holder.cell_contents = value
            elif kind == "item" and not isinstance(holder, MappingProxyType):
                holder[key] = value


def places_of(found: Captured) -> Iterator[tuple[str, Any, Any, str]]:
    """Every place that was looked at: how it is read, where it is, and its name."""
    for t in found.tensors.values():
        name = f"the Tensor {t.name}" if t.name else "the Tensor"
        yield "array", t, None, name
        yield "flag", t, None, name
    yield from (("cell", cell, None, name) for cell, name in found.cells)
    yield from (("item", holder, key, name) for holder, key, name in found.parts.values())
    for x, name in found.whole:
        if not isinstance(x, set):
            keys = x if isinstance(x, dict) else range(len(x))
            yield from (("item", x, key, f"{name}[{key!r}]") for key in keys)


def is_set(x: Any, name: str) -> bool:
    """Whether a variable has a value: that of a closure, or the one of this name in a module."""
    if isinstance(x, dict):
        return name in x
    try:
        return x.cell_contents is x.cell_contents
    except ValueError:
        return False


def same(now: Any, value: Any) -> bool:
    """The same object, or the same number: 1 is not 1.0, nor 0.0 -0.0, but NaN is NaN.

    Or a tuple of the same.
    """
    if now is value or type(now) is not type(value):
        return now is value
    if isinstance(now, tuple):
        return len(now) == len(value) and all(map(same, now, value))
    return isinstance(now, SCALARS) and repr(now) == repr(value)


def look_text(arguments: Any, guards: Guards, names: dict[str, Any]) -> tuple[str, list[str]]:
    """An expression of `args` and `kwargs`: whether all is as it was for these arguments. And the
    names that it gives the arrays in them."""
    args, kwargs = arguments
    names |= {"np": np, "Tensor": Tensor, "recording": recording.get, "keywords": [*kwargs]}
    names |= {"was_recording": recording.get(), "captured": guards.found.tensors}
    arrays: list[str] = []
    checks = ["recording() is was_recording", f"len(args) == {len(args)}"]
    checks.append("[*kwargs] == keywords" if kwargs else "not kwargs")
    given = [(f"args[{k}]", x) for k, x in enumerate(args)]
    for at, argument in given + [(f"kwargs[{key!r}]", x) for key, x in kwargs.items()]:
        checks += argument_text(at, argument, names, arrays)
    tensors = names.pop("tensors", [])
    if len(tensors) > 1:  # the same ones are the same, and others are others
        distinct = {id(x): text for x, text in reversed(tensors)}
        checks += [f"{text} == {distinct[id(x)]}" for x, text in tensors]
        checks.append(f"len({{{', '.join(distinct.values())}}}) == {len(distinct)}")
    return " and ".join([*checks, *guards.text(names)]), arrays


def argument_text(at: str, x: Any, names: dict[str, Any], arrays: list[str]) -> Iterator[str]:
    """The look at an argument, or what is in it, found by evaluating `at`."""
    kind, own = type(x), len(names)
    names[f"t{own}"] = kind
    if issubclass(kind, Tensor):
        yield f"type(y{own} := {at}) is t{own} and (x{own} := y{own}.node)"
        yield f"x{own}.op is {'' if x.node.op is None else 'not '}None"
        yield f"x{own}.requires_grad is {x.requires_grad}"
        # One that the function also finds without being given it is that one again.
        if id(x) in names["captured"]:
            names[f"v{own}_"] = x
            yield f"y{own} is v{own}_"
        elif names["captured"]:
            yield f"id(y{own}) not in captured"
        names.setdefault("tensors", []).append((x, f"id(y{own})"))
        at, x, kind = f"x{own}.value", x.data, np.ndarray
    if kind is np.ndarray:
        names[f"s{own}"], names[f"d{own}"] = x.shape, x.dtype
        arrays.append(f"a{own}")
        yield f"type(a{own} := {at}) is np.ndarray"
        yield f"a{own}.shape == s{own} and a{own}.dtype is d{own}"
    elif isinstance(x, dict | list | tuple):
        yield f"type(x{own} := {at}) is t{own}"
        yield f"[*x{own}] == [*k{own}]" if isinstance(x, dict) else f"len(x{own}) == {len(x)}"
        names[f"k{own}"] = dict.fromkeys(x) if isinstance(x, dict) else None
        for key, part in x.items() if isinstance(x, dict) else enumerate(x):
            text = repr(key) if type(key) in (str, int) else None
            if text is None:
                text = f"k{len(names)}"
                names[text] = key
            yield from argument_text(f"x{own}[{text}]", part, names, arrays)
    else:
        names[f"v{own}_"] = x
        equal = isinstance(x, bool | int | str | bytes)
        yield f"type(x{own} := {at}) is t{own} and x{own} {'==' if equal else 'is'} v{own}_"
