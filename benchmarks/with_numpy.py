"""Forward and backward by hand in NumPy: the floor for a library that is built on it."""

from __future__ import annotations

import numpy as np

from benchmarks.workloads import Step, Training


def moons(problem: Training) -> Step:
    x, y = problem.x, problem.y
    (w1, b1), (w2, b2), (w3, b3) = layers = problem.dense()
    parameters = [p for layer in layers for p in layer]

    def step() -> np.ndarray:
        h1 = np.maximum(x @ w1 + b1, 0)
        h2 = np.maximum(h1 @ w2 + b2, 0)
        margin = 1 - y * (h2 @ w3 + b3)
        loss = np.maximum(margin, 0).mean()

        g3 = (margin > 0) * (y * (-1 / len(y)))
        g2 = (g3 @ w3.T) * (h2 > 0)
        g1 = (g2 @ w2.T) * (h1 > 0)
        gradients = [x.T @ g1, g1.sum(0), h1.T @ g2, g2.sum(0), h2.T @ g3, g3.sum(0)]
        for p, g in zip(parameters, gradients, strict=True):
            p -= 0.1 * g
        return loss

    return step
