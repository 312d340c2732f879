"""Networks of every kind, trained compiled and eagerly: the same losses, parameters and states.

They are those of the examples, the recipes and the benchmarks, made small.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from minigrad import Tensor, nn, optim
from minigrad import functional as F
from minigrad.compiler import compile
from minigrad.compiler.jit import Compiled
from minigrad.recipes import models
from tests.marks import rows

STEPS = 20
Batch = tuple[np.ndarray, ...]


class Problem(NamedTuple):
    """A network, its batches, each used again and again, and the loss of one.

    `rtol` is what is allowed of the largest number of an array, after all steps: rounding grows.
    """

    model: nn.Module
    batches: Sequence[Batch]
    loss: Callable[..., Any]
    rtol: float = 1e-3


RECIPES: dict[str, Callable[[np.random.Generator], Problem]] = {}


def problem(function: Callable[[np.random.Generator], Problem]) -> Callable[..., Problem]:
    RECIPES[function.__name__.replace("_", " ")] = function
    return function


def images(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)


def labelled(rng: np.random.Generator, *shape: int, classes: int = 10) -> list[Batch]:
    """Three batches, with a class each."""
    return [(images(rng, *shape), rng.integers(0, classes, shape[0])) for _ in range(3)]


def texts(rng: np.random.Generator, *shape: int, vocabulary: int) -> list[Batch]:
    """Three batches of tokens, and of those that come next."""
    windows = [rng.integers(0, vocabulary, (shape[0], shape[1] + 1)) for _ in range(3)]
    return [(w[:, :-1].copy(), w[:, 1:].copy()) for w in windows]


def classified(model: nn.Module) -> Callable[..., Any]:
    return lambda x, y: F.cross_entropy(model(x), y)


def next_token(model: nn.Module) -> Callable[..., Any]:
    def loss(tokens: Any, targets: Any) -> Any:
        scores = model(tokens)
        return F.cross_entropy(scores.reshape(-1, scores.shape[-1]), targets.reshape(-1))

    return loss


# For images, and for points


@problem
def two_moons(rng: np.random.Generator) -> Problem:
    model = models.mlp((2,), 1, rng, (16, 16))
    signs = [np.sign(images(rng, 100, 1)) for _ in range(3)]
    batches = [(images(rng, 100, 2), y) for y in signs]
    return Problem(model, batches, lambda x, y: F.hinge_loss(model(x), y))


@problem
def mlp(rng: np.random.Generator) -> Problem:
    model = models.mlp((1, 9, 7), 10, rng, (40, 33))
    return Problem(model, labelled(rng, 17, 1, 9, 7), classified(model))


@problem
def lenet(rng: np.random.Generator) -> Problem:
    model = nn.Sequential(
        *(nn.Conv2d(1, 3, 5, padding=2, rng=rng), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(3, 5, 3, rng=rng), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(20, 17, rng=rng), nn.ReLU(), nn.Linear(17, 10, rng=rng)),
    )
    return Problem(model, labelled(rng, 6, 1, 12, 12), classified(model))


@problem
def cnn_with_batch_norm_and_dropout(rng: np.random.Generator) -> Problem:
    model = nn.Sequential(
        *(nn.Conv2d(2, 6, 3, padding=1, bias=False, rng=rng), nn.BatchNorm2d(6), nn.ReLU()),
        *(nn.Conv2d(6, 8, 3, stride=2, rng=rng), nn.BatchNorm2d(8, momentum=None), nn.ReLU()),
        *(nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(0.3, rng=rng), nn.Linear(8, 10, rng=rng)),
    )
    return Problem(model, labelled(rng, 9, 2, 7, 6), classified(model), 5e-3)


@problem
def signal_cnn(rng: np.random.Generator) -> Problem:
    model = models.SignalCNN(channels=7, rng=rng)
    return Problem(model, labelled(rng, 5, 40), classified(model))


@problem
def group_norm(rng: np.random.Generator) -> Problem:
    model = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1, rng=rng), nn.GroupNorm(4, 8), nn.SiLU()),
        *(nn.Conv2d(8, 8, 3, groups=8, rng=rng), nn.GroupNorm(1, 8), nn.GELU()),
        *(nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten(), nn.Linear(16, 10, rng=rng)),
    )
    return Problem(model, labelled(rng, 4, 3, 6, 5), classified(model))


@problem
def rms_norm(rng: np.random.Generator) -> Problem:
    model = nn.Sequential(
        *(nn.Linear(13, 24, rng=rng), nn.RMSNorm(24), nn.PReLU(), nn.Linear(24, 17, rng=rng)),
        *(nn.RMSNorm(17, eps=1e-5), nn.ELU(), nn.Linear(17, 10, rng=rng)),
    )
    return Problem(model, labelled(rng, 33, 13), classified(model))


@problem
def autoencoder(rng: np.random.Generator) -> Problem:
    model = nn.Sequential(
        *(nn.Conv2d(1, 4, 3, stride=2, padding=1, rng=rng), nn.ReLU()),
        nn.Conv2d(4, 6, 3, stride=2, padding=1, rng=rng),
        *(nn.ConvTranspose2d(6, 4, 2, stride=2, rng=rng), nn.ReLU()),
        nn.ConvTranspose2d(4, 1, 3, stride=2, padding=1, output_padding=1, rng=rng),
    )
    batches = [(images(rng, 5, 1, 8, 8),) for _ in range(3)]
    return Problem(model, batches, lambda x: F.mse_loss(model(x), x))


class VAE(nn.Module):
    """As in the example, but what is drawn at random is an input."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.encoder = nn.Sequential(nn.Linear(30, 20, rng=rng), nn.ReLU())
        self.to_mean, self.to_log_variance = nn.Linear(20, 5, rng=rng), nn.Linear(20, 5, rng=rng)
        self.decoder = nn.Sequential(
            nn.Linear(5, 20, rng=rng), nn.ReLU(), nn.Linear(20, 30, rng=rng)
        )

    def forward(self, x: Any, noise: Any) -> tuple[Any, Any, Any]:
        h = self.encoder(x)
        mean, log_variance = self.to_mean(h), self.to_log_variance(h)
        return self.decoder(mean + noise * np.exp(0.5 * log_variance)), mean, log_variance


@problem
def vae(rng: np.random.Generator) -> Problem:
    model = VAE(rng)

    def loss(x: Any, noise: Any) -> Any:
        scores, mean, log_variance = model(x, noise)
        reconstruction = F.binary_cross_entropy_with_logits(scores, x, reduction="sum")
        divergence = 0.5 * np.sum(np.exp(log_variance) + mean**2 - 1 - log_variance)
        return (reconstruction + divergence) / len(x)

    uniform = [rng.random((9, 30), dtype=np.float32) for _ in range(3)]
    return Problem(model, [(x, images(rng, 9, 5)) for x in uniform], loss)


# For sequences


class Sequences(nn.Module):
    """A recurrent layer, and one that reads its last output."""

    def __init__(self, recurrent: nn.Module, width: int, rng: np.random.Generator) -> None:
        self.recurrent, self.linear = recurrent, nn.Linear(width, 4, rng=rng)

    def forward(self, x: Any) -> Tensor:
        h, _ = self.recurrent(x)
        return self.linear(h[:, -1])


@problem
def lstm(rng: np.random.Generator) -> Problem:
    model = Sequences(nn.LSTM(3, 7, batch_first=True, rng=rng), 7, rng)
    return Problem(model, labelled(rng, 5, 12, 3, classes=4), classified(model))


@problem
def gru(rng: np.random.Generator) -> Problem:
    layer = nn.GRU(3, 5, batch_first=True, bidirectional=True, rng=rng)
    model = Sequences(layer, 10, rng)
    return Problem(model, labelled(rng, 5, 6, 3, classes=4), classified(model))


@problem
def text_lstm(rng: np.random.Generator) -> Problem:
    model = models.TextLSTM(11, width=8, layers=2, rng=rng)
    return Problem(model, texts(rng, 3, 5, vocabulary=11), next_token(model))


@problem
def gpt_with_tied_embeddings_and_dropout(rng: np.random.Generator) -> Problem:
    model = models.GPT(13, 8, 12, heads=3, layers=2, dropout=0.1, rng=rng)
    return Problem(model, texts(rng, 4, 8, vocabulary=13), next_token(model))


@problem
def microgpt(rng: np.random.Generator) -> Problem:
    model = models.MicroGPT(13, 7, 8, heads=2, rng=rng)
    return Problem(model, texts(rng, 5, 7, vocabulary=13), next_token(model))


class Padded(nn.Module):
    """Attention of sequences of several lengths, the rest of which is not looked at."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.tokens = nn.Embedding(11, 8, padding_idx=0, rng=rng)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, rng=rng)
        self.norm, self.linear = nn.LayerNorm(8), nn.Linear(8, 4, rng=rng)

    def forward(self, tokens: Any) -> Tensor:
        x, padding = self.tokens(tokens), np.equal(tokens, 0)
        y = self.attention(x, x, x, key_padding_mask=padding, need_weights=False)[0]
        h = self.norm(x + y) * np.where(padding, 0, 1)[..., None].astype(np.float32)
        return self.linear(np.sum(h, axis=1))


@problem
def attention_with_a_padding_mask(rng: np.random.Generator) -> Problem:
    model = Padded(rng)
    batches = []
    for _ in range(3):
        tokens = rng.integers(1, 11, (6, 9))
        lengths = rng.integers(1, 10, 6)
        batches.append((tokens * (np.arange(9) < lengths[:, None]), rng.integers(0, 4, 6)))
    return Problem(model, batches, classified(model))


OPTIMIZERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "SGD": lambda p: optim.SGD(p, lr=0.02, momentum=0.9),
    # Of gradients that are nothing but rounding, a small eps would make whole steps.
    "AdamW": lambda p: optim.AdamW(p, lr=3e-3, eps=1e-4, weight_decay=0.1),
}


def trained(name: str, optimizer_name: str, wrap: Callable[..., Any]) -> dict[str, Any]:
    """All that there is after some steps, by name."""
    model, batches, loss, _ = RECIPES[name](np.random.default_rng(0))
    optimizer = OPTIMIZERS[optimizer_name](list(model.parameters()))

    def step(*batch: Any) -> Any:
        optimizer.zero_grad()
        value = loss(*batch)
        value.backward()
        optimizer.step()
        return value

    step = wrap(step)
    given = itertools.islice(itertools.cycle(batches), STEPS)
    losses = np.array([step(*batch).item() for batch in given])
    if isinstance(step, Compiled):
        assert len(step.specializations) == 1 and not step.reasons
    return {"losses": losses, **model.state_dict(), **optimizer.state_dict()}


# What the others have as well.
ALIKE = {"text lstm", "microgpt", "autoencoder", "signal cnn", "group norm", "gru", "mlp"}


@pytest.mark.parametrize(
    "optimizer",  # SGD's other kernels are those of AdamW's step
    rows(
        {name: name for name in OPTIMIZERS},
        unoptimized=lambda name: name == "AdamW",
        slow=lambda name: name == "SGD",
    ),
)
@pytest.mark.parametrize(
    "name", rows({name: name for name in RECIPES}, slow=lambda name: name in ALIKE)
)
def test_a_network_trains_as_it_does_eagerly(name: str, optimizer: str) -> None:
    rtol = RECIPES[name](np.random.default_rng(0)).rtol
    expected = trained(name, optimizer, lambda step: step)
    found = trained(name, optimizer, compile)
    assert found.keys() == expected.keys()
    for key, x in expected.items():
        y, largest = found[key], np.max(np.abs(x), initial=0)
        assert (y.dtype, y.shape) == (x.dtype, x.shape)
        np.testing.assert_allclose(y, x, 0, rtol * largest + 1e-6, err_msg=f"{name}: {key}")
    assert expected["losses"][-3:].sum() < expected["losses"][:3].sum()  # and it learns


@pytest.mark.parametrize("name", RECIPES)
def test_the_comparison_fails_for_a_wrong_loss(name: str) -> None:
    """A step with a loss that is a percent larger is told apart."""
    expected = trained(name, "SGD", lambda step: step)

    def scaled(step: Callable[..., Any]) -> Callable[..., Any]:
        cells = dict(zip(step.__code__.co_freevars, step.__closure__ or (), strict=True))
        loss = cells["loss"].cell_contents
        cells["loss"].cell_contents = lambda *batch: loss(*batch) * 1.01
        return step

    found = trained(name, "SGD", scaled)
    assert any(
        np.max(np.abs(found[key] - x)) > 0.005 * np.max(np.abs(x)) + 1e-6
        for key, x in expected.items()
        if x.dtype.kind == "f" and x.size
    )
