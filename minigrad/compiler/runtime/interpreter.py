"""Running a graph with NumPy, op by op: without a C compiler, and to evaluate known values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from minigrad.compiler.graph.ir import Graph, Value, bodies_of
from minigrad.compiler.graph.opset.control import ITEM, OWN_CONTROL, forms_of
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

Body = Callable[[Sequence[Any]], list[np.ndarray]]  # from arrays to its outputs


def run_loop(how: dict[str, Any], bodies: list[Body], arrays: list[Any]) -> list[np.ndarray]:
    """The results of a loop. `how`: its attributes, and the "forms" of its results."""
    (body,), length, k, c = bodies, how["length"], how["constants"], how["carries"]
    ys = [np.zeros(shape, dtype) for shape, dtype in how["forms"][c:-1]]
    bound = int(arrays[-1]) if how["dynamic"] else length
    constants, carries = arrays[:k], arrays[k : k + c]
    xs = arrays[k + c : -1 if how["dynamic"] else None]
    rounds, enough = 0, length is None or bound is None or bound <= length
    while enough and not (how["stops"] and not carries[-1]):
        if bound is not None and rounds >= bound:
            enough = not how["stops"]
            break
        row = bound - 1 - rounds if how["reverse"] else rounds
        outputs = body([*constants, *carries, *(x[row] for x in xs)])
        carries = outputs[:c]
        for y, new in zip(ys, outputs[c:], strict=True):
            y[row] = new
        rounds += 1
    if not enough:
        raise ArgumentError(f"a compiled function {NOT_ENOUGH_ROUNDS}")
    return [*carries, *ys, np.array(rounds, np.int64)]


NOT_ENOUGH_ROUNDS = "has a loop that needs more rounds than its bound allows: raise the bound"


def run_branch(how: dict[str, Any], bodies: list[Body], arrays: list[Any]) -> list[np.ndarray]:
    predicate, *operands = arrays
    return bodies[0 if predicate else 1](operands)


def run_item(how: dict[str, Any], bodies: list[Body], arrays: list[Any]) -> np.ndarray:
    found: np.ndarray = arrays[0][how["position"]]
    return found


CONTROL: dict[str, Callable[[dict[str, Any], list[Body], list[Any]], Any]] = {
    "control.loop": run_loop,
    "control.branch": run_branch,
    "control.item": run_item,
}


def controlled(value: Value) -> Callable[[list[Any]], Any]:
    """A call of control flow, or a result of one, as a function of its inputs."""
    assert value.op is not None
    how = value.attributes if value.op is ITEM else {**value.attributes, "forms": forms_of(value)}
    return partial(CONTROL[value.op.name], how, [body_function(x) for x in bodies_of(value)])


def body_function(graph: Graph) -> Body:
    program = numpy_program(graph)
    return lambda arrays: program(dict(zip(graph.inputs, arrays, strict=True)))


def run(op: Op, arrays: list[Any], attributes: dict[str, Any]) -> Any:
    """An op on arrays; its errors name it, as those of an op that is not compiled do."""
    try:
        with np.errstate(all="ignore"):
            return op.forward(*arrays, **attributes)
    except op.refusals as error:
        raise refusal_of(op.name, arrays, attributes, error) from error


def owned(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Copies of outputs, which may alias state: writing the state next must not change them."""
    return [x.copy() if x.base is not None or not x.flags.owndata else np.array(x) for x in arrays]
