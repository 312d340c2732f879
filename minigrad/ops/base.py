"""What an op is: everything there is to know about it, in one entry."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigrad.autograd import recording
from minigrad.errors import PACKAGE, DtypeError, MinigradError, ShapeError
from minigrad.graph import Node, Rules
from minigrad.tensor import Tensor, implementations

Rule = Callable[..., Any]
Shape = tuple[int, ...]

registry: dict[str, Op] = {}


@dataclass(frozen=True)
class Domain:
    """Where tests draw an input from: [low, high], `away` from points with no derivative."""

    low: float = -2.0
    high: float = 2.0
    away: tuple[float, ...] = ()
    dtype: type = float


@dataclass(frozen=True)
class Sample:
    """One call that tests make: input shapes (an array stands for itself), and attributes."""

    inputs: tuple[Any, ...]
    attributes: dict[str, Any]


def sample(*inputs: Any, **attributes: Any) -> Sample:
    """A `Sample`, written as the call it stands for: `sample((2, 3), axis=0)`."""
    return Sample(inputs, attributes)


class EachInput:
    """The vjps of an op with any number of inputs: one rule, told which input it is asked for."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def __getitem__(self, k: int, /) -> Rule:
        return partial(self.rule, k)


@dataclass(frozen=True, eq=False)
class Op:
    """An operation on arrays, its derivative, and how to write, lower and test it.

    `forward(*inputs, **attributes)` works on arrays. `vjps` has one rule for each input, written
    in NumPy: `rule(g, y, *inputs, **attributes)` gives the cotangent of that input from g, the
    cotangent of the output y. The same rule runs on arrays, or on Tensors and so records itself.
    None stands for an input that carries no gradient; an op with no vjps has no derivative.

    `notation` writes y and `derivatives` each input's derivative, in Python's syntax, of {0}, {1}
    (inputs), {y} and attributes by name. A derivative is the local factor (`{1}` for x*y), or, if
    it is written with {g}, the cotangent itself (`{g} @ {1}.T` for x@y).
    `lowering` is a C expression for elementwise families, else a note for the compiler.
    """

    name: str
    family: str
    forward: Callable[..., Any]
    vjps: Rules
    notation: str
    derivatives: tuple[str, ...]
    lowering: str
    domains: tuple[Domain, ...]
    samples: tuple[Sample, ...]
    broadcasts: bool = False

    def __post_init__(self) -> None:
        if self.name in registry:
            raise ValueError(f"there is an op named {self.name!r} already")
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
                if isinstance(x, list | tuple):
                    x = np.asarray(x)
                arrays.append(x)
            nodes.append(x)
        try:
            value = self.forward(*arrays, **attributes)
        except MinigradError:
            raise
        except (ValueError, TypeError, IndexError, ZeroDivisionError) as error:
            raise failure(self, arrays, attributes, error) from error
        if not any_tensor:
            return value
        if type(value) is not np.ndarray:
            value = np.asarray(value)
        kind = value.dtype.kind
        if kind not in "fiub":
            raise DtypeError(
                f"{self.name}: the result has dtype {value.dtype}, {UNSUPPORTED_DTYPE}"
            )
        if not (recorded and recording.get()):
            return Tensor.of(Node(value))
        requires_grad = requires_grad and kind == "f" and bool(self.vjps)
        return Tensor.of(Node(value, requires_grad, self, nodes, attributes, line()))

    def fit(self, cotangent: Any, shape: Shape) -> Any:
        """Bring a cotangent to its input's shape: sum over the axes it was broadcast along."""
        if not self.broadcasts:
            raise ShapeError(
                f"the vjp of {self.name} gave a cotangent of shape {np.shape(cotangent)} for an "
                f"input of shape {shape}: a rule must return the shape of its input"
            )
        return unbroadcast(cotangent, shape)

    def __repr__(self) -> str:
        return f"<{self.family} op {self.name}>"


UNSUPPORTED_DTYPE = "and Tensors hold real floats, integers and booleans only"


def unbroadcast(g: Any, shape: Shape) -> Any:
    """Sum g down to `shape`, the adjoint of broadcasting from it."""
    lead = g.ndim - len(shape)
    stretched = (k + lead for k, n in enumerate(shape) if n == 1 and g.shape[k + lead] != 1)
    return g.sum((*range(lead), *stretched)).reshape(shape)


def line() -> tuple[str, int] | None:
    """The user's file and line, for the node being made."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename.startswith(PACKAGE):
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def failure(op: Op, arrays: list[Any], attributes: dict[str, Any], error: Exception) -> Exception:
    """NumPy's refusal of a call, in words that name the op, what it was given and what to do."""
    given = ", ".join(describe(x) for x in arrays)
    extra = "".join(f", {name}={value!r}" for name, value in attributes.items())
    kind: type[MinigradError] = ShapeError
    if isinstance(error, np.exceptions.AxisError):
        ndim = np.ndim(arrays[0])
        advice = (
            f"an axis of this input is one of {-ndim}..{ndim - 1}" if ndim else "it has no axes"
        )
    elif isinstance(error, TypeError):
        kind, advice = DtypeError, str(error)
    elif "core dimension" in str(error):
        columns, rows = np.shape(arrays[0])[-1], np.shape(arrays[1])[-2]
        advice = (
            f"the {columns} columns of the first meet the {rows} rows of the second, and these "
            "must be as many: transpose one (x.T)?"
        )
    elif op.broadcasts and "broadcast" in str(error):
        advice = (
            "shapes broadcast when, aligned at the right, each pair of sizes is equal or has a 1: "
            "reshape one, or add an axis with x[:, None]"
        )
    else:
        advice = str(error)
    return kind(f"{op.name}({given}{extra}) does not work: {advice}")


def describe(x: Any) -> str:
    """An input as error messages show it: arrays by shape and dtype."""
    if isinstance(x, np.ndarray | np.generic):
        return f"{x.dtype} array of shape {x.shape}"
    return repr(x) if len(repr(x)) < 40 else f"{type(x).__name__} of shape {np.shape(x)}"


def implements(*functions: Any) -> Callable[[Any], Any]:
    """Register what computes these NumPy functions (or names NumPy lacks) on Tensors."""

    def register(implementation: Any) -> Any:
        for function in functions:
            implementations[function] = implementation
        return implementation

    return register
