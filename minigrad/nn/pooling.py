"""Pooling: one value for each window of an image."""

from __future__ import annotations

from typing import Any

from minigrad.functional import avg_pool2d, max_pool2d
from minigrad.functional.convolution import pair
from minigrad.nn.module import Module
from minigrad.ops.movement import Pair
from minigrad.tensor import Tensor


class MaxPool2d(Module):
    """The largest value under a moving window; see `functional.max_pool2d`.

    >>> import numpy as np
    >>> MaxPool2d(2)(Tensor(np.arange(16.0).reshape(1, 1, 4, 4)))
    Tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
    ) -> None:
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.stride = self.kernel_size if stride is None else pair(stride, "stride")
        self.padding = pair(padding, "padding")
        self.dilation = pair(dilation, "dilation")

    def forward(self, x: Any) -> Tensor:
        """(..., H, W) -> (..., OH, OW)."""
        return max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}"
        )


class AvgPool2d(Module):
    """The mean under a moving window; see `functional.avg_pool2d`.

    >>> import numpy as np
    >>> AvgPool2d(2)(Tensor(np.arange(16.0).reshape(1, 1, 4, 4)))
    Tensor([[[[ 2.5,  4.5],
              [10.5, 12.5]]]])
    """

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
    ) -> None:
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.stride = self.kernel_size if stride is None else pair(stride, "stride")
        self.padding = pair(padding, "padding")

    def forward(self, x: Any) -> Tensor:
        """(..., H, W) -> (..., OH, OW)."""
        return avg_pool2d(x, self.kernel_size, self.stride, self.padding)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
