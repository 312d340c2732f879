"""MNIST-1D, where its package is installed; and how it is called, anywhere."""

import random
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from minigrad.data import load_mnist1d
from minigrad.errors import MinigradError


@pytest.mark.slow
def test_it_is_the_data_set_of_the_paper() -> None:
    pytest.importorskip("mnist1d", reason="the extra mnist1d is not installed")
    data = load_mnist1d()
    assert (data.train_signals.shape, data.test_signals.shape) == ((4000, 40), (1000, 40))
    assert data.train_signals.dtype == data.test_signals.dtype == np.float32
    assert data.train_labels.dtype == data.test_labels.dtype == np.int64
    # The first ones of the file that the paper's repository keeps, mnist1d_data.pkl.
    assert data.train_labels[:10].tolist() == [2, 6, 4, 5, 6, 6, 6, 0, 3, 1]
    assert data.test_labels[:10].tolist() == [2, 6, 3, 9, 4, 3, 1, 9, 5, 2]
    first, last = [-0.33200567, -0.47191037, -0.77869708], [0.65987565, 0.87773435, 1.19315184]
    assert np.allclose(data.train_signals[0, :3], first, atol=1e-6)
    assert np.allclose(data.test_signals[-1, -3:], last, atol=1e-6)
    everything = np.concatenate([data.train_signals, data.test_signals])
    assert (everything.mean(), everything.std()) == pytest.approx((0, 1), abs=1e-6)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that makes its data as the real one does: by the generators all share."""

    def make_dataset() -> dict[str, Any]:
        random.seed(42)
        np.random.seed(42)
        x, y = np.random.standard_normal((5, 40)), np.random.permutation(5)
        return {"x": x[:4], "x_test": x[4:], "y": y[:4], "y_test": y[4:]}

    module = ModuleType("mnist1d.data")
    module.make_dataset = make_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mnist1d", ModuleType("mnist1d"))
    monkeypatch.setitem(sys.modules, "mnist1d.data", module)


@pytest.mark.usefixtures("package")
def test_the_generators_that_all_share_stay_as_they_were() -> None:
    def states() -> tuple[Any, ...]:
        return random.getstate(), repr(np.random.get_state(legacy=False))

    random.random(), np.random.random()  # not where the package itself leaves them
    before = states()
    first, second = load_mnist1d(), load_mnist1d()
    assert states() == before
    assert np.array_equal(first.train_signals, second.train_signals)
    assert first.train_signals.dtype == np.float32
    assert first.train_labels.dtype == np.int64


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mnist1d", None)
    monkeypatch.setitem(sys.modules, "mnist1d.data", None)
    with pytest.raises(MinigradError, match=r'pip install "minigrad-autograd\[mnist1d\]"'):
        load_mnist1d()
