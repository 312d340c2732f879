"""Primitives: functions that are not looked into, with vjps of their own."""

import gc
import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, check_gradients, explain, extend, grad, hessian, jvp, no_grad
from minigrad.errors import (
    ArgumentError,
    ArgumentTypeError,
    GradientError,
    ShapeError,
    UnsupportedError,
)
from minigrad.extend import defjvp, defvjp, defvjp_argnum, defvjp_argnums, primitive
from minigrad.ops.base import registry

X, Y = np.array([0.5, -1.2, 2.0]), np.array([[0.3], [1.1]])


def opaque(f: Callable[..., float]) -> Callable[..., Any]:
    """A function of plain numbers, for every entry: no Tensor gets through."""
    return lambda *arrays: np.array([f(*map(float, each)) for each in zip(*arrays, strict=True)])


def squares() -> Any:
    f = primitive(opaque(lambda x, y: x * math.sin(y)))
    defvjp(
        f, lambda ans, x, y: lambda g: g * np.sin(y), lambda ans, x, y: lambda g: g * x * np.cos(y)
    )
    return f


def test_the_function_runs_on_plain_arrays_and_vjps_to_any_order() -> None:
    f = squares()
    assert type(f(X, X)) is np.ndarray
    np.testing.assert_allclose(f(X, X), X * np.sin(X), rtol=1e-15)
    check_gradients(lambda x, y: f(x, x * y) * y, X, X[::-1], order=3)
    h = hessian(lambda x: np.sum(f(x, x)))(X)
    np.testing.assert_allclose(h, np.diag(2 * np.cos(X) - X * np.sin(X)), rtol=1e-12)
    tangent = jvp(f, (X, X), (X, 2 * X))[1]
    np.testing.assert_allclose(tangent, X * np.sin(X) + 2 * X * X * np.cos(X), rtol=1e-12)


def test_the_result_of_the_function_is_used_by_vjps() -> None:
    f = primitive(opaque(math.exp))
    defvjp(f, lambda ans, x: lambda g: g * ans)
    check_gradients(f, X, order=3)
    w = Tensor(X, requires_grad=True)
    f(w).sum().backward()
    np.testing.assert_allclose(w.grad, np.exp(X), rtol=1e-15)
    with no_grad():
        assert not f(w).requires_grad


def nested() -> Any:
    """Of a dict and a list, with a keyword argument, to a dict of arrays of other shapes."""

    @primitive
    def f(params: Any, pair: Any, name: str, *, power: float = 1.0) -> Any:
        return {"wx": params["w"] @ pair[0], "sums": (pair[1].sum() ** power, params["b"] * 2)}

    def by_params(ans: Any, params: Any, pair: Any, name: str, *, power: float = 1.0) -> Any:
        return lambda g: {"w": np.outer(g["wx"], pair[0]), "b": 2 * g["sums"][1]}

    def by_pair(ans: Any, params: Any, pair: Any, name: str, *, power: float = 1.0) -> Any:
        slope = power * np.sum(pair[1]) ** (power - 1)
        return lambda g: [params["w"].T @ g["wx"], g["sums"][0] * slope * np.ones_like(pair[1])]

    defvjp(f, by_params, by_pair)
    return f


def test_containers_in_arguments_and_results() -> None:
    f = nested()

    def total(w: Any, b: Any, x: Any, y: Any) -> Any:
        found = f({"w": w, "b": b}, [x, y * y], "name", power=3.0)
        assert found["sums"][1].shape == np.shape(b)
        return np.sum(found["wx"] ** 2) * found["sums"][0] + np.sum(found["sums"][1])

    arrays = np.arange(6.0).reshape(2, 3) / 5, Y, X, np.array([0.5, 0.7])
    check_gradients(total, *arrays, order=2)
    plain = f({"w": arrays[0], "b": Y}, [X, X], "name")
    assert type(plain["wx"]) is np.ndarray
    single = f({"w": Tensor(arrays[0].astype("f")), "b": Y}, [X.astype("f"), X], "name")
    assert single["wx"].dtype == np.float32 and single["sums"][1].dtype == float


def test_one_rule_for_all_arguments_and_rules_by_jvp() -> None:
    for define in (
        lambda f: defvjp_argnum(f, lambda k, ans, args, kwargs: lambda g: g * args[1 - k]),
        lambda f: defvjp_argnums(
            f, lambda ks, ans, args, kwargs: lambda g: tuple(g * args[1 - k] for k in ks)
        ),
        lambda f: defjvp(f, lambda v, ans, x, y: v * y, "same"),
        lambda f: defjvp(f, "same", "same", argnums=(1, 0)),
        extend.def_linear,
    ):
        f = primitive(lambda x, y: x * y)
        define(f)
        check_gradients(f, X, X[::-1] + 3, order=2)
        np.testing.assert_allclose(jvp(f, (X, X), (X, Y[0] * X))[1], X * X * (1 + Y[0]))


def test_an_argument_without_a_derivative() -> None:
    f = primitive(lambda x, n: x**n)
    defvjp(f, lambda ans, x, n: lambda g: g * n * x ** (n - 1), None)
    check_gradients(lambda x: f(x, 3), X)
    assert grad(f, argnums=(0, 1))(2.0, 3.0) == (12.0, 0.0)
    g = primitive(lambda x, y: x * y)
    defvjp(g, lambda ans, x, y: lambda g: g * y)
    assert grad(g)(2.0, 3.0) == 3
    with pytest.raises(GradientError, match=r"no derivative by argument 1.*defvjp"):
        grad(g, argnums=1)(2.0, 3.0)


@pytest.mark.unoptimized
def test_compiled_it_is_run_by_numpy() -> None:
    f, g = squares(), nested()

    def both(x: Any) -> Any:
        found = g({"w": np.outer(X, x), "b": x}, [x, x], "name", power=2.0)
        return f(x * 2, x + 1) + found["wx"] * found["sums"][0] + found["sums"][1]

    two = [primitive(lambda x: x + 1.0), primitive(lambda x: x * 3.0)]  # of one name
    slope = grad(lambda x: np.sum(both(x) ** 2))
    once = minigrad.compile(lambda x: (both(x), slope(x), two[0](x) - two[1](x)))
    for x in (X, X - 1):
        for got, expected in zip(once(x), (both(x), slope(x), x + 1 - 3 * x), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)


def test_explained() -> None:
    @primitive
    def doubled(x: Any) -> Any:
        return 2 * x

    defvjp(doubled, lambda ans, x: lambda g: 2 * g)
    x = Tensor(3.0, requires_grad=True, name="x")
    text = str(explain(np.sin(doubled(x))))
    assert "w2 = doubled(w1) = 6" in text and "dz/dx = 1.92" in text


def test_primitives_are_forgotten() -> None:
    def use() -> weakref.ref[Any]:
        f = primitive(lambda x: x * 2)
        defvjp(f, lambda ans, x: lambda g: 2 * g)
        assert grad(f)(1.0) == 2
        y = extend.checkpoint(np.tanh)(Tensor(0.0, requires_grad=True))
        gc.collect()
        y.backward()  # the primitive lives as long as what was computed
        return weakref.ref(f)

    before = len(registry)
    forgotten = use()
    gc.collect()
    assert forgotten() is None and len(registry) == before


ANY: Any = 3
OUTSIDE = Tensor(2.0, requires_grad=True)

MISUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no function": (lambda: primitive(ANY), ArgumentTypeError, "function"),
    "no primitive": (lambda: defvjp(ANY, None), ArgumentTypeError, "@primitive"),
    "argnums": (lambda: defvjp(primitive(abs), None, argnums=(0, 1)), ArgumentError, "2 argum"),
    "a Tensor by name": (lambda: primitive(np.sum)(X, axis=OUTSIDE), UnsupportedError, "position"),
    "a Tensor from outside": (
        lambda: primitive(lambda x: x * OUTSIDE)(Tensor(X)),
        GradientError,
        "pass that as an argument",
    ),
    "a result of another kind": (
        lambda: primitive(lambda x: "text")(Tensor(X)),
        TypeError,
        "text",
    ),
}


@pytest.mark.parametrize(("call", "kind", "message"), MISUSED.values(), ids=list(MISUSED))
def test_misuse(call: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_a_vjp_that_returns_another_structure() -> None:
    f = primitive(lambda pair: pair[0] * pair[1])
    defvjp(f, lambda ans, pair: lambda g: g)
    with pytest.raises(GradientError, match=r"returned 1 arrays.*of 2.*nested"):
        grad(lambda x: f([x, x]))(2.0)
    defvjp(f, lambda ans, pair: lambda g: [np.ones(3), g])
    with pytest.raises(ShapeError, match=r"\(3,\) for an input of \(\)"):
        grad(lambda x: f([x, x]))(2.0)


def test_results_whose_shapes_follow_the_numbers_are_refused() -> None:
    f = primitive(lambda x: [x[x > 0], x[x <= 0]])
    with pytest.raises(ShapeError, match="other shapes"):
        for x in (X, -X):
            f(Tensor(x))


def test_a_vjp_that_is_not_written_in_numpy_has_no_second_derivative() -> None:
    f = primitive(opaque(math.sin))
    defvjp(f, lambda ans, x: lambda g: g * opaque(math.cos)(x))
    np.testing.assert_allclose(grad(lambda x: np.sum(f(x)))(X), np.cos(X), rtol=1e-15)
    with pytest.raises(GradientError, match=r"np\.cos"):
        hessian(lambda x: np.sum(f(x)))(X)
