"""What Python's own functions, operators and statements do with a Tensor."""

from __future__ import annotations

import inspect
import operator
from functools import partial
from typing import Any, NoReturn

import numpy as np

from minigrad.arguments import bound
from minigrad.dispatch import implementations
from minigrad.errors import (
    ArgumentError,
    ArgumentTypeError,
    MissingError,
    ShapeError,
    UnsupportedError,
)
from minigrad.names import absent, missing
from minigrad.numpy_protocol.queries import answered
from minigrad.tensor import Tensor

for name in ("__init__", "backward", "detach", "item", "tolist"):
    setattr(Tensor, name, bound(vars(Tensor)[name]))

# What Python's functions and statements call -> what to write instead.
PYTHONS = {
    "round": "np.round(t)",
    "trunc": "np.trunc(t)",
    "delitem": "t[1:] or np.concatenate([t[:i], t[i + 1:]])",
    "bytes": "t.data.tobytes()",
}
for name, advice in PYTHONS.items():
    setattr(Tensor, f"__{name}__", absent(advice))

# What NumPy lets be assigned, or users try to -> what to write instead.
FIXED = {
    **dict.fromkeys(("shape", "ndim", "size", "strides"), "t = t.reshape(...)"),
    "dtype": "t = t.astype(...)",
    "T": "t[...] = x.T",
    "mT": "t[...] = x.mT",
}


def fixed(name: str, advice: str) -> property:
    """The property of this name, which raises if it is assigned or deleted."""

    def refuse(self: Any, *_: Any) -> NoReturn:
        raise MissingError(f".{name} of a Tensor cannot be assigned or deleted: write {advice}")

    own = inspect.getattr_static(Tensor, name, None) or property(partial(missing, name=name))
    return own.setter(refuse).deleter(refuse)


for name, advice in FIXED.items():
    setattr(Tensor, name, fixed(name, advice))


def as_index(self: Tensor) -> int:
    """A single integer, as an index of a list or a loop count, which have no derivative."""
    if self.ndim or self.dtype.kind not in "iu":
        raise ArgumentTypeError(
            f"a Tensor of {self.dtype} of shape {self.shape} is not a single integer"
        )
    return operator.index(self.data)


def contains(self: Any, x: Any) -> Any:
    """Whether an entry equals x, or, where x broadcasts, one of its entries."""
    return answered(np.any(np.equal(self, x)))


def formatted(self: Tensor, spec: str) -> str:
    """A single number in a format, such as .3f; without one, any Tensor as str shows it."""
    if spec and self.size != 1:
        raise ShapeError(
            f"the format {spec!r} is for a single number, and this Tensor has shape {self.shape}: "
            "np.array2string(t, precision=3) shows an array"
        )
    try:
        return format(self.item() if spec else str(self), spec)
    except ValueError as error:
        raise ArgumentError(f"a Tensor of {self.dtype} in the format {spec!r}: {error}") from None


def power(self: Any, y: Any, modulo: Any = None) -> Any:
    """The operator `**`, and `pow` of two arguments."""
    if modulo is not None:
        raise UnsupportedError("pow of a Tensor and two numbers: write t**y % modulo")
    return implementations[np.power](self, y)


for name, function in {
    "__index__": as_index,
    "__contains__": contains,
    "__format__": formatted,
    "__pow__": power,
}.items():
    setattr(Tensor, name, function)
