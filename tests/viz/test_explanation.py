"""The text of explanations: the worked example word for word, and every sum it prints."""

import re
import sys
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings

import minigrad
from minigrad import Tensor
from minigrad.errors import DtypeError, GradientError, ShapeError
from minigrad.ops.unary import relu
from minigrad.viz import ExpressionError, explain, parse
from tests.viz.evaluate import DERIVATIVE, definitions, derivations, evaluate, symbols_of

WORKED_EXAMPLE = """\
Forward pass: each value from those before it
  w1 = x1 = 2
  w2 = x2 = 3
  w3 = w1*w2 = 6
  w4 = sin(w1) = 0.9093
  w5 = w3 + w4 = 6.909
   z = w5 = 6.909

Reverse pass: dz/dv is the sum of dz/du*du/dv over all u that use v
  dz/dw5 = 1
  dz/dw4 = dz/dw5*dw5/dw4 = 1*1 = 1
  dz/dw3 = dz/dw5*dw5/dw3 = 1*1 = 1
  dz/dw2 = dz/dw3*dw3/dw2 = dz/dw3*w1 = 1*2 = 2
  dz/dw1 = dz/dw3*dw3/dw1 + dz/dw4*dw4/dw1 = w2 + cos(w1) = 3 + cos(2) = 2.584

Gradient
  dz/dx1 = 2.584
  dz/dx2 = 2"""


def leaf(value: Any, name: str | None = None) -> Tensor:
    return Tensor(value, requires_grad=True, dtype=float, name=name)


def lines(z: Tensor) -> list[str]:
    return [line.strip() for line in str(explain(z)).splitlines()]


# Texts, word for word


def test_the_worked_example_from_an_expression() -> None:
    assert str(explain(parse("x1*x2 + sin(x1)", {"x1": 2, "x2": 3}))) == WORKED_EXAMPLE


def test_the_worked_example_from_python() -> None:
    x1, x2 = leaf(2, "x1"), leaf(3, "x2")
    explanation = explain(x1 * x2 + np.sin(x1))
    assert repr(explanation) == str(explanation) == WORKED_EXAMPLE


def test_the_data_behind_the_worked_example() -> None:
    w1, w2, w3, w4, w5 = explain(parse("x1*x2 + sin(x1)", {"x1": 2, "x2": 3})).steps
    assert [w.label for w in (w1, w2, w3, w4, w5)] == ["w1", "w2", "w3", "w4", "w5"]
    assert w3.inputs == [w1, w2]
    assert w5.op is minigrad.ops.binary.add
    # In the order of the pass, which runs from the last op to the first.
    assert [(use.user, use.position) for use in w1.contributions] == [(w4, 0), (w3, 0)]
    assert [float(use.cotangent) for use in w1.contributions] == [np.cos(2.0), 3.0]
    assert w1.adjoint == 3 + np.cos(2.0)


def test_a_value_used_twice_by_one_op_has_two_terms() -> None:
    text = lines(parse("x*x", {"x": 3}))
    assert "dz/dw1 = dz/dw2*dw2/d(1st w1) + dz/dw2*dw2/d(2nd w1) = w1 + w1 = 3 + 3 = 6" in text


def test_constants_are_written_as_such() -> None:
    text = lines(parse("-2*x - pi*x**3 + (x + 1)**(-2)/7", {"x": 2}))
    assert "w2 = -2*w1 = -4" in text
    assert "w3 = w1**3 = 8" in text
    assert "w4 = pi*w3 = 25.13" in text
    assert "w7 = w6**(-2) = 0.1111" in text
    assert "w8 = w7/7 = 0.01587" in text
    assert "dz/dw7 = dz/dw8*dw8/dw7 = dz/dw8*1/7 = 1*1/7 = 0.1429" in text
    assert "dz/dw3 = dz/dw4*dw4/dw3 = -1*pi = -3.142" in text


def test_constants_of_the_forward_pass_are_not_worked_out() -> None:
    assert "w2 = w1*1 = 3" in lines(parse("x*1", {"x": 3}))


def test_negative_numbers_get_parentheses_where_they_are_operands() -> None:
    text = lines(parse("x**2*y", {"x": -3, "y": -0.5}))
    assert "dz/dw1 = dz/dw3*dw3/dw1 = dz/dw3*2*w1 = -0.5*2*(-3) = 3" in text


def test_terms_that_are_negative_are_subtracted() -> None:
    text = lines(parse("cos(x) - x", {"x": 1}))
    assert "dz/dw1 = dz/dw2*dw2/dw1 + dz/dw3*dw3/dw1 = -sin(w1) - 1 = -sin(1) - 1 = -1.841" in text


def test_terms_that_are_sums_get_parentheses() -> None:
    text = " ".join(lines(parse("relu(x) + tan(x)", {"x": 1})))
    assert "= 1 + (1 + w3**2) =" in text


def test_only_the_branch_that_is_taken_is_written() -> None:
    text = lines(parse("maximum(x, y)*x**y", {"x": 3, "y": 2}))
    assert "dz/dw3 = dz/dw5*dw5/dw3 = dz/dw5*w4 = 1*9 = 9" in text
    assert "dz/dw2 = dz/dw3*dw3/dw2 + dz/dw4*dw4/dw2 = 0 + dz/dw4*w4*log(w1)" in " ".join(text)
    ties = lines(parse("maximum(x, y)", {"x": 3, "y": 3}))
    assert "dz/dw1 = dz/dw3*dw3/dw1 = 1*0.5 = 0.5" in ties


def test_digits_are_added_until_the_sum_adds_up() -> None:
    text = " ".join(lines(parse("exp(x) - 3*x", {"x": 1.0987})))
    assert "w2 = exp(w1) = 3.000" in text
    assert "= w2 + dz/dw3*3 = 3.0002631 - 1*3 = 0.0002631" in text


def test_a_long_derivation_goes_on_below() -> None:
    z = parse("x*x*x*x + sin(x)*exp(x)", {"x": 1.5})
    text = str(explain(z)).splitlines()
    assert all(len(line) <= 80 for line in text)
    first = next(k for k, line in enumerate(text) if line.startswith("  dz/dw1 = "))
    equals = text[first].index("=")
    assert text[first + 1].startswith(" " * (equals + 2) + "+ dz/dw")


def test_names() -> None:
    w1, x = leaf(2, "w1"), leaf(3)
    hidden = w1 * x
    hidden.name = "hidden"
    loss: Any = np.exp(hidden)
    loss.name = "loss"
    text = lines(loss)
    assert text[1:6] == [
        "v1 = w1 = 2",
        "v2 = 3",
        "v3 = hidden = v1*v2 = 6",
        "v4 = exp(v3) = 403.4",
        "loss = v4 = 403.4",
    ]
    assert "dloss/dv4 = 1" in text
    assert text[-2:] == ["Gradient", "dloss/dw1 = 1210.3"]


def test_two_leaves_of_one_name_are_told_apart() -> None:
    a, b, z = leaf(2, "a"), leaf(3, "a"), leaf(4, "z")
    assert lines(a * b * z)[-4:] == [
        "Gradient",
        "dy/da (w1) = 12",
        "dy/da (w2) = 8",
        "dy/dz = 6",
    ]


def test_two_leaves_of_one_name_are_asked_for_by_their_labels() -> None:
    explanation = explain(leaf(2, "a") * leaf(3, "a"))
    with pytest.raises(GradientError, match="2 are called 'a': give the label of one, w1, w2"):
        explanation.paths("a")
    assert explanation.step("w2").adjoint == 2
    assert r"\frac{dz}{da}\left(w_{1}\right) &= 3" in explanation.latex()


def test_names_are_on_one_line_and_can_be_written_to_a_file() -> None:
    for name in ("a \n b", "a\ud800b", " a\x00b\t"):
        explanation = explain(leaf(2, name) * 3)
        assert "  w1 = a b = 2\n" in str(explanation)
        assert explanation.step(name).name == "a b"
        assert "w1 = a b" in explanation.svg().encode().decode()
    assert "\n  w1 = 2\n" in str(explain(leaf(2, " \n") * 3))


def test_a_leaf_alone() -> None:
    text = lines(leaf(2, "x"))
    assert text[1:3] == ["w1 = x = 2", "z = w1 = 2"]
    assert text[-1] == "dz/dx = 1"


def test_steps_without_gradient_are_in_the_forward_pass_only() -> None:
    x, y = leaf(2.5, "x"), leaf(1, "y")
    z: Any = np.where(np.greater(x, y), x * x, y) + np.floor(y) + Tensor(7.0, name="seven")
    text = lines(z)
    assert "w3 = seven = 7" in text
    assert "w4 = w1 > w2 = True" in text
    assert "w6 = where(w4, w5, w2) = 6.25" in text
    assert "w7 = floor(w2) = 1" in text
    assert not any(line.startswith(("dz/dw3", "dz/dw4", "dz/dw7", "dz/dseven")) for line in text)


def test_a_leaf_that_no_gradient_reaches_says_so() -> None:
    text = lines(parse("floor(x) + y", {"x": 1.5, "y": 2}))
    assert "dz/dx = 0: no gradient flows back to it" in text


# Arrays


def test_a_linear_layer_is_explained_in_matrix_notation() -> None:
    x = np.arange(8.0).reshape(4, 2)
    weight, bias = leaf(np.ones((2, 3)), "weight"), leaf([0, 1, 2], "bias")
    text = "\n".join(lines(np.sum(np.tanh(x @ weight + bias))))
    assert "w1 = weight = [[1, 1, 1], [1, 1, 1]]" in text
    assert "w3 = shape (4, 2), min 0, mean 3.5, max 7" in text
    assert "w4 = w3 @ w1 = shape (4, 3), min 1, mean 7, max 13" in text
    assert "dz/dw6 = broadcast_to(dz/dw7, (4, 3))" in text
    assert "= dz/dw6*(1 - w6**2)" in text
    assert "dz/dw2 = dz/dw5*dw5/dw2 = sum(dz/dw5, axis=0)" in text
    assert "dz/dw1 = w3.T @ dz/dw4" in text


def test_indexing_and_joining() -> None:
    x = leaf([1, 2, 3, 4], "x")
    text = "\n".join(lines(np.concatenate([x[1:3], x[::-2], x[[0, 0]]]).sum()))
    assert "= w1[1:3] = [2, 3]" in text
    assert "= w1[::-2] = [4, 2]" in text
    assert "= w1[w2] = [1, 1]" in text
    assert "= concatenate(w3, w4, w5, axis=0) = [2, 3, 4, 2, 1, 1]" in text
    assert "dz/dw4 = (dz/dw6)[2:4] = [1, 1]" in text


def array_programs() -> dict[str, Tensor]:
    rng = np.random.default_rng(0)
    x, w, b = (
        leaf(rng.normal(size=(4, 3)), "x"),
        leaf(rng.normal(size=(3, 2)), "w"),
        leaf([0.1, -0.3]),
    )
    column, scale = leaf(rng.normal(size=(4, 1)), "column"), leaf(1.5, "scale")
    y = np.tanh(x @ w + b)
    return {
        "mean square": np.mean((y - rng.normal(size=(4, 2))) ** 2),
        "broadcasting": np.sum(x * column / scale + scale**x + np.maximum(column, scale)),
        "reductions": np.sum(np.max(y, axis=1) * np.min(x.T, axis=0)) + np.std(x),
        "where and powers": np.sum(np.where(x > 0, np.abs(x) ** scale, relu(x) * column)),
        "shapes": np.sum(np.reshape(x, (2, 6)).T @ np.broadcast_to(scale, (2, 1))) * x.mean(),
        "stacks": np.sum(leaf(rng.normal(size=(2, 1, 2, 3))) @ leaf(rng.normal(size=(5, 3, 1)))),
        "used twice": np.sum(x * x + x * x.mean(axis=0)),
        "softmax": np.sum(minigrad.functional.softmax(x) * column),
    }


@pytest.mark.parametrize("program", array_programs())
def test_array_formulas_evaluate_to_the_adjoint(program: str) -> None:
    explanation = explain(array_programs()[program])
    symbols = symbols_of(explanation)
    checked = 0
    for step, (*links, _) in derivations(explanation):
        assert step.adjoint is not None
        for formula in [link for link in links if DERIVATIVE.search(link)][-1:]:
            value = np.broadcast_to(evaluate(formula, symbols), step.value.shape)
            np.testing.assert_allclose(value, step.adjoint, 1e-9, 1e-12, err_msg=formula)
            checked += 1
    assert checked >= 3


# Properties

CONSTANTS = st.sampled_from(["2", "3", "0.5", "1", "pi", "1.25"])
NAMES = st.sampled_from(["a", "b", "c"])
UNARY = st.sampled_from(
    "sin cos tanh exp log sqrt square abs relu sigmoid erf arctan log1p expm1 cosh -".split()
)
INFIX = ["({} + {})", "({} - {})", "{}*{}", "({}/{})", "({})**({})", "({} % {})"]
CALLS = ["maximum", "minimum", "hypot", "arctan2", "logaddexp"]
BINARY = st.sampled_from(INFIX + [name + "({}, {})" for name in CALLS] + ["where({}, {}, a)"])


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds(lambda name, x: f"{name}({x})", UNARY, inner),
        st.builds(lambda form, x, y: form.format(x, y), BINARY, inner, inner),
        st.builds(lambda x, n: f"({x})**({n})", inner, st.sampled_from(["2", "3", "-1", "0.5"])),
    )


EXPRESSIONS = st.recursive(st.one_of(NAMES, CONSTANTS), compound, max_leaves=12)
VALUES = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(-3, 3, allow_subnormal=False).map(lambda x: round(x, 6)),
)


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, st.tuples(VALUES, VALUES, VALUES))
def test_whatever_is_printed_adds_up(expression: str, abc: tuple[float, ...]) -> None:
    named = zip("abc", abc, strict=True)
    values = {name: x for name, x in named if re.search(rf"\b{name}\b", expression)}
    assume(values)
    try:
        explanation = explain(parse(expression, values))
    except (ExpressionError, GradientError):  # not finite here, or without a derivative
        assume(False)
    adjoints = [step.adjoint for step in explanation.steps if step.adjoint is not None]
    assume(np.all(np.isfinite(adjoints)))
    symbols = symbols_of(explanation)
    # Constants are printed with 15 digits: of 1 % 0.333 that is felt in the last of the result.
    largest = max(abs(float(step.value)) for step in explanation.steps)
    for step, formula in definitions(explanation):
        found = evaluate(formula, symbols)
        assert found == pytest.approx(float(step.value), rel=1e-12, abs=1e-14 * max(largest, 1))
    for step, (*links, value) in derivations(explanation):
        assert step.adjoint is not None
        adjoint = float(step.adjoint)
        rounding = sum(abs(float(use.cotangent)) for use in step.contributions) * 1e-10
        assert float(value) == pytest.approx(adjoint, rel=5e-4, abs=0)
        for link in links:
            # In symbols exactly; in numbers, to the four digits of the value.
            tolerance = 1e-10 if DERIVATIVE.search(link) else 1e-3
            assert evaluate(link, symbols) == pytest.approx(adjoint, rel=tolerance, abs=rounding)


def test_the_gradient_is_that_of_backward_to_the_last_bit() -> None:
    z = parse("exp(x)*x - x/2 + sin(x*y)*sin(x + y)/x", {"x": 1.5, "y": 0.7})
    explanation = explain(z)
    z.backward()
    for step in explanation.steps[:2]:
        assert step.adjoint == step.node.grad


# Size


@pytest.mark.slow
@pytest.mark.parametrize("uses_leaf", [False, True])
def test_ten_thousand_steps(uses_leaf: bool) -> None:
    x = leaf(0.5, "x")
    z = x
    for _ in range(10_000):
        z = z + x if uses_leaf else z * 1.0
    text = str(explain(z)).splitlines()
    assert text[-1] == f"  dz/dx = {10_001 if uses_leaf else 1}"


def test_the_work_grows_with_the_graph_and_no_faster() -> None:
    def calls(steps: int) -> int:
        count = 0

        def profile(frame: Any, event: str, argument: Any) -> None:
            nonlocal count
            count += event == "call"

        x = leaf(0.5)
        z = x
        for _ in range(steps):
            z = z + x
        sys.setprofile(profile)
        str(explain(z))
        sys.setprofile(None)
        return count

    calls(10)  # fills the caches
    assert calls(800) < 2.1 * calls(400)


# Refusals


def test_of_a_value_that_needs_no_gradient() -> None:
    with pytest.raises(GradientError, match="needs no gradient: nothing it was computed from"):
        explain(Tensor(2.0) * 3)
    whole: Any = np.floor(leaf(2.5))
    with pytest.raises(GradientError, match="a result of floor, which has no derivative"):
        explain(whole)


def test_of_more_than_one_value() -> None:
    with pytest.raises(ShapeError, match=r"shape \(3,\): explain one entry, as in z\[0\]"):
        explain(leaf([1, 2, 3]) * 2)
    assert "z = w2 = [[4]]" in lines(leaf([[2]]) * 2)


def test_of_something_else() -> None:
    with pytest.raises(DtypeError, match="this is a float"):
        explain(2.0)  # type: ignore[arg-type]
