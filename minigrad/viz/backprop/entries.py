"""One entry of an array: the entries it depends on, and the terms of its derivative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigrad.autograd import recording, reverse, switched
from minigrad.errors import ShapeError
from minigrad.tensor import Tensor
from minigrad.viz.backprop.derivation import term
from minigrad.viz.backprop.steps import (
    Contribution,
    Step,
    apply_vjp,
    differentiable_inputs,
    values_of,
)
from minigrad.viz.text.notation import in_brackets, number

SHOWN = 12  # terms of a sum that are printed

Index = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Link:
    """A dependency between entries of two steps, v of u, and its derivative du/dv.

    Where u is complex and not holomorphic in v, it also has one by conj(u), as of conj(v), and
    their terms in dz/dv are dz/du*du/dv + conj(dz/du)*dconj(u)/dv; of real v the real part.
    """

    step: Step
    index: Index
    derivative: complex
    conjugate: complex = 0.0
    real: bool = False

    def term(self, adjoint: complex) -> complex:
        """The term in dz/dv, given dz/du."""
        found = adjoint * self.derivative + adjoint.conjugate() * self.conjugate
        return found.real if self.real else found


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
    def adjoint(self) -> complex | None:
        """The derivative of z with respect to this entry; None if no gradient flows back to it."""
        return None if self.step.adjoint is None else self.step.adjoint[self.index].item()

    def terms(self) -> list[complex]:
        """upstream * local for each use; the adjoint is their sum."""
        return [use.term(adjoint_of(use)) for use in self.uses]

    def __str__(self) -> str:
        own, z = name_of(self.step, self.index), self.result
        lines = [f"{own} = {number(self.step.value[self.index])}"]
        if self.sources:
            lines.append("  computed from")
            lines += shortened(
                [
                    f"    {there} = {number(x.step.value[x.index])}, {derivatives(x, own, there)}"
                    for x in self.sources
                    for there in [name_of(x.step, x.index)]
                ]
            )
        if self.adjoint is not None:
            lines.append(f"d{z}/d{own} = {number(self.adjoint)}")
            lines += shortened(
                [
                    f"    + {term_text(use, z, own)} = {number(product)}"
                    for use, product in zip(self.uses, self.terms(), strict=True)
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
        pulled = partial(row_of, step, position, index)
        # Of g, the vjp is a*g + b*conj(g); of a real input, the real part of d*g.
        a, b = pulled(1), np.zeros(source.value.shape)
        if is_real(source, step):
            a = a.real - 1j * pulled(1j).real
        elif step.value.dtype.kind == "c":
            other = -1j * pulled(1j)
            a, b = (a + other) / 2, (a - other) / 2
        own = entries_of(source, step)
        among = True if own is None else entry_numbers(source) == own[index]
        links += links_of(source, a, b, is_real(source, step), among)
    return links


def entry_numbers(step: Step) -> np.ndarray:
    return np.arange(step.value.size).reshape(step.value.shape)


def entries_of(source: Step, user: Step) -> np.ndarray | None:
    """Of an elementwise op, the number of the source's entry that each of the user's depends on.

    The vjp of another entry, 0 times its derivative, is NaN where that is infinite.
    """
    assert user.op is not None
    shape = user.value.shape
    if user.op.family not in ("unary", "binary") or not broadcasts(source.value.shape, shape):
        return None
    return np.broadcast_to(entry_numbers(source), shape)


def broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def row_of(step: Step, position: int, index: Index, seed: complex) -> np.ndarray:
    """The vjp for an input, of a cotangent that is `seed` at the index and 0 elsewhere."""
    cotangent, values = np.zeros_like(step.value), values_of(step.inputs)
    cotangent[index] = seed
    with np.errstate(all="ignore"):
        found = apply_vjp(step, position, cotangent, step.value, values)
        return np.asarray(summed_to_input(step, step.inputs[position], found))


def uses_of(use: Contribution, index: Index) -> list[Link]:
    """The derivatives, with respect to an entry, of the entries that one use computed from it.

    A vjp is linear in the cotangent g, so these are the derivatives of its entry at the index with
    respect to g.
    """
    user, source = use.user, use.user.inputs[use.position]

    def column(factor: complex) -> np.ndarray:
        """The derivatives by g of the real part of the entry times a factor."""
        recorded = term(use)
        with switched(recording, True), np.errstate(all="ignore"):
            entry = summed_to_input(user, source, Tensor.of(recorded.cotangent))[index]
            root = np.real(entry * factor).node
            found = reverse({root: np.ones_like(root.value)}, by={recorded.upstream})
        return np.asarray(found.get(recorded.upstream, np.zeros_like(user.value)))

    # The real part of (a*g + b*conj(g)) * factor is that of (a*factor + conj(b*factor)) * g.
    a, b = column(1), np.zeros(user.value.shape)
    if source.value.dtype.kind == "c":
        other = 1j * column(-1j)
        if user.value.dtype.kind == "c":
            a, b = (a + other) / 2, np.conj(a - other) / 2
        else:
            a = a + other
    own = entries_of(source, user)
    among = True if own is None else own == entry_numbers(source)[index]
    return links_of(user, a, b, is_real(source, user), among)


def is_real(source: Step, user: Step) -> bool:
    """Whether terms of the source are real parts."""
    return user.value.dtype.kind == "c" != source.value.dtype.kind


def links_of(step: Step, a: np.ndarray, b: np.ndarray, real: bool, among: Any) -> list[Link]:
    """Links to entries of a step, by derivatives and those of conjugates, in the step's shape."""
    found = nonzero_indices(((a != 0) | (b != 0)) & among)
    return [Link(step, k, a[k].item(), b[k].item(), real) for k in found]


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
    return link.step.adjoint[link.index].item()


def name_of(step: Step, index: Index) -> str:
    return f"{step.label}[{', '.join(map(str, index))}]" if index else step.label


def derivatives(x: Link, own: str, there: str) -> str:
    """du/dv = 2; where u is not holomorphic in v, also dconj(u)/dv."""
    pairs = [(own, x.derivative), (f"conj({own})", x.conjugate)]
    shown = [f"d{u}/d{there} = {number(d)}" for u, d in pairs if d or not (x.conjugate or d)]
    return ", ".join(shown)


def term_text(use: Link, z: str, own: str) -> str:
    """dz/du*du/dv = 3*2, in both symbols and numbers."""
    there, adjoint = name_of(use.step, use.index), adjoint_of(use)
    upstream = f"d{z}/d{there}"
    parts = [(upstream, adjoint, there, use.derivative)]
    parts += [(f"conj({upstream})", adjoint.conjugate(), f"conj({there})", use.conjugate)]
    shown = [part for part in parts if part[-1]]
    symbols = " + ".join(f"{g}*d{u}/d{own}" for g, _, u, _ in shown)
    numbers = " + ".join(
        f"{in_brackets(number(g))}*{in_brackets(number(d))}" for _, g, _, d in shown
    )
    return f"real({symbols}) = real({numbers})" if use.real else f"{symbols} = {numbers}"


def shortened(lines: Sequence[str]) -> list[str]:
    left = len(lines) - SHOWN
    return [*lines[:SHOWN], f"    and {left:,} more"] if left > 0 else list(lines)
