"""Compiled steps compared with their peers: minigrad and PyTorch, eager and compiled, and JAX.

Each is measured in a process of its own, in turns; those that are not installed are named. The
exit code is 1 if minigrad failed, or if some found other numbers than the others.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.__main__ import THREADS, add_choice
from benchmarks.compiled.chart import draw
from benchmarks.compiled.comparison import Comparison, compare
from benchmarks.compiled.contestants import CONTESTANTS
from benchmarks.compiled.report import overview, table
from benchmarks.compiled.workloads import WORKLOADS
from benchmarks.report import machine

PACKAGES = ("minigrad", "numpy", "torch", "jax", "jaxlib")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiled", description=__doc__)
    add_choice(parser, "--workloads", WORKLOADS)
    add_choice(parser, "--contestants", CONTESTANTS)
    parser.add_argument("--rounds", type=int, default=7, help="of each contestant (default: 7)")
    parser.add_argument("--seconds", type=float, default=0.2, help="a round (default: 0.2)")
    parser.add_argument("--threads", type=int, default=2, help="for each (default: 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write all results")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="where to draw them (svg, png)")
    return parser.parse_args(argv)


def confine(threads: int) -> None:
    """Let processes started from here use so many threads, and where the system can, cores."""
    os.environ.update(dict.fromkeys((*THREADS, "MINIGRAD_THREADS"), str(threads)))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def write(path: Path, described: dict[str, Any], comparisons: Sequence[Comparison]) -> None:
    workloads = {comparison.name: comparison.as_json() for comparison in comparisons}
    path.write_text(json.dumps({"machine": described, "workloads": workloads}, indent=1))


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(argv)
    described = machine(os.environ, PACKAGES) | {"threads": args.threads}
    print("\n".join(f"{key}: {value}" for key, value in described.items()))
    confine(args.threads)
    comparisons: list[Comparison] = []
    for name in args.workloads:
        comparisons.append(compare(name, args.contestants, args.rounds, args.seconds))
        print("\n" + table(comparisons[-1]), flush=True)
        if args.json:
            write(args.json, described, comparisons)
    print("\n" + overview(comparisons))
    if args.chart:
        draw(comparisons, f"{described['processor']}, threads: {args.threads}", args.chart)
    problems = [problem for comparison in comparisons for problem in comparison.problems()]
    print("\n" + ("\n".join(problems) or "All found the same numbers."))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
