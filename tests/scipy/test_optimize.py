"""scipy.optimize on Tensors, against SciPy on arrays and finite differences."""

from typing import Any

import numpy as np
import pytest
import scipy.optimize as so

import minigrad
from minigrad import Tensor, check_gradients, grad
from minigrad.errors import ArgumentError, GradientError, UnsupportedError
from minigrad.scipy import integrate, optimize

A = np.array([1.0, 2.0])


def check_along(f: Any, *args: Any) -> None:
    """Compare a derivative in one direction with a central difference: a solver stops a little
    before the solution, so that smaller steps say nothing."""
    rng = np.random.default_rng(0)
    directions = [np.asarray(rng.normal(size=np.shape(x))) for x in args]
    h = 3e-3
    up, down = (f(*(x + s * d for x, d in zip(args, directions, strict=True))) for s in (h, -h))
    _, tangent = minigrad.jvp(f, args, directions)
    np.testing.assert_allclose(tangent, (up - down) / (2 * h), rtol=1e-3)


def equations(x: Any, a: Any, settings: Any) -> Any:
    return [x[0] ** 2 + settings["b"] * x[1] - a[0], x[1] + np.sin(x[0]) - a[1]]


def slopes(x: Any, a: Any, settings: Any) -> Any:
    return np.array([[2 * x[0], settings["b"]], [np.cos(x[0]), 1.0]])


@pytest.mark.parametrize("method", ["hybr", "lm", "krylov"])
def test_root(method: str) -> None:
    def f(a: Any, b: Any) -> Any:
        return optimize.root(equations, A, (a, {"b": b}), method=method, tol=1e-12).x

    expected = so.root(equations, A, (A, {"b": 0.5}), method=method, tol=1e-12).x
    np.testing.assert_allclose(f(Tensor(A), 0.5).data, expected, rtol=1e-12)
    if method == "hybr":
        check_gradients(f, A, 0.5, order=2)


def test_root_with_a_jacobian_and_fsolve() -> None:
    def by_root(a: Any) -> Any:
        return optimize.root(equations, A, (a, {"b": 0.5}), jac=slopes, tol=1e-12).x

    def by_fsolve(a: Any) -> Any:
        return optimize.fsolve(equations, A, (a, {"b": 0.5}), slopes, xtol=1e-12)

    for f in (by_root, by_fsolve):
        check_gradients(f, A)


def cubic(x: Any, a: Any, b: Any) -> Any:
    return x**3 + b * x - a


@pytest.mark.parametrize("name", ["brentq", "brenth", "bisect", "ridder", "toms748"])
def test_bracketing(name: str) -> None:
    ours, theirs = getattr(optimize, name), getattr(so, name)
    f = lambda a, b: ours(cubic, 0.0, 5.0, (a, b), xtol=1e-13)  # noqa: E731
    expected = theirs(cubic, 0.0, 5.0, (3.0, 0.5), xtol=1e-13)
    assert f(Tensor(3.0), 0.5).item() == expected
    check_gradients(f, 3.0, 0.5, order=2)


def test_newton_and_root_scalar() -> None:
    def by_newton(a: Any) -> Any:
        return optimize.newton(cubic, np.array([1.0, 2.0]), args=(a, 0.5), tol=1e-13)

    def by_root_scalar(a: Any) -> Any:
        return optimize.root_scalar(
            cubic, (a, 0.5), x0=1.0, fprime=lambda x, a, b: 3 * x * x + b, xtol=1e-13
        ).root

    check_gradients(by_newton, np.array([3.0, 5.0]))
    check_gradients(by_root_scalar, 3.0)


def rosenbrock(x: Any, a: Any, b: Any) -> Any:
    return (a - x[0]) ** 2 + b * (x[1] - x[0] ** 2) ** 2


def test_minimize() -> None:
    def f(a: Any, b: Any, **how: Any) -> Any:
        return optimize.minimize(rosenbrock, np.zeros(2), (a, b), tol=1e-9, **how).x

    np.testing.assert_allclose(f(Tensor(1.5), 10.0).data, [1.5, 2.25], rtol=1e-7)
    check_along(f, 1.5, 10.0)
    second = grad(grad(lambda a: f(a, 10.0)[1]))(1.5)  # of a**2
    assert second == pytest.approx(2.0, rel=1e-6)
    for how in ({"method": "L-BFGS-B"}, {"method": "Nelder-Mead"}, {"jac": grad(rosenbrock)}):
        np.testing.assert_allclose(f(Tensor(1.5), 10.0, **how).data, [1.5, 2.25], rtol=1e-5)
    both = minigrad.value_and_grad(rosenbrock)
    found = grad(lambda a: f(a, 10.0, jac=lambda *args: both(*args)[1])[1])(1.5)
    assert found == pytest.approx(3.0, rel=1e-6)


def test_the_value_at_a_minimum_has_the_derivative_of_the_objective() -> None:
    def cost(x: Any, a: Any) -> Any:
        return np.sum((x - a) ** 2) + np.sum(x**2)

    f = lambda a: optimize.minimize(cost, np.zeros(2), (a,), tol=1e-12).fun  # noqa: E731
    np.testing.assert_allclose(grad(f)(A), A, rtol=1e-9)  # of sum(a**2) / 2


def test_gradients_of_minigrad_serve_scipy() -> None:
    start, args = np.zeros(2), (1.5, 10.0)
    for module in (so, optimize):
        found = module.minimize(rosenbrock, start, args, jac=grad(rosenbrock))
        np.testing.assert_allclose(found.x, [1.5, 2.25], rtol=1e-5)


def test_minimize_scalar() -> None:
    def f(a: Any) -> Any:
        result = optimize.minimize_scalar(lambda x, a: (x - a) ** 2 + x**4, args=(a,), tol=1e-10)
        return result.x

    slope = 2 / (2 + 12 * f(3.0) ** 2)
    assert grad(f)(3.0) == pytest.approx(slope, rel=1e-5)
    with pytest.raises(UnsupportedError, match="end"):
        optimize.minimize_scalar(lambda x, a: a * x, bounds=(0.0, 1.0), args=(Tensor(1.0),))


T = np.array([0.0, 0.5, 1.0, 1.5, 2.0])
DATA = np.array([2.1, 1.3, 0.7, 0.5, 0.2])


def decay(t: Any, size: Any, rate: Any) -> Any:
    return size * np.exp(-rate * t)


def test_least_squares_and_curve_fit() -> None:
    tight: dict[str, Any] = {"ftol": 1e-14, "xtol": 1e-14, "gtol": 1e-14}

    def by_squares(y: Any) -> Any:
        rest = lambda x, y: decay(T, *x) - y  # noqa: E731
        return optimize.least_squares(rest, np.ones(2), args=(y,), **tight).x

    def by_fit(t: Any, y: Any, sigma: Any) -> Any:
        return optimize.curve_fit(decay, t, y, sigma=sigma, **tight)[0]

    ones = np.ones(5)
    expected, covariance = so.curve_fit(decay, T, DATA, **tight)
    np.testing.assert_allclose(by_squares(Tensor(DATA)).data, expected, rtol=1e-8)
    np.testing.assert_allclose(by_fit(T, Tensor(DATA), ones).data, expected, rtol=1e-8)
    check_along(by_squares, DATA)
    check_along(by_fit, T, DATA, ones + 0.1 * T)
    found = optimize.curve_fit(decay, T, Tensor(DATA), p0=[1.0, 1.0], **tight)[1]
    np.testing.assert_allclose(found, covariance, rtol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: optimize.minimize(rosenbrock, [0, 0], (t, 1.0), bounds=[(0, 1)] * 2),
        lambda t: optimize.minimize(rosenbrock, [0, 0], (t, 1.0), constraints=[{"type": "eq"}]),
        lambda t: optimize.least_squares(lambda x, t: x - t, 1.0, args=(t,), loss="huber"),
        lambda t: optimize.curve_fit(decay, T, DATA * t, bounds=(0, 1)),
        lambda t: optimize.fsolve(lambda x, t: x - t, 1.0, (t,), full_output=True),
        lambda t: optimize.differential_evolution(lambda x, t: x * t, [(0, 1)], (t,)),
    ],
)
def test_refusals(call: Any) -> None:
    with pytest.raises(UnsupportedError):
        call(Tensor(1.0))


def test_a_solution_without_a_derivative_is_refused() -> None:
    f = lambda a: optimize.minimize(lambda x, a: np.sum((x[0] - a) ** 2), [0.0, 0.0], (a,)).x[0]  # noqa: E731
    with pytest.raises(GradientError, match="singular"):
        grad(f)(1.0)
    with pytest.raises(GradientError, match="not making good progress"):
        grad(lambda a: optimize.root(lambda x, a: x**2 + a, np.ones(1), (a,)).x[0])(1.0)
    few = {"maxiter": 2}
    for method in ("BFGS", "Nelder-Mead"):
        how: dict[str, Any] = {"method": method, "options": few}
        with pytest.raises(GradientError, match=r"[Mm]aximum number"):
            grad(lambda a: optimize.minimize(rosenbrock, A, (a, 9.0), **how).x[0])(1.0)  # noqa: B023
    with pytest.raises(GradientError, match="no solution"):
        grad(lambda a: optimize.root_scalar(cubic, (a, 0.5), bracket=(0, 9), maxiter=2).root)(3.0)
    with pytest.raises(ArgumentError, match="different signs"):
        optimize.brentq(cubic, 5.0, 6.0, (Tensor(1.0), 0.5))


def test_a_compiled_function_that_solves_is_refused() -> None:
    f = minigrad.compile(lambda a: optimize.brentq(cubic, 0.0, 5.0, (a, 0.5)))
    with pytest.raises(UnsupportedError, match="outside of that function"):
        f(np.array(3.0))


CLOSED: dict[str, Any] = {
    "brentq": lambda a: optimize.brentq(lambda x: x - a, 0, 5),
    "root_scalar": lambda a: optimize.root_scalar(f=lambda x: x - a, bracket=(0, 5)).root,
    "fsolve": lambda a: optimize.fsolve(lambda x: [x[0] - a], [1.0])[0],
    "minimize": lambda a: optimize.minimize(lambda x: np.sum((x - a) ** 2), [1.0]).x[0],
    "least_squares": lambda a: optimize.least_squares(lambda x: x - a, [1.0]).x[0],
    "quad": lambda a: integrate.quad(lambda x: x * a, 0, 1)[0],
    "odeint": lambda a: integrate.odeint(lambda y, t: -a * y, [1.0], [0.0, 1.0])[1, 0],
    "solve_ivp": lambda a: integrate.solve_ivp(lambda t, y: -a * y, (0, 1), [1.0]).y[0, -1],
}


@pytest.mark.parametrize("name", CLOSED)
def test_a_function_that_has_its_parameters_from_elsewhere(name: str) -> None:
    with pytest.raises(GradientError, match=f"{name}: .* pass it in args"):
        grad(CLOSED[name])(2.0)
    assert np.isfinite(CLOSED[name](2.0))
