"""Functions whose steps are computed as one node of the graph, where their arrays are large."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.inside import traced_form
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.calls import as_written, call_node
from minigrad.transforms.rerun import Rerun
from minigrad.writes import Overwritten

# Entries from which steps are fused. Below, each op is recorded: explanations show them all.
LARGE = 4096


def fused(
    name: str,
    steps: Callable[..., Sequence[Any]],
    forward: Callable[..., tuple[Sequence[np.ndarray], Sequence[np.ndarray]]],
    backward: Callable[..., Sequence[Any]],
    inputs: Sequence[Any],
) -> Sequence[Any]:
    """The outputs of steps(*inputs), computed by `forward`, as one node of the graph, so that a
    pass in either direction takes few calls of NumPy.

    Args:
        name: what messages and explanations call it.
        steps: the same in ops. They are run where there are no numbers (compiled, under vmap), and
            where the reverse pass is recorded, to be differentiated again.
        forward: takes the arrays of the inputs; returns those of the outputs, and the residuals.
        backward: takes the cotangents of the outputs by their positions, the inputs and the
            residuals; returns the cotangent of each input.
        inputs: Tensors and arrays.
    """
    arrays = [value_of(x) for x in inputs]
    if not are_plain(arrays) or as_written.get() or traced_form.get() is not None:
        return steps(*inputs)
    outputs, kept = forward(*arrays)
    if not any(isinstance(x, Tensor) for x in inputs):
        return outputs

    def pull_back(sent: dict[int, Any], inputs: Sequence[Any], kept: Sequence[Any]) -> Any:
        if are_plain([*sent.values(), *inputs, *kept]):
            return backward(sent, inputs, kept)
        for x in inputs:
            if type(x) is Overwritten:
                x.refuse()
        return Rerun(steps, inputs).pull_back(sent)

    return call_node(name, inputs, outputs, pull_back, kept)


def are_plain(arrays: Sequence[Any]) -> bool:
    """Whether all are NumPy's arrays of float32 or float64: no tracers, batches or Tensors."""
    return all(type(x) is np.ndarray and x.dtype.char in "fd" for x in arrays)
