"""Scheduling: which values are computed in one kernel (fusion), and which are stored in memory.

A value that is not inlined where it is read has a stage: loops over its entries, or for a reduction
over those of its input. Stages are grouped into kernels. In a kernel of rows, all stages loop over
the same rows, and read from each other only within a row: so a softmax or a norm, with the
elementwise ops before and after it, is one pass over memory. The kernel of a contraction also
computes the elementwise ops on its result.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property

from minigrad.compiler.graph.affine import Expr, Index, Var, flat, unflat, variable
from minigrad.compiler.graph.ir import Graph, Value, elementwise, is_literal, name_of
from minigrad.compiler.graph.layout import Layout
from minigrad.compiler.graph.opset.base import rules_of
from minigrad.compiler.graph.opset.contractions import Contraction
from minigrad.compiler.graph.opset.reductions import Reduction, reduced_axes
from minigrad.compiler.loops.ir import Access, Let, functions_in, operands
from minigrad.compiler.loops.lowering import Body
from minigrad.compiler.schedule.contractions import Operands
from minigrad.compiler.target import costs

# Stages into which what they read may be inlined, entry by entry; others read whole arrays.
READ_BY_ENTRIES = ("map", "reduce", "contract", "concat")


@dataclass(eq=False)
class Signature:
    """How a stage is computed; an unrolled loop has many stages of one signature.

    `text`: a number that is equal for stages whose C is equal up to the addresses of arrays.
    `reads`: for each array that is read, its number, the indices, and the first entry.
    """

    text: int
    reads: list[tuple[int, set[Index], int]]


@dataclass(eq=False)
class Stage:
    """The loops that compute one value: a "map", "reduce", "contract", "concat", "scatter", or an
    op that "numpy" runs."""

    value: Value
    kind: str
    layout: Layout  # of what its loops run over
    reduced: frozenset[int] = frozenset()
    cost: int = 0  # operations on each entry
    signature: Signature | None = None  # None of ops that are not C, or a scatter
    arrays: tuple[Value, ...] = ()  # that it reads, numbered as in its signature

    @cached_property
    def dims(self) -> tuple[int, ...]:
        """The extents of its loops, the outermost first."""
        return self.layout.extents

    @cached_property
    def is_reduced(self) -> tuple[bool, ...]:
        """Which of its loops a reduction sums over."""
        return tuple(k in self.reduced for k in self.layout.order) or (False,) * len(self.dims)

    @property
    def total(self) -> int:
        return math.prod(self.dims)

    @property
    def reduction(self) -> Reduction:
        rules = rules_of(self.value.op)
        assert isinstance(rules, Reduction)
        return rules

    @cached_property
    def places(self) -> Index:
        """Its loop variables."""
        return tuple(variable(f"p{k}", n) for k, n in enumerate(self.dims))

    def result(self, places: Index) -> Index:
        """The index of its value at a point of its loops."""
        index = self.layout.index(places)
        if self.kind != "reduce":
            return index
        assert self.value.op is not None
        if self.value.attributes.get("keepdims"):
            return tuple(Expr({}) if k in self.reduced else i for k, i in enumerate(index))
        return tuple(i for k, i in enumerate(index) if k not in self.reduced)

    def places_of(self, index: Index) -> tuple[Index, tuple[int, ...]]:
        """The point of its loops for an index of its value, and their extents; for a reduction,
        only of the loops that are not summed over."""
        if self.kind != "reduce":
            return self.layout.places(index), self.dims
        if len(self.value.shape) == len(self.layout.shape):
            whole = index
        else:
            rest = iter(index)
            n = len(self.layout.shape)
            whole = tuple(Expr({}) if k in self.reduced else next(rest) for k in range(n))
        kept = [k for k in self.layout.order if k not in self.reduced]
        return tuple(whole[k] for k in kept), tuple(self.layout.shape[k] for k in kept)


@dataclass(eq=False)
class Kernel:
    """Stages that run together, of kind "rows", "contract", "pack", "concat", "scatter" or "numpy".

    `rows`: how many rows there are, or None if all stages are elementwise over `total` entries.
    `cost`: operations on each entry. `why`: for each value, why it could not join an earlier
    kernel.
    """

    kind: str
    total: int
    rows: int | None
    stages: list[Stage] = field(default_factory=list)
    why: dict[Value, str] = field(default_factory=dict)

    @property
    def cost(self) -> int:
        return sum(stage.cost for stage in self.stages)


Reads = dict[Value, set[Index]]


@dataclass(eq=False)
class Schedule:
    """Kernels in order; of each value its kernel, stage and reads; and which are `stored`."""

    graph: Graph
    layouts: dict[Value, Layout]
    contractions: dict[Value, Contraction]
    kernels: list[Kernel] = field(default_factory=list)
    kernel_of: dict[Value, int] = field(default_factory=dict)
    stages: dict[Value, Stage] = field(default_factory=dict)
    reads: dict[Value, Reads] = field(default_factory=dict)
    stored: set[Value] = field(default_factory=set)

    def load(self, value: Value, index: Index) -> Access | None:
        """Where to read a value that has a stage; None if it is computed where it is read."""
        if value in self.kernel_of or (value.op is None and not is_literal(value)):
            return Access(value, self.layouts[value].address(index))
        return None


def schedule_kernels(operands: Operands) -> Schedule:
    """Give each value that needs one a stage, in the first kernel that it can join."""
    graph = operands.graph
    schedule = Schedule(graph, operands.layouts, operands.contractions)
    order = graph.order
    roots = {*graph.roots()}
    kept = roots | operands.pinned
    signatures = Signatures()
    known: dict[Value, Inline] = {}
    kinds = operands.kinds
    users = users_of(order, kinds, kept)
    for value in order:
        known[value] = it = inline_of(value, known, signatures, schedule)
        if value.op is not None and has_stage(value, users[value], kept, it, kinds):
            known[value] = array_of(value, signatures, schedule)
            stage = stage_of(value, kinds[value], schedule)
            stage.cost = it.cost
            schedule.stages[value] = stage
            schedule.reads[value] = reads_of(stage, it, signatures, schedule)
            put(stage, signatures, schedule)
    schedule.stored = {v for v in schedule.kernel_of if v in roots}
    for value, reads in schedule.reads.items():
        home = schedule.kernel_of[value]
        schedule.stored |= {
            x for x in reads if x in schedule.kernel_of and schedule.kernel_of[x] != home
        }
    return schedule


def users_of(
    order: list[Value], kinds: dict[Value, str], kept: set[Value]
) -> dict[Value, list[Value]]:
    """The values that read each value, also through views that are not stored."""
    users: dict[Value, dict[Value, None]] = defaultdict(dict)
    for value in reversed(order):
        is_passed = kinds[value] == "map" and not elementwise(value) and value not in kept
        for x in value.values():
            users[x] |= users[value] if is_passed else {value: None}
    return {value: list(users[value]) for value in order}


@dataclass
class Inline:
    """What inlining a value takes: operations, the arrays read in order, and the depth of the chain
    of ops. `signature` is a number that is equal for values that are computed alike."""

    cost: int
    arrays: tuple[Value, ...]
    depth: int
    signature: int


@dataclass(eq=False)
class Signatures:
    """Caches: numbers of values and of texts, signatures of stages, and which stages fit into which
    kernels."""

    values: dict[Hashable, int] = field(default_factory=dict)
    texts: dict[Hashable, int] = field(default_factory=dict)
    stages: dict[Hashable, Signature] = field(default_factory=dict)
    fits: dict[Hashable, tuple[str, int | None]] = field(default_factory=dict)


DEAR = "exp expm1 log log1p logaddexp pow sqrt div mod floor_divide erf sigmoid hypot".split()
DEAR += "sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh".split()


def array_of(value: Value, signatures: Signatures, schedule: Schedule) -> Inline:
    """A value that is read from memory; a fixed constant, for its numbers, has its own key."""
    key = value if value.fixed else (value.shape, value.dtype, schedule.layouts[value])
    return Inline(0, (value,), 0, signatures.values.setdefault(key, len(signatures.values)))


def inline_of(
    value: Value, known: dict[Value, Inline], signatures: Signatures, schedule: Schedule
) -> Inline:
    if value.op is None and not is_literal(value):
        return array_of(value, signatures, schedule)
    cost = costs.EXPENSIVE_OP_COST if name_of(value) in DEAR else int(elementwise(value))
    key: list[Hashable] = [name_of(value), value.how]
    arrays: tuple[Value, ...] = ()
    depth = 0
    for x in value.inputs:
        if type(x) is not Value:
            key.append((type(x), repr(x)))
            continue
        it = known[x]
        cost += it.cost
        depth = max(depth, it.depth + 1)
        key.append(it.signature)
        if arrays and it.arrays != arrays:  # else the same arrays in the same order
            numbers = {y: k for k, y in enumerate(dict.fromkeys(arrays + it.arrays))}
            key += [numbers[y] for y in it.arrays]
            arrays = tuple(numbers)
        arrays = arrays or it.arrays
    if value.op is None:
        key.append(value)
    signature = signatures.values.setdefault(tuple(key), len(signatures.values))
    return Inline(cost, arrays, depth, signature)


def has_stage(
    value: Value,
    users: list[Value],
    kept: set[Value],
    it: Inline,
    kinds: dict[Value, str],
) -> bool:
    """Whether a value is computed once and stored, rather than inlined wherever it is read."""
    if kinds[value] != "map" or value in kept or it.depth > costs.MAX_INLINE_DEPTH:
        return True
    if any(kinds[user] not in READ_BY_ENTRIES for user in users):
        return True
    if not elementwise(value) or value.size == 1:
        return False
    reads = [x for x in it.arrays if x.size > 1]
    # Fused with different products, it would be computed in each; and leaves would be read again.
    apart = sum(kinds[x] in ("contract", "leaf") for x in reads)
    if len(reads) > costs.MAX_ARRAYS_READ or apart > 1:
        return True
    if len(users) == 1:
        return it.cost > costs.RECOMPUTE_LIMIT and users[0].size >= 2 * value.size
    # A value that is an op or two away from one array is recomputed.
    large = value.size > costs.MIN_LARGE_SIZE
    limit = costs.RECOMPUTE_LIMIT_LARGE if large else costs.RECOMPUTE_LIMIT
    return it.cost > limit or len(reads) > 1


def stage_of(value: Value, kind: str, schedule: Schedule) -> Stage:
    if kind == "reduce":
        x = value.inputs[0]
        stage = Stage(value, kind, schedule.layouts[x], frozenset(reduced_axes(value)))
        if stage.reduction.is_search:  # the searches run one after the other
            order = sorted(stage.layout.order, key=stage.reduced.__contains__)
            stage.layout = Layout(x.shape, tuple(order))
        return stage
    return Stage(value, kind, schedule.layouts[value])


def reads_of(stage: Stage, it: Inline, signatures: Signatures, schedule: Schedule) -> Reads:
    """The stages and leaves that a stage reads, and at which indices."""
    value = stage.value
    if stage.kind not in READ_BY_ENTRIES:
        return {x: {()} for x in value.values()}
    key: Hashable = (it.signature, stage.kind, stage.layout, schedule.layouts[value])
    if stage.kind == "contract":
        product = schedule.contractions[value]
        key = key, product.x[1], product.y[1]
    if key not in signatures.stages:
        signatures.stages[key] = signature_of(stage, it, signatures, schedule)
    stage.signature, stage.arrays = signatures.stages[key], it.arrays
    return {it.arrays[k]: indices for k, indices, _ in stage.signature.reads}


def signature_of(stage: Stage, it: Inline, signatures: Signatures, schedule: Schedule) -> Signature:
    value, found = stage.value, dict[Value, set[Index]]()

    def load(x: Value, index: Index) -> Access | None:
        parts = schedule.load(x, index) if x is not value else None
        if parts is not None:
            found.setdefault(x, set()).add(index)
        return parts

    body = Body(load)
    if stage.kind == "contract":
        product = schedule.contractions[value]
        results = [body.read(*product.x), body.read(*product.y)]
    elif stage.kind == "reduce":
        results = [body.read(value.inputs[0], stage.layout.index(stage.places))]
    elif stage.kind == "concat":
        results = [
            body.read(x, tuple(variable(f"p{k}", n) for k, n in enumerate(x.shape)))
            for x in value.inputs
        ]
    else:
        results = [body.read(value, stage.layout.index(stage.places))]
    lows = {
        x: min(schedule.layouts[x].address(index).const for index in indices)
        for x, indices in found.items()
    }
    # A result may be a number, in no line.
    text = text_of(stage, body.lines, lows, schedule), *results
    numbers = {x: k for k, x in enumerate(it.arrays)}
    reads = [(numbers[x], indices, lows[x]) for x, indices in found.items()]
    return Signature(signatures.texts.setdefault(text, len(signatures.texts)), reads)


def text_of(stage: Stage, lines: list[Let], lows: dict[Value, int], schedule: Schedule) -> Hashable:
    """All that the C of a stage depends on, except which arrays it reads, and from where on."""
    value, layout = stage.value, schedule.layouts[stage.value]
    numbers = {x: k for k, x in enumerate(lows)}
    parts: list[Hashable] = [name_of(value), value.how, value.shape, value.dtype.char]
    parts += [stage.dims, stage.reduced, stage.layout.order, layout.order, layout.panel]
    for line in lines:
        parts += [line.type, line.depends, functions_in(line.value)]
        for part in operands(line.value):
            if isinstance(part, Access):
                assert part.place is not None
                place = part.place + -lows[part.array]
                parts += [numbers[part.array], part.array.dtype.char, place]
            else:
                parts.append(part)
    return tuple(parts)


def put(stage: Stage, signatures: Signatures, schedule: Schedule) -> None:
    """Put a stage into the first kernel that it can join, or into a new one."""
    value, kernels = stage.value, schedule.kernels
    reads = schedule.reads[value]
    homes = {x: schedule.kernel_of[x] for x in reads if x in schedule.kernel_of}
    last = max(homes.values(), default=-1)
    why = ""
    if stage.kind in ("map", "reduce") and not stage.layout.panel:
        # Kernels that compute none of its inputs: only the latest, or long programs take long.
        near = range(max(last + 1, len(kernels) - costs.FUSION_WINDOW), len(kernels))
        for k in [last, *near] if last >= 0 else near:
            inner = [x for x, home in homes.items() if home == k]
            if not inner and not shares(reads, kernels[k], schedule):
                continue
            reason, rows = fits_as_before(stage, kernels[k], inner, signatures, schedule)
            if not reason:
                kernels[k].rows = rows
                kernels[k].stages.append(stage)
                schedule.kernel_of[value] = k
                return
            why = why or reason
    kind = (
        "pack" if stage.layout.panel else "rows" if stage.kind in ("map", "reduce") else stage.kind
    )
    rows = natural_rows(stage) if stage.kind == "reduce" else None
    kernels.append(Kernel(kind, stage.total, rows, [stage], {value: why} if why else {}))
    schedule.kernel_of[value] = len(kernels) - 1


def shares(reads: Reads, kernel: Kernel, schedule: Schedule) -> bool:
    """Whether a kernel reads an array that is among these reads, too."""
    return any(
        x.size > 1 and x in schedule.reads[stage.value] for stage in kernel.stages for x in reads
    )


def fits_as_before(
    stage: Stage, kernel: Kernel, inner: list[Value], signatures: Signatures, schedule: Schedule
) -> tuple[str, int | None]:
    """`fits`, cached by the signatures of the stage and the kernel."""
    of_inner = [(stage.arrays.index(x), schedule.stages[x].signature) for x in inner]
    how = kernel.kind, kernel.rows, has_room(kernel, stage), kernel.stages[0].signature
    key = stage.signature, *how, *of_inner
    if key not in signatures.fits:
        signatures.fits[key] = fits(stage, kernel, inner, schedule)
    return signatures.fits[key]


def has_room(kernel: Kernel, stage: Stage) -> bool:
    """Whether a kernel stays small enough: build time grows faster than its length."""
    cost = kernel.cost + stage.cost
    return len(kernel.stages) < costs.MAX_STAGES and cost <= costs.MAX_OPS_PER_ENTRY


def fits(
    stage: Stage, kernel: Kernel, inner: list[Value], schedule: Schedule
) -> tuple[str, int | None]:
    """Why a stage cannot join a kernel (empty if it can), and how many rows the kernel has then.

    `inner`: the values of the kernel that it reads.
    """
    if not has_room(kernel, stage):
        return "the kernel is large enough", None
    if kernel.kind == "contract":
        if stage.kind != "map" or not inner:
            return "only what is computed of each entry of a product goes with it", None
        first = kernel.stages[0].value
        same = all(
            pointwise_in_c_order(stage, x, index, schedule)
            for x in inner
            for index in schedule.reads[stage.value][x]
        )
        if stage.value.size != first.size or not same:
            return "it reads other entries of a product than its own", None
        if not keeps_columns(first, stage.value, schedule):
            return "its columns are others than those of a product", None
        return "", None
    if kernel.kind != "rows":
        return f"{kernel.kind} ends a fusion", None
    rows = kernel.rows
    if rows is None:
        if stage.total != kernel.total:
            return "its shape is another", None
        rows = natural_rows(stage) if stage.kind == "reduce" else None
    elif stage.total % rows or (stage.kind == "reduce" and not mode(stage, rows)):
        return "its rows are others", None
    for x in inner:
        per_row = stage.total if rows is None else rows
        for index in schedule.reads[stage.value][x]:
            if not same_row(stage, schedule.stages[x], index, per_row, schedule):
                return f"it reads other rows of {name_of(x)}, all of which come first", None
    if rows is not None:
        together = [stage, *(kernel.stages if kernel.rows is None else [])]
        if any(other.total % rows for other in together):
            return "its rows are others", None
        # Sharing a read does not pay if one of the two does not read in memory order.
        if not inner and not all(goes_along(other, rows, schedule) for other in together):
            return "it goes through what both read in another order", None
    return "", rows


def goes_along(stage: Stage, rows: int, schedule: Schedule) -> bool:
    """Whether its loops split into rows, or it reads everything in C order."""
    reads = schedule.reads[stage.value]
    return split_at(stage.dims, rows) is not None or all(
        pointwise_in_c_order(stage, x, index, schedule) for x in reads for index in reads[x]
    )


def keeps_columns(product: Value, value: Value, schedule: Schedule) -> bool:
    """Whether the columns of a product are still adjacent after it is reshaped."""
    it = schedule.contractions[product]
    place = unflat(flat(it.out, product.shape), value.shape)
    atoms = [atom for i in place for atom in i.terms if not isinstance(atom, Var)]
    return not any(it.column.variables() & atom.of.variables() for atom in atoms)


def pointwise_in_c_order(stage: Stage, x: Value, index: Index, schedule: Schedule) -> bool:
    own = flat(stage.layout.index(stage.places), stage.value.shape)
    return x.size == stage.value.size and flat(index, x.shape) == own


def natural_rows(stage: Stage) -> int:
    """The rows of a reduction: the extent of its leading loops, up to where loops that are kept and
    loops that are summed over meet."""
    loops = [(n, gone) for n, gone in zip(stage.dims, stage.is_reduced, strict=True) if n > 1]
    rows = 1
    for n, gone in loops:
        if gone != loops[0][1]:
            break
        rows *= n
    return rows if sums_in_any_order(stage) or not (loops and loops[0][1]) else 1


def sums_in_any_order(stage: Stage) -> bool:
    """Whether the reduction is associative, so that each thread may reduce a part."""
    return not stage.reduction.is_search


def split_at(dims: tuple[int, ...], rows: int) -> int | None:
    """How many of the leading loops make up the rows; None if none do."""
    total = 1
    for k, n in enumerate(dims):
        if total == rows:
            return k
        total *= n
    return len(dims) if total == rows else None


def mode(stage: Stage, rows: int) -> str:
    """Whether a reduction runs "within" each row or "across" rows; empty if neither."""
    k = split_at(stage.dims, rows)
    if k is None:
        return ""
    gone = [g for n, g in zip(stage.dims[:k], stage.is_reduced[:k], strict=True) if n > 1]
    inner = [g for n, g in zip(stage.dims[k:], stage.is_reduced[k:], strict=True) if n > 1]
    if not any(gone):
        # With several results in a row, the innermost loop must be over results.
        several = not all(inner)
        return "" if several and (inner[-1] or not sums_in_any_order(stage)) else "within"
    return "across" if all(gone) and sums_in_any_order(stage) else ""


def same_row(stage: Stage, other: Stage, index: Index, rows: int, schedule: Schedule) -> bool:
    """Whether a stage reads another one of its kernel only in the same row."""
    if other.kind == "reduce" and mode(other, rows) != "within":
        return False
    places, extents = other.places_of(index)
    total = math.prod(extents)
    if total % rows:
        return False
    there = flat(places, extents).divmod(total // rows)[0]
    here = flat(stage.places, stage.dims).divmod(stage.total // rows)[0]
    return there == here
