"""compare: the first step where two runs differ."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError
from minigrad.graph import INEXACT
from minigrad.tensor import Tensor
from minigrad.viz.backprop.derivation import Chain, definition, derivation, signed
from minigrad.viz.backprop.steps import Step
from minigrad.viz.explanation import Explanation, explain
from minigrad.viz.text.formula import summary

Pair = tuple[Step | None, Step | None]


@dataclass(repr=False)
class Comparison:
    """Two runs, and the first steps that differ in each pass; None if none do.

    Each is a pair of steps, one of each run; None in place of a step if a run has no more steps.

    >>> x = Tensor(2.0, requires_grad=True)
    >>> compare(x * x, x * x).forward is None
    True
    """

    runs: tuple[Explanation, Explanation]
    forward: Pair | None
    reverse: Pair | None

    def __repr__(self) -> str:
        passes = {"forward": self.forward, "reverse": self.reverse}
        return "\n".join(line for name, pair in passes.items() for line in self._lines(name, pair))

    def _lines(self, which: str, pair: Pair | None) -> Iterator[str]:
        if pair is None:
            yield f"{which}: no difference"
            return
        yield f"{which}: the first difference"
        for name, run, step in zip("ab", self.runs, pair, strict=True):
            if step is None:
                yield f"  {name}: has no more steps"
            elif which == "forward":
                yield f"  {name}: {equation(step.label, definition(step, run.result))}"
            else:
                left = f"d{run.result}/d{step.label}"
                yield f"  {name}: {equation(left, derivation(step, run.result))}"
            if step and step.node.line:
                yield "     at {}:{}".format(*step.node.line)
        if which == "forward" and (most := largest_difference(pair)):
            yield f"  {most}"


def compare(a: Tensor | Explanation, b: Tensor | Explanation, tolerance: float = 0.0) -> Comparison:
    """Compare two runs: the first step that differs, in the forward pass and in the reverse pass.

    Steps are compared in the order of each pass: in the forward pass by op, inputs, shape and
    values, in the reverse pass by op and adjoint.

    Args:
        a, b: results, or explanations of them.
        tolerance: the largest difference, relative to the largest entry, that is ignored. NaN
            equals NaN.

    Raises:
        ArgumentError: if the tolerance is negative.
        GradientError, ShapeError: as `explain`.

    >>> x = Tensor(2.0, requires_grad=True, name="x")
    >>> compare(np.sin(x) * x, np.sin(x) * (x + 1))
    forward: the first difference
      a: w3 = w2*w1 = 1.819
         at ...
      b: w3 = w1 + 1 = 3
         at ...
    reverse: the first difference
      a: dz/dw2 = dz/dw3*dw3/dw2 = dz/dw3*w1 = 1*2 = 2
         at ...
      b: dz/dw3 = dz/dw4*dw4/dw3 = dz/dw4*w2 = 1*0.9093 = 0.9093
         at ...
    """
    if not tolerance >= 0:
        raise ArgumentError(f"compare: tolerance={tolerance} must not be negative")
    one, other = (x if isinstance(x, Explanation) else explain(x) for x in (a, b))
    return Comparison(
        (one, other),
        first_difference(one.steps, other.steps, partial(same_step, tolerance=tolerance)),
        first_difference(
            reverse_steps(one), reverse_steps(other), partial(same_adjoint, tolerance=tolerance)
        ),
    )


def reverse_steps(run: Explanation) -> list[Step]:
    """The steps with an adjoint, in the order of the reverse pass."""
    return [step for step in reversed(run.steps) if step.adjoint is not None]


def first_difference(
    a: Sequence[Step], b: Sequence[Step], same: Callable[[Step, Step], bool]
) -> Pair | None:
    pairs = itertools.zip_longest(a, b)
    return next(((x, y) for x, y in pairs if not (x and y and same(x, y))), None)


def same_step(x: Step, y: Step, tolerance: float) -> bool:
    return computed(x) == computed(y) and same(x.value, y.value, tolerance)


def computed(step: Step) -> Any:
    """The op, and the steps and numbers it was applied to."""
    inputs = [x.number if isinstance(x, Step) else repr(x) for x in step.inputs]
    return step.op, inputs, sorted((name, repr(x)) for name, x in step.attributes.items())


def same_adjoint(x: Step, y: Step, tolerance: float) -> bool:
    return x.op is y.op and same(x.adjoint, y.adjoint, tolerance)


def same(x: Any, y: Any, tolerance: float) -> bool:
    if x.shape != y.shape or x.dtype != y.dtype:
        return False
    if not tolerance:
        return np.array_equal(x, y, equal_nan=x.dtype.kind in INEXACT)
    largest = float(np.max(np.abs(np.where(np.isfinite(x), x, 0)), initial=0))
    return np.allclose(x, y, rtol=0, atol=tolerance * largest, equal_nan=True)


def largest_difference(pair: Pair) -> str | None:
    """The index and values of the largest difference, if both are arrays of the same shape."""
    if None in pair:
        return None
    x, y = (step.value for step in pair if step)
    if x.shape != y.shape or not x.ndim or not x.size:
        return None
    kind = complex if "c" in (x.dtype.kind, y.dtype.kind) else float
    with np.errstate(all="ignore"):
        apart = np.abs(np.subtract(x, y, dtype=kind))
    place = np.unravel_index(np.argmax(np.where(np.isnan(apart), np.inf, apart)), x.shape)
    where = ", ".join(map(str, place))
    return f"largest difference at [{where}]: {summary(x[place])} and {summary(y[place])}"


def equation(left: str, chain: Chain) -> str:
    return " = ".join([left, *(" ".join(signed(terms)) for terms in chain)])
