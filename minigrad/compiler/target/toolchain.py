"""Building C with the system's compiler, and the cache of what was built."""

from __future__ import annotations

import _ctypes
import atexit
import contextlib
import ctypes
import hashlib
import importlib.util
import os
import platform
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter

from minigrad.errors import ArgumentError

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
OF_GCC = ["-fvect-cost-model=dynamic", "-ffp-contract=fast"]
HERE = Path(__file__).parents[1]  # the folder of the compiler


@dataclass(frozen=True)
class Machine:
    """What code is generated for: bytes of a vector, how many registers, how many threads."""

    vector: int = 32
    registers: int = 16
    threads: int = 1


class BuildError(RuntimeError):
    """The C compiler failed; the message has what it said."""


@cache
def compiler() -> str | None:
    """The path of a C compiler, if there is one: the system's, or that of the ziglang wheel."""
    found = next(filter(None, map(shutil.which, COMPILERS)), None)
    if found is None and (wheel := importlib.util.find_spec("ziglang")) and wheel.origin:
        found = shutil.which("zig", path=Path(wheel.origin).parent)
    return found


def command(cc: str) -> list[str]:
    """The command line that calls it."""
    return [cc, "cc"] if Path(cc).stem == "zig" else [cc]


def cache_folder() -> Path:
    """The folder of the cache: MINIGRAD_CACHE, or `minigrad` in the user's cache folder."""
    given = os.environ.get("MINIGRAD_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(base, "minigrad")


def threads() -> int:
    """How many threads share large work: MINIGRAD_THREADS, or the number of cores."""
    given = os.environ.get("MINIGRAD_THREADS", "")
    if given and not (given.isdecimal() and int(given)):
        raise ArgumentError(f"MINIGRAD_THREADS is a number of threads, at least 1, not {given!r}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return int(given or cores or 1)


@cache
def macros(cc: str) -> str:
    """The macros that the compiler defines for this machine, which identify both.

    Cached on disk: to ask takes as long as to trace a thousand ops.
    """
    name = answer_name(cc)
    answer = None if name is None else kept(name)
    if answer is None:
        asked = [*command(cc), NATIVE, "-dM", "-E", "-x", "c", os.devnull]
        run = called(asked)
        answer = run.stdout
        if name is not None and run.returncode == 0:
            with contextlib.suppress(BuildError):
                keep(name, answer)
    return answer.decode()


# The lines of /proc/cpuinfo that -march=native depends on.
TRAITS = "vendor_id", "cpu family", "model", "stepping", "flags", "CPU ", "Features"


def answer_name(cc: str) -> str | None:
    """The cache name for the macros of this compiler on this processor; None if that is unknown."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        file = os.stat(cc)
    except OSError:
        return None
    processors = sorted({line for line in lines if line.startswith(TRAITS)})
    # With the path and time of the file that a link leads to: an updated compiler is another one.
    known = os.path.realpath(cc), file.st_mtime_ns, file.st_size, NATIVE, processors
    return f"{hashlib.sha256(repr(known).encode()).hexdigest()[:32]}.macros"


@cache
def machine() -> Machine:
    """What code is generated for."""
    cc = compiler()
    known = macros(cc) if cc else ""
    wide = "__AVX512F__" in known
    vector = 64 if wide else 32 if "__AVX__" in known else 16
    registers = 32 if wide or "__aarch64__" in known else 16
    return Machine(vector, registers, threads())


DIGEST = hashlib.sha256().digest_size


def build(*texts: str) -> list[ctypes.CDLL]:
    """The libraries that C texts are compiled to, from the cache if they were built before.

    Raises:
        BuildError: if there is no compiler, it fails or takes too long, or what it built cannot be
            kept or loaded anywhere.
    """
    with ThreadPoolExecutor(max(1, len(texts))) as pool:
        paths = list(pool.map(built, texts))
    return [loaded(path) for path in paths]


def loaded(path: Path) -> ctypes.CDLL:
    """Load a library; if that fails, from a copy in a private temporary folder."""
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        if "symbol" in str(error):  # a function that no library has: not the folder's fault
            raise BuildError(f"a library cannot be loaded: {error}") from None
        why = str(error).rpartition(": ")[2]
        say_unused(path.parent, f"no library can be loaded from it ({why}). Is it noexec?")
        try:
            return ctypes.CDLL(str(put(private(), path.name, path.read_bytes()[:-DIGEST])))
        except OSError as again:
            raise BuildError(
                f"a library cannot be loaded: {again}. Set TMPDIR, or MINIGRAD_CACHE, to a folder "
                "from which programs may be run"
            ) from None


def release(*libraries: ctypes.CDLL) -> None:
    """Unload libraries that are no longer used: ctypes never does."""
    if hasattr(_ctypes, "dlclose"):
        for library in libraries:
            _ctypes.dlclose(library._handle)


def begun(*texts: str) -> Future[tuple[list[ctypes.CDLL], float]]:
    """A future of the libraries, and of the seconds that building took (0 if they were cached).

    They are built in a thread, while the plan of the program is finished.
    """

    def timed() -> tuple[list[ctypes.CDLL], float]:
        known, start = are_built(*texts), perf_counter()
        return build(*texts), 0.0 if known else perf_counter() - start

    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(timed)
    finally:
        pool.shutdown(wait=False)


def built(text: str) -> Path:
    cc = compiler()
    if cc is None:
        raise BuildError(f"there is no C compiler: none of {', '.join(COMPILERS)} was found")
    name = library_name(cc, text)
    # The digest at the end of the file does not disturb the loader.
    return path_of(name) or keep(name, compiled(cc, text))


def flags(cc: str) -> list[str]:
    return FLAGS if "__clang__" in macros(cc) else [*FLAGS, *OF_GCC]


def library_name(cc: str, text: str) -> str:
    key = hashlib.sha256("\0".join([cc, macros(cc), *flags(cc), text]).encode()).hexdigest()[:32]
    return f"{key}.so"


def are_built(*texts: str) -> bool:
    """Whether libraries of these C texts are in the cache."""
    cc, folder = compiler(), cache_folder()
    return cc is not None and all((folder / library_name(cc, text)).exists() for text in texts)


def compiled(cc: str, text: str) -> bytes:
    """The content of the library that C is compiled to."""
    try:
        with tempfile.TemporaryDirectory(prefix="minigrad") as work:
            source, library = Path(work, "step.c"), Path(work, "step.so")
            source.write_text(text)
            run = called([*command(cc), *flags(cc), str(source), "-o", str(library), "-lm"])
            if run.returncode:
                raise BuildError(f"{cc} failed:\n{run.stderr.decode(errors='replace')[:4000]}")
            return library.read_bytes()
    except OSError as error:
        raise BuildError(f"{cc} cannot be run on a temporary file: {error}") from None


LONGEST = 300  # seconds that a compiler may take


def called(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    """Run a compiler. It is in a process group of its own, so that Ctrl-C reaches only this
    process, which then kills the compiler with all processes that it started."""
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0)
    with run:
        try:
            out, errors = run.communicate(timeout=LONGEST)
        except BaseException as error:
            os.killpg(run.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                text = f"{command[0]} was stopped: it had not finished after {LONGEST} seconds"
                raise BuildError(f"{text}. Does it run by itself? {' '.join(command)}") from None
            raise
    return subprocess.CompletedProcess(command, run.returncode, out, errors)


# The cache: files that are written atomically, each with a digest at its end. Libraries in it are
# run, so nobody but the user may be able to write into it.


privates: dict[Path, Path] = {}


def private() -> Path:
    """A temporary folder of this process, in place of a cache that cannot be used."""
    instead = cache_folder()
    if instead not in privates:
        folder = tempfile.TemporaryDirectory(prefix="minigrad")
        atexit.register(folder.cleanup)
        privates[instead] = Path(folder.name)
    return privates[instead]


@cache
def say_unused(folder: Path, why: str) -> None:
    text = f"the cache {folder} is not used: {why} What is compiled is kept for this process only"
    warnings.warn(text, RuntimeWarning, stacklevel=2)


@cache
def trusted(folder: Path) -> bool:
    """Whether only the user and root can write into a folder or replace it, as ssh requires of its
    keys; if not, warn once."""
    real = Path(os.path.realpath(folder))
    for path in (real, *real.parents):
        why = "" if not path.exists() else others_may_write(path, path != real)
        if why:
            text = f"{path} {why}. Make it yours (chown) and `chmod go-w` it, or set MINIGRAD_CACHE"
            say_unused(folder, f"{text} to another folder.")
            return False
    return True


def others_may_write(path: Path, is_above: bool) -> str:
    """Who else can write a file or folder, in words; empty if only the user and root can."""
    it = path.stat()
    if not hasattr(os, "geteuid"):
        return ""
    if it.st_uid not in (0, os.geteuid()):
        return f"belongs to user {it.st_uid}"
    # In a folder with the sticky bit, as /tmp, only a file's owner can rename or remove it.
    sticky = is_above and it.st_mode & stat.S_ISVTX
    if it.st_mode & stat.S_IWOTH and not sticky:
        return "can be written by everybody"
    if it.st_mode & stat.S_IWGRP and not sticky and not is_own_group(it.st_gid):
        return f"can be written by group {it.st_gid}"
    return ""


def is_own_group(group: int) -> bool:
    """Whether the user is the only member of a group."""
    import grp
    import pwd

    try:
        user, it = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return group == user.pw_gid and it.gr_name == user.pw_name and {*it.gr_mem} <= {user.pw_name}


def path_of(name: str) -> Path | None:
    """The path of a file in the cache, if it is there and its digest is right."""
    folder = cache_folder()
    folders = [folder] if trusted(folder) else []
    folders += [privates[folder]] if folder in privates else []
    for path in (folder / name for folder in folders):
        with contextlib.suppress(OSError):
            content = path.read_bytes()
            right = hashlib.sha256(content[:-DIGEST]).digest() == content[-DIGEST:]
            if right and not others_may_write(path, False):
                with contextlib.suppress(OSError):
                    os.utime(path)  # for `trim`, which removes the least recently used
                return path
    return None


def kept(name: str) -> bytes | None:
    """The content of a file in the cache; None if it is not there."""
    path = path_of(name)
    return None if path is None else path.read_bytes()[:-DIGEST]


def keep(name: str, content: bytes) -> Path:
    """Write a file into the cache, and trim the cache.

    Raises:
        BuildError: if it cannot be written, nor to a temporary folder.
    """
    folder = cache_folder()
    if trusted(folder):
        try:
            path = put(folder, name, content)
            trim(folder, LARGEST)
            return path
        except OSError as error:
            say_unused(
                folder,
                f"it cannot be written ({error.strerror}). Make room, or set "
                "MINIGRAD_CACHE to another folder.",
            )
    try:
        return put(private(), name, content)
    except OSError as error:
        raise BuildError(f"what was compiled cannot be kept anywhere: {error}") from None


def put(folder: Path, name: str, content: bytes) -> Path:
    """Write a file atomically, with its digest at the end."""
    for path in (*reversed(folder.parents), folder):
        if not path.exists():  # a new folder is writable by the user only
            path.mkdir(mode=0o700, exist_ok=True)
    descriptor, new = tempfile.mkstemp(dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content + hashlib.sha256(content).digest())
        os.chmod(new, 0o700)
        os.replace(new, folder / name)
    except BaseException:
        os.unlink(new)
        raise
    return folder / name


LARGEST = 512 << 20  # bytes of the whole cache


def trim(folder: Path, largest: int) -> int:
    """Remove the least recently used files until the rest is small enough; return bytes freed."""
    files = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another process may have removed it
            if path.is_file():
                files.append((path, path.stat()))
    excess = sum(it.st_size for _, it in files) - largest
    freed = 0
    for path, it in sorted(files, key=lambda file: file[1].st_mtime):
        if freed >= excess:
            break
        path.unlink(missing_ok=True)
        freed += it.st_size
    return freed


def clear_cache() -> int:
    """Empty the cache; return the bytes freed. What is needed again is built again."""
    folder = cache_folder()
    return trim(folder, 0) if folder.is_dir() else 0


def after_fork(forget: Callable[[], None]) -> Callable[[], None]:
    """Register a function to run in each forked process, on systems that fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)
    return forget


@cache
def built_runtime() -> ctypes.CDLL:
    return build((HERE / "runtime" / "runtime.c").read_text())[0]


runtime_lock = threading.Lock()


@after_fork
def forget_threads() -> None:
    """In a forked process, no thread is left that could hold the lock."""
    global runtime_lock
    runtime_lock = threading.Lock()


def runtime() -> ctypes.CDLL:
    """The library of runtime.c, built once; other threads wait for it."""
    with runtime_lock:
        return built_runtime()
