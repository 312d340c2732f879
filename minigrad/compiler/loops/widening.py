"""Widening: a short innermost loop and the one around it, as one that fills vectors."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from minigrad.compiler.graph.affine import Expr, Var, can_merge
from minigrad.compiler.loops import ir
from minigrad.compiler.target import costs


def widened(
    statements: Sequence[ir.Statement], numbers: Iterator[int] | None = None
) -> list[ir.Statement]:
    """What differs from iteration to iteration of the loop around a short one, and is the same in
    each iteration of the next loop outside, is computed before that, into a local array with a copy
    for each iteration of the short loop: then nothing tells the two loops apart.

    So are means and scales of GroupNorm, of each group of channels, read at every pixel. `numbers`:
    of the local arrays.
    """
    numbers = numbers or itertools.count()
    found: list[ir.Statement] = []
    for s in statements:
        if isinstance(s, ir.For):
            s = replace(s, body=widened(s.body, numbers))
            before, s = widened_in(s, numbers)
            found += before
        found.append(s)
    return found


def widened_in(repeated: ir.For, numbers: Iterator[int]) -> tuple[list[ir.Statement], ir.For]:
    """What comes before a loop in which others are widened, and that loop."""
    before: list[ir.Statement] = []
    body: list[ir.Statement] = []
    own = {s.name for s in ir.walk(repeated.body) if isinstance(s, ir.Definition)}
    targets = [ir.target_of(s) for s in ir.walk(repeated.body)]
    written = {x.array for x in targets if isinstance(x, ir.Access)}
    for s in repeated.body:
        lets = lines_to_copy(s, repeated, own, written) if isinstance(s, ir.For) else []
        if lets:
            assert isinstance(s, ir.For)
            copies, s = with_copies(s, lets, numbers)
            before += copies
        body.append(s)
    return before, replace(repeated, body=body)


def lines_to_copy(
    outer: ir.For, repeated: ir.For, own: set[str], written: set[object]
) -> list[ir.Let]:
    """The lines in a loop before a short one, if the two can be merged with copies of them."""
    *lines, short = outer.body
    lets = [s for s in lines if isinstance(s, ir.Let)]
    if len(lets) < len(lines) or not isinstance(short, ir.For):
        return []
    g, c = outer.variable, short.variable
    short_enough = c.extent < costs.MIN_WIDE_EXTENT and g.extent * c.extent <= costs.MAX_WIDENED
    whole = all((x.low, x.high, x.step, x.grain) == ("0", "", 0, 0) for x in (outer, short))
    flat = not any(isinstance(s, ir.For | ir.If | ir.Stop) for s in ir.walk(short.body))
    if not (short_enough and whole and flat and repeated.variable.extent >= costs.MIN_REPEATED):
        return []
    inner = {*own, repeated.variable.name} - {s.name for s in lets}
    for s in lets:
        read = {x.array for x in s.operands if isinstance(x, ir.Access)}
        names = {name for x in s.operands for name in ir.names_in(x)}
        if read & written or names & inner or s.lanes:
            return []
    return lets if all(can_merge(g, c, place) for place in ir.indices_in(short.body)) else []


def with_copies(
    outer: ir.For, lets: list[ir.Let], numbers: Iterator[int]
) -> tuple[list[ir.Statement], ir.For]:
    """Copies of lines in local arrays, and one loop for two, in which they are read."""
    *_, short = outer.body
    assert isinstance(short, ir.For)
    g, c = outer.variable, short.variable
    both = Var(c.name, g.extent * c.extent)
    used = {name for s in ir.walk(short.body) for x in s.operands for name in ir.names_in(x)}
    names = {s: f"wide{next(numbers)}" for s in lets if s.name in used}
    copies = [ir.Store(ir.Access(x, Expr({g: c.extent, c: 1})), s.name) for s, x in names.items()]
    lines = [replace(s, value=ir.Access(x, Expr({both: 1}))) for s, x in names.items()]
    body = ir.substituted(short.body, {g: Expr({}), c: Expr({both: 1})})
    return [
        *(ir.Variable(x, s.type, size=both.extent) for s, x in names.items()),
        ir.For(g, [*lets, ir.For(c, copies)]),
    ], replace(short, variable=both, body=[*lines, *body])
