"""Recurrent layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, NoReturn

import numpy as np

from minigrad.arguments import Probability, Size, checked, one_of
from minigrad.errors import ArgumentError, ShapeError
from minigrad.functional import dropout, relu
from minigrad.functional.fused import LARGE, fused
from minigrad.functional.recurrent import (
    State,
    gru_cell,
    lstm_cell,
    lstm_of_arrays,
    lstm_pull_back,
    rnn_cell,
    scan,
)
from minigrad.nn.init import uniform_by_fan_in
from minigrad.nn.module import Module
from minigrad.ops.base import Shape
from minigrad.ops.movement import as_array
from minigrad.tensor import Tensor

NONLINEARITIES: dict[str, Callable[[Any], Any]] = {"tanh": np.tanh, "relu": relu}


class Recurrent(Module):
    """Base of recurrent layers: everything but the cell.

    Both directions are computed together, along an axis D; the second one goes through the sequence
    backwards.
    """

    # The number of gates, each of hidden_size; and of arrays in a state.
    gates = 1
    states = 1
    # A GRU's reset gate multiplies bias_hh too; other cells add it once for all steps.
    bias_in_step = False
    # The only parameter that always exists.
    weight_hh_l0: Tensor

    @checked
    def __init__(
        self,
        input_size: Size,
        hidden_size: Size,
        num_layers: Size = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: Probability = 0.0,
        bidirectional: bool = False,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.rng = rng
        self.directions = ("", "_reverse") if bidirectional else ("",)
        rows = self.gates * hidden_size
        for layer in range(num_layers):
            width = len(self.directions) * hidden_size if layer else input_size
            for direction in self.directions:
                shapes: dict[str, Shape] = {
                    "weight_ih": (rows, width),
                    "weight_hh": (rows, hidden_size),
                    "bias_ih": (rows,),
                    "bias_hh": (rows,),
                }
                for kind, shape in shapes.items():
                    if bias or kind.startswith("weight"):
                        start = uniform_by_fan_in(shape, hidden_size, rng)
                        setattr(self, f"{kind}_l{layer}{direction}", start)

    def forward(self, x: Any, hx: Any = None) -> tuple[Any, Any]:
        """Apply the layer to sequences.

        Args:
            x: (L, N, input_size), or (N, L, input_size) if batch_first; or one sequence,
                (L, input_size).
            hx: the state before the first step, (D * num_layers, N, hidden_size), without N for
                one sequence; for an LSTM a pair (h, c). Zeros by default.

        Returns:
            The output of the last layer at every step, (L, N, D * hidden_size), with axes as x has
            them; and the state after the last step, in the form of hx. D is 2 if bidirectional,
            else 1.

        Raises:
            ShapeError: if x or the state have other shapes, or there is no step.
            ArgumentError: if an LSTM is given one state and not two.
        """
        x = as_array(x)
        single = x.ndim == 2
        batch_axis = 0 if self.batch_first and not single else 1
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size or not x.shape[1 - batch_axis]:
            self._refuse(x.shape)
        x = np.expand_dims(x, 1) if single else np.moveaxis(x, batch_axis, 1)  # (L, N, input_size)
        starts = self._starts(hx, x, single)
        finals: list[State] = []
        for layer in range(self.num_layers):
            if layer:
                x = dropout(x, self.dropout, self.training, rng=self.rng)
            own = slice(layer * len(self.directions), (layer + 1) * len(self.directions))
            x, final = self._layer(layer, x, tuple(start[own] for start in starts))
            finals.append(final)
        state = [np.concatenate(of_layers) for of_layers in zip(*finals, strict=True)]
        if single:
            x, state = x[:, 0], [part[:, 0] for part in state]
        else:
            x = np.moveaxis(x, 1, batch_axis)
        return x, tuple(state) if self.states > 1 else state[0]

    def _layer(self, layer: int, x: Any, start: State) -> tuple[Any, State]:
        """(L, N, I) -> (L, N, D * H), from a state of (D, N, H)."""
        length, count, width = x.shape
        directions = len(self.directions)
        sequences = np.stack([x, x[::-1]] if self.bidirectional else [x])
        # All steps in one product: (D, L * N, I) @ (D, I, gates * H).
        sequences = sequences.reshape(directions, length * count, width)
        gates = sequences @ self._stacked("weight_ih", layer)
        bias = None
        if self.bias:
            biases = (self._stacked(kind, layer) for kind in ("bias_ih", "bias_hh"))
            outer, bias = (b.reshape(directions, 1, -1) for b in biases)
            gates = gates + (outer if self.bias_in_step else outer + bias)
        gates = np.moveaxis(gates.reshape(directions, length, count, gates.shape[-1]), 0, 1)
        y, state = self._steps(gates, start, self._stacked("weight_hh", layer), bias)
        ways = [y[:, 0], y[::-1, 1]] if self.bidirectional else [y[:, 0]]  # (L, N, H) each
        return np.concatenate(ways, -1), state

    def _steps(self, gates: Any, start: State, weight: Any, bias: Any) -> tuple[Any, State]:
        """What `scan` returns of the cell, (L, D, N, H), from gates of (L, D, N, gates * H)."""
        return scan(self._cell(weight, bias), gates, start)

    def _stacked(self, kind: str, layer: int) -> Any:
        """(D, I, gates * H) of weights, (D, gates * H) of biases."""
        names = [f"{kind}_l{layer}{direction}" for direction in self.directions]
        return np.stack([getattr(self, name).T for name in names])

    def _cell(self, weight: Any, bias: Any) -> Callable[..., State]:
        """The cell with recurrent weights (D, H, gates * H) and bias (D, 1, gates * H)."""
        raise NotImplementedError

    def _starts(self, hx: Any, x: Any, single: bool) -> State:
        """The parts of the first state, (D * num_layers, N, H) each."""
        shape = (len(self.directions) * self.num_layers, x.shape[1], self.hidden_size)
        if hx is None:
            dtype = np.result_type(x.dtype, self.weight_hh_l0.dtype)
            return (np.zeros(shape, dtype),) * self.states
        parts = hx if self.states > 1 else (hx,)
        if not isinstance(parts, tuple | list) or len(parts) != self.states:
            raise ArgumentError(
                f"{type(self).__name__}: hx is a pair (h, c) of {shape} each, not {hx!r:.60}"
            )
        parts = [as_array(part) for part in parts]
        expected = (shape[0], shape[2]) if single else shape
        for part in parts:
            if part.shape != expected:
                raise ShapeError(
                    f"{type(self).__name__}({self.extra_repr()}) takes a state hx of shape "
                    f"{expected} with x of {x.shape[1]} sequences, and was given {part.shape}: its "
                    "axes are layers times directions, N, hidden_size"
                )
        return tuple(np.expand_dims(part, 1) if single else part for part in parts)

    def _refuse(self, shape: Shape) -> NoReturn:
        axes = "N, L" if self.batch_first else "L, N"
        raise ShapeError(
            f"{type(self).__name__}({self.extra_repr()}) takes x of shape ({axes}, "
            f"{self.input_size}), or (L, {self.input_size}) for one sequence, with at least one "
            f"step, and was given {shape}"
        )

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0}
        for name, default in (defaults | {"bidirectional": False}).items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text


class RNN(Recurrent):
    """h = tanh(x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh), step by step.

    Parameters are float32, of layer 0 for instance weight_ih_l0 (hidden_size, input_size),
    weight_hh_l0 (hidden_size, hidden_size), bias_ih_l0 and bias_hh_l0 (hidden_size,), and if
    bidirectional the same with "_reverse". They are initialised uniformly within
    +-1/sqrt(hidden_size), drawn from `rng`, as is `dropout` between the layers.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if x or the state have other shapes, or there is no step.

    >>> layer = RNN(3, 8)
    >>> y, h = layer(np.zeros((10, 5, 3)))
    >>> y.shape, h.shape
    ((10, 5, 8), (1, 5, 8))
    """

    @checked
    def __init__(
        self,
        input_size: Size,
        hidden_size: Size,
        num_layers: Size = 1,
        nonlinearity: Annotated[str, one_of(*NONLINEARITIES)] = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: Probability = 0.0,
        bidirectional: bool = False,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.nonlinearity = nonlinearity
        options = (num_layers, bias, batch_first, dropout, bidirectional)
        super().__init__(input_size, hidden_size, *options, rng=rng)

    def _cell(self, weight: Any, bias: Any) -> Callable[..., State]:
        return partial(rnn_cell, weight=weight, activation=NONLINEARITIES[self.nonlinearity])

    def extra_repr(self) -> str:
        text = super().extra_repr()
        return text if self.nonlinearity == "tanh" else f"{text}, nonlinearity='relu'"


class LSTM(Recurrent):
    """Long short-term memory, with a state (h, c); see `lstm_cell`.

    Parameters are those of `RNN`, with the four gates stacked along the first axis, in the
    order input gate, forget gate, new value, output gate: weight_ih_l0 (4*hidden_size,
    input_size). State is a pair (h, c).

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if x or the state have other shapes, or there is no step.

    >>> layer = LSTM(3, 8, num_layers=2)
    >>> y, (h, c) = layer(np.zeros((10, 5, 3)))
    >>> y.shape, h.shape, c.shape
    ((10, 5, 8), (2, 5, 8), (2, 5, 8))
    """

    gates = 4
    states = 2

    def _cell(self, weight: Any, bias: Any) -> Callable[..., State]:
        return partial(lstm_cell, weight=weight)

    def _steps(self, gates: Any, start: State, weight: Any, bias: Any) -> tuple[Any, State]:
        if gates.size < LARGE:
            return super()._steps(gates, start, weight, bias)

        def steps(x: Any, h: Any, c: Any, weight: Any) -> tuple[Any, Any]:
            y, state = scan(self._cell(weight, None), x, (h, c))
            return y, state[1]

        inputs = [gates, *start, weight]
        y, c = fused("lstm", steps, lstm_of_arrays, lstm_pull_back, inputs)
        return y, (y[-1], c)


class GRU(Recurrent):
    """Gated recurrent units: each step mixes the old state with a new value; see `gru_cell`.

    Parameters are those of `RNN`, with the three gates stacked along the first axis, in the
    order reset gate, update gate, new value: weight_ih_l0 (3*hidden_size, input_size).

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if x or the state have other shapes, or there is no step.

    >>> layer = GRU(3, 8, batch_first=True, bidirectional=True)
    >>> y, h = layer(np.zeros((5, 10, 3)))
    >>> y.shape, h.shape
    ((5, 10, 16), (2, 5, 8))
    """

    gates = 3
    bias_in_step = True

    def _cell(self, weight: Any, bias: Any) -> Callable[..., State]:
        return partial(gru_cell, weight=weight, bias=bias)
