"""summary: the output, the parameters and the cost of each layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.arguments import checked
from minigrad.autograd import no_grad
from minigrad.errors import ArgumentError
from minigrad.nn.module import Module, first_names, tensors_in
from minigrad.ops.base import Op
from minigrad.pages import table
from minigrad.tensor import Tensor
from minigrad.watch import Watcher, watching


def of_einsum(*shapes: tuple[int, ...], subscripts: str) -> int:
    """As many as all axes have entries, each once."""
    terms = subscripts.replace("->", ",").split(",")
    sizes = {
        c: n
        for term, shape in zip(terms, shapes, strict=True)
        for c, n in zip(term, shape, strict=True)
    }
    return math.prod(sizes.values())


# The multiply-adds of an op, from the shapes of its inputs and of its result, and its attributes.
MULTIPLY_ADDS: dict[str, Callable[..., int]] = {
    "matmul": lambda x, w, y: math.prod(y) * x[-1],
    "linear": lambda x, w, y: math.prod(y) * x[-1],
    "dot": lambda x, w, y: math.prod(y) * x[-1],
    "outer": lambda x, w, y: math.prod(y),
    "einsum": of_einsum,
    # For each place of the kernel, of which a weight is used once: w has shape (O, C/groups, H, W).
    "conv2d": lambda x, w, y, **how: math.prod(y) * math.prod(w[1:]),
    "conv2d_input": lambda y, w, x, **how: math.prod(y) * math.prod(w[1:]),
    "conv2d_weight": lambda x, y, w, **how: math.prod(y) * math.prod(w[1:]),
}


TITLES = ["layer", "output", "parameters", "multiply-adds", "memory"]
INDENT = "\u2003"  # in HTML: a space that is not collapsed


@dataclass
class Row:
    """One call of a module, with its descendants.

    `memory`: the bytes of the results of its ops, which training keeps for the reverse pass.
    """

    name: str
    kind: str
    depth: int
    output: str = ""
    parameters: int = 0
    multiply_adds: int = 0
    memory: int = 0


@dataclass(repr=False)
class Summary:
    """A row for each call of a module, in order; prints as a table."""

    rows: list[Row]
    parameters: int
    trainable: int
    parameter_bytes: int

    def __repr__(self) -> str:
        from tabulate import tabulate

        text = tabulate(
            self._cells("  "),
            TITLES,
            disable_numparse=True,
            preserve_whitespace=True,
            colalign=("left", "left", "right", "right", "right"),
        )
        return f"{text}\n{self._total()}"

    def _repr_html_(self) -> str:
        """The table, for notebooks."""
        return f"{table(TITLES, self._cells(INDENT), texts=2)}<p>{self._total()}</p>"

    def _cells(self, indent: str) -> list[list[str]]:
        return [
            [
                indent * row.depth + (f"{row.name} ({row.kind})" if row.name else row.kind),
                row.output,
                f"{row.parameters:,}" if row.parameters else "",
                f"{row.multiply_adds:,}" if row.multiply_adds else "",
                size(row.memory),
            ]
            for row in self.rows
        ]

    def _total(self) -> str:
        frozen = self.parameters - self.trainable
        text = f"{self.parameters:,} parameters ({size(self.parameter_bytes)})"
        return f"{text}{f', of which {frozen:,} are frozen' if frozen else ''}"


@dataclass
class Meter(Watcher):
    """Adds up the costs of ops for all module calls in progress."""

    rows: list[Row] = field(default_factory=list)
    open: list[Row] = field(default_factory=list)

    def applied(
        self, op: Op, inputs: tuple[Any, ...], attributes: dict[str, Any], output: Tensor
    ) -> None:
        *arrays, value = (x.data if isinstance(x, Tensor) else x for x in (*inputs, output))
        shapes, of_op = [np.shape(x) for x in (*arrays, value)], MULTIPLY_ADDS.get(op.name)
        products = of_op(*shapes, **attributes) if of_op else 0
        # A view has no memory of its own.
        bytes_ = 0 if any(np.may_share_memory(value, x) for x in arrays) else value.nbytes
        for row in self.open:
            row.multiply_adds += products
            row.memory += bytes_

    def enter(self, module: Module, name: str) -> None:
        count = sum(parameter.size for parameter in module.parameters())
        row = Row(name, type(module).__name__, len(self.open), parameters=count)
        self.rows.append(row)
        self.open.append(row)

    def leave(self, output: Any) -> None:
        # Of an array, a layer that only reshapes makes an array.
        arrays = [output] if isinstance(output, np.ndarray) else tensors_in(output)
        self.open.pop().output = ", ".join(str(x.shape) for x in arrays)


@checked
def summary(module: Module, *inputs: Any) -> Summary:
    """A table of layers with output shapes, parameters and costs, by a forward pass in eval mode.

    Multiply-adds are those of the matrix products and convolutions that were run. Shared parameters
    are counted once; frozen ones are included.

    Args:
        module: any module.
        inputs: its inputs: arrays or Tensors, or shapes, as tuples, for arrays of zeros.

    Raises:
        ArgumentError: for other inputs.

    >>> from minigrad import nn
    >>> nn.summary(nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10)), (1, 784))
    layer         output      parameters    multiply-adds    memory
    ------------  --------  ------------  ---------------  --------
    Sequential    (1, 10)         25,450           25,408     464 B
      0 (Linear)  (1, 32)         25,120           25,088     256 B
      1 (ReLU)    (1, 32)                                     128 B
      2 (Linear)  (1, 10)            330              320      80 B
    25,450 parameters (101.8 kB)
    """
    arguments = [argument(module, x) for x in inputs]
    meter = Meter()
    with no_grad(), evaluating(module), metered(module, meter), watching(meter):
        module(*arguments)
    parameters = list(module.parameters())
    return Summary(
        meter.rows,
        sum(p.size for p in parameters),
        sum(p.size for p in parameters if p.requires_grad),
        sum(p.data.nbytes for p in parameters),
    )


def argument(module: Module, given: Any) -> Any:
    """An input as it is, or zeros of a shape, in the dtype of the parameters."""
    if isinstance(given, Tensor | np.ndarray):
        return given
    if isinstance(given, tuple) and all(isinstance(n, int | np.integer) for n in given):
        dtypes = (parameter.dtype for parameter in module.parameters())
        return np.zeros(given, next(dtypes, np.dtype(np.float32)))
    raise ArgumentError(
        f"an input is an array, a Tensor, or a shape such as (1, 784), and not {given!r}"
    )


@contextmanager
def evaluating(module: Module) -> Iterator[None]:
    """Eval mode inside the `with`; afterwards, each module is in the mode it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def metered(module: Module, meter: Meter) -> Iterator[None]:
    names = first_names(module)
    handles = []
    for part in names:
        enter = part.register_forward_pre_hook(lambda part, _: meter.enter(part, names[part]))
        leave = part.register_forward_hook(lambda part, _, output: meter.leave(output))
        handles += [enter, leave]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def size(bytes_: int) -> str:
    """Bytes as text with a unit.

    >>> size(336), size(101_800), size(2_500_000_000)
    ('336 B', '101.8 kB', '2.5 GB')
    """
    if bytes_ < 1000:
        return f"{bytes_} B"
    k = min(int(math.log10(bytes_)) // 3, 4)
    return f"{bytes_ / 1000**k:.1f} {'kMGT'[k - 1]}B"
