"""Batching rules: how an op is done for all entries of a batch at once, one rule for many ops.

A rule is given the level of the vmap, the op, its inputs (those that are batched with the batch
along axis 0), which of them are batched, and the attributes, which are those of one entry. It
returns the results of all entries, along axis 0. An op without a rule is applied entry by entry.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.dispatch import is_traced
from minigrad.errors import UnsupportedError
from minigrad.ops.base import Op, Shape
from minigrad.ops.binary import where_op
from minigrad.ops.movement import ALL, ARRAY, Index, fill, from_diagonal_op, reshape_op
from minigrad.ops.processing import linear_op, matmul_op, split_terms
from minigrad.ops.reduce import axes_of
from minigrad.transforms.batched import Level, detached, is_batched
from minigrad.transforms.units import Unit, unit_of

Rule = Callable[..., Any]
Flags = Sequence[bool]
How = dict[str, Any]
rules: dict[str, Rule] = {}


def rule_for(names: str) -> Callable[[Rule], Rule]:
    """Register the rule of these ops."""

    def register(rule: Rule) -> Rule:
        rules.update(dict.fromkeys(names.split(), rule))
        return rule

    return register


def rule_of(op: Op) -> Rule:
    """The rule of an op: its own, that of its unit, or entry by entry."""
    return rules.get(op.name) or of_units.get(unit_of(op)) or entry_by_entry


def shape_of(x: Any, batched: bool) -> Shape:
    """The shape of one entry; a Python number has no axes."""
    shape: Shape = getattr(x, "shape", ())
    return shape[1:] if batched else shape


def shapes_of(xs: Sequence[Any], batched: Flags) -> list[Shape]:
    return list(map(shape_of, xs, batched))


def all_batched(level: Level, xs: Sequence[Any], batched: Flags) -> list[Any]:
    """The inputs with the batch along axis 0, also those that are the same for all entries."""
    return [x if own else level.repeated(x) for x, own in zip(xs, batched, strict=True)]


def aligned(level: Level, xs: Sequence[Any], batched: Flags) -> Sequence[Any]:
    """The inputs so that they broadcast as their entries do: batched ones that have fewer axes than
    others get axes of size 1 after that of the batch."""
    ndims = [getattr(x, "ndim", own) - own for x, own in zip(xs, batched, strict=True)]
    if min(ndims) == (ndim := max(ndims)):
        return xs
    triples = zip(xs, batched, ndims, strict=True)
    return [with_axes(level, x, ndim - n) if own and n < ndim else x for x, own, n in triples]


def with_axes(level: Level, x: Any, extra: int) -> Any:
    """x with axes of size 1 after that of the batch."""
    return level.run(reshape_op, x, shape=(level.size, *(1,) * extra, *x.shape[1:]))


def entry_by_entry(level: Level, op: Op, xs: Sequence[Any], batched: Flags, how: How) -> Any:
    """The op on each entry, and the results stacked."""
    results = []
    for k in range(max(level.size, 1)):
        # Of no entries, the shape is that of one of zeros.
        one = [
            (x[k] if level.size else np.zeros(x.shape[1:], x.dtype)) if own else x
            for x, own in zip(xs, batched, strict=True)
        ]
        results.append(level.run(op, *one, **how))
    return np.stack(results)[: level.size]


# Elementwise ops, and others to which leading axes do not matter.


def elementwise(level: Level, op: Op, xs: Sequence[Any], batched: Flags, how: How) -> Any:
    return level.below(op, aligned(level, xs, batched) if len(xs) > 1 else xs, how)


rule_for("cross scipy.interpolate.spline")(elementwise)  # which keep or add last axes


@rule_for("second_cofactors solve_triangular solve_banded solveh_banded")
def stacks(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    """Of ops on several matrices, each in a stack."""
    wholes = all_batched(level, xs, batched)
    return level.run(op, *aligned(level, wholes, [True] * len(xs)), **how)


@rule_for("overlap once")
def flagged(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    """Of stacks of matrices, and last a flag for each of their columns: one axis less."""
    *wholes, flags = all_batched(level, xs, batched)
    *wholes, flags = aligned(level, [*wholes, flags[..., None, :]], [True] * len(xs))
    return level.run(op, *wholes, flags[..., 0, :], **how)


@rule_for("solve")
def solve(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    """A vector on the right is a column: of several, NumPy would make a matrix."""
    a, b = xs
    is_vector = len(shape_of(b, batched[1])) == 1
    b = b[..., None] if is_vector else b
    y = level.run(op, *aligned(level, (a, b), batched), **how)
    return y[..., 0] if is_vector else y


# Movement


@rule_for("reshape")
def reshape(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    shape, size = how["shape"], math.prod(xs[0].shape[1:])
    if -1 in shape and (known := -math.prod(shape)):
        shape = tuple(size // known if n == -1 else n for n in shape)
    return level.run(op, xs[0], shape=(level.size, *shape))


@rule_for("transpose")
def transpose(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    return level.run(op, xs[0], axes=(0, *shifted(how["axes"], xs[0].ndim - 1)))


@rule_for("expand")
def expand(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    shape, (x,) = how["shape"], xs
    x = with_axes(level, x, len(shape) - x.ndim + 1) if x.ndim <= len(shape) else x
    return level.run(op, x, shape=(level.size, *shape))


@rule_for("slice")
def slice_of(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    return level.run(op, xs[0], index=(ALL, *how["index"]))


@rule_for("pad")
def pad(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    return level.run(op, xs[0], width=((0, 0), *how["width"]), value=how["value"])


@rule_for("tile")
def tile(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    (x,), reps = xs, how["reps"]
    x = with_axes(level, x, max(len(reps) - x.ndim + 1, 0))
    return level.run(op, x, reps=(1,) * (x.ndim - len(reps)) + reps)


@rule_for("triu tril")
def triangle(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    (x,) = xs
    if x.ndim == 2:  # a vector, which NumPy broadcasts to a matrix
        size, n = x.shape
        x = np.broadcast_to(x[:, None], (size, n, n))
    return level.run(op, x, **how)


@rule_for("diag")
def diag(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    (x,), k = xs, how["k"]
    side = x.shape[1] + abs(k)
    places = {"offset": k, "axis1": 1, "axis2": 2}
    return level.run(from_diagonal_op, x, shape=(level.size, side, side), **places)


@rule_for("windows")
def windows(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    """(B, ..., H, W) -> (kh, kw, B, ..., OH, OW)"""
    return np.moveaxis(level.run(op, *xs, **how), 2, 0)


@rule_for("fold")
def fold(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    """(B, kh, kw, ..., OH, OW), which the op takes as (kh, kw, B, ..., OH, OW)."""
    return level.run(op, np.moveaxis(xs[0], 0, 2), **how)


# Along axes, which are counted from that after the batch.

FLAT = "argmax argmin roll repeat".split()  # where no axis means that of a flat array


def along_axes(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    later = {key for key in AXES if key in how}
    if not later:
        return entry_by_entry(level, op, xs, batched, how)
    xs = all_batched(level, xs, batched) if len(xs) > 1 else xs
    shape = xs[0].shape[1:]
    if op.name in FLAT and (how["axis"] is None or not shape):
        flat = level.run(reshape_op, xs[0], shape=(level.size, math.prod(shape)))
        y = level.run(op, flat, **how | {"axis": 1})
        if op.name == "roll" or how.get("keepdims"):
            y = np.reshape(
                y, xs[0].shape if op.name == "roll" else (level.size, *(1,) * len(shape))
            )
        return y
    return level.below(op, xs, how | {key: shifted(how[key], len(shape)) for key in later})


@rule_for("from_diagonal")
def from_diagonal(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    (x,), shape = xs, how["shape"]
    x = with_axes(level, x, len(shape) - x.ndim)
    axes = {key: shifted(how[key], len(shape)) for key in ("axis1", "axis2")}
    return level.run(op, x, **how | axes | {"shape": (level.size, *shape)})


AXES = "axis axes axis1 axis2".split()


def shifted(axes: Any, ndim: int) -> Any:
    """Axes of an entry, as those of the whole array; None, which is all of them, as a tuple."""
    if isinstance(axes, int) and ndim:
        return axes_of(axes, ndim)[0] + 1
    return tuple(k + 1 for k in axes_of(axes, ndim)) if axes != () else ()


rule_for("concatenate roll repeat rot90 diagonal")(along_axes)


# Indexing


def without_masks(
    index: Index, arrays: Sequence[Any], batched: Flags
) -> tuple[Index, list[Any], list[bool]]:
    """An index with the places of its masks instead of them."""
    parts: list[Any] = []
    found: list[tuple[Any, bool]] = []
    rest = zip(arrays, batched, strict=True)
    for part in index:
        several = [next(rest)] if part == ARRAY else []
        if several and several[0][0].dtype.kind == "b":
            ((mask, own),) = several
            if own or is_batched(mask):
                raise UnsupportedError(
                    "an index by a mask that differs from entry to entry, under vmap: how many "
                    "values it picks would differ too. Write np.where(mask, x, 0), or reduce with "
                    "where=mask"
                )
            several = [(places, False) for places in np.nonzero(detached(mask))]
        parts += [ARRAY] * len(several) if several else [part]
        found += several
    return tuple(parts), [x for x, _ in found], [own for _, own in found]


def place_of_arrays(index: Index, ndim: int) -> int | None:
    """Where the axes of the index arrays are in what they pick from an entry: in their place, if
    they are next to each other (as numbers among them count); else in front, which is None."""
    advanced = [part == ARRAY or isinstance(part, int) for part in index]
    first, end = advanced.index(True), len(index) - advanced[::-1].index(True)
    if not all(advanced[first:end]):
        return None
    taken = sum(part is not None and part is not ... for part in index)
    return sum(ndim - taken if part is ... else 1 for part in index[:first])


class Picked:
    """An index into an entry, as one into all entries.

    NumPy orders the axes of what it picks by where the index arrays are: `outward` brings the batch
    to the front, and each entry in order; `inward` is the inverse.
    """

    def __init__(
        self,
        level: Level,
        index: Index,
        arrays: Sequence[Any],
        batched: Flags,
        ndim: int,
        own: bool = True,
    ) -> None:
        index, arrays, batched = without_masks(index, arrays, batched)
        self.shapes = shapes_of(arrays, batched)
        self.index_of_entry = index
        self.sources, self.targets = range(0), range(0)
        self.index, self.arrays = (ALL, *index), arrays
        if not arrays:
            return
        count = max(map(len, self.shapes))
        place = place_of_arrays(index, ndim)
        if not any(batched):
            if place is None:  # (arrays, B, rest)
                self.sources, self.targets = range(count, count + 1), range(1)
            return
        pairs = zip(arrays, batched, strict=True)
        wide = [with_axes(level, x, count + 1 - x.ndim) if each else x for x, each in pairs]
        place = place or 0
        if own:  # (B, arrays, rest)
            first = np.arange(level.size).reshape(-1, *(1,) * count)
            self.index, self.arrays = (ARRAY, *index), [first, *wide]
            self.sources, self.targets = range(1, count + 1), range(place + 1, place + count + 1)
        else:  # (some of the rest, B, arrays, the others)
            self.index, self.arrays = index, wide
            self.sources, self.targets = range(place, place + 1), range(1)

    def outward(self, y: Any) -> Any:
        return (
            y if self.sources == self.targets else np.moveaxis(y, [*self.sources], [*self.targets])
        )

    def inward(self, y: Any) -> Any:
        return (
            y if self.sources == self.targets else np.moveaxis(y, [*self.targets], [*self.sources])
        )

    def shape_in(self, shape: Shape) -> Shape:
        """The shape of what it picks from an entry of this shape."""
        zeros = [np.broadcast_to(0, each) for each in self.shapes]
        return np.broadcast_to(0, shape)[fill(self.index_of_entry, zeros)].shape


def is_odd(arrays: Sequence[Any], batched: Flags) -> bool:
    """Whether a single boolean is among the index arrays."""
    shapes = zip(arrays, shapes_of(arrays, batched), strict=True)
    return any(x.dtype.kind == "b" and not shape for x, shape in shapes)


@rule_for("gather")
def gather(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    (x, *arrays), (own, *flags) = xs, batched
    if is_odd(arrays, flags):
        return entry_by_entry(level, op, xs, batched, how)
    to = Picked(level, how["index"], arrays, flags, len(shape_of(x, own)), own)
    return to.outward(level.run(op, x, *to.arrays, index=to.index))


@rule_for("scatter_add")
def scatter_add(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    (g, *arrays), (own, *flags) = xs, batched
    if is_odd(arrays, flags):
        return entry_by_entry(level, op, xs, batched, how)
    to = Picked(level, how["index"], arrays, flags, len(how["shape"]))
    g = to.inward(g if own else level.repeated(g))
    return level.run(op, g, *to.arrays, shape=(level.size, *how["shape"]), index=to.index)


MASK = ((ARRAY,), (ARRAY, ...))  # an index by a mask alone


@rule_for("updated")
def updated(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    (x, v, *arrays), (own, of_value, *flags) = xs, batched
    if is_odd(arrays, flags):
        return entry_by_entry(level, op, xs, batched, how)
    shape, written = shape_of(x, own), shape_of(v, of_value)
    if flags == [False] and arrays[0].dtype.kind == "b" and is_traced(detached(arrays[0])):
        arrays, flags = [level.repeated(arrays[0])], [True]  # its places are not known yet
    if flags == [True] and arrays[0].dtype.kind == "b" and how["index"] in MASK:
        rest = len(shape) + 1 - arrays[0].ndim
        if len(written) <= rest and shape_of(arrays[0], True) == shape[: len(shape) - rest]:
            mask = level.run(reshape_op, arrays[0], shape=arrays[0].shape + (1,) * rest)
            picked = elementwise(level, where_op, (mask, v, x), (True, of_value, own), {})
            return picked if picked.dtype == x.dtype else np.astype(picked, x.dtype)
    to = Picked(level, how["index"], arrays, flags, len(shape))
    x = x if own else level.repeated(x)
    picked = to.shape_in(x.shape[1:])
    if of_value and v.ndim <= len(picked):
        v = with_axes(level, v, len(picked) - v.ndim + 1)
    if to.sources != to.targets:
        v = to.inward(np.broadcast_to(v, (level.size, *picked)))
    return level.run(op, x, v, *to.arrays, index=to.index)


# Contractions


@rule_for("matmul")
def matmul(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    x, y = xs
    if batched[0] and not batched[1] and y.ndim == 2:
        return by_rows(level, matmul_op, x, y, y.shape[1])
    return level.run(matmul_op, *aligned(level, xs, batched))


def by_rows(level: Level, op: Op, x: Any, y: Any, columns: int) -> Any:
    """One product of two matrices, of all rows of x."""
    flat = level.run(reshape_op, x, shape=(math.prod(x.shape[:-1]), x.shape[-1]))
    return level.run(reshape_op, level.run(op, flat, y), shape=(*x.shape[:-1], columns))


@rule_for("linear")
def linear(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    x, w = xs
    if not batched[1]:
        return by_rows(level, op, x, w, w.shape[0])
    if not batched[0]:  # (out, B, n)
        return np.moveaxis(by_rows(level, op, w, x, x.shape[0]), 2, 1)
    return level.run(matmul_op, x, np.swapaxes(w, -1, -2))


@rule_for("dot")
def dot(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    """Vectors of all entries are the rows of a matrix; or each is a matrix of one row or column."""
    x, y = xs
    row, column = (len(shape) == 1 for shape in shapes_of(xs, batched))
    if row and not batched[1] and y.ndim <= 2:
        return level.run(op if column else matmul_op, x, y)
    if column and not batched[0] and x.ndim <= 2:
        return level.run(op, y, x) if row else level.run(linear_op, y, x)
    x, y = np.expand_dims(x, -2) if row else x, np.expand_dims(y, -1) if column else y
    z = matmul(level, op, (x, y), batched, how)
    z = z[..., 0] if column else z
    return z if not row else z[..., 0] if column else z[..., 0, :]


@rule_for("outer")
def outer(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    x, y = xs
    return np.multiply(x[..., None], y[..., None, :])


@rule_for("einsum")
def einsum(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    """One more letter."""
    terms, output = split_terms(how["subscripts"])
    free = next((c for c in string.ascii_letters if c not in how["subscripts"]), "")
    if not free:
        return entry_by_entry(level, op, xs, batched, how)
    terms = [free * own + term for term, own in zip(terms, batched, strict=True)]
    return level.run(op, *xs, subscripts=f"{','.join(terms)}->{free}{output}")


# Convolution: images of all entries as more images; weights of all entries as more groups.


def into_images(level: Level, x: Any) -> Any:
    """(B, N, ...) -> (B * N, ...)"""
    return level.run(reshape_op, x, shape=(level.size * x.shape[1], *x.shape[2:]))


def into_channels(level: Level, x: Any) -> Any:
    """(B, N, C, H, W) -> (N, B * C, H, W)"""
    x = np.moveaxis(x, 0, 1)
    return level.run(reshape_op, x, shape=(x.shape[0], level.size * x.shape[2], *x.shape[3:]))


def out_of_channels(level: Level, x: Any) -> Any:
    """(N, B * C, H, W) -> (B, N, C, H, W)"""
    shape = (x.shape[0], level.size, x.shape[1] // max(level.size, 1), *x.shape[2:])
    return np.moveaxis(level.run(reshape_op, x, shape=shape), 1, 0)


@rule_for("conv2d conv2d_input")
def convolution(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    if not level.size:
        return entry_by_entry(level, op, xs, batched, how)
    x, w = xs
    if not batched[1]:
        y = level.run(op, into_images(level, x), w, **how)
        return level.run(reshape_op, y, shape=(level.size, x.shape[1], *y.shape[1:]))
    x, w = all_batched(level, xs, batched)
    how = how | {"groups": level.size * how["groups"]}
    return out_of_channels(
        level, level.run(op, into_channels(level, x), into_images(level, w), **how)
    )


@rule_for("conv2d_weight")
def weights_of_convolution(level: Level, op: Op, xs: Any, batched: Flags, how: How) -> Any:
    if not level.size:
        return entry_by_entry(level, op, xs, batched, how)
    x, y = (into_channels(level, each) for each in all_batched(level, xs, batched))
    w = level.run(op, x, y, **how | {"groups": level.size * how["groups"]})
    return level.run(reshape_op, w, shape=(level.size, w.shape[0] // level.size, *w.shape[1:]))


of_units: dict[Unit, Rule] = {"entry": elementwise, "matrix": elementwise, "axes": along_axes}
