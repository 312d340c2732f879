"""Contractions: matrix products and convolutions, as sums of products over loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.compiler.graph.ir import Shape, Value
from minigrad.compiler.graph.opset.base import Attributes, Rules, entry
from minigrad.compiler.graph.opset.elementwise import broadcast
from minigrad.ops.base import Op
from minigrad.ops.movement import out_size


class Processing(Rules):
    def dtype(self, op: Op, inputs: Sequence[Any], attributes: Attributes) -> np.dtype[Any]:
        return np.result_type(*(x.dtype for x in inputs))


class Product(Processing):
    def kind(self, value: Value) -> str:
        return "contract"


@entry("matmul")
class Matmul(Product):
    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape | None:
        x, y = shapes
        if len(x) < 2 or len(y) < 2 or x[-1] != y[-2]:
            return None
        lead = x[:-2] if x[:-2] == y[:-2] else broadcast(x[:-2], y[:-2])
        return (*lead, x[-2], y[-1])


@entry("linear")
class Linear(Processing):
    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape | None:
        x, w = shapes
        return (*x[:-1], w[0]) if len(x) > 1 and len(w) == 2 and x[-1] == w[1] else None


@entry("conv2d")
class Conv2d(Product):
    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape | None:
        x, w = shapes
        outs = tuple(map(out_size, x[2:], w[2:], attributes["stride"], attributes["dilation"]))
        fits = x[1] == w[1] * attributes["groups"] and min(outs) > 0
        return (x[0], w[0], *outs) if fits else None


@entry("conv2d_input")
class Conv2dInput(Processing):
    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape:
        y, w = shapes
        return (y[0], w[1] * attributes["groups"], *attributes["size"])


@entry("conv2d_weight")
class Conv2dWeight(Product):
    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape:
        x, y = shapes
        return (y[1], x[1] // attributes["groups"], *attributes["kernel"])
