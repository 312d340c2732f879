"""Padding, resizing and rearranging of images and signals, and what is refused of them."""

import re
from typing import Any

import numpy as np
import pytest

import minigrad.functional as F
from minigrad import check_gradients
from minigrad.errors import ArgumentError, ShapeError

X = np.arange(12.0).reshape(1, 1, 3, 4)


@pytest.mark.parametrize(("mode", "numpy_mode"), [("reflect", "reflect"), ("replicate", "edge")])
def test_pad_is_numpys(mode: str, numpy_mode: Any) -> None:
    expected = np.pad(X, ((0, 0), (0, 0), (0, 1), (2, 3)), mode=numpy_mode)
    assert np.array_equal(F.pad(X, (2, 3, 0, 1), mode), expected)


def test_pad_by_negative_numbers_cuts_off() -> None:
    assert np.array_equal(
        F.pad(X, (-1, 1), value=7), [[[[1, 2, 3, 7], [5, 6, 7, 7], [9, 10, 11, 7]]]]
    )


def test_interpolate_keeps_lines_and_integers() -> None:
    line = np.arange(5.0).reshape(1, 1, 5)
    same = F.interpolate(line, size=9, mode="linear", align_corners=True)
    assert np.allclose(same, np.linspace(0, 4, 9))
    assert F.interpolate(X.astype(int), size=2).dtype == int
    check_gradients(lambda x: F.interpolate(x, scale_factor=1.7, mode="bicubic"), X)


def test_pixel_unshuffle_is_the_inverse() -> None:
    x = np.arange(2 * 18 * 2.0).reshape(2, 18, 1, 2)
    assert np.array_equal(F.pixel_unshuffle(F.pixel_shuffle(x, 3), 3), x)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: F.pad(X, (1,)), ShapeError, "two numbers for each padded axis"),
        (lambda: F.pad(X, (-3, -2)), ShapeError, "cuts off more than there is"),
        (lambda: F.pad(X, (4, 0), "reflect"), ShapeError, "can add 0 to 3 entries"),
        (lambda: F.pad(X, (5, 0), "circular"), ShapeError, "can add 0 to 4 entries"),
        (lambda: F.pad(X, (1, 0), "reflect", value=1), ArgumentError, 'for mode="constant"'),
        (lambda: F.pad(X, (1, 0), "edge"), ArgumentError, "replicate"),
        (lambda: F.pad(X.astype(int), (1, 0), value=0.5), ArgumentError, "int64 holds"),
        (lambda: F.pad(X.astype(int), (1, 0), value=np.nan), ArgumentError, "int64 holds"),
        (lambda: F.interpolate(X), ArgumentError, "one of size and scale_factor"),
        (lambda: F.interpolate(X, 2, mode="linear"), ShapeError, '"bilinear"'),
        (lambda: F.interpolate(X, 2, align_corners=True), ArgumentError, "leave it out"),
        (lambda: F.interpolate(X, scale_factor=0.1), ShapeError, "at least 1, not 0"),
        (lambda: F.interpolate(X, scale_factor=np.inf), ArgumentError, "are finite, not inf"),
        (lambda: F.interpolate(X, (2, 3, 4)), ShapeError, "each of 2 axes"),
        (lambda: F.pixel_shuffle(X, 2), ShapeError, "(..., C*r*r, H, W)"),
        (lambda: F.pixel_unshuffle(X, 2), ShapeError, "(..., C, H*r, W*r)"),
    ],
)
def test_what_is_refused(call: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=re.escape(words)):
        call()
