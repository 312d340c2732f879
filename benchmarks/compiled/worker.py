"""A contestant at work in a process of its own."""

from __future__ import annotations

import importlib
import math
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

from benchmarks import timing
from benchmarks.compiled import memory
from benchmarks.compiled.contestants import CONTESTANTS, OURS
from benchmarks.compiled.limits import Limits, Work, measure
from benchmarks.compiled.workloads import WORKLOADS
from benchmarks.worker import figures
from benchmarks.workloads import Step, as_it_is

PATIENCE = 180  # seconds for the first steps
WARM_UP = 0.1  # seconds
AGAIN = 3  # processes that find a full cache
SHORTEST = 1e-3  # seconds: steps that take less are timed so many at a time
CACHES = ("MINIGRAD_CACHE", "TORCHINDUCTOR_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")


@dataclass
class First:
    """What a contestant found in its first steps, how long the first of all took, and what a step
    does, if that is known."""

    figures: list[list[float]]
    seconds: float
    work: list[Work]


class Worker:
    """A contestant that starts with an empty cache; `warm` is its first call in next processes."""

    def __init__(self, contestant: str, workload: str) -> None:
        self.cache = tempfile.TemporaryDirectory(
            prefix="bench-compile-", ignore_cleanup_errors=True
        )
        self.names = contestant, workload
        self.executor = executor()
        self.cold: float | None = None
        self.warm: float | None = None
        self.growth: int | None = None
        self.work: list[Work] = []

    def prepare(self) -> list[list[float]]:
        first = self.executor.submit(prepare, *self.names, self.cache.name).result()
        self.cold, self.work = first.seconds, first.work
        if CONTESTANTS[self.names[0]].caches:
            self.warm = statistics.median(self.again() for _ in range(AGAIN))
        return first.figures

    def again(self) -> float:
        with executor() as process:
            return process.submit(prepare, *self.names, self.cache.name).result().seconds

    def block(self, seconds: float) -> list[float]:
        times, self.growth = self.executor.submit(block, seconds).result()
        return times

    def close(self) -> None:
        self.executor.shutdown()
        self.cache.cleanup()


def executor() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def limits() -> Limits:
    """Those of the machine, measured in a process of its own."""
    with executor() as process:
        return process.submit(measure).result()


# What runs in the worker's process. This stays there from call to call.


@dataclass
class Running:
    step: Step
    calls: int  # that are timed together
    start: int  # bytes, before there was a step


running: Running | None = None


def prepare(contestant: str, workload: str, cache: str) -> First:
    """Import the library, make the data, then make the step and run it for the first times."""
    global running
    os.environ.update(dict.fromkeys(CACHES, cache))
    module = importlib.import_module(f"benchmarks.compiled.{CONTESTANTS[contestant].module}")
    task = getattr(module, WORKLOADS[workload].task)
    problem = WORKLOADS[workload].problem()
    wrap = module.compiling() if CONTESTANTS[contestant].compiled else as_it_is
    start = memory.begin()
    first, step = within(PATIENCE, partial(first_steps, task, problem, wrap, workload))
    if contestant == OURS:
        first.work = module.work(step)
    running = Running(step, together(timing.block(step, WARM_UP)), start)
    return first


def first_steps(task: Any, problem: Any, wrap: Any, workload: str) -> tuple[First, Step]:
    step = task(problem, wrap)
    begin = time.perf_counter()
    result = step()
    seconds = time.perf_counter() - begin
    found = [figures(result), *(figures(step()) for _ in range(WORKLOADS[workload].steps - 1))]
    return First(found, seconds, []), step


def within(seconds: int, work: Callable[[], Any]) -> Any:
    """Do it, or give up after so many seconds, where the system has an alarm clock."""
    if not hasattr(signal, "SIGALRM"):
        return work()

    def ring(*_: Any) -> None:
        raise TimeoutError(f"the first steps took more than {seconds} s")

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        return work()
    finally:
        signal.alarm(0)


def together(times: list[float]) -> int:
    """How many calls to time at once, so that reading the clock does not count."""
    return max(1, math.ceil(SHORTEST / statistics.median(times)))


def block(seconds: float) -> tuple[list[float], int]:
    """Seconds per step, and by how many bytes the process has grown at its peak."""
    assert running is not None
    step, calls = running.step, running.calls

    def several() -> None:
        for _ in range(calls):
            step()

    times = timing.block(several if calls > 1 else step, seconds)
    return [t / calls for t in times], max(0, memory.peak() - running.start)
