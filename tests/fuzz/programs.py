"""Random programs of NumPy functions, as text.

`random_program(seed)` is the same program each time. It is run while it is made, once as it is and
once in float64, so that what would make a comparison meaningless is never in it: values that are
not finite, or have lost their digits; and values so near to where a function jumps, or has a kink,
that rounding could take them to the other side.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minigrad.errors import MinigradError
from tests.fuzz.common import MODULES, NAMES, Kind, Lines, Program, kinds

Shape = tuple[int, ...]
LARGEST = 10_000  # entries of a value


def random_program(seed: int) -> Program:
    """The program of a seed. Derivatives cost most of the time that building takes: of a quarter
    the first is compared, of a quarter of these the second."""
    order = 2 if seed % 16 == 0 else 1 if seed % 4 == 0 else 0
    return replace(drawn(np.random.default_rng(seed)), seed=seed, order=order)


def drawn(rng: np.random.Generator) -> Program:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        return Builder(rng).built()


def with_derivatives(rng: np.random.Generator) -> Program:
    order = int(rng.choice(3, p=[3 / 4, 3 / 16, 1 / 16]))
    return replace(drawn(rng), order=order)


kinds["functions"] = Kind("functions", with_derivatives, together=25)


# Making them


class UnfitError(Exception):
    """What was tried cannot be in a program: something else is tried."""


Step = Callable[["Builder"], str]
steps: list[Step] = []
weights: list[float] = []


def step(weight: float) -> Callable[[Step], Step]:
    """Register what makes the expression of a line, and how often it is tried."""

    def register(function: Step) -> Step:
        steps.append(function)
        weights.append(weight)
        return function

    return register


class Builder(Lines):
    """A program that is being made, and the value of each name: `exact` in float64, `rounded`."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.is_single = bool(self.rng.random() < 0.75)
        self.exact: dict[str, Any] = {**MODULES, "single": np.float64}
        self.rounded: dict[str, Any] = self.exact | {"single": np.float32}
        self.names: list[str] = []

    def built(self) -> Program:
        self.fresh(self.shape())
        wanted = int(self.rng.integers(3, 11))
        chances = np.array(weights) / sum(weights)
        for _ in range(60):
            if len(self.lines) >= wanted:
                break
            self.attempt(steps[int(self.rng.choice(len(steps), p=chances))])
        used = {name for _, code in self.lines for name in NAMES.findall(code.partition("=")[2])}
        outputs = [name for name, _ in self.lines if name not in used]
        others = self.rng.choice(self.names, int(self.rng.integers(0, 3)))
        outputs += [str(name) for name in others if name not in outputs]
        program = Program(self.inputs, tuple(self.lines), ())
        return program.needed(*dict.fromkeys(outputs or self.names))

    def attempt(self, choice: Step) -> None:
        """Add a line, or nothing at all if it would not be fit."""
        inputs, names, lines = dict(self.inputs), list(self.names), list(self.lines)
        try:
            self.define(choice(self))
        except (UnfitError, ValueError, TypeError, IndexError, Warning, MinigradError):
            self.inputs, self.names, self.lines = inputs, names, lines

    def define(self, code: str) -> None:
        """Add a line, and one that scales it down if it is large."""
        name = f"v{len(self.lines)}"
        code = f"{name} = {code}"
        for values in (self.exact, self.rounded):
            exec(code, values)
        self.check(name)
        self.lines.append((name, code))
        self.names.append(name)
        if self.kind(name) == "f" and self.scale(name) > 5:
            self.define(f"{name} * {3 / self.scale(name):.2g}")

    def check(self, name: str) -> None:
        exact, rounded = self.exact[name], self.rounded[name]
        if not all(isinstance(x, np.ndarray | np.generic) for x in (exact, rounded)):
            raise UnfitError
        if exact.size > LARGEST or exact.ndim > 5 or exact.shape != rounded.shape:
            raise UnfitError
        if exact.dtype.kind in "iub":
            if not np.array_equal(exact, rounded) or (exact.size and np.abs(exact).max() > 1e6):
                raise UnfitError
            return
        is_number = exact.dtype.kind == "f" and np.isfinite(exact).all()
        if (
            not is_number
            or self.scale(name) > 1e3
            or self.error(name) > 1e-5 * self.scale(name) + 1e-6
        ):
            raise UnfitError

    # What values are like

    def kind(self, name: str) -> str:
        return np.asarray(self.exact[name]).dtype.kind

    def shape_of(self, name: str) -> Shape:
        return np.shape(self.exact[name])

    def scale(self, name: str) -> float:
        return float(np.max(np.abs(self.exact[name]), initial=0))

    def error(self, name: str) -> float:
        exact, rounded = np.asarray(self.exact[name]), np.asarray(self.rounded[name])
        return float(np.max(np.abs(exact - rounded.astype(exact.dtype)), initial=0))

    def margin(self, *names: str) -> float:
        """How far from a jump a value has to be, so that rounding does not take it there."""
        return max(20 * self.error(name) + 2e-5 * self.scale(name) + 1e-7 for name in names)

    def clear(self, distances: Any, *names: str) -> None:
        """Hold that all values are so far from where a function of these names jumps."""
        if np.size(distances) and np.min(np.abs(distances)) < self.margin(*names):
            raise UnfitError

    # What is drawn

    def size(self) -> int:
        u = self.rng.random()
        if u < 0.02:
            return 0
        if u < 0.85:
            return int(self.draw(1, 2, 3, 3, 4, 5, 5, 7, 8))
        return int(self.draw(16, 17, 17, 33, 33, 64, 130))

    def shape(self, ndim: int | None = None) -> Shape:
        n = int(self.draw(0, 1, 1, 2, 2, 2, 3, 3, 4)) if ndim is None else ndim
        while math.prod(shape := tuple(self.size() for _ in range(n))) > LARGEST // 4:
            pass
        return shape

    def fresh(self, shape: Shape, low: float = -2.0, high: float = 2.0) -> str:
        """A new input of floats."""
        values = self.rng.uniform(low, high, shape).astype(np.float32)
        is_single = self.is_single and not self.chance(0.1)
        return self.given(np.asarray(values if is_single else values.astype(np.float64)))

    def fresh_integers(self, shape: Shape, low: int, high: int) -> str:
        kind = self.draw(np.int64, np.int64, np.int32, np.int16)
        return self.given(np.asarray(self.rng.integers(low, high, shape).astype(kind)))

    def given(self, array: np.ndarray) -> str:
        name = f"x{len(self.inputs)}"
        self.inputs[name] = self.rounded[name] = array
        self.exact[name] = array.astype(np.float64) if array.dtype.kind == "f" else array
        self.names.append(name)
        return name

    def pick(self, kinds: str = "f", ndim: int = 0, largest: int = LARGEST) -> str:
        """A name of these kinds of values, of late ones rather than early ones."""
        fits = [
            name
            for name in self.names
            if self.kind(name) in kinds
            and len(self.shape_of(name)) >= ndim
            and math.prod(self.shape_of(name)) <= largest
        ]
        if not fits:
            if kinds == "f":
                return self.fresh(self.shape(self.draw(ndim, ndim, min(ndim + 1, 4))))
            raise UnfitError
        return fits[-1 - min(int(self.rng.geometric(0.5)) - 1, len(fits) - 1)]

    def partner(self, name: str, kinds: str = "f") -> str:
        """What broadcasts with it: another name, a new input, or a number."""
        shape = self.shape_of(name)
        if kinds == "f" and self.chance(0.15):
            return str(self.draw("0.7", "2", "-1.3", "np.float32(1.5)"))
        if self.chance(0.6):
            fits = [x for x in self.names if self.kind(x) in kinds and self.broadcasts(x, shape)]
            if fits:
                return str(self.draw(*fits))
        return self.fresh(self.broadcastable(shape))

    def broadcasts(self, name: str, shape: Shape) -> bool:
        try:
            return math.prod(np.broadcast_shapes(self.shape_of(name), shape)) <= LARGEST
        except ValueError:
            return False

    def broadcastable(self, shape: Shape) -> Shape:
        """A shape that broadcasts with this: axes of size 1, and some less or more."""
        found = tuple(self.size() if n == 1 and self.chance(0.3) else n for n in shape)
        found = tuple(1 if self.chance(0.25) else n for n in found)
        if self.chance(0.3):
            return found[int(self.rng.integers(0, len(found) + 1)) :]
        return (self.draw(1, 2, 3), *found) if self.chance(0.1) and len(found) < 4 else found

    def axes(self, name: str) -> Any:
        """An axis or several, negative ones too, or None for all."""
        n = len(self.shape_of(name))
        if not n or self.chance(0.15):
            return None
        if self.chance(0.6):
            return int(self.rng.integers(-n, n))
        chosen = self.rng.permutation(n)[: int(self.rng.integers(1, n + 1))]
        return tuple(int(k) - n * self.chance(0.3) for k in chosen)

    def axis(self, name: str) -> int:
        n = len(self.shape_of(name))
        if not n:
            raise UnfitError
        return int(self.rng.integers(-n, n))


# Elementwise

SMOOTH = """\
np.sin({x}) | np.cos({x}) | np.tanh({x}) | np.exp({x}) | np.exp(-{x}) | -{x} | np.square({x})
np.arctan({x}) | np.sinh({x}) | np.cosh({x} * 0.5) | np.arcsinh({x}) | np.expm1({x}) | +{x}
F.sigmoid({x}) | F.erf({x}) | F.gelu({x}) | F.silu({x}) | F.softplus({x}) | F.logsigmoid({x})
np.log({x} * {x} + 0.5) | np.sqrt({x} * {x} + 0.3) | np.log1p({x} * {x}) | {x} ** 2 | {x} ** 3
1 / ({x} * {x} + 0.6) | np.reciprocal({x} * {x} + 0.6) | np.arcsin(np.sin({x}) * 0.9)
np.arccos(np.tanh({x}) * 0.9) | np.arctanh(np.tanh({x}) * 0.8) | np.arccosh({x} * {x} + 1.3)
np.tan(np.tanh({x})) | ({x} * {x} + 0.4) ** 0.7 | ({x} * {x} + 0.4) ** -1.5 | 2.0 ** {x}
{x} * 1.5 - 0.25 | (1 - {x}) * {x} | np.exp2({x}) | np.degrees({x}) * 0.01 | np.power({x}, 2)
np.where(np.isnan({x}), 0.5, {x}) | np.where(np.isfinite({x}), {x}, 0.0)
np.where(np.isinf({x}), 1, {x}) | np.positive({x}) | np.log2({x} * {x} + 0.5)
np.real(np.exp({x} * 0.3j) * (1 - 2j)) | np.imag(np.conj({x} + 1j) * (2 + 1j))
np.nan_to_num({x}) | np.sign({x} + 2j).real | np.sinc({x} * 0.4) | np.i0({x} * 0.5)
np.logaddexp2({x}, 0.3) | np.angle({x} + 2j)
np.log10({x} * {x} + 0.5) | np.cbrt({x} * {x} + 0.5) | np.radians({x})""".replace(
    "\n", " | "
).split(" | ")
KINKED = """\
F.relu({x}) | np.abs({x}) | np.sign({x}) | np.fabs({x}) | F.leaky_relu({x}) | F.elu({x})
np.maximum({x}, 0.0) | np.minimum({x}, 0) | np.where({x} > 0, {x}, 0.1) | np.clip({x}, 0, None)
np.fmax({x}, 0.0) | np.fmax(0.1, {x}) | np.fmin({x}, 0.0) | np.copysign({x}, -1.0)
np.heaviside({x}, 0.5)
np.copysign(1.5, {x}) | np.signbit({x}) | {x} > 0 | {x} <= 0 | np.clip({x}, None, 0)
np.clip({x}, 0, 2000)""".replace("\n", " | ").split(" | ")
STEPPED = ["np.floor({x})", "np.ceil({x})", "np.trunc({x})", "{x} // 1", "np.remainder({x}, 1.0)"]


@step(14)
def smooth(b: Builder) -> str:
    return str(b.draw(*SMOOTH)).format(x=b.pick())


@step(4)
def kinked(b: Builder) -> str:
    x = b.pick()
    b.clear(b.exact[x], x)
    return str(b.draw(*KINKED)).format(x=x)


@step(2)
def stepped(b: Builder) -> str:
    x = b.pick()
    if b.chance(0.2):
        b.clear(b.exact[x] - np.floor(b.exact[x]) - 0.5, x)
        return f"np.rint({x})"
    b.clear(b.exact[x] - np.rint(b.exact[x]), x)
    return str(b.draw(*STEPPED)).format(x=x)


SMOOTH_OF_TWO = """\
{x} + {y} | {x} - {y} | {x} * {y} | {x} * {y} | {x} / ({y} * {y} + 0.5) | {y} - {x} | {y} + {x}
({x} * {x} + 0.3) ** {y} | np.logaddexp({x}, {y}) | np.hypot({x}, {y} * {y} + 0.5)
np.arctan2({x}, {y} * {y} + 0.5) | np.subtract({x}, {y}) | np.add({y}, {x})""".replace(
    "\n", " | "
).split(" | ")
KINKED_OF_TWO = (
    """\
np.maximum({x}, {y}) | np.minimum({x}, {y}) | np.where({x} > {y}, {x}, {y} * 2) | {x} < {y}
np.where({x} <= {y}, 0.5, {x}) | {x} != {y} | {x} == {y} | {x} >= {y} | np.greater({x}, {y})
""".replace("\n", " | ")
    .strip(" |")
    .split(" | ")
)


@step(12)
def smooth_of_two(b: Builder) -> str:
    x = b.pick()
    return str(b.draw(*SMOOTH_OF_TWO)).format(x=x, y=b.partner(x))


@step(4)
def kinked_of_two(b: Builder) -> str:
    x = b.pick()
    y = b.partner(x)
    names = [x, *(y for y in [y] if y in b.names)]
    b.clear(b.exact[x] - eval(y, b.exact), *names)
    return str(b.draw(*KINKED_OF_TWO)).format(x=x, y=y)


@step(2)
def modulo(b: Builder) -> str:
    x, by = b.pick(), float(b.draw(0.7, 1.7, -1.1))
    quotient = b.exact[x] / by
    b.clear((quotient - np.rint(quotient)) * by, x)
    codes = "{x} % {by}", "np.remainder({x}, {by})", "{x} // {by}", "np.fmod({x}, {by})"
    return str(b.draw(*codes)).format(x=x, by=by)


def condition(b: Builder) -> str:
    """A name of booleans, or a comparison."""
    fits = [name for name in b.names if b.kind(name) == "b"]
    if fits and b.chance(0.7):
        return str(b.draw(*fits))
    x = b.pick()
    b.clear(b.exact[x] - 0.2, x)
    return f"({x} > 0.2)"


@step(4)
def chosen(b: Builder) -> str:
    where = condition(b)
    shape = np.shape(eval(where, b.exact))
    x = b.pick()
    if not b.broadcasts(x, shape):
        x = b.fresh(b.broadcastable(shape))
    y = b.draw(b.partner(x), "0.0", "1")
    return f"np.where({where}, {x}, {y})" if b.chance(0.7) else f"{where} * {x}"


@step(4)
def of_booleans(b: Builder) -> str:
    x, y = condition(b), condition(b)
    codes = ["{x} & {y}", "{x} | {y}", "{x} ^ {y}", "~{x}", "np.logical_and({x}, {y})"]
    codes += ["np.logical_not({x})", "{x} + {y}", "{x} * {y}", "np.logical_xor({x}, {y})"]
    codes += ["np.logical_or({x}, {y})", "{x} == {y}", "np.maximum({x}, {y})", "{x} <= {y}"]
    return str(b.draw(*codes)).format(x=x, y=y)


@step(3)
def of_integers(b: Builder) -> str:
    fits = [name for name in b.names if b.kind(name) in "iu"]
    x = b.draw(*fits) if fits else b.fresh_integers(b.shape(), -20, 20)
    others = [name for name in fits if b.broadcasts(name, b.shape_of(x))]
    y = b.draw(*others, "3", "2") if others else "5"
    codes = "{x} + {y} | {x} * {y} | {x} - {y} | -{x} | np.abs({x}) | {x} & {y}"
    codes += " | np.bitwise_or({x}, {y}) | {x} ^ {y} | ~{x} | {x} % 7 | {x} // 3"
    codes += " | np.maximum({x}, {y}) | {x} < {y} | np.gcd({x}, {y}) | np.lcm({x}, {y})"
    codes += " | {x} << 2 | {x} >> 1 | {x} >> 2 | np.bitwise_count({x}) | np.ldexp(0.5, {x} % 5)"
    codes += " | {x} == {y} | {x} * 0.5 | {x} / 7 | np.sign({x}) | np.square({x}) | {x} % -5"
    codes += " | np.where({x} > {y}, {x}, {y}) | np.sum({x}) | np.max({x}, axis=-1) | {x} ** 2"
    return str(b.draw(*codes.split(" | "))).format(x=x, y=y)


@step(3)
def cast(b: Builder) -> str:
    x = b.pick("fiub")
    if b.kind(x) == "f":
        kind = str(b.draw("single", "np.float64", "np.int64", "np.int32", "bool"))
        if kind.startswith("np.int"):
            b.clear(b.exact[x] - np.rint(b.exact[x]), x)
        if kind == "bool":
            b.clear(b.exact[x], x)
    else:
        kind = str(b.draw("single", "np.float64", "np.int64", "np.int32"))
    return f"{x}.astype({kind})"


# Reductions and scans


@step(9)
def reduction(b: Builder) -> str:
    x = b.pick()
    how = str(b.draw("np.sum", "np.mean", "np.var", "F.logsumexp", "np.sum", "np.mean", "np.std"))
    axis, keepdims = b.axes(x), b.chance(0.4)
    if how == "np.std":
        b.clear(np.var(b.exact[x], axis=axis) > 0.01, x)
    return f"{how}({x}, axis={axis}, keepdims={keepdims})"


def rows_of(x: np.ndarray, axis: Any) -> np.ndarray:
    """What is reduced, as the last of two axes."""
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    reduced = [k % x.ndim for k in axes]
    others = [k for k in range(x.ndim) if k not in reduced]
    size = math.prod(x.shape[k] for k in reduced)
    return x.transpose(others + reduced).reshape(-1, size) if size else x.reshape(1, -1)


def gap(rows: np.ndarray) -> Any:
    """Between the largest and the next of each row."""
    if rows.shape[-1] < 2:
        return np.ones(1)
    top = np.partition(rows, (-2, -1), axis=-1)
    return top[..., -1] - top[..., -2]


@step(5)
def extreme(b: Builder) -> str:
    x, how = b.pick(), str(b.draw("max", "min", "nanmax", "nanmin", "argmax", "argmin", "ptp"))
    axis = b.axes(x)
    if how.startswith("arg") and isinstance(axis, tuple):
        axis = axis[0]
    rows = rows_of(np.asarray(b.exact[x]), axis)
    for sign in (1, -1) if how == "ptp" else (1,) if "max" in how else (-1,):
        b.clear(gap(sign * rows), x)
    if how.startswith("arg"):
        return f"np.{how}({x}, axis={axis})"
    return f"np.{how}({x}, axis={axis}, keepdims={b.chance(0.4)})"


@step(2)
def length(b: Builder) -> str:
    x = b.pick("f", 1)
    return f"np.linalg.norm({x}, axis={b.axis(x)}, keepdims={b.chance(0.4)})"


@step(1)
def searched(b: Builder) -> str:
    x, table = b.pick(), [-1.5, -0.5, 0.25, 1.0]
    b.clear(np.subtract.outer(b.exact[x], table), x)
    return f"np.searchsorted({table}, {x})"


@step(4)
def of_conditions(b: Builder) -> str:
    x = condition(b)
    how = b.draw("np.any", "np.all", "np.sum", "np.mean", "np.logical_or.reduce")
    axes = b.axes(x) if x in b.names else None
    return f"{how}({x}, axis={axes})"


@step(2)
def scan(b: Builder) -> str:
    x = b.pick("fi", 1, 2000)
    if b.chance(0.3):
        return f"np.cumprod(np.tanh({x}) + 0.5, axis={b.axis(x)})"
    return f"np.cumsum({x}, axis={b.axis(x)})"


@step(1)
def product(b: Builder) -> str:
    x = b.pick("f", 1, 400)
    return f"np.prod({x}, axis={b.axes(x)}, keepdims={b.chance(0.4)})"


# Movement


@step(4)
def reshaping(b: Builder) -> str:
    x = b.pick("fib")
    shape = list(b.shape_of(x))
    if len(shape) > 1 and b.chance(0.5):
        k = int(b.rng.integers(len(shape) - 1))
        shape[k : k + 2] = [shape[k] * shape[k + 1]]
    else:
        k = int(b.rng.integers(len(shape) + 1))
        n = shape[k] if k < len(shape) else 1
        by = [d for d in (2, 3, 5, 7, 13) if n % d == 0 and n]
        part = b.draw(*by) if by else 1
        shape[k : k + 1] = [part, n // part] if b.chance(0.5) else [n // part, part]
    if shape and 0 not in shape and b.chance(0.2):
        shape[-1] = -1
    return f"np.reshape({x}, {tuple(shape)})"


@step(4)
def transposing(b: Builder) -> str:
    x = b.pick("fib", 1)
    n = len(b.shape_of(x))
    axes = tuple(map(int, b.rng.permutation(n)))
    i, j = (int(b.rng.integers(-n, n)) for _ in range(2))
    codes = [f"np.transpose({x}, {axes})", f"{x}.T", f"np.swapaxes({x}, {i}, {j})"]
    return str(b.draw(*codes, codes[0], f"np.moveaxis({x}, {i}, {j})"))


def part_of(b: Builder, n: int) -> str:
    """A slice of an axis, or an integer."""
    if n and b.chance(0.15):
        return str(int(b.rng.integers(-n, n)))
    low, high = sorted(int(k) for k in b.rng.integers(0, n + 1, 2))
    step = int(b.draw(1, 1, 1, 2, 3))
    if b.chance(0.3):
        return f"{'' if high == n else high}:{low - 1 if low else ''}:-{step}"
    return f"{low or ''}:{high if high < n else ''}{f':{step}' if step > 1 else ''}"


@step(6)
def slicing(b: Builder) -> str:
    x = b.pick("fib", 1)
    parts = [part_of(b, n) if b.chance(0.6) else ":" for n in b.shape_of(x)]
    if b.chance(0.2) and len(parts) < 4:
        parts.insert(int(b.rng.integers(len(parts) + 1)), "None")
    if b.chance(0.15):
        parts = ["...", parts[-1]]
    return f"{x}[{', '.join(parts)}]"


@step(3)
def stretching(b: Builder) -> str:
    x = b.pick("fib", largest=1000)
    shape = tuple(b.size() if n == 1 else n for n in b.shape_of(x))
    shape = (int(b.draw(2, 3, 5)), *shape) if b.chance(0.5) and len(shape) < 4 else shape
    return f"np.broadcast_to({x}, {shape})"


@step(3)
def padding(b: Builder) -> str:
    x = b.pick("fi", 1)
    width = [tuple(int(b.draw(0, 0, 1, 2, 3)) for _ in range(2)) for _ in b.shape_of(x)]
    value = b.draw("", "", ", constant_values=1") if b.kind(x) == "f" else ""
    mode = ', mode="edge"' if b.chance(0.1) else value
    return f"np.pad({x}, {width}{mode})"


@step(3)
def joining(b: Builder) -> str:
    x = b.pick("fib")
    shape = b.shape_of(x)
    same = [name for name in b.names if b.shape_of(name) == shape]
    if b.chance(0.4) or not shape:
        n = len(shape)
        y = b.draw(*same)
        return f"np.stack([{x}, {y}], axis={int(b.rng.integers(-n - 1, n + 1))})"
    axis = int(b.rng.integers(len(shape)))
    other = b.fresh((*shape[:axis], b.size(), *shape[axis + 1 :]))
    parts = b.rng.permutation([x, str(b.draw(*same)), other, x][: int(b.draw(2, 3, 3, 4))])
    return f"np.concatenate([{', '.join(map(str, parts))}], axis={axis})"


@step(3)
def rearranging(b: Builder) -> str:
    x = b.pick("f", 1, 2000)
    axis = b.axis(x)
    n = b.shape_of(x)[axis]
    codes = [f"np.flip({x}, {axis})", f"np.roll({x}, {b.draw(1, -2, 5)}, axis={axis})"]
    codes += [f"np.repeat({x}, 2, axis={axis})", f"np.tile({x}, 2)", f"np.flip({x})"]
    codes += [f"np.diff({x}, axis={axis})", f"np.expand_dims({x}, {axis})", f"np.squeeze({x})"]
    codes += [f"np.split({x}, [{n // 2}], axis={axis})[{b.draw(0, 1)}]", f"np.ravel({x})"]
    codes += [f"np.array_split({x}, 3, axis={axis})[1]"]
    if len(b.shape_of(x)) > 1:
        codes += [f"np.diagonal({x})", f"np.triu({x})", f"np.tril({x}, -1)", f"np.rot90({x})"]
    return str(b.draw(*codes))


@step(2)
def sorting(b: Builder) -> str:
    x = b.pick("f", 1, 400)
    axis = b.axis(x)
    b.clear(np.diff(np.sort(b.exact[x], axis=axis), axis=axis), x)
    return str(b.draw("np.sort({x}, axis={axis})", "np.argsort({x}, {axis})")).format(
        x=x, axis=axis
    )


def places(b: Builder, n: int, shape: Shape) -> str:
    """Integers that index an axis of size n: written out, or a new input."""
    if not n:
        raise UnfitError
    if b.chance(0.5) or len(shape) != 1:
        return b.fresh_integers(shape, -n, n)
    return f"np.array({b.rng.integers(-n, n, shape).tolist()}, int)"


@step(4)
def gathering(b: Builder) -> str:
    x = b.pick("fi", 1, 3000)
    shape, many = b.shape_of(x), int(b.draw(1, 3, 7))
    how = b.draw("rows", "rows", "axis", "pairs", "along", "table")
    if how == "rows":
        return f"{x}[{places(b, shape[0], (many,))}]"
    if how == "table":
        return f"{x}[{places(b, shape[0], (2, many))}]"
    if how == "axis":
        axis = b.axis(x)
        return f"np.take({x}, {places(b, shape[axis], (many,))}, axis={axis})"
    if how == "pairs" and len(shape) > 1:
        return f"{x}[{places(b, shape[0], (many,))}, {places(b, shape[1], (many,))}]"
    axis = b.axis(x)
    index = b.fresh_integers(tuple(1 if k == axis % len(shape) else n for k, n in enumerate(shape)),
                             0, shape[axis])  # fmt: skip
    return f"np.take_along_axis({x}, {index}, axis={axis})"


@step(3)
def updating(b: Builder) -> str:
    """Values written into a copy."""
    x = b.pick("f", 1, 3000)
    shape = b.shape_of(x)
    if b.chance(0.4):
        many = int(b.draw(1, 2, 5))
        index, part = places(b, shape[0], (many,)), (many, *shape[1:])
    else:
        index = ", ".join(part_of(b, n) for n in shape[: int(b.draw(1, 1, 2))])
        part = np.shape(eval(f"{x}[{index}]", b.exact))
    value = b.draw("0", "1.5", b.fresh(part), b.fresh(part[1:]))
    return f"updated({x}, np.s_[{index}], {value})"


# Products, and what networks are made of


@step(7)
def matrix_product(b: Builder) -> str:
    x = b.pick("f", 1, 3000)
    shape = b.shape_of(x)
    depth, columns = shape[-1], int(b.draw(1, 2, 3, 5, 7, 16, 17, 33))
    how = b.draw("2-d", "2-d", "transposed", "vector", "stack", "from left", "gram")
    if how == "2-d":
        return f"{x} @ {b.fresh((depth, columns))}"
    if how == "transposed":
        return f"{x} @ {b.fresh((columns, depth))}.T"
    if how == "vector":
        return f"{x} @ {b.fresh((depth,))}"
    if how == "from left":
        n = shape[0] if len(shape) == 1 else shape[-2]
        left = b.draw((n,), (columns, n), (2, 1, columns, n))
        return f"{b.fresh(left)} @ {x}"
    if how == "gram":
        return f"{x} @ np.swapaxes({x}, -1, -2)"
    stack = tuple(1 if b.chance(0.4) else n for n in shape[:-2])
    stack = (int(b.draw(1, 2, 3)), *stack) if b.chance(0.4) else stack
    y = b.fresh((*stack, depth, columns))
    return f"np.matmul({x}, {y})" if b.chance(0.8) else f"np.einsum('...ij,...jk->...ik', {x}, {y})"


@step(3)
def linear(b: Builder) -> str:
    x = b.pick("f", 1, 3000)
    units = int(b.draw(1, 2, 3, 5, 10, 17))
    weight = b.fresh((units, b.shape_of(x)[-1]))
    bias = f", {b.fresh((units,))}" if b.chance(0.6) else ""
    return f"F.linear({x}, {weight}{bias})"


@step(1)
def einsum(b: Builder) -> str:
    i, j, k = (int(b.draw(1, 2, 3, 5, 7)) for _ in range(3))
    x, y = b.fresh((i, j)), b.fresh((j, k))
    codes = [f"np.einsum('ij,jk->ki', {x}, {y})", f"np.einsum('ij,jk->j', {x}, {y})"]
    return str(b.draw(*codes, f"np.tensordot({x}, {y}, axes=1)", f"np.outer({x}, {y})"))


@step(4)
def linear_algebra(b: Builder) -> str:
    """Of matrices that are symmetric, and have no eigenvalue near 0."""
    n, stack = int(b.draw(1, 2, 3, 5)), b.draw((), (), (2,))
    x, y = b.fresh((*stack, n, n)), b.fresh((n, 2))
    a = f"({x} @ np.swapaxes({x}, -1, -2) + 3 * np.eye({n}, dtype=single))"
    codes = ["cholesky({a})", "inv({a})", "det({a} * 0.3)", "slogdet({a})[1]", "pinv({a})"]
    codes += ["solve({a}, {y})", "eigvalsh({a})", "svd({a}, compute_uv=False)", "qr({a})[1]"]
    codes += [
        "matrix_rank({a})",
        "matrix_power({a} * 0.2, 3)",
        "norm({a}, 'nuc', axis=(-2, -1))",
        "cond({a}, 1)",
    ]
    return "np.linalg." + str(b.draw(*codes)).format(a=a, y=y)


@step(2)
def transforms(b: Builder) -> str:
    x = b.pick("f", 1, 500)
    codes = ["np.real(np.fft.fftn({x}))", "np.imag(np.fft.ifftn({x} * 1j, norm='ortho'))"]
    codes += ["np.fft.irfft(np.fft.rfft({x}, axis={k}) * 0.5, n=5, axis={k})"]
    return str(b.draw(*codes)).format(x=x, k=b.axis(x))


@step(2)
def of_vectors(b: Builder) -> str:
    x, y = b.fresh((int(b.draw(1, 3, 6)),)), b.fresh((int(b.draw(2, 5)),))
    codes = [
        "np.convolve({x}, {y})",
        "np.outer({x}, {y})",
        "np.diag({x})",
        "np.correlate({x}, {y})",
    ]
    codes += [
        "np.trace(np.outer({x}, {y}))",
        "np.triu(np.outer({x}, {y}))",
        "np.vander({x}, 3)",
        "np.kron({x}, {y})",
    ]
    return str(b.draw(*codes)).format(x=x, y=y)


@step(1)
def cross_product(b: Builder) -> str:
    return f"np.cross({b.fresh((3,))}, {b.fresh((int(b.draw(1, 2, 4)), 3))})"


def images(b: Builder) -> str:
    """A value of four axes, none of them empty: one that is there, or new."""
    fits = [
        name
        for name in b.names
        if b.kind(name) == "f" and len(s := b.shape_of(name)) == 4 and 0 < math.prod(s) < 1500
    ]
    if fits and b.chance(0.6):
        return str(b.draw(*fits))
    size = [int(b.draw(3, 5, 6, 7, 9)) for _ in range(2)]
    return b.fresh((int(b.draw(1, 2, 3)), int(b.draw(1, 2, 3, 4)), *size))


@step(4)
def convolving(b: Builder) -> str:
    x = images(b)
    _, channels, *_ = b.shape_of(x)
    groups = int(b.draw(1, 1, channels))
    out = groups * int(b.draw(1, 2, 3))
    kernel = tuple(int(b.draw(1, 2, 3)) for _ in range(2))
    how = f"stride={b.draw(1, 1, 2, (2, 1))}, padding={b.draw(0, 0, 1, (1, 2))}"
    if b.chance(0.2):
        weight = b.fresh((channels, out // groups, *kernel))
        return f"F.conv_transpose2d({x}, {weight}, {how}, groups={groups})"
    weight = b.fresh((out, channels // groups, *kernel))
    bias = f", {b.fresh((out,))}" if b.chance(0.5) else ""
    how += f", dilation={b.draw(1, 1, 1, 2, (1, 2))}"
    return f"F.conv2d({x}, {weight}{bias}, {how}, groups={groups})"


@step(3)
def pooling(b: Builder) -> str:
    x = images(b)
    kernel, stride, pad = (int(b.draw(*c)) for c in ((1, 2, 3), (1, 2, 3), (0, 0, 1)))
    pad = min(pad, kernel // 2)
    if b.chance(0.5):
        return f"F.avg_pool2d({x}, {kernel}, {stride}, {pad})"
    edge = [(0, 0), (0, 0), (pad, pad), (pad, pad)]
    padded = np.pad(b.exact[x], edge, constant_values=-1e9)
    seen = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (2, 3))
    b.clear(gap(seen.reshape(-1, kernel * kernel)), x)
    return f"F.max_pool2d({x}, {kernel}, {stride}, {pad})"


@step(5)
def normalizing(b: Builder) -> str:
    x = b.pick("f", 1, 3000)
    shape, axis = b.shape_of(x), b.axis(x)
    how = b.draw("softmax", "log_softmax", "layer_norm", "layer_norm", "rms_norm", "group_norm")
    if "softmax" in how:
        return f"F.{how}({x}, axis={axis})"
    if how == "group_norm":
        x = images(b)
        return f"F.group_norm({x}, {b.draw(1, b.shape_of(x)[1])}, eps=1e-2)"
    last = shape[-1:] if len(shape) == 1 or b.chance(0.7) else shape[-2:]
    weight = f", {b.fresh(last)}" if b.chance(0.6) else ""
    return f"F.{how}({x}, {last}{weight}, eps=1e-2)"


@step(3)
def losing(b: Builder) -> str:
    x = b.pick("f", 2, 2000)
    n, classes = b.shape_of(x)[0], math.prod(b.shape_of(x)[1:])
    scores = f"np.reshape({x}, {(n, classes)})"
    target = b.fresh_integers((n,), 0, classes)
    how = b.draw("cross_entropy", "cross_entropy", "mse_loss", "binary_cross_entropy_with_logits")
    if how == "cross_entropy":
        more = b.draw("", "", ", label_smoothing=0.1", ', reduction="sum"', ', reduction="none"')
        return f"F.cross_entropy({scores}, {target}{more})"
    return f"F.{how}({x}, {b.fresh(b.shape_of(x), 0.1, 0.9)})"


@step(1)
def attention(b: Builder) -> str:
    n, t, width = int(b.draw(1, 2)), int(b.draw(1, 3, 5, 8)), int(b.draw(1, 2, 4, 7))
    q, k, v = (b.fresh((n, t, width)) for _ in range(3))
    causal = ", is_causal=True" if b.chance(0.5) else ""
    return f"F.scaled_dot_product_attention({q}, {k}, {v}{causal})"


def used(programs: Sequence[Program]) -> set[str]:
    """The functions of NumPy and of this library that programs call, and their operators."""
    text = "\n".join(program.source for program in programs)
    return {*re.findall(r"\b(?:np|F)\.\w+", text), *re.findall(r" (\S{1,2}) ", text)}
