"""Benchmarks in rows, each of which several ways of computing one thing share: their options, and
whether all found the same numbers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable


def row_options(described: str | None, seconds: float) -> argparse.ArgumentParser:
    """The options that all such benchmarks have; each way has turns of so many seconds."""
    parser = argparse.ArgumentParser(description=described)
    parser.add_argument("--rounds", type=int, default=10, help="turns of each way")
    parser.add_argument("--seconds", type=float, default=seconds, help="of each turn")
    parser.add_argument("--rows", default="", help="part of the names of the rows to run")
    return parser


def run_rows(rows: Iterable[str], part: str, agrees: Callable[[str], bool]) -> int:
    """Measure the rows that have `part` in their names, and name those that do not agree.

    Returns:
        the exit code: 1 if there are any.
    """
    names = [name for name in rows if part in name]
    odd = [name for name, fine in zip(names, [*map(agrees, names)], strict=True) if not fine]
    for name in odd:
        print(f"{name}: different numbers were found")
    return int(bool(odd))
