"""The graph: a node for every value, with the op that made it from other nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Protocol

import numpy as np


class Rules(Protocol):
    """One vjp for each input, None for an input with no gradient."""

    def __getitem__(self, k: int, /) -> Callable[..., Any] | None: ...


class Operation(Protocol):
    """What the graph and the reverse pass need to know of an op; `ops.base.Op` has the rest."""

    @property
    def name(self) -> str: ...

    @property
    def vjps(self) -> Rules: ...

    def fit(self, cotangent: Any, shape: tuple[int, ...]) -> Any: ...


class Node:
    """A value: either a leaf (`op` is None) or `op(*inputs, **attributes)`.

    `inputs` holds nodes, and whatever else the op was given (arrays, Python numbers) as it is.
    `requires_grad` says that a gradient flows through here. `grad` collects what `backward()`
    finds, on leaves only. `line` is the user's (file, line number), where it was recorded.
    """

    __slots__ = ("attributes", "grad", "inputs", "line", "name", "op", "requires_grad", "value")

    def __init__(
        self,
        value: np.ndarray,
        requires_grad: bool = False,
        op: Operation | None = None,
        inputs: Sequence[Any] = (),
        attributes: dict[str, Any] | None = None,
        line: tuple[str, int] | None = None,
    ) -> None:
        self.value = value
        self.requires_grad = requires_grad
        self.op = op
        self.inputs = inputs
        self.attributes = attributes
        self.line = line
        self.grad: Any = None
        self.name: str | None = None


needs_grad: Callable[[Node], bool] = attrgetter("requires_grad")


def toposort(roots: Iterable[Node], follow: Callable[[Node], bool] = needs_grad) -> list[Node]:
    """Every node `roots` depend on, each after its inputs, so that the reverse of the list visits
    a node only when everything that uses it has been visited.

    A depth-first search with its own stack, so that a chain of any length works. Inputs that
    `follow` refuses are left out, with all that lies behind them.
    """
    order: list[Node] = []
    entered: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False) for root in roots]
    while stack:
        node, inputs_done = stack.pop()
        if inputs_done:
            order.append(node)
        elif node not in entered:
            entered.add(node)
            stack.append((node, True))
            for source in reversed(node.inputs):
                if type(source) is Node and source not in entered and follow(source):
                    stack.append((source, False))
    return order
