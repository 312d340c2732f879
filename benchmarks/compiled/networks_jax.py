"""The networks of `networks.py` for JAX: images are (N, H, W, C), dense weights (in, out).

Each takes the weights in PyTorch's layouts and order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compiled import layers_jax
from benchmarks.compiled.layers_jax import attend, cross_entropies, flattened, pooled

Weights = Sequence[np.ndarray]


class Network(NamedTuple):
    """`loss(parameters, running, *batch)` also returns the running statistics anew."""

    parameters: Any
    loss: Callable[..., Any]
    running: list[tuple[np.ndarray, np.ndarray]]


def turned(weight: np.ndarray) -> np.ndarray:
    """From PyTorch's layout of a weight to JAX's."""
    return weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T


def network(weights: Weights, loss: Callable[..., Any], statistics: Sequence[int] = ()) -> Network:
    """Of a loss that reads layers; of each batch normalisation the number of channels."""

    def with_running(p: Any, running: Any, *batch: Any) -> Any:
        layers = Reader(p, running)
        return loss(layers, *batch), layers.found

    running = [(np.zeros(n, np.float32), np.ones(n, np.float32)) for n in statistics]
    return Network([turned(w) for w in weights], with_running, running)


class Reader:
    """Layers that take their parameters from a list, in order."""

    def __init__(self, parameters: Sequence[Any], running: Sequence[Any]) -> None:
        self.next = iter(parameters).__next__
        self.running = iter(running)
        self.found: list[Any] = []

    def pair(self) -> tuple[Any, Any]:
        return self.next(), self.next()

    def dense(self, x: Any) -> Any:
        w, b = self.pair()
        return x @ w + b

    def convolved(self, x: Any, stride: int = 1, padding: int = 0, groups: int = 1) -> Any:
        """Without a bias."""
        return lax.conv_general_dilated(
            x,
            self.next(),
            (stride, stride),
            [(padding, padding)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )

    def convolved_with_bias(self, x: Any, stride: int = 1, padding: int = 0) -> Any:
        return self.convolved(x, stride, padding) + self.next()

    def spread(self, x: Any) -> Any:
        """A transposed convolution of 4 by 4 with stride 2 and padding 1."""
        w, b = self.pair()
        form = "NHWC", "HWIO", "NHWC"
        return lax.conv_transpose(x, w, (2, 2), "SAME", None, form, transpose_kernel=True) + b

    def batch_norm(self, x: Any) -> Any:
        x, found = layers_jax.batch_norm(x, next(self.running), *self.pair())
        self.found.append(found)
        return x

    def group_norm(self, x: Any) -> Any:
        """In 8 groups."""
        grouped = x.reshape(*x.shape[:3], 8, -1)
        axes = (1, 2, 4)
        mean, variance = grouped.mean(axes, keepdims=True), grouped.var(axes, keepdims=True)
        scale, shift = self.pair()
        return ((grouped - mean) * lax.rsqrt(variance + 1e-5)).reshape(x.shape) * scale + shift

    def layer_norm(self, x: Any) -> Any:
        return layers_jax.layer_norm(x, *self.pair())


def classified(scores: Any, y: Any) -> Any:
    return cross_entropies(scores, y).mean()


def images(x: Any) -> Any:
    """From PyTorch's layout."""
    return x.transpose(0, 2, 3, 1)


def resnet(weights: Weights) -> Network:
    def block(read: Reader, x: Any, stride: int) -> Any:
        h = jax.nn.relu(read.batch_norm(read.convolved(x, stride, 1)))
        h = read.batch_norm(read.convolved(h, 1, 1))
        return jax.nn.relu(h + (read.batch_norm(read.convolved(x, stride)) if stride > 1 else x))

    def loss(read: Reader, x: Any, y: Any) -> Any:
        x = jax.nn.relu(read.batch_norm(read.convolved(images(x), 1, 1)))
        for stride in (1, 1, 2, 1, 2, 1):
            x = block(read, x, stride)
        return classified(read.dense(x.mean((1, 2))), y)

    return network(weights, loss, (*[16] * 5, *[32] * 5, *[64] * 5))


def unet(weights: Weights) -> Network:
    def level(read: Reader, x: Any) -> Any:
        for _ in range(2):
            x = jax.nn.silu(read.group_norm(read.convolved_with_bias(x, 1, 1)))
        return x

    def up(x: Any) -> Any:
        return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)

    def loss(read: Reader, x: Any, y: Any) -> Any:
        a = level(read, images(x))
        b = level(read, pooled(a))
        c = level(read, pooled(b))
        b = level(read, jnp.concatenate([b, up(c)], -1))
        a = level(read, jnp.concatenate([a, up(b)], -1))
        scores = read.convolved_with_bias(a)
        return layers_jax.binary_cross_entropies(scores, images(y)).mean()

    return network(weights, loss)


def generator(weights: Weights) -> Network:
    def images_of(read: Reader, noise: Any) -> Any:
        x = jax.nn.relu(read.dense(noise)).reshape(-1, 64, 7, 7)
        x = jnp.tanh(read.spread(jax.nn.relu(read.spread(images(x)))))
        return x.transpose(0, 3, 1, 2)

    return network(weights, images_of)


def discriminator(weights: Weights) -> Network:
    def scores(read: Reader, x: Any) -> Any:
        x = images(x)
        for _ in range(2):
            x = jax.nn.leaky_relu(read.convolved_with_bias(x, 2, 1), 0.2)
        return read.dense(flattened(x.transpose(0, 3, 1, 2)))

    return network(weights, scores)


def depthwise_separable(weights: Weights) -> Network:
    def loss(read: Reader, x: Any, y: Any) -> Any:
        x = jax.nn.relu(read.batch_norm(read.convolved(images(x), 2, 1)))
        for stride in (1, 2, 1):
            x = jax.nn.relu(read.batch_norm(read.convolved(x, stride, 1, groups=x.shape[-1])))
            x = jax.nn.relu(read.batch_norm(read.convolved(x)))
        return classified(read.dense(x.mean((1, 2))), y)

    return network(weights, loss, (32, 32, 64, 64, 128, 128, 128))


def denoiser(weights: Weights) -> Network:
    def convolved(read: Reader, x: Any) -> Any:
        return read.convolved_with_bias(jax.nn.silu(read.group_norm(x)), 1, 1)

    def loss(read: Reader, x: Any, noise: Any, t: Any) -> Any:
        x, noise, angle = images(x), images(noise), t[:, None, None, None] * 1.5
        waves = t[:, None] * np.exp(0.5 * np.arange(16, dtype=np.float32))
        time = jnp.concatenate([jnp.cos(waves), jnp.sin(waves)], 1)
        for _ in range(2):
            time = jax.nn.silu(read.dense(time))
        h = read.convolved_with_bias(jnp.cos(angle) * x + jnp.sin(angle) * noise, 1, 1)
        for _ in range(3):
            one = convolved(read, h)
            h = h + convolved(read, one + read.dense(time)[:, None, None])
        return ((convolved(read, h) - noise) ** 2).mean()

    return network(weights, loss)


def vision_transformer(weights: Weights) -> Network:
    def loss(read: Reader, x: Any, y: Any) -> Any:
        h = read.convolved_with_bias(images(x), 4)
        h = h.reshape(len(x), 64, 96) + read.next().T
        for _ in range(3):
            q, k, v = jnp.split(read.dense(read.layer_norm(h)), 3, -1)
            h = h + read.dense(attend(q, k, v, causal=False))
            h = h + read.dense(jax.nn.gelu(read.dense(read.layer_norm(h))))
        return classified(read.dense(read.layer_norm(h).mean(1)), y)

    return network(weights, loss)


def gru(weights: Weights) -> Network:
    def loss(read: Reader, x: Any, y: Any) -> Any:
        inner, outer, bias, outer_bias = (read.next() for _ in range(4))

        def cell(h: Any, x: Any) -> tuple[Any, None]:
            r1, z1, n1 = jnp.split(x, 3, -1)
            r2, z2, n2 = jnp.split(h @ outer + outer_bias, 3, -1)
            z = jax.nn.sigmoid(z1 + z2)
            return (1 - z) * jnp.tanh(n1 + jax.nn.sigmoid(r1 + r2) * n2) + z * h, None

        start = jnp.zeros((x.shape[1], len(outer)), x.dtype)
        h, _ = lax.scan(cell, start, x @ inner + bias)
        return classified(read.dense(h), y)

    return network(weights, loss)


def words(weights: Weights) -> Network:
    def loss(read: Reader, x: Any, y: Any) -> Any:
        return classified(read.dense(read.next()[x].mean(1)), y)

    table, *head = weights
    return network([table.T, *head], loss)  # the table stays as it is
