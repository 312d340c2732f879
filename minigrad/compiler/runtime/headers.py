"""Whether arrays are as they were: one comparison of memory for each, all by one call of C.

An attribute of an array that Python reads is made anew each time: shape, dtype and flags of one
take 150 ns, which a step with many parameters and states pays at every call. The same facts are
in the array's header, which NumPy's C API describes (`PyArrayObject_fields`, the same in NumPy 1
and 2). A header is trusted only where it says what the array's attributes say.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

WRITEABLE = 0x400  # NPY_ARRAY_WRITEABLE, in `flags.num` of an array


class Header(ctypes.Structure):
    """An array in memory, after what all objects begin with."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("ndim", ctypes.c_int),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("base", ctypes.c_void_p),
        ("dtype", ctypes.c_void_p),
        ("flags", ctypes.c_int),
    )


class Span(ctypes.Structure):
    """The struct `span` of plans.h: bytes of memory, and what they were."""

    _fields_ = (("at", ctypes.c_void_p), ("known", ctypes.c_char_p), ("size", ctypes.c_size_t))


Spans = list[tuple[int, int]]  # addresses and numbers of bytes


def spans_of(array: Any, form: tuple[Any, Any, Any, int], written: bool) -> Spans:
    """The memory that says where an array's entries are, its shape, dtype and strides: its
    `form`, and that it is writeable, if it is `written`; empty where that is not found there."""
    if sys.implementation.name != "cpython" or not isinstance(array, np.ndarray):
        return []
    at = id(array) + object.__basicsize__
    header, (shape, dtype, strides, address) = Header.from_address(at), form
    here = (header.data, header.ndim, header.dtype, header.flags)
    if here != (address, len(shape), id(dtype), array.flags.num):
        return []
    if written and not header.flags & WRITEABLE:
        return []
    end = Header.flags.offset + (Header.flags.size if written else 0)
    spans = [(at, end)]
    for place, numbers in ((header.shape, shape), (header.strides, strides)):
        if numbers:
            if tuple((ctypes.c_ssize_t * len(numbers)).from_address(place)) != numbers:
                return []
            spans.append((place, len(numbers) * ctypes.sizeof(ctypes.c_ssize_t)))
    return spans


def comparison(
    library: ctypes.CDLL, spans: Iterable[tuple[int, int]]
) -> tuple[Callable[[Any], int], Any]:
    """A function of a program's library, and its argument, that says whether memory is as it is
    now: 1 or 0. It holds Python's lock: nothing moves meanwhile. A span is read only if those
    before it are the same, so the lengths of an array only if its header still points to them."""
    known = [Span(at, ctypes.string_at(at, size), size) for at, size in spans]
    holding = ctypes.PyDLL(library._name, handle=library._handle)
    return holding.unchanged, (Span * (len(known) + 1))(*known)
