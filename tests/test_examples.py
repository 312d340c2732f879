"""The examples, shortened: each is run as its first lines say, and reaches its figure."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.marks import rows

ROOT = Path(__file__).parents[1]
# What the last number after these words must be at least, or with "<", at most.
FIGURES = {
    "moons": ("accuracy", ">", 99.0),
    "digits_cnn": ("accuracy", ">", 97.0),
    "mnist1d_table": ("cnn", ">", 75.0),
    "char_gpt": ("held-out loss", "<", 2.6),
    "sine_lstm": ("squared error", "<", 0.1),
    "vae_digits": ("explained", ">", 60.0),
    "logistic_scipy": ("accuracy", ">", 80.0),
}


def test_every_example_is_here() -> None:
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_an_example_is_short(name: str) -> None:
    assert len((ROOT / "examples" / f"{name}.py").read_text().splitlines()) < 120


QUICK = ["moons", "logistic_scipy"]


@pytest.mark.parametrize(
    "name", rows({name: name for name in FIGURES}, slow=lambda x: x not in QUICK)
)
def test_an_example_reaches_its_figure(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), "--quick"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    words, sign, limit = FIGURES[name]
    found = re.findall(rf"{words}\s+(-?\d+\.\d+)", run.stdout)
    assert found, run.stdout
    value = float(found[-1])
    assert value > limit if sign == ">" else value < limit, run.stdout
