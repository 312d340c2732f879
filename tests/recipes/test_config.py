"""Settings: from files, from flags, checked."""

from pathlib import Path
from typing import Any

import pytest

from minigrad.errors import ArgumentError
from minigrad.recipes.config import Config, read_settings
from minigrad.recipes.tasks import TASKS, configure


def test_lines_are_read_back_as_they_were(tmp_path: Path) -> None:
    config = Config("text", "gpt", path='a "b" \\ ü', lr=1e-4, betas=(0.5, 0.75), seed=2**40)
    (tmp_path / "x").write_text(config.lines(), encoding="utf-8")
    assert Config(**read_settings(tmp_path / "x")) == config


def test_integers_stand_for_floats_and_lists_for_tuples() -> None:
    config = Config("digits", "mlp", lr=1, betas=[0, 0.5])  # type: ignore[arg-type]
    assert config.lr == 1.0
    assert config.betas == (0.0, 0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 0}, "lr must be positive, not 0"),
        ({"lr": float("nan")}, "lr must be positive, not nan"),
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"noise": -1}, "noise must be at least 0, not -1"),
        ({"noise": float("nan")}, "noise must be at least 0, not nan"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
        ({"epochs": 1.5}, "epochs must be of type int, and is 1.5"),
        ({"epochs": True}, "epochs must be of type int, and is True"),
        ({"lr": "high"}, "lr must be of type float, and is 'high'"),
        ({"betas": [0.9]}, r"betas must be of type tuple.*, and is \[0.9\]"),
        ({"schedule": "steps"}, "schedule is one of linear, cosine, constant, not 'steps'"),
    ],
)
def test_settings_out_of_their_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        configure({"data": "digits", **settings})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("learning_rate = 1", "no setting 'learning_rate', in .*x: There are data, model"),
        ("epoch = 1", "no setting 'epoch', in .*x: did you mean epochs?"),
        ("lr = ", "x is not a TOML file: "),
        ("lr = \xff", "x is not a TOML file: "),
    ],
)
def test_a_file_with_something_unknown(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "x").write_bytes(content.encode("latin-1"))
    with pytest.raises(ArgumentError, match=message):
        read_settings(tmp_path / "x")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "no data is named: choose one of digits, moons"),
        ({"data": "cifar"}, "no data 'cifar'"),
        ({"data": "digits", "model": "rnn"}, "no model 'rnn' for digits: choose one of mlp, cnn"),
        ({"data": "text"}, "text needs a text file: minigrad train text PATH"),
        ({"data": "idx"}, "idx needs a folder"),
        ({"data": "digits", "path": "x"}, "digits takes no path, and was given 'x'"),
        ({"data": "digits", "epoch": 1}, "no setting 'epoch', for digits: did you mean epochs?"),
    ],
)
def test_unknown_data_models_and_settings_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        configure(settings)


def test_a_recipe_has_settings_and_what_is_given_goes_before_them() -> None:
    assert configure({"data": "text", "path": "x"}).steps == 2000
    assert configure({"data": "text", "path": "x", "steps": 5}).steps == 5
    config = configure({"data": "text", "path": "x", "epochs": 5})
    assert (config.steps, config.epochs) == (0, 5)
    assert configure({"data": "names"}).model == "microgpt"


@pytest.mark.parametrize(
    ("data", "model"), [(name, model) for name, task in TASKS.items() for model in task.recipes]
)
def test_every_recipe_is_a_config(data: str, model: str) -> None:
    path = {"path": "x"} if TASKS[data].path else {}
    assert configure({"data": data, "model": model, **path}).model == model
