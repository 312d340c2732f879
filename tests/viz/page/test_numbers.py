"""All numbers of an explanation: computed again from other values, and packed."""

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, explain, nn
from minigrad import functional as F
from minigrad.viz import Explanation
from minigrad.viz.page.numbers import all_arrays, all_numbers, digest, packed


def scalars(x1: float) -> Explanation:
    x = Tensor(x1, requires_grad=True, name="x1")
    return explain(x * 3.0 + np.sin(x) ** 2 / x)


def broadcast(x1: float) -> Explanation:
    w = Tensor(np.arange(4.0).reshape(2, 2) * x1, requires_grad=True)
    b = Tensor([0.5, -0.5], requires_grad=True)
    y = np.array([[1.0, 2.0], [0.5, -1.0], [2.0, 0.0]]) @ w + b
    return explain((y * np.tanh(y)).sum())


def network(x1: float) -> Explanation:
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(3, 4, rng=rng), nn.ReLU(), nn.Linear(4, 2, rng=rng))
    x = x1 * np.arange(15, dtype=np.float32).reshape(5, 3) / 15
    return explain(F.cross_entropy(model(x), np.array([0, 1, 1, 0, 1])))


def complex_numbers(x1: float) -> Explanation:
    z = Tensor([x1 + 2j, -0.5 + 0.3j], requires_grad=True)
    x = Tensor(x1, requires_grad=True)
    return explain(np.sum(np.abs(np.exp(z) * np.conj(z) - x * 1j) ** 2))


@pytest.mark.parametrize("program", [scalars, broadcast, network, complex_numbers])
def test_all_numbers_are_those_of_a_run_with_these_values(
    program: Callable[[float], Explanation],
) -> None:
    one, other = program(0.7), program(1.3)
    leaves = [step for step in one.steps if step.op is None]
    given = [step.value for step in other.steps if step.op is None]
    found = all_numbers(one.steps, leaves)(*given)
    expected = list(all_arrays(other.steps))
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (np.shape(a), np.asarray(a).dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.slow
def test_they_compile_and_read_parameters_where_they_are() -> None:
    model = nn.Linear(3, 2, rng=np.random.default_rng(0))
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    steps = explain((model(x) ** 2).sum()).steps
    data = [step for step in steps if np.array_equal(step.value, x)]
    compiled = minigrad.compile(all_numbers(steps, data))
    compiled(x)
    model.weight.data[...] *= 2
    expected = all_arrays(explain((model(2 * x) ** 2).sum()).steps)
    for a, b in zip(compiled(2 * x), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_packed_arrays_are_their_bytes_and_large_ones_a_digest() -> None:
    small, large = np.arange(3, dtype=np.float32), np.linspace(-1, 1, 20_000).reshape(100, 200)
    data = base64.b64decode(packed([small, large])["bytes"])
    assert packed([small, large])["full"] == 16384
    assert data == small.tobytes() + digest(large)
    facts, heat = read(digest(large))
    block = large[:6, :12].mean()  # the first, whose mean is the largest in size
    expected: list[Any] = [-1, 1, 0, 0, np.linalg.norm(large), -block]
    np.testing.assert_allclose(facts, expected, atol=1e-12)
    assert heat[0, 0] == -127 and heat[-1, -1] == 126  # rounded bounds of blocks
    assert np.isnan(read(digest(large * np.nan))[0][0])


def test_what_is_said_of_very_large_and_very_small_numbers_neither_overflows_nor_vanishes() -> None:
    for size in (1e-320, 1e-200, 1e200, 1e308):
        large = np.full((100, 200), size)
        facts, _ = read(digest(large))
        expected: list[Any] = [size, size, size, 0, 0, size]
        np.testing.assert_allclose(np.delete(facts, 4), np.delete(expected, 4), rtol=1e-12)
        norm = size * np.sqrt(20_000) if size < 1e300 else np.inf
        np.testing.assert_allclose(facts[4], norm, rtol=1e-3)


def read(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Of a digest, the facts and the heat map."""
    return np.frombuffer(data[:48]), np.frombuffer(data[48:], "i1").reshape(16, 16)
