"""An LSTM that learns a sine, and then continues it by itself.

python examples/sine_lstm.py [--quick]
"""

import argparse
from typing import Any

import numpy as np

from minigrad import Tensor, data, nn, no_grad, optim
from minigrad import functional as F
from minigrad.training import fit

PERIOD = 25  # steps


class Forecast(nn.Module):
    """Values (N, T, 1) -> the predicted next value at each step (N, T, 1)."""

    def __init__(self, width: int, rng: np.random.Generator) -> None:
        self.lstm = nn.LSTM(1, width, batch_first=True, rng=rng)
        self.linear = nn.Linear(width, 1, rng=rng)

    def forward(self, x: Any) -> Tensor:
        h, _ = self.lstm(x)
        return self.linear(h)

    def go_on(self, x: np.ndarray, steps: int) -> np.ndarray:
        """The continuation of x (T, 1), each value predicted from those predicted before it."""
        with no_grad():
            h, state = self.lstm(x[None])
            values = [self.linear(h[:, -1:])]
            for _ in range(steps - 1):
                h, state = self.lstm(values[-1], state)
                values.append(self.linear(h))
        return np.concatenate([value.data[0] for value in values])


def sines(n: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Segments of a sine with a little noise, at random phases: (n, length, 1)."""
    places = rng.uniform(0, PERIOD, (n, 1)) + np.arange(length)
    noise = 0.02 * rng.standard_normal((n, length))
    return (np.sin(2 * np.pi * places / PERIOD) + noise).astype(np.float32)[..., None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="train for 15 epochs instead of 60")
    arguments = parser.parse_args()
    epochs = 15 if arguments.quick else 60
    rng = np.random.default_rng(0)
    series = sines(256, 51, rng)
    model = Forecast(24, rng)
    batches = data.BatchLoader(series[:, :-1], series[:, 1:], batch_size=32, seed=0)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    schedule = optim.CosineAnnealingLR(optimizer, epochs * len(batches))
    fit(model, batches, F.mse_loss, optimizer, epochs=epochs, schedule=schedule, clip_norm=1.0)

    start = np.sin(2 * np.pi * np.arange(50) / PERIOD).astype(np.float32)[:, None]
    truth = np.sin(2 * np.pi * np.arange(50, 100) / PERIOD)
    forecast = model.go_on(start, 50)[:, 0]
    for k in range(0, 50, 5):
        print(f"step {k + 1:2}: {forecast[k]:6.3f}, the sine is {truth[k]:6.3f}")
    print(f"root of the mean squared error {np.sqrt(np.mean((forecast - truth) ** 2)):.4f}")


if __name__ == "__main__":
    main()
