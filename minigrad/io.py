"""Arrays on disk, in the safetensors format: names, shapes and numbers, and no code to run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.errors import DtypeError, MinigradError, UnsupportedError
from minigrad.nn import Module
from minigrad.tensor import value_of

# safetensors is imported where it is used: `import minigrad` needs NumPy only.


def save(
    path: str | os.PathLike[str],
    obj: Module | Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write arrays to a safetensors file.

    They are written under another name in the same folder, flushed to the disk, and renamed: a
    kill at any moment leaves the old file or the whole new one. The same content gives the same
    bytes.

    Args:
        path: where to. The folder must exist.
        obj: arrays or Tensors by name, or a Module, which stands for its `state_dict()`.
        metadata: text to keep with them, by name; `load_metadata` reads it.

    Raises:
        OSError: if there is no such folder, or it cannot be written to.
        UnsupportedError: if obj is anything else, or a name or metadata is not text.
        DtypeError: if an array's dtype is not one that the format has.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/line.safetensors", {"slope": np.array([2.0])})
    ...     load(f"{folder}/line.safetensors")
    {'slope': array([2.])}
    """
    state = obj.state_dict() if isinstance(obj, Module) else obj
    write(path, packed(checked_arrays(state), checked_metadata(metadata or {})))


def write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file whole: until it is, whoever reads it finds the old content.

    Raises:
        OSError: if there is no such folder, or it cannot be written to.
    """
    target = check_output(path)
    # A name that no other process chooses.
    temporary = target.with_name(f".{target.name}.{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file, by name.

    Raises:
        OSError: if the file cannot be read.
        MinigradError: if it is not a whole safetensors file.
        DtypeError: if an array's dtype is not one that NumPy has.
    """
    from safetensors import numpy as safetensors_numpy

    with naming_a_bad_file(path):
        content = Path(path).read_bytes()
        try:
            return safetensors_numpy.load(content)
        except KeyError as error:
            raise DtypeError(
                f"{path} has arrays of dtype {error.args[0]}, which NumPy does not have: convert "
                "them to float32 with the library that wrote them"
            ) from error


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The text that was saved with the arrays, by name.

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
        return file.metadata() or {}


def check_output(path: str | os.PathLike[str]) -> Path:
    """Where `path` leads to, if a file can be written there: long work can ask before it starts.

    Raises:
        OSError: if it cannot, saying why.
    """
    # A link stays a link, to the new content.
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {target.parent}; make it")
    if target.exists() and not target.is_file():
        # Renaming over it would take away a folder, or a device such as /dev/null.
        raise FileExistsError(f"cannot write {path}: it is there, and not a file; choose a name")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write {path}: no permission to write to {target.parent}")
    return target


def checked_arrays(state: Any) -> dict[str, np.ndarray]:
    """Arrays as the format can hold them: real, and each in one piece, in the order of its axes."""
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
        if array.dtype.kind not in "fiub" or array.itemsize > 8:
            raise DtypeError(
                f"save: {name!r} has dtype {array.dtype}, which the format does not have: floats "
                "and integers of up to 64 bits and booleans are supported"
            )
        arrays[name] = array
    return arrays


def checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    for name, text in metadata.items():
        if not (isinstance(name, str) and isinstance(text, str)):
            raise UnsupportedError(
                f"save: metadata is text only, as in str(x), not {name!r}: {text!r}"
            )
    return dict(metadata)


def packed(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """A file's content: the size of the header in 8 bytes, the header in JSON, the numbers."""
    from safetensors import numpy as safetensors_numpy

    # The library writes a broken header for metadata that is empty, and other metadata in another
    # order every time; sorted, the bytes are the same.
    content = safetensors_numpy.save(arrays, metadata or None)
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[end:]


@contextmanager
def naming_a_bad_file(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say which file the library could not read."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise MinigradError(
            f"{path} is not a whole safetensors file ({error}): it may have been cut off or "
            "changed, or be of another kind; save or copy it again"
        ) from error
