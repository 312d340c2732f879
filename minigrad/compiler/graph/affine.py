"""Symbolic indices into arrays: integer linear combinations of loop variables.

Views of arrays are arithmetic on indices. Where an index stays linear, loops can be merged,
addresses have constant strides, and one kernel serves for many places in memory.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Var(NamedTuple):
    """A loop variable, from 0 to below its extent."""

    name: str
    extent: int


@dataclass(frozen=True, slots=True)
class Quotient:
    """`of // by`, where that is not linear."""

    of: Expr
    by: int

    @property
    def extent(self) -> int:
        return self.of.bounds()[1] // self.by + 1


@dataclass(frozen=True, slots=True)
class Remainder:
    """`of % by`, where that is not linear."""

    of: Expr
    by: int

    @property
    def extent(self) -> int:
        return self.by


@dataclass(frozen=True, slots=True)
class RuntimeIndex:
    """A C variable that depends on these loop variables, such as an index read from memory."""

    name: str
    extent: int
    depends: frozenset[Var]


Atom = Any  # Var | Quotient | Remainder | RuntimeIndex


class Expr:
    """The sum of coefficient * atom over `terms`, plus `const`."""

    __slots__ = ("const", "depends", "hashed", "terms")

    def __init__(self, terms: Mapping[Atom, int], const: int = 0) -> None:
        self.terms, self.const, self.hashed = terms, const, 0
        self.depends: frozenset[Var] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expr) and self.const == other.const and self.terms == other.terms

    def __hash__(self) -> int:
        if not self.hashed:
            self.hashed = hash((self.const, frozenset(self.terms.items())))
        return self.hashed

    def __add__(self, other: Expr | int) -> Expr:
        if isinstance(other, int):
            return Expr(self.terms, self.const + other) if other else self
        terms = dict(self.terms)
        for atom, c in other.terms.items():
            terms[atom] = terms.get(atom, 0) + c
        return simplified(terms, self.const + other.const)

    def __mul__(self, by: int) -> Expr:
        if by == 1:
            return self
        return Expr({atom: c * by for atom, c in self.terms.items()} if by else {}, self.const * by)

    def bounds(self) -> tuple[int, int]:
        """The least and the largest that it can be."""
        low = high = self.const
        for atom, c in self.terms.items():
            far = c * (atom.extent - 1)
            low, high = (low + far, high) if far < 0 else (low, high + far)
        return low, high

    def divmod(self, by: int) -> tuple[Expr, Expr]:
        """Quotient and remainder of an expression that is never negative."""
        if by == 1:
            return self, ZERO
        whole = {a: c // by for a, c in self.terms.items() if c % by == 0}
        rest = Expr({a: c for a, c in self.terms.items() if c % by}, self.const % by)
        quotient = Expr(whole, self.const // by)
        low, high = rest.bounds()
        if low < 0:  # C's division rounds toward 0: the rest must not be negative
            back = -(low // by)
            quotient, rest = quotient + -back, rest + back * by
            low, high = rest.bounds()
        if low >= 0 and high < by:
            return quotient, rest
        # (g*a + r) // (g*b) is a // b, and what is left g * (a % b) + r, where r is below g.
        for g in sorted({abs(c) for c in rest.terms.values() if by % c == 0}, reverse=True):
            a = Expr({x: c // g for x, c in rest.terms.items() if c % g == 0}, rest.const // g)
            r = Expr({x: c for x, c in rest.terms.items() if c % g}, rest.const % g)
            low, high = r.bounds()
            if g > 1 and low >= 0 and high < g:
                more, left = a.divmod(by // g)
                return quotient + more, left * g + r
        return quotient + Expr({Quotient(rest, by): 1}), Expr({Remainder(rest, by): 1})

    def variables(self) -> frozenset[Var]:
        """The loop variables that it depends on."""
        if self.depends is None:
            self.depends = frozenset(v for atom in self.terms for v in variables_of(atom))
        return self.depends

    def replaced(self, new: Mapping[Var, Expr]) -> Expr:
        """With variables replaced by expressions."""
        if self.variables().isdisjoint(new):
            return self
        parts = [(replacement(atom, new), c) for atom, c in self.terms.items()]
        return weighted_sum(parts, self.const)

    def __str__(self) -> str:
        parts = [
            text_of(atom) if c == 1 else f"{text_of(atom)}*{c}" for atom, c in self.terms.items()
        ]
        if self.const or not parts:
            parts.append(str(self.const))
        return " + ".join(parts).replace("+ -", "- ")


ZERO = Expr({})


def variables_of(atom: Atom) -> Iterable[Var]:
    if isinstance(atom, Var):
        return (atom,)
    return atom.depends if isinstance(atom, RuntimeIndex) else atom.of.variables()


def replacement(atom: Atom, new: Mapping[Var, Expr]) -> Expr:
    """An atom with variables replaced by expressions."""
    if isinstance(atom, (Quotient, Remainder)):
        quotient, remainder = atom.of.replaced(new).divmod(atom.by)
        return quotient if isinstance(atom, Quotient) else remainder
    return new.get(atom) or Expr({atom: 1})


def weighted_sum(parts: Iterable[tuple[Expr, int]], const: int = 0) -> Expr:
    """The sum of expression * weight."""
    terms: dict[Atom, int] = {}
    for e, weight in parts:
        const += e.const * weight
        for atom, c in e.terms.items():
            terms[atom] = terms.get(atom, 0) + c * weight
    return simplified(terms, const)


def simplified(terms: dict[Atom, int], const: int) -> Expr:
    """by*c*(x // by) + c*(x % by) is c*x."""
    for atom in [a for a in terms if isinstance(a, Remainder)]:
        c, quotient = terms[atom], Quotient(atom.of, atom.by)
        if c and terms.get(quotient) == c * atom.by:
            del terms[atom], terms[quotient]
            return Expr({a: c for a, c in terms.items() if c}, const) + atom.of * c
    if 0 in terms.values():
        terms = {atom: c for atom, c in terms.items() if c}
    return Expr(terms, const)


def text_of(atom: Atom) -> str:
    sign = {Quotient: "/", Remainder: "%"}.get(type(atom))
    return f"(({atom.of}){sign}{atom.by})" if sign else str(atom.name)


def number(n: int) -> Expr:
    return Expr({}, n)


@functools.lru_cache(10_000)
def variable(name: str, extent: int) -> Expr:
    """A loop's variable; 0 if its extent is 1."""
    return Expr({Var(name, extent): 1}) if extent != 1 else ZERO


@dataclass(frozen=True)
class Condition:
    """`what < bound`, or with >=, or ==."""

    what: Expr
    relation: str
    bound: int

    def always(self) -> bool:
        low, high = self.what.bounds()
        if self.relation == "==":
            return low == high == self.bound
        return high < self.bound if self.relation == "<" else low >= self.bound

    def never(self) -> bool:
        low, high = self.what.bounds()
        if self.relation == "==":
            return not low <= self.bound <= high
        return low >= self.bound if self.relation == "<" else high < self.bound


Index = tuple[Expr, ...]


@functools.lru_cache(10_000)
def strides_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of an array in C order, in entries."""
    return tuple(math.prod(shape[k + 1 :]) for k in range(len(shape)))


@functools.lru_cache(10_000)
def weighted(index: Index, strides: tuple[int, ...]) -> Expr:
    """The sum of index * stride over all axes."""
    return weighted_sum(zip(index, strides, strict=True))


def ravel_index(index: Sequence[Expr], shape: Sequence[int]) -> Expr:
    """The place of an entry in C order."""
    return weighted(tuple(index), strides_of(tuple(shape)))


def unravel_index(place: Expr, shape: Sequence[int]) -> Index:
    """The entry at a place in C order."""
    found = []
    for stride, n in zip(strides_of(tuple(shape)), shape, strict=True):
        i, place = place.divmod(stride)
        found.append(i if n != 1 else ZERO)
    return tuple(found)


def reshaped(index: Sequence[Expr], old: Sequence[int], new: Sequence[int]) -> Index:
    """The index, in an array of a new shape, of the entry that was at an index."""
    return unravel_index(ravel_index(index, old), new)


def common_factors(shapes: Iterable[Sequence[int]]) -> list[int] | None:
    """Loop extents that refine all of these shapes, which have equal size: each axis is a product
    of consecutive loops. None if there are none."""
    ends = {n for shape in shapes for n in itertools.accumulate(shape, operator.mul)}
    steps = sorted(ends | {1})
    if any(b % a for a, b in itertools.pairwise(steps)):
        return None
    return [b // a for a, b in itertools.pairwise(steps)] or [1]


def linear_factors(variables: Iterable[Var], indices: Iterable[Expr]) -> list[int]:
    """Loop extents that refine those of loops, and in which indices have no quotients and no
    remainders that factors can do without: i // 6 and i % 6, of 36 iterations, need 6 loops of 6.
    Of loops that no index tells apart, one."""
    loops, left = [*variables], {*indices}
    while nonlinear := {atom for e in left for atom in nonlinear_in(e)}:
        for v, size in dict.fromkeys(splits_in(nonlinear)):
            outer, inner = Var(f"{v.name}o", v.extent // size), Var(f"{v.name}i", size)
            finer = {e.replaced({v: Expr({outer: size, inner: 1})}) for e in left}
            if len({atom for e in finer for atom in nonlinear_in(e)}) < len(nonlinear):
                k = loops.index(v)
                loops[k : k + 1], left = [outer, inner], finer
                break
        else:
            break
    return [v.extent for v in merged_loops(loops, left)[0]]


def nonlinear_in(e: Expr) -> Iterator[Atom]:
    """The quotients and remainders in an expression."""
    for atom in e.terms:
        if isinstance(atom, Quotient | Remainder):
            yield atom
            yield from nonlinear_in(atom.of)


def splits_in(atoms: Iterable[Atom]) -> Iterator[tuple[Var, int]]:
    """Loops, each with the extent of an inner one into which it can be split, by which one of these
    quotients and remainders may become linear; the largest first of each."""
    for atom in sorted(atoms, key=lambda atom: -atom.by):
        for v, c in atom.of.terms.items():
            size = atom.by // abs(c)
            divides = isinstance(v, Var) and atom.by % c == 0
            if divides and 1 < size < v.extent and v.extent % size == 0:
                yield v, size


def merged_loops(loops: Iterable[Var], places: Iterable[Expr]) -> tuple[list[Var], dict[Var, Expr]]:
    """Merge adjacent loops where no place tells them apart; also the replacements of their
    variables."""
    places = {*places}
    new: dict[Var, Expr] = {}
    found: list[Var] = []
    for v in loops:
        if found and all(can_merge(found[-1], v, place) for place in places):
            both = Var(found[-1].name, found[-1].extent * v.extent)
            step = {found[-1]: Expr({}), v: Expr({both: 1})}
            new = {old: e.replaced(step) for old, e in new.items()} | step
            places = {place.replaced(step) for place in places}
            found[-1] = both
        else:
            found.append(v)
    return found, new


def can_merge(outer: Var, inner: Var, place: Expr) -> bool:
    """Whether an expression uses two loops only as outer*extent + inner."""
    if place.terms.get(outer, 0) != place.terms.get(inner, 0) * inner.extent:
        return False
    return all(
        isinstance(atom, Var)
        or not {outer, inner} & (atom.of.variables() if hasattr(atom, "of") else frozenset())
        for atom in place.terms
    )


def aligned(index: tuple[Any, ...], shape: Sequence[int]) -> Iterator[tuple[Any, int]]:
    """The parts of an index, each with the size of the axis it is for; None has none."""
    count = sum(part is not None and part is not ... for part in index)
    rest = [slice(None)] * (len(shape) - count)
    parts: list[Any] = []
    for part in index if any(part is ... for part in index) else (*index, ...):
        parts += rest if part is ... else [part]
    sizes = iter(shape)
    return ((part, 0 if part is None else next(sizes)) for part in parts)
