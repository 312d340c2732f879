"""Values and graphs: their order, and attributes that are compared."""

import copy
from typing import Any

import numpy as np
import pytest

from minigrad.compiler.graph.ir import Graph, Value, how_of
from minigrad.errors import UnsupportedError
from minigrad.ops.base import registry
from tests.compiler.graphs import leaf


def test_order_has_inputs_first_and_each_once() -> None:
    x = leaf(3)
    chain: list[Value] = [x]
    for _ in range(5000):  # deeper than Python's stack
        chain.append(Value(registry["mul"], (chain[-1], chain[-1]), {}, x.shape, x.dtype))
    assert Graph([x], [], [chain[-1]], []).order == chain


def test_order_of_what_was_recorded_leaves_out_what_is_not_needed() -> None:
    x, y = leaf(3), leaf(3)
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
