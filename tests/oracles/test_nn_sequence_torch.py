"""Layers of sequences and of tables, and initialisers, against PyTorch's in float64."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import minigrad
import minigrad.functional as F
from minigrad import Tensor, nn
from tests.oracles.compare import close, compare

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_bilinear(bias: bool, lead: tuple[int, ...]) -> None:
    inputs = normal(*lead, 4), normal(*lead, 3)
    compare(nn.Bilinear(4, 3, 5, bias), torch.nn.Bilinear(4, 3, 5, bias), *inputs)


@pytest.mark.parametrize("padding_idx", [None, 0, 3, -1])
@pytest.mark.parametrize("shape", [(), (5,), (2, 4)])
def test_embedding(padding_idx: int | None, shape: tuple[int, ...]) -> None:
    theirs = torch.nn.Embedding(6, 3, padding_idx)
    with torch.no_grad():
        theirs.weight[:] = torch.randn(6, 3)  # what pads need not be zero
    indices = np.asarray(np.random.default_rng(1).choice([0, 3, 5, 5], shape))
    compare(nn.Embedding(6, 3, padding_idx), theirs, indices)


@pytest.mark.parametrize("arguments", [(), (0,), (1, 2), (-2, -1), (0, -2), (2, 2)])
def test_flatten(arguments: tuple[int, ...]) -> None:
    compare(nn.Flatten(*arguments), torch.nn.Flatten(*arguments), normal(2, 3, 4, 2))


@pytest.mark.parametrize("arguments", [(1, (2, 3)), (-2, (3, -1)), (0, (1, 2)), (1, (6,))])
def test_unflatten(arguments: tuple[Any, ...]) -> None:
    compare(nn.Unflatten(*arguments), torch.nn.Unflatten(*arguments), normal(2, 6, 4))


# Recurrent layers

OPTIONS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"num_layers": 3},
    {"batch_first": True},
    {"bidirectional": True},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
    {"num_layers": 2, "bidirectional": True, "bias": False},
    {"hidden_size": 1, "input_size": 1},
]
KINDS = [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("LSTM", {}), ("GRU", {})]


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("from_state", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("name", "more"), KINDS, ids=str)
def test_recurrent(
    name: str, more: dict[str, Any], options: dict[str, Any], from_state: bool, single: bool
) -> None:
    options = {"input_size": 3, "hidden_size": 4, **options, **more}
    lead = [7] if single else [2, 7] if options.get("batch_first") else [7, 2]
    inputs: list[Any] = [normal(*lead, options["input_size"])]
    if from_state:
        count = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
        shape = (count, *(() if single else (2,)), options["hidden_size"])
        pair = normal(*shape), normal(*shape)
        inputs.append(pair if name == "LSTM" else pair[0])
    compare(getattr(nn, name)(**options), getattr(torch.nn, name)(**options), *inputs)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_recurrent_of_one_step(name: str) -> None:
    compare(getattr(nn, name)(3, 4), getattr(torch.nn, name)(3, 4), normal(1, 2, 3))


# Attention

CAUSAL = np.tril(np.ones((5, 7), bool))
SCATTERED = RNG.random((2, 1, 5, 7)) < 0.6
SCATTERED[..., 0] = True
MASKS: dict[str, Any] = {
    "none": None,
    "boolean": CAUSAL,
    "of the batch": SCATTERED,
    "one key": np.eye(5, 7, dtype=bool),
    "float": normal(5, 7),
    "of each head": normal(2, 3, 5, 7),
    "float with -inf": np.where(CAUSAL, normal(5, 7), -np.inf),
    "no key left": np.where(np.arange(5)[:, None] == 2, False, CAUSAL),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=list(MASKS))
@pytest.mark.parametrize("scale", [None, 0.3])
def test_scaled_dot_product_attention(mask: Any, scale: float | None) -> None:
    inputs = normal(2, 3, 5, 4), normal(2, 3, 7, 4), normal(2, 3, 7, 6)
    check_attention(inputs, mask, scale=scale)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_causal_attention(lead: tuple[int, ...]) -> None:
    check_attention(tuple(normal(*lead, n, 4) for n in (5, 5, 5)), None, is_causal=True)
    check_attention(tuple(normal(*lead, n, 4) for n in (5, 7, 7)), None, is_causal=True)


def check_attention(arrays: Any, mask: Any, **options: Any) -> None:
    ours = [Tensor(x, requires_grad=True) for x in arrays]
    theirs = [torch.tensor(x, requires_grad=True) for x in arrays]
    torch_mask = None if mask is None else torch.tensor(mask)
    q, k, v = ours
    y = F.scaled_dot_product_attention(q, k, v, mask, **options)
    z = torch.nn.functional.scaled_dot_product_attention(*theirs, torch_mask, **options)
    close(y.data, z.detach().numpy())
    cotangent = normal(*y.shape)
    y.backward(cotangent)
    z.backward(torch.tensor(cotangent))
    for a, b in zip(ours, theirs, strict=True):
        close(a.grad, b.grad.numpy())


PADDING = np.array([[False] * 5, [False, False, False, True, True]])
CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "without weights": {"need_weights": False},
    "weights of each head": {"average_attn_weights": False},
    "causal": {"attn_mask": ~CAUSAL[:, :5]},
    "float mask": {"attn_mask": normal(5, 5)},
    "mask of each head": {"attn_mask": normal(4, 5, 5)},
    "padding": {"key_padding_mask": PADDING},
    "float padding": {"key_padding_mask": np.where(PADDING, -np.inf, 0.25)},
    "both": {"key_padding_mask": PADDING, "attn_mask": ~CAUSAL[:, :5]},
}
# PyTorch warns that masks of two kinds will have to be of one.
pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched")


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_attention_to_itself(call: dict[str, Any], batch_first: bool, bias: bool) -> None:
    x = normal(2, 5, 6) if batch_first else normal(5, 2, 6)
    options: dict[str, Any] = {"embed_dim": 6, "num_heads": 2, "bias": bias}
    options["batch_first"] = batch_first
    ours, theirs = nn.MultiheadAttention(**options), torch.nn.MultiheadAttention(**options)
    start(theirs)
    compare(ToItself(ours), ToItselfTorch(theirs), x, **call)


class ToItself(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer

    def forward(self, x: Any, **options: Any) -> Any:
        return self.layer(x, x, x, **options)


class ToItselfTorch(torch.nn.Module):
    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Any, **options: Any) -> Any:
        return self.layer(x, x, x, **options)


def start(module: torch.nn.Module) -> None:
    """Biases start as zeros, where a mistake would not show."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()


@pytest.mark.parametrize("dims", [{}, {"kdim": 3}, {"vdim": 4}, {"kdim": 3, "vdim": 4}], ids=str)
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_attention_to_others(dims: dict[str, Any], single: bool, batch_first: bool) -> None:
    ours = nn.MultiheadAttention(6, 3, batch_first=batch_first, **dims)
    theirs = torch.nn.MultiheadAttention(6, 3, batch_first=batch_first, **dims)
    start(theirs)
    inputs = [normal(5, 6), normal(7, dims.get("kdim", 6)), normal(7, dims.get("vdim", 6))]
    if not single:
        inputs = [np.stack([x, 2 * x], 0 if batch_first else 1) for x in inputs]
    compare(ours, theirs, *inputs)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(
    "options",
    [{}, {"activation": "gelu"}, {"bias": False}, {"layer_norm_eps": 0.1}, {"activation": np.tanh}],
    ids=str,
)
def test_transformer_encoder_layer(
    norm_first: bool, batch_first: bool, options: dict[str, Any]
) -> None:
    options = {"norm_first": norm_first, "batch_first": batch_first, "dropout": 0.0, **options}
    torch_options = {k: torch.tanh if v is np.tanh else v for k, v in options.items()}
    ours = nn.TransformerEncoderLayer(6, 2, 8, **options)
    theirs = torch.nn.TransformerEncoderLayer(6, 2, 8, **torch_options)
    start(theirs)
    x = normal(2, 5, 6) if batch_first else normal(5, 2, 6)
    compare(ours, theirs, x)
    compare(ours, theirs, x, src_mask=~CAUSAL[:, :5])
    compare(ours, theirs, x, src_key_padding_mask=PADDING)
    compare(ours, theirs, normal(5, 6))


# Weights, both ways


def models() -> Any:
    def build(library: Any) -> Any:
        return library.ModuleDict(
            {
                "embedding": library.Embedding(11, 6),
                "lstm": library.LSTM(6, 5, num_layers=2, bidirectional=True),
                "gru": library.GRU(6, 5),
                "rnn": library.RNN(6, 5),
                "layers": library.ModuleList(
                    library.TransformerEncoderLayer(6, 2, 8, dropout=0.0) for _ in range(2)
                ),
                "other": library.MultiheadAttention(6, 2, kdim=3, vdim=4),
                "bilinear": library.Bilinear(3, 4, 5),
                "head": library.Sequential(library.Flatten(), library.ReLU(), library.Linear(6, 2)),
            }
        )

    return build(nn), build(torch.nn)


def outputs(model: Any, tokens: Any, pair: Any) -> list[Any]:
    x = model["embedding"](tokens)
    y = x
    for layer in model["layers"]:
        y = layer(y)
    return [
        model["lstm"](x)[0],
        model["gru"](x)[0],
        model["rnn"](x)[0],
        model["head"](y[0]),
        model["other"](y, *pair)[0],
        model["bilinear"](*pair),
    ]


@pytest.mark.parametrize("to_pytorch", [True, False])
def test_weights_travel_both_ways_through_files(to_pytorch: bool, tmp_path: Path) -> None:
    ours, theirs = models()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    if to_pytorch:
        minigrad.save(tmp_path / "weights", ours)
        theirs.load_state_dict(safetensors.torch.load_file(tmp_path / "weights"))
    else:
        safetensors.torch.save_file(theirs.state_dict(), tmp_path / "weights")
        ours.load_state_dict(minigrad.load(tmp_path / "weights"))
    tokens = RNG.integers(0, 11, (7, 3))
    pair = [normal(7, 3, n).astype(np.float32) for n in (3, 4)]
    got = outputs(ours, tokens, pair)
    expected = outputs(theirs, torch.tensor(tokens), [torch.tensor(x) for x in pair])
    for y, z in zip(got, expected, strict=True):
        assert y.dtype == np.float32
        np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-4, atol=1e-5)


# Initialisers


@pytest.mark.parametrize("shape", [(300, 200), (60, 50, 3, 4)])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("uniform_", {"a": -2.0, "b": 0.5}),
        ("normal_", {"mean": 1.0, "std": 0.2}),
        ("trunc_normal_", {}),
        ("trunc_normal_", {"mean": 1.0, "std": 0.5, "a": 0.5, "b": 3.0}),
        ("constant_", {"val": 0.3}),
        ("zeros_", {}),
        ("ones_", {}),
        ("xavier_uniform_", {"gain": 2.0}),
        ("xavier_normal_", {}),
        ("orthogonal_", {"gain": 3.0}),
        *itertools.product(
            ["kaiming_uniform_", "kaiming_normal_"],
            [
                {},
                {"a": math.sqrt(5)},
                {"mode": "fan_out", "nonlinearity": "relu"},
                {"nonlinearity": "tanh"},
            ],
        ),
    ],
    ids=str,
)
def test_initialisers(name: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    x = Tensor(np.empty(shape, np.float32), requires_grad=True)
    assert getattr(nn.init, name)(x, **options, **seeded(name)) is x
    torch.manual_seed(0)
    y = getattr(torch.nn.init, name)(torch.empty(shape), **options).numpy()
    assert x.dtype == y.dtype
    scale = y.std() + np.abs(y.mean()) + 1e-6
    for statistic in (np.mean, np.std, lambda x: np.quantile(x, [0.05, 0.25, 0.5, 0.75, 0.95])):
        np.testing.assert_allclose(statistic(x.data), statistic(y), atol=0.05 * scale)
    if "normal" not in name or "trunc" in name:  # bounded
        for bound in (np.min, np.max):
            np.testing.assert_allclose(bound(x.data), bound(y), rtol=0.2, atol=0.02 * scale)


def seeded(name: str) -> dict[str, Any]:
    draws = name not in ("constant_", "zeros_", "ones_")
    return {"rng": np.random.default_rng(0)} if draws else {}


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 2, 3), (6, 2, 3)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    x = nn.init.orthogonal_(Tensor(np.empty(shape))).data.reshape(shape[0], -1)
    gram = x @ x.T if x.shape[0] < x.shape[1] else x.T @ x
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)


@pytest.mark.parametrize("param", [None, 0.0, 0.3])
@pytest.mark.parametrize("name", ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_calculate_gain(name: str, param: float | None) -> None:
    gain = torch.nn.init.calculate_gain(name, param)
    assert nn.init.calculate_gain(name, param) == pytest.approx(gain, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "sizes", "options"),
    [
        ("Bilinear", (60, 40, 10), {}),
        ("Embedding", (300, 40), {}),
        ("RNN", (30, 100, 2), {}),
        ("LSTM", (30, 100), {}),
        ("GRU", (30, 100), {}),
        ("MultiheadAttention", (60, 4), {}),
        ("MultiheadAttention", (60, 4), {"kdim": 30, "vdim": 50}),
        ("TransformerEncoderLayer", (40, 4, 80), {}),
    ],
    ids=str,
)
def test_parameters_start_from_the_same_distribution(
    name: str, sizes: tuple[int, ...], options: dict[str, int]
) -> None:
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(*sizes, **options)
    ours = getattr(nn, name)(*sizes, **options, rng=np.random.default_rng(0))
    for (_, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        expected = q.detach().numpy()
        assert p.dtype == expected.dtype
        assert p.shape == expected.shape
        if expected.std() == 0:
            assert np.array_equal(p.data, expected)
        else:
            assert p.data.std() == pytest.approx(expected.std(), rel=0.35 if p.ndim == 1 else 0.1)
            if name != "Embedding":
                bounds = np.abs(p.data).max(), np.abs(expected).max()
                assert bounds[0] == pytest.approx(bounds[1], rel=0.2)
