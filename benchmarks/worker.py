"""A library at work in a process of its own, where no other library's threads, memory or imports
disturb it, and nothing it breaks breaks the comparison."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
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
        """Prepare, and return the results of the first steps; empty if there are none."""

    def block(self, seconds: float) -> list[float]:
        """Work for so many seconds, at least one step, and return how long each step took."""

    def close(self) -> None:
        """Release its resources."""


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


class Importer:
    """A library that is imported, in a fresh process each time, where NumPy is imported already."""

    def __init__(self, library: str) -> None:
        package = PACKAGES[library]
        already = "" if package == "numpy" else ", numpy"
        self.program = (
            f"import time{already}; start = time.perf_counter(); import {package}; "
            "print(time.perf_counter() - start)"
        )

        # Whoever forbids byte code to be written would have what pip has not compiled, and that
        # is minigrad alone, compiled anew at each import.
        self.environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

    def prepare(self) -> list[list[float]]:
        self.block(0)  # the first import writes byte code, and fills the system's file cache
        return []

    def block(self, seconds: float) -> list[float]:
        command = [sys.executable, "-c", self.program]
        done = subprocess.run(command, env=self.environment, check=True, stdout=subprocess.PIPE)
        return [float(done.stdout)]

    def close(self) -> None:
        pass


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
    """What a step found, as a few numbers: of a single value (a loss) itself, of an array (a
    gradient) the mean and the root of the mean square, and of several all of theirs."""
    if isinstance(result, tuple | list):
        return [number for part in result for number in figures(part)]
    if not np.ndim(result):
        return [result.item()]
    entries = np.asarray(result).astype(float)
    return [float(entries.mean()), float(np.sqrt(np.square(entries).mean()))]
