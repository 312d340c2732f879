"""Definitions of ops: names and NumPy functions that are taken, ops defined again, notation."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, explain
from minigrad.compiler.graph.opset.base import OPSET, Rules, entry
from minigrad.dispatch import implementations
from minigrad.errors import ArgumentError, ShapeError, UnsupportedError
from minigrad.ops.base import Op, registry
from minigrad.ops.binary import binary
from minigrad.ops.unary import unary

ONES: Any = np._core.umath._ones_like  # type: ignore[attr-defined]  # a ufunc that minigrad lacks


@pytest.fixture(autouse=True)
def unregistered() -> Iterator[None]:
    """Without the ops of a test after it."""
    tables: list[dict[Any, Any]] = [registry, implementations, OPSET]
    before = [(x, dict(x)) for x in tables]
    yield
    for x, items in before:
        x.clear()
        x.update(items)


def scaled(by: int, name: str = "my_op") -> Op:
    return unary(name, lambda x: x * by, lambda g, y, x: by * g, c=f"{{0}} * {by}")


NAMES = "sin add sum duplicate copy_in_c_order setitem getitem asarray updated out relu".split()


@pytest.mark.parametrize("name", NAMES)
def test_names_of_minigrad_are_taken(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"name '{name}' is minigrad's own already"):
        scaled(2, name)
    x = Tensor([1.0])
    x[0] = 2.0
    assert copy.copy(x).data.tolist() == x.copy().data.tolist() == [2.0]


def test_functions_that_minigrad_implements_are_not_replaced() -> None:
    with pytest.raises(ArgumentError, match=r"np\.sin is minigrad's own .*`lambda x: np\.sin\(x\)"):
        unary("my_sine", np.sin, lambda g, y, x: g * 7)
    with pytest.raises(ArgumentError, match=r"np\.add is minigrad's own"):
        binary("my_sum", np.add)
    assert "my_sine" not in registry and "my_sum" not in registry
    x = Tensor([0.0], requires_grad=True)
    np.sum(np.sin(x)).backward()
    assert x.grad.tolist() == [1.0]


@pytest.mark.parametrize("name", ["compiled", "cleared"])
def test_a_name_used_by_the_compiler_does_not_disturb_it(name: str) -> None:
    op = scaled(3, name)
    x = np.arange(3.0)
    derivative = minigrad.compile(minigrad.grad(lambda x: (op(x) ** 2).sum()))
    np.testing.assert_allclose(derivative(x), 18 * x)


def test_a_ufunc_that_minigrad_lacks_can_be_taught() -> None:
    unary("my_ones", ONES, c=None)
    np.testing.assert_array_equal(ONES(Tensor([1.0])).data, [1.0])


def test_an_op_can_be_defined_again_as_when_a_cell_of_a_notebook_is_run_again() -> None:
    former = scaled(2)
    old = minigrad.compile(lambda x: former(x))
    assert old(np.ones(2)).tolist() == [2, 2]
    op = scaled(3)
    assert registry["my_op"] is op
    assert minigrad.compile(lambda x: op(x))(np.ones(2)).tolist() == [3, 3]
    # What was compiled with the former goes on, and what is compiled now must use the new one.
    assert old(np.ones(2)).tolist() == [2, 2]
    with pytest.raises(UnsupportedError, match="two ops named 'my_op'"):
        old(np.ones(3))


def test_a_compiled_function_follows_the_name_of_an_op() -> None:
    space: dict[str, Any] = {"op": scaled(2)}
    exec("def f(x): return op(x)", space)
    f = minigrad.compile(space["f"])
    assert f(np.ones(2)).tolist() == [2, 2]
    space["op"] = scaled(3)
    assert f(np.ones(2)).tolist() == [3, 3]


def test_an_op_that_numpy_runs_stays_the_one_that_was_compiled() -> None:
    ops = [Op("processing", "my_op", lambda x, k=k: x * k, (), "my_op({0})") for k in (2,)]
    f = minigrad.compile(lambda x: ops[0](x))
    assert f(np.ones(2)).tolist() == [2, 2]
    Op("processing", "my_op", lambda x: x * 3, (), "my_op({0})")
    assert f(np.ones(2)).tolist() == [2, 2]


def test_an_op_of_another_module_is_not_replaced() -> None:
    scaled(2)
    with pytest.raises(ArgumentError, match=r"already, defined by tests\.ops.* another name"):
        unary("my_op", ONES)
    assert ONES not in implementations


def test_corrected_rules_of_an_op_replace_what_was_inferred_before() -> None:
    op = Op("processing", "my_first", lambda x: x[:2] * 1, (), "first({0})")
    x = np.arange(4.0)

    def with_shape(shape: tuple[int, ...]) -> Any:
        entry("my_first")(type("Entry", (Rules,), {"shape": lambda self, shapes, a: shape}))
        return minigrad.compile(lambda x: op(x))(x)

    with pytest.raises(Exception, match="my_first"):
        with_shape((4,))
    assert with_shape((2,)).tolist() == [0, 1]


# Notation


@pytest.mark.parametrize(
    ("notation", "message"),
    [
        ("my_op({0}", "never closed"),
        ("", "cannot be parsed"),
        ("d/dx {0}", "cannot be parsed"),
        ("x = {0}", "cannot be parsed"),
        ("my_op({1})", "{1}, which its forward does not take"),
        ("my_op({0}, {kk})", "{kk}, which its forward does not take"),
    ],
)
def test_notation_is_checked_when_an_op_is_defined(notation: str, message: str) -> None:
    with pytest.raises(ArgumentError, match="the notation of my_op") as info:
        Op("movement", "my_op", lambda x, *, k=1: x, (lambda g, y, x, k=1: g,), notation)
    assert message in str(info.value) and "Python's syntax" in str(info.value)
    assert "my_op" not in registry


def shown(forward: Any, notation: str, **attributes: Any) -> str:
    """The line of an explanation that shows the op."""
    op = Op("processing", "my_op", forward, (lambda g, y, x, **k: 2 * g,), notation)
    y = op(Tensor(1.0, requires_grad=True, name="x"), **attributes)
    return str(explain(y)).splitlines()[2].strip()


def test_attributes_in_notation() -> None:
    assert shown(lambda x, k=3: x * 2, "my_op({0}, k={k})") == "w2 = my_op(w1, k=3) = 2"
    assert shown(lambda x, k=3: x * 2, "my_op({0}, k={k})", k=4) == "w2 = my_op(w1, k=4) = 2"
    with pytest.raises(ArgumentError, match=r"notation of my_op: .*\{kk\}, which this call did"):
        shown(lambda x, **k: x * 2, "my_op({0}, {kk})", k=3)


def test_syntax_that_notation_does_not_have() -> None:
    with pytest.raises(ArgumentError, match="notation of my_op: a template cannot hold"):
        shown(lambda x: x * 2, "[{0}]")


# Errors while a compiled program runs


@pytest.mark.parametrize("toolchain", [True, False])
def test_errors_of_an_op_that_numpy_runs_name_it(
    toolchain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not toolchain:
        monkeypatch.setattr("minigrad.compiler.target.toolchain.compiler", lambda: None)
    inverse = Op("processing", "my_inverse", np.linalg.inv, (), "inv({0})")
    entry("my_inverse")(type("Inverse", (Rules,), {"shape": lambda self, shapes, a: shapes[0]}))
    good, bad = np.array([[2.0, 1.0], [0.5, 3.0]]), np.ones((2, 2))
    f = minigrad.compile(lambda x: inverse(x) * 2)
    if toolchain:
        f(good)
    else:
        with pytest.warns(RuntimeWarning, match="run on NumPy"):
            f(good)
    with pytest.raises(
        ShapeError, match=r"my_inverse\(float64 array of shape \(2, 2\)\).*Singular"
    ):
        f(bad)
    np.testing.assert_allclose(f(good), 2 * np.linalg.inv(good))
