"""minigrad, eager or, wrapped, compiled: two moons on plain Tensors, the other networks by nn and
optim."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.workloads import Chain, Step, Training, Wrap, as_it_is
from minigrad import Tensor, nn, optim
from minigrad.functional import cross_entropy, hinge_loss, relu


def moons(problem: Training, wrap: Wrap = as_it_is) -> Step:
    parameters = [Tensor(p, requires_grad=True) for layer in problem.dense() for p in layer]
    w1, b1, w2, b2, w3, b3 = parameters

    def step(x: Any, y: Any) -> Any:
        h = relu(x @ w1 + b1)
        h = relu(h @ w2 + b2)
        loss = hinge_loss(h @ w3 + b3, y)
        for p in parameters:
            p.grad = None
        loss.backward()
        for p in parameters:
            p.data -= 0.1 * p.grad
        return loss

    return partial(wrap(step), problem.x, problem.y)


def training(
    optimiser: optim.Optimizer,
    loss_of: Callable[..., Any],
    data: Sequence[np.ndarray],
    wrap: Wrap = as_it_is,
) -> Step:
    """A step of the optimiser on a batch; all of it is compiled."""

    def step(*batch: Any) -> Any:
        optimiser.zero_grad()
        loss = loss_of(*batch)
        loss.backward()
        optimiser.step()
        return loss

    return partial(wrap(step), *data)


def load(model: nn.Module, weights: Sequence[np.ndarray]) -> None:
    for p, w in zip(model.parameters(), weights, strict=True):
        p.data[...] = w


def classifier(problem: Training, model: nn.Module, wrap: Wrap = as_it_is) -> Step:
    load(model, problem.weights)

    def loss(x: Any, y: Any) -> Any:
        return cross_entropy(model(x), y)

    adam = optim.Adam(model.parameters(), lr=1e-3)
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
