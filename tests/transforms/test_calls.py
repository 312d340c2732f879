"""Calls with several outputs as one node of the graph."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, grad, hessian, jvp, no_grad, value_and_grad
from minigrad.errors import ArgumentError, GradientError, ShapeError
from minigrad.tensor import value_of
from minigrad.transforms.calls import call_node

X, Y = np.array([0.5, 1.0, 2.0]), np.array([1.5, -1.0, 0.5])


def polar(r: Any, angle: Any, passes: list[Any] | None = None) -> list[Tensor]:
    """r cos(angle), r sin(angle), and which r are above 1, as one call."""

    def pull_back(
        sent: dict[int, Any], inputs: Sequence[Any], kept: Sequence[Any]
    ) -> Sequence[Any]:
        if passes is not None:
            passes.append(sorted(sent))
        r, angle = inputs
        x, y = sent.get(0, 0.0), sent.get(1, 0.0)
        by_r = x * np.cos(angle) + y * np.sin(angle)
        return [by_r, r * (y * np.cos(angle) - x * np.sin(angle))]

    values = value_of(r), value_of(angle)
    outputs = [values[0] * np.cos(values[1]), values[0] * np.sin(values[1]), values[0] > 1]
    return call_node("polar", [r, angle], outputs, pull_back)


def by_hand(r: Any, angle: Any) -> Any:
    return [r * np.cos(angle), r * np.sin(angle), r > 1]


def program(polar: Callable[..., Any]) -> Callable[..., Any]:
    def run(r: Any, angle: Any) -> Any:
        x, y, above = polar(np.sin(r), angle * r)
        return np.sum(np.where(above, 1.0, x**2 * y) + np.exp(y) * x + y)

    return run


def test_all_cotangents_meet_in_one_pull_back() -> None:
    passes: list[Any] = []
    gradient = grad(program(lambda r, angle: polar(r, angle, passes)), (0, 1))(X, Y)
    assert passes == [[0, 1]]
    np.testing.assert_allclose(gradient, grad(program(by_hand), (0, 1))(X, Y), 1e-13)


def test_one_output_alone_is_sent_alone() -> None:
    passes: list[Any] = []
    gradient = grad(lambda r: np.sum(polar(r, Y, passes)[1] ** 2))(X)
    assert passes == [[1]]
    np.testing.assert_allclose(gradient, 2 * X * np.sin(Y) ** 2, 1e-13)


def test_higher_orders() -> None:
    np.testing.assert_allclose(hessian(program(polar))(X, Y), hessian(program(by_hand))(X, Y), 1e-9)
    one, other = (
        grad(lambda r, p=p: np.sum(hessian(program(p), 1)(r, Y)))(X) for p in (polar, by_hand)
    )
    np.testing.assert_allclose(one, other, 1e-9)
    directions = (X, Y), (np.ones(3), X)
    np.testing.assert_allclose(
        jvp(program(polar), *directions)[1], jvp(program(by_hand), *directions)[1], 1e-12
    )


def test_compiled_from_inside_and_from_outside() -> None:
    inside = minigrad.compile(value_and_grad(program(polar), (0, 1)))
    outside = value_and_grad(minigrad.compile(program(polar)), (0, 1))
    expected = value_and_grad(program(by_hand), (0, 1))(X, Y)
    for found in (inside(X, Y), inside(X, Y), outside(X, Y)):
        np.testing.assert_allclose(found[0], expected[0], 1e-13)
        np.testing.assert_allclose(found[1], expected[1], 1e-12)
    second = grad(lambda r: np.sum(outside(r, Y)[1][1]))(X)
    np.testing.assert_allclose(
        second, grad(lambda r: np.sum(value_and_grad(program(by_hand), 1)(r, Y)[1]))(X), 1e-10
    )


def test_without_recording_there_is_no_call() -> None:
    with no_grad():
        assert not any(y.requires_grad for y in polar(Tensor(X, requires_grad=True), Y))
    assert not any(y.requires_grad for y in polar(Tensor(X), Y))
    assert [y.requires_grad for y in polar(Tensor(X, requires_grad=True), Y)] == [True, True, False]


def of_one(x: Tensor, found: Sequence[Any], kept: Sequence[Any] = ()) -> Tensor:
    (y,) = call_node("odd", [x], [x.data * 2], lambda sent, inputs, kept: found, kept)
    return y


@pytest.mark.parametrize(
    ("found", "error", "message"),
    [
        ([np.zeros(2)], ShapeError, r"odd gave a cotangent of shape \(2,\), for an"),
        ([], ArgumentError, "odd gave 0 cotangents, for 1 inputs"),
        ([None, None], ArgumentError, "odd gave 2 cotangents, for 1 inputs"),
        (["text"], GradientError, "odd does not work"),
    ],
)
def test_wrong_cotangents(found: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        np.sum(of_one(Tensor(X, requires_grad=True), found)).backward()


def test_none_is_zero() -> None:
    x = Tensor(X, requires_grad=True)
    np.sum(of_one(x, [None])).backward()
    assert np.array_equal(x.grad, np.zeros(3))


def test_what_is_kept_may_not_be_written_into() -> None:
    x, factor = Tensor(X, requires_grad=True), Tensor(np.ones(3))

    def pull_back(sent: Any, inputs: Any, kept: Any) -> Any:
        return [sent[0] * kept[0]]

    (y,) = call_node("scaled", [x], [X * factor.data], pull_back, [factor])
    factor.data *= 2
    with pytest.raises(GradientError, match=r"scaled needs an array of shape .3,. as it was"):
        np.sum(y).backward()
