"""Wrong reverse passes, for comparison; and finite differences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minigrad.autograd import shares
from minigrad.viz.steps import Step, differentiable_inputs, run_rule

# Wrong adjoints, or NumPy's error message where there is none.
Wrong = dict[Step, np.ndarray | str]


def without_topological_order(steps: Sequence[Step]) -> Wrong:
    """Each value propagates its adjoint when it is first reached, before it is complete, depth
    first."""
    by_node = {step.node: step for step in steps}
    root = steps[-1]
    adjoints: dict[Step, np.ndarray] = {root: np.ones_like(root.value)}
    stack, reached = [root], {root}
    while stack:
        user = stack.pop()
        if user.op is None:
            continue
        sent = [(by_node[node], share) for node, share in shares(user.node, adjoints[user])]
        for step, share in sent:
            adjoints[step] = adjoints[step] + share if step in adjoints else share
        new = [step for step in dict.fromkeys(step for step, _ in sent) if step not in reached]
        reached.update(new)
        stack += reversed(new)
    return differing(adjoints)


def without_zeroing(steps: Sequence[Step]) -> Wrong:
    """A second backward() adds to the gradients of the first."""
    leaves = [step for step in steps if step.op is None and step.adjoint is not None]
    return differing(
        {step: step.adjoint + step.adjoint for step in leaves if step.adjoint is not None}
    )


def without_unbroadcasting(steps: Sequence[Step]) -> Wrong:
    """Shares are not summed over the axes along which the input was broadcast."""
    by_node = {step.node: step for step in steps}
    root = steps[-1]
    adjoints: Wrong = {root: np.ones_like(root.value)}
    for user in reversed(steps):
        upstream = adjoints.get(user)
        if user.op is None or upstream is None:
            continue
        inputs = [x.value if isinstance(x, Step) else x for x in user.inputs]
        for k in differentiable_inputs(user.node):
            step = by_node[user.node.inputs[k]]
            before = adjoints.get(step)
            try:
                if isinstance(upstream, str) or isinstance(before, str):
                    raise ValueError(before if isinstance(before, str) else upstream)
                share = run_rule(user, k, upstream, user.value, inputs)
                adjoints[step] = np.asarray(share if before is None else before + share)
            except (ValueError, IndexError, TypeError) as error:
                adjoints[step] = str(error)
    return differing(adjoints)


def differing(adjoints: Mapping[Step, np.ndarray | str]) -> Wrong:
    """The adjoints that are wrong."""
    return {
        step: adjoint
        for step, adjoint in adjoints.items()
        if isinstance(adjoint, str) or not np.array_equal(adjoint, right(step), equal_nan=True)
    }


def right(step: Step) -> np.ndarray:
    assert step.adjoint is not None
    return step.adjoint


# Finite differences


@dataclass(frozen=True)
class Check:
    """The derivative along a direction, by the reverse pass and by finite differences."""

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
    value = leaf.value.astype(float)
    v = np.ones(())
    if value.ndim:
        v = np.random.default_rng(0).choice([-1.0, 1.0], value.shape)
    h = float(np.cbrt(np.finfo(float).eps)) * max(1.0, float(np.abs(value).max(initial=0)))
    up, down = (replayed(order, leaf, value + sign * h * v, root) for sign in (1, -1))
    return Check(float(np.vdot(right(leaf).astype(float), v)), float((up - down) / (2 * h)))


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
