"""Loops over rows: what is counted in their C, so that slow loops cannot come back unseen."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad.compiler import compile
from minigrad.compiler.codegen import c
from tests.compiler.schedules import code_of, normal, scheduled

pytestmark = pytest.mark.unoptimized

X, IMAGES = normal(30, 20), normal(2, 3, 12, 18)


def divisions(function: Callable[..., Any], *arguments: Any) -> int:
    """In indices: of these programs, which divide no numbers."""
    texts = "".join(code_of(scheduled(function, *arguments)).texts)
    return texts.count("/") + texts.count("%")


def patches(x: Any, order: tuple[int, ...]) -> Any:
    """Images in patches of 6 x 6, as rows: (2, 6, 108)."""
    return np.transpose(x.reshape(2, 3, 2, 6, 3, 6), order).reshape(2, 6, 108) * 2


def other_rows(x: Any) -> Any:
    return np.sum(np.transpose(x).reshape(60, 10) * 2, axis=1)


def two_orders(x: Any) -> Any:
    """What has the loops of one in 30 x 20 and of the other in 20 x 30, and as 10 x 60."""
    return np.tanh(x), np.exp(np.transpose(x).reshape(10, 60)), np.sqrt(x.reshape(10, 60) ** 2 + 1)


def no_common_loops(x: Any, row: Any, other: Any) -> Any:
    """30 x 20 and 24 x 25: their loops have no common factors."""
    return np.exp(x) * row, x.reshape(24, 25) + other


RESHAPED: list[tuple[Callable[..., Any], list[Any]]] = [
    (lambda x: patches(x, (0, 2, 4, 1, 3, 5)), [IMAGES]),
    (lambda x: patches(x, (0, 2, 4, 3, 5, 1)), [IMAGES]),
    (other_rows, [X]),
    (two_orders, [X]),
    (no_common_loops, [X, normal(20, seed=1), normal(25, seed=2)]),
]


def agree(cases: list[tuple[Callable[..., Any], list[Any]]]) -> None:
    """One program of all functions, against NumPy."""
    arguments = [x for _, x in cases]
    found = compile(lambda xs: [f(*x) for (f, _), x in zip(cases, xs, strict=True)])(arguments)
    for (f, x), one in zip(cases, found, strict=True):
        several = one if type(one) is tuple else (one,)
        expected = f(*x) if type(one) is tuple else (f(*x),)
        for a, b in zip(several, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_reshapes_become_loops_and_no_divisions() -> None:
    for function, arguments in RESHAPED:
        assert divisions(function, *arguments) == 0
    agree(RESHAPED)


def test_loops_without_common_factors_are_two_kernels() -> None:
    kernels = scheduled(no_common_loops, X, normal(20, seed=1), normal(25, seed=2)).kernels
    assert [len(kernel.stages) for kernel in kernels] == [1, 1]
    assert "no common factors" in " ".join(kernels[1].why.values())


# Reading in another memory order

LARGE, COLUMNS, VOLUME = normal(67, 70), normal(70, 67, seed=1), normal(19, 5, 9, 20)


def tiles(function: Callable[..., Any], *arguments: Any) -> int:
    return "".join(code_of(scheduled(function, *arguments)).texts).count("transpose_")


TRANSPOSED: list[tuple[Callable[..., Any], list[Any], int]] = [
    (lambda x: np.transpose(x) * 2, [LARGE], 1),
    (lambda x, y: np.tanh(np.transpose(x)) + y * y, [LARGE, COLUMNS], 1),
    (lambda x, y: (np.transpose(x) + y, np.transpose(y) * x), [LARGE, COLUMNS], 2),
    (lambda x: np.transpose(x, (0, 3, 1, 2)) * 2, [VOLUME], 1),
    (lambda x: np.transpose(x, (0, 2, 3, 1)) * 2, [VOLUME], 0),  # 5 columns: no vector
    (lambda x: np.transpose(x, (3, 2, 1, 0)) * 2, [VOLUME], 1),
    (lambda x: np.transpose(x.reshape(19, 45, 20), (0, 2, 1)) * 2, [VOLUME], 1),
    (lambda x: np.transpose(x)[::-1, 1:] * 2, [LARGE], 0),  # from its end
    (lambda x: np.transpose(x)[1:, 3:] * 2, [LARGE], 1),
    (lambda x, y: x @ np.transpose(y), [LARGE, COLUMNS[:, :67].T.copy()], 1),  # packed
    (lambda x, y: x @ np.transpose(y) + 1, [LARGE, normal(64, 70)], 1),
    (lambda x: np.logical_not(np.transpose(x)), [LARGE > 0], 1),
    *(
        (lambda x: np.transpose(x) + x.dtype.type(1), [(100 * LARGE).astype(dtype)], 1)
        for dtype in ("float64", "int64", "int32", "int16", "int8", "uint8")
    ),
]


def test_what_is_read_across_is_read_by_tiles() -> None:
    """Tiles with tails, of all sizes of entries: lines of the cache are read once, as vectors."""
    for function, arguments, count in TRANSPOSED:
        assert tiles(function, *arguments) == count
    agree([(function, arguments) for function, arguments, _ in TRANSPOSED])


def test_tiles_of_masks_are_read_by_a_pointer_of_their_type() -> None:
    (text,) = code_of(scheduled(lambda x: np.logical_not(np.transpose(x)), LARGE > 0)).texts
    assert "const unsigned char *restrict" in text  # which some compilers refuse as a const bool *
    assert "transpose_bool((const bool *)&a0[" in text


@pytest.mark.parametrize("vector", [16, 32, 64])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int16"])
def test_squares_are_transposed_in_vectors(vector: int, dtype: str) -> None:
    """With as many shuffles of vectors as n log n, of squares of n x n entries."""
    size = np.dtype(dtype).itemsize
    (text,) = c.transpositions([f"transpose_{c.C_TYPES[np.dtype(dtype)]}(&a0[0])"], vector)
    n = int(text.split("i + ")[1].split(" ")[0])
    assert n * size == min(vector, 32 if size > 2 else 16)
    assert text.count("__builtin_shufflevector") == n * (n.bit_length() - 1)
