"""The results as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.compiled.comparison import Comparison
from benchmarks.compiled.contestants import CONTESTANTS
from minigrad.pages.colors import SERIES

COLORS = dict(zip(CONTESTANTS, SERIES, strict=False))
THICKNESS = 0.16  # of a bar; workloads are 1 apart


def speeds(comparison: Comparison) -> dict[str, float]:
    """How many times as fast as the fastest peer each contestant is; empty without a peer."""
    summaries, peer = comparison.summaries(), comparison.fastest_peer()
    if peer is None:
        return {}
    return {name: summaries[peer].median / s.median for name, s in summaries.items()}


def draw(comparisons: Sequence[Comparison], title: str, path: Path) -> None:
    """A group of bars for each workload, in its first comparison's order, and a mark where minigrad
    compiled is to be; beside each other, one picture for each number of threads."""
    from matplotlib.figure import Figure

    shown = [comparison for comparison in comparisons if speeds(comparison)]
    names = list(dict.fromkeys(comparison.name for comparison in shown))
    counts = sorted({comparison.threads for comparison in shown})
    figure = Figure(figsize=(2 + 6 * len(counts), 1.5 + 0.8 * len(names)), layout="constrained")
    for axes, threads in zip(
        figure.subplots(1, len(counts), squeeze=False)[0], counts, strict=True
    ):
        for comparison in shown:
            if comparison.threads == threads:
                draw_group(axes, names.index(comparison.name), comparison)
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}x")
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlabel("speed, beside the fastest peer's (the line: minigrad's target)")
        axes.set_title(f"{title}, threads: {threads}")
    legend(figure)
    figure.savefig(path)


def draw_group(axes: Any, place: int, comparison: Comparison) -> None:
    found = speeds(comparison)
    for k, name in enumerate(comparison.entries):
        if name in found:
            # Bars start at 1: to the right the faster, to the left the slower.
            y = place + (k - (len(comparison.entries) - 1) / 2) * THICKNESS
            axes.barh(y, found[name] - 1, THICKNESS, left=1, color=COLORS[name], label=name)
    if comparison.workload.target is not None:
        axes.vlines(comparison.workload.target, place - 0.45, place + 0.45, color="black", lw=2)


def legend(figure: Any) -> None:
    """Each contestant once."""
    found = [axes.get_legend_handles_labels() for axes in figure.axes]
    once = {name: x for handles, names in found for name, x in zip(names, handles, strict=True)}
    figure.legend(once.values(), once.keys(), loc="outside lower center", ncols=len(once) or 1)
