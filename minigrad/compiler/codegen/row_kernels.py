"""Kernels of rows: an outer loop over rows, and inside of it loops over the entries of a row."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.compiler.codegen.c import Function, function
from minigrad.compiler.graph.affine import (
    ZERO,
    Expr,
    Index,
    Var,
    common_factors,
    number,
    ravel_index,
    unravel_index,
    variable,
)
from minigrad.compiler.graph.ir import Value
from minigrad.compiler.graph.opset.reductions import Reduction
from minigrad.compiler.loops.ir import (
    ROW,
    Access,
    Accumulate,
    Apply,
    Expression,
    For,
    If,
    Let,
    Number,
    Operand,
    Scratch,
    Statement,
    Store,
    Target,
    Variable,
    substituted,
)
from minigrad.compiler.loops.lowering import INDEX, Body
from minigrad.compiler.loops.passes import blocks, hoisted, merged, nest, part_of, vectorised
from minigrad.compiler.schedule.buffers import BufferPlan
from minigrad.compiler.schedule.stages import Kernel, Schedule, Stage, mode, split_at
from minigrad.compiler.target import costs
from minigrad.compiler.target.machine import Machine

FLAG, WIDE = np.dtype(np.int32), np.dtype(np.float64)


@dataclass(eq=False)
class Loop:
    """Stages that share one loop nest over the entries of a row."""

    extents: tuple[int, ...]
    loops: tuple[Expr, ...]
    body: Body
    stages: list[Stage] = field(default_factory=list)


@dataclass(eq=False)
class Rows:
    """A kernel of rows while it is written."""

    kernel: Kernel
    schedule: Schedule
    rows: int
    outer: list[Expr]
    row: Expr
    block: int = 0  # terms that are summed in vector lanes before they are added to the total
    loops: list[Loop] = field(default_factory=list)
    home: dict[Value, int] = field(default_factory=dict)
    places: dict[Value, Index] = field(default_factory=dict)
    names: dict[Value, Operand] = field(default_factory=dict)

    @property
    def is_flat(self) -> bool:
        """Whether a row is one entry: the loop over rows is the innermost."""
        return all(not loop.extents for loop in self.loops)


def rows_function(
    kernel: Kernel, schedule: Schedule, buffers: BufferPlan, machine: Machine
) -> Function:
    """The C of a kernel of rows."""
    it = started(kernel, schedule)
    it.block = costs.BLOCK_VECTORS * machine.vector // np.dtype(np.float32).itemsize
    for stage in kernel.stages:
        enter(stage, it)
    found = function(statements_of(it), buffers)
    found.end = ending(it, buffers)
    it.loops.clear()  # a reference cycle: without this, everything would stay in memory
    return found


def started(kernel: Kernel, schedule: Schedule) -> Rows:
    rows = kernel.total if kernel.rows is None else kernel.rows
    across = transposed(kernel, schedule)
    if across is not None:
        return in_blocks(kernel, schedule, across)
    ends = [split_at(stage.dims, rows) for stage in kernel.stages]
    prefixes = [s.dims[:k] for s, k in zip(kernel.stages, ends, strict=True) if k is not None]
    extents = common_factors(prefixes) if len(prefixes) == len(ends) else [rows]
    outer = [variable(f"i{k}", n) for k, n in enumerate(extents)]
    return Rows(kernel, schedule, rows, outer, ravel_index(outer, extents))


def transposed(kernel: Kernel, schedule: Schedule) -> int | None:
    """The loop along which a single stage reads memory contiguously, if that is not the last loop:
    each cache line would be loaded once for each of its entries."""
    stage, *others = kernel.stages
    whole = not others and stage.kind == "map" and kernel.rows is None
    if not whole or stage.total < costs.MIN_BLOCKED_SIZE:
        return None
    *outer, (_, last) = [(k, v) for k, place in enumerate(stage.places) for v in place.terms]
    for x, indices in schedule.reads[stage.value].items():
        for index in indices:
            steps = schedule.layouts[x].address(index).terms
            for k, v in outer if steps.get(last, 0) >= costs.CACHE_LINE_ENTRIES else ():
                far = math.prod(stage.dims[k + 1 :]) % costs.CONFLICT_STRIDE == 0
                if steps.get(v) == 1 and stage.dims[k] % costs.CACHE_LINE_ENTRIES == 0 and not far:
                    return k
    return None


def in_blocks(kernel: Kernel, schedule: Schedule, across: int) -> Rows:
    """Block the loop `across`, with the loop over a block innermost."""
    dims, size = kernel.stages[0].dims, costs.CACHE_LINE_ENTRIES
    extents = [n // size if k == across else n for k, n in enumerate(dims)]
    loops = [variable(f"i{k}", n) for k, n in enumerate([*extents, size])]
    places = [v * size + loops[-1] if k == across else v for k, v in enumerate(loops[:-1])]
    return Rows(kernel, schedule, kernel.total, loops, ravel_index(places, dims))


def enter(stage: Stage, it: Rows) -> None:
    """Put a stage into the first loop nest that it can share."""
    value, k = stage.value, split_at(stage.dims, it.rows)
    inner = stage.inner_extents(it.rows)
    extents = tuple(n for n in inner if n != 1)
    own = iter(variable(f"j{k}", n) for k, n in enumerate(extents))
    variables = [next(own) if n != 1 else ZERO for n in inner]
    if k is not None:
        it.places[value] = (*unravel_index(it.row, stage.dims[:k]), *variables)
    else:
        it.places[value] = unravel_index(it.row * inner[0] + variables[0], stage.dims)
    first = max((after(stage, x, it) for x in it.schedule.reads[value] if x in it.home), default=0)
    for n in range(first, len(it.loops)):
        if it.loops[n].extents == extents:
            break
    else:
        n = len(it.loops)
        loops = tuple(v for v in variables if v.terms)
        it.loops.append(Loop(extents, loops, Body(lambda x, i: load(x, i, it), f"t{n}_")))
    loop = it.loops[n]
    loop.stages.append(stage)
    index = stage.layout.index(it.places[value])
    it.names[value] = loop.body.read(value.inputs[0] if stage.kind == "reduce" else value, index)
    it.home[value] = n


def after(stage: Stage, x: Value, it: Rows) -> int:
    """The first loop in which a stage can read another of this kernel."""
    other, home = it.schedule.stages[x], it.home[x]
    extents = tuple(n for n in stage.inner_extents(it.rows) if n != 1)
    if other.kind == "reduce" or it.loops[home].extents != extents:
        return home + 1
    own = ravel_index(stage.places, stage.dims)
    same = all(
        ravel_index(other.layout.places(index), other.dims) == own
        for index in it.schedule.reads[stage.value][x]
    )
    return home if same else home + 1


def load(value: Value, index: Index, it: Rows) -> Access | Number | None:
    """Where to read a value: memory, or the result of an earlier loop of this kernel."""
    home = it.home.get(value)
    if home is None:
        if (
            value in it.schedule.kernel_of
            and it.kernel is it.schedule.kernels[it.schedule.kernel_of[value]]
        ):
            return None  # it is being computed
        return it.schedule.load(value, index)
    stage = it.schedule.stages[value]
    places, _ = stage.places_of(index)
    inner, extents = inner_of(stage, places, it)
    if not extents:
        found = result_name(stage, it)
        return Access(found, None, own=True) if isinstance(found, str) else found
    return stored(stage, index, inner, extents, it)


def stored(stage: Stage, index: Index, inner: Index, extents: tuple[int, ...], it: Rows) -> Access:
    """Where the entries of a value in one row are: in memory, or in a local array."""
    value = stage.value
    if value in it.schedule.stored:
        return Access(value, it.schedule.layouts[value].address(index), own=True)
    return Access(place_of(value, extents, it), ravel_index(inner, extents), own=True)


def result_name(stage: Stage, it: Rows) -> Operand:
    """The variable, or number, of a value with one entry in a row."""
    if stage.kind != "reduce":
        return it.names[stage.value]
    reduction, total = stage.reduction, f"r{local(stage.value, it)}"
    if reduction.is_search:
        return f"{total}i"
    return f"{total}v" if reduction.is_extreme and stage.value.dtype.kind == "f" else total


def place_of(value: Value, extents: tuple[int, ...], it: Rows) -> Any:
    """Where the entries of one row are kept: a local array, or scratch memory if they are many."""
    entries = math.prod(extents)
    return local(value, it) if entries <= costs.MAX_LOCAL_ENTRIES else Scratch(value, entries)


def declare(value: Value, extents: tuple[int, ...], it: Rows, code: Code) -> None:
    array = place_of(value, extents, it)
    if isinstance(array, str):
        code.before.append(Variable(array, value.dtype, size=math.prod(extents)))


def local(value: Value, it: Rows) -> str:
    return f"l{[s.value for s in it.kernel.stages].index(value)}"


def inner_of(stage: Stage, places: Index, it: Rows) -> tuple[Index, tuple[int, ...]]:
    """The part within a row of places along the loops that are not summed over, and its extents,
    without those of 1."""
    if stage.kind != "reduce":
        extents, gone = stage.dims, (False,) * len(stage.dims)
    else:
        extents = tuple(n for n, g in zip(stage.dims, stage.is_reduced, strict=True) if not g)
        gone = stage.is_reduced
    k = split_at(stage.dims, it.rows)
    if k is None:
        inner = ravel_index(places, extents).divmod(stage.total // it.rows)[1]
        return (inner,), (stage.total // it.rows,)
    first = k - sum(gone[:k])
    pairs = [(p, n) for p, n in zip(places[first:], extents[first:], strict=True) if n != 1]
    return tuple(p for p, _ in pairs), tuple(n for _, n in pairs)


# Reductions


def start_of(stage: Stage) -> Number:
    """The first value of an accumulator."""
    start, dtype = stage.reduction.start, stage.value.inputs[0].dtype
    if not stage.reduction.is_extreme:
        return Number.of(start, dtype)
    if dtype.kind == "f":
        return Number.of(start, dtype)
    if dtype.kind == "b":
        return Number.of(start > 0, dtype)
    info = np.iinfo(dtype)
    return Number.of(info.min if start < 0 else info.max, dtype)


def added(reduction: Reduction, total: Target, x: Operand) -> Expression:
    """An accumulator after one more entry; NaN propagates."""
    if not reduction.is_extreme:
        return Apply(reduction.combine, (total, is_not_zero(x) if reduction.of_truth else x))
    better = Apply(sign_of(reduction), (x, total))
    return Apply("select", (Apply("|", (better, Apply("!=", (x, x)))), x, total))


def is_not_zero(x: Operand) -> Apply:
    return Apply("!=", (x, number(0)))


def sign_of(reduction: Reduction) -> str:
    """How an entry compares to the one that it replaces."""
    return ">" if reduction.start < 0 else "<"


@dataclass(eq=False)
class Sums:
    """Sums of several terms each, in parts: before each part, and after it."""

    starts: list[Statement] = field(default_factory=list)
    ends: list[Statement] = field(default_factory=list)
    over: tuple[bool, ...] = ()  # which of the loops around are over terms: the leading ones


@dataclass(eq=False)
class Code:
    """The parts of a kernel: before the rows, in each row, and after them."""

    before: list[Statement] = field(default_factory=list)
    row: list[Statement] = field(default_factory=list)
    after: list[Statement] = field(default_factory=list)
    sums: Sums = field(default_factory=Sums)  # with rows as terms


@dataclass(eq=False)
class Nest:
    """A loop nest in a row: what is in it, around its innermost loop, and after it."""

    body: list[Statement]
    first: list[Statement] = field(default_factory=list)
    last: list[Statement] = field(default_factory=list)
    ends: list[Statement] = field(default_factory=list)
    sums: Sums = field(default_factory=Sums)


def statements_of(it: Rows) -> list[Statement]:
    """The statements of a kernel, of which threads share the outermost loop over rows."""
    code = Code()
    for loop in it.loops:
        enter_loop(loop, it, code)
    outer, new = merged(it.outer, code.row)
    body = substituted(code.row, new)
    at, size = part_of(outer, costs.TERMS_PER_PART) if code.sums.ends else (-1, 0)
    for k, v in reversed(list(enumerate(outer))):
        grain = costs.CACHE_LINE_ENTRIES if len(outer) == 1 and it.is_flat else 1
        over = For(v, body, grain=0 if k else grain)
        body = [blocks(over, size, code.sums.starts, code.sums.ends) if k == at else over]
    return [*code.before, *vectorised(body, it.block), *code.after]


def enter_loop(loop: Loop, it: Rows, code: Code) -> None:
    """Add a loop nest to the code, each line as far outside as its variables allow."""
    body, invariant = hoisted(loop.body.lines, {v for e in loop.loops for v in e.terms})
    in_row, before = hoisted(invariant, {v for e in it.outer for v in e.terms} | {ROW})
    nest = Nest(body)
    code.row += in_row if it.outer else invariant
    code.before += before if it.outer else []
    for stage in loop.stages:
        if stage.kind == "reduce":
            enter_reduction(stage, loop, it, code, nest)
        else:
            enter_map(stage, it, code, nest.body)
    code.row += [*(nested(loop, nest) if loop.extents else nest.body), *nest.ends]


def nested(loop: Loop, parts: Nest) -> list[Statement]:
    variables, new = merged(loop.loops, [*parts.body, *parts.last])
    body, last = substituted(parts.body, new), substituted(parts.last, new)
    inside = [*parts.first, For(variables[-1], body), *last]
    if not parts.sums.ends:
        return nest(variables[:-1], inside)
    # Loops over terms are not merged with the others, which the results depend on.
    terms = {v for e in loop.loops[: sum(parts.sums.over)] for v in e.terms}
    over = [v for v in variables if any(v in new.get(t, Expr({t: 1})).terms for t in terms)]
    k, size = part_of(over, costs.TERMS_PER_PART)
    inner = For(variables[k], nest(variables[k + 1 : -1], inside))
    return nest(variables[:k], [blocks(inner, size, parts.sums.starts, parts.sums.ends)])


def enter_map(stage: Stage, it: Rows, code: Code, statements: list[Statement]) -> None:
    value = stage.value
    index = stage.layout.index(it.places[value])
    name = it.names[value]
    if value in it.schedule.stored:
        target = Access(value, it.schedule.layouts[value].address(index))
        statements.append(Store(target, name))
        return
    inner, extents = inner_of(stage, it.places[value], it)
    if extents and is_read_elsewhere(value, it):
        declare(value, extents, it, code)
        target = Access(place_of(value, extents, it), ravel_index(inner, extents))
        statements.append(Store(target, name))


def is_read_elsewhere(value: Value, it: Rows) -> bool:
    return any(
        value in it.schedule.reads[s.value] and it.home[s.value] != it.home[value]
        for s in it.kernel.stages
    )


def in_parts(stage: Stage) -> bool:
    """Whether a reduction is a sum of many floats, whose total is kept in float64."""
    gone = math.prod(n for n, g in zip(stage.dims, stage.is_reduced, strict=True) if g)
    floats = stage.reduction.combine == "+" and stage.value.dtype.kind == "f"
    return floats and gone > costs.TERMS_PER_PART


def enter_reduction(stage: Stage, loop: Loop, it: Rows, code: Code, nest: Nest) -> None:
    value = stage.value
    reduction, x, dtype = stage.reduction, it.names[value], value.dtype
    across = mode(stage, it.rows) == "across"
    kept = [p for p, g in zip(it.places[value], stage.is_reduced, strict=True) if not g]
    inner, extents = inner_of(stage, tuple(kept), it)
    if extents:
        enter_several(stage, loop, it, code, nest, inner, extents)
        return
    start = start_of(stage)
    total = f"r{local(value, it)}"
    inits, ends = (code.before, code.after) if across else (code.row, nest.ends)
    alone = not loop.extents and not (across and it.is_flat)  # a term for each row
    if reduction.is_search:
        enter_search(stage, it, code, nest.body, total, start)
    elif reduction.is_extreme and value.dtype.kind == "f":
        inits += [Variable(total, dtype, start), Variable(f"{total}n", FLAG)]
        nest.body.append(Accumulate(total, reduction.combine, x))
        nest.body.append(Accumulate(f"{total}n", "|", Apply("!=", (x, x))))
        nan = Number.of(np.nan, dtype)
        ends.append(Let(f"{total}v", dtype, Apply("if", (f"{total}n", nan, total))))
    elif reduction.combine == "+" and value.dtype.kind == "f":
        inits.append(Variable(total, WIDE))
        nest.body.append(Accumulate(total, "+", x, None if alone else dtype))
    else:
        inits.append(Variable(total, FLAG if reduction.of_truth else dtype, start))
        term = is_not_zero(x) if reduction.of_truth else x
        nest.body.append(Accumulate(total, reduction.combine, term))
    result = result_name(stage, it)
    if across:
        ends.append(Store(Access(Scratch(value, 1, in_parts(stage)), ZERO), result))
    elif value in it.schedule.stored:
        index = stage.result(it.places[value])
        ends.append(Store(Access(value, it.schedule.layouts[value].address(index)), result))


def enter_several(
    stage: Stage,
    loop: Loop,
    it: Rows,
    code: Code,
    nest: Nest,
    inner: Index,
    extents: tuple[int, ...],
) -> None:
    """A reduction with several results in a row, or across rows."""
    value, x = stage.value, it.names[stage.value]
    across = mode(stage, it.rows) == "across"
    if across:
        place: Access = Access(Scratch(value, math.prod(extents)), ravel_index(inner, extents))
    else:
        place = stored(stage, stage.result(it.places[value]), inner, extents, it)
        if value not in it.schedule.stored:
            declare(value, extents, it, code)
    inits = code.before if across else code.row
    if not in_parts(stage):
        inits += each(inner, Store(place, start_of(stage)))
        nest.body.append(Store(place, added(stage.reduction, place, x)))
        return
    whole = Access(wide_place(value, extents, it, code, across), ravel_index(inner, extents))
    inits += each(inner, Store(whole, Number.of(0, WIDE)))
    if not across:
        nest.ends += each(inner, Store(place, whole))
    results = ravel_index(inner, extents).variables()
    over = tuple(not v.variables() & results for v in loop.loops)
    if over[-1]:  # the terms of one result are next to each other
        total = f"r{local(value, it)}"
        nest.first.append(Variable(total, WIDE))
        nest.body.append(Accumulate(total, "+", x, value.dtype))
        nest.last.append(Accumulate(whole, "+", total))
    elif over == tuple(sorted(over, reverse=True)) and nest.sums.over in ((), over):
        sums = nest.sums if any(over) else code.sums
        sums.over = over
        sums.starts += each(inner, Store(place, Number.of(0, value.dtype)))
        sums.ends += each(inner, Accumulate(whole, "+", place))
        nest.body.append(Accumulate(place, "+", x))
    else:  # the loops over terms are not outermost: there are no parts, so all of it in float64
        nest.body.append(Accumulate(whole, "+", x))


def each(inner: Index, statement: Statement) -> list[Statement]:
    """A statement for each of the results in a row."""
    loops, new = merged(inner, [statement])
    return nest(loops, substituted([statement], new))


def wide_place(value: Value, extents: tuple[int, ...], it: Rows, code: Code, across: bool) -> Any:
    """Where the totals of sums are, in float64."""
    entries = math.prod(extents)
    if across or entries > costs.MAX_LOCAL_ENTRIES:
        return Scratch(value, entries, True)
    code.before.append(Variable(f"{local(value, it)}d", WIDE, size=entries))
    return f"{local(value, it)}d"


def enter_search(
    stage: Stage,
    it: Rows,
    code: Code,
    statements: list[Statement],
    total: str,
    start: Number,
) -> None:
    """argmax and argmin: the first of the largest or smallest entries, or the first NaN."""
    value = stage.value
    x, dtype = it.names[value], value.inputs[0].dtype
    index = stage.layout.index(it.places[value])
    reduced = sorted(stage.reduced)
    shape = value.inputs[0].shape
    place = ravel_index([index[k] for k in reduced], [shape[k] for k in reduced])
    sign = sign_of(stage.reduction)
    code.row.append(Variable(total, dtype, start))
    code.row.append(Variable(f"{total}i", INDEX, number(-1)))
    first_nan = Apply("&", (Apply("!=", (x, x)), Apply("==", (total, total))))
    better = Apply("or", (Apply(sign, (x, total)), first_nan))
    first = Apply("<", (f"{total}i", number(0)))
    found = [Store(total, x), Store(f"{total}i", place)]
    statements.append(If(Apply("or", (first, better)), found))


def ending(it: Rows, buffers: BufferPlan) -> Function | None:
    """The function that combines the threads' parts of reductions across rows."""
    across = [s for s in it.kernel.stages if s.kind == "reduce" and mode(s, it.rows) == "across"]
    statements = [statement for stage in across for statement in combining(stage, it)]
    return function(statements, buffers) if statements else None


def combining(stage: Stage, it: Rows) -> list[Statement]:
    value = stage.value
    dims = tuple(n for n, g in zip(stage.dims, stage.is_reduced, strict=True) if not g)
    places = iter(variable(f"j{k}", n) for k, n in enumerate(dims))
    every = [next(places) if not g else ZERO for g in stage.is_reduced]
    kept = tuple(p for p, g in zip(every, stage.is_reduced, strict=True) if not g)
    n, part, thread = math.prod(dims), ravel_index(kept, dims), Var("u", 1 << 16)
    target = Access(value, it.schedule.layouts[value].address(stage.result(tuple(every))))
    partial = Scratch(value, n, in_parts(stage))
    dtype = FLAG if value.dtype.kind == "b" else partial.dtype
    total = f"r{local(value, it)}"
    combined = added(stage.reduction, total, "x")
    other = Let("x", dtype, Access(partial, part + Expr({thread: n})))
    statements: list[Statement] = [
        Variable(total, dtype, Access(partial, part)),
        For(thread, [other, Store(total, combined)], low="1", high="T"),
        Store(target, total),
    ]
    loops, new = merged(kept, statements)
    return nest(loops, substituted(statements, new))
