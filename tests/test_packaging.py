"""The installed package, as it is found from elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


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
