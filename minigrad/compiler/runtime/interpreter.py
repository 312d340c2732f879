"""Running a graph with NumPy, op by op: without a C compiler, and to evaluate known values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from minigrad.compiler.graph.ir import Graph, Value, bodies_of
from minigrad.compiler.graph.opset.control import BRANCH, ITEM, LOOP, OWN_CONTROL, Parts, forms_of
from minigrad.errors import ArgumentError, refusal_of
from minigrad.ops.base import Op


class NumpyProgram:
    """A graph that NumPy runs op by op, with the interface of `program.Program`.

    Values are freed after their last use. State is written after everything is computed.
    """

    def __init__(self, graph: Graph) -> None:
        self.program, self.outputs = numpy_program(graph), len(graph.outputs)
        self.arrays: dict[Value, Any] = {}

    def bind(self, value: Value, array: np.ndarray) -> None:
        """Set the array of a leaf."""
        self.arrays[value] = array

    def run(self) -> list[np.ndarray]:
        """Run on the arrays that are bound."""
        return self.program(self.arrays)

    def text(self, names: dict[str, Any]) -> tuple[list[str], list[str]]:
        """A run as lines of Python, in which this is `program`, and expressions for its outputs."""
        return ["outputs = program.run()"], [f"outputs[{k}]" for k in range(self.outputs)]


def numpy_program(graph: Graph) -> Callable[[dict[Value, Any]], list[np.ndarray]]:
    """A function from the arrays of the leaves to the outputs, which also writes state."""
    order = [value for value in graph.order if value.kind == "op"]
    control = {value: controlled(value) for value in order if value.op in OWN_CONTROL}
    constants = {value: value.array for value in graph.order if value.kind == "constant"}
    last = {x: value for value in order for x in value.values() if x.kind == "op"}
    roots = {*graph.roots()}
    dead: dict[Value, list[Value]] = {}
    for x, user in last.items():
        if x not in roots:
            dead.setdefault(user, []).append(x)

    def program(leaves: dict[Value, Any]) -> list[np.ndarray]:
        found: dict[Value, Any] = {**constants, **leaves}
        for value in order:
            assert value.op is not None
            arrays = [found[x] if type(x) is Value else x for x in value.inputs]
            if value in control:
                found[value] = control[value](arrays)
            else:
                found[value] = np.asarray(run(value.op, arrays, value.attributes))
            for x in dead.get(value, ()):
                del found[x]
        outputs = owned([found[x] for x in graph.outputs])
        new = owned([found[x] for _, x in graph.writes])
        for (target, _), array in zip(graph.writes, new, strict=True):
            found[target][...] = array
        return outputs

    return program


# Control flow: see graph/opset/control.py.

Program = Callable[[dict[Value, Any]], list[np.ndarray]]


def run_loop(loop: Value, bodies: list[Program], arrays: list[Any]) -> list[np.ndarray]:
    how, (body,) = loop.attributes, bodies
    parts, length = Parts(arrays, how), how["length"]
    ys = [np.zeros(shape, dtype) for shape, dtype in forms_of(loop)[len(parts.carries) : -1]]
    bound = length if parts.rounds is None else int(parts.rounds)
    carries, rounds = list(parts.carries), 0
    enough = length is None or bound <= length
    while enough and not (how["stops"] and not carries[-1]):
        if bound is not None and rounds >= bound:
            enough = not how["stops"]
            break
        row = bound - 1 - rounds if how["reverse"] else rounds
        given = [*parts.constants, *carries, *(x[row] for x in parts.xs)]
        outputs = body(dict(zip(how["body"].inputs, given, strict=True)))
        carries = outputs[: len(carries)]
        for y, new in zip(ys, outputs[len(carries) :], strict=True):
            y[row] = new
        rounds += 1
    if not enough:
        raise ArgumentError(f"a compiled function {NOT_ENOUGH_ROUNDS}")
    return [*carries, *ys, np.array(rounds, np.int64)]


def run_branch(branch: Value, bodies: list[Program], arrays: list[Any]) -> list[np.ndarray]:
    predicate, *operands = arrays
    k = 0 if predicate else 1
    leaves = branch.attributes["bodies"][k].inputs
    return bodies[k](dict(zip(leaves, operands, strict=True)))


def run_item(item: Value, bodies: list[Program], arrays: list[Any]) -> np.ndarray:
    found: np.ndarray = arrays[0][item.attributes["position"]]
    return found


CONTROL = {LOOP: run_loop, BRANCH: run_branch, ITEM: run_item}


def controlled(value: Value) -> Callable[[list[Any]], Any]:
    assert value.op is not None
    return partial(CONTROL[value.op], value, [numpy_program(x) for x in bodies_of(value)])


NOT_ENOUGH_ROUNDS = "has a loop that needs more rounds than its bound allows: raise the bound"


def run(op: Op, arrays: list[Any], attributes: dict[str, Any]) -> Any:
    """An op on arrays; its errors name it, as those of an op that is not compiled do."""
    try:
        with np.errstate(all="ignore"):
            return op.forward(*arrays, **attributes)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise refusal_of(op.name, arrays, attributes, error) from error


def owned(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Copies of outputs, which may alias state: writing the state next must not change them."""
    return [x.copy() if x.base is not None or not x.flags.owndata else np.array(x) for x in arrays]
