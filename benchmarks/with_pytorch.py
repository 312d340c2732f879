"""PyTorch, eager or, wrapped, compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.workloads import Chain, Step, Training, Wrap, as_it_is


def training(
    optimiser: torch.optim.Optimizer,
    loss_of: Callable[..., Any],
    data: Sequence[np.ndarray],
    wrap: Wrap = as_it_is,
) -> Step:
    """A step of the optimiser on a batch; what is compiled is the loss, with its gradient."""
    batch, compiled = tuple(map(torch.from_numpy, data)), wrap(loss_of)

    def step() -> Any:
        optimiser.zero_grad()
        loss = compiled(*batch)
        loss.backward()
        optimiser.step()
        return loss

    return step


def load(model: nn.Module, weights: Sequence[np.ndarray]) -> None:
    with torch.no_grad():
        for p, w in zip(model.parameters(), weights, strict=True):
            p.copy_(torch.from_numpy(w))


def moons(problem: Training, wrap: Wrap = as_it_is) -> Step:
    model = nn.Sequential(
        nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1)
    )
    load(model, problem.weights)

    def loss(x: Any, y: Any) -> Any:
        return (1 - y * model(x)).relu().mean()

    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    return training(sgd, loss, (problem.x, problem.y), wrap)


def classifier(problem: Training, model: nn.Module, wrap: Wrap = as_it_is) -> Step:
    load(model, problem.weights)

    def loss(x: Any, y: Any) -> Any:
        return functional.cross_entropy(model(x), y)

    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    return training(adam, loss, (problem.x, problem.y), wrap)


def mlp(problem: Training, wrap: Wrap = as_it_is) -> Step:
    model = nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )
    return classifier(problem, model, wrap)


def lenet(problem: Training, wrap: Wrap = as_it_is) -> Step:
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    return classifier(problem, model, wrap)


def chain(problem: Chain) -> Step:
    start = torch.tensor(problem.z, requires_grad=True)

    def step() -> Any:
        start.grad = None
        z = start
        for _ in range(problem.times):
            z = z * problem.scale + problem.shift
        total = z.sum()
        total.backward()
        return total, start.grad

    return step


def differentiated(
    f: Callable[..., Any], arguments: Sequence[np.ndarray], wrap: Wrap = as_it_is
) -> Step:
    """The value of f, and its gradient with respect to the first argument."""
    x, *others = map(torch.from_numpy, arguments)
    x.requires_grad_()
    compiled = wrap(f)

    def step() -> Any:
        x.grad = None
        value = compiled(x, *others)
        value.backward()
        return value, x.grad

    return step


def elementwise(problem: tuple[np.ndarray, ...], wrap: Wrap = as_it_is) -> Step:
    return differentiated(lambda x, y, z: (torch.tanh(x * y + z) ** 2).sum(), problem, wrap)
