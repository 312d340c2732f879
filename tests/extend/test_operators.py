"""autograd's operators: their arguments, their results, nested arguments."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import check_gradients, extend
from minigrad.errors import ArgumentError, GradientError, ShapeError

X = np.array([0.5, -1.2, 2.0])
W = np.arange(6.0).reshape(2, 3) / 3


def f(w: Any, x: Any, scale: float = 1.0) -> Any:
    return np.tanh(w @ x) * scale


def test_make_vjp_and_make_jvp() -> None:
    slopes = (1 - np.tanh(W @ X) ** 2)[:, None] * W
    pull_back, value = extend.make_vjp(f, 1)(W, X, scale=2.0)
    np.testing.assert_allclose(value, 2 * np.tanh(W @ X))
    np.testing.assert_allclose(pull_back(np.array([1.0, 2.0])), 2 * np.array([1.0, 2.0]) @ slopes)
    value, tangent = extend.make_jvp(f, 1)(W, X)(X)
    np.testing.assert_allclose(tangent, slopes @ X)
    both = extend.make_vjp(f, (0, 1))(W, X)[0](np.ones(2))
    assert [g.shape for g in both] == [(2, 3), (3,)]
    _, tangent = extend.make_jvp(f, argnum=(0, 1))(W, X)((0 * W, X))
    np.testing.assert_allclose(tangent, slopes @ X)


def test_a_tangent_has_the_shape_of_its_argument() -> None:
    with pytest.raises(ShapeError, match=r"a tangent of shape \(\) for .* shape \(3,\)"):
        extend.make_jvp(np.sin)(X)(1.0)


def test_elementwise() -> None:
    np.testing.assert_allclose(extend.elementwise_grad(np.sin)(X), np.cos(X))
    twice = extend.elementwise_grad(extend.elementwise_grad(np.sin))
    np.testing.assert_allclose(twice(X), -np.sin(X))
    np.testing.assert_allclose(extend.elementwise_grad(lambda a, b: a * b**2, 1)(X, X), 2 * X * X)
    np.testing.assert_allclose(extend.deriv(np.exp)(X), np.exp(X))
    assert extend.deriv(extend.deriv(lambda x: x**3))(2.0) == 12


def test_products_with_second_derivatives() -> None:
    def quartic(x: Any, y: Any = 1.0) -> Any:
        return np.sum(x**4) * y + x[0] * x[1]

    curve = np.diag(12 * X**2 * 3) + np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]])
    product, gradient = extend.make_hvp(quartic)(X, 3.0)
    np.testing.assert_allclose(gradient, 12 * X**3 + np.array([X[1], X[0], 0]))
    np.testing.assert_allclose(product(X), curve @ X)
    np.testing.assert_allclose(extend.hessian_vector_product(quartic)(X, 3.0, X), curve @ X)
    np.testing.assert_allclose(extend.hessian(quartic)(X, 3.0), curve)
    slopes = (1 - np.tanh(W @ X) ** 2)[:, None] * W
    np.testing.assert_allclose(extend.make_ggnvp(f, f_argnum=1)(W, X)(X), slopes.T @ slopes @ X)
    weigh = np.diag([2.0, 5.0])
    got = extend.make_ggnvp(f, lambda y: y @ weigh @ y / 2, 1)(W, X)(X)
    np.testing.assert_allclose(got, slopes.T @ weigh @ slopes @ X)
    left = np.array([1.0, -2.0])
    np.testing.assert_allclose(extend.tensor_jacobian_product(f, 1)(W, X, left), left @ slopes)
    np.testing.assert_allclose(extend.jacobian(f, 1)(W, X), slopes)


def test_gradients_by_names() -> None:
    def g(a: Any, b: float = 2.0, *more: Any, c: float = 5.0, **others: Any) -> Any:
        return a * b * c + sum(more) * a + others.get("d", 0.0) * a

    found = extend.multigrad_dict(g)(3.0, 4.0, 1.0, 7.0, c=1.0, d=2.0)
    expected = {"a": 14.0, "b": 3.0, "more": (3.0, 3.0), "c": 12.0, "others": {"d": 3.0}}
    assert found == expected and [*found] == [*expected]
    assert extend.multigrad_dict(lambda a, b=2.0: a * b)(3.0) == {"a": 2.0, "b": 3.0}
    assert extend.grad_named(lambda x, y: x * y**2, "y")(2.0, 3.0) == 12
    with pytest.raises(ArgumentError, match=r"'z'.*x, y"):
        extend.grad_named(lambda x, y: x, "z")
    assert extend.grad(lambda x, y: x * y, argnum=1)(2.0, 3.0) == 2
    assert extend.value_and_grad(lambda x, y: x * y, argnum=[0])(2.0, 3.0) == (6.0, (3.0,))
    assert extend.grad_and_aux(lambda x: (x * x, {"x": 1}))(2.0) == (4.0, {"x": 1})


def test_checkpoint_forgets_what_it_computed() -> None:
    def deep(params: Any, x: Any) -> Any:
        for _ in range(3 if x.size < 10 else 30):
            x = np.sin(x * params["w"])
        return x

    check_gradients(lambda w, x: extend.checkpoint(deep)({"w": w}, x), X, X, order=2)
    x = np.ones(1000)
    peaks = []
    for function in (deep, extend.checkpoint(deep)):
        tracemalloc.start()
        value, _ = minigrad.vjp(function, {"w": x}, x)
        peaks.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert value.shape == x.shape
    assert peaks[1] < peaks[0] / 10


@pytest.mark.unoptimized
def test_checkpoint_compiled() -> None:
    slope = minigrad.grad(lambda x: np.sum(extend.checkpoint(np.tanh)(x) ** 2))
    np.testing.assert_allclose(minigrad.compile(slope)(X), slope(X), rtol=1e-12)


def test_a_fixed_point_has_the_derivative_of_its_equation() -> None:
    def step(a: Any) -> Any:
        return lambda x: np.cos(a * x) / 2

    def solved(a: Any) -> Any:
        distance = lambda x, y: np.max(np.abs(x - y))  # noqa: E731
        return extend.fixed_point(step, a, np.zeros(3), distance, 1e-15)

    x = solved(X)
    np.testing.assert_allclose(x, np.cos(X * x) / 2, rtol=1e-14)
    slope = np.sin(X * x) / 2
    expected = -slope * x / (1 + slope * X)
    np.testing.assert_allclose(minigrad.grad(lambda a: np.sum(solved(a)))(X), expected, rtol=1e-12)
    check_gradients(solved, X, order=2)


def test_flatten() -> None:
    tree = {"b": [X, (2.0, W)], "a": np.float32(1.5) * np.ones(2, np.float32), "none": None}
    vector, unflatten = extend.flatten(tree)
    np.testing.assert_array_equal(vector, np.concatenate([[1.5, 1.5], X, [2.0], W.ravel()]))
    back = unflatten(vector)
    assert [*back] == [*tree] and isinstance(back["b"][1], tuple) and back["none"] is None
    assert back["a"].dtype == np.float32 and back["b"][1][1].shape == (2, 3)
    assert back["b"][1][0] == 2.0

    def through(x: Any) -> Any:
        y, undo = extend.flatten([x, {"k": x * x}])
        return undo(y**2)[1]["k"]

    check_gradients(through, X, order=2)
    empty, undo = extend.flatten({})
    assert empty.shape == (0,) and undo(empty) == {}
    with pytest.raises(ShapeError, match=r"\(3,\).*12"):
        unflatten(X)


@pytest.mark.parametrize("name", ["adam", "rmsprop", "sgd"])
def test_optimizers(name: str) -> None:
    seen: list[Any] = []
    x = getattr(extend, name)(
        minigrad.grad(lambda x, i: np.sum((x["a"] - 1) ** 2) + x["b"] ** 2),
        {"a": X, "b": 3.0},
        callback=lambda x, i, g: seen.append((i, x["b"], g["b"])),
        num_iters=2,
    )
    assert [i for i, *_ in seen] == [0, 1] and seen[0][1:] == (3.0, 6.0)
    # The first two steps by hand, of the entry at 3 with the gradients 6 and 2 b.
    b, settings = 3.0, {"adam": (0.001, 0.0), "rmsprop": (0.1, 1.0), "sgd": (0.1, 0.0)}
    rate, square = settings[name]
    mean = 0.0
    for i in range(2):
        g = 2 * b
        if name == "sgd":
            mean = 0.9 * mean - 0.1 * g
            b += rate * mean
            continue
        square = (0.999 if name == "adam" else 0.9) * square
        square += (0.001 if name == "adam" else 0.1) * g * g
        mean = 0.9 * mean + 0.1 * g
        if name == "adam":
            b -= (
                rate
                * mean
                / (1 - 0.9 ** (i + 1))
                / ((square / (1 - 0.999 ** (i + 1))) ** 0.5 + 1e-8)
            )
        else:
            b -= rate * g / (square**0.5 + 1e-8)
    assert x["b"] == pytest.approx(b, rel=1e-12)


def test_notrace_and_getval() -> None:
    assert minigrad.grad(lambda x: x * extend.notrace_primitive(np.square)(x))(3.0) == 9
    assert minigrad.grad(lambda x: x * extend.getval(x))(3.0) == 3
    with pytest.raises(GradientError):
        minigrad.grad(lambda x: extend.getval(x) * np.array(x))(3.0)
