"""Inputs for an op's samples, drawn inside its domains."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad.ops.base import Domain, Op, Sample, registry


def draw(domain: Domain, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Values in the domain, and a tenth away from where there is no derivative."""
    if domain.dtype is not float:
        return rng.integers(0, 2 if domain.dtype is bool else 5, shape).astype(domain.dtype)
    values = rng.uniform(domain.low, domain.high, shape)
    for point in domain.away:
        near = np.abs(values - point) < 0.1
        values = np.where(near, point + np.where(values < point, -0.1, 0.1), values)
    return np.asarray(values)


def inputs_of(op: Op, sample: Sample, seed: int = 0) -> list[np.ndarray]:
    """One array for each input: a shape is drawn, an array stands for itself."""
    rng = np.random.default_rng(seed)
    return [
        x if isinstance(x, np.ndarray) else draw(op.domains[min(k, len(op.domains) - 1)], x, rng)
        for k, x in enumerate(sample.inputs)
    ]


def samples_of(differentiable: bool) -> Iterator[Any]:
    """Every op with each of its samples, with a readable test id."""
    for op in registry.values():
        if bool(op.vjps) == differentiable:
            for k, sample in enumerate(op.samples):
                yield op, sample, f"{op.name}-{k}"


def float_positions(arrays: list[np.ndarray]) -> list[int]:
    return [k for k, x in enumerate(arrays) if x.dtype.kind == "f"]
