"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from minigrad.arguments import FRACTION, NOT_NEGATIVE, PART, POSITIVE
from minigrad.errors import ArgumentError
from minigrad.optim.optimizer import Optimizer, State, by_entries, weak


@by_entries
def sgd_rule(
    parameter: Any,
    gradient: Any,
    state: State,
    lr: Annotated[Any, POSITIVE] = 1e-3,
    momentum: Annotated[float, FRACTION] = 0.0,
    dampening: Annotated[float, PART] = 0.0,
    weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
    nesterov: bool = False,
) -> tuple[Any, State]:
    """One step of gradient descent, with or without momentum.

    With momentum, v <- momentum*v + g and p <- p - lr*v; by Nesterov, p <- p - lr*(g + momentum*v)
    (Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013,
    equations 1 to 4, with lr taken out of v as in PyTorch). With dampening, g enters v as
    (1 - dampening)*g, except the first gradient. Weight decay adds weight_decay * p to g.

    >>> sgd_rule(np.array([1.0]), np.array([2.0]), {}, lr=0.1)
    (array([0.8]), {})
    """
    if nesterov and (dampening or not momentum):
        raise ArgumentError("SGD: momentum must be set for nesterov, and dampening must not")
    if weight_decay:
        gradient = gradient + weight_decay * parameter
    new_state = {}
    if momentum:
        taken = gradient
        if dampening:
            taken = np.where(state["step"] > 0, (1 - dampening) * gradient, gradient)
            new_state["step"] = state["step"] + 1
        velocity = momentum * state["momentum_buffer"] + taken
        new_state["momentum_buffer"] = velocity
        gradient = gradient + momentum * velocity if nesterov else velocity
    return parameter - weak(lr, parameter) * gradient, new_state


class SGD(Optimizer):
    """Stochastic gradient descent; see `sgd_rule`.

    Args:
        parameters: Tensors that require a gradient, or groups of them; see `Optimizer`.
        lr: the learning rate, by default 0.001.
        momentum: the part of the last step that each step keeps, in [0, 1).
        dampening: the part of each gradient, except the first, that does not enter the momentum.
        weight_decay: adds weight_decay * parameter to each gradient.
        nesterov: use Nesterov momentum.

    Raises:
        GradientError, TypeError: as `Optimizer` does.
        ValueError: if a setting is out of its range, or nesterov is set without momentum, or with
            dampening.

    >>> from minigrad import Tensor
    >>> x = Tensor(3.0, requires_grad=True)
    >>> optimizer = SGD([x], lr=0.1, momentum=0.9)
    >>> for _ in range(200):
    ...     optimizer.zero_grad()
    ...     (x * x).backward()
    ...     optimizer.step()
    >>> abs(x.item()) < 1e-3
    True
    """

    rule = staticmethod(sgd_rule)
