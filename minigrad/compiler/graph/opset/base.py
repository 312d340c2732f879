"""What the compiler knows of an op: the rules that an entry of the opset overrides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.compiler.graph.ir import Shape
from minigrad.ops.base import Op

Attributes = dict[str, Any]


class Rules:
    """The rules of an op that has no lowering, as NumPy runs it, and no shape rule."""

    def check(self, inputs: Sequence[Any]) -> None:
        """Raise UnsupportedError if the shape of the result depends on numbers in the inputs."""

    def shape(self, shapes: list[Shape], attributes: Attributes) -> Shape | None:
        """The shape of the result; None where inputs do not fit, or a case is left to NumPy."""
        return None

    def dtype(self, op: Op, inputs: Sequence[Any], attributes: Attributes) -> np.dtype[Any]:
        """The dtype of the result, of which the shape rule gives the shape."""
        found: np.dtype[Any] = inputs[0].dtype
        return found


NO_RULES = Rules()
OPSET: dict[str, Rules] = {}
FAMILIES: dict[str, Rules] = {}  # of ops that have no entry of their own


def entry(*names: str) -> Callable[[type[Rules]], type[Rules]]:
    """Give the ops of these names the rules of a class."""

    def register(rules: type[Rules]) -> type[Rules]:
        OPSET.update(dict.fromkeys(names, rules()))
        return rules

    return register


def rules_of(op: Op | None) -> Rules:
    """The rules of an op; of None, for a leaf, no rules."""
    if op is None:
        return NO_RULES
    return OPSET.get(op.name) or FAMILIES.get(op.family, NO_RULES)
