"""Expressions: what is read, and where an error points."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from minigrad.errors import MinigradError
from minigrad.viz import ExpressionError, parse
from minigrad.viz.text.expression import functions

X = {"x1": 2.0, "x2": 3.0}


def message(expression: str, values: dict[str, float]) -> str:
    with pytest.raises(ExpressionError) as caught:
        parse(expression, values)
    assert isinstance(caught.value, MinigradError)
    assert isinstance(caught.value, ValueError)
    return caught.value.message


# What is read


@pytest.mark.parametrize(
    "expression",
    [
        "x1*x2 + sin(x1)",
        "-x1**2/x2 - +x2 % x1",
        "2**-x1 * (x1 - x2)**2",
        "exp(x1)*maximum(x1, x2) + 1_000*x1 - .5e-1",
        "arctan2(x1, x2) + hypot(x1, 2) + where(greater(x1, x2), x1, x2) + pi*e",
        "  x1\n  *\tx2  ",
        "asin(x1/4) + log2(x2) + absolute(-x1) + abs(x2)",
    ],
)
def test_value_is_python_s(expression: str) -> None:
    namespace = {**vars(np), **X, "pi": math.pi, "e": math.e, "abs": np.abs}
    z = parse(expression, {name: x for name, x in X.items() if name in expression})
    expected = eval(" ".join(expression.split()), namespace)
    assert z.item() == pytest.approx(expected, rel=1e-14)
    assert z.dtype == np.float64
    assert z.requires_grad


def test_leaves_are_named_and_shared() -> None:
    z = parse("x1*x1", {"x1": 2})
    left, right = z.node.inputs
    assert left is right
    assert (left.name, left.requires_grad, left.value) == ("x1", True, 2.0)


def test_subexpressions_without_names_are_numbers() -> None:
    z = parse("x1*(2 + 3*cos(0))", {"x1": 2})
    assert z.node.inputs[1] == 5.0
    assert type(z.node.inputs[1]) is float


@pytest.mark.parametrize("name", functions())
def test_every_function_can_be_called(name: str) -> None:
    _, arity = functions()[name]
    arguments = ["x1", "0.5", "0.25"][:arity]
    x1 = 1.5 if name in ("acosh", "arccosh") else 0.5
    z = parse(f"{name}({', '.join(arguments)})", {"x1": x1})
    assert np.isfinite(z.item())


def test_functions_are_those_on_single_floats() -> None:
    assert {"sin", "exp", "log", "maximum", "relu", "sigmoid", "erf", "mod", "where"} <= set(
        functions()
    )
    assert not {"matmul", "sum", "invert", "bitwise_and", "conv2d", "reshape"} & set(functions())


def test_a_value_shadows_a_constant() -> None:
    assert parse("2*e", {"e": 3}).item() == 6


def test_letters_that_python_takes_for_the_same() -> None:
    micro, mu = "\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}"
    assert parse(f"{micro}*2", {micro: 3}).item() == 6
    assert parse(f"{mu}*2", {micro: 3}).item() == 6


# What is not: the expression, with carets below what is wrong, and what to do

POINTED = [
    ("sin(x1", "   ^", "was never closed"),
    ("x1 + x2)", "       ^", "unmatched"),
    ("x1*x2 +", "       ^", "ends too early"),
    ("x1 x2", "   ^", "write * to multiply"),
    ("maximum(x1 x2)", "           ^", "write * to multiply"),
    ("sin x1", "    ^", "write sin(...)"),
    ("x1 $ x2", "   ^", "an expression is made of numbers, names"),
    ("z = x1*x2", "  ^", "write only the right-hand side"),
    ("x1*2x2", "   ^^^", "to multiply, write 2*x2"),
    ("x1 + 2.5x2", "     ^^^^^", "to multiply, write 2.5*x2"),
    ("2(x1 + x2)", "^", "to multiply, write * before the parenthesis"),
    ("x1(x2)", "^^", "x1 is not a function: to multiply, write *"),
    ("(x1 + 1)(x2)", " ^^^^^^", "to multiply, write *"),
    ("x1*pi(x2)", "   ^^", "pi is not a function: to multiply, write *"),
    ("x1^x2", "  ^", "write ** for powers"),
    ("(x1) ^ (x2)", "     ^", "write ** for powers"),
    ("x1//x2", "  ^^", "write floor(x/y)"),
    ("x1 @ x2", "   ^", "write *"),
    ("x1 | x2", "   ^", "an expression is made of"),
    ("x1*lambda", "   ^^^^^^", "is a Python keyword: choose another name"),
    ("x1 # x2", "   ^^^^", "comments (#) are not supported: remove"),
    ("sine(x1)*x2", "^^^^", "no function sine: did you mean sin"),
    ("x1*ln(x2)", "   ^^", "no function ln: did you mean log"),
    ("x1*open(x2)", "   ^^^^", "no function open: choose one of these"),
    ("x1*sin", "   ^^^", "sin is a function: write sin(...)"),
    ("x1*xx1 + x2", "   ^^^", "xx1 has no value: did you mean x1?"),
    ("x1*beta", "   ^^^^", "beta has no value: give it one, beta=1.0"),
    ("sin(x1, x2)", "^^^", "sin takes 1 argument, not 2: write sin(x)"),
    ("x1*maximum()", "   ^^^^^^^", "maximum takes 2 arguments, not 0: write maximum(x, y)"),
    ("x1*x2.real", "   ^^^^^^^", "a dot after a name"),
    ("x1*np.sin(x2)", "   ^^^^^^", "write sin(x) for np.sin(x)"),
    ("x1[0]*x2", "^^^^^", "brackets"),
    ("x1*'x2'", "   ^^^^", "text in quotes"),
    ("x1*f'{x2}'", "   ^^^^^^^", "text in quotes"),
    ("(x1 < x2)*x1", " ^^^^^^^", "comparisons are not supported: write where("),
    ("x1 and x2", "^^^^^^^^^", "write maximum(x, y)"),
    ("not x1", "^^^^^^", "an expression is made of"),
    ("x1 if x2 else 0", "^^^^^^^^^^^^^^^", "write where("),
    ("x1*(lambda: x2)", "    ^^^^^^^^^^", "write what it returns"),
    ("(lambda: x1)()", " ^^^^^^^^^^", "this is not a function"),
    ("maximum(x1, y=x2)", "            ^^^^", "the values in their order"),
    ("sin(*x1)", "    ^^^", "one by one"),
    ("x1, x2", "^^^^^^", "write 0.5 for 0,5"),
    ("[x1, x2]", "^^^^^^^^", "lists"),
    ("[x for x in x1]", "^^^^^^^^^^^^^^^", "an expression is made of"),
    ("x1*(y := x2)", "    ^^^^^^^", "write the value in its place"),
    ("x1*True", "   ^^^^", "an expression is made of"),
    ("x1*None", "   ^^^^", "an expression is made of"),
    ("x1*2j", "   ^^", "an expression is made of"),
    ("x1 + 1e999", "     ^^^^^", "too large"),
    ("x1 + 10**400", "     ^^^^^^^", "this is inf, where"),
    ("x1*log(x1 - 2)", "   ^^^^^^^^^^^", "this is -inf at x1=2, where"),
    ("(x1 - x2)**0.5 + 1", "^^^^^^^^^^^^^^", "this is nan at x1=2, x2=3, where"),
    ("x2*(x1/0)", "    ^^^^", "this is inf at x1=2, where"),
    ("greater(x1, 1) - less(x1, 1)", "^" * 28, "boolean subtract"),
    ("\N{MINUS SIGN}x1", "^", "is not supported: write -"),
    ("x1\N{SUPERSCRIPT TWO}", "  ^", "is not supported: write **2"),
    ("x1*\0", "   ^", ""),
    ("x1*\udc80", "   ^", ""),
    # Each of these letters takes two bytes.
    ("αβγ*δ", "    ^", "δ has no value"),
    ("αβγ*sine(x1)", "    ^^^^", "no function sine"),
    ("αβγ*2x1", "    ^^^", "write 2*x1"),
    ("αβγ*(x1 ^ x2)", "        ^", "write **"),
    # And these two columns.
    ("日本*z", "\N{IDEOGRAPHIC SPACE}" * 2 + " ^", "z has no value"),
]


@pytest.mark.parametrize(("expression", "carets", "problem"), POINTED)
def test_an_error_points_at_the_place(expression: str, carets: str, problem: str) -> None:
    first, shown, pointer, *_ = message(expression, X | {"αβγ": 1.0, "日本": 1.0}).splitlines()
    assert problem in first
    assert shown == "  " + expression.replace("\0", "�").replace("\udc80", "�")
    assert pointer == "  " + carets


def test_an_unknown_function_lists_what_there_is() -> None:
    listed = " ".join(message("sine(x1)", X).splitlines()[3:])
    assert listed.split("functions: ")[1].replace(",", "").split() == sorted(functions())


def test_an_unknown_name_lists_the_names() -> None:
    assert message("y", X).endswith("with values: x1, x2")
    assert message("y", {}).endswith("with values: none")


@pytest.mark.parametrize(
    ("expression", "values", "problem"),
    [
        ("", {}, "the expression is empty: write one such as x1*x2 + sin(x1)"),
        (" \n", {}, "the expression is empty"),
        ("x1*2", X, "the value of x2 is not used"),
        ("2 + 3", {}, "no name in this, so there is nothing to differentiate with respect to"),
        ("x", {"x": math.nan}, "x=nan is not a finite number"),
        ("x", {"x": -math.inf}, "x=-inf is not a finite number"),
        ("x", {"x": 10**400}, "is not a finite number"),
        ("x", {"x": "two"}, "x=two is not a finite number"),
        ("x", {"x": None}, "x=None is not a finite number"),
        ("lambda*x", {"lambda": 1.0, "x": 1.0}, "'lambda' cannot be a name"),
        ("x", {"2x": 1.0, "x": 1.0}, "'2x' cannot be a name"),
        ("x*" + "1" * 5000, {"x": 1.0}, "too many digits"),
        ("x*" + "1" * 400, {"x": 1.0}, "too large"),
        ("(" * 150 + "x" + ")" * 150, {}, "x has no value"),
        ("(" * 5000 + "x" + ")" * 5000, {"x": 1.0}, "too many nested parentheses"),
        ("-" * 20_000 + "x", {"x": 1.0}, "nested too deeply"),
        ("+".join(["x"] * 20_000), {"x": 1.0}, "nested too deeply"),
        ("sin(" * 190 + "x" + ")" * 190 + "+x" * 3000, {"x": 1.0}, "nested too deeply"),
    ],
)
def test_errors_without_a_place(expression: str, values: dict[str, float], problem: str) -> None:
    assert problem in message(expression, values).splitlines()[0]


def test_of_a_long_expression_the_part_around_the_place_is_shown() -> None:
    _, shown, pointer, *_ = message("x1 + " * 40 + "y" + " + x1" * 40, X).splitlines()
    assert len(shown) <= 84
    assert shown.startswith("  ...")
    assert shown.endswith("...")
    assert [shown[k] for k, c in enumerate(pointer) if c == "^"] == ["y"]


@given(st.text(alphabet="x12.+-*/^()%,= éßsine'\\#[]:日", max_size=12))
def test_any_text_is_read_or_refused_with_a_message_that_points_into_it(text: str) -> None:
    try:
        parse(text, {"x": 1.5})
    except ExpressionError as error:
        _, *rest = error.message.splitlines()
        if len(rest) > 1 and set(rest[1]) <= set(" ^\N{IDEOGRAPHIC SPACE}"):
            assert len(rest[1]) <= len(rest[0]) + 1
            assert rest[1].endswith("^")


def test_nothing_is_run() -> None:
    for expression in ["__import__('os').getpid()", "exec('1')", "(lambda: 1)()", "x.__class__"]:
        assert message(expression, {"x": 1.0})
