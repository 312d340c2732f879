"""Settings of the C library's allocator."""

from __future__ import annotations

import ctypes

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Have glibc's allocator keep up to 1 GiB of freed memory; elsewhere do nothing.

    By default it returns the memory of large arrays to the system whenever a step's graph is freed,
    and the kernel maps and zeroes the pages again in the next step: a training step can take twice
    as long (mallopt(3)). Arrays of more than 32 MiB are still returned.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return
    mallopt(M_MMAP_THRESHOLD, 2**25)
    mallopt(M_TRIM_THRESHOLD, 2**30)
