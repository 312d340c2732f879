"""Distributions as scipy.stats has them: location and scale, supports, frozen parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.stats as st

from minigrad.dispatch import is_traced
from minigrad.errors import ArgumentTypeError, UnsupportedError
from minigrad.scipy.on_tensors import as_array, is_recorded
from minigrad.scipy.stats.formulas import Formula, Formulas
from minigrad.tensor import Tensor, value_of

PLACE = ("loc", "scale")
LOGARITHMS = {"logpdf", "logpmf", "logcdf", "logsf"}
OF_DENSITIES = {"pdf", "logpdf", "pmf", "logpmf"}
# What a function is below its support and above it.
BEYOND: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("pdf", "pmf"), (0.0, 0.0)),
    **dict.fromkeys(("logpdf", "logpmf"), (-math.inf, -math.inf)),
    "cdf": (0.0, 1.0),
    "logcdf": (-math.inf, 0.0),
    "sf": (1.0, 0.0),
    "logsf": (0.0, -math.inf),
}


def doubles(x: Any) -> Any:
    """x as an array of float64, in which SciPy computes probabilities; a float as it is."""
    if type(x) is float:
        return x
    x = as_array(x)
    return x if x.dtype == np.float64 else np.astype(x, np.float64)


def interior(low: Any, high: Any) -> Any:
    """A point between the ends of a support, of which some may be infinite."""
    low, high = value_of(low), value_of(high)
    down, up = np.isfinite(low), np.isfinite(high)
    a, b = np.where(down, low, 0.0), np.where(up, high, 0.0)
    return np.where(down & up, (a + b) / 2, np.where(up, b - 1.0, a + 1.0 * down))


def log_of(one: Formula, other: Formula, *inputs: Any) -> Any:
    """The logarithm of a probability; near 1, by that of the other."""
    p = one(*inputs)
    near = np.greater(p, 0.5)
    q = other(*inputs)
    return np.where(near, np.log1p(-np.where(near, q, 0.0)), np.log(np.where(near, 1.0, p)))


class Distribution:
    """A distribution of scipy.stats that also works on Tensors, with derivatives by the data and
    by every parameter; on arrays, it is SciPy's.

    Outside of the support, the derivatives are 0.
    """

    def __init__(
        self, original: Any, formulas: Formulas | None, functions: tuple[str, ...]
    ) -> None:
        self.original, self.formulas, self.functions = original, formulas, functions
        self.__doc__ = original.__doc__
        self.name = original.name
        self.shapes = [x.strip() for x in (original.shapes or "").split(",") if x.strip()]
        self.is_discrete = isinstance(original, st.rv_discrete)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self.original, name)
        return partial(self.apply, name, found) if callable(found) else found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The distribution with these parameters, frozen."""
        if not is_recorded(args, kwargs):
            return self.original(*args, **kwargs)
        return Frozen(self, args, kwargs)

    def __repr__(self) -> str:
        return f"<minigrad.scipy.stats.{self.name}>"

    def apply(self, name: str, of_arrays: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A method of SciPy's, on Tensors if there is one among the arguments."""
        if not is_recorded(args, kwargs):
            return of_arrays(*args, **kwargs)
        if self.formulas is None or name not in self.functions:
            known = f": it has {', '.join(self.functions)}" if self.formulas else ""
            raise UnsupportedError(
                f"scipy.stats.{self.name}.{name} is not there for Tensors{known}. Write its "
                "formula in NumPy's functions, or compute it from t.data, outside the gradient"
            )
        x, shapes, loc, scale = self.bind(name, args, kwargs)
        compute = self.quantile if name in ("ppf", "isf") else self.value
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return compute(name, x, shapes, loc, scale)

    def bind(self, name: str, args: Any, kwargs: Any) -> tuple[Any, list[Any], Any, Any]:
        """The data, shapes, location and scale, as SciPy binds them."""
        names = ["x", *self.shapes, "loc", *([] if self.is_discrete else ["scale"])]
        kwargs = {"x" if key in ("k", "q") else key: value for key, value in kwargs.items()}
        given = {"loc": None, "scale": None, **kwargs, **dict(zip(names, args, strict=False))}
        missing = [key for key in names if key not in given]
        unknown = [key for key in kwargs if key not in names]
        if len(args) > len(names) or missing or unknown:
            raise ArgumentTypeError(
                f"scipy.stats.{self.name}.{name} takes {', '.join(names)}, and was given "
                f"{len(args)} arguments and {[*kwargs]}"
            )
        loc, scale = (None if given[key] is None else doubles(given[key]) for key in PLACE)
        x, *shapes = (doubles(given[key]) for key in names[: 1 + len(self.shapes)])
        return x, shapes, loc, scale

    def value(self, name: str, x: Any, shapes: list[Any], loc: Any, scale: Any) -> Any:
        """A density or a distribution function."""
        formulas = self.formulas
        assert formulas is not None
        z = x if loc is None else x - loc
        if self.is_discrete:
            z = z.detach() if isinstance(z, Tensor) else z  # it is a step function of x
            z = z if name in OF_DENSITIES else np.floor(z)
        elif scale is not None:
            z = z / scale
        at, inside, outside = self.split(name, formulas, value_of(z), shapes, scale)
        z = z if inside is None else np.where(inside, z, at)
        found = self.formula(name, formulas)(z, *shapes)
        if scale is not None and name in OF_DENSITIES:
            found = found - np.log(scale) if name in LOGARITHMS else found / scale
        return found if inside is None else np.where(inside, found, outside)

    def split(
        self, name: str, formulas: Formulas, z: Any, shapes: list[Any], scale: Any
    ) -> tuple[Any, Any, Any]:
        """Where z is inside of the support and the parameters are allowed; a point inside to take
        for the others; and the values there. None, if all are inside. There are no gradients."""
        shapes = [value_of(shape) for shape in shapes]
        low, high = formulas.support(*shapes)
        density = name in OF_DENSITIES
        closed = (density and not formulas.open_end) or self.is_discrete
        above = np.greater(z, high) if density else np.greater_equal(z, high)
        below = np.less(z, low) if closed else np.less_equal(z, low)
        valid = formulas.valid(*shapes)
        if scale is not None:
            valid = np.logical_and(valid, np.greater(value_of(scale), 0))
        inside = np.logical_and(valid, np.logical_not(above | below | np.isinf(z)))
        if self.is_discrete and density:
            inside = np.logical_and(inside, np.equal(z, np.floor(z)))
        if density and not self.is_discrete:
            inside = np.logical_and(inside, np.logical_not(self.vanishes(z, shapes, low, high)))
        if not is_traced(inside) and np.all(inside):
            return None, None, None
        under, over = BEYOND[name]
        outside = np.where(above, over, under)
        outside = np.where(np.logical_and(valid, np.equal(z, z)), outside, np.nan)
        return interior(low, high), inside, outside

    def vanishes(self, z: Any, shapes: list[Any], low: Any, high: Any) -> Any:
        """Where z is an end of the support at which the density is 0, as it is outside."""
        assert self.formulas is not None
        ends = np.logical_or(np.equal(z, low), np.equal(z, high))
        if not is_traced(ends) and not np.any(ends):
            return False
        return np.logical_and(ends, np.equal(self.formulas.log(z, *shapes), -np.inf))

    @staticmethod
    def formula(name: str, formulas: Formulas) -> Callable[..., Any]:
        """The function of the standard form."""
        log = formulas.log
        if name in ("logpdf", "logpmf"):
            return log
        if name in ("pdf", "pmf"):
            return lambda *inputs: np.exp(log(*inputs))
        own = getattr(formulas, name)
        if own is not None:
            return own
        one, other = formulas.cdf, formulas.sf
        return partial(log_of, one, other) if name == "logcdf" else partial(log_of, other, one)

    def quantile(self, name: str, q: Any, shapes: list[Any], loc: Any, scale: Any) -> Any:
        """The point at which the distribution function, or its complement, is q."""
        formulas = self.formulas
        assert formulas is not None
        inverse, other = getattr(formulas, name), formulas.ppf
        assert other is not None
        if inverse is None:
            inverse = lambda q, *shapes: other(1 - q, *shapes)  # noqa: E731
        inside = np.logical_and(np.greater(q, 0), np.less(q, 1))
        ends = formulas.support(*shapes)
        at_0, at_1 = ends if name == "ppf" else ends[::-1]
        z = inverse(np.where(inside, q, 0.5), *shapes)
        outside = np.where(np.equal(q, 0), at_0, np.where(np.equal(q, 1), at_1, np.nan))
        found = np.where(inside, z, outside)
        valid = formulas.valid(*map(value_of, shapes))
        if scale is not None:
            found, valid = found * scale, np.logical_and(valid, np.greater(value_of(scale), 0))
        return np.where(valid, found if loc is None else found + loc, np.nan)


class Frozen:
    """A distribution with its parameters."""

    def __init__(self, distribution: Any, args: Any, kwargs: Any) -> None:
        self.dist, self.args, self.kwds = distribution, args, kwargs

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        method = getattr(self.dist, name)
        return lambda *x: method(*x, *self.args, **self.kwds)


def distribution(name: str, formulas: Formulas | None) -> Distribution:
    original = getattr(st, name)
    kind = "pmf" if isinstance(original, st.rv_discrete) else "pdf"
    functions = [kind, f"log{kind}", "cdf", "logcdf", "sf", "logsf"]
    if formulas is not None and formulas.ppf is not None:
        functions += ["ppf", "isf"]
    return Distribution(original, formulas, tuple(functions))
