"""Convolution layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from minigrad.arguments import Size, checked, one_of
from minigrad.errors import ShapeError
from minigrad.functional import conv1d, conv2d, conv_transpose2d, pad
from minigrad.functional.convolution import IMAGES, SIGNALS, Kind, Sizes, ends_of, per_axis
from minigrad.functional.resampling import MODES
from minigrad.nn.init import uniform_by_fan_in
from minigrad.nn.module import Module
from minigrad.ops.movement import Pair
from minigrad.tensor import Tensor


class Convolution(Module):
    """Base of convolution layers."""

    kind: ClassVar[Kind]
    function: ClassVar[Callable[..., Any]]
    settings: ClassVar = ["stride", "padding", "dilation", "groups"]

    @checked
    def __init__(
        self,
        in_channels: Size,
        out_channels: Size,
        kernel_size: int | Sizes,
        stride: int | Sizes = 1,
        padding: int | Sizes | Literal["same", "valid"] = 0,
        dilation: int | Sizes = 1,
        groups: Size = 1,
        bias: bool = True,
        padding_mode: Annotated[str, one_of("zeros", *MODES)] = "zeros",
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        name, axes = type(self).__name__, self.kind.axes
        kernel_size = per_axis(kernel_size, "kernel_size", axes)
        stride, dilation = per_axis(stride, "stride", axes), per_axis(dilation, "dilation", axes)
        if min(*kernel_size, *stride, *dilation) < 1:
            raise ShapeError(f"{name}: kernel, stride and dilation are at least 1")
        if padding == "same" and set(stride) != {1}:
            raise ShapeError(f'{name}: padding="same" is for stride 1, not {stride}')
        if not isinstance(padding, str) and min(per_axis(padding, "padding", axes)) < 0:
            raise ShapeError(f"{name}: padding is at least 0, not {padding}")
        if in_channels % groups or out_channels % groups:
            raise ShapeError(
                f"{name}({in_channels}, {out_channels}, groups={groups}): both numbers of channels "
                "must be multiples of groups"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.groups = groups
        self.padding_mode = padding_mode
        shape = self.weight_shape()
        fan_in = math.prod(shape[1:])
        self.weight = uniform_by_fan_in(shape, fan_in, rng)
        self.bias = uniform_by_fan_in((out_channels,), fan_in, rng) if bias else None

    def weight_shape(self) -> Sizes:
        return (self.out_channels, self.in_channels // self.groups, *self.kernel_size)

    def forward(self, x: Any) -> Tensor:
        """(N, in_channels, ...) -> (N, out_channels, ...)."""
        settings = {name: getattr(self, name) for name in self.settings}
        try:
            if self.padding_mode != "zeros":
                ends = ends_of(self.padding, self.kernel_size, self.stride, self.dilation)
                width = tuple(n for pair in reversed(ends) for n in pair)
                x, settings["padding"] = pad(x, width, self.padding_mode), 0
            return self.function(x, self.weight, self.bias, **settings)
        except ShapeError as error:
            raise ShapeError(
                f"{type(self).__name__}({self.extra_repr()}) takes {self.kind.name} of shape "
                f"(N, {self.in_channels}, {self.kind.places}), and was given {np.shape(x)}: "
                f"{error.message}"
            ) from None

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
        text += f"stride={self.stride}"
        for name in self.settings[1:]:
            value, default = getattr(self, name), 0 if "padding" in name else 1
            if value not in (default, (default,) * self.kind.axes):
                text += f", {name}={value!r}"
        text += "" if self.bias is not None else ", bias=False"
        mode = self.padding_mode
        return text + ("" if mode == "zeros" else f", padding_mode={mode!r}")


class Conv1d(Convolution):
    """1-dimensional convolution (cross-correlation) of signals.

    Parameters are float32: weight (out_channels, in_channels/groups, k), and bias (out_channels,)
    unless bias=False. They are initialised uniformly within +-1/sqrt(fan_in), drawn from `rng`,
    where fan_in is the number of entries of a kernel. For stride, padding, dilation and groups see
    `functional.conv1d`; padding_mode is "zeros", or one of the modes of `functional.pad`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: if the channels are not multiples of groups; when called, if x has another shape
            or is smaller than the kernel.

    >>> layer = Conv1d(1, 4, 3, padding=1)
    >>> layer(np.ones((5, 1, 8))).shape
    (5, 4, 8)
    >>> layer
    Conv1d(1, 4, kernel_size=(3,), stride=(1,), padding=1)  # 16 parameters
    """

    kind = SIGNALS
    function = staticmethod(conv1d)


class Conv2d(Convolution):
    """2-dimensional convolution (cross-correlation) of images.

    Parameters are float32: weight (out_channels, in_channels/groups, kh, kw), and bias
    (out_channels,) unless bias=False. They are initialised uniformly within +-1/sqrt(fan_in), drawn
    from `rng`, where fan_in is the number of entries of a kernel. For stride, padding, dilation and
    groups see `functional.conv2d`; padding_mode is "zeros", or one of the modes of
    `functional.pad`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: if the channels are not multiples of groups; when called, if x has another shape
            or is smaller than the kernel.

    >>> layer = Conv2d(1, 4, 3, padding=1)
    >>> layer(np.ones((5, 1, 8, 8))).shape
    (5, 4, 8, 8)
    >>> layer
    Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1), padding=1)  # 40 parameters
    """

    kind = IMAGES
    function = staticmethod(conv2d)


class ConvTranspose2d(Convolution):
    """Transposed convolution of images: the adjoint of a Conv2d with the same settings.

    Parameters are float32: weight (in_channels, out_channels/groups, kh, kw), and bias
    (out_channels,) unless bias=False. They are initialised uniformly within +-1/sqrt(fan_in), drawn
    from `rng`, where fan_in is, as in PyTorch, out_channels/groups * kh * kw. For the settings see
    `functional.conv_transpose2d`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: if the channels are not multiples of groups; when called, if x has another shape
            or is smaller than the kernel.

    >>> layer = ConvTranspose2d(4, 1, 2, stride=2)
    >>> layer(np.ones((5, 4, 8, 8))).shape
    (5, 1, 16, 16)
    >>> layer
    ConvTranspose2d(4, 1, kernel_size=(2, 2), stride=(2, 2))  # 17 parameters
    """

    kind = IMAGES
    function = staticmethod(conv_transpose2d)
    settings: ClassVar = ["stride", "padding", "output_padding", "groups", "dilation"]

    @checked
    def __init__(
        self,
        in_channels: Size,
        out_channels: Size,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        output_padding: int | Pair = 0,
        groups: Size = 1,
        bias: bool = True,
        dilation: int | Pair = 1,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.output_padding = output_padding
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            rng=rng,
        )

    def weight_shape(self) -> Sizes:
        return (self.in_channels, self.out_channels // self.groups, *self.kernel_size)
