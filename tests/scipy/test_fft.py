"""scipy.fft on Tensors: SciPy's values; cosine and sine transforms of every type and norm."""

import functools
import itertools
from typing import Any

import numpy as np
import pytest
import scipy.fft

import minigrad
from minigrad import Tensor, check_gradients, grad, vjp
from minigrad.errors import ArgumentError, MinigradError, ShapeError, UnsupportedError
from minigrad.scipy import fft
from tests.marks import rows

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4))
TRIGONOMETRIC = "dct idct dst idst dctn idctn dstn idstn".split()
NORMS = (None, "ortho", "forward")
SIZES: list[dict[str, Any]] = [{}, {"n": 3, "axis": 0}, {"n": 7}, {"n": 2}]
SEVERAL: list[dict[str, Any]] = [{}, {"axes": (1, 0), "s": (3, 5)}, {"axes": 1}, {"s": (2, 2)}]
CASES = {
    f"{name} {type} {norm} {orthogonalize} {how}": (
        name,
        {"type": type, "norm": norm, "orthogonalize": orthogonalize} | how,
    )
    for name, type, norm, orthogonalize in itertools.product(
        TRIGONOMETRIC, (1, 2, 3, 4), NORMS, (None, True, False)
    )
    for how in (SEVERAL if name.endswith("n") else SIZES)
}


def check(name: str, x: np.ndarray, **how: Any) -> None:
    """SciPy's value, and as vjp the transpose of what it computes."""
    of_arrays, ours = getattr(scipy.fft, name), getattr(fft, name)
    expected = of_arrays(x, **how)
    np.testing.assert_array_equal(ours(x, **how), expected)
    y, pull_back = vjp(lambda x: ours(x, **how), x)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    assert y.dtype == expected.dtype
    g, v = np.cos(np.arange(y.size)).reshape(y.shape), np.sin(np.arange(x.size)).reshape(x.shape)
    g, v = (g + 0.5j * g[..., ::-1] if z.dtype.kind == "c" else g for g, z in ((g, y), (v, x)))
    (transposed,) = pull_back(g)
    assert transposed.dtype == x.dtype
    found, wanted = np.sum(transposed * v).real, np.sum(g * of_arrays(v, **how)).real
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", TRIGONOMETRIC)
def test_cosine_and_sine_transforms(name: str) -> None:
    for each, how in CASES.values():
        if each == name:
            check(name, X, **how)


@pytest.mark.parametrize(
    "name", [x for x in dir(scipy.fft) if x.rstrip("2n").endswith("fft") and x[0] != "_"]
)
def test_fourier_transforms(name: str) -> None:
    x = X if name.startswith(("rfft", "ihfft")) else X + 1j * X[::-1]
    for norm in NORMS:
        check(name, x, norm=norm)
    check(name, x, **({"axes": (0,)} if name[-1] in "2n" else {"axis": 0, "workers": 1}))


def test_second_derivatives_also_of_complex_numbers() -> None:
    check_gradients(lambda x: fft.dctn(x) ** 3 + fft.idst(x, 3) ** 2, X)
    check_gradients(lambda x: np.abs(fft.dst(x * (1 + 1j), 2, norm="ortho")) ** 2, X)


@pytest.mark.parametrize("name", TRIGONOMETRIC)
def test_complex_cosine_and_sine_transforms_are_those_of_the_parts(name: str) -> None:
    """SciPy's own are not linear where `orthogonalize` is not what the norm implies."""
    x = X + 1j * np.cos(X)
    for type, orthogonalize in itertools.product((1, 2, 3, 4), (None, True, False)):
        f = functools.partial(getattr(fft, name), type=type, orthogonalize=orthogonalize)
        value, pull_back = vjp(f, x)
        np.testing.assert_allclose(value, f(x.real) + 1j * f(x.imag), rtol=1e-12, atol=1e-12)
        g = np.sin(X) - 2j * X
        v = np.cos(2 * X) + 1j * X
        np.testing.assert_allclose(
            np.sum(pull_back(g)[0] * v), np.sum(g * (f(v.real) + 1j * f(v.imag)))
        )
    assert vjp(fft.dct, x.astype(np.complex64))[0].dtype == np.complex64


def test_single_precision() -> None:
    y, pull_back = vjp(fft.dctn, X.astype(np.float32))
    assert y.dtype == pull_back(y)[0].dtype == np.float32


@pytest.mark.unoptimized
def test_compiled() -> None:
    def f(x: Any) -> Any:
        return np.sum(fft.dctn(x, 3) ** 2 + np.cos(fft.idst(x)))

    np.testing.assert_allclose(minigrad.compile(grad(f))(X), grad(f)(X), rtol=1e-12)


def test_code_that_calls_scipy_runs_with_the_backend() -> None:
    with scipy.fft.set_backend(fft):
        gradient = grad(lambda x: scipy.fft.dct(x)[0, 0] + np.abs(scipy.fft.fft(x)[1, 0]))(X)
        np.testing.assert_array_equal(scipy.fft.dct(X), fft.dct(X))
    sign = np.sign(X[1].sum())
    np.testing.assert_allclose(gradient, [[2.0] * 4, [sign] * 4, [0] * 4], atol=1e-12)


WRONG: dict[str, tuple[Any, type[MinigradError], str]] = {
    "type": (lambda x: fft.dct(x, 5), ArgumentError, "types are 1, 2, 3 and 4"),
    "norm": (lambda x: fft.dst(x, norm="unit"), ArgumentError, "'unit'"),
    "axis twice": (lambda x: fft.dctn(x, axes=(0, 0)), ShapeError, "each once"),
    "number": (lambda x: fft.dct(x[0, 0]), ShapeError, "no axes"),
    "one": (lambda x: fft.dct(x, 1, 1), ShapeError, "2 numbers or more"),
    "Hankel": (lambda x: fft.fht(x, 0.1, 0.5), UnsupportedError, "matrix"),
}


@pytest.mark.parametrize("case", rows(WRONG))
def test_wrong_uses(case: tuple[Any, type[MinigradError], str]) -> None:
    f, error, said = case
    with pytest.raises(error, match=said):
        f(Tensor(X))
