"""Training on the digits: how well, the same every time, and how it ends early."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad.train
from minigrad import load
from minigrad.data import load_digits
from minigrad.errors import MinigradError
from minigrad.io import load_metadata
from minigrad.train import MODELS, count_right, train_digits


def train_in_a_process(path: Path, **arguments: Any) -> list[str]:
    """The command for a Python that trains, with what it needs to be interrupted from outside."""
    call = f"train_digits(output={str(path)!r}, **{arguments!r})"
    return [sys.executable, "-c", f"from minigrad.train import train_digits; {call}"]


def test_the_defaults_reach_98_percent_and_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weights.safetensors"
    trained = train_digits(output=path)
    assert trained.accuracy >= 0.98
    assert trained.output == path
    out, err = capsys.readouterr()
    assert f"test accuracy {trained.accuracy:.2%}" in out
    assert f"wrote {path}" in out
    assert "epoch 40/40" in err
    assert "loss=" in err
    assert "accuracy=" in err
    assert load_metadata(path) == {
        "model": "mlp",
        "epochs": "40",
        "lr": "0.01",
        "seed": "0",
        "accuracy": str(trained.accuracy),
    }
    # What was written is what was tested.
    network = MODELS["mlp"](np.random.default_rng(1))
    network.load_state_dict(load(path))
    digits = load_digits()
    assert count_right(network, digits.test_images, digits.test_labels) == trained.accuracy * 360


def test_the_cnn_learns_in_a_few_epochs(tmp_path: Path) -> None:
    trained = train_digits("cnn", epochs=3, output=tmp_path / "x")
    assert trained.accuracy >= 0.9
    assert trained.network[0].__class__.__name__ == "Conv2d"


def test_the_output_is_named_after_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train_digits(epochs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["digits-mlp.safetensors"]


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_gives_the_same_bytes_in_another_process(tmp_path: Path, model: str) -> None:
    for name, seed in {"a": 3, "b": 3, "other": 4}.items():
        command = train_in_a_process(tmp_path / name, model=model, epochs=1, seed=seed)
        subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    a, other = load(tmp_path / "a"), load(tmp_path / "other")
    assert not any(np.array_equal(a[name], other[name]) for name in a)


def test_an_output_that_cannot_be_written_is_found_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minigrad.train, "fit", lambda *args: pytest.fail("it trained"))
    with pytest.raises(FileNotFoundError, match="no folder"):
        train_digits(output=tmp_path / "nowhere" / "x")


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path: Path) -> None:
    with pytest.raises(
        MinigradError, match=r"the loss is nan in epoch \d+, batch \d+.*below 1e\+30"
    ):
        train_digits(lr=1e30, epochs=2, output=tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_ctrl_c_ends_with_a_message_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x"
    command = train_in_a_process(path, epochs=100_000)
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        seen = b""
        while b"loss=" not in seen:
            seen += os.read(process.stderr.fileno(), 100)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read().decode()
        assert process.wait() == 130
    assert f"Stopped by Ctrl-C: {path} was not written" in rest
    assert "Traceback" not in rest
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "rnn"}, "no model 'rnn': choose one of mlp, cnn"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"seed": -1}, "seed at least 0"),
        ({"lr": 0}, "lr must be positive"),
    ],
)
def test_arguments_out_of_their_range(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        train_digits(output=tmp_path / "x", **arguments)
    assert not list(tmp_path.iterdir())
