"""Building WebAssembly, as far as it needs no compiler for it: tests/browser has the rest."""

from pathlib import Path

import pytest

from minigrad.compiler.target import webassembly
from minigrad.compiler.target.cache import BuildError

FILES = {"step.h": "enum { one = 1 };", "step.c": '#include "step.h"'}


@pytest.fixture
def compiler(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """A script in place of a compiler, and a file in which it notes what it is given."""
    script, noted = tmp_path / "cc", tmp_path / "noted"
    monkeypatch.setattr(webassembly, "compiler", lambda: str(script))
    return script, noted


def write_script(path: Path, *lines: str) -> None:
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(0o755)


def test_without_a_compiler_it_is_said_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webassembly, "compiler", lambda: None)
    with pytest.raises(BuildError, match=r"pip install 'minigrad-autograd\[compiler\]'"):
        webassembly.build(FILES)


def test_a_module_is_built_once(compiler: tuple[Path, Path]) -> None:
    script, noted = compiler
    write_script(
        script,
        f'echo "$@" >> {noted}',
        'while [ "$1" != -o ]; do last=$1; shift; done',
        'cat "$last" "$(dirname "$last")/step.h" > "$2"',
    )
    for _ in range(2):
        assert webassembly.build(FILES) == b'#include "step.h"enum { one = 1 };'
    (given,) = noted.read_text().splitlines()
    assert given.startswith("--target=wasm32-wasi") and given.endswith("-lm")
    assert webassembly.build(FILES | {"step.c": "int two;"}).startswith(b"int two;")
    assert len(noted.read_text().splitlines()) == 2


def test_a_compiler_that_fails_is_quoted(compiler: tuple[Path, Path]) -> None:
    script, _ = compiler
    write_script(script, "echo no such target >&2", "exit 1")
    with pytest.raises(BuildError, match=r"(?s)cc built no WebAssembly: .*ziglang.*no such target"):
        webassembly.build(FILES)


def test_a_compiler_that_cannot_be_run_is_named(compiler: tuple[Path, Path]) -> None:
    compiler[0].write_text("")
    with pytest.raises(BuildError, match="cc cannot be run"):
        webassembly.build(FILES)
