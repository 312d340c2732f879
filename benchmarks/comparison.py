"""Libraries compared on one workload: their times, and whether they do the same work."""

from __future__ import annotations

import dataclasses
import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks.timing import PAUSE, Rounds, Summary, interleave, ratio, summary
from benchmarks.worker import PACKAGES, Contestant, Importer, Worker
from benchmarks.workloads import WORKLOADS, Workload

ROUNDS = 11

MISSING = "not installed"


@dataclass
class Entry:
    """A library's part in a comparison: its results and times, or in `note` why it has none."""

    figures: list[list[float]] = field(default_factory=list)
    rounds: Rounds = field(default_factory=list)
    note: str = ""


@dataclass
class Comparison:
    name: str
    workload: Workload
    entries: dict[str, Entry]

    def summaries(self) -> dict[str, Summary]:
        return {name: summary(e.rounds) for name, e in self.entries.items() if e.rounds}

    def ratios(self) -> dict[str, float]:
        """How many times each library's time minigrad takes."""
        ours = self.entries["minigrad"].rounds if "minigrad" in self.entries else []
        if not ours:
            return {}
        return {name: ratio(ours, e.rounds) for name, e in self.entries.items() if e.rounds}

    def problems(self) -> list[str]:
        """Why the comparison is invalid: minigrad failed, or results differ."""
        ours = self.entries.get("minigrad")
        found = [f"{self.name}: minigrad {ours.note}"] if ours and ours.note else []
        finished = {name: e.figures for name, e in self.entries.items() if not e.note}
        return found + [
            f"{self.name}: {problem}"
            for problem in disagreements(finished, self.workload.tolerance)
        ]

    def as_json(self) -> dict[str, Any]:
        summaries, ratios = self.summaries(), self.ratios()
        return {
            name: {
                "note": entry.note,
                "figures": entry.figures,
                "seconds": dataclasses.asdict(summaries[name]) if entry.rounds else None,
                "seconds_by_round": [summary([times]).median for times in entry.rounds],
                "minigrad_takes": ratios.get(name),
            }
            for name, entry in self.entries.items()
        }


def disagreements(figures: Mapping[str, list[list[float]]], tolerance: float) -> list[str]:
    """The libraries whose results differ from the first one's, at any step."""
    if not figures:
        return []
    (reference, expected), *others = figures.items()
    return [
        f"at step {k}, {name} has {theirs} where {reference} has {ours}"
        for name, found in others
        for k, (ours, theirs) in enumerate(zip(expected, found, strict=True), start=1)
        if not all(close(a, b, tolerance) for a, b in zip(ours, theirs, strict=True))
    ]


def close(a: float, b: float, tolerance: float) -> bool:
    """Whether two numbers are equal within a relative tolerance; NaN equals nothing."""
    return abs(a - b) <= tolerance * max(abs(a), abs(b))


def installed(library: str) -> bool:
    return importlib.util.find_spec(PACKAGES[library]) is not None


def contestant(library: str, name: str) -> Contestant:
    return Importer(library) if WORKLOADS[name].task == "import" else Worker(library, name)


def compare(
    name: str,
    libraries: Sequence[str],
    seconds: float,
    enter: Callable[[str, str], Contestant] = contestant,
    present: Callable[[str], bool] = installed,
    pause: float = PAUSE,
) -> Comparison:
    """Run a workload in each library that takes part in it, for `seconds` each."""
    entrants = {
        library: partial(enter, library, name) if present(library) else None
        for library in libraries
    }
    return Comparison(name, WORKLOADS[name], in_turns(entrants, seconds, pause=pause))


def in_turns(
    entrants: Mapping[str, Callable[[], Contestant] | None],
    seconds: float,
    rounds: int = ROUNDS,
    pause: float = PAUSE,
) -> dict[str, Entry]:
    """Prepare one after the other, then let them work in turns; None is one that is missing."""
    entries = {name: Entry(note="" if enter else MISSING) for name, enter in entrants.items()}
    running: dict[str, Contestant] = {}
    with closing(running):
        for name, enter in entrants.items():
            if enter is None:
                continue
            running[name] = enter()
            try:
                entries[name].figures = running[name].prepare()
            except Exception as error:  # a peer that cannot do it is a result, too
                entries[name].note = f"failed: {type(error).__name__}: {error}"
        blocks = {
            name: partial(one.block, seconds / rounds)
            for name, one in running.items()
            if not entries[name].note
        }
        taken = interleave(blocks, rounds, seconds, between=lambda: time.sleep(pause))
        for name, times in taken.items():
            entries[name].rounds = times
    return entries


@contextmanager
def closing(running: Mapping[str, Contestant]) -> Iterator[None]:
    """Close all that is in there at the end."""
    try:
        yield
    finally:
        for one in running.values():
            one.close()
