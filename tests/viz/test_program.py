"""Functions from files: called with the defaults of their parameters, or with what is given."""

from pathlib import Path

import pytest

from minigrad.errors import ArgumentError
from minigrad.viz.program import example

PROGRAM = """
import numpy as np
from minigrad import Tensor
from beside import TWO

def loss(w=np.array([1.0, 2.0]), x=np.array([[1, 2], [3, 4]]), b=0.5, n=2, *rest, **more):
    assert isinstance(w, Tensor) and isinstance(b, Tensor)
    assert isinstance(x, np.ndarray) and isinstance(n, int) and not rest and not more
    return ((x @ w + b) ** n).sum() * TWO

def turned(z=1 + 2j, w=2j):
    return np.abs(z * w) ** 2

def own(leaf=Tensor(3.0, requires_grad=True), text="a", none=None):
    assert text == "a" and none is None
    return leaf * leaf

def required(w):
    return w * 2

def placed(w=1.0, /):
    return w

def number(w=1.0):
    return 3.0
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "beside.py").write_text("TWO = 2")
    (tmp_path / "program.py").write_text(PROGRAM)
    return str(tmp_path / "program.py")


def test_defaults_are_the_examples(path: str) -> None:
    z = example(path, "loss", {})
    assert z.item() == 2 * (5.5**2 + 11.5**2)
    z.backward()
    line = z.node.line
    assert line is not None and line[0] == path


def test_numbers_take_their_place(path: str) -> None:
    assert example(path, "loss", {"b": 1.0, "n": 3.0}).item() == 2 * (6**3 + 12**3)
    assert example(path, "required", {"w": 4.0}).item() == 8


def test_complex_defaults(path: str) -> None:
    z = example(path, "turned", {"w": 3.0})
    assert z.item() == pytest.approx(5 * 9)
    z.backward()  # in the convention of .grad
    leaves = z.node.inputs[0].inputs[0].inputs
    assert {x.name: x.grad.item() for x in leaves} == pytest.approx({"z": 18 + 36j, "w": 30 + 0j})


def test_a_tensor_is_passed_as_it_is_and_named(path: str) -> None:
    z = example(path, "own", {})
    leaf = z.node.inputs[0]
    assert leaf.name == "leaf" and leaf.requires_grad


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (
            "nothing",
            {},
            r"no function nothing in .*: it has loss, turned, own, required, placed, number",
        ),
        ("np", {}, "no function np"),
        ("loss", {"q": 1.0}, "loss has no parameter q: it takes w, x, b, n"),
        (
            "required",
            {},
            r"no default for w: .* def required\(w=2.0\), or a number as an argument, w=2",
        ),
        ("placed", {}, "takes w as a positional-only argument"),
        ("number", {}, "returned a float, and not a Tensor"),
    ],
)
def test_functions_that_cannot_be_explained_are_refused(
    path: str, name: str, values: dict[str, float], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        example(path, name, values)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        example(str(tmp_path / "none.py"), "f", {})
