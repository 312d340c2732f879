"""What each stage reads, and its signature.

Stages that are computed alike, up to which arrays they read, have one signature, so that an
unrolled loop is scheduled and generated once. To know what a stage reads, it is lowered here, and
again with its kernel.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from minigrad.compiler.graph.affine import Index, linear_factors, variable
from minigrad.compiler.graph.ir import Value, elementwise, is_literal, name_of
from minigrad.compiler.graph.opset.base import rules_of
from minigrad.compiler.graph.opset.indexing import arrays_of, scattered
from minigrad.compiler.loops.ir import Access, Let, functions_in, indices_in
from minigrad.compiler.loops.lowering import LoweringContext
from minigrad.compiler.schedule.stages import Reads, Schedule, Signature, Stage
from minigrad.compiler.target import costs

# Kinds of stages that inline what they read; other kinds read whole arrays.
INLINING_KINDS = ("map", "reduce", "contract", "concat")


def inlines(value: Value, kind: str) -> bool:
    """Whether the stage of a value inlines what it reads. A scatter-add does if threads share its
    columns: else one thread would compute all of it."""
    if kind != "scatter":
        return kind in INLINING_KINDS
    columns = math.prod(value.shape[len(arrays_of(value)) :])
    return columns >= 2 * costs.CACHE_LINE_ENTRIES and not rules_of(value.op).is_update


@dataclass
class Inline:
    """What inlining a value takes: operations, the arrays read in order, and the depth of the chain
    of ops. `signature` is a number that is equal for values that are computed alike. `reads` are
    the arrays and views that it is an elementwise function of, with the number of reads that each
    takes: a roll, of two slices, takes twice those of its input, and rolls of rolls 2**depth."""

    cost: int
    arrays: tuple[Value, ...]
    depth: int
    signature: int
    reads: dict[Value, int]


@dataclass(eq=False)
class Signatures:
    """What inlining each value takes, and caches: numbers of values and of texts, signatures of
    stages, and which stages fit into which kernels."""

    schedule: Schedule
    inlines: dict[Value, Inline] = field(default_factory=dict)
    values: dict[Hashable, int] = field(default_factory=dict)
    texts: dict[Hashable, int] = field(default_factory=dict)
    stages: dict[Hashable, Signature] = field(default_factory=dict)
    fits: dict[Hashable, tuple[str, int | None]] = field(default_factory=dict)

    def stored(self, value: Value) -> Inline:
        """A value that is read from memory; a fixed constant, for its numbers, has its own key."""
        layout = self.schedule.layouts[value]
        key = value if value.fixed else (value.shape, value.dtype, layout)
        return Inline(0, (value,), 0, self.values.setdefault(key, len(self.values)), {value: 1})

    def inlined(self, value: Value) -> Inline:
        """A value that is computed where it is read, from inputs that are in `inlines`."""
        if value.op is None and not is_literal(value):
            return self.stored(value)
        cost = rules_of(value.op).cost(value)
        key: list[Hashable] = [name_of(value), value.how]
        arrays: tuple[Value, ...] = ()
        depth = 0
        reads: dict[Value, int] = {}
        for x in value.inputs:
            if type(x) is not Value:
                key.append((type(x), repr(x)))
                continue
            inline = self.inlines[x]
            cost += inline.cost
            depth = max(depth, inline.depth + 1)
            if elementwise(value):
                reads |= inline.reads
            else:
                reads[value] = reads.get(value, 0) + sum(inline.reads.values())
            key.append(inline.signature)
            if arrays and inline.arrays != arrays:  # else the same arrays in the same order
                numbers = {y: k for k, y in enumerate(dict.fromkeys(arrays + inline.arrays))}
                key += [numbers[y] for y in inline.arrays]
                arrays = tuple(numbers)
            arrays = arrays or inline.arrays
        if value.op is None:
            key.append(value)
        signature = self.values.setdefault(tuple(key), len(self.values))
        return Inline(cost, arrays, depth, signature, reads)

    def reads(self, stage: Stage, inline: Inline) -> Reads:
        """The stages and leaves that a stage reads, and at which indices."""
        value = stage.value
        if not inlines(value, stage.kind):
            return {x: {()} for x in value.values()}
        key: Hashable = (inline.signature, stage.kind, stage.layout, self.schedule.layouts[value])
        if stage.kind == "contract":
            product = self.schedule.contractions[value]
            key = key, product.x[1], product.y[1], product.limits
        if key not in self.stages:
            self.stages[key] = self.signature(stage, inline)
        stage.signature, stage.arrays = self.stages[key], inline.arrays
        return {inline.arrays[k]: indices for k, indices, _ in stage.signature.reads}

    def signature(self, stage: Stage, inline: Inline) -> Signature:
        value, schedule, found = stage.value, self.schedule, dict[Value, set[Index]]()

        def load(x: Value, index: Index) -> Access | None:
            access = schedule.load(x, index) if x is not value else None
            if access is not None:
                found.setdefault(x, set()).add(index)
            return access

        body = LoweringContext(load, padded=bool(stage.layout.panel))
        operands: list[tuple[Any, Index]] = []
        results: list[Any] = []
        if stage.kind == "scatter":
            results = [*scattered(value, body)]
        elif stage.kind == "contract":
            product = schedule.contractions[value]
            operands = [product.inside(*product.x), product.inside(*product.y)]
            results = [*product.limits]
        elif stage.kind == "concat":
            operands = [
                (x, tuple(variable(f"p{k}", n) for k, n in enumerate(x.shape)))
                for x in value.inputs
            ]
        else:
            x = value.inputs[0] if stage.kind == "reduce" else value
            operands = [(x, stage.layout.index(stage.places))]
        results += [body.read(*operand) for operand in operands]
        first_entries = {
            x: min(schedule.layouts[x].address(index).const for index in indices)
            for x, indices in found.items()
        }
        # A result may be a number, in no line.
        text = text_of(stage, body.bindings, first_entries, schedule), *results
        numbers = {x: k for k, x in enumerate(inline.arrays)}
        reads = [(numbers[x], indices, first_entries[x]) for x, indices in found.items()]
        factors = self.factors(stage, body.bindings)
        return Signature(self.texts.setdefault(text, len(self.texts)), reads, factors)

    def factors(self, stage: Stage, lines: list[Let]) -> tuple[int, ...]:
        if stage.kind not in ("map", "reduce") or stage.layout.panel:
            return stage.dims
        target = self.schedule.layouts[stage.value].address(stage.result(stage.places))
        loops = [v for place in stage.places for v in place.terms]
        return tuple(linear_factors(loops, {*indices_in(lines), target})) or (1,)


def text_of(
    stage: Stage, lines: list[Let], first_entries: dict[Value, int], schedule: Schedule
) -> Hashable:
    """All that the C of a stage depends on, except which arrays it reads, and from where on."""
    value, layout = stage.value, schedule.layouts[stage.value]
    numbers = {x: k for k, x in enumerate(first_entries)}
    parts: list[Hashable] = [name_of(value), value.how, value.shape, value.dtype.char]
    parts += [stage.dims, stage.reduced, stage.layout.order, layout.order, layout.panel]
    for line in lines:
        parts += [line.type, line.depends, functions_in(line.value)]
        for part in line.operands:
            if isinstance(part, Access):
                assert part.place is not None
                place = part.place + -first_entries[part.array]
                parts += [numbers[part.array], part.array.dtype.char, place]
            else:
                parts.append(part)
    return tuple(parts)
