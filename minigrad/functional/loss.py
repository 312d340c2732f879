"""Losses: how far predictions are from targets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, DtypeError, ShapeError
from minigrad.functional.activation import log_softmax, softplus
from minigrad.functional.indices import known, not_from_the_end, outside
from minigrad.ops import relu
from minigrad.ops.binary import where_op
from minigrad.ops.movement import as_real, getitem
from minigrad.ops.reduce import mean_op, sum_op


def reduced(losses: Any, reduction: str, weights: Any = None) -> Any:
    """The mean or the sum of losses; or all of them, for "none".

    If the losses were multiplied by weights, the mean is their sum divided by that of the weights.
    """
    if reduction == "none":
        return losses
    if reduction == "sum":
        return sum_op(losses, axis=None, keepdims=False)
    if reduction != "mean":
        raise ArgumentError(f'reduction is "mean", "sum" or "none", not {reduction!r}')
    if not losses.size:
        raise ShapeError("the mean of no losses: the batch is empty")
    if weights is None:
        return mean_op(losses, axis=None, keepdims=False)
    total = sum_op(weights, axis=None, keepdims=False)
    if known(total) == 0:  # compiled, it is nan
        raise ShapeError(
            "the mean of no losses: every target is ignore_index, or of a class of weight 0. Leave "
            "such batches out"
        )
    return sum_op(losses, axis=None, keepdims=False) / total


def paired(name: str, x: Any, target: Any) -> tuple[Any, Any]:
    """Predictions and targets as arrays of the same shape: shapes that merely broadcast are nearly
    always a mistake."""
    x, target = as_real(x), as_real(target)
    if x.shape != target.shape:
        raise ShapeError(
            f"{name} of predictions of shape {x.shape} and targets of shape {target.shape}: they "
            "must be the same; reshape one, as with x[:, 0]"
        )
    return x, as_float(target, x)


def as_float(target: Any, x: Any) -> Any:
    """Integers and booleans in the dtype of x: they would promote float32 to float64."""
    return target if target.dtype.kind == "f" else target.astype(x.dtype)


def constant(weight: Any, x: Any) -> Any:
    """A weight, or None, in the dtype of x: a float64 would promote float32."""
    if weight is None or x.dtype.kind != "f":
        return weight
    return as_real(weight).astype(x.dtype)


# Losses of classes


def class_axis(name: str, scores: Any) -> int:
    """The axis of classes: 0 of (C,), 1 of (N, C, ...)."""
    if not scores.ndim:
        raise ShapeError(f"{name} of a number: scores have shape (C,) or (N, C, ...)")
    return min(1, scores.ndim - 1)


def at_targets(name: str, scores: Any, target: Any, ignore_index: int) -> tuple[Any, Any, Any]:
    """The score of each target's class, whether it is not ignored, and the class (0 if ignored)."""
    axis = class_axis(name, scores)
    shape, classes = scores.shape, scores.shape[axis]
    expected = shape[:axis] + shape[axis + 1 :]
    if target.shape != expected:
        raise ShapeError(
            f"{name} of scores of shape {shape} and targets of shape {target.shape}: class indices "
            f"have shape {expected}, probabilities {shape}"
        )
    if target.dtype.kind not in "iu":
        raise DtypeError(
            f"{name} with targets of dtype {target.dtype}: class indices are integers, as in "
            "target.astype(int)"
        )
    counts = np.not_equal(target, ignore_index)
    target = where_op(counts, target, 0)
    check_classes(name, target, classes)
    target = not_from_the_end(target, classes)
    # Indices for all other axes, so that each target picks one score.
    index = list(np.indices(target.shape, sparse=True))
    return getitem(scores, (*index[:axis], target, *index[axis:])), counts, target


def check_classes(name: str, target: Any, classes: int) -> None:
    if (numbers := known(target)) is not None and (place := outside(numbers, classes)) is not None:
        raise ShapeError(
            f"{name} with a target of {numbers[place]}, at {list(place)}: there are {classes} "
            f"classes, 0..{classes - 1}"
        )


def of_classes(name: str, scores: Any, weight: Any) -> Any:
    """The weights of classes, (C,), or None."""
    classes = scores.shape[class_axis(name, scores)]
    if weight is not None and np.shape(weight) != (classes,):
        raise ShapeError(
            f"{name} with weights of shape {np.shape(weight)}: there is one for each class, "
            f"({classes},)"
        )
    return constant(weight, scores)


def weighted(losses: Any, weights: Any) -> Any:
    return losses if weights is None else weights * losses


def of_targets(losses: Any, counts: Any, weights: Any, reduction: str) -> Any:
    """Reduce losses, already multiplied by their weights (None for 1), without ignored targets."""
    weights = counts.astype(losses.dtype) if weights is None else where_op(counts, weights, 0)
    return reduced(where_op(counts, losses, 0), reduction, weights)


def cross_entropy(
    logits: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """-log softmax(logits) at the target classes.

    Args:
        logits: (N, C), (N, C, ...) or (C,): unnormalized scores of C classes.
        target: class indices 0..C-1, integers of shape (N,), (N, ...) or (); or probabilities of
            the classes, of logits' shape.
        weight: (C,), factors of the losses of each class, or None.
        ignore_index: targets of this class index are left out.
        reduction: "mean" over all targets, of class indices weighted by their classes' weights;
            "sum", or "none".
        label_smoothing: the part of each target that is spread evenly over all classes (Szegedy et
            al., 2016, section 7).

    Raises:
        ShapeError: if the shapes do not match, an index is not a class, or no target is left for
            the mean.
        DtypeError: if class indices are not integers.
        ArgumentError: if label_smoothing is not within 0..1.

    >>> round(float(cross_entropy(np.array([[0.0, 0.0]]), np.array([1]))), 4)
    0.6931
    """
    name, logits, target = "cross_entropy", as_real(logits), as_real(target)
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(f"label_smoothing is within 0..1, not {label_smoothing}")
    axis = class_axis(name, logits)
    weight = of_classes(name, logits, weight)
    of_probabilities = target.shape == logits.shape
    plain = scores = log_softmax(logits, axis)
    if weight is not None:
        scores = scores * weight.reshape(-1, *(1,) * (logits.ndim - axis - 1))
    if of_probabilities:
        losses = -np.sum(as_float(target, logits) * scores, axis=axis)
    else:
        picked, counts, target = at_targets(name, plain, target, ignore_index)
        weights = None if weight is None else getitem(weight, target)
        losses = weighted(-picked, weights)
    if label_smoothing:
        losses = (1 - label_smoothing) * losses - label_smoothing * np.mean(scores, axis=axis)
    if of_probabilities:
        return reduced(losses, reduction)
    return of_targets(losses, counts, weights, reduction)


def nll_loss(
    log_probabilities: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Any:
    """-log_probabilities at the target classes; after log_softmax, the same as cross_entropy.

    Args:
        log_probabilities: (N, C), (N, C, ...) or (C,).
        target: class indices 0..C-1, integers of shape (N,), (N, ...) or ().
        weight: (C,), factors of the losses of each class, or None.
        ignore_index: targets of this class index are left out.
        reduction: "mean" over all targets, weighted by their classes' weights; "sum", or "none".

    Raises:
        ShapeError: if the shapes do not match, an index is not a class, or no target is left for
            the mean.
        DtypeError: if class indices are not integers.

    >>> float(nll_loss(np.array([[-1.0, -2.0]]), np.array([1])))
    2.0
    """
    name, scores, target = "nll_loss", as_real(log_probabilities), as_real(target)
    weight = of_classes(name, scores, weight)
    picked, counts, target = at_targets(name, scores, target, ignore_index)
    weights = None if weight is None else getitem(weight, target)
    return of_targets(weighted(-picked, weights), counts, weights, reduction)


def binary_cross_entropy_with_logits(
    logits: Any,
    target: Any,
    weight: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:
    """-(target*log(p) + (1 - target)*log(1 - p)) for p = sigmoid(logits), without overflow.

    Args:
        logits: unnormalized scores of class 1, any shape.
        target: the class, 0 or 1, or the probability of class 1; the same shape.
        weight: factors of the losses, of a shape that broadcasts, or None. The mean divides by the
            number of losses, not by the weights.
        reduction: "mean", "sum", or "none".
        pos_weight: factors of the term of class 1, of a shape that broadcasts, or None.

    Raises:
        ShapeError: if the shapes do not match, or there are no losses to take the mean of.
        ArgumentError: if reduction is something else.

    >>> binary_cross_entropy_with_logits(np.array([1000.0]), np.array([0.0])).item()
    1000.0
    """
    logits, target = paired("binary_cross_entropy_with_logits", logits, target)
    weight, pos_weight = constant(weight, logits), constant(pos_weight, logits)
    if pos_weight is None:
        with np.errstate(invalid="ignore"):  # inf - inf, where the other branch is chosen
            losses = softplus(logits) - logits * target
        sure = times(1 - target, relu(logits)) + times(target, relu(-logits))
        losses = np.where(np.isinf(logits), sure, losses)
    else:
        losses = times(1 - target, softplus(logits))
        losses = losses + pos_weight * times(target, softplus(-logits))
    return reduced(weighted(losses, weight), reduction)


def times(share: Any, loss: Any) -> Any:
    """share * loss, and 0 where share is 0 and the loss infinite, with derivative 0 there."""
    none = np.logical_and(np.equal(share, 0), np.isinf(loss))
    return np.where(none, 0, share * np.where(none, 0, loss))


def kl_div(x: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """target * (log(target) - x), the Kullback-Leibler divergence of log-probabilities x.

    Args:
        x: log-probabilities, as from log_softmax, of shape (N, ...).
        target: target probabilities of the same shape, or with log_target=True their logarithms.
        reduction: "batchmean", the sum divided by N, which is the divergence; "mean" over all
            entries; "sum", or "none".

    Raises:
        ShapeError: if the shapes differ, or there are no losses to take the mean of.
        ArgumentError: if reduction is something else.

    >>> x, target = np.log([[0.5, 0.5]]), np.array([[1.0, 0.0]])
    >>> round(float(kl_div(x, target, reduction="batchmean")), 4)
    0.6931
    """
    x, target = paired("kl_div", x, target)
    if log_target:
        losses = np.exp(target) * (target - x)
    else:
        logs = np.log(np.where(np.equal(target, 0), 1, target))
        losses = times(target, logs - x)  # 0 where the target is 0, whatever x
    if reduction == "batchmean":
        return reduced(losses, "mean") * math.prod(losses.shape[1:])
    return reduced(losses, reduction)


def of_signs(name: str, target: Any, losses: Any) -> Any:
    """The losses, if all targets are -1 or 1: others are an error, compiled a NaN."""
    signs = known(target)
    if signs is None:
        return np.where(np.equal(np.abs(target), 1), losses, np.nan)
    if np.count_nonzero(np.abs(signs) == 1) < np.size(signs):
        raise ArgumentError(
            f"{name} has targets -1 and 1, and was given others: for 0 and 1, pass 2*target - 1"
        )
    return losses


def hinge_loss(scores: Any, target: Any, reduction: str = "mean") -> Any:
    """max(0, 1 - target*scores), for targets -1 and 1.

    Raises:
        ShapeError: if the shapes differ, or there are no losses to take the mean of.
        ArgumentError: if reduction is something else, or a target is not -1 or 1.

    >>> float(hinge_loss(np.array([0.5, 3.0]), np.array([1.0, 1.0])))
    0.25
    """
    scores, target = paired("hinge_loss", scores, target)
    losses = relu(1 - scores * target)
    return reduced(of_signs("hinge_loss", target, losses), reduction)


# Losses of numbers


def mse_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """The squared error, (x - target)**2.

    Raises:
        ShapeError: if the shapes differ, or there are no losses to take the mean of.
        ArgumentError: if reduction is something else.

    >>> float(mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    x, target = paired("mse_loss", x, target)
    return reduced(np.square(x - target), reduction)


def l1_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """The absolute error, abs(x - target).

    Raises:
        ShapeError: if the shapes differ, or there are no losses to take the mean of.
        ArgumentError: if reduction is something else.

    >>> float(l1_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    1.0
    """
    x, target = paired("l1_loss", x, target)
    return reduced(np.abs(x - target), reduction)


def smooth_l1_loss(x: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """d - beta/2 for d = abs(x - target), but d**2/(2*beta) for d < beta (Girshick, 2015, eq. 3).

    Raises:
        ShapeError: if the shapes differ, or there are no losses to take the mean of.
        ArgumentError: if beta is negative, or reduction is something else.

    >>> smooth_l1_loss(np.array([1.0, 2.0]), np.array([0.5, 5.0]), reduction="none")
    array([0.125, 2.5  ])
    """
    if beta < 0:
        raise ArgumentError(f"beta is at least 0, not {beta}")
    if beta == 0:
        return l1_loss(x, target, reduction)
    x, target = paired("smooth_l1_loss", x, target)
    difference = x - target
    near = np.clip(difference, -beta, beta)
    return reduced(near * (difference - 0.5 * near) / beta, reduction)


# Losses of directions


def cosine_similarity(x1: Any, x2: Any, axis: int = 1, eps: float = 1e-8) -> Any:
    """The cosine of the angle between vectors along an axis, which is removed.

    Args:
        x1, x2: of shapes that broadcast.
        axis: the axis of the vectors' components.
        eps: a lower bound for the length of each vector.

    Raises:
        ShapeError: if the shapes do not broadcast, or there is no such axis.

    >>> cosine_similarity(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[0.0, 1.0], [2.0, 2.0]]))
    array([0., 1.])
    """
    x1, x2 = as_real(x1), as_real(x2)
    try:
        shape = np.broadcast_shapes(x1.shape, x2.shape)
    except ValueError:
        raise ShapeError(
            f"cosine_similarity of shapes {x1.shape} and {x2.shape}: they do not broadcast"
        ) from None
    x1, x2 = (np.broadcast_to(x, shape) for x in (x1, x2))

    def product(x: Any, y: Any) -> Any:
        return sum_op(x * y, axis=axis, keepdims=False)

    lengths = [np.sqrt(np.maximum(product(x, x), eps * eps)) for x in (x1, x2)]
    return product(x1, x2) / (lengths[0] * lengths[1])


def cosine_embedding_loss(
    x1: Any, x2: Any, target: Any, margin: float = 0.0, reduction: str = "mean"
) -> Any:
    """1 - cosine_similarity for targets 1, max(0, cosine_similarity - margin) for targets -1.

    Args:
        x1, x2: vectors, (N, D) or (D,).
        target: (N,) or (), 1 for similar pairs, -1 for others.
        margin: the similarity below which others cost nothing.
        reduction: "mean", "sum", or "none".

    Raises:
        ShapeError: if the shapes do not match, or there are no losses to take the mean of.
        ArgumentError: if reduction is something else, or a target is not -1 or 1.

    >>> x = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> cosine_embedding_loss(x, x, np.array([1, -1]), reduction="none")
    array([0., 1.])
    """
    x1, x2 = paired("cosine_embedding_loss", x1, x2)
    cosines = cosine_similarity(x1, x2, axis=-1)
    cosines, target = paired("cosine_embedding_loss", cosines, target)
    losses = np.where(np.greater(target, 0), 1 - cosines, relu(cosines - margin))
    return reduced(of_signs("cosine_embedding_loss", target, losses), reduction)
