"""Differences, derivatives and integrals of sampled functions; products of vectors; convolution."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from minigrad.dispatch import conj, implements, is_traced
from minigrad.errors import ArgumentError, ShapeError
from minigrad.ops.base import Op
from minigrad.ops.movement import (
    as_array,
    as_real,
    checked_axis,
    getitem,
    in_order,
    reshape_op,
    slice_op,
)
from minigrad.ops.reduce import axes_of
from minigrad.tensor import value_of


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    if n < 0:
        raise ArgumentError(f"np.diff with n={n}: n is 0 or more")
    a = as_array(a)
    if n and not (prepend is None is append):
        given = [x if x is not np._NoValue else None for x in (prepend, append)]
        ends = [x if x is None else as_array(x) for x in given]
        shape = tuple(1 if k == axis % a.ndim else m for k, m in enumerate(a.shape))
        ends = [x if x is None or x.ndim else np.broadcast_to(x, shape) for x in ends]
        a = np.concatenate([x for x in (ends[0], a, ends[1]) if x is not None], axis)
    before = (slice(None),) * checked_axis(a, axis)
    after, until = (*before, slice(1, None)), (*before, slice(None, -1))
    for _ in range(n):
        y, x = slice_op(a, index=after), slice_op(a, index=until)
        a = np.not_equal(y, x) if a.dtype.kind == "b" else y - x
    return a


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    ary = np.ravel(as_array(ary))
    ends = [x if x is None else np.ravel(as_array(x)) for x in (to_begin, to_end)]
    for x in ends:
        if x is not None and not np.can_cast(x.dtype, ary.dtype, "same_kind"):
            raise ArgumentError(f"np.ediff1d: {x.dtype} at the end of differences of {ary.dtype}")
    parts = [ends[0], ary[1:] - ary[:-1], ends[1]]
    return np.concatenate([np.astype(x, ary.dtype) for x in parts if x is not None])


def spacing_of(given: Any, size: int) -> Any:
    """The distances along one axis: a number, or an array of n - 1."""
    x = as_array(given)
    if not x.ndim:
        return given if type(given) in (int, float) else x
    if x.ndim != 1 or len(x) != size:
        raise ShapeError(f"np.gradient: {size} entries at coordinates of shape {x.shape}")
    return np.diff(x.astype(float) if x.dtype.kind in "iub" else x)


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Second-order differences inside, one-sided ones of `edge_order` at the ends."""
    f = as_array(f)
    axes = axes_of(axis, f.ndim)
    steps: list[Any] = [1.0] * len(axes) if not varargs else list(varargs)
    steps = steps * len(axes) if len(steps) == 1 and not np.ndim(steps[0]) else steps
    if len(steps) != len(axes):
        raise ArgumentError(f"np.gradient: {len(steps)} spacings for {len(axes)} axes")
    if edge_order not in (1, 2):
        raise ArgumentError(f"np.gradient: edge_order={edge_order} is 1 or 2")
    f = np.astype(f, float) if f.dtype.kind in "iu" else f
    kind, found = np.result_type(f, *[float] * (f.dtype == bool)), []
    for k, given in zip(axes, steps, strict=True):
        h = spacing_of(given, f.shape[k])
        slope = np.moveaxis(slopes(np.moveaxis(f, k, 0), h, edge_order), 0, k)
        found.append(in_order(np.astype(slope, kind), value_of(f)))
    return found[0] if len(axes) == 1 else tuple(found)


def slopes(f: Any, h: Any, edge_order: int) -> Any:
    """Derivatives along the first axis, where entries are h apart: a number, or n - 1 of them."""
    if len(f) < edge_order + 1:
        raise ShapeError(f"np.gradient along an axis of {len(f)}: it needs {edge_order + 1}")
    if not np.ndim(h):
        inner, steps = (f[2:] - f[:-2]) / (2.0 * h), (h, h, h, h)
    else:
        steps = h[0], h[min(1, len(h) - 1)], h[-1], h[max(-2, -len(h))]
        before, after = (x.reshape((-1, *[1] * (f.ndim - 1))) for x in (h[:-1], h[1:]))
        a = -after / (before * (before + after))
        b = (after - before) / (before * after)
        inner = a * f[:-2] + b * f[1:-1] + before / (after * (before + after)) * f[2:]
    if edge_order == 1:
        ends = (f[1:2] - f[:1]) / steps[0], (f[-1:] - f[-2:-1]) / steps[2]
    else:
        ends = parabola(f[:3], *steps[:2]), -parabola(f[:-4:-1], *steps[2:])
    return np.concatenate([ends[0], inner, ends[1]])


def parabola(f: Any, near: Any, far: Any) -> Any:
    """The slope at the first of three points of the parabola through them."""
    a = -(2.0 * near + far) / (near * (near + far))
    b = (near + far) / (near * far)
    return a * f[:1] + b * f[1:2] - near / (far * (near + far)) * f[2:3]


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = as_array(y)
    y = np.moveaxis(y, checked_axis(y, axis), -1)
    if x is not None:
        x = as_array(x)
        dx = np.diff(x) if x.ndim == 1 else np.moveaxis(np.diff(x, axis=axis), axis, -1)
    return np.sum(dx * (y[..., 1:] + y[..., :-1]) / 2.0, axis=-1)


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 6.283185307179586) -> Any:
    """p plus multiples of the period, chosen so that jumps are at most half of it."""
    p = np.moveaxis(as_array(p), axis, 0)
    change = np.diff(p, axis=0)
    discont = period / 2 if discont is None else discont
    whole = np.result_type(change, period).kind in "iu"
    half, odd = divmod(period, 2) if whole else (period / 2, 0)
    low = -half
    wrapped = np.mod(change - low, period) + low
    if whole is False or not odd:  # a step of half a period keeps its sign
        ambiguous = np.logical_and(np.equal(wrapped, low), np.greater(change, 0))
        wrapped = np.where(ambiguous, half, wrapped)
    turns = np.where(np.less(np.abs(change), discont), 0, wrapped - change)
    total = np.cumsum(turns, axis=0)
    parts = [np.astype(x, np.result_type(change, period)) for x in (p[:1], p[1:] + total)]
    return np.moveaxis(np.concatenate(parts), 0, axis)


@implements(np.interp)
def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """The line through the points (xp, fp) at x. At a point, the slope is that to its right."""
    x, xp, fp = as_real(x), as_real(xp), as_array(fp)
    x, xp, fp = (np.astype(part, np.result_type(part, float)) for part in (x, xp, fp))
    if xp.ndim != 1 or xp.shape != fp.shape or not len(xp):
        raise ShapeError(f"np.interp: points at {xp.shape} with values of {fp.shape}")
    if period is not None:
        if not period:
            raise ArgumentError("np.interp with a period of 0")
        period, left, right = abs(period), None, None
        x, xp = x % period, xp % period
        order = np.argsort(xp)
        xp, fp = xp[order], fp[order]
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
    left, right = fp[0] if left is None else left, fp[-1] if right is None else right
    if len(xp) > 1:
        i = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, len(xp) - 2)
        slope = (fp[1:] - fp[:-1]) / (xp[1:] - xp[:-1])
        y = getitem(slope, i) * (x - getitem(xp, i)) + getitem(fp, i)
    else:
        y = np.where(np.isnan(x), x, fp[0])
    return np.where(np.less(x, xp[0]), left, np.where(np.greater(x, xp[-1]), right, y))


# Products


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    a, b = as_array(a), as_array(b)
    ndim = max(a.ndim, b.ndim)
    if not (a.ndim and b.ndim):
        return np.multiply(a, b)
    sizes = [(1,) * (ndim - x.ndim) + x.shape for x in (a, b)]
    a = reshape_op(a, shape=tuple([n for size in sizes[0] for n in (size, 1)]))
    b = reshape_op(b, shape=tuple([n for size in sizes[1] for n in (1, size)]))
    return reshape_op(a * b, shape=tuple(map(operator.mul, *sizes)))


def cross_of_arrays(x: Any, y: Any) -> Any:
    shape = x.shape if x.shape == y.shape else np.broadcast_shapes(x.shape, y.shape)
    z = np.empty(shape, np.result_type(x, y))
    for k, (i, j) in enumerate(((1, 2), (2, 0), (0, 1))):
        z[..., k] = x[..., i] * y[..., j] - x[..., j] * y[..., i]
    return z


# Of vectors along the last axis.
cross_op = Op(
    "processing",
    "cross",
    cross_of_arrays,
    (lambda g, z, x, y: np.cross(y, g), lambda g, z, x, y: np.cross(g, x)),
    "cross({0}, {1})",
    broadcasts=True,
    jacobian="multilinear",
)


@implements(np.cross)
def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """Of vectors of three entries; NumPy's of two, which it deprecates, are refused."""
    a, b = as_array(a), as_array(b)
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    axisa, axisb = checked_axis(a, axisa), checked_axis(b, axisb)
    if (a.shape[axisa], b.shape[axisb]) != (3, 3):
        raise ShapeError(
            f"np.cross of shapes {a.shape} and {b.shape}: vectors have three entries, along the "
            "last axis or axis=; of two, write x[0] * y[1] - x[1] * y[0]"
        )
    last = axisa == a.ndim - 1 and axisb == b.ndim - 1 and axisc == -1
    if last and not is_traced(value_of(a)) and not is_traced(value_of(b)):
        return cross_op(a, b)
    x, y = np.moveaxis(a, axisa, 0), np.moveaxis(b, axisb, 0)
    parts = [x[i] * y[j] - x[j] * y[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return np.stack(parts, axisc)


# Convolution of two sequences, and its adjoint: each is the derivative of the other.


def convolved(x: Any, w: Any) -> Any:
    """y[n] = sum over k of x[n - k] w[k]; with nothing in one of them, zeros."""
    if x.size and w.size:
        return np.convolve(x, w)
    return np.zeros(max(x.size + w.size - 1, 0), np.result_type(x, w))


def slid(x: Any, w: Any) -> Any:
    """y[k] = sum over n of x[k + n] w[n], wherever all of w is on x."""
    places = x.size - w.size + 1
    if places > 0 and w.size:
        return np.convolve(x, w[::-1], "valid")
    return np.zeros(max(places, 0), np.result_type(x, w))


convolve_op: Op = Op(
    "processing",
    "convolve",
    convolved,
    (lambda g, y, x, w: slide_op(g, w), lambda g, y, x, w: slide_op(g, x)),
    "convolve({0}, {1})",
    jacobian="multilinear",
)
slide_op: Op = Op(
    "processing",
    "slide",
    slid,
    (lambda g, y, x, w: convolve_op(g, w), lambda g, y, x, w: slide_op(x, g)),
    "slide({0}, {1})",
    jacobian="multilinear",
)
MODES = ("full", "same", "valid")


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    a, v = (np.atleast_1d(as_array(x)) for x in (a, v))
    if a.ndim > 1 or v.ndim > 1 or not (a.size and v.size):
        raise ShapeError(f"np.convolve of shapes {a.shape} and {v.shape}: each is one sequence")
    if mode not in MODES:
        raise ArgumentError(f"np.convolve with mode={mode!r}: it is one of {', '.join(MODES)}")
    long, short = max(len(a), len(v)), min(len(a), len(v))
    y = convolve_op(a, v)
    start = {"full": 0, "same": (short - 1) // 2, "valid": short - 1}[mode]
    size = {"full": len(y), "same": long, "valid": long - short + 1}[mode]
    return y if size == len(y) else y[start : start + size]


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    a, v = (np.atleast_1d(as_array(x)) for x in (a, v))
    if mode == "same" and len(v) > len(a) and len(a) % 2 == 0:
        # NumPy swaps them and turns the result, so that the middle is rounded the other way.
        return np.flip(np.convolve(np.flip(a), conj(v), mode))
    return np.convolve(a, conj(np.flip(v)), mode)
