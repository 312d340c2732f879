"""docs/functions.md says what each function does on a Tensor."""

import subprocess
import sys

import numpy as np
import pytest
import scipy

from tests.functions_page import PAGE


def test_the_page_is_what_would_be_written() -> None:
    text = PAGE.read_text()
    if f"NumPy {np.__version__} and SciPy {scipy.__version__}" not in " ".join(text.split()):
        pytest.skip("the page is of other versions of NumPy and SciPy")
    # In a process of its own, where nothing else has been registered.
    code = "from tests.functions_page import page; print(page(), end='')"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PAGE.parents[1]
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == text, "run `make functions`"
