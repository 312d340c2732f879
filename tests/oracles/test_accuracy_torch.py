"""Compiled sums lose at most twice the digits that PyTorch's float32 loses.

`python -m tests.oracles.test_accuracy_torch` prints PyTorch's errors, which
tests/compile/test_accuracy.py holds compiled sums to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as T

from minigrad.compile.compiled import compile
from tests.compile.sums import SUMS, arguments, error, outputs


def gradients(f: Callable[..., Any]) -> Callable[..., Any]:
    def found(*arguments: Any) -> Any:
        *given, cotangent = arguments
        given = [x.clone().requires_grad_() for x in given]
        return torch.autograd.grad(f(*given), given, cotangent)

    return found


def network(x: Any, kernel: Any, w: Any, b: Any) -> Any:
    y = T.batch_norm(T.conv2d(x, kernel), None, None, w, b, True)
    return T.relu(y).permute(0, 2, 3, 1)


THEIRS: dict[str, Callable[..., Any]] = {
    "rows of a gather": lambda x: x[:, torch.arange(4000) * 7 % 4000].sum(1),
    "between two that stay": lambda x: (x.exp().sum(2), x.sum((1, 3))),
    "with what leads to it": lambda x, y: (x.exp() * y).sum(0),
    "mean and variance": lambda x: (x.mean(0), x.var(0, unbiased=False)),
    "norm": lambda x: (x * x).sum(0).sqrt(),
    "linear": gradients(lambda x, w, b: T.relu(T.linear(x, w, b))),
    "convolution": gradients(T.conv2d),
    "few channels": gradients(T.conv2d),
    "network": gradients(network),
    "layer norm": gradients(lambda x, w, b: T.layer_norm(x, w.shape, w, b)),
}


def errors(name: str, kind: str) -> tuple[list[np.ndarray], list[float]]:
    """What is exact, and PyTorch's errors."""
    f, given = SUMS[name][0], arguments(name, kind)
    exact = outputs(f, [x.astype(np.float64) for x in given])
    theirs = THEIRS.get(name, f)(*map(torch.from_numpy, given))
    found = theirs if isinstance(theirs, tuple) else (theirs,)
    return exact, [error(y.detach().numpy(), x) for x, y in zip(exact, found, strict=True)]


@pytest.mark.parametrize("kind", ["positive", "normal"])
@pytest.mark.parametrize("name", SUMS)
def test_sums_are_as_good_as_those_of_torch(name: str, kind: str) -> None:
    exact, theirs = errors(name, kind)
    ours = outputs(compile(SUMS[name][0]), arguments(name, kind))
    for x, y, theirs_of_y in zip(exact, ours, theirs, strict=True):
        assert error(y, x) <= 2 * max(theirs_of_y, 0.3)


if __name__ == "__main__":
    for name in SUMS:
        for kind in ("positive", "normal"):
            rounded = ", ".join(f"{e:.2f}" for e in errors(name, kind)[1])
            print(f'    ("{name}", "{kind}"): [{rounded}],')
