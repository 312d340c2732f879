"""Lion."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from minigrad.arguments import FRACTIONS, NOT_NEGATIVE, POSITIVE
from minigrad.optim.optimizer import Optimizer, State, by_entries, weak


@by_entries
def lion_rule(
    parameter: Any,
    gradient: Any,
    state: State,
    lr: Annotated[Any, POSITIVE] = 1e-4,
    betas: Annotated[tuple[float, float], FRACTIONS] = (0.9, 0.99),
    weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
) -> tuple[Any, State]:
    """One step of Lion (Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023).

    Algorithm 2: every entry moves by lr times the sign of a mix of the gradient and its moving
    average; weight decay is decoupled, as AdamW's.

    >>> state = {"exp_avg": np.zeros(2)}
    >>> lion_rule(np.array([1.0, 1.0]), np.array([5.0, -0.01]), state, lr=0.1)[0]
    array([0.9, 1.1])
    """
    beta1, beta2 = betas
    average, rate = state["exp_avg"], weak(lr, parameter)
    direction = np.sign(beta1 * average + (1 - beta1) * gradient)
    if weight_decay:
        direction = direction + weight_decay * parameter
    average = beta2 * average + (1 - beta2) * gradient
    return parameter - rate * direction, {"exp_avg": average}


class Lion(Optimizer):
    """Lion: sign-based steps of the same size for every entry; see `lion_rule`.

    A good lr is 3 to 10 times smaller than AdamW's, and weight_decay larger by the same factor.

    Args:
        parameters: Tensors that require a gradient, or groups of them; see `Optimizer`.
        lr: the learning rate, by default 0.0001.
        betas: the weight of the average in the step's direction, and the decay of the average, in
            [0, 1); by default 0.9 and 0.99.
        weight_decay: decoupled: each step subtracts lr * weight_decay * parameter.

    Raises:
        GradientError, TypeError: as `Optimizer` does.
        ValueError: if a setting is out of its range.

    >>> from minigrad import Tensor
    >>> x = Tensor(3.0, requires_grad=True)
    >>> optimizer = Lion([x], lr=0.02)
    >>> for _ in range(100):
    ...     optimizer.zero_grad()
    ...     (x * x).backward()
    ...     optimizer.step()
    >>> round(x.item(), 6)
    1.0
    """

    rule = staticmethod(lion_rule)
