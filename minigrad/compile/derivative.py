"""Derivatives of compiled functions, which are compiled functions in turn.

What a call returned is the output of one node, that of the call, whose inputs are the Tensors it
can be differentiated by. On the way back the cotangents of all outputs meet at that node, and one
compiled function gives the share of every input from them. It is traced from the graph of Tensors
that the trace of the function recorded, replayed: the function itself is not run for it, nothing is
drawn at random or written again, and what was detached in it stays so. Where the rule is given
Tensors, that function is called with Tensors, and so is recorded in the same way: to any order.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.compile.ir import Graph, Value
from minigrad.compile.tracer import Recorder
from minigrad.errors import OWN_FILES, UnsupportedError
from minigrad.graph import Node, toposort
from minigrad.ops.base import EachInput, Op
from minigrad.tensor import Tensor, value_of
from minigrad.transforms import vjp
from minigrad.writes import Overwritten


class Cotangents(np.ndarray):
    """What came back to the outputs of one call, by their positions. To the reverse pass it is a
    number, of which those of several outputs are added; `shares` is what each input gets of it."""

    sent: dict[int, Any]
    shares: tuple[Any, ...] | None

    @staticmethod
    def of(sent: dict[int, Any]) -> Cotangents:
        made = np.zeros(()).view(Cotangents)
        made.sent, made.shares = sent, None
        return made

    def __add__(self, other: Any) -> Any:
        return Cotangents.of(self.sent | other.sent)


@dataclass(frozen=True)
class Step:
    """What a call is in the graph: how it goes back, and nothing that could be run again."""

    name: str
    vjps: Any
    family: str = "call"

    def fit(self, cotangent: Any, shape: tuple[int, ...]) -> Any:
        raise AssertionError("shares have the shapes of their inputs")


def share(k: int, g: Any, y: Any, *inputs: Any, derivative: Derivative) -> Any:
    if g.shares is None:
        g.shares = derivative.pull_back(g.sent, inputs)
    return g.shares[k]


CALL = Step("call of a compiled function", EachInput(share))
OUTPUT = Step("compiled function", (lambda g, y, call, position: Cotangents.of({position: g}),))


def returned(value: np.ndarray, call: Node, position: int) -> Node:
    """The node of what a call returned."""
    attributes = {"position": position}
    return Node(value, True, OUTPUT, (call,), attributes, call.origin, (call.value,))


@dataclass(eq=False)
class Derivative:
    """How what a traced function returns depends on Tensors from outside of it.

    `order` are the nodes between these, `wanted`, and its `outputs`, as they were recorded in the
    trace; `sources` has the values that each was computed from. What of these is computed without
    being recorded is `plain`, and `others` are the leaves that are read for it. `tensors` are
    those that the function has from elsewhere than its arguments.
    """

    order: list[Node]
    outputs: list[Node]
    wanted: dict[Node, Value]
    tensors: dict[Value, Tensor]
    others: list[Value] = field(default_factory=list)
    plain: list[Value] = field(default_factory=list)
    sources: dict[Node, tuple[Any, ...]] = field(default_factory=dict)
    functions: dict[tuple[int, ...], Any] = field(default_factory=dict)
    refusal: str = ""

    def trace_back(self, recorder: Recorder) -> None:
        """Note what each node was computed from."""
        stands = dict(self.wanted)
        for node in self.order:
            if node in self.wanted:
                continue
            value = recorder.made.get(node)
            # A hook gives what it is given.
            self.sources[node] = (stands[node.inputs[0]],) if value is None else value.inputs
            stands[node] = stands[node.inputs[0]] if value is None else value
            for x, source in zip(node.inputs, self.sources[node], strict=True):
                if stands.get(as_key(x), source) is not source:
                    self.refusal = "it writes into the data of a Tensor that it computed"
        needed = dict.fromkeys(
            source
            for node, sources in self.sources.items()
            for x, source in zip(node.inputs, sources, strict=True)
            if type(source) is Value and as_key(x) not in stands
        )
        self.plain = Graph([], [], [*needed], []).order
        known = {*self.wanted.values()}
        self.others = [
            v for v in self.plain if v.op is None and v.kind != "constant" and v not in known
        ]

    def record(self, wanted: list[Node], others: list[Any]) -> Node:
        """The node of a call, by these Tensors' nodes; of all else, these nodes and arrays."""
        inputs = [*wanted, *others]
        arrays = [x.value if type(x) is Node else x for x in inputs]
        frame = sys._getframe(1)
        while frame.f_code.co_filename in OWN_FILES and frame.f_back:
            frame = frame.f_back
        origin = frame.f_code, frame.f_lasti
        how = {"derivative": self}
        return Node(Cotangents.of({}), True, CALL, inputs, how, origin, arrays)

    def pull_back(self, sent: dict[int, Any], inputs: Sequence[Any]) -> tuple[Any, ...]:
        """The share of each Tensor, from the cotangents of some outputs: compiled.

        Raises:
            UnsupportedError: if that cannot be told.
            GradientError: if an input was written into since the call.
        """
        if self.refusal:
            raise UnsupportedError(
                f"a compiled function has no derivative, for {self.refusal}; or differentiate it "
                "without compiling it, or inside of what is compiled"
            )
        for x in inputs:
            if type(x) is Overwritten:
                x.refuse()
        positions = tuple(sorted(sent))
        if positions not in self.functions:
            self.functions[positions] = self.compiled(positions)
        end = len(self.wanted)
        cotangents = [as_given(sent[k]) for k in positions]
        return self.functions[positions](cotangents, inputs[:end], inputs[end:])

    def compiled(self, positions: tuple[int, ...]) -> Any:
        from minigrad.compile.compiled import compile

        def pulled(cotangents: list[Any], wanted: list[Any], others: list[Any]) -> Any:
            def outputs(*tensors: Tensor) -> list[Any]:
                found = self.replayed(tensors, others)
                return [found[k] for k in positions]

            return vjp(outputs, *wanted)[1](cotangents)

        return compile(pulled)

    def replayed(self, tensors: Sequence[Tensor], others: Sequence[Any]) -> list[Any]:
        """The outputs, recorded anew from other leaves."""
        values = dict(zip(self.others, map(value_of, others), strict=True))
        values |= {v: t.data for v, t in zip(self.wanted.values(), tensors, strict=True)}
        for value in self.plain:
            if value.kind == "constant":
                values[value] = value.array
            elif value.op is not None:
                inputs = [values[x] if type(x) is Value else x for x in value.inputs]
                values[value] = value.op(*inputs, **value.attributes)
        made: dict[Node, Any] = dict(zip(self.wanted, tensors, strict=True))
        for node in self.order:
            if isinstance(node.op, Op):
                inputs = [
                    made[x]
                    if as_key(x) in made
                    else (values[source] if type(source) is Value else source)
                    for x, source in zip(node.inputs, self.sources[node], strict=True)
                ]
                made[node] = node.op(*inputs, **(node.attributes or {}))
        return [made[node] for node in self.outputs]


def as_given(cotangent: Any) -> Any:
    """Not a number of NumPy's, which would be part of what is compiled."""
    return cotangent if isinstance(cotangent, Tensor) else np.asarray(cotangent)


def as_key(x: Any) -> Any:
    return x if type(x) is Node else None


def derivative_of(
    outputs: list[Node],
    stand_ins: dict[Node, tuple[Tensor, Value]],
    written: set[Value],
    recorder: Recorder,
) -> Derivative | None:
    """How outputs depend on what stood for Tensors that require a gradient in a trace.

    None where there is nothing to differentiate by: no argument, and of Tensors from elsewhere only
    those that the function writes, or goes back to itself, as a training step does.
    """
    order = toposort(outputs)
    leaves = {node: stand_ins[node][1] for node in order if node in stand_ins}
    wanted = {node: value for node, value in leaves.items() if value not in written}
    if all(value.kind == "state" and node in recorder.reached for node, value in wanted.items()):
        return None
    tensors = {value: t for t, value in stand_ins.values() if value.kind == "state"}
    found = Derivative(*depending_on(wanted, order, outputs), wanted, tensors)
    if any(value in written and node not in recorder.reached for node, value in leaves.items()):
        found.refusal = "it writes into a Tensor that what it returns depends on"
    elif any(node.birth < recorder.birth for node in order):
        found.refusal = (
            "it computes with a Tensor that requires a gradient, and was found where it was not "
            "looked for: pass it as an argument"
        )
    else:
        found.trace_back(recorder)
    return found


def depending_on(
    wanted: dict[Node, Value], order: list[Node], outputs: list[Node]
) -> tuple[list[Node], list[Node]]:
    """Of all nodes, and of outputs, those that are computed from what is wanted."""
    own = {*wanted}
    for node in order:
        if any(as_key(x) in own for x in node.inputs):
            own.add(node)
    return [node for node in order if node in own], [node for node in outputs if node in own]
