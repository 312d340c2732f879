"""Distributions of vectors, as scipy.stats has them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minigrad.errors import ShapeError, UnsupportedError
from minigrad.scipy.on_tensors import as_array, is_recorded
from minigrad.scipy.special.ufuncs import sc
from minigrad.scipy.stats.distributions import Frozen, doubles

Method = Callable[..., Any]


class Multivariate:
    """A distribution of vectors that also works on Tensors; on arrays, it is SciPy's."""

    def __init__(self, original: Any, name: str, methods: dict[str, Method]) -> None:
        self.original, self.name, self.methods = original, name, methods
        self.__doc__ = original.__doc__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self.original, name)
        return partial(self.apply, name, found) if callable(found) else found

    def apply(self, name: str, of_arrays: Method, *args: Any, **kwargs: Any) -> Any:
        if not is_recorded(args, kwargs):
            return of_arrays(*args, **kwargs)
        if name not in self.methods:
            raise UnsupportedError(
                f"scipy.stats.{self.name}.{name} is not there for Tensors: it has "
                f"{', '.join(self.methods)}. Write its formula in NumPy's functions, or compute it "
                "from t.data, outside the gradient"
            )
        return self.methods[name](*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The distribution with these parameters, frozen."""
        if not is_recorded(args, kwargs):
            return self.original(*args, **kwargs)
        return Frozen(self, args, kwargs)

    def __repr__(self) -> str:
        return f"<minigrad.scipy.stats.{self.name}>"


def vector(x: Any) -> Any:
    """x as an array of float64."""
    return doubles(as_array(x))


def exponential(log: Method) -> Method:
    return lambda *args, **kwargs: np.exp(log(*args, **kwargs))


def normal_logpdf(x: Any, mean: Any = None, cov: Any = 1.0, allow_singular: bool = False) -> Any:
    """Of points along the last axis of x: by the Cholesky factor of the covariance."""
    if allow_singular:
        raise UnsupportedError("multivariate_normal of Tensors has a density: allow_singular=False")
    x, cov = vector(x), vector(cov)
    mean = vector(0.0 if mean is None else mean)
    size = max(mean.size, cov.shape[-1] if cov.ndim else 1)
    if cov.ndim < 2:  # a variance for all, or one for each
        cov = np.eye(size) * cov
    if cov.shape != (size, size) or mean.shape not in ((), (size,)):
        raise ShapeError(
            f"multivariate_normal has a mean of shape (n,) and a covariance of shape (n, n), not "
            f"{mean.shape} and {cov.shape}"
        )
    if size == 1 and x.ndim < 2:  # points of one number each
        x = np.reshape(x, (*x.shape, 1))
    if x.shape[-1:] != (size,):
        raise ShapeError(
            f"multivariate_normal of {size} dimensions has them along the last axis of x, of shape "
            f"{x.shape}"
        )
    factor = np.linalg.cholesky(cov)
    points = np.reshape(x - mean, (-1, size))
    scaled = np.linalg.solve(factor, points.T)
    log_size = np.sum(np.log(np.diagonal(factor)))
    found = -0.5 * np.sum(scaled * scaled, axis=0) - log_size - size / 2 * math.log(2 * math.pi)
    return np.reshape(found, x.shape[:-1])


def dirichlet_logpdf(x: Any, alpha: Any) -> Any:
    """x has the proportions along the first axis; the last one may be left out."""
    x, alpha = vector(x), vector(alpha)
    if alpha.ndim != 1 or not x.ndim or x.shape[0] not in (alpha.size, alpha.size - 1):
        raise ShapeError(
            f"dirichlet has alpha of shape (n,) and x of shape (n, ...) or (n - 1, ...), not "
            f"{alpha.shape} and {x.shape}"
        )
    if x.shape[0] == alpha.size - 1:
        x = np.concatenate([x, 1 - np.sum(x, axis=0, keepdims=True)], 0)
    norm = sc.gammaln(np.sum(alpha)) - np.sum(sc.gammaln(alpha))
    powers = np.reshape(alpha - 1, (-1, *[1] * (x.ndim - 1)))
    return norm + np.sum(sc.xlogy(powers, x), axis=0)


def multinomial_logpmf(x: Any, n: Any, p: Any) -> Any:
    """x has the counts along the last axis; -inf where they do not sum to n."""
    x, n, p = vector(x), vector(n), vector(p)
    found = sc.gammaln(n + 1) + np.sum(sc.xlogy(x, p) - sc.gammaln(x + 1), axis=-1)
    return np.where(np.equal(np.sum(x, axis=-1), n), found, -np.inf)


METHODS: dict[str, dict[str, Method]] = {
    "multivariate_normal": {"logpdf": normal_logpdf, "pdf": exponential(normal_logpdf)},
    "dirichlet": {"logpdf": dirichlet_logpdf, "pdf": exponential(dirichlet_logpdf)},
    "multinomial": {"logpmf": multinomial_logpmf, "pmf": exponential(multinomial_logpmf)},
}
