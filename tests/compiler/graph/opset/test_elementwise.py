"""Elementwise ops with C, without C, and with C that is wrong, in compiled programs."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

import minigrad
from minigrad.compiler.target.toolchain import compiler
from minigrad.errors import UnsupportedError
from minigrad.ops.base import Op, registry

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
