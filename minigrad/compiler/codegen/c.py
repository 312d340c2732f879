"""Writing a kernel: C functions over one table of pointers, with adjacent loops merged.

Arrays are numbered in the order of their first use, and an offset that all reads of an array share
is left to the caller: so kernels that do the same on other memory have the same text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from minigrad.compiler.graph.affine import Expr, Var
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.loops.ir import Access, Let, Parts, Scratch
from minigrad.compiler.loops.lowering import ctype

Statement = Parts


@dataclass(eq=False)
class Function:
    """The body of a kernel in C, and the arrays it is given, with offsets in entries."""

    text: str
    arguments: list[tuple[Value | Scratch, int]]
    parallel: bool = False
    end: Function | None = None  # to be run once after all threads are done


@dataclass(eq=False)
class Writer:
    """Statements, to be written with array names and places filled in."""

    alias: dict[Value, Value]
    statements: list[Statement] = field(default_factory=list)
    written: set[Any] = field(default_factory=set)

    def writes(self, target: Access) -> None:
        """Mark an array as written. (One that a statement begins with is, by itself.)"""
        self.written.add(self.array(target))

    def add(self, *parts: str | Access | Expr) -> None:
        self.statements.append(parts)

    def function(self, head: Sequence[str] = ()) -> Function:
        """The body of a C function of `char **q`, whose entries are the arguments."""
        offsets: dict[Any, int] = {}
        written = self.written
        for statement in self.statements:
            for k, part in enumerate(statement):
                if isinstance(part, Access) and not isinstance(part.array, str):
                    assert part.place is not None
                    array = self.array(part)
                    offset = offsets.get(array)
                    offsets[array] = (
                        part.place.const if offset is None else min(offset, part.place.const)
                    )
                    if k == 0:
                        written.add(array)
        names = {array: f"a{k}" for k, array in enumerate(offsets)}
        lines = [
            self.declaration(array, names[array], k, array in written or isinstance(array, Scratch))
            for k, array in enumerate(offsets)
        ]
        lines += head
        for statement in self.statements:
            lines.append("".join(self.text(part, names, offsets) for part in statement))
        return Function("\n".join(lines), list(offsets.items()))

    def array(self, access: Access) -> Any:
        return self.alias.get(access.array, access.array)

    def declaration(self, array: Any, name: str, k: int, written: bool) -> str:
        kind = f"{'' if written else 'const '}{ctype(array.dtype)}"
        own = f" + {array.entries}*t" if isinstance(array, Scratch) else ""
        return f"{kind} *restrict {name} = ({kind} *)q[{k}]{own};"

    def text(self, part: Any, names: dict[Any, str], offsets: dict[Any, int]) -> str:
        if not isinstance(part, Access):
            return str(part)
        if isinstance(part.array, str):
            return part.array if part.place is None else f"{part.array}[{part.place}]"
        array = self.array(part)
        assert part.place is not None
        return f"{names[array]}[{part.place + -offsets[array]}]"


def line_of(line: Let) -> Statement:
    return (f"const {line.type} {line.name} = ", *line.value, ";")


# Merging loops


def merged(
    loops: Sequence[Expr], statements: Iterable[Statement]
) -> tuple[list[Var], dict[Var, Expr]]:
    """Merge adjacent loops where no index tells them apart; also the replacements of their
    variables."""
    variables = [v for loop in loops for v in loop.terms]
    places = {e for s in statements for e in expressions(s)}
    new: dict[Var, Expr] = {}
    found: list[Var] = []
    for v in variables:
        if found and all(are_one(found[-1], v, place) for place in places):
            both = Var(f"{found[-1].name}", found[-1].extent * v.extent)
            step = {found[-1]: Expr({}), v: Expr({both: 1})}
            new = {old: e.replaced(step) for old, e in new.items()} | step
            places = {place.replaced(step) for place in places}
            found[-1] = both
        else:
            found.append(v)
    return found, new


def are_one(outer: Var, inner: Var, place: Expr) -> bool:
    """Whether an expression uses two loops only as outer*extent + inner."""
    if place.terms.get(outer, 0) != place.terms.get(inner, 0) * inner.extent:
        return False
    return all(
        isinstance(atom, Var)
        or not {outer, inner} & (atom.of.variables() if hasattr(atom, "of") else frozenset())
        for atom in place.terms
    )


def expressions(statement: Statement) -> Iterator[Expr]:
    for part in statement:
        if isinstance(part, Expr):
            yield part
        elif isinstance(part, Access) and part.place is not None:
            yield part.place


def replaced(statement: Statement, new: dict[Var, Expr]) -> Statement:
    if not new:
        return statement
    return tuple(
        part.replaced(new)
        if isinstance(part, Expr)
        else Access(part.array, part.place.replaced(new), part.own)
        if isinstance(part, Access) and part.place is not None
        else part
        for part in statement
    )


def share_of(n: int, grain: int = 1) -> str:
    """A thread's part of a loop of n iterations, low to below high, in multiples of a grain."""
    return f"const int64_t low = SPLIT({n}, t, T, {grain}), high = SPLIT({n}, t + 1, T, {grain});"


def part_of(loops: Sequence[Var], terms: int) -> tuple[int, int]:
    """Which of the loops over the terms of a sum to block, and by how many iterations, so that a
    block adds up about `terms` terms."""
    inner = 1
    for k in reversed(range(len(loops))):
        if inner * loops[k].extent >= terms or not k:
            break
        inner *= loops[k].extent
    blocks = max(1, round(inner * loops[k].extent / terms))  # of about the same size
    return k, -(-loops[k].extent // blocks)


def blocks_of(v: Var, size: int, low: str = "0", high: str = "") -> tuple[str, str]:
    """The heads of two loops, the outer over blocks of `size` iterations, the inner in a block."""
    n, high = v.name, high or str(v.extent)
    outer = f"for (int64_t {n}b = {low}; {n}b < {high}; {n}b += {size}) {{\n"
    end = f"const int64_t {n}e = {n}b + {size} < {high} ? {n}b + {size} : {high};"
    return outer + end, head_of(v, f"{n}b", f"{n}e")


def head_of(v: Var, low: str = "0", high: str | None = None) -> str:
    return f"for (int64_t {v.name} = {low}; {v.name} < {high or v.extent}; {v.name}++)"
