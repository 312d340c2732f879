"""What applies ops and their vjps while a function is traced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.autograd import array_of, needs_grad, recording
from minigrad.compiler.frontend import tracer
from minigrad.compiler.frontend.recorder import Recorder, tracing
from minigrad.compiler.graph.ir import Value
from minigrad.dispatch import implements, is_traced
from minigrad.errors import PLAIN, operand
from minigrad.functional.hook import hook_op
from minigrad.graph import INEXACT, Node
from minigrad.ops.base import Op
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.batched import Batched
from minigrad.transforms.calls import Result
from minigrad.transforms.results import as_result
from minigrad.watch import apply, input_cotangents

# Ops with index arrays, and which of their inputs is the first of these.
INDEXED = {"gather": 1, "scatter_add": 1, "updated": 2}


def traced_apply(op: Op, inputs: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
    """Op.__call__ while tracing: with a tracer among the inputs it records, and gives a tracer."""
    recorder = tracing.get()
    live = any_traced = odd = False
    for x in inputs:
        kind = type(x)
        if kind is tracer.Tracer or kind is tracer.TracerView:
            any_traced = True
        elif issubclass(kind, Tensor):
            live = True
            any_traced = any_traced or is_traced(x.node.value)
        elif kind not in PLAIN:
            odd = True
    if not any_traced or recorder is None:
        return apply(op, *inputs, **attributes)
    if recorder.known:
        attributes = {key: tracer.concrete(x) for key, x in attributes.items()}
    if op.name in INDEXED:
        first = INDEXED[op.name]
        inputs = (*inputs[:first], *map(tracer.concrete_mask, inputs[first:]))
    if odd:
        inputs = tuple([x if isinstance(x, Tensor) or is_traced(x) else operand(x) for x in inputs])
    nodes: list[Any] = []
    arrays: Any = inputs
    requires_grad = recorded = False
    if live:
        arrays = []
        for x in inputs:
            if isinstance(x, Tensor):
                x = x.node
                requires_grad = requires_grad or x.requires_grad
                recorded = recorded or requires_grad or x.op is not None
                arrays.append(x.value)
            else:
                arrays.append(x)
            nodes.append(x)
    if op is hook_op:
        result = arrays[0]  # the same array
    else:
        result = tracer.Tracer(recorder.record(op, arrays, attributes))
        result = as_result(result, op, arrays[0], attributes)
    if not live:
        return result
    if not (recorded and recording.get()):
        return Tensor.of(Node(result))
    requires_grad = requires_grad and result.value.dtype.kind in INEXACT and op.vjps != ()
    # Without the user's line: this graph is not shown.
    node = Node(result, requires_grad, op, nodes, attributes, None, arrays)
    if requires_grad and op is not hook_op and recorder.again is None:
        recorder.made[node] = result.value
    return Tensor.of(node)


def traced_input_cotangents(
    node: Node,
    cotangent: Any,
    view: Callable[[Node], Any] = array_of,
    wanted: Callable[[Node], bool] = needs_grad,
) -> list[tuple[Node, Any]]:
    """autograd.input_cotangents while tracing, which notes the leaves that are reached."""
    recorder = tracing.get()
    if recorder is None or recorder.again is not None:
        return input_cotangents(node, cotangent, view, wanted)
    value = node.inputs[1] if isinstance(node.op, Result) else value_in_graph(recorder, node)
    if type(value) is Value and value not in recorder.homes:
        recorder.passed[value] = None
    calls = recorder.calls
    before, calls.of = calls.of, calls.of_vjp(value) if type(value) is Value else None
    try:
        found = input_cotangents(node, cotangent, view, wanted)
    finally:
        calls.of = before
    recorder.reached.update(source for source, _ in found if source.op is None)
    return found


def value_in_graph(recorder: Recorder, node: Node) -> Value | None:
    """The value of a node; under vmap, that of the whole batch."""
    x: Any = node.value
    while type(x) is Batched:
        x = value_of(x.array)
    return recorder.made.get(node) or (x.value if type(x) is tracer.Tracer else None)


@implements("gradient read")
def note_read_gradient(t: Tensor) -> None:
    if (recorder := tracing.get()) is not None:
        recorder.asked.add(t.node)
        if recorder.writes and t.node.grad is None:
            recorder.writes[-1].unset.add(t.node)


@implements("gradient cleared")
def note_cleared_gradient(t: Tensor) -> None:
    grad = t.node.grad.data if isinstance(t.node.grad, Tensor) else t.node.grad
    recorder = tracing.get()
    if recorder is None or t.node in recorder.asked:
        return  # an optimiser leaves out what has no gradient, which must not be forgotten
    if grad is None or is_leaf(grad):
        recorder.cleared.add(t.node)


def is_leaf(x: Any) -> bool:
    return isinstance(x, tracer.Tracer) and x.value.op is None
