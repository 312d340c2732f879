"""What play refuses, and what it tells the page of a user's own step. That the step runs as in
Python is tested in tests/browser."""

import argparse
import json
import re
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, nn, optim
from minigrad import functional as F
from minigrad.cli import main
from minigrad.compiler.target import webassembly
from minigrad.compiler.target.cache import BuildError
from minigrad.data import ArrayDataset, BatchLoader
from minigrad.errors import (
    ArgumentError,
    DtypeError,
    GradientError,
    MinigradError,
    UnsupportedError,
)
from minigrad.playground import play
from minigrad.playground.own import Examples, Own

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 2)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


def layers(*sizes: int) -> list[nn.Linear]:
    rng = np.random.default_rng(1)
    return [nn.Linear(a, b, rng=rng) for a, b in pairwise(sizes)]


def small() -> nn.Sequential:
    first, last = layers(2, 3, 2)
    return nn.Sequential(first, nn.Tanh(), last)


def page(model: nn.Module, **how: Any) -> dict[str, Any]:
    given = {"loss": F.cross_entropy, "data": (X, Y), **how}
    optimizer = given.pop("optimizer", optim.SGD(model.parameters(), lr=0.1))
    return play(model, given.pop("loss"), optimizer, given.pop("data"), **given).description


def test_the_network_of_linears_is_drawn_with_units() -> None:
    told = page(small(), test=(X[:5], Y[:5]), title="Mine")
    first, last = told["network"]["layers"]
    assert (first["name"], first["kind"], first["activation"]) == ("0", "units", "tanh")
    assert (first["units"], first["fanIn"], first["bias"]) == (3, 2, True)
    assert first["held"] == {"weight": "0.weight", "bias": "0.bias"}
    assert (last["name"], last["activation"], last["shape"]) == ("2", "linear", [2])
    assert told["about"]["title"] == "Mine" and not told["about"]["ready"]
    assert told["columns"] == ["x1", "x2"] and told["network"]["classes"] == 2
    assert told["network"]["parameters"] == 3 * 3 + 4 * 2
    assert told["test"]["x"]["shape"] == [5, 2] and told["sizes"] == [32, 18, 1]


class Functional(nn.Module):
    def __init__(self) -> None:
        self.a, self.b = layers(2, 3, 1)

    def forward(self, x: Any) -> Any:
        return self.b(np.tanh(self.a(x)))[:, 0]


def test_an_activation_that_is_a_function() -> None:
    told = page(Functional(), loss=F.mse_loss, data=(X, X[:, 1]))
    assert [x["activation"] for x in told["network"]["layers"]] == ["tanh", "linear"]
    assert told["network"]["classes"] == 0


class Twice(nn.Module):
    def __init__(self) -> None:
        (self.a,) = layers(2, 2)

    def forward(self, x: Any) -> Any:
        return self.a(F.relu(self.a(x)))


def test_other_modules_are_boxes_and_calls_have_names_of_their_own() -> None:
    images = RNG.normal(size=(40, 1, 6, 6)).astype(np.float32)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Dropout(0.2), nn.Flatten()
    )
    model.append(nn.Linear(32, 3))
    told = page(model, data=(images, RNG.integers(0, 3, 40)))
    found = [(x["type"], x["kind"]) for x in told["network"]["layers"]]
    assert found[0] == ("Conv2d", "module") and found[-1] == ("Linear", "module")
    assert told["columns"] == [] and told["network"]["layers"][0]["shape"] == [2, 4, 4]
    names = [x["name"] for x in page(Twice())["network"]["layers"]]
    assert names == ["a", "a (2)"]


class Scaled(nn.Module):
    def __init__(self) -> None:
        (self.a,) = layers(2, 2)
        self.scale = Tensor(np.float32(2), requires_grad=True)
        self.unused = Tensor(np.ones(3, np.float32), requires_grad=True)

    def forward(self, x: Any) -> Any:
        return self.scale * self.a(x)


def test_parameters_beside_those_of_children_have_a_box_and_shared_ones_their_array() -> None:
    block = Scaled()
    model = nn.Sequential(block, nn.Tanh(), block)
    told = page(model, optimizer=optim.SGD([block.scale], lr=0.1))
    held = [x["held"] for x in told["network"]["layers"] if x["type"] == "Scaled"]
    assert held == [{"scale": "0.scale"}, {"scale": "0.scale"}]
    assert sorted(told["memory"]) == ["0.a.bias", "0.a.weight", "0.scale"]


def test_the_last_batch_of_an_epoch_is_trained_on_unless_it_is_dropped() -> None:
    for drop_last, sizes in ((False, [20, 10, 1]), (True, [20, 1])):
        loader = BatchLoader(X, Y, batch_size=20, seed=0, drop_last=drop_last)
        assert page(small(), data=loader)["sizes"] == sizes
    normalized = nn.Sequential(nn.BatchNorm1d(2), small())
    with pytest.raises(UnsupportedError, match=r"has 1 of 50 examples.*drop_last=True"):
        page(normalized, data=BatchLoader(X, Y, batch_size=7, seed=0))
    told = page(normalized)
    assert told["sizes"] == [32, 18] and "no variance" in told["notOne"]


def test_counts_are_not_classes() -> None:
    def loss(output: Any, y: Any) -> Any:
        return ((output[:, 0] - y) ** 2).mean()

    counts = np.arange(50) % 7
    assert page(small(), loss=loss, data=(X, counts))["network"]["classes"] == 0
    ignored = np.where(Y == 0, -100, Y)
    assert page(small(), data=(X, ignored))["network"]["classes"] == 2


def test_a_loader_says_batch_order_and_seed() -> None:
    loader = BatchLoader(X, Y, batch_size=7, shuffle=False, seed=3)
    for data in (loader, BatchLoader(ArrayDataset(X, Y), batch_size=7, shuffle=False, seed=3)):
        settings = page(small(), data=data)["about"]["settings"]
        assert (settings["batch"], settings["shuffle"], settings["seed"]) == (7, False, 3)


def test_nothing_of_the_model_changes() -> None:
    minigrad.manual_seed(5)
    expected = np.random.default_rng(5).random()
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5), *layers(2, 2))
    before = model.state_dict()
    optimizer = optim.Adam(model.parameters())
    F.cross_entropy(model.eval()(X), Y).backward()
    gradients = [p.grad for p in model.parameters()]
    page(model, optimizer=optimizer)
    assert not any(part.training for part in model.modules())
    assert all(p.grad is grad for p, grad in zip(model.parameters(), gradients, strict=True))
    for name, array in model.state_dict().items():
        assert array.tobytes() == before[name].tobytes(), name
    assert not any(x.any() for state in optimizer.states for x in state.values())
    assert minigrad.random.generator().random() == expected


def spoilt(array: np.ndarray, **entries: float) -> np.ndarray:
    """A copy with nan or inf in an entry for each name and row_column."""
    copy = array.copy()
    for place, value in entries.items():
        copy[tuple(map(int, place[1:].split("_")))] = value
    return copy


def test_what_is_not_finite_in_data_is_named_if_it_reaches_a_gradient() -> None:
    bad = spoilt(X, _3_1=np.nan, _9_0=np.inf)
    with pytest.raises(ArgumentError, match=r"data has .* rows 3, 9, columns 0, 1 of x, and then"):
        page(small(), data=(bad, Y))
    # tanh(inf) is 1, and so the loss is finite, but not the gradient of a weight.
    with pytest.raises(ArgumentError, match=r"data has .* row 9, column 0 of x"):
        page(small(), data=(spoilt(X, _9_0=np.inf), Y))
    with pytest.raises(ArgumentError, match=r"test has .* row 3, column 1 of x"):
        page(small(), data=(X, Y), test=(spoilt(X, _3_1=np.nan), Y))

    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = small()

        def forward(self, x: Any) -> Any:
            return self.inner(np.where(np.isfinite(x), x, 0))

    page(Masked(), data=(bad, Y))


def test_what_is_refused() -> None:
    model = small()
    optimizer = optim.SGD(model.parameters())
    cases: dict[str, tuple[type[MinigradError], Callable[[], Any]]] = {
        "no loss and no optimizer and no data": (ArgumentError, lambda: play(model)),
        "test data without a model": (ArgumentError, lambda: play(test=(X, Y))),
        "takes \\(model, loss": (
            ArgumentError,
            lambda: play(F.relu, F.cross_entropy, optimizer, (X, Y)),  # type: ignore[arg-type]
        ),
        "must be \\(x, y\\), a Dataset": (ArgumentError, lambda: page(model, data=3)),
        "has 1 parts": (ArgumentError, lambda: page(model, data=(X,))),
        "a transform": (
            UnsupportedError,
            lambda: page(
                model, data=BatchLoader(X, Y, batch_size=5, transform=lambda rng, x, y: (x, y))
            ),
        ),
        "20 MB": (ArgumentError, lambda: page(model, data=(np.zeros((20, 250_000), "f"), Y[:20]))),
        "no parameter of the model": (
            ArgumentError,
            lambda: page(model, optimizer=optim.SGD(small().parameters())),
        ),
        "must be one number": (
            GradientError,
            lambda: page(model, loss=lambda x, y: F.cross_entropy(x, y, reduction="none")),
        ),
        "is a tuple of 2": (UnsupportedError, lambda: page(nn.LSTM(2, 3), data=(X[:, None], Y))),
        "missing a required argument|takes x, y, z": (
            MinigradError,
            lambda: page(model, loss=lambda x, y, z: x),
        ),
        "of float16": (DtypeError, lambda: page(model, data=(X.astype(np.float16), Y))),
        "same shape and dtype": (
            ArgumentError,
            lambda: page(model, test=(X[:5].astype(np.float64), Y[:5])),
        ),
        "below 2\\*\\*53": (
            UnsupportedError,
            lambda: page(model, data=BatchLoader(X, Y, batch_size=5, seed=2**53)),
        ),
        "by NumPy": (
            UnsupportedError,
            lambda: page(model, loss=lambda x, y: np.linalg.svd(x.T @ x + 1)[1].sum()),
        ),
    }
    for text, (kind, call) in cases.items():
        with pytest.raises(kind, match=text):
            call()


def test_labels_that_are_no_classes_are_refused_wherever_they_are() -> None:
    wrong = np.where(np.arange(50) == 40, 2, Y)
    for how, name in (({"data": (X, wrong)}, "data"), ({"test": (X, wrong)}, "test")):
        with pytest.raises(ArgumentError, match=rf"examples 32 to 49 of {name} .* target of 2"):
            page(small(), **how)


def test_a_loss_that_reads_numbers_is_refused() -> None:
    def reading(x: Tensor, y: Any) -> Any:
        return F.cross_entropy(x, y) if float(x.sum()) > -1e9 else x.sum()

    with pytest.raises(MinigradError, match="float"):
        page(small(), loss=reading)


FILE = """
import numpy as np
import minigrad
from minigrad import nn, optim
from minigrad.functional import mse_loss

x = np.ones((9, 2), np.float32)
model = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
page = minigrad.play(model, mse_loss, optim.SGD(model.parameters()), (x, x[:, 0]), title="Lines")

def made():
    return page

number = 3
"""


def test_the_command(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "lines.py"
    file.write_text(FILE)
    seen: list[Any] = []
    monkeypatch.setattr(
        minigrad.playground.Playground,
        "serve",
        lambda self, *how, **more: seen.append((self.description["about"]["title"], how, more)),
    )
    assert main(["play", f"{file}:page", "--no-browser", "--port", "8123"]) == 0
    assert main(["play", f"{file}:made"]) == 0
    assert main(["play"]) == 0
    assert seen == [
        ("Lines", (8123,), {"browser": False}),
        ("Lines", (0,), {"browser": True}),
        ("playground", (0,), {"browser": True}),
    ]
    capsys.readouterr()
    for what, message in {
        f"{file}": "is not FILE.py:NAME",
        f"{file}:nothing": "there is no nothing",
        f"{file}:number": "must be what minigrad.play",
        f"{tmp_path}/none.py:page": "there is no file",
    }.items():
        assert main(["play", what]) == 1
        assert message in capsys.readouterr().err
    assert main(["play", f"{file}:page", "--html", "a.html", "--port", "1"]) == 1


PROGRAM = """
from __future__ import annotations
import argparse, pickle, sys
from dataclasses import dataclass

@dataclass
class Setting:
    rate: float = 0.1

assert pickle.loads(pickle.dumps(Setting())) == Setting()
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=3)
assert parser.parse_args().epochs == 3 and sys.argv[1:] == []

def needs(n):
    return n

def ends():
    sys.exit(0)
"""


def test_the_command_runs_files_as_python_does(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "argparse.py"  # a name that another module has
    file.write_text(PROGRAM + "import argparse as own\nassert own is argparse" + FILE)
    monkeypatch.setattr(minigrad.playground.Playground, "serve", lambda *_, **__: None)
    given = [*sys.argv]
    assert main(["play", f"{file}:page"]) == main(["play", f"{file}:page"]) == 0
    assert sys.argv == given and sys.modules["argparse"] is argparse
    for name, message in {
        "needs": "missing 1 required positional argument",
        "ends": "cannot be run: SystemExit: 0\n",
        "model": "model in .* is a Sequential, and must be",
        "absent": "run as a module .* it has page that minigrad.play returned",
    }.items():
        assert main(["play", f"{file}:{name}"]) == 1
        assert re.search(message, capsys.readouterr().err)


def test_without_a_compiler_it_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    monkeypatch.setattr(webassembly, "compiler", lambda: None)
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path))
    assert main(["play", "--html", str(tmp_path / "page.html")]) == 1
    assert "pip install 'minigrad-autograd[compiler]'" in capsys.readouterr().err
    made = play(*given_step())
    with pytest.raises(BuildError, match="ziglang"):
        made.html(tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
    assert repr(made) == "Playground('Sequential')"


def given_step() -> tuple[Any, ...]:
    model = small()
    return model, F.cross_entropy, optim.SGD(model.parameters()), (X, Y)


def explained(model: nn.Module, loss: Any, y: np.ndarray) -> Any:
    """The structure of the explanation of a step."""
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    own = Own(model, loss, optimizer, Examples(X, y), None, 32, False)
    return json.loads(own.told["explain"]["structure"])


def test_formulas_of_an_explanation_hold_for_all_batches() -> None:
    def hinge(output: Any, y: Any) -> Any:  # of the first weights, no margin is more than 1
        return np.maximum(1 - 1e-3 * y * output, 0).mean()

    structure = explained(small(), hinge, np.ones((50, 1), np.float32))
    formulas = str([each["formula"] for each in structure["templates"]])
    assert "where" in formulas and "logical_or" in formulas


@pytest.mark.parametrize("loss", [F.cross_entropy, partial(F.cross_entropy, label_smoothing=0.1)])
def test_in_an_explanation_the_loss_is_one_box(loss: Any) -> None:
    groups = explained(small(), loss, Y)["groups"]
    top = [groups[-child]["title"] for child in groups[0]["children"] if child < 0]
    assert top == ["Sequential", "cross entropy"]
    notes = [group["note"] for group in groups if group["note"]]
    assert len(notes) == (not isinstance(loss, partial))  # smoothed labels are not one-hot
