"""Reductions along axes."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from minigrad.compiler.graph.ir import Shape, Value
from minigrad.compiler.graph.opset.base import FAMILIES, OPSET, Attributes, Rules
from minigrad.compiler.graph.opset.infer import dtype_of_ones
from minigrad.ops.base import Op


class OfAxis(Rules):
    """What runs along an axis, or several: a reduction, or as cumsum does, of the same shape."""

    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape | None:
        shape, axis = shapes[0], attributes["axis"]
        if 0 in shape or not shape:
            return None
        if "keepdims" not in attributes:
            return shape if -len(shape) <= axis < len(shape) else None
        if axis is None:
            return (1,) * len(shape) if attributes["keepdims"] else ()
        return reduced(shape, axis, attributes["keepdims"])

    def dtype(self, op: Op, inputs: Sequence[Any], attributes: Attributes) -> np.dtype[Any]:
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


FAMILIES["reduce"] = OfAxis()


@dataclass(frozen=True)
class Reduction(OfAxis):
    """A reduction with an accumulator.

    `start`: its first value; an infinity is the least or the largest number of the dtype.
    `combine`: how an entry is added to it, see `loops.ir.Accumulate`. `of_truth`: entries are
    taken as booleans. `is_search`: the result is the place of the entry that is found; all others
    are associative, so that each thread may reduce a part.
    """

    start: float
    combine: str
    of_truth: bool = False
    is_search: bool = False

    @property
    def is_extreme(self) -> bool:
        """Whether it is the largest or the smallest entry, or else NaN."""
        return math.isinf(self.start)

    def kind(self, value: Value) -> str:
        return "reduce"


OPSET["sum"] = Reduction(0, "+")
OPSET["prod"] = Reduction(1, "*")
OPSET["any"] = Reduction(0, "|", of_truth=True)
OPSET["all"] = Reduction(1, "&", of_truth=True)
OPSET["max"] = Reduction(-math.inf, "max")
OPSET["min"] = Reduction(math.inf, "min")
OPSET["argmax"] = Reduction(-math.inf, "max", is_search=True)
OPSET["argmin"] = Reduction(math.inf, "min", is_search=True)
