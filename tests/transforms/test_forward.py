"""Forward mode: jvp and linearize, which agree with reverse mode for every op."""

from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, custom_vjp, grad, hessian, jvp, linearize, vjp, vmap
from minigrad.errors import ArgumentTypeError, DtypeError, GradientError, ShapeError
from minigrad.ops.base import Op, registry
from minigrad.transforms.calls import call_node
from minigrad.transforms.trees import flat, map_tree
from tests import calls
from tests.calls_rest import REST
from tests.draw import SAMPLES, Sample
from tests.ops.test_complex import COMPLEX, turned

X = np.array([0.5, -1.0, 2.0])
Z = np.array([1 + 2j, -0.5 + 0.3j, 0.7 - 1.1j])


def same(got: Any, expected: Any) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


def numbers_like(x: Any, seed: float = 0.0) -> Any:
    """Numbers of the same shape and dtype, near 1, none equal."""
    waves = 1 + 0.5 * np.cos(seed + np.arange(1, np.size(x) + 1)).reshape(np.shape(x))
    dtype = np.asarray(x).dtype
    return (waves * np.exp(1j * seed + 0.7j * waves) if dtype.kind == "c" else waves).astype(dtype)


def inner(u: Any, v: Any) -> Any:
    """The product by which vjps are transposes: Re(u * v), summed over all leaves."""
    pairs = zip(flat(u), flat(v), strict=True)
    return sum(np.sum(np.real(a * b)) for a, b in pairs)


def agrees(f: Any, args: Any, rtol: float = 1e-9, second: bool = True) -> None:
    """f's jvp is the transpose of its vjp; and so are the gradients of both products."""
    tangents = tuple(map(numbers_like, args))

    def forward(*args: Any) -> Any:
        y, t = jvp(f, args, tangents)
        return inner(map_tree(lambda x: numbers_like(x.data, 1.0), y), t)

    def backward(*args: Any) -> Any:
        y, pull_back = vjp(f, *args)
        return inner(pull_back(map_tree(lambda x: numbers_like(x.data, 1.0), y)), tangents)

    y, t = jvp(f, args, tangents)
    u = map_tree(lambda x: numbers_like(x, 1.0), y)
    found = vjp(f, *args)[1](u)
    atol = rtol * (1 + abs(inner(u, map_tree(np.abs, t))))
    assert [(x.shape, x.dtype) for x in flat(t)] == [(x.shape, x.dtype) for x in flat(y)]
    np.testing.assert_allclose(inner(u, t), inner(found, tangents), rtol, atol)
    if second:
        every = tuple(range(len(args)))
        for g, h in zip(grad(forward, every)(*args), grad(backward, every)(*args), strict=True):
            np.testing.assert_allclose(g, h, 100 * rtol, 100 * atol)


def of_floats(sample: Sample, arrays: list[Any]) -> tuple[Any, list[Any]]:
    """An op as a function of those inputs that carry a gradient, and these."""
    places = [
        k for k, x in enumerate(arrays) if x.dtype.kind in "fc" and sample.op.vjps[k] is not None
    ]

    def f(*xs: Any) -> Any:
        inputs = list(arrays)
        for k, x in zip(places, xs, strict=True):
            inputs[k] = x
        return sample.op(*inputs, **sample.attributes)

    return f, [arrays[k] for k in places]


BY_OP: dict[str, list[Sample]] = {}
for each in SAMPLES.values():
    if each.op.vjps and any(isinstance(x, tuple) for x in each.inputs):
        BY_OP.setdefault(each.op.name, []).append(each)


@pytest.mark.parametrize("name", BY_OP)
def test_forward_is_reverse_for_every_op(name: str) -> None:
    for sample in BY_OP[name]:
        agrees(*of_floats(sample, sample.arrays()))
        singles = [x.astype(np.float32) if x.dtype == float else x for x in sample.arrays()]
        agrees(*of_floats(sample, singles), rtol=1e-3, second=False)


def on_complex(name: str) -> list[Any]:
    """The calls of an op that it takes with complex numbers."""
    found = []
    for sample in BY_OP[name]:
        arrays = [turned(x) if x.dtype == float else x for x in sample.arrays()]
        try:
            sample.op.forward(*arrays, **sample.attributes)
        except (TypeError, ValueError, np.exceptions.ComplexWarning):
            continue
        found.append(of_floats(sample, arrays))
    return found


# Vectors may be turned by any phase, so they have a derivative only in functions that do not see
# these. There is one of their own below.
ANY_PHASE = {"qr", "svd", "eigh", "eig"}


@pytest.mark.parametrize("name", [name for name in BY_OP if name not in ANY_PHASE])
def test_forward_is_reverse_for_complex_numbers(name: str) -> None:
    for f, args in on_complex(name):
        agrees(f, args)


def projector(v: Any) -> Any:
    return v[..., :1] @ np.conj(v[..., :1]).swapaxes(-1, -2)


MATRIX = turned(calls.ROOT)
INVARIANT: dict[str, Any] = {
    "qr": lambda a: projector(np.linalg.qr(a)[0]),
    "svd": lambda a: projector(np.linalg.svd(a)[0]),
    "eigh": lambda a: projector(np.linalg.eigh(a + np.conj(a.T))[1]),
    "eig": lambda a: np.linalg.eig(a)[0],
}


@pytest.mark.parametrize("f", INVARIANT.values(), ids=list(INVARIANT))
def test_forward_is_reverse_where_vectors_may_be_turned_by_any_phase(f: Any) -> None:
    agrees(f, [MATRIX], 1e-7)


@pytest.mark.parametrize("jacobian", ["symmetric", "rows", "constant", "multilinear"])
def test_a_wrong_structure_of_a_jacobian_is_found(jacobian: Any) -> None:
    def rule(g: Any, y: Any, x: Any, axis: int, keepdims: bool) -> Any:
        return np.flip(np.cumsum(np.flip(g), axis=axis)) * 2 * x

    of_squares = Op(
        "reduce",
        "cumsum of squares",
        lambda x, axis, keepdims: np.cumsum(x * x, axis=axis),
        (rule,),
        "cumsum({0}**2)",
        jacobian=jacobian,
    )
    try:
        with pytest.raises((AssertionError, ShapeError)):
            agrees(lambda x: of_squares(x, axis=0, keepdims=False), [X])
    finally:
        del registry["cumsum of squares"]


TABLES = calls.NUMPY | calls.LINALG | calls.OWN | REST


@pytest.mark.slow
@pytest.mark.parametrize(("f", "arrays"), TABLES.values(), ids=list(TABLES))
def test_forward_is_reverse_for_every_call(f: Any, arrays: Any) -> None:
    agrees(f, arrays, 1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(("f", "arrays"), COMPLEX.values(), ids=list(COMPLEX))
def test_forward_is_reverse_for_every_complex_call(f: Any, arrays: Any) -> None:
    agrees(f, arrays, 1e-7)


# linearize


def test_linearize_runs_the_function_once() -> None:
    runs = []

    def f(x: Any, y: Any) -> Any:
        runs.append(1)
        return {"product": x * y, "sum": [np.sum(x), 2.0]}

    y, push = linearize(f, X, 3.0)
    same(y["product"], 3 * X)
    for tangents in ((np.ones(3), 0.0), (np.zeros(3), 1.0), (X, 2.0)):
        t = push(*tangents)
        same(t["product"], 3 * tangents[0] + X * tangents[1])
        same(t["sum"], [np.sum(tangents[0]), 0.0])
        assert type(t["product"]) is np.ndarray and type(t["sum"][0]) is np.float64
    assert len(runs) == 1


def test_linearize_with_aux_and_what_it_returns_may_be_written_into() -> None:
    y, push, aux = linearize(lambda x: (np.exp(x), "aux"), X, has_aux=True)
    y[...] = 0
    t = push(np.ones(3))
    same(t, np.exp(X))
    t[...] = 0
    same(push(np.ones(3)), np.exp(X))
    assert aux == "aux"
    _, push = linearize(lambda x: x, X)
    tangent = np.ones(3)
    push(tangent)[...] = 5
    same(tangent, 1)


def test_the_derivative_of_linearize_is_differentiated_in_turn() -> None:
    def slope(x: Any) -> Any:
        return linearize(lambda y: np.sin(y * x), 2.0)[1](1.0)  # x cos(2 x)

    same(grad(slope)(0.3), np.cos(0.6) - 0.6 * np.sin(0.6))
    push = linearize(lambda x: x**3, X)[1]
    same(vjp(push, X)[1](X)[0], 3 * X**3)
    same(linearize(push, X)[1](np.ones(3)), 3 * X**2)


def test_linearize_outside_and_its_derivative_inside_of_a_transform() -> None:
    push = linearize(lambda x: np.sum(x**3), X)[1]
    same(grad(push)(X), 3 * X**2)
    same(hessian(lambda v: push(v) ** 2)(X), 2 * np.outer(3 * X**2, 3 * X**2))


def test_float32_integers_and_constants() -> None:
    x = X.astype(np.float32)
    t = jvp(lambda x: (x * 2.5, np.argmax(x), np.float64(3.0), x.astype(float)), (x,), (x,))[1]
    assert [z.dtype for z in t] == [np.float32, np.float64, np.float64, np.float64]
    same(t[1:3], (0, 0))
    same(jvp(lambda x: x * np.arange(3), (X,), (np.ones(3),))[1], np.arange(3))
    same(jvp(lambda x: x * x, (X,), (np.array([1, 0, 2]),))[1], 2 * X * [1, 0, 2])


def test_under_no_grad_nothing_is_recorded() -> None:
    w = Tensor(2.0, requires_grad=True)
    with minigrad.no_grad():
        y, t = jvp(lambda x: np.sin(w * x), (0.3,), (1.0,))
    assert type(y) is type(t) is np.float64
    same(t, 2 * np.cos(0.6))
    t = jvp(lambda x: np.sin(w * x), (0.3,), (1.0,))[1]
    t.backward()
    same(w.grad, np.cos(0.6) - 0.6 * np.sin(0.6))


def test_a_tangent_that_requires_a_gradient() -> None:
    v = Tensor(X, requires_grad=True)
    t = jvp(np.sin, (X,), (v,))[1]
    np.sum(t * t).backward()
    same(v.grad, 2 * X * np.cos(X) ** 2)


def test_of_tensors() -> None:
    t = jvp(lambda x: x * x, (Tensor(X),), (np.ones(3),))[1]
    assert isinstance(t, Tensor) and not t.requires_grad
    same(t.data, 2 * X)


def test_compiled_inside_and_outside() -> None:
    def f(x: Any) -> Any:
        return {"a": np.tanh(x) * np.sum(x), "b": np.max(x * x)}

    expected = jvp(f, (X,), (np.ones(3),))[1]
    compiled = minigrad.compile(f)
    for got in (
        jvp(compiled, (X,), (np.ones(3),))[1],
        minigrad.compile(lambda x, v: jvp(f, (x,), (v,))[1])(X, np.ones(3)),
        minigrad.compile(lambda x, v: jvp(compiled, (x,), (v,))[1])(X, np.ones(3)),
        minigrad.compile(lambda x, v: linearize(f, x)[1](v))(X, np.ones(3)),
    ):
        same(got["a"], expected["a"])
        same(got["b"], expected["b"])


def sine(x: Any, push: Any = None) -> list[Tensor]:
    """sin(x) and its square, by one call."""
    x = x if isinstance(x, Tensor) else Tensor(x)

    def pull_back(sent: Any, inputs: Any, kept: Any) -> Any:
        slope = sum(g * (1 if k == 0 else 2 * np.sin(inputs[0])) for k, g in sent.items())
        return [slope * np.cos(inputs[0])]

    return call_node("sine", [x], [np.sin(x.data), np.sin(x.data) ** 2], pull_back, push=push)


def test_calls_by_transposing_their_pull_back() -> None:
    agrees(sine, [X])
    agrees(lambda x: sine(x)[1], [X])
    agrees(lambda x: sine(sine(x * 2)[1] + x)[0], [X])
    same(jvp(lambda x: sine(x)[0], (X,), (X,))[1], X * np.cos(X))


def test_calls_by_a_rule_of_their_own() -> None:
    seen = []

    def push(given: Any, inputs: Any, kept: Any) -> Any:
        seen.append(given)
        return [given[0] * np.cos(inputs[0]), None]

    same(jvp(lambda x: sine(x, push)[0], (X,), (X,))[1], X * np.cos(X))
    same(jvp(lambda x: sine(x, push)[1], (X,), (X,))[1], 0)
    assert len(seen) == 2


def test_a_call_whose_rule_reads_its_result() -> None:
    exp = custom_vjp(lambda x: np.exp(x))
    exp.defvjp(lambda x: (exp.fun(x),) * 2, lambda y, g: (g * y,))
    agrees(lambda x: exp(np.sin(x)) * x, [X])
    same(jvp(grad(lambda x: np.sum(exp(x) * x)), (X,), (X,))[1], (X + 2) * np.exp(X) * X)
    same(hessian(lambda x: np.sum(exp(x) * x))(X), np.diag((X + 2) * np.exp(X)))


def test_what_was_written_into_since_is_refused() -> None:
    w = Tensor(X.copy(), requires_grad=True)
    with minigrad.no_grad():
        _, push = linearize(lambda x: x * w, X)
        w[0] = 5.0
    with pytest.raises(GradientError, match="has been written into since"):
        push(np.ones(3))


MISUSES: dict[str, Any] = {
    "shape": (lambda: jvp(np.sin, (X,), (np.ones(2),)), ShapeError, r"\(2,\).*\(3,\)"),
    "count": (lambda: linearize(np.sin, X)[1](X, X), ShapeError, "structure of the arguments"),
    "complex": (lambda: jvp(np.sin, (X,), (Z,)), DtypeError, "complex"),
    "integers": (lambda: linearize(np.sin, np.arange(3)), DtypeError, "integers"),
}


@pytest.mark.parametrize(("call", "error", "match"), MISUSES.values(), ids=list(MISUSES))
def test_misuses(call: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def test_push_forwards_and_pull_backs_are_compiled() -> None:
    """They hold what their function has recorded."""
    x, t = np.array([0.5, 1.0]), np.array([1.0, 2.0])
    for f in (np.sin, minigrad.compile(np.sin)):
        _, push = linearize(f, x)
        np.testing.assert_allclose(minigrad.compile(push)(t), np.cos(x) * t)
        np.testing.assert_allclose(minigrad.compile(vmap(push))(np.eye(2)), np.diag(np.cos(x)))
        _, pull_back = vjp(f, x)
        np.testing.assert_allclose(minigrad.compile(pull_back)(t)[0], np.cos(x) * t)
        gradient = minigrad.compile(grad(lambda g, back=pull_back: np.sum(back(g)[0] ** 2)))(t)
        np.testing.assert_allclose(gradient, 2 * np.cos(x) ** 2 * t)


def test_wrong_primals_and_tangents() -> None:
    x = np.ones(2)
    with pytest.raises(ArgumentTypeError, match=r"jvp: primals are a tuple, .* not float64 array"):
        jvp(np.sin, x, x)  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError, match=r"jvp: tangents are a tuple"):
        jvp(np.sin, (x,), x)  # type: ignore[arg-type]
    with pytest.raises(
        ShapeError, match="tangents must have the pytree structure of the arguments"
    ):
        jvp(np.sin, (x,), (x, x))
    with pytest.raises(
        ShapeError, match="a cotangent must have the pytree structure of the output"
    ):
        vjp(lambda x: (x, x), x)[1](x)
    with pytest.raises(GradientError, match="single value, and this one returned nothing"):
        grad(lambda x: None)(x)
