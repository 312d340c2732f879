"""Export: compiled functions as a program of C or WebAssembly that stands alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from minigrad.compiler.export.c import write_c
from minigrad.compiler.export.naming import program_name
from minigrad.compiler.export.program import exported
from minigrad.compiler.export.wasm import write_wasm
from minigrad.compiler.target import webassembly
from minigrad.compiler.target.machine import machine
from minigrad.errors import ArgumentError, ArgumentTypeError


def export(path: str | os.PathLike[str], **functions: Any) -> None:
    """Write compiled functions as one program of C or WebAssembly, which runs without Python.

    Each function is what its last call ran, for arguments of those shapes and dtypes. Arrays that
    several of them capture, as parameters, are one array of the program; its numbers in the
    beginning are the present ones. What else they captured (numbers, training mode) is fixed: the
    README of the program lists it. docs/export.md has more.

    Args:
        path: a folder for a header, the C and a README; or the file of a module of WebAssembly,
            "NAME.wasm", beside which "NAME.js" has a class for it, and "NAME.d.ts" its types. Its
            name is that of the program.
        functions: by the names that they have in the program, what `minigrad.compile` returned.

    Raises:
        ArgumentError: if there is no function, or one is not compiled, was not called yet, or
            depends on something that has changed since; or the path is that of something else.
        OSError: if a file cannot be written.
        UnsupportedError: if it cannot stand alone, as it computes something by NumPy, returns a
            value of Python, or keeps gradients from call to call that another function clears.
        BuildError: if there is no compiler for WebAssembly, or it fails: the package ziglang has
            one.

    >>> import tempfile
    >>> import numpy as np
    >>> import minigrad
    >>> square = minigrad.compile(lambda x: x * x)
    >>> square(np.arange(3.0))
    array([0., 1., 4.])
    >>> folder = Path(tempfile.mkdtemp(), "squares")
    >>> export(folder, square=square)
    >>> sorted(file.name for file in folder.iterdir())
    ['README.md', 'minigrad_random.h', 'squares.c', 'squares.h']
    >>> "int squares_square(squares_program *);" in (folder / "squares.h").read_text()
    True
    """
    write_program(path, functions)


def write_program(
    path: str | os.PathLike[str], functions: Mapping[str, Any], about: str = ""
) -> None:
    """Export functions as `export` does. `about`: lines that say what the program computes, for its
    README or the head of its JavaScript."""
    if not isinstance(path, str | os.PathLike):
        raise ArgumentTypeError(
            f"export: a path is a text or a pathlib.Path, not a {type(path).__name__}: "
            "minigrad.export(path, step=step)"
        )
    if not os.fspath(path) or Path(path).name.lower() == ".wasm":
        raise ArgumentError(
            f"export: the path {os.fspath(path)!r} has no name for the program: "
            "give the path of a folder, or NAME.wasm"
        )
    path = Path(os.path.abspath(path))  # so that "." and ".." have names, too
    if path.suffix.lower() == ".wasm":
        program = exported(program_name(path.stem), functions, webassembly.MACHINE)
        write_wasm(replace(program, about=about), path)
    elif path.suffix in (".c", ".h") or (path.exists() and not path.is_dir()):
        raise ArgumentError(
            f"export: C is written into a folder, and {path.name} is a file, or named like one: "
            "give the path of a folder"
        )
    else:
        program = exported(program_name(path.name), functions, replace(machine(), threads=1))
        write_c(replace(program, about=about), path)
