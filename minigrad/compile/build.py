"""Building C with the system's compiler, and keeping what was built."""

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
    # Loops become vectors; what else -O3 does takes time, and gives none back.
    *f"-O2 -ftree-vectorize {NATIVE}".split(),
    # gcc 12 may find after it has fixed the addresses of local arrays that the stack need not be
    # realigned. With a red zone, the stack pointer then moves by the padding, but the addresses
    # stay: aligned stores meet arrays at 8 modulo 16. Without one, both layouts are the same.
    *["-mno-red-zone"] * X86,
    *"-std=gnu11 -fPIC -shared -pthread -w".split(),
    # What C leaves open: errno and traps. NaN and Inf stay what they are.
    *"-fno-math-errno -fno-trapping-math -ffp-contract=on -fopenmp-simd".split(),
]
# Also loops of which it is seen at run time that it pays; and a*b + c in one step, of which clang
# is told in vector_math.h, where it is also said what must not be.
OF_GCC = ["-fvect-cost-model=dynamic", "-ffp-contract=fast"]
HERE = Path(__file__).parent


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
    """How it is called."""
    return [cc, "cc"] if Path(cc).stem == "zig" else [cc]


def cache_folder() -> Path:
    """Where what was built is kept: MINIGRAD_CACHE, or a folder of the user's cache."""
    given = os.environ.get("MINIGRAD_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(base, "minigrad")


def threads() -> int:
    """How many threads large work is shared by: MINIGRAD_THREADS, or as many as there are cores."""
    given = os.environ.get("MINIGRAD_THREADS", "")
    if given and not (given.isdecimal() and int(given)):
        raise ArgumentError(f"MINIGRAD_THREADS is a number of threads, at least 1, not {given!r}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return int(given or cores or 1)


@cache
def macros(cc: str) -> str:
    """What the compiler defines for this machine: it tells them both apart from all others.

    It is asked once: to ask takes as long as to trace a thousand ops.
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


# What of a processor a compiler goes by, as Linux has it.
TRAITS = "vendor_id", "cpu family", "model", "stepping", "flags", "CPU ", "Features"


def answer_name(cc: str) -> str | None:
    """Under which name the answer of this compiler on this processor is kept, if that is known."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        file = os.stat(cc)
    except OSError:
        return None
    processors = sorted({line for line in lines if line.startswith(TRAITS)})
    # The path and time of a compiler that a link leads to: another one is another answer.
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
    """A library; from a private temporary folder, if none can be loaded from where it is."""
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
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
    """Let go of libraries that nothing runs any more: else they would stay mapped for ever."""
    if hasattr(_ctypes, "dlclose"):
        for library in libraries:
            _ctypes.dlclose(library._handle)


def begun(*texts: str) -> Future[tuple[list[ctypes.CDLL], float]]:
    """Their libraries, and the seconds that building takes, if they were not built before: in a
    thread of its own, while the plan of the program is finished."""

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
    # The loader does not mind what is at the end of a library.
    return path_of(name) or keep(name, compiled(cc, text))


def flags(cc: str) -> list[str]:
    return FLAGS if "__clang__" in macros(cc) else [*FLAGS, *OF_GCC]


def library_name(cc: str, text: str) -> str:
    key = hashlib.sha256("\0".join([cc, macros(cc), *flags(cc), text]).encode()).hexdigest()[:32]
    return f"{key}.so"


def are_built(*texts: str) -> bool:
    """Whether C texts were built before."""
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
    """What a compiler answers. It is in a group of its own: Ctrl-C is for the program, which then
    ends the compiler, with all processes that it started."""
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


# The cache: files that are there as a whole or not at all, each with a digest at its end. What is
# in it is run, so nobody but the user may be able to write into it.


privates: dict[Path, Path] = {}


def private() -> Path:
    """A folder of this process alone, in the place of a cache that cannot be used."""
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
    """Whether nobody but the user, and root, can have written what is in a folder, or put another
    in its place: as ssh asks of its keys. It says once if not."""
    real = Path(os.path.realpath(folder))
    for path in (real, *real.parents):
        why = "" if not path.exists() else others_may_write(path, path != real)
        if why:
            text = f"{path} {why}. Make it yours (chown) and `chmod go-w` it, or set MINIGRAD_CACHE"
            say_unused(folder, f"{text} to another folder.")
            return False
    return True


def others_may_write(path: Path, is_above: bool) -> str:
    """Why a file or folder is not the user's alone, if that is so."""
    it = path.stat()
    if not hasattr(os, "geteuid"):
        return ""
    if it.st_uid not in (0, os.geteuid()):
        return f"belongs to user {it.st_uid}"
    # Of what is in such a folder, as /tmp, only owners can rename or remove it.
    sticky = is_above and it.st_mode & stat.S_ISVTX
    if it.st_mode & stat.S_IWOTH and not sticky:
        return "can be written by everybody"
    if it.st_mode & stat.S_IWGRP and not sticky and not is_own_group(it.st_gid):
        return f"can be written by group {it.st_gid}"
    return ""


def is_own_group(group: int) -> bool:
    """Whether nobody is in a group but the user, or root."""
    import grp
    import pwd

    try:
        user, it = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return group == user.pw_gid and it.gr_name == user.pw_name and {*it.gr_mem} <= {user.pw_name}


def path_of(name: str) -> Path | None:
    """Where something is kept under a name, if it is there and is what was kept."""
    folder = cache_folder()
    folders = [folder] if trusted(folder) else []
    folders += [privates[folder]] if folder in privates else []
    for path in (folder / name for folder in folders):
        with contextlib.suppress(OSError):
            content = path.read_bytes()
            right = hashlib.sha256(content[:-DIGEST]).digest() == content[-DIGEST:]
            if right and not others_may_write(path, False):
                with contextlib.suppress(OSError):
                    os.utime(path)  # what was not used for the longest time is the first to go
                return path
    return None


def kept(name: str) -> bytes | None:
    """What is kept under a name."""
    path = path_of(name)
    return None if path is None else path.read_bytes()[:-DIGEST]


def keep(name: str, content: bytes) -> Path:
    """Keep something, and see that what is kept does not grow without bound.

    Raises:
        BuildError: if there is no room for it anywhere.
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
    """Write a file, which is there as a whole or not at all, and its digest at its end."""
    for path in (*reversed(folder.parents), folder):
        if not path.exists():  # and so it is the user's alone
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


LARGEST = 512 << 20  # bytes of all that is kept


def trim(folder: Path, largest: int) -> int:
    """Remove what was used the longest time ago, until the rest is small enough: how many bytes."""
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
    """Remove all that was built: how many bytes. It is built again when it is needed."""
    folder = cache_folder()
    return trim(folder, 0) if folder.is_dir() else 0


def after_fork(forget: Callable[[], None]) -> Callable[[], None]:
    """Done in each process that is forked off, where there is such a thing."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)
    return forget


@cache
def built_runtime() -> ctypes.CDLL:
    return build((HERE / "runtime.c").read_text())[0]


runtime_lock = threading.Lock()


@after_fork
def forget_threads() -> None:
    """In a process that is forked off, nobody else holds the lock."""
    global runtime_lock
    runtime_lock = threading.Lock()


def runtime() -> ctypes.CDLL:
    """What runs plans. It is built once: who comes second waits for it."""
    with runtime_lock:
        return built_runtime()
