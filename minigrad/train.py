"""Training networks on data that is shipped: `minigrad train`."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minigrad.autograd import no_grad
from minigrad.data import BatchLoader, Digits, load_digits
from minigrad.errors import MinigradError
from minigrad.functional import cross_entropy
from minigrad.io import check_output, save
from minigrad.nn import Conv2d, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential
from minigrad.optim import Adam

BATCH_SIZE = 64


def mlp(rng: np.random.Generator) -> Sequential:
    """Two linear layers: (N, 1, 8, 8) -> (N, 10)."""
    return Sequential(Flatten(), Linear(64, 256, rng=rng), ReLU(), Linear(256, 10, rng=rng))


def cnn(rng: np.random.Generator) -> Sequential:
    """Two convolutions, with a pooling after each: (N, 1, 8, 8) -> (N, 10)."""
    return Sequential(
        Conv2d(1, 16, 3, padding=1, rng=rng),  # (N, 16, 8, 8)
        ReLU(),
        MaxPool2d(2),  # (N, 16, 4, 4)
        Conv2d(16, 32, 3, padding=1, rng=rng),  # (N, 32, 4, 4)
        ReLU(),
        MaxPool2d(2),  # (N, 32, 2, 2)
        Flatten(),
        Linear(128, 10, rng=rng),
    )


MODELS: dict[str, Callable[[np.random.Generator], Sequential]] = {"mlp": mlp, "cnn": cnn}
