"""Index maps of views: each entry that they read is the one that NumPy gives."""

from typing import Any

import numpy as np
import pytest

from minigrad.compiler.graph.ir import Value, constant
from minigrad.compiler.graph.opset.base import OPSET
from minigrad.compiler.graph.opset.infer import apply
from minigrad.compiler.loops.lowering import is_view
from tests.compiler.graphs import leaf
from tests.compiler.loops.interpret import entries
from tests.draw import SAMPLES, Sample

VIEWS = {name for name, rules in OPSET.items() if type(rules).__module__.endswith("opset.views")}


def cases(names: set[str]) -> dict[str, Sample]:
    """Samples of these ops whose results have entries, but not many."""
    found = {}
    for label, sample in SAMPLES.items():
        if sample.op.name in names and is_read_by_entries(sample):
            found[label] = sample
    assert {sample.op.name for sample in found.values()} == names
    return found


def is_read_by_entries(sample: Sample) -> bool:
    value, _ = value_of(sample, fixed=True)
    return is_view(value) and 0 < value.size <= 300


def value_of(sample: Sample, fixed: bool) -> tuple[Value, dict[Value, np.ndarray]]:
    """The value of an op, of inputs and of index arrays that are fixed constants or inputs too."""
    arrays: dict[Value, np.ndarray] = {}
    inputs: list[Any] = []
    for given, x in zip(sample.inputs, sample.arrays(), strict=True):
        if isinstance(x, np.ndarray):
            known = not isinstance(given, tuple) and (fixed or x.dtype == bool)
            read = constant(x) if known else leaf(*x.shape, dtype=x.dtype)
            arrays[read] = x
            inputs.append(read)
        else:
            inputs.append(x)
    return apply(sample.op.name, *inputs, **sample.attributes), arrays


CASES = cases(VIEWS)


@pytest.mark.parametrize("label", CASES)
def test_entries_are_those_of_numpy(label: str) -> None:
    sample = CASES[label]
    value, arrays = value_of(sample, fixed=True)
    expected = sample.op.forward(*sample.arrays(), **sample.attributes)
    np.testing.assert_allclose(entries(value, arrays), expected, 1e-12)
