"""Tracers: reading their values is refused, and results have the types that NumPy gives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.compiler import compile
from minigrad.errors import TraceError, UnsupportedError
from minigrad.transforms import leaves_of

pytestmark = pytest.mark.unoptimized


READS: dict[str, Callable[[Any], Any]] = {
    "float": lambda x: float(x.sum()),
    "item": lambda x: x.sum().item(),
    "if": lambda x: x if x.sum() > 0 else -x,
    "and": lambda x: x.sum() > 0 and x,
    "int": lambda x: x[int(x.sum())],
    "list": lambda x: x.tolist(),
    "np.sort": lambda x: np.linalg.svd(x[None]),
    "max": lambda x: max(x),
    "mask": lambda x: x[x > 0],
}


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("wrap", [np.array, Tensor])
def test_reading_a_value_is_an_error_that_says_what_to_do(name: str, wrap: Any) -> None:
    with pytest.raises((TraceError, UnsupportedError)) as caught:
        compile(READS[name])(wrap([1.0, 2.0, 3.0]))
    message = str(caught.value)
    assert f"at {__file__}" in message
    assert any(words in message for words in ("np.where", "read it outside", "not supported"))


def test_printing_says_what_stands_there(capsys: pytest.CaptureFixture[str]) -> None:
    @compile
    def f(x: Any) -> Any:
        print(f"{x} and", Tensor(x) * 2)
        return x

    f(np.ones(3, np.float32))
    traced = "<traced float32 array of shape (3,)>"
    assert capsys.readouterr().out.startswith(f"{traced} and Tensor({traced}, dtype=float32)")


def test_writing_a_tracer_into_a_plain_array_is_refused() -> None:
    def fill(x: Any) -> Any:
        y = np.zeros(3)
        y[0] = x[0]
        return y

    with pytest.raises(TraceError, match=r"or writing it into an array"):
        compile(fill)(np.ones(3))


def test_arrays_like_a_traced_one_can_be_filled() -> None:
    def fill(x: Any, n: Any) -> Any:
        y, z = np.zeros_like(x), np.ones_like(n, shape=(2, 3))
        y[0] = x[1]
        z[1] = n[:3]
        a, b = np.full_like(x, 2.5), np.full_like(n, fill_value=2.5)
        c = np.full_like(x, n[0], dtype=np.float64)
        d = np.empty_like(x, np.int64)
        d[...] = n
        ones = np.ones_like(x.sum())
        return y, z, a, b, c, d, ones, np.full_like(a, x), np.zeros_like(n, dtype=bool)

    x, n = np.arange(4, dtype=np.float32), np.array([5, 6, 7, 8])
    compiled = compile(fill)
    for _ in range(3):
        for one, other in zip(compiled(x, n), fill(x, n), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        x, n = x + 1, n + 1


NUMBERS: dict[str, Any] = {
    "reductions": lambda x: (x.sum(), x.mean(), np.max(x), x.argmax(), (x > 0).any(), x.sum(0)),
    "entries": lambda x: (x[0, 0], x[0, 0, ...], np.take(x, 2), x.cumsum()[-1], [*x[0]]),
    "of numbers": lambda x: (
        x.sum() + 1,
        -x.sum(),
        np.exp(x[0, 0]),
        x.sum().astype("f"),
        x.sum().T,
    ),
    "products": lambda x: (x[0] @ x[1], np.einsum("ij->", x), np.linalg.norm(x), x[0] @ x.T),
    "arrays": lambda x: (
        np.zeros_like(x.sum()),
        np.where(x[0, 0] > 0, 1.0, 2.0),
        x[:1, 0].squeeze(),
    ),
    "shapes": lambda x: (x.sum().reshape(1), x.sum(keepdims=True), x[:1, :1].reshape(())),
    "containers": lambda x: {"a": x.sum(), "b": [x, x.min()], "c": (3, np.float32(2), None)},
}


@pytest.mark.parametrize("name", NUMBERS)
def test_results_have_numpys_types(name: str) -> None:
    f, x = NUMBERS[name], np.arange(6.0).reshape(2, 3)
    expected, found = leaves_of(f(x)), leaves_of(compile(f)(x))
    for (at, y), (_, z) in zip(expected, found, strict=True):
        assert type(z) is type(y), at
        np.testing.assert_array_equal(z, y)


def test_an_array_without_axes_stays_one() -> None:
    def f(x: Any) -> Any:
        return x, x[...], x[()], x + 1, x.copy(), x.reshape(()), x.T, x.astype(np.float32)

    x = np.array(3.0)
    assert [type(y) for y in compile(f)(x)] == [type(y) for y in f(x)]
    loss = compile(np.sum)(np.ones(3))
    assert isinstance(loss, float) and {3.0: 1}[loss] == 1 and f"{loss:.2f}" == "3.00"
