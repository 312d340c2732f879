"""Scheduling: which values are computed in one loop nest, and which are kept in memory."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from minigrad.compile.ir import Graph, Shape, Value
from minigrad.compile.lower import elementwise, lowered


@dataclass(eq=False)
class Kernel:
    """One loop nest: a "map" computes values of one shape, entry by entry; a "reduce", a "matmul"
    and a "numpy" one value."""

    kind: str
    shape: Shape
    values: list[Value] = field(default_factory=list)


@dataclass(eq=False)
class Schedule:
    """Kernels in their order, the kernel of each value that has one, and the values in memory."""

    kernels: list[Kernel]
    home: dict[Value, int]
    stored: list[Value]


# Their inputs are read many times over: what is dear to compute is computed once before.
REPEATING = "expand gather windows matmul linear".split()


def schedule(graph: Graph) -> Schedule:
    """Elementwise ops are fused: into their consumer, if there is just one; into one loop, where
    they have the same shape; views into all that read them. Sums and products end a fusion."""
    order = graph.order()
    users: dict[Value, list[Value]] = defaultdict(list)
    for value in order:
        for x in value.values():
            users[x].append(value)
    roots = {*graph.roots()}
    kernels: list[Kernel] = []
    home: dict[Value, int] = {}

    def earliest(value: Value, same_place: bool) -> int:
        """The first kernel in which all that a value is computed from is there."""
        if value.op is None:
            return 0
        if value in home:
            mappable = same_place and kernels[home[value]].kind == "map"
            return home[value] + (0 if mappable else 1)
        inner = same_place and elementwise(value)
        return max(
            (earliest(x, inner and x.shape == value.shape) for x in value.values()),
            default=0,
        )

    for value in order:
        if value.op is None:
            continue
        kind = kind_of(value)
        if kind == "view":
            if value not in roots and not any(kind_of(u) == "numpy" for u in users[value]):
                continue
            kind = "map"
        if kind == "map" and not is_kept(value, users[value], roots):
            continue
        at = max(
            (
                earliest(x, kind == "map" and elementwise(value) and x.shape == value.shape)
                for x in value.values()
            ),
            default=0,
        )
        if kind == "map":
            for k in range(at, len(kernels)):
                if kernels[k].kind == "map" and kernels[k].shape == value.shape:
                    break
            else:
                k = len(kernels)
        else:
            k = len(kernels)
        if k == len(kernels):
            kernels.append(Kernel(kind, value.shape))
        kernels[k].values.append(value)
        home[value] = k
    stored = [v for v in home if needs_memory(v, home, kernels, users, roots)]
    return Schedule(kernels, home, stored)


def kind_of(value: Value) -> str:
    if value.op is None:
        return "leaf"
    if not lowered(value):
        return "numpy"
    if elementwise(value):
        return "map"
    if value.op.family == "reduce":
        return "reduce"
    return "matmul" if value.op.family == "processing" else "view"


def is_kept(value: Value, users: list[Value], roots: set[Value]) -> bool:
    """Whether an elementwise value has a place in a kernel, or is computed where it is read."""
    if value in roots or len(users) != 1:
        return True
    (user,) = users
    assert user.op is not None
    return user.op.name in REPEATING or kind_of(user) == "numpy"


def needs_memory(
    value: Value,
    home: dict[Value, int],
    kernels: list[Kernel],
    users: dict[Value, list[Value]],
    roots: set[Value],
) -> bool:
    """Whether a value is read outside of its loop, or at another place in it."""
    if value in roots or kernels[home[value]].kind != "map":
        return True
    stack = [(user, value) for user in users[value]]
    while stack:
        user, x = stack.pop()
        if not elementwise(user) or user.shape != x.shape:
            return True
        if user in home:
            if home[user] != home[value]:
                return True
        else:
            stack += [(further, user) for further in users[user]]
    return False
