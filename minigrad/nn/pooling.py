"""Pooling: one value for each window of an image (..., H, W) or a signal (..., L)."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any

from minigrad import functional as F
from minigrad.arguments import NOT_NEGATIVE, Size
from minigrad.nn.function import FunctionModule
from minigrad.ops.movement import Pair


@dataclass(eq=False, repr=False)
class Pooling(FunctionModule):
    """Base of pooling by a window. The stride defaults to its size."""

    kernel_size: Any
    stride: Any = None

    def __post_init__(self) -> None:
        if self.stride is None:
            self.stride = self.kernel_size


@dataclass(eq=False, repr=False)
class MaxPool1d(Pooling):
    """The largest value under a moving window; see `functional.max_pool1d`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the window does not fit into x.

    >>> import numpy as np
    >>> MaxPool1d(2)(np.array([[1.0, 3.0, 2.0, 0.0]]))
    array([[3., 2.]])
    """

    function = staticmethod(F.max_pool1d)
    kernel_size: Size | tuple[int]
    stride: Size | tuple[int] | None = None
    padding: Annotated[int, NOT_NEGATIVE] | tuple[int] = 0
    dilation: Size | tuple[int] = 1


@dataclass(eq=False, repr=False)
class MaxPool2d(Pooling):
    """The largest value under a moving window; see `functional.max_pool2d`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the window does not fit into x.

    >>> import numpy as np
    >>> MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """

    function = staticmethod(F.max_pool2d)
    kernel_size: Size | Pair
    stride: Size | Pair | None = None
    padding: Annotated[int, NOT_NEGATIVE] | Pair = 0
    dilation: Size | Pair = 1


@dataclass(eq=False, repr=False)
class AvgPool1d(Pooling):
    """The mean under a moving window; see `functional.avg_pool1d`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the window does not fit into x.

    >>> import numpy as np
    >>> AvgPool1d(2)(np.array([[1.0, 3.0, 2.0, 0.0]]))
    array([[2., 1.]])
    """

    function = staticmethod(F.avg_pool1d)
    kernel_size: Size | tuple[int]
    stride: Size | tuple[int] | None = None
    padding: Annotated[int, NOT_NEGATIVE] | tuple[int] = 0
    _: KW_ONLY
    count_include_pad: bool = True


@dataclass(eq=False, repr=False)
class AvgPool2d(Pooling):
    """The mean under a moving window; see `functional.avg_pool2d`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the window does not fit into x.

    >>> import numpy as np
    >>> AvgPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """

    function = staticmethod(F.avg_pool2d)
    kernel_size: Size | Pair
    stride: Size | Pair | None = None
    padding: Annotated[int, NOT_NEGATIVE] | Pair = 0
    _: KW_ONLY
    count_include_pad: bool = True


@dataclass(eq=False, repr=False)
class AdaptiveAvgPool1d(FunctionModule):
    """The mean of each of `output_size` bins; see `functional.adaptive_avg_pool1d`.

    Raises:
        ArgumentError: when made, if output_size is of another type.
        ShapeError: when called, if output_size is below 1, or x lacks axes.

    >>> import numpy as np
    >>> AdaptiveAvgPool1d(2)(np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]))
    array([[2., 5.]])
    """

    function = staticmethod(F.adaptive_avg_pool1d)
    output_size: int | tuple[int]


@dataclass(eq=False, repr=False)
class AdaptiveAvgPool2d(FunctionModule):
    """The mean of each of (OH, OW) bins; see `functional.adaptive_avg_pool2d`.

    Raises:
        ArgumentError: when made, if output_size is of another type.
        ShapeError: when called, if output_size is below 1, or x lacks axes.

    >>> import numpy as np
    >>> AdaptiveAvgPool2d((1, 2))(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[6.5, 8.5]]]])
    """

    function = staticmethod(F.adaptive_avg_pool2d)
    output_size: int | tuple[int | None, int | None] | None
