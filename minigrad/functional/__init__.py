"""What networks are written in: activations, convolution, norms, attention, losses.

Every function is composed of ops. It takes Tensors or arrays, and gives a Tensor if it was given
one, else an array.
"""

from minigrad.arguments import explained
from minigrad.functional.activation import (
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    logsigmoid,
    prelu,
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
from minigrad.names import of_package
from minigrad.ops import erf, logsumexp, relu, sigmoid

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

# Called in every step, they look at their arguments only after they failed.
globals().update({name: explained(globals()[name]) for name in __all__})

# Set in this way, type checkers go on refusing what is not there.
globals()["__getattr__"] = of_package(__name__)
