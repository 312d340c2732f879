"""The results as tables, and a description of the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import minigrad
from benchmarks.comparison import Comparison
from benchmarks.worker import PACKAGES

TUNING = ("OPENBLAS_", "OMP_", "GOMP_", "MKL_", "KMP_", "MALLOC_", "MINIGRAD_", "XLA_")


def machine(
    environment: Mapping[str, str], packages: Iterable[str] = PACKAGES.values()
) -> dict[str, Any]:
    """The machine and versions, with the environment variables that tune libraries."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "blas": f"{blas['name']} {blas['version']}",
        **{package: installed_version(package) for package in packages},
        **{k: v for k, v in environment.items() if k.startswith(TUNING)},
    }


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def installed_version(package: str) -> str | None:
    if package == "minigrad":
        return minigrad.__version__
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def table(comparison: Comparison) -> str:
    """One workload: of each library the time, how much of it minigrad takes, what it found."""
    notes = [f"  {name}: {e.note}" for name, e in comparison.entries.items() if e.note]
    rows = [cells(comparison, name) for name, e in comparison.entries.items() if not e.note]
    columns = [[title, *(row[title] for row in rows)] for title in (rows[0] if rows else ())]
    lines = [""] * (len(rows) + 1)
    for column in filter(lambda column: any(column[1:]), columns):
        width = max(map(len, column))
        align = str.rjust if any(lines) else str.ljust  # names to the left, figures to the right
        lines = [f"{line}  {align(x, width)}" for line, x in zip(lines, column, strict=True)]
    title = f"{comparison.name}: {comparison.workload.title}"
    return "\n".join([title, *(line.rstrip() for line in lines), *notes])


def cells(comparison: Comparison, name: str) -> dict[str, str]:
    """A library's row, by the columns' titles."""
    workload, entry = comparison.workload, comparison.entries[name]
    s, ratio = comparison.summaries()[name], comparison.ratios().get(name)
    found = f"{entry.figures[-1][0]:.6g}" if entry.figures else ""
    return {
        "library": name,
        "median": duration(s.median),
        "per op": duration(s.median / workload.ops) if workload.ops else "",
        "10 % to 90 %": f"{duration(s.low)} to {duration(s.high)}",
        "steps": str(s.steps),
        "minigrad takes": "" if ratio is None or name == "minigrad" else f"{digits(ratio)} of it",
        "goal": goal(comparison, name),
        f"after {workload.steps} steps" if workload.steps > 1 else "value": found,
    }


def goal(comparison: Comparison, name: str) -> str:
    """The target ratio to this library, and whether it is reached."""
    workload = comparison.workload
    if name == "minigrad" and workload.seconds_at_most:
        reached = comparison.summaries()[name].median <= workload.seconds_at_most
        limit = duration(workload.seconds_at_most)
    elif name in workload.at_most and name in comparison.ratios():
        reached = comparison.ratios()[name] <= workload.at_most[name]
        limit = digits(workload.at_most[name])
    else:
        return ""
    return f"{limit}: {'reached' if reached else 'missed'}"


def duration(seconds: float) -> str:
    """Three digits and a unit: 12.3 us.

    >>> duration(0.00001234), duration(2)
    ('12.3 us', '2.00 s')
    """
    units = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
    unit = next((u for u, size in units.items() if seconds < 999.5 * size), "s")
    return f"{digits(seconds / units[unit])} {unit}"


def digits(value: float) -> str:
    """A number to three digits, or as a whole: 12.3, 1.20, 123, 4,567."""
    return f"{value:#.3g}".rstrip(".") if value < 999.5 else f"{value:,.0f}"
