"""Gradients that a compiled function finds, makes, leaves and clears, as without compiling.

Each case gives what is called again and again, and what is looked at after each call; the parts
that `maybe` marks are compiled, or not.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, optim
from minigrad.errors import GradientError

pytestmark = pytest.mark.unoptimized

X = np.arange(1.0, 4.0)
Maybe = Callable[[Callable[..., Any]], Callable[..., Any]]
Case = tuple[Callable[[], Any], Callable[[], list[Any]]]


def parameter() -> Tensor:
    return Tensor(np.ones(3), requires_grad=True)


def cleared_last(maybe: Maybe) -> Case:
    w = parameter()
    optimizer = optim.SGD([w], lr=0.1)

    def step() -> Any:
        loss = (w * X).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return maybe(step), lambda: [w.data, w.grad]


def left_for_a_step_outside(maybe: Maybe) -> Case:
    w = parameter()
    optimizer = optim.SGD([w], lr=0.1)

    def back() -> Any:
        optimizer.zero_grad()
        loss = (w * w * X).sum()
        loss.backward()
        return loss

    compiled = maybe(back)

    def step() -> None:
        compiled()
        optimizer.step()

    return step, lambda: [w.data, w.grad]


def never_reached(maybe: Maybe) -> Case:
    used, unused = parameter(), parameter()
    optimizer = optim.AdamW([used, unused], lr=0.1, weight_decay=0.5)

    def step() -> None:
        (used * X).sum().backward()
        optimizer.step()

    return maybe(step), lambda: [used.data, unused.data, used.grad, unused.grad]


def asked_for(maybe: Maybe) -> Case:
    w, seen = parameter(), [X]
    scaled = maybe(lambda: X * (1.0 if w.grad is None else 2.0))

    def call() -> None:
        seen.append(scaled())
        w.grad = np.ones(3) if len(seen) % 2 else None

    return call, lambda: [seen[-1]]


def accumulated_over_calls(maybe: Maybe) -> Case:
    w, calls = parameter(), [0]
    optimizer = optim.SGD([w], lr=0.1)

    def back(x: Any) -> None:
        (w * w * x).sum().backward()

    compiled = maybe(back)

    def call() -> None:
        calls[0] += 1
        compiled(X)
        if calls[0] % 3 == 0:
            optimizer.step()
            optimizer.zero_grad()

    return call, lambda: [w.data, w.grad]


def accumulated_inside(maybe: Maybe) -> Case:
    w = parameter()
    optimizer = optim.SGD([w], lr=0.1)

    def step() -> None:
        for _ in range(2):
            (w * w * X).sum().backward()
        optim.clip_grad_norm_([w], 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return maybe(step), lambda: [w.data, w.grad]


def by_hand(maybe: Maybe) -> Case:
    w = parameter()

    def step() -> None:
        (w * w * X).sum().backward()
        w.data -= 0.1 * w.grad
        w.grad = None

    return maybe(step), lambda: [w.data, w.grad]


def only_the_update(maybe: Maybe) -> Case:
    w = parameter()
    optimizer = optim.SGD([w], lr=0.1)

    def update() -> None:
        optim.clip_grad_norm_([w], 1.0)
        optimizer.step()
        optimizer.zero_grad()

    compiled = maybe(update)

    def step() -> None:
        (w * w * X).sum().backward()
        compiled()

    return step, lambda: [w.data, w.grad]


def never_cleared(maybe: Maybe) -> Case:
    w = parameter()
    optimizer = optim.SGD([w], lr=0.1)

    def step() -> None:
        (w * w * X).sum().backward()
        optimizer.step()

    return maybe(step), lambda: [w.data, w.grad]


def an_update_before_there_is_a_gradient(maybe: Maybe) -> Case:
    """An optimiser leaves out what has no gradient, also where it is cleared afterwards."""
    w = parameter()
    optimizer = optim.SGD([w], lr=0.1, momentum=0.5)

    def update() -> Any:
        optimizer.step()
        optimizer.zero_grad()

    compiled = maybe(update)

    def calls() -> Any:
        compiled()
        (w * w * X).sum().backward()
        compiled()

    return calls, lambda: [w.data, w.grad]


def cleared_and_left_by_another_step(maybe: Maybe) -> Case:
    """Also where a step before it has used the gradient up."""
    w, v = parameter(), parameter()
    of_w, of_v = optim.SGD([w], lr=0.1), optim.SGD([v], lr=0.1)

    def first() -> Any:
        of_w.zero_grad()
        (w * X).sum().backward()
        of_w.step()

    def second() -> Any:
        of_w.zero_grad()
        of_v.zero_grad()
        (w * v * X).sum().backward()
        of_v.step()

    one, other = maybe(first), maybe(second)
    return lambda: (one(), other()), lambda: [w.data, v.data, w.grad]


CASES = [an_update_before_there_is_a_gradient, cleared_and_left_by_another_step]
CASES += [cleared_last, left_for_a_step_outside, never_reached, asked_for, accumulated_over_calls]
CASES += [accumulated_inside, by_hand, only_the_update, never_cleared]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_gradients_are_those_of_the_function_itself(case: Callable[[Maybe], Case]) -> None:
    plain, plain_state = case(lambda f: f)
    compiled, compiled_state = case(minigrad.compile)
    for _ in range(4):
        plain()
        compiled()
        for expected, found in zip(plain_state(), compiled_state(), strict=True):
            assert (expected is None) == (found is None)
            if expected is not None:
                np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_gradients_that_are_used_up_in_some_calls_and_added_to_in_others() -> None:
    w = parameter()
    optimizer = optim.SGD([w], lr=0.1)

    def step(x: Any, clear: bool) -> Any:
        if clear:
            optimizer.zero_grad()
        loss = (w * x).sum()
        loss.backward()
        optimizer.step()
        return loss

    compiled = minigrad.compile(step)
    compiled(X, True)
    np.testing.assert_allclose(w.data, 1 - 0.1 * X)
    for refused in (lambda: compiled(X, False), lambda: step(X, False), optimizer.step):
        with pytest.raises(GradientError, match=r"used up by a compiled step.*zero_grad\(\)"):
            refused()
    np.testing.assert_allclose(w.data, 1 - 0.1 * X)
    other = minigrad.compile(step)  # cleared outside, it adds
    optimizer.zero_grad()
    for factor in (1, 3, 6):
        other(X, False)
        np.testing.assert_allclose(w.data, 1 - 0.1 * X * (1 + factor), rtol=1e-12)
    compiled(X[:1] * np.ones(3), True)
    compiled(np.ones((2, 3)), True)  # another version that clears


COMPILED = {"both": (True, True), "the first": (True, False), "the second": (False, True)}


@pytest.mark.parametrize("kind", COMPILED)
@pytest.mark.parametrize("detached", [True, False])
@pytest.mark.parametrize("cleared_last", [True, False])
def test_two_networks_that_train_against_each_other(
    kind: str, detached: bool, cleared_last: bool
) -> None:
    """Each step leaves gradients in the other's parameters, which the other then clears."""

    def run(compiled: tuple[bool, bool]) -> list[Any]:
        a, b = Tensor([0.5, -1.0], True), Tensor([2.0, 3.0], True)
        makes, judges = optim.Adam([a], lr=0.1), optim.SGD([b], lr=0.1, momentum=0.9)

        def judge(x: Any) -> Any:
            if not cleared_last:
                judges.zero_grad()
            made = (a * x).detach() if detached else a * x
            loss = np.sum((b * x - 1) ** 2) + np.sum((b * made + 1) ** 2)
            loss.backward()
            judges.step()
            if cleared_last:
                judges.zero_grad()
            return loss

        def make(x: Any) -> Any:
            if not cleared_last:
                makes.zero_grad()
            loss = np.sum((b * a * x - 1) ** 2)
            loss.backward()
            makes.step()
            if cleared_last:
                makes.zero_grad()
            return loss

        steps = [
            minigrad.compile(f) if on else f for f, on in zip((judge, make), compiled, strict=True)
        ]
        losses = [f(X[:2] + k).item() for k in range(3) for f in (steps[0], *steps)]
        return [losses, a.data, b.data]

    for found, expected in zip(run(COMPILED[kind]), run((False, False)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_function_that_reads_a_gradient_that_was_used_up() -> None:
    w = parameter()
    optimizer = optim.SGD([w], lr=0.1)

    @minigrad.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = (w * x).sum()
        loss.backward()
        optimizer.step()
        return loss

    norm = minigrad.compile(lambda: 0.0 if w.grad is None else (w.grad**2).sum())
    clip = minigrad.compile(lambda: optim.clip_grad_norm_([w], 1.0))
    step(X)
    for reads in (norm, clip):
        with pytest.raises(GradientError, match="used up"):
            reads()
    w.grad = X.copy()  # known again
    np.testing.assert_allclose(norm(), 14)
    np.testing.assert_allclose(clip(), 14**0.5)
