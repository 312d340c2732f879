"""A check of the loop IR, before it is printed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from minigrad.compiler.graph.affine import Expr, Quotient, Remainder, Var
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.loops import ir


class LoopError(AssertionError):
    """Invalid loops: a fault of a kernel or an index map, never of the user's program."""


def verify(
    statements: Sequence[ir.Statement], entries: Callable[[Value], int] | None = None
) -> None:
    """Check that statements are valid.

    With `entries`, the number of entries of each array, check also what C does not: that each index
    is inside of its array whatever the loops' variables are, and that threads are independent. Only
    kernels over padded tiles do without.

    Raises:
        LoopError: if a loop is in another one over the same variable, a name or a loop variable is
            used where it is not defined, a name is defined twice in a block or is not free, or
            iterations that run in vector lanes or threads depend on each other.
    """
    check(statements, frozenset(), frozenset(), frozenset())
    every = ir.walk(statements)
    shared = [s for s in every if isinstance(s, ir.For) and s.grain]
    if len({(loop.variable.extent, loop.grain) for loop in shared}) > 1:
        raise LoopError("threads share one loop, or several of the same extent")
    for loop in shared:
        for inner in ir.walk(loop.body):
            if isinstance(inner, ir.For) and inner.grain:
                raise LoopError(f"threads share {inner.variable.name} in {loop.variable.name}")
    if entries is not None:
        check_ranges(every)
        check_bounds(every, entries)
        if shared and shared[0].variable.extent > 1:
            check_threads(every, shared)


# Names of the C around.
TAKEN = re.compile(r"(?![a-zA-Z_]\w*$)|(a\d+|arrays|out_of_range|threads?|low|high|kernels)$")


def check(
    statements: Iterable[ir.Statement],
    loops: frozenset[str],
    known: frozenset[str],
    variables: frozenset[str],
) -> None:
    """Check one block, in these loops, where these names are known, and these can be assigned."""
    here, assigned = set(known), set(variables)
    for statement in statements:
        for operand in ir.operands_in(statement):
            used = {operand} if isinstance(operand, str) else names_in(ir.index_of(operand))
            if not used <= here:
                unknown = ", ".join(used - here)
                raise LoopError(f"{operand} is outside of what defines {unknown}")
        if isinstance(statement, ir.Let | ir.Variable):
            if statement.name in here:
                raise LoopError(f"{statement.name} is defined twice")
            if TAKEN.match(statement.name):
                raise LoopError(f"{statement.name} is not free in C: give it another name")
            if statement.type not in ir.DTYPES:
                raise LoopError(f"{statement.name} is of {statement.type}, which C does not have")
            here.add(statement.name)
            if isinstance(statement, ir.Variable):
                assigned.add(statement.name)
        elif isinstance(statement, ir.Store | ir.Accumulate):
            target = statement.target
            if isinstance(target, str) and target not in assigned:
                raise LoopError(
                    f"{target} is a constant or a loop's variable: nothing stores there"
                )
        elif isinstance(statement, ir.For):
            name = statement.variable.name
            if name in loops:
                raise LoopError(f"a loop over {name} is in another one")
            if name in here or TAKEN.match(name):
                raise LoopError(f"the loop over {name} hides another {name}: give one another name")
            if statement.simd is not None:
                check_lanes(statement)
            ends = {ir.end_of(statement.variable)} if statement.step else set()
            inside = frozenset({name, *here, *ends})
            check(statement.body, loops | {name}, inside, frozenset(assigned))
        elif isinstance(statement, ir.If):
            for body in (statement.body, statement.otherwise):
                check(body, loops, frozenset(here), frozenset(assigned))


NOTHING: set[str] = set()


def names_in(index: Expr | None) -> set[str]:
    """The loop variables and run-time indices in an index."""
    if index is None or not index.terms:
        return NOTHING
    found: set[str] = set()
    for atom in index.terms:
        found |= names_in(atom.of) if hasattr(atom, "of") else {atom.name}
    return found


def check_lanes(loop: ir.For) -> None:
    """Check that iterations are independent but for the accumulators that the loop names."""
    own = {s.name for s in loop.body if isinstance(s, ir.Variable)}
    named = {name for _, name in loop.simd or ()}
    for s in loop.body:
        if isinstance(s, ir.Store | ir.Accumulate):
            target = s.target
            if isinstance(target, str):
                if target not in own and not (isinstance(s, ir.Accumulate) and target in named):
                    raise LoopError(f"{target} depends on the iteration before, in vector lanes")
            elif target.place is not None and loop.variable not in target.place.variables():
                raise LoopError(f"all vector lanes write to the entry {target.place}")
        for x in ir.operands_in(s)[isinstance(s, ir.Accumulate) :]:
            if isinstance(x, str) and x in named:
                raise LoopError(f"{x} is read in vector lanes, of which each has its own")


def check_ranges(statements: Iterable[ir.Statement]) -> None:
    """Check that loops run from 0 to their extent, over a block, or over the other threads."""
    blocks = [s.variable for s in statements if isinstance(s, ir.For) and s.step]
    ranges = {(block.name, ir.end_of(block), block.extent) for block in blocks}
    for s in statements:
        if isinstance(s, ir.For) and (s.low, s.high) not in (("0", ""), ("1", "threads")):
            v = s.variable
            if (s.low, s.high, v.extent) not in ranges:
                raise LoopError(
                    f"the loop over {v.name} is from {s.low} to {s.high or v.extent}: loops run "
                    "from 0 to their extent, or over a block; leave iterations out by an If"
                )


def check_bounds(statements: Iterable[ir.Statement], entries: Callable[[Value], int]) -> None:
    """Check that each index is inside of its array."""
    sizes = {s.name: s.size for s in statements if isinstance(s, ir.Variable)}
    threads = math.prod(
        s.variable.extent for s in statements if isinstance(s, ir.For) and s.high == "threads"
    )
    for statement in statements:
        for x in ir.operands_in(statement):
            if isinstance(x, ir.Access) and x.place is not None:
                low, high = x.place.bounds()
                if isinstance(x.array, str):
                    n = sizes.get(x.array, 0)
                elif isinstance(x.array, ir.Scratch):
                    n = x.array.entries * threads
                else:
                    n = entries(x.array)
                if low < 0 or high + max(x.lanes - 1, 0) >= n:
                    what = x.array if isinstance(x.array, str) else f"an array of {n} entries"
                    raise LoopError(
                        f"the index {x.place} is from {low} to {high}, which is outside of {what}"
                    )


def check_threads(statements: Sequence[ir.Statement], shared: Sequence[ir.For]) -> None:
    """Check that iterations of the shared loops are independent.

    What they write is told apart by the loop's variable, or belongs to a thread: scratch memory,
    local arrays, and accumulators, that are then stored to scratch memory.
    """
    first = shared[0].variable
    inside = [(loop, s) for loop in shared for s in ir.walk(loop.body)]
    written = {t.array for t in map(ir.target_of, statements) if isinstance(t, ir.Access)}
    written = {x for x in written if isinstance(x, Value)}
    places: dict[Any, list[Expr]] = {}
    for loop, s in inside:
        same = {loop.variable: Expr({first: 1})} if loop.variable != first else {}
        for x in ir.operands_in(s):
            if isinstance(x, ir.Access) and x.array in written and x.place is not None:
                places.setdefault(x.array, []).append(x.place.replaced(same) if same else x.place)
    outside = {id(s) for s in statements} - {id(s) for _, s in inside}
    for s in statements:
        if id(s) in outside and any(
            isinstance(x, ir.Access) and x.array in written for x in ir.operands_in(s)
        ):
            what = type(s).__name__
            raise LoopError(f"every thread runs a {what} outside of the loop that they share")
    step = max(1, *(loop.step for loop in shared))
    parts = {s.variable for _, s in inside if isinstance(s, ir.For) and s.low == first.name}
    for array, found in places.items():
        if not {first, *parts} & told_apart(found, {first: step}):
            where = ", ".join(map(str, dict.fromkeys(found)))
            raise LoopError(
                f"threads share the loop over {first.name}, and its iterations are not "
                f"independent: {array.op} is read and written at {where}. Give it no grain"
            )
    own = {s.name for _, s in inside if isinstance(s, ir.Let | ir.Variable)}
    read = {
        x
        for _, s in inside
        for x in ir.operands_in(s)[ir.target_of(s) is not None :]
        if isinstance(x, str)
    }
    for _, s in inside:
        target = ir.target_of(s)
        carried = isinstance(s, ir.Store) or target in read or len(shared) > 1
        if isinstance(target, str) and target not in own and carried:
            raise LoopError(
                f"threads share the loop over {first.name}, and {target} is carried from one "
                "iteration to the next: define it in the loop, or give the loop no grain"
            )


def told_apart(places: Sequence[Expr], steps: dict[Var, int]) -> set[Any]:
    """The atoms that differ only if the places differ: so does a loop's variable if it is one."""
    found = {atom for atom in places[0].terms if is_told(atom, places, steps.get(atom, 1))}
    for atom in [*found]:
        if isinstance(atom, Remainder) and Quotient(atom.of, atom.by) in found:
            found |= told_apart([atom.of], steps)
    return found


def is_told(atom: Any, places: Sequence[Expr], step: int) -> bool:
    """Whether two places that are equal have this atom equal: what is finer than its coefficient
    adds up to less than that, and what is coarser is a multiple of more than its range."""
    c = places[0].terms[atom]
    others = [{a: k for a, k in place.terms.items() if a != atom} for place in places]
    unit = math.gcd(*(k for terms in others for k in terms.values() if abs(k) >= abs(c * step)))
    spans = []
    for place, terms in zip(places, others, strict=True):
        if place.terms.get(atom) != c:
            return False
        const = place.const - places[0].const
        const = (const + unit // 2) % unit - unit // 2 if unit else const
        fine = {a: k for a, k in terms.items() if abs(k) < abs(c * step)}
        spans.append(Expr(fine, const).bounds())
    width = max(high for _, high in spans) - min(low for low, _ in spans)
    return width < abs(c) * step and (not unit or unit > abs(c) * (atom.extent - 1) + width)
