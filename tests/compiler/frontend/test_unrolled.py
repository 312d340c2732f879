"""Loops of Python that do the same in each round are told, and no others."""

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, grad, nn
from minigrad.compiler.frontend.capture import captured
from minigrad.compiler.frontend.trace import Traced, trace
from minigrad.compiler.frontend.unrolled import Unrolled, longest_repeat
from minigrad.transforms.trees import leaves_of


def traced(function: Callable[..., Any], *args: Any) -> Traced:
    arguments: Any = args, {}
    return trace(function, arguments, captured(function, leaves_of(arguments, "argument ")))[0]


def loops(function: Callable[..., Any], *args: Any) -> list[Unrolled]:
    return traced(function, *(args or (np.ones((40, 3)),))).unrolled


def line(text: str) -> int:
    """The number of the line of this file that has a text, and no other has."""
    (found,) = (
        k
        for k, each in enumerate(Path(__file__).read_text().splitlines(), 1)
        if each.endswith(text)
    )
    return found


def rows(xs: Any) -> Any:
    h = xs[0]
    for x in xs:  # of rows
        h = np.tanh(h * 0.5 + x)
    return h


def called(h: Any) -> Any:
    def step(h: Any) -> Any:
        return half(h) + np.sin(h)

    def half(h: Any) -> Any:
        return h / 2

    for _ in range(20):  # with calls
        h = step(h)
    return h


def nested(x: Any) -> Any:
    for _ in range(10):  # outer
        x = x + 1
        for _ in range(3):
            x = np.sin(x)
    return x


def inner(x: Any) -> Any:
    for k in range(3):
        x = x + np.ones((40, 3)) * k
        for _ in range(9 + k):  # inner
            x = np.cos(x) * 2
    return x


def by_turns(x: Any) -> Any:
    for k in range(30):  # by turns
        x = np.sin(x) if k % 2 else np.cos(x) + k
    return x


def comprehended(x: Any) -> Any:
    return [np.sin(x) * k for k in range(50)]  # comprehended


def layers(x: Any) -> Any:
    for layer in MODEL:  # layers
        x = layer(x)
    return x


MODEL = nn.Sequential(*[nn.Linear(3, 3) for _ in range(12)])

TOLD: dict[Callable[..., Any], tuple[str, int, int, int]] = {
    rows: ("# of rows", 40, 4, 160),
    called: ("# with calls", 20, 3, 60),
    nested: ("# outer", 10, 4, 40),
    by_turns: ("# by turns", 14, 3, 42),
    comprehended: ("# comprehended", 50, 2, 100),
}


@pytest.mark.parametrize("function", TOLD, ids=lambda f: f.__name__)
def test_a_loop_is_told_with_its_line(function: Any) -> None:
    text, rounds, each, ops = TOLD[function]
    (found,) = loops(function)
    if function is by_turns:  # in the first round, `sin` is not called before `cos`
        assert found.rounds in (14, 15)
        rounds, ops = found.rounds, found.rounds * each
    assert found == Unrolled(__file__, line(text), rounds, each, ops)


def test_of_loops_in_a_loop_that_differs_the_longest_are_told() -> None:
    found = loops(inner)
    assert {x.line for x in found} == {line("# inner")}
    assert found[0].ops == 2 * (9 + 10 + 11)


def test_layers_of_other_weights_are_rounds_too() -> None:
    (found,) = loops(layers, np.ones((5, 3), np.float32))
    assert (found.line, found.rounds, found.each) == (line("# layers"), 12, 2)


def test_ops_of_derivatives_are_counted_with_the_loop() -> None:
    (found,) = loops(grad(lambda xs: np.sum(rows(xs))))
    whole = traced(grad(lambda xs: np.sum(rows(xs))), np.ones((40, 3))).calls
    assert (found.rounds, found.each) == (40, 4)
    # Of the derivative, each round has three for tanh, one for the product, and one for the row.
    assert found.ops == 40 * (4 + 5) <= len(whole.places) + len(whole.derived)


def test_training_in_a_loop_is_told() -> None:
    def train(x: Any) -> Any:
        w = Tensor(x, requires_grad=True)
        for _ in range(10):
            loss = np.sum(np.tanh(w) ** 2)
            w.grad = None
            loss.backward()
            w = Tensor((w - 0.1 * w.grad).data, requires_grad=True)
        return w.data

    (found,) = loops(train)
    assert found.rounds == 10 and found.ops > 10 * found.each


def short(x: Any) -> Any:
    for _ in range(7):
        x = np.sin(x)
    return x


def growing(x: Any) -> Any:
    y = x
    for _ in range(20):
        y = np.concatenate([y, x])
    return y


def other_axes(x: Any) -> Any:
    for k in range(20):
        x = np.roll(x, k)
    return x


def added(x: Any) -> Any:
    """`sum` adds again and again, at one instruction, in a loop of two rounds."""
    for _ in range(2):
        x = sum([x] * 50)
    return reduce(lambda a, b: a + b, [x] * 50)


def within_the_library(x: Any) -> Any:
    for _ in range(1):
        x = MODEL(x.astype(np.float32))
    return x


def written_out(x: Any) -> Any:
    y = np.sin(np.sin(np.sin(np.sin(np.sin(x)))))
    z = np.sin(np.sin(np.sin(np.sin(np.sin(y)))))
    return np.sin(np.sin(np.sin(np.sin(np.sin(z)))))


def recursive(x: Any, n: int = 20) -> Any:
    return recursive(np.sin(x), n - 1) if n else x


@pytest.mark.parametrize(
    "function",
    [short, growing, other_axes, added, within_the_library, written_out, recursive],
    ids=lambda f: f.__name__,
)
def test_what_is_no_long_loop_of_equal_rounds_is_not_told(function: Any) -> None:
    assert not loops(function)


def test_no_frames_are_kept() -> None:
    assert traced(called, np.ones(3)).calls.levels == []


@pytest.mark.parametrize(
    "ids, expected",
    [
        ([0] * 8, (0, 1, 8)),
        ([1, *[0] * 9, 2], (1, 1, 9)),
        ([0, 1] * 8, (0, 2, 8)),
        ([3, *[0, 1, 1] * 9, 0], (1, 3, 9)),
        ([0] * 9 + [1, 2] * 8, (9, 2, 8)),
        ([*range(30)], (0, 1, 0)),
        ([0] * 7, (0, 1, 0)),
        ([], (0, 1, 0)),
    ],
)
def test_longest_repeat(ids: list[int], expected: tuple[int, int, int]) -> None:
    assert longest_repeat(ids) == expected
