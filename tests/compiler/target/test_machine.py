"""What code is generated for, by what the C compiler says and by the environment."""

import os

import pytest

from minigrad.compiler.target import machine as target
from minigrad.compiler.target.machine import Machine
from minigrad.errors import ArgumentError


@pytest.mark.parametrize(
    ("macros", "vector", "registers"),
    [
        ("", 16, 16),  # SSE2, or no compiler
        ("#define __AVX__ 1", 32, 16),
        ("#define __AVX__ 1\n#define __AVX2__ 1", 32, 16),
        ("#define __AVX__ 1\n#define __AVX512F__ 1", 64, 32),
        ("#define __aarch64__ 1", 16, 32),
    ],
)
def test_vectors_and_registers_are_those_of_the_instruction_set(
    macros: str, vector: int, registers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "compiler", lambda: "cc")
    monkeypatch.setattr(target, "macros", lambda cc: macros)
    monkeypatch.setenv("MINIGRAD_THREADS", "3")
    assert target.machine.__wrapped__() == Machine(vector, registers, 3)


def test_threads_are_set_by_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, expected in (("1", 1), ("5", 5)):
        monkeypatch.setenv("MINIGRAD_THREADS", given)
        assert target.threads() == expected
    for wrong in ("0", "-1", "two", "1.5"):
        monkeypatch.setenv("MINIGRAD_THREADS", wrong)
        with pytest.raises(ArgumentError, match=f"MINIGRAD_THREADS.*{wrong}"):
            target.threads()
    monkeypatch.delenv("MINIGRAD_THREADS")
    assert target.threads() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("given", ["0", "-1", "two", "1025", "99999999999"])
def test_numbers_of_threads_that_are_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGRAD_THREADS", given)
    with pytest.raises(ArgumentError, match=f"from 1 to 1024, not '{given}'"):
        target.threads()
