"""Views: each entry of the result is an entry of an input, or a constant."""

from __future__ import annotations

import itertools
import math
import operator
from bisect import bisect_right
from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

import numpy as np

from minigrad.compiler.graph.affine import Condition, Expr, Index, number, reshaped
from minigrad.compiler.graph.ir import Shape, Value
from minigrad.compiler.graph.opset.base import (
    OPSET,
    Apply,
    Lowering,
    Number,
    Operand,
    Rules,
    entry,
)
from minigrad.compiler.graph.opset.elementwise import broadcast
from minigrad.compiler.graph.opset.infer import zeros
from minigrad.compiler.target import costs
from minigrad.ops.base import Op
from minigrad.ops.movement import out_size

BOOL = np.dtype(bool)


class View(Rules):
    def kind(self, value: Value) -> str:
        return "map"


@entry("reshape")
class Reshape(View):
    keeps_c_order = True

    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape | None:
        new: Shape = attributes["shape"]
        size, wanted = math.prod(shapes[0]), math.prod(new)
        if wanted == size and min(new, default=0) >= 0:
            return new
        if new.count(-1) == 1 and wanted and size % -wanted == 0:
            return tuple(size // -wanted if n == -1 else n for n in new)
        return None

    def order(self, value: Value, order: tuple[int, ...]) -> tuple[int, ...]:
        """That in which nothing moves, if there is one: of images (N, H, W, C) in memory, whose
        channels become (G, C/G), it is (N, H, W, G, C/G)."""
        old, new = value.inputs[0].shape, value.shape
        natural = tuple(range(len(new)))
        before, after = ([*itertools.accumulate(x, operator.mul, initial=1)] for x in (old, new))
        cuts = sorted({*before} & {*after})  # where axes of both end: nothing is reshaped across
        blocks, new_blocks = ([bisect_right(cuts, n) for n in x] for x in (before, after))
        axes = [k for k in order if old[k] > 1]
        place = {b: k for k, b in enumerate(dict.fromkeys(blocks[k] for k in axes))}
        if axes != sorted(axes, key=lambda k: (place[blocks[k]], k)):
            return natural
        return tuple(sorted(natural, key=lambda k: place.get(new_blocks[k], 0)))

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        x = value.inputs[0]
        return to.read(x, reshaped(index, value.shape, x.shape))


@entry("transpose")
class Transpose(View):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape:
        return zeros(shapes[0], BOOL).transpose(attributes["axes"]).shape

    def order(self, value: Value, order: tuple[int, ...]) -> tuple[int, ...]:
        axes = axes_of(value)
        return tuple(axes.index(k) for k in order)

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        place = dict(zip(axes_of(value), index, strict=True))
        return to.read(value.inputs[0], tuple(place[k] for k in range(len(index))))


@entry("expand")
class Expand(View):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape | None:
        new: Shape = attributes["shape"]
        return new if broadcast(shapes[0], new) == new else None

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        x = value.inputs[0]
        return to.read(x, index[len(index) - len(x.shape) :])


@entry("astype")
class Astype(View):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape:
        return shapes[0]

    def dtype(self, op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> np.dtype[Any]:
        found: np.dtype[Any] = attributes["dtype"]
        return found

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        x = value.inputs[0]
        return to.cast(to.read(x, index), x, value.dtype)


@entry("pad")
class Pad(View):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape | None:
        width = attributes["width"]
        if min(map(min, width), default=0) < 0:
            return None
        return tuple(low + n + high for (low, high), n in zip(width, shapes[0], strict=True))

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        x, width = value.inputs[0], value.attributes["width"]
        conditions, places = [], []
        for i, n, (before, after) in zip(index, x.shape, width, strict=True):
            conditions += [Condition(i, ">=", before), Condition(i, "<", before + n)]
            place = i + -before
            places.append(to.clamp(place, n) if before or after else place)
        other = Number.of(value.attributes["value"], value.dtype)
        return to.select(value.dtype, conditions, lambda: to.read(x, tuple(places)), lambda: other)


@entry("concatenate")
class Concatenate(View):
    is_searched = True

    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape | None:
        axis, first = attributes["axis"], shapes[0]
        before, after = first[:axis], first[axis + 1 :]
        if any(x[:axis] != before or x[axis + 1 :] != after for x in shapes):
            return None
        return (*before, attributes["bounds"][-1], *after)

    def dtype(self, op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> np.dtype[Any]:
        return np.result_type(*(x.dtype for x in inputs))

    def kind(self, value: Value) -> str:
        return "concat" if value.size > costs.MAX_INLINE_CONCATENATE else "map"

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        axis = value.attributes["axis"] % len(index)
        found: Operand = ""
        start = value.shape[axis]
        for x in reversed(value.inputs):
            n = x.shape[axis]
            if not n:
                continue
            start -= n
            here = Condition(index[axis], ">=", start), Condition(index[axis], "<", start + n)
            if any(condition.never() for condition in here):
                continue
            place = to.clamp(index[axis] + -start, n)
            name = to.read(x, (*index[:axis], place, *index[axis + 1 :]))
            test = Apply("<", (index[axis], number(start + n)))
            found = to.define(value.dtype, Apply("if", (test, name, found))) if found else name
        return found


class Triangle(View):
    """The entries (..., i, j) with j - i from `k` on, or up to it; zeros in the place of others. Of
    a vector, which is every row of a matrix."""

    def __init__(self, relation: str) -> None:
        self.relation = relation

    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape | None:
        (shape,) = shapes
        return (shape if len(shape) > 1 else shape * 2) or None

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        x, k = value.inputs[0], value.attributes["k"]
        bound = k if self.relation == ">=" else k + 1
        inside = [Condition(index[-1] + index[-2] * -1, self.relation, bound)]
        zero = Number.of(0, value.dtype)
        there = index[len(index) - len(x.shape) :]
        return to.select(value.dtype, inside, lambda: to.read(x, there), lambda: zero)


OPSET["triu"], OPSET["tril"] = Triangle(">="), Triangle("<")


def starts(offset: int) -> tuple[int, int]:
    """The row and the column where a diagonal begins."""
    return max(-offset, 0), max(offset, 0)


@entry("diagonal")
class Diagonal(View):
    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        """(..., i) reads the entry i + row, i + column of the two axes."""
        x, how, others = value.inputs[0], value.attributes, iter(index[:-1])
        axes = [how[name] % len(x.shape) for name in ("axis1", "axis2")]
        rows = [index[-1] + start for start in starts(how["offset"])]
        places = dict(zip(axes, rows, strict=True))
        return to.read(
            x, tuple(places[k] if k in places else next(others) for k in range(len(x.shape)))
        )


@entry("from_diagonal")
class FromDiagonal(View):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape:
        shape: Shape = attributes["shape"]
        return shape

    def kind(self, value: Value) -> str:
        return "map" if all(self.spots(value)) else "numpy"

    def spots(self, value: Value) -> Shape:
        """The shape of the diagonal."""
        x, how = zeros(value.shape, BOOL), value.attributes
        return np.diagonal(x, how["offset"], how["axis1"], how["axis2"]).shape

    def order(self, value: Value, order: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(range(len(value.shape)))

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        x, how = value.inputs[0], value.attributes
        a, b = (how[name] % len(index) for name in ("axis1", "axis2"))
        row, column = starts(how["offset"])
        on = [Condition(index[a] + index[b] * -1, "==", row - column)]  # one of the two is 0
        spots = self.spots(value)
        place = [index[k] for k in range(len(index)) if k not in (a, b)]
        place.append(to.clamp(index[a] + -row, spots[-1]))
        own = zip(place[len(place) - len(x.shape) :], x.shape, strict=True)
        there = tuple(i if n > 1 else number(0) for i, n in own)
        zero = Number.of(0, value.dtype)
        return to.select(value.dtype, on, lambda: to.read(x, there), lambda: zero)


@entry("windows")
class Windows(View):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape | None:
        kernel, stride, dilation = (attributes[x] for x in ("kernel", "stride", "dilation"))
        outs = tuple(map(out_size, shapes[0][-2:], kernel, stride, dilation))
        return (*kernel, *shapes[0][:-2], *outs) if min(outs) > 0 else None

    def order(self, value: Value, order: tuple[int, ...]) -> tuple[int, ...]:
        lead = [k + 2 for k in order]
        return (*lead[:-1], 0, 1, lead[-1])

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        """(*kernel, ..., *outs) reads (..., out*stride + place*dilation)."""
        x, how = value.inputs[0], value.attributes
        n = len(how["kernel"])
        places, lead, outs = index[:n], index[n:-n], index[-n:]
        steps = zip(places, outs, how["stride"], how["dilation"], strict=True)
        return to.read(x, (*lead, *(o * s + p * d for p, o, s, d in steps)))


@entry("fold")
class Fold(View):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape:
        return (*shapes[0][2:-2], *attributes["size"])

    def kind(self, value: Value) -> str:
        return "map" if len(fold_terms(value)) <= costs.MAX_FOLD_TERMS else "numpy"

    def order(self, value: Value, order: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(k - 2 for k in order if k > 1)

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        """The sum of the entries of all windows that cover this index."""
        y, how = value.inputs[0], value.attributes
        axes = index[-2:], y.shape[:2], how["stride"], how["dilation"], y.shape[-2:]
        terms: list[Any] = []
        for place in fold_terms(value):
            spots: list[Expr] = []
            conditions: list[Condition] = []
            places: list[Expr] = []
            for p, i, k, s, d, n in zip(place, *axes, strict=True):
                if p is None:  # windows do not overlap: the index gives the place in the kernel
                    spot, at = i.divmod(s)
                    conditions.append(Condition(at, "<", k))
                    at = to.clamp(at, k)
                else:
                    at, shifted = number(p), i + -(p * d)
                    conditions.append(Condition(shifted, ">=", 0))
                    spot = to.exact_quotient(shifted, s, conditions)
                conditions.append(Condition(spot, "<", n))
                places.append(at)
                spots.append(to.clamp(spot, n))
            there = partial(to.read, y, (*places, *index[:-2], *spots))
            zero = partial(Number.of, 0, value.dtype)
            terms.append(to.select(value.dtype, conditions, there, zero))
        return to.define(value.dtype, reduce(lambda x, y: Apply("+", (x, y)), terms))


def axes_of(value: Value) -> tuple[int, ...]:
    """The axis of the input that each axis of a transpose is."""
    axes, n = value.attributes["axes"], len(value.shape)
    return tuple(range(n))[::-1] if axes is None else tuple(k % n for k in axes)


def fold_terms(value: Value) -> list[tuple[int | None, int | None]]:
    """The places in the kernel to sum over for one entry: None along an axis where windows do not
    overlap."""
    kernel, how = value.inputs[0].shape[:2], value.attributes
    ways = [
        [None] if d == 1 and s >= k else list(range(k))
        for k, s, d in zip(kernel, how["stride"], how["dilation"], strict=True)
    ]
    return [(i, j) for i in ways[0] for j in ways[1]]
