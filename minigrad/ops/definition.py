"""Checks of an op when it is defined."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minigrad.dispatch import built_in
from minigrad.errors import ArgumentError

if TYPE_CHECKING:
    from minigrad.ops.base import Op

PLACEHOLDER = re.compile(r"\{(\w+)\}")
SYNTAX = (
    "it is an expression in Python's syntax, with {0}, {1} for the inputs and {name} for "
    "attributes, as in 'scaled({0}, by={by})'"
)


def check_definition(op: Op, registry: Mapping[str, Op]) -> None:
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


def module_of(op: Op) -> str:
    return getattr(op.forward, "__module__", None) or "NumPy"


def check_notation(op: Op) -> None:
    notation = op.notation.replace("{0}, ...", "{0}")
    try:
        ast.parse(PLACEHOLDER.sub(r"_\1", notation), mode="eval")
    except SyntaxError as error:
        raise wrong(op, f"{op.notation!r} cannot be parsed ({error.msg})") from None
    names, inputs = attributes_of(op), op.vjps
    for place in PLACEHOLDER.findall(notation):
        if place.isdecimal():
            if isinstance(inputs, tuple) and inputs and int(place) >= len(inputs):
                raise wrong(
                    op, f"{op.notation!r} has {{{place}}}, and there are {len(inputs)} vjps"
                )
        elif names is not None and place not in names:
            raise wrong(op, f"{op.notation!r} has {{{place}}}, which its forward does not take")


def wrong(op: Op, why: str) -> ArgumentError:
    return ArgumentError(f"the notation of {op.name}: {why}: {SYNTAX}")


def attributes_of(op: Op) -> dict[str, Any] | None:
    """The names that the forward of an op takes, with their defaults; None if it takes any."""
    try:
        taken = inspect.signature(op.forward).parameters.values()
    except (TypeError, ValueError):  # of a ufunc, say
        return None
    return (
        None if any(x.kind is x.VAR_KEYWORD for x in taken) else {x.name: x.default for x in taken}
    )
