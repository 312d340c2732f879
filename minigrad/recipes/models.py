"""Networks to start from: for images, for MNIST-1D's signals, and for text."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from minigrad import functional as F
from minigrad.errors import ShapeError
from minigrad.nn import (
    GRU,
    LSTM,
    BatchNorm2d,
    Conv1d,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    Linear,
    MaxPool2d,
    Module,
    ModuleList,
    ReLU,
    Sequential,
    init,
)
from minigrad.tensor import Tensor

Rng = np.random.Generator | None


def logistic(shape: tuple[int, ...], classes: int, rng: Rng = None) -> Sequential:
    """Logistic regression: (N, *shape) -> (N, classes).

    >>> logistic((1, 8, 8), 10)(np.zeros((5, 1, 8, 8), np.float32)).shape
    (5, 10)
    """
    return Sequential(Flatten(), Linear(math.prod(shape), classes, rng=rng))


def mlp(
    shape: tuple[int, ...], classes: int, rng: Rng = None, hidden: tuple[int, ...] = (256, 128)
) -> Sequential:
    """Linear layers with ReLU between them: (N, *shape) -> (N, classes).

    >>> mlp((2,), 2, hidden=(16, 16))(np.zeros((5, 2), np.float32)).shape
    (5, 2)
    """
    sizes = (math.prod(shape), *hidden)
    layers: list[Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [Linear(n_in, n_out, rng=rng), ReLU()]
    return Sequential(Flatten(), *layers, Linear(sizes[-1], classes, rng=rng))


def cnn(shape: tuple[int, ...], classes: int, rng: Rng = None) -> Sequential:
    """Four convolutions with batch normalisation, of images (N, C, H, W) -> (N, classes).

    >>> cnn((1, 8, 8), 10)(np.zeros((5, 1, 8, 8), np.float32)).shape
    (5, 10)
    """
    channels, height, width = shape

    def convolution(n_in: int, n_out: int) -> list[Module]:
        return [Conv2d(n_in, n_out, 3, padding=1, bias=False, rng=rng), BatchNorm2d(n_out), ReLU()]

    return Sequential(
        *convolution(channels, 16),  # (N, 16, H, W)
        *convolution(16, 16),
        MaxPool2d(2),  # (N, 16, H/2, W/2)
        *convolution(16, 32),
        *convolution(32, 32),
        MaxPool2d(2),  # (N, 32, H/4, W/4)
        Flatten(),
        Dropout(0.3, rng=rng),
        Linear(32 * (height // 4) * (width // 4), classes, rng=rng),
    )


# The networks of the MNIST-1D paper (Greydanus and Kobak, "Scaling down deep learning", 2024):
# signals (N, 40) -> (N, 10).


class SignalMLP(Module):
    """Two hidden layers, with a residual connection.

    >>> SignalMLP()(np.zeros((5, 40), np.float32)).shape
    (5, 10)
    """

    def __init__(self, length: int = 40, classes: int = 10, width: int = 100, rng: Rng = None):
        self.linear1 = Linear(length, width, rng=rng)
        self.linear2 = Linear(width, width, rng=rng)
        self.linear3 = Linear(width, classes, rng=rng)

    def forward(self, x: Any) -> Tensor:
        h = F.relu(self.linear1(x))
        return self.linear3(h + F.relu(self.linear2(h)))


class SignalCNN(Module):
    """Three convolutions of stride 2.

    >>> SignalCNN()(np.zeros((5, 40), np.float32)).shape
    (5, 10)
    """

    def __init__(self, classes: int = 10, channels: int = 25, rng: Rng = None):
        self.conv1 = Conv1d(1, channels, 5, stride=2, padding=1, rng=rng)
        self.conv2 = Conv1d(channels, channels, 3, stride=2, padding=1, rng=rng)
        self.conv3 = Conv1d(channels, channels, 3, stride=2, padding=1, rng=rng)
        self.linear = Linear(5 * channels, classes, rng=rng)

    def forward(self, x: Any) -> Tensor:
        h = np.expand_dims(x, 1)  # (N, 1, 40)
        for conv in (self.conv1, self.conv2, self.conv3):
            h = F.relu(conv(h))  # (N, channels, 19), then 10, then 5
        return self.linear(h.reshape(len(h), -1))


class SignalGRU(Module):
    """A bidirectional GRU of 6 units per direction, and a linear layer of all its outputs.

    >>> SignalGRU()(np.zeros((5, 40), np.float32)).shape
    (5, 10)
    """

    def __init__(self, length: int = 40, classes: int = 10, width: int = 6, rng: Rng = None):
        self.gru = GRU(1, width, batch_first=True, bidirectional=True, rng=rng)
        self.linear = Linear(2 * width * length, classes, rng=rng)

    def forward(self, x: Any) -> Tensor:
        h, _ = self.gru(np.expand_dims(x, 2))  # (N, 40, 1) -> (N, 40, 2 * width)
        return self.linear(h.reshape(len(h), -1))


# Text: tokens (N, T) -> scores of the next token (N, T, vocabulary). `context` is the largest T.


def check_length(model: Any, tokens: Any) -> None:
    if np.ndim(tokens) != 2 or not 0 < np.shape(tokens)[1] <= model.context:
        raise ShapeError(
            f"{type(model).__name__} takes tokens (N, T) with T of 1 to {model.context}, its "
            f"context, and was given {np.shape(tokens)}"
        )


def attend(x: Any, heads: int, qkv: Linear, mix: Linear) -> Tensor:
    """Causal self-attention of x (N, T, width)."""
    n, t, width = x.shape
    parts = qkv(x).reshape(n, t, 3, heads, width // heads)
    q, k, v = parts.transpose(2, 0, 3, 1, 4)  # (N, heads, T, width/heads) each
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return mix(y.transpose(0, 2, 1, 3).reshape(n, t, width))


class Block(Module):
    """A layer of a GPT: causal self-attention and two linear layers, each with a residual sum."""

    def __init__(self, width: int, heads: int, bias: bool, dropout: float, rng: Rng):
        self.heads = heads
        self.norm1 = LayerNorm(width, bias=bias)
        self.qkv = Linear(width, 3 * width, bias, rng=rng)
        self.mix = Linear(width, width, bias, rng=rng)
        self.norm2 = LayerNorm(width, bias=bias)
        self.up = Linear(width, 4 * width, bias, rng=rng)
        self.down = Linear(4 * width, width, bias, rng=rng)
        self.dropout = Dropout(dropout, rng=rng)

    def forward(self, x: Any) -> Tensor:
        x = x + self.dropout(attend(self.norm1(x), self.heads, self.qkv, self.mix))
        return x + self.dropout(self.down(F.gelu(self.up(self.norm2(x)))))


class GPT(Module):
    """A decoder-only transformer, as GPT-2.

    The embedding is tied to the last layer's weight (Radford et al., "Language Models are
    Unsupervised Multitask Learners", 2019). Weights are initialised with a standard deviation that
    falls with the width (Nguyen and Salazar, "Transformers without Tears", 2019): GPT-2's own,
    0.02, suits networks of its width; narrow ones learn much more slowly with it.

    >>> GPT(65, context=8, width=16, heads=2, layers=1)(np.zeros((5, 8), int)).shape
    (5, 8, 65)
    """

    def __init__(
        self,
        vocabulary: int,
        context: int = 64,
        width: int = 128,
        heads: int = 4,
        layers: int = 4,
        bias: bool = False,
        dropout: float = 0.0,
        rng: Rng = None,
    ):
        if width % heads:
            raise ShapeError(f"GPT: width={width} must be a multiple of heads={heads}")
        self.context = context
        self.tokens = Embedding(vocabulary, width, rng=rng)
        self.places = Embedding(context, width, rng=rng)
        self.dropout = Dropout(dropout, rng=rng)
        self.blocks = ModuleList([Block(width, heads, bias, dropout, rng) for _ in range(layers)])
        self.norm = LayerNorm(width, bias=bias)
        std = math.sqrt(2 / (5 * width))
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                into_sum = name.endswith(("mix.weight", "down.weight"))
                init.normal_(parameter, 0.0, std / math.sqrt(2 * layers * into_sum or 1), rng=rng)

    def forward(self, tokens: Any) -> Tensor:
        check_length(self, tokens)
        x = self.dropout(self.tokens(tokens) + self.places(np.arange(np.shape(tokens)[1])))
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.tokens.weight)


class MicroGPT(Module):
    """The one-layer GPT of Karpathy's "microgpt": RMS norms without weights, ReLU.

    >>> MicroGPT(27)(np.zeros((5, 16), int)).shape
    (5, 16, 27)
    """

    def __init__(
        self,
        vocabulary: int,
        context: int = 16,
        width: int = 16,
        heads: int = 4,
        layers: int = 1,
        rng: Rng = None,
    ):
        self.context = context
        self.tokens = Embedding(vocabulary, width, rng=rng)
        self.places = Embedding(context, width, rng=rng)
        self.blocks = ModuleList([MicroBlock(width, heads, rng) for _ in range(layers)])
        self.head = Linear(width, vocabulary, bias=False, rng=rng)
        for parameter in self.parameters():
            init.normal_(parameter, 0.0, 0.08, rng=rng)

    def forward(self, tokens: Any) -> Tensor:
        check_length(self, tokens)
        x = norm(self.tokens(tokens) + self.places(np.arange(np.shape(tokens)[1])))
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class MicroBlock(Module):
    """A layer of MicroGPT."""

    def __init__(self, width: int, heads: int, rng: Rng):
        self.heads = heads
        self.qkv = Linear(width, 3 * width, bias=False, rng=rng)
        self.mix = Linear(width, width, bias=False, rng=rng)
        self.up = Linear(width, 4 * width, bias=False, rng=rng)
        self.down = Linear(4 * width, width, bias=False, rng=rng)

    def forward(self, x: Any) -> Tensor:
        x = x + attend(norm(x), self.heads, self.qkv, self.mix)
        return x + self.down(F.relu(self.up(norm(x))))


def norm(x: Any) -> Any:
    """x (..., width) divided by its root mean square."""
    return F.rms_norm(x, x.shape[-1:], eps=1e-5)


class TextLSTM(Module):
    """Two layers of LSTM.

    >>> TextLSTM(65)(np.zeros((5, 8), int)).shape
    (5, 8, 65)
    """

    def __init__(
        self,
        vocabulary: int,
        context: int = 64,
        width: int = 128,
        layers: int = 2,
        rng: Rng = None,
    ):
        self.context = context
        self.tokens = Embedding(vocabulary, width, rng=rng)
        self.lstm = LSTM(width, width, num_layers=layers, batch_first=True, rng=rng)
        self.head = Linear(width, vocabulary, rng=rng)

    def forward(self, tokens: Any) -> Tensor:
        check_length(self, tokens)
        y, _ = self.lstm(self.tokens(tokens))  # (N, T, width)
        return self.head(y)
