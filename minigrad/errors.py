"""The errors minigrad raises, and where in the user's program they come from."""

from __future__ import annotations

import linecache
import os
import sys
from types import FrameType

PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class MinigradError(Exception):
    """Base of every error minigrad raises itself; its message ends with the user's own line."""

    def __init__(self, message: str) -> None:
        super().__init__(message + user_line())


class ShapeError(MinigradError, ValueError):
    """Shapes, axes or indices that do not fit together."""


class DtypeError(MinigradError, TypeError):
    """A dtype that is not supported, or that carries no gradient."""


class GradientError(MinigradError, RuntimeError):
    """A gradient that was asked for and does not exist."""


class UnsupportedError(MinigradError, TypeError):
    """A NumPy function, or an argument of one, that Tensors do not support."""


class GradientCheckError(MinigradError, AssertionError):
    """A derivative that differs from finite differences."""


def user_frame() -> FrameType | None:
    """The innermost frame outside this package: the user's own line."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return frame


def user_line() -> str:
    """Where the user's program stands, as the last lines of an error message."""
    frame = user_frame()
    if frame is None:
        return ""
    path, number = frame.f_code.co_filename, frame.f_lineno
    source = linecache.getline(path, number, frame.f_globals).strip()
    return f"\n  at {path}:{number}" + (f"\n    {source}" if source else "")
