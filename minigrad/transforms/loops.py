"""Loops and branches as functions: scan, fori_loop, while_loop and cond.

They are Python's `for`, `while` and `if`, with what goes from round to round (the carry) as an
argument and a result. Called on numbers they are exactly that, and each op is recorded as ever. In
a compiled function they are loops and branches of the program: see `compiler/frontend/loops.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Annotated, Any, NamedTuple

import numpy as np

from minigrad.arguments import AT_LEAST_ONE, NOT_NEGATIVE, advice, called, checked, shown
from minigrad.autograd import switched
from minigrad.dispatch import is_traced
from minigrad.errors import (
    KINDS,
    ArgumentError,
    ArgumentTypeError,
    DtypeError,
    MinigradError,
    ShapeError,
    describe,
    plain,
)
from minigrad.graph import births
from minigrad.ops.views import READ_ONLY
from minigrad.random import draw
from minigrad.reachable import unseen
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.batched import (
    detached,
    frozen,
    innermost,
    is_batched,
    levels,
    needs_grad,
)
from minigrad.transforms.calls import call_node
from minigrad.transforms.checkpoint import Checkpointed, checkpoint
from minigrad.transforms.trees import (
    Function,
    check_libraries,
    described,
    flat,
    leaves_of,
    like,
    map_tree,
)

Length = Annotated[int, NOT_NEGATIVE]
Bound = Annotated[int, AT_LEAST_ONE]


@checked
def scan(
    f: Function, init: Any, xs: Any = None, length: Length | None = None, reverse: bool = False
) -> tuple[Any, Any]:
    """Run `carry, y = f(carry, x)` for each x of xs; return the last carry, and all y, stacked.

    It is the loop `for x in xs: carry, y = f(carry, x); ys.append(y)`.

    Args:
        f: takes the carry and one entry of xs; returns the next carry, of the same structure,
            shapes and dtypes, and y, which is an array, a pytree of arrays, or None.
        init: the first carry: numbers, arrays and Tensors of any dtype, or a pytree of them. A
            Python number is an array of NumPy's own dtype for it: 0.0 is a float64, 0 an int64.
        xs: an array, or a pytree of arrays, with one entry along its first axis for each round;
            None if there are none, and f is given None.
        length: the number of rounds, which is that of the entries of xs.
        reverse: begin with the last entry. y of a round stands where its x does.

    Raises:
        ShapeError: if f changes the structure or the shapes of the carry, or of y between rounds,
            or the lengths of xs differ.
        DtypeError: if f changes the dtypes, or a leaf is no array of numbers.

    >>> def f(total, x):
    ...     return total + x, total
    >>> scan(f, 0.0, np.array([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([0., 1., 3.]))
    """
    rows = Rows(xs, length)
    if isinstance(f, Checkpointed) and rows.length > CHUNKS:
        return in_chunks(f, init, rows, reverse)
    if isinstance(f, Checkpointed):
        f = f.of_own_arguments(unshared)
    carry, ys = Carry("scan", init), Rounds()

    def one(state: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
        state, y = carry.step(f, state, rows.entry(row))
        return state, ys.leaves(y)

    if not rows.length and lowered.get() is None:
        return carry.form([*map(own, carry.init)]), empty(carry, f, rows)
    rounds = Repeated(rows.length, reverse)
    state, stacked = in_use().loop(one, carry.init, rows.leaves, rounds)
    return carry.form(state), like(ys.tree, iter(stacked))


# Of how many rounds, or rounds of rounds, a checkpointed scan keeps something.
CHUNKS = 16


def in_chunks(f: Checkpointed, init: Any, rows: Rows, reverse: bool) -> tuple[Any, Any]:
    """A checkpointed scan: rounds of rounds, each checkpointed. Of n rounds, the carries of some
    16 * log16(n) are kept, and all of 16, for log16(n) more runs. (Of A. Griewank and A. Walther's
    "Algorithm 799: revolve", 2000, the number of runs is the least.)"""
    size = CHUNKS
    while size * CHUNKS < rows.length:
        size *= CHUNKS
    count = rows.length // size
    parts = [(0, count * size), (count * size, rows.length)]

    # Of so few rounds, all is kept.
    function, of_round = f.function, checkpoint if size > CHUNKS else lambda f: f

    @checkpoint
    def chunk(carry: Any, x: Any) -> Any:
        return scan(of_round(function), carry, x, size, reverse)

    def of_part(carry: Any, start: int, end: int) -> tuple[Any, Any]:
        leaves = [x[start:end] for x in rows.leaves]
        if start:
            return scan(f, carry, like(rows.tree, iter(leaves)), end - start, reverse)
        leaves = [np.reshape(x, (count, size, *x.shape[1:])) for x in leaves]
        carry, y = scan(chunk, carry, like(rows.tree, iter(leaves)), count, reverse)
        return carry, map_tree(lambda x: np.reshape(x, (count * size, *x.shape[2:])), y)

    carry, found = init, {}
    for start, end in parts[::-1] if reverse else parts:
        if start < end:
            carry, found[start] = of_part(carry, start, end)
    each = [flat(found[start]) for start, _ in parts if start in found]
    joined = (np.concatenate(column) for column in zip(*each, strict=True))
    return carry, like(found[0], joined)


@checked
def fori_loop(lower: Any, upper: Any, body: Function, init: Any) -> Any:
    """Run `carry = body(i, carry)` for i from lower to upper - 1; return the last carry.

    i is an int64, also beside arrays of another dtype: `i * x` of float32 x is a float64 in NumPy,
    and `i.astype(x.dtype) * x` is not.

    Raises:
        ShapeError, DtypeError: if body changes the structure, shapes or dtypes of the carry.

    >>> fori_loop(1, 5, lambda i, product: product * i, 1)
    np.int64(24)
    """
    start, end = (value_of(whole(x, name)) for x, name in ((lower, "lower"), (upper, "upper")))
    carry = Carry("fori_loop", init)

    def step(state: list[Any]) -> list[Any]:
        new = run("fori_loop: body(i, carry)", body, state[0], carry.form(state[1:]))
        return [state[0] + 1, *carry.next(new)]

    if is_traced(start) or is_traced(end):
        first = np.add(start, np.int64(0), dtype=np.int64)
        found = repeat_while(lambda state: state[0] < end, step, [first, *carry.init], None)
        return carry.form(found[1:])
    state = [np.int64(start), *carry.init]
    rounds = Repeated(max(int(end) - int(start), 0))
    state, _ = in_use().loop(lambda state, row: (step(state), []), state, [], rounds)
    return carry.form(state[1:])


@checked
def while_loop(cond: Function, body: Function, init: Any, bound: Bound | None = None) -> Any:
    """Run `carry = body(carry)` while cond(carry) is true; return the last carry.

    Args:
        cond: takes the carry and returns a single boolean.
        body: takes the carry and returns the next one, of the same structure, shapes and dtypes.
        init: the first carry, as for `scan`.
        bound: the most rounds that there may be. In a compiled function, a loop can be
            differentiated by a reverse pass only if its bound is given; forward, by jvp and
            jacfwd, without it as well.

    Raises:
        ArgumentError: if the condition still holds after `bound` rounds.
        ShapeError, DtypeError: if body changes the structure, shapes or dtypes of the carry, or
            cond returns anything but a single boolean.

    >>> while_loop(lambda n: n < 100, lambda n: 2 * n, 3)
    np.int64(192)
    """
    carry = Carry("while_loop", init)

    def goes_on(state: list[Any]) -> Any:
        found = run("while_loop: cond(carry)", cond, carry.form([*map(for_reading, state)]))
        return boolean(found, "while_loop: what cond returns")

    def step(state: list[Any]) -> list[Any]:
        return carry.next(run("while_loop: body(carry)", body, carry.form(state)))

    return carry.form(repeat_while(goes_on, step, carry.init, bound))


def repeat_while(
    goes_on: Function, step: Function, state: list[Any], bound: int | None
) -> list[Any]:
    """The state after `step` was repeated while it `goes_on`."""
    if levels.get():
        goes_on, step, state = of_entries(goes_on, step, state)

    def one(state: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
        new = step(state[:-1])
        return [*new, value_of(goes_on(new))], []

    first = [*state, value_of(goes_on(state))]
    return in_use().loop(one, first, [], Repeated(bound, stops=True))[0][:-1]


def of_entries(goes_on: Any, step: Any, state: list[Any]) -> tuple[Any, Any, list[Any]]:
    """The same under vmap, with a last leaf that says which entries go on: rounds go on while any
    does, and change these only.

    The others are given what they had in their last round, or, if they never run, what one has that
    does: a round of what they are now may be NaN, and so would its derivatives be, times 0.
    """
    n = len(state)

    def more(state: list[Any]) -> Any:
        with for_some_entries():
            return value_of(goes_on(state))

    def some(state: list[Any]) -> list[Any]:
        before, last, going = state[:n], state[n:-1], state[-1]
        given = [np.where(going, x, y) for x, y in zip(before, last, strict=True)]
        with for_some_entries():
            rounds = step([*map(np.copy, given)])  # a round may write into what it is given
        new = [np.where(going, x, y) for x, y in zip(rounds, before, strict=True)]
        return [*new, *map(value_of, given), np.logical_and(going, more(new))]

    going = more(state)
    first = [one_that_goes_on(value_of(x), going) for x in state]
    return lambda state: any_entry(state[-1]), some, [*state, *first, going]


def one_that_goes_on(x: Any, going: Any) -> Any:
    """A leaf, that of the first entry that goes on for all that do not."""
    level = innermost([going])
    if level is None or not level.size or not level.is_own(x):
        return x
    return np.where(going, x, detached(x.array)[np.argmax(detached(going.array))])


@contextmanager
def for_some_entries() -> Iterator[None]:
    """Inside, a function is run for all entries of a vmap, and its results are used of some: those
    of the others may be no numbers, and nothing is written outside."""
    with np.errstate(all="ignore"), switched(frozen, next(births)):
        yield


def given_where(chosen: Any, x: Any) -> Any:
    """A copy of a leaf, which may be written into. Where it is not `chosen`, nothing is
    differentiated by it, for 0 times an infinite derivative is no number."""
    x = np.copy(x)
    return np.where(chosen, x, x.detach()) if needs_grad(x) else x


def any_entry(x: Any) -> Any:
    """Whether a boolean is true for any entry of the batches of vmaps."""
    return np.any(x.everything() if is_batched(x) else x)


@checked
def cond(pred: Any, if_true: Function, if_false: Function, *operands: Any) -> Any:
    """if_true(*operands) if pred is true, else if_false(*operands).

    Only one of them is run. In a compiled function both are traced, and must return the same
    structure, shapes and dtypes, where Python's numbers are weak, as in arithmetic. Where pred
    differs between the entries of a vmap, both are run, and np.where chooses. The operands are
    their own: they may write into them, which nothing else sees.

    Raises:
        ShapeError, DtypeError: if pred is not a single boolean, or, in a compiled function, the
            branches differ in what they return.

    >>> cond(True, np.sin, np.cos, 0.0)
    np.float64(0.0)
    """
    pred, how = boolean(pred, "cond: pred"), lowered.get()

    def of_branch(function: Function, own: Function = unshared) -> Any:
        return run("cond: a branch", function, *map_tree(own, operands))

    if is_traced(value_of(pred)):
        results = Branches()

        def of(function: Function) -> list[Any]:
            return results.leaves(of_branch(function))

        if how is None or is_batched(pred):

            def of_all(function: Function, chosen: Any) -> list[Any]:
                def own(x: Any) -> Any:
                    return given_where(chosen, x) if isinstance(x, Tensor | np.ndarray) else x

                with for_some_entries():
                    return results.leaves(of_branch(function, own))

            pairs = zip(of_all(if_true, pred), of_all(if_false, ~pred), strict=True)
            leaves = [np.where(pred, x, y) for x, y in pairs]
        else:
            leaves = how.branch(pred, [partial(of, f) for f in (if_true, if_false)])
        return like(results.tree, iter(leaves))
    return map_tree(unshared, of_branch(if_true if pred else if_false))


def run(what: str, function: Function, *args: Any) -> Any:
    """Call a function of the user's, and say what NumPy does not about a write that it refuses."""
    try:
        return called(what, function, *args)
    except ValueError as error:
        if isinstance(error.__cause__, MinigradError):  # NumPy has wrapped an error of ours
            raise error.__cause__ from None
        if str(error) in ("assignment destination is read-only", "output array is read-only"):
            raise ArgumentError(f"{what} writes into an array that is {READ_ONLY}") from error
        raise


@dataclass(frozen=True)
class Repeated:
    """How often a loop runs.

    `length`: the most rounds, or None. `reverse`: from the last row. `stops`: the last leaf of the
    state is a boolean that says before each round whether it is run. `dynamic`: the number of
    rounds is an array.
    """

    length: int | None
    reverse: bool = False
    stops: bool = False
    dynamic: bool = False


# A round of a loop: from the leaves of the state, and of the rows, to those of the next state, and
# of the results.
Step = Callable[[list[Any], list[Any]], tuple[list[Any], list[Any]]]


class Lowered(NamedTuple):
    """How loops and branches are run, on leaves.

    `loop(function, state, rows, repeated, number)` gives the last state, and the stacked results,
    of `state, results = function(state, row)`; `number` is that of the rounds, if it is dynamic.
    `branch(pred, functions)` gives the results of one of two functions without arguments.
    `closed(function, given)` gives a function that a solver can call, and what it reads from
    outside, which is given to it before the rest.
    Inside `undone()`, what is written is restored afterwards.
    """

    loop: Callable[..., tuple[list[Any], list[Any]]]
    branch: Callable[..., list[Any]]
    closed: Callable[..., tuple[Callable[[list[Any]], list[Any]], list[Any]]]
    undone: Callable[[], AbstractContextManager[None]]


lowered: ContextVar[Lowered | None] = ContextVar("lowered", default=None)


def in_use() -> Lowered:
    """How loops are run here."""
    return lowered.get() or EAGER


def by_python(
    step: Step, state: list[Any], rows: Sequence[Any], rounds: Repeated, number: Any = None
) -> tuple[list[Any], list[Any]]:
    """A loop that is one of Python's."""
    state, results, columns = owned(state), list[list[Any]](), [*map(entries_of, rows)]
    n = rounds.length if number is None else int(number)
    for k in count() if n is None else reversed(range(n)) if rounds.reverse else range(n):
        if rounds.stops and not state[-1]:
            break
        state, found = step(state, [column[k] for column in columns])
        state = owned(state)
        results.append(found)
    if rounds.stops and state[-1]:
        raise exceeded(rounds.length)
    results = results[::-1] if rounds.reverse else results
    return state, [np.stack(column) for column in zip(*results, strict=True)]


EAGER = Lowered(
    by_python, lambda pred, functions: functions[not pred](), lambda f, given: (f, []), nullcontext
)


def owned(state: list[Any]) -> list[Any]:
    """The leaves of a state for a function, which may write into them: nothing else sees that. An
    array that is held by this list alone is not copied."""
    return [
        x if n == ALONE and x.flags.owndata and x.flags.writeable else own(x)
        for x, n in zip(state, holders(state), strict=True)
    ]


def own(x: Any) -> Any:
    recorded = isinstance(x, Tensor) and x.node.op is not None
    if recorded and x.data.flags.writeable:
        return snapshot(x)  # written into, it gets another node
    return x if isinstance(x, np.generic | bool) else np.copy(x)


def holders(state: list[Any]) -> list[int]:
    """How many references there are to each leaf that is an array; 0 for others."""
    return [sys.getrefcount(x) if type(x) is np.ndarray else 0 for x in state]


(ALONE,) = holders([np.zeros(0)])


class Carry:
    """What goes from round to round: its structure, and the shape and dtype of each leaf.

    Inside, a state is the list of its leaves; `form` makes of it what functions are given.
    """

    def __init__(self, loop: str, tree: Any) -> None:
        self.loop, self.tree = loop, tree
        named = leaves_of(tree)
        self.places = [at for at, _ in named]
        self.init = [as_array(x, f"{loop}: init{at}") for at, x in named]
        self.kinds = [(x.shape, x.dtype) for x in self.init]

    def form(self, state: list[Any]) -> Any:
        return like(self.tree, iter(state))

    def step(self, f: Function, state: list[Any], x: Any) -> tuple[list[Any], Any]:
        """One round of scan."""
        result = run("scan: f(carry, x)", f, self.form(state), x)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise ShapeError(
                "scan: f returns a pair (carry, y), and y may be None; this one returned "
                f"{describe(result)}"
            )
        return self.next(result[0]), result[1]

    def next(self, tree: Any) -> list[Any]:
        """The state that a function returned.

        Raises:
            ShapeError, DtypeError: if it has not the form of the one that it was given.
        """
        named = leaves_of(tree)
        if [at for at, _ in named] != self.places:
            found = dict(named)
            if found.keys() != set(self.places) or len(named) != len(self.places):
                raise ShapeError(
                    f"{self.loop}: the carry must keep its pytree structure, and init is "
                    f"{described(self.tree)}, but the function returned {described(tree)}"
                )
            named = [(at, found[at]) for at in self.places]
        return [self.leaf(k, x) for k, (_, x) in enumerate(named)]

    def leaf(self, k: int, x: Any) -> Any:
        """Leaf k of the next state, checked. Python's numbers are weak, as in arithmetic."""
        shape, dtype = self.kinds[k]
        where = f"{self.loop}: the carry{self.places[k]}"
        x = as_array(x if shape else number_of(x, dtype), where)
        if x.shape != shape:
            raise ShapeError(
                f"{where} must keep its shape, and is {shape} in init, but the function returned "
                f"{x.shape}: give an init of the shape that it ends up with, or pad it"
            )
        if x.dtype != dtype:
            raise DtypeError(
                f"{where} must keep its dtype, and is {dtype} in init, but the function returned "
                f"{x.dtype}: give init as {x.dtype}, or return y.astype({dtype.name!r})"
            )
        return x


class Rows:
    """The xs of scan: their structure, and how many entries they have."""

    def __init__(self, xs: Any, length: int | None) -> None:
        self.tree, named = xs, leaves_of(xs)
        self.leaves = [as_array(x, f"scan: xs{at}") for at, x in named]
        for (at, _), x in zip(named, self.leaves, strict=True):
            if not x.shape:
                raise ShapeError(
                    f"scan: xs{at} is a single number: xs are arrays with an entry for each round "
                    "along their first axis, np.array(list) of a list; what is the same in all "
                    "rounds, f can read from outside"
                )
        lengths = {at: x.shape[0] for (at, _), x in zip(named, self.leaves, strict=True)}
        if len({*lengths.values()}) > 1:
            each = ", ".join(f"xs{at} has {n}" for at, n in lengths.items())
            raise ShapeError(f"scan: xs must have equally many entries along axis 0, and {each}")
        if not lengths and length is None:
            raise ArgumentError("scan: without xs, give length=, the number of rounds")
        self.length: int = next(iter(lengths.values()), length)  # type: ignore[assignment]  # not None
        if length not in (None, self.length):
            raise ArgumentError(f"scan: length={length}, and xs have {self.length} entries")

    def entry(self, leaves: list[Any]) -> Any:
        """An entry of these leaves, which are parts of xs, and are not to be written into."""
        for x in map(value_of, leaves):
            if x.shape:
                x.setflags(write=False)
        return like(self.tree, iter(leaves))


class Rounds:
    """The results y of rounds, which have one structure, and the same shapes and dtypes."""

    def __init__(self, what: str = "scan: y", when: str = "in all rounds") -> None:
        self.what, self.when = what, when
        self.tree: Any = None
        self.kinds: dict[str, Any] | None = None

    def leaves(self, y: Any) -> list[Any]:
        """The leaves of a result, checked. They are as they are now: the function may write into
        them in a later round."""
        named = [(at, as_array(x, f"{self.what}{at}")) for at, x in leaves_of(y)]
        kinds = {at: (x.shape, x.dtype) for at, x in named}
        if self.kinds is None:
            self.tree, self.kinds = y, kinds
        if kinds != self.kinds:
            forms = [[shape for shape, _ in each.values()] for each in (self.kinds, kinds)]
            error = DtypeError if forms[0] == forms[1] and [*kinds] == [*self.kinds] else ShapeError
            raise error(
                f"{self.what} must have the same structure, shapes and dtypes {self.when}, and was "
                f"{shown_kinds(self.kinds)} in the first, and {shown_kinds(kinds)} in another"
            )
        found = dict(named)
        leaves = [found[at] for at in self.kinds]
        return [x.copy() if type(x) is np.ndarray else snapshot(x) for x in leaves]


class Branches(Rounds):
    """The results of the functions of cond. Python's numbers are weak: `numbers` are those in whose
    places no function returned anything else yet."""

    def __init__(self) -> None:
        super().__init__("cond: what a branch returns", "in both")
        self.numbers: dict[str, Any] = {}

    def leaves(self, y: Any) -> list[Any]:
        """As of rounds, but a number stays one until the dtype in its place is known."""
        named = leaves_of(y)
        is_first = self.kinds is None
        for at, x in named:
            if is_first and type(x) in NUMBERS:
                self.numbers[at] = x
            elif at in self.numbers and not np.shape(x):
                self.meet(at, x)
        found = super().leaves(like(y, iter([self.cast(at, x) for at, x in named])))
        given = dict(named)
        return [
            given[at] if at in self.numbers else x
            for at, x in zip(self.kinds or (), found, strict=True)
        ]

    def meet(self, at: str, x: Any) -> None:
        """Set the dtype of a place where one function returned a number, and another x."""
        own = as_array(x, f"{self.what}{at}").dtype
        dtype = np.result_type(own, self.numbers[at])
        assert self.kinds is not None
        if dtype != self.kinds[at][1] and (dtype == own or type(x) in NUMBERS):
            self.kinds[at] = (), dtype
            del self.numbers[at]

    def cast(self, at: str, x: Any) -> Any:
        shape, dtype = (self.kinds or {}).get(at, (None, None))
        return number_of(x, dtype) if shape == () else x


def number_of(x: Any, dtype: np.dtype[Any]) -> Any:
    """A Python number in a dtype, if that is what arithmetic would make of it; else x."""
    fits = type(x) in NUMBERS and np.result_type(dtype, x) == dtype
    return dtype.type(x) if fits else x


def shown_kinds(kinds: dict[str, tuple[Any, Any]]) -> str:
    each = [f"{at or 'y'} {dtype} {shape}" for at, (shape, dtype) in kinds.items()]
    return ", ".join(each) or "nothing"


def empty(carry: Carry, f: Function, rows: Rows) -> Any:
    """The ys of no rounds. Their form is found by a run on zeros, of which nothing is seen."""
    x = like(rows.tree, iter([np.zeros(x.shape[1:], x.dtype)[()] for x in rows.leaves]))
    nothing_drawn = switched(draw, lambda rng, shape: np.zeros(shape, np.float32))
    with np.errstate(all="ignore"), nothing_drawn, unseen(f):
        _, y = carry.step(f, [*map(np.copy, carry.init)], x)
    named = [(at, as_array(leaf, f"scan: y{at}")) for at, leaf in leaves_of(y)]
    none = ((np.zeros((0, *x.shape), x.dtype), isinstance(x, Tensor)) for _, x in named)
    return like(y, (Tensor(x) if is_tensor else x for x, is_tensor in none))


NUMBERS = (bool, int, float, complex)


def as_array(x: Any, where: str) -> Any:
    """A leaf as a Tensor, an array, or a number of NumPy's.

    Raises:
        DtypeError: if it is none of these.
    """
    if type(x) in NUMBERS:
        x = np.asarray(x)[()]
    elif type(x) is not np.ndarray:
        check_libraries(where, x)
    if not (hasattr(x, "dtype") and hasattr(x, "shape")) or x.dtype.kind not in KINDS:
        raise DtypeError(
            f"{where} is {describe(x)}, and no number or array of numbers{advice(x)}: keep it "
            "outside, where the function can read it, or in a class of yours that makes arrays"
        )
    return plain(x)


MANY = 200  # entries of xs, from which on slices would take longer than a round


class entries_of:  # noqa: N801  # called as a function
    """The entries of an array along its first axis. Many of a Tensor that requires a gradient are
    the results of one call, for the cotangent of each slice would be as large as the array."""

    def __init__(self, x: Any) -> None:
        self.x = x
        many = type(value_of(x)) is np.ndarray and len(x) > MANY
        if many and isinstance(x, Tensor) and x.requires_grad:
            entries = [np.asarray(entry) for entry in x.data]
            self.x = call_node("entries of xs", [x], entries, stack_cotangents, push=take_entries)

    def __getitem__(self, k: int) -> Any:
        return snapshot(self.x[k])


def stack_cotangents(sent: dict[int, Any], inputs: Sequence[Any], kept: Sequence[Any]) -> list[Any]:
    (x,) = inputs
    zero = np.zeros(x.shape[1:], x.dtype)
    return [np.stack([sent.get(k, zero) for k in range(len(x))])]


def take_entries(tangents: dict[int, Any], inputs: Sequence[Any], kept: Sequence[Any]) -> list[Any]:
    return [*tangents[0]]


def snapshot(x: Any) -> Any:
    """A Tensor for the present value, which later writes do not change."""
    return Tensor.of(x.node) if isinstance(x, Tensor) else x


def unshared(x: Any) -> Any:
    """A leaf that nothing else sees a write into, and anything but an array or a Tensor as it
    is."""
    if not isinstance(x, Tensor | np.ndarray):
        return x
    return own(x) if lowered.get() is None else np.copy(x)


def for_reading(x: Any) -> Any:
    """A leaf for a function that is not to change it: an array is read-only, and of anything else,
    nothing sees a write."""
    if type(x) is not np.ndarray:
        return unshared(x) if is_batched(x) or lowered.get() is None else settled([x])[0]
    x = x.view()
    x.flags.writeable = False
    return x


def settled(leaves: Sequence[Any]) -> list[Any]:
    """Leaves for the present values, where what they are views of is restored afterwards."""
    found = map(snapshot, leaves)
    return [x.of(x.value) if is_traced(x) and not is_batched(x) else x for x in found]


def boolean(x: Any, what: str) -> Any:
    """x, if it is a single boolean."""
    check_libraries(what, x)
    dtype = np.dtype(bool) if isinstance(x, bool) else getattr(x, "dtype", None)
    if dtype is None or dtype.kind != "b":
        raise DtypeError(
            f"{what} is {shown(x)}, and must be a single boolean: compare, as in x != 0 or n > 0"
        )
    if np.shape(x):
        raise ShapeError(
            f"{what} has shape {np.shape(x)}, and must be a single boolean: np.all or np.any of "
            "it, or np.where to choose by entries"
        )
    return x


def whole(x: Any, name: str) -> Any:
    """A bound of fori_loop, if it is a single integer."""
    check_libraries(f"fori_loop: {name}", x)
    dtype = np.dtype(int) if type(x) is int else getattr(x, "dtype", None)
    if dtype is None or dtype.kind not in "iu" or np.shape(x):
        raise ArgumentTypeError(f"fori_loop: {name} must be an integer, and is {shown(x)}")
    return x


def exceeded(bound: int | None) -> ArgumentError:
    return ArgumentError(
        f"while_loop: the condition still holds after bound={bound} rounds: give a larger bound, "
        "or look why it does not become false"
    )
