"""Embedding: rows by index, their gradients, and indices that have none."""

from typing import Any

import numpy as np
import pytest

import minigrad
import minigrad.functional as F
from minigrad import Tensor
from minigrad.errors import DtypeError, ShapeError
from tests.functional.cases import Case, Cases

RNG = np.random.default_rng(8)
WEIGHT = RNG.standard_normal((4, 3))
INDICES = np.array([[0, 3, 3], [2, 0, 1]])

CASES: Cases = {
    "embedding": Case(lambda w: F.embedding(INDICES, w), (WEIGHT,), WEIGHT[INDICES]),
    "embedding of one": Case(lambda w: F.embedding(2, w), (WEIGHT,), WEIGHT[2]),
    "embedding of nothing": Case(
        lambda w: F.embedding(np.zeros((2, 0), int), w), (WEIGHT,), np.zeros((2, 0, 3))
    ),
}


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_indices_of_every_integer_dtype(dtype: Any) -> None:
    assert np.array_equal(F.embedding(INDICES.astype(dtype), WEIGHT), WEIGHT[INDICES])


def test_the_padding_row_is_used_and_given_no_gradient() -> None:
    weight = Tensor(WEIGHT, requires_grad=True)
    y = F.embedding(INDICES, weight, padding_idx=3)
    assert np.array_equal(y.data, WEIGHT[INDICES])
    y.backward(np.ones(y.shape))
    assert weight.grad[:, 0].tolist() == [2, 1, 1, 0]
    assert np.array_equal(F.embedding(INDICES, WEIGHT, padding_idx=3), WEIGHT[INDICES])


BAD: dict[str, tuple[Any, Any, str]] = {
    "too large": (
        lambda: F.embedding(INDICES + 1, WEIGHT),
        ShapeError,
        r"index 4 at \(0, 1\): there are 4 rows, for indices 0..3",
    ),
    "negative": (lambda: F.embedding(INDICES - 1, WEIGHT), ShapeError, r"index -1 at \(0, 0\)"),
    "number": (lambda: F.embedding(7, WEIGHT), ShapeError, "index 7: there are 4"),
    "float": (lambda: F.embedding(INDICES * 1.0, WEIGHT), DtypeError, "float64.*astype"),
    "boolean": (lambda: F.embedding(INDICES > 1, WEIGHT), DtypeError, "bool"),
    "weight": (lambda: F.embedding(INDICES, WEIGHT[0]), ShapeError, r"\(3,\).*\(V, D\)"),
    "padding": (lambda: F.embedding(INDICES, WEIGHT, padding_idx=4), ShapeError, "index 4: "),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=list(BAD))
def test_bad_input(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_compiled_a_negative_index_is_refused_too() -> None:
    rows = minigrad.compile(lambda indices: F.embedding(indices, WEIGHT))
    np.testing.assert_array_equal(rows(INDICES), WEIGHT[INDICES])
    for wrong in (INDICES - 1, INDICES + 1):
        with pytest.raises(ShapeError, match="out of range"):
            rows(wrong)
