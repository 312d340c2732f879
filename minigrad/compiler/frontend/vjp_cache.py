"""A cache of vjps while tracing: what the vjps of a node recorded is repeated for the next node
with the same op, attributes, shapes and dtypes.

An unrolled loop has many such nodes. In the second run, which is compared with the first, all vjps
are run.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.autograd import array_of, needs_grad
from minigrad.compiler.frontend.recorder import Recorder, tracing
from minigrad.compiler.frontend.tracer import Tracer, as_traced_view
from minigrad.compiler.graph.ir import Shape, Value, how_of
from minigrad.errors import UnsupportedError
from minigrad.graph import Node
from minigrad.ops.base import Op
from minigrad.ops.views import is_view
from minigrad.watch import input_cotangents


@dataclass(slots=True)
class Result:
    """A tracer that a vjp returned: one that it was `given`, or one of the value at a place."""

    place: int
    given: bool = False
    writeable: bool = True
    view: tuple[Result, Callable[..., Any], dict[str, Any], bool] | None = None

    def made(self, given: list[Any], pool: list[Any]) -> Any:
        if self.given:
            return given[self.place]
        tracer = Tracer(pool[self.place])
        if self.view is not None:
            source, function, attributes, certain = self.view
            of = source.made(given, pool)
            tracer = as_traced_view(tracer, of, function, attributes, certain)
        tracer.writeable = self.writeable
        return tracer


@dataclass(slots=True)
class Recording:
    """What the vjps of a node recorded: ops with the places of their inputs, and the result for
    each input of the node. Places count what was given, then numbers and values that were `there`
    before, then the result of each op."""

    there: list[Any]
    steps: list[tuple[Op | None, list[int], dict[str, Any], Shape, np.dtype[Any]]]
    results: list[tuple[int, Result]]

    def repeat(self, given: list[Any], recorder: Recorder) -> list[tuple[int, Any]]:
        pool = [x.value if isinstance(x, Tracer) else x for x in given]
        pool += self.there
        for op, places, attributes, shape, dtype in self.steps:
            value = Value(op, tuple([pool[k] for k in places]), attributes, shape, dtype)
            pool.append(value)
            recorder.values.append(value)
        return [(k, result.made(given, pool)) for k, result in self.results]


def traced_input_cotangents(
    node: Node,
    cotangent: Any,
    view: Callable[[Node], Any] = array_of,
    wanted: Callable[[Node], bool] = needs_grad,
) -> list[tuple[Node, Any]]:
    """autograd.input_cotangents while tracing."""
    found = shares_found(node, cotangent, view, wanted)
    if (recorder := tracing.get()) is not None and recorder.again is None:
        recorder.reached.update(source for source, _ in found if source.op is None)
    return found


def shares_found(
    node: Node, cotangent: Any, view: Callable[[Node], Any], wanted: Callable[[Node], bool]
) -> list[tuple[Node, Any]]:
    recorder = tracing.get()
    if recorder is None or recorder.again is not None or view is not array_of:
        return input_cotangents(node, cotangent, view, wanted)
    given = [cotangent, node.value, *node.arrays]
    asked = [k for k, x in enumerate(node.inputs) if type(x) is Node and wanted(x)]
    key = key_of(node, given, asked)
    if recording := recorder.vjp_cache.get(key):
        return [(node.inputs[k], x) for k, x in recording.repeat(given, recorder)]
    before, start = values_of(given), len(recorder.values)
    found = input_cotangents(node, cotangent, view, wanted)
    if key is not None and before == values_of(given):
        results = dict(zip(without_none(node, asked), (x for _, x in found), strict=True))
        recorder.vjp_cache[key] = recording_of(given, recorder.values[start:], results)
    return found


def key_of(node: Node, given: list[Any], asked: list[int]) -> Hashable | None:
    """All that the vjps of a node can depend on, and which of them are run.

    None if that is not known: if an input is an array of numbers, or an attribute a function.
    """
    try:
        how = how_of(node.attributes or {})
    except UnsupportedError:
        return None
    key: list[Any] = [node.op, how, *asked]
    seen: dict[Value, tuple[Tracer, int]] = {}
    for x in given:
        if isinstance(x, Tracer):
            same, k = seen.setdefault(x.value, (x, len(seen)))
            if same is not x:
                return None
            key += [x.value.shape, x.value.dtype, k]
        elif type(x) in (float, int, bool):
            key.append(repr(x))  # tells 1 from 1.0, and 0.0 from -0.0
        else:
            return None
    return tuple(key)


def values_of(given: list[Any]) -> list[Value]:
    return [x.value for x in given if isinstance(x, Tracer)]


def without_none(node: Node, asked: list[int]) -> list[int]:
    assert node.op is not None
    return [k for k in asked if node.op.vjps[k] is not None]


def recording_of(given: list[Any], steps: list[Value], results: dict[int, Any]) -> Recording | None:
    """None if the vjps used values that are neither given to them nor constants."""
    places = {x.value: k for k, x in enumerate(given) if isinstance(x, Tracer)}
    own = {*places, *steps}
    there = [x for step in steps for x in step.inputs if type(x) is not Value or x not in own]
    if any(type(x) is Value and x.op is not None for x in there):
        return None
    fresh, end = itertools.count(len(given)), len(given) + len(there)
    places |= {step: end + k for k, step in enumerate(steps)}
    recorded = [
        (
            step.op,
            [places[x] if type(x) is Value and x in own else next(fresh) for x in step.inputs],
            *(step.attributes, step.shape, step.dtype),
        )
        for step in steps
    ]
    found = {k: result_of(x, given, places) for k, x in results.items()}
    known = [(k, x) for k, x in found.items() if x is not None]
    return Recording(there, recorded, known) if len(known) == len(found) else None


def result_of(x: Any, given: list[Any], places: dict[Value, int]) -> Result | None:
    if not isinstance(x, Tracer) or x.value not in places:
        return None
    for k, y in enumerate(given):
        if x is y:
            return Result(k, given=True)
    result = Result(places[x.value], writeable=x.writeable)
    if is_view(x):
        source = result_of(x.source, given, places)
        if source is None:
            return None
        result.view = source, x.function, x.attributes, x.certain
    return result
