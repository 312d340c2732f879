"""np.linalg beyond regular matrices: where values coincide, ranks are low, determinants vanish;
phases; stacks; named tuples; compiled."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, check_gradients, grad, hessian, hvp, jvp, no_grad
from minigrad.errors import LinAlgError, UnsupportedError
from minigrad.ops.linalg.solving import inv_of_array
from tests.calls import GRAM, LINALG, PAIR, ROOT, TALL
from tests.marks import rows

RNG = np.random.default_rng(4)
Q = np.linalg.qr(RNG.standard_normal((4, 4)))[0]
PLANES = Q @ np.diag([1.0, 2.0, 2.0, 3.0]) @ Q.T  # whose values 2 coincide up to rounding
DIRECTION = RNG.standard_normal((4, 4))
LOW = RNG.standard_normal((4, 2)) @ RNG.standard_normal((2, 3))  # of rank 2
EYE = np.eye(2)


def is_nan(x: Any) -> bool:
    return bool(np.isnan(x).any())


# Values that coincide


def test_values_that_coincide_have_the_first_derivative_of_symmetric_functions() -> None:
    check_gradients(lambda a: np.sum(np.linalg.eigvalsh(a) ** 3), PLANES, order=1)
    check_gradients(lambda a: np.sum(np.linalg.svdvals(a) ** 3), PLANES, order=1)
    check_gradients(lambda a: np.linalg.norm(a, "nuc"), Q, order=1)
    np.testing.assert_array_equal(grad(lambda a: np.linalg.norm(a, 2))(EYE), EYE / 2)


def test_vectors_of_values_that_differ_have_derivatives_beside_some_that_coincide() -> None:
    check_gradients(lambda a: np.linalg.eigh(a)[1][:, 0] ** 2, PLANES, order=1)
    check_gradients(lambda a: abs(np.linalg.svd(a)[0][:, 0]), PLANES, order=1)
    check_gradients(lambda a: abs(np.linalg.svd(a)[2][:2]), LOW, order=1)
    check_gradients(lambda a: np.linalg.svdvals(a)[:2], LOW, order=2)


@pytest.mark.parametrize("name", ["eigh", "svd", "eig"])
def test_vectors_with_a_weight_of_zero_have_derivatives_by_it(name: str) -> None:
    """Of a function that is linear in the weight, the same wherever it is."""
    a = RNG.standard_normal((3, 3))
    a = a + a.T

    def f(a: Any, weight: Any) -> Any:
        factors = getattr(np.linalg, name)(a)
        return weight * np.real(factors[0 if name == "svd" else 1])[0, 0] ** 4

    def second(weight: Any) -> Any:
        return np.sum(hvp(f)(a, weight, a))

    assert grad(second)(0.0) == pytest.approx(grad(second)(1.0), rel=1e-9)


def of_factors(w: Any, v: Any) -> Any:
    return (v * w) @ v.T


USES: dict[str, Callable[[Any], Any]] = {
    "eigh": lambda a: np.linalg.eigh(a)[1][:, 1] ** 2,
    "all of eigh": lambda a: np.linalg.eigh(a)[1],
    "by eigh": lambda a: of_factors(*np.linalg.eigh(a)),
    "eig": lambda a: abs(np.linalg.eig(a)[1]),
    "svd": lambda a: np.linalg.svd(a)[0] @ np.linalg.svd(a)[2],
}


@pytest.mark.parametrize("name", USES)
def test_vectors_of_values_that_coincide_have_none(name: str) -> None:
    f = USES[name]
    for a in (PLANES, np.eye(4)):
        assert is_nan(grad(lambda a: np.sum(f(a)))(a))
        assert is_nan(jvp(f, (a,), (DIRECTION,))[1])


@pytest.mark.parametrize("a", [PLANES, np.eye(4), np.zeros((4, 4))], ids=["planes", "eye", "zeros"])
def test_second_derivatives_where_values_coincide_are_none(a: Any) -> None:
    for f in (np.linalg.eigvalsh, np.linalg.svdvals):
        assert is_nan(hessian(lambda a, f=f: np.sum(f(a) ** 2))(a))
        assert is_nan(hessian(lambda a, f=f: np.sum((f(a) - 1) ** 2))(a))


def test_second_derivatives_by_vectors_of_a_singular_value_of_zero_are_none() -> None:
    assert is_nan(hessian(lambda a: np.sum(np.linalg.svd(a)[2][:2] ** 3))(LOW))


# What completes a basis


def test_one_vector_that_completes_a_basis_has_derivatives() -> None:
    check_gradients(lambda a: abs(np.linalg.svd(a)[2][-1]), TALL.T, order=2)
    check_gradients(lambda a: abs(np.linalg.qr(a, "complete")[0][:, 3]), TALL, order=2)


@pytest.mark.parametrize(
    "f",
    [lambda a: np.linalg.svd(a)[0], lambda a: np.linalg.qr(a, "complete")[0]],
    ids=["svd", "qr"],
)
def test_two_vectors_that_complete_a_basis_have_none(f: Any) -> None:
    a = RNG.standard_normal((4, 2))
    assert is_nan(grad(lambda a: np.sum(f(a)))(a))
    check_gradients(lambda a: abs(f(a)[:, :2]), a, order=2)  # the others do


# Determinants

SINGULAR: dict[str, np.ndarray] = {
    "rank 2": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.5]])
    @ np.diag([1.0, 1.0, 0]),
    "rank 1": np.outer([1.0, 2.0, -1.0], [0.5, 1.0, 3.0]),
    "zeros": np.zeros((3, 3)),
    "nearly": np.diag([1.0, 1e-9, 2.0]) + 1e-12,
}


def second_derivative_of_det(a: np.ndarray) -> np.ndarray:
    """d2 det / da_ij da_kl of a 3x3 matrix, by the permutation symbol."""
    e = np.zeros((3, 3, 3))
    e[[0, 1, 2], [1, 2, 0], [2, 0, 1]], e[[0, 1, 2], [2, 0, 1], [1, 2, 0]] = 1, -1
    return np.einsum("ikm,jln,mn->ijkl", e, e, a)


@pytest.mark.parametrize("a", SINGULAR.values(), ids=list(SINGULAR))
def test_determinants_of_singular_matrices(a: np.ndarray) -> None:
    second = second_derivative_of_det(a)
    first = np.einsum("ijkl,kl->ij", second, a) / 2
    np.testing.assert_allclose(grad(np.linalg.det)(a), first, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(hessian(np.linalg.det)(a), second, rtol=1e-12, atol=1e-13)


def test_what_determinants_do_not_have_is_an_error() -> None:
    with pytest.raises(LinAlgError, match="Singular"):
        grad(lambda a: np.linalg.slogdet(a)[1])(SINGULAR["rank 1"])
    third = grad(lambda a: hessian(np.linalg.det)(a)[0, 0, 1, 1])
    with pytest.raises(LinAlgError, match="Singular"):
        third(SINGULAR["zeros"])
    check_gradients(np.linalg.det, ROOT, order=3)


def test_a_phase_has_a_derivative() -> None:
    z = ROOT + 1j * GRAM
    check_gradients(lambda a: np.linalg.slogdet(a)[0], z, order=2)
    check_gradients(lambda a: np.linalg.slogdet(a)[1], z, order=2)


# Phases


@pytest.mark.parametrize(
    "f", [np.linalg.eigh, np.linalg.eig, np.linalg.svd], ids=lambda f: f.__name__
)
def test_a_function_that_depends_on_a_phase_has_no_gradient(f: Any) -> None:
    z = ROOT + 1j * np.triu(ROOT, 1) - 1j * np.tril(ROOT, -1)
    vectors = 0 if f is np.linalg.svd else 1
    assert is_nan(grad(lambda z: np.sum(np.real(f(z)[vectors] * (1 + 2j))))(z))
    assert not is_nan(grad(lambda z: np.sum(np.abs(f(z)[vectors])))(z))


# Pseudo-inverses


def test_pseudo_inverses_of_low_rank_and_of_cut_off_values() -> None:
    base = RNG.standard_normal((3, 2))
    check_gradients(lambda b: np.linalg.pinv(b @ b.T, rcond=1e-9), base, order=2)
    check_gradients(lambda b: np.linalg.lstsq(b @ b.T, np.ones(3), 1e-9)[0], base, order=1)
    assert is_nan(grad(lambda a: np.sum(np.linalg.pinv(a, rcond=0.5)))(np.diag([1.0, 0.1])))


def test_rank_deficient_qr_is_an_error() -> None:
    with pytest.raises(LinAlgError, match="Singular"):
        grad(lambda a: np.sum(np.linalg.qr(a)[1]))(np.zeros((3, 2)))


# Results


def test_results_are_numpys_named_tuples() -> None:
    for f in (np.linalg.svd, np.linalg.eigh, np.linalg.eig, np.linalg.qr, np.linalg.slogdet):
        result, expected = f(Tensor(GRAM)), f(GRAM)
        assert type(result) is type(expected)
        assert all(isinstance(x, Tensor) for x in result)
    x, residuals, rank, s = np.linalg.lstsq(Tensor(TALL), np.ones(4))
    assert rank == 3 and isinstance(residuals, Tensor) and s.shape == (3,) and x.shape == (3,)


def test_one_triangle_is_read() -> None:
    for f in (np.linalg.cholesky, np.linalg.eigvalsh):
        slope = grad(lambda a, f=f: np.sum(f(a)))(GRAM)
        assert not np.triu(slope, 1).any() and np.tril(slope, -1).any()


def test_gradients_of_stacks_are_those_of_their_matrices() -> None:
    stack = np.stack([PAIR, PAIR[::-1] * 1.5])  # (2, 2, 3, 3)
    for f in (np.linalg.inv, np.linalg.det, np.linalg.cholesky, np.linalg.svdvals, np.linalg.pinv):
        total: Any = lambda a, f=f: np.sum(np.abs(f(a @ a.mT)))  # noqa: E731
        whole = grad(total)(stack)
        for i in np.ndindex(2, 2):
            np.testing.assert_allclose(whole[i], grad(total)(stack[i]), rtol=1e-10, atol=1e-12)


def test_nothing_is_recorded_without_gradients() -> None:
    with no_grad():
        factors: Any = np.linalg.eigh(Tensor(GRAM, requires_grad=True))
    assert not any(x.requires_grad for x in factors)


# Compiled: how many residuals there are, or whether results are complex, depends on the numbers.
APART = {"lstsq", "lstsq residuals", "eig", "eigvals", "factors of nothing", "values of nothing"}


COMPILED = {name: case for name, case in LINALG.items() if name not in APART}
KINDS = "solve", "det", "cholesky", "qr", "svd", "eigh"


@pytest.mark.unoptimized
@pytest.mark.parametrize(
    "cases",
    rows(
        {"kinds": [COMPILED[name] for name in KINDS], "all": [*COMPILED.values()]},
        slow=lambda cases: len(cases) > len(KINDS),
    ),
)
def test_compiled_functions_and_gradients_are_the_same(cases: Any) -> None:

    def every(*arrays: Any) -> list[Any]:
        found = []
        for (f, _), xs in zip(cases, arrays, strict=True):
            found.append(f(*xs))
            found.append(grad(lambda *xs, f=f: np.sum(f(*xs) ** 2))(*xs))
        return found

    arrays = [[Tensor(x) for x in xs] for _, xs in cases]
    for found, expected in zip(minigrad.compile(every)(*arrays), every(*arrays), strict=True):
        np.testing.assert_allclose(found.data, expected.data, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (np.linalg.eig, r"a\.astype\(complex\)"),
        (lambda a: np.linalg.lstsq(a, a), r"np\.linalg\.pinv\(a\) @ b"),
    ],
)
def test_what_follows_the_numbers_is_refused_in_compiled_functions(f: Any, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        minigrad.compile(lambda a: f(Tensor(a))[0])(ROOT)


@pytest.mark.parametrize("n", [1, 47, 48, 49, 131])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, complex])
def test_the_inverse_of_a_lower_triangle_is_computed_by_halves(n: int, dtype: Any) -> None:
    rng = np.random.default_rng(n)
    x = rng.standard_normal((2, n, n)) + 1j * rng.standard_normal((2, n, n))
    x = np.tril(x if dtype is complex else x.real).astype(dtype) + n * np.eye(n, dtype=dtype)
    inverse = inv_of_array(x, lower=True)
    assert inverse.dtype == x.dtype
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(inverse @ x, np.broadcast_to(np.eye(n), x.shape), atol=20 * eps)
    np.testing.assert_allclose(inverse, np.linalg.inv(x), atol=4 * eps)


def test_the_gradient_of_a_large_cholesky_factor() -> None:
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((2, 100, 100))
    a = x @ x.T + 100 * np.eye(100)
    direction = rng.standard_normal((100, 100))

    def f(a: Any) -> Any:
        return np.sum(weights * np.linalg.cholesky((a + a.T) / 2))

    def slope(f: Any, h: float = 1e-4) -> Any:
        return (f(a + h * direction) - f(a - h * direction)) / (2 * h)

    np.testing.assert_allclose(np.sum(grad(f)(a) * direction), slope(f), rtol=1e-6)
    second = np.sum(hvp(f)(a, direction) * direction)
    np.testing.assert_allclose(second, slope(lambda a: np.sum(grad(f)(a) * direction)), rtol=1e-5)
