"""Callbacks: code that runs between the steps of a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from minigrad.arguments import Size, checked
from minigrad.errors import ArgumentError

if TYPE_CHECKING:
    from minigrad.training.run import Run

Mode = Literal["min", "max"]


class Callback:
    """Base of callbacks. Override what you need; `run` is the training's `Run`.

    To end the training after a step, set `run.stopping` to the reason. A callback's state is saved
    in checkpoints through `state_dict`: a dict of numbers, text, arrays, and lists and dicts of
    these. `gradients`: whether it reads parameters' gradients; if no callback does, a compiled step
    need not write them.

    >>> class Watch(Callback):
    ...     gradients = False
    ...     def on_step(self, run):
    ...         if run.loss < 0.01:
    ...             run.stopping = "the loss is small enough"
    """

    gradients = True

    def on_start(self, run: Run) -> None:
        """Before the first step, or the first after a checkpoint; the model is in train mode.

        A checkpoint holds which parameters are frozen, which modules are in eval mode, and the
        settings of the optimiser. Other changes that a callback has made by step `run.step`, such
        as a module that it replaced, it has to make again here.
        """

    def on_step(self, run: Run) -> None:
        """After every step."""

    def on_row(self, run: Run) -> None:
        """After a row was added to the history."""

    def on_end(self, run: Run) -> None:
        """Once the training has ended, after its last checkpoint."""

    def state_dict(self) -> dict[str, Any]:
        """What to keep in a checkpoint."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""


class Best(Callback):
    """Base of callbacks that track the best value of a number of the history.

    Args:
        monitor: the number's name.
        mode: "min" or "max", which is better; unless given, "max" for an accuracy, else "min".
    """

    gradients = False

    @checked
    def __init__(self, monitor: str = "validation_loss", mode: Mode | None = None) -> None:
        self.monitor = monitor
        self.sign = -1 if (mode or ("max" if "accuracy" in monitor else "min")) == "max" else 1
        self.best = math.inf  # times sign: the smaller, the better

    def check(self, row: Mapping[str, Any]) -> None:
        """Raise if a row does not have the number."""
        if self.monitor not in row:
            raise ArgumentError(
                f"{type(self).__name__} watches {self.monitor!r}, and a row of this history has "
                f"{', '.join(row)}: what begins with validation_ needs fit(validation=...)"
            )

    def improved(self, run: Run) -> bool:
        """Whether the newest row is the best so far."""
        row = run.history.last
        self.check(row)
        better = self.sign * row[self.monitor] < self.best
        if better:
            self.best = self.sign * row[self.monitor]
        return better

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best = state["best"]


class EarlyStopping(Best):
    """Ends the training once a number of the history has not improved for `patience` rows.

    Args:
        patience: at least 1.
        monitor, mode: the number, and which is better; see `Best`.

    Raises:
        ValueError: if patience is below 1, or from fit, if there is no such number.

    >>> stop = EarlyStopping(patience=5, monitor="validation_accuracy")  # for fit(callbacks=[stop])
    """

    @checked
    def __init__(
        self, patience: Size, monitor: str = "validation_loss", mode: Mode | None = None
    ) -> None:
        super().__init__(monitor, mode)
        self.patience = patience
        self.waited = 0

    def on_row(self, run: Run) -> None:
        self.waited = 0 if self.improved(run) else self.waited + 1
        if self.waited >= self.patience:
            run.stopping = f"{self.monitor} has not improved for {self.patience} rows"

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.waited = state["waited"]


class BestWeights(Best):
    """At the end, restores the weights with which a number of the history was best.

    Args:
        monitor, mode: the number, and which is better; see `Best`.

    Raises:
        ValueError: from fit, if there is no such number.

    >>> best = BestWeights(monitor="validation_loss")  # for fit(callbacks=[best])
    """

    @checked
    def __init__(self, monitor: str = "validation_loss", mode: Mode | None = None) -> None:
        super().__init__(monitor, mode)
        self.weights: dict[str, Any] = {}

    def on_row(self, run: Run) -> None:
        if self.improved(run):
            with run.averaged():
                self.weights = run.model.state_dict()

    def on_end(self, run: Run) -> None:
        if self.weights:
            run.model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), **{f"weights.{k}": x for k, x in self.weights.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        prefix = "weights."
        self.weights = {k.removeprefix(prefix): x for k, x in state.items() if prefix in k}
