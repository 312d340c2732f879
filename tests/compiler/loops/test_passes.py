"""Passes over the loop IR: what they make, and that the result computes the same."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from minigrad.compiler.graph.affine import Expr, Var, ravel_index
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
    substituted,
    walk,
)
from minigrad.compiler.loops.passes import (
    around,
    blocking_of,
    blocks,
    hoisted,
    merged,
    nest,
    vectorised,
)
from minigrad.compiler.loops.verify import verify
from tests.compiler.loops.interpret import run

FLOAT, WIDE = np.dtype(np.float32), np.dtype(np.float64)
A, B, C = Var("a", 3), Var("b", 4), Var("c", 5)


def index(*variables: Var) -> Expr:
    """A place in an array with these axes, in C order."""
    return ravel_index([Expr({v: 1}) for v in variables], [v.extent for v in variables])


def result(statements: Sequence[Statement], entries: int = 60) -> list[float]:
    """What is in the array "out" in the end, where "x" and "y" hold numbers."""
    verify([Variable(name, WIDE, size=entries) for name in ("x", "y", "out")] + [*statements])
    rng = random.Random(0)
    arrays: dict[str, Any] = {name: [rng.randint(1, 9) for _ in range(entries)] for name in "xy"}
    arrays["out"] = [0] * entries
    run(statements, arrays)
    return list(arrays["out"])


def copied(*variables: Var) -> Store:
    place = index(*variables)
    return Store(Access("out", place), Apply("*", (Access("x", place), Access("y", place))))


def loops(statements: Sequence[Statement]) -> list[Var]:
    return [s.variable for s in walk(statements) if isinstance(s, For)]


def test_a_nest_has_its_first_loop_outermost_which_threads_share() -> None:
    (outer,) = nest([A, B], [copied(A, B)], grain=2)
    assert isinstance(outer, For)
    assert (outer.variable, outer.grain) == (A, 2)
    (inner,) = outer.body
    assert isinstance(inner, For)
    assert (inner.variable, inner.grain) == (B, 0)


def test_loops_over_what_is_contiguous_are_one() -> None:
    body = [copied(A, B, C)]
    variables, new = merged([Expr({v: 1}) for v in (A, B, C)], body)
    assert [v.extent for v in variables] == [60]
    assert result(nest(variables, substituted(body, new))) == result(nest([A, B, C], body))


@pytest.mark.parametrize(
    "read, extents",
    [
        (index(A, C), [3, 4, 5]),  # j is not in it
        (index(B, A, C), [3, 4, 5]),  # in another order
        (index(A, B), [12, 5]),
        (
            ravel_index([Expr({A: 1}), ravel_index([Expr({B: 1}), Expr({C: 1})], [4, 5])], [3, 20]),
            [60],
        ),
        (index(A, B, C).divmod(7)[0], [3, 4, 5]),
    ],
)
def test_loops_that_an_index_tells_apart_are_not_merged(read: Expr, extents: list[int]) -> None:
    body = [Store(Access("out", index(A, B, C)), Access("x", read))]
    variables, new = merged([Expr({v: 1}) for v in (A, B, C)], body)
    assert [v.extent for v in variables] == extents
    assert result(nest(variables, substituted(body, new))) == result(nest([A, B, C], body))


def test_what_does_not_depend_on_loops_goes_before_them() -> None:
    lines = [
        Let("a", FLOAT, Access("x", Expr({A: 1})), frozenset([A])),
        Let("b", FLOAT, Access("x", Expr({B: 1})), frozenset([B])),
        Let("c", FLOAT, Apply("*", ("a", "b")), frozenset([A, B])),
        Let("d", FLOAT, Access("x", Expr({}, 3))),
    ]
    assert [[x.name for x in part] for part in hoisted(lines, {B})] == [["b", "c"], ["a", "d"]]
    assert [x.name for x in hoisted(lines)[1]] == ["d"]


@pytest.mark.parametrize("size", [1, 2, 4, 5, 7])
def test_blocks_cover_each_iteration_once(size: int) -> None:
    plain = For(C, [Accumulate(Access("out", Expr({C: 1})), "+", Access("x", Expr({C: 1})))])
    assert result([blocks(plain, size)]) == result([plain])


@pytest.mark.parametrize(
    "extents, terms", [((100,), 24), ((7, 9), 24), ((3, 50, 2), 24), ((5,), 8)]
)
def test_a_part_has_about_so_many_terms(extents: tuple[int, ...], terms: int) -> None:
    variables = [Var(f"v{k}", n) for k, n in enumerate(extents)]
    k, size = blocking_of(variables, terms)
    count = size * int(np.prod(extents[k + 1 :]))
    assert terms / 2 <= count <= 1.5 * terms or (k == 0 and size == extents[0])


def summed(part: Any = None, extent: int = 37) -> list[Statement]:
    v = Var("v", extent)
    total = Accumulate("total", "+", Access("x", Expr({v: 1})), part)
    zero = Variable("total", WIDE)
    return [zero, For(v, [total]), Store(Access("out", Expr({}, 1)), "total")]


@pytest.mark.parametrize("block", [1, 8, 37, 64])
def test_a_sum_in_vector_lanes_is_the_sum(block: int) -> None:
    statements = vectorised(summed(FLOAT), block)
    assert result(statements) == result(summed())
    (inner,) = [s for s in walk(statements) if isinstance(s, For) and s.simd is not None]
    assert inner.simd == (("+", "totalp"),)
    assert [v.name for v in loops(statements)] == (["vb", "v"] if block < 37 else ["v"])


X = Access("x", Expr({C: 1}))
SERIAL: dict[str, list[Statement]] = {
    "a variable from outside": [Store("total", X)],
    "one entry": [Store(Access("out", Expr({})), X)],
    "one sum in memory": [Accumulate(Access("out", Expr({A: 1})), "+", X)],
    "a branch": [If(Apply(">", (X, "total")), [Store("total", X)])],
}


@pytest.mark.parametrize("name", SERIAL)
def test_iterations_that_depend_on_each_other_stay_in_order(name: str) -> None:
    (loop,) = vectorised([For(C, SERIAL[name])], 8)
    assert isinstance(loop, For)
    assert loop.simd is None


def test_only_innermost_loops_are_vectorised() -> None:
    (outer,) = vectorised(nest([A, B], [copied(A, B)]), 8)
    assert isinstance(outer, For)
    assert outer.simd is None
    (inner,) = outer.body
    assert isinstance(inner, For)
    assert inner.simd == ()


def test_an_accumulator_of_each_iteration_is_its_own() -> None:
    body: list[Statement] = [
        Variable("t", WIDE),
        Accumulate("t", "+", X),
        Store(Access("out", Expr({C: 1})), "t"),
    ]
    (loop,) = vectorised([For(C, body)], 8)
    assert isinstance(loop, For)
    assert loop.simd == ()


# What a loop does not change


def test_lines_that_a_loop_does_not_change_are_moved_before_it() -> None:
    a, b = Expr({A: 1}), Expr({B: 1})
    first = Let("first", WIDE, Access("x", a), frozenset({A}))
    twice = Let("twice", WIDE, Apply("+", ("first", "first")), frozenset({A}))
    each = Let("each", WIDE, Apply("*", ("twice", Access("y", b))), frozenset({A, B}))
    store = Store(Access("out", index(A, B)), "each")
    before, body = around(B, [first, twice, each, store], {})
    assert before == [first, twice] and body == [each, store]
    moved = [For(A, [*before, For(B, body)])]
    assert result(moved) == result([For(A, [For(B, [first, twice, each, store])])])


def test_lines_that_read_what_a_loop_writes_stay_in_it() -> None:
    total = Variable("total", WIDE)
    more = Accumulate("total", "+", Access("x", Expr({B: 1})))
    so_far = Let("so_far", WIDE, Apply("*", ("total", "total")), frozenset({A}))
    entry = Let("entry", WIDE, Access("out", Expr({A: 1})), frozenset({A}))
    store = Store(Access("out", Expr({A: 1})), Apply("+", ("entry", "so_far")))
    body = [more, so_far, entry, store]
    assert around(B, body, {}) == ([], body)
    assert around(A, [total, so_far], {}) == ([], [total, so_far])


def test_lines_of_a_merged_loop_stay_in_it() -> None:
    both = Var("a", 12)
    line = Let("line", WIDE, Access("x", Expr({both: 1})), frozenset({A, B}))
    new = {A: Expr({}), B: Expr({both: 1})}
    assert around(both, [line], new) == ([], [line])
