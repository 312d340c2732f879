"""hook: the function sees the cotangent, and what it returns goes on."""

from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, hook
from minigrad.errors import ArgumentError, DtypeError, ShapeError


def test_the_function_sees_the_cotangent_of_this_use_only() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    seen: list[np.ndarray] = []
    ((hook(x, seen.append) * 3).sum() + (x * 5).sum()).backward()
    (cotangent,) = seen
    np.testing.assert_array_equal(cotangent, [3, 3])
    np.testing.assert_array_equal(x.grad, [8, 8])


def test_the_returned_cotangent_replaces_the_one_given() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    (hook(x, lambda g: -g) * 3).sum().backward()
    np.testing.assert_array_equal(x.grad, [-3, -3])


def test_it_keeps_the_dtype() -> None:
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    hook(x, lambda g: g.astype(float) / 3).sum().backward()
    assert x.grad.dtype == np.float32


def test_second_derivatives_go_through_it() -> None:
    def f(x: Tensor) -> Tensor:
        return (hook(x, lambda g: 2 * g) ** 3).sum()

    second = minigrad.grad(lambda x: minigrad.grad(f)(x).sum())(np.array([2.0]))
    # d/dx of 2 * 3 x^2, through the hook of the first pass and of the second.
    np.testing.assert_allclose(second, [2 * 6 * 2 * 2])


def test_wrong_arguments_and_shapes_are_named() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ArgumentError, match="x must be a Tensor, and is an array of shape"):
        hook(np.ones(2), print)
    with pytest.raises(ArgumentError, match="function must be a function, and is 3"):
        hook(x, 3)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"returned shape \(\) for a cotangent of shape \(2,\)"):
        hook(x, lambda g: g.sum()).sum().backward()


def test_a_hook_gives_x_itself() -> None:
    x = Tensor([-1.0, 2.0], requires_grad=True)
    h = x * 1.0
    y = hook(h, lambda g: None)
    y[y < 0] = 0.0
    assert h.tolist() == [0, 2]
    (h + y).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 2])


@pytest.mark.parametrize("create_graph", [False, True])
def test_the_cotangent_is_read_only(create_graph: bool) -> None:
    def halve(g: Any) -> None:
        g *= 0.5

    x, w = Tensor([1.0, 2.0], requires_grad=True), Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match="read-only"):
        ((hook(x * 1.0, halve) + w) ** 2).sum().backward(create_graph=create_graph)


def test_of_complex_numbers_cotangents_are_those_of_grad() -> None:
    z, seen = Tensor([1 + 2j, 3j], requires_grad=True), []

    def note(g: Any) -> Any:
        seen.append(g)
        return g * 1j

    np.sum(np.abs(hook(z * 1, note)) ** 2).backward()
    np.testing.assert_allclose(seen, [2 * np.conj(z.data)])
    np.testing.assert_allclose(z.grad, np.conj(2j * np.conj(z.data)))


def test_a_complex_cotangent_of_real_numbers_is_refused() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(DtypeError, match="imaginary part"):
        np.sum(hook(x, lambda g: g * 1j)).backward()
