"""Every op of the registry, over all its samples, by the same checks."""

from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, check_gradients
from minigrad.ops.base import Op, registry
from tests.draw import OWN, SAMPLES, Sample, float_positions
from tests.marks import is_large, rows

FAMILIES = {"unary", "reduce", "binary", "movement", "processing"}
DIFFERENTIABLE = {
    name: sample
    for name, sample in SAMPLES.items()
    if sample.op.vjps and any(isinstance(x, tuple) for x in sample.inputs)
}
STEPS = {name: sample for name, sample in SAMPLES.items() if not sample.op.vjps}


def table(samples: dict[str, Sample]) -> Any:
    return pytest.mark.parametrize("sample", samples.values(), ids=list(samples))


def missing_pieces(op: Op) -> list[str]:
    """What an op's entry lacks."""
    mine = [sample for sample in SAMPLES.values() if sample.op is op]
    arity = len(mine[0].inputs) if mine else 0
    pieces = {
        "a family": op.family in FAMILIES,
        "a call in tests/calls.py that applies it": bool(mine),
        "a call on a number or on nothing": any(
            () in sample.shapes or any(0 in shape for shape in sample.shapes) for sample in mine
        ),
        "domains": bool(op.domains) and all(d.low < d.high for d in op.domains),
        "a notation with its input": "{0}" in op.notation,
        "a vjp for an input": not op.vjps or any(op.vjps[k] for k in range(arity)),
    }
    return [piece for piece, there in pieces.items() if not there]


@pytest.mark.parametrize("op", OWN.values(), ids=list(OWN))
def test_entry_is_complete(op: Op) -> None:
    assert not missing_pieces(op)


def test_an_incomplete_entry_is_named() -> None:
    bare = Op("unary", "bare", np.exp, (), "bare({0})", None, ())
    try:
        assert set(missing_pieces(bare)) >= {
            "a call in tests/calls.py that applies it",
            "domains",
        }
    finally:
        del registry["bare"]


def test_the_fourteen_ops_of_the_origin_are_there() -> None:
    origin = "relu log exp sum max add sub mul pow reshape transpose slice matmul conv2d"
    assert set(origin.split()) <= set(registry)


@pytest.mark.parametrize(
    "sample", rows(DIFFERENTIABLE, slow=lambda sample: is_large(*sample.shapes))
)
def test_derivatives_to_second_order(sample: Sample) -> None:
    op, arrays = sample.op, sample.arrays()
    floats = float_positions(arrays)

    def f(*xs: Any) -> Any:
        inputs = list(arrays)
        for k, x in zip(floats, xs, strict=True):
            inputs[k] = x
        return op(*inputs, **sample.attributes)

    check_gradients(f, *(arrays[k] for k in floats), order=2)


def run(sample: Sample, arrays: list[np.ndarray]) -> tuple[Tensor, list[np.ndarray]]:
    """Forward and backward, from a fixed cotangent."""
    tensors = [Tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    y = sample.op(*tensors, **sample.attributes)
    y.backward(np.cos(np.arange(y.size)).reshape(y.shape))
    return y, [np.zeros(t.shape) if t.grad is None else t.grad for t in tensors if t.requires_grad]


# Of them all, only astype has an output of another dtype than its input's: the one it is told.
@table({name: s for name, s in DIFFERENTIABLE.items() if s.op.name != "astype"})
def test_float32_stays_float32_and_agrees(sample: Sample) -> None:
    arrays = sample.arrays()
    y, gradients = run(sample, arrays)
    singles = [x.astype(np.float32) if x.dtype.kind == "f" else x for x in arrays]
    y32, gradients32 = run(sample, singles)
    assert y32.dtype in (np.float32, np.complex64)
    np.testing.assert_allclose(y32.data, y.data, rtol=2e-5, atol=2e-5)
    for g32, g in zip(gradients32, gradients, strict=True):
        assert g32.dtype == np.float32 or not g32.any()
        np.testing.assert_allclose(g32, g, rtol=2e-4, atol=2e-4)


def strided(x: np.ndarray) -> np.ndarray:
    """The same values, every second one of an array that runs backwards."""
    if x.ndim == 0:
        return np.array([x, x])[1]
    wide = np.repeat(x, 2, axis=-1)[..., ::-1].copy()
    return wide[..., ::-2] if x.size else x


def fortran(x: np.ndarray) -> np.ndarray:
    return np.array(x, order="F")


@pytest.mark.parametrize("layout", [strided, fortran])
@table(DIFFERENTIABLE)
def test_layout_in_memory_does_not_matter(sample: Sample, layout: Any) -> None:
    arrays = sample.arrays()
    y, gradients = run(sample, arrays)
    y_there, gradients_there = run(sample, [np.asarray(layout(x)) for x in arrays])
    np.testing.assert_allclose(y_there.data, y.data, rtol=1e-12)
    for there, g in zip(gradients_there, gradients, strict=True):
        np.testing.assert_allclose(there, g, rtol=1e-12, atol=1e-12)


@table(SAMPLES)
def test_inputs_are_left_alone_and_the_forward_is_the_array_function(sample: Sample) -> None:
    op, arrays = sample.op, sample.arrays()
    before = [x.copy() for x in arrays]
    for x in arrays:
        x.setflags(write=False)
    expected = op.forward(*arrays, **sample.attributes)
    tensors = [Tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    y = sample.op(*tensors, **sample.attributes)
    assert isinstance(y, Tensor)
    np.testing.assert_array_equal(y.data, expected)
    assert y.dtype == np.asarray(expected).dtype
    if y.requires_grad:
        cotangent = np.ones(y.shape)
        cotangent.setflags(write=False)
        y.backward(cotangent)
    for x, was in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(x, was)


@table(STEPS)
def test_ops_without_a_derivative_record_and_carry_no_gradient(sample: Sample) -> None:
    tensors = [Tensor(x, requires_grad=x.dtype.kind == "f") for x in sample.arrays()]
    y = sample.op(*tensors, **sample.attributes)
    assert not y.requires_grad
    assert (y.node.op is sample.op) == any(t.requires_grad for t in tensors)
    with pytest.raises(minigrad.errors.GradientError, match="needs no gradient"):
        y.backward(np.ones(y.shape))


def test_an_op_on_plain_arrays_gives_a_plain_array() -> None:
    assert isinstance(registry["relu"](np.array([-1.0, 1.0])), np.ndarray)


def test_two_ops_cannot_have_the_same_name() -> None:
    exp = registry["exp"]
    with pytest.raises(ValueError, match="exp"):
        Op("unary", "exp", np.exp, exp.vjps, "exp({0})", "exp({0})")
