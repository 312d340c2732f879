"""Compiled functions without a compiler."""

from collections.abc import Iterator

import pytest

from minigrad.compiler import jit
from minigrad.compiler.graph.simplify import simplify
from minigrad.compiler.runtime.interpreter import NumpyProgram


@pytest.fixture
def on_numpy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is compiled is run by NumPy, op by op: no C compiler takes its time."""
    monkeypatch.setattr(jit, "begin_build", lambda graph: lambda: NumpyProgram(simplify(graph)))
    yield
