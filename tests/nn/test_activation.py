"""Activations as layers: each is the function it names, with its settings."""

from typing import Any

import numpy as np
import pytest

import minigrad.functional as F
from minigrad import check_gradients, nn

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


def test_every_activation_is_tried() -> None:
    others = {nn.Module, nn.Sequential, nn.Flatten, nn.Linear, nn.Conv2d}
    others |= {nn.MaxPool2d, nn.AvgPool2d}
    assert {getattr(nn, name) for name in nn.__all__} - others == {type(x) for x, *_ in CASES}
