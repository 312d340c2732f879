"""Second derivatives of solutions of linear equations, and those of loops that stop, beside JAX."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.sparse.linalg import cg as jax_cg

import minigrad
from minigrad import cg, grad, vmap, while_loop

A = np.array([[4.0, 0.5, 0.1], [0.5, 3.0, 0.2], [0.1, 0.2, 2.0]])
POINTS, ALONG = np.array([[0.5, 1.0, 1.5], [1.2, 0.7, 0.4]]), np.array([0.3, -1.0, 0.5])


def ours(p: Any) -> Any:
    return np.sum(cg(lambda x, p: A @ x + p**2 * x, np.sin(p), args=(p,))[0] ** 2)


def theirs(p: Any) -> Any:
    solution, _ = jax_cg(lambda x: A @ x + p**2 * x, jnp.sin(p), tol=1e-12)
    return jnp.sum(solution**2)


COMPOSED: dict[str, Any] = {
    "jvp of grad": lambda f, m: lambda p: m.jvp(m.grad(f), (p[0],), (ALONG,))[1],
    "linearize of grad": lambda f, m: lambda p: m.linearize(m.grad(f), p[0])[1](ALONG),
    "vmap of hessian": lambda f, m: m.vmap(m.hessian(f)),
    "grad of jvp": lambda f, m: lambda p: m.grad(lambda p: m.jvp(f, (p,), (ALONG,))[1])(p[1]),
    "hessian of vmap": lambda f, m: m.hessian(lambda p: m.vmap(f)(p).sum()),
}


@pytest.mark.slow  # JAX compiles for seconds
@pytest.mark.parametrize("name", COMPOSED)
def test_second_derivatives_of_conjugate_gradients(name: str) -> None:
    with jax.enable_x64(True):
        expected = np.asarray(COMPOSED[name](theirs, jax)(jnp.asarray(POINTS)))
    run = COMPOSED[name](ours, minigrad)
    np.testing.assert_allclose(run(POINTS), expected, 1e-6, 1e-8)
    np.testing.assert_allclose(minigrad.compile(run)(POINTS), expected, 1e-6, 1e-8)


def test_reverse_derivatives_of_stopped_loops_are_jaxs_forward_ones() -> None:
    x, w = np.array([20.0, -3.0, 1.5]), 0.9

    def total(while_loop: Any, log: Any, vmap: Any) -> Any:
        def one(x: Any, w: Any) -> Any:
            return while_loop(lambda c: c > 1.0, lambda c: w * log(c), x)

        return lambda w: vmap(one, (0, None))(x, w).sum()

    slope = grad(total(while_loop, np.log, vmap))(w)
    _, expected = jax.jvp(total(jax.lax.while_loop, jnp.log, jax.vmap), (w,), (1.0,))
    np.testing.assert_allclose(slope, expected, 1e-6)
