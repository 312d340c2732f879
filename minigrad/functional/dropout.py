"""Dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, DtypeError
from minigrad.ops.movement import as_real
from minigrad.random import uniform


def dropout(
    x: Any, p: float = 0.5, training: bool = True, *, rng: np.random.Generator | None = None
) -> Any:
    """Set each value to 0 with probability p, else scale it by 1/(1 - p): the mean is kept.

    Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting" (2014),
    scaled in training instead of afterwards.

    Args:
        x: floats, any shape.
        p: the probability of a 0, from 0 to 1.
        training: if False, x is returned as it is.
        rng: the generator to draw from.

    Raises:
        ArgumentError: if p is not a probability.
        DtypeError: if x does not hold floats.

    >>> y = dropout(np.ones(1000), 0.2, rng=np.random.default_rng(0))
    >>> np.unique(y), round(float(y.mean()), 1)
    (array([0.  , 1.25]), 1.0)
    """
    check_probability("dropout", p)
    if not training or p == 0:
        return x
    x = as_real(x)
    if x.dtype.kind != "f":
        raise DtypeError(f"dropout of {x.dtype}: what is kept is scaled, so it takes floats")
    kept = uniform(rng, x.shape) >= p
    return x * (kept * x.dtype.type(1 / (1 - p) if p < 1 else 0))


def check_probability(what: str, p: Any) -> None:
    if not 0 <= p <= 1:
        raise ArgumentError(f"{what}: p is a probability, from 0 to 1, not {p!r}")
