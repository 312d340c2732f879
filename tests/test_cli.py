"""The commands, as a shell runs them."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from minigrad.cli import main
from minigrad.recipes.tasks import TASKS

COMMAND = [sys.executable, "-m", "minigrad"]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_train_says_how_well_and_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "digits", "--epochs", "2", "--batch-size", "32", "--eager"]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"held-out loss 0\.\d{4}\nheld-out accuracy 9\d\.\d\d%\n", out)
    assert "wrote runs/digits-mlp, with a report: runs/digits-mlp/report.html" in out
    assert "epoch 2/2" in err
    assert "90/90" in err
    assert "batch_size = 32" in Path("runs/digits-mlp/config.toml").read_text()


def test_settings_from_a_file_and_flags_before_them(capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.toml").write_text(
        "data = 'moons'\nepochs = 1\neager = true\nlr = 0.5\nbetas = [0.5, 0.5]\n"
    )
    assert main(["train", "--config", "x.toml", "--lr", "0.25", "--output", "out"]) == 0
    config = Path("out/config.toml").read_text()
    assert "lr = 0.25" in config
    assert "betas = [0.5, 0.5]" in config
    assert "epochs = 1\n" in config


def test_a_run_is_resumed_and_made_longer(capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "moons", "--epochs", "1", "--eager", "--output", "out"])
    assert main(["train", "--resume", "out", "--epochs", "3"]) == 0
    assert "eager = true" in Path("out/config.toml").read_text()
    assert main(["train", "--resume", "out", "--no-eager"]) == 0
    assert "eager = false" in Path("out/config.toml").read_text()
    assert len(Path("out/log.jsonl").read_text().splitlines()) == 3
    assert main(["train", "moons", "--output", "out"]) == 1
    assert "out exists already" in capsys.readouterr().err


def test_text_is_trained_on_and_written(capsys: pytest.CaptureFixture[str]) -> None:
    Path("text").write_text("to be or not to be, that is the question. " * 30)
    small = "--steps 9 --width 16 --layers 1 --context 16 --betas 0.8 0.9".split()
    assert main(["train", "text", "text", *small, "--output", "out"]) == 0
    capsys.readouterr()
    assert main("sample out --prompt to --length 30 --top-k 3 --number 2".split()) == 0
    written = capsys.readouterr().out
    assert [len(line) for line in written.splitlines()] == [32, 32]
    assert written.startswith("to")


def test_ctrl_c_ends_with_what_to_do_next() -> None:
    command = [*COMMAND, "train", "digits", "--epochs", "100000", "--output", "out"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        seen = b""
        while b"loss=" not in seen:
            seen += (more := os.read(process.stderr.fileno(), 100))
            assert more, seen
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read().decode()
        assert process.wait() == 130
    assert "Stopped by Ctrl-C. To resume: minigrad train --resume out" in rest
    assert "Traceback" not in rest
    assert Path("out/checkpoint.safetensors").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train", "no data is named: choose one of digits"),
        ("train digits --model rnn", "no model 'rnn' for digits"),
        ("train text", "text needs a text file: minigrad train text PATH"),
        ("train text nowhere.txt", "cannot use nowhere.txt: there is no such file"),
        ("train text .", "cannot use .: it is a folder, and a file is needed"),
        ("train text short.txt", "short.txt has 18 characters, .* a smaller --context"),
        ("train names short.txt", "short.txt has one line"),
        ("train names --context 3", "a line of the names has 11 char.*, or give --context 12"),
        ("train moons --output short.txt/a", "cannot use short.txt/a: a part of this path is a f"),
        ("train --config .", "cannot use .: it is a folder"),
        ("train --resume x --output y", "leave out --output"),
        ("train --resume x --config y", "leave out --output and --config"),
        ("explain x1 x1=2 --html=", "cannot write a file of an empty name"),
        ("explain wrong.py", "wrong.py is a file: name a function in it, as in"),
        ("explain text.py:f", "text.py:f cannot be run: SyntaxError: .*line 1"),
        ("train idx .", "t10k"),
        ("train digits --lr 0", "lr must be positive"),
        ("train digits --lr 1e30", "the loss is .* a learning rate below"),
        ("train --resume nowhere", "there is no run in nowhere"),
        ("train --config nowhere.toml", "nowhere.toml"),
        ("sample nowhere", "there is no run in nowhere"),
        ("sample x --number 0", "--number is at least 1"),
        ("explain x1*x2 x1=1 x1=2", "more than one value for x1"),
    ],
)
def test_errors_are_printed_in_one_line(
    command: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("short.txt").write_text("to be or not to be")
    Path("text.py").write_text("to be or not to be")
    assert main(command.split()) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("minigrad: ")
    assert re.search(message, line)


def test_a_bad_command_is_2() -> None:
    for command in ["", "train cifar", "train digits --epochs x", "bench"]:
        with pytest.raises(SystemExit) as ended:
            main(command.split())
        assert ended.value.code == 2


def test_help_names_all_data_and_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in TASKS)
    assert all(f"--{name}" in text for name in ("weight-decay", "lr", "seed", "betas", "eager"))


def test_info_and_a_cache_that_is_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MINIGRAD_THREADS", "3")

    def told(*options: str) -> str:
        assert main(["info", *options]) == 0
        return capsys.readouterr().out

    assert re.search(rf"numpy +\d(.|\n)*threads +3\ncache +{tmp_path}/cache, 0.0 MB\n", told())
    (tmp_path / "cache").mkdir(exist_ok=True)
    (tmp_path / "cache" / f"{1:032x}.so").write_bytes(bytes(3 << 20))
    (tmp_path / "cache" / "mine.so").write_bytes(bytes(2 << 20))
    assert f"{tmp_path}/cache, 3.0 MB" in told()
    assert told("--clear-cache") == f"removed 3.0 MB from {tmp_path}/cache\n"
    assert "0.0 MB" in told() and (tmp_path / "cache" / "mine.so").exists()


def test_a_reader_that_has_seen_enough() -> None:
    explain = subprocess.Popen(
        [*COMMAND, "explain", "x1*x2", "x1=1", "x2=2"], stdout=subprocess.PIPE
    )
    assert explain.stdout is not None
    explain.stdout.close()
    assert explain.wait() == 0


def test_explain_writes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["explain", "x1*x2 + sin(x1)", "x1=2", "x2=3", "--html", str(page)]) == 0
    assert capsys.readouterr().out.startswith("Forward pass")
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_explain_writes_a_live_page_and_only_a_page_is_live(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert main(["explain", "x*x", "x=2", "--live"]) != 0
    assert "--live is for a page: write --html FILE too" in capsys.readouterr().err
    assert main(["explain", "x*x", "x=2", "--html", str(page)]) == 0
    assert "wasm-unsafe-eval" not in page.read_text().partition("<style>")[0]


def test_explain_prints_latex(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "sin(x)", "x=2", "--latex"]) == 0
    assert r"w_{2} &= \mathrm{sin}\left(w_{1}\right) = 0.9093" in capsys.readouterr().out


def test_explain_says_where_it_cannot_write(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "sin(x)", "x=2", "--html", "no such folder/page.html"]) == 1
    assert "no such folder" in capsys.readouterr().err


def test_explain_of_a_function_and_its_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program, picture = tmp_path / "model.py", tmp_path / "graph.svg"
    program.write_text("def loss(w=1.5, x=2.0):\n    return (w * x - 1) ** 2\n")
    assert main(["explain", f"{program}:loss", "x=3", "--svg", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "dz/dw = 21" in out and "dz/dx = 10.5" in out
    assert picture.read_text().startswith("<svg")


def test_a_mistake_in_the_function_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "model.py"
    program.write_text("import numpy as np\ndef f(w=np.ones(2)):\n    return w @ np.ones(3)\n")
    assert main(["explain", f"{program}:f"]) == 1
    assert f"at {program}:3\n    return w @ np.ones(3)" in capsys.readouterr().err


def test_an_exception_of_the_function_is_reported_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "model.py"
    program.write_text("def f(x=2.0):\n    return x * undefined\n")
    assert main(["explain", f"{program}:f"]) == 1
    err = capsys.readouterr().err
    assert f"{program}:f cannot be run: NameError: name 'undefined' is not defined\n" in err
    assert f"at {program}:2\n    return x * undefined\n" in err


def test_ctrl_c_ends_any_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("minigrad.cli.parse", interrupted)
    assert main(["explain", "x1", "x1=2"]) == 130
    assert capsys.readouterr().err == "minigrad: stopped by Ctrl-C\n"


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("page = undefined", "NameError: name 'undefined' is not defined"),
        ("def page(): return 1 / 0", "ZeroDivisionError: division by zero"),
        ("import numpy as np; page = np.zeros(1 << 58)", "Unable to allocate 2.00 EiB"),
    ],
)
def test_what_a_users_file_raises_is_told_with_its_line(
    line: str, wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "own.py"
    file.write_text(line)
    assert main(["play", f"{file}:page"]) == 1
    error = capsys.readouterr().err
    assert "own.py:page cannot be run: " in error and wrong in error and "own.py:1" in error


def test_a_network_is_exported(capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "moons", "--epochs", "1", "--eager", "--output", "out"])
    assert main("export out --output moons --batch 5".split()) == 0
    assert "wrote moons" in capsys.readouterr().out
    assert "float x[5][2];" in Path("moons/moons.h").read_text()
    assert main("export out --output large --batch 1000000000000000".split()) == 1
    assert "there is not enough memory. Unable to allocate" in capsys.readouterr().err
    assert main("export nowhere --output moons".split()) == 1
    assert "there is no run in nowhere" in capsys.readouterr().err


def test_an_empty_path_is_not_the_present_folder(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "out", "--output", ""])
    assert "argument --output: the path is empty" in capsys.readouterr().err
