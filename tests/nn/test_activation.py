"""Activations as layers: each is the function it names, with its settings."""

from typing import Any

import numpy as np
import pytest

import minigrad.functional as F
from minigrad import check_gradients, nn
from minigrad.errors import ArgumentError, ShapeError
from minigrad.nn import Module, activation

X = np.array([-2.0, -0.7, 0.4, 1.9])

CASES: list[tuple[nn.Module, np.ndarray, str]] = [
    (nn.ReLU(), np.maximum(X, 0), "ReLU()"),
    (nn.LeakyReLU(), np.where(X > 0, X, 0.01 * X), "LeakyReLU(negative_slope=0.01)"),
    (nn.LeakyReLU(0.2), np.where(X > 0, X, 0.2 * X), "LeakyReLU(negative_slope=0.2)"),
    (nn.ELU(), np.where(X > 0, X, np.expm1(X)), "ELU(alpha=1.0)"),
    (nn.ELU(0.5), np.where(X > 0, X, 0.5 * np.expm1(X)), "ELU(alpha=0.5)"),
    (nn.GELU(), F.gelu(X), "GELU(approximate='none')"),
    (nn.GELU("tanh"), F.gelu(X, "tanh"), "GELU(approximate='tanh')"),
    (nn.SiLU(), X / (1 + np.exp(-X)), "SiLU()"),
    (nn.Softplus(), np.log(1 + np.exp(X)), "Softplus()"),
    (nn.Tanh(), np.tanh(X), "Tanh()"),
    (nn.Sigmoid(), 1 / (1 + np.exp(-X)), "Sigmoid()"),
    (nn.LogSigmoid(), -np.log(1 + np.exp(-X)), "LogSigmoid()"),
    (nn.Softmax(), np.exp(X) / np.exp(X).sum(), "Softmax(axis=-1)"),
    (nn.LogSoftmax(0), X - np.log(np.exp(X).sum()), "LogSoftmax(axis=0)"),
    (nn.Identity(), X, "Identity()"),
]


@pytest.mark.parametrize(("layer", "expected", "text"), CASES, ids=[text for *_, text in CASES])
def test_activation(layer: nn.Module, expected: np.ndarray, text: str) -> None:
    np.testing.assert_allclose(layer(X), expected, rtol=1e-12)
    check_gradients(layer, X)
    assert repr(layer) == text
    assert not list(layer.parameters())


@pytest.mark.parametrize("layer", [layer for layer, *_ in CASES], ids=repr)
def test_float32_stays_float32(layer: Any) -> None:
    assert layer(X.astype(np.float32)).dtype == np.float32


def test_the_axis_reaches_softmax() -> None:
    x = X.reshape(2, 2)
    np.testing.assert_allclose(nn.Softmax(0)(x).sum(0), [1, 1])
    np.testing.assert_allclose(np.exp(nn.LogSoftmax(0)(x)).sum(0), [1, 1])


def test_every_activation_is_tried() -> None:
    there = {x for x in vars(activation).values() if isinstance(x, type) and issubclass(x, Module)}
    there = {x for x in there if x.__module__ == activation.__name__}
    assert there == {type(layer) for layer, *_ in CASES} | {nn.PReLU}
    assert there <= {getattr(nn, name) for name in nn.__all__}


def test_prelu_trains_its_slopes() -> None:
    layer = nn.PReLU(4, 0.5)
    assert layer.weight.dtype == np.float32
    assert layer.weight.requires_grad
    assert layer.weight.data.tolist() == [0.5] * 4
    assert nn.PReLU().weight.data.tolist() == [0.25]
    assert repr(layer) == "PReLU(num_parameters=4)  # 4 parameters"

    def output(x: Any, weight: Any) -> Any:
        layer.weight = weight
        return layer(x)

    check_gradients(output, X.reshape(1, 4), np.array([0.1, 0.2, 0.3, 0.4]))


def test_prelu_of_one_value_without_axes() -> None:
    """As PyTorch's: prelu(-2) of shape () is -0.5, of shape ()."""
    y = nn.PReLU()(np.array(-2.0))
    assert (y.shape, y.item()) == ((), -0.5)


def test_prelu_of_other_channels_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 3\).*\(4,\)"):
        nn.PReLU(4)(np.zeros((2, 3)))
    with pytest.raises(ArgumentError, match="PReLU: num_parameters must be at least 1, and is 0"):
        nn.PReLU(0)
