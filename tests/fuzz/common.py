"""What all random programs have in common: drawing them, compiling many as one function, comparing
with NumPy's own run (and PyTorch's, where that is installed), cutting down what fails.

A class of programs is a `Kind`, registered by `kind(...)` on a function that draws a program from a
random generator. A kind whose programs need another way of running or comparing gives its own
`check`.
"""

from __future__ import annotations

import os
import re
import textwrap
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

import minigrad
import minigrad.functional as F
from minigrad.compiler import compile
from minigrad.compiler.target import costs
from minigrad.compiler.target import machine as target
from minigrad.compiler.target import toolchain as build
from minigrad.dispatch import implementations
from minigrad.errors import MinigradError
from minigrad.transforms.trees import leaves_of

NAMES = re.compile(r"\b[vx]\d+\b")
# x after x[i] = v, as a new array, where x must not be written into.
updated = implementations["updated"]
MODULES: dict[str, Any] = {"np": np, "F": F, "updated": updated}

# The errors that a program which cannot be compiled may raise.
REFUSALS = (ArithmeticError, LookupError, MinigradError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, eq=False)
class Program:
    """A function of arrays: lines of Python, each of which defines a name.

    `order` is up to which derivative it is compared. Floats are compared with a relative tolerance
    of the largest magnitude, `rtol` (None: by how far NumPy's own run is off from float64's);
    with `bits`, bit for bit, but for which NaN it is.
    """

    inputs: dict[str, np.ndarray]
    lines: tuple[tuple[str, str], ...]
    outputs: tuple[str, ...]
    seed: int = 0
    order: int = 0
    rtol: float | None = None
    bits: bool = False
    names: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The definition of a function of the inputs."""
        body = [*(code for _, code in self.lines), f"return {', '.join(self.outputs)},"]
        return "\n".join([f"def program({', '.join(self.inputs)}):", *(f"    {x}" for x in body)])

    def function(
        self, single: Any = np.float32, modules: Mapping[str, Any] = MODULES
    ) -> Callable[..., tuple[Any, ...]]:
        """It, with `single` as the type that it casts to."""
        names: dict[str, Any] = {**modules, "single": single, **self.names}
        exec(self.source, names)
        found: Callable[..., tuple[Any, ...]] = names["program"]
        return found

    def needed(self, *outputs: str) -> Program:
        """The part of it that these outputs take."""
        lines, wanted = [], set(outputs)
        for name, code in reversed(self.lines):
            if name in wanted:
                lines.append((name, code))
                wanted |= set(NAMES.findall(code))
        inputs = {name: x for name, x in self.inputs.items() if name in wanted}
        return replace(self, inputs=inputs, lines=tuple(reversed(lines)), outputs=outputs)

    def arrays(self) -> list[np.ndarray]:
        return list(self.inputs.values())

    def __str__(self) -> str:
        """As text: the inputs, short ones in full, and the function."""
        with np.printoptions(threshold=40, precision=9):
            rows = [
                f"{name}: {x.dtype} {x.shape}" + (f" {x!r}" if x.size <= 40 else "")
                for name, x in self.inputs.items()
            ]
        comment = textwrap.indent("\n".join(rows), "# ")
        return f"{comment}\n{self.source}" if rows else self.source


class Lines:
    """A program that is being drawn: inputs, and lines that each define a name."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.inputs: dict[str, np.ndarray] = {}
        self.lines: list[tuple[str, str]] = []

    def draw(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def given(self, array: Any) -> str:
        """A new input."""
        name = f"x{len(self.inputs)}"
        self.inputs[name] = np.asarray(array)
        return name

    def let(self, code: str) -> str:
        """A new line."""
        name = f"v{len(self.lines)}"
        self.lines.append((name, f"{name} = {code}"))
        return name

    def program(self, *outputs: str, **how: Any) -> Program:
        """Of these outputs, or of what no other line reads."""
        if not outputs:
            used = {x for _, code in self.lines for x in NAMES.findall(code.partition("=")[2])}
            outputs = tuple(name for name, _ in self.lines if name not in used)
        return Program(self.inputs, tuple(self.lines), outputs, **how)


# Kinds

Check = Callable[[Sequence[Program]], list[str]]


@dataclass(frozen=True)
class Kind:
    """A class of programs: the function that draws one, how many are compiled as one function, and
    how many `make test` runs in all.

    `check` returns for each of several programs what is wrong, or an empty string; `inside` is a
    context in which they are compiled and run; `torch`: whether PyTorch runs them as well.
    """

    name: str
    draw: Callable[[np.random.Generator], Program]
    together: int = 50
    check: Check | None = None
    inside: Callable[[], AbstractContextManager[Any]] = nullcontext
    torch: bool = False
    in_tests: int = 16

    def program(self, seed: int) -> Program:
        """The program of a seed, the same each time."""
        rng = np.random.default_rng([seed, zlib.crc32(self.name.encode())])
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return replace(self.draw(rng), seed=seed)

    def wrong(self, seeds: Sequence[int]) -> list[str]:
        """What is wrong with the programs of these seeds: a text for each that fails."""
        with self.inside():
            programs = [self.program(seed) for seed in seeds]
            return list(failures(programs, self.check or self.compared))

    def compared(self, programs: Sequence[Program]) -> list[str]:
        found = zip(programs, run_compiled(programs), strict=True)
        return [self.difference(program, results) for program, results in found]

    def difference(self, program: Program, found: dict[str, Any]) -> str:
        """What is wrong with what was computed: compiled, by Tensors, and beside PyTorch's."""
        reference = Reference(program)
        if text := reference.wrong(found):
            return text
        if text := reference.wrong(found | {"value": by_tensors(program)}):
            return f"eagerly: {text}"
        return torch_differs(program, found) if self.torch else ""


kinds: dict[str, Kind] = {}


def kind(
    together: int = 50, **how: Any
) -> Callable[[Callable[[Lines], Program]], Callable[[Lines], Program]]:
    """Register a function that draws a program, under its name."""

    def register(draw: Callable[[Lines], Program]) -> Callable[[Lines], Program]:
        name = draw.__name__
        kinds[name] = Kind(name, lambda rng: draw(Lines(rng)), together, **how)
        return draw

    return register


# What is computed of a program


def directions(program: Program) -> list[np.ndarray]:
    """For each input of floats, one to differentiate the gradient in."""
    rng = np.random.default_rng(program.seed)
    draws = [rng.uniform(-1, 1, x.shape) for x in program.arrays()]
    return [
        np.asarray(v.astype(x.dtype))
        for v, x in zip(draws, program.arrays(), strict=True)
        if x.dtype.kind == "f"
    ]


def scalar(program: Callable[..., Any]) -> Callable[..., Any]:
    """A number to differentiate, in which each entry of each output has another part."""

    def total(*inputs: Any) -> Any:
        parts = [0.0]
        for y in program(*inputs):
            if y.dtype.kind == "f":
                weights = np.cos(np.arange(y.size)).reshape(y.shape).astype(y.dtype)
                parts.append(np.sum(np.sin(y) * weights))
        return sum(parts)

    return total


def evaluate(
    program: Callable[..., Any], inputs: Sequence[Any], vectors: Sequence[Any], order: int
) -> dict[str, Any]:
    """Its outputs, gradient and product with the Hessian, up to an order."""
    floats = tuple(k for k, x in enumerate(inputs) if x.dtype.kind == "f")
    found: dict[str, Any] = {"value": program(*inputs)}
    if order > 0 and floats:
        found["grad"] = minigrad.grad(scalar(program), floats)(*inputs)
    if order > 1 and floats:
        found["hvp"] = minigrad.hvp(scalar(program), floats)(*inputs, tuple(vectors))
    return found


def widened(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [x.astype(np.float64) if x.dtype.kind == "f" else x for x in arrays]


@contextmanager
def silent() -> Iterator[None]:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if build.compiler():  # but of C that it does not take
            warnings.filterwarnings("error", "compiled functions run on NumPy")
        yield


def eager(program: Program, single: type = np.float32) -> dict[str, Any]:
    """By NumPy, or where `single` is float64, all in that."""
    arrays = program.arrays(), directions(program)
    inputs, vectors = map(widened, arrays) if single is np.float64 else arrays
    with silent():
        return evaluate(program.function(single), inputs, vectors, program.order)


def by_tensors(program: Program) -> tuple[np.ndarray, ...]:
    """The outputs, computed by Tensors."""
    with silent():
        found = program.function()(*(minigrad.Tensor(x) for x in program.arrays()))
    return tuple(y.data if isinstance(y, minigrad.Tensor) else np.asarray(y) for y in found)


class Reference:
    """What NumPy computes of a program: as it is, and in float64."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.plain = dict(leaves_of(eager(program)))
        self.exact = self.plain
        if program.rtol is None and not program.bits:
            self.exact = dict(leaves_of(eager(program, np.float64)))

    def wrong(self, found: dict[str, Any]) -> str:
        """What is wrong with what was computed; or an empty text."""
        got = dict(leaves_of(found))
        assert got.keys() == self.plain.keys()
        texts = (self.difference(at, np.asarray(got[at])) for at in got)
        return next(filter(None, texts), "")

    def difference(self, at: str, got: np.ndarray) -> str:
        plain, exact = np.asarray(self.plain[at]), np.asarray(self.exact[at])
        got, plain = (x.astype(x.dtype.newbyteorder("="), copy=False) for x in (got, plain))
        if (got.dtype, got.shape) != (plain.dtype, plain.shape):
            return f"{at} is {got.dtype} {got.shape}, not {plain.dtype} {plain.shape}"
        if plain.dtype.kind != "f":
            return "" if np.array_equal(got, plain) else shown(at, got, plain)
        if self.program.bits:
            return "" if same_bits(got, plain) else shown(at, got, plain)
        if self.program.rtol is not None:
            return "" if close(got, plain, self.program.rtol) else shown(at, got, plain)
        if not is_clear(plain, exact):
            return ""
        far = np.abs(got - exact)
        bound = bound_of(plain, exact, self.is_double)
        if (far <= bound).all():  # and there is no nan
            return ""
        return f"{at} is off by {np.max(far)}, of at most {bound}:\n{got}\nnot\n{exact}"

    @property
    def is_double(self) -> bool:
        single = any(x.dtype == np.float32 for x in self.program.arrays())
        return not single and not re.search("32|sing", self.program.source)


def bound_of(plain: np.ndarray, exact: np.ndarray, is_double: bool) -> float:
    """By the largest magnitude, and by how far NumPy itself is off in the dtype."""
    relative, least = (1e-10, 1e-12) if is_double else (2e-5, 2e-6)
    error = np.max(np.abs(plain - exact), initial=0)
    return float(20 * error + relative * np.max(np.abs(exact), initial=0) + least)


def is_clear(plain: np.ndarray, exact: np.ndarray) -> bool:
    """Whether a derivative can be compared: it is finite (unlike that of a square root at 0), and
    NumPy has not lost its digits."""
    if not np.isfinite(exact).all():
        return False
    error, largest = (np.max(np.abs(x), initial=0) for x in (plain - exact, exact))
    return bool(error < 1e-3 * largest + 1e-5)


def same_bits(got: np.ndarray, plain: np.ndarray) -> bool:
    """The same numbers, and signs of zeros; any NaN for a NaN."""
    same = np.array_equal(got, plain, equal_nan=True)
    here = ~np.isnan(plain)
    return bool(same and np.array_equal(np.signbit(got)[here], np.signbit(plain)[here]))


def close(got: np.ndarray, plain: np.ndarray, rtol: float) -> bool:
    """Each number to a relative tolerance; NaN, infinities and denormals, as they are."""
    least = float(np.finfo(plain.dtype).smallest_subnormal)
    with np.errstate(all="ignore"):
        return bool(np.isclose(got, plain, rtol, 4 * least, equal_nan=True).all())


def shown(at: str, got: np.ndarray, plain: np.ndarray) -> str:
    with np.errstate(all="ignore"), np.printoptions(precision=9):
        text = f"{at} is\n{got!r}\nnot\n{plain!r}"
        if got.size > 40:
            differ = ~((got == plain) | ((got != got) & (plain != plain)))
            where = np.argwhere(differ)[:5]
            pairs = [f"{tuple(map(int, k))}: {got[*k]!r} not {plain[*k]!r}" for k in where]
            text += f"\nfirst of {int(differ.sum())}: " + "; ".join(pairs)
    return text


# PyTorch


@cache
def torch_modules() -> dict[str, Any] | None:
    """NumPy's functions as PyTorch computes them; None where that is not installed."""
    if os.environ.get("MINIGRAD_FUZZ_TORCH") != "1":
        return None
    try:
        import torch
        import torch._numpy
    except ImportError:
        return None
    torch.set_num_threads(1)
    functions: Any = torch._numpy
    return {"np": functions, "single": functions.float32}


compared_with_torch = [0]


def torch_differs(program: Program, found: dict[str, Any]) -> str:
    """How what was computed differs from what PyTorch computes, where it has the ops."""
    modules = torch_modules()
    if modules is None or "signbit" in program.source:  # the sign of a zero is as NumPy has it
        return ""
    given = max((float(np.max(np.abs(x), initial=0)) for x in program.arrays()), default=0.0)
    try:
        with silent():
            run = program.function(modules["single"], modules)
            values = run(*(modules["np"].asarray(x.copy()) for x in program.arrays()))
    except (AttributeError, NotImplementedError, TypeError, RuntimeError):
        return ""
    compared_with_torch[0] += 1
    for k, (got, other) in enumerate(zip(found["value"], values, strict=True)):
        theirs = np.asarray(other.tensor.detach().numpy() if hasattr(other, "tensor") else other)
        got = np.asarray(got)
        if got.shape != theirs.shape:
            return f"value[{k}] is of shape {got.shape}, and {theirs.shape} by PyTorch"
        if got.dtype.kind != "f":
            if not np.array_equal(got, theirs):
                return "by PyTorch: " + shown(f"value[{k}]", got, theirs)
            continue
        # After cancellation, the result may consist of the inputs' rounding errors alone.
        largest = np.max(np.abs(theirs[np.isfinite(theirs)]), initial=given)
        with np.errstate(all="ignore"):
            if not np.isclose(got, theirs, 1e-4, 1e-5 * largest + 1e-30, equal_nan=True).all():
                return "by PyTorch: " + shown(f"value[{k}]", got, theirs)
    return ""


# Compiling many, and what fails


def run_compiled(programs: Sequence[Program]) -> list[dict[str, Any]]:
    """All of them, compiled as one function."""
    functions = [(program.function(), program.order) for program in programs]

    def together(given: Any) -> Any:
        return [
            evaluate(function, inputs, vectors, order)
            for (function, order), (inputs, vectors) in zip(functions, given, strict=True)
        ]

    given = [(program.arrays(), directions(program)) for program in programs]
    with silent():
        found: list[dict[str, Any]] = compile(together)(given)
    return found


def failures(programs: Sequence[Program], check: Check) -> Iterator[str]:
    """What is wrong, of each program where something is."""
    try:
        found = check(programs)
    except REFUSALS as e:
        if len(programs) == 1:
            yield f"seed {programs[0].seed}: {type(e).__name__}: {e}\n\n{programs[0]}"
        else:
            half = len(programs) // 2
            parts = [*failures(programs[:half], check), *failures(programs[half:], check)]
            yield from parts or [f"together only, of {seeds(programs)}: {type(e).__name__}: {e}"]
        return
    for program, text in zip(programs, found, strict=True):
        if text:
            yield explained(program, programs, text, check)


def seeds(programs: Sequence[Program]) -> list[int]:
    return [program.seed for program in programs]


def explained(program: Program, programs: Sequence[Program], text: str, check: Check) -> str:
    """The first line that is wrong by itself; else, with which others it goes wrong."""
    for name in (name for name, _ in program.lines if name):  # a write defines none
        part = program.needed(name)
        if found := alone(part, check):
            return f"seed {program.seed}: {found}\n\n{part}"
    if alone(program, check):
        return f"seed {program.seed}: {text}\n\n{program}"
    others = list(programs)
    for other in programs:
        fewer = [x for x in others if x is not other]
        if other is not program and check(fewer)[fewer.index(program)]:
            others = fewer
    return f"seed {program.seed}, but only beside {seeds(others)}: {text}\n\n{program}"


def alone(program: Program, check: Check) -> str:
    try:
        return check([program])[0]
    except REFUSALS:  # a part that makes no program
        return ""


def compare(programs: Sequence[Program]) -> None:
    """Raise AssertionError if any is wrong."""
    found = list(failures(programs, PLAIN.compared))
    assert not found, "\n\n".join([f"{len(found)} of {len(programs)} differ", *found[:3]])


PLAIN = Kind("plain", lambda rng: Lines(rng).program())


# Contexts


@contextmanager
def with_costs(**values: int) -> Iterator[None]:
    """Inside, the compiler has these cost constants."""
    before = {name: getattr(costs, name) for name in values}
    vars(costs).update(values)
    try:
        yield
    finally:
        vars(costs).update(before)


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Inside, kernels are shared by so many threads, however small they are."""
    given = os.environ.get("MINIGRAD_THREADS")
    try:
        os.environ["MINIGRAD_THREADS"] = str(n)
        target.machine.cache_clear()
        with with_costs(MIN_SHARED_KERNEL=0, MIN_SHARED_ROUND=0, MIN_SHARED_PROGRAM=0):
            yield
    finally:
        os.environ.pop("MINIGRAD_THREADS")
        if given is not None:
            os.environ["MINIGRAD_THREADS"] = given
        target.machine.cache_clear()
