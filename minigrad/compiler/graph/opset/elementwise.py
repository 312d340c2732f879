"""Elementwise ops: each entry of the result is computed from one entry of each input."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.compiler.graph.ir import Shape, Value, name_of
from minigrad.compiler.graph.opset.base import FAMILIES, Rules, entry
from minigrad.compiler.graph.opset.infer import apply, dtype_of_ones
from minigrad.compiler.target import costs
from minigrad.ops.base import Op, registry


@functools.lru_cache(10_000)
def broadcast(*shapes: Shape) -> Shape:
    return np.broadcast_shapes(*shapes)


# Ops whose C is for floats, or differs from NumPy's integer results in edge cases.
FLOAT_ONLY = "logaddexp hypot arctan2 pow abs floor ceil trunc rint reciprocal sign neg".split()
ABOUT_FLOATS = "isnan isinf isfinite signbit".split()
EXPENSIVE_OPS = """exp expm1 log log1p logaddexp logaddexp2 pow sqrt div mod floor_divide erf
sigmoid hypot sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh ldexp
nextafter gcd lcm""".split()
# Ops that NumPy refuses for booleans, or computes as logical ops.
ARITHMETIC = "add sub mul square neg invert".split()


class Elementwise(Rules):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape:
        first = shapes[0]
        for shape in shapes:
            if shape != first:
                return broadcast(*shapes)
        return first

    def dtype(self, op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> np.dtype[Any]:
        return dtype_of_ones(op, inputs, attributes, ())

    def cost(self, value: Value) -> int:
        assert value.op is not None
        return costs.EXPENSIVE_OP_COST if value.op.name in EXPENSIVE_OPS else 1

    def scalars(self, value: Value) -> float:
        return value.size

    def kind(self, value: Value) -> str:
        assert value.op is not None
        name, kind = value.op.name, value.dtype.kind
        numbers = all(type(x) in (bool, int, float) for x in value.attributes.values())
        if value.op.c is None or not numbers:
            return "numpy"
        # The C computes in the dtype of the result.
        if kind in "iu" and any(dtype_kind(x) == "f" for x in value.inputs):
            return "numpy"
        if name in ABOUT_FLOATS:
            kind = value.values()[0].dtype.kind
        floats = kind == "f" or name not in FLOAT_ONLY + ABOUT_FLOATS
        return "map" if floats and not (kind == "b" and name in ARITHMETIC) else "numpy"


def dtype_kind(x: Any) -> str:
    return x.dtype.kind if type(x) is Value else "f" if type(x) is float else "i"


def copy_of(x: Value) -> Value:
    """A copy, in memory of its own."""
    return Value(registry["positive"], (x,), {}, x.shape, x.dtype)


def from_zero(x: Value) -> Value:
    """0.0 + x, for a sum of one term: NumPy's sum of -0.0 alone is 0.0."""
    return apply("add", x, 0.0)


def is_never_minus_zero(x: Value) -> bool:
    """Whether no entry is -0.0, as of squares: sums of these need not begin with 0.0."""
    name = name_of(x)
    return name in ("exp", "abs", "square") or (name == "mul" and x.inputs[0] is x.inputs[1])


def in_one_dtype(value: Value) -> Value:
    """The op with its inputs cast to the dtype of the result."""
    if all(x.dtype == value.dtype for x in value.values()):
        return value
    return value.of(
        *(
            x if x.dtype == value.dtype else apply("astype", x, dtype=value.dtype)
            for x in value.values()
        )
    )


@entry("positive")
class Positive(Elementwise):
    is_copy = True


@entry("sinc")
class Sinc(Rules):
    def decompose(self, value: Value) -> Value:
        """sin(u) / u at u = pi x, and near 0 for x = 0; derivatives are left to NumPy."""
        (x,) = value.inputs
        if value.attributes["order"] or x.dtype != value.dtype:
            return value
        u = apply("mul", apply("where", apply("equal", x, 0), 1e-20, x), math.pi)
        return apply("div", apply("sin", u), u)


@entry("invert")
class Invert(Elementwise):
    def decompose(self, value: Value) -> Value:
        return apply("logical_not", *value.inputs) if value.dtype.kind == "b" else value


@entry("neg")
class Neg(Elementwise):
    def decompose(self, value: Value) -> Value:
        return apply("sub", 0, *value.inputs) if value.dtype.kind == "i" else value


@entry("abs")
class Abs(Elementwise):
    def decompose(self, value: Value) -> Value:
        """Of integers, 0 - x where x < 0."""
        (x,) = value.inputs
        if value.dtype.kind != "i":
            return value
        return apply("where", apply("less", x, 0), apply("sub", 0, x), x)


@entry("sign")
class Sign(Elementwise):
    def decompose(self, value: Value) -> Value:
        """Of integers, (x > 0) - (x < 0)."""
        (x,) = value.inputs
        if value.dtype.kind != "i":
            return value
        above, below = (
            apply("astype", apply(name, x, 0), dtype=value.dtype) for name in ("greater", "less")
        )
        return apply("sub", above, below)


@entry("where")
class Where(Elementwise):
    begins_with_condition = True


@entry("add")
class Add(Elementwise):
    is_sum = True

    def decompose(self, value: Value) -> Value:
        return apply("logical_or", *value.inputs) if value.dtype.kind == "b" else value


@entry("mul")
class Mul(Elementwise):
    def decompose(self, value: Value) -> Value:
        return apply("logical_and", *value.inputs) if value.dtype.kind == "b" else value


FAMILIES["unary"] = FAMILIES["binary"] = Elementwise()
