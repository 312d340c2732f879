"""Errors as notebooks show them: the user's own lines, and the message."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, nn
from minigrad.errors import ArgumentError, MinigradError, ShapeError, quoted, warn
from minigrad.training import fit


class Net(nn.Module):
    def __init__(self) -> None:
        self.body = nn.Sequential(nn.Linear(3, 2), nn.Linear(4, 2))

    def forward(self, x: Any) -> Any:
        return self.body(x)


def shown(error: MinigradError) -> list[str]:
    return "\n".join(error._render_traceback_()).splitlines()


def test_of_a_traceback_only_the_users_lines_are_shown() -> None:
    with pytest.raises(ShapeError) as caught:
        Net()(np.ones((2, 3), np.float32))
    lines = shown(caught.value)
    places = [line for line in lines if line.startswith(__file__)]
    assert len(places) == 2 and places[1].endswith(", in forward")
    assert lines[1:4:2] == ["    Net()(np.ones((2, 3), np.float32))", "    return self.body(x)"]
    assert lines[4].startswith("ShapeError: Linear(in_features=4, out_features=2, bias=True) takes")
    # The line that the message ends with elsewhere is shown above it.
    assert lines[5:] == ["  in Net.body.1 (Linear)"]


def test_an_error_from_a_line_that_is_not_among_them_names_it() -> None:
    error = ShapeError("it does not fit")
    assert shown(error)[0] == "ShapeError: it does not fit"
    assert shown(error)[-1].strip() == 'error = ShapeError("it does not fit")'


def test_an_error_of_a_wrong_call_of_ours() -> None:
    with pytest.raises(ArgumentError) as caught:
        fit(1, 2, 3, 4)  # type: ignore[arg-type]
    lines = shown(caught.value)
    assert lines[1].strip().startswith("fit(1, 2, 3, 4)")
    assert sum("fit(1, 2" in line for line in lines) == 1
    assert not any("minigrad/" in line and "tests/" not in line for line in lines[:2])


def test_lines_of_a_notebook_are_named_by_their_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    def name(path: str) -> Any:
        return ("Cell", "In[3]") if path == __file__ else None

    shell = SimpleNamespace(compile=SimpleNamespace(format_code_name=name))
    ipython: Any = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    with pytest.raises(ShapeError) as caught:
        bool(Tensor([1.0, 2.0]))
    assert shown(caught.value)[0].startswith("Cell In[3], line ")
    assert "\n  at Cell In[3], line " in str(caught.value)
    assert quoted("elsewhere.py", 7) == "at elsewhere.py:7"
    ipython.get_ipython = lambda: None  # imported, but not what runs
    assert quoted(__file__, 7).startswith(f"at {__file__}:7")


def test_a_warning_is_of_the_users_line() -> None:
    with pytest.warns(UserWarning, match="so it is") as caught:
        warn("so it is")
    assert caught[0].filename == __file__
