"""Trained networks as programs of C."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad.compiler.export as exporting
from minigrad.compiler.export.program import ExportedProgram
from minigrad.errors import ArgumentError
from minigrad.recipes.export import export_network
from minigrad.recipes.run import load_model, train
from minigrad.recipes.tasks import TASKS, configure
from tests.compiler.export.programs import Built

SMALL = {"width": 8, "heads": 2, "layers": 1, "context": 12}
# Tasks without data of one's own, and their networks.
NETWORKS = [(data, model) for data in ("moons", "digits", "names") for model in TASKS[data].recipes]
QUICK = [("names", "gpt")]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[ExportedProgram]:
    """The programs that are written."""
    found: list[ExportedProgram] = []
    real = exporting.write_c

    def kept(program: ExportedProgram, folder: Path) -> None:
        found.append(program)
        real(program, folder)

    monkeypatch.setattr(exporting, "write_c", kept)
    return found


@pytest.mark.parametrize(
    "data, model",
    [pytest.param(*x, marks=[] if x in QUICK else [pytest.mark.slow]) for x in NETWORKS],
)
def test_a_network_gives_the_scores_that_it_gives_in_python(
    data: str, model: str, written: list[ExportedProgram], tmp_path: Path
) -> None:
    sizes: dict[str, Any] = SMALL if data == "names" else {}
    settings = {"data": data, "model": model, "steps": 2, "eager": True, **sizes}
    train(configure(settings), tmp_path / "run", progress=False)
    export_network(tmp_path / "run", tmp_path / "network", batch=3)
    network, _, vocabulary = load_model(tmp_path / "run")
    (program,) = written
    (argument,) = program.functions[0].inputs
    rng = np.random.default_rng(0)
    x: Any = rng.normal(size=argument.shape).astype(np.float32)
    if vocabulary:
        x = rng.integers(0, len(vocabulary), argument.shape)
    built = Built(program, tmp_path / "built", "gcc", "-std=c99", "-O1")
    ((why, found),), _ = built.run([("predict", {"x": x})])
    assert why == 0
    np.testing.assert_allclose(found["scores"], network(x).data, 1e-3, 1e-4)
    readme = (tmp_path / "network" / "README.md").read_text()
    assert f"The network of `minigrad train {data} --model {model}`." in readme
    words = json.dumps(vocabulary.characters) if vocabulary else "the predicted class"
    assert words in readme


def test_an_empty_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="1 example or more"):
        export_network(tmp_path, tmp_path / "network", batch=0)
