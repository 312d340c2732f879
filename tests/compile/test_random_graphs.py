"""Random programs, compiled, hold the numbers of NumPy's own run of them; and so do derivatives.

Many are compiled as one function, since each run of the C compiler costs; and most without its
optimisations, which takes it a fifth of the time. A failure names the program: it is printed, cut
down to the first line that is wrong, as code that runs.

    MINIGRAD_GRAPHS=20000 python -m pytest tests/compile/test_random_graphs.py

tries so many, and MINIGRAD_GRAPHS_FROM=1000 begins at another one.
"""

import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.compile import build
from minigrad.compile.compiled import compile
from minigrad.errors import MinigradError
from minigrad.ops.base import Op, registry
from minigrad.transforms import leaves_of
from minigrad.watch import Watcher, watching
from tests.compile.graphs import Program, random_program

GRAPHS = int(os.environ.get("MINIGRAD_GRAPHS", "2000"))
FIRST = int(os.environ.get("MINIGRAD_GRAPHS_FROM", "0"))
TOGETHER = 25  # in one compiled function
OPTIMIZED = 16  # of so many functions, one is built as those of users are


def order_of(program: Program) -> int:
    """To which derivative it is compared. They cost most of the time that building takes: of a
    quarter the first, of a quarter of these the second."""
    return 2 if program.seed % 16 == 0 else 1 if program.seed % 4 == 0 else 0


# What is computed of a program


def inputs_of(program: Program) -> list[np.ndarray]:
    return list(program.inputs.values())


def directions(program: Program) -> list[np.ndarray]:
    """For each input of floats, one to differentiate the gradient in."""
    rng = np.random.default_rng(program.seed)
    draws = [rng.uniform(-1, 1, x.shape) for x in inputs_of(program)]
    return [
        np.asarray(v.astype(x.dtype))
        for v, x in zip(draws, inputs_of(program), strict=True)
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


def eager(program: Program, order: int, single: type = np.float32) -> dict[str, Any]:
    """By NumPy, or where `single` is float64, all in that."""
    arrays = inputs_of(program), directions(program)
    inputs, vectors = map(widened, arrays) if single is np.float64 else arrays
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return evaluate(program.function(single), inputs, vectors, order)


class Reference:
    """What NumPy computes of a program: as it is, and in float64."""

    def __init__(self, program: Program, order: int | None = None) -> None:
        order = order_of(program) if order is None else order
        single = any(x.dtype == np.float32 for x in inputs_of(program))
        self.is_double = not single and "32" not in program.source and "sing" not in program.source
        plain, exact = eager(program, order), eager(program, order, np.float64)
        self.plain, self.exact = (dict(leaves_of(x)) for x in (plain, exact))

    def wrong(self, found: dict[str, Any]) -> str:
        """What is wrong with what was computed; or an empty text."""
        got = dict(leaves_of(found))
        assert got.keys() == self.plain.keys()
        texts = (self.difference(at, np.asarray(got[at])) for at in got)
        return next(filter(None, texts), "")

    def difference(self, at: str, got: np.ndarray) -> str:
        plain, exact = np.asarray(self.plain[at]), np.asarray(self.exact[at])
        if (got.dtype, got.shape) != (plain.dtype, plain.shape):
            return f"{at} is {got.dtype} {got.shape}, not {plain.dtype} {plain.shape}"
        if plain.dtype.kind != "f":
            return "" if np.array_equal(got, plain) else f"{at} is\n{got}\nnot\n{plain}"
        if not self.is_clear(plain, exact):
            return ""
        far = np.abs(got - exact)
        bound = self.bound(plain, exact)
        if (far <= bound).all():  # and there is no nan
            return ""
        return f"{at} is off by {np.max(far)}, of at most {bound}:\n{got}\nnot\n{exact}"

    def bound(self, plain: np.ndarray, exact: np.ndarray) -> float:
        """By the largest magnitude, and by how far NumPy itself is off in the dtype."""
        relative, least = (1e-10, 1e-12) if self.is_double else (2e-5, 2e-6)
        error = np.max(np.abs(plain - exact), initial=0)
        return float(20 * error + relative * np.max(np.abs(exact), initial=0) + least)

    def is_clear(self, plain: np.ndarray, exact: np.ndarray) -> bool:
        """Whether a derivative has numbers to compare: not where one is infinite, as that of a
        square root at 0; nor where NumPy has lost the digits."""
        if not np.isfinite(exact).all():
            return False
        error, largest = (np.max(np.abs(x), initial=0) for x in (plain - exact, exact))
        return bool(error < 1e-3 * largest + 1e-5)


# Compiling many


def run_compiled(programs: Sequence[Program]) -> list[dict[str, Any]]:
    """All of them, compiled as one function."""
    functions = [(program.function(), order_of(program)) for program in programs]

    def together(given: Any) -> Any:
        return [
            evaluate(function, inputs, vectors, order)
            for (function, order), (inputs, vectors) in zip(functions, given, strict=True)
        ]

    given = [(inputs_of(program), directions(program)) for program in programs]
    found: list[dict[str, Any]] = compile(together)(given)
    return found


def failures(programs: Sequence[Program]) -> Iterator[str]:
    """What is wrong, of each program where something is."""
    try:
        found = run_compiled(programs)
    except (ArithmeticError, LookupError, MinigradError, RuntimeError, TypeError, ValueError) as e:
        if len(programs) == 1:
            yield f"{type(e).__name__}: {e}\n\n{programs[0]}"
        else:
            half = len(programs) // 2
            parts = [*failures(programs[:half]), *failures(programs[half:])]
            yield from parts or [f"together only, of {seeds(programs)}: {type(e).__name__}: {e}"]
        return
    for program, results in zip(programs, found, strict=True):
        if text := Reference(program).wrong(results):
            yield explained(program, programs, text)


def seeds(programs: Sequence[Program]) -> list[int]:
    return [program.seed for program in programs]


def explained(program: Program, programs: Sequence[Program], text: str) -> str:
    """The first line that is wrong by itself; else, with which others it goes wrong."""
    for name, _ in program.lines:
        part = program.needed(name)
        if (found := Reference(part).wrong(run_compiled([part])[0])) != "":
            return f"seed {program.seed}: {found}\n\n{part}"
    if Reference(program).wrong(run_compiled([program])[0]):
        return f"seed {program.seed}: {text}\n\n{program}"
    others = list(programs)
    for other in programs:
        fewer = [x for x in others if x is not other]
        if other is not program and is_wrong(program, fewer):
            others = fewer
    return f"seed {program.seed}, but only beside {seeds(others)}: {text}\n\n{program}"


def is_wrong(program: Program, programs: Sequence[Program]) -> bool:
    return bool(Reference(program).wrong(run_compiled(programs)[programs.index(program)]))


def compare(programs: Sequence[Program]) -> None:
    found = list(failures(programs))
    assert not found, "\n\n".join([f"{len(found)} of {len(programs)} differ", *found[:3]])


@pytest.mark.parametrize("first", range(FIRST, FIRST + GRAPHS, TOGETHER))
def test_compiled_programs_compute_what_numpy_does(
    first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if first // TOGETHER % OPTIMIZED:
        monkeypatch.setattr(build, "FLAGS", [*build.FLAGS, "-O0"])
    compare([random_program(seed) for seed in range(first, first + TOGETHER)])


# Of the test itself


def test_a_seed_gives_one_program() -> None:
    for seed in range(20):
        one, other = random_program(seed), random_program(seed)
        assert str(one) == str(other)
        for x, y in zip(inputs_of(one), inputs_of(other), strict=True):
            np.testing.assert_array_equal(x, y)


def test_a_program_is_printed_as_code_that_runs() -> None:
    exec(str(random_program(7)), {})


class Names(Watcher):
    """The names of all ops that are applied."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def applied(self, op: Op, *rest: Any) -> None:
        self.names.add(op.name)


# What a user's program cannot apply by itself.
BY_HAND = {"hook"}


def test_programs_apply_every_op() -> None:
    names = Names()
    with watching(names), np.errstate(all="ignore"):
        for program in map(random_program, range(0, 1600, 4)):
            inputs = [minigrad.Tensor(x) for x in inputs_of(program)]
            evaluate(program.function(), inputs, directions(program), order_of(program))
    assert sorted(registry.keys() - names.names - BY_HAND) == []


def test_a_wrong_lowering_is_found() -> None:
    square = registry["square"]
    programs = [random_program(seed) for seed in range(1, 400, 2)]
    programs = [x for x in programs if "np.square(" in x.source][:3]
    before = square.lowering
    object.__setattr__(square, "lowering", "{0} * {0} * (1 + 1e-3f)")
    try:
        found = list(failures(programs))
    finally:
        object.__setattr__(square, "lowering", before)
    assert found and all("np.square(" in text for text in found)
    assert all(len(re.findall(r"^    v\d+ = ", text, re.M)) < 4 for text in found)  # cut down
    compare(programs)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("np.sin(", "np.tanh("), (" + ", " - "), ("F.linear(", "F.linear(0.999 * "), ("::2", "1::2")],
)
def test_another_program_is_found(right: str, wrong: str) -> None:
    programs = [x for x in map(random_program, range(300)) if right in x.source][:10]
    caught = 0
    for program in programs:
        lines = tuple((name, code.replace(right, wrong)) for name, code in program.lines)
        other = Program(program.seed, program.inputs, lines, program.outputs)
        try:
            found = eager(other, 0)
        except (ValueError, TypeError, MinigradError):  # of another shape, which no longer fits
            continue
        caught += bool(Reference(program, 0).wrong(found))
    assert caught >= 4  # some are of nothing, or add 0


def test_a_result_that_is_a_little_off_is_found() -> None:
    for program in map(random_program, range(1, 200, 2)):
        reference, found = Reference(program, 0), eager(program, 0)
        assert not reference.wrong(found)
        for at, x in enumerate(found["value"]):
            if x.size:
                others = [off(x) if k == at else y for k, y in enumerate(found["value"])]
                assert reference.wrong({"value": tuple(others)})


def off(x: np.ndarray) -> np.ndarray:
    """Another last entry."""
    other = np.array(x, order="C")
    last = other.reshape(-1)[-1:]
    last += np.array(1e-3 * (1 + np.max(np.abs(x))) if x.dtype.kind == "f" else 1, x.dtype)
    if x.dtype == bool:
        last[...] = ~np.array(x).reshape(-1)[-1:]
    return other


def test_what_differs_beside_others_only_is_told_so() -> None:
    programs = [random_program(seed) for seed in (1, 2, 3)]

    def wrong_of_several(programs: Sequence[Program]) -> list[dict[str, Any]]:
        found = [eager(program, 0) for program in programs]
        if len(programs) > 1:
            found[-1]["value"] = tuple(map(off, found[-1]["value"]))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.compile.test_random_graphs.run_compiled", wrong_of_several)
        (text,) = failures(programs)
    assert text.startswith("seed 3, but only beside [")
