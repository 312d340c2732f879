"""`compile`: a whole training step as one graph."""

from __future__ import annotations

import functools
import operator
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from minigrad.autograd import recording
from minigrad.compile.build import BuildError
from minigrad.compile.capture import SCALARS, Captured, captured
from minigrad.compile.ir import Graph, verify
from minigrad.compile.passes import optimized
from minigrad.compile.run_c import Program
from minigrad.compile.run_numpy import NumpyProgram
from minigrad.compile.trace import Traced, is_array, trace
from minigrad.compile.tracer import TraceError, tracing
from minigrad.errors import MinigradError
from minigrad.tensor import Tensor
from minigrad.transforms import leaves_of, like
from minigrad.watch import watchers

F = TypeVar("F", bound=Callable[..., Any])


class Compiled:
    """A function that is traced once for each kind of arguments, and then runs its graph.

    `versions` has what was compiled; `reasons` why, each time but the first of a kind.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.versions: dict[Any, Version] = {}
        self.reasons: list[str] = []

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # debug() wants to see each op; and what calls it from a trace is compiled with it.
        if watchers.get() or tracing.get():
            return self.function(*args, **kwargs)
        arguments = (args, kwargs)
        leaves = leaves_of(arguments)
        key = tuple((place, kind_of(x)) for place, x in leaves), recording.get()
        version = self.versions.get(key)
        if version is None or (reason := version.stale()):
            if version is not None:
                self.reasons.append(reason)
            version = self.versions[key] = Version(self.function, arguments)
        return version.run([x for _, x in leaves if is_array(x)])


def compile(function: F) -> F:
    """A function that computes the same as one graph: compiled, without Python between its ops.

    For a whole training step: forward, backward, the optimiser's update, statistics. Also for
    inference, and for what `grad` and its like return. The function is run on arrays that have no
    numbers, twice, the first time it is called with arguments of new shapes and dtypes, or after
    something it depends on was changed: a number, training mode, a parameter's array. What it
    prints or appends is done then, and not at each call. Random numbers that layers draw are drawn
    anew at each call, from the same generators as without compiling.

    Gradients that the step makes and consumes are not kept: `.grad` is None after it. If it adds
    to gradients that were there before, they are state, and kept.

    Raises:
        TraceError: at a call, if the function reads a value that is computed in it, or computes
            with arrays that are not the same each time.
        UnsupportedError: if it writes into arrays that are not known as its state.

    >>> from minigrad import nn, optim
    >>> model = nn.Linear(2, 1, rng=np.random.default_rng(0))
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> @compile
    ... def step(x, y):
    ...     optimizer.zero_grad()
    ...     loss = ((model(x) - y) ** 2).mean()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> x, y = np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32)
    >>> bool(step(x, y).item() > step(x, y).item())
    True
    """
    return Compiled(function)  # type: ignore[return-value]


def kind_of(x: Any) -> Any:
    """What of an argument a version is made for: all but the numbers in an array."""
    if isinstance(x, Tensor):
        return Tensor, x.shape, x.dtype, x.requires_grad, x.node.op is None
    if isinstance(x, np.ndarray):
        return np.ndarray, x.shape, x.dtype
    return (type(x), x) if isinstance(x, SCALARS) else id(x)


def program_of(graph: Graph) -> Program | NumpyProgram:
    """The graph as C; or, with a warning, run by NumPy where C cannot be built."""
    try:
        return Program(graph)
    except (BuildError, OSError) as error:
        warnings.warn(f"compiled functions run on NumPy: {error}", RuntimeWarning, stacklevel=5)
        return NumpyProgram(graph)


class Version:
    """What was compiled for one kind of arguments."""

    def __init__(self, function: Callable[..., Any], arguments: Any) -> None:
        self.function = function
        found = captured(function, arguments)
        before = {key: array.copy() for key, array in found.arrays.items()}
        self.traced = trace(function, arguments, found)
        check_same(self.traced, trace(function, arguments, found))
        check_unchanged(found, before)
        self.guards = Guards(found)
        graph = optimized(self.traced.graph)
        verify(graph)
        self.program = program_of(graph)
        self.bound = False
        self.states = [
            (value, holder.data if isinstance(holder, Tensor) else holder[0][holder[1]])
            for holder, value in self.traced.states
        ]
        self.loose = [(value, x) for value, x in self.states if not x.flags.c_contiguous]

    def stale(self) -> str:
        """Why this version can no longer be used; or an empty text."""
        return self.guards.broken()

    def is_state(self, array: np.ndarray) -> bool:
        return any(np.may_share_memory(array, state) for _, state in self.states)

    def run(self, arrays: list[Any]) -> Any:
        it, bind = self.traced, self.program.bind
        copied = []
        for value, x in zip(it.arguments, arrays, strict=True):
            array = x.data if isinstance(x, Tensor) else x
            # A copy also of what is state as well, which the step may write before it is read.
            if not array.flags.c_contiguous or self.is_state(array):
                given, array = array, np.array(array, order="C")
                copied.append((given, array))
            bind(value, array)
        for group, value in it.rates:
            bind(value, np.array(group["lr"], np.float64))
        for rng, value in it.drawn:
            bind(value, rng.random(value.shape, value.dtype))
        for value, array in self.states if not self.bound else ():
            bind(value, array)
        self.bound = True
        for value, array in self.loose:
            bind(value, np.ascontiguousarray(array))
        for t, value in it.grads:
            if t.grad is None:
                t.grad = np.zeros(t.shape, t.dtype)
            bind(value, t.grad)
        outputs = iter(self.program.run())
        for value, array in self.loose:
            array[...] = self.program.arrays[value]
        for given, array in copied:
            if it.changes_arguments:
                given[...] = array
        for t in it.fresh:
            t.node.grad = None
        results = [
            Tensor(next(outputs))
            if kind is Tensor
            else next(outputs)
            if kind is np.ndarray
            else kind
            for kind in it.kinds
        ]
        return like(it.form, iter(results))


def check_same(one: Traced, other: Traced) -> None:
    """Hold two traces against each other: what differs would be stale in the next call."""
    a, b = one.graph.order(), other.graph.order()
    for x, y in zip(a, b, strict=False):
        same = (x.op, x.kind, x.shape, x.dtype) == (y.op, y.kind, y.shape, y.dtype)
        if same and x.kind == "constant":
            if not np.array_equal(x.array, y.array, equal_nan=x.dtype.kind == "f"):  # type: ignore[arg-type]
                raise TraceError(
                    f"a compiled function computes with an array of shape {x.shape} that differs "
                    "from one run to the next: numbers drawn by np.random in it, maybe, which "
                    "would be the same at every call. Draw them outside and pass them in"
                )
        elif not same:
            raise TraceError(varies())
    if len(a) != len(b):
        raise TraceError(varies())


def varies() -> str:
    return (
        "a compiled function does not do the same in two runs on the same arguments: it depends on "
        "something that it changes itself. Pass that as an argument"
    )


def check_unchanged(found: Captured, before: dict[int, np.ndarray]) -> None:
    for key, array in found.arrays.items():
        if not np.array_equal(array, before[key], equal_nan=array.dtype.kind == "f"):
            array[...] = before[key]
            raise TraceError(
                f"a compiled function changes an array of shape {array.shape} in place, which "
                "would be done once and not at each call: make it a Tensor, and write into t.data"
            )


class Guards:
    """What a version was made for, of all that its function can reach.

    The quick look at each call compares lists, whose entries are nearly always the same objects;
    what has changed is looked for when they are not equal.
    """

    def __init__(self, found: Captured) -> None:
        self.tensors = list(found.tensors.values())
        held = [each for each in found.held if not is_rate(*each[:2])]
        slots = [
            (state, name, f"the optimiser's {name}")
            for optimizer in found.optimizers.values()
            for state in optimizer.states
            for name in state
        ]
        self.places = held + slots
        self.holders = [holder for holder, _, _ in self.places]
        self.keys = [key for _, key, _ in self.places]
        self.containers = [holder for holder, _ in found.holders]
        self.names = [name for _, name in found.holders]
        self.before = self.look()

    def look(self) -> tuple[list[Any], list[Any], list[int]]:
        return (
            list(map(STATE, self.tensors)),
            list(map(operator.getitem, self.holders, self.keys)),
            list(map(len, self.containers)),
        )

    def broken(self) -> str:
        """What has changed; or an empty text."""
        try:
            if self.look() == self.before:
                return ""
        except (KeyError, IndexError, ValueError, TypeError, MinigradError):
            pass  # something is gone, or two arrays were compared, which are not the same one
        return self.changed()

    def changed(self) -> str:
        tensors, held, sizes = self.before
        for t, (data, flag) in zip(self.tensors, tensors, strict=True):
            if t.data is not data or t.requires_grad is not flag:
                name = f" {t.name}" if t.name else ""
                return f"the Tensor{name} of shape {t.shape} has another array, or requires_grad"
        for (holder, key, name), value in zip(self.places, held, strict=True):
            try:
                now = holder[key]
            except (KeyError, IndexError, ValueError):
                return f"{name} is gone"
            if not same(now, value):
                return f"{name} was {repr(value)[:60]} and is {repr(now)[:60]}"
        for holder, name, size in zip(self.containers, self.names, sizes, strict=True):
            if len(holder) != size:
                return f"{name} had {size} things in it and has {len(holder)}"
        return ""


STATE = operator.attrgetter("node.value", "node.requires_grad")


def same(now: Any, value: Any) -> bool:
    """The same object, or the same number."""
    return now is value or (
        isinstance(now, SCALARS) and type(now) is type(value) and bool(now == value)
    )


def is_rate(holder: Any, key: Any) -> bool:
    """Whether it is a learning rate, which is read at each call."""
    return key == "lr" and isinstance(holder, dict) and "params" in holder
