"""Scheduling: which values are computed in one kernel (fusion), and which are stored in memory.

A value that is not inlined where it is read has a stage: loops over its entries, or for a reduction
over those of its input. Stages are grouped into kernels. In a kernel of rows, all stages loop over
the same rows, and read from each other only within a row: so a softmax or a norm, with the
elementwise ops before and after it, is one pass over memory. The kernel of a contraction also
computes the elementwise ops on its result.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict

from minigrad.compiler.graph.affine import Index, Var, common_factors, ravel_index, reshaped
from minigrad.compiler.graph.ir import Value, elementwise, name_of
from minigrad.compiler.graph.layout import plain
from minigrad.compiler.graph.opset.base import rules_of
from minigrad.compiler.schedule.contractions import Operands
from minigrad.compiler.schedule.signatures import Inline, Signatures, inlines
from minigrad.compiler.schedule.stages import Kernel, Schedule, Stage, stage_of
from minigrad.compiler.target import costs

# The kinds of stages that join others, with the kind of their kernel.
KERNEL_KINDS = {"map": "rows", "reduce": "rows"}
Users = Counter[Value]


def schedule_kernels(operands: Operands) -> Schedule:
    """Give each value that needs one a stage, in the first kernel that it can join."""
    order, kinds = operands.graph.order, operands.kinds
    schedule = Schedule(operands.graph, operands.layouts, operands.contractions)
    signatures = Signatures(schedule)
    roots = {*operands.graph.roots()}
    must_store = roots | operands.pinned
    users = users_of(order, kinds, must_store)
    for value in order:
        signatures.inlines[value] = inline = signatures.inlined(value)
        if value.op is not None and has_stage(value, users[value], must_store, inline, kinds):
            signatures.inlines[value] = signatures.stored(value)
            schedule.stages[value] = stage = stage_of(value, kinds[value], schedule)
            stage.cost = inline.cost
            schedule.reads[value] = signatures.reads(stage, inline)
            place_stage(stage, signatures)
    for call, bodies in operands.bodies.items():
        schedule.bodies[call] = [schedule_kernels(body) for body in bodies]
    for x in schedule.constants:
        schedule.layouts.setdefault(x, plain(x.shape))
    schedule.stored = {v for v in schedule.kernel_of if v in roots}
    for value, reads in schedule.reads.items():
        home = schedule.kernel_of[value]
        schedule.stored |= {
            x for x in reads if x in schedule.kernel_of and schedule.kernel_of[x] != home
        }
    # A value of which no entry is read after all, as of one that is overwritten, is stored too.
    schedule.stored |= schedule.kernel_of.keys() - set().union(*schedule.reads.values())
    return schedule


def users_of(
    order: list[Value], kinds: dict[Value, str], must_store: set[Value]
) -> dict[Value, Users]:
    """The values that read each value, also through views that are not stored, and at how many
    places: a sum of two slices of x reads x at two."""
    users: dict[Value, Users] = defaultdict(Counter)
    for value in reversed(order):
        is_view = kinds[value] == "map" and not elementwise(value) and value not in must_store
        if is_view and not rules_of(value.op).compares:
            for x in value.values():
                users[x].update(users[value])
        else:
            for x in dict.fromkeys(value.values()):
                users[x][value] += 1
    return users


def has_stage(
    value: Value,
    users: Users,
    must_store: set[Value],
    inline: Inline,
    kinds: dict[Value, str],
) -> bool:
    """Whether a value is computed once and stored, rather than inlined wherever it is read."""
    if kinds[value] != "map" or value in must_store or inline.depth > costs.MAX_INLINE_DEPTH:
        return True
    if sum(inline.reads.values()) > costs.MAX_INLINE_READS:
        return True
    if any(not inlines(x, kinds[x]) or rules_of(x.op).compares for x in users):
        return True
    if rules_of(value.op).is_searched:
        return any(user.size > value.size for user in users)
    if rules_of(value.op).is_short_sum(value) and len(users) > 1:
        return True  # that a product is equal to its largest entry holds of one computation alone
    if not elementwise(value):
        return False
    reads = [x for x in inline.arrays if x.size > 1]
    if value.size == 1:
        # An optimiser's step size, say, is built once, rather than with each parameter's kernel.
        of_numbers = not reads and all(kinds[x] != "reduce" for x in inline.arrays)
        is_expensive = inline.cost > costs.EXPENSIVE_OP_COST
        return of_numbers and is_expensive and any(user.size > 1 for user in users)
    # Fused with different products, it would be computed in each; and leaves would be read again.
    # A scatter-add is fused with nothing else.
    apart = sum(kinds[x] in ("contract", "leaf") for x in reads)
    apart *= any(kinds[x] != "scatter" for x in users)
    if len(reads) > costs.MAX_ARRAYS_READ or apart > 1:
        return True
    large = value.size > costs.MIN_LARGE_SIZE
    limit = costs.RECOMPUTE_LIMIT_LARGE if large else costs.RECOMPUTE_LIMIT
    if len(users) == 1:
        ((user, places),) = users.items()
        again = places * user.size - value.size  # entries that are computed more than once
        often = again >= value.size and inline.cost * again > limit * value.size
        return often and inline.cost > costs.RECOMPUTE_LIMIT
    # A value that is an op or two away from one array is recomputed.
    return inline.cost > limit or len(reads) > 1


def place_stage(stage: Stage, signatures: Signatures) -> None:
    """Put a stage into the first kernel that it can join, or into a new one."""
    value, schedule = stage.value, signatures.schedule
    kernels = schedule.kernels
    if stage.kind == "item":
        schedule.kernel_of[value] = schedule.kernel_of[value.inputs[0]]
        kernels[schedule.kernel_of[value]].stages.append(stage)
        return
    reads = schedule.reads[value]
    kernel_indices = {x: schedule.kernel_of[x] for x in reads if x in schedule.kernel_of}
    last = max(kernel_indices.values(), default=-1)
    large = {x for x in reads if x.size > 1}
    why = ""
    if stage.kind in KERNEL_KINDS and not stage.layout.panel:
        # Of kernels that compute none of its inputs, only the last ones are tried, so that the time
        # for scheduling is linear in the length of the program.
        near = range(max(last + 1, len(kernels) - costs.FUSION_WINDOW), len(kernels))
        for k in [last, *near] if last >= 0 else near:
            inner = [x for x, home in kernel_indices.items() if home == k]
            others = (schedule.reads[other.value] for other in kernels[k].stages)
            if not inner and all(large.isdisjoint(other) for other in others):
                continue  # they read no array that both read
            reason, rows = cached_why_not_fused(stage, kernels[k], inner, signatures)
            if not reason:
                kernels[k].rows = rows
                kernels[k].stages.append(stage)
                schedule.kernel_of[value] = k
                return
            why = why or reason
    kind = "pack" if stage.layout.panel else KERNEL_KINDS.get(stage.kind, stage.kind)
    rows = natural_rows(stage) if stage.kind == "reduce" else None
    kernels.append(Kernel(kind, stage.total, rows, [stage], {value: why} if why else {}))
    schedule.kernel_of[value] = len(kernels) - 1


def cached_why_not_fused(
    stage: Stage, kernel: Kernel, inner: list[Value], signatures: Signatures
) -> tuple[str, int | None]:
    """`why_not_fused`, cached by the signatures of the stage and of all stages of the kernel."""
    schedule = signatures.schedule
    of_inner = [(stage.arrays.index(x), schedule.stages[x].signature) for x in inner]
    how = kernel.kind, kernel.rows, kernel.total, has_room(kernel, stage)
    key = stage.signature, *how, *of_inner, *(other.signature for other in kernel.stages)
    if key not in signatures.fits:
        signatures.fits[key] = why_not_fused(stage, kernel, inner, schedule)
    return signatures.fits[key]


def has_room(kernel: Kernel, stage: Stage) -> bool:
    """Whether a kernel stays small enough: build time grows faster than its length."""
    cost = kernel.cost + stage.cost
    return len(kernel.stages) < costs.MAX_STAGES and cost <= costs.MAX_OPS_PER_ENTRY


def why_not_fused(
    stage: Stage, kernel: Kernel, inner: list[Value], schedule: Schedule
) -> tuple[str, int | None]:
    """Why a stage cannot join a kernel (empty if it can), and how many rows the kernel has then.

    `inner`: the values of the kernel that it reads.
    """
    if not has_room(kernel, stage):
        return "the kernel has as many stages or operations as one may have", None
    if kernel.kind == "contract":
        if stage.kind != "map" or not inner:
            return "only what is computed of each entry of a product goes with it", None
        first = kernel.stages[0].value
        same = all(
            pointwise_in_c_order(stage, x, index)
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
            return "it has another number of entries", None
        rows = natural_rows(stage) if stage.kind == "reduce" else None
    elif stage.total % rows or (stage.kind == "reduce" and not stage.reduction_direction(rows)):
        return "it has other rows", None
    if rows is None and not common_factors([s.factors for s in (*kernel.stages, stage)]):
        return "the two read and write in loops that have no common factors", None
    for x in inner:
        per_row = stage.total if rows is None else rows
        for index in schedule.reads[stage.value][x]:
            if not same_row(stage, schedule.stages[x], index, per_row):
                return f"it reads other rows of {name_of(x)}, all of which come first", None
    if rows is not None:
        together = [stage, *(kernel.stages if kernel.rows is None else [])]
        if any(other.total % rows for other in together):
            return "it has other rows", None
        # Sharing a read does not pay if one of the two does not read in memory order.
        in_order = (reads_in_memory_order(other, rows, schedule) for other in together)
        if not inner and not all(in_order):
            return "it reads what both read in another order", None
    return "", rows


def reads_in_memory_order(stage: Stage, rows: int, schedule: Schedule) -> bool:
    """Whether its loops split into rows, or it reads everything in C order."""
    reads = schedule.reads[stage.value]
    return stage.row_loops(rows) is not None or all(
        pointwise_in_c_order(stage, x, index) for x in reads for index in reads[x]
    )


def keeps_columns(product: Value, value: Value, schedule: Schedule) -> bool:
    """Whether the columns of a product are still adjacent after it is reshaped."""
    it = schedule.contractions[product]
    place = reshaped(it.out, product.shape, value.shape)
    atoms = [atom for i in place for atom in i.terms if not isinstance(atom, Var)]
    return not any(it.column.variables() & atom.of.variables() for atom in atoms)


def pointwise_in_c_order(stage: Stage, x: Value, index: Index) -> bool:
    own = ravel_index(stage.layout.index(stage.places), stage.value.shape)
    return x.size == stage.value.size and ravel_index(index, x.shape) == own


def natural_rows(stage: Stage) -> int:
    """The rows of a reduction: the extent of its leading loops, up to where loops that are kept and
    loops that are summed over meet."""
    loops = [(n, gone) for n, gone in zip(stage.dims, stage.is_reduced, strict=True) if n > 1]
    rows = 1
    for n, gone in loops:
        if gone != loops[0][1]:
            break
        rows *= n
    return rows


def same_row(stage: Stage, other: Stage, index: Index, rows: int) -> bool:
    """Whether a stage reads another one of its kernel only in the same row."""
    if other.kind == "reduce" and other.reduction_direction(rows) != "within":
        return False
    extents = other.without_reduced(other.dims)
    total = math.prod(extents)
    if total % rows:
        return False
    read_row = ravel_index(other.places_of(index), extents).divmod(total // rows)[0]
    own_row = ravel_index(stage.places, stage.dims).divmod(stage.total // rows)[0]
    return read_row == own_row
