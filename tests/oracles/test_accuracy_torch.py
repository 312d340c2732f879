"""Float32 at large logits: errors against float64 at most twice those of PyTorch's float32."""

from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from minigrad import grad
from tests.functional.test_accuracy import BASES, FUNCTIONS, NEAR, TARGETS, WEIGHTS

TORCH: dict[str, Any] = {
    "softmax": lambda x: torch.softmax(x, 1),
    "log_softmax": lambda x: torch.log_softmax(x, 1),
    "cross_entropy": lambda x: torch.nn.functional.cross_entropy(
        x, torch.tensor(TARGETS), reduction="none"
    ),
    "logsumexp": lambda x: torch.logsumexp(x, 1),
}


def by_torch(name: str, x: np.ndarray, weights: np.ndarray) -> Any:
    t = torch.tensor(x, requires_grad=True)
    y = TORCH[name](t)
    return y.detach().numpy(), torch.autograd.grad((y * torch.tensor(weights)).sum(), t)[0].numpy()


@pytest.mark.parametrize("name", TORCH)
def test_errors_are_at_most_twice_those_of_torch(name: str) -> None:
    f = FUNCTIONS[name]
    worst: Any = np.zeros((3, 2))  # of PyTorch, eager, compiled: of values, of gradients
    for base in BASES:
        x = (NEAR + base).astype(np.float32)
        w = (WEIGHTS if np.ndim(f(x)) == 2 else WEIGHTS[:, 0]).astype(np.float32)
        slope = grad(lambda x, w=w: np.sum(f(x) * w))
        exact = by_torch(name, x.astype(float), w.astype(float))
        compiled = minigrad.compile(lambda x, slope=slope: (f(x), slope(x)))
        found = by_torch(name, x, w), (f(x), slope(x)), compiled(x)
        errors = [[np.max(np.abs(a - b)) for a, b in zip(y, exact, strict=True)] for y in found]
        worst = np.maximum(worst, errors)
    assert np.all(worst[1:] <= 2 * worst[0] + np.finfo(np.float32).eps)
