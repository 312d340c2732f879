"""The tracer, which stands in for an array while a function is traced: it records ops on it."""

from __future__ import annotations

import functools
import linecache
import operator
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad.compiler.frontend.recorder import (
    in_progress,
    recorder_here,
    remembering_errors,
    tracing,
    value_of,
    zeros,
)
from minigrad.compiler.graph.ir import Value
from minigrad.dispatch import Traced, call, call_ufunc, implementations, is_traced
from minigrad.errors import (
    OWN_FILES,
    SPARSE,
    MinigradError,
    TraceError,
    instead_of_scipys,
    of_sparse,
)
from minigrad.graph import births
from minigrad.methods import Methods
from minigrad.names import missing
from minigrad.ops.base import registry
from minigrad.ops.views import assign, check_writeable, define_in_place, held, is_view, views_of
from minigrad.tensor import Tensor
from minigrad.transforms.batched import is_batched
from minigrad.transforms.trees import leaves_of, map_tree
from minigrad.writes import log

# NumPy functions whose result depends on an array's shape and dtype only.
# Attributes that only np.memmap has.
MAPPED = "filename offset mode flush".split()
QUESTIONS = (np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.iscomplexobj)
# NumPy functions that make an array of what they are given, and whether it is always a copy.
ARRAY_MAKERS = {"array": True, "asarray": None, "asanyarray": None}
# NumPy functions that return a copy even if nothing changes.
COPYING = "clip pad repeat roll round tile".split()
# NumPy functions that return a scalar, and end in an op of which NumPy makes a 0-d array.
NUMBERS = "std inner einsum take round".split()


# Concrete values: what depends on captured arrays alone has numbers while tracing already, which
# Python and NumPy may read. They become guards.


def is_known(x: Any) -> bool:
    """Whether it is computed from captured arrays alone, so that its numbers can be read."""
    return not is_batched(x) and x.value in recorder_here().known


def all_concrete(x: Any) -> bool:
    """Whether all traced arrays in arguments can be read."""
    return not any(
        isinstance(part, Tensor) or (is_traced(part) and not is_known(part))
        for _, part in leaves_of(x)
    )


def has_batched(x: Any) -> bool:
    return any(is_batched(part) for _, part in leaves_of(x))


def with_concrete_values(x: Any) -> Any:
    """Arguments with the numbers of known tracers in place of them."""
    return map_tree(lambda part: part.numbers("NumPy") if is_traced(part) else part, x)


def numpy_fallback(method: Callable[..., Any], name: str = "") -> Callable[..., Any]:
    """If a method cannot be traced, have NumPy compute it, provided all its inputs are known."""
    name = name or method.__name__

    @functools.wraps(method)
    def traced_or_numpy(self: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_here()
        before = recorder.refusal
        try:
            with remembering_errors():
                found = method(self, *args, **kwargs)
            asked = args[0].__name__ if name == "__array_function__" else name
            return as_scalar(found) if asked in NUMBERS else found
        except (MinigradError, TypeError) as error:
            if isinstance(error, LayoutError) or not all_concrete((self, args, kwargs)):
                raise
            recorder.refusal = before
            this, args, kwargs = with_concrete_values((self, args, kwargs))
        if name == "__array_ufunc__":
            ufunc, how, *inputs = args
            return getattr(ufunc, how)(*inputs, **kwargs)
        if name == "__array_function__":
            function, _, given, named = args
            return function(*given, **named)
        return getattr(this, name)(*args, **kwargs)

    return traced_or_numpy


def as_scalar(x: Any) -> Any:
    """A scalar in place of a 0-d array."""
    if isinstance(x, Tensor) or not is_traced(x) or x.shape:
        return x
    number = x.of(x.value)
    number.writeable = False
    return number


def concrete_mask(x: Any) -> Any:
    """An index; a known mask as its numbers, on which the shape of the result depends: also where
    it is a captured array for which no tracer stands."""
    array: Any = x.data if isinstance(x, Tensor) else x
    if not (is_traced(array) or isinstance(array, np.ndarray)) or array.dtype.kind != "b":
        return x
    if is_traced(array):
        return array.numbers("a mask") if is_known(array) else x
    recorder = recorder_here()
    value = recorder.value_of(array)
    return recorder.numbers(value).copy() if value in recorder.known else x


def concrete(x: Any) -> Any:
    """An attribute with the numbers of known tracers in place of them."""
    if isinstance(x, tuple):
        return tuple([concrete(part) for part in x])
    if isinstance(x, slice):
        return slice(concrete(x.start), concrete(x.stop), concrete(x.step))
    if not (is_traced(x) and is_known(x)):
        return x
    return x.numbers("an attribute") if x.shape else x.item()


class Tracer(Traced):
    """An array while a function is traced: it has a shape and a dtype, but no numbers.

    A write into it gives it another value of the graph. It has views: see `ops.views`. Where NumPy
    has something read-only it is not `writeable`: a single number (`x.sum()`, unlike a 0-d array),
    and what `broadcast_to` returns.
    """

    __slots__ = ("__weakref__", "birth", "value", "writeable")
    content = "value"

    def __init__(self, value: Value) -> None:
        self.value, self.writeable, self.birth = value, True, next(births)

    @staticmethod
    def of(value: Value) -> Tracer:
        return Tracer(value)

    def __getattr__(self, name: str) -> Any:
        if is_number(self) and hasattr(self.dtype.type, name) and not name.startswith("__"):
            return getattr(self.numbers(f"x.{name}")[()], name)
        if name in MAPPED:
            raise TraceError(
                f"a compiled function reads x.{name}: which file an array is mapped from can "
                "differ in the next call. Read it outside"
            )
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
        if sys._getframe(1).f_code.co_filename not in OWN_FILES:
            raise unseen("its base")
        return self.source if is_view(self) else None

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def flags(self) -> Any:
        return Flags(self)

    def setflags(self, write: bool | None = None, **others: Any) -> None:
        if sys._getframe(1).f_code.co_filename in OWN_FILES:
            self.writeable = bool(write)
        elif write is not None or others:
            raise sets_flags()

    def store(self, new: Any) -> None:
        """Stand for another value from here on."""
        recorder = tracing.get()
        if recorder is not None and id(self) in recorder.stand_ins:
            raise changed_in_place(self.shape)
        if recorder is not None:
            recorder.note_write(self, "value", self.birth)
        self.value = value_of(new)
        log.note([self])

    def check_kept(self, target: Any) -> None:
        recorder = tracing.get()
        if isinstance(target, Tensor) and recorder is not None:
            recorder.note_write(target, "node", target.node.birth)

    @property
    def T(self) -> Any:  # noqa: N802  # NumPy's name
        return implementations[np.transpose](self)

    @property
    def mT(self) -> Any:  # noqa: N802  # NumPy's name
        return implementations[np.matrix_transpose](self)

    real, imag = Methods.real, Methods.imag
    device = "cpu"

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

    def __deepcopy__(self, memo: Any = None) -> Any:
        return implementations[np.copy](self)

    __copy__ = __deepcopy__

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

    @numpy_fallback
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return call_ufunc(ufunc, method, inputs, kwargs)

    @numpy_fallback
    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in QUESTIONS:
            args = [zeros(x) if is_traced(x) else x for x in args]
            return function(*args, **kwargs)
        if function in overrides:
            return overrides[function](*args, **kwargs)
        found = call_copying(function, args, kwargs)
        return Tracer(found.value) if function is np.copy and is_traced(found) else found

    def __setitem__(self, index: Any, value: Any) -> None:
        value = held(self, value)
        with remembering_errors():
            if index is Ellipsis or (isinstance(index, slice) and index == slice(None)):
                check_writeable(self)
                assign(self, filled_with(self, value))
            else:
                implementations["setitem"](self, index, value)

    def flatten(self, order: str = "C") -> Any:
        if order not in ("C", "F"):
            raise unseen(f"flatten({order!r})")
        entries = implementations[np.ravel](self.T if order == "F" else self)
        return implementations[np.copy](entries)

    @numpy_fallback
    def astype(self, dtype: Any, copy: bool = True) -> Any:
        if native(dtype) == self.dtype and not copy:
            return self
        return implementations[np.astype](self, dtype)

    def fill(self, value: Any) -> None:
        self[...] = value

    def sort(self, axis: int = -1, **how: Any) -> None:
        self[...] = np.sort(self, axis, **how)

    # Errors that NumPy raises for any numbers (float() of a vector) come first: code may catch it.

    def __float__(self) -> float:
        float(zeros(self))
        return float(self.numbers(f"float(), a function of math (np.sqrt is compiled), {FILLING}"))

    def __int__(self) -> int:
        int(zeros(self))
        return int(self.numbers("int()"))

    def __index__(self) -> int:
        operator.index(zeros(self))
        return operator.index(self.numbers(INDEXING))

    def __bool__(self) -> bool:
        bool(zeros(self)) if self.size else None
        if not is_known(self):
            raise TraceError(
                "a compiled function branches on a value that is computed in it (if, while, and, "
                "or, assert, in, max(), sorted()): write np.where(condition, a, b), np.maximum or "
                "np.sort, minigrad.cond or while_loop, (a < b) & (b < c) for and, or leave the "
                "branch outside"
            )
        return bool(self.numbers("a branch"))

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        how = (
            "a NumPy function that minigrad does not implement, as an index of an array that is "
            "not traced itself (Tensor(array)[i] is compiled), a list of arrays given to a NumPy "
            f"function (np.stack makes one array of it), {FILLING}"
        )
        return np.array(self.numbers(how), dtype, copy=copy)


# Operators and methods are those of Tensors: all lead to `implementations`.
TENSORS_OWN = "backward detach of item tolist _cotangent __format__ __reduce__".split()
for name, member in {**vars(Methods), **vars(Tensor)}.items():
    if callable(member) and name not in vars(Tracer) and name not in TENSORS_OWN:
        setattr(Tracer, name, numpy_fallback(member, name))


def is_shown() -> bool:
    """Whether a repr cannot affect results: it is for a message of minigrad, or for a line of the
    user's that begins with print(."""
    frame = sys._getframe(2)
    between = {x.__code__.co_filename for x in (is_shown, Tensor.__repr__)}
    while frame.f_code.co_filename in between:
        frame = frame.f_back  # type: ignore[assignment]  # not None here
    if frame.f_code.co_filename in OWN_FILES:
        return True
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno, frame.f_globals)
    return line.strip().startswith("print(")


class Flags:
    """The flags of a tracer, whose memory layout is not known. Whether an argument or a captured
    array can be written into may differ in the next call."""

    def __init__(self, owner: Tracer) -> None:
        object.__setattr__(self, "owner", owner)

    def __getattr__(self, name: str) -> Any:
        x = self.owner
        if sys._getframe(1).f_code.co_filename in OWN_FILES:
            return x.writeable if name == "writeable" else None
        return self[name]

    def __getitem__(self, key: str) -> bool:
        x = self.owner
        given = (x.root if is_view(x) else x).value.kind in ("input", "state")
        known = not given if x.writeable else not is_view(x)
        if key.lower() not in ("writeable", "w") or not known:
            raise unseen(f"its flags.{key}")
        return x.writeable

    def __setattr__(self, name: str, value: Any) -> None:
        if sys._getframe(1).f_code.co_filename not in OWN_FILES:
            raise sets_flags()
        self.owner.writeable = bool(value)

    def __setitem__(self, key: str, value: Any) -> None:
        raise sets_flags()

    def __repr__(self) -> str:
        raise unseen("its flags")


def sets_flags() -> TraceError:
    return TraceError(
        "a compiled function sets flags of an array: leave them out, or set them outside, on what "
        "it returns"
    )


class LayoutError(TraceError):
    """What is read depends on memory, of which also known numbers do not tell."""


def unseen(what: str) -> LayoutError:
    if of_sparse():
        return LayoutError(SPARSE)
    return LayoutError(
        f"a compiled function reads {what}: how an array lies in memory, and whether it can be "
        "written into, is not known while it is traced, and may differ in the next call. "
        + (instead_of_scipys() or "Leave it out: x.copy() has memory of its own, in C order")
    )


def ndarray_attribute(name: str) -> Any:
    """The ndarray attribute of this name: the NumPy function, if minigrad implements it, or else
    one that needs the numbers."""
    function = getattr(np, name, None)

    def apply(self: Tracer, *args: Any, **how: Any) -> Any:
        return call_copying(function, (self, *args), how)

    def write(self: Tracer, *args: Any, **how: Any) -> Any:
        raise TraceError(f"a compiled function calls x.{name}(): write {CHANGING[name]}")

    def hide(self: Tracer) -> Any:
        raise unseen(f"x.{name}")

    def read(self: Tracer, *args: Any, **how: Any) -> Any:
        return getattr(self.numbers(f"x.{name}()"), name)(*args, **how)

    if name in LAYOUT:
        return property(hide)
    if name in CHANGING:
        return write
    if function in implementations and name not in OTHER:
        apply.__name__ = name
        return numpy_fallback(apply)
    if callable(getattr(np.ndarray, name, read)):
        return read
    return property(lambda self: getattr(self.numbers(f"x.{name}"), name))


# Methods that take other arguments than the function of the same name.
OTHER = ["compress"]
# Attributes that say how an array lies in memory.
LAYOUT = "strides ctypes data".split()
# Methods that write into the array, or into a file -> what to write instead.
CHANGING = {
    "partition": "x.sort()",
    "put": "y = x.ravel(); y[index] = v; x[...] = y.reshape(x.shape)",
    "resize": "x = np.pad(x, widths), or x = x[:n]",
    "setfield": "x[...] = v",
    "byteswap": "it outside",
    **dict.fromkeys(("dump", "tofile"), "it outside, with what the function returns"),
}
for name in dir(np.ndarray):
    if not name.startswith("_") and not hasattr(Tracer, name):
        setattr(Tracer, name, ndarray_attribute(name))


def call_copying(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a NumPy function; one of COPYING returns a copy even if nothing changes."""
    found = call(function, args, kwargs)
    same = args and found is args[0] and function.__name__ in COPYING
    return implementations[np.copy](found) if same else found


# Functions that Tensors lack, for numbers in captured arrays.
for name in ("floor", "ceil"):
    setattr(Tracer, f"__{name}__", ndarray_attribute(f"__{name}__"))

define_in_place(Tracer)


def refuse_assignment(self: Tracer, value: Any) -> None:
    raise TraceError(
        "a compiled function sets an attribute of an array (x.shape = ..., x.flat = ...): write "
        "x = x.reshape(shape), x = x.astype(dtype), or x[...] = value"
    )


for name, member in [*vars(Tracer).items()]:
    if isinstance(member, property) and not name.startswith("_") and member.fset is None:
        setattr(Tracer, name, member.setter(refuse_assignment))
TracerView, as_traced_view = views_of(Tracer, "value")
FILLING = (
    "or writing it into an array that is not traced itself (Tensor(np.zeros(3)) and "
    "np.zeros_like(x, shape=3) can be written into, and np.array joins parts)"
)
INDEXING = (
    "an index of what is not traced itself, the end of a slice, a length or a number of rounds "
    "(Tensor(array)[i], fori_loop, np.where(np.arange(len(x)) < n, x, 0) for x[:n], and cond to "
    "choose from functions are compiled)"
)


def reading(how: str) -> TraceError:
    if of_sparse():
        return TraceError(SPARSE)
    instead = (
        f": {scipys}"
        if (scipys := instead_of_scipys())
        else ". Return the value and read it outside, or compute with NumPy functions, which are "
        "compiled"
    )
    return TraceError(
        f"a compiled function reads a value that is computed in it, by {how}: while it is traced "
        f"there is no number yet{instead}"
    )


def changed_in_place(shape: tuple[int, ...]) -> TraceError:
    return TraceError(
        f"a compiled function changes an array of shape {shape} in place, which would be done "
        "once and not at each call: make it a Tensor, before the first call, and write into t.data"
    )


def filled_with(target: Tracer, new: Any) -> Any:
    """`new` in the target's dtype and shape, as it is after `target[...] = new`."""
    new = new if is_traced(new) else Tracer(value_of(np.asarray(new, target.dtype)))
    if new.dtype != target.dtype or new.value.op is None:
        new = new.astype(target.dtype)
    if (extra := new.ndim - target.ndim) > 0 and set(new.shape[:extra]) == {1}:
        new = new.reshape(new.shape[extra:])  # as NumPy does in assignments
    return new if new.shape == target.shape else np.broadcast_to(new, target.shape)


def native(dtype: Any) -> np.dtype[Any]:
    """A dtype in the machine's byte order.

    Raises:
        TraceError: if it is in the other one.
    """
    dtype = np.dtype(dtype)
    if not dtype.isnative:
        raise TraceError(
            f"a compiled function makes an array of {dtype!r}, in another byte order than this "
            "machine's: do that outside, with what it returns"
        )
    return dtype


def is_number(x: Tracer) -> bool:
    """Whether NumPy has a scalar there, and not a 0-d array, which is writeable or a view."""
    return not (x.shape or x.writeable or is_view(x))


# Array creation


def array_maker(name: str) -> Callable[..., Any]:
    """np.array or the like, that also takes what is traced."""
    function, copies = getattr(np, name), ARRAY_MAKERS[name]

    @functools.wraps(function)
    def make(*args: Any, **how: Any) -> Any:
        if tracing.get() is None or not args or all_concrete(args[0]) or has_batched(args[0]):
            return function(*args, **how)  # batched arrays refuse, as they do outside of a trace
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
    # SciPy gives a np._CopyMode, of which one is neither true nor false.
    if getattr(copy, "value", copy) in (True, 1) and found is given:
        found = implementations[np.copy](found)
    return Tracer(found.value) if is_traced(found) and is_number(found) else found


def filled(function: Any, a: Any, *args: Any, **kwargs: Any) -> Tracer:
    """np.zeros_like and the like: one number, broadcast."""
    number: Any = int(function is np.ones_like)
    rest = list(args)
    if function is np.full_like:
        number = rest.pop(0) if rest else kwargs.pop("fill_value")
    form = np.empty_like(zeros(a) if is_traced(a) else a, *rest, **kwargs)
    native(form.dtype)
    number = number if is_traced(number) else np.asarray(number)
    number = Tracer(value_of(number.astype(form.dtype)))
    result: Tracer = registry["expand"](number, shape=form.shape)
    return Tracer(result.value)  # it can be written into


def hides_memory(*arrays: Any, **how: Any) -> Any:
    raise unseen("whether arrays share memory")


# NumPy function -> what it does with a tracer, where that is no op of the graph.
overrides: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys((np.array2string, np.array_repr, np.array_str), lambda x, *_, **how: repr(x)),
    **{f: functools.partial(filled, f) for f in (np.zeros_like, np.ones_like, np.empty_like)},
    np.full_like: functools.partial(filled, np.full_like),
    np.astype: lambda x, dtype, copy=True: x.astype(dtype, copy),
    np.shares_memory: hides_memory,
    np.may_share_memory: hides_memory,
}
