"""micrograd, one scalar at a time, as in its own demo."""

from __future__ import annotations

import numpy as np
from micrograd.engine import Value
from micrograd.nn import MLP

from benchmarks.workloads import Step, Training, in_pairs


def moons(problem: Training) -> Step:
    model = MLP(2, [16, 16, 1])
    for layer, (weight, bias) in zip(model.layers, in_pairs(problem.weights), strict=True):
        for neuron, w, b in zip(layer.neurons, weight.tolist(), bias.tolist(), strict=True):
            neuron.b.data = b
            for value, number in zip(neuron.w, w, strict=True):
                value.data = number
    points, labels = problem.x.tolist(), problem.y[:, 0].tolist()

    def step() -> np.float64:
        scores = [model([Value(x1), Value(x2)]) for x1, x2 in points]
        losses = [(1 + -y * score).relu() for y, score in zip(labels, scores, strict=True)]
        loss = sum(losses) * (1 / len(losses))
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= 0.1 * p.grad
        return np.float64(loss.data)

    return step
