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


# All steps of an LSTM on arrays. The gates are in the order o, i, f, g, PyTorch's rolled by one:
# the first three are sigmoids, and the cotangents of the last three come from that of c.


def lstm_of_arrays(x: Any, h: Any, c: Any, weight: Any) -> tuple[list[Any], list[Any]]:
    """All steps of `lstm_cell`.

    Args:
        x: (L, ..., N, 4H).
        h, c: (..., N, H).
        weight: (..., H, 4H).

    Returns:
        h after every step, (L, ..., N, H), and the last c; and what the reverse pass needs: h as it
        is, sigmoids of the gates (L, ..., N, 4H), of which that of g is not used, tanh(g), c before
        and after every step (L + 1, ..., N, H), and tanh(c) after.
    """
    width, dtype = h.shape[-1], np.result_type(x, h, c, weight)
    sign = np.repeat(np.array([-1, 1], dtype), [3 * width, width])  # for 1 / (1 + exp(-z))
    weight, gates = (np.roll(y, width, -1) * sign for y in (weight, x))
    hs, gs, tanhs = (np.empty((len(x), *h.shape), dtype) for _ in range(3))
    cells = np.concatenate([c[None], hs])
    product, term = np.empty_like(gates[0]), np.empty_like(hs[0])
    o_i_f_z = parts(gates, 4)
    with np.errstate(over="ignore"):  # where 1 / inf is the 0 that it should be
        for t, (y, o, i, f, z) in enumerate(zip(gates, *o_i_f_z, strict=True)):
            y += np.matmul(h, weight, out=product)
            g = np.tanh(z, out=gs[t])
            np.exp(y, out=y)  # with z, as contiguous memory is faster
            y += 1
            np.reciprocal(y, out=y)
            c = np.multiply(f, cells[t], out=cells[t + 1])
            c += np.multiply(i, g, out=term)
            h = np.multiply(o, np.tanh(c, out=tanhs[t]), out=hs[t])
    return [hs, cells[-1].copy()], [hs, gates, gs, cells, tanhs]


def lstm_pull_back(sent: dict[int, Any], inputs: Any, kept: Any) -> list[Any]:
    """The cotangents of x, h, c and weight, from those of the outputs of `lstm_of_arrays`."""
    (x, h, _, weight), (hs, gates, g, cells, tanhs) = inputs, kept
    width = h.shape[-1]
    (o, i, f, _), s = parts(gates, 4), gates[..., : 3 * width]
    # The slope of each gate, times what the gate is multiplied by; later times the cotangent of
    # their product.
    steps = np.subtract(1, gates)
    steps[..., : 3 * width] *= s
    np.subtract(1, g * g, out=steps[..., 3 * width :])
    for slope, factor in zip(parts(steps, 4), (tanhs, g, cells[:-1], i), strict=True):
        slope *= factor
    of_o, others = steps[..., :width], steps[..., width:].reshape(*g.shape[:-1], 3, width)
    through_tanh = o * (1 - tanhs * tanhs)
    back = np.ascontiguousarray(np.roll(weight, width, -1).swapaxes(-1, -2))
    dh, sum_of_h, term = (np.zeros_like(cells[0]) for _ in range(3))
    dc = sent[1].copy() if 1 in sent else np.zeros_like(term)
    for t in reversed(range(len(x))):
        total = np.add(sent[0][t], dh, out=sum_of_h) if 0 in sent else dh
        dc += np.multiply(total, through_tanh[t], out=term)
        of_o[t] *= total
        others[t] *= dc[..., None, :]
        dc *= f[t]
        np.matmul(steps[t], back, out=dh)
    earlier = all_steps(np.concatenate([h[None], hs[:-1]]))
    of_weight = earlier.swapaxes(-1, -2) @ all_steps(steps)
    return [np.roll(steps, -width, -1), dh, dc, np.roll(of_weight, -width, -1)]


def all_steps(x: Any) -> Any:
    """(L, ..., N, H) -> (..., L * N, H)."""
    moved = np.moveaxis(x, 0, -3)
    return moved.reshape(*moved.shape[:-3], -1, moved.shape[-1])


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
