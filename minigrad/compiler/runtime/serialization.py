"""Serialization of plain data: reading gives back the classes and types that were written.

It is JSON, so that reading runs no code. A type that JSON lacks is an object with one key, the
type's name. What the cache reads is what it wrote: files have a digest, and plans are under the
version of the compiler.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

PLAIN = (type(None), bool, int, float, str)
KINDS = {t.__name__: t for t in (bool, int, float, complex)}


def packed(x: Any) -> list[Any]:
    return [x.dtype.str, list(x.shape), base64.b64encode(x.tobytes()).decode()]


def array(parts: list[Any]) -> np.ndarray:
    dtype, shape, content = parts
    return np.frombuffer(base64.b64decode(content), np.dtype(dtype)).reshape(shape).copy()


# By name: a type, the function that encodes it, and the one that decodes it.
FORMS: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "tuple": (tuple, list, tuple),
    "dict": (dict, lambda x: [[k, v] for k, v in x.items()], dict),
    "slice": (slice, lambda x: [x.start, x.stop, x.step], lambda x: slice(*x)),
    "bytes": (bytes, lambda x: x.hex(), bytes.fromhex),
    "complex": (complex, lambda x: [x.real, x.imag], lambda x: complex(*x)),
    "ellipsis": (type(...), lambda x: None, lambda x: ...),
    "array": (np.ndarray, packed, array),
    "number": (np.generic, packed, lambda x: array(x)[()]),
    "dtype": (np.dtype, lambda x: x.str, np.dtype),
    "type": (type, lambda x: x.__name__, lambda x: KINDS.get(x) or np.dtype(x).type),
}


def as_text(x: Any) -> str:
    """Numbers, strings, arrays, containers and dataclasses as text.

    Raises:
        TypeError: of anything else.
    """
    return json.dumps(x if type(x) in PLAIN else encoded(x))


def encoded(x: Any) -> Any:
    if type(x) in PLAIN:
        return x
    if type(x) is list:
        return [encoded(y) for y in x]
    if is_dataclass(x) and not isinstance(x, type):
        return {type(x).__name__: [encoded(getattr(x, f.name)) for f in fields(x) if f.init]}
    for name, (kind, write, _) in FORMS.items():
        if type(x) is kind or (isinstance(x, kind) and kind in (np.generic, np.dtype, type)):
            return {name: encoded(write(x))}
    raise TypeError(f"a {type(x).__name__} cannot be written as plain data")


def restored(text: str, *classes: type) -> Any:
    """What `as_text` wrote, which may hold instances of these dataclasses."""
    known = {cls.__name__: cls for cls in classes}

    def made(parts: dict[str, Any]) -> Any:
        ((name, content),) = parts.items()
        return FORMS[name][2](content) if name in FORMS else known[name](*content)

    return json.loads(text, object_hook=made)
