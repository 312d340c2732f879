"""grad, value_and_grad, vjp, jvp, jacobian, hessian, hvp; and their compositions."""

import math
from collections import OrderedDict, defaultdict, namedtuple
from functools import partial
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, grad, hessian, hvp, jacobian, jvp, linearize, value_and_grad, vjp
from minigrad.errors import DtypeError, GradientError, ShapeError

X = np.array([0.5, -1.0, 2.0])


def same(got: Any, expected: Any) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


def test_a_function_written_only_with_numpy() -> None:
    g = grad(lambda x: np.sum(np.tanh(x) ** 2))(X)
    assert type(g) is np.ndarray
    same(g, 2 * np.tanh(X) / np.cosh(X) ** 2)


def test_floats_give_numpy_numbers_and_tensors_give_tensors() -> None:
    assert type(grad(np.sin)(0.5)) is np.float64
    assert type(grad(np.sin)(np.float32(0.5))) is np.float32
    given = Tensor(0.5)
    result = grad(np.sin)(given)
    assert isinstance(result, Tensor)
    assert not result.requires_grad
    assert given.grad is None


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_any_order(order: int) -> None:
    f: Any = np.sin
    for _ in range(order):
        f = grad(f)
    same(f(0.4), [np.sin(0.4), np.cos(0.4), -np.sin(0.4), -np.cos(0.4)][order % 4])


def test_third_derivatives_of_arrays() -> None:
    def f(x: Any) -> Any:
        return np.sum(x**3 * np.roll(x, 1))

    minigrad.check_gradients(f, X, order=3)


def test_inner_and_outer_derivatives_are_told_apart() -> None:
    same(grad(lambda x: x * grad(lambda y: x + y)(1.0))(2.0), 1.0)
    same(grad(lambda x: x * grad(lambda y: x * y)(1.0))(3.0), 6.0)
    same(grad(lambda x: grad(lambda y: x * y * y)(x))(3.0), 12.0)


def test_an_inner_derivative_that_nobody_watches_is_plain() -> None:
    seen = []

    def f(x: Any) -> Any:
        seen.append(grad(np.sin)(0.5))
        return x * seen[-1]

    same(grad(f)(2.0), np.cos(0.5))
    assert type(seen[0]) is np.float64


def test_a_leaf_outside_watches() -> None:
    w = Tensor(2.0, requires_grad=True)
    g = grad(lambda x: np.sin(w * x))(0.3)  # w cos(w x)
    assert isinstance(g, Tensor)
    g.backward()
    same(w.grad, np.cos(0.6) - 0.6 * np.sin(0.6))
    with minigrad.no_grad():
        assert type(grad(lambda x: np.sin(w * x))(0.3)) is np.float64


def test_value_and_grad() -> None:
    value, g = value_and_grad(lambda x: np.sum(x * x))(X)
    same(value, 5.25)
    same(g, 2 * X)


def test_argnums_and_keyword_arguments() -> None:
    def f(x: Any, n: int, y: Any, scale: float = 1.0) -> Any:
        return np.sum(x**n * y) * scale

    gx, gy = grad(f, argnums=(0, 2))(X, 2, 3.0, scale=10.0)
    same(gx, 60 * X)
    same(gy, 10 * np.sum(X * X))
    same(grad(f, argnums=-1)(X, 2, 3.0), np.sum(X * X))


def test_aux() -> None:
    def f(x: Any) -> Any:
        return np.sum(x * x), {"double": x * 2, "label": "text"}

    (value, aux), g = value_and_grad(f, has_aux=True)(X)
    same(value, 5.25)
    same(g, 2 * X)
    assert type(aux["double"]) is np.ndarray
    assert aux["label"] == "text"
    assert grad(f, has_aux=True)(X)[1]["label"] == "text"
    assert jacobian(f, has_aux=True)(X)[1]["label"] == "text"
    assert vjp(f, X, has_aux=True)[2]["label"] == "text"
    assert jvp(f, (X,), (X,), has_aux=True)[2]["label"] == "text"


Layer = namedtuple("Layer", "weight bias")


def test_nests_of_dicts_lists_and_tuples() -> None:
    params = {"layers": [Layer(np.ones((2, 2)), np.zeros(2)), (3.0,)], "none": None}

    def f(p: Any) -> Any:
        (layer, (scale,)) = p["layers"]
        return np.sum((layer.weight @ np.array([1.0, 2.0]) + layer.bias) * scale)

    g = grad(f)(params)
    assert isinstance(g["layers"][0], Layer)
    assert g["none"] is None
    same(g["layers"][0].weight, [[3, 6], [3, 6]])
    same(g["layers"][0].bias, [3, 3])
    same(g["layers"][1][0], 6)


def test_an_argument_that_plays_no_part_has_a_zero_gradient() -> None:
    gx, gy = grad(lambda x, y: np.sum(x), argnums=(0, 1))(X, X)
    same(gx, np.ones(3))
    same(gy, np.zeros(3))
    same(grad(lambda x: 3.0)(X), np.zeros(3))


def test_vjp() -> None:
    (y, z), pull_back = vjp(lambda a, b: (a * b, np.sum(a)), X, 2.0)
    same(y, 2 * X)
    same(z, 1.5)
    ga, gb = pull_back((np.array([1.0, 0.0, 1.0]), 10.0))
    same(ga, [12.0, 10.0, 12.0])
    same(gb, 2.5)


def test_vjp_can_be_pulled_back_again() -> None:
    _, pull_back = vjp(np.sin, 0.3)
    same(pull_back(1.0), pull_back(1.0))


def test_jvp_is_the_directional_derivative() -> None:
    def f(a: Any, b: Any) -> Any:
        return {"y": np.sin(a) * b, "constant": 1.0}

    value, tangent = jvp(f, (X, 2.0), (np.array([1.0, 2.0, 3.0]), 0.5))
    same(value["y"], 2 * np.sin(X))
    same(tangent["y"], 2 * np.cos(X) * [1, 2, 3] + 0.5 * np.sin(X))
    same(tangent["constant"], 0.0)
    assert type(tangent["y"]) is np.ndarray


def test_jvp_and_grad_compose_both_ways() -> None:
    same(jvp(grad(np.sin), (0.3,), (2.0,))[1], -2 * np.sin(0.3))
    same(grad(lambda x: jvp(np.sin, (x,), (2.0,))[1])(0.3), -2 * np.sin(0.3))
    same(jvp(lambda x: jvp(np.sin, (x,), (1.0,))[1], (0.3,), (1.0,))[1], -np.sin(0.3))
    same(grad(lambda v: jvp(np.sin, (0.3,), (v,))[1])(2.0), np.cos(0.3))


def test_jacobian_shapes() -> None:
    j = jacobian(lambda x: np.outer(x, x))(X)
    assert j.shape == (3, 3, 3)
    eye = np.eye(3)
    same(j, np.einsum("ik,j->ijk", eye, X) + np.einsum("jk,i->ijk", eye, X))


def test_jacobian_of_nests() -> None:
    def f(p: Any) -> Any:
        return {"y": p["a"] * p["b"], "n": np.sum(p["a"])}

    j = jacobian(f)({"a": X, "b": 2.0})
    same(j["y"]["a"], 2 * np.eye(3))
    same(j["y"]["b"], X)
    same(j["n"]["a"], np.ones(3))
    same(j["n"]["b"], 0)


def test_jacobian_of_an_empty_output_and_by_two_arguments() -> None:
    assert jacobian(lambda x: x[:0])(X).shape == (0, 3)
    ja, jb = jacobian(lambda a, b: a * b, argnums=(0, 1))(X, 2.0)
    same(ja, 2 * np.eye(3))
    same(jb, X)


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_hessian_hvp_and_their_agreement() -> None:
    x = np.array([1.2, -0.7, 0.3, 2.0])
    h = hessian(rosenbrock)(x)
    same(h, h.T)
    same(h[0, 0], 1200 * 1.44 + 400 * 0.7 + 2)
    v = np.array([1.0, -2.0, 0.5, 3.0])
    same(hvp(rosenbrock)(x, v), h @ v)
    same(jacobian(lambda x: jacobian(rosenbrock)(x))(x), h)


def test_hvp_of_nests_and_argnums() -> None:
    def f(p: Any, s: Any) -> Any:
        return np.sum(p["w"] ** 3) * s

    got = hvp(f)({"w": X}, 2.0, {"w": np.ones(3)})
    same(got["w"], 12 * X)
    by_w, by_s = hvp(f, argnums=(0, 1))({"w": X}, 2.0, ({"w": np.ones(3)}, 1.0))
    same(by_w["w"], 12 * X + 3 * X**2)
    same(by_s, np.sum(3 * X**2))


def test_a_gradient_penalty_trains() -> None:
    w = Tensor(X, requires_grad=True)
    x = np.array([1.0, 2.0, 3.0])
    slope = grad(lambda x: np.tanh(np.sum(w * x)))(x)
    np.sum(slope**2).backward()
    minigrad.check_gradients(
        lambda w: np.sum(grad(lambda x: np.tanh(np.sum(w * x)))(x) ** 2), X, order=1
    )
    same(w.grad, grad(lambda w: np.sum(grad(lambda x: np.tanh(np.sum(w * x)))(x) ** 2))(X))


def test_assignment_in_numpy_code() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        for i in range(3):
            y[i] = x[i] ** 2
            y[i] = y[i] * x[0]
        before = y * 1.0
        y[:] = 0
        return np.sum(before) + np.sum(y)

    same(grad(f)(X), [3 * 0.25 + 1 + 4, 2 * -1.0 * 0.5, 2 * 2.0 * 0.5])
    minigrad.check_gradients(f, X)


def test_assigning_into_an_argument_leaves_the_callers_array_alone() -> None:
    def f(x: Any) -> Any:
        old = x * 1.0
        x = x.copy()
        x[0] = 5.0
        return np.sum(x * old)

    given = X.copy()
    same(grad(f)(given), [5.0, -2.0, 4.0])
    same(given, X)


def test_an_argument_is_not_written_into_at_any_order() -> None:
    def f(x: Any) -> Any:
        x += 1
        return np.sum(x**3)

    for differentiated in (grad(f), hessian(f), lambda x: jvp(grad(f), (x,), (x,))):
        with pytest.raises((GradientError, ValueError), match=r"copy"):
            differentiated(X)
    same(grad(f)(2.0), 27.0)  # a number is not written into
    same(hessian(f)(2.0), 18.0)


def test_an_exception_inside_leaves_everything_as_it_was() -> None:
    def fails(x: Any) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        grad(lambda x: grad(fails)(x))(1.0)
    assert float(Tensor(1.0, requires_grad=True)) == 1.0  # refused inside transforms only
    same(grad(np.sin)(0.0), 1.0)


def test_keeps_name_and_docstring() -> None:
    assert grad(rosenbrock).__name__ == "rosenbrock"


# Each gives its argument back, and some as it is: the output is then the input itself.
IDENTITIES: dict[str, Any] = {
    "itself": lambda x: x,
    "ravel": np.ravel,
    "the same dtype": lambda x: x.astype(x.dtype),
    "the same shape": lambda x: np.broadcast_to(x, x.shape),
    "reshape": lambda x: x.reshape(-1),
    "of one": lambda x: np.concatenate([x]),
    "+x": lambda x: +x,
    "roll": lambda x: np.roll(x, 0),
    "no differences": lambda x: np.diff(x, n=0),
    "no dropout": lambda x: minigrad.functional.dropout(x, 0.5, training=False),
    "a layer": minigrad.nn.Identity(),
    "Python's max": lambda x: np.stack([max(x[0], -5.0), *x[1:]]),
}


@pytest.mark.parametrize("f", IDENTITIES.values(), ids=list(IDENTITIES))
def test_derivatives_of_identities(f: Any) -> None:
    minigrad.check_gradients(f, X)
    same(jacobian(f)(X), np.eye(3))
    same(vjp(f, X)[1](np.arange(3.0)), [np.arange(3.0)])
    same(jvp(f, (X,), (np.arange(3.0),))[1], np.arange(3.0))
    same(hessian(lambda x: np.sum(f(f(x) * x)))(X), 2 * np.eye(3))
    compiled = minigrad.compile(lambda x, v: (jacobian(f)(x), jvp(f, (x,), (v,))[1]))
    if f is not IDENTITIES["Python's max"]:  # which branches on a value
        same(compiled(X, np.arange(3.0))[0], np.eye(3))
        same(compiled(X, np.arange(3.0))[1], np.arange(3.0))


def test_a_derivative_is_not_in_the_memory_of_a_cotangent() -> None:
    g = np.ones(3)
    given, again = vjp(lambda x, y: x + y, X, X)[1](g)
    given += 1
    same([g, again], np.ones((2, 3)))


def test_the_dtype_of_a_derivative_is_that_of_the_primal() -> None:
    (g,) = vjp(lambda x: x, np.float32(2.0))[1](Tensor(1.0))
    assert g.dtype == np.float32
    (g,) = grad(lambda w: vjp(lambda x: x, np.float32(2.0))[1](w)[0] * w, argnums=(0,))(1.0)
    assert g.dtype == np.float64
    same(g, 2.0)


def test_aux_that_depends_on_an_outer_transform() -> None:
    def of_aux(w: Any) -> Any:
        return vjp(lambda x: (2 * x, w * x), 3.0, has_aux=True)[2]

    same(grad(of_aux)(5.0), 3.0)
    same(grad(lambda w: value_and_grad(lambda x: (2 * x, w * x), has_aux=True)(3.0)[0][1])(5.0), 3)


def test_values_independent_of_an_outer_transform_are_plain() -> None:
    def f(w: Any) -> Any:
        (product, square), _ = vjp(lambda x: (x * w, x * x), 3.0)
        assert type(square) is np.float64
        return product * square

    same(grad(f)(5.0), 27.0)


def test_a_pull_back_without_recording_is_plain() -> None:
    w = Tensor(2.0, requires_grad=True)
    _, pull_back = vjp(lambda x: w * x, 3.0)
    with minigrad.no_grad():
        assert type(pull_back(1.0)[0]) is np.float64
    assert pull_back(1.0)[0].requires_grad


def test_the_derivative_of_an_integer_output_is_0() -> None:
    def f(x: Any) -> Any:
        return {"largest": np.argmax(x), "value": np.max(x)}

    value, tangent = jvp(f, (X,), (np.array([1.0, 2.0, 3.0]),))
    assert value["largest"] == 2
    assert type(tangent["largest"]) is np.float64
    same([tangent["largest"], tangent["value"]], [0.0, 3.0])
    same(vjp(f, X)[1]({"largest": 1.0, "value": 2.0})[0], [0.0, 0.0, 2.0])
    same(jacobian(f)(X)["largest"], np.zeros(3))


def test_dicts_are_matched_by_key() -> None:
    def f(p: Any) -> Any:
        return np.sum(p["a"] ** 3) + np.sum(p["b"] ** 2)

    p, v = {"a": X, "b": 2 * X}, {"b": np.array([1.0, 2.0, 3.0]), "a": np.array([4.0, 5.0, 6.0])}
    got = hvp(f)(p, v)
    assert list(got) == ["a", "b"]
    same(got["a"], 6 * X * v["a"])
    same(got["b"], 2 * v["b"])
    same(jvp(f, (p,), (v,))[1], np.sum(3 * X**2 * v["a"]) + np.sum(4 * X * v["b"]))
    _, pull_back = vjp(lambda x: {"a": 2 * x, "b": 3 * x}, X)
    same(pull_back(v)[0], 2 * v["a"] + 3 * v["b"])


BAD = {
    "a bool": (lambda: grad(lambda x: np.allclose(x, x))(X), GradientError, r"bool.*has_aux"),
    "a bool Tensor": (lambda: grad(lambda x: np.all(x > 0))(X), DtypeError, r"returned bool"),
    "an integer value": (lambda: grad(np.argmax)(X), DtypeError, r"returned int64"),
    "an integer": (lambda: grad(lambda x: x * x)(2), DtypeError, r"argument 0 .*int.*2\.0"),
    "an integer array": (lambda: grad(np.sum)(np.arange(3)), DtypeError, r"astype\(float\)"),
    "in a nest": (
        lambda: grad(lambda p: p["a"][0])({"a": [1.0, 2]}),
        DtypeError,
        r"argument 0\['a'\]\[1\]",
    ),
    "text": (lambda: grad(lambda s: 1.0)("text"), DtypeError, r"str.*argnums"),
    "an array": (lambda: grad(lambda x: x * 2)(X), GradientError, r"single value.*\(3,\)"),
    "nothing": (lambda: grad(lambda x: None)(X), GradientError, r"single value"),
    "an object": (lambda: grad(lambda x: object())(X), GradientError, r"returned a object"),
    "argnums": (lambda: grad(np.sin, argnums=1)(1.0), GradientError, r"1 positional"),
    "no aux": (lambda: grad(np.sum, has_aux=True)(X), GradientError, r"pair"),
    "a cotangent": (lambda: vjp(np.sin, X)[1](np.ones(2)), ShapeError, r"\(2,\).*\(3,\)"),
    "a nest of cotangents": (lambda: vjp(np.sin, X)[1]((X, X)), ShapeError, r"pytree structure"),
    "tangents": (lambda: jvp(np.sin, (X,), (X, X)), ShapeError, r"pytree structure"),
    "a vector": (lambda: hvp(rosenbrock)(X, np.ones(2)), ShapeError, r"\(2,\).*\(3,\)"),
    "math.sin": (lambda: grad(lambda x: math.sin(x))(1.0), GradientError, r"np\.sin"),
    "math.sin and more": (lambda: grad(lambda x: x + math.sin(x))(1.0), GradientError, r"np\.sin"),
    "an array's entry": (lambda: grad(fill_an_array)(X), GradientError, r"zeros_like"),
    "asarray": (lambda: grad(lambda x: np.asarray(x).sum())(X), GradientError, r"np\.stack"),
}


def fill_an_array(x: Any) -> Any:
    y = np.zeros(3)
    y[0] = x[0]
    return np.sum(y) + x[0]


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=list(BAD))
def test_bad_input_is_explained(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert "test_derivatives.py" in str(caught.value)


class Settings(dict[str, Any]):
    """A class of the user's."""


@pytest.mark.parametrize("wrap", [lambda f: f, minigrad.compile], ids=["eager", "compiled"])
@pytest.mark.parametrize("kind", [dict, OrderedDict, Settings, partial(defaultdict, lambda: 2.0)])
def test_dictionaries_keep_their_class(kind: Any, wrap: Any) -> None:
    def f(d: Any) -> Any:
        factor = d.default_factory() if hasattr(d, "default_factory") else 1.0
        return (d["a"] + 2 * d["b"]) * (3.0 if type(d) is dict else 5.0) * factor

    factors: dict[Any, float] = {dict: 3.0, OrderedDict: 5.0, Settings: 5.0}
    factor = factors.get(kind, 10.0)
    found = wrap(grad(f))(kind(a=3.0, b=4.0))
    assert type(found) is type(kind()) and dict(found) == {"a": factor, "b": 2 * factor}
    assert wrap(f)(kind(a=3.0, b=4.0)) == 11 * factor


def next_or_one(x: Any) -> Any:
    total = 0.0
    for k in range(4):
        try:
            total = total + x[k + 1] ** 2
        except IndexError:
            total = total + 1
    return total


def written_where_possible(x: Any) -> Any:
    y = x * 1
    try:
        y[7] = 0
    except IndexError:
        y[0] = 0
    return np.sum(y * y)


def halves_of_rows(x: Any) -> Any:
    try:
        rows = len(np.sum(x, axis=1))
    except IndexError:
        rows = 2
    return np.sum(x * x) / rows


def of_a_number(x: Any) -> Any:
    try:
        return sum(v for v in x[0])
    except TypeError:
        return x[0] ** 2


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (next_or_one, [0, 2 * X[1], 2 * X[2]]),
        (written_where_possible, [0, 2 * X[1], 2 * X[2]]),
        (halves_of_rows, X),
        (of_a_number, [2 * X[0], 0, 0]),
    ],
)
def test_errors_are_caught_as_numpys_are(f: Any, expected: Any) -> None:
    same(grad(f)(X), expected)
    same(f(Tensor(X)).data, f(X))


def test_arguments_that_are_written_into_after_vjp_or_linearize() -> None:
    for give in (lambda x: x, lambda x: {"a": [x]}):
        x = np.array([1.0, 2.0])
        f = lambda tree: (tree["a"][0] if isinstance(tree, dict) else tree) ** 3  # noqa: E731
        pull_back, push = vjp(f, give(x))[1], linearize(f, give(x))[1]
        x[:] = 0.0
        (found,) = pull_back(np.ones(2))
        np.testing.assert_allclose(found["a"][0] if isinstance(found, dict) else found, [3, 12])
        np.testing.assert_allclose(push(give(np.ones(2))), [3, 12])


def test_arrays_of_outside_are_read_in_each_call() -> None:
    w = np.array([1.0, 2.0])
    f = minigrad.compile(lambda: vjp(lambda w: w**3, w)[1](np.ones(2))[0])
    for k in (1.0, 2.0):
        w[:] = k
        np.testing.assert_allclose(f(), 3 * w**2)
