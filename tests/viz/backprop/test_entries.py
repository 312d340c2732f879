"""One entry: its terms add up to its adjoint, and its derivatives are those of the function."""

import numpy as np
import pytest

from minigrad import Tensor, explain
from minigrad.errors import GradientError, ShapeError
from minigrad.viz.explanation import Explanation
from tests.browser.programs import network
from tests.viz.test_explanation import array_programs


def programs() -> dict[str, Explanation]:
    return {name: explain(z) for name, z in array_programs().items()} | {"network": network()}


@pytest.mark.parametrize("name", programs())
def test_terms_add_up_to_the_adjoint(name: str) -> None:
    explanation = programs()[name]
    tried = 0
    for step in explanation.steps:
        if step.adjoint is None or not step.contributions or not step.value.size:
            continue
        rng = np.random.default_rng(step.number)
        for flat in rng.choice(step.value.size, min(step.value.size, 5), replace=False):
            found = explanation.entry(step.label, np.unravel_index(flat, step.value.shape))
            tolerance = 1e-5 if step.value.dtype == np.float32 else 1e-12
            size = sum(map(abs, found.terms())) + 1e-300
            assert sum(found.terms()) == pytest.approx(found.adjoint, abs=tolerance * size)
            tried += 1
    assert tried > 3


def test_sources_and_uses_are_the_same_derivatives_from_both_ends() -> None:
    explanation = programs()["network"]
    by_label = {step.label: step for step in explanation.steps}
    product = next(s for s in explanation.steps if s.op and s.op.name == "linear")
    weight = product.inputs[1]
    for index in np.ndindex(product.value.shape):
        for link in explanation.entry(product.label, index).sources:
            back = explanation.entry(link.step.label, link.index).uses
            same = [x for x in back if x.step is product and x.index == index]
            assert [x.derivative for x in same] == [pytest.approx(link.derivative)]
    assert weight is by_label[weight.label]


def test_a_matrix_product_entry_by_entry() -> None:
    x = Tensor([[1.0, 2.0, 3.0]], requires_grad=True, name="x")
    w = Tensor([[4.0, 5.0], [6.0, 7.0], [8.0, 9.0]], requires_grad=True, name="w")
    y = x @ w
    y.name = "y"
    explanation = explain((y * np.array([10.0, 100.0])).sum())
    entry = explanation.entry("y", (0, 1))
    assert [(s.step.name, s.index, s.derivative) for s in entry.sources] == [
        ("x", (0, 0), 5.0),
        ("x", (0, 1), 7.0),
        ("x", (0, 2), 9.0),
        ("w", (0, 1), 1.0),
        ("w", (1, 1), 2.0),
        ("w", (2, 1), 3.0),
    ]
    assert entry.adjoint == 100.0
    back = explanation.entry("x", (0, -1))
    assert [(u.step.name, u.index, u.derivative) for u in back.uses] == [
        ("y", (0, 0), 8.0),
        ("y", (0, 1), 9.0),
    ]
    assert back.terms() == [80.0, 900.0]
    assert str(back).splitlines() == [
        "w1[0, 2] = 3",
        "dz/dw1[0, 2] = 980",
        "    + dz/dw4[0, 0]*dw4[0, 0]/dw1[0, 2] = 10*8 = 80",
        "    + dz/dw4[0, 1]*dw4[0, 1]/dw1[0, 2] = 100*9 = 900",
    ]


def test_a_broadcast_entry_has_a_term_for_each_place_it_was_used_at() -> None:
    b = Tensor([1.0, 2.0], requires_grad=True, name="b")
    explanation = explain((b * np.arange(6.0).reshape(3, 2)).sum())
    assert explanation.entry("b", 1).terms() == [1.0, 3.0, 5.0]


def test_long_sums_are_shortened() -> None:
    b = Tensor(2.0, requires_grad=True, name="b")
    assert str(explain((b * np.ones(100)).sum()).entry("b", ())).endswith("and 88 more")


def test_indices_that_are_no_entry_are_refused() -> None:
    explanation = explain(Tensor([1.0, 2.0], requires_grad=True, name="x").sum())
    for index in (2, (0, 0), (), 0.5, slice(None)):
        with pytest.raises(ShapeError, match=r"is not an index of an entry of w1, of shape \(2,\)"):
            explanation.entry("x", index)
    with pytest.raises(GradientError, match="there is no 'y'"):
        explanation.entry("y", 0)


def test_rows_that_are_chosen_by_number() -> None:
    x = Tensor(np.arange(12.0).reshape(3, 4), requires_grad=True, name="x")
    entry = explain((x[np.array([0, 2, 0])] ** 2).sum()).entry("x", (0, 1))
    assert [(use.index, use.derivative) for use in entry.uses] == [((0, 1), 1.0), ((2, 1), 1.0)]
    assert entry.terms() == [2.0, 2.0]


def test_entries_beside_an_infinite_derivative_have_no_part_in_it() -> None:
    x = Tensor([0.0, 4.0], requires_grad=True, name="x")
    with np.errstate(divide="ignore"):
        found = explain((np.sqrt(x) + 1 / x).sum()).entry("x", 1)
    assert [use.index for use in found.uses] == [(1,), (1,)]
    assert sum(found.terms()) == found.adjoint == 0.25 - 1 / 16
