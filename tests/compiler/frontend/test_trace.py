"""Tracing: what cannot be replayed is refused, and a failure changes nothing."""

import copy
from typing import Any

import numpy as np
import pytest

from minigrad import optim, random
from minigrad.compiler import compile
from minigrad.errors import ShapeError, TraceError, UnsupportedError
from minigrad.functional import dropout
from tests.compiler.steps import X, Y, agree, network, stepper

pytestmark = pytest.mark.unoptimized


def test_numbers_drawn_in_the_step_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(TraceError, match="draws random numbers by rng"):
        compile(lambda x: x + rng.normal(size=3))(np.ones(3))


def test_writing_where_nobody_looks_is_an_error() -> None:
    total = np.zeros(3)

    def add(x: Any) -> None:
        total[...] += x

    with pytest.raises((UnsupportedError, TraceError)):
        compile(add)(np.ones(3))
    assert (total == 0).all()

    def count(x: Any) -> Any:
        total[0] += 1
        return x + total

    with pytest.raises(TraceError, match="changes an array of shape"):
        compile(count)(np.ones(3))
    assert (total == 0).all()

    def view(x: Any) -> Any:
        part = x.reshape(4)
        part += 1
        return x

    with pytest.raises(UnsupportedError, match="share memory"):
        compile(view)(np.ones((2, 2)))


def test_a_function_that_counts_its_runs_is_refused() -> None:
    runs = [0]

    def f(x: Any) -> Any:
        runs[0] += 1
        return x * 2 if runs[0] % 2 else x + 2

    with pytest.raises(TraceError, match=r"changes what is outside of it: .*runs"):
        compile(f)(np.ones(3))
    assert runs == [0]


def test_an_error_of_the_program_leaves_everything_as_it_was() -> None:
    model = network()
    optimizer = optim.Adam(model.parameters())
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    with pytest.raises(ShapeError, match=r"(?s)was given \(6, 2\).*in Sequential.0 \(Linear\)"):
        compile(stepper(model, optimizer))(Y, Y)
    agree((model.state_dict(), optimizer.state_dict()), before)
    assert all(type(p.data) is np.ndarray for p in model.parameters())
    assert stepper(model, optimizer)(X, Y).item() > 0


def test_an_interrupt_leaves_everything_as_it_was() -> None:
    model = network()
    optimizer = optim.Adam(model.parameters())
    train = stepper(model, optimizer)
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    interrupts = [True]

    @compile
    def step(x: Any, y: Any) -> Any:
        loss = train(x, y)
        if interrupts[0]:
            raise KeyboardInterrupt
        return loss

    with pytest.raises(KeyboardInterrupt):
        step(X, Y)
    agree((model.state_dict(), optimizer.state_dict()), before)
    assert all(type(p.data) is np.ndarray and p.grad is None for p in model.parameters())
    interrupts[0] = False
    assert step(X, Y).item() > step(X, Y).item()


def test_the_default_generator_may_be_made_by_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a process in which nothing else has drawn numbers yet."""
    monkeypatch.setattr(random, "default", None)
    drop = compile(lambda x: dropout(x, 0.5))
    x = np.ones(1000, np.float32)
    first, second = drop(x), drop(x)
    assert {*first.tolist()} == {0, 2} and first.tolist() != second.tolist()


def test_random_numbers_of_a_length_or_a_list_of_lengths() -> None:
    rng, again = np.random.default_rng(0), np.random.default_rng(0)
    f = compile(lambda x: (x + random.uniform(rng, 3), random.uniform(rng, [2, 3])))
    for _ in range(2):
        agree(f(np.zeros(3, np.float32)), (again.random(3, "f"), again.random((2, 3), "f")))
