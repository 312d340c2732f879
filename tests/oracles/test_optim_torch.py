"""Optimisers against PyTorch's: 50 steps down a bent valley, over their settings."""

from typing import Any

import numpy as np
import pytest
import torch

from minigrad import Tensor, optim

SGD: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.1},
    {"momentum": 0.9},
    {"momentum": 0.9, "weight_decay": 0.01},
    {"momentum": 0.5, "nesterov": True},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
]
ADAM: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.1},
    {"betas": (0.85, 0.99)},
    {"betas": (0.0, 0.9)},
    {"betas": (0.5, 0.0), "eps": 0.1},
    {"eps": 1e-2},
    {"eps": 1e-2, "betas": (0.85, 0.99), "weight_decay": 0.01},
]
CASES = [("SGD", settings) for settings in SGD] + [("Adam", settings) for settings in ADAM]
START = np.random.default_rng(0).uniform(-1, 1, (4, 3))


def valley(x: Any) -> Any:
    """Rosenbrock's function of neighbours, smooth and curved differently in every direction."""
    return ((x[1:] - x[:-1] ** 2) ** 2).sum() + 0.1 * ((1 - x) ** 2).sum()


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 2e-5)])
def test_fifty_steps(name: str, settings: dict[str, Any], dtype: type, tolerance: float) -> None:
    x = Tensor(START.astype(dtype), requires_grad=True)
    y = torch.tensor(START.astype(dtype), requires_grad=True)
    ours = getattr(optim, name)([x], lr=0.02, **settings)
    theirs = getattr(torch.optim, name)([y], lr=0.02, **settings)
    for step in range(50):
        # A learning rate that changes every step, as schedules do.
        ours.lr = theirs.param_groups[0]["lr"] = 0.02 * (1 - step / 50)
        for optimizer, value in ((ours, x), (theirs, y)):
            optimizer.zero_grad()
            valley(value).backward()
            optimizer.step()
        expected = y.detach().numpy()
        assert x.dtype == expected.dtype
        np.testing.assert_allclose(x.data, expected, rtol=tolerance, atol=tolerance)
    assert np.abs(x.data - START).max() > 0.1


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
def test_one_rule_for_every_size_of_gradient(name: str, settings: dict[str, Any]) -> None:
    """A single step, with gradients from tiny to huge."""
    gradient = np.array([0.0, 1e-30, -1e-12, 1e-6, -1.0, 1e6, 1e12])
    x, y = Tensor(np.ones(7), requires_grad=True), torch.ones(7, dtype=torch.float64)
    x.grad, y.grad = gradient, torch.tensor(gradient)
    getattr(optim, name)([x], lr=0.1, **settings).step()
    getattr(torch.optim, name)([y.requires_grad_()], lr=0.1, **settings).step()
    np.testing.assert_allclose(x.data, y.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_the_defaults_are_pytorchs(name: str) -> None:
    ours = getattr(optim, name)([Tensor(1.0, requires_grad=True)])
    theirs = getattr(torch.optim, name)([torch.ones(1, requires_grad=True)]).defaults
    settings = {key: value for key, value in vars(ours).items() if key in theirs}
    assert {"lr", "weight_decay"} < set(settings)
    assert settings == {key: theirs[key] for key in settings}
