"""What functions could use, as far as can be seen, and its states: those of random generators, and
of all that they could write into."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from functools import partial
from pickle import dumps, loads
from types import BuiltinMethodType, CellType, CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

from minigrad.tensor import Tensor

# The attributes by which objects are called, and refer to the function that they call.
CALLS = frozenset("__call__ forward __wrapped__ function".split())
LIBRARIES = sys.stdlib_module_names | {"minigrad", "numpy", "scipy"}


def reachable(found: Sequence[Any], kinds: tuple[type, ...], deep: bool = False) -> list[Any]:
    """The objects of these kinds that functions among `found` could use: in variables around a
    function, in globals and in attributes that its code names, and in what functions among these
    refer to; if `deep`, in containers and in minigrad's objects as well."""
    todo, seen, names, objects = [*found], dict[int, Any](), set(CALLS), []
    while todo:
        x = todo.pop()
        if id(x) in seen:
            continue
        seen[id(x)] = x
        if isinstance(x, kinds):
            objects.append(x)
        if deep and isinstance(x, list | tuple | dict | set):
            todo += x.values() if isinstance(x, dict) else x
        elif isinstance(x, FunctionType):
            if is_of_user(x):
                own = {*x.__code__.co_names}
                todo += [x.__globals__[name] for name in own & x.__globals__.keys()]
                todo += [
                    part for y in [*seen.values()] for part in attributes(y, own - names, deep)
                ]
                names |= own
                todo += [*(x.__defaults__ or ()), *(x.__kwdefaults__ or {}).values()]
            for cell in x.__closure__ or ():
                with suppress(ValueError):  # that it has no value yet
                    todo.append(cell.cell_contents)
        elif isinstance(x, MethodType | BuiltinMethodType):
            todo += [x.__self__, getattr(x, "__func__", None)]
        elif isinstance(x, partial):
            todo += [x.func, *x.args, *x.keywords.values()]
        todo += attributes(x, names, deep)
    return objects


def is_of_user(x: Any) -> bool:
    return str(x.__module__).partition(".")[0] not in LIBRARIES


def attributes(x: Any, names: set[str], deep: bool = False) -> list[Any]:
    """Those of an object, a class or a module that have one of these names, and are not computed;
    all of a container of layers (if `deep`, of all objects of minigrad's), and of a class only the
    user's."""
    found = []
    with suppress(AttributeError):
        found.append(object.__getattribute__(x, "__dict__"))
    module = type(x).__module__
    if found and (module == "minigrad.nn.container" or (deep and module.startswith("minigrad."))):
        return [*found[0].values()]
    if is_of_user(type(x)):
        found += map(vars, type(x).__mro__)
    return [own[name] for own in found for name in names & own.keys()]


def as_it_is_now(function: Any, writes: bool = False, known: dict[int, Any] | None = None) -> Any:
    """A function that reads its variables of outside as they are now: those around it, and those of
    its module that its code names. So do functions among them. What it assigns to them is seen only
    if it `writes`, and these are as they are then."""
    known = {} if known is None else known
    if id(function) in known:
        return known[id(function)]
    if isinstance(function, MethodType):
        return MethodType(as_it_is_now(function.__func__, writes, known), function.__self__)
    if isinstance(function, partial):
        inner = as_it_is_now(function.func, writes, known)
        return partial(inner, *function.args, **function.keywords)
    if not isinstance(function, FunctionType):
        return function
    code, variables, names = function.__code__, function.__globals__, set[str]()
    assigned = assigned_in(code) if writes else set()
    if is_of_user(function) and assigned.isdisjoint(variables):
        names = named_in(code) & variables.keys()
        variables = {name: variables[name] for name in names | KEPT}
    elif not function.__closure__:
        return function
    given = zip(code.co_freevars, function.__closure__ or (), strict=True)
    closure = tuple(cell if name in assigned else CellType() for name, cell in given)
    made = FunctionType(code, variables, function.__name__, None, closure)
    known[id(function)] = made
    made.__defaults__, made.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    vars(made).update(vars(function))
    for name in names:
        variables[name] = as_it_is_now(variables[name], writes, known)
    for cell, now in zip(function.__closure__ or (), closure, strict=True):
        if cell is not now:
            with suppress(ValueError):  # that it has no value yet
                now.cell_contents = as_it_is_now(cell.cell_contents, writes, known)
    return made


def assigned_in(code: CodeType) -> set[str]:
    """The variables of outside that a function assigns to, or a function in it."""
    inner = [assigned_in(x) for x in code.co_consts if isinstance(x, CodeType)]
    stores = ("STORE_DEREF", "STORE_GLOBAL")
    return {i.argval for i in dis.get_instructions(code) if i.opname in stores}.union(*inner)


KEPT = {"__builtins__", "__name__"}  # of the variables of a module


def named_in(code: CodeType) -> set[str]:
    """The names of attributes and variables of the module in a function, and in those in it."""
    inner = [named_in(x) for x in code.co_consts if isinstance(x, CodeType)]
    return {*code.co_names}.union(*inner)


def generators_of(found: Sequence[Any]) -> list[Any]:
    """The random generators that functions among `found` could draw from, as far as can be seen."""
    return reachable(found, generator_types())


def generator_types() -> tuple[type, ...]:
    """Those of the modules that are imported: of another there is no generator."""
    kinds = {"numpy.random": "Generator RandomState BitGenerator", "random": "Random"}
    return tuple(
        getattr(sys.modules[module], name)
        for module, names in kinds.items()
        if module in sys.modules
        for name in names.split()
    )


def bits_of(rng: Any) -> bytes:
    """The state of a random generator: NumPy's, new or legacy, or Python's."""
    if hasattr(rng, "getstate"):
        return dumps(rng.getstate())
    return dumps(rng.get_state(False) if hasattr(rng, "get_state") else source_of(rng).state)


def set_bits(rng: Any, bits: bytes) -> None:
    if hasattr(rng, "setstate"):
        rng.setstate(loads(bits))
    elif hasattr(rng, "set_state"):
        rng.set_state(loads(bits))
    else:
        source_of(rng).state = loads(bits)


def source_of(rng: Any) -> Any:
    return getattr(rng, "bit_generator", rng)


@contextmanager
def unseen(function: Any) -> Iterator[None]:
    """Inside, a function is run of which nothing is to be seen. Afterwards the Tensors, arrays,
    lists, dicts and generators that it could use, as far as can be seen, are as they were."""
    generators, containers = generator_types(), (list, dict)
    found: list[Any] = reachable(
        [function], (Tensor, np.ndarray, *containers, *generators), deep=True
    )
    nodes = [(x, x.node, x.node.grad) for x in found if isinstance(x, Tensor)]
    arrays = [x for x in found if type(x) is np.ndarray]
    arrays += [y for _, node, g in nodes for y in (node.value, g) if type(y) is np.ndarray]
    numbers = [(x, x.copy()) for x in arrays if x.flags.writeable]
    held = [(x, copy(x)) for x in found if isinstance(x, containers)]
    states = [(x, bits_of(x)) for x in found if isinstance(x, generators)]
    try:
        yield
    finally:
        for tensor, node, g in nodes:
            tensor.node, node.grad = node, g
        for array, before in numbers:
            array[...] = before
        for x, parts in held:
            x.clear()
            x.extend(parts) if isinstance(x, list) else x.update(parts)
        for rng, bits in states:
            set_bits(rng, bits)
