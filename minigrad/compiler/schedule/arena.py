"""Memory planning: one arena for all arrays of a program, reused when their lifetimes end."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from minigrad.compiler.target import costs

T = TypeVar("T")


def arena(uses: Sequence[Collection[T]], sizes: Mapping[T, int]) -> tuple[dict[T, int], int]:
    """The offset of each array in the arena, and the arena's size.

    Args:
        uses: the arrays that each call uses, in the order of the calls.
        sizes: the bytes of each array that is to be placed.
    """
    last = {x: k for k, used in enumerate(uses) for x in used if x in sizes}
    free = Free()
    offsets: dict[T, int] = {}
    top = 0
    for k, used in enumerate(uses):
        here = [x for x in used if x in sizes]
        for x in sorted((x for x in here if x not in offsets), key=lambda x: -sizes[x]):
            start = free.take(room(sizes[x]))
            if start is None:
                start, top = top, top + room(sizes[x])
            offsets[x] = start
        for x in here:
            if last[x] == k:
                free.give(offsets[x], offsets[x] + room(sizes[x]))
    return offsets, top


def room(size: int) -> int:
    """Whole cache lines, and one more, for reads past the end of an array."""
    line = costs.CACHE_LINE_BYTES
    return -(-size // line) * line + line


class Free:
    """Free memory in maximal pieces: their ends by start, their starts by end, and their sizes with
    starts, sorted."""

    def __init__(self) -> None:
        self.ends: dict[int, int] = {}
        self.starts: dict[int, int] = {}
        self.sizes: list[tuple[int, int]] = []

    def take(self, size: int) -> int | None:
        """Allocate from the smallest piece that is large enough: the start, or None."""
        k = bisect_left(self.sizes, (size, 0))
        if k == len(self.sizes):
            return None
        start = self.sizes[k][1]
        end = self.remove(start)
        if start + size < end:
            self.give(start + size, end)
        return start

    def give(self, start: int, end: int) -> None:
        """Free some memory, merged with adjacent free pieces."""
        if start in self.starts:
            start = self.starts[start]
            self.remove(start)
        if end in self.ends:
            end = self.remove(end)
        self.ends[start], self.starts[end] = end, start
        insort(self.sizes, (end - start, start))

    def remove(self, start: int) -> int:
        """Remove a piece, and return its end."""
        end = self.ends.pop(start)
        del self.starts[end], self.sizes[bisect_left(self.sizes, (end - start, start))]
        return end
