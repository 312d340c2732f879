"""Parts: which entries of an array a thread reads or writes in a loop that threads share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from minigrad.compiler.graph.affine import Expr, Var
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.loops import ir
from minigrad.compiler.loops.verify import accesses


@dataclass(frozen=True)
class ThreadParts:
    """Iteration i of the loop accesses entries from `low + i*stride` to below `high + i*stride`.

    The loop has `extent` iterations, of which each thread has a range of multiples of `grain`.
    """

    extent: int
    grain: int
    stride: int
    low: int
    high: int

    def placed(self, start: int, size: int = 1) -> ThreadParts:
        """Of an array that begins at `start`, with entries of this size."""
        low, high = start + self.low * size, start + self.high * size
        return ThreadParts(self.extent, self.grain, self.stride * size, low, high)


def are_apart(parts: ThreadParts, other: ThreadParts, most: int) -> bool:
    """Whether no thread's part in one loop overlaps another thread's part in another loop, however
    many threads there are, up to `most`.

    Parts follow one another, so it is enough that those of neighbours do not overlap where they
    meet: a part ends before the next one begins.
    """
    pairs = (parts, other), (other, parts)
    return all(
        (x.high + (cuts(x, most) - 1) * x.stride <= y.low + cuts(y, most) * y.stride).all()
        for x, y in pairs
    )


def cuts(parts: ThreadParts, most: int) -> np.ndarray:
    """The iterations at which the part of a second or later thread begins."""
    return cuts_of(parts.extent, parts.grain, most)


@lru_cache(10_000)
def cuts_of(extent: int, grain: int, most: int) -> np.ndarray:
    """As SPLIT of codegen/c.py has it; first those of two threads, then of three, and so on."""
    counts = np.arange(2, most + 1)
    threads = np.repeat(counts, counts - 1)
    thread = np.concatenate([np.arange(1, n) for n in counts])
    return extent * thread // threads // grain * grain


def parts_of(
    statements: Sequence[ir.Statement], array_of: Callable[[ir.Access], Any]
) -> dict[Any, ThreadParts]:
    """The parts of the arrays of a kernel, where they can be told: all accesses are in the loops
    that threads share, and move by the same stride from one iteration to the next.

    Not those of scratch memory, where each thread has its own.
    """
    every = ir.walk(statements)
    shared = [s for s in every if isinstance(s, ir.For) and s.grain]
    found: dict[Any, set[tuple[int, int, int]]] = {}
    inside: set[int] = set()
    for loop in shared:
        body = ir.walk(loop.body)
        inside |= {*map(id, body)}
        variables = iterations_of(loop, body)
        for x in accesses(s for s in body if not isinstance(s, ir.Prefetch)):
            found.setdefault(array_of(x), set()).add(reach(x, variables))
    for x in accesses(s for s in every if id(s) not in inside):
        found.pop(array_of(x), None)
    parts = {}
    for array, places in found.items():
        strides, lows, highs = zip(*places, strict=True)
        if isinstance(array, Value) and min(strides) == max(strides) >= 0:
            extent, grain = shared[0].variable.extent, shared[0].grain
            parts[array] = ThreadParts(extent, grain, strides[0], min(lows), max(highs))
    return parts


def iterations_of(loop: ir.For, body: Iterable[ir.Statement]) -> set[Var]:
    """The variables that are the number of an iteration of a shared loop wherever they are used: if
    that is over blocks, those of the loops over a block."""
    if not loop.step:
        return {loop.variable}
    v = loop.variable
    block = [(v.name, ir.end_of(v)), (v.name, ir.full_end_of(v))]
    loops = [s for s in body if isinstance(s, ir.For)]
    others = {s.variable for s in loops if (s.low, s.high) not in block}
    return {s.variable for s in loops} - others


def reach(x: ir.Access, iterations: set[Var]) -> tuple[int, int, int]:
    """By how many entries an access moves from one iteration to the next, and which it reaches in
    the first; the stride is 0, of all entries that it reaches in any, where that is not known."""
    assert x.place is not None
    terms = x.place.terms
    own = iterations & terms.keys()
    stride = sum(terms[v] for v in own) if len(own) == 1 else 0
    rest = {v: c for v, c in terms.items() if not stride or v not in own}
    low, high = Expr(rest, x.place.const).bounds()
    return stride, low, high + max(x.lanes, 1)
