"""Random programs, compiled, hold the numbers of NumPy's own run of them; and so do derivatives.

Many are compiled as one function, since each run of the C compiler costs; and most without its
optimisations, which takes it a fifth of the time. A failure names the program: it is printed, cut
down to the first line that is wrong. `python -m tests.fuzz` tries more: see the README.md here.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.errors import MinigradError
from minigrad.ops.base import Op, registry
from minigrad.watch import Watcher, watching
from tests.draw import OWN
from tests.fuzz import kinds
from tests.fuzz.common import (
    MODULES,
    PLAIN,
    Kind,
    Program,
    Reference,
    compare,
    directions,
    eager,
    evaluate,
    failures,
)
from tests.fuzz.programs import random_program
from tests.marks import rows

FUNCTIONS = 1200  # random programs of the library's functions
FEW = 100  # of them in `make test`
TOGETHER = 25  # in one compiled function
OPTIMIZED = 16  # of so many functions, one is built as those of users are


@pytest.mark.parametrize(
    "first",
    rows(
        {str(k): k for k in range(0, FUNCTIONS, TOGETHER)},
        slow=lambda k: k >= FEW,
        unoptimized=lambda k: (k // TOGETHER + 1) % OPTIMIZED,
    ),
)
def test_compiled_programs_compute_what_numpy_does(first: int) -> None:
    compare([random_program(seed) for seed in range(first, first + TOGETHER)])


CLASSES = {x.name: x for x in kinds.values() if x.in_tests and x.name != "functions"}
AS_USERS = {"tails", "shares_of_threads"}  # what optimisation makes of loops is what they are for


@pytest.mark.parametrize("half", rows({"first": 0, "second": 1}, slow=bool))
@pytest.mark.parametrize("kind", rows(CLASSES, unoptimized=lambda kind: kind.name not in AS_USERS))
def test_classes_of_faults(kind: Kind, half: int) -> None:
    n = kind.in_tests // 2
    found = kind.wrong(range(half * n, half * n + n))
    assert not found, "\n\n".join(found[:3])


# Of the test itself


def test_a_seed_gives_one_program() -> None:
    for seed in range(20):
        one, other = random_program(seed), random_program(seed)
        assert str(one) == str(other)
        for x, y in zip(one.arrays(), other.arrays(), strict=True):
            np.testing.assert_array_equal(x, y)


def test_a_program_is_printed_as_a_function() -> None:
    program = random_program(7)
    names: dict[str, Any] = {**MODULES, "single": np.float32}
    exec(str(program), names)
    found = names["program"](*program.arrays())
    assert not Reference(program).wrong({"value": found})


class Names(Watcher):
    """The names of all ops that are applied."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def applied(self, op: Op, *rest: Any) -> None:
        self.names.add(op.name)


# What a user's program cannot apply by itself; what jumps where rounding changes; and the
# derivatives of determinants and diagonals, which few programs take.
BY_HAND = {"hook", "argpartition", "eig", "exponent", "nextafter", "spacing"}
BY_HAND |= {"cofactors", "second_cofactors", "from_diagonal"}


def test_programs_apply_every_op() -> None:
    names = Names()
    with watching(names), np.errstate(all="ignore"):
        for program in map(random_program, range(0, 2200, 4)):
            inputs = [minigrad.Tensor(x) for x in program.arrays()]
            evaluate(program.function(), inputs, directions(program), program.order)
    assert sorted(OWN.keys() - names.names - BY_HAND) == []


def test_a_wrong_lowering_is_found() -> None:
    square = registry["square"]
    programs = [random_program(seed) for seed in range(1, 400, 2)]
    programs = [x for x in programs if "np.square(" in x.source][:3]
    before = square.c
    object.__setattr__(square, "c", "{0} * {0} * (1 + 1e-3f)")
    try:
        found = list(failures(programs, PLAIN.compared))
    finally:
        object.__setattr__(square, "c", before)
    squares = "np.square(", "norm(", "loss("  # which call it
    assert found and all(any(name in text for name in squares) for text in found)
    assert all(len(re.findall(r"^    v\d+ = ", text, re.M)) < 6 for text in found)  # cut down
    compare(programs)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("np.sin(", "np.tanh("), (" + ", " - "), ("F.linear(", "F.linear(0.999 * "), ("::2", "1::2")],
)
def test_another_program_is_found(right: str, wrong: str) -> None:
    programs = [x for x in map(random_program, range(900)) if right in x.source][:20]
    caught = 0
    for program in programs:
        lines = tuple((name, code.replace(right, wrong)) for name, code in program.lines)
        program = replace(program, order=0)
        try:
            found = eager(replace(program, lines=lines))
        except (ValueError, TypeError, MinigradError):  # of another shape, which no longer fits
            continue
        caught += bool(Reference(program).wrong(found))
    assert caught >= 4  # some are of nothing, or add 0


def test_a_result_that_is_a_little_off_is_found() -> None:
    for program in map(random_program, range(1, 200, 2)):
        reference, found = Reference(program), eager(program)
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


def test_a_program_that_fails_only_beside_others_is_reported() -> None:
    programs = [random_program(seed) for seed in (1, 2, 3)]

    def wrong_of_several(programs: Sequence[Program]) -> list[str]:
        return [""] * (len(programs) - 1) + ["it is off" if len(programs) > 1 else ""]

    (text,) = failures(programs, wrong_of_several)
    assert text.startswith("seed 3, but only beside [")
