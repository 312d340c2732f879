"""Lowering: what a value is at an index, as C.

A value that is not kept in memory is computed where it is read: ops of the elementwise families by
their C expressions, views by reading their input at another index.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.compile.ir import Shape, Value
from minigrad.ops.movement import ARRAY

Index = tuple[str, ...]

C_TYPES = {
    "float32": "float",
    "float64": "double",
    "int64": "int64_t",
    "int32": "int32_t",
    "int16": "int16_t",
    "int8": "int8_t",
    "uint8": "uint8_t",
    "bool": "bool",
}
# Their C is for floats, or does not say what NumPy does at the edges.
FLOAT_ONLY = "pow abs floor ceil trunc rint reciprocal sign neg".split()
ABOUT_FLOATS = "isnan isinf isfinite signbit".split()
# Of booleans, NumPy means something else by them.
ARITHMETIC = "add sub mul square neg invert".split()
LEFT_TO_NUMPY = "mod floor_divide logaddexp hypot arctan2".split()
VIEWS = "reshape transpose expand astype slice pad concatenate windows".split()
REDUCTIONS = "sum mean max min any all logsumexp".split()


def elementwise(value: Value) -> bool:
    return value.op is not None and value.op.family in ("unary", "binary")


def lowered(value: Value) -> bool:
    """Whether there is C for it; or else NumPy computes it."""
    if value.op is None:
        return True
    name, family = value.op.name, value.op.family
    known = [value, *value.values()]
    if any(x.dtype.name not in C_TYPES for x in known) or value.size == 0:
        return False
    if elementwise(value):
        if name in LEFT_TO_NUMPY or (value.dtype.kind == "b" and name in ARITHMETIC):
            return False
        if name in ABOUT_FLOATS:
            return all(x.dtype.kind == "f" for x in value.values())
        return value.dtype.kind == "f" or name not in FLOAT_ONLY
    if name == "slice":
        return all(isinstance(part, int | slice | None | type(...)) for part in index_of(value))
    if name == "gather":
        return all(part is ARRAY for part in index_of(value)) and all(
            x.dtype.kind in "iu" for x in arrays_of(value)
        )
    if name == "pad":
        return True
    return (
        name in VIEWS or (family == "reduce" and name in REDUCTIONS) or name in ("matmul", "linear")
    )


def index_of(value: Value) -> tuple[Any, ...]:
    index: tuple[Any, ...] = value.attributes["index"]
    return index


def arrays_of(value: Value) -> list[Value]:
    return [x for x in value.inputs[1:] if type(x) is Value]


def literal(x: Any, dtype: np.dtype[Any]) -> str:
    """A number of the program, in C."""
    x = dtype.type(x)
    if dtype.kind == "f":
        if not np.isfinite(x):
            return "NAN" if np.isnan(x) else "INFINITY" if x > 0 else "(-INFINITY)"
        text = repr(float(x)) + ("f" if dtype == np.float32 else "")
        return f"({text})" if text.startswith("-") else text
    if dtype.kind == "b":
        return "1" if x else "0"
    return f"({int(x)}LL)" if dtype.itemsize == 8 else f"({int(x)})"


def ctype(dtype: np.dtype[Any]) -> str:
    return C_TYPES[dtype.name]


def strides_of(shape: Shape) -> list[int]:
    """Of an array in C order, in entries."""
    return [math.prod(shape[k + 1 :]) for k in range(len(shape))]


def linear(index: Sequence[str], strides: Sequence[int]) -> str:
    """An index and strides as the place in memory."""
    terms = [
        i if s == 1 else f"{i}*{s}" for i, s in zip(index, strides, strict=True) if i != "0" and s
    ]
    return " + ".join(terms) or "0"


class Body:
    """The statements inside of a loop, in which each thing is computed once.

    What they define is named by a letter, and numbers.
    """

    letter = "t"

    def __init__(self, load: Callable[[Value, Index], str | None]) -> None:
        self.load = load
        self.lines: list[str] = []
        self.known: dict[tuple[Value, Index], str] = {}

    def read(self, value: Value, index: Index) -> str:
        """The name of what a value is at an index."""
        index = tuple("0" if n == 1 else i for i, n in zip(index, value.shape, strict=True))
        key = value, index
        if key not in self.known:
            text = self.load(value, index)
            if text is None:
                text = self.compute(value, index)
            name = f"{self.letter}{len(self.known)}"
            self.lines.append(f"const {ctype(value.dtype)} {name} = {text};")
            self.known[key] = name
        return self.known[key]

    def compute(self, value: Value, index: Index) -> str:
        assert value.op is not None
        if elementwise(value):
            return self.elementwise(value, index)
        method: Callable[[Value, Index], str] = getattr(self, value.op.name)
        return method(value, index)

    def elementwise(self, value: Value, index: Index) -> str:
        assert value.op is not None
        inputs = list(value.inputs)
        dtype = value.dtype if value.dtype.kind != "b" else common_dtype(inputs)
        dtypes = [dtype] * len(inputs)
        if value.op.name == "where":
            dtypes[0] = np.dtype(bool)
        texts = [self.input(x, d, index) for x, d in zip(inputs, dtypes, strict=True)]
        return value.op.lowering.format(*texts)

    def input(self, x: Any, dtype: np.dtype[Any], index: Index) -> str:
        """An input of an elementwise op, broadcast, in the dtype that the op computes in."""
        if type(x) is not Value:
            return literal(x, dtype)
        name = self.read(x, index[len(index) - len(x.shape) :])
        return name if x.dtype == dtype else f"(({ctype(dtype)}){name})"

    # Views

    def reshape(self, value: Value, index: Index) -> str:
        x = value.inputs[0]
        return self.read(x, reshaped(index, value.shape, x.shape))

    def transpose(self, value: Value, index: Index) -> str:
        x, axes = value.inputs[0], value.attributes["axes"]
        axes = tuple(reversed(range(len(index)))) if axes is None else axes
        place = dict(zip(axes, index, strict=True))
        return self.read(x, tuple(place[k] for k in range(len(index))))

    def expand(self, value: Value, index: Index) -> str:
        x = value.inputs[0]
        return self.read(x, index[len(index) - len(x.shape) :])

    def astype(self, value: Value, index: Index) -> str:
        return f"({ctype(value.dtype)}){self.read(value.inputs[0], index)}"

    def slice(self, value: Value, index: Index) -> str:
        x, found, left = value.inputs[0], [], list(index)
        for part, n in aligned(index_of(value), x.shape):
            if part is None:
                left.pop(0)
            elif isinstance(part, int):
                found.append(str(part % n))
            else:
                start, _, step = part.indices(n)
                found.append(affine(left.pop(0), step, start))
        return self.read(x, tuple(found))

    def windows(self, value: Value, index: Index) -> str:
        """(*kernel, N, C, *outs) reads (N, C, out*stride + place*dilation)."""
        x, how = value.inputs[0], value.attributes
        n = len(how["kernel"])
        places, (batch, channel), outs = index[:n], index[n : n + 2], index[n + 2 :]
        steps = zip(places, outs, how["stride"], how["dilation"], strict=True)
        spots = [f"({affine(o, s, 0)} + {affine(p, d, 0)})" for p, o, s, d in steps]
        return self.read(x, (batch, channel, *spots))

    def pad(self, value: Value, index: Index) -> str:
        x, width = value.inputs[0], value.attributes["width"]
        inside, places = [], []
        for i, n, (before, after) in zip(index, x.shape, width, strict=True):
            places.append(affine(i, 1, -before))
            inside += [f"{i} >= {before}"] if before else []
            inside += [f"{i} < {before + n}"] if after else []
        # What is not there is not read: the place is brought inside, and what is there left out.
        if not inside:
            return self.read(x, tuple(places))
        safe = tuple(
            f"CLAMP({p}, {n})" if w != (0, 0) else p
            for p, n, w in zip(places, x.shape, map(tuple, width), strict=True)
        )
        other = literal(value.attributes["value"], value.dtype)
        return f"{' && '.join(inside)} ? {self.read(x, safe)} : {other}"

    def concatenate(self, value: Value, index: Index) -> str:
        axis = value.attributes["axis"] % len(index)
        parts: list[tuple[int, str]] = []
        start = 0
        for x in value.inputs:
            n = x.shape[axis]
            place = f"CLAMP({affine(index[axis], 1, -start)}, {n})"
            name = self.read(x, (*index[:axis], place, *index[axis + 1 :]))
            start += n
            parts.append((start, f"(({ctype(value.dtype)}){name})"))
        text = parts[-1][1]
        for end, name in reversed(parts[:-1]):
            text = f"{index[axis]} < {end} ? {name} : ({text})"
        return text

    def gather(self, value: Value, index: Index) -> str:
        x, arrays = value.inputs[0], arrays_of(value)
        depth = len(index) - (len(x.shape) - len(arrays))
        places = []
        for array, n in zip(arrays, x.shape, strict=False):
            name = self.read(array, index[depth - len(array.shape) : depth])
            places.append(f"row((int64_t){name}, {n}, bad)")
        return self.read(x, (*places, *index[depth:]))


def common_dtype(inputs: Sequence[Any]) -> np.dtype[Any]:
    """What a comparison compares in."""
    return np.result_type(*(np.empty(1, x.dtype) if type(x) is Value else x for x in inputs))


def affine(i: str, step: int, start: int) -> str:
    if i == "0":
        return str(start)
    text = i if step == 1 else f"{i}*{step}"
    return text if not start else f"({text} + {start})" if start > 0 else f"({text} - {-start})"


def aligned(index: tuple[Any, ...], shape: Shape) -> list[tuple[Any, int]]:
    """The parts of an index, each with the size of the axis it is for; None has none."""
    count = sum(part is not None and part is not ... for part in index)
    rest = [slice(None)] * (len(shape) - count)
    parts: list[Any] = []
    for part in index if any(part is ... for part in index) else (*index, ...):
        parts += rest if part is ... else [part]
    sizes = iter(shape)
    return [(part, 0 if part is None else next(sizes)) for part in parts]


def reshaped(index: Index, shape: Shape, other: Shape) -> Index:
    """The index into `other` of the entry that is at `index` of `shape`, both in C order.

    Axes go over in groups of the same size: most are the same on both sides, merged, or split.
    """
    found: list[str] = []
    a = b = 0
    while a < len(shape) or b < len(other):
        first_a, first_b = a, b
        size_a = shape[a] if a < len(shape) else 1
        size_b = other[b] if b < len(other) else 1
        a, b = min(a + 1, len(shape)), min(b + 1, len(other))
        while size_a != size_b:
            if size_a < size_b:
                size_a *= shape[a]
                a += 1
            else:
                size_b *= other[b]
                b += 1
        here, there = shape[first_a:a], other[first_b:b]
        if here == there:
            found += index[first_a:a]
            continue
        flat = linear(index[first_a:a], strides_of(here))
        for n, stride in zip(there, strides_of(there), strict=True):
            text = f"({flat})" if stride == 1 else f"({flat})/{stride}"
            outermost = stride * n == size_b
            found.append("0" if n == 1 else text if outermost else f"({text} % {n})")
    return tuple(found)
