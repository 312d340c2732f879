"""Building C with the system's compiler."""

from __future__ import annotations

import _ctypes
import contextlib
import ctypes
import functools
import hashlib
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

from minigrad.compiler.target import cache

COMPILERS = ("cc", "gcc", "clang")
X86 = platform.machine().lower() in ("x86_64", "amd64")
NATIVE = "-march=native" if X86 else "-mcpu=native"
FLAGS = [
    # -O2 with vectorised loops: the rest of -O3 takes time to build and makes nothing faster.
    *f"-O2 -ftree-vectorize {NATIVE}".split(),
    # gcc 12 may find after it has fixed the addresses of local arrays that the stack need not be
    # realigned. With a red zone, the stack pointer then moves by the padding, but the addresses
    # stay: aligned stores meet arrays at 8 modulo 16. Without one, both layouts are the same.
    *["-mno-red-zone"] * X86,
    *"-std=gnu11 -fPIC -shared -pthread".split(),
    # Loops are named by the variables of indices: one that hides another would read other entries.
    "-Werror=shadow",
    # No errno and no traps, which C does not need; NaN and infinities are kept.
    *"-fno-math-errno -fno-trapping-math -ffp-contract=on -fopenmp-simd".split(),
]
# Also vectorise loops with a check at run time that it pays; and fuse a*b + c (vector_math.h does
# so for clang, and says for both which products must not be fused).
GCC_FLAGS = ["-fvect-cost-model=dynamic", "-ffp-contract=fast"]
HERE = Path(__file__).parents[1]  # the folder of the compiler


@functools.cache
def compiler() -> str | None:
    """The path of a C compiler, if there is one: the system's, or that of the ziglang wheel."""
    found = next(filter(None, map(shutil.which, COMPILERS)), None)
    if found is None and (wheel := importlib.util.find_spec("ziglang")) and wheel.origin:
        found = shutil.which("zig", path=Path(wheel.origin).parent)
    return found


def command(cc: str) -> list[str]:
    """The command line that calls it."""
    return [cc, "cc"] if Path(cc).stem == "zig" else [cc]


@functools.cache
def macros(cc: str) -> str:
    """The macros that the compiler defines for this machine, which identify both.

    Cached on disk: to ask takes as long as to trace a thousand ops.
    """
    name = macros_key(cc)
    answer = None if name is None else cache.cache_get(name)
    if answer is None:
        try:
            run = run_compiler([*command(cc), NATIVE, "-dM", "-E", "-x", "c", os.devnull])
        except (OSError, cache.BuildError):  # it cannot be run, which building says
            return ""
        answer = run.stdout
        if name is not None and run.returncode == 0:
            with contextlib.suppress(cache.BuildError):
                cache.cache_put(name, answer)
    return answer.decode()


# The lines of /proc/cpuinfo that -march=native depends on.
CPUINFO_FIELDS = "vendor_id", "cpu family", "model", "stepping", "flags", "CPU ", "Features"


def macros_key(cc: str) -> str | None:
    """The cache name for the macros of this compiler on this processor; None if that is unknown."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        file = os.stat(cc)
    except OSError:
        return None
    processors = sorted({line for line in lines if line.startswith(CPUINFO_FIELDS)})
    # With the path and time of the file that a link leads to: an updated compiler is another one.
    known = os.path.realpath(cc), file.st_mtime_ns, file.st_size, NATIVE, processors
    return f"{hashlib.sha256(repr(known).encode()).hexdigest()[:32]}.macros"


def build(*texts: str) -> list[ctypes.CDLL]:
    """The libraries that C texts are compiled to, from the cache if they were built before.

    Raises:
        BuildError: if there is no compiler, it fails or takes too long, or what it built cannot be
            kept or loaded anywhere.
    """
    return timed_build(*texts)[0]


def timed_build(*texts: str, others: Sequence[str] = ()) -> tuple[list[ctypes.CDLL], float]:
    """The libraries, and the seconds that building took: 0 if they were cached. Of `others` they
    are built and not loaded."""
    with ThreadPoolExecutor(max(1, len(texts) + len(others))) as pool:
        built = list(pool.map(build_cached, [*texts, *others]))
    loaded = [load_library(path) for path, _ in built[: len(texts)]]
    return loaded, max((each for _, each in built), default=0.0)


def load_library(path: Path) -> ctypes.CDLL:
    """Load a library; if that fails, from a copy in a private temporary folder."""
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        if "symbol" in str(error):  # a function that no library has: not the folder's fault
            raise cache.BuildError(f"a library cannot be loaded: {error}") from None
        why = str(error).rpartition(": ")[2]
        cache.warn_unused(path.parent, f"no library can be loaded from it ({why}). Is it noexec?")
        try:
            content = path.read_bytes()[: -cache.DIGEST]
            return ctypes.CDLL(str(cache.write_file(cache.temporary_folder(), path.name, content)))
        except OSError as again:
            raise cache.BuildError(
                f"a library cannot be loaded: {again}. Set TMPDIR, or MINIGRAD_CACHE, to a folder "
                "from which programs may be run"
            ) from None


def release(*libraries: ctypes.CDLL) -> None:
    """Unload libraries that are no longer used: ctypes never does."""
    if hasattr(_ctypes, "dlclose"):
        for library in libraries:
            _ctypes.dlclose(library._handle)


def build_async(*texts: str, threads: int) -> Future[tuple[list[ctypes.CDLL], float]]:
    """A future of `timed_build`, in a thread, while the plan of the program is finished; and of the
    runtime, if the program has threads."""
    pool = ThreadPoolExecutor(1)
    try:
        others = [runtime_text()] if threads > 1 else []
        return pool.submit(timed_build, *texts, others=others)
    finally:
        pool.shutdown(wait=False)


def build_cached(text: str) -> tuple[Path, float]:
    """The path of the library of a C text, and the seconds that building it took: 0 if the cache
    has it."""
    cc = compiler()
    if cc is None:
        raise cache.BuildError(f"there is no C compiler: none of {', '.join(COMPILERS)} was found")
    name = library_name(cc, text)
    # The digest at the end of the file does not disturb the loader.
    if path := cache.cached_path(name):
        return path, 0.0
    start = perf_counter()
    return cache.cache_put(name, compile_source(cc, text)), perf_counter() - start


def flags(cc: str) -> list[str]:
    return FLAGS if "__clang__" in macros(cc) else [*FLAGS, *GCC_FLAGS]


def library_name(cc: str, text: str) -> str:
    key = hashlib.sha256("\0".join([cc, macros(cc), *flags(cc), text]).encode()).hexdigest()[:32]
    return f"{key}.so"


def compile_source(cc: str, text: str) -> bytes:
    """The content of the library that C is compiled to."""
    try:
        with tempfile.TemporaryDirectory(prefix="minigrad") as work:
            source, library = Path(work, "step.c"), Path(work, "step.so")
            source.write_text(text)
            run = run_compiler([*command(cc), *flags(cc), str(source), "-o", str(library), "-lm"])
            if run.returncode:
                raise cache.BuildError(
                    f"{cc} failed:\n{run.stderr.decode(errors='replace')[:4000]}"
                )
            return library.read_bytes()
    except OSError as error:
        raise cache.BuildError(f"{cc} cannot be run on a temporary file: {error}") from None


COMPILER_TIMEOUT = 300  # seconds that a compiler may take


def run_compiler(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    """Run a compiler. It is in a process group of its own, so that Ctrl-C reaches only this
    process, which then kills the compiler with all processes that it started."""
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0)
    with run:
        try:
            out, errors = run.communicate(timeout=COMPILER_TIMEOUT)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.killpg(run.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise cache.BuildError(
                    f"{command[0]} was stopped: it had not finished after {COMPILER_TIMEOUT} "
                    f"seconds. Does it run by itself? {' '.join(command)}"
                ) from None
            raise
    return subprocess.CompletedProcess(command, run.returncode, out, errors)


def after_fork(forget: Callable[[], None]) -> Callable[[], None]:
    """Register a function to run in each forked process, on systems that fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)
    return forget


def runtime_text() -> str:
    return "".join((HERE / "runtime" / name).read_text() for name in ("plans.h", "runtime.c"))


@functools.cache
def runtime() -> ctypes.CDLL:
    """The library of runtime.c. One thread at a time compiles functions, and asks for it."""
    return build(runtime_text())[0]


def function_in(library: ctypes.CDLL, name: str) -> Any:
    """A function of a library, which tests that the compiler works."""
    if not hasattr(library, name):
        raise cache.BuildError(f"{compiler()} built a library without the functions of its source")
    return getattr(library, name)
