"""A training with a folder of its own: what it was told, its log, checkpoints, and a report."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.data import BatchLoader, Vocabulary
from minigrad.data.loader import Batch
from minigrad.errors import ArgumentError, BusyError, MinigradError
from minigrad.io import alone, clear_leftovers, load, load_metadata, save, write
from minigrad.nn import Module
from minigrad.optim import AdamW, ExponentialMovingAverage, LambdaLR
from minigrad.recipes.config import Config, read_settings
from minigrad.recipes.tasks import TASKS, Problem, configure
from minigrad.training import Callback, History, Run, evaluate, fit

CONFIG, LOG, CHECKPOINT, WEIGHTS, REPORT = (
    "config.toml",
    "log.jsonl",
    "checkpoint.safetensors",
    "weights.safetensors",
    "report.html",
)

# What can be other than before when a run goes on: how long, and how it is run and shown.
MAY_CHANGE = ("epochs", "steps", "every", "eager")


@dataclass(frozen=True)
class Trained:
    """A trained network, and how well it does on the data held out.

    `measured` has the held-out loss, and for classes the accuracy.
    """

    config: Config
    problem: Problem
    model: Module
    history: History
    measured: dict[str, float]


def train(config: Config, folder: Path, progress: bool = True) -> Trained:
    """Train what a config says, with everything about it in a folder.

    If the folder has a checkpoint, training goes on from it. Everything random is drawn from the
    seed: the same config gives the same weights, bit for bit.

    Args:
        config: as `configure` makes it.
        folder: it is made if need be. It gets config.toml, log.jsonl, checkpoint.safetensors, and
            at the end weights.safetensors, which `load_model` reads.
        progress: show a bar.

    Raises:
        OSError: if data cannot be read, or the folder not be written to, or another training is
            at work in it.
        ArgumentError: if a run would go on with settings that are fixed once it has begun.
        MinigradError: as `fit` does.
        KeyboardInterrupt: after Ctrl-C, with a checkpoint written.
    """
    problem = TASKS[config.data].load(config)
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder / CONFIG):
        for name in (LOG, CHECKPOINT, WEIGHTS, REPORT):
            clear_leftovers(folder / name)
        return trained(config, problem, folder, progress)


def trained(config: Config, problem: Problem, folder: Path, progress: bool) -> Trained:
    """Train in a folder that no other training is at work in."""
    settings = config.lines() + "".join(earlier(config, folder))
    rng = np.random.default_rng(config.seed)
    model = build(config, problem.shape, problem.classes, rng)
    batches = BatchLoader(
        problem.train,
        batch_size=config.batch_size,
        transform=partial(with_noise, config.noise) if config.noise else None,
        seed=config.seed,
    )
    total = config.steps or config.epochs * len(batches)
    optimizer = optimizer_of(config, model)
    if not (folder / CHECKPOINT).exists():  # else it is kept until training has gone on from there
        write(folder / CONFIG, settings.encode())
    held_out = BatchLoader(problem.test, batch_size=256, shuffle=False)
    average = ExponentialMovingAverage(model.parameters(), config.average)
    history = fit(
        model,
        batches,
        problem.loss,
        optimizer,
        steps=total,
        every=config.every or None,
        validation=held_out,
        metrics=problem.metrics,
        schedule=LambdaLR(optimizer, partial(rate, config, total)),
        average=average if config.average else None,
        clip_norm=config.clip_norm or None,
        callbacks=[Log(folder / LOG)],
        checkpoint=folder / CHECKPOINT,
        progress=progress,
        compile=False if config.eager else None,
    )
    if config.average:
        model.load_state_dict(averaged(model, average))
    write(folder / CONFIG, settings.encode())
    measured = evaluate(model, held_out, problem.loss, problem.metrics)
    network = {
        "shape": problem.shape,
        "classes": problem.classes,
        "vocabulary": problem.vocabulary.characters if problem.vocabulary else "",
    }
    metadata = {"network": network, "config": asdict(config), "measured": measured}
    save(folder / WEIGHTS, model, {name: json.dumps(x) for name, x in metadata.items()})
    return Trained(config, problem, model, history, measured)


def earlier(config: Config, folder: Path) -> list[str]:
    """What a run was told before, in comments, if it now goes on with other settings.

    Raises:
        ArgumentError: for settings that are fixed once a run has begun: what was trained so far
            was trained with the old ones.
    """
    if not (folder / CHECKPOINT).exists():
        return []
    told = (folder / CONFIG).read_text(encoding="utf-8").splitlines(keepends=True)
    before, now = asdict(config_of(folder)), asdict(config)
    changed = {name: value for name, value in before.items() if now[name] != value}
    if fixed := [name for name in changed if name not in MAY_CHANGE]:
        was = ", ".join(f"{name}={before[name]!r}" for name in fixed)
        raise ArgumentError(
            f"the run in {folder} was told {was}, and this cannot change once it has begun: only "
            f"{', '.join(MAY_CHANGE)} can. Leave it out, or begin another run with --output"
        )
    # A file without it is refused by `fit`, which says why.
    step = json.loads(load_metadata(folder / CHECKPOINT).get("training", "{}")).get("step")
    notes = [f"# until step {step}: {name} = {json.dumps(x)}\n" for name, x in changed.items()]
    return [line for line in told if line.startswith("# until step ")] + notes


def build(config: Config, shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> Module:
    return TASKS[config.data].recipes[config.model].build(shape, classes, config, rng)


def optimizer_of(config: Config, model: Module) -> AdamW:
    """AdamW, with no decay of what is no matrix: biases, and the weights of norms."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    return AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=config.betas,
        weight_decay=config.weight_decay,
    )


def averaged(model: Module, average: ExponentialMovingAverage) -> dict[str, np.ndarray]:
    with average.applied():
        return model.state_dict()


def with_noise(deviation: float, rng: np.random.Generator, x: Any, *targets: Any) -> Batch:
    """Inputs that the network cannot learn by heart.

    C. M. Bishop, "Training with Noise is Equivalent to Tikhonov Regularization" (1995).
    """
    return x + deviation * rng.standard_normal(x.shape, dtype=np.float32), *targets


def rate(config: Config, total: int, step: int) -> float:
    """The learning rate of a step, as a part of the highest."""
    if step < config.warmup:
        return (step + 1) / (config.warmup + 1)
    done = (step - config.warmup) / max(total - config.warmup, 1)
    falls: dict[str, Callable[[float], float]] = {
        "constant": lambda x: 0,
        "linear": lambda x: x,
        "cosine": lambda x: (1 - math.cos(math.pi * x)) / 2,
    }
    fall = falls[config.schedule](min(done, 1))
    return 1 - fall * (1 - config.final_lr / config.lr)


class Log(Callback):
    """Keeps the history in a file, a row in each line."""

    gradients = False

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_row(self, run: Run) -> None:
        write(self.path, "".join(json.dumps(row) + "\n" for row in run.history.rows).encode())


def new_folder(config: Config, folder: Path | None = None) -> Path:
    """The folder given, or one in runs/ named after data and model, with no run in it yet.

    Raises:
        FileExistsError: if the one given is there, and not empty.
    """
    if folder is not None:
        if not vacant(folder):
            raise FileExistsError(
                f"{folder} is there already: choose another name, go on with the run in it by "
                f"--resume {folder}, or remove it"
            )
        return folder
    name = Path("runs", f"{config.data}-{config.model}")
    numbered = (name.with_name(f"{name.name}-{k}") for k in itertools.count(2))
    return next(path for path in itertools.chain([name], numbered) if vacant(path))


def vacant(folder: Path) -> bool:
    """Whether there is nothing in a folder but what a run left that ended before its first
    checkpoint."""
    if not folder.exists():
        return True
    if not folder.is_dir():
        return False
    hidden = (f".{CONFIG}.", f".{LOG}.", f".{CHECKPOINT}.")  # locks, and what is half written
    names = [path.name for path in folder.iterdir()]
    if not all(name == CONFIG or name.startswith(hidden) for name in names):
        return False
    try:
        with alone(folder / CONFIG):
            return True
    except BusyError:
        return False


def config_of(folder: Path, settings: Mapping[str, Any] | None = None) -> Config:
    """What a run was told, with other settings in the place of some.

    Raises:
        OSError: if there is no such run.
        ArgumentError: if its config.toml, or a setting, is not one that there can be.
    """
    if not (folder / CONFIG).exists():
        raise FileNotFoundError(f"there is no run in {folder}: it has no {CONFIG}")
    return configure(read_settings(folder / CONFIG) | dict(settings or {}))


def load_model(folder: Path) -> tuple[Module, Config, Vocabulary | None]:
    """A run's trained network, in eval mode, with its config, and the vocabulary if it is of text.

    Raises:
        OSError: if there is no such run, or it has not ended.
        MinigradError: if its files are damaged, or not of one another.
    """
    config = config_of(folder)
    if not (folder / WEIGHTS).exists():
        raise FileNotFoundError(
            f"the run in {folder} has not ended: minigrad train --resume {folder} goes on with it"
        )
    arrays, metadata = load(folder / WEIGHTS), load_metadata(folder / WEIGHTS)
    try:
        about = json.loads(metadata["network"])
        shape, classes, characters = about["shape"], about["classes"], about["vocabulary"]
    except (KeyError, ValueError) as error:
        raise MinigradError(
            f"{folder / WEIGHTS} does not say what network it is of: minigrad train writes it"
        ) from error
    model = build(config, tuple(shape), classes, np.random.default_rng(0))
    model.load_state_dict(arrays)
    return model.eval(), config, Vocabulary(characters) if characters else None
