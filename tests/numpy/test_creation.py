"""Arrays of nested Tensors, and arrays that Tensors are written into."""

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import minigrad
import minigrad.numpy as np
from minigrad import Tensor, check_gradients, grad, no_grad
from minigrad.errors import ArgumentError, GradientError, ShapeError
from tests.marks import rows

X = numpy.array([0.5, -1.2, 2.0])


def filled(make: Callable[[], Any]) -> Callable[[Any], Any]:
    def f(t: Any) -> Any:
        x = make()
        x[0] = t[0] * t[1]
        x[1:] += t[2]
        return x * x

    return f


def filled_in_a_loop(t: Any) -> Any:
    x = np.zeros((3, 2))
    for k in range(3):
        x[k, 0] = t[k]
        x[k, 1] = x[k - 1, 0] * t[k]
    return x


# Functions of three numbers that are arrays in NumPy's own words.
MADE: dict[str, Callable[[Any], Any]] = {
    "array": lambda t: np.array([t[0], 2.0, t[1] * t[2]]),
    "nested": lambda t: np.array([[t[0], 1.0], (t[1], t[2])]),
    "of arrays": lambda t: np.array([t, [1.0, 2.0, 3.0], X, t * t]),
    "of matrices": lambda t: np.array([[t * t, t], [numpy.ones(3), [0.0, t[0], 1]]]),
    "of one": lambda t: np.array([t]),
    "copied": lambda t: np.array(t) * np.copy(t),
    "dtype": lambda t: np.array([t[0], t[1], 1], dtype=float),
    "ndmin": lambda t: np.array(t, ndmin=3) * np.array([t[1]], ndmin=2),
    "F order": lambda t: np.array([t, t * t], order="F").ravel(),
    "asarray": lambda t: np.asarray(t) * np.asarray([t[0], 1.0, 2.0]),
    "asanyarray": lambda t: np.asanyarray((t[0], t[1])),
    "contiguous": lambda t: (
        np.ascontiguousarray(np.array([t, t * t]).T) * np.ascontiguousarray(t[0])
    ),
    "fortran": lambda t: np.asfortranarray([t, t * t]),
    "require": lambda t: np.require([t, t], None, ["F", "O"]),
    "asarray_chkfinite": lambda t: np.asarray_chkfinite([t[0], 1.0]),
    "fromiter": lambda t: np.fromiter((x * x for x in t), float),
    "fromiter, count": lambda t: np.fromiter((x * x for x in t), float, 2),
    "fromfunction": lambda t: np.fromfunction(lambda i, j: t[0] * i + j, (2, 3)),
    "full": lambda t: np.full((2, 3), t) * np.full(3, t[0]),
    "full_like": lambda t: np.full_like(X, t[1]),
    "sum of a list": lambda t: np.sum([t[0], t[1] * t[1]]) * np.max([t[0], t[2]]),
    "mean of a list": lambda t: np.mean([t, t * t], axis=0),
    "where of lists": lambda t: np.where([True, False], [t[0], t[1]], [0.0, t[2]]),
    "hstack of a list": lambda t: np.hstack([t, [t[0], 1.0]]) * np.atleast_2d([t[0]] * 5),
    "linalg of lists": lambda t: np.linalg.solve([[t[0], 2.0], [t[1], t[2]]], [t[0], 1.0]),
    "norm of a list": lambda t: np.linalg.norm([t[0], 2.0, t[1] * t[2]]),
    "multi_dot of lists": lambda t: np.linalg.multi_dot(
        [[t[0], 1.0], [[t[1], 2], [3, 4.0]], t[1:]]
    ),
    "fft of a list": lambda t: np.abs(np.fft.fft([t[0], t[1], 2.0])),
    "full_like of a list": lambda t: np.full_like(t, [t[1], 2.0, t[0]]),
    "linspace of numbers": lambda t: t * np.linspace(1.0, 2.0, 3),
    "stack of a list": lambda t: np.stack([t, t * t]) + np.concatenate([[t[0], t[1]], [1.0]]),
    "zeros": filled(lambda: np.zeros(3)),
    "ones": filled(lambda: np.ones(3)),
    "empty": filled(lambda: np.empty(3) * 0),
    "eye": filled(lambda: np.eye(3)),
    "identity": filled(lambda: np.identity(3)),
    "zeros_like": filled(lambda: np.zeros_like(X)),
    "full of a number": filled(lambda: np.full(3, 2.0)),
    "tri": filled(lambda: np.tri(3)),
    "ones_like": filled(lambda: np.ones_like(X)),
    "a copy": filled(lambda: np.copy(X)),
    "an array's copy": filled(lambda: np.array(X)),
    "loop": filled_in_a_loop,
    "ndenumerate": lambda t: sum(x * sum(k) for k, x in np.ndenumerate([t, t * t])),
    "r_": lambda t: np.r_[t[0], t, 1.0, 2:4, [t[1], 3.0]],
    "r_, axes": lambda t: np.r_["0,2", t, [1.0, 2.0, 3.0], X],
    "c_": lambda t: np.c_[t, X, t * t],
    "vectorize": lambda t: np.vectorize(lambda a, b: a * a if b > 0 else b)(t, np.array([t, X])),
    "vectorize, several": lambda t: np.add(*np.vectorize(lambda a: (a * 2, a * a))(t)),
    "vectorize, excluded": lambda t: np.vectorize(lambda a, b: a * b[1], excluded=[1])(t, t),
}


@pytest.mark.parametrize(
    "f",
    rows(MADE, slow=lambda f: f in [MADE[name] for name in ("of matrices", "ones", "identity")]),
)
def test_values_are_numpys_and_derivatives_right(f: Any) -> None:
    expected: Any = f(X)
    assert type(expected) is numpy.ndarray or isinstance(expected, numpy.generic)
    y: Any = minigrad.vjp(f, X)[0]
    assert y.dtype == expected.dtype
    numpy.testing.assert_allclose(y, numpy.asarray(expected), rtol=1e-14)
    check_gradients(f, X, order=2)


def test_dtypes_are_those_that_numpy_gives_lists() -> None:
    t = Tensor([1.0, 2.0], dtype=np.float32)
    assert np.array([t, t]).dtype == numpy.float32
    assert np.array([t[0], 1.5]).dtype == numpy.array([numpy.float32(1), 1.5]).dtype == float
    assert np.array([Tensor(1), True]).dtype == int
    assert np.asarray([t], dtype=float).dtype == float


@pytest.mark.unoptimized
def test_compiled_functions_fill_arrays_too() -> None:
    def f(t: Any) -> Any:
        total = np.empty_like(X)  # of a captured array
        total[:] = np.max([t[0], t[1] * t[2]])
        rows = np.empty((2, 3))
        rows[0], rows[1] = t, total
        return MADE["loop"](t) * rows.T

    g = grad(lambda t: np.sum(np.array([f(t), t[:, None] * f(t)]) ** 2))
    for function in (f, g):
        once = minigrad.compile(function)
        for x in (X, X * X):
            got = once(x)
            assert type(got) is numpy.ndarray
            numpy.testing.assert_allclose(got, function(x), rtol=1e-12)


def test_outside_of_transforms_everything_is_numpys_own() -> None:
    for made in (np.zeros(3), np.array([1.0, 2.0]), np.eye(2), np.full(2, 1.0), np.r_[1.0, 2:4]):
        assert type(made) is numpy.ndarray
    assert np.asarray(X) is X
    assert grad(lambda t: t * (np.asarray(X) is X))(2.0) == 1

    def kinds(t: Any) -> Any:
        made = np.zeros(2, int), np.arange(3.0), np.array([1.0]), np.zeros(2)
        return t, [type(x).__name__ for x in made]

    assert grad(kinds, has_aux=True)(1.0)[1] == ["ndarray", "ndarray", "ndarray", "Tensor"]


def test_entries_of_constants_are_numpys_numbers() -> None:
    def f(t: Any) -> Any:
        points = np.array([0.5, 0.5])
        assert isinstance(points[0], float) and len({*points, *np.linspace(0, 1, 3)}) == 3
        assert np.isscalar(t) and np.isscalar(points[0]) and not np.isscalar(np.ones(1) * t)
        return t * points[0]

    assert grad(f)(2.0) == 0.5


def test_a_nested_transform_and_tensors_outside() -> None:
    def inner(t: Any) -> Any:
        x = np.zeros(2)
        x[0] = t**3
        return x @ np.array([t, 1.0])

    assert grad(grad(inner))(2.0) == 48
    t = Tensor(2.0, requires_grad=True)
    np.array([t, t * t]).sum().backward()
    assert t.grad == 5
    with pytest.raises((GradientError, ValueError)) as caught:
        np.zeros(3)[0] = t
    assert isinstance(caught.value.__cause__, GradientError)
    with no_grad():
        assert not np.array([t, 1.0]).requires_grad


T = Tensor(X, requires_grad=True)

MISUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "ragged": (lambda: np.array([T, T[0]]), ShapeError, r"\(3,\), \(\)"),
    "copy": (lambda: np.array(T, np.float32, copy=False), ArgumentError, "copy=False"),
    "device": (lambda: np.zeros(3, device="gpu"), ArgumentError, "'gpu'.*cpu"),
    "device of asarray": (lambda: np.asarray(T, device="cuda"), ArgumentError, "'cuda'.*cpu"),
    "device of full": (lambda: np.full(3, T[0], device="cuda"), ArgumentError, "'cuda'.*cpu"),
    "not finite": (lambda: np.asarray_chkfinite(T / 0.0), ArgumentError, "infs"),
    "vectorize nothing": (lambda: np.vectorize(abs)(T[:0]), ShapeError, "nothing to call"),
    "vectorize signature": (lambda: np.vectorize(abs, signature="()->()")(T), TypeError, "stack"),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize(("call", "kind", "message"), MISUSED.values(), ids=list(MISUSED))
def test_what_cannot_be_made(call: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
