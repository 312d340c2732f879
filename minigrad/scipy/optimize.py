"""scipy.optimize on Tensors: SciPy finds the solution, and its derivative by the arguments is that
of the implicit function theorem.

A solution x of F(x, p) = 0 moves with p by dx/dp = -(dF/dx)^-1 dF/dp; a minimum is where F, the
gradient of the objective, is 0. The start, and how the solver went, do not matter. On arrays, all
is SciPy's, and gradients of minigrad serve as its `jac`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize as so

from minigrad.errors import ArgumentError, GradientError, MinigradError, UnsupportedError
from minigrad.scipy.on_tensors import as_array, in_place_of, others, refuse_tracers
from minigrad.scipy.parameters import Function, Packing, calling, plain, recorded
from minigrad.tensor import value_of
from minigrad.transforms import grad, jacobian
from minigrad.transforms.implicit import solution, transposed

__getattr__ = others(so)


class Problem:
    """A problem with arguments that hold Tensors: what SciPy is given, and what it gives back."""

    def __init__(self, name: str, args: Any, *others: Any) -> None:
        refuse_tracers(name, args, *others)
        self.name = name
        self.args = args if isinstance(args, tuple) else (args,)
        self.packing = Packing(self.args)
        self.result: Any = None

    def on_arrays(self, function: Function | None, p: np.ndarray) -> Function | None:
        """A function of x and the arguments, as SciPy calls it: of x alone."""
        if not callable(function):
            return function
        given = self.packing.unpacked(p)
        return lambda x: plain(self.name, function(x, *given))[()]

    def solution(self, f: Function, solve: Callable[[np.ndarray], Any], shape: Any) -> Any:
        """x, recorded as the solution of f(x, args) = 0; `solve` finds it as SciPy does."""
        p = self.packing.vector()

        def conditions(x: Any, p: Any) -> Any:
            return np.reshape(recorded(f(x, *self.packing.unpacked(p))), shape)

        def found(_: Function, x0: Any) -> Any:
            try:
                return np.reshape(np.asarray(solve(value_of(p)), float), shape)
            except (ValueError, RuntimeError, TypeError) as error:
                if isinstance(error, MinigradError):
                    raise
                raise ArgumentError(f"{self.name}: {error}") from error

        def back(f: Function, x: Any, g: Any, args: Any) -> Any:
            if failure := failure_of(self.result):
                raise GradientError(
                    f"{self.name} has found no solution that could be differentiated: {failure}"
                )
            return transposed(f, x, g, args)

        return solution(self.name, conditions, found, np.zeros(shape), (p,), back=back)


def failure_of(result: Any) -> str:
    """Why a result of SciPy's is no solution; empty if it is one, as good as rounding allows."""
    message = " ".join(str(getattr(result, "message", getattr(result, "flag", ""))).split())
    succeeded = getattr(result, "success", getattr(result, "converged", True))
    return "" if succeeded or "precision loss" in message else message


def start_of(x0: Any) -> np.ndarray:
    """Where a solver starts, which has no influence on the solution."""
    return np.asarray(value_of(as_array(x0)), float)


def without(name: str, **settings: Any) -> None:
    """Raise for settings with which the theorem does not hold as it stands."""
    if given := [key for key, value in settings.items() if value]:
        raise UnsupportedError(
            f"{name} with Tensors among the arguments does not take {', '.join(given)}"
        )


# Roots


@in_place_of(calling(so.root))
def root(fun: Function, x0: Any, args: Any = (), **settings: Any) -> Any:
    """SciPy's result, of which `x`, the root of fun(x, *args), has derivatives by args.

    Raises:
        GradientError: when differentiated, if the Jacobian of fun at the root is singular.
        UnsupportedError: in a compiled function.

    >>> from minigrad import grad
    >>> f = lambda a: root(lambda x, a: x**2 - a, 1.0, (a,), jac=None).x[0]
    >>> round(float(grad(f)(4.0)), 6)  # of the square root
    0.25
    """
    problem, start = Problem("root", args, x0), start_of(x0)
    shape = start.shape if start.ndim else (1,)

    def solve(p: np.ndarray) -> Any:
        jac = problem.on_arrays(settings.get("jac"), p)
        problem.result = so.root(problem.on_arrays(fun, p), start, **settings | {"jac": jac})
        return problem.result.x

    x = problem.solution(fun, solve, shape)
    problem.result.x = x
    return problem.result


@in_place_of(calling(so.fsolve))
def fsolve(func: Function, x0: Any, args: Any = (), fprime: Any = None, **settings: Any) -> Any:
    """The root of func(x, *args), with derivatives by args.

    >>> from minigrad import grad
    >>> round(float(grad(lambda a: fsolve(lambda x, a: x**2 - a, 1.0, (a,))[0])(4.0)), 6)
    0.25
    """
    without("fsolve", full_output=settings.get("full_output"))
    problem, start = Problem("fsolve", args, x0), start_of(x0)

    def solve(p: np.ndarray) -> Any:
        given = problem.on_arrays(func, p), start, (), problem.on_arrays(fprime, p)
        return so.fsolve(*given, **settings)

    return problem.solution(func, solve, start.shape if start.ndim else (1,))


def bracketing(name: str) -> Any:
    """A method that finds a root between two points."""
    original = getattr(so, name)

    @in_place_of(calling(original))
    def solver(f: Function, a: Any, b: Any, args: Any = (), **settings: Any) -> Any:
        without(name, full_output=settings.get("full_output"))
        problem = Problem(name, args, a, b)
        ends = float(value_of(a)), float(value_of(b))

        def solve(p: np.ndarray) -> Any:
            return original(problem.on_arrays(f, p), *ends, **settings)

        return problem.solution(f, solve, ())

    solver.__name__ = solver.__qualname__ = name
    solver.__doc__ = (
        f"The root of f(x, *args) between a and b, by {name}, with derivatives by args.\n\n"
        "    >>> from minigrad import grad\n"
        f"    >>> f = lambda a: {name}(lambda x, a: x**2 - a, 0.0, 9.0, (a,))\n"
        "    >>> round(float(grad(f)(4.0)), 6)  # of the square root\n"
        "    0.25\n"
    )
    return solver


brentq, brenth, bisect = bracketing("brentq"), bracketing("brenth"), bracketing("bisect")
ridder, toms748 = bracketing("ridder"), bracketing("toms748")


@in_place_of(so.newton)
def newton(
    func: Function,
    x0: Any,
    fprime: Any = None,
    args: Any = (),
    tol: float = 1.48e-8,
    maxiter: int = 50,
    fprime2: Any = None,
    **settings: Any,
) -> Any:
    """The root of func(x, *args), of an array each entry's, with derivatives by args.

    >>> from minigrad import grad
    >>> round(float(grad(lambda a: newton(lambda x, a: x**2 - a, 1.0, args=(a,)))(4.0)), 6)
    0.25
    """
    without("newton", full_output=settings.get("full_output"))
    problem, start = Problem("newton", args, x0), start_of(x0)

    def solve(p: np.ndarray) -> Any:
        f, slope, curvature = (problem.on_arrays(x, p) for x in (func, fprime, fprime2))
        return so.newton(f, start[()], slope, (), tol, maxiter, curvature, **settings)

    return problem.solution(func, solve, start.shape)


@in_place_of(calling(so.root_scalar))
def root_scalar(f: Function, args: Any = (), **settings: Any) -> Any:
    """SciPy's result, of which `root`, that of f(x, *args), has derivatives by args.

    >>> from minigrad import grad
    >>> f = lambda a: root_scalar(lambda x, a: x**2 - a, (a,), bracket=(0.0, 9.0)).root
    >>> round(float(grad(f)(4.0)), 6)
    0.25
    """
    problem = Problem("root_scalar", args, settings)
    slopes = [key for key in ("fprime", "fprime2") if callable(settings.get(key))]

    def solve(p: np.ndarray) -> Any:
        how = settings | {key: problem.on_arrays(settings[key], p) for key in slopes}
        problem.result = so.root_scalar(problem.on_arrays(f, p), **how)
        return problem.result.root

    x = problem.solution(f, solve, ())
    problem.result.root = x
    return problem.result


# Minima

WITHOUT_GRADIENTS = {"nelder-mead", "powell", "cobyla", "cobyqa"}


@in_place_of(calling(so.minimize))
def minimize(
    fun: Function,
    x0: Any,
    args: Any = (),
    method: Any = None,
    jac: Any = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Any = None,
    options: Any = None,
) -> Any:
    """SciPy's result, of which `x`, the minimum of fun(x, *args), and `fun`, the value there, have
    derivatives by args. Without `jac`, the gradient is minigrad's.

    The derivatives are as accurate as the minimum, which `tol` sets.

    Raises:
        GradientError: when differentiated, if the Hessian at the minimum is singular.
        UnsupportedError: in a compiled function; with bounds or constraints.

    >>> from minigrad import grad
    >>> cost = lambda x, a: np.sum((x - a) ** 2) + np.sum(x**2)
    >>> grad(lambda a: minimize(cost, np.zeros(2), (a,)).x[0])(np.array([1.0, 2.0])).round(6)
    array([0.5, 0. ])
    """
    without("minimize", bounds=bounds is not None, constraints=constraints)
    problem, start = Problem("minimize", args, x0), start_of(x0)
    start = start if start.ndim else start[None]

    def objective(x: Any, *given: Any) -> Any:
        value = fun(x, *given)
        return value[0] if jac is True else value

    def slope(x: Any, *given: Any) -> Any:
        return grad(lambda x: np.sum(objective(x, *given)))(x)

    def solve(p: np.ndarray) -> Any:
        if str(method).lower() in WITHOUT_GRADIENTS:
            derivatives: dict[str, Any] = {}
        else:
            own = problem.on_arrays(slope if jac is None or jac is True else jac, p)
            derivatives = {"jac": own, "hess": problem.on_arrays(hess, p)}
        if hessp is not None:
            given = problem.packing.unpacked(p)
            derivatives["hessp"] = lambda x, v: plain("minimize", hessp(x, v, *given))
        problem.result = so.minimize(
            problem.on_arrays(objective, p),
            start,
            method=method,
            tol=tol,
            callback=callback,
            options=options,
            **derivatives,
        )
        return problem.result.x

    x = problem.solution(slope, solve, start.shape)
    problem.result.x, problem.result.fun = x, objective(x, *problem.args)
    return problem.result


@in_place_of(calling(so.minimize_scalar))
def minimize_scalar(
    fun: Function, bracket: Any = None, bounds: Any = None, args: Any = (), **settings: Any
) -> Any:
    """SciPy's result, of which `x`, the minimum of fun(x, *args), and `fun`, the value there, have
    derivatives by args. At an end of `bounds`, there are none.

    >>> from minigrad import grad
    >>> f = lambda a: minimize_scalar(lambda x, a: (x - a) ** 2 + x**4, args=(a,)).x
    >>> round(float(grad(f)(3.0)), 4)  # 2 / (2 + 12 x**2), at x = 1
    0.1429
    """
    problem = Problem("minimize_scalar", args, bracket, bounds)

    def slope(x: Any, *given: Any) -> Any:
        return grad(lambda x: fun(x, *given))(x)

    def solve(p: np.ndarray) -> Any:
        how = settings | {"bracket": bracket, "bounds": bounds}
        problem.result = so.minimize_scalar(problem.on_arrays(fun, p), **how)
        if bounds is not None and np.min(np.abs(np.subtract(bounds, problem.result.x))) < 1e-4:
            raise UnsupportedError(
                "minimize_scalar with Tensors among the arguments has found its minimum at an end "
                "of bounds, where it does not follow from the slope: leave bounds out"
            )
        return problem.result.x

    x = problem.solution(slope, solve, ())
    problem.result.x, problem.result.fun = x, fun(x, *problem.args)
    return problem.result


@in_place_of(calling(so.least_squares))
def least_squares(
    fun: Function,
    x0: Any,
    jac: Any = "2-point",
    bounds: Any = None,
    args: Any = (),
    loss: str = "linear",
    **settings: Any,
) -> Any:
    """SciPy's result, of which `x`, where the sum of squares of fun(x, *args) is least, `fun` and
    `cost` have derivatives by args. Without `jac`, the Jacobian is minigrad's.

    Raises:
        GradientError: when differentiated, if the squares have no single minimum.
        UnsupportedError: in a compiled function; with bounds, or another loss.

    >>> from minigrad import grad
    >>> t = np.array([0.0, 1.0, 2.0])
    >>> f = lambda y: least_squares(lambda x, y: x[0] + x[1] * t - y, np.zeros(2), args=(y,)).x[1]
    >>> grad(f)(np.array([1.0, 2.0, 2.5])).round(6) + 0.0
    array([-0.5,  0. ,  0.5])
    """
    without(
        "least_squares",
        bounds=bounds is not None,
        loss=loss != "linear",
        kwargs=settings.get("kwargs"),
    )
    problem, start = Problem("least_squares", args, x0), start_of(x0)
    start = start if start.ndim else start[None]

    def exact(x: Any, *given: Any) -> Any:
        return jacobian(lambda x: recorded(fun(x, *given)))(x)

    def slope(x: Any, *given: Any) -> Any:
        return grad(lambda x: 0.5 * np.sum(recorded(fun(x, *given)) ** 2))(x)

    def solve(p: np.ndarray) -> Any:
        own = problem.on_arrays(jac if callable(jac) else exact, p)
        problem.result = so.least_squares(problem.on_arrays(fun, p), start, own, **settings)
        return problem.result.x

    x = problem.solution(slope, solve, start.shape)
    result = problem.result
    result.x, result.fun = x, recorded(fun(x, *problem.args))
    result.cost = 0.5 * np.sum(result.fun**2)
    return result


@in_place_of(calling(so.curve_fit))
def curve_fit(
    f: Function, xdata: Any, ydata: Any, p0: Any = None, sigma: Any = None, **settings: Any
) -> Any:
    """The parameters with which f(xdata, *parameters) fits ydata best, with derivatives by xdata,
    ydata and sigma, which may hold nested dicts and lists; and their covariance, as an array.

    Raises:
        UnsupportedError: in a compiled function; with bounds, or a sigma that is a matrix.

    >>> from minigrad import grad
    >>> t, y = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 2.5])
    >>> line = lambda t, a, b: a + b * t
    >>> grad(lambda y: curve_fit(line, t, y)[0][1])(y).round(6) + 0.0
    array([-0.5,  0. ,  0.5])
    """
    without(
        "curve_fit",
        bounds=settings.get("bounds") is not None,
        full_output=settings.get("full_output"),
        sigma=sigma is not None and np.ndim(sigma) > 1,
    )
    problem = Problem("curve_fit", (xdata, ydata, sigma), p0)
    start = np.atleast_1d(np.ones(parameters_of(f)) if p0 is None else start_of(p0))

    def distance(x: Any, t: Any, y: Any, sigma: Any) -> Any:
        rest = f(t, *x) - y
        return 0.5 * np.sum((rest if sigma is None else rest / sigma) ** 2)

    def slope(x: Any, *given: Any) -> Any:
        return grad(lambda x: distance(x, *given))(x)

    def solve(p: np.ndarray) -> Any:
        t, y, weights = problem.packing.unpacked(p)
        problem.result = so.curve_fit(
            lambda t, *x: plain("curve_fit", f(t, *x)), t, y, start, weights, **settings
        )
        return problem.result[0]

    found = problem.solution(slope, solve, start.shape)
    return found, problem.result[1]


def parameters_of(f: Function) -> int:
    """How many parameters a function has after its first argument."""
    return len(inspect.signature(f).parameters) - 1
