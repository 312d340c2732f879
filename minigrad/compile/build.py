"""Building C with the system's compiler, and keeping what was built."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

COMPILERS = ("cc", "gcc", "clang")
FLAGS = "-O3 -march=native -std=gnu11 -fPIC -shared -fno-math-errno -fopenmp-simd -w".split()


@cache
def compiler() -> str | None:
    """The path of a C compiler, if there is one."""
    return next(filter(None, map(shutil.which, COMPILERS)), None)


def cache_folder() -> Path:
    """Where what was built is kept: MINIGRAD_CACHE, or a folder of the user's cache."""
    given = os.environ.get("MINIGRAD_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(base, "minigrad")


DIGEST = hashlib.sha256().digest_size


class BuildError(RuntimeError):
    """The C compiler failed; the message has what it said."""


def build(text: str) -> ctypes.CDLL:
    """The library that C is compiled to, from the cache if it was built before.

    Raises:
        BuildError: if there is no compiler, or it fails.
    """
    cc = compiler()
    if cc is None:
        raise BuildError(f"there is no C compiler: none of {', '.join(COMPILERS)} was found")
    key = hashlib.sha256("\0".join([cc, version(cc), *FLAGS, text]).encode()).hexdigest()[:32]
    folder = cache_folder()
    library = folder / f"{key}.so"
    if not is_whole(library):
        make(cc, text, library)
    return ctypes.CDLL(str(library))


def is_whole(library: Path) -> bool:
    """Whether a library is there and is what was built: it ends in a digest of what is before."""
    try:
        content = library.read_bytes()
    except FileNotFoundError:
        return False
    return hashlib.sha256(content[:-DIGEST]).digest() == content[-DIGEST:]


def make(cc: str, text: str, library: Path) -> None:
    """Compile to a file, which is there as a whole or not at all."""
    folder = library.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        source, built = Path(work, "step.c"), Path(work, "step.so")
        source.write_text(text)
        run = subprocess.run(
            [cc, *FLAGS, str(source), "-o", str(built), "-lm"], capture_output=True, text=True
        )
        if run.returncode:
            raise BuildError(f"{cc} failed:\n{run.stderr[:4000]}")
        content = built.read_bytes()
        built.write_bytes(content + hashlib.sha256(content).digest())  # the loader does not mind
        os.replace(built, library)


@cache
def version(cc: str) -> str:
    """What the compiler says of itself, and of the machine that it builds for."""
    asked = ["-march=native", "-Q", "--help=target"]
    outputs = [
        subprocess.run([cc, *arguments], capture_output=True, text=True).stdout
        for arguments in (["--version"], asked)
    ]
    return "".join(outputs)
