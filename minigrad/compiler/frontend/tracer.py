"""Tracing: a function is run on tracers, arrays without numbers that record ops on them."""

from __future__ import annotations

import functools
import itertools
import linecache
import operator
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import get_ident
from typing import Any

import numpy as np

from minigrad.autograd import recording
from minigrad.compiler.graph.ir import Graph, Value, how_of
from minigrad.compiler.graph.opset.infer import infer
from minigrad.compiler.runtime.interpreter import numpy_program
from minigrad.dispatch import Traced, call, call_ufunc, implementations, implements, is_traced
from minigrad.errors import (
    OWN_FILES,
    DtypeError,
    MinigradError,
    TraceError,
    UnsupportedError,
    is_nested,
    plain,
    refusal_of,
    unsupported_dtype,
)
from minigrad.functional.hook import hook_op
from minigrad.graph import Node, births
from minigrad.names import missing
from minigrad.ops.base import Op, registry
from minigrad.ops.views import (
    assign,
    check_writeable,
    define_in_place,
    is_view,
    views_of,
)
from minigrad.tensor import Tensor
from minigrad.watch import apply, watchers
from minigrad.writes import Overwritten, log

tracing: ContextVar[Recorder | None] = ContextVar("tracing", default=None)
# The recorder of the trace that goes on in any thread: one traces at a time.
in_progress: list[Recorder] = []

# The dtypes that have a C type, as NumPy's own objects, so that `is` compares them. Half precision
# is not supported: without hardware for it, it is slow.
DTYPES = {np.dtype(x): np.dtype(x) for x in "? b h i q l B H I Q L f d".split()}

ARRAYS = (np.ndarray, np.generic)

# NumPy functions whose result depends on an array's shape and dtype only.
QUESTIONS = (np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.iscomplexobj)
LIKE = (np.zeros_like, np.ones_like, np.empty_like, np.full_like)
PRINTING = (np.array2string, np.array_repr, np.array_str)
# NumPy functions that return a copy even if nothing changes.
COPYING = "astype clip pad repeat roll round tile".split()
# NumPy functions that make an array of what they are given, and whether it is always a copy.
ARRAY_MAKERS = {"array": True, "asarray": None, "asanyarray": None}
# NumPy functions that return a scalar, and end in an op of which NumPy makes a 0-d array.
NUMBERS = "std inner einsum take round".split()
# Ops whose results are views in NumPy.
VIEWS = "reshape transpose expand slice".split()
# Ops with index arrays, and which of their inputs is the first of these.
INDEXED = {"gather": 1, "scatter_add": 1, "updated": 2}


def refused(error: MinigradError) -> MinigradError:
    """Remember a refusal, to be raised again when the traced run ends: see TraceError."""
    for recorder in in_progress:
        recorder.refusal = recorder.refusal or error
    return error


TraceError.observers.append(refused)


def recorder_here() -> Recorder:
    """The recorder of the trace that this thread, or task, is a part of.

    Raises:
        TraceError: if there is none. The trace is refused too: the function may catch this error.
    """
    recorder = tracing.get()
    if recorder is None:
        raise TraceError(
            "an array of a function that is being compiled, which has no numbers yet, is used in "
            "another thread, in another context (contextvars.Context), or after the function has "
            "returned: compute with it in the function itself, or return it and pass it to the "
            "thread outside"
        )
    return recorder


@contextmanager
def noted() -> Iterator[None]:
    """Inside, errors for what is not supported are remembered as refusals."""
    try:
        yield
    except (UnsupportedError, DtypeError) as error:
        raise refused(error) from error.__cause__


class Recorder:
    """The record of a trace: values in the order they are made.

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
        self.values: list[Value] = []
        self.drawn: list[tuple[Any, Value]] = []
        self.met: dict[int, tuple[Any, Value]] = {}
        self.leaves: list[Value] = []
        self.rules: dict[Any, Any] = {}  # see rules.py
        # Of Tensors: the value of each node, the leaves that a reverse pass reached, and the birth
        # of the first node of the trace.
        self.made: dict[Node, Value] = {}
        self.reached: set[Node] = set()
        # Leaves whose gradients were set to None before anything else was done with them.
        self.cleared: set[Node] = set()
        self.birth = next(births)
        self.thread = get_ident()
        self.refusal: MinigradError | None = None
        self.errors: dict[str, Any] = {**np.geterr()}
        self.again: Iterator[Value] | None = None
        self.drawn_again: Iterator[tuple[Any, Value]] = iter(())

    def record(self, op: Op, inputs: list[Any], attributes: dict[str, Any]) -> Value:
        if self.again is not None:
            return self.repeat(op, inputs, attributes)
        value = self.applied(op, inputs, attributes)
        self.values.append(value)
        if self.known and self.is_known(value.inputs):
            self.known.add(value)
        return value

    def applied(self, op: Op, inputs: list[Any], attributes: dict[str, Any]) -> Value:
        own = self.value_of
        values = tuple([x.value if type(x) is Tracer else own(x) for x in inputs])
        try:
            shape, dtype = infer(op, values, attributes)
        except UnsupportedError as error:
            raise refused(error) from None
        except MinigradError:
            raise
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            raise refusal_of(op.name, list(map(shown, inputs)), attributes, error) from error
        if dtype.kind not in "fiub":
            raise refused(unsupported_dtype(f"{op.name}: the result", dtype))
        return Value(op, values, attributes, shape, dtype)

    def is_known(self, values: Iterable[Any]) -> bool:
        """Whether the result of an op is known: all its inputs are known, or constants."""
        some = False
        for x in values:
            if type(x) is Value and x.kind != "constant":
                if x not in self.known:
                    return False
                some = True
        return some

    def state(self, array: np.ndarray) -> Value:
        """The value of a captured array, which each call reads."""
        dtype = checked(array.dtype.newbyteorder("="))
        value = Value(None, (), {}, array.shape, dtype, "state", array)
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
        now = [x.value if isinstance(x, Tracer) else x for x in inputs]
        value = next(self.again, None)  # type: ignore[arg-type]  # set by start_again
        differs = VARIES
        if value is not None and value.op is op and len(inputs) == len(value.inputs):
            pairs = zip(now, value.inputs, strict=True)
            differs = next(filter(None, (difference(x, y) for x, y in pairs if x is not y)), "")
            differs = differs or VARIES * (how_of(attributes) != value.how)
        if differs:
            # An op that is wrong by itself says so here: the first run may have caught that error.
            rest = [] if value is None else [value]
            self.again = itertools.chain(rest, self.again)  # type: ignore[arg-type]  # set by start_again
            self.applied(op, inputs, attributes)
            raise TraceError(differs)
        if op.family != "movement":
            self.check_settings()
        return value  # type: ignore[return-value]  # not None

    def check_settings(self) -> None:
        """Refuse np.errstate and debug(), which would act on numbers."""
        now = np.geterr()
        if any(how not in ("ignore", self.errors[kind]) for kind, how in now.items()):
            raise TraceError(
                "np.errstate in a compiled function, where nothing is raised or printed: look at "
                "what it returns, outside, by np.isfinite"
            )
        if watchers.get():
            raise TraceError(
                "debug(), or another watcher of ops, in a compiled function, which has no numbers "
                "while it is traced: put it around the call, which is then run op by op"
            )

    def value_of(self, x: Any) -> Any:
        """The graph's value for an input of an op: an array made while tracing is a constant."""
        if isinstance(x, Tracer):
            return x.value
        if type(x) is Overwritten:
            x.refuse()
        if isinstance(x, ARRAYS):
            if id(x) not in self.met or not holds(self.met[id(x)][1], x):
                # Held, so that no other array gets its id.
                self.met[id(x)] = x, self.leaf_of(np.asarray(plain(x)))
            return self.met[id(x)][1]
        return x

    def leaf_of(self, array: np.ndarray) -> Value:
        dtype = checked(array.dtype.newbyteorder("="))
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

    def draw(self, rng: Any, shape: tuple[int, ...]) -> Tracer:
        """A tracer for random numbers that a layer draws; each call draws them anew."""
        if self.again is None:
            self.drawn.append((rng, Value(None, (), {}, shape, np.dtype(np.float32), "input")))
            return Tracer(self.drawn[-1][1])
        before, value = next(self.drawn_again, (None, None))
        if before is not rng or value is None or value.shape != shape:
            raise varies()
        return Tracer(value)

    def start_again(self) -> None:
        self.again, self.drawn_again = iter(self.values), iter(self.drawn)

    def check_end(self) -> None:
        if next(self.again, None) or next(self.drawn_again, None):  # type: ignore[arg-type]  # set
            raise varies()


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


def checked(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype not in DTYPES:
        raise UnsupportedError(
            f"a compiled function computes with an array of {dtype}: it takes booleans, integers, "
            "float32 and float64. Pass x.astype(np.float32), or keep what is not computed "
            "with in an attribute, or in a variable outside"
        )
    return DTYPES[dtype]


def check_same(x: Any, before: Any) -> None:
    """Compare an input of an op, or a result, with that of the first run.

    Raises:
        TraceError: if it differs: the trace would be stale in the next call.
    """
    if differs := difference(x, before):
        raise TraceError(differs)


def difference(x: Any, before: Any) -> str:
    """How an input of an op differs from that of the first run, in words; empty if it does not."""
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


def varies() -> TraceError:
    return TraceError(VARIES)


def is_known(x: Tracer) -> bool:
    """Whether it is computed from captured arrays alone, so that its numbers can be read."""
    return x.value in recorder_here().known


def all_known(x: Any) -> bool:
    """Whether all traced arrays in arguments can be read."""
    if isinstance(x, dict):
        x = [*x.values()]
    if isinstance(x, list | tuple):
        return all(map(all_known, x))
    return not isinstance(x, Tensor) and (not is_traced(x) or is_known(x))


def in_numbers(x: Any) -> Any:
    """Arguments with the numbers of known tracers in place of them."""
    if isinstance(x, list | tuple):
        return type(x)([in_numbers(part) for part in x])
    if isinstance(x, dict):
        return {key: in_numbers(part) for key, part in x.items()}
    return x.numbers("NumPy") if is_traced(x) else x


def or_by_numpy(method: Callable[..., Any], name: str = "") -> Callable[..., Any]:
    """If a method cannot be traced, have NumPy compute it, provided all its inputs are known."""
    name = name or method.__name__

    @functools.wraps(method)
    def either(self: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_here()
        before = recorder.refusal
        try:
            found = method(self, *args, **kwargs)
            asked = args[0].__name__ if name == "__array_function__" else name
            return numbered(found) if asked in NUMBERS else found
        except (MinigradError, TypeError):
            if not all_known((self, args, kwargs)):
                raise
            recorder.refusal = before
            this, args, kwargs = in_numbers((self, args, kwargs))
        if name == "__array_ufunc__":
            ufunc, how, *inputs = args
            return getattr(ufunc, how)(*inputs, **kwargs)
        if name == "__array_function__":
            function, _, given, named = args
            return function(*given, **named)
        return getattr(this, name)(*args, **kwargs)

    return either


def numbered(x: Any) -> Any:
    """A scalar in place of a 0-d array."""
    if isinstance(x, Tensor) or not is_traced(x) or x.shape:
        return x
    number = Tracer(x.value)
    number.writeable = False
    return number


class Tracer(Traced):
    """An array while a function is traced: it has a shape and a dtype, but no numbers.

    A write into it gives it another value of the graph. It has views: see `ops.views`. Where NumPy
    has something read-only it is not `writeable`: a single number (`x.sum()`, unlike a 0-d array),
    and what `broadcast_to` returns.
    """

    __slots__ = ("__weakref__", "value", "writeable")
    content = "value"

    def __init__(self, value: Value) -> None:
        self.value, self.writeable = value, True

    @staticmethod
    def of(value: Value) -> Tracer:
        return Tracer(value)

    def __getattr__(self, name: str) -> Any:
        if is_number(self) and hasattr(self.dtype.type, name) and not name.startswith("__"):
            return getattr(self.numbers(f"x.{name}")[()], name)
        return missing(self, name)

    # To isinstance it is what NumPy has there. NumPy looks at the type, and so calls the protocols
    # below.
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return self.dtype.type if is_number(self) else np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.value.dtype

    @property
    def ndim(self) -> int:
        return len(self.value.shape)

    @property
    def size(self) -> int:
        return self.value.size

    @property
    def base(self) -> Any:
        return self.source if is_view(self) else None

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def flags(self) -> Any:
        return Flags(self.writeable)

    def setflags(self, write: bool) -> None:
        self.writeable = write

    def store(self, new: Any) -> None:
        """Stand for another value from here on."""
        recorder = tracing.get()
        if recorder is not None and id(self) in recorder.stand_ins:
            raise changed_in_place(self.shape)
        self.value = value_of(new)
        log.note([self])

    @property
    def T(self) -> Any:  # noqa: N802  # NumPy's name
        return implementations[np.transpose](self)

    @property
    def real(self) -> Any:
        return self

    def __len__(self) -> int:
        return len(zeros(self))

    def __iter__(self) -> Iterator[Any]:
        return (implementations["getitem"](self, k) for k in range(len(self)))

    def __repr__(self) -> str:
        if in_progress and not is_shown():
            recorder_here()
            raise reading("making text of it, other than on a line that does nothing but print()")
        return f"<traced {self.dtype} array of shape {self.shape}>"

    def __format__(self, spec: str) -> str:
        if spec:
            raise reading("making text of it")
        return repr(self)

    def __hash__(self) -> int:
        return hash(self.numbers("hashing it, as sets and keys of dicts do").item())

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.numbers("pickling it").__reduce_ex__(protocol)

    def __copy__(self) -> Any:
        return implementations[np.copy](self)

    def __deepcopy__(self, memo: Any) -> Any:
        return implementations[np.copy](self)

    def __complex__(self) -> complex:
        return complex(self.numbers("complex()").item())

    # NumPy's protocols

    def numbers(self, how: str) -> np.ndarray:
        """Its numbers, if they are known (they become a guard); else raise, naming `how` they were
        asked for."""
        recorder, value = recorder_here(), self.value
        if value not in recorder.known:
            raise reading(how)
        return recorder.numbers(value)

    @or_by_numpy
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        with noted():
            return call_ufunc(ufunc, method, inputs, kwargs)

    @or_by_numpy
    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in QUESTIONS:
            args = [zeros(x) if is_traced(x) else x for x in args]
            return function(*args, **kwargs)
        if function in LIKE:
            return filled(function, *args, **kwargs)
        if function in PRINTING:
            return repr(args[0])
        with noted():
            found = call(function, args, kwargs)
        if args and found is args[0] and function.__name__ in COPYING:
            return implementations[np.copy](found)
        return Tracer(found.value) if function is np.copy and is_traced(found) else found

    def __setitem__(self, index: Any, value: Any) -> None:
        with noted():
            if index is Ellipsis or (isinstance(index, slice) and index == slice(None)):
                check_writeable(self)
                assign(self, filled_with(self, value))
            else:
                implementations["setitem"](self, index, value)

    def flatten(self) -> Any:
        return implementations[np.copy](implementations[np.ravel](self))

    def item(self, *index: Any) -> Any:
        return self.numbers("item()").item(*index)

    def tolist(self) -> Any:
        return self.numbers("tolist()").tolist()

    # Errors that NumPy raises for any numbers (float() of a vector) come first: code may catch it.

    def __float__(self) -> float:
        float(zeros(self))
        return float(self.numbers(f"float(), a function of math (np.sqrt is compiled), {FILLING}"))

    def __int__(self) -> int:
        int(zeros(self))
        return int(self.numbers("int()"))

    def __index__(self) -> int:
        operator.index(zeros(self))
        return operator.index(self.numbers("an index"))

    def __bool__(self) -> bool:
        bool(zeros(self)) if self.size else None
        if not is_known(self):
            raise TraceError(
                "a compiled function branches on a value that is computed in it (if, while, and, "
                "or, assert, in, max(), sorted()): write np.where(condition, a, b), np.maximum or "
                "np.sort, or leave the branch outside"
            )
        return bool(self.numbers("a branch"))

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        how = (
            "a NumPy function that minigrad does not implement, as an index of an array that is "
            f"not traced itself (Tensor(array)[i] is compiled), {FILLING}"
        )
        return np.array(self.numbers(how), dtype, copy=copy)


# Operators and methods are those of Tensors: all lead to `implementations`.
TENSORS_OWN = "backward detach of _cotangent __format__ __reduce__".split()
for name, member in vars(Tensor).items():
    if callable(member) and name not in vars(Tracer) and name not in TENSORS_OWN:
        setattr(Tracer, name, or_by_numpy(member, name))


def is_shown() -> bool:
    """Whether a repr cannot affect results: it is for a message of minigrad, or for a line of the
    user's that begins with print(."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename in (__file__, Tensor.__repr__.__code__.co_filename):
        frame = frame.f_back  # type: ignore[assignment]  # not None here
    if frame.f_code.co_filename in OWN_FILES:
        return True
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno, frame.f_globals)
    return line.strip().startswith("print(")


class Flags:
    """The flags of a tracer, whose memory layout is not known."""

    def __init__(self, writeable: bool) -> None:
        self.writeable = writeable

    def __getattr__(self, name: str) -> Any:
        if sys._getframe(1).f_code.co_filename in OWN_FILES:
            return None
        raise reading(f"its flags.{name}: how it lies in memory is not known either")


def fetching(name: str) -> Any:
    """The ndarray attribute of this name: the NumPy function, if minigrad implements it, or else
    one that needs the numbers."""
    function = getattr(np, name, None)

    def apply(self: Tracer, *args: Any, **how: Any) -> Any:
        return implementations[function](self, *args, **how)

    def read(self: Tracer, *args: Any, **how: Any) -> Any:
        return getattr(self.numbers(f"x.{name}()"), name)(*args, **how)

    if function in implementations and name not in CHANGING:
        apply.__name__ = name
        return or_by_numpy(apply)
    if callable(getattr(np.ndarray, name, read)):
        return read
    return property(lambda self: getattr(self.numbers(f"x.{name}"), name))


# Methods that write into the array, or take other arguments than the function of the same name.
CHANGING = "sort partition put resize compress".split()
for name in dir(np.ndarray):
    if not name.startswith("_") and not hasattr(Tracer, name):
        setattr(Tracer, name, fetching(name))


def copying(method: Any) -> Any:
    """A method that returns a copy even if nothing changes."""

    def method_of(self: Tracer, *args: Any, **kwargs: Any) -> Any:
        found = method(self, *args, **kwargs)
        return implementations[np.copy](self) if found is self else found

    return method_of


# Operators that Tensors lack, for integers in captured arrays.
for name in "lshift rlshift rshift rrshift divmod rdivmod round trunc floor ceil".split():
    setattr(Tracer, f"__{name}__", fetching(f"__{name}__"))
for name in COPYING:
    if name in vars(Tracer):
        setattr(Tracer, name, copying(vars(Tracer)[name]))
define_in_place(Tracer)


def setting(self: Tracer, value: Any) -> None:
    raise TraceError(
        "a compiled function sets an attribute of an array (x.shape = ..., x.flat = ...): write "
        "x = x.reshape(shape), x = x.astype(dtype), or x[...] = value"
    )


for name, member in [*vars(Tracer).items()]:
    if isinstance(member, property) and not name.startswith("_"):
        setattr(Tracer, name, member.setter(setting))
TracerView, as_traced_view = views_of(Tracer, "value")


FILLING = (
    "or writing it into an array that is not traced itself (Tensor(np.zeros(3)) and "
    "np.zeros_like(x, shape=3) can be written into, and np.array joins parts)"
)


def reading(how: str) -> TraceError:
    return TraceError(
        f"a compiled function reads a value that is computed in it, by {how}: while it is traced "
        "there is no number yet. Return the value and read it outside, or compute with NumPy "
        "functions, which are compiled"
    )


def changed_in_place(shape: tuple[int, ...]) -> TraceError:
    return TraceError(
        f"a compiled function changes an array of shape {shape} in place, which would be done "
        "once and not at each call: make it a Tensor, and write into t.data"
    )


def zeros(x: Tracer) -> np.ndarray:
    return np.broadcast_to(np.zeros((), x.dtype), x.shape)


def array_maker(name: str) -> Callable[..., Any]:
    """np.array or the like, that also takes what is traced."""
    function, copies = getattr(np, name), ARRAY_MAKERS[name]

    @functools.wraps(function)
    def make(*args: Any, **how: Any) -> Any:
        if tracing.get() is None or not args or all_known(args[0]):
            return function(*args, **how)
        return traced_array(*args, **{"copy": copies, **how})

    return make


def traced_array(x: Any, dtype: Any = None, order: Any = None, *, copy: Any, **how: Any) -> Any:
    """np.array(x) of a tracer, a Tensor, or nested lists of these and numbers."""
    if any(how.values()):
        raise reading(f"np.array(..., {', '.join(how)})")
    given = x.__array__() if isinstance(x, Tensor) else x
    listed = isinstance(given, list | tuple)
    found: Any = np.stack([np.asarray(part) for part in given]) if listed else given
    if dtype is not None and found.dtype != dtype:
        found = found.astype(dtype)
    if copy and found is given:
        found = implementations[np.copy](found)
    return Tracer(found.value) if is_traced(found) and is_number(found) else found


def filled(function: Any, a: Any, *args: Any, **kwargs: Any) -> Tracer:
    """np.zeros_like and the like: one number, broadcast."""
    number: Any = int(function is np.ones_like)
    rest = list(args)
    if function is np.full_like:
        number = rest.pop(0) if rest else kwargs.pop("fill_value")
    form = np.empty_like(zeros(a) if is_traced(a) else a, *rest, **kwargs)
    number = number if is_traced(number) else np.asarray(number)
    number = Tracer(value_of(number.astype(form.dtype)))
    result: Tracer = traced_apply(registry["expand"], (number,), {"shape": form.shape})
    return Tracer(result.value)  # it can be written into


def filled_with(target: Tracer, new: Any) -> Any:
    """`new` in the target's dtype and shape, as it is after `target[...] = new`."""
    new = new.data if isinstance(new, Tensor) else new
    new = new if is_traced(new) else Tracer(value_of(np.asarray(new, target.dtype)))
    if new.dtype != target.dtype or new.value.op is None:
        new = new.astype(target.dtype)
    if (extra := new.ndim - target.ndim) > 0 and set(new.shape[:extra]) == {1}:
        new = new.reshape(new.shape[extra:])  # as NumPy does in assignments
    return new if new.shape == target.shape else np.broadcast_to(new, target.shape)


def value_of(x: Any) -> Any:
    return recorder_here().value_of(x)


def traced_apply(op: Op, inputs: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
    """Op.__call__ while tracing: with a tracer among the inputs it records, and gives a tracer."""
    recorder = tracing.get()
    live = any_traced = listed = False
    for x in inputs:
        kind = type(x)
        if kind is Tracer or kind is TracerView:
            any_traced = True
        elif issubclass(kind, Tensor):
            live = True
            any_traced = any_traced or is_traced(x.node.value)
        elif is_nested(x):
            listed = True
    if not any_traced or recorder is None:
        return apply(op, *inputs, **attributes)
    if recorder.known:
        attributes = {key: settled(x) for key, x in attributes.items()}
        if op.name in INDEXED:
            first = INDEXED[op.name]
            inputs = (*inputs[:first], *map(mask_read, inputs[first:]))
    if listed:
        inputs = tuple([np.asarray(x) if is_nested(x) else x for x in inputs])
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
        result = Tracer(recorder.record(op, arrays, attributes))
        if op.family != "movement" or is_number_of(op, result, arrays[0], attributes):
            result.writeable = bool(result.value.shape) or op.name == "where"
        elif op.name in VIEWS and is_traced(arrays[0]):
            certain = op.name != "reshape" or splits_only(arrays[0].shape, result.shape)
            result = as_traced_view(result, arrays[0], op, attributes, certain)
            result.writeable = not certain or (op.name != "expand" and arrays[0].writeable)
    if not live:
        return result
    if not (recorded and recording.get()):
        return Tensor.of(Node(result))
    requires_grad = requires_grad and result.value.dtype.kind == "f" and op.vjps != ()
    # Without the user's line: this graph is not shown.
    node = Node(result, requires_grad, op, nodes, attributes, None, arrays)
    if requires_grad and op is not hook_op and recorder.again is None:
        recorder.made[node] = result.value
    return Tensor.of(node)


def is_number(x: Tracer) -> bool:
    """Whether NumPy has a scalar there, and not a 0-d array, which is writeable or a view."""
    return not (x.shape or x.writeable or is_view(x))


def is_number_of(op: Op, result: Tracer, x: Any, attributes: dict[str, Any]) -> bool:
    """Whether the result is a scalar in NumPy: an index picks one number, or the input was one."""
    if op.name in ("astype", "reshape", "transpose") and isinstance(x, Tracer) and is_number(x):
        return not result.shape
    return op.name in ("slice", "gather") and not (
        result.shape or any(part is ... for part in attributes["index"])
    )


def splits_only(shape: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """Whether a reshape merges no axes, so that it is a view whatever the strides are."""
    if 0 in shape:
        return True
    sizes = iter([n for n in new if n != 1])
    for size in (n for n in shape if n != 1):
        part = 1
        while part < size:
            part *= next(sizes, size + 1)
        if part != size:
            return False
    return next(sizes, None) is None


@implements("cleared")
def note_cleared(t: Tensor) -> None:
    grad = t.grad.data if isinstance(t.grad, Tensor) else t.grad
    if (recorder := tracing.get()) is not None and (grad is None or is_leaf(grad)):
        recorder.cleared.add(t.node)


def is_leaf(x: Any) -> bool:
    return isinstance(x, Tracer) and x.value.op is None


def mask_read(x: Any) -> Any:
    """An index; a known mask as its numbers, on which the shape of the result depends."""
    array: Any = x.data if isinstance(x, Tensor) else x
    if is_traced(array) and array.dtype.kind == "b" and is_known(array):
        return array.numbers("a mask")
    return x


def settled(x: Any) -> Any:
    """An attribute with the numbers of known tracers in place of them."""
    if isinstance(x, tuple):
        return tuple([settled(part) for part in x])
    if isinstance(x, slice):
        return slice(settled(x.start), settled(x.stop), settled(x.step))
    if not (is_traced(x) and is_known(x)):
        return x
    return x.numbers("an attribute") if x.shape else x.item()


def shown(x: Any) -> Any:
    """An input as messages describe it."""
    return zeros(x) if is_traced(x) else x
