"""Contestants compared: times, the cost of compiling, and when it pays off."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.comparison import Entry, disagreements, in_turns
from benchmarks.compiled.contestants import CONTESTANTS, OURS, PEERS
from benchmarks.compiled.limits import Limits, Work
from benchmarks.compiled.worker import Worker
from benchmarks.compiled.workloads import WORKLOADS, Workload
from benchmarks.timing import PAUSE, Summary, ratio, summary


@dataclass
class Costs:
    """Beside the time of a step: seconds of the first call, with an empty cache and with what the
    process before left in it; and by how many bytes the process grew at its peak."""

    cold: float | None = None
    warm: float | None = None
    growth: int | None = None


@dataclass
class Comparison:
    name: str
    workload: Workload
    entries: dict[str, Entry]
    costs: dict[str, Costs]
    work: Sequence[Work] = ()  # of our step
    limits: Limits | None = None
    threads: int = 1

    def summaries(self) -> dict[str, Summary]:
        return {name: summary(e.rounds) for name, e in self.entries.items() if e.rounds}

    def gains(self) -> dict[str, float]:
        """How many times as long as minigrad compiled each contestant takes."""
        ours = self.entries.get(OURS, Entry()).rounds
        if not ours:
            return {}
        return {name: ratio(e.rounds, ours) for name, e in self.entries.items() if e.rounds}

    def fastest_peer(self) -> str | None:
        """By the median of all its steps."""
        peers = {name: s.median for name, s in self.summaries().items() if name in PEERS}
        return min(peers, key=peers.__getitem__, default=None)

    def gain(self) -> float | None:
        """The time of the fastest peer, over ours."""
        peer = self.fastest_peer()
        return self.gains().get(peer) if peer else None

    def least(self) -> float | None:
        """The seconds that our step takes at least, by the limits of the machine."""
        return self.limits.seconds(self.work) if self.limits and self.work else None

    def share(self) -> float | None:
        """How much of the machine's limit our step reaches."""
        least, ours = self.least(), self.summaries().get(OURS)
        return least / ours.median if least and ours else None

    def break_even(self, name: str) -> float | None:
        """After how many steps a compiled contestant has caught up with its eager twin, first
        call included; infinity if never, None if they cannot be compared."""
        twin, summaries = CONTESTANTS[name].twin, self.summaries()
        if twin not in summaries or name not in summaries:
            return None
        costs = self.costs[name].cold, self.costs[twin].cold
        if costs[0] is None or costs[1] is None:
            return None
        return caught_up((costs[0], summaries[name].median), (costs[1], summaries[twin].median))

    def problems(self) -> list[str]:
        """Why the comparison is invalid: minigrad failed, or results differ."""
        failed = [
            f"{self.name}: {name} {entry.note}"
            for name, entry in self.entries.items()
            if entry.note and name not in PEERS
        ]
        finished = {name: e.figures for name, e in self.entries.items() if not e.note}
        return failed + [
            f"{self.name}: {problem}"
            for problem in disagreements(finished, self.workload.tolerance)
        ]

    def as_json(self) -> dict[str, Any]:
        return {
            "title": self.workload.title,
            "target": self.workload.target,
            "seconds_at_most": self.workload.seconds_at_most,
            "fastest_peer": self.fastest_peer(),
            "gain": self.gain(),
            "multiply_adds": sum(x.multiply_adds for x in self.work),
            "bytes": sum(x.bytes for x in self.work),
            "seconds_at_least": self.least(),
            "share_of_limit": self.share(),
            "problems": self.problems(),
            "contestants": {name: self.entry_as_json(name) for name in self.entries},
        }

    def entry_as_json(self, name: str) -> dict[str, Any]:
        entry, costs = self.entries[name], self.costs[name]
        even = self.break_even(name)
        return {
            "note": entry.note,
            "figures": entry.figures,
            "seconds": spread(self.summaries()[name]) if entry.rounds else None,
            "seconds_by_round": [summary([times]).median for times in entry.rounds],
            "times_ours": self.gains().get(name),
            "first_call_cold": costs.cold,
            "first_call_warm": costs.warm,
            "break_even_step": "never" if even == math.inf else even,
            "peak_growth_bytes": costs.growth,
        }


def spread(s: Summary) -> dict[str, float]:
    return {"median": s.median, "low": s.low, "high": s.high}


def caught_up(fast: tuple[float, float], slow: tuple[float, float]) -> float:
    """The first step after which the one has taken no longer in all than the other; each is the
    seconds of the first step, and of those after it.

    >>> caught_up((1.0, 0.1), (0.5, 0.2))
    6
    >>> caught_up((1.0, 0.2), (0.5, 0.1))
    inf
    """
    behind, gained = fast[0] - slow[0], slow[1] - fast[1]
    if behind <= 0:
        return 1
    return 1 + math.ceil(behind / gained) if gained > 0 else math.inf


def compare(
    name: str,
    contestants: Sequence[str],
    rounds: int,
    seconds: float,
    enter: Callable[[str, str], Any] = Worker,
    present: Callable[[str], bool] = lambda name: CONTESTANTS[name].installed,
    pause: float = PAUSE,
    limits: Limits | None = None,
    threads: int = 1,
) -> Comparison:
    """Run a workload in each contestant that is installed, in so many rounds of so many seconds
    each; `limits` are those of the machine with so many threads."""
    workers: dict[str, Any] = {}

    def entered(contestant: str) -> Any:
        workers[contestant] = enter(contestant, name)
        return workers[contestant]

    entrants = {x: partial(entered, x) if present(x) else None for x in contestants}
    entries = in_turns(entrants, rounds * seconds, rounds, pause)
    costs = {x: costs_of(workers[x]) if x in workers else Costs() for x in contestants}
    work = workers[OURS].work if OURS in workers else ()
    return Comparison(name, WORKLOADS[name], entries, costs, work, limits, threads)


def costs_of(worker: Any) -> Costs:
    return Costs(worker.cold, worker.warm, worker.growth)
