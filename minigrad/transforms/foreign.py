"""Functions that may call code that is not NumPy: SciPy's solvers, libraries of C, simulators.

They are called with arrays. In a compiled function they are traced if they can be; one that reads
numbers, or passes arrays on to such code, runs between compiled parts: as an op that NumPy runs.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import count
from keyword import iskeyword
from typing import Any

import numpy as np

from minigrad.arguments import called
from minigrad.autograd import switched
from minigrad.dispatch import implementations, is_traced
from minigrad.errors import (
    ArgumentError,
    GradientError,
    MinigradError,
    ShapeError,
    UnsupportedError,
    numbers_of,
)
from minigrad.inside import traced_form
from minigrad.ops.base import Op, registry
from minigrad.random import asking
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.batched import KINDS, Batched, Level, detached, innermost, needs_grad
from minigrad.transforms.trees import Function, flat, like, map_tree


def attempt(
    function: Callable[[], Any],
    otherwise: Callable[[], Any],
    errors: type[Exception] | tuple[type[Exception], ...],
) -> Any:
    """What a function gives, or, if it raises one of these errors, what the other does; in a
    compiled function, which notes what cannot be traced, at any error."""
    if traced_form.get() is not None:
        return implementations["attempt"](function, otherwise)
    try:
        return function()
    except errors:
        return otherwise()


class Here:
    """In the arguments of a call, the place of an array that an op is given."""


class Results:
    """How the results of a function are nested, with their shapes and dtypes. They leave the op
    side by side, in one array of one axis, for ops have one output: each array once, and none that
    is an argument. `places` says which array each leaf is; -1 is the last argument."""

    def __init__(self, tree: Any, given: Sequence[Any] = ()) -> None:
        leaves = flat(tree)
        known = {id(x): k - len(given) for k, x in enumerate(given)}
        own: list[np.ndarray] = []
        self.places: list[int] = []
        for x in leaves:
            if id(x) not in known:
                known[id(x)] = len(own)
                own.append(numbers_of(value_of(x)))
            self.places.append(known[id(x)])
        self.tree = map_tree(lambda _: Here, tree)
        self.shapes, self.dtypes = [x.shape for x in own], [x.dtype for x in own]
        self.ends = np.cumsum([x.size for x in own]).tolist()
        self.packed = np.concatenate([np.zeros(0, bool), *(x.ravel() for x in own)])

    def form(self) -> Any:
        return self.tree, self.places, self.shapes, self.dtypes

    def unpacked(self, packed: Any, given: Sequence[Any] = ()) -> Any:
        parts = zip([0, *self.ends], self.ends, self.shapes, self.dtypes, strict=False)
        own = [
            np.astype(np.reshape(packed[start:end], shape), dtype)
            for start, end, shape, dtype in parts
        ]
        every = [*own, *given]
        return like(self.tree, (every[k] for k in self.places))


def is_given(x: Any) -> bool:
    """Whether a leaf of the arguments is an array, of which an op depends."""
    return isinstance(x, Tensor | np.ndarray) or is_traced(x)


def guarded(x: Any) -> Any:
    """An array as one that cannot be written into: others hold it as well. Anything else as it
    is."""
    if type(x) is np.ndarray:
        x = x.view()
        x.flags.writeable = False
    elif type(x) in KINDS:
        x = Batched(x.array, x.level)
        x.writeable = False
    elif not isinstance(x, Tensor) and is_traced(x):
        x = x.of(x.value)
        x.writeable = False
    return x


def filled(form: Any, arrays: Any) -> Any:
    """The arguments of a call, with arrays in their places."""
    rest = iter(arrays)
    return map_tree(lambda x: next(rest) if x is Here else x, form)


def key_of(arrays: Iterable[Any], form: Any) -> Any:
    """What decides how results are nested: the arguments, but not the numbers in them."""
    kinds = map_tree(lambda x: x if isinstance(x, int | str | type) else type(x), form)
    return repr(kinds), *((x.shape, x.dtype.char) for x in arrays)


def check_closed(name: str, result: Any) -> None:
    """Raise if what a function gave for plain arrays has a gradient."""
    if any(map(needs_grad, flat(result))):
        raise GradientError(
            f"{name} returned a Tensor that requires a gradient, from outside of it, which would "
            "be lost: pass that Tensor as an argument"
        )


class Foreign:
    """A function of arrays, and the op that it is in compiled programs, made at need.

    `known` has how the results were nested, for arguments of each kind; `opaque`: whether it is
    known to call code that is not NumPy; `example`: what else gives results of its form.
    """

    __slots__ = ("example", "function", "known", "made", "name", "opaque")

    def __init__(self, function: Function, name: str) -> None:
        self.function, self.name = function, name
        self.known: dict[Any, Results] = {}
        self.made: Op | None = None
        self.opaque = False
        self.example: Function | None = None

    def __call__(self, *args: Any) -> Any:
        level = innermost(flat(args))
        if level is not None:
            each, all_at_once = partial(self.each, level, args), partial(self.run, args)
            if self.opaque:
                return each()
            if any(map(needs_grad, flat(args))):  # entry by entry, it has no derivative
                return all_at_once()
            return attempt(all_at_once, each, Exception)  # an error of its own is raised again
        if not any(is_traced(value_of(x)) for x in flat(args)):
            return self.run(args)
        if self.opaque:
            return self.between(args)
        return implementations["attempt"](lambda: self.run(args), lambda: self.between(args))

    def run(self, args: Any) -> Any:
        """The function itself.

        Raises:
            ArgumentError: if it writes into an array that it is given, which others hold.
            ArgumentTypeError: if it takes other arguments.
        """
        try:
            return called(self.name, self.function, *args)
        except ValueError as error:
            if "read-only" in str(error) and not isinstance(error, MinigradError):
                raise ArgumentError(
                    f"{self.name} writes into an array that it is given, which others hold as "
                    "well: let it write into a copy, np.array(x)"
                ) from error
            raise

    def each(self, level: Level, args: tuple[Any, ...]) -> Any:
        """Calls with each entry of a batch, and the results stacked."""
        leaves = flat(args)
        if any(map(needs_grad, leaves)):
            raise GradientError(
                f"{self.name} calls code that is not NumPy, so that its derivative would be lost"
            )
        if not level.size:
            return self.of_none(level, args)
        wholes = [level.whole(x) if level.is_own(detached(x)) else None for x in leaves]
        results, known = [], {}
        for k in range(level.size):
            parts = [x if all is None else all[k] for x, all in zip(leaves, wholes, strict=True)]
            with switched(asking, None):  # each may draw its own
                results.append(self(*like(args, iter(parts))))
            if not k:  # a result that is an argument stays it
                known = {id(part): x for part, x in zip(parts, leaves, strict=True)}
        for column in zip(*map(flat, results), strict=True):
            if id(column[0]) not in known:
                known[id(column[0])] = stacked(column, level)
        return map_tree(lambda x: known[id(x)], results[0])

    def of_none(self, level: Level, args: tuple[Any, ...]) -> Any:
        """The results for an empty batch, of the shapes that a call on made-up numbers gives."""
        results, arrays, _ = self.results_for(map_tree(detached, args))
        kinds = zip(results.shapes, results.dtypes, strict=True)
        own = [Batched(np.zeros((0, *shape), dtype), level) for shape, dtype in kinds]
        every = [*own, *arrays]
        return like(results.tree, (every[k] for k in results.places))

    def between(self, args: tuple[Any, ...]) -> Any:
        """A call between compiled parts.

        Raises:
            UnsupportedError: if arguments are Tensors that are recorded.
        """
        if any(isinstance(x, Tensor) for x in flat(args)):
            raise UnsupportedError(
                f"{self.name} reads numbers, so that in a compiled function it runs between the "
                "compiled parts, and has no derivative there of its own: differentiate the "
                "function that calls it without compiling it"
            )
        results, arrays, form = self.results_for(args)
        self.made = implementations["foreign op"](self.op)
        registry[self.made.name] = self.made  # where compiled programs find their ops
        result = results.packed.shape, results.packed.dtype
        return results.unpacked(self.made(*arrays, form=form, result=result), arrays)

    def results_for(self, args: tuple[Any, ...]) -> tuple[Results, list[Any], Any]:
        """How the results for arguments like these are nested, the arrays among these, and the
        form of the others."""
        arrays = [x for x in flat(args) if is_given(x)]
        form = map_tree(lambda x: Here if is_given(x) else x, args)
        key = key_of(arrays, form)
        if key not in self.known:
            self.try_out(arrays, form)
        return self.known[key], arrays, form

    def op(self) -> Op:
        return self.made or new_op(self.name, "function", self.packed, of=ForeignOp)

    def packed(self, *arrays: Any, form: Any, result: Any = None) -> np.ndarray:
        """What the op computes: the function's results on plain arrays, packed."""
        arrays = tuple([np.asarray(x).view() for x in arrays])  # one may be given twice
        found = self.run(filled(form, arrays))
        check_closed(self.name, found)
        results = Results(found, arrays)
        before = self.known.setdefault(key_of(arrays, form), results)
        if before.form() != results.form():
            raise ShapeError(
                f"{self.name} returned arrays of other shapes, dtypes, or nested in another way, "
                "than for arguments like these before: in a compiled function, that is to follow "
                "from the shapes and dtypes of arguments"
            )
        return results.packed

    def try_out(self, arrays: Sequence[Any], form: Any) -> None:
        """Call the function, or its example, on numbers, to find how its results are nested.

        Raises:
            ShapeError: if it fails.
        """
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numbers that no one has given
            for numbers in samples(arrays):
                try:
                    if self.example is not None:
                        found = self.example(*filled(form, numbers))
                        self.known[key_of(numbers, form)] = Results(found, numbers)
                        return
                    self.packed(*numbers, form=form)
                    return
                except Exception as error:
                    failure = error
        shapes = ", ".join(str(x.shape) for x in arrays)
        raise ShapeError(
            f"{self.name} runs on made-up numbers of shapes {shapes} first, in a compiled "
            "function or for an empty batch, to find the shapes of its results, and failed: "
            f"{failure!r}. Call it once on arrays of these shapes and dtypes before, without "
            "compiling"
        ) from failure


def stacked(column: Sequence[Any], level: Level) -> Any:
    """The results of all entries of a batch; what is no array is the same for all."""
    x = value_of(column[0])
    if not (is_given(x) or isinstance(x, float | complex | np.generic)):
        return x
    return Batched(np.stack([value_of(part) for part in column]), level)


def samples(arrays: Sequence[Any]) -> Iterator[list[np.ndarray]]:
    """Numbers in the place of traced arrays: from 0.5 to 1.5, then identity matrices, then 0."""
    sizes = ((x, int(np.prod(x.shape))) for x in arrays)
    yield [
        (0.5 + np.arange(1, n + 1) * 0.618 % 1).reshape(x.shape).astype(x.dtype) for x, n in sizes
    ]
    zeros = [np.zeros(x.shape, x.dtype) for x in arrays]
    yield [x + np.eye(*x.shape[-2:], dtype=x.dtype) if x.ndim > 1 else x for x in zeros]
    yield zeros


class ForeignOp(Op):
    """A function that may call code that is not NumPy, as an op: its errors are its own."""

    refusals = ()


def new_op(
    name: str, kind: str, forward: Callable[..., Any], vjps: Any = (), of: type[Op] = Op
) -> Op:
    """An op that is not in the registry, which would keep each that was ever made."""
    own = re.sub(r"\W", "_", name).strip("_")
    own = own if own.isidentifier() and not iskeyword(own) else "function"
    op = of("processing", f"{own} ({kind} {next(numbers)})", forward, vjps, f"{own}({{0}}, ...)")
    del registry[op.name]
    return op


numbers = count()


def opaque(function: Foreign, example: Function) -> None:
    """Say that a function calls code that is not NumPy, and what gives results of its form."""
    function.opaque, function.example = True, example
