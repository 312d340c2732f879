"""Elementwise ops: each entry of the result is computed from one entry of each input."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.compiler.graph.ir import Shape
from minigrad.compiler.graph.opset.base import FAMILIES, Attributes, Rules
from minigrad.compiler.graph.opset.infer import dtype_of_ones
from minigrad.ops.base import Op


@functools.lru_cache(10_000)
def broadcast(*shapes: Shape) -> Shape:
    return np.broadcast_shapes(*shapes)


class Elementwise(Rules):
    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape:
        first = shapes[0]
        for shape in shapes:
            if shape != first:
                return broadcast(*shapes)
        return first

    def dtype(self, op: Op, inputs: Sequence[Any], attributes: Attributes) -> np.dtype[Any]:
        return dtype_of_ones(op, inputs, {}, ())


FAMILIES["unary"] = FAMILIES["binary"] = Elementwise()
