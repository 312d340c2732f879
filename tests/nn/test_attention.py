"""Attention as a layer: heads, masks, layouts, and what does not fit.

PyTorch's are compared in the oracles; derivatives are checked in test_every_layer.
"""

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.errors import ArgumentError, DtypeError, ShapeError
from minigrad.nn import MultiheadAttention, ReLU, TransformerEncoderLayer

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 5, 6)).astype(np.float32)  # (N, L, E)
CAUSAL = ~np.tri(5, dtype=bool)
PADDING = np.array([[False] * 5, [False, False, True, False, True]])


def layer(**options: Any) -> Any:
    options = {"embed_dim": 6, "num_heads": 3, "batch_first": True, **options}
    return MultiheadAttention(**options, rng=np.random.default_rng(0))


def to_itself(attention: Any, x: Any, **options: Any) -> Any:
    return attention(x, x, x, **options)


def test_forward_is_the_formula() -> None:
    attention = layer()
    attention.in_proj_bias.data[:] = RNG.standard_normal(18)
    y, weights = to_itself(attention, X)
    projected = X @ attention.in_proj_weight.data.T + attention.in_proj_bias.data
    q, k, v = np.split(projected, 3, axis=-1)
    parts, means = [], []
    for head in range(3):
        own = slice(2 * head, 2 * head + 2)
        scores = np.exp(q[..., own] @ k[..., own].swapaxes(1, 2) / np.sqrt(2))
        means.append(scores / scores.sum(-1, keepdims=True))
        parts.append(means[-1] @ v[..., own])
    out = attention.out_proj
    expected = np.concatenate(parts, -1) @ out.weight.data.T + out.bias.data
    np.testing.assert_allclose(y.data, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(weights.data, np.mean(means, 0), rtol=1e-5)
    each = to_itself(attention, X, average_attn_weights=False)[1]
    np.testing.assert_allclose(each.data, np.stack(means, 1), rtol=1e-5)
    assert y.dtype == weights.dtype == np.float32


def test_no_weights_unless_they_are_asked_for() -> None:
    y, weights = to_itself(layer(), X, need_weights=False)
    assert weights is None
    assert np.array_equal(y.data, to_itself(layer(), X)[0].data)


def test_parameters_start_as_pytorchs() -> None:
    attention = layer(embed_dim=60)
    shapes = {name: p.shape for name, p in attention.named_parameters()}
    assert shapes == {
        "in_proj_weight": (180, 60),
        "in_proj_bias": (180,),
        "out_proj.weight": (60, 60),
        "out_proj.bias": (60,),
    }
    # Glorot and Bengio's bound, for the three together.
    assert np.abs(attention.in_proj_weight.data).max() == pytest.approx(np.sqrt(6 / 240), rel=0.01)
    assert not attention.in_proj_bias.data.any()
    assert not attention.out_proj.bias.data.any()
    apart = [(name, p.shape) for name, p in layer(kdim=4, vdim=5, bias=False).named_parameters()]
    assert apart == [
        ("q_proj_weight", (6, 6)),
        ("k_proj_weight", (6, 4)),
        ("v_proj_weight", (6, 5)),
        ("out_proj.weight", (6, 6)),
    ]


def sees(attention: Any, **options: Any) -> np.ndarray:
    """Of each sample, which output depends on which input, (N, L, L), while all else is fixed."""
    before = to_itself(attention, X, **options)[0].data
    seen = np.zeros((2, 5, 5), bool)
    for k in range(5):
        changed = X.copy()
        changed[:, k] += 1
        query_fixed = attention(X, changed, changed, **options)[0].data
        seen[:, :, k] = np.any(query_fixed != before, axis=-1)
    return seen


EVERYTHING = np.ones((2, 5, 5), bool)
PADDED = np.broadcast_to(~PADDING[:, None], (2, 5, 5))
MASKS: dict[str, tuple[dict[str, Any], Any]] = {
    "none": ({}, EVERYTHING),
    "is_causal": ({"is_causal": True}, EVERYTHING & ~CAUSAL),
    "boolean": ({"attn_mask": CAUSAL}, EVERYTHING & ~CAUSAL),
    "float": ({"attn_mask": np.where(CAUSAL, -np.inf, 0)}, EVERYTHING & ~CAUSAL),
    "a Tensor": ({"attn_mask": Tensor(CAUSAL)}, EVERYTHING & ~CAUSAL),
    "of each head": (
        {"attn_mask": np.repeat(np.stack([CAUSAL, CAUSAL.T]), 3, axis=0)},
        ~np.stack([CAUSAL, CAUSAL.T]),
    ),
    "padding": ({"key_padding_mask": PADDING}, PADDED),
    "padding and is_causal": ({"key_padding_mask": PADDING, "is_causal": True}, PADDED & ~CAUSAL),
    "all of them": (
        {"key_padding_mask": PADDING, "is_causal": True, "attn_mask": np.eye(5, k=-1, dtype=bool)},
        PADDED & ~CAUSAL & ~np.eye(5, k=-1, dtype=bool),
    ),
}


@pytest.mark.parametrize(("options", "expected"), MASKS.values(), ids=list(MASKS))
def test_masked_keys_get_no_weight(options: dict[str, Any], expected: np.ndarray) -> None:
    assert np.array_equal(sees(layer(), **options), expected)
    weights = to_itself(layer(), X, **options)[1].data
    assert np.array_equal(weights > 0, expected)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize("padding", [np.ones((2, 5), bool), np.full((2, 5), -np.inf)])
def test_a_query_with_no_key_left_gets_zeros_and_no_nan(padding: np.ndarray) -> None:
    attention = layer()
    x = Tensor(X, requires_grad=True)
    y, weights = to_itself(attention, x, key_padding_mask=padding)
    assert not weights.data.any()
    assert np.array_equal(y.data, np.broadcast_to(attention.out_proj.bias.data, y.shape))
    (y * y).sum().backward()
    assert not x.grad.any()
    assert np.isfinite(attention.in_proj_weight.grad).all()


def test_layouts_agree() -> None:
    expected = [y.data for y in to_itself(layer(), X, attn_mask=CAUSAL)]
    y, weights = to_itself(layer(batch_first=False), X.swapaxes(0, 1), attn_mask=CAUSAL)
    np.testing.assert_allclose(y.data.swapaxes(0, 1), expected[0], atol=1e-6)
    np.testing.assert_allclose(weights.data, expected[1], atol=1e-6)
    for batch_first in (True, False):
        single = to_itself(layer(batch_first=batch_first), X[1], attn_mask=CAUSAL)
        np.testing.assert_allclose(single[0].data, expected[0][1], atol=1e-6)
        np.testing.assert_allclose(single[1].data, expected[1][1], atol=1e-6)
        padded = to_itself(layer(batch_first=batch_first), X[1], key_padding_mask=PADDING[1])
        assert np.array_equal(padded[1].data[0] > 0, ~PADDING[1])


def test_dropout_is_of_the_weights_while_training() -> None:
    attention = layer(dropout=0.5)
    first, second = to_itself(attention, X), to_itself(attention, X)
    assert not np.array_equal(first[0].data, second[0].data)
    assert np.array_equal(first[1].data, second[1].data)  # they are returned before it
    attention.eval()
    np.testing.assert_allclose(to_itself(attention, X)[0].data, to_itself(layer(), X)[0].data)


WRONG = {
    "width": ((2, 5, 4), (2, 5, 6), (2, 5, 6)),
    "key's width": ((2, 5, 6), (2, 5, 4), (2, 5, 6)),
    "axes": ((5, 6), (2, 5, 6), (2, 5, 6)),
    "too many axes": ((1, 2, 5, 6),) * 3,
    "batches": ((3, 5, 6), (2, 5, 6), (2, 5, 6)),
    "keys and values": ((2, 5, 6), (2, 4, 6), (2, 5, 6)),
    "numbers": ((), (), ()),
}


@pytest.mark.parametrize("shapes", WRONG.values(), ids=list(WRONG))
def test_inputs_that_do_not_fit_are_named(shapes: Any) -> None:
    with pytest.raises(ShapeError) as error:
        layer()(*map(np.zeros, shapes))
    message = str(error.value)
    assert "MultiheadAttention(6, 3, batch_first=True) takes query (N, L, 6)" in message
    assert f"was given {shapes[0]}, {shapes[1]} and {shapes[2]}" in message


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ({"attn_mask": CAUSAL[:4]}, r"attn_mask of shape \(5, 5\) or \(6, 5, 5\).*\(4, 5\)"),
        ({"attn_mask": np.stack([CAUSAL] * 2)}, r"attn_mask .*given \(2, 5, 5\)"),
        ({"key_padding_mask": PADDING[:1]}, r"key_padding_mask of shape \(2, 5\) .*\(1, 5\)"),
        ({"key_padding_mask": PADDING[0]}, r"key_padding_mask of shape \(2, 5\) .*\(5,\)"),
    ],
)
def test_masks_that_do_not_fit_are_named(mask: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        to_itself(layer(), X, **mask)


def test_masks_of_integers_are_refused() -> None:
    with pytest.raises(DtypeError, match=r"int64.*astype"):
        to_itself(layer(), X, attn_mask=CAUSAL.astype(int))


@pytest.mark.parametrize(
    "options",
    [
        {"embed_dim": 0},
        {"num_heads": 0},
        {"num_heads": 4},
        {"kdim": 0},
        {"vdim": -1},
        {"dropout": 2.0},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="MultiheadAttention"):
        layer(**options)


def test_repr() -> None:
    assert repr(MultiheadAttention(6, 3, 0.1, kdim=2)) == (
        "MultiheadAttention(6, 3, dropout=0.1, kdim=2)  # 144 parameters\n"
        "  (out_proj): Linear(in_features=6, out_features=6, bias=True)  # 42 parameters\n"
        ")"
    ).replace(")  # 144", "  # 144", 1)


# The transformer's layer


def encoder(**options: Any) -> Any:
    options = {"dropout": 0.0, "batch_first": True, **options}
    return TransformerEncoderLayer(6, 3, 8, **options, rng=np.random.default_rng(0))


def test_parameters_have_pytorchs_names() -> None:
    names = [name for name, _ in encoder().named_children()]
    assert names == "self_attn linear1 dropout linear2 norm1 norm2 dropout1 dropout2".split()
    biases = [name for name in encoder(bias=False).state_dict() if "bias" in name]
    assert not biases


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu", np.tanh, ReLU()])
def test_the_encoder_layer_is_its_parts_composed(norm_first: bool, activation: Any) -> None:
    layer = encoder(norm_first=norm_first, activation=activation)

    def attend(x: Any) -> Any:
        return layer.self_attn(x, x, x)[0]

    def feed(x: Any) -> Any:
        return layer.linear2(layer.activation(layer.linear1(x)))

    if norm_first:
        x = X + attend(layer.norm1(X))
        x = x + feed(layer.norm2(x))
    else:
        x = layer.norm1(X + attend(X))
        x = layer.norm2(x + feed(x))
    y = layer(X)
    np.testing.assert_allclose(y.data, x.data, atol=1e-6)
    assert y.dtype == np.float32


def test_masks_reach_the_attention() -> None:
    layer = encoder()
    causal = layer(X, is_causal=True).data
    assert np.array_equal(layer(X, CAUSAL).data, causal)
    shorter = layer(X[:, :3], is_causal=True).data
    np.testing.assert_allclose(causal[:, :3], shorter, atol=1e-6)
    padded = layer(X, src_key_padding_mask=np.arange(5) + np.zeros((2, 1)) >= 3).data
    np.testing.assert_allclose(padded[:, :3], layer(X[:, :3]).data, atol=1e-6)


def test_all_that_is_dropped_is_drawn_from_one_generator() -> None:
    layer = encoder(dropout=0.3)
    assert len(list(layer.generators())) == 1
    assert not np.array_equal(layer(X).data, layer(X).data)
    state = next(layer.generators()).bit_generator.state
    first = layer(X).data
    next(layer.generators()).bit_generator.state = state
    assert np.array_equal(layer(X).data, first)


def test_an_activation_that_is_not_there() -> None:
    with pytest.raises(ArgumentError, match="relu, gelu, or a function, not 'swish'"):
        encoder(activation="swish")


@pytest.mark.parametrize("shape", [(2, 5, 4), (6,)])
def test_an_input_that_does_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"MultiheadAttention.*TransformerEncoderLayer|in Trans"):
        encoder()(np.zeros(shape))
