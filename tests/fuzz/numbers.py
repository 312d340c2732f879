"""Faults in numbers: what dtypes hold at most, signs of zeros, NaN, ties, and rounding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import minigrad.functional as F
from tests.fuzz.common import Lines, Program, kind

INTEGERS = np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64
SIGNED = INTEGERS[:4]
# Sizes about those of vectors of every dtype.
LENGTHS = 1, 2, 3, 5, 7, 8, 9, 13, 15, 16, 17, 31, 33, 63, 65, 70, 127, 129


def length(b: Lines) -> int:
    return int(b.draw(*LENGTHS))


def shape(b: Lines) -> Any:
    n = length(b)
    return b.draw((n,), (n, 3), (2, n), (5, n), (n, n % 7 + 1))


def axis(b: Lines, x: str) -> Any:
    n = b.inputs[x].ndim
    return b.draw(None, *range(n), -1)


def some_of(b: Lines, codes: str, most: int, **names: Any) -> None:
    """So many lines of those that NumPy has such an op for."""
    for code in b.rng.permutation(codes.replace("\n", " ; ").split(" ; ")):
        if len(b.lines) < most and valid(code := str(code).format(**names), b.inputs):
            b.let(code)


def valid(code: str, names: dict[str, np.ndarray]) -> bool:
    """Whether NumPy has such an op of these dtypes."""
    try:
        eval(code, {"np": np, "F": F, **names})
    except (TypeError, OverflowError, ValueError):
        return False
    return True


@kind()
def extremes_of_integers(b: Lines) -> Program:
    """Lanes that have nothing to do are not to count: all numbers are near a dtype's ends."""
    dtype = b.draw(*INTEGERS)
    info = np.iinfo(dtype)
    low = b.draw(info.min, info.max - 3, max(info.min, -5), 1)
    x = b.given(b.rng.integers(low, int(low) + 3, shape(b), dtype, endpoint=True))
    at = axis(b, x)
    for how in ("max", "min", "argmax", "argmin", "any", "all"):
        if not (how.startswith("arg") and isinstance(at, tuple)):
            b.let(f"np.{how}({x}, axis={at})")
    b.let(f"np.{b.draw('maximum', 'minimum')}({x}, {x}[..., ::-1])")
    return b.program()


@kind()
def booleans_as_numbers(b: Lines) -> Program:
    s = shape(b)
    x, y = (b.given(b.rng.random(s) < b.draw(0.1, 0.5, 0.9, 1.0)) for _ in range(2))
    z = b.given(b.rng.integers(-3, 4, s).astype(b.draw(*SIGNED, np.float32, np.float64)))
    at = axis(b, x)
    codes = """\
{x} + {y} ; {x} * {y} ; {x} + {z} ; {z} - {x} ; {x} * {z} ; {x} / 2 ; {x} * 0.5 ; {x} + 1
{x} + True ; {x} < {y} ; {x} == {z} ; np.maximum({x}, {y}) ; {x} ** 2 ; ~{x} ; {x} & {y}
{x} ^ {y} ; np.where({x}, {z}, {y}) ; np.where({x}, True, {z}) ; np.where({y}, {x}, 3)
np.sum({x}, axis={at}) ; np.mean({x}, axis={at}) ; np.max({x}, axis={at})
np.prod({x}, axis={at}) ; np.any({x}, axis={at}) ; np.argmax({x}, axis={at})
np.cumsum({x}, axis=-1) ; {x}.astype(np.int8) ; {x}.astype(np.float32)
({z} + 1).astype(bool) ; np.abs({x}) ; np.minimum({x}, {z}) ; np.sqrt({x})
np.sum({x} * {z}, axis={at}) ; np.sum({x} & {y}, axis={at}) ; np.logical_and({x}, {z})
{x} // 2 ; {x} @ {x}.T ; np.exp({x}) ; np.float32(2) * {x} ; {x} % 2
np.sum({z} > 0) + np.sum({x}) ; np.concatenate([{x}, {y}], axis=-1)
np.stack([{x}, {y}]).max(axis=0) ; {x} >= {z}"""
    some_of(b, codes, 6, x=x, y=y, z=z, at=at)
    return b.program(rtol=3e-7)


SPECIAL = np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 2.5, -2.5


@kind()
def largest_with_nan_and_ties(b: Lines) -> Program:
    s = shape(b)
    numbers = b.rng.choice([0.0, 1.0, 1.0, -1.0, 2.5], s)
    if b.chance(0.6):
        spots = b.rng.random(s) < b.draw(0.02, 0.2, 1.0)
        numbers = np.where(spots, b.rng.choice([np.nan, np.inf, -np.inf], s), numbers)
    x = b.given(numbers.astype(b.draw(np.float32, np.float64)))
    y = b.given(b.rng.permutation(numbers.ravel()).reshape(s).astype(b.inputs[x].dtype))
    at = axis(b, x)
    for how in ("argmax", "argmin", "max", "min"):
        b.let(f"np.{how}({x}, axis={at})")
        b.let(f"np.{how}({x} + {y}, axis={at})")
    b.let(f"np.maximum({x}, {y})")
    b.let(f"np.minimum({x}, 0.5)")
    b.let(f"np.clip({x}, -1, {b.draw(0.5, y)})")
    b.let(f"np.ptp({x}, axis={at})")
    return b.program(rtol=1e-6)


@kind()
def comparisons_with_nan(b: Lines) -> Program:
    s = shape(b)
    dtype = b.draw(np.float32, np.float64)
    x, y = (b.given(b.rng.choice(SPECIAL, s).astype(dtype)) for _ in range(2))
    codes = """\
np.where({x} > {y}, {x}, {y}) ; {x} != {x} ; ~({x} < {y}) ; ({x} <= {y}) ^ ({x} > {y})
np.where(np.isnan({x}), 0, {x}) ; np.isfinite({x}) & ({y} > 0)
np.where({x} == {y}, 1.0, {x}) ; np.sign({x}) ; np.any({x} > {y}, axis=0)
np.all({x} == {x}, axis=-1) ; np.isinf({x}) ; -{x} ; np.abs({x}) ; {x}.astype(bool)
np.logical_not({x}) ; np.signbit({x}) ; np.where({x} < 0, -{x}, {x}) ; np.maximum({x}, 0)
np.where({x} > 0, {x}, 0) ; {x} * ({x} > 0) ; 0 - {x} ; {x} * -1 ; np.floor({x})
np.rint({x}) ; np.trunc({x}) ; np.ceil({x}) ; F.relu({x}) ; np.any({x})
np.logical_or({x}, {y})"""
    some_of(b, codes, 8, x=x, y=y)
    return b.program(bits=True)


@kind()
def zeros_with_a_sign(b: Lines) -> Program:
    """Also what is computed of nothing but -0.0: NumPy's sum of these is one, and so is a mean."""
    s = shape(b)
    dtype = b.draw(np.float32, np.float64)
    x = b.given(np.full(s, -0.0, dtype) if b.chance(0.5) else zeros(b, s, dtype))
    y = b.given(zeros(b, s, dtype))
    one = b.given(b.rng.choice([1.0, -1.0], s).astype(dtype))
    at = axis(b, x)
    codes = """\
-{x} ; {x} + {y} ; {x} - {y} ; {x} * {one} ; {x} + 0.0 ; {x} - 0.0 ; 0.0 - {x} ; {x} * 0.0
{x} * -1.0 ; {x} / {one} ; np.sqrt({x}) ; np.abs({x}) ; np.where({x} == 0, {x}, 1)
{one} * {x} + {y} ; np.floor({x}) ; np.rint({x} * 0.5) ; np.sin({x}) ; np.tanh({x})
np.copy({x}) ; {x} ** 3 ; +{x} ; np.sum({x}, axis={at}) ; np.mean({x}, axis={at})
np.prod({x}, axis={at}) ; np.cumsum({x}, axis=-1) ; np.concatenate([{x}, {y}])[::-1]
np.expm1({x}) ; np.arctan({x}) ; np.trunc({one} * 0.3) ; {x} * {y}
np.sum({x} * 1.0, axis={at}, keepdims=True) ; np.stack([{x}, {x}]).sum(axis=0) ; -({x} - {y})
np.ceil({one} * 0.3) ; 1 / {x} ; np.arctan2({x}, {one}) ; {x} % 2.0 ; np.sum(-{x}, axis={at})"""
    some_of(b, codes, 8, x=x, y=y, one=one, at=at)
    return b.program(bits=True)


def zeros(b: Lines, s: tuple[int, ...], dtype: Any) -> np.ndarray:
    return np.asarray(b.rng.choice([0.0, -0.0], s).astype(dtype))


@kind()
def near_overflow(b: Lines) -> Program:
    """What is simplified by algebra is to overflow, and underflow, where it did. (Not so a product
    and a sum, which C computes in one step.)"""
    s = shape(b)
    dtype = b.draw(np.float32, np.float64)
    info = np.finfo(dtype)
    top = math.log2(float(info.max))
    spread = b.draw((top / 2 - 1, top / 2 + 1), (top - 1, top - 1e-3), (-top / 2 - 2, -top / 2 + 2))
    x = b.given(
        (np.exp2(b.rng.uniform(spread[0], spread[1], s)) * b.rng.choice([-1, 1], s)).astype(dtype)
    )
    y = b.given(np.exp2(b.rng.uniform(-3, 3, s)).astype(dtype))
    at = axis(b, x)
    codes = """\
np.sqrt(np.square({x})) ; np.sqrt({x} * {x}) ; {x} ** 2 / {x} ; {x} * {y} / {y}
{x} / {y} * {y} ; np.square({x}) ** 0.5 ; {x} * {x} * {x} ; ({x} + {x}) * 0.5 ; {x} * 2 / 2
1 / {x} ; np.hypot({x}, {x}) ; np.abs({x}) ** 0.5 ; ({x} * {y}) ** 2 ; {x} ** 3 ; {x} ** -1
np.sum({x} / 512, axis={at}) ; np.mean({x} / 512, axis={at}) ; np.max({x} * {y}, axis={at})
{x} * {x} / {x} ; {x} ** -2 ; np.reciprocal(np.square({x}))
np.sum(np.square({x}), axis={at}) ; np.exp2({y} * 40) ; np.exp({y} * 100)
{x} * 1e30 * 1e-30"""
    some_of(b, codes, 8, x=x, y=y, at=at)
    return b.program(rtol=2e-5 if dtype is np.float32 else 1e-11)


@kind()
def nothing_times_nan(b: Lines) -> Program:
    """Constants of 0 and 1 do not make NaN and infinities go away."""
    s = shape(b)
    x = b.given(b.rng.choice(SPECIAL, s).astype(b.draw(np.float32, np.float64)))
    at, n = axis(b, x), s[-1]
    zero = b.draw("0", "0.0", "np.zeros_like({x})", f"np.zeros({n}, np.float32)", "({x} - {x}) * 0")
    zero = zero.format(x=x)
    codes = """\
{x} * {zero} ; {zero} * {x} ; {x} - {x} ; {x} / {x} ; {x} * {zero} + 1 ; {x} ** 0
{x} + {zero} ; np.sum({x} * {zero}, axis={at}) ; np.where({x} > 0, {x}, {zero}) * {zero}
{x} * 1 ; {x} / 1 ; {x} ** 1 ; ({x} * {zero}) @ np.ones({n}, np.float32)
np.ones({n}, np.float32) @ ({zero} * {x}).T ; 1 * {x} - {x} ; np.minimum({x} * {zero}, 1)
{x} % 1 ; np.square({x}) * {zero} ; {x} // 1 ; np.maximum({x} * {zero}, 0)
F.logsumexp({x}, axis=-1) ; F.softmax({x} * 0.1, axis=-1) ; np.exp({x}) * {zero}
np.pad({x} * {zero}, 1) ; np.mean({x} * {zero}, axis={at}) ; np.hypot({x}, 0)
{x} * ({x} > 0) ; np.cumsum({x} * {zero}, axis=-1) ; np.concatenate([{x} * {zero}, {x}])
{x} ** 0.5"""
    some_of(b, codes, 8, x=x, zero=zero, at=at, n=n)
    return b.program(rtol=1e-6)


@kind()
def integers_beyond_2_to_53(b: Lines) -> Program:
    s = shape(b)
    dtype = b.draw(np.int64, np.int64, np.uint64)
    low, high = b.draw((2**53, 2**53 + 100), (2**62, 2**62 + 100), (2**60 - 5, 2**60 + 5))
    sign = -1 if dtype is np.int64 and b.chance(0.5) else 1
    x = b.given((b.rng.integers(low, high, s) * sign).astype(dtype))
    y = b.given(b.rng.integers(1, 7, s).astype(dtype))
    at = axis(b, x)
    codes = """\
{x} + 1 ; {x} * 3 ; {x} // 3 ; {x} % 7 ; {x} - {y} ; np.maximum({x}, {x} + {y}) ; {x} // {y}
{x} % {y} ; np.sum({x}, axis={at}) ; np.max({x}, axis={at}) ; np.min({x}, axis={at})
{x} > {x} - 1 ; np.argmax({x}, axis={at}) ; np.cumsum({x}, axis=-1) ; {x} == {x} + 1
np.where({y} > 3, {x}, {x} + 1) ; np.abs({x}) ; {x} ^ {y} ; {x} | {y} ; {y} * {x}
np.prod({y}, axis={at}) ; {x}.astype(np.int32) ; ~{x} ; np.concatenate([{x}, {y}])
np.clip({x}, {x} + 1, {x} + 3) ; np.sign({x}) ; np.square({x}) ; +{x} ; {x} & {y}
{y}.astype(np.uint8) ; np.diff({x}, axis=-1) ; np.pad({x}, 1) ; {x} @ {y}.T ; {x}[::-1]
np.take({x}, [0, -1], axis=0) ; {x} != {x} - 1 ; np.minimum({x}, {y}) ; {x} * {x} ; {x} ** 2"""
    some_of(b, codes, 8, x=x, y=y, at=at)
    return b.program()


@kind()
def products_of_narrow_integers(b: Lines) -> Program:
    """They wrap around where NumPy's do: C computes in int what NumPy computes in int8."""
    s = shape(b)
    one, other = b.draw(*INTEGERS), b.draw(*INTEGERS)
    x, y = (b.given(any_integers(b, s, d)) for d in (one, other))
    at = axis(b, x)
    codes = """\
{x} * {x} ; {x} + {x} ; {x} - {y} ; {x} * {y} ; -{x} ; ~{x} ; {x} * {x} > {x}
{x} + {x} == {y} ; ({x} + {x}) // 2 ; {x} * {x} // 3 ; ({x} + {x}) % 7
np.sum({x}, axis={at}) ; np.prod({x}, axis={at}) ; np.sum({x} * {x}, axis={at})
np.maximum({x} + {x}, {x}) ; np.square({x}) ; np.abs({x}) ; {x} ** 2
({x} * {x}).astype(np.int64) ; {x}.astype(np.int8) ; {x}.astype(np.uint16) ; {x} * 2
{x} @ {x}.T ; np.where({x} > 3, {x} * {x}, {x}) ; ({x} + {x}) * 0.5 ; np.cumsum({x}, axis=-1)
{x} & {y} ; {x} | {y} ; {x} ^ {y} ; np.max({x} + {x}, axis={at})
({x} + {x}).astype(np.float32) ; np.bitwise_or({x}, {x} + {x}) ; np.mean({x}, axis={at})
np.sign({x}) ; np.concatenate([{x}, {y}]) ; np.clip({x}, 2, 100) ; {x} < {y} ; {x} - 1
1 - {x}"""
    some_of(b, codes, 8, x=x, y=y, at=at)
    return b.program(rtol=1e-5)


def any_integers(b: Lines, s: tuple[int, ...], dtype: Any) -> np.ndarray:
    info = np.iinfo(dtype)
    ends = [info.min, info.max, info.max - 1, 0, 1, 2, 3, info.min // 2, info.max // 2 + 1]
    near = b.rng.choice(np.array(ends, dtype), s)
    far = b.rng.integers(info.min, info.max, s, dtype, endpoint=True)
    return np.asarray(b.draw(near, far, np.where(b.rng.random(s) < 0.5, near, far)).astype(dtype))


@kind()
def division_by_any_number(b: Lines) -> Program:
    """It rounds down, also where one of the two is negative; by 0 as NumPy does."""
    s = shape(b)
    dtype = b.draw(*INTEGERS, np.float32, np.float64)
    if np.dtype(dtype).kind == "f":
        numbers = [0.0, -0.0, 1.0, -1.0, 3.5, -3.5, 7.0, -7.0, 1e6, -1e6, np.inf, np.nan, 0.25]
        x, y = (b.given(b.rng.choice(numbers, s).astype(dtype)) for _ in range(2))
        by = b.draw(-3.0, 2.5, -0.25, 7, -7, 1, -1)
    else:
        x, y = (b.given(any_integers(b, s, dtype)) for _ in range(2))
        by = b.draw(*((-3, -1, 7, -8, 1, 2, 64) if dtype in SIGNED else (3, 1, 7, 8, 64)))
    codes = """\
{x} // {y} ; {x} % {y} ; {x} // {by} ; {x} % {by} ; {x} / {y} ; {x} / {by} ; {y} // {x}
np.remainder({x}, {y}) ; np.floor_divide({x}, {y}) ; np.fmod({x}, {y}) ; np.fmod({x}, {by})
({x} // {y}) * {y} + {x} % {y} ; {by} // {x} ; {by} % {x} ; {by} / {x} ; np.mod({x}, {by})
({x} + 1) // {by} ; np.sum({x} // {by}) ; np.where({y} != 0, {x} // {y}, 0)
({x} // {by}) % {by} ; np.max({x} % {by})"""
    some_of(b, codes, 7, x=x, y=y, by=by)
    return b.program(rtol=2e-6)


@kind()
def denormals(b: Lines) -> Program:
    """Nothing is flushed to zero."""
    s = shape(b)
    dtype = b.draw(np.float32, np.float64)
    least = float(np.finfo(dtype).smallest_subnormal)
    x = b.given((b.rng.integers(-40, 40, s) * least).astype(dtype))
    y = b.given((b.rng.integers(1, 40, s) * float(np.finfo(dtype).tiny) / 16).astype(dtype))
    at = axis(b, x)
    codes = """\
{x} + {x} ; {x} * 2 ; {x} * 0.5 ; -{x} ; {x} - {y} ; np.abs({x}) ; np.maximum({x}, {y})
{y} / 8 ; np.sum({x}, axis={at}) ; np.max({x}, axis={at}) ; {x} > 0 ; {x} == 0
np.where({x} != 0, 1, 0) ; {y} * 4 ; {x}.astype(np.float64) ; {x}.astype(np.float32)
np.sign({x}) ; np.cumsum({x}, axis=-1) ; {x} * 1.0 ; np.concatenate([{x}, {y}])
np.minimum({x}, 0) ; {x} + 0.0 ; np.where({x} > 0, {x}, {y}) ; {x}.astype(bool)
np.argmax({x}, axis={at}) ; {x} @ np.ones({n}, {x}.dtype) ; np.any({x}, axis={at})
F.relu({x}) ; {y} - {y} / 2"""
    some_of(b, codes, 8, x=x, y=y, at=at, n=s[-1])
    return b.program(bits=True)


NUMBERS = (
    "2 -3 0.5 True 1e-3 2.0 np.float32(1.5) np.float64(0.1) np.int8(3) np.int64(2) 7 1".split()
)


@kind()
def promotion_of_numbers(b: Lines) -> Program:
    """Python's are weak, NumPy's are not."""
    s = shape(b)
    dtype = b.draw(*INTEGERS, np.float32, np.float64, bool)
    x = b.given(b.rng.integers(0, 2 if dtype is bool else 9, s).astype(dtype))
    other = b.draw(np.float32, np.float64, np.int8, np.int64, np.uint8, bool)
    y = b.given(b.rng.integers(0, 2, s).astype(other))
    is_unsigned = np.dtype(dtype).kind == "u"
    scalars = [n for n in NUMBERS if not (is_unsigned and n.startswith("-"))]
    codes = """\
{x} + {n} ; {n} * {x} ; {x} - {n} ; {n} / {x} ; {x} / {n} ; {x} > {n} ; np.maximum({x}, {n})
np.where({x} > 1, {x}, {n}) ; np.where({x} > 1, {n}, {m}) ; ({x} + {n}) * {m} ; {x} * {y}
{x} + {y} ; np.where({y} > 0, {x}, {y}) ; {x} ** 2 ; np.sum({x}) * {n} ; np.mean({x})
{x}.astype(np.float32) * {n} ; np.concatenate([{x}, {y}]) ; np.minimum({n}, {x}) + {m}
({n} + {m}) * {x} ; np.sqrt({x}) ; np.exp({x}) * {n} ; np.stack([{x}, {y}]) ; {x} @ {y}.T
np.hypot({x}, {n}) ; np.var({x}) ; np.clip({x}, 1, 5) ; {x} == {n} ; np.logaddexp({x}, {n})
np.full_like({x}, 2) + {n} ; np.ones_like({x}) * {n} ; {x} // 3 ; {x} % 3"""
    some_of(b, codes, 7, x=x, y=y, n=b.draw(*scalars), m=b.draw(*scalars))
    return b.program(rtol=2e-5)
