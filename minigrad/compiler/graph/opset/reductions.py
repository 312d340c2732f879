"""Reductions along axes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from minigrad.compiler.graph.ir import Shape, Value
from minigrad.compiler.graph.opset.base import FAMILIES, Attributes, Rules, entry
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


@functools.lru_cache(10_000)
def reduced(shape: Shape, axis: Any, keepdims: bool) -> Shape:
    axes = normalize_axis_tuple(axis, len(shape))
    if keepdims:
        return tuple(1 if k in axes else n for k, n in enumerate(shape))
    return tuple(n for k, n in enumerate(shape) if k not in axes)


FAMILIES["reduce"] = OfAxis()


@entry("sum", "prod", "max", "min", "any", "all", "argmax", "argmin")
class Reduction(OfAxis):
    def kind(self, value: Value) -> str:
        return "reduce"
