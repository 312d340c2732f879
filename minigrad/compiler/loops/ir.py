"""The loop IR: what one kernel does, as statements in loops.

    kernel     = statements
    statement  = For(variable, statements, low, high, step, grain, ...)
               | If(condition, statements)
               | Let(name, type, value)                a constant
               | Variable(name, type, value, size)     an accumulator, or a local array
               | Store(target, value)                  target = value
               | Accumulate(target, combine, value)    target = combine(target, value)
               | Prefetch(access)
    target     = access | name
    access     = Access(array, place, lanes)           array[place]; a vector of several entries
    value      = (text | access | index, ...)          an expression: the C of ops around the rest
    place, index = affine.Expr

Loops run from `low` to below `high`; names are unique in a kernel, but for loops one after
the other. `verify` holds this, `passes` rewrite it, and `codegen/c.py` prints it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minigrad.compiler.graph.affine import Expr, Var
from minigrad.compiler.graph.ir import Value

ROW = Var("row", 1)  # what depends on it is computed anew for each row


@dataclass(frozen=True)
class Access:
    """An entry of an array: of a value, of scratch memory, or of a local array, by its name; or
    `lanes` entries from there on.

    Without a `place`, a local variable. `own`: the same kernel has computed it.
    """

    array: Any
    place: Expr | None
    own: bool = False
    lanes: int = 0


@dataclass(frozen=True)
class Scratch:
    """Scratch memory of a kernel: `entries` for each thread, of a value's dtype, or of float64 if
    `wide`."""

    value: Value
    entries: int
    wide: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float64) if self.wide else self.value.dtype


Parts = tuple[str | Access | Expr, ...]
Target = Access | str


@dataclass(frozen=True)
class Let:
    """A constant of a type, and the loop variables that it depends on."""

    name: str
    type: str
    value: Parts
    depends: frozenset[Var] = frozenset()


@dataclass(frozen=True)
class Variable:
    """An accumulator with its first value, or a local array of `size` entries."""

    name: str
    type: str
    value: Parts = ()
    size: int = 0


@dataclass(frozen=True)
class Store:
    target: Target
    value: Parts


@dataclass(frozen=True)
class Accumulate:
    """`combine` is "+", "*", "|", "&", "max" or "min". With a `part`, several terms are added up
    in an accumulator of that type before they are added to the target, which has more precision."""

    target: Target
    combine: str
    value: Parts
    part: str = ""


@dataclass(frozen=True)
class If:
    condition: Parts
    body: Sequence[Statement]
    otherwise: Sequence[Statement] = ()


@dataclass(frozen=True)
class Prefetch:
    access: Access


@dataclass(frozen=True)
class For:
    """A loop. With a `grain`, threads share it, each in multiples of so many iterations. With a
    `step`, it is over blocks: in it, `<variable>_end` is where the block ends.

    `simd`: to be vectorised, as its iterations are independent but for these accumulators, given as
    (combine, name). `independent`: the iterations are, and the C compiler decides.
    """

    variable: Var
    body: Sequence[Statement] = field(default_factory=list)
    low: str = "0"
    high: str = ""
    step: int = 0
    grain: int = 0
    simd: tuple[tuple[str, str], ...] | None = None
    independent: bool = False


Statement = Let | Variable | Store | Accumulate | If | For | Prefetch


# Walking through statements


def inside(statement: Statement) -> Sequence[Statement]:
    """The statements in a loop or branch."""
    if isinstance(statement, For):
        return statement.body
    return [*statement.body, *statement.otherwise] if isinstance(statement, If) else ()


def walk(statements: Iterable[Statement]) -> Iterator[Statement]:
    """All statements, each before those in it."""
    for statement in statements:
        yield statement
        yield from walk(inside(statement))


def parts_of(statement: Statement) -> Parts:
    """What a statement itself is made of: its target, then its value."""
    if isinstance(statement, Store | Accumulate):
        return statement.target, *statement.value
    if isinstance(statement, Let | Variable):
        return statement.value
    if isinstance(statement, If):
        return statement.condition
    return (statement.access,) if isinstance(statement, Prefetch) else ()


def places_of(statements: Iterable[Statement]) -> set[Expr]:
    """All indices."""
    places = set[Expr]()
    for statement in walk(statements):
        for part in parts_of(statement):
            place = part.place if isinstance(part, Access) else part
            if isinstance(place, Expr):
                places.add(place)
    return places


def substituted(statements: Sequence[Statement], new: Mapping[Var, Expr]) -> list[Statement]:
    """Statements with loop variables replaced by expressions in all indices."""
    return [substitute(statement, new) for statement in statements] if new else [*statements]


def substitute(statement: Statement, new: Mapping[Var, Expr]) -> Statement:
    if isinstance(statement, For):
        return replace(statement, body=substituted(statement.body, new))
    if isinstance(statement, Prefetch):
        return Prefetch(with_place(statement.access, new))
    if isinstance(statement, If):
        return If(
            with_places(statement.condition, new),
            substituted(statement.body, new),
            substituted(statement.otherwise, new),
        )
    value = with_places(statement.value, new)
    if isinstance(statement, Store | Accumulate):
        return replace(statement, target=with_place(statement.target, new), value=value)
    return replace(statement, value=value)


def with_places(parts: Parts, new: Mapping[Var, Expr]) -> Parts:
    return tuple([with_place(part, new) for part in parts])


def with_place(part: Any, new: Mapping[Var, Expr]) -> Any:
    if isinstance(part, Expr):
        return part.replaced(new)
    if isinstance(part, Access) and part.place is not None:
        return replace(part, place=part.place.replaced(new))
    return part
