"""Names of the user's in the text of an exported program."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad import Tensor
from minigrad.compiler.codegen.c import head
from minigrad.compiler.export.naming import in_line

pytestmark = pytest.mark.unoptimized
# Such as stand in a file of weights that somebody else wrote.
NAMES = [
    "a\\",
    "x\nint evil;",
    "x\rint evil;",
    "*/ int evil; /*",
    "a\u2028b",
    "`|`",
    "\x00",
    "\u00fc",
]


def files(name: str, folder: Path) -> dict[str, str]:
    """The C of a program that captures and returns an array of this name."""
    held = {name: Tensor(np.arange(3.0)), "z": Tensor(np.arange(3.0))}
    f = minigrad.compile(lambda x: {name: x * held[name] + held["z"]})
    f(np.ones(3))
    minigrad.export(folder / "program", f=f)
    paths = [folder / "program" / f"program.{ending}" for ending in "hc"]
    return {path.suffix: path.read_text(encoding="utf-8") for path in paths}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_ends_no_line_and_joins_none(name: str, tmp_path: Path) -> None:
    plain = files("plain", tmp_path / "plain")
    for ending, text in files(name, tmp_path / "other").items():
        assert text.isascii()
        code = [re.sub("//.*", "", line) for line in text.splitlines()]
        assert len(code) == len(plain[ending].splitlines())
        assert not any(re.search(r"\bevil\b", line) for line in code)
        comments = [line for line in text.splitlines() if "//" in line]
        assert not any(line.endswith("\\") for line in comments)


@pytest.mark.parametrize("compiler", ["gcc", "g++", "clang"])
def test_words_of_c_and_macros_are_no_names(compiler: str, tmp_path: Path) -> None:
    """In a folder that is searched for headers, and which is called as one of them."""
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler}")
    macros = re.findall(r"#define (\w+)(?!\()\b", head(16))
    words = ["int", "and", "xor", "explicit", "constexpr", "_Bool", "linux", "NULL", "EOF", "NAN"]
    words += ["gap_0_", "gap_1_", "scratch", "p", "calls", "int64_t", "", "7", "a b", "a.b", "a_b"]
    f = minigrad.compile(lambda x: {word: x + k for k, word in enumerate([*words, *macros])})
    f(np.ones(3))
    folder = tmp_path / "math"
    minigrad.export(folder, f=f)
    user = "#include <errno.h>\n#include <math.h>\n#include <stdio.h>\n#include <stdlib.h>\n"
    (tmp_path / "user.cc").write_text(f'{user}#include "math_.h"\n')
    files = [tmp_path / "user.cc"] + [folder / "math_.c"] * (compiler != "g++")
    kind = ["-x", "c++" if compiler == "g++" else "c"]
    command = [compiler, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{folder}", *kind]
    subprocess.run([*command, *map(str, files)], check=True)


def test_plain_names_stand_as_they_are() -> None:
    for name in ("model.0.weight", "optimizer.model.0.weight.exp_avg", "random numbers (3, 2)"):
        assert in_line(name) == name
    assert in_line("x\n") == '"x\\n"' and in_line("\u00fc") == '"\\u00fc"'
