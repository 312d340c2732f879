"""What the modules of minigrad.scipy offer."""

import ast
import importlib
import inspect
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.special as sc

import minigrad
from minigrad import Tensor
from minigrad.errors import UnsupportedError
from minigrad.ops.base import registry
from minigrad.scipy import signal
from minigrad.viz.text.notation import parse_template

MODULES = "special stats signal integrate interpolate optimize".split()


def module(name: str) -> ModuleType:
    return importlib.import_module(f"minigrad.scipy.{name}")


@pytest.mark.parametrize("name", MODULES)
def test_every_name_of_scipys_is_there(name: str) -> None:
    theirs = importlib.import_module(f"scipy.{name}")
    for public in theirs.__all__:
        assert getattr(module(name), public) is not None
    with pytest.raises(AttributeError):
        _ = module(name).no_such_name


def own(name: str) -> dict[str, Any]:
    """The functions under SciPy's names that are minigrad's."""
    theirs = importlib.import_module(f"scipy.{name}")
    functions = {key: x for key, x in vars(module(name)).items() if inspect.isfunction(x)}
    return {
        key: x
        for key, x in functions.items()
        if key in theirs.__all__ and x.__module__.startswith("minigrad") and key != "refuse"
    }


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"stats"}))
def test_functions_have_a_docstring_with_an_example(name: str) -> None:
    assert len(own(name)) >= 5
    for key, function in own(name).items():
        if function.__name__ != "refuse":
            assert ">>>" in (function.__doc__ or ""), key


def test_every_notation_is_python_of_the_first_input() -> None:
    for name in MODULES:
        module(name)
    ours = [op for name, op in registry.items() if name.startswith("scipy.")]
    assert len(ours) > 200
    for op in ours:
        names = {x.id for x in ast.walk(parse_template(op.notation)) if isinstance(x, ast.Name)}
        assert "_0" in names


def test_derivatives_are_explained() -> None:
    x = Tensor([0.5, 1.5], requires_grad=True)
    z = np.sum(sc.gammainc(2.0, x) * sc.airy(x)[0] + signal.convolve(x, [1.0], "same"))
    text = str(minigrad.explain(z))
    assert "airy_0(w1)" in text
    assert "airy_1(w1)" in text


def test_what_has_no_rule_says_what_to_do() -> None:
    with pytest.raises(UnsupportedError, match=r"scipy\.signal\.hilbert .* t\.data"):
        module("signal").hilbert(Tensor([1.0, 2.0]))
