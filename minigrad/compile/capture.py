"""What a function finds outside of its arguments: its state, and what it may not be stale of.

Walked through are the user's functions, classes, modules and objects, minigrad's own, and
containers. Not looked into are objects of the standard library and of installed packages: threads,
files, loggers hold nothing that is computed with. Of the user's own, which may hold a whole
program, only what is named in the code that is reached is looked at.
"""

from __future__ import annotations

import builtins
import dis
import enum
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from minigrad.compile.tracer import TraceError
from minigrad.dispatch import is_traced
from minigrad.errors import OWN_FILES
from minigrad.nn import Module
from minigrad.optim import Optimizer
from minigrad.tensor import Tensor

SCALARS = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype, enum.Enum)
# What Python and minigrad call without naming it in the code that leads there.
ALWAYS = {"forward", "rule", "training", "__call__", "__get__", "__getattr__", "__getitem__"}
ALWAYS |= {"__len__", "__iter__", "__next__", "__contains__", "__enter__", "__exit__", "__bool__"}
ALWAYS |= {f"__{r}{name}__" for name in "add sub mul truediv matmul pow".split() for r in ("", "r")}
ALWAYS |= {f"__{name}__" for name in "eq ne lt le gt ge neg abs setitem hash index float".split()}
# Code that says one of these may be after attributes that it does not name.
BY_NAME = {"getattr", "attrgetter", "vars", "__dict__", "asdict", "astuple", "deepcopy"}
# Where descriptors and wrappers have the functions that they are made of.
INNER = "fget fset func __func__ __wrapped__".split()
MAKING = ("__new__", "__init__", "__post_init__")
RATES = {"lr", "initial_lr"}


@dataclass
class Captured:
    """Everything that a function can reach, each once.

    `slots` are the arrays that optimisers and averages write into: a container, a key and how to
    say it. `arrays` are all others that are no Tensor's. What was looked at is in `whole`, the
    containers of which everything counts, and in `parts`, single things: a container and a key;
    `cells` are variables of closures. `spaces` are the attributes of the user's own objects,
    classes and modules, of which those in `names` count. `unset` are variables that have no value
    yet, of a closure or, by name, of a module.
    """

    own: str
    tensors: dict[int, Tensor] = field(default_factory=dict)
    optimizers: dict[int, Optimizer] = field(default_factory=dict)
    slots: list[tuple[Any, Any, str]] = field(default_factory=list)
    arrays: dict[int, np.ndarray] = field(default_factory=dict)
    whole: list[tuple[Any, str]] = field(default_factory=list)
    parts: dict[tuple[int, Any], tuple[Any, Any, str]] = field(default_factory=dict)
    cells: list[tuple[Any, str]] = field(default_factory=list)
    spaces: list[tuple[Any, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=lambda: {*ALWAYS})
    unset: list[tuple[Any, str]] = field(default_factory=list)
    classes: dict[int, type] = field(default_factory=dict)
    seen: dict[int, Any] = field(default_factory=dict)
    todo: list[tuple[Any, str]] = field(default_factory=list)

    def counts(self, key: Any) -> bool:
        """Whether an attribute of this name may be asked for."""
        return key in self.names or (
            not self.names.isdisjoint(BY_NAME) and not str(key).startswith("__")
        )


def captured(function: Callable[..., Any], arguments: Iterable[tuple[str, Any]] = ()) -> Captured:
    """Walk through all that a function can reach, also in arguments that are no arrays."""
    found = Captured(own=top_of(getattr(function, "__module__", None)))
    found.todo = [(function, getattr(function, "__name__", "f"))]
    found.todo += [(x, name) for name, x in arguments if not isinstance(x, Tensor | np.ndarray)]
    while found.todo:
        while found.todo:
            visit(*found.todo.pop(), found)
        # What was read since then may name more of what was looked at before.
        for space, name in found.spaces:
            hold(space, filter(found.counts, list(space)), name, found)
    for holder, key, _ in found.slots:
        found.arrays.pop(id(holder[key]), None)
    return found


def top_of(module: Any) -> str:
    return str(module or "").partition(".")[0]


def is_foreign(module: Any, found: Captured) -> bool:
    """Whether a module, by name, is Python's, NumPy's, or of a package that is not the user's.

    An installed package is the user's if the function is in it.
    """
    top = top_of(module)
    if top in sys.stdlib_module_names or top in ("numpy", "minigrad"):
        return True
    file = getattr(sys.modules.get(top), "__file__", None) or ""
    return top != found.own and ("site-packages" in file or "dist-packages" in file)


def visit(x: Any, name: str, found: Captured) -> None:
    """Note a value, and what of it is to be visited."""
    if id(x) in found.seen or isinstance(x, SCALARS):
        return
    found.seen[id(x)] = x  # held, so that no other object gets its id
    kind = type(x)
    if isinstance(x, Tensor):
        if is_traced(x.node.value):
            raise kept(name)
        found.tensors[id(x)] = x
    elif is_traced(x):
        raise kept(name)
    elif isinstance(x, np.ndarray):
        found.arrays[id(x)] = x
    elif isinstance(x, Optimizer):
        visit_optimizer(x, name, found)
    elif isinstance(x, MethodType):
        found.todo += [(x.__func__, name), (x.__self__, "self")]
    elif isinstance(x, FunctionType):
        visit_function(x, name, found)
    elif isinstance(x, type):
        visit_class(x, found)
        found.todo += [(vars(x).get(made), name) for made in MAKING]
    elif isinstance(x, ModuleType):
        if not is_foreign(x.__name__, found):
            found.spaces.append((vars(x), name))
    elif isinstance(x, dict):
        hold_all(x, ((key, f"{name}[{key!r}]") for key in x), name, found)
    elif isinstance(x, list | deque):
        hold_all(x, ((k, f"{name}[{k}]") for k in range(len(x))), name, found)
    elif isinstance(x, tuple | set | frozenset):
        found.todo += [(part, f"{name}[{k}]") for k, part in enumerate(x)]
        if isinstance(x, set):
            found.whole.append((x, name))
    elif kind.__module__.startswith(__package__):  # compiled: what it computes is traced with us
        found.todo.append((getattr(x, "__wrapped__", None), name))
    else:
        visit_object(x, name, found)
    visit_class(kind, found)


def kept(name: str) -> TraceError:
    return TraceError(
        f"a compiled function keeps what it computes in {name}, where there would be no numbers: "
        "return it instead"
    )


def visit_class(kind: type, found: Captured) -> None:
    """What the user's classes define: methods, properties, constants."""
    for each in kind.__mro__:
        if id(each) not in found.classes and not is_foreign(each.__module__, found):
            found.classes[id(each)] = each
            found.spaces.append((vars(each), each.__name__))


def visit_object(x: Any, name: str, found: Captured) -> None:
    """Attributes: all of modules and of what else is minigrad's, of the user's those named."""
    kind = type(x)
    own = getattr(x, "__dict__", {})
    if kind.__module__.startswith("minigrad.optim"):
        visit_state(own, name, found)
    elif top_of(kind.__module__) == "minigrad":
        hold_all(own, ((key, f"{name}.{key}") for key in own), name, found)
    elif not is_foreign(kind.__module__, found) or isinstance(x, Module | SimpleNamespace):
        found.spaces.append((own, name))
        if isinstance(x, Module):
            hold(own, (key for key in own if not isinstance(own[key], SCALARS)), name, found)
        if slots := [slot for each in kind.__mro__ for slot in getattr(each, "__slots__", ())]:
            found.spaces.append((Attributes(x, slots), name))
    elif kind.__module__ in ("builtins", "functools"):
        found.todo += [(getattr(x, inner), name) for inner in INNER if hasattr(x, inner)]
        found.todo += [(getattr(x, part, ()), name) for part in ("args", "keywords")]


def visit_state(own: dict[str, Any], name: str, found: Captured) -> None:
    """What averages the weights keeps its arrays in attributes, and in lists of arrays."""
    hold_all(own, ((key, f"{name}.{key}") for key in own if key != "states"), name, found)
    for key, value in own.items():
        if isinstance(value, np.ndarray):
            found.slots.append((own, key, f"{name}.{key}"))
        elif isinstance(value, list) and value and isinstance(value[0], np.ndarray):
            found.slots += [(value, k, f"{name}.{key}[{k}]") for k in range(len(value))]


def visit_optimizer(x: Optimizer, name: str, found: Captured) -> None:
    found.optimizers[id(x)] = x
    visit_state(vars(x), name, found)
    for state in x.states:
        found.whole.append((state, f"the state of {name}"))
        found.slots += [(state, key, f"the optimiser's {key}") for key in state]


def hold_all(x: Any, items: Iterable[tuple[Any, str]], name: str, found: Captured) -> None:
    """Everything in a container counts; of a group of an optimiser, all but its learning rates,
    which are read at each call."""
    if isinstance(x, dict) and {"params", "lr"} <= x.keys():
        keys = [key for key in x if key not in RATES]
        hold(x, keys, name, found)
        return
    found.whole.append((x, name))
    found.todo += [(x[key], at) for key, at in items]


def hold(space: Any, keys: Iterable[Any], name: str, found: Captured) -> None:
    for key in keys:
        place = id(space), key
        if place not in found.parts:
            at = f"{name}.{key}" if name else str(key)
            found.parts[place] = (space, key, at)
            found.todo.append((space[key], at))


def visit_function(function: FunctionType, name: str, found: Captured) -> None:
    """The variables of a function that are not its own: of its closure, and of its module.

    Functions that are not the user's have no state, but may close over functions that are.
    """
    code = function.__code__
    for variable, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            content = cell.cell_contents
        except ValueError:
            found.unset.append((cell, variable))
            continue
        if id(cell) not in found.seen:
            found.seen[id(cell)] = cell
            found.cells.append((cell, variable))
            found.todo.append((content, variable))
    found.todo += [(function.__defaults__, name), (function.__kwdefaults__, name)]
    found.todo.append((getattr(function, "__wrapped__", None), name))
    space = function.__globals__
    top = top_of(space.get("__name__"))
    generated = code.co_filename == "<string>" and code.co_name.startswith("__")  # by dataclass
    if (
        code.co_filename not in OWN_FILES
        and not generated
        and (top == "minigrad" or not is_foreign(top, found))
    ):
        for part in codes_in(code):
            # Also texts, as in getattr(x, "name").
            found.names |= {*part.co_names, *(x for x in part.co_consts if type(x) is str)}
            names = {x.argval for x in dis.get_instructions(part) if x.opname.endswith("_GLOBAL")}
            hold(space, sorted(name for name in names if name in space), "", found)
            found.unset += [
                (space, x) for x in sorted(names - space.keys() - vars(builtins).keys())
            ]


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """The code of a function, and of the functions that it defines."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_in(constant)


class Attributes:
    """The attributes of an object that has no dictionary, to be read as one."""

    def __init__(self, x: Any, names: list[str]) -> None:
        self.x, self.names = x, names

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self.x, name)
        except AttributeError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self.x, name, value)

    def __delitem__(self, name: str) -> None:
        delattr(self.x, name)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.names if hasattr(self.x, name))

    def __len__(self) -> int:
        return len(self.names)
