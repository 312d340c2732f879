"""Common mistakes of reverse passes: the wrong adjoints that each would give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from minigrad.autograd import input_cotangents
from minigrad.viz.backprop.steps import Step, apply_vjp, differentiable_inputs, values_of

# Wrong adjoints, or NumPy's error message where there is none.
Wrong = dict[Step, np.ndarray | str]


def without_topological_order(steps: Sequence[Step]) -> Wrong:
    """Each value propagates its adjoint when it is first reached, before it is complete, depth
    first."""
    by_node = {step.key: step for step in steps}
    root = steps[-1]
    adjoints: dict[Step, np.ndarray] = {root: np.ones_like(root.value)}
    stack, reached = [root], {root}
    while stack:
        user = stack.pop()
        if user.op is None:
            continue
        sent = [
            (by_node[node], cotangent)
            for node, cotangent in input_cotangents(user.node, adjoints[user])
        ]
        for step, cotangent in sent:
            adjoints[step] = adjoints[step] + cotangent if step in adjoints else cotangent
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
    """Cotangents are not summed over the axes along which the input was broadcast."""
    by_node = {step.key: step for step in steps}
    root = steps[-1]
    adjoints: Wrong = {root: np.ones_like(root.value)}
    for user in reversed(steps):
        upstream = adjoints.get(user)
        if user.op is None or upstream is None:
            continue
        inputs = values_of(user.inputs)
        for k in differentiable_inputs(user.node):
            step = by_node[user.node.inputs[k]]
            before = adjoints.get(step)
            try:
                if isinstance(upstream, str) or isinstance(before, str):
                    raise ValueError(before if isinstance(before, str) else upstream)
                cotangent = apply_vjp(user, k, upstream, user.value, inputs)
                cotangent = cotangent if step.value.dtype.kind == "c" else np.real(cotangent)
                adjoints[step] = np.asarray(cotangent if before is None else before + cotangent)
            except (ValueError, IndexError, TypeError) as error:
                adjoints[step] = str(error)
    return differing(adjoints)


def differing(adjoints: Mapping[Step, np.ndarray | str]) -> Wrong:
    """The adjoints that are wrong."""
    return {
        step: adjoint
        for step, adjoint in adjoints.items()
        if isinstance(adjoint, str) or not same(adjoint, step.adjoint)
    }


def same(adjoint: np.ndarray, expected: np.ndarray | None) -> bool:
    assert expected is not None
    return np.array_equal(adjoint, expected, equal_nan=True)
