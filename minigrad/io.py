"""Saving and loading arrays in the safetensors format, which holds no code."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from minigrad.arguments import checked
from minigrad.errors import BusyError, DtypeError, MinigradError, UnsupportedError
from minigrad.nn import Module
from minigrad.tensor import value_of

# safetensors is imported where it is used: `import minigrad` needs only NumPy.

# The format has complex64 and no complex128: such an array, of shape s, is saved as float64 of
# shape (*s, 2), its real and imaginary parts, and its name in this entry of the metadata.
IN_PARTS = "minigrad.complex128"


@checked
def save(
    path: str | os.PathLike[str],
    obj: Any,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write arrays to a safetensors file.

    The write is atomic: to a temporary file in the same folder, which is flushed and renamed, so
    that a process killed at any moment leaves the old or the new file. The same content gives the
    same bytes. For other programs, complex128 of shape s is float64 of shape (*s, 2).

    Args:
        path: the file to write. Its folder must exist.
        obj: arrays or Tensors by name, or a Module, for its `state_dict()`.
        metadata: text to save with them, by name; `load_metadata` reads it.

    Raises:
        OSError: if there is no such folder, or it cannot be written to.
        UnsupportedError: if obj is anything else, or a name is not text.
        ArgumentTypeError: if metadata is not text by name.
        DtypeError: if the format does not have an array's dtype.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/line.safetensors", {"slope": np.array([2.0])})
    ...     load(f"{folder}/line.safetensors")
    {'slope': array([2.])}
    """
    state = obj.state_dict() if isinstance(obj, Module) else obj
    arrays, metadata = checked_arrays(state), dict(metadata or {})
    if IN_PARTS in metadata:
        raise UnsupportedError(f"save: {IN_PARTS!r} cannot name metadata: it names complex arrays")
    parts = {
        name: np.ascontiguousarray(x, np.complex128).reshape(*x.shape, 1).view(float)
        for name, x in arrays.items()
        if x.dtype.kind == "c" and x.itemsize == 16
    }
    if parts:
        metadata[IN_PARTS] = json.dumps(sorted(parts))
    write(path, packed(arrays | parts, metadata))


@checked
def write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file atomically: until it is complete, readers see the old content.

    Raises:
        OSError: if there is no such folder, or it cannot be written to.
    """
    target = check_output(path)
    # A unique name.
    temporary = target.with_name(f".{target.name}.{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        sync_folder(target.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):  # if the disk is full, the system's error names no file
            why = error.strerror or str(error)
            old = "; the old file is unchanged" if target.exists() else ""
            raise OSError(error.errno, f"cannot write {path}: {why}{old}") from error
        raise


def sync_folder(folder: Path) -> None:
    """Flush a folder, so that a renaming in it survives a power cut."""
    with suppress(OSError):  # not every system can open or flush a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def alone(path: str | os.PathLike[str]) -> Iterator[None]:
    """Hold an exclusive lock for a file inside the `with`, and remove leftovers of killed writes.

    The lock is the operating system's, on a file beside the given one: it is released when its
    process ends, however that happens.

    Raises:
        BusyError: if another process holds the lock.
        OSError: if the folder cannot be written to.
    """
    target = check_output(path)
    beside = target.with_name(f".{target.name}.lock")
    with locked(beside, path):
        clear_leftovers(target)
        yield


def clear_leftovers(target: Path) -> None:
    """Remove the temporary files of killed writes. The caller must hold the lock."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.{'[0-9a-f]' * 16}.tmp"):
        left.unlink(missing_ok=True)


@contextmanager
def locked(beside: Path, path: str | os.PathLike[str]) -> Iterator[None]:
    while True:
        with open(beside, "a+b") as file:
            if not taken(file):
                raise BusyError(
                    f"another training is writing {path}: let it end, stop it, or choose another "
                    "name"
                )
            # Another process may have removed the file between our opening and locking it.
            if not beside.exists() or not os.path.samestat(os.fstat(file.fileno()), beside.stat()):
                continue
            try:
                yield
            finally:
                with suppress(OSError):  # Windows does not remove open files
                    beside.unlink()
            return


def taken(file: IO[bytes]) -> bool:
    """Lock a file for this process; False if another process has locked it."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # only on Windows
        except OSError:
            return False
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


@checked
def load(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Load the arrays of a safetensors file, by name.

    Raises:
        OSError: if the file cannot be read.
        MinigradError: if it is not a whole safetensors file.
        DtypeError: if NumPy does not have an array's dtype.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/two.safetensors", {"a": np.zeros(2), "b": np.array(1)})
    ...     sorted(load(f"{folder}/two.safetensors"))
    ['a', 'b']
    """
    from safetensors import numpy as safetensors_numpy

    with naming_a_bad_file(path):
        content = Path(path).read_bytes()
        try:
            arrays = safetensors_numpy.load(content)
        except KeyError as error:
            raise DtypeError(
                f"{path} has arrays of dtype {error.args[0]}, which NumPy does not have: convert "
                "them to float32 with the library that wrote them"
            ) from error
    try:
        for name in json.loads(header_of(content).get("__metadata__", {}).get(IN_PARTS, "[]")):
            arrays[name] = arrays[name].view(np.complex128)[..., 0]
    except (KeyError, ValueError, TypeError) as error:
        raise MinigradError(
            f"{path} has complex arrays that are not as minigrad saves them: float64 of shape "
            f"(..., 2), with their names in the metadata {IN_PARTS!r}; save it again"
        ) from error
    return arrays


def header_of(content: bytes) -> Any:
    """The header of a file: what arrays there are, by name, and metadata."""
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])


@checked
def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Load the text that was saved with the arrays, by name.

    Raises:
        OSError: if the file cannot be read.
        MinigradError: if it is not a whole safetensors file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/line.safetensors", {"slope": np.array([2.0])}, {"unit": "m/s"})
    ...     load_metadata(f"{folder}/line.safetensors")
    {'unit': 'm/s'}
    """
    from safetensors import safe_open

    with naming_a_bad_file(path), safe_open(path, framework="numpy") as file:
        found = file.metadata() or {}
    found.pop(IN_PARTS, None)
    return found


def check_output(path: str | os.PathLike[str]) -> Path:
    """The real path of a file, checked to be writable, before long work starts.

    Raises:
        OSError: if it is not writable, with the reason.
    """
    if not os.fspath(path):
        raise FileNotFoundError("cannot write a file of an empty name: choose a name")
    # A symbolic link is kept, and its target written.
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {target.parent}; make it")
    if target.exists() and not target.is_file():
        # Renaming would replace a folder, or a device such as /dev/null.
        raise FileExistsError(
            f"cannot write {path}: it exists, and is not a file; choose another name"
        )
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write {path}: no permission to write to {target.parent}")
    return target


def checked_arrays(state: Any) -> dict[str, np.ndarray]:
    """Arrays of dtypes that the format has, each C-contiguous."""
    if not isinstance(state, Mapping):
        raise UnsupportedError(
            f"save takes a Module, or arrays by name in a dict, not a {type(state).__name__}"
        )
    arrays = {}
    for name, value in state.items():
        if not isinstance(name, str) or name == "__metadata__":
            raise UnsupportedError(
                f'save: {name!r} cannot name an array: names are text, and not "__metadata__"'
            )
        if isinstance(value, Mapping | list | tuple):
            raise UnsupportedError(
                f"save: {name!r} is a {type(value).__name__}, and arrays are saved by name only: "
                'give each a name of its own, as in "layer.weight"'
            )
        array = np.asarray(value_of(value), order="C")
        if array.dtype.kind not in "fiubc" or array.itemsize > (
            16 if array.dtype.kind == "c" else 8
        ):
            raise DtypeError(
                f"save: {name!r} has dtype {array.dtype}, which the format does not have: floats "
                "and integers of up to 64 bits, complex64, complex128 and booleans are supported"
            )
        arrays[name] = array
    return arrays


def packed(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """A file's content: the size of the header in 8 bytes, the header in JSON, the numbers."""
    from safetensors import numpy as safetensors_numpy

    # The library writes a broken header for empty metadata, and other metadata in varying order:
    # sorted, the bytes are reproducible.
    content = safetensors_numpy.save(arrays, metadata or None)
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(header_of(content), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[end:]


@contextmanager
def naming_a_bad_file(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name the file in errors of the library."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise MinigradError(
            f"{path} is not a whole safetensors file ({error}): it may have been cut off or "
            "changed, or be of another kind; save or copy it again"
        ) from error
