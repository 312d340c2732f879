"""Running a graph on NumPy: where there is no C compiler, and for ops that have no lowering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.compile.ir import Graph, Value


class NumpyProgram:
    """A graph run op by op, on what is bound to its leaves.

    Values are forgotten after their last use. What is written is computed before anything is.
    """

    def __init__(self, graph: Graph) -> None:
        self.program, self.outputs = numpy_program(graph), len(graph.outputs)
        self.arrays: dict[Value, Any] = {}

    def bind(self, value: Value, array: np.ndarray) -> None:
        """The array that a leaf stands for from here on."""
        self.arrays[value] = array

    def run(self) -> list[np.ndarray]:
        """Run, on what is bound."""
        return self.program(self.arrays)

    def text(self, names: dict[str, Any]) -> tuple[list[str], list[str]]:
        """Running it, as lines of Python in which it is `program`, and names for its outputs."""
        return ["outputs = program.run()"], [f"outputs[{k}]" for k in range(self.outputs)]


def numpy_program(graph: Graph) -> Callable[[dict[Value, Any]], list[np.ndarray]]:
    """A function from the arrays of the leaves to the outputs, which also writes state."""
    order = [value for value in graph.order if value.kind == "op"]
    constants = {value: value.array for value in graph.order if value.kind == "constant"}
    last = {x: value for value in order for x in value.values() if x.kind == "op"}
    kept = {*graph.roots()}
    dead: dict[Value, list[Value]] = {}
    for x, user in last.items():
        if x not in kept:
            dead.setdefault(user, []).append(x)

    def program(leaves: dict[Value, Any]) -> list[np.ndarray]:
        found: dict[Value, Any] = {**constants, **leaves}
        with np.errstate(all="ignore"):
            for value in order:
                assert value.op is not None
                arrays = [found[x] if type(x) is Value else x for x in value.inputs]
                found[value] = np.asarray(value.op.forward(*arrays, **value.attributes))
                for x in dead.get(value, ()):
                    del found[x]
        outputs = owned([found[x] for x in graph.outputs])
        new = owned([found[x] for _, x in graph.writes])
        for (target, _), array in zip(graph.writes, new, strict=True):
            found[target][...] = array
        return outputs

    return program


def owned(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Arrays that share no memory with others: what is written next may not show in them."""
    return [x.copy() if x.base is not None or not x.flags.owndata else np.array(x) for x in arrays]
