"""Faults in the C of large arrays: sums in parts, loops around tiles, blocks.

The sizes from which on the compiler writes such C are lowered, so that small arrays meet it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from minigrad.compiler import pipeline
from tests.fuzz.common import Lines, Program, kind, with_costs

LOWERED = {
    "STEPS_PER_PART": 5,
    "MAX_CACHED_DEPTH": 6,
    "MAX_CACHED_FACTOR": 100,
    "TERMS_PER_PART": 3,
    "MAX_LOCAL_ENTRIES": 6,
    "CACHE_LINE_ENTRIES": 2,
    "MIN_TILED_SIZE": 8,
    "MIN_TILE_COLUMNS": 2,
    "TILE_COLUMNS": 3,
    "MIN_SHARED_KERNEL": 0,
    "MIN_SHARED_ROUND": 0,
    "MIN_SHARED_PROGRAM": 0,
}


@contextmanager
def lowered() -> Iterator[None]:
    before = pipeline.code_version
    pipeline.code_version = lambda: "lowered"  # type: ignore[assignment]  # not the cached plans
    try:
        with with_costs(**LOWERED):
            yield
    finally:
        pipeline.code_version = before


@kind(together=16, inside=lowered, in_tests=16)
def as_if_large(b: Lines) -> Program:
    """Convolutions, products and sums over several loops in every order, and their gradients."""
    rng, dtype = b.rng, b.draw(np.float32, np.float64)

    def normal(*shape: int) -> str:
        return b.given(rng.standard_normal(shape).astype(dtype))

    if b.chance(0.7):
        n, channels, outs = (
            int(b.draw(*sizes)) for sizes in ((1, 1, 2, 8), (1, 2, 5), (3, 34, 34))
        )
        kernel = int(b.draw(1, 2, 3)), int(b.draw(1, 3))
        size = (k + int(b.draw(1, 3, 4)) for k in kernel)
        x, w = normal(n, channels, *size), normal(outs, channels, *kernel)
        b.let(f"F.conv2d({x}, {w}, stride={b.draw(1, 1, 2)}, padding={b.draw(0, 0, 1)})")
        return b.program(order=1)
    sizes = {axis: int(b.draw(1, 2, 3, 5, 9)) for axis in "abcdef"}
    x_axes, y_axes, axes = ("".join(rng.permutation([*some])) for some in ("abcd", "acde", "bde"))
    x, y = (normal(*(sizes[a] for a in some)) for some in (x_axes, y_axes))
    z = b.let(f"np.einsum('{x_axes},{y_axes}->{axes}', {x}, {y})")
    b.let(f"np.sum(np.tanh({z}), axis={b.draw(0, 1, 2, (0, 1), (0, 2), (1, 2))})")
    b.let(f"np.sum({x} * {x}, axis={b.draw(0, (0, 2), (1, 3), (0, 1, 3), 2)})")
    return b.program(order=1)
