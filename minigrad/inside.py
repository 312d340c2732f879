"""Which functions `grad` and the other transforms are differentiating now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any

from minigrad.graph import Node, toposort

inside_transform: ContextVar[bool] = ContextVar("inside_transform", default=False)
# While a function is traced: what makes a tracer of an array that it makes, and may write into.
traced_form: ContextVar[Callable[[Any], Any] | None] = ContextVar("traced_form", default=None)
# Their variables, of all threads: a thread that the function starts has a context of its own.
variables: set[Node] = set()


class differentiating:  # noqa: N801  # called as a function
    """Inside, a function is run in order to differentiate it by these nodes."""

    def __init__(self, by: Iterable[Node]) -> None:
        self.by = set(by) - variables  # which are so for longer

    def __enter__(self) -> None:
        self.token = inside_transform.set(True)
        variables.update(self.by)

    def __exit__(self, *_: object) -> None:
        variables.difference_update(self.by)
        inside_transform.reset(self.token)


def is_inside(node: Node) -> bool:
    """Whether a function is being differentiated here, or in another thread by what the node was
    computed from."""
    return inside_transform.get() or not variables.isdisjoint(toposort([node] if variables else ()))
