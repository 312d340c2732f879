"""Random programs of complex numbers: derivatives of every kind against JAX and autograd."""

from typing import Any

import autograd
import autograd.numpy
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minigrad import grad, holomorphic_grad, hvp, jacobian, jvp, vjp
from tests.complex_programs import HOLOMORPHIC, OTHERS, arguments, program

jax.config.update("jax_enable_x64", True)

# What autograd does not have, or computes otherwise.
ABSENT = {"where", "var", "std", "solve", "norm", "einsum", "vdot"}


def close(ours: Any, theirs: Any) -> None:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    scale = np.max(np.abs(theirs), initial=1e-3)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 * scale)


def all_close(ours: Any, theirs: Any) -> None:
    for one, other in zip(ours, theirs, strict=True):
        close(one, other)


@pytest.mark.parametrize("seed", range(200))
def test_derivatives_are_those_of_jax(seed: int) -> None:
    run, args = program(seed, HOLOMORPHIC | OTHERS), arguments(seed)
    rng = np.random.default_rng(seed)
    f, g = (lambda *args, np=xp: run(np, *args) for xp in (np, jnp))
    f_loss, g_loss = (
        lambda *args, f=f, np=xp: np.sum(np.abs(f(*args)) ** 2) + np.real(f(*args))[0]
        for f, xp in ((f, np), (g, jnp))
    )
    y, pull_back = vjp(f, *args)
    theirs, pull_back_theirs = jax.vjp(g, *args)
    close(y, theirs)
    cotangent = rng.normal(size=3) + 1j * rng.normal(size=3)
    cotangent = cotangent if y.dtype.kind == "c" else cotangent.real
    all_close(pull_back(cotangent), pull_back_theirs(jnp.asarray(cotangent)))
    directions = arguments(seed + 5000)
    all_close(jvp(f, args, directions), jax.jvp(g, args, directions))
    gradient, theirs_gradient = grad(f_loss, (0, 1, 2)), jax.grad(g_loss, (0, 1, 2))
    all_close(gradient(*args), theirs_gradient(*args))
    second = jax.jvp(theirs_gradient, args, directions)[1]
    all_close(jvp(gradient, args, directions)[1], second)
    all_close(hvp(f_loss, (0, 1, 2))(*args, directions), second)


@pytest.mark.parametrize("seed", range(60))
def test_holomorphic_derivatives_are_those_of_jax(seed: int) -> None:
    run, (z, w, x) = program(seed, HOLOMORPHIC, 5), arguments(seed)
    f, g = (lambda z, np=xp: np.sum(run(np, z, w, x)) for xp in (np, jnp))
    close(holomorphic_grad(f)(z), jax.grad(g, holomorphic=True)(z))
    whole = jacobian(lambda z: run(np, z, w, x))(z)
    close(whole, jax.jacobian(lambda z: run(jnp, z, w, x), holomorphic=True)(z))


@pytest.mark.filterwarnings("ignore:Output seems independent")
@pytest.mark.parametrize("seed", range(80))
def test_gradients_are_those_of_autograd(seed: int) -> None:
    steps = {name: f for name, f in (HOLOMORPHIC | OTHERS).items() if name not in ABSENT}
    run, args = program(seed, steps), arguments(seed)
    f, g = (lambda *args, np=xp: np.sum(np.abs(run(np, *args)) ** 2) for xp in (np, autograd.numpy))
    for k, ours in enumerate(grad(f, (0, 1, 2))(*args)):
        theirs = autograd.grad(g, k)(*args)
        # Of real arguments, autograd's may have kept an imaginary part.
        close(ours, theirs if ours.dtype.kind == "c" else np.real(theirs))
