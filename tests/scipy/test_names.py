"""What the modules of minigrad.scipy offer."""

import importlib
import inspect
from types import ModuleType
from typing import Any

import pytest

from minigrad.errors import UnsupportedError

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


def test_what_has_no_rule_says_what_to_do() -> None:
    from minigrad import Tensor

    with pytest.raises(UnsupportedError, match=r"scipy\.signal\.hilbert .* t\.data"):
        module("signal").hilbert(Tensor([1.0, 2.0]))
