"""What moves entries, or copies them, as views one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from minigrad.compiler.graph.ir import Shape, Value
from minigrad.compiler.graph.opset.base import Rules, entry
from minigrad.compiler.graph.opset.infer import apply


@entry("diag")
class Diag(Rules):
    def decompose(self, value: Value) -> Value:
        k, shape = value.attributes["k"], value.shape
        return apply("from_diagonal", *value.inputs, shape=shape, offset=k, axis1=0, axis2=1)


@entry("rot90")
class Rot90(Rules):
    def decompose(self, value: Value) -> Value:
        x, how = value.inputs[0], value.attributes
        n, turns = len(x.shape), how["k"] % 4
        a, b = (k % n for k in how["axes"])
        flipped = ((), (b,), (a, b), (a,))[turns]
        index = tuple(slice(None, None, -1 if k in flipped else 1) for k in range(n))
        x = apply("slice", x, index=index)
        swapped = {a: b, b: a} if turns % 2 else {}
        return apply("transpose", x, axes=tuple(swapped.get(k, k) for k in range(n)))


@entry("roll")
class Roll(Rules):
    def decompose(self, value: Value) -> Value:
        """What is pushed out at the end of an axis, and then the others."""
        x, (shift, axis) = value.inputs[0], (value.attributes[name] for name in ("shift", "axis"))
        if axis is None:
            x, axis = apply("reshape", x, shape=(x.size,)), 0
            shift = sum(shift) if type(shift) is tuple else shift
        for by, k in np.broadcast(shift, axis):
            n, k = x.shape[k], k % len(x.shape)
            parts = [slice(n - by % n, n), slice(0, n - by % n)]
            if by % n:
                cut = [apply("slice", x, index=(*(slice(None),) * k, part)) for part in parts]
                x = apply("concatenate", *cut, axis=k, bounds=(0, by % n, n))
        return apply("reshape", x, shape=value.shape)


def copies(x: Value, reps: Sequence[tuple[int, int]], shape: Shape) -> Value:
    """x with each axis as often as `reps` says, outside of its entries and inside of each."""
    sizes = [(1, n, 1) for n in x.shape]
    wanted = [(r, n, s) for (r, s), n in zip(reps, x.shape, strict=True)]
    x = apply("reshape", x, shape=tuple(itertools.chain(*sizes)))
    x = apply("expand", x, shape=tuple(itertools.chain(*wanted)))
    return apply("reshape", x, shape=shape)


@entry("tile")
class Tile(Rules):
    def decompose(self, value: Value) -> Value:
        x, n = value.inputs[0], len(value.shape)
        x = apply("reshape", x, shape=(*(1,) * (n - len(x.shape)), *x.shape))
        reps = value.attributes["reps"]
        return copies(x, [(r, 1) for r in (*(1,) * (n - len(reps)), *reps)], value.shape)


@entry("repeat")
class Repeat(Rules):
    def decompose(self, value: Value) -> Value:
        x, axis = value.inputs[0], value.attributes["axis"]
        if axis is None or not x.shape:
            x, axis = apply("reshape", x, shape=(x.size,)), 0
        axis, reps = axis % len(x.shape), value.attributes["repeats"]
        each = [(1, reps if k == axis else 1) for k in range(len(x.shape))]
        return copies(x, each, value.shape)


@entry("trace")
class Trace(Rules):
    def decompose(self, value: Value) -> Value:
        return apply(
            "sum", apply("diagonal", *value.inputs, **value.attributes), axis=-1, keepdims=False
        )
