"""Which functions `grad` and the other transforms are differentiating now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from minigrad.graph import Node, toposort

inside_transform: ContextVar[bool] = ContextVar("inside_transform", default=False)
# While a function is traced: what makes a tracer of an array that it makes, and may write into.
traced_form: ContextVar[Callable[[Any], Any] | None] = ContextVar("traced_form", default=None)
# Their variables, of all threads: a thread that the function starts has a context of its own.
variables: set[Node] = set()


@contextmanager
def differentiating(by: Iterable[Node]) -> Iterator[None]:
    """Inside, a function is run in order to differentiate it by these nodes."""
    own, token = set(by), inside_transform.set(True)
    variables.update(own)
    try:
        yield
    finally:
        variables.difference_update(own)
        inside_transform.reset(token)


def is_inside(node: Node) -> bool:
    """Whether a function is being differentiated here, or in another thread by what the node was
    computed from."""
    return inside_transform.get() or not variables.isdisjoint(toposort([node] if variables else ()))
