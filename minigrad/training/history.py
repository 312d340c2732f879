"""The history of a training: its losses and metrics."""

from __future__ import annotations

from typing import Any

from minigrad.arguments import checked


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

    def plot(self) -> Any:
        """Curves of losses and metrics over the steps, as a matplotlib figure.

        Raises:
            ImportError: if there is no matplotlib: it is in the extra "plots".
        """
        from minigrad.viz.plots import plot_history

        return plot_history(self.rows)
