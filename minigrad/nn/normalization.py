"""Normalization layers."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from minigrad.arguments import Size, checked
from minigrad.errors import ShapeError
from minigrad.functional import batch_norm, group_norm, layer_norm, rms_norm
from minigrad.nn.module import Module
from minigrad.ops.base import Shape
from minigrad.ops.movement import as_shape
from minigrad.tensor import Tensor


def constant(value: float, shape: Shape) -> Tensor:
    """A float32 parameter filled with one value."""
    return Tensor(np.full(shape, value, np.float32), requires_grad=True)


def sizes(normalized_shape: int | Shape) -> Shape:
    shape = as_shape(normalized_shape)
    if not shape or min(shape) < 1:
        raise ShapeError(f"normalized_shape {normalized_shape}: it has sizes of at least 1")
    return shape


def misfit(layer: Module, takes: str, x: Any) -> ShapeError:
    return ShapeError(
        f"{type(layer).__name__}({layer.extra_repr()}) takes shape {takes}, and was given "
        f"{np.shape(x)}"
    )


class BatchNorm(Module):
    """Base of batch normalization.

    Parameters are float32: weight and bias (num_features,), unless affine is False. Buffers are
    running_mean and running_var (num_features,), unless track_running_stats is False, and
    num_batches_tracked, an int64. In training, the batch's statistics normalize, and update the
    running statistics with weight `momentum`, or None for the average over all batches. After
    eval(), the running statistics normalize. See `functional.batch_norm`.
    """

    # The axes of inputs after (N, num_features).
    further_axes: ClassVar[list[str]]

    @checked
    def __init__(
        self,
        num_features: Size,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        shape, track = (num_features,), track_running_stats
        self.weight = constant(1, shape) if affine else None
        self.bias = constant(0, shape) if affine else None
        self.running_mean = Tensor(np.zeros(shape, np.float32)) if track else None
        self.running_var = Tensor(np.ones(shape, np.float32)) if track else None
        self.num_batches_tracked = Tensor(np.zeros((), np.int64)) if track else None

    def forward(self, x: Any) -> Tensor:
        """(N, num_features, ...) -> the same."""
        shape, kinds = np.shape(x), [("N", self.num_features, *more) for more in self.further_axes]
        if len(shape) not in map(len, kinds) or shape[1] != self.num_features:
            raise misfit(self, " or ".join(f"({', '.join(map(str, k))})" for k in kinds), x)
        batches = self.num_batches_tracked
        momentum: Any = self.momentum or 0.0
        if self.momentum is None and batches is not None:
            momentum = 1 / (batches.data + 1)
        y = batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or batches is None,
            momentum,
            self.eps,
        )
        if self.training and batches is not None:
            batches.data += 1
        return y

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(BatchNorm):
    """Normalize each feature of samples, or each channel of signals, over the batch.

    Takes shape (N, num_features) or (N, num_features, L). `BatchNorm`, its base, has parameters,
    buffers and settings.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if x has another shape, or in training a channel has one value.

    >>> layer = BatchNorm1d(2)
    >>> layer(np.array([[1.0, 10.0], [3.0, 30.0]])).data.round(3)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> layer.running_mean
    Tensor([0.2, 2. ], dtype=float32)
    """

    further_axes: ClassVar = ["", "L"]


class BatchNorm2d(BatchNorm):
    """Normalize each channel of images over the batch.

    Takes shape (N, num_features, H, W). `BatchNorm`, its base, has parameters, buffers and
    settings.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if x has another shape, or in training a channel has one value.

    >>> layer = BatchNorm2d(3)
    >>> layer(np.ones((5, 3, 8, 8))).shape
    (5, 3, 8, 8)
    >>> layer
    BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)  # 6 parameters
    """

    further_axes: ClassVar = ["HW"]


class LayerNorm(Module):
    """Normalize every sample by its own mean and variance; see `functional.layer_norm`.

    Parameters are float32, of shape normalized_shape: weight, which starts at 1, unless
    elementwise_affine is False, and with it bias, which starts at 0, unless bias is False.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: if sizes or groups do not match; when called, if x has another shape.

    >>> layer = LayerNorm(2)
    >>> layer(np.array([[1.0, 3.0], [10.0, 30.0]])).data.round(3)
    array([[-1.,  1.],
           [-1.,  1.]])
    >>> layer
    LayerNorm((2,), eps=1e-05, elementwise_affine=True, bias=True)  # 4 parameters
    """

    @checked
    def __init__(
        self,
        normalized_shape: int | Shape,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        self.normalized_shape = sizes(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.weight = constant(1, self.normalized_shape) if elementwise_affine else None
        self.bias = constant(0, self.normalized_shape) if elementwise_affine and bias else None

    def forward(self, x: Any) -> Tensor:
        """(..., *normalized_shape) -> the same."""
        try:
            return layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        except ShapeError:
            raise misfit(self, f"(..., {', '.join(map(str, self.normalized_shape))})", x) from None

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """Divide every sample by its root mean square; see `functional.rms_norm`.

    Its parameter is float32, of shape normalized_shape: weight, which starts at 1, unless
    elementwise_affine is False.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: if sizes or groups do not match; when called, if x has another shape.

    >>> layer = RMSNorm(2, elementwise_affine=False)
    >>> layer(np.array([[3.0, 3.0], [-20.0, 20.0]]))
    array([[ 1.,  1.],
           [-1.,  1.]])
    >>> layer
    RMSNorm((2,), eps=None, elementwise_affine=False)
    """

    @checked
    def __init__(
        self,
        normalized_shape: int | Shape,
        eps: float | None = None,
        elementwise_affine: bool = True,
    ) -> None:
        self.normalized_shape = sizes(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.weight = constant(1, self.normalized_shape) if elementwise_affine else None

    def forward(self, x: Any) -> Tensor:
        """(..., *normalized_shape) -> the same."""
        try:
            return rms_norm(x, self.normalized_shape, self.weight, self.eps)
        except ShapeError:
            raise misfit(self, f"(..., {', '.join(map(str, self.normalized_shape))})", x) from None

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(Module):
    """Normalize every sample by groups of channels; see `functional.group_norm`.

    Parameters are float32, unless affine is False: weight and bias (num_channels,), which start at
    1 and 0.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: if sizes or groups do not match; when called, if x has another shape.

    >>> layer = GroupNorm(2, 4)
    >>> layer(np.array([[1.0, 3.0, 10.0, 30.0]])).data.round(3)
    array([[-1.,  1., -1.,  1.]])
    >>> layer
    GroupNorm(2, 4, eps=1e-05, affine=True)  # 8 parameters
    """

    @checked
    def __init__(
        self, num_groups: Size, num_channels: Size, eps: float = 1e-5, affine: bool = True
    ) -> None:
        if num_channels % num_groups:
            raise ShapeError(
                f"GroupNorm({num_groups}, {num_channels}): groups of equal size make up the "
                "channels, so num_channels must be a multiple of num_groups"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self.weight = constant(1, (num_channels,)) if affine else None
        self.bias = constant(0, (num_channels,)) if affine else None

    def forward(self, x: Any) -> Tensor:
        """(N, num_channels, ...) -> the same."""
        if np.shape(x)[1:2] != (self.num_channels,):
            raise misfit(self, f"(N, {self.num_channels}, ...)", x)
        return group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"
