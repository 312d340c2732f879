"""What a function finds outside of its arguments: its state, and what it may not be stale of."""

from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from minigrad.errors import OWN_FILES
from minigrad.nn import Module
from minigrad.optim import Optimizer
from minigrad.tensor import Tensor
from minigrad.transforms import leaves_of

SCALARS = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype)


@dataclass
class Captured:
    """Everything that a function can reach, each once.

    `arrays` are those that are no Tensor's. `held` is all that was looked at, by where it is: a
    container, a key, and how to say it; `holders` are the containers themselves.
    """

    tensors: dict[int, Tensor] = field(default_factory=dict)
    optimizers: dict[int, Optimizer] = field(default_factory=dict)
    arrays: dict[int, np.ndarray] = field(default_factory=dict)
    held: list[tuple[Any, Any, str]] = field(default_factory=list)
    holders: list[tuple[Any, str]] = field(default_factory=list)
    seen: dict[int, Any] = field(default_factory=dict)


def captured(function: Callable[..., Any], arguments: Any) -> Captured:
    """Walk through all that a function can reach, also in arguments that are no arrays."""
    found = Captured()
    visit(function, getattr(function, "__qualname__", "f"), found)
    for place, x in leaves_of(arguments):
        if not isinstance(x, Tensor | np.ndarray):
            visit(x, f"argument {place}", found)
    return found


def visit(x: Any, name: str, found: Captured) -> None:
    """Note a value, and what is in it."""
    if id(x) in found.seen or isinstance(x, (*SCALARS, type, ModuleType)):
        return
    found.seen[id(x)] = x  # held, so that no other object gets its id
    if type(x).__module__.startswith(__package__):  # compiled: what it computes is traced with us
        visit(getattr(x, "__wrapped__", None), name, found)
    elif isinstance(x, Tensor):
        found.tensors[id(x)] = x
    elif isinstance(x, np.ndarray):
        found.arrays[id(x)] = x
    elif isinstance(x, Optimizer):
        found.optimizers[id(x)] = x
        visit(x.param_groups, f"{name}.param_groups", found)
    elif isinstance(x, functools.partial):
        visit([x.func, x.args, x.keywords], name, found)
    elif isinstance(x, MethodType):
        visit(x.__func__, name, found)
        visit(x.__self__, f"{name}.__self__", found)
    elif isinstance(x, FunctionType):
        visit_function(x, name, found)
    elif isinstance(x, dict):
        found.holders.append((x, name))
        visit_items(x, ((key, f"{name}[{key!r}]") for key in x), found)
    elif isinstance(x, list):
        found.holders.append((x, name))
        visit_items(x, ((k, f"{name}[{k}]") for k in range(len(x))), found)
    elif isinstance(x, tuple | set | frozenset):
        for k, part in enumerate(x):
            visit(part, f"{name}[{k}]", found)
    elif isinstance(x, Module) or hasattr(x, "__dict__"):
        found.holders.append((vars(x), name))
        visit_items(vars(x), ((key, f"{name}.{key}") for key in vars(x)), found)


def visit_items(holder: Any, items: Iterator[tuple[Any, str]], found: Captured) -> None:
    for key, name in list(items):
        found.held.append((holder, key, name))
        visit(holder[key], name, found)


def visit_function(function: FunctionType, name: str, found: Captured) -> None:
    """The variables of a function that are not its own: of its closure, and of its module.

    Functions of this package have no state of their own, but close over functions of the user's.
    """
    for variable, cell in zip(
        function.__code__.co_freevars, function.__closure__ or (), strict=True
    ):
        try:
            content = cell.cell_contents
        except ValueError:  # a variable without a value yet
            continue
        found.held.append((Cell(cell), None, variable))
        visit(content, variable, found)
    visit(function.__defaults__, name, found)
    visit(function.__kwdefaults__, name, found)
    if function.__code__.co_filename not in OWN_FILES:
        names = {n for n in names_in(function.__code__) if n in function.__globals__}
        visit_items(function.__globals__, ((n, n) for n in sorted(names)), found)
    if hasattr(function, "__wrapped__"):
        visit(inspect.unwrap(function), name, found)


def names_in(code: CodeType) -> Iterator[str]:
    """The names of globals in a function, and in the functions that it defines."""
    yield from (x.argval for x in dis.get_instructions(code) if x.opname == "LOAD_GLOBAL")
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)


class Cell:
    """A closure's cell, to be read as the other holders are."""

    def __init__(self, cell: Any) -> None:
        self.cell = cell

    def __getitem__(self, key: None) -> Any:
        return self.cell.cell_contents
