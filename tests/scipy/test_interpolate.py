"""scipy.interpolate on Tensors, against SciPy on arrays and finite differences."""

import functools
from typing import Any

import numpy as np
import pytest
import scipy.interpolate as ip

import minigrad
from minigrad import Tensor, check_gradients, grad
from minigrad.errors import ArgumentError, ShapeError, UnsupportedError
from minigrad.scipy import interpolate
from tests.marks import rows

RNG = np.random.default_rng(0)
X = np.array([0.0, 0.7, 1.0, 2.1, 3.0, 3.4])
Y = RNG.normal(size=(2, 6, 3))
AT = np.array([[0.3, 0.9, 2.5], [1.4, 3.3, 0.1]])
OUTSIDE = np.array([-0.5, 3.9, 1.0])

# Made of x and y along axis 1.
SPLINES: dict[str, Any] = {
    "cubic": lambda m, x, y: m.CubicSpline(x, y, 1),
    "natural": lambda m, x, y: m.CubicSpline(x, y, 1, "natural"),
    "ends by name": lambda m, x, y: m.CubicSpline(x, y, 1, ("clamped", "natural")),
    "B-spline": lambda m, x, y: m.make_interp_spline(x, y, axis=1),
    "quintic": lambda m, x, y: m.make_interp_spline(x, y, 5, axis=1),
    "monotone": lambda m, x, y: m.PchipInterpolator(x, y, 1),
    "hermite": lambda m, x, y: m.CubicHermiteSpline(x, y, y**2, 1),
}
# These have derivatives by x as well.
MOVABLE = ("monotone", "hermite")


@pytest.mark.parametrize(
    "name", rows({name: name for name in SPLINES}, slow=lambda name: name in ("natural", "quintic"))
)
def test_splines(name: str) -> None:
    make = SPLINES[name]
    theirs, ours = make(ip, X, Y), make(interpolate, X, Tensor(Y))
    for at in (AT, 1.7, OUTSIDE):
        for nu in (0, 1, 2):
            np.testing.assert_allclose(ours(at, nu).data, theirs(at, nu), rtol=1e-9, atol=1e-11)
    check_gradients(lambda y, at: make(interpolate, X, y)(at), Y, AT[0], order=2)
    check_gradients(make(interpolate, X, Y), AT)
    np.testing.assert_array_equal(make(interpolate, X, Y)(AT), theirs(AT))
    if name in MOVABLE:
        check_gradients(lambda x: make(interpolate, x, Y)(AT), X)
    else:
        with pytest.raises(UnsupportedError, match="places x"):
            make(interpolate, Tensor(X, requires_grad=True), Y)


def test_derivatives_and_integrals_of_splines() -> None:
    ours, theirs = interpolate.CubicSpline(X, Tensor(Y[0, :, 0])), ip.CubicSpline(X, Y[0, :, 0])
    found = ours.derivative()(AT).data
    np.testing.assert_allclose(found, theirs.derivative()(AT), atol=1e-12)
    assert ours.integrate(0.2, 2.9).item() == pytest.approx(theirs.integrate(0.2, 2.9))
    check_gradients(
        lambda a, b, y: interpolate.CubicSpline(X, y).integrate(a, b), 0.2, 2.9, Y[0, :, 0]
    )
    assert interpolate.CubicSpline(X, Y[0, :, 0]).c.shape == (4, 5)


def test_a_periodic_spline_shares_the_gradient_between_its_ends() -> None:
    y = np.array([1.0, 2.0, 0.5, 0.3, 2.0, 1.0])
    ours = interpolate.CubicSpline(X, Tensor(y), bc_type="periodic")
    theirs = ip.CubicSpline(X, y, bc_type="periodic")
    np.testing.assert_allclose(ours(AT).data, theirs(AT), atol=1e-12)
    g = minigrad.grad(lambda y: interpolate.CubicSpline(X, y, bc_type="periodic")(0.3))(y)
    assert g[0] == g[-1]


def test_outside_of_the_knots() -> None:
    ours = interpolate.PchipInterpolator(X, Tensor(Y), 1, extrapolate=False)
    theirs = ip.PchipInterpolator(X, Y, 1, extrapolate=False)
    np.testing.assert_allclose(ours(OUTSIDE).data, theirs(OUTSIDE), atol=1e-12)


def test_monotone_data_of_every_kind() -> None:
    for values in ([0, 0, 1, 1, 3, 2.5], [3, 2, 1, 0, -1, -1.5], [0, 5, 0.1, 4, 4, 4], [1] * 6):
        y = np.array(values, float)
        found = interpolate.PchipInterpolator(X, Tensor(y))(AT).data
        np.testing.assert_allclose(found, ip.PchipInterpolator(X, y)(AT), atol=1e-12)
    two = interpolate.PchipInterpolator(X[:2], Tensor(Y[0, :2, 0]))(0.3).item()
    assert two == pytest.approx(float(ip.PchipInterpolator(X[:2], Y[0, :2, 0])(0.3)))


KINDS = ["linear", "slinear", "quadratic", "cubic", 2, "nearest", "nearest-up", "previous", "next"]


@pytest.mark.parametrize(
    "kind",
    rows(
        {str(kind): kind for kind in [*KINDS, "zero"]},
        slow=lambda kind: kind not in ("linear", "cubic", "next"),
    ),
)
def test_interp1d(kind: Any) -> None:
    order = np.array([3, 0, 5, 1, 2, 4])
    x, y = X[order], Y[:, order]

    def make(module: Any, x: Any, y: Any, **how: Any) -> Any:
        return module.interp1d(x, y, kind, 1, **how)

    at = np.array([*AT.ravel(), 0.0, 1.0, 3.4, 0.35, 1.55])
    ours, theirs = make(interpolate, x, Tensor(y)), make(ip, x, y)
    np.testing.assert_allclose(ours(at).data, theirs(at), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(make(interpolate, x, y)(Tensor(AT)).data, theirs(AT), atol=1e-11)
    np.testing.assert_array_equal(make(interpolate, x, y)(AT), theirs(AT))
    filled: dict[str, Any] = {"bounds_error": False, "fill_value": (-1.0, 2.0)}
    found = make(interpolate, x, Tensor(y), **filled)(OUTSIDE).data
    np.testing.assert_allclose(found, make(ip, x, y, **filled)(OUTSIDE), atol=1e-11)
    extended = {"fill_value": "extrapolate"}
    found = make(interpolate, x, Tensor(y), **extended)(OUTSIDE).data
    np.testing.assert_allclose(found, make(ip, x, y, **extended)(OUTSIDE), rtol=1e-9)
    check_gradients(lambda y: make(interpolate, x, y)(AT), y)
    if kind in ("linear", "slinear"):
        check_gradients(lambda x, at: make(interpolate, x, y)(at), x, AT)
    with pytest.raises(ArgumentError, match="outside"):
        ours(OUTSIDE)


def test_interp1d_in_a_compiled_function() -> None:
    y = np.cos(X)

    def read(y: Any, at: Any, **how: Any) -> Any:
        return np.sum(interpolate.interp1d(X, y, **how)(at) ** 2)

    for how in ({"fill_value": "extrapolate"}, {"bounds_error": False, "fill_value": 0.5}):
        gradient = grad(functools.partial(read, **how), argnums=(0, 1))
        for one, other in zip(
            minigrad.compile(gradient)(y, OUTSIDE), gradient(y, OUTSIDE), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-12)
    with pytest.raises(UnsupportedError, match="bounds_error=False"):
        minigrad.compile(read)(Tensor(y), AT)


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        (UnsupportedError, lambda y: interpolate.CubicSpline(X, y, bc_type=((1, 0.0), (1, 0.0)))),
        (UnsupportedError, lambda y: interpolate.make_interp_spline(X, y, bc_type=([], []))),
        (UnsupportedError, lambda y: interpolate.CubicSpline(X, y)(1.0, extrapolate=False)),
        (UnsupportedError, lambda y: interpolate.splrep(X, y)),
        (ShapeError, lambda y: interpolate.PchipInterpolator(X[:3], y)),
        (ShapeError, lambda y: interpolate.interp1d(X[:3], y)),
        (ArgumentError, lambda y: interpolate.PchipInterpolator(X[::-1], y)),
        (ArgumentError, lambda y: interpolate.CubicSpline(X[::-1], y)),
        (AttributeError, lambda y: interpolate.CubicSpline(X, y).c),
    ],
)
def test_refusals(kind: type[Exception], call: Any) -> None:
    with pytest.raises(kind):
        call(Tensor(Y[0, :, 0]))


def test_in_a_compiled_function() -> None:
    both = minigrad.value_and_grad(lambda y: np.sum(interpolate.CubicSpline(X, y)(AT) ** 2))
    y = Y[0, :, 0]
    value, gradient = minigrad.compile(both)(y)
    assert value == pytest.approx(both(y)[0])
    np.testing.assert_allclose(gradient, both(y)[1])
