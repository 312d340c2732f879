"""Indexing: reading and writing entries at basic indices, and at indices that are arrays."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from minigrad.compiler.graph.affine import ZERO, Condition, Expr, Index, aligned, number, variable
from minigrad.compiler.graph.ir import Shape, Value, arange_axis, constant
from minigrad.compiler.graph.opset.base import (
    Apply,
    Lowering,
    Number,
    Operand,
    Rules,
    T,
    entry,
    rules_of,
)
from minigrad.compiler.graph.opset.infer import apply, zeros
from minigrad.compiler.graph.opset.views import BOOL
from minigrad.errors import UnsupportedError
from minigrad.ops.movement import ALL, ARRAY, inverse


@entry("slice")
class Slice(Rules):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape:
        return zeros(shapes[0], BOOL)[attributes["index"]].shape

    def kind(self, value: Value) -> str:
        return "map" if is_basic(value) else "numpy"

    def order(self, value: Value, order: tuple[int, ...]) -> tuple[int, ...]:
        """New axes come first."""
        parts = [part for part, _ in aligned(index_of(value), value.inputs[0].shape)]
        old = [k for k, p in enumerate(p for p in parts if p is not None) if isinstance(p, slice)]
        new = [k for k, p in enumerate(p for p in parts if not isinstance(p, int)) if p is None]
        place = dict(zip(old, (k for k in range(len(value.shape)) if k not in new), strict=True))
        return (*new, *(place[k] for k in order if k in place))

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        x, found, left = value.inputs[0], [], list(index)
        for part, n in aligned(index_of(value), x.shape):
            if part is None:
                left.pop(0)
            elif isinstance(part, int):
                found.append(number(part % n))
            else:
                start, _, step = part.indices(n)
                found.append(left.pop(0) * step + start)
        return to.read(x, tuple(found))


@entry("updated")
class Updated(Rules):
    """x, except where the index picks entries."""

    is_update = True

    def decompose(self, value: Value) -> Value:
        """Dead code elimination: x is not read if every entry is overwritten, and v is not read if
        the index selects nothing."""
        x, v = value.inputs[:2]
        if not is_basic(value):
            return value
        region = zeros(value.shape, BOOL)[index_of(value)].shape
        if 0 in region:
            return apply("positive", x)
        if math.prod(region) < value.size:
            return value
        v = v if type(v) is Value else constant(np.asarray(v, value.dtype))
        v = v if v.dtype == value.dtype else apply("astype", v, dtype=value.dtype)
        parts = [p for p, _ in aligned(index_of(value), value.shape) if not isinstance(p, int)]
        back = [slice(None, None, -1 if p is not None and (p.step or 1) < 0 else 1) for p in parts]
        whole = apply("slice", apply("expand", v, shape=region), index=tuple(back))
        return apply("reshape", whole, shape=value.shape)

    def kind(self, value: Value) -> str:
        if is_basic(value):
            return "map"
        return "scatter" if is_leading_gather(value) else "numpy"

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        x, v = value.inputs[:2]
        conditions, source_index = index_in_slice(value, index, to)

        def new() -> Operand:
            if type(v) is not Value:
                return Number.of(v, value.dtype)
            name = to.read(v, source_index[len(source_index) - len(v.shape) :])
            return name if v.dtype == value.dtype else to.cast(name, v, value.dtype)

        return to.select(value.dtype, conditions, new, lambda: to.read(x, index))


@entry("scatter_add")
class ScatterAdd(Rules):
    """Zeros, except where the index picks entries."""

    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape:
        shape: Shape = attributes["shape"]
        return shape

    def decompose(self, value: Value) -> Value:
        """The axes of index arrays in front, the others taken whole."""
        value = without_masks(value)
        parts = [part for part, _ in aligned(index_of(value), value.shape)]
        if not is_basic(value) and any(part not in (ARRAY, ALL) for part in parts):
            return into_slices(value)
        indexed = [k for k, part in enumerate(parts) if part == ARRAY]
        whole = [k for k, part in enumerate(parts) if part == ALL]
        g, order, index = value.inputs[0], (*indexed, *whole), (ARRAY,) * len(indexed)
        if indexed == [*range(len(indexed))]:  # in front
            if is_basic(value) or index == index_of(value):
                return value
            return replace(value, attributes={**value.attributes, "index": index})
        if indexed[-1] - indexed[0] == len(indexed) - 1:  # there, and not in front
            depth, start = len(g.shape) - len(whole), indexed[0]
            axes = [*range(len(g.shape))]
            axes = [*axes[start : start + depth], *axes[:start], *axes[start + depth :]]
            g = apply("transpose", g, axes=tuple(axes))
        shape = tuple(value.shape[k] for k in order)
        moved = apply("scatter_add", g, *value.inputs[1:], shape=shape, index=index)
        return apply("transpose", moved, axes=inverse(order))

    def kind(self, value: Value) -> str:
        if is_basic(value) or one_hot_scatter(value) is not None:
            return "map"
        return "scatter" if is_leading_gather(value) else "numpy"

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        g = value.inputs[0]
        zero = partial(Number.of, 0, value.dtype)
        found = one_hot_scatter(value)
        if found is None:
            conditions, source_index = index_in_slice(value, index, to)
            return to.select(value.dtype, conditions, lambda: to.read(g, source_index), zero)
        (which, axes, depth), arrays = found, arrays_of(value)
        spot = tuple(index[k] if k is not None else ZERO for k in axes)
        own = spot[depth - len(arrays[which].shape) :]
        row = to.runtime_index(arrays[which], own, value.shape[which])
        test = to.define(BOOL, Apply("==", (index[which], row)))
        picked = to.read(g, (*spot, *index[len(arrays) :]))
        return to.define(value.dtype, Apply("select", (test, picked, zero())))


@entry("gather")
class Gather(Rules):
    def check(self, inputs: Sequence[Any]) -> None:
        for mask in filter(is_mask, inputs[1:]):
            kinds = {"input": "an argument", "state": "held by a Tensor"}
            raise UnsupportedError(
                f"a compiled function picks entries by a mask of shape {mask.shape} that is "
                f"{kinds.get(mask.kind, 'computed in it')}, and how many there are is not known "
                "before it runs: use np.where(mask, x, 0)"
            )

    def decompose(self, value: Value) -> Value:
        return without_masks(value)

    def kind(self, value: Value) -> str:
        return "map" if all(x.dtype.kind in "iu" for x in arrays_of(value)) else "numpy"

    def order(self, value: Value, order: tuple[int, ...]) -> tuple[int, ...]:
        """New axes come first, and those of the index arrays where the first of them indexes."""
        natural = tuple(range(len(value.shape)))
        spot, rest = self.split(value, natural)
        new: list[int] = []
        places: list[Sequence[int]] = []
        for part, _ in aligned(index_of(value), value.inputs[0].shape):
            if part is None:
                new.append(next(rest))
            else:
                places.append(spot if is_advanced(part) else [next(rest)])
        if len(order) != len(places):  # that of an index array
            return natural
        return tuple(dict.fromkeys([*new, *itertools.chain(*(places[k] for k in order))]))

    def split(self, value: Value, axes: tuple[T, ...]) -> tuple[tuple[T, ...], Iterator[T]]:
        """Of its axes, those of the index arrays, which come first or, if the arrays are next to
        each other, there; and the others, as of a slice. An integer beside arrays is an array
        too."""
        parts = [part for part, _ in aligned(index_of(value), value.inputs[0].shape)]
        advanced = [k for k, part in enumerate(parts) if is_advanced(part)]
        adjacent = advanced[-1] - advanced[0] == len(advanced) - 1
        start = advanced[0] if adjacent else 0
        end = start + len(axes) - (len(parts) - len(advanced))
        return axes[start:end], itertools.chain(axes[:start], axes[end:])

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        x, arrays = value.inputs[0], iter(arrays_of(value))
        parts = aligned(index_of(value), x.shape)
        spot, rest = self.split(value, index)
        depth, found = len(spot), []
        for part, n in parts:
            if part == ARRAY:
                array = next(arrays)
                found.append(to.runtime_index(array, spot[depth - len(array.shape) :], n))
            elif isinstance(part, int):
                found.append(number(part % n))
            elif part is None:
                next(rest)
            else:
                first, _, step = part.indices(n)
                found.append(next(rest) * step + first)
        return to.read(x, tuple(found))

    def scalars(self, value: Value) -> float:
        return value.size * value.inputs[0].size  # each of which it may be


def is_advanced(part: Any) -> bool:
    """Whether a part of an index that has arrays is indexed with them."""
    return isinstance(part, int) or part == ARRAY


def into_slices(value: Value) -> Value:
    """A scatter-add with slices, None or integers beside index arrays, as one by arrays alone, put
    where the slices are."""
    parts = [part for part, _ in aligned(index_of(value), value.shape)]
    slices = tuple(ALL if is_advanced(part) else part for part in parts)
    index = tuple(ARRAY if is_advanced(part) else ALL for part in parts)
    given, advanced = iter(arrays_of(value)), filter(is_advanced, parts)
    arrays = [next(given) if part == ARRAY else constant(np.asarray(part)) for part in advanced]
    shape = zeros(value.shape, BOOL)[slices].shape
    found = apply("scatter_add", value.inputs[0], *arrays, shape=shape, index=index)
    if all(part == ALL for part in slices):  # there were integers only
        return found
    return apply("scatter_add", found, shape=value.shape, index=slices)


def without_masks(value: Value) -> Value:
    """A gather or a scatter-add with the places of what is true in place of masks whose numbers are
    known."""
    arrays = arrays_of(value)
    masks = [x for x in arrays if x.dtype == bool]
    if not masks or not all(x.fixed and x.shape for x in masks):
        return value
    places = [[x] if x.dtype != bool else places_of(x) for x in arrays]
    counts = iter(map(len, places))
    index = ((part,) * (next(counts) if part == ARRAY else 1) for part in index_of(value))
    how = {**value.attributes, "index": tuple(itertools.chain(*index))}
    return replace(value, inputs=(value.inputs[0], *itertools.chain(*places)), attributes=how)


def places_of(mask: Value) -> list[Value]:
    assert mask.array is not None
    return [constant(k) for k in np.nonzero(mask.array)]


def is_mask(x: Any) -> bool:
    """Whether it is an array of booleans that is not a constant."""
    return type(x) is Value and x.dtype == bool and x.kind != "constant"


def index_of(value: Value) -> tuple[Any, ...]:
    index: tuple[Any, ...] = value.attributes["index"]
    return index


def arrays_of(value: Value) -> list[Value]:
    """The index arrays."""
    first = 2 if rules_of(value.op).is_update else 1
    return [x for x in value.inputs[first:] if type(x) is Value]


def scattered(value: Value, to: Lowering) -> tuple[Index, Index, Index, Operand]:
    """Of a scatter-add or an update by leading index arrays: loops over the index arrays, and over
    the other axes; in these, the index that is read from the arrays, and the entry for it."""
    arrays = arrays_of(value)
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    loops = tuple(variable(f"s{k}", n) for k, n in enumerate(shape))
    columns = tuple(variable(f"j{k}", n) for k, n in enumerate(value.shape[len(arrays) :]))
    rows = tuple(
        to.runtime_index(array, loops[len(loops) - len(array.shape) :], n)
        for array, n in zip(arrays, value.shape, strict=False)
    )
    given = value.inputs[int(rules_of(value.op).is_update)]
    return loops, columns, rows, to.input(given, value.dtype, (*loops, *columns))


def is_basic(value: Value) -> bool:
    """Whether the index has numbers, slices, None and ... only."""
    return all(isinstance(part, int | slice | None | type(...)) for part in index_of(value))


def is_leading_gather(value: Value) -> bool:
    """Whether the leading axes are indexed by integer arrays, and the others taken whole."""
    return all(part is ARRAY for part in index_of(value)) and all(
        x.dtype.kind in "iu" for x in arrays_of(value)
    )


def index_in_slice(value: Value, index: Index, to: Lowering) -> tuple[list[Condition], Index]:
    """Conditions that a basic index covers an index, and that index within what it covers."""
    conditions: list[Condition] = []
    found: list[Expr] = []
    rest = iter(index)
    for part, n in aligned(index_of(value), value.shape):
        if part is None:
            found.append(ZERO)
            continue
        i = next(rest)
        if isinstance(part, int):
            conditions.append(Condition(i, "==", part % n))
            continue
        start, stop, step = part.indices(n)
        count = len(range(start, stop, step))
        if not count:
            conditions.append(Condition(ZERO, "<", 0))
            found.append(ZERO)
            continue
        low, high = sorted((start, start + (count - 1) * step))
        conditions += [Condition(i, ">=", low), Condition(i, "<", high + 1)]
        spot = i + -low if step > 0 else i * -1 + high
        found.append(to.clamp(to.exact_quotient(spot, abs(step), conditions), count))
    return conditions, tuple(found)


def one_hot_scatter(value: Value) -> tuple[int, tuple[int | None, ...], int] | None:
    """For a scatter-add whose index arrays are all aranges but one: the position of that one, for
    each axis of the arrays the axis of the result that it runs along, and their number."""
    arrays = arrays_of(value)
    if not arrays or not is_leading_gather(value):
        return None
    axes = [arange_axis(array) for array in arrays]
    depth = max(len(array.shape) for array in arrays)
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    not_aranges = [
        k for k, axis in enumerate(axes) if axis is None or arrays[k].shape[axis] != value.shape[k]
    ]
    if len(not_aranges) != 1:
        return None
    along: list[int | None] = [None] * depth
    for k, (array, axis) in enumerate(zip(arrays, axes, strict=True)):
        if k != not_aranges[0] and axis is not None:
            at = depth - len(array.shape) + axis
            if array.size > 1:
                if along[at] is not None:
                    return None
                along[at] = k
    if any(a is None and n > 1 for a, n in zip(along, shape, strict=True)):
        return None
    return not_aranges[0], tuple(along), depth
