"""Reductions along axes."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from minigrad.compiler.graph.affine import Index, number, ravel_index
from minigrad.compiler.graph.ir import Shape, Value, name_of
from minigrad.compiler.graph.opset.base import (
    DTYPES,
    FAMILIES,
    INDEX,
    OPSET,
    Apply,
    Expression,
    Lowering,
    Number,
    Operand,
    Rules,
    entry,
    in_pairs,
    indices_of,
    own_op,
)
from minigrad.compiler.graph.opset.elementwise import from_zero, in_one_dtype, is_never_minus_zero
from minigrad.compiler.graph.opset.infer import apply, dtype_of_ones, infer
from minigrad.compiler.target import costs
from minigrad.ops.base import Op


class AlongAxis(Rules):
    """What runs along an axis, or several: a reduction, or as cumsum does, of the same shape."""

    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape | None:
        shape, axis = shapes[0], attributes["axis"]
        if 0 in shape or not shape:
            return None
        if "keepdims" not in attributes:
            return shape if -len(shape) <= axis < len(shape) else None
        if axis is None:
            return (1,) * len(shape) if attributes["keepdims"] else ()
        return reduced(shape, axis, attributes["keepdims"])

    def dtype(self, op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> np.dtype[Any]:
        return dtype_of_ones(op, inputs, {**attributes, "axis": 0}, (1,))

    def order(self, value: Value, order: tuple[int, ...]) -> tuple[int, ...]:
        if len(value.shape) == len(order):
            return order
        reduced = reduced_axes(value)
        left = [k for k in range(len(order)) if k not in reduced]
        return tuple(left.index(k) for k in order if k not in reduced)


@functools.lru_cache(10_000)
def reduced(shape: Shape, axis: Any, keepdims: bool) -> Shape:
    axes = normalize_axis_tuple(axis, len(shape))
    if keepdims:
        return tuple(1 if k in axes else n for k, n in enumerate(shape))
    return tuple(n for k, n in enumerate(shape) if k not in axes)


def reduced_axes(value: Value) -> set[int]:
    axis, n = value.attributes["axis"], len(value.inputs[0].shape)
    axes = range(n) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return {k % n for k in axes} if n else set()


FAMILIES["reduce"] = AlongAxis()


@dataclass(frozen=True)
class Reduction(AlongAxis):
    """A reduction with an accumulator.

    `start`: its first value; an infinity is the least or the largest number of the dtype.
    `combine`: how an entry is added to it, see `loops.ir.Accumulate`. `binary`: an op that does so.
    `is_logical`: entries are taken as booleans. All are associative: each thread may reduce a part.
    """

    start: float
    combine: str
    binary: str = ""
    is_logical: bool = False

    @property
    def is_min_max(self) -> bool:
        """Whether it is the largest or the smallest entry, or else NaN."""
        return math.isinf(self.start)

    def kind(self, value: Value) -> str:
        return "reduce"

    def decompose(self, value: Value) -> Value:
        """Over a few leading slices, as of pooling windows, as binary ops: these can be fused with
        other elementwise ops."""
        x = value.inputs[0]
        if not self.binary or x.dtype != value.dtype:
            return value
        axis, n = value.attributes["axis"], len(x.shape)
        if axis is None or not n:
            return value
        axes = sorted(k % n for k in (axis if isinstance(axis, tuple) else (axis,)))
        kernel = x.shape[: len(axes)]
        leading = axes == list(range(len(axes))) and n > len(axes)
        if not leading or not 0 < np.prod(kernel) <= costs.MAX_UNROLLED_TERMS:
            return value
        terms = [apply("slice", x, index=place) for place in np.ndindex(kernel)]
        while len(terms) > 1:
            pairs = [apply(self.binary, *terms[k : k + 2]) for k in range(0, len(terms) - 1, 2)]
            terms = pairs + terms[len(pairs) * 2 :]
        adds = self.combine == "+" and value.dtype.kind == "f" and not is_never_minus_zero(x)
        total = from_zero(terms[0]) if adds else terms[0]
        if value.attributes["keepdims"]:
            return apply("slice", total, index=(None,) * len(axes))
        return total

    def scalars(self, value: Value) -> float:
        size: int = value.inputs[0].size
        return size

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        x, dtype = value.inputs[0], value.dtype
        names = [to.read(x, place) for place in self.places(value, index)]
        if self.is_logical:
            names = [to.define(dtype, is_not_zero(name)) for name in names]
        elif x.dtype != dtype:
            names = [to.cast(name, x, dtype) for name in names]
        if self.combine == "+" and dtype.kind == "f" and not is_never_minus_zero(x):
            names.append(Number.of(0, dtype))

        def both(a: Operand, b: Operand) -> Operand:
            return to.define(dtype, combined(self, a, b))

        return in_pairs(names, both)

    def places(self, value: Value, index: Index) -> Iterator[Index]:
        """The indices of the terms of an entry."""
        shape, axes = value.inputs[0].shape, reduced_axes(value)
        keeps = value.attributes.get("keepdims")
        own = [i for k, i in enumerate(index) if not (keeps and k in axes)]
        for place in indices_of(tuple(n for k, n in enumerate(shape) if k in axes)):
            terms, kept = iter(place), iter(own)
            yield tuple(next(terms) if k in axes else next(kept) for k in range(len(shape)))


def combined(reduction: Reduction, total: Expression, x: Expression) -> Expression:
    """An accumulator after one more entry; NaN propagates."""
    if not reduction.is_min_max:
        return Apply(reduction.combine, (total, is_not_zero(x) if reduction.is_logical else x))
    better = Apply(sign_of(reduction), (x, total))
    return Apply("select", (Apply("|", (better, Apply("!=", (x, x)))), x, total))


def is_not_zero(x: Expression) -> Apply:
    return Apply("!=", (x, number(0)))


def sign_of(reduction: Reduction) -> str:
    """How an entry compares to the one that it replaces."""
    return ">" if reduction.start < 0 else "<"


OPSET["sum"] = Reduction(0, "+", "add")
OPSET["prod"] = Reduction(1, "*")
OPSET["any"] = Reduction(0, "|", is_logical=True)
OPSET["all"] = Reduction(1, "&", is_logical=True)
OPSET["max"] = Reduction(-math.inf, "max", "maximum")
OPSET["min"] = Reduction(math.inf, "min", "minimum")


def places_of(x: Any, found: Any, axes: tuple[int, ...]) -> Any:
    shape = tuple(n if k in axes else 1 for k, n in enumerate(x.shape))
    own = np.arange(math.prod(shape)).reshape(shape)
    return np.where((x == found) | (x != x), own, math.prod(shape))


# Of each entry that is equal to what was found along the axes, or NaN, its place in C order along
# them; of others, the number of entries.
PLACES = own_op("places", places_of)


@entry("places")
class Places(Rules):
    compares = True

    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape:
        return shapes[0]

    def dtype(self, op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> np.dtype[Any]:
        """One of 32 bits, if that is enough: more fit in a vector."""
        count = math.prod(inputs[0].shape[k] for k in attributes["axes"])
        return np.dtype(np.int32) if count <= np.iinfo(np.int32).max else INDEX

    def kind(self, value: Value) -> str:
        return "map"

    def read(self, value: Value, index: Index, to: Lowering) -> Operand:
        x, found = value.inputs
        axes = value.attributes["axes"]
        entry, best = to.read(x, index), to.read(found, index)
        own = ravel_index([index[k] for k in axes], [x.shape[k] for k in axes])
        count = math.prod(x.shape[k] for k in axes)
        is_it = Apply("|", (Apply("==", (entry, best)), Apply("!=", (entry, entry))))
        place = Apply(f"cast {value.dtype}", (own,))
        test = to.define(np.dtype(bool), is_it)
        return to.define(value.dtype, Apply("if", (test, place, Number.of(count, value.dtype))))


@entry("argmax", "argmin")
class Search(AlongAxis):
    def decompose(self, value: Value) -> Value:
        """The least of the places where an entry is equal to the largest, or NaN: two passes that
        are vectors, in place of one that is not."""
        (x,), how = value.inputs, value.attributes
        assert value.op is not None
        if not x.shape or x.dtype not in DTYPES:
            return value
        found = apply(value.op.name[3:], x, axis=how["axis"], keepdims=True)
        axes = {"axes": tuple(sorted(reduced_axes(value)))}
        places = Value(PLACES, (x, found), axes, *infer(PLACES, (x, found), axes))
        return apply("astype", apply("min", places, **how), dtype=value.dtype)


@dataclass(frozen=True)
class Scan(AlongAxis):
    """What keeps every value of the accumulator along an axis: see `Reduction`. Inputs before the
    last are factors of the accumulator, before an entry of the last is combined with it."""

    start: float
    combine: str

    def kind(self, value: Value) -> str:
        return "scan"


OPSET["cumsum"] = Scan(-0.0, "+")  # -0.0 + x is x, also if that is -0.0
OPSET["cumprod"] = Scan(1, "*")
OPSET["recurrence"] = Scan(0, "+")


@entry("mean")
class Mean(AlongAxis):
    def decompose(self, value: Value) -> Value:
        (x,) = value.inputs
        x = x if x.dtype.kind == "f" else apply("astype", x, dtype=value.dtype)
        return apply("div", apply("sum", x, **value.attributes), x.size // value.size)


# One largest entry, one exponential and one sum for all that exponentiate the same rows: so for a
# logsumexp or a log_softmax and its derivative.


def stable_exp(x: Value, axis: Any) -> tuple[Value, Value, Value, Value]:
    """The largest x, x less that (but for rows of -inf), exp of this, and the sum of it."""
    largest = apply("max", x, axis=axis, keepdims=True)
    x = apply("sub", x, apply("where", apply("equal", largest, -np.inf), 0, largest))
    terms = apply("exp", x)
    return largest, x, terms, apply("sum", terms, axis=axis, keepdims=True)


@entry("logsumexp")
class LogSumExp(AlongAxis):
    def decompose(self, value: Value) -> Value:
        """log(sum(exp(x - m))) + m, where m is the largest x; and inf, if that is it."""
        (x,) = value.inputs
        largest, _, _, total = stable_exp(x, value.attributes["axis"])
        finite = apply("where", apply("equal", largest, -np.inf), 0, largest)
        found = apply("add", apply("log", total), finite)
        found = apply("where", apply("equal", largest, np.inf), np.inf, found)
        return apply("reshape", found, shape=value.shape)


@entry("softmax")
class Softmax(AlongAxis):
    def decompose(self, value: Value) -> Value:
        (x,) = value.inputs
        axis = value.attributes["axis"]
        if (found := infinite_rows(x)) is not None:
            infinite, equal, finite = found
            parts = apply("astype", equal, dtype=value.dtype)
            count = apply("sum", parts, axis=axis, keepdims=True)
            parts = apply("div", parts, apply("maximum", count, 1))
            return apply("where", infinite, parts, apply("softmax", finite, axis=axis))
        _, _, terms, total = stable_exp(x, axis)
        return apply("div", terms, apply("maximum", total, 1))


def infinite_rows(x: Value) -> tuple[Value, Value, Value] | None:
    """In the derivative of a logsumexp: which rows are infinite, which entries then have equal
    parts of the cotangent, and the other rows."""
    if name_of(x) != "where" or name_of(x.inputs[0]) != "isinf":
        return None
    infinite, parts, finite = x.inputs
    if name_of(parts) != "where" or parts.inputs[1:] != (0, -np.inf):
        return None
    return None if finite.shape != x.shape else (infinite, parts.inputs[0], finite)


@entry("log_softmax")
class LogSoftmax(AlongAxis):
    def decompose(self, value: Value) -> Value:
        _, x, _, total = stable_exp(value.inputs[0], value.attributes["axis"])
        return apply("sub", x, apply("log", apply("maximum", total, 1)))


def variance(value: Value) -> Value:
    """The mean square of x less its mean, over the number of entries less ddof."""
    (x,) = in_one_dtype(value).inputs
    ddof, how = value.attributes["ddof"], {k: value.attributes[k] for k in ("axis", "keepdims")}
    count = x.size // value.size
    total = apply("sum", x, axis=how["axis"], keepdims=True)
    deviation = apply("sub", x, apply("div", total, count))
    squares = apply("sum", apply("mul", deviation, deviation), **how)
    return apply("div", squares, max(count - ddof, 0))


@entry("var")
class Var(AlongAxis):
    def decompose(self, value: Value) -> Value:
        return variance(value)


@entry("std")
class Std(AlongAxis):
    def decompose(self, value: Value) -> Value:
        return apply("sqrt", variance(value))


@entry("norm")
class Norm(AlongAxis):
    def decompose(self, value: Value) -> Value:
        (x,) = in_one_dtype(value).inputs
        return apply("sqrt", apply("sum", apply("mul", x, x), **value.attributes))
