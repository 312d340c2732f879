"""Which calls wait for which."""

from types import SimpleNamespace
from typing import Any

import numpy as np

import minigrad
from minigrad.compiler.codegen.barriers import (
    SHARED,
    WAIT,
    Span,
    barrier_flags,
    conflict,
    spans_of,
)
from minigrad.compiler.codegen.deduplicate import Call, generate
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.loops.parts import ThreadParts
from minigrad.compiler.pipeline import allocate_memory
from minigrad.compiler.schedule.buffers import plan_buffers
from minigrad.compiler.target.machine import Machine
from tests.compiler.graphs import leaf
from tests.compiler.schedules import MACHINE, normal, scheduled


def test_calls_wait_for_what_was_written_by_others() -> None:
    read, write = [Span(0, 0, 64)], [Span(0, 32, 96)]
    none: list[Any] = []
    assert conflict((none, write), (none, read), 2) and conflict((read, none), (none, write), 2)
    assert conflict((none, write), (read, none), 2)
    assert not conflict((read, none), (read, none), 2)
    assert not conflict((none, [Span(0, 64, 96)]), (none, read), 2)  # they only touch
    assert not conflict((none, [Span(1, 0, 64)]), (none, read), 2)  # of another array


def test_calls_do_not_wait_for_parts_of_the_same_thread() -> None:
    """Of an array of 100 rows of 64 bytes, written and read by rows."""

    def waits(written: ThreadParts, read: ThreadParts, threads: int = 2) -> bool:
        there, here = (Span(0, 0, 6400, parts) for parts in (written, read))
        found = {
            conflict(([here], []), ([], [there]), threads),
            conflict(([], [here]), ([there], []), threads),
            conflict(([], [here]), ([], [there]), threads),
        }
        return found != {False}

    rows = ThreadParts(100, 1, 64, 0, 64)
    assert not waits(rows, rows, 8)
    assert not waits(rows, ThreadParts(100, 1, 64, 4, 12), 8)  # two columns
    assert not waits(rows, ThreadParts(1600, 16, 4, 0, 4))  # entries, in parts of the same bytes
    assert waits(rows, ThreadParts(1600, 1, 4, 0, 4), 3)  # 33 rows and 533 entries
    assert waits(rows, ThreadParts(100, 2, 64, 0, 64), 4)  # 25 rows and 24
    assert waits(rows, ThreadParts(99, 1, 64, 0, 64))
    assert waits(rows, ThreadParts(100, 1, 64, 64, 128))  # the next row
    assert waits(rows, ThreadParts(100, 1, 64, -64, 64))  # and the one before
    assert waits(rows, ThreadParts(100, 1, 0, 0, 6400))  # all of it
    assert not conflict(([], [Span(0, 0, 64)]), ([], [Span(0, 64, 128, rows)]), 2)
    assert conflict(([], [Span(0, 0, 64)]), ([], [Span(0, 0, 64, rows)]), 2)


def test_networks_side_by_side_wait_at_three_calls() -> None:
    """Of a step of 100 networks nearly all kernels share the networks: there were seven waits."""
    machine = Machine(MACHINE.vector, MACHINE.registers, 2)
    x, y = normal(32, 2), normal(32, 2, seed=1)

    def step(layers: Any) -> Any:
        def loss(layers: Any) -> Any:
            h = x
            for w, b in layers[:-1]:
                h = np.tanh(h @ w + b)
            return np.mean((h @ layers[-1][0] + layers[-1][1] - y) ** 2)

        gradient = minigrad.grad(loss)(layers)
        pairs = zip(layers, gradient, strict=True)
        return [(w - 0.1 * dw, b - 0.1 * db) for (w, b), (dw, db) in pairs]

    sizes = ((2, 16), (16, 16), (16, 2))
    layers = [(normal(100, n, m), normal(100, m)) for n, m in sizes]
    it = scheduled(minigrad.vmap(step), layers)
    buffers = plan_buffers(it)
    code = generate(it, buffers, machine)
    calls: Any = code.calls
    memory = allocate_memory(it.graph, [], buffers, code, machine.threads)
    flags = barrier_flags(calls, memory.span, machine.threads)
    assert sum(bool(flag & SHARED) for flag in flags) >= 10
    assert sum(bool(flag & WAIT) for flag in flags) <= 3


def test_a_shared_call_waits_for_what_the_first_thread_wrote() -> None:
    """And a call of the first thread alone does not: it comes after what that did before."""
    x, y, z = leaf(64), leaf(64), leaf(64)
    spans = {x: (0, 0, 256), y: (0, 256, 512), z: (0, 512, 768)}

    def waits(*calls: tuple[bool, Value, Value]) -> list[bool]:
        made: Any = [
            SimpleNamespace(
                shared=shared,
                reads=[read],
                writes=[written],
                combines_threads=False,
                bodies=(),
                source=SimpleNamespace(parts=()),
            )
            for shared, read, written in calls
        ]
        return [bool(flag & WAIT) for flag in barrier_flags(made, spans.__getitem__, 2)]

    assert waits((False, x, y), (True, y, z)) == [False, True]
    assert waits((False, x, y), (False, y, z)) == [False, False]
    assert waits((False, x, y), (True, x, z)) == [False, False]
    assert waits((True, x, y), (False, y, z), (True, z, x)) == [False, True, True]


def test_each_shared_call_waits_once_for_what_it_needs() -> None:
    """A call that reads what threads wrote in parts waits; one that does not, goes on."""
    machine = Machine(MACHINE.vector, MACHINE.registers, 2)
    x, y = (np.ones((300, 200), np.float32) for _ in range(2))

    def f(x: Any, y: Any) -> Any:
        a, b = np.exp(x), np.sin(y.T)  # apart from each other
        return a, b, np.sum(a), np.sum(b, axis=0)[:200] + a[::-1], b @ a

    it = scheduled(f, x, y)
    buffers = plan_buffers(it)
    code = generate(it, buffers, machine)
    calls: Any = [call for call in code.calls if isinstance(call, Call)]
    memory = allocate_memory(it.graph, [], buffers, code, machine.threads)
    flags = barrier_flags(calls, memory.span, machine.threads)
    waited = False
    for k, (call, flag) in enumerate(zip(calls, flags, strict=True)):
        assert bool(flag & SHARED) is call.shared
        before = [c for c in calls[:k] if c.shared]
        used = {*call.reads, *call.writes}
        needs = any(used & {*c.writes} for c in before)
        if flag & WAIT:
            assert any(
                conflict(spans_of(call, memory.span), spans_of(c, memory.span), 2)
                for c in calls[:k]
            )
            waited = True
        elif needs:
            # Then there was one since that all waited at.
            first = min(j for j, c in enumerate(calls[:k]) if used & {*c.writes})
            assert any(other & WAIT for other in flags[first + 1 : k])
    assert waited and sum(call.shared for call in calls) >= 2 and not flags[0] & WAIT
