"""Functions as a WebAssembly module for a page."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import minigrad.compiler.export.wasm as wasm
from minigrad.compiler.export.program import ExportedProgram, exported
from minigrad.compiler.frontend.guards import Guards
from minigrad.compiler.frontend.trace import Traced
from minigrad.compiler.jit import Compiled, exclusive_tracing, trace_and_verify
from minigrad.compiler.target.cache import cache_get, cache_put
from minigrad.compiler.target.webassembly import MACHINE, needed_compiler
from minigrad.playground.networks import Functions, Networks


@dataclass(eq=False)
class Call:
    """What an export reads of a specialization, without a C program of this machine."""

    arguments: tuple[tuple[np.ndarray, ...], dict[str, Any]]
    given: list[np.ndarray]
    traced: Traced
    guards: Guards

    def stale(self) -> str:
        """Nothing has changed since it was traced."""
        return ""


def traced(function: Callable[..., Any], arguments: tuple[np.ndarray, ...]) -> Compiled[Any, Any]:
    """A compiled function as an export needs it, without a call.

    >>> graph = traced(np.sin, (np.zeros(3),)).specializations[0].traced.graph
    >>> [value.op.name for value in graph.outputs]
    ['sin']
    """
    compiled: Compiled[Any, Any] = Compiled(function)
    with exclusive_tracing():
        found, guards, _ = trace_and_verify(function, (arguments, {}), lambda graph: None)
    call: Any = Call((arguments, {}), [*arguments], found, guards)
    compiled.specializations = [call]
    return compiled


def program_of(functions: Functions, progress: bool = False) -> ExportedProgram:
    """The program of these functions.

    Raises:
        UnsupportedError: if a function cannot stand alone.
    """
    compiled = {name: traced(*functions[name]) for name in counted(functions, progress)}
    return exported("playground", compiled, MACHINE)


def counted(names: Iterable[str], progress: bool) -> Iterable[str]:
    """The names, with a progress bar if stderr is a terminal."""
    if not progress:
        return names
    from tqdm import tqdm

    bar: Iterable[str] = tqdm(
        [*names], desc="tracing", unit=" functions", leave=False, disable=None
    )
    return bar


def announce(what: str, progress: bool) -> None:
    """Say on stderr what takes long, so that stdout has the result alone."""
    if progress:
        print(f"minigrad: {what}", file=sys.stderr, flush=True)


def ready_module(progress: bool = False) -> bytes:
    """The module of the ready playground, built once for each version of this package.

    Raises:
        BuildError: if there is no compiler for WebAssembly: the package ziglang brings one.
    """
    name = f"{package_digest()}.wasm"
    module = cache_get(name)
    if module is None:
        needed_compiler()  # before anything else is done
        announce("building the playground, once, which can take a minute", progress)
        made = Networks()
        explanations, told = made.explanations()
        program = program_of(made.functions() | explanations, progress)
        module = with_explanations(wasm.module(program), told)
        cache_put(name, module)
    return module


def with_explanations(module: bytes, told: Mapping[str, Any]) -> bytes:
    """A module, and the descriptions of explanations, by the functions of their numbers."""
    return module + wasm.section("explanations", json.dumps(told).encode())


@cache
def package_digest() -> str:
    """A digest of all code that the module follows from."""
    root = Path(__file__).parent.parent
    files = sorted(path for path in root.rglob("*.*") if path.suffix in (".py", ".c", ".h"))
    found = hashlib.sha256(b"playground")
    for path in files:
        found.update(path.read_bytes())
    return found.hexdigest()[:32]
