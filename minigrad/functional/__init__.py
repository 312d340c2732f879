"""What networks are written in: activations, convolution, norms, attention, losses.

Every function is composed of ops. It takes Tensors or arrays, and gives a Tensor if it was given
one, else an array.
"""

from minigrad.functional.activation import (
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    silu,
    softmax,
    softplus,
)
from minigrad.functional.convolution import avg_pool2d, conv2d, max_pool2d
from minigrad.functional.linear import linear
from minigrad.functional.loss import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge_loss,
    mse_loss,
)
from minigrad.ops import erf, logsumexp, relu, sigmoid

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
