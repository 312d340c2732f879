"""vmap: a function of single entries, made to work on batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from functools import partial
from typing import Any

import numpy as np

from minigrad.arguments import advice, check_call, check_library, checked
from minigrad.autograd import switched
from minigrad.dispatch import is_traced
from minigrad.errors import ArgumentError, ArgumentTypeError, ShapeError, UnsupportedError
from minigrad.graph import Node
from minigrad.random import draw, seeds_checked
from minigrad.reachable import bits_of, generators_of, source_of
from minigrad.tensor import Tensor
from minigrad.transforms.batched import Batched, Level, detached, levels, needs_grad
from minigrad.transforms.batched_loops import batched_loops
from minigrad.transforms.batching import rule_of
from minigrad.transforms.draws import rewound
from minigrad.transforms.loops import lowered
from minigrad.transforms.trees import Function, described, leaves_of, like, named
from minigrad.watch import engine, replacing
from minigrad.writes import owner_of


@checked
def vmap(f: Function, in_axes: Any = 0, out_axes: Any = 0) -> Function:
    """A function that applies f to every entry of a batch, and returns the results as a batch.

    f is run once, on Tensors that stand for one entry, and each op in it is done for all entries at
    once. It composes with the other transforms, with itself, and with `compile`.

    Args:
        f: a function of arrays, numbers, and dicts, lists and tuples of them.
        in_axes: the axis of the batch in each argument; None for what is the same for all entries.
            One for all positional arguments, or a tuple or list with one for each; for an argument
            that is a pytree, a pytree of its structure, or one for all of it. Keyword arguments are
            batched along axis 0.
        out_axes: the axis of the batch in each result, in the same way; None for a result that does
            not differ between entries.

    Raises:
        ArgumentError: if in_axes or out_axes do not fit what they are for.
        ShapeError: if batches have different lengths, or an argument has no such axis.

    >>> distance = vmap(lambda x, y: np.sqrt(np.sum((x - y) ** 2)), in_axes=(0, None))
    >>> distance(np.array([[3.0, 4.0], [6.0, 8.0]]), np.zeros(2))
    array([ 5., 10.])
    """

    @named("vmap", f)
    def batched(*args: Any, **kwargs: Any) -> Any:
        axes = in_axes
        if isinstance(axes, tuple | list):
            if len(axes) != len(args):
                raise ArgumentError(
                    f"vmap with in_axes={in_axes!r}, which has {len(axes)} entries, of a function "
                    f"called with {len(args)} positional arguments: give one for each"
                )
            axes = tuple(axes)
        given = leaves_of((args, kwargs))
        places = [
            *axes_for(axes, args, "in_axes", "the arguments"),
            *axes_for(0, kwargs, "in_axes", "the arguments"),
        ]
        size = batch_size([leaf for _, leaf in given], places, [*names(args, kwargs)])
        level = Level(size, rule_of)
        entries = [entry(level, x, axis) for (_, x), axis in zip(given, places, strict=True)]
        args_of_f, kwargs_of_f = like((args, kwargs), iter(entries))
        draws = Draws(level, [f, *(x for _, x in given)])
        with inside(level, draws), seeds_checked(refuse_seeds):
            try:
                result = f(*args_of_f, **kwargs_of_f)
            except ValueError as error:  # NumPy has wrapped an error of ours
                if isinstance(error.__cause__, UnsupportedError):
                    raise error.__cause__ from None
                raise
            except TypeError as error:
                check_call(error, f, args, kwargs)
                raise
            draws.check()
            results = [x for _, x in leaves_of(result)]
            ends = axes_for(out_axes, result, "out_axes", "the result")
            whole = [outward(level, x, axis) for x, axis in zip(results, ends, strict=True)]
        return like(result, iter(finished(whole, [leaf for _, leaf in given])))

    return batched


@contextmanager
def inside(level: Level, draws: Draws) -> Iterator[None]:
    """Inside, ops, loops and draws are of whole batches. It may be entered again, elsewhere."""
    if level in levels.get():  # but not for draws, where these are repeated
        below = getattr(draw.get(), "__self__", None)
        own = below if isinstance(below, Draws) and below.level is level else copy(draws)
        own.below = draw.get() if own is not below else own.below
        with switched(draw, own.draw):
            yield
        return
    before, below = (level.below, level.outside, draws.below), lowered.get()
    around = engine.get(), levels.get(), draw.get(), below
    level.below, draws.below = around[0][0], around[2]

    @contextmanager
    def outside() -> Iterator[None]:
        variables: Any = zip((engine, levels, draw, lowered), around, strict=True)
        with ExitStack() as stack:
            for variable, value in variables:
                stack.enter_context(switched(variable, value))
            yield

    level.inside, level.outside = partial(inside, level, draws), outside
    how = below and batched_loops(level, below, nested)
    try:
        with (
            replacing(level.apply, engine.get()[1]),
            switched(levels, (*levels.get(), level)),
            switched(draw, draws.draw),
            switched(lowered, how),
        ):
            yield
    finally:
        level.below, level.outside, draws.below = before


@contextmanager
def nested(size: int) -> Iterator[Level]:
    """Inside of another vmap of so many entries."""
    level = Level(size, rule_of)
    with inside(level, Draws(level)):
        yield level


def refuse_seeds() -> None:
    raise UnsupportedError(
        "a function under vmap makes random numbers from no seed: it is run once, so they would be "
        "the same for all entries. Draw them outside, one for each entry, and pass them as an "
        "argument; or, the same for all on purpose, draw them outside too"
    )


class Draws:
    """Random numbers under vmap: layers draw some for each entry, in the order of a loop over the
    entries; other draws, which would be one for all, are refused.

    `found`: the function, and what it is given. `generators`: those that it could draw from, and
    their states when last seen.
    """

    def __init__(self, level: Level, found: Sequence[Any] = ()) -> None:
        self.level, self.below = level, draw.get()
        self.generators = {id(rng): rng for rng in generators_of(found)}
        self.states = {key: bits_of(rng) for key, rng in self.generators.items()}

    def check(self) -> None:
        """Raise if the function has drawn by itself since the last time."""
        for key, rng in self.generators.items():
            if source_of(rng) not in rewound.get() and bits_of(rng) != self.states[key]:
                raise UnsupportedError(
                    "a function under vmap draws random numbers from a generator of NumPy or "
                    "Python: it is run once, so they would be the same for all entries. Draw them "
                    "outside, one for each entry, and pass them as an argument; or, the same for "
                    "all on purpose, draw them outside too. minigrad.random.uniform(rng, shape) "
                    "and dropout draw some for each entry"
                )

    def draw(self, rng: np.random.Generator | None, shape: tuple[int, ...]) -> Any:
        self.check()
        drawn = Batched(self.below(rng, (self.level.size, *shape)), self.level)
        if rng is not None and id(rng) in self.generators and source_of(rng) not in rewound.get():
            self.states[id(rng)] = bits_of(rng)
        return drawn


def names(args: Any, kwargs: Any) -> list[str]:
    """How messages name the leaves of arguments."""
    positional = [f"argument {k}{at}" for k, x in enumerate(args) for at, _ in leaves_of(x)]
    return positional + [
        f"keyword argument {key}{at}" for key, x in kwargs.items() for at, _ in leaves_of(x)
    ]


def axes_for(axes: Any, tree: Any, what: str, name: str) -> list[int | None]:
    """The axis for each leaf of a tree: `axes` has its structure, or that of its outer part."""
    if axes is None or (isinstance(axes, int) and not isinstance(axes, bool)):
        return [axes] * len(leaves_of(tree))
    nested = isinstance(axes, dict | list | tuple)
    if isinstance(axes, dict) and isinstance(tree, dict) and axes.keys() == tree.keys():
        return [k for key in tree for k in axes_for(axes[key], tree[key], what, f"{name}[{key!r}]")]
    sequences = isinstance(axes, list | tuple) and isinstance(tree, list | tuple)
    if sequences and len(axes) == len(tree):
        pairs = enumerate(zip(axes, tree, strict=True))
        return [k for n, (a, x) in pairs for k in axes_for(a, x, what, f"{name}[{n}]")]
    if not nested:
        raise ArgumentTypeError(
            f"{what} of vmap are integers, None, or pytrees of them, not {axes!r}"
        )
    raise ArgumentError(
        f"vmap with {what}={axes!r} for {name}, which is {described(tree)}: give them in the same "
        "pytree structure, or one axis for all of it"
    )


SAME_FOR_ALL = (
    "give in_axes None for what is the same for all entries; a keyword argument, which is batched "
    "along axis 0, is given to f, vmap(functools.partial(f, name=value))"
)


def batch_size(leaves: list[Any], axes: list[int | None], where: list[str]) -> int:
    """The length of the batch, which all arguments must share."""
    sizes: dict[int, str] = {}
    for x, axis, name in zip(leaves, axes, where, strict=True):
        check_library(f"vmap: {name}", x)
        if axis is None:
            continue
        shape = np.shape(x) if isinstance(x, int | float | complex) else getattr(x, "shape", None)
        if shape is None:
            raise ArgumentTypeError(
                f"vmap: {name} is a {type(x).__name__}, which has no batch{advice(x)}: "
                f"{SAME_FOR_ALL}"
            )
        if not -len(shape) <= axis < len(shape):
            raise ShapeError(
                f"vmap: {name} of shape {tuple(shape)} has no axis {axis} to be the batch"
                + (f": {SAME_FOR_ALL}" if not shape else "")
            )
        sizes.setdefault(shape[axis], f"{name} of shape {tuple(shape)} along axis {axis}")
    if not sizes:
        raise ArgumentError(
            "vmap of a call without a batch: every argument has in_axes None, or there is none"
        )
    if len(sizes) > 1:
        found = "; ".join(f"{n} in {where}" for n, where in sizes.items())
        raise ShapeError(f"vmap: batches have the same length, and these have {found}")
    return next(iter(sizes))


def entry(level: Level, x: Any, axis: int | None) -> Any:
    """What f gets for a leaf of the arguments."""
    if axis is None:  # as a Tensor, an array can be indexed by what differs from entry to entry
        numbers = isinstance(x, np.ndarray) and x.ndim and x.dtype.kind in "biufc"
        return Tensor.of(Node(x)) if numbers else x
    whole = np.moveaxis(x, axis, 0) if axis else x
    whole = whole if needs_grad(whole) else detached(whole)
    one: Any = Batched(whole, level)
    one.writeable = False  # the caller would not see what is written into it
    return level.stand_in(one, isinstance(whole, Tensor))


def outward(level: Level, x: Any, axis: int | None) -> Any:
    """A leaf of the result, with the batch along an axis."""
    value: Any = detached(x)
    if not isinstance(value, int | float | complex | np.ndarray | np.generic):
        raise ArgumentTypeError(
            f"a function under vmap returns numbers, arrays and Tensors, and this one returned a "
            f"{type(x).__name__}{advice(x)}"
        )
    if axis is None:
        if level.is_own(value):
            raise ArgumentError(
                f"vmap with out_axes=None for a result of shape {np.shape(value)} that differs "
                "from entry to entry: give an axis for the batch"
            )
        return x
    whole = level.whole(x)
    if not -whole.ndim <= axis < whole.ndim:
        raise ShapeError(
            f"vmap with out_axes={axis} for a result of shape {tuple(whole.shape[1:])}: with the "
            f"batch it has axes {-whole.ndim}..{whole.ndim - 1}"
        )
    return np.moveaxis(whole, 0, axis) if axis else whole


def finished(results: list[Any], given: list[Any]) -> list[Any]:
    """The results in the form of the arguments, Tensors if there are any among these; in memory of
    their own."""
    of_tensors = any(isinstance(x, Tensor) for x in given)
    owners = {id(owner_of(x)) for x in map(detached, given) if isinstance(x, np.ndarray)}
    found = []
    for x in results:
        if needs_grad(x):
            found.append(x)
            continue
        x = detached(x)
        if type(x) is np.ndarray and (not x.flags.writeable or id(owner_of(x)) in owners):
            x = x.copy()
        elif not is_traced(x):
            x = np.asarray(x)
        found.append(Tensor(x) if of_tensors else x)
    return found
