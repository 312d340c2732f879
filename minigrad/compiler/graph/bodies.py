"""Simplification of loops and branches: what no one reads is not computed, and what is the same in
each round is computed once, before the loop."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np

from minigrad.compiler.graph.ir import Graph, Value, constant, elementwise, with_inputs
from minigrad.compiler.graph.opset.base import rules_of
from minigrad.compiler.graph.opset.control import (
    BRANCH,
    ITEM,
    LOOP,
    Parts,
    called,
    forms_of,
    inlined,
    item,
)
from minigrad.compiler.target import costs

# What may refuse its numbers, or never end, is computed only where it would be anyway.
SAFE = "map reduce contract concat scan".split()
Simplify = Callable[[Graph], Graph]
Results = dict[int, Value]  # of a call, by position


def with_simple_bodies(graph: Graph, simplify: Simplify) -> Graph:
    """The graph with its loops and branches simplified, and their bodies by `simplify`."""
    used: dict[Value, Results] = {}
    for value in graph.order:
        if value.op is ITEM:
            used.setdefault(value.inputs[0], {})[value.attributes["position"]] = value
    if not used:
        return graph
    new: dict[Value, Value] = {}
    for value in graph.order:
        if value.op is ITEM:
            continue
        new[value] = fresh = with_inputs(value, new)
        if value.op in (LOOP, BRANCH):
            simplified = simplified_loop if value.op is LOOP else simplified_branch
            results = simplified(fresh, sorted(used[value]), simplify)
            new |= {x: results[k] for k, x in used[value].items()}
            new[value] = next((x.inputs[0] for x in results.values() if x.op is ITEM), fresh)
    return graph.of(new)


# Branches


def simplified_branch(call: Value, used: Sequence[int], simplify: Simplify) -> Results:
    predicate, *operands = call.inputs
    bodies: list[Graph] = call.attributes["bodies"]
    if predicate.fixed:
        chosen = inlined(bodies[0 if predicate.array else 1], operands)
        return {k: chosen[k] for k in used}
    new: list[list[Value]] = []
    leaves: list[dict[Value, int]] = []
    for body in bodies:
        leaves.append({x: k for k, x in enumerate(body.inputs)})
        outputs = with_fixed(
            [body.outputs[k] for k in used], dict(zip(body.inputs, operands, strict=True))
        )
        new.append(simplify(Graph(body.inputs, [], outputs, [])).outputs)
    read = {
        at[x] for at, outputs in zip(leaves, new, strict=True) for x in order_of(outputs) if x in at
    }
    kept = sorted(read)
    smaller = [
        Graph([body.inputs[k] for k in kept], [], outputs, [])
        for body, outputs in zip(bodies, new, strict=True)
    ]
    fresh = called(BRANCH, [predicate, *(operands[k] for k in kept)], {"bodies": smaller})
    return {position: item(fresh, k) for k, position in enumerate(used)}


# Loops


def simplified_loop(call: Value, used: Sequence[int], simplify: Simplify) -> Results:
    how, forms = call.attributes, forms_of(call)
    parts, length, c = Parts(call.inputs, how), how["length"], how["carries"]
    leaves: list[Value] = how["body"].inputs
    outside: dict[Value, Value] = dict(zip(leaves, call.inputs, strict=False))
    if length == 0 and not parts.ends:
        ys = [constant(np.zeros(*form)) for form in forms[c:]]
        return {k: [*parts.carries, *ys][k] for k in used}
    results: Results = {}
    if not parts.ends:
        results[len(forms) - 1] = constant(np.int64(length))
    carried = {x: k for k, x in enumerate(leaves[how["constants"] :][:c])}
    rows = {*leaves[how["constants"] + c :]}
    outputs = dict(enumerate(how["body"].outputs))
    wanted = {k for k in used if k in outputs} | ({c - 1} if how["stops"] else set())
    for simpler in (list, lambda outputs: simplify(Graph(leaves, [], outputs, [])).outputs):
        for x, k in list(carried.items()):
            if outputs[k] is x and not (how["stops"] and k == c - 1):  # the same in each round
                results[k] = outside[x]
                del carried[x], outputs[k]
        needed = needed_outputs(outputs, carried, wanted - results.keys())
        constants = {x: y for x, y in outside.items() if x not in carried and x not in rows}
        fixed = with_fixed([outputs[k] for k in needed], constants)
        outputs = dict(zip(needed, simpler(fixed), strict=True))
        carried = {x: k for x, k in carried.items() if k in outputs}
    certain = not parts.ends
    fresh, before = hoisted(list(outputs.values()), constants, certain)
    outside |= before
    outputs = dict(zip(outputs, fresh, strict=True))
    read = [x for x in order_of(fresh) if x in outside]
    alike = [x for x in read if x not in carried and x not in rows]
    one = {outside[x]: x for x in alike}  # for each value outside
    fresh = replaced(fresh, {x: one[outside[x]] for x in alike})
    slices = [x for x in read if x in rows]
    body = Graph([*one.values(), *carried, *slices], [], fresh, [])
    inputs = [outside[x] for x in body.inputs] + ([parts.rounds] if how["dynamic"] else [])
    attributes = {**how, "body": body, "constants": len(one), "carries": len(carried)}
    if fresh or parts.ends:
        smaller = called(LOOP, inputs, attributes)
        results |= {position: item(smaller, k) for k, position in enumerate(outputs)}
        if parts.ends:
            results[len(forms) - 1] = item(smaller, len(outputs))
    return results


def needed_outputs(
    outputs: Mapping[int, Value], carried: Mapping[Value, int], wanted: Collection[int]
) -> list[int]:
    """The positions of the outputs that are wanted, or that these need in the next round."""
    found = {*wanted}
    while True:
        read = order_of([outputs[k] for k in sorted(found)])
        more = {carried[x] for x in read if x in carried} - found
        if not more:
            return sorted(found)
        found |= more


def order_of(outputs: Sequence[Value]) -> list[Value]:
    return Graph([], [], [*outputs], []).order


def replaced(outputs: Sequence[Value], new: Mapping[Value, Value]) -> list[Value]:
    """Outputs with some values replaced by others."""
    found = {**new}
    for value in order_of(outputs):
        if value not in found:
            found[value] = with_inputs(value, found)
    return [found[x] for x in outputs]


def with_fixed(outputs: Sequence[Value], outside: Mapping[Value, Value]) -> list[Value]:
    """Outputs of a body with what is known of its inputs: fixed constants, and views of them."""
    return replaced(outputs, {x: y for x, y in outside.items() if is_known(y)})


def is_known(x: Value) -> bool:
    if x.op is None:
        return x.fixed
    return is_view(x) and all(map(is_known, x.values()))


def is_view(x: Value) -> bool:
    return not elementwise(x) and rules_of(x.op).kind(x) == "map"


# What is the same in each round


def hoisted(
    outputs: list[Value], constants: Mapping[Value, Value], certain: bool
) -> tuple[list[Value], dict[Value, Value]]:
    """Outputs of a body that reads what it would compute of constants alone, each as a further
    constant; and of these leaves the values before the loop.

    `certain`: that there is a first round, so that what may raise an error may be computed.
    """
    same: set[Value] = set()
    border: dict[Value, None] = {}
    order = order_of(outputs)
    for value in order:
        needs_nothing = all(x in same or x.fixed for x in value.values())
        safe = certain or value.op is ITEM or rules_of(value.op).kind(value) in SAFE
        if value in constants or (value.op is not None and needs_nothing and safe):
            same.add(value)
        else:
            border |= dict.fromkeys(y for x in value.values() if x in same for y in worth(x))
    border |= dict.fromkeys(y for x in outputs if x in same for y in worth(x))
    new = {x: Value(None, (), {}, x.shape, x.dtype, "input") for x in border}
    before = inlined(Graph([*constants], [], [*border], []), [*constants.values()])
    return replaced(outputs, new), dict(zip(new.values(), before, strict=True))


def worth(x: Value) -> Iterator[Value]:
    """The values, of those that one is computed from, that are worth computing once: not views, and
    not cheap ops that make an array larger, which would have to be read instead."""
    if x.op is None:
        return
    size = max((y.size for y in x.values()), default=0)
    cheap = elementwise(x) and rules_of(x.op).cost(x) <= costs.RECOMPUTE_LIMIT and x.size > size
    if cheap or is_view(x):
        for y in x.values():
            yield from worth(y)
    else:
        yield x
