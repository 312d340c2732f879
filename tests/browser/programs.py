"""What is explained in these tests."""

from typing import Any

import numpy as np

from minigrad import Tensor, explain, nn
from minigrad import functional as F
from minigrad.viz import Explanation


def example() -> Explanation:
    """The worked example."""
    x1 = Tensor(2.0, requires_grad=True, name="x1")
    x2 = Tensor(3.0, requires_grad=True, name="x2")
    return explain(x1 * x2 + np.sin(x1))


def network() -> Explanation:
    """The loss of a small convolutional network."""
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, rng=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(36, 10, rng=rng),
    )
    images = rng.normal(size=(5, 1, 8, 8)).astype(np.float32)
    labels = rng.integers(0, 10, 5)
    return explain(F.cross_entropy(model(images), labels))


def broadcast() -> Explanation:
    """A bias that is broadcast, and a value that is used twice."""
    w = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="W")
    b = Tensor([0.5, -0.5], requires_grad=True, name="b")
    y = np.array([[1.0, 2.0], [0.5, -1.0], [2.0, 0.0]]) @ w + b
    return explain((y * np.tanh(y)).sum())


def large() -> Explanation:
    """10,002 steps."""
    x: Any = Tensor(0.5, requires_grad=True, name="x1")
    x2 = Tensor(0.9, requires_grad=True, name="x2")
    for _ in range(2000):
        x = np.tanh(x * x2 + np.sin(x) * 0.5)
    return explain(x)


def of_complex_numbers() -> Explanation:
    """A loss of complex numbers: a product, a conjugate, a real input."""
    z = Tensor([1 + 2j, -0.5 + 0.3j, 0.7 - 1.1j], requires_grad=True, name="z")
    w = Tensor(0.6 - 0.8j, requires_grad=True, name="w")
    x = Tensor(0.5, requires_grad=True, name="x")
    return explain(np.sum(np.abs(np.exp(z * w) * np.conj(z) - x * 1j) ** 2))
