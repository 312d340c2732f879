"""The keyword arguments of ufuncs, and their methods: reduce, accumulate, reduceat, outer, at."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from minigrad.dispatch import implementations, implements, is_traced, name_of
from minigrad.errors import ArgumentTypeError, DtypeError, ShapeError, UnsupportedError
from minigrad.numpy_protocol.keywords import by_signature, reduced
from minigrad.ops import logsumexp
from minigrad.ops.base import Op
from minigrad.ops.elementwise import cumprod_op
from minigrad.ops.movement import as_array, getitem, in_order, parse_index, scatter_add_op
from minigrad.ops.reduce import axes_of, cumsum_op
from minigrad.ops.views import takes_numbers
from minigrad.tensor import value_of

# Calls with keyword arguments


def loop_dtypes(ufunc: np.ufunc, inputs: Sequence[Any], **how: Any) -> tuple[Any, ...]:
    """The dtypes in which NumPy computes, given which results are of `dtype`.

    Raises:
        DtypeError: if NumPy has no such loop, or the inputs cannot be cast.
    """
    kinds = [type(x) if type(x) in (int, float, complex) else np.result_type(x) for x in inputs]
    try:
        return ufunc.resolve_dtypes((*kinds, *[None] * ufunc.nout), **how)
    except TypeError as error:
        raise DtypeError(f"np.{ufunc.__name__}: {error}") from None


def safe(x: Any, op: Any, k: int) -> Any:
    """A number where input k of a ufunc has a value and a derivative."""
    high = op.domains[k].high if isinstance(op, Op) else 1.0
    return np.asarray(high).astype(np.result_type(x))


@implements("ufunc with keywords")
def with_keywords(
    ufunc: np.ufunc,
    inputs: tuple[Any, ...],
    out: tuple[Any, ...] = (),
    *,
    where: Any = True,
    dtype: Any = None,
    casting: str = "same_kind",
    order: Any = "K",
    subok: bool = True,
) -> Any:
    """A ufunc with NumPy's keywords. What `where` leaves out has no part in the gradient, even if
    the ufunc has no value there."""
    inputs = tuple(map(as_array, inputs)) if where is not True else inputs
    if dtype is not None:
        results = (None,) * ufunc.nin + (np.dtype(dtype),) * ufunc.nout
        loop = loop_dtypes(ufunc, inputs, signature=results, casting=casting)
        pairs = zip(map(as_array, inputs), loop, strict=False)
        inputs = tuple(x if x.dtype == kind else np.astype(x, kind) for x, kind in pairs)
    if where is not True:
        if not any(x is not None for x in out):
            raise UnsupportedError(
                f"{name_of(ufunc)} with where= and without out= leaves the other entries "
                "undefined: give out=, or write np.where(mask, f(x), other)"
            )
        mask, op = np.astype(as_array(where), bool), implementations[ufunc]
        inputs = tuple(np.where(mask, x, safe(x, op, k)) for k, x in enumerate(inputs))
    found = implementations[ufunc](*inputs)
    if out:

        def for_out(x: Any, y: Any) -> Any:
            x = x if y is None or where is True else np.where(mask, x, y)
            return x if y is None or casting != "unsafe" else np.astype(x, y.dtype)

        several = isinstance(found, tuple)
        found = tuple(map(for_out, found, out)) if several else for_out(found, out[0])
    if order in ("C", "F") and not isinstance(found, tuple):
        found = in_order(found, np.empty(found.shape, bool, order=order))
    return found


# Methods

UFUNCS = [f for f in tuple(implementations) if isinstance(f, np.ufunc) and not f.signature]
BINARY = [f for f in UFUNCS if (f.nin, f.nout) == (2, 1)]
# Those where (x y) z is x (y z), so that halves can be combined.
ASSOCIATIVE = {np.fmax, np.fmin, np.maximum, np.minimum, np.logaddexp, np.logaddexp2, np.hypot}
ASSOCIATIVE |= {np.logical_xor, np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.gcd}
ASSOCIATIVE |= {np.logical_and, np.logical_or}
AXIS = inspect.signature(lambda array, axis=0, dtype=None, out=None: None)
REDUCE = inspect.signature(
    lambda array, axis=0, dtype=None, out=None, keepdims=False, initial=None, where=True: None
)


def folded(ufunc: np.ufunc, array: Any, axis: Any = 0, keepdims: Any = False) -> Any:
    """The entries along axes, combined by a ufunc: those of each half with each other, where it is
    associative, or else from the first on."""
    array = as_array(array)
    axes = axes_of(axis, array.ndim)
    if len(axes) > 1 and ufunc not in ASSOCIATIVE:
        raise ShapeError(f"np.{ufunc.__name__}.reduce over axes {axes}: it depends on their order")
    x = in_loop_dtype(ufunc, array)
    x = np.moveaxis(x, axes, range(len(axes)))
    x = x.reshape((-1 if x.size else int(np.prod(x.shape[: len(axes)])), *x.shape[len(axes) :]))
    if not len(x):
        x = np.full_like(x, identity_of(ufunc), shape=(1, *x.shape[1:]))
    while len(x) > 1 and ufunc in ASSOCIATIVE:
        half = len(x) // 2
        x = np.concatenate([ufunc(x[:half], x[half : 2 * half]), x[2 * half :]])
    y = np.copy(x[0]) if len(x) == 1 else functools.reduce(ufunc, [x[i] for i in range(len(x))])
    return np.expand_dims(y, axes) if keepdims else y


def in_loop_dtype(ufunc: np.ufunc, x: Any) -> Any:
    """x in the dtype in which NumPy combines its entries."""
    try:
        kind = loop_dtypes(ufunc, [x, x], reduction=True)[0]
    except DtypeError:
        kind, _, result = loop_dtypes(ufunc, [x, x])
        if kind != result:
            raise
    return x if x.dtype == kind else np.astype(x, kind)


def identity_of(ufunc: np.ufunc) -> Any:
    if ufunc.identity is None:
        raise ShapeError(f"np.{ufunc.__name__}.reduce of nothing: it has no identity")
    return ufunc.identity


def running(ufunc: np.ufunc, array: Any, axis: Any = 0, dtype: Any = None) -> Any:
    """The entries along an axis, each combined with all before it: in log2(n) steps, after each of
    which an entry covers twice as many, where the ufunc is associative."""
    array = as_array(array)
    if not array.ndim:
        raise ArgumentTypeError(f"np.{ufunc.__name__}.accumulate of a number: it has no axis")
    axis = 0 if axis is None and array.ndim == 1 else axis
    if dtype is not None:
        array = np.astype(array, dtype)
    if ufunc in RUNNING:
        y = RUNNING[ufunc](array, axis=axis)
        return y if dtype is None else np.astype(y, dtype)
    x = np.moveaxis(in_loop_dtype(ufunc, array), axis, 0)
    if ufunc in ASSOCIATIVE:
        step = 1
        while step < len(x):
            x = np.concatenate([x[:step], ufunc(x[:-step], x[step:])])
            step *= 2
        return np.moveaxis(x, 0, axis)
    parts = [x[i] for i in range(len(x))]
    for i in range(1, len(parts)):
        parts[i] = ufunc(parts[i - 1], parts[i])
    return np.stack(parts, axis) if parts else np.copy(array)


RUNNING: dict[np.ufunc, Op] = {np.add: cumsum_op, np.multiply: cumprod_op}


def reduced_at(
    ufunc: np.ufunc, array: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None
) -> Any:
    """Reductions of the parts of an axis that begin at the indices."""
    places = value_of(as_array(indices))
    if is_traced(places):
        places = np.asarray(places)  # an error that says that they are not known
    x = np.moveaxis(as_array(array), axis, 0)
    x = x if dtype is None else np.astype(x, dtype)
    x = np.astype(x, ufunc.reduce(x[:1]).dtype)
    starts = [int(i) for i in places.tolist()]
    ends = [*starts[1:], len(x)]
    if wrong := [i for i in starts if not 0 <= i < len(x)]:
        raise ShapeError(f"np.{ufunc.__name__}.reduceat at {wrong[0]} of an axis of {len(x)}")
    parts = [ufunc.reduce(x[i:j]) if i < j else x[i] for i, j in zip(starts, ends, strict=True)]
    found = np.moveaxis(np.stack(parts) if parts else x[:0], 0, axis)
    found = implementations["copy_in_c_order"](found) if axis else found
    return found if out is None else implementations["out"](out, found)


def outer(ufunc: np.ufunc, A: Any, B: Any, **how: Any) -> Any:  # noqa: N803  # NumPy's names
    """A ufunc of every entry of A with every entry of B."""
    spread = tuple(range(np.ndim(A), np.ndim(A) + np.ndim(B)))
    a, b = as_array(A), as_array(B)  # also numbers, which then promote
    return ufunc(np.expand_dims(a, spread) if spread else a, b, **how)


def written_at(ufunc: np.ufunc, a: Any, indices: Any, b: Any = None) -> None:
    """a[indices] = ufunc(a[indices], b), where an entry that is named twice is changed twice."""
    if takes_numbers(a, (indices, b), f"np.{ufunc.__name__}.at"):
        ufunc.at(a, *(value_of(x) for x in (indices, b) if x is not None))
    elif ufunc in (np.add, np.subtract) and a.dtype.kind in "fc":
        fixed, arrays = parse_index(indices)
        spread = np.broadcast_to(as_array(b), np.shape(getitem(a, indices)))
        a[...] = ufunc(a, scatter_add_op(spread, *arrays, shape=a.shape, index=fixed))
    else:
        index = tuple(map(value_of, indices)) if isinstance(indices, tuple) else value_of(indices)
        places = np.ravel(np.arange(a.size).reshape(a.shape)[index])
        shape = np.shape(getitem(a, indices))
        others = [] if b is None else [np.ravel(np.broadcast_to(as_array(b), shape))]
        x = np.copy(np.ravel(a))
        for now in rounds(places):
            x[places[now]] = ufunc(x[places[now]], *(other[now] for other in others))
        a[...] = x.reshape(a.shape)


def rounds(places: np.ndarray) -> list[np.ndarray]:
    """Where each place is named for the first time, where for the second, and so on."""
    order = np.argsort(places, kind="stable")
    firsts = np.searchsorted(places[order], places[order])
    times = np.empty_like(places)
    times[order] = np.arange(len(places)) - firsts
    return [np.flatnonzero(times == k) for k in range(times.max(initial=-1) + 1)]


# ufunc -> the reduction that it is, and its identity; None: by `folded`
WHOLES: dict[np.ufunc, tuple[Callable[..., Any], Any]] = {
    np.add: (implementations["sum"], 0),
    np.multiply: (implementations["prod"], 1),
    np.maximum: (implementations["max"], None),
    np.minimum: (implementations["min"], None),
    np.logical_and: (implementations["all"], True),
    np.logical_or: (implementations["any"], False),
}


def log_of_sum(array: Any, axis: Any = 0, keepdims: Any = False) -> Any:
    x = as_array(array)
    return logsumexp(np.astype(x, np.logaddexp(x[:0], x[:0]).dtype), axis, keepdims)


WHOLES[np.logaddexp] = log_of_sum, -np.inf


def over_first(whole: Callable[..., Any], array: Any, axis: Any = 0, keepdims: Any = False) -> Any:
    """A reduce op with the default axis of a ufunc's `reduce`."""
    return whole(array, axis=axis, keepdims=keepdims)


for ufunc in BINARY:
    implements(ufunc.outer)(partial(outer, ufunc))
    if not any(loop[0] == loop[1] == loop[-1] for loop in ufunc.types):
        continue  # its result is no input of another call
    whole, identity = WHOLES.get(ufunc, (partial(folded, ufunc), ufunc.identity))
    first = partial(over_first, whole)
    by_signature(
        ufunc.reduce, first, partial(reduced, first, ufunc, identity, axis=0), signature=REDUCE
    )
    by_signature(ufunc.accumulate, partial(running, ufunc), partial(running, ufunc), signature=AXIS)
    implements(ufunc.reduceat)(partial(reduced_at, ufunc))
for ufunc in UFUNCS:
    if ufunc.nout == 1:
        implements(ufunc.at)(partial(written_at, ufunc))
