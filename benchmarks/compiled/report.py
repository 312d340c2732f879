"""The results as tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from tabulate import tabulate

from benchmarks.compiled.comparison import Comparison, Costs
from benchmarks.compiled.contestants import OURS
from benchmarks.compiled.workloads import COLD, WARM
from benchmarks.report import digits, duration


def table(comparison: Comparison) -> str:
    """One workload: of each contestant what a step takes, and what compiling costs."""
    workload, entries = comparison.workload, comparison.entries
    rows = [row(comparison, name) for name, entry in entries.items() if not entry.note]
    notes = [f"{name}: {entry.note}" for name, entry in entries.items() if entry.note]
    title = f"{comparison.name}: {workload.title}; {threads(comparison)}"
    return "\n".join([title, aligned(rows), *goals(comparison), *notes])


def row(comparison: Comparison, name: str) -> dict[str, str]:
    """A contestant's, by the columns' titles."""
    s, costs = comparison.summaries()[name], comparison.costs[name]
    found, gain = comparison.entries[name].figures, comparison.gains().get(name)
    return {
        "": name,
        "a step": duration(s.median),
        "10 % to 90 %": f"{duration(s.low)} to {duration(s.high)}",
        "times ours": "" if gain is None else digits(gain),
        "first call": seconds(costs.cold),
        "once cached": seconds(costs.warm),
        "pays after": steps(comparison.break_even(name)),
        "memory": "" if costs.growth is None else f"{costs.growth / 1e6:.1f} MB",
        f"after {len(found)} steps" if len(found) > 1 else "value": f"{found[-1][0]:.6g}",
    }


def aligned(rows: Sequence[dict[str, Any]]) -> str:
    """A table; the first column to the left, figures to the right."""
    if not rows:
        return ""
    align = ("left", *["right"] * (len(rows[0]) - 1))
    return tabulate(rows, headers="keys", colalign=align, disable_numparse=True)


def threads(comparison: Comparison) -> str:
    return f"{comparison.threads} thread{'s' * (comparison.threads > 1)}"


def seconds(value: float | None) -> str:
    return "" if value is None else duration(value)


def steps(value: float | None) -> str:
    if value is None:
        return ""
    return "never" if value == math.inf else f"{value:,} steps"


def goals(comparison: Comparison) -> list[str]:
    """The target of compiled minigrad, and whether it is reached."""
    workload, gain = comparison.workload, comparison.gain()
    found = []
    if gain is not None and workload.target is not None:
        peer = f"{comparison.fastest_peer()}'s time over ours: {digits(gain)}"
        found.append(goal(peer, f"at least {digits(workload.target)}", gain >= workload.target))
    if workload.seconds_at_most is not None and OURS in comparison.summaries():
        taken = comparison.summaries()[OURS].median
        found.append(within("a step", taken, workload.seconds_at_most))
    costs, jax, torch = (comparison.costs.get(x, Costs()) for x in (OURS, "jax-jit", "torch-eager"))
    if costs.cold is not None:
        found.append(within("first call", costs.cold, COLD))
    if costs.cold is not None and jax.cold is not None:
        found.append(within("first call, beside jax-jit's", costs.cold, jax.cold))
    if costs.warm is not None:
        found.append(within("first call, once cached", costs.warm, WARM))
    if costs.growth is not None and torch.growth is not None:
        what, most = (f"{x / 1e6:.1f} MB" for x in (costs.growth, torch.growth))
        reached = costs.growth <= torch.growth
        found.append(goal(f"memory: {what}", f"at most torch-eager's, {most}", reached))
    return found


def within(what: str, taken: float, limit: float) -> str:
    return goal(f"{what}: {duration(taken)}", f"at most {duration(limit)}", taken <= limit)


def goal(what: str, wanted: str, reached: bool) -> str:
    return f"  {what}, {wanted}: {'reached' if reached else 'missed'}"


def slowest_first(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """By the time of the fastest peer over ours; those without one come last."""
    return sorted(comparisons, key=lambda x: math.inf if (gain := x.gain()) is None else gain)


def overview(comparisons: Iterable[Comparison]) -> str:
    """All workloads, the slowest first: a step of each contestant, and minigrad relative to the
    fastest peer and to the machine's limit."""
    return aligned([overview_row(comparison) for comparison in slowest_first(comparisons)])


def overview_row(comparison: Comparison) -> dict[str, str]:
    summaries, gain, share = comparison.summaries(), comparison.gain(), comparison.share()
    target, costs = comparison.workload.target, comparison.costs
    medians = {
        name: duration(summaries[name].median) if name in summaries else "-"
        for name in comparison.entries
    }
    return {
        "a step": comparison.name,
        "threads": str(comparison.threads),
        **medians,
        "fastest peer / ours": "" if gain is None else digits(gain),
        "target": "" if target is None else digits(target),
        "of the limit": "" if share is None else f"{share:.0%}",
        "first call": seconds(costs.get(OURS, Costs()).cold),
        "jax-jit's": seconds(costs.get("jax-jit", Costs()).cold),
        "once cached": seconds(costs.get(OURS, Costs()).warm),
    }
