"""Loops over rows: what is counted in their C, so that slow loops cannot come back unseen."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad.compiler import compile
from tests.compiler.schedules import code_of, normal, scheduled

pytestmark = pytest.mark.unoptimized

X, IMAGES = normal(30, 20), normal(2, 3, 12, 18)


def divisions(function: Callable[..., Any], *arguments: Any) -> int:
    """In indices: of these programs, which divide no numbers."""
    texts = "".join(code_of(scheduled(function, *arguments)).texts)
    return texts.count("/") + texts.count("%")


def patches(x: Any, order: tuple[int, ...]) -> Any:
    """Images in patches of 6 x 6, as rows: (2, 6, 108)."""
    return np.transpose(x.reshape(2, 3, 2, 6, 3, 6), order).reshape(2, 6, 108) * 2


def other_rows(x: Any) -> Any:
    return np.sum(np.transpose(x).reshape(60, 10) * 2, axis=1)


def two_orders(x: Any) -> Any:
    """What has the loops of one in 30 x 20 and of the other in 20 x 30, and as 10 x 60."""
    return np.tanh(x), np.exp(np.transpose(x).reshape(10, 60)), np.sqrt(x.reshape(10, 60) ** 2 + 1)


def no_common_loops(x: Any, row: Any, other: Any) -> Any:
    """30 x 20 and 24 x 25: their loops have no common factors."""
    return np.exp(x) * row, x.reshape(24, 25) + other


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (lambda x: patches(x, (0, 2, 4, 1, 3, 5)), [IMAGES]),
        (lambda x: patches(x, (0, 2, 4, 3, 5, 1)), [IMAGES]),
        (other_rows, [X]),
        (two_orders, [X]),
        (no_common_loops, [X, normal(20, seed=1), normal(25, seed=2)]),
    ],
)
def test_reshapes_become_loops_and_no_divisions(
    function: Callable[..., Any], arguments: list[Any]
) -> None:
    assert divisions(function, *arguments) == 0
    found, expected = compile(function)(*arguments), function(*arguments)
    for x, y in zip(found, expected, strict=True) if type(found) is tuple else [(found, expected)]:
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


def test_loops_without_common_factors_are_two_kernels() -> None:
    kernels = scheduled(no_common_loops, X, normal(20, seed=1), normal(25, seed=2)).kernels
    assert [len(kernel.stages) for kernel in kernels] == [1, 1]
    assert "no common factors" in " ".join(kernels[1].why.values())
