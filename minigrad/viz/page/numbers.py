"""The numbers of an explanation: every value, adjoint, cotangent and local derivative.

They are a list of arrays, in this order: the value of each step; the adjoint of each step that has
one; the cotangent of each contribution, step by step; the local derivative of each contribution
that is a multiple of upstream, entry by entry, in the shape of its user.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minigrad.viz.backprop.derivation import is_elementwise
from minigrad.viz.backprop.steps import Contribution, Step, apply_vjp, values_of

MOST = 4_000_000  # bytes of a page's numbers, if large arrays can be left out
FULL = (16384, 4096, 1024, 256)  # entries up to which arrays are there in full
SIDE = 16  # rows and columns of the heat map of a larger array


def all_arrays(steps: Sequence[Step]) -> Iterator[np.ndarray]:
    """The arrays of recorded steps, in their order."""
    yield from (step.value for step in steps)
    yield from (step.adjoint for step in steps if step.adjoint is not None)
    uses = [use for step in steps for use in step.contributions]
    yield from (use.cotangent for use in uses)
    yield from (local_derivative(use) for use in uses if is_elementwise(use))


def local_derivative(use: Contribution) -> np.ndarray:
    """The local derivative at each entry of the user: the vjp of a cotangent of 1."""
    user = use.user
    with np.errstate(all="ignore"):
        found = apply_vjp(
            user, use.position, np.ones_like(user.value), user.value, values_of(user.inputs)
        )
    return local_of(np.asarray(found), user.value)


def local_of(found: Any, value: Any) -> Any:
    """A local derivative in the shape and dtype of the user, or complex if it is."""
    if found.dtype.kind != "c" and found.dtype != value.dtype:
        found = found.astype(value.dtype)
    return np.broadcast_to(found, value.shape)


def all_numbers(
    steps: Sequence[Step], inputs: Sequence[Step] = ()
) -> Callable[..., tuple[Any, ...]]:
    """A function of the values of `inputs`, leaves or constants among the steps, that computes
    both passes again: all arrays, in their order. All others are captured: parameters are read
    where they are. It is plain NumPy, which `minigrad.compile` compiles.

    Branches of the program that depend on values are those of the run that was explained.

    >>> from minigrad import Tensor, explain
    >>> x = Tensor(3.0, requires_grad=True)
    >>> steps = explain(x * x).steps
    >>> value, *_, cotangent, other, local, _ = all_numbers(steps, [steps[0]])(np.array(5.0))
    >>> float(value), float(cotangent), float(local)
    (5.0, 5.0, 5.0)
    """
    index = {step: k for k, step in enumerate(steps)}
    given = [index[step] for step in inputs]
    # Of the steps, only what is computed with: the compiler guards all that a function can reach.
    leaves = {k: x.node.value for k, x in enumerate(steps) if x.op is None and x not in inputs}
    calls = [(index[x], *call_of(x, index)) for x in steps if x.op is not None]
    uses = [(use, index[step]) for step in steps for use in step.contributions]
    order = sorted(range(len(uses)), key=lambda n: (-uses[n][0].user.number, uses[n][0].position))
    terms = [
        (n, use.position, index[use.user], step, is_elementwise(use), *call_of(use.user, index))
        for n in order
        for use, step in [uses[n]]
    ]
    root, reached = len(steps) - 1, [k for k, x in enumerate(steps) if x.adjoint is not None]

    def numbers(*arrays: Any) -> tuple[Any, ...]:
        values: dict[int, Any] = leaves | dict(zip(given, arrays, strict=True))
        for k, op, operands, attributes in calls:
            values[k] = op(*[values[x] if is_step else x for is_step, x in operands], **attributes)
        adjoints = {root: np.ones_like(values[root])}
        cotangents, local = {}, {}
        for n, position, user, step, elementwise, op, operands, attributes in terms:
            inputs = [values[x] if is_step else x for is_step, x in operands]
            rule, value, source = op.vjps[position], values[user], values[step]
            term = rule(adjoints[user], value, *inputs, **attributes)
            if term.shape != source.shape:
                term = op.unbroadcast(term, source.shape)
            if term.dtype != source.dtype:
                term = (term if source.dtype.kind == "c" else term.real).astype(source.dtype)
            cotangents[n] = term
            adjoints[step] = adjoints[step] + term if step in adjoints else term
            if elementwise:
                local[n] = local_of(rule(np.ones_like(value), value, *inputs, **attributes), value)
        return (
            *(values[k] for k in range(len(values))),
            *(adjoints[k] for k in reached),
            *(cotangents[n] for n in range(len(cotangents))),
            *(local[n] for n in sorted(local)),
        )

    return numbers


def call_of(step: Step, index: dict[Step, int]) -> tuple[Any, list[tuple[bool, Any]], Any]:
    """The op of a step; its inputs, each with whether it is a step, then its number; attributes."""
    inputs = [(True, index[x]) if isinstance(x, Step) else (False, x) for x in step.inputs]
    return step.op, inputs, step.attributes


# In the page


def packed(arrays: Sequence[np.ndarray]) -> dict[str, Any]:
    """Arrays as JSON data: `bytes`, in base64, one array after the other; and `full`, the number of
    entries above which an array is only there as its `digest`."""
    bytes_of = [(x.size, x.size * x.itemsize) for x in arrays]
    full = next(
        (n for n in FULL if sum(size for count, size in bytes_of if count <= n) <= MOST), FULL[-1]
    )
    parts = (stored(x).tobytes() if x.size <= full else digest(x) for x in arrays)
    return {"full": full, "bytes": base64.b64encode(b"".join(parts)).decode()}


def stored(x: np.ndarray) -> np.ndarray:
    """An array in a dtype that JavaScript has too."""
    kind, size = x.dtype.kind, x.dtype.itemsize
    if kind in "fc":
        least = 4 if kind == "f" else 8
        return x.astype(f"<{kind}{least if size <= least else 2 * least}")
    return x.astype(x.dtype.newbyteorder("<"))


def digest(value: np.ndarray) -> bytes:
    """What is shown of a large array: least, largest, mean (real and imaginary), norm, peak, and a
    heat map: means of blocks, relative to the peak, of 127; -128 for what is not finite."""
    sizes = sizes_of(value)
    largest = np.abs(sizes[np.isfinite(sizes)]).max(initial=0)
    unit = 2.0 ** (np.frexp(largest)[1] - 1) if largest else 1.0  # that no square or sum overflows
    with np.errstate(all="ignore"):
        mean = complex((value / unit).mean() * unit)
        norm = float(np.linalg.norm(sizes.ravel() / unit) * unit)
    parts, peak = heat_map(sizes / unit)
    heat = np.where(np.isnan(parts), -128, np.rint(parts * 127))
    facts = [sizes.min(), sizes.max(), mean.real, mean.imag, norm, peak * unit]
    return np.array(facts, "<f8").tobytes() + heat.astype("i1").tobytes()


def sizes_of(value: np.ndarray) -> np.ndarray:
    """Entries as float64; of complex ones the absolute value."""
    return (np.abs(value) if value.dtype.kind == "c" else value).astype(float)


def heat_map(sizes: np.ndarray) -> tuple[np.ndarray, float]:
    """At most SIDE rows and columns of entries, or of means of blocks if there are more, relative
    to the largest in size, from -1 to 1, NaN for what is not finite; and this largest one."""
    plane = sizes.reshape(-1, sizes.shape[-1])
    with np.errstate(all="ignore"):
        for axis in (0, 1):
            bounds = np.linspace(0, plane.shape[axis], min(SIDE, plane.shape[axis]) + 1).astype(int)
            counts = np.diff(bounds).reshape((-1, 1) if axis == 0 else (1, -1))
            plane = np.add.reduceat(plane, bounds[:-1], axis=axis) / counts
    plane = np.where(np.isfinite(plane), plane, np.nan)
    peak = float(np.nanmax(np.abs(plane), initial=0))
    return plane / (peak or 1.0), peak
