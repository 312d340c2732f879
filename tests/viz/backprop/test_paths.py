"""Paths: their count is exact, their shares add up, and the largest are the largest."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings

from minigrad import Tensor, explain, nn
from minigrad.errors import ArgumentError, GradientError
from minigrad.viz.backprop.paths import Path
from minigrad.viz.backprop.steps import Step, term_of


def leaf(value: float = 2.0, name: str | None = None) -> Any:
    return Tensor(value, requires_grad=True, name=name)


def all_paths(step: Step, root: Step, cotangent: np.ndarray) -> list[np.ndarray]:
    """The product along every path from the root, one by one: exponential, and plain."""
    if step is root:
        return [cotangent]
    return [
        term_of(use, product)
        for use in step.contributions
        for product in all_paths(use.user, root, cotangent)
    ]


def test_the_worked_example() -> None:
    x1, x2 = leaf(2.0, "x1"), leaf(3.0, "x2")
    assert str(explain(x1 * x2 + np.sin(x1)).paths(x1)) == (
        "2 paths from z back to x1; dz/dx1 is 2.584\n"
        "  z <- w5 <- w3 <- x1: 1*3 = 3, 116.1%\n"
        "  z <- w5 <- w4 <- x1: 1*(-0.4161) = -0.4161, -16.1%"
    )


@pytest.mark.parametrize(
    ("function", "count", "total"),
    [
        (lambda x: np.stack([x, x]).sum(), 2, 2),
        (lambda x: (x * np.array([1.0, 2.0, 4.0])).sum(), 1, 7),
        (lambda x: (x * np.ones(3) + x).sum(), 2, 6),
        (lambda x: (np.broadcast_to(x, (2, 3)) * 2).mean(), 1, 2),
        (lambda x: x.reshape(1)[0] * 5, 1, 5),
    ],
)
def test_a_number_that_becomes_an_array(function: Any, count: int, total: float) -> None:
    """Local derivatives are arrays then: only the product is shown."""
    x = leaf(2.0, "x")
    found = explain(function(x)).paths(x)
    first, *rows = str(found).split("\n")
    assert first.endswith(f"z back to x; dz/dx is {total}") and len(rows) == count == found.count
    shown = [float(row.split(": ")[1].split(",")[0].rpartition("= ")[2]) for row in rows]
    assert sum(shown) == total


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=7), st.floats(-2, 2))
def test_the_shares_of_all_paths_add_up_to_one(ops: list[int], start: float) -> None:
    x = leaf(start)
    y = x
    for op in ops:
        y = [y * x, np.sin(y) + x, y + y, np.tanh(y) * np.cos(y), y * 0.5][op]
    explanation = explain(y)
    step = explanation.step(x)
    plain = [float(p) for p in all_paths(step, explanation.steps[-1], np.array(1.0))]
    found = explanation.paths(x, most=len(plain))
    assert found.count == len(plain)
    sizes = [abs(float(path.product)) for path in found.largest]
    np.testing.assert_allclose(sizes, sorted(map(abs, plain), reverse=True), rtol=1e-9, atol=1e-300)
    assert step.adjoint is not None
    assume(abs(float(step.adjoint)) > 1e-6)
    np.testing.assert_allclose(sum(path.share for path in found.largest), 1.0, rtol=1e-6)


def test_of_arrays_too() -> None:
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(3, 4)), requires_grad=True)
    h = np.tanh(x @ rng.normal(size=(4, 4)))
    z = (h * h + x * h).sum() + (x**2).mean()
    explanation = explain(z)
    found = explanation.paths(x, most=100)
    step = explanation.step(x)
    assert found.count == len(found.largest) == 5
    assert step.adjoint is not None
    np.testing.assert_allclose(sum(path.product for path in found.largest), step.adjoint)
    np.testing.assert_allclose(sum(path.share for path in found.largest), 1.0)


def test_the_count_is_exact_where_none_could_be_listed() -> None:
    x = leaf(0.5, "x")
    y = x
    for _ in range(200):
        y = y + y
    found = explain(y).paths(x, most=2)
    assert found.count == 2**200
    assert [path.share for path in found.largest] == [2.0**-200] * 2
    assert str(found).endswith(f"and {2**200 - 2:,} more")


def test_the_largest_goes_through_a_step_that_the_gradient_hardly_uses() -> None:
    x = leaf(1.0)
    h = x * 1.0
    near_zero = h * 1000.0 - h * 999.999
    found = explain(near_zero + np.sin(x) * 0.1).paths(x, most=2)
    assert [abs(float(path.product)) for path in found.largest] == [1000.0, 999.999]


def test_a_derivative_of_zero_has_no_shares() -> None:
    x = leaf(0.0)
    (path,) = explain(x * x * 1.0).paths(x, most=1).largest
    assert isinstance(path, Path)
    assert np.isnan(path.share)


def test_of_the_result_itself() -> None:
    x = leaf(1.0, "x")
    found = explain(np.sin(x)).paths("w2")
    assert (found.count, found.largest[0].uses) == (1, [])


def test_a_whole_network() -> None:
    model = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, dropout=0.0, batch_first=True)
    x = Tensor(np.ones((2, 3, 8), np.float32), requires_grad=True, name="x")
    found = explain((model(x) ** 2).mean()).paths(x, most=5)
    assert found.count > 50
    sizes = [float(np.linalg.norm(path.product)) for path in found.largest]
    assert sizes == sorted(sizes, reverse=True)


def test_errors() -> None:
    x, y = leaf(1.0, "x"), leaf(2.0, "y")
    explanation = explain(np.sin(x) * 2 + np.floor(y))
    with pytest.raises(GradientError, match="there is no 'q' in this explanation: give one of x"):
        explanation.paths("q")
    with pytest.raises(GradientError, match="no gradient flows back to 'y'"):
        explanation.paths("y")
    with pytest.raises(ArgumentError, match="most=0"):
        explanation.paths(x, most=0)
