"""Control flow: loops and branches, whose bodies are graphs of their own.

A call of such an op has several results, each of which is read by an `item` of it. A body reads
what it is given, and nothing else: its inputs are leaves of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.compiler.graph.ir import Graph, GraphError, Shape, Value, with_inputs
from minigrad.compiler.graph.opset.base import INDEX, Rules, entry, own_op
from minigrad.compiler.graph.opset.infer import infer
from minigrad.ops.base import Op

BOOL = np.dtype(bool)
Form = tuple[Shape, np.dtype[Any]]  # the shape and dtype of a result


def by_interpreter(*inputs: Any, **attributes: Any) -> Any:
    raise GraphError("control flow is run by runtime/interpreter.py")


# A loop, of which a round computes new carries, and rows of ys:
#
#     body(*constants, *carries, *rows of xs) -> (*carries, *rows of ys)
#
# Inputs: (*constants, *carries, *xs), and with `dynamic` the number of rounds, an int64.
# Attributes: "body"; "length", the most rounds, or None if only `stops` or `dynamic` says how many
# (then there are no xs and ys); "reverse", from the last row to the first; "constants" and
# "carries", how many; "stops": the last carry, a boolean, says before each round whether it is run,
# and that it still says so after `length` rounds is an error, as is a dynamic number above that.
# Results: (*carries, *ys, rounds): rows of ys that no round reached are 0; `rounds`, an int64, says
# how many were run.
LOOP = own_op("control.loop", by_interpreter)
# One of two bodies, by a boolean: inputs (predicate, *operands), attributes "bodies", of which the
# first is run where the predicate holds.
BRANCH = own_op("control.branch", by_interpreter)
# A result of a call: attributes "position", and its "shape" and "dtype".
ITEM = own_op("control.item", by_interpreter)
OWN_CONTROL = LOOP, BRANCH, ITEM


class Control(Rules):
    """Rules of a call: its value has no numbers, and only items read it."""

    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape:
        return ()


@entry("control.loop")
class Loop(Control):
    def dtype(self, op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> np.dtype[Any]:
        body, length = attributes["body"], attributes["length"]
        split = Parts(inputs, attributes)
        bounded = length is not None and length >= 0
        if not bounded and (length is not None or split.xs or len(split.ys) or not split.ends):
            raise GraphError(f"a loop of {length} rounds")
        if attributes["reverse"] and attributes["stops"]:
            raise GraphError("a loop that stops has no last row to begin with")
        if attributes["dynamic"] and form_of(split.rounds) != ((), INDEX):
            raise GraphError(f"the rounds of a loop are {split.rounds}")
        if any(x.shape[:1] != (length,) for x in split.xs):
            raise GraphError(f"{split.xs} have not {length} rows")
        rows = [(x.shape[1:], x.dtype) for x in split.xs]
        expected = [*map(form_of, split.constants), *map(form_of, split.carries), *rows]
        check_forms("inputs", body.inputs, expected)
        carried = body.outputs[: len(split.carries)]
        check_forms("new carries", carried, [form_of(x) for x in split.carries])
        if attributes["stops"] and form_of(split.carries[-1]) != ((), BOOL):
            raise GraphError(f"whether a loop goes on is {split.carries[-1]}")
        return BOOL


@entry("control.branch")
class Branch(Control):
    def dtype(self, op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> np.dtype[Any]:
        predicate, *operands = inputs
        if form_of(predicate) != ((), BOOL):
            raise GraphError(f"a branch by {predicate}")
        first, second = attributes["bodies"]
        for body in (first, second):
            check_forms("inputs", body.inputs, [form_of(x) for x in operands])
        check_forms("results of the second", second.outputs, [form_of(x) for x in first.outputs])
        return BOOL


@entry("control.item")
class Item(Rules):
    def shape(self, shapes: list[Shape], attributes: dict[str, Any]) -> Shape:
        found: Shape = attributes["shape"]
        return found

    def dtype(self, op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> np.dtype[Any]:
        form = forms_of(inputs[0])[attributes["position"]]
        if form != (attributes["shape"], attributes["dtype"]):
            raise GraphError(f"the result of a call is {form}, not {attributes}")
        return form[1]


class Parts:
    """The inputs of a loop, and rows of its ys, by what they are for."""

    def __init__(self, inputs: Sequence[Any], attributes: dict[str, Any]) -> None:
        k, c = attributes["constants"], attributes["carries"]
        self.constants = inputs[:k]
        self.carries = inputs[k : k + c]
        self.xs = inputs[k + c : -1 if attributes["dynamic"] else None]
        self.rounds: Any = inputs[-1] if attributes["dynamic"] else None
        self.ends = attributes["stops"] or attributes["dynamic"]
        self.ys = attributes["body"].outputs[c:]


def form_of(x: Any) -> Form:
    if type(x) is not Value:
        raise GraphError(f"control flow is given {x!r}, which is no value")
    return x.shape, x.dtype


def check_forms(what: str, values: Sequence[Value], expected: list[Form]) -> None:
    if [form_of(x) for x in values] != expected:
        raise GraphError(f"{what} of a body are {values}, not {expected}")


def forms_of(call: Value) -> list[Form]:
    """The shapes and dtypes of the results of a call."""
    if call.op is BRANCH:
        return [form_of(x) for x in call.attributes["bodies"][0].outputs]
    if call.op is not LOOP:
        raise GraphError(f"an item of {call}")
    parts, length = Parts(call.inputs, call.attributes), call.attributes["length"]
    ys = [((length, *y.shape), y.dtype) for y in parts.ys]
    return [*map(form_of, parts.carries), *ys, ((), INDEX)]


def operands_of(call: Value, inputs: Sequence[Any]) -> Sequence[Any]:
    """What a body is given of the inputs of a call: of xs, it is given rows."""
    return inputs[1:] if call.op is BRANCH else inputs[: len(call.attributes["body"].inputs)]


def called(op: Op, inputs: Sequence[Value], attributes: dict[str, Any]) -> Value:
    """A call of a loop or a branch, checked."""
    shape, dtype = infer(op, inputs, attributes)
    return Value(op, tuple(inputs), attributes, shape, dtype)


def item(call: Value, position: int) -> Value:
    """A result of a call."""
    shape, dtype = forms_of(call)[position]
    return Value(
        ITEM, (call,), {"position": position, "shape": shape, "dtype": dtype}, shape, dtype
    )


def items(call: Value) -> list[Value]:
    """All results of a call."""
    return [item(call, k) for k in range(len(forms_of(call)))]


def inlined(graph: Graph, inputs: Sequence[Value]) -> list[Value]:
    """The outputs of a body, of these inputs."""
    new = dict(zip(graph.inputs, inputs, strict=True))
    for value in graph.order:
        if value not in new:
            new[value] = with_inputs(value, new)
    return [new[x] for x in graph.outputs]


def with_condition(body: Graph, condition: Graph, constants: int) -> Graph:
    """The body of a loop that also computes, as its last carry, whether the next round is run.

    The condition is a graph of (*constants, *carries), with one boolean as its output; before the
    first round it is `inlined(condition, ...)`.
    """
    carries = len(condition.inputs) - constants
    new = body.outputs[:carries]
    (goes_on,) = inlined(condition, [*body.inputs[:constants], *new])
    flag = Value(None, (), {}, (), BOOL, "input")
    k = constants + carries
    inputs = [*body.inputs[:k], flag, *body.inputs[k:]]
    return Graph(inputs, [], [*new, goes_on, *body.outputs[carries:]], [])
