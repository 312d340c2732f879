"""A training in which everything that has a state takes part; run as a program, to be killed."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

import minigrad
from minigrad import functional as F
from minigrad import nn, optim, save
from minigrad.data import BatchLoader, load_digits
from minigrad.training import BestWeights, Callback, EarlyStopping, History, accuracy, fit

EPOCHS = 30


class Tell(Callback):
    """Says each step as it is done."""

    def on_step(self, run: Any) -> None:
        print(run.step, flush=True)


def noisy(rng: np.random.Generator, x: np.ndarray, *rest: Any) -> tuple[Any, ...]:
    return x + 0.1 * rng.standard_normal(x.shape, dtype=np.float32), *rest


def train(folder: Path, tell: bool = False, steps: int | None = None, **more: Any) -> History:
    minigrad.manual_seed(1)
    rng = np.random.default_rng(2)
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Dropout(0.2),  # draws from the default generator
        nn.Linear(16, 10, rng=rng),
        nn.Dropout(0.1, rng=rng),
    )
    digits = load_digits()
    x, y = digits.train_images[:300], digits.train_labels[:300]
    optimizer = optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    batches = BatchLoader(x, y, batch_size=32, transform=noisy, seed=3)
    history = fit(
        model,
        batches,
        F.cross_entropy,
        optimizer,
        steps=steps or EPOCHS * len(batches),
        every=7,
        metrics={"accuracy": accuracy},
        validation=BatchLoader(
            digits.test_images, digits.test_labels, batch_size=360, shuffle=False
        ),
        schedule=optim.CosineAnnealingLR(optimizer, 50),
        average=optim.ExponentialMovingAverage(model.parameters(), 0.9),
        clip_norm=1.0,
        callbacks=[BestWeights(), EarlyStopping(100), *([Tell()] if tell else [])],
        checkpoint=folder / "checkpoint",
        progress=False,
        **more,
    )
    save(folder / "weights", model)
    return history


if __name__ == "__main__":
    train(Path(sys.argv[1]), tell=True, checkpoint_every=1)
