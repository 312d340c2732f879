"""Gradient clipping, between backward() and the optimiser's step."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from minigrad.arguments import NOT_NEGATIVE, check_range, explained
from minigrad.dispatch import check_real, is_traced
from minigrad.ops.movement import as_array
from minigrad.optim.optimizer import listed
from minigrad.tensor import Tensor, value_of


@explained
def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients down, if their global norm (as one vector) is above max_norm.

    (Pascanu et al., "On the difficulty of training recurrent neural networks", 2013, algorithm 1,
    with PyTorch's 1e-6 added to the norm that is divided by.) Each `.grad` is replaced by a new
    array. If the norm is not finite, gradients are scaled nevertheless, as in PyTorch: an infinite
    norm turns finite entries into 0 and infinite ones into NaN; a NaN turns all into NaN. Check the
    returned norm before the step.

    Args:
        parameters: Tensors. Those without a gradient are skipped.
        max_norm: the largest norm, at least 0.

    Returns:
        The norm before clipping, computed in float64; 0 if there are no gradients.

    Raises:
        ValueError: if max_norm is negative.

    >>> x = Tensor([3.0, 4.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> float(clip_grad_norm_([x], max_norm=1.0))
    10.0
    >>> x.grad.round(4)
    array([0.6, 0.8])
    """
    check_range("clip_grad_norm_", "max_norm", max_norm, NOT_NEGATIVE)
    with_gradient = [parameter for parameter in listed(parameters) if parameter.grad is not None]
    gradients = [value_of(parameter.grad) for parameter in with_gradient]
    # In float64, where the square of no float32 overflows.
    sizes = (np.abs(x) if x.dtype.kind == "c" else x for x in gradients)
    wide = (size.astype(np.float64) for size in sizes)
    norm = np.sqrt(sum((np.vdot(x, x) for x in wide), start=np.float64(0)))
    scale = float(max_norm) / (norm + 1e-6)
    if is_traced(scale) or not scale >= 1:  # also if it is NaN
        scale = np.where(scale >= 1, 1.0, scale)
        for parameter, gradient in zip(with_gradient, gradients, strict=True):
            parameter.grad = as_array(gradient * scale.astype(gradient.real.dtype))
    return norm


@explained
def clip_grad_value_(parameters: Iterable[Tensor], clip_value: float) -> None:
    """Clip every entry of every gradient to [-clip_value, clip_value].

    Each `.grad` is replaced by a new array. NaN stays NaN.

    Args:
        parameters: Tensors. Those without a gradient are skipped.
        clip_value: the largest absolute value, at least 0.

    Raises:
        ValueError: if clip_value is negative.

    >>> x = Tensor([3.0, -0.1], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> clip_grad_value_([x], clip_value=1.0)
    >>> x.grad
    array([ 1. , -0.2])
    """
    check_range("clip_grad_value_", "clip_value", clip_value, NOT_NEGATIVE)
    largest = float(clip_value)
    for parameter in listed(parameters):
        if parameter.grad is not None:
            check_real(value_of(parameter.grad), float)
            parameter.grad = as_array(np.clip(value_of(parameter.grad), -largest, largest))
