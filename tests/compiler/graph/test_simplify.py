"""Passes: each keeps the numbers, and does what it is there for.

Graphs are made by hand, and run by NumPy before and after.
"""

from typing import Any

import numpy as np
import pytest

import minigrad
import minigrad.functional as F
from minigrad.compiler.graph.ir import (
    constant,
    rewritten,
)
from minigrad.compiler.graph.opset.base import OPSET, Rules
from minigrad.compiler.graph.opset.infer import apply
from minigrad.compiler.graph.simplify import (
    algebra,
    common_subexpressions,
    decomposed,
    simplify,
)
from minigrad.compiler.target import costs
from minigrad.ops.base import registry
from tests.compiler.graphs import (
    ODD,
    graph_of,
    keeps,
    leaf,
    numbers_for,
    ops_of,
    run,
    trace_of,
)
from tests.draw import SAMPLES
from tests.fuzz.common import Program, evaluate
from tests.fuzz.programs import random_program

DECOMPOSED = [
    name
    for name, rules in OPSET.items()
    if name in registry and type(rules).decompose is not Rules.decompose
]


# Algebra


def test_times_one() -> None:
    x = leaf(len(ODD))
    ones = constant(np.ones(len(ODD), np.float32))
    for one in (1, 1.0, ones, apply("expand", constant(np.float32(1)), shape=x.shape)):
        for value in (apply("mul", x, one), apply("mul", one, x)):
            assert keeps(algebra, value, odd=True) == [x]
    for other in (
        apply("mul", x, constant(np.ones(len(ODD)))),  # float64
        apply("mul", x, constant(np.ones((2, 1), np.float32))),  # of another shape
        apply("mul", x, 2),
        apply("mul", x, constant(np.arange(float(len(ODD)), dtype=np.float32))),
        apply("mul", x, leaf(len(ODD))),
    ):
        assert keeps(algebra, other, odd=True) == [other]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_divisions_by_what_has_a_reciprocal_are_products(dtype: Any) -> None:
    """As in the derivatives of 1 / y and of 1 / sqrt(y): what is infinite, 0 or NaN stays so."""
    y, g = leaf(len(ODD), dtype=dtype), leaf(len(ODD), dtype=dtype)
    inverse, root = apply("div", 1.0, y), apply("sqrt", y)
    again = apply("div", apply("mul", apply("neg", g), inverse), y)
    half = apply("div", 0.5, root)
    for odd in (False, True):
        (found,) = keeps(algebra, again, odd=odd)
        assert ops_of(found)["div"] == 1
        (found,) = keeps(algebra, half, odd=odd)
        assert ops_of(found) == {"input": 1, "mul": 1, "div": 1, "sqrt": 1}
    for other in (apply("div", g, y), apply("div", apply("mul", g, inverse), g)):
        assert keeps(algebra, other, odd=True) == [other]
    for other in (apply("div", 0.3, root), apply("div", 0.5, y), inverse, apply("div", 1.0, root)):
        assert keeps(algebra, other, odd=True) == [other]


def test_times_minus_one() -> None:
    x = leaf(len(ODD))
    for value in (apply("mul", x, -1.0), apply("mul", constant(np.float32(-1)), x)):
        (found,) = keeps(algebra, value, odd=True)
        assert ops_of(found) == {"input": 1, "neg": 1}
    wide = apply("mul", leaf(3), constant(np.array([[-1.0]], np.float32)))
    assert keeps(algebra, wide) == [wide]


def test_nothing_is_done_that_tells_zeros_nan_or_infinities_apart() -> None:
    """x + 0, x * 0, x - x and x / x are not what they seem."""
    x = leaf(len(ODD))
    values = [
        apply("add", x, 0),
        apply("sub", 0, x),
        apply("mul", x, 0),
        apply("sub", x, x),
        apply("div", x, x),
        apply("relu", x),
        apply("maximum", x, 0),
    ]
    graph = graph_of(*values)
    (array,) = numbers_for(graph, odd=True)
    for y, z in zip(run(simplify(graph), [array]), run(graph, [array]), strict=True):
        assert y.tobytes() == z.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("exponent", [1, 2, 3, 0.5, -1, 1.0, 2.0, -1.0])
def test_powers_without_a_logarithm(exponent: float, dtype: Any) -> None:
    value = apply("pow", leaf(40, dtype=dtype), exponent)
    for odd in (False, True):
        (found,) = keeps(algebra, value, odd=odd, rtol=1e-6)
    assert "pow" not in ops_of(found)


def test_other_powers_stay() -> None:
    for exponent in (2.5, -2, 0.25, constant(np.float32(2)), leaf(3)):
        value = apply("pow", leaf(3), exponent)
        assert keeps(algebra, value) == [value]
    whole = apply("pow", leaf(3, dtype=np.int32), 2)
    assert keeps(algebra, whole) == [whole]


# Concatenations


# Unrolling


@pytest.mark.parametrize("name", ["sum", "max", "min"])
@pytest.mark.parametrize("keepdims", [False, True])
def test_a_reduction_of_a_few_slices_is_unrolled(name: str, keepdims: bool) -> None:
    x = leaf(2, 3, 4, 5)
    for axis in (0, (0,), (0, 1), (1, 0), (0, -3), -4):
        value = apply(name, x, axis=axis, keepdims=keepdims)
        (found,) = keeps(decomposed, value)
        keeps(decomposed, value, odd=True)
        assert name not in ops_of(found)
    for kernel in range(
        1, costs.MAX_UNROLLED_TERMS + 1
    ):  # of odd counts too, some is left in each round
        (found,) = keeps(decomposed, apply(name, leaf(kernel, 2), axis=0, keepdims=keepdims))
        assert name not in ops_of(found)


def test_other_reductions_are_loops() -> None:
    for shape, axis, dtype in [
        ((costs.MAX_UNROLLED_TERMS + 1, 2), 0, np.float32),
        ((2, 3, 4), 1, np.float32),
        ((2, 3, 4), (0, 2), np.float32),
        ((2, 3), None, np.float32),
        ((2, 3), (0, 1), np.float32),
        ((2, 3), 0, np.int8),  # the sum is of another dtype
    ]:
        value = apply("sum", leaf(*shape, dtype=dtype), axis=axis, keepdims=False)
        assert keeps(decomposed, value) == [value]


# Decompositions


@pytest.mark.parametrize("name", DECOMPOSED)
def test_decomposed_ops_give_the_same_values(name: str) -> None:
    samples = [sample for sample in SAMPLES.values() if sample.op.name == name]
    assert samples
    for sample in samples:
        inputs = [leaf(*x.shape) if x.dtype == float else constant(x) for x in sample.arrays()]
        keeps(decomposed, apply(name, *inputs, **sample.attributes))


def test_logsumexp_of_infinities() -> None:
    x = leaf(3, 40)
    graph = graph_of(apply("logsumexp", x, axis=1, keepdims=False))
    new = rewritten(graph, decomposed)
    array = np.zeros((3, 40), np.float32)
    array[0], array[1, 3], array[2, :9] = -np.inf, np.inf, 1e30
    assert "logsumexp" not in ops_of(*new.outputs)
    np.testing.assert_array_equal(run(new, [array])[0], run(graph, [array])[0])


@pytest.mark.parametrize("function", [F.logsumexp, F.log_softmax, F.softmax])
def test_rows_are_exponentiated_once_with_the_derivative(function: Any) -> None:
    x = np.random.default_rng(0).standard_normal((12, 7))
    x[0], x[1, 3], x[2, 3:5], x[3, 1], x[4, 0] = -np.inf, np.inf, np.inf, np.nan, -np.inf

    def derivative(x: Any) -> Any:
        return minigrad.grad(lambda x: np.sum(function(x, axis=1) ** 2))(x)

    simple = simplify(trace_of(derivative, x).graph)
    counts = ops_of(*simple.outputs)
    assert counts["exp"] == 1
    assert counts["max"] == 1
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(run(simple, [x])[0], derivative(x), rtol=1e-12, atol=1e-14)


def test_products_of_every_kind() -> None:
    """Too narrow for a kernel, of depth 1, of stacks that are broadcast, of integers."""
    for x, y in [
        ((4, 5), (5, 1)),
        ((4, 5), (5, 3)),
        ((4, 1), (1, 9)),
        ((4, 5), (5, 9)),
        ((2, 1, 4, 5), (3, 5, 2)),
        ((3, 4, 5), (5, 2)),
        ((4, 5), (7, 5, 1)),
    ]:
        (found,) = keeps(decomposed, apply("matmul", leaf(*x), leaf(*y)))
        wide = y[-1] > 3 and x[-1] > 1
        assert (ops_of(found)["matmul"] == 1) is wide
        keeps(decomposed, apply("matmul", leaf(*x), leaf(*y, dtype=np.float64)))
        whole = apply("matmul", leaf(*x, dtype=np.int8), leaf(*y, dtype=np.int8))
        assert "matmul" not in ops_of(*keeps(decomposed, whole))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 1)])
def test_cotangents_of_convolutions(groups: int, stride: Any, dilation: Any) -> None:
    """With rows and columns of the input that no window sees."""
    size, kernel = (9, 8), (3, 2)
    outs = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
    ]
    y, w = leaf(2, 4, *outs), leaf(4, 3, *kernel)
    how = {"size": size, "stride": stride, "dilation": dilation, "groups": groups}
    (found,) = keeps(decomposed, apply("conv2d_input", y, w, **how))
    assert found.shape == (2, 3 * groups, *size) and "conv2d_input" not in ops_of(found)


# Common subexpressions


def test_the_same_is_computed_once() -> None:
    x, y = leaf(3), leaf(3)
    pairs = [(apply("exp", apply("add", x, y)), apply("exp", apply("add", x, y)))]
    pairs += [(apply("mul", x, 2.0), apply("mul", x, 2.0))]
    pairs += [(apply("sum", x, axis=0, keepdims=False), apply("sum", x, axis=0, keepdims=False))]
    for a, b in pairs:
        found = keeps(common_subexpressions(), a, b)
        assert found[0] is found[1]


def test_expressions_that_differ_are_not_merged() -> None:
    x, y, whole = leaf(3), leaf(3), leaf(3, dtype=np.int32)
    zeros = np.zeros(3)
    for a, b in [
        (apply("sub", x, y), apply("sub", y, x)),
        (apply("add", whole, 1), apply("add", whole, 1.0)),
        (apply("div", 1.0, x), apply("div", x, 1.0)),
        (apply("mul", x, 0.0), apply("mul", x, -0.0)),
        (apply("sum", x, axis=0, keepdims=False), apply("sum", x, axis=0, keepdims=True)),
        (apply("slice", x, index=(0,)), apply("slice", x, index=(1,))),
        (apply("astype", x, dtype=np.dtype("f8")), apply("astype", x, dtype=np.dtype("i8"))),
        (apply("add", constant(zeros), x), apply("add", constant(zeros + 1), x)),
    ]:
        found = keeps(common_subexpressions(), a, b)
        assert found[0] is not found[1]


# All passes


@pytest.mark.parametrize(
    "first", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in (60, 120, 180))]
)
def test_of_random_programs_all_passes_keep_the_numbers(first: int) -> None:
    """With derivatives up to the second."""
    for seed in range(first, first + 60):
        program = random_program(seed)
        inputs = program.arrays()
        vectors = [np.full(x.shape, 0.5, x.dtype) for x in inputs if x.dtype.kind == "f"]
        plain, found = both_runs(program, inputs, vectors, 2 if seed % 8 == 0 else seed % 2)
        for x, y in zip(found, plain, strict=True):
            assert (x.dtype, x.shape) == (y.dtype, y.shape)
            if np.isfinite(y).all():
                largest = float(np.max(np.abs(y), initial=0))
                np.testing.assert_allclose(x, y, 2e-3, 2e-4 * largest + 1e-4, err_msg=str(program))


def both_runs(
    program: Program, inputs: list[np.ndarray], vectors: list[np.ndarray], order: int
) -> list[list[np.ndarray]]:
    """What a program gives as it was traced, and after all passes."""
    function = program.function()

    def outputs(inputs: Any, vectors: Any) -> Any:
        return evaluate(function, inputs, vectors, order)

    traced = trace_of(outputs, inputs, vectors)
    arrays = dict(zip(traced.arguments, [*inputs, *vectors], strict=True))
    arrays |= {value: array for array, value in traced.states}
    graphs = (traced.graph, simplify(traced.graph))
    return [run(x, [arrays[v] for v in (*x.inputs, *x.states)]) for x in graphs]


def test_rewriting_keeps_unchanged_values() -> None:
    x = leaf(3)
    kept = apply("exp", x)
    graph = graph_of(kept, apply("mul", kept, 1))
    new = rewritten(graph, algebra)
    assert new.outputs == [kept, kept] and new.inputs is graph.inputs
