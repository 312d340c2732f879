"""The machine that code is generated for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache

from minigrad.compiler.target.toolchain import compiler, macros
from minigrad.errors import ArgumentError

MOST_THREADS = 1024


@dataclass(frozen=True)
class Machine:
    """What code is generated for: bytes of a vector, how many registers, how many threads."""

    vector: int = 32
    registers: int = 16
    threads: int = 1


def threads() -> int:
    """How many threads share large work: MINIGRAD_THREADS, or the number of cores."""
    given = os.environ.get("MINIGRAD_THREADS", "")
    if given and not (given.isdecimal() and 1 <= int(given) <= MOST_THREADS):
        raise ArgumentError(
            f"MINIGRAD_THREADS is a number of threads from 1 to {MOST_THREADS}, not {given!r}"
        )
    return int(given or cores())


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def machine() -> Machine:
    """What code is generated for."""
    cc = compiler()
    known = macros(cc) if cc else ""
    wide = "__AVX512F__" in known
    vector = 64 if wide else 32 if "__AVX__" in known else 16
    registers = 32 if wide or "__aarch64__" in known else 16
    return Machine(vector, registers, threads())
