"""The default random generator, and its seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from minigrad.arguments import Seed, checked
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
        rng = default = default or np.random.default_rng()
    if not isinstance(rng, np.random.Generator):
        raise ArgumentError(f"rng={rng!r} is not a generator: write rng=np.random.default_rng(0)")
    return rng


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
