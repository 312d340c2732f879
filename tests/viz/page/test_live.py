"""Live pages: what cannot be one is refused before anything is written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, explain
from minigrad.errors import DtypeError, UnsupportedError
from minigrad.viz.page.structure import explanation_structure


def leaf(value: float) -> Any:
    return Tensor(value, requires_grad=True)


def test_complex_and_half_precision_numbers_are_refused(tmp_path: Path) -> None:
    z = Tensor([1 + 2j], requires_grad=True)
    half = Tensor(np.ones(2, np.float16), requires_grad=True)
    for loss, dtype in ((np.sum(np.abs(z)), "complex128"), (np.sum(half * half), "float16")):
        with pytest.raises(DtypeError, match=f"of dtype {dtype}"):
            explain(loss).html(tmp_path / "page.html", live=True)
    assert not list(tmp_path.iterdir())


def test_very_long_programs_are_refused(tmp_path: Path) -> None:
    x: Any = Tensor(0.5, requires_grad=True)
    for _ in range(2001):
        x = np.sin(x)
    with pytest.raises(UnsupportedError, match="2,002, more than 2,000"):
        explain(x).html(tmp_path / "page.html", live=True)


def test_formulas_of_a_live_page_hold_for_other_numbers_too() -> None:
    structures = [
        explanation_structure(explain(np.maximum(leaf(x), 1.0) ** 2).steps, live=True)
        for x in (2.0, 0.1)
    ]
    local = [str(each["local"]) for each in structures[0]["templates"]]
    assert any("where" in text for text in local)  # of maximum: both branches
    assert not any("logical_and" in text for text in local)  # of a power: 2 is not 0
    assert structures[0]["templates"] == structures[1]["templates"]


def test_ops_of_numpy_are_named(tmp_path: Path) -> None:
    x = Tensor([3.0, 1.0, 2.0], requires_grad=True)
    with pytest.raises(
        UnsupportedError,
        match=r"a live page cannot compute sort .*, which needs NumPy: .*live=True",
    ):
        explain(np.sort(x)[0] * x[0]).html(tmp_path / "page.html", live=True)


def test_masks_and_functions_with_rules_of_their_own_are_refused(tmp_path: Path) -> None:
    x = Tensor([3.0, 1.0, 2.0], requires_grad=True)
    block: Any = minigrad.checkpoint(lambda x: np.tanh(x) * x)
    for z, why in (
        (x[x > 1.5].sum(), "holds a compiled program, and .* by a mask .* or leave out live=True"),
        (block(x).sum(), "cannot compute w2, the result of .*: leave out live=True"),
    ):
        with pytest.raises(UnsupportedError, match=why):
            explain(z).html(tmp_path / "page.html", live=True)
