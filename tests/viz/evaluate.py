"""What explanations print, evaluated as Python: an independent reading of the notation."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad.ops.base import registry
from minigrad.viz.backprop.derivation import chain_rule, definition, derivation, signed
from minigrad.viz.backprop.steps import Step
from minigrad.viz.explanation import Explanation

FUNCTIONS = {name: op.forward for name, op in registry.items() if op.family in ("unary", "binary")}
NAMESPACE: dict[str, Any] = {"pi": np.pi, "e": np.e, "inf": np.inf, "sum": np.sum} | FUNCTIONS
NAMESPACE |= {
    name: getattr(np, name)
    for name in ("reshape", "broadcast_to", "cumsum", "mean", "angle", "real", "imag")
}

DERIVATIVE = re.compile(r"d\w+/d(?:\([\d,]+(?:st|nd|rd|th) \w+\)|\w+)")


def evaluate(text: str, symbols: Mapping[str, Any]) -> Any:
    """The value of an expression in NumPy's functions and the symbols; dz/dw1 is one symbol."""
    used: dict[str, Any] = {}

    def variable(match: re.Match[str]) -> str:
        name = f"symbol{len(used)}"
        used[name] = symbols[match[0]]
        return name

    code = DERIVATIVE.sub(variable, text)
    with np.errstate(all="ignore"):
        return eval(code, {"__builtins__": {}}, NAMESPACE | dict(symbols) | used)


def symbols_of(explanation: Explanation) -> dict[str, Any]:
    """Every w1, dz/dw1 and dw3/dw1 of an explanation, with its exact value: of scalars as Python
    numbers, among which (2 > 0) + (3 > 0) is 2."""
    z = explanation.result
    symbols: dict[str, Any] = {}
    for step in explanation.steps:
        symbols[step.label] = step.value if step.value.ndim else step.value.item()
        if (adjoint := step.adjoint) is not None:
            symbols[f"d{z}/d{step.label}"] = adjoint if adjoint.ndim else adjoint.item()
        for use in step.contributions:
            upstream = use.user.adjoint
            if upstream is not None and upstream.ndim == use.cotangent.ndim == 0:
                local = chain_rule(use, step, z).partition("*")[2]
                symbols[local] = (use.cotangent / upstream).item() if upstream else 1.0
    return symbols


def definitions(explanation: Explanation) -> list[tuple[Step, str]]:
    """The formula of each step that an op made."""
    return [
        (step, definition(step, explanation.result)[-2][0])
        for step in explanation.steps
        if step.op is not None
    ]


def derivations(explanation: Explanation) -> list[tuple[Step, list[str]]]:
    """All right-hand sides of each derivative, the last of them its value."""
    return [
        (step, [" ".join(signed(link)) for link in derivation(step, explanation.result)])
        for step in explanation.steps
        if step.adjoint is not None
    ]
