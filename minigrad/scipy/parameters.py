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
from minigrad.transforms.trees import leaves_of, like


def is_parameter(x: Any) -> bool:
    """Whether a leaf is a float or an array of floats; all else is a constant."""
    return isinstance(x, float) or getattr(getattr(x, "dtype", None), "kind", None) in ("f", "c")


def is_complex(x: Any) -> bool:
    return bool(getattr(getattr(x, "dtype", None), "kind", "") == "c")


def real_parts(x: Any) -> tuple[Any, ...]:
    """The real and the imaginary part of complex numbers, or real ones as they are."""
    return (np.real(x), np.imag(x)) if is_complex(x) else (x,)


class Packing:
    """How nested arguments and a vector of their floats become each other."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree
        leaves = [x for _, x in leaves_of(tree)]
        self.constants = [None if is_parameter(x) else value_of(x) for x in leaves]
        self.shapes = [np.shape(x) if is_parameter(x) else None for x in leaves]
        self.complexes = [is_complex(x) for x in leaves]

    def vector(self) -> Any:
        """All floats, one after the other; recorded, if there are Tensors. Of complex numbers, all
        real parts and then all imaginary ones."""
        found = [x for _, x in leaves_of(self.tree) if is_parameter(x)]
        parts = [np.reshape(part, -1) for x in found for part in real_parts(x)]
        parts = [np.asarray(x, float) if isinstance(x, np.ndarray) else x for x in parts]
        return np.concatenate(parts) if parts else np.zeros(0)

    def unpacked(self, vector: Any) -> Any:
        """The arguments with the numbers of a vector."""
        start, leaves = 0, []

        def following(shape: tuple[int, ...]) -> Any:
            nonlocal start
            at, start = start, start + math.prod(shape)
            return np.reshape(vector[at:start], shape)[()] if shape else vector[at]

        for shape, constant, complexes in zip(
            self.shapes, self.constants, self.complexes, strict=True
        ):
            leaf = constant if shape is None else following(shape)
            leaves.append(leaf + 1j * following(shape) if complexes and shape is not None else leaf)
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
    return np.asarray(value_of(recorded(y)), float)


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
    """What a function of the user's gave, as one real array or Tensor: a list is joined."""
    if isinstance(y, list | tuple):
        return np.stack([recorded(x) for x in y])
    y = y if isinstance(y, Tensor) else np.asarray(y)
    if is_complex(y):
        raise DtypeError(
            "the function gives complex numbers, of which the imaginary part would be lost: give "
            "real ones, np.real(y) and np.imag(y)"
        )
    return y if isinstance(y, Tensor) else y.astype(float, copy=False)


Function = Callable[..., Any]
