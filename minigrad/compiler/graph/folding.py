"""Folding: ops that do nothing, and ops of constants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from minigrad.compiler.graph.ir import Value, constant, name_of
from minigrad.compiler.graph.opset.control import OWN_CONTROL
from minigrad.compiler.graph.opset.elementwise import from_zero
from minigrad.compiler.graph.opset.infer import run
from minigrad.compiler.graph.opset.views import axes_of
from minigrad.compiler.target import costs


def folding(value: Value) -> Value:
    """Replace an op that does nothing by its input, and an op of constants by its result."""
    if value.op is None:
        return value
    name, x = value.op.name, value.inputs[0] if value.inputs else None
    if is_known(value):
        with np.errstate(all="ignore"):
            arrays = [y.array if type(y) is Value else y for y in value.inputs]
            return constant(run(value.op, arrays, value.attributes))
    if type(x) is not Value:
        return value
    if x.shape == value.shape and x.dtype == value.dtype:
        if name in ("positive", "expand", "reshape", "astype"):
            return x
        if name == "slice" and all(is_whole(part) for part in value.attributes["index"]):
            return x
        if name == "transpose" and axes_of(value) == tuple(range(len(x.shape))):
            return x
        if name in ("sum", "mean", "max", "min") and x.dtype.kind == "f" and x.size == value.size:
            return from_zero(x) if name in ("sum", "mean") else x
    if name == "concatenate":
        some = [y for y in value.values() if y.size]
        return some[0] if len(some) == 1 and some[0].dtype == value.dtype else value
    if name == "neg" and name_of(x) == "neg":
        return x.inputs[0]
    if name == "reshape" and name_of(x) == "reshape":
        return folding(value.of(*x.inputs))
    if name == "transpose" and name_of(x) == "transpose":
        inner, outer = axes_of(x), axes_of(value)
        axes = tuple(inner[k] for k in outer)
        return folding(replace(value, inputs=x.inputs, attributes={"axes": axes}))
    return value


def is_whole(part: object) -> bool:
    """Whether an index, of which the result has the shape of the array, leaves an axis as it is."""
    return part is ... or (isinstance(part, slice) and part.step in (None, 1))


def is_known(value: Value) -> bool:
    """Whether all inputs of a value are fixed constants, and it is not large."""
    for x in value.inputs:
        if type(x) is Value and not x.fixed:
            return False
    if value.op in OWN_CONTROL:
        return False
    return value.size <= costs.MAX_FOLDED_SIZE
