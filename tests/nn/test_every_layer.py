"""Every layer by the same checks: shapes, dtypes, gradients, states, copies."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, check_gradients, nn
from minigrad.transforms.trees import leaves_of, map_tree
from tests.marks import is_large, rows

RNG = np.random.default_rng(0)
Rng = np.random.Generator


class Layer(NamedTuple):
    """How one is made, what it is given, the shapes it returns, and the order of derivatives that
    finite differences are taken of."""

    make: Callable[[Rng], nn.Module]
    inputs: tuple[Any, ...]
    shapes: list[tuple[int, ...]]
    order: int = 2


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape)


def distinct(*shape: int) -> np.ndarray:
    """No two are equal, or near 0, where some layers have a kink."""
    return (RNG.permutation(int(np.prod(shape))).reshape(shape) + 0.5) / 7 - 1


class Called(nn.Module):
    """A container, and what a forward does with it."""

    def __init__(self, held: Any, forward: Callable[..., Any]) -> None:
        self.held = held
        self.function = forward

    def forward(self, *inputs: Any) -> Any:
        return self.function(self.held, *inputs)


def layer_list(rng: Rng) -> nn.Module:
    layers = nn.ModuleList([nn.Linear(3, 4, rng=rng), nn.Linear(3, 4, rng=rng)])
    return Called(layers, lambda layers, x: layers[0](x) * layers[1](x))


def layer_dict(rng: Rng) -> nn.Module:
    layers = nn.ModuleDict({"a": nn.Linear(3, 4, rng=rng), "b": nn.Linear(3, 4, rng=rng)})
    return Called(layers, lambda layers, x: layers["a"](x) * layers["b"](x))


def network(rng: Rng) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Tanh(), nn.Linear(4, 2, rng=rng))


def activation(make: Callable[[], nn.Module]) -> Layer:
    return Layer(lambda rng: make(), (distinct(3, 4),), [(3, 4)])


def loss(make: Callable[..., nn.Module], *inputs: np.ndarray) -> Layer:
    return Layer(lambda rng: make(reduction="sum"), inputs, [()])


IMAGES, SIGNALS, SEQUENCE = distinct(2, 4, 5, 4), distinct(2, 4, 7), normal(3, 2, 3)
POSITIVE = np.exp(-np.abs(normal(3, 4)))
# Integers so small that float32 times them is float32.
CLASSES, SIGNS = np.array([0, 3, 1]), np.array([1, -1, 1], np.int8)
TOKENS = np.array([[0, 3, 3], [2, 0, 1]])
PADDING = np.array([[False, False, False], [False, True, False]])

LAYERS: dict[str, Layer] = {
    **{
        kind.__name__: activation(kind)
        for kind in (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Softplus, nn.Tanh)
    },
    **{
        kind.__name__: activation(kind)
        for kind in (nn.Sigmoid, nn.LogSigmoid, nn.Softmax, nn.LogSoftmax, nn.PReLU, nn.Identity)
    },
    "Linear": Layer(lambda rng: nn.Linear(3, 4, rng=rng), (normal(2, 5, 3),), [(2, 5, 4)]),
    "Bilinear": Layer(
        lambda rng: nn.Bilinear(3, 2, 4, rng=rng), (normal(5, 3), normal(5, 2)), [(5, 4)]
    ),
    "Conv1d": Layer(lambda rng: nn.Conv1d(4, 3, 2, rng=rng), (SIGNALS,), [(2, 3, 6)]),
    "Conv2d": Layer(lambda rng: nn.Conv2d(4, 2, 2, rng=rng), (IMAGES,), [(2, 2, 4, 3)], 1),
    "ConvTranspose2d": Layer(
        lambda rng: nn.ConvTranspose2d(4, 2, 2, rng=rng), (IMAGES[..., :2],), [(2, 2, 6, 3)], 1
    ),
    "MaxPool1d": Layer(lambda rng: nn.MaxPool1d(2), (SIGNALS,), [(2, 4, 3)]),
    "MaxPool2d": Layer(lambda rng: nn.MaxPool2d(2), (IMAGES[:1],), [(1, 4, 2, 2)]),
    "AvgPool1d": Layer(lambda rng: nn.AvgPool1d(2), (SIGNALS,), [(2, 4, 3)]),
    "AvgPool2d": Layer(lambda rng: nn.AvgPool2d(2), (IMAGES[:1],), [(1, 4, 2, 2)]),
    "AdaptiveAvgPool1d": Layer(lambda rng: nn.AdaptiveAvgPool1d(3), (SIGNALS,), [(2, 4, 3)]),
    "AdaptiveAvgPool2d": Layer(
        lambda rng: nn.AdaptiveAvgPool2d((2, 1)), (IMAGES[:1],), [(1, 4, 2, 1)]
    ),
    "ZeroPad1d": Layer(lambda rng: nn.ZeroPad1d((1, 2)), (SIGNALS[:1, :2, :4],), [(1, 2, 7)]),
    "ZeroPad2d": Layer(lambda rng: nn.ZeroPad2d(1), (IMAGES[:1, :1, :2, :3],), [(1, 1, 4, 5)]),
    "ConstantPad1d": Layer(
        lambda rng: nn.ConstantPad1d((1, 2), 7.0), (SIGNALS[:1, :2, :4],), [(1, 2, 7)]
    ),
    "ConstantPad2d": Layer(
        lambda rng: nn.ConstantPad2d(1, 7.0), (IMAGES[:1, :1, :2, :3],), [(1, 1, 4, 5)]
    ),
    "ReflectionPad1d": Layer(
        lambda rng: nn.ReflectionPad1d((1, 2)), (SIGNALS[:1, :2, :4],), [(1, 2, 7)]
    ),
    "ReflectionPad2d": Layer(
        lambda rng: nn.ReflectionPad2d(1), (IMAGES[:1, :1, :2, :3],), [(1, 1, 4, 5)]
    ),
    "ReplicationPad1d": Layer(
        lambda rng: nn.ReplicationPad1d((1, 2)), (SIGNALS[:1, :2, :4],), [(1, 2, 7)]
    ),
    "ReplicationPad2d": Layer(
        lambda rng: nn.ReplicationPad2d(1), (IMAGES[:1, :1, :2, :3],), [(1, 1, 4, 5)]
    ),
    "CircularPad1d": Layer(
        lambda rng: nn.CircularPad1d((1, 2)), (SIGNALS[:1, :2, :4],), [(1, 2, 7)]
    ),
    "CircularPad2d": Layer(
        lambda rng: nn.CircularPad2d(1), (IMAGES[:1, :1, :2, :3],), [(1, 1, 4, 5)]
    ),
    "Upsample": Layer(
        lambda rng: nn.Upsample(scale_factor=2, mode="bilinear"),
        (IMAGES[:1, :1, :2, :3],),
        [(1, 1, 4, 6)],
    ),
    "PixelShuffle": Layer(
        lambda rng: nn.PixelShuffle(2), (IMAGES[:1, :4, :2, :3],), [(1, 1, 4, 6)]
    ),
    "PixelUnshuffle": Layer(
        lambda rng: nn.PixelUnshuffle(2), (IMAGES[:1, :1, :4, :4],), [(1, 4, 2, 2)]
    ),
    "BatchNorm1d": Layer(lambda rng: nn.BatchNorm1d(4), (normal(5, 4),), [(5, 4)]),
    "BatchNorm2d": Layer(lambda rng: nn.BatchNorm2d(4), (IMAGES[..., :2],), [(2, 4, 5, 2)], 1),
    "LayerNorm": Layer(lambda rng: nn.LayerNorm(4), (normal(5, 4),), [(5, 4)]),
    "RMSNorm": Layer(lambda rng: nn.RMSNorm(4), (normal(5, 4),), [(5, 4)]),
    "GroupNorm": Layer(lambda rng: nn.GroupNorm(2, 4), (SIGNALS[..., :3],), [(2, 4, 3)]),
    "Dropout": Layer(lambda rng: nn.Dropout(0.4, rng=rng), (normal(3, 4),), [(3, 4)]),
    "Embedding": Layer(lambda rng: nn.Embedding(4, 3, rng=rng), (TOKENS,), [(2, 3, 3)]),
    "RNN": Layer(
        lambda rng: nn.RNN(3, 2, num_layers=2, dropout=0.3, rng=rng),
        (SEQUENCE,),
        [(3, 2, 2), (2, 2, 2)],
    ),
    "LSTM": Layer(
        lambda rng: nn.LSTM(3, 2, bidirectional=True, rng=rng),
        (SEQUENCE, (normal(2, 2, 2), normal(2, 2, 2))),
        [(3, 2, 4), (2, 2, 2), (2, 2, 2)],
        1,
    ),
    "GRU": Layer(
        lambda rng: nn.GRU(3, 2, batch_first=True, rng=rng), (SEQUENCE,), [(3, 2, 2), (1, 3, 2)]
    ),
    "MultiheadAttention": Layer(
        lambda rng: nn.MultiheadAttention(4, 2, kdim=3, vdim=2, dropout=0.3, rng=rng),
        (normal(2, 2, 4), normal(3, 2, 3), normal(3, 2, 2), PADDING),
        [(2, 2, 4), (2, 2, 3)],
        1,
    ),
    "TransformerEncoderLayer": Layer(
        lambda rng: nn.TransformerEncoderLayer(
            4, 2, 3, dropout=0.2, activation="gelu", batch_first=True, rng=rng
        ),
        (normal(2, 3, 4), None, PADDING, True),
        [(2, 3, 4)],
        1,
    ),
    "Flatten": Layer(lambda rng: nn.Flatten(), (SIGNALS,), [(2, 28)]),
    "Unflatten": Layer(lambda rng: nn.Unflatten(1, (2, 2)), (SIGNALS,), [(2, 2, 2, 7)]),
    "Sequential": Layer(network, (normal(5, 3),), [(5, 2)]),
    "ModuleList": Layer(layer_list, (normal(5, 3),), [(5, 4)]),
    "ModuleDict": Layer(layer_dict, (normal(5, 3),), [(5, 4)]),
    "CrossEntropyLoss": loss(nn.CrossEntropyLoss, normal(3, 4), CLASSES),
    "NLLLoss": loss(nn.NLLLoss, normal(3, 4), CLASSES),
    "BCEWithLogitsLoss": loss(nn.BCEWithLogitsLoss, normal(3, 4), POSITIVE),
    "KLDivLoss": loss(nn.KLDivLoss, normal(3, 4), POSITIVE),
    "HingeLoss": loss(nn.HingeLoss, normal(3), SIGNS),
    "MSELoss": loss(nn.MSELoss, normal(3, 4), normal(3, 4)),
    "L1Loss": loss(nn.L1Loss, normal(3, 4), normal(3, 4)),
    "SmoothL1Loss": loss(nn.SmoothL1Loss, normal(3, 4), normal(3, 4)),
    "CosineSimilarity": Layer(
        lambda rng: nn.CosineSimilarity(), (normal(3, 4), normal(3, 4)), [(3,)]
    ),
    "CosineEmbeddingLoss": loss(nn.CosineEmbeddingLoss, normal(3, 4), normal(3, 4), SIGNS),
}


def exported() -> set[type[nn.Module]]:
    values = [getattr(nn, name) for name in nn.__all__]
    return {x for x in values if isinstance(x, type) and x is not nn.Module}


def each_layer() -> Any:
    return pytest.mark.parametrize("layer", LAYERS.values(), ids=list(LAYERS))


def made(layer: Layer, seed: int = 0) -> nn.Module:
    return layer.make(np.random.default_rng(seed))


def as_float32(inputs: Any) -> Any:
    return map_tree(lambda x: x.astype(np.float32) if is_float(x) else x, inputs)


def is_float(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def outputs(y: Any) -> list[Any]:
    """All Tensors or arrays of a nest."""
    return [x for _, x in leaves_of(y)]


def equal(a: Any, b: Any) -> bool:
    """Whether two results are the same, bit for bit."""
    return all(np.array_equal(x, y) for x, y in zip(values(a), values(b), strict=True))


def values(y: Any) -> list[np.ndarray]:
    return [x.data if isinstance(x, Tensor) else np.asarray(x) for x in outputs(y)]


def test_every_layer_is_in_the_table() -> None:
    tried = {type(module) for layer in LAYERS.values() for module in made(layer).modules()}
    assert exported() <= tried
    assert {kind.__name__ for kind in exported()} == set(LAYERS)


@each_layer()
def test_shapes_and_dtypes(layer: Layer) -> None:
    """float32 stays float32, on the way there and back; every parameter is given a gradient."""
    module = made(layer)
    x = as_float32(layer.inputs)
    x = map_tree(lambda x: Tensor(x, requires_grad=True) if is_float(x) else x, x)
    ys = outputs(module(*x))
    assert [y.shape for y in ys] == layer.shapes
    total = sum(((y * normal(*y.shape).astype(np.float32)).sum() for y in ys), Tensor(np.float32()))
    total.backward()
    floats = [x for x in outputs(x) if isinstance(x, Tensor)]
    for value in (*ys, *floats, *module.parameters()):
        assert value.dtype == np.float32
    for leaf in (*floats, *module.parameters()):
        assert leaf.grad.dtype == np.float32
        assert np.any(leaf.grad)


def is_large_with_its_inputs(layer: Layer) -> bool:
    held = [parameter.shape for parameter in made(layer).parameters()]
    return is_large(*held, *(x.shape for x in outputs(layer.inputs) if is_float(x)))


@pytest.mark.parametrize("layer", rows(LAYERS, slow=is_large_with_its_inputs))
def test_gradients(layer: Layer) -> None:
    """Of the inputs and all parameters, in training, with the same draws every time."""
    module = made(layer)
    states = [(rng, rng.bit_generator.state) for rng in module.generators()]
    places = [place(module, name) for name, _ in module.named_parameters()]
    weights = [parameter.data for parameter in module.parameters()]
    moved = [k for k, x in enumerate(layer.inputs) if any(map(is_float, outputs(x)))]

    def f(parameters: Any, *xs: Any) -> Any:
        for (owner, attribute), parameter in zip(places, parameters, strict=True):
            setattr(owner, attribute, parameter)
        for rng, state in states:
            rng.bit_generator.state = state
        inputs = list(layer.inputs)
        for k, x in zip(moved, xs, strict=True):
            inputs[k] = x
        return module(*inputs)

    check_gradients(f, weights, *(layer.inputs[k] for k in moved), order=layer.order)


def place(module: nn.Module, name: str) -> tuple[Any, str]:
    """The module inside that has the parameter, and its attribute."""
    path, _, attribute = name.rpartition(".")
    return dict(module.named_modules())[path], attribute


@each_layer()
def test_a_state_makes_another_the_same(layer: Layer, tmp_path: Path) -> None:
    module, inputs = made(layer), as_float32(layer.inputs)
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    for _ in range(3):  # buffers move
        module(*inputs)
    expected = module.eval()(*inputs)
    minigrad.save(tmp_path / "state", module)
    for state in module.state_dict(), minigrad.load(tmp_path / "state"):
        other = made(layer, seed=1).eval()
        assert equal(other(*inputs), expected) == (not list(module.state_dict()))
        other.load_state_dict(state)
        assert equal(other(*inputs), expected)


@each_layer()
def test_the_generator_decides_the_start_and_the_draws(layer: Layer) -> None:
    a, b = made(layer), made(layer)
    inputs = as_float32(layer.inputs)
    assert equal(a.state_dict(), b.state_dict())
    assert equal(a(*inputs), b(*inputs))
    minigrad.manual_seed(0)
    before = minigrad.random.generator().bit_generator.state
    made(layer)(*inputs)
    assert minigrad.random.generator().bit_generator.state == before


@each_layer()
def test_train_and_eval_reach_all_descendants(layer: Layer) -> None:
    module = made(layer)
    assert all(part.training for part in module.modules())
    module.eval()
    assert not any(part.training for part in module.modules())
    inputs = as_float32(layer.inputs)
    assert equal(module(*inputs), module(*inputs))
    assert all(part.training for part in module.train().modules())


@each_layer()
def test_copies_are_apart(layer: Layer) -> None:
    module, inputs = made(layer), as_float32(layer.inputs)
    other = copy.deepcopy(module)
    assert equal(module(*inputs), other(*inputs))
    before = module.state_dict()
    for tensor in (*other.parameters(), *other.buffers()):
        tensor.data[...] = 7
    assert equal(module.state_dict(), before)


@each_layer()
def test_frozen_it_gives_the_same(layer: Layer) -> None:
    module, inputs = made(layer).eval(), as_float32(layer.inputs)
    names = [name for name, _ in module.named_parameters()]
    expected, state = module(*inputs), module.state_dict()
    module.requires_grad_(False)
    y = module(*inputs)
    assert equal(y, expected)
    assert not any(x.requires_grad for x in outputs(y) if isinstance(x, Tensor))
    assert [name for name, _ in module.named_parameters()] == names
    assert list(module.state_dict()) == list(state)


@pytest.mark.parametrize("name", LAYERS)
def test_repr_names_it_and_counts_its_parameters(name: str) -> None:
    module = made(LAYERS[name])
    text = repr(module)
    assert re.search(rf"\b{name}\(", text)
    count = sum(parameter.size for parameter in module.parameters())
    assert (f"# {count:,} parameters" in text) == (count > 0)
