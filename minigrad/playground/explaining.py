"""Explanations in a page: the structure is made once, the numbers by a function of the program.

The structure comes from a run op by op, the numbers from the same code while it is compiled, so
that all that depends on the batch (labels, what dropout drew) does so in the page.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from inspect import signature
from typing import Any

import numpy as np

from minigrad.autograd import switched
from minigrad.errors import UnsupportedError
from minigrad.graph import Node
from minigrad.tensor import Tensor
from minigrad.transforms.calls import as_written
from minigrad.viz.backprop.steps import Step, trace
from minigrad.viz.page.numbers import all_arrays
from minigrad.viz.page.structure import explanation_structure


def in_order(steps: Sequence[Step]) -> list[Step]:
    """Steps in an order that is the same whenever the program is: leaves by their first use, then
    ops as they were run."""
    ops = [step for step in steps if step.op is not None]
    leaves = dict.fromkeys(
        x for step in ops for x in step.inputs if isinstance(x, Step) and x.op is None
    )
    return [*leaves, *ops]


def ops_of(steps: Sequence[Step]) -> tuple[str, ...]:
    return tuple("" if step.op is None else step.op.name for step in steps)


class OtherStepsError(UnsupportedError):
    """Compiled, a loss has other steps than when it is run op by op."""


class Pool:
    """Memory that functions share for the numbers of explanations: float32 Tensors by shape."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)

    def places(self, shapes: Sequence[tuple[int, ...]]) -> list[int]:
        """The numbers of Tensors for arrays of these shapes, a different one for each."""
        count: dict[tuple[int, ...], int] = defaultdict(int)
        found = []
        for shape in shapes:
            own, k = self.by_shape[shape], count[shape]
            if k == len(own):
                own.append(len(self.tensors))
                name = f"pool.{len(self.tensors)}"
                self.tensors.append(Tensor(np.zeros(shape, np.float32), name=name))
            found.append(own[k])
            count[shape] += 1
        return found


def numbers_of(
    loss: Callable[..., Tensor], explained: Explained, pool: Pool
) -> tuple[dict[str, Any], Callable[..., None]]:
    """A function that stores the numbers of an explanation of loss(*arguments) in a pool; and its
    description for the page: for each array, in order, the number of its Tensor; and that of the
    literals, with their values in the formulas."""
    stored = explained.stored
    *at, last = pool.places(
        [*(explained.shapes[k] for k in stored), (len(explained.literals) + 1,)]
    )
    pairs = [(k, pool.tensors[n]) for k, n in zip(stored, at, strict=True)]
    # These alone: the compiler guards all that a function can reach.
    order, ops = explained.order, explained.ops
    # In tuples, where a Tensor keeps its own name in the program.
    literals = [(n, *place, pool.tensors[last]) for n, place in enumerate(explained.literals)]

    @wraps(loss)  # with the names of its arguments
    def numbers(*arguments: Any) -> None:
        steps = in_order(trace(loss(*arguments).node))
        if ops_of(steps) != ops:
            raise OtherStepsError(
                "this step is compiled into other ops than Python runs, as einsum is, so the page "
                "cannot show both of its passes: in Python, minigrad.explain(loss) does"
            )
        found = list(all_arrays([steps[k] for k in order]))
        for k, tensor in pairs:
            tensor.data[...] = found[k]
        for n, k, position, tensor in literals:
            tensor.data[n] = steps[k].inputs[position]

    arrays = [at[k] for k in explained.copies]
    return {"arrays": arrays, "literals": [last, [*explained.literals.values()]]}, numbers


class Explained:
    """The explanation of loss(*arguments), a run of a network.

    `order`: the place of each step in `in_order`; `ops`: their ops, in that order. `places`: the
    numbers of steps by the names of leaves. Of the arrays of numbers, those that are `stored`, for
    some are the same: a contribution that is alone is the adjoint. `title`: of the loss, if it is a
    function of minigrad.functional. `copies`: for each array, which
    of them it is. `shapes`: of all. `literals`: where numbers that were computed stand in formulas,
    as the number of labels that a mean is of: the place of the step in `in_order`, and of the
    input; with what they are here.
    """

    def __init__(
        self,
        loss: Callable[..., Tensor],
        arguments: Sequence[Any],
        parameters: Mapping[Node, str] | None = None,
        title: str = "",
    ) -> None:
        self.title = title
        with switched(as_written, True):  # all steps, of an LSTM too
            self.steps = trace(loss(*arguments).node)
        ordered = in_order(self.steps)
        self.ops = ops_of(ordered)
        found = {step: k for k, step in enumerate(ordered)}
        self.order = tuple(found[step] for step in self.steps)
        own = {step.node: step.name for step in self.steps if step.name}
        named: Mapping[Node, str] = own if parameters is None else parameters
        self.places = {named[x.node]: k for k, x in enumerate(self.steps) if x.node in named}
        self.literals = {
            (found[step], position): float(x)
            for step in self.steps
            for position, x in enumerate(step.inputs)
            if isinstance(x, np.generic)
        }
        # What the page calls arrays that were given: by the names of the parameters.
        given = list(zip(signature(loss).parameters, arguments, strict=True))
        self.names = {
            step.node: name
            for step in self.steps
            for name, x in given
            if step.op is None and np.shares_memory(step.node.value, x)
        }
        arrays = list(all_arrays(self.steps))
        self.shapes = [x.shape for x in arrays]
        first: dict[int, int] = {}
        for k, x in enumerate(arrays):
            first.setdefault(id(x), k)
        self.stored = list(first.values())
        self.copies = [self.stored.index(first[id(x)]) for x in arrays]

    def structure(self, sizes: Mapping[int, str], sources: bool = False) -> str:
        """The structure of the page, as JSON in which "$B$" stands for a size named B.

        Args:
            sizes: names of sizes. They are numbers that nothing else in it is: larger than any
                number of steps.
            sources: with the lines of the program.
        """
        assert all(n > len(self.steps) for n in sizes)
        # Other numbers come: formulas hold for all branches.
        structure = explanation_structure(self.steps, "loss", self.names, True, self.title)
        if not sources:
            structure["sources"] = []
            for step in structure["steps"]:
                step["line"] = None
        text = json.dumps(structure, separators=(",", ":"))
        for n, name in sizes.items():
            text = re.sub(rf"(?<![\w.]){n}(?![\w.])", f"${name}$", text)
        return text
