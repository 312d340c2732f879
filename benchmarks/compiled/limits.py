"""What the machine can do at most, measured, and the least time that work takes by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.timing import block
from minigrad import compile, fori_loop

SIDE = 1024  # of the matrices that are multiplied
SIZES = [2**k for k in range(12, 29, 2)]  # bytes, read and written, of passes over an array
AT_ONCE = 2**22  # bytes, read and written, that a measured call moves at least
SECONDS = 0.2  # for each measurement


@dataclass(frozen=True)
class Work:
    """What one kernel does: multiply-adds, of numbers of a dtype, and bytes read and written."""

    multiply_adds: int
    dtype: str
    bytes: int


@dataclass(frozen=True)
class Limits:
    """`multiply_adds` a second, by dtype: the most of NumPy's matrix product and of minigrad's.
    `bandwidth`: bytes a second, by the bytes of a pass: the fewer, the nearer is their cache."""

    multiply_adds: dict[str, float]
    bandwidth: dict[int, float]

    def seconds(self, work: Iterable[Work]) -> float:
        """Of kernels one after the other, each bound by its products or by its bytes.

        >>> limits = Limits({"float32": 100.0}, {10: 50.0, 1000: 20.0})
        >>> limits.seconds([Work(300, "float32", 10), Work(0, "float32", 200)])
        13.0
        """
        return sum(
            max(x.multiply_adds / self.multiply_adds[x.dtype], x.bytes / self.rate(x.bytes))
            for x in work
        )

    def rate(self, size: int) -> float:
        """Of a pass over as many bytes, or more."""
        return self.bandwidth[
            min((x for x in self.bandwidth if x >= size), default=max(self.bandwidth))
        ]


def measure() -> Limits:
    """With the threads and cores of this process."""
    products, bandwidth = {}, {}
    for dtype in ("float32", "float64"):
        a = np.random.default_rng(0).standard_normal((SIDE, SIDE)).astype(dtype)
        fastest = min(best(each, a, a) for each in (np.matmul, compile(lambda x, y: x @ y)))
        products[dtype] = SIDE**3 / fastest
    for size in SIZES:
        x, rounds = np.ones(size // 8, np.float32), max(1, AT_ONCE // size)
        bandwidth[size] = size * rounds / best(passes(rounds), x)
    return Limits(products, bandwidth)


def passes(rounds: int) -> Callable[[np.ndarray], Any]:
    """A compiled function that reads and writes its argument so often. The passes are rounds of a
    loop, as a call from Python would take longer than a pass over few bytes."""
    return compile(lambda x: fori_loop(0, rounds, lambda _, x: x * np.float32(0.5) + 1, x))


def best(function: Callable[..., Any], *arguments: np.ndarray) -> float:
    """Seconds of a call."""
    function(*arguments)
    return min(block(lambda: function(*arguments), SECONDS))
