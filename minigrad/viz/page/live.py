"""Live explanations: a program of WebAssembly that computes all numbers again."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from minigrad.compiler import compile as compiled
from minigrad.compiler.export.program import ComputedByNumPyError, exported
from minigrad.compiler.export.wasm import module
from minigrad.compiler.target import webassembly
from minigrad.errors import DtypeError, UnsupportedError
from minigrad.viz.backprop.steps import Step
from minigrad.viz.page.numbers import all_numbers

KINDS = ("float32", "float64")  # of leaves that can be edited
MOST = 2000  # steps: each is compiled


def live_program(steps: Sequence[Step]) -> dict[str, Any]:
    """The program as JSON data: `module`, in base64, whose function `numbers` takes the values of
    the steps `inputs`, all floating leaves and constants, and gives all arrays in their order;
    `values`, in base64, what it is to start with, for of a large array a page has only a digest.

    Raises:
        DtypeError: if there are values of a dtype that JavaScript has no arrays of.
        UnsupportedError: if there are too many steps, or an op cannot be compiled.
    """
    check_steps(steps)
    inputs = [step for step in steps if step.op is None and step.value.dtype.name in KINDS]
    numbers = compiled(all_numbers(steps, inputs))
    try:
        numbers(*(step.value for step in inputs))
    except UnsupportedError as error:
        raise UnsupportedError(
            f"a live page holds a compiled program, and {error.message}; or leave out live=True"
        ) from error
    try:
        program = module(exported("explained", {"numbers": numbers}, webassembly.MACHINE))
    except ComputedByNumPyError as error:
        raise UnsupportedError(
            f"a live page cannot compute {error.ops}, which needs NumPy: leave out live=True"
        ) from error
    index = {step: k for k, step in enumerate(steps)}
    return {
        "module": base64.b64encode(program).decode(),
        "inputs": [index[step] for step in inputs],
        "values": base64.b64encode(b"".join(step.value.tobytes() for step in inputs)).decode(),
    }


def check_steps(steps: Sequence[Step]) -> None:
    """Raise if a live page cannot compute these steps."""
    if len(steps) > MOST:
        raise UnsupportedError(
            f"a live page compiles each step, and this explanation has {len(steps):,}, more than "
            f"{MOST:,}: explain fewer rounds of a loop, or leave out live=True"
        )
    for step in steps:
        if step.value.dtype.kind == "c" or step.value.dtype.name in ("float16", "longdouble"):
            raise DtypeError(
                f"a live page cannot compute {step.label}, of dtype {step.value.dtype}, which "
                "WebAssembly does not have: leave out live=True"
            )
        if step.output is not None:
            raise UnsupportedError(
                f"a live page cannot compute {step.label}, the result of a checkpoint or of a "
                "function with a rule of your own, whose code an explanation does not hold: leave "
                "out live=True"
            )
