"""Convolution as a layer."""

from typing import Any

import numpy as np
import pytest

from minigrad import check_gradients
from minigrad.errors import ShapeError
from minigrad.functional import conv1d, conv2d, conv_transpose2d
from minigrad.nn import Conv1d, Conv2d, ConvTranspose2d, Module

RNG = np.random.default_rng(0)


def test_parameters_have_pytorchs_shapes_and_start() -> None:
    layer = Conv2d(4, 60, (3, 5), groups=2, rng=np.random.default_rng(0))
    assert layer.bias is not None
    assert layer.weight.shape == (60, 2, 3, 5)
    assert layer.bias.shape == (60,)
    for parameter in layer.weight, layer.bias:
        assert parameter.dtype == np.float32
        assert parameter.requires_grad
        assert np.abs(parameter.data).max() <= np.float32(1 / np.sqrt(30))
        assert parameter.data.std() == pytest.approx(1 / np.sqrt(90), rel=0.2)
    assert Conv2d(1, 1, 1, bias=False).bias is None


def test_every_setting_reaches_the_convolution() -> None:
    settings: dict[str, Any] = {"stride": (2, 1), "padding": (1, 2), "dilation": 2, "groups": 2}
    layer = Conv2d(4, 6, 2, **settings)
    x = RNG.standard_normal((3, 4, 7, 6)).astype(np.float32)
    y = layer(x)
    assert y.dtype == np.float32
    assert np.array_equal(y.data, conv2d(x, layer.weight, layer.bias, **settings).data)
    for name, plain in {"stride": 1, "padding": 0, "dilation": 1}.items():
        assert not np.array_equal(Conv2d(4, 6, 2, **{**settings, name: plain})(x).shape, y.shape)


def test_every_setting_reaches_the_convolution_of_signals() -> None:
    settings: dict[str, Any] = {"stride": 2, "padding": 1, "dilation": 3, "groups": 2}
    layer = Conv1d(4, 6, 2, **settings)
    assert layer.weight.shape == (6, 2, 2)
    x = RNG.standard_normal((3, 4, 9)).astype(np.float32)
    y = layer(x)
    assert y.dtype == np.float32
    assert np.array_equal(y.data, conv1d(x, layer.weight, layer.bias, **settings).data)
    for name, plain in {"stride": 1, "padding": 0, "dilation": 1}.items():
        assert not np.array_equal(Conv1d(4, 6, 2, **{**settings, name: plain})(x).shape, y.shape)


def test_every_setting_reaches_the_transposed_convolution() -> None:
    settings: dict[str, Any] = {"stride": (2, 3), "padding": (1, 2), "output_padding": (1, 0)}
    settings |= {"dilation": 2, "groups": 2}
    layer = ConvTranspose2d(4, 6, (2, 3), **settings)
    assert layer.weight.shape == (4, 3, 2, 3)
    x = RNG.standard_normal((3, 4, 5, 6)).astype(np.float32)
    y = layer(x)
    assert y.dtype == np.float32
    assert np.array_equal(y.data, conv_transpose2d(x, layer.weight, layer.bias, **settings).data)
    for name, plain in {"stride": 2, "padding": 0, "output_padding": 0, "dilation": 1}.items():
        other = ConvTranspose2d(4, 6, (2, 3), **{**settings, name: plain})
        assert other(x).shape != y.shape


def test_the_transposed_convolution_goes_the_way_back() -> None:
    there = Conv2d(3, 8, 4, stride=2, padding=1)
    back = ConvTranspose2d(8, 3, 4, stride=2, padding=1)
    assert back(there(np.zeros((2, 3, 16, 12)))).shape == (2, 3, 16, 12)
    assert back.weight.shape == there.weight.shape


def test_padding_same_keeps_the_size() -> None:
    assert Conv2d(1, 2, (3, 4), padding="same")(np.zeros((2, 1, 5, 6))).shape == (2, 2, 5, 6)


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (Conv1d(2, 4, 2, stride=2, padding=1, groups=2), (3,)),
        (Conv2d(2, 4, 2, stride=(1, 2), padding=1, groups=2), (3, 2)),
        (ConvTranspose2d(2, 4, 2, stride=(1, 2), padding=(1, 0), groups=2), (3, 2)),
    ],
    ids=repr,
)
def test_gradients(layer: Any, size: tuple[int, ...]) -> None:
    def output(x: Any, weight: Any, bias: Any) -> Any:
        layer.weight, layer.bias = weight, bias
        return np.tanh(layer(x))

    check_gradients(
        output,
        RNG.standard_normal((1, 2, *size)),
        RNG.standard_normal(layer.weight.shape),
        RNG.standard_normal(4),
    )


@pytest.mark.parametrize("shape", [(1, 4, 8, 8), (3, 8, 8), (1, 3, 1, 8)])
def test_an_input_that_does_not_fit_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError) as error:
        Conv2d(3, 8, 2)(np.zeros(shape))
    message = str(error.value)
    assert "Conv2d(3, 8, kernel_size=(2, 2), stride=(1, 1))" in message
    assert "(N, 3, H, W)" in message
    assert str(shape) in message


@pytest.mark.parametrize(
    ("layer", "shape", "takes"),
    [
        (Conv1d(3, 8, 2), (1, 4, 8), "signals of shape (N, 3, L)"),
        (Conv1d(3, 8, 2), (1, 3, 8, 8), "signals of shape (N, 3, L)"),
        (Conv1d(3, 8, 9), (1, 3, 8), "(9,) with dilation (1,) does not fit"),
        (ConvTranspose2d(3, 8, 2), (1, 8, 4, 4), "images of shape (N, 3, H, W)"),
        (ConvTranspose2d(3, 8, 2, padding=9), (1, 3, 4, 4), "cuts off all"),
        (ConvTranspose2d(3, 8, 2, output_padding=1), (1, 3, 4, 4), "smaller than stride"),
    ],
)
def test_so_are_others(layer: Module, shape: tuple[int, ...], takes: str) -> None:
    with pytest.raises(ShapeError) as error:
        layer(np.zeros(shape))
    message = str(error.value)
    assert f"{type(layer).__name__}(3, 8, kernel_size=" in message
    assert takes in message
    assert str(shape) in message


@pytest.mark.parametrize(
    "arguments", [(0, 1, 3), (1, 0, 3), (1, 1, 0), (1, 1, (3, 0)), (1, 1, (3, 3, 3))]
)
@pytest.mark.parametrize("layer", [Conv2d, ConvTranspose2d])
def test_sizes_that_make_no_sense_are_refused(layer: Any, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError):
        layer(*arguments)


@pytest.mark.parametrize("channels", [(3, 4), (4, 3)])
def test_channels_that_do_not_divide_into_groups_are_refused(channels: tuple[int, int]) -> None:
    with pytest.raises(ShapeError, match="multiples of groups"):
        Conv2d(*channels, 3, groups=2)


def test_repr_shows_what_is_not_the_default() -> None:
    assert repr(Conv2d(2, 4, 3, bias=False)) == (
        "Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), bias=False)  # 72 parameters"
    )
    assert repr(Conv2d(2, 4, 1, 1, "same", 3, 2)) == (
        "Conv2d(2, 4, kernel_size=(1, 1), stride=(1, 1), padding='same', dilation=(3, 3), groups=2)"
        "  # 8 parameters"
    )
    assert repr(Conv1d(2, 4, 3, 2, 1)) == (
        "Conv1d(2, 4, kernel_size=(3,), stride=(2,), padding=1)  # 28 parameters"
    )
    assert repr(ConvTranspose2d(2, 4, 3, 2, (1, 0), 1, 2, False, 3)) == (
        "ConvTranspose2d(2, 4, kernel_size=(3, 3), stride=(2, 2), padding=(1, 0), output_padding=1,"
        " groups=2, dilation=(3, 3), bias=False)  # 36 parameters"
    )
