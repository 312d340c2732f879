"""checkpoint: memory for time."""

import copy
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import (
    Tensor,
    check_gradients,
    checkpoint,
    grad,
    hessian,
    jvp,
    nn,
    no_grad,
    scan,
    vjp,
    vmap,
)
from minigrad.errors import GradientError
from minigrad.functional import dropout
from minigrad.random import generator, uniform
from minigrad.transforms.trees import flat

X, Y = np.array([0.3, 0.5, 0.9]), np.array([1.0, -2.0, 0.5])


def deep(x: Any, p: Any) -> Any:
    for _ in range(3):
        x = np.sin(x * p["w"][0] + p["b"])
    return {"x": x, "n": 3, "both": (x * 2, np.sum(p["b"]))}


def total(f: Callable[..., Any]) -> Callable[..., Any]:
    def of(x: Any, w: Any, b: Any) -> Any:
        found = f(x, p={"w": [w], "b": b, "name": None})
        return np.sum(found["x"] * found["both"][0]) * found["both"][1] * found["n"]

    return of


def test_to_any_order_of_nests() -> None:
    check_gradients(total(checkpoint(deep)), X, Y, 0.3, order=3)
    args = X, Y, np.array(0.3)
    for transform in (grad, hessian, lambda f: lambda *args: jvp(f, args, args)[1]):
        one, other = (transform(total(f))(*args) for f in (checkpoint(deep), deep))
        np.testing.assert_allclose(one, other, 1e-12)


def test_what_f_uses_from_outside() -> None:
    def f(w: Any, x: Any, wrap: Any) -> Any:
        inner = wrap(lambda x: np.tanh(x * w) * np.sum(w))
        return np.sum(inner(x) * inner(2 * x))

    for by in (0, 1):
        one, other = (hessian(f, by)(Y, X, wrap) for wrap in (checkpoint, lambda f: f))
        np.testing.assert_allclose(one, other, 1e-12)
    w, x = Tensor(Y, requires_grad=True), Tensor(X, requires_grad=True)
    (f(w, x, checkpoint) * 2 + np.sum(w * 3)).backward()
    np.testing.assert_allclose(w.grad, 2 * grad(f)(Y, X, lambda f: f) + 3, 1e-12)
    np.testing.assert_allclose(x.grad, 2 * grad(f, 1)(Y, X, lambda f: f), 1e-12)
    # That alone:
    z = w * 2
    checkpoint(lambda: z)().sum().backward()
    np.testing.assert_allclose(w.grad, 2 * grad(f)(Y, X, lambda f: f) + 5, 1e-12)


def trained(model: nn.Module, call: Any, x: np.ndarray) -> list[np.ndarray]:
    minigrad.manual_seed(1)
    t = Tensor(x, requires_grad=True)
    y = call(t) * call(2 * t)
    (np.sum(y * y) + np.sum(model[0].weight ** 2)).backward()  # type: ignore[index]  # a Sequential
    found = [p.grad for p in model.parameters()] + [t.grad] + [b.data for b in model.buffers()]
    return [*found, y.data, generator().random(2)]


def test_a_module_has_the_same_masks_and_keeps_its_statistics() -> None:
    minigrad.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    other = copy.deepcopy(model)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    pairs = zip(trained(model, model, x), trained(other, checkpoint(other), x), strict=True)
    for one, two in pairs:
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("draw", ["layer's", "NumPy's own", "given"])
def test_generators_are_where_they_were(draw: str) -> None:
    rng = np.random.default_rng(0)

    @checkpoint
    def masked(x: Any, rng: Any) -> Any:
        if draw == "layer's":
            mask = np.astype(uniform(rng, 3), float)
        else:
            mask = np.random.random(3) if rng is None else rng.random(3)
        return x**2 * mask

    given = None if draw == "NumPy's own" else rng
    y, pull_back = vjp(lambda x: masked(x, given), X)
    np.testing.assert_allclose(pull_back(np.ones(3))[0], 2 * y / X, 1e-6)
    after = rng.random() if given is not None else 0.0
    np.testing.assert_allclose(pull_back(np.ones(3))[0], 2 * y / X, 1e-6)
    again = np.random.default_rng(0)
    again.random(3, np.float32) if draw == "layer's" else again.random(3)
    assert given is None or after == again.random()


def test_of_methods() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = Tensor(Y, requires_grad=True)

        @checkpoint
        def forward(self, x: Any) -> Any:
            return np.tanh(self.weight * x)

        @checkpoint
        def step(self, c: Any, x: Any) -> Any:
            return np.tanh(self.weight * c + x), None

        sine = checkpoint(np.sin)

    block = Block()
    np.sum(block(X)).backward()
    np.testing.assert_allclose(block.weight.grad, X / np.cosh(X * Y) ** 2, 1e-12)
    assert "step" in repr(block.step)
    assert np.array_equal(block.sine(X), np.sin(X))
    xs = np.zeros((40, 3))
    got = grad(lambda c: np.sum(scan(block.step, c, xs)[0]))(X).data
    step: Any = block.step
    plain = grad(lambda c: np.sum(scan(step.function, c, xs)[0]))(X).data
    np.testing.assert_allclose(got, plain, 1e-12)


def test_what_is_not_the_same_again_is_refused() -> None:
    rng = np.random.default_rng(0)
    hidden = checkpoint(lambda x: x * rng.random(3))
    with pytest.raises(GradientError, match="gave other numbers than before: it draws random num"):
        grad(lambda x: np.sum(hidden(x)))(X)
    w, other = (Tensor(X, requires_grad=True) for _ in range(2))
    held = [w]
    y = checkpoint(lambda x: x * held[0])(Tensor(X)).sum()
    held[0] = other
    with pytest.raises(GradientError, match="used other Tensors than before"):
        y.backward()
    y = checkpoint(lambda x: x * w)(Tensor(X)).sum()
    w.data *= 2
    with pytest.raises(GradientError, match="as it was when the op was recorded"):
        y.backward()
    x = np.ones(3)
    t = Tensor(x)
    y = checkpoint(lambda x: x * other)(t).sum()
    t.data *= 2
    with pytest.raises(GradientError, match="as it was when the op was recorded"):
        y.backward()


def test_inside_of_other_things(on_numpy: None) -> None:
    f, plain = total(checkpoint(deep)), total(deep)
    args = X, Y, np.array(0.3)
    np.testing.assert_allclose(minigrad.compile(grad(f))(*args), grad(plain)(*args), 1e-12)
    np.testing.assert_allclose(grad(minigrad.compile(f))(*args), grad(plain)(*args), 1e-12)
    xs = np.array([X, Y])
    for one in (f, plain):
        inside = vmap(grad(one), (0, None, None))(xs, Y, 0.3)
        outside = grad(lambda xs, f=one: np.sum(vmap(f, (0, None, None))(xs, Y, 0.3)))(xs)
        np.testing.assert_allclose(inside, outside, 1e-12)
    twice = total(checkpoint(checkpoint(lambda x, p: checkpoint(deep)(x, p))))
    np.testing.assert_allclose(hessian(twice)(*args), hessian(plain)(*args), 1e-12)
    with no_grad():
        assert not checkpoint(np.sin)(Tensor(X, requires_grad=True)).requires_grad
    assert np.array_equal(checkpoint(np.sin)(X), np.sin(X))
    assert checkpoint(lambda x: {"a": None})(Tensor(X, requires_grad=True)) == {"a": None}


XS, WS, RIGHT = (np.random.default_rng(k).normal(size=(3, 3)) for k in range(3))


def parts(wrap: Any) -> dict[str, Callable[..., Any]]:
    """Functions of a vector and a matrix, parts of which may be checkpointed."""

    def around(x: Any, w: Any) -> Any:
        z = np.sin(x) * 2
        return np.sum(wrap(lambda y: np.tanh(w @ y) * z)(x) * z)

    def nests(x: Any, w: Any) -> Any:
        def f(p: Any, k: Any = None) -> Any:
            return {"a": [p["q"] * k, 3], "b": None, "c": (w @ p["q"], p["n"])}

        found = wrap(f)({"q": np.sin(x), "n": 2}, k=np.cos(x))
        return np.sum(found["a"][0] * found["c"][0]) * found["a"][1] * found["c"][1]

    def writes(x: Any, w: Any) -> Any:
        def f(x: Any) -> Any:
            y = x * 2
            y[0] = w[0] @ x
            y += 1
            return y

        return np.sum(wrap(f)(x) ** 2)

    return {
        "of outside": lambda x, w: np.sum(wrap(lambda x: np.tanh(w @ x))(x) ** 2),
        "around": around,
        "nests": nests,
        "writes": writes,
        "one in another": lambda x, w: np.sum(
            wrap(lambda x: wrap(lambda x: np.sin(w @ x))(x) * x)(x)
        ),
        "the same for all": lambda x, w: np.sum(
            wrap(lambda x, w: (x * 2, np.sin(w)))(x, w)[1] * x**2
        ),
        "scan": lambda x, w: np.sum(
            scan(wrap(lambda c, t: (np.tanh(w @ c + t), c)), x, np.ones((20, 3)))[1]
        ),
        "gradient inside": lambda x, w: np.sum(
            grad(lambda y: np.sum(wrap(lambda y: np.tanh(w @ y) * x)(y)))(x) ** 2
        ),
        "vmap inside": lambda x, w: np.sum(vmap(wrap(lambda r: np.tanh(np.sum(r * x))))(w)),
    }


VMAPS: dict[str, Callable[[Any], Any]] = {
    "inside": lambda f: vmap(grad(f, (0, 1)), (0, None))(XS, WS),
    "around": lambda f: grad(lambda x, w: np.sum(vmap(f, (0, None))(x, w)), (0, 1))(XS, WS),
    "both": lambda f: grad(
        lambda x, w: np.sum(np.sin(vmap(grad(f), (0, None))(x, w))), (0, 1)
    )(XS, WS),
    "second order around": lambda f: hessian(lambda x: np.sum(vmap(f, (0, None))(x, WS)))(XS),
    "forward": lambda f: jvp(lambda x: vmap(f, (0, None))(x, WS), (XS,), (RIGHT,))[1],
    "forward inside": lambda f: vmap(lambda x, y: jvp(f, (x, WS), (y, WS))[1])(XS, RIGHT),
    "between two": lambda f: vmap(
        grad(lambda w: np.sum(vmap(f, (0, None))(XS, w))), 0
    )(np.stack([WS, RIGHT])),
}  # fmt: skip


@pytest.mark.parametrize("name", parts(checkpoint))
def test_under_vmap(name: str) -> None:
    one, other = (parts(wrap)[name] for wrap in (checkpoint, lambda f: f))
    for run in VMAPS.values():
        pairs = zip(flat(run(one)), flat(run(other)), strict=True)
        for x, y in pairs:
            np.testing.assert_allclose(x, y, 1e-9, 1e-12)
    x, w = Tensor(XS, requires_grad=True), Tensor(WS, requires_grad=True)
    np.sum(vmap(one, (0, None))(x, w)).backward()
    pairs = zip((x.grad, w.grad), VMAPS["around"](other), strict=True)
    for found, wanted in pairs:
        np.testing.assert_allclose(found, wanted, 1e-9, 1e-12)


@pytest.mark.parametrize("run", [VMAPS["inside"], VMAPS["around"]])
def test_masks_are_the_same_under_vmap(run: Any) -> None:
    def found(wrap: Any) -> Any:
        rng = np.random.default_rng(3)

        def f(x: Any, w: Any) -> Any:
            masked = wrap(lambda x: dropout(np.sin(x), rng=rng) * dropout(w @ x, rng=rng))(x)
            return np.sum(masked * dropout(x, rng=rng))

        return [*run(f), rng.random()]

    for x, y in zip(found(checkpoint), found(lambda f: f), strict=True):
        np.testing.assert_allclose(x, y, 1e-9)


@pytest.mark.parametrize("run", [VMAPS["inside"], VMAPS["around"]])
def test_other_numbers_are_refused_under_vmap(run: Any) -> None:
    calls = []

    @checkpoint
    def varying(x: Any) -> Any:
        calls.append(x)
        return x * len(calls)

    with pytest.raises(GradientError, match="gave other numbers"):
        run(lambda x, w: np.sum(varying(x)) + np.sum(w))


@pytest.mark.parametrize("way", ["around", "inside", "between two"])
def test_it_saves_memory_under_vmap(way: str) -> None:
    def f(wrap: Any) -> Any:
        def block(x: Any) -> Any:
            for _ in range(20):
                x = np.tanh(1.1 * x)
            return x

        def deep(x: Any) -> Any:
            for _ in range(5):
                x = wrap(block)(x)
            return np.sum(x)

        return {
            "around": grad(lambda xs: np.sum(vmap(deep)(xs))),
            "inside": vmap(grad(deep)),
            "between two": vmap(grad(lambda x: np.sum(vmap(deep)(x)))),
        }[way]

    def peak(f: Any) -> int:
        tracemalloc.start()
        f(np.ones((20, 500)))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    # Of 205 arrays, 5 and those of one block, 40, are there at once.
    assert peak(f(checkpoint)) < 0.35 * peak(f(lambda f: f))


def test_a_view_of_an_argument_has_memory_of_its_own() -> None:
    t = Tensor(X.copy(), requires_grad=True)
    y = checkpoint(lambda x: np.reshape(x, (3, 1)))(t * 1)
    y += 1.0
    y.sum().backward()
    assert np.array_equal(t.grad, np.ones(3)) and np.array_equal(t.data, X)


def round_of(carry: Any, x: Any) -> Any:
    new = np.tanh(carry["c"] * 1.01 + x)
    return {"c": new}, new[:2]


@pytest.mark.parametrize("rounds", [1, 15, 17, 64, 300])
@pytest.mark.parametrize("reverse", [False, True])
def test_scan_in_levels(rounds: int, reverse: bool) -> None:
    xs = np.random.default_rng(0).normal(size=(rounds, 3)) * 0.1

    def f(c: Any, xs: Any, body: Any) -> Any:
        carry, ys = scan(body, {"c": c}, xs, reverse=reverse)
        assert ys.shape == (rounds, 2)
        return np.sum(carry["c"]) + np.sum(ys**2 * np.arange(2 * rounds).reshape(rounds, 2))

    for by in (0, 1):
        one, other = (grad(f, by)(X, xs, body) for body in (checkpoint(round_of), round_of))
        np.testing.assert_allclose(one, other, 1e-12)


def test_memory_of_a_scan_grows_as_the_logarithm() -> None:
    def peak(rounds: int, body: Any) -> float:
        tracemalloc.start()
        grad(lambda c: np.sum(scan(body, {"c": c}, None, rounds)[0]["c"]))(np.ones(2000))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    def body(carry: Any, x: Any) -> Any:
        return {"c": np.tanh(carry["c"] * 1.01)}, None

    few, many = peak(32, checkpoint(body)), peak(512, checkpoint(body))
    assert many < 2 * few and many < peak(512, body) / 8


def test_what_the_rounds_of_a_scan_use_from_outside() -> None:
    def end(w: Any, wrap: Any) -> Any:
        return np.sum(scan(wrap(lambda h, _: (np.sin(w * h), None)), np.ones(3), length=40)[0])

    one, other = (grad(end)(X, wrap) for wrap in (checkpoint, lambda f: f))
    np.testing.assert_allclose(one, other, 1e-12)


@pytest.mark.parametrize("rounds", [2500, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_memory_of_a_compiled_scan_grows_as_the_logarithm(rounds: int) -> None:
    """Of 16 carries for each level, and those of the innermost rounds."""

    def arena(rounds: int, wrap: Any) -> int:
        def end(w: Any) -> Any:
            return np.sum(scan(wrap(lambda c, _: (np.tanh(w @ c), None)), X, None, rounds)[0])

        compiled = minigrad.compile(grad(end))
        w = np.eye(3) * 0.9
        if rounds < 100:
            np.testing.assert_allclose(compiled(w), grad(end)(w), 1e-10)
        compiled(w)
        return compiled.explain().arena

    few, many = (arena(n, checkpoint) for n in (50, rounds))
    assert 0 < many < few * np.log(rounds) / np.log(50) * 2
    assert rounds > 3000 or many < arena(rounds, lambda f: f) / 15


def test_the_second_run_reads_variables_as_they_were() -> None:
    """As each round of a loop of Python rebinds what a lambda in it reads."""

    def run(x: Any, wrap: Any) -> Any:
        for k in (2.0, 3.0):

            def double(x: Any) -> Any:
                return k * x  # noqa: B023

            x = wrap(lambda x: np.sin(double(x)) * k)(x)  # noqa: B023
            x = scan(wrap(lambda c, _: (np.tanh(c * k), None)), x, length=40)[0]  # noqa: B023
        return np.sum(x)

    wanted = grad(run)(X, lambda f: f)
    np.testing.assert_allclose(grad(run)(X, checkpoint), wanted, rtol=1e-14)
    np.testing.assert_allclose(grad(run)(X, lambda f: checkpoint(partial(f))), wanted, rtol=1e-14)
    np.testing.assert_allclose(vmap(grad(run), (0, None))(X, checkpoint), wanted, rtol=1e-14)

    calls = 0

    def counted(x: Any) -> Any:
        nonlocal calls
        calls += 1
        return x * calls

    assert grad(lambda x: checkpoint(counted)(x) + checkpoint(counted)(x))(1.0) == 3
    assert calls == 2


@pytest.mark.parametrize("rounds", [3, 40])
def test_rounds_write_into_their_carry(rounds: int) -> None:
    def f(c: Any, _: Any) -> Any:
        c[0] += 0.1
        c *= np.cos(c)
        return c, c[::-1]

    def run(x: Any, f: Any) -> Any:
        return np.sum(scan(f, x, length=rounds)[1] ** 2)

    wanted = grad(run)(X, f)
    np.testing.assert_allclose(grad(run)(X, checkpoint(f)), wanted, rtol=1e-12)
    of_each = vmap(grad(run), (0, None))(np.stack([X, X]), checkpoint(f))
    np.testing.assert_allclose(of_each, [wanted, wanted], rtol=1e-12)
