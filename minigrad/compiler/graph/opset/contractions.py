"""Contractions: matrix products and convolutions, as sums of products over loops.

Each is `z[batch, row, column] += x[batch, row, depth] * y[batch, depth, column]`, where batch and
depth are several loops, and what is read at an index may be a view: a convolution is a product of
the windows that it sees by the weights. The columns are those that lie side by side in z, or if
these are too few to fill vectors, the rows of a matrix product; or the vectors are `along_depth`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from minigrad.compiler.graph.affine import ZERO, Expr, Index, Var, number, variable
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

CHANNELS_LAST, IMAGES_LAST = (0, 2, 3, 1), (1, 2, 3, 0)
WEIGHTS = (2, 3, 1, 0)


@dataclass(eq=False)
class Contraction:
    """The loops of a contraction, and the index of each array in them. Where an index of `limits`
    is not below its limit, the term is 0, and left out."""

    batch: list[Expr]
    row: Expr
    column: Expr
    depth: list[Expr]
    out: Index
    x: tuple[Value, Index]
    y: tuple[Value, Index]
    limits: Sequence[tuple[Expr, int]] = ()
    along_depth: bool = False

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


class Processing(Rules):
    def dtype(self, op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> np.dtype[Any]:
        return np.result_type(*(x.dtype for x in inputs))


class Product(Processing):
    def kind(self, value: Value) -> str:
        return "contract"

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

    def contraction(self, value: Value, layouts: dict[Value, Layout]) -> Contraction:
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

    def contraction(self, value: Value, layouts: dict[Value, Layout]) -> Contraction:
        """(N, C, H, W) by (O, C/g, kh, kw) gives (N, O, OH, OW), with channels or images as the
        columns."""
        x, w = value.inputs
        groups, (n, _, down, across) = value.attributes["groups"], value.shape
        outs, channels, *kernel = w.shape
        outs //= groups
        batch, group, i, j = map(variable, "ngij", (n, groups, down, across))
        o, (c, u, v) = loop("o", outs), map(variable, "cuv", (channels, *kernel))
        spots = spots_of(value, (i, j), (u, v))
        if layouts[value].order == IMAGES_LAST:
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


@entry("conv2d_input")
class Conv2dInput(Processing):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape:
        y, w = shapes
        return (y[0], w[1] * attributes["groups"], *attributes["size"])

    def decompose(self, value: Value) -> Value:
        """As a TRANSPOSED_CONV2D of the padded cotangent, and of weights that are padded to whole
        strides."""
        y, w = in_one_dtype(value).inputs
        size, stride, dilation, groups = (value.attributes[key] for key in SIZES)
        kernel, unit = w.shape[2:], (1, 1)
        if stride != unit and (kernel == unit or dilation != unit):
            # Entries between those that a stride reaches are 0.
            last = [s * (n - 1) + 1 for n, s in zip(y.shape[2:], stride, strict=True)]
            index = (slice(None), slice(None), *map(slice, (0, 0), last, stride))
            how = {"stride": unit, "dilation": dilation, "groups": groups}
            if kernel == unit:
                x = self.decompose(apply("conv2d_input", y, w, size=y.shape[2:], **how))
                return apply("scatter_add", x, shape=value.shape, index=index)
            spread = apply("scatter_add", y, shape=(*y.shape[:2], *last), index=index)
            return self.decompose(apply("conv2d_input", spread, w, size=size, **how))
        widths, more = [], []
        for n, seen, k, s, d in zip(size, y.shape[2:], kernel, stride, dilation, strict=True):
            taps = -(-k // s)
            widths.append(((taps - 1) * d, -(-n // s) - seen))
            more.append((0, taps * s - k))
        y, w = padded(y, widths), padded(w, more)
        how = {"stride": stride, "dilation": dilation, "groups": groups, "kernel": kernel}
        x = transposed_conv2d(y, w, **how)
        return cut(x, size)


SIZES = "size", "stride", "dilation", "groups"


def padded(x: Value, widths: Sequence[tuple[int, int]]) -> Value:
    """With zeros around the last axes."""
    width = ((0, 0), (0, 0), *widths)
    return apply("pad", x, width=width, value=0) if any(map(any, width)) else x


def cut(x: Value, size: Sequence[int]) -> Value:
    """The first entries of the last axes."""
    if x.shape[2:] == tuple(size):
        return x
    return apply("slice", x, index=(slice(None), slice(None), *(slice(0, n) for n in size)))


def by_phases(y: Any, w: Any, stride: Pair, dilation: Pair, groups: int, kernel: Pair) -> Any:
    rest = stride, dilation, w.shape[2:]
    border = [(k - s) * d for s, d, k in zip(*rest, strict=True)]
    down, across = (
        s * (n - 1) + d * (k - 1) + 1 for n, s, d, k in zip(y.shape[2:], *rest, strict=True)
    )
    x = conv2d_input(y, w, (down, across), stride, dilation, groups)
    return x[:, :, *(slice(b, n - b) for b, n in zip(border, x.shape[2:], strict=True))]


# A transposed convolution, by phases: entry s*i + r of the result is the sum, over the taps m, of
# y[i + d*(taps - 1 - m)] * w[s*m + r], of stride s and dilation d, one of which is 1. The weights
# have s * taps entries, those from `kernel` on 0. No zeros are spread in y.
TRANSPOSED_CONV2D = own_op("conv2d_transposed", by_phases)


@entry("conv2d_transposed")
class TransposedConv2d(Conv2d):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape:
        y, w = shapes
        steps = attributes["stride"], attributes["dilation"]
        sizes = [
            s * (n - d * (k // s - 1)) for n, k, s, d in zip(y[2:], w[2:], *steps, strict=True)
        ]
        return (y[0], w[1] * attributes["groups"], *sizes)

    def contraction(self, value: Value, layouts: dict[Value, Layout]) -> Contraction:
        """(N, O, ...) by (O, C/g, kh, kw) gives (N, C, H, W), with channels or images as the
        columns."""
        y, w = value.inputs
        how = value.attributes
        groups, (n, channels, *size) = how["groups"], value.shape
        channels //= groups
        outs = w.shape[0] // groups
        batch, group, o = map(variable, "ngo", (n, groups, outs))
        c = loop("c", channels)
        phases, places, taps, spots, entries = [], [], [], [], []
        for axis in range(2):
            s, d, k = how["stride"][axis], how["dilation"][axis], w.shape[2 + axis]
            phases.append(variable("ab"[axis], s))
            places.append(variable("ij"[axis], size[axis] // s))
            taps.append(variable("uv"[axis], k // s))
            spots.append(places[axis] + taps[axis] * -d + d * (k // s - 1))
            entries.append(taps[axis] * s + phases[axis])
        limits = [
            (e, k)
            for e, k, whole in zip(entries, how["kernel"], w.shape[2:], strict=True)
            if k < whole
        ]
        out_places = [i * s + a for i, a, s in zip(places, phases, how["stride"], strict=True)]
        i, j = places
        if layouts[value].order == IMAGES_LAST:
            batch = loop("n", n)
            out = (batch, group * channels + c, *out_places)
            seen = (batch, group * outs + o, *spots)
            of_w = (group * outs + o, c, *entries)
            loops = [group, *phases, i, j]
            return Contraction(loops, c, batch, [*taps, o], out, (w, of_w), (y, seen), limits)
        loops = [batch, group, *phases, i, j]
        row = j if extent(j) >= 6 or n < extent(j) else batch
        loops.remove(row)
        read: Index = (o, c, *entries)
        if groups > 1:
            w, read = by_group(w, 0, groups), (group, *read)
        out = (batch, group * channels + c, *out_places)
        row = row if row.terms else loop("r", 1)
        of_y = (batch, group * outs + o, *spots)
        return Contraction(loops, row, c, [*taps, o], out, (y, of_y), (w, read), limits)


def transposed_conv2d(y: Value, w: Value, **how: Any) -> Value:
    shape, dtype = infer(TRANSPOSED_CONV2D, (y, w), how)
    return Value(TRANSPOSED_CONV2D, (y, w), how, shape, dtype)


@entry("conv2d_weight")
class Conv2dWeight(Product):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape:
        x, y = shapes
        return (y[1], x[1] // attributes["groups"], *attributes["kernel"])

    def own_order(self, few_channels: bool) -> tuple[int, ...]:
        return WEIGHTS

    def contraction(self, value: Value, layouts: dict[Value, Layout]) -> Contraction:
        """The gradient of the weights: (N, C, H, W) and (N, O, OH, OW) give (O, C/g, kh, kw)."""
        x, y = value.inputs
        groups, (outs, channels, *kernel) = value.attributes["groups"], value.shape
        outs //= groups
        n, _, down, across = y.shape
        batch, group, i, j = map(variable, "ngij", (n, groups, down, across))
        o, (c, u, v) = loop("o", outs), map(variable, "cuv", (channels, *kernel))
        spots = spots_of(value, (i, j), (u, v))
        loops = [group, u, v, c]
        row = max((c, v, u), key=lambda e: min(extent(e), 6))
        loops.remove(row)
        y, of_y = (
            (y, (batch, o, i, j))
            if groups == 1
            else (by_group(y, 1, groups), (batch, group, o, i, j))
        )
        out = (group * outs + o, c, u, v)
        depth = [i, j, batch] if layouts[x].order[-1] == 0 else [batch, i, j]
        row = row if row.terms else loop("r", 1)
        return Contraction(
            loops, row, o, depth, out, (x, (batch, group * channels + c, *spots)), (y, of_y)
        )
