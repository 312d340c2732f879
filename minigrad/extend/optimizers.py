"""The optimisers of autograd.misc.optimizers: functions that minimise by a gradient function.

`minigrad.optim` has more, with settings and states that can be saved, for loops of one's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.extend.containers import flatten

Gradient = Callable[[Any, int], Any]
Step = Callable[[Any, int], Any]
Callback = Callable[[Any, int, Any], object]


def descend(step: Step, grad: Gradient, x0: Any, callback: Callback | None, num_iters: int) -> Any:
    """x0 after so many iterations, of which each adds `step(gradient, iteration)`."""
    x, unflatten = flatten(x0)
    for i in range(num_iters):
        g = flatten(grad(unflatten(x), i))[0]
        if callback:
            callback(unflatten(x), i, unflatten(g))
        x = x + step(g, i)
    return unflatten(x)


def sgd(
    grad: Gradient,
    x0: Any,
    callback: Callback | None = None,
    num_iters: int = 200,
    step_size: float = 0.1,
    mass: float = 0.9,
) -> Any:
    """Gradient descent with momentum, of nested containers of arrays. `grad(x, i)` is the gradient
    in iteration i.

    >>> x = sgd(lambda x, i: 2 * (x - 3), np.zeros(2))
    >>> bool(np.allclose(x, 3, atol=1e-3))
    True
    """
    velocity: Any = 0.0

    def step(g: Any, i: int) -> Any:
        nonlocal velocity
        velocity = mass * velocity - (1 - mass) * g
        return step_size * velocity

    return descend(step, grad, x0, callback, num_iters)


def rmsprop(
    grad: Gradient,
    x0: Any,
    callback: Callback | None = None,
    num_iters: int = 100,
    step_size: float = 0.1,
    gamma: float = 0.9,
    eps: float = 1e-8,
) -> Any:
    """RMSProp (T. Tieleman, G. Hinton, 2012), as `sgd`.

    >>> x = rmsprop(lambda x, i: 2 * (x - 3), np.zeros(2))
    >>> bool(np.allclose(x, 3, atol=0.1))
    True
    """
    square: Any = 1.0

    def step(g: Any, i: int) -> Any:
        nonlocal square
        square = gamma * square + (1 - gamma) * g**2
        return -step_size * g / (np.sqrt(square) + eps)

    return descend(step, grad, x0, callback, num_iters)


def adam(
    grad: Gradient,
    x0: Any,
    callback: Callback | None = None,
    num_iters: int = 100,
    step_size: float = 0.001,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
) -> Any:
    """Adam (D. Kingma, J. Ba, 2014, arXiv:1412.6980), as `sgd`.

    >>> x = adam(lambda x, i: {"a": x["a"] - 3}, {"a": np.zeros(2)}, num_iters=300, step_size=0.1)
    >>> bool(np.allclose(x["a"], 3, atol=0.01))
    True
    """
    mean: Any = 0.0
    square: Any = 0.0

    def step(g: Any, i: int) -> Any:
        nonlocal mean, square
        mean = b1 * mean + (1 - b1) * g
        square = b2 * square + (1 - b2) * g**2
        rate = np.sqrt(square / (1 - b2 ** (i + 1))) + eps
        return -step_size * mean / (1 - b1 ** (i + 1)) / rate

    return descend(step, grad, x0, callback, num_iters)
