"""Names of the user's in the text of an exported program."""

import re
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad import Tensor
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


def test_plain_names_stand_as_they_are() -> None:
    for name in ("model.0.weight", "optimizer.model.0.weight.exp_avg", "random numbers (3, 2)"):
        assert in_line(name) == name
    assert in_line("x\n") == '"x\\n"' and in_line("\u00fc") == '"\\u00fc"'
