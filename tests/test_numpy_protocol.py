"""NumPy's functions on Tensors: the same values as NumPy gives on arrays, and right derivatives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, check_gradients
from minigrad.errors import GradientError, ShapeError, UnsupportedError
from tests import calls
from tests.calls_rest import REST
from tests.marks import is_large, rows

A, B, M, V, STACK = calls.A, calls.B, calls.M, calls.V, calls.STACK


def cases(table: dict[str, Any]) -> Any:
    return pytest.mark.parametrize(("f", "arrays"), table.values(), ids=list(table))


@cases(calls.NUMPY | REST)
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


@pytest.mark.parametrize(
    "case",
    rows(calls.NUMPY, slow=lambda case: is_large(*(x.shape for x in case[1])))
    + rows(REST, slow=lambda case: True),
)
def test_derivatives(case: tuple[Any, Any]) -> None:
    f, arrays = case
    check_gradients(f, *arrays, order=2)


@cases(REST)
def test_slopes_along_a_direction(f: Any, arrays: Any) -> None:
    """The gradient, and the gradient of one of its components, against central differences."""
    rng = np.random.default_rng(2)
    way = [rng.uniform(-1, 1, x.shape) for x in arrays]
    weights = np.cos(np.arange(np.size(f(*arrays)))).reshape(np.shape(f(*arrays)))

    def value(*xs: Any) -> Any:
        return np.sum(f(*xs) * weights)

    def slope(*xs: Any) -> Any:
        found = minigrad.vjp(value, *xs)[1](1.0)
        return sum(np.sum(g * d) for g, d in zip(found, way, strict=True))

    def rise(g: Any) -> Any:
        up, down = ([x + h * d for x, d in zip(arrays, way, strict=True)] for h in (1e-6, -1e-6))
        return (g(*up) - g(*down)) / 2e-6

    np.testing.assert_allclose(slope(*arrays), rise(value), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(
        minigrad.jvp(slope, arrays, way)[1], rise(slope), rtol=1e-5, atol=1e-6
    )


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


@cases(PLAIN)
def test_questions_are_answered_in_plain_values(f: Any, arrays: Any) -> None:
    answer = f(*(Tensor(x, requires_grad=True) for x in arrays))
    assert not isinstance(answer, Tensor)
    assert answer == f(*arrays)


@cases(calls.CONSTANT)
def test_answers_without_gradient_are_tensors(f: Any, arrays: Any) -> None:
    expected = f(*arrays)
    answer = f(*(Tensor(x, requires_grad=True) for x in arrays))
    assert isinstance(answer, Tensor)
    assert not answer.requires_grad
    assert answer.dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(answer.data, expected)


def test_out_may_be_of_any_dtype_by_an_unsafe_cast() -> None:
    out: Any
    for out in (np.zeros(A.shape, int), Tensor(np.zeros(A.shape, int))):
        assert np.multiply(Tensor(A), 3, out=out, casting="unsafe") is out
        np.testing.assert_array_equal(np.asarray(out), (A * 3).astype(int))


def test_nonzero_gives_one_array_for_each_axis() -> None:
    for found, expected in zip(np.nonzero(Tensor(A > 1)), np.nonzero(A > 1), strict=True):
        np.testing.assert_array_equal(found.data, expected)


T: Any = Tensor(A, requires_grad=True)

REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "with advice": (lambda: np.savez("x.npz", T), r"np\.savez is not supported.*minigrad\.save"),
    "unknown ufunc": (lambda: np.isnat(T), r"np\.isnat is not supported.*dates"),
    "out": (lambda: np.add(T, 1, out=np.zeros((3, 4))), r"plain array \(out="),
    "array += tensor": (lambda: A.copy().__iadd__(T), r"plain array .*a = a \+ t"),
    "where": (lambda: np.exp(T, where=A > 1), r"np\.exp with where= and without out=.*undefined"),
    "where of a maximum": (lambda: np.max(T, where=A > 1), r"needs initial="),
    "out of a reduction": (lambda: np.sum(T, out=np.zeros(())), r"plain array \(out="),
    "at": (lambda: np.add.at(A.copy(), 0, T), r"np\.add\.at of a Tensor into a plain"),
    "copyto": (lambda: np.copyto(A.copy(), T), r"np\.copyto of a Tensor into a plain array"),
    "put": (lambda: np.put(A.copy(), [0], T), r"np\.put of a Tensor into a plain array"),
    "place": (lambda: np.place(A.copy(), A > 1, T), r"np\.place of a Tensor into a plain"),
    "putmask": (lambda: np.putmask(A.copy(), A > 1, T), r"np\.putmask of a Tensor into a plain"),
    "put_along_axis": (
        lambda: np.put_along_axis(A.copy(), np.array([[0]]), T[:1, :1], 0),
        r"np\.put_along_axis of a Tensor into a plain array",
    ),
    "writeable windows": (
        lambda: np.lib.stride_tricks.sliding_window_view(T, 2, 1, writeable=True),
        r"writeable=True",
    ),
}


def test_fill_diagonal_of_a_plain_array_by_a_tensor_is_refused() -> None:
    """NumPy does not ask Tensors there, and reads the numbers."""
    with pytest.raises(GradientError, match="a plain array holds no gradient"):
        np.fill_diagonal(A.copy(), T[0])


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=list(REFUSED))
def test_unsupported_functions_are_refused_by_name(call: Any, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        call()


def test_the_advice_for_sums_by_index_gives_what_numpy_does() -> None:
    index = np.arange(4099) * 7919 % 257
    base = np.linspace(0, 1, 257)

    def energy(v: Any) -> Any:
        sums = base + minigrad.vjp(lambda a: a[index], base)[1](v)[0]
        return np.sum(sums**2) / 2

    v = np.sin(np.arange(4099.0))
    expected = base.copy()
    np.add.at(expected, index, v)
    np.testing.assert_allclose(energy(v), np.sum(expected**2) / 2, rtol=1e-12)
    for f in (minigrad.grad(energy), minigrad.compile(minigrad.grad(energy))):
        np.testing.assert_allclose(f(v), expected[index], rtol=1e-10, atol=1e-12)


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
    "pad": (lambda: np.pad(T, [1, 2, 3]), r"broadcast_to\(.*\(3, 4\)"),
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
