"""odeint: differential equations, differentiated by the adjoint equation."""

from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, grad, hessian, jacobian, jvp, nn, odeint, vmap
from minigrad.errors import ArgumentError, ArgumentTypeError, DtypeError, ShapeError

T = np.array([0.0, 0.5, 1.0])
P, Y0 = np.array([1.0, 0.5]), np.array([1.0, 0.7])
B = np.array([0.5, 0.7])
WEIGHTS = np.arange(6.0).reshape(3, 2)


def slope(y: Any, t: Any, p: Any) -> Any:
    rates = p[0] - p[1] * y[1], (p[1] * y[0] - p[0]) * np.cos(t)
    return np.stack([y[0] * rates[0], y[1] * rates[1]])


def by_runge_kutta(p: Any, y: Any, times: Any, steps: int = 30) -> Any:
    """Of order 4, with fixed steps."""
    ys = [y]
    for k in range(len(T) - 1):
        h, t = (times[k + 1] - times[k]) / steps, times[k]
        for _ in range(steps):
            a = slope(y, t, p)
            b = slope(y + h / 2 * a, t + h / 2, p)
            c = slope(y + h / 2 * b, t + h / 2, p)
            d = slope(y + h * c, t + h, p)
            y, t = y + h / 6 * (a + 2 * b + 2 * c + d), t + h
        ys.append(y)
    return np.stack(ys)


def unrolled(p: Any, y0: Any, t: Any) -> Any:
    return np.sum(by_runge_kutta(p, y0, t) ** 2 * WEIGHTS)


def total(p: Any, y0: Any, t: Any) -> Any:
    return np.sum(odeint(slope, y0, t, p) ** 2 * WEIGHTS)


def closed(p: Any, y0: Any, t: Any) -> Any:
    nest = odeint(lambda y, t: {"y": [slope(y["y"][0], t, p)]}, {"y": [y0]}, t)
    return np.sum(nest["y"][0] ** 2 * WEIGHTS)


ARGS = P, Y0, T


@pytest.fixture(scope="module")
def expected() -> Any:
    return grad(unrolled, (0, 1, 2))(*ARGS)


def agree(found: Any, expected: Any) -> None:
    for one, other in zip(found, expected, strict=True):
        assert type(one) is np.ndarray
        np.testing.assert_allclose(one, other, 1e-5, 1e-6)


@pytest.mark.parametrize("f", [total, closed])
def test_by_parameters_start_and_times(f: Any, expected: Any) -> None:
    agree(grad(f, (0, 1, 2))(*ARGS), expected)
    forward, other = (jvp(f, ARGS, ARGS)[1] for f in (f, unrolled))
    np.testing.assert_allclose(forward, other, 1e-5)


@pytest.mark.parametrize("f", [total, pytest.param(closed, marks=pytest.mark.slow)])
def test_to_second_order(f: Any) -> None:
    """By parameters and times, along the same directions."""
    along = np.array([1.0, 2.0]), np.array([0.3, 1.0, -2.0])

    def second(f: Any) -> Any:
        slopes = lambda p, t: grad(f, (0, 2))(p, Y0, t)  # noqa: E731
        return grad(lambda p, t: sum(map(np.vdot, slopes(p, t), along)), (0, 1))(P, T)

    agree(second(f), second(unrolled))


def test_the_parameters_of_a_network() -> None:
    first, last = (np.random.default_rng(k) for k in (0, 1))
    net = nn.Sequential(nn.Linear(2, 8, rng=first), nn.Tanh(), nn.Linear(8, 2, rng=last))

    def gradients(y: Any) -> list[np.ndarray]:
        net.zero_grad()
        np.sum(y**2).backward()
        assert y.dtype == np.float32
        return [p.grad for p in net.parameters()]

    start = Y0.astype(np.float32)
    found = gradients(odeint(lambda y, t: net(y), start, T, rtol=1e-5, atol=1e-5))
    y: Any = Tensor(start)
    ys, h = [y], np.float32(0.025)
    for k in range(40):
        a = net(y)
        b = net(y + h / 2 * a)
        c = net(y + h / 2 * b)
        y = y + h / 6 * (a + 2 * b + 2 * c + net(y + h * c))
        ys += [y] if k in (19, 39) else []
    for one, other in zip(found, gradients(np.stack(ys)), strict=True):
        np.testing.assert_allclose(one, other, 1e-4, 1e-4)


def test_between_compiled_parts_and_on_batches(expected: Any, on_numpy: None) -> None:
    compiled = minigrad.compile(grad(total, (0, 1, 2)))
    agree(compiled(*ARGS), expected)
    agree(compiled(*ARGS), expected)
    agree(grad(minigrad.compile(total), (0, 1, 2))(*ARGS), expected)
    ps = np.array([P, P])
    for gradient in (
        vmap(grad(total), (0, None, None))(ps, Y0, T),
        grad(lambda ps: np.sum(vmap(total, (0, None, None))(ps, Y0, T)))(ps),
    ):
        np.testing.assert_allclose(gradient, [expected[0]] * 2, 1e-5)
    np.testing.assert_allclose(minigrad.compile(closed)(*ARGS), total(*ARGS), 1e-9)
    agree(minigrad.compile(grad(closed, (0, 1, 2)))(*ARGS), expected)
    slopes = vmap(grad(closed), (0, None, None))(ps, Y0, T)
    np.testing.assert_allclose(slopes, [expected[0]] * 2, 1e-5)


@pytest.mark.slow
def test_derivatives_of_derivatives_compiled_and_in_batches() -> None:
    f = lambda a: odeint(lambda y, t, a: -a * y, 1.0, [0.0, 1.0], a)[-1]  # noqa: E731
    np.testing.assert_allclose(minigrad.compile(hessian(f))(np.array(0.5)), np.exp(-0.5), 1e-6)
    np.testing.assert_allclose(vmap(hessian(f))(B), np.exp(-B), 1e-6)


def test_backward_in_time_one_time_and_integers() -> None:
    f = lambda a, t: odeint(lambda y, t: -y * a, 1.0, t)[-1]  # noqa: E731
    np.testing.assert_allclose(grad(f)(0.5, T[::-1]), np.exp(0.5), 1e-6)
    np.testing.assert_allclose(grad(f)(0.5, [0, 1]), -np.exp(-0.5), 1e-6)
    assert grad(f)(0.5, [3.0]) == 0
    by_start = jacobian(lambda y: odeint(lambda y, t: -y, y, T)[-1])(Y0)
    np.testing.assert_allclose(by_start, np.eye(2) * np.exp(-1), 1e-6, 1e-9)
    stiff = odeint(lambda y, t: -1000 * (y - np.cos(t)), 0.0, [0.0, 1.0], method="Radau")
    np.testing.assert_allclose(stiff[-1], np.cos(1) + np.sin(1) / 1000, 1e-5)


def test_wrong_uses() -> None:
    with pytest.raises(ArgumentError, match="t has to increase, or to decrease, all along"):
        odeint(lambda y, t: y, 1.0, [0.0, 1.0, 0.5])
    with pytest.raises(ShapeError, match=r"dy/dt must have the structure and the shapes of y0, of"):
        odeint(lambda y, t: y[:1], np.ones(2), T)
    with pytest.raises(ShapeError, match=r"t is a vector of at least one time"):
        odeint(lambda y, t: y, 1.0, 1.0)
    with pytest.raises(ArgumentError, match="odeint has found no solution: Required step size"):
        odeint(lambda y, t: y * y, 1.0, [0.0, 2.0])
    with pytest.raises(ArgumentError, match="odeint: dy/dt is not finite at the first time"):
        odeint(lambda y, t: y * np.nan, 1.0, T)  # with which solve_ivp would not return
    with pytest.raises(DtypeError, match="odeint: dy/dt is complex, and y0 is real: give y0 as"):
        odeint(lambda y, t: 1j * y, 1.0, T)


def diffusion(u: Any, t: Any, rate: Any) -> Any:
    wide = np.concatenate([np.zeros(1), u, np.zeros(1)])
    return 400 * rate * (1 + u**2) * (wide[2:] - 2 * u + wide[:-2])


@pytest.mark.parametrize("method", ["DOP853", "LSODA"])
def test_what_diffuses_cannot_be_solved_for_backward(method: str) -> None:
    """So the adjoint equation is solved along the solution that was found forward."""
    x = np.arange(1, 20) / 20
    start = np.sin(np.pi * x) + 0.5 * np.sin(3 * np.pi * x)

    def f(rate: Any) -> Any:
        return np.sum(odeint(diffusion, start, [0.0, 0.1], rate, method=method)[-1] ** 2)  # type: ignore[arg-type]

    expected = (f(1.001) - f(0.999)) / 0.002
    for derivative in (grad(f), minigrad.compile(grad(f))):
        np.testing.assert_allclose(derivative(np.array(1.0)), expected, 1e-4)


def test_complex_numbers() -> None:
    """Schroedinger's equation of two states."""
    times, start = [0.0, 1.0], np.array([1.0, 0.0j])

    def amplitude(coupling: Any, start: Any) -> Any:
        def change(y: Any, t: Any) -> Any:
            return -1j * np.stack([0.5 * y[0] + coupling * y[1], np.conj(coupling) * y[0]])

        return odeint(change, start, times)[-1, 1]

    def exact(coupling: Any, start: Any) -> Any:
        energy = np.stack([np.stack([0.5 + 0j, coupling]), np.stack([np.conj(coupling), 0j])])
        matrix: Any = np.eye(2) + 0j
        for k in range(30, 0, -1):  # exp(-1j * energy)
            matrix = np.eye(2) - 1j * energy @ matrix / k
        return (matrix @ start)[1]

    coupling = np.array(0.3 + 0.4j)
    np.testing.assert_allclose(amplitude(coupling, start), exact(coupling, start), 1e-7)

    def mixed(f: Any) -> Any:
        return lambda c, y: np.real(f(c, y)) ** 2 + 3 * np.imag(f(c, y))

    found, expected = (grad(mixed(f), (0, 1))(coupling, start) for f in (amplitude, exact))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, 1e-6, 1e-9)


@pytest.mark.parametrize("method", ["DOP853", "RK23", "Radau"])
def test_of_an_empty_y0_the_solution_is_empty(method: Any) -> None:
    t = np.array([0.0, 0.5, 1.0])

    def of(y: Any, t: Any, k: Any) -> Any:
        return np.sum(odeint(lambda y, t, k: -k * y, y, t, k, method=method))

    y0 = np.zeros((0, 2))
    solved = lambda y: odeint(lambda y, t: -y, y, t, method=method)  # noqa: E731
    assert solved(y0).shape == minigrad.compile(solved)(y0).shape == (3, 0, 2)
    for run in (grad(of, (0, 1, 2)), minigrad.compile(grad(of, (0, 1, 2)))):
        by_y, by_t, by_k = run(y0, t, 2.0)
        assert (by_y.shape, list(by_t), by_k) == ((0, 2), [0.0] * 3, 0.0)


def test_an_unknown_method_is_refused_with_those_there_are() -> None:
    with pytest.raises(ArgumentError, match="'Radau' or 'BDF' or 'LSODA', and is 'rk4'"):
        odeint(lambda y, t: -y, np.ones(2), np.array([0.0, 1.0]), method="rk4")  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["RK45", "DOP853", "BDF"])
def test_times_more_than_once(method: Any) -> None:
    for times in ([0.5, 1.0, 1.0], [0.5, 0.5, 1.0], [1.0, 0.5, 0.5], [0.5, 0.5, 0.5]):
        t, weights = np.array(times), np.array([1.0, 2.0, 3.0])

        def total(t: Any, k: Any) -> Any:
            y = odeint(lambda y, t: -k * t * y, 1.0, t, method=method, rtol=1e-9, atol=1e-9)
            return np.sum(weights * y)  # noqa: B023

        def exact(t: Any, k: Any) -> Any:
            return np.sum(weights * np.exp(-k * (t**2 - t[0] ** 2) / 2))  # noqa: B023

        np.testing.assert_allclose(total(t, 0.7), exact(t, 0.7), 1e-6)
        for found, expected in zip(*(grad(f, (0, 1))(t, 0.7) for f in (total, exact)), strict=True):
            np.testing.assert_allclose(found, expected, 1e-5, 1e-6)


@pytest.mark.parametrize("times", [[0.0, np.nan], [np.nan, 1.0], [0.0, np.inf], [1.0, 2.0, 1.0]])
def test_times_that_solve_ivp_would_not_return_from(times: Any) -> None:
    solve = lambda t: odeint(lambda y, t: -y, 1.0, t)  # noqa: E731
    for f in (solve, grad(lambda t: solve(t)[-1]), minigrad.compile(solve)):
        with pytest.raises(ArgumentError, match=r"t has to be finite|t has to increase"):
            f(np.array(times))


def test_args_are_given_loose() -> None:
    with pytest.raises(ArgumentTypeError, match=r"argument 'args'; it takes func, y0, t, \*args,"):
        odeint(lambda y, t, k: -k * y, 1.0, T, args=(2.0,))  # type: ignore[call-arg]


def test_a_start_that_is_no_array() -> None:
    with pytest.raises(DtypeError, match="y0 is a str, and not an array"):
        odeint(lambda y, t: -y, "one", T)
