"""Products, sums and functions along axes, that are compositions of others."""

from __future__ import annotations

import operator
import string
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.dispatch import conj, implementations, implements
from minigrad.errors import ArgumentError, ShapeError, UnsupportedError
from minigrad.numpy_protocol.keywords import in_dtype, written
from minigrad.ops.movement import as_array, checked_axis, moved, reshape_op, trace
from minigrad.ops.views import as_view
from minigrad.tensor import value_of


def flattened(x: Any) -> Any:
    """In one axis, and not as a view."""
    x = as_array(x)
    return x if x.ndim == 1 else reshape_op(x, shape=(x.size,))


# Functions that are one expression of others.
EXPRESSIONS: dict[Any, Callable[..., Any]] = {
    np.vdot: lambda a, b, /: flattened(conj(as_array(a))) @ flattened(b),
    np.trace: lambda a, offset=0, axis1=0, axis2=1, dtype=None, out=None: written(
        in_dtype(trace(a if dtype is None else np.astype(a, dtype), offset, axis1, axis2), dtype),
        out,
    ),
}
for function, implementation in EXPRESSIONS.items():
    implements(function)(implementation)


def with_out(function: Any) -> None:
    """Give the implementation of a NumPy function of two arrays its keyword out=."""
    plain = implementations[function]
    implements(function)(lambda a, b, out=None: written(plain(a, b), out))


with_out(np.dot)
with_out(np.outer)


plain_einsum = implementations[np.einsum]


@implements(np.einsum)
def einsum(
    subscripts: Any, *operands: Any, out: Any = None, optimize: Any = False, **how: Any
) -> Any:
    """Also with operands and lists of their axes in turn, np.einsum(a, [0, 1], b, [1], [0])."""
    if not isinstance(subscripts, str):
        subscripts, operands = in_letters((subscripts, *operands))
    if unknown := {*how} - {"dtype", "casting", "order"}:
        raise ArgumentError(f"np.einsum does not take {sorted(unknown)}")
    if how.get("dtype") is not None:
        operands = tuple(np.astype(as_array(x), how["dtype"]) for x in operands)
    if optimize is not False and len(operands) > 2:
        return written(in_order_of_cost(subscripts, operands, optimize), out)
    return written(plain_einsum(subscripts, *operands), out)


def in_letters(parts: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """The subscripts of axes that were given as lists of numbers, and the operands."""
    operands, lists = parts[: len(parts) // 2 * 2 : 2], parts[1::2]
    letters = string.ascii_letters

    def spelled(axes: Any) -> str:
        return "".join("..." if k is Ellipsis else letters[operator.index(k)] for k in axes)

    output = "->" + spelled(parts[-1]) if len(parts) % 2 else ""
    return ",".join(map(spelled, lists)) + output, operands


def in_order_of_cost(subscripts: str, operands: Any, optimize: Any) -> Any:
    """The operands contracted in the order that NumPy finds to be cheapest."""
    stand_ins = [np.broadcast_to(np.False_, np.shape(x)) for x in operands]
    how: Any = {"optimize": optimize, "einsum_call": True}
    _, steps = np.einsum_path(subscripts, *stand_ins, **how)
    rest = list(operands)
    for step in steps:
        places: Any = step[0]
        formula = next(part for part in step if isinstance(part, str))
        rest.append(plain_einsum(formula, *[rest.pop(k) for k in places]))
    return rest[0]


@implements(np.einsum_path)
def einsum_path(*operands: Any, optimize: Any = "greedy") -> Any:
    """The order of contractions, of which only shapes decide."""
    like = (np.broadcast_to(0.0, np.shape(x)) if hasattr(x, "shape") else x for x in operands)
    return np.einsum_path(*like, optimize=optimize)


# Functions along axes


@implements(np.apply_along_axis)
def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any
) -> Any:
    """A function of the user's, called with each line of an array along an axis."""
    arr = as_array(arr)
    axis = checked_axis(arr, axis)
    lines = np.moveaxis(arr, axis, -1)
    lead = lines.shape[:-1]
    if not lines.size:
        raise ShapeError(f"np.apply_along_axis over an array of shape {arr.shape}: it is empty")
    found = [as_array(func1d(lines[place], *args, **kwargs)) for place in np.ndindex(lead)]
    inner = found[0].shape
    y = np.stack(found).reshape(lead + inner)
    for k in range(len(inner)):
        y = np.moveaxis(y, len(lead) + k, axis + k)
    return y


@implements(np.apply_over_axes)
def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Any:
    """A reduction applied along one axis after another; what it removes is kept at size 1."""
    y = as_array(a)
    for axis in np.atleast_1d(axes).tolist():
        axis = checked_axis(y, axis)
        less = func(y, axis)
        y = less if less.ndim == y.ndim else np.expand_dims(less, axis)
    return y


def windows_of(x: Any, **how: Any) -> Any:
    """Every window of an array, which NumPy has as a read-only view."""
    entries = moved(sliding_window_view, x, **how)
    shown = value_of(entries)
    if isinstance(shown, np.ndarray) and type(shown) is np.ndarray:
        entries.node.value = sliding_window_view(x.data, **how)
    else:
        shown.setflags(write=False)
    return entries


sliding_window_view = np.lib.stride_tricks.sliding_window_view


@implements(sliding_window_view)
def sliding_windows(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    if writeable:
        raise UnsupportedError("sliding_window_view with writeable=True: write into the array")
    how = {"window_shape": window_shape, "axis": axis}
    return as_view(windows_of(x, **how), x, windows_of, how)
