"""Functions as a WebAssembly module for a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minigrad.compiler.frontend.guards import Guards
from minigrad.compiler.frontend.trace import Traced
from minigrad.compiler.graph.simplify import simplify
from minigrad.compiler.jit import Compiled, exclusive_tracing, trace_and_verify
from minigrad.compiler.runtime.interpreter import NumpyProgram
from minigrad.compiler.specialization import Specialization

# Functions by name, each with arguments of the shapes and dtypes that it is to take.
Functions = Mapping[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]]


def traced(function: Callable[..., Any], arguments: tuple[np.ndarray, ...]) -> Compiled[Any, Any]:
    """A compiled function as it is after a call, without a C program of this machine: for export.

    >>> traced(np.sin, (np.zeros(3),)).specializations[0].traced.graph.outputs
    [sin(input)]
    """
    compiled: Compiled[Any, Any] = Compiled(function)
    with exclusive_tracing():
        found: tuple[Traced, Guards, None] = trace_and_verify(
            function, (arguments, {}), lambda graph: None
        )
        program = NumpyProgram(simplify(found[0].graph))
        made = Specialization(None, (arguments, {}), [*arguments], *found[:2], program)
    compiled.specializations = [made]
    return compiled
