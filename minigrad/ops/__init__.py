"""The ops, in five families. `registry` has every one by name."""

from minigrad.ops import binary, movement, processing, reduce, unary
from minigrad.ops.base import Op, registry
from minigrad.ops.processing import avg_pool2d, conv2d, max_pool2d
from minigrad.ops.reduce import logsumexp
from minigrad.ops.unary import erf, relu, sigmoid

__all__ = [
    "Op",
    "avg_pool2d",
    "binary",
    "conv2d",
    "erf",
    "logsumexp",
    "max_pool2d",
    "movement",
    "processing",
    "reduce",
    "registry",
    "relu",
    "sigmoid",
    "unary",
]
