"""Distribution of a loop over rows: what is computed once a row, in vectors over a block of rows.

Between two loops over the entries of a row, a logarithm of their sum is computed by one call a row.
Instead, the first loop runs for all rows of a block, then vectors of logarithms are computed, and
then the second loop runs for these rows. What one part computes and another reads has an entry for
each row of the block.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from minigrad.compiler.graph.affine import Expr, RuntimeIndex, Var
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.graph.opset.base import INDEX
from minigrad.compiler.graph.opset.elementwise import EXPENSIVE_OPS
from minigrad.compiler.loops import ir
from minigrad.compiler.loops.verify import accesses
from minigrad.compiler.target import costs

Statements = Sequence[ir.Statement]
DIVISIONS_PER_CALL = 4
EXPENSIVE_CALLS = re.compile(rf"\b({'|'.join(EXPENSIVE_OPS)})\(")


def distributed(
    body: Statements, row: Var, size: int, before: Statements
) -> tuple[list[list[ir.Statement]], list[ir.Statement]] | None:
    """The bodies of loops over a block of `size` rows that, one after the other, compute what one
    over `body` does; and what comes before all rows: `before`, with arrays of a block in place of
    those of a row. None if that does not pay.
    """
    parts = parts_of_row(body)
    if len(parts) == 1 or entries_of(body) > costs.MAX_BLOCK_ROW:
        return None
    shared = shared_arrays(parts, row)
    own = {s.name: s for s in before if isinstance(s, ir.Variable) and s.size and s.name in shared}
    whole = own.keys() == shared and numbers_are_apart(parts)
    if not whole or any(size * s.size > costs.MAX_LOCAL_ENTRIES for s in own.values()):
        return None
    number = RuntimeIndex(f"{row.name}t", size, frozenset({row}))
    here = ir.Let(number.name, INDEX, Expr({row: 1, ir.block_of(row): -1}), number.depends)
    places = {x: Expr({number: s.size}) for x, s in own.items()}
    before = [s for s in before if s not in own.values()]
    before += [replace(s, size=size * s.size) for s in own.values()]
    types: dict[str, Any] = {}
    bodies = []
    for k, part in enumerate(parts):
        read, later = names_in(part), names_in(itertools.chain(*parts[k + 1 :]))
        entry = {x: ir.Access(f"{x}b", Expr({number: 1})) for x in read | later}
        loads = [ir.Let(x, types[x], entry[x], number.depends) for x in types if x in read]
        stored = {x: s.type for x, s in defined(part).items() if x in later}
        types |= stored
        before += [ir.Variable(f"{x}b", dtype, size=size) for x, dtype in stored.items()]
        lines = [in_block(s, places) for s in part]
        bodies.append([here, *loads, *lines, *(ir.Store(entry[x], x) for x in stored)])
    return bodies, before


def parts_of_row(body: Statements) -> list[list[ir.Statement]]:
    """Loops over the entries of a row; and what is expensive between them, by itself."""
    parts, between = [list[ir.Statement]()], list[ir.Statement]()
    for s in [*body, None]:
        if s is not None and not isinstance(s, ir.For):
            between.append(s)
            continue
        ends, rest, begins = ended(between, parts[-1])
        parts[-1] += ends
        if work_of(rest) >= costs.MIN_DISTRIBUTED_WORK:
            parts += [rest, []]
        else:
            parts[-1] += rest
        parts[-1] += [*begins, *([s] if s else [])]
        between = []
    return [part for part in parts if part]


def ended(between: Statements, part: Statements) -> tuple[list[Any], list[Any], list[Any]]:
    """Of what is between two loops: the ends of the sums of the part before, the accumulators that
    begin, and all else, which comes between these two."""
    sums: set[Any] = {x for x, s in defined(part).items() if isinstance(s, ir.Variable)}
    ends, rest, begins = list[ir.Statement](), list[ir.Statement](), list[ir.Statement]()
    used = names_in(s for s in between if not isinstance(s, ir.Variable))
    for s in between:
        sums.discard(ir.target_of(s))
        if isinstance(s, ir.Variable) and s.name not in used:
            begins.append(s)
        elif isinstance(s, ir.Let) and (names := names_in([s])) and names <= sums:
            ends.append(s)
        else:
            rest.append(s)
    return ends, rest, begins


def work_of(statements: Iterable[ir.Statement]) -> int:
    """How much it is to compute some numbers, in divisions."""
    work = 0
    for s in statements:
        functions = str(ir.functions_in(s.value)) if isinstance(s, ir.Let) else ""
        work += functions.count("/") + DIVISIONS_PER_CALL * len(EXPENSIVE_CALLS.findall(functions))
    return work


def entries_of(statements: Iterable[ir.Statement]) -> int:
    """Over how many entries the longest of some nests of loops runs."""
    loops = (s for s in statements if isinstance(s, ir.For))
    return max((s.variable.extent * entries_of(s.body) for s in loops), default=1)


def shared_arrays(parts: Sequence[Statements], row: Var) -> set[Any]:
    """The arrays that one part writes and another one accesses, but for those in memory of which
    each row has its own entries."""
    every = [[*accesses(ir.walk(part))] for part in parts]
    written = [
        {x.array for x in map(ir.target_of, ir.walk(part)) if isinstance(x, ir.Access)}
        for part in parts
    ]
    found: set[Any] = set()
    for k, n in itertools.permutations(range(len(parts)), 2):
        found |= written[k] & {x.array for x in every[n]}
    of_rows = {x.array: True for x in found if isinstance(x, Value)}
    for x in itertools.chain(*every):
        of_rows[x.array] = (
            of_rows.get(x.array, False) and x.place is not None and row in x.place.variables()
        )
    return {x for x in found if not of_rows[x]}


def numbers_are_apart(parts: Sequence[Statements]) -> bool:
    """Whether each part changes no numbers but its own, and such as no other part knows."""
    names = [names_in(part) | defined(part).keys() for part in parts]
    for k, part in enumerate(parts):
        others = set().union(*(x for n, x in enumerate(names) if n != k))
        changed = {x for x in map(ir.target_of, ir.walk(part)) if isinstance(x, str)}
        arrays = {x for x, s in defined(part).items() if isinstance(s, ir.Variable) and s.size}
        if others & (arrays | changed - defined(part).keys()):
            return False
    return True


def defined(statements: Iterable[ir.Statement]) -> dict[str, ir.Definition]:
    """The names that are known after these statements."""
    return {s.name: s for s in statements if isinstance(s, ir.Definition)}


def names_in(statements: Iterable[ir.Statement]) -> set[str]:
    """The names in statements, those of local variables and arrays too."""
    found: set[str] = set()
    for s in ir.walk(statements):
        for x in s.operands:
            found.update(ir.names_in(x))
            if isinstance(x, ir.Access) and isinstance(x.array, str):
                found.add(x.array)
    return found


def in_block(x: Any, places: Mapping[str, Expr]) -> Any:
    """A statement or an expression with entries of arrays of a row as those of a block."""
    if type(x) is ir.Access and x.place is not None and x.array in places:
        return replace(x, place=x.place + places[x.array])
    if type(x) is list or type(x) is tuple:
        return type(x)([in_block(part, places) for part in x])
    if type(x) in ir.NODES:
        return type(x)(*[in_block(getattr(x, name), places) for name in x.__match_args__])
    return x
