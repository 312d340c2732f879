"""RMSprop."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from minigrad.arguments import FRACTION, NOT_NEGATIVE, POSITIVE
from minigrad.optim.optimizer import Optimizer, State, by_entries, weak


@by_entries
def rmsprop_rule(
    parameter: Any,
    gradient: Any,
    state: State,
    lr: Annotated[Any, POSITIVE] = 1e-2,
    alpha: Annotated[float, FRACTION] = 0.99,
    eps: Annotated[float, NOT_NEGATIVE] = 1e-8,
    weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
    momentum: Annotated[float, FRACTION] = 0.0,
    centered: bool = False,
) -> tuple[Any, State]:
    """One step of RMSprop (Hinton, "Neural Networks for Machine Learning", lecture 6e, 2012).

    The gradient is divided by the root of the moving average of its square, v. Centred (Graves,
    "Generating Sequences With Recurrent Neural Networks", 2013, section 4.2), the square of the
    moving average of the gradient is subtracted from v, which gives the gradient's variance.

    >>> state = {"square_avg": np.zeros(1)}
    >>> rmsprop_rule(np.array([1.0]), np.array([5.0]), state, lr=0.1, alpha=0.0)[0]
    array([0.9])
    """
    if weight_decay:
        gradient = gradient + weight_decay * parameter
    square = alpha * state["square_avg"] + (1 - alpha) * (gradient * gradient)
    new_state = {"square_avg": square}
    if centered:
        mean = alpha * state["grad_avg"] + (1 - alpha) * gradient
        new_state["grad_avg"] = mean
        # Rounding can make a variance of 0 negative.
        square = np.maximum(square - mean * mean, 0)
    direction = gradient / (np.sqrt(square) + eps)
    if momentum:
        direction = momentum * state["momentum_buffer"] + direction
        new_state["momentum_buffer"] = direction
    return parameter - weak(lr, parameter) * direction, new_state


class RMSprop(Optimizer):
    """RMSprop: gradients divided by their moving root mean square; see `rmsprop_rule`.

    Args:
        parameters: Tensors that require a gradient, or groups of them; see `Optimizer`.
        lr: the learning rate, by default 0.01.
        alpha: the decay of the averages, in [0, 1); by default 0.99.
        eps: keeps the step finite where gradients vanish, by default 1e-8.
        weight_decay: adds weight_decay * parameter to each gradient.
        momentum: the part of the last step that each step keeps, in [0, 1).
        centered: divide by the standard deviation of the gradient, not by its root mean square.

    Raises:
        GradientError, TypeError: as `Optimizer` does.
        ValueError: if a setting is out of its range.

    >>> from minigrad import Tensor
    >>> x = Tensor(3.0, requires_grad=True)
    >>> optimizer = RMSprop([x], lr=0.02)
    >>> for _ in range(200):
    ...     optimizer.zero_grad()
    ...     (x * x).backward()
    ...     optimizer.step()
    >>> abs(x.item()) < 0.1
    True
    """

    rule = staticmethod(rmsprop_rule)
    squares = ("square_avg",)
