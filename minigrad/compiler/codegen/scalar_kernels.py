"""Loops and branches of a few numbers: each entry of an array is a variable of C.

So the C compiler keeps what is carried in registers, and sees all of a round at once: it costs what
its arithmetic takes, where kernels that are called one after the other would wait for memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from minigrad.compiler.codegen.c import KernelSource, print_kernel
from minigrad.compiler.graph.affine import Expr, Index, Var, number, ravel_index
from minigrad.compiler.graph.ir import Graph, Shape, Value, bodies_of, elementwise, is_literal
from minigrad.compiler.graph.opset.base import INDEX, Apply, Number, Operand, indices_of
from minigrad.compiler.graph.opset.control import BOOL, BRANCH, ITEM, Parts, forms_of, item
from minigrad.compiler.loops import ir
from minigrad.compiler.loops.lowering import LoweringContext
from minigrad.compiler.schedule.buffers import BufferPlan
from minigrad.compiler.schedule.stages import Kernel, Schedule
from minigrad.compiler.target.machine import Machine

INT64_MAX = (1 << 63) - 1
Entry = Callable[[Index], Any]  # of an index, where the entry is
LONE = ("product(", "sin(", "cos(", "tan(")  # what vector_math.h has for single numbers, too


def scalars_function(
    kernel: Kernel, schedule: Schedule, buffers: BufferPlan, machine: Machine
) -> KernelSource:
    """The C of a loop or a branch of a few numbers."""
    call, *items = (stage.value for stage in kernel.stages)
    of = Entries(itertools.count())
    of.arrays = {x: partial(schedule.access, x) for x in call.values() if not is_literal(x)}
    stored = {x.attributes["position"]: x for x in items}
    stacks: dict[int, Entry] = {}
    for k in stacked(call):
        x = stored.pop(k, None)
        stacks[k] = scratch(item(call, k)) if x is None else partial(schedule.access, x)
    results = of.call(call, stacks)
    for k, x in stored.items():
        for index in indices_of(x.shape):
            of.bindings.append(ir.Store(schedule.access(x, index), results[k](index)))
    return print_kernel(of.bindings, buffers)


def stacked(call: Value) -> range:
    """The positions of the results that are rows of ys."""
    if call.op is BRANCH:
        return range(0)
    return range(call.attributes["carries"], len(forms_of(call)) - 1)


def scratch(x: Value) -> Entry:
    """Memory for a result that nothing reads."""
    whole = ir.Scratch(x, x.size)
    return lambda index: ir.Access(whole, ravel_index(index, x.shape))


class Entries(LoweringContext):
    """The values of a graph, entry by entry.

    Of its leaves: `outside` has the values outside that they are, with where these are computed;
    `arrays` those that are in memory; `variables` the names of the entries of others.
    """

    def __init__(self, numbers: Iterator[int]) -> None:
        super().__init__(self.entry, f"t{next(numbers)}_")
        self.numbers = numbers
        self.outside: dict[Value, tuple[Entries, Value]] = {}
        self.arrays: dict[Value, Entry] = {}
        self.variables: dict[Value, Entry] = {}
        self.results: dict[Value, list[Entry]] = {}

    def define(self, dtype: np.dtype[Any], value: ir.Expression) -> str:
        if type(value) is Apply and value.function.startswith(LONE):
            value = Apply(f"lone_{value.function}", value.arguments)
        return super().define(dtype, value)

    def read(self, value: Value, index: Index) -> Operand:
        # Broadcast, along axes of one entry.
        index = tuple(number(0) if n == 1 else i for n, i in zip(value.shape, index, strict=True))
        k = next((k for k, i in enumerate(index) if i.terms), None)
        if k is not None:
            found = self.in_memory(value)
            if found is None:
                return self.looked_up(value, index, k)
            return self.define(value.dtype, found(index))
        if value in self.outside:
            of, x = self.outside[value]
            return of.read(x, index)
        if value.fixed:
            place = tuple(i.const for i in index)
            return Number.of(np.asarray(value.array)[place], value.dtype)
        return super().read(value, index)

    def looked_up(self, value: Value, index: Index, k: int) -> Operand:
        """An entry at an index that is known when this runs, along the axis k."""
        low, high = index[k].bounds()
        found: Operand = ""
        for i in range(max(low, 0), min(high + 1, value.shape[k])):
            name = self.read(value, (*index[:k], number(i), *index[k + 1 :]))
            test = Apply("==", (index[k], number(i)))
            chosen = Apply("if", (test, name, found))
            found = self.define(value.dtype, chosen) if found else name
        return found

    def entry(self, value: Value, index: Index) -> ir.Expression | None:
        """Where an entry is, or an expression for it; None if it is computed as an entry is that is
        inlined."""
        where = self.in_memory(value) or self.variables.get(value)
        if where is not None:
            return where(index)
        if value.op is ITEM:
            (call,) = value.inputs
            return self.call(call)[value.attributes["position"]](index)
        return None

    # Control flow

    def call(self, call: Value, stacks: dict[int, Entry] | None = None) -> list[Entry]:
        """Where the results of a loop or a branch are. `stacks`: where ys are to be stored."""
        if call not in self.results:
            if call.op is BRANCH:
                self.results[call] = self.branch(call)
            else:
                self.results[call] = self.loop(call, stacks or {})
        return self.results[call]

    def outputs(self, graph: Graph) -> list[list[Operand]]:
        """The entries of each output."""
        for value in graph.order:  # one after the other: chains of ops may be long
            if value.op is not None and elementwise(value):
                for index in indices_of(value.shape):
                    self.read(value, index)
        return [[self.read(x, index) for index in indices_of(x.shape)] for x in graph.outputs]

    def declared(self, shape: Shape, dtype: np.dtype[Any], x: Value | None = None) -> list[str]:
        """Variables for the entries of an array, which begin as those of x."""
        prefix, names = f"v{next(self.numbers)}", []
        for k, index in enumerate(indices_of(shape)):
            first = None if x is None else self.read(x, index)
            self.bindings.append(ir.Variable(f"{prefix}_{k}", dtype, first))
            names.append(f"{prefix}_{k}")
        return names

    def in_memory(self, x: Value) -> Entry | None:
        """The array that a value is, if it is one."""
        of = self
        while x in of.outside:
            of, x = of.outside[x]
        return of.arrays.get(x)

    def array(self, x: Value) -> Entry:
        """An array in memory: a local one, if it is nowhere yet."""
        found = self.in_memory(x)
        if found is not None:
            return found
        found = self.local_array(x.shape, x.dtype)
        for index in indices_of(x.shape):
            entry = self.read(x, index)
            self.bindings.append(ir.Store(found(index), entry))
        return found

    def local_array(self, shape: Shape, dtype: np.dtype[Any]) -> Entry:
        name = f"l{next(self.numbers)}"
        self.bindings.append(ir.Variable(name, dtype, size=int(np.prod(shape, dtype=int))))
        return lambda index: ir.Access(name, ravel_index(index, shape))

    def branch(self, call: Value) -> list[Entry]:
        predicate, *operands = call.inputs
        condition = self.read(predicate, ())
        shapes = [shape for shape, _ in forms_of(call)]
        names = [self.declared(*form) for form in forms_of(call)]
        sides: list[list[ir.Statement]] = []
        for body in bodies_of(call):
            inner = Entries(self.numbers)
            inner.outside = {x: (self, y) for x, y in zip(body.inputs, operands, strict=True)}
            sides.append(inner.bindings)
            inner.bindings += stores_to(names, inner.outputs(body))
        self.bindings.append(ir.If(condition, *sides))
        return [by_name(each, shape) for each, shape in zip(names, shapes, strict=True)]

    def loop(self, call: Value, stacks: dict[int, Entry]) -> list[Entry]:
        how, forms = call.attributes, forms_of(call)
        body, length, c = how["body"], how["length"], how["carries"]
        parts, leaves = Parts(call.inputs, how), body.inputs
        k = len(parts.constants)
        inner, n = Entries(self.numbers), next(self.numbers)
        round_ = Var(f"i{n}", INT64_MAX if length is None else length)
        at = Expr({round_: 1})
        # Before the loop
        constants = zip(leaves, parts.constants, strict=False)
        inner.outside = {x: (self, y) for x, y in constants}
        xs = [self.array(x) for x in parts.xs]
        carried = [self.declared(x.shape, x.dtype, x) for x in parts.carries]
        for j, (shape, dtype) in [(j, forms[j]) for j in stacked(call)]:
            if j not in stacks:
                stacks[j] = self.local_array(shape, dtype)
        steps: Operand = ""
        count = f"n{n}"
        if how["dynamic"]:
            steps = self.read(parts.rounds, ())
            if length is not None:
                checked = Apply("checked rounds", (steps, number(length)))
                steps = self.define(INDEX, checked)
        self.bindings.append(ir.Variable(count, INDEX))
        # A round
        if how["stops"]:
            inner.bindings.append(ir.Stop(Apply("not", (carried[-1][0],))))
        if how["dynamic"]:
            inner.bindings.append(ir.Stop(Apply(">=", (at, steps))))
        row = at
        if how["reverse"] and how["dynamic"]:
            last = Apply("-", (steps, number(1)))
            row = inner.integer(length, Apply("-", (last, at)))
        elif how["reverse"]:
            row = at * -1 + (length - 1)
        for x, names in zip(leaves[k:], carried, strict=False):
            inner.variables[x] = by_name(names, x.shape)
        for x, where in zip(leaves[k + c :], xs, strict=True):
            inner.arrays[x] = partial(in_row, where, row)
        outputs = inner.outputs(body)
        for j, (x, entries) in enumerate(zip(body.outputs[c:], outputs[c:], strict=True), c):
            places = (stacks[j]((row, *index)) for index in indices_of(x.shape))
            inner.bindings += map(ir.Store, places, entries)
        inner.bindings += stores_to(carried, outputs[:c])
        inner.bindings.append(ir.Accumulate(count, "+", number(1)))
        if how["stops"] and any(map(may_fail, ir.walk(inner.bindings))):
            inner.bindings.append(ir.Stop(Apply("failed", ())))
        self.bindings.append(ir.For(round_, inner.bindings))
        # After it
        if how["stops"] and (how["dynamic"] or length is not None):
            self.define(BOOL, Apply("checked end", (carried[-1][0],)))
        if parts.ends and stacked(call):
            self.bindings.append(rest_is_zero(call, count, stacks, f"j{n}"))
        found = [by_name(names, x.shape) for names, x in zip(carried, parts.carries, strict=True)]
        return [*found, *(stacks[j] for j in stacked(call)), lambda index: count]


def by_name(names: Sequence[str], shape: Shape) -> Entry:
    return lambda index: names[ravel_index(index, shape).const]


def in_row(where: Entry, row: Expr, index: Index) -> ir.Expression:
    return where((row, *index))


def stores_to(names: Sequence[Sequence[str]], entries: Sequence[Sequence[Operand]]) -> list[Any]:
    return [
        ir.Store(name, x)
        for each, found in zip(names, entries, strict=True)
        for name, x in zip(each, found, strict=True)
    ]


def may_fail(statement: ir.Statement) -> bool:
    value = statement.value if isinstance(statement, ir.Let) else None
    return isinstance(value, Apply) and value.function.startswith("checked")


def rest_is_zero(call: Value, count: str, stacks: dict[int, Entry], name: str) -> ir.For:
    """Zeros in the rows of ys that no round has reached."""
    forms = forms_of(call)
    v = Var(name, call.attributes["length"])
    zeros = [
        ir.Store(stacks[k]((Expr({v: 1}), *index)), Number.of(0, dtype))
        for k in stacked(call)
        for (_, *shape), dtype in [forms[k]]
        for index in indices_of(tuple(shape))
    ]
    return ir.For(v, [ir.If(Apply(">=", (Expr({v: 1}), count)), zeros)])
