"""The benchmark of single calls runs every row, and says where minigrad is slower."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import calls
from benchmarks.calls import FAMILIES, KINDS, Result, Row, WithMinigrad, measure, rows, summary


def test_every_row_runs_in_minigrad() -> None:
    results = [measure(row, {"minigrad": WithMinigrad()}, 1, 0) for row in rows([*FAMILIES])]
    assert len(results) > 150
    assert not {r.row.text: r.missing for r in results if r.missing}
    for result in results:
        value, *gradients = result.found["minigrad"]
        assert np.isfinite(value) and len(gradients) == len(result.row.names) > 0
        assert all(result.seconds("minigrad", kind) > 0 for kind in KINDS)


def result(text: str, ours: float, theirs: float) -> Result:
    taken = {
        (name, k): [t] for name, t in (("minigrad", ours), ("autograd", theirs)) for k in KINDS
    }
    found = {name: [np.array(t)] for name, t in (("minigrad", ours), ("autograd", theirs))}
    return Result(Row("unary", text), taken, found)


def test_rows_on_which_minigrad_is_slower_are_named() -> None:
    said = "\n".join(
        summary([result("np.exp(x)", 3, 1), result("-x", 1, 2)], ["minigrad", "autograd"])
    )
    assert "longer in 1" in said and "  3.00  np.exp(x)" in said and "-x" not in said


def test_other_numbers_are_a_problem() -> None:
    assert result("x", 1, 2).disagreements() and not result("x", 1, 1).disagreements()


def test_a_library_without_the_function_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    lacking = measure(Row("unary", "np.no_such_function(x)"), {"minigrad": WithMinigrad()}, 1, 0)
    assert "AttributeError" in lacking.missing["minigrad"]
    assert "not in minigrad: np.no_such" in "".join(summary([lacking], ["minigrad"]))


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert calls.main(["--families", "binary", "--peers", "autograd", "--rounds", "1"]) == 0
    assert "np.arctan2(x, y)" in capsys.readouterr().out
