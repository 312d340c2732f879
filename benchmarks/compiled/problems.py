"""The data and the initial weights of what is measured, the same for every contestant.

Weights are in PyTorch's layouts, and in the order in which PyTorch's modules list them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.compiled import functions, networks
from benchmarks.workloads import Training, weights
from minigrad import manual_seed

HEADS = 4
LAYERS = 4  # of the GPT
ODE_STEPS = 100
ODE_SPAN = 5.0  # from time 0 to this


@dataclass(frozen=True)
class Masked(Training):
    """A batch with, for each place in it, whether its loss counts."""

    mask: np.ndarray


@dataclass(frozen=True)
class Curvature(Training):
    """A batch, and what to multiply the loss's second derivative by: in the weights' shapes."""

    vector: list[np.ndarray]


@dataclass(frozen=True)
class Fit:
    """A function of `functions.py` or a network of `networks.py`, what it starts with, and the rest
    of its arguments. With momentum, it is trained by SGD instead of Adam."""

    function: Callable[..., Any]
    weights: list[np.ndarray]
    data: tuple[np.ndarray, ...]
    momentum: float = 0.0

    def copies(self) -> list[np.ndarray]:
        return [w.copy() for w in self.weights]


@dataclass(frozen=True)
class Adversaries:
    """Images, noise to make others of, and the weights of both networks."""

    x: np.ndarray
    noise: np.ndarray
    generator: list[np.ndarray]
    discriminator: list[np.ndarray]


def norm_weights(size: int) -> list[np.ndarray]:
    """The scale and shift a norm starts with."""
    return [np.ones(size, np.float32), np.zeros(size, np.float32)]


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)


def cnn() -> Training:
    """Two blocks of two convolutions; the second of each is followed by batch normalisation."""
    rng = np.random.default_rng(0)
    x, y = normal(rng, 128, 1, 28, 28), rng.integers(0, 10, 128)
    first, second = [(32, 1, 5, 5), (32, 32, 5, 5)], [(64, 32, 3, 3), (64, 64, 3, 3)]
    parameters = [
        *(*weights(rng, *first), *norm_weights(32)),
        *(*weights(rng, *second), *norm_weights(64)),
        *weights(rng, (10, 576)),
    ]
    return Training(x, y, parameters)


def char_gpt(width: int = 128, length: int = 64, batch: int = 12, vocabulary: int = 65) -> Training:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, vocabulary, (2, batch, length))
    parameters = [normal(rng, vocabulary, width), normal(rng, length, width)]
    for _ in range(LAYERS):
        parameters += norm_weights(width)
        parameters += weights(rng, (3 * width, width), (width, width))
        parameters += norm_weights(width)
        parameters += weights(rng, (4 * width, width), (width, 4 * width))
    head, _ = weights(rng, (vocabulary, width))
    return Training(x, y, [*parameters, *norm_weights(width), head])


def microgpt(width: int, batch: int, length: int = 16, vocabulary: int = 27) -> Masked:
    """One layer, with matrices only, as (in, out)."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, vocabulary, (2, batch, length))
    mask = (rng.random((batch, length)) < 0.5).astype(np.float32)
    shapes = [
        *((vocabulary, width), (length, width)),  # tokens, places
        *([(width, width)] * 4),  # query, key, value, mix
        *((width, 4 * width), (4 * width, width), (width, vocabulary)),  # up, down, head
    ]
    return Masked(x, y, [0.08 * normal(rng, *shape) for shape in shapes], mask)


def lstm(length: int = 64, batch: int = 32, inputs: int = 32, hidden: int = 64) -> Training:
    """Sequences (L, N, I) of ten classes; the LSTM's weights, its biases, then the head."""
    rng = np.random.default_rng(0)
    x, y = normal(rng, length, batch, inputs), rng.integers(0, 10, batch)
    bound = 1 / np.sqrt(hidden)
    shapes = [(4 * hidden, inputs), (4 * hidden, hidden), (4 * hidden,), (4 * hidden,)]
    gates = [rng.uniform(-bound, bound, shape).astype(np.float32) for shape in shapes]
    return Training(x, y, [*gates, *weights(rng, (10, hidden))])


def vae() -> Training:
    """Images (N, 784) of pixels in [0, 1]; in the place of targets, the noise (N, 16)."""
    rng = np.random.default_rng(0)
    x, noise = rng.random((128, 784), dtype=np.float32), normal(rng, 128, 16)
    return Training(x, noise, weights(rng, (256, 784), (16, 256), (16, 256), (256, 16), (784, 256)))


def curvature() -> Curvature:
    rng = np.random.default_rng(0)
    parameters = weights(rng, (128, 64), (128, 128), (1, 128))
    vector = [normal(rng, *w.shape) for w in parameters]
    return Curvature(normal(rng, 64, 64), normal(rng, 64, 1), parameters, vector)


def valley() -> tuple[np.ndarray, ...]:
    """Where Rosenbrock's function is looked at, in a million dimensions of float64."""
    return (np.random.default_rng(0).uniform(-2, 2, 1_000_000),)


def flow() -> Training:
    """Where points (N, 2) start, and where they should be in the end: a quarter turn further."""
    rng = np.random.default_rng(0)
    start = normal(rng, 64, 2)
    return Training(
        start, start[:, ::-1] * np.array([1, -1], np.float32), weights(rng, (32, 2), (2, 32))
    )


def four() -> np.ndarray:
    return np.arange(4, dtype=np.float32)


def initial(network: Callable[..., Any]) -> list[np.ndarray]:
    """The weights that minigrad starts a network with, from the same seed in every process."""
    manual_seed(0)
    return [p.data for p in network(networks.MINIGRAD).parameters()]


def layers(rng: np.random.Generator, *widths: int) -> list[np.ndarray]:
    """An MLP of these widths: weights (in, out), and biases."""
    flat = weights(rng, *zip(widths[1:], widths, strict=False))
    return [np.ascontiguousarray(w.T) for w in flat]


def resnet() -> Fit:
    rng = np.random.default_rng(0)
    data = normal(rng, 32, 3, 32, 32), rng.integers(0, 10, 32)
    return Fit(networks.resnet, initial(networks.resnet), data, momentum=0.9)


def unet() -> Fit:
    rng = np.random.default_rng(0)
    x = normal(rng, 4, 1, 64, 64)
    return Fit(networks.unet, initial(networks.unet), (x, (x > 0).astype(np.float32)))


def gan() -> Adversaries:
    rng = np.random.default_rng(0)
    x, noise = np.tanh(normal(rng, 32, 1, 28, 28)), normal(rng, 32, 64)
    both = networks.generator, networks.discriminator
    return Adversaries(x, noise, *(initial(each) for each in both))


def depthwise_separable() -> Fit:
    rng = np.random.default_rng(0)
    data = normal(rng, 16, 3, 48, 48), rng.integers(0, 10, 16)
    return Fit(
        networks.depthwise_separable, initial(networks.depthwise_separable), data, momentum=0.9
    )


def denoiser() -> Fit:
    rng = np.random.default_rng(0)
    data = normal(rng, 8, 1, 28, 28), normal(rng, 8, 1, 28, 28), rng.random(8, dtype=np.float32)
    return Fit(networks.denoiser, initial(networks.denoiser), data)


def vision_transformer() -> Fit:
    rng = np.random.default_rng(0)
    data = normal(rng, 16, 3, 32, 32), rng.integers(0, 10, 16)
    return Fit(networks.vision_transformer, initial(networks.vision_transformer), data)


def gru() -> Fit:
    rng = np.random.default_rng(0)
    data = normal(rng, 48, 24, 32), rng.integers(0, 10, 24)
    return Fit(networks.gru, initial(networks.gru), data)


def words() -> Fit:
    rng = np.random.default_rng(0)
    data = rng.integers(0, 200_000, (128, 16)), rng.integers(0, 4, 128)
    return Fit(networks.words, initial(networks.words), data)


def graph(nodes: int = 2_500, edges: int = 20_000) -> Fit:
    """A random graph, and classes of its nodes; what an edge is scaled by is as in GCN."""
    rng = np.random.default_rng(0)
    source, target = rng.integers(0, nodes, (2, edges))
    degree = np.bincount(target, minlength=nodes) + 1
    scale = (1 / np.sqrt(degree[source] * degree[target])).astype(np.float32)
    data = normal(rng, nodes, 96), rng.integers(0, 7, nodes), source, target, scale
    return Fit(functions.graph_convolution, layers(rng, 96, 48, 7), data)


def normalising_flow() -> Fit:
    rng = np.random.default_rng(0)
    p = [w for _ in range(6) for w in layers(rng, 1, 64, 64, 2)]
    return Fit(functions.normalising_flow, p, (normal(rng, 1024, 2) ** 2,))


def coordinates() -> Fit:
    """An image of 64 by 64 pixels."""
    rng = np.random.default_rng(0)
    axis = np.linspace(-1, 1, 64, dtype=np.float32)
    places = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    colours = rng.random((4096, 3), dtype=np.float32)
    return Fit(functions.coordinate_network, layers(rng, 2, 96, 96, 3), (places, colours))


def burgers() -> Fit:
    rng = np.random.default_rng(0)
    x, t = rng.uniform(-1, 1, 1000), rng.uniform(0, 1, 1000)
    x0 = np.linspace(-1, 1, 100)
    data = tuple(a.astype(np.float32) for a in (x, t, x0, -np.sin(np.pi * x0)))
    return Fit(functions.burgers, layers(rng, 2, 32, 32, 32, 1), data)


def selective_scan(length: int = 64, batch: int = 8, width: int = 48, states: int = 8) -> Fit:
    rng = np.random.default_rng(0)
    decay = np.log(np.tile(np.arange(1, states + 1, dtype=np.float32), (width, 1)))
    step, bias, to_input, _, to_output, _ = (
        w for o in (width, states, states) for w in layers(rng, width, o)
    )
    p = [decay, step, bias, to_input, to_output, *layers(rng, width, 10)]
    data = normal(rng, length, batch, width), rng.integers(0, 10, batch)
    return Fit(functions.selective_scan, p, data)


def actor_critic() -> Fit:
    rng = np.random.default_rng(0)
    p = [*layers(rng, 8, 64, 64), *layers(rng, 64, 4), *layers(rng, 64, 1)]
    data = normal(rng, 1, 8), np.array([2]), np.array([1.5], np.float32)
    return Fit(functions.actor_critic, p, data)


def gaussian_process() -> Fit:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(400, 4))
    y = np.sin(6 * x[:, 0]) + x[:, 1] + 0.1 * rng.standard_normal(400)
    logs = np.log([0.5, 0.5, 1.0, 1.0, 1.0, 0.1])
    return Fit(functions.gaussian_process, [logs], (x, y))


def logistic_regression() -> Fit:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100_000, 50))
    y = np.where(x @ rng.standard_normal(50) + rng.standard_normal(100_000) > 0, 1.0, -1.0)
    start = [0.1 * rng.standard_normal(50), np.zeros(())]
    return Fit(functions.logistic_regression, start, (x, y))


def k_means() -> Fit:
    rng = np.random.default_rng(0)
    return Fit(functions.k_means, [rng.normal(size=(80, 8))], (rng.normal(size=(60_000, 8)),))


def gaussian_mixture() -> Fit:
    rng = np.random.default_rng(0)
    k, d = 20, 10
    start = [rng.normal(size=shape) for shape in ((k,), (k, d), (k, d, d))]
    start[2] *= 0.1
    return Fit(functions.gaussian_mixture, start, (rng.normal(size=(1000, d)),))


def bundle_adjustment() -> Fit:
    rng = np.random.default_rng(0)
    m, n, seen = 40, 3_000, 20_000
    cameras = 0.1 * rng.standard_normal((m, 9)) + np.array([0, 0, 0, 0, 0, -5, 1, 0, 0])
    points = rng.uniform(-1, 1, (n, 3))
    data = rng.integers(0, m, seen), rng.integers(0, n, seen), rng.normal(size=(seen, 2))
    return Fit(functions.bundle_adjustment, [cameras, points], data)
