"""Derivatives checked against finite differences."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.arguments import checked
from minigrad.autograd import no_grad
from minigrad.errors import GradientCheckError
from minigrad.tensor import Tensor, value_of
from minigrad.transforms import Function, grad, leaves_of, map_tree

RELATIVE, ABSOLUTE = 1e-6, 1e-7
STEP = 1e-4


@checked
def check_gradients(f: Function, *args: Any, order: int = 2) -> None:
    """Raise on the first derivative of f, up to `order`, that finite differences contradict.

    The outputs are added up with random weights (always the same), so that f may return arrays and
    nests of them, and each entry of each argument is moved in turn. Arguments are taken as
    float64. The differences have an error of order STEP**4 (Abramowitz and Stegun, 25.3.6 and 7),
    so f must be smooth around the arguments: a kink is recognised, and the message says so.

    Args:
        f: a function of floats, arrays, or nests of them, written with NumPy or on Tensors.
        args: where to check it.
        order: 1 for gradients; 2 also checks gradients of gradients, and so on.

    Raises:
        GradientCheckError: names the order, argument and entry, what finite differences give and
            what the derivative was.

    >>> check_gradients(lambda x: np.sin(x) * x, 0.5)
    >>> check_gradients(lambda x: x * x.data, 0.5)
    Traceback (most recent call last):
        ...
    minigrad.errors.GradientCheckError: check_gradients: the derivative of order 1 by argument 0...
    """
    args = tuple(map_tree(as_float64, arg) for arg in args)
    rng = np.random.default_rng(0)
    argnums = tuple(range(len(args)))
    for k in range(1, order + 1):
        f = weighted_sum(f, rng)
        compare(f, args, grad(f, argnums), k)
        f = grad(f, argnums)


def as_float64(x: Any) -> np.ndarray:
    return np.array(value_of(x), dtype=float)


def weighted_sum(f: Function, rng: np.random.Generator) -> Function:
    """The sum of all that f returns, each entry with a weight of its own, drawn at first use."""
    weights: list[np.ndarray] = []

    def total(*args: Any) -> Any:
        outputs = [y for _, y in leaves_of(f(*args))]
        if not weights:
            weights.extend(rng.uniform(0.5, 1.5, np.shape(y)) for y in outputs)
        return sum((np.sum(w * y) for w, y in zip(weights, outputs, strict=True)), start=0.0)

    return total


def compare(f: Function, args: tuple[Any, ...], gradient: Function, order: int) -> None:
    """Hold every entry of f's gradient against differences of f."""
    places = [(f"argument {k}{at}", x) for k, arg in enumerate(args) for at, x in leaves_of(arg)]
    gradients = [value_of(g) for _, g in leaves_of(gradient(*args))]
    for (where, x), g in zip(places, gradients, strict=True):
        for entry in np.ndindex(x.shape):
            moved = functools.partial(value_at, f, args, x, entry)
            got = float(np.asarray(g)[entry])
            expected = slope(moved, STEP * (1 + abs(float(x[entry]))))
            if not abs(got - expected) <= ABSOLUTE + RELATIVE * (abs(expected) + abs(got)):
                raise GradientCheckError(
                    f"check_gradients: the derivative of order {order} by {where}, entry {entry}, "
                    f"at {x[entry]:.6g}: expected {expected:.9g} (finite differences), "
                    f"got {got:.9g}{kink(moved)}"
                )


def value_at(f: Function, args: Any, x: np.ndarray, entry: tuple[int, ...], by: float) -> float:
    """f with one entry of one of its arguments moved, and put back afterwards."""
    original = x[entry]
    x[entry] = original + by
    try:
        with no_grad():
            return float(f(*map_tree(Tensor, args)))
    finally:
        x[entry] = original


def slope(f: Callable[[float], float], h: float) -> float:
    """f'(0) from four points around it."""
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


def kink(f: Callable[[float], float]) -> str:
    """A remark, if f has a kink or a jump so near to 0 that differences go across it.

    Around a point where f is smooth, ten times the distance makes ten times the difference, of
    values and of slopes; across a jump, or for slopes a kink, it makes none.
    """

    def difference(h: float) -> float:
        return abs(f(h) - f(-h))

    def bend(h: float) -> float:
        return abs((f(2 * h) - f(h)) - (f(-h) - f(-2 * h))) / h

    h = 2 * STEP
    if (bend(h) > max(0.5 * bend(10 * h), 1e-4)) or (
        difference(h) > max(0.5 * difference(10 * h), 1e-6)
    ):
        return (
            ". The function has a kink or a jump near this point, and so no derivative: check it "
            "somewhere else"
        )
    return ""
