"""A library at work in a process of its own, where no other library's threads, memory or imports
disturb it, and nothing it breaks breaks the comparison."""

from __future__ import annotations

import importlib
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from benchmarks import timing
from benchmarks.workloads import WORKLOADS, Step

PACKAGES = {name: name for name in ("minigrad", "autograd", "mygrad", "micrograd", "numpy")} | {
    "pytorch": "torch"
}


class Contestant(Protocol):
    """A library that takes part in a workload."""

    def prepare(self) -> list[list[float]]:
        """Get ready, and return the numbers the first steps found; empty if there are none."""

    def block(self, seconds: float) -> list[float]:
        """Work for so many seconds, at least one step, and return how long each step took."""

    def close(self) -> None:
        """Let go of what it holds."""


class Worker:
    """A library that runs the steps of a workload, in its process."""

    def __init__(self, library: str, workload: str) -> None:
        self.executor = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self.names = library, workload

    def prepare(self) -> list[list[float]]:
        return self.executor.submit(prepare, *self.names).result()

    def block(self, seconds: float) -> list[float]:
        return self.executor.submit(block, seconds).result()

    def close(self) -> None:
        self.executor.shutdown()


# What runs in the worker's process. The step stays there from call to call.
step: Step | None = None


def prepare(library: str, name: str) -> list[list[float]]:
    global step
    workload = WORKLOADS[name]
    module = importlib.import_module(f"benchmarks.with_{library}")
    step = getattr(module, workload.task)(workload.problem())
    return [figures(step()) for _ in range(workload.steps)]


def block(seconds: float) -> list[float]:
    assert step is not None
    return timing.block(step, seconds)


def figures(result: Any) -> list[float]:
    """A loss as a number; a value and its gradient as three: the value, and of the gradient the
    mean and the root of the mean square."""
    if not isinstance(result, tuple):
        return [result.item()]
    value, gradient = result
    entries = np.asarray(gradient).astype(float)
    return [value.item(), float(entries.mean()), float(np.sqrt(np.square(entries).mean()))]
