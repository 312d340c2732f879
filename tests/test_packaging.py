"""The installed package, as it is found from elsewhere."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import minigrad


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in a folder, without the paths that this test was run with."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_folder_named_minigrad_does_not_hide_the_package(tmp_path: Path) -> None:
    """The folder of a clone, seen from the one that holds it, is a namespace package."""
    code = "from minigrad import grad; print(grad.__module__)"
    if run(tmp_path, "-c", code).returncode:
        pytest.skip("minigrad is not installed here")
    (tmp_path / "minigrad" / "minigrad").mkdir(parents=True)
    for arguments, said in ((["-c", code], "minigrad.transforms"), (["-m", "minigrad", "-h"], "")):
        found = run(tmp_path, *arguments)
        assert found.returncode == 0, found.stderr
        assert said in found.stdout


def test_every_file_of_the_package_is_installed() -> None:
    """Files other than modules are installed only if a pattern in pyproject.toml names them."""
    package = Path(minigrad.__file__).parent
    project = package.parent / "pyproject.toml"
    if not project.is_file():
        pytest.skip("minigrad is not run from its clone here")
    patterns = tomllib.loads(project.read_text())["tool"]["setuptools"]["package-data"]["minigrad"]
    listed = {path for pattern in patterns for path in package.glob(pattern)}
    files = {path for path in package.rglob("*") if path.is_file()}
    assert listed == {path for path in files if path.suffix not in (".py", ".pyc")}
