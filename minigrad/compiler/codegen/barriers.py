"""Barriers: at which calls of kernels the threads wait for each other.

All threads go through all calls of a program. A shared call is divided between them; any other is
run by the first thread alone. A call waits if it conflicts with an earlier one that another thread
may still be running.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigrad.compiler.codegen.deduplicate import Call

SHARED, WAIT, END, FLOW = 1, 2, 4, 8  # as in runtime.c
Span = tuple[int, int, int]  # a slot, the first byte, and the first byte after the last


def barrier_flags(calls: Sequence[Call], span: Callable[[Any], Span]) -> list[int]:
    """The flags of each call: whether threads share it, and whether it waits for earlier calls.

    Args:
        span: where in memory an array is.
    """
    flags: list[int] = []
    shared: list[Any] = []  # calls since all threads last waited,
    alone: list[Any] = []  # and those of the first thread, for which only a shared call waits
    for call in calls:
        accesses = [span(x) for x in call.reads], [span(x) for x in call.writes]
        earlier = (*shared, *alone) if call.shared else shared
        wait = any(conflict(accesses, other) for other in earlier)
        if wait:
            shared, alone = [], []
        (shared if call.shared else alone).append(accesses)
        kind = END * call.combines_threads | FLOW * bool(call.bodies)
        flags.append(SHARED * call.shared | WAIT * wait | kind)
    return flags


def conflict(here: Any, before: Any) -> bool:
    """Whether one call writes what the other reads or writes."""
    (reads, writes), (read, written) = here, before
    return overlap(writes, written) or overlap(writes, read) or overlap(reads, written)


def overlap(some: Sequence[Span], others: Sequence[Span]) -> bool:
    return any(s == t and a < d and c < b for s, a, b in some for t, c, d in others)
