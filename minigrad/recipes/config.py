"""Settings of a training, from the command line or a TOML file."""

from __future__ import annotations

import difflib
import json
import math
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from minigrad.errors import ArgumentError

SCHEDULES = ("linear", "cosine", "constant")
LEAST = {"epochs": 1, "batch_size": 1, "context": 1, "width": 1, "layers": 1, "heads": 1}
LEAST |= dict.fromkeys(("steps", "every", "seed", "warmup"), 0)
LEAST |= dict.fromkeys(("final_lr", "weight_decay", "clip_norm", "average", "noise"), 0)


def setting(default: Any, text: str) -> Any:
    """A field with its help text for the command line."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Config:
    """The settings of one training, as in `minigrad train` and config.toml.

    Raises:
        ArgumentError: if a setting is out of its range, or of another type.
    """

    data: str
    model: str
    path: str = setting("", "the file or folder with data of your own")
    epochs: int = setting(10, "passes over the data")
    steps: int = setting(0, "train for this many batches instead; 0: as many as the epochs have")
    batch_size: int = setting(64, "samples in a batch")
    lr: float = setting(1e-3, "learning rate at the start")
    final_lr: float = setting(0.0, "learning rate at the end")
    schedule: str = setting("linear", f"how the learning rate falls: {', '.join(SCHEDULES)}")
    warmup: int = setting(0, "steps of linear warm-up of the learning rate")
    weight_decay: float = setting(0.0, "AdamW's, on matrices only")
    betas: tuple[float, float] = setting((0.9, 0.999), "AdamW's")
    clip_norm: float = setting(0.0, "the largest global norm of the gradients; 0: no clipping")
    average: float = setting(0.0, "decay of the moving average of the weights; 0: no average")
    noise: float = setting(0.0, "standard deviation of noise added to the inputs in training")
    context: int = setting(64, "text: context length, in characters")
    width: int = setting(128, "text: width of the embedding")
    layers: int = setting(4, "text: layers of the model")
    heads: int = setting(4, "text: attention heads of a GPT")
    every: int = setting(0, "steps for each row of the log; 0: an epoch")
    seed: int = setting(0, "of all random numbers: equal seeds give equal weights")
    eager: bool = setting(False, "run steps op by op, not compiled where there is a C compiler")

    def __post_init__(self) -> None:
        for one in fields(self):
            object.__setattr__(self, one.name, of_type(one.name, getattr(self, one.name), one.type))
        for name, low in LEAST.items():
            if not getattr(self, name) >= low:
                raise ArgumentError(f"{name} must be at least {low}, not {getattr(self, name)}")
        if not 0 < self.lr < math.inf:
            raise ArgumentError(f"lr must be positive, not {self.lr}")
        if self.schedule not in SCHEDULES:
            raise ArgumentError(f"schedule is one of {', '.join(SCHEDULES)}, not {self.schedule!r}")

    def lines(self) -> str:
        """The settings as a TOML file."""
        values = {name: value for name, value in asdict(self).items() if value != ""}
        return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def of_type(name: str, value: Any, kind: Any) -> Any:
    """A value converted to a field's type: integers to floats, lists to tuples."""
    if kind == "float" and type(value) is int:
        value = float(value)
    if kind.startswith("tuple") and isinstance(value, list | tuple) and len(value) == 2:
        return tuple(of_type(name, x, "float") for x in value)
    if type(value).__name__ != kind:
        raise ArgumentError(f"{name} must be of type {kind}, and is {value!r}")
    return value


def read_settings(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The settings in a TOML file, by name.

    Raises:
        OSError: if it cannot be read.
        ArgumentError: if it is not TOML, or has an unknown setting.
    """
    try:
        settings = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ArgumentError(f"{path} is not a TOML file: {error}") from error
    check_names(settings, [field.name for field in fields(Config)], f"in {path}")
    return settings


def check_names(settings: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    known = list(known)
    for name in settings:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            guess = f"did you mean {near[0]}? " if near else ""
            raise ArgumentError(
                f"there is no setting {name!r}, {where}: {guess}There are {', '.join(known)}"
            )
