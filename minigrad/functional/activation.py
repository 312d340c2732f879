"""Activations: elementwise functions, and softmax."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, ShapeError
from minigrad.ops import erf as erf_op
from minigrad.ops import logsumexp as logsumexp_of
from minigrad.ops import relu as relu_op
from minigrad.ops import sigmoid as sigmoid_op
from minigrad.ops.movement import as_real
from minigrad.ops.reduce import log_softmax_op, softmax_op


def relu(x: Any) -> Any:
    """max(0, x), elementwise; its derivative at 0 is 0.

    Raises:
        DtypeError: if x does not hold real numbers.

    >>> relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    return relu_op(as_real(x))


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), elementwise, without overflow.

    Raises:
        DtypeError: if x does not hold real numbers.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return sigmoid_op(as_real(x))


def erf(x: Any) -> Any:
    """The error function, 2/sqrt(pi) times the integral of exp(-t**2) from 0 to x; elementwise.

    Raises:
        DtypeError: if x does not hold real numbers.

    >>> erf(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.8427])
    """
    return erf_op(as_real(x))


def logsumexp(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) along axes, by default all, without overflow; -inf for an empty sum.

    Raises:
        ShapeError: if x has no such axis.

    >>> logsumexp(np.array([1000.0, 1000.0])).round(4)
    np.float64(1000.6931)
    """
    return logsumexp_of(as_real(x), axis=axis, keepdims=keepdims)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """log(softmax(x)), accurate also where softmax underflows to 0.

    Raises:
        DtypeError: if x does not hold real numbers.
        ShapeError: if x has no such axis.

    >>> log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    return log_softmax_op(as_real(x), axis=axis)


def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) / sum(exp(x)) along an axis: positive, with sum 1; zeros if all are -inf.

    Raises:
        DtypeError: if x does not hold real numbers.
        ShapeError: if x has no such axis.

    >>> softmax(np.array([0.0, 1000.0]))
    array([0., 1.])
    """
    return softmax_op(as_real(x), axis=axis)


def gelu(x: Any, approximate: str = "none") -> Any:
    """x times the normal distribution function of x (Hendrycks and Gimpel, 2016, section 2).

    With approximate="tanh", the paper's approximation by tanh.

    Raises:
        ArgumentError: if approximate is something else.
        DtypeError: if x does not hold real numbers.

    >>> gelu(np.array([-10.0, 0.0, 10.0]))
    array([-0.,  0., 10.])
    """
    x = as_real(x)
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * np.square(x)))))
    if approximate != "none":
        raise ArgumentError(f'gelu: approximate is "none" or "tanh", not {approximate!r}')
    return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))


def silu(x: Any) -> Any:
    """x * sigmoid(x), also called swish.

    Raises:
        DtypeError: if x does not hold real numbers.

    >>> silu(np.array([-1000.0, 0.0, 1000.0]))
    array([  -0.,    0., 1000.])
    """
    x = as_real(x)
    return x * sigmoid(x)


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), without overflow.

    Raises:
        DtypeError: if x does not hold real numbers.

    >>> softplus(np.array([-1000.0, 1000.0]))
    array([   0., 1000.])
    """
    return np.logaddexp(as_real(x), 0)


def logsigmoid(x: Any) -> Any:
    """log(sigmoid(x)), accurate also where sigmoid underflows to 0.

    Raises:
        DtypeError: if x does not hold real numbers.

    >>> logsigmoid(np.array([-1000.0, 1000.0]))
    array([-1000.,    -0.])
    """
    return -softplus(-as_real(x))


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """x, and for negative x, negative_slope * x.

    Raises:
        DtypeError: if x does not hold real numbers.

    >>> leaky_relu(np.array([-2.0, 2.0]))
    array([-0.02,  2.  ])
    """
    x = as_real(x)
    return np.where(np.greater(x, 0), x, negative_slope * x)


def prelu(x: Any, weight: Any) -> Any:
    """x, and for negative x, weight * x (He et al., 2015, equation 1).

    Args:
        x: any shape; with a slope for each channel, (N, C, ...).
        weight: one slope for all, (1,), or one for each channel, (C,).

    Raises:
        ShapeError: if weight is neither (1,) nor (C,).

    >>> prelu(np.array([[-2.0, -2.0]]), np.array([0.5, 0.0]))
    array([[-1., -0.]])
    """
    x, weight = as_real(x), as_real(weight)
    if weight.shape == (1,):
        weight = weight.reshape((1,) * x.ndim)  # and one value stays one without axes
    else:
        if weight.ndim != 1 or x.shape[1:2] != weight.shape:
            raise ShapeError(
                f"prelu of x {x.shape} with weight {weight.shape}: there is one slope, (1,), or "
                "one for each channel, (C,) for x of shape (N, C, ...)"
            )
        weight = weight.reshape(-1, *(1,) * (x.ndim - 2))
    return np.where(np.greater(x, 0), x, weight * x)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x, and for negative x, alpha * (exp(x) - 1) (Clevert et al., 2015, equation 15).

    Raises:
        DtypeError: if x does not hold real numbers.

    >>> elu(np.array([-1000.0, 2.0]))
    array([-1.,  2.])
    """
    x = as_real(x)
    positive = np.greater(x, 0)
    # expm1 is not given positive x: its overflow would make the gradient 0 * inf, NaN.
    return np.where(positive, x, alpha * np.expm1(np.where(positive, 0, x)))
