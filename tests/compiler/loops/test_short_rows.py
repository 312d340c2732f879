"""Rows of few entries: several of them in one vector, with the same numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
import minigrad.functional as F
from minigrad.compiler import compile
from minigrad.compiler.graph.affine import Expr, Var
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.loops import ir
from minigrad.compiler.loops.short_rows import in_lanes
from minigrad.compiler.target import costs
from tests.compiler.schedules import code_of, normal, scheduled

pytestmark = pytest.mark.unoptimized


def cross_entropy(x: Any) -> Any:
    return minigrad.value_and_grad(lambda x: -np.sum(F.log_softmax(x, axis=-1)[..., 0]))(x)


def derivative(x: Any) -> Any:
    return minigrad.grad(lambda x: np.sum(F.logsumexp(x, axis=-1)))(x)


def several(x: Any) -> Any:
    """Numbers of rows, sums across rows, whole rows, and rows of rows."""
    share = F.softmax(x, axis=-1)
    spread = share[..., None] * np.tanh(x[..., None, :2])
    return np.max(x, axis=-1), np.sum(share, axis=tuple(range(x.ndim - 1))), share, spread


def squares(x: Any) -> Any:
    """Sums of what is adjacent from row to row: of the axis that comes first in memory."""
    return np.sum(np.moveaxis(x, -1, 0) ** 2, axis=-1)


def largest(x: Any) -> Any:
    return np.argmax(x, axis=-1), x == np.max(x, axis=-1, keepdims=True)


FUNCTIONS = [
    cross_entropy,
    derivative,
    several,
    squares,
    largest,
    lambda x: F.logsumexp(x, axis=-1),
]


def parts(function: Callable[..., Any], *arguments: Any) -> list[str]:
    """The C for blocks that fill a vector."""
    texts = code_of(scheduled(function, *arguments)).texts
    return [
        text.split("_full <= ")[1].split("} else {")[0] for text in texts if "_full <= " in text
    ]


@pytest.mark.parametrize("columns", [3, 7, costs.MAX_LANE_COLUMNS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_short_rows_fill_vectors(columns: int, dtype: str) -> None:
    (part,) = parts(derivative, normal(100, columns).astype(dtype))
    lines = [line.strip() for line in part.split("\n")]
    loops = [k for k, line in enumerate(lines) if line.startswith("for")]
    entries = [k for k in loops if f"< {columns};" in lines[k]]
    assert all("< i0b_full;" in lines[k + 2] for k in entries)  # that are in lanes
    assert all(lines[k - 1].startswith("SIMD") for k in loops if k not in entries)
    assert "reduction(max" not in part
    assert part.count("exp(") == 1
    kind = "float" if dtype == "float32" else "double"
    assert part.count(f"transpose_{kind}(") == 2  # one in, one out


def test_what_is_adjacent_from_row_to_row_is_read_in_vectors() -> None:
    (part,) = parts(squares, normal(30, 9, 50))
    assert "transpose" not in part
    assert "i0 = i0b; i0 < i0b_full" in part


def test_long_or_few_rows_have_vectors_of_their_own() -> None:
    for shape in ((100, costs.MAX_LANE_COLUMNS + 1), (7, 7)):
        assert not parts(cross_entropy, normal(*shape))
    assert not parts(lambda x: np.sum(x * x, axis=-1), normal(100, 20))  # nothing but products


def test_numbers_are_those_of_numpy() -> None:
    arguments = []
    for k, shape in enumerate([(100, 7), (33, 3), (3, 5, 17, 20), (9, 1), (16, 24), (2, 40, 10)]):
        x = normal(*shape, seed=k)
        x[2 % len(x)], x[0, 0], x[-1, -1] = -np.inf, np.inf, np.nan
        arguments += [x, x.astype(float), normal(*shape, seed=k)]
        arguments.append(np.asfortranarray(arguments[-1]))
    found = compile(lambda xs: [[f(x) for f in FUNCTIONS] for x in xs])(arguments)
    with np.errstate(all="ignore"):
        for results, x in zip(found, arguments, strict=True):
            tolerance = 1e-5 if x.dtype == np.float32 else 1e-12
            for result, function in zip(results, FUNCTIONS, strict=True):
                for a, b in zip(flat(result), flat(function(x)), strict=True):
                    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def flat(results: Any) -> tuple[Any, ...]:
    return results if type(results) is tuple else (results,)


@pytest.mark.parametrize("second", [3, 5])
def test_rows_of_which_parts_are_written_have_no_lanes(second: int) -> None:
    """Entries 0 to 2 and `second` to `second` + 2 of rows of ten: what is between is not copied."""
    f32 = np.dtype(np.float32)
    x, y = (Value(None, (), {}, (64, 10), f32, "input") for _ in range(2))
    row, loops = Var("i", 64), [Var("j", 3), Var("k", 3)]
    body: list[ir.Statement] = []
    for v, first in zip(loops, (0, second), strict=True):
        place = Expr({row: 10, v: 1}, first)
        read = ir.Let(f"t{v.name}", f32, ir.Access(x, place))
        body.append(ir.For(v, [read, ir.Store(ir.Access(y, place), read.name)]))
    assert (in_lanes(body, row, 16, []) is None) is (second > 3)
