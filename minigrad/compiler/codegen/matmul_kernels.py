"""Kernels of contractions: tiles of rows by columns, accumulated in registers.

After K. Goto and R. van de Geijn, "Anatomy of high-performance matrix multiplication" (2008): the
entries of a tile stay in vector registers during the loop over the depth; each step loads a vector
or two of y, and multiplies it by one number of x for each row. The elementwise ops on the result
(the epilogue) run while the tile is in cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from minigrad.compiler.codegen.c import (
    Function,
    Writer,
    blocks_of,
    head_of,
    line_of,
    part_of,
    replaced,
    share_of,
)
from minigrad.compiler.graph.affine import ZERO, Expr, Index, Known, Var, flat, unflat
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.loops.ir import Access, Parts, Scratch
from minigrad.compiler.loops.lowering import Body, ctype
from minigrad.compiler.schedule.contractions import Contraction, extent, width_of
from minigrad.compiler.schedule.fusion import Kernel, Schedule
from minigrad.compiler.target import costs
from minigrad.compiler.target.toolchain import Machine


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


ROW = Known("row", 1 << 40, frozenset({Var("tile", 1 << 40)}))  # the first row of a tile


def contract_function(
    kernel: Kernel, schedule: Schedule, alias: dict[Value, Value], machine: Machine
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
    writer = Writer(alias)
    loops, which = loops_of(tiles)
    parts = parts_of(tiles)
    writer.add(f"enum {{ W = {width} }};")
    epilogue = Epilogue(tiles)
    for line in epilogue.first:
        writer.add(*line_of(line))
    if parts.outside:
        write_parts(tiles, parts, loops, which, writer)
    write_loops(loops, which, writer)
    writer.add(position(tiles))
    if parts.outside:
        writer.add("double *z = &", saved(tiles, loops), ";")
    else:
        epilogue.prefetch(writer)
        write_tile(tiles, parts, writer)
    epilogue.write(writer)
    writer.add("}")
    n = loops[which].extent
    function = writer.function([share_of(n)])
    function.parallel = n > 1
    del epilogue.body  # a reference cycle: without this, everything would stay in memory
    return function


def access(operand: tuple[Value, Index], schedule: Schedule) -> Access:
    """Where an operand is read."""
    body = Body(schedule.load)
    body.read(*operand)
    (line,) = body.lines
    (part,) = line.value
    assert isinstance(part, Access)
    return part


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


class Split(NamedTuple):
    """The loops over the depth. A long one is divided into parts: each is summed in registers, and
    added to the tile in float64."""

    heads: list[
        str
    ]  # of the loops over the parts, up to an opening brace; none if there is one part
    first: str  # whether it is the first part
    inner: list[str]  # the heads of the loops in a part
    outside: bool  # whether the loops over the parts are outside those over tiles


def parts_of(tiles: Tiles) -> Split:
    depth = [v for e in tiles.it.depth for v in e.terms]
    if not in_parts(tiles):
        return Split([], "", [head_of(v) for v in depth], False)
    k, size = part_of(depth, costs.STEPS_PER_PART)
    start, head = blocks_of(depth[k], size)
    names = [*(v.name for v in depth[:k]), f"{depth[k].name}b"]
    deep = math.prod(v.extent for v in depth) > costs.MAX_CACHED_DEPTH
    return Split(
        [*map(head_of, depth[:k]), start],
        " && ".join(f"{name} == 0" for name in names),
        [head, *map(head_of, depth[k + 1 :])],
        deep and tiles.count * tiles.panels > 1,
    )


def write_loops(loops: list[Var], which: int, writer: Writer) -> None:
    for k, v in enumerate(loops):
        writer.add(head_of(v, "low", "high") if k == which else head_of(v))
    writer.add("{")


def position(tiles: Tiles) -> str:
    rows, count = tiles.it.rows, tiles.count
    base, more = divmod(rows, count)
    if count == 1:
        return f"enum {{ row = 0, rows = {rows} }};"
    if not more:
        return f"const int64_t row = tile*{base}; enum {{ rows = {base} }};"
    return (
        f"const int64_t row = tile*{base} + (tile < {more} ? tile : {more}), "
        f"rows = {base} + (tile < {more});"
    )


def saved(tiles: Tiles, loops: list[Var]) -> Access:
    """Where a tile is kept between the iterations of the loops over parts."""
    entries = tiles.most * tiles.width
    extents = [v.extent for v in loops]
    number = flat([Expr({v: 1}) for v in loops], extents)
    return Access(Scratch(tiles.value, math.prod(extents) * entries, True), number * entries)


def write_parts(tiles: Tiles, parts: Split, loops: list[Var], which: int, writer: Writer) -> None:
    """Write the sums of all tiles, part by part: what is read for one part stays in cache."""
    for head in parts.heads:
        writer.add(head)
    write_loops(loops, which, writer)
    writer.add(position(tiles))
    writer.add("double *z = &", saved(tiles, loops), ";")
    write_part(tiles, parts, writer)
    writer.add("}}")


def write_tile(tiles: Tiles, parts: Split, writer: Writer) -> None:
    """Write the sums of a tile, all parts of it."""
    if not parts.heads:
        write_part(tiles, parts, writer)
        return
    writer.add(f"double z[{tiles.most * tiles.width}];")
    for head in parts.heads:
        writer.add(head)
    write_part(tiles, parts, writer)
    writer.add("}")


def write_part(tiles: Tiles, parts: Split, writer: Writer) -> None:
    """Write the sums of a part of a tile: tiles have one of two numbers of rows."""
    base, more = divmod(tiles.it.rows, tiles.count)
    if not direct_store(tiles):
        entries = f"[{(base + (more > 0)) * tiles.width}] __attribute__((aligned(64)));"
        writer.add(f"{ctype(tiles.value.dtype)} {part(tiles)}{entries}")
    if more:
        writer.add(f"if (tile < {more}) {{")
        write_sums(tiles, base + 1, parts, writer)
        writer.add("} else")
    writer.add("{")
    write_sums(tiles, base, parts, writer)
    writer.add("}")


def direct_store(tiles: Tiles) -> bool:
    """Whether a tile is stored from registers directly into the result."""
    return len(tiles.kernel.stages) == 1 and tiles.whole and not in_parts(tiles)


def in_parts(tiles: Tiles) -> bool:
    """Whether sums are so long that they are added up in parts, to keep their accuracy."""
    return math.prod(map(extent, tiles.it.depth)) > costs.STEPS_PER_PART


def part(tiles: Tiles) -> str:
    """The array that registers are stored to: the tile, or a part that is added to it."""
    return "part" if in_parts(tiles) else "z"


def write_sums(tiles: Tiles, rows: int, parts: Split, writer: Writer) -> None:
    it, vectors = tiles.it, tiles.width // tiles.lanes
    vector = f"vec_{ctype(tiles.value.dtype)}"
    every = [(r, v) for r in range(rows) for v in range(vectors)]
    for r, v in every:
        writer.add(f"{vector} s{r}_{v} = {{0}};")
    for head in parts.inner:
        writer.add(head)
    writer.add("{")
    column = {next(iter(it.column.terms)): Expr({Var("panel", tiles.panels): tiles.width})}
    assert tiles.y.place is not None and tiles.x.place is not None
    place = tiles.y.place.replaced(column)
    for v in range(vectors):
        at = Access(tiles.y.array, place + v * tiles.lanes)
        writer.add(f"const {vector} y{v} = *(const {vector} *)&", at, ";")
    row = next(iter(it.row.terms))
    for r in range(rows):
        at = Access(tiles.x.array, tiles.x.place.replaced({row: Expr({ROW: 1}, r)}))
        writer.add(f"const {ctype(tiles.value.dtype)} x{r} = ", at, ";")
        for v in range(vectors):
            writer.add(f"s{r}_{v} += y{v} * x{r};")
    writer.add("}")
    for r, v in every:
        if direct_store(tiles):
            index = index_of(
                tiles,
                Expr({ROW: 1}, r),
                Expr({Var("panel", tiles.panels): tiles.width}, v * tiles.lanes),
            )
            target = Access(tiles.value, tiles.schedule.layouts[tiles.value].address(index))
            writer.add(f"*({vector} *)&", target, f" = s{r}_{v};")
            writer.writes(target)
            continue
        writer.add(
            f"*({vector} *)({part(tiles)} + {r * tiles.width + v * tiles.lanes}) = s{r}_{v};"
        )
    if parts.heads:
        writer.add("#pragma omp simd")
        writer.add(f"for (int entry = 0; entry < {rows * tiles.width}; entry++)")
        writer.add(f"z[entry] = {parts.first} ? part[entry] : z[entry] + part[entry];")


def index_of(tiles: Tiles, row: Expr, column: Expr) -> Index:
    """The index of the product at a row and a column."""
    it = tiles.it
    new = {next(iter(it.row.terms)): row, next(iter(it.column.terms)): column}
    return tuple(
        i.replaced(new) if n > 1 else ZERO for i, n in zip(it.out, tiles.value.shape, strict=True)
    )


class Epilogue:
    """The elementwise ops on the entries of a tile."""

    def __init__(self, tiles: Tiles) -> None:
        self.tiles, it = tiles, tiles.it
        self.r, self.c = Var("er", tiles.most), Var("ec", tiles.width)
        # Indices are in the rows and columns of the whole product; these replacements, which are
        # applied last, make them relative to a tile.
        self.new = {
            next(iter(it.row.terms)): Expr({ROW: 1, self.r: 1}),
            next(iter(it.column.terms)): Expr({Var("panel", tiles.panels): tiles.width, self.c: 1}),
        }
        index = tuple(i if n > 1 else ZERO for i, n in zip(it.out, tiles.value.shape, strict=True))
        self.body = Body(self.load)
        self.stores: list[Parts] = []
        for stage in tiles.kernel.stages:
            value = stage.value
            place = index
            if value.shape != tiles.value.shape:
                place = unflat(flat(index, tiles.value.shape), value.shape)
            name = self.body.read(value, place)
            if value in tiles.schedule.stored:
                target = Access(value, tiles.schedule.layouts[value].address(place))
                self.stores.append((target, f" = {name};"))
        self.first = [line for line in self.body.lines if not line.depends]

    def load(self, value: Value, index: Index) -> Parts | None:
        if value is self.tiles.value:
            return (Access("z", Expr({self.r: self.tiles.width, self.c: 1}), own=True),)
        if value in self.tiles.schedule.kernel_of and any(
            s.value is value for s in self.tiles.kernel.stages
        ):
            return None
        return self.tiles.schedule.load(value, index)

    def prefetch(self, writer: Writer) -> None:
        """Prefetch what the epilogue reads from arrays of the product's shape, before the sums.

        Reads at an index that is itself read from memory are left out.
        """
        tiles = self.tiles
        loops = {v for e in (*tiles.it.batch, tiles.it.row, tiles.it.column) for v in e.terms}
        found = {
            part.array: part.place.replaced(self.new).replaced({self.c: ZERO})
            for line in self.body.lines
            for part in line.value
            if isinstance(part, Access) and part.place and isinstance(part.array, Value)
            if {*self.new} <= part.place.variables() and {*part.place.terms} <= loops
        }
        if not found:
            return
        writer.add(head_of(self.r, high="rows"), " {")
        for array, place in found.items():
            for step in (0, self.tiles.width - 1):
                writer.add("__builtin_prefetch(&", Access(array, place + step), ");")
        writer.add("}")

    def write(self, writer: Writer) -> None:
        tiles = self.tiles
        if direct_store(tiles):
            return
        columns = str(tiles.width)
        if not tiles.whole:
            writer.add(f"const int64_t rest = {tiles.it.columns} - panel*{tiles.width};")
            writer.add(f"const int64_t columns = rest < {tiles.width} ? rest : {tiles.width};")
            columns = "columns"
        writer.add(head_of(self.r, high="rows"))
        writer.add("#pragma omp simd")
        writer.add(head_of(self.c, high=columns))
        writer.add("{")
        for line in self.body.lines:
            if line.depends:
                writer.add(*replaced(line_of(line), self.new))
        for store in self.stores:
            writer.add(*replaced(store, self.new))
        writer.add("}")
