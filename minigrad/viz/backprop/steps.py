"""The forward and the reverse pass as data: steps, with their values and adjoints."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from minigrad.autograd import input_cotangents
from minigrad.dispatch import is_traced
from minigrad.errors import GradientError, UnsupportedError, quoted
from minigrad.graph import Node, toposort
from minigrad.ops import OWN_OPS
from minigrad.ops.base import EachInput, Op
from minigrad.tensor import Tensor
from minigrad.transforms.calls import COMPILED, Call, Result
from minigrad.transforms.foreign import new_op
from minigrad.writes import check_intact


@dataclass(eq=False)
class Step:
    """A value of the forward pass: a leaf, a constant array, or the result of an op.

    `name` is the user's name for it. `inputs` are steps and plain numbers. `adjoint` is
    dz/dstep, the sum of the `contributions` of all uses of this step, which are in the order the
    pass adds them; it is None if no gradient flows back to this step.
    """

    number: int
    label: str
    node: Node = field(repr=False)
    name: str | None
    value: np.ndarray
    inputs: list[Any] = field(repr=False)
    adjoint: np.ndarray | None = None
    contributions: list[Contribution] = field(default_factory=list, repr=False)
    output: Node | None = field(default=None, repr=False)

    @property
    def key(self) -> Node:
        """Its node in the graph: of an output of a call, `output`, of which `node` is a copy whose
        inputs are those of the call."""
        return self.output or self.node

    @property
    def op(self) -> Op | None:
        return cast("Op | None", self.node.op)

    @property
    def attributes(self) -> Mapping[str, Any]:
        return self.node.attributes or {}


@dataclass(eq=False)
class Contribution:
    """The term of one use of a step in its adjoint: dz/duser * duser/dstep.

    The user is the step that this step is input number `position` of. `cotangent` is the
    term: the result of the user's vjp, summed over the axes `summed` if the user broadcast its
    input.
    """

    user: Step = field(repr=False)
    position: int
    cotangent: np.ndarray
    summed: tuple[int, ...]


def trace(root: Node) -> list[Step]:
    """The steps of the graph of `root`, leaves first, with their adjoints."""
    steps = forward_pass([root])
    with np.errstate(all="ignore"):  # overflows are shown as inf
        reverse_pass(root, steps)
    return list(steps.values())


def complex_note(steps: Iterable[Step], z: str) -> str:
    """What derivatives by complex values are, in a line; nothing if there are none."""
    if not any(step.adjoint is not None and step.value.dtype.kind == "c" for step in steps):
        return ""
    return f"of complex v = a + 1j*b, d{z}/dv is d{z}/da - 1j*d{z}/db, the conjugate of v.grad"


def forward_pass(roots: Iterable[Node]) -> dict[Node, Step]:
    """A step for every node in the graph of the roots, and every plain array given to an op."""
    nodes = toposort(roots, follow=lambda node: True)
    check_intact(nodes)
    check_reproducible(nodes)
    if any(isinstance(node.op, Call) and node.op.name == COMPILED for node in nodes):
        raise UnsupportedError(
            "explain() of the result of a compiled function, which records no graph: call the "
            "original function, f.__wrapped__(x)"
        )
    whole = {node: as_one_op(node) for node in nodes if not isinstance(node.op, Call)}
    nodes = [*whole]
    arrays = {
        id(x): Node(x)
        for node in whole.values()
        for x in node.inputs
        if isinstance(x, np.ndarray) and x.ndim
    }
    whole |= {x: x for x in arrays.values()}
    nodes = sorted([*nodes, *arrays.values()], key=lambda node: node.op is not None)
    own = {node: in_print(node.name) for node in nodes if node.name}
    names = parameter_names(nodes) | {node: name for node, name in own.items() if name}
    letter = free_letter(names.values())
    steps: dict[Node, Step] = {}
    for number, node in enumerate(nodes, start=1):
        sources = [arrays.get(id(x), x) for x in whole[node].inputs]
        inputs = [steps[x] if type(x) is Node else x for x in sources]
        # A copy: an optimiser may write into the value later. In the machine's byte order, as all
        # arrays of JavaScript and of compiled programs are.
        value = node.value.astype(node.value.dtype.newbyteorder("="))
        shown = whole[node]
        steps[node] = Step(number, f"{letter}{number}", shown, names.get(node), value, inputs)
        steps[node].output = None if shown is node else node
    return steps


def check_reproducible(nodes: Iterable[Node]) -> None:
    """Raise if one of minigrad's ops gives other numbers now: NumPy wrote into an array of it."""
    for node in nodes:
        op, arrays = node.op, node.arrays
        if op not in OWN_OPS or any(map(is_traced, (node.value, *arrays))):
            continue
        assert isinstance(op, Op)
        with np.errstate(all="ignore"):
            now = op.forward(*arrays, **(node.attributes or {}))
        # But for rounding, in case a library adds up in another order.
        scale = np.max(np.abs(node.value), initial=0, where=np.isfinite(node.value))
        if not np.allclose(now, node.value, rtol=1e-5, atol=1e-9 * scale, equal_nan=True):
            line = f"\n  recorded {quoted(*node.line)}" if node.line else ""
            raise GradientError(
                f"{op.name} of shape {node.value.shape} would give other numbers now: an "
                "array of it, or of what it was given, has been written into since, by NumPy. "
                f"Explain before the write, or compute it again after it{line}"
            )


def as_one_op(node: Node) -> Node:
    """A node; an output of a call as the result of an op of its own, of the inputs of the call."""
    if not isinstance(node.op, Result):
        return node
    call, position = node.inputs[0], (node.attributes or {})["position"]
    several, count = call.op, call.op.wanted

    def rule(k: int, g: Any, y: Any, *inputs: Any) -> Any:
        found = several.pull_back({position: g}, inputs, call.arrays[count:])[k]
        found = np.zeros_like(inputs[k]) if found is None else found
        return Tensor(found) if isinstance(g, Tensor) and not isinstance(found, Tensor) else found

    def forward(*_: Any) -> Any:
        raise UnsupportedError(
            f"check() of a value that {several.name} depends on: finite differences run all ops "
            "again, and an explanation does not hold the code of that function. Use check_gradients"
        )

    made = copy.copy(node)
    made.op = new_op(several.name, "call", forward, EachInput(rule))
    made.inputs, made.arrays, made.attributes = call.inputs[:count], call.arrays[:count], {}
    return made


def parameter_names(nodes: Iterable[Node]) -> dict[Node, str]:
    """The names of parameters and buffers in the modules that were called: "0.weight"."""
    called = {}
    for scope in (node.scope for node in nodes):
        while scope is not None:
            module, _, scope = scope
            called[module] = f"{type(module).__name__}."
    held = {inner for outer in called for inner in outer.modules() if inner is not outer}
    outermost = {module: prefix for module, prefix in called.items() if module not in held}
    several = len(outermost) > 1
    return {
        x.node: (prefix if several else "") + name
        for module, prefix in outermost.items()
        for name, x in (*module.named_buffers(), *module.named_parameters())
    }


def in_print(name: str) -> str:
    """A name on one line, without characters that cannot be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())


def free_letter(names: Iterable[str]) -> str:
    """The letter for labels of steps, such that w1 is not also a user's name."""
    taken = {match[1] for name in names if (match := re.fullmatch(r"(\w)\d+", name))}
    return next((letter for letter in "wvuts" if letter not in taken), "node")


def reverse_pass(root: Node, steps: Mapping[Node, Step]) -> None:
    """The reverse pass of `autograd.reverse`, keeping every term."""
    steps[root].adjoint = np.ones(root.value.shape, root.value.dtype)
    for node in reversed(toposort([root])):
        if node not in steps:
            continue
        user = steps[node]
        node = user.node
        if node.op is None or user.adjoint is None:
            continue
        sent = zip(differentiable_inputs(node), input_cotangents(node, user.adjoint), strict=True)
        for position, (source, cotangent) in sent:
            step = steps[source]
            step.adjoint = cotangent if step.adjoint is None else step.adjoint + cotangent
            summed = broadcast_axes(user, position, source.value.shape)
            step.contributions.append(Contribution(user, position, cotangent, summed))


def differentiable_inputs(node: Node) -> list[int]:
    """The positions of the inputs that `input_cotangents` yields cotangents for, in its order."""
    assert node.op is not None
    return [
        k
        for k, x in enumerate(node.inputs)
        if type(x) is Node and x.requires_grad and node.op.vjps[k] is not None
    ]


def broadcast_axes(user: Step, position: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes to sum a cotangent over, to bring it to the shape of an input that was broadcast."""
    assert user.op is not None
    if not user.op.broadcasts or shape == user.value.shape:
        return ()
    values = [x.value if isinstance(x, Step) else x for x in user.inputs]
    whole = np.shape(apply_vjp(user, position, user.adjoint, user.value, values))
    lead = len(whole) - len(shape)
    stretched = (k + lead for k, n in enumerate(shape) if n == 1 and whole[k + lead] != 1)
    return (*range(lead), *stretched)


def apply_vjp(user: Step, position: int, adjoint: Any, value: Any, inputs: Sequence[Any]) -> Any:
    """The op's vjp for one input, evaluated at these values."""
    assert user.op is not None
    vjp = user.op.vjps[position]
    assert vjp is not None
    return vjp(adjoint, value, *inputs, **user.attributes)


def values_of(inputs: Sequence[Any]) -> list[Any]:
    """The values of steps; numbers as they are."""
    return [x.value if isinstance(x, Step) else x for x in inputs]


def term_of(
    use: Contribution, adjoint: Any, value: Any = None, inputs: Sequence[Any] | None = None
) -> np.ndarray:
    """The term of a use for another adjoint of its user, or also for other values: in the shape of
    the input, and of a real input real."""
    user, shape = use.user, use.cotangent.shape
    assert user.op is not None
    value = user.value if value is None else value
    with np.errstate(all="ignore"):
        inputs = values_of(user.inputs) if inputs is None else inputs
        found = np.asarray(apply_vjp(user, use.position, adjoint, value, inputs))
        found = found if found.shape == shape else np.asarray(user.op.unbroadcast(found, shape))
    return found if use.cotangent.dtype.kind == "c" else found.real


def is_multiple(use: Contribution) -> bool:
    """Whether the term of a use is a multiple of its user's adjoint, before the real part is taken
    for a real input: of conj, it is not."""
    user = use.user
    if user.value.dtype.kind != "c":
        return True
    inputs, ones = values_of(user.inputs), np.ones_like(user.value)
    with np.errstate(all="ignore"):
        one, other = (
            np.asarray(apply_vjp(user, use.position, g, user.value, inputs))
            for g in (ones, 1j * ones)
        )
        known = np.isfinite(one) & np.isfinite(other)
        return np.allclose(1j * one[known], other[known], 1e-5, 0)
