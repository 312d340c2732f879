"""scipy.linalg on Tensors: SciPy's values, and right derivatives, real and complex, of single
matrices and stacks, eager and compiled."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import minigrad
import minigrad.scipy.linalg
from minigrad import Tensor, check_gradients, grad, jvp
from minigrad.errors import ArgumentTypeError, LinAlgError, MinigradError, UnsupportedError
from tests.calls import GRAM, ROOT, TALL
from tests.marks import rows

RNG = np.random.default_rng(3)
B, V, Q = RNG.uniform(-1, 1, (3, 2)), RNG.uniform(-1, 1, 3), RNG.uniform(-1, 1, (3, 3))
SMALL, SQUARE = ROOT[:2, :2], GRAM[1:, 1:]
BANDS = np.array([[0.0, 0.3, -0.5, 0.2], [3.0, 2.5, 2.0, 4.0], [0.4, -0.7, 0.1, 0.0]])

sla: Any = minigrad.scipy.linalg  # as code that is not typed calls it

Table = dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]]


def solving(**how: Any) -> Callable[..., Any]:
    return lambda m, a, b: m.solve_triangular(a, b, **how)


def by_cho(lower: bool) -> Callable[..., Any]:
    return lambda m, a, b: m.cho_solve(m.cho_factor(a, lower), b)


def by_lu(trans: int) -> Callable[..., Any]:
    return lambda m, a, b: m.lu_solve(m.lu_factor(a[::-1]), b, trans)


def as_kind(kind: str, **how: Any) -> Callable[..., Any]:
    return lambda m, a, b: m.solve(a, b, assume_a=kind, **how)


# Each is given the module, SciPy's or ours, and arrays or Tensors.
TABLE: Table = {
    "solve_triangular": (solving(), (ROOT, B)),
    "solve_triangular lower": (solving(lower=True, trans=1), (ROOT, V)),
    "solve_triangular unit": (solving(unit_diagonal=True, trans="C"), (ROOT, V)),
    "cho_solve": (by_cho(False), (GRAM, V)),
    "cho_solve lower": (by_cho(True), (GRAM, B)),
    "cho_factor": (lambda m, a: m.cho_factor(a, lower=True)[0], (GRAM,)),
    "cholesky": (lambda m, a: m.cholesky(a), (GRAM,)),
    "cholesky lower": (lambda m, a: m.cholesky(a, lower=True), (GRAM,)),
    "lu": (lambda m, a: m.lu(a[::-1])[1] * m.lu(a, permute_l=True)[0], (ROOT,)),
    "lu U": (lambda m, a: m.lu(a)[0] @ m.lu(a)[2], (ROOT[::-1].copy(),)),
    "lu tall": (lambda m, a: m.lu(a, p_indices=True)[1], (TALL,)),
    "lu wide": (lambda m, a: m.lu(a)[2], (TALL.T,)),
    "lu_factor": (lambda m, a: m.lu_factor(a)[0], (TALL,)),
    "lu_solve": (by_lu(0), (ROOT, B)),
    "lu_solve transposed": (by_lu(1), (ROOT, V)),
    "lu_solve adjoint": (by_lu(2), (ROOT, B)),
    "qr full": (lambda m, a: abs(m.qr(a)[0]), (TALL,)),
    "qr economic": (lambda m, a: m.qr(a, mode="economic")[1], (TALL,)),
    "qr r": (lambda m, a: m.qr(a, mode="r")[0], (TALL,)),
    "qr pivoting": (lambda m, a: m.qr(a, mode="economic", pivoting=True)[1], (TALL,)),
    "svd": (lambda m, a: abs(m.svd(a, full_matrices=False)[2]), (TALL,)),
    "svdvals": (lambda m, a: m.svdvals(a), (TALL,)),
    "polar": (lambda m, a: m.polar(a)[0] @ m.polar(a)[1] ** 2, (TALL,)),
    "polar left": (lambda m, a: m.polar(a, side="left")[1], (TALL.T,)),
    "eigh": (lambda m, a: abs(m.eigh(a)[1]), (GRAM,)),
    "eigh upper": (lambda m, a: m.eigh(a, lower=False, eigvals_only=True), (GRAM,)),
    "eigh of a pair": (lambda m, a, b: abs(m.eigh(a, b)[1]), (ROOT[:2, :2], SQUARE)),
    "eigh type 2": (lambda m, a, b: abs(m.eigh(a, b, type=2)[1]), (ROOT[:2, :2], SQUARE)),
    "eigh type 3": (lambda m, a, b: abs(m.eigh(a, b, type=3)[1]), (ROOT[:2, :2], SQUARE)),
    "eigvalsh of some": (lambda m, a: m.eigvalsh(a, subset_by_index=[1, 2]), (GRAM,)),
    "eig": (lambda m, a: abs(m.eig(a)[1]), (ROOT,)),
    "eigvals": (lambda m, a: m.eigvals(a).real, (ROOT,)),
    "eigvals of a pair": (lambda m, a, b: np.sort(m.eigvals(a, b).real), (SMALL, SQUARE)),
    **{
        name: (lambda m, a, name=name: getattr(m, name)(a), (SMALL,))
        for name in "expm logm sqrtm cosm sinm tanm coshm sinhm tanhm".split()
    },
    "expm_frechet": (lambda m, a, e: m.expm_frechet(a, e)[1], (SMALL, SQUARE)),
    "fractional_matrix_power": (lambda m, a: m.fractional_matrix_power(a, -0.7), (SMALL,)),
    "solve_sylvester": (lambda m, a, b, q: m.solve_sylvester(a, b, q), (ROOT, SMALL, B)),
    "solve_continuous_lyapunov": (lambda m, *x: m.solve_continuous_lyapunov(*x), (SMALL, SQUARE)),
    "solve_lyapunov": (lambda m, *x: m.solve_lyapunov(*x), (SMALL, SQUARE)),
    "solve_discrete_lyapunov": (
        lambda m, a, q: m.solve_discrete_lyapunov(a / 9, q),
        (SMALL, SQUARE),
    ),
    "solve_banded": (lambda m, ab, b: m.solve_banded((1, 1), ab, b), (BANDS, np.ones(4))),
    "solve_banded below": (
        lambda m, ab, b: m.solve_banded((2, 0), ab, b),
        (BANDS[[1, 2, 0]], BANDS.T),
    ),
    "solveh_banded": (lambda m, ab, b: m.solveh_banded(ab, b), (BANDS[:2], np.ones(4))),
    "solveh_banded lower": (
        lambda m, ab, b: m.solveh_banded(ab, b, lower=True),
        (BANDS[1:], BANDS.T),
    ),
    "solve_toeplitz": (lambda m, c, b: m.solve_toeplitz((c, c**2 / c[0]), b), (ROOT[0], B)),
    "solve_circulant": (lambda m, c, b: m.solve_circulant(c, b), (ROOT[0], V)),
    "matmul_toeplitz": (lambda m, c, b: m.matmul_toeplitz((c, c * 2), b), (V, B)),
    "toeplitz": (lambda m, c, r: m.toeplitz(c, r), (V, BANDS[1])),
    "toeplitz of one": (lambda m, c: m.toeplitz(c), (V,)),
    "circulant": (lambda m, c: m.circulant(c), (V,)),
    "hankel": (lambda m, c, r: m.hankel(c, r) + m.hankel(r)[:3], (V, BANDS[1])),
    "block_diag": (lambda m, a, v: m.block_diag(a, v, 2.0, a.T), (B, V)),
    "khatri_rao": (lambda m, a, b: m.khatri_rao(a, b), (ROOT, Q)),
    "inv": (lambda m, a: m.inv(a), (ROOT,)),
    "det": (lambda m, a: m.det(a), (ROOT,)),
    "pinv": (lambda m, a: m.pinv(a), (TALL,)),
    "pinv atol": (lambda m, a: m.pinv(a, atol=1e-3), (TALL,)),
    "pinvh": (lambda m, a: m.pinvh(a), (GRAM,)),
    "norm": (lambda m, a: m.norm(a, 1, axis=(-2, -1)), (ROOT,)),
    "lstsq": (lambda m, a, b: m.lstsq(a, b)[0], (TALL, np.ones(4))),
    "lstsq residuals": (lambda m, a, b: m.lstsq(a, b)[1], (TALL, np.ones(4))),
    "solve": (lambda m, a, b: m.solve(a, b, transposed=True), (ROOT, V)),
    "solve pos": (as_kind("pos", lower=True), (GRAM, V)),
    "solve sym": (as_kind("sym"), (ROOT, B)),
    "solve her": (as_kind("her", lower=True), (ROOT, V)),
    "solve lower": (as_kind("lower triangular"), (ROOT, V)),
    "solve upper": (as_kind("upper triangular"), (ROOT, V)),
    "solve diagonal": (as_kind("diagonal"), (ROOT, B)),
}


# One of each rule.
KINDS = (
    "solve_triangular lower",
    "lu_factor",
    "expm",
    "solve_lyapunov",
    "solve_banded",
    "polar left",
)
QUICK = [TABLE[name] for name in KINDS]


def turned(x: np.ndarray) -> np.ndarray:
    """A complex array, near a real one; Hermitian if that is symmetric."""
    angles = np.subtract.outer(*map(np.arange, x.shape)) if x.ndim == 2 else np.arange(len(x))
    return x * np.exp(0.2j * angles)


@pytest.mark.filterwarnings("ignore:logm result may be inaccurate")  # SciPy's, in single precision
@pytest.mark.parametrize(("f", "arrays"), TABLE.values(), ids=list(TABLE))
def test_values_are_scipys(f: Any, arrays: Any) -> None:
    for kind in "dfDF":
        dtype = np.dtype(kind)
        given = [(turned(x) if kind in "DF" else x).astype(dtype) for x in arrays]
        try:
            expected = f(scipy.linalg, *given)
        except NotImplementedError:  # a transposed system of complex numbers
            continue
        result = f(sla, *(Tensor(x, requires_grad=True) for x in given))
        assert isinstance(result, Tensor) and result.requires_grad
        assert result.shape == np.shape(expected)
        assert result.dtype.kind == np.asarray(expected).dtype.kind
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(result.data, expected, rtol=1e3 * eps, atol=1e3 * eps)
        if kind in "fF" and "block_diag" not in f.__code__.co_names:  # which has a number in it
            assert np.finfo(result.dtype).eps == eps
        np.testing.assert_array_equal(f(sla, *given), expected)  # of plain arrays, SciPy's own


@pytest.mark.parametrize("case", rows(TABLE, slow=lambda case: case not in QUICK))
def test_derivatives(case: Any) -> None:
    f, arrays = case
    check_gradients(lambda *xs: f(sla, *xs), *arrays, order=2)


@pytest.mark.parametrize("case", rows(TABLE, slow=lambda case: case not in QUICK))
def test_derivatives_of_complex_matrices(case: Any) -> None:
    f, arrays = case
    check_gradients(lambda *xs: f(sla, *xs), *map(turned, arrays), order=1)


# One matrix each, and functions that take stacks.
ALONE = "solve_discrete_lyapunov block_diag khatri_rao lstsq lu lu_solve".split()
STACKED = {
    name: case
    for name, case in TABLE.items()
    if all(x.ndim == 2 for x in case[1]) and name.split()[0] not in ALONE
} | {name: TABLE[name] for name in ("lu tall", "lu wide")}


@pytest.mark.parametrize("name", rows({k: k for k in STACKED}, slow=lambda k: k[-1:] == "m"))
def test_stacks_are_what_their_matrices_are(name: str) -> None:
    f, arrays = STACKED[name]
    stacks = [np.stack([x, x * 1.1, np.ascontiguousarray(x[:, ::-1])[:, ::-1]]) for x in arrays]
    xs = [Tensor(x[:, None], requires_grad=True) for x in stacks]
    y = f(sla, *xs)
    np.sum(np.abs(y)).backward()
    for k in range(3):
        one = [Tensor(x[k], requires_grad=True) for x in stacks]
        z = f(sla, *one)
        np.sum(np.abs(z)).backward()
        np.testing.assert_allclose(y.data[k, 0], z.data, rtol=1e-12, atol=1e-12)
        for x, x_one in zip(xs, one, strict=True):
            np.testing.assert_allclose(x.grad[k, 0], x_one.grad, rtol=1e-9, atol=1e-12)


# How many results there are, or of which dtype, depends on the numbers.
APART = {"eig", "eigvals", "eigvals of a pair", "lstsq", "lstsq residuals", "pinv atol"}
COMPILED = {name: case for name, case in TABLE.items() if name not in APART}


@pytest.mark.unoptimized
@pytest.mark.parametrize(
    "cases",
    rows(
        {"kinds": [COMPILED[name] for name in KINDS], "all": [*COMPILED.values()]},
        slow=lambda cases: len(cases) > len(KINDS),
    ),
)
def test_compiled_functions_give_the_same(cases: Any) -> None:
    def every(*arrays: Any) -> Any:
        found = []
        for (f, _), xs in zip(cases, arrays, strict=True):
            found.append(f(sla, *xs))
            found.append(grad(lambda *xs, f=f: np.sum(f(sla, *xs) ** 2))(*xs))
        return found

    arrays = [xs for _, xs in cases]
    for found, expected in zip(minigrad.compile(every)(*arrays), every(*arrays), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


REFUSED: dict[str, tuple[Callable[[Any], Any], type[MinigradError], str]] = {
    "null_space": (sla.null_space, UnsupportedError, r"pinv\(a\) @ a projects"),
    "orth": (sla.orth, UnsupportedError, "qr"),
    "funm": (lambda t: sla.funm(t, np.exp), UnsupportedError, "expm"),
    "subset_by_value": (
        lambda t: sla.eigh(t, subset_by_value=[0, 1]),
        UnsupportedError,
        r"does not take subset_by_value=\[0, 1\]",
    ),
    "left": (lambda t: sla.eig(t, left=True), UnsupportedError, "adjoint"),
    "no such argument": (lambda t: sla.inv(t, fast=True), ArgumentTypeError, "fast"),
    "not square": (lambda t: sla.expm(t[:2]), LinAlgError, r"expm of shape \(2, 3\)"),
    "rows": (lambda t: sla.solve_triangular(t, np.ones(2)), LinAlgError, r"\(3, 3\).*\(2,\)"),
    "singular": (lambda t: sla.solve_triangular(t * 0, np.ones(3)), LinAlgError, "singular"),
    "not positive": (lambda t: sla.cho_factor(-t), LinAlgError, "not positive definite"),
    "bands": (lambda t: sla.solve_banded((1, 0), t, np.ones(3)), LinAlgError, "2 rows"),
    "mode": (lambda t: sla.qr(t, mode="raw"), MinigradError, "'raw'"),
    "power": (lambda t: sla.fractional_matrix_power(t, t[0, 0]), UnsupportedError, "expm"),
    "kind": (lambda t: sla.solve(t, t, assume_a="round"), MinigradError, "'round'"),
    "vector": (lambda t: sla.toeplitz(t), MinigradError, r"\(3, 3\)"),
}


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_done_is_refused(call: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        call(Tensor(GRAM, requires_grad=True))


def test_every_function_of_scipy_is_there_and_works_on_arrays() -> None:
    for name in scipy.linalg.__all__:
        assert getattr(sla, name) is not None
    np.testing.assert_array_equal(sla.null_space(TALL.T), scipy.linalg.null_space(TALL.T))
    assert sla.LinAlgError is np.linalg.LinAlgError


def test_derivatives_where_eigenvalues_coincide() -> None:
    """By Frechet derivatives, functions of matrices have them at any matrix."""
    eye, e = np.eye(3), ROOT - ROOT.T
    for f, slope in {sla.expm: np.e, sla.sqrtm: 0.5, sla.logm: 1.0}.items():
        np.testing.assert_allclose(jvp(f, (eye,), (e,))[1], slope * e, atol=1e-12)
    check_gradients(lambda a: sla.polar(a)[0], np.eye(2), order=2)
    check_gradients(lambda a: sla.sqrtm(a), np.eye(2), order=2)


def test_a_triangle_of_one_number_compiled() -> None:
    def f(a: Any, b: Any) -> Any:
        return np.sum(
            np.sin(
                minigrad.scipy.linalg.solve_triangular(a * 0.1, b, lower=True, unit_diagonal=True)
            )
        )

    gradient = minigrad.grad(f, (0, 1))
    a, b = np.ones((1, 1)), np.ones((1, 2))
    for found, expected in zip(minigrad.compile(gradient)(a, b), gradient(a, b), strict=True):
        np.testing.assert_allclose(found, expected)
