"""PyTorch, eager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.workloads import Chain, Step, Training


def training(
    problem: Training,
    model: nn.Module,
    loss_of: Callable[[Any, Any], Any],
    optimiser: torch.optim.Optimizer,
) -> Step:
    x, y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
    with torch.no_grad():
        for p, w in zip(model.parameters(), problem.weights, strict=True):
            p.copy_(torch.from_numpy(w))

    def step() -> Any:
        optimiser.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimiser.step()
        return loss

    return step


def moons(problem: Training) -> Step:
    model = nn.Sequential(
        nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1)
    )
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    return training(problem, model, lambda scores, y: (1 - y * scores).relu().mean(), sgd)


def mlp(problem: Training) -> Step:
    model = nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    return training(problem, model, functional.cross_entropy, adam)


def lenet(problem: Training) -> Step:
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    return training(problem, model, functional.cross_entropy, adam)


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


def elementwise(problem: tuple[Any, ...]) -> Step:
    x, y, z = map(torch.from_numpy, problem)
    x.requires_grad_()

    def step() -> Any:
        x.grad = None
        value = (torch.tanh(x * y + z) ** 2).sum()
        value.backward()
        return value, x.grad

    return step
