"""One thread of BLAS, while NumPy computes small matrices in a program that has threads itself.

OpenBLAS's threads spin for a while after each call, and a program's beside them on the same cores:
the Cholesky factor of 400 rows takes several times as long with two of each.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.compiler.target.toolchain import after_fork

MAPS = Path("/proc/self/maps")
LARGE = 1 << 20  # entries of a matrix from which on BLAS has all of its threads


@functools.cache
def libraries() -> list[tuple[Callable[[], int], Callable[[int], Any]]]:
    """What tells and what sets the number of threads of each OpenBLAS that is loaded here: NumPy's
    own, and SciPy's. None, where the system does not list libraries."""
    try:
        paths = {line.split(maxsplit=5)[-1] for line in MAPS.read_text().splitlines()}
    except OSError:
        return []
    found = []
    for path in sorted(x for x in paths if "openblas" in Path(x).name):
        library = ctypes.CDLL(path)
        for before, after in itertools.product(("", "scipy_"), ("", "_", "64_", "_64_")):
            told, set_to = (f"{before}openblas_{x}_num_threads{after}" for x in ("get", "set"))
            if hasattr(library, told) and hasattr(library, set_to):
                found.append((getattr(library, told), getattr(library, set_to)))
                break
    return found


lock = threading.Lock()
inside = 0  # calls that are now computed with one thread
numbers: list[int] = []  # of threads, before


@contextmanager
def one_thread() -> Iterator[None]:
    """Let BLAS compute with one thread, until all that asked for it have left: the number is one
    for all of a process."""
    global inside
    with lock:
        if not inside:
            numbers[:] = [told() for told, _ in libraries()]
            set_to([1] * len(numbers))
        inside += 1
    try:
        yield
    finally:
        with lock:
            inside -= 1
            if not inside:
                set_to(numbers)


def set_to(threads: list[int]) -> None:
    for number, now, (_, change) in zip(threads, numbers, libraries(), strict=True):
        if now != 1:
            change(number)


def is_small(arrays: list[Any]) -> bool:
    """Whether there are matrices, and none that more threads compute in less time."""
    sizes = [x.size for x in arrays if isinstance(x, np.ndarray) and x.ndim >= 2]
    return 0 < max(sizes, default=0) < LARGE


@after_fork
def forget() -> None:
    """In a forked process nobody else computes: what another thread had set is undone."""
    global lock, inside
    lock = threading.Lock()
    if inside:
        inside = 0
        set_to(numbers)
