"""A derivative as the sum over all paths from the result back to a leaf."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from minigrad.viz.backprop.steps import Contribution, Step, is_multiple, term_of
from minigrad.viz.text.notation import in_brackets, number

SHOWN = 8  # most steps of a path that are printed
POOL = 8  # candidates for each path requested, where they are chosen by an estimate


@dataclass(eq=False)
class Path:
    """A path from the result to a leaf, as the uses along it.

    `product` is dz/dz = 1 propagated along the path by the local derivatives, in the leaf's shape.
    `share` is its part of the whole derivative t: <product, t> / <t, t>, which is product / t for
    real numbers, and of complex ones the real part; the shares of all paths add up to 1. It is NaN
    where the derivative is zero.
    """

    uses: list[Contribution] = field(repr=False)
    product: np.ndarray
    share: float


@dataclass(eq=False, repr=False)
class Paths:
    """The exact number of paths, and the largest by the norm of their products."""

    source: Step
    result: str
    count: int
    largest: list[Path]

    def __str__(self) -> str:
        total = self.source.adjoint
        assert total is not None
        name, z = self.source.name or self.source.label, self.result
        size = number(total) if total.ndim == 0 else f"of size {number(np.linalg.norm(total))}"
        plural = "path" if self.count == 1 else "paths"
        rows = [f"{self.count:,} {plural} from {z} back to {name}; d{z}/d{name} is {size}"]
        rows += [f"  {path_text(path, z, name)}" for path in self.largest]
        if left := self.count - len(self.largest):
            rows.append(f"  and {left:,} more")
        return "\n".join(rows)

    __repr__ = __str__


def path_text(path: Path, z: str, name: str) -> str:
    """z <- w5 <- w3 <- x1: 1*1*3 = 3, 116.1 %"""
    labels = [use.user.label for use in path.uses]
    if len(labels) > SHOWN:
        left = len(labels) - SHOWN
        labels[SHOWN - 2 : -2] = [f"({left} more)"]
    size = f"of size {number(np.linalg.norm(path.product))}"
    if path.product.ndim == 0:
        factors = [local_derivative(use) for use in path.uses]
        short = len(factors) <= SHOWN and all(f.ndim == 0 for f in factors)
        size = number(path.product)
        # The conjugate, or the real part, of a cotangent is not its product with a number.
        if short and all(map(is_multiple, path.uses)) and not any(map(takes_real_part, path.uses)):
            texts = [in_brackets(number(factor)) for factor in factors]
            size = f"{'*'.join(texts or ['1'])} = {size}"
    share = "" if math.isnan(path.share) else f", {path.share:.1%}"
    return f"{' <- '.join([z, *labels, name])}: {size}{share}"


def paths(steps: Sequence[Step], source: Step, most: int, result: str = "z") -> Paths:
    """The `most` largest paths from the last step back to `source`, and the count of all.

    Their number can grow exponentially with the graph; they are counted, and the largest found,
    by dynamic programming over the steps: the k largest to a step extend the k largest to its
    users. For real numbers this is exact. For arrays the gain of a use is estimated on the whole
    adjoint, for complex numbers it ignores that of a real input the real part is taken; there, more
    candidates than requested are then computed exactly.
    """
    between = depending_on(steps, source)
    scalar = all(step.value.ndim == 0 and step.value.dtype.kind != "c" for step in between)
    keep = most if scalar else POOL * most
    count = {steps[-1]: 1}
    # The gain along a path, its last use, and the index among that user's best paths it extends.
    best: dict[Step, list[tuple[float, Contribution | None, int]]] = {steps[-1]: [(1.0, None, 0)]}
    for step in reversed(between):
        if step is steps[-1]:
            continue
        uses = [use for use in step.contributions if use.user in count]
        count[step] = sum(count[use.user] for use in uses)
        found = [
            (size * gain(use), use, k)
            for use in uses
            for k, (size, _, _) in enumerate(best[use.user])
        ]
        best[step] = heapq.nlargest(keep, found, key=lambda path: path[0])
    candidates = [
        path_of(uses_along(best, source, k), source) for k in range(len(best.get(source, ())))
    ]
    candidates.sort(key=lambda path: -float(np.linalg.norm(path.product)))
    return Paths(source, result, count.get(source, 0), candidates[:most])


def depending_on(steps: Sequence[Step], source: Step) -> list[Step]:
    """The source and the steps that depend on it, in order."""
    found = {source}
    for step in steps:
        if any(isinstance(x, Step) and x in found for x in step.inputs):
            found.add(step)
    return [step for step in steps if step in found]


def gain(use: Contribution) -> float:
    """The factor by which a use changes the norm of a cotangent."""
    if use.user.value.ndim == use.cotangent.ndim == 0 and not takes_real_part(use):
        size = float(abs(local_derivative(use)))
    else:
        before = float(np.linalg.norm(np.asarray(use.user.adjoint)))
        size = float(np.linalg.norm(use.cotangent)) / before if before else 0.0
    return math.inf if math.isnan(size) else size


def local_derivative(use: Contribution) -> np.ndarray:
    """The local derivative: the vjp of a cotangent of 1."""
    return term_of(use, np.ones_like(use.user.value))


def takes_real_part(use: Contribution) -> bool:
    """Whether the term of a use may be the real part of a product."""
    return use.user.value.dtype.kind == "c" != use.cotangent.dtype.kind


def uses_along(
    best: Mapping[Step, Sequence[tuple[float, Contribution | None, int]]], source: Step, k: int
) -> list[Contribution]:
    """The uses along the k-th largest path, from the result."""
    uses: list[Contribution] = []
    _, use, k = best[source][k]
    while use is not None:
        uses.append(use)
        _, use, k = best[use.user][k]
    return uses[::-1]


def path_of(uses: list[Contribution], source: Step) -> Path:
    product = np.ones_like(uses[0].user.value if uses else source.value)
    for use in uses:
        product = term_of(use, product)
    total = np.asarray(source.adjoint)
    size = float(np.vdot(total, total).real)
    share = float(np.vdot(product, total).real) / size if size else math.nan
    return Path(uses, product, share)
