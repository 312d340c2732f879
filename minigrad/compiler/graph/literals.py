"""Numbers that differ between the iterations of an unrolled loop: read from memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable

from minigrad.compiler.graph.ir import Graph, Value, name_of, numbers_of, rewritten
from minigrad.compiler.target import costs


def promote_literals(graph: Graph) -> Graph:
    """Put numbers into memory where an op has many different ones at one input: an unrolled loop
    whose numbers change (the time in an ODE solver) then has the same kernels in each iteration."""
    numbers: dict[Hashable, set[Hashable]] = defaultdict(set)
    for value in graph.order:
        for k, number in numbers_of(value):
            numbers[name_of(value), k].add((number.dtype, number.tobytes()))
    many = {place for place, found in numbers.items() if len(found) > costs.MAX_LITERALS}
    known: dict[Hashable, Value] = {}

    def read(value: Value) -> Value:
        new = dict(enumerate(value.inputs))
        for k, number in numbers_of(value):
            if (name_of(value), k) in many:
                leaf = Value(None, (), {}, number.shape, number.dtype, "constant", number)
                new[k] = known.setdefault((number.dtype, number.shape, number.tobytes()), leaf)
        same = all(new[k] is x for k, x in enumerate(value.inputs))
        return value if same else value.of(*new.values())

    return rewritten(graph, read) if many else graph
