"""np.fft: every transform with every norm, size and axis; conventions; what is refused."""

from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, check_gradients, grad, jvp, vjp
from minigrad.errors import ArgumentError, DtypeError, MinigradError, ShapeError, UnsupportedError

FFT: Any = np.fft  # whose types do not have all that is tried
RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4))
Z = X + 1j * RNG.normal(size=(3, 4))
ONE = "fft ifft rfft irfft hfft ihfft".split()
SEVERAL = "fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn".split()
REAL = "rfft ihfft rfft2 rfftn".split()  # of real numbers only
CASES: dict[str, tuple[Any, np.ndarray]] = {}


def case(name: str, x: np.ndarray, *args: Any) -> None:
    f = getattr(np.fft, name)
    kind = "real" if x.dtype == float else "complex"
    CASES[f"{name}{args} of {kind}"] = lambda x: f(x, *args), x


for name in ONE:
    for x in (X,) if name in REAL else (X, Z):
        for n in (None, 1, 2, 3, 6):
            for axis in (0, -1):
                case(name, x, n, axis, {None: None, 1: "ortho", 2: "forward"}.get(n, "backward"))
for name in SEVERAL:
    for x in (X,) if name in REAL else (X, Z):
        for s in (None, (2, 5), (4, 3)):
            for axes in ((0, 1), (1, 0), (1, 1)):
                case(name, x, s, axes, "ortho")
        case(name, x, None, None, "forward")


def like(x: Any, rng: np.random.Generator) -> Any:
    """Random numbers of the shape of x, complex if it is."""
    return rng.normal(size=x.shape) + (1j * rng.normal(size=x.shape) if x.dtype.kind == "c" else 0)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_vjp_is_the_transpose_and_jvp_the_map_itself(case: tuple[Any, np.ndarray]) -> None:
    """Of a linear map A, Re(sum(g * A v)) is Re(sum(A.T g * v)) for every g and v."""
    f, x = case
    rng = np.random.default_rng(1)
    y, pull_back = vjp(f, x)
    g, v = (like(z, rng) for z in (y, x))
    np.testing.assert_array_equal(y, f(x))
    (transposed,) = pull_back(g)
    assert transposed.dtype == x.dtype and transposed.shape == x.shape
    np.testing.assert_allclose(np.sum(transposed * v).real, np.sum(g * f(v)).real, rtol=1e-10)
    np.testing.assert_allclose(jvp(f, (x,), (v,))[1], f(v), rtol=1e-10, atol=1e-12)


PROGRAMS: dict[str, Any] = {
    "convolution": lambda x: np.real(np.fft.ifft(np.fft.fft(x) * np.fft.fft(x[::-1], 4))) ** 2,
    "real convolution": lambda x: np.fft.irfft(np.fft.rfft(x, 7) ** 2, 7),
    "odd": lambda x: np.fft.irfftn(np.fft.rfftn(x[:, :3]) ** 2, (3, 3), (0, 1)),
    "spectrum": lambda x: np.abs(np.fft.fftshift(np.fft.fft2(x), axes=1)) ** 2,
    "hermitian": lambda x: np.fft.hfft(np.fft.ihfft(x, 5) ** 2, 6),
    "derivative": lambda x: np.fft.ifft(2j * np.pi * np.fft.fftfreq(4) * np.fft.fft(x)).real ** 3,
}


@pytest.mark.parametrize("f", PROGRAMS.values(), ids=list(PROGRAMS))
def test_second_derivatives(f: Any) -> None:
    check_gradients(f, X, order=2)


@pytest.mark.unoptimized
def test_programs_compiled() -> None:
    def derivatives(x: Any) -> list[Any]:
        return [z for f in PROGRAMS.values() for z in (f(x), grad(lambda x, f=f: np.sum(f(x)))(x))]

    for found, expected in zip(minigrad.compile(derivatives)(X), derivatives(X), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_float32_gives_complex64() -> None:
    x = X.astype(np.float32)
    y, pull_back = vjp(np.fft.rfft, x)
    assert y.dtype == np.complex64
    assert pull_back(y)[0].dtype == np.float32
    y, pull_back = vjp(np.fft.irfft, y)
    assert y.dtype == np.float32
    assert pull_back(y)[0].dtype == np.complex64


def test_out_is_a_write_into_a_tensor() -> None:
    x = Tensor(X, requires_grad=True)
    out = Tensor(np.zeros((3, 4), complex))
    assert FFT.fft(x, out=out) is out
    np.testing.assert_array_equal(out.data, FFT.fft(X))
    np.sum(out.real).backward()
    np.testing.assert_allclose(x.grad, FFT.fft(np.ones((3, 4))).real, atol=1e-12)
    with pytest.raises(UnsupportedError, match="plain array"):
        FFT.fft(x, out=np.zeros((3, 4), complex))


WRONG: dict[str, tuple[Any, type[MinigradError], str]] = {
    "norm": (lambda x: FFT.fft(x, norm="unitary"), ArgumentError, "'unitary'.*ortho"),
    "nothing": (lambda x: FFT.fft(x, 0), ShapeError, "0 numbers, along axis 1"),
    "no numbers": (lambda x: FFT.irfft(x[:, :0], 3), ShapeError, "nothing to transform"),
    "axis": (lambda x: FFT.fft(x, axis=2), ShapeError, r"one of -2\.\.1"),
    "sizes": (lambda x: FFT.fftn(x, (2, 2), (0,)), ShapeError, "each axis its size"),
    "axis twice": (lambda x: FFT.fftn(x, (2, None), (1, 1)), ShapeError, "each size"),
    "complex": (lambda x: FFT.rfft(x * 1j), DtypeError, "use fft, or"),
    "half a number": (lambda x: FFT.fft(x, 2.5), ArgumentError, "integer, not 2.5"),
    "no axes": (lambda x: FFT.rfftn(x, axes=()), ShapeError, "one or more"),
}


@pytest.mark.parametrize(("f", "error", "said"), WRONG.values(), ids=list(WRONG))
def test_wrong_uses(f: Any, error: type[MinigradError], said: str) -> None:
    with pytest.raises(error, match=said):
        f(Tensor(X))
