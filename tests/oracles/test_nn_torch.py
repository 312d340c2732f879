"""Layers against PyTorch's of the same name in float64: outputs, gradients, weights both ways."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import minigrad
from minigrad import Tensor, nn

RNG = np.random.default_rng(0)


def double(module: nn.Module, state: dict[str, Any]) -> None:
    """Give a module the float64 parameters of a state."""
    for name, value in state.items():
        *path, last = name.split(".")
        owner: Any = module
        for part in path:
            owner = getattr(owner, part)
        setattr(owner, last, Tensor(value.numpy().copy(), requires_grad=True))


def compare(ours: nn.Module, theirs: torch.nn.Module, x: np.ndarray) -> None:
    theirs.double()
    double(ours, theirs.state_dict())
    assert [name for name, _ in ours.named_parameters()] == [
        name for name, _ in theirs.named_parameters()
    ]
    a, b = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(a), theirs(b)
    np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-12, atol=1e-12)
    cotangent = RNG.standard_normal(y.shape)
    y.backward(cotangent)
    z.backward(torch.tensor(cotangent))
    np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-11, atol=1e-11)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_linear(bias: bool, lead: tuple[int, ...]) -> None:
    x = RNG.standard_normal((*lead, 5))
    compare(nn.Linear(5, 4, bias), torch.nn.Linear(5, 4, bias), x)


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
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 1, "padding": 1},
        {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0)},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["MaxPool2d", "AvgPool2d"])
def test_pooling(name: str, settings: dict[str, Any]) -> None:
    # No two pixels are equal: minigrad shares the gradient of ties, PyTorch gives it to the first.
    x = RNG.permutation(2 * 3 * 7 * 8).reshape(2, 3, 7, 8) / 10
    compare(getattr(nn, name)(**settings), getattr(torch.nn, name)(**settings), x)


def test_max_pool_with_dilation() -> None:
    x = RNG.permutation(2 * 3 * 7 * 8).reshape(2, 3, 7, 8) / 10
    compare(nn.MaxPool2d(2, 1, 1, 2), torch.nn.MaxPool2d(2, 1, 1, 2), x)


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


def networks() -> tuple[nn.Sequential, torch.nn.Sequential]:
    def build(library: Any) -> Any:
        return library.Sequential(
            library.Conv2d(1, 4, 3, padding=1),
            library.ReLU(),
            library.MaxPool2d(2),
            library.Flatten(),
            library.Linear(64, 10),
        )

    return build(nn), build(torch.nn)


def test_a_network() -> None:
    compare(*networks(), RNG.standard_normal((3, 1, 8, 8)))


def test_weights_travel_both_ways_through_files(tmp_path: Path) -> None:
    x = RNG.standard_normal((3, 1, 8, 8)).astype(np.float32)
    ours, theirs = networks()
    minigrad.save(tmp_path / "ours", ours)
    theirs.load_state_dict(safetensors.torch.load_file(tmp_path / "ours"))
    np.testing.assert_allclose(ours(x).data, theirs(torch.tensor(x)).detach(), atol=1e-5)
    ours, theirs = networks()
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "theirs")
    ours.load_state_dict(minigrad.load(tmp_path / "theirs"))
    np.testing.assert_allclose(ours(x).data, theirs(torch.tensor(x)).detach(), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "arguments"), [("Linear", (50, 400)), ("Conv2d", (8, 100, (2, 3)))]
)
def test_parameters_start_from_the_same_distribution(name: str, arguments: tuple[Any, ...]) -> None:
    ours, theirs = getattr(nn, name)(*arguments), getattr(torch.nn, name)(*arguments)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        b = q.detach().numpy()
        assert p.dtype == b.dtype
        assert p.data.std() == pytest.approx(b.std(), rel=0.2)
        assert np.abs(p.data).max() == pytest.approx(np.abs(b).max(), rel=0.1)
