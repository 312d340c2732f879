"""The record of a trace: the values of the graph, in the order in which ops make them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import get_ident
from typing import Any

import numpy as np

from minigrad import errors
from minigrad.compiler.frontend.capture import SCALARS
from minigrad.compiler.frontend.unrolled import Calls
from minigrad.compiler.graph.ir import Graph, Value, how_of
from minigrad.compiler.graph.opset.infer import infer
from minigrad.compiler.runtime.interpreter import numpy_program
from minigrad.dispatch import implements, is_traced
from minigrad.graph import Node, births
from minigrad.ops.base import Op
from minigrad.watch import watchers
from minigrad.writes import Overwritten

tracing: ContextVar[Recorder | None] = ContextVar("tracing", default=None)
# The recorder of the trace that goes on in any thread: one traces at a time.
in_progress: list[Recorder] = []
# The dtypes that have a C type, as NumPy's own objects, so that `is` compares them. Half precision
# is not supported: without hardware for it, it is slow.
DTYPES = {np.dtype(x): np.dtype(x) for x in "? b h i q l B H I Q L f d F D".split()}
ARRAYS = (np.ndarray, np.generic)
# The context variable in which NumPy keeps the state of np.errstate. Reading it costs some 50 ns;
# np.geterr() costs half as much as a whole call of a compiled function.
umath = np._core.umath  # type: ignore[attr-defined]  # not in NumPy's stubs
error_state: Any = getattr(umath, "_extobj_contextvar", ContextVar("errors", default=None))


def refused(error: errors.MinigradError) -> errors.MinigradError:
    """Remember a refusal, to be raised again when the traced run ends: see TraceError."""
    for recorder in in_progress:
        recorder.refusal = recorder.refusal or error
    return error


errors.TraceError.observers.append(refused)


def recorder_here() -> Recorder:
    """The recorder of the trace that this thread, or task, is a part of.

    Raises:
        TraceError: if there is none. The trace is refused too: the function may catch this error.
    """
    recorder = tracing.get()
    if recorder is None:
        raise errors.TraceError(
            "an array of a function that is being compiled, which has no numbers yet, is used in "
            "another thread, in another context (contextvars.Context), or after the function has "
            "returned: compute with it in the function itself, or return it and pass it to the "
            "thread outside"
        )
    return recorder


@contextmanager
def remembering_errors() -> Iterator[None]:
    """Inside, errors for what is not supported are remembered as refusals."""
    try:
        yield
    except (errors.UnsupportedError, errors.DtypeError) as error:
        raise refused(error) from error.__cause__


@dataclass(eq=False)
class Frame:
    """Where values are recorded: a traced function, or the body of a loop or branch in it.

    `bodies`: what was traced inside of it as such, in order. `foreign`: the ops of functions that
    are not NumPy. `drawn`: random numbers, with their generators; `why_not`: why there can be none,
    or empty.
    """

    name: str = ""
    why_not: str = ""
    values: list[Value] = field(default_factory=list)
    drawn: list[tuple[Any, Value]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    foreign: list[Op] = field(default_factory=list)


@implements("foreign op")
def foreign_op(make: Callable[[], Op]) -> Op:
    """The op of a function that is not NumPy; in the second run, that of the first, where the
    function was made as well."""
    recorder = recorder_here()
    if recorder.again is None:
        recorder.frames[-1].foreign.append(make())
        return recorder.frames[-1].foreign[-1]
    op = next(recorder.foreign_again, None)
    if op is None:
        raise errors.TraceError(VARIES)
    return op


@implements("attempt")
def attempt(function: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """What a function gives, if it can be traced; or else what the other does."""
    recorder = recorder_here()
    before, drawn = recorder.refusal, len(recorder.drawn)
    try:
        found = function()
        if recorder.refusal is before:
            return found
    except Exception:
        if before is not None:
            raise
    if len(recorder.drawn) != drawn:
        raise errors.TraceError(
            "a function that draws random numbers reads numbers of traced arrays, or is not NumPy: "
            "draw them outside of it, and pass them as an argument"
        )
    for each in in_progress:
        each.refusal = None
    return otherwise()


# What can be written: an object, and the attribute that a write assigns: the value of a tracer, the
# node of a Tensor, the gradient of a node.
Place = tuple[Any, str]


@dataclass(eq=False)
class Writes:
    """What was written since `birth` of what is older: places, and what was there before. `unset`:
    nodes whose gradient was asked for while there was none."""

    birth: int
    before: dict[tuple[int, str], tuple[Place, Any]] = field(default_factory=dict)
    unset: set[Node] = field(default_factory=set)

    @property
    def places(self) -> list[Place]:
        return [place for place, _ in self.before.values()]


class Recorder:
    """The record of a trace: values in the order they are made.

    The body of a loop is recorded in a `Frame` of its own, inside of that of the function; `homes`
    says of which a value is, and `frames` which of them are open.

    Arrays that ops are given are constants, or state if they share memory with `captured` arrays,
    whose numbers may change between calls. Values computed from such state alone are `known`: the
    function can read their numbers, and each value that it `read` is guarded, as are the `contents`
    of captured arrays that NumPy may read. A second run is compared with the first op by op:
    `record` then returns the values of the first run, and raises if they differ from those that it
    would make. `refusal` is the first error that was raised because there are no numbers.
    """

    def __init__(self, captured: Iterable[np.ndarray] = ()) -> None:
        self.roots = {id(root_of(x)): x for x in captured}
        self.contents: dict[int, tuple[np.ndarray, bytes]] = {}
        self.known: set[Value] = set()
        self.read: dict[Value, np.ndarray] = {}
        self.stand_ins: set[int] = set()  # the ids of captured arrays' tracers
        self.frames = [Frame()]
        self.writes: list[Writes] = []
        self.parameters: list[Node] = []  # leaves of outside that require a gradient
        self.homes: dict[Value, Frame] = {}
        self.met: dict[int, tuple[Any, Value]] = {}
        self.leaves: list[Value] = []
        # Of Tensors: the value of each node, the leaves that a reverse pass reached, and the birth
        # of the first node of the trace.
        self.made: dict[Node, Value] = {}
        self.reached: set[Node] = set()
        # Of the values of the function itself, where they were recorded.
        self.calls = Calls()
        # The values that a reverse pass went through, outside of bodies.
        self.passed: dict[Value, None] = {}
        # Leaves whose gradients were asked for; and those that were set to None before that, and
        # before anything was added to them.
        self.asked: set[Node] = set()
        self.cleared: set[Node] = set()
        self.birth = next(births)
        self.thread = get_ident()
        self.refusal: errors.MinigradError | None = None
        self.errors: dict[str, Any] = {**np.geterr()}
        self.error_state = error_state.get() or object()
        self.again: Iterator[Value] | None = None
        self.drawn_again: Iterator[tuple[Any, Value]] = iter(())
        self.bodies_again: Iterator[Any] = iter(())
        self.foreign_again: Iterator[Op] = iter(())

    @property
    def values(self) -> list[Value]:
        return self.frames[-1].values

    @property
    def drawn(self) -> list[tuple[Any, Value]]:
        return self.frames[-1].drawn

    @contextmanager
    def inside(self, frame: Frame) -> Iterator[None]:
        """Inside, values are recorded in another frame, or compared with those that are there."""
        before = self.again, self.drawn_again, self.bodies_again, self.foreign_again
        self.frames.append(frame)
        try:
            if self.again is None:
                yield
            else:
                self.start_verification()
                yield
                self.finish_frame()
        finally:
            self.frames.pop()
            self.again, self.drawn_again, self.bodies_again, self.foreign_again = before

    @contextmanager
    def undone(self) -> Iterator[Writes]:
        """What is written inside is restored afterwards."""
        grads = [(node, node.grad) for node in self.parameters]
        self.writes.append(writes := Writes(next(births)))
        try:
            yield writes
            for node, before in grads:
                if node.grad is not before:
                    writes.before[id(node), "grad"] = (node, "grad"), before
        finally:
            self.writes.pop()
            for node, before in grads:
                node.grad = before
            for (x, name), before in writes.before.values():
                setattr(x, name, before)

    def note_write(self, x: Any, name: str, birth: int) -> None:
        """Note that a place is about to be written, of what was made at `birth`."""
        if self.writes and birth < self.writes[-1].birth:
            self.writes[-1].before.setdefault((id(x), name), ((x, name), getattr(x, name)))

    def next_body_writes(self) -> bool:
        """Whether the body of the first run that is to be compared next has written outside."""
        body = next(self.bodies_again, None)
        self.bodies_again = itertools.chain([body], self.bodies_again) if body else iter(())
        return body is not None and bool(body.writes.places)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Inside, what is recorded is of no use later, and not compared with the first run."""
        before = self.again, self.drawn_again, self.bodies_again
        self.again = None
        self.frames.append(Frame())
        try:
            yield
        finally:
            self.frames.pop()
            self.again, self.drawn_again, self.bodies_again = before

    def check_home(self, x: Any) -> None:
        """Raise if x was computed in a body, and is used outside of it."""
        home = self.homes.get(x) if type(x) is Value else None
        if home is not None and home not in self.frames:
            raise refused(
                errors.TraceError(
                    f"a value of shape {x.shape} that is computed in {home.name} is used outside "
                    "of it: return it, as a part of the carry or as y; or "
                    "write it into an array or a Tensor of outside, by x[...] = y"
                )
            )

    def record(self, op: Op, inputs: list[Any], attributes: dict[str, Any]) -> Value:
        if self.again is not None:
            return self.repeat(op, inputs, attributes)
        value = self.applied(op, inputs, attributes)
        self.values.append(value)
        if len(self.frames) > 1:
            self.homes[value] = self.frames[-1]
        else:
            self.calls.note(value)
        if self.known:  # all its inputs are known, or constants?
            needed = [x for x in value.values() if x.kind != "constant"]
            if needed and self.known.issuperset(needed):
                self.known.add(value)
        return value

    def applied(self, op: Op, inputs: list[Any], attributes: dict[str, Any]) -> Value:
        own = self.value_of
        values = tuple([x.value if is_traced(x) else own(x) for x in inputs])
        if self.homes:
            for x in values:
                self.check_home(x)
        try:
            shape, dtype = infer(op, values, attributes)
        except errors.UnsupportedError as error:
            raise refused(error) from None
        except errors.MinigradError:
            raise
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            raise errors.refusal_of(op.name, list(map(shown, inputs)), attributes, error) from error
        try:
            errors.check_dtype(op.name, dtype)
        except errors.DtypeError as error:
            raise refused(error) from None
        return Value(op, values, attributes, shape, dtype)

    def state(self, array: np.ndarray) -> Value:
        """The value of a captured array, which each call reads."""
        value = leaf("state", array, array)
        self.leaves.append(value)
        self.known.add(value)
        return value

    def numbers(self, value: Value) -> np.ndarray:
        """The numbers of a known value now. They become a guard."""
        if value not in self.read:
            leaves = {x: x.array for x in self.leaves if x.kind == "state"}
            (self.read[value],) = numpy_program(Graph([], [], [value], []))(leaves)
            self.read[value].flags.writeable = False
        return self.read[value]

    def repeat(self, op: Op, inputs: list[Any], attributes: dict[str, Any]) -> Value:
        now = [x.value if is_traced(x) else x for x in inputs]
        value = next(self.again, None)  # type: ignore[arg-type]  # set by start_verification
        differs = VARIES
        if value is not None and value.op is op and len(inputs) == len(value.inputs):
            pairs = zip(now, value.inputs, strict=True)
            differs = next(filter(None, (difference(x, y) for x, y in pairs if x is not y)), "")
            differs = differs or VARIES * (how_of(attributes) != value.how)
        if differs:
            # An op that is wrong by itself says so here: the first run may have caught that error.
            rest = [] if value is None else [value]
            self.again = itertools.chain(rest, self.again)  # type: ignore[arg-type]  # set by start_verification
            self.applied(op, inputs, attributes)
            raise errors.TraceError(differs)
        if op.family != "movement":
            self.check_settings()
        return value  # type: ignore[return-value]  # not None

    def check_settings(self) -> None:
        """Refuse np.errstate and debug(), which would act on numbers."""
        if error_state.get() is not self.error_state and any(
            how not in ("ignore", self.errors[kind]) for kind, how in np.geterr().items()
        ):
            raise errors.TraceError(
                "np.errstate in a compiled function, where nothing is raised or printed: look at "
                "what it returns, outside, by np.isfinite"
            )
        if watchers.get():
            raise errors.TraceError(
                "debug(), or another watcher of ops, in a compiled function, which has no numbers "
                "while it is traced: put it around the call, which is then run op by op"
            )

    def value_of(self, x: Any) -> Any:
        """The graph's value for an input of an op: an array made while tracing is a constant."""
        if is_traced(x):
            return x.value
        if type(x) is Overwritten:
            x.refuse()
        if isinstance(x, ARRAYS):
            if id(x) not in self.met or not holds(self.met[id(x)][1], x):
                # Held, so that no other array gets its id.
                self.met[id(x)] = x, self.leaf_of(np.asarray(errors.plain(x)))
            return self.met[id(x)][1]
        return x

    def leaf_of(self, array: np.ndarray) -> Value:
        dtype = supported_dtype(array.dtype)
        if id(root_of(array)) in self.roots:
            value = self.state(array)
            if id(array) not in self.contents:
                self.numbers(value)  # NumPy may have read it as well
            return value
        # A copy: later writes into the array must not change what was computed before.
        array = np.array(array, dtype)
        value = Value(None, (), {"fixed": True}, array.shape, dtype, "constant", array)
        self.leaves.append(value)
        return value

    def draw(self, rng: Any, shape: tuple[int, ...]) -> Value:
        """The value of random numbers that a layer draws; each call draws them anew."""
        if self.frames[-1].why_not:
            raise errors.TraceError(self.frames[-1].why_not)
        if self.again is None:
            new = Value(None, (), {}, shape, np.dtype(np.float32), "input")
            self.drawn.append((rng, new))
            if len(self.frames) > 1:
                self.homes[new] = self.frames[-1]
            return new
        before, value = next(self.drawn_again, (None, None))
        if before is not rng or value is None or value.shape != shape:
            raise errors.TraceError(VARIES)
        return value

    def start_verification(self) -> None:
        self.again, self.drawn_again = iter(self.values), iter(self.drawn)
        self.bodies_again = iter(self.frames[-1].bodies)
        self.foreign_again = iter(self.frames[-1].foreign)

    def finish_frame(self) -> None:
        for left in (self.again, self.drawn_again, self.bodies_again):
            if next(left, None) is not None:  # type: ignore[arg-type]  # not None here
                raise errors.TraceError(VARIES)

    def finish_verification(self, before: list[Any], after: list[Any]) -> None:
        """Compare what the runs end with."""
        self.finish_frame()
        if len(before) != len(after):
            raise errors.TraceError(VARIES)
        for x, y in zip(after, before, strict=True):
            if x is not y and not (is_traced(x) or isinstance(x, (np.ndarray, *SCALARS))):
                raise errors.TraceError(
                    f"a compiled function returns a {type(x).__name__}: return arrays, Tensors and "
                    "numbers, alone or in dicts, lists and tuples"
                )
            known = self.value_of(y) if is_traced(y) or isinstance(y, np.ndarray) else y
            if differs := difference(x.value if is_traced(x) else x, known):
                raise errors.TraceError(differs)


def holds(constant: Value, x: Any) -> bool:
    """Whether an array has the numbers that were recorded; those of state are read at each call."""
    array = constant.array
    assert array is not None
    return constant.kind == "state" or not x.flags.writeable or array.tobytes() == x.tobytes()


def root_of(array: np.ndarray) -> Any:
    """The object that owns the memory of an array; not always an array (a memory map, say)."""
    root: Any = array
    while isinstance(root, np.ndarray) and root.base is not None:
        root = root.base
    return root


def leaf(kind: str, array: Any, numbers: np.ndarray | None = None) -> Value:
    """A leaf of the graph for an array."""
    return Value(None, (), {}, array.shape, supported_dtype(array.dtype), kind, numbers)


def is_native(dtype: np.dtype[Any]) -> bool:
    """Whether it is one of DTYPES, also in its metadata, without which dtypes are compared."""
    return dtype in DTYPES and dtype.metadata is None


def supported_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype, in native byte order."""
    dtype = dtype.newbyteorder("=")
    if dtype not in DTYPES:
        raise errors.UnsupportedError(
            f"a compiled function computes with an array of {dtype}: it takes booleans, integers, "
            "float32, float64, complex64 and complex128. Pass x.astype(np.float32), or keep what "
            "is not computed with in an attribute, or in a variable outside"
        )
    return DTYPES[dtype]


def difference(x: Any, before: Any) -> str:
    """How an input of an op differs from that of the first run, in words; empty if it does not."""
    if x is before:
        return ""
    if type(x) is Value and x.kind == "constant":
        x = x.array
    if isinstance(x, ARRAYS) and type(before) is Value:
        array = before.array
        x = np.asarray(x)
        if array is None or x.dtype != array.dtype:
            return VARIES
        if x is not array and not np.array_equal(x, array, equal_nan=x.dtype.kind == "f"):
            return (
                f"a compiled function computes with an array of shape {x.shape} that differs "
                "from one run to the next: numbers drawn by np.random in it, maybe, which "
                "would be the same at every call. Draw them outside and pass them in"
            )
        return ""
    same = type(x) is type(before) and type(x) is not Value and repr(x) == repr(before)
    return "" if same else VARIES


VARIES = (
    "a compiled function does not do the same in two runs on the same arguments: it draws random "
    "numbers, looks at a clock, or depends on something that it changes itself. Pass that as an "
    "argument"
)


def value_of(x: Any) -> Any:
    return recorder_here().value_of(x)


def zeros(x: Any) -> np.ndarray:
    return np.broadcast_to(np.zeros((), x.dtype), x.shape)


def shown(x: Any) -> Any:
    """An input as messages describe it."""
    return zeros(x) if is_traced(x) else x
