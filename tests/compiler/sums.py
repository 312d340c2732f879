"""Functions whose results are sums of many terms, for tests of how many digits they keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad
import minigrad.functional as F

Shape = tuple[int, ...]


def gradients(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the arguments and of the cotangent of the result."""

    def found(*arguments: Any) -> Any:
        *given, cotangent = arguments
        return minigrad.vjp(f, *given)[1](cotangent)

    return found


def batch_norm(x: Any, w: Any, b: Any) -> Any:
    """Over all axes but the last."""
    over = tuple(range(x.ndim - 1))
    centred = x - x.mean(over)
    return centred / np.sqrt((centred * centred).mean(over) + 1e-5) * w + b


def network(x: Any, kernel: Any, w: Any, b: Any) -> Any:
    """A convolution and a norm, whose channels are last in a compiled step."""
    y = F.conv2d(x, kernel).transpose(0, 2, 3, 1)
    return F.relu(batch_norm(y, w, b))


SUMS: dict[str, tuple[Callable[..., Any], list[Shape]]] = {
    **{f"columns of {n}": (lambda x: x.sum(0), [(n, 64)]) for n in (24, 64, 300, 4000, 30_000)},
    "columns of 1,250,000": (lambda x: x.sum(0), [(1_250_000, 8)]),
    "rows of 1,000,000": (lambda x: x.sum(1), [(10, 1_000_000)]),
    **{f"rows of {n}": (lambda x: x.sum(1), [(64, n)]) for n in (64, 500, 5000)},
    "rows of a gather": (lambda x: x[:, np.arange(4000) * 7 % 4000].sum(1), [(64, 4000)]),
    "columns in a row": (lambda x: x.sum(1), [(4, 3000, 16)]),
    "columns in rows": (lambda x: x.sum((0, 2)), [(40, 30, 30, 16)]),
    "channels": (lambda x: x.sum((0, 2, 3)), [(40, 16, 30, 30)]),
    "between two that stay": (lambda x: (np.exp(x).sum(2), x.sum((1, 3))), [(2, 3, 3000, 5)]),
    "with what leads to it": (lambda x, y: (np.exp(x) * y).sum(0), [(5000, 48), (48,)]),
    "mean and variance": (lambda x: (x.mean(0), x.var(0)), [(20_000, 32)]),
    "norm": (lambda x: np.sqrt((x * x).sum(0)), [(20_000, 32)]),
    **{f"product of {n}": (lambda x, y: x @ y, [(32, n), (n, 48)]) for n in (500, 4000, 50_000)},
    "dot product": (lambda x, y: (x * y).sum(1), [(6, 500_000), (6, 500_000)]),
    "linear": (
        gradients(lambda x, w, b: F.relu(F.linear(x, w, b))),
        [(100, 200, 24), (32, 24), (32,), (100, 200, 32)],
    ),
    "convolution": (gradients(F.conv2d), [(32, 16, 30, 30), (24, 16, 3, 3), (32, 24, 28, 28)]),
    "few channels": (gradients(F.conv2d), [(32, 3, 30, 30), (6, 3, 3, 3), (32, 6, 28, 28)]),
    "network": (
        gradients(network),
        [(32, 8, 16, 16), (16, 8, 3, 3), (16,), (16,), (32, 14, 14, 16)],
    ),
    "layer norm": (
        gradients(lambda x, w, b: F.layer_norm(x, w.shape, w, b)),
        [(4000, 64), (64,), (64,), (4000, 64)],
    ),
}


def arguments(name: str, kind: str) -> list[np.ndarray]:
    """Numbers between 0 and 1, whose sums only grow, or "normal" ones around 0."""
    rng = np.random.default_rng(0)
    draw = rng.standard_normal if kind == "normal" else rng.random
    return [draw(shape, np.float32) for shape in SUMS[name][1]]


def outputs(f: Callable[..., Any], given: list[np.ndarray]) -> list[np.ndarray]:
    found = f(*given)
    return [np.asarray(y) for y in (found if isinstance(found, tuple | list) else [found])]


def error(found: np.ndarray, exact: np.ndarray) -> float:
    """The mean error beside the mean of the exact, in units of float32's rounding."""
    off = np.sqrt(np.mean((found.astype(np.float64) - exact) ** 2))
    return float(off / np.sqrt(np.mean(exact**2)) * 2**24)
