"""Parameters of a function as one vector, for ops that call a function of the user's.

Such an op has a single input: the vector of all floats among nested arguments. So its derivative is
one rule, whatever the arguments are.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.errors import DtypeError, GradientError
from minigrad.tensor import Tensor, value_of
from minigrad.transforms import leaves_of, like


def is_parameter(x: Any) -> bool:
    """Whether a leaf is a float or an array of floats; all else is a constant."""
    return isinstance(x, float) or getattr(getattr(x, "dtype", None), "kind", None) in ("f", "c")


class Packing:
    """How nested arguments and a vector of their floats become each other."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree
        leaves = [x for _, x in leaves_of(tree)]
        for x in leaves:
            if getattr(getattr(x, "dtype", None), "kind", "") == "c":
                raise DtypeError(
                    "complex numbers among the arguments: give their real and imaginary parts"
                )
        self.constants = [None if is_parameter(x) else value_of(x) for x in leaves]
        self.shapes = [np.shape(x) if is_parameter(x) else None for x in leaves]

    def vector(self) -> Any:
        """All floats, one after the other; recorded, if there are Tensors."""
        parts = [np.reshape(x, -1) for _, x in leaves_of(self.tree) if is_parameter(x)]
        parts = [np.asarray(x, float) if isinstance(x, np.ndarray) else x for x in parts]
        return np.concatenate(parts) if parts else np.zeros(0)

    def unpacked(self, vector: Any) -> Any:
        """The arguments with the numbers of a vector."""
        start, leaves = 0, []
        for shape, constant in zip(self.shapes, self.constants, strict=True):
            if shape is None:
                leaves.append(constant)
                continue
            end = start + math.prod(shape)
            leaves.append(np.reshape(vector[start:end], shape)[()] if shape else vector[start])
            start = end
        return like(self.tree, iter(leaves))


def check_closed(name: str, y: Any) -> None:
    """Raise if what a function of the user's gave for plain arrays has a gradient."""
    if isinstance(y, list | tuple):
        for x in y:
            check_closed(name, x)
    elif isinstance(y, Tensor) and y.requires_grad:
        raise GradientError(
            f"{name}: the function uses a Tensor that requires a gradient and is none of its "
            "arguments, so that the gradient would be lost: pass it in args"
        )


def plain(name: str, y: Any) -> Any:
    """What a function of the user's gave for plain arrays, as an array of float64."""
    check_closed(name, y)
    if isinstance(y, list | tuple):
        return np.array([plain(name, x) for x in y])
    return np.asarray(value_of(y), float)


def calling(original: Callable[..., Any]) -> Callable[..., Any]:
    """A function of SciPy's that calls its first argument, which may not give what has a gradient:
    SciPy would lose it."""
    name = original.__name__

    def checked(f: Any) -> Any:
        if not callable(f):
            return f

        @functools.wraps(f)
        def call(*args: Any, **kwargs: Any) -> Any:
            y = f(*args, **kwargs)
            check_closed(name, y)
            return y

        return call

    @functools.wraps(original)
    def of_arrays(*args: Any, **kwargs: Any) -> Any:
        named = {k: checked(x) if k in ("f", "fun", "func") else x for k, x in kwargs.items()}
        return original(*map(checked, args[:1]), *args[1:], **named)

    return of_arrays


def recorded(y: Any) -> Any:
    """What a function of the user's gave, as one array or Tensor: a list is joined."""
    if isinstance(y, list | tuple):
        return np.stack([recorded(x) for x in y])
    return y if isinstance(y, Tensor) else np.asarray(y, float)


Function = Callable[..., Any]
