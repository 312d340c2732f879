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
    free: dict[int, int] = {}  # ends, by starts
    starts: dict[int, int] = {}  # by ends
    offsets: dict[T, int] = {}
    top = 0
    for k, used in enumerate(uses):
        here = [x for x in used if x in sizes]
        for x in sorted((x for x in here if x not in offsets), key=lambda x: -sizes[x]):
            need = -(-sizes[x] // LINE) * LINE + LINE
            fits = [(end - start, start) for start, end in free.items() if end - start >= need]
            if fits:
                room, start = min(fits)
                del starts[free.pop(start)]
                if room > need:
                    give_back(start + need, start + room, free, starts)
            else:
                start, top = top, top + need
            offsets[x] = start
        for x in here:
            if last[x] == k:
                end = offsets[x] + -(-sizes[x] // LINE) * LINE + LINE
                give_back(offsets[x], end, free, starts)
    return offsets, top


def give_back(start: int, end: int, free: dict[int, int], starts: dict[int, int]) -> None:
    """Free some room, joined to what is free beside it: `free` has ends by starts, `starts` starts
    by ends."""
    if start in starts:
        start = starts.pop(start)
    if end in free:
        end = free.pop(end)
    free[start], starts[end] = end, start
