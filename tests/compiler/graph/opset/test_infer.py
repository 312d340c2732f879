"""Shapes and dtypes, found without computing: those that NumPy has."""

from typing import Any

import numpy as np
import pytest

from minigrad.compiler.graph.ir import Graph, GraphError, Value, constant
from minigrad.compiler.graph.opset.infer import apply, infer, verify
from minigrad.ops.base import Op, registry
from tests.compiler.graphs import leaf
from tests.draw import OWN, SAMPLES

DTYPES = [np.float32, np.float64, np.int32, np.bool_]


def value(x: Any, kind: str = "input") -> Any:
    if not isinstance(x, np.ndarray):
        return x
    return Value(None, (), {}, x.shape, x.dtype, kind, x if kind == "constant" else None)


def is_mask(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype == bool


def expected(op: Op, arrays: list[Any], how: dict[str, Any]) -> Any:
    with np.errstate(all="ignore"):
        result = np.asarray(op.forward(*arrays, **how))
    return result.shape, result.dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", OWN.values(), ids=list(OWN))
def test_as_numpy_has_them(op: Op, dtype: Any) -> None:
    for sample in (each for each in SAMPLES.values() if each.op is op):
        arrays = [
            x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x
            for x in sample.arrays()
        ]
        values = [value(x, "constant" if is_mask(x) else "input") for x in arrays]
        try:
            wanted = expected(op, arrays, sample.attributes)
        except TypeError:
            with pytest.raises(TypeError):
                infer(op, values, sample.attributes)
            continue
        except (ValueError, OverflowError):  # 2**-1, which depends on the numbers
            continue
        assert infer(op, values, sample.attributes) == wanted


WRONG: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("add", [np.ones((2, 3)), np.ones((3, 2))], {}),
    ("matmul", [np.ones((2, 3)), np.ones((2, 3))], {}),
    ("linear", [np.ones((2, 3)), np.ones((3, 2))], {}),
    ("sum", [np.ones((2, 3))], {"axis": 2, "keepdims": False}),
    ("sum", [np.ones((2, 3))], {"axis": (0, 0), "keepdims": False}),
    ("max", [np.ones((0, 3))], {"axis": 0, "keepdims": False}),
    ("reshape", [np.ones((2, 3))], {"shape": (4, -1)}),
    ("reshape", [np.ones((2, 3))], {"shape": (-2, -3)}),
    ("transpose", [np.ones((2, 3))], {"axes": (0, 0)}),
    ("expand", [np.ones((2, 3))], {"shape": (3, 3)}),
    ("slice", [np.ones((2, 3))], {"index": (5,)}),
    ("concatenate", [np.ones((2, 3)), np.ones((2, 4))], {"axis": 0, "bounds": (0, 2, 4)}),
    ("invert", [np.ones(2)], {}),
]


@pytest.mark.parametrize("name, arrays, how", WRONG)
def test_shape_inference_refuses_what_numpy_refuses(
    name: str, arrays: list[Any], how: dict[str, Any]
) -> None:
    with pytest.raises((ValueError, TypeError, IndexError)):
        expected(registry[name], arrays, how)
    with pytest.raises((ValueError, TypeError, IndexError)):
        infer(registry[name], [value(x) for x in arrays], how)


def test_numbers_promote_as_they_do() -> None:
    cases = [(np.uint8, 3), (np.uint8, 3.0), (np.float32, 3.0), (np.bool_, 3), (np.int32, True)]
    for dtype, number in cases:
        x: Any = np.ones(3, dtype)
        for order in ([x, number], [number, x]):
            wanted = expected(registry["mul"], order, {})
            assert infer(registry["mul"], [value(each) for each in order], {}) == wanted


def test_verify_finds_a_wrong_shape() -> None:
    x = value(np.ones(3))
    wrong = Value(registry["exp"], (x,), {}, (4,), x.dtype)
    with pytest.raises(GraphError):
        verify(Graph([x], [], [wrong], []))


def wrong_graphs() -> dict[str, Graph]:
    x, y = leaf(3), leaf(3)
    state = Value(None, (), {}, (3,), np.dtype("f4"), "state")
    exp = apply("exp", x)
    op = exp.op
    hollow = Value(None, (), {}, (3,), np.dtype("f4"), "constant", None)
    other = Value(None, (), {}, (3,), np.dtype("f4"), "constant", np.ones(4, "f4"))
    return {
        "a wrong shape": Graph([x], [], [Value(op, (x,), {}, (4,), x.dtype)], []),
        "a wrong dtype": Graph([x], [], [Value(op, (x,), {}, (3,), np.dtype("f8"))], []),
        "wrong, and used": Graph([x], [], [apply("neg", Value(op, (x,), {}, (4,), x.dtype))], []),
        "a foreign leaf": Graph([x], [], [apply("add", x, y)], []),
        "a foreign leaf as output": Graph([x], [], [y], []),
        "a constant without numbers": Graph([x], [], [apply("add", x, hollow)], []),
        "a constant of another shape": Graph([x], [], [apply("add", x, other)], []),
        "written twice": Graph([x], [state], [], [(state, exp), (state, x)]),
        "written into what is computed": Graph([x], [], [exp], [(exp, x)]),
        "a foreign target": Graph([x], [], [], [(state, exp)]),
        "a write of another shape": Graph(
            [x], [state], [], [(state, apply("reshape", exp, shape=(3, 1)))]
        ),
        "a write of another dtype": Graph(
            [x], [state], [], [(state, apply("astype", exp, dtype=np.dtype("f8")))]
        ),
    }


@pytest.mark.parametrize("name", wrong_graphs())
def test_a_broken_graph_is_refused(name: str) -> None:
    with pytest.raises(GraphError):
        verify(wrong_graphs()[name])


def test_a_sound_graph_is_not() -> None:
    x, state = leaf(3), Value(None, (), {}, (3,), np.dtype("f4"), "state")
    total = apply("add", apply("exp", x), state)
    verify(Graph([x], [state], [total, x, constant(np.ones(2))], [(state, total), (x, state)]))
