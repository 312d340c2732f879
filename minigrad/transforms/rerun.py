"""A function that is run again in a reverse pass, for what it computed was not kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from minigrad.autograd import array_of, recording, reverse, switched
from minigrad.graph import Node, toposort
from minigrad.tensor import Tensor
from minigrad.transforms.recorded import variable


def needs_grad(x: Any) -> bool:
    return isinstance(x, Tensor) and x.requires_grad


class Rerun:
    """A run on new variables in the place of `inputs`, to go back through at once.

    `captured`: nodes from outside by which it is differentiated beside these. If the pass is
    recorded, `again`, or an input requires a gradient, so is the way back.
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
            self.outputs = function(*variables)

    def pull_back(self, sent: dict[int, Any]) -> list[Any]:
        """The cotangents of the inputs, then of the captured nodes, from those of the outputs by
        their positions; None is zeros."""
        again = self.again or (recording.get() and any(map(needs_grad, sent.values())))
        view, seeds = Tensor.of if again else array_of, dict[Node, Any]()
        ends = [*self.nodes, *self.captured]
        with switched(recording, again), requiring_grad(self.captured):
            for k, g in sent.items():
                if not needs_grad(y := self.outputs[k]):
                    continue
                if again or isinstance(g, Tensor):
                    g = view(g.node if isinstance(g, Tensor) else Node(g))
                g = g if g.dtype == y.dtype else g.astype(y.dtype)
                seeds[y.node] = seeds[y.node] + g if y.node in seeds else g
            adjoints = reverse(seeds, by=ends, view=view)
        for node in self.nodes:  # its leaves belong to this pass alone
            node.requires_grad = node.op is not None
        return [adjoints.get(node) for node in ends]


def from_outside(results: Iterable[Node], start: int, own: Collection[Node]) -> list[Node]:
    """The nodes that results of a run depend on which are older than it, but for its `own`."""
    roots = {*results}.difference(own)
    older = {x for x in roots if x.birth < start}
    inner = toposort(roots - older, lambda x: x.requires_grad and x.birth > start and x not in own)
    used = {x: None for node in inner for x in node.inputs if type(x) is Node}
    found = [x for x in used if x.birth < start and x.requires_grad and x not in own]
    return [*dict.fromkeys([*older, *found])]


@contextmanager
def requiring_grad(nodes: Sequence[Node]) -> Iterator[None]:
    """Inside, these nodes require a gradient: of a transform's variables none is required any more
    once its function has returned."""
    before = [node.requires_grad for node in nodes]
    try:
        for node in nodes:
            node.requires_grad = True
        yield
    finally:
        for node, required in zip(nodes, before, strict=True):
            node.requires_grad = required
