"""From a function and its arguments to a graph of all that it computes."""

from __future__ import annotations

import builtins
import io
import operator
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from minigrad.autograd import switched
from minigrad.compiler.frontend.apply import traced_apply, traced_input_cotangents
from minigrad.compiler.frontend.capture import GONE, Captured, Place
from minigrad.compiler.frontend.derivative import Derivative, derivative_of
from minigrad.compiler.frontend.loops import LOWERED
from minigrad.compiler.frontend.recorder import Recorder, in_progress, is_native, leaf, tracing
from minigrad.compiler.frontend.tracer import ARRAY_MAKERS, Tracer, array_maker, is_number
from minigrad.compiler.frontend.unrolled import Calls, Unrolled, unrolled_loops
from minigrad.compiler.graph.ir import Graph, Value, nearest
from minigrad.errors import TraceError, UnsupportedError
from minigrad.graph import Node
from minigrad.inside import traced_form
from minigrad.random import draw, generator, seeds_checked
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.loops import lowered
from minigrad.transforms.trees import leaves_of, like
from minigrad.watch import replacing
from minigrad.writes import USED_UP


@dataclass(eq=False)
class Traced:
    """A graph, and what its inputs, states and outputs are in the program.

    - `arguments`: the graph's inputs for the arrays and Tensors in the arguments.
    - `states`: arrays outside of the function that the graph reads, and may write.
    - `rates`: learning rates, read at each call.
    - `drawn`: random numbers, with their generators, in the order in which each call draws them.
    - `grads`: Tensors whose gradients are state: the step accumulates into them, or reads them.
    - `added`: those of them whose gradients it does nothing with but add to them.
    - `fresh`: Tensors whose gradients the step clears, with what they are after it: None, or
      USED_UP where new gradients are consumed by the step's own update, and not kept.
    - `form`: how the returned parts are nested; `kinds`: what each part is, see `kind_of`.
    - `derivative`: how the returned parts depend on Tensors; `recorded`: which of them do.
    - `read`: numbers of captured arrays that the function read; `contents`: those of captured
      arrays that NumPy may have read. Both are guarded.
    - `discarded`: Tensors whose gradients the step clears before anything else.
    - `calls`: in which calls of the user's functions each value was recorded.
    """

    graph: Graph
    arguments: list[Value]
    states: list[tuple[Any, Value]]
    rates: list[tuple[dict[str, Any], str, Value]]
    drawn: list[tuple[Any, Value]]
    grads: list[tuple[Tensor, Value]]
    added: set[Tensor]
    fresh: list[tuple[Tensor, Any]]
    form: Any
    kinds: list[Any]
    derivative: Derivative | None
    recorded: list[bool]
    read: dict[Value, np.ndarray]
    contents: list[tuple[np.ndarray, bytes]]
    discarded: set[Tensor]
    calls: Calls

    @cached_property
    def unrolled(self) -> list[Unrolled]:
        """The loops of Python's that do the same in each round."""
        return unrolled_loops(self.calls)


def is_array(x: Any) -> bool:
    return isinstance(x, Tensor | np.ndarray | Tracer)


def kind_of(x: Any) -> Any:
    """What a returned part is: Tensor, np.ndarray, np.generic for a number, or else x itself."""
    if isinstance(x, Tensor):
        return Tensor
    if isinstance(x, Tracer) and is_number(x):
        return np.generic
    return np.ndarray if is_array(x) else x


# The leaves in place of the nodes of Tensors, with the Tensors, and their values in the graph.
StandIns = dict[Node, tuple[Tensor, Value]]


def given_leaf(kind: str, array: Any) -> Value:
    """A leaf of the graph for an argument, or for a Tensor.

    Raises:
        UnsupportedError: for an array of which the function could see more than a tracer has:
            another byte order, metadata, a class of its own.
    """
    value = leaf(kind, array)
    if not is_native(array.dtype):
        raise UnsupportedError(
            f"a compiled function is given an array of {array.dtype!r}, in another byte order than "
            "this machine's, or with metadata: pass x.astype(x.dtype.name)"
        )
    if type(array) not in (np.ndarray, np.memmap, Tracer):
        name = type(array).__name__
        raise UnsupportedError(
            f"a compiled function is given an array of the class {name}, and would return plain "
            "arrays: pass np.asarray(x)"
        )
    return value


@dataclass(eq=False)
class TraceInputs:
    """What tracers replace while a function is traced, and by which values of the graph: Tensors,
    items of containers, arrays in the arguments, captured arrays, gradients of leaves.

    What is captured and has the same memory and form has one value, and one tracer: what is written
    through one is read through the others."""

    tensors: list[tuple[Tensor, Value]]
    items: list[tuple[Any, Any, Value]]
    arrays: list[tuple[np.ndarray, Value]]
    grads: dict[Tensor, Value]
    captured: list[tuple[np.ndarray, Value]]
    places: list[tuple[Place, Any]]


def inputs_of(given: list[Any], found: Captured, recorder: Recorder) -> TraceInputs:
    given_tensors = {id(x): x for x in given if isinstance(x, Tensor)}
    arrays = {id(x): x for x in given if isinstance(x, np.ndarray)}
    states: dict[Hashable, Value] = {}

    def state(array: Any, value: Value) -> Value:
        return states.setdefault((memory_key(array), array.flags.writeable), value)

    stand_ins = (x for x in found.arrays.values() if can_stand_in(x, found))
    captured = [(x, state(x, recorder.state(x))) for x in stand_ins]
    slots = (holder[key] for holder, key, _ in found.slots)
    free = {id(x) for x, _ in captured}
    for x in [*found.arrays.values(), *(x for x in slots if not found.can_replace(x))]:
        if id(x) not in free:
            recorder.contents[id(x)] = x, x.tobytes()
    tensors = [(t, given_leaf("input", t.data)) for t in given_tensors.values()]
    others = [t for key, t in found.tensors.items() if key not in given_tensors]
    tensors += [(t, state(t.data, given_leaf("state", t.data))) for t in others]
    groups = [group for each in found.optimizers.values() for group in each.param_groups]
    items = [(x, key, state(x[key], leaf("state", x[key]))) for x, key, _ in found.slots]
    items += [(group, "lr", leaf("input", np.zeros(()))) for group in groups if "lr" in group]
    return TraceInputs(
        tensors,
        items,
        [(x, given_leaf("input", x)) for x in arrays.values()],
        {t: leaf("state", t.data) for t, _ in tensors if t.requires_grad and t.node.op is None},
        captured,
        [(place, place.read()) for place in found.places.values() if place.is_writable],
    )


def memory_key(array: Any) -> Hashable:
    """What is equal for arrays that are the same part of memory."""
    if not isinstance(array, np.ndarray) or not array.size:
        return id(array)
    return array.__array_interface__["data"][0], array.dtype.str, array.shape, array.strides


def can_stand_in(x: np.ndarray, found: Captured) -> bool:
    """Whether a tracer can be put into every place in which a captured array is."""
    return type(x) is np.ndarray and is_native(x.dtype) and found.can_replace(x)


def with_tracers(x: Any, tracers: dict[int, Any]) -> Any:
    """The tracer of an array; a tuple with its arrays replaced; else x."""
    if isinstance(x, tuple) and id(x) not in tracers:
        parts = [with_tracers(part, tracers) for part in x]
        if any(map(operator.is_not, parts, x)):
            tracers[id(x)] = x._make(parts) if hasattr(x, "_make") else tuple(parts)
    return tracers.get(id(x), x)


@contextmanager
def replaced(inputs: TraceInputs, tracers: dict[Value, Tracer]) -> Iterator[StandIns]:
    """Inside, tracers are in place of all arrays; afterwards everything is restored. A place that
    the function assigned itself is left, for the guards to find. Yields the leaves in place of the
    Tensors' nodes."""
    nodes = [(t, t.node, getattr(t, "root", None)) for t, _ in inputs.tensors]
    items = [(holder, key, holder[key], tracers[value]) for holder, key, value in inputs.items]
    by_id = {id(x): tracers[value] for x, value in [*inputs.captured, *inputs.arrays]}
    by_id |= {id(x): new for *_, x, new in items if isinstance(x, np.ndarray)}
    places = [(place, x, with_tracers(x, by_id)) for place, x in inputs.places]
    places = [(place, x, new) for place, x, new in places if new is not x]

    def restore() -> None:
        for t, node, root in nodes:
            t.node = node
            if root is not None:  # a view again
                t.root = root  # type: ignore[attr-defined]  # a View's
        for holder, key, x, _ in items:
            holder[key] = x
        for place, x, new in places:
            with suppress(*GONE):
                if place.read() is new:
                    place.put(x)

    try:
        for place, _, new in places:
            place.put(new)
        grads = {t: value for t, value in inputs.grads.items() if t.node.grad is not None}
        stand_ins = {stand_in(t, tracers[v], grads.get(t)): (t, v) for t, v in inputs.tensors}
        for node, (t, _) in stand_ins.items():
            t.node = node
        for holder, key, _, tracer in items:
            holder[key] = tracer
        yield stand_ins
        for t, node, _ in nodes:
            now = t.node
            if now in stand_ins and (now.name, now.requires_grad) != (
                node.name,
                node.requires_grad,
            ):
                raise UnsupportedError(
                    f"a compiled function sets the name or requires_grad of a Tensor of shape "
                    f"{t.shape} that it is given or captures: set them outside"
                )
    finally:
        try:
            restore()
        finally:  # again, if Ctrl-C interrupted it
            restore()


def stand_in(t: Tensor, tracer: Tracer, grad: Value | None) -> Node:
    """The leaf in place of a Tensor's node: the graph that computed it is hidden."""
    node = Node(tracer, t.node.requires_grad)  # type: ignore[arg-type]  # as an array
    node.name = t.node.name
    node.grad = None if grad is None else Tracer(grad)
    return node


@dataclass(eq=False)
class TraceOutputs:
    """The end of a traced run.

    `output`: what the function returned; `results`: the arrays and values in it; `nodes`: those of
    returned Tensors that require a gradient, else None. `stand_ins`: see `replaced`. `final`: for
    each place of a leaf of the graph what is there at the end; `grads`: the same for gradients.
    """

    output: Any
    results: list[Any]
    nodes: list[Node | None]
    stand_ins: StandIns
    final: list[tuple[Value, Any]]
    grads: dict[Value, Any]

    def values(self) -> list[Any]:
        return [*self.results, *(x for _, x in self.final), *self.grads.values()]


@contextmanager
def patched() -> Iterator[None]:
    """Inside, np.array and its like take tracers; and what opens a file in Python code of a library
    is refused."""
    opener = open

    def opened(*args: Any, **how: Any) -> Any:
        if tracing.get() is not None:
            raise TraceError(
                "a compiled function opens a file, which may have other things in it at the next "
                "call: read it outside, and pass what is in it as an argument"
            )
        return opener(*args, **how)

    patches: list[tuple[Any, str, Any]] = [(np, name, array_maker(name)) for name in ARRAY_MAKERS]
    patches += [(builtins, "open", opened), (io, "open", opened)]
    before = [(holder, name, getattr(holder, name)) for holder, name, _ in patches]
    try:
        for patch in patches:
            setattr(*patch)
        yield
    finally:
        for patch in before:
            setattr(*patch)


def refuse_seeds() -> None:
    if tracing.get() is not None:
        raise TraceError(
            "a compiled function makes random numbers from no seed, which would be the same at "
            "every call: draw them outside and pass them in, or give a seed, "
            "np.random.default_rng(0) (np.random.RandomState(0) asks the system before it "
            "takes the seed)"
        )


def drawn(recorder: Recorder, rng: Any, shape: tuple[int, ...]) -> Tracer:
    """Random numbers, drawn anew at each call. The default generator may be made for them here."""
    with switched(tracing, None):
        rng = generator(rng)
    return Tracer(recorder.draw(rng, shape))


@contextmanager
def traced(recorder: Recorder) -> Iterator[None]:
    """Inside, ops take tracers, and are recorded."""
    with (
        patched(),
        seeds_checked(refuse_seeds),
        replacing(traced_apply, traced_input_cotangents),
        switched(tracing, recorder),
        switched(draw, partial(drawn, recorder)),
        switched(lowered, LOWERED),
        switched(traced_form, lambda array: Tracer(recorder.value_of(array))),
    ):
        in_progress.append(recorder)
        try:
            yield
        finally:
            in_progress.remove(recorder)
            # Even if the function caught it, or NumPy raised another error because of it.
            if recorder.refusal is not None:
                raise recorder.refusal from None


def run_on_tracers(
    function: Callable[..., Any], arguments: Any, inputs: TraceInputs, recorder: Recorder
) -> TraceOutputs:
    """Run a function on tracers in place of the arrays in its arguments and its state."""
    places: list[Any] = [*inputs.tensors, *inputs.items, *inputs.arrays]
    writeable = {value for *_, value in places}
    captured = [value for _, value in inputs.captured]
    tracers = {value: Tracer(value) for value in [*writeable, *captured]}
    recorder.stand_ins = {id(tracers[value]) for value in captured if value not in writeable}
    arrays = {id(x): tracers[value] for x, value in inputs.arrays}
    given = (arrays.get(id(x), x) for _, x in leaves_of(arguments))
    with replaced(inputs, tracers) as nodes, traced(recorder):
        recorder.parameters = [node for node in nodes if node.requires_grad]
        args, kwargs = like(arguments, given)
        before = leaves_of((args, kwargs))
        with recorder.calls.within(run_on_tracers.__code__):
            output = function(*args, **kwargs)
        check_containers(before, leaves_of((args, kwargs)))
        check_gradients(inputs, nodes)
        named = [*inputs.arrays, *inputs.captured]
        final: list[tuple[Value, Any]] = [(v, tracers[v]) for _, v in named if v in writeable]
        final += [(value, t.data) for t, value in inputs.tensors]
        final += [(value, holder[key]) for holder, key, value in inputs.items]
        grads = {value: value_of(t.grad) for t, value in inputs.grads.items()}
        parts = [x for _, x in leaves_of(output)]
        returned = [recorded_node(x) for x in parts]
        end = TraceOutputs(output, [*map(value_of, parts)], returned, nodes, final, grads)
        for x in end.values():
            if isinstance(x, Tracer):
                recorder.check_home(x.value)  # which brings a view up to date, while recorded
        return end


def check_containers(before: list[tuple[str, Any]], after: list[tuple[str, Any]]) -> None:
    """A function is traced with copies of the dicts and lists in its arguments."""
    same = len(before) == len(after) and all(
        at == place and x is y for (at, x), (place, y) in zip(before, after, strict=True)
    )
    if not same:
        places = [at for at, x in after if all(x is not y or at != place for place, y in before)]
        where = ", ".join(places) or "what it removes"
        raise TraceError(
            f"a compiled function changes a dict or list that it is given, at {where}: return what "
            "it computes, and let the caller put it there. Arrays in it can be written into, as in "
            "d['x'][...] = y"
        )


def recorded_node(x: Any) -> Node | None:
    return x.node if isinstance(x, Tensor) and x.requires_grad else None


def check_gradients(inputs: TraceInputs, stand_ins: StandIns) -> None:
    for node, (t, _) in stand_ins.items():
        if t not in inputs.grads and node.grad is not None:
            raise UnsupportedError(
                f"a compiled function goes back through a Tensor of shape {t.shape} that was "
                "computed outside of it: detach() it first, or compute it in the function as well"
            )
        if t.node is not node and t.node.requires_grad and t.node.op is not None:
            raise UnsupportedError(
                f"a compiled function writes a value with a gradient into a Tensor of shape "
                f"{t.shape}, which would lose it: write the value's detach(), or return it"
            )


def trace(
    function: Callable[..., Any], arguments: Any, found: Captured
) -> tuple[Traced, Callable[[], None]]:
    """Trace a function. Returns the trace, and a function that traces again and compares.

    Args:
        function: the step.
        arguments: (args, kwargs), whose arrays and Tensors become inputs.
        found: what it captures.

    Raises:
        TraceError: if it reads a value that is computed in it.
        UnsupportedError: if it writes where it cannot.
    """
    given = [x for _, x in leaves_of(arguments)]
    recorder = Recorder(found.arrays.values())
    inputs = inputs_of(given, found, recorder)
    end = run_on_tracers(function, arguments, inputs, recorder)

    def again() -> None:
        recorder.start_verification()
        other = run_on_tracers(function, arguments, inputs, recorder)
        recorder.finish_verification(end.values(), other.values())

    return traced_from(given, inputs, end, recorder), again


def traced_from(
    given: list[Any], inputs: TraceInputs, end: TraceOutputs, recorder: Recorder
) -> Traced:
    """The graph of what was recorded."""
    final: dict[Value, Value] = {}
    for value, x in end.final:
        if final.setdefault(value, now := recorder.value_of(x)) is not now:
            raise splits(value, inputs)
    outputs = [recorder.value_of(x) for x in end.results if is_array(x)]  # state, maybe
    rates = [(holder, key, v) for holder, key, v in inputs.items if v.kind == "input"]
    writes = [(value, x) for value, x in final.items() if value is not x]
    written = {target for target, _ in writes}
    if not written.isdisjoint(v for *_, v in rates):
        raise UnsupportedError(
            "a compiled function sets a learning rate: step a schedule outside of it, and it reads "
            "the new rate at its next call"
        )
    by_id = {id(x): v for x, v in [*inputs.tensors, *inputs.arrays]}
    arguments = [by_id[id(x)] for x in given if is_array(x)]
    places: list[tuple[Value, Any]] = [(v, t.data) for t, v in inputs.tensors]
    places += [(v, holder[key]) for holder, key, v in inputs.items]
    used = {x for value in recorder.values for x in value.inputs if type(x) is Value}
    used |= {*outputs, *final.values(), *recorder.read}
    places += [(v, v.array) for v in recorder.leaves if v in used]
    states: dict[Value, Any] = {}
    for value, array in places:
        if value.kind == "state":
            states.setdefault(value, array)
    held = [(array, value) for value, array in states.items()]
    results = [x for _, x in leaves_of(end.output)]
    graph = Graph(
        list(dict.fromkeys(arguments)) + [v for *_, v in rates] + [v for _, v in recorder.drawn],
        [*states, *inputs.grads.values()],
        outputs,
        writes,
    )
    graph, grads, added, fresh = gradients(graph, inputs, end, recorder)
    graph = replace(graph, seeds=last_of(nearest(recorder.passed, {*graph.order})))
    form = like(end.output, iter(range(len(results))))
    kinds = list(map(kind_of, results))
    nodes = [node for node in end.nodes if node is not None]
    derivative = derivative_of(nodes, end.stand_ins, written, recorder)
    recorded = [derivative is not None and node in derivative.outputs for node in end.nodes]
    return Traced(
        *(graph, arguments, held, rates, recorder.drawn, grads, added, fresh, form, kinds),
        *(derivative, recorded, recorder.read, [*recorder.contents.values()]),
        {t for node, (t, _) in end.stand_ins.items() if node in recorder.cleared},
        recorder.calls,
    )


def splits(value: Value, inputs: TraceInputs) -> UnsupportedError:
    paths = {id(x): place.name for place, x in inputs.places}
    held: list[tuple[Any, Value]] = [*inputs.tensors, *inputs.captured]
    names = [paths.get(id(x)) or getattr(x, "name", "") for x, v in held if v is value]
    return UnsupportedError(
        f"a compiled function writes into a Tensor of shape {value.shape} that shares its memory "
        f"with others: {', '.join(name or 'a Tensor' for name in names)}. By t[...] = y, t += y "
        "and t.data = y a Tensor gets an array of its own, which the others do not see: write "
        "t.data[...] = y, which they see, or make one of them of a copy, np.array(x)"
    )


def last_of(values: list[Value]) -> list[Value]:
    """Those that no other of them is computed from directly."""
    used = {y for x in values for y in x.values()}
    return [x for x in values if x not in used]


def gradients(
    graph: Graph, inputs: TraceInputs, end: TraceOutputs, recorder: Recorder
) -> tuple[Graph, list[tuple[Tensor, Value]], set[Tensor], list[tuple[Tensor, Any]]]:
    """The graph with the writes of gradients; the Tensors whose gradients are state, because the
    graph reads or leaves them; those of them whose gradients are only added to; and those whose
    gradients are cleared, with what they are afterwards."""
    grads, fresh, writes = [], [], []
    ends = {v: None if x is None else recorder.value_of(x) for v, x in end.grads.items()}
    before = dict.fromkeys([*graph.inputs, *graph.states, *recorder.leaves])
    graph = replace(graph, recorded=[*before, *recorder.values])
    used = computed = {*graph.order}
    # A gradient that was there can only be reached through itself, or where others use it.
    if unused := [x for x in ends.values() if x is not None and x not in used]:
        used = {*replace(graph, outputs=[*graph.outputs, *unused]).order}
    updated = {target for target, _ in graph.writes}
    nodes = {t: (node, value) for node, (t, value) in end.stand_ins.items()}
    for t, value in inputs.grads.items():
        (node, data), end_value = nodes[t], ends[value]
        discarded = node in recorder.cleared
        is_unchanged = end_value is (None if t.node.grad is None else value)
        if is_unchanged and value not in computed and not discarded:
            continue
        # A gradient that each call computes anew, and its update consumes, is not kept.
        used_up = value not in used and discarded and data in updated
        if end_value is None or (end_value is not value and used_up):
            fresh.append((t, None if end_value is None else USED_UP))
        elif end_value is not value:
            writes.append((value, end_value))
        if value in used or (end_value not in (None, value) and not used_up):
            grads.append((t, value))
    terms = [x for _, v in grads for x in terms_of(ends[v], v)]
    read = {*replace(graph, outputs=[*graph.outputs, *terms]).order} if grads else set()
    added = {t for t, value in grads if value not in read}
    graph = replace(graph, writes=graph.writes + writes) if writes else graph
    return graph, grads, added, fresh


def terms_of(end: Value | None, value: Value) -> list[Value]:
    """What is added to a gradient, if nothing else is done with it; or else what it ends as."""
    terms, x = [], end
    while x is not value:
        if type(x) is not Value or x.op is None or x.op.name != "add":
            return [] if end is None else [end]
        x, term = x.inputs
        terms.append(term)
    return [term for term in terms if type(term) is Value]
