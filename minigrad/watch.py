"""To be told of every op that is applied, and of all that is sent back; to apply ops otherwise.

Nothing in the engine knows of this, and so it costs nothing while nobody does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

from minigrad import autograd
from minigrad.graph import Node
from minigrad.ops.base import Op
from minigrad.tensor import Tensor


class Watcher:
    """Base of what is told."""

    def applied(
        self, op: Op, inputs: tuple[Any, ...], attributes: dict[str, Any], output: Tensor
    ) -> None:
        """An op was applied, to Tensors and what else it was given."""

    def sent(self, node: Node, cotangent: Any, shares: list[tuple[Node, Any]]) -> None:
        """The reverse pass went through a node: what came in, and what goes to each input."""


apply, shares = Op.__call__, autograd.shares
Function = Callable[..., Any]
# What applies an op to a tuple of inputs and a dictionary of attributes; and what sends back.
engine: ContextVar[tuple[Function, Function]] = ContextVar(
    "engine", default=(lambda op, inputs, attributes: apply(op, *inputs, **attributes), shares)
)
watchers: ContextVar[tuple[Watcher, ...]] = ContextVar("watchers", default=())
lock, watched = threading.Lock(), 0


def watching(watcher: Watcher) -> AbstractContextManager[None]:
    """Inside, in this thread or task, the watcher is told."""
    return having(watchers, (*watchers.get(), watcher))


def replacing(apply: Function, shares: Function) -> AbstractContextManager[None]:
    """Inside, in this thread or task, `apply(op, inputs, attributes)` applies ops, and `shares` is
    in the place of autograd's."""
    return having(engine, (apply, shares))


@contextmanager
def having(variable: ContextVar[Any], value: Any) -> Iterator[None]:
    switch(on=True)
    try:
        with autograd.switched(variable, value):
            yield
    finally:
        switch(on=False)


def switch(on: bool) -> None:
    """Count who asks for it, in any thread: for the first the engine's two functions are replaced,
    and after the last put back."""
    global watched
    with lock:
        watched += 1 if on else -1
        setattr(Op, "__call__", told_apply if watched else apply)  # noqa: B010
        setattr(autograd, "shares", told_shares if watched else shares)  # noqa: B010


def told_apply(op: Op, *inputs: Any, **attributes: Any) -> Any:
    output = engine.get()[0](op, inputs, attributes)
    for watcher in watchers.get():
        if isinstance(output, Tensor):
            watcher.applied(op, inputs, attributes, output)
    return output


def told_shares(node: Node, cotangent: Any, *how: Any) -> list[tuple[Node, Any]]:
    found = engine.get()[1](node, cotangent, *how)
    for watcher in watchers.get():
        watcher.sent(node, cotangent, found)
    return found
