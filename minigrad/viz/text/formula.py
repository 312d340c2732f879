"""Ops as formulas: one op with its inputs, or a whole recorded vjp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import Parameter
from typing import Any

import numpy as np

from minigrad.graph import Node, toposort
from minigrad.ops.base import Op
from minigrad.ops.definition import PLACEHOLDER, parameters_of, wrong
from minigrad.ops.movement import ARRAY
from minigrad.viz.text.notation import ATOM, Expr, constant, number, write

SHOWN_IN_FULL = 6  # larger arrays are shown by statistics


def summary(value: np.ndarray) -> str:
    """A number, a short array, or the shape and statistics of a long one.

    >>> summary(np.array([[1.0, 2.5]])), summary(np.arange(12.0))
    ('[[1, 2.5]]', 'shape (12,), min 0, mean 5.5, max 11')
    >>> summary(1j * np.arange(12.0))
    'shape (12,), mean 5.5j, min abs 0, max abs 11'
    """
    if np.ndim(value) == 0:
        return number(value)
    if value.size == 0:
        return f"shape {value.shape}, empty"
    if value.size <= SHOWN_IN_FULL:
        return f"[{', '.join(map(summary, value))}]"
    sizes = np.abs(value) if value.dtype.kind == "c" else value
    with np.errstate(all="ignore"):
        low, mean, high = map(number, (sizes.min(), value.mean(), sizes.max()))
    if value.dtype.kind == "c":  # which have no order
        return f"shape {value.shape}, mean {mean}, min abs {low}, max abs {high}"
    return f"shape {value.shape}, min {low}, mean {mean}, max {high}"


def in_short(value: np.ndarray) -> str:
    """A short array; or the shape of a long one, and its entry that is the largest in size."""
    if value.size <= SHOWN_IN_FULL and value.ndim < 3:
        return summary(value)
    if not value.size or value.dtype == bool:
        return str(value.shape)
    return f"{value.shape}, largest {number(value.flat[np.abs(value).argmax()])}"


def operation(op: Op, attributes: Mapping[str, Any], inputs: Sequence[Expr]) -> Expr:
    """op(*inputs, **attributes), in the op's notation."""
    places = {str(k): x for k, x in enumerate(inputs)}
    places |= {name: Expr(str(x)) for name, x in attributes.items()}
    notation = op.notation.replace("{0}, ...", ", ".join(f"{{{k}}}" for k in range(len(inputs))))
    if "keepdims" in attributes:
        notation = notation.replace("{axis}", "{axis}, keepdims={keepdims}")
    if op.name == "transpose" and swaps_last_two(attributes["axes"]):
        notation = "{0}.T" if len(attributes["axes"]) == 2 else "{0}.mT"
    if "index" in attributes:
        places["index"] = Expr(index_text(attributes["index"], inputs))
    missing = [name for name in PLACEHOLDER.findall(notation) if name not in places]
    defaults = {x.name: x.default for x in parameters_of(op) or () if missing}
    for name in missing:
        if defaults.get(name, Parameter.empty) is Parameter.empty:
            raise wrong(op, f"{op.notation!r} has {{{name}}}, which this call did not give")
        places[name] = Expr(str(defaults[name]))
    try:
        return write(notation, places)
    except ValueError as error:
        raise wrong(op, str(error)) from None


def swaps_last_two(axes: Sequence[int]) -> bool:
    n = len(axes)
    return n >= 2 and tuple(axes) == (*range(n - 2), n - 1, n - 2)


def index_text(index: Sequence[Any], inputs: Sequence[Expr]) -> str:
    """An index in Python's syntax: [0, 1:, ::-2]."""
    # The last inputs are the arrays of the index, in their order.
    arrays = iter(inputs[len(inputs) - sum(part is ARRAY for part in index) :])
    parts = [next(arrays).text if part is ARRAY else part_text(part) for part in index]
    return f"[{', '.join(parts) or '()'}]"


def part_text(part: Any) -> str:
    if isinstance(part, slice):
        ends = ":".join("" if end is None else str(end) for end in (part.start, part.stop))
        return ends if part.step is None else f"{ends}:{part.step}"
    return "..." if part is Ellipsis else str(part)


def formula(
    x: Any, names: Mapping[Node, Expr], outermost: bool = True, general: bool = False
) -> Expr:
    """The computation from the named nodes to x as one expression; for a `where` whose condition is
    constant, only the branch that is taken. In `general`, whatever the values of named nodes are.
    """
    op = x.op if isinstance(x, Node) else None
    if isinstance(x, Node) and x in names:
        return names[x]
    if not isinstance(op, Op):
        value = array_of(x)
        return constant(value) if value.ndim == 0 else Expr(summary(value))
    if op.name == "where":
        taken = decided(x.inputs[0], names if general else {})
        if taken is not None:
            return formula(x.inputs[1 if taken else 2], names, False, general)
    inputs = [formula(source, names, False, general) for source in x.inputs]
    if op.name == "astype":
        return inputs[0]
    if op.name == "reshape" and not outermost:
        new_axes = axes_added(array_of(x.inputs[0]).shape, x.value.shape)
        if new_axes is not None:
            return Expr(inputs[0].at(ATOM) + new_axes) if new_axes else inputs[0]
    if op.name == "mul" and x.inputs[0] is x.inputs[1]:
        return write("{0}**2", {"0": inputs[0]})
    return operation(op, x.attributes or {}, inputs)


def operands(x: Node, names: Mapping[Node, Expr]) -> int:
    """How many places a formula of x fills: a node that is used twice is written twice."""
    sizes: dict[Any, int] = {}
    for node in toposort([x], lambda node: node not in names):
        each = (sizes.get(part, 1) if isinstance(part, Node) else 1 for part in node.inputs)
        sizes[node] = 1 if node in names else 1 + sum(each)
    return sizes[x]


def decided(x: Any, names: Mapping[Node, Expr]) -> bool | None:
    """Whether a condition holds everywhere, or nowhere; None if neither, or if it depends on the
    values of named nodes, of which constants have one."""
    if isinstance(x, Node) and x.op is not None and x.op.name in ("logical_and", "logical_or"):
        either = x.op.name == "logical_or"
        parts = [decided(part, names) for part in x.inputs]
        return either if either in parts else None if None in parts else not either
    if depends(x, names):
        return None
    value = array_of(x)
    return bool(value.all()) if value.all() or not value.any() else None


def depends(x: Any, names: Mapping[Node, Expr]) -> bool:
    """Whether a value was computed from named nodes that are no constants."""
    if not isinstance(x, Node):
        return False
    if x in names:
        return names[x].constant is None
    return any(depends(source, names) for source in x.inputs)


def array_of(x: Any) -> np.ndarray:
    return x.value if isinstance(x, Node) else np.asarray(x)


def axes_added(old: tuple[int, ...], new: tuple[int, ...]) -> str | None:
    """The index that makes shape `new` of `old` by adding axes of size 1, as in [:, None]; "" if
    they are in front only, where broadcasting adds them by itself; None if it takes more."""
    rest, index = list(old), []
    for size in reversed(new):
        if rest and rest[-1] == size:
            index.append(":")
            rest.pop()
        elif size == 1:
            index.append("None")
        else:
            return None
    if rest:
        return None
    while index and index[-1] == "None":
        index.pop()
    added_in_front = ["None"] * (len(new) - len(index))
    return f"[{', '.join(added_in_front + index[::-1])}]" if "None" in index else ""
