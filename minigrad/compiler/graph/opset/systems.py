"""Linear systems: of small matrices in loops, of others by LAPACK; and what these give for zeros,
of which shapes are inferred, they cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.compiler.graph.ir import Shape, Value
from minigrad.compiler.graph.opset.base import OPSET, Rules, entry, rules_of
from minigrad.compiler.graph.opset.infer import apply
from minigrad.compiler.target import costs
from minigrad.ops.base import Op


@dataclass(frozen=True)
class OfMatrices(Rules):
    """Of a stack of matrices; the first input says how large they are. `loops`: the kind of their
    kernel."""

    loops: str

    def kind(self, value: Value) -> str:
        n = value.values()[0].shape[-2]
        small = n <= costs.MAX_SMALL_MATRIX and value.shape[-1] <= costs.MAX_SMALL_MATRIX
        floats = all(x.dtype.kind == "f" for x in value.values())
        return self.loops if small and floats else "numpy"

    def order(self, value: Value, order: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(range(len(value.shape)))


OPSET["cholesky"] = OfMatrices("factor")
OPSET["inv"] = OfMatrices("solution")
OPSET["slogdet"] = OfMatrices("determinant")


class System(OfMatrices):
    def decompose(self, value: Value) -> Value:
        """A vector is a matrix of one column."""
        a, b = value.inputs
        if len(b.shape) > 1:
            return value
        columns = apply("solve", a, apply("reshape", b, shape=(*b.shape, 1)))
        return apply("reshape", columns, shape=value.shape)


OPSET["solve"] = System("solution")


@entry("det")
class Determinant(Rules):
    def decompose(self, value: Value) -> Value:
        """As NumPy has it: sign * exp(log|det|)."""
        both = apply("slogdet", *value.inputs)
        if rules_of(both.op).kind(both) == "numpy":
            return value
        sign, logarithm = (apply("slice", both, index=(..., k)) for k in (0, 1))
        return apply("mul", sign, apply("exp", logarithm))


class Solution(Rules):
    """Of a matrix, or its bands, and a right side, in stacks that broadcast."""

    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape | None:
        a, b = shapes
        return (*np.broadcast_shapes(a[:-2], b[:-2]), *b[-2:])

    def dtype(self, op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> np.dtype[Any]:
        return np.result_type(*(x.dtype for x in inputs))


OPSET["solve_banded"] = OPSET["solveh_banded"] = Solution()


@entry("solve_triangular")
class Triangular(Solution):
    def kind(self, value: Value) -> str:
        small = value.shape[-2] <= costs.MAX_SMALL_MATRIX
        alike = all(x.dtype == value.dtype for x in value.values()) and value.dtype.kind == "f"
        return "substitution" if small and alike else "numpy"

    def order(self, value: Value, order: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(range(len(value.shape)))
