"""What `minigrad.compile` returns: it chooses, or makes, a specialization for each call."""

from __future__ import annotations

import functools
import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from copy import deepcopy
from time import perf_counter
from types import FunctionType, MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

import numpy as np

from minigrad.arguments import check_library
from minigrad.autograd import recording
from minigrad.compiler.frontend.capture import captured, is_itself
from minigrad.compiler.frontend.guards import Guards
from minigrad.compiler.frontend.recorder import error_state, in_progress, tracing
from minigrad.compiler.frontend.trace import Traced, is_array, trace
from minigrad.compiler.frontend.tracer import changed_in_place
from minigrad.compiler.graph.ir import Graph
from minigrad.compiler.graph.simplify import simplify
from minigrad.compiler.pipeline import plan_of
from minigrad.compiler.report.report import Report, report
from minigrad.compiler.runtime.interpreter import NumpyProgram
from minigrad.compiler.runtime.program import Program
from minigrad.compiler.specialization import GUARD_FAILED, Specialization
from minigrad.compiler.target import forks
from minigrad.compiler.target.cache import BuildError
from minigrad.compiler.target.toolchain import after_fork
from minigrad.dispatch import implements
from minigrad.errors import TraceError, UnsupportedError, plain, warn
from minigrad.optim.optimizer import Memory
from minigrad.reachable import bits_of, set_bits
from minigrad.tensor import Tensor
from minigrad.transforms.batched import levels
from minigrad.transforms.calls import as_written
from minigrad.transforms.trees import leaves_of
from minigrad.watch import watchers

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
T = TypeVar("T")

# How many specializations of a function are kept, and after how many traces there is a warning.
KEPT, MANY = 32, 16
# Tracing puts tracers where all threads see them: one thread at a time traces and reads arguments.
tracing_lock = threading.RLock()
PATIENCE = 5.0  # seconds in which a trace should go on
DEFAULT_ERRORS = Context().run(error_state.get) or object()


def raising() -> bool:
    """Whether NumPy is to raise errors, print or call something where results are not finite."""
    return not {"ignore", "warn"}.issuperset(np.geterr().values())


# By thread, the lock that it holds while it forks.
forking: dict[int, Any] = {}


def begin_fork() -> None:
    """Wait for the trace of another thread: in the new process that thread is gone, and its tracers
    would stay in captured Tensors and arrays. If it waits for this one, fork at once."""
    if threading.get_ident() not in forking:
        forking[threading.get_ident()] = wait_for_traces()


def end_fork() -> None:
    lock = forking.pop(threading.get_ident(), None)
    if lock is not None:
        lock.release()


@after_fork
def forget_threads() -> None:
    """In a forked process, no thread is left that could hold the lock."""
    global tracing_lock
    tracing_lock = threading.RLock()
    forking.clear()


if hasattr(os, "register_at_fork"):
    # After that of the thread pools in which C is built, so that this waits before their lock is
    # taken.
    os.register_at_fork(before=begin_fork, after_in_parent=end_fork)
    forks.wait_for_traces = begin_fork


def wait_for_traces() -> Any:
    """The lock, acquired: no other thread traces; None if one does that waits for this thread."""
    with forks.importing:
        lock, place = tracing_lock, None
    while not lock.acquire(timeout=PATIENCE):
        before, frames = place, sys._current_frames()
        frame = next((frames.get(each.thread) for each in in_progress), None)
        place = frame and (frame, frame.f_lasti)
        if place and place == before:
            return None
    return lock


@contextmanager
def exclusive_tracing() -> Iterator[None]:
    """Inside, no other thread traces or reads arguments.

    Raises:
        TraceError: in a thread for which the trace of another one waits, as that cannot end.
    """
    lock = wait_for_traces()
    if lock is None:
        raise TraceError(
            "a compiled function is called in a thread for which another one waits that is "
            "being compiled: call it in that function itself, without a thread"
        )
    try:
        yield
    finally:
        lock.release()


@implements("compiled")
class Compiled(Generic[P, R]):
    """A function that is traced once for each kind of arguments, and then runs its graph.

    `specializations`: what was compiled, the last one used first. `reasons`: for each of the last
    retraces that a failed guard caused, which one it was. It may be called from several threads.
    """

    def __init__(self, function: Callable[P, R]) -> None:
        self.is_static = isinstance(function, staticmethod)
        inner: Callable[P, R] = getattr(function, "__func__") if self.is_static else function  # noqa: B009
        # First, as it copies attributes: a function made by functools.wraps has those of a compiled
        # function that it wraps.
        functools.update_wrapper(self, inner)
        self.function = self.__wrapped__ = inner
        self.specializations: list[Specialization] = []
        self.reasons: list[str] = []
        self.traces = 0

    @overload
    def __get__(self, instance: None, owner: Any = None) -> Compiled[P, R]: ...
    @overload
    def __get__(
        self: Compiled[Concatenate[Any, Q], R], instance: Any, owner: Any = None
    ) -> Compiled[Q, R]: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        # A method object has the attributes of its function: explain(), reasons, __name__.
        return self if instance is None or self.is_static else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<compiled {getattr(self, '__qualname__', self.function)}>"

    def __reduce__(self) -> Any:
        """Pickle by name, as functions are; without one, by the function it wraps. What was
        compiled is left out."""
        if named(self) is self:
            return self.__qualname__
        if isinstance(self.function, FunctionType) and named(self.function) is not self.function:
            raise UnsupportedError(
                f"{self!r} cannot be pickled, as it has no name in a module: define the function "
                "at the top of a module, or pickle what it returns, and compile it again"
            )
        return Compiled, (self.function,)

    def __deepcopy__(self, memo: Any) -> Compiled[P, R]:
        return self if named(self) is self else Compiled(deepcopy(self.function, memo))

    def __copy__(self) -> Compiled[P, R]:
        return self if named(self) is self else Compiled(self.function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        # debug() watches each op; a call while tracing is traced as part of the caller, one under
        # vmap is batched with it, and of one in sparse_jacobian each op's pattern is wanted.
        strict = error_state.get() is not DEFAULT_ERRORS and raising()
        if strict or watchers.get() or tracing.get() or levels.get() or as_written.get():
            return self.function(*args, **kwargs)
        if self.specializations:
            specialization = self.specializations[0]
            found = specialization.fast_path(specialization, args, kwargs)
            if found is not GUARD_FAILED:
                return found
        return self.general_call(*args, **kwargs)

    def general_call(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Find the specialization for these arguments, or make it."""
        with exclusive_tracing():
            leaves: list[Any] = []
            kinds = kind_of((args, kwargs), leaves)
            given = [x for x in leaves if is_array(x)]
            # Which arguments are the same object: they share writes and gradients.
            first: dict[int, int] = {}
            same = tuple([first.setdefault(id(x), k) for k, x in enumerate(given)])
            key = kinds, same, recording.get()
            specialization = self.find(key, given) or self.make(key, (args, kwargs), given)
            arrays = [x.data if isinstance(x, Tensor) else x for x in given]
            if specialization.overlaps(arrays):
                return self.function(*args, **kwargs)
        return specialization.run(arrays, given)

    def find(self, key: Any, given: list[Any]) -> Specialization | None:
        """The specialization for this kind of arguments that is not stale, moved to the front."""
        reason = ""
        for specialization in self.specializations:
            if specialization.key == key and specialization.finds_the_same(given):
                why = specialization.stale()
                if not why:
                    self.specializations.remove(specialization)
                    self.specializations.insert(0, specialization)
                    return specialization
                reason = reason or why
        if reason:
            self.reasons[:] = [*self.reasons[1 - KEPT :], reason]
        return None

    def make(self, key: Any, arguments: Any, given: list[Any]) -> Specialization:
        start = perf_counter()
        with collector_paused():
            traced, guards, build = trace_and_verify(self.function, arguments, begin_build)
            seconds = perf_counter() - start
            specialization = Specialization(key, arguments, given, traced, guards, build(), seconds)
        self.specializations = [specialization, *self.specializations[: KEPT - 1]]
        self.traces += 1
        if self.traces == MANY:
            why = self.reasons[-1] if self.reasons else "arguments of new shapes, dtypes or numbers"
            name = getattr(self.function, "__qualname__", "a function")
            warn(
                f"{name} was traced and compiled {MANY} times, the last time for: {why}. Numbers "
                "that change belong in arrays, and shapes that change can be padded",
                RuntimeWarning,
            )
        return specialization

    @property
    def draws(self) -> bool:
        """Whether the next call may draw random numbers: layers did when it was traced last."""
        return not self.specializations or bool(self.specializations[0].traced.drawn)

    def explain(self, profile: bool = False) -> Report:
        """The program that the last call ran: its kernels, and the work and memory traffic of each.

        With `profile`, also how long each takes: see `Report.profile`.
        """
        found = report(self.function, self.specializations[0] if self.specializations else None)
        return found.profile() if profile else found

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write the program that the last call ran as C, into a folder, or as "NAME.wasm", so that
        it stands alone: `minigrad.export`."""
        from minigrad.compiler.export import export

        name = getattr(self.function, "__name__", "")
        export(path, **{name if name.isidentifier() else "run": self})


def named(x: Any) -> Any:
    """What is found in a module under the name of a function."""
    found: Any = sys.modules.get(x.__module__)
    for part in getattr(x, "__qualname__", "").split("."):
        found = getattr(found, part, None)
    return found


def kind_of(x: Any, leaves: list[Any]) -> Any:
    """The key of the specialization for these arguments: everything but the numbers in arrays.

    Arrays, Tensors and other values in the arguments are appended to `leaves`.
    """
    kind = type(x)
    if issubclass(kind, Tensor):
        leaves.append(x)
        return kind, x.shape, x.dtype, x.requires_grad, x.node.op is None, x.node.grad is None
    if issubclass(kind, np.ndarray):
        leaves.append(plain(x))
        return kind, x.shape, x.dtype
    if issubclass(kind, dict):
        keys = tuple([(type(key), key) for key in x])
        parts = tuple([kind_of(part, leaves) for part in x.values()])
        return kind, getattr(x, "default_factory", None), keys, parts
    if issubclass(kind, list | tuple):
        return kind, tuple([kind_of(part, leaves) for part in x])
    if x is None:
        return None
    leaves.append(check_library("an argument of a compiled function", x))
    # The repr tells 0.0 from -0.0, and is the same for any NaN.
    return (kind, repr(x)) if is_itself(x) else id(x)


def begin_build(graph: Graph) -> Callable[[], Program | NumpyProgram]:
    """Begin to build the graph as C. The function that is returned waits for it; where C cannot be
    built, it warns, and the graph is run by NumPy."""
    plan, process = plan_of(graph), os.getpid()

    def program() -> Program | NumpyProgram:
        if os.getpid() != process:  # forked, without the thread that builds
            plan.building = None
        try:
            return Program(graph, plan)
        except (BuildError, OSError) as error:
            warn(f"compiled functions run on NumPy: {error}", RuntimeWarning)
            return NumpyProgram(simplify(graph))

    return program


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause garbage collection: a trace keeps what it records, and scanning that takes a fifth of
    the time. Afterwards all objects are moved to the oldest generation, which is scanned least."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def trace_and_verify(
    function: Callable[..., Any], arguments: Any, begin: Callable[[Graph], T]
) -> tuple[Traced, Guards, T]:
    """Trace, and check that the function changes nothing outside of it: by another run, before
    which `begin` is called with the graph, to build it meanwhile. What it returns is returned.

    In its first run the function may set things up (a cache, a lazy attribute): then it is traced
    again. What it made then and writes into is refused, as the first run may have written into it.
    """
    first = Guards(captured(function, leaves_of(arguments, "argument ")))
    try:
        guards = first
        for _ in range(2):
            with unchanged_arrays(guards):
                traced, again = trace(function, arguments, guards.found)
            changed = guards.broken()
            if not changed:
                check_made_before(traced, guards, first)
                begun = begin(traced.graph)
                with unchanged_arrays(guards):
                    again()
                if not (changed := guards.broken()):
                    guards.add_gradients(bool(traced.grads or traced.fresh), traced.discarded)
                    return traced, guards, begun
                break
            begin_states(first)
            guards = Guards(captured(function, leaves_of(arguments, "argument ")))
        raise changes(changed)
    except BaseException:
        first.restore()
        raise


def changes(what: str) -> TraceError:
    return TraceError(
        f"a compiled function changes what is outside of it: {what}. That would be done once, and "
        "not at each call: return what is computed, and keep count outside"
    )


def begin_states(first: Guards) -> None:
    """What an optimiser's state was found to lack (it was cleared, or a setting has changed) begins
    as zeros: the trace has written into it already."""
    for state, before in first.contents:
        if isinstance(state, Memory):
            for key in state.keys() - set(before):
                state[key] = np.zeros(state[key].shape, state[key].dtype)


def check_made_before(traced: Traced, guards: Guards, first: Guards) -> None:
    """Raise if the function writes into a Tensor, or adds to the gradient of one, that it has made
    itself, in its first run."""
    holders = {id(x) for x, _ in first.contents}
    slots = (x[key] for x, key, _ in guards.found.slots if id(x) in holders)
    tensors = (t.data for t in first.found.tensors.values())
    known = {*first.found.arrays, *map(id, tensors), *map(id, slots)}
    written = {value for value, _ in traced.graph.writes}
    states = [array for array, value in traced.states if value in written]
    captured = {*guards.found.tensors.values()} - traced.discarded
    for array in (*states, *(t.data for t, _ in traced.grads if t in captured)):
        if id(array) not in known:
            raise UnsupportedError(
                f"a compiled function makes {guards.name_of(array, 'a Tensor')} of shape "
                f"{array.shape} at its first call, and writes into it, or adds to its gradient, at "
                "each: make it before the first call"
            )


@contextmanager
def unchanged_arrays(guards: Guards) -> Iterator[None]:
    """Restore captured arrays and random generators at the end, and raise if they had changed."""
    arrays = list(guards.found.arrays.values())
    before = [array.copy() for array in arrays]
    drawn = [(bits_of(x), x, name) for x, name in guards.found.generators.values()]
    try:
        yield
    finally:
        changed = [restore_array(*pair) for pair in zip(arrays, before, strict=True)]
        drawn = [(bits, x, name) for bits, x, name in drawn if bits_of(x) != bits]
        for bits, x, _ in drawn:
            set_bits(x, bits)
    for _, x, name in drawn:
        given = name if isinstance(x, np.random.Generator) else None
        raise TraceError(
            f"a compiled function draws random numbers by {name}, which would be the same at every "
            f"call: draw them by minigrad.random.uniform({given}, shape), which each call does "
            "anew, or outside, and pass them in"
        )
    if any(changed):
        raise changed_in_place(arrays[changed.index(True)].shape)


def restore_array(array: np.ndarray, before: np.ndarray) -> bool:
    """Restore an array; return whether it had changed."""
    changed = array.tobytes() != before.tobytes()
    if changed:
        array[...] = before
    return changed
