"""A pass over SIMD loops of a known length: sums by lanes, and masks for what fills no vector.

C compilers add up the lanes of a sum one after the other, as float addition is not associative, and
run the last iterations, which fill no vector, one by one: of rows that are a few vectors long, that
is most of the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from minigrad.compiler.graph.affine import ZERO, Expr, RuntimeIndex, Var, number
from minigrad.compiler.graph.opset.base import INDEX
from minigrad.compiler.loops import ir
from minigrad.compiler.loops.passes import interior_of
from minigrad.compiler.loops.verify import accesses
from minigrad.compiler.target import costs

Types = Mapping[str, np.dtype]


def by_lanes(statements: Sequence[ir.Statement], vector: int) -> list[ir.Statement]:
    """Statements in which SIMD loops run by vectors of so many bytes."""
    every = ir.walk(statements)
    types = {s.name: s.type for s in every if isinstance(s, ir.Definition)}
    return [*rewritten(statements, types, vector)]


def rewritten(
    statements: Sequence[ir.Statement], types: Types, vector: int
) -> Iterator[ir.Statement]:
    for s in statements:
        if isinstance(s, ir.If):
            parts = ([*rewritten(x, types, vector)] for x in (s.body, s.otherwise))
            yield ir.If(s.condition, *parts)
        elif not isinstance(s, ir.For) or s.transposes:
            yield s
        elif s.simd is None:
            yield replace(s, body=[*rewritten(s.body, types, vector)])
        else:
            yield from Vectors(s, lanes_of(s, types, vector), vector).statements(types)


def lanes_of(loop: ir.For, types: Types, vector: int) -> int:
    """How many of the numbers that a loop reads, sums and writes a vector has; 0 if these are of
    several sizes, or where it ends is known only when it runs."""
    sizes = {s.type.itemsize for s in loop.body if isinstance(s, ir.Let) and is_load(s.value)}
    for s in loop.body:
        target = ir.target_of(s)
        if isinstance(target, ir.Access):
            x = target.array
            sizes.add((types[x] if isinstance(x, str) else x.dtype).itemsize)
        elif target is not None and types[target].kind == "f":  # flags fit any
            sizes.add(types[target].itemsize)
    whole = (loop.low, loop.high, loop.step, loop.grain) == ("0", "", 0, 0)
    fits = whole and sizes in ({4}, {8}) and steps_by_one(loop) and not interior_of(loop)
    return vector // sizes.pop() if fits else 0


def steps_by_one(loop: ir.For) -> bool:
    """Whether a loop reads and writes what is adjacent in memory, or the same."""
    v = loop.variable
    places = [x.place for x in accesses(loop.body) if x.place is not None]
    steps = [place.terms.get(v, 0) for place in places]
    others = (place + Expr({v: -n}) for place, n in zip(places, steps, strict=True))
    return all(n in (0, 1) for n in steps) and not any(v in x.variables() for x in others)


def adds_to_memory(loop: ir.For) -> bool:
    """Whether it adds to entries of arrays."""
    for s in loop.body:
        target = ir.target_of(s)
        if isinstance(target, ir.Access):
            read = {x.array for x in s.operands[1:] if isinstance(x, ir.Access)}
            if isinstance(s, ir.Accumulate) or target.array in read:
                return True
    return False


def is_load(x: ir.Expression) -> bool:
    return isinstance(x, ir.Access) and x.place is not None


Clauses = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Vectors:
    """A SIMD loop, by vectors of so many lanes and bytes, if these are not 0."""

    loop: ir.For
    lanes: int
    vector: int

    def statements(self, types: Types) -> list[ir.Statement]:
        clauses, n = self.loop.simd or (), self.loop.variable.extent
        floats = {name: types[name] for _, name in clauses if types[name].kind == "f"}
        sums = {name: floats[name] for how, name in clauses if how == "+" and name in floats}
        if not self.lanes or n > costs.MAX_LOOP_BY_LANES or (sums and len(sums) < len(clauses)):
            return [self.loop]
        if sums:
            fits = n >= self.lanes and (self.has_mask or not self.rest)
            return self.sums(sums) if fits else [self.loop]
        # Half a vector, or less of one alone, is a shorter vector.
        shorter = (self.lanes // 2, *((2, 4, 8) if n < self.lanes else ()))
        if not self.has_mask or self.rest in shorter:
            return [self.loop]
        return [*self.whole(clauses), self.masked({})]

    @property
    def rest(self) -> int:
        """The iterations that fill no vector."""
        return self.loop.variable.extent % self.lanes

    @property
    def has_mask(self) -> bool:
        """Whether these are one more vector, of which some lanes do nothing: not where the next row
        adds to what it has stored, as it would wait until all of that is in the cache."""
        many = self.rest * costs.MIN_MASKED_PART >= self.lanes
        return self.vector == costs.MASKED_VECTOR and many and not adds_to_memory(self.loop)

    def whole(self, clauses: Clauses) -> list[ir.For]:
        """The iterations that fill vectors."""
        v = self.loop.variable
        whole = Var(v.name, v.extent - self.rest)
        body = ir.substituted(self.loop.body, {v: Expr({whole: 1})})
        return [ir.For(whole, body, simd=clauses)] if whole.extent else []

    def masked(self, sums: Types) -> ir.For:
        """The rest, as one vector. To each sum, all lanes add something."""
        v, rest = self.loop.variable, self.rest
        lane = Var(f"{v.name}l", self.lanes)
        inside = RuntimeIndex(f"{v.name}m", rest, frozenset({lane}))
        body = ir.substituted(self.loop.body, {v: Expr({inside: 1}, v.extent - rest)})
        body = [
            ir.Store(f"{s.target}m", s.value)
            if isinstance(s, ir.Accumulate) and s.target in sums
            else s
            for s in body
        ]
        at = ir.Let(inside.name, INDEX, Expr({lane: 1}), frozenset({lane}))
        return ir.For(
            lane,
            [
                *(ir.Variable(f"{name}m", kind) for name, kind in sums.items()),
                ir.If(ir.Apply("<", (Expr({lane: 1}), number(rest))), [at, *body]),
                *(ir.Accumulate(of_lane(name, lane), "+", f"{name}m") for name in sums),
            ],
            simd=() if sums else self.loop.simd,
        )

    def sums(self, sums: Types) -> list[ir.Statement]:
        """Each lane adds up its own terms, in an array; the lanes are added up at the end."""
        v, lanes = self.loop.variable, self.lanes
        lane = Var(f"{v.name}l", lanes)
        found: list[ir.Statement] = []
        for name, kind in sums.items():
            zero = ir.Store(of_lane(name, lane), ir.Number.of(0, kind))
            found += [ir.Variable(f"{name}l", kind, size=lanes), ir.For(lane, [zero], simd=())]
        found += [self.by_vectors(loop, lane, sums) for loop in self.whole(())]
        if self.has_mask:
            found.append(self.masked(sums))
        for name, kind in sums.items():
            total = ir.Apply(f"sum of {kind} lanes", (ir.Access(f"{name}l", ZERO, lanes=lanes),))
            found.append(ir.Accumulate(name, "+", total))
        return found

    def by_vectors(self, loop: ir.For, lane: Var, sums: Types) -> ir.For:
        """A loop over vectors, with one over lanes in it, each with its own sums."""
        v = loop.variable
        body = [
            replace(s, target=of_lane(s.target, lane))
            if isinstance(s, ir.Accumulate) and s.target in sums
            else s
            for s in loop.body
        ]
        several = Var(f"{v.name}v", v.extent // self.lanes)
        one = several.extent == 1
        at = Expr({lane: 1} if one else {several: self.lanes, lane: 1})
        vector = ir.For(lane, ir.substituted(body, {v: at}), simd=())
        return vector if one else ir.For(several, [vector])


def of_lane(name: ir.Target, lane: Var) -> ir.Access:
    """The sum of a lane."""
    return ir.Access(f"{name}l", Expr({lane: 1}))
