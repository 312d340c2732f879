"""Activations: their formulas, and where these would overflow."""

import math
from typing import Any

import numpy as np
import pytest

import minigrad
import minigrad.functional as F
from minigrad import Tensor
from minigrad.errors import DtypeError, MinigradError, ShapeError
from tests.functional.cases import Case, Cases

RNG = np.random.default_rng(2)
X = RNG.uniform(-2, 2, (3, 4))
X = np.where(np.abs(X) < 0.1, 0.5, X)
STACK = RNG.choice([-1, 1], (2, 3, 4)) * RNG.uniform(0.1, 2, (2, 3, 4))
SLOPES = np.array([0.5, -0.2, 0.1])


def normal_cdf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(lambda t: 0.5 * (1 + math.erf(t / math.sqrt(2))))(x)


SOFTMAX = np.exp(X) / np.exp(X).sum(-1, keepdims=True)
SIGMOID = 1 / (1 + np.exp(-X))
CASES: Cases = {
    "relu": Case(F.relu, (X,), np.where(X > 0, X, 0)),
    "sigmoid": Case(F.sigmoid, (X,), SIGMOID),
    "logsigmoid": Case(F.logsigmoid, (X,), np.log(SIGMOID)),
    "erf": Case(F.erf, (X,), np.vectorize(math.erf)(X)),
    "logsumexp": Case(lambda x: F.logsumexp(x, 1), (X,), np.log(np.exp(X).sum(1))),
    "softmax": Case(F.softmax, (X,), SOFTMAX),
    "softmax axis": Case(lambda x: F.softmax(x, 0), (X,), np.exp(X) / np.exp(X).sum(0)),
    "log_softmax": Case(F.log_softmax, (X,), np.log(SOFTMAX)),
    "gelu": Case(F.gelu, (X,), X * normal_cdf(X)),
    "gelu tanh": Case(
        lambda x: F.gelu(x, approximate="tanh"),
        (X,),
        0.5 * X * (1 + np.tanh(np.sqrt(2 / np.pi) * (X + 0.044715 * X**3))),
    ),
    "silu": Case(F.silu, (X,), X * SIGMOID),
    "softplus": Case(F.softplus, (X,), np.log(1 + np.exp(X))),
    "leaky_relu": Case(lambda x: F.leaky_relu(x, 0.2), (X,), np.where(X > 0, X, 0.2 * X)),
    "prelu": Case(F.prelu, (X, SLOPES[:1]), np.where(X > 0, X, 0.5 * X)),
    "prelu by channel": Case(
        F.prelu, (STACK, SLOPES), np.where(STACK > 0, STACK, SLOPES[:, None] * STACK)
    ),
    "prelu by feature": Case(F.prelu, (X.T, SLOPES), np.where(X.T > 0, X.T, SLOPES * X.T)),
    "elu": Case(lambda x: F.elu(x, 1.5), (X,), np.where(X > 0, X, 1.5 * (np.exp(X) - 1))),
}

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


def test_logsigmoid_far_out() -> None:
    x = Tensor(FAR[1:], requires_grad=True)
    y = F.logsigmoid(x)
    y.sum().backward()
    np.testing.assert_allclose(y.data, [-1e4, -50, -math.log(2), -math.exp(-50), 0], rtol=1e-10)
    np.testing.assert_allclose(x.grad, [1, 1, 0.5, math.exp(-50), 0], rtol=1e-6)


def test_softmax_of_huge_and_of_masked_scores() -> None:
    x = Tensor([[1e4, 1e4, -np.inf], [-np.inf, 0.0, -1e4]], requires_grad=True)
    p = F.softmax(x)
    np.testing.assert_allclose(p.data, [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    p.backward([[1.0, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(x.grad, [[0.25, -0.25, 0.0], [0.0, 0.0, 0.0]])


def test_the_derivative_of_logsumexp_of_one_number_is_one() -> None:
    assert minigrad.grad(lambda x: F.logsumexp(x, None))(1.5) == 1
    assert minigrad.grad(lambda x: F.logsumexp(x, None))(np.array(-2.0)) == 1


def test_logsumexp_of_nothing_but_masks_is_minus_infinity() -> None:
    x = Tensor([[-np.inf, -np.inf], [0.0, 0.0]], requires_grad=True)
    y = F.logsumexp(x, 1)
    np.testing.assert_allclose(y.data, [-np.inf, math.log(2)])
    y.backward([0.0, 1.0])
    np.testing.assert_allclose(x.grad, [[0.0, 0.0], [0.5, 0.5]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_erf_is_right_to_the_last_digits(dtype: Any) -> None:
    x = np.concatenate([np.linspace(-7, 7, 20_001), np.logspace(-300, 0, 301)]).astype(dtype)
    y = F.erf(x)
    exact = np.vectorize(math.erf)(x.astype(float))
    assert y.dtype == dtype
    np.testing.assert_array_less(np.abs(y - exact), 5 * np.spacing(np.abs(exact).astype(dtype)))
    assert np.isnan(F.erf(np.array(np.nan)))


BAD: dict[str, tuple[Any, Any, str]] = {
    "approximate": (lambda: F.gelu(X, approximate="erf"), ValueError, r"tanh.*'erf'"),
    "slopes": (lambda: F.prelu(X, SLOPES), ShapeError, r"\(3, 4\).*\(3,\).*each channel"),
    "slopes of no axis": (lambda: F.prelu(X, np.array(0.5)), ShapeError, r"one slope, \(1,\)"),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=list(BAD))
def test_bad_input(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        call()
    assert isinstance(raised.value, MinigradError)


ACTIVATIONS = (
    "relu sigmoid logsigmoid softplus silu gelu elu leaky_relu erf softmax logsumexp".split()
)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_complex_numbers_are_refused(name: str) -> None:
    """NumPy's own functions would take them, and some leave out the imaginary part."""
    for form in (np.array, Tensor):
        with pytest.raises(DtypeError, match="complex128"):
            getattr(F, name)(form([1 + 2j, 3 - 1j]))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_lists_are_arrays(name: str) -> None:
    f = getattr(F, name)
    np.testing.assert_array_equal(f([-1.0, 0.5]), f(np.array([-1.0, 0.5])))
