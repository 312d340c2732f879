"""What the derivative of a loop reads from the loop, and what it computes again."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import fori_loop, grad, hessian, scan, while_loop
from minigrad.compiler.graph.ir import Graph, name_of
from minigrad.compiler.graph.opset.control import LOOP
from minigrad.compiler.graph.simplify import simplify

XS = np.linspace(-1.0, 1.0, 6).reshape(3, 2)


def loops_of(f: Any, *args: Any) -> list[Graph]:
    """The bodies of the loops of a compiled function, which equals the function."""
    compiled = minigrad.compile(f)
    np.testing.assert_allclose(compiled(*args), f(*args), rtol=1e-10, atol=1e-12)
    graph = simplify(compiled.specializations[0].traced.graph)
    return [x.attributes["body"] for x in graph.order if x.op is LOOP]


def ops_in(body: Graph) -> Counter[str | None]:
    return Counter(map(name_of, body.order))


def loss(w: Any) -> Any:
    def step(h: Any, x: Any) -> Any:
        z = np.tanh(w @ h + x)
        return z * 2 + np.exp(z), np.sin(z)

    h, ys = scan(step, np.ones(2), XS)
    return np.sum(h) + np.sum(ys**2)


W = np.array([[0.3, -0.8], [1.1, 0.4]])


def test_slow_ops_are_not_computed_again() -> None:
    first, second = loops_of(grad(loss), W)
    found = ops_in(first), ops_in(second)
    assert found[0]["tanh"] == found[0]["exp"] == found[0]["sin"] == 1
    assert not found[1]["tanh"] + found[1]["exp"] + found[1]["sin"]
    assert found[1]["cos"] == 1  # which the first one has not computed


def test_cheap_ops_are_computed_again() -> None:
    def f(x: Any) -> Any:
        return np.sum(scan(lambda c, t: (((c + t) * c + 1) * c, None), x, XS)[0])

    first, second = loops_of(grad(f), np.ones(2))
    assert len(first.outputs) == 2  # the carry, and that with which rounds begin
    assert ops_in(second)["add"] >= 2


def test_a_loop_in_between_is_not_kept() -> None:
    def f(x: Any) -> Any:
        def step(c: Any, t: Any) -> Any:
            return fori_loop(0, 50, lambda i, d: np.sin(d) + t, c), None

        return np.sum(scan(step, x, XS)[0])

    first, _ = loops_of(grad(f), np.ones(2))
    assert all(x.shape == (2,) for x in first.outputs)


@pytest.mark.parametrize("reverse", [False, True])
def test_rows_of_both_directions(reverse: bool) -> None:
    def f(x: Any) -> Any:
        c, ys = scan(lambda c, t: (np.tanh(c * t), np.exp(c)), x, XS, reverse=reverse)
        return np.sum(c) + np.sum(ys * XS)

    loops_of(grad(f), np.array([0.3, 0.7]))
    loops_of(hessian(f), np.array([0.3, 0.7]))


def test_rounds_that_were_not_reached() -> None:
    def f(a: Any) -> Any:
        return while_loop(lambda x: x < 3, lambda x: x + np.exp(-a * x), a, bound=40)

    _, second = loops_of(grad(f), np.array(0.4))
    assert not ops_in(second)["exp"]
    assert len(loops_of(grad(grad(f)), np.array(0.4))) > 2


def test_other_rows_are_not_mistaken_for_these() -> None:
    def f(x: Any) -> Any:
        _, first = scan(lambda c, t: (np.sin(c + t), c), x, XS)
        # The same body, over the rows of the first, from another carry.
        _, second = scan(lambda c, t: (np.sin(c + t), c), x * 0.5, first)
        return np.sum(first * second)

    loops_of(grad(f), np.array([0.3, 0.7]))
    loops_of(grad(lambda x: f(x) + f(2 * x)), np.array([0.3, 0.7]))
