"""Values with axes of size 1 in front, assigned as NumPy lets one do: gradients, compiled."""

from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, grad
from minigrad.errors import MinigradError

pytestmark = pytest.mark.unoptimized

CASES: dict[str, tuple[tuple[int, ...], Any]] = {
    "a row": ((1, 3), 0),
    "one of the last row": ((1, 1, 1), -1),
    "a part of a row": ((1, 1), (0, slice(0, 1))),
    "by an index array": ((1, 2), (0, np.array([0, 2]))),
    "one place twice": ((1, 1, 2), (1, np.array([1, 1]))),
    "by a mask": ((1, 1, 3), np.array([True, False])),
    "rows by an index array": ((1, 1, 2, 3), np.array([1, 0])),
    "all": ((1, 2, 3), ...),
    "all by a slice": ((1, 1, 3), slice(None)),
    "an array of no axes": ((1, 1), (0, 2, ...)),
    "broadcast over two rows": ((1, 1, 1), (slice(None), slice(1))),
}
WEIGHTS = np.arange(1.0, 7.0).reshape(2, 3)


@pytest.mark.parametrize(("shape", "index"), CASES.values(), ids=list(CASES))
def test_leading_axes_of_size_one(shape: tuple[int, ...], index: Any) -> None:
    v = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)

    def f(v: Any, scale: Any = 1.0) -> Any:
        y = np.zeros_like(v, shape=(2, 3))
        y[index] = v * scale
        return np.sum(y * y * WEIGHTS)

    step = 1e-6 * np.eye(v.size).reshape(v.size, *shape)
    slopes = np.array([(f(v + h) - f(v - h)) / 2e-6 for h in step]).reshape(shape)
    for found in (grad(f)(v), minigrad.compile(grad(f))(v)):
        assert found.shape == shape
        np.testing.assert_allclose(found, slopes, rtol=1e-6, atol=1e-6)
    assert f(Tensor(v)).item() == minigrad.compile(f)(v) == f(v)


@pytest.mark.parametrize(("shape", "index"), [((1,), (0, 0)), ((2, 3), 0), ((1, 2), 0), ((1,), 5)])
def test_assignments_that_numpy_refuses_are_refused(shape: tuple[int, ...], index: Any) -> None:
    y = Tensor(np.zeros((2, 3)))
    with pytest.raises((ValueError, TypeError, IndexError)):
        y.data.copy()[index] = np.ones(shape)
    with pytest.raises(MinigradError):
        y[index] = np.ones(shape)
