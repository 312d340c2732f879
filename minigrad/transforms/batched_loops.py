"""Loops and branches under vmap inside of a compiled function: one loop, of batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad.autograd import switched
from minigrad.errors import UnsupportedError
from minigrad.graph import toposort
from minigrad.inside import variables
from minigrad.random import draw
from minigrad.tensor import Tensor
from minigrad.transforms.batched import Batched, Level, detached, needs_grad
from minigrad.transforms.loops import Lowered, Repeated, Step, lowered


def lowered_on_batches(level: Level) -> Lowered | None:
    """How a vmap runs loops and branches; None if that is op by op."""
    below = lowered.get()
    if below is None:
        return None
    loops = BatchedLoops(level, below)
    return Lowered(loops.loop, loops.branch)


class BatchedLoops:
    """How a vmap runs loops and branches: `below` does it for whole arrays. What is differentiated
    inside of the vmap is run op by op instead."""

    def __init__(self, level: Level, below: Lowered) -> None:
        self.level, self.below = level, below

    def is_own(self, x: Any) -> bool:
        return self.level.is_own(detached(x))

    def entry(self, whole: Any, as_tensor: bool) -> Any:
        """What the function is given for a whole array."""
        watched = needs_grad(whole)
        one: Any = Batched(whole if watched else detached(whole), self.level)
        return self.level.stand_in(one, watched) if watched or as_tensor else one

    def are_differentiated(self, leaves: Sequence[Any]) -> bool:
        """Whether any of these depends on a variable of a transform inside of the vmap."""
        nodes = toposort(x.node for x in leaves if needs_grad(x))
        inside = {x for x in nodes if x.birth > self.level.birth} - self.level.stand_ins
        # The variable of a Tensor of outside is a copy of it.
        return any(x.op is None or x in variables for x in inside)

    def loop(
        self,
        function: Step,
        state: Sequence[Any],
        rows: Sequence[Any],
        rounds: Repeated,
        number: Any = None,
    ) -> tuple[list[Any], list[Any]]:
        whole, n = self.level.whole, len(state)
        of_rows = [self.is_own(x) for x in rows]
        kinds, watched = self.kinds(function, state, rows, rounds)
        if not any((*kinds.batched, *of_rows)):
            return self.below.loop(function, state, rows, rounds, number)
        if watched and rounds.length != 0:
            return unrolled(function, state, rows, rounds)
        batched, tensors = kinds

        def on_batches(state: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
            carried = zip(state, batched[:n], tensors[:n], strict=True)
            given = [self.entry(x, t) if own else x for x, own, t in carried]
            parts = zip(row, of_rows, rows, strict=True)
            entries = [self.entry(x, isinstance(y, Tensor)) if own else x for x, own, y in parts]
            new, results = function(given, entries)
            pairs = zip([*new, *results], batched, strict=True)
            found = [whole(x) if own else x for x, own in pairs]
            return found[:n], found[n:]

        first = [whole(x) if own else x for x, own in zip(state, batched[:n], strict=True)]
        by_row = [np.moveaxis(whole(x), 1, 0) if self.is_own(x) else x for x in rows]
        end, stacked = self.below.loop(on_batches, first, by_row, rounds, number)
        moved = (
            np.moveaxis(x, 0, 1) if own else x for x, own in zip(stacked, batched[n:], strict=True)
        )
        found = zip([*end, *moved], batched, tensors, strict=True)
        results = [self.entry(x, t) if own else x for x, own, t in found]
        return ([*state] if rounds.length == 0 else results[:n]), results[n:]

    def kinds(
        self, function: Step, state: Sequence[Any], rows: Sequence[Any], rounds: Repeated
    ) -> tuple[Kinds, bool]:
        """The kinds of the state in any round, and of the results; and whether any of it is
        differentiated inside of the vmap. They are found by runs of the first round, of which
        nothing is used."""
        n = len(state)
        first = [x[0] if rounds.length else x[:0].sum(0) for x in rows]
        found, before = self.kinds_of(state), None
        while found != before:
            before = found
            carried = zip(state, *(kinds[:n] for kinds in found), strict=True)
            given = [
                self.entry(self.level.whole(x), t) if own else np.copy(x) for x, own, t in carried
            ]
            with switched(draw, nothing_drawn):
                new, results = function(given, first)
            now = self.kinds_of([*new, *results])
            found = Kinds(
                *(
                    [*map(max, old[:n], kinds), *kinds[n:]]
                    for old, kinds in zip(found, now, strict=True)
                )
            )
        return found, self.are_differentiated([*state, *rows, *new, *results])

    def kinds_of(self, leaves: Sequence[Any]) -> Kinds:
        return Kinds([self.is_own(x) for x in leaves], [isinstance(x, Tensor) for x in leaves])

    def branch(self, pred: Any, functions: Sequence[Callable[[], list[Any]]]) -> list[Any]:
        with switched(draw, nothing_drawn):
            tried = [function() for function in functions]
        found = [self.kinds_of(results) for results in tried]
        batched, tensors = ([*map(max, *each)] for each in zip(*found, strict=True))
        if not any(batched):
            return self.below.branch(pred, functions)
        if self.are_differentiated([x for results in tried for x in results]):
            return [np.where(pred, x, y) for x, y in zip(*tried, strict=True)]

        def on_batches(function: Callable[[], list[Any]]) -> Callable[[], list[Any]]:
            return lambda: [
                self.level.whole(x) if own else x
                for x, own in zip(function(), batched, strict=True)
            ]

        results = self.below.branch(pred, [*map(on_batches, functions)])
        return [
            self.entry(x, t) if own else x
            for x, own, t in zip(results, batched, tensors, strict=True)
        ]


class Kinds(NamedTuple):
    """Which leaves are batched, and which are Tensors."""

    batched: list[bool]
    tensors: list[bool]


def nothing_drawn(rng: Any, shape: tuple[int, ...]) -> Any:
    return np.zeros(shape, np.float32)


def unrolled(
    function: Step, state: Sequence[Any], rows: Sequence[Any], rounds: Repeated
) -> tuple[list[Any], list[Any]]:
    """A loop, op by op."""
    if rounds.stops or rounds.dynamic or rounds.length is None:
        raise UnsupportedError(
            "in a compiled function, a while_loop is differentiated inside of vmap: differentiate "
            "around vmap, or use scan or fori_loop"
        )
    columns: list[list[Any]] = []
    state = [*state]
    for k in reversed(range(rounds.length)) if rounds.reverse else range(rounds.length):
        state, results = function(state, [x[k] for x in rows])
        columns = columns or [[] for _ in results]
        for column, x in zip(columns, results, strict=True):
            column.append(x)
    return state, [np.stack(x[::-1] if rounds.reverse else x) for x in columns]
