"""Watchers, which are called for every op and every step of a reverse pass; and replacements of the
engine's two functions for these.

The engine does not check for watchers: its functions are patched while there are any, so that it
costs nothing otherwise.
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
    """Base class of watchers."""

    def applied(
        self, op: Op, inputs: tuple[Any, ...], attributes: dict[str, Any], output: Tensor
    ) -> None:
        """Called after an op was applied to Tensors, and whatever other inputs it was given."""

    def sent(self, node: Node, cotangent: Any, terms: list[tuple[Node, Any]]) -> None:
        """Called after a reverse pass went through a node, with the terms of its inputs."""


apply, input_cotangents = Op.__call__, autograd.input_cotangents
Function = Callable[..., Any]
# The functions in use: `apply(op, inputs, attributes)`, and `input_cotangents` as autograd's.
engine: ContextVar[tuple[Function, Function]] = ContextVar(
    "engine",
    default=(lambda op, inputs, attributes: apply(op, *inputs, **attributes), input_cotangents),
)


def as_it_is(x: Any) -> Any:
    return x


# What is read in the place of an array, or a Tensor: of what a function that is solved for under a
# vmap reads from outside, an entry.
instead: ContextVar[Function] = ContextVar("instead", default=as_it_is)
watchers: ContextVar[tuple[Watcher, ...]] = ContextVar("watchers", default=())
lock, watched = threading.Lock(), 0


def watching(watcher: Watcher) -> AbstractContextManager[None]:
    """Inside, in this thread or task, the watcher is called."""
    return having(watchers, (*watchers.get(), watcher))


def replacing(apply: Function, input_cotangents: Function) -> AbstractContextManager[None]:
    """Inside, in this thread or task, `apply(op, inputs, attributes)` applies ops, and
    `input_cotangents` replaces autograd's."""
    return having(engine, (apply, input_cotangents))


def replaced_by(replace: Function) -> AbstractContextManager[None]:
    """Inside, ops are given replace(x) for x, an array or a Tensor."""
    return having(instead, replace)


@contextmanager
def having(variable: ContextVar[Any], value: Any) -> Iterator[None]:
    switch(on=True)
    try:
        with autograd.switched(variable, value):
            yield
    finally:
        switch(on=False)


def switch(on: bool) -> None:
    """Count the contexts that are open in all threads: with the first, the engine's two functions
    are patched; after the last, they are restored."""
    # By setattr, which type checkers let replace a method and a function of a module.
    global watched
    with lock:
        watched += 1 if on else -1
        setattr(Op, "__call__", watched_apply if watched else apply)  # noqa: B010
        reverse_step = watched_input_cotangents if watched else input_cotangents
        setattr(autograd, "input_cotangents", reverse_step)  # noqa: B010


def watched_apply(op: Op, *inputs: Any, **attributes: Any) -> Any:
    if (replace := instead.get()) is not as_it_is:
        inputs = tuple(map(replace, inputs))
    output = engine.get()[0](op, inputs, attributes)
    for watcher in watchers.get():
        if isinstance(output, Tensor):
            watcher.applied(op, inputs, attributes, output)
    return output


def watched_input_cotangents(node: Node, cotangent: Any, *how: Any) -> list[tuple[Node, Any]]:
    found = engine.get()[1](node, cotangent, *how)
    for watcher in watchers.get():
        watcher.sent(node, cotangent, found)
    return found
