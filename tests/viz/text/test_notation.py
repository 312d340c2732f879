"""Numbers and templates, written."""

import math

import numpy as np
import pytest

from minigrad.viz.text.notation import MINUS, SUM, SYMBOL, Expr, constant, number, write

PLACES = {
    "0": Expr("x"),
    "1": Expr("a + b", SUM),
    "2": Expr("-3", MINUS),
    "g": Expr("dz/dx", SYMBOL),
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{0} + {1}", "x + (a + b)"),
        ("{1} - {0}", "a + b - x"),
        ("{0} - {1}", "x - (a + b)"),
        ("{0} - {2}", "x - (-3)"),
        ("{0} - ({0} - {0})", "x - (x - x)"),
        ("-({0} + {0})", "-(x + x)"),
        ("{1}*{0}", "(a + b)*x"),
        ("{2}*{0}", "-3*x"),
        ("{0}*{2}", "x*(-3)"),
        ("{0}*({0}*{0})", "x*x*x"),
        ("{0}/({0}*{0})", "x/(x*x)"),
        ("{0}/({0}/{0})", "x/(x/x)"),
        ("{0}*{0}/{0}", "x*x/x"),
        ("{2}**{0}", "(-3)**x"),
        ("-{0}**{0}", "-x**x"),
        ("({0}**{0})**{0}", "(x**x)**x"),
        ("{0} % {1}*{0}", "(x % (a + b))*x"),
        ("{0}*({0} % {0})", "x*(x % x)"),
        ("{0} // {2}", "x // (-3)"),
        ("{1} < {0}", "a + b < x"),
        ("({0} < {1})*{0}", "(x < a + b)*x"),
        ("{0} & ({0} | {0})", "x & (x | x)"),
        ("~{1}", "~(a + b)"),
        ("{0} @ {1}", "x @ (a + b)"),
        ("{g}*{0}", "dz/dx*x"),
        ("{g}/{0}", "(dz/dx)/x"),
        ("{0} @ {g}", "x @ dz/dx"),
        ("{g}.T @ {1}.T", "(dz/dx).T @ (a + b).T"),
        ("{g}[{0}]", "(dz/dx)x"),
        ("f({1}, {2}, k={0}, none={none}, no={no})", "f(a + b, -3, k=x)"),
    ],
)
def test_operands_get_the_parentheses_they_need(template: str, text: str) -> None:
    places = PLACES | {"none": Expr("None"), "no": Expr("False")}
    assert write(template, places).text == text


@pytest.mark.parametrize(
    ("template", "c", "text"),
    [
        ("{c}*{0}", 1, "x"),
        ("{0}*{c}", 1, "x"),
        ("{0}*{c}", -1, "-x"),
        ("{c}*{1}", -1, "-(a + b)"),
        ("{c}*{0}", 0, "0"),
        ("{c}*{0}**({c} - 1)", 3, "3*x**2"),
        ("{c}*{0}**({c} - 1)", 2, "2*x"),
        ("{c}*{0}**({c} - 1)", 1, "1"),
        ("{c}*{0}**({c} - 1)", 0.7, "0.7*x**(-0.3)"),
        ("-{c}", -2, "2"),
        ("1/{c}", 7, "1/7"),
        ("{0} - {c}", -2, "x - (-2)"),
        ("{c}**{c}", 1e300, "1e+300**1e+300"),
        ("log({c})", math.pi, "log(pi)"),
        ("{0}**{c}", -math.e, "x**(-e)"),
    ],
)
def test_constants_are_worked_out(template: str, c: float, text: str) -> None:
    assert write(template, PLACES | {"c": constant(c)}).text == text


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (123456789.0, "123456789"),
        (1e20, "1e+20"),
        (np.float16(4.0), "4"),
        (np.float32(0.1), "0.1"),
        (1 / 3, "0.3333"),
        (12345.678, "1.235e+04"),
        (9999.96, "1.000e+04"),
        (-1e-5 / 3, "-3.333e-06"),
        (np.inf, "inf"),
        (np.nan, "nan"),
        (np.int64(12345678901), "12345678901"),
        (np.True_, "True"),
    ],
)
def test_numbers(x: float, text: str) -> None:
    assert number(x) == text


def test_more_digits() -> None:
    assert [number(1 / 3, digits) for digits in (6, 17)] == ["0.333333", "0.33333333333333331"]


def test_templates_outside_the_notation_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a template cannot hold \[_0\]"):
        write("[{0}]", PLACES)
