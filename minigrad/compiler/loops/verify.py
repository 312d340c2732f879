"""A check of the loop IR, before it is printed."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    check(statements, {})
    every = ir.walk(statements)
    shared = [s for s in every if isinstance(s, ir.For) and s.grain]
    if len({(loop.variable.extent, loop.grain) for loop in shared}) > 1:
        raise LoopError("threads share one loop, or several of the same extent")
    for loop in shared:
        for inner in ir.walk(loop.body):
            if isinstance(inner, ir.For) and inner.grain:
                raise LoopError(f"threads share {inner.variable.name} in {loop.variable.name}")
    if entries is not None:
        check_ranges([s for s in every if isinstance(s, ir.For)])
        check_bounds(every, entries)
        if shared and shared[0].variable.extent > 1:
            check_threads(every, shared)


# Names of the C around.
TAKEN = re.compile(
    r"(?![a-zA-Z_]\w*$)|(a\d+|arrays|bad|threads?|low|high|interior|beyond|after|kernels)$"
)


def check(statements: Iterable[ir.Statement], known: Mapping[str, type]) -> None:
    """Check one block, where these names are known, each with the type of what defines it."""
    known = {**known}
    for s in statements:
        for operand in s.operands:
            unknown = [name for name in ir.names_in(operand) if name not in known]
            if unknown:
                raise LoopError(f"{operand} is outside of what defines {', '.join(unknown)}")
        if isinstance(s, ir.Definition):
            if s.name in known:
                raise LoopError(f"{s.name} is defined twice")
            if TAKEN.match(s.name):
                raise LoopError(f"{s.name} is not free in C: give it another name")
            if s.type not in ir.DTYPES:
                raise LoopError(f"{s.name} is of {s.type}, which C does not have")
            known[s.name] = type(s)
        elif isinstance(s, ir.Assignment):
            if isinstance(s.target, str) and known[s.target] is not ir.Variable:
                raise LoopError(
                    f"{s.target} is a constant or a loop's variable: nothing stores there"
                )
        elif isinstance(s, ir.If):
            check(s.body, known)
            check(s.otherwise, known)
        elif isinstance(s, ir.For):
            name = s.variable.name
            if known.get(name) is ir.For:
                raise LoopError(f"a loop over {name} is in another one")
            if name in known or TAKEN.match(name):
                raise LoopError(f"the loop over {name} hides another {name}: give one another name")
            if s.simd is not None:
                check_lanes(s)
            names = [name, ir.end_of(s.variable)] if s.step else [name]
            check(s.body, {**known, **dict.fromkeys(names, ir.For)})


def check_lanes(loop: ir.For) -> None:
    """Check that iterations are independent but for the accumulators that the loop names."""
    own = {s.name for s in loop.body if isinstance(s, ir.Variable)}
    named = {name for _, name in loop.simd or ()}
    for s in loop.body:
        target = ir.target_of(s)
        if isinstance(target, ir.Access):
            if target.place is not None and loop.variable not in target.place.variables():
                raise LoopError(f"all vector lanes write to the entry {target.place}")
        elif target not in own and (isinstance(s, ir.Store) or target not in {None, *named}):
            raise LoopError(f"{target} depends on the iteration before, in vector lanes")
        for x in s.operands[isinstance(s, ir.Accumulate) :]:
            if isinstance(x, str) and x in named:
                raise LoopError(f"{x} is read in vector lanes, of which each has its own")


def check_ranges(loops: Iterable[ir.For]) -> None:
    """Check that loops run from 0 to their extent, up to where a loop around them is, over a block,
    or over the other threads."""
    loops = [*loops]
    blocks = {(v.name, ir.end_of(v), v.extent) for v in (s.variable for s in loops if s.step)}
    inside = {id(inner) for outer in loops for inner in up_to_here(outer)}
    inside |= {id(inner) for s in loops for inner in of_full_blocks(s)}
    for s in loops:
        v, span = s.variable, (s.low, s.high)
        if id(s) in inside or span in (("0", ""), ("1", "threads")):
            continue
        if (*span, v.extent) not in blocks:
            raise LoopError(
                f"the loop over {v.name} is from {s.low} to {s.high or v.extent}: loops run from 0 "
                "to their extent, or over a block; leave iterations out by an If"
            )


def up_to_here(outer: ir.For) -> Iterator[ir.For]:
    """The loops in a loop that run up to where it is, and whose extent is not less than its own."""
    v = outer.variable
    for s in ir.walk(outer.body):
        ends_here = isinstance(s, ir.For) and (s.low, s.high) == ("0", v.name)
        if isinstance(s, ir.For) and ends_here and s.variable.extent >= v.extent:
            yield s


def of_full_blocks(block: ir.For) -> Iterator[ir.For]:
    """The loops in a loop over blocks that are over a block which has all of its iterations."""
    v, size = block.variable, block.step
    low, end = v.name, ir.full_end_of(v)
    whole = Expr({v: 1}, size)
    ends = (s for s in block.body if isinstance(s, ir.Let) and s.name == end)
    known = size and all(s.value == whole for s in ends)
    for s in block.body if known else ():
        if isinstance(s, ir.If) and s.condition == ir.Apply("<=", (end, ir.end_of(v))):
            for inner in ir.walk(s.body):
                if isinstance(inner, ir.For) and (inner.low, inner.high) == (low, end):
                    yield inner


def check_bounds(statements: Iterable[ir.Statement], entries: Callable[[Value], int]) -> None:
    """Check that each index is inside of its array."""
    sizes = {s.name: s.size for s in statements if isinstance(s, ir.Variable)}
    loops = [s for s in statements if isinstance(s, ir.For)]
    threads = math.prod(s.variable.extent for s in loops if s.high == "threads")
    for x in accesses(statements):
        if isinstance(x.array, str):
            n, what = sizes.get(x.array, 0), x.array
        else:
            scratch = isinstance(x.array, ir.Scratch)
            n = x.array.entries * threads if scratch else entries(x.array)
            what = f"an array of {n} entries"
        low, high = x.place.bounds() if x.place else (0, 0)
        if low < 0 or high + max(x.lanes - 1, 0) >= n:
            raise LoopError(
                f"the index {x.place} is from {low} to {high}, which is outside of {what}"
            )


def accesses(statements: Iterable[ir.Statement]) -> Iterator[ir.Access]:
    """All accesses to arrays."""
    for s in statements:
        for x in s.operands:
            if isinstance(x, ir.Access) and x.place is not None:
                yield x


def check_threads(statements: Sequence[ir.Statement], shared: Sequence[ir.For]) -> None:
    """Check that iterations of the shared loops are independent.

    What they write is told apart by the loop's variable, or belongs to a thread: scratch memory,
    local arrays, and accumulators, that are then stored to scratch memory.
    """
    first = shared[0].variable
    bodies = [ir.walk(loop.body) for loop in shared]
    inside = [s for body in bodies for s in body]
    written = {t.array for t in map(ir.target_of, statements) if isinstance(t, ir.Access)}
    written = {x for x in written if isinstance(x, Value)}
    ids = {*map(id, inside)}
    for s in statements:
        if id(s) not in ids and any(x.array in written for x in accesses([s])):
            what = type(s).__name__
            raise LoopError(f"every thread runs a {what} outside of the loop that they share")
    places: dict[Any, list[Expr]] = defaultdict(list)
    for loop, body in zip(shared, bodies, strict=True):
        same = {loop.variable: Expr({first: 1})} if loop.variable != first else {}
        for x in accesses(body):
            if x.array in written and x.place is not None:
                places[x.array].append(x.place.replaced(same))
    step = max(1, *(loop.step for loop in shared))
    parts = {s.variable for s in inside if isinstance(s, ir.For) and s.low == first.name}
    for array, found in places.items():
        if not {first, *parts} & told_apart(found, {first: step}):
            where = ", ".join(map(str, dict.fromkeys(found)))
            raise LoopError(
                f"threads share the loop over {first.name}, and its iterations are not "
                f"independent: {array.op} is read and written at {where}. Give it no grain"
            )
    own = {s.name for s in inside if isinstance(s, ir.Definition)}
    read = {x for s in inside for x in s.operands[ir.target_of(s) is not None :]}
    for s in inside:
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
