"""vmap: equal to the loop over the entries."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.special
from numpy.random import permutation

import minigrad
import minigrad.functional as F
from minigrad import (
    Tensor,
    cond,
    fori_loop,
    grad,
    hessian,
    jacobian,
    jvp,
    nn,
    scan,
    vmap,
    while_loop,
)
from minigrad.debugging import NonFiniteError
from minigrad.errors import (
    ArgumentError,
    ArgumentTypeError,
    DtypeError,
    MinigradError,
    ShapeError,
    UnsupportedError,
)

RNG = np.random.default_rng(0)
X, W, Y = RNG.normal(size=(5, 3)), RNG.normal(size=(3, 4)), RNG.normal(size=(5, 4))


def same(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def loss(x: Any, w: Any) -> Any:
    return np.sum(np.tanh(x @ w) ** 2)


def writing(x: Any) -> Any:
    y = x * 2
    y[0] = 5.0
    y += x[1]
    part = y[1:]
    part *= 3
    return y


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "value": lambda x: np.tanh(x @ W),
    "grad": grad(lambda x: loss(x, W)),
    "hessian": hessian(lambda x: loss(x, W)),
    "jacobian": jacobian(lambda x: np.tanh(x @ W)),
    "jvp": lambda x: jvp(lambda x: np.tanh(x @ W), (x,), (x,))[1],
    "gradient by what is outside": lambda x: grad(loss, argnums=1)(x, W),
    "writes": writing,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_equals_the_loop_and_its_derivative_too(name: str) -> None:
    f = FUNCTIONS[name]
    same(vmap(f)(X), [np.asarray(f(x)) for x in X])
    same(minigrad.compile(vmap(f))(X), [np.asarray(f(x)) for x in X])

    def total(x: Any) -> Any:
        return np.sum(vmap(f)(x) ** 2)

    same(grad(total)(X), grad(lambda xs: sum(np.sum(f(x) ** 2) for x in xs))(X))


def test_nests() -> None:
    inner = grad(lambda a, b: np.sum(np.sin(a * b) @ W))
    both = vmap(vmap(inner, (None, 0)), (0, None))
    same(both(X, X), [[inner(a, b) for b in X] for a in X])
    same(
        vmap(vmap(lambda a, b: a * b, (None, 0)), (0, None))(X[:, 0], Y[:, 1]),
        np.outer(X[:, 0], Y[:, 1]),
    )


def test_tensors_of_outside_get_their_gradient() -> None:
    w = Tensor(W, requires_grad=True)
    y = vmap(lambda x: np.sum(x @ w))(X)
    assert isinstance(y, Tensor)
    y.sum().backward()
    same(w.grad, X.sum(0)[:, None] * np.ones(4))


def test_what_is_detached_has_no_gradient() -> None:
    same(grad(lambda x: np.sum(vmap(lambda x: x.detach() * x)(x)))(X), X)


def masked(x: Any) -> Any:
    y, rest = np.outer(x, X[0, :2]), Tensor(np.zeros((3, 2), np.float32))
    y[y > 0.3] = x[0]
    y[x < -0.5] = x[1:]
    rest[y > 0] = 1.0
    return y * np.sum(rest)


def test_writes_by_masks_that_differ() -> None:
    wanted = [masked(Tensor(x)).data for x in X]
    same(vmap(masked)(X), wanted)
    total = lambda x: np.sum(masked(x) ** 2)  # noqa: E731
    same(grad(lambda xs: np.sum(vmap(total)(xs)))(X), [grad(total)(x) for x in X])
    with pytest.raises(UnsupportedError, match="mask that differs"):
        vmap(lambda x: assigned_at(x * 1.0, x > 0, x[:1]))(X)


LOOPS: dict[str, Callable[[Any], Any]] = {
    "scan": lambda x: scan(lambda h, _: (np.tanh(h @ W[:, :3] + x), h), np.zeros(3), length=4)[0],
    "scan of entries": lambda x: scan(lambda h, v: (h * 0.5 + v, h), x[0], x)[1],
    "scan backwards": lambda x: scan(lambda h, v: (h * v, h), x[0], x, reverse=True)[1],
    "scan of what is the same": lambda x: scan(lambda h, v: (h + v * x[0], h), 0.0, X[0])[1],
    "fori_loop": lambda x: fori_loop(0, 4, lambda i, h: h * x + i, x),
    "cond": lambda x: cond(x[0] > 0, lambda y: y * 2, np.sin, x),
    "while_loop": lambda x: while_loop(lambda h: np.sum(h * h) < 5, lambda h: h * 1.5, x, bound=20),
    "nest of them": lambda x: fori_loop(
        0, 3, lambda i, h: cond(h[0] > x[1], lambda y: y - 0.1, lambda y: y * x[0], h), x
    ),
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops_and_branches(name: str) -> None:
    f = LOOPS[name]
    wanted = [np.asarray(f(x)) for x in X]
    same(vmap(f)(X), wanted)
    same(minigrad.compile(vmap(f))(X), wanted)
    slopes = [grad(lambda x: np.sum(f(x) ** 2))(x) for x in X]
    inside = vmap(grad(lambda x: np.sum(f(x) ** 2)))
    outside = grad(lambda x: np.sum(vmap(f)(x) ** 2))
    for slope in (inside, outside):
        same(slope(X), slopes)
    same(minigrad.compile(outside)(X), slopes)
    if "while" not in name:
        same(minigrad.compile(inside)(X), slopes)


def test_a_while_loop_ends_when_it_is_over_for_all_entries_or_at_its_bound() -> None:
    double = lambda x: while_loop(lambda h: h < 10, lambda h: 2 * h, x, bound=4)  # noqa: E731
    same(vmap(double)(np.array([1.0, 3.0, 20.0])), [16.0, 12.0, 20.0])
    with pytest.raises(ArgumentError, match="still holds after bound=4"):
        vmap(double)(np.array([1.0, 0.5]))


def test_a_loop_of_a_batch_is_one_of_the_program() -> None:
    f = minigrad.compile(vmap(lambda x: fori_loop(0, 100_000, lambda i, h: h * 0.5 + x, x)))
    same(f(X), 2 * X)


# Random numbers


def test_dropout_draws_for_each_entry_what_the_loop_would() -> None:
    one, other = np.random.default_rng(1), np.random.default_rng(1)
    found = vmap(lambda x: F.dropout(x, 0.5, rng=one))(X)
    np.testing.assert_array_equal(found, [F.dropout(x, 0.5, rng=other) for x in X])
    compiled = minigrad.compile(vmap(lambda x: F.dropout(x, 0.5, rng=one)))
    np.testing.assert_array_equal(compiled(X), [F.dropout(x, 0.5, rng=other) for x in X])
    nested = vmap(vmap(lambda x: F.dropout(x, 0.5, rng=one)))(X[..., None])
    wanted = [[F.dropout(x, 0.5, rng=other) for x in row[:, None]] for row in X]
    np.testing.assert_array_equal(nested, wanted)


PYTHONS = random.Random(0)
NOISE = np.random.Generator(np.random.MT19937(0))  # of its state, one part is an array
NORMAL_OF_3 = np.random.default_rng(3).normal()


class Noisy(nn.Module):
    shared = np.random.RandomState(0)

    def __init__(self) -> None:
        super().__init__()
        self.own = np.random.default_rng(0)

    def forward(self, x: Any) -> Any:
        return self.with_noise(x)

    def with_noise(self, x: Any) -> Any:
        return x + self.own.normal()

    def with_noise_of_all(self, x: Any) -> Any:
        return x + self.shared.normal()


NOISY = Noisy()


def with_noise(x: Any) -> Any:
    return x + NOISE.normal()


def with_a_default(x: Any, rng: Any = PYTHONS) -> Any:
    return x + rng.gauss(0, 1)


DRAWING: dict[str, Callable[[Any], Any]] = {
    "around": (lambda rng: lambda x: x + rng.normal())(np.random.default_rng(0)),
    "beside dropout": lambda x: F.dropout(x, 0.5, rng=NOISE) * NOISE.normal(),
    "of numpy": lambda x: x + np.random.normal(size=3),
    "of python": lambda x: x + random.random(),
    "imported": lambda x: x[permutation(3)],
    "a default": with_a_default,
    "of a method": NOISY.with_noise,
    "of an object": lambda x: NOISY.with_noise_of_all(x),
    "of a module": NOISY,
    "of a layer": nn.Sequential(nn.Linear(3, 3), NOISY),
    "of a partial": partial(lambda rng, x: x + rng.normal(), NOISE),
    "of a function": grad(lambda x: np.sum(x * with_noise(x))),
    "compiled": minigrad.compile(with_noise),
    "passed on": (lambda draw: lambda x: x + draw())(NOISE.normal),
    "no seed": lambda x: x + np.random.default_rng().normal(),
    "no seed, the old generator": lambda x: x + np.random.RandomState(None).normal(),
    "no seed of Python's": lambda x: x + random.Random().random(),
    "no seed, in a loop": lambda x: fori_loop(
        0, 2, lambda i, c: c + np.random.default_rng(seed=None).normal(), x
    ),
    "no seed, compiled": minigrad.compile(lambda x: x + np.random.default_rng().normal()),
}


@pytest.mark.parametrize("f", DRAWING.values(), ids=list(DRAWING))
def test_other_draws_are_refused(f: Any) -> None:
    with pytest.raises(UnsupportedError, match="the same for all entries"):
        vmap(f)(X)


def test_seeds_are_watched_inside_alone() -> None:
    same(vmap(lambda x: x + np.random.default_rng(3).normal())(X), X + NORMAL_OF_3)
    same(vmap(lambda x: x + random.Random(3).random())(X), X + random.Random(3).random())
    with ThreadPoolExecutor(1) as threads:  # whose context is another
        task = vmap(lambda x: x + threads.submit(np.random.default_rng).result().random() * 0)
        same(task(X), X)
    assert np.random.default_rng().normal() != np.random.default_rng().normal()
    assert random.Random.seed.__module__ != "minigrad.random"


def test_code_that_is_no_numpy_makes_generators_for_each_entry() -> None:
    @minigrad.custom_vjp
    def with_noise(x: Any) -> Any:
        assert float(x[0]) < 9
        return x + np.random.default_rng().normal()

    found = vmap(with_noise)(np.zeros((3, 2)))
    assert len(np.unique(found)) == 3


def test_generators_that_are_not_drawn_from_do_not_matter() -> None:
    same(vmap(lambda x, rng: x * 2, in_axes=(0, None))(X, NOISE), 2 * X)
    one, other = (np.random.Generator(np.random.MT19937(1)) for _ in range(2))
    found = vmap(lambda x: x + minigrad.random.uniform(one, (3,)))(X)
    same(found, X + other.random((5, 3), np.float32))


# Arguments and results


@pytest.mark.parametrize("wrap", [lambda f: f, minigrad.compile])
def test_what_is_the_same_for_all_is_indexed_by_what_is_not(wrap: Any) -> None:
    k = np.array([2, 0, 2])
    for f in (
        lambda w, k: w[k],
        lambda w, k: np.sum(w[k, 1:] * w[1, k]),
        lambda w, k: w[k] @ w[k].T * w[:, [0, 1]],
    ):
        for w in (W, Tensor(W)):
            found = wrap(vmap(f, in_axes=(None, 0)))(w, k)
            same(np.asarray(found), [f(W, i) for i in k])
    scatter = wrap(grad(lambda w, k: np.sum(vmap(lambda w, k: w[k] ** 2, (None, 0))(w, k))))
    same(scatter(W, k), 2 * W * np.array([[1], [0], [2]]))
    same(wrap(vmap(lambda k: Tensor(W)[k] * 2))(k), 2 * W[k])
    outer = wrap(vmap(lambda m: vmap(lambda k: m[k, ::-1])(k)))
    same(outer(np.stack([W, -W])), np.stack([W[k, ::-1], -W[k, ::-1]]))


def test_axes_of_nests_and_of_results() -> None:
    def f(p: Any, x: Any, scale: Any = 1.0) -> Any:
        return {"y": p["w"] @ x * scale + p["b"], "w": p["w"]}

    p = {"w": W.T, "b": RNG.normal(size=(4, 5))}
    axes = ({"w": None, "b": 1}, 0)
    found = vmap(f, axes, {"y": 1, "w": None})(p, X, scale=X[:, 0])
    wanted = [f({"w": W.T, "b": p["b"][:, k]}, x, x[0])["y"] for k, x in enumerate(X)]
    same(found["y"], np.stack(wanted, 1))
    same(found["w"], W.T)
    same(vmap(lambda x: np.outer(x, x), out_axes=-1)(X), np.einsum("ni,nj->ijn", X, X))
    same(vmap(lambda x: np.sum(x), -1)(X), X.sum(0))
    same(vmap(lambda x: 2.0)(X), [2.0] * 5)


def test_results_have_memory_of_their_own() -> None:
    for f in (lambda x: x, lambda x: x[::-1], lambda x: W[0]):
        y = vmap(f)(X)
        assert y.flags.writeable
        assert not np.shares_memory(y, X)
        assert not np.shares_memory(y, W)


def test_no_entries_and_one() -> None:
    f = grad(lambda x: np.sum(np.tanh(x @ W)))
    assert vmap(f)(X[:0]).shape == (0, 3)
    assert vmap(lambda x: np.cumsum(np.sort(x)[np.argsort(x)]))(X[:0]).shape == (0, 3)
    same(vmap(f)(X[:1]), [f(X[0])])


KEPT: list[Any] = []
PARAMETER = Tensor(np.ones(3), requires_grad=True)
OUTSIDE, SHARED = Tensor(np.zeros(3)), np.zeros(3)


def keeping(kept: list[Any], x: Any) -> Any:
    kept.append(x)
    return x


@dataclass
class Point:
    x: Any


def assigned(target: Any, value: Any) -> Any:
    target[...] = value
    return value


def assigned_at(target: Any, index: Any, value: Any) -> Any:
    target[index] = value
    return target


REFUSED: dict[str, tuple[Callable[[], Any], type[MinigradError], str]] = {
    "if": (lambda: vmap(lambda x: x if x[0] > 0 else -x)(X), UnsupportedError, "np.where"),
    "float": (lambda: vmap(lambda x: float(x[0]))(X), UnsupportedError, "run once"),
    "mask": (lambda: vmap(lambda x: x[x > 0])(X), UnsupportedError, "np.where"),
    "index of an array, compiled": (
        lambda: minigrad.compile(vmap(lambda k: np.ones(3)[k]))(np.arange(3)),
        UnsupportedError,
        r"Tensor\(array\)\[i\]",
    ),
    "np.array, compiled": (
        lambda: minigrad.compile(vmap(lambda x: np.array([x[0], -x[1]])))(X),
        UnsupportedError,
        "np.stack",
    ),
    "backward": (
        lambda: vmap(lambda x: np.sum(x * PARAMETER).backward())(X),
        UnsupportedError,
        "use grad",
    ),
    "write outside": (
        lambda: vmap(lambda x: assigned(OUTSIDE, x))(X),
        UnsupportedError,
        r"shape \(3,\) of outside",
    ),
    "write into an array": (
        lambda: vmap(lambda x: assigned(SHARED, x))(X),
        UnsupportedError,
        "zeros_like",
    ),
    "write a number into an array": (
        lambda: vmap(lambda x: SHARED.__setitem__(0, x[0]))(X),
        UnsupportedError,
        "zeros_like",
    ),
    "write into an argument": (
        lambda: vmap(lambda x: assigned(x, 0.0))(X),
        ArgumentError,
        "arguments under vmap are: write into",
    ),
    "lengths": (
        lambda: vmap(np.add)(X, X[:2]),
        ShapeError,
        r"5 in argument 0 of shape \(5, 3\) along axis 0; 2 in argument 1",
    ),
    "axis": (lambda: vmap(np.sin, 2)(X), ShapeError, r"argument 0 of shape \(5, 3\) has no axis 2"),
    "number": (lambda: vmap(np.add)(X, 1.0), ShapeError, "None for what is the same"),
    "keyword": (
        lambda: vmap(lambda x, scale: x * scale)(X, scale=2.0),
        ShapeError,
        r"keyword argument scale of shape \(\) .*functools.partial",
    ),
    "no batch": (lambda: vmap(np.sin, None)(X), ArgumentError, "every argument has in_axes None"),
    "count": (lambda: vmap(np.add, (0,))(X, X), ArgumentError, "2 positional arguments"),
    "nest": (
        lambda: vmap(lambda p: p["a"], ({"b": 0},))({"a": X}),
        ArgumentError,
        r"the arguments\[0\], which is a dict with the leaves \['a'\]",
    ),
    "no integer": (lambda: vmap(np.sin, 1.5)(X), ArgumentTypeError, "not 1.5"),
    "no array": (lambda: vmap(lambda x, y: x)(X, "a"), ArgumentTypeError, "argument 1 is a str"),
    "dataclass of a branch": (
        lambda: vmap(lambda x: cond(x > 0, lambda: Point(x), lambda: Point(-x)).x)(X[0]),
        DtypeError,
        "what a branch returns is a Point, .* make it a NamedTuple",
    ),
    "unravel in another order": (
        lambda: vmap(lambda i: np.unravel_index(i, (2, 3), "F"))(np.arange(4)),
        UnsupportedError,
        "np.unravel_index, compiled or vmapped",
    ),
    "unravel floats": (
        lambda: vmap(lambda x: np.unravel_index(x, (2, 3)))(X),
        UnsupportedError,
        "np.unravel_index, compiled or vmapped",
    ),
    "dataclass": (lambda: vmap(lambda p: p.x)(Point(X)), ArgumentTypeError, "make it a NamedTuple"),
    "missing argument": (lambda: vmap(lambda x, y: x)(X), ArgumentTypeError, "it takes x, y"),
    "out axis": (lambda: vmap(np.sin, 0, 2)(X), ShapeError, "out_axes=2"),
    "out None": (lambda: vmap(np.sin, 0, None)(X), ArgumentError, "differs from entry to entry"),
    "out tuple": (lambda: vmap(np.sum, 0, (0, 0))(X), ArgumentError, r"\(0, 0\) for the result"),
    "SciPy's": (
        lambda: vmap(scipy.special.logsumexp)(X),
        UnsupportedError,
        r"use minigrad\.scipy\.special\.logsumexp",
    ),
    "out str": (lambda: vmap(lambda x: "a")(X), ArgumentTypeError, "returned a str"),
    "shapes of entries": (
        lambda: vmap(lambda x: x + np.zeros(5))(X),
        ShapeError,
        r"add\(float64 array of shape \(3,\), float64 array of shape \(5,\)",
    ),
    "kept": (
        lambda: (vmap(partial(keeping, KEPT))(X), np.sin(KEPT.pop())),
        UnsupportedError,
        "after the function has returned",
    ),
    "BatchNorm": (
        lambda: vmap(nn.BatchNorm1d(3))(RNG.normal(size=(5, 4, 3)).astype("f")),
        UnsupportedError,
        "GroupNorm",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    f, kind, words = REFUSED[name]
    with pytest.raises(kind, match=words):
        f()
    assert not np.any(SHARED)
    assert not np.any(OUTSIDE.data)


def test_methods_of_what_was_kept_are_refused_too() -> None:
    kept: list[Any] = []
    vmap(lambda x: keeping(kept, x.data))(RNG.normal(size=(2, 3, 3)))
    for use in (lambda x: x.T, lambda x: x[0], lambda x: x.diagonal(), lambda x: x.astype("f")):
        with pytest.raises(MinigradError, match="after the function has returned"):
            use(kept[0])


def test_threads() -> None:
    f, wanted = vmap(grad(lambda x: loss(x, W))), [grad(lambda x: loss(x, W))(x) for x in X]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: f(X), range(40)):
            same(found, wanted)

    def in_a_thread(x: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: x * 2).result()

    with pytest.raises(MinigradError, match="in another thread"):
        vmap(in_a_thread)(X)


def test_debug_sees_the_numbers_of_all_entries() -> None:
    with minigrad.debug():
        same(vmap(np.sin)(X), np.sin(X))
        with pytest.raises(NonFiniteError, match=r"log gave nan: \d of 15 entries"):
            vmap(np.log)(X)


def test_compiled_functions_are_batched() -> None:
    f = minigrad.compile(lambda x: np.tanh(x @ W))
    same(vmap(f)(X), np.tanh(X @ W))
    assert not f.specializations


def test_no_grad_inside() -> None:
    def f(x: Any) -> Any:
        with minigrad.no_grad():
            y = x * 2
        return np.sum(x * y)

    same(grad(lambda x: np.sum(vmap(f)(x)))(X), 2 * X)


def test_the_place_of_a_maximum() -> None:
    def largest(x: Any) -> Any:
        return x[np.unravel_index(np.argmax(x), x.shape)]

    x = np.sin(np.arange(24.0)).reshape(4, 2, 3)
    np.testing.assert_equal(vmap(largest)(x), x.max((1, 2)))
    wanted = np.stack([grad(largest)(entry) for entry in x])
    np.testing.assert_equal(vmap(grad(largest))(x), wanted)
    np.testing.assert_equal(minigrad.compile(vmap(grad(largest)))(x), wanted)
    places = np.arange(6, dtype=np.uint8)
    for shape in ((2, 3), (1, 3, 2), 6):
        f: Any = partial(np.unravel_index, shape=shape)
        np.testing.assert_equal(minigrad.compile(lambda k, f=f: f(k))(places), f(places))
        np.testing.assert_equal(vmap(f)(places), f(places))


def test_masks_that_are_the_same_for_all_are_written_by() -> None:
    def f(x: Any, at: Any) -> Any:
        y = x * 1
        y[at > 0] = 0
        y[at < -1] = x[0]
        return y

    x, at = np.arange(8.0).reshape(2, 4), np.array([1.0, -1, 2, -2])
    wanted = [[0, 1, 0, 0], [0, 5, 0, 4]]
    run = vmap(f, in_axes=(0, None))
    np.testing.assert_array_equal(run(x, at), wanted)
    np.testing.assert_array_equal(minigrad.compile(run)(x, at), wanted)
    around = vmap(lambda at: run(x, at))(np.stack([at, -at]))
    np.testing.assert_array_equal(around[0], wanted)
