"""Lowering: the C that computes a value at an index.

A value that is not stored is inlined where it is read: elementwise ops by their C expressions,
views by reading their input at another index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigrad.compiler.graph.affine import (
    ZERO,
    Expr,
    Index,
    Known,
    Var,
    aligned,
    flat,
    number,
    unflat,
)
from minigrad.compiler.graph.ir import Value, elementwise
from minigrad.compiler.loops.ir import ROW, Access, Let, Parts
from minigrad.compiler.target import costs
from minigrad.ops.movement import ARRAY

C_TYPES = {
    np.dtype(name): kind
    for name, kind in {
        "float32": "float",
        "float64": "double",
        "int64": "int64_t",
        "int32": "int32_t",
        "int16": "int16_t",
        "int8": "int8_t",
        "uint8": "uint8_t",
        "bool": "bool",
    }.items()
}
# Ops whose C is for floats, or differs from NumPy's integer results in edge cases.
FLOAT_ONLY = "logaddexp hypot arctan2 pow abs floor ceil trunc rint reciprocal sign neg".split()
ABOUT_FLOATS = "isnan isinf isfinite signbit".split()
# Ops that NumPy refuses for booleans, or computes as logical ops.
ARITHMETIC = "add sub mul square neg invert".split()
VIEWS = "reshape transpose expand astype slice pad concatenate windows fold".split()
REDUCTIONS = "sum prod max min any all argmax argmin".split()
FAR = 1 << 40  # a bound for what has none
CONTRACTIONS = "matmul conv2d conv2d_weight".split()


def lowered(value: Value) -> bool:
    """Whether an op has a lowering to C; if not, NumPy computes it."""
    assert value.op is not None
    name, values = value.op.name, value.values()
    for x in (value, *values):
        if x.dtype not in C_TYPES:
            return False
    if 0 in value.shape:
        return False
    if elementwise(value):
        if value.dtype.kind == "b" and name in ARITHMETIC:
            return False
        if name in ABOUT_FLOATS:
            return all(x.dtype.kind == "f" for x in values)
        return value.dtype.kind == "f" or name not in FLOAT_ONLY
    if any(0 in x.shape for x in values):
        return False
    if name in ("slice", "updated", "scatter_add"):
        simple = all(isinstance(p, int | slice | None | type(...)) for p in index_of(value))
        return simple or (name == "scatter_add" and (spread_of(value) is not None or rows(value)))
    if name == "gather":
        return rows(value)
    if name == "fold":
        return len(fold_terms(value)) <= costs.MAX_FOLD_TERMS
    return name in VIEWS or name in REDUCTIONS or name in CONTRACTIONS


def is_view(value: Value) -> bool:
    """Whether each entry is an entry of an input, or a constant."""
    name = value.op.name if value.op else ""
    if is_joined(value):
        return False
    if name == "scatter_add":
        return not arrays_of(value) or spread_of(value) is not None
    return name in VIEWS or name in ("slice", "gather", "updated")


def kind_of(value: Value) -> str:
    """How a value is computed: "leaf" (not at all), "map" (elementwise, or inlined), "reduce",
    "contract", "concat", "scatter" or "numpy"."""
    if value.op is None:
        return "leaf"
    if not lowered(value):
        return "numpy"
    if is_joined(value):
        return "concat"
    if elementwise(value) or is_view(value):
        return "map"
    if value.op.family == "reduce":
        return "reduce"
    return "scatter" if value.op.name == "scatter_add" else "contract"


def is_joined(value: Value) -> bool:
    """Whether it is a concatenation that is done in memory."""
    return (
        value.op is not None
        and value.op.name == "concatenate"
        and value.size > costs.MAX_INLINE_CONCATENATE
    )


def index_of(value: Value) -> tuple[Any, ...]:
    index: tuple[Any, ...] = value.attributes["index"]
    return index


def arrays_of(value: Value) -> list[Value]:
    return [x for x in value.inputs[1:] if type(x) is Value]


def rows(value: Value) -> bool:
    """Whether the leading axes are indexed by integer arrays, and the others taken whole."""
    return all(part is ARRAY for part in index_of(value)) and all(
        x.dtype.kind in "iu" for x in arrays_of(value)
    )


def literal(x: Any, dtype: np.dtype[Any]) -> str:
    """A number of the program, in C."""
    x = dtype.type(x)
    if dtype.kind == "f":
        if not np.isfinite(x):
            text = "NAN" if np.isnan(x) else "INFINITY" if x > 0 else "(-INFINITY)"
            return text if dtype == np.float32 else f"((double){text})"
        text = repr(float(x)) + ("f" if dtype == np.float32 else "")
        return f"({text})" if text.startswith("-") else text
    if dtype.kind == "b":
        return "1" if x else "0"
    return f"({int(x)}LL)" if dtype.itemsize == 8 else f"({int(x)})"


def ctype(dtype: np.dtype[Any]) -> str:
    return C_TYPES[dtype]


@dataclass(frozen=True)
class Condition:
    """`what < bound`, or with >=, or ==."""

    what: Expr
    relation: str
    bound: int

    def always(self) -> bool:
        low, high = self.what.bounds()
        if self.relation == "==":
            return low == high == self.bound
        return high < self.bound if self.relation == "<" else low >= self.bound

    def never(self) -> bool:
        low, high = self.what.bounds()
        if self.relation == "==":
            return not low <= self.bound <= high
        return low >= self.bound if self.relation == "<" else high < self.bound


Load = Callable[[Value, Index], Parts | None]


class Body:
    """The statements inside of loops, each value computed once.

    `load` says where a value is read from, or gives None if it is to be computed here.
    """

    def __init__(self, load: Load, letter: str = "t") -> None:
        self.load, self.letter = load, letter
        self.lines: list[Let] = []
        self.known: dict[tuple[Value, Index], str] = {}
        self.depends: dict[str, frozenset[Var]] = {}

    def define(self, kind: str, parts: Parts, names: Sequence[str] = ()) -> str:
        """Define a variable by an expression, in which `names` are variables defined before."""
        found = [self.depends[n] for n in names if n in self.depends]
        for part in parts:
            place = part.place if isinstance(part, Access) else part
            if isinstance(place, Expr):
                found.append(place.variables())
            if isinstance(part, Access) and part.own:
                found.append(frozenset([ROW]))
        depends = frozenset[Var]().union(*found)
        name = f"{self.letter}{len(self.lines)}"
        self.lines.append(Let(name, kind, parts, depends))
        self.depends[name] = depends
        return name

    def read(self, value: Value, index: Index) -> str:
        """The name of a variable, or a literal, that is a value at an index."""
        if 1 in value.shape:
            index = tuple(ZERO if n == 1 else i for i, n in zip(index, value.shape, strict=True))
        key = value, index
        name = self.known.get(key)
        if name is None:
            parts = self.load(value, index)
            if parts is not None:
                name = self.define(ctype(value.dtype), parts)
            elif value.kind == "constant":
                name = literal(np.asarray(value.array).reshape(()), value.dtype)
            elif elementwise(value):
                name = self.elementwise(value, index)
            else:
                name = getattr(self, value.op.name)(value, index)  # type: ignore[union-attr]  # has an op
            self.known[key] = name
        return name

    def elementwise(self, value: Value, index: Index) -> str:
        assert value.op is not None
        inputs = list(value.inputs)
        dtype = value.dtype if value.dtype.kind != "b" else common_dtype(inputs)
        dtypes = [dtype] * len(inputs)
        if value.op.name == "where":
            dtypes[0] = np.dtype(bool)
        names = [self.input(x, d, index) for x, d in zip(inputs, dtypes, strict=True)]
        text = value.op.lowering.format(*names)
        if value.op.name == "add" and names[0] == names[1]:
            text = f"product({names[0]}, 2)"  # as compilers rewrite it
        return self.define(ctype(value.dtype), (text,), names)

    def input(self, x: Any, dtype: np.dtype[Any], index: Index) -> str:
        """An input of an elementwise op, broadcast, in the dtype that the op computes in."""
        if type(x) is not Value:
            return literal(x, dtype)
        name = self.read(x, index[len(index) - len(x.shape) :])
        return name if x.dtype == dtype else self.cast(name, x, dtype)

    def cast(self, name: str, x: Value, dtype: np.dtype[Any]) -> str:
        text = f"({ctype(dtype)}){name}"
        if x.dtype.kind == "b" and dtype.kind == "f":  # which compilers can vectorise
            text = f"choose({name}, {literal(1, dtype)}, {literal(0, dtype)})"
        return self.define(ctype(dtype), (text,), [name])

    def integer(self, extent: int, parts: Parts, names: Sequence[str] = ()) -> Expr:
        """An index that is computed at run time, as a C variable."""
        name = self.define("int64_t", parts, names)
        return Expr({Known(name, extent, self.depends[name]): 1})

    def divided(self, place: Expr, by: int, conditions: list[Condition]) -> Expr:
        """A place divided by a step, on the condition that it is a multiple of it."""
        if by == 1:
            return place
        rest = self.integer(FAR, ("(", place, f") % {by}"))
        conditions.append(Condition(rest, "==", 0))
        return self.integer(FAR, ("(", place, f") / {by}"))

    def brought_inside(self, place: Expr, n: int) -> Expr:
        """The place, clamped to the axis."""
        low, high = place.bounds()
        return place if low >= 0 and high < n else self.integer(n, ("CLAMP(", place, f", {n})"))

    def choice(
        self,
        value: Value,
        conditions: list[Condition],
        yes: Callable[[], str],
        no: Callable[[], str],
    ) -> str:
        """`yes()` where all conditions hold, else `no()`."""
        open_ones = [c for c in conditions if not c.always()]
        if any(c.never() for c in open_ones):
            return no()
        if not open_ones:
            return yes()
        names = [yes(), no()]
        parts: list[Any] = []
        for c in open_ones:
            parts += [" & " if parts else "", "(", c.what, f" {c.relation} {c.bound})"]
        inside = self.define("bool", tuple(parts))
        text = f"choose({inside}, {names[0]}, {names[1]})"
        return self.define(ctype(value.dtype), (text,), [*names, inside])

    # Views

    def reshape(self, value: Value, index: Index) -> str:
        x = value.inputs[0]
        return self.read(x, unflat(flat(index, value.shape), x.shape))

    def transpose(self, value: Value, index: Index) -> str:
        x, axes = value.inputs[0], value.attributes["axes"]
        axes = tuple(reversed(range(len(index)))) if axes is None else axes
        place = {k % len(index): i for k, i in zip(axes, index, strict=True)}
        return self.read(x, tuple(place[k] for k in range(len(index))))

    def expand(self, value: Value, index: Index) -> str:
        x = value.inputs[0]
        return self.read(x, index[len(index) - len(x.shape) :])

    def astype(self, value: Value, index: Index) -> str:
        x = value.inputs[0]
        return self.cast(self.read(x, index), x, value.dtype)

    def slice(self, value: Value, index: Index) -> str:
        x, found, left = value.inputs[0], [], list(index)
        for part, n in aligned(index_of(value), x.shape):
            if part is None:
                left.pop(0)
            elif isinstance(part, int):
                found.append(number(part % n))
            else:
                start, _, step = part.indices(n)
                found.append(left.pop(0) * step + start)
        return self.read(x, tuple(found))

    def windows(self, value: Value, index: Index) -> str:
        """(*kernel, ..., *outs) reads (..., out*stride + place*dilation)."""
        x, how = value.inputs[0], value.attributes
        n = len(how["kernel"])
        places, lead, outs = index[:n], index[n:-n], index[-n:]
        steps = zip(places, outs, how["stride"], how["dilation"], strict=True)
        return self.read(x, (*lead, *(o * s + p * d for p, o, s, d in steps)))

    def fold(self, value: Value, index: Index) -> str:
        """The sum of the entries of all windows that cover this index."""
        y, how = value.inputs[0], value.attributes
        terms = []
        for place in fold_terms(value):
            spots: list[Expr] = []
            conditions: list[Condition] = []
            places: list[Expr] = []
            for i, p, k, s, d, n in zip(
                index[-2:],
                place,
                y.shape[:2],
                how["stride"],
                how["dilation"],
                y.shape[-2:],
                strict=True,
            ):
                if p is None:  # windows do not overlap: the index gives the place in the kernel
                    spot, at = i.divmod(s)
                    conditions.append(Condition(at, "<", k))
                    at = self.brought_inside(at, k)
                else:
                    at, shifted = number(p), i + -(p * d)
                    conditions.append(Condition(shifted, ">=", 0))
                    spot = self.divided(shifted, s, conditions)
                conditions.append(Condition(spot, "<", n))
                places.append(at)
                spots.append(self.brought_inside(spot, n))
            here = (*places, *index[:-2], *spots)
            there = partial(self.read, y, here)
            terms.append(self.choice(value, conditions, there, zero(value)))
        return self.define(ctype(value.dtype), (" + ".join(terms),), terms)

    def pad(self, value: Value, index: Index) -> str:
        x, width = value.inputs[0], value.attributes["width"]
        conditions = []
        places = []
        for i, n, (before, after) in zip(index, x.shape, width, strict=True):
            conditions += [Condition(i, ">=", before), Condition(i, "<", before + n)]
            place = i + -before
            places.append(self.brought_inside(place, n) if before or after else place)
        other = literal(value.attributes["value"], value.dtype)
        return self.choice(value, conditions, lambda: self.read(x, tuple(places)), lambda: other)

    def concatenate(self, value: Value, index: Index) -> str:
        axis = value.attributes["axis"] % len(index)
        text, start = "", value.shape[axis]
        for x in reversed(value.inputs):
            n = x.shape[axis]
            if not n:
                continue
            start -= n
            place = self.brought_inside(index[axis] + -start, n)
            name = self.read(x, (*index[:axis], place, *index[axis + 1 :]))
            if not text:
                text = name
            else:
                parts = ("(", index[axis], f") < {start + n} ? {name} : {text}")
                text = self.define(ctype(value.dtype), parts, [name, text])
        return text

    def place(
        self, value: Value, index: Index, shape: Sequence[int]
    ) -> tuple[list[Condition], Index]:
        """Conditions that a basic index covers an index, and that index within what it covers."""
        conditions: list[Condition] = []
        found: list[Expr] = []
        rest = iter(index)
        for part, n in aligned(index_of(value), shape):
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
            found.append(self.brought_inside(self.divided(spot, abs(step), conditions), count))
        return conditions, tuple(found)

    def scatter_add(self, value: Value, index: Index) -> str:
        """Zeros, except where the op's index picks entries."""
        g = value.inputs[0]
        if arrays_of(value):
            return self.spread(value, index)
        conditions, there = self.place(value, index, value.shape)
        return self.choice(value, conditions, lambda: self.read(g, there), zero(value))

    def spread(self, value: Value, index: Index) -> str:
        """One-hot rows: each entry of g, at the place that one index array gives."""
        g, (which, axes, depth) = value.inputs[0], spread_of(value) or (0, (), 0)
        array = arrays_of(value)[which]
        spot = tuple(index[k] if k is not None else ZERO for k in axes)
        row = self.row(array, spot[depth - len(array.shape) :], value.shape[which])
        there = self.define("bool", (index[which], " == ", row))
        picked = self.read(g, (*spot, *index[len(arrays_of(value)) :]))
        return self.define(
            ctype(value.dtype), (f"choose({there}, {picked}, {zero(value)()})",), [there, picked]
        )

    def updated(self, value: Value, index: Index) -> str:
        """x, except where the op's index picks entries."""
        x, v = value.inputs[:2]
        conditions, there = self.place(value, index, value.shape)

        def new() -> str:
            if type(v) is not Value:
                return literal(v, value.dtype)
            name = self.read(v, there[len(there) - len(v.shape) :])
            return name if v.dtype == value.dtype else self.cast(name, v, value.dtype)

        return self.choice(value, conditions, new, lambda: self.read(x, index))

    def gather(self, value: Value, index: Index) -> str:
        x, arrays = value.inputs[0], arrays_of(value)
        depth = len(index) - (len(x.shape) - len(arrays))
        places = [
            self.row(array, index[depth - len(array.shape) : depth], n)
            for array, n in zip(arrays, x.shape, strict=False)
        ]
        return self.read(x, (*places, *index[depth:]))

    def row(self, array: Value, index: Index, n: int) -> Expr:
        """An index that is read from memory; for a constant arange, the loop variable."""
        axis = arange_axis(array)
        if axis is not None and array.shape[axis] <= n:
            return index[axis] if array.shape[axis] > 1 else ZERO
        name = self.read(array, index)
        return self.integer(n, (f"looked_up({name}, {n}, bad)",), [name])


def zero(value: Value) -> Callable[[], str]:
    return lambda: literal(0, value.dtype)


def arange_axis(array: Value) -> int | None:
    """The axis along which a fixed constant is 0, 1, 2...; or None."""
    if not array.fixed:
        return None
    assert array.array is not None
    for axis, n in enumerate(array.shape):
        if n == array.size and n > 1:
            return axis if np.array_equal(array.array.ravel(), np.arange(n)) else None
    return 0 if array.size == 1 and array.shape and not array.array.any() else None


def spread_of(value: Value) -> tuple[int, tuple[int | None, ...], int] | None:
    """For a scatter_add whose index arrays are all aranges but one: the position of that one, for
    each axis of the arrays the axis of the result that it runs along, and their number."""
    arrays = arrays_of(value)
    if not arrays or not rows(value):
        return None
    axes = [arange_axis(array) for array in arrays]
    depth = max(len(array.shape) for array in arrays)
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    loose = [
        k for k, axis in enumerate(axes) if axis is None or arrays[k].shape[axis] != value.shape[k]
    ]
    if len(loose) != 1:
        return None
    along: list[int | None] = [None] * depth
    for k, (array, axis) in enumerate(zip(arrays, axes, strict=True)):
        if k != loose[0] and axis is not None:
            at = depth - len(array.shape) + axis
            if array.size > 1:
                if along[at] is not None:
                    return None
                along[at] = k
    if any(a is None and n > 1 for a, n in zip(along, shape, strict=True)):
        return None
    return loose[0], tuple(along), depth


def fold_terms(value: Value) -> list[tuple[int | None, int | None]]:
    """The places in the kernel to sum over for one entry: None along an axis where windows do not
    overlap."""
    kernel, how = value.inputs[0].shape[:2], value.attributes
    ways = [
        [None] if d == 1 and s >= k else list(range(k))
        for k, s, d in zip(kernel, how["stride"], how["dilation"], strict=True)
    ]
    return [(i, j) for i in ways[0] for j in ways[1]]


def common_dtype(inputs: Sequence[Any]) -> np.dtype[Any]:
    """The dtype that a comparison compares in."""
    dtype = np.result_type(*(np.empty(1, x.dtype) if type(x) is Value else x for x in inputs))
    # A Python integer may lie beyond the dtype of what it is compared to.
    fits = dtype.kind not in "iu" or all(
        np.iinfo(dtype).min <= x <= np.iinfo(dtype).max for x in inputs if type(x) is int
    )
    return dtype if fits else np.dtype(np.int64)
