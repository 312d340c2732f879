"""Derivatives by forward passes: jvp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.arguments import checked
from minigrad.errors import ShapeError
from minigrad.graph import INEXACT
from minigrad.tensor import Tensor
from minigrad.transforms.recorded import Recorded
from minigrad.transforms.trees import Function, like, matching


@checked
def jvp(f: Function, args: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """f(*args), and its derivative in the direction of the tangents, one for each argument.

    The vjp is linear in the cotangent, so its own vjp is the jvp (J. Townsend, "A new trick for
    calculating Jacobian vector products", 2017): no op needs a rule for it. With `has_aux`,
    also what f returned beside its value.

    >>> jvp(lambda x: x**2, (3.0,), (1.0,))
    (np.float64(9.0), np.float64(6.0))
    """
    run = Recorded(f, args, has_aux=has_aux)
    directions = matching(list(tangents), list(args), "the arguments")
    for v, x in zip(directions, run.inputs, strict=True):
        if np.shape(v) != x.shape:
            raise ShapeError(f"a tangent of shape {np.shape(v)} for an argument of shape {x.shape}")
    # Of outputs that are integers, the derivative is 0, a float.
    zeros = [
        Tensor(np.zeros(y.shape, y.dtype if y.dtype.kind in INEXACT else float))
        for y in run.outputs
    ]
    cotangents = zeros if run.of_tensors else [zero.data for zero in zeros]
    pulled = Recorded(lambda *cotangents: run.pull_back(cotangents), cotangents)
    derivative = like(run.output, iter(pulled.pull_back(directions)))
    return (run.value(), derivative, run.aux) if has_aux else (run.value(), derivative)
