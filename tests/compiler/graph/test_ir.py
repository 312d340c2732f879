"""Shapes and dtypes, found without computing."""

import copy
from typing import Any

import numpy as np
import pytest

from minigrad.compiler.graph.ir import Graph, GraphError, Value, how_of
from minigrad.compiler.graph.opset.infer import infer, verify
from minigrad.errors import UnsupportedError
from minigrad.ops.base import Op, registry
from tests.draw import SAMPLES

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
@pytest.mark.parametrize("op", registry.values(), ids=list(registry))
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


def test_order_has_inputs_first_and_each_once() -> None:
    x = value(np.ones(3))
    chain: list[Value] = [x]
    for _ in range(5000):  # deeper than Python's stack
        chain.append(Value(registry["mul"], (chain[-1], chain[-1]), {}, x.shape, x.dtype))
    assert Graph([x], [], [chain[-1]], []).order == chain


def test_order_of_what_was_recorded_leaves_out_what_is_not_needed() -> None:
    x, y = value(np.ones(3)), value(np.ones(3))
    square, other = (Value(registry["mul"], (z, z), {}, z.shape, z.dtype) for z in (x, y))
    last = Value(registry["add"], (square, 1.0), {}, x.shape, x.dtype)
    graph = Graph([x, y], [], [last], [], [x, y, other, square, last])
    assert graph.order == [x, square, last] == Graph([x, y], [], [last], []).order


ATTRIBUTES = [
    {"axis": None, "keepdims": True},
    {"index": (slice(None), 3, None, ...), "dtype": np.dtype("f4")},
    {"table": np.zeros(2000), "kind": np.float32},
    {"tables": [np.zeros(2), {"name": "a<b", "part": np.arange(3)}]},
]


@pytest.mark.parametrize("attributes", ATTRIBUTES, ids=range(len(ATTRIBUTES)))
def test_attributes_are_the_same_or_not(attributes: dict[str, Any]) -> None:
    assert how_of(attributes) == how_of(copy.deepcopy(attributes)) != ""
    assert how_of({**attributes, "more": 0}) != how_of(attributes)


def test_attributes_are_compared_in_full() -> None:
    zeros, other = np.zeros(2000), np.zeros(2000)
    other[1000] = 1e-12  # NumPy shows neither that entry nor that digit
    forms = [zeros, other, zeros.reshape(40, 50), zeros.astype(np.float32), list(zeros)]
    for wrap in (lambda x: x, lambda x: (1, [x]), lambda x: {"x": x}):
        assert len({how_of({"table": wrap(x)}) for x in forms}) == len(forms)


@pytest.mark.parametrize("x", [lambda: 0, object(), np.array([object()]), np.sin])
def test_attributes_that_cannot_be_compared_are_refused(x: Any) -> None:
    with pytest.raises(UnsupportedError, match="as an attribute: attributes are numbers"):
        how_of({"x": (1, x)})


def test_verify_finds_a_wrong_shape() -> None:
    x = value(np.ones(3))
    wrong = Value(registry["exp"], (x,), {}, (4,), x.dtype)
    with pytest.raises(GraphError):
        verify(Graph([x], [], [wrong], []))
