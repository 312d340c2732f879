"""A convolutional network for handwritten digits, and what it gets wrong.

python examples/digits_cnn.py [--quick] [--picture FILE]
"""

import argparse
from typing import Any

import numpy as np

from minigrad import data, nn, no_grad, optim
from minigrad import functional as F
from minigrad.training import accuracy, fit
from minigrad.viz import plots


def convolution(n_in: int, n_out: int, rng: np.random.Generator) -> list[nn.Module]:
    return [
        nn.Conv2d(n_in, n_out, 3, padding=1, bias=False, rng=rng),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
    ]


def network(rng: np.random.Generator) -> nn.Module:
    return nn.Sequential(
        *convolution(1, 16, rng),  # (N, 16, 8, 8)
        *convolution(16, 16, rng),
        nn.MaxPool2d(2),  # (N, 16, 4, 4)
        *convolution(16, 32, rng),
        *convolution(32, 32, rng),
        nn.MaxPool2d(2),  # (N, 32, 2, 2)
        nn.Flatten(),
        nn.Dropout(0.3, rng=rng),
        nn.Linear(128, 10, rng=rng),
    )


def noisy(rng: np.random.Generator, images: np.ndarray, labels: np.ndarray) -> Any:
    """Data augmentation: with only 1,437 images a network overfits, unless each is varied."""
    return images + 0.2 * rng.standard_normal(images.shape, dtype=np.float32), labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="train for 5 epochs instead of 40")
    parser.add_argument("--picture", help="where to draw the mistakes, such as mistakes.png")
    arguments = parser.parse_args()
    epochs = 5 if arguments.quick else 40
    digits = data.load_digits()
    model = network(np.random.default_rng(0))
    print(model)
    batches = data.BatchLoader(
        digits.train_images, digits.train_labels, batch_size=64, transform=noisy, seed=0
    )
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    history = fit(
        model,
        batches,
        F.cross_entropy,
        optimizer,
        epochs=epochs,
        metrics={"accuracy": accuracy},
        validation=data.BatchLoader(
            digits.test_images, digits.test_labels, batch_size=360, shuffle=False
        ),
        schedule=optim.LinearLR(optimizer, 1.0, 0.0, total_iters=epochs * len(batches)),
    )
    print(f"accuracy {history.last['validation_accuracy']:.2%}")
    with no_grad():
        predicted = model(digits.test_images).data.argmax(axis=1)
    wrong = np.flatnonzero(predicted != digits.test_labels)
    for k in wrong:
        print(f"held-out image {k}: a {digits.test_labels[k]}, classified as {predicted[k]}")
    if arguments.picture and len(wrong):
        titles = [f"{digits.test_labels[k]}, classified as {predicted[k]}" for k in wrong]
        plots.plot_inputs(digits.test_images[wrong], titles).savefig(arguments.picture)


if __name__ == "__main__":
    main()
