"""Elementwise ops with C, without C, and with C that is wrong, in compiled programs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.compiler.target.toolchain import compiler
from minigrad.errors import UnsupportedError
from minigrad.ops.base import Op, registry

Call = Any  # a function of arrays
X = np.linspace(-2, 2, 24).reshape(4, 6)


@contextmanager
def doubled(c: str | None) -> Iterator[Op]:
    """An op that is 2 * x, with this C, for a while."""
    op = Op("unary", "doubled", lambda x: 2 * x, (lambda g, y, x: 2 * g,), "2 * {0}", c)
    try:
        yield op
    finally:
        del registry["doubled"]


@pytest.mark.skipif(compiler() is None, reason="needs a C compiler")
def test_an_op_without_c_is_run_by_numpy_and_the_rest_is_compiled() -> None:
    with doubled(None) as op:
        f = minigrad.compile(lambda x: np.sum(np.exp(op(np.tanh(x))), axis=1))
        np.testing.assert_allclose(f(X), np.exp(2 * np.tanh(X)).sum(1), rtol=1e-12)
        kinds = [(kernel["kind"], kernel["ops"][0][0]) for kernel in f.explain().kernels]
        assert kinds == [("map", "tanh"), ("numpy", "doubled"), ("rows", "exp")]
        slope = minigrad.compile(minigrad.grad(lambda x: np.sum(op(x) ** 2)))
        np.testing.assert_allclose(slope(X), 8 * X, rtol=1e-12)


@pytest.mark.skipif(compiler() is None, reason="needs a C compiler")
@pytest.mark.parametrize("c", ["no_such_function({0})", "{0} *"])
def test_c_that_does_not_build_is_refused(c: str) -> None:
    with doubled(c) as op:
        f = minigrad.compile(lambda x: np.exp(op(x)))
        with pytest.raises(UnsupportedError, match=r"C expression of doubled.*c=None"):
            f(X)


INTEGRAL = ("gcd", "lcm", "left_shift", "right_shift", "fmax", "fmin")
FLOATING = ("copysign", "heaviside", "nextafter", "fmax", "fmin")


def compare(functions: list[Call], arrays: list[np.ndarray], rtol: float = 0) -> None:
    """To the last bit, unless there is a tolerance; the C of all of them is one kernel."""
    compiled = minigrad.compile(lambda *xs: [f(*xs) for f in functions])
    with np.errstate(all="ignore"):
        expected = [np.asarray(f(*arrays)) for f in functions]
    for k, (x, y) in enumerate(zip(compiled(*arrays), expected, strict=True)):
        np.testing.assert_allclose(x, y, rtol, 0, err_msg=str(k), strict=True)
    assert {kernel["kind"] for kernel in compiled.explain().kernels} == {"map"}


@pytest.mark.parametrize(
    "dtype", [*"qhB", *(pytest.param(x, marks=pytest.mark.slow) for x in "ib")]
)
def test_integers_at_their_ends(dtype: str) -> None:
    """Among them shifts by more than all bits, and what is no number of the dtype without sign."""
    info = np.iinfo(dtype)
    signed = [-1, -2, -7, -8, -100] if info.min else []
    ends = [info.min, info.min + 1, info.max - 1, info.max]
    values = [x for x in (0, 1, 2, 5, 7, 8, 15, 16, 31, 32, 63, 64, 100) if x <= info.max]
    x, y = (part.ravel() for part in np.meshgrid(*[np.array(values + signed + ends, dtype)] * 2))
    functions: list[Call] = []
    for op in map(registry.__getitem__, INTEGRAL):
        functions += [op, lambda x, y, op=op: op(x, 9), lambda x, y, op=op: op(5, y)]
    if signed:
        functions += [lambda x, y: np.left_shift(x, -3), lambda x, y: np.right_shift(x, -3)]
        functions += [lambda x, y: -x, lambda x, y: np.abs(x), lambda x, y: np.sign(x)]
    compare(functions, [x, y])


def test_sums_and_products_of_booleans() -> None:
    x, y = np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1], bool)
    compare([lambda x, y: x + y, lambda x, y: x * y, lambda x, y: x + True], [x, y])


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_odd_floats(dtype: str) -> None:
    with np.errstate(over="ignore"):
        odd = np.array([np.nan, np.inf, 0, 1, 2.5, 1e-40, 5e-324, 3e38, 1e308]).astype(dtype)
    x, y = (part.ravel() for part in np.meshgrid(*[np.concatenate([odd, -odd])] * 2))
    n = np.resize([0, 1, -1, 5, -30, 2**40, -(2**40), -149, -1074, 127, 1023], x.shape)
    functions: list[Call] = [lambda x, y, n, op=registry[name]: op(x, y) for name in FLOATING]
    functions += [
        lambda x, y, n: np.ldexp(x, n),
        lambda x, y, n: np.ldexp(x, -3),
        lambda x, y, n: np.heaviside(x, 0.5),
        lambda x, y, n: np.signbit(np.copysign(1.0, x)),
        lambda x, y, n: np.copysign(n, x),
        lambda x, y, n: np.fmax(n, 1.5),
        lambda x, y, n: np.fmin(0, x),
    ]
    compare(functions, [x, y, n])
    close: list[Call] = [lambda x, y, n: np.logaddexp2(x, y), lambda x, y, n: np.sinc(x / 64 % 7)]
    compare(close, [x, y, n], 3e-7 if dtype == "f" else 1e-15)
