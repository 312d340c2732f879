"""Interleaved measurement: libraries take turns, so that a noisy machine disturbs them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Clock = Callable[[], float]
Block = Callable[[], list[float]]
Rounds = list[list[float]]  # of each round, the seconds each step took

FEWEST_ROUNDS = 3
# OpenBLAS's threads wait for more work at full speed, for about 30 ms: the next library should
# not share the cores with them.
PAUSE = 0.04


def block(step: Callable[[], Any], seconds: float, clock: Clock = time.perf_counter) -> list[float]:
    """Run `step` for so many seconds, at least once, and return how long each run took.

    What a step returns is dropped within its own time, so that freeing a graph is counted.
    """
    times: list[float] = []
    start = begin = clock()
    while not times or start - begin < seconds:
        step()
        end = clock()
        times.append(end - start)
        start = end
    return times


def interleave(
    blocks: Mapping[str, Block],
    rounds: int,
    seconds: float,
    between: Callable[[], Any] = lambda: None,
) -> dict[str, Rounds]:
    """In each round, one block of every library, calling `between` before each.

    A library that has used up its `seconds` (its steps are long) sits out the rounds that are
    left, once it has had a few.
    """
    taken: dict[str, Rounds] = {name: [] for name in blocks}
    for k in range(rounds):
        for name, run in blocks.items():
            if k < FEWEST_ROUNDS or sum(map(sum, taken[name])) < seconds:
                between()
                taken[name].append(run())
    return taken


@dataclass(frozen=True)
class Summary:
    """Seconds per step, over all rounds: the median, and the 10th and 90th percentile."""

    median: float
    low: float
    high: float
    steps: int


def summary(rounds: Rounds) -> Summary:
    times = [t for times in rounds for t in times]
    low, median, high = map(float, np.percentile(times, [10, 50, 90]))
    return Summary(median, low, high, len(times))


def ratio(ours: Rounds, theirs: Rounds) -> float:
    """The ratio of our time to theirs: the median over rounds of the ratio within a round, as what
    slows the machine for a while slows both."""
    pairs = zip(ours, theirs, strict=False)
    return statistics.median(statistics.median(a) / statistics.median(b) for a, b in pairs)
