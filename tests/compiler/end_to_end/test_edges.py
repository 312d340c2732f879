"""Where compiled arithmetic is most easily wrong: at the edges of numbers, shapes and memory.

What is expected is what NumPy computes of the same arrays, or the eager library.
"""

import collections
import os
import subprocess
import sys
import threading
from array import array as array_of_c
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, grad, nn, optim
from minigrad import functional as F
from minigrad.compiler import compile
from minigrad.errors import ShapeError
from minigrad.transforms.trees import leaves_of
from tests.marks import rows

RNG = np.random.default_rng(0)
KINDS = ["float32", "float64"]
# About vectors of 4, 8 and 16 entries, and tiles of them.
LENGTHS = [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 130]


def normal(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.asarray(RNG.standard_normal(shape)).astype(dtype)


def array(x: Any) -> np.ndarray:
    return np.asarray(x.data if isinstance(x, Tensor) else x)


def same(found: Any, expected: Any, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    """The same numbers, NaN and all, of the same dtypes and shapes."""
    for (at, x), (_, y) in zip(leaves_of(found), leaves_of(expected), strict=True):
        x, y = array(x), array(y)
        assert (x.dtype, x.shape) == (y.dtype, y.shape), at
        np.testing.assert_allclose(x, y, rtol, atol, err_msg=at)


def check(f: Callable[..., Any], *inputs: Any, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    with np.errstate(all="ignore"):
        expected = f(*inputs)
        same(compile(f)(*inputs), expected, rtol, atol)


# Numbers


SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 3.4e38, -3.4e38, 1e-45, -1e-40, 0.5]
PAIRS: dict[str, Callable[[Any, Any], Any]] = {
    "arithmetic": lambda x, y: (x + y, x - y, x * y, x / y),
    "comparisons": lambda x, y: (x < y, x <= y, x == y, x != y, x > y, x >= y),
    "maximum": lambda x, y: (np.maximum(x, y), np.minimum(x, y), F.relu(x), np.abs(y)),
    "where": lambda x, y: (np.where(x > y, x, y), np.where(np.isnan(x), y, x), np.clip(x, -1, 1)),
    "logaddexp": lambda x, y: (np.logaddexp(x, y), np.hypot(x, y), np.arctan2(x, y)),
    "powers": lambda x, y: (x**2, x**0.5, x**-1, np.square(y), np.abs(x) ** y),
    "activations": lambda x, y: (F.sigmoid(x), np.tanh(y), F.softplus(x), F.silu(y), F.gelu(x)),
    "roots and logarithms": lambda x, y: (np.sqrt(x), np.log(x), np.log1p(y), np.exp(x)),
    "rounding": lambda x, y: (np.floor(x), np.ceil(y), np.rint(x), np.trunc(y), np.sign(x)),
    "floored division": lambda x, y: (x % y, x // y, x % 0.7, 3 // y, np.remainder(-x, y)),
    "questions": lambda x, y: (np.isnan(x), np.isinf(x), np.isfinite(y), np.signbit(x)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PAIRS)
def test_special_numbers_beside_each_other(name: str, kind: str) -> None:
    special = np.array(SPECIAL).astype(kind)
    x, y = (np.tile(x.ravel(), 3)[1:] for x in np.meshgrid(special, special))
    check(PAIRS[name], x, y, atol=1e-30)


@pytest.mark.parametrize("kind", KINDS)
def test_the_sign_of_zero(kind: str) -> None:
    x = np.array([0.0, -0.0, 1.0, -1.0] * 9, kind)

    def f(x: Any) -> Any:
        return np.signbit(-x), np.signbit(x * 0), np.signbit(x * -1.0), 1 / (x * 0.0)

    check(f, x)


@pytest.mark.parametrize("kind", KINDS)
def test_reductions_of_special_numbers(kind: str) -> None:
    rows = np.array(
        [
            [np.nan, 1, 2], [1, np.nan, 2], [1, 2, np.nan], [np.inf, 1, np.nan], [np.inf, 1, 2],
            [-np.inf, 1, 2], [np.inf, -np.inf, 1], [-np.inf] * 3, [np.inf] * 3, [np.nan] * 3,
        ], kind,
    )  # fmt: skip

    def f(x: Any) -> Any:
        long = np.concatenate([x] * 11, axis=1)
        return [
            [how(each, axis=axis) for how in (np.sum, np.mean, np.max, np.min, F.logsumexp)]
            + [np.argmax(each, axis=axis), np.argmin(each, axis=axis)]
            + [np.any(np.isnan(each), axis=axis), np.all(np.isfinite(each), axis=axis)]
            for each in (x, long, x.T)
            for axis in (0, 1)
        ]

    check(f, rows)


def test_softmax_where_all_or_some_is_masked() -> None:
    x = normal(4, 17)
    x[0, 3:] = -np.inf
    x[1] = -np.inf  # all of it: nan, as in NumPy
    x[2, 5] = np.inf
    x[3, 5] = np.nan
    check(lambda x: (F.softmax(x), F.log_softmax(x), F.logsumexp(x, axis=1)), x)
    check(minigrad.grad(lambda x: np.sum(F.softmax(x)[0] ** 2)), x)


def test_attention_with_a_padding_mask() -> None:
    q, k, v = (normal(2, 3, 9, 4) for _ in range(3))
    allowed = np.arange(9) < np.array([9, 4])[:, None, None, None]

    def loss(q: Any, k: Any, v: Any, allowed: Any) -> Any:
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        return np.sum(y * y)

    check(minigrad.value_and_grad(loss, (0, 1, 2)), q, k, v, allowed)


IDENTITIES: dict[str, Callable[[Any], Any]] = {
    "cancelled sums": lambda x: (x + x - x, x * 2 - x, x / 0.5 - x, 3 * x - 2 * x - x, x - x),
    "cancelled products": lambda x: (x * x - x**2, np.sqrt(x * x - np.square(x)), x * x[::-1] + x),
    "there and back": lambda x: (x * 3 / 3, x * 2 * 0.5, x / 4 * 4, 1 / (1 / x), x / x, x * x / x),
    "roots": lambda x: (np.sqrt(np.square(x)), np.sqrt(x**2), np.sqrt(x) ** 2, (x + 1) - 1),
    "neutral": lambda x: (x * 0, x + 0.0, x - 0.0, 0.0 - x, x * 1, x / 1, x**1, x * -1),
    "unrolled": lambda x: (np.stack([x, x]).sum(0) - x, x[:, None].sum(1), x / 4 + x / 4),
}


@pytest.mark.parametrize("name", IDENTITIES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_step_of_arithmetic_is_left_out(name: str, kind: str) -> None:
    """To the last bit: what is infinite or NaN on the way is so at the end."""
    f, info = IDENTITIES[name], np.finfo(kind)
    x = np.array([*SPECIAL[:7], info.max, -info.max, 0.75 * info.max, info.tiny, 3.3, 1 / 3], kind)
    check(f, np.tile(x, 3), rtol=0, atol=0)
    check(f, x, rtol=0, atol=0)


def test_large_numbers_do_not_overflow_on_the_way() -> None:
    x = np.array([[1000.0, 1000.5, -1000.0], [-2000.0, -2001.0, -1999.0]], np.float32)
    target = np.array([2, 0])
    check(lambda x: (F.softmax(x), F.log_softmax(x), F.logsumexp(x, axis=1)), x)
    check(minigrad.grad(lambda x: F.cross_entropy(x, target)), x)
    check(lambda x: (F.sigmoid(x), np.tanh(x), F.softplus(x), F.logsigmoid(x), F.gelu(x)), x)


@pytest.mark.parametrize("kind", KINDS)
def test_denormal_numbers_are_kept(kind: str) -> None:
    tiny = np.finfo(kind).smallest_subnormal
    x = np.full(37, tiny, kind) * np.arange(37).astype(kind)
    found = compile(lambda x: (x + x, x * 1.0, np.sum(x), np.maximum(x, 0), x > 0))(x)
    for got, expected in zip(found, (x + x, x, np.sum(x), x, x > 0), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_functions_over_the_whole_line() -> None:
    x = np.concatenate([-np.logspace(-40, 38.4, 999), np.logspace(-40, 38.4, 999)])
    near = np.concatenate([np.linspace(-110, 110, 4001), np.linspace(-0.01, 0.01, 999)])
    for numbers in (x.astype(np.float32), x, near.astype(np.float32), near):

        def f(x: Any) -> Any:
            positive = np.abs(x)
            pairs = np.exp(x), np.expm1(x), np.tanh(x), F.sigmoid(x), F.erf(x), np.arctan(x)
            return *pairs, np.log(positive), np.log1p(positive), np.sqrt(positive), np.arcsinh(x)

        check(f, numbers, rtol=3e-6 if numbers.dtype == np.float32 else 1e-13, atol=1e-42)


def test_sine_and_cosine_of_large_numbers() -> None:
    x = np.concatenate([np.linspace(-1e5, 1e5, 4001), np.linspace(-4, 4, 999)])
    check(lambda x: (np.sin(x), np.cos(x)), x, rtol=1e-12, atol=1e-15)
    check(lambda x: (np.sin(x), np.cos(x)), x.astype(np.float32), rtol=2e-6, atol=1e-7)


# Integers and booleans


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_integers_wrap_around(kind: str) -> None:
    info = np.iinfo(kind)
    ends = [info.min, info.min + 1, info.max, info.max - 1, 0, 1, 2, 3, 100]
    x, y = (x.ravel() for x in np.meshgrid(np.array(ends, kind), np.array(ends, kind)))
    check(lambda x, y: (x + y, x - y, x * y, -x, ~x, np.abs(x), np.square(x), x + 1, x * 3), x, y)
    check(lambda x, y: (x // y, x % y), x, y)  # also by 0, and the least by -1
    check(lambda x, y: (np.maximum(x, y), x < y, x == y, np.sign(x), x & y, x | y, x ^ y), x, y)
    check(lambda x: (np.cumsum(x, axis=0), np.sum(x), np.max(x), np.min(x), np.argmax(x)), x)
    check(lambda x: (x.astype(np.int8), x.astype(np.float32), x.astype(bool), x / 2), x)
    least = np.full((4, 9), info.min, kind), np.full((4, 9), info.max, kind)
    check(lambda x, y: (x.max(1), x.max(0), y.min(1), x.argmax(0), y.argmin()), *least)


@pytest.mark.parametrize("kind", ["int8", "int32", "int64"])
def test_integers_are_divided_towards_less(kind: str) -> None:
    x, y = (x.ravel() for x in np.meshgrid(np.arange(-9, 10), [-7, -3, -2, -1, 1, 2, 3, 7]))
    check(lambda x, y: (x // y, x % y, x / y), x.astype(kind), y.astype(kind))
    check(lambda x: (x // 3, x % 3, x // -3, x % -3, x**2, x**3), x.astype(kind))


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_floats_are_divided_towards_less_to_the_last_digit(kind: str) -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=4000) * 10.0 ** rng.integers(-9, 9, 4000) for _ in range(2))
    whole = rng.integers(-50, 50, 4000) * np.array(0.1, kind)
    for numbers in (x, whole):
        check(lambda x, y: (x // y, x % y), numbers.astype(kind), y.astype(kind), rtol=0, atol=0)
        check(lambda x: (x // 0.1, x % 0.1), numbers.astype(kind), rtol=0, atol=0)


def test_booleans_are_no_integers() -> None:
    x, y = (x.ravel() for x in np.meshgrid([True, False], [True, False] * 9))
    check(lambda x, y: (x + y, x * y, ~x, x & y, x | y, x ^ y, x == y, x < y), x, y)
    check(
        lambda x, y: (np.logical_not(x), np.maximum(x, y), np.minimum(x, y), x + 1, x * 2.5), x, y
    )
    check(lambda x: (np.sum(x), np.mean(x), np.any(x), np.all(x), np.max(x), np.cumsum(x)), x)
    check(lambda x: (x.astype(np.float32), x.astype(np.int32), np.sum(x.reshape(2, -1), axis=0)), x)


def test_floats_that_are_cast_to_integers_and_back() -> None:
    x = np.array([-2.9, -0.5, 0.0, 0.49, 1.999, 1e9, 16777217.0])
    check(lambda x: (x.astype(np.int64), x.astype(np.int32), x.astype(bool), x.astype("f4")), x)
    check(lambda x: (x.astype(np.float32) + x, x.astype(np.float32).astype(np.int64)), x)


# Dtypes: as NumPy 2 promotes, with numbers of Python weak


ONES: dict[str, np.ndarray] = {
    kind: np.ones(3, kind) for kind in "bool int8 uint8 int16 int32 int64 float32 float64".split()
}


@pytest.mark.unoptimized
@pytest.mark.parametrize("kind", ONES)
def test_promotion(kind: str) -> None:
    def f(x: Any, others: Any) -> Any:
        found = []
        for y in others:
            found += [x + y, x * y, x / y, np.maximum(x, y), np.where(x > y, x, y), x == y]
        return found

    check(f, ONES[kind], [y for name, y in ONES.items()])
    check(f, ONES[kind], [np.asarray(y[0]) for y in ONES.values()])  # of no axes


@pytest.mark.unoptimized
@pytest.mark.parametrize("kind", ONES)
def test_numbers_do_not_promote(kind: str) -> None:
    def f(x: Any) -> Any:
        whole = [x + 1, 2 * x, x / 2, np.maximum(x, 0), np.where(x > 0, x, 0), x + True]
        floats = [x + 1.5, 0.5 * x, x / 0.5, np.where(x > 0, x, 0.5)]
        return [*whole, *floats, x + np.float32(1), x + np.float64(1), x * np.int64(2)]

    check(f, ONES[kind])
    check(f, np.asarray(ONES[kind][0]))


@pytest.mark.parametrize("kind", ONES)
def test_reductions_widen(kind: str) -> None:
    def f(x: Any) -> Any:
        found = [np.sum(x), np.mean(x), np.max(x), np.cumsum(x, axis=0), np.any(x), np.argmax(x)]
        return [*found, np.sum(x, axis=0, keepdims=True)]

    check(f, ONES[kind])


@pytest.mark.parametrize("kind", ["float32", "int64", "bool"])
def test_reductions_of_one_entry(kind: str) -> None:
    """NumPy has numbers reduced over axis 0 or -1, too."""
    ways: list[Any] = [np.sum, np.mean, np.max, np.min, np.prod, np.any, np.all]

    def f(x: Any, numbers: Any) -> Any:
        found = [how(x, axis=a, keepdims=k) for how in ways for a in (None, 0) for k in (0, 1)]
        of_numbers = [np.mean(numbers)]
        of_numbers += [how(numbers, axis=a) for how in ways if how is not np.mean for a in (-1, 0)]
        return found, of_numbers, np.argmax(x), np.argmax(numbers)

    check(f, np.ones((1, 1), kind), np.asarray(np.ones((), kind)))


def test_products_of_mixed_dtypes() -> None:
    x, y = normal(5, 7), normal(7, 9, dtype=np.float64)
    whole = RNG.integers(-9, 9, (7, 3))
    check(lambda x, y, n: (x @ y, n.T @ y, n.T @ n, x @ n, (n > 0).T @ (n > 1)), x, y, whole)


# Shapes


def test_arrays_of_nothing() -> None:
    def f(x: Any, y: Any) -> Any:
        sums = [np.sum(x), np.sum(x, axis=0), np.sum(x, axis=1), np.any(x > 0), np.all(x > 0)]
        moved = [x.T, x.reshape(3, 0, 1), x[::-1], x[:, 1:2], np.concatenate([x, y]), x[:, None]]
        return *sums, *moved, x + y[:1], np.exp(x), x @ y.T, y @ x.T, np.pad(x, ((1, 0), (0, 1)))

    for kind in KINDS:
        check(f, np.ones((0, 3), kind), np.ones((2, 3), kind))


def test_gradients_of_nothing() -> None:
    def f(x: Any, w: Any) -> Any:
        return np.sum(np.tanh(x @ w) ** 2)

    check(minigrad.grad(f, (0, 1)), np.ones((0, 3)), np.ones((3, 2)))
    check(minigrad.grad(f, (0, 1)), np.ones((4, 0)), np.ones((0, 2)))


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_as_arrays(kind: str) -> None:
    def f(x: Any, y: Any) -> Any:
        z = [x + y, x * 2, np.exp(x), np.sum(x), np.max(y), np.where(x > y, x, y), x.reshape(1, 1)]
        return *z, x[None], x[...], np.broadcast_to(x, (2, 3)), np.stack([x, y]), x * np.ones(3)

    x, y = (np.asarray(np.array(value, kind)) for value in (0.5, -1.5))
    check(f, x, y)
    check(minigrad.grad(lambda x: np.sin(x) * x), x)


@pytest.mark.unoptimized
@pytest.mark.parametrize("n", LENGTHS)
def test_lengths_about_those_of_vectors(n: int) -> None:
    """Also that what is beside the end of an output is left alone, as it is another's."""
    x, rows = normal(n), normal(5, n)

    def f(x: Any, rows: Any) -> Any:
        each = np.tanh(x) * 2 + 1, np.cumsum(x, axis=0), x[::-1] * 1.0, (x > 0) & (x < 1)
        whole = np.sum(x), np.max(x), np.min(x), np.mean(x), F.logsumexp(x), np.argmax(x)
        of_rows = np.sum(rows, axis=1), np.max(rows, axis=0), F.softmax(rows), np.var(rows, axis=1)
        return *each, *whole, *of_rows, rows.T * 2, F.layer_norm(rows, (n,), eps=1e-3)

    check(f, x, rows, atol=1e-5)


@pytest.mark.unoptimized
@pytest.mark.parametrize("kind", KINDS)
def test_products_of_every_size(kind: str) -> None:
    sizes = [(1, 1, 1), (1, 7, 3), (3, 1, 17), (9, 17, 33), (33, 64, 15), (13, 2, 65), (65, 33, 2)]
    pairs = [(normal(m, k, dtype=kind), normal(k, n, dtype=kind)) for m, k, n in sizes]

    def f(pairs: Any) -> Any:
        found = []
        for k, (x, y) in enumerate(pairs):
            found += [x @ y, x[0] @ y, x @ y[:, 0]]
            found += [y.T @ x.T, x[::-1] @ y * 2] if k % 2 else [F.linear(x, y.T)]
        return found

    check(f, pairs, rtol=1e-4 if kind == "float32" else 1e-11, atol=1e-4)


# Many entries


def test_sums_of_many_do_not_lose_digits() -> None:
    """NumPy adds in pairs; one after the other, the sum of 4 million would be off by a percent."""
    x = np.full(1 << 22, 0.1, np.float32)
    total, mean, columns = compile(
        lambda x: (np.sum(x), np.mean(x), np.sum(x.reshape(-1, 4), axis=0))
    )(x)
    np.testing.assert_allclose(total, x.size * 0.1, 1e-4)
    np.testing.assert_allclose(mean, 0.1, 1e-4)
    np.testing.assert_allclose(columns, x.size * 0.1 / 4, 1e-2)


@pytest.mark.parametrize("shape", [(3, 100_000), (100_000, 3), (1, 300_000), (300_000, 1)])
def test_long_and_short_rows(shape: tuple[int, int]) -> None:
    x = normal(*shape)

    def f(x: Any) -> Any:
        sums = np.sum(x, axis=0), np.sum(x, axis=1), np.sum(x), np.max(x, axis=0), np.min(x, axis=1)
        return *sums, F.logsumexp(x, axis=0), F.softmax(x, axis=1), np.argmax(x, axis=1)

    check(f, x, rtol=1e-4, atol=0.02)


def test_rows_that_no_stack_holds() -> None:
    x = normal(2, 2_500_000)
    check(lambda x: F.softmax(np.tanh(x), axis=1), x, rtol=1e-4)


# Many ops after one another


LONG = 1200


def sums_of_numbers(x: Any) -> Any:
    total = np.sum(x)
    for _ in range(LONG):
        total = total * 0.9 + np.sum(x)
    return total


def entries(x: Any) -> Any:
    for _ in range(LONG):
        x = x * 0.999 + 0.001
    return x


def functions(x: Any) -> Any:
    for _ in range(100):
        x = np.sin(x) + 0.1
    return x


def slices(x: Any) -> Any:
    x = np.arange(LONG + 9, dtype=x.dtype)[:, None] * x[0]
    for _ in range(LONG):
        x = x[1:]
    return x


def products_of_slices(x: Any) -> Any:
    return slices(x) @ np.ones((5, 7), x.dtype)


def rolls(x: Any) -> Any:
    for _ in range(LONG):
        x = np.roll(x, 1, axis=0)
    return x


def steps(x: Any, w: Any) -> Any:
    turned = w.T
    for _ in range(LONG):
        x = x + 0.001 * np.tanh(x @ turned)
    return x


def sums_of_products(x: Any) -> Any:
    total = x @ x.T
    for _ in range(LONG):
        total = total + x @ (x * 0.5).T
    return total.T @ x


CHAINS: dict[str, Callable[[Any], Any]] = {
    f.__name__: f for f in (sums_of_numbers, entries, functions, slices, products_of_slices, rolls)
}
CHAINS["sums of products"] = sums_of_products
CHAINS["gradients of entries"] = grad(lambda x: np.sum(entries(x)))
CHAINS["gradients of slices"] = grad(lambda x: np.sum(slices(x)[:, :2] ** 2))
CHAINS["gradients of weights"] = lambda x: grad(lambda w: np.sum(steps(x, w)))(x[:5])


@pytest.mark.unoptimized
@pytest.mark.parametrize(
    "name",
    rows(
        {name: name for name in CHAINS},
        slow=lambda name: name in ("gradients of slices", "gradients of weights"),
    ),
)
def test_long_chains(name: str) -> None:
    """As of a loss that adds up over a thousand steps: they go beyond any stack of Python's, and
    no kernel is so long that compilers take forever."""
    x = normal(8, 5)
    check(CHAINS[name], x, rtol=1e-3, atol=1e-3)


# Memory


def unaligned(x: np.ndarray) -> np.ndarray:
    """The same, in a buffer that begins at an odd multiple of the size of an entry."""
    size = x.itemsize
    buffer = np.zeros(x.nbytes + 2 * 64, np.uint8)
    start = -buffer.ctypes.data % 64 + size
    y = buffer[start : start + x.nbytes].view(x.dtype).reshape(x.shape)
    y[...] = x
    return y


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "unaligned": unaligned,
    "Fortran": np.asfortranarray,
    "backwards": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "every second": lambda x: np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3],
    "one row": lambda x: np.broadcast_to(x[:1], x.shape),
    "one column": lambda x: np.broadcast_to(x[:, :1], x.shape),
    "read only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
}


def off_by_bytes(x: np.ndarray) -> np.ndarray:
    """At an address that is no multiple of the size of an entry, as in a file that is mapped."""
    buffer = np.zeros(x.nbytes + 1, np.uint8)
    y = buffer[1:].view(np.uint8)[: x.nbytes].view(x.dtype).reshape(x.shape)
    y[...] = x
    return y


LAYOUTS["off by a byte"] = off_by_bytes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_of_inputs(name: str, kind: str) -> None:
    x, w = (LAYOUTS[name](normal(17, 33, dtype=kind)) for _ in range(2))
    assert x.shape == (17, 33)

    def f(x: Any, w: Any) -> Any:
        return np.tanh(x) * 2 + w, np.sum(x, axis=0), x @ w.T, x[::-2, 1:], F.softmax(x), x.T * w.T

    before = x.copy()
    check(f, x, w, rtol=1e-4, atol=1e-5)
    check(minigrad.grad(lambda x: np.sum(np.sin(x) ** 2)), x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name[:3] not in ("one", "rea")])
def test_layouts_of_parameters(name: str) -> None:
    def trained(wrap: Callable[..., Any]) -> Any:
        model = nn.Linear(33, 17, rng=np.random.default_rng(0))
        model.weight.data = LAYOUTS[name](model.weight.data)
        optimizer = optim.AdamW(model.parameters(), lr=0.01)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        step = wrap(step)
        x = np.linspace(-1, 1, 5 * 33, dtype=np.float32).reshape(5, 33)
        return [step(x) for _ in range(3)], model.state_dict(), optimizer.state_dict()

    same(trained(compile), trained(lambda f: f), 1e-4, 1e-6)


@pytest.mark.unoptimized
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "shape", [(128, 512), (100, 320), (3, 64, 80), (64, 33), (64, 1024), (16, 400), (2, 5, 48, 32)]
)
def test_products_of_transposed_operands_beside_their_sums(
    shape: tuple[int, ...], kind: str
) -> None:
    g, x = normal(*shape).astype(kind), normal(*shape[:-1], 40).astype(kind)
    f = compile(lambda g, x: (np.swapaxes(g, -1, -2) @ x, np.sum(g, axis=0)))
    product, total = f(g, x)
    np.testing.assert_allclose(product, np.swapaxes(g, -1, -2) @ x, 1e-4, 1e-4)
    np.testing.assert_allclose(total, np.sum(g, axis=0), 1e-4, 1e-4)


def test_one_array_given_twice() -> None:
    x = normal(9, 9)
    f = compile(lambda x, y: (x @ y, x - y, x))
    same(f(x, x), (x @ x, x - x, x), 1e-4, 1e-5)
    same(f(x, x.T), (x @ x.T, x - x.T, x), 1e-4, 1e-5)


def test_inputs_that_overlap() -> None:
    x = normal(100)
    check(lambda x, y: (x + 2 * y, np.cumsum(x, axis=0) * y, y), x[:-1], x[1:])


def test_writing_to_one_of_two_that_overlap() -> None:
    """The argument that is written is whole before; what it shares with another is the caller's."""
    x = normal(64)
    before = x.copy()

    @compile
    def f(x: Any, y: Any) -> Any:
        total = np.sum(y)
        x *= 2
        return total

    total = f(x[:32], x[32:])
    np.testing.assert_allclose(total, before[32:].sum(), 1e-5)
    np.testing.assert_array_equal(x, np.concatenate([before[:32] * 2, before[32:]]))


def test_outputs_share_no_memory() -> None:
    x, weight = normal(8, 8), Tensor(normal(8, 8))
    f = compile(lambda x: (x, x, x.T, x[1:], weight.data, weight, x.reshape(-1), x + 0))
    first, second = f(x), f(x)
    arrays = [array(y) for y in (*first, *second)]
    others = [x, weight.data]
    for k, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in [*arrays[:k], *others])
        assert one.flags.writeable
    same(first, (x, x, x.T, x[1:], weight.data, weight, x.reshape(-1), x))


def test_gradients_share_no_memory() -> None:
    """Also where the rules give a cotangent itself to one, and views of it to others."""
    a, b, c = (Tensor(normal(n), requires_grad=True) for n in (2, 2, 4))

    def step() -> Any:
        a.grad = b.grad = c.grad = None
        (np.sin(np.concatenate([a, b]) + c) * 2).sum().backward()
        a.grad *= 2
        return [t.grad * 1 for t in (a, b, c)]

    same(compile(step)(), step())


def test_outputs_of_one_call_given_to_the_next() -> None:
    f = compile(lambda x, y: (y, x * 0.5 + y))
    x, y = np.ones(33), np.full(33, 2.0)
    expected = x, y
    for _ in range(5):
        x, y = f(x, y)
        expected = expected[1], expected[0] * 0.5 + expected[1]
    same((x, y), expected)


def test_state_that_is_argument_and_result() -> None:
    weight = Tensor(np.arange(20.0))

    @compile
    def f(x: Any) -> Any:
        old = weight.data * 1.0
        weight.data[...] = x[::-1] + weight.data
        return old, weight.data

    before = weight.data.copy()
    old, new = f(weight.data)
    np.testing.assert_array_equal(old, before)
    np.testing.assert_array_equal(new, before[::-1] + before)
    np.testing.assert_array_equal(weight.data, new)


def with_copies(x: Any) -> Any:
    copies = [np.copy(x), x.copy(), x.astype(np.float32), x.astype(x.dtype), x.flatten(), x * 1.0]
    copies += [np.clip(x, None, None), np.concatenate([x]), x[np.array([1, 0, 2])], np.roll(x, 0)]
    for y in copies:
        y[0] = 7
        y[1:] += 3
    return *copies, x


def with_views(x: Any) -> Any:
    y = x * 2
    part, turned, row = y[1:], y.T, y[0]
    lower = part[1:]
    before = np.sum(part), lower + 0
    row += 1
    y[2] = 9
    lower[:, 0] = 5
    part *= 2
    return *before, y, part + 0, turned + 0, lower + 0, y.reshape(-1)[4:] * 1


def with_numbers(x: Any) -> Any:
    total = np.sum(x)
    other = total
    other /= 2
    first = x[0, 0]
    first += 1
    whole = x[0, 0, ...]
    whole += 10
    return total, other, first, x


def at_computed_places(x: Any) -> Any:
    y, index = x * 1.0, np.argsort(x[:, 0])[:2]
    y[index] = 3
    y[x > 1] = -1
    y[index, 0] += 2
    return y


@pytest.mark.parametrize("f", [with_copies, with_views, with_numbers, at_computed_places])
def test_writing_into_what_is_computed(f: Callable[..., Any]) -> None:
    """Views show what is written, and write into what they are of; copies do not."""
    x = normal(3, 3, dtype=np.float64)
    inputs = [x.copy(), x.copy()]
    same(compile(f)(inputs[0]), f(inputs[1]))
    same(inputs[0], inputs[1])


# Indices


@pytest.mark.parametrize("kind", ["int64", "int32", "int16", "uint8"])
def test_indices_of_every_dtype(kind: str) -> None:
    x = normal(11, 3)
    index = np.array([0, 10, 5, 5]).astype(kind)
    check(lambda x, i: (x[i], np.take(x, i % 3, axis=1), x[i, i % 3]), x, index)
    check(minigrad.grad(lambda x, i: np.sum(x[i] ** 2)), x, index)


def test_indices_from_the_end() -> None:
    x, index = normal(5, 4), np.array([-1, -5, 0, 4, -2])
    check(lambda x, i: x[i], x, index)
    check(minigrad.grad(lambda x, i: np.sum(x[i] ** 2)), x, index)


def test_products_of_what_numpy_computes() -> None:
    """Entries written at computed places have no C."""

    def f(x: Any, i: Any) -> Any:
        y = x * 2
        y[i, i] = 1
        z = y.astype(np.float32) if y.dtype == np.float64 else y
        return z @ x, y.T @ x

    check(f, normal(5, 5, dtype=np.float64), np.array([1, 3]))
    check(f, normal(5, 5), np.array([1, 3]))


def test_indices_that_are_broadcast() -> None:
    x, index = normal(9, 1, 3), RNG.integers(0, 9, (9, 1, 3))

    def f(x: Any, i: Any) -> Any:
        found = np.take_along_axis(x, i, axis=0), np.sort(x, axis=0)
        return *found, x[i, np.zeros((1, 1, 1), int), np.arange(3)]

    def loss(x: Any, i: Any) -> Any:
        return sum(np.sum(np.sin(y)) for y in f(x, i))

    check(f, x, index)
    check(minigrad.grad(loss), x, index)


LOOKS: dict[str, Callable[[Any, Any], Any]] = {
    "rows": lambda x, i: x[i],
    "columns": lambda x, i: x[:, i],
    "computed": lambda x, i: x[i * 2 - i],
    "two": lambda x, i: x[i, i],
    "rows that are used": lambda x, i: np.sum(np.exp(x[i])),
    "of a gradient": minigrad.grad(lambda x, i: np.sum(x[i] ** 2)),
}


@pytest.mark.parametrize("bad", [5, -6, 1 << 40, -(1 << 40)])
@pytest.mark.parametrize("name", LOOKS)
def test_an_index_out_of_range_is_an_error(name: str, bad: int) -> None:
    x = normal(5, 5, dtype=np.float64)
    look = compile(LOOKS[name])
    look(x, np.array([0, 4, -5]))
    with pytest.raises((ShapeError, IndexError)):
        look(x, np.array([0, bad, 1]))
    same(look(x, np.array([1, 1, 2])), LOOKS[name](x, np.array([1, 1, 2])))  # and goes on


def test_a_target_out_of_range_is_an_error() -> None:
    scores = normal(4, 5)
    loss: Any = compile(minigrad.value_and_grad(F.cross_entropy))
    same(loss(scores, np.array([0, 4, 2, 1]))[0], F.cross_entropy(scores, np.array([0, 4, 2, 1])))
    with pytest.raises((ShapeError, IndexError)):
        loss(scores, np.array([0, 5, 2, 1]))


# The same bits


def step_of_all_kinds() -> Callable[..., Any]:
    """With products, sums over all axes, and entries that are added where others are."""

    def loss(x: Any, w: Any, index: Any) -> Any:
        h = np.tanh(x @ w)
        picked = h[index]
        return np.sum(F.softmax(picked) ** 2) + np.mean(F.logsumexp(h, axis=0)) + np.sum(x * x)

    return minigrad.value_and_grad(loss, (0, 1))


def bits(tree: Any) -> bytes:
    return b"".join(array(x).tobytes() for _, x in leaves_of(tree))


def inputs_of_all_kinds() -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(3)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((300, 65), (65, 33)))
    return x, w, rng.integers(0, 300, 1000)


def test_the_same_bits_in_each_call() -> None:
    f, inputs = compile(step_of_all_kinds()), inputs_of_all_kinds()
    first = bits(f(*inputs))
    assert all(bits(f(*inputs)) == first for _ in range(20))
    again = tuple(unaligned(x) for x in inputs)  # where arrays are makes no difference
    assert bits(f(*again)) == first
    assert bits(compile(step_of_all_kinds())(*inputs)) == first


REPEATED = """
import hashlib
from minigrad.compiler import compile
from tests.compiler.end_to_end.test_edges import bits, inputs_of_all_kinds, step_of_all_kinds
f, inputs = compile(step_of_all_kinds()), inputs_of_all_kinds()
print(*sorted({hashlib.sha256(bits(f(*inputs))).hexdigest() for _ in range(20)}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_same_bits_in_each_process(threads: str) -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", REPEATED],
            env={**os.environ, "MINIGRAD_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    }
    assert len(found) == 1 and len(found.pop().split()) == 1


FORKED = """
import os, threading, warnings
import numpy as np
from minigrad.compiler import compile
from tests.compiler.end_to_end.test_edges import bits, inputs_of_all_kinds, step_of_all_kinds
warnings.simplefilter("ignore")  # of processes with threads that fork
f, inputs = compile(step_of_all_kinds()), inputs_of_all_kinds()
first = bits(f(*inputs))
done = threading.Event()

def call_on():
    while not done.is_set():
        f(*inputs)

beside = [threading.Thread(target=call_on) for _ in range(2)]
for k in range(6):
    if k == 3:
        for thread in beside:
            thread.start()
    child = os.fork()
    if not child:
        new = bits(compile(step_of_all_kinds())(*inputs))
        os._exit(not bits(f(*inputs)) == new == first)
    assert os.waitpid(child, 0)[1] == 0
done.set()
assert bits(f(*inputs)) == first
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("threads", [pytest.param("1", marks=pytest.mark.slow), "2"])
def test_a_process_that_is_forked_off_has_threads_of_its_own(threads: str) -> None:
    environment = {**os.environ, "MINIGRAD_THREADS": threads}
    subprocess.run([sys.executable, "-c", FORKED], env=environment, check=True, timeout=100)


# Threads


def in_threads(work: Callable[[int], Any], count: int) -> list[Any]:
    """What the work gives in each of several threads, that begin together."""
    found: list[Any] = [None] * count
    start = threading.Barrier(count)

    def run(k: int) -> None:
        start.wait()
        try:
            found[k] = work(k)
        except BaseException as error:
            found[k] = error

    threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return found


def test_functions_of_their_own_in_each_thread() -> None:
    def work(k: int) -> list[bytes]:
        f = compile(step_of_all_kinds())
        return [bits(f(*inputs_of_all_kinds())) for _ in range(5)]

    found = in_threads(work, 3)
    assert len({each for found_there in found for each in found_there}) == 1


def test_one_function_called_in_several_threads() -> None:
    """Each gets the results of its own inputs."""
    f = compile(lambda x: (np.sum(np.tanh(x) ** 2, axis=1), x @ x.T))
    inputs = [normal(64, 64) for _ in range(3)]
    expected = [bits(f(x)) for x in inputs]

    def work(k: int) -> bool:
        return all(bits(f(inputs[k])) == expected[k] for _ in range(200))

    assert in_threads(work, 3) == [True] * 3


def test_a_boolean_as_an_index() -> None:
    x = np.arange(6.0).reshape(2, 3)

    def f(x: Any) -> Any:
        return [x[True] + 1, x[False] + 1, x[0, True] * 2]

    for found, expected in zip(compile(f)(x), f(x), strict=True):
        np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_products_of_depth_one_begin_at_zero(dtype: str) -> None:
    x, y = np.array([[-1.0], [0.0], [-0.0]], dtype), np.array([[0.0, -0.0, 2.0, -2.0]], dtype)
    for f in (np.matmul, np.dot, lambda x, y: np.matmul(x[None], y)):
        np.testing.assert_array_equal(np.signbit(compile(f)(x, y)), np.signbit(f(x, y)))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8, 17])
def test_signs_of_zeros_and_nans_of_a_few_floats(n: int) -> None:
    """gcc 12 fails on some sizes if it is asked by __builtin_signbit."""
    x = np.resize(np.array([-0.0, 0.0, -1.0, np.nan, -np.nan, 2.0, -np.inf], np.float32), (3, n))

    def f(x: Any) -> Any:
        joined = np.maximum(np.concatenate([x, x * 2], axis=-1), x[:, :1])
        return np.where(np.signbit(joined), 1.0, joined), np.signbit(x)

    for found, expected in zip(compile(f)(x), f(x), strict=True):
        np.testing.assert_array_equal(found, expected)


def filled(buffer: Any, x: Any) -> Any:
    """A work buffer of plain zeros, written whole, by entries and through views."""
    part, flat = buffer[1], buffer.reshape(-1)
    buffer[0] = x
    before = buffer * 1
    buffer += x[0]
    part[1:] = part[:-1]
    part *= x
    flat[2] = x[1]
    return before, part * flat[:3], np.sum(buffer * buffer)


def test_a_buffer_made_inside_is_filled() -> None:
    x = normal(3, dtype=np.float64)
    expected = filled(np.zeros((2, 3)), x)
    same(compile(lambda x: filled(Tensor(np.zeros((2, 3))), x))(x), expected)

    def doubled(x: Any) -> Any:
        out: Any = Tensor(np.zeros((2, 3)))
        return np.multiply(x, 2, out=out)

    into: Any = compile(doubled)
    same(into(x), np.stack([2 * x, 2 * x]))
    weighted: Any = compile(grad(lambda x: np.sum(filled(Tensor(np.zeros((2, 3))), x)[0] * 3)))
    same(weighted(x), np.full(3, 3.0))
    ahead = [filled(np.zeros((2, 3)), x + 1e-6 * e)[2] for e in np.eye(3)]
    behind = [filled(np.zeros((2, 3)), x - 1e-6 * e)[2] for e in np.eye(3)]
    squares: Any = compile(grad(lambda x: filled(Tensor(np.zeros((2, 3))), x)[2]))
    same(squares(x), np.subtract(ahead, behind) / 2e-6, rtol=1e-6)


def test_a_tensor_made_inside_has_the_memory_of_its_array() -> None:
    def descend(x: Any) -> Any:
        w = Tensor(x, requires_grad=True)
        np.sum(w * w).backward()
        with minigrad.no_grad():
            w -= 0.25 * w.grad
        return w.data * 1

    x = np.array([4.0, -2.0])
    same(compile(descend)(x), np.array([2.0, -1.0]))
    same(x, np.array([2.0, -1.0]))

    w = Tensor([1.0, 2.0], requires_grad=True)

    def overwritten() -> Any:
        old = Tensor(w.data)
        with minigrad.no_grad():
            w[0] = 9.0
        return old * 1

    same(compile(overwritten)(), np.array([9.0, 2.0]))


def test_a_tensor_made_inside_that_needs_no_gradient_leaves_its_array_alone() -> None:
    def both(x: Any) -> Any:
        t = Tensor(x)
        t += 1
        return t, Tensor(x)

    x = np.array([4.0, -2.0])
    same(compile(both)(x), (np.array([5.0, -1.0]), np.array([4.0, -2.0])))
    same(x, np.array([4.0, -2.0]))


@pytest.mark.parametrize(
    "sequence", [range(3), collections.deque([0, 1, 2]), array_of_c("d", [0, 1, 2])]
)
def test_sequences_are_operands(sequence: Any) -> None:
    x = np.array([3.0, 4.0, 5.0])
    for wrap in (compile, lambda f: f):
        same(wrap(lambda x: x * sequence)(x), np.array([0.0, 4.0, 10.0]))
        same(wrap(grad(lambda x: np.sum(sequence * x)))(x), np.array([0.0, 1.0, 2.0]))


class Second:
    def __repr__(self) -> str:
        return "Second()"

    def __index__(self) -> int:
        return 1


@pytest.mark.parametrize(
    "index",
    [
        range(2),
        collections.deque([0, -1]),
        array_of_c("q", [2, 0]),
        Second(),
        slice(Second(), None),
        range(0),
        (slice(None), range(1, 3)),
        (range(2), collections.deque([1, 2])),
        (np.int8(1), Second(), None),
    ],
    ids=repr,
)
def test_what_numpy_takes_as_an_index(index: Any) -> None:
    x = np.arange(9.0).reshape(3, 3)
    expected = x[index]
    for f in (lambda x: x[index], lambda x: Tensor(x)[index]):
        for run in (f, compile(f)):
            np.testing.assert_array_equal(getattr(run(x), "data", run(x)), expected)
    slope = np.zeros((3, 3))
    np.add.at(slope, index, 2 * expected)
    gradient = grad(lambda x: np.sum(x[index] ** 2))
    np.testing.assert_array_equal(gradient(x), slope)
    np.testing.assert_array_equal(compile(gradient)(x), slope)


def test_what_a_function_writes_before_it_raises_is_not_written() -> None:
    w, array = Tensor(np.zeros(3)), np.ones(3)

    @compile
    def f(x: Any) -> Any:
        w[...] = x * 2
        x[0] = 7.0
        return np.ones(5) + x

    with pytest.raises(ShapeError, match="5"):
        f(array)
    np.testing.assert_array_equal([w.data, array], [[0, 0, 0], [1, 1, 1]])


@pytest.mark.unoptimized
@pytest.mark.parametrize(
    "f",
    [
        pytest.param(lambda x, a, b: (x * 2)[-1] + 1, id="negative"),
        pytest.param(lambda x, a, b: (x * 2)[np.array([2, 0, 1])] + 1, id="permuted"),
        pytest.param(lambda x, a, b: np.less(a, b), id="mixed dtypes"),
    ],
)
def test_permuted_and_negative_indices_and_mixed_dtypes(f: Callable[..., Any]) -> None:
    given = np.arange(12.0).reshape(3, 4), np.array([1, 2, 3], np.int32), np.full(3, 1.5)
    np.testing.assert_array_equal(np.asarray(compile(f)(*given)), f(*given))
