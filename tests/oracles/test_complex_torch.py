"""Complex numbers against PyTorch: .backward(), graphs of gradients, and every optimiser it has."""

from typing import Any

import numpy as np
import pytest
import torch

from minigrad import Tensor, optim
from tests.complex_programs import HOLOMORPHIC, OTHERS, arguments, program


class Torch:
    """PyTorch's functions under NumPy's names."""

    linalg, fft = torch.linalg, torch.fft

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def real(self, x: Any) -> Any:
        return torch.real(x) if x.is_complex() else x

    def imag(self, x: Any) -> Any:
        return torch.imag(x) if x.is_complex() else torch.zeros_like(x)

    def cumsum(self, x: Any) -> Any:
        return torch.cumsum(x, 0)

    def einsum(self, how: str, *xs: Any) -> Any:
        return torch.einsum(how, *together(xs))

    def dot(self, *xs: Any) -> Any:
        return torch.dot(*together(xs))

    def vdot(self, *xs: Any) -> Any:
        return torch.vdot(*together(xs))

    def where(self, condition: Any, *xs: Any) -> Any:
        return torch.where(condition, *together(xs))


def together(xs: Any) -> Any:
    """Tensors in one dtype, which some of PyTorch's functions want."""
    return [x.to(torch.complex128) for x in xs] if any(x.is_complex() for x in xs) else xs


# Steps that need what PyTorch has not: matmul of mixed dtypes, negative strides, another norm.
ABSENT = {"outer", "solve", "reverse", "norm", "var", "std", "concatenate"}
STEPS = {name: f for name, f in (HOLOMORPHIC | OTHERS).items() if name not in ABSENT}


def close(ours: Any, theirs: Any) -> None:
    theirs = theirs.detach().resolve_conj().numpy()
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    scale = np.max(np.abs(theirs), initial=1e-3)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("seed", range(100))
def test_gradients_of_backward(seed: int) -> None:
    run, args = program(seed, STEPS), arguments(seed)
    ours = [Tensor(x, requires_grad=True) for x in args]
    theirs = [torch.tensor(x, requires_grad=True) for x in args]
    losses = []
    for xp, inputs in ((np, ours), (Torch(), theirs)):
        y = run(xp, *inputs)
        losses.append(xp.sum(xp.abs(y) ** 2) + xp.real(y)[0])
    losses[0].backward()
    losses[1].backward()
    for one, other in zip(ours, theirs, strict=True):
        if other.grad is not None:
            close(one.grad, other.grad)


def test_cotangents_and_graphs_of_gradients() -> None:
    z, g = np.array([1 + 2j, -0.5j]), np.array([1j, 2 - 1j])
    ours: Any = Tensor(z, requires_grad=True)
    theirs = torch.tensor(z, requires_grad=True)
    (np.exp(ours) * np.conj(ours)).backward(g)
    (torch.exp(theirs) * torch.conj(theirs)).backward(torch.tensor(g))
    close(ours.grad, theirs.grad)
    ours, theirs = Tensor(z, requires_grad=True), torch.tensor(z, requires_grad=True)
    np.sum(np.abs(ours**3)).backward(create_graph=True)
    (second,) = torch.autograd.grad(torch.sum(torch.abs(theirs**3)), theirs, create_graph=True)
    first: Any = ours.grad
    ours.grad = None
    np.sum(np.abs(first) ** 2).backward()
    torch.sum(torch.abs(second) ** 2).backward()
    close(ours.grad, theirs.grad)


OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {"lr": 0.1}),
    "momentum": ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    "Adam": ("Adam", {"lr": 0.1, "weight_decay": 0.1}),
    "AdamW": ("AdamW", {"lr": 0.1, "weight_decay": 0.2}),
    "RMSprop": ("RMSprop", {"lr": 0.02, "momentum": 0.5, "centered": True}),
    "Adagrad": ("Adagrad", {"lr": 0.3, "lr_decay": 0.1}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("clipped", [False, True])
def test_optimizers(name: str, clipped: bool) -> None:
    kind, settings = OPTIMIZERS[name]
    rng = np.random.default_rng(0)
    z, target = (rng.normal(size=(3, 2)) + 1j * rng.normal(size=(3, 2)) for _ in range(2))
    ours, theirs = Tensor(z.copy(), requires_grad=True), torch.tensor(z, requires_grad=True)
    one = getattr(optim, kind)([ours], **settings)
    other = getattr(torch.optim, kind)([theirs], **settings)
    for _ in range(20):
        one.zero_grad()
        other.zero_grad()
        np.sum(np.abs(ours * ours - target) ** 2).backward()
        torch.sum(torch.abs(theirs * theirs - torch.tensor(target)) ** 2).backward()
        if clipped:
            norm = optim.clip_grad_norm_([ours], 1.0)
            np.testing.assert_allclose(norm, torch.nn.utils.clip_grad_norm_([theirs], 1.0).item())
        one.step()
        other.step()
    np.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=1e-5 if clipped else 1e-9)
