"""Programs with views, aliases and writes, as NumPy users write them.

Their derivatives are known without any reverse pass: run on complex numbers, a program of analytic
functions gives its derivative in a direction as the imaginary part of f(x + ih d) / h, exact to
rounding (W. Squire and G. Trapp, "Using complex differentiation to approximate derivatives", 1998).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.compiler import jit as compiled
from minigrad.compiler.graph.simplify import simplify
from minigrad.compiler.runtime.interpreter import NumpyProgram
from minigrad.errors import GradientError, UnsupportedError
from tests.fuzz.common import MODULES, Kind, Lines, Program, directions, kinds, silent

STEP = 1e-30  # of the complex numbers
Function = Callable[..., Any]


def double(v: Any) -> None:
    """As the helpers of users are, that change what they are given."""
    v *= 2.0


def centre_rows(v: Any) -> None:
    for row in v:
        row -= row.mean()


NAMES = {"double": double, "centre_rows": centre_rows}

NEW = [
    "np.sin({0})",
    "{0} * {1}",
    "{0} + 0.5",
    "{0} @ {0}.T",
    "np.copy({0})",
    "np.zeros_like({0})",
    "np.tanh({0}) + 0.25 * {0}",
    "np.concatenate([{0}, {0}])",
    "np.sum({0}, axis=0, keepdims=True)",
    "np.where({mask}, {0}, 1.5)",
    "{0}[{list}]",
    "{0}.T.copy()",
    "np.sort({0}, axis=0)",
    "np.take({0}, [0, -1], axis=-1)",
    "np.roll({0}, 1)",
    "np.clip({0}, None, None)",
    "np.prod({0}[None], axis=0)",
    "np.zeros_like({0}, shape=())",
]
VIEWS = [
    "{0}[{index}]",
    "{0}[{index}]",
    "{0}[::-1]",
    "{0}[None]",
    "{0}[..., None]",
    "{0}.T",
    "np.swapaxes({0}, 0, -1)",
    "{0}.reshape(-1)",
    "{0}.reshape({shape})",
    "{0}.ravel()",
    "np.squeeze({0})",
    "np.flip({0}, -1)",
    "np.rot90({0})",
    "np.split({0}, [1])[{bit}]",
    "list({0})[-1]",
    "np.atleast_2d({0})",
    "np.moveaxis({0}, 0, -1)",
    "np.einsum('...a->a...', {0})",
    "{0}[np.argmax(np.arange({0}.shape[0]) * ({0}.size > 0))]",
    "np.broadcast_to({0}, (2, *{0}.shape))",
    "np.diagonal({0})",
    "{0}",
]
WRITES = [
    "{0}[{index}] = {number}",
    "{0}[{index}] = {1}[{index}]",
    "{0}[{index}] += {number}",
    "{0}[{index}] *= {0}[{index}]",
    "{0}[{list}] = {number}",
    "{0}[{mask}] = {number}",
    "{0}[...] = np.sin({1})",
    "{0}[:] = {0}[::-1]",
    "{0} += {number}",
    "{0} -= {1}",
    "{0} *= {1}",
    "{0} /= 2.0",
    "{0} **= 2",
    "np.multiply({0}, 0.5, out={0})",
    "np.add({0}, {1}, out={0})",
    "double({0})",
    "centre_rows({0})",
    'holder = dict(w={0}); holder["w"] -= 1.0',
    "number = {0}.sum(); other = number; other += 1.0; {0}[{index}] = number * 0.1",
]


def code_for(b: Lines, form: str, arrays: dict[str, Any]) -> str:
    """A line of this form, on arrays that there are."""
    names = [b.draw(*arrays), b.draw(*arrays)]
    x = arrays[names[0]]
    shape = np.shape(x)
    axes = int(b.rng.integers(0, len(shape) + 1))
    parts = [b.draw("0", "-1", ":", "1:", "::-1", "::2", ":1") for _ in range(axes)] or ["..."]
    fills: dict[str, Any] = {
        "index": ", ".join(parts),
        "number": round(float(b.rng.uniform(-2, 2)), 2),
        "mask": f"np.arange({np.size(x)}).reshape({shape}) % {b.draw(2, 3)} == 0",
        "list": b.draw("[0]", "[0, -1]", "[-1, 0, 0]"),
        "bit": b.draw(0, 1),
        "shape": b.draw((-1, 2), (3, -1), (2, -1, 1), (1, -1)),
    }
    return form.format(*names, **fills)


def views(b: Lines) -> Program:
    x = b.rng.uniform(-1, 1, b.draw((2, 3), (3, 3), (4,), (2, 2, 3), (3, 1, 2)))
    given = b.given(np.array(x, order=b.draw("C", "C", "F")))
    lines = [("v0", f"v0 = {given} * 1.0")]
    names = dict(MODULES) | NAMES | {given: b.inputs[given]}
    exec(lines[0][1], names)
    for _ in range(int(b.rng.integers(4, 12))):
        arrays = {k: x for k, x in names.items() if k[0] == "v" and k[1:].isdigit()}
        forms, target = b.draw((NEW, True), (VIEWS, True), (VIEWS, True), (WRITES, False))
        code = code_for(b, b.draw(*forms), arrays)
        name = f"v{len(arrays)}" if target or not arrays else ""
        code = f"{name} = {code}" if target else code
        if is_good(code, lines, given, b.inputs[given]):
            exec(code, names)
            lines.append((name, code))
    arrays = {k: None for k in names if k[0] == "v" and k[1:].isdigit()}
    return Program(b.inputs, tuple(lines), tuple(arrays), names=NAMES)


def is_good(code: str, lines: Sequence[tuple[str, str]], given: str, x: np.ndarray) -> bool:
    """Whether NumPy takes it, and its numbers stay where they can be compared."""
    names = dict(MODULES) | NAMES | {given: np.copy(x)}
    try:
        with silent():
            for line in [*(code for _, code in lines), code]:
                exec(line, names)
    except (ValueError, IndexError, TypeError, ZeroDivisionError):
        return False
    arrays = [x for k, x in names.items() if k[0] == "v" and k[1:].isdigit()]
    return all(isinstance(x, np.ndarray) and x.size <= 64 for x in arrays) and all(
        np.isfinite(x).all() and np.max(np.abs(x), initial=0) < 100 for x in arrays
    )


def total_of(function: Function) -> Function:
    """A number in which each entry of each output has another part."""

    def total(x: Any) -> Any:
        parts = function(x)
        weights = [np.cos(np.arange(y.size) + k).reshape(y.shape) for k, y in enumerate(parts)]
        return sum(np.sum(np.sin(y) * w) for y, w in zip(parts, weights, strict=True))

    return total


def slope(total: Function, x: np.ndarray, direction: np.ndarray) -> float:
    """The derivative of a number in a direction."""
    return float(np.imag(total(x + 1j * STEP * direction)) / STEP)


def second_slope(total: Function, x: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    h = 1e-4
    return (slope(total, x + h * one, other) - slope(total, x - h * one, other)) / (2 * h)


def wrong_eagerly(program: Program) -> str:
    """What is wrong with values and derivatives; or an empty text."""
    (x,), (v,) = program.arrays(), directions(program)
    v = np.array(v, order="F" if x.flags.f_contiguous else "C")  # so that x + v is as x
    function = program.function()
    total = total_of(function)
    value, gradient = minigrad.value_and_grad(total)(x)
    if not np.isclose(value, total(np.copy(x)), rtol=1e-10, atol=1e-10):
        return f"the value under value_and_grad is {value}, not {total(np.copy(x))}"
    expected = slope(total, x, v)
    if not np.isclose(np.vdot(gradient, v), expected, rtol=1e-9, atol=1e-9):
        return f"the derivative is {np.vdot(gradient, v)}, not {expected}"
    w = np.copy(v[::-1])
    found, second = np.vdot(minigrad.hvp(total)(x, w), v), second_slope(total, x, w, v)
    if not np.isclose(found, second, rtol=1e-4, atol=1e-4 * (1 + abs(expected))):
        return f"the second derivative is {found}, not {second}"
    return ""


def wrong_compiled(program: Program) -> str:
    """The same of what is compiled, which may be refused; the graph is run by NumPy."""
    (x,) = program.arrays()
    function = program.function()
    try:
        got = minigrad.compile(function)(x)
        slopes = minigrad.compile(minigrad.grad(total_of(function)))(x)
    except (UnsupportedError, GradientError):
        return ""
    for k, (mine, y) in enumerate(zip(got, function(np.copy(x)), strict=True)):
        if not (mine.shape == y.shape and np.allclose(mine, y, rtol=1e-10, atol=1e-10)):
            return f"compiled, value {k} is\n{mine!r}\nnot\n{y!r}"
    eager = minigrad.grad(total_of(function))(x)
    return "" if np.allclose(slopes, eager, rtol=1e-8, atol=1e-8) else f"compiled, {slopes} {eager}"


def check(programs: Sequence[Program]) -> list[str]:
    with silent(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "begin_build", lambda graph: lambda: NumpyProgram(simplify(graph)))
        return [
            wrong_eagerly(program) or (program.seed % 4 == 0 and wrong_compiled(program)) or ""
            for program in programs
        ]


kinds["views"] = Kind(
    "views", lambda rng: views(Lines(rng)), together=100, check=check, in_tests=100
)
