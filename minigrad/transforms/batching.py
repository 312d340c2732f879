"""Batching rules: how an op is done for all entries of a batch at once, one rule a family.

A rule is given the level of the vmap, the op, its inputs (those that are batched with the batch
along axis 0), which of them are batched, and the attributes, which are those of one entry. It
returns the results of all entries, along axis 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.ops.base import Op, Shape
from minigrad.ops.movement import (
    reshape_op,
    transpose_op,
)
from minigrad.ops.processing import matmul_op
from minigrad.ops.reduce import axes_of
from minigrad.transforms.batched import Level

Rule = Callable[..., Any]
Flags = Sequence[bool]
rules: dict[str, Rule] = {}


def rule_for(*names: str) -> Callable[[Rule], Rule]:
    """Register the rule of these ops."""

    def register(rule: Rule) -> Rule:
        rules.update(dict.fromkeys(names, rule))
        return rule

    return register


def rule_of(op: Op) -> Rule:
    """The rule of an op: its own, its family's, or entry by entry."""
    return rules.get(op.name) or families.get(op.family) or entry_by_entry


def ndim_of(x: Any) -> int:
    """The number of axes; a Python number has none."""
    return getattr(x, "ndim", 0)


def shape_of(x: Any) -> Shape:
    return getattr(x, "shape", ())


def entry_shape(x: Any, batched: bool) -> Shape:
    return shape_of(x)[1:] if batched else shape_of(x)


def with_batch(level: Level, x: Any, batched: bool) -> Any:
    """x with the batch along axis 0, also if it is the same for all entries."""
    return x if batched else level.repeated(x)


def aligned(level: Level, x: Any, ndim: int) -> Any:
    """A batched input with axes of size 1 after that of the batch, so that it has `ndim` others."""
    if x.ndim > ndim:
        return x
    shape = (level.size, *(1,) * (ndim + 1 - x.ndim), *x.shape[1:])
    return level.run(reshape_op, x, shape=shape)


def entry_by_entry(
    level: Level, op: Op, xs: Sequence[Any], batched: Flags, attributes: dict[str, Any]
) -> Any:
    """The op on each entry, and the results stacked."""
    results = []
    for k in range(max(level.size, 1)):
        # Of no entries, the shape is that of one of zeros.
        one = [
            (x[k] if level.size else np.zeros(x.shape[1:], x.dtype)) if own else x
            for x, own in zip(xs, batched, strict=True)
        ]
        results.append(level.run(op, *one, **attributes))
    stacked = np.stack(results)
    return stacked[: level.size]


def elementwise(
    level: Level, op: Op, xs: Sequence[Any], batched: Flags, attributes: dict[str, Any]
) -> Any:
    """Inputs that have fewer axes than others get axes of size 1 after that of the batch."""
    if len(xs) > 1:
        ndims = [ndim_of(x) - own for x, own in zip(xs, batched, strict=True)]
        if min(ndims) != (ndim := max(ndims)):
            xs = [aligned(level, x, ndim) if own else x for x, own in zip(xs, batched, strict=True)]
    return level.below(op, xs, attributes)


# Movement


@rule_for("reshape")
def reshape(level: Level, op: Op, xs: Any, batched: Flags, attributes: dict[str, Any]) -> Any:
    shape = attributes["shape"]
    if -1 in shape:
        known = -math.prod(shape)
        size = math.prod(xs[0].shape[1:])
        shape = tuple(size // known if n == -1 and known > 0 else n for n in shape)
    return level.run(op, xs[0], shape=(level.size, *shape))


@rule_for("transpose")
def transpose(level: Level, op: Op, xs: Any, batched: Flags, attributes: dict[str, Any]) -> Any:
    ndim = xs[0].ndim - 1
    return level.run(op, xs[0], axes=(0, *(k % ndim + 1 for k in attributes["axes"])))


@rule_for("expand")
def expand(level: Level, op: Op, xs: Any, batched: Flags, attributes: dict[str, Any]) -> Any:
    shape = attributes["shape"]
    return level.run(op, aligned(level, xs[0], len(shape)), shape=(level.size, *shape))


@rule_for("astype", "hook", "real", "imag", "angle", "nan_to_num")
def unchanged(level: Level, op: Op, xs: Any, batched: Flags, attributes: dict[str, Any]) -> Any:
    """Of ops to which axes do not matter."""
    return level.run(op, *xs, **attributes)


@rule_for("slice")
def slice_of(level: Level, op: Op, xs: Any, batched: Flags, attributes: dict[str, Any]) -> Any:
    return level.run(op, xs[0], index=(slice(None), *attributes["index"]))


@rule_for("concatenate")
def concatenate(level: Level, op: Op, xs: Any, batched: Flags, attributes: dict[str, Any]) -> Any:
    wholes = [with_batch(level, x, own) for x, own in zip(xs, batched, strict=True)]
    axis, bounds = attributes["axis"], attributes["bounds"]
    return level.run(op, *wholes, axis=axis + 1, bounds=bounds)


@rule_for("pad")
def pad(level: Level, op: Op, xs: Any, batched: Flags, attributes: dict[str, Any]) -> Any:
    width = ((0, 0), *attributes["width"])
    return level.run(op, xs[0], width=width, value=attributes["value"])


# Reductions


def reduction(level: Level, op: Op, xs: Any, batched: Flags, attributes: dict[str, Any]) -> Any:
    """Axes are counted from that after the batch."""
    (x,), axis = xs, attributes["axis"]
    axes = axes_of(axis, x.ndim - 1)
    later = tuple(k + 1 for k in axes) if axis is None or type(axis) is tuple else axes[0] + 1
    return level.below(op, xs, {**attributes, "axis": later})


# Contractions


@rule_for("matmul")
def matmul(level: Level, op: Op, xs: Any, batched: Flags, attributes: dict[str, Any]) -> Any:
    x, y = xs
    if batched[0] and not batched[1] and y.ndim == 2:
        # One product of two matrices.
        flat = reshaped(level, x, (math.prod(x.shape[:-1]), x.shape[-1]))
        return reshaped(level, level.run(op, flat, y), (*x.shape[:-1], y.shape[1]))
    ndim = max(x.ndim - batched[0], y.ndim - batched[1])
    return level.run(
        op, *(aligned(level, z, ndim) if own else z for z, own in zip(xs, batched, strict=True))
    )


@rule_for("linear")
def linear(level: Level, op: Op, xs: Any, batched: Flags, attributes: dict[str, Any]) -> Any:
    x, w = xs
    if not batched[1]:
        flat = reshaped(level, x, (math.prod(x.shape[:-1]), x.shape[-1]))
        return reshaped(level, level.run(op, flat, w), (*x.shape[:-1], w.shape[0]))
    if not batched[0]:  # (n, in) by (B, out, in)
        flat = reshaped(level, w, (math.prod(w.shape[:-1]), w.shape[-1]))
        y = reshaped(level, level.run(op, x, flat), (x.shape[0], *w.shape[:-1]))
        return level.run(transpose_op, y, axes=(1, 0, 2))
    return np.matmul(x, np.swapaxes(w, -1, -2))


@rule_for("dot")
def dot(level: Level, op: Op, xs: Any, batched: Flags, attributes: dict[str, Any]) -> Any:
    """Vectors as matrices of one row, or one column."""
    x, y = xs
    ndims = x.ndim - batched[0], y.ndim - batched[1]
    x = np.expand_dims(x, -2) if ndims[0] == 1 else x
    y = np.expand_dims(y, -1) if ndims[1] == 1 else y
    z = matmul(level, matmul_op, (x, y), batched, {})
    z = z[..., 0] if ndims[1] == 1 else z
    return z[..., 0] if ndims == (1, 1) else z[..., 0, :] if ndims[0] == 1 else z


def reshaped(level: Level, x: Any, shape: Shape) -> Any:
    return level.run(reshape_op, x, shape=shape)


families: dict[str, Rule] = {"unary": elementwise, "binary": elementwise, "reduce": reduction}
