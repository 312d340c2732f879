"""Clipping of gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.optim import clip_grad_norm_, clip_grad_value_

Clip = Callable[[Any, float], Any]


def with_gradient(gradient: Any, dtype: type = np.float64) -> Tensor:
    w = Tensor(np.zeros_like(gradient, dtype), requires_grad=True)
    w.grad = np.asarray(gradient, dtype)
    return w


def test_a_norm_is_of_all_gradients_together_and_so_is_the_scale() -> None:
    v, w = with_gradient([3.0, 0.0]), with_gradient([[4.0]])
    assert clip_grad_norm_([v, w], 1.0) == 5.0
    np.testing.assert_allclose(v.grad, [0.6, 0], rtol=1e-6)
    np.testing.assert_allclose(w.grad, [[0.8]], rtol=1e-6)


def test_a_small_norm_leaves_gradients_as_they_are() -> None:
    w = with_gradient([3.0, 4.0])
    gradient = w.grad
    assert clip_grad_norm_([w], 5.1) == 5.0
    assert w.grad is gradient


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_value_])
@pytest.mark.parametrize("gradient", [[3.0, -4.0], 3.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gradient_that_others_hold_is_not_written_to(
    clip: Clip, gradient: Any, dtype: type
) -> None:
    w = with_gradient(gradient, dtype)
    held = w.grad
    clip([w], np.float64(1.0))
    assert held.tolist() == gradient
    assert type(w.grad) is np.ndarray
    assert w.grad.tolist() != gradient
    assert w.grad.dtype == dtype


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_value_])
def test_parameters_without_a_gradient_are_left_out(clip: Clip) -> None:
    w, without = with_gradient([3.0]), Tensor(1.0, requires_grad=True)
    clip(iter([without, w]), 1.0)
    assert without.grad is None
    assert w.grad == pytest.approx([1.0])


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_value_])
def test_a_single_parameter_and_a_gradient_that_is_a_tensor(clip: Clip) -> None:
    w = Tensor([2.0], requires_grad=True)
    (w * w).backward(create_graph=True)
    clip(w, 1.0)
    assert w.grad == pytest.approx([1.0])


def test_no_gradients_have_norm_0() -> None:
    assert clip_grad_norm_([Tensor(1.0, requires_grad=True)], 1.0) == 0.0


def test_squares_that_float32_does_not_have() -> None:
    w = with_gradient([3e30, 4e30], np.float32)
    assert clip_grad_norm_([w], 1.0) == pytest.approx(5e30)
    np.testing.assert_allclose(w.grad, [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize(
    ("gradient", "expected"),
    [([np.inf, 1.0], [np.nan, 0.0]), ([np.nan, 1.0], [np.nan, np.nan])],
)
def test_a_norm_that_is_not_finite_shows_in_what_is_returned(
    gradient: list[float], expected: list[float]
) -> None:
    w = with_gradient(gradient)
    with np.errstate(invalid="ignore"):
        norm = clip_grad_norm_([w], 1.0)
    assert not np.isfinite(norm)
    np.testing.assert_array_equal(w.grad, expected)


def test_values_are_brought_into_the_range() -> None:
    w = with_gradient([[3.0, -0.5], [-np.inf, np.nan]])
    clip_grad_value_([w], 1.0)
    np.testing.assert_array_equal(w.grad, [[1, -0.5], [-1, np.nan]])


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_value_])
@pytest.mark.parametrize("bound", [-1.0, float("nan"), None])
def test_a_bound_that_is_none(clip: Clip, bound: Any) -> None:
    with pytest.raises(ValueError, match="must be at least 0, and is"):
        clip([with_gradient([1.0])], bound)
