"""Derivatives of compiled functions, which are compiled functions in turn.

A call is one node of the graph (see `transforms.calls`), whose inputs are the Tensors that it can
be differentiated by. One compiled function, the pull-back, maps the cotangents of its outputs to
those of its inputs. The pull-back is traced from a replay of the graph that the trace recorded:
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
from minigrad.errors import TraceError, UnsupportedError
from minigrad.graph import Node, toposort
from minigrad.ops.base import Op
from minigrad.tensor import Tensor, value_of
from minigrad.transforms import vjp
from minigrad.transforms.calls import Call, Result, replayed
from minigrad.writes import Overwritten


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

    def __post_init__(self) -> None:
        self.call = Call("a compiled function", len(self.wanted), self.pull_back)

    def trace_back(self, recorder: Recorder) -> None:
        """Find the values that each node was computed from."""
        stands, needed = dict(self.wanted), []
        for node in self.order:
            if node in self.wanted:
                continue
            stands[node], self.sources[node] = computed(node, stands, recorder)
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
        return self.call.node(inputs, [x.value if type(x) is Node else x for x in inputs])

    def pull_back(
        self, sent: dict[int, Any], wanted: Sequence[Any], others: Sequence[Any]
    ) -> tuple[Any, ...]:
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
        for x in (*wanted, *others):
            if type(x) is Overwritten:
                x.refuse()
        positions = tuple(sorted(sent))
        if positions not in self.functions:
            self.functions[positions] = self.compiled(positions)
        cotangents = [as_given(sent[k]) for k in positions]
        return self.functions[positions](cotangents, wanted, others)

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
            if node in self.wanted:
                continue
            inputs = [
                made[x] if as_key(x) in made else values.get(as_key(source), source)
                for x, source in zip(node.inputs, self.sources[node], strict=True)
            ]
            if isinstance(node.op, Op):
                made[node] = node.op(*inputs, **(node.attributes or {}))
            else:
                made[node] = replayed(node, inputs)
        return [made[node] for node in self.outputs]


def computed(node: Node, stands: dict[Node, Any], recorder: Recorder) -> tuple[Any, Any]:
    """The value that a node stands for, and what it was computed from."""
    if isinstance(node.op, Call):
        assert node.attributes is not None
        return node, node.attributes["values"]
    if isinstance(node.op, Result):
        return node.inputs[1], node.inputs
    value = recorder.made.get(node)
    if value is None:  # a hook returns its input
        return stands[node.inputs[0]], (stands[node.inputs[0]],)
    return value, value.inputs


def as_given(cotangent: Any) -> Any:
    """A cotangent as a Tensor or an array: a number would be a constant of the trace."""
    return cotangent if isinstance(cotangent, Tensor) else np.asarray(cotangent)


def as_key(x: Any) -> Any:
    """A node or value as a key of dictionaries; of anything else, which may have no hash, None."""
    return x if type(x) in (Node, Value) else None


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
