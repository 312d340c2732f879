"""Of a shared loop, each thread accesses its part of an array, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minigrad.compiler.graph.affine import Expr, Quotient, Remainder, RuntimeIndex, Var
from minigrad.compiler.loops import ir
from minigrad.compiler.loops.ir import Access, Apply, For, If, Let, Statement, Store
from minigrad.compiler.loops.parts import ThreadParts, are_apart, cuts, parts_of
from minigrad.compiler.loops.passes import blocks
from tests.compiler.graphs import leaf
from tests.compiler.loops.interpret import run

EXTENT = 10
i, j = Var("i", EXTENT), Var("j", 3)
X, Y, S = leaf(40), leaf(40), ir.Scratch(leaf(40), 40)


def at(array: Any, terms: dict[Any, int], const: int = 0, lanes: int = 0) -> Access:
    return Access(array, Expr(terms, const), lanes=lanes)


def copied(x: Access, y: Access) -> list[Statement]:
    return [For(j, [Store(x, y)])]


def shared(body: list[Statement], grain: int = 1) -> For:
    return For(i, body, grain=grain)


ROW = {i: 3, j: 1}
FOUND = RuntimeIndex("found", 4, frozenset({i}))
LOOPS: dict[str, tuple[list[Statement], Any, Any]] = {
    "rows": ([shared(copied(at(X, ROW), at(Y, ROW, 2)))], (3, 0, 3), (3, 2, 5)),
    "by pairs": ([shared(copied(at(X, ROW), at(Y, ROW)), 2)], (3, 0, 3), (3, 0, 3)),
    "blocks": ([blocks(shared(copied(at(X, ROW), at(Y, ROW)), 4), 4)], (3, 0, 3), (3, 0, 3)),
    "rows and those after": (
        [shared([*copied(at(X, ROW), at(Y, ROW)), *copied(at(X, ROW, 3), at(X, {i: 3}))])],
        (3, 0, 6),
        (3, 0, 3),
    ),
    "every second": ([shared(copied(at(X, {i: 2, j: 1}), at(Y, {i: 2})))], (2, 0, 3), (2, 0, 1)),
    "all": ([shared(copied(at(X, ROW), at(Y, {j: 1})))], (3, 0, 3), (0, 0, 3)),
    "two strides": (
        [shared([*copied(at(X, ROW), at(Y, ROW)), *copied(at(X, ROW), at(Y, {i: 2}))])],
        (3, 0, 3),
        None,
    ),
    "backwards": ([shared(copied(at(X, ROW), at(Y, {i: -3}, 27)))], (3, 0, 3), None),
    "in two loops": (
        [shared(copied(at(X, ROW), at(X, ROW))), shared(copied(at(X, ROW, 1), at(Y, {i: 3})))],
        (3, 0, 4),
        (3, 0, 1),
    ),
    "quotient and remainder": (
        [
            shared(
                copied(
                    at(X, {Remainder(Expr({i: 1, j: 1}), 4): 1}),
                    at(Y, {Quotient(Expr({i: 1, j: 1}), 4): 1, i: 2}),
                )
            )
        ],
        (0, 0, 4),
        (2, 0, 3),
    ),
    "at run time": (
        [
            shared(
                [
                    Let("found", np.dtype(int), Apply("%", (Expr({i: 7}), Expr({}, 4)))),
                    *copied(at(X, ROW), at(Y, {i: 1, FOUND: 5})),
                ]
            )
        ],
        (3, 0, 3),
        (1, 0, 16),
    ),
    "under a condition": (
        [shared([If(Apply("<", ("i", Expr({}, 4))), copied(at(X, ROW), at(Y, ROW)))])],
        (3, 0, 3),
        (3, 0, 3),
    ),
    "outside as well": (
        [Store(at(S, {}), at(Y, {}, 30)), shared(copied(at(X, ROW), at(Y, ROW)))],
        (3, 0, 3),
        None,
    ),
    "each thread's own": ([shared(copied(at(X, ROW), at(S, {j: 1})))], (3, 0, 3), None),
    "a block and all": (
        [
            For(
                ir.block_of(i),
                [
                    For(i, copied(at(X, ROW), at(X, ROW)), low="ib", high="ib_end"),
                    For(i, copied(at(S, ROW), at(Y, ROW))),
                ],
                step=5,
                grain=5,
            )
        ],
        (0, 0, 30),
        (0, 0, 30),
    ),
}


class Recorder(list[float]):
    """An array that knows which of its entries were read or written."""

    def __init__(self) -> None:
        super().__init__([0.0] * 40)
        self.used: set[int] = set()

    def __getitem__(self, k: Any) -> Any:
        self.used.add(int(k))
        return super().__getitem__(int(k))

    def __setitem__(self, k: Any, x: Any) -> None:
        self.used.add(int(k))
        super().__setitem__(int(k), x)


@pytest.mark.parametrize("name", LOOPS)
def test_parts_are_what_a_thread_accesses(name: str) -> None:
    statements, *expected = LOOPS[name]
    parts = parts_of(statements, lambda x: x.array)
    (grain,) = {s.grain for s in statements if isinstance(s, For)}
    wanted = {x: it for x, it in zip((X, Y), expected, strict=True) if it}
    assert parts == {x: ThreadParts(EXTENT, grain, *it) for x, it in wanted.items()}
    for threads in range(1, 5):
        for first, end in ranges(EXTENT, grain, threads):
            used: dict[Any, Recorder] = {x: Recorder() for x in (X, Y, S)}
            run([limited(s) for s in statements], {**used, "first": first, "end": end})
            for x, it in parts.items():
                entries = range(it.low + first * it.stride, it.high + (end - 1) * it.stride)
                assert used[x].used <= {*entries}


def limited(s: Statement) -> Statement:
    """A loop over what one thread has of it."""
    if not isinstance(s, For):
        return s
    return For(s.variable, s.body, "first", "end", s.step)


def ranges(extent: int, grain: int, threads: int) -> list[tuple[int, int]]:
    """As SPLIT of codegen/c.py has it."""
    starts = [extent * t // threads // grain * grain for t in range(threads)]
    return [*zip(starts, [*starts[1:], extent], strict=True)]


def test_cuts_are_where_threads_begin() -> None:
    for extent, grain in ((10, 1), (10, 4), (3, 1), (64, 16)):
        expected = [low for n in range(2, 6) for low, _ in ranges(extent, grain, n)[1:]]
        assert cuts(ThreadParts(extent, grain, 1, 0, 1), 5).tolist() == expected


def test_parts_that_are_apart_share_nothing() -> None:
    """Of random parts. Neighbours are compared, so nothing is lost but parts that are empty."""
    rng = np.random.default_rng(0)
    apart = 0
    for _ in range(400):
        x, y = (random_parts(rng) for _ in range(2))
        most = int(rng.integers(2, 5))
        together = any(
            entries(x, t, n) & entries(y, u, n)
            for n in range(2, most + 1)
            for t in range(n)
            for u in range(n)
            if t != u
        )
        assert not (are_apart(x, y, most) and together)
        apart += are_apart(x, y, most)
    assert 10 < apart < 300


def random_parts(rng: np.random.Generator) -> ThreadParts:
    extent, grain = ((6, 1), (12, 2), (12, 1), (7, 1))[rng.integers(4)]
    stride = 12 // extent * int(rng.choice([0, 1, 2, 2, 2]))
    low = int(rng.integers(-2, 3))
    return ThreadParts(extent, grain, stride, low, low + int(rng.integers(1, 4)))


def entries(x: ThreadParts, thread: int, threads: int) -> set[int]:
    first, end = ranges(x.extent, x.grain, threads)[thread]
    return {k + it * x.stride for it in range(first, end) for k in range(x.low, x.high)}
