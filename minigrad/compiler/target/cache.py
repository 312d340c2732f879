"""The cache on disk of what the compiler makes: libraries, plans, and the macros of C compilers.

Files are written atomically, each with a digest at its end. Libraries are run, so a folder is used
only if nobody but the user can write into it. Other files in the folder are left alone.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import re
import stat
import tempfile
import time
import warnings
from functools import cache
from pathlib import Path

DIGEST = hashlib.sha256().digest_size
MAX_CACHE_BYTES = 512 << 20  # of all files together; `trim` removes those not used for longest
NAME = re.compile(r"[0-9a-f]{32}\.(so|plan|macros|wasm)")
LEFTOVER = re.compile(r"minigrad-\w+\.tmp")  # of a process that was killed while it wrote
LEFTOVER_AGE = 3600  # seconds from which on a temporary file is taken for a leftover
temporary_folders: dict[Path, Path] = {}


class BuildError(RuntimeError):
    """The C compiler failed, or what it built can be kept nowhere; the message says why."""


def cache_folder() -> Path:
    """The folder of the cache: MINIGRAD_CACHE, or `minigrad` in the user's cache folder."""
    given = os.environ.get("MINIGRAD_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given).expanduser() if given else Path(base, "minigrad")


def cache_get(name: str) -> bytes | None:
    """The content of a file in the cache; None if it is not there."""
    path = cached_path(name)
    return None if path is None else path.read_bytes()[:-DIGEST]


def cache_put(name: str, content: bytes) -> Path:
    """Write a file into the cache, and trim the cache.

    Raises:
        BuildError: if it cannot be written, nor to a temporary folder.
    """
    assert NAME.fullmatch(name), name
    folder = cache_folder()
    if is_trusted(folder):
        try:
            path = write_file(folder, name, content)
            trim(folder, MAX_CACHE_BYTES)
            return path
        except OSError as error:
            warn_unused(
                folder,
                f"it cannot be written ({error.strerror}). Make room, or set "
                "MINIGRAD_CACHE to another folder.",
            )
    try:
        return write_file(temporary_folder(), name, content)
    except OSError as error:
        raise BuildError(f"what was compiled cannot be kept anywhere: {error}") from None


def clear_cache() -> int:
    """Empty the cache; return the bytes freed. What is needed again is built again."""
    return trim(cache_folder(), 0)


def cache_size() -> int:
    """The bytes of all files of the cache."""
    return sum(status.st_size for _, status in files_in(cache_folder()))


def files_in(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """The files in a folder that a cache made, by their names, least recently used first."""
    files = []
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(OSError):  # another process may have removed it
            status = path.lstat()
            old = time.time() - status.st_mtime > LEFTOVER_AGE
            own = NAME.fullmatch(path.name) or (old and LEFTOVER.fullmatch(path.name))
            if own and stat.S_ISREG(status.st_mode):
                files.append((path, status))
    return sorted(files, key=lambda file: file[1].st_mtime)


def cached_path(name: str) -> Path | None:
    """The path of a file in the cache, if it is there and its digest is right."""
    folder = cache_folder()
    folders = [folder] if is_trusted(folder) else []
    folders += [temporary_folders[folder]] if folder in temporary_folders else []
    for path in (folder / name for folder in folders):
        with contextlib.suppress(OSError):
            content = path.read_bytes()
            right = hashlib.sha256(content[:-DIGEST]).digest() == content[-DIGEST:]
            if right and not others_may_write(path, False):
                with contextlib.suppress(OSError):
                    os.utime(path)  # for `trim`, which removes the least recently used
                return path
    return None


def write_file(folder: Path, name: str, content: bytes) -> Path:
    """Write a file atomically, with its digest at the end."""
    for path in (*reversed(folder.parents), folder):
        if not path.exists():  # a new folder is writable by the user only
            path.mkdir(mode=0o700, exist_ok=True)
    descriptor, new = tempfile.mkstemp(".tmp", "minigrad-", folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content + hashlib.sha256(content).digest())
        os.chmod(new, 0o700)
        os.replace(new, folder / name)
    except BaseException:
        os.unlink(new)
        raise
    return folder / name


def trim(folder: Path, largest: int) -> int:
    """Remove the least recently used files of a cache until the rest is small enough; return the
    bytes freed."""
    files = files_in(folder)
    excess = sum(status.st_size for _, status in files) - largest
    freed = 0
    for path, status in files:
        if freed >= excess:
            break
        path.unlink(missing_ok=True)
        freed += status.st_size
    return freed


def temporary_folder() -> Path:
    """A temporary folder of this process, in place of a cache that cannot be used."""
    instead = cache_folder()
    if instead not in temporary_folders:
        folder = tempfile.TemporaryDirectory(prefix="minigrad")
        atexit.register(folder.cleanup)
        temporary_folders[instead] = Path(folder.name)
    return temporary_folders[instead]


@cache
def warn_unused(folder: Path, why: str) -> None:
    text = f"the cache {folder} is not used: {why} What is compiled is kept for this process only"
    warnings.warn(text, RuntimeWarning, stacklevel=2)


@cache
def is_trusted(folder: Path) -> bool:
    """Whether only the user and root can write into a folder or replace it, as ssh requires of its
    keys; if not, warn once."""
    real = Path(os.path.realpath(folder))
    if real.exists() and not real.is_dir():
        warn_unused(folder, "it is a file. Remove it, or set MINIGRAD_CACHE to a folder.")
        return False
    for path in (real, *real.parents):
        why = "" if not path.exists() else others_may_write(path, path != real)
        if why:
            text = f"{path} {why}. Make it yours (chown) and `chmod go-w` it, or set MINIGRAD_CACHE"
            warn_unused(folder, f"{text} to another folder.")
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
