"""Convolution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.errors import ShapeError
from minigrad.functional import conv2d
from minigrad.functional.convolution import pair
from minigrad.nn.init import uniform_by_fan_in
from minigrad.nn.module import Module
from minigrad.ops.movement import Pair
from minigrad.tensor import Tensor


class Conv2d(Module):
    """Slide kernels over images: each output channel has one for every input channel of its group.

    Parameters are float32: weight (out_channels, in_channels/groups, kh, kw), and bias
    (out_channels,) unless it is left out. They start uniform within +-1/sqrt(fan_in), where fan_in
    is how many pixels a kernel sees, drawn from `rng`. For stride, padding, dilation and groups
    see `functional.conv2d`.

    >>> layer = Conv2d(1, 4, 3, padding=1)
    >>> layer(np.ones((5, 1, 8, 8))).shape
    (5, 4, 8, 8)
    >>> layer
    Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1), padding=1)  # 40 parameters
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair | str = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        kernel_size = pair(kernel_size, "kernel_size")
        if min(in_channels, out_channels, groups, *kernel_size) < 1:
            raise ShapeError(
                f"Conv2d({in_channels}, {out_channels}, {kernel_size}, groups={groups}): channels, "
                "kernel and groups are at least 1"
            )
        if in_channels % groups or out_channels % groups:
            raise ShapeError(
                f"Conv2d({in_channels}, {out_channels}, groups={groups}): both numbers of channels "
                "must be multiples of groups"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = pair(stride, "stride")
        self.padding = padding
        self.dilation = pair(dilation, "dilation")
        self.groups = groups
        shape = (out_channels, in_channels // groups, *kernel_size)
        fan_in = math.prod(shape[1:])
        self.weight = uniform_by_fan_in(shape, fan_in, rng)
        self.bias = uniform_by_fan_in((out_channels,), fan_in, rng) if bias else None

    def forward(self, x: Any) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, OH, OW)."""
        try:
            return conv2d(
                x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
            )
        except ShapeError:
            raise ShapeError(
                f"Conv2d({self.extra_repr()}) takes images of shape (N, {self.in_channels}, H, W), "
                f"padded at least as large as its kernel, and was given {np.shape(x)}"
            ) from None

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
        text += f"stride={self.stride}"
        for name, default in ("padding", 0), ("dilation", (1, 1)), ("groups", 1):
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)!r}"
        return text + ("" if self.bias is not None else ", bias=False")
