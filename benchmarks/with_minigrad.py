"""minigrad, as its users would write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.adam import Adam
from benchmarks.workloads import Chain, Step, Training, in_pairs
from minigrad import Tensor
from minigrad.functional import conv2d, cross_entropy, hinge_loss, linear, max_pool2d, relu


def parameter(w: np.ndarray) -> Tensor:
    return Tensor(w, requires_grad=True)


def moons(problem: Training) -> Step:
    layers = [(parameter(w), parameter(b)) for w, b in problem.dense()]
    parameters = [p for layer in layers for p in layer]
    x, y = problem.x, problem.y

    def step() -> Tensor:
        (w1, b1), (w2, b2), (w3, b3) = layers
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


def training(parameters: list[Tensor], loss_of: Callable[[], Any]) -> Step:
    adam = Adam([p.data for p in parameters])

    def step() -> Any:
        loss = loss_of()
        for p in parameters:
            p.grad = None
        loss.backward()
        adam.step([p.grad for p in parameters])
        return loss

    return step


def network(layers: list[Any], x: Any) -> Any:
    for w, b in layers[:-1]:
        x = relu(linear(x, w, b))
    return linear(x, *layers[-1])


def mlp(problem: Training) -> Step:
    parameters = [parameter(w) for w in problem.copies()]
    layers = in_pairs(parameters)
    return training(parameters, lambda: cross_entropy(network(layers, problem.x), problem.y))


def lenet(problem: Training) -> Step:
    parameters = [parameter(w) for w in problem.copies()]
    (w1, b1), (w2, b2), *dense = in_pairs(parameters)

    def loss() -> Any:
        x = max_pool2d(relu(conv2d(problem.x, w1, b1, padding=2)), 2)
        x = max_pool2d(relu(conv2d(x, w2, b2)), 2)
        return cross_entropy(network(dense, x.reshape(len(x), -1)), problem.y)

    return training(parameters, loss)


def chain(problem: Chain) -> Step:
    start = parameter(problem.z)

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
    x, y, z = parameter(problem[0]), problem[1], problem[2]

    def step() -> tuple[Tensor, Any]:
        x.grad = None
        value = np.sum(np.tanh(x * y + z) ** 2)
        value.backward()
        return value, x.grad

    return step
