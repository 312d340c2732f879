"""How well a network does: its loss and other measures, over batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad.arguments import Function, bound, called, checked
from minigrad.autograd import no_grad
from minigrad.data import BatchLoader
from minigrad.errors import ArgumentTypeError, DtypeError, ShapeError, describe
from minigrad.nn import Module
from minigrad.nn.summary import evaluating
from minigrad.tensor import value_of
from minigrad.transforms.trees import map_tree

# From outputs and targets, as plain arrays, to a number: the mean over the batch.
Metric = Callable[..., Any]


@bound
def accuracy(logits: Any, labels: Any) -> float:
    """The fraction of labels whose class has the largest score.

    Args:
        logits: (N, C) or (N, C, ...): scores of C classes.
        labels: class indices, (N,) or (N, ...).

    Raises:
        ShapeError: if the shapes do not match, or there are no labels.
        DtypeError: if the scores are not numbers, or the labels not integers.

    >>> accuracy(np.array([[0.0, 1.0], [2.0, 1.0]]), np.array([1, 1]))
    0.5
    """
    scores, classes = np.asarray(value_of(logits)), np.asarray(value_of(labels))
    if scores.ndim < 2 or classes.shape != scores.shape[:1] + scores.shape[2:]:
        raise ShapeError(
            f"accuracy of scores of shape {scores.shape} and labels of shape {classes.shape}: "
            "scores are (N, C, ...) and labels (N, ...)"
        )
    if not scores.size or not classes.size:
        raise ShapeError(
            f"accuracy of scores of shape {scores.shape}: of no labels, or of no classes, there is "
            "none. Leave out empty batches"
        )
    if scores.dtype.kind not in "fiub" or classes.dtype.kind not in "iub":
        raise DtypeError(
            f"accuracy of scores of {scores.dtype} and labels of {classes.dtype}: scores are "
            "numbers, and labels class indices, integers: labels.astype(int)"
        )
    return float(np.mean(np.argmax(scores, axis=1) == classes))


def measure(metrics: Mapping[str, Metric], output: Any, targets: Sequence[Any]) -> dict[str, float]:
    """Every metric of a batch."""
    plain = map_tree(value_of, output) if metrics else None
    return {name: one(name, metric, plain, *targets) for name, metric in metrics.items()}


def one(name: str, metric: Metric, *given: Any) -> float:
    """The number that a metric gives."""
    value = np.asarray(value_of(called(f"the metric {name!r}", metric, *given)))
    if value.size != 1 or value.dtype.kind not in "fiub":
        raise ArgumentTypeError(
            f"the metric {name!r} returned {describe(value)}: it must return one number, the mean "
            "over the batch"
        )
    return float(value.item())


class Means:
    """Means over batches of several sizes.

    >>> means = Means()
    >>> means.add(3, loss=1.0)
    >>> means.add(1, loss=5.0)
    >>> means.values()
    {'loss': 2.0}
    """

    def __init__(self, totals: dict[str, float] | None = None, samples: int = 0) -> None:
        self.totals = dict(totals or {})
        self.samples = samples

    def add(self, samples: int, **values: float) -> None:
        """Add the means over more samples."""
        self.samples += samples
        for name, value in values.items():
            self.totals[name] = self.totals.get(name, 0.0) + samples * value

    def values(self) -> dict[str, float]:
        return {name: total / self.samples for name, total in self.totals.items()}


def forward_pass(model: Module, loss: Callable[..., Any], batch: Sequence[Any]) -> tuple[Any, Any]:
    """The loss of a batch, and the model's output."""
    x, *targets = batch
    with no_grad():
        output = model(x)
        return called("the loss function", loss, output, *targets), output


@checked
def evaluate(
    model: Module,
    batches: BatchLoader,
    loss: Function,
    metrics: Mapping[str, Function] | None = None,
    forward: Callable[[tuple[Any, ...]], tuple[Any, Any]] | None = None,
) -> dict[str, float]:
    """The mean loss and metrics of a model over batches, with the model in eval mode.

    Afterwards every module is in the mode it was in, and the loader where it was: the batches are
    always those of its first epoch. `forward` returns the loss and the output of a
    batch, by default those computed op by op.

    Raises:
        ArgumentTypeError: if model is not a Module, or batches not a BatchLoader.

    >>> from minigrad.nn import Linear
    >>> from minigrad.functional import mse_loss
    >>> line = Linear(1, 1)
    >>> line.load_state_dict({"weight": np.array([[2.0]]), "bias": np.array([0.0])})
    >>> x = np.ones((10, 1), np.float32)
    >>> evaluate(line, BatchLoader(x, 2 * x, batch_size=4), mse_loss)
    {'loss': 0.0}
    """
    means = Means()
    with evaluating(model), batches.unmoved():
        batches.start = (0, 0)
        for batch in batches:
            value, output = forward(batch) if forward else forward_pass(model, loss, batch)
            x, *targets = batch
            means.add(len(x), loss=value.item(), **measure(metrics or {}, output, targets))
    return means.values()
