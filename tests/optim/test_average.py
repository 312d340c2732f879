"""Exponential moving averages of parameters."""

from pathlib import Path

import numpy as np
import pytest

from minigrad import Tensor, load, save
from minigrad.errors import GradientError, ShapeError
from minigrad.optim import ExponentialMovingAverage
from tests.optim.rules import parameter

VALUES = np.random.default_rng(0).standard_normal((10, 3))


def averaged(w: Tensor, values: np.ndarray, decay: float = 0.8) -> ExponentialMovingAverage:
    average = ExponentialMovingAverage([w], decay)
    for value in values:
        w.data[...] = value
        average.update()
    return average


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_the_first_update_copies_and_the_others_mix(dtype: type, tolerance: float) -> None:
    w = parameter(3, dtype=dtype)
    average = averaged(w, VALUES)
    expected = VALUES[0]
    for value in VALUES[1:]:
        expected = 0.8 * expected + 0.2 * value
    with average.applied():
        assert w.dtype == dtype
        np.testing.assert_allclose(w.data, expected, rtol=tolerance)


def test_a_first_update_is_an_exact_copy() -> None:
    w = parameter(1, dtype=np.float64)
    w.data[...] = 1e20
    average = ExponentialMovingAverage([w])
    w.data[...] = 0.1
    average.update()
    assert average.averages[0] == 0.1


def test_averages_are_put_in_place_and_taken_out_again() -> None:
    w = parameter(3)
    average = averaged(w, VALUES)
    buffer, last = w.data, w.data.copy()
    with pytest.raises(KeyError), average.applied():
        assert w.data is buffer
        assert (w.data != last).all()
        raise KeyError
    assert w.data is buffer
    np.testing.assert_array_equal(w.data, last)


def test_a_loaded_average_goes_on_bit_for_bit(tmp_path: Path) -> None:
    w, v = parameter(3), parameter(3)
    save(tmp_path / "average.safetensors", averaged(w, VALUES[:5]).state_dict())
    loaded = ExponentialMovingAverage([v], 0.8)
    buffer = loaded.averages[0]
    loaded.load_state_dict(load(tmp_path / "average.safetensors"))
    for value in VALUES[5:]:
        v.data[...] = value
        loaded.update()
    whole = averaged(w, VALUES)
    assert loaded.averages[0] is buffer
    assert buffer.tobytes() == whole.averages[0].tobytes()
    assert loaded.n_averaged == 10


def test_a_state_that_does_not_fit() -> None:
    state = ExponentialMovingAverage([parameter(3), parameter(2)]).state_dict()
    with pytest.raises(ShapeError, match=r"(?s)ExponentialMovingAverage.*unexpected: average.1"):
        ExponentialMovingAverage([parameter(3)]).load_state_dict(state)


@pytest.mark.parametrize("decay", [-0.1, 1.1])
def test_a_decay_out_of_its_range(decay: float) -> None:
    with pytest.raises(ValueError, match="decay must be at least 0 and at most 1, and is"):
        ExponentialMovingAverage([parameter(1)], decay)


def test_no_parameters() -> None:
    with pytest.raises(GradientError, match="ExponentialMovingAverage was given no parameters"):
        ExponentialMovingAverage([])
