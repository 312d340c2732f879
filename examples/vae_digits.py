"""A variational autoencoder of digits: encodes an image as a few numbers, and generates images.

Kingma and Welling, "Auto-Encoding Variational Bayes" (2014); the loss is its equation 10, with the
pixels as probabilities.

    python examples/vae_digits.py [--quick] [--picture FILE]
"""

import argparse
from typing import Any

import numpy as np

from minigrad import Tensor, data, nn, no_grad, optim
from minigrad import functional as F
from minigrad.training import fit
from minigrad.viz import plots

PIXELS = 64


class VAE(nn.Module):
    """Images (N, 64) -> scores of their pixels, and the mean and log-variance of the code."""

    def __init__(self, hidden: int, code: int, rng: np.random.Generator) -> None:
        self.code = code
        self.encoder = nn.Sequential(nn.Linear(PIXELS, hidden, rng=rng), nn.ReLU())
        self.to_mean = nn.Linear(hidden, code, rng=rng)
        self.to_log_variance = nn.Linear(hidden, code, rng=rng)
        self.decoder = nn.Sequential(
            nn.Linear(code, hidden, rng=rng), nn.ReLU(), nn.Linear(hidden, PIXELS, rng=rng)
        )
        self.rng = rng

    def forward(self, x: Any) -> tuple[Tensor, Tensor, Tensor]:
        h = self.encoder(x)
        mean, log_variance = self.to_mean(h), self.to_log_variance(h)
        z = mean
        if self.training:
            noise = self.rng.standard_normal(mean.shape, dtype=np.float32)
            z = mean + noise * np.exp(0.5 * log_variance)
        return self.decoder(z), mean, log_variance

    def draw(self, n: int) -> np.ndarray:
        """New images (n, 1, 8, 8)."""
        z = self.rng.standard_normal((n, self.code), dtype=np.float32)
        with no_grad():
            return F.sigmoid(self.decoder(z)).data.reshape(n, 1, 8, 8)


def loss(output: tuple[Any, Any, Any], x: np.ndarray) -> Any:
    """The negative evidence lower bound, in nats per image."""
    scores, mean, log_variance = output
    reconstruction = F.binary_cross_entropy_with_logits(scores, x, reduction="sum")
    divergence = 0.5 * np.sum(np.exp(log_variance) + mean**2 - 1 - log_variance)
    return (reconstruction + divergence) / len(x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="train for 20 epochs instead of 200")
    parser.add_argument("--picture", help="where to draw new digits, such as digits.png")
    arguments = parser.parse_args()
    digits = data.load_digits()
    train, test = (
        images.reshape(-1, PIXELS) for images in (digits.train_images, digits.test_images)
    )
    model = VAE(hidden=128, code=8, rng=np.random.default_rng(0))
    epochs = 20 if arguments.quick else 200
    batches = data.BatchLoader(train, train, batch_size=64, seed=0)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    schedule = optim.CosineAnnealingLR(optimizer, epochs * len(batches))
    held_out = data.BatchLoader(test, test, batch_size=360, shuffle=False)
    history = fit(
        model, batches, loss, optimizer, epochs=epochs, schedule=schedule, validation=held_out
    )
    with no_grad():
        error = np.mean((F.sigmoid(model(test)[0]).data - test) ** 2)
    print(f"held-out loss {history.last['validation_loss']:.2f} nats per image")
    print(f"part of the held-out pixels' variance explained {1 - error / test.var():.2%}")
    if arguments.picture:
        plots.plot_inputs(model.draw(30), [""] * 30).savefig(arguments.picture)


if __name__ == "__main__":
    main()
