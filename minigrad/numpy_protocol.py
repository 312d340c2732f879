"""NumPy functions on Tensors that are not ops: queries of shapes, new arrays, compositions of ops;
and refusals of functions that are not supported."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import numpy as np

from minigrad.arguments import bound
from minigrad.dispatch import implementations, implements, is_traced, refusals
from minigrad.errors import (
    ArgumentError,
    ArgumentTypeError,
    DtypeError,
    MissingError,
    ShapeError,
    UnsupportedError,
)
from minigrad.names import absent, missing
from minigrad.ops import logsumexp
from minigrad.ops.movement import as_array
from minigrad.ops.reduce import norm_op
from minigrad.tensor import Axis, Tensor, value_of

for name in ("__init__", "backward", "detach", "item", "tolist"):
    setattr(Tensor, name, bound(vars(Tensor)[name]))

# What Python's functions and statements call -> what to write instead.
PYTHONS = {
    **dict.fromkeys(("lshift", "rlshift", "rshift", "rrshift"), "t * 2**n, or t // 2**n"),
    **dict.fromkeys(("divmod", "rdivmod"), "t // x and t % x"),
    "round": "np.round(t)",
    "trunc": "np.trunc(t)",
    "delitem": "t[1:] or np.concatenate([t[:i], t[i + 1:]])",
    "bytes": "t.data.tobytes()",
}
for name, advice in PYTHONS.items():
    setattr(Tensor, f"__{name}__", absent(advice))

# What NumPy lets be assigned, or users try to -> what to write instead.
FIXED = {
    **dict.fromkeys(("shape", "ndim", "size", "strides"), "t = t.reshape(...)"),
    **dict.fromkeys(("real", "flat"), "t[...] = x"),
    "dtype": "t = t.astype(...)",
    "T": "t[...] = x.T",
    "mT": "t[...] = x.mT",
}


def fixed(name: str, advice: str) -> property:
    """The property of this name, which raises if it is assigned or deleted."""

    def refuse(self: Any, *_: Any) -> NoReturn:
        raise MissingError(f".{name} of a Tensor cannot be assigned or deleted: write {advice}")

    own = vars(Tensor).get(name) or property(partial(missing, name=name))
    return own.setter(refuse).deleter(refuse)


setattr(Tensor, "mT", property(implementations[np.matrix_transpose]))  # noqa: B010
for name, advice in FIXED.items():
    setattr(Tensor, name, fixed(name, advice))


def as_index(self: Tensor) -> int:
    """A single integer, as an index of a list or a loop count, which have no derivative."""
    if self.ndim or self.dtype.kind not in "iu":
        raise ArgumentTypeError(
            f"a Tensor of {self.dtype} of shape {self.shape} is not a single integer"
        )
    return operator.index(self.data)


def contains(self: Any, x: Any) -> Any:
    """Whether an entry equals x, or, where x broadcasts, one of its entries."""
    return answered(np.any(np.equal(self, x)))


def formatted(self: Tensor, spec: str) -> str:
    """A single number in a format, such as .3f; without one, any Tensor as str shows it."""
    if spec and self.size != 1:
        raise ShapeError(
            f"the format {spec!r} is for a single number, and this Tensor has shape {self.shape}: "
            "np.array2string(t, precision=3) shows an array"
        )
    try:
        return format(self.item() if spec else str(self), spec)
    except ValueError as error:
        raise ArgumentError(f"a Tensor of {self.dtype} in the format {spec!r}: {error}") from None


def power(self: Any, y: Any, modulo: Any = None) -> Any:
    """The operator `**`, and `pow` of two arguments."""
    if modulo is not None:
        raise UnsupportedError("pow of a Tensor and two numbers: write t**y % modulo")
    return implementations[np.power](self, y)


for name, function in {
    "__index__": as_index,
    "__contains__": contains,
    "__format__": formatted,
    "__pow__": power,
}.items():
    setattr(Tensor, name, function)


def on_values(function: Callable[..., Any], wrap: bool = False) -> None:
    """Call a NumPy function on the arrays of Tensors: its result carries no gradient."""

    def on_arrays(*args: Any, **kwargs: Any) -> Any:
        result = function(*map(value_of, args), **{k: value_of(v) for k, v in kwargs.items()})
        return Tensor(result) if wrap else result

    implements(function)(on_arrays)


# Queries, whose results are plain Python and NumPy values.
QUESTIONS = (np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.iscomplexobj)
SHOWN = (np.array_repr, np.array_str, np.array2string)
for question in QUESTIONS + SHOWN:
    on_values(question)

# New arrays, and values without a gradient, as Tensors.
LIKE = (np.zeros_like, np.ones_like, np.empty_like)
for constant in LIKE:
    on_values(constant, wrap=True)


@implements(np.full_like)
def full_like(a: Any, fill_value: Any, dtype: Any = None, **form: Any) -> Any:
    """An array of one number, whose gradient is recorded."""
    array = np.empty_like(value_of(a), dtype, **form)
    if not isinstance(fill_value, Tensor):
        return Tensor(np.full_like(array, fill_value))
    return np.copy(np.broadcast_to(fill_value.astype(array.dtype), array.shape))


@implements(np.nonzero)
def nonzero(a: Any) -> tuple[Tensor, ...]:
    if is_traced(value_of(a)):
        raise UnsupportedError(
            "np.nonzero in a compiled function: how many entries are not zero is not known before "
            "it runs: use np.where(mask, x, 0), or np.count_nonzero"
        )
    if not a.ndim:
        raise ShapeError("np.nonzero of a number: it is for arrays, use np.atleast_1d")
    return tuple(map(Tensor, np.nonzero(a.data)))


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    return np.sum(np.not_equal(a, 0), axis=axis, keepdims=keepdims)


@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Any:
    number = isinstance(b, int | float) and not is_traced(b)
    b = float(b) if number else np.astype(as_array(b), np.result_type(b, 1.0))
    with np.errstate(invalid="ignore"):
        near = np.less_equal(np.absolute(a - b), atol + rtol * abs(b))
    close = np.logical_or(np.logical_and(near, np.isfinite(b)), np.equal(a, b))
    return np.logical_or(close, both_nan(a, b)) if equal_nan else close


def both_nan(a: Any, b: Any) -> Any:
    return np.logical_and(np.not_equal(a, a), np.not_equal(b, b))


def answered(truth: Any) -> Any:
    """A bool, or a tracer while a function is traced."""
    truth = value_of(truth)
    return truth if is_traced(truth) else bool(truth)


@implements(np.allclose)
def allclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Any:
    return answered(np.all(np.isclose(a, b, rtol, atol, equal_nan)))


@implements(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    if np.shape(a1) != np.shape(a2):
        return False
    same = np.equal(a1, a2)
    return answered(np.all(np.logical_or(same, both_nan(a1, a2)) if equal_nan else same))


def reduce_first(
    whole: Callable[..., Any], array: Any, axis: Axis = 0, keepdims: bool = False
) -> Any:
    """A reduce op with the default axis of a ufunc's `reduce`."""
    return whole(array, axis, keepdims)


def outer(ufunc: np.ufunc, a: Any, b: Any) -> Any:
    """A ufunc of every entry of a with every entry of b."""
    spread = tuple(range(np.ndim(a), np.ndim(a) + np.ndim(b)))
    a, b = as_array(a), as_array(b)  # also numbers, which then promote
    return ufunc(np.expand_dims(a, spread) if spread else a, b)


REDUCTIONS: dict[Any, Any] = {np.add: "sum", np.multiply: np.prod, np.maximum: "max"}
REDUCTIONS |= {np.minimum: "min"}
REDUCTIONS |= {np.logical_and: "all", np.logical_or: "any"}
for ufunc, name in REDUCTIONS.items():
    implements(ufunc.reduce)(partial(reduce_first, implementations[name]))
implements(np.logaddexp.reduce)(
    lambda array, axis=0, keepdims=False: logsumexp(
        np.astype(array, np.logaddexp(array[:0], array[:0]).dtype), axis, keepdims
    )
)
for ufunc in [
    f for f in tuple(implementations) if isinstance(f, np.ufunc) and f.nin == 2 and not f.signature
]:
    implements(ufunc.outer)(partial(outer, ufunc))

# Functions that are one expression of others.
EXPRESSIONS: dict[Any, Callable[..., Any]] = {
    np.add.accumulate: lambda array, axis=0: np.cumsum(array, axis),
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
for function, implementation in EXPRESSIONS.items():
    implements(function)(implementation)


@implements(np.round)
def round_to(a: Any, decimals: int = 0) -> Any:
    if a.dtype.kind == "b" and decimals:
        raise DtypeError(f"np.round of booleans to {decimals} digits: astype(int) them first")
    if a.dtype.kind in "iu" and decimals >= 0:
        return np.copy(a)
    scale = 10.0 ** abs(operator.index(decimals))
    if decimals <= 0:
        return np.astype(np.rint(a / scale) * scale, a.dtype) if decimals else np.rint(a)
    return np.rint(a * scale) / scale


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    if n < 0:
        raise ArgumentError(f"np.diff with n={n}: n is 0 or more")
    ends = [x if x is None else as_array(x) for x in (prepend, append)]
    if n and any(x is not None for x in ends):
        shape = tuple(1 if k == axis % a.ndim else m for k, m in enumerate(a.shape))
        ends = [x if x is None or x.ndim else np.broadcast_to(x, shape) for x in ends]
        a = np.concatenate([x for x in (ends[0], a, ends[1]) if x is not None], axis)
    less = np.not_equal if a.dtype == bool else np.subtract
    a = np.moveaxis(a, axis, 0)
    for _ in range(n):
        a = less(a[1:], a[:-1])
    return np.moveaxis(a, 0, axis)


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """The Euclidean (of a matrix: Frobenius) norm."""
    axes = x.ndim if axis is None else np.size(axis)
    if not (ord is None or (ord == 2 and axes == 1) or (ord in ("fro", "f") and axes == 2)):
        raise UnsupportedError(
            f"np.linalg.norm with ord={ord!r} on a Tensor: only the Euclidean norm is supported; "
            "np.sum(np.abs(t)) and np.max(np.abs(t)) are the others"
        )
    return norm_op(x, axis=axis, keepdims=keepdims)


refusals |= {
    np.median: "use np.sort and pick the middle",
    np.unique: "use np.unique(t.data); it carries no gradient",
    np.average: "use np.sum(t * weights) / np.sum(weights)",
    np.cumprod: "use np.exp(np.cumsum(np.log(t))) for positive values",
    np.nan_to_num: "use np.where(np.isnan(t), 0, t)",
    np.left_shift: "write t * 2**n",
    np.right_shift: "write t // 2**n",
    np.add.at: "a + minigrad.vjp(lambda a: a[index], a)[1](v)[0] is a with v added at index",
    np.bincount: "minigrad.vjp(lambda a: a[index], np.zeros(n))[1](weights)[0] sums them by index",
    np.put_along_axis: "assign by an index instead: x[index] = v",
    np.copyto: "write dst[...] = src; for np.full(shape, t), np.broadcast_to(t, shape)",
    np.save: "use minigrad.save, or np.save(file, t.data)",
}
