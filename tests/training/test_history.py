"""The numbers of a training, by name."""

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
