"""Indexing: reading and writing entries at basic indices, and at indices that are arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.compiler.graph.ir import Shape, Value
from minigrad.compiler.graph.opset.base import Attributes, Rules, entry
from minigrad.compiler.graph.opset.infer import zeros
from minigrad.compiler.graph.opset.views import BOOL
from minigrad.errors import UnsupportedError


@entry("slice")
class Slice(Rules):
    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape:
        return zeros(shapes[0], BOOL)[attributes["index"]].shape


@entry("updated")
class Updated(Rules):
    pass


@entry("scatter_add")
class ScatterAdd(Rules):
    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape:
        shape: Shape = attributes["shape"]
        return shape


@entry("gather")
class Gather(Rules):
    def check(self, inputs: Sequence[Any]) -> None:
        if any(is_mask(x) for x in inputs[1:]):
            raise UnsupportedError(
                "a compiled function picks entries by a mask that is computed in it, and how many "
                "there are is not known before it runs: use np.where(mask, x, 0)"
            )


def is_mask(x: Any) -> bool:
    """Whether it is an array of booleans that is not a constant."""
    return type(x) is Value and x.dtype == bool and x.kind != "constant"
