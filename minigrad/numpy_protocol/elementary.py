"""Functions of single entries that are compositions of ops; and round, clip and nan_to_num."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from minigrad.dispatch import implementations, implements, is_traced
from minigrad.errors import DtypeError
from minigrad.numpy_protocol.keywords import NO_VALUE, written
from minigrad.ops.base import Op
from minigrad.ops.elementwise import exponent
from minigrad.ops.movement import as_array
from minigrad.tensor import value_of


@implements(np.round, np.around)
def round_to(a: Any, decimals: int = 0, out: Any = None) -> Any:
    return written(rounded(as_array(a), decimals), out)


def rounded(a: Any, decimals: int) -> Any:
    if a.dtype.kind == "c":
        return rounded(np.real(a), decimals) + 1j * rounded(np.imag(a), decimals)
    if a.dtype.kind == "b" and decimals:
        raise DtypeError(f"np.round of booleans to {decimals} digits: astype(int) them first")
    if a.dtype.kind in "iu" and decimals >= 0:
        return np.copy(a)
    scale = 10.0 ** abs(operator.index(decimals))
    if decimals <= 0:
        return np.astype(np.rint(a / scale) * scale, a.dtype) if decimals else np.rint(a)
    return np.rint(a * scale) / scale


plain_clip = implementations[np.clip]


@implements(np.clip)
def clip(
    a: Any,
    a_min: Any = None,
    a_max: Any = None,
    out: Any = None,
    *,
    min: Any = None,
    max: Any = None,
) -> Any:
    if out is None and min is None and max is None and a_min is not NO_VALUE is not a_max:
        return plain_clip(a, a_min, a_max)
    bounds = {"a_min": a_min, "a_max": a_max, "min": min, "max": max}
    return written(plain_clip(a, **{k: x for k, x in bounds.items() if x is not NO_VALUE}), out)


@implements(np.fix)
def fix(x: Any, out: Any = None) -> Any:
    return written(np.trunc(x), out)


nan_to_num_op = Op(
    "movement",
    "nan_to_num",
    lambda x, **by: np.nan_to_num(x, **by),
    (lambda g, y, x, **by: np.where(np.isfinite(x), g, 0),),
    "nan_to_num({0}, {nan}, {posinf}, {neginf})",
    jacobian="symmetric",
)


@implements(np.nan_to_num)
def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """Other numbers in the place of NaN and infinities, which get no gradient."""
    x = as_array(x)
    if x.dtype.kind not in "fc":
        return np.copy(x) if copy else x
    by = {"nan": nan, "posinf": posinf, "neginf": neginf}
    numbers = {*map(type, by.values())} <= {int, float, type(None)}
    if x.dtype.kind == "f" and numbers and not is_traced(value_of(x)):
        y = nan_to_num_op(x, **by)
    elif x.dtype.kind == "c":
        parts = (nan_to_num(part, True, nan, posinf, neginf) for part in (np.real(x), np.imag(x)))
        y = next(parts) + 1j * next(parts)
    else:
        info = np.finfo(x.dtype)
        high, low = info.max if posinf is None else posinf, info.min if neginf is None else neginf
        y = np.where(np.isnan(x), as_kind(nan, x), x)
        y = np.where(np.isposinf(x), as_kind(high, x), y)
        y = np.where(np.isneginf(x), as_kind(low, x), y)
    return y if copy else implementations["out"](x, y)


def as_kind(number: Any, x: Any) -> Any:
    return np.astype(as_array(number), x.dtype)


@implements(np.isposinf)
def isposinf(x: Any, out: Any = None) -> Any:
    return written(np.logical_and(np.isinf(x), np.logical_not(np.signbit(x))), out)


@implements(np.isneginf)
def isneginf(x: Any, out: Any = None) -> Any:
    return written(np.logical_and(np.isinf(x), np.signbit(x)), out)


@implements(np.float_power)
def float_power(x1: Any, x2: Any) -> Any:
    """A power of float64 numbers at least."""
    x1, x2 = (np.astype(as_array(x), np.result_type(x, np.float64)) for x in (x1, x2))
    return np.power(x1, x2)


@implements(np.divmod)
def divmod_of(x1: Any, x2: Any) -> tuple[Any, Any]:
    return np.floor_divide(x1, x2), np.remainder(x1, x2)


@implements(np.modf)
def modf(x: Any) -> tuple[Any, Any]:
    """The fractional part, and the integral one, which has steps."""
    whole = np.trunc(np.astype(x, np.modf(np.zeros((), x.dtype))[0].dtype))
    fraction = np.where(np.isinf(x), 0, x - np.where(np.isinf(whole), 0, whole))
    return np.copysign(np.astype(fraction, whole.dtype), whole), whole


@implements(np.frexp)
def frexp(x: Any) -> tuple[Any, Any]:
    """Mantissa and exponent, which has steps."""
    power = exponent(x)
    return np.ldexp(x, -power), power
