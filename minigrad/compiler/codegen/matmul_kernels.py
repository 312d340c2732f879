"""Kernels of contractions: tiles of rows by columns, accumulated in registers.

After K. Goto and R. van de Geijn, "Anatomy of high-performance matrix multiplication" (2008): the
entries of a tile stay in vector registers during the loop over the depth; each step loads a vector
or two of y, and multiplies it by one number of x for each row. The elementwise ops on the result
(the epilogue) run while the tile is in cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from minigrad.compiler.codegen.c import C_TYPES, KernelSource, print_kernel
from minigrad.compiler.graph.affine import (
    ZERO,
    Expr,
    Index,
    RuntimeIndex,
    Var,
    number,
    ravel_index,
    reshaped,
)
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.graph.opset.base import INDEX
from minigrad.compiler.graph.opset.contractions import Limits
from minigrad.compiler.loops import ir
from minigrad.compiler.loops.lanes import by_lanes
from minigrad.compiler.loops.lowering import LoweringContext
from minigrad.compiler.loops.passes import blocking_of, hoisted, minimum_of, nest
from minigrad.compiler.schedule.buffers import BufferPlan
from minigrad.compiler.schedule.contractions import read_access, width_of
from minigrad.compiler.schedule.stages import Kernel, Schedule
from minigrad.compiler.target import costs
from minigrad.compiler.target.machine import Machine


def contract_function(
    kernel: Kernel, schedule: Schedule, buffers: BufferPlan, machine: Machine
) -> KernelSource:
    """The C of a contraction and its epilogue."""
    of = Dots if schedule.contractions[kernel.stages[0].value].along_depth else Tiles
    tiles = of(kernel, schedule, machine)
    epilogue = Epilogue(tiles)
    statements: list[ir.Statement] = [*epilogue.first]
    if tiles.depth.outside:  # what is read for one part stays in cache
        statements += tiles.depth.around(tiles.over_tiles(tiles.part_sums()))
        sums = []
    else:
        sums = [*epilogue.prefetch(), *tiles.all_sums()]
    statements += tiles.over_tiles([*sums, *tiles.rest(), *epilogue.statements()])
    del epilogue.body  # a reference cycle: without this, everything would stay in memory
    return print_kernel(by_lanes(statements, machine.vector), buffers, padded=True)


@dataclass(frozen=True)
class Depth:
    """The loops over the depth. A long one is divided into parts: each is summed in registers, and
    added to the tile in float64. Terms outside of the `limits` are left out."""

    loops: list[Var]
    limits: Limits
    blocked: int = -1  # which loop is over blocks of `size` iterations; -1 if there is one part
    size: int = 0
    outside: bool = False  # whether the loops over the parts are outside those over tiles

    def around(self, statements: list[ir.Statement]) -> list[ir.Statement]:
        """The loops over parts, around statements whose innermost loops are `self.inner`."""
        if self.blocked < 0:
            return statements
        block = ir.block_of(self.loops[self.blocked])
        return nest(self.loops[: self.blocked], [ir.For(block, statements, step=self.size)])

    def inner(self, statements: list[ir.Statement]) -> list[ir.Statement]:
        """The loops in a part around statements, each over the iterations that are in the
        limits."""
        first = max(self.blocked, 0)
        own = [*self.limits]
        for k in reversed(range(first, len(self.loops))):
            v = self.loops[k]
            block = ir.block_of(v)
            span = (block.name, ir.end_of(block)) if k == self.blocked else ("0", "")
            limits = tuple(limit for limit in own if v in limit[0].terms)
            own = [limit for limit in own if limit not in limits]
            statements = limited(ir.For(v, statements, *span), limits)
        each: list[ir.Expression] = []
        for e, n in own:
            each += [ir.Apply(">=", (e, number(0))), ir.Apply("<", (e, number(n)))]
        if not each:
            return statements
        return [ir.If(reduce(lambda a, b: ir.Apply("&", (a, b)), each), statements, [])]

    def is_first(self) -> ir.Expression:
        """Whether it is the first part."""
        names = [*(v.name for v in self.loops[: self.blocked]), f"{self.loops[self.blocked].name}b"]
        zero: list[ir.Expression] = [ir.Apply("==", (name, number(0))) for name in names]
        return reduce(lambda a, b: ir.Apply("&", (a, b)), zero)


def limited(loop: ir.For, limits: Limits) -> list[ir.Statement]:
    """A loop over the iterations in which indices are in their axes; before it, where these begin
    and end."""
    v = loop.variable
    low: ir.Expression = loop.low if loop.high else number(0)
    high: ir.Expression = loop.high or number(v.extent)
    for e, n in limits:
        c = e.terms[v]
        rest = e + Expr({v: -c})
        # C rounds quotients toward 0: no matter, as negative ones are before the first iteration.
        first, end = (rest * -1, rest * -1 + n) if c > 0 else (rest + (1 - n), rest + 1)
        first, end = first + (abs(c) - 1), end + (abs(c) - 1)
        if first.bounds()[1] >= abs(c):
            low = ir.Apply("max", (low, quotient(first, abs(c))))
        if end.bounds()[0] < abs(c) * v.extent:
            high = ir.Apply("min", (high, quotient(end, abs(c))))
    found: list[ir.Statement] = []
    if isinstance(low, ir.Apply):
        found.append(ir.Let(f"{v.name}_low", INDEX, low))
        loop = replace(loop, low=f"{v.name}_low")
    if isinstance(high, ir.Apply):
        found.append(ir.Let(f"{v.name}_high", INDEX, high))
        loop = replace(loop, high=f"{v.name}_high")
    return [*found, loop]


def quotient(e: Expr, by: int) -> ir.Expression:
    return e if by == 1 else ir.Apply("/", (e, number(by)))


class Tiles:
    """How a contraction is tiled, and the sums of a tile.

    Tiles along the rows are of about the same size: after the first `smaller_tiles`, of `rows`
    rows, they have a row more, `tile_rows`.
    """

    def __init__(self, kernel: Kernel, schedule: Schedule, machine: Machine) -> None:
        self.kernel, self.schedule, self.value = kernel, schedule, kernel.stages[0].value
        self.contraction = contraction = schedule.contractions[self.value]
        self.x, self.y = self.access(*contraction.x), self.access(*contraction.y)
        self.lanes = machine.vector // self.value.dtype.itemsize
        self.width, self.vectors, self.max_rows = self.sizes(machine)
        self.count = -(-contraction.rows // self.max_rows)  # of tiles along the rows
        self.tile_rows = -(-contraction.rows // self.count)
        self.smaller_tiles = self.tile_rows * self.count - contraction.rows
        self.rows = self.tile_rows - (self.smaller_tiles > 0)
        tile = frozenset({Var("tile", self.count)})
        self.first_row = RuntimeIndex("row", contraction.rows - self.tile_rows + 1, tile)
        self.panels = -(-contraction.columns // self.width)
        self.is_full_width = contraction.columns % self.width == 0
        self.first_column = Expr({Var("panel", self.panels): self.width})
        loops = self.depth_loops()
        steps = math.prod(v.extent for v in loops)
        self.uses_partial_sums = steps > costs.STEPS_PER_PART  # to keep the sums accurate
        # Whether a tile is stored from registers directly into the result.
        (column,) = contraction.column.terms
        address = schedule.layouts[self.value].address(self.index)
        alone = len(kernel.stages) == 1 and address.terms.get(column) == 1
        alone = alone and not contraction.along_depth
        self.stores_directly = alone and self.is_full_width and not self.uses_partial_sums
        self.loops = self.tile_loops(steps)
        self.depth = Depth(loops, contraction.limits)
        self.z = ir.Access("z", ZERO)  # the first entry of the tile
        if self.uses_partial_sums:
            k, size = blocking_of(self.depth.loops, costs.STEPS_PER_PART)
            outside = steps > costs.MAX_CACHED_DEPTH and self.count * self.panels > 1
            self.depth = replace(self.depth, blocked=k, size=size, outside=outside)
            if outside:
                self.z = self.saved()

    def access(self, x: Value, index: Index) -> ir.Access:
        """Where an operand is read."""
        access = read_access(self.contraction, x, index, self.schedule.load)
        assert access is not None and access.place is not None
        return access

    def sizes(self, machine: Machine) -> tuple[int, int, int]:
        """The columns of a tile, the vectors that accumulate a row of it, and how many rows fit."""
        width = width_of(self.value.dtype, self.contraction.columns, machine.vector)
        vectors = width // self.lanes
        return width, vectors, (machine.registers - vectors - 1) // vectors // 2 * 2

    def depth_loops(self) -> list[Var]:
        """The loops over the depth."""
        return [v for e in self.contraction.depth for v in e.terms]

    def rest(self) -> list[ir.Statement]:
        """The remainder of the depth, added to the sums of a tile."""
        return []

    def tile_loops(self, steps: int) -> list[Var]:
        """The loops over tiles."""
        contraction = self.contraction
        batch = [v for e in contraction.batch for v in e.terms if v.extent > 1]
        panel, tile = Var("panel", self.panels), Var("tile", self.count)
        of_y = self.y.place.variables() if self.y.place else frozenset()
        bytes_of_y = self.value.dtype.itemsize * contraction.columns * steps
        if of_y & {*batch} or bytes_of_y <= costs.MAX_CACHED_FACTOR:
            return [*batch, panel, tile]
        return [panel, *batch, tile]

    def saved(self) -> ir.Access:
        """Where a tile is kept between the iterations of the loops over parts."""
        entries, extents = self.max_rows * self.width, [v.extent for v in self.loops]
        tile = ravel_index([Expr({v: 1}) for v in self.loops], extents)
        return ir.Access(ir.Scratch(self.value, math.prod(extents) * entries, True), tile * entries)

    def over_tiles(self, body: list[ir.Statement]) -> list[ir.Statement]:
        """The loops over tiles, in which `row` is the first row of a tile, and `rows` their
        number; threads share the first loop that divides evenly, or else the longest."""
        first: ir.Expression = number(0)
        rows: ir.Expression = number(self.contraction.rows)
        if self.count > 1:
            first, rows = Expr({Var("tile", self.count): self.tile_rows}), number(self.rows)
        if self.smaller_tiles:
            first = ir.Apply("-", (first, minimum_of("tile", self.smaller_tiles)))
            rows = ir.Apply("+", (rows, self.is_larger))
        if any(isinstance(s, ir.For) and s.high == "rows" for s in ir.walk(body)):
            body = [ir.Let("rows", INDEX, rows), *body]
        body = [ir.Let("row", INDEX, first), *body]
        extents = [v.extent for v in self.loops]
        even = [k for k, n in enumerate(extents) if n >= 8 or (n > 1 and n % 2 == 0)]
        shared = even[0] if even else extents.index(max(extents))
        for k, v in reversed(list(enumerate(self.loops))):
            body = [ir.For(v, body, grain=int(k == shared))]
        return body

    def all_sums(self) -> list[ir.Statement]:
        """The sums of a tile, all parts of it."""
        sums = self.depth.around(self.part_sums())
        if not self.uses_partial_sums:
            return sums
        return [ir.Variable("z", np.dtype(np.float64), size=self.max_rows * self.width), *sums]

    def part_sums(self) -> list[ir.Statement]:
        """The sums of a part of a tile: tiles have one of two numbers of rows. Where it takes
        little time, the smaller compute the first row of the next one too, which is then left out:
        with one text, half as much C is built."""
        statements: list[ir.Statement] = []
        if not self.stores_directly:
            size = self.tile_rows * self.width
            statements.append(ir.Variable(self.part_name, self.value.dtype, size=size))
        sums = self.register_sums(self.tile_rows)
        if self.smaller_tiles and (self.stores_directly or not self.wastes_little):
            sums = [ir.If(self.is_larger, sums, self.register_sums(self.rows))]
        return [*statements, *sums]

    @property
    def wastes_little(self) -> bool:
        """Whether rows that are computed twice are few, and of a product that is not large."""
        few = self.smaller_tiles * costs.MIN_ROWS_PER_WASTED <= self.contraction.rows
        steps = math.prod(v.extent for v in self.depth.loops)
        return few and self.kernel.total * steps <= costs.MAX_WASTEFUL_PRODUCT

    @property
    def is_larger(self) -> ir.Apply:
        """Whether a tile has a row more."""
        return ir.Apply(">=", ("tile", number(self.smaller_tiles)))

    @property
    def part_name(self) -> str:
        """The array that registers are stored to: the tile, or a part that is added to it."""
        return "part" if self.uses_partial_sums else "z"

    def register_sums(self, rows: int) -> list[ir.Statement]:
        """Sums of `rows` by `width` entries, in vector registers; and where they are stored."""
        registers = [(r, v) for r in range(rows) for v in range(self.vectors)]
        statements: list[ir.Statement] = [
            ir.Variable(f"s{r}_{v}", self.value.dtype, lanes=self.lanes) for r, v in registers
        ]
        statements += self.depth.inner(self.step(rows))
        statements += self.all_stored(registers)
        if self.uses_partial_sums:
            entry = Var("entry", rows * self.width)
            part, total = ir.Access("part", Expr({entry: 1})), offset_by(self.z, Expr({entry: 1}))
            both = ir.Apply("if", (self.depth.is_first(), part, ir.Apply("+", (total, part))))
            statements.append(ir.For(entry, [ir.Store(total, both)], simd=()))
        return statements

    def step(self, rows: int) -> list[ir.Statement]:
        """One step of the depth: vectors of y times numbers of x, or vectors, if these differ from
        column to column. What is the same for several rows or vectors is loaded once."""
        step: list[ir.Statement] = []
        loaded: set[str] = set()
        for r in range(rows):
            for v in range(self.vectors):
                factors = []
                for name, x in (("y", self.y), ("x", self.x)):
                    let = self.loaded(name, x, r, v)
                    factors.append(let.name)
                    if let.name not in loaded:
                        loaded.add(let.name)
                        step.append(let)
                product = ir.Apply("*", tuple(factors))
                step.append(ir.Accumulate(f"s{r}_{v}", "+", product))
        return step

    def loaded(self, name: str, x: ir.Access, r: int, v: int) -> ir.Let:
        """The entry or the vector of an operand for a row and a vector of a tile."""
        (column,), (row,) = self.contraction.column.terms, self.contraction.row.terms
        assert x.place is not None
        own = x.place.variables()
        at = {row: Expr({self.first_row: 1}, r), column: self.first_column + v * self.lanes}
        lanes = self.lanes if column in own else 0
        name += f"{r}_" * (row in own) + str(v) * (column in own)
        access = replace(x, place=x.place.replaced(at), lanes=lanes)
        return ir.Let(name, self.value.dtype, access, lanes=lanes)

    def all_stored(self, registers: Sequence[tuple[int, int]]) -> list[ir.Statement]:
        """Where the registers of a tile are stored."""
        return [self.stored(r, v) for r, v in registers]

    def stored(self, r: int, v: int) -> ir.Statement:
        """A register stored to the tile, or directly to the result."""
        place, value = number(r * self.width + v * self.lanes), self.value
        target = ir.Access(self.part_name, place, lanes=self.lanes)
        if self.stores_directly:
            (column,), (row,) = self.contraction.column.terms, self.contraction.row.terms
            at = {row: Expr({self.first_row: 1}, r), column: self.first_column + v * self.lanes}
            address = self.schedule.layouts[value].address(self.index)
            target = ir.Access(value, address.replaced(at), lanes=self.lanes)
        return ir.Store(target, f"s{r}_{v}")

    @property
    def index(self) -> Index:
        """The index of the result in the loops of the contraction."""
        pairs = zip(self.contraction.out, self.value.shape, strict=True)
        return tuple(i if n > 1 else ZERO for i, n in pairs)


class Dots(Tiles):
    """Of a product of few columns: each vector accumulates one entry, a part of the depth in each
    lane, and its lanes are added up afterwards."""

    def sizes(self, machine: Machine) -> tuple[int, int, int]:
        columns = self.contraction.columns
        return columns, columns, min(8, (machine.registers - columns - 1) // columns)

    def depth_loops(self) -> list[Var]:
        """The loops over the depth, the last over vectors: of several loops, into whole ones."""
        *outer, self.term = super().depth_loops()
        self.vector = Var(self.term.name, self.term.extent // self.lanes)
        return [*outer, self.vector]

    def places(self, row: Expr, column: Expr, depth: Expr) -> tuple[Expr, Expr]:
        """Where x and y are read for an entry of a tile and a step of the depth."""
        (c,), (r,) = self.contraction.column.terms, self.contraction.row.terms
        assert self.x.place is not None and self.y.place is not None
        at_row = {r: Expr({self.first_row: 1}) + row, self.term: depth}
        return self.x.place.replaced(at_row), self.y.place.replaced({c: column, self.term: depth})

    def step(self, rows: int) -> list[ir.Statement]:
        """One step of the depth: vectors of x times vectors of y."""
        depth, dtype, lanes = Expr({self.vector: self.lanes}), self.value.dtype, self.lanes
        columns = range(self.width)
        found: list[ir.Statement] = []
        for c in columns:
            _, place = self.places(ZERO, number(c), depth)
            found.append(
                ir.Let(f"y{c}", dtype, replace(self.y, place=place, lanes=lanes), lanes=lanes)
            )
        for r in range(rows):
            place, _ = self.places(number(r), ZERO, depth)
            found.append(
                ir.Let(f"x{r}", dtype, replace(self.x, place=place, lanes=lanes), lanes=lanes)
            )
            products = [ir.Apply("*", (f"y{c}", f"x{r}")) for c in columns]
            found += [ir.Accumulate(f"s{r}_{c}", "+", products[c]) for c in columns]
        return found

    def all_stored(self, registers: Sequence[tuple[int, int]]) -> list[ir.Statement]:
        """The sums of the lanes of all registers: of as many as there are lanes, by vectors."""
        n, kind, found = self.lanes, C_TYPES[self.value.dtype], list[ir.Statement]()
        sums = f"sums_of_{kind}({', '.join(f'{{{k}}}' for k in range(n))})"
        whole = len(registers) // n * n
        for k in range(0, whole, n):
            names = tuple(f"s{r}_{v}" for r, v in registers[k : k + n])
            target = ir.Access(self.part_name, number(k), lanes=n)
            found.append(ir.Store(target, ir.Apply(sums, names)))
        return found + [self.stored(r, v) for r, v in registers[whole:]]

    def stored(self, r: int, v: int) -> ir.Statement:
        """The sum of the lanes of a register, stored to the tile."""
        total = ir.Apply(f"sum of {self.value.dtype} lanes", (f"s{r}_{v}",))
        return ir.Store(ir.Access(self.part_name, number(r * self.width + v)), total)

    def rest(self) -> list[ir.Statement]:
        """The last entries of the depth, which fill no vector."""
        whole, n = self.vector.extent * self.lanes, self.term.extent % self.lanes
        if not n:
            return []
        r, c, k = Var("er", self.tile_rows), Var("ec", self.width), Var("last", n)
        x, y = self.places(Expr({r: 1}), Expr({c: 1}), Expr({k: 1}, whole))
        product = ir.Apply("*", (replace(self.x, place=x), replace(self.y, place=y)))
        total = offset_by(self.z, Expr({r: self.width, c: 1}))
        each = ir.For(c, [ir.For(k, [ir.Accumulate(total, "+", product)])])
        return [ir.For(r, [each], high="rows")]


def offset_by(access: ir.Access, by: Expr) -> ir.Access:
    assert access.place is not None
    return replace(access, place=access.place + by)


class Epilogue:
    """The elementwise ops on the entries of a tile."""

    def __init__(self, tiles: Tiles) -> None:
        self.tiles = tiles
        columns = min(tiles.width, tiles.contraction.columns)
        self.r, self.c = Var("er", tiles.tile_rows), Var("ec", columns)
        self.z = offset_by(tiles.z, Expr({self.r: tiles.width, self.c: 1}))
        (column,), (row,) = tiles.contraction.column.terms, tiles.contraction.row.terms
        # Indices are in the rows and columns of the whole product; these replacements, which are
        # applied last, make them relative to a tile.
        self.new = {
            row: Expr({tiles.first_row: 1, self.r: 1}),
            column: tiles.first_column + Expr({self.c: 1}),
        }
        self.body = LoweringContext(self.load)
        self.stores: list[ir.Statement] = []
        for stage in tiles.kernel.stages:
            value = stage.value
            index = tiles.index
            if value.shape != tiles.value.shape:
                index = reshaped(index, tiles.value.shape, value.shape)
            name = self.body.read(value, index)
            if value in tiles.schedule.stored:
                self.stores.append(ir.Store(tiles.schedule.access(value, index), name))
        self.inner, self.first = hoisted(self.body.bindings)

    def load(self, value: Value, index: Index) -> ir.Access | None:
        if value is self.tiles.value:
            return replace(self.z, own=True)
        if value in self.tiles.schedule.kernel_of and any(
            s.value is value for s in self.tiles.kernel.stages
        ):
            return None
        return self.tiles.schedule.load(value, index)

    def prefetch(self) -> list[ir.Statement]:
        """Prefetch what the epilogue reads from arrays of the product's shape, before the sums.

        Reads at an index that is itself read from memory are left out.
        """
        tiles = self.tiles
        it = tiles.contraction
        loops = {v for e in (*it.batch, it.row, it.column) for v in e.terms}
        found = {
            part.array: part.place.replaced(self.new).replaced({self.c: ZERO})
            for line in self.body.bindings
            for part in ir.operands(line.value)
            if isinstance(part, ir.Access) and part.place and isinstance(part.array, Value)
            if {*self.new} <= part.place.variables() and {*part.place.terms} <= loops
        }
        ends = (0,) if it.along_depth else (0, tiles.width - 1)
        places = [(x, place + end) for x, place in found.items() for end in ends]
        each = [ir.Prefetch(ir.Access(x, place)) for x, place in places]
        return [ir.For(self.r, each, high="rows")] if each else []

    def statements(self) -> list[ir.Statement]:
        tiles = self.tiles
        if tiles.stores_directly:
            return []
        body = ir.substituted([*self.inner, *self.stores], self.new)
        if tiles.contraction.along_depth:  # of few columns, loops over rows fill vectors
            return [ir.For(self.r, [ir.For(self.c, body, unrolled=True)], high="rows", simd=())]
        if tiles.is_full_width or (tiles.panels == 1 and tiles.contraction.columns > 1):
            return [ir.For(self.r, [ir.For(self.c, body, simd=())], high="rows")]
        lanes = (
            () if tiles.contraction.columns > 1 else None
        )  # one column: its index is not in any place
        return [
            ir.Let("rest", INDEX, tiles.first_column * -1 + tiles.contraction.columns),
            ir.Let("columns", INDEX, minimum_of("rest", tiles.width)),
            ir.For(self.r, [ir.For(self.c, body, high="columns", simd=lanes)], high="rows"),
        ]
