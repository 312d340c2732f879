"""Programs written for autograd, moved by changing their import lines: the same numbers."""

import importlib
from pathlib import Path
from typing import Any

import autograd
import autograd.misc
import numpy as np
import pytest

import minigrad
import minigrad.extend
from tests.oracles.moved import AUTOGRAD, MINIGRAD, PROGRAMS


def run(imports: str, source: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(imports + source, names)
    return names


@pytest.mark.parametrize("source", PROGRAMS.values(), ids=list(PROGRAMS))
def test_moved_programs_give_autograds_numbers(source: str) -> None:
    ours, theirs = run(MINIGRAD, source), run(AUTOGRAD, source)
    x, unflatten = autograd.misc.flatten(theirs["start"])
    direction = np.cos(np.arange(x.size))

    def at(names: dict[str, Any]) -> Any:
        return lambda x: names["value"](unflatten(x))

    _, undo = minigrad.extend.flatten(ours["start"])
    own = lambda x: ours["value"](undo(x))  # noqa: E731
    assert isinstance(own(x), float)  # NumPy's own number: no Tensor is involved
    np.testing.assert_allclose(own(x), at(theirs)(x), rtol=1e-10)
    value, gradient = minigrad.value_and_grad(own)(x)
    expected = autograd.grad(at(theirs))(x)
    np.testing.assert_allclose(value, at(theirs)(x), rtol=1e-10)
    np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-10)
    nested = minigrad.grad(ours["value"])(ours["start"])
    np.testing.assert_allclose(minigrad.extend.flatten(nested)[0], expected, rtol=1e-10, atol=1e-10)
    h = 1e-5
    along = [autograd.grad(at(theirs))(x + step * direction) for step in (h, -h)]
    np.testing.assert_allclose(
        minigrad.hvp(own)(x, direction), (along[0] - along[1]) / (2 * h), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_moved_programs_compile(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = f"moved_{name.split()[0].lower()}"
    (tmp_path / f"{module}.py").write_text(MINIGRAD + PROGRAMS[name])
    monkeypatch.syspath_prepend(tmp_path)
    program = importlib.import_module(module)
    both = minigrad.value_and_grad(program.value)
    once = minigrad.compile(both)
    x, undo = minigrad.extend.flatten(program.start)
    for start in (program.start, undo(x * 1.01)):
        for got, expected in zip(once(start), both(start), strict=True):
            got, expected = (minigrad.extend.flatten(part)[0] for part in (got, expected))
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11)
