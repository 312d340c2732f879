"""Derivations: chains of equal expressions, each evaluated where it can be."""

import numpy as np
import pytest

from minigrad import Tensor, explain, odeint
from minigrad.viz.backprop.derivation import definition, derivation, signed
from minigrad.viz.backprop.steps import Step, trace


def steps_of(z: Tensor) -> dict[str, Step]:
    return {step.label: step for step in trace(z.node)}


def test_the_chain_rule_then_local_derivatives_then_numbers() -> None:
    x = Tensor(2.0, requires_grad=True, name="x")
    y = Tensor(3.0, requires_grad=True, name="y")
    steps = steps_of(x * y + np.sin(x))
    assert definition(steps["w1"], "z") == [["x"], ["2"]]
    assert definition(steps["w3"], "z") == [["w1*w2"], ["6"]]
    assert derivation(steps["w1"], "z") == [
        ["dz/dw3*dw3/dw1", "dz/dw4*dw4/dw1"],
        ["w2", "cos(w1)"],
        ["3", "cos(2)"],
        ["2.584"],
    ]


def test_one_input_twice_is_told_apart() -> None:
    x = Tensor(3.0, requires_grad=True)
    first, *_, last = derivation(steps_of(x * x)["w1"], "y")
    assert first == ["dy/dw2*dw2/d(1st w1)", "dy/dw2*dw2/d(2nd w1)"] and last == ["6"]


def test_sums_over_broadcast_axes_are_numpys() -> None:
    """The symbolic link of the chain, evaluated by NumPy, is the adjoint."""
    x = Tensor(2.0, requires_grad=True)
    b = Tensor(np.ones((2, 1)), requires_grad=True)
    y = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    steps = steps_of((x * y * b).sum())
    for step in steps.values():
        if step.node in (x.node, b.node):
            text = " + ".join(derivation(step, "z")[1])
            for label in steps:
                text = text.replace(f"dz/d{label}", f"a['{label}']")
            values = {label: other.value for label, other in steps.items()}
            adjoints = {label: other.adjoint for label, other in steps.items()}
            found = eval(text, {"sum": np.sum, **values, "a": adjoints})
            assert step.adjoint is not None
            np.testing.assert_allclose(found, step.adjoint)
            assert np.shape(found) == step.value.shape


@pytest.mark.parametrize(
    ("terms", "found"),
    [
        (["a"], ["a"]),
        (["-a", "-b"], ["-a", "- b"]),
        (["w2", "sin(w1)", "-3*x"], ["w2", "+ sin(w1)", "- 3*x"]),
    ],
)
def test_terms_with_their_signs(terms: list[str], found: list[str]) -> None:
    assert signed(terms) == found


def test_enough_digits_are_printed_for_the_sum_to_be_right() -> None:
    """By four digits, 1000.4 and -1000 would be 1000 - 1000, which is not 0.4."""
    x = Tensor(1.0, requires_grad=True)
    *_, numbers, last = derivation(steps_of(x * 1000.4 + x * -1000.0)["w1"], "z")
    assert float(last[0]) == 0.4
    assert abs(sum(map(eval, numbers)) - 0.4) < 1e-3


def test_a_long_formula_is_written_by_its_name() -> None:
    """The rule of svd would fill half a page; that of inv is short."""
    a = Tensor([[4.0, 1.0], [1.0, 3.0]], requires_grad=True)
    assert derivation(steps_of(np.linalg.svd(a).S.sum())["w1"], "z")[0] == ["svd_vjp(dz/dw2, w1)"]
    assert derivation(steps_of(np.linalg.inv(a).sum())["w1"], "z")[0][0].startswith("-((w2.T @")
    packed = derivation(steps_of(np.linalg.eigh(a)[1][0, 1])["w1"], "z")
    assert packed[0] == ["eigh_vjp(dz/dw2, w1)"] and len(packed) == 2


def test_a_cotangent_of_many_ops_is_written_by_name() -> None:
    """Written out, that of a step of the solver would have more terms than there is memory."""
    k = Tensor(2.0, requires_grad=True)
    end = odeint(lambda y, t: -k * y, 1.0, np.array([0.0, 1.0]))[-1]
    assert "odeint_vjp(" in str(explain(end))
