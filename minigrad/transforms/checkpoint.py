"""checkpoint: memory for time. What a function computes is not kept for the reverse pass, which
runs it again."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad.arguments import checked
from minigrad.autograd import recording
from minigrad.errors import GradientError
from minigrad.graph import Node, births
from minigrad.inside import traced_form
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.batched import levels
from minigrad.transforms.calls import as_written, call_node
from minigrad.transforms.draws import Draws, check_the_same
from minigrad.transforms.rerun import Rerun, from_outside, needs_grad, requiring_grad
from minigrad.transforms.trees import Function, flat, like
from minigrad.writes import Overwritten, log


@checked
def checkpoint(f: Function) -> Function:
    """A function, or a module, that keeps nothing of what it computes for the reverse pass, which
    runs it again: less memory, for the time of one more run. Also a decorator.

    Gradients flow to its arguments, and to all else that it uses, as the parameters of a module.
    The second run draws the random numbers of the first (dropout has the same masks), and leaves
    the statistics of normalizations as they are. `scan(checkpoint(f), ...)` is checkpointed in
    levels, so that its memory grows with the logarithm of the number of rounds.

    In a compiled function, whose memory the compiler plans, and under vmap, f itself is run.

    Raises:
        GradientError: in the reverse pass, if f does not compute the same again: if it draws
            random numbers that minigrad does not know of, or uses what was changed since.

    >>> from minigrad import grad
    >>> grad(lambda x: np.sum(checkpoint(np.tanh)(x)))(np.array([0.0, 1.0]))
    array([1.        , 0.41997434])
    """
    return f if isinstance(f, Checkpointed) else Checkpointed(f)


class Checkpointed:
    """What `checkpoint` returns."""

    def __init__(self, function: Function) -> None:
        functools.update_wrapper(self, function)
        self.function = function

    def __repr__(self) -> str:
        return f"<checkpoint of {self.function!r}>"

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Of a method, that of an object; it is bound as its function is."""
        bind = getattr(type(self.function), "__get__", None)
        if instance is None or bind is None:
            return self
        return Checkpointed(bind(self.function, instance, owner))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        plain = not recording.get() or as_written.get()
        if plain or traced_form.get() is not None or levels.get():
            return self.function(*args, **kwargs)
        return Run(self.function, (args, kwargs)).result()


class Run:
    """The first run of a function, on `arguments`: what the second one needs to be the same.

    `tensors`: the leaves of the arguments that require a gradient. `outputs`: the places, among the
    leaves of the result, of those that do. `captured`: the nodes from outside that they depend on
    beside the arguments. `states`: generators, with their states before it drew from them.
    """

    def __init__(self, function: Function, arguments: Any) -> None:
        self.function, self.arguments = function, arguments
        self.name = getattr(function, "__name__", type(function).__name__)
        self.leaves = flat(arguments)
        self.wanted = [k for k, x in enumerate(self.leaves) if needs_grad(x)]
        self.tensors = [self.leaves[k] for k in self.wanted]
        self.draws = Draws(x for x in self.leaves if isinstance(x, np.random.Generator))

    def result(self) -> Any:
        with self.draws.noted(and_numpys=True):
            start = next(births)
            variables = [Tensor.of(Node(x.data, True)) for x in self.tensors]
            nodes = [x.node for x in variables]
            found = self.run(*variables)
        self.written = written_since(start)
        leaves = flat(found)
        self.outputs = [k for k, y in enumerate(leaves) if needs_grad(y)]
        if not self.outputs:
            return found
        self.captured = from_outside([leaves[k].node for k in self.outputs], start, nodes)
        inputs = [*self.tensors, *map(Tensor.of, self.captured)]
        others = (value_of(x) for k, x in enumerate(self.leaves) if k not in self.wanted)
        given = [x for x in others if isinstance(x, np.ndarray)]
        arrays = [leaves[k].data.copy() for k in self.outputs]
        made = call_node(self.name, inputs, arrays, self.pull_back, [*arrays, *given])
        for k, y in zip(self.outputs, made, strict=True):
            leaves[k] = y
        return like(found, iter(leaves))

    def run(self, *variables: Tensor) -> Any:
        """The function, of these in the place of the Tensors in the arguments."""
        for x, given in zip(variables, self.tensors, strict=True):
            x.node.name = given.name
        given = dict(zip(self.wanted, variables, strict=True))
        leaves = (given.get(k, x) for k, x in enumerate(self.leaves))
        args, kwargs = like(self.arguments, leaves)
        return self.function(*args, **kwargs)

    def pull_back(
        self, sent: dict[int, Any], inputs: Sequence[Any], held: Sequence[Any]
    ) -> Sequence[Any]:
        for x in (*inputs, *held):
            if type(x) is Overwritten:
                x.refuse()
        start = next(births)
        with self.draws.repeated(), restored(self.written):
            tensors, again = inputs[: len(self.tensors)], any(map(needs_grad, inputs))
            run = Rerun(lambda *xs: flat(self.run(*xs)), tensors, self.captured, again)
        outputs = [k for k, y in enumerate(run.outputs) if needs_grad(y)]
        with requiring_grad(self.captured):
            others = from_outside([run.outputs[k].node for k in outputs], start, run.nodes)
        if outputs != self.outputs or {*others} != {*self.captured}:
            raise GradientError(
                f"checkpoint: {self.name} was run again for the reverse pass, and used other "
                "Tensors than before: what it uses is to stay the same until then"
            )
        arrays = [run.outputs[k] for k in outputs]
        check_the_same(f"checkpoint: {self.name}", arrays, held[: len(arrays)])
        return run.pull_back({outputs[k]: g for k, g in sent.items()})


def written_since(start: int) -> list[list[Any]]:
    """The entries of the log of all writes for arrays that were written into since."""
    if log.newest < start:
        return []
    return [e for e in log.writes.values() if any(write.stamp > start for write in e[1:])]


@contextmanager
def restored(entries: list[list[Any]]) -> Iterator[None]:
    """Afterwards the arrays of these entries of the log are as they were, as if not written."""
    before = [(array, array.copy(), e) for e in entries if (array := e[0]()) is not None]
    stamps = [(write, write.stamp, write.origin) for *_, e in before for write in e[1:]]
    last = [(e, e[1]) for *_, e in before]
    try:
        yield
    finally:
        for array, values, _ in before:
            array[...] = values
        for entry, write in last:
            entry[1] = write
        for write, stamp, origin in stamps:
            write.stamp, write.origin = stamp, origin
