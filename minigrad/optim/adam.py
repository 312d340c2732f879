"""Adam, and AdamW."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from minigrad.arguments import FRACTIONS, NOT_NEGATIVE, POSITIVE
from minigrad.optim.optimizer import Optimizer, State, by_entries, weak


@by_entries
def adam_rule(
    parameter: Any,
    gradient: Any,
    state: State,
    lr: Annotated[Any, POSITIVE] = 1e-3,
    betas: Annotated[tuple[float, float], FRACTIONS] = (0.9, 0.999),
    eps: Annotated[float, NOT_NEGATIVE] = 1e-8,
    weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
) -> tuple[Any, State]:
    """One step of Adam (Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015).

    Algorithm 1, in the order given at the end of section 2, which applies the bias corrections to
    two scalars instead of arrays. Weight decay adds weight_decay * parameter to the
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
    # In float64, for the digits of 1 - beta2**step; then as Python numbers, which do not promote.
    correction = np.sqrt(1 - beta2**step)
    rate = weak(lr * correction / (1 - beta1**step), parameter)
    floor = weak(eps * correction, parameter)
    parameter = parameter - rate * m / (np.sqrt(v) + floor)
    return parameter, {"step": step, "exp_avg": m, "exp_avg_sq": v}


@by_entries
def adamw_rule(
    parameter: Any,
    gradient: Any,
    state: State,
    lr: Annotated[Any, POSITIVE] = 1e-3,
    betas: Annotated[tuple[float, float], FRACTIONS] = (0.9, 0.999),
    eps: Annotated[float, NOT_NEGATIVE] = 1e-8,
    weight_decay: Annotated[float, NOT_NEGATIVE] = 0.01,
) -> tuple[Any, State]:
    """One step of AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019).

    Algorithm 2, with lr for the product of its two rates: lr * weight_decay *
    parameter is subtracted, and does not enter the averages of the gradient.

    >>> zero = np.zeros(1)
    >>> state = {"step": np.array(0), "exp_avg": zero, "exp_avg_sq": zero}
    >>> adamw_rule(np.array([1.0]), np.array([5.0]), state, lr=0.1, weight_decay=0.5)[0]
    array([0.85])
    """
    if weight_decay:
        parameter = weak(1 - lr * weight_decay, parameter) * parameter
    return adam_rule(parameter, gradient, state, lr, betas, eps)


class Adam(Optimizer):
    """Adam: steps of about lr for every parameter, however large its gradients; see `adam_rule`.

    Args:
        parameters: Tensors that require a gradient, or groups of them; see `Optimizer`.
        lr: the learning rate, by default 0.001.
        betas: the decay of the averages of the gradient and of its square, in [0, 1); by default
            0.9 and 0.999.
        eps: keeps the step finite where gradients vanish, by default 1e-8.
        weight_decay: adds weight_decay * parameter to each gradient.

    Raises:
        GradientError, TypeError: as `Optimizer` does.
        ValueError: if a setting is out of its range.

    >>> from minigrad import Tensor
    >>> x = Tensor(3.0, requires_grad=True)
    >>> optimizer = Adam([x], lr=0.1)
    >>> for _ in range(200):
    ...     optimizer.zero_grad()
    ...     (x * x).backward()
    ...     optimizer.step()
    >>> abs(x.item()) < 1e-3
    True
    """

    rule = staticmethod(adam_rule)
    squares = ("exp_avg_sq",)


class AdamW(Optimizer):
    """Adam with decoupled weight decay; see `adamw_rule`.

    Args:
        parameters: Tensors that require a gradient, or groups of them; see `Optimizer`.
        lr, betas, eps: as Adam's.
        weight_decay: decoupled: each step subtracts lr * weight_decay * parameter; by default 0.01.

    Raises:
        GradientError, TypeError: as `Optimizer` does.
        ValueError: if a setting is out of its range.

    >>> from minigrad import Tensor
    >>> weight, bias = Tensor(np.ones((2, 2)), True), Tensor(np.zeros(2), True)
    >>> optimizer = AdamW([{"params": [weight]}, {"params": [bias], "weight_decay": 0.0}], lr=1e-3)
    >>> [group["weight_decay"] for group in optimizer.param_groups]
    [0.01, 0.0]
    """

    rule = staticmethod(adamw_rule)
    squares = ("exp_avg_sq",)
