"""Replays: what was computed in a trace, computed and recorded again from other leaves.

The function itself is not run again, no random numbers are drawn, nothing is written, and what was
detached stays detached: nodes are made again from nodes, and only values that no node stands for
from the graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from minigrad.compiler.frontend.recorder import Recorder, recorder_here
from minigrad.compiler.frontend.tracer import Tracer
from minigrad.compiler.graph.ir import Graph, Value
from minigrad.compiler.graph.opset.control import OWN_CONTROL
from minigrad.errors import UnsupportedError
from minigrad.functional.hook import hook_op
from minigrad.graph import Node
from minigrad.ops.base import Op
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.batched import is_batched
from minigrad.transforms.calls import Call, Result, replayed


class Replay:
    """Outputs of a trace, and how they were computed.

    `leaves`: the nodes that others will stand for, with their values; `order`: the recorded nodes
    that depend on these. `outputs`: such nodes, and values that no node stands for. `sources`: the
    values that each node was computed from. `plain`: the values among these that no node computes,
    each after those that it needs. `refusal`: why there can be no replay, or empty.
    """

    def __init__(
        self,
        leaves: dict[Node, Value],
        order: Sequence[Node],
        outputs: Sequence[Node | Value],
        recorder: Recorder,
    ) -> None:
        self.leaves, self.outputs, self.refusal = leaves, outputs, ""
        self.order = [node for node in order if node not in leaves]
        self.sources: dict[Node, tuple[Any, ...]] = {}
        self.needed = [x for x in outputs if type(x) is Value]
        stands: dict[Node, Any] = {**leaves}
        for node in self.order:
            stands[node], self.sources[node] = computed(node, stands, recorder)
            for x, source in zip(node.inputs, self.sources[node], strict=True):
                if as_key(x) not in stands:
                    self.needed += [source] if type(source) is Value else []
                elif stands[x] is not recorder.value_of(source):  # of a call, an array
                    self.refusal = "it writes into the data of a Tensor that it computed"
        self.plain = Graph([], [], self.needed, []).order

    def within(self, new: Mapping[Value, Value]) -> Replay:
        """The same, of values of another graph in the place of these."""
        made = object.__new__(Replay)
        made.leaves = {node: new[value] for node, value in self.leaves.items()}
        made.order, made.refusal = self.order, self.refusal
        made.outputs = [new[x] if type(x) is Value else x for x in self.outputs]
        made.sources = {
            node: tuple(new.get(as_key(x), x) for x in sources)
            for node, sources in self.sources.items()
        }
        made.needed = [new[x] for x in self.needed]
        made.plain = Graph([], [], made.needed, []).order
        return made

    def giving(self, k: int, value: Value) -> Replay:
        """The same, with another value as output k, which was a value."""
        made = copy(self)
        made.outputs = [*self.outputs]
        made.outputs[k] = value
        made.needed = [*self.needed, value]
        made.plain = Graph([], [], made.needed, []).order
        return made

    def run(self, tensors: Mapping[Node, Tensor], arrays: Mapping[Value, Any]) -> list[Any]:
        """The outputs from other leaves: Tensors for the nodes, arrays for all other values that
        are leaves."""
        values = {**arrays, **{self.leaves[node]: t.data for node, t in tensors.items()}}
        for value in self.plain:
            if value.kind == "constant":
                values[value] = value.array
            elif value.op is not None:
                inputs = [values[x] if type(x) is Value else x for x in value.inputs]
                values[value] = applied(value.op, inputs, value.attributes)
        made: dict[Any, Any] = {**tensors}
        for node in self.order:
            inputs = [
                made[x] if as_key(x) in made else values.get(as_key(source), source)
                for x, source in zip(node.inputs, self.sources[node], strict=True)
            ]
            if isinstance(node.op, Op):
                made[node] = node.op(*inputs, **(node.attributes or {}))
            else:
                made[node] = replayed(node, inputs)
        return [values[x] if type(x) is Value else made[x] for x in self.outputs]


def applied(op: Op, inputs: list[Any], attributes: dict[str, Any]) -> Any:
    if op not in OWN_CONTROL:
        return op(*inputs, **attributes)
    if any(map(is_batched, inputs)):
        raise UnsupportedError(
            "a loop or branch of a compiled function is given a batch: differentiate it for one "
            "entry at a time"
        )
    # Which have no forward.
    return Tracer(recorder_here().record(op, [value_of(x) for x in inputs], attributes))


def computed(node: Node, stands: dict[Node, Any], recorder: Recorder) -> tuple[Any, Any]:
    """The value that a node stands for, and what it was computed from."""
    if isinstance(node.op, Call):
        assert node.attributes is not None
        return node, node.attributes["values"]
    if isinstance(node.op, Result):
        return node.inputs[1], node.inputs
    if node.op is hook_op:  # which returns its input
        return stands[node.inputs[0]], (stands[node.inputs[0]],)
    value = recorder.made.get(node)
    if value is None:  # computed from numbers, while tracing
        return recorder.value_of(node.value), tuple(map(recorder.value_of, node.arrays))
    return value, value.inputs


def as_key(x: Any) -> Any:
    """A node or value as a key of dictionaries; of anything else, which may have no hash, None."""
    return x if type(x) in (Node, Value) else None


def depending_on(leaves: Mapping[Node, Any], order: Sequence[Node]) -> set[Node]:
    """Those of the nodes that are computed from the leaves, and these."""
    own = {*leaves}
    for node in order:
        if any(as_key(x) in own for x in node.inputs):
            own.add(node)
    return own
