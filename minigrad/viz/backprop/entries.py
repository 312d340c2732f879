"""One entry of an array: the entries it depends on, and the terms of its derivative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.autograd import recording, switched
from minigrad.errors import ShapeError
from minigrad.tensor import Tensor
from minigrad.viz.backprop.derivation import term
from minigrad.viz.backprop.steps import Contribution, Step, apply_vjp, differentiable_inputs
from minigrad.viz.text.notation import number

SHOWN = 12  # terms of a sum that are printed

Index = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Link:
    """A dependency between entries of two steps, and its derivative."""

    step: Step
    index: Index
    derivative: float


@dataclass(frozen=True, eq=False, repr=False)
class Entry:
    """One entry of a step's value.

    `sources` are the entries it was computed from, with its derivative with respect to each; `uses`
    are the entries computed from it, with their derivatives with respect to it. Zero derivatives
    are omitted. The adjoint is the sum over uses of the user's adjoint times the derivative.
    """

    step: Step
    index: Index
    result: str
    sources: list[Link]
    uses: list[Link]

    @property
    def adjoint(self) -> float | None:
        """The derivative of z with respect to this entry; None if no gradient flows back to it."""
        return None if self.step.adjoint is None else float(self.step.adjoint[self.index])

    def terms(self) -> list[float]:
        """upstream * local for each use; the adjoint is their sum."""
        return [float(adjoint_of(use)) * use.derivative for use in self.uses]

    def __str__(self) -> str:
        own, z = name_of(self.step, self.index), self.result
        lines = [f"{own} = {number(self.step.value[self.index])}"]
        if self.sources:
            lines.append("  computed from")
            lines += shortened(
                [
                    f"    {name_of(x.step, x.index)} = {number(x.step.value[x.index])}, "
                    f"d{own}/d{name_of(x.step, x.index)} = {number(x.derivative)}"
                    for x in self.sources
                ]
            )
        if self.adjoint is not None:
            lines.append(f"d{z}/d{own} = {number(self.adjoint)}")
            lines += shortened(
                [
                    f"    + d{z}/d{there}*d{there}/d{own} = {number(adjoint_of(use))}*"
                    f"{bracketed(use.derivative)} = {number(product)}"
                    for use, product in zip(self.uses, self.terms(), strict=True)
                    for there in [name_of(use.step, use.index)]
                ]
            )
        return "\n".join(lines)

    __repr__ = __str__


def entry(step: Step, index: Any, result: str) -> Entry:
    """The entry of a step at an index.

    Raises:
        ShapeError: if the index does not select a single entry.
    """
    index = tuple(index) if isinstance(index, tuple | list) else (index,)
    shape = step.value.shape
    inside = len(index) == len(shape) and all(
        isinstance(k, int | np.integer) and -n <= k < n for k, n in zip(index, shape, strict=False)
    )
    if not inside:
        raise ShapeError(
            f"{index} is not an index of an entry of {step.label}, of shape {shape}: give an "
            "integer for each axis"
        )
    place = tuple(int(k) % n for k, n in zip(index, shape, strict=True))
    uses = [link for use in step.contributions for link in uses_of(use, place)]
    return Entry(step, place, result, sources(step, place), uses)


def sources(step: Step, index: Index) -> list[Link]:
    """The derivatives of an entry with respect to the entries of the inputs: vjps of a one-hot
    cotangent."""
    if step.op is None:
        return []
    links = []
    for position in differentiable_inputs(step.node):
        source = step.inputs[position]
        one = np.zeros_like(step.value)
        one[index] = 1
        values = [x.value if isinstance(x, Step) else x for x in step.inputs]
        with np.errstate(all="ignore"):
            row = summed_to_input(step, source, apply_vjp(step, position, one, step.value, values))
        links += [Link(source, k, float(row[k])) for k in nonzero_indices(row)]
    return links


def uses_of(use: Contribution, index: Index) -> list[Link]:
    """The derivatives, with respect to an entry, of the entries that one use computed from it.

    A vjp is linear in the cotangent g, so these are the derivatives of its entry at the index with
    respect to g.
    """
    user, recorded = use.user, term(use)
    with switched(recording, True), np.errstate(all="ignore"):
        summed_to_input(user, user.inputs[use.position], Tensor.of(recorded.cotangent))[
            index
        ].backward()
    g = recorded.upstream.grad
    column = np.zeros(user.value.shape) if g is None else np.asarray(g)
    return [Link(user, k, float(column[k])) for k in nonzero_indices(column)]


def summed_to_input(user: Step, source: Step, cotangent: Any) -> Any:
    """A cotangent summed to its input's shape, as in the reverse pass."""
    assert user.op is not None
    if cotangent.shape == source.value.shape:
        return cotangent
    return user.op.unbroadcast(cotangent, source.value.shape)


def nonzero_indices(values: np.ndarray) -> list[Index]:
    """The indices of nonzero entries."""
    return [tuple(map(int, k)) for k in np.argwhere(values)]


def adjoint_of(link: Link) -> Any:
    assert link.step.adjoint is not None
    return link.step.adjoint[link.index]


def name_of(step: Step, index: Index) -> str:
    return f"{step.label}[{', '.join(map(str, index))}]" if index else step.label


def bracketed(x: float) -> str:
    return f"({number(x)})" if x < 0 else number(x)


def shortened(lines: Sequence[str]) -> list[str]:
    left = len(lines) - SHOWN
    return [*lines[:SHOWN], f"    and {left:,} more"] if left > 0 else list(lines)
