"""What a function can read besides its arguments: each place is recorded and becomes a guard, which
is checked in every call (`guards.py`); an array in such a place becomes an input of the graph.

The walk starts at the function's code and follows closures, globals, attributes and containers. In
functions, classes, modules and objects of the user's own program, only the attributes that the
reached code names are guarded; in objects of the standard library and of installed packages, whose
code may read anything, all attributes are. An object of C, whose state cannot be read, is compared
by its pickle. What cannot be guarded is refused.
"""

from __future__ import annotations

import dis
import enum
import gc
import importlib
import io
import os
import re
import sys
import threading
import types
import weakref
from abc import ABC, get_cache_token
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import _lru_cache_wrapper
from pickle import dumps
from random import Random, SystemRandom
from typing import Any, NamedTuple

import numpy as np

from minigrad.dispatch import is_traced
from minigrad.errors import OWN_FILES, TraceError, library_of
from minigrad.nn import Module
from minigrad.optim import Optimizer
from minigrad.tensor import Tensor

SCALARS = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype, enum.Enum)
ITSELF = (range, slice, type(...), type(NotImplemented), np.ufunc, types.CodeType)
# What Python and minigrad read without the code naming it, beside names such as __add__.
ALWAYS = {"forward", "rule", "training"}
MAKING = ("__new__", "__init__", "__post_init__")
# Such names that do not count by themselves: those that each class has, and what makes objects.
PLAIN = {*globals(), *vars(type("", (), {})), *MAKING, "__qualname__", "__annotations__"}
PLAIN |= {"__firstlineno__", "__static_attributes__", "__orig_bases__", "__parameters__"}
PLAIN |= {"__abstractmethods__", "__dataclass_fields__", "__dataclass_params__", "__path__"}
# Attributes of functions and classes that are in no namespace.
DESCRIBING = ["__name__", "__qualname__", "__doc__", "__annotations__"]
# Code that uses one of these names may make objects of classes that it does not name.
MAKERS = {"type", "__class__", "replace", "__reduce_ex__"}
# Code that uses one of these names may read attributes that it does not name.
BY_NAME = {"getattr", "attrgetter", "vars", "dir", "__dict__", "asdict", "astuple", "deepcopy"}
BY_NAME |= {"__getattribute__", "getattr_static", "getmembers", "methodcaller"}
# Attributes in which descriptors and wrappers keep what they wrap.
INNER = "fget fset func __func__ __wrapped__ __self__ args keywords mapping".split()
# Attributes in a format string, as in "{.name}".
FIELD = re.compile(r"\.(\w+)")
# Functions, by module, whose results change from call to call with no object to guard.
FILES = {"read", "readline", "readlines", "readinto", "read_text", "read_bytes", "open"}
FILES |= {"exists", "lexists", "isfile", "isdir", "islink", "ismount", "samefile", "getsize"}
FILES |= {"getmtime", "getatime", "getctime", "is_file", "is_dir", "is_symlink", "iterdir", "stat"}
FILES |= {"lstat", "glob", "iglob", "rglob", "walk", "fwalk", "listdir", "scandir", "access"}
FILES |= {"abspath", "realpath", "cwd", "resolve", "popen", "disk_usage", "which", "readlink"}
HIDDEN: dict[str, set[str]] = {
    "time": {"time", "monotonic", "perf_counter", "process_time", "thread_time", "localtime"}
    | {"time_ns", "monotonic_ns", "perf_counter_ns", "process_time_ns", "gmtime", "ctime"}
    | {"strftime", "asctime", "clock_gettime", "clock_gettime_ns"},
    "datetime": {"now", "today", "utcnow"},
    "builtins": {"eval", "exec", "globals", "locals", "input", "open", "__import__"},
    "importlib": {"import_module", "reload"},
    "uuid": {"uuid1"},
    "_sqlite3": {"connect"},
    "email": {"formatdate", "localtime"},
    "linecache": {"getline", "getlines"},
    "pkgutil": {"get_data"},
    "numpy": {"load", "loadtxt", "genfromtxt", "fromfile", "fromregex", "memmap", "DataSource"},
    "scipy": {"read", "loadmat", "whosmat", "mminfo", "mmread", "readsav", "hb_read", "load_npz"}
    | {"netcdf_file", "loadarff", "fast_matrix_market"},
    "posix": FILES | {"urandom", "times", "getloadavg", "system", "getpriority"},
    "_socket": {"gethostname"},
    "locale": {"setlocale", "getlocale", "localeconv"},
    "signal": {"getsignal"},
    "sys": {"_getframe", "getrefcount", "exc_info", "getsizeof", "gettrace", "getprofile"},
    "gc": {"isenabled", "get_count", "get_stats", "get_objects", "get_referrers", "get_referents"},
    "subprocess": {"run", "call", "check_call", "check_output", "getoutput", "Popen"},
    **dict.fromkeys(("io", "_io", "pathlib", "tempfile", "genericpath", "posixpath"), FILES),
    **dict.fromkeys(("ntpath", "os", "glob", "shutil"), FILES),
}
# Libraries whose functions compute with their arguments alone, but for those above.
ARRAYS = {"numpy", "scipy"}
# Settings of a process or a thread: functions that are called again in each call.
SETTINGS = {np.geterr, np.get_printoptions, np.getbufsize, sys.getrecursionlimit, os.getcwd}
SETTINGS |= {sys.getswitchinterval, os.getpid, os.getppid, os.cpu_count, threading.get_ident}
SETTINGS |= {threading.active_count}
# Modules of the standard library whose objects hold no data to compute with: of their attributes,
# only those that the code names are guarded.
MACHINERY = {"logging", "io", "_io", "concurrent", "multiprocessing", "socket", "subprocess"}
MACHINERY |= {"asyncio", "threading", "typing", "warnings", "traceback", "abc"}
# Except these classes.
READABLE = {"local", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Barrier", "Future"}
READABLE |= {"Synchronized", "SynchronizedArray", "SynchronizedString", "SharedMemory"}
# A base class from one of these says nothing about where its subclasses belong.
BASES = {"minigrad", "builtins", "abc", "typing", "enum"}
STATELESS = {"_thread", "_abc", "types", "re"}
FEW = 16  # entries of a list up to which each gets a guard of its own
MANY = 256  # entries of a dict (a vocabulary, say) from which on one guard compares all values


# What reading a place may raise; RuntimeError if another thread changes a dict meanwhile.
GONE = (KeyError, IndexError, AttributeError, ValueError, TypeError, RuntimeError)


# For each kind of place its guard, as source in which {0} is the holder, {1} the key and {2} the
# value when it was captured; and a function that reads the value.
READ: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "array": ("{0}.node.value is {2}", lambda t, _: t.node.value),
    "flag": ("{0}.node.requires_grad is {2}", lambda t, _: t.node.requires_grad),
    "form": (  # may be assigned: `x.shape = 2, 3`; the fast path checks the rest as it needs it
        "{0}.shape == {2}[0] and {0}.dtype is {2}[1]",
        lambda array, _: (array.shape, array.dtype, array.strides, address(array)),
    ),
    "gradient": ("({0}.node.grad is None) is {2}", lambda t, _: t.node.grad is None),
    "cell": ("{0}.cell_contents is {2}", lambda cell, _: cell.cell_contents),
    "item": ("{0}[{1}] is {2}", lambda holder, key: holder[key]),
    "attribute": ("{0}.{1} is {2}", getattr),
    "absent": ("{1} not in {0}", lambda holder, key: key in holder),
    "empty": ("not is_filled({0})", lambda cell, _: is_filled(cell)),
    "length": ("len({0}) == {2}", lambda x, _: [*x]),
    "keys": ("[*{0}] == {2}", lambda x, _: [*x]),
    "members": ("len({0}) == len({2}) and all(map(is_, {0}, {2}))", lambda x, _: [*x]),
    "values": ("all(map(is_, {0}.values(), {2}))", lambda x, _: [*x.values()]),
    "cached": ("[*map(id, cached({0}))] == {2}", lambda x, _: cached(x)),
    "called": ("{0}() is {2}", lambda x, _: x()),
    "setting": ("repr({0}()) == {2}", lambda x, _: repr(x())),
    "level": (
        "({0}.getEffectiveLevel(), {0}.manager.disable) == {2}",
        lambda x, _: (x.getEffectiveLevel(), x.manager.disable),
    ),
    "variable": ("{0}.get(None) is {2}", lambda x, _: x.get(None)),
    "variables": ("[*{0}.__dict__] == {2}", lambda x, _: [*vars(x)]),
    "bytes": ("bytes({0}) == {2}", lambda x, _: bytes(x)),
    "pickled": ("dumps({0}) == {2}", lambda x, _: dumps(x)),
}


def address(array: Any) -> int:
    """Where the entries of an array are, which `__setstate__` changes; 0 for one of np.void."""
    return array.ctypes.data if isinstance(array, np.ndarray) else 0


class Place(NamedTuple):
    """Where a value was found: the kind of place (see `READ`), its holder, its name in
    messages, and the key in the holder."""

    kind: str
    holder: Any
    name: str
    key: Any = None

    @property
    def is_writable(self) -> bool:
        """Whether another value can be put there."""
        kinds = ("cell", "item", "attribute")
        return self.kind in kinds and not isinstance(self.holder, types.MappingProxyType)

    def read(self) -> Any:
        return READ[self.kind][1](self.holder, self.key)

    def restore(self, x: Any) -> None:
        """Put back the value that was there, if another one is there now."""
        if self.kind == "absent":
            self.holder.pop(self.key, None)
        elif self.kind == "empty" and is_filled(self.holder):
            del self.holder.cell_contents
        if self.is_writable:
            with suppress(*GONE):
                if self.read() is x:
                    return
            self.put(x)

    def put(self, x: Any) -> None:
        if self.kind == "cell":
            self.holder.cell_contents = x
        elif self.kind == "item":
            self.holder[self.key] = x
        else:
            own = threading.local if isinstance(self.holder, threading.local) else object
            own.__setattr__(self.holder, self.key, x)


@dataclass
class Captured:
    """Everything that a function can reach, each object once.

    `slots`: arrays that optimisers and averages write into, as (container, key, name for messages).
    `arrays`: all other arrays that are not in a Tensor. `places`: all places that were read.
    `spaces`: namespaces of the user's own objects, classes and modules, in which only `names` are
    guarded. `routes`: how each array and tuple was reached: from a place, in a tuple, or in another
    way (None). `generators`: random generators, from which the function must not draw.
    """

    package: str
    tensors: dict[int, Tensor] = field(default_factory=dict)
    optimizers: dict[int, Optimizer] = field(default_factory=dict)
    slots: list[tuple[Any, Any, str]] = field(default_factory=list)
    arrays: dict[int, np.ndarray] = field(default_factory=dict)
    generators: dict[int, tuple[Any, str]] = field(default_factory=dict)
    places: dict[tuple[str, int, Any], Place] = field(default_factory=dict)
    routes: dict[int, list[Any]] = field(default_factory=lambda: defaultdict(list))
    spaces: list[tuple[Any, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    uses_gradients: bool = False
    stateful: list[tuple[type, str]] = field(default_factory=list)
    classes: dict[int, type] = field(default_factory=dict)
    seen: dict[int, Any] = field(default_factory=dict)
    todo: list[tuple[Any, str, Any]] = field(default_factory=list)

    def may_read(self, key: Any) -> bool:
        """Whether the code may read an attribute of this name."""
        if key in self.names or key in ALWAYS:
            return True
        if str(key).startswith("__"):
            made = key in MAKING and not self.names.isdisjoint(MAKERS)
            return made or (str(key).endswith("__") and key not in PLAIN)
        return not self.names.isdisjoint(BY_NAME)

    def queue(self, parts: Iterable[Any], name: str, route: Any = None) -> None:
        """Queue these objects to be visited."""
        self.todo += [(x, name, route) for x in parts]

    def guard(self, kind: str, holder: Any, name: str, key: Any = None, value: Any = None) -> None:
        """Record a place, and queue its value to be visited."""
        if (kind, id(holder), key) not in self.places:
            place = self.places[kind, id(holder), key] = Place(kind, holder, name, key)
            self.todo.append((value, name, place))

    def guard_items(
        self, space: Any, name: str, keys: Iterable[Any] | None = None, form: str = "{}.{}"
    ) -> None:
        """Guard what is under each of these keys, or under all, of a namespace or container."""
        for key in space if keys is None else keys:
            kind, holder = ("attribute", space.x) if isinstance(space, Slots) else ("item", space)
            self.guard(kind, holder, form.format(name, key), key, space[key])

    def is_foreign(self, module: Any) -> bool:
        """Whether a module, by name, belongs to the standard library, NumPy, or an installed
        package other than the function's own."""
        top = top_of(module)
        file = getattr(sys.modules.get(top), "__file__", None) or ""
        installed = "site-packages" in file or "dist-packages" in file
        return is_python(top) or (installed and top != self.package)

    def identities(self) -> dict[int, Any]:
        """Tensors and arrays, by their id."""
        return {**self.tensors, **self.arrays}

    def can_replace(self, x: Any) -> bool:
        """Whether an array was reached only from places into which a tracer can be put."""
        return all(
            route.is_writable if isinstance(route, Place) else route and self.can_replace(route)
            for route in self.routes[id(x)]
        )


def captured(function: Callable[..., Any], arguments: Iterable[tuple[str, Any]] = ()) -> Captured:
    """Walk through everything that a function can reach, also from arguments that are not arrays.

    Raises:
        TraceError: for something that it can reach and that cannot be guarded.
    """
    found = Captured(top_of(getattr(function, "__module__", None)))
    found.queue([function], getattr(function, "__name__", "f"))
    for name, x in arguments:
        if not isinstance(x, Tensor | np.ndarray):
            found.queue([x], name)
    while found.todo:
        while found.todo:
            visit(*found.todo.pop(), found)
        # Code visited since may name more attributes of namespaces that were walked before.
        for space, name in found.spaces:
            module = space.get("__name__")
            library = is_library(module)
            for key in filter(found.names.__contains__ if library else found.may_read, list(space)):
                x = space[key]
                if not (library and (callable(x) or isinstance(x, types.ModuleType))):
                    found.guard_items(space, name, [key])
                elif id(x) not in found.seen and not is_itself(x):
                    found.queue([x], f"{name}.{key}")
    if "__subclasses__" in found.names:
        raise refused("asks a class for its __subclasses__()", "of which there may be more")
    if id(np.datetime64) in found.seen and not found.names.isdisjoint({"now", "today"}):
        raise refused("asks np.datetime64 for the time", "which is another one from call to call")
    for kind, name in found.stateful:
        asked_for = HIDDEN[top_of(kind.__module__)] & found.names
        for asked in sorted(asked for asked in asked_for if hasattr(kind, asked)):
            raise refused(f"calls {asked} of {name}", "which gives other answers from call to call")
    for holder, key, _ in found.slots:
        found.arrays.pop(id(holder[key]), None)
    for optimizer in found.optimizers.values():
        for group in optimizer.param_groups:
            found.places.pop(("item", id(group), "lr"), None)  # an input, read at each call
            if "initial_lr" not in found.names:  # which schedules add
                found.places.pop(("keys", id(group), None), None)
    return found


def top_of(module: Any) -> str:
    return str(module or "").partition(".")[0]


def is_python(module: Any) -> bool:
    """Whether a module, by name, belongs to the standard library, NumPy or SciPy."""
    return top_of(module) in ARRAYS or top_of(module) in sys.stdlib_module_names


def is_library(module: Any) -> bool:
    """Whether it belongs to these, or to minigrad."""
    return is_python(module) or top_of(module) == "minigrad"


def is_itself(x: Any) -> bool:
    """Whether x is immutable, so that a guard on the place that holds it is enough."""
    kind = type(x)
    if issubclass(kind, SCALARS):
        return not isinstance(x, enum.Enum | np.void) and is_python(kind.__module__)
    return isinstance(x, ITSELF) and not is_of_python(x)


def is_of_python(x: Any) -> bool:
    """Whether it is a ufunc that calls a Python function, made by `np.frompyfunc`."""
    return isinstance(x, np.ufunc) and x.__name__.endswith(" (vectorized)")


def visit(x: Any, name: str, route: Any, found: Captured) -> None:
    """Record a value, and queue what can be reached from it."""
    if is_itself(x):
        return
    if isinstance(x, np.ndarray | tuple):
        found.routes[id(x)].append(route)
    if id(x) in found.seen:
        return
    found.seen[id(x)] = x  # held, so that no other object gets its id
    kind = type(x)
    if isinstance(x, types.FunctionType | types.BuiltinFunctionType) and x in SETTINGS:
        found.guard("setting", x, f"{x.__name__}()")
        return
    if isinstance(kind, type(ABC)) or isinstance(x, type(ABC)):
        found.guard("setting", get_cache_token, "what is registered with abstract classes")
    if (x if isinstance(x, types.BuiltinFunctionType | type) else kind).__module__ == "decimal":
        found.guard("setting", decimal_context, "the context of decimal")
    if isinstance(x, types.FunctionType | types.BuiltinFunctionType | type):
        if x.__name__ in HIDDEN.get(top_of(x.__module__), ()):
            uses = "names the class" if isinstance(x, type) else "calls"
            raise refused(f"{uses} {x.__name__}", "which gives other answers from call to call")
        found.names |= BY_NAME & {x.__name__}  # also under another name
    if is_of_python(x):
        raise refused(f"calls {x.__name__}", "whose function of Python's cannot be looked into")
    if isinstance(x, Tensor):
        if is_traced(x.node.value):
            raise leaked(name)
        found.tensors[id(x)] = x
    elif is_traced(x):
        raise leaked(name)
    elif isinstance(x, np.ndarray | np.void):
        found.arrays[id(x)] = x  # type: ignore[assignment]  # np.void too
        found.guard("form", x, form_of(name))
        if x.dtype.hasobject:
            found.queue(np.ravel(x).tolist(), name)
        if type(x) not in (np.ndarray, np.void):
            visit_object(x, name, found)
    elif library := library_of(x):
        raise TraceError(
            f"a compiled function reads {name}, an array of {library}, in which it would not see "
            "changes: make it np.asarray(x), outside"
        )
    elif isinstance(x, Optimizer):
        visit_optimizer(x, name, found)
    elif isinstance(x, classmethod):
        found.names.add("__class__")  # it may make an object of it
        found.queue([x.__func__], name)
    elif isinstance(x, types.MethodType):
        found.queue([x.__func__], name)
        found.queue([x.__self__], name if is_python(type(x.__self__).__module__) else "self")
    elif isinstance(x, types.FunctionType):
        visit_function(x, name, found)
    elif isinstance(x, type):
        visit_class(x, found)
        if top_of(x.__module__) in HIDDEN:
            found.stateful.append((x, name))
        of = [vars(each) for each in x.__mro__ if not is_python(each.__module__)]
        found.queue((own[made] for own in of for made in MAKING if made in own), name)
    elif isinstance(x, types.ModuleType):
        found.spaces.append((vars(x), name))
    elif isinstance(x, dict | types.MappingProxyType | list | deque | tuple | set | frozenset):
        visit_container(x, name, found)
    elif kind.__module__.startswith("minigrad.compiler."):
        # A compiled function is traced with its caller.
        found.queue([getattr(x, "__wrapped__", None)], name)
    else:
        visit_object(x, name, found)
    visit_class(kind, found)


def form_of(name: str) -> str:
    return f"shape, dtype, strides, address of {name}"


def leaked(name: str) -> TraceError:
    return TraceError(
        f"a compiled function keeps what it computes in {name}, where there would be no numbers: "
        "return it instead"
    )


def refused(what: str, why: str) -> TraceError:
    return TraceError(
        f"a compiled function {what}, {why}. It cannot be seen whether that is the same in the "
        "next call: do it outside, and pass what it gives as an argument"
    )


def visit_class(kind: type, found: Captured) -> None:
    """Queue what the classes of an object define: methods, properties, constants."""
    for each in kind.__mro__:
        if id(each) not in found.classes and not is_library(each.__module__):
            found.classes[id(each)] = each
            found.guard("attribute", each, f"the bases of {each.__name__}", "__mro__")
            found.spaces.append((vars(each), each.__name__))
            found.spaces.append((Slots(each, DESCRIBING), each.__name__))


def visit_container(x: Any, name: str, found: Captured) -> None:
    """Guard everything in a container, and its order."""
    if isinstance(x, dict | types.MappingProxyType):
        found.guard("keys", x, name)
        found.queue((key for key in x if type(key) is not str), f"a key of {name}")
        if len(x) >= MANY and all(map(is_itself, x.values())):
            found.guard("values", x, name)
            return
        found.guard_items(x, name, form="{}[{!r}]")
        if isinstance(x, defaultdict):
            found.guard("attribute", x, name, "default_factory", x.default_factory)
    elif isinstance(x, list | deque) and (len(x) <= FEW or any(type(y) is np.ndarray for y in x)):
        found.guard("length", x, name)
        found.guard_items(x, name, range(len(x)), "{}[{}]")
    elif isinstance(x, tuple):
        found.queue(x, name, x if type(x) is tuple or hasattr(x, "_make") else None)
    else:
        if not isinstance(x, frozenset):
            found.guard("members", x, name)
        found.queue(x, name)
    if not is_python(type(x).__module__):
        visit_object(x, name, found)


def visit_object(x: Any, name: str, found: Captured) -> None:
    """Guard attributes: of the user's objects those that the code names, of all others each."""
    kind = type(x)
    attrs = getattr(x, "__dict__", {})
    slots = [slot for each in kind.__mro__ for slot in slots_of(each)]
    top = top_of(kind.__module__)
    bases = {top_of(each.__module__) for each in kind.__mro__} - BASES
    found.names |= BY_NAME & {kind.__name__}  # attrgetter("k"), made elsewhere
    buffer = is_buffer(x) and not isinstance(x, np.ndarray | np.void)
    if buffer:
        found.guard("bytes", x, name)
    if isinstance(x, np.random.Generator | np.random.RandomState | np.random.BitGenerator | Random):
        if isinstance(x, SystemRandom):
            raise refused(f"draws random numbers by {name}", "which are new in each call")
        found.generators[id(x)] = x, name
    elif kind.__module__.startswith("minigrad.optim"):
        visit_state(attrs, name, found)
    elif top == "minigrad":
        found.guard("length", attrs, name)
        found.guard_items(attrs, name)
    elif buffer and is_python(top):
        pass
    elif isinstance(x, io.IOBase):
        visit_stream(x, name, found)
    elif kind.__name__ not in READABLE and MACHINERY & {top, *bases}:
        found.spaces.append((attrs, name))
        if hasattr(x, "getEffectiveLevel"):
            found.guard("level", x, f"the level of {name}")
    elif found.is_foreign(top):
        visit_foreign(x, attrs, slots, name, found)
    else:
        found.guard("attribute", x, f"the class of {name}", "__class__")
        found.spaces.append((attrs, name))
        if any(map(found.is_foreign, bases)):
            visit_foreign(x, attrs, slots, name, found)  # its methods may read any attribute
        if isinstance(x, Module):
            keys = [key for key, part in attrs.items() if not isinstance(part, SCALARS)]
            found.guard_items(attrs, name, keys)
        if isinstance(x, enum.Enum):
            found.guard_items(attrs, name, ["_value_"])
        if hasattr(kind, "__array__"):  # it must return a NumPy array, which a tracer is not
            found.queue((part for part in attrs.values() if isinstance(part, np.ndarray)), name)
        if slots:
            found.spaces.append((Slots(x, slots), name))
    if top in HIDDEN:
        found.stateful.append((kind, name))


def visit_foreign(x: Any, attrs: Any, slots: list[str], name: str, found: Captured) -> None:
    """Guard all attributes of an object of a library, and what it wraps."""
    kind = type(x)
    module = top_of(kind.__module__)
    if hasattr(x, "__dict__") and not isinstance(x, type):
        visit_container(attrs, name, found)
    found.guard_items(Slots(x, slots), name)
    if isinstance(x, weakref.ref):
        found.guard("called", x, name, value=x())
    elif isinstance(x, ContextVar):
        found.guard("variable", x, name, value=x.get(None))
    elif isinstance(x, types.CellType):
        found.guard("cell", x, name, value=x.cell_contents)
    elif isinstance(x, threading.local):
        found.guard("variables", x, name)
        found.guard_items(Slots(x, [*vars(x)]), name)
    elif isinstance(x, _lru_cache_wrapper):
        found.guard("cached", x, name)
        found.queue([x.__wrapped__, *cached(x)], name)
    elif isinstance(x, Iterator) and not attrs:
        raise refused(f"reads {name}, a {type(x).__name__}", "of which each thing is read once")
    elif module in ("builtins", "functools"):
        found.queue((getattr(x, inner) for inner in INNER if hasattr(x, inner)), name)
    elif not (attrs or slots or hasattr(x, "__name__") or module in STATELESS) and is_of_c(kind):
        visit_hidden(x, name, found)


def is_of_c(kind: type) -> bool:
    """Whether instances hold C data: they are larger than those of a plain Python class."""
    return bool(kind.__basicsize__ > Captured.__basicsize__ or kind.__itemsize__)


def visit_hidden(x: Any, name: str, found: Captured) -> None:
    """Guard an object of C by its pickle."""
    try:
        dumps(x)
    except Exception:
        raise refused(f"reads {name}, a {type(x).__name__}", "which hides its state") from None
    found.guard("pickled", x, name)


def visit_stream(x: io.IOBase, name: str, found: Captured) -> None:
    """Guard a stream in memory; refuse others that can be read. Output streams are not guarded."""
    if isinstance(x, io.StringIO | io.BytesIO):
        visit_hidden(x, name, found)
    elif x is not sys.stdout and x is not sys.stderr and not x.closed and x.readable():
        raise refused(f"reads {name}, a file", "which may have other things in it")


def cached(x: Any) -> list[Any]:
    """The keys and results that an lru_cache holds, sorted by id."""
    parts = gc.get_referents(x)
    (at,) = (k for k, part in enumerate(parts) if part is x.__wrapped__)
    results = [*parts[: at - 1], *parts[at - 1].values()]
    return sorted((y for y in results if type(y).__name__ != "_lru_list_elem"), key=id)


def decimal_context() -> str:
    """What arithmetic with decimal numbers depends on."""
    context = sys.modules["decimal"].getcontext().copy()
    context.clear_flags()
    return repr(context)


def is_buffer(x: Any) -> bool:
    try:
        memoryview(x)
    except (TypeError, ValueError, BufferError):
        return False
    return True


def visit_state(attrs: dict[str, Any], name: str, found: Captured) -> None:
    """Record the arrays that an optimiser or an average holds in attributes and lists as slots."""
    found.guard("length", attrs, name)
    found.guard_items(attrs, name, [key for key in attrs if key != "states"])
    for key, value in attrs.items():
        if isinstance(value, np.ndarray):
            found.slots.append((attrs, key, f"{name}.{key}"))
        elif isinstance(value, list) and value and isinstance(value[0], np.ndarray):
            found.slots += [(value, k, f"{name}.{key}[{k}]") for k in range(len(value))]


def visit_optimizer(x: Optimizer, name: str, found: Captured) -> None:
    found.optimizers[id(x)] = x
    found.uses_gradients = True
    visit_state(vars(x), name, found)
    # Which dicts the states are in; what is in these dicts are slots, and read at each call.
    for kind, holder, key in (("item", vars(x), "states"), ("members", x.states, None)):
        found.places[kind, id(holder), key] = Place(kind, holder, f"the states of {name}", key)
    x.check_states()
    for state in x.states:
        for key in state:
            if is_traced(state[key]):
                raise TraceError(
                    f"a compiled function makes {name} at its first call, and writes into its "
                    f"state {key!r} at each: make the optimiser before the first call"
                )
        found.guard("length", state, f"the state of {name}")
        found.slots += [(state, key, f"the optimiser's {key}") for key in state]
        found.guard_items(state, "the optimiser's", form="{} {}")


def visit_function(function: types.FunctionType, name: str, found: Captured) -> None:
    """Guard a function's code, defaults and attributes, and the closure and global variables that
    it names. Of a function of the standard library, only the data in its module."""
    code, space = function.__code__, function.__globals__
    for variable, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        if is_filled(cell):
            found.guard("cell", cell, variable, value=cell.cell_contents)
        else:
            found.guard("empty", cell, variable)
    found.queue([getattr(function, "__wrapped__", None)], name)
    generated = code.co_qualname.startswith("__create_fn__.")  # by dataclass
    found.uses_gradients |= "grad" in code.co_names
    if code.co_filename in OWN_FILES or generated or top_of(space.get("__name__")) in ARRAYS:
        found.queue([function.__defaults__, function.__kwdefaults__], name)
        return
    used = {
        x.argval
        for part in codes_in(code)
        for x in dis.get_instructions(part)
        if "GLOBAL" in x.opname or x.opname == "LOAD_NAME"  # the latter in the body of a class
    }
    if is_python(space.get("__name__")):
        data = (key for key in sorted(used) if key in space and not callable(space[key]))
        for key in [key for key in data if not isinstance(space[key], types.ModuleType)]:
            found.guard("item", space, key, key, space[key])
        return
    for part in ("__code__", "__defaults__", "__kwdefaults__"):
        found.guard("attribute", function, f"{name}.{part}", part, getattr(function, part))
    found.spaces += [(function.__dict__, name), (Slots(function, DESCRIBING), name)]
    for each in codes_in(code):
        # Also texts, as in getattr(x, "name").
        texts = [x for x in each.co_consts if type(x) is str]
        fields = FIELD.findall(" ".join(x for x in texts if "{" in x))
        found.names |= {*each.co_names, *texts, *fields}
        steps = [*dis.get_instructions(each)]
        if any(x.opname == "MATCH_CLASS" for x in steps):  # a pattern reads attributes by name
            found.names.add("getattr")
        imported = (x.argval for x in steps if x.opname == "IMPORT_NAME")
        for module in filter(None, imported):
            with suppress(ImportError):  # the function will raise it itself
                found.queue([importlib.import_module(module)], module)
                found.queue([sys.modules.get(top_of(module))], top_of(module))
    for key in sorted(used):
        if key in space:
            found.guard("item", space, key, key, space[key])
        elif key in HIDDEN["builtins"]:
            raise refused(f"calls {key}()", "which can read anything")
        else:
            found.guard("absent", space, key, key)


def is_filled(cell: types.CellType) -> bool:
    """Whether a closure variable has a value yet."""
    try:
        return cell.cell_contents is cell.cell_contents
    except ValueError:
        return False


def codes_in(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code of a function, and of the functions that it defines."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes_in(constant)


def slots_of(kind: type) -> list[str]:
    """The names in a class's __slots__."""
    if "__slots__" not in vars(kind):
        return []
    return [key for key, x in vars(kind).items() if isinstance(x, types.MemberDescriptorType)]


class Slots(Mapping[str, Any]):
    """The attributes in an object's __slots__, as a mapping."""

    def __init__(self, x: Any, names: list[str]) -> None:
        self.x, self.names = x, names

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self.x, name)
        except AttributeError:
            raise KeyError(name) from None

    def __delitem__(self, name: str) -> None:
        delattr(self.x, name)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.names if hasattr(self.x, name))

    def __len__(self) -> int:
        return sum(1 for _ in self)
