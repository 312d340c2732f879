"""Passes over the loop IR: merge loops, move what is invariant out of them, block and vectorise."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

import numpy as np

from minigrad.compiler.graph.affine import ZERO, Expr, RuntimeIndex, Var, merged_loops, number
from minigrad.compiler.graph.opset.base import INDEX
from minigrad.compiler.loops import ir
from minigrad.compiler.target import costs

FLAG = np.dtype(np.int32)


def nest(
    variables: Sequence[Var], body: Sequence[ir.Statement], grain: int = 0
) -> list[ir.Statement]:
    """Loops around statements; with a grain, threads share the outermost."""
    for k, v in reversed(list(enumerate(variables))):
        body = [ir.For(v, body, grain=0 if k else grain)]
    return [*body]


def minimum_of(name: str, n: int) -> ir.Apply:
    """The smaller of a variable and a number."""
    return ir.Apply("if", (ir.Apply("<", (name, number(n))), name, number(n)))


# Loop-invariant code motion


def hoisted(
    lines: Iterable[ir.Let], variables: Collection[Var] | None = None
) -> tuple[list[ir.Let], list[ir.Let]]:
    """Those that depend on loop variables (by default, on any), and those that can be moved before
    the loops."""
    stay: list[ir.Let] = []
    out: list[ir.Let] = []
    for line in lines:
        depends = line.depends if variables is None else line.depends.intersection(variables)
        (stay if depends else out).append(line)
    return stay, out


def around(
    v: Var, body: Sequence[ir.Statement], new: Mapping[Var, Expr]
) -> tuple[list[ir.Statement], list[ir.Statement]]:
    """The lines of the body of a loop over v that can be moved before it, and the others. `new`:
    the replacements of variables that were merged."""
    before: list[ir.Statement] = []
    stay: list[ir.Statement] = []
    targets = (ir.target_of(s) for s in ir.walk(body))
    changed = {x.array if isinstance(x, ir.Access) else x for x in targets}
    for s in body:
        used = {name for x in s.operands for name in ir.names_in(x)}
        used |= {x.array for x in s.operands if isinstance(x, ir.Access)}
        alike = isinstance(s, ir.Let) and all(
            v not in new.get(u, Expr({u: 1})).variables() for u in s.depends
        )
        if alike and changed.isdisjoint(used):
            before.append(s)
            continue
        stay.append(s)
        changed |= {s.name} if isinstance(s, ir.Definition) else set()
    return before, stay


# Merging adjacent loops


def merged(
    loops: Iterable[Expr], statements: Iterable[ir.Statement]
) -> tuple[list[Var], dict[Var, Expr]]:
    """Merge adjacent loops where no index tells them apart; also the replacements of their
    variables."""
    return merged_loops((v for loop in loops for v in loop.terms), ir.indices_in(statements))


# Blocking


def over_block(loop: ir.For) -> ir.For:
    """The loop over one block of a loop."""
    block = ir.block_of(loop.variable)
    return replace(loop, low=block.name, high=ir.end_of(block), grain=0)


def blocks(
    loop: ir.For,
    size: int,
    before: Sequence[ir.Statement] = (),
    after: Sequence[ir.Statement] = (),
    inside: Sequence[ir.Statement] = (),
) -> ir.For:
    """A loop over blocks of `size` iterations, with the loop over one block in it, or what is
    `inside` in place of that, between these statements."""
    body = [*before, *(inside or [over_block(loop)]), *after]
    return ir.For(ir.block_of(loop.variable), body, loop.low, loop.high, size, loop.grain)


def blocking_of(loops: Sequence[Var], terms: int) -> tuple[int, int]:
    """Which of the loops over the terms of a sum to block, and by how many iterations, so that a
    block adds up about `terms` terms."""
    inner = 1
    for k in reversed(range(len(loops))):
        if inner * loops[k].extent >= terms or not k:
            break
        inner *= loops[k].extent
    count = max(1, round(inner * loops[k].extent / terms))  # of about the same size
    return k, -(-loops[k].extent // count)


# Reading in another order


def read_along(loops: Sequence[Var], body: Iterable[ir.Statement]) -> Var | None:
    """The loop along which memory is read that the innermost loop reads from line to line of the
    cache; None if there is none, or the innermost is too short for vectors."""
    if len(loops) < 2 or loops[-1].extent < costs.MIN_TILE_COLUMNS:
        return None
    others = (v for s in body for v in loops[:-1] if reads_across(s, v, loops[-1]))
    return next(others, None)


def reads_across(s: ir.Statement, along: Var, across: Var) -> TypeGuard[ir.Let]:
    """Whether a line reads entries that are adjacent along one loop, and far apart in another."""
    if not isinstance(s, ir.Let) or not isinstance(s.value, ir.Access) or s.value.place is None:
        return False
    steps = s.value.place.terms
    far = steps.get(across, 0) >= costs.CACHE_LINE_ENTRIES
    return far and steps.get(along) == 1 and all(isinstance(v, Var) for v in steps)


def tiled(
    loops: Sequence[Var],
    body: Sequence[ir.Statement],
    along: Var,
    new: Mapping[Var, Expr],
    grain: int = 0,
) -> list[ir.Statement]:
    """Loops over tiles: blocks of the loop along which memory is read, and of the innermost loop.
    What is read across is copied into local tiles, transposed, where the innermost loop reads it as
    vectors.

    Of an array that is read transposed, a loop would else read one entry of each line of the cache,
    all of which may be gone before the next ones are read.
    """
    across, rows = loops[-1], costs.CACHE_LINE_ENTRIES
    columns = min(costs.TILE_COLUMNS, across.extent)
    i, j = TileLoop(along, rows), TileLoop(across, columns)
    at = i.index * columns + j.index
    copies: list[ir.Statement] = []
    lines = [*body]
    for k, s in enumerate(body):
        if reads_across(s, along, across):
            name = f"{s.name}t"
            copied = i.over([j.over([ir.Store(ir.Access(name, at), s.value)])])
            copies.append(ir.Variable(name, s.type, size=rows * columns))
            copies.append(replace(copied, transposes=True))
            lines[k] = replace(s, value=ir.Access(name, at))
    before, lines = around(across, lines, new)
    found = j.blocks([*copies, i.over([*before, j.over(lines)])])
    for v in reversed(loops[:-1]):
        own = grain if v == loops[0] else 0
        found = i.blocks(found, own) if v == along else [ir.For(v, found, grain=own)]
    return found


@dataclass(frozen=True)
class TileLoop:
    """A loop by blocks of `size` iterations; if it has no more of them, in one."""

    variable: Var
    size: int

    @property
    def alone(self) -> bool:
        return self.variable.extent <= self.size

    @property
    def index(self) -> Expr:
        """The number of an iteration in its block."""
        v = self.variable
        own = RuntimeIndex(f"{v.name}t", self.size, frozenset({v}))
        return Expr({v if self.alone else own: 1})

    def blocks(self, body: list[ir.Statement], grain: int = 0) -> list[ir.Statement]:
        if self.alone:
            return body
        block = ir.block_of(self.variable)
        return [ir.For(block, body, step=self.size, grain=self.size if grain else 0)]

    def over(self, body: list[ir.Statement]) -> ir.For:
        """A loop over one block."""
        v, block = self.variable, ir.block_of(self.variable)
        if self.alone:
            return ir.For(v, body)
        place = ir.Let(f"{v.name}t", INDEX, Expr({v: 1, block: -1}), frozenset({v}))
        return ir.For(v, [place, *body], low=block.name, high=ir.end_of(block))


# Peeling


@dataclass(frozen=True)
class Interior:
    """Where in a loop no index has to be clamped: from `lows` on, and below `highs`. `body`: what
    is computed there."""

    lows: list[Expr]
    highs: list[Expr]
    body: list[ir.Statement]


def interior_of(loop: ir.For) -> Interior | None:
    """The iterations of an innermost loop in which its clamped indices are in their arrays, so that
    they are read as vectors; None if there are no such indices, or few iterations."""
    v, body = loop.variable, loop.body
    whole = not any(isinstance(s, ir.For | ir.Stop) for s in ir.walk(body))
    if v.extent < costs.MIN_PEELED_EXTENT or not whole:
        return None
    names = {s.name for s in body if isinstance(s, ir.Definition)}
    found = Interior([], [], [])
    for s in body:
        place, n = clamped_place(s)
        rest = place + Expr({v: -place.terms.get(v, 0)})
        invariant = v not in rest.variables() and names.isdisjoint(ir.names_in(rest))
        if not invariant or abs(place.terms.get(v, 0)) != 1:
            found.body.append(s)
            continue
        if place.terms[v] == 1:
            found.lows.append(rest * -1)
            found.highs.append(rest * -1 + n)
        else:
            found.lows.append(rest + (1 - n))
            found.highs.append(rest + 1)
        assert isinstance(s, ir.Let)
        found.body.append(replace(s, value=place))
    return found if found.lows else None


def clamped_place(s: ir.Statement) -> tuple[Expr, int]:
    """The place that a line brings into an array, and the entries of that; of another line, 0."""
    if isinstance(s, ir.Let) and isinstance(s.value, ir.Apply) and s.value.function == "clamp":
        place, n = s.value.arguments
        assert isinstance(place, Expr) and isinstance(n, Expr)
        return place, n.const
    return ZERO, 0


# Vectorising


def vectorised(statements: Sequence[ir.Statement], block: int) -> list[ir.Statement]:
    """Mark innermost loops as SIMD unless an iteration depends on the one before.

    A sum that is kept in more precision than its terms is added up in vector lanes for `block`
    iterations at a time.
    """
    found: list[ir.Statement] = []
    for statement in statements:
        if isinstance(statement, ir.If):
            body, otherwise = (vectorised(x, block) for x in (statement.body, statement.otherwise))
            found.append(replace(statement, body=body, otherwise=otherwise))
        elif not isinstance(statement, ir.For):
            found.append(statement)
        elif any(isinstance(inner, ir.For) for inner in ir.walk(statement.body)):
            found.append(replace(statement, body=vectorised(statement.body, block)))
        else:
            found += vectorised_loop(statement, block)
    return found


def vectorised_loop(loop: ir.For, block: int) -> list[ir.Statement]:
    sums = {s.target: s.part for s in loop.body if isinstance(s, ir.Accumulate) and s.part}
    body = [
        replace(s, target=f"{s.target}p") if isinstance(s, ir.Accumulate) and s.part else s
        for s in loop.body
    ]
    clauses = reduction_clauses(loop.variable, body)
    # What notes an error after the loop is outside of what threads share.
    checks = any(isinstance(s, ir.Let) and calls(s.value, "checked index") for s in body)
    if clauses is None or (loop.grain and checks):
        found = replace(loop, body=body)
        begin: list[ir.Statement] = []
        end: list[ir.Statement] = []
    else:
        begin, body, end = checked_after(body)
        clauses += tuple(("|", s.name) for s in begin if isinstance(s, ir.Variable))
        found = replace(loop, body=body, simd=clauses)
    begin += [ir.Variable(f"{name}p", kind) for name, kind in sums.items()]
    end += [ir.Accumulate(name, "+", f"{name}p") for name in sums]
    if sums and loop.variable.extent > block and loop.low == "0":  # else it is over a block
        return [blocks(found, block, begin, end)]
    return [*begin, found, *end]


def checked_after(
    body: Sequence[ir.Statement],
) -> tuple[list[ir.Statement], list[ir.Statement], list[ir.Statement]]:
    """What comes before a loop, its body, and what comes after it, where the loop brings each index
    into its axis, and only after it an error is noted if one was outside: a branch in the body
    would leave it scalar."""
    before: list[ir.Statement] = []
    lines: list[ir.Statement] = []
    after: list[ir.Statement] = []
    for s in body:
        if not (isinstance(s, ir.Let) and calls(s.value, "checked index")):
            lines.append(s)
            continue
        given, n = s.value.arguments
        place, wrong = f"{s.name}n", f"{s.name}w"
        before.append(ir.Variable(wrong, FLAG))
        lines.append(ir.Let(place, INDEX, ir.Apply("from the end", (given, n)), s.depends))
        lines.append(replace(s, value=ir.Apply("inside", (place, n))))
        lines.append(ir.Accumulate(wrong, "|", ir.Apply("!=", (place, s.name))))
        after.append(ir.Let(f"{wrong}n", FLAG, ir.Apply("checked indices", (wrong,))))
    return before, lines, after


def calls(expression: ir.Expression | None, function: str) -> TypeGuard[ir.Apply]:
    return type(expression) is ir.Apply and expression.function == function


def reduction_clauses(v: Var, body: Sequence[ir.Statement]) -> tuple[tuple[str, str], ...] | None:
    """The accumulators of a loop, if its iterations are independent but for them; else None."""
    found = []
    own = {s.name for s in body if isinstance(s, ir.Variable)}
    for s in body:
        if isinstance(s, ir.If):
            return None
        if not isinstance(s, ir.Assignment) or s.target in own:
            continue
        if isinstance(s.target, ir.Access):
            if s.target.place is not None and v not in s.target.place.variables():
                return None
        elif isinstance(s, ir.Accumulate):
            found.append((s.combine, s.target))
        else:
            return None
    return tuple(found)
