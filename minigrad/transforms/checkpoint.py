"""checkpoint: memory for time. What a function computes is not kept for the reverse pass, which
runs it again."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from minigrad.arguments import checked
from minigrad.autograd import recording, switched
from minigrad.errors import GradientError
from minigrad.graph import Node, births
from minigrad.inside import traced_form
from minigrad.reachable import as_it_is_now
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.batched import KINDS, Kind, Level, levels, needs_grad
from minigrad.transforms.calls import as_written, call_node
from minigrad.transforms.draws import Draws, check_the_same
from minigrad.transforms.rerun import Rerun, from_outside, requiring_grad
from minigrad.transforms.trees import Function, flat, like, map_tree
from minigrad.watch import instead, replaced_by
from minigrad.writes import Overwritten, log


@checked
def checkpoint(f: Function) -> Function:
    """A function, or a module, that keeps nothing of what it computes for the reverse pass, which
    runs it again: less memory, for the time of one more run. Also a decorator.

    Gradients flow to its arguments, and to all else that it uses, as the parameters of a module.
    The second run draws the random numbers of the first (dropout has the same masks), and leaves
    the statistics of normalizations as they are. `scan(checkpoint(f), ...)` is checkpointed in
    levels, so that its memory grows with the logarithm of the number of rounds.

    In a compiled function, whose memory the compiler plans, f itself is run.

    Raises:
        GradientError: in the reverse pass, if f does not compute the same again: if it draws
            random numbers that minigrad does not know of, or uses what was changed since.

    >>> from minigrad import grad
    >>> grad(lambda x: np.sum(checkpoint(np.tanh)(x)))(np.array([0.0, 1.0]))
    array([1.        , 0.41997434])
    """
    return f if isinstance(f, Checkpointed) else Checkpointed(f)


# The vmaps inside of which something is run again that is differentiated there.
redone: ContextVar[tuple[Level | None, ...]] = ContextVar("redone", default=())


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

    def of_own_arguments(self, own: Function) -> Checkpointed:
        """The same, of a function that may write into its arguments: it is given own(x) of x."""

        function = self.function

        def of_own(*args: Any) -> Any:
            return function(*map_tree(own, args))

        of_own.__name__ = self.name
        return Checkpointed(of_own)

    @property
    def name(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not recording.get() or as_written.get() or traced_form.get() is not None:
            return self.function(*args, **kwargs)
        level = (None, *levels.get())[-1]
        if level is None or level.is_differentiated() or level in redone.get():
            return Run(self.function, (args, kwargs), level).result()
        return self.of_entries(level, (args, kwargs))

    def of_entries(self, level: Level, arguments: Any) -> Any:
        """A call under vmap, as one of whole batches outside of it, where it is differentiated."""
        function, leaves, kinds = self.function, flat(arguments), list[Kind]()
        own = [k for k, x in enumerate(leaves) if needs_grad(x) and level.is_own(value_of(x))]

        def on_batches(*wholes: Any) -> Any:
            with level.inside():
                given = dict(zip(own, map(level.entry, wholes), strict=True))
                args, kwargs = like(arguments, (given.get(k, x) for k, x in enumerate(leaves)))
                found = function(*args, **kwargs)
                kinds[:] = level.kinds_of(parts := flat(found))
                return like(found, iter(level.wholes(parts, kinds)))

        on_batches.__name__ = self.name
        wholes = [level.whole(leaves[k]) for k in own]
        with level.outside():
            found = Checkpointed(on_batches)(*wholes)
        return like(found, iter(level.entries(flat(found), kinds)))


class Run:
    """The first run of a function, on `arguments`: what the second one needs to be the same.

    `again`: the function, which reads its variables as they are now.
    `tensors`: the leaves of the arguments that require a gradient. `outputs`: the places, among the
    leaves of the result, of those that do. `captured`: the nodes from outside that they depend on
    beside the arguments. `states`: generators, with their states before it drew from them. Of a run
    inside of a vmap, `level`, both are the batched ones: what is the same for all entries is
    recorded op by op, for transforms outside of it differentiate that as well.
    """

    def __init__(self, function: Function, arguments: Any, level: Level | None = None) -> None:
        self.function, self.again = function, as_it_is_now(function)
        self.arguments, self.level = arguments, level
        self.name = getattr(function, "__name__", type(function).__name__)
        self.leaves = flat(arguments)
        self.wanted = [k for k, x in enumerate(self.leaves) if self.is_own(x)]
        self.tensors = [self.leaves[k] for k in self.wanted]
        self.instead = instead.get()
        self.draws = Draws(x for x in self.leaves if isinstance(x, np.random.Generator))

    def is_own(self, x: Any) -> bool:
        return needs_grad(x) and (self.level is None or self.level.is_own(value_of(x)))

    def result(self) -> Any:
        with self.draws.noted(and_numpys=True):
            start = next(births)
            variables = [Tensor.of(Node(x.data, True)) for x in self.tensors]
            nodes = [x.node for x in variables]
            found = self.run(self.function, *variables)
        self.written = written_since(start)
        leaves = flat(found)
        self.outputs = [k for k, y in enumerate(leaves) if self.is_own(y)]
        if not self.outputs:
            return found
        self.captured = from_outside([leaves[k].node for k in self.outputs], start, nodes)
        inputs = [*self.tensors, *map(Tensor.of, self.captured)]
        others = (value_of(x) for k, x in enumerate(self.leaves) if k not in self.wanted)
        given = [x for x in others if isinstance(x, np.ndarray)]
        # Batched ones have their derivatives outside of the vmap, and are never written into.
        arrays = [x.copy() if type(x := leaves[k].data) is np.ndarray else x for k in self.outputs]
        made = call_node(self.name, inputs, arrays, self.pull_back, [*arrays, *given])
        for k, y in zip(self.outputs, made, strict=True):
            leaves[k] = y
        return like(found, iter(leaves))

    def run(self, function: Function, *variables: Tensor) -> Any:
        """A function, of these in the place of the Tensors in the arguments."""
        for x, given in zip(variables, self.tensors, strict=True):
            x.node.name = given.name
        given = dict(zip(self.wanted, variables, strict=True))
        leaves = (given.get(k, x) for k, x in enumerate(self.leaves))
        args, kwargs = like(self.arguments, leaves)
        return function(*args, **kwargs)

    def pull_back(
        self, sent: dict[int, Any], inputs: Sequence[Any], held: Sequence[Any]
    ) -> Sequence[Any]:
        for x in (*inputs, *held):
            if type(x) is Overwritten:
                x.refuse()
        start = next(births)
        here = switched(redone, (*redone.get(), self.level))
        with self.draws.repeated(), restored(self.written), here, replaced_by(self.instead):
            tensors, again = inputs[: len(self.tensors)], any(map(needs_grad, inputs))
            run = Rerun(lambda *xs: flat(self.run(self.again, *xs)), tensors, self.captured, again)
        outputs = [k for k, y in enumerate(run.outputs) if self.is_own(y)]
        with requiring_grad(self.captured):
            others = from_outside([run.outputs[k].node for k in outputs], start, run.nodes)
        if outputs != self.outputs or {*others} != {*self.captured}:
            raise GradientError(
                f"checkpoint: {self.name} was run again for the reverse pass, and used other "
                "Tensors than before: what it uses is to stay the same until then"
            )
        arrays = [run.outputs[k] for k in outputs]
        before = held[: len(arrays)]
        check_the_same(f"checkpoint: {self.name}", map(numbers, arrays), map(numbers, before))
        return run.pull_back({outputs[k]: g for k, g in sent.items()})


def numbers(x: Any) -> Any:
    """An array; those of all entries of a batch as one."""
    x = value_of(x)
    return x.everything() if type(x) in KINDS else x


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
