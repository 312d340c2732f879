"""Functions for networks: activations, convolution, normalization, attention, losses.

Every function is composed of ops. It takes Tensors or arrays, and returns a Tensor if any input is
one, else an array.
"""

from minigrad.arguments import explained
from minigrad.functional.activation import (
    elu,
    erf,
    gelu,
    leaky_relu,
    log_softmax,
    logsigmoid,
    logsumexp,
    prelu,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
)
from minigrad.functional.attention import scaled_dot_product_attention
from minigrad.functional.convolution import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    avg_pool1d,
    avg_pool2d,
    conv1d,
    conv2d,
    conv_transpose2d,
    max_pool1d,
    max_pool2d,
)
from minigrad.functional.dropout import dropout
from minigrad.functional.embedding import embedding
from minigrad.functional.linear import bilinear, linear
from minigrad.functional.loss import (
    binary_cross_entropy_with_logits,
    cosine_embedding_loss,
    cosine_similarity,
    cross_entropy,
    hinge_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from minigrad.functional.normalization import batch_norm, group_norm, layer_norm, rms_norm
from minigrad.functional.resampling import interpolate, pad, pixel_shuffle, pixel_unshuffle
from minigrad.names import of_package

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy_with_logits",
    "conv1d",
    "conv2d",
    "conv_transpose2d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "erf",
    "gelu",
    "group_norm",
    "hinge_loss",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "logsumexp",
    "max_pool1d",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "prelu",
    "relu",
    "rms_norm",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
]

# These run in every step: arguments are checked only after a call has failed.
globals().update({name: explained(globals()[name]) for name in __all__})

# A plain `def __getattr__` would make type checkers accept any name of the module.
globals()["__getattr__"] = of_package(__name__)
