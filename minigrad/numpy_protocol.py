"""NumPy functions on Tensors that are no ops themselves: questions about shape, new arrays, other
names for what ops do; and what to say of those that are not supported."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.errors import UnsupportedError
from minigrad.ops.base import implements
from minigrad.ops.movement import expand_dims
from minigrad.ops.reduce import kept
from minigrad.tensor import Axis, Tensor, implementations, refusals


def value_of(x: Any) -> Any:
    """The plain array of a Tensor; anything else as it is."""
    return x.data if isinstance(x, Tensor) else x


def on_values(function: Callable[..., Any], wrap: bool = False) -> None:
    """Let a NumPy function see the arrays of Tensors: what it answers carries no gradient."""

    def answer(*args: Any, **kwargs: Any) -> Any:
        result = function(*map(value_of, args), **{k: value_of(v) for k, v in kwargs.items()})
        return Tensor(result) if wrap else result

    implements(function)(answer)


# Questions, answered in plain Python and NumPy values.
for question in (
    np.shape,
    np.ndim,
    np.size,
    np.result_type,
    np.can_cast,
    np.min_scalar_type,
    np.iscomplexobj,
    np.isrealobj,
    np.array_equal,
    np.array_equiv,
    np.allclose,
    np.array_repr,
    np.array_str,
    np.array2string,
    np.shares_memory,
    np.may_share_memory,
):
    on_values(question)

# New arrays, and values without a gradient, as Tensors.
for constant in (
    np.zeros_like,
    np.ones_like,
    np.empty_like,
    np.full_like,
    np.isclose,
    np.searchsorted,
    np.count_nonzero,
):
    on_values(constant, wrap=True)


@implements(np.nonzero)
def nonzero(a: Any) -> tuple[Tensor, ...]:
    return tuple(map(Tensor, np.nonzero(a.data)))


# A ufunc's reduce and accumulate are the reduce ops, with NumPy's default axis, the first.
whole_ufuncs: list[tuple[np.ufunc, Any]] = [
    (np.add, "sum"),
    (np.multiply, np.prod),
    (np.maximum, "max"),
    (np.minimum, "min"),
    (np.logical_and, "all"),
    (np.logical_or, "any"),
    (np.logaddexp, "logsumexp"),
]
for ufunc, name in whole_ufuncs:

    def ufunc_reduce(
        array: Any,
        axis: Axis = 0,
        keepdims: bool = False,
        *,
        whole: Callable[..., Any] = implementations[name],
    ) -> Any:
        return whole(array, axis, keepdims)

    implements(ufunc.reduce)(ufunc_reduce)


@implements(np.add.accumulate)
def add_accumulate(array: Any, axis: int = 0) -> Any:
    return np.cumsum(array, axis)


for ufunc in [f for f in tuple(implementations) if isinstance(f, np.ufunc) and f.nin == 2]:

    def ufunc_outer(a: Any, b: Any, *, ufunc: np.ufunc = ufunc) -> Any:
        spread = tuple(range(np.ndim(a), np.ndim(a) + np.ndim(b)))
        return ufunc(expand_dims(a, spread) if spread else a, b)

    implements(ufunc.outer)(ufunc_outer)


# Functions that are others in disguise.


@implements(np.exp2)
def exp2(x: Any) -> Any:
    return np.exp(x * math.log(2))


@implements(np.log2)
def log2(x: Any) -> Any:
    return np.log(x) / math.log(2)


@implements(np.log10)
def log10(x: Any) -> Any:
    return np.log(x) / math.log(10)


@implements(np.cbrt)
def cbrt(x: Any) -> Any:
    return np.sign(x) * np.abs(x) ** (1 / 3)


@implements(np.deg2rad, np.radians)
def deg2rad(x: Any) -> Any:
    return x * (math.pi / 180)


@implements(np.rad2deg, np.degrees)
def rad2deg(x: Any) -> Any:
    return x * (180 / math.pi)


@implements(np.fabs)
def fabs(x: Any) -> Any:
    return np.abs(x)


@implements(np.fmod)
def fmod(x1: Any, x2: Any) -> Any:
    return x1 - np.trunc(x1 / x2) * x2


@implements(np.round, np.around)
def round(a: Any, decimals: int = 0) -> Any:
    return np.rint(a) if decimals == 0 else np.rint(a * 10.0**decimals) / 10.0**decimals


@implements(np.ptp)
def ptp(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


@implements(np.average)
def average(a: Any, axis: Axis = None, weights: Any = None, keepdims: bool = False) -> Any:
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    if np.ndim(weights) == 1 and np.ndim(a) != 1 and isinstance(axis, int):
        weights = kept(
            weights, a, tuple(k for k in range(np.ndim(a)) if k != axis % np.ndim(a)), False
        )
    total = np.sum(a * weights, axis=axis, keepdims=keepdims)
    return total / np.sum(np.broadcast_to(weights, np.shape(a)), axis=axis, keepdims=keepdims)


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    for _ in range(n):
        a = np.moveaxis(a, axis, 0)
        a = np.moveaxis(a[1:] - a[:-1], 0, axis)
    return a


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """The Euclidean (of a matrix: Frobenius) norm."""
    if ord not in (None, 2, "fro") or (ord == 2 and axis is None and np.ndim(x) > 1):
        raise UnsupportedError(
            f"np.linalg.norm with ord={ord!r} on a Tensor: only the Euclidean norm is there; "
            "np.sum(np.abs(t)) and np.max(np.abs(t)) are the others"
        )
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))


refusals |= {
    np.median: "use np.sort and pick the middle",
    np.unique: "use np.unique(t.data); it carries no gradient",
    np.linalg.inv: "matrix decompositions and inverses have no derivative here yet",
    np.cumprod: "use np.exp(np.cumsum(np.log(t))) for positive values",
    np.nan_to_num: "use np.where(np.isnan(t), 0, t)",
    np.array_split: "use np.split with the indices to split at",
    np.put_along_axis: "assign instead: x[index] = v gives x a new value",
    np.copyto: "assign instead: x[index] = v gives x a new value",
    np.putmask: "assign instead: x[mask] = v gives x a new value",
    np.fill_diagonal: "assign instead: x[i, i] = v gives x a new value",
    np.save: "use minigrad.save, or np.save(file, t.data)",
    np.savez: "use minigrad.save, or np.savez(file, name=t.data)",
}
