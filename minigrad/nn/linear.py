"""Linear layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.arguments import Size, checked
from minigrad.errors import ShapeError
from minigrad.functional import bilinear, linear
from minigrad.nn.init import uniform_by_fan_in
from minigrad.nn.module import Module
from minigrad.tensor import Tensor


class Linear(Module):
    """An affine map, x @ weight.T + bias.

    Parameters are float32: weight (out_features, in_features), and bias (out_features,) unless
    bias=False. They are initialised uniformly within +-1/sqrt(in_features), drawn from `rng`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the last axis of x is not in_features.

    >>> layer = Linear(3, 2)
    >>> layer(np.ones((5, 3))).shape
    (5, 2)
    >>> layer
    Linear(in_features=3, out_features=2, bias=True)  # 8 parameters
    """

    @checked
    def __init__(
        self,
        in_features: Size,
        out_features: Size,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.in_features = in_features
        self.out_features = out_features
        self.weight = uniform_by_fan_in((out_features, in_features), in_features, rng)
        self.bias = uniform_by_fan_in((out_features,), in_features, rng) if bias else None

    def forward(self, x: Any) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        try:
            return linear(x, self.weight, self.bias)
        except ShapeError:
            raise ShapeError(
                f"Linear({self.extra_repr()}) takes shape (..., {self.in_features}), and was given "
                f"{np.shape(x)}: the last axis must be {self.in_features}; nn.Flatten() makes one "
                "axis of an image's"
            ) from None

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Bilinear(Module):
    """A bilinear map: x1 @ weight[k] @ x2 + bias[k] for each output k.

    Parameters are float32: weight (out_features, in1_features, in2_features), and bias
    (out_features,) unless bias=False. They are initialised uniformly within +-1/sqrt(in1_features),
    drawn from `rng`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the inputs have other shapes.

    >>> layer = Bilinear(3, 4, 2)
    >>> layer(np.ones((5, 3)), np.ones((5, 4))).shape
    (5, 2)
    """

    @checked
    def __init__(
        self,
        in1_features: Size,
        in2_features: Size,
        out_features: Size,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        shape = (out_features, in1_features, in2_features)
        self.weight = uniform_by_fan_in(shape, in1_features, rng)
        self.bias = uniform_by_fan_in((out_features,), in1_features, rng) if bias else None

    def forward(self, x1: Any, x2: Any) -> Tensor:
        """(..., in1_features) and (..., in2_features) -> (..., out_features)."""
        try:
            return bilinear(x1, x2, self.weight, self.bias)
        except ShapeError:
            raise ShapeError(
                f"Bilinear({self.extra_repr()}) takes shapes (..., {self.in1_features}) and "
                f"(..., {self.in2_features}), and was given {np.shape(x1)} and {np.shape(x2)}: all "
                "axes but the last must be the same"
            ) from None

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )
