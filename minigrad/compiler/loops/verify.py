"""A check of the loop IR, before it is printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from minigrad.compiler.graph.affine import Expr
from minigrad.compiler.loops.ir import (
    Accumulate,
    For,
    If,
    Let,
    Statement,
    Store,
    Variable,
    index_of,
    operands_in,
    walk,
)


class LoopError(AssertionError):
    """Invalid loops: a fault of the compiler, never of the user's program."""


def verify(statements: Sequence[Statement]) -> None:
    """Check that statements are valid.

    Raises:
        LoopError: if a loop is in another one over the same variable, a name or a loop variable is
            used where it is not defined, a name is defined twice in a block, or iterations that run
            in vector lanes or threads depend on each other.
    """
    check(statements, frozenset(), frozenset())
    shared = [s for s in walk(statements) if isinstance(s, For) and s.grain]
    if len({(loop.variable.extent, loop.grain) for loop in shared}) > 1:
        raise LoopError("threads share one loop, or several of the same extent")
    for loop in shared:
        for inner in walk(loop.body):
            if isinstance(inner, For) and inner.grain:
                raise LoopError(f"threads share {inner.variable.name} in {loop.variable.name}")


def check(statements: Iterable[Statement], loops: frozenset[str], known: frozenset[str]) -> None:
    """Check one block, in these loops, where these names are known."""
    here = set(known)
    for statement in statements:
        for operand in operands_in(statement):
            used = {operand} if isinstance(operand, str) else names_in(index_of(operand))
            if not used <= here:
                unknown = ", ".join(used - here)
                raise LoopError(f"{operand} is outside of what defines {unknown}")
        if isinstance(statement, Let | Variable):
            if statement.name in here:
                raise LoopError(f"{statement.name} is defined twice")
            here.add(statement.name)
        elif isinstance(statement, For):
            name = statement.variable.name
            if name in loops:
                raise LoopError(f"a loop over {name} is in another one")
            if statement.simd is not None:
                check_lanes(statement)
            ends = {f"{name}_end"} if statement.step else set()
            check(statement.body, loops | {name}, frozenset({name, *here, *ends}))
        elif isinstance(statement, If):
            check(statement.body, loops, frozenset(here))
            check(statement.otherwise, loops, frozenset(here))


NOTHING: set[str] = set()


def names_in(index: Expr | None) -> set[str]:
    """The loop variables and run-time indices in an index."""
    if index is None or not index.terms:
        return NOTHING
    found: set[str] = set()
    for atom in index.terms:
        found |= names_in(atom.of) if hasattr(atom, "of") else {atom.name}
    return found


def check_lanes(loop: For) -> None:
    """Check that iterations are independent but for the accumulators that the loop names."""
    own = {s.name for s in loop.body if isinstance(s, Variable)}
    named = {name for _, name in loop.simd or ()}
    for s in loop.body:
        if isinstance(s, Store | Accumulate):
            target = s.target
            if isinstance(target, str):
                if target not in own and not (isinstance(s, Accumulate) and target in named):
                    raise LoopError(f"{target} depends on the iteration before, in vector lanes")
            elif target.place is not None and loop.variable not in target.place.variables():
                raise LoopError(f"all vector lanes write to the entry {target.place}")
