"""Linear systems, which SciPy solves: those of zeros, that shapes are inferred by, it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.compiler.graph.ir import Shape
from minigrad.compiler.graph.opset.base import Rules, entry
from minigrad.ops.base import Op


@entry("solve_triangular", "solve_banded", "solveh_banded")
class Solution(Rules):
    """Of a matrix, or its bands, and a right side, in stacks that broadcast."""

    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape | None:
        a, b = shapes
        return (*np.broadcast_shapes(a[:-2], b[:-2]), *b[-2:])

    def dtype(self, op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> np.dtype[Any]:
        return np.result_type(*(x.dtype for x in inputs))
