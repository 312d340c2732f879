"""Complex numbers: their parts, which are views, their conjugate and their angle.

Ops that are holomorphic need no rule of their own: the cotangent of z is g * f'(z). These here are
linear over the real numbers only, and their rules are the transposes by the same product Re(g * z).
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from minigrad.autograd import recording
from minigrad.dispatch import implements, is_traced
from minigrad.errors import check_number
from minigrad.inside import is_inside
from minigrad.ops.base import Op
from minigrad.ops.binary import zero_as_inf
from minigrad.ops.unary import unary
from minigrad.ops.views import puts, viewed
from minigrad.tensor import Tensor, value_of

movement = partial(Op, "movement", jacobian="constant")

real_op = movement("real", lambda x: x.real, (lambda g, y, x: g,), "real({0})")
imag_op = movement("imag", lambda x: x.imag, (lambda g, y, x: g * -1j,), "imag({0})")
conj_op = unary("conj", np.conjugate, lambda g, y, x: np.conjugate(g), c="{0}")


puts[real_op] = lambda base, new: new + 1j * np.imag(base)
puts[imag_op] = lambda base, new: np.real(base) + 1j * new


@implements(np.real)
def real(val: Any) -> Any:
    """The real part, a view; real numbers are their own."""
    return viewed(real_op, val) if val.dtype.kind == "c" else val


@implements(np.imag)
def imag(val: Any) -> Any:
    """The imaginary part, a view; of real numbers zeros, which nothing is written into."""
    return viewed(imag_op, val) if val.dtype.kind == "c" else np.zeros_like(val)


# The imaginary part of the logarithm; its derivative at 0 is 0, as that of arctan2.
angle_op = unary("angle", np.angle, lambda g, y, x: g * -1j / zero_as_inf(x), c=None)


@implements(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    if z.dtype.kind == "c" and not is_traced(value_of(z)):
        radians = angle_op(z)
    else:
        radians = np.arctan2(np.imag(z) if z.dtype.kind == "c" else 0, np.real(z))
    return radians * (180 / math.pi) if deg else radians


@implements(np.iscomplex)
def iscomplex(x: Any) -> Any:
    """Where the imaginary part is not 0."""
    return np.not_equal(np.imag(x), 0)


@implements(np.isreal)
def isreal(x: Any) -> Any:
    """Where the imaginary part is 0."""
    return np.equal(np.imag(x), 0)


@implements(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    """The real part if all imaginary parts are within tol units in the last place of 0, or tol
    itself if that is at most 1."""
    if a.dtype.kind != "c":
        return a
    limit = tol * np.finfo(a.dtype).eps if tol > 1 else tol
    return np.real(a) if bool(np.all(np.absolute(np.imag(a)) < limit)) else a


def __complex__(self: Tensor) -> complex:  # noqa: N807  # by its name, messages find the call
    if self.requires_grad and recording.get():
        check_number(reading=not is_inside(self.node))
    return complex(self.item())


setattr(Tensor, "__complex__", __complex__)  # noqa: B010
