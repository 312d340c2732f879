"""What a loop has computed, for a loop that goes over the same rows after it.

The derivative of a loop computes the values of each round again, from the carry that the round
began with: see `frontend/loops.py`. Here those that take long are read instead: the first loop
returns them as further rows (residuals).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from minigrad.compiler.graph.ir import Graph, Value, content_of, elementwise, with_inputs
from minigrad.compiler.graph.opset.base import rules_of
from minigrad.compiler.graph.opset.control import (
    ITEM,
    LOOP,
    OWN_CONTROL,
    Parts,
    called,
    forms_of,
    item,
)


def with_residuals(graph: Graph) -> Graph:
    """The graph with loops that read what loops before them have computed; itself, if there are
    none."""
    while pair := next(pairs_of(graph), None):
        graph = sharing(graph, *pair)
    return graph


# Of a value of the body of the second loop, the equal one in the body of the first.
Equal = dict[Value, Value]


def pairs_of(graph: Graph) -> Iterator[tuple[Value, Value, Equal]]:
    """Two loops, and what the second one is to read in the place of computing it."""
    for loop in graph.order:
        if loop.op is LOOP:
            parts = Parts(loop.inputs, loop.attributes)
            for first in dict.fromkeys(x.inputs[0] for x in parts.xs if x.op is ITEM):
                if first.op is LOOP and has_the_rows_of(first, loop):
                    equal = equal_values(first, loop)
                    found = worth_reading(loop.attributes["body"], equal)
                    if found:
                        yield first, loop, {x: equal[x] for x in found}


def has_the_rows_of(first: Value, loop: Value) -> bool:
    """Whether the first loop has reached each row that the other one does."""
    one, other = (Parts(x.inputs, x.attributes) for x in (first, loop))
    if first.attributes["length"] != loop.attributes["length"]:
        return False
    count = other.rounds
    counted = count is not None and count.op is ITEM and count.inputs[0] is first
    return (
        not one.ends or (counted and is_count(count)) or (count is not None and count is one.rounds)
    )


def is_count(x: Value) -> bool:
    return bool(x.attributes["position"] == len(forms_of(x.inputs[0])) - 1)


def equal_values(first: Value, loop: Value) -> Equal:
    """Of values in the body of a loop, those in the body of the first that are equal in each row:
    leaves that stand for the same, and the same ops of these."""
    body, before = loop.attributes["body"], first.attributes["body"]
    parts, others = (Parts(x.inputs, x.attributes) for x in (loop, first))
    k, c = (first.attributes[name] for name in ("constants", "carries"))
    constants = dict(zip(others.constants, before.inputs, strict=False))
    rows = dict(zip(others.xs, before.inputs[k + c :], strict=True))
    rows |= {
        x: before.outputs[x.attributes["position"]]
        for x in parts.xs
        if x.op is ITEM and x.inputs[0] is first and not is_count(x)
    }
    equal = {
        leaf: constants[x]
        for leaf, x in zip(body.inputs, parts.constants, strict=False)
        if x in constants
    }
    leaves = body.inputs[len(body.inputs) - len(parts.xs) :]
    equal |= {leaf: rows[x] for leaf, x in zip(leaves, parts.xs, strict=True) if x in rows}
    known = {key_of(x, {}): x for x in before.order}
    for value in body.order:
        is_own = value.op is not None or value.fixed
        if is_own and value.op not in OWN_CONTROL and all(x in equal for x in value.values()):
            found = known.get(key_of(value, equal))
            if found is not None:
                equal[value] = found
    return equal


def key_of(value: Value, equal: Equal) -> Hashable:
    if value.op is None:
        return content_of(value) if value.fixed else value
    inputs = [equal.get(x, x) if type(x) is Value else (type(x), repr(x)) for x in value.inputs]
    return value.op, value.how, *(number_of(x) for x in inputs)


def number_of(x: Hashable) -> Hashable:
    return content_of(x) if type(x) is Value and x.fixed else x


def worth_reading(body: Graph, equal: Equal) -> list[Value]:
    """The values of a body to be read, of those that are known: what others need of them, where it
    takes long to compute."""
    needed: dict[Value, None] = {}
    for value in body.order:
        if value not in equal:
            needed |= dict.fromkeys(x for x in value.values() if x in equal)
    needed |= dict.fromkeys(x for x in body.outputs if x in equal)
    of_views = [y for x in needed for y in behind_views(x)]
    found = {*filter(is_slow, of_views)}
    # What is cheap is computed again, if all that it is computed from is there.
    found |= {x for x in of_views if not found.issuperset(slow_sources([x]))}
    return [x for x in body.order if x in found]


def is_view(x: Value) -> bool:
    return x.op is not None and not elementwise(x) and rules_of(x.op).kind(x) == "map"


def is_slow(x: Value) -> bool:
    return (
        x.op is not None and not is_view(x) and not (elementwise(x) and rules_of(x.op).cost(x) <= 1)
    )


def behind_views(x: Value) -> Iterator[Value]:
    if not is_view(x):
        yield x
    else:
        for y in x.values():
            yield from behind_views(y)


def slow_sources(xs: Iterable[Value]) -> set[Value]:
    """The slow values from which these are computed, by cheap ops."""
    found, stack, seen = set(), [*xs], set()
    while stack:
        x = stack.pop()
        if x in seen:
            continue
        seen.add(x)
        if is_slow(x):
            found.add(x)
        else:
            stack += x.values()
    return found


def sharing(graph: Graph, first: Value, loop: Value, read: Equal) -> Graph:
    """The graph in which a loop reads values of its body from rows of another one before it."""
    before, carries = first.attributes["body"], first.attributes["carries"]
    rows = [*dict.fromkeys([*before.outputs[carries:], *read.values()])]
    new: dict[Value, Value] = {}
    results: dict[int, Value] = {}  # one item for each position

    def result(k: int) -> Value:
        results[k] = results.get(k) or item(new[first], k)
        return results[k]

    for value in graph.order:
        if value is first:
            body = Graph(before.inputs, [], [*before.outputs[:carries], *rows], [])
            fresh = with_inputs(first, new)
            new[first] = called(LOOP, fresh.inputs, {**first.attributes, "body": body})
        elif value.op is ITEM and value.inputs[0] is first:
            k = value.attributes["position"]
            if is_count(value):
                k = carries + len(rows)
            elif k >= carries:
                k = carries + rows.index(before.outputs[k])
            new[value] = result(k)
        elif value is loop:
            new[value] = reading(
                with_inputs(loop, new),
                {x: result(carries + rows.index(y)) for x, y in read.items()},
            )
        else:
            new[value] = with_inputs(value, new)
    return graph.of(new)


def reading(loop: Value, rows: dict[Value, Value]) -> Value:
    """A loop in which values of its body are read from rows."""
    body, dynamic = loop.attributes["body"], loop.attributes["dynamic"]
    new = {x: Value(None, (), {}, x.shape, x.dtype, "input") for x in rows}
    inputs = [*body.inputs, *new.values()]
    for value in body.order:
        if value not in new:
            new[value] = with_inputs(value, new)
    end = len(loop.inputs) - dynamic
    given = [*loop.inputs[:end], *rows.values(), *loop.inputs[end:]]
    outputs = [new[x] for x in body.outputs]
    return called(LOOP, given, {**loop.attributes, "body": Graph(inputs, [], outputs, [])})
