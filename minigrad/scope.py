"""Settings that hold inside a `with` block, or during the calls of a function they decorate."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar, overload

from minigrad.errors import ArgumentTypeError, UnsupportedError

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

# Functions whose call runs nothing of their body.
RUN_LATER = (
    inspect.isgeneratorfunction,
    inspect.iscoroutinefunction,
    inspect.isasyncgenfunction,
)


class Scope(threading.local):
    """A context manager, and a decorator, which may be entered again, also while it is entered.

    Each time it enters a new context manager, from `make`; each thread leaves those of its own.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[None]]) -> None:
        self.make = make
        self.entered: list[AbstractContextManager[None]] = []

    def __enter__(self) -> None:
        inner = self.make()
        inner.__enter__()
        self.entered.append(inner)

    def __exit__(self, *error: Any) -> None:
        self.entered.pop().__exit__(*error)

    def __call__(self, function: Decorated) -> Decorated:
        make, name = self.make, getattr(self.make, "__name__", "")
        if not callable(function):
            raise ArgumentTypeError(f"{name}() takes nothing, or a function that it decorates")
        if any(kind(function) for kind in RUN_LATER):
            raise UnsupportedError(
                f"{name}() decorates a generator or a coroutine, whose body runs after the call: "
                f"write `with {name}():` in the body, around what it computes between two yields"
            )

        @functools.wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with make():
                return function(*args, **kwargs)

        return inside  # type: ignore[return-value]  # of the same signature


class Opens(Protocol):
    @overload
    def __call__(self) -> Scope: ...
    @overload
    def __call__(self, function: Decorated, /) -> Decorated: ...


def scope(make: Callable[[], AbstractContextManager[None]]) -> Opens:
    """A function that gives context managers, as one that also decorates: `with no_grad():`,
    `@no_grad()` and `@no_grad`.

    What it gives raises:
        UnsupportedError: where it decorates a generator or a coroutine.
    """

    @functools.wraps(make)
    def opens(*function: Any) -> Any:
        return Scope(make)(*function) if function else Scope(make)

    return opens
