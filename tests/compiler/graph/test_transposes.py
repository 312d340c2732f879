"""Transposes are pushed into the factors of products, where that gains something."""

from typing import Any

import numpy as np

import minigrad
from minigrad.compiler.graph.ir import Value, name_of
from minigrad.compiler.graph.opset.infer import apply
from minigrad.compiler.graph.transposes import push_transposes
from tests.compiler.graphs import (
    changed,
    graph_of,
    leaf,
    ops_of,
)


def transposed(x: Value) -> Value:
    """An array with its last two axes swapped."""
    n = len(x.shape)
    return apply("transpose", x, axes=(*range(n - 2), n - 1, n - 2))


def test_a_transposed_product_is_the_product_of_transposes() -> None:
    x, y, z = leaf(4, 5), leaf(5, 6), leaf(6, 5)
    (found,) = changed(push_transposes, transposed(apply("matmul", x, y)))
    assert name_of(found) == "matmul" and ops_of(found)["transpose"] == 2
    (found,) = changed(
        push_transposes, transposed(apply("matmul", transposed(x), transposed(leaf(7, 4))))
    )
    assert ops_of(found) == {"matmul": 1, "input": 2}
    stack = apply("matmul", leaf(2, 1, 4, 5), leaf(3, 5, 6))
    (found,) = changed(push_transposes, transposed(stack))
    assert name_of(found) == "matmul" and found.shape == (2, 3, 6, 4)
    # Elementwise ops of products, also where one of them is transposed already.
    total = apply("add", apply("matmul", x, y), transposed(apply("matmul", z, transposed(x))))
    total = apply("mul", apply("tanh", total), 2.0)
    (found,) = changed(push_transposes, transposed(total))
    assert name_of(found) == "mul" and ops_of(found)["matmul"] == 2
    # Of a layer, x @ w.T.
    (found,) = changed(push_transposes, transposed(apply("linear", x, leaf(6, 5))))
    assert name_of(found) == "matmul" and ops_of(found)["transpose"] == 1
    # A transpose inside of another.
    inner = apply("exp", transposed(apply("matmul", x, y)))
    (found,) = changed(
        push_transposes, transposed(apply("tanh", transposed(transposed(apply("neg", inner)))))
    )
    assert name_of(found) == "tanh" and found.shape == (4, 6)


def test_long_chains_take_linear_time() -> None:
    """Each value is visited once, not along every path."""
    x = leaf(5, 5)
    for _ in range(60):
        y = transposed(apply("matmul", x, leaf(5, 5)))
        x = transposed(apply("add", apply("tanh", y), transposed(apply("add", y, y))))
    assert len(push_transposes(graph_of(x)).order) < 600


def test_transposed_products_stay_if_both_are_needed_or_nothing_is_gained() -> None:
    x, y = leaf(4, 5), leaf(5, 6)
    product = apply("matmul", x, y)
    twice = apply("mul", product, product)
    beside = apply("mul", product, leaf(4, 6))
    for outputs in [
        (product, transposed(product)),
        (transposed(product), apply("neg", transposed(product))),
        (transposed(twice),),
        (transposed(beside),),  # then `beside` would be read transposed
        (transposed(apply("matmul", leaf(3, 5), y)),),  # too narrow
        (transposed(apply("exp", x)),),
        (apply("transpose", apply("matmul", leaf(2, 4, 5), y), axes=(1, 0, 2)),),
    ]:
        assert changed(push_transposes, *outputs) == [*outputs]


def test_stacks_of_no_matrices() -> None:
    def f(a: Any, b: Any) -> Any:
        return np.sum(np.sin(np.linalg.solve(np.swapaxes(a, -1, -2), b * 2)))

    a, b = np.ones((0, 7, 7)), np.ones((0, 7, 2))
    found = minigrad.compile(minigrad.grad(f, (0, 1)))(a, b)
    assert [x.shape for x in found] == [a.shape, b.shape]
