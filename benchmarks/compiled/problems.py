"""The data and the initial weights of what is measured, the same for every contestant.

Weights are in PyTorch's layouts, and in the order in which PyTorch's modules list them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.workloads import Training, weights

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
