"""Derivatives that users write: custom_vjp, custom_jvp, stop_gradient."""

import copy
import ctypes
import ctypes.util
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.linalg as sl

import minigrad
from minigrad import (
    Tensor,
    check_gradients,
    custom_jvp,
    custom_vjp,
    grad,
    hessian,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    nn,
    no_grad,
    scan,
    stop_gradient,
    value_and_grad,
    vjp,
    vmap,
)
from minigrad.errors import (
    ArgumentError,
    ArgumentTypeError,
    DtypeError,
    GradientError,
    ShapeError,
    UnsupportedError,
)
from minigrad.random import uniform

X, Y = np.array([0.5, 1.0, 2.0]), np.array([1.5, -1.0, 0.5])


def softplus() -> Any:
    @custom_vjp
    def f(x: Any) -> Any:
        return np.log1p(np.exp(x))

    f.defvjp(lambda x: (f(x), x), lambda x, g: (g / (1 + np.exp(-x)),))
    return f


def in_c() -> Any:
    """The exponential function of C's own library, entry by entry."""
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    library.exp.restype, library.exp.argtypes = ctypes.c_double, [ctypes.c_double]

    @custom_vjp
    def f(x: Any) -> Any:
        return np.array([library.exp(float(v)) for v in x])

    def fwd(x: Any) -> Any:
        y = f.fun(x)
        return y, y

    f.defvjp(fwd, lambda y, g: (g * y,))
    return f


def solver() -> Any:
    """A linear system, by SciPy's Cholesky factors; its rule needs arguments and results only."""

    @custom_vjp
    def f(a: Any, b: Any) -> Any:
        return sl.cho_solve(sl.cho_factor(a), b)

    def fwd(a: Any, b: Any) -> Any:
        x = f.fun(a, b)
        return x, (a, x)

    def bwd(needed: Any, g: Any) -> Any:
        a, x = needed
        w = f(a, g)
        return -np.outer(w, x), w

    f.defvjp(fwd, bwd)
    return f


A = np.array([[2.0, 0.3, 0.0], [0.3, 1.0, 0.1], [0.0, 0.1, 1.5]])


def through_solver(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda s, b: np.sum(f(A + s * np.eye(3), b) ** 2 * Y)


@pytest.mark.parametrize("make", [softplus, in_c])
def test_any_order(make: Any) -> None:
    check_gradients(lambda x: make()(x) * x, X, order=3)


def test_a_solver_of_scipy_to_any_order() -> None:
    check_gradients(through_solver(solver()), 0.3, Y, order=3)


def test_a_rule_is_used_instead_of_the_derivative() -> None:
    @custom_vjp
    def clipped(x: Any) -> Any:
        return x * 1

    clipped.defvjp(lambda x: (x, None), lambda _, g: (np.clip(g, -1, 1),))
    assert np.array_equal(grad(lambda x: np.sum(clipped(x) * [5, 0.5, -3]))(X), [1, 0.5, -1])
    t = Tensor(X, requires_grad=True)
    (clipped(t) * 9).sum().backward()
    assert np.array_equal(t.grad, [1, 1, 1])


class Pair(NamedTuple):
    w: Any
    b: Any


def affine() -> Any:
    """Of nested arguments, to nested results, of which one is of integers."""

    @custom_vjp
    def f(p: Any, xs: Any, n: int) -> Any:
        return {"y": p.w * xs[0] ** n + p.b["b"], "z": [xs[1] * 2, np.arange(3)]}

    def fwd(p: Any, xs: Any, n: int) -> Any:
        return f(p, xs, n), (p, xs, n, {"slope": n * xs[0] ** (n - 1)})

    def bwd(needed: Any, g: Any) -> Any:
        p, xs, n, more = needed
        by_p = Pair(np.sum(g["y"] * xs[0] ** n), {"a": None, "b": np.sum(g["y"])})
        return by_p, [g["y"] * p.w * more["slope"], 2 * g["z"][0]], None

    f.defvjp(fwd, bwd)
    return f


def test_nests_in_and_out_and_residuals_that_were_computed(on_numpy: None) -> None:
    f = affine()

    def total(w: Any, b: Any, x: Any, y: Any, f: Any = f) -> Any:
        found = f(Pair(w, {"b": b, "a": 1.0}), [x, y * w], 3)
        return np.sum(found["y"] ** 2) * np.sum(found["z"][0]) + np.sum(found["z"][1])

    check_gradients(total, 2.0, 0.3, X, Y, order=3)
    found = f(Pair(2.0, {"b": 1.0, "a": 1.0}), [X, Y], 2)
    assert type(found["y"]) is np.ndarray and found["z"][1].dtype.kind == "i"
    compiled = minigrad.compile(grad(total, (0, 1, 2, 3)))
    expected = grad(partial(total, f=f.fun), (0, 1, 2, 3))
    args = np.array(2.0), np.array(0.3), X, Y
    for _ in range(2):
        for one, other in zip(compiled(*args), expected(*args), strict=True):
            np.testing.assert_allclose(one, other, 1e-12)


def test_arguments_by_name_and_those_that_have_no_derivative() -> None:
    given = []

    @partial(custom_vjp, nondiff_argnums=(0, 2))
    def f(function: Any, x: Any, power: Any = 2) -> Any:
        return function(x) ** power

    def bwd(function: Any, power: Any, x: Any, g: Any) -> Any:
        given.append((function, power))
        return (g * power * function(x) ** (power - 1) * np.cos(x),)

    f.defvjp(lambda function, x, power: (function(x) ** power, x), bwd)
    np.testing.assert_allclose(
        grad(lambda x: np.sum(f(np.sin, power=3, x=x)))(X), 3 * np.sin(X) ** 2 * np.cos(X)
    )
    assert given == [(np.sin, 3)]
    assert f(np.sin, 2.0) == np.sin(2.0) ** 2
    with pytest.raises(GradientError, match="argument 2 of f is in nondiff_argnums"):
        grad(lambda p: np.sum(f(np.sin, X, p)))(2.0)


def test_of_tensors_without_gradients_and_of_plain_arrays() -> None:
    f = softplus()
    assert type(f(X)) is np.ndarray and type(f(Tensor(X))) is Tensor
    assert not f(Tensor(X)).requires_grad
    with no_grad():
        assert not f(Tensor(X, requires_grad=True)).requires_grad


def test_a_result_that_is_an_argument_has_memory_of_its_own() -> None:
    f = custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, None), lambda _, g: (2 * g,))
    x = X.copy()
    t = Tensor(x, requires_grad=True)
    y = f(t)
    y += 1.0
    assert np.array_equal(x, X)
    y.sum().backward()
    assert np.array_equal(t.grad, [2, 2, 2])


@pytest.mark.parametrize("make", [softplus, in_c])
def test_compiled_inside_and_outside(make: Any, on_numpy: None) -> None:
    f = make()

    def total(x: Any) -> Any:
        return np.sum(f(np.sin(x)) * x)

    for transform in (grad, value_and_grad, hessian, lambda f: partial(jvp_of, f)):
        expected = transform(total)(X)
        outside = transform(minigrad.compile(total))(X)
        np.testing.assert_allclose(flat_of(outside), flat_of(expected), 1e-12)
    inside = minigrad.compile(value_and_grad(total))
    for x in (X, 2 * X, X):
        np.testing.assert_allclose(
            flat_of(inside(x)), flat_of(value_and_grad(total)(x)), 1e-12, 1e-14
        )
    assert len(inside.specializations) == 1


def jvp_of(f: Any, x: Any) -> Any:
    return jvp(f, (x,), (np.cos(x),))


def flat_of(x: Any) -> Any:
    return np.concatenate([np.ravel(part) for part in x]) if isinstance(x, tuple) else x


def test_a_solver_between_compiled_parts(on_numpy: None) -> None:
    plain = through_solver(np.linalg.solve)
    compiled = minigrad.compile(value_and_grad(through_solver(solver()), (0, 1)))
    for s in (0.3, 1.0):
        value, slopes = compiled(np.array(s), Y)
        expected, others = value_and_grad(plain, (0, 1))(s, Y)
        np.testing.assert_allclose(value, expected, 1e-12)
        for one, other in zip(slopes, others, strict=True):
            np.testing.assert_allclose(one, other, 1e-12)
    outside = hessian(minigrad.compile(through_solver(solver())), 1)(np.array(0.3), Y)
    np.testing.assert_allclose(outside, hessian(plain, 1)(0.3, Y), 1e-12)


def test_a_function_that_is_changed_is_traced_again(on_numpy: None) -> None:
    f = softplus()
    compiled = minigrad.compile(grad(lambda x: np.sum(f(x))))
    compiled(X)
    f.defvjp(lambda x: (f(x), x), lambda x, g: (7 * g,))
    assert np.array_equal(compiled(X), [7, 7, 7])


def wrong(found: Any, needed: Any = None) -> Any:
    f = custom_vjp(lambda x, n, d: x * 2.0)
    f.defvjp(lambda x, n, d: (x * 2.0, needed), lambda _, g: found)
    return f


ZERO = {"w": 0.0}


@pytest.mark.parametrize(
    ("found", "error", "message"),
    [
        (np.zeros(3), GradientError, "returns a tuple, of a cotangent for each argument, and this"),
        ((X,), GradientError, "returned 1 cotangents, for 3 arguments"),
        ((X, None, ZERO, None), GradientError, "returned 4 cotangents, for 3 arguments"),
        ((X[:2], None, ZERO), ShapeError, r"shape \(2,\) for argument 0, of shape \(3,\)"),
        ((X[None], None, ZERO), ShapeError, r"shape \(1, 3\) for argument 0, of shape \(3,\)"),
        ((0.0, None, ZERO), ShapeError, r"shape \(\) for argument 0, of shape \(3,\)"),
        ((np.arange(3), None, ZERO), DtypeError, "int64 for argument 0: integers"),
        ((X > 0, None, ZERO), DtypeError, "bool for argument 0: integers"),
        (
            ([X], None, ZERO),
            ShapeError,
            r"a list with the leaves \[0\] as the cotangent of argument 0, an array",
        ),
        ((X, None, X), ShapeError, r"argument 2, which is a dict with the leaves \['w'\]"),
        ((X, None, {"v": 0.0}), ShapeError, r"a dict with the leaves \['v'\] as the cotangent of"),
        ((X, None, {"w": X}), ShapeError, r"shape \(3,\) for argument 2\['w'\], of shape \(\)"),
        ((X, None, {"w": 1}), DtypeError, r"int64 for argument 2\['w'\]"),
    ],
)
def test_wrong_cotangents(found: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=f"bwd of <lambda>.*{message}"):
        grad(lambda x: np.sum(wrong(found)(x, 3, {"w": 1.0})))(X)


def test_none_is_zero_and_what_has_no_derivative_is_not_looked_at() -> None:
    assert np.array_equal(grad(lambda x: np.sum(wrong((None, "x", None))(x, 3, ZERO)))(X), 0 * X)


def test_rules_of_other_arguments() -> None:
    f = custom_vjp(lambda p, x: x**p, nondiff_argnums=(0,))
    f.defvjp(lambda p, x: (x**p, x), lambda x, g: (g * x,))
    for g in (grad(f, argnums=1), minigrad.compile(grad(f, argnums=1))):
        with pytest.raises(ArgumentTypeError, match=r"bwd of <lambda>: .*it takes x, g, and is"):
            g(2, 3.0)
    f.defvjp(lambda x: (x, x), lambda p, x, g: (g * x,))
    with pytest.raises(ArgumentTypeError, match=r"fwd of <lambda>: .*it takes x, and is"):
        grad(f, argnums=1)(2, 3.0)
    h = custom_jvp(lambda x: x * 2)
    h.defjvp(lambda primals: primals)
    with pytest.raises(ArgumentTypeError, match=r"the jvp of <lambda>: .*it takes primals, and is"):
        jvp(h, (1.0,), (1.0,))


def test_wrong_fwd() -> None:
    f = custom_vjp(lambda x: x * 2)
    f.defvjp(lambda x: x * 2, lambda _, g: (g,))
    with pytest.raises(GradientError, match="fwd of <lambda> returns a pair"):
        grad(lambda x: np.sum(f(x)))(X)
    f = custom_vjp(lambda x: x * 2)
    f.defvjp(lambda x: ([x, x], None), lambda _, g: (g[0],))
    f(Tensor(X))
    with pytest.raises(ShapeError, match=r"disagree.* gives float64 of shape .3,., and the other"):
        grad(lambda x: np.sum(f(x)[0]))(X)
    f = custom_vjp(lambda x: {1})
    f.defvjp(lambda x: ({1}, None), lambda _, g: (g,))
    with pytest.raises(ArgumentTypeError, match="it returns arrays, or pytrees of them"):
        grad(lambda x: f(x))(X)


def test_no_rule_and_no_function() -> None:
    f = custom_vjp(lambda x: x * 2)
    assert np.array_equal(f(X), 2 * X)
    with pytest.raises(GradientError, match=r"<lambda> has no derivative yet.*defvjp\(fwd, bwd\)"):
        grad(lambda x: np.sum(f(x)))(X)
    with pytest.raises(ArgumentTypeError, match="custom_vjp is of a function, and not of 3"):
        custom_vjp(3)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ArgumentTypeError, match="bwd of <lambda> is a function, and not None"):
        f.defvjp(lambda x: (x, x), None)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(GradientError, match=r"no derivative yet.*defjvp\(rule\)"):
        grad(lambda x: np.sum(custom_jvp(np.sin)(x)))(X)


def test_a_tensor_that_is_no_argument_is_refused() -> None:
    w = Tensor(X, requires_grad=True)
    f = custom_vjp(lambda x: x * w)
    f.defvjp(lambda x: (f.fun(x), x), lambda x, g: (g * w,))
    for call in (lambda: f(Tensor(X)), lambda: grad(lambda x: np.sum(f(x)))(X)):
        with pytest.raises(GradientError, match="requires a gradient, from outside of it"):
            call()
    with pytest.raises(GradientError, match="requires a gradient, from outside of it"):
        minigrad.compile(grad(lambda x: np.sum(f(x))))(X)


def test_a_rule_that_is_no_numpy_has_no_derivative() -> None:
    f = custom_vjp(np.exp)
    f.defvjp(lambda x: (np.exp(x), x), lambda x, g: (g * np.array([math.exp(v) for v in x]),))
    np.testing.assert_allclose(grad(lambda x: np.sum(f(x)))(X), np.exp(X))
    with pytest.raises(UnsupportedError, match="bwd of exp is differentiated itself here"):
        hessian(lambda x: np.sum(f(x)))(X)
    f.defvjp(lambda x: (np.exp(x), np.array([math.exp(v) for v in x])), lambda y, g: (g * y,))
    with pytest.raises(UnsupportedError, match="fwd of exp is differentiated itself here"):
        hessian(lambda x: np.sum(f(x)))(X)


def test_a_second_run_of_fwd_draws_the_same_numbers() -> None:
    rng = np.random.default_rng(0)

    @custom_vjp
    def f(x: Any) -> Any:
        return x**3

    def fwd(x: Any) -> Any:
        mask = np.astype(uniform(rng, 3), float)
        return x**3 * mask, x**2 * mask

    f.defvjp(fwd, lambda needed, g: (g * 3 * needed,))
    draws = np.random.default_rng(0)
    y, pull_back = vjp(grad(lambda x: np.sum(f(x))), X)
    mask = draws.random(3, np.float32)
    np.testing.assert_allclose(y, 3 * X**2 * mask)
    np.testing.assert_allclose(pull_back(np.ones(3))[0], 6 * X * mask)
    assert rng.random() == draws.random()

    other = np.random.default_rng(0)
    f.defvjp(lambda x: (x * (m := other.random(3)), m), lambda m, g: (g * m,))
    with pytest.raises(GradientError, match="gave other numbers than before"):
        hessian(lambda x: np.sum(f(x) ** 2))(X)


# Forward


def sinc() -> Any:
    @custom_jvp
    def f(x: Any, scale: Any) -> Any:
        return {"y": np.sin(x) * scale, "n": np.arange(2)}

    @f.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        (x, scale), (t, s) = primals, tangents
        return f(x, scale), {"y": np.cos(x) * t * scale + np.sin(x) * s, "n": None}

    return f


def test_custom_jvp(on_numpy: None) -> None:
    f = sinc()

    def total(x: Any, scale: Any) -> Any:
        return f(x * scale, scale)["y"] * x

    check_gradients(total, X, 0.7, order=3)
    value, tangent = jvp(total, (X, 0.7), (Y, 1.0))
    expected = jvp(lambda x, s: np.sin(x * s) * s * x, (X, 0.7), (Y, 1.0))
    np.testing.assert_allclose([value, tangent], expected, 1e-13)
    compiled = minigrad.compile(jacobian(total))
    np.testing.assert_allclose(compiled(X, np.array(0.7)), jacobian(total)(X, 0.7), 1e-13)
    outside = jacobian(minigrad.compile(total))
    np.testing.assert_allclose(outside(X, np.array(0.7)), jacobian(total)(X, 0.7), 1e-13)


def test_a_jvp_whose_value_is_no_numpy(on_numpy: None) -> None:
    @partial(custom_jvp, nondiff_argnums=(1,))
    def f(x: Any, name: str) -> Any:
        return np.array([getattr(math, name)(float(v)) for v in x])

    @f.defjvp
    def rule(name: str, primals: Any, tangents: Any) -> Any:
        y = f(primals[0], name)
        return y, y * tangents[0]

    def total(x: Any) -> Any:
        return f(x, "exp")

    check_gradients(total, X, order=3)
    np.testing.assert_allclose(grad(minigrad.compile(lambda x: np.sum(total(x))))(X), np.exp(X))


@pytest.mark.parametrize(
    ("found", "error", "message"),
    [
        (X, GradientError, "returns a pair, the result and its tangent, and this one"),
        ((X, X[:2]), ShapeError, r"tangent of shape \(2,\) for the result, of shape \(3,\)"),
        ((X, np.arange(3)), DtypeError, "int64 for the result"),
        ((X, [X]), ShapeError, r"a list with the leaves \[0\] as the tangent of the result"),
    ],
)
def test_wrong_tangents(found: Any, error: Any, message: str) -> None:
    f = custom_jvp(lambda x: x * 2)
    f.defjvp(lambda primals, tangents: found)
    for derivative in (lambda: grad(lambda x: np.sum(f(x)))(X), lambda: jvp(f, (X,), (X,))):
        with pytest.raises(error, match=f"the jvp of <lambda>.*{message}"):
            derivative()


@pytest.mark.parametrize(
    "tangent",
    [
        lambda x, t: t**2,
        lambda x, t: t * np.sum(t),
        lambda x, t: np.abs(t),
        lambda x, t: np.where(t > 0, t, x * t),
        lambda x, t: t + np.floor(t),
        lambda x, t: t.astype(int) * x,
        lambda x, t: np.median(t) * x,
        lambda x, t: t + x,
    ],
)
def test_a_jvp_that_is_not_linear_in_the_tangents_is_refused(tangent: Any) -> None:
    f = custom_jvp(lambda x: np.sin(x))
    f.defjvp(lambda primals, tangents: (f(*primals), tangent(*primals, *tangents)))
    total = lambda x: np.sum(f(x))  # noqa: E731
    derivatives = [
        lambda: grad(total)(X),
        lambda: jvp(f, (X,), (Y,)),
        lambda: jvp(f, (X,), (Y,)),
        lambda: hessian(total)(X),
        lambda: grad(lambda xs: np.sum(vmap(f)(xs)))(np.stack([X, Y])),
        lambda: vmap(grad(total))(np.stack([X, Y])),
    ]
    if not np.any(tangent(X, 0 * X)):  # of numbers, in a trace, it is not known
        derivatives += [lambda: minigrad.compile(grad(total))(X)]
    for derivative in derivatives:
        with pytest.raises(GradientError, match=r"the jvp of .* is not linear in the tangents"):
            derivative()


@pytest.mark.parametrize(
    "rule",
    [
        lambda g: np.clip(g, -0.75, 0.75),
        lambda g: g / np.sqrt(np.sum(g**2) + 1e-9),
        lambda g: g + 1.0,
    ],
)
def test_a_vjp_that_is_not_linear_is_one_of_reverse_passes_alone(rule: Any) -> None:
    """Its transpose, which is the derivative at the cotangent 0, would be another derivative."""
    unchanged = custom_vjp(lambda x: x * 1.0)
    unchanged.defvjp(lambda x: (x * 1.0, None), lambda _, g: (rule(g),))

    def f(x: Any) -> Any:
        return np.sin(unchanged(x))

    rows = np.stack([rule(row) for row in np.diag(np.cos(X))])
    for wrapped in (lambda f: f, minigrad.compile, lambda f: lambda x: vmap(f)(x[None])[0]):
        np.testing.assert_allclose(wrapped(jacrev(f))(X), rows)
        np.testing.assert_allclose(wrapped(jacobian(f))(X), rows)
        second = jacrev(jacrev(lambda x: np.sum(f(x))))(X)
        np.testing.assert_allclose(wrapped(hessian(lambda x: np.sum(f(x))))(X), second)
        for forward in (lambda x: jvp(f, (x,), (x,)), jacfwd(f)):
            with pytest.raises(GradientError, match=r"bwd of .* is not linear in the cotangent"):
                wrapped(forward)(X)


def test_a_linear_vjp_of_functions_that_are_not_smooth() -> None:
    f = custom_vjp(np.sin)
    f.defvjp(lambda x: (np.sin(x), x), lambda x, g: (np.nan_to_num(g * np.cos(x)),))
    for wrapped in (lambda f: f, minigrad.compile):
        found = wrapped(lambda x: jvp(f, (x,), (Y,))[1])(X)
        np.testing.assert_allclose(found, np.cos(X) * Y)


def test_linear_jvps_that_are_no_products() -> None:
    """By solutions, loops, transforms, indices and zeros."""

    def tangent(x: Any, t: Any) -> Any:
        solved = np.linalg.solve(np.outer(x, x) + np.eye(3), np.pad(t, 1)[1:-1])
        totals = scan(lambda c, u: (c + u, 0.5 * c + u), np.zeros(()), t)[1]
        parts = np.concatenate([t[1:], np.zeros(1)])[np.argsort(x)] + np.zeros_like(t)
        return solved + totals + np.where(x > 1, parts, 2 * t) + jvp(np.sin, (x,), (t,))[1]

    f = custom_jvp(np.sin)
    f.defjvp(lambda primals, tangents: (f(*primals), tangent(*primals, *tangents)))
    expected = np.stack([tangent(X, row) for row in np.eye(3)], 1)
    for matrix in jacfwd(f)(X), jacrev(f)(X), minigrad.compile(jacrev(f))(X):
        np.testing.assert_allclose(matrix, expected, 1e-12)


def test_a_jvp_that_is_no_numpy_in_the_tangents_has_no_transpose() -> None:
    f = custom_jvp(lambda x: x * 2)
    f.defjvp(lambda primals, tangents: (f(primals[0]), np.array([float(t) for t in tangents[0]])))
    with pytest.raises(UnsupportedError, match="the jvp of <lambda> is differentiated itself"):
        grad(lambda x: np.sum(f(x)))(X)


def test_stop_gradient(on_numpy: None) -> None:
    f = lambda x: np.sum(x * stop_gradient({"a": [x**2, 1.0]})["a"][0])  # noqa: E731
    np.testing.assert_allclose(grad(f)(X), X**2)
    np.testing.assert_allclose(hessian(f)(X), np.zeros((3, 3)))
    np.testing.assert_allclose(minigrad.compile(grad(f))(X), X**2)
    np.testing.assert_allclose(grad(minigrad.compile(f))(X), X**2)
    np.testing.assert_allclose(jvp(f, (X,), (Y,))[1], np.sum(X**2 * Y))
    assert stop_gradient(3.0) == 3.0 and stop_gradient(None) is None


# Batches


def ten() -> Any:
    """Functions whose rules are others than their derivatives, to see which is used."""
    f = custom_vjp(np.sin)
    f.defvjp(lambda x: (np.sin(x), (x, 2 * x)), lambda needed, g: (10 * g * needed[1],))
    return f


def seven() -> Any:
    f = custom_jvp(lambda x, w: np.sin(x) * w)
    f.defjvp(lambda p, t: (f(*p), 10 * t[0] * p[0] + 7 * t[1]))
    return f


XS, W = np.array([[0.5, 0.6], [1.0, 2.0], [0.1, 0.2]]), np.array([1.0, 2.0])


def test_the_rule_is_used_inside_and_outside_of_vmap() -> None:
    f = ten()
    for gradient in (
        vmap(grad(lambda x: np.sum(f(x)))),
        grad(lambda xs: np.sum(vmap(f)(xs))),
        grad(lambda xs: np.sum(vmap(vmap(f))(xs))),
        lambda xs: vmap(vjp(f, xs)[1])(np.ones((1, 3, 2)))[0][0],
    ):
        np.testing.assert_allclose(gradient(XS), 20 * XS)
    second = jacobian(lambda xs: vmap(grad(lambda x: np.sum(f(x))))(xs))(XS)
    np.testing.assert_allclose(second, 20 * np.eye(6).reshape(3, 2, 3, 2))
    f = seven()
    for in_axes, w in ((0, None), W), ((0, 0), np.array([W, W, W])):
        inside = vmap(grad(lambda x, w: np.sum(f(x, w)), (0, 1)), in_axes)(XS, w)
        outside = grad(lambda *args, axes=in_axes: np.sum(vmap(f, axes)(*args)), (0, 1))(XS, w)
        np.testing.assert_allclose(inside[0], 10 * XS)
        np.testing.assert_allclose(outside[0], 10 * XS)
        np.testing.assert_allclose(inside[1], np.full((3, 2), 7.0))
        np.testing.assert_allclose(outside[1], np.full(w.shape, 21.0 if w.ndim == 1 else 7.0))
        forward = jvp(lambda xs, w=w, axes=in_axes: vmap(f, axes)(xs, w), (XS,), (XS,))[1]
        np.testing.assert_allclose(forward, 10 * XS**2)


def test_code_that_is_no_numpy_runs_entry_by_entry(on_numpy: None) -> None:
    f = in_c()
    np.testing.assert_allclose(vmap(f)(XS), np.exp(XS))
    np.testing.assert_allclose(vmap(hessian(lambda x: np.sum(f(x))))(XS)[:, 0, 0], np.exp(XS[:, 0]))


SHIFTS = np.array([0.3, 0.5, 0.9])


def test_a_solver_of_scipy_on_batches(on_numpy: None) -> None:
    def of(solve: Any) -> Any:
        one = through_solver(solve)
        return lambda s, y: np.sum(vmap(one, (0, None))(s, y) ** 2)

    f, plain = of(solver()), of(np.linalg.solve)
    for transform in (grad, hessian):
        for by in (0, 1):
            np.testing.assert_allclose(
                transform(f, by)(SHIFTS, Y), transform(plain, by)(SHIFTS, Y), 1e-10, 1e-12
            )
    expected = grad(plain)(SHIFTS, Y)
    np.testing.assert_allclose(minigrad.compile(grad(f))(SHIFTS, Y), expected, 1e-12)
    np.testing.assert_allclose(grad(minigrad.compile(f))(SHIFTS, Y), expected, 1e-12)
    inside = vmap(grad(through_solver(solver())), (0, None))(SHIFTS, Y)
    one = grad(through_solver(np.linalg.solve))
    np.testing.assert_allclose(inside, [one(s, Y) for s in SHIFTS], 1e-12)


def test_nests_on_batches() -> None:
    f = affine()

    def total(f: Any, w: Any, b: Any, x: Any, y: Any) -> Any:
        found = f(Pair(w, {"a": 1.0, "b": b}), [x, y * w], 3)
        return np.sum(found["y"] ** 2) * np.sum(found["z"][0]) + np.sum(found["z"][1])

    axes = 0, None, 0, 0
    args = np.array([0.3, 0.7, 0.1]), 1.5, XS, XS + 1
    found, expected = (
        grad(lambda *args, f=f: np.sum(vmap(partial(total, f), axes)(*args)), (0, 1, 2, 3))(*args)
        for f in (f, f.fun)
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, 1e-12)


def test_explained() -> None:
    """An output of a call is one step, with the rule as its derivative."""
    x = Tensor([0.5, 1.0], requires_grad=True, name="x")
    found = minigrad.explain(np.sum(softplus()(x * 2) * x))
    assert "w3 = f(w2) = [1.313, 2.127]" in str(found)
    assert "dz/dw2 = (dz/dw3)/(1 + exp(-w2)) = [0.3655, 0.8808]" in str(found)
    assert "w4 <- w3 <- w2 <- x: of size 1.907" in str(found.paths("x"))
    found.to_dict()
    with pytest.raises(UnsupportedError, match=r"value that f depends on.* check_gradients"):
        found.check("x")
    w = Tensor(2.0, requires_grad=True, name="w")
    outputs = affine()(Pair(w, {"a": 1.0, "b": 1.0}), [x, x * 2], 2)
    found = minigrad.explain(np.sum(outputs["y"] * outputs["z"][0]))
    assert "w4 = f(w2, w1, w3) = [1.5, 3]" in str(found) and "dz/dw = 4.5" in str(found)


def test_what_is_given_is_not_to_be_written_into() -> None:
    def written(x: Any) -> Any:
        x *= 2
        return x

    f = custom_vjp(lambda x: written(x))
    f.defvjp(lambda x: (x * 2, x), lambda x, g: (written(g),))
    x = X.copy()
    with pytest.raises(ArgumentError, match="<lambda> writes into an array that it is given"):
        f(Tensor(x))
    with pytest.raises(ArgumentError, match="bwd of <lambda> writes into an array that it is giv"):
        grad(lambda x: np.sum(f(x)))(x)
    assert np.array_equal(x, X)


def test_two_arguments_that_share_an_array_are_two(on_numpy: None) -> None:
    f = custom_vjp(lambda x, y: x**2 * y**3)

    def bwd(needed: Any, g: Any) -> Any:
        x, y = needed
        return 2 * x * y**3 * g, 3 * x**2 * y**2 * g

    f.defvjp(lambda x, y: (x**2 * y**3, (x, y)), bwd)
    for g in (f, f.fun):
        total = lambda x, g=g: np.sum(g(x, stop_gradient(x)) + g(x, x))  # noqa: E731
        np.testing.assert_allclose(grad(total)(X), 2 * X**4 + 5 * X**4)
        np.testing.assert_allclose(hessian(total)(X), np.diag(2 * X**3 + 20 * X**3))
        np.testing.assert_allclose(minigrad.compile(hessian(total))(X), np.diag(22 * X**3))
        second = vmap(lambda x, t=total: hessian(t)(x[None])[0, 0])(X)
        np.testing.assert_allclose(second, 22 * X**3)


def test_a_second_derivative_of_a_batch_by_what_fwd_computed() -> None:
    f = custom_vjp(lambda x: np.sin(x) * x)
    f.defvjp(
        lambda x: (np.sin(x) * x, (x, np.cos(x), np.sin(x))),
        lambda needed, g: (g * (needed[1] * needed[0] + needed[2]),),
    )
    one, other = (hessian(lambda xs, g=g: np.sum(vmap(g)(xs) ** 2))(XS) for g in (f, f.fun))
    np.testing.assert_allclose(one, other, 1e-12, 1e-14)


def test_one_array_for_two_arguments_between_compiled_parts() -> None:
    @custom_vjp
    def f(x: Any, y: Any) -> Any:
        return y, np.array([float(v) for v in x])

    f.defvjp(lambda x, y: (f(x, y), None), lambda _, g: (g[1], g[0]))
    step = minigrad.compile(lambda x, y: np.sum(f(x, y)[0] * 2 + f(x, y)[1]))
    x = np.array([1.0, 2.0])
    assert step(x, x + 1) == 13
    assert step(x, x) == 9


def test_arguments_with_defaults() -> None:
    """Rules are given all arguments, as in JAX."""

    @custom_vjp
    def f(x: Any, y: Any = 2.0) -> Any:
        return x * y

    f.defvjp(lambda x, y: (x * y, (x, y)), lambda r, g: (10 * g * r[1], 10 * g * r[0]))
    assert grad(f)(3.0) == 20
    assert grad(lambda x: f(x, y=5.0))(3.0) == 50
    assert grad(lambda y: f(y=y, x=3.0))(1.0) == 30


def test_rules_for_each_argument() -> None:
    @custom_jvp
    def f(x: Any, y: Any) -> Any:
        return x**2 * y

    f.defjvps(lambda t, y, a, b: 2 * a * b * t, None)
    assert grad(f, (0, 1))(2.0, 3.0) == (12, 0)
    assert jvp(f, (2.0, 3.0), (1.0, 1.0)) == (12, 12)
    f.defjvps(None, None)
    assert grad(f)(2.0, 3.0) == 0
    f.defjvps(None)
    with pytest.raises(ArgumentError, match="was given 1 parts, for 2 arguments: there is one for"):
        grad(f)(2.0, 3.0)
    with pytest.raises(ArgumentError, match="has nondiff_argnums: use defjvp"):
        custom_jvp(f.fun, nondiff_argnums=(0,)).defjvps(None)


def test_the_tangent_of_integers_may_be_any() -> None:
    @custom_jvp
    def f(x: Any) -> Any:
        return x * 2, np.argmax(x)

    for zero in (None, np.zeros((), int)):
        f.defjvp(lambda primals, tangents, zero=zero: (f(*primals), (2 * tangents[0], zero)))
        for call in (lambda f: f, minigrad.compile):
            np.testing.assert_array_equal(call(grad(lambda x: np.sum(f(x)[0])))(np.ones(2)), [2, 2])


def test_a_result_that_depends_on_nothing_compiled() -> None:
    @custom_vjp
    def f(x: Any) -> Any:
        return np.array([float(v) for v in x])

    f.defvjp(lambda x: (f(x), None), lambda _, g: (g,))
    step = minigrad.compile(grad(lambda x: np.sum(f(x))))
    assert step(np.zeros(0)).shape == (0,)


class Box:
    def __init__(self, x: Any) -> None:
        self.x = x


def with_object(x: Any) -> Any:
    return x**3, Box(3 * x**2)


def with_pull_back(x: Any) -> Any:
    return vjp(lambda x: x**3, x)


RULES: dict[str, Any] = {
    "an object": (with_object, lambda box, g: (g * box.x,)),
    "a pull-back": (with_pull_back, lambda pull_back, g: pull_back(g)),
}


@pytest.mark.parametrize("rule", RULES)
def test_what_bwd_needs_may_hold_arrays_in_it(rule: str, on_numpy: None) -> None:
    """In objects, of which nobody knows what is in them, and in functions."""
    f = custom_vjp(lambda x: x**3)
    f.defvjp(*RULES[rule])
    total = lambda x: np.sum(f(x))  # noqa: E731
    of_batch = lambda x: np.sum(vmap(f)(x))  # noqa: E731
    x, compiled = np.array([1.0, 2.0]), minigrad.compile(total)
    for y in (x, 3 * x):
        for gradient in (
            grad(total),
            grad(compiled),
            minigrad.compile(grad(total)),
            grad(of_batch),
        ):
            np.testing.assert_allclose(gradient(y), 3 * y**2)
        for function in (total, compiled, of_batch):
            np.testing.assert_allclose(hessian(function)(y), np.diag(6 * y))
        np.testing.assert_allclose(minigrad.compile(hessian(total))(y), np.diag(6 * y))
    np.testing.assert_allclose(grad(grad(grad(f)))(2.0), 6)


def test_a_complex_cotangent_of_a_real_argument() -> None:
    f = custom_vjp(lambda x: 2 * x)
    f.defvjp(lambda x: (2 * x, None), lambda _, g: (g * 2j,))
    with pytest.raises(DtypeError, match="gave complex numbers for argument 0, which is"):
        grad(f)(1.0)


@pytest.mark.parametrize("custom", [custom_vjp, custom_jvp])
def test_settings_without_a_function_are_explained(custom: Any) -> None:
    with pytest.raises(ArgumentTypeError, match=rf"partial\({custom.__name__}, nondiff_argnums="):
        custom(nondiff_argnums=(0,))


@pytest.mark.parametrize("custom", [custom_vjp, custom_jvp])
def test_a_tensor_from_outside_is_refused_where_nothing_is_differentiated(custom: Any) -> None:
    w = Tensor(2.0, requires_grad=True)
    with pytest.raises(GradientError, match="pass that Tensor as an argument"):
        custom(lambda x: x * w)(1.0)
    with no_grad():
        assert custom(lambda x: x * w)(1.0) == 2.0


def test_an_empty_batch_of_code_that_is_not_numpy_has_the_shapes_of_made_up_numbers() -> None:
    @custom_vjp
    def trace(a: Any, scale: Any) -> Any:
        return float(scale) * np.array([float(a[0, 0]), float(a[1, 1])], np.float32), a

    trace.defvjp(
        lambda a, scale: (trace.fun(a, scale), None),
        lambda _, g: (g[1] + np.diag(np.asarray(g[0], float)), None),
    )
    first, same = vmap(trace, in_axes=(0, None))(np.zeros((0, 2, 2)), 2.0)
    assert (first.shape, first.dtype, same.shape) == ((0, 2), np.float32, (0, 2, 2))
    total = grad(lambda a: sum(np.sum(x) for x in vmap(trace, in_axes=(0, None))(a, 2.0)))
    assert total(np.zeros((0, 2, 2))).shape == (0, 2, 2)

    def of_batches(a: Any) -> Any:
        return np.sum(vmap(vmap(lambda a: trace(a, 2.0)[0]))(a))

    assert grad(of_batches)(np.zeros((3, 0, 2, 2))).shape == (3, 0, 2, 2)
    assert minigrad.compile(of_batches)(np.zeros((0, 3, 2, 2))) == 0.0


def squares_one_by_one() -> Any:
    f = custom_vjp(lambda x: np.array([float(v) ** 2 for v in x]))

    def bwd(x: Any, g: Any) -> Any:
        return (np.array([2 * float(v) * float(w) for v, w in zip(x, g, strict=True)]),)

    f.defvjp(lambda x: (f.fun(x), x), bwd)
    return f


def test_between_the_parts_of_a_compiled_loop_that_reads_from_outside(on_numpy: None) -> None:
    """Its body is traced several times, and each finds the ops of the others again."""
    f = squares_one_by_one()

    def total(k: Any) -> Any:
        return np.sum(scan(lambda y, _: (f(y * k), None), X[:2], length=2)[0])

    slope = 6 * 0.5**5 * np.sum(X[:2] ** 4)  # of the sum of k**6 x**4
    for derivative in (grad(total), minigrad.compile(grad(total)), jacrev(minigrad.compile(total))):
        np.testing.assert_allclose(derivative(np.array(0.5)), slope)


def test_jacobians_are_by_rows_where_bwd_is_not_numpy(on_numpy: None) -> None:
    f, rows = squares_one_by_one(), np.diag(2 * X)
    np.testing.assert_allclose(jacobian(f)(X), rows)
    for by_rows in (
        jacobian(f),
        jacrev(f),
        lambda x: vmap(jacobian(f))(x[None])[0],
        lambda x: vmap(lambda g: vjp(f, x)[1](g)[0])(np.eye(3)),
    ):
        np.testing.assert_allclose(minigrad.compile(by_rows)(X), rows)
    with pytest.raises(UnsupportedError, match="to transpose a jvp"):
        jacfwd(f)(X)


def test_errors_of_a_function_between_compiled_parts_are_its_own(on_numpy: None) -> None:
    class OutOfRangeError(ValueError):
        pass

    @custom_vjp
    def f(x: Any) -> Any:
        if float(x[0]) > 10:
            raise OutOfRangeError("it is too hot")
        return np.array([float(v) ** 2 for v in x])

    compiled = minigrad.compile(lambda x: f(x) * 2)
    np.testing.assert_allclose(compiled(X), 2 * X**2)
    with pytest.raises(OutOfRangeError, match=r"^it is too hot$"):
        compiled(X + 10)


def test_what_stop_gradient_does_not_see_into_is_refused() -> None:
    @dataclass
    class State:
        x: Any

    with pytest.raises(ArgumentTypeError, match="of a Linear, whose parameters it would not stop"):
        stop_gradient([nn.Linear(2, 1)])
    with pytest.raises(ArgumentTypeError, match=r"of a State.*a dataclass is not a pytree"):
        stop_gradient(State(X))


@custom_vjp
def halved(x: Any) -> Any:
    return x / 2


def test_pickled_and_copied_by_name() -> None:
    assert pickle.loads(pickle.dumps(halved)) is copy.deepcopy([halved])[0] is halved
    assert copy.deepcopy(softplus())(0.0) == np.log(2)


def test_positions_of_constant_arguments() -> None:
    f = custom_vjp(lambda *given: np.prod(given), 1)
    f.defvjp(lambda x, s: (x * s, None), lambda s, _, g: (g * s,))
    assert grad(f)(1.0, 3.0) == 3.0
    with pytest.raises(GradientError, match=r"nondiff_argnums=\(1,\), of 1 positional"):
        f(1.0)
