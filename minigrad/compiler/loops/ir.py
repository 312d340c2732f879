"""The loop IR: what one kernel does, as statements in loops.

    kernel     = statements
    statement  = For(variable, statements, low, high, step, grain, ...)
               | If(condition, statements, statements)
               | Stop(condition)                         of the loop around
               | Let(name, type, expression)             a constant
               | Variable(name, type, expression, size)  an accumulator, or a local array
               | Store(target, expression)               target = expression
               | Accumulate(target, combine, expression) target = combine(target, expression)
               | Prefetch(access)
    target     = Access | name
    expression = Apply(function, expressions) | Access | Number | index | name
    Access     = array[index], or a vector of entries from there on
    index      = affine.Expr, of loop variables and of names of integers

A function is the C of an op, with {0} in place of its first input, or one of
`codegen.c.C_TEMPLATES`. Loops run from `low` to below `high`; names are unique in a kernel, except
in loops one after the other. `verify` holds this, `passes` rewrite it, and `codegen/c.py` prints
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from minigrad.compiler.graph.affine import Expr, Quotient, Remainder, Var
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.graph.opset.base import DTYPES as DTYPES
from minigrad.compiler.graph.opset.base import INDEX
from minigrad.compiler.graph.opset.base import Apply as Apply
from minigrad.compiler.graph.opset.base import Number as Number
from minigrad.compiler.graph.opset.base import Operand as Operand

# A pseudo variable: what depends on it stays in the loop over rows, though no index says so.
ROW = Var("row", 1)


@dataclass(frozen=True)
class Access:
    """An entry of an array: of a value, of scratch memory, or of a local array, by its name; or
    `lanes` entries from there on.

    Without a `place`, a local variable. `own`: the same kernel has computed it.
    """

    array: Any
    place: Expr | None
    own: bool = False
    lanes: int = 0


@dataclass(frozen=True)
class Scratch:
    """Scratch memory of a kernel: `entries` for `each` thread, or for all together, of a value's
    dtype, or of float64 if `wide`."""

    value: Value
    entries: int
    wide: bool = False
    each: bool = True

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float64) if self.wide else self.value.dtype


Target = Access | str
Expression = Apply | Access | Number | Expr | str


@dataclass(frozen=True)
class Statement:
    """A statement. `operands` are what it consists of itself: of its target, then of its value, the
    accesses, numbers, indices and names."""

    operands: list[Expression] = field(init=False, repr=False, compare=False)
    expressions: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        found: list[Expression] = []
        for name in self.expressions:
            expression = getattr(self, name)
            if type(expression) is Apply:
                found += operands(expression)
            elif expression is not None:
                found.append(expression)
        object.__setattr__(self, "operands", found)


@dataclass(frozen=True)
class Definition(Statement):
    """Of a name, which is known from there on to the end of the block."""

    name: str
    type: np.dtype[Any]


@dataclass(frozen=True)
class Let(Definition):
    """A constant of a dtype, or a vector of `lanes`; and the loop variables that it depends on."""

    value: Expression
    depends: frozenset[Var] = frozenset()
    lanes: int = 0
    expressions = ("value",)


@dataclass(frozen=True)
class Variable(Definition):
    """An accumulator with its first value (0 if there is none), or a local array of `size`."""

    value: Expression | None = None
    size: int = 0
    lanes: int = 0
    expressions = ("value",)


@dataclass(frozen=True)
class Assignment(Statement):
    """To an entry of an array, or to a variable."""

    target: Target


@dataclass(frozen=True)
class Store(Assignment):
    value: Expression
    expressions = ("target", "value")


@dataclass(frozen=True)
class Accumulate(Assignment):
    """`combine` is "+", "*", "|", "&", "max" or "min". With a `part`, terms are first
    added up in an accumulator of that dtype: the target has more precision."""

    combine: str
    value: Expression
    part: np.dtype[Any] | None = None
    expressions = ("target", "value")


@dataclass(frozen=True)
class If(Statement):
    condition: Expression
    body: Sequence[Statement]
    otherwise: Sequence[Statement] = ()
    expressions = ("condition",)


@dataclass(frozen=True)
class Stop(Statement):
    """The end of the innermost loop around, if the condition holds."""

    condition: Expression
    expressions = ("condition",)


@dataclass(frozen=True)
class Prefetch(Statement):
    access: Access
    expressions = ("access",)


@dataclass(frozen=True)
class For(Statement):
    """A loop. With a `grain`, threads share it, each in multiples of so many iterations. With a
    `step`, it is over blocks: `block_of` is its variable, `end_of` where a block ends. It may end
    where a loop around it is, by its variable as `high`.

    `simd`: to be vectorised, as its iterations are independent but for these accumulators, given as
    (combine, name). `independent`: the iterations are, and the C compiler decides. `transposes`: it
    is the outer one of two loops over a block each, that copy a tile in which the inner steps over
    rows: see `passes.tiled`. `unrolled`: of so few iterations that they are written out.
    """

    variable: Var
    body: Sequence[Statement] = field(default_factory=list)
    low: str = "0"
    high: str = ""
    step: int = 0
    grain: int = 0
    simd: tuple[tuple[str, str], ...] | None = None
    independent: bool = False
    transposes: bool = False
    unrolled: bool = False


NODES = {Apply, Access, Let, Variable, Store, Accumulate, If, Stop, Prefetch, For}


# Walking through statements


def block_of(v: Var) -> Var:
    """The variable of the loop over the blocks of a loop."""
    return Var(f"{v.name}b", v.extent)


def end_of(block: Var) -> str:
    """The name of where a block ends."""
    return f"{block.name}_end"


def full_end_of(block: Var) -> str:
    """The name of where a block ends that has all of its iterations, see `if_full`."""
    return f"{block.name}_full"


def if_full(
    loop: Var, size: int, body: list[Statement], otherwise: list[Statement]
) -> list[Statement]:
    """Statements for a block of a loop that has all of its `size` iterations: loops in `body` run
    from `block_of(loop)` to `full_end_of` that, so many times. `otherwise`: for other blocks."""
    block = block_of(loop)
    end = Let(full_end_of(block), INDEX, Expr({block: 1}, size), frozenset({loop}))
    return [end, If(Apply("<=", (end.name, end_of(block))), body, otherwise)]


def walk(statements: Iterable[Statement]) -> list[Statement]:
    """All statements, each before those in it."""
    found: list[Statement] = []
    for statement in statements:
        found.append(statement)
        if type(statement) is For:
            found += walk(statement.body)
        elif type(statement) is If:
            found += walk([*statement.body, *statement.otherwise])
    return found


def target_of(statement: Statement) -> Target | None:
    """What a statement stores to."""
    return statement.target if isinstance(statement, Assignment) else None


def operands(expression: Expression) -> list[Expression]:
    """The accesses, numbers, indices and names in an expression."""
    if type(expression) is not Apply:
        return [expression]
    found: list[Expression] = []
    for x in expression.arguments:
        if type(x) is Apply:
            found += operands(x)
        else:
            found.append(x)
    return found


def functions_in(expression: Expression) -> tuple[Any, ...]:
    """The functions of an expression, nested as they are."""
    if not isinstance(expression, Apply):
        return ()
    return expression.function, *map(functions_in, expression.arguments)


def index_of(operand: Expression) -> Expr | None:
    """The index in an operand, if it has one."""
    place = operand.place if isinstance(operand, Access) else operand
    return place if isinstance(place, Expr) else None


def names_in(operand: Expression) -> Iterator[str]:
    """The names in an operand: of a variable, of loop variables and of run-time indices."""
    if isinstance(operand, str):
        yield operand
        return
    index = index_of(operand)
    for atom in index.terms if index else ():
        if isinstance(atom, (Quotient, Remainder)):
            yield from names_in(atom.of)
        else:
            yield atom.name


def indices_in(statements: Iterable[Statement]) -> set[Expr]:
    """All indices."""
    found = (index_of(x) for statement in walk(statements) for x in statement.operands)
    return {index for index in found if index is not None}


def substituted(statements: Sequence[Statement], new: Mapping[Var, Expr]) -> list[Statement]:
    """Statements with loop variables replaced by expressions in all indices."""
    return [replaced(statement, new) for statement in statements] if new else [*statements]


def replaced(x: Any, new: Mapping[Var, Expr]) -> Any:
    """A statement or an expression with loop variables replaced in all indices."""
    kind = type(x)
    if kind is Expr:
        return x.replaced(new)
    if kind is list or kind is tuple:
        return kind([replaced(part, new) for part in x])
    if kind in NODES:
        return kind(*[replaced(getattr(x, name), new) for name in x.__match_args__])
    return x
