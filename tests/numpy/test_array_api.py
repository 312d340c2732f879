"""The array API: what the standard asks beyond NumPy, and SciPy through it.

The standard's own test suite is run by `make test-array-api`: see docs/array-api.md.
"""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, check_gradients
from minigrad.errors import ArgumentError
from minigrad.numpy import array_api as xp

X = np.array([[0.5, 2.0, -1.2], [0.5, 0.5, 1.0]])


def test_sorting_in_descending_order_is_stable() -> None:
    t: Any = Tensor(X)
    np.testing.assert_array_equal(xp.sort(t, descending=True), -np.sort(-X))
    np.testing.assert_array_equal(xp.argsort(t, descending=True), [[1, 0, 2], [2, 0, 1]])
    np.testing.assert_array_equal(xp.argsort(t, axis=0), np.argsort(X, 0, kind="stable"))
    check_gradients(lambda x: xp.sort(x, axis=0, descending=True) ** 2, X * [[1], [1.5]])


def test_the_standards_arguments() -> None:
    t: Any = Tensor(X)
    np.testing.assert_array_equal(xp.clip(t, max=0.7), np.minimum(X, 0.7))
    np.testing.assert_array_equal(xp.clip(t, min=0), np.maximum(X, 0))
    copied = xp.clip(t)
    assert copied is not t and not np.shares_memory(copied.data, X)
    assert xp.fft.fftfreq(4, dtype=xp.float32).dtype == xp.fft.rfftfreq(4, dtype=xp.float32).dtype
    with pytest.raises(ArgumentError, match="'gpu'"):
        xp.fft.fftfreq(4, device="gpu")
    with pytest.raises(ArgumentError, match="'gpu'"):
        xp.full_like(t, 1.0, device="gpu")
    for kind in (xp.float32, t.astype(np.float32), xp.complex64):
        info = xp.finfo(kind)
        assert isinstance(info.eps, float) and info.bits == 32 and info.dtype == np.float32
        assert info.max == np.finfo(np.float32).max


def test_named_results_and_lists_are_of_tensors() -> None:
    found = xp.linalg.eigh(np.eye(2))
    assert isinstance(found.eigenvalues, Tensor) and isinstance(found[1], Tensor)
    assert all(isinstance(x, Tensor) for x in xp.linalg.slogdet(Tensor(np.eye(2))))
    assert isinstance(xp.nonzero(Tensor([0.0, 1.0])), tuple)


# SciPy's functions of an array x, by SCIPY_ARRAY_API=1.
SCIPY = """
import numpy as np
import scipy.cluster.vq, scipy.fft, scipy.integrate, scipy.optimize, scipy.signal
import scipy.spatial.transform, scipy.special, scipy.stats
import minigrad

x = np.array([0.3, 1.2, 2.5, 0.7])
functions = [
    lambda x: scipy.special.softmax(x),
    lambda x: scipy.special.log_softmax(x),
    lambda x: scipy.special.entr(x) + scipy.special.gammaln(x),
    lambda x: scipy.stats.zscore(x),
    lambda x: scipy.stats.skew(x) * scipy.stats.kurtosis(x),
    lambda x: scipy.stats.moment(x, order=3),
    lambda x: scipy.stats.gmean(x) + scipy.stats.hmean(x) + scipy.stats.pmean(x, 1.5),
    lambda x: scipy.stats.entropy(x),
    lambda x: scipy.stats.kstat(x, 3) + scipy.stats.describe(x).variance,
    lambda x: scipy.stats.ttest_1samp(x, 0.5).pvalue,
    lambda x: scipy.stats.iqr(x),
    lambda x: scipy.cluster.vq.whiten(np.stack([x, x**2]).T),
    lambda x: np.abs(scipy.signal.hilbert(x)),
    lambda x: scipy.spatial.transform.Rotation.from_rotvec(x[:3]).as_matrix(),
]
for k, f in enumerate(functions):
    value = minigrad.vjp(f, x)[0]
    np.testing.assert_allclose(value, f(x), rtol=1e-12, err_msg=str(k))
    minigrad.check_gradients(f, x, order=2)
    minigrad.grad(lambda x: np.sum(f(x)))(minigrad.Tensor(x))
print(len(functions), "functions")
"""


@pytest.mark.slow  # a process that imports most of SciPy
def test_scipys_functions_differentiate() -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCIPY],
        capture_output=True,
        text=True,
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "14 functions\n"


@pytest.mark.parametrize("name", ["sum", "prod", "cumsum", "cumprod", "trace"])
def test_integers_are_reduced_in_the_dtype_that_is_asked_for(name: str) -> None:
    function = getattr(np, name)
    for kind in "bHlqd?":
        x = np.arange(1, 10).reshape(3, 3).astype(kind)
        for dtype in "bBhIqfd":
            got, expected = function(Tensor(x), dtype=dtype), function(x, dtype=dtype)
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got.data, expected)


def test_astype_copies_as_asked() -> None:
    t: Any = Tensor(X)
    assert xp.astype(t, xp.float64, copy=False) is t
    assert not np.shares_memory(xp.astype(t, xp.float64).data, t.data)
    assert xp.astype(t, xp.float32, copy=False).dtype == np.float32
    with pytest.raises(ArgumentError, match="'gpu'"):
        xp.astype(t, xp.float32, device="gpu")
    assert isinstance(xp.meshgrid(t[0], t[0]), list)
    np.testing.assert_allclose(xp.vecdot(t, t, axis=0).data, np.sum(X * X, axis=0))


def test_arrays_without_axes_can_be_written_into() -> None:
    def f(x: Any) -> Any:
        total = xp.sum(x)
        before = total * 2
        total[()] = total * x[0]
        return total + before

    check_gradients(f, X[0], order=2)
    made: Any = xp.asarray(2.0)
    made[...] = 3.0
    assert made == 3
