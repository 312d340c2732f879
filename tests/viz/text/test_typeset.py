"""Formulas in print: as trees, and as LaTeX that matplotlib can read."""

import numpy as np
import pytest
from matplotlib.mathtext import MathTextParser

from minigrad import Tensor, explain
from minigrad.viz import parse
from minigrad.viz.text.typeset import latex, tree

TEXTS = {
    "dz/dw3*w1": r"\frac{dz}{dw_{3}}\,w_{1}",
    "3*2.000": r"3\cdot 2.000",
    "-(w1 + w2)": r"-\left(w_{1}+w_{2}\right)",
    "w1 - (w2 - w3)": r"w_{1}-\left(w_{2}-w_{3}\right)",
    "(w1 + w2)/w3": r"\frac{w_{1}+w_{2}}{w_{3}}",
    "w1**(-2)": r"{w_{1}}^{-2}",
    "(w1 + 1)**2": r"\left(w_{1}+1\right)^{2}",
    "sqrt(w1)": r"\sqrt{w_{1}}",
    "w1.T @ dz/dw3": r"{w_{1}}^{\mathrm{T}}\,\frac{dz}{dw_{3}}",
    "sum(w1, axis=0)": r"\mathrm{sum}\left(w_{1},\mathrm{axis=0}\right)",
    "dw3/d(2nd w1)": r"\frac{dw_{3}}{{dw_{1}}_{\mathrm{2nd}}}",
    "dw3/d(14th w1)": r"\frac{dw_{3}}{{dw_{1}}_{\mathrm{14th}}}",
    "1.5e-07": r"1.5\cdot 10^{-07}",
    "pred": r"\mathrm{pred}",
    "rate_1": r"\mathrm{rate\_}_{1}",
    "shape (2,), min 0": r"\mathrm{shape\ (2,),\ min\ 0}",
}


@pytest.mark.parametrize("text", TEXTS)
def test_as_latex(text: str) -> None:
    assert latex(tree(text)) == TEXTS[text].replace("-07", "-7")


def test_digits_are_kept_as_they_were_written() -> None:
    assert tree("2.000") == ["n", "2.000"]


def test_text_that_is_no_expression_stays_text() -> None:
    assert tree("1 +") == ["t", "1 +"]


PROGRAMS = [
    "x1*x2 + sin(x1)",
    "sqrt(x1)/(x1 + x2)**3 - exp(-x2)",
    "maximum(x1, x2)*sigmoid(x1 - x2) % 2",
    "where(greater(x1, x2), log(x1), x2**x1)",
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_whole_explanations_can_be_read_as_latex(program: str) -> None:
    text = explain(parse(program, {"x1": 2.5, "x2": 1.5})).latex()
    assert text.count(r"\begin{align*}") == text.count(r"\end{align*}") == 3
    read_rows(text)


def test_matrices_in_latex() -> None:
    w = Tensor(np.ones((3, 2)), requires_grad=True, name="W")
    b = Tensor(np.ones(3), requires_grad=True, name="b%_{x")
    text = explain(((np.ones((4, 2)) @ w.T + b)[1:, 0] ** 2).sum()).latex()
    assert r"^{\mathrm{T}}" in text
    read_rows(text)


def read_rows(text: str) -> None:
    parser = MathTextParser("path")
    for line in text.splitlines():
        if "&=" in line:
            formula = line.removesuffix(r" \\").replace("&", "")
            parser.parse(f"${formula}$")  # raises ValueError


def test_an_index_of_what_stands_in_parentheses() -> None:
    assert tree("(w1 + w2)[:, None]")[0] == "sub"
    assert tree("(dz/dw3)[0, 1:]")[2] == ["t", "[0, 1:]"]


def test_derivatives_keep_their_names_wherever_they_stand() -> None:
    assert latex(tree("dz/d0.weight")) == r"\frac{dz}{d\mathrm{0.weight}}"
    assert latex(tree("dz/dx (w1)")) == r"\frac{dz}{dx}\left(w_{1}\right)"
    assert latex(tree("(dz/dw3).T @ w1")) == r"{\frac{dz}{dw_{3}}}^{\mathrm{T}}\,w_{1}"
    summed = latex(tree("sum(dz/dw5*w2, axis=1).reshape(3, 1)"))
    assert summed == (
        r"\mathrm{sum}\left(\frac{dz}{dw_{5}}\,w_{2},\mathrm{axis=1}\right)\mathrm{.reshape}"
        r"\left(3,1\right)"
    )
    assert "dz/dw5" in latex(tree("f(x)[dz/dw5:]"))
