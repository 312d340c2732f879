"""Views: each entry of the result is an entry of an input, or a constant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.compiler.graph.ir import Shape
from minigrad.compiler.graph.opset.base import Attributes, Rules, entry
from minigrad.compiler.graph.opset.elementwise import broadcast
from minigrad.compiler.graph.opset.infer import zeros
from minigrad.ops.base import Op
from minigrad.ops.movement import out_size

BOOL = np.dtype(bool)


class View(Rules):
    pass


@entry("reshape")
class Reshape(View):
    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape | None:
        new: Shape = attributes["shape"]
        size, wanted = math.prod(shapes[0]), math.prod(new)
        if wanted == size and min(new, default=0) >= 0:
            return new
        if new.count(-1) == 1 and wanted and size % -wanted == 0:
            return tuple(size // -wanted if n == -1 else n for n in new)
        return None


@entry("transpose")
class Transpose(View):
    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape:
        return zeros(shapes[0], BOOL).transpose(attributes["axes"]).shape


@entry("expand")
class Expand(View):
    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape | None:
        new: Shape = attributes["shape"]
        return new if broadcast(shapes[0], new) == new else None


@entry("astype")
class Astype(View):
    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape:
        return shapes[0]

    def dtype(self, op: Op, inputs: Sequence[Any], attributes: Attributes) -> np.dtype[Any]:
        found: np.dtype[Any] = attributes["dtype"]
        return found


@entry("pad")
class Pad(View):
    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape | None:
        width = attributes["width"]
        if min(map(min, width), default=0) < 0:
            return None
        return tuple(low + n + high for (low, high), n in zip(width, shapes[0], strict=True))


@entry("concatenate")
class Concatenate(View):
    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape | None:
        axis, first = attributes["axis"], shapes[0]
        before, after = first[:axis], first[axis + 1 :]
        if any(x[:axis] != before or x[axis + 1 :] != after for x in shapes):
            return None
        return (*before, attributes["bounds"][-1], *after)

    def dtype(self, op: Op, inputs: Sequence[Any], attributes: Attributes) -> np.dtype[Any]:
        return np.result_type(*(x.dtype for x in inputs))


@entry("windows")
class Windows(View):
    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape | None:
        kernel, stride, dilation = (attributes[x] for x in ("kernel", "stride", "dilation"))
        outs = tuple(map(out_size, shapes[0][-2:], kernel, stride, dilation))
        return (*kernel, *shapes[0][:-2], *outs) if min(outs) > 0 else None


@entry("fold")
class Fold(View):
    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape:
        return (*shapes[0][2:-2], *attributes["size"])
