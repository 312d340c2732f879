"""Loops and branches under vmap inside of a compiled function: one loop, of batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.autograd import switched
from minigrad.errors import UnsupportedError
from minigrad.graph import Node
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
    """How a vmap runs loops and branches: `below` does it for whole arrays.

    What is differentiated inside of the vmap is run op by op instead.
    """

    def __init__(self, level: Level, below: Lowered) -> None:
        self.level, self.below, self.outer = level, below, set(variables)

    def differentiates(self) -> bool:
        return bool(variables - self.outer)

    def is_own(self, x: Any) -> bool:
        return self.level.is_own(detached(x))

    def entry(self, whole: Any, as_tensor: bool) -> Any:
        """What the function is given for a whole array."""
        watched = needs_grad(whole)
        one: Any = Batched(whole if watched else detached(whole), self.level)
        return Tensor.of(Node(one, requires_grad=watched)) if watched or as_tensor else one

    def loop(
        self, function: Step, state: Sequence[Any], rows: Sequence[Any], rounds: Repeated
    ) -> tuple[list[Any], list[Any]]:
        if self.differentiates():
            return unrolled(function, state, rows, rounds)
        whole = self.level.whole
        of_rows = [self.is_own(x) for x in rows]
        batched, tensors = self.kinds(function, state, rows)

        def on_batches(state: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
            carried = zip(state, batched, tensors, strict=True)
            given = [self.entry(x, t) if own else x for x, own, t in carried]
            parts = zip(row, of_rows, rows, strict=True)
            entries = [self.entry(x, isinstance(y, Tensor)) if own else x for x, own, y in parts]
            new, results = function(given, entries)
            pairs = zip(new, batched, strict=True)
            return [whole(x) if own else x for x, own in pairs], [*map(whole, results)]

        first = [whole(x) if own else x for x, own in zip(state, batched, strict=True)]
        by_row = [np.moveaxis(whole(x), 1, 0) if self.is_own(x) else x for x in rows]
        end, stacked = self.below.loop(on_batches, first, by_row, rounds)
        carried = zip(end, batched, tensors, strict=True)
        results = [self.entry(np.moveaxis(x, 0, 1), isinstance(x, Tensor)) for x in stacked]
        return [self.entry(x, t) if own else x for x, own, t in carried], results

    def kinds(
        self, function: Step, state: Sequence[Any], rows: Sequence[Any]
    ) -> tuple[list[bool], list[bool]]:
        """Which leaves of the state are batched, in any round, and which are Tensors: found by runs
        of the first round, of which nothing is used."""
        batched = [self.is_own(x) for x in state]
        tensors = [isinstance(x, Tensor) for x in state]
        if any(not x.shape[0] for x in rows):
            return batched, tensors
        nothing_drawn = switched(draw, lambda rng, shape: np.zeros(shape, np.float32))
        while True:
            first = [x[0] for x in rows]
            carried = zip(state, batched, tensors, strict=True)
            given = [
                self.entry(self.level.whole(x), t) if own else np.copy(x) for x, own, t in carried
            ]
            with nothing_drawn:
                new, _ = function(given, first)
            before = batched, tensors
            batched = [self.is_own(x) or own for x, own in zip(new, batched, strict=True)]
            tensors = [isinstance(x, Tensor) or t for x, t in zip(new, tensors, strict=True)]
            if (batched, tensors) == before:
                return before

    def branch(self, pred: Any, functions: Sequence[Callable[[], list[Any]]]) -> list[Any]:
        if self.differentiates():
            pairs = zip(*(function() for function in functions), strict=True)
            return [np.where(pred, x, y) for x, y in pairs]
        tensors: dict[int, bool] = {}

        def on_batches(function: Callable[[], list[Any]]) -> Callable[[], list[Any]]:
            def wholes() -> list[Any]:
                results = function()
                for k, x in enumerate(results):
                    tensors[k] = tensors.get(k, False) or isinstance(x, Tensor)
                return [*map(self.level.whole, results)]

            return wholes

        found = self.below.branch(pred, [*map(on_batches, functions)])
        return [self.entry(x, tensors[k]) for k, x in enumerate(found)]


def unrolled(
    function: Step, state: Sequence[Any], rows: Sequence[Any], rounds: Repeated
) -> tuple[list[Any], list[Any]]:
    """A loop, op by op."""
    if rounds.stops or rounds.length is None:
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
