"""Contractions: matrix products and convolutions, as sums of products over loops.

Each is `z[batch, row, column] += x[batch, row, depth] * y[batch, depth, column]`, where batch and
depth are several loops, and what is read at an index may be a view: a convolution is a product of
the windows that it sees by the weights. The columns are those that lie side by side in z, or if
these are too few to fill vectors, the rows of a matrix product; or the vectors are `along_depth`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minigrad.compiler.graph.affine import ZERO, Expr, Index, Var, aligned, number, variable
from minigrad.compiler.graph.ir import Shape, Value, name_of
from minigrad.compiler.graph.layout import Layout
from minigrad.compiler.graph.opset.base import (
    Apply,
    Lowering,
    Operand,
    Rules,
    entry,
    in_pairs,
    own_op,
)
from minigrad.compiler.graph.opset.elementwise import broadcast, from_zero, in_one_dtype
from minigrad.compiler.graph.opset.infer import apply, infer
from minigrad.compiler.graph.opset.views import axes_of
from minigrad.compiler.target import costs
from minigrad.ops.base import Op
from minigrad.ops.movement import Pair, out_size
from minigrad.ops.processing import conv2d_input

CHANNELS_LAST, IMAGES_LAST, IMAGES_NEAR = (0, 2, 3, 1), (1, 2, 3, 0), (2, 3, 0, 1)
WEIGHTS = (2, 3, 1, 0)


Limits = tuple[tuple[Expr, int], ...]


@dataclass(eq=False)
class Contraction:
    """The loops of a contraction, and the index of each array in them. Where an index of `limits`
    is not in an axis of so many entries, the term is 0, and left out. With an `x_order`, x is read
    with its axes in this order in memory, or another in which the rows are near each other."""

    batch: list[Expr]
    row: Expr
    column: Expr
    depth: list[Expr]
    out: Index
    x: tuple[Value, Index]
    y: tuple[Value, Index]
    limits: Limits = ()
    along_depth: bool = False
    x_order: tuple[int, ...] | None = None

    @property
    def rows(self) -> int:
        return extent(self.row)

    @property
    def columns(self) -> int:
        return extent(self.column)

    @property
    def limited(self) -> dict[tuple[Expr, int], Var]:
        """A variable for each index that has a limit: wherever it is read, it is inside of it."""
        return {limit: Var(f"limited{k}", limit[1]) for k, limit in enumerate(self.limits)}

    def inside(self, x: Value, index: Index) -> tuple[Value, Index]:
        """An operand, with these variables in its index."""
        own, axes = self.limited, zip(index, x.shape, strict=True)
        return x, tuple(Expr({own[axis]: 1}) if axis in own else axis[0] for axis in axes)

    def outside(self, place: Expr) -> Expr:
        """A place in an operand, with what has a limit in place of these variables."""
        return place.replaced({v: e for (e, _), v in self.limited.items()})

    @property
    def multiply_adds(self) -> int:
        """The terms of all sums, without those that are left out."""
        loops = [v for e in (*self.batch, self.row, self.column, *self.depth) for v in e.terms]
        total = math.prod(v.extent for v in loops)
        for limits in connected(self.limits):
            variables = [*dict.fromkeys(v for e, _ in limits for v in e.terms)]
            places = np.indices([v.extent for v in variables])
            inside = np.ones(places.shape[1:], bool)
            for e, n in limits:
                at = sum(c * places[variables.index(v)] for v, c in e.terms.items()) + e.const
                inside &= (at >= 0) & (at < n)
            total = total // inside.size * int(inside.sum())
        return total


def connected(limits: Limits) -> list[Limits]:
    """Limits by the loops that they share."""
    found: list[Limits] = []
    for limit in limits:
        own = [x for x in found if any(limit[0].terms.keys() & e.terms.keys() for e, _ in x)]
        found = [*(x for x in found if x not in own), (limit, *itertools.chain(*own))]
    return found


def extent(e: Expr) -> int:
    return e.bounds()[1] + 1


@lru_cache(10_000)
def loop(name: str, n: int) -> Expr:
    """A loop's variable, also if its extent is 1."""
    return Expr({Var(name, n): 1})


def by_group(x: Value, axis: int, groups: int) -> Value:
    """With the channels as (groups, channels/groups)."""
    shape = x.shape
    return apply(
        "reshape", x, shape=(*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])
    )


def spots_of(value: Value, outs: tuple[Expr, Expr], places: tuple[Expr, Expr]) -> list[Expr]:
    """Where the places of the kernel are in the input, for an entry of a convolution's output."""
    steps = value.attributes["stride"], value.attributes["dilation"]
    return [i * s + u * d for i, u, s, d in zip(outs, places, *steps, strict=True)]


def exchanged(w: Value, groups: int) -> Value:
    """Weights (O, C/g, kh, kw) as (C, O/g, kh, kw)."""
    outs, channels, *kernel = w.shape
    if groups == 1:
        return apply("transpose", w, axes=(1, 0, 2, 3))
    w = apply("reshape", w, shape=(groups, outs // groups, channels, *kernel))
    w = apply("transpose", w, axes=(0, 2, 1, 3, 4))
    return apply("reshape", w, shape=(groups * channels, outs // groups, *kernel))


def spread(x: Value, groups: int, outs: int) -> Value:
    """(N, C, H, W) as (N, O, C/g, H, W): what each result of a grouped convolution reads, of which
    there are `outs` a group."""
    n, channels, *size = x.shape
    each = channels // groups
    if outs > 1:
        x = apply("reshape", x, shape=(n, groups, 1, each, *size))
        x = apply("expand", x, shape=(n, groups, outs, each, *size))
    return apply("reshape", x, shape=(n, groups * outs, each, *size))


def fills_more_lanes(outs: int, channels: int, groups: int, taps: int, lanes: int) -> bool:
    """Whether the results of all groups side by side fill so many more lanes than those of one that
    it pays to copy what each of them reads; that is not copied where it is one channel each."""
    steps = [-(-n // lanes) * lanes / n for n in (outs, outs * groups)]
    copies = 0 if outs == channels == 1 else costs.STEPS_OF_SPREADING
    return groups > 1 and taps * (steps[0] - steps[1]) > copies


def fills_twice(many: int, few: int, lanes: int) -> bool:
    """Whether so many columns fill twice as much of vectors as so few."""
    return many * -(-few // lanes) >= 2 * few * -(-many // lanes)


def has_border(x: Value, axis: int) -> bool:
    """Whether it has zeros before or after an axis."""
    pads = name_of(x) == "pad" and x.attributes["value"] == 0
    return pads and any(x.attributes["width"][axis])


def without_border(x: Value, index: Index, row: Expr) -> tuple[Value, Index, Limits]:
    """Of images with zeros around them, those images, and the index in them, with its limits. Where
    the rows of a tile differ in what is outside, the zeros are read."""
    border = [k for k in range(4) if has_border(x, k)]
    if not border or border[0] < 2:
        return x, index, ()
    (inner,), width = x.inputs, x.attributes["width"]
    places = tuple(i + -before for i, (before, _) in zip(index, width, strict=True))
    apart = [k for k in border if row.variables().isdisjoint(places[k].variables())]
    limits = tuple((places[k], inner.shape[k]) for k in apart)
    return (inner, places, limits) if apart == border else (x, index, limits)


@dataclass(eq=False)
class Sums:
    """A convolution, or the transpose of one: the result at (n, P*group + p, *out), where P is the
    number of its channels in a group, is the sum over q and the taps of
    x[n, Q*group + q, *spots] * w[P*group + p, q, *entries]. There is one such sum for each of the
    `phases` and `places`."""

    value: Value
    x: Value
    w: Value
    q: Expr
    places: Sequence[Expr]
    spots: Sequence[Expr]
    entries: Sequence[Expr]
    phases: Sequence[Expr] = ()
    out: Sequence[Expr] = ()
    limits: Limits = ()

    def contraction(self, images: bool, depth: list[Expr], lanes: int) -> Contraction:
        """With images as the columns, or channels: those of a group, or all of them."""
        w, (n, channels, *_) = self.w, self.value.shape
        groups = self.value.attributes["groups"]
        each, others = channels // groups, w.shape[1]
        i, j = self.places
        by_place = images and each < costs.MIN_ROWS and bool(j.terms)
        batch, group = variable("n", n), variable("g", groups)
        p = variable("p", each) if by_place else loop("p", each)
        out = self.out or self.places
        loops = [batch, group, *self.phases, i, j]
        of_w: Index = (group * each + p, self.q, *self.entries)
        of_x: Index = (batch, group * others + self.q, *self.spots)
        if images:
            batch = loop("n", n)
            of_x, index = (batch, *of_x[1:]), (batch, group * each + p, *out)
            row = j if by_place else p
            loops = [e for e in (*loops[1:], p) if e is not row]
            x, of_x, border = without_border(self.x, of_x, row)
            limits = (*self.limits, *border)
            return Contraction(loops, row, batch, depth, index, (w, of_w), (x, of_x), limits)
        taps = math.prod(w.shape[2:])
        narrow = each <= costs.MAX_NARROW_COLUMNS and others % lanes == 0
        spreads = not narrow and fills_more_lanes(each, others, groups, taps, lanes)
        row, x_order = j if extent(j) >= 6 or n < extent(j) else batch, None
        if n >= costs.MIN_IMAGES and has_border(self.x, 3) and not spreads:
            row, x_order = batch, IMAGES_NEAR
        loops.remove(row)
        x, of_x, border = without_border(self.x, of_x, row)
        limits = (*self.limits, *border)
        row = row if row.terms else loop("r", 1)
        index = (batch, group * each + p, *out)
        left, right = (x, of_x), (w, of_w)
        if spreads:
            p = loop("p", channels)
            loops.remove(group)
            index = (batch, p, *out)
            left = spread(x, groups, each), (batch, p, self.q, *of_x[2:])
            right = w, (p, *of_w[1:])
        elif groups > 1:
            right = by_group(w, 0, groups), (group, p, *of_w[1:])
        return Contraction(loops, row, p, depth, index, left, right, limits, narrow, x_order)


class Processing(Rules):
    def dtype(self, op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> np.dtype[Any]:
        return np.result_type(*(x.dtype for x in inputs))


class Product(Processing):
    def kind(self, value: Value) -> str:
        return "contract"

    def order(self, value: Value, order: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(range(len(value.shape)))

    def decompose(self, value: Value) -> Value:
        return in_one_dtype(value)


@entry("matmul")
class Matmul(Product):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape | None:
        x, y = shapes
        if len(x) < 2 or len(y) < 2 or x[-1] != y[-2]:
            return None
        lead = x[:-2] if x[:-2] == y[:-2] else broadcast(x[:-2], y[:-2])
        return (*lead, x[-2], y[-1])

    def contraction(self, value: Value, layouts: dict[Value, Layout], lanes: int) -> Contraction:
        x, y = value.inputs
        *stack, rows, columns = value.shape
        batch = [variable(f"s{k}", n) for k, n in enumerate(stack)]
        row, column, depth = loop("r", rows), loop("c", columns), variable("k", x.shape[-1])
        left, right = (x, row, depth), (y, depth, column)

        def of(z: Value, *last: Expr) -> tuple[Value, Index]:
            own = batch[len(batch) - (len(z.shape) - 2) :]
            return z, (*(i if n > 1 else ZERO for i, n in zip(own, z.shape, strict=False)), *last)

        out = (*batch, row, column)
        narrow, by_rows = columns <= costs.MAX_NARROW_COLUMNS, has_adjacent_rows(x)
        if narrow and by_rows:
            row, column, left, right = column, row, right, left
        x_read, y_read = of(*left), of(*right)
        along_depth = narrow and not by_rows
        return Contraction(
            batch, row, column, [depth], out, x_read, y_read, along_depth=along_depth
        )

    def scalars(self, value: Value) -> float:
        size: int = value.size * value.inputs[0].shape[-1]
        return size

    def is_short_sum(self, value: Value) -> bool:
        depth, columns = value.inputs[1].shape[-2:]
        return depth <= costs.MAX_UNROLLED_TERMS and depth * columns <= costs.MAX_ROW_FACTOR

    def cost(self, value: Value) -> int:
        return 2 * value.inputs[0].shape[-1] if self.is_short_sum(value) else 0

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        x, y = value.inputs
        *batch, row, column = index

        def factor(z: Value, *last: Expr) -> Operand:
            return to.read(z, (*batch[len(index) - len(z.shape) :], *last))

        places = map(number, range(x.shape[-1]))
        terms = [Apply("*", (factor(x, row, k), factor(y, k, column))) for k in places]
        return to.define(value.dtype, in_pairs(terms, lambda a, b: Apply("+", (a, b))))

    def decompose(self, value: Value) -> Value:
        """As products and a sum, where it is of integers, or too narrow for a kernel of its own."""
        value = in_one_dtype(value)
        x, y = value.inputs
        depth, columns = x.shape[-1], value.shape[-1]
        if value.dtype.kind == "f" and depth > 1 and 1 in value.shape[-2:]:
            matrix, vector = (x, y) if columns == 1 else (transposed(y), transposed(x))
            if passes_once(matrix):
                return product_by_vector(value, matrix, vector)
        fills_vectors = (
            columns > costs.MAX_NARROW_COLUMNS or has_adjacent_rows(x) or has_long_rows(x)
        )
        if value.dtype.kind == "f" and depth > 1 and fills_vectors:
            return value
        if depth == 1:
            product = apply("mul", x, y)
            return from_zero(product) if value.dtype.kind == "f" else product
        n = len(y.shape)
        y = apply("transpose", y, axes=(*range(n - 2), n - 1, n - 2))
        left = apply("reshape", x, shape=(*x.shape[:-1], 1, depth))
        right = apply("reshape", y, shape=(*y.shape[:-2], 1, *y.shape[-2:]))
        terms = apply("mul", left, right)
        total = apply("sum", terms, axis=-1, keepdims=False)
        return total if total.dtype == value.dtype else apply("astype", total, dtype=value.dtype)


def passes_once(x: Value) -> bool:
    """Whether a product of a matrix by one vector is a pass over more memory than caches hold,
    which others can share: of a logistic regression, the forward and the reverse pass do. Rows of
    float32 are not summed so, in float64: vectors of theirs are twice as fast."""
    if x.size < costs.MIN_LARGE_SIZE:
        return False
    if has_adjacent_rows(x):
        return x.shape[-2] <= costs.MAX_LOCAL_ENTRIES
    return x.dtype == np.float64


def product_by_vector(value: Value, x: Value, y: Value) -> Value:
    """As a sum of products, over the rows of the matrix as they are in memory."""
    if has_adjacent_rows(x):
        total = apply("sum", apply("mul", transposed(x), y), axis=-2, keepdims=False)
    else:
        total = apply("sum", apply("mul", x, transposed(y)), axis=-1, keepdims=False)
    return apply("reshape", total, shape=value.shape)


def transposed(x: Value) -> Value:
    """Of a transposed matrix, the matrix itself."""
    n = len(x.shape)
    axes = (*range(n - 2), n - 1, n - 2)
    if name_of(x) == "transpose" and axes_of(x) == axes:
        return x.values()[0]
    return apply("transpose", x, axes=axes)


def has_adjacent_rows(x: Value) -> bool:
    """Whether it is a transposed matrix, of more rows than fill a vector."""
    n = len(x.shape)
    transposed = name_of(x) == "transpose" and axes_of(x)[n - 2] == n - 1
    return transposed and x.shape[-2] > costs.MAX_NARROW_COLUMNS


def has_long_rows(x: Value) -> bool:
    """Whether it is a matrix of rows that fill vectors, several of which are summed together."""
    rows, depth = x.shape[-2:]
    return rows >= costs.MIN_DOT_ROWS and depth >= costs.MIN_DOT_DEPTH


@entry("linear")
class Linear(Processing):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape | None:
        x, w = shapes
        return (*x[:-1], w[0]) if len(x) > 1 and len(w) == 2 and x[-1] == w[1] else None

    def decompose(self, value: Value) -> Value:
        x, w = value.inputs
        return apply("matmul", x, apply("transpose", w, axes=(1, 0)))


@entry("dot")
class Dot(Processing):
    """A matrix product by a vector: a row on the left, a column on the right."""

    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape | None:
        x, y = shapes
        return (*x[:-1], *y[:-2], *y[1:][-1:]) if x[-1] == y[max(len(y) - 2, 0)] else None

    def decompose(self, value: Value) -> Value:
        x, y = value.inputs
        depth = x.shape[-1]
        left = apply("reshape", x, shape=(x.size // depth, depth))
        right = apply("reshape", y, shape=(depth, 1)) if len(y.shape) == 1 else y
        return apply("reshape", apply("matmul", left, right), shape=value.shape)


@entry("outer")
class Outer(Processing):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape:
        return (*shapes[0], *shapes[1])

    def decompose(self, value: Value) -> Value:
        x, y = value.inputs
        return apply("mul", apply("reshape", x, shape=(x.size, 1)), y)


@entry("conv2d")
class Conv2d(Product):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape | None:
        x, w = shapes
        outs = tuple(map(out_size, x[2:], w[2:], attributes["stride"], attributes["dilation"]))
        fits = x[1] == w[1] * attributes["groups"] and min(outs) > 0
        return (x[0], w[0], *outs) if fits else None

    def own_order(self, few_channels: bool) -> tuple[int, ...]:
        return IMAGES_LAST if few_channels else CHANNELS_LAST

    def contraction(self, value: Value, layouts: dict[Value, Layout], lanes: int) -> Contraction:
        """(N, C, H, W) by (O, C/g, kh, kw) gives (N, O, OH, OW), with channels or images as the
        columns."""
        x, w = value.inputs
        _, channels, *kernel = w.shape
        places = variable("i", value.shape[2]), variable("j", value.shape[3])
        c, (u, v) = variable("c", channels), map(variable, "uv", kernel)
        sums = Sums(value, x, w, c, places, spots_of(value, places, (u, v)), (u, v))
        images = layouts[value].order == IMAGES_LAST
        return sums.contraction(images, [c, u, v] if images else [u, v, c], lanes)


@entry("conv2d_input")
class Conv2dInput(Processing):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape:
        y, w = shapes
        return (y[0], w[1] * attributes["groups"], *attributes["size"])

    def decompose(self, value: Value) -> Value:
        """As a TRANSPOSED_CONV2D."""
        y, w = in_one_dtype(value).inputs
        return transposed_conv2d(y, w, start=(0, 0), **value.attributes)


HOW = "start", "size", "stride", "dilation", "groups"
UNIT = 1, 1


def padded(x: Value, widths: Sequence[tuple[int, int]]) -> Value:
    """With zeros around the last axes."""
    width = ((0, 0), (0, 0), *widths)
    return apply("pad", x, width=width, value=0) if any(map(any, width)) else x


def cut(x: Value, size: Sequence[int]) -> Value:
    """The first entries of the last axes."""
    if x.shape[2:] == tuple(size):
        return x
    return apply("slice", x, index=(slice(None), slice(None), *(slice(0, n) for n in size)))


def part_of_input(y: Any, w: Any, start: Pair, size: Pair, **how: Any) -> Any:
    spans = [slice(b, b + n) for b, n in zip(start, size, strict=True)]
    steps = y.shape[2:], how["stride"], how["dilation"], w.shape[2:], spans
    reach = (
        max((n - 1) * s + (k - 1) * d + 1, x.stop) for n, s, d, k, x in zip(*steps, strict=True)
    )
    return conv2d_input(y, w, tuple(reach), **how)[:, :, *spans]


# The entries of a conv2d_input from `start` on, as many as `size` says.
TRANSPOSED_CONV2D = own_op("conv2d_transposed", part_of_input)


class Phases(NamedTuple):
    """An axis of a transposed convolution of stride s and dilation d, one of which is 1, by the
    phases: entry s*i + a of the result is the sum over the taps m of y[i + first - d*m] *
    w[s*m + a - before]. No zeros are spread in y."""

    s: int
    d: int
    before: int
    first: int
    taps: int

    @classmethod
    def of(cls, start: int, s: int, d: int, kernel: int) -> Phases:
        before = -start % s
        return cls(s, d, before, (start + before) // s, (kernel - 1 + before) // s + 1)


def phases_of(value: Value) -> list[Phases]:
    how = (value.attributes[key] for key in ("start", "stride", "dilation"))
    return [*map(Phases.of, *how, value.inputs[1].shape[2:])]


@entry("conv2d_transposed")
class TransposedConv2d(Conv2d):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape:
        y, w = shapes
        return (y[0], w[1] * attributes["groups"], *attributes["size"])

    def decompose(self, value: Value) -> Value:
        """With whole strides of results, all of which read entries of the padded cotangent."""
        y, w = value.inputs
        start, size, stride, dilation, groups = (value.attributes[key] for key in HOW)
        kernel = w.shape[2:]
        if stride != UNIT and (kernel == UNIT or dilation != UNIT):
            # Entries between those that a stride reaches are 0.
            last = [s * (n - 1) + 1 for n, s in zip(y.shape[2:], stride, strict=True)]
            index = (slice(None), slice(None), *map(slice, (0, 0), last, stride))
            how = {"stride": UNIT, "dilation": dilation, "groups": groups}
            if kernel == UNIT:
                x = transposed_conv2d(y, w, start=(0, 0), size=y.shape[2:], **how)
                return apply("scatter_add", x, shape=value.shape, index=index)
            spread = apply("scatter_add", y, shape=(*y.shape[:2], *last), index=index)
            return transposed_conv2d(spread, w, start=start, size=size, **how)
        count = [-(-n // s) for n, s in zip(size, stride, strict=True)]
        axes = [*zip(y.shape[2:], count, phases_of(value), strict=True)]
        widths = [
            (max(0, at.d * (at.taps - 1) - at.first), max(0, at.first + m - n)) for n, m, at in axes
        ]
        start = tuple(b + s * low for b, s, (low, _) in zip(start, stride, widths, strict=True))
        whole = tuple(n * s for n, s in zip(count, stride, strict=True))
        if whole == size and not any(map(any, widths)):
            return value
        how = {**value.attributes, "start": start, "size": whole}
        return cut(transposed_conv2d(padded(y, widths), w, **how), size)

    def contraction(self, value: Value, layouts: dict[Value, Layout], lanes: int) -> Contraction:
        """(N, O, ...) by (O, C/g, kh, kw) gives (N, C, H, W), with channels or images as the
        columns."""
        y, w = value.inputs
        groups = value.attributes["groups"]
        o = variable("o", w.shape[0] // groups)
        phases, places, taps, spots, entries, out = [], [], [], [], [], []
        for axis, at in enumerate(phases_of(value)):
            a = variable("ab"[axis], at.s)
            i = variable("ij"[axis], value.shape[2 + axis] // at.s)
            m = variable("uv"[axis], at.taps)
            phases.append(a)
            places.append(i)
            taps.append(m)
            spots.append(i + m * -at.d + at.first)
            entries.append(m * at.s + a + -at.before)
            out.append(i * at.s + a)
        sizes = zip(entries, w.shape[2:], strict=True)
        limits = tuple((e, k) for e, k in sizes if e.bounds() != (0, k - 1))
        w = exchanged(w, groups)
        sums = Sums(value, y, w, o, places, spots, entries, phases, out, limits)
        return sums.contraction(layouts[value].order == IMAGES_LAST, [*taps, o], lanes)


def transposed_conv2d(y: Value, w: Value, **how: Any) -> Value:
    shape, dtype = infer(TRANSPOSED_CONV2D, (y, w), how)
    return Value(TRANSPOSED_CONV2D, (y, w), how, shape, dtype)


def crop(value: Value) -> Value:
    """A slice of a conv2d_input that cuts off a border, as fewer entries of it."""
    x = value.inputs[0]
    (y, w), how = in_one_dtype(x).inputs, x.attributes
    parts = [part for part, _ in aligned(value.attributes["index"], x.shape)]
    whole = how["stride"] != UNIT and w.shape[2:] == UNIT
    if whole or not all(type(part) is slice for part in parts):
        return value
    spans = [part.indices(n) for part, n in zip(parts, x.shape, strict=True)]
    if value.shape[:2] != x.shape[:2] or any(step != 1 for _, _, step in spans):
        return value
    start = tuple(low for low, _, _ in spans[2:])
    return transposed_conv2d(y, w, **{**how, "start": start, "size": value.shape[2:]})


@entry("conv2d_weight")
class Conv2dWeight(Product):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape:
        x, y = shapes
        return (y[1], x[1] // attributes["groups"], *attributes["kernel"])

    def own_order(self, few_channels: bool) -> tuple[int, ...]:
        return WEIGHTS

    def contraction(self, value: Value, layouts: dict[Value, Layout], lanes: int) -> Contraction:
        """The gradient of the weights: (N, C, H, W) and (N, O, OH, OW) give (O, C/g, kh, kw)."""
        x, y = value.inputs
        groups, (outs, channels, *kernel) = value.attributes["groups"], value.shape
        outs //= groups
        n, _, *size = y.shape
        batch, group, i, j = map(variable, "ngij", (n, groups, *size))
        c, u, v = map(variable, "cuv", (channels, *kernel))
        spots = spots_of(value, (i, j), (u, v))
        images_last = layouts[x].order[-1] == 0
        if groups == 1 and not images_last and fills_twice(channels, outs, lanes):
            return self.by_channels(value)
        depth = [i, j, batch] if images_last else [batch, i, j]
        loops = [group, u, v, c]
        row = max((c, v, u), key=lambda e: min(extent(e), 6))
        loops.remove(row)
        x, of_x, limits = without_border(x, (batch, group * channels + c, *spots), row)
        order = CHANNELS_LAST if limits and row is c and not images_last else None
        row = row if row.terms else loop("r", 1)
        if fills_more_lanes(outs, channels, groups, math.prod(kernel), lanes):
            o = loop("o", groups * outs)
            seen = spread(x, groups, outs), (batch, o, c, *of_x[2:])
            loops.remove(group)
            of_y: Index = (batch, o, i, j)
            return Contraction(loops, row, o, depth, (o, c, u, v), seen, (y, of_y), limits)
        o = loop("o", outs)
        out: Index = (group * outs + o, c, u, v)
        of_y = (batch, o, i, j)
        if groups > 1:
            y, of_y = by_group(y, 1, groups), (batch, group, o, i, j)
        seen = x, of_x
        return Contraction(loops, row, o, depth, out, seen, (y, of_y), limits, x_order=order)

    def by_channels(self, value: Value) -> Contraction:
        """With channels of x as the columns, as those of y are few."""
        x, y = value.inputs
        n, _, *size = y.shape
        (outs, channels, *kernel), (batch, i, j) = value.shape, map(variable, "nij", (n, *size))
        o, c, (u, v) = loop("o", outs), loop("c", channels), map(variable, "uv", kernel)
        spots = spots_of(value, (i, j), (u, v))
        rows = (o,) if has_border(x, 3) else (o, v, u)
        row = max(rows, key=lambda e: min(extent(e), costs.MIN_ROWS))
        loops = [e for e in (u, v, o) if e is not row]
        x, of_x, limits = without_border(x, (batch, c, *spots), row)
        of_y = y, (batch, o, i, j)
        return Contraction(loops, row, c, [batch, i, j], (o, c, u, v), of_y, (x, of_x), limits)
