"""From a function and its arguments to a graph of all that it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.autograd import switched
from minigrad.compile.capture import Captured
from minigrad.compile.ir import Graph, Value
from minigrad.compile.passes import fix_constants
from minigrad.compile.tracer import Tracer, is_traced, traced, value_of
from minigrad.errors import UnsupportedError
from minigrad.random import draw
from minigrad.tensor import Tensor
from minigrad.transforms import leaves_of, like


@dataclass(eq=False)
class Source:
    """Where a leaf of the graph gets its array from at each call."""

    value: Value
    fetch: Callable[[], Any]


@dataclass(eq=False)
class Traced:
    """A graph, and how the world is tied to it.

    `drawn` are the random numbers that each call draws, in the order of the program: generators
    with shapes. `rates` are learning rates, read at each call. `grads` are Tensors whose gradients
    are state: the step adds to what it finds there. `fresh` are those whose gradients it makes.
    """

    graph: Graph
    arguments: list[Value]
    states: list[tuple[Any, Value]]
    rates: list[tuple[dict[str, Any], Value]]
    drawn: list[tuple[Any, Value]]
    grads: list[tuple[Tensor, Value]]
    fresh: list[Tensor]
    form: Any
    kinds: list[Any]
    changes_arguments: bool


def leaf(kind: str, array: Any) -> Value:
    return Value(None, (), {}, np.shape(array), np.asarray(array).dtype, kind)


def is_array(x: Any) -> bool:
    return isinstance(x, Tensor | np.ndarray)


def trace(function: Callable[..., Any], arguments: Any, found: Captured) -> Traced:
    """Run a function once on traced arrays, in place of its arguments' and its state's.

    Args:
        function: the step.
        arguments: (args, kwargs), whose arrays and Tensors become inputs.
        found: its state.

    Raises:
        TraceError: if it reads a value that is computed in it.
        UnsupportedError: if it writes where it cannot.
    """
    given = [x for _, x in leaves_of(arguments)]
    own = {id(x): x for x in given if isinstance(x, Tensor)}
    tensors = [t for key, t in found.tensors.items() if key not in own]
    inputs = [
        leaf("input", x.data if isinstance(x, Tensor) else x) if is_array(x) else None
        for x in given
    ]
    states = [(t, leaf("state", t.data)) for t in tensors]
    slots = [
        (state, name, leaf("state", array))
        for optimizer in found.optimizers.values()
        for state in optimizer.states
        for name, array in state.items()
    ]
    groups = [group for each in found.optimizers.values() for group in each.param_groups]
    rates = [(group, leaf("input", np.float64(0))) for group in groups if "lr" in group]
    leaves = [t for t in [*tensors, *own.values()] if t.node.op is None and t.requires_grad]
    grads = [(t, leaf("state", t.data)) for t in leaves]
    drawn: list[tuple[Any, Value]] = []
    with ExitStack() as stack:
        enter = stack.enter_context
        for t, value in states:
            enter(replaced(t, "value", Tracer(value)))
        for t, value in grads:
            enter(replaced(t, "grad", Tracer(value)))
        for state, name, value in slots:
            enter(replaced_item(state, name, Tracer(value)))
        for group, value in rates:
            enter(replaced_item(group, "lr", Tracer(value)))
        stand_ins = []
        for x, each in zip(given, inputs, strict=True):
            if each and isinstance(x, Tensor):
                enter(replaced(x, "value", Tracer(each)))
            stand_ins.append(Tracer(each) if each and not isinstance(x, Tensor) else x)
        args, kwargs = like(arguments, iter(stand_ins))
        enter(traced())
        enter(drawing(drawn))
        output = function(*args, **kwargs)
        results = [x for _, x in leaves_of(output)]
        outputs = [
            value_of(x.data if isinstance(x, Tensor) else x) if is_array(x) else None
            for x in results
        ]
        kinds = [type_of(x) for x in results]
        form = like(output, iter(range(len(results))))
        writes = [(value, value_of(t.data)) for t, value in states]
        writes += [(value, value_of(state[name])) for state, name, value in slots]
        for x, y, each in zip(given, stand_ins, inputs, strict=True):
            if each is not None:
                writes.append((each, value_of(x.data if isinstance(x, Tensor) else y)))
        ends = [(t, value, t.node.grad) for t, value in grads]
        for group, value in rates:
            if not is_traced(group["lr"]) or group["lr"].value is not value:
                raise UnsupportedError(
                    "a compiled function sets a learning rate: step a schedule outside of it, and "
                    "it reads the new rate at its next call"
                )
    written = [(target, value) for target, value in writes if value is not target]
    graph = Graph(
        [x for x in inputs if x is not None] + [v for _, v in rates] + [v for _, v in drawn],
        [v for _, v in states] + [v for _, _, v in slots] + [v for _, v in grads],
        [x for x in outputs if x is not None],
        written,
    )
    used = {*graph.order()}
    kept, fresh = [], []
    for t, value, end in ends:
        if end is None:
            fresh.append(t)
        else:
            end_value = value_of(end.data if isinstance(end, Tensor) else end)
            reached = {*Graph([], [], [end_value], []).order()}
            if value in reached or value in used:
                kept.append((t, value))
                if end_value is not value:
                    graph.writes.append((value, end_value))
            else:
                fresh.append(t)
    fix_constants(graph, found.arrays)
    return Traced(
        graph,
        [x for x in inputs if x is not None],
        [(t, v) for t, v in states] + [((s, n), v) for s, n, v in slots],
        rates,
        drawn,
        kept,
        fresh,
        form,
        kinds,
        any(target in inputs for target, _ in written),
    )


def type_of(x: Any) -> Any:
    """What an output is: a Tensor, an array, or what it is in every call."""
    return Tensor if isinstance(x, Tensor) else np.ndarray if is_array(x) else x


@contextmanager
def replaced(t: Tensor, name: str, tracer: Any) -> Iterator[None]:
    """Inside, the "value" or the "grad" of a Tensor is traced; afterwards it is as it was."""
    node, before = t.node, getattr(t.node, name)
    setattr(node, name, tracer)
    try:
        yield
    finally:
        t.node = node
        setattr(node, name, before)


@contextmanager
def replaced_item(holder: dict[str, Any], key: str, tracer: Any) -> Iterator[None]:
    value = holder[key]
    holder[key] = tracer
    try:
        yield
    finally:
        holder[key] = value


@contextmanager
def drawing(drawn: list[tuple[Any, Value]]) -> Iterator[None]:
    """Inside, what is drawn at random by layers is noted, to be drawn at each call."""

    def uniform(rng: Any, shape: tuple[int, ...]) -> Any:
        value = leaf("input", np.broadcast_to(np.float32(0), shape))
        drawn.append((rng, value))
        return Tracer(value)

    with switched(draw, uniform):
        yield
