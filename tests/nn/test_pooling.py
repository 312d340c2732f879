"""Pooling as a layer."""

from typing import Any

import numpy as np
import pytest

import minigrad.functional as F
from minigrad import Tensor, check_gradients, nn
from minigrad.errors import ShapeError

RNG = np.random.default_rng(0)
X = RNG.permutation(2 * 2 * 6 * 5).reshape(2, 2, 6, 5) / 10

# Of each, the settings, and others of which every one changes what comes out.
LAYERS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (
        "MaxPool1d",
        "max_pool1d",
        {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": 2},
        {"kernel_size": 3, "stride": 2, "padding": 0, "dilation": 1},
    ),
    (
        "MaxPool2d",
        "max_pool2d",
        {"kernel_size": (2, 3), "stride": (1, 2), "padding": (0, 1), "dilation": (2, 1)},
        {"kernel_size": 2, "stride": None, "padding": 0, "dilation": 1},
    ),
    (
        "AvgPool1d",
        "avg_pool1d",
        {"kernel_size": 3, "stride": 1, "padding": 1, "count_include_pad": False},
        {"kernel_size": 2, "stride": None, "padding": 0, "count_include_pad": True},
    ),
    (
        "AvgPool2d",
        "avg_pool2d",
        {"kernel_size": (2, 3), "stride": (1, 2), "padding": (0, 1), "count_include_pad": False},
        {"kernel_size": 2, "stride": None, "padding": 0, "count_include_pad": True},
    ),
    ("AdaptiveAvgPool1d", "adaptive_avg_pool1d", {"output_size": 2}, {"output_size": 3}),
    ("AdaptiveAvgPool2d", "adaptive_avg_pool2d", {"output_size": (2, 3)}, {"output_size": 3}),
]


@pytest.mark.parametrize(("name", "function", "settings", "others"), LAYERS)
def test_every_setting_reaches_the_pooling(
    name: str, function: str, settings: dict[str, Any], others: dict[str, Any]
) -> None:
    layer, y = getattr(nn, name), getattr(F, function)(X, **settings)
    assert np.array_equal(layer(**settings)(X), y)
    for setting, value in others.items():
        assert not np.array_equal(layer(**{**settings, setting: value})(X), y)


@pytest.mark.parametrize(("name", "function", "settings", "others"), LAYERS)
def test_gradients_and_dtype(
    name: str, function: str, settings: dict[str, Any], others: dict[str, Any]
) -> None:
    layer = getattr(nn, name)(**settings)
    check_gradients(lambda x: layer(x) ** 2, X[:1])
    assert layer(X.astype(np.float32)).dtype == np.float32
    assert not list(layer.parameters())


@pytest.mark.parametrize("name", [name for name, *_ in LAYERS[:4]])
def test_the_stride_is_the_kernels_size_unless_given(name: str) -> None:
    layer = getattr(nn, name)(2)
    assert layer.stride == 2
    assert layer(X[..., :4]).shape[-1] == 2


@pytest.mark.parametrize("layer", [nn.MaxPool2d(7), nn.AvgPool2d(7)])
def test_a_window_larger_than_the_image_is_refused(layer: nn.Module) -> None:
    with pytest.raises(ShapeError, match=r"\(7, 7\)"):
        layer(Tensor(X))


def test_an_input_that_does_not_fit_is_named_with_the_layer() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.pool = nn.MaxPool2d(2)

        def forward(self, x: Any) -> Any:
            return self.pool(x)

    with pytest.raises(ShapeError, match=r"(?s)max_pool2d of x \(3,\).*in Net.pool \(MaxPool2d\)"):
        Net()(np.zeros(3))


def test_repr() -> None:
    assert repr(nn.MaxPool2d(2)) == "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1)"
    assert repr(nn.AvgPool1d((3,), 1)) == (
        "AvgPool1d(kernel_size=(3,), stride=1, padding=0, count_include_pad=True)"
    )
    assert repr(nn.AdaptiveAvgPool2d((1, 2))) == "AdaptiveAvgPool2d(output_size=(1, 2))"
