"""Memory: one arena for all that a program computes, in which what is dead makes room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")
LINE = 64  # bytes of a cache line; what is read past the end of an array stays in the arena


def arena(uses: Sequence[set[T]], sizes: Mapping[T, int]) -> tuple[dict[T, int], int]:
    """Where each array is in the arena, and how large that is.

    Args:
        uses: what each call uses, in their order.
        sizes: bytes of what is to be placed.
    """
    last = {x: k for k, used in enumerate(uses) for x in used if x in sizes}
    free: list[tuple[int, int]] = []  # (start, end), in their order
    offsets: dict[T, int] = {}
    top = 0
    for k, used in enumerate(uses):
        here = [x for x in used if x in sizes]
        for x in sorted((x for x in here if x not in offsets), key=lambda x: -sizes[x]):
            need = -(-sizes[x] // LINE) * LINE + LINE
            fits = [(end - start, start, end) for start, end in free if end - start >= need]
            if fits:
                _, start, end = min(fits)
                free.remove((start, end))
                if end - start > need:
                    insert(free, start + need, end)
            else:
                start, top = top, top + need
            offsets[x] = start
        for x in here:
            if last[x] == k:
                insert(free, offsets[x], offsets[x] + -(-sizes[x] // LINE) * LINE + LINE)
    return offsets, top


def insert(free: list[tuple[int, int]], start: int, end: int) -> None:
    """Give room back, joined to what is free beside it."""
    for other in [f for f in free if f[1] == start or f[0] == end]:
        free.remove(other)
        start, end = min(start, other[0]), max(end, other[1])
    free.append((start, end))
