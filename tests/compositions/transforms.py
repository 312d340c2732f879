"""Every transform as a map from a function of a nest to a function of a nest, in any library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.transforms.trees import leaves_of, map_tree

Function = Callable[[Any], Any]


def numbers_like(leaf: Any) -> np.ndarray:
    """Weights, cotangents and tangents: different ones in each place."""
    return np.cos(1.0 + np.arange(np.size(leaf))).reshape(np.shape(leaf))[()]


def total(y: Any) -> Any:
    """All that a nest holds, weighted and added up to one value."""
    return sum([np.sum(leaf * numbers_like(leaf)) for _, leaf in leaves_of(y)], start=0.0)


def single(f: Function) -> Function:
    return lambda x: total(f(x))


def with_aux(f: Function) -> Function:
    def value_and_aux(x: Any) -> Any:
        y = f(x)
        return total(y), y

    return value_and_aux


def vjp(m: Any, f: Function) -> Function:
    def transformed(x: Any) -> Any:
        y, pull_back = m.vjp(f, x)
        cotangent = map_tree(numbers_like, y)
        return y, pull_back(cotangent), pull_back(cotangent)  # it can be called again

    return transformed


def vjp_with_aux(m: Any, f: Function) -> Function:
    def transformed(x: Any) -> Any:
        y, pull_back, aux = m.vjp(with_aux(f), x, has_aux=True)
        return y, pull_back(2.0), aux

    return transformed


def vmap(m: Any, f: Function) -> Function:
    """Of a batch of two: x, and half of it."""
    return lambda x: m.vmap(f)(map_tree(lambda leaf: np.stack([leaf, 0.5 * leaf]), x))


def linearize(m: Any, f: Function) -> Function:
    def transformed(x: Any) -> Any:
        y, push = m.linearize(f, x)
        direction = map_tree(numbers_like, x)
        return y, push(direction), push(direction)  # it can be called again

    return transformed


TRANSFORMS: dict[str, Callable[[Any, Function], Function]] = {
    "grad": lambda m, f: m.grad(single(f)),
    "grad with aux": lambda m, f: m.grad(with_aux(f), has_aux=True),
    "value_and_grad": lambda m, f: m.value_and_grad(single(f)),
    "value_and_grad with aux": lambda m, f: m.value_and_grad(with_aux(f), has_aux=True),
    "vjp": vjp,
    "vjp with aux": vjp_with_aux,
    "jvp": lambda m, f: lambda x: m.jvp(f, (x,), (map_tree(numbers_like, x),)),
    "jvp with aux": lambda m, f: (
        lambda x: m.jvp(with_aux(f), (x,), (map_tree(numbers_like, x),), has_aux=True)
    ),
    "jacobian": lambda m, f: m.jacobian(f),
    "jacobian with aux": lambda m, f: m.jacobian(with_aux(f), has_aux=True),
    "hessian": lambda m, f: m.hessian(single(f)),
    "hvp": lambda m, f: lambda x: m.hvp(single(f))(x, map_tree(numbers_like, x)),
    "jacfwd": lambda m, f: m.jacfwd(f),
    "jacrev": lambda m, f: m.jacrev(f),
    "linearize": linearize,
    "vmap": vmap,
    "checkpoint": lambda m, f: m.checkpoint(f),
}
