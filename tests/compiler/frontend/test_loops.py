"""Loops and branches in compiled functions: they are traced once, and equal the loops of Python."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, cond, fori_loop, grad, hessian, jvp, scan, while_loop
from minigrad.transforms.trees import flat

XS = np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]])
W = np.array([[0.3, -0.8], [1.1, 0.4]])
H = np.ones(2)


def check(f: Callable[..., Any], *args: Any) -> Any:
    """Compiled, f is what it is op by op. Returns the compiled function."""
    compiled = minigrad.compile(f)
    pairs = zip(flat(f(*args)), flat(compiled(*args)), strict=True)
    for expected, got in pairs:
        assert isinstance(got, Tensor) == isinstance(expected, Tensor)
        expected, got = (x.data if isinstance(x, Tensor) else x for x in (expected, got))
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    return compiled


def network(w: Any, h: Any, xs: Any) -> Any:
    def step(h: Any, x: Any) -> Any:
        h = np.tanh(w @ h + x)
        return h, h * h

    return scan(step, h, xs)


def loss(w: Any, h: Any, xs: Any) -> Any:
    h, ys = network(w, h, xs)
    return np.sum(h) + np.sum(ys**2)


def root(a: Any) -> Any:
    return while_loop(lambda x: np.abs(x * x - a) > 1e-12, lambda x: (x + a / x) / 2, a, bound=50)


def test_scan() -> None:
    check(network, W, H, XS)
    check(lambda xs: scan(lambda c, x: (c + x, c), 0.0, xs, reverse=True), XS[:, 0])


def test_its_graph_does_not_grow_with_the_rounds() -> None:
    compiled = check(lambda xs: scan(lambda c, x: (c + x, None), 0.0, xs)[0], np.ones(1000))
    assert len(compiled.specializations[0].traced.graph.order) < 10


@pytest.mark.parametrize("k", range(3))
def test_derivatives_of_scan(k: int) -> None:
    check(grad(loss, k), W, H, XS)
    check(hessian(loss, k), W, H, XS)


def test_jvp_of_scan() -> None:
    check(lambda *args: jvp(loss, args, args), W, H, XS)


def test_fori_loop() -> None:
    check(lambda x: fori_loop(0, 5, lambda i, c: c * x + i, 1.0), np.array(2.0))
    check(lambda n: fori_loop(1, n, lambda i, c: c * 2 + i, 1.0), np.array(7))
    check(grad(lambda x: fori_loop(0, 5, lambda i, c: c * x + i, x)), np.array(2.0))


def test_while_loop() -> None:
    check(root, np.array(2.0))
    f: Any = root
    for _ in range(3):
        f = grad(f)
        check(f, np.array(2.0))


@pytest.mark.parametrize("sign", [1, -1])
def test_cond(sign: int) -> None:
    def f(x: Any) -> Any:
        return cond(np.sum(x) > 0, lambda x: W[0, 0] * x**3, lambda x: -x, x)

    check(f, sign * H)
    check(grad(lambda x: np.sum(f(x))), sign * H)
    check(hessian(lambda x: np.sum(f(x))), sign * H)
