"""Derivatives of compiled functions, which are compiled functions in turn.

A call is one node of the graph, whose inputs are the Tensors that it can be differentiated by; each
returned Tensor is a node after it. In the reverse pass the cotangents of all outputs meet at the
node of the call, and one compiled function, the pull-back, maps them to the cotangents of its
inputs. The pull-back is traced from a replay of the graph that the trace of the function recorded:
the function itself is not run again, no random numbers are drawn, nothing is written, and what was
detached stays detached. When the pull-back is given Tensors it is recorded in the same way, so
derivatives of any order work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.compiler.frontend.recorder import Recorder
from minigrad.compiler.graph.ir import Graph, Value
from minigrad.dispatch import implementations
from minigrad.errors import TraceError, UnsupportedError, instruction
from minigrad.graph import Node, toposort
from minigrad.ops.base import EachInput, Op
from minigrad.tensor import Tensor, value_of
from minigrad.transforms import vjp
from minigrad.writes import Overwritten


class Cotangents(np.ndarray):
    """The cotangents of the outputs of one call, by their positions.

    To the reverse pass it is a number, and adding two of them joins the dictionaries. `shares` are
    the cotangents of the inputs, computed once.
    """

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
    """The op of a call, or of an output of it, in the graph: it has a vjp, but no forward."""

    name: str
    vjps: Any
    family: str = "call"

    def unbroadcast(self, cotangent: Any, shape: tuple[int, ...]) -> Any:
        raise AssertionError("cotangents have the shapes of their inputs")


def share(k: int, g: Any, y: Any, *inputs: Any, derivative: Derivative) -> Any:
    if k >= len(derivative.wanted):  # what the outputs only order or compare by
        return np.zeros_like(inputs[k])
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
    """How the results of a traced function depend on Tensors from outside of it.

    `wanted`: the leaves in place of these Tensors. `order`: the recorded nodes from there to the
    `outputs`; `sources`: the values that each was computed from. `plain`: values among these that
    no recorded node computes; `others`: the leaves that they need. `tensors`: the captured Tensors,
    which are not arguments.
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
        """Find the values that each node was computed from."""
        stands, needed = dict(self.wanted), []
        for node in self.order:
            if node in self.wanted:
                continue
            value = recorder.made.get(node)
            # A hook returns its input.
            self.sources[node] = (stands[node.inputs[0]],) if value is None else value.inputs
            stands[node] = stands[node.inputs[0]] if value is None else value
            for x, source in zip(node.inputs, self.sources[node], strict=True):
                if as_key(x) not in stands:
                    needed += [source] if type(source) is Value else []
                elif stands[x] is not source:
                    self.refusal = "it writes into the data of a Tensor that it computed"
        self.plain = Graph([], [], needed, []).order
        leaves = [v for v in self.plain if v.op is None and v.kind != "constant"]
        self.others = [v for v in leaves if v not in self.wanted.values()]

    def record(self, wanted: list[Node], others: list[Any]) -> Node:
        """The node of a call, from the nodes to differentiate by, and other nodes and arrays."""
        inputs = [*wanted, *others]
        arrays = [x.value if type(x) is Node else x for x in inputs]
        how = {"derivative": self}
        return Node(Cotangents.of({}), True, CALL, inputs, how, instruction(), arrays)

    def pull_back(self, sent: dict[int, Any], inputs: Sequence[Any]) -> tuple[Any, ...]:
        """The cotangent of each Tensor, from the cotangents of some outputs; compiled.

        Raises:
            UnsupportedError: if the function has no derivative.
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
        def pulled(cotangents: list[Any], wanted: list[Any], others: list[Any]) -> Any:
            def outputs(*tensors: Tensor) -> list[Any]:
                found = self.replayed(tensors, others)
                return [found[k] for k in positions]

            return vjp(outputs, *wanted)[1](cotangents)

        return implementations["compiled"](pulled)

    def replayed(self, tensors: Sequence[Tensor], others: Sequence[Any]) -> list[Any]:
        """The outputs, computed and recorded again from other leaves."""
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
                    made[x] if as_key(x) in made else values.get(source, source)
                    for x, source in zip(node.inputs, self.sources[node], strict=True)
                ]
                made[node] = node.op(*inputs, **(node.attributes or {}))
        return [made[node] for node in self.outputs]


def as_given(cotangent: Any) -> Any:
    """A cotangent as a Tensor or an array: a number would be a constant of the trace."""
    return cotangent if isinstance(cotangent, Tensor) else np.asarray(cotangent)


def as_key(x: Any) -> Any:
    return x if type(x) is Node else None


def derivative_of(
    outputs: list[Node],
    stand_ins: dict[Node, tuple[Tensor, Value]],
    written: set[Value],
    recorder: Recorder,
) -> Derivative | None:
    """How outputs depend on the leaves that stood for Tensors in a trace.

    None if there is nothing to differentiate by: no argument that requires a gradient, and only
    captured Tensors that the function writes or differentiates by itself, as a training step does.

    Raises:
        TraceError: if an output depends on a Tensor that no leaf stands for.
    """
    order = toposort(outputs)
    if any(node.birth < recorder.birth for node in order):
        raise TraceError(
            "a compiled function computes with a Tensor that requires a gradient, from a place "
            "where minigrad does not look for Tensors: pass it as an argument"
        )
    leaves = {node: stand_ins[node][1] for node in order if node in stand_ins}
    wanted = {node: value for node, value in leaves.items() if value not in written}
    if all(value.kind == "state" and node in recorder.reached for node, value in wanted.items()):
        return None
    tensors = {value: t for t, value in stand_ins.values() if value.kind == "state"}
    found = Derivative(*depending_on(wanted, order, outputs), wanted, tensors)
    if any(value in written and node not in recorder.reached for node, value in leaves.items()):
        found.refusal = "it writes into a Tensor that what it returns depends on"
    else:
        found.trace_back(recorder)
    return found


def depending_on(
    wanted: dict[Node, Value], order: list[Node], outputs: list[Node]
) -> tuple[list[Node], list[Node]]:
    """Those of the nodes, and of the outputs, that are computed from the wanted leaves."""
    own = {*wanted}
    for node in order:
        if any(as_key(x) in own for x in node.inputs):
            own.add(node)
    return [node for node in order if node in own], [node for node in outputs if node in own]
