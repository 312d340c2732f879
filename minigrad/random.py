"""The default random generator, and its seed; and what asks the system for random numbers."""

from __future__ import annotations

import importlib
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any

import numpy as np

from minigrad.arguments import Seed, checked
from minigrad.autograd import switched
from minigrad.errors import ArgumentError

# Made on first use, to keep `import minigrad` fast.
default: np.random.Generator | None = None


def generator(rng: np.random.Generator | None = None) -> np.random.Generator:
    """The generator that was given, or the default one that everything without its own shares.

    Raises:
        ArgumentError: for anything else.
    """
    global default
    if rng is None:
        with switched(asking, None):
            rng = default = default or np.random.default_rng()
    if not isinstance(rng, np.random.Generator):
        raise ArgumentError(f"rng={rng!r} is not a generator: write rng=np.random.default_rng(0)")
    return rng


# What is called before random numbers are asked of the system.
asking: ContextVar[Callable[[], None] | None] = ContextVar("asking", default=None)
patching = Lock()
patched: list[tuple[Any, str, Any]] = []  # what is replaced while any thread is inside
threads = 0


@contextmanager
def seeds_checked(check: Callable[[], None]) -> Iterator[None]:
    """Inside, `check` is called before random numbers are asked of the system, as for the seed of a
    generator that is made without one: NumPy's, or Python's."""
    global threads
    with patching:
        threads += 1
        if not patched:
            importlib.import_module("numpy.random")  # which makes generators
            places = (random.Random, "seed"), (os, "urandom"), (random, "_urandom")
            patched.extend((holder, name, getattr(holder, name)) for holder, name in places)
            for holder, name, function in patched:
                setattr(holder, name, with_check(function))
    try:
        with switched(asking, check):
            yield
    finally:
        with patching:
            threads -= 1
            while patched and not threads:
                setattr(*patched.pop())


def with_check(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **how: Any) -> Any:
        check = asking.get()
        seeded = isinstance(args[0], random.Random) and ([*args[1:2], how.get("a")][0] is not None)
        if check is not None and not seeded:
            check()
        return function(*args, **how)

    return call


def drawn_now(rng: np.random.Generator | None, shape: tuple[int, ...]) -> Any:
    return generator(rng).random(shape, np.float32)


draw: ContextVar[Callable[..., Any]] = ContextVar("draw", default=drawn_now)


def uniform(rng: np.random.Generator | None, shape: int | Sequence[int]) -> Any:
    """Uniform float32 numbers from [0, 1); while a function is compiled, a tracer for them.

    >>> uniform(np.random.default_rng(0), 3).shape, uniform(None, [2, 3]).shape
    ((3,), (2, 3))
    """
    sizes = [shape] if isinstance(shape, int | np.integer) else shape
    return draw.get()(rng, tuple(int(n) for n in sizes))


@checked
def manual_seed(seed: Seed) -> None:
    """Seed the default generator, so that what is drawn after this is the same in every run.

    It is used to initialise layers, for dropout and to shuffle batches, wherever no generator or
    seed is given. There is one for the whole process; NumPy's global state is not touched.

    Raises:
        ValueError: if seed is negative.

    >>> manual_seed(0)
    >>> first = generator().random()
    >>> manual_seed(0)
    >>> generator().random() == first
    True
    """
    # Reseeded in place, for others may hold a reference to it.
    generator().bit_generator.state = np.random.default_rng(seed).bit_generator.state
