"""Guards: what a specialization of a compiled function depends on, checked in every call.

Guards compare by identity, not by equality: two Tensors of one number compare equal, and so do 1
and 1.0. The fast check is one Python expression that is generated for the specialization, and takes
some 15 ns a guard: a loop over the guards takes three times as long. What arrays look like, which
Python makes anew at each look, is compared by C (`runtime/headers.py`).
"""

from __future__ import annotations

import operator
from collections.abc import Container, Iterator
from itertools import combinations
from pickle import dumps
from types import MappingProxyType
from typing import Any

import numpy as np

from minigrad.autograd import recording
from minigrad.compiler.frontend import capture
from minigrad.dispatch import is_traced
from minigrad.tensor import Tensor, value_of

FEW = 6  # arguments, up to which pairs of them are compared
# Kinds of places whose values are lists.
LISTED = {"length", "keys", "members", "values", "variables", "cached"}


class Guards:
    """The guards of a specialization: `values`, places with the values that were captured there;
    and `spaces`, namespaces with their names for messages and the names in them."""

    def __init__(self, found: capture.Captured) -> None:
        self.found = found
        self.places = [*tensor_places(found), *found.places.values()]
        self.note()

    def note(self) -> None:
        """Capture the present values as those to compare with."""
        self.values = [(place, place.read()) for place in self.places]
        self.contents = [
            (x, dict(x) if isinstance(x, dict) else list(x))
            for kind, x, *_ in self.places
            if kind in ("length", "keys", "members") and not isinstance(x, MappingProxyType)
        ]
        found = self.found
        self.spaces = [(x, name, [*x]) for x, name in found.spaces if not has_fixed_names(x, found)]

    def add_gradients(self, changed: bool, discarded: set[Tensor]) -> None:
        """Guard whether gradients are None, for Tensors where the function may read that, or where
        its trace depends on it; not where it sets them to None first and never names `grad`."""
        named = "grad" in self.found.names
        paths = {id(value): place.name for place, value in self.values if place.is_writable}
        for t in self.found.tensors.values():
            if not (t.requires_grad and t.node.op is None):
                continue
            if named or ((changed or self.found.uses_gradients) and t not in discarded):
                name = t.name or paths.get(id(t)) or f"a Tensor of shape {t.shape}"
                place = capture.Place("gradient", t, f"the gradient of {name}")
                self.places.append(place)
                self.values.append((place, place.read()))

    def name_of(self, array: np.ndarray, other: str) -> str:
        """The name of a captured array, or Tensor, for messages."""
        names = [place.name for place, value in self.values if value_of(value) is array]
        return next((name for name in names if name != "the Tensor"), other)

    def buffers(self) -> list[np.ndarray]:
        """The bytes of captured buffers, such as a bytearray, which NumPy may have read. They are
        not kept: a buffer that is in use cannot be resized."""
        views = [memoryview(x) for kind, x, *_ in self.places if kind == "bytes"]
        return [np.frombuffer(view, np.uint8) for view in views if view.c_contiguous]

    def text(self, names: dict[str, Any], compared: Container[int] = ()) -> Iterator[str]:
        """The guards as Python expressions, but those on the form of arrays whose ids are in
        `compared`; the objects that they refer to are added to `names`."""
        nodes: dict[str, str] = {}
        called = capture.cached, capture.is_filled, dumps, operator.is_
        names |= {function.__name__: function for function in called}
        for k, ((kind, holder, _, key), value) in enumerate(self.values):
            if kind == "form" and id(holder) in compared:
                continue
            if kind in ("keys", "members"):
                of_strings = {*map(type, value)} == {str}
                kind = "keys" if of_strings else "members" if value else "length"
            value = [*map(id, value)] if kind == "cached" else value
            names[f"h{id(holder)}"] = holder
            text = key if kind == "attribute" else repr(key)
            if type(key) not in (str, int):
                names[f"key{k}"], text = key, f"key{k}"
            names[f"v{k}"] = value
            expected = len(value) if kind == "length" else f"v{k}"
            check = capture.READ[kind][0].format(f"h{id(holder)}", text, expected)
            if (node := f"h{id(holder)}.node") in check:  # is looked up once
                own = nodes.get(node, f"({node.replace('.', '_')} := {node})")
                nodes[node] = node.replace(".", "_")
                check = check.replace(node, own)
            yield check
        for k, (x, _, known) in enumerate(self.spaces):
            names[f"h{id(x)}"], names[f"n{k}"] = x, known
            yield f"[*h{id(x)}] == n{k}"

    def broken(self) -> str:
        """Which guard fails, in words; an empty string if none does."""
        reason = self.changed() or self.added()
        if not reason:  # other objects, but equal numbers; or new names that no code reads
            self.note()
        return reason

    def changed(self) -> str:
        for place, value in self.values:
            try:
                now = place.read()
            except capture.GONE:
                return f"{place.name} is gone"
            # READ makes the lists of LISTED kinds anew; a list of the user's is compared by `is`.
            listed = place.kind in LISTED
            if not (same(tuple(now), tuple(value)) if listed else same(now, value)):
                return difference(place, value, now)
        return ""

    def added(self) -> str:
        """Whether there is a new name that the function may read, in words."""
        for x, name, known in self.spaces:
            for key in x:
                new = key not in known
                if new and (
                    self.found.may_read(key) or not issubclass(type(x[key]), capture.SCALARS)
                ):
                    return f"{name} had no {key!r}"
        return ""

    def restore(self) -> None:
        """Put everything back as it was."""
        for x, before in self.contents:
            now, then = (each.values() if isinstance(each, dict) else each for each in (x, before))
            if len(x) != len(before) or any(map(operator.is_not, now, then)):
                x.clear()
                x.update(before) if isinstance(x, dict | set) else x.extend(before)
        for x, _, known in self.spaces:
            for key in [key for key in x if key not in known]:
                del x[key]
        for place, value in self.values:
            place.restore(value)


def has_fixed_names(space: Any, found: capture.Captured) -> bool:
    """Whether no name is looked for that is new in a namespace: in what describes a function or a
    class, there is none; modules of libraries are shared with other code."""
    name = space.get("__name__")
    return name is not None and (
        isinstance(space, capture.Slots) or capture.is_library(name) or found.is_foreign(name)
    )


def tensor_places(found: capture.Captured) -> Iterator[capture.Place]:
    """The guards on captured Tensors."""
    for t in found.tensors.values():
        name = f"the Tensor {t.name}" if t.name else "the Tensor"
        yield capture.Place("array", t, name)
        yield capture.Place("flag", t, name)
        yield capture.Place("form", t.node.value, capture.form_of(name))
        if found.may_read("name"):
            yield capture.Place("attribute", t, f"the name of {name}", "name")


def difference(place: capture.Place, value: Any, now: Any) -> str:
    """How a value differs from what it was, in words."""
    kind, holder, name, _ = place
    if is_traced(value_of(now)):
        raise capture.leaked(name)
    if kind in ("array", "flag"):
        return f"{name} of shape {holder.shape} has another array, or requires_grad"
    if kind in ("absent", "empty"):
        return f"{name} had no value"
    if kind in LISTED:
        keyed = isinstance(holder, dict) and kind != "values"
        new = [key for key in now if key not in value] if keyed else []
        if new:
            return f"{name} had no {new[0]!r}, and has {repr(holder[new[0]])[:60]}"
        if len(now) != len(value):
            return f"{name} had {len(value)} things in it and has {len(now)}"
        return f"{name} has other things in it, or in another order"
    if kind == "gradient":
        before, after = ("None" if is_none else "an array" for is_none in (value, now))
        return f"{name} was {before} and is {after}"
    return f"{name} was {repr(value)[:60]} and is {repr(now)[:60]}"


def same(now: Any, value: Any) -> bool:
    """Whether these are the same object, or the same number, or tuples of such. 1 differs from 1.0
    and 0.0 from -0.0, but NaN equals NaN."""
    if now is value or type(now) is not type(value):
        return now is value
    if isinstance(now, tuple):
        return len(now) == len(value) and all(map(same, now, value))
    return isinstance(now, capture.SCALARS) and repr(now) == repr(value)


def guard_expression(
    arguments: Any, guards: Guards, names: dict[str, Any]
) -> tuple[str, list[str]]:
    """The guard expression of `args` and `kwargs`: true if these are as the specialization needs
    them; and its names for the arrays in them. `Guards.text` is that of what is captured."""
    args, kwargs = arguments
    names |= {"np": np, "Tensor": Tensor, "recording": recording.get, "keywords": [*kwargs]}
    names |= {"was_recording": recording.get(), "captured": guards.found.identities()}
    arrays: list[str] = []
    checks = ["recording() is was_recording", f"len(args) == {len(args)}"]
    checks.append("[*kwargs] == keywords" if kwargs else "not kwargs")
    given = [(f"args[{k}]", x) for k, x in enumerate(args)]
    for at, argument in given + [(f"kwargs[{key!r}]", x) for key, x in kwargs.items()]:
        checks += argument_guards(at, argument, names, arrays)
    leaves = names.pop("leaves", [])
    if len(leaves) > 1:  # arguments that were one object still are, and no others
        distinct = {id(x): text for x, text in reversed(leaves)}
        checks += [f"{t} is {distinct[id(x)]}" for x, t in leaves if t != distinct[id(x)]]
        names_of = [*distinct.values()]
        if len(names_of) <= FEW:  # then pairs take less time than a set
            checks += [f"{s} is not {t}" for s, t in combinations(names_of, 2)]
        else:
            ids = (f"id({t})" for t in names_of)
            checks.append(f"len({{{', '.join(ids)}}}) == {len(names_of)}")
    return " and ".join(checks), arrays


def argument_guards(at: str, x: Any, names: dict[str, Any], arrays: list[str]) -> Iterator[str]:
    """The checks of an argument, or of a part of it, which the expression `at` evaluates to."""
    kind, own, array = type(x), len(names), x
    names[f"t{own}"] = kind
    if issubclass(kind, Tensor):
        yield f"type(y{own} := {at}) is t{own} and (x{own} := y{own}.node)"
        yield f"x{own}.op is {'' if x.node.op is None else 'not '}None"
        yield f"x{own}.requires_grad is {x.requires_grad}"
        yield f"(x{own}.grad is None) is {x.grad is None}"
        if id(x) in names.get("called", ()):
            names[f"n{own}_"] = names["called"][id(x)]
            yield f"x{own}.name == n{own}_"
        yield from identity_guard(f"y{own}", x, names)
        at, array, kind = f"x{own}.value", x.data, type(x.data)
    if issubclass(kind, np.ndarray):
        names |= {f"k{own}": kind, f"s{own}": array.shape, f"d{own}": array.dtype}
        arrays.append(f"a{own}")
        yield f"type(a{own} := {at}) is k{own}"
        yield f"a{own}.shape == s{own} and a{own}.dtype is d{own}"
        if array is x:
            yield from identity_guard(f"a{own}", x, names)
    elif isinstance(x, dict | list | tuple):
        yield f"type(x{own} := {at}) is t{own}"
        yield f"[*x{own}] == [*k{own}]" if isinstance(x, dict) else f"len(x{own}) == {len(x)}"
        if isinstance(x, dict):
            if hasattr(x, "default_factory"):
                names[f"f{own}"] = x.default_factory
                yield f"x{own}.default_factory is f{own}"
            names[f"k{own}"], names[f"l{own}"] = dict.fromkeys(x), [*map(type, x)]
            if {*names[f"l{own}"]} - {str}:
                yield f"[*map(type, x{own})] == l{own}"
        for key, part in x.items() if isinstance(x, dict) else enumerate(x):
            text = repr(key)
            if type(key) not in (str, int):
                names[text := f"k{len(names)}"] = key
            yield from argument_guards(f"x{own}[{text}]", part, names, arrays)
    else:
        names[f"v{own}_"] = x
        equal = kind in (bool, int, str, bytes)
        yield f"type(x{own} := {at}) is t{own} and x{own} {'==' if equal else 'is'} v{own}_"


def identity_guard(at: str, x: Any, names: dict[str, Any]) -> Iterator[str]:
    """Check that an argument is a captured object if it was one, and else is none of them."""
    if id(x) in names["captured"]:
        names[own := f"v{len(names)}_"] = x
        yield f"{at} is {own}"
    elif names["captured"]:
        yield f"id({at}) not in captured"
    names.setdefault("leaves", []).append((x, at))
