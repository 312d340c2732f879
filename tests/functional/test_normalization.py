"""Normalization: the formulas, the running statistics, and what does not fit."""

from typing import Any

import numpy as np
import pytest

import minigrad.functional as F
from minigrad import Tensor
from minigrad.errors import ArgumentError, MinigradError, ShapeError
from tests.functional.cases import Case, Cases

RNG = np.random.default_rng(6)
X = RNG.standard_normal((3, 4)) + 2
IMAGE = RNG.standard_normal((2, 4, 2, 3)) * 3
W, B, MEAN, VAR = *RNG.standard_normal((3, 4)), RNG.uniform(0.5, 2, 4)
W2, B2 = RNG.standard_normal((2, 2, 3))


def normalized(x: np.ndarray, axes: Any, eps: float = 1e-5) -> np.ndarray:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def channels(x: np.ndarray) -> np.ndarray:
    return x[:, None, None]


def training(x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    return F.batch_norm(x, None, None, weight, bias, training=True, eps=eps)


CASES: Cases = {
    "batch_norm": Case(training, (X, W, B), normalized(X, 0) * W + B),
    "batch_norm of images": Case(
        lambda x, w, b: training(x, w, b, eps=0.1),
        (IMAGE, W, B),
        normalized(IMAGE, (0, 2, 3), 0.1) * channels(W) + channels(B),
    ),
    "batch_norm of signals": Case(training, (IMAGE[:, :, 0],), normalized(IMAGE[:, :, 0], (0, 2))),
    "batch_norm by running statistics": Case(
        lambda x, mean, var, w, b: F.batch_norm(x, mean, var, w, b),
        (IMAGE, MEAN, VAR, W, B),
        (IMAGE - channels(MEAN)) / np.sqrt(channels(VAR) + 1e-5) * channels(W) + channels(B),
    ),
    "layer_norm": Case(
        lambda x, w, b: F.layer_norm(x, 4, w, b), (X, W, B), normalized(X, 1) * W + B
    ),
    "layer_norm of two axes": Case(
        lambda x, w, b: F.layer_norm(x, (2, 3), w, b, eps=0.1),
        (IMAGE, W2, B2),
        normalized(IMAGE, (2, 3), 0.1) * W2 + B2,
    ),
    "layer_norm alone": Case(lambda x: F.layer_norm(x, (4,)), (X,), normalized(X, 1)),
    "layer_norm without bias": Case(
        lambda x, w: F.layer_norm(x[0], 4, w), (X, W), normalized(X[0], 0) * W
    ),
    "group_norm": Case(
        lambda x, w, b: F.group_norm(x, 2, w, b),
        (IMAGE, W, B),
        normalized(IMAGE.reshape(2, 2, -1), 2).reshape(IMAGE.shape) * channels(W) + channels(B),
    ),
    "group_norm of features": Case(
        lambda x: F.group_norm(x, 2, eps=0.1),
        (X,),
        normalized(X.reshape(3, 2, 2), 2, 0.1).reshape(3, 4),
    ),
    "group_norm of one": Case(
        lambda x, w: F.group_norm(x, 4, w),
        (IMAGE, W),
        normalized(IMAGE, (2, 3)) * channels(W),
    ),
    "rms_norm": Case(
        lambda x, w: F.rms_norm(x, 4, w, eps=0.1),
        (X, W),
        X / np.sqrt((X**2).mean(1, keepdims=True) + 0.1) * W,
    ),
    "rms_norm of two axes": Case(
        lambda x: F.rms_norm(x, (2, 3)),
        (IMAGE,),
        IMAGE / np.sqrt((IMAGE**2).mean((2, 3), keepdims=True)),
    ),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_epsilon_of_rms_norm_is_that_of_the_dtype(dtype: Any) -> None:
    tiny = np.sqrt(np.finfo(dtype).eps)
    x = np.array([tiny, -tiny], dtype)
    np.testing.assert_allclose(F.rms_norm(x, 2), [0.5**0.5, -(0.5**0.5)], rtol=1e-6)


def test_running_statistics_move_in_their_own_memory() -> None:
    mean, var = Tensor(MEAN.copy()), VAR.copy()
    held = mean.data
    x = Tensor(IMAGE, requires_grad=True)
    F.batch_norm(x, mean, var, training=True, momentum=0.25)
    np.testing.assert_allclose(mean.data, 0.75 * MEAN + 0.25 * IMAGE.mean((0, 2, 3)))
    # The variance of a sample: divided by one less than there are values.
    np.testing.assert_allclose(var, 0.75 * VAR + 0.25 * IMAGE.var((0, 2, 3), ddof=1))
    assert mean.data is held
    assert mean.node.op is None


def test_running_statistics_stay_as_they_are_otherwise() -> None:
    mean, var = MEAN.copy(), VAR.copy()
    F.batch_norm(IMAGE, mean, var)
    with pytest.raises(ShapeError):
        F.batch_norm(IMAGE[:1, :, :1, :1], mean, var, training=True)
    assert np.array_equal(mean, MEAN)
    assert np.array_equal(var, VAR)


def test_a_large_mean_does_not_drown_the_variance() -> None:
    x = (1e4 + np.array([[-1.0, 1.0]] * 3)).astype(np.float32)
    np.testing.assert_allclose(F.layer_norm(x, 2), [[-1, 1]] * 3, rtol=1e-3)
    np.testing.assert_allclose(training(x.T), np.array([[-1, 1]] * 3).T, rtol=1e-3)


def test_values_that_are_all_equal_become_zero() -> None:
    x = Tensor(np.full((3, 4), 7.0), requires_grad=True)
    y = F.layer_norm(x, 4)
    y.backward(RNG.standard_normal((3, 4)))
    assert np.array_equal(y.data, np.zeros((3, 4)))
    assert np.isfinite(x.grad).all()


@pytest.mark.parametrize(
    "f",
    [
        lambda x, w: training(x, w, w),
        lambda x, w: F.batch_norm(x, w, w * w, w, w),
        lambda x, w: F.group_norm(x, 2, w, w),
    ],
)
def test_images_that_lie_last_in_memory_stay_there(f: Any) -> None:
    images = RNG.standard_normal((4, 5, 6, 8)).transpose(3, 0, 1, 2)
    x, w = Tensor(images, requires_grad=True), Tensor(np.ones(4), requires_grad=True)
    y: Any = np.exp(f(x, w))
    assert y.data.transpose(1, 2, 3, 0).flags.c_contiguous


BAD: dict[str, tuple[Any, Any, str]] = {
    "a batch of one": (
        lambda: training(X[:1]),
        ShapeError,
        r"\(1, 4\) in training: one value for each channel.*drop_last.*eval\(\)",
    ),
    "an empty batch": (lambda: training(X[:0]), ShapeError, r"no value for each channel"),
    "one axis": (lambda: training(X[0]), ShapeError, r"\(4,\).*\(N, C, ...\)"),
    "no statistics": (lambda: F.batch_norm(X, None, None), ArgumentError, r"only training=True"),
    "running_mean": (
        lambda: F.batch_norm(X, MEAN[:3], VAR),
        ShapeError,
        r"running_mean has shape \(3,\), and must have \(4,\)",
    ),
    "weight": (lambda: training(X, W[:1]), ShapeError, r"weight has shape \(1,\).*\(4,\)"),
    "layer_norm axes": (lambda: F.layer_norm(X, 3), ShapeError, r"\(3, 4\).*\(3,\)"),
    "layer_norm of nothing": (lambda: F.layer_norm(X, ()), ShapeError, r"normalized_shape, \(\)"),
    "layer_norm bias": (lambda: F.layer_norm(X, 4, W, B[:2]), ShapeError, r"bias has shape \(2,\)"),
    "rms_norm axes": (lambda: F.rms_norm(X, (4, 3)), ShapeError, r"\(3, 4\).*\(4, 3\)"),
    "rms_norm weight": (lambda: F.rms_norm(X, 4, W2), ShapeError, r"weight has shape \(2, 3\)"),
    "groups": (lambda: F.group_norm(X, 3), ShapeError, r"\(3, 4\) with 3 groups"),
    "no groups": (lambda: F.group_norm(X, 0), ShapeError, r"with 0 groups"),
    "group_norm axes": (lambda: F.group_norm(X[0], 2), ShapeError, r"\(N, C, ...\)"),
    "group_norm weight": (lambda: F.group_norm(X, 2, W[:2]), ShapeError, r"weight.*\(2,\)"),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=list(BAD))
def test_bad_input(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        call()
    assert isinstance(raised.value, MinigradError)
