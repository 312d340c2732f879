"""Sums of the cotangents of slices, as concatenations."""

from __future__ import annotations

import functools
import itertools
from bisect import bisect, insort
from collections import Counter
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from minigrad.compiler.graph.affine import aligned
from minigrad.compiler.graph.ir import Graph, Shape, Value, constant, name_of, with_inputs
from minigrad.compiler.graph.opset.elementwise import from_zero, is_never_minus_zero
from minigrad.compiler.graph.opset.infer import apply, zeros


def join_slices(graph: Graph) -> Graph:
    """Sums of arrays that are zero except in disjoint slices of one axis, with one concatenation
    in place of them, wherever in the sum they stand.

    Slices of one array have such cotangents: without this, the LSTM of the benchmarks has 499 calls
    instead of 480, and 9% more bytes pass through memory.
    """
    uses = Counter(itertools.chain(graph.roots(), *(value.values() for value in graph.order)))
    sums: dict[Value, Sum] = {}
    for value in graph.order:
        found = added(value, sums, uses) if name_of(value) == "add" else padded_slice(value)
        if found is not None:
            sums[value] = found
    joined = {value: parts for value, x in sums.items() if (parts := parts_of(x, value.shape))}
    return rebuilt(graph, sums, joined) if joined else graph


@dataclass(frozen=True)
class Slice:
    """The entries `value` from `low` to `high` along an axis."""

    low: int
    high: int
    value: Value


LOW = attrgetter("low")


@dataclass
class Sum:
    """Disjoint slices along an axis, by their places; and what else is added to them, if anything.
    No sum of more than one other term: added in another order, it would be rounded otherwise."""

    axis: int
    slices: list[Slice] = field(default_factory=list)
    rest: Value | None = None

    def has_room(self, new: Slice) -> bool:
        k = bisect(self.slices, new.low, key=LOW)
        before, after = self.slices[max(k - 1, 0) : k], self.slices[k : k + 1]
        return all(x.high <= new.low for x in before) and all(new.high <= x.low for x in after)


def added(value: Value, sums: dict[Value, Sum], uses: Counter[Value]) -> Sum | None:
    """The sum of two sums. That of the more slices becomes it, unless it is read elsewhere too."""
    x, y = value.inputs
    for z in (x, y):
        if type(z) is not Value or (z.shape, z.dtype) != (value.shape, value.dtype):
            return None
    few, many = sorted((x, y), key=lambda z: len(sums[z].slices) if z in sums else 0)
    if many not in sums:
        return None
    a = sums[many]
    b = sums.get(few) or Sum(a.axis, rest=few)
    if a.axis != b.axis or (a.rest and b.rest) or not all(map(a.has_room, b.slices)):
        return None
    if uses[many] == 1:
        del sums[many]
    else:
        a = Sum(a.axis, [*a.slices], a.rest)
    for part in b.slices:
        insort(a.slices, part, key=LOW)
    a.rest = a.rest or b.rest
    return a


def padded_slice(x: Value) -> Sum | None:
    """An array that is zero except in a slice of one axis; None if it is another."""
    if name_of(x) != "scatter_add" or len(x.inputs) > 1 or x.dtype.kind not in "fc":
        return None
    spans: list[tuple[int, int]] = []
    for part, n in aligned(x.attributes["index"], x.shape):
        if part is None:
            return None
        low, high, step = (part % n, part % n + 1, 1) if isinstance(part, int) else part.indices(n)
        if step != 1 or high <= low:
            return None
        spans.append((low, high))
    cut = [k for k, span in enumerate(spans) if span != (0, x.shape[k])]
    if len(cut) != 1:
        return None
    (axis,) = cut
    return Sum(axis, [Slice(*spans[axis], x.inputs[0])])


def parts_of(x: Sum, shape: Shape) -> list[list[Slice]]:
    """Slices that are concatenated, in lists: all, with zeros between them if these are the lesser
    part, or those that adjoin. Empty if none are."""
    first, last = x.slices[0], x.slices[-1]
    covered = sum(part.high - part.low for part in x.slices)
    if 2 * covered >= last.high - first.low:
        return [x.slices] if len(x.slices) > 1 else []
    found = [[first]]
    for before, part in itertools.pairwise(x.slices):
        if before.high == part.low:
            found[-1].append(part)
        else:
            found.append([part])
    return found if len(found) < len(x.slices) else []


def rebuilt(graph: Graph, sums: dict[Value, Sum], joined: dict[Value, list[list[Slice]]]) -> Graph:
    """The graph with the sums that are joined, and without what is no longer read then."""

    def inputs_of(value: Value) -> list[Any]:
        if value not in joined:
            return value.values()
        slices = [part.value for part in sums[value].slices]
        rest = sums[value].rest
        return [*slices, rest] if rest else slices

    needed = {*graph.roots()}
    for value in reversed(graph.order):
        if value in needed:
            needed.update(inputs_of(value))
    new: dict[Value, Value] = {}
    for value in graph.order:
        if value not in needed:
            continue
        if value not in joined:
            new[value] = with_inputs(value, new)
            continue
        axis, rest = sums[value].axis, sums[value].rest
        terms = [new[rest]] if rest else []
        for part in joined[value]:
            moved = [Slice(x.low, x.high, new[x.value]) for x in part]
            terms.append(concatenated(moved, axis, value.shape))
        new[value] = functools.reduce(lambda a, b: apply("add", a, b), terms)
    return graph.of(new)


def concatenated(slices: list[Slice], axis: int, shape: Shape) -> Value:
    """Slices with zeros around them and between them. Each entry was added to zeros, so that
    -0.0 became 0.0: so it does here."""
    parts: list[Value] = []
    end = slices[0].low
    sized = lambda n: (*shape[:axis], n, *shape[axis + 1 :])  # noqa: E731
    for part in slices:
        if part.low > end:
            zero = constant(zeros((), part.value.dtype))
            parts.append(apply("expand", zero, shape=sized(part.low - end)))
        x = apply("reshape", part.value, shape=sized(part.high - part.low))
        nested = name_of(part.value) == "concatenate" and part.value.shape == x.shape
        nested = nested and part.value.attributes["axis"] % len(shape) == axis
        each = part.value.values() if nested else [x]
        parts += map(without_minus_zero, each)
        end = part.high
    whole = concatenate(axis, parts)
    index = (*(slice(None),) * axis, slice(slices[0].low, end))
    return whole if whole.shape == shape else apply("scatter_add", whole, shape=shape, index=index)


def concatenate(axis: int, xs: list[Value]) -> Value:
    bounds = (0, *itertools.accumulate(x.shape[axis] for x in xs))
    return apply("concatenate", *xs, axis=axis, bounds=bounds)


def without_minus_zero(x: Value) -> Value:
    """0.0 + x."""
    known = is_never_minus_zero(x) or (name_of(x) == "add" and x.inputs[1] == 0.0)
    return x if known else from_zero(x)
