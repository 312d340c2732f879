"""Callbacks that record data of a training for plots."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.arguments import Size, checked
from minigrad.training.callback import Callback

if TYPE_CHECKING:
    from minigrad.training.run import Run


class Recorder(Callback):
    """Base of callbacks that record something every `every` steps."""

    @checked
    def __init__(self, every: Size = 1) -> None:
        self.every = every

    def due(self, run: Run) -> bool:
        return run.step % self.every == 0


class Norms(Recorder):
    """Records the norms of gradients, updates and weights, layer by layer.

    Each row of `rows` has the step, and under "gradient", "update" and "weight" the Euclidean norm
    for each layer, over all its parameters. The gradient is that of the step's batch, after
    clipping; the update is what the step added to the weights.

    Args:
        every: the number of steps between rows.

    Raises:
        ValueError: if every is below 1.

    >>> import minigrad
    >>> from minigrad import data, nn, optim
    >>> model, norms = nn.Sequential(nn.Linear(2, 1)), Norms()
    >>> x, y = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)
    >>> batches = data.BatchLoader(data.ArrayDataset(x, y), batch_size=4)
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> history = minigrad.fit(
    ...     model, batches, nn.MSELoss(), optimizer, steps=3, callbacks=[norms], progress=False
    ... )
    >>> [sorted(row) for row in norms.rows[:1]], list(norms.rows[0]["gradient"])
    ([['gradient', 'step', 'update', 'weight']], ['0'])
    """

    def __init__(self, every: Size = 1) -> None:
        super().__init__(every)
        self.rows: list[dict[str, Any]] = []
        self.before: dict[str, np.ndarray] = {}
        self.kinds: dict[str, str] = {}  # the class of each layer

    def on_start(self, run: Run) -> None:
        self.kinds = {name: type(layer).__name__ for name, layer in run.model.named_modules()}
        self.keep(run, run.step + 1)

    def on_step(self, run: Run) -> None:
        if self.due(run):
            gradients, updates, weights = {}, {}, {}
            for name, parameter in run.model.named_parameters():
                if parameter.grad is not None:
                    gradients[name] = np.asarray(parameter.grad)
                    updates[name] = parameter.data - self.before[name]
                    weights[name] = parameter.data
            self.rows.append(
                {
                    "step": run.step,
                    "gradient": by_layer(gradients),
                    "update": by_layer(updates),
                    "weight": by_layer(weights),
                }
            )
        self.keep(run, run.step + 1)

    def keep(self, run: Run, step: int) -> None:
        """Copy the weights, if the step that comes is one to record."""
        if step % self.every == 0:
            self.before = {name: p.data.copy() for name, p in run.model.named_parameters()}

    def plot(self) -> Any:
        """The norms over the steps, a curve for each layer, as a matplotlib figure.

        Raises:
            ImportError: if there is no matplotlib: it is in the extra "plots".
        """
        from minigrad.viz.plots import plot_norms

        return plot_norms(self.rows, self.kinds)

    def state_dict(self) -> dict[str, Any]:
        return {"rows": json.dumps(self.rows)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows = json.loads(state["rows"])


def by_layer(arrays: dict[str, np.ndarray]) -> dict[str, float]:
    """The norm of each layer, over all its parameters: those with one name before the last dot."""
    squares: dict[str, float] = defaultdict(float)
    for name, x in arrays.items():
        squares[name.rpartition(".")[0] or name] += float(
            np.sum(np.square(np.abs(x), dtype=np.float64))
        )
    return {name: float(np.sqrt(square)) for name, square in squares.items()}


class Snapshots(Recorder):
    """Records copies of the weights, to see later what the network computed with each of them.

    `states` has a `state_dict` for each step kept, the first from before the first step: for
    `viz.plots.animate_boundary`, or for `model.load_state_dict`.

    Args:
        every: the number of steps between copies.

    Raises:
        ValueError: if every is below 1.

    >>> import minigrad
    >>> from minigrad import data, nn, optim
    >>> model, snapshots = nn.Sequential(nn.Linear(2, 1)), Snapshots(every=2)
    >>> batches = data.BatchLoader(np.ones((4, 2), np.float32), np.ones((4, 1)), batch_size=4)
    >>> history = minigrad.fit(
    ...     model, batches, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1), steps=4,
    ...     callbacks=[snapshots], progress=False,
    ... )
    >>> list(snapshots.states), list(snapshots.states[2])
    ([0, 2, 4], ['0.weight', '0.bias'])
    """

    gradients = False

    def __init__(self, every: Size = 1) -> None:
        super().__init__(every)
        self.states: dict[int, dict[str, np.ndarray]] = {}

    def on_start(self, run: Run) -> None:
        self.on_step(run)

    def on_step(self, run: Run) -> None:
        if self.due(run):
            self.states[run.step] = run.model.state_dict()

    def state_dict(self) -> dict[str, Any]:
        return {f"{step}.{k}": x for step, state in self.states.items() for k, x in state.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        states: dict[int, dict[str, np.ndarray]] = defaultdict(dict)
        for key, x in state.items():
            step, _, name = key.partition(".")
            states[int(step)][name] = x
        self.states = dict(sorted(states.items()))
