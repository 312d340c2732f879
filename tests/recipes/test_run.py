"""Runs: what is in their folder, how well they do, and how they end."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import load, training
from minigrad.data import load_digits, load_mnist1d
from minigrad.errors import ArgumentError, BusyError, MinigradError
from minigrad.io import alone, load_metadata
from minigrad.recipes import tasks
from minigrad.recipes.config import Config, read_settings
from minigrad.recipes.run import config_of, load_model, new_folder, rate, train
from minigrad.recipes.tasks import TASKS, configure
from tests.marks import rows


@pytest.fixture(autouse=True, scope="module")
def one_mnist1d() -> Iterator[None]:
    """It is made of random numbers at each call, which takes longer than these trainings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "load_mnist1d", cache(load_mnist1d))
        yield


def run(folder: Path, eager: bool = True, **settings: Any) -> Any:
    """Without compiling, unless that is what is tested: it takes longer than a short training."""
    config = configure({"data": "digits", "eager": eager, **settings})
    return train(config, folder, progress=False)


def test_the_folder_has_all_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    trained = run(folder, data="moons", epochs=2, seed=5)
    assert {path.name for path in folder.iterdir()} == {
        "config.toml",
        "log.jsonl",
        "checkpoint.safetensors",
        "weights.safetensors",
    }
    assert Config(**read_settings(folder / "config.toml")) == trained.config
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert rows == trained.history.rows
    assert len(rows) == 2
    about = load_metadata(folder / "weights.safetensors")
    assert json.loads(about["measured"]) == trained.measured
    assert json.loads(about["config"])["seed"] == 5


def test_the_model_that_is_loaded_is_the_one_that_was_measured(tmp_path: Path) -> None:
    trained = run(tmp_path / "x", epochs=1, model="cnn")
    model, config, vocabulary = load_model(tmp_path / "x")
    digits = load_digits()
    right = model(digits.test_images).data.argmax(axis=1) == digits.test_labels
    assert right.mean() == trained.measured["accuracy"] > 0.3
    assert config == trained.config
    assert vocabulary is None
    assert not model.training


@pytest.mark.slow
def test_the_default_network_for_digits_reaches_98_percent(tmp_path: Path) -> None:
    assert run(tmp_path / "x", eager=False).measured["accuracy"] >= 0.98


def test_eager_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def fit(*args: Any, compile: bool | None, **kwargs: Any) -> Any:
        seen.append(compile)
        return training.fit(*args, compile=False, **kwargs)

    monkeypatch.setattr("minigrad.recipes.run.fit", fit)
    run(tmp_path / "x", data="moons", epochs=1)
    run(tmp_path / "y", data="moons", epochs=1, eager=False)
    assert seen == [False, None]
    assert config_of(tmp_path / "x").eager


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in {"a": 3, "b": 3, "other": 4}.items():
        run(tmp_path / name, data="moons", steps=12, seed=seed, eager=False)
    a, b, other = (tmp_path / name / "weights.safetensors" for name in ("a", "b", "other"))
    assert a.read_bytes() == b.read_bytes()
    weights, others = load(a), load(other)
    assert not np.array_equal(weights["1.weight"], others["1.weight"])


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    run(tmp_path / "whole", data="moons", epochs=4, schedule="constant")
    run(tmp_path / "parts", data="moons", epochs=2, schedule="constant")
    train(config_of(tmp_path / "parts", {"epochs": 4}), tmp_path / "parts", progress=False)
    whole, parts = (load(tmp_path / name / "weights.safetensors") for name in ("whole", "parts"))
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
    assert len((tmp_path / "parts" / "log.jsonl").read_text().splitlines()) == 4


def test_a_run_of_another_model_is_not_gone_on_with(tmp_path: Path) -> None:
    run(tmp_path, epochs=1)
    with pytest.raises(MinigradError, match=r"began with model='mlp'.* which cannot change"):
        train(config_of(tmp_path, {"model": "cnn"}), tmp_path, progress=False)
    assert load_model(tmp_path)[1].model == "mlp"


def test_data_that_is_not_there_is_found_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run(tmp_path / "x", data="text", path=str(tmp_path / "nowhere"))
    assert not list(tmp_path.iterdir())


def test_folders_are_never_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = configure({"data": "digits"})
    assert new_folder(config) == Path("runs/digits-mlp")
    Path("runs/digits-mlp").mkdir(parents=True)
    assert new_folder(config, Path("runs/digits-mlp")) == Path("runs/digits-mlp")
    Path("runs/digits-mlp/x").touch()
    assert new_folder(config) == Path("runs/digits-mlp-2")
    Path("runs/digits-mlp-2").touch()
    assert new_folder(config) == Path("runs/digits-mlp-3")
    for name in ("runs/digits-mlp", "runs/digits-mlp-2"):
        with pytest.raises(FileExistsError, match=rf"{name} exists already: .*--resume"):
            new_folder(config, Path(name))


def test_a_run_that_fails_in_its_first_steps_does_not_block_the_next(tmp_path: Path) -> None:
    with pytest.raises(MinigradError, match="the loss is"):
        run(tmp_path / "x", data="moons", lr=1e30)
    config = configure({"data": "moons", "epochs": 1, "eager": True})
    assert new_folder(config, tmp_path / "x") == tmp_path / "x"
    train(config, tmp_path / "x", progress=False)
    assert config_of(tmp_path / "x") == config
    with pytest.raises(FileExistsError):
        new_folder(config, tmp_path / "x")


def killed_before_the_first_checkpoint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("minigrad.training.run.save", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(folder, data="moons", steps=6, every=2)


def test_a_run_killed_between_its_log_and_its_first_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_first_checkpoint(tmp_path / "x", monkeypatch)
    log = tmp_path / "x" / "log.jsonl"
    assert new_folder(configure({"data": "moons"}), tmp_path / "x") == tmp_path / "x"
    log.write_text(2 * log.read_text())  # of a run whose checkpoint was removed
    with pytest.raises(FileExistsError):
        new_folder(configure({"data": "moons"}), tmp_path / "x")


def test_a_run_that_is_made_longer_and_then_killed_keeps_its_new_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, data="moons", steps=4, every=2)
    with monkeypatch.context() as patch:
        patch.setattr(training.Run, "save", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(config_of(tmp_path, {"steps": 8}), tmp_path, progress=False)
    assert config_of(tmp_path).steps == 8
    assert train(config_of(tmp_path), tmp_path, progress=False).history.last["step"] == 8
    assert load_model(tmp_path)[1].steps == 8


def test_two_trainings_do_not_share_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    with alone(folder / "config.toml"):  # as another process has it
        with pytest.raises(BusyError, match=r"another training is writing .*config.toml"):
            run(folder, data="moons", epochs=1)
        with pytest.raises(FileExistsError):
            new_folder(configure({"data": "moons"}), folder)
        assert not (folder / "config.toml").exists()
    run(folder, data="moons", epochs=1)


def test_temporary_files_of_killed_runs_are_removed(tmp_path: Path) -> None:
    names = ("config.toml", "log.jsonl", "checkpoint.safetensors", "weights.safetensors")
    for name in names:
        (tmp_path / f".{name}.0123456789abcdef.tmp").touch()
        (tmp_path / f".{name}.lock").touch()
    (tmp_path / ".mine.tmp").touch()
    run(tmp_path, data="moons", epochs=1)
    left = {path.name for path in tmp_path.iterdir()} - {f".{name}.lock" for name in names[1:]}
    assert left == {*names, ".mine.tmp"}


def test_a_run_keeps_what_it_was_told(tmp_path: Path) -> None:
    run(tmp_path, data="moons", epochs=1)
    before = (tmp_path / "config.toml").read_text()
    for other in ({"lr": 0.5}, {"seed": 3}, {"clip_norm": 1.0}, {"epochs": 2, "average": 0.9}):
        name = list(other)[-1]
        with pytest.raises(ArgumentError, match=rf"began with {name}=.*, which cannot change"):
            train(config_of(tmp_path, other), tmp_path, progress=False)
    assert (tmp_path / "config.toml").read_text() == before
    for epochs in (2, 3):
        train(config_of(tmp_path, {"epochs": epochs}), tmp_path, progress=False)
    text = (tmp_path / "config.toml").read_text()
    assert config_of(tmp_path).epochs == 3
    told = [line for line in text.splitlines() if line.startswith("#")]
    log = (tmp_path / "log.jsonl").read_text().splitlines()
    steps = [json.loads(row)["step"] for row in log]
    assert told == [f"# until step {step}: epochs = {k + 1}" for k, step in enumerate(steps[:2])]


def test_folders_without_a_finished_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no run in .*no config.toml"):
        load_model(tmp_path)
    (tmp_path / "config.toml").write_text(configure({"data": "digits"}).lines())
    with pytest.raises(FileNotFoundError, match="has not ended: minigrad train --resume"):
        load_model(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"{}")
    with pytest.raises(MinigradError, match="not a whole safetensors file"):
        load_model(tmp_path)
    (tmp_path / "config.toml").write_text("data = 'digits'\nepoch = 1")
    with pytest.raises(ArgumentError, match="did you mean epochs"):
        config_of(tmp_path)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_the_learning_rate_rises_in_a_line_and_falls_to_its_end(schedule: str) -> None:
    config = Config("x", "x", lr=0.1, final_lr=0.01, warmup=4, schedule=schedule)
    rates = [config.lr * rate(config, 24, step) for step in range(25)]
    assert np.allclose(rates[:5], [0.02, 0.04, 0.06, 0.08, 0.1])
    last = 0.1 if schedule == "constant" else 0.01
    middle = 0.1 if schedule == "constant" else 0.055
    assert rates[24] == pytest.approx(last)
    assert rates[14] == pytest.approx(middle)
    assert (np.diff(rates[5:]) <= 0).all()


SMALL: dict[str, Any] = {
    "steps": 3,
    "width": 8,
    "heads": 2,
    "layers": 1,
    "context": 16,
    "batch_size": 4,
}


@pytest.mark.parametrize("model", TASKS["names"].recipes)
def test_names(tmp_path: Path, model: str) -> None:
    trained = run(tmp_path / "x", data="names", model=model, **SMALL)
    assert trained.problem.lines
    assert 0 < trained.measured["loss"] < 4
    assert load_model(tmp_path / "x")[2].characters[0] == "\n"  # type: ignore[union-attr]


@pytest.mark.parametrize("model", TASKS["text"].recipes)
def test_text(tmp_path: Path, model: str) -> None:
    (tmp_path / "text").write_text("to be or not to be, that is the question. " * 30)
    trained = run(
        tmp_path / "x", data="text", path=str(tmp_path / "text"), model=model, **SMALL, warmup=1
    )
    assert 0 < trained.measured["loss"] < 4
    assert trained.model.state_dict().keys() == load_model(tmp_path / "x")[0].state_dict().keys()


def test_a_line_that_is_too_long_for_the_model_says_so(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("ann\nbartholomew\n")
    with pytest.raises(ArgumentError, match="has 11 characters"):
        run(tmp_path / "x", data="names", path=str(tmp_path / "names"), context=8)


@pytest.mark.parametrize("model", TASKS["moons"].recipes)
def test_moons(tmp_path: Path, model: str) -> None:
    least = {"mlp": 0.98, "logistic": 0.8}[model]
    assert run(tmp_path / "x", data="moons", model=model).measured["accuracy"] >= least


@pytest.mark.parametrize(
    "model", rows({m: m for m in TASKS["mnist1d"].recipes}, slow=lambda model: model != "cnn")
)
def test_mnist1d(tmp_path: Path, model: str) -> None:
    trained = run(tmp_path / "x", data="mnist1d", model=model, steps=40, every=40)
    assert trained.measured["accuracy"] > 0.15
