"""Loops and branches under vmap inside of a compiled function: one loop, of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigrad.autograd import View, array_of, leading_to, recording, switched
from minigrad.dispatch import is_traced
from minigrad.graph import Node, births, toposort
from minigrad.inside import differentiating, traced_form, variables
from minigrad.random import draw
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.batched import (
    ARRAY,
    WATCHED,
    Batched,
    Kind,
    Level,
    detached,
    levels,
    needs_grad,
)
from minigrad.transforms.calls import call_node
from minigrad.transforms.loops import Lowered, Repeated, Step, settled
from minigrad.transforms.recorded import variable
from minigrad.transforms.rerun import (
    cotangents_of,
    from_outside,
    requiring_grad,
    tangents_of,
)

Leaves = Sequence[Any]
Results = tuple[list[Any], list[Any]]
Pass = Callable[[list[Any], View], list[Any]]
# Begins a vmap of so many entries.
Nested = Callable[[int], AbstractContextManager[Level]]


def batched_loops(level: Level, below: Lowered, nested: Nested) -> Lowered:
    """How a vmap runs loops and branches: see `BatchedLoops`."""
    loops = BatchedLoops(level, below, nested)
    return Lowered(loops.loop, loops.branch, loops.closed, below.undone)


@dataclass
class Tried:
    """What is known of a round, or of branches, before they are run.

    `kinds`: of the leaves of the state in any round, then of the results; `rows`: of the rows.
    `captured`: the nodes from outside that are used, of which `constants` are not batched yet.
    `inside`: whether they are differentiated inside of the vmap.
    """

    kinds: list[Kind]
    rows: list[Kind]
    captured: Sequence[Node] = ()
    inside: bool = False
    constants: Sequence[Node] = ()

    def is_like(self, other: Tried, n: int) -> bool:
        """Whether the next run is like the last one, of a state of n leaves."""
        return (
            self.kinds[:n] == other.kinds[:n]
            and self.rows == other.rows
            and (self.inside == other.inside and {*self.constants} == {*other.constants})
        )


@dataclass
class Whole:
    """What was computed outside of a vmap, of whole arrays, and is differentiated inside of it:
    `outputs`, with the graph between them and `variables`.

    An entry of an output depends on the same entry of the variables only. So the derivatives are
    passes through the graph of whole arrays, and those of these passes of theirs.
    """

    level: Level
    nested: Nested
    name: str
    variables: Sequence[Tensor]
    outputs: Sequence[Any]

    def call(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs inside of the vmap, where `inputs` are in the place of the variables."""
        is_watched = self.watched()
        shown = [x if is_watched(x) else detached(x) for x in self.outputs]
        entries = [self.level.entry(x) for x in shown]
        return call_node(self.name, inputs, entries, self.pull_back, (), self.push)

    def watched(self) -> Callable[[Any], bool]:
        """Whether an outer transform differentiates an output."""
        own = {x.node for x in self.variables}
        roots = [x.node for x in self.outputs if needs_grad(x)]
        found = toposort(roots, lambda node: node.requires_grad and node not in own)
        others = {x for x in own if x.op is not None}
        others |= {x for x in found if x.op is None and x not in own}
        watched = leading_to(others, roots)
        return lambda x: needs_grad(x) and watched(x.node)

    def pull_back(self, sent: Sent, inputs: Sequence[Any], kept: Sequence[Any]) -> list[Any]:
        def back(given: list[Any], view: View) -> list[Any]:
            of = dict(zip(sent, given, strict=True))
            return cotangents_of([x.node for x in self.variables], self.outputs, of, view)

        return self.passed(back, [*sent.values()], inputs)

    def push(self, sent: Sent, inputs: Sequence[Any], kept: Sequence[Any]) -> list[Any]:
        def forth(given: list[Any], view: View) -> list[Any]:
            of = dict(zip(sent, given, strict=True))
            return tangents_of(self.outputs, [x.node for x in self.variables], of, view)

        return self.passed(forth, [*sent.values()], inputs)

    def passed(self, through: Pass, sent: list[Any], inputs: Sequence[Any]) -> list[Any]:
        """What a pass through the graph of whole arrays gives, as entries; if it is differentiated
        inside of the vmap, as functions of what is sent and of the inputs."""
        if self.level in levels.get()[:-1]:
            return self.passed_for_each(through, sent, inputs)
        inside = recording.get() and any(map(needs_grad, (*inputs, *sent)))
        nodes = [x.node for x in self.variables]
        with self.level.outside(), requiring_grad(nodes if inside else ()):
            given = [*map(self.level.whole, sent)]
            is_watched = self.watched()
            watched = any(map(needs_grad, given)) or any(map(is_watched, self.outputs))
            again = inside or (recording.get() and watched)
            with switched(recording, again):
                if inside:
                    given = [variable(x, lambda: "a cotangent") for x in given]
                found = through(given, Tensor.of if again else array_of)
        variables = [*self.variables, *given] if inside else []
        return self.of_pass(self.level, variables, found, [*inputs, *sent] if inside else [])

    def of_pass(
        self, level: Level, variables: list[Any], found: list[Any], inputs: list[Any]
    ) -> list[Any]:
        """The entries of what a pass gave, None for zeros."""
        if not variables:
            return [None if x is None else level.entry(x) for x in found]
        end_of(variables)
        made = [x for x in found if x is not None]
        entries = iter(Whole(level, self.nested, self.name, variables, made).call(inputs))
        return [None if x is None else next(entries) for x in found]

    def passed_for_each(self, through: Pass, sent: list[Any], inputs: Sequence[Any]) -> list[Any]:
        """The same, where there is one to be sent for each entry of a vmap that was begun later:
        there is one such vmap of passes, outside of both."""
        last = levels.get()[-1]
        own = [last.is_own(detached(g)) for g in sent]
        inside = recording.get() and any(map(needs_grad, sent))

        def of_each(given: list[Any], view: View) -> list[Any]:
            given = [np.moveaxis(x, 1, 0) if k else x for x, k in zip(given, own, strict=True)]
            with self.nested(last.size) as level:
                entries = [level.entry(x) if k else x for x, k in zip(given, own, strict=True)]
                found = [None if y is None else level.whole(y) for y in through(entries, view)]
            return [None if y is None else np.moveaxis(y, 0, 1) for y in found]

        with last.outside():
            wholes = [last.whole(g) if k else g for g, k in zip(sent, own, strict=True)]
            if inside:
                with switched(recording, True):
                    wholes = [variable(x, lambda: "a cotangent") for x in wholes]
            found = self.passed(of_each, wholes, inputs)
        return self.of_pass(last, wholes if inside else [], found, sent if inside else [])


def end_of(given: Sequence[Any]) -> None:
    """Variables belong to one pass alone: from here on no gradient flows to them but by it."""
    for x in given:
        if isinstance(x, Tensor):
            x.node.requires_grad = x.node.op is not None


class BatchedLoops:
    """How a vmap runs loops and branches: `below` does it for whole arrays, `outside` of the vmap,
    which the body of the loop enters again. What is differentiated inside of the vmap is a call:
    see `Whole`."""

    def __init__(self, level: Level, below: Lowered, nested: Nested) -> None:
        self.level, self.below, self.nested = level, below, nested

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
        level, c = self.level, len(state)
        tried = self.tried_round(step, state, rows, rounds)
        kinds, given = tried.kinds, [*tried.kinds[:c], *tried.rows]

        def on_batches(state: list[Any], row: list[Any]) -> Results:
            with level.inside():
                entries = map(np.copy, level.entries(state, kinds[:c]))
                new, results = step([*entries], level.entries(row, tried.rows))
                return level.wholes(new, kinds[:c]), level.wholes(results, kinds[c:])

        def whole(leaves: list[Any]) -> list[Any]:
            by_row = moved(leaves[c:], tried.rows, 1, 0)
            end, stacked = self.below.loop(on_batches, leaves[:c], by_row, rounds, number)
            return [*end, *moved(stacked, kinds[c:], 0, 1)]

        found = self.computed("loop", whole, [*state, *rows], given, tried)
        return found[:c] if rounds.length != 0 else [*state], found[c:]

    def branch(self, pred: Any, functions: Sequence[Callable[[], list[Any]]]) -> list[Any]:
        tried = self.tried_branches(functions)

        def on_batches(function: Callable[[], list[Any]]) -> list[Any]:
            with self.level.inside():
                return self.level.wholes(function(), tried.kinds)

        def whole(leaves: list[Any]) -> list[Any]:
            return self.below.branch(pred, [partial(on_batches, f) for f in functions])

        return self.computed("cond", whole, (), (), tried)

    def computed(
        self,
        name: str,
        function: Callable[[list[Any]], list[Any]],
        leaves: Leaves,
        given: Sequence[Kind],
        tried: Tried,
    ) -> list[Any]:
        """The entries of what a function gives outside, of the leaves as whole arrays."""
        level, kinds = self.level, tried.kinds
        wholes = level.wholes(leaves, given)
        if not (tried.inside and recording.get()):
            with level.outside():
                found = function(wholes)
            # Copies of what an outer transform differentiates, for a leaf is not written into.
            return [np.copy(x) if needs_grad(x) else x for x in level.entries(found, kinds)]
        watched = [k for k, x in enumerate(leaves) if needs_grad(x)]
        inputs = [*map(Tensor.of, tried.captured), *(leaves[k] for k in watched)]
        with level.outside(), switched(recording, True):
            variables = [variable(level.whole(x), lambda: "an input") for x in inputs]
            for k, x in zip(watched, variables[len(tried.captured) :], strict=True):
                wholes[k] = x
            with (
                differentiating([x.node for x in variables]),
                self.standing_for(tried.captured, variables),
            ):
                found = function(wholes)
        end_of(variables)
        places = [k for k, x in enumerate(found) if needs_grad(x)]
        made = Whole(level, self.nested, name, variables, [found[k] for k in places]).call(inputs)
        results = level.entries([*map(detached, found)], kinds)
        for k, x in zip(places, made, strict=True):
            results[k] = x
        return results

    @contextmanager
    def standing_for(self, nodes: Sequence[Node], wholes: Sequence[Any]) -> Iterator[None]:
        """Inside, each of these nodes is an entry of a whole array."""
        before = [node.value for node in nodes]
        for node, x in zip(nodes, wholes, strict=False):
            node.value = Batched(x, self.level)  # type: ignore[assignment]  # as an array
        try:
            yield
        finally:
            for node, value in zip(nodes, before, strict=True):
                node.value = value

    def tried_round(self, step: Step, state: Leaves, rows: Leaves, rounds: Repeated) -> Tried:
        """What is known of a round, by runs of the first one, of which nothing is used."""
        c, leaves = len(state), [*state, *(x[0] if rounds.length else x[:0].sum(0) for x in rows)]

        def once(given: list[Any]) -> list[Any]:
            new, results = step([*map(np.copy, given[:c])], given[c:])
            return [*new, *results]

        inside = self.are_differentiated([x.node for x in (*state, *rows) if needs_grad(x)])
        tried = Tried(self.level.kinds_of(state), self.level.kinds_of(rows), inside=inside)
        while True:
            before = tried
            kinds = [*before.kinds[:c], *before.rows]
            given = [
                self.tried_leaf(x, kind, before.inside)
                for x, kind in zip(leaves, kinds, strict=True)
            ]
            tried = self.tried(partial(once, given), given, before)
            pairs = zip(before.kinds, tried.kinds[:c], strict=False)
            tried.kinds[:c] = [joined(*pair) for pair in pairs]
            if tried.is_like(before, c):
                return tried

    def tried_branches(self, functions: Sequence[Callable[[], list[Any]]]) -> Tried:
        """What is known of two branches."""
        tried = Tried([], [])
        while True:
            before = tried
            found = [self.tried(function, (), before) for function in functions]
            tried = Tried(
                [joined(*pair) for pair in zip(*(x.kinds for x in found), strict=True)], []
            )
            tried.captured = [*dict.fromkeys(node for x in found for node in x.captured)]
            tried.inside = any(x.inside for x in found)
            self.make_batched(tried)
            if tried.is_like(before, len(tried.kinds)):
                return tried

    def tried(self, function: Callable[[], list[Any]], given: Leaves, before: Tried) -> Tried:
        """What is known by one more run of a function, of leaves that stand for those in it."""
        own = [x.node for x in given if needs_grad(x)]
        constants = before.constants
        wholes = [self.level.repeated(node.value) for node in constants]
        start = next(births)
        nothing_drawn = switched(draw, self.nothing_drawn)
        standing = self.standing_for(constants, wholes)
        with np.errstate(all="ignore"), self.below.undone(), nothing_drawn, standing:
            results = settled(function())
        ends = [x.node for x in results if needs_grad(x)]
        captured = from_outside(ends, start, own)
        inside = before.inside or self.are_differentiated(captured)
        found = Tried(self.level.kinds_of(results), [*before.rows], captured, inside)
        self.make_batched(found)
        return found

    def make_batched(self, tried: Tried) -> None:
        """All that is differentiated inside is batched, and so has its node there."""
        tried.inside = tried.inside and any(own for own, _ in (*tried.kinds, *tried.rows))
        if tried.inside:
            for kinds in (tried.kinds, tried.rows):
                kinds[:] = [(own or kind == WATCHED, kind) for own, kind in kinds]
            tried.constants = [x for x in tried.captured if not self.level.is_own(x.value)]

    def tried_leaf(self, x: Any, kind: Kind, inside: bool) -> Any:
        """What stands for a leaf in a trial: a loop in it is to know whether it is differentiated
        inside of the vmap."""
        own, what = kind
        if not own:
            return varying(np.copy(x))
        one = Batched(self.level.whole(detached(x)), self.level)
        if what == ARRAY:
            return one
        node = Node(one, what == WATCHED)  # type: ignore[arg-type]  # as an array
        return Tensor.of(node) if inside else self.level.stand_in(one, what == WATCHED)

    def nothing_drawn(self, rng: Any, shape: tuple[int, ...]) -> Any:
        return Batched(np.zeros((self.level.size, *shape), np.float32), self.level)

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


def moved(leaves: Leaves, kinds: Sequence[Kind], axis: int, to: int) -> list[Any]:
    """Leaves of which those that are batched have an axis moved."""
    pairs = zip(leaves, kinds, strict=True)
    return [np.moveaxis(x, axis, to) if own else x for x, (own, _) in pairs]
