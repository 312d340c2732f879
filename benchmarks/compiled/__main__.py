"""Compiled steps compared with their peers: minigrad and PyTorch, eager and compiled, and JAX.

Each is measured in a process of its own, in turns; those that are not installed are named. In the
last table what is slowest beside its fastest peer comes first. The exit code is 1 if minigrad
failed, or if some found other numbers than the others.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.__main__ import THREADS, add_choice
from benchmarks.compiled.chart import draw
from benchmarks.compiled.comparison import Comparison, compare
from benchmarks.compiled.contestants import CONTESTANTS
from benchmarks.compiled.report import overview, slowest_first, table
from benchmarks.compiled.worker import limits
from benchmarks.compiled.workloads import WORKLOADS
from benchmarks.report import machine

PACKAGES = ("minigrad", "numpy", "torch", "jax", "jaxlib")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiled", description=__doc__)
    add_choice(parser, "--workloads", WORKLOADS)
    add_choice(parser, "--contestants", CONTESTANTS)
    parser.add_argument("--rounds", type=int, default=9, help="of each contestant (default: 9)")
    parser.add_argument("--seconds", type=float, default=0.2, help="a round (default: 0.2)")
    counts = "for each contestant (default: 1 2, one after the other)"
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help=counts)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write all results")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="where to draw them (svg, png)")
    return parser.parse_args(argv)


def confine(threads: int, cores: Sequence[int]) -> None:
    """Let processes started from here use so many threads, and where the system can, cores."""
    os.environ.update(dict.fromkeys((*THREADS, "MINIGRAD_THREADS"), str(threads)))
    if cores:
        os.sched_setaffinity(0, cores[-threads:])


def usable_cores() -> list[int]:
    """The numbers of the cores that this process may use; none, where the system cannot say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def write(path: Path, described: dict[str, Any], comparisons: Sequence[Comparison]) -> None:
    """All results, by workload and number of threads, the slowest first; and the limits of the
    machine by the number of threads."""
    workloads: dict[str, Any] = {}
    for x in slowest_first(comparisons):
        workloads.setdefault(x.name, {})[x.threads] = x.as_json()
    limits = {x.threads: asdict(x.limits) for x in comparisons if x.limits}
    found = {"machine": described, "limits": limits, "workloads": workloads}
    path.write_text(json.dumps(found, indent=1))


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(argv)
    described = machine(os.environ, PACKAGES)
    print("\n".join(f"{key}: {value}" for key, value in described.items()))
    comparisons: list[Comparison] = []
    cores = usable_cores()
    for threads in args.threads:
        confine(threads, cores)
        turns = partial(compare, limits=limits(), threads=threads)
        for name in args.workloads:
            comparisons.append(turns(name, args.contestants, args.rounds, args.seconds))
            print("\n" + table(comparisons[-1]), flush=True)
            if args.json:
                write(args.json, described, comparisons)
    print("\n" + overview(comparisons))
    if args.chart:
        draw(slowest_first(comparisons), described["processor"], args.chart)
    problems = [problem for comparison in comparisons for problem in comparison.problems()]
    print("\n" + ("\n".join(problems) or "All found the same numbers."))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
