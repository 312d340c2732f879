"""Faults of cache keys: two programs of one key are one program for all that the compiler keeps."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from minigrad.compiler.pipeline import digest
from tests.compiler.graphs import trace_of
from tests.fuzz.common import Kind, Lines, Program, kinds, same_bits, silent

NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
# What is put in the place of something else: never the same, often nearly.
OTHERS = """axis=0 axis=1;axis=1 axis=-1;axis=0 axis=None;True False;+ -;> >=;< <=;sum max;max min
argmax argmin;0.0 -0.0;1.0 1;1 True;2 2.0;float32 float64;int32 int64;::2 1::2;::-1 ::-2;sin cos
np.maximum np.minimum;[0, 2] [2, 0];np.nan np.inf;0.5 0.5000001;x0 x1;x1 x0;1.5 np.float32(1.5)"""


def variants(program: Program) -> list[Program]:
    """The program with one thing in it another: a number, an axis, an op, an input, an output."""
    found = [program]
    for k, (name, code) in enumerate(program.lines):
        left, right = code.split(" = ", 1)
        codes = []
        for pair in OTHERS.replace("\n", ";").split(";"):
            old, new = pair.rsplit(" ", 1) if "[" not in pair else ("[0, 2]", "[2, 0]")
            codes += [right.replace(old, new, 1)] if old in right else []
        for match in NUMBER.finditer(right):
            codes.append(f"{right[: match.start()]}{match.group()}1{right[match.end() :]}")
        for new in codes:
            lines = (*program.lines[:k], (name, f"{left} = {new}"), *program.lines[k + 1 :])
            found.append(replace(program, lines=lines))
    found.append(replace(program, outputs=program.outputs[::-1]))
    found.append(replace(program, outputs=program.outputs[:1] * 2))
    for name, x in program.inputs.items():
        others = [x.astype(np.float64), x.astype(np.int64), x[:1], x[..., :1], x.T]
        found += [replace(program, inputs={**program.inputs, name: y}) for y in others]
    return found


def results(program: Program) -> list[np.ndarray] | None:
    try:
        with silent():
            return [np.asarray(y) for y in program.function()(*program.arrays())]
    except (TypeError, ValueError, IndexError, NameError, SyntaxError):  # no program at all
        return None


def different(program: Program) -> str:
    """Two variants of it that have one key, and are not the same in shapes, dtypes or numbers."""
    known: dict[str, tuple[Program, list[np.ndarray]]] = {}
    for other in variants(program):
        found = results(other)
        if found is None:
            continue
        arrays = tuple(other.arrays())
        with silent():
            key = digest(trace_of(other.function(), *arrays).graph)
        first, expected = known.setdefault(key, (other, found))
        same = all(
            x.dtype == y.dtype and x.shape == y.shape and equal(x, y)
            for x, y in zip(found, expected, strict=True)
        )
        alike = all(
            x.dtype == y.dtype and x.shape == y.shape and equal(x, y)
            for x, y in zip(arrays, first.arrays(), strict=True)
        )
        if alike and not same:
            return f"the key of\n{other}\nis that of\n{first}"
        shapes = [(x.dtype, x.shape) for x in (*arrays, *found)]
        if shapes != [(x.dtype, x.shape) for x in (*first.arrays(), *expected)]:
            return f"the key of\n{other}\nis that of\n{first}"
    return ""


def equal(x: np.ndarray, y: np.ndarray) -> bool:
    return same_bits(x, y) if x.dtype.kind == "f" else np.array_equal(x, y)


def program_of(b: Lines) -> Program:
    n = int(b.draw(2, 3, 4))
    x, y = (b.given(b.rng.uniform(-2, 2, (n, n)).astype(np.float32)) for _ in range(2))
    codes = [
        f"np.sum({x} * 2, axis=0)",
        f"np.argmax({x}, axis=1)",
        f"{x} + 1.5",
        f"np.sin({x}) - {y}",
    ]
    codes += [f"np.where({x} > 0.5, {y}, 0.0)", f"{x}[::2] * 1.0", f"{x}.astype(np.float32) + 0.5"]
    codes += [f"np.max({x}, axis=1, keepdims=True)", f"{x}[::-1] + {y}", f"np.maximum({x}, {y})"]
    codes += [f"{x} ** 2", f"np.roll({x}, 1, axis=0)", f"{x} * np.array([1.0] * {n})", f"{x} / {y}"]
    codes += [f"np.pad({x}, 1)", f"np.concatenate([{x}, {y}], axis=0)", f"{x} @ {y}", f"{x}[1] + 1"]
    codes += [f"{x} * 0.0", f"{x}.astype(np.int32) > 1", f"np.where({x} > 0, np.nan, {y})"]
    codes += [f"np.take({x}, np.array([0, 1]), axis=0)", f"np.reshape({x}, ({n}, 1, {n}))"]
    for code in b.rng.permutation(codes)[: int(b.draw(1, 2, 3))]:
        b.let(str(code))
    return b.program()


kinds["keys_of_programs"] = Kind(
    "keys_of_programs",
    lambda rng: program_of(Lines(rng)),
    in_tests=40,
    check=lambda programs: [different(program) for program in programs],
)
