"""NumPy's functions on Tensors: the same values as NumPy gives on arrays, and right derivatives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, check_gradients
from minigrad.errors import ShapeError, UnsupportedError

RNG = np.random.default_rng(1)
A = RNG.uniform(0.3, 2.0, (3, 4))
B = RNG.uniform(0.3, 2.0, (3, 4))
M = RNG.uniform(-1.0, 1.0, (4, 2))
V = RNG.uniform(-1.0, 1.0, 4)
STACK = RNG.uniform(-1.0, 1.0, (2, 3, 4))

# Each of arrays only; NumPy's own answer on the arrays is the reference.
DIFFERENTIABLE: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    # reduce
    "sum": (lambda a: np.sum(a, axis=1), (A,)),
    "sum axis tuple": (lambda a: np.sum(a, axis=(0, -1), keepdims=True), (STACK,)),
    "max": (lambda a: np.max(a, axis=-1), (A,)),
    "amin": (lambda a: np.amin(a), (A,)),
    "mean": (lambda a: np.mean(a, axis=0), (A,)),
    "mean of all": (np.mean, (A,)),
    "prod": (lambda a: np.prod(a, axis=1, keepdims=True), (A,)),
    "prod axes": (lambda a: np.prod(a, axis=(2, 0)), (STACK,)),
    "prod with zeros": (np.prod, (np.array([0.0, 2.0, 0.0, 3.0]),)),
    "prod of nothing": (lambda a: np.prod(a, axis=0), (np.zeros((0, 2)),)),
    "var": (lambda a: np.var(a, axis=1), (A,)),
    "var ddof": (lambda a: np.var(a, ddof=1, keepdims=True), (A,)),
    "std": (lambda a: np.std(a, axis=(0, 1)), (A,)),
    "cumsum": (lambda a: np.cumsum(a, axis=1), (A,)),
    "cumsum flat": (np.cumsum, (A,)),
    "ptp": (lambda a: np.ptp(a, axis=0), (A,)),
    "norm": (np.linalg.norm, (A,)),
    "norm axis": (lambda a: np.linalg.norm(a, axis=1, keepdims=True), (A,)),
    "add.reduce": (np.add.reduce, (A,)),
    "multiply.reduce": (lambda a: np.multiply.reduce(a, axis=1), (A,)),
    "maximum.reduce": (lambda a: np.maximum.reduce(a, axis=None), (A,)),
    "minimum.reduce": (np.minimum.reduce, (A,)),
    "logaddexp.reduce": (lambda a: np.logaddexp.reduce(a, axis=1), (A,)),
    "add.accumulate": (lambda a: np.add.accumulate(a, axis=1), (A,)),
    # binary
    "operators": (lambda a, b: (a + b) * (a - b) / b - -a + 2**b + a**2.5 + abs(a), (A, B)),
    "reflected operators": (lambda a: 1 + (2 - (3 * (4 / a))) + a % 0.7 + 5 % a, (A,)),
    "array op tensor": (lambda a: A + A * a - A / a + (A - a) ** 2, (B,)),
    "hypot arctan2": (lambda a, b: np.hypot(a, b) * np.arctan2(a, b), (A, B)),
    "logaddexp": (np.logaddexp, (A, B)),
    "maximum minimum": (lambda a, b: np.maximum(a, b) * np.minimum(a, 0.9), (A, B)),
    "where": (lambda a, b: np.where(a > b, a, b * b), (A, B)),
    "clip": (lambda a: np.clip(a, 0.5, 1.5), (A,)),
    "clip min only": (lambda a: np.clip(a, 0.5, None), (A,)),
    "clip by keyword": (lambda a: np.clip(a, min=0.5, max=1.5), (A,)),
    "multiply.outer": (np.multiply.outer, (V, M)),
    "subtract.outer": (np.subtract.outer, (V, V)),
    "fmod": (lambda a: np.fmod(a, 0.7), (A,)),
    # unary
    "log2 log10 exp2": (lambda a: np.log2(a) + np.log10(a) * np.exp2(a), (A,)),
    "cbrt": (np.cbrt, (A,)),
    "degrees": (lambda a: np.degrees(a) + np.rad2deg(a) * np.radians(a) + np.deg2rad(a), (A,)),
    "fabs positive": (lambda a: np.fabs(a) * np.positive(a), (A,)),
    # movement
    "reshape": (lambda a: np.reshape(a, (2, -1)), (A,)),
    "reshape int": (lambda a: np.reshape(a, -1), (A,)),
    "transpose": (np.transpose, (A,)),
    "transpose axes": (lambda a: np.transpose(a, (1, -1, 0)), (STACK,)),
    "swapaxes": (lambda a: np.swapaxes(a, 0, -1), (STACK,)),
    "moveaxis": (lambda a: np.moveaxis(a, (0, 1), (-1, 0)), (STACK,)),
    "matrix_transpose": (np.matrix_transpose, (STACK,)),
    "broadcast_to": (lambda a: np.broadcast_to(a, (2, 3, 4)), (A,)),
    "expand_dims": (lambda a: np.expand_dims(a, (0, -1)), (A,)),
    "squeeze": (np.squeeze, (A[:, :1],)),
    "squeeze axis": (lambda a: np.squeeze(a, axis=-1), (A[:1, :1],)),
    "ravel": (np.ravel, (A,)),
    "atleast": (lambda v: np.atleast_1d(v[0]) * np.atleast_2d(v), (V,)),
    "pad": (lambda a: np.pad(a, ((1, 2), (0, 1))), (A,)),
    "pad value": (lambda a: np.pad(a, 1, constant_values=2.0), (A,)),
    "pad reflect": (lambda a: np.pad(a, (1, 2), mode="reflect"), (A,)),
    "pad edge": (lambda a: np.pad(a, 2, mode="edge"), (A,)),
    "pad wrap": (lambda a: np.pad(a, ((0, 1), (2, 0)), mode="wrap"), (A,)),
    "flip": (np.flip, (A,)),
    "flip axis": (lambda a: np.flip(a, (0, -1)), (STACK,)),
    "roll": (lambda a: np.roll(a, 5), (A,)),
    "roll axis": (lambda a: np.roll(a, (1, -2), axis=(0, 1)), (A,)),
    "concatenate": (lambda a, b: np.concatenate([a, b, A], axis=1), (A, B)),
    "concatenate flat": (lambda a, v: np.concatenate((a, v), axis=None), (A, V)),
    "stack": (lambda a, b: np.stack([a, b], axis=-1), (A, B)),
    "hstack": (lambda a, b: np.hstack([a, b]), (A, B)),
    "hstack 1-d": (lambda v: np.hstack((v, v)), (V,)),
    "vstack": (lambda a, v: np.vstack([a, v]), (A, V)),
    "append": (lambda a, v: np.append(a, v), (A, V)),
    "split": (lambda a: np.split(a, 2, axis=1)[1], (A,)),
    "array_split": (lambda a: np.array_split(a, 3, axis=1)[0], (A,)),
    "split at": (lambda a: np.split(a, [1, 1, 3], axis=1)[2], (A,)),
    "repeat": (lambda a: np.repeat(a, 2, axis=1), (A,)),
    "repeat each": (lambda a: np.repeat(a, [0, 2, 1], axis=0), (A,)),
    "repeat flat": (lambda a: np.repeat(a, 3), (A,)),
    "tile": (lambda a: np.tile(a, (2, 1, 3)), (A,)),
    "tile int": (lambda a: np.tile(a, 2), (A,)),
    "take": (lambda a: np.take(a, [0, 2, 2], axis=1), (A,)),
    "take flat": (lambda a: np.take(a, [[0, 11], [5, 5]]), (A,)),
    "take_along_axis": (
        lambda a: np.take_along_axis(a, np.array([[0], [3], [3]]), axis=1),
        (A,),
    ),
    "sort": (lambda a: np.sort(a, axis=0), (A,)),
    "sort flat": (lambda a: np.sort(a, axis=None), (A,)),
    "diagonal": (lambda a: np.diagonal(a, -1), (A,)),
    "diagonal axes": (lambda a: np.diagonal(a, 1, 0, 2), (STACK,)),
    "diag of vector": (lambda v: np.diag(v, 2), (V,)),
    "diag of matrix": (lambda a: np.diag(a, 1), (A,)),
    "trace": (lambda a: np.trace(a, 1), (A,)),
    "rot90": (np.rot90, (A,)),
    "resize": (lambda a: np.resize(a, (2, 7)), (A,)),
    "rollaxis": (lambda a: np.rollaxis(a, 2), (STACK,)),
    "permute_dims": (lambda a: np.permute_dims(a, (2, 0, 1)), (STACK,)),
    "triu tril": (lambda a: np.triu(a, 1) * 2 + np.tril(a, -1), (A,)),
    "diff": (lambda a: np.diff(a, n=2, axis=1), (A,)),
    "copy astype": (lambda a: np.copy(a) * np.astype(a, np.float64), (A,)),
    # indexing
    "int": (lambda a: a[1], (A,)),
    "negative step": (lambda a: a[::-2, 1:3], (A,)),
    "new axis and ellipsis": (lambda a: a[None, ..., None, 0], (A,)),
    "integer array": (lambda a: a[np.array([0, 0, 2])], (A,)),
    "list": (lambda a: a[[2, 0]], (A,)),
    "two arrays": (lambda a: a[np.array([0, 2]), np.array([1, 1])], (A,)),
    "separated arrays": (lambda a: a[np.array([0, 1]), :, np.array([3, 3])], (STACK,)),
    "boolean array": (lambda a: a[A > 1], (A,)),
    "boolean rows": (lambda a: a[np.array([True, False, True]), ::2], (A,)),
    # processing
    "matmul": (np.matmul, (A, M)),
    "matmul vectors": (lambda v, m: v @ m + (m.T @ v) * (v @ v), (V, M)),
    "matmul stack": (lambda s, m: s @ m, (STACK, M)),
    "matmul broadcast": (lambda s, a: s[:, None] @ np.swapaxes(s, 1, 2) @ a, (STACK, A)),
    "matmul stack by vector": (lambda s, v: s @ v, (STACK, V)),
    "matmul vector by stack": (lambda v, s: v @ np.swapaxes(s, 1, 2), (V, STACK)),
    "array @ tensor": (lambda m: A @ m, (M,)),
    "dot": (lambda a, m: np.dot(a, m) * np.dot(2.0, 3.0), (A, M)),
    "dot of stacks": (lambda s: np.dot(s, np.swapaxes(s, 1, 2)), (STACK,)),
    "dot by number": (lambda a: np.dot(a, 3.0), (A,)),
    "vdot": (np.vdot, (A, B)),
    "inner": (np.inner, (A, B)),
    "inner 1-d": (lambda v: np.inner(v, v) * np.inner(2.0, v), (V,)),
    "outer": (np.outer, (V, A)),
    "tensordot": (lambda s, a: np.tensordot(s, a, axes=2), (STACK, A)),
    "tensordot axes": (lambda s, a: np.tensordot(s, a, axes=([2, 1], [1, 0])), (STACK, A)),
    "tensordot zero": (lambda v: np.tensordot(v, v, axes=0), (V,)),
    "einsum matmul": (lambda a, m: np.einsum("ij,jk->ik", a, m), (A, M)),
    "einsum implicit": (lambda a, m: np.einsum("ij,jk", a, m), (A, M)),
    "einsum transpose": (lambda a: np.einsum("ba", a), (A,)),
    "einsum trace": (lambda a: np.einsum("ii->", a), (A[:, :3],)),
    "einsum diagonal": (lambda a: np.einsum("ii->i", a), (A[:, :3],)),
    "einsum three": (lambda a, m, v: np.einsum("ij,jk,j->ik", a, m, v), (A, M, V)),
    "einsum batch": (lambda s, t: np.einsum("bij,bkj->bik", s, t), (STACK, STACK)),
    "einsum ellipsis": (lambda s, m: np.einsum("...j,jk->...k", s, m), (STACK, M)),
    "einsum ellipsis broadcast": (lambda s, a: np.einsum("...ij,...ij->...j", s, a), (STACK, A)),
    "einsum outer": (lambda v: np.einsum("i,j->ji", v, v), (V,)),
    "einsum sums alone": (lambda a, v: np.einsum("ij,k->i", a, v), (A, V)),
    "einsum Hadamard": (lambda a, b: np.einsum("ij,ij->ij", a, b), (A, B)),
}


def cases(table: dict[str, Any]) -> Any:
    return pytest.mark.parametrize(("f", "arrays"), table.values(), ids=list(table))


@cases(DIFFERENTIABLE)
def test_values_and_dtypes_are_numpys(f: Any, arrays: Any) -> None:
    for dtype in (np.float64, np.float32):
        given = [x.astype(dtype) for x in arrays]
        expected = f(*given)
        result = f(*(Tensor(x, requires_grad=True) for x in given))
        assert isinstance(result, Tensor)
        assert result.requires_grad
        assert result.dtype == np.asarray(expected).dtype
        tolerance = 1e-12 if result.dtype == np.float64 else 1e-4
        np.testing.assert_allclose(result.data, expected, rtol=tolerance, atol=tolerance)


@cases(DIFFERENTIABLE)
def test_derivatives(f: Any, arrays: Any) -> None:
    check_gradients(f, *arrays, order=2)


# Answers that carry no gradient.
PLAIN: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "shape": (np.shape, (A,)),
    "ndim": (np.ndim, (A,)),
    "size": (np.size, (A,)),
    "len": (len, (A,)),
    "result_type": (np.result_type, (A,)),
    "array_equal": (np.array_equal, (A, A)),
    "allclose": (np.allclose, (A, B)),
}
CONSTANT: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "zeros_like": (np.zeros_like, (A,)),
    "ones_like": (np.ones_like, (A,)),
    "full_like": (lambda a: np.full_like(a, 3), (A,)),
    "isclose": (np.isclose, (A, B)),
    "count_nonzero": (np.count_nonzero, (A,)),
    "searchsorted": (lambda v: np.searchsorted(v, 0.1), (np.sort(V),)),
    "argmax": (lambda a: np.argmax(a, axis=1), (A,)),
    "argmin": (np.argmin, (A,)),
    "argsort": (lambda a: np.argsort(a, axis=0), (A,)),
    "any all": (lambda a: np.any(a > 1, axis=0) & np.all(a > 0, axis=0), (A,)),
    "logical_or.reduce": (lambda a: np.logical_or.reduce(a > 1, axis=1), (A,)),
    "comparisons": (lambda a, b: (a < b) | (a >= b) & (a == b) ^ (a != b), (A, B)),
    "logical": (lambda a, b: np.logical_and(a > 1, ~(b > 1)), (A, B)),
    "rounding": (lambda a: np.floor(a) + np.ceil(a) + np.trunc(a) + np.rint(a), (A,)),
    "round": (lambda a: np.round(a, 1), (A,)),
    "sign": (lambda a: np.sign(a - 1) + np.isnan(a) + np.isfinite(a), (A,)),
    "floor_divide": (lambda a: a // 0.7 + 3 // a, (A,)),
}


@cases(PLAIN)
def test_questions_are_answered_in_plain_values(f: Any, arrays: Any) -> None:
    answer = f(*(Tensor(x, requires_grad=True) for x in arrays))
    assert not isinstance(answer, Tensor)
    assert answer == f(*arrays)


@cases(CONSTANT)
def test_answers_without_gradient_are_tensors(f: Any, arrays: Any) -> None:
    expected = f(*arrays)
    answer = f(*(Tensor(x, requires_grad=True) for x in arrays))
    assert isinstance(answer, Tensor)
    assert not answer.requires_grad
    assert answer.dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(answer.data, expected)


def test_nonzero_gives_one_array_for_each_axis() -> None:
    for found, expected in zip(np.nonzero(Tensor(A > 1)), np.nonzero(A > 1), strict=True):
        np.testing.assert_array_equal(found.data, expected)  # type: ignore[attr-defined]


T = Tensor(A, requires_grad=True)

REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "unknown function": (lambda: np.linalg.svd(T), r"np\.linalg\.svd is not supported"),
    "with advice": (lambda: np.median(T), r"np\.median is not supported.*np\.sort"),
    "unknown ufunc": (lambda: np.spacing(T), r"np\.spacing is not supported"),
    "out": (lambda: np.add(T, 1, out=np.zeros((3, 4))), r"np\.add .*out="),
    "out a Tensor": (lambda: np.exp(T, out=T), r"np\.exp .*out="),
    "array += tensor": (lambda: A.copy().__iadd__(T), r"np\.add .*a = a \+ t"),
    "where": (lambda: np.exp(T, where=A > 1), r"np\.exp on a Tensor does not take .'where"),
    "dtype": (lambda: np.sum(T, dtype=int), r"np\.sum on a Tensor: .*'dtype'.*axis, keepdims"),
    "out of a reduction": (lambda: np.sum(T, out=np.zeros(())), r"np\.sum on a Tensor: .*'out'"),
    "at": (lambda: np.add.at(A.copy(), 0, T), r"np\.add\.at is not supported"),
    "reduceat": (lambda: np.add.reduceat(T, [0, 1]), r"np\.add\.reduceat is not supported"),
    "reduce of another": (lambda: np.arctan2.reduce(T), r"np\.arctan2\.reduce is not supported"),
    "one-argument where": (lambda: np.where(T > 1), r"np\.where\(condition\) alone"),
    "pad mode": (lambda: np.pad(T, 1, mode="mean"), r"mode='mean'.*reflect"),
    "norm order": (lambda: np.linalg.norm(T, ord=1), r"ord=1"),
    "reshape order": (lambda: np.reshape(T, (4, 3), order="F"), r"'F'"),
    "einsum lists": (lambda: np.einsum(T, [0, 1]), r"string"),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_not_supported_is_refused_by_name(call: Any, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        call()


MISFITS: dict[str, tuple[Callable[[], Any], str]] = {
    "broadcast": (lambda: T + np.ones(3), r"add\(.*\(3, 4\).*\(3,\).*broadcast"),
    "matmul": (lambda: T @ np.ones((3, 2)), r"\(3, 4\).*\(3, 2\).*4 columns.*3 rows"),
    "matmul number": (lambda: np.matmul(T, 2.0), r"use \*"),
    "axis": (lambda: T.sum(2), r"sum\(.*axis=2.*-2\.\.1"),
    "mean axis": (lambda: T.mean(2), r"\(3, 4\), axis=2.*-2\.\.1"),
    "axis of a number": (lambda: Tensor(1.0).max(1), r"no axes"),
    "reshape": (lambda: T.reshape(5, 2), r"reshape\(.*\(3, 4\).*\(5, 2\)"),
    "index": (lambda: T[3], r"slice\(.*\(3, 4\).*out of bounds"),
    "too many indices": (lambda: T[0, 0, 0], r"too many indices"),
    "array index": (lambda: T[[5]], r"out of bounds"),
    "transpose": (lambda: T.transpose(0, 0), r"repeated axis"),
    "concatenate": (lambda: np.concatenate([T, np.ones((3, 4, 1))]), r"concatenate\(.*dimension"),
    "concatenate nothing": (lambda: np.concatenate([T[:0]][:0] or [T], axis=3), r"axis 3"),
    "stack": (lambda: np.stack([T, T[0]]), r"stack of shapes.*\(3, 4\).*\(4,\)"),
    "squeeze": (lambda: np.squeeze(T, 0), r"axes of size 1"),
    "split": (lambda: np.split(T, 3, axis=1), r"3 equal parts"),
    "empty max": (lambda: T[:0].max(), r"max\(.*\(0, 4\).*no identity"),
    "take_along_axis": (lambda: np.take_along_axis(T, np.array([0]), 0), r"number of axes"),
    "einsum count": (lambda: np.einsum("ij,jk->ik", T), r"2 operands, not 1"),
    "einsum axes": (lambda: np.einsum("ijk->i", T), r"'ijk'.*\(3, 4\)"),
    "einsum output": (lambda: np.einsum("ij->k", T), r"'k'"),
    "einsum sizes": (lambda: np.einsum("ij,ij->i", T, np.ones((3, 5))), r"4 columns.*5 rows"),
    "tensordot": (lambda: np.tensordot(T, T, axes=1), r"4 columns.*3 rows"),
    "broadcast_to": (lambda: np.broadcast_to(T, (2, 4)), r"expand\(.*\(2, 4\)"),
}


@pytest.mark.parametrize(("call", "message"), MISFITS.values(), ids=list(MISFITS))
def test_shapes_that_do_not_fit_are_named_with_the_users_line(call: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message) as caught:
        call()
    assert "test_numpy_protocol.py" in str(caught.value)
    assert "lambda" in str(caught.value)
