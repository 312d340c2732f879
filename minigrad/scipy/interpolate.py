"""scipy.interpolate on Tensors: splines with derivatives by the data and by where they are read.

On arrays, all is SciPy's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.interpolate as ip

from minigrad.dispatch import is_traced
from minigrad.errors import ArgumentError, ShapeError, UnsupportedError
from minigrad.ops.base import Domain, Op
from minigrad.ops.movement import checked_axis
from minigrad.scipy.on_tensors import as_array, in_place_of, is_recorded, others
from minigrad.tensor import Tensor, value_of

__getattr__ = others(ip)


def form_of(spline: Any) -> dict[str, Any]:
    """What a spline of SciPy's is made of, as attributes of an op."""
    degree = getattr(spline, "k", -1) if hasattr(spline, "t") else -1  # of a B-spline
    knots = spline.t if degree >= 0 else spline.x
    return {
        "knots": np.asarray(knots),
        "coefficients": np.asarray(spline.c),
        "degree": int(degree),
        "extrapolate": spline.extrapolate,
    }


def of_form(knots: Any, coefficients: Any, degree: int, extrapolate: Any) -> Any:
    if degree >= 0:
        return ip.BSpline(knots, coefficients, degree, extrapolate)
    return ip.PPoly(coefficients, knots, extrapolate)


def slope_of_spline(g: Any, y: Any, x: Any, **form: Any) -> Any:
    slope = spline_op(x, **form_of(of_form(**form).derivative()))
    return np.sum(g * slope, axis=tuple(range(x.ndim, slope.ndim)))


# A spline of SciPy's, read at x: of shape x.shape, then that of a value.
spline_op = Op(
    "processing",
    "scipy.interpolate.spline",
    lambda x, knots, coefficients, degree, extrapolate: of_form(
        knots, coefficients, degree, extrapolate
    )(x),
    (slope_of_spline,),
    "spline({0})",
    domains=(Domain(),),
)


def knots(x: Any, name: str) -> np.ndarray:
    """Where the data are, which carry no gradient."""
    if isinstance(x, Tensor) and x.requires_grad:
        raise UnsupportedError(
            f"{name} has no derivative by the places x of its data: give x.detach(), or use "
            'interp1d(kind="linear"), PchipInterpolator or CubicHermiteSpline, which have it'
        )
    places = np.asarray(value_of(x))
    if places.ndim == 1 and np.any(np.diff(places) <= 0):
        raise ArgumentError(f"{name}: x must increase")
    return places


def axis_back(found: Any, ndim: int, axis: int) -> Any:
    """A result whose first `ndim` axes are those of x, with these in the place of an axis."""
    if not axis:
        return found
    lead = list(range(ndim, ndim + axis))
    rest = list(range(ndim + axis, found.ndim))
    return np.transpose(found, (*lead, *range(ndim), *rest))


class Spline:
    """A spline through data. It is linear in these, so that it is read by a matrix: the splines
    through the columns of the identity."""

    def __init__(self, original: Any, data: Any = None, axis: int = 0) -> None:
        self.original, self.data, self.axis = original, data, axis

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        """The value, or the derivative of order nu, at x."""
        if self.data is None and not is_recorded(x):
            return self.original(x, nu, extrapolate)
        spline = self.original.derivative(nu) if nu else self.original
        if extrapolate is not None:
            raise UnsupportedError("a spline of Tensors takes `extrapolate` where it is made")
        x = as_array(x) * 1.0
        if self.data is None:
            return spline_op(x, **form_of(spline))
        weights = spline_op(x, **form_of(spline))  # of shape (*x.shape, n)
        return axis_back(np.tensordot(weights, self.data, 1), x.ndim, self.axis)

    def derivative(self, nu: int = 1) -> Spline:
        """The derivative, as a spline."""
        return Spline(self.original.derivative(nu), self.data, self.axis)

    def antiderivative(self, nu: int = 1) -> Spline:
        """The antiderivative, as a spline."""
        return Spline(self.original.antiderivative(nu), self.data, self.axis)

    def integrate(self, a: Any, b: Any) -> Any:
        """The integral from a to b."""
        whole = self.antiderivative()
        return whole(b) - whole(a)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or self.data is not None:
            raise AttributeError(f"{name} of a spline through Tensors")
        return getattr(self.original, name)


def identity_of(x: Any, y: Any, axis: int, periodic: bool) -> tuple[Any, np.ndarray, int]:
    """The data with their axis first, the identity for them, and the axis."""
    y = as_array(y)
    axis = checked_axis(y, axis)
    if y.shape[axis] != np.size(x):
        raise ShapeError(
            f"a spline at x of shape {np.shape(x)} through y of shape {y.shape}: y has as many "
            f"entries along axis {axis} as x"
        )
    data = np.moveaxis(y * 1.0, axis, 0)
    identity = np.eye(len(data))
    if periodic:  # the ends are one, of which both share the gradient
        identity[[0, -1]] = (identity[0] + identity[-1]) / 2
    return data, identity, axis


def CubicSpline(  # noqa: N802  # SciPy's name
    x: Any, y: Any, axis: int = 0, bc_type: Any = "not-a-knot", extrapolate: Any = None
) -> Spline:
    """The cubic spline through y at x, as a function with derivatives by y and by where it is read.

    Raises:
        UnsupportedError: for a gradient by x; for ends with slopes that are given, and Tensors y.

    >>> from minigrad import grad
    >>> x = np.arange(5.0)
    >>> grad(lambda y: CubicSpline(x, y)(1.5))(x**2).round(4)
    array([-0.0469,  0.5   ,  0.6562, -0.125 ,  0.0156])
    >>> round(float(grad(CubicSpline(x, x**2))(1.5)), 6)
    3.0
    """
    x = knots(x, "CubicSpline")
    if not is_recorded(y):
        return Spline(ip.CubicSpline(x, y, axis, bc_type, extrapolate))
    if not isinstance(bc_type, str) and not all(isinstance(end, str) for end in bc_type):
        raise UnsupportedError(
            "CubicSpline through Tensors takes bc_type by name: for slopes at the ends, give all "
            "slopes to CubicHermiteSpline"
        )
    data, identity, axis = identity_of(x, y, axis, bc_type == "periodic")
    return Spline(ip.CubicSpline(x, identity, 0, bc_type, extrapolate), data, axis)


def make_interp_spline(
    x: Any,
    y: Any,
    k: int = 3,
    t: Any = None,
    bc_type: Any = None,
    axis: int = 0,
    check_finite: bool = True,
) -> Spline:
    """The B-spline of degree k through y at x, with derivatives by y and by where it is read.

    Raises:
        UnsupportedError: for a gradient by x; for ends with derivatives that are given, and
            Tensors y.

    >>> from minigrad import check_gradients
    >>> check_gradients(lambda y: make_interp_spline(np.arange(5.0), y)([0.5, 2.2]), np.arange(5.0))
    """
    x = knots(x, "make_interp_spline")
    if not is_recorded(y):
        return Spline(ip.make_interp_spline(x, y, k, t, bc_type, axis, check_finite))
    if not (bc_type is None or isinstance(bc_type, str)):
        raise UnsupportedError("make_interp_spline through Tensors takes bc_type by name, or None")
    data, identity, axis = identity_of(x, y, axis, bc_type == "periodic")
    return Spline(ip.make_interp_spline(x, identity, k, t, bc_type, 0), data, axis)


# Piecewise cubics of recorded coefficients


class Cubic:
    """Cubic polynomials of x - knot between knots, with derivatives by all that they are made of.

    The data y, and their slopes, are along the first axis.
    """

    def __init__(self, x: Any, y: Any, slopes: Any, axis: int, extrapolate: Any) -> None:
        self.x, self.axis, self.extrapolate = x, axis, extrapolate
        h = np.reshape(x[1:] - x[:-1], (-1, *[1] * (y.ndim - 1)))
        rise = (y[1:] - y[:-1]) / h
        first, last = slopes[:-1], slopes[1:]
        self.coefficients = (
            y[:-1],
            first,
            (3 * rise - 2 * first - last) / h,
            (first + last - 2 * rise) / (h * h),
        )

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        """The value, or the derivative of order nu, at x."""
        x = as_array(x) * 1.0
        where, ends = value_of(x), value_of(self.x)
        place = np.clip(np.searchsorted(ends, where, "right") - 1, 0, len(ends) - 2)
        distance = x - self.x[place]
        rest = [1] * (self.coefficients[0].ndim - 1)
        distance = np.reshape(distance, (*x.shape, *rest))
        found: Any = 0.0
        for k in range(3, nu - 1, -1):
            factor = float(np.prod(np.arange(k - nu + 1, k + 1)))
            found = found * distance + factor * self.coefficients[k][place]
        found = found + np.zeros((*x.shape, *self.coefficients[0].shape[1:]))
        allowed = self.extrapolate if extrapolate is None else extrapolate
        if allowed is False:
            outside = np.logical_or(where < ends[0], where > ends[-1])
            found = np.where(np.reshape(outside, distance.shape), np.nan, found)
        return axis_back(found, x.ndim, self.axis)


def cubic_data(x: Any, y: Any, axis: int, name: str) -> tuple[Any, Any, int]:
    """The knots, and the data with their axis first."""
    x, y = as_array(x) * 1.0, as_array(y) * 1.0
    axis = checked_axis(y, axis)
    if x.ndim != 1 or len(x) < 2 or y.shape[axis] != len(x):
        raise ShapeError(
            f"{name}: x is a vector of at least 2 knots, and y has as many entries along axis "
            f"{axis}: their shapes are {x.shape} and {y.shape}"
        )
    if np.any(np.diff(value_of(x)) <= 0):
        raise ArgumentError(f"{name}: x must increase")
    return x, np.moveaxis(y, axis, 0), axis


def CubicHermiteSpline(  # noqa: N802  # SciPy's name
    x: Any, y: Any, dydx: Any, axis: int = 0, extrapolate: Any = None
) -> Any:
    """The piecewise cubic with given values and slopes, with derivatives by x, y and the slopes.

    >>> from minigrad import check_gradients
    >>> read = lambda x, y, d: CubicHermiteSpline(x, y, d)([0.5, 1.2])
    >>> check_gradients(read, np.array([0.0, 1.0, 3.0]), np.ones(3), np.arange(3.0))
    """
    if not is_recorded(x, y, dydx):
        return Spline(ip.CubicHermiteSpline(x, y, dydx, axis, extrapolate))
    x, data, axis = cubic_data(x, y, axis, "CubicHermiteSpline")
    return Cubic(x, data, np.moveaxis(as_array(dydx) * 1.0, axis, 0), axis, extrapolate)


def pchip_end(h0: Any, h1: Any, m0: Any, m1: Any) -> Any:
    """The slope at an end: of the parabola, unless that is not monotone."""
    d = ((2 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
    wrong = np.not_equal(np.sign(d), np.sign(m0))
    steep = np.logical_and(
        np.not_equal(np.sign(m0), np.sign(m1)), np.greater(np.abs(d), 3 * np.abs(m0))
    )
    return np.where(wrong, 0.0, np.where(steep, 3 * m0, d))


def pchip_slopes(x: Any, y: Any) -> Any:
    """Weighted harmonic means of the slopes beside each point, and 0 where these differ in sign
    (F. N. Fritsch and J. Butland, "A method for constructing local monotone piecewise cubic
    interpolants", 1984)."""
    h = np.reshape(x[1:] - x[:-1], (-1, *[1] * (y.ndim - 1)))
    m = (y[1:] - y[:-1]) / h
    if len(m) == 1:
        return np.concatenate([m, m])
    flat = np.less_equal(m[1:] * m[:-1], 0)
    before, after = np.where(flat, 1.0, m[:-1]), np.where(flat, 1.0, m[1:])
    w1, w2 = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    inner = np.where(flat, 0.0, (w1 + w2) / (w1 / before + w2 / after))
    start = pchip_end(h[:1], h[1:2], m[:1], m[1:2])
    end = pchip_end(h[-1:], h[-2:-1], m[-1:], m[-2:-1])
    return np.concatenate([start, inner, end])


def PchipInterpolator(x: Any, y: Any, axis: int = 0, extrapolate: Any = None) -> Any:  # noqa: N802
    """The monotone piecewise cubic through y at x, with derivatives by x, y and where it is read.

    >>> from minigrad import grad
    >>> x = np.arange(4.0)
    >>> grad(lambda y: PchipInterpolator(x, y)(1.5))(np.array([0.0, 1.0, 3.0, 4.0])).round(4)
    array([-0.1111,  0.6111,  0.6111, -0.1111])
    """
    if not is_recorded(x, y):
        return Spline(ip.PchipInterpolator(x, y, axis, extrapolate))
    x, data, axis = cubic_data(x, y, axis, "PchipInterpolator")
    return Cubic(x, data, pchip_slopes(x, data), axis, extrapolate)


# interp1d


DEGREES = {"slinear": 1, "quadratic": 2, "cubic": 3}
STEPS = {"nearest", "nearest-up", "zero", "previous", "next"}


class Interpolation:
    """What interp1d returns."""

    def __init__(
        self, x: Any, y: Any, kind: Any, axis: int, bounds_error: Any, fill_value: Any
    ) -> None:
        extends = isinstance(fill_value, str) and fill_value == "extrapolate"
        self.raises = bounds_error if bounds_error is not None else not extends
        self.extends = extends
        self.fill = (np.nan, np.nan) if extends else fill_value
        if not isinstance(self.fill, tuple):
            self.fill = (self.fill, self.fill)
        self.kind, self.x = kind, x
        self.data, self.axis = y, axis
        degree = DEGREES.get(kind, kind)
        self.spline = None
        if not isinstance(degree, str) and degree > 1:
            order = np.eye(len(x))
            self.spline = ip.make_interp_spline(knots(x, "interp1d"), order, degree)

    def __call__(self, x: Any) -> Any:
        x = as_array(x) * 1.0
        where, ends = value_of(x), value_of(self.x)
        below, above = where < ends[0], where > ends[-1]
        if is_traced(below) and self.raises and not self.extends:
            raise UnsupportedError(
                "interp1d, compiled or vmapped, cannot check that it is read within its points: "
                'give bounds_error=False and fill_value, or fill_value="extrapolate"'
            )
        if self.raises and not self.extends and np.any(below | above):
            raise ArgumentError(
                f"interp1d is read outside of {ends[0]} to {ends[-1]}: give bounds_error=False and "
                'fill_value, or fill_value="extrapolate"'
            )
        found = self.read(x, where, ends)
        if not self.extends:
            for outside, value in zip((below, above), self.fill, strict=True):
                outside = np.reshape(outside, (*x.shape, *[1] * (self.data.ndim - 1)))
                found = np.where(outside, value, found)
        return axis_back(found, x.ndim, self.axis)

    def read(self, x: Any, where: np.ndarray, ends: np.ndarray) -> Any:
        if self.spline is not None:
            return np.tensordot(spline_op(x, **form_of(self.spline)), self.data, 1)
        if self.kind in STEPS:
            if is_traced(where):
                raise UnsupportedError(
                    f"interp1d with kind={self.kind!r} is read at places that are known before a "
                    "compiled function runs: read it outside, or use np.searchsorted"
                )
            step = ip.interp1d(
                ends, np.arange(len(ends) * 1.0), self.kind, fill_value="extrapolate"
            )
            place = step(where if self.extends else np.clip(where, ends[0], ends[-1]))
            rest = [1] * (self.data.ndim - 1)
            known = np.reshape(np.isfinite(place), (*x.shape, *rest))
            values = self.data[np.where(np.isfinite(place), place, 0).astype(int)]
            return np.where(known, values, np.nan) + 0 * np.reshape(x, (*x.shape, *rest))
        place = np.clip(np.searchsorted(ends, where) - 1, 0, len(ends) - 2)
        points, data = self.x, self.data
        if is_traced(place):  # an index of Tensors, not of arrays
            points, data = (y if is_recorded(y) else Tensor(y) for y in (points, data))
        low, high = points[place], points[place + 1]
        part = np.reshape((x - low) / (high - low), (*x.shape, *[1] * (data.ndim - 1)))
        return data[place] + part * (data[place + 1] - data[place])


def interp1d(
    x: Any,
    y: Any,
    kind: Any = "linear",
    axis: int = -1,
    copy: bool = True,
    bounds_error: Any = None,
    fill_value: Any = np.nan,
    assume_sorted: bool = False,
) -> Any:
    """A function that interpolates y between x, linearly, by steps or by splines, as SciPy's; with
    derivatives by y and by where it is read, and, if it is linear, by x.

    Raises:
        ArgumentError: when it is read outside of x, unless `bounds_error` or `fill_value` allow it.

    >>> from minigrad import grad
    >>> x, y = np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 3.0])
    >>> grad(lambda y: interp1d(x, y)(2.5))(y)
    array([0.  , 0.25, 0.75])
    """
    x, y = as_array(x), as_array(y)
    of_arrays = not is_recorded(x, y)
    order = slice(None) if assume_sorted else np.argsort(value_of(x), kind="mergesort")
    data = np.moveaxis(y, axis, 0)
    if len(data) != len(x):
        raise ShapeError(
            f"interp1d: x has {len(x)} entries, and y of shape {y.shape} has {len(data)} along "
            f"axis {axis}"
        )
    settings = kind, axis, copy, bounds_error, fill_value, assume_sorted
    ours = Interpolation(x[order] * 1.0, data[order], kind, axis % y.ndim, bounds_error, fill_value)
    return in_place_of(ip.interp1d(x, y, *settings))(ours.__call__) if of_arrays else ours
