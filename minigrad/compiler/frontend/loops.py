"""Loops and branches of a traced function: each body is traced once, into a graph of its own.

Values and Tensors of outside that a body reads become inputs of that graph (closure conversion). A
loop is a call (see `transforms.calls`), whose pull-back is a loop over the same rows, in the other
direction: each round computes the values of the body again, from the carry that the round began
with, which the loop keeps, and goes back through them. Being a loop itself, it has derivatives of
any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigrad.compiler.frontend.recorder import (
    VARIES,
    Frame,
    Place,
    Recorder,
    Writes,
    difference,
    recorder_here,
)
from minigrad.compiler.frontend.replay import Replay, depending_on
from minigrad.compiler.frontend.tracer import Tracer
from minigrad.compiler.graph.ir import Graph, Value, is_literal, with_inputs
from minigrad.compiler.graph.opset.control import BRANCH, ITEM, LOOP, OWN_CONTROL, forms_of
from minigrad.dispatch import is_traced
from minigrad.errors import GradientError, TraceError, UnsupportedError
from minigrad.graph import INEXACT, Node, births, by_birth
from minigrad.ops.movement import copy
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.calls import are_forward, call_node
from minigrad.transforms.forward import zeros_like
from minigrad.transforms.loops import NUMBERS, Lowered, Repeated, in_use, settled
from minigrad.transforms.pushed_loops import pushed
from minigrad.transforms.recorded import Recorded
from minigrad.transforms.rerun import Rerun
from minigrad.transforms.reversed_loops import pulled_back

# From leaves to leaves: Tensors, tracers, arrays and numbers.
Function = Callable[[list[Any]], list[Any]]
# What a leaf is, the lesser first: an array, a Tensor, a Tensor that requires a gradient.
ARRAY, TENSOR, WATCHED = range(3)


def kind_of(x: Any) -> int:
    return ARRAY if not isinstance(x, Tensor) else WATCHED if x.requires_grad else TENSOR


@dataclass(frozen=True)
class Form:
    """What a body is given in one place."""

    kind: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    writeable: bool = True

    def stand_in(self, value: Value) -> Any:
        tracer = Tracer(value)
        tracer.writeable = self.writeable and bool(self.shape)
        if self.kind == ARRAY:
            return tracer
        return Tensor.of(Node(tracer, self.kind == WATCHED))  # type: ignore[arg-type]  # as an array


class Body:
    """A function that was traced, in a frame of its own.

    `graph`: from (*captured, *given, *drawn) to its results. `captured`: the values of outside that
    it reads; `nodes`: the nodes of Tensors of outside that a gradient can flow to, in the last run.
    `replay`: the function, from other Tensors and arrays. `kinds`: what its results are;
    `numbers`: which of them are Python's.
    """

    def __init__(
        self, recorder: Recorder, frame: Frame, function: Function, forms: Sequence[Form]
    ) -> None:
        self.frame, self.forms = frame, forms
        self.given = [Value(None, (), {}, x.shape, x.dtype, "input") for x in forms]
        recorder.homes.update(dict.fromkeys(self.given, frame))
        self.raw: list[Value] = []
        try:
            stand_ins, results, order = self.traced(recorder, function)
        except Exception:  # it may be caught: the second run is compared as far as this
            recorder.frames[-1].bodies.append(self)
            raise
        self.raw = [recorder.value_of(with_array(x)) for x in results]
        self.kinds = [*map(kind_of, results)]
        self.numbers = [k for k, x in enumerate(results) if type(x) in NUMBERS]
        leaves = {
            x.node: value
            for x, value in zip(stand_ins, self.given, strict=True)
            if kind_of(x) == WATCHED
        }
        leaves |= {node: recorder.value_of(node.value) for node in self.nodes}
        own = depending_on(leaves, order)
        outputs = [
            x.node if kind_of(x) == WATCHED and x.node in own else value
            for x, value in zip(results, self.raw, strict=True)
        ]
        replay = Replay(leaves, [node for node in order if node in own], outputs, recorder)
        self.convert([*self.raw, *replay.needed, *leaves.values()])
        self.replay = replay.within(self.new)

    def traced(
        self, recorder: Recorder, function: Function
    ) -> tuple[list[Any], list[Any], list[Node]]:
        """The stand-ins that the function was given, what it returned, and the nodes in between."""
        birth = next(births)
        with recorder.undone() as self.writes, recorder.inside(self.frame):
            pairs = zip(self.forms, self.given, strict=True)
            stand_ins = [form.stand_in(value) for form, value in pairs]
            # A copy of a Tensor, as what the carry is after a round can be written into.
            results = function([copy(x) if kind_of(x) == WATCHED else x for x in stand_ins])
            # Their nodes: views are brought up to date.
            roots = [x.node for x in results if kind_of(x) == WATCHED]
        order, self.nodes = split_by_birth(roots, birth)
        return stand_ins, results, order

    def verify(self, recorder: Recorder, function: Function) -> None:
        """Trace again, and compare."""
        _, results, _ = self.traced(recorder, function)
        if len(results) != len(self.raw):  # none, where the first run failed
            raise TraceError(VARIES)
        for x, before in zip(map(with_array, results), self.raw, strict=True):
            if differs := difference(x.value if is_traced(x) else x, before):
                raise TraceError(differs)

    def convert(self, roots: Sequence[Value]) -> None:
        """Make the graph, of values of its own."""
        own = {*self.frame.values, *self.given, *(v for _, v in self.frame.drawn)}
        leaves = [*self.given, *(v for _, v in self.frame.drawn)]
        self.new: dict[Value, Value] = {x: x for x in leaves}
        self.captured: list[Value] = []
        stack = [*roots][::-1]
        while stack:
            value = stack[-1]
            if value in self.new:
                stack.pop()
                continue
            if value not in own:
                if is_literal(value):
                    self.new[value] = value
                else:
                    self.captured.append(value)
                    self.new[value] = Value(None, (), {}, value.shape, value.dtype, "input")
                continue
            waiting = [x for x in value.values() if x not in self.new]
            stack += waiting[::-1]
            if not waiting:
                self.new[value] = with_inputs(value, self.new)
        inputs = [*(self.new[x] for x in self.captured), *leaves]
        self.graph = Graph(inputs, [], [self.new[x] for x in self.raw], [])

    def cast_numbers(self, recorder: Recorder, other: Body) -> None:
        """Give results that are Python's numbers the dtypes of those of another body."""
        outputs = self.graph.outputs
        for k in self.numbers:
            number, dtype = self.raw[k].array, other.graph.outputs[k].dtype
            assert number is not None
            if outputs[k].dtype != dtype:
                outputs[k] = recorder.leaf_of(number.astype(dtype))
                self.replay = self.replay.giving(k, outputs[k])
        self.graph = Graph(self.graph.inputs, [], outputs, [])

    def run(self, nodes: Sequence[Any], captured: Sequence[Any], given: Sequence[Any]) -> list[Any]:
        """Its results, from Tensors or arrays in the place of the nodes, of the captured values,
        and of what it is given and has drawn."""
        leaves = [*self.replay.leaves]
        watched = [k for k, form in enumerate(self.forms) if form.kind == WATCHED]
        at = dict(zip(leaves, [*(given[k] for k in watched), *nodes], strict=True))
        tensors = {
            node: x if isinstance(x, Tensor) else Tensor.of(Node(x)) for node, x in at.items()
        }
        arrays = map(value_of, [*captured, *given])
        return self.replay.run(tensors, dict(zip(self.graph.inputs, arrays, strict=True)))


def with_array(x: Any) -> Any:
    """The array of a leaf: a number would have no value."""
    x = value_of(x)
    return x if is_traced(x) else np.asarray(x)


def split_by_birth(roots: Sequence[Node], birth: int) -> tuple[list[Node], list[Node]]:
    """The nodes since a birth that these depend on, in order, and those before at which they
    begin."""
    found, before = set(), set()
    stack = [*roots]
    while stack:
        node = stack.pop()
        if node in found or node in before:
            continue
        if node.birth < birth:
            before.add(node)
            continue
        found.add(node)
        stack += [x for x in node.inputs if type(x) is Node and x.requires_grad]
    return sorted(found, key=by_birth), sorted(before, key=by_birth)


def body_of(
    recorder: Recorder,
    function: Function,
    forms: Callable[[Body | None], list[Form]],
    frame: Callable[[], Frame],
) -> Body:
    """The body of a function, traced until what it is given has the kinds of what it returns:
    `forms(body)` are those for the results of the last trace."""
    if recorder.again is not None:
        body = next(recorder.bodies_again, None)
        if body is None:
            raise TraceError(VARIES)
        body.verify(recorder, function)
        return body
    body, given = None, forms(None)
    while body is None or given != body.forms:
        body = Body(recorder, frame(), function, given)
        given = forms(body)
    recorder.frames[-1].bodies.append(body)
    return body


def call(op: Any, inputs: Sequence[Any], attributes: dict[str, Any]) -> list[Tracer]:
    """Record a loop or a branch; its results."""
    recorder = recorder_here()
    value = recorder.record(op, [*inputs], attributes)
    made = []
    for position, (shape, dtype) in enumerate(forms_of(value)):
        how = {"position": position, "shape": shape, "dtype": dtype}
        made.append(Tracer(recorder.record(ITEM, [Tracer(value)], how)))
        made[-1].writeable = bool(shape)
    return made


# Loops


def loop(
    function: Callable[[list[Any], list[Any]], tuple[list[Any], list[Any]]],
    state: Sequence[Any],
    rows: Sequence[Any],
    rounds: Repeated,
    number: Any = None,
) -> tuple[list[Any], list[Any]]:
    """The last state, and the stacked results, of `state, row = function(state, row)`.

    Args:
        state: leaves, whose shapes and dtypes the function keeps.
        rows: arrays and Tensors with a row for each round.
        rounds: how many.
        number: the number of rounds, if it is dynamic: a traced int64.
    """
    recorder = recorder_here()
    if recorder.again is None:
        body, places = body_and_places(recorder, function, state, rows, rounds)
    else:
        places = []
        if recorder.next_body_writes():
            with recorder.aside():
                _, places = body_and_places(recorder, function, state, rows, rounds)
        body = loop_body(recorder, function, state, rows, rounds, places)
    hidden = [in_place(place, rounds) for place in places]
    c = len(hidden) + len(state)
    made = Loop(body, c, rounds)
    drawn = drawn_rows(recorder, body.frame, rounds)
    nodes = [Tensor.of(node) for node in body.nodes]
    captured = [Tracer(value) for value in body.captured]
    first = [*nodes, *captured, *hidden, *state]
    results = made.run([*first, *rows, *drawn, *([number] if rounds.dynamic else [])])
    if rounds.length != 0:
        for place, x in zip(places, results, strict=False):
            put(recorder, place, x)
    return results[len(hidden) : c], results[c : len(body.raw)]


def loop_body(
    recorder: Recorder,
    function: Callable[[list[Any], list[Any]], tuple[list[Any], list[Any]]],
    state: Sequence[Any],
    rows: Sequence[Any],
    rounds: Repeated,
    places: Sequence[Place],
) -> Body:
    """The body of a loop, whose carry begins with what it writes into these places."""
    full = [*(in_place(place, rounds) for place in places), *state]
    n, c = len(places), len(full)

    def flat(given: list[Any]) -> list[Any]:
        for place, x in zip(places, given, strict=False):
            put(recorder, place, x)
        new, results = function(given[n:c], given[c:])
        return [*(in_place(place) for place in places), *settled([*new, *results])]

    def forms(body: Body | None) -> list[Form]:
        kinds = [*map(kind_of, full)] if body is None else body.kinds
        before = [ARRAY] * c if body is None else [x.kind for x in body.forms]
        carried = [
            Form(max(kind, old), np.shape(x), x.dtype)
            for kind, old, x in zip(kinds[:c], before, full, strict=False)
        ]
        return carried + [Form(kind_of(x), x.shape[1:], x.dtype, writeable=False) for x in rows]

    why_not = (
        "random numbers are drawn in a loop of a compiled function, of which it is not known "
        "beforehand how many rounds it runs: draw as many as there may be before it, and take "
        "those of the round from there"
    )
    unknown = rounds.stops or rounds.dynamic

    def frame() -> Frame:
        return Frame("the body of a loop", why_not if unknown else "")

    return body_of(recorder, flat, forms, frame)


# What a body writes outside is a part of the carry, which is hidden: each round begins with what
# the one before has left in these places.

TRIES = 4  # in which the places are to be found


def body_and_places(
    recorder: Recorder, function: Any, state: Any, rows: Any, rounds: Repeated
) -> tuple[Body, list[Place]]:
    """The body of a loop, and the places that it writes, found by tracing it as often as there are
    more of them than before."""
    places: list[Place] = []
    cleared: set[Node] = set()
    for _ in range(TRIES):
        body = loop_body(recorder, function, state, rows, rounds, places)
        if not places:
            cleared = {*recorder.cleared}
            check_gradients(body.writes, rounds)
        more = new_places(body.writes.places, places)
        if not more:
            # In a round, a gradient of the round before seems to be that of the beginning.
            recorder.cleared = cleared
            return body, places
        recorder.frames[-1].bodies.pop()
        places += more
    raise TraceError(VARYING)


def new_places(found: Sequence[Place], known: Sequence[Place]) -> list[Place]:
    """Those that are not among the known ones, each once."""
    ids = {(id(x), name) for x, name in known}
    return [*{(id(x), name): (x, name) for x, name in found if (id(x), name) not in ids}.values()]


VARYING = (
    "the body of a loop, or a branch, writes other arrays and Tensors of outside each time it is "
    "traced: return what it writes"
)


def check_gradients(writes: Writes, rounds: Repeated) -> None:
    """Refuse gradients that are there in some rounds only."""
    new = [x for x, name in writes.places if name == "grad" and x.grad is None]
    unknown = rounds.length is None or rounds.stops or rounds.dynamic
    for x in new:
        what = f"the gradient of a Tensor of shape {x.value.shape}, where there is none before it"
        if unknown:
            raise TraceError(
                f"the body of a loop, of which it is not known how many rounds it runs, sets {what}"
                ": call optimizer.zero_grad() at the end of the body, or use scan"
            )
        if x in writes.unset:
            raise TraceError(
                f"the body of a loop reads {what}, and so in the first round only: call backward() "
                "before that, or optimizer.zero_grad() at the end of the body"
            )


def in_place(place: Place, rounds: Repeated | None = None) -> Any:
    """What is in a place, as a leaf of the carry; where there is no gradient yet, zeros, to which
    backward() adds."""
    x, name = place
    if name == "value":
        return Tracer(x.value)
    if name == "node":
        return Tensor.of(x.node)
    if x.grad is not None:
        return x.grad
    if rounds is None:
        raise TraceError(
            f"the body of a loop sets a gradient, of shape {x.value.shape}, to None that was there "
            "before the loop: call optimizer.zero_grad() before the loop as well"
        )
    return zeros_like(x.value)


def put(recorder: Recorder, place: Place, new: Any) -> None:
    """Write a leaf of the carry into a place."""
    x, name = place
    if name == "value":
        x.store(new)
    elif name == "node":
        recorder.note_write(x, name, x.node.birth)
        x.node = new.node
    else:
        x.grad = new


def drawn_rows(recorder: Recorder, frame: Frame, rounds: Repeated) -> list[Tracer]:
    """What is drawn in a body, for all rounds at once: from each generator, the numbers of a round
    are followed by those of the next."""
    sizes: dict[int, int] = {}
    for rng, value in frame.drawn:
        sizes[id(rng)] = sizes.get(id(rng), 0) + value.size
    generators = {id(rng): rng for rng, _ in frame.drawn}
    n = rounds.length or 0
    all_rows: dict[int, Any] = {
        key: Tracer(recorder.draw(rng, (n, sizes[key]))) for key, rng in generators.items()
    }
    starts, found = dict.fromkeys(sizes, 0), []
    for rng, value in frame.drawn:
        start, end = starts[id(rng)], starts[id(rng)] + value.size
        starts[id(rng)] = end
        part = all_rows[id(rng)][:, start:end].reshape((n, *value.shape))
        found.append(part[::-1] if rounds.reverse else part)
    return found


@dataclass(eq=False)
class Loop:
    """A loop of a body; `carries`: how many of what it is given are the state."""

    body: Body
    carries: int
    rounds: Repeated

    @property
    def kept(self) -> list[int]:
        """The carries, of which each round keeps what it began with, so that it can be run again:
        all, if the loop is differentiated and it is known how many rounds there may be."""
        is_watched = self.body.nodes or any(x.kind == WATCHED for x in self.body.forms)
        return [*range(self.carries)] if is_watched and self.rounds.length is not None else []

    def parts(self, inputs: Sequence[Any]) -> tuple[list[Any], ...]:
        """The inputs of the call: Tensors of outside, captured arrays, carries, rows, and the
        number of rounds."""
        ends, found = [len(self.body.nodes), len(self.body.captured), self.carries], []
        rest = [*inputs]
        for n in ends:
            found.append(rest[:n])
            rest = rest[n:]
        m = len(rest) - self.rounds.dynamic
        return (*found, rest[:m], rest[m:])

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """The results of the body, then the residuals (the carry of each round), stacked."""
        body, kept = self.body, self.kept
        _, captured, state, rows, number = self.parts(inputs)
        graph = body.graph
        first = len(captured)
        if kept:
            outputs = [*graph.outputs, *(graph.inputs[first + k] for k in kept)]
            graph = Graph(graph.inputs, [], outputs, [])
        how = {
            "body": graph,
            "length": self.rounds.length,
            "reverse": self.rounds.reverse,
            "stops": self.rounds.stops,
            "dynamic": self.rounds.dynamic,
            "constants": first,
            "carries": self.carries,
        }
        arrays = [with_array(x) for x in (*captured, *state, *rows, *number)]
        *results, count = call(LOOP, arrays, how)
        n = len(body.raw)
        kinds = [*body.kinds, *(body.forms[k].kind for k in kept)]
        kinds[: self.carries] = [form.kind for form in body.forms[: self.carries]]
        watched = [k for k, kind in enumerate(kinds) if kind == WATCHED]
        if not watched:
            return [as_kind(x, kind) for x, kind in zip(results, kinds, strict=True)]
        keep = [*results[n:], count]
        # Backward is faster forward as well, for what takes long to compute is kept; but not of as
        # many rounds as there may be at the most.
        is_forward = self.rounds.length is None or are_forward(body.replay.order)
        push = self.push if is_forward or self.rounds.stops else None
        tensors = call_node("loop", inputs, results, self.pull_back, keep, push, is_forward)
        return [
            x if kind == WATCHED else as_kind(y, kind)
            for x, y, kind in zip(tensors, results, kinds, strict=True)
        ]

    def pull_back(
        self, sent: dict[int, Any], inputs: Sequence[Any], kept: Sequence[Any]
    ) -> list[Any]:
        """The cotangents of the inputs, by a loop in the other direction."""
        body, c, n = self.body, self.carries, len(self.body.raw)
        check_replay("a loop", body)
        nodes, captured, _, rows, number = self.parts(inputs)
        *saved, count = kept
        if any(isinstance(x, Tensor) for x in inputs):
            saved = self.run(inputs)[n:]  # with their derivatives; computed once
        watched = [k for k, form in enumerate(body.forms) if form.kind == WATCHED]

        def function(outside: Sequence[Any], given: list[Any]) -> list[Any]:
            return body.run(outside, captured, given)

        of_nodes, by_place = pulled_back(
            *(function, nodes, saved, rows, watched, n, sent, self.rounds),
            (number or [count])[0],
        )
        of_given = [by_place.get(k) for k in range(c + len(rows))]
        return [*of_nodes, *([None] * len(captured)), *of_given, *([None] * len(number))]

    def push(self, sent: dict[int, Any], inputs: Sequence[Any], kept: Sequence[Any]) -> list[Any]:
        """The tangents of the results, by a loop that carries them beside the state."""
        check_replay("a loop", self.body)
        body, c = self.body, self.carries
        nodes, captured, state, rows, number = self.parts(inputs)
        before = len(nodes) + len(captured)
        found, of_kept = pushed(
            lambda outside, given: body.run(outside, captured, given),
            *(nodes, state, rows),
            [k for k, form in enumerate(body.forms) if form.kind == WATCHED],
            [k for k, kind in enumerate(body.kinds) if kind == WATCHED and k >= c],
            [sent.get(k) for k in range(len(nodes))],
            {k - before: t for k, t in sent.items() if k >= before},
            *(self.rounds, number[0] if number else kept[-1]),
        )
        return [*map(found.get, range(len(body.raw))), *map(of_kept.get, self.kept)]


def check_replay(what: str, body: Body) -> None:
    if body.replay.refusal:
        raise GradientError(
            f"{what} of a compiled function has no derivative, for {body.replay.refusal}"
        )


def as_kind(x: Tracer, kind: int) -> Any:
    return x if kind == ARRAY else Tensor.of(Node(x))  # type: ignore[arg-type]  # as an array


# Branches


def branch(pred: Any, functions: Sequence[Callable[[], list[Any]]]) -> list[Any]:
    """The results of the first of two functions if `pred`, a traced boolean, holds, else of the
    second. Each gives the same shapes and dtypes, or Python numbers in the place of an array."""
    recorder, places = recorder_here(), list[Place]()
    if recorder.again is None or recorder.next_body_writes():
        with recorder.aside() if recorder.again is not None else nullcontext():
            bodies, places = branches_and_places(recorder, functions)
    if recorder.again is not None:
        bodies = branch_bodies(recorder, functions, places)
    made = Branch(bodies)
    inputs = [Tensor.of(node) for node in made.nodes] + [Tracer(x) for x in made.captured]
    results = made.run([*inputs, pred])
    for place, x in zip(places, results, strict=False):
        put(recorder, place, x)
    return results[len(places) :]


def branches_and_places(
    recorder: Recorder, functions: Sequence[Callable[[], list[Any]]]
) -> tuple[list[Body], list[Place]]:
    """The bodies, and the places that any of them writes, each of which is a result of both."""
    places: list[Place] = []
    for _ in range(TRIES):
        bodies = branch_bodies(recorder, functions, places)
        found = [place for body in bodies for place in body.writes.places]
        if any(name == "grad" for _, name in found):
            raise TraceError(
                "a branch of a compiled function sets a gradient, by backward() or zero_grad(), "
                "and is not always run: return the loss from it, and call backward() after it"
            )
        more = new_places(found, places)
        if not more:
            return bodies, places
        del recorder.frames[-1].bodies[-len(bodies) :]
        places += more
    raise TraceError(VARYING)


def branch_bodies(
    recorder: Recorder, functions: Sequence[Callable[[], list[Any]]], places: Sequence[Place]
) -> list[Body]:
    why_not = (
        "random numbers are drawn in a branch of a compiled function, which is not always run: "
        "draw them before it"
    )

    def frame() -> Frame:
        return Frame("a branch", why_not)

    def with_writes(function: Callable[[], list[Any]]) -> Function:
        def with_places(given: list[Any]) -> list[Any]:
            results = settled(function())
            return [*(in_place(place) for place in places), *results]

        return with_places

    bodies = [body_of(recorder, with_writes(each), lambda body: [], frame) for each in functions]
    for body, other in (bodies, bodies[::-1]):
        body.cast_numbers(recorder, other)
    return bodies


class Branch:
    """Two bodies, one of which is run: `nodes` and `captured` are what any of them reads."""

    def __init__(self, bodies: list[Body]) -> None:
        self.bodies = bodies
        self.nodes = list(dict.fromkeys(node for body in bodies for node in body.nodes))
        self.captured = list(dict.fromkeys(x for body in bodies for x in body.captured))
        # Which of them each body reads.
        self.bodies_read = [
            (
                body,
                [self.nodes.index(x) for x in body.nodes],
                [self.captured.index(x) for x in body.captured],
            )
            for body in bodies
        ]
        pairs = zip(*(body.kinds for body in bodies), strict=True)
        self.kinds = [max(pair) for pair in pairs]

    def graph(self, body: Body) -> Graph:
        """The graph of a body, from all that is captured."""
        unused = (Value(None, (), {}, x.shape, x.dtype, "input") for x in self.captured)
        inputs = [
            body.new[x] if x in body.captured else other
            for x, other in zip(self.captured, unused, strict=True)
        ]
        return Graph(inputs, [], body.graph.outputs, [])

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        *operands, pred = map(with_array, inputs[len(self.nodes) :])
        results = call(BRANCH, [pred, *operands], {"bodies": [*map(self.graph, self.bodies)]})
        if WATCHED not in self.kinds:
            return [as_kind(x, kind) for x, kind in zip(results, self.kinds, strict=True)]
        is_forward = any(are_forward(body.replay.order) for body in self.bodies)
        push = self.push if is_forward else None
        tensors = call_node("cond", inputs, results, self.pull_back, (), push, is_forward)
        return [
            x if kind == WATCHED else as_kind(y, kind)
            for x, y, kind in zip(tensors, results, self.kinds, strict=True)
        ]

    def pull_back(
        self, sent: dict[int, Any], inputs: Sequence[Any], kept: Sequence[Any]
    ) -> list[Any]:
        """The cotangents of the inputs, by a branch."""
        for body in self.bodies:
            check_replay("a branch", body)
        nodes, (*captured, pred) = inputs[: len(self.nodes)], inputs[len(self.nodes) :]

        def back(body: Body, of_nodes: list[int], of_values: list[int]) -> list[Any]:
            def outputs(*variables: Any) -> list[Any]:
                own = [variables[k] for k in of_nodes]
                found = body.run(own, [captured[k] for k in of_values], [])
                return [found[k] for k in sent]

            return Recorded(outputs, nodes).pull_back([*sent.values()])

        found = in_use().branch(pred, [partial(back, *each) for each in self.bodies_read])
        return found + [None] * (len(captured) + 1)

    def push(self, sent: dict[int, Any], inputs: Sequence[Any], kept: Sequence[Any]) -> list[Any]:
        """The tangents of the results, by a branch."""
        for body in self.bodies:
            check_replay("a branch", body)
        nodes, (*captured, pred) = inputs[: len(self.nodes)], inputs[len(self.nodes) :]
        watched = [k for k, kind in enumerate(self.kinds) if kind == WATCHED]

        def forth(body: Body, of_nodes: list[int], of_values: list[int]) -> list[Any]:
            run = Rerun(
                lambda *xs: body.run(xs, [captured[k] for k in of_values], []),
                [nodes[k] for k in of_nodes],
            )
            found = run.push([sent.get(k) for k in of_nodes])
            return [zeros_like(run.outputs[k]) if found[k] is None else found[k] for k in watched]

        found = in_use().branch(pred, [partial(forth, *each) for each in self.bodies_read])
        tangents = dict(zip(watched, found, strict=True))
        return [tangents.get(k) for k in range(len(self.kinds))]


# Functions that a solver is given


def closed(function: Function, given: Sequence[Any]) -> tuple[Function, list[Any]]:
    """Closure conversion, of a function of leaves like `given`: the same as a function of what it
    reads from outside, and then of these; and what it reads, Tensors and tracers. It can be called
    after the trace, and differentiated by all of them.

    Raises:
        TraceError, UnsupportedError: if it cannot be traced, or not without loops and branches.
    """
    recorder = recorder_here()

    def forms(body: Body | None) -> list[Form]:
        kinds = [WATCHED if x.dtype.kind in INEXACT else ARRAY for x in given]
        return [Form(kind, x.shape, x.dtype) for kind, x in zip(kinds, given, strict=True)]

    why_not = "random numbers are drawn in a function that is solved for: draw them before"
    body = body_of(recorder, function, forms, lambda: Frame("a function to solve", why_not))
    if body.writes.places:
        raise UnsupportedError(
            "a function to solve writes into an array or a Tensor of outside: return what it writes"
        )
    outside = [*map(Tensor.of, body.nodes), *map(Tracer, body.captured)]
    n, m = len(body.nodes), len(outside)
    has_loops = any(x.op in OWN_CONTROL for x in body.graph.order)
    if outside and (body.replay.refusal or has_loops):
        raise UnsupportedError(
            body.replay.refusal or "a function to solve has a loop or a branch of its own"
        )

    def run(leaves: list[Any]) -> list[Any]:
        return body.run(leaves[:n], leaves[n:m], leaves[m:])

    return run, outside


@contextmanager
def undone() -> Iterator[None]:
    with recorder_here().undone():
        yield


LOWERED = Lowered(loop, branch, closed, undone)
