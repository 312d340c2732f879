"""Exported programs as C: the numbers of Python, with every compiler and on 32 bits."""

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad.compiler.export.c import write_c
from minigrad.transforms.trees import leaves_of
from tests.compiler.end_to_end.test_sizes import KINDS, arguments
from tests.compiler.export.programs import CASES, NATIVE, PLAIN, Built, in_python, program_of, ready
from tests.fuzz import kinds
from tests.fuzz.common import evaluate

WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
SCALAR = ["-std=c99", "-DMINIGRAD_SCALAR", *WARNINGS]
SSE = ["-m32", "-msse2", "-mfpmath=sse"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1", "-g"]
# By name: the compiler, its flags, and how far from Python its numbers may be.
BUILDS = {
    "gcc": (["gcc", *NATIVE], 0.0),
    "gcc without vectors": (["gcc", *SCALAR, "-O2"], 1e-3),
    "gcc for 32 bits": (["gcc", *SSE, "-std=c99", "-O1"], 1e-3),
    "gcc for 32 bits without vectors": (["gcc", *SSE, *SCALAR, "-O1"], 1e-3),
    "gcc with sanitizers": (["gcc", *NATIVE, *SANITIZERS], 1e-3),
    "gcc without vectors, with sanitizers": (["gcc", *SCALAR, *SANITIZERS], 1e-3),
    "clang": (["clang", "-std=c99", *WARNINGS, "-O2", "-march=native"], 1e-3),
    "zig": ([sys.executable, "-m", "ziglang", "cc", "-std=c99", "-O2", "-march=native"], 1e-3),
    "clang without vectors": (["clang", *SCALAR, "-O2"], 1e-3),
}


def builds(command: list[str], folder: Path) -> bool:
    """Whether the compiler is there, and libraries for what it is to build."""
    if not shutil.which(command[0]):
        return False
    (folder / "probe.c").write_text("#include <math.h>\nint main(void) { return 0; }\n")
    probe = [*command, str(folder / "probe.c"), "-o", str(folder / "probe")]
    return not subprocess.run(probe, capture_output=True).returncode


# Those that are not left to `make test-slow`.
QUICK = [
    ("mlp_with_adam", "gcc"),
    ("dropout", "gcc without vectors"),
    ("embedding", "gcc for 32 bits"),
    ("least_squares", "gcc without vectors, with sanitizers"),
    ("accumulated", "clang"),
    ("stopped", "gcc"),
]


@pytest.mark.parametrize(
    "case, build",
    [
        pytest.param(*pair, marks=[] if pair in QUICK else [pytest.mark.slow])
        for pair in itertools.product(CASES, BUILDS)
    ],
)
def test_a_program_gives_the_numbers_of_python(case: str, build: str, tmp_path: Path) -> None:
    command, tolerance = BUILDS[build]
    if not builds(command, tmp_path):
        pytest.skip(f"{' '.join(command[:2])} builds nothing here")
    made = CASES[case]()
    program = ready(made)
    calls = [made[1](k) for k in range(1000)]
    answers, _ = Built(program, tmp_path, *command).run(calls)
    for (why, found), expected in zip(answers, in_python(made, calls), strict=True):
        assert why == 0
        for x, y in zip(found.values(), expected, strict=True):
            assert x.dtype == y.dtype
            if tolerance:
                np.testing.assert_allclose(x, y, tolerance, tolerance)
            else:
                assert x.tobytes() == y.tobytes()


def test_a_bound_that_is_exceeded_is_refused(tmp_path: Path) -> None:
    if not builds(["gcc", *PLAIN], tmp_path):
        pytest.skip("there is no gcc")

    @minigrad.compile
    def halved(x: np.ndarray) -> np.ndarray:
        return minigrad.while_loop(lambda y: y > 1, lambda y: y / 2, x, bound=5)

    halved(np.array(3.0))
    program = program_of(f=halved)
    calls = [("f", {"x": np.array(x)}) for x in (32.0, 33.0, 0.5)]
    answers, _ = Built(program, tmp_path, "gcc", *PLAIN).run(calls)
    assert [why for why, _ in answers] == [0, 5, 0]
    assert [y.item() for why, found in answers for y in found.values() if not why] == [1.0, 0.5]


def test_bits_do_not_depend_on_the_number_of_threads_that_is_known(tmp_path: Path) -> None:
    """With loops over all rows, whose ends a compiler knows, it would add up in another order."""
    if not builds(["gcc", *NATIVE], tmp_path):
        pytest.skip("there is no gcc")
    drawn = kinds["unrolled_loops"].program(1)
    of = drawn.function()
    function = minigrad.compile(lambda *inputs: evaluate(of, inputs, [], order=1))
    expected = [x for _, x in leaves_of(function(*drawn.arrays()))]
    program = program_of(f=function)
    calls = [
        ("f", dict(zip((x.name for x in program.functions[0].inputs), drawn.arrays(), strict=True)))
    ]
    (answer,), _ = Built(program, tmp_path, "gcc", *NATIVE).run(calls)
    for x, y in zip(answer[1].values(), expected, strict=True):
        assert x.tobytes() == np.asarray(y).tobytes()


@pytest.mark.parametrize("dtype, n", [("f8", 10), ("f4", 12)])
def test_local_arrays_are_not_misplaced_in_the_red_zone(dtype: str, n: int, tmp_path: Path) -> None:
    """As gcc 12 does with the command of the README, which is for all processors: it crashed."""
    command = "gcc -O3 -march=native -fno-math-errno -fno-trapping-math -fopenmp-simd".split()
    if not builds(command, tmp_path):
        pytest.skip("there is no gcc")
    _, of, shapes = KINDS["broadcast_sums"]
    given = arguments(shapes(n), dtype, n)
    function = minigrad.compile(of)
    expected = [x for _, x in leaves_of(function(*given))]
    program = program_of(f=function)
    names = (x.name for x in program.functions[0].inputs)
    call = "f", dict(zip(names, given, strict=True))
    (answer,), _ = Built(program, tmp_path, *command).run([call])
    for x, y in zip(answer[1].values(), expected, strict=True):
        np.testing.assert_allclose(x, y, 1e-5, 1e-5)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize(
    "flag, message",
    [
        ("-ffast-math", "build without -ffast-math"),
        ("-Ofast", "build without -ffast-math"),
        ("-m32 -mno-sse", "needs -msse2 -mfpmath=sse"),
    ],
)
def test_flags_that_change_numbers_are_errors(
    compiler: str, flag: str, message: str, tmp_path: Path
) -> None:
    """A small CNN with dropout had another loss at its first step, on the x87 with -std=gnu11."""
    if not builds([compiler, *flag.split()], tmp_path):
        pytest.skip(f"{compiler} {flag} builds nothing here")
    program = ready(CASES["mlp_with_adam"]())
    write_c(program, tmp_path)
    command = [compiler, *flag.split(), "-fsyntax-only", str(tmp_path / f"{program.name}.c")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode and message in run.stderr


def test_a_program_that_computes_nothing_builds_without_a_warning(tmp_path: Path) -> None:
    nothing = minigrad.compile(lambda x: None)
    nothing(np.ones(3))
    (answer,), _ = Built(program_of(f=nothing), tmp_path, "gcc", "-std=c99", *WARNINGS).run(
        [("f", {"x": np.ones(3)})]
    )
    assert answer == (0, {})


def test_the_example_in_the_readme_builds(tmp_path: Path) -> None:
    """In C, and with the header in C++."""
    if not builds(["gcc"], tmp_path):
        pytest.skip("there is no gcc")
    program = ready(CASES["dropout"]())
    write_c(program, tmp_path)
    text = (tmp_path / "README.md").read_text()
    example = text[text.index("    #include <stdio.h>") : text.index("Its numbers are")]
    (tmp_path / "main.c").write_text(example)
    files = [str(tmp_path / "main.c"), str(tmp_path / "tested.c")]
    command = ["gcc", "-std=c99", *WARNINGS, "-O0", *files, "-o", str(tmp_path / "main"), "-lm"]
    subprocess.run(command, check=True)
    assert subprocess.run([tmp_path / "main"], check=True, capture_output=True).stdout == b""
    if shutil.which("g++"):
        (tmp_path / "main.cpp").write_text('#include "tested.h"\ntested_program p;\n')
        command = ["g++", *WARNINGS, "-fsyntax-only", str(tmp_path / "main.cpp")]
        subprocess.run(command, check=True)
