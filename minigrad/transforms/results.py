"""What stands for the result of an op on arrays that have no numbers: the compiler's tracers, and
batched arrays."""

from __future__ import annotations

from typing import Any

from minigrad.dispatch import is_traced
from minigrad.ops.views import is_view, view_makers

# Ops whose results are views in NumPy.
VIEWS = frozenset("reshape transpose expand slice real imag rot90 diagonal".split())
READ_ONLY = ("expand", "diagonal")


def as_result(result: Any, op: Any, x: Any, attributes: dict[str, Any]) -> Any:
    """What stands for the result of an op of arrays, x the first of them, as NumPy has it: a view
    of x, or a number, which cannot be written into."""
    name = op.name
    if op.family != "movement" or is_number_of(name, result, x, attributes):
        result.writeable = bool(result.shape) or name == "where"
    elif name in VIEWS and is_traced(x):
        certain = name != "reshape" or only_splits_axes(x.shape, result.shape)
        result = view_makers[type(result)](result, x, op, attributes, certain)
        result.writeable = not certain or (name not in READ_ONLY and x.writeable)
    return result


def is_number_of(name: str, result: Any, x: Any, attributes: dict[str, Any]) -> bool:
    """Whether the result is a scalar in NumPy: an index picks one number, or the input was one."""
    if result.shape:
        return False
    if name in ("astype", "reshape", "transpose"):
        return is_traced(x) and not (x.shape or x.writeable or is_view(x))
    return name in ("slice", "gather") and not any(part is ... for part in attributes["index"])


def only_splits_axes(shape: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """Whether a reshape merges no axes, so that it is a view whatever the strides are."""
    if 0 in shape:
        return True
    sizes = iter([n for n in new if n != 1])
    for size in (n for n in shape if n != 1):
        part = 1
        while part < size:
            part *= next(sizes, size + 1)
        if part != size:
            return False
    return next(sizes, None) is None
