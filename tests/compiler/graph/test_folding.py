"""Folding: ops that do nothing are removed, and ops of constants computed."""

import numpy as np

from minigrad.compiler.graph.folding import folding
from minigrad.compiler.graph.ir import Value, constant, name_of
from minigrad.compiler.graph.opset.infer import apply
from minigrad.compiler.graph.slices import concatenate
from minigrad.compiler.target import costs
from tests.compiler.graphs import (
    Shape,
    keeps,
    leaf,
)


def test_ops_that_do_nothing_are_left_out() -> None:
    x = leaf(2, 3)
    for same in [
        apply("positive", x),
        apply("expand", x, shape=(2, 3)),
        apply("reshape", x, shape=(2, 3)),
        apply("astype", x, dtype=np.dtype(np.float32)),
        apply("transpose", x, axes=(0, 1)),
        apply("neg", apply("neg", x)),
        apply("reshape", apply("reshape", x, shape=(3, 2)), shape=(2, 3)),
        apply("transpose", apply("transpose", x, axes=(1, 0)), axes=(1, 0)),
        apply("transpose", apply("transpose", x, axes=None), axes=(-1, -2)),
    ]:
        assert keeps(folding, same) == [x], same
    one = leaf(1, 3)
    for name in ("max", "min"):
        assert keeps(folding, apply(name, one, axis=0, keepdims=True)) == [one]
    for name in ("sum", "mean"):  # they begin with 0.0, which -0.0 added to gives 0.0
        (total,) = keeps(folding, apply(name, one, axis=0, keepdims=True))
        assert name_of(total) == "add" and total.inputs == (one, 0.0)


def test_ops_that_do_something_stay() -> None:
    x, numbers = leaf(2, 3), leaf(1, 3, dtype=np.int8)
    for value in [
        apply("expand", x, shape=(4, 2, 3)),
        apply("reshape", x, shape=(3, 2)),
        apply("astype", x, dtype=np.dtype(np.float64)),
        apply("transpose", leaf(3, 3), axes=(1, 0)),
        apply("sum", numbers, axis=0, keepdims=True),  # of another dtype
        apply("sum", leaf(1, 3), axis=0, keepdims=False),
        apply("neg", apply("exp", x)),
        concatenate(0, [x, x]),
    ]:
        assert keeps(folding, value) == [value]


def test_one_after_the_other_is_one() -> None:
    x = leaf(2, 3, 4)
    shapes: list[Shape] = [(6, 4), (24,), (4, 6), (8, 3)]
    value = x
    for shape in shapes:
        value = apply("reshape", value, shape=shape)
    (found,) = keeps(folding, value)
    assert found.inputs == (x,) and found.attributes == {"shape": (8, 3)}
    for outer in [(0, 2, 1), (1, 0, 2), None, (1, 2, 0)]:
        turned = apply("transpose", apply("transpose", x, axes=(1, 2, 0)), axes=outer)
        (found,) = keeps(folding, turned)
        assert found.inputs == (x,) and found.shape == turned.shape


def test_joined_with_nothing_is_no_copy() -> None:
    x, nothing = leaf(2, 3), leaf(0, 3)
    assert keeps(folding, concatenate(0, [nothing, x, nothing])) == [x]
    wide = concatenate(0, [x, leaf(0, 3, dtype=np.float64)])
    assert keeps(folding, wide) == [wide]  # it is of another dtype
    empty = concatenate(0, [nothing, nothing])
    assert keeps(folding, empty) == [empty]


def test_numbers_that_are_known_are_computed_once() -> None:
    a, b = constant(np.arange(3.0)), constant(np.float32(2))
    (found,) = keeps(folding, apply("exp", apply("mul", apply("add", a, 1), b)))
    assert found.kind == "constant" and found.array is not None
    np.testing.assert_allclose(found.array, np.exp((np.arange(3.0) + 1) * 2))
    # Those of an array that the program holds may change.
    loose = Value(None, (), {"fixed": False}, (3,), a.dtype, "constant", np.ones(3))
    assert name_of(keeps(folding, apply("add", loose, a))[0]) == "add"
    # And what is large would only take memory.
    large = apply("expand", a, shape=(costs.MAX_FOLDED_SIZE, 3))
    assert name_of(keeps(folding, large)[0]) == "expand"
