"""Widening: a short innermost loop and the one around it, as one that fills vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from minigrad.compiler.graph.affine import Expr, Var, can_merge
from minigrad.compiler.loops import ir
from minigrad.compiler.target import costs


def widened(statements: Sequence[ir.Statement]) -> list[ir.Statement]:
    """What differs from iteration to iteration of the loop around a short one, and is the same in
    each iteration of the next loop outside, is computed before that, into a local array with a copy
    for each iteration of the short loop: then nothing tells the two loops apart.

    So are means and scales of GroupNorm, of each group of channels, read at every pixel.
    """
    found: list[ir.Statement] = []
    for s in statements:
        if isinstance(s, ir.For):
            s = replace(s, body=widened(s.body))
            before, s = widened_in(s)
            found += before
        found.append(s)
    return found


def widened_in(repeated: ir.For) -> tuple[list[ir.Statement], ir.For]:
    """What comes before a loop in which others are widened, and that loop."""
    before: list[ir.Statement] = []
    body: list[ir.Statement] = []
    own = {s.name for s in ir.walk(repeated.body) if isinstance(s, ir.Definition)}
    targets = [ir.target_of(s) for s in ir.walk(repeated.body)]
    written = {x.array for x in targets if isinstance(x, ir.Access)}
    for s in repeated.body:
        wide = widen(s, repeated, own, written) if isinstance(s, ir.For) else None
        before += wide[0] if wide else []
        body.append(wide[1] if wide else s)
    return before, replace(repeated, body=body)


def widen(
    outer: ir.For, repeated: ir.For, own: set[str], written: set[object]
) -> tuple[list[ir.Statement], ir.For] | None:
    """The copies, and one loop for an outer and a short one; None where there are no such."""
    *lines, short = outer.body
    lets = [s for s in lines if isinstance(s, ir.Let)]
    if not lets or len(lets) < len(lines) or not isinstance(short, ir.For):
        return None
    g, c = outer.variable, short.variable
    short_enough = c.extent < costs.MIN_WIDE_EXTENT and g.extent * c.extent <= costs.MAX_WIDENED
    whole = all((x.low, x.high, x.step, x.grain) == ("0", "", 0, 0) for x in (outer, short))
    if not (short_enough and whole and repeated.variable.extent >= costs.MIN_REPEATED):
        return None
    if any(isinstance(s, ir.For | ir.If | ir.Stop) for s in ir.walk(short.body)):
        return None
    inner = own - {s.name for s in lets} | {repeated.variable.name, f"{repeated.variable.name}b"}
    for s in lets:
        read = {x.array for x in s.operands if isinstance(x, ir.Access)}
        names = {name for x in s.operands for name in ir.names_in(x)}
        if read & written or names & inner or s.lanes:
            return None
    if not all(can_merge(g, c, place) for place in ir.indices_in(short.body)):
        return None
    return merged_with_copies(g, c, lets, short)


def merged_with_copies(
    g: Var, c: Var, lets: list[ir.Let], short: ir.For
) -> tuple[list[ir.Statement], ir.For]:
    both = Var(c.name, g.extent * c.extent)
    used = {name for s in ir.walk(short.body) for x in s.operands for name in ir.names_in(x)}
    read = [s for s in lets if s.name in used]
    size, each = g.extent * c.extent, Expr({g: c.extent, c: 1})
    copies = [ir.Store(ir.Access(f"{s.name}_wide", each), s.name) for s in read]
    before: list[ir.Statement] = [ir.Variable(f"{s.name}_wide", s.type, size=size) for s in read]
    before.append(ir.For(g, [*lets, ir.For(c, copies)]))
    new = {g: Expr({}), c: Expr({both: 1})}
    wide = [replace(s, value=ir.Access(f"{s.name}_wide", Expr({both: 1}))) for s in read]
    return before, replace(short, variable=both, body=[*wide, *ir.substituted(short.body, new)])
