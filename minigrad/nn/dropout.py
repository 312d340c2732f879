"""Dropout as a layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.arguments import Probability, checked
from minigrad.functional import dropout
from minigrad.nn.module import Module


class Dropout(Module):
    """Set values to 0 with probability p in training; see `functional.dropout`.

    It draws from `rng`, or from the library's default generator.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        DtypeError: when called in training, if x does not hold floats.

    >>> layer = Dropout(0.5, rng=np.random.default_rng(0))
    >>> layer(np.ones(6))
    array([2., 2., 2., 0., 0., 0.])
    >>> layer.eval()(np.ones(6))
    array([1., 1., 1., 1., 1., 1.])
    """

    @checked
    def __init__(self, p: Probability = 0.5, *, rng: np.random.Generator | None = None) -> None:
        self.p = p
        self.rng = rng

    def forward(self, x: Any) -> Any:
        """Any shape -> the same shape."""
        return dropout(x, self.p, self.training, rng=self.rng)

    def extra_repr(self) -> str:
        return f"p={self.p}"
