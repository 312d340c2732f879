"""The memory of this process."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path

STATUS = Path("/proc/self/status")


def status(field: str) -> int | None:
    """A size in bytes of what Linux tells about this process; None elsewhere."""
    with suppress(OSError):
        for line in STATUS.read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    return None


def peak() -> int:
    """The most this process has held, in bytes; where Linux can forget, since `begin`."""
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return status("VmHWM") or (usage if sys.platform == "darwin" else usage * 1024)


def begin() -> int:
    """What this process holds now, in bytes. The peak starts anew from here."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS") or peak()
