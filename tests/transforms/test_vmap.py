"""vmap: equal to the loop over the entries."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, grad, hessian, jacobian, jvp, vmap

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
