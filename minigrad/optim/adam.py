"""Adam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.optim.optimizer import Optimizer, State, check_range
from minigrad.tensor import Tensor


def adam_rule(
    parameter: Any,
    gradient: Any,
    state: State,
    lr: Any,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> tuple[Any, State]:
    """One step of Adam (Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015).

    Algorithm 1, in the order that the end of section 2 gives, where the corrections of the bias
    are made on two numbers and not on arrays. Weight decay adds weight_decay * parameter to the
    gradient. The state is the paper's t, m and v under PyTorch's names.

    >>> zero = np.zeros(1)
    >>> state = {"step": np.array(0), "exp_avg": zero, "exp_avg_sq": zero}
    >>> adam_rule(np.array([1.0]), np.array([5.0]), state, lr=0.1)[0]
    array([0.9])
    """
    beta1, beta2 = betas
    if weight_decay:
        gradient = gradient + weight_decay * parameter
    step = state["step"] + 1
    m = beta1 * state["exp_avg"] + (1 - beta1) * gradient
    v = beta2 * state["exp_avg_sq"] + (1 - beta2) * (gradient * gradient)
    # In float64, where 1 - beta2**step keeps its digits; then as numbers that do not promote.
    correction = np.sqrt(1 - beta2**step)
    rate = (lr * correction / (1 - beta1**step)).astype(parameter.dtype)
    floor = (eps * correction).astype(parameter.dtype)
    parameter = parameter - rate * m / (np.sqrt(v) + floor)
    return parameter, {"step": step, "exp_avg": m, "exp_avg_sq": v}


class Adam(Optimizer):
    """Adam: steps of about lr for every parameter, however large its gradients; see `adam_rule`.

    Args:
        parameters: Tensors that require a gradient.
        lr: the learning rate.
        betas: how slowly the averages of the gradient and of its square move, 0 to below 1.
        eps: keeps the step finite where gradients vanish.
        weight_decay: adds weight_decay * parameter to each gradient.

    Raises:
        GradientError, TypeError: as `Optimizer` does.
        ValueError: if a hyper-parameter is out of its range.

    >>> x = Tensor(3.0, requires_grad=True)
    >>> optimizer = Adam([x], lr=0.1)
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
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        for beta in betas:
            check_range("Adam", "betas", betas, 0 <= beta < 1, "at least 0 and below 1")
        check_range("Adam", "eps", eps, eps >= 0, "at least 0")
        check_range("Adam", "weight_decay", weight_decay, weight_decay >= 0, "at least 0")
        self.betas = betas
        self.eps = eps
        self.weight_decay = weight_decay
        super().__init__(parameters, lr)

    def initial_state(self, parameter: Tensor) -> State:
        return {
            "step": np.zeros((), np.int64),
            "exp_avg": np.zeros_like(parameter.data),
            "exp_avg_sq": np.zeros_like(parameter.data),
        }

    def update(self, parameter: Any, gradient: Any, state: State) -> tuple[Any, State]:
        return adam_rule(
            parameter, gradient, state, self.lr, self.betas, self.eps, self.weight_decay
        )
