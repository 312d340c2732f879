"""Derivatives of a recorded result by finite differences, to compare with the reverse pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minigrad.viz.backprop.steps import Step


@dataclass(frozen=True)
class Check:
    """A directional derivative, by the reverse pass and by finite differences."""

    reverse: float
    differences: float

    @property
    def error(self) -> float:
        """The relative error, or the absolute one for derivatives below 1."""
        return abs(self.reverse - self.differences) / max(1.0, abs(self.differences))


def check(steps: Sequence[Step], leaf: Step) -> Check:
    """Compare dz/dleaf with (z(leaf + h*v) - z(leaf - h*v)) / 2h, recomputed in float64.

    v is 1 for a number, and a random direction for an array.
    """
    return next(iter(checks(steps, [leaf]).values()))


def checks(
    steps: Sequence[Step], leaves: Sequence[Step], budget: float = float("inf")
) -> dict[Step, Check]:
    """The checks of these leaves, or of as many as fit into `budget` runs of ops."""
    users = defaultdict(list)
    for step in steps:
        for x in step.inputs:
            if isinstance(x, Step):
                users[x].append(step)
    found = {}
    for leaf in leaves:
        affected = {leaf}
        stack = [leaf]
        while stack:
            new = [user for user in users[stack.pop()] if user not in affected]
            affected.update(new)
            stack += new
        budget -= 2 * len(affected)
        if budget < 0:
            break
        order = sorted(affected - {leaf}, key=lambda step: step.number)
        found[leaf] = compared(order, leaf, steps[-1])
    return found


def compared(order: Sequence[Step], leaf: Step, root: Step) -> Check:
    assert leaf.adjoint is not None
    value = leaf.value.astype(float)
    v = np.ones(())
    if value.ndim:
        v = np.random.default_rng(0).choice([-1.0, 1.0], value.shape)
    h = float(np.cbrt(np.finfo(float).eps)) * max(1.0, float(np.abs(value).max(initial=0)))
    up, down = (replayed(order, leaf, value + sign * h * v, root) for sign in (1, -1))
    return Check(float(np.vdot(leaf.adjoint.astype(float), v)), float((up - down) / (2 * h)))


def replayed(order: Sequence[Step], leaf: Step, value: np.ndarray, root: Step) -> float:
    """Recompute z with another value of a leaf."""
    values = {leaf: value}
    with np.errstate(all="ignore"):
        for step in order:
            assert step.op is not None
            inputs = [values.get(x, x.value) if isinstance(x, Step) else x for x in step.inputs]
            # A cast to float32 would round the differences away.
            lossy = step.op.name == "astype"
            values[step] = inputs[0] if lossy else step.op.forward(*inputs, **step.attributes)
    return float(np.asarray(values[root]).item())
