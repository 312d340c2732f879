"""Loops and branches under vmap inside of a compiled function: one loop, of batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigrad.autograd import switched
from minigrad.dispatch import is_traced
from minigrad.graph import Node, births, toposort
from minigrad.inside import traced_form, variables
from minigrad.random import draw
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.batched import (
    ARRAY,
    WATCHED,
    Batched,
    Kind,
    Level,
    detached,
    needs_grad,
)
from minigrad.transforms.calls import call_node
from minigrad.transforms.forward import zeros_like
from minigrad.transforms.loops import Lowered, Repeated, Step, in_use, settled
from minigrad.transforms.pushed_loops import pushed
from minigrad.transforms.rerun import Rerun, from_outside
from minigrad.transforms.reversed_loops import pulled_back

Leaves = Sequence[Any]
Results = tuple[list[Any], list[Any]]
Kinds = list[Kind]


def batched_loops(level: Level, below: Lowered) -> Lowered:
    """How a vmap runs loops and branches: see `BatchedLoops`."""
    loops = BatchedLoops(level, below)
    return Lowered(loops.loop, loops.branch, loops.closed, below.undone)


@dataclass
class Tried:
    """What is known of a round before the loop: the `kinds` of the leaves of the state in any
    round, then of the results; the nodes from outside that it uses; how often it draws random
    numbers; and whether it is differentiated inside of the vmap."""

    kinds: list[Kind]
    captured: Sequence[Node] = ()
    draws: int = 0
    inside: bool = False


class BatchedLoops:
    """How a vmap runs loops and branches: `below` does it for whole arrays, `outside` of the vmap,
    which the body of the loop enters again. What is differentiated inside of the vmap is a call,
    whose derivative is again a loop or a branch."""

    def __init__(self, level: Level, below: Lowered) -> None:
        self.level, self.below = level, below

    def is_own(self, x: Any) -> bool:
        return self.level.is_own(detached(x))

    def are_differentiated(self, nodes: Sequence[Node]) -> bool:
        """Whether any of these depends on a variable of a transform inside of the vmap."""
        inside = {x for x in toposort(nodes) if x.birth > self.level.birth} - self.level.stand_ins
        # The variable of a Tensor of outside is a copy of it.
        return any(x.op is None or x in variables for x in inside)

    def loop(
        self, step: Step, state: Leaves, rows: Leaves, rounds: Repeated, number: Any = None
    ) -> Results:
        tried = self.tried(step, state, rows, rounds)
        if not tried.inside or rounds.length == 0:
            return self.run(step, state, rows, rounds, number, tried.kinds)
        return self.call(step, state, rows, rounds, number, tried)

    def run(
        self, step: Step, state: Leaves, rows: Leaves, rounds: Repeated, number: Any, kinds: Kinds
    ) -> Results:
        """The loop of whole arrays."""
        whole, c = self.level.whole, len(state)
        of_rows = [*zip(map(self.is_own, rows), (isinstance(x, Tensor) for x in rows), strict=True)]

        def on_batches(state: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
            with self.level.inside():
                entries = map(np.copy, self.level.entries(state, kinds[:c]))
                new, results = step([*entries], self.level.entries(row, of_rows))
                return self.level.wholes(new, kinds[:c]), self.level.wholes(results, kinds[c:])

        by_row = [np.moveaxis(whole(x), 1, 0) if self.is_own(x) else x for x in rows]
        first = self.level.wholes(state, kinds[:c])
        with self.level.outside():
            end, stacked = self.below.loop(on_batches, first, by_row, rounds, number)
        moved = [
            np.moveaxis(x, 0, 1) if own else x
            for x, (own, _) in zip(stacked, kinds[c:], strict=True)
        ]
        end = self.level.entries(end, kinds[:c]) if rounds.length != 0 else [*state]
        return end, self.level.entries(moved, kinds[c:])

    def call(
        self, step: Step, state: Leaves, rows: Leaves, rounds: Repeated, number: Any, tried: Tried
    ) -> Results:
        """The loop as a call. To be gone back through, it also returns the carry of each round,
        what was drawn in it, and the number of rounds."""
        c, r, n, captured = len(state), len(rows), len(tried.kinds), tried.captured
        keeps = rounds.length is not None
        given = [*tried.kinds[:c], *self.level.kinds_of(rows)]
        watched = [k for k, (_, kind) in enumerate(given) if kind == WATCHED]

        def keeping(state: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
            count, *own = state
            kept, drawn = [np.copy(x) for x in own], list[Any]()
            with switched(draw, partial(noted, drawn, draw.get())):
                new, results = step(own, row)
            return [count + 1, *new], [*results, *([*kept, *drawn] if keeps else [])]

        def again(outside: Sequence[Any], leaves: list[Any]) -> list[Any]:
            own = [
                Tensor.of(Node(x)) if kind and not isinstance(x, Tensor) else x
                for x, (_, kind) in zip(leaves, given, strict=False)
            ]
            drawn = iter(leaves[c + r :])
            with self.below.undone(), switched(draw, lambda rng, shape: next(drawn)):
                new, results = step([*map(np.copy, own[:c])], own[c:])
                return settled([*new, *results])

        def pull_back(sent: Sent, inputs: Sequence[Any], kept: Sequence[Any]) -> list[Any]:
            *kept, count = kept
            of_captured, by_place = pulled_back(
                *(again, (), captured, kept[:c], [*inputs[len(inputs) - r :], *kept[c:]]),
                *(watched, n, sent, rounds, count),
                recorded=any(map(needs_grad, inputs)),
            )
            return [*of_captured, *(by_place.get(k) for k in range(c + r))]

        def push(sent: Sent, inputs: Sequence[Any], kept: Sequence[Any]) -> list[Any]:
            m, (*kept, count) = len(captured), kept
            found, of_kept = pushed(
                *(again, (), captured, inputs[m : m + c], [*inputs[m + c :], *kept[c:]], watched),
                [k for k, (_, kind) in enumerate(tried.kinds) if kind == WATCHED and k >= c],
                [sent.get(k) for k in range(m)],
                {k - m: t for k, t in sent.items() if k >= m},
                *(rounds, count),
                recorded=any(map(needs_grad, inputs)),
            )
            return [*map(found.get, range(n)), *map(of_kept.get, range(len(kept)))]

        wide = [(False, ARRAY), *tried.kinds]
        if keeps:
            wide += [*tried.kinds[:c], *[(True, ARRAY)] * tried.draws]
        first = [np.zeros((), np.int64), *state]
        (count, *end), stacked = self.run(keeping, first, rows, rounds, number, wide)
        found = [*end, *stacked]
        inputs = [*map(Tensor.of, captured), *state, *rows]
        kept = [*found[n:], count if number is None else number]
        made = call_node("loop", inputs, found, pull_back, kept, push)
        pairs = zip(found, made, tried.kinds, strict=False)
        results = [y if kind == WATCHED else x for x, y, (_, kind) in pairs]
        return results[:c], results[c:]

    def tried(self, step: Step, state: Leaves, rows: Leaves, rounds: Repeated) -> Tried:
        """What is known of a round, by runs of the first one, of which nothing is used."""
        c, level, kinds = len(state), self.level, self.level.kinds_of(state)
        first = [varying(x[0] if rounds.length else x[:0].sum(0)) for x in rows]
        inside = self.are_differentiated([x.node for x in (*state, *rows) if needs_grad(x)])
        while True:
            given, before = [], inside
            # A loop in the step is to know whether it is differentiated.
            stand_in = (lambda *how: Tensor.of(Node(*how))) if inside else level.stand_in
            for x, (own, kind) in zip(state, kinds, strict=True):
                one: Any = Batched(level.whole(x), level) if own else varying(np.copy(x))
                given.append(stand_in(one, kind == WATCHED) if own and kind else one)
            nodes = [x.node for x in (*given, *first) if needs_grad(x)]
            start, drawn = next(births), list[Any]()
            nothing = partial(noted, drawn, self.nothing_drawn)
            with self.below.undone(), switched(draw, nothing):
                new, results = map(settled, step([*map(np.copy, given)], first))
            ends = [x.node for x in (*new, *results) if needs_grad(x)]
            captured = from_outside(ends, start, nodes)
            inside = inside or self.are_differentiated(captured)
            now = self.level.kinds_of([*new, *results])
            now[:c] = [joined(*pair) for pair in zip(kinds, now[:c], strict=True)]
            some = any((*(own for own, _ in now), *map(self.is_own, rows)))
            if inside and some:
                # All that is differentiated is batched, and so has its node here.
                now = [(own or kind == WATCHED, kind) for own, kind in now]
            if now[:c] == kinds and inside == before:
                return Tried(now, captured, len(drawn), inside and some)
            kinds = now[:c]

    def nothing_drawn(self, rng: Any, shape: tuple[int, ...]) -> Any:
        return Batched(np.zeros((self.level.size, *shape), np.float32), self.level)

    def branch(self, pred: Any, functions: Sequence[Callable[[], list[Any]]]) -> list[Any]:
        start = next(births)
        with self.below.undone(), switched(draw, self.nothing_drawn):
            tried = [settled(function()) for function in functions]
        found = [self.level.kinds_of(results) for results in tried]
        kinds = [joined(*pair) for pair in zip(*found, strict=True)]
        ends = [x.node for results in tried for x in results if needs_grad(x)]
        captured = from_outside(ends, start, ())
        if inside := any(own for own, _ in kinds) and self.are_differentiated(captured):
            kinds = [(own or kind == WATCHED, kind) for own, kind in kinds]

        def on_batches(function: Callable[[], list[Any]]) -> list[Any]:
            with self.level.inside():
                return self.level.wholes(function(), kinds)

        with self.level.outside():
            whole = self.below.branch(pred, [partial(on_batches, f) for f in functions])
        results = [
            self.level.entry(x, kind != ARRAY) if own else x
            for x, (own, kind) in zip(whole, kinds, strict=True)
        ]
        if not inside:
            return results

        def again(function: Callable[[], list[Any]], inputs: Sequence[Any]) -> Rerun:
            recorded = any(map(needs_grad, inputs))
            with self.below.undone():
                return Rerun(lambda: settled(function()), (), captured, recorded)

        def pull_back(sent: Sent, inputs: Sequence[Any], kept: Sequence[Any]) -> list[Any]:
            def back(function: Callable[[], list[Any]]) -> list[Any]:
                run = again(function, inputs)
                adjoints = run.pull_back(sent)
                pairs = zip(adjoints, captured, strict=True)
                return [zeros_like(node.value) if g is None else g for g, node in pairs]

            return [*in_use().branch(kept[0], [partial(back, f) for f in functions])]

        def push(sent: Sent, inputs: Sequence[Any], kept: Sequence[Any]) -> list[Any]:
            def forth(function: Callable[[], list[Any]]) -> list[Any]:
                run = again(function, inputs)
                tangents = run.push([sent.get(k) for k in range(len(captured))])
                pairs = zip(tangents, run.outputs, strict=True)
                found = [zeros_like(y) if t is None else t for t, y in pairs]
                return [t for t, (_, kind) in zip(found, kinds, strict=True) if kind == WATCHED]

            found = iter(in_use().branch(kept[0], [partial(forth, f) for f in functions]))
            return [next(found) if kind == WATCHED else None for _, kind in kinds]

        tensors = [*map(Tensor.of, captured)]
        made = call_node("cond", tensors, results, pull_back, [pred], push)
        pairs = zip(results, made, kinds, strict=True)
        return [y if kind == WATCHED else x for x, y, (_, kind) in pairs]

    def closed(
        self, function: Callable[[list[Any]], list[Any]], given: Sequence[Any]
    ) -> tuple[Callable[[list[Any]], list[Any]], list[Any]]:
        """A function of one entry, which reads no batches from outside: see `implicit`."""

        def of_entry(leaves: list[Any]) -> list[Any]:
            with self.level.inside():
                return function(leaves)

        with self.level.outside():
            return self.below.closed(of_entry, given)


Sent = dict[int, Any]  # cotangents, by the places of what they are of


def joined(one: Kind, other: Kind) -> Kind:
    return one[0] or other[0], max(one[1], other[1])


def varying(x: Any) -> Any:
    """A leaf as a value of the trace: of a number that is known, a trial would see but one side of
    a branch by it, and rounds need the other."""
    form, known = traced_form.get(), not is_traced(value_of(x))
    if form is None or not known:
        return x
    if needs_grad(x):
        return x + form(np.zeros((), x.dtype))
    traced = form(np.asarray(value_of(x)))
    return Tensor.of(Node(traced)) if isinstance(x, Tensor) else traced


def noted(drawn: list[Any], below: Callable[..., Any], rng: Any, shape: tuple[int, ...]) -> Any:
    """Random numbers, which are added to a list."""
    drawn.append(below(rng, shape))
    return drawn[-1]
