"""Exported programs as C: the numbers of Python, with every compiler and on 32 bits."""

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.compiler.export.programs import CASES, NATIVE, Built, in_python, ready

WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
SCALAR = ["-std=c99", "-DMINIGRAD_SCALAR", *WARNINGS]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1", "-g"]
# By name: the compiler, its flags, and how far from Python its numbers may be.
BUILDS = {
    "gcc": (["gcc", *NATIVE], 0.0),
    "gcc without vectors": (["gcc", *SCALAR, "-O2"], 1e-3),
    "gcc for 32 bits": (["gcc", "-m32", "-msse2", "-mfpmath=sse", "-std=c99", "-O1"], 1e-3),
    "gcc for 32 bits without vectors": (["gcc", "-m32", *SCALAR, "-O1"], 1e-3),
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
