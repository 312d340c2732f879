"""Every op of the registry, over all its samples, by the same checks."""

from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, check_gradients
from minigrad.ops.base import Op, Sample, registry
from tests.draw import float_positions, inputs_of, samples_of

FAMILIES = {"unary", "reduce", "binary", "movement", "processing"}
DIFFERENTIABLE = list(samples_of(differentiable=True))
ALL = DIFFERENTIABLE + list(samples_of(differentiable=False))


def table(rows: list[Any]) -> Any:
    return pytest.mark.parametrize(
        ("op", "sample"), [row[:2] for row in rows], ids=[row[2] for row in rows]
    )


def missing_pieces(op: Op) -> list[str]:
    """What an op's entry lacks."""
    arity = len(op.samples[0].inputs) if op.samples else 0
    rules = [op.vjps[k] for k in range(arity)] if op.vjps else []
    kinds = {type(x) for sample in op.samples for x in sample.inputs}
    shapes = [x for sample in op.samples for x in sample.inputs if isinstance(x, tuple)]
    return [
        piece
        for piece, there in {
            "a family": op.family in FAMILIES,
            "samples": bool(op.samples) and kinds <= {tuple, np.ndarray},
            "an empty or 0-d sample": () in shapes or any(0 in shape for shape in shapes),
            "domains": bool(op.domains) and all(d.low < d.high for d in op.domains),
            "a notation with its input": "{0}" in op.notation,
            "a lowering": bool(op.lowering.strip()),
            "a vjp for an input": not op.vjps or any(rules),
        }.items()
        if not there
    ]


@pytest.mark.parametrize("op", registry.values(), ids=list(registry))
def test_entry_is_complete(op: Op) -> None:
    assert not missing_pieces(op)


def test_an_incomplete_entry_is_named() -> None:
    bare = Op("bare", "unary", np.exp, (), "", "", (), ())
    try:
        assert set(missing_pieces(bare)) >= {"samples", "domains", "a lowering"}
    finally:
        del registry["bare"]


def test_the_fourteen_ops_of_the_origin_are_there() -> None:
    origin = "relu log exp sum max add sub mul pow reshape transpose slice matmul conv2d"
    assert set(origin.split()) <= set(registry)


@table(DIFFERENTIABLE)
def test_derivatives_to_second_order(op: Op, sample: Sample) -> None:
    arrays = inputs_of(op, sample)
    floats = float_positions(arrays)

    def f(*xs: Any) -> Any:
        inputs = list(arrays)
        for k, x in zip(floats, xs, strict=True):
            inputs[k] = x
        return op(*inputs, **sample.attributes)

    check_gradients(f, *(arrays[k] for k in floats), order=2)


def run(op: Op, arrays: list[np.ndarray], sample: Sample) -> tuple[Tensor, list[np.ndarray]]:
    """Forward and backward, from a fixed cotangent."""
    tensors = [Tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    y = op(*tensors, **sample.attributes)
    y.backward(np.cos(np.arange(y.size)).reshape(y.shape))
    return y, [np.zeros(t.shape) if t.grad is None else t.grad for t in tensors if t.requires_grad]


# Of them all, only astype has an output of another dtype than its input's: the one it is told.
@table([row for row in DIFFERENTIABLE if row[0].name != "astype"])
def test_float32_stays_float32_and_agrees(op: Op, sample: Sample) -> None:
    arrays = inputs_of(op, sample)
    y, gradients = run(op, arrays, sample)
    singles = [x.astype(np.float32) if x.dtype.kind == "f" else x for x in arrays]
    y32, gradients32 = run(op, singles, sample)
    assert y32.dtype == np.float32
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
def test_layout_in_memory_does_not_matter(op: Op, sample: Sample, layout: Any) -> None:
    arrays = inputs_of(op, sample)
    y, gradients = run(op, arrays, sample)
    y_there, gradients_there = run(op, [np.asarray(layout(x)) for x in arrays], sample)
    np.testing.assert_allclose(y_there.data, y.data, rtol=1e-12)
    for there, g in zip(gradients_there, gradients, strict=True):
        np.testing.assert_allclose(there, g, rtol=1e-12, atol=1e-12)


@table(ALL)
def test_inputs_are_left_alone_and_the_forward_is_the_array_function(
    op: Op, sample: Sample
) -> None:
    arrays = inputs_of(op, sample)
    before = [x.copy() for x in arrays]
    for x in arrays:
        x.setflags(write=False)
    expected = op.forward(*arrays, **sample.attributes)
    tensors = [Tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    y = op(*tensors, **sample.attributes)
    assert isinstance(y, Tensor)
    np.testing.assert_array_equal(y.data, expected)
    assert y.dtype == np.asarray(expected).dtype
    if y.requires_grad:
        cotangent = np.ones(y.shape)
        cotangent.setflags(write=False)
        y.backward(cotangent)
    for x, was in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(x, was)


@table(list(samples_of(differentiable=False)))
def test_ops_without_a_derivative_record_and_carry_no_gradient(op: Op, sample: Sample) -> None:
    tensors = [Tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs_of(op, sample)]
    y = op(*tensors, **sample.attributes)
    assert not y.requires_grad
    assert (y.node.op is op) == any(t.requires_grad for t in tensors)
    with pytest.raises(minigrad.errors.GradientError, match="needs no gradient"):
        y.backward(np.ones(y.shape))


def test_an_op_on_plain_arrays_gives_a_plain_array() -> None:
    assert isinstance(registry["relu"](np.array([-1.0, 1.0])), np.ndarray)


def test_two_ops_cannot_have_the_same_name() -> None:
    exp = registry["exp"]
    with pytest.raises(ValueError, match="exp"):
        Op("exp", "unary", np.exp, exp.vjps, "", "", exp.domains, exp.samples)
