"""Formulas: ops with their inputs, indices in Python's syntax, and arrays in short."""

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.ops.movement import ARRAY
from minigrad.viz.text.formula import axes_added, formula, in_short, index_text, summary
from minigrad.viz.text.notation import SUM, Expr


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda x: x * x, "x**2"),
        (lambda x: x * 2 + 1, "x*2 + 1"),
        (lambda x: (x + 1) * (x - 2), "(x + 1)*(x - 2)"),
        (lambda x: np.sum(x, axis=0), "sum(x, axis=0)"),
        (lambda x: np.sum(x, axis=0, keepdims=True), "sum(x, axis=0, keepdims=True)"),
        (lambda x: x.T, "x.T"),
        (lambda x: x[0, ::-1], "x[0, ::-1]"),
        (lambda x: np.where(np.ones((2, 2), bool), x, -x), "x"),  # the branch that is taken
        (lambda x: np.where(np.zeros((2, 2), bool), x, -x), "-x"),
        (lambda x: x[:, None, :] + 1, "x[:, None, :] + 1"),
        (lambda x: x.astype("f4") + 1, "x + 1"),
    ],
)
def test_a_recorded_function_as_an_expression(f: Any, text: str) -> None:
    x = Tensor(np.ones((2, 2)), requires_grad=True)
    assert formula(f(x).node, {x.node: Expr("x")}).text == text


def test_names_of_sums_get_parentheses() -> None:
    x = Tensor(2.0, requires_grad=True)
    assert formula((x * 3).node, {x.node: Expr("a + b", SUM)}).text == "(a + b)*3"


@pytest.mark.parametrize(
    ("index", "text"),
    [
        ((0, slice(1, None)), "[0, 1:]"),
        ((slice(None), slice(None, None, -2)), "[:, ::-2]"),
        ((..., None, slice(0, 3)), "[..., None, 0:3]"),
        ((ARRAY, 1, ARRAY), "[i, 1, j]"),
        ((), "[()]"),
    ],
)
def test_indices(index: Any, text: str) -> None:
    assert index_text(index, [Expr("x"), Expr("i"), Expr("j")]) == text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((3,), (3, 1)),
        ((2, 3), (2, 1, 3)),
        ((2, 3), (1, 2, 1, 3)),
        ((3,), (1, 1, 3, 1, 1)),
        ((3,), (1, 3)),
        ((), (1, 1)),
    ],
)
def test_axes_added_by_an_index_or_by_broadcasting(
    old: tuple[int, ...], new: tuple[int, ...]
) -> None:
    index = axes_added(old, new)
    assert index is not None
    found = eval(f"x{index}", {"x": np.ones(old)})
    assert np.broadcast_shapes(found.shape, new) == new and found.size == np.prod(new)
    assert found.shape == (new if index else old)


@pytest.mark.parametrize(("old", "new"), [((3,), (4,)), ((2, 3), (3, 2)), ((2, 3), (6,))])
def test_other_reshapes_take_more_than_an_index(old: tuple[int, ...], new: tuple[int, ...]) -> None:
    assert axes_added(old, new) is None


def test_arrays_in_short() -> None:
    assert summary(np.array([[1.0, -2.5], [0.0, 3.0]])) == "[[1, -2.5], [0, 3]]"
    assert summary(np.arange(7.0)) == "shape (7,), min 0, mean 3, max 6"
    assert summary(np.zeros((0, 2))) == "shape (0, 2), empty"
    assert in_short(np.full((2, 2, 2), 3.0)) == "(2, 2, 2), largest 3"
    assert in_short(np.ones(9, bool)) == "(9,)"
