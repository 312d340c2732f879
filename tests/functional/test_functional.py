"""Activations and losses: their formulas, their derivatives, and where formulas would overflow."""

import math
from typing import Any

import numpy as np
import pytest

import minigrad.functional as F
from minigrad import Tensor, check_gradients
from minigrad.errors import DtypeError, MinigradError, ShapeError

RNG = np.random.default_rng(2)
X = RNG.uniform(-2, 2, (3, 4))
X = np.where(np.abs(X) < 0.1, 0.5, X)
Y = RNG.uniform(-2, 2, (3, 4))
P = F.softmax(RNG.uniform(-1, 1, (3, 4)))
CLASSES = np.array([0, 3, 1])
SIGNS = np.where(RNG.random((3, 4)) < 0.5, -1.0, 1.0)


def normal_cdf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(lambda t: 0.5 * (1 + math.erf(t / math.sqrt(2))))(x)


def one_hot(classes: np.ndarray) -> np.ndarray:
    return np.eye(4)[classes]


SOFTMAX = np.exp(X) / np.exp(X).sum(-1, keepdims=True)
CASES: dict[str, tuple[Any, Any]] = {
    "relu": (F.relu, np.where(X > 0, X, 0)),
    "sigmoid": (F.sigmoid, 1 / (1 + np.exp(-X))),
    "erf": (F.erf, np.vectorize(math.erf)(X)),
    "logsumexp": (lambda x: F.logsumexp(x, 1), np.log(np.exp(X).sum(1))),
    "softmax": (F.softmax, SOFTMAX),
    "softmax axis": (lambda x: F.softmax(x, 0), np.exp(X) / np.exp(X).sum(0)),
    "log_softmax": (F.log_softmax, np.log(SOFTMAX)),
    "gelu": (F.gelu, X * normal_cdf(X)),
    "gelu tanh": (
        lambda x: F.gelu(x, approximate="tanh"),
        0.5 * X * (1 + np.tanh(np.sqrt(2 / np.pi) * (X + 0.044715 * X**3))),
    ),
    "silu": (F.silu, X / (1 + np.exp(-X))),
    "softplus": (F.softplus, np.log(1 + np.exp(X))),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), np.where(X > 0, X, 0.2 * X)),
    "elu": (lambda x: F.elu(x, 1.5), np.where(X > 0, X, 1.5 * (np.exp(X) - 1))),
    "linear": (lambda x: F.linear(x, Y[:2], np.ones(2)), X @ Y[:2].T + 1),
    "cross_entropy": (
        lambda x: F.cross_entropy(x, CLASSES),
        -np.mean(np.log(SOFTMAX)[np.arange(3), CLASSES]),
    ),
    "cross_entropy of probabilities": (
        lambda x: F.cross_entropy(x, P),
        -np.mean((P * np.log(SOFTMAX)).sum(1)),
    ),
    "cross_entropy none": (
        lambda x: F.cross_entropy(x, CLASSES, reduction="none"),
        -np.log(SOFTMAX)[np.arange(3), CLASSES],
    ),
    "cross_entropy sum": (
        lambda x: F.cross_entropy(x, one_hot(CLASSES), reduction="sum"),
        -np.sum(np.log(SOFTMAX)[np.arange(3), CLASSES]),
    ),
    "cross_entropy of images": (
        lambda x: F.cross_entropy(np.reshape(x, (1, 3, 2, 2)), np.array([[[0, 2], [1, 1]]])),
        -np.mean(
            (X - np.log(np.exp(X).sum(0)))[np.array([0, 2, 1, 1]), np.arange(4)],
        ),
    ),
    "mse": (lambda x: F.mse_loss(x, Y), np.mean((X - Y) ** 2)),
    "bce": (
        lambda x: F.binary_cross_entropy_with_logits(x, P),
        -np.mean(P * np.log(1 / (1 + np.exp(-X))) + (1 - P) * np.log(1 / (1 + np.exp(X)))),
    ),
    "hinge": (lambda x: F.hinge_loss(x, SIGNS), np.mean(np.where(SIGNS * X < 1, 1 - SIGNS * X, 0))),
}


def cases() -> Any:
    return pytest.mark.parametrize(("f", "expected"), CASES.values(), ids=list(CASES))


@cases()
def test_value_on_arrays_and_on_tensors(f: Any, expected: Any) -> None:
    np.testing.assert_allclose(f(X), expected, rtol=1e-12)
    assert not isinstance(f(X), Tensor)
    np.testing.assert_allclose(f(Tensor(X)).data, expected, rtol=1e-12)


@cases()
def test_derivatives(f: Any, expected: Any) -> None:
    check_gradients(f, X, order=2)


def test_derivatives_by_weights_bias_and_targets() -> None:
    check_gradients(F.linear, X, Y[:2], np.ones(2))
    check_gradients(F.mse_loss, X, Y)
    check_gradients(F.cross_entropy, X, P)
    check_gradients(F.binary_cross_entropy_with_logits, X, P)


FAR = np.array([-np.inf, -1e4, -50.0, 0.0, 50.0, 1e4])
# What each is far out, and its derivative there: no overflow, no warning, no NaN.
EXTREMES: dict[str, tuple[Any, list[float], list[float]]] = {
    "sigmoid": (F.sigmoid, [0, 0, math.exp(-50), 0.5, 1, 1], [0, 0, math.exp(-50), 0.25, 0, 0]),
    "softplus": (
        F.softplus,
        [0, 0, math.exp(-50), math.log(2), 50, 1e4],
        [0, 0, math.exp(-50), 0.5, 1, 1],
    ),
    "elu": (F.elu, [-1, -1, -1, 0, 50, 1e4], [0, 0, math.exp(-50), 1, 1, 1]),
    "relu": (F.relu, [0, 0, 0, 0, 50, 1e4], [0, 0, 0, 0, 1, 1]),
    "erf": (F.erf, [-1, -1, -1, 0, 1, 1], [0, 0, 0, 2 / math.sqrt(math.pi), 0, 0]),
    "tanh": (np.tanh, [-1, -1, -1, 0, 1, 1], [0, 0, 0, 1, 0, 0]),
    "logaddexp": (
        lambda x: np.logaddexp(x, 1.0),
        [1, 1, 1, np.logaddexp(0, 1), 50, 1e4],
        [0, 0, math.exp(-51), 1 / (1 + math.e), 1, 1],
    ),
}


@pytest.mark.parametrize(("f", "values", "slopes"), EXTREMES.values(), ids=list(EXTREMES))
def test_far_out(f: Any, values: Any, slopes: Any) -> None:
    x = Tensor(FAR, requires_grad=True)
    y = f(x)
    y.sum().backward() if np.isfinite(y.data).all() else y.backward(np.ones(y.shape))
    np.testing.assert_allclose(y.data, values, rtol=1e-10, atol=1e-16)
    np.testing.assert_allclose(x.grad, slopes, rtol=1e-6, atol=1e-16)


def test_softmax_of_huge_and_of_masked_scores() -> None:
    x = Tensor([[1e4, 1e4, -np.inf], [-np.inf, 0.0, -1e4]], requires_grad=True)
    p = F.softmax(x)
    np.testing.assert_allclose(p.data, [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    p.backward([[1.0, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(x.grad, [[0.25, -0.25, 0.0], [0.0, 0.0, 0.0]])


def test_logsumexp_of_nothing_but_masks_is_minus_infinity() -> None:
    x = Tensor([[-np.inf, -np.inf], [0.0, 0.0]], requires_grad=True)
    y = F.logsumexp(x, 1)
    np.testing.assert_allclose(y.data, [-np.inf, math.log(2)])
    y.backward([0.0, 1.0])
    np.testing.assert_allclose(x.grad, [[0.0, 0.0], [0.5, 0.5]])


def test_cross_entropy_of_a_hopeless_score_is_exact() -> None:
    assert F.cross_entropy(np.array([[0.0, 1000.0]]), np.array([0])) == 1000


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_erf_is_right_to_the_last_digits(dtype: Any) -> None:
    x = np.concatenate([np.linspace(-7, 7, 20_001), np.logspace(-300, 0, 301)]).astype(dtype)
    y = F.erf(x)
    exact = np.vectorize(math.erf)(x.astype(float))
    assert y.dtype == dtype
    np.testing.assert_array_less(np.abs(y - exact), 5 * np.spacing(np.abs(exact).astype(dtype)))
    assert np.isnan(F.erf(np.array(np.nan)))


def test_float32_stays_float32() -> None:
    x = Tensor(X.astype(np.float32), requires_grad=True)
    for name, (f, _) in CASES.items():
        if name in ("linear", "mse", "bce", "hinge") or "probabilities" in name or "sum" in name:
            continue  # these are given float64 targets
        assert f(x).dtype == np.float32, name


BAD = {
    "a class too many": (lambda: F.cross_entropy(X, np.array([0, 1, 4])), ShapeError, r"4 classes"),
    "a negative class": (lambda: F.cross_entropy(X, np.array([0, 1, -1])), ShapeError, r"-1\.\.1"),
    "a class for each of two": (lambda: F.cross_entropy(X, CLASSES[:2]), ShapeError, r"\(2,\)"),
    "float classes": (lambda: F.cross_entropy(X, CLASSES * 1.0), DtypeError, r"float64.*astype"),
    "one axis": (lambda: F.cross_entropy(X[0], CLASSES), ShapeError, r"\(N, C"),
    "broadcast mse": (lambda: F.mse_loss(X, Y[:, :1]), ShapeError, r"\(3, 4\).*\(3, 1\)"),
    "broadcast bce": (
        lambda: F.binary_cross_entropy_with_logits(X, Y[0]),
        ShapeError,
        r"\(3, 4\).*\(4,\)",
    ),
    "broadcast hinge": (lambda: F.hinge_loss(X, SIGNS[:, 0]), ShapeError, r"\(3,\)"),
    "reduction": (lambda: F.mse_loss(X, Y, reduction="avg"), ValueError, r"mean.*'avg'"),
    "approximate": (lambda: F.gelu(X, approximate="erf"), ValueError, r"tanh.*'erf'"),
    "linear": (lambda: F.linear(Tensor(X), Y[:, :3]), ShapeError, r"\(3, 4\).*\(3, 3\)"),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=list(BAD))
def test_bad_input(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()
    with pytest.raises(MinigradError):
        call()
