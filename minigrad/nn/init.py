"""How parameters start."""

from __future__ import annotations

import math

import numpy as np

from minigrad.random import generator
from minigrad.tensor import Tensor


def uniform_by_fan_in(
    shape: tuple[int, ...], fan_in: int, rng: np.random.Generator | None
) -> Tensor:
    """A float32 parameter drawn from the uniform distribution within +-1/sqrt(fan_in).

    It is PyTorch's default for weights and biases, where fan_in is how many inputs each output
    sums up: He et al., "Delving Deep into Rectifiers" (2015), equation 14 with a = sqrt(5).

    >>> weight = uniform_by_fan_in((2, 100), 100, np.random.default_rng(0))
    >>> weight.shape, weight.dtype, bool(np.max(np.abs(weight.data)) <= 0.1)
    ((2, 100), dtype('float32'), True)
    """
    bound = 1 / math.sqrt(fan_in)
    return Tensor(
        generator(rng).uniform(-bound, bound, shape).astype(np.float32), requires_grad=True
    )
