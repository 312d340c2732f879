"""Recurrent layers: step by step by the formulas, states, options, and what does not fit.

PyTorch's are compared in the oracles; derivatives are checked in test_every_layer.
"""

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.errors import ArgumentError, ShapeError
from minigrad.nn import GRU, LSTM, RNN, Module

RNG = np.random.default_rng(0)
X = RNG.standard_normal((6, 4, 3)).astype(np.float32)  # (L, N, input_size)
KINDS: list[type[Any]] = [RNN, LSTM, GRU]


def every_kind() -> Any:
    return pytest.mark.parametrize("kind", KINDS)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def by_formula(layer: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One layer in one direction: its outputs, and last h."""
    weights = [layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0]
    w_ih, w_hh, b_ih, b_hh = (weight.data for weight in weights)
    h = c = np.zeros((x.shape[1], layer.hidden_size))
    outputs = []
    for x_t in x:
        a, b = x_t @ w_ih.T + b_ih, h @ w_hh.T + b_hh
        if isinstance(layer, RNN):
            h = np.tanh(a + b)
        elif isinstance(layer, LSTM):
            i, f, g, o = np.split(a + b, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            (r_a, z_a, n_a), (r_b, z_b, n_b) = np.split(a, 3, axis=1), np.split(b, 3, axis=1)
            z = sigmoid(z_a + z_b)
            h = (1 - z) * np.tanh(n_a + sigmoid(r_a + r_b) * n_b) + z * h
        outputs.append(h)
    return np.stack(outputs), h


def state_of(layer: Any, result: Any) -> Any:
    """The last h."""
    return result[1][0] if isinstance(layer, LSTM) else result[1]


@every_kind()
def test_forward_is_the_formula(kind: Any) -> None:
    layer = kind(3, 5)
    y, h = by_formula(layer, X)
    result = layer(X)
    np.testing.assert_allclose(result[0].data, y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state_of(layer, result).data, h[None], rtol=1e-5, atol=1e-6)
    assert result[0].dtype == np.float32


def test_relu_in_place_of_tanh() -> None:
    layer: Any = RNN(3, 5, nonlinearity="relu")
    y = layer(X)[0].data
    np.testing.assert_allclose(
        y[0], np.maximum(X[0] @ layer.weight_ih_l0.data.T + both_biases(layer), 0), atol=1e-6
    )
    assert y.min() == 0


def both_biases(layer: Any) -> np.ndarray:
    return layer.bias_ih_l0.data + layer.bias_hh_l0.data


@every_kind()
def test_parameters_have_pytorchs_names_and_start(kind: Any) -> None:
    layer = kind(3, 50, num_layers=2, bidirectional=True, rng=np.random.default_rng(0))
    gates = {RNN: 1, LSTM: 4, GRU: 3}[kind]
    expected = {
        f"{name}_l{k}{way}": (gates * 50, *columns)
        for k in range(2)
        for way in ("", "_reverse")
        for name, columns in {
            "weight_ih": [(3, 100)[k]],
            "weight_hh": [50],
            "bias_ih": [],
            "bias_hh": [],
        }.items()
    }
    assert {name: p.shape for name, p in layer.named_parameters()} == expected
    for parameter in layer.parameters():
        assert parameter.dtype == np.float32
        assert np.abs(parameter.data).max() == pytest.approx(1 / np.sqrt(50), rel=0.1)
    assert len(list(kind(3, 5, bias=False).parameters())) == 2


@every_kind()
def test_the_second_direction_sees_the_sequence_backwards(kind: Any) -> None:
    layer, backwards = kind(3, 5, bidirectional=True), kind(3, 5)
    for name, parameter in backwards.named_parameters():
        parameter.data[...] = getattr(layer, f"{name}_reverse").data
    result, alone = layer(X), backwards(X[::-1])
    np.testing.assert_allclose(result[0].data[..., 5:], alone[0].data[::-1], atol=1e-6)
    np.testing.assert_allclose(
        state_of(layer, result).data[1], state_of(layer, alone).data[0], atol=1e-6
    )


@every_kind()
@pytest.mark.parametrize("num_layers", [1, 3])
def test_a_sequence_in_two_parts_is_the_same_sequence(kind: Any, num_layers: int) -> None:
    layer = kind(3, 5, num_layers)
    whole, state = layer(X)
    first, between = layer(X[:2])
    second, last = layer(X[2:], between)
    np.testing.assert_allclose(np.concatenate([first.data, second.data]), whole.data, atol=1e-6)
    if kind is not LSTM:
        last, state = (last,), (state,)
    for a, b in zip(last, state, strict=True):
        np.testing.assert_allclose(a.data, b.data, atol=1e-6)


@every_kind()
def test_layouts_agree(kind: Any) -> None:
    layer, batch_first = (
        kind(3, 5, bidirectional=True),
        kind(3, 5, bidirectional=True, batch_first=True),
    )
    batch_first.load_state_dict(layer.state_dict())
    result = layer(X)
    other = batch_first(X.swapaxes(0, 1))
    np.testing.assert_allclose(other[0].data.swapaxes(0, 1), result[0].data, atol=1e-6)
    np.testing.assert_allclose(state_of(layer, other).data, state_of(layer, result).data, atol=1e-6)
    for one in (layer, batch_first):
        single = one(X[:, 2])
        np.testing.assert_allclose(single[0].data, result[0].data[:, 2], atol=1e-6)
        np.testing.assert_allclose(
            state_of(one, single).data, state_of(layer, result).data[:, 2], atol=1e-6
        )


@every_kind()
def test_a_state_that_is_given_gets_a_gradient(kind: Any) -> None:
    layer = kind(3, 5)
    parts = [Tensor(RNG.standard_normal((1, 4, 5)), requires_grad=True) for _ in range(2)]
    layer(X, tuple(parts) if kind is LSTM else parts[0])[0].sum().backward()
    assert parts[0].grad.any()
    assert (parts[1].grad is not None) == (kind is LSTM)


@every_kind()
def test_dropout_is_between_layers_while_training(kind: Any) -> None:
    layer = kind(3, 5, num_layers=2, dropout=0.5, rng=np.random.default_rng(0))
    assert list(layer.generators())
    first, second = layer(X), layer(X)
    assert not np.array_equal(first[0].data, second[0].data)
    # Its first layer is left alone, and its outputs are not dropped.
    assert np.array_equal(state_of(layer, first).data[0], state_of(layer, second).data[0])
    assert first[0].data.all()
    layer.eval()
    assert np.array_equal(layer(X)[0].data, layer(X)[0].data)
    assert np.array_equal(kind(3, 5, dropout=0.5).eval()(X)[0].shape, (6, 4, 5))


@every_kind()
def test_an_empty_batch(kind: Any) -> None:
    assert kind(3, 5)(X[:, :0])[0].shape == (6, 0, 5)


@every_kind()
@pytest.mark.parametrize("shape", [(6, 4, 2), (3,), (2, 6, 4, 3), (0, 4, 3), (0, 3), ()])
@pytest.mark.parametrize("batch_first", [False, True])
def test_an_input_that_does_not_fit_is_named(kind: Any, shape: Any, batch_first: bool) -> None:
    layer = kind(3, 5, batch_first=batch_first)
    shape = (shape[1], shape[0], *shape[2:]) if batch_first and len(shape) == 3 else shape
    with pytest.raises(ShapeError) as error:
        layer(np.zeros(shape))
    message = str(error.value)
    assert f"{kind.__name__}(3, 5{', batch_first=True' if batch_first else ''})" in message
    assert f"({'N, L' if batch_first else 'L, N'}, 3)" in message
    assert f"was given {shape}" in message


@every_kind()
@pytest.mark.parametrize("shape", [(2, 4, 5), (1, 3, 5), (1, 4, 4), (4, 5)])
def test_a_state_that_does_not_fit_is_named(kind: Any, shape: tuple[int, ...]) -> None:
    state = np.zeros(shape)
    with pytest.raises(ShapeError) as error:
        kind(3, 5)(X, (state, state) if kind is LSTM else state)
    message = str(error.value)
    assert f"{kind.__name__}(3, 5)" in message
    assert "(1, 4, 5)" in message
    assert f"was given {shape}" in message


@pytest.mark.parametrize("hx", [np.zeros((1, 4, 5)), (np.zeros((1, 4, 5)),), None])
def test_an_lstm_has_two_states(hx: Any) -> None:
    if hx is None:
        LSTM(3, 5)(X, hx)
        return
    with pytest.raises(ArgumentError, match=r"LSTM: hx is a pair \(h, c\) of \(1, 4, 5\) each"):
        LSTM(3, 5)(X, hx)


@every_kind()
@pytest.mark.parametrize(
    ("arguments", "options"),
    [((0, 5), {}), ((3, 0), {}), ((3, 5, 0), {}), ((3, 5), {"dropout": 1.5})],
)
def test_settings_that_make_no_sense_are_refused(kind: Any, arguments: Any, options: Any) -> None:
    with pytest.raises(ValueError, match=kind.__name__):
        kind(*arguments, **options)


def test_a_nonlinearity_that_is_not_there() -> None:
    with pytest.raises(ArgumentError, match="one of 'tanh', 'relu', and is 'gelu'"):
        RNN(3, 5, nonlinearity="gelu")


def test_the_path_to_the_layer_is_in_the_message() -> None:
    class Net(Module):
        def __init__(self) -> None:
            self.memory = GRU(3, 5)

        def forward(self, x: Any) -> Any:
            return self.memory(x)

    with pytest.raises(ShapeError, match=r"in Net.memory \(GRU\)"):
        Net()(X[..., :2])


def test_repr_shows_what_is_not_the_default() -> None:
    assert repr(GRU(3, 5)) == "GRU(3, 5)  # 150 parameters"
    assert repr(LSTM(1, 1, 2, bias=False, dropout=0.1)) == (
        "LSTM(1, 1, num_layers=2, bias=False, dropout=0.1)  # 16 parameters"
    )
    assert repr(RNN(1, 1, nonlinearity="relu", batch_first=True, bidirectional=True)) == (
        "RNN(1, 1, batch_first=True, bidirectional=True, nonlinearity='relu')  # 8 parameters"
    )
