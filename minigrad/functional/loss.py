"""Losses: how far predictions are from targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, DtypeError, ShapeError
from minigrad.functional.activation import log_softmax, softplus
from minigrad.ops import relu
from minigrad.ops.movement import as_array
from minigrad.ops.reduce import mean_op


def reduced(losses: Any, reduction: str) -> Any:
    """One number of many losses: their mean, their sum; or all of them, for "none"."""
    if reduction == "mean":
        return mean_op(losses, axis=None, keepdims=False)
    if reduction == "sum":
        return np.sum(losses)
    if reduction == "none":
        return losses
    raise ArgumentError(f'reduction is "mean", "sum" or "none", not {reduction!r}')


def same_shape(name: str, x: Any, target: Any) -> None:
    """Predictions and targets that only broadcast are nearly always a mistake."""
    if as_array(x).shape != as_array(target).shape:
        raise ShapeError(
            f"{name} of predictions of shape {as_array(x).shape} and targets of shape "
            f"{as_array(target).shape}: they must be the same; reshape one, as with x[:, 0]"
        )


def cross_entropy(logits: Any, target: Any, reduction: str = "mean") -> Any:
    """-log softmax(logits) at the target classes.

    Args:
        logits: (N, C) or (N, C, ...): a score for each of C classes.
        target: class indices 0..C-1, integers of shape (N,) or (N, ...); or probabilities of the
            classes, floats of logits' shape.
        reduction: "mean" over all targets, "sum", or "none".

    Raises:
        ShapeError: if the shapes do not go together, or an index is not a class.
        DtypeError: if class indices are not integers.

    >>> round(float(cross_entropy(np.array([[0.0, 0.0]]), np.array([1]))), 4)
    0.6931
    """
    logits, target = as_array(logits), as_array(target)
    shape = logits.shape
    if len(shape) < 2:
        raise ShapeError(f"cross_entropy of logits of shape {shape}: they have axes (N, C, ...)")
    if target.shape == shape:
        return reduced(-np.sum(target * log_softmax(logits, 1), axis=1), reduction)
    if target.shape != (shape[0], *shape[2:]):
        raise ShapeError(
            f"cross_entropy of logits of shape {shape} and targets of shape {target.shape}: "
            f"class indices have shape {(shape[0], *shape[2:])}, probabilities {shape}"
        )
    if target.dtype.kind not in "iu":
        raise DtypeError(
            f"cross_entropy with targets of dtype {target.dtype}: class indices are integers, as "
            "in target.astype(int)"
        )
    low, high = (target.min().item(), target.max().item()) if target.size else (0, 0)
    if low < 0 or high >= shape[1]:
        raise ShapeError(
            f"cross_entropy with a target of {low}..{high}: there are {shape[1]} classes, "
            f"0..{shape[1] - 1}"
        )
    # (N, ...), which with indices for all other axes picks one score each
    places = np.ogrid[tuple(slice(n) for n in target.shape)]
    picked = log_softmax(logits, 1)[(places[0], target, *places[1:])]
    return reduced(-picked, reduction)


def mse_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """(x - target)**2.

    >>> float(mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    same_shape("mse_loss", x, target)
    return reduced(np.square(x - target), reduction)


def binary_cross_entropy_with_logits(logits: Any, target: Any, reduction: str = "mean") -> Any:
    """-(target*log(p) + (1 - target)*log(1 - p)) for p = sigmoid(logits), which is not rounded.

    Args:
        logits: a score for the class 1, of any shape.
        target: the class, 0 or 1, or the probability of 1; of the same shape.

    >>> binary_cross_entropy_with_logits(np.array([1000.0]), np.array([0.0])).item()
    1000.0
    """
    same_shape("binary_cross_entropy_with_logits", logits, target)
    return reduced(softplus(logits) - logits * target, reduction)


def hinge_loss(scores: Any, target: Any, reduction: str = "mean") -> Any:
    """max(0, 1 - target*scores), for targets -1 and 1.

    >>> float(hinge_loss(np.array([0.5, 3.0]), np.array([1.0, 1.0])))
    0.25
    """
    same_shape("hinge_loss", scores, target)
    return reduced(relu(1 - scores * target), reduction)
