"""HIPS autograd: functions of lists of arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd.numpy as np
from autograd import value_and_grad

from benchmarks.adam import Adam
from benchmarks.workloads import Chain, Step, Training


def network(layers: list[Any], x: Any) -> Any:
    for w, b in layers[:-1]:
        x = np.maximum(x @ w + b, 0)
    w, b = layers[-1]
    return x @ w + b


def moons(problem: Training) -> Step:
    layers = problem.dense()

    def loss(layers: list[Any]) -> Any:
        return np.mean(np.maximum(1 - problem.y * network(layers, problem.x), 0))

    differentiated = value_and_grad(loss)

    def step() -> Any:
        value, gradients = differentiated(layers)
        for layer, gradient in zip(layers, gradients, strict=True):
            for p, g in zip(layer, gradient, strict=True):
                p -= 0.1 * g
        return value

    return step


def mlp(problem: Training) -> Step:
    layers = problem.dense()
    rows = np.arange(len(problem.y))

    def loss(layers: list[Any]) -> Any:
        logits = network(layers, problem.x)
        logits = logits - np.max(logits, axis=1, keepdims=True)
        total = np.log(np.sum(np.exp(logits), axis=1))
        return np.mean(total - logits[rows, problem.y])

    differentiated = value_and_grad(loss)
    adam = Adam([p for layer in layers for p in layer])

    def step() -> Any:
        value, gradients = differentiated(layers)
        adam.step([g for gradient in gradients for g in gradient])
        return value

    return step


def chain(problem: Chain) -> Step:
    def value(z: Any) -> Any:
        for _ in range(problem.times):
            z = z * problem.scale + problem.shift
        return np.sum(z)

    return at(value, problem.z)


def elementwise(problem: tuple[Any, ...]) -> Step:
    x, y, z = problem
    return at(lambda x: np.sum(np.tanh(x * y + z) ** 2), x)


def at(function: Callable[[Any], Any], x: Any) -> Step:
    differentiated = value_and_grad(function)
    return lambda: differentiated(x)
