"""Gathers and scatter-adds with index arrays and masks anywhere in the index."""

from typing import Any

import numpy as np
import pytest

import minigrad

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 5, 6, 3))
K, J = np.array([[0, 3, 1], [2, 1, 0]]), np.array([2, 0, 1])
MASK, ROWS = RNG.random((5, 6)) > 0.5, np.array([True, False, True, True])
LEADING: list[Any] = [np.s_[K], np.s_[K, J], np.s_[ROWS]]
WHOLE_AXES: list[Any] = [np.s_[:, K], np.s_[K, :, J], np.s_[:, K, J], np.s_[..., J], np.s_[:, MASK]]
WHOLE_AXES += [np.s_[ROWS, :, J], np.s_[:, -K], np.s_[:, K[:, :1], J]]
WHOLE_AXES += [np.s_[K, :], np.s_[K, ...]]
# With slices, None or integers beside the arrays.
BESIDE: list[Any] = [np.s_[:, K, :, 2], np.s_[1:3, K, None], np.s_[None, :, K, ::2]]
BESIDE += [np.s_[0, :, J], np.s_[:, 0, J], np.s_[:, :, J, 0], np.s_[::-1, K, 1:2, ::-1]]
BESIDE += [np.s_[ROWS, 1], np.s_[:, MASK, 2], np.s_[-1, ..., J], np.s_[K, None, J]]
BESIDE += [np.s_[None, K, None, :, J], np.s_[0, K], np.s_[K, 0], np.s_[0, :, 0, J]]


def by_numpy(compiled: Any) -> list[str]:
    """The ops of a compiled function that NumPy computes."""
    kernels = compiled.explain().kernels
    return [name for k in kernels if k["kind"] == "numpy" for name, _ in k["ops"]]


@pytest.mark.unoptimized
def test_values_and_derivatives_to_second_order() -> None:
    indices = [*LEADING, *WHOLE_AXES, *BESIDE]

    def results(x: Any) -> list[Any]:
        found = []
        for index in indices:
            slope = minigrad.grad(lambda x, index=index: np.sum(np.sin(x[index]) ** 2))
            second = minigrad.grad(lambda x, slope=slope: np.sum(slope(x) ** 2))
            found += [x[index] * 2, slope(x), second(x)]
        return found

    for k, (found, expected) in enumerate(
        zip(minigrad.compile(results)(X), results(X), strict=True)
    ):
        said = f"{indices[k // 3]}, order {k % 3}"
        assert found.shape == expected.shape, said
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13, err_msg=said)


@pytest.mark.unoptimized
def test_gathers_and_scatters_are_c() -> None:
    gathers = minigrad.compile(lambda x: [x[i] * 2 for i in (*LEADING, *WHOLE_AXES, *BESIDE)])
    gathers(X)
    assert not by_numpy(gathers)
    every = (*LEADING, *WHOLE_AXES, *BESIDE)
    total = minigrad.grad(lambda x: sum(np.sum(np.sin(x[i])) for i in every))
    scatters = minigrad.compile(total)
    scatters(X)
    assert not by_numpy(scatters)


@pytest.mark.unoptimized
def test_inverted_masks_and_cumulative_sums_are_c() -> None:
    f = minigrad.compile(lambda x: (np.where(~(x > 0), x, 0), np.cumsum(x, 1), np.cumsum(x > 0, 2)))
    for found, expected in zip(
        f(X), (np.minimum(X, 0), np.cumsum(X, 1), np.cumsum(X > 0, 2)), strict=True
    ):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert not by_numpy(f)


WHOLE: list[Any] = [np.s_[...], np.s_[:], np.s_[::-1], np.s_[:, None, ::-1], np.s_[::-1, :, 0:1]]


@pytest.mark.unoptimized
def test_what_is_overwritten_whole_or_written_nowhere() -> None:
    """Nobody reads the norm, or the sum, that these programs compute."""

    def results(x: Any) -> list[Any]:
        found = []
        for index in WHOLE:
            y = np.linalg.norm(x, axis=-1, keepdims=True)[:, :, :1] * np.ones((4, 5, 1, 1))
            y[index] = np.arange(y[index].size).reshape(y[index].shape)
            z = np.sum(x, axis=0)
            z[3:3] = np.max(x)
            w = np.sum(x[0, :1], axis=1)
            w[-1] = 2
            found += [y, z, w]
        return found

    for found, expected in zip(minigrad.compile(results)(X), results(X), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.unoptimized
def test_a_sum_across_rows_that_nothing_reads() -> None:
    """The triangle of one number without its diagonal has none: nobody reads its cotangent."""

    def f(a: Any, b: Any) -> Any:
        return np.sum(np.sin(np.tril(a @ np.cos(b), -1)) + np.tril(a * b, -1)[:, :1])

    a, b = np.ones((1, 1)), np.ones((1, 2))
    found = minigrad.compile(minigrad.grad(lambda a, b: f(a, b) + np.sum(b), (0, 1)))(a, b)
    for x, y in zip(found, (np.zeros((1, 1)), np.ones((1, 2))), strict=True):
        np.testing.assert_array_equal(x, y)
