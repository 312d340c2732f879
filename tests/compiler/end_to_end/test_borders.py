"""Loops that read beyond the border of arrays: iterations at the border are apart from the others,
in which nothing is clamped."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.compiler import compile
from tests.compiler.schedules import code_of, scheduled
from tests.compiler.steps import agree

pytestmark = pytest.mark.unoptimized

RNG = np.random.default_rng(3)


def cotangent(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return minigrad.grad(lambda x: np.sum(np.sin(f(x)) * 2))


READ: dict[str, Callable[[Any], Any]] = {
    "differences": cotangent(lambda x: x[..., 1:] - x[..., :-1]),
    "far apart": cotangent(lambda x: x[..., 30:] * x[..., :-30]),
    "backwards": cotangent(lambda x: x[..., :-3][..., ::-1] + x[..., 3:]),
    "of both axes": cotangent(lambda x: 4 * x[1:-1, 1:-1] - x[2:, 1:-1] - x[1:-1, :-2]),
    "with steps": cotangent(lambda x: x[..., 1::2][..., 2:]),
    "padded": lambda x: np.pad(x, [(0, 0)] * (x.ndim - 1) + [(5, 9)], constant_values=2.0) + 1,
    "padded more than there is": lambda x: (
        np.pad(x[..., :3], [(0, 0)] * (x.ndim - 1) + [(40, 60)]) * 2
    ),
    "no interior": lambda x: (
        np.pad(x[..., :20], [(0, 0)] * (x.ndim - 1) + [(0, 60)])
        + np.pad(x[..., :20], [(0, 0)] * (x.ndim - 1) + [(60, 0)])
    ),
    "rolled": lambda x: np.roll(x, 7, axis=-1) + x,
    "summed": lambda x: np.sum(np.pad(x, [(0, 0)] * (x.ndim - 1) + [(3, 4)]) * 3, axis=-1),
    "the first of the largest": lambda x: np.argmax(
        np.pad(np.round(x), [(0, 0)] * (x.ndim - 1) + [(3, 4)]), axis=-1
    ),
}


@pytest.mark.parametrize("shape", [(70,), (3, 64), (9, 67)])
@pytest.mark.parametrize("name", READ)
def test_borders_are_as_numpy_has_them(name: str, shape: tuple[int, ...]) -> None:
    if name == "of both axes" and len(shape) < 2:
        shape = (40, 50)
    f, x = READ[name], RNG.standard_normal(shape)
    agree(compile(f)(x), f(x))


def test_the_interior_is_read_without_clamps() -> None:
    """The reverse of a slice is zero outside of it."""
    f = READ["differences"]
    texts = code_of(scheduled(f, RNG.standard_normal(100_000).astype(np.float32))).texts
    (text,) = (text for text in texts if "CLAMP" in text)
    border, _, inner = text.rpartition("SIMD()")
    assert border.count("CLAMP") == 2 and "for" in inner and "CLAMP" not in inner


def test_an_index_is_checked_once_for_each_row_that_it_picks() -> None:
    table, rows = RNG.standard_normal((50, 64)), RNG.integers(0, 50, 200)
    (text,) = code_of(scheduled(lambda x, k: x[k] * 2, table, rows)).texts
    before, _, row = text.partition("SIMD()")
    assert "checked_index" in before and "checked_index" not in row


def test_added_rows_are_checked_once_each_and_added_in_vectors() -> None:
    """Each index before the vectors of its row. Zeros are stored in vectors too."""

    def f(x: np.ndarray, k: np.ndarray) -> Any:
        sums = np.zeros_like(x, shape=(50, 3, 24))
        np.add.at(sums, k, x)
        return sums

    rows, k = RNG.standard_normal((200, 3, 24)), RNG.integers(-50, 50, 200)
    text = next(t for t in code_of(scheduled(f, rows, k)).texts if "checked_index" in t)
    before, _, row = text.rpartition("SIMD()")
    assert text.count("SIMD()") == 2 and row.count("for (") == 1
    assert "checked_index" in before and "checked_index" not in row


def test_vectors_of_indices_are_checked_after_their_loop() -> None:
    """A branch in the loop would leave it scalar."""
    x, k = RNG.standard_normal(5000).astype(np.float32), RNG.integers(-5000, 5000, 900)
    for f in (lambda x, k: x[k] * 2, lambda x, k: (x[k] ** 2).sum()):
        (text,) = code_of(scheduled(f, x, k)).texts
        assert "SIMD(reduction" in text and "checked_index" not in text


@pytest.mark.parametrize("wrong", [30, -31, 1 << 40])
@pytest.mark.parametrize("place", [0, 17, 39])
def test_an_index_outside_is_an_error_wherever_it_is(place: int, wrong: int) -> None:
    f = compile(lambda x, k: (x[k] * 2, np.sum(x[k])))
    x, k = RNG.standard_normal(30), RNG.integers(-30, 30, 40)
    agree(f(x, k), (x[k] * 2, np.sum(x[k])))
    k[place] = wrong
    with pytest.raises(IndexError):
        f(x, k)
    k[place] = -30
    agree(f(x, k), (x[k] * 2, np.sum(x[k])))
