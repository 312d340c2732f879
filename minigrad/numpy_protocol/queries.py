"""Questions about arrays, and new arrays like others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minigrad.dispatch import check_real, implementations, implements, is_traced
from minigrad.errors import ShapeError, UnsupportedError
from minigrad.methods import Axis
from minigrad.ops.movement import as_array
from minigrad.tensor import Tensor, value_of


def plain(x: Any) -> Any:
    """The arrays of Tensors, also of those in a tuple."""
    return tuple(map(value_of, x)) if type(x) is tuple else value_of(x)


def stand_in(x: Any) -> Any:
    """Of a traced array, zeros of its shape and dtype, for questions about these."""
    x = plain(x)
    return np.broadcast_to(np.zeros((), x.dtype), x.shape) if is_traced(x) else x


def on_values(function: Callable[..., Any], wrap: bool = False) -> None:
    """Call a NumPy function on the arrays of Tensors: its result carries no gradient."""

    of = plain if wrap else stand_in

    def on_arrays(*args: Any, **kwargs: Any) -> Any:
        result = function(*map(of, args), **{k: of(v) for k, v in kwargs.items()})
        if not wrap:
            return result
        return tuple(map(Tensor, result)) if isinstance(result, tuple) else Tensor(result)

    implements(function)(on_arrays)


def refuse_traced(function: Callable[..., Any]) -> None:
    """Refuse a function in compiled functions, which NumPy can only compute of numbers."""
    eager = implementations[function]

    def implementation(*args: Any, **kwargs: Any) -> Any:
        for x in (*args, *kwargs.values()):
            if any(map(is_traced, map(value_of, x if type(x) is tuple else (x,)))):
                raise UnsupportedError(
                    f"np.{function.__name__}, compiled or vmapped, of what is computed in it: "
                    "call it outside"
                )
        return eager(*args, **kwargs)

    implements(function)(implementation)


def of_zeros(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A question about shapes and dtypes alone, which traced arrays have too."""
    values = map(value_of, args)
    zeros = (np.broadcast_to(np.zeros((), x.dtype), x.shape) if is_traced(x) else x for x in values)
    return function(*zeros, **kwargs)


# Queries, whose results are plain Python and NumPy values.
QUESTIONS = (np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.iscomplexobj)
SHOWN = (np.array_repr, np.array_str, np.array2string)
KINDS: Any = (np.common_type, np.isrealobj, np.diag_indices_from)
KINDS += (np.tril_indices_from, np.triu_indices_from)
MEMORY = (np.shares_memory, np.may_share_memory, np.min_scalar_type)
for question in QUESTIONS + SHOWN + MEMORY:
    on_values(question)
for question in KINDS:
    implements(question)(partial(of_zeros, question))
for question in MEMORY:
    refuse_traced(question)

# Integers that follow from the numbers, which have no gradient.
INTEGERS = (np.packbits, np.unpackbits, np.ravel_multi_index, np.unravel_index)
for function in INTEGERS:
    on_values(function, wrap=True)
    refuse_traced(function)
of_numbers = implementations[np.unravel_index]


@implements(np.unravel_index)
def unravel_index(indices: Any, shape: Any, order: str = "C") -> Any:
    """Of a traced array, whose numbers are not known, by division: what is out of bounds gives a
    first index that is."""
    traced = is_traced(value_of(indices)) and indices.dtype.kind in "iu"
    if not (traced and order == "C" and np.size(shape)):
        return of_numbers(indices, shape, order)
    indices, found = indices.astype(np.intp), list[Any]()
    for n in np.atleast_1d(shape)[:0:-1].tolist():
        found, indices = [indices % n, *found], indices // n
    return (indices, *found)


# New arrays, and values without a gradient, as Tensors.
LIKE = (np.zeros_like, np.ones_like, np.empty_like)
for constant in LIKE:
    on_values(constant, wrap=True)


@implements(np.full_like)
def full_like(a: Any, fill_value: Any, dtype: Any = None, **form: Any) -> Any:
    """An array of one number, whose gradient is recorded."""
    array = np.empty_like(stand_in(a), dtype, **form)
    check_real(fill_value, array.dtype)
    if not (isinstance(fill_value, Tensor) or is_traced(fill_value)):
        return Tensor(np.full_like(array, fill_value))
    return np.copy(np.broadcast_to(fill_value.astype(array.dtype), array.shape))


@implements(np.nonzero)
def nonzero(a: Any) -> tuple[Tensor, ...]:
    if is_traced(value_of(a)):
        raise UnsupportedError(
            "np.nonzero, compiled or vmapped: how many entries are not zero is not known before "
            "it runs: use np.where(mask, x, 0), or np.count_nonzero"
        )
    if not a.ndim:
        raise ShapeError("np.nonzero of a number: it is for arrays, use np.atleast_1d")
    return tuple(map(Tensor, np.nonzero(a.data)))


@implements(np.argwhere)
def argwhere(a: Any) -> Any:
    if not a.ndim:
        return np.argwhere(np.atleast_1d(a))[:, :0]
    return np.stack(np.nonzero(a), -1)


@implements(np.flatnonzero)
def flatnonzero(a: Any) -> Any:
    return np.nonzero(np.ravel(a))[0]


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    return np.sum(np.not_equal(a, 0), axis=axis, keepdims=keepdims)


@implements(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> Any:
    try:
        np.broadcast_shapes(np.shape(a1), np.shape(a2))
    except ValueError:
        return False
    return answered(np.all(np.equal(a1, a2)))


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
