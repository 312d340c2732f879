"""Barriers: at which calls of kernels the threads wait for each other.

All threads go through all calls of a program. A shared call is divided between them; any other is
run by the first thread alone. A call waits if it conflicts with an earlier one that another thread
may still be running. It need not wait if each thread uses what the same thread has written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from minigrad.compiler.loops.parts import ThreadParts, are_apart

if TYPE_CHECKING:
    from minigrad.compiler.codegen.deduplicate import Call

SHARED, WAIT, END, FLOW = 1, 2, 4, 8  # as in runtime.c


class Span(NamedTuple):
    """The bytes of an array that a call reads or writes: a slot, the first byte, and the first byte
    after the last; with those of each thread, where threads share the call and that is known."""

    slot: int
    start: int
    end: int
    parts: ThreadParts | None = None


def barrier_flags(
    calls: Sequence[Call], span: Callable[[Any], tuple[int, int, int]], threads: int
) -> list[int]:
    """The flags of each call: whether threads share it, and whether it waits for earlier calls.

    Args:
        span: the slot of an array, and its bytes there.
        threads: how many there are, at most.
    """
    flags: list[int] = []
    shared: list[Any] = []  # calls since all threads last waited,
    alone: list[Any] = []  # and those of the first thread, for which only a shared call waits
    for call in calls:
        accesses = spans_of(call, span)
        earlier = (*shared, *alone) if call.shared else shared
        wait = any(conflict(accesses, other, threads) for other in earlier)
        if wait:
            shared, alone = [], []
        (shared if call.shared else alone).append(accesses)
        kind = END * call.combines_threads | FLOW * bool(call.bodies)
        flags.append(SHARED * call.shared | WAIT * wait | kind)
    return flags


def spans_of(
    call: Call, span: Callable[[Any], tuple[int, int, int]]
) -> tuple[list[Span], list[Span]]:
    """What a call reads, and what it writes."""
    parts: dict[Any, ThreadParts] = {}
    if call.shared and call.source.parts:
        for (x, first), found in zip(call.source.arguments, call.source.parts, strict=True):
            if found:
                size = x.dtype.itemsize
                parts[x] = found.placed(span(x)[1] + first * size, size)
    reads, writes = (
        [Span(*span(x), parts.get(x)) for x in each] for each in (call.reads, call.writes)
    )
    return reads, writes


def conflict(here: Any, before: Any, threads: int) -> bool:
    """Whether one call writes what another thread may read or write in the other."""
    (reads, writes), (read, written) = here, before
    pairs = (writes, written), (writes, read), (reads, written)
    return any(overlap(some, others, threads) for some, others in pairs)


def overlap(some: Sequence[Span], others: Sequence[Span], threads: int) -> bool:
    return any(
        x.slot == y.slot
        and x.start < y.end
        and y.start < x.end
        and not (x.parts and y.parts and are_apart(x.parts, y.parts, threads))
        for x in some
        for y in others
    )
