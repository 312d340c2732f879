"""Padding, resizing and rearranging as layers; see `minigrad.functional`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from minigrad import functional as F
from minigrad.arguments import Size
from minigrad.errors import ShapeError
from minigrad.functional.resampling import INTERPOLATION
from minigrad.nn.function import FunctionModule


@dataclass(eq=False, repr=False)
class Padding(FunctionModule):
    """Base of padding layers: `padding` is (left, right, top, bottom), or one number for all."""

    axes: ClassVar[int]
    mode: ClassVar[str]
    value = 0.0
    padding: int | tuple[int, ...]

    def __post_init__(self) -> None:
        if isinstance(self.padding, int):
            self.padding = (self.padding,) * (2 * self.axes)
        self.padding = tuple(self.padding)
        if len(self.padding) != 2 * self.axes:
            raise ShapeError(
                f"{type(self).__name__}: padding is a number, or {2 * self.axes} of them, two for "
                f"each axis, the last axis first, not {self.padding}"
            )

    def forward(self, x: Any) -> Any:
        width: Any = self.padding  # two numbers for each axis, by __post_init__
        return F.pad(x, width, self.mode, self.value)


@dataclass(eq=False, repr=False)
class ZeroPad1d(Padding):
    """Pad signals (..., L) with zeros; see `functional.pad`.

    Raises:
        ArgumentError: when made, if a setting is of another type.
        ShapeError: when made, if there are not 2 numbers; when called, if x has not the axes or
            entries.

    >>> import numpy as np
    >>> ZeroPad1d(1)(np.array([[1.0, 2.0, 3.0]]))
    array([[0., 1., 2., 3., 0.]])
    """

    axes = 1
    mode = "constant"


@dataclass(eq=False, repr=False)
class ZeroPad2d(Padding):
    """Pad images (..., H, W) with zeros; see `functional.pad`.

    Raises:
        ArgumentError: when made, if a setting is of another type.
        ShapeError: when made, if there are not 4 numbers; when called, if x has not the axes or
            entries.

    >>> import numpy as np
    >>> ZeroPad2d((1, 1, 0, 2))(np.ones((1, 1, 3, 3))).shape
    (1, 1, 5, 5)
    """

    axes = 2
    mode = "constant"


@dataclass(eq=False, repr=False)
class ConstantPad1d(Padding):
    """Pad signals (..., L) with a value; see `functional.pad`.

    Raises:
        ArgumentError: when made, if a setting is of another type.
        ShapeError: when made, if there are not 2 numbers; when called, if x has not the axes or
            entries.

    >>> import numpy as np
    >>> ConstantPad1d(1, 7.0)(np.array([[1.0, 2.0, 3.0]]))
    array([[7., 1., 2., 3., 7.]])
    """

    axes = 1
    mode = "constant"
    value: float


@dataclass(eq=False, repr=False)
class ConstantPad2d(Padding):
    """Pad images (..., H, W) with a value; see `functional.pad`.

    Raises:
        ArgumentError: when made, if a setting is of another type.
        ShapeError: when made, if there are not 4 numbers; when called, if x has not the axes or
            entries.

    >>> import numpy as np
    >>> ConstantPad2d((1, 1, 0, 2), 7.0)(np.ones((1, 1, 3, 3))).shape
    (1, 1, 5, 5)
    """

    axes = 2
    mode = "constant"
    value: float


@dataclass(eq=False, repr=False)
class ReflectionPad1d(Padding):
    """Pad signals (..., L) with a reflection, without repeating the edge; see `functional.pad`.

    Raises:
        ArgumentError: when made, if a setting is of another type.
        ShapeError: when made, if there are not 2 numbers; when called, if x has not the axes or
            entries.

    >>> import numpy as np
    >>> ReflectionPad1d(1)(np.array([[1.0, 2.0, 3.0]]))
    array([[2., 1., 2., 3., 2.]])
    """

    axes = 1
    mode = "reflect"


@dataclass(eq=False, repr=False)
class ReflectionPad2d(Padding):
    """Pad images (..., H, W) with a reflection, without repeating the edge; see `functional.pad`.

    Raises:
        ArgumentError: when made, if a setting is of another type.
        ShapeError: when made, if there are not 4 numbers; when called, if x has not the axes or
            entries.

    >>> import numpy as np
    >>> ReflectionPad2d((1, 1, 0, 2))(np.ones((1, 1, 3, 3))).shape
    (1, 1, 5, 5)
    """

    axes = 2
    mode = "reflect"


@dataclass(eq=False, repr=False)
class ReplicationPad1d(Padding):
    """Pad signals (..., L) with the edge repeated; see `functional.pad`.

    Raises:
        ArgumentError: when made, if a setting is of another type.
        ShapeError: when made, if there are not 2 numbers; when called, if x has not the axes or
            entries.

    >>> import numpy as np
    >>> ReplicationPad1d(1)(np.array([[1.0, 2.0, 3.0]]))
    array([[1., 1., 2., 3., 3.]])
    """

    axes = 1
    mode = "replicate"


@dataclass(eq=False, repr=False)
class ReplicationPad2d(Padding):
    """Pad images (..., H, W) with the edge repeated; see `functional.pad`.

    Raises:
        ArgumentError: when made, if a setting is of another type.
        ShapeError: when made, if there are not 4 numbers; when called, if x has not the axes or
            entries.

    >>> import numpy as np
    >>> ReplicationPad2d((1, 1, 0, 2))(np.ones((1, 1, 3, 3))).shape
    (1, 1, 5, 5)
    """

    axes = 2
    mode = "replicate"


@dataclass(eq=False, repr=False)
class CircularPad1d(Padding):
    """Pad signals (..., L) with entries from the other end; see `functional.pad`.

    Raises:
        ArgumentError: when made, if a setting is of another type.
        ShapeError: when made, if there are not 2 numbers; when called, if x has not the axes or
            entries.

    >>> import numpy as np
    >>> CircularPad1d(1)(np.array([[1.0, 2.0, 3.0]]))
    array([[3., 1., 2., 3., 1.]])
    """

    axes = 1
    mode = "circular"


@dataclass(eq=False, repr=False)
class CircularPad2d(Padding):
    """Pad images (..., H, W) with entries from the other end; see `functional.pad`.

    Raises:
        ArgumentError: when made, if a setting is of another type.
        ShapeError: when made, if there are not 4 numbers; when called, if x has not the axes or
            entries.

    >>> import numpy as np
    >>> CircularPad2d((1, 1, 0, 2))(np.ones((1, 1, 3, 3))).shape
    (1, 1, 5, 5)
    """

    axes = 2
    mode = "circular"


@dataclass(eq=False, repr=False)
class Upsample(FunctionModule):
    """Resize to a size or by a factor; see `functional.interpolate`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range; when called,
            if settings do not fit each other.
        ShapeError: when called, if x has not the axes that mode is for.

    >>> import numpy as np
    >>> Upsample(scale_factor=2)(np.array([[[0.0, 4.0]]]))
    array([[[0., 0., 4., 4.]]])
    """

    function = staticmethod(F.interpolate)
    size: int | tuple[int, ...] | None = None
    scale_factor: float | tuple[float, ...] | None = None
    mode: Annotated[str, INTERPOLATION] = "nearest"
    align_corners: bool | None = None


@dataclass(eq=False, repr=False)
class PixelShuffle(FunctionModule):
    """(..., C*r*r, H, W) -> (..., C, H*r, W*r); see `functional.pixel_shuffle`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the channels are no multiple of r*r.

    >>> import numpy as np
    >>> PixelShuffle(2)(np.zeros((1, 8, 3, 3))).shape
    (1, 2, 6, 6)
    """

    function = staticmethod(F.pixel_shuffle)
    upscale_factor: Size


@dataclass(eq=False, repr=False)
class PixelUnshuffle(FunctionModule):
    """(..., C, H*r, W*r) -> (..., C*r*r, H, W); see `functional.pixel_unshuffle`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the height or width is no multiple of r.

    >>> import numpy as np
    >>> PixelUnshuffle(2)(np.zeros((1, 2, 6, 6))).shape
    (1, 8, 3, 3)
    """

    function = staticmethod(F.pixel_unshuffle)
    downscale_factor: Size
