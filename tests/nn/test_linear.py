"""Linear layers."""

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, check_gradients
from minigrad.errors import ArgumentError, ShapeError
from minigrad.nn import Bilinear, Linear

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("lead", [(), (4,), (2, 3), (0,), (0, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_forward_is_the_formula(lead: tuple[int, ...], bias: bool) -> None:
    layer = Linear(5, 3, bias)
    x = RNG.standard_normal((*lead, 5)).astype(np.float32)
    expected = x @ layer.weight.data.T + (layer.bias.data if layer.bias is not None else 0)
    y = layer(x)
    assert y.dtype == np.float32
    assert y.shape == (*lead, 3)
    np.testing.assert_allclose(y.data, expected, rtol=1e-6, atol=1e-6)


def test_gradients() -> None:
    layer = Linear(4, 2)

    def output(x: Any, weight: Any, bias: Any) -> Any:
        layer.weight, layer.bias = weight, bias
        return np.tanh(layer(x))

    check_gradients(
        output,
        RNG.standard_normal((3, 4)),
        RNG.standard_normal((2, 4)),
        RNG.standard_normal(2),
    )


def test_parameters_start_uniform_by_fan_in() -> None:
    layer = Linear(100, 400, rng=np.random.default_rng(0))
    assert layer.bias is not None
    for parameter in layer.weight, layer.bias:
        assert parameter.dtype == np.float32
        assert parameter.requires_grad
        assert np.abs(parameter.data).max() <= np.float32(0.1)
        # The deviation of a uniform distribution is its width / sqrt(12).
        assert parameter.data.std() == pytest.approx(0.2 / np.sqrt(12), rel=0.1)
    assert (layer.weight.shape, layer.bias.shape) == ((400, 100), (400,))


def test_the_generator_decides_the_start() -> None:
    a, b = (Linear(3, 2, rng=np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(a.weight.data, b.weight.data)
    assert not np.array_equal(Linear(3, 2).weight.data, Linear(3, 2).weight.data)


@pytest.mark.parametrize("shape", [(32, 65), (64, 32), (63,), ()])
def test_an_input_that_does_not_fit_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError) as error:
        Linear(64, 10)(Tensor(np.zeros(shape)))
    message = str(error.value)
    assert "Linear(in_features=64, out_features=10, bias=True)" in message
    assert "(..., 64)" in message
    assert str(shape) in message


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0), (-1, 2)])
def test_sizes_below_one_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(ArgumentError, match="at least 1, and is"):
        Linear(*sizes)


def bilinear_formula(layer: Bilinear, x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    bias = 0 if layer.bias is None else layer.bias.data
    return np.einsum("...i,oij,...j->...o", x1, layer.weight.data, x2) + bias


@pytest.mark.parametrize("lead", [(), (4,), (2, 3), (0,)])
@pytest.mark.parametrize("bias", [True, False])
def test_bilinear(lead: tuple[int, ...], bias: bool) -> None:
    layer = Bilinear(5, 4, 3, bias)
    x1, x2 = RNG.standard_normal((*lead, 5)), RNG.standard_normal((*lead, 4))
    y = layer(x1, x2)
    assert y.shape == (*lead, 3)
    np.testing.assert_allclose(y.data, bilinear_formula(layer, x1, x2), rtol=1e-6, atol=1e-6)


def test_bilinear_parameters_start_uniform_by_the_first_input() -> None:
    layer = Bilinear(100, 20, 10, rng=np.random.default_rng(0))
    assert layer.bias is not None
    assert (layer.weight.shape, layer.bias.shape) == ((10, 100, 20), (10,))
    assert np.abs(layer.weight.data).max() == pytest.approx(0.1, rel=0.01)
    assert np.abs(layer.bias.data).max() <= np.float32(0.1)


@pytest.mark.parametrize(
    "shapes", [((5, 4), (5, 4)), ((5, 3), (6, 4)), ((3,), (5, 4)), ((5, 3), (5, 3)), ((), (4,))]
)
def test_inputs_that_do_not_fit_bilinear_are_named(shapes: Any) -> None:
    with pytest.raises(ShapeError) as error:
        Bilinear(3, 4, 2)(*map(np.zeros, shapes))
    message = str(error.value)
    assert "Bilinear(in1_features=3, in2_features=4, out_features=2, bias=True)" in message
    assert f"{shapes[0]} and {shapes[1]}" in message


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 0, 1), (1, 1, -1)])
def test_bilinear_sizes_below_one_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ArgumentError, match="at least 1, and is"):
        Bilinear(*sizes)
