"""minigrad.scipy against JAX, PyTorch and HIPS autograd: values and gradients in float64."""

from typing import Any

import autograd.scipy.special as hips
import jax
import jax.experimental.ode
import jax.numpy as jnp
import jax.scipy.special
import jax.scipy.stats
import numpy as np
import pytest
import scipy.special as sc
import torch
from autograd import elementwise_grad

from minigrad import grad
from minigrad.scipy import integrate, interpolate, optimize, signal, special, stats

jax.config.update("jax_enable_x64", True)
RNG = np.random.default_rng(0)
X, UNIT = RNG.uniform(0.3, 3.0, 7), RNG.uniform(0.05, 0.95, 7)

# Function of SciPy -> arguments, and those to differentiate by.
SPECIAL: dict[str, tuple[list[Any], tuple[int, ...]]] = {
    **dict.fromkeys(("gammaln", "digamma", "i0", "i0e", "i1", "i1e", "exp1", "expi"), ([X], (0,))),
    **dict.fromkeys(("erf", "erfc", "ndtr", "log_ndtr", "entr", "expit", "gamma"), ([X], (0,))),
    **dict.fromkeys(("ndtri", "erfinv", "logit"), ([UNIT], (0,))),
    **dict.fromkeys(("xlogy", "xlog1py", "betaln", "beta", "kl_div"), ([X, X + 0.5], (0, 1))),
    "gammainc": ([X, X[::-1]], (0, 1)),
    "gammaincc": ([X, X[::-1]], (0, 1)),
    "betainc": ([X, X[::-1], UNIT], (2,)),
    "polygamma": ([1, X], (1,)),
    "zeta": ([X + 1, UNIT], (1,)),
    "spence": ([UNIT], (0,)),
    "hyp1f1": ([1.5, 2.5, UNIT], (2,)),
    "logsumexp": ([X], (0,)),
    "softmax": ([X], (0,)),
    "multigammaln": ([X + 1, 2], (0,)),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_functions_against_jax(name: str) -> None:
    args, by = SPECIAL[name]
    weights = np.cos(np.arange(7.0))
    mine, theirs = getattr(special, name), getattr(jax.scipy.special, name)
    np.testing.assert_allclose(mine(*args), theirs(*args), rtol=1e-9)
    found = grad(lambda *xs: np.sum(weights * mine(*xs)), by)(*args)
    expected = jax.grad(lambda *xs: jnp.sum(weights * theirs(*xs)), by)(*args)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7)


HIPS = "j0 j1 y0 y1 gammaln digamma psi rgamma erf erfc erfinv logit expit"


@pytest.mark.parametrize("name", "erfcx erfinv i0e i1e log_ndtr ndtri expit sinc digamma".split())
def test_special_functions_against_torch(name: str) -> None:
    x = torch.tensor(UNIT, requires_grad=True)
    getattr(torch.special, name)(x).sum().backward()
    assert x.grad is not None
    found = grad(lambda x: np.sum(getattr(special, name)(x)))(UNIT)
    np.testing.assert_allclose(found, x.grad.numpy(), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", HIPS.split())
def test_special_functions_against_autograd(name: str) -> None:
    expected = elementwise_grad(getattr(hips, name))(UNIT)
    found = grad(lambda x: np.sum(getattr(sc, name)(x)))(UNIT)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("name", ["jn", "yn", "iv", "ive"])
def test_bessel_functions_against_autograd(name: str) -> None:
    expected = elementwise_grad(getattr(hips, name), 1)(2, X)
    found = grad(lambda x: np.sum(getattr(sc, name)(2, x)))(X)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


STATS: dict[str, tuple[Any, ...]] = {
    "norm": (0.3, 1.2),
    "cauchy": (0.3, 1.2),
    "laplace": (0.3, 1.2),
    "logistic": (0.3, 1.2),
    "t": (3.5, 0.3, 1.2),
    "expon": (0.1, 1.2),
    "gamma": (1.7, 0.1, 1.2),
    "chi2": (2.3, 0.1, 1.2),
    "pareto": (1.4, -2.0, 1.2),
}


@pytest.mark.parametrize("name", STATS)
@pytest.mark.parametrize("function", ["logpdf", "cdf", "logsf"])
def test_distributions_against_jax(name: str, function: str) -> None:
    theirs = getattr(getattr(jax.scipy.stats, name), function, None)
    if theirs is None:
        pytest.skip("JAX has no such function")
    mine, by = getattr(getattr(stats, name), function), tuple(range(len(STATS[name]) + 1))
    found = grad(lambda *xs: np.sum(mine(*xs)), by)(X, *STATS[name])
    expected = jax.grad(lambda *xs: jnp.sum(theirs(*xs)), by)(X, *STATS[name])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-12)


def test_odeint_against_jax() -> None:
    t = np.array([0.0, 0.5, 1.5])
    tolerances = {"rtol": 1e-10, "atol": 1e-10}

    def slope(xp: Any) -> Any:
        return lambda y, t, a, b: xp.stack([y[1], -a * xp.sin(y[0]) + b * t])

    def mine(y0: Any, t: Any, a: Any, b: Any) -> Any:
        return np.sum(integrate.odeint(slope(np), y0, t, (a, b), **tolerances) ** 2)  # type: ignore[arg-type]

    def theirs(y0: Any, t: Any, a: Any, b: Any) -> Any:
        return jnp.sum(jax.experimental.ode.odeint(slope(jnp), y0, t, a, b, **tolerances) ** 2)

    args = np.array([0.5, 0.1]), t, 2.0, 0.3
    found, expected = grad(mine, (0, 1, 2, 3))(*args), jax.grad(theirs, (0, 1, 2, 3))(*args)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_convolution_against_jax(mode: Any) -> None:
    x, y = RNG.normal(size=(5, 4)), RNG.normal(size=(3, 2))
    found = grad(lambda x, y: np.sum(signal.convolve(x, y, mode) ** 2), (0, 1))(x, y)
    expected = jax.grad(lambda x, y: jnp.sum(jax.scipy.signal.convolve(x, y, mode) ** 2), (0, 1))(
        x, y
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_linear_interpolation_against_jax() -> None:
    knots, y, x = np.array([0.0, 0.7, 2.0, 3.1]), RNG.normal(size=4), UNIT * 3
    found = grad(lambda k, y, x: np.sum(interpolate.interp1d(k, y)(x) ** 2), (0, 1, 2))(knots, y, x)
    expected = jax.grad(lambda k, y, x: jnp.sum(jnp.interp(x, k, y) ** 2), (0, 1, 2))(knots, y, x)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_a_minimum_against_its_closed_form_in_jax() -> None:
    a, b = RNG.normal(size=(6, 3)), RNG.normal(size=6)

    def mine(a: Any, b: Any) -> Any:
        cost = lambda w, a, b: np.sum((a @ w - b) ** 2) + np.sum(w**2)  # noqa: E731
        return np.sum(optimize.minimize(cost, np.zeros(3), (a, b), tol=1e-10).x ** 3)

    def theirs(a: Any, b: Any) -> Any:
        return jnp.sum(jnp.linalg.solve(a.T @ a + jnp.eye(3), a.T @ b) ** 3)

    found, expected = grad(mine, (0, 1))(a, b), jax.grad(theirs, (0, 1))(a, b)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-8)
