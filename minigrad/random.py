"""Where random numbers come from."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import numpy as np

from minigrad.arguments import Seed, checked
from minigrad.errors import ArgumentError

# Made when first asked for: `import minigrad` is to be quick.
default: np.random.Generator | None = None


def generator(rng: np.random.Generator | None = None) -> np.random.Generator:
    """The generator that was given, or the default one, which all that get none share.

    Raises:
        ArgumentError: for anything else.
    """
    global default
    if rng is None:
        rng = default = default or np.random.default_rng()
    if not isinstance(rng, np.random.Generator):
        raise ArgumentError(f"rng={rng!r} is no generator: write rng=np.random.default_rng(0)")
    return rng


def drawn_now(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.random(shape, np.float32)


draw: ContextVar[Callable[..., Any]] = ContextVar("draw", default=drawn_now)


def uniform(rng: np.random.Generator | None, shape: tuple[int, ...]) -> Any:
    """Numbers drawn from [0, 1), in float32; while a function is compiled, what stands for them."""
    return draw.get()(generator(rng), shape)


@checked
def manual_seed(seed: Seed) -> None:
    """Seed the default generator: what is drawn from here on is the same every time.

    It starts the layers' weights, drops units out and shuffles batches, wherever no generator or
    seed of their own is given. It is one for the whole process, and no part of NumPy's.

    Raises:
        ValueError: if seed is negative.

    >>> manual_seed(0)
    >>> first = generator().random()
    >>> manual_seed(0)
    >>> generator().random() == first
    True
    """
    # The generator that others may hold stays the one that it is.
    generator().bit_generator.state = np.random.default_rng(seed).bit_generator.state
