"""Convolution, pooling, normalization, activations and losses against PyTorch's in float64."""

from typing import Any

import numpy as np
import pytest
import torch

from minigrad import nn
from tests.oracles.compare import compare

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"bias": False},
        {"stride": 2},
        {"stride": (1, 3), "padding": (2, 0)},
        {"padding": 1, "dilation": 2},
        {"dilation": (1, 2), "groups": 2},
        {"padding": "same"},
        {"padding": "same", "dilation": 2},
        {"groups": 4, "stride": 2, "padding": 2, "dilation": (2, 1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("kernel", [1, 3, (2, 3)])
# PyTorch finds an even kernel slow, with padding on one side only.
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_conv2d(settings: dict[str, Any], kernel: Any) -> None:
    x = RNG.standard_normal((2, 4, 7, 8))
    compare(nn.Conv2d(4, 8, kernel, **settings), torch.nn.Conv2d(4, 8, kernel, **settings), x)


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 1, "padding": 1},
        {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0)},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["MaxPool2d", "AvgPool2d"])
def test_pooling(name: str, settings: dict[str, Any]) -> None:
    # No two pixels are equal: minigrad shares the gradient of ties, PyTorch gives it to the first.
    x = RNG.permutation(2 * 3 * 7 * 8).reshape(2, 3, 7, 8) / 10
    compare(getattr(nn, name)(**settings), getattr(torch.nn, name)(**settings), x)


def test_max_pool_with_dilation() -> None:
    x = RNG.permutation(2 * 3 * 7 * 8).reshape(2, 3, 7, 8) / 10
    compare(nn.MaxPool2d(2, 1, 1, 2), torch.nn.MaxPool2d(2, 1, 1, 2), x)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ReLU", ()),
        ("LeakyReLU", ()),
        ("LeakyReLU", (0.3,)),
        ("ELU", ()),
        ("ELU", (0.5,)),
        ("GELU", ()),
        ("GELU", ("tanh",)),
        ("SiLU", ()),
        ("Softplus", ()),
        ("Tanh", ()),
        ("Sigmoid", ()),
    ],
)
def test_activations(name: str, arguments: tuple[Any, ...]) -> None:
    x = 3 * RNG.standard_normal((4, 5))
    theirs = (
        torch.nn.GELU(approximate="tanh")
        if "tanh" in arguments
        else getattr(torch.nn, name)(*arguments)
    )
    compare(getattr(nn, name)(*arguments), theirs, x)
