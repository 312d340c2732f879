"""Rows in vector lanes: of rows of few entries, several at once.

A row of seven entries fills half of a vector, and its sum is one of lanes. Instead, each statement
in the loops over the entries of a row is computed for as many rows as a vector has lanes: a sum is
a vector of sums then. What one loop computes and another reads has an entry for each lane, and so
have the arrays of a row. What is adjacent in memory within a row is copied into a tile, transposed,
where it is adjacent from row to row.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigrad.compiler.graph.affine import ZERO, Expr, RuntimeIndex, Var, variables_of
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.graph.opset.base import INDEX
from minigrad.compiler.loops import ir
from minigrad.compiler.loops.distribution import (
    DIVISIONS_PER_CALL,
    defined,
    names_in,
    work_of,
)
from minigrad.compiler.target import costs

Statements = Sequence[ir.Statement]


class RowsDependError(Exception):
    """Rows depend on each other, or what they write is not adjacent."""


@dataclass(frozen=True)
class Tile:
    """Entries of rows that are adjacent in memory, transposed: so many `entries` of each row, from
    `start` on in the first row, and rows are `stride` apart."""

    name: str
    stride: int
    start: Expr
    entries: int
    is_written: bool


def in_lanes(
    body: Statements, row: Var, lanes: int, before: Statements
) -> tuple[list[ir.Statement], list[ir.Statement]] | None:
    """Statements that compute `body` for `lanes` rows from `block_of(row)` on; and what comes
    before all rows: `before`, with arrays for so many rows. None if that is not possible.
    """
    every = ir.walk(body)
    simple = all(isinstance(s, ir.Let | ir.Variable | ir.Assignment | ir.For) for s in every)
    whole = all((s.low, s.high, s.step) == ("0", "", 0) for s in every if isinstance(s, ir.For))
    sizes = any(s.size for s in every if isinstance(s, ir.Variable))
    if not simple or not whole or sizes:
        return None
    try:
        rows = Rows(row, lanes, body, before)
        found = rows.lowered(body)
    except RowsDependError:
        return None
    return [*rows.copies(False), *found, *rows.copies(True)], rows.before


def lanes_of(body: Statements, vector: int) -> int:
    """How many of the floats in loops a vector of so many bytes has; 0 if there are none."""
    loops = [s for s in body if isinstance(s, ir.For)]
    types = [s.type for s in ir.walk(loops) if isinstance(s, ir.Let) and s.type.kind == "f"]
    return vector // min(x.itemsize for x in types) if types else 0


def loop_for_lanes(outer: Sequence[Var], body: Statements, lanes: int) -> int | None:
    """Which of the loops over rows to put into lanes: one along which rows are adjacent in memory;
    or of short rows the innermost, as these are copied; None if vectors are filled otherwise."""
    loops = [s for s in ir.walk(body) if isinstance(s, ir.For)]
    innermost = [s for s in loops if not any(isinstance(x, ir.For) for x in s.body)]
    reads = [
        (s.value.place.terms, loop.variable)
        for loop in innermost
        for s in loop.body
        if isinstance(s, ir.Let) and isinstance(s.value, ir.Access) and s.value.place is not None
    ]
    for k, v in enumerate(outer):
        far = any(terms.get(v) == 1 and terms.get(inner, 1) > 1 for terms, inner in reads)
        if v.extent >= lanes and far:
            return k
    # Transposing takes as long as some operations, and as little as one exponential: else only rows
    # pay that fill no vector, nor a half of one. Without sums within rows, columns are as good.
    calls = any(work_of(loop.body) >= DIVISIONS_PER_CALL for loop in innermost)
    most = costs.MAX_LANE_COLUMNS if calls else lanes - 1
    short = all(
        n <= most and (calls or n & (n - 1)) for n in (loop.variable.extent for loop in innermost)
    )
    sums = any(isinstance(s, ir.Variable) for s in body)
    return len(outer) - 1 if sums and short and outer[-1].extent >= lanes else None


class Rows:
    """The rows of a block, of which each has a lane."""

    def __init__(self, row: Var, lanes: int, body: Statements, before: Statements) -> None:
        every, runs = ir.walk(body), [*runs_of(body)]
        self.row, self.lanes, self.block = row, lanes, ir.block_of(row)
        self.lane = RuntimeIndex(f"{row.name}t", lanes, frozenset({row}))
        self.here = ir.Let(self.lane.name, INDEX, Expr({row: 1, self.block: -1}), self.lane.depends)
        self.loops = {s.variable for s in every if isinstance(s, ir.For)}
        self.accumulators = {s.name for s in every if isinstance(s, ir.Variable)}
        # Of all names; and those that several loops over lanes know, which become arrays.
        self.types = {x: s.type for x, s in defined(every).items()}
        for loops, run in runs:
            few = math.prod(v.extent for v in loops) <= costs.TERMS_PER_PART
            for s in run:
                if few and isinstance(s, ir.Accumulate) and s.part and s.target in self.types:
                    self.types[str(s.target)] = s.part
        counts = Counter(x for _, run in runs for x in names_in(run) | defined(run).keys())
        self.shared = {x for x in self.types if counts[x] > 1} | self.accumulators
        own = [s for s in before if isinstance(s, ir.Variable) and s.size and counts[s.name]]
        self.arrays = {s.name for s in own}
        if any(s.size * lanes > costs.MAX_LOCAL_ENTRIES for s in own):
            raise RowsDependError
        self.tiles = self.tiles_of(runs)
        self.before = [s for s in before if s not in own]
        self.before += [replace(s, size=s.size * lanes) for s in own]
        self.before += [
            ir.Variable(f"{x}s", in_memory(dtype), size=lanes)
            for x, dtype in self.types.items()
            if x in self.shared
        ]
        self.before += [
            ir.Variable(tile.name, key[0].dtype, size=tile.entries * lanes)
            for key, tile in self.tiles.items()
        ]
        self.sums = 0

    # Tiles

    def tiles_of(self, runs: Sequence[Run]) -> dict[Any, Tile]:
        """Tiles of what loops within a row write, or read, that is adjacent there."""
        indices: dict[Any, list[Expr]] = {}
        stored: dict[Any, list[Expr]] = {}
        for s in itertools.chain(*(run for _, run in runs)):
            target = ir.target_of(s)
            for x in s.operands:
                if isinstance(x, ir.Access) and isinstance(x.array, Value):
                    key, inner = self.split(x)
                    indices.setdefault(key, []).append(inner)
                    if x is target:
                        stored.setdefault(key, []).append(inner)
        written = {array for array, *_ in stored}
        tiles: dict[Any, Tile] = {}
        for key, within in indices.items():
            array, stride, start = key
            low, high = (f(e.bounds()[k] for e in within) for k, f in enumerate((min, max)))
            own, n = array in written, high - low + 1
            if stride in (0, 1) or n == 1:
                continue
            adjacent = (
                all(is_dense(e + -low) for e in within)
                and n * self.lanes <= costs.MAX_LOCAL_ENTRIES
                and (not own or len(entries_of(stored.get(key, ()))) == n)
            )
            if stride and adjacent:
                name = f"{self.row.name}x{len(tiles)}"
                tiles[key] = Tile(name, stride, start + low, n, own)
            elif own:
                raise RowsDependError
        if any(len({key for key in indices if key[0] is x}) > 1 for x in written):
            raise RowsDependError
        return tiles

    def split(self, x: ir.Access) -> tuple[Any, Expr]:
        """An array, by how much an index of it moves from row to row (None if that varies), and
        where it starts; and the part of the index within a row."""
        assert x.place is not None
        terms, own = x.place.terms, {self.row, *self.loops}
        linear = all(type(a) is Var or own.isdisjoint(variables_of(a)) for a in terms)
        start = {a: c for a, c in terms.items() if a not in own}
        inner = {a: c for a, c in terms.items() if a in self.loops}
        stride = terms.get(self.row, 0) if linear else None
        return (x.array, stride, Expr(start)), Expr(inner, x.place.const)

    def copies(self, is_written: bool) -> list[ir.Statement]:
        """Copies of tiles, from memory or into it."""
        return [
            self.copy(array, tile)
            for (array, *_), tile in self.tiles.items()
            if tile.is_written is is_written
        ]

    def copy(self, array: Value, tile: Tile) -> ir.For:
        k = Var(f"{tile.name}k", tile.entries)
        memory = ir.Access(array, tile.start + Expr({self.row: tile.stride, k: 1}))
        local = self.in_lane(tile.name, Expr({k: 1}))
        if tile.is_written:
            entries = ir.For(k, [ir.Store(memory, local)])
            return replace(self.over([entries]), transposes=True)
        return ir.For(k, [self.over([ir.Store(local, memory)])], transposes=True)

    def over(self, body: Statements) -> ir.For:
        """A loop over the lanes."""
        return ir.For(
            self.row, [self.here, *body], low=self.block.name, high=ir.full_end_of(self.block)
        )

    # Statements

    def lowered(self, statements: Statements) -> list[ir.Statement]:
        found: list[ir.Statement] = []
        run: list[ir.Statement] = []
        for s in [*statements, None]:
            if s is not None and not isinstance(s, ir.For):
                run.append(s)
                continue
            found += self.lowered_run(run) if run else []
            found += [replace(s, body=self.lowered(s.body))] if s else []
            run = []
        return found

    def lowered_run(self, run: Statements) -> list[ir.Statement]:
        """A loop over the lanes, and around it sums of rows that are added up by it."""
        before, after = list[ir.Statement](), list[ir.Statement]()
        lines: list[ir.Statement] = []
        known = {*self.accumulators}
        for s in run:
            for x in sorted(names_in([s]) & self.shared - known):
                lines.append(ir.Let(x, self.types[x], self.entry(x), self.lane.depends))
                known.add(x)
            if isinstance(s, ir.Variable):
                start = ir.Number.of(0, self.types[s.name]) if s.value is None else s.value
                lines.append(ir.Store(self.entry(s.name), start))
            elif isinstance(s, ir.Let):
                lines.append(replace(s, value=self.changed(s.value)))
                if s.name in self.shared:
                    lines.append(ir.Store(self.entry(s.name), s.name))
                known.add(s.name)
            else:
                assert isinstance(s, ir.Store | ir.Accumulate)
                found = self.assigned(s)
                lines.append(found)
                if isinstance(found.target, str) and isinstance(s.target, ir.Access):
                    before.append(ir.Variable(found.target, s.target.array.dtype))
                    after.append(ir.Accumulate(s.target, "+", found.target))
        return [*before, self.over(lines), *after]

    def assigned(self, s: ir.Store | ir.Accumulate) -> ir.Store | ir.Accumulate:
        """An assignment of each lane; or of what rows are added up to, to a sum of lanes."""
        target, value = self.changed(s.target), self.changed(s.value)
        of_row = isinstance(target, ir.Access) and self.is_of_row(target)
        if isinstance(s, ir.Store):
            if not of_row:
                raise RowsDependError
            return ir.Store(target, value)
        if of_row or isinstance(target, str):
            return ir.Accumulate(target, s.combine, value, None if of_row else s.part)
        if s.combine != "+":
            raise RowsDependError
        self.sums += 1
        return ir.Accumulate(f"{self.row.name}s{self.sums}", "+", value)

    def entry(self, name: str) -> ir.Access:
        return self.in_lane(f"{name}s", ZERO)

    def is_of_row(self, target: ir.Access) -> bool:
        return target.place is not None and self.row in target.place.variables()

    def changed(self, x: Any) -> Any:
        """An expression, or a target, in which accumulators and arrays of a row, and what is in
        tiles, are those of the lane."""
        if type(x) is ir.Apply:
            return ir.Apply(x.function, tuple(map(self.changed, x.arguments)))
        if type(x) is str or (type(x) is ir.Access and x.place is None):
            name = x.array if isinstance(x, ir.Access) else x
            return self.entry(name) if name in self.accumulators else x
        if type(x) is not ir.Access or x.place is None:
            return x
        if x.array in self.arrays:
            return self.in_lane(x.array, x.place)
        key, _ = self.split(x)
        if (tile := self.tiles.get(key)) is None:
            return x
        place = x.place + tile.start * -1 + Expr({self.row: -tile.stride})
        return self.in_lane(tile.name, place)

    def in_lane(self, array: str, place: Expr) -> ir.Access:
        """An entry of an array of rows, of the lane."""
        return ir.Access(array, place * self.lanes + Expr({self.lane: 1}))


Run = tuple[tuple[Var, ...], Sequence[ir.Statement]]


def runs_of(statements: Statements, loops: tuple[Var, ...] = ()) -> Iterator[Run]:
    """The statements between loops, with the loops that they are in."""
    run: list[ir.Statement] = []
    for s in [*statements, None]:
        if s is not None and not isinstance(s, ir.For):
            run.append(s)
            continue
        if run:
            yield loops, run
        if s is not None:
            yield from runs_of(s.body, (*loops, s.variable))
        run = []


def is_dense(index: Expr) -> bool:
    """Whether an index of loops is each number of a range once."""
    step = 1
    for v in sorted(index.terms, key=lambda v: index.terms[v]):
        if index.terms[v] != step:
            return False
        step *= v.extent
    return True


def entries_of(indices: Sequence[Expr]) -> set[int]:
    """The entries at dense indices."""
    ranges = (index.bounds() for index in indices)
    return {n for low, high in ranges for n in range(low, high + 1)}


def in_memory(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What a local array is of: C compilers load no bool into vectors beside wider numbers."""
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype
