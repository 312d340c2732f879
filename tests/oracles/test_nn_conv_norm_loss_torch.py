"""Convolution, pooling, normalization, activations and losses against PyTorch's in float64."""

from typing import Any

import numpy as np
import pytest
import torch

from minigrad import nn
from tests.oracles.compare import compare, run

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"bias": False},
        {"stride": 2},
        {"stride": (1, 3), "padding": (2, 0)},
        {"padding": 1, "dilation": 2},
        {"dilation": (1, 2), "groups": 2},
        {"padding": "same"},
        {"padding": "same", "dilation": 2},
        {"groups": 4, "stride": 2, "padding": 2, "dilation": (2, 1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("kernel", [1, 3, (2, 3)])
# PyTorch finds an even kernel slow, with padding on one side only.
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_conv2d(settings: dict[str, Any], kernel: Any) -> None:
    x = RNG.standard_normal((2, 4, 7, 8))
    compare(nn.Conv2d(4, 8, kernel, **settings), torch.nn.Conv2d(4, 8, kernel, **settings), x)


@pytest.mark.parametrize(
    "settings",
    [
        {"padding": 1},
        {"padding": (1, 2), "stride": 2},
        {"padding": "same", "dilation": 2},
        {"padding": "valid"},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_padding_mode(mode: str, settings: dict[str, Any]) -> None:
    x, settings = RNG.standard_normal((2, 3, 7, 6)), settings | {"padding_mode": mode}
    compare(nn.Conv2d(3, 4, 3, **settings), torch.nn.Conv2d(3, 4, 3, **settings), x)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"bias": False, "stride": 2},
        {"padding": 2, "dilation": 2, "groups": 2},
        {"padding": "same", "groups": 4},
        {"stride": 3, "padding": (1,), "dilation": (2,)},
    ],
    ids=str,
)
@pytest.mark.parametrize("kernel", [1, 3, (2,)])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_conv1d(settings: dict[str, Any], kernel: Any) -> None:
    x = RNG.standard_normal((2, 4, 9))
    compare(nn.Conv1d(4, 8, kernel, **settings), torch.nn.Conv1d(4, 8, kernel, **settings), x)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"bias": False, "stride": 2},
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"stride": (2, 3), "padding": (0, 1), "output_padding": (1, 2)},
        {"dilation": 2, "groups": 2},
        {"stride": 3, "padding": 2, "output_padding": 2, "groups": 4, "dilation": (2, 1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("kernel", [1, 3, (2, 3)])
def test_conv_transpose2d(settings: dict[str, Any], kernel: Any) -> None:
    x = RNG.standard_normal((2, 4, 5, 4))
    ours, theirs = (lib.ConvTranspose2d(4, 8, kernel, **settings) for lib in (nn, torch.nn))
    compare(ours, theirs, x)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("Conv1d", (8, 100, 5)), ("Conv2d", (8, 100, 3)), ("ConvTranspose2d", (8, 100, 3))],
)
def test_parameters_start_from_the_same_distribution(name: str, arguments: tuple[Any, ...]) -> None:
    ours, theirs = getattr(nn, name)(*arguments), getattr(torch.nn, name)(*arguments)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        b = q.detach().numpy()
        assert p.data.std() == pytest.approx(b.std(), rel=0.2)
        assert np.abs(p.data).max() == pytest.approx(np.abs(b).max(), rel=0.1)


# No two values are equal: minigrad shares the gradient of ties, PyTorch gives it to the first.
IMAGES = RNG.permutation(2 * 3 * 7 * 8).reshape(2, 3, 7, 8) / 10
SIGNALS = RNG.permutation(2 * 3 * 9).reshape(2, 3, 9) / 10
POOLS: list[tuple[str, dict[str, Any]]] = [
    *(
        (name + axes, settings)
        for name in ("MaxPool", "AvgPool")
        for axes in ("1d", "2d")
        for settings in (
            {"kernel_size": 2},
            {"kernel_size": 3, "stride": 1, "padding": 1},
            {"kernel_size": 3, "stride": 2},
        )
    ),
    ("MaxPool1d", {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": 2}),
    ("MaxPool2d", {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0)}),
    ("MaxPool2d", {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": 2}),
    ("AvgPool2d", {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0)}),
    ("AvgPool1d", {"kernel_size": 3, "padding": 1, "count_include_pad": False}),
    ("AvgPool2d", {"kernel_size": 3, "stride": 1, "padding": 1, "count_include_pad": False}),
    *(("AdaptiveAvgPool1d", {"output_size": size}) for size in (1, 3, 4, 9, 11)),
    *(("AdaptiveAvgPool2d", {"output_size": size}) for size in (1, 4, (3, 5), (None, 2), (9, 1))),
]


@pytest.mark.parametrize(("name", "settings"), POOLS, ids=str)
def test_pooling(name: str, settings: dict[str, Any]) -> None:
    x = SIGNALS if name.endswith("1d") else IMAGES
    compare(getattr(nn, name)(**settings), getattr(torch.nn, name)(**settings), x)


NORMALIZATIONS: list[tuple[str, tuple[Any, ...], dict[str, Any], list[tuple[int, ...]]]] = [
    *(
        ("BatchNorm1d", (3,), settings, [(4, 3), (2, 3, 5)])
        for settings in (
            {},
            {"eps": 0.1, "momentum": 0.3},
            {"momentum": None},
            {"affine": False},
            {"track_running_stats": False},
        )
    ),
    ("BatchNorm2d", (3,), {"momentum": 1.0, "eps": 1e-3}, [(4, 3, 2, 5), (2, 3, 1, 1)]),
    ("LayerNorm", (4,), {}, [(3, 4), (2, 3, 4), (4,)]),
    ("LayerNorm", ((3, 4),), {"eps": 0.1, "bias": False}, [(3, 4), (2, 3, 4)]),
    ("LayerNorm", ((3, 4),), {"elementwise_affine": False}, [(2, 3, 4)]),
    ("GroupNorm", (2, 6), {"eps": 0.1}, [(3, 6), (3, 6, 4), (2, 6, 3, 4)]),
    ("GroupNorm", (6, 6), {}, [(2, 6, 3, 4)]),
    ("GroupNorm", (1, 6), {"affine": False}, [(2, 6, 3, 4)]),
    ("RMSNorm", (4,), {}, [(3, 4), (2, 3, 4)]),
    ("RMSNorm", ((3, 4),), {"eps": 0.1}, [(2, 3, 4)]),
    ("RMSNorm", (4,), {"elementwise_affine": False}, [(3, 4)]),
]


@pytest.mark.parametrize(("name", "arguments", "settings", "shapes"), NORMALIZATIONS, ids=str)
def test_normalization_in_training_and_then_in_eval(
    name: str, arguments: Any, settings: Any, shapes: list[tuple[int, ...]]
) -> None:
    ours, theirs = (getattr(lib, name)(*arguments, **settings) for lib in (nn, torch.nn))
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(torch.from_numpy(RNG.uniform(0.5, 1.5, parameter.shape)))
    compare(ours, theirs, RNG.standard_normal(shapes[0]))
    for shape in 2 * shapes:
        run(ours, theirs, (3 * RNG.standard_normal(shape) + 1,), {})
    ours.eval()
    theirs.eval()
    for shape in shapes:
        run(ours, theirs, (RNG.standard_normal(shape),), {})


LOGITS = RNG.standard_normal((4, 5))
MAPS = RNG.standard_normal((2, 5, 3, 2))
CLASSES, LABELS = np.array([0, 4, 2, 2]), RNG.integers(0, 5, (2, 3, 2))
HOLES = np.where(RNG.random(LABELS.shape) < 0.5, LABELS, -100)
WEIGHT = RNG.uniform(0.5, 2, 5)


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum(1, keepdims=True)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("x", "target", "ignore_index"),
    [
        (LOGITS, CLASSES, -100),
        (LOGITS, CLASSES, 2),
        (LOGITS[0], CLASSES[0], -100),
        (MAPS, LABELS, -100),
        (MAPS, HOLES, -100),
        (LOGITS, softmax(RNG.standard_normal((4, 5))), -100),
        (MAPS, softmax(RNG.standard_normal((2, 5, 3, 2))), -100),
        (LOGITS[0], softmax(LOGITS)[1], -100),
    ],
    ids=lambda x: str(np.shape(x)),
)
def test_cross_entropy(
    x: Any, target: Any, ignore_index: int, weighted: bool, label_smoothing: float, reduction: str
) -> None:
    settings: dict[str, Any] = {"ignore_index": ignore_index, "reduction": reduction}
    settings["label_smoothing"] = label_smoothing
    if weighted:
        settings["weight"] = WEIGHT
    compare_losses("CrossEntropyLoss", settings, x, target)


def compare_losses(name: str, settings: dict[str, Any], *inputs: Any) -> None:
    """The loss modules, with torch's settings: its arrays are tensors, its axis is a dim."""
    theirs = {
        {"axis": "dim"}.get(key, key): torch.tensor(x) if isinstance(x, np.ndarray) else x
        for key, x in settings.items()
    }
    compare(getattr(nn, name)(**settings), getattr(torch.nn, name)(**theirs), *inputs)


LEFT, RIGHT = RNG.standard_normal((2, 4, 5))
PROBABILITIES = softmax(RIGHT)
LOG = np.log(softmax(LEFT))
PAIRS = np.array([1, -1, -1, 1])
LOSSES: list[tuple[str, dict[str, Any], list[Any]]] = [
    ("NLLLoss", {}, [LOG, CLASSES]),
    ("NLLLoss", {"weight": WEIGHT, "ignore_index": 2}, [LOG, CLASSES]),
    ("NLLLoss", {"weight": WEIGHT}, [MAPS, HOLES]),
    ("NLLLoss", {}, [LOG[0], CLASSES[0]]),
    ("MSELoss", {}, [LEFT, RIGHT]),
    ("L1Loss", {}, [LEFT, RIGHT]),
    ("SmoothL1Loss", {}, [LEFT, RIGHT]),
    ("SmoothL1Loss", {"beta": 0.3}, [LEFT, RIGHT]),
    ("SmoothL1Loss", {"beta": 0.0}, [LEFT, RIGHT]),
    ("BCEWithLogitsLoss", {}, [LEFT, PROBABILITIES]),
    ("BCEWithLogitsLoss", {"pos_weight": WEIGHT}, [LEFT, PROBABILITIES]),
    ("BCEWithLogitsLoss", {"weight": WEIGHT, "pos_weight": 2 * WEIGHT}, [LEFT, PROBABILITIES]),
    ("KLDivLoss", {}, [LOG, PROBABILITIES]),
    ("KLDivLoss", {"log_target": True}, [LOG, np.log(PROBABILITIES)]),
    ("CosineEmbeddingLoss", {}, [LEFT, RIGHT, PAIRS]),
    ("CosineEmbeddingLoss", {"margin": -0.5}, [LEFT, RIGHT, PAIRS]),
    ("CosineEmbeddingLoss", {"margin": 0.1}, [LEFT[0], RIGHT[0], PAIRS[1]]),
]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
@pytest.mark.parametrize(("name", "settings", "inputs"), LOSSES, ids=str)
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss")
def test_losses(name: str, settings: dict[str, Any], inputs: list[Any], reduction: str) -> None:
    if reduction != "batchmean" or name == "KLDivLoss":
        compare_losses(name, {**settings, "reduction": reduction}, *inputs)


# Where eps is longer than a vector, PyTorch's gradient is that of the vector's own length.
@pytest.mark.parametrize("settings", [{}, {"axis": 0}, {"axis": -1, "eps": 1e-3}], ids=str)
def test_cosine_similarity(settings: dict[str, Any]) -> None:
    compare_losses("CosineSimilarity", settings, LEFT, RIGHT)
    compare_losses("CosineSimilarity", settings, LEFT[:, None], RIGHT)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ReLU", ()),
        ("LeakyReLU", ()),
        ("LeakyReLU", (0.3,)),
        ("ELU", ()),
        ("ELU", (0.5,)),
        ("GELU", ()),
        ("GELU", ("tanh",)),
        ("SiLU", ()),
        ("Softplus", ()),
        ("Tanh", ()),
        ("Sigmoid", ()),
        ("LogSigmoid", ()),
        ("Softmax", (1,)),
        ("LogSoftmax", (0,)),
        ("PReLU", ()),
        ("PReLU", (5, 0.1)),
        ("Identity", ()),
    ],
)
def test_activations(name: str, arguments: tuple[Any, ...]) -> None:
    x = 3 * RNG.standard_normal((4, 5))
    theirs = (
        torch.nn.GELU(approximate="tanh")
        if "tanh" in arguments
        else getattr(torch.nn, name)(*arguments)
    )
    compare(getattr(nn, name)(*arguments), theirs, x)
