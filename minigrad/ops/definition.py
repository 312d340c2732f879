"""Checks of an op when it is defined."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from typing import Any

from minigrad.dispatch import built_in
from minigrad.errors import ArgumentError

PLACEHOLDER = re.compile(r"\{(\w+)\}")
SYNTAX = (
    "it is an expression in Python's syntax, with {0}, {1} for the inputs and {name} for "
    "attributes, as in 'scaled({0}, by={by})'"
)


def check_definition(op: Any, registry: Mapping[str, Any]) -> None:
    """Raise if the name of an op is taken, or its notation is wrong.

    An op may be defined again by the module that defined it, as a cell of a notebook is run again.
    """
    if op.name in built_in:
        raise ArgumentError(
            f"the name {op.name!r} is minigrad's own already: give your op another name"
        )
    before = registry.get(op.name)
    if before is not None and module_of(before) != module_of(op):
        raise ArgumentError(
            f"there is an op named {op.name!r} already, defined by {module_of(before)}: give this "
            "one another name, such as one with its module's name before it"
        )
    if built_in:  # tests parse the notation of all ops of minigrad
        check_notation(op)


def module_of(op: Any) -> str:
    return getattr(op.forward, "__module__", None) or "NumPy"


def check_notation(op: Any) -> None:
    notation = op.notation.replace("{0}, ...", "{0}")
    try:
        ast.parse(PLACEHOLDER.sub(r"_\1", notation), mode="eval")
    except SyntaxError as error:
        raise wrong(op, f"{op.notation!r} cannot be parsed ({error.msg})") from None
    taken = parameters_of(op)
    if taken is None or any(x.kind is x.VAR_POSITIONAL for x in taken):
        return
    positions = {str(k) for k, x in enumerate(taken) if x.kind < x.VAR_POSITIONAL}
    known = {x.name for x in taken} | positions
    any_name = any(x.kind is x.VAR_KEYWORD for x in taken)
    for place in PLACEHOLDER.findall(notation):
        if place not in known and (place.isdecimal() or not any_name):
            raise wrong(op, f"{op.notation!r} has {{{place}}}, which its forward does not take")


def wrong(op: Any, why: str) -> ArgumentError:
    return ArgumentError(f"the notation of {op.name}: {why}: {SYNTAX}")


def parameters_of(op: Any) -> list[inspect.Parameter] | None:
    """What the forward of an op takes; None if that is unknown, as for ufuncs."""
    try:
        return [*inspect.signature(op.forward).parameters.values()]
    except (TypeError, ValueError):
        return None
