"""Random programs of complex numbers, compiled: values and gradients are those of eager ones."""

from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import grad
from tests.complex_programs import HOLOMORPHIC, OTHERS, arguments, program


@pytest.mark.unoptimized
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 40))]
)
def test_random_programs(seed: int) -> None:
    run, args = program(seed, HOLOMORPHIC | OTHERS, 5), arguments(seed)

    def loss(*args: Any) -> Any:
        return np.sum(np.abs(run(np, *args)) ** 2)

    def both(*args: Any) -> Any:
        return run(np, *args), *grad(loss, (0, 1, 2))(*args)

    arrays = list(map(np.asarray, args))
    for found, expected in zip(minigrad.compile(both)(*arrays), both(*arrays), strict=True):
        assert found.dtype == expected.dtype
        scale = np.max(np.abs(expected), initial=1e-3)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * scale)
