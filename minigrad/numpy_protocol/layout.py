"""Memory order: NumPy's arguments order= and copy=, and copies in an order."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.dispatch import implementations, implements, is_traced
from minigrad.errors import ArgumentError, DtypeError, ShapeError, UnsupportedError, check_device
from minigrad.ops.movement import as_array, as_shape, in_order
from minigrad.ops.views import is_view
from minigrad.tensor import value_of

plain_reshape, plain_ravel = implementations[np.reshape], implementations[np.ravel]
plain_copy, plain_astype = implementations[np.copy], implementations[np.astype]


def is_in_fortran_order(a: Any, order: Any) -> bool:
    """Whether entries are read with the first axis running fastest, for order= 'C', 'F' or 'A'."""
    if order not in ("C", "F", "A"):
        raise ArgumentError(f"order={order!r}: it is 'C', 'F' or 'A', and in some functions 'K'")
    if order != "A":
        return order == "F"
    array = value_of(a)
    if is_traced(array):
        raise unknown_layout(order)
    return array.flags.f_contiguous and not array.flags.c_contiguous


def unknown_layout(order: str) -> UnsupportedError:
    return UnsupportedError(
        f"order={order!r}, compiled or vmapped: how an array lies in memory is not known while "
        "it is traced: write order='C' or 'F'"
    )


@implements(np.reshape)
def reshape(a: Any, /, shape: Any, order: Any = "C", *, copy: bool | None = None) -> Any:
    if order == "C" and copy is None:
        return plain_reshape(a, shape)
    a = as_array(a)
    if is_in_fortran_order(a, order):
        y = np.transpose(plain_reshape(np.transpose(a), as_shape(shape)[::-1]))
    else:
        y = plain_reshape(a, shape)
    if copy is False and not np.may_share_memory(value_of(y), value_of(a)):
        raise ShapeError(f"reshape of {a.shape} to {y.shape} with copy=False: it has to copy")
    return np.copy(y) if copy else y


@implements(np.ravel)
def ravel(a: Any, order: Any = "C") -> Any:
    """A view if the entries lie in that order, else a copy."""
    if order == "C":
        return plain_ravel(a)
    a = as_array(a)
    if order == "K":
        return plain_ravel(np.transpose(a, axes_in_memory(a)))
    return plain_ravel(np.transpose(a) if is_in_fortran_order(a, order) else a)


def axes_in_memory(a: Any) -> tuple[int, ...]:
    """The axes, from that with the largest steps in memory to that with the smallest."""
    array = value_of(a)
    if is_traced(array):
        raise unknown_layout("K")
    return tuple(sorted(range(a.ndim), key=lambda k: -abs(array.strides[k])))


@implements("flatten")
def flatten(a: Any, order: Any = "C") -> Any:
    """The method: always a copy. (PyTorch's takes axes: reshape(len(t), -1) keeps the first.)"""
    if not isinstance(order, str):
        raise ArgumentError(
            f"flatten({order!r}): it takes an order, 'C' or 'F', as NumPy's does; "
            "t.reshape(len(t), -1) flattens all axes but the first"
        )
    y = ravel(a, order)
    return plain_copy(y) if is_view(y) or y is a else y


def in_layout(y: Any, order: Any) -> Any:
    """A copy in the memory order that was asked for."""
    if order not in ("C", "F", "A", "K"):
        raise ArgumentError(f"order={order!r}: it is 'C', 'F', 'A' or 'K'")
    if order == "A":
        order = "F" if is_in_fortran_order(y, "A") else "C"
    return y if order == "K" else in_order(y, np.empty(y.shape, bool, order=order))


@implements(np.copy)
def copy(a: Any, order: Any = "K", subok: bool = False) -> Any:
    return in_layout(plain_copy(a), order)


@implements("copy_in_c_order")
def copy_in_order(a: Any, order: Any = "C") -> Any:
    """The method `copy`, which copies to C order, where np.copy keeps the order in memory."""
    return in_layout(plain_copy(a), order)


@implements("astype")
def astype(
    a: Any,
    dtype: Any,
    order: Any = "K",
    casting: Any = "unsafe",
    subok: bool = True,
    copy: bool = True,
) -> Any:
    """The method."""
    if not np.can_cast(a.dtype, dtype, casting):
        raise DtypeError(f"astype of {a.dtype} to {np.dtype(dtype)}: no cast of {casting!r}")
    if not copy and a.dtype == np.dtype(dtype) and order == "K":
        return a
    return in_layout(plain_astype(a, dtype), order)


@implements(np.astype)
def astype_function(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    check_device(device)
    return x if not copy and x.dtype == np.dtype(dtype) else plain_astype(x, dtype)
