"""Points in the plane: their shapes, their classes, and where they lie."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad.data import make_circles, make_gaussians, make_moons, make_spirals, make_xor

MAKERS = [make_moons, make_circles, make_spirals, make_xor, make_gaussians]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("n", [1, 7, 300])
def test_shapes_dtypes_and_classes(make: Callable[..., Any], n: int) -> None:
    points, labels = make(n)
    assert (points.shape, points.dtype) == ((n, 2), np.float32)
    assert (labels.shape, labels.dtype) == ((n,), np.int64)
    counts = np.bincount(labels)
    assert len(counts) == min(n, 3 if make is make_spirals else 2)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("make", MAKERS)
def test_the_seed_decides(make: Callable[..., Any]) -> None:
    first, same, other = (make(50, seed=seed) for seed in (1, np.random.default_rng(1), 2))
    assert np.array_equal(first[0], same[0])
    assert np.array_equal(first[1], same[1])
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("make", MAKERS)
def test_labels_are_in_no_order(make: Callable[..., Any]) -> None:
    _, labels = make(100)
    assert np.any(np.diff(labels) < 0)


@pytest.mark.parametrize("make", MAKERS)
def test_noise_has_the_deviation_that_is_asked_for(make: Callable[..., Any]) -> None:
    clean, noisy = make(5000, noise=0)[0], make(5000, noise=0.3)[0]
    assert np.std(noisy - clean) == pytest.approx(0.3, rel=0.05)


def test_moons_are_half_circles_that_reach_into_each_other() -> None:
    points, labels = make_moons(1000, noise=0)
    upper, lower = points[labels == 0], points[labels == 1]
    assert np.allclose(np.hypot(*upper.T), 1, atol=1e-6)
    assert np.allclose(np.hypot(*(lower - [1, 0.5]).T), 1, atol=1e-6)
    assert upper[:, 1].min() >= -1e-6
    assert lower[:, 1].max() <= 0.5 + 1e-6
    assert lower[:, 1].max() > 0.4  # within the upper one


def test_circles_lie_in_each_other() -> None:
    points, labels = make_circles(1000, noise=0)
    assert np.allclose(np.hypot(*points.T), np.where(labels == 0, 1, 0.5), atol=1e-6)


def test_spirals_turn_once() -> None:
    points, labels = make_spirals(1000, classes=4, noise=0)
    radius = np.hypot(*points.T)
    angle = np.arctan2(points[:, 1], points[:, 0])
    assert radius.max() <= 1
    turned = angle / (2 * np.pi) - radius - labels / 4
    assert np.allclose(turned, np.round(turned), atol=1e-3)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n must be at least 1, and is 0"),
        ({"n": 5, "noise": -1.0}, "noise must be at least 0, and is -1"),
        ({"n": 5, "noise": float("nan")}, "noise must be at least 0"),
    ],
)
def test_arguments_out_of_range(
    make: Callable[..., Any], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"{make.__name__}: {message}"):
        make(**arguments)


def test_spirals_of_no_class() -> None:
    with pytest.raises(ValueError, match="classes must be at least 1"):
        make_spirals(10, classes=0)


def test_xor_fills_four_squares_evenly() -> None:
    points, labels = make_xor(1000, noise=0)
    assert np.array_equal(labels, points[:, 0] * points[:, 1] < 0)
    assert np.abs(points).min() >= 0.1
    assert np.abs(points).max() <= 1
    assert np.unique(np.sign(points), axis=0, return_counts=True)[1].tolist() == [250] * 4


def test_gaussians_lie_around_a_circle() -> None:
    points, labels = make_gaussians(4000, classes=4, noise=0.2)
    means = [points[labels == k].mean(axis=0) for k in range(4)]
    assert np.allclose(means, [[1, 0], [0, 1], [-1, 0], [0, -1]], atol=0.05)
