"""jacrev, jacfwd, jacobian, hessian: by batched passes, as entry by entry."""

import importlib
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, grad, hessian, jacfwd, jacobian, jacrev, jvp, vjp, vmap
from minigrad.errors import GradientError
from minigrad.extend import defvjp, primitive
from minigrad.transforms.trees import flat
from tests import calls

X = np.array([0.5, -1.0, 2.0])
Z = np.array([1 + 2j, -0.5 + 0.3j])
WAYS = {"jacrev": jacrev, "jacfwd": jacfwd, "jacobian": jacobian}


def same(got: Any, expected: Any) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11)


def one_by_one(f: Any, x: np.ndarray) -> Any:
    """By one vjp for each entry of the output."""
    y, pull_back = vjp(f, x)
    rows = [pull_back(row.reshape(y.shape))[0] for row in np.eye(y.size)]
    return np.reshape(rows, y.shape + x.shape)


FUNCTIONS: dict[str, tuple[Any, np.ndarray]] = {
    "elementwise": (lambda x: np.sin(x) * np.exp(x[::-1]), X),
    "more outputs": (lambda x: np.outer(x, x * x), X),
    "more inputs": (lambda x: np.sum(x, axis=1) ** 2, calls.STACK),
    "matrices": (lambda a: np.linalg.inv(a) @ a.T, calls.ROOT),
    "solve": (lambda a: np.linalg.solve(a, a[0] ** 2), calls.ROOT),
    "sort": (lambda x: np.sort(x) * x, X),
    "softmax": (lambda x: np.exp(x) / np.sum(np.exp(x)), X),
    "indices": (lambda x: x[[2, 0, 2]] * x[1], X),
    "a number": (lambda x: np.sum(x**3), X),
    "scan": (lambda x: minigrad.scan(lambda c, r: (np.sin(c * r), c), x[0], x)[1], X),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
@pytest.mark.parametrize(("f", "x"), FUNCTIONS.values(), ids=list(FUNCTIONS))
def test_a_batch_is_as_one_by_one(f: Any, x: np.ndarray, way: Any) -> None:
    found = way(f)(x)
    assert found.flags.c_contiguous and found.flags.writeable
    same(found, one_by_one(f, x))


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_large_batches_are_cut(way: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("minigrad.transforms.jacobian")
    monkeypatch.setattr(module, "AT_ONCE", 20)
    f, x = FUNCTIONS["more outputs"]
    same(way(f)(x), one_by_one(f, x))


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_nests_several_arguments_and_dtypes(way: Any) -> None:
    def f(p: Any, y: Any) -> Any:
        return {"product": p["a"] * y, "largest": np.argmax(p["a"]), "one": np.ones(2)}

    single = X.astype(np.float32)
    for k, j in enumerate(zip(*way(f, (0, 1))({"a": single}, 2.0).values(), strict=True)):
        assert all(x.dtype == (np.float32, float)[k] for x in flat(j))
    found = way(f, (0, 1))({"a": single}, 2.0)
    same(found["product"][0]["a"], 2 * np.eye(3))
    same(found["product"][1], X)
    same(found["largest"][0]["a"], np.zeros(3))
    same(found["one"][0]["a"], np.zeros((2, 3)))
    same(way(lambda x: x[:0])(X), np.zeros((0, 3)))


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_results_have_memory_of_their_own(way: Any) -> None:
    ja, jb = way(lambda a, b: a + b, (0, 1))(X, X)
    assert not np.shares_memory(ja, jb)
    ja[...] = 0
    same(jb, np.eye(3))


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_inside_of_other_transforms(way: Any) -> None:
    def f(x: Any) -> Any:
        return np.sum(way(lambda y: np.sin(y) * x[0])(x) ** 2)

    def plain(x: Any) -> Any:
        return np.sum((np.cos(x) * x[0]) ** 2)

    same(f(X), plain(X))
    same(grad(f)(X), grad(plain)(X))
    same(jvp(f, (X,), (X,))[1], jvp(plain, (X,), (X,))[1])
    same(hessian(f)(X), hessian(plain)(X))
    same(minigrad.compile(grad(f))(X), grad(plain)(X))
    same(vmap(way(lambda y: y**2))(np.stack([X, 2 * X])), [np.diag(2 * X), np.diag(4 * X)])


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_of_tensors(way: Any) -> None:
    found = way(lambda x: x**2)(Tensor(X))
    assert isinstance(found, Tensor) and not found.requires_grad
    w = Tensor(2.0, requires_grad=True)
    found = way(lambda x: w * x**2)(X)
    np.sum(found).backward()
    same(w.grad, np.sum(2 * X))


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_complex_numbers(way: Any) -> None:
    same(way(lambda z: z**2)(Z), np.diag(2 * Z))
    same(way(lambda z: np.abs(z) ** 2)(Z), np.diag(2 * Z.conj()))
    same(way(lambda x: np.exp(1j * x))(X), np.diag(1j * np.exp(1j * X)))
    with pytest.raises(GradientError, match="not holomorphic"):
        way(np.conj)(Z)


def test_rules_that_read_numbers_are_run_one_by_one() -> None:
    @primitive
    def square(x: Any) -> Any:
        return x * x

    shapes = []

    def rule(ans: Any, x: Any) -> Any:
        def pull(g: Any) -> Any:
            shapes.append(np.shape(g))
            return np.array([2 * float(a) * float(b) for a, b in zip(x, g, strict=True)])

        return pull

    defvjp(square, rule)
    same(jacrev(square)(X), np.diag(2 * X))
    assert set(shapes) == {(3,)}


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_of_a_compiled_loop(way: Any) -> None:
    f, x = FUNCTIONS["scan"]
    expected = one_by_one(f, x)
    same(way(minigrad.compile(f))(x), expected)
    same(minigrad.compile(way(f))(x), expected)


def test_a_hessian_of_several_arguments() -> None:
    def f(a: Any, b: Any) -> Any:
        return np.sum(a**2 * b)

    (aa, ab), (ba, bb) = hessian(f, (0, 1))(X, 3.0)
    same(aa, 6 * np.eye(3))
    same(ab, 2 * X)
    same(ba, 2 * X)
    same(bb, 0)


def test_a_hessian_of_several_results_and_aux() -> None:
    found, aux = hessian(lambda x: (x**3 * x[0], np.sum(x)), has_aux=True)(X)
    wanted = np.zeros((3, 3, 3))  # second derivatives of x0 * xk**3, and of x0**4
    for k in (1, 2):
        wanted[k, k, k] = 6 * X[0] * X[k]
        wanted[k, 0, k] = wanted[k, k, 0] = 3 * X[k] ** 2
    wanted[0, 0, 0] = 12 * X[0] ** 2
    same(found, wanted)
    same(aux, X.sum())


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_by_no_arguments(way: Any) -> None:
    assert way(lambda x: x * 2, ())(X) == ()
    assert hessian(lambda x: np.sum(x), ())(X) == ()


@pytest.mark.parametrize("outer", [jacfwd, jacrev])
def test_second_derivatives_of_eigenvalues_and_singular_values(outer: Any) -> None:
    a = np.random.default_rng(0).normal(size=(3, 3))
    for f in (lambda a: np.linalg.eigvalsh(a + a.T), lambda a: np.linalg.svd(a)[1]):
        whole = outer(jacrev(f))(a)
        each = [hessian(lambda a, f=f, k=k: f(a)[k])(a) for k in range(3)]
        np.testing.assert_allclose(whole, each, rtol=1e-9, atol=1e-9)
        h = 1e-5
        steps = np.eye(9).reshape(3, 3, 3, 3) * h
        rows = [[(jacrev(f)(a + d) - jacrev(f)(a - d)) / (2 * h) for d in row] for row in steps]
        np.testing.assert_allclose(
            whole, np.moveaxis(np.array(rows), (0, 1), (3, 4)), rtol=1e-5, atol=1e-5
        )
