"""Faults in the C of large arrays: sums in parts, loops around tiles, blocks.

The sizes from which on the compiler writes such C are lowered, so that small arrays meet it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad.compiler import pipeline as plan
from minigrad.compiler.codegen import deduplicate as codegen
from minigrad.compiler.codegen import matmul_kernels as tiles
from minigrad.compiler.codegen import row_kernels as rows
from tests.fuzz.common import Lines, Program, kind

LOWERED: list[tuple[Any, str, Any]] = [
    (tiles, "PART", 5),
    (tiles, "DEEP", 6),
    (tiles, "LONG", 100),
    (rows, "TERMS", 3),
    (rows, "LARGEST", 6),
    (rows, "LINE", 2),
    (rows, "MANY", 8),
    (codegen, "ENOUGH", 0),
    (plan, "LITTLE", 0),
    (plan, "code_version", lambda: "lowered"),  # plans are not those that users have cached
]


@contextmanager
def lowered() -> Iterator[None]:
    before = [(module, name, getattr(module, name)) for module, name, _ in LOWERED]
    try:
        for module, name, value in LOWERED:
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


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
