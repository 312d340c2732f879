"""Derivatives checked against finite differences."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.arguments import Size, checked, shown
from minigrad.autograd import input_cotangents, no_grad
from minigrad.errors import DtypeError, GradientCheckError, GradientError
from minigrad.graph import Node, toposort
from minigrad.inside import differentiating
from minigrad.tensor import Tensor, value_of
from minigrad.transforms import grad
from minigrad.transforms.recorded import as_tensor
from minigrad.transforms.trees import Function, leaves_of, map_tree

RELATIVE = 1e-9  # relative differences below this are rounding
STEPS = (1e-4, 0.1)  # tried first; the second if the derivative is 0, which rounding may hide
ROUNDING = 10  # assumed rounding error of f, in units of its last place
CERTAIN = 1e-3  # relative error up to which finite differences are good enough to judge by


@checked
def check_gradients(f: Function, *args: Any, order: Size = 2) -> None:
    """Raise on the first derivative of f, up to `order`, that finite differences contradict.

    The outputs are summed with random weights (the same ones in every run), so that f may return
    arrays and pytrees of them, and each entry of each argument is varied in turn, a complex one
    along both axes. Arguments are converted to float64 or complex128. The differences are of fourth
    order in the step (Abramowitz and Stegun, 25.3.6), with a step that suits the scales of x and f,
    and one-sided where f's domain ends. f must be smooth around the arguments, and its derivative
    larger than the rounding errors of f: if not, the message says that it cannot be judged, and
    why.

    Args:
        f: a function of floats, arrays, or pytrees of them, written with NumPy or on Tensors.
        args: the point at which to check it.
        order: 1 for gradients; 2 also checks gradients of gradients, and so on.

    Raises:
        GradientCheckError: naming the order, argument and entry, the finite difference and the
            derivative.

    >>> check_gradients(lambda x: np.sin(x) * x, 0.5)
    >>> check_gradients(lambda x: x * x.data, 0.5)
    Traceback (most recent call last):
        ...
    minigrad.errors.GradientCheckError: check_gradients: the derivative of order 1 by argument 0...
    """
    args = tuple(map_tree(as_double, arg) for arg in args)
    rng = np.random.default_rng(0)
    argnums = tuple(range(len(args)))
    for k in range(1, order + 1):
        f = weighted_sum(f, rng)
        compare(f, args, grad(f, argnums), k)
        f = grad(f, argnums)


EPS = float(np.finfo(float).eps)


def as_double(x: Any) -> np.ndarray:
    try:
        array = np.array(value_of(x))
        return array.astype(complex if array.dtype.kind == "c" else float)
    except (TypeError, ValueError):
        raise DtypeError(
            f"check_gradients takes f and then its arguments, floats and arrays, and one of these "
            f"is {shown(x)}"
        ) from None


def drawn(rng: np.random.Generator, y: Tensor) -> np.ndarray:
    """A weight for each entry of an output; complex ones take in the imaginary part."""
    weights = rng.uniform(0.5, 1.5, y.shape)
    return weights + 1j * rng.uniform(0.5, 1.5, y.shape) if y.dtype.kind == "c" else weights


def weighted_sum(f: Function, rng: np.random.Generator) -> Function:
    """The sum of all entries that f returns, each with a random weight, drawn at first use."""
    weights: list[np.ndarray] = []

    def total(*args: Any) -> Any:
        outputs = [as_tensor(y, at) for at, y in leaves_of(f(*args))]
        if not outputs:
            raise GradientError("check_gradients is of a function that returns something")
        if not weights:
            weights.extend(drawn(rng, y) for y in outputs)
        terms = (np.real(np.sum(w * y)) for w, y in zip(weights, outputs, strict=True))
        return sum(terms, start=0.0)

    return total


def compare(f: Function, args: tuple[Any, ...], gradient: Function, order: int) -> None:
    """Compare every entry of f's gradient with finite differences of f."""
    places = [(f"argument {k}{at}", x) for k, arg in enumerate(args) for at, x in leaves_of(arg)]
    gradients = [np.asarray(value_of(g)) for _, g in leaves_of(gradient(*args))]
    error = functools.cache(lambda: rounding_error(f, args))
    nearby = functools.cache(lambda: at_another_place(gradient, args))
    for k, ((where, x), g) in enumerate(zip(places, gradients, strict=True)):
        # Along the imaginary axis, f changes by the real part of g * i.
        directions = (1, 1j) if x.dtype.kind == "c" else (1,)
        for entry, along in itertools.product(np.ndindex(x.shape), directions):
            moved = functools.cache(functools.partial(value_at, f, args, x, entry, along))
            got, at = float((g[entry] * along).real), float((x[entry] / along).real)
            quick = [difference(moved, step * (1 + abs(at))) for step in STEPS[: 1 + (got == 0)]]
            if all(agree(got, slope) for slope in quick):
                continue
            expected, doubt, remark = settled(moved, at, got, error())
            doubt += abs(got - float((nearby()[k][entry] * along).real))
            if not remark and (agree(got, expected) or abs(got - expected) <= 4 * doubt):
                continue
            raise GradientCheckError(
                f"check_gradients{' cannot judge' * bool(remark)}: the derivative of order {order} "
                f"by {where}, entry {entry}, at {at:.6g}: expected {expected:.9g} (finite "
                f"differences), got {got:.9g}{remark}"
            )


def rounding_error(f: Function, args: tuple[Any, ...]) -> float:
    """An estimate of the rounding error of f: that of every intermediate value, times its adjoint
    (the running error analysis of Wilkinson and Linnainmaa)."""
    with np.errstate(all="ignore"), differentiating(()):
        root = f(*map_tree(lambda x: Tensor(x.copy(), requires_grad=True), args))
        if not (isinstance(root, Tensor) and root.requires_grad):
            return 0.0
        adjoints: dict[Node, Any] = {root.node: np.ones_like(root.data)}
        total = 0.0
        for node in reversed(toposort(adjoints)):
            if node.op is not None and node in adjoints:
                adjoint, eps = adjoints.pop(node), np.finfo(node.value.dtype).eps
                total += np.nansum(np.abs(adjoint * node.value * eps) ** 2.0)
                for source, term in input_cotangents(node, adjoint):
                    adjoints[source] = adjoints[source] + term if source in adjoints else term
    return math.sqrt(total) if math.isfinite(total) else 0.0


def at_another_place(gradient: Function, args: tuple[Any, ...]) -> list[Any]:
    """The gradient at arguments that differ in their last digits: how well conditioned it is."""
    moved = map_tree(lambda x: x * (1 + 4 * EPS), args)
    with np.errstate(all="ignore"):
        return [np.asarray(value_of(g)) for _, g in leaves_of(gradient(*moved))]


UNSETTLED = (
    ". Differences over smaller and smaller steps do not settle: the function has a kink or a jump "
    "near this point, and so no derivative, or is not the same at each call"
)
HIDDEN = (
    ". Rounding errors of f may change the expected value by {}: check it at another point, or "
    "without large terms of f that do not change"
)


def agree(got: float, expected: float) -> bool:
    return abs(got - expected) <= RELATIVE * (abs(got) + abs(expected))


def value_at(
    f: Function, args: Any, x: np.ndarray, entry: tuple[int, ...], along: complex, by: float
) -> float:
    """f with one entry of one of its arguments varied, and restored afterwards."""
    original = x[entry]
    x[entry] = original + along * by
    try:
        # Steps may leave the domain.
        with no_grad(), np.errstate(all="ignore"), differentiating(()):
            return float(f(*map_tree(Tensor, args)))
    except ValueError:  # of a matrix without an inverse, or a quantile beyond 1
        if by == 0:
            raise
        return math.nan
    finally:
        x[entry] = original


def difference(f: Callable[[float], float], h: float) -> float:
    """f'(0) from four points around it, or from three on one side where f ends at 0."""
    central = (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)
    if np.isfinite(central):
        return central
    sides = [(4 * f(s) - f(2 * s) - 3 * f(0)) / (2 * s) for s in (h, -h)]
    return next(filter(np.isfinite, sides), central)


def ladder(x: float) -> np.ndarray:
    """Steps h from the size of x, or 1, down to that of its last place, powers of 2, so that x + h
    is exact: dense around the sizes of x and of 1, and sparse elsewhere."""
    top, own = math.frexp(max(1.0, abs(x)))[1], math.frexp(x)[1] if x else -600
    close = {*range(top, top - 40, -1), *(range(min(own + 4, top), own - 49, -1) if x else ())}
    return np.ldexp(1.0, sorted(close | set(range(top, own, -12)), reverse=True))


def settled(
    f: Callable[[float], float], x: float, got: float, error: float
) -> tuple[float, float, str]:
    """f'(0), a bound of its error, and a remark if `got` cannot be judged by it.

    Large steps suffer from curvature, and small ones from rounding: where one takes over from the
    other depends on the scales of x and f (near x = 0, f may have any), so many are tried. The
    rounding error is `error`, or more if the smallest steps show more. The error of a step is how
    far the slopes of all smaller steps differ from its own, beyond their rounding.
    """
    steps = ladder(x)
    with np.errstate(all="ignore"):
        slopes = np.array([difference(f, h) for h in steps])
        values = np.array([[f(k * h) for k in (-2, -1, 0, 1, 2)] for h in steps])
        values = np.where(np.isfinite(values), values, f(0.0))
        changes, moves = np.abs(values - f(0.0)).max(1), np.abs(values[:, 3] - values[:, 1])
        # A constant may be the sum of terms that were rounded away.
        sizes = np.abs(values).max(1) if changes.any() else np.full(len(steps), 1 + abs(x))
        limit = 1e-6 * np.median(sizes) + ROUNDING * error
        rounding = np.max(np.abs(np.diff(slopes)[-6:]) * steps[-6:])
        if moves[-1] == 0:  # f is a step function at this scale
            rounding = next((move for move in moves[::-1] if 0 < move <= limit), rounding)
        noise = (ROUNDING * (EPS * sizes + error) + 2 * rounding) / steps
        beyond = [np.max(np.abs(slopes[k:] - s) - noise[k:]) for k, s in enumerate(slopes)]
        converging = np.abs(np.diff(slopes, prepend=np.inf)) - noise
        doubts = np.nan_to_num(noise + np.maximum(np.maximum(beyond, converging), 0), nan=np.inf)
    best = np.argmin(doubts)
    expected, doubt = float(slopes[best]), float(doubts[best])
    if not rounding <= limit and not agree(got, expected):
        return expected, doubt, UNSETTLED
    flat = np.all(changes <= EPS * sizes + error) and abs(got) <= 4 * doubt
    at_stake = max(abs(got), np.max(changes / steps))
    hidden = abs(got - expected) <= 4 * doubt and doubt > CERTAIN * at_stake and not flat
    return expected, doubt, HIDDEN.format(f"{4 * doubt:.1e}") if hidden else ""
