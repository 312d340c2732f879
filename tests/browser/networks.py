"""Training steps to export, with what they are called on."""

from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad
from minigrad import Tensor, data, nn, optim
from minigrad import functional as F
from minigrad.compiler.jit import Compiled

Network = tuple[Compiled[..., Any], list[np.ndarray]]


def compiled_step(model: nn.Module, optimizer: optim.Optimizer) -> Compiled[..., Any]:
    @minigrad.compile
    def step(x: Any, labels: Any) -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


def images(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.random((24, 1, 8, 8), np.float32), rng.integers(10, size=24)]


def mlp(rng: np.random.Generator) -> Network:
    model = nn.Sequential(
        nn.Linear(2, 16, rng=rng), nn.Tanh(), nn.Linear(16, 16, rng=rng), nn.ReLU(),
        nn.Linear(16, 2, rng=rng),
    )  # fmt: skip
    points, labels = data.make_moons(100, seed=0)
    return compiled_step(model, optim.Adam(model.parameters(), lr=1e-3)), [points, labels]


def cnn(rng: np.random.Generator) -> Network:
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1, rng=rng), nn.BatchNorm2d(6), nn.GELU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, rng=rng), nn.ReLU(), nn.Flatten(), nn.Linear(32, 10, rng=rng),
    )  # fmt: skip
    optimizer = optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
    return compiled_step(model, optimizer), images(rng)


class LastOfLSTM(nn.Module):
    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 12, rng=rng)
        self.head = nn.Linear(12, 4, rng=rng)

    def forward(self, x: Any) -> Any:
        return self.head(self.lstm(x)[0][-1])


def lstm(rng: np.random.Generator) -> Network:
    model = LastOfLSTM(rng)
    x = rng.standard_normal((9, 16, 3)).astype(np.float32)  # (time, batch, features)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    return compiled_step(model, optimizer), [x, rng.integers(4, size=16)]


def dropout(rng: np.random.Generator) -> Network:
    """Of 24 * 33 numbers and then of 24 * 9, so that both meet halves that are left over."""
    drawn = np.random.default_rng(3)
    drawn.random(5, np.float32)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 33, rng=rng), nn.ReLU(), nn.Dropout(0.3, rng=drawn),
        nn.Linear(33, 9, rng=rng), nn.Sigmoid(), nn.Dropout(0.1, rng=drawn),
        nn.Linear(9, 10, rng=rng),
    )  # fmt: skip
    return compiled_step(model.train(), optim.RMSprop(model.parameters(), lr=1e-3)), images(rng)


NETWORKS: dict[str, Callable[[np.random.Generator], Network]] = {
    "mlp": mlp,
    "cnn": cnn,
    "lstm": lstm,
    "dropout": dropout,
}
