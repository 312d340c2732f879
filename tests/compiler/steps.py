"""Training steps of a small network, for tests of compiled functions."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import Tensor, nn, optim
from minigrad import functional as F
from minigrad.compiler import compile
from minigrad.transforms.trees import leaves_of

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


Y = np.random.default_rng(1).normal(size=(6, 2)).astype(np.float32)


def network() -> nn.Module:
    rng = np.random.default_rng(0)
    return nn.Sequential(nn.Linear(3, 5, rng=rng), nn.Tanh(), nn.Linear(5, 2, rng=rng))


def stepper(model: nn.Module, optimizer: optim.Optimizer) -> Callable[..., Any]:
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def agree(a: Any, b: Any, rtol: float = 1e-5) -> None:
    for (_, x), (_, y) in zip(leaves_of(a), leaves_of(b), strict=True):
        x, y = (t.data if isinstance(t, Tensor) else t for t in (x, y))
        np.testing.assert_allclose(x, y, rtol, 1e-6)


def trained(wrap: Callable[..., Any] = compile) -> Any:
    model = network()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    step = wrap(stepper(model, optimizer))
    return [step(X, Y) for _ in range(3)], model.state_dict(), optimizer.state_dict()
