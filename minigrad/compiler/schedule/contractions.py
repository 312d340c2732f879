"""What contractions read, and in which layout: arrays as they are, or packed copies."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from minigrad.compiler.graph.affine import Expr, Index, Var
from minigrad.compiler.graph.ir import Graph, Value, bodies_of, is_literal, name_of, with_inputs
from minigrad.compiler.graph.layout import Layout, ordered, plain
from minigrad.compiler.graph.opset.base import rules_of
from minigrad.compiler.graph.opset.contractions import (
    CHANNELS_LAST,
    IMAGES_LAST,
    Contraction,
    Conv2d,
    extent,
)
from minigrad.compiler.graph.opset.control import LOOP, operands_of
from minigrad.compiler.graph.opset.elementwise import copy_of
from minigrad.compiler.graph.opset.infer import apply
from minigrad.compiler.graph.opset.reductions import reduced_axes
from minigrad.compiler.loops.ir import Access
from minigrad.compiler.loops.lowering import Load, LoweringContext, is_view, kind_of
from minigrad.compiler.schedule.buffers import as_program
from minigrad.compiler.target import costs

# Layouts


def layouts_of(
    graph: Graph, kinds: dict[Value, str], given: Mapping[Value, Layout] | None, vector: int
) -> dict[Value, Layout]:
    """The layout of each value if it is stored: results of convolutions, and values computed from
    them, have the channels last; or the images, if these fill so many more lanes of the vectors in
    all convolutions together. Of a body, leaves have the layouts that are `given`, and outputs that
    of C."""
    order = graph.order
    images = [value for value in order if isinstance(rules_of(value.op), Conv2d)]
    steps = [sum(steps_of(x, own, vector) for x in images) for own in (CHANNELS_LAST, IMAGES_LAST)]
    few = steps[1] < costs.FEWER_STEPS * steps[0]
    found: dict[Value, Layout] = {}
    for value in order:
        found[value] = ordered(value.shape, order_of(value, kinds[value], found, few))
    for target, value in graph.writes:
        found[target] = found[value] = plain(value.shape)
    if given is not None:
        found |= given
        found |= {x: plain(x.shape) for x in graph.outputs}
    return found


def steps_of(value: Value, order: tuple[int, ...], vector: int) -> int:
    """How many vectors of products a convolution adds up if its result is in this order."""
    lanes = vector // value.dtype.itemsize
    layouts = {value: ordered(value.shape, order)}
    it = rules_of(value.op).contraction(value, layouts, lanes)
    steps = math.prod(map(extent, (*it.batch, it.row, *it.depth)))
    if it.along_depth:
        return steps * it.columns // lanes
    width = width_of(value.dtype, it.columns, vector)
    return steps * -(-it.columns // width) * (width // lanes)


def order_of(
    value: Value, kind: str, found: dict[Value, Layout], few_channels: bool
) -> tuple[int, ...]:
    if kind not in ("leaf", "numpy"):
        rules = rules_of(value.op)
        own = rules.own_order(few_channels)
        if own:
            return own
        ordered_inputs = [x for x in value.values() if not found[x].is_natural]
        if ordered_inputs:
            x = max(ordered_inputs, key=lambda x: x.size)
            order = rules.order(value, found[x].order)
            moved = [k for k in order if value.shape[k] > 1]
            if moved != sorted(moved):
                return order
    return tuple(range(len(value.shape)))


# Operands


def width_of(dtype: np.dtype, columns: int, vector: int) -> int:
    """How many columns a tile has: two vectors, or one if that is enough."""
    lanes = vector // dtype.itemsize
    return lanes if columns <= lanes else 2 * lanes


@dataclass
class Operands:
    """The graph with the packed copies that contractions read, layouts, the values that must be
    stored because contractions read them directly (`pinned`), and each value's kind; `bodies`:
    those of each call of a loop or a branch. `packed`: of a body, what it is given besides its
    inputs: copies that are packed before the loop, each with the value that it is of."""

    graph: Graph
    layouts: dict[Value, Layout]
    contractions: dict[Value, Contraction]
    pinned: set[Value]
    kinds: dict[Value, str]
    bodies: dict[Value, list[Operands]] = field(default_factory=dict)
    packed: dict[Value, Value] = field(default_factory=dict)


def pack_operands(
    graph: Graph,
    vector: int,
    given: Mapping[Value, Layout] | None = None,
    constants: Collection[Value] = (),
) -> Operands:
    """Give each contraction an x whose depth is contiguous and a y whose columns are: where an
    operand is not, a packed copy, into which the ops before it are fused.

    Of a body, `given` has the layouts of its leaves; what depends on its `constants` alone is
    packed before the loop.
    """
    kinds = {value: kind_of(value) for value in graph.order}
    of_rows = products_of_rows(graph, kinds)
    layouts = layouts_of(graph, kinds, given, vector)
    packer = Packer(Operands(graph, layouts, {}, set(), kinds), vector, constants)
    new: dict[Value, Value] = {}
    for value in graph.order:
        fresh = with_inputs(value, new)
        if kinds[value] == "control":
            fresh = packer.control_flow(fresh)
        layouts[fresh], kinds[fresh] = layouts[value], kinds[value]
        if kinds[value] == "reduce":
            fresh = packer.reduction(fresh)
        if value in of_rows:
            new[value] = packer.product_of_rows(fresh)
        else:
            new[value] = packer.contraction(fresh) if kinds[value] == "contract" else fresh
    graph = graph.of(new)
    given_before = [*packer.found.packed, *graph.inputs]
    return replace(packer.found, graph=replace(graph, inputs=given_before))


def products_of_rows(graph: Graph, kinds: Mapping[Value, str]) -> set[Value]:
    """The products of few terms, too large for caches, whose rows are reduced: the distances to
    some points, of which the nearest is sought. They are computed where that is, and not stored."""
    users: dict[Value, list[Value]] = defaultdict(list)
    for value in graph.order:
        for x in value.values():
            users[x].append(value)

    def entries(value: Value) -> list[Value]:
        """What is computed of each entry."""
        return [x for x in users[value] if kinds[x] == "map" and x.shape == value.shape]

    def reduced(value: Value) -> list[Value]:
        """What is reduced of each row."""
        last = {len(value.shape) - 1}
        return [x for x in users[value] if kinds[x] == "reduce" and {*reduced_axes(x)} == last]

    def is_of_rows(value: Value) -> bool:
        later = entries(value)
        several = len(later) + len(reduced(value)) == len(users[value])
        while later and not reduced(value):
            value, later = later[0], entries(later[0])
        return several and bool(reduced(value))

    large = [x for x in graph.order if x.size >= costs.MIN_LARGE_SIZE and kinds[x] == "contract"]
    short = [x for x in large if rules_of(x.op).is_short_sum(x)]
    return {x for x in short if is_of_rows(x)} - {*graph.roots()}


@dataclass(eq=False)
class Packer:
    """The operands that are `found`, and what was copied into which layout."""

    found: Operands
    vector: int
    constants: Collection[Value]
    copies: dict[tuple[Value, Layout], Value] = field(default_factory=dict)
    views: dict[Hashable, Value] = field(default_factory=dict)  # of what is packed before a loop

    def packed(self, x: Value, layout: Layout) -> Value:
        """A copy in a layout; of what does not change in a loop, one that is made before it."""
        if (x, layout) not in self.copies:
            before = bool(self.constants) and depends_only_on(x, self.constants)
            leaf = Value(None, (), {}, x.shape, x.dtype, "input")
            self.copies[x, layout] = copied = leaf if before else copy_of(x)
            self.found.layouts[copied] = layout
            self.know(x)
            self.found.kinds[copied] = "leaf" if before else "map"
            if before:
                self.found.packed[copied] = x
            else:
                self.found.pinned.add(copied)
        return self.copies[x, layout]

    def operand(
        self,
        it: Contraction,
        x: Value,
        index: Index,
        fits: Callable[[Access], bool],
        pack: Callable[[], Layout],
    ) -> Value:
        """What is read at an index: x itself, if it `fits`, or a packed copy."""
        base = direct_access(it, x, index, self.found.layouts)
        if base is not None and fits(base):
            assert isinstance(base.array, Value)
            if base.array.op is not None:
                self.found.pinned.add(base.array)
            return self.view_apart(x, base.array)
        return self.packed(x, pack())

    def view_apart(self, x: Value, base: Value) -> Value:
        """A view of its own: one that is stored, for others to read, has other strides."""
        if x is base:
            return x
        inputs = [self.view_apart(y, base) if type(y) is Value else y for y in x.inputs]
        fresh = self.views.setdefault((x.op, x.how, tuple(inputs)), x.of(*inputs))
        self.found.layouts[fresh], self.found.kinds[fresh] = self.found.layouts[x], "map"
        return fresh

    def reduction(self, value: Value) -> Value:
        """Over few terms that are adjacent in memory and others, with results in between: the
        others first, of which whole vectors are added up."""
        (x,) = value.inputs
        axes = outer_axes(value, self.found.layouts[x].order)
        if not axes:
            return value
        layouts, op = self.found.layouts, name_of(value) or ""
        outer = apply(op, x, axis=axes, keepdims=True)
        inner = apply(op, outer, **{**value.attributes, "axis": tuple(reduced_axes(value))})
        layouts[outer], layouts[inner] = ordered(outer.shape, layouts[x].order), layouts[value]
        self.found.kinds[outer] = self.found.kinds[inner] = "reduce"
        return inner

    def contraction(self, value: Value) -> Value:
        layouts, kinds = self.found.layouts, self.found.kinds
        lanes = self.vector // value.dtype.itemsize
        it = rules_of(value.op).contraction(value, layouts, lanes)
        (x, x_index), (y, y_index) = it.x, it.y
        for z in (x, y):
            self.view(z)
        width = width_of(value.dtype, it.columns, self.vector)
        fits_x: Callable[[Access], bool] = partial(is_unit_stride, it)
        fits_y: Callable[[Access], bool] = partial(is_vector_loadable, it, width)
        pack_x = partial(depth_last_layout, x, x_index, it)
        pack_y = partial(packed_y_layout, y, y_index, it, width)
        if it.column.variables() <= variables_of(x_index):  # both are vectors
            fits_x = partial(is_in_columns, it, width)
            pack_x = partial(column_last_layout, x, x_index, it)
        if it.along_depth:
            fits_x = fits_y = lambda base: stride(base, it.depth[-1]) == 1
            pack_y = partial(depth_last_layout, y, y_index, it)
        if it.x_order is not None:
            fits_x = partial(are_rows_near, it, fits_x)
            pack_x = partial(ordered, x.shape, it.x_order)
        own = Access(x, layouts[x].address(x_index))
        if fits_x(own) and is_contiguous(it, own):  # a copy does not reorder it
            pack_x = partial(layouts.__getitem__, x)
        x = self.operand(it, x, x_index, fits_x, pack_x)
        y = self.operand(it, y, y_index, fits_y, pack_y)
        it.x, it.y = (x, x_index), (y, y_index)
        new = value.of(x, y)
        layouts[new], kinds[new] = layouts[value], "contract"
        self.found.contractions[new] = it
        return new

    def product_of_rows(self, value: Value) -> Value:
        """A product that is computed entry by entry, with the columns of y adjacent."""
        x, y = value.inputs
        new = value.of(x, self.packed(y, plain(y.shape)))
        self.found.layouts[new], self.found.kinds[new] = self.found.layouts[value], "map"
        return new

    def view(self, x: Value) -> None:
        """A view that was not in the graph: it comes from a contraction."""
        while x not in self.found.layouts:
            self.know(x)
            x = x.inputs[0]

    def control_flow(self, call: Value) -> Value:
        """A call, with copies that are packed before it in place of those in its body."""
        layouts = self.found.layouts
        k = call.attributes.get("constants", len(call.inputs))
        inputs = [self.in_memory(x, n < k) for n, x in enumerate(call.inputs)]
        attributes, parts = call.attributes, []
        for body in bodies_of(call):
            outside = dict(zip(body.inputs, operands_of(call, inputs), strict=True))
            own = {  # of xs, rows
                x: layouts[y] if x.shape == y.shape else plain(x.shape) for x, y in outside.items()
            }
            constants = body.inputs[:k] if call.op is LOOP else []
            parts.append(part := pack_operands(as_program(call, body), self.vector, own, constants))
            if part.packed:
                before = [
                    self.packed(self.moved(x, outside), part.layouts[leaf])
                    for leaf, x in part.packed.items()
                ]
                body = replace(body, inputs=[*part.packed, *body.inputs])
                attributes = {**attributes, "constants": k + len(before), "body": body}
                inputs = [*before, *inputs]
        fresh = Value(call.op, tuple(inputs), attributes, call.shape, call.dtype)
        self.found.bodies[fresh] = parts
        return fresh

    def in_memory(self, x: Value, any_order: bool) -> Value:
        """What control flow is given: stored, and but for constants in C order."""
        natural = plain(x.shape)
        there = not is_literal(x) and (any_order or self.found.layouts[x] == natural)
        return x if there else self.packed(x, natural)

    def moved(self, x: Value, outside: Mapping[Value, Value]) -> Value:
        """A value of a body, before the loop."""
        if x in outside or x.op is None:
            return outside.get(x, x)
        inputs = tuple(self.moved(y, outside) if type(y) is Value else y for y in x.inputs)
        fresh = self.views.setdefault((x.op, x.how, inputs), x.of(*inputs))
        for y in (fresh, *fresh.values()):
            self.know(y)
        return fresh

    def know(self, x: Value) -> None:
        """A value that was not in the graph: it comes from a body."""
        self.found.layouts.setdefault(x, plain(x.shape))
        if x not in self.found.kinds:
            self.found.kinds[x] = kind_of(x)


def outer_axes(value: Value, order: tuple[int, ...]) -> tuple[int, ...]:
    """The axes to reduce first, of a value with its axes in this order in memory; none, if all are
    to be reduced at once."""
    (x,), reduced = value.inputs, reduced_axes(value)
    axes = [k for k in order if x.shape[k] > 1]
    last = [*itertools.takewhile(reduced.__contains__, reversed(axes))]
    others = axes[: len(axes) - len(last)]
    outer = [k for k in others if k in reduced]
    few = 1 < math.prod(x.shape[k] for k in last) <= costs.MAX_ADJACENT_TERMS
    between = bool(outer) and any(k not in reduced for k in others[others.index(outer[0]) :])
    return tuple(outer) if few and between and x.dtype == value.dtype else ()


def depends_only_on(x: Value, leaves: Collection[Value]) -> bool:
    """Whether it is a view of leaves, or of fixed constants."""
    if x.op is None:
        return x in leaves or x.fixed
    return is_view(x) and all(depends_only_on(y, leaves) for y in x.values())


def direct_access(
    it: Contraction, x: Value, index: Index, layouts: dict[Value, Layout]
) -> Access | None:
    """The entry of a stored array that an operand is at an index, if it is one whose address is
    linear in the loop variables; else None."""

    def load(value: Value, index: Index) -> Access | None:
        if is_view(value) or (value.kind == "constant" and value.size == 1):
            return None
        return Access(value, layouts[value].address(index))

    if views(x) > costs.MAX_INLINE_DEPTH:
        return None
    access = read_access(it, x, index, load)
    if access is None or access.place is None:
        return None
    return access if all(isinstance(atom, Var) for atom in access.place.terms) else None


def read_access(it: Contraction, x: Value, index: Index, load: Load) -> Access | None:
    """Where an operand is read at an index, if it is one entry of an array; else None."""
    body = LoweringContext(load)
    body.read(*it.inside(x, index))
    access = body.bindings[0].value if len(body.bindings) == 1 else None
    if not isinstance(access, Access):
        return None
    return replace(access, place=access.place and it.outside(access.place))


def views(x: Value) -> int:
    """The length of the chain of views that ends at x, which is read recursively."""
    count = 0
    while is_view(x) and count <= costs.MAX_INLINE_DEPTH:
        x, count = x.inputs[0], count + 1
    return count


def stride(base: Access, loop: Expr) -> int:
    """How far apart in memory one step of a loop goes."""
    assert base.place is not None
    return sum(base.place.terms.get(v, 0) for v in loop.variables())


def is_unit_stride(it: Contraction, base: Access) -> bool:
    """Whether the depth is contiguous in memory, or x is read too few times for a copy to pay."""
    few = it.columns <= costs.MAX_UNPACKED_COLUMNS
    return is_contiguous(it, base) or extent(it.depth[-1]) == 1 or few


def is_contiguous(it: Contraction, base: Access) -> bool:
    """Whether the depth is contiguous in memory, or the rows are, and not far apart."""
    step = stride(base, it.depth[-1])
    return step in (0, 1) or (stride(base, it.row) == 1 and abs(step) <= costs.MAX_ROW_STRIDE)


def are_rows_near(it: Contraction, fits: Callable[[Access], bool], base: Access) -> bool:
    """Whether x fits, is contiguous, and has rows that are not far apart."""
    near = abs(stride(base, it.row)) <= costs.MAX_ROW_STRIDE
    return fits(base) and is_contiguous(it, base) and near


def is_vector_loadable(it: Contraction, width: int, base: Access) -> bool:
    """Whether y can be read without packing: contiguous columns in whole vectors, and rows not far
    apart."""
    near = abs(stride(base, it.depth[-1])) <= costs.MAX_ROW_STRIDE
    few = it.rows * math.prod(map(extent, it.batch)) <= costs.MAX_UNPACKED_ROWS
    return is_in_columns(it, width, base) and (near or few)


def is_in_columns(it: Contraction, width: int, base: Access) -> bool:
    """Whether columns are contiguous, and in whole vectors."""
    assert isinstance(base.array, Value)
    whole_vectors = it.columns % width == 0 or base.array.op is not None
    return stride(base, it.column) == 1 and whole_vectors


def variables_of(index: Index) -> set[Var]:
    return {v for i in index for v in i.variables()}


def column_last_layout(x: Value, index: Index, it: Contraction) -> Layout:
    """The layout of a packed operand with the columns innermost, and around them what only the
    depth runs over."""
    column, depth = it.column.variables(), {v for e in it.depth for v in e.variables()}

    def inside(k: int) -> int:
        own = index[k].variables()
        return 2 if own & column else 1 if own and own <= depth else 0

    return Layout(x.shape, tuple(sorted(range(len(x.shape)), key=inside)))


def depth_last_layout(x: Value, index: Index, it: Contraction) -> Layout:
    """The layout of a packed operand with the depth innermost, in the order of its loops."""
    axes = {k: i.variables() for k, i in enumerate(index) if x.shape[k] > 1}
    depth = [k for loop in it.depth for k, vs in axes.items() if vs & loop.variables()]
    last = list(dict.fromkeys(depth))
    return Layout(x.shape, (*(k for k in range(len(x.shape)) if k not in last), *last))


def packed_y_layout(y: Value, index: Index, it: Contraction, width: int) -> Layout:
    """The layout of a packed y: batch outermost, then panels of columns, then the depth."""
    axes = {k: i.variables() for k, i in enumerate(index)}
    column = next(k for k, vs in axes.items() if vs & it.column.variables())
    depth = [k for loop in it.depth for k, vs in axes.items() if vs & loop.variables()]
    batch = [k for k in axes if k != column and k not in depth]
    ones = [k for k in batch if y.shape[k] == 1]
    batch = [k for k in batch if k not in ones]
    return Layout(y.shape, (*ones, *batch, *depth, column), width, len(batch) + len(ones))
