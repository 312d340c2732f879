"""MyGrad: NumPy's functions on its own tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mygrad as mg
from mygrad.nnet import conv_nd, max_pool, relu, softmax_crossentropy

from benchmarks.adam import Adam
from benchmarks.workloads import Chain, Step, Training, in_pairs


def network(layers: list[Any], x: Any) -> Any:
    for w, b in layers[:-1]:
        x = relu(x @ w + b)
    w, b = layers[-1]
    return x @ w + b


def moons(problem: Training) -> Step:
    layers = [(mg.tensor(w), mg.tensor(b)) for w, b in problem.dense()]
    parameters: list[Any] = [p for layer in layers for p in layer]

    def step() -> Any:
        loss = mg.mean(relu(1 - problem.y * network(layers, problem.x)))
        loss.backward()  # also forgets the gradients of the step before
        for p in parameters:
            p.data -= 0.1 * p.grad
        return loss

    return step


def training(parameters: list[Any], loss_of: Callable[[], Any]) -> Step:
    adam = Adam([p.data for p in parameters])

    def step() -> Any:
        loss = loss_of()
        loss.backward()
        adam.step([p.grad for p in parameters])
        return loss

    return step


def mlp(problem: Training) -> Step:
    layers = [(mg.tensor(w), mg.tensor(b)) for w, b in problem.dense()]
    return training(
        [p for layer in layers for p in layer],
        lambda: softmax_crossentropy(network(layers, problem.x), problem.y),
    )


def lenet(problem: Training) -> Step:
    parameters = [mg.tensor(w) for w in problem.copies()]
    (w1, b1), (w2, b2), *dense = in_pairs(parameters)

    def loss() -> Any:
        x = conv_nd(problem.x, w1, stride=1, padding=2) + b1.reshape(-1, 1, 1)
        x = max_pool(relu(x), (2, 2), 2)
        x = conv_nd(x, w2, stride=1) + b2.reshape(-1, 1, 1)
        x = max_pool(relu(x), (2, 2), 2)
        logits = network([(w.T, b) for w, b in dense], x.reshape(len(x), -1))
        return softmax_crossentropy(logits, problem.y)

    return training(parameters, loss)


def chain(problem: Chain) -> Step:
    start = mg.tensor(problem.z)

    def step() -> Any:
        z = start
        for _ in range(problem.times):
            z = z * problem.scale + problem.shift
        z = z.sum()
        z.backward()
        return z, start.grad

    return step


def elementwise(problem: tuple[Any, ...]) -> Step:
    x, y, z = mg.tensor(problem[0]), problem[1], problem[2]

    def step() -> Any:
        value = mg.sum(mg.tanh(x * y + z) ** 2)
        value.backward()
        return value, x.grad

    return step
