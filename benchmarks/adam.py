"""Adam on NumPy arrays, for the peers that bring no optimiser one can call step by step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RATE, FIRST, SECOND, EPSILON = 1e-3, 0.9, 0.999, 1e-8


class Adam:
    """Kingma and Ba, 2014, algorithm 1, with the bias corrections as PyTorch orders them."""

    def __init__(self, parameters: Sequence[np.ndarray]) -> None:
        self.parameters = parameters
        self.means = [np.zeros_like(p) for p in parameters]
        self.squares = [np.zeros_like(p) for p in parameters]
        self.count = 0

    def step(self, gradients: Sequence[np.ndarray]) -> None:
        """Update the parameters in place."""
        self.count += 1
        rate = RATE / (1 - FIRST**self.count)
        root = (1 - SECOND**self.count) ** 0.5
        for p, g, m, v in zip(self.parameters, gradients, self.means, self.squares, strict=True):
            m *= FIRST
            m += (1 - FIRST) * g
            v *= SECOND
            v += (1 - SECOND) * (g * g)
            size = np.sqrt(v)
            size /= root
            size += EPSILON
            p -= rate * m / size
