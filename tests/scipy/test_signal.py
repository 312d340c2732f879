"""scipy.signal on Tensors, against SciPy on arrays and finite differences."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import scipy.signal as sg

import minigrad
from minigrad import Tensor, check_gradients
from minigrad.errors import ArgumentError, ShapeError, UnsupportedError
from minigrad.scipy import signal
from tests.marks import rows

RNG = np.random.default_rng(0)
MODES = ("full", "same", "valid")


def drawn(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    return [RNG.normal(size=shape) for shape in shapes]


def check(f: Any, original: Any, *arrays: np.ndarray, order: int = 1) -> None:
    expected, found = original(*arrays), f(*map(Tensor, arrays)).data
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(f(*arrays), expected)
    check_gradients(f, *arrays, order=order)


PAIRS = [((5,), (3,)), ((3,), (5,)), ((4, 3), (2, 2)), ((2, 2), (4, 3)), ((2, 4, 3), (2, 2, 1))]
SLOW = ((3,), (4, 3))
CONVOLUTIONS = {
    f"{name} {mode} {x} {y} {method}": (name, mode, x, y, method)
    for name, mode, (x, y), method in product(
        ("convolve", "correlate"), MODES, PAIRS, ("auto", "direct", "fft")
    )
}


@pytest.mark.parametrize(
    "case", rows(CONVOLUTIONS, slow=lambda case: case[-1] != "auto" or case[2] in SLOW)
)
def test_convolution(case: Any) -> None:
    name, mode, x, y, method = case
    setting = name, mode, method
    check(of(signal, *setting), of(sg, *setting), *drawn(x, y), order=2)


def of(module: Any, name: str, *settings: Any) -> Any:
    """A function of a module, with all but its two arrays set."""
    return lambda x, y: getattr(module, name)(x, y, *settings)


@pytest.mark.parametrize("name", ["convolve2d", "correlate2d"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("boundary", ["fill", "wrap", "symm"])
def test_convolution_of_matrices(name: str, mode: str, boundary: str) -> None:
    for x, y in [((4, 5), (2, 3)), ((3, 4), (3, 2))]:
        setting = name, mode, boundary, 1.5
        check(of(signal, *setting), of(sg, *setting), *drawn(x, y))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("axes", [1, pytest.param((0, 1), marks=pytest.mark.slow), None])
def test_convolution_along_axes(mode: str, axes: Any) -> None:
    for x, y in [((3, 5), (3, 2)), ((3, 5), (1, 2)), ((1, 5), (4, 2)), ((3, 1), (3, 1))]:
        for name in ("fftconvolve", "oaconvolve"):
            setting = name, mode, axes
            check(of(signal, *setting), of(sg, *setting), *drawn(x, y))


def test_filters() -> None:
    b, x = drawn((3,), (2, 6))
    a = np.array([2.0, 0.3, -0.2])
    check(signal.lfilter, sg.lfilter, b, a, x, order=2)
    check(
        lambda b, a, x: signal.lfilter(b, a, x, 0), lambda b, a, x: sg.lfilter(b, a, x, 0), b, a, x
    )
    sos = np.array([[1, 0.2, 0.3, 1, 0.1, 0.2], [0.5, 0.1, 0, 1, -0.3, 0.1]])
    check(signal.sosfilt, sg.sosfilt, sos, x)


@pytest.mark.parametrize("kind", ["linear", "constant"])
def test_detrend(kind: Any) -> None:
    (x,) = drawn((3, 6))
    check(lambda x: signal.detrend(x, 0, kind), lambda x: sg.detrend(x, 0, kind), x)
    if kind == "linear":
        check(lambda x: signal.detrend(x, bp=[2]), lambda x: sg.detrend(x, bp=[2]), x)
    assert signal.detrend(Tensor(x.astype("f")), type=kind).dtype == np.float32


def test_complex_signals() -> None:
    x = RNG.normal(size=5) + 1j * RNG.normal(size=5)
    y = x[:3] * 1j
    found = signal.correlate(Tensor(x), Tensor(y))
    np.testing.assert_allclose(found.data, sg.correlate(x, y))
    (g,) = minigrad.vjp(lambda x: signal.convolve(x, y)[2], x)[1](1 + 0j)
    np.testing.assert_allclose(g, [*y[::-1], 0, 0], atol=1e-12)


def test_in_a_compiled_function() -> None:
    def f(x: Any, h: Any) -> Any:
        return np.sum(signal.convolve(x, h, "same") ** 2)

    both, x, h = minigrad.value_and_grad(f, (0, 1)), np.arange(5.0), np.array([1.0, 0.5])
    value, gradients = minigrad.compile(both)(x, h)
    assert value == pytest.approx(both(x, h)[0])
    for one, other in zip(gradients, both(x, h)[1], strict=True):
        np.testing.assert_allclose(one, other)


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        (ShapeError, lambda t: signal.convolve(t, np.ones((2, 2)))),
        (ShapeError, lambda t: signal.convolve(np.ones((1, 3)), t[None, :2].T, "valid")),
        (ArgumentError, lambda t: signal.correlate(t, t, "some")),
        (ArgumentError, lambda t: signal.convolve2d(t[None], t[None], boundary="some")),
        (ShapeError, lambda t: signal.convolve2d(t, t)),
        (UnsupportedError, lambda t: signal.lfilter(t, t, t, zi=t)),
        (ShapeError, lambda t: signal.lfilter(t[None], t, t)),
        (ArgumentError, lambda t: signal.detrend(t, bp=7)),
        (ArgumentError, lambda t: signal.detrend(t, type="some")),
        (UnsupportedError, lambda t: signal.hilbert(t)),
    ],
)
def test_refusals(kind: type[Exception], call: Any) -> None:
    with pytest.raises(kind):
        call(Tensor([1.0, 2.0, 3.0]))


def test_what_has_no_tensor_is_scipys() -> None:
    np.testing.assert_array_equal(signal.get_window("hann", 4), sg.get_window("hann", 4))
    assert signal.StateSpace is sg.StateSpace
