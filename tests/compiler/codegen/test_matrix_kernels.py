"""Small matrices: factors, triangles, systems and determinants in loops, and what has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, compile, grad
from minigrad.compiler.target import costs
from minigrad.errors import IndexingError, LinAlgError
from minigrad.scipy.linalg import solve_triangular
from minigrad.scipy.linalg.equations import triangular_op
from tests.marks import rows

pytestmark = pytest.mark.unoptimized

Case = tuple[Callable[..., Any], list[Any]]


def some(rng: np.random.Generator, *shape: int, dtype: str = "d") -> np.ndarray:
    return np.asarray(rng.normal(size=shape)).astype(dtype)


def positive(x: np.ndarray) -> np.ndarray:
    return x @ x.swapaxes(-1, -2) + np.eye(x.shape[-1], dtype=x.dtype)


def compare(cases: list[Case], rtol: float = 1e-10, *, in_c: bool = True) -> None:
    """All cases in one compiled function, of which NumPy computes nothing."""

    def run(inputs: Any) -> Any:
        return [f(*xs) for (f, _), xs in zip(cases, inputs, strict=True)]

    inputs = [xs for _, xs in cases]
    compiled = compile(run)
    for x, y in zip(compiled(inputs), run(inputs), strict=True):
        assert (np.asarray(x).dtype, np.shape(x)) == (np.asarray(y).dtype, np.shape(y))
        finite = np.abs(y)[np.isfinite(y)]
        np.testing.assert_allclose(x, y, rtol, rtol * np.max(finite, initial=0))
    by_numpy = [k["ops"] for k in compiled.explain().kernels if k["kind"] == "numpy"]
    assert bool(by_numpy) is not in_c, by_numpy


def triangle(a: Any, b: Any, lower: bool, unit: bool = False) -> Any:
    return triangular_op(a, b, lower=lower, unit=unit)


def logdet(a: Any) -> Any:
    return np.linalg.slogdet(a)[1]


def sign(a: Any) -> Any:
    return np.linalg.slogdet(a)[0]


SQUARE = [np.linalg.inv, np.linalg.det, logdet, sign]


@pytest.mark.parametrize("dtype", rows({"d": "d", "f": "f"}, slow="f".__eq__))
def test_of_every_shape(dtype: str) -> None:
    rng = np.random.default_rng(0)
    cases: list[Case] = []
    for stack, n in [((), 1), ((), 2), ((2,), 1), ((3,), 5), ((2, 1, 3), 4)]:
        a, b = some(rng, *stack, n, n, dtype=dtype), some(rng, *stack, n, 3, dtype=dtype)
        steep = a + 4 * np.eye(n, dtype=dtype)
        cases += [(np.linalg.cholesky, [positive(a)])]
        cases += [(f, [steep[..., ::-1, :]]) for f in SQUARE]  # which needs other pivots
        cases += [(np.linalg.solve, [a, b]), (np.linalg.solve, [a, b[..., :1]])]
        for lower in (True, False):
            cases += [(lambda a, b, w=lower: triangle(a, b, w), [steep, b[..., :1]])]
            cases += [(lambda a, b, w=lower: triangle(a, b, w, unit=True), [a, b])]
    compare(cases, 1e-3 if dtype == "f" else 1e-10)


def test_stacks_that_broadcast_and_views() -> None:
    rng = np.random.default_rng(1)
    a, b = some(rng, 2, 1, 4, 4), some(rng, 3, 4, 2)
    single = a[0, 0].astype("f")
    lower = lambda a, b: triangle(a, b, lower=True)  # noqa: E731
    compare(
        [
            (lower, [a, b]),
            (lower, [a[0, 0], b]),
            (lower, [a, b[0]]),
            (lower, [single, b[0].astype("f")]),
            (lambda a, b: lower(a.swapaxes(-1, -2) * 2, b[:, ::-1]), [a, b]),
            (lambda a: np.linalg.cholesky(positive(a).swapaxes(0, 1)) * 2, [a]),
            (lambda a, b: np.linalg.solve(a[0, 0].T, b[1]) @ b[0].T, [a, b]),
        ],
        1e-5,
    )


def test_a_result_that_nothing_reads_after_all() -> None:
    """The way back of a sign, which has no slope."""
    sign_squared = lambda a: np.sum(sign(a) ** 2)  # noqa: E731
    a = some(np.random.default_rng(5), 2, 3, 3)
    np.testing.assert_array_equal(compile(grad(sign_squared))(a), np.zeros_like(a))


def test_large_matrices_are_lapacks() -> None:
    rng = np.random.default_rng(2)
    for n in (costs.MAX_SMALL_MATRIX, costs.MAX_SMALL_MATRIX + 1):
        a, b = positive(some(rng, n, n)), some(rng, n, 1)
        every: list[Callable[..., Any]] = [
            lambda a, b: np.linalg.cholesky(a),
            lambda a, b: np.linalg.inv(a),
            np.linalg.solve,
            lambda a, b: logdet(a),
            lambda a, b: triangle(a, b, lower=True),
        ]
        for f in every:
            compare([(f, [a, b])], 1e-9, in_c=n == costs.MAX_SMALL_MATRIX)
    wide = some(rng, 3, costs.MAX_SMALL_MATRIX + 1)
    compare([(np.linalg.solve, [some(rng, 3, 3), wide])], in_c=False)
    compare([(lambda a: np.linalg.inv(a + 1j), [some(rng, 3, 3)])], in_c=False)


def likelihood(x: Any, y: Any) -> Any:
    """Of y by a Gaussian process over x."""
    covariance = np.exp(-((x[:, None] - x) ** 2)) + 0.1 * np.eye(len(x))
    factor = np.linalg.cholesky(covariance)
    white = solve_triangular(factor, y, lower=True)
    return -0.5 * np.sum(white**2) - np.sum(np.log(np.diagonal(factor)))


def test_gradients_are_loops_too() -> None:
    rng = np.random.default_rng(3)
    x, y = some(rng, 6), some(rng, 6)
    a, b = positive(some(rng, 2, 3, 3)), some(rng, 2, 3, 2)
    first = minigrad.grad(likelihood)
    system = lambda a, b: np.sum(np.linalg.solve(a, b) ** 2) + np.sum(logdet(a))  # noqa: E731
    inverse = lambda a: np.sum(np.sin(np.linalg.inv(a)))  # noqa: E731
    second = minigrad.grad(lambda a: np.sum(minigrad.grad(inverse)(a) ** 2))
    compare(
        [
            (likelihood, [x, y]),
            (first, [x, y]),
            (minigrad.grad(lambda x, y: np.sum(first(x, y) ** 2)), [x, y]),
            (minigrad.grad(system), [a, b]),
            (minigrad.grad(system, 1), [a, b]),
            (second, [a]),
        ],
        1e-9,
    )


# What has no answer

NOT_POSITIVE = np.array([[1.0, 2.0], [2.0, 1.0]])
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
REFUSED: dict[str, tuple[Callable[..., Any], np.ndarray, str]] = {
    "negative": (np.linalg.cholesky, -np.eye(3), "not positive definite"),
    "zero": (np.linalg.cholesky, np.diag([1.0, 0.0]), "not positive definite"),
    "indefinite": (np.linalg.cholesky, NOT_POSITIVE, "not positive definite"),
    "triangle": (lambda a: triangle(a, a, lower=False), np.diag([0.0, 1.0]), "singular matrix"),
    "inv": (np.linalg.inv, SINGULAR, "Singular matrix"),
    "solve": (lambda a: np.linalg.solve(a, a), np.zeros((2, 2)), "Singular matrix"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_lapack_refuses_is_refused(name: str) -> None:
    """One of a stack too; and the next run is right."""
    f, bad, message = REFUSED[name]
    good = np.eye(len(bad))
    compiled = compile(f)
    for xs in (bad, np.stack([good, bad, good])):
        right = np.broadcast_to(good, xs.shape)
        np.testing.assert_array_equal(compiled(right), f(right))
        with pytest.raises(np.linalg.LinAlgError, match=message):
            f(Tensor(xs))
        with pytest.raises(LinAlgError, match=message):
            compiled(xs)
        np.testing.assert_array_equal(compiled(right), f(right))


def test_the_first_that_has_no_answer_is_named() -> None:
    f = compile(lambda a, x, i: np.linalg.cholesky(a)[0] * x[i])
    x = np.ones(2)
    with pytest.raises(LinAlgError, match="not positive definite"):
        f(NOT_POSITIVE, x, np.array([0, 5]))
    with pytest.raises(IndexingError, match="out of range"):
        f(np.eye(2), x, np.array([0, 5]))


def test_what_is_odd_is_as_numpy_has_it() -> None:
    """Other triangles are not read; of singular matrices, determinants are 0."""
    nan, inf = np.nan, np.inf
    every = [[[1, nan], [2, 5]], [[nan, 0], [0, 1]], [[1, 0], [nan, 1]], [[inf, 0], [0, 1]]]
    cases: list[Case] = [(np.linalg.cholesky, [np.array(a, float)]) for a in every]
    ones = np.ones((2, 1))
    triangles: list[Any] = [[[1, nan], [2, 5]], [[nan, 0], [1, 1]], [[inf, 0], [1, 1]]]
    for a in [*triangles, [[0, 0], [3, 0]]]:
        unit = a[0][0] == 0
        solved = lambda a, b, unit=unit: triangle(a, b, lower=True, unit=unit)  # noqa: E731
        cases.append((solved, [np.array(a, float), ones]))
    matrices = [SINGULAR, np.zeros((3, 3)), [[0, 1], [1, 0]], [[1e200, 0], [0, -1e200]]]
    matrices += [np.diag([1e-200] * 3), [[0, 2, 0], [0, 0, 3], [4, 0, 0]]]
    cases += [(f, [np.array(a, float)]) for a in matrices for f in SQUARE[1:]]
    cases += [(np.linalg.inv, [np.array([[inf, 1.0], [1.0, 1.0]])])]
    with np.errstate(all="ignore"):
        compare(cases)


def test_constants_of_one_number() -> None:
    """They are in memory, as other constants are, and not in the C of what reads them."""
    x, one = np.array([[4.0]]), np.ones((1, 1))
    for f in (
        lambda x: np.linalg.solve(x, np.ones(1)),
        lambda x: np.linalg.solve(one * 3, x),
        lambda x: np.linalg.cholesky(one * 4) + x,
        lambda x: np.linalg.det(one * 3) * x,
    ):
        np.testing.assert_allclose(minigrad.compile(f)(x), f(x), rtol=1e-15)
