"""The graph: a node for every value, with the op that made it from other nodes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from types import CodeType
from typing import Any, Protocol

import numpy as np


class Operation(Protocol):
    """The interface of an op for the graph and the reverse pass; see `ops.base.Op`."""

    @property
    def name(self) -> str: ...

    @property
    def vjps(self) -> Any: ...

    def unbroadcast(self, cotangent: Any, shape: tuple[int, ...]) -> Any: ...


INEXACT = "fc"  # kinds of dtypes that have a derivative: floats and complex numbers


class Node:
    """A value: either a leaf (`op` is None) or `op(*inputs, **attributes)`.

    `inputs` holds nodes, and whatever else the op was given (arrays, Python numbers) as it is.
    `requires_grad`: whether a gradient flows through this node. `grad`: what `backward()` has
    accumulated, on leaves only. `arrays`: the inputs as the op received them, kept for its vjps.
    `birth`: a counter that orders nodes by when they were made. `origin`: the user's code object
    and instruction that recorded the node. `scope`: the module calls that returned it, see
    `nn.Module`.
    """

    __slots__ = (
        "value requires_grad op inputs arrays attributes origin birth grad name scope".split()
    )

    def __init__(
        self,
        value: np.ndarray,
        requires_grad: bool = False,
        op: Operation | None = None,
        inputs: Sequence[Any] = (),
        attributes: dict[str, Any] | None = None,
        origin: tuple[CodeType, int] | None = None,
        arrays: Sequence[Any] = (),
    ) -> None:
        self.value = value
        self.requires_grad = requires_grad
        self.op = op
        self.inputs = inputs
        self.arrays = arrays
        self.attributes = attributes
        self.origin = origin
        self.birth = next(births)
        self.grad: Any = None
        self.name: str | None = None
        self.scope: Any = None

    @property
    def line(self) -> tuple[str, int] | None:
        """The user's file and line number."""
        return None if self.origin is None else line_of(*self.origin)


def line_of(code: CodeType, instruction: int) -> tuple[str, int]:
    """The file and line number of an instruction."""
    (*_, number) = (n for start, _, n in code.co_lines() if start <= instruction)
    return code.co_filename, number or code.co_firstlineno


needs_grad, by_birth = attrgetter("requires_grad"), attrgetter("birth")
births = itertools.count()


def toposort(roots: Iterable[Node], follow: Callable[[Node], bool] = needs_grad) -> list[Node]:
    """Every node `roots` depend on, each after its inputs, so that the reverse of the list visits
    a node only when everything that uses it has been visited.

    A node is made after its inputs, so sorting by `birth` gives such an order; only the reachable
    nodes have to be found. Inputs for which `follow` is false are left out, with their ancestors.
    """
    found = set(roots)
    stack = list(found)
    while stack:
        for source in stack.pop().inputs:
            if type(source) is Node and source not in found and follow(source):
                found.add(source)
                stack.append(source)
    return sorted(found, key=by_birth)
