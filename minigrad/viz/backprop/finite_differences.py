"""Derivatives of a recorded result by finite differences, to compare with the reverse pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.viz.backprop.steps import Step

FAILED = 1e-5  # an error of which steps of another length may be the reason


@dataclass(frozen=True)
class Check:
    """A directional derivative, by the reverse pass and by finite differences; of a complex number
    d/dx - 1j*d/dy, along both axes."""

    reverse: complex
    differences: complex

    @property
    def error(self) -> float:
        """The relative error, or the absolute one for derivatives below 1."""
        return abs(self.reverse - self.differences) / max(1.0, abs(self.differences))


def check(steps: Sequence[Step], leaf: Step) -> Check:
    """Compare dz/dleaf with (z(leaf + h*v) - z(leaf - h*v)) / 2h, recomputed in float64.

    v is 1 for a number, 1 and 1j for a complex one, and a random direction for an array.
    """
    return next(iter(checks(steps, [leaf]).values()))


def checks(
    steps: Sequence[Step], leaves: Sequence[Step], budget: float = float("inf")
) -> dict[Step, Check]:
    """The checks of these leaves, or of as many as fit into `budget` runs of ops. With a budget,
    leaves that a call (see `Step.output`) depends on are left out, as calls cannot be run again."""
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
        if budget < float("inf") and any(step.output is not None for step in affected):
            continue
        budget -= (2 if leaf.value.dtype.kind != "c" else 4) * len(affected)
        if budget < 0:
            break
        order = sorted(affected - {leaf}, key=lambda step: step.number)
        with np.errstate(all="ignore"):
            found[leaf] = compared(order, leaf, steps[-1])
    return found


def compared(order: Sequence[Step], leaf: Step, root: Step) -> Check:
    """The check with steps in proportion to the leaf's largest entry, or to 1. If it fails, as for
    log at 1e-10 or sin at 1e6, where such steps are too long, the one of several lengths whose
    differences change least when the steps are halved."""
    assert leaf.adjoint is not None
    value, adjoint = map(in_double, (leaf.value, leaf.adjoint))
    draw = np.random.default_rng(0).choice
    signs = [draw([-1.0, 1.0], value.shape) if value.ndim else np.float64(1) for _ in range(2)]

    def with_steps(sizes: np.ndarray, part: float = 1.0) -> Check:
        """With steps in proportion to these sizes."""
        largest = float(sizes.max(initial=0)) or 1.0
        h = part * largest * float(np.cbrt(np.finfo(float).eps))
        v, w = (sign * sizes / largest for sign in signs)

        def along(v: Any) -> float:
            up, down = (replayed(order, leaf, value + sign * h * v, root) for sign in (1, -1))
            return (up - down) / (2 * h)

        if value.dtype.kind != "c":
            return Check(float(np.sum(adjoint * v)), along(v))
        if value.ndim:
            return Check(float(np.sum(adjoint * (v + 1j * w)).real), along(v + 1j * w))
        return Check(complex(adjoint), along(1) - 1j * along(1j))

    def instability(sizes: np.ndarray) -> float:
        one, half = (with_steps(sizes, part).differences for part in (1.0, 0.5))
        found = abs(one - half) / abs(one) if one else abs(half)
        return found if np.isfinite(found) else np.inf

    own, ones = np.abs(value), np.ones(value.shape)
    usual = np.maximum(ones, own.max(initial=0))
    found = with_steps(usual)
    if found.error < FAILED:
        return found
    return with_steps(min((usual, np.where(own > 0, own, 1.0), ones), key=instability))


def in_double(x: np.ndarray) -> np.ndarray:
    return x.astype(complex if x.dtype.kind == "c" else float)


def replayed(order: Sequence[Step], leaf: Step, value: np.ndarray, root: Step) -> float:
    """Recompute z with another value of a leaf."""
    values = {leaf: value}
    for step in order:
        assert step.op is not None
        inputs = [values.get(x, x.value) if isinstance(x, Step) else x for x in step.inputs]
        if step.op.name == "astype":  # to float32, it would round the differences away
            to_complex = step.value.dtype.kind == "c"
            values[step] = np.asarray(inputs[0], complex) if to_complex else inputs[0]
        else:
            values[step] = step.op.forward(*inputs, **step.attributes)
    return float(np.asarray(values[root]).item())
