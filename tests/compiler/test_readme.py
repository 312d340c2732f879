"""The README of the compiler: it names every module, and its walk is the way of a softmax."""

import re
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.compiler.target.machine import machine
from minigrad.compiler.target.toolchain import compiler
from minigrad.functional import softmax
from tests.test_house import ROOMS

FOLDER = Path(minigrad.__file__).parent / "compiler"
TEXT = (FOLDER / "README.md").read_text()
WALK = TEXT[TEXT.index("## A newcomer's walk") : TEXT.index("## Glossary")]


def paths_in(text: str) -> list[str]:
    return re.findall(r"`([\w/]+\.(?:py|c|h))`", text)


def test_every_module_is_named_and_every_name_exists() -> None:
    modules = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.py")}
    named = {path for path in paths_in(TEXT) if not path.startswith("tests/")}
    assert {path for path in modules if not path.endswith("/__init__.py")} <= named
    assert not [path for path in named if not (FOLDER / path).is_file()]
    for link in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (FOLDER / link).exists(), link


def test_the_import_order_is_that_of_the_house() -> None:
    (order,) = re.findall(r"\n(target, .*)\.\n", TEXT)
    assert order.split(", ") == [room for (room,) in ROOMS["compiler"]]


def test_the_walk_returns_at_most_three_times() -> None:
    visited = [path for path, _ in groupby(paths_in(WALK))]
    assert len(visited) - len({*visited}) <= 3


@pytest.mark.unoptimized
@pytest.mark.skipif(compiler() is None, reason="there is no C compiler")
def test_compiling_a_softmax_goes_through_the_files_of_the_walk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path))
    machine.cache_clear()
    entered: dict[str, None] = {}

    def note(frame: Any, event: str, _: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and FOLDER in path.parents:
            entered.setdefault(str(path.relative_to(FOLDER)))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        f = minigrad.compile(lambda x: softmax(x, axis=1))
        f(np.ones((1000, 32)))
    finally:
        sys.setprofile(before)
    walk = [*dict.fromkeys(paths_in(WALK))]
    assert not [path for path in walk if path not in entered]
    (shown,) = re.findall(r"```c\n(.*?)```", WALK, re.S)
    lines = [line.strip() for line in shown.splitlines() if line.strip() not in ("", "...")]
    source = f.explain().source
    assert not [line for line in lines if line not in source]
