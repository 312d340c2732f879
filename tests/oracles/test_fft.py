"""Fourier transforms against JAX and PyTorch: values, vjps of complex cotangents, gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.fft
import numpy as np
import pytest
import torch

from minigrad import Tensor, grad, hessian, vjp
from minigrad.scipy import fft
from tests.marks import rows

jax.config.update("jax_enable_x64", True)
RNG = np.random.default_rng(0)
REAL = "rfft ihfft rfft2 rfftn".split()
ONE = "fft ifft rfft irfft hfft ihfft".split()
SEVERAL = "fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn".split()


def complex_normal(shape: Any) -> np.ndarray:
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


def calls_of(name: str) -> list[dict[str, Any]]:
    sizes: list[dict[str, Any]] = [{}, {"n": 7, "axis": 0}, {"n": 3}]
    if name in SEVERAL:
        sizes = [{}, {"s": (5, 2), "axes": (0, 1)}]
    return [{"norm": norm, **how} for norm in ("backward", "ortho", "forward") for how in sizes]


CASES = {
    f"{name} {real} {how}": (name, real, how)
    for name in (*ONE, *SEVERAL)
    for real in ((True,) if name in REAL else (True, False))
    for how in calls_of(name)
}


@pytest.mark.parametrize("case", rows(CASES))
def test_vjps_are_those_of_jax(case: tuple[str, bool, dict[str, Any]]) -> None:
    name, real, how = case
    x = RNG.normal(size=(4, 5)) if real else complex_normal((4, 5))
    y, pull_back = vjp(lambda x: getattr(np.fft, name)(x, **how), x)
    theirs, pull_back_theirs = jax.vjp(lambda x: getattr(jnp.fft, name)(x, **how), x)
    np.testing.assert_allclose(y, theirs, rtol=1e-10, atol=1e-12)
    g = complex_normal(y.shape) if y.dtype.kind == "c" else RNG.normal(size=y.shape)
    (ours,), (other,) = pull_back(g), pull_back_theirs(jnp.asarray(g))
    assert ours.dtype == other.dtype
    np.testing.assert_allclose(ours, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", rows(CASES))
def test_backward_is_that_of_pytorch(case: tuple[str, bool, dict[str, Any]]) -> None:
    name, real, how = case
    x = RNG.normal(size=(4, 5)) if real else complex_normal((4, 5))
    translated = {{"axis": "dim", "axes": "dim"}.get(k, k): v for k, v in how.items()}
    ours, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    np.sum(np.abs(getattr(np.fft, name)(ours, **how)) ** 1.5).backward()
    torch.sum(torch.abs(getattr(torch.fft, name)(theirs, **translated)) ** 1.5).backward()
    assert theirs.grad is not None
    np.testing.assert_allclose(ours.grad, theirs.grad.resolve_conj().numpy(), rtol=1e-9, atol=1e-12)


def test_second_derivatives_are_those_of_jax() -> None:
    def f(np: Any) -> Any:
        return lambda x: np.sum(np.abs(np.fft.rfftn(np.fft.irfft(x, 5) ** 2)) ** 2)

    x = RNG.normal(size=(2, 3))
    np.testing.assert_allclose(hessian(f(np))(x), jax.hessian(f(jnp))(x), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("norm", [None, "ortho"])
@pytest.mark.parametrize("name", ["dct", "idct", "dctn", "idctn"])
def test_cosine_transforms_are_those_of_jax(name: str, norm: Any) -> None:
    x = RNG.normal(size=(4, 5))
    ours = grad(lambda x: np.sum(getattr(fft, name)(x, norm=norm) ** 3))(x)
    theirs = jax.grad(lambda x: jnp.sum(getattr(jax.scipy.fft, name)(x, norm=norm) ** 3))(x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
