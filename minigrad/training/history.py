"""The history of a training: its losses and metrics."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.arguments import checked
from minigrad.pages import table

SHOWN = 12  # rows, in a table


class History:
    """Rows of numbers, one for each epoch or every few steps of a training.

    A row has "step", "epoch" (how many so far, with fractions), "loss" (the mean since the row
    before), every metric, "lr" and "seconds" (of training so far); the names of what was measured
    on held-out data begin with "validation_".

    >>> history = History([{"step": 10, "loss": 0.5}, {"step": 20, "loss": 0.25}])
    >>> history["loss"], history.last["step"]
    ([0.5, 0.25], 20)
    """

    @checked
    def __init__(self, rows: list[dict[str, float]] | None = None) -> None:
        self.rows = [] if rows is None else rows

    def __getitem__(self, name: str) -> list[float]:
        """One number of every row that has it."""
        column = [row[name] for row in self.rows if name in row]
        if not column:
            names = ", ".join({name: None for row in self.rows for name in row})
            raise KeyError(f"there is no {name!r} in this history: it has {names or 'no rows'}")
        return column

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def last(self) -> dict[str, float]:
        """The newest row."""
        if not self.rows:
            raise IndexError("there is no row in this history yet: train first")
        return self.rows[-1]

    def __repr__(self) -> str:
        if not self.rows:
            return "History, of no rows yet"
        from tabulate import tabulate

        titles, rows = self._cells()
        text = tabulate(rows, titles, disable_numparse=True, stralign="right")
        return f"{text}\n{self._told(len(rows))}"

    def _repr_html_(self) -> str:
        """Curves, and the table of rows, for notebooks."""
        from minigrad.viz.draw.chart import chart, curves_of

        if not self.rows:
            return f"<p>{self!r}</p>"
        titles, rows = self._cells()
        drawn = "".join(chart(title, curves) for title, curves in curves_of(self.rows).items())
        return (
            f'<div style="display: flex; flex-wrap: wrap; gap: 16px 24px">{drawn}</div>'
            f"<details><summary>{self._told(len(rows))}</summary>"
            f"{table(titles, rows, texts=0)}</details>"
        )

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """The names of all numbers, and the numbers of some rows, evenly chosen, as texts."""
        names = list({name: None for row in self.rows for name in row})
        last, shown = len(self.rows) - 1, min(len(self.rows), SHOWN)
        chosen = [self.rows[round(k * last / max(shown - 1, 1))] for k in range(shown)]
        return names, [[text(row.get(name)) for name in names] for row in chosen]

    def _told(self, shown: int) -> str:
        rows = f"{len(self.rows):,} row{'s' * (len(self.rows) != 1)}"
        return rows if shown == len(self.rows) else f"{shown} of {rows}"

    def plot(self) -> Any:
        """Curves of losses and metrics over the steps, as a matplotlib figure.

        Raises:
            ImportError: if there is no matplotlib: it is in the extra "plots".
        """
        from minigrad.viz.plots import plot_history

        return plot_history(self.rows)


def text(x: float | None) -> str:
    """A number of a row: a whole one, such as the step, with all its digits; or empty."""
    return "" if x is None else f"{x:,}" if isinstance(x, int | np.integer) else f"{x:.4g}"
