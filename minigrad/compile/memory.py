"""Memory: one arena for all that a program computes, in which what is dead makes room."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")
LINE = 64  # bytes of a cache line; what is read past the end of an array stays in the arena


def arena(uses: Sequence[Collection[T]], sizes: Mapping[T, int]) -> tuple[dict[T, int], int]:
    """Where each array is in the arena, and how large that is.

    Args:
        uses: what each call uses, in their order.
        sizes: bytes of what is to be placed.
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
    """Whole lines, and one more."""
    return -(-size // LINE) * LINE + LINE


class Free:
    """What is free, in pieces that are as large as they can be: where each ends, by its start, and
    starts, by its end; and how large they are, with their starts, from the smallest."""

    def __init__(self) -> None:
        self.ends: dict[int, int] = {}
        self.starts: dict[int, int] = {}
        self.sizes: list[tuple[int, int]] = []

    def take(self, size: int) -> int | None:
        """The start of the smallest piece that is large enough, cut to size; if there is one."""
        k = bisect_left(self.sizes, (size, 0))
        if k == len(self.sizes):
            return None
        start = self.sizes[k][1]
        end = self.remove(start)
        if start + size < end:
            self.give(start + size, end)
        return start

    def give(self, start: int, end: int) -> None:
        """Free some memory, joined to what is free beside it."""
        if start in self.starts:
            start = self.starts[start]
            self.remove(start)
        if end in self.ends:
            end = self.remove(end)
        self.ends[start], self.starts[end] = end, start
        insort(self.sizes, (end - start, start))

    def remove(self, start: int) -> int:
        """A piece; this gives its end."""
        end = self.ends.pop(start)
        del self.starts[end], self.sizes[bisect_left(self.sizes, (end - start, start))]
        return end
