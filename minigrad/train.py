"""Training networks on data that is shipped with the package: `minigrad train`."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from minigrad.autograd import no_grad
from minigrad.data import BatchLoader, load_digits
from minigrad.errors import MinigradError
from minigrad.functional import cross_entropy
from minigrad.io import check_output, save
from minigrad.nn import Conv2d, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential
from minigrad.optim import Adam

BATCH_SIZE = 64

# The deviation of what is added to each pixel, 0 to 1, while training. With only 1,437 images it
# keeps the network from learning them by heart: C. M. Bishop, "Training with Noise is Equivalent
# to Tikhonov Regularization" (1995).
NOISE = 0.2


def mlp(rng: np.random.Generator) -> Sequential:
    """Three linear layers: (N, 1, 8, 8) -> (N, 10)."""
    return Sequential(
        Flatten(),
        Linear(64, 256, rng=rng),
        ReLU(),
        Linear(256, 128, rng=rng),
        ReLU(),
        Linear(128, 10, rng=rng),
    )


def cnn(rng: np.random.Generator) -> Sequential:
    """Two convolutions, then two linear layers: (N, 1, 8, 8) -> (N, 10)."""
    return Sequential(
        Conv2d(1, 16, 3, padding=1, rng=rng),  # (N, 16, 8, 8)
        ReLU(),
        Conv2d(16, 32, 3, padding=1, rng=rng),  # (N, 32, 8, 8)
        ReLU(),
        MaxPool2d(2),  # (N, 32, 4, 4)
        Flatten(),
        Linear(512, 128, rng=rng),
        ReLU(),
        Linear(128, 10, rng=rng),
    )


MODELS: dict[str, Callable[[np.random.Generator], Sequential]] = {"mlp": mlp, "cnn": cnn}


class Trained(NamedTuple):
    """A trained network, the part of the held-out digits it gets right, and its weights' file."""

    network: Sequential
    accuracy: float
    output: Path


def train_digits(
    model: str = "mlp",
    epochs: int = 40,
    lr: float = 0.01,
    seed: int = 0,
    output: str | os.PathLike[str] | None = None,
) -> Trained:
    """Train a network on the handwritten digits, test it on the held-out fifth, write its weights.

    Everything random is drawn from the seed: the same seed gives the same weights, bit for bit.
    Ctrl-C ends the program with a message, and nothing is written.

    Args:
        model: "mlp" or "cnn".
        epochs: how often to go through the training images.
        lr: the learning rate that Adam starts with; it falls to 0 in a straight line.
        seed: 0 or more.
        output: the safetensors file for the weights, digits-<model>.safetensors unless given.

    Raises:
        OSError: before the training, if the output cannot be written.
        ValueError: if an argument is out of its range.
        MinigradError: if the loss stops being finite.
    """
    if model not in MODELS:
        raise ValueError(f"there is no model {model!r}: choose one of {', '.join(MODELS)}")
    if epochs < 1 or seed < 0:
        raise ValueError(f"epochs must be at least 1 and seed at least 0, not {epochs} and {seed}")
    output = Path(output if output is not None else f"digits-{model}.safetensors")
    check_output(output)
    digits = load_digits()
    rng = np.random.default_rng(seed)
    network = MODELS[model](rng)
    try:
        fit(network, digits.train_images, digits.train_labels, epochs, lr, rng)
        right = count_right(network, digits.test_images, digits.test_labels)
        accuracy = right / len(digits.test_labels)
        settings = {"model": model, "epochs": epochs, "lr": lr, "seed": seed, "accuracy": accuracy}
        save(output, network, {name: str(value) for name, value in settings.items()})
    except KeyboardInterrupt:
        print(f"\nStopped by Ctrl-C: {output} was not written", file=sys.stderr)
        raise SystemExit(130) from None  # as shells count: 128 + SIGINT
    print(f"test accuracy {accuracy:.2%} ({right} of {len(digits.test_labels)} held-out digits)")
    print(f"wrote {output}")
    return Trained(network, accuracy, output)


def fit(
    network: Module,
    images: np.ndarray,
    labels: np.ndarray,
    epochs: int,
    lr: float,
    rng: np.random.Generator,
) -> None:
    """Train with Adam on noisy images, under a bar with each epoch's mean loss and accuracy."""
    loader = BatchLoader(images, labels, batch_size=BATCH_SIZE, seed=rng)
    optimizer = Adam(network.parameters(), lr)
    steps = epochs * len(loader)
    network.train()
    with tqdm(total=steps, unit="batch") as bar, np.errstate(over="ignore", invalid="ignore"):
        for epoch in range(epochs):
            bar.set_description(f"epoch {epoch + 1}/{epochs}")
            total_loss, right, seen = 0.0, 0, 0
            for batch, (x, y) in enumerate(loader):
                optimizer.lr = lr * (1 - (epoch * len(loader) + batch) / steps)
                optimizer.zero_grad()
                logits = network(x + NOISE * rng.standard_normal(x.shape, dtype=np.float32))
                loss = cross_entropy(logits, y)
                check_finite(loss.item(), epoch, batch, lr)
                loss.backward()
                optimizer.step()
                total_loss += loss.item() * len(y)
                right += int(np.sum(logits.data.argmax(1) == y))
                seen += len(y)
                bar.set_postfix(
                    loss=total_loss / seen, accuracy=f"{right / seen:.1%}", refresh=False
                )
                bar.update()


def check_finite(loss: float, epoch: int, batch: int, lr: float) -> None:
    """A loss that is not finite makes every weight NaN at the next step."""
    if not math.isfinite(loss):
        raise MinigradError(
            f"the loss is {loss} in epoch {epoch + 1}, batch {batch + 1}, so training stopped and "
            f"nothing was written: a learning rate below {lr} usually helps"
        )


def count_right(network: Module, images: np.ndarray, labels: np.ndarray) -> int:
    """How many images are given their label."""
    network.eval()
    with no_grad():
        return int(np.sum(network(images).data.argmax(1) == labels))
