"""`debug`: stops at the first op whose result is not finite, and names a likely cause."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from minigrad.errors import MinigradError, quoted
from minigrad.graph import INEXACT, Node, Operation
from minigrad.nonfinite import is_finite
from minigrad.ops.base import Op
from minigrad.scope import scope
from minigrad.tensor import Tensor, value_of
from minigrad.transforms.batched import is_batched
from minigrad.watch import Watcher, input_cotangents, watching
from minigrad.writes import Overwritten, overwritten


class NonFiniteError(MinigradError, FloatingPointError):
    """A value, or a derivative, that is infinite or not a number."""


@scope
@contextmanager
def debug() -> Iterator[None]:
    """Inside, stop at the first op, or step of the reverse pass, that gives a NaN or an infinity.

    It also stops where the reverse pass needs an array that something has written into since it was
    recorded, NumPy itself too: what was recorded inside is held against a checksum.

    The error names the op, statistics of its inputs, the line of the program, a likely cause and a
    fix. An infinity that an input holds already may be meant, as in a mask of -inf, and may be
    passed on in the forward pass; a NaN may not. NumPy's own warnings are off inside. It makes a
    program slower, and only that: also a decorator, per thread and per task, nests.

    Raises:
        NonFiniteError: at that op.
        GradientError: for a reverse pass through an op whose arrays are no longer what they were.

    >>> x = Tensor([1.0, 0.0], requires_grad=True)
    >>> with debug():
    ...     y = np.log(x)
    Traceback (most recent call last):
    minigrad.debugging.NonFiniteError: log gave -inf: 1 of 2 entries, the first at [1]
      input: float64 (2,), min 0, mean 0.5, max 1
      likely cause: the logarithm of zero
      to do: keep x above zero, as in np.log(x + 1e-12), ...
    """
    with np.errstate(all="ignore"), watching(Stop()):
        yield


class Stop(Watcher):
    """Raises the error. `sums` are checksums of the arrays of nodes, by the nodes' births."""

    def __init__(self) -> None:
        self.sums: dict[int, list[int]] = {}

    def applied(
        self, op: Op, inputs: tuple[Any, ...], attributes: dict[str, Any], output: Tensor
    ) -> None:
        inputs, output = tuple(map(whole, inputs)), whole(output)
        if output.node.op is not None:
            self.sums[output.node.birth] = checksums(output.node)
        if op.name == "updated":  # what is not written may never be read, as of np.empty_like
            inputs = inputs[1:]
            output = inputs[0] if isinstance(inputs[0], Tensor) else Tensor(inputs[0])
        value, arrays = output.data, list(map(value_of, inputs))
        if is_finite(value) or (not np.isnan(value).any() and any(map(has_infinity, arrays))):
            return
        stop(
            [f"{op.name} gave {extent(value)}", *statistics(arrays)],
            cause_of_input(inputs) or cause(FORWARD, op, arrays) or overflow(value, arrays),
        )

    def sent(self, node: Node, cotangent: Any, terms: list[tuple[Node, Any]]) -> None:
        assert node.op is not None
        check_unwritten(node, cotangent, self.sums.get(node.birth))
        cotangent = value_of(whole(cotangent))
        arrays = [value_of(whole(x)) for x in node.arrays]
        lines = [*statistics(arrays), f"cotangent: {describe(cotangent)}"]
        lines += [f"recorded {quoted(*node.line)}"] if node.line else []
        if not is_finite(cotangent):
            lines[0:0] = [f"the reverse pass brought {extent(cotangent)} back to {node.op.name}"]
            stop(lines, SUM)
        for source, term in terms:
            term = value_of(whole(term))
            if not is_finite(term):
                k = next(k for k, x in enumerate(node.inputs) if x is source)
                which = f"input {k + 1} of {node.op.name}" if len(arrays) > 1 else node.op.name
                lines[0:0] = [f"the reverse pass through {which} gave {extent(term)}"]
                found = cause(REVERSE, node.op, arrays) or overflow(term, [cotangent, *arrays])
                stop(lines, trapped(found, cotangent, term))


def whole(x: Any) -> Any:
    """x with the numbers of all entries, where a function is vmapped."""
    if not is_batched(x):
        return x
    numbers = value_of(x).everything()
    return Tensor(numbers) if isinstance(x, Tensor) else numbers


def checksums(node: Node) -> list[int]:
    """One for each of the arrays that the rules of a node may use."""
    arrays = [node.value, *node.arrays]
    return [zlib.crc32(x.tobytes()) if isinstance(x, np.ndarray) else 0 for x in arrays]


def check_unwritten(node: Node, cotangent: Any, before: list[int] | None) -> None:
    """If arrays have changed, run the vjps on `Overwritten` ones, which raise if they are read."""
    if before is None or any(type(x) is Overwritten for x in node.arrays):
        return
    if (now := checksums(node)) != before:
        changed = [one != other for one, other in zip(now, before, strict=True)]
        input_cotangents(overwritten(node, changed), value_of(cotangent))


def stop(lines: list[str], found: Cause) -> NoReturn:
    lines += [f"likely cause: {found.cause}", f"to do: {found.fix}"]
    raise NonFiniteError("\n  ".join(lines))


# Causes


@dataclass(frozen=True)
class Cause:
    """What may have led to it, and what to do; for these ops, when it is so of their inputs."""

    cause: str
    fix: str
    ops: str = ""
    holds: Callable[..., Any] = lambda *inputs: True


SAFE_INPUT = (
    "; and where np.where is to choose another value, give the op itself an input that is safe, "
    "as in np.{0}(np.where(x > 0, x, 1))"
)
LARGEST = "subtract the largest first, as softmax, log_softmax and logsumexp do"


def below(x: Any, bound: float) -> Any:
    """Where x is below a bound; complex numbers, which have no order, never are."""
    return np.zeros(np.shape(x), bool) if np.iscomplexobj(x) else x < bound


# The first one that holds is reported.
FORWARD = [
    Cause(
        "the logarithm of zero",
        "keep x above zero, as in np.log(x + 1e-12), or compute the logarithm of a probability by "
        "log_softmax, logsigmoid or cross_entropy" + SAFE_INPUT.format("log"),
        "log",
        lambda x: not np.any(below(x, 0)),
    ),
    Cause(
        "the logarithm of a negative number",
        "see why x is below zero" + SAFE_INPUT.format("log"),
        "log",
    ),
    Cause("the logarithm of 1 + x where x <= -1", "keep x above -1", "log1p"),
    Cause(
        "the root of a negative number: a difference that rounding makes negative, maybe",
        "np.sqrt(np.maximum(x, 0)), or see why x is below zero" + SAFE_INPUT.format("sqrt"),
        "sqrt",
    ),
    Cause(
        "a division by zero",
        "add a small number to the divisor, as in x / (y + 1e-12); for a mean, see whether there "
        "is anything to divide by; where np.where is to choose another value, divide by "
        "np.where(y == 0, 1, y)",
        "div mod floor_divide reciprocal",
        lambda *inputs: np.any(inputs[-1] == 0),
    ),
    Cause(
        "a negative number to a power that is no whole number",
        "take the power of np.abs(x) or of np.maximum(x, 0)",
        "pow",
        lambda x, n: np.any(below(x, 0) & (n != np.round(n))),
    ),
    Cause(
        "zero to a negative power, which is a division by zero",
        "keep x away from zero, as in (x + 1e-12) ** n",
        "pow",
        lambda x, n: np.any((x == 0) & (np.real(n) < 0)),
    ),
    Cause(
        "a pole: for arctanh at 1 and -1, for arctan at 1j and -1j",
        "keep inputs away from it",
        "arctan arctanh",
        lambda x: np.iscomplexobj(x) and np.any(np.abs(x) == 1),
    ),
    Cause(
        "an input outside of [-1, 1]",
        "np.clip(x, -1, 1), if rounding brought it there",
        "arcsin arccos arctanh",
    ),
    Cause("an input below 1", "np.maximum(x, 1), if rounding brought it there", "arccosh"),
    Cause(
        "the exponential of a number that is too large: in float32, of more than 88, in float64, "
        "of more than 709",
        f"{LARGEST}; or keep x small, as in np.minimum(x, 80)",
        "exp expm1 sinh cosh",
    ),
]

# In the reverse pass: where a derivative is infinite.
REVERSE = [
    Cause(
        "the derivative of the root is 1/(2*sqrt(x)), infinite at 0",
        "np.sqrt(x + 1e-12); of a sum of squares np.linalg.norm, which is flat at 0",
        "sqrt",
        lambda x: np.any(x == 0),
    ),
    Cause(
        "the derivative of the logarithm is 1/x, infinite at 0",
        "keep x above zero, as in np.log(x + 1e-12)",
        "log",
        lambda x: np.any(x == 0),
    ),
    Cause(
        "a division by zero",
        "add a small number to the divisor, as in x / (y + 1e-12)",
        "div mod reciprocal",
        lambda *inputs: np.any(inputs[-1] == 0),
    ),
    Cause(
        "the derivative of x**n is n*x**(n - 1), infinite at 0 for n below 1; that by n has the "
        "logarithm of x in it",
        "keep x above zero, as in (x + 1e-12) ** n",
        "pow",
        lambda x, n: np.any((x == 0) | below(x, 0)),
    ),
    Cause(
        "the derivative is infinite at the ends of where the function is defined",
        "np.clip(x, -1 + 1e-6, 1 - 1e-6); for arccosh np.maximum(x, 1 + 1e-6); of complex numbers "
        "keep away from 1 and -1",
        "arcsin arccos arctanh arccosh",
        lambda x: np.any(np.abs(x) == 1),
    ),
]

SUM = Cause(
    "the cotangent that the pass began with is not finite, or what several uses of this value "
    "sent back adds up to more than the dtype can hold",
    "see what backward(gradient) is given; scale the loss down; clip gradients where they arise, "
    "by minigrad.hook",
)


def cause(causes: list[Cause], op: Operation, arrays: list[Any]) -> Cause | None:
    fitting = (each for each in causes if op.name in each.ops.split() and each.holds(*arrays))
    return next(fitting, None)


def cause_of_input(inputs: tuple[Any, ...]) -> Cause | None:
    """The cause, for an input that was not finite before."""
    for x in inputs:
        if is_finite(value_of(x)):
            continue
        if isinstance(x, Tensor) and x.requires_grad and x.node.op is None:
            return Cause(
                f"{f'the parameter {x.name}' if x.name else 'a parameter'} is not finite: an "
                "update made it so, by a rate that is too high or a gradient that was not finite",
                "start again from finite weights, with a smaller learning rate or a warm-up, and "
                "optim.clip_grad_norm_; debug() around all of the training shows where it starts",
            )
        if np.isnan(value_of(x)).any():
            return Cause(
                "an input holds NaN: data with missing values, or what was computed before debug()",
                "look at np.isnan(data).any(), and fill or leave out what is missing",
            )
        return Cause(
            "infinities that cancel, as in inf - inf or 0*inf: what is -inf everywhere less its "
            "largest, maybe, or a mask of -inf that is multiplied rather than added",
            "np.where(mask, x, 0) where nothing is infinite, or a large number such as -1e9",
        )
    return None


def overflow(value: np.ndarray, arrays: list[Any]) -> Cause:
    """The cause if nothing else fits: numbers that grew."""
    largest = max((float(np.max(np.abs(x), initial=0)) for x in arrays), default=0.0)
    return Cause(
        f"numbers that are too large for {value.dtype}, which ends at "
        f"{np.finfo(value.dtype).max:.1e}: an input has {largest:.1e}. If it is while training, "
        "and the loss grew before, the learning rate is too high",
        "lower the rate, clip gradients (optim.clip_grad_norm_), or scale inputs and weights down",
    )


def trapped(found: Cause, cotangent: np.ndarray, term: np.ndarray) -> Cause:
    """With the trap of np.where, if it is that: what it did not choose has a cotangent of 0, and
    0 times an infinite derivative is NaN."""
    if not (np.isnan(term).any() and np.any(cotangent == 0)):
        return found
    return Cause(
        f"{found.cause}. The cotangent is 0 there, and 0*inf is NaN: np.where chose another value, "
        "maybe, but the reverse pass still differentiates both branches",
        "give the op itself an input that is safe, np.where(safe, op(np.where(safe, x, 1)), "
        f"other), or: {found.fix}",
    )


# Words


def has_infinity(x: Any) -> bool:
    return np.result_type(x).kind in INEXACT and bool(np.isinf(x).any())


def extent(value: np.ndarray) -> str:
    """What is not finite, how much of it, and where it begins."""
    bad = ~np.isfinite(value)
    first = value[bad][0] if value.ndim else value[()]
    if not value.ndim:
        return str(first)
    place = ", ".join(map(str, np.argwhere(bad)[0]))
    return f"{first}: {bad.sum():,} of {value.size:,} entries, the first at [{place}]"


def statistics(arrays: list[Any]) -> list[str]:
    numbered = len(arrays) > 1
    return [
        f"input{f' {k}' if numbered else ''}: {describe(x)}" for k, x in enumerate(arrays, start=1)
    ]


def describe(x: Any) -> str:
    """An input by its dtype, shape and statistics, of what is finite in it."""
    if np.ndim(x) == 0:
        return f"{np.asarray(x)[()]}"
    x = np.asarray(x)
    text = f"{x.dtype} {x.shape}"
    if x.dtype.kind not in INEXACT or not x.size:
        return text
    counts = {"nan": np.isnan(x).sum()}
    finite = x[np.isfinite(x)]
    if x.dtype.kind == "c":  # which have no order
        counts |= {"inf": np.isinf(x).sum()}
        finite, text = np.abs(finite), f"{text}, of abs"
    else:
        counts |= {"inf": np.isposinf(x).sum(), "-inf": np.isneginf(x).sum()}
    if finite.size:
        text += f", min {finite.min():.4g}, mean {finite.mean():.4g}, max {finite.max():.4g}"
    return text + "".join(f", {n:,} of {x.size:,} {name}" for name, n in counts.items() if n)
