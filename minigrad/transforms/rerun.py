"""A function that is run again to be differentiated, for what it computed was not kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from minigrad.autograd import View, array_of, leading_to, recording, reverse, switched
from minigrad.graph import Node, by_birth, toposort
from minigrad.inside import differentiating
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.batched import needs_grad
from minigrad.transforms.forward import push_along
from minigrad.transforms.recorded import variable, viewed


class Rerun:
    """A run on new variables in the place of `inputs`, to go back or forth through at once.

    `captured`: nodes from outside by which it is differentiated beside these. If the pass is
    recorded, `again`, or an input requires a gradient, so is the way.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Sequence[Any],
        captured: Sequence[Node] = (),
        again: bool = False,
    ) -> None:
        self.again = recording.get() and (again or any(map(needs_grad, inputs)))
        self.captured = captured
        with switched(recording, True), requiring_grad(captured):
            variables = [variable(x, lambda: "an input") for x in inputs]
            self.nodes = [x.node for x in variables]
            self.ends = [*self.nodes, *captured]
            with differentiating(self.nodes):
                self.outputs = function(*variables)

    @property
    def values(self) -> list[Any]:
        """The outputs, of which those that no outer derivative depends on are arrays."""
        if not self.again:
            return [*map(value_of, self.outputs)]
        ends = {x for x in self.nodes if x.op is not None}
        ends.update(x for x in self.captured if x.requires_grad)
        watched = leading_to(ends, [y.node for y in self.outputs if needs_grad(y)])
        return [y if needs_grad(y) and watched(y.node) else value_of(y) for y in self.outputs]

    @contextmanager
    def going(self, along: Iterable[Any]) -> Iterator[View]:
        """Inside is the one pass that the leaves of this run belong to, along tangents or
        cotangents; as which nodes are viewed."""
        again = self.again or (recording.get() and any(map(needs_grad, along)))
        with switched(recording, again), requiring_grad(self.captured):
            yield Tensor.of if again else array_of
        for node in self.nodes:
            node.requires_grad = node.op is not None

    def push(self, tangents: Sequence[Any]) -> list[Any]:
        """The tangents of the outputs, from those of the inputs, then of the captured nodes; None
        is zeros."""
        sent = {k: t for k, t in enumerate(tangents) if t is not None}
        with self.going(sent.values()) as view:
            return tangents_of(self.outputs, self.ends, sent, view)

    def pull_back(self, sent: dict[int, Any]) -> list[Any]:
        """The cotangents of the inputs, then of the captured nodes, from those of the outputs by
        their positions; None is zeros."""
        with self.going(sent.values()) as view:
            return cotangents_of(self.ends, self.outputs, sent, view)


def tangents_of(
    outputs: Sequence[Any], by: Sequence[Node], sent: dict[int, Any], view: View
) -> list[Any]:
    """The tangents of outputs, from those sent to nodes, by their places; None is zeros."""
    seeds = {by[k]: viewed(t, view, by[k].value.dtype) for k, t in sent.items()}
    roots, own = [y.node if needs_grad(y) else None for y in outputs], {*by}
    found = push_along(
        toposort(
            [root for root in roots if root is not None],
            lambda node: node.requires_grad and node not in own,
        ),
        seeds,
        view,
    )
    return [None if root is None else found.get(root) for root in roots]


def cotangents_of(
    by: Sequence[Node], outputs: Sequence[Any], sent: dict[int, Any], view: View
) -> list[Any]:
    """The cotangents of nodes, from those that are sent to outputs, by their places; None is
    zeros."""
    seeds: dict[Node, Any] = {}
    for k, g in sent.items():
        if needs_grad(y := outputs[k]):
            g = viewed(g, view, y.dtype)
            seeds[y.node] = seeds[y.node] + g if y.node in seeds else g
    return [*map(reverse(seeds, by, view).get, by)]


def from_outside(results: Iterable[Node], start: int, own: Collection[Node]) -> list[Node]:
    """The nodes that results of a run depend on which are older than it, but for its `own`."""
    roots = {*results}.difference(own)
    older = {x for x in roots if x.birth < start}
    inner = toposort(roots - older, lambda x: x.requires_grad and x.birth > start and x not in own)
    used = {x: None for node in inner for x in node.inputs if type(x) is Node}
    found = [x for x in used if x.birth < start and x.requires_grad and x not in own]
    return sorted({*older, *found}, key=by_birth)


@contextmanager
def requiring_grad(nodes: Sequence[Node]) -> Iterator[None]:
    """Inside, functions are differentiated by these nodes, which require a gradient: of a
    transform's variables none is required any more once its function has returned."""
    before = [node.requires_grad for node in nodes]
    try:
        for node in nodes:
            node.requires_grad = True
        with differentiating(nodes):
            yield
    finally:
        for node, required in zip(nodes, before, strict=True):
            node.requires_grad = required
