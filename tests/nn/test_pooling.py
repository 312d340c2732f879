"""Pooling as a layer."""

import numpy as np
import pytest

from minigrad import Tensor, check_gradients
from minigrad.errors import ShapeError
from minigrad.functional import avg_pool2d, max_pool2d
from minigrad.nn import AvgPool2d, MaxPool2d, Module

RNG = np.random.default_rng(0)
X = Tensor(RNG.permutation(2 * 2 * 6 * 5).reshape(2, 2, 6, 5) / 10)


def test_every_setting_reaches_the_pooling() -> None:
    layer = MaxPool2d((2, 3), (1, 2), (0, 1), (2, 1))
    expected = max_pool2d(X.data, (2, 3), (1, 2), (0, 1), (2, 1))
    assert np.array_equal(layer(X).data, expected)
    average = AvgPool2d((2, 3), (1, 2), (0, 1))
    np.testing.assert_allclose(average(X).data, avg_pool2d(X.data, (2, 3), (1, 2), (0, 1)))
    # Each setting changes the result, so none was left out on both sides.
    others = [MaxPool2d((2, 3), (1, 2), (0, 1)), MaxPool2d((2, 3), (1, 2), 0, (2, 1))]
    others += [MaxPool2d((2, 3), None, (0, 1), (2, 1)), MaxPool2d((2, 2), (1, 2), (0, 1), (2, 1))]
    assert not any(np.array_equal(other(X).data, expected) for other in others)


@pytest.mark.parametrize("kind", [MaxPool2d, AvgPool2d])
def test_the_stride_is_the_kernels_size_unless_given(kind: type[MaxPool2d | AvgPool2d]) -> None:
    layer = kind((3, 2))
    assert layer.stride == (3, 2)
    assert layer(X).shape == (2, 2, 2, 2)


@pytest.mark.parametrize("layer", [MaxPool2d(2), MaxPool2d(3, 1, 1), AvgPool2d((2, 1), 1, (1, 0))])
def test_gradients(layer: Module) -> None:
    check_gradients(lambda x: layer(x) ** 2, X.data[:1, :, :4, :3])


@pytest.mark.parametrize("layer", [MaxPool2d(7), AvgPool2d(7)])
def test_a_window_larger_than_the_image_is_refused(layer: Module) -> None:
    with pytest.raises(ShapeError, match=r"\(7, 7\)"):
        layer(X)


def test_repr() -> None:
    assert repr(MaxPool2d(2)) == (
        "MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0), dilation=(1, 1))"
    )
    assert repr(AvgPool2d(2, 1)) == "AvgPool2d(kernel_size=(2, 2), stride=(1, 1), padding=(0, 0))"
