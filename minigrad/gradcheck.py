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

RELATIVE = 1e-6
FLOOR = 1e-14  # of what f is nearby: less may be the rounding of what it computes on its way
STEP = 1e-4  # that is tried first
LARGEST, SMALLEST = 0.1, 1e-9  # if that does not agree, from one to the other, relative to x
ROUNDING = 10 * float(np.finfo(float).eps)  # of f, relative to its value


@checked
def check_gradients(f: Function, *args: Any, order: int = 2) -> None:
    """Raise on the first derivative of f, up to `order`, that finite differences contradict.

    The outputs are added up with random weights (always the same), so that f may return arrays and
    nests of them, and each entry of each argument is moved in turn. Arguments are taken as
    float64. The differences have an error of order 4 in the step (Abramowitz and Stegun, 25.3.6),
    and the step is found that suits the scales of x and f. They are taken on one side where f's
    domain ends. f must be smooth around the arguments: if not, the message says so.

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
            moved = functools.cache(functools.partial(value_at, f, args, x, entry))
            got, at = float(np.asarray(g)[entry]), float(x[entry])
            if agree(got, difference(moved, STEP * (1 + abs(at)))):
                continue
            expected, doubt, smooth = settled(moved, at)
            nearby = [moved(k * LARGEST * (1 + abs(at))) for k in (-10, -1, 1, 10)]
            floor = FLOOR * np.max(np.abs(np.nan_to_num(nearby, posinf=0, neginf=0)))
            off = abs(got - expected)
            if agree(got, expected) or (smooth and off <= 4 * doubt) or off <= floor:
                continue
            remark = "" if smooth else UNSETTLED
            raise GradientCheckError(
                f"check_gradients: the derivative of order {order} by {where}, entry {entry}, "
                f"at {at:.6g}: expected {expected:.9g} (finite differences), got {got:.9g}{remark}"
            )


UNSETTLED = (
    ". Differences over smaller and smaller steps do not settle: the function has a kink or a jump "
    "near this point, and so no derivative, or is not the same at each call"
)


def agree(got: float, expected: float) -> bool:
    return abs(got - expected) <= RELATIVE * (abs(got) + abs(expected))


def value_at(f: Function, args: Any, x: np.ndarray, entry: tuple[int, ...], by: float) -> float:
    """f with one entry of one of its arguments moved, and put back afterwards."""
    original = x[entry]
    x[entry] = original + by
    try:
        with no_grad(), np.errstate(all="ignore"):  # steps may leave the domain
            return float(f(*map_tree(Tensor, args)))
    finally:
        x[entry] = original


def difference(f: Callable[[float], float], h: float) -> float:
    """f'(0) from four points around it, or from three on one side where f ends at 0."""
    central = (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)
    if np.isfinite(central):
        return central
    sides = [(4 * f(s) - f(2 * s) - 3 * f(0)) / (2 * s) for s in (h, -h)]
    return next(filter(np.isfinite, sides), central)


def settled(f: Callable[[float], float], x: float) -> tuple[float, float, bool]:
    """f'(0), how far that may be off, and whether only f's rounding is to blame.

    Large steps see curvature, and small ones f's rounding: where one ends and the other begins
    depends on the scales of x and f (near x = 0, f may have any), so many are tried. What rounding
    does is seen in the smallest. A step is as good as all that are smaller say, but for that.
    """
    largest, smallest = np.log2(LARGEST * max(1.0, abs(x))), np.log2(SMALLEST * (abs(x) or 1.0))
    steps = 2.0 ** np.arange(np.ceil(largest), smallest, -1)  # what x + h is exact for
    with np.errstate(all="ignore"):
        slopes = np.array([difference(f, h) for h in steps])
        values = np.nan_to_num([[f(-h), f(0), f(h)] for h in steps], posinf=0, neginf=0)
        sizes, moves = np.abs(values).max(1), np.abs(values[:, 2] - values[:, 0])
        rounding, limit = np.max(np.abs(np.diff(slopes)[-3:]) * steps[-3:]), 1e-6 * np.median(sizes)
        if moves[-1] == 0:  # in float32, say, f goes in stairs
            rounding = next((move for move in moves[::-1] if 0 < move <= limit), rounding)
        noise = (ROUNDING * sizes + 2 * rounding) / steps
        beyond = [np.max(np.abs(slopes[k:] - s) - noise[k:]) for k, s in enumerate(slopes)]
        doubts = np.nan_to_num(noise + np.maximum(beyond, 0), nan=np.inf)
    best = np.argmin(doubts)
    return slopes[best], doubts[best], bool(rounding <= limit)
