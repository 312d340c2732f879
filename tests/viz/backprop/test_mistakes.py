"""Reverse passes that leave something out go wrong where they should."""

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, explain
from minigrad.viz.backprop.mistakes import (
    without_topological_order,
    without_unbroadcasting,
    without_zeroing,
)


def leaf(value: object, name: str | None = None) -> Any:
    return Tensor(value, requires_grad=True, dtype=float, name=name)


def test_without_topological_order_a_reused_value_sends_on_too_little() -> None:
    x = leaf(2.0, "x")
    a = x * 3.0
    b = np.sin(a)
    explanation = explain(a * b)
    step = explanation.step(x)
    wrong = without_topological_order(explanation.steps)
    # The product sends b to a, and a at once to x; what comes by the sine comes too late.
    assert wrong[step] == pytest.approx(3 * np.sin(6.0))
    assert step.adjoint == pytest.approx(3 * (np.sin(6.0) + 6 * np.cos(6.0)))


def test_without_topological_order_a_tree_is_right() -> None:
    assert without_topological_order(explain(np.sin(leaf(1.0)) * np.cos(leaf(2.0))).steps) == {}


def test_without_zeroing_leaves_have_twice_their_gradient() -> None:
    x = leaf(2.0)
    explanation = explain(np.sin(x) * 3)
    assert without_zeroing(explanation.steps) == {explanation.step(x): 6 * np.cos(2.0)}


def test_without_unbroadcasting_a_bias_has_a_gradient_for_each_sample() -> None:
    bias, x = leaf(np.zeros(3)), np.arange(6.0).reshape(2, 3)
    explanation = explain(((x + bias) ** 2).sum())
    (wrong,) = without_unbroadcasting(explanation.steps).items()
    assert wrong[0] is explanation.step(bias)
    np.testing.assert_array_equal(wrong[1], 2 * x)


def test_without_unbroadcasting_a_later_rule_may_refuse() -> None:
    b = leaf(np.ones((1, 2)))
    h = b @ np.ones((2, 3))
    explanation = explain(((np.ones((4, 3)) + h) ** 2).sum())
    wrong = without_unbroadcasting(explanation.steps)
    assert np.shape(wrong[explanation.step(b)]) == (4, 2)
    square = leaf(np.ones((1, 2, 1)))
    refused = explain((square.reshape(1, 2) + np.ones((4, 2))).sum())
    assert isinstance(without_unbroadcasting(refused.steps)[refused.step(square)], str)
