"""What graphs keep for the reverse pass: counted by hand, and beside what Python allocates."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, checkpoint, custom_vjp, explain, nn, scan
from minigrad.viz.backprop.memory import Memory


def leaf(*shape: int) -> Tensor:
    return Tensor(np.full(shape, 0.5), requires_grad=True, name="x")


def kept(memory: Memory) -> dict[str, int]:
    return {x.step.label: x.bytes for x in memory.kept}


def test_values_are_kept_and_views_are_not() -> None:
    x = leaf(10, 20)
    memory = explain(np.sum(np.tanh(x).T.reshape(200)[:50] ** 2)).memory()
    # w2 = tanh; w3 = its transpose, a view; w4 = reshape, which copies here; w5 = a slice, a view.
    assert kept(memory) == {"w2": 1600, "w4": 1600, "w6": 400, "w7": 8}
    assert memory.leaves == 1600 and memory.total == memory.forward == 3608


def test_what_several_steps_use_is_counted_once() -> None:
    x, c = leaf(30), np.arange(30.0)
    memory = explain(np.sum(x * c + x * c + np.reshape(c, (30, 1))[:, 0])).memory()
    constants = [each for each in memory.kept if each.step.op is None]
    assert [each.bytes for each in constants] == [240]  # also what a view of it is
    # Two products, two sums of arrays, and the sum of all.
    assert memory.total == 240 + 4 * 240 + 8


def test_adjoints_are_counted_in_the_reverse_pass() -> None:
    x = leaf(100)
    # At the node of exp(x) there are its adjoint and the term of x, of 800 bytes each.
    memory = explain(np.exp(x)[0]).memory()
    assert (memory.total, memory.reverse - memory.total) == (808, 1600)
    # Of a sum, the adjoint is a view of one number: the term of x is all that is made.
    memory = explain(np.sum(np.exp(x))).memory()
    assert memory.total == 808 and memory.reverse == 808 + 8 + 800


def test_a_branch_that_waits_is_live() -> None:
    x = leaf(1000)
    y = np.exp(x)
    first = np.sin(y) * np.cos(y)
    memory = explain(np.sum(first)).memory()
    assert memory.total == 4 * 8000 + 8
    # At sin(y): its adjoint, its term, and the sum of that and what has come in from cos(y).
    assert memory.reverse - memory.total == 4 * 8000


def test_indices_and_what_rules_keep_are_counted() -> None:
    x = leaf(50)
    index = np.array([3, 1, 2])
    memory = explain(np.sum(x[index] * 2)).memory()
    assert memory.total == 24 + 24 + 24 + 8

    @custom_vjp
    def cube(x: Any) -> Any:
        return x**3

    cube.defvjp(lambda x: (x**3, 3 * x**2), lambda slope, g: (g * slope,))
    memory = explain(np.sum(cube(x))).memory()
    assert memory.total == 400 + 400 + 8  # the result, and the residual


def deep(wrapped: Callable[[Any], Any]) -> Callable[[], Tensor]:
    minigrad.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 64)).astype(np.float32)
    blocks = [
        nn.Sequential(nn.Linear(64, 64, rng=rng), nn.Tanh(), nn.Dropout(0.1)) for _ in range(5)
    ]

    def run() -> Tensor:
        y: Any = x
        for block in blocks:
            y = wrapped(block)(y)
        z: Tensor = np.mean(y**2)
        return z

    return run


def repeated(wrapped: Callable[[Any], Any]) -> Callable[[], Tensor]:
    x = Tensor(np.ones(20_000), requires_grad=True)
    step = wrapped(lambda y, _: (y + 0.001 * np.sin(y), None))
    return lambda: np.sum(scan(step, x, length=60)[0])


@pytest.mark.parametrize("wrapped", [lambda f: f, checkpoint], ids=["kept", "checkpointed"])
@pytest.mark.parametrize("make", [pytest.param(deep, marks=pytest.mark.slow), repeated])
def test_python_allocates_as_much(make: Any, wrapped: Any) -> None:
    run = make(wrapped)
    run().backward()  # gradients of leaves have their memory now
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        z = run()
        now, forward = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        z.backward()
        reverse = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    memory = explain(z).memory()
    given = 500 * 64 * 4 if make is deep else 0  # the input, which was there before
    found = np.array([memory.total, memory.forward, memory.reverse]) - given
    np.testing.assert_allclose(found, np.subtract([now, forward, reverse], before), 0.15)


def test_the_text_lists_the_largest_in_order_with_their_lines() -> None:
    x = leaf(10)
    y: Any = x
    for k in range(20):
        y = y * (k + 2) if k % 2 else np.concatenate([y, y])[: 10 + k]
    text = str(explain(np.sum(y)).memory()).splitlines()
    assert text[0].startswith("kept for the reverse pass: ") and text[0].endswith("leaves: 80 B")
    assert text[-2].startswith("  and 9 more, ") and len(text) == 12 + 3
    labels = [int(line.split()[0][1:]) for line in text[1:-2]]
    assert labels == sorted(labels)
    assert all("test_memory.py:" in line for line in text[1:-2])
    assert max(map(len, text)) < 100
