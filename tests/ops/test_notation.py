"""How ops are written, read back as Python: an op's notation computes its forward, and the local
derivatives that explanations write compute its rules."""

import ast
import math
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.ops.base import Op
from minigrad.viz import explain
from minigrad.viz.backprop.derivation import factor, in_symbols, term
from minigrad.viz.backprop.steps import apply_vjp
from minigrad.viz.text.formula import operation
from minigrad.viz.text.notation import Expr, parse_template
from tests.draw import OWN, draw

ELEMENTWISE = {name: op for name, op in OWN.items() if op.family in ("unary", "binary")}
# NumPy, and what it lacks.
FUNCTIONS: dict[str, Any] = vars(np) | {
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "erf": np.vectorize(math.erf),
    "exponent": lambda x: np.frexp(x)[1],
}


def inputs_of(op: Op, shape: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [draw(domain, shape, rng) for domain in op.domains]


@pytest.mark.parametrize("shape", [(), (5,)], ids=["scalar", "array"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_notation_computes_the_forward(name: str, shape: tuple[int, ...]) -> None:
    op = ELEMENTWISE[name]
    values = inputs_of(op, shape)
    labels = [f"w{k}" for k in range(len(values))]
    text = operation(op, {}, [Expr(label) for label in labels]).text
    computed = eval(text, FUNCTIONS | dict(zip(labels, values, strict=True)))
    np.testing.assert_allclose(computed, op.forward(*values), rtol=1e-13, err_msg=text)


@pytest.mark.parametrize("shape", [(), (5,)], ids=["scalar", "array"])
@pytest.mark.parametrize("name", [name for name, op in ELEMENTWISE.items() if op.vjps])
def test_local_derivatives_compute_the_rules(name: str, shape: tuple[int, ...]) -> None:
    op = ELEMENTWISE[name]
    values = inputs_of(op, shape)
    z = op(*(Tensor(x, requires_grad=x.dtype.kind == "f") for x in values))
    steps = explain(z.sum() if shape else z).steps
    symbols = {step.label: step.value for step in steps}
    uses = [use for step in steps for use in step.contributions if use.user.op is op]
    assert len(uses) == sum(rule is not None for rule in (op.vjps[k] for k in range(len(values))))
    for use in uses:
        text = factor(term(use), in_symbols("z")).text
        rule = apply_vjp(use.user, use.position, np.float64(1), use.user.value, values)
        computed = eval(text, FUNCTIONS | symbols)
        np.testing.assert_allclose(computed + 0 * rule, rule, rtol=1e-12, err_msg=text)


@pytest.mark.parametrize("op", OWN.values(), ids=list(OWN))
def test_every_notation_is_python_of_the_first_input(op: Op) -> None:
    names = {
        node.id for node in ast.walk(parse_template(op.notation)) if isinstance(node, ast.Name)
    }
    assert "_0" in names
