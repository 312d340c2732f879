"""The numbers of a training, by name."""

from typing import Any

import numpy as np
import pytest

from minigrad.training import History

ROWS = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0, "accuracy": 0.5}]


def test_a_name_gives_the_column_of_the_rows_that_have_it() -> None:
    history = History(ROWS)
    assert history["loss"] == [3, 2]
    assert history["accuracy"] == [0.5]
    assert len(history) == 2
    assert history.last is ROWS[1]


def test_a_name_that_is_not_there_lists_those_that_are() -> None:
    with pytest.raises(KeyError, match="no 'los' in this history: it has step, loss, accuracy"):
        History(ROWS)["los"]
    with pytest.raises(KeyError, match="it has no rows"):
        History()["loss"]


def test_it_prints_as_a_table_of_rows_from_the_first_to_the_last() -> None:
    history = History([{"step": 1000 * k, "loss": 1.0 / k} for k in range(1, 101)])
    lines = str(history).splitlines()
    assert lines[0].split() == ["step", "loss"]
    assert lines[2].split() == ["1,000", "1"] and lines[-2].split() == ["100,000", "0.01"]
    assert lines[-1] == "12 of 100 rows" and len(lines) == 2 + 12 + 1
    assert str(History(ROWS)).splitlines()[-3:] == [
        "     1       3",
        "     2       2         0.5",
        "2 rows",
    ]
    assert repr(History()) == "History, of no rows yet"
    rows: Any = [{"step": np.int64(12_000)}]
    assert "12,000" in str(History(rows))


def test_a_notebook_shows_its_curves_and_its_rows() -> None:
    shown = History(ROWS)._repr_html_()
    assert shown.count("<svg") == shown.count("</svg>") == 3
    assert "<summary>2 rows</summary>" in shown and ">0.5</td>" in shown
    assert "<svg" in History([{"loss": 1.0}])._repr_html_()  # without steps, empty
    assert History()._repr_html_() == "<p>History, of no rows yet</p>"
