"""Numbers that differ between the iterations of an unrolled loop are read from memory."""

from typing import Any

import numpy as np
import pytest

from minigrad.compiler.graph.ir import constant, is_literal
from minigrad.compiler.graph.literals import promote_literals
from minigrad.compiler.graph.opset.infer import apply
from minigrad.compiler.target import costs
from tests.compiler.graphs import (
    changed,
    leaf,
    ops_of,
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_numbers_are_read_from_memory(dtype: Any) -> None:
    x = leaf(3, dtype=dtype)
    numbers = [0.1 * k for k in range(costs.MAX_LITERALS + 1)]
    for given in (numbers, [constant(np.asarray(k, dtype)) for k in numbers]):
        products = [apply("mul", x, k) for k in given]
        found = changed(promote_literals, *products, *products[:2])
        assert ops_of(*found)["constant"] == costs.MAX_LITERALS + 1
        assert all(y.inputs[0] is x and not is_literal(y.inputs[1]) for y in found)
        # The same number is one leaf, wherever it is used.
        twice = changed(promote_literals, *products, apply("mul", leaf(2, dtype=dtype), given[3]))
        assert twice[3].inputs[1] is twice[-1].inputs[1]


def test_few_numbers_or_those_of_integers_are_in_the_code() -> None:
    x, whole = leaf(3), leaf(3, dtype=np.int32)
    for outputs in [
        [apply("mul", x, 0.1 * (k % costs.MAX_LITERALS)) for k in range(100)],
        [apply(name, x, 0.1 * k) for name in ("add", "mul") for k in range(costs.MAX_LITERALS)],
        [apply("mul", whole, k) for k in range(100)],
        [apply("slice", x, index=(slice(k % 3, None),)) for k in range(100)],
    ]:
        assert changed(promote_literals, *outputs) == outputs
