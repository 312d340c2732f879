"""README and docs are run: Python sessions as doctests, commands as they are typed."""

import doctest
import importlib
import os
import re
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minigrad.compiler.codegen.deduplicate import KERNEL_GENERATORS
from minigrad.compiler.graph.opset.base import OPSET
from minigrad.compiler.graph.simplify import REWRITES
from minigrad.compiler.target.toolchain import compiler
from minigrad.dispatch import implementations
from minigrad.ops.base import registry
from tests.marks import rows

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = [
    (document, command, printed)
    for document in DOCUMENTS
    for block in re.findall(r"```console\n(.*?)```", document.read_text(), re.S)
    for command, printed in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M)
]
QUICK = "minigrad explain", "minigrad train moons"


# compile.md prints generated C, which needs a compiler.
SESSIONS = [document for document in DOCUMENTS if compiler() or document.name != "compile.md"]


@pytest.fixture
def registrations_undone() -> Iterator[None]:
    """Remove afterwards what the examples of the guide register."""
    # Which register entries of their own.
    for module in ("minigrad.compiler.jit", "minigrad.scipy.special"):
        importlib.import_module(module)
    tables: list[dict[Any, Any]] = [registry, implementations, OPSET, KERNEL_GENERATORS]
    before, rewrites = [dict(table) for table in tables], [*REWRITES]
    yield
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)
    REWRITES[:] = rewrites


@pytest.mark.unoptimized
@pytest.mark.usefixtures("registrations_undone")
@pytest.mark.parametrize("document", SESSIONS, ids=lambda path: path.name)
def test_python_sessions(document: Path) -> None:
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    with warnings.catch_warnings():
        if compiler() is None:  # compiled functions run on NumPy, with a warning
            warnings.simplefilter("ignore", RuntimeWarning)
        failed, tried = doctest.testfile(str(document), module_relative=False, optionflags=options)
    assert tried or document.name in (
        "gallery.md",
        "functions.md",
        "CONTRIBUTING.md",
    )  # without sessions
    assert not failed


@pytest.mark.parametrize(
    "row",
    rows(
        {f"{row[0].name}: {row[1]}": row for row in COMMANDS},
        slow=lambda row: not row[1].startswith(QUICK),
    ),
)
def test_commands(row: tuple[Path, str, str], tmp_path: Path) -> None:
    _, command, printed = row
    program, *arguments = shlex.split(command)
    assert program == "minigrad"
    run = subprocess.run(
        [sys.executable, "-m", "minigrad", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert run.returncode == 0, run.stderr
    if printed.strip():
        assert run.stdout.strip() == printed.strip()


def test_documents_hold_commands_and_links_that_lead_somewhere() -> None:
    assert COMMANDS
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert "://" in target or (document.parent / target).exists(), (document, target)


def test_makefile_has_the_commands_of_the_readme() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"make ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert {"demo", "test"} <= named <= targets
