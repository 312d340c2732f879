"""The steps of recurrent layers, and the loop over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.ops import sigmoid

# The state carried from step to step: (h,), or for an LSTM (h, c), each (..., H).
State = tuple[Any, ...]


def rnn_cell(x: Any, h: Any, weight: Any, activation: Callable[[Any], Any] = np.tanh) -> State:
    """A step of an RNN (Elman, "Finding structure in time", 1990).

    Args:
        x: the input's contribution to the new state, biases included: (..., H).
        h: (..., H).
        weight: (..., H, H).
        activation: tanh, or relu.

    >>> rnn_cell(np.zeros(1), np.array([0.5]), np.ones((1, 1)))
    (array([0.46211716]),)
    """
    return (activation(x + h @ weight),)


def lstm_cell(x: Any, h: Any, c: Any, weight: Any) -> State:
    """A step of an LSTM (Hochreiter and Schmidhuber, 1997; with the forget gate of Gers et al.,
    2000).

    Args:
        x: the input's contribution to the gates, biases included: (..., 4H), in PyTorch's order:
            input gate, the forget gate, the new value, the output gate.
        h: (..., H).
        c: (..., H).
        weight: (..., H, 4H).

    >>> h, c = lstm_cell(np.zeros(4), np.zeros(1), np.array([1.0]), np.zeros((1, 4)))
    >>> float(c[0])
    0.5
    """
    i, f, g, o = parts(x + h @ weight, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_cell(x: Any, h: Any, weight: Any, bias: Any = None) -> State:
    """A step of a GRU, as cuDNN and PyTorch have it: the reset gate is applied after the product.

    Cho et al., "Learning phrase representations using RNN encoder-decoder" (2014), equations 5 to
    8, except for that.

    Args:
        x: the input's contribution to the gates, its bias included: (..., 3H), in PyTorch's order:
            reset gate, the update gate, the new value.
        h: (..., H).
        weight: (..., H, 3H).
        bias: (..., 3H), or None.

    >>> gru_cell(np.zeros(3), np.array([1.0]), np.zeros((1, 3)))
    (array([0.5]),)
    """
    width = h.shape[-1]
    own = h @ weight
    own = own if bias is None else own + bias
    r, z = parts(sigmoid(x[..., : 2 * width] + own[..., : 2 * width]), 2)
    n = np.tanh(x[..., 2 * width :] + r * own[..., 2 * width :])
    return (n + z * (h - n),)


def parts(x: Any, count: int) -> list[Any]:
    """The last axis split into `count` equal parts."""
    size = x.shape[-1] // count
    return [x[..., k * size : (k + 1) * size] for k in range(count)]


def scan(cell: Callable[..., State], xs: Any, state: State) -> tuple[Any, State]:
    """Apply a cell to each x of xs in turn: state = cell(x, *state).

    Returns:
        The first part of every state, stacked, and the last state.

    >>> scan(lambda x, total: (total + x,), np.array([1.0, 2.0, 3.0]), (np.array(0.0),))
    (array([1., 3., 6.]), (np.float64(6.0),))
    """
    outputs = []
    for x in unstacked(xs):
        state = cell(x, *state)
        outputs.append(state[0])
    return np.stack(outputs), state


def unstacked(xs: Any) -> list[Any]:
    """x[0], x[1], ..., by halves.

    The vjp of a slice fills an array of the size of its input: slices taken one by one from the
    whole would take time that grows with the square of their number.
    """
    if len(xs) == 1:
        return [xs[0]]
    half = len(xs) // 2
    return unstacked(xs[:half]) + unstacked(xs[half:])
