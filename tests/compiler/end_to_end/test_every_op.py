"""Every op of the registry, as C and on NumPy: the same numbers, the same dtypes, NaN and all."""

from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from minigrad.compiler import compile
from minigrad.ops.base import Op
from tests.draw import OWN, SAMPLES, Sample
from tests.marks import rows

ODD = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-40, 1e30, 0.5, 2.5, -3.0]


Call = tuple[Op, list[Any], dict[str, Any]]


def compare(calls: list[Call], rtol: float) -> None:
    """All calls in one compiled function, and so in one run of the C compiler."""

    # A mask decides how large the result is, so it has to be known, and is no argument.
    masks = [
        {k: x.copy() for k, x in enumerate(inputs) if x.dtype == bool and op.family == "movement"}
        for op, inputs, _ in calls
    ]

    def run(*inputs: list[Any]) -> list[Any]:
        return [
            op(*(known.get(k, x) for k, x in enumerate(xs)), **how)
            for xs, known, (op, _, how) in zip(inputs, masks, calls, strict=True)
        ]

    found = compile(run)(*(inputs for _, inputs, _ in calls))
    with np.errstate(all="ignore"):
        for y, (op, inputs, how) in zip(found, calls, strict=True):
            expected = np.asarray(op.forward(*inputs, **how))
            said = f"{op.name} of {inputs}, {how}"
            assert y.dtype == expected.dtype and y.shape == expected.shape, said
            # A sum in another order is as exact as its largest terms.
            sums = op.family in ("processing", "reduce") or op.name == "fold"
            largest = np.max(np.abs(np.nan_to_num(expected)).astype(float), initial=0) * sums
            atol = max(rtol * min(largest, 1e3), 1e-30)
            np.testing.assert_allclose(y, expected, rtol, atol, err_msg=said)


def cast(x: Any, dtype: Any) -> Any:
    return x.astype(dtype) if x.dtype.kind == "f" else x


def samples_of(op: Op) -> list[Sample]:
    return [sample for sample in SAMPLES.values() if sample.op is op]


def dtypes(*names: str, **marks: tuple[str, ...]) -> Any:
    table = {dtype: dtype for dtype in (*names, *marks["slow"])}
    marked = {mark: among.__contains__ for mark, among in marks.items()}
    return pytest.mark.parametrize("dtype", rows(table, **marked))


def calls_of(op: Op, dtype: str) -> list[Call]:
    return [
        (op, [cast(x, dtype) for x in sample.arrays()], sample.attributes)
        for sample in samples_of(op)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64"])
@pytest.mark.parametrize("op", OWN.values(), ids=list(OWN))
def test_as_the_table_has_it(op: Op, dtype: str) -> None:
    assert calls_of(op, dtype)
    compare(calls_of(op, dtype), 1e-12)


GROUPS = 16


@pytest.mark.unoptimized
@pytest.mark.parametrize("first", range(GROUPS))
def test_as_the_table_has_it_in_single_precision(first: int) -> None:
    calls = [call for op in [*OWN.values()][first::GROUPS] for call in calls_of(op, "float32")]
    compare(calls, 2e-5)


ELEMENTWISE = [op for op in OWN.values() if op.family in ("unary", "binary")]
PARTS = 6


@dtypes("float32", "int64", slow=("float64", "int32", "bool"))
@pytest.mark.parametrize("first", range(PARTS))
def test_edges_of_elementwise_ops(first: int, dtype: str) -> None:
    values = np.array(ODD if dtype.startswith("float") else [0, 1, -1, 3, 7, -8]).astype(dtype)
    calls: list[Call] = []
    for op in ELEMENTWISE[first::PARTS]:
        inputs = [x.ravel() for x in np.meshgrid(*[values] * len(op.domains))]
        if op.name == "where":
            inputs[0] = inputs[0] != 0
        with np.errstate(all="ignore"), suppress(TypeError, ValueError):  # no such op of these
            op.forward(*inputs)
            calls += [(op, inputs, {}), (op, [x[:7][::2] for x in inputs], {})]
    assert calls
    compare(calls, 1e-5)
