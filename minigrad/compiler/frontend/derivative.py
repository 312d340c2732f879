"""Derivatives of compiled functions, which are compiled functions in turn.

A call is one node of the graph (see `transforms.calls`), whose inputs are the Tensors that it can
be differentiated by. One compiled function, the pull-back, maps the cotangents of its outputs to
those of its inputs, and another, the push, the tangents of its inputs to those of its outputs. Both
are traced from a replay of what the trace recorded. When they are given Tensors they are recorded
in the same way, so derivatives of any order work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from minigrad.compiler.frontend.recorder import Recorder, tracing
from minigrad.compiler.frontend.replay import Replay, depending_on
from minigrad.compiler.graph.ir import Value
from minigrad.dispatch import implementations, is_traced
from minigrad.errors import TraceError, UnsupportedError
from minigrad.graph import Node, toposort
from minigrad.tensor import Tensor, value_of
from minigrad.transforms import jvp, vjp, vmap
from minigrad.transforms.batched import innermost, levels
from minigrad.transforms.calls import COMPILED, Call
from minigrad.transforms.trees import flat, map_tree
from minigrad.writes import Overwritten


@dataclass(eq=False)
class Derivative:
    """How the results of a traced function depend on Tensors from outside of it.

    `wanted`: the leaves in place of these Tensors; `outputs`: the nodes of those of the results
    that do. `tensors`: the captured Tensors, which are not arguments, by node, and one by value.
    `replay`: how the outputs were computed; `others`: the other leaves that this takes.
    """

    outputs: list[Node]
    wanted: dict[Node, Value]
    tensors: dict[Node | Value, Tensor]
    replay: Replay
    refusal: str
    functions: dict[tuple[str, tuple[int, ...]], OfBatches] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.call = Call(COMPILED, len(self.wanted), self.pull_back, self.push)
        leaves = [v for v in self.replay.plain if v.op is None and v.kind != "constant"]
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
        self.check((*wanted, *others))
        return self.run(self.pulled, sent, wanted, others)

    def push(
        self, sent: dict[int, Any], wanted: Sequence[Any], others: Sequence[Any]
    ) -> Sequence[Any]:
        """The tangent of each output, from the tangents of some Tensors; compiled.

        Raises:
            UnsupportedError, GradientError: as `pull_back`.
        """
        self.check((*wanted, *others))
        return self.run(self.pushed, sent, wanted, others)

    def check(self, inputs: Sequence[Any]) -> None:
        if self.refusal:
            raise UnsupportedError(
                f"a compiled function has no derivative, for {self.refusal}; or differentiate it "
                "without compiling it, or inside of what is compiled"
            )
        for x in inputs:
            if type(x) is Overwritten:
                x.refuse()

    def run(self, function: Any, sent: dict[int, Any], *inputs: Sequence[Any]) -> Any:
        """`pulled` or `pushed`, compiled for the positions of what it is sent."""
        positions = tuple(sorted(sent))
        key = function.__name__, positions
        if key not in self.functions:
            self.functions[key] = OfBatches(partial(function, positions))
        return self.functions[key]([as_given(sent[k]) for k in positions], *inputs)

    def pulled(
        self,
        positions: tuple[int, ...],
        cotangents: list[Any],
        wanted: list[Any],
        others: list[Any],
    ) -> Any:
        def outputs(*tensors: Tensor) -> list[Any]:
            found = self.outputs_from(tensors, others)
            return [found[k] for k in positions]

        return vjp(outputs, *wanted)[1](cotangents)

    def pushed(
        self,
        positions: tuple[int, ...],
        tangents: list[Any],
        wanted: list[Any],
        others: list[Any],
    ) -> Any:
        def outputs(*tensors: Any) -> list[Any]:
            every = [*map(as_tensor, wanted)]
            for k, x in zip(positions, tensors, strict=True):
                every[k] = x
            return self.outputs_from(every, others)

        return jvp(outputs, [wanted[k] for k in positions], tangents)[1]

    def outputs_from(self, tensors: Sequence[Tensor], others: list[Any]) -> list[Any]:
        arrays = zip(self.others, map(value_of, others), strict=True)
        return self.replay.run(dict(zip(self.wanted, tensors, strict=True)), dict(arrays))


class OfBatches:
    """A function of pytrees of arrays, compiled; under vmap, for the whole batch."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.compiled = function, implementations["compiled"](function)
        self.batched: dict[str, OfBatches] = {}

    def __call__(self, *args: Any) -> Any:
        if tracing.get() or not levels.get():
            return self.compiled(*args)
        level = innermost(flat(args))
        if level is None:  # the same for all entries
            with levels.get()[0].outside():
                return self.compiled(*args)
        axes = map_tree(lambda x: 0 if level.is_own(value_of(x)) else None, args)
        if (key := repr(axes)) not in self.batched:
            self.batched[key] = OfBatches(vmap(self.function, axes))
        whole = map_tree(lambda x: level.whole(x) if level.is_own(value_of(x)) else x, args)
        with level.outside():
            found = self.batched[key](*whole)
        return map_tree(level.entry, found)


def as_tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor.of(Node(x))


def as_given(cotangent: Any) -> Any:
    """A cotangent as a Tensor or an array: a number would be a constant of the trace."""
    is_given = isinstance(cotangent, Tensor) or is_traced(cotangent)
    return cotangent if is_given else np.asarray(cotangent)


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
    states = ((node, t, value) for node, (t, value) in stand_ins.items() if value.kind == "state")
    tensors = {key: t for node, t, value in states for key in (node, value)}
    own = depending_on(wanted, order)
    order = [node for node in order if node in own]
    outputs = [node for node in outputs if node in own]
    replay = Replay(wanted, order, outputs, recorder)
    refusal = replay.refusal
    if any(value in written and node not in recorder.reached for node, value in leaves.items()):
        refusal = "it writes into a Tensor that what it returns depends on"
    return Derivative(outputs, wanted, tensors, replay, refusal)
