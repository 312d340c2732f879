"""scipy.integrate on Tensors, against SciPy on arrays and finite differences."""

from typing import Any

import numpy as np
import pytest
import scipy.integrate as si

import minigrad
from minigrad import Tensor, check_gradients, grad
from minigrad.errors import ArgumentError, DtypeError, GradientError, ShapeError, UnsupportedError
from minigrad.scipy import integrate, linalg
from tests.marks import rows

Y = np.array([[1.0, 2.0, 4.0, 3.0, 1.5, 1.0], [0.5, 2.5, 1.0, 0.3, 0.2, 2.0]])
X = np.array([0.0, 0.3, 1.0, 1.2, 2.0, 2.7])


@pytest.mark.parametrize("name", ["trapezoid", "cumulative_trapezoid", "simpson"])
@pytest.mark.parametrize("count", [6, 5, 3, 2])
def test_sums_of_samples(name: str, count: int) -> None:
    ours, theirs = getattr(integrate, name), getattr(si, name)
    y, x = Y[:, :count], X[:count]
    settings: list[dict[str, Any]] = [{}, {"dx": 0.3}, {"x": x}, {"x": x + y}]
    for rest in settings:
        np.testing.assert_allclose(ours(Tensor(y), **rest).data, theirs(y, **rest), rtol=1e-13)
        check_gradients(lambda y, rest=rest: ours(y, **rest), y, order=1)
    found = ours(Tensor(y.T), x=x, axis=0).data
    np.testing.assert_allclose(found, theirs(y.T, x=x, axis=0), rtol=1e-13)
    check_gradients(lambda x: ours(y, x), x)


def test_sums_from_zero() -> None:
    found = integrate.cumulative_trapezoid(Tensor(Y), X, initial=0)
    np.testing.assert_allclose(found.data, si.cumulative_trapezoid(Y, X, initial=0))
    with pytest.raises(ArgumentError):
        integrate.cumulative_trapezoid(Tensor(Y), initial=1.0)


# Quadrature


def wave(x: Any, settings: Any, power: Any) -> Any:
    return np.exp(-settings["rate"] * x) * np.cos(settings["waves"][1] * x) ** power


def test_quadrature_of_nested_arguments_to_second_order() -> None:
    def f(a: Any, b: Any, rate: Any, waves: Any) -> Any:
        return integrate.quad(wave, a, b, ({"rate": rate, "waves": waves}, 2))[0]

    args = 0.2, 1.3, 0.7, np.array([1.0, 2.0])
    expected = si.quad(wave, 0.2, 1.3, ({"rate": 0.7, "waves": args[3]}, 2))
    assert f(*map(Tensor, args)).item() == pytest.approx(expected[0], rel=1e-14)
    check_gradients(f, *args, order=2)


def test_quadrature_over_infinite_intervals() -> None:
    def f(s: Any) -> Any:
        return integrate.quad(lambda x, s: np.exp(-0.5 * (x / s) ** 2), -np.inf, np.inf, s)[0]

    assert grad(f)(1.7) == pytest.approx(np.sqrt(2 * np.pi))
    assert grad(grad(lambda s: integrate.quad(lambda x, s: np.exp(-s * x), 0, np.inf, s)[0]))(
        2.0
    ) == pytest.approx(2 / 8)


def test_gauss_quadrature() -> None:
    found = integrate.fixed_quad(np.exp, Tensor(0.0), 1.0, n=4)[0].item()
    assert found == pytest.approx(si.fixed_quad(np.exp, 0.0, 1.0, n=4)[0])
    check_gradients(lambda a, b: integrate.fixed_quad(np.sin, a, b)[0], 0.2, 1.0)


# Differential equations


def lotka(y: Any, t: Any, rates: Any, force: Any) -> Any:
    grown = rates["a"] * y[0] - rates["b"] * y[0] * y[1]
    return [grown + force * np.sin(t), y[0] * y[1] * 0.5 - y[1]]


T = np.array([0.0, 0.4, 1.0])
PLACE = (np.array([1.0, 0.7]), T, 1.1, 0.6, 0.3)
TIGHT: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-11}


def by_odeint(y0: Any, t: Any, a: Any, b: Any, force: Any) -> Any:
    return integrate.odeint(lotka, y0, t, ({"a": a, "b": b}, force), **TIGHT)


def test_odeint_values_and_first_derivatives() -> None:
    rates = {"a": 1.1, "b": 0.6}
    expected = si.odeint(lotka, PLACE[0], T, (rates, 0.3), **TIGHT)
    np.testing.assert_array_equal(by_odeint(*map(Tensor, PLACE)).data, expected)
    check_gradients(by_odeint, *PLACE, order=1)
    found = grad(lambda x: by_odeint([x, 0.7], *PLACE[1:])[-1, 0])(1.0)
    assert found == grad(lambda y0: by_odeint(y0, *PLACE[1:])[-1, 0])(PLACE[0])[0]


@pytest.mark.slow
def test_odeint_second_derivatives() -> None:
    y0, t, *rest = PLACE
    check_gradients(lambda y0, a: by_odeint(y0, t[:2], a, *rest[1:]), y0, rest[0], order=2)


METHODS = {name: name for name in ("RK45", "DOP853", "LSODA")}


@pytest.mark.parametrize("method", rows(METHODS, slow=lambda name: name != "RK45"))
def test_solve_ivp(method: str) -> None:
    def flipped(t: Any, y: Any, *args: Any) -> Any:
        return lotka(y, t, *args)

    def solve(module: Any, span: Any, y0: Any, a: Any, t: Any) -> Any:
        args = {"a": a, "b": 0.6}, 0.3
        return module.solve_ivp(flipped, span, y0, method, t, args=args, **TIGHT)

    y0 = PLACE[0]
    for t_eval in (T, T[1:], None):
        found, expected = (
            solve(module, (0.0, 1.5), y0, a, t_eval)
            for module, a in ((integrate, Tensor(1.1)), (si, 1.1))
        )
        np.testing.assert_allclose(found.y.data, expected.y, rtol=1e-9)
        np.testing.assert_array_equal(found.t, expected.t)

    def end(start: Any, stop: Any, y0: Any, a: Any) -> Any:
        return solve(integrate, (start, stop), y0, a, None).y[:, -1]

    check_gradients(end, 0.1, 0.9, y0, 1.1, order=1)
    check_gradients(lambda t, a: solve(integrate, (0, 2), y0, a, t).y, T[1:], 1.1, order=1)


def test_what_would_lose_a_gradient_is_refused() -> None:
    rate = Tensor(0.5, requires_grad=True)
    with pytest.raises(GradientError, match="args"):
        integrate.quad(lambda x, a: rate * x, 0.0, 1.0, Tensor(1.0))
    with pytest.raises(GradientError):
        integrate.quad(lambda x: rate * x, 0.0, 1.0)
    with pytest.raises(GradientError, match="args"):
        integrate.odeint(lambda y, t: -rate * y, 1.0, T)
    with pytest.raises(DtypeError, match="imaginary"):
        integrate.odeint(lambda y, t: -y, Tensor(1.0 + 1j), T)


def test_what_the_equation_uses_beside_its_arguments() -> None:
    rate = Tensor(0.5, requires_grad=True)
    integrate.odeint(lambda y, t: -rate * y, Tensor(1.0), T)[-1].sum().backward()
    np.testing.assert_allclose(rate.grad, -T[-1] * np.exp(-0.5 * T[-1]), rtol=1e-6)


def test_complex_solutions_and_arguments() -> None:
    """Against the exponential of the matrix."""
    h, start = np.array([[1.0, 0.5j], [-0.5j, 2.0]]), np.array([1.0 + 0j, 0.5j])

    def solved(h: Any, start: Any, method: str = "DOP853", atol: Any = 1e-10) -> Any:
        f = lambda t, y, h: -1j * (h @ y)  # noqa: E731
        how = {"rtol": 1e-10, "atol": atol, "method": method}
        return np.abs(integrate.solve_ivp(f, (0, 1), start, args=(h,), **how).y[0, -1]) ** 2

    def exact(h: Any, start: Any) -> Any:
        return np.abs((linalg.expm(-1j * h) @ start)[0]) ** 2

    assert solved(Tensor(h), start).item() == pytest.approx(exact(h, start))
    expected = grad(exact, argnums=(0, 1))(h, start)
    for how in ({}, {"atol": np.array([1e-10, 1e-9])}):
        found = grad(lambda *at, how=how: solved(*at, **how), argnums=(0, 1))(h, start)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8)
    f = lambda z: integrate.quad(lambda x, z: np.real(np.exp(1j * z * x)), 0, 1, (z,))[0]  # noqa: E731
    check_gradients(f, np.complex128(1.3 + 0.2j))
    with pytest.raises(DtypeError, match="imaginary part would be lost"):
        integrate.quad(lambda x, a: np.exp(1j * a * x), 0, 1, (Tensor(1.0),))
    with pytest.raises(UnsupportedError, match="jac"):
        integrate.solve_ivp(lambda t, y, h: h @ y, (0, 1), start, args=(Tensor(h),), jac=h)


def test_functions_of_the_wrong_shape_are_named() -> None:
    two = lambda x, a: np.stack([a, a])  # noqa: E731
    with pytest.raises(ShapeError, match="returns a number"):
        integrate.quad(two, 0.0, 1.0, Tensor(1.0))
    with pytest.raises(ShapeError, match="shape"):
        integrate.odeint(lambda y, t: np.ones(3), Tensor([1.0, 2.0]), T)
    with pytest.raises(ArgumentError, match="no solution"):
        integrate.solve_ivp(lambda t, y, a: a * y**2, (0.0, 5.0), [1.0], args=(Tensor(1.0),))


@pytest.mark.parametrize(
    "call",
    [
        lambda t: integrate.quad(np.sin, 0.0, t, weight="cos", wvar=1.0),
        lambda t: integrate.odeint(lambda y, t: -y, t, T, full_output=True),
        lambda t: integrate.solve_ivp(lambda t, y: -y, (0, 1), [t], dense_output=True),
        lambda t: integrate.dblquad(lambda x, y, t: x * t, 0, 1, 0, 1, (t,)),
    ],
)
def test_settings_that_are_for_arrays_only(call: Any) -> None:
    with pytest.raises(UnsupportedError):
        call(Tensor(1.0))


def test_a_compiled_function_that_integrates_is_refused() -> None:
    f = minigrad.compile(lambda b: integrate.quad(lambda x: x * x, 0.0, b)[0])
    with pytest.raises(UnsupportedError, match="outside of that function"):
        f(np.array(1.0))
