"""Compiled functions under every transform, and under backward(): the same as without."""

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, grad, hessian, hvp, jacobian, jvp, nn, no_grad, optim, vjp
from minigrad import functional as F
from minigrad.compiler import compile
from minigrad.compiler import jit as compiled
from minigrad.compiler.graph.simplify import simplify
from minigrad.compiler.jit import Compiled
from minigrad.compiler.runtime.interpreter import NumpyProgram
from minigrad.errors import TraceError, UnsupportedError
from minigrad.ops.base import Op
from minigrad.transforms import value_and_grad
from minigrad.transforms.trees import leaves_of

pytestmark = pytest.mark.unoptimized

X = np.array([0.5, 1.0, 2.0])
C = np.array([3.0, -1.0, 0.5])


@pytest.fixture
def on_numpy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is compiled is run by NumPy, op by op: no compiler takes its time."""
    monkeypatch.setattr(
        compiled, "begin_build", lambda graph: lambda: NumpyProgram(simplify(graph))
    )
    yield


def agree(found: Any, expected: Any) -> None:
    (one, two) = leaves_of(found), leaves_of(expected)
    assert [at for at, _ in one] == [at for at, _ in two]
    for (_, x), (_, y) in zip(one, two, strict=True):
        x, y = (t.data if isinstance(t, Tensor) else t for t in (x, y))
        np.testing.assert_allclose(x, y, 1e-6, 1e-9)


# x -> y elementwise, its first and its second derivative, by hand.
FUNCTIONS: dict[str, tuple[Callable[..., Any], ...]] = {
    "cube": (lambda x: x**3, lambda x: 3 * x**2, lambda x: 6 * x),
    "itself": (lambda x: x, lambda x: 1 + 0 * x, lambda x: 0 * x),
    "a view of itself": (
        lambda x: np.reshape(np.reshape(x, (3, 1)), 3),
        lambda x: 1 + 0 * x,
        lambda x: 0 * x,
    ),
    "a constant": (lambda x: C, lambda x: 0 * x, lambda x: 0 * x),
    "sine": (np.sin, np.cos, lambda x: -np.sin(x)),
    "written into": (
        lambda x: np.stack([written(x)[k] for k in range(3)]),
        lambda x: np.array([4 * x[0], 2 * x[1], 2 * x[2]]),
        lambda x: np.array([4.0, 2.0, 2.0]),
    ),
    "partly detached": (lambda x: x.detach() * x, lambda x: x, lambda x: 0 * x),
}


def written(x: Any) -> Any:
    y = x * x
    y[0] = 2 * y[0]
    return y


def by_backward(f: Any, x: np.ndarray, g: np.ndarray) -> Any:
    t = Tensor(x, requires_grad=True)
    y = f(t) * Tensor(1.0)
    if not y.requires_grad:
        return np.zeros(3)
    y.backward(g)
    return t.grad


def under_no_grad(f: Any, x: np.ndarray, g: np.ndarray) -> Any:
    with no_grad():
        return vjp(f, x)[1](g)[0]


FIRST: dict[str, Callable[..., Any]] = {
    "grad": lambda f, x, g: grad(lambda x: np.sum(f(x) * g))(x),
    "vjp": lambda f, x, g: vjp(f, x)[1](g)[0],
    "jvp": lambda f, x, g: jvp(f, (x,), (g,))[1],
    "jacobian": lambda f, x, g: g @ jacobian(f)(x),
    "backward": by_backward,
    "no_grad": under_no_grad,
    "compiled": lambda f, x, g: compile(grad(lambda x: np.sum(f(x) * g)))(x),
    "compiled inside and outside": lambda f, x, g: compile(
        lambda x: vjp(f, x)[1](np.asarray(g))[0]
    )(x),
    "not by the first": lambda f, x, g: grad(lambda a, x: np.sum(a * f(x) * g), 1)(1.0, x),
}
SECOND: dict[str, Callable[..., Any]] = {
    "hvp": lambda f, x, v: hvp(lambda x: np.sum(f(x)))(x, v),
    "hessian": lambda f, x, v: hessian(lambda x: np.sum(f(x)))(x) @ v,
    "grad of grad": lambda f, x, v: grad(lambda x: grad(lambda x: np.sum(f(x)))(x) @ v)(x),
    "jvp of grad": lambda f, x, v: jvp(grad(lambda x: np.sum(f(x))), (x,), (v,))[1],
    "create_graph": lambda f, x, v: by_create_graph(f, x, v),
}


def by_create_graph(f: Any, x: np.ndarray, v: np.ndarray) -> Any:
    t = Tensor(x, requires_grad=True)
    y = (f(t) * Tensor(1.0)).sum()
    if not y.requires_grad:
        return np.zeros(3)
    y.backward(create_graph=True)
    g, t.grad = t.grad, None
    if g.requires_grad:
        (g * v).sum().backward()
    return np.zeros(3) if t.grad is None else t.grad


@pytest.mark.parametrize("transform", FIRST)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_first_derivative(name: str, transform: str, on_numpy: None) -> None:
    f, slope, _ = FUNCTIONS[name]
    agree(FIRST[transform](compile(f), X, C), C * slope(X))


@pytest.mark.parametrize("transform", SECOND)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_second_derivative(name: str, transform: str, on_numpy: None) -> None:
    f, _, curvature = FUNCTIONS[name]
    agree(SECOND[transform](compile(f), X, C), C * curvature(X))


@pytest.mark.parametrize("transform", ["vjp", "backward"])
def test_a_first_derivative_in_c(transform: str) -> None:
    f, slope, _ = FUNCTIONS["sine"]
    agree(FIRST[transform](compile(f), X, C), C * slope(X))


def test_a_third_derivative_in_c() -> None:
    agree(grad(grad(grad(compile(lambda x: x**4))))(2.0), 48.0)


def test_both_passes_run_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    f = compile(lambda x: np.sum(np.tanh(x)))
    df, slow = grad(f), []
    df(X)
    apply, general_call = Op.__call__, Compiled.general_call

    def applied(op: Op, *inputs: Any, **how: Any) -> Any:
        slow.append(op.name)
        return apply(op, *inputs, **how)

    def called(*args: Any, **kwargs: Any) -> Any:
        slow.append("a call that is not quick")
        return general_call(*args, **kwargs)

    monkeypatch.setattr(Op, "__call__", applied)
    monkeypatch.setattr(Compiled, "general_call", called)
    agree(df(2 * X), 1 - np.tanh(2 * X) ** 2)
    assert not {"tanh", "a call that is not quick"} & {*slow}


# What goes in and what comes out


def nested(p: Any, *, scale: float) -> Any:
    a, b = p["ab"]
    return {"y": (a * b * scale, np.argmax(p["c"])), "c": p["c"], "n": 3, "twice": [b, b]}


def test_nests_auxiliary_and_integer_outputs_and_keywords(on_numpy: None) -> None:
    p = {"ab": [X, C], "c": 2 * X}

    def f(p: Any) -> Any:
        out = compile(nested)(p, scale=2.0)
        assert out["n"] == 3 and out["y"][1].dtype.kind == "i"
        return (out["y"][0] + out["twice"][0] * 3 + out["twice"][1]).sum() + out["c"][0], out

    (_, aux), g = value_and_grad(f, has_aux=True)(p)
    agree(g, {"ab": [2 * C, 2 * X + 4], "c": np.array([1, 0, 0])})
    agree(aux["c"], 2 * X)


def test_arguments_that_are_unused_the_same_or_not_floats(on_numpy: None) -> None:
    f = compile(lambda a, b, unused, k: np.sum(a[k] * np.exp(b)[k]))
    k = np.array([0, 0, 2])
    agree(grad(f, argnums=(0, 2))(X, X, X, k), (np.exp(X) * [2, 0, 1], 0 * X))
    agree(grad(lambda x: f(x, x, x, k))(X), np.exp(X) * (1 + X) * [2, 0, 1])


def test_an_argument_that_only_orders_or_compares(on_numpy: None) -> None:
    """An input of the call that its way back needs and that no output has a derivative by."""
    f = compile(lambda a, b: np.sum(np.where(b > 1, a, 0) * a[np.argsort(b)]))
    plain = lambda a, b: np.sum(np.where(b > 1, a, 0) * a[np.argsort(b)])  # noqa: E731
    agree(grad(f, (0, 1))(X, C), (grad(plain)(X, C), 0 * X))
    both = lambda f, x: grad(lambda x: f(x, x * C))(x)  # noqa: E731
    agree(grad(lambda x: np.sum(both(f, x) * X))(X), grad(lambda x: np.sum(both(plain, x) * X))(X))


def test_several_outputs_that_meet_again(on_numpy: None) -> None:
    """As the state of a recurrent network; the way back is one call for each call."""

    def f(h: Any, c: Any) -> Any:
        return np.tanh(h + c), h * c

    def loop(f: Any) -> Any:
        def run(h: Any, c: Any) -> Any:
            for _ in range(3):
                h, c = f(h, c)
            return np.sum(h + c)

        return grad(run, argnums=(0, 1))(X, C)

    g = compile(f)
    agree(loop(g), loop(f))


def test_each_of_several_outputs_alone(on_numpy: None) -> None:
    f = compile(lambda x: (x * 2, x**3))
    for k, slope in ((0, np.full_like(X, 2.0)), (1, 3 * X**2), (0, np.full_like(X, 2.0))):
        agree(grad(lambda x, k=k: np.sum(f(x)[k]))(X), slope)


def test_tensors_of_an_outer_pass(on_numpy: None) -> None:
    agree(grad(lambda a: compile(lambda b: np.sum(a * b**2))(C))(X), C**2)
    agree(grad(lambda a: compile(lambda b: np.sum(a * b**2))(a))(X), 3 * X**2)
    inner = grad(lambda a: compile(lambda b: np.sum(a * b**2))(a))
    agree(grad(lambda a: np.sum(inner(a)))(X), 6 * X)


def test_a_compiled_function_in_a_compiled_function_is_one_program(on_numpy: None) -> None:
    inner = compile(lambda x: np.sum(x**3))
    middle = compile(grad(inner))
    agree(middle(X), 3 * X**2)
    outer = compile(lambda x: np.sum(middle(x) * x))
    agree(grad(outer)(X), 9 * X**2)
    assert not inner.specializations and len(middle.specializations) == 1


def test_an_index_that_is_computed_picks_a_number(on_numpy: None) -> None:
    """Also of an array beside what is differentiated; of a matrix, the row is a view."""
    assert type(compile(lambda x: x[np.argmax(x)])(X)) is np.float64

    def f(x: Any, y: Any) -> Any:
        return y[np.argmin(x)] * np.take(y, np.argmax(x)) * np.sum(x)

    agree(compile(grad(f))(X, C), np.full(3, C[0] * C[2]))
    agree(grad(compile(f), argnums=1)(X, C), np.array([C[2], 0, C[0]]) * X.sum())

    def doubled(x: Any) -> Any:
        square = np.outer(x, x)
        row = square[np.argmax(x)]
        row *= 2
        return square

    agree(compile(doubled)(X), np.outer(X, X) * [[1], [1], [2]])


def test_a_float32_stays_one(on_numpy: None) -> None:
    g = grad(compile(lambda x: np.sum(x * 2.0)))(X.astype(np.float32))
    assert g.dtype == np.float32


def test_memory_that_an_output_shares_is_its_own(on_numpy: None) -> None:
    t = Tensor(X.copy(), requires_grad=True)
    y = compile(lambda x: x)(t)
    y.backward(C)
    y.backward(C)
    agree(t.grad, 2 * C)


# Parameters


def trained(wrap: Callable[..., Any]) -> Any:
    rng = np.random.default_rng(0)
    layers = nn.Linear(3, 4, rng=rng), nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(0.3, rng=rng)
    model = nn.Sequential(*layers, nn.Linear(4, 2, rng=rng))
    forward = wrap(lambda x: model(x))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x = rng.normal(size=(8, 3)).astype(np.float32)
    for _ in range(3):
        optimizer.zero_grad()
        F.mse_loss(forward(x), x[:, :2]).backward()
        optimizer.step()
    return model.state_dict(), [p.grad for p in model.parameters()]


def test_weights_are_trained_through_a_compiled_model() -> None:
    """Its statistics are updated once, and dropped units are the same there and back."""
    found, expected = trained(compile), trained(lambda f: f)
    for (at, x), (_, y) in zip(leaves_of(found), leaves_of(expected), strict=True):
        np.testing.assert_allclose(x, y, 2e-4, 1e-6, err_msg=at)


def test_second_derivatives_have_the_same_units_dropped(on_numpy: None) -> None:
    rng = np.random.default_rng(0)
    f = compile(lambda x: np.sum(F.dropout(x, 0.5, rng=rng) ** 3))
    x = np.linspace(1, 2, 20)
    value, (pull,) = f(x), (hessian(f)(x),)
    kept = np.diag(pull) != 0
    assert 0 < kept.sum() < 20
    agree(pull, np.diag(6 * 8 * x * kept))
    assert value.size == 1


def test_gradients_that_a_function_leaves_alone_stay(on_numpy: None) -> None:
    w = Tensor(X, requires_grad=True)
    f = compile(lambda x: w * x)
    f(C)
    assert w.grad is None
    f(C).sum().backward()
    f(C).sum().backward()
    agree(w.grad, 2 * C)


def test_a_step_returns_a_loss_that_nobody_goes_back_from(on_numpy: None) -> None:
    w = Tensor(X.copy(), requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)

    @compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = (w * x).sum()
        loss.backward()
        optimizer.step()
        return loss, (w * 2).sum()

    assert not any(t.requires_grad for t in step(C))
    agree(w.data, X - 0.1 * C)
    # Nor is there a way to the weights: by them, the step has differentiated itself.
    x = Tensor(C.copy(), requires_grad=True)
    before = w.data.copy()
    loss, other = step(x)
    assert loss.requires_grad and not other.requires_grad
    agree(x.grad, before)
    loss.backward()
    agree(x.grad, 2 * before)
    # By what a step is given, and has not gone back to itself, there is a derivative.
    before = w.data.copy()
    agree(grad(lambda x: step(x)[0])(C), before)


def test_gradients_through_writes_to_captured_tensors_are_refused(on_numpy: None) -> None:
    w = Tensor(X.copy(), requires_grad=True)

    @compile
    def f(x: Any) -> Any:
        w.data[...] = np.clip(w.data, -1, 1)
        return (w * x).sum()

    with pytest.raises(UnsupportedError, match="writes into a Tensor"):
        grad(f)(C)


def test_a_tensor_from_where_nobody_looks_is_refused(on_numpy: None) -> None:
    w = Tensor(X.copy(), requires_grad=True)
    address = id(w)

    def f(x: Any) -> Any:
        return x * ctypes.cast(address, ctypes.py_object).value

    for x in (X, Tensor(X, requires_grad=True)):
        with pytest.raises(TraceError, match="pass it as an argument"):
            compile(f)(x)


def test_data_that_is_written_has_no_derivative(on_numpy: None) -> None:
    @compile
    def f(x: Any) -> Any:
        y = x * 2
        y.data[...] = 0.0
        return (y * x).sum()

    with pytest.raises(UnsupportedError, match="data of a Tensor"):
        grad(f)(X)


def test_explain_says_that_there_are_no_steps(on_numpy: None) -> None:
    y = compile(lambda x: np.sum(x**2))(Tensor(X, requires_grad=True))
    with pytest.raises(UnsupportedError, match="__wrapped__"):
        minigrad.explain(y)


def test_debug_finds_what_the_way_back_makes_infinite(on_numpy: None) -> None:
    y = compile(lambda x: np.sum(np.sqrt(x)))(Tensor([0.0, 1.0], requires_grad=True))
    with pytest.raises(minigrad.debugging.NonFiniteError, match="sqrt"), minigrad.debug():
        y.backward()


def test_a_hook_is_called_on_the_way_back(on_numpy: None) -> None:
    t = Tensor(X, requires_grad=True)
    compile(lambda x: minigrad.hook(x * 2, lambda g: g * 10) * x)(t).sum().backward()
    agree(t.grad, 22 * X)  # 2 x on one way, and 10 times that on the other
