"""Sparsity patterns, and Jacobians and Hessians from compressed passes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import linalg as sparse_linalg

import minigrad
from minigrad import (
    Tensor,
    functional,
    grad,
    hessian,
    jacobian,
    nn,
    sparse_hessian,
    sparse_jacobian,
    vjp,
    vmap,
)
from minigrad import jacobian_sparsity as sparsity
from minigrad.errors import DtypeError, GradientError, MinigradError, UnsupportedError
from minigrad.transforms import sparse as sparse_module
from minigrad.transforms.recorded import Recorded
from minigrad.transforms.sparse import colored
from minigrad.transforms.sparsity import pattern_of
from tests.draw import SAMPLES, Sample, float_positions
from tests.marks import rows

X = np.random.default_rng(3).uniform(0.5, 1.0, 12)
Program = Callable[[Any], Any]


def entries_of(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """The pattern of an op, and its Jacobian, by all inputs together."""
    arrays = sample.arrays()
    floats = float_positions(arrays)

    def f(*xs: Any) -> Any:
        given = dict(zip(floats, xs, strict=True))
        return sample.op(*[given.get(k, a) for k, a in enumerate(arrays)], **sample.attributes)

    args = [arrays[k] for k in floats]
    run = Recorded(f, args)
    found = pattern_of(run.outputs, [x.node for x in run.inputs]).toarray()
    blocks = jacobian(f, tuple(range(len(args))))(*args)
    size = run.outputs[0].size
    return found, np.concatenate(
        [b.reshape(size, a.size) for b, a in zip(blocks, args, strict=True)], 1
    )


DIFFERENTIABLE = {
    name: sample
    for name, sample in SAMPLES.items()
    if sample.op.vjps and float_positions(sample.arrays())
}


@pytest.mark.parametrize(
    "sample", rows(DIFFERENTIABLE, slow=lambda sample: sample.op.family in ("unary", "binary"))
)
def test_the_pattern_of_an_op_has_every_entry_that_is_not_zero(sample: Sample) -> None:
    pattern, matrix = entries_of(sample)
    assert pattern.shape == matrix.shape
    assert not matrix[~pattern].any()


def wrapped(x: Any) -> Any:
    y = np.copy(x)
    y[1:] = y[1:] * x[:-1]
    return y


# Programs, with how many entries of their Jacobian by 12 numbers depend on a number.
BAND = np.eye(12) - np.eye(12, k=1)
EXACT: dict[str, tuple[Program, int]] = {
    "itself": (lambda x: x, 12),
    "neighbours": (lambda x: x[1:] * np.sin(x[:-1]), 22),
    "sums of rows": (lambda x: np.sum(np.reshape(x, (3, 4)), axis=1), 12),
    "means of columns": (lambda x: np.mean(np.reshape(x, (3, 4)), axis=0, keepdims=True), 12),
    "rolled": (lambda x: np.roll(x, 2) * x, 24),
    "a matrix times a constant": (lambda x: np.reshape(x, (3, 4)) @ np.ones((4, 2)), 24),
    "a matrix times another part": (lambda x: x[:6].reshape(3, 2) @ x[6:].reshape(2, 3), 36),
    "a matrix times a vector": (lambda x: np.reshape(x, (3, 4)) @ np.ones(4), 12),
    "a linear layer": (lambda x: functional.linear(x.reshape(3, 4), np.ones((2, 4))), 24),
    "dots": (lambda x: np.einsum("ij,ij->i", x.reshape(3, 4), np.ones((3, 4))), 12),
    "an outer product": (lambda x: np.outer(x[:3], x[3:6]), 18),
    "a convolution": (lambda x: np.convolve(x, np.ones(3), "same"), 34),
    "images": (lambda x: functional.conv2d(x.reshape(1, 1, 3, 4), np.ones((2, 1, 2, 2))), 48),
    "matrices": (lambda x: np.linalg.inv(x.reshape(3, 2, 2)), 48),
    "padded": (lambda x: np.pad(x, 2, constant_values=3.0) ** 2, 12),
    "periodic": (lambda x: np.pad(x, 2, mode="wrap"), 16),
    "picked": (lambda x: x[[0, 0, 3, 3]] * x[[1, 2, 3, 4]], 7),
    "broadcast": (lambda x: x * np.ones((2, 1)), 24),
    "written into": (wrapped, 23),
    "rows of softmax": (lambda x: functional.softmax(x.reshape(3, 4), axis=1), 48),
    "a constant": (lambda x: np.ones(3), 0),
    "nothing": (lambda x: None, 0),
    "by a constant matrix": (lambda x: BAND @ x, 23),
    "by a constant matrix of rows": (lambda x: np.reshape(x, (4, 3)) @ BAND[:3, :4], 4 * 6),
    "by constants": (lambda x: np.einsum("ij,ij->i", np.reshape(x, (3, 4)), BAND[:3, :4]), 6),
    "by no constant": (lambda x: np.dot(np.zeros(12), x), 0),
    "by constant factors": (lambda x: np.eye(12)[1] * x, 1),
    "by a constant mask": (lambda x: np.where(np.arange(12) < 3, x, x[0]), 12),
    "by a mask that moves": (lambda x: np.where(x > 100, x, 0.0), 12),
    "nested": (lambda x: {"a": x[:2], "b": [x[2:] * 2.0, np.sum(x[:3])]}, 15),
}


@pytest.mark.parametrize(("f", "count"), EXACT.values(), ids=EXACT)
def test_patterns_are_exact_where_the_op_is_known(f: Program, count: int) -> None:
    found = sparse_jacobian(f)(X)
    assert isinstance(found, sparse.csr_array)
    assert found.nnz == count == sparsity(f)(X).nnz
    leaves = minigrad.transforms.trees.flat(jacobian(f)(X))
    np.testing.assert_allclose(
        found.toarray(), np.concatenate([np.zeros((0, 12)), *(x.reshape(-1, 12) for x in leaves)])
    )


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def lattice(x: Any) -> Any:
    """Of a grid with a bond to each neighbour, and a term of all."""
    u = np.reshape(x, (3, 4))
    return np.sum(np.cos(u[1:] - u[:-1])) + np.sum(np.exp(u[:, 1:] * u[:, :-1])) + np.sum(u**3)


def quadratic(x: Any) -> Any:
    return np.sum((BAND @ x) ** 2)


@pytest.mark.parametrize("f", [rosenbrock, lattice, quadratic])
def test_hessians(f: Program) -> None:
    found = sparse_hessian(f)(X)
    np.testing.assert_allclose(found.toarray(), hessian(f)(X), rtol=1e-12)
    assert found.nnz < 70


def passes_of(f: Program, x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, int]:
    """The Jacobian, and by how many forward and reverse passes it was found."""
    ran = []

    def counted(function: Any) -> Any:
        return lambda *args: ran.append(function) or function(*args)  # type: ignore[func-returns-value]

    monkeypatch.setattr(Recorded, "pull_back", counted(Recorded.pull_back))
    monkeypatch.setattr(sparse_module, "pushed", counted(sparse_module.pushed))
    return sparse_jacobian(f)(x), len(ran)


def test_a_band_of_ten_thousand_takes_as_many_passes_as_it_is_wide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = np.linspace(0.0, 1.0, 10_000)

    def band(x: Any) -> Any:
        return x[:-4] * x[1:-3] + np.sin(x[2:-2]) - x[3:-1] / (2 + x[4:])

    found, passes = passes_of(band, x, monkeypatch)
    assert found.nnz == 5 * 9_996
    assert passes == 5
    v = np.cos(np.arange(10_000))
    np.testing.assert_allclose(found @ v, minigrad.jvp(band, (x,), (v,))[1], atol=1e-12)


def test_few_rows_are_found_by_reverse_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    found, passes = passes_of(lambda x: np.stack([np.sum(x**2), np.prod(x)]), X, monkeypatch)
    assert passes == 2
    np.testing.assert_allclose(found.toarray(), [2 * X, np.prod(X) / X])


def test_columns_of_one_color_share_no_row() -> None:
    rng = np.random.default_rng(0)
    for density in (0.0, 0.05, 0.3, 1.0):
        pattern = sparse.csr_array(rng.random((30, 40)) < density)
        colors = colored(pattern)
        for color in range(colors.max() + 1):
            assert pattern.toarray()[:, colors == color].sum(axis=1).max(initial=0) <= 1


def test_numbers_do_not_make_the_pattern() -> None:
    assert sparse_jacobian(lambda x: x[1:] * x[:-1])(np.zeros(3)).nnz == 4
    # A branch that was not taken is not in the graph, and is when it is taken.
    f = lambda x: x * x[::-1] if x[0] > 0 else x  # noqa: E731
    assert sparsity(f)(np.ones(4)).nnz == 8
    assert sparsity(f)(-np.ones(4)).nnz == 4


def test_single_precision_nests_and_other_arguments() -> None:
    f = lambda scale, p: scale * p["w"] * np.sum(p["b"])  # noqa: E731
    p = {"w": np.ones(3, np.float32), "b": np.ones(2, np.float32)}
    found = sparse_jacobian(f, argnum=1)(2.0, p)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.toarray(), np.hstack([4 * np.eye(3), np.full((3, 2), 2.0)]))


def test_modules_layer_by_layer() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Tanh())
    image = np.random.default_rng(0).normal(size=(1, 1, 6, 6)).astype(np.float32)
    found = sparse_jacobian(model)(image)
    assert found.nnz == 16**2
    with minigrad.no_grad():
        whole = jacobian(model)(image)
    np.testing.assert_allclose(found.toarray(), whole.reshape(36, 36), rtol=1e-6)


def test_compiled_functions_are_run_as_they_are_written() -> None:
    f = minigrad.compile(lambda x: x[1:] * x[:-1])
    assert sparse_jacobian(f)(X).nnz == 22
    assert sparse_hessian(minigrad.compile(rosenbrock))(X).nnz == 34
    assert sparse_jacobian(lambda x: 2 * f(x))(X).nnz == 22
    for g in (minigrad.checkpoint(f), lambda x: minigrad.checkpoint(f)(x) * 2):
        assert sparse_jacobian(g)(X).nnz == 22


def test_every_result_of_a_rule_of_the_users_depends_on_every_input() -> None:
    square = minigrad.custom_vjp(lambda x: x**2)
    square.defvjp(lambda x: (x**2, x), lambda x, g: (2 * x * g,))
    found = sparse_jacobian(lambda x: square(x[:3]) * x[3:6])(X)
    wanted = np.hstack([np.diag(2 * X[:3] * X[3:6]), np.diag(X[:3] ** 2), np.zeros((3, 6))])
    np.testing.assert_allclose(found.toarray(), wanted)
    assert found.nnz == 9 + 3


def test_inside_of_a_function_that_is_compiled_it_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="call it outside"):
        minigrad.compile(lambda x: sparse_jacobian(lambda x: x**2)(x).nnz)(X)
    with pytest.raises(UnsupportedError, match="under vmap"):
        minigrad.vmap(sparse_jacobian(lambda x: x**2))(X.reshape(3, 4))


def test_what_has_no_sparse_jacobian() -> None:
    with pytest.raises(DtypeError, match="real"):
        sparse_jacobian(lambda x: x * 1j)(X)
    with pytest.raises(UnsupportedError, match="no derivative"):
        grad(lambda x: sparse_jacobian(lambda x: x**2)(x).sum())(X)
    with pytest.raises(UnsupportedError, match="no derivative"):
        grad(lambda w: sparse_jacobian(lambda x: w * x)(X).sum())(2.0)
    with pytest.raises(UnsupportedError, match="no derivative"):
        sparse_jacobian(np.sin)(Tensor(X, requires_grad=True))
    with pytest.raises(GradientError, match="argnum"):
        sparse_jacobian(np.sin, argnum=2)(X)
    with pytest.raises(UnsupportedError, match="is not sparse"):
        sparse_jacobian(lambda x: functional.softmax(x, axis=0) + 1)(np.zeros(100_000))


def test_newtons_method_with_a_sparse_solver() -> None:
    """Bratu's equation u'' + exp(u) = 0, at the ends 0, by finite differences."""
    from scipy.sparse.linalg import spsolve

    h = 1 / 1001

    def residual(u: Any) -> Any:
        whole = np.pad(u, 1)
        return (whole[2:] - 2 * u + whole[:-2]) / h**2 + np.exp(u)

    u = np.zeros(1000)
    for _ in range(6):
        u = u - spsolve(sparse_jacobian(residual)(u).tocsc(), residual(u))
    assert np.abs(residual(u)).max() < 1e-6
    np.testing.assert_allclose(u.max(), 0.140539, atol=1e-5)  # of the exact solution


def test_the_pull_back_gives_the_same_rows() -> None:
    found = sparse_jacobian(np.diff)(X)
    _, pull = vjp(np.diff, X)
    for k, row in enumerate(np.eye(11)):
        np.testing.assert_array_equal(found.toarray()[k], pull(row)[0])


@pytest.mark.parametrize(
    "f",
    [
        lambda m, u: m @ u,
        lambda m, u: u @ m,
        lambda m, u: m * u,
        lambda m, u: u * m,
        lambda m, u: m + u,
        lambda m, u: np.dot(m, u),
        lambda m, u: m.dot(u),
        lambda m, u: Tensor(m) @ u,
    ],
)
def test_matrices_of_scipy_with_tensors_are_refused_with_a_remedy(f: Any) -> None:
    ones, matrix = np.ones(3), sparse.csr_array(np.eye(3))
    runs = [grad(lambda u: np.sum(f(matrix, u))), vmap(lambda u: f(matrix, u))]
    for run, x in zip(runs, (ones, np.ones((2, 3))), strict=True):
        with pytest.raises(MinigradError, match=r"custom_vjp of `lambda u: M @ u`(.|\n)*lambda m"):
            run(x)


def test_a_compiled_product_with_a_matrix_of_scipy_is_refused_with_a_remedy() -> None:
    matrix = sparse.csr_array(np.eye(3))
    for f in (
        lambda u: matrix @ u,
        lambda u: u @ matrix,
        lambda u: u * matrix,
        lambda u: u - matrix,
        lambda u: matrix + u,
        lambda u: np.add(matrix, u),
        lambda u: sparse.csr_matrix(matrix) - u,
        lambda u: sparse_linalg.spsolve(matrix, u),
    ):
        with pytest.raises(MinigradError, match="custom_vjp of `lambda u: M @ u`"):
            minigrad.compile(f)(np.ones(3))


def test_solutions_by_scipys_sparse_functions_are_refused_with_a_remedy() -> None:
    matrix, ones = sparse.csc_array(np.eye(3)), np.ones(3)
    for solve in (sparse_linalg.spsolve, sparse_linalg.lsqr, sparse_linalg.cg):

        def f(u: Any, solve: Any = solve) -> Any:
            return np.sum(solve(matrix, u)[0])

        for run, u in ((grad(f), ones), (vmap(f), np.stack([ones, ones]))):
            with pytest.raises(MinigradError, match=r"custom_vjp of .* or of spsolve\(M, u\)"):
                run(u)
