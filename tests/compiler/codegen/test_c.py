"""The C of statements of the loop IR."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from minigrad.compiler.codegen.c import C_TEMPLATES, KernelSource, literal, print_kernel, source_of
from minigrad.compiler.graph.affine import Expr, Var, number
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.loops.ir import (
    DTYPES,
    Access,
    Accumulate,
    Apply,
    For,
    If,
    Let,
    Number,
    Prefetch,
    Scratch,
    Statement,
    Store,
    Variable,
)
from minigrad.compiler.schedule.buffers import BufferPlan
from minigrad.compiler.target.toolchain import build

OWN = BufferPlan({})  # each array in memory of its own
FLOAT = np.dtype(np.float32)
X, Y = (Value(None, (), {}, (64,), FLOAT, "input") for _ in range(2))
N = Var("n", 64)


def printed(statements: list[Statement], buffers: BufferPlan = OWN) -> KernelSource:
    """A function that is only printed, or of arrays without a layout: not verified."""
    return print_kernel(statements, buffers, padded=True)


def at(array: Any, first: int = 0, **how: Any) -> Access:
    return Access(array, Expr({N: 1}, first), **how)


def text_of(*statements: Statement) -> str:
    """The C, without the declarations of the arrays."""
    lines = printed([*statements]).text.split("\n")
    return "\n".join(line for line in lines if "restrict" not in line)


def run(statements: list[Statement], *arrays: np.ndarray, vector: int = 16) -> None:
    """Build and run a kernel of these arrays, in the order of their first use."""
    (library,) = build(source_of([printed(statements).text], vector))
    kernel = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)(
        (ctypes.c_void_p * 1).in_dll(library, "kernels")[0] or 0
    )
    table = (ctypes.c_void_p * len(arrays))(*(x.ctypes.data for x in arrays))
    kernel(ctypes.addressof(table), None, 0, 1)


NUMBERS = [
    *((x, dtype) for dtype in ("float32", "float64") for x in (0.1, -0.0, 1e-40, 3e38, -2.5)),
    *((x, dtype) for dtype in ("float32", "float64") for x in (np.nan, np.inf, -np.inf)),
    *((x, "int64") for x in (2**63 - 1, -(2**63), 0)),
    *((x, "int8") for x in (127, -128)),
    *((x, "bool") for x in (True, False)),
]


def test_numbers_are_exact() -> None:
    for dtype in {dtype for _, dtype in NUMBERS}:
        expected = np.array([x for x, of in NUMBERS if of == dtype], dtype)
        array = Value(None, (), {}, expected.shape, expected.dtype, "input")
        stores: list[Statement] = [
            Store(Access(array, Expr({}, k)), Number.of(x, expected.dtype))
            for k, x in enumerate(expected)
        ]
        found = np.ones_like(expected)
        run(stores, found)
        if expected.dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))
        np.testing.assert_array_equal(found, expected)


def test_numbers_that_are_equal_but_not_the_same_differ() -> None:
    assert Number.of(0.0, FLOAT) != Number.of(-0.0, FLOAT)
    assert Number.of(np.nan, FLOAT) == Number.of(np.nan, FLOAT)
    assert literal(Number.of(1, FLOAT)) != literal(Number.of(1, np.dtype(np.float64)))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_each_dtype_has_a_cast(dtype: np.dtype[Any]) -> None:
    assert f"cast {dtype}" in C_TEMPLATES


@pytest.mark.parametrize(
    "statement, text",
    [
        (Let("u", FLOAT, Number.of(1, FLOAT)), "const float u = 1.0f;"),
        (
            Let("u", FLOAT, at(X, lanes=4), lanes=4),
            "const vec_float u = *(const vec_float *)&a0[n];",
        ),
        (Variable("u", FLOAT), "float u = 0;"),
        (Variable("u", FLOAT, lanes=8), "vec_float u = {0};"),
        (Variable("u", FLOAT, size=8), "float u[8];"),
        (Store(at(X), number(3)), "a0[n] = 3;"),
        (Accumulate(at(X), "+", at(Y)), "a0[n] = a0[n] + a1[n];"),
        (Accumulate(at(X), "max", at(Y)), "a0[n] = a1[n] > a0[n] ? a1[n] : a0[n];"),
        (Prefetch(at(X)), "PREFETCH(&a0[n]);"),
        (
            Store(at(X), Apply("select", (at(Y), number(1), number(2)))),
            "a0[n] = choose(a1[n], 1, 2);",
        ),
        (Store(at(X), Apply("pow({0}, {1})", (at(Y), at(X)))), "a0[n] = pow(a1[n], a0[n]);"),
    ],
)
def test_statements(statement: Statement, text: str) -> None:
    expected = f"for (int64_t n = 0; n < 64; n++) {{\n  {text}\n}}"
    assert text_of(For(N, [statement])) == expected


def test_branches() -> None:
    test = Apply("<", (at(X), at(Y)))
    branch = If(test, [Store(at(X), number(0))], [Store(at(Y), number(0))])
    _, *lines, _ = text_of(For(N, [branch])).split("\n")
    expected = ["if ((a0[n] < a1[n])) {", "  a0[n] = 0;", "} else {", "  a1[n] = 0;", "}"]
    assert [line[2:] for line in lines] == expected


def test_loops_of_threads_blocks_and_lanes() -> None:
    one = Store(at(X), number(1))
    assert "low = SPLIT(64, thread, threads, 16)" in text_of(For(N, [one], grain=16))
    assert "for (int64_t n = low; n < high; n++) {" in text_of(For(N, [one], grain=16))
    assert "SIMD()\nfor" in text_of(For(N, [one], simd=()))
    assert "INDEPENDENT\nfor" in text_of(For(N, [one], independent=True))
    block = For(Var("nb", 64), [For(N, [one], low="nb", high="nb_end")], step=24)
    assert "nb += 24" in text_of(block)
    found = np.zeros(64, np.float32)
    run([block], found)
    assert found.sum() == 64


def test_threads_share_loops_that_are_long_enough() -> None:
    one = Store(at(X), number(1))
    assert printed([For(N, [one], grain=16)]).parallel
    assert not printed([For(N, [one], grain=48)]).parallel
    assert not printed([For(N, [one])]).parallel


def test_an_offset_that_all_accesses_share_is_left_to_the_caller() -> None:
    found = printed(
        [For(N, [Store(at(X, 8), at(Y, 24)), Store(at(X, 10), at(Y, 25))])], BufferPlan({})
    )
    assert found.arguments == [(X, 8), (Y, 24)]
    assert "a0[n + 2] = a1[n + 1];" in found.text


def test_what_is_only_read_is_const_and_scratch_is_of_each_thread() -> None:
    text = printed(
        [For(N, [Store(at(X), at(Y)), Store(at(Scratch(X, 64)), at(Y))])], BufferPlan({})
    ).text
    assert "float *restrict a0 = (float *)arrays[0];" in text
    assert "const float *restrict a1 = (const float *)arrays[1];" in text
    assert "float *restrict a2 = (float *)arrays[2] + 64*thread;" in text


def test_masks_are_read_as_bytes() -> None:
    """Which gcc loads into vectors: a loop that reads masks as bool took 14 times as long."""
    mask, out = (Value(None, (), {}, (64,), np.dtype(bool), "input") for _ in range(2))
    read, written = Access(mask, Expr({N: 1})), Access(out, Expr({N: 1}))
    text = printed([For(N, [Let("t0", np.dtype(bool), read), Store(written, "t0")])]).text
    assert "const unsigned char *restrict a0 = (const unsigned char *)arrays[0];" in text
    assert "const bool t0 = a0[n];" in text
    assert "bool *restrict a1 = (bool *)arrays[1];" in text


def test_an_alias_is_one_array() -> None:
    found = printed([For(N, [Store(at(X), at(Y))])], BufferPlan({}, {X: Y}))
    assert found.arguments == [(Y, 0)]


def test_local_arrays_that_vectors_access_are_aligned() -> None:
    part = Variable("part", FLOAT, size=4)
    vector = Let("v", FLOAT, Access("part", Expr({}), lanes=4), lanes=4)
    assert "float part[4] FOR_VECTORS;" in text_of(part, vector)


OPERATORS: dict[str, Any] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else np.inf,
    "<": lambda a, b: a < b,
    "==": lambda a, b: a == b,
    "max": max,
    "min": min,
    "or": lambda a, b: float(a != 0 or b != 0),
}


def test_nested_operators_keep_their_order() -> None:
    """Of a, b, c in both ways to nest them, and as the argument of a function and a cast."""
    double = np.dtype(float)
    a, b, c = (3.0, 2.0, 7.0)
    one, two, three = (Number(str(x), double) for x in (a, b, c))
    nested: list[tuple[Apply, Any]] = []
    for outer, f in OPERATORS.items():
        for inner, g in OPERATORS.items():
            nested += [
                (Apply(outer, (Apply(inner, (one, two)), three)), f(g(a, b), c)),
                (Apply(outer, (one, Apply(inner, (two, three)))), f(a, g(b, c))),
                (Apply("-{0}", (Apply(inner, (one, two)),)), -g(a, b)),
                (Apply("cast int64", (Apply(inner, (one, two)),)), int(g(a, b))),
                (Apply("fabs({0})", (Apply(inner, (one, three)),)), abs(g(a, c))),
            ]
    y = np.zeros(len(nested))
    results = Value(None, (), {}, y.shape, double, "input")
    run([Store(Access(results, number(k)), x) for k, (x, _) in enumerate(nested)], y)
    np.testing.assert_allclose(y, [float(expected) for _, expected in nested])
