"""Kernels of contractions: tiles of rows by columns, accumulated in registers.

After K. Goto and R. van de Geijn, "Anatomy of high-performance matrix multiplication" (2008): the
entries of a tile stay in vector registers during the loop over the depth; each step loads a vector
or two of y, and multiplies it by one number of x for each row. The elementwise ops on the result
(the epilogue) run while the tile is in cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from minigrad.compiler.codegen.c import Function, function
from minigrad.compiler.graph.affine import (
    ZERO,
    Expr,
    Index,
    RuntimeIndex,
    Var,
    number,
    ravel_index,
    unravel_index,
)
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.graph.opset.contractions import Contraction, extent
from minigrad.compiler.loops.ir import (
    Access,
    Accumulate,
    Apply,
    Expression,
    For,
    If,
    Let,
    Prefetch,
    Scratch,
    Statement,
    Store,
    Variable,
    operands,
    substituted,
)
from minigrad.compiler.loops.lowering import INDEX, Body
from minigrad.compiler.loops.passes import hoisted, least, nest, part_of
from minigrad.compiler.schedule.buffers import BufferPlan
from minigrad.compiler.schedule.contractions import width_of
from minigrad.compiler.schedule.stages import Kernel, Schedule
from minigrad.compiler.target import costs
from minigrad.compiler.target.machine import Machine


@dataclass(eq=False)
class Tiles:
    """A contraction while it is written."""

    kernel: Kernel
    schedule: Schedule
    it: Contraction
    width: int  # columns of a tile
    lanes: int
    most: int  # rows of a tile
    x: Access
    y: Access

    @property
    def value(self) -> Value:
        return self.kernel.stages[0].value

    @property
    def count(self) -> int:
        """The number of tiles along the rows, which are of about the same size."""
        return -(-self.it.rows // self.most)

    @property
    def panels(self) -> int:
        return -(-self.it.columns // self.width)

    @property
    def whole(self) -> bool:
        """Whether all tiles are full in width."""
        return self.it.columns % self.width == 0


ROW = RuntimeIndex("row", 1 << 40, frozenset({Var("tile", 1 << 40)}))  # the first row of a tile


def contract_function(
    kernel: Kernel, schedule: Schedule, buffers: BufferPlan, machine: Machine
) -> Function:
    """The C of a contraction and its epilogue."""
    value = kernel.stages[0].value
    it = schedule.contractions[value]
    width = width_of(value.dtype, it.columns, machine.vector)
    lanes = machine.vector // value.dtype.itemsize
    vectors = width // lanes
    most = (machine.registers - vectors - 1) // vectors // 2 * 2
    tiles = Tiles(
        kernel, schedule, it, width, lanes, most, access(it.x, schedule), access(it.y, schedule)
    )
    loops, shared = loops_of(tiles)
    depth = depth_of(tiles, loops)
    epilogue = Epilogue(tiles, depth)
    statements: list[Statement] = [*epilogue.first]
    if depth.outside:  # what is read for one part stays in cache
        sums = part_sums(tiles, depth)
        statements += depth.around(over_tiles(tiles, loops, shared, sums))
        sums = []
    else:
        sums = [*epilogue.prefetch(), *tile_sums(tiles, depth)]
    statements += over_tiles(tiles, loops, shared, [*sums, *epilogue.statements()])
    del epilogue.body  # a reference cycle: without this, everything would stay in memory
    return function(statements, buffers, padded=True)


def access(operand: tuple[Value, Index], schedule: Schedule) -> Access:
    """Where an operand is read."""
    body = Body(schedule.load)
    body.read(*operand)
    (line,) = body.lines
    assert isinstance(line.value, Access)
    return line.value


def loops_of(tiles: Tiles) -> tuple[list[Var], int]:
    """The loops over tiles, and which of them threads share."""
    it = tiles.it
    batch = [v for e in it.batch for v in e.terms if v.extent > 1]
    panel, tile = Var("panel", tiles.panels), Var("tile", tiles.count)
    of_y = tiles.y.place.variables() if tiles.y.place else frozenset()
    bytes_of_y = tiles.value.dtype.itemsize * it.columns * math.prod(map(extent, it.depth))
    if of_y & {*batch} or bytes_of_y <= costs.MAX_CACHED_FACTOR:
        loops = [*batch, panel, tile]
    else:
        loops = [panel, *batch, tile]
    even = [k for k, v in enumerate(loops) if v.extent >= 8 or (v.extent > 1 and v.extent % 2 == 0)]
    return loops, even[0] if even else max(range(len(loops)), key=lambda k: loops[k].extent)


@dataclass(frozen=True)
class Depth:
    """The loops over the depth. A long one is divided into parts: each is summed in registers, and
    added to the tile, `z`, in float64."""

    z: Access  # the first entry of the tile
    loops: list[Var]
    blocked: int = -1  # which loop is over blocks of `size` iterations; -1 if there is one part
    size: int = 0
    outside: bool = False  # whether the loops over the parts are outside those over tiles

    def around(self, statements: list[Statement]) -> list[Statement]:
        """The loops over parts, around statements whose innermost loops are `self.inner`."""
        if self.blocked < 0:
            return statements
        block = Var(f"{self.loops[self.blocked].name}b", self.loops[self.blocked].extent)
        return nest(self.loops[: self.blocked], [For(block, statements, step=self.size)])

    def inner(self, statements: list[Statement]) -> list[Statement]:
        """The loops in a part around statements."""
        if self.blocked < 0:
            return nest(self.loops, statements)
        v, *rest = self.loops[self.blocked :]
        return [For(v, nest(rest, statements), f"{v.name}b", f"{v.name}b_end")]

    def is_first(self) -> Expression:
        """Whether it is the first part."""
        names = [*(v.name for v in self.loops[: self.blocked]), f"{self.loops[self.blocked].name}b"]
        zero: list[Expression] = [Apply("==", (name, number(0))) for name in names]
        return reduce(lambda a, b: Apply("&", (a, b)), zero)


def depth_of(tiles: Tiles, over: list[Var]) -> Depth:
    loops = [v for e in tiles.it.depth for v in e.terms]
    if not in_parts(tiles):
        return Depth(Access("z", ZERO), loops)
    k, size = part_of(loops, costs.STEPS_PER_PART)
    deep = math.prod(v.extent for v in loops) > costs.MAX_CACHED_DEPTH
    outside = deep and tiles.count * tiles.panels > 1
    return Depth(saved(tiles, over) if outside else Access("z", ZERO), loops, k, size, outside)


def over_tiles(
    tiles: Tiles, loops: list[Var], shared: int, body: list[Statement]
) -> list[Statement]:
    """The loops over tiles, in which `row` is the first row of a tile, and `rows` their number."""
    rows, count = tiles.it.rows, tiles.count
    base, more = divmod(rows, count)
    first: Expression = number(0)
    many: Expression = number(rows)
    if count > 1:
        first, many = Expr({Var("tile", count): base}), number(base)
    if more:
        first = Apply("+", (first, least("tile", more)))
        many = Apply("+", (many, Apply("<", ("tile", number(more)))))
    body = [Let("row", INDEX, first), Let("rows", INDEX, many), *body]
    for k, v in reversed(list(enumerate(loops))):
        body = [For(v, body, grain=int(k == shared))]
    return body


def saved(tiles: Tiles, loops: list[Var]) -> Access:
    """Where a tile is kept between the iterations of the loops over parts."""
    entries = tiles.most * tiles.width
    extents = [v.extent for v in loops]
    number = ravel_index([Expr({v: 1}) for v in loops], extents)
    return Access(Scratch(tiles.value, math.prod(extents) * entries, True), number * entries)


def tile_sums(tiles: Tiles, depth: Depth) -> list[Statement]:
    """The sums of a tile, all parts of it."""
    sums = depth.around(part_sums(tiles, depth))
    size = tiles.most * tiles.width
    return [Variable("z", np.dtype(np.float64), size=size), *sums] if in_parts(tiles) else sums


def part_sums(tiles: Tiles, depth: Depth) -> list[Statement]:
    """The sums of a part of a tile: tiles have one of two numbers of rows."""
    base, more = divmod(tiles.it.rows, tiles.count)
    statements: list[Statement] = []
    if not direct_store(tiles):
        size = (base + (more > 0)) * tiles.width
        statements.append(Variable(part_name(tiles), tiles.value.dtype, size=size))
    sums = register_sums(tiles, base, depth)
    if more:
        sums = [If(Apply("<", ("tile", number(more))), register_sums(tiles, base + 1, depth), sums)]
    return [*statements, *sums]


def direct_store(tiles: Tiles) -> bool:
    """Whether a tile is stored from registers directly into the result."""
    return len(tiles.kernel.stages) == 1 and tiles.whole and not in_parts(tiles)


def in_parts(tiles: Tiles) -> bool:
    """Whether sums are so long that they are added up in parts, to keep their accuracy."""
    return math.prod(map(extent, tiles.it.depth)) > costs.STEPS_PER_PART


def part_name(tiles: Tiles) -> str:
    """The array that registers are stored to: the tile, or a part that is added to it."""
    return "part" if in_parts(tiles) else "z"


def register_sums(tiles: Tiles, rows: int, depth: Depth) -> list[Statement]:
    """Sums of `rows` by `width` entries, in vector registers; and where they are stored."""
    it, vectors, dtype = tiles.it, tiles.width // tiles.lanes, tiles.value.dtype
    every = [(r, v) for r in range(rows) for v in range(vectors)]
    panel = Expr({Var("panel", tiles.panels): tiles.width})
    (column,), (row,) = it.column.terms, it.row.terms
    assert tiles.y.place is not None and tiles.x.place is not None
    place = tiles.y.place.replaced({column: panel})
    step: list[Statement] = []
    for v in range(vectors):
        loaded = replace(tiles.y, place=place + v * tiles.lanes, lanes=tiles.lanes)
        step.append(Let(f"y{v}", dtype, loaded, lanes=tiles.lanes))
    for r in range(rows):
        scalar = replace(tiles.x, place=tiles.x.place.replaced({row: Expr({ROW: 1}, r)}))
        step.append(Let(f"x{r}", dtype, scalar))
        for v in range(vectors):
            step.append(Accumulate(f"s{r}_{v}", "+", Apply("*", (f"y{v}", f"x{r}"))))
    statements: list[Statement] = [
        Variable(f"s{r}_{v}", dtype, lanes=tiles.lanes) for r, v in every
    ]
    statements += depth.inner(step)
    for r, v in every:
        spot = Expr({}, r * tiles.width + v * tiles.lanes)
        target = Access(part_name(tiles), spot, lanes=tiles.lanes)
        if direct_store(tiles):
            index = index_of(tiles, Expr({ROW: 1}, r), panel + v * tiles.lanes)
            place = tiles.schedule.layouts[tiles.value].address(index)
            target = Access(tiles.value, place, lanes=tiles.lanes)
        statements.append(Store(target, f"s{r}_{v}"))
    if in_parts(tiles):
        entry = Var("entry", rows * tiles.width)
        part, total = Access("part", Expr({entry: 1})), moved(depth.z, Expr({entry: 1}))
        both = Apply("if", (depth.is_first(), part, Apply("+", (total, part))))
        statements.append(For(entry, [Store(total, both)], simd=()))
    return statements


def moved(access: Access, by: Expr) -> Access:
    assert access.place is not None
    return replace(access, place=access.place + by)


def index_of(tiles: Tiles, row: Expr, column: Expr) -> Index:
    """The index of the product at a row and a column."""
    it = tiles.it
    new = {next(iter(it.row.terms)): row, next(iter(it.column.terms)): column}
    return tuple(
        i.replaced(new) if n > 1 else ZERO for i, n in zip(it.out, tiles.value.shape, strict=True)
    )


class Epilogue:
    """The elementwise ops on the entries of a tile."""

    def __init__(self, tiles: Tiles, depth: Depth) -> None:
        self.tiles, it = tiles, tiles.it
        self.r, self.c = Var("er", tiles.most), Var("ec", tiles.width)
        self.z = moved(depth.z, Expr({self.r: tiles.width, self.c: 1}))
        (column,), (row,) = it.column.terms, it.row.terms
        # Indices are in the rows and columns of the whole product; these replacements, which are
        # applied last, make them relative to a tile.
        self.new = {
            row: Expr({ROW: 1, self.r: 1}),
            column: Expr({Var("panel", tiles.panels): tiles.width, self.c: 1}),
        }
        index = tuple(i if n > 1 else ZERO for i, n in zip(it.out, tiles.value.shape, strict=True))
        self.body = Body(self.load)
        self.stores: list[Statement] = []
        for stage in tiles.kernel.stages:
            value = stage.value
            place = index
            if value.shape != tiles.value.shape:
                place = unravel_index(ravel_index(index, tiles.value.shape), value.shape)
            name = self.body.read(value, place)
            if value in tiles.schedule.stored:
                target = Access(value, tiles.schedule.layouts[value].address(place))
                self.stores.append(Store(target, name))
        self.inner, self.first = hoisted(self.body.lines)

    def load(self, value: Value, index: Index) -> Access | None:
        if value is self.tiles.value:
            return replace(self.z, own=True)
        if value in self.tiles.schedule.kernel_of and any(
            s.value is value for s in self.tiles.kernel.stages
        ):
            return None
        return self.tiles.schedule.load(value, index)

    def prefetch(self) -> list[Statement]:
        """Prefetch what the epilogue reads from arrays of the product's shape, before the sums.

        Reads at an index that is itself read from memory are left out.
        """
        tiles = self.tiles
        loops = {v for e in (*tiles.it.batch, tiles.it.row, tiles.it.column) for v in e.terms}
        found = {
            part.array: part.place.replaced(self.new).replaced({self.c: ZERO})
            for line in self.body.lines
            for part in operands(line.value)
            if isinstance(part, Access) and part.place and isinstance(part.array, Value)
            if {*self.new} <= part.place.variables() and {*part.place.terms} <= loops
        }
        ends = 0, tiles.width - 1
        each = [Prefetch(Access(x, place + end)) for x, place in found.items() for end in ends]
        return [For(self.r, each, high="rows")] if each else []

    def statements(self) -> list[Statement]:
        tiles = self.tiles
        if direct_store(tiles):
            return []
        body = substituted([*self.inner, *self.stores], self.new)
        if tiles.whole:
            return [For(self.r, [For(self.c, body, simd=())], high="rows")]
        lanes = () if tiles.it.columns > 1 else None  # one column: its index is not in any place
        left = Expr({Var("panel", tiles.panels): -tiles.width}, tiles.it.columns)
        return [
            Let("rest", INDEX, left),
            Let("columns", INDEX, least("rest", tiles.width)),
            For(self.r, [For(self.c, body, high="columns", simd=lanes)], high="rows"),
        ]
