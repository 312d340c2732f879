"""scipy.integrate on Tensors: quadrature, and differential equations by the adjoint method.

On arrays, all is SciPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.integrate as si

from minigrad.errors import ArgumentError, DtypeError, ShapeError, UnsupportedError
from minigrad.ops.base import Domain, Op
from minigrad.scipy.on_tensors import as_array, in_place_of, others, refuse_tracers
from minigrad.scipy.parameters import Packing, calling, is_complex, plain, recorded
from minigrad.tensor import value_of
from minigrad.transforms import vjp
from minigrad.transforms.ode import trajectory
from minigrad.transforms.runge_kutta import EXPLICIT

__getattr__ = others(si)

# Sums over samples


def spacing(x: Any, dx: Any, axis: int) -> Any:
    """The differences of x, along the last axis; or dx."""
    if x is None:
        return dx
    x = as_array(x)
    return np.diff(x if x.ndim == 1 else np.moveaxis(x, axis, -1), axis=-1)


def strips(y: Any, x: Any, dx: Any, axis: int) -> Any:
    """The areas of trapezoids, along the last axis."""
    y = np.moveaxis(as_array(y), axis, -1)
    return spacing(x, dx, axis) * (y[..., 1:] + y[..., :-1]) / 2


@in_place_of(si.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral of samples by the trapezoidal rule, with derivatives by y, x and dx.

    >>> from minigrad import grad
    >>> grad(trapezoid)(np.array([1.0, 2.0, 4.0]))
    array([0.5, 1. , 0.5])
    """
    return np.sum(strips(y, x, dx, axis), axis=-1)


@in_place_of(si.cumulative_trapezoid)
def cumulative_trapezoid(
    y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None
) -> Any:
    """The integrals up to each sample, by the trapezoidal rule; with initial=0, also up to the
    first.

    >>> from minigrad import Tensor
    >>> cumulative_trapezoid(Tensor([1.0, 2.0, 4.0]), initial=0)
    Tensor([0. , 1.5, 4.5])
    """
    if initial not in (None, 0):
        raise ArgumentError(f"cumulative_trapezoid: initial must be 0 or None, and is {initial!r}")
    sums = np.cumsum(strips(y, x, dx, axis), axis=-1)
    if initial is not None:
        sums = np.concatenate([np.zeros((*sums.shape[:-1], 1)), sums], -1)
    return np.moveaxis(sums, -1, axis)


def parabolas(y: Any, h: Any) -> Any:
    """Simpson's rule over pairs of intervals of widths h, along the last axis: the integral of the
    parabola through three samples."""
    y0, y1, y2 = y[..., :-2:2], y[..., 1:-1:2], y[..., 2::2]
    a, b = h[..., :-1:2], h[..., 1::2]
    middle = (a + b) ** 2 / (a * b) * y1
    return np.sum((a + b) / 6 * ((2 - b / a) * y0 + middle + (2 - a / b) * y2), axis=-1)


@in_place_of(si.simpson)
def simpson(y: Any, x: Any = None, *, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral of samples by Simpson's rule, with derivatives by y, x and dx.

    Of an even number of samples, the last interval is that of the parabola through the last three
    (K. V. Cartwright, "Simpson's rule cumulative integration with MS Excel and irregularly-spaced
    data", 2017), as in SciPy.

    >>> from minigrad import grad
    >>> grad(simpson)(np.array([1.0, 2.0, 4.0])).round(4)
    array([0.3333, 1.3333, 0.3333])
    """
    y = np.moveaxis(as_array(y), axis, -1)
    size = y.shape[-1]
    h = spacing(x, dx, axis) + np.zeros(size - 1)
    if size < 3:
        return np.sum(h * (y[..., 1:] + y[..., :-1]) / 2, axis=-1)
    if size % 2:
        return parabolas(y, h)
    a, b = h[..., -2], h[..., -1]
    last = (2 * b * b + 3 * a * b) / (6 * (a + b)) * y[..., -1]
    last = last + (b * b + 3 * a * b) / (6 * a) * y[..., -2]
    last = last - b**3 / (6 * a * (a + b)) * y[..., -3]
    return parabolas(y[..., :-1], h[..., :-1]) + last


# Integrals of functions


@dataclass(frozen=True, eq=False, repr=False)
class Integral:
    """The integral of f(x, parameters), a vector, over an interval."""

    f: Callable[[Any, Any], Any]
    settings: dict[str, Any]

    def __repr__(self) -> str:
        return "f(x)"

    def value(self, v: np.ndarray) -> np.ndarray:
        """The integral, for a vector of the two limits and the parameters."""
        a, b, p = float(v[0]), float(v[1]), v[2:]

        def at(x: float) -> Any:
            return plain("quad", self.f(x, p))

        size = at_finite(a, b, at).shape
        if size == (1,):
            return np.array([si.quad(lambda x: at(x)[0], a, b, **self.settings)[0]])
        limits = {"epsabs": 1e-12, "epsrel": 1e-10, "norm": "max"}
        limits["points"] = self.settings.get("points")
        return np.asarray(si.quad_vec(at, a, b, **limits)[0])


def at_finite(a: float, b: float, f: Callable[[float], Any]) -> Any:
    """The function somewhere inside of an interval."""
    ends = [x for x in (a, b) if np.isfinite(x)]
    middle = sum(ends) / len(ends) if ends else 0.0
    return f(middle if len(ends) != 1 else middle + (1.0 if np.isfinite(a) else -1.0))


def limit_term(g: Any, f: Callable[[Any, Any], Any], x: Any, p: Any) -> Any:
    """g * f(x), and 0 at infinity."""
    if not np.isfinite(value_of(x)):
        return np.zeros(1)
    return np.reshape(np.sum(g * recorded(f(x, p))), 1)


def integral_rule(g: Any, y: Any, v: Any, integral: Integral) -> Any:
    """By the limits, the function there; by the parameters, the integral of its derivative."""
    f, p, count = integral.f, v[2:], len(v) - 2
    by_a, by_b = (limit_term(g, f, v[k], p) for k in (0, 1))
    if not count:
        return np.concatenate([-by_a, by_b])

    def slope(x: Any, q: Any) -> Any:
        """The derivative of g * f by the parameters, for a vector of these and of g."""
        _, pull_back = vjp(lambda p: recorded(f(x, p)), q[:count])
        return pull_back(q[count:])[0]

    inner = Integral(slope, integral.settings)
    by_p = integral_op(np.concatenate([v, g]), integral=inner)
    return np.concatenate([-by_a, by_b, by_p])


integral_op = Op(
    "processing",
    "scipy.integrate.quad",
    lambda v, integral: integral.value(v),
    (integral_rule,),
    "quad({0})",
    domains=(Domain(),),
)

SETTINGS = {"epsabs", "epsrel", "limit", "points"}


@in_place_of(calling(si.quad))
def quad(func: Callable[..., Any], a: Any, b: Any, args: Any = (), **settings: Any) -> Any:
    """The integral of func(x, *args) from a to b, with derivatives by a, b and args, to any order.

    args may hold nested dicts and lists. Of the pair that is returned, the second is SciPy's
    estimate of the error.

    Raises:
        GradientError: if func uses a Tensor that requires a gradient and is not in args.
        UnsupportedError: in a compiled function; or for a setting that is for arrays only.

    >>> from minigrad import grad
    >>> f = lambda b, w: quad(lambda x, w: np.sin(w * x), 0.0, b, (w,))[0]
    >>> [round(float(x), 6) for x in grad(f, (0, 1))(1.0, 2.0)]  # of (1 - cos(w b)) / w
    [0.909297, 0.100612]
    """
    refuse_tracers("quad", a, b, args)
    if not_there := settings.keys() - SETTINGS:
        raise UnsupportedError(f"quad of Tensors does not take {sorted(not_there)}")
    args = args if isinstance(args, tuple) else (args,)
    packing = Packing(args)
    ends = [np.reshape(as_array(x) * 1.0, 1) for x in (a, b)]

    def f(x: Any, p: Any) -> Any:
        y = recorded(func(x, *packing.unpacked(p)))
        if y.size != 1:
            raise ShapeError(
                f"quad integrates a function that returns a number, and this one returned shape "
                f"{y.shape}: integrate each entry, or use fixed_quad"
            )
        return np.reshape(y, 1)

    numbers = value_of(packing.vector())
    with_error = si.quad(
        lambda x: plain("quad", f(x, numbers))[0],
        float(value_of(ends[0])[0]),
        float(value_of(ends[1])[0]),
        **settings,
    )
    value = integral_op(np.concatenate([*ends, packing.vector()]), integral=Integral(f, settings))
    return value[0], with_error[1]


@in_place_of(si.fixed_quad)
def fixed_quad(func: Callable[..., Any], a: Any, b: Any, args: Any = (), n: int = 5) -> Any:
    """The integral by Gauss's formula of n points: func is called once, with an array.

    >>> from minigrad import grad
    >>> round(float(grad(lambda b: fixed_quad(np.exp, 0.0, b)[0])(1.0)), 9)
    2.718281828
    """
    x, w = np.polynomial.legendre.leggauss(n)
    half = (b - a) / 2
    return half * np.sum(w * func(half * (x + 1) + a, *args), axis=-1), None


# Differential equations


def solved(func: Callable[..., Any], y0: Any, t: Any, args: Any, *how: Any) -> Any:
    """The solution at the times t, of shape (times, size of y0), for func(t, y, *args); solved for
    as `trajectory` takes it."""
    packing = Packing(args)
    y0, t = np.ravel(as_array(y0) * 1.0), as_array(t) * 1.0
    if is_complex(y0):
        raise DtypeError("odeint is of real y0: use solve_ivp, or give real and imaginary parts")

    def f(y: Any, t: Any, p: Any) -> Any:
        return np.reshape(recorded(func(t, y, *packing.unpacked(p))), -1)

    return trajectory("odeint", f, y0, t, (packing.vector(),), *how)


TOLERANCES = {"rtol", "atol", "tcrit", "h0", "hmax", "hmin", "mxstep", "mxhnil", "mxordn", "mxords"}


def interpolated(
    settings: dict[str, Any], method: Any, f: Any, y0: np.ndarray, t: np.ndarray
) -> Any:
    """y(t) between the first time and the last, by `method`. Settings are for one method, and the
    tolerances of all entries of y: of adjoint equations, which are larger, the least is taken."""
    if method in EXPLICIT:
        known = "rtol", "atol", "max_step", "first_step"
        settings = {k: v for k, v in settings.items() if k in known}
    if np.ndim(atol := settings.get("atol", 0.0)) and len(atol) != len(y0):
        settings = {**settings, "atol": np.min(atol)}
    span = float(t[0]), float(t[-1])
    found = si.solve_ivp(f, span, y0, method, dense_output=True, **settings)
    if not found.success:
        raise ArgumentError(f"solve_ivp has found no solution: {found.message}")
    return found.sol


@in_place_of(calling(si.odeint))
def odeint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    args: tuple[Any, ...] = (),
    tfirst: bool = False,
    **settings: Any,
) -> Any:
    """The solution of dy/dt = func(y, t, *args), at the times t, the first of which is that of y0;
    with derivatives by y0, t and args, to any order, by the adjoint method.

    args may hold nested dicts and lists. The derivatives are as accurate as `rtol` and `atol` say.
    `minigrad.odeint` is the same without SciPy's arguments.

    Raises:
        UnsupportedError: in a compiled function; or for a setting that is for arrays only.

    >>> from minigrad import grad
    >>> decay = lambda y, t, rate: -rate * y
    >>> f = lambda rate: odeint(decay, 1.0, np.array([0.0, 2.0]), (rate,))[-1, 0]
    >>> round(float(grad(f)(0.5)), 5)  # of exp(-2 * rate)
    -0.73576
    """
    refuse_tracers("odeint", y0, t, args)
    if not_there := settings.keys() - TOLERANCES:
        raise UnsupportedError(f"odeint of Tensors does not take {sorted(not_there)}")
    first = func if tfirst else lambda t, y, *args: func(y, t, *args)
    values = partial(si.odeint, tfirst=True, **settings)
    accuracy: Any = {key: settings.get(key) or 1.49012e-8 for key in ("rtol", "atol")}  # SciPy's
    between = partial(interpolated, accuracy)
    return solved(first, y0, t, args, "LSODA", between, values)


@in_place_of(calling(si.solve_ivp))
def solve_ivp(
    fun: Callable[..., Any],
    t_span: Any,
    y0: Any,
    method: Any = "RK45",
    t_eval: Any = None,
    dense_output: bool = False,
    events: Any = None,
    vectorized: bool = False,
    args: Any = None,
    **options: Any,
) -> Any:
    """The solution of dy/dt = fun(t, y, *args) over a span of time, as SciPy's result with `y` of
    shape (size of y0, times); with derivatives by y0, args, the ends of the span and t_eval.

    y0 may be complex: its parts are solved for as real numbers, with the tolerances for each.

    Without t_eval, the times are those that the solver chose, which are constants but for the ends.

    Raises:
        GradientError: if fun uses a Tensor that requires a gradient and is not in args.
        UnsupportedError: in a compiled function; with events or dense_output.
        ArgumentError: if there is no solution.

    >>> from minigrad import grad
    >>> f = lambda rate: solve_ivp(lambda t, y, k: -k * y, (0, 2), [1.0], args=(rate,)).y[0, -1]
    >>> round(float(grad(f)(0.5)), 3)  # of exp(-2 * rate)
    -0.736
    """
    refuse_tracers("solve_ivp", t_span, y0, t_eval, args)
    if dense_output or events is not None or vectorized:
        raise UnsupportedError(
            "solve_ivp of Tensors does not take dense_output, events or vectorized: give the times "
            "of interest as t_eval"
        )
    args = () if args is None else args
    if is_complex(y0 := as_array(y0)):
        return solve_complex(fun, t_span, y0, method=method, t_eval=t_eval, args=args, **options)
    settings = {"method": method, **options}
    start, end = (np.reshape(as_array(x) * 1.0, 1) for x in t_span)
    numbers = Packing(args)
    plain_args = numbers.unpacked(value_of(numbers.vector()))
    result = si.solve_ivp(
        lambda t, y: plain("solve_ivp", fun(t, y, *plain_args)),
        (float(value_of(start)[0]), float(value_of(end)[0])),
        np.ravel(value_of(y0)),
        t_eval=None if t_eval is None else value_of(t_eval),
        **settings,
    )
    if not result.success:
        raise ArgumentError(f"solve_ivp has found no solution: {result.message}")
    first = int(result.t.size and result.t[0] == value_of(start)[0])
    middle = result.t[1:-1] if t_eval is None else np.ravel(as_array(t_eval) * 1.0)[first:]
    whole = t_eval is not None and result.t[-1:] == value_of(end)  # each time is to be there once
    times = np.concatenate([start, middle, end[:0] if whole else end])
    between = partial(interpolated, options)
    solution = solved(fun, y0, times, args, method, between)[1 - first :]
    result.y = solution[: len(result.t)].T
    return result


def solve_complex(fun: Callable[..., Any], t_span: Any, y0: Any, **settings: Any) -> Any:
    """`solve_ivp` of complex y, as twice as many real numbers."""
    if "jac" in settings:
        raise UnsupportedError("solve_ivp of complex Tensors does not take jac")
    y0 = np.ravel(y0)
    n = len(y0)

    def of_parts(t: Any, y: Any, *args: Any) -> Any:
        slope = np.ravel(as_array(fun(t, y[:n] + 1j * y[n:], *args)))
        return np.concatenate([np.real(slope), np.imag(slope)])

    if np.ndim(settings.get("atol", 0.0)):
        settings["atol"] = np.tile(settings["atol"], 2)
    result = solve_ivp(of_parts, t_span, np.concatenate([np.real(y0), np.imag(y0)]), **settings)
    result.y = result.y[:n] + 1j * result.y[n:]
    return result
