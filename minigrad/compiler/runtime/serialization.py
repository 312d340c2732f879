"""Serialization of plain data: reading gives back the classes and types that were written, or
raises.

It is JSON, so that reading runs no code. A type that JSON lacks is an object with one key, the
type's name.
"""

from __future__ import annotations

import base64
import json
import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

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
    """Read text that `as_text` wrote: an instance of the first of these dataclasses, which may hold
    instances of the others.

    Raises:
        ValueError, TypeError or LookupError: if it is anything else.
    """
    known = {cls.__name__: cls for cls in classes}

    def made(parts: dict[str, Any]) -> Any:
        ((name, content),) = parts.items()
        if name in FORMS:
            return FORMS[name][2](content)
        kinds = types_of(known[name])
        if len(content) != len(kinds) or not all(map(fits, content, kinds)):
            raise TypeError(f"this is no {name}")
        return known[name](*content)

    found = json.loads(text, object_hook=made)
    if type(found) is not classes[0]:
        raise TypeError(f"this is no {classes[0].__name__}")
    return found


@cache
def types_of(cls: Any) -> list[Any]:
    hints = get_type_hints(cls)
    return [hints[f.name] for f in fields(cls) if f.init]


def fits(x: Any, kind: Any) -> bool:
    """Whether a value has the type that an annotation says."""
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(fits(x, part) for part in parts)
    if origin is tuple and parts[-1] is not ...:
        return type(x) is tuple and len(x) == len(parts) and all(map(fits, x, parts))
    if origin in (tuple, list):
        return type(x) is origin and all(fits(y, parts[0]) for y in x)
    return isinstance(x, origin or kind) and (type(x) is not bool or kind is bool)
