"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.optim.optimizer import Optimizer, State, check_range
from minigrad.tensor import Tensor


def sgd_rule(
    parameter: Any,
    gradient: Any,
    state: State,
    lr: Any,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> tuple[Any, State]:
    """One step against the gradient, or with momentum, against its decaying sum.

    With v the sum, v <- momentum*v + g and p <- p - lr*v; by Nesterov, p <- p - lr*(g + momentum*v)
    (Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013,
    equations 1 to 4, with lr taken out of v as in PyTorch). Weight decay adds weight_decay * p to
    the gradient.

    >>> sgd_rule(np.array([1.0]), np.array([2.0]), {}, lr=0.1)
    (array([0.8]), {})
    """
    if weight_decay:
        gradient = gradient + weight_decay * parameter
    if momentum:
        velocity = momentum * state["momentum_buffer"] + gradient
        state = {"momentum_buffer": velocity}
        gradient = gradient + momentum * velocity if nesterov else velocity
    return parameter - lr * gradient, state


class SGD(Optimizer):
    """Stochastic gradient descent; see `sgd_rule`.

    Args:
        parameters: Tensors that require a gradient.
        lr: the learning rate.
        momentum: how much of the last step each step keeps, 0 to below 1.
        weight_decay: adds weight_decay * parameter to each gradient.
        nesterov: look ahead along the momentum.

    Raises:
        GradientError, TypeError: as `Optimizer` does.
        ValueError: if a hyper-parameter is out of its range, or nesterov has no momentum.

    >>> x = Tensor(3.0, requires_grad=True)
    >>> optimizer = SGD([x], lr=0.1, momentum=0.9)
    >>> for _ in range(200):
    ...     optimizer.zero_grad()
    ...     (x * x).backward()
    ...     optimizer.step()
    >>> abs(x.item()) < 1e-3
    True
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        check_range("SGD", "momentum", momentum, 0 <= momentum < 1, "at least 0 and below 1")
        check_range("SGD", "weight_decay", weight_decay, weight_decay >= 0, "at least 0")
        check_range("SGD", "momentum", momentum, momentum > 0 or not nesterov, "set for nesterov")
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.nesterov = nesterov
        super().__init__(parameters, lr)

    def initial_state(self, parameter: Tensor) -> State:
        return {"momentum_buffer": np.zeros_like(parameter.data)} if self.momentum else {}

    def update(self, parameter: Any, gradient: Any, state: State) -> tuple[Any, State]:
        return sgd_rule(
            parameter,
            gradient,
            state,
            self.lr,
            self.momentum,
            self.weight_decay,
            self.nesterov,
        )
