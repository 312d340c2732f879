"""NumPy functions on Tensors that are no ops themselves: questions about shape, new arrays, other
names for what ops do; and what to say of those that are not supported."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minigrad.dispatch import implementations, implements, refusals
from minigrad.errors import UnsupportedError
from minigrad.tensor import Axis, Tensor, value_of


def on_values(function: Callable[..., Any], wrap: bool = False) -> None:
    """Let a NumPy function see the arrays of Tensors: what it answers carries no gradient."""

    def answer(*args: Any, **kwargs: Any) -> Any:
        result = function(*map(value_of, args), **{k: value_of(v) for k, v in kwargs.items()})
        return Tensor(result) if wrap else result

    implements(function)(answer)


# Questions, answered in plain Python and NumPy values.
QUESTIONS = (np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.iscomplexobj)
COMPARED = (np.array_equal, np.allclose, np.array_repr, np.array_str, np.array2string)
for question in QUESTIONS + COMPARED:
    on_values(question)

# New arrays, and values without a gradient, as Tensors.
LIKE = (np.zeros_like, np.ones_like, np.empty_like)
for constant in (*LIKE, np.isclose, np.searchsorted, np.count_nonzero):
    on_values(constant, wrap=True)


@implements(np.full_like)
def full_like(a: Any, fill_value: Any, dtype: Any = None, **form: Any) -> Any:
    """Of a number everywhere, whose gradient it carries."""
    array = np.empty_like(value_of(a), dtype, **form)
    if not isinstance(fill_value, Tensor):
        return Tensor(np.full_like(array, fill_value))
    return np.copy(np.broadcast_to(fill_value.astype(array.dtype), array.shape))


@implements(np.nonzero)
def nonzero(a: Any) -> tuple[Tensor, ...]:
    return tuple(map(Tensor, np.nonzero(a.data)))


def reduce_first(
    whole: Callable[..., Any], array: Any, axis: Axis = 0, keepdims: bool = False
) -> Any:
    """A reduce op with the default axis of a ufunc's `reduce`."""
    return whole(array, axis, keepdims)


def outer(ufunc: np.ufunc, a: Any, b: Any) -> Any:
    """A ufunc of every entry of a with every entry of b."""
    spread = tuple(range(np.ndim(a), np.ndim(a) + np.ndim(b)))
    return ufunc(np.expand_dims(a, spread) if spread else a, b)


REDUCTIONS: dict[Any, Any] = {np.add: "sum", np.multiply: np.prod, np.maximum: "max"}
REDUCTIONS |= {np.minimum: "min", np.logaddexp: "logsumexp"}
REDUCTIONS |= {np.logical_and: "all", np.logical_or: "any"}
for ufunc, name in REDUCTIONS.items():
    implements(ufunc.reduce)(partial(reduce_first, implementations[name]))
for ufunc in [f for f in tuple(implementations) if isinstance(f, np.ufunc) and f.nin == 2]:
    implements(ufunc.outer)(partial(outer, ufunc))

# Functions that are others in disguise.
DISGUISES: dict[Any, Callable[..., Any]] = {
    np.add.accumulate: lambda array, axis=0: np.cumsum(array, axis),
    np.exp2: lambda x: np.exp(x * math.log(2)),
    np.log2: lambda x: np.log(x) / math.log(2),
    np.log10: lambda x: np.log(x) / math.log(10),
    np.cbrt: lambda x: np.sign(x) * np.abs(x) ** (1 / 3),
    np.deg2rad: lambda x: x * (math.pi / 180),
    np.radians: lambda x: x * (math.pi / 180),
    np.rad2deg: lambda x: x * (180 / math.pi),
    np.degrees: lambda x: x * (180 / math.pi),
    np.fabs: lambda x: np.abs(x),
    np.fmod: lambda x1, x2: x1 - np.trunc(x1 / x2) * x2,
    np.round: lambda a, decimals=0: np.rint(a * 10.0**decimals) / 10.0**decimals,
    np.ptp: lambda a, axis=None, keepdims=False: (
        np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)
    ),
    np.hstack: lambda tup: np.concatenate(
        list(map(np.atleast_1d, tup)), min(np.ndim(tup[0]), 2) > 1
    ),
    np.vstack: lambda tup: np.concatenate(list(map(np.atleast_2d, tup)), 0),
    np.append: lambda arr, values, axis=None: np.concatenate([arr, values], axis),
    np.outer: lambda a, b: np.ravel(a)[:, None] * np.ravel(b),
    np.vdot: lambda a, b: np.ravel(a) @ np.ravel(b),
    np.trace: lambda a, offset=0, axis1=0, axis2=1: np.sum(
        np.diagonal(a, offset, axis1, axis2), axis=-1
    ),
}
for disguised, implementation in DISGUISES.items():
    implements(disguised)(implementation)


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    a = np.moveaxis(a, axis, 0)
    for _ in range(n):
        a = a[1:] - a[:-1]
    return np.moveaxis(a, 0, axis)


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """The Euclidean (of a matrix: Frobenius) norm."""
    if ord is not None:
        raise UnsupportedError(
            f"np.linalg.norm with ord={ord!r} on a Tensor: only the Euclidean norm is there; "
            "np.sum(np.abs(t)) and np.max(np.abs(t)) are the others"
        )
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))


refusals |= {
    np.median: "use np.sort and pick the middle",
    np.unique: "use np.unique(t.data); it carries no gradient",
    np.average: "use np.sum(t * weights) / np.sum(weights)",
    np.cumprod: "use np.exp(np.cumsum(np.log(t))) for positive values",
    np.nan_to_num: "use np.where(np.isnan(t), 0, t)",
    np.put_along_axis: "assign instead: x[index] = v gives x a new value",
    np.copyto: "write dst[...] = src; for np.full(shape, t), np.broadcast_to(t, shape)",
    np.save: "use minigrad.save, or np.save(file, t.data)",
}
