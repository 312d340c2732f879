"""docs/migration.md maps every public name of HIPS autograd."""

import importlib
import re
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).parents[1] / "docs" / "migration.md").read_text()
# Name of autograd's -> the name here, or "-".
ROWS = dict(re.findall(r"^\| `(autograd[\w.]*)` \| `?(-|[\w.]+)`? \|", PAGE, re.M))

# What autograd 1.9 has for its users; tests/oracles compares this with autograd itself.
OPERATORS = """checkpoint deriv dict elementwise_grad grad grad_and_aux grad_named hessian
    hessian_tensor_product hessian_vector_product holomorphic_grad isinstance jacobian list
    make_ggnvp make_hvp make_jvp make_vjp multigrad_dict primitive tensor_jacobian_product tuple
    type value_and_grad vector_jacobian_product"""
EXTENSIONS = """Box JVPNode SparseObject VJPNode VSpace def_linear defjvp defjvp_argnum
    defjvp_argnums defvjp defvjp_argnum defvjp_argnums notrace_primitive primitive
    register_notrace vspace"""
NAMES = {
    "autograd": OPERATORS,
    "autograd.extend": EXTENSIONS,
    "autograd.tracer": "getval isbox",
    "autograd.misc": "const_graph",
    "autograd.misc.flatten": "flatten flatten_func",
    "autograd.misc.optimizers": "adam rmsprop sgd unflatten_optimizer",
    "autograd.misc.fixed_points": "fixed_point",
    "autograd.test_util": "check_grads check_jvp check_vjp combo_check",
    "autograd.scipy": "integrate linalg signal special stats",
}


def found(name: str) -> Any:
    """The object of a dotted name."""
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except AttributeError:
        return importlib.import_module(name)


def test_every_name_has_its_row() -> None:
    names = {f"{module}.{name}" for module, each in NAMES.items() for name in each.split()}
    assert set(ROWS) == names


def test_what_is_named_is_there() -> None:
    targets = {name for name in ROWS.values() if name != "-"}
    targets |= set(re.findall(r"`(minigrad(?:\.\w+)+)", PAGE))
    assert len(targets) > 40
    for name in targets:
        assert found(name) is not None
