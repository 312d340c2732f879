"""Layers against PyTorch's of the same name in float64: outputs, gradients, weights both ways."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import minigrad
from minigrad import nn
from tests.oracles.compare import compare

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_linear(bias: bool, lead: tuple[int, ...]) -> None:
    x = RNG.standard_normal((*lead, 5))
    compare(nn.Linear(5, 4, bias), torch.nn.Linear(5, 4, bias), x)


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
