"""Memory that is freed, and needed again at the next step."""

from __future__ import annotations

import ctypes

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Have the allocator keep up to 1 GiB of freed memory, where it can be told to (glibc).

    Else it gives large arrays back to the system whenever a step's graph is freed, and the next
    step has every page brought in anew, filled with zeros: a training step can take twice as long
    (mallopt(3)). Arrays of more than 32 MiB are given back all the same.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return
    mallopt(M_MMAP_THRESHOLD, 2**25)
    mallopt(M_TRIM_THRESHOLD, 2**30)
