"""The verifier of the loop IR finds what would be wrong C, or wrong numbers."""

from __future__ import annotations

import re

import numpy as np
import pytest

from minigrad.compiler.graph.affine import Expr, RuntimeIndex, Var
from minigrad.compiler.loops.ir import Access, Accumulate, Apply, For, If, Let, Statement, Store
from minigrad.compiler.loops.ir import Variable as Variable
from minigrad.compiler.loops.verify import LoopError, verify

FLOAT = np.dtype(np.float32)
i, j = Var("i", 3), Var("j", 4)
OUT = Variable("out", FLOAT, size=12)
TOTAL = Variable("total", FLOAT)


def at(*variables: Var) -> Access:
    return Access("out", Expr(dict.fromkeys(variables, 1)))


FOUND = Expr({RuntimeIndex("found", 4, frozenset([j])): 1})
WRONG: dict[str, tuple[list[Statement], str]] = {
    "a loop in one over the same variable": (
        [OUT, For(i, [For(i, [Store(at(i), at(i))])])],
        "a loop over i is in another one",
    ),
    "a variable of another loop": ([OUT, For(i, [Store(at(i), at(j))])], "what defines j"),
    "after its loop": ([OUT, For(i, []), Store(at(i), at())], "what defines i"),
    "a name before its definition": ([OUT, For(i, [Store(at(i), "u")])], "what defines u"),
    "a name of another block": (
        [OUT, For(i, [Let("u", FLOAT, at(i))]), Store(at(), "u")],
        "what defines u",
    ),
    "an index that is read nowhere": ([OUT, Store(Access("out", FOUND), at())], "defines found"),
    "in a function": ([OUT, Store(at(), Apply("+", (at(), Apply("*", ("u", at())))))], "defines u"),
    "in a condition": ([OUT, If(Apply("<", ("u", at())), [])], "defines u"),
    "in a branch": ([OUT, If(Apply("<", (at(), at())), [], [Store(at(), at(j))])], "defines j"),
    "a name twice": ([TOTAL, For(i, [Let("total", FLOAT, "total")])], "total is defined twice"),
    "a total in lanes": (
        [OUT, TOTAL, For(i, [Accumulate("total", "+", at(i))], simd=())],
        "total depends on the iteration before",
    ),
    "a last value in lanes": (
        [OUT, TOTAL, For(i, [Store("total", at(i))], simd=(("+", "total"),))],
        "total depends on the iteration before",
    ),
    "one entry in lanes": (
        [OUT, For(i, [For(j, [Accumulate(at(i), "+", at(j))], simd=())])],
        "all vector lanes write to the entry i",
    ),
    "threads in threads": (
        [OUT, For(i, [For(Var("i2", 3), [], grain=1)], grain=1)],
        "threads share i2 in i",
    ),
    "two shares": ([For(i, [], grain=1), For(j, [], grain=1)], "of the same extent"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_found(name: str) -> None:
    statements, message = WRONG[name]
    with pytest.raises(LoopError, match=re.escape(message)):
        verify(statements)


RIGHT: dict[str, list[Statement]] = {
    "a nest": [OUT, For(i, [For(j, [Store(at(i, j), at(j))])], grain=1)],
    "the same variable again": [OUT, For(i, [Store(at(i), at())]), For(i, [Store(at(i), at(i))])],
    "both branches define": [
        OUT,
        If(Apply("<", (at(), at())), [Let("u", FLOAT, at())], [Let("u", FLOAT, at())]),
    ],
    "a total": [OUT, TOTAL, For(i, [Accumulate("total", "+", at(i))], simd=(("+", "total"),))],
    "a total of each iteration": [
        OUT,
        For(i, [TOTAL, Accumulate("total", "+", at(i)), Store(at(i), "total")], simd=()),
    ],
    "an index that is read": [
        OUT,
        For(j, [Let("found", np.dtype(np.int64), at(j)), Store(Access("out", FOUND), at(j))]),
    ],
}


def test_a_loop_may_end_where_one_around_it_is() -> None:
    inner, narrow = (For(Var("k", n), [Store(at(Var("k", n)), at())], high="i") for n in (3, 2))
    verify([OUT, For(i, [If(Apply("<", (at(), at())), [inner])])], lambda _: 0)
    for wrong in (For(i, [narrow]), For(j, [For(Var("k", 3), [], high="i")])):
        with pytest.raises(LoopError, match="the loop over k is from 0 to i: loops run from 0"):
            verify([OUT, For(i, []), wrong], lambda _: 0)


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes(name: str) -> None:
    verify(RIGHT[name])
