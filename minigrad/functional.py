"""What networks are written in: activations, convolution, pooling and losses, composed of ops.

Every function takes Tensors or arrays, and gives a Tensor if it was given one, else an array.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, DtypeError, ShapeError
from minigrad.ops import erf, logsumexp, relu, sigmoid
from minigrad.ops.movement import Pair, as_array, out_size, pad_op, windows_op
from minigrad.ops.processing import conv2d_op, linear_op
from minigrad.ops.reduce import mean_op

__all__ = [
    "avg_pool2d",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cross_entropy",
    "elu",
    "erf",
    "gelu",
    "hinge_loss",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsumexp",
    "max_pool2d",
    "mse_loss",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
]


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x @ weight.T + bias: (..., in) by (out, in) gives (..., out).

    >>> linear(np.array([1.0, 2.0]), np.array([[3.0, 4.0]]), np.array([0.5]))
    array([11.5])
    """
    x, weight = as_array(x), as_array(weight)
    if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"linear of x {x.shape} and weight {weight.shape}: x is (..., in) and weight (out, in)"
        )
    flat = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
    y = linear_op(flat, weight)
    y = y if x.ndim == 2 else y.reshape(*x.shape[:-1], -1)
    return y if bias is None else y + bias


def log_softmax(x: Any, axis: int = -1) -> Any:
    """log(softmax(x)), exact also where softmax rounds to 0.

    >>> log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    return x - logsumexp(x, axis, keepdims=True)


def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) / sum(exp(x)) along an axis: positive, with sum 1.

    >>> softmax(np.array([0.0, 1000.0]))
    array([0., 1.])
    """
    return np.exp(log_softmax(x, axis))


def gelu(x: Any, approximate: str = "none") -> Any:
    """x times the normal distribution function of x (Hendrycks and Gimpel, 2016, section 2).

    With approximate="tanh", the paper's approximation by tanh.

    >>> gelu(np.array([-10.0, 0.0, 10.0]))
    array([-0.,  0., 10.])
    """
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    if approximate != "none":
        raise ArgumentError(f'gelu: approximate is "none" or "tanh", not {approximate!r}')
    return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))


def silu(x: Any) -> Any:
    """x * sigmoid(x), also called swish.

    >>> silu(np.array([-1000.0, 0.0, 1000.0]))
    array([  -0.,    0., 1000.])
    """
    return x * sigmoid(x)


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), with nothing that overflows.

    >>> softplus(np.array([-1000.0, 1000.0]))
    array([   0., 1000.])
    """
    return np.logaddexp(x, 0)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """x, and for negative x, negative_slope * x.

    >>> leaky_relu(np.array([-2.0, 2.0]))
    array([-0.02,  2.  ])
    """
    return np.where(np.greater(x, 0), x, negative_slope * x)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x, and for negative x, alpha * (exp(x) - 1) (Clevert et al., 2015, equation 15).

    >>> elu(np.array([-1000.0, 2.0]))
    array([-1.,  2.])
    """
    positive = np.greater(x, 0)
    # The exponential sees no positive x, where its overflow would make the gradient 0 * inf.
    return np.where(positive, x, alpha * np.expm1(np.where(positive, 0, x)))


def pair(x: int | Pair, what: str) -> Pair:
    """A size for both image axes, or one for each."""
    if isinstance(x, int | np.integer):
        return int(x), int(x)
    values = tuple(x)
    if len(values) != 2:
        raise ShapeError(f"{what} is a number or a pair of them, not {x!r}")
    return values[0], values[1]


def padded(x: Any, padding: Any, kernel: Pair, stride: Pair, dilation: Pair, value: float) -> Any:
    """x with `padding` around its images: a number, a pair, or "same" for as many places as
    pixels."""
    if padding == "same":
        if stride != (1, 1):
            raise ShapeError(f'padding="same" is for stride 1, not {stride}')
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        around = tuple((t // 2, t - t // 2) for t in total)
    else:
        around = tuple((p, p) for p in pair(padding, "padding"))
    if around == ((0, 0), (0, 0)):
        return x
    return pad_op(x, width=((0, 0),) * (x.ndim - 2) + around, value=value)


def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Any:
    """Convolve images with weights (cross-correlate them, as neural networks do).

    Args:
        x: images, (N, C, H, W).
        weight: (O, C/groups, kh, kw).
        bias: (O,), or None.
        stride: how far the kernel moves; a number or a pair, as are padding and dilation.
        padding: zeros around each image, or "same" for an output of the input's size.
        dilation: how far apart the kernel's entries look.
        groups: the channels are split in so many groups, each with its own weights.

    Returns:
        (N, O, OH, OW), where OH = (H + 2*padding - dilation*(kh - 1) - 1) // stride + 1.

    Raises:
        ShapeError: if the shapes do not fit together, or the kernel is larger than the image.

    >>> image = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d(image, np.ones((1, 1, 2, 2)))
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    x, weight = as_array(x), as_array(weight)
    given = f"conv2d of x {x.shape} with weight {weight.shape}, groups={groups}"
    if x.ndim != 4 or weight.ndim != 4:
        raise ShapeError(f"{given}: both have four axes, (N, C, H, W) and (O, C/groups, kh, kw)")
    if x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise ShapeError(
            f"{given}: x has {x.shape[1]} channels where the weight expects "
            f"{weight.shape[1] * groups}, and the weight's {weight.shape[0]} outputs must "
            "be a multiple of groups"
        )
    kernel = weight.shape[2:]
    stride, dilation = pair(stride, "stride"), pair(dilation, "dilation")
    x = padded(x, padding, kernel, stride, dilation, 0)
    check_kernel_fits(given, x.shape[2:], kernel, stride, dilation)
    y = conv2d_op(x, weight, stride=stride, dilation=dilation, groups=groups)
    return y if bias is None else y + as_array(bias).reshape(-1, 1, 1)


def check_kernel_fits(what: str, size: Any, kernel: Any, stride: Pair, dilation: Pair) -> None:
    if min(*stride, *dilation, *kernel) < 1:
        raise ShapeError(f"{what}: kernel, stride and dilation are at least 1")
    if min(map(out_size, size, kernel, stride, dilation)) < 1:
        raise ShapeError(
            f"{what}: the kernel {tuple(kernel)} with dilation {dilation} does not fit into images "
            f"of {tuple(size)}, padding included: pad more, or use a smaller kernel"
        )


def max_pool2d(
    x: Any,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> Any:
    """The largest value under a moving window: (..., H, W) -> (..., OH, OW).

    `stride` is the kernel's size unless given. Equal largest values share the gradient equally.

    Raises:
        ShapeError: if the window is larger than the image.

    >>> max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """
    return np.max(pooled(x, kernel_size, stride, padding, dilation, -np.inf), axis=(0, 1))


def avg_pool2d(
    x: Any, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> Any:
    """The mean under a moving window, padding counted as zeros: (..., H, W) -> (..., OH, OW).

    `stride` is the kernel's size unless given.

    Raises:
        ShapeError: if the window is larger than the image.

    >>> avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """
    return np.mean(pooled(x, kernel_size, stride, padding, 1, 0), axis=(0, 1))


def pooled(x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, value: float) -> Any:
    """(..., H, W) -> (kh, kw, ..., OH, OW)."""
    x = as_array(x)
    if x.ndim < 2:
        raise ShapeError(f"pooling of shape {x.shape}: images have axes (..., H, W)")
    kernel = pair(kernel_size, "kernel_size")
    stride = kernel if stride is None else pair(stride, "stride")
    dilation = pair(dilation, "dilation")
    x = padded(x, padding, kernel, stride, dilation, value)
    check_kernel_fits(f"pooling of {x.shape}", x.shape[-2:], kernel, stride, dilation)
    return windows_op(x, kernel=kernel, stride=stride, dilation=dilation)


def reduced(losses: Any, reduction: str) -> Any:
    """One number of many losses: their mean, their sum; or all of them, for "none"."""
    if reduction == "mean":
        return mean_op(losses, axis=None, keepdims=False)
    if reduction == "sum":
        return np.sum(losses)
    if reduction == "none":
        return losses
    raise ArgumentError(f'reduction is "mean", "sum" or "none", not {reduction!r}')


def same_shape(name: str, x: Any, target: Any) -> None:
    """Predictions and targets that only broadcast are nearly always a mistake."""
    if as_array(x).shape != as_array(target).shape:
        raise ShapeError(
            f"{name} of predictions of shape {as_array(x).shape} and targets of shape "
            f"{as_array(target).shape}: they must be the same; reshape one, as with x[:, 0]"
        )


def cross_entropy(logits: Any, target: Any, reduction: str = "mean") -> Any:
    """-log softmax(logits) at the target classes.

    Args:
        logits: (N, C) or (N, C, ...): a score for each of C classes.
        target: class indices 0..C-1, integers of shape (N,) or (N, ...); or probabilities of the
            classes, floats of logits' shape.
        reduction: "mean" over all targets, "sum", or "none".

    Raises:
        ShapeError: if the shapes do not go together, or an index is not a class.
        DtypeError: if class indices are not integers.

    >>> round(float(cross_entropy(np.array([[0.0, 0.0]]), np.array([1]))), 4)
    0.6931
    """
    logits, target = as_array(logits), as_array(target)
    shape = logits.shape
    if len(shape) < 2:
        raise ShapeError(f"cross_entropy of logits of shape {shape}: they have axes (N, C, ...)")
    if target.shape == shape:
        return reduced(-np.sum(target * log_softmax(logits, 1), axis=1), reduction)
    if target.shape != (shape[0], *shape[2:]):
        raise ShapeError(
            f"cross_entropy of logits of shape {shape} and targets of shape {target.shape}: "
            f"class indices have shape {(shape[0], *shape[2:])}, probabilities {shape}"
        )
    if target.dtype.kind not in "iu":
        raise DtypeError(
            f"cross_entropy with targets of dtype {target.dtype}: class indices are integers, as "
            "in target.astype(int)"
        )
    low, high = (target.min().item(), target.max().item()) if target.size else (0, 0)
    if low < 0 or high >= shape[1]:
        raise ShapeError(
            f"cross_entropy with a target of {low}..{high}: there are {shape[1]} classes, "
            f"0..{shape[1] - 1}"
        )
    # (N, ...), which with indices for all other axes picks one score each
    places = np.ogrid[tuple(slice(n) for n in target.shape)]
    picked = log_softmax(logits, 1)[(places[0], target, *places[1:])]
    return reduced(-picked, reduction)


def mse_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """(x - target)**2.

    >>> float(mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    same_shape("mse_loss", x, target)
    return reduced(np.square(x - target), reduction)


def binary_cross_entropy_with_logits(logits: Any, target: Any, reduction: str = "mean") -> Any:
    """-(target*log(p) + (1 - target)*log(1 - p)) for p = sigmoid(logits), which is not rounded.

    Args:
        logits: a score for the class 1, of any shape.
        target: the class, 0 or 1, or the probability of 1; of the same shape.

    >>> binary_cross_entropy_with_logits(np.array([1000.0]), np.array([0.0])).item()
    1000.0
    """
    same_shape("binary_cross_entropy_with_logits", logits, target)
    return reduced(softplus(logits) - logits * target, reduction)


def hinge_loss(scores: Any, target: Any, reduction: str = "mean") -> Any:
    """max(0, 1 - target*scores), for targets -1 and 1.

    >>> float(hinge_loss(np.array([0.5, 3.0]), np.array([1.0, 1.0])))
    0.25
    """
    same_shape("hinge_loss", scores, target)
    return reduced(relu(1 - scores * target), reduction)
