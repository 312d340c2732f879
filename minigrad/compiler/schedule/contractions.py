"""Contractions: matrix products and convolutions, as sums of products over loops.

Each is `z[batch, row, column] += x[batch, row, depth] * y[batch, depth, column]`, where batch and
depth are several loops, and what is read at an index may be a view: a convolution is a product of
the windows that it sees by the weights. The columns are those that lie side by side in z.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from minigrad.compiler.graph.affine import ZERO, Expr, Index, Var, aligned, variable
from minigrad.compiler.graph.ir import Graph, Value
from minigrad.compiler.graph.layout import Layout, ordered, plain
from minigrad.compiler.graph.opset.base import rules_of
from minigrad.compiler.graph.opset.indexing import index_of
from minigrad.compiler.graph.opset.infer import apply
from minigrad.compiler.graph.simplify import name_of, with_inputs
from minigrad.compiler.loops.ir import Access, Parts
from minigrad.compiler.loops.lowering import Body, is_view, kind_of
from minigrad.compiler.target import costs
from minigrad.ops.base import registry


@dataclass(eq=False)
class Contraction:
    """The loops of a contraction, and the index of each array in them."""

    batch: list[Expr]
    row: Expr
    column: Expr
    depth: list[Expr]
    out: Index
    x: tuple[Value, Index]
    y: tuple[Value, Index]

    @property
    def rows(self) -> int:
        return extent(self.row)

    @property
    def columns(self) -> int:
        return extent(self.column)


def extent(e: Expr) -> int:
    return e.bounds()[1] + 1


@lru_cache(10_000)
def loop(name: str, n: int) -> Expr:
    """A loop's variable, also if its extent is 1."""
    return Expr({Var(name, n): 1})


def contraction(value: Value, layouts: dict[Value, Layout]) -> Contraction:
    if name_of(value) == "matmul":
        return of_matmul(value)
    if name_of(value) == "conv2d_weight":
        return of_conv2d_weight(value, layouts[value.inputs[0]].order[-1] == 0)
    return of_conv2d(value, columns=layouts[value].order[-1])


def of_matmul(value: Value) -> Contraction:
    x, y = value.inputs
    *stack, rows, columns = value.shape
    batch = [variable(f"s{k}", n) for k, n in enumerate(stack)]
    row, column, depth = loop("r", rows), loop("c", columns), variable("k", x.shape[-1])

    def of(z: Value, *last: Expr) -> tuple[Value, Index]:
        own = batch[len(batch) - (len(z.shape) - 2) :]
        return z, (*(i if n > 1 else ZERO for i, n in zip(own, z.shape, strict=False)), *last)

    out = (*batch, row, column)
    return Contraction(batch, row, column, [depth], out, of(x, row, depth), of(y, depth, column))


def of_conv2d(value: Value, columns: int) -> Contraction:
    """(N, C, H, W) by (O, C/g, kh, kw) gives (N, O, OH, OW), with channels as the columns, or the
    images."""
    x, w = value.inputs
    how = value.attributes
    groups, (n, _, down, across) = how["groups"], value.shape
    outs, channels, *kernel = w.shape
    outs //= groups
    batch, group, i, j = map(variable, "ngij", (n, groups, down, across))
    o, (c, u, v) = loop("o", outs), map(variable, "cuv", (channels, *kernel))
    spots = [
        spot * s + place * d
        for spot, place, s, d in zip((i, j), (u, v), how["stride"], how["dilation"], strict=True)
    ]
    if columns == 0:
        batch = loop("n", n)
        out, seen = (batch, group * outs + o, i, j), (batch, group * channels + c, *spots)
        of_w = (group * outs + o, c, u, v)
        return Contraction([group, i, j], o, batch, [c, u, v], out, (w, of_w), (x, seen))
    loops = [batch, group, i, j]
    row = j if across >= 6 or n < across else batch
    loops.remove(row)
    read: Index = (o, c, u, v)
    if groups > 1:
        w, read = by_group(w, 0, groups), (group, *read)
    out = (batch, group * outs + o, i, j)
    row = row if row.terms else loop("r", 1)
    return Contraction(
        loops, row, o, [u, v, c], out, (x, (batch, group * channels + c, *spots)), (w, read)
    )


def of_conv2d_weight(value: Value, images_last: bool) -> Contraction:
    """The gradient of the weights: (N, C, H, W) and (N, O, OH, OW) give (O, C/g, kh, kw)."""
    x, y = value.inputs
    how = value.attributes
    groups, (outs, channels, *kernel) = how["groups"], value.shape
    outs //= groups
    n, _, down, across = y.shape
    batch, group, i, j = map(variable, "ngij", (n, groups, down, across))
    o, (c, u, v) = loop("o", outs), map(variable, "cuv", (channels, *kernel))
    spots = [
        spot * s + place * d
        for spot, place, s, d in zip((i, j), (u, v), how["stride"], how["dilation"], strict=True)
    ]
    loops = [group, u, v, c]
    row = max((c, v, u), key=lambda e: min(extent(e), 6))
    loops.remove(row)
    y, of_y = (
        (y, (batch, o, i, j)) if groups == 1 else (by_group(y, 1, groups), (batch, group, o, i, j))
    )
    out = (group * outs + o, c, u, v)
    depth = [i, j, batch] if images_last else [batch, i, j]
    row = row if row.terms else loop("r", 1)
    return Contraction(
        loops, row, o, depth, out, (x, (batch, group * channels + c, *spots)), (y, of_y)
    )


def by_group(x: Value, axis: int, groups: int) -> Value:
    """With the channels as (groups, channels/groups)."""
    shape = x.shape
    return apply(
        "reshape", x, shape=(*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])
    )


# Layouts

CHANNELS_LAST, IMAGES_LAST = (0, 2, 3, 1), (1, 2, 3, 0)
WEIGHTS = (2, 3, 1, 0)


def layouts_of(graph: Graph, kinds: dict[Value, str]) -> dict[Value, Layout]:
    """The layout of each value if it is stored: results of convolutions, and values computed from
    them, have the channels last; or the images, if channels are too few to fill vectors."""
    order = graph.order
    convolved = [value.shape for value in order if name_of(value) == "conv2d"]
    few = any(shape[1] % 8 for shape in convolved) and all(shape[0] % 8 == 0 for shape in convolved)
    fixed: dict[str, tuple[int, ...]] = {
        "conv2d": IMAGES_LAST if few else CHANNELS_LAST,
        "conv2d_weight": WEIGHTS,
    }
    found: dict[Value, Layout] = {}
    for value in order:
        found[value] = ordered(value.shape, order_of(value, kinds[value], found, fixed))
    for target, value in graph.writes:
        found[target] = found[value] = plain(value.shape)
    return found


def order_of(
    value: Value, kind: str, found: dict[Value, Layout], fixed: dict[str, tuple[int, ...]]
) -> tuple[int, ...]:
    name, n = name_of(value) or "", len(value.shape)
    natural = tuple(range(n))
    if value.op is None or kind == "numpy":
        return natural
    if name in fixed:
        return fixed[name]
    orders = [
        found[x].order for x in value.values() if found[x].order != tuple(range(len(x.shape)))
    ]
    if not orders:
        return natural
    order = orders[0]
    if value.op.family == "reduce":
        return rules_of(value.op).order(value, order)
    if name == "slice":
        return sliced_order(value, order)
    if name == "windows" and len(order) == n - 2:
        lead = [k + 2 for k in order]
        return (*lead[:-1], 0, 1, lead[-1])
    if name == "fold" and len(order) == n + 2:
        return tuple(k - 2 for k in order if k > 1)
    if name == "transpose":
        axes = [k % n for k in value.attributes["axes"] or natural[::-1]]
        return tuple(axes.index(k) for k in order)
    same = len(order) == n and name not in ("reshape", "gather", "concatenate")
    return order if same else natural


def sliced_order(value: Value, order: tuple[int, ...]) -> tuple[int, ...]:
    """New axes come first."""
    parts = [part for part, _ in aligned(index_of(value), value.inputs[0].shape)]
    left = [
        k
        for k, part in enumerate(p for p in parts if p is not None)
        if part is None or isinstance(part, slice)
    ]
    axes = [
        k for k, part in enumerate(p for p in parts if not isinstance(p, int)) if part is not None
    ]
    new = [k for k in range(len(value.shape)) if k not in axes]
    place = dict(zip(left, axes, strict=True))
    return (*new, *(place[k] for k in order if k in place))


# Operands


def width_of(dtype: np.dtype, columns: int, vector: int) -> int:
    """How many columns a tile has: two vectors, or one if that is enough."""
    lanes = vector // dtype.itemsize
    return lanes if columns <= lanes else 2 * lanes


@dataclass
class Operands:
    """The graph with the packed copies that contractions read, layouts, the values that must be
    stored because contractions read them directly (`pinned`), and each value's kind."""

    graph: Graph
    layouts: dict[Value, Layout]
    contractions: dict[Value, Contraction]
    pinned: set[Value]
    kinds: dict[Value, str]


def pack_operands(graph: Graph, vector: int) -> Operands:
    """Give each contraction an x whose depth is contiguous and a y whose columns are: where an
    operand is not, a packed copy, into which the ops before it are fused."""
    kinds = {value: kind_of(value) for value in graph.order}
    layouts = layouts_of(graph, kinds)
    found = Operands(graph, layouts, {}, set(), kinds)
    copies: dict[tuple[Value, Layout], Value] = {}
    new: dict[Value, Value] = {}

    def copied(x: Value, layout: Layout) -> Value:
        if (x, layout) not in copies:
            copies[x, layout] = Value(registry["positive"], (x,), {}, x.shape, x.dtype)
            layouts[copies[x, layout]], kinds[copies[x, layout]] = layout, "map"
            found.pinned.add(copies[x, layout])
        return copies[x, layout]

    for value in graph.order:
        new[value] = fresh = with_inputs(value, new)
        layouts[fresh], kinds[fresh] = layouts[value], kinds[value]
        if kinds[value] != "contract":
            continue
        it = contraction(fresh, layouts)
        (x, at_x), (y, at_y) = it.x, it.y
        for z in (x, y):
            if z not in layouts:  # by group
                layouts[z], kinds[z] = plain(z.shape), "map"
        base = direct(x, at_x, layouts)
        if base is None or not is_unit_stride(base, it):
            it.x = (copied(x, for_rows(x, at_x, it)), at_x)
        else:
            pin(base, found)
        base = direct(y, at_y, layouts)
        width = width_of(fresh.dtype, it.columns, vector)
        if base is None or not is_vector_loadable(base, it, width):
            it.y = (copied(y, for_columns(y, at_y, it, width)), at_y)
        else:
            pin(base, found)
        new[value] = fresh.of(it.x[0], it.y[0])
        layouts[new[value]], kinds[new[value]] = layouts[value], "contract"
        found.contractions[new[value]] = it
    found.graph = graph.of(new)
    return found


def pin(base: Access, found: Operands) -> None:
    assert isinstance(base.array, Value)
    if base.array.op is not None:
        found.pinned.add(base.array)


def direct(x: Value, index: Index, layouts: dict[Value, Layout]) -> Access | None:
    """The entry of a stored array that a value is at an index, if it is one whose address is linear
    in the loop variables; else None."""

    def load(value: Value, index: Index) -> Parts | None:
        if is_view(value) or (value.kind == "constant" and value.size == 1):
            return None
        return (Access(value, layouts[value].address(index)),)

    if views(x) > costs.MAX_INLINE_DEPTH:
        return None
    body = Body(load)
    body.read(x, index)
    access = body.lines[0].value[0] if len(body.lines) == 1 else None
    if not isinstance(access, Access) or access.place is None:
        return None
    return access if all(isinstance(atom, Var) for atom in access.place.terms) else None


def views(x: Value) -> int:
    """The length of the chain of views that ends at x."""
    count = 0
    while is_view(x) and count <= costs.MAX_INLINE_DEPTH:
        x, count = x.inputs[0], count + 1
    return count


def stride(base: Access, loop: Expr) -> int:
    """How far apart in memory one step of a loop goes."""
    assert base.place is not None
    return sum(base.place.terms.get(v, 0) for v in loop.variables())


def is_unit_stride(base: Access, it: Contraction) -> bool:
    """Whether the depth is contiguous in memory, or x is read too few times for a copy to pay."""
    few = it.columns <= costs.MAX_UNPACKED_COLUMNS
    return stride(base, it.depth[-1]) in (0, 1) or extent(it.depth[-1]) == 1 or few


def is_vector_loadable(base: Access, it: Contraction, width: int) -> bool:
    """Whether y can be read without packing: contiguous columns in whole vectors, and rows not far
    apart."""
    assert isinstance(base.array, Value)
    whole = it.columns % width == 0 or base.array.op is not None
    near = abs(stride(base, it.depth[-1])) <= costs.MAX_ROW_STRIDE
    few = it.rows * batches(it) <= costs.MAX_UNPACKED_ROWS
    return stride(base, it.column) == 1 and whole and (near or few)


def batches(it: Contraction) -> int:
    count = 1
    for loop in it.batch:
        count *= extent(loop)
    return count


def for_rows(x: Value, index: Index, it: Contraction) -> Layout:
    """The layout of a packed x: the depth innermost, in the order of its loops."""
    last = [
        k
        for loop in it.depth
        for k, i in enumerate(index)
        if i.variables() & loop.variables() and x.shape[k] > 1
    ]
    last = list(dict.fromkeys(last))
    return Layout(x.shape, (*(k for k in range(len(x.shape)) if k not in last), *last))


def for_columns(y: Value, index: Index, it: Contraction, width: int) -> Layout:
    """The layout of a packed y: batch outermost, then panels of columns, then the depth."""
    axes = {k: i.variables() for k, i in enumerate(index)}
    column = next(k for k, vs in axes.items() if vs & it.column.variables())
    depth = [k for loop in it.depth for k, vs in axes.items() if vs & loop.variables()]
    batch = [k for k in axes if k != column and k not in depth]
    ones = [k for k in batch if y.shape[k] == 1]
    batch = [k for k in batch if k not in ones]
    return Layout(y.shape, (*ones, *batch, *depth, column), width, len(batch) + len(ones))
