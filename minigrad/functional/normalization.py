"""Normalization over batches, samples and groups of channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.autograd import no_grad
from minigrad.dispatch import is_traced
from minigrad.errors import ArgumentError, ShapeError, UnsupportedError
from minigrad.ops.base import Shape
from minigrad.ops.movement import as_real, as_shape
from minigrad.ops.reduce import mean_op
from minigrad.tensor import value_of
from minigrad.writes import log

Axes = tuple[int, ...]


def mean(x: Any, axes: Axes) -> Any:
    """The mean over axes, which are kept with size 1."""
    return mean_op(x, axis=axes, keepdims=True)


def scaled(x: Any, squares: Any, eps: float, weight: Any, bias: Any) -> Any:
    """x / sqrt(squares + eps) * weight + bias."""
    scale = 1 / np.sqrt(squares + eps)
    if weight is not None and weight.size == scale.size:
        # Saves a pass over x, forward and in reverse.
        scale, weight = scale * weight, None
    y = x * scale
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def of_shape(what: str, shape: Shape, **tensors: Any) -> list[Any]:
    """Tensors as arrays, and None as it is; raises unless they have this shape."""
    found = [None if x is None else as_real(x) for x in tensors.values()]
    for name, x in zip(tensors, found, strict=True):
        if x is not None and x.shape != shape:
            raise ShapeError(f"{what}: {name} has shape {x.shape}, and must have {shape}")
    return found


def by_channel(x: Any, axes: int) -> Any:
    """(C,) -> (C, 1, ...), to broadcast against (N, C, ...) with so many axes after C."""
    return x if x is None or not axes else x.reshape(-1, *(1,) * axes)


def batch_norm(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalize every channel over the batch (Ioffe and Szegedy, 2015, algorithms 1 and 2).

    In training, by the mean and variance of the batch, with which the running statistics are
    updated in place and unrecorded: running += momentum * (new - running), where the variance is
    the unbiased one. Otherwise by the running statistics.

    Args:
        x: (N, C, ...).
        running_mean: (C,), or None, in training only.
        running_var: the same.
        weight: (C,), multiplied with the result, or None.
        bias: (C,), added to that, or None.
        training: whether to use the batch's statistics.
        momentum: the weight of the batch in the running statistics.
        eps: added to the variance.

    Raises:
        ShapeError: if shapes do not match, or in training a channel has fewer than two values.
        ArgumentError: if not in training, without running statistics.

    >>> x = np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> batch_norm(x, None, None, training=True).round(3)
    array([[-1., -1.],
           [ 1.,  1.]])
    """
    x = as_real(x)
    what = f"batch_norm of x {x.shape}"
    if x.ndim < 2:
        raise ShapeError(f"{what}: its axes are (N, C, ...)")
    running_mean, running_var, weight, bias = of_shape(
        what,
        x.shape[1:2],
        running_mean=running_mean,
        running_var=running_var,
        weight=weight,
        bias=bias,
    )
    axes = x.ndim - 2
    if training:
        centred, variance = by_the_batch(what, x, running_mean, running_var, momentum)
    elif running_mean is None or running_var is None:
        raise ArgumentError(f"{what}: without running statistics, only training=True is possible")
    else:
        centred, variance = x - by_channel(running_mean, axes), by_channel(running_var, axes)
    return scaled(centred, variance, eps, by_channel(weight, axes), by_channel(bias, axes))


ONE_FOR_ALL = (
    "of which there is one for all, by those of each entry of a vmap: eval() first, or leave them "
    "out, BatchNorm1d(n, track_running_stats=False); or use GroupNorm; of many models, give each "
    "its own by functional_call, in copies"
)
# There an array is a value of the compiler's graph.
MADE_INSIDE = (
    "of a layer that a compiled function has made itself, anew in each call: make it before the "
    "first call"
)


def by_the_batch(
    what: str, x: Any, running_mean: Any, running_var: Any, momentum: float
) -> tuple[Any, Any]:
    """x minus its mean, and its variance, by channel; updates the running statistics."""
    count = x.size // max(x.shape[1], 1)
    if count < 2:
        raise ShapeError(
            f"{what} in training: {'one' if count else 'no'} value for each channel has no "
            "variance. Use larger batches (BatchLoader(drop_last=True) leaves out a last one that "
            "is smaller), or eval() first, which normalizes by the running statistics"
        )
    axes = (0, *range(2, x.ndim))
    centre = mean(x, axes)
    centred = x - centre
    variance = mean(np.square(centred), axes)
    with no_grad():
        moved = (running_mean, centre, 1.0), (running_var, variance, count / (count - 1))
        for running, new, factor in moved:
            if running is not None:
                held = value_of(running)  # the memory itself
                if is_traced(value_of(new)) and not is_traced(held):
                    raise UnsupportedError(
                        f"{what} in training would move the running statistics "
                        + (MADE_INSIDE if hasattr(value_of(new), "value") else ONE_FOR_ALL)
                    )
                held *= 1 - momentum
                held += momentum * factor * value_of(new).reshape(-1)
                log.note([held])
    return centred, variance


def last_axes(what: str, x: Any, normalized_shape: int | Shape) -> tuple[Axes, Shape]:
    """The last axes of x, counted from the end, if they have this shape; and the shape."""
    shape = normalized_shape if isinstance(normalized_shape, tuple) else as_shape(normalized_shape)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ShapeError(f"{what}: the last axes of x must be normalized_shape, {shape}")
    return tuple(range(-len(shape), 0)), shape


def layer_norm(
    x: Any,
    normalized_shape: int | Shape,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
) -> Any:
    """Normalize every sample by its own mean and variance (Ba et al., 2016, equation 3).

    Args:
        x: (..., *normalized_shape).
        normalized_shape: the shape of the last axes, over which to normalize.
        weight: normalized_shape, multiplied with the result, or None.
        bias: normalized_shape, added to that, or None.
        eps: added to the variance.

    Raises:
        ShapeError: if shapes do not match.

    >>> layer_norm(np.array([[1.0, 3.0], [10.0, 30.0]]), 2).round(3)
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    x = as_real(x)
    what = f"layer_norm of x {x.shape}"
    axes, shape = last_axes(what, x, normalized_shape)
    weight, bias = of_shape(what, shape, weight=weight, bias=bias)
    centred = x - mean(x, axes)
    return scaled(centred, mean(np.square(centred), axes), eps, weight, bias)


def rms_norm(
    x: Any, normalized_shape: int | Shape, weight: Any = None, eps: float | None = None
) -> Any:
    """Divide every sample by its root mean square (Zhang and Sennrich, 2019, equation 4).

    Args:
        x: (..., *normalized_shape).
        normalized_shape: the shape of the last axes, over which to normalize.
        weight: normalized_shape, multiplied with the result, or None.
        eps: added to the mean square; by default the machine epsilon of x's dtype.

    Raises:
        ShapeError: if shapes do not match.

    >>> rms_norm(np.array([[3.0, 4.0, 0.0, 0.0]]), 4)
    array([[1.2, 1.6, 0. , 0. ]])
    """
    x = as_real(x)
    what = f"rms_norm of x {x.shape}"
    axes, shape = last_axes(what, x, normalized_shape)
    (weight,) = of_shape(what, shape, weight=weight)
    if eps is None:
        eps = float(np.finfo(x.dtype if x.dtype.kind == "f" else float).eps)
    return scaled(x, mean(np.square(x), axes), eps, weight, None)


def group_norm(
    x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Normalize every sample by groups of channels (Wu and He, 2018, equation 7).

    Args:
        x: (N, C, ...).
        num_groups: the number of groups of consecutive channels.
        weight: (C,), multiplied with the result, or None.
        bias: (C,), added to that, or None.
        eps: added to the variance.

    Raises:
        ShapeError: if shapes do not match, or num_groups does not divide C.

    >>> group_norm(np.array([[1.0, 3.0, 10.0, 30.0]]), 2).round(3)
    array([[-1.,  1., -1.,  1.]])
    """
    x = as_real(x)
    what = f"group_norm of x {x.shape} with {num_groups} groups"
    if x.ndim < 2 or num_groups < 1 or x.shape[1] % num_groups:
        raise ShapeError(f"{what}: x is (N, C, ...), and groups of equal size make up C channels")
    weight, bias = of_shape(what, x.shape[1:2], weight=weight, bias=bias)
    channels = (num_groups, x.shape[1] // num_groups)
    # (N, groups, C/groups, ...)
    groups = x.reshape(x.shape[0], *channels, *x.shape[2:])
    axes = tuple(range(2, groups.ndim))
    weight, bias = (
        None if p is None else p.reshape(*channels, *(1,) * (x.ndim - 2)) for p in (weight, bias)
    )
    centred = groups - mean(groups, axes)
    return scaled(centred, mean(np.square(centred), axes), eps, weight, bias).reshape(x.shape)
