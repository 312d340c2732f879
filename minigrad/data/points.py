"""Generated points in the plane, in classes that are not linearly separable."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from minigrad.arguments import NOT_NEGATIVE, Seed, Size, checked

Noise = Annotated[float, NOT_NEGATIVE]
Points = tuple[np.ndarray, np.ndarray]


@checked
def make_moons(n: Size, noise: Noise = 0.1, seed: Seed | np.random.Generator = 0) -> Points:
    """Two interleaving half circles: points (n, 2), float32, and labels (n,), int64.

    Args:
        n: the number of points, split evenly between the classes.
        noise: the standard deviation of the noise added to each coordinate. The radius is 1.
        seed: a number, for reproducible points, or a generator.

    Raises:
        ValueError: if n is below 1, or noise below 0.

    >>> points, labels = make_moons(4, noise=0)
    >>> points.shape, labels
    ((4, 2), array([0, 0, 1, 1]))
    """
    labels, t, rng = drawn(n, 2, seed)
    # the second one is the first one upside down, 1 to the right and 1/2 up
    x, y = np.cos(np.pi * t) + labels, np.sin(np.pi * t) * (1 - 2 * labels) + labels / 2
    return scattered(x, y, noise, rng), labels


@checked
def make_circles(n: Size, noise: Noise = 0.1, seed: Seed | np.random.Generator = 0) -> Points:
    """Concentric circles of radius 1 and 1/2; arguments and results are as for `make_moons`.

    Raises:
        ValueError: if n is below 1, or noise below 0.

    >>> points, labels = make_circles(100, noise=0)
    >>> np.allclose(np.hypot(*points.T), np.where(labels == 0, 1, 0.5))
    True
    """
    labels, t, rng = drawn(n, 2, seed)
    radius = 1 - labels / 2
    x, y = radius * np.cos(2 * np.pi * t), radius * np.sin(2 * np.pi * t)
    return scattered(x, y, noise, rng), labels


@checked
def make_spirals(
    n: Size, classes: Size = 3, noise: Noise = 0.03, seed: Seed | np.random.Generator = 0
) -> Points:
    """Spirals of one turn from the origin to the circle of radius 1, one for each class.

    Other arguments, and results, are as for `make_moons`.

    Raises:
        ValueError: if n or classes is below 1, or noise below 0.

    >>> points, labels = make_spirals(300, classes=5)
    >>> np.bincount(labels)
    array([60, 60, 60, 60, 60])
    """
    labels, t, rng = drawn(n, classes, seed)
    angle = 2 * np.pi * (t + labels / classes)
    return scattered(t * np.cos(angle), t * np.sin(angle), noise, rng), labels


@checked
def make_xor(n: Size, noise: Noise = 0.1, seed: Seed | np.random.Generator = 0) -> Points:
    """Four squares, of which those across from each other are one class: the exclusive or.

    The squares lie within -1 to 1, 0.2 apart; class 0 has x1 and x2 of the same sign. Arguments and
    results are as for `make_moons`.

    Raises:
        ValueError: if n is below 1, or noise below 0.

    >>> points, labels = make_xor(100, noise=0)
    >>> np.array_equal(labels, np.prod(points, axis=1) < 0)
    True
    """
    quadrants, t, rng = drawn(n, 4, seed)
    right, up = np.array([1, -1, -1, 1])[quadrants], np.array([1, 1, -1, -1])[quadrants]
    x, y = right * (0.1 + 0.9 * t), up * (0.1 + 0.9 * rng.random(n))
    return scattered(x, y, noise, rng), quadrants % 2


@checked
def make_gaussians(
    n: Size, classes: Size = 2, noise: Noise = 0.3, seed: Seed | np.random.Generator = 0
) -> Points:
    """Clusters of normally distributed points, their centres evenly spaced on the unit circle.

    Args:
        n, seed: as for `make_moons`.
        classes: the number of clusters.
        noise: the standard deviation of each cluster, in both coordinates.

    Raises:
        ValueError: if n or classes is below 1, or noise below 0.

    >>> points, labels = make_gaussians(6, classes=3, noise=0)
    >>> np.unique(points.round(3) + 0.0, axis=0)
    array([[-0.5  , -0.866],
           [-0.5  ,  0.866],
           [ 1.   ,  0.   ]], dtype=float32)
    """
    labels, _, rng = drawn(n, classes, seed)
    angle = 2 * np.pi * labels / classes
    return scattered(np.cos(angle), np.sin(angle), noise, rng), labels


def drawn(
    n: Size, classes: int, seed: int | np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """For n points: their classes, evenly distributed; and their positions on the curve, 0 to 1."""
    rng = np.random.default_rng(seed)
    return rng.permutation(np.arange(n) % classes), rng.random(n), rng


def scattered(x: np.ndarray, y: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Points (n, 2) of coordinates x and y, with noise."""
    points = np.stack([x, y], axis=1)
    return (points + noise * rng.standard_normal(points.shape)).astype(np.float32)
