"""Decompositions of what moves entries: simpler ops, which give the same."""

from typing import Any

import numpy as np
import pytest

from minigrad.compiler.graph.opset.base import rules_of
from minigrad.compiler.graph.opset.infer import apply
from tests.compiler.graphs import graph_of, leaf, run

CALLS: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("diag", (3,), {"k": 2}),
    ("diag", (3,), {"k": -1}),
    *(
        ("rot90", (2, 3, 4), {"k": k, "axes": axes})
        for k in (-1, 0, 2, 5)
        for axes in ((0, 1), (-1, 0))
    ),
    ("roll", (3, 4), {"shift": 5, "axis": None}),
    ("roll", (3, 4), {"shift": (1, 2), "axis": None}),
    ("roll", (3, 4), {"shift": -1, "axis": -2}),
    ("roll", (3, 4), {"shift": (1, -2), "axis": (0, 1)}),
    ("roll", (3, 4), {"shift": (1, 2), "axis": (1, 1)}),
    ("roll", (3, 4), {"shift": 1, "axis": (0, 1)}),
    ("roll", (3, 4), {"shift": 6, "axis": 0}),
    ("tile", (2, 3), {"reps": (2, 1, 3)}),
    ("tile", (2, 3), {"reps": (2,)}),
    ("tile", (), {"reps": (2, 1)}),
    ("repeat", (2, 3), {"repeats": 2, "axis": None}),
    ("repeat", (2, 3), {"repeats": 2, "axis": -2}),
    ("repeat", (), {"repeats": 2, "axis": None}),
    ("repeat", (), {"repeats": 2, "axis": -1}),
    *(("trace", (2, 3, 4), {"offset": k, "axis1": -1, "axis2": 0}) for k in (-1, 0, 1)),
]


@pytest.mark.parametrize(("name", "shape", "attributes"), CALLS)
def test_the_same_entries_by_simpler_ops(
    name: str, shape: tuple[int, ...], attributes: dict[str, Any]
) -> None:
    x = leaf(*shape)
    value = apply(name, x, **attributes)
    simpler = rules_of(value.op).decompose(value)
    assert simpler.op is not value.op
    numbers = np.arange(x.size, dtype=np.float32).reshape(shape)
    given, expected = run(graph_of(simpler, value), [numbers])
    np.testing.assert_array_equal(given, expected, strict=True)
