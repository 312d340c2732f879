"""Pytrees: dicts, lists and tuples of arrays and numbers, nested; and their leaves."""

from __future__ import annotations

import functools
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.arguments import check_library
from minigrad.errors import ShapeError, describe
from minigrad.inside import traced_form
from minigrad.tensor import Tensor, value_of

Function = Callable[..., Any]


def named(name: str, f: Function) -> Callable[[Function], Function]:
    """Let a function be named as f is, which it transforms; where it is shown, `name(f)`. So says
    pickle, too, which finds functions by that name, and not these."""

    def of(function: Function) -> Function:
        functools.update_wrapper(function, f)
        function.__qualname__ = f"{name}({getattr(f, '__qualname__', type(f).__name__)})"
        return function

    return of


def leaves_of(tree: Any, where: str = "") -> list[tuple[str, Any]]:
    """The leaves of a tree of dicts, lists and tuples, with their paths: ("['w'][0]", value)."""
    if isinstance(tree, dict):
        return [x for key in tree for x in leaves_of(tree[key], f"{where}[{key!r}]")]
    if isinstance(tree, list | tuple):
        return [x for k, part in enumerate(tree) for x in leaves_of(part, f"{where}[{k}]")]
    return [] if tree is None else [(where, tree)]


def check_libraries(where: str, tree: Any) -> None:
    """Raise if a leaf is an array of another library than NumPy."""
    for at, x in leaves_of(tree):
        check_library(f"{where}{at}", x)


LEAVES = frozenset([Tensor, np.ndarray, float, np.float64])  # the most frequent ones


def flat(tree: Any) -> list[Any]:
    """The leaves of a tree, without their paths."""
    return [tree] if type(tree) in LEAVES else [x for _, x in leaves_of(tree)]


def like(tree: Any, leaves: Any) -> Any:
    """A tree of the same structure, with leaves from the iterator `leaves`."""
    if type(tree) in LEAVES:
        return next(leaves)
    if isinstance(tree, dict):
        parts = {key: like(part, leaves) for key, part in tree.items()}
        return parts if type(tree) is dict else of_class(tree, parts)
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(like(part, leaves) for part in tree))
    if isinstance(tree, list | tuple):
        return type(tree)(like(part, leaves) for part in tree)
    return None if tree is None else next(leaves)


def of_class(tree: dict[Any, Any], parts: dict[Any, Any]) -> dict[Any, Any]:
    """A dict of the same class as another: code may test the class, or rely on a default."""
    made: Any = type(tree).__new__(type(tree))
    if isinstance(tree, defaultdict):
        made.default_factory = tree.default_factory
    put = OrderedDict.__setitem__ if isinstance(tree, OrderedDict) else dict.__setitem__
    for key, part in parts.items():
        put(made, key, part)
    return made


def map_tree(function: Function, tree: Any) -> Any:
    """A tree of the same structure, with `function` applied to each leaf."""
    return like(tree, map(function, flat(tree)))


def copied(tree: Any) -> Any:
    """A tree with copies of its arrays. Tensors are as they are, for writes into them are found; so
    are arrays in a compiled function, which reads them in each call."""
    if traced_form.get() is not None:
        return tree
    return map_tree(lambda x: x.copy() if isinstance(x, np.ndarray) else x, tree)


def described(tree: Any) -> str:
    """A pytree in words."""
    if not isinstance(tree, dict | list | tuple):
        return describe(value_of(tree))
    at = ", ".join(where for where, _ in leaves_of(tree)) or "no place"
    return f"a {type(tree).__name__} with the leaves {at}"


def matching(tree: Any, other: Any, name: str, what: str) -> list[Any]:
    """The leaves of a tree, which messages call `name`; its structure must be that of another, in
    messages `what`."""
    flat = type(tree) is type(other) is list and len(tree) == len(other)
    if flat and LEAVES.issuperset(map(type, tree + other)):
        return tree
    leaves, needed = leaves_of(tree), [at for at, _ in leaves_of(other)]
    at_place = dict(leaves)
    if len(leaves) != len(needed) or at_place.keys() != set(needed):
        raise ShapeError(
            f"{name} must have the pytree structure of {what}, which is {described(other)}, and is "
            f"{described(tree)}"
        )
    return [at_place[at] for at in needed]
