"""Layouts: where the entries of an array are in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from minigrad.compiler.graph.affine import Expr, Index, strides_of, weighted


@dataclass(frozen=True)
class Layout:
    """The order of an array's axes in memory, from the outermost to the innermost.

    With a `panel`, the innermost axis is split into panels of that many entries, the last one
    padded, and the axis over panels goes before the axes from `at` on: the packed columns of a
    matrix product.
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]
    panel: int = 0
    at: int = 0

    @cached_property
    def extents(self) -> tuple[int, ...]:
        """Of the axes in memory."""
        sizes = tuple(self.shape[k] for k in self.order)
        if not self.panel:
            return sizes
        pieces = -(-sizes[-1] // self.panel)
        return (*sizes[: self.at], pieces, *sizes[self.at : -1], self.panel)

    @cached_property
    def is_natural(self) -> bool:
        """Whether its axes are in memory in their order."""
        return self.order == tuple(range(len(self.order)))

    @cached_property
    def back(self) -> tuple[int, ...]:
        """Which of the axes in memory each axis is."""
        return tuple(self.order.index(k) for k in range(len(self.order)))

    @cached_property
    def entries(self) -> int:
        """Entries in memory, with padding."""
        return math.prod(self.extents)

    def places(self, index: Index) -> Index:
        """The index along the axes in memory."""
        found = tuple(index[k] for k in self.order)
        if not self.panel:
            return found
        piece, column = found[-1].divmod(self.panel)
        return (*found[: self.at], piece, *found[self.at : -1], column)

    def address(self, index: Index) -> Expr:
        """Where an entry is, in entries from the start."""
        return weighted(self.places(index), strides_of(self.extents))

    def index(self, places: Sequence[Expr]) -> Index:
        """The entry that is at an index along the axes in memory."""
        if self.panel:
            column = places[self.at] * self.panel + places[-1]
            places = (*places[: self.at], *places[self.at + 1 : -1], column)
        found = dict(zip(self.order, places, strict=True))
        return tuple(found[k] for k in range(len(self.order)))


@lru_cache(10_000)
def ordered(shape: tuple[int, ...], order: tuple[int, ...]) -> Layout:
    """The layout with axes in this order, outermost first; cached, so that its properties are."""
    return Layout(shape, order)


def plain(shape: tuple[int, ...]) -> Layout:
    """C order."""
    return ordered(shape, tuple(range(len(shape))))
