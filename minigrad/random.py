"""The default random generator, and its seed; the states of any, and which a function could use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from pickle import dumps, loads
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any

import numpy as np

from minigrad.arguments import Seed, checked
from minigrad.errors import ArgumentError

# Made on first use, to keep `import minigrad` fast.
default: np.random.Generator | None = None


def generator(rng: np.random.Generator | None = None) -> np.random.Generator:
    """The generator that was given, or the default one that everything without its own shares.

    Raises:
        ArgumentError: for anything else.
    """
    global default
    if rng is None:
        rng = default = default or np.random.default_rng()
    if not isinstance(rng, np.random.Generator):
        raise ArgumentError(f"rng={rng!r} is not a generator: write rng=np.random.default_rng(0)")
    return rng


def drawn_now(rng: np.random.Generator | None, shape: tuple[int, ...]) -> Any:
    return generator(rng).random(shape, np.float32)


draw: ContextVar[Callable[..., Any]] = ContextVar("draw", default=drawn_now)


def uniform(rng: np.random.Generator | None, shape: int | Sequence[int]) -> Any:
    """Uniform float32 numbers from [0, 1); while a function is compiled, a tracer for them.

    >>> uniform(np.random.default_rng(0), 3).shape, uniform(None, [2, 3]).shape
    ((3,), (2, 3))
    """
    sizes = [shape] if isinstance(shape, int | np.integer) else shape
    return draw.get()(rng, tuple(int(n) for n in sizes))


@checked
def manual_seed(seed: Seed) -> None:
    """Seed the default generator, so that what is drawn after this is the same in every run.

    It is used to initialise layers, for dropout and to shuffle batches, wherever no generator or
    seed is given. There is one for the whole process; NumPy's global state is not touched.

    Raises:
        ValueError: if seed is negative.

    >>> manual_seed(0)
    >>> first = generator().random()
    >>> manual_seed(0)
    >>> generator().random() == first
    True
    """
    # Reseeded in place, for others may hold a reference to it.
    generator().bit_generator.state = np.random.default_rng(seed).bit_generator.state


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


# The attributes by which objects are called, and refer to the function that they call.
CALLS = frozenset("__call__ forward __wrapped__ function".split())
LIBRARIES = sys.stdlib_module_names | {"minigrad", "numpy", "scipy"}


def generators_of(found: Sequence[Any]) -> list[Any]:
    """The random generators that functions among `found` could draw from, as far as can be seen:
    in variables around a function, in globals and in attributes that its code names, and in what
    functions among these refer to."""
    kinds = generator_types()
    todo, seen, names, generators = [*found], dict[int, Any](), set(CALLS), []
    while todo:
        x = todo.pop()
        if id(x) in seen:
            continue
        seen[id(x)] = x
        if isinstance(x, kinds):
            generators.append(x)
        elif isinstance(x, FunctionType):
            if is_of_user(x):
                own = {*x.__code__.co_names}
                todo += [x.__globals__[name] for name in own & x.__globals__.keys()]
                todo += [part for y in [*seen.values()] for part in attributes(y, own - names)]
                names |= own
                todo += [*(x.__defaults__ or ()), *(x.__kwdefaults__ or {}).values()]
            for cell in x.__closure__ or ():
                with suppress(ValueError):  # that it has no value yet
                    todo.append(cell.cell_contents)
        elif isinstance(x, MethodType | BuiltinMethodType):
            todo += [x.__self__, getattr(x, "__func__", None)]
        elif isinstance(x, partial):
            todo += [x.func, *x.args, *x.keywords.values()]
        todo += attributes(x, names)
    return generators


def generator_types() -> tuple[type, ...]:
    """Those of the modules that are imported: of another there is no generator."""
    kinds = {"numpy.random": "Generator RandomState BitGenerator", "random": "Random"}
    return tuple(
        getattr(sys.modules[module], name)
        for module, names in kinds.items()
        if module in sys.modules
        for name in names.split()
    )


def is_of_user(x: Any) -> bool:
    return str(x.__module__).partition(".")[0] not in LIBRARIES


def attributes(x: Any, names: set[str]) -> list[Any]:
    """Those of an object, a class or a module that have one of these names, and are not computed;
    all of a container of layers, and of a class only the user's."""
    found = []
    with suppress(AttributeError):
        found.append(object.__getattribute__(x, "__dict__"))
    if type(x).__module__ == "minigrad.nn.container":
        return [*found[0].values()]
    if is_of_user(type(x)):
        found += map(vars, type(x).__mro__)
    return [own[name] for own in found for name in names & own.keys()]
