"""Op: everything that the engine, the compiler and the tests need to know of an operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np

from minigrad.autograd import recording
from minigrad.errors import PLAIN, ShapeError, check_dtype, instruction, operand, refusal_of
from minigrad.graph import INEXACT, Node
from minigrad.ops.definition import check_definition
from minigrad.tensor import Tensor

Rule = Callable[..., Any]
Shape = tuple[int, ...]
Jacobian = Literal["", "symmetric", "rows", "constant", "multilinear"]

registry: dict[str, Op] = {}


@dataclass(frozen=True)
class Domain:
    """Where tests draw an input from: [low, high], `away` from points with no derivative."""

    low: float = -2.0
    high: float = 2.0
    away: tuple[float, ...] = ()
    dtype: type = float


class EachInput:
    """The vjps of an op with any number of inputs: one rule, which is also given the position. Only
    the first `count` inputs carry gradients."""

    def __init__(self, rule: Rule, count: float = float("inf")) -> None:
        self.rule, self.count = rule, count

    def __getitem__(self, k: int, /) -> Rule | None:
        return partial(self.rule, k) if k < self.count else None


@dataclass(frozen=True, eq=False)
class Op:
    """An operation on arrays with its derivative, notation, lowering and test domain.

    `forward(*inputs, **attributes)` works on arrays. `vjps` has one rule for each input, written
    in NumPy: `rule(g, y, *inputs, **attributes)` gives the cotangent of that input from g, the
    cotangent of the output y. Given arrays it computes; given Tensors it is recorded as well.
    None: that input carries no gradient. An op with no vjps has no derivative.

    `notation` is y in Python's syntax, with {0}, {1} for inputs and {name} for attributes; the
    notation of derivatives is derived from the vjps. `c` is the C expression of an elementwise op:
    with None, NumPy computes it, also in a compiled program. What the compiler knows of ops of
    other families is in `compiler/graph/opset`. Tests draw each input from its domain.

    `jacobian` is what forward mode may rely on, see `transforms/forward.py`. "symmetric": the rules
    also map tangents, as those of elementwise ops, whose Jacobian is diagonal; "rows": it reduces,
    each input entry into one output entry; "constant": it is linear in all inputs together, but for
    those that carry no gradient; "multilinear": in each of them; "": nothing is known. The first
    two hold for complex outputs only if the rule is linear over complex numbers.
    """

    family: str
    name: str
    forward: Callable[..., Any]
    vjps: tuple[Rule | None, ...] | EachInput
    notation: str
    c: str | None = None
    domains: tuple[Domain, ...] = (Domain(),)
    broadcasts: bool = False
    jacobian: Jacobian = ""
    # What forward raises of inputs that do not fit: the op then names itself and them.
    refusals: ClassVar[Any] = (ValueError, TypeError, IndexError, OverflowError)

    def __post_init__(self) -> None:
        check_definition(self, registry)
        registry[self.name] = self

    def __call__(self, *inputs: Any, **attributes: Any) -> Any:
        """Apply to arrays, giving an array; with a Tensor among them, give a Tensor and record."""
        nodes, arrays = [], []
        any_tensor = recorded = requires_grad = False
        for x in inputs:
            if isinstance(x, Tensor):
                any_tensor = True
                x = x.node
                arrays.append(x.value)
                if x.requires_grad:
                    recorded = requires_grad = True
                elif x.op is not None:
                    recorded = True
            else:
                x = x if type(x) in PLAIN else operand(x)
                arrays.append(x)
            nodes.append(x)
        try:
            value = self.forward(*arrays, **attributes)
        except self.refusals as error:
            raise refusal_of(self.name, arrays, attributes, error) from error
        if not any_tensor:
            return value
        if type(value) is not np.ndarray:
            value = np.asarray(value)
            value.setflags(write=value.base is not None)  # a number can't be written into
        kind = value.dtype.kind
        if kind != "f":
            check_dtype(self.name, value.dtype)
        if not (recorded and recording.get()):
            return Tensor.of(Node(value))
        requires_grad = requires_grad and kind in INEXACT and self.vjps != ()
        return Tensor.of(Node(value, requires_grad, self, nodes, attributes, instruction(), arrays))

    def unbroadcast(self, cotangent: Any, shape: Shape) -> Any:
        """Bring a cotangent to its input's shape: sum over the axes it was broadcast along."""
        if not self.broadcasts:
            raise ShapeError(f"vjp of {self.name}: {cotangent.shape} for an input of {shape}")
        lead = cotangent.ndim - len(shape)
        stretched = [k for k, n in enumerate(shape, lead) if n == 1 and cotangent.shape[k] != 1]
        total = np.add.reduce(cotangent, (*range(lead), *stretched))
        return total.reshape(shape) if stretched else total

    def __repr__(self) -> str:
        return f"<{self.family} op {self.name}>"
