"""What the derivative of a loss is as a whole, where its ops hide it."""

from __future__ import annotations

import numpy as np

from minigrad.viz.backprop.steps import Step
from minigrad.viz.draw.groups import Group


def loss_note(group: Group) -> dict[str, object] | None:
    """Of a cross entropy of class indices, the logits' step, and the number that softmax minus
    one-hot is divided by; found in the numbers, so that it holds however the loss was computed."""
    if group.kind not in ("call", "module"):
        return None
    steps = [step for step in group.children if isinstance(step, Step)]
    soft = next((step for step in steps if step.op and step.op.name == "log_softmax"), None)
    if soft is None or not isinstance(logits := soft.inputs[0], Step):
        return None
    last = max(steps, key=lambda step: step.number)
    if logits.adjoint is None or last.adjoint is None or last.value.ndim or not last.adjoint:
        return None
    axis = soft.attributes["axis"]
    probabilities = np.exp(soft.value.astype(float))
    for count in (soft.value.size // soft.value.shape[axis], 1):
        one_hot = probabilities - logits.adjoint * (count / float(last.adjoint))
        one_hot = np.moveaxis(one_hot, axis, -1)
        if np.allclose(one_hot, np.eye(one_hot.shape[-1])[one_hot.argmax(-1)], atol=1e-4):
            return {"logits": logits.label, "count": count}
    return None
