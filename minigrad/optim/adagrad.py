"""Adagrad."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from minigrad.arguments import NOT_NEGATIVE, POSITIVE
from minigrad.optim.optimizer import Optimizer, State, by_entries, weak


@by_entries
def adagrad_rule(
    parameter: Any,
    gradient: Any,
    state: State,
    lr: Annotated[Any, POSITIVE] = 1e-2,
    lr_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
    weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
    initial_accumulator_value: Annotated[float, NOT_NEGATIVE] = 0.0,
    eps: Annotated[float, NOT_NEGATIVE] = 1e-10,
) -> tuple[Any, State]:
    """One step of Adagrad (Duchi et al., "Adaptive Subgradient Methods for Online Learning and
    Stochastic Optimization", 2011, with the diagonal matrices of its figure 1).

    The gradient is divided by the root of the sum of all its squares so far. The learning rate
    after t steps is lr / (1 + t * lr_decay).

    >>> adagrad_rule(np.array([1.0]), np.array([5.0]), {"sum": np.zeros(1)}, lr=0.1)[0]
    array([0.9])
    """
    if weight_decay:
        gradient = gradient + weight_decay * parameter
    total = state["sum"] + gradient * gradient
    new_state = {"sum": total}
    if lr_decay:
        lr = lr / (1 + state["step"] * lr_decay)
        new_state["step"] = state["step"] + 1
    # States start at 0, so PyTorch's initial value of the sum is added here.
    if initial_accumulator_value:
        total = total + initial_accumulator_value
    return parameter - weak(lr, parameter) * gradient / (np.sqrt(total) + eps), new_state


class Adagrad(Optimizer):
    """Adagrad: smaller steps where there were large gradients; see `adagrad_rule`.

    Args:
        parameters: Tensors that require a gradient, or groups of them; see `Optimizer`.
        lr: the learning rate, by default 0.01.
        lr_decay: the decay of the learning rate; see `adagrad_rule`.
        weight_decay: adds weight_decay * parameter to each gradient.
        initial_accumulator_value: the initial sum of squares.
        eps: keeps the step finite where gradients vanish, by default 1e-10.

    Raises:
        GradientError, TypeError: as `Optimizer` does.
        ValueError: if a setting is out of its range.

    >>> from minigrad import Tensor
    >>> x = Tensor(3.0, requires_grad=True)
    >>> optimizer = Adagrad([x], lr=1.0)
    >>> for _ in range(200):
    ...     optimizer.zero_grad()
    ...     (x * x).backward()
    ...     optimizer.step()
    >>> abs(x.item()) < 1e-3
    True
    """

    rule = staticmethod(adagrad_rule)
    squares = ("sum",)
