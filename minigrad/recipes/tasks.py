"""Tasks of the command line: data, networks for them, and settings that work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np

from minigrad.data import (
    ArrayDataset,
    Dataset,
    Lines,
    Subset,
    Vocabulary,
    Windows,
    load_digits,
    load_idx,
    load_mnist1d,
    load_names,
    load_text,
    make_moons,
    split,
)
from minigrad.errors import ArgumentError
from minigrad.functional import cross_entropy
from minigrad.nn import Module
from minigrad.recipes import models
from minigrad.recipes.config import Config, check_names
from minigrad.training import accuracy


@dataclass(frozen=True)
class Problem:
    """Data to train and to test on: inputs with classes, or text with the vocabulary it is in.

    `shape`: that of one input. The classes of a text are the tokens of its vocabulary. `lines`:
    whether it consists of lines that begin and end with token 0.
    """

    train: Dataset
    test: Dataset
    shape: tuple[int, ...]
    classes: int
    vocabulary: Vocabulary | None = None
    lines: bool = False

    @property
    def loss(self) -> Callable[..., Any]:
        # It holds only the classes, as guards of a compiled step watch all that it can reach.
        return partial(loss_of, self.classes)

    @property
    def metrics(self) -> dict[str, Callable[..., float]]:
        return {} if self.vocabulary else {"accuracy": accuracy}


def loss_of(classes: int, scores: Any, targets: Any) -> Any:
    """Cross-entropy of scores (N, C), or of text (N, T, C)."""
    return cross_entropy(scores.reshape(-1, classes), np.reshape(targets, -1))


def of_classes(train: Any, test: Any) -> Problem:
    """A classification problem of inputs (N, ...) and classes (N,)."""
    (x, labels), test = train, ArrayDataset(*test)
    return Problem(ArrayDataset(x, labels), test, x.shape[1:], int(labels.max()) + 1)


def digits(config: Config) -> Problem:
    data = load_digits()
    return of_classes(data[:2], data[2:])


def moons(config: Config) -> Problem:
    return of_classes(make_moons(1000, seed=0), make_moons(500, seed=1))


def mnist1d(config: Config) -> Problem:
    data = load_mnist1d()
    return of_classes(data[:2], data[2:])


def idx(config: Config) -> Problem:
    data = load_idx(config.path)
    return of_classes(data[:2], data[2:])


def names(config: Config) -> Problem:
    """A tenth of the lines is held out."""
    lines = load_names(config.path or None)
    longest = max(map(len, lines))
    if len(lines) < 2:
        raise ArgumentError(f"{config.path} has one line: of several, a tenth is held out")
    if longest >= config.context:
        raise ArgumentError(
            f"a line of {config.path or 'the names'} has {longest} characters, and context="
            f"{config.context} has room for {config.context - 1}: cut it, or give --context "
            f"{longest + 1}"
        )
    vocabulary = Vocabulary("\n".join(lines))
    data = Lines(lines, vocabulary, config.context)
    train, test = split(data, 0.1, seed=0)
    return Problem(train, test, (config.context,), len(vocabulary), vocabulary, lines=True)


def text(config: Config) -> Problem:
    """The last tenth is held out, and cut into windows that do not overlap."""
    characters = load_text(config.path)
    vocabulary = Vocabulary(characters)
    tokens = vocabulary.encode(characters)
    cut = len(tokens) * 9 // 10
    if len(tokens) - cut <= config.context:
        raise ArgumentError(
            f"{config.path} has {len(tokens)} characters, of which the last {len(tokens) - cut} "
            f"are held out, and there must be more of these than context={config.context}: take a "
            "longer text, or a smaller --context"
        )
    train = Windows(tokens[:cut], config.context)
    rest = Windows(tokens[cut:], config.context)
    test = Subset(rest, np.arange(0, len(rest), config.context))
    return Problem(train, test, (config.context,), len(vocabulary), vocabulary)


@dataclass(frozen=True)
class Recipe:
    """A network, settings that suit it, and which settings are its sizes.

    `build` takes the shape of an input, the number of classes, a config, and a generator.
    """

    build: Callable[[tuple[int, ...], int, Config, np.random.Generator], Module]
    settings: dict[str, Any] = field(default_factory=dict)
    sizes: tuple[str, ...] = ()


def of_shape(network: Callable[..., Module], **settings: Any) -> Recipe:
    """A network made of the inputs' shape and the number of classes."""
    return Recipe(lambda shape, classes, config, rng: network(shape, classes, rng), settings)


# For MNIST-1D: the paper's settings, and an average of the weights, which its constant rate needs.
PAPER = {"steps": 6000, "batch_size": 100, "lr": 0.01, "schedule": "constant", "every": 500}
PAPER |= {"average": 0.99}


def of_signals(network: Callable[..., Module], **settings: Any) -> Recipe:
    """A network for MNIST-1D."""
    settings = PAPER | settings
    return Recipe(lambda shape, classes, config, rng: network(rng=rng), settings)


def of_text(network: Callable[..., Module], *sizes: str, **settings: Any) -> Recipe:
    """A network made of the vocabulary's size, and of those settings that `sizes` names."""
    return Recipe(
        lambda shape, classes, config, rng: network(
            classes, rng=rng, **{name: getattr(config, name) for name in sizes}
        ),
        settings,
        sizes,
    )


@dataclass(frozen=True)
class Task:
    """Data, its networks (the first is the default), and the meaning of the data's path."""

    title: str
    load: Callable[[Config], Problem]
    recipes: dict[str, Recipe]
    path: str = ""
    path_is_needed: bool = True


GPT_SIZES = ("context", "width", "heads", "layers")
# nanoGPT's recipe for a CPU.
NANO = {"steps": 2000, "batch_size": 12, "lr": 1e-3, "final_lr": 1e-4, "schedule": "cosine"}
NANO |= {"warmup": 100, "weight_decay": 0.1, "betas": (0.9, 0.99), "clip_norm": 1.0, "every": 250}
# microgpt's.
MICRO = {"steps": 1000, "batch_size": 1, "lr": 0.01, "betas": (0.85, 0.99), "every": 100}
MICRO |= {"context": 16, "width": 16, "layers": 1}

TASKS = {
    "digits": Task(
        "handwritten digits, 8x8 pixels (shipped)",
        digits,
        {
            "mlp": of_shape(models.mlp, epochs=40, lr=0.01, noise=0.3, weight_decay=0.3),
            "cnn": of_shape(models.cnn, epochs=40, lr=0.005, noise=0.2),
            "logistic": of_shape(models.logistic, epochs=40, lr=0.01),
        },
    ),
    "moons": Task(
        "points of two half-moons (generated)",
        moons,
        {
            "mlp": of_shape(partial(models.mlp, hidden=(16, 16)), epochs=50, lr=0.01),
            "logistic": of_shape(models.logistic, epochs=50, lr=0.01),
        },
    ),
    "mnist1d": Task(
        "digits as signals of 40 numbers (package mnist1d)",
        mnist1d,
        {
            "cnn": of_signals(models.SignalCNN),
            "gru": of_signals(models.SignalGRU, weight_decay=0.1),
            "mlp": of_signals(models.SignalMLP, weight_decay=0.3),
            "logistic": of_shape(models.logistic, **PAPER),
        },
    ),
    "names": Task(
        "given names (shipped), or the lines of a file",
        names,
        {
            "microgpt": of_text(models.MicroGPT, *GPT_SIZES, **MICRO),
            "gpt": of_text(models.GPT, *GPT_SIZES, epochs=20, context=16, width=64, layers=2),
            "lstm": of_text(
                models.TextLSTM, "context", "width", "layers", epochs=10, context=16, layers=1
            ),
        },
        "a text file with a name in each line",
        path_is_needed=False,
    ),
    "text": Task(
        "the characters of a text file",
        text,
        {
            "gpt": of_text(models.GPT, *GPT_SIZES, **NANO),
            "lstm": of_text(models.TextLSTM, "context", "width", "layers", **NANO | {"layers": 1}),
        },
        "a text file",
    ),
    "idx": Task(
        "images and labels in files of MNIST's format",
        idx,
        {
            "cnn": of_shape(models.cnn, epochs=3, lr=0.002),
            "mlp": of_shape(models.mlp, epochs=10),
            "logistic": of_shape(models.logistic, epochs=5),
        },
        "a folder with the four files",
    ),
}


def configure(settings: dict[str, Any]) -> Config:
    """A config of the given settings, with the task's and the recipe's defaults.

    Raises:
        ArgumentError: if data, model or another setting is unknown, or out of its range.

    >>> configure({"data": "digits", "model": "cnn", "epochs": 3}).lr
    0.005
    """
    data = settings.get("data")
    if data not in TASKS:
        wrong = "no data is named" if data is None else f"there is no data {data!r}"
        raise ArgumentError(
            f"{wrong}: choose one of {', '.join(TASKS)}, as in minigrad train digits"
        )
    task = TASKS[data]
    model = settings.get("model", next(iter(task.recipes)))
    if model not in task.recipes:
        raise ArgumentError(
            f"there is no model {model!r} for {data}: choose one of {', '.join(task.recipes)}"
        )
    if task.path and task.path_is_needed and not settings.get("path"):
        raise ArgumentError(f"{data} needs {task.path}: minigrad train {data} PATH")
    if not task.path and settings.get("path"):
        raise ArgumentError(f"{data} takes no path, and was given {settings['path']!r}")
    defaults = task.recipes[model].settings
    if "epochs" in settings and "steps" not in settings:
        defaults = {**defaults, "steps": 0}
    settings = {**defaults, **settings, "model": model}
    check_names(settings, Config.__dataclass_fields__, f"for {data}")
    return Config(**settings)


SIZES = ("context", "width", "layers", "heads")  # of networks for text


def settings_that_apply(config: Config) -> list[str]:
    """The names of the settings that mean something for this data and network.

    Not among them are sizes that the network has not, what is switched off by 0, and what another
    setting overrules.

    >>> "heads" in settings_that_apply(configure({"data": "digits"}))
    False
    """
    absent = {*SIZES} - {*TASKS[config.data].recipes[config.model].sizes}
    absent |= {name for name, x in asdict(config).items() if x in ("", 0, False)}
    absent |= {"epochs" if config.steps else "steps"}
    absent -= {"seed", "final_lr"} if config.schedule != "constant" else {"seed"}
    return [name for name in asdict(config) if name not in absent]
