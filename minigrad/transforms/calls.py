"""Calls: functions with several outputs that are one node of the graph, with a derivative of their
own: rules of users, loops, compiled functions.

A call is a node whose inputs are what it was computed from. Each output is a node after it. In the
reverse pass the cotangents of all outputs meet at the node of the call, whose `pull_back` maps them
to those of the inputs, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from minigrad.autograd import recording
from minigrad.dispatch import is_traced
from minigrad.errors import ArgumentError, ShapeError, instruction
from minigrad.graph import INEXACT, Node
from minigrad.tensor import Tensor, value_of

# From the cotangents of the outputs by their positions, the inputs, and what the call has kept:
# the cotangent of each input, or None for zeros. Given Tensors, the pass itself is recorded.
PullBack = Callable[[dict[int, Any], Sequence[Any], Sequence[Any]], Sequence[Any]]
# From the tangents of some inputs by their positions, the inputs, and what the call has kept: the
# tangent of each output, or None for zeros.
Push = Callable[[dict[int, Any], Sequence[Any], Sequence[Any]], Sequence[Any]]
# Given the inputs, and what the call has kept.
Check = Callable[[Sequence[Any], Sequence[Any]], None]


# While a sparsity pattern is looked for: compiled and checkpointed functions run op by op, as what
# single entries depend on is not known otherwise.
as_written: ContextVar[bool] = ContextVar("as_written", default=False)
COMPILED = "a compiled function"  # the name of its calls


class Cotangents(np.ndarray):
    """The cotangents of the outputs of one call, by their positions.

    To the reverse pass it is a number, and adding two of them adds what they have in common.
    `shares` are the cotangents of the inputs, computed once.
    """

    sent: dict[int, Any]
    shares: Sequence[Any] | None

    @staticmethod
    def of(sent: dict[int, Any]) -> Cotangents:
        made = np.zeros(()).view(Cotangents)
        made.sent, made.shares = sent, None
        return made

    def __add__(self, other: Any) -> Any:
        # In place, for it is this pass's own: a new dictionary for each of n outputs takes n**2.
        for k, g in other.sent.items():
            self.sent[k] = self.sent[k] + g if k in self.sent else g
        return self


class Call:
    """The op of the node of a call, which has a vjp but no forward.

    The node's inputs are `wanted` ones to differentiate by, and then what `pull_back` needs beside
    them; `outputs` has those of these that are outputs of the call, with their positions. `push` is
    there if its author knows the derivative forward as well, and `is_forward` if that is the only
    one; `check` raises if `pull_back` has no transpose. `result` is the op of the outputs.
    """

    family = "call"

    def __init__(
        self,
        name: str,
        wanted: int,
        pull_back: PullBack,
        push: Push | None = None,
        outputs: Mapping[int, int] = MappingProxyType({}),
        is_forward: bool = False,
        check: Check | None = None,
    ) -> None:
        self.name, self.wanted, self.pull_back, self.push = name, wanted, pull_back, push
        self.check = check
        self.outputs, self.result, self.is_forward = outputs, Result(name), is_forward

    @property
    def vjps(self) -> Any:
        return self

    def __getitem__(self, k: int) -> Callable[..., Any] | None:
        return partial(self.share, k) if k < self.wanted else None

    def node(self, inputs: Sequence[Any], arrays: Sequence[Any], **attributes: Any) -> Node:
        """The node of a call of these inputs: nodes, or anything else as it is."""
        return Node(Cotangents.of({}), True, self, inputs, attributes, instruction(), arrays)

    def share(self, k: int, g: Any, y: Any, *inputs: Any, values: Any = ()) -> Any:
        """The cotangent of input k."""
        if g.shares is None:
            g.shares = self.pull_back(g.sent, inputs[: self.wanted], self.kept(y, inputs))
        if len(g.shares) != self.wanted:
            raise ArgumentError(
                f"the derivative of {self.name} gave {len(g.shares)} cotangents, for "
                f"{self.wanted} inputs"
            )
        return np.zeros_like(inputs[k]) if g.shares[k] is None else g.shares[k]

    def kept(self, y: Any, inputs: Sequence[Any]) -> list[Any]:
        """What the rules need beside the inputs by which they are. `y` is the node, viewed."""
        kept = [*inputs[self.wanted :]]
        if isinstance(y, Tensor):  # this pass is recorded: outputs depend on the inputs
            for n, position in self.outputs.items():
                kept[n] = Tensor.of(returned(kept[n], y.node, position))
        return kept

    def unbroadcast(self, cotangent: Any, shape: tuple[int, ...]) -> Any:
        raise ShapeError(
            f"the derivative of {self.name} gave a cotangent of shape {cotangent.shape}, for an "
            f"input of shape {shape}"
        )


class Result:
    """The op of an output of a call: its cotangent goes to the call, under its position."""

    family = "call"

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def vjps(self) -> Any:
        return (self.send,)

    def send(self, g: Any, y: Any, call: Any, *value: Any, position: int) -> Cotangents:
        return Cotangents.of({position: g})

    def unbroadcast(self, cotangent: Any, shape: tuple[int, ...]) -> Any:
        raise AssertionError("cotangents of a call are a number to the reverse pass")


def are_forward(nodes: Iterable[Node]) -> bool:
    """Whether there is a call among these that has a derivative forward only."""
    return any(isinstance(node.op, Call) and node.op.is_forward for node in nodes)


def as_it_is(x: Any) -> Any:
    """What an array of a traced function stands for now; any other array itself."""
    return x.value if is_traced(x) and hasattr(x, "value") else x


def returned(value: Any, call: Node, position: int) -> Node:
    """The node of output number `position` of a call. Its second input is the value itself, as it
    was computed: of a traced call, a value of the compiler's graph."""
    assert isinstance(call.op, Call)
    own = as_it_is(value)
    how = {"position": position}
    return Node(value, True, call.op.result, (call, own), how, call.origin, (call.value, own))


def record(op: Call, inputs: Sequence[Any]) -> Node:
    """The node of a call of these inputs, Tensors and arrays. Its attribute `values` has them as
    they are now, of traced ones values of the compiler's graph."""
    nodes = [x.node if isinstance(x, Tensor) else x for x in inputs]
    arrays = [value_of(x) for x in inputs]
    return op.node(nodes, arrays, values=[*map(as_it_is, arrays)])


def call_node(
    name: str,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    pull_back: PullBack,
    kept: Sequence[Any] = (),
    push: Push | None = None,
    is_forward: bool = False,
    check: Check | None = None,
) -> list[Tensor]:
    """Outputs of a call that was computed from `inputs`, as Tensors that are differentiated by its
    `pull_back`.

    Args:
        name: what messages and explanations call it.
        inputs: Tensors, or anything else, which then has no derivative.
        outputs: arrays; of Tensors, their arrays.
        pull_back: see `PullBack`. It is called once a reverse pass, and refers to arrays of this
            call only by its arguments: the call is replayed on others by compiled functions.
        kept: arrays that it needs beside the inputs. Writes into them are found. Where the pass is
            recorded, those that are the same arrays as outputs are given as Tensors.
        push: see `Push`; without, forward derivatives are the transpose of `pull_back`.
        is_forward: whether `pull_back` only says why there is no derivative backward.
        check: called with the inputs and `kept` before `pull_back` is transposed; it may raise.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> def pull_back(sent, inputs, kept):
    ...     return [sent[0] * np.cos(inputs[0])]
    >>> (y,) = call_node("sine", [x], [np.sin(x.data)], pull_back)
    >>> np.sum(y).backward()
    >>> x.grad
    array([ 0.54030231, -0.41614684])
    """
    arrays = [value_of(y) for y in outputs]
    recorded = recording.get() and any(isinstance(x, Tensor) and x.requires_grad for x in inputs)
    if not recorded:
        return [Tensor.of(Node(y)) for y in arrays]
    kept = [value_of(x) for x in kept]
    outs = [(k, y) for k, y in enumerate(arrays) if y.dtype.kind in INEXACT]
    found = {n: k for n, x in enumerate(kept) for k, y in outs if x is y}
    op = Call(name, len(inputs), pull_back, push, found, is_forward, check)
    node = record(op, [*inputs, *kept])
    return [
        Tensor.of(returned(y, node, k) if y.dtype.kind in INEXACT else Node(y))
        for k, y in enumerate(arrays)
    ]


def replayed(node: Node, inputs: Sequence[Any]) -> Any:
    """The node of a call, or the Tensor of an output of it, again from other inputs."""
    if isinstance(node.op, Call):
        return record(node.op, inputs)
    call, value = inputs
    assert node.attributes is not None
    return Tensor.of(returned(value, call, node.attributes["position"]))
