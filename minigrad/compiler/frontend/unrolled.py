"""Python's `for` loops in a traced function that do the same in each round, which `scan` would
trace once.

While the function is traced, each op is noted with the calls of the user's functions that it is
in. Of each call there is its number, the instruction, and the turn: how often that call has come
back to an instruction before, or to the same one again, as a loop does. This changes nothing of the
program: only the report reads it.
"""

from __future__ import annotations

import dis
import itertools
import linecache
import re
import sys
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import CodeType, FrameType
from typing import Any

from minigrad.compiler.graph.ir import Value, how_of
from minigrad.errors import BETWEEN, UnsupportedError
from minigrad.graph import line_of

# Of calls, the outermost first: the number of the call, the turn, and the instruction.
Place = tuple[tuple[int, int, int], ...]
FEWEST = 8  # rounds of a loop that is told
LONGEST = 64  # turns of a round that is found: of loops that are inside of it


@dataclass(frozen=True)
class Unrolled:
    """A loop at a line of a file; `rounds` that were equal, one after the other, of `each` ops; and
    `ops`: all of these, with those of their derivatives."""

    file: str
    line: int
    rounds: int
    each: int
    ops: int


@dataclass(eq=False)
class Level:
    """A call that is open: its number, turn and instruction, and the call that it has made."""

    frame: FrameType
    number: int
    turn: int
    instruction: int
    callee: FrameType | None


class Calls:
    """The calls that the function of a trace is in, from one op to the next."""

    def __init__(self) -> None:
        self.levels: list[Level] = []
        self.codes: list[CodeType] = []  # by the number of a call
        self.root: CodeType | None = None  # of what calls the function
        self.places: dict[Value, Place] = {}  # in order
        self.derived: dict[Value, Place] = {}  # of what a vjp computes, that of its op
        self.of: Place | None = None  # in a vjp, that of its op

    def note(self, value: Value) -> None:
        """Note a value that is recorded now."""
        if self.of is None:
            self.places[value] = self.here()
        else:
            self.derived[value] = self.of

    def of_vjp(self, value: Any) -> Place | None:
        """What `of` is to be while the vjp of a value is applied."""
        return self.places.get(value) or self.derived.get(value)

    def here(self) -> Place:
        callee, frame = None, sys._getframe(3)
        levels, root = self.levels, self.root
        inner: list[tuple[FrameType, FrameType | None]] = []
        known = {level.frame: level for level in levels}
        while frame is not None and (code := frame.f_code) is not root:
            if (level := known.get(frame)) is not None:
                break
            if not BETWEEN[code.co_filename]:
                inner.append((frame, callee))
            callee, frame = frame, frame.f_back  # type: ignore[assignment]  # None at the top
        else:
            level = None
        while levels and levels[-1] is not level:
            levels.pop()
        if level is not None and level.callee is not callee:  # another call
            level.turn += frame.f_lasti <= level.instruction
            level.instruction, level.callee = frame.f_lasti, callee
        for frame, callee in reversed(inner):
            levels.append(Level(frame, len(self.codes), 0, frame.f_lasti, callee))
            self.codes.append(frame.f_code)
        return tuple([(x.number, x.turn, x.instruction) for x in levels])

    @contextmanager
    def within(self, root: CodeType) -> Iterator[None]:
        """Inside, the function is called from a frame of this code."""
        self.root = root
        try:
            yield
        finally:
            self.levels.clear()  # let go of frames, and of what they hold


def unrolled_loops(calls: Calls) -> list[Unrolled]:
    """The loops of at least FEWEST equal rounds, those with the most ops first; of loops in each
    other, the one with the most ops, or the inner one."""
    found: list[Found] = []
    numbers: dict[Hashable, int] = {}
    by_loop: dict[tuple[int, int, int], dict[int, list[Value]]] = defaultdict(dict)
    for value, place in calls.places.items():
        for number, turn, instruction in place:
            for loop in loops_of(calls.codes[number]):
                if loop[0] <= instruction < loop[1]:
                    by_loop[number, *loop].setdefault(turn, []).append(value)
    derived: dict[Place, list[Value]] = defaultdict(list)
    for value, place in calls.derived.items():
        derived[place].append(value)
    for (number, start, end), turns in by_loop.items():
        ids = []
        for ops in turns.values():
            key = tuple([key_of(x, calls.places[x], number) for x in ops])
            ids.append(numbers.setdefault(key, len(numbers)))
        first, period, rounds = longest_repeat(ids)
        if rounds < FEWEST:
            continue
        inside = [*itertools.chain(*[*turns.values()][first : first + period * rounds])]
        at = {x[2] for value in inside for x in calls.places[value] if x[0] == number}
        if len(at) == 1 and may_call_back(calls.codes[number], *at):
            continue
        places = {calls.places[x] for x in inside}
        more = [x for place in places for x in derived[place]]
        file, line = line_of(calls.codes[number], start)
        each = len(inside) // rounds
        made = Unrolled(file, line, rounds, each, len(inside) + len(more))
        found.append((made.ops, start - end, made, {*inside, *more}))
    return disjoint(found)


# How many ops, minus how many instructions the loop has, the loop, and the ops.
Found = tuple[int, int, Unrolled, set[Value]]


def disjoint(found: list[Found]) -> list[Unrolled]:
    """Those that have no op in common with one before them; of one line, in several calls, one."""
    taken: set[Value] = set()
    by_line: dict[tuple[str, int], Unrolled] = {}
    for _, _, loop, ops in sorted(found, key=lambda x: x[:2], reverse=True):
        if taken.isdisjoint(ops):
            taken |= ops
            before = by_line.get((loop.file, loop.line))
            total = loop.ops + (before.ops if before else 0)
            one = before or loop
            by_line[loop.file, loop.line] = Unrolled(
                one.file, one.line, one.rounds, one.each, total
            )
    return sorted(by_line.values(), key=lambda x: -x.ops)


@cache
def loops_of(code: CodeType) -> list[tuple[int, int]]:
    """The instructions of each `for` loop: its FOR_ITER, and the first after it."""
    return [(x.offset, x.argval) for x in dis.get_instructions(code) if x.opname == "FOR_ITER"]


@cache
def may_call_back(code: CodeType, instruction: int) -> bool:
    """Whether one instruction may apply ops again and again without a loop around it, as `sum`, a
    function of C, calls what adds; also where its source is not at hand."""
    first, last, *_ = next(itertools.islice(code.co_positions(), instruction // 2, None))
    lines = linecache.getlines(code.co_filename)[(first or 0) - 1 : last] if first else []
    return not lines or bool(CALLING_BACK.search("".join(lines)))


CALLING_BACK = re.compile(
    r"(?<![\w.])(sum|map|min|max|any|all|sorted|filter|list|tuple|set|dict|zip|enumerate|next|pow)\("
    r"|\b(reduce|accumulate|starmap|prod)\("
)


def key_of(value: Value, place: Place, number: int) -> Hashable:
    """What an op does, equal in rounds that do the same: from where in the call it is made, of what
    shapes and dtypes. Which rows and which numbers it takes may differ."""
    calls = iter(place)
    next(x for x in calls if x[0] == number)
    inner = tuple([x[2] for x in calls])
    inputs = [(x.shape, x.dtype) if type(x) is Value else type(x) for x in value.inputs]
    how: Any = ""
    if value.attributes and value.op is not None and value.op.name != "slice":
        try:
            how = how_of(value.attributes)
        except UnsupportedError:
            how = id(value.attributes)
    at = next(x[2] for x in place if x[0] == number)
    return at, inner, value.op, value.shape, value.dtype, how, *inputs


def longest_repeat(ids: Sequence[int]) -> tuple[int, int, int]:
    """Where the longest repetition begins, its period, and how often it is repeated; of equally
    long ones, the shortest period."""
    best, covered = (0, 1, 0), 0
    for period in range(1, min(LONGEST, len(ids) // FEWEST) + 1):
        for start, end in runs(ids, period):
            rounds = (end - start) // period
            if rounds >= FEWEST and rounds * period > covered:
                best, covered = (start, period, rounds), rounds * period
    return best


def runs(ids: Sequence[int], period: int) -> Iterator[tuple[int, int]]:
    """The longest pieces in which each is equal to that one period before it."""
    start = 0
    for k in range(period, len(ids)):
        if ids[k] != ids[k - period]:
            yield start, k
            start = k - period + 1
    yield start, len(ids)
