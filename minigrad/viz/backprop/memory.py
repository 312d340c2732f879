"""What a graph keeps for the reverse pass, in bytes, and the most that both passes need at once."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.autograd import input_cotangents
from minigrad.errors import place
from minigrad.graph import Node, toposort
from minigrad.nn.summary import size
from minigrad.transforms.batched import KINDS
from minigrad.transforms.calls import Call, Cotangents
from minigrad.viz.backprop.steps import Step
from minigrad.watch import Watcher, watching
from minigrad.writes import owner_of

SHOWN = 12  # most steps that are printed


@dataclass(frozen=True)
class Kept:
    """The arrays that a step adds to what the graph keeps: its value, unless it is a view, and what
    else its op was given, or has kept. Memory that several steps share is that of the first."""

    step: Step = field(repr=False)
    arrays: list[np.ndarray] = field(repr=False)

    @property
    def bytes(self) -> int:
        return sum(x.nbytes for x in self.arrays)

    @property
    def forms(self) -> str:
        """The dtypes and shapes, in words."""
        return " + ".join(f"{x.dtype} {x.shape}" for x in self.arrays)


@dataclass(eq=False, repr=False)
class Memory:
    """What is kept for the reverse pass, and the most that is needed at once; prints as text.

    `kept`: of each step that adds to it, in the order of the forward pass. `leaves`: bytes of the
    Tensors that it begins with, which are there anyway, and are not counted in the others. `total`:
    bytes of all that is kept. `forward`, `reverse`: the most bytes at once in each pass; in the
    reverse pass, that is what is kept, adjoints, and what checkpointed functions compute again.
    Arrays that live inside of a single op, or of a function that is not NumPy's, are not counted.
    """

    result: str
    kept: list[Kept]
    leaves: int
    forward: int
    reverse: int

    @property
    def total(self) -> int:
        return sum(x.bytes for x in self.kept)

    def summary(self) -> list[str]:
        """The figures, in two lines."""
        count = sum(len(x.arrays) for x in self.kept)
        return [
            f"kept for the reverse pass: {size(self.total)} in {count:,} array{'s' * (count != 1)}"
            f"; leaves: {size(self.leaves)}",
            f"most at once: {size(self.forward)} in the forward pass, {size(self.reverse)} in the "
            "reverse pass",
        ]

    def __str__(self) -> str:
        largest = sorted(self.kept, key=lambda x: -x.bytes)[:SHOWN]
        rows = [row_of(x) for x in self.kept if x in largest]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        first, last = self.summary()
        lines = [first]
        for label, op, bytes_, forms, line in rows:
            cells = label.rjust(widths[0]), op.ljust(widths[1]), bytes_.rjust(widths[2])
            lines.append(f"  {'  '.join([*cells, forms.ljust(widths[3]), line])}".rstrip())
        if more := len(self.kept) - len(largest):
            rest = self.total - sum(x.bytes for x in largest)
            lines.append(f"  and {more:,} more, {size(rest)}")
        return "\n".join([*lines, last])

    __repr__ = __str__


def row_of(kept: Kept) -> tuple[str, ...]:
    step = kept.step
    line = step.node.line
    where = place(os.path.basename(line[0]), line[1]) if line else ""
    op = getattr(step.key.op, "name", "constant")
    return step.name or step.label, op, size(kept.bytes), kept.forms, where


def memory(steps: Sequence[Step], result: str = "z") -> Memory:
    """The memory of the graph of the last of these steps."""
    root = steps[-1].key
    # Arrays that ops were given have no node of the graph: theirs was made for the explanation.
    leaves = [x for x in steps if x.op is None and x.key.birth <= root.birth]
    given = {id(x): x for step in leaves for x in arrays_of(step)}
    seen, kept = {**given}, []
    for step in in_order_of_use(steps):
        new = {id(x): x for x in arrays_of(step) if id(x) not in seen}
        if new:
            seen |= new
            kept.append(Kept(step, [*new.values()]))
    reverse, runs = Meter(seen).reverse_pass(root)
    total = sum(x.bytes for x in kept)
    before = {node: sum(x.bytes for x in kept if x.step.key.birth < node.birth) for node in runs}
    forward = max([total, *(before[node] + most for node, most in runs.items())])
    return Memory(result, kept, sum(x.nbytes for x in given.values()), forward, total + reverse)


def in_order_of_use(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps, leaves and constants before what is computed from them."""
    for step in steps:
        if step.op is not None or step is steps[-1]:
            yield from (x for x in step.inputs if isinstance(x, Step) and x.op is None)
            yield step


def arrays_of(step: Step) -> Iterator[np.ndarray]:
    """The arrays that own the memory which the node of a step refers to."""
    node = step.key
    found = [node.value, *node.arrays, *(node.attributes or {}).values()]
    if step.output is not None:  # of a call, what it has kept
        found += node.inputs[0].arrays
    for x in found:
        for array in x if isinstance(x, list | tuple) else [x]:
            if isinstance(array, np.ndarray) and not isinstance(array, Cotangents):
                yield owner_of(array)


class Meter(Watcher):
    """Bytes of the arrays that a reverse pass makes, as long as they live; `known`, by id: what was
    there before. `most`: at once."""

    def __init__(self, known: dict[int, Any]) -> None:
        self.known = known
        self.live: dict[int, Any] = {}
        self.now = self.most = 0
        self.start: tuple[int, int] | None = None  # in a call, what there was before, and the most

    def hold(self, x: Any) -> None:
        """Count an array as long as there is a reference to its memory."""
        x = x.everything() if type(x) in KINDS else x
        x = owner_of(x) if isinstance(x, np.ndarray) else None  # or a number of NumPy's
        if x is None or id(x) in self.known or id(x) in self.live:
            return

        def let_go(_: Any, key: int = id(x), bytes_: int = x.nbytes) -> None:
            del self.live[key]
            self.now -= bytes_

        self.live[id(x)] = weakref.ref(x, let_go)
        self.now += x.nbytes
        self.most = max(self.most, self.now)

    def applied(self, op: Any, inputs: Any, attributes: Any, output: Any) -> None:
        for x in (output.data, *inputs):
            self.hold(x)
        if self.start:  # still in the forward part of what a call runs again
            before, most = self.start
            self.start = before, max(most, self.now - before)

    def sent(self, node: Node, cotangent: Any, terms: list[tuple[Node, Any]]) -> None:
        if self.start:
            self.runs[self.call] = self.start[1]
            self.start = None
        for x in (cotangent, *(term for _, term in terms)):
            self.hold(x)

    def reverse_pass(self, root: Node) -> tuple[int, dict[Node, int]]:
        """The most bytes at once, beside what was known; and of each call that runs ops again, the
        most that these need before they are differentiated."""
        self.runs: dict[Node, int] = {}
        adjoints: dict[Node, Any] = {root: np.ones(root.value.shape, root.value.dtype)}
        self.hold(adjoints[root])
        with np.errstate(all="ignore"), watching(self):
            for node in reversed(toposort([root])):
                if node.op is None or node not in adjoints:
                    continue
                adjoint = adjoints.pop(node)
                if isinstance(node.op, Call):
                    self.call, self.start = node, (self.now, 0)
                found = input_cotangents(node, adjoint)
                self.start = None
                for _, term in found:
                    self.hold(term)
                for source, term in found:
                    total = adjoints[source] + term if source in adjoints else term
                    self.hold(total)  # beside the one that it replaces
                    adjoints[source] = total
        return self.most, self.runs
