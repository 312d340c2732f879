"""Captured arrays and arguments that share memory: what is written through one is read through
another, as without compiling, or refused."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, cond, nn, optim, scan, vmap
from minigrad.compiler import compile
from minigrad.errors import UnsupportedError
from minigrad.tensor import value_of
from minigrad.transforms.trees import leaves_of

Wrap = Callable[[Any], Any]
X = np.random.default_rng(0).normal(size=(5, 3))
ONE = np.ones(1)


def numbers(found: Any) -> list[np.ndarray]:
    return [np.array(value_of(x)) for _, x in leaves_of(found)]


def check_same(program: Callable[[Wrap], Any]) -> None:
    """Compare a program of a compiled function, which makes its own arrays, with the original."""
    compiled, eager = numbers(program(compile)), numbers(program(lambda f: f))
    assert len(compiled) == len(eager)
    for x, y in zip(compiled, eager, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12)


def pair(second: Any = lambda x: x) -> tuple[Tensor, Tensor]:
    """Two Tensors of the same memory."""
    x = np.arange(1.0, 5.0)
    return Tensor(x), Tensor(second(x))


def doubling(wrap: Wrap, a: Tensor, b: Tensor) -> Any:
    @wrap
    def step(k: Any) -> Any:
        before = b * 1.0
        a.data[...] = a.data * 2
        return before, b * k, a + 0.0

    return [step(ONE) for _ in range(3)], a, b


SAME: list[Any] = [
    lambda x: x,
    lambda x: x[:],
    lambda x: x.reshape(2, 2).reshape(4),
    lambda x: x.view(np.int64).view(np.float64),
]


@pytest.mark.parametrize("second", SAME)
def test_the_same_memory_is_one_value(second: Any) -> None:
    check_same(lambda wrap: doubling(wrap, *pair(second)))


@pytest.mark.parametrize("second", [lambda x: x[::-1], lambda x: x[1:], lambda x: x.reshape(2, 2)])
def test_other_overlaps(second: Any) -> None:
    a, b = pair(second)
    with pytest.raises(UnsupportedError, match=r"a of shape \(4,\), which shares memory with b of"):
        doubling(compile, a, b)
    assert a.data.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_parts_of_one_array_that_do_not_overlap() -> None:
    def program(wrap: Wrap, part: Any, other: Any) -> Any:
        x = np.arange(1.0, 17.0).reshape(4, 4)
        return doubling(wrap, Tensor(x[part]), Tensor(x[other]))

    columns: Any = np.s_[:, 0], np.s_[:, 1]
    for part, other in [(np.s_[:2], np.s_[2:]), columns, (np.s_[::2], np.s_[1::2])]:
        check_same(lambda wrap, part=part, other=other: program(wrap, part, other))  # type: ignore[misc]


def test_arrays_and_tensors_of_the_same_memory() -> None:
    def program(wrap: Wrap) -> Any:
        x = np.arange(1.0, 4.0)
        t, held = Tensor(x), (x, "name")

        @wrap
        def step(k: Any) -> Any:
            first = x * 1.0
            t.data[...] = t.data * 2
            second = held[0] * k
            x[0] = 9.0 * k[0]  # as it is a Tensor's
            return first, second, t + 0.0

        return [step(ONE) for _ in range(3)], x, t

    check_same(program)


def test_buffers_of_python() -> None:
    buffer = bytearray(np.arange(3.0).tobytes())
    of_buffer, own = Tensor(np.frombuffer(buffer)), Tensor(np.zeros(3))

    def step(t: Any, x: Any) -> Any:
        t.data[...] = t.data + 1
        return np.frombuffer(buffer) * x

    with pytest.raises(
        UnsupportedError, match=r"shares memory with a captured array of shape \(24,\)"
    ):
        compile(partial(step, of_buffer))(ONE)
    of_argument = compile(step)
    for _ in range(2):  # which runs uncompiled where it shares memory
        assert of_argument(own, ONE).tolist() == np.frombuffer(buffer).tolist()
        assert of_argument(of_buffer, ONE).tolist() == np.frombuffer(buffer).tolist()
    del of_buffer
    of_argument.specializations.clear()
    buffer.extend(b"12345678")  # nothing keeps it from being resized


def test_an_array_of_its_own_is_not_what_the_others_see() -> None:
    def assigned(t: Tensor) -> None:
        t[0] = 5.0

    def added(t: Tensor) -> None:
        t += 1.0

    def rebound(t: Tensor) -> None:
        t.data = t.data * 2

    for write in (assigned, added, rebound):
        a, b = pair()

        @compile
        def step(k: Any, a: Any = a, b: Any = b, write: Any = write) -> Any:
            write(a)
            return b * k

        with pytest.raises(UnsupportedError, match=r"\(4,\) that shares .*: a Tensor, a Tensor\. "):
            step(ONE)
        b.data = b.data.copy()
        assert step(ONE).data.tolist() == [1.0, 2.0, 3.0, 4.0]
    x = np.zeros(3)
    t = Tensor(x)

    @compile
    def with_array(k: Any) -> Any:
        added(t)
        return x * k

    with pytest.raises(UnsupportedError, match=r"others: t, x\. By .* write t.data\[...\] = y"):
        with_array(ONE)


def test_memory_that_is_shared_later() -> None:
    def program(wrap: Wrap) -> Any:
        a, b = Tensor(np.arange(3.0)), Tensor(np.arange(1.0, 4.0))

        @wrap
        def step(k: Any) -> Any:
            a.data[...] = a.data * 2
            return b * k

        found = [step(ONE), step(ONE)]
        for x in (a.data, np.arange(3.0), a.data):
            b.data = x
            found += [step(ONE), step(ONE)]
        a.data = b.data = np.ones(3)
        return [*found, step(ONE), step(a), step(a.data[::-1].copy())], a, b

    check_same(program)


def test_tied_parameters() -> None:
    def program(wrap: Wrap, second: Any) -> Any:
        whole = np.arange(1.0, 7.0).reshape(2, 3)
        a, b = (Tensor(x, requires_grad=True) for x in (whole, second(whole)))
        optimizer = optim.Adam([a, b], lr=0.1)

        @wrap
        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = ((x @ a.T) ** 2).sum() + (b**3).sum()
            loss.backward()
            optimizer.step()
            return loss

        return [step(X) for _ in range(3)], a, b, whole

    for second in SAME[:2]:
        check_same(lambda wrap, second=second: program(wrap, second))  # type: ignore[misc]


def test_layers_and_states_of_optimizers() -> None:
    def norms(wrap: Wrap) -> Any:
        first, second = nn.BatchNorm1d(3).train(), nn.BatchNorm1d(3).train()
        assert first.running_mean is not None and second.running_mean is not None
        second.running_mean.data = first.running_mean.data
        mean = first.running_mean
        f = wrap(lambda x: (second(first(x)), mean * 1.0))
        return [f(X) for _ in range(3)], second.running_mean

    def slots(wrap: Wrap) -> Any:
        a, b = (Tensor(np.arange(3.0) + k, requires_grad=True) for k in range(2))
        optimizer = optim.SGD([a, b], lr=0.1, momentum=0.9)
        (name,) = optimizer.states[0]
        optimizer.states[1][name] = momentum = optimizer.states[0][name]

        @wrap
        def step(x: Any) -> Any:
            optimizer.zero_grad()
            (x * a * b).sum().backward()
            before = momentum * 1.0
            optimizer.step()
            return before, momentum * 1.0

        return [step(X) for _ in range(3)], a, b

    def squares(wrap: Wrap) -> Any:
        a = Tensor(np.arange(1.0, 4.0), requires_grad=True)
        optimizer = optim.Adam([a], lr=0.1)
        state = optimizer.states[0]
        state["exp_avg_sq"] = state["exp_avg"]  # of gradients that are positive

        @wrap
        def step(x: Any) -> Any:
            optimizer.zero_grad()
            (x * x * a).sum().backward()
            optimizer.step()

        return [step(X) for _ in range(3)], a, state["exp_avg"]

    check_same(norms)
    check_same(slots)
    check_same(squares)


def test_each_tensor_has_its_own_gradient() -> None:
    def program(wrap: Wrap, inside: bool, second: bool = True) -> Any:
        x = np.arange(1.0, 4.0)
        a, b = Tensor(x, requires_grad=True), Tensor(x, requires_grad=second)

        @wrap
        def loss(rows: Any) -> Any:
            last, _ = scan(lambda c, row: (np.tanh(c * a + row * b), c), np.ones(3), rows)
            found = (last * a * a * b).sum()
            if inside:
                found.backward()
            return found

        for _ in range(2):
            if not inside:
                loss(X).backward()
            else:
                loss(X)
        return a.grad, b.grad if second else b

    for inside in (False, True):
        check_same(lambda wrap, inside=inside: program(wrap, inside))  # type: ignore[misc]
    check_same(lambda wrap: program(wrap, False, second=False))


def test_in_bodies_and_batches() -> None:
    def loop(wrap: Wrap) -> Any:
        a, b = pair(lambda x: x[:])

        def body(c: Any, row: Any) -> Any:
            a.data[...] = a.data * 1.1 + row[0]
            return c + b.sum(), b * 1.0

        f = wrap(lambda rows: scan(body, np.zeros(()), rows))
        return [f(X) for _ in range(2)], a, b

    def branch(wrap: Wrap) -> Any:
        a, b = pair()

        def yes(x: Any) -> Any:
            a.data[...] = a.data + x
            return b * 1.0

        f = wrap(lambda x: cond(x > 0, yes, lambda x: b * 2.0, x))
        return [f(np.array(x)) for x in (1.0, -1.0, 2.0)], a, b

    def batch(wrap: Wrap) -> Any:
        a, b = pair()

        def f(rows: Any) -> Any:
            a.data[...] = a.data * 2
            return vmap(lambda row: np.sum(row) * b.data)(rows)

        step = wrap(f)
        return [step(X) for _ in range(2)], a, b

    for program in (loop, branch, batch):
        check_same(program)


def test_arrays_whose_own_entries_overlap() -> None:
    def windows() -> np.ndarray:
        return np.lib.stride_tricks.as_strided(np.arange(5.0), (3, 3), (8, 8))

    def write(t: Any) -> Any:
        t.data[0] = t.data[1] * 2.0
        return t * 1.0

    t = Tensor(windows())
    with pytest.raises(UnsupportedError, match="some entries are the same memory"):
        compile(partial(write, t))()
    of_argument = compile(write)
    for x in (np.ones((3, 3)), windows(), np.ones((3, 3)).T, np.ones((6, 6))[::-2, ::2]):
        np.testing.assert_array_equal(of_argument(Tensor(x.copy("K"))), write(Tensor(x.copy("K"))))
    assert of_argument(Tensor(windows())).data.tolist() == write(Tensor(windows())).data.tolist()
