"""minigrad compared with its peers.

Every library is measured in a process of its own, in turns; those that are not installed are
named. The exit code is 1 if libraries that ought to do the same work found different numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from benchmarks.comparison import compare
from benchmarks.report import machine, table
from benchmarks.worker import PACKAGES
from benchmarks.workloads import WORKLOADS

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def some_of(known: Collection[str]) -> Callable[[str], list[str]]:
    """Reads a comma-separated choice."""

    def choice(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}? There is {', '.join(known)}")
        return names

    return choice


def add_choice(parser: argparse.ArgumentParser, flag: str, known: Collection[str]) -> None:
    """An option for a subset of the choices; by default, all."""
    parser.add_argument(
        flag,
        type=some_of(known),
        default=list(known),
        metavar="NAME,...",
        help=f"some of {', '.join(known)} (default: all)",
    )


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add_choice(parser, "--workloads", WORKLOADS)
    add_choice(parser, "--libraries", PACKAGES)
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="for each library and workload (default: 3)"
    )
    parser.add_argument("--threads", type=int, default=2, help="for each library (default: 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write all results")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(argv)
    described = machine(os.environ)
    described["threads"] = args.threads
    print("\n".join(f"{key}: {value}" for key, value in described.items()))
    # The libraries' processes inherit these, and read them when they are imported.
    os.environ.update(dict.fromkeys(THREADS, str(args.threads)))
    results, problems = {}, []
    for name in args.workloads:
        entrants = [x for x in WORKLOADS[name].libraries if x in args.libraries]
        comparison = compare(name, entrants, args.seconds)
        print("\n" + table(comparison), flush=True)
        results[name] = comparison.as_json()
        problems += comparison.problems()
    if args.json:
        args.json.write_text(json.dumps({"machine": described, "workloads": results}, indent=1))
    print("\n" + ("\n".join(problems) or "All libraries found the same numbers."))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
