"""Which calls wait for which."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from minigrad.compiler.codegen.barriers import SHARED, WAIT, barrier_flags, conflict
from minigrad.compiler.codegen.deduplicate import Call, generate
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.pipeline import allocate_memory
from minigrad.compiler.schedule.buffers import plan_buffers
from minigrad.compiler.target.machine import Machine
from tests.compiler.graphs import leaf
from tests.compiler.schedules import MACHINE, scheduled


def test_calls_wait_for_what_was_written_by_others() -> None:
    read, write = [(0, 0, 64)], [(0, 32, 96)]
    none: list[Any] = []
    assert conflict((none, write), (none, read)) and conflict((read, none), (none, write))
    assert conflict((none, write), (read, none)) and not conflict((read, none), (read, none))
    assert not conflict((none, [(0, 64, 96)]), (none, read))  # they only touch
    assert not conflict((none, [(1, 0, 64)]), (none, read))  # of another array


def test_a_shared_call_waits_for_what_the_first_thread_wrote() -> None:
    """And a call of the first thread alone does not: it comes after what that did before."""
    x, y, z = leaf(64), leaf(64), leaf(64)
    spans = {x: (0, 0, 256), y: (0, 256, 512), z: (0, 512, 768)}

    def waits(*calls: tuple[bool, Value, Value]) -> list[bool]:
        made: Any = [
            SimpleNamespace(
                shared=shared, reads=[read], writes=[written], combines_threads=False, bodies=()
            )
            for shared, read, written in calls
        ]
        return [bool(flag & WAIT) for flag in barrier_flags(made, spans.__getitem__)]

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
    flags = barrier_flags(calls, memory.span)
    waited = False
    for k, (call, flag) in enumerate(zip(calls, flags, strict=True)):
        assert bool(flag & SHARED) is call.shared
        before = [c for c in calls[:k] if c.shared]
        used = {*call.reads, *call.writes}
        needs = any(used & {*c.writes} for c in before)
        if flag & WAIT:
            assert any(conflict(spans(call, memory), spans(c, memory)) for c in calls[:k])
            waited = True
        elif needs:
            # Then there was one since that all waited at.
            first = min(j for j, c in enumerate(calls[:k]) if used & {*c.writes})
            assert any(other & WAIT for other in flags[first + 1 : k])
    assert waited and sum(call.shared for call in calls) >= 2 and not flags[0] & WAIT


def spans(call: Any, memory: Any) -> Any:
    return [[memory.span(x) for x in arrays] for arrays in (call.reads, call.writes)]
