"""SIMD loops in lanes: results stay the same, the C compiler orders no sum, and masks handle the
remainder."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
import pytest

from minigrad import functional as F
from minigrad.compiler import compile
from minigrad.compiler.codegen.deduplicate import generate
from minigrad.compiler.graph.affine import Expr, Var
from minigrad.compiler.graph.simplify import simplify
from minigrad.compiler.loops.ir import (
    Access,
    Accumulate,
    Apply,
    For,
    If,
    Let,
    Statement,
    Store,
    Variable,
    walk,
)
from minigrad.compiler.loops.lanes import by_lanes
from minigrad.compiler.loops.verify import verify
from minigrad.compiler.schedule.buffers import copy_aliased_writes, plan_buffers
from minigrad.compiler.schedule.contractions import pack_operands
from minigrad.compiler.schedule.fusion import schedule_kernels
from minigrad.compiler.target.machine import Machine
from tests.compiler.graphs import trace_of
from tests.compiler.loops.interpret import run

WIDE = np.dtype(np.float64)
LENGTHS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 27, 32, 33, 47, 100, 513)


def loop(n: int, sums: int, most: bool) -> list[Statement]:
    """Products of x and y: each is stored, and added to so many sums; and the largest x."""
    v, product = Var("v", n), Apply("*", ("p", "q"))
    here = Expr({v: 1})
    names = [f"sum{k}" for k in range(sums)]
    body: list[Statement] = [
        Let("p", WIDE, Access("x", here), frozenset({v})),
        Let("q", WIDE, Access("y", here), frozenset({v})),
        Store(Access("out", here + 3), product),
        *(Accumulate(name, "+", product) for name in names),
        *[Accumulate("most", "max", "p")] * most,
    ]
    kinds = (*(("+", name) for name in names), *[("max", "most")] * most)
    return [
        *(Variable(name, WIDE) for _, name in kinds),
        For(v, body, simd=kinds),
        *(Store(Access("out", Expr({}, k)), name) for k, (_, name) in enumerate(kinds)),
    ]


def result(statements: list[Statement], n: int) -> list[float]:
    sizes = {"x": n, "y": n, "out": n + 3}
    verify([*(Variable(name, WIDE, size=k) for name, k in sizes.items()), *statements])
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {name: rng.integers(1, 9, k).tolist() for name, k in sizes.items()}
    run(statements, arrays)
    return list(arrays["out"])


@pytest.mark.parametrize("vector", [16, 32, 64])
@pytest.mark.parametrize("sums, most", [(0, False), (1, False), (2, False), (0, True), (1, True)])
def test_loops_by_lanes_compute_the_same(sums: int, most: bool, vector: int) -> None:
    for n in LENGTHS:
        local = [Variable(name, WIDE, size=n + 3) for name in ("x", "y", "out")]
        found = by_lanes([*local, *loop(n, sums, most)], vector)[3:]
        assert result(found, n) == result(loop(n, sums, most), n), n


def test_masks_are_for_a_third_of_a_vector_and_more_where_there_are_some() -> None:
    def masked(n: int, sums: int, vector: int) -> list[str]:
        local = [Variable(name, WIDE, size=n + 3) for name in ("x", "y", "out")]
        every = walk(by_lanes([*local, *loop(n, sums, False)], vector))
        return [str(s.condition) for s in every if isinstance(s, If)]

    for sums in (0, 1):
        assert len(masked(27, sums, 64)) == 1
        assert not masked(27, sums, 32) and not masked(26, sums, 64) and not masked(24, sums, 64)
    assert masked(6, 0, 64)
    assert not masked(4, 0, 64) and not masked(28, 0, 64)  # a shorter vector


def text_of(function: Any, *arguments: Any) -> str:
    graph = copy_aliased_writes(simplify(trace_of(function, *arguments).graph))
    schedule = schedule_kernels(pack_operands(graph, 64))
    return "".join(generate(schedule, plan_buffers(schedule), Machine(64, 32, 1)).texts)


@pytest.mark.parametrize("n", [16, 27, 40, 64])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_rows_leave_no_sum_to_c_and_no_iteration_alone(n: int, kind: str) -> None:
    """C adds up lanes one by one: of a softmax of 16, that was a third of the time."""
    lanes = 64 // np.dtype(kind).itemsize
    x = np.ones((6, n), kind)
    softmax, log_softmax = (partial(f, axis=1) for f in (F.softmax, F.log_softmax))
    for f in (softmax, log_softmax, partial(F.layer_norm, normalized_shape=(n,))):
        text = text_of(f, x)
        assert "sum_of_" in text and "reduction(+" not in text
        ends = [int(n) for n in re.findall(r"SIMD\(.*\)\n *for \(.*? < (\d+);", text)]
        assert ends and all(n % lanes in (0, lanes // 2) for n in ends)


def test_rows_of_any_length_are_numpys() -> None:
    rng = np.random.default_rng(0)
    each = [rng.standard_normal((3, n)).astype(k) for n in (1, 6, 27) for k in "fd"]

    def rows(x: Any) -> Any:
        e = np.exp(x - np.max(x, axis=1, keepdims=True))
        return e / np.sum(e, axis=1, keepdims=True), np.sum(x * x, axis=1)

    found = compile(lambda xs: [rows(x) for x in xs])(each)
    for x, several in zip(each, found, strict=True):
        for got, expected in zip(several, rows(x), strict=True):
            np.testing.assert_allclose(got, expected, 10 * np.finfo(x.dtype).eps, 1e-7)
