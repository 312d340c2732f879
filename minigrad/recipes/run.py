"""A training with its own folder: settings, log, checkpoints, weights."""

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

# Settings that may change when a run is resumed.
MAY_CHANGE = ("epochs", "steps", "every", "eager")


@dataclass(frozen=True)
class Trained:
    """A trained network, and its results on held-out data.

    `measured` has the held-out loss, and for classification the accuracy.
    """

    config: Config
    problem: Problem
    model: Module
    history: History
    measured: dict[str, float]


def train(config: Config, folder: Path, progress: bool = True) -> Trained:
    """Train as configured, and write everything to a folder.

    If the folder has a checkpoint, training resumes from it. All randomness is derived from the
    seed: the same config gives the same weights, bit for bit.

    Args:
        config: as `configure` makes it.
        folder: created if missing. It gets config.toml, log.jsonl, checkpoint.safetensors, and at
            the end weights.safetensors, which `load_model` reads.
        progress: show a bar.

    Raises:
        OSError: if data cannot be read, the folder cannot be written to, or another training is
            using it.
        ArgumentError: if a resumed run changes settings that are fixed.
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
    """Train in a folder, whose lock is held."""
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
        callbacks=[Log(folder, settings)],
        checkpoint=folder / CHECKPOINT,
        progress=progress,
        compile=False if config.eager else None,
    )
    if config.average:
        model.load_state_dict(averaged(model, average))
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
    """The earlier settings of a resumed run, as comments, if they changed.

    Raises:
        ArgumentError: if a setting that is fixed once a run has begun changed.
    """
    if not (folder / CHECKPOINT).exists():
        return []
    told = (folder / CONFIG).read_text(encoding="utf-8").splitlines(keepends=True)
    before, now = asdict(config_of(folder)), asdict(config)
    changed = {name: value for name, value in before.items() if now[name] != value}
    if fixed := [name for name in changed if name not in MAY_CHANGE]:
        was = ", ".join(f"{name}={before[name]!r}" for name in fixed)
        raise ArgumentError(
            f"the run in {folder} began with {was}, which cannot change when it is resumed: "
            f"only {', '.join(MAY_CHANGE)} can. Leave it out, or begin another run with --output"
        )
    # A file without it is refused by `fit`, which says why.
    step = json.loads(load_metadata(folder / CHECKPOINT).get("training", "{}")).get("step")
    notes = [f"# until step {step}: {name} = {json.dumps(x)}\n" for name, x in changed.items()]
    return [line for line in told if line.startswith("# until step ")] + notes


def build(config: Config, shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> Module:
    return TASKS[config.data].recipes[config.model].build(shape, classes, config, rng)


def optimizer_of(config: Config, model: Module) -> AdamW:
    """AdamW, without weight decay of biases and the weights of norms."""
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
    """Add noise to inputs, as regularization.

    C. M. Bishop, "Training with Noise is Equivalent to Tikhonov Regularization" (1995).
    """
    return x + deviation * rng.standard_normal(x.shape, dtype=np.float32), *targets


def rate(config: Config, total: int, step: int) -> float:
    """The learning rate of a step, relative to the highest."""
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
    """Writes the settings as soon as training continues with them, and the history, a row in each
    line."""

    gradients = False

    def __init__(self, folder: Path, settings: str) -> None:
        self.folder, self.settings = folder, settings

    def on_start(self, run: Run) -> None:
        write(self.folder / CONFIG, self.settings.encode())

    def on_row(self, run: Run) -> None:
        write(
            self.folder / LOG, "".join(json.dumps(row) + "\n" for row in run.history.rows).encode()
        )


def new_folder(config: Config, folder: Path | None = None) -> Path:
    """The folder given, or a new one in runs/ named after data and model.

    Raises:
        FileExistsError: if the one given exists and is not empty.
    """
    if folder is not None:
        if not vacant(folder):
            raise FileExistsError(
                f"{folder} exists already: choose another name, resume the run in it by "
                f"--resume {folder}, or remove it"
            )
        return folder
    name = Path("runs", f"{config.data}-{config.model}")
    numbered = (name.with_name(f"{name.name}-{k}") for k in itertools.count(2))
    return next(path for path in itertools.chain([name], numbered) if vacant(path))


def vacant(folder: Path) -> bool:
    """Whether a folder is empty, but for files of a run that ended before its first checkpoint."""
    if not folder.exists():
        return True
    if not folder.is_dir():
        return False
    hidden = (f".{CONFIG}.", f".{LOG}.", f".{CHECKPOINT}.")  # locks and temporary files
    names = {path.name for path in folder.iterdir() if not path.name.startswith(hidden)}
    # The first checkpoint comes right after the first row of the log.
    if not names <= {CONFIG, LOG} or (
        LOG in names and (folder / LOG).read_bytes().count(b"\n") > 1
    ):
        return False
    try:
        with alone(folder / CONFIG):
            return True
    except BusyError:
        return False


def config_of(folder: Path, settings: Mapping[str, Any] | None = None) -> Config:
    """The config of a run, with some settings replaced.

    Raises:
        OSError: if there is no such run.
        ArgumentError: if its config.toml or a setting is invalid.
    """
    if not (folder / CONFIG).exists():
        raise FileNotFoundError(f"there is no run in {folder}: it has no {CONFIG}")
    return configure(read_settings(folder / CONFIG) | dict(settings or {}))


def load_model(folder: Path) -> tuple[Module, Config, Vocabulary | None]:
    """A run's trained network, in eval mode, with its config, and the vocabulary if it is of text.

    Raises:
        OSError: if there is no such run, or it is not finished.
        MinigradError: if its files are damaged, or do not match.
    """
    config = config_of(folder)
    if not (folder / WEIGHTS).exists():
        raise FileNotFoundError(
            f"the run in {folder} has not ended: minigrad train --resume {folder} resumes it"
        )
    arrays, about = load(folder / WEIGHTS), network_of(folder)
    model = build(config, tuple(about["shape"]), about["classes"], np.random.default_rng(0))
    model.load_state_dict(arrays)
    characters = about["vocabulary"]
    return model.eval(), config, Vocabulary(characters) if characters else None


def network_of(folder: Path) -> dict[str, Any]:
    """What the weights of a run are of: the shape of an input, classes, and the vocabulary, which
    is empty if it is not of text."""
    try:
        about = json.loads(load_metadata(folder / WEIGHTS)["network"])
        return {name: about[name] for name in ("shape", "classes", "vocabulary")}
    except (KeyError, ValueError) as error:
        raise MinigradError(
            f"{folder / WEIGHTS} does not name its network: give a folder that minigrad train wrote"
        ) from error
