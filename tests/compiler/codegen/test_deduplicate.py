"""Kernels that do the same on other arrays are generated once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad.compiler import compile
from tests.compiler.schedules import code_of, normal, scheduled
from tests.compiler.steps import agree

pytestmark = pytest.mark.unoptimized
X = normal(64, 48)


def test_a_loop_whose_numbers_change_has_few_kernels() -> None:
    w = normal(48, 48)

    def f(x: Any) -> Any:
        for k in range(40):
            x = x + 0.1 * np.tanh(x @ w + 0.25 * k) * np.float32(k / 40)
        return x

    code = code_of(scheduled(f, X))
    assert len(code.calls) >= 40 and len(code.texts) <= 6
    agree(compile(f)(X), f(X), 1e-4)


@pytest.mark.parametrize(
    "part",
    [
        lambda x, y, k: x[k : k + 3],
        lambda x, y, k: x[::-1] if k % 2 else x[:, ::-1],
        lambda x, y, k: x[:3] if k % 2 else x[::2],
        lambda x, y, k: x * y if k % 2 else x * x,
        lambda x, y, k: (x - y) * np.exp(x - y if k % 2 else y - x),
    ],
)
def test_steps_of_a_loop_that_read_other_parts(part: Callable[..., Any]) -> None:
    """Each in a kernel of its own, of which only those that are alike are one."""

    def f(x: Any, y: Any) -> Any:
        total: Any = 1.0
        for k in range(3):
            total = np.sum(np.tanh(part(x, y, k) * total), axis=0, keepdims=True)
        return total

    def apart(x: Any, y: Any) -> Any:
        return [np.sum(np.tanh(part(x, y, k))) for k in range(3)]

    x, y = normal(6, 6), normal(6, 6)
    agree(compile(f)(x, y), f(x, y), 1e-5)
    agree(compile(apart)(x, y), apart(x, y), 1e-5)
