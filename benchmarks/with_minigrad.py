"""minigrad, eager: two moons on plain Tensors, the other networks by nn and optim."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.workloads import Chain, Step, Training
from minigrad import Tensor, nn, optim
from minigrad.functional import cross_entropy, hinge_loss, relu


def moons(problem: Training) -> Step:
    x, y = problem.x, problem.y
    parameters = [Tensor(p, requires_grad=True) for layer in problem.dense() for p in layer]
    w1, b1, w2, b2, w3, b3 = parameters

    def step() -> Tensor:
        h = relu(x @ w1 + b1)
        h = relu(h @ w2 + b2)
        loss = hinge_loss(h @ w3 + b3, y)
        for p in parameters:
            p.grad = None
        loss.backward()
        for p in parameters:
            p.data -= 0.1 * p.grad
        return loss

    return step


def training(problem: Training, model: nn.Module) -> Step:
    names = model.state_dict()
    model.load_state_dict(dict(zip(names, problem.weights, strict=True)))
    optimiser = optim.Adam(model.parameters(), lr=1e-3)

    def step() -> Tensor:
        optimiser.zero_grad()
        loss = cross_entropy(model(problem.x), problem.y)
        loss.backward()
        optimiser.step()
        return loss

    return step


def mlp(problem: Training) -> Step:
    model = nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )
    return training(problem, model)


def lenet(problem: Training) -> Step:
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    return training(problem, model)


def chain(problem: Chain) -> Step:
    start = Tensor(problem.z, requires_grad=True)

    def step() -> tuple[Tensor, Any]:
        start.grad = None
        z = start
        for _ in range(problem.times):
            z = z * problem.scale + problem.shift
        total = z.sum()
        total.backward()
        return total, start.grad

    return step


def elementwise(problem: tuple[np.ndarray, ...]) -> Step:
    x, y, z = Tensor(problem[0], requires_grad=True), *problem[1:]

    def step() -> tuple[Tensor, Any]:
        x.grad = None
        value = np.sum(np.tanh(x * y + z) ** 2)
        value.backward()
        return value, x.grad

    return step
