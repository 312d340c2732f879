"""Compiled sums keep as many digits as PyTorch's, up to a factor of two.

PyTorch's errors were measured by `python -m tests.oracles.test_accuracy_torch`, and are held there
against what PyTorch gives today. Scattering adds one entry after the other, as NumPy does.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minigrad.compiler import compile
from minigrad.compiler.target import machine as target
from tests.compiler.sums import SUMS, arguments, error, outputs

KINDS = "positive", "normal"
# For each result, with numbers that are positive, and normal.
TORCH = {
    "columns of 24": ((0.99,), (1.32,)),
    "columns of 64": ((0.87,), (1.46,)),
    "columns of 300": ((1.2,), (1.95,)),
    "columns of 4000": ((1.1,), (2.27,)),
    "columns of 30000": ((0.9,), (2.36,)),
    "columns of 1,250,000": ((0.94,), (2.33,)),
    "rows of 1,000,000": ((0.62,), (5.11,)),
    "rows of 64": ((0.73,), (1.34,)),
    "rows of 500": ((0.85,), (1.96,)),
    "rows of 5000": ((0.83,), (1.97,)),
    "rows of a gather": ((0.75,), (1.85,)),
    "columns in a row": ((0.76,), (1.97,)),
    "columns in rows": ((1.7,), (2.26,)),
    "channels": ((1.98,), (3.27,)),
    "between two that stay": ((1.08, 0.71), (0.95, 0.96)),
    "with what leads to it": ((1.15,), (0.97,)),
    "mean and variance": ((1.07, 0.42), (2.33, 0.41)),
    "norm": ((0.65,), (0.59,)),
    "product of 500": ((2.65,), (4.91,)),
    "product of 4000": ((1.61,), (5.96,)),
    "product of 50000": ((1.56,), (6.07,)),
    "dot product": ((0.72,), (1.41,)),
    "linear": ((1.41, 1.4, 0.85), (1.28, 4.25, 2.32)),
    "convolution": ((2.17, 19.68), (3.22, 33.73)),
    "few channels": ((1.8, 18.23), (2.12, 34.84)),
    "network": ((21.57, 448.13, 20.43, 0.39), (3.55, 25.32, 3.94, 1.4)),
    "layer norm": ((3.5, 15.88, 6.48), (1.2, 16.28, 14.86)),
}


@pytest.fixture(scope="module")
def exact() -> dict[tuple[str, str], list[np.ndarray]]:
    found = {}
    for name, (f, _) in SUMS.items():
        for kind in KINDS:
            found[name, kind] = outputs(f, [x.astype(np.float64) for x in arguments(name, kind)])
    return found


@pytest.fixture(
    scope="module", params=[pytest.param(1, marks=pytest.mark.slow), 2], ids="threads {}".format
)
def compiled(request: Any) -> Iterator[dict[tuple[str, str], list[np.ndarray]]]:
    """What one program of all sums gives."""

    def all_of_them(given: list[Any]) -> list[Any]:
        return [outputs_of(f(*x)) for (f, _), x in zip(SUMS.values(), given, strict=True)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIGRAD_THREADS", str(request.param))
        target.machine.cache_clear()
        run = compile(all_of_them)
        found: dict[Any, Any] = {}
        for kind in KINDS:
            results = run([arguments(name, kind) for name in SUMS])
            found |= {(name, kind): x for name, x in zip(SUMS, results, strict=True)}
        yield found
    target.machine.cache_clear()


def outputs_of(found: Any) -> list[Any]:
    return list(found) if isinstance(found, tuple | list) else [found]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SUMS)
def test_sums_keep_their_digits(name: str, kind: str, compiled: Any, exact: Any) -> None:
    theirs = TORCH[name][KINDS.index(kind)]
    for x, y, of_torch in zip(exact[name, kind], compiled[name, kind], theirs, strict=True):
        assert error(y, x) <= 2 * max(of_torch, 0.3)
